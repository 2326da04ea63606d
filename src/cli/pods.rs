//! The pods of an engine, and which one was meant.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;

use super::report::Report;
use super::run::CONTROLLER_LABEL;
use crate::engine::{ContainerId, Engine, Fault, Inspection, Listed};
use crate::labels;
use crate::plan::ownership;
use crate::pod::lower;

/// What Swarm writes on a task's container.
const SERVICE: &str = "com.docker.swarm.service.name";
/// What Swarm and Compose write on a stack's or a project's container.
const STACKS: [&str; 2] = ["com.docker.stack.namespace", "com.docker.compose.project"];
/// What Compose writes on a service's container.
const COMPOSE_SERVICE: &str = "com.docker.compose.service";

/// A pod of the engine.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    /// Its controller's container.
    pub(super) controller: Inspection,
    /// What the controller made, by component name.
    pub(super) components: Vec<Listed>,
}

impl Pod {
    /// The component's name on a container of a pod; the container's own where it has none.
    pub(super) fn component(container: &Listed) -> &str {
        let label = |name: &str| container.labels.get(name).map(String::as_str);
        // The one that lends the IPC namespace is no component, and is called after its role.
        label(ownership::COMPONENT).or_else(|| label(ownership::ROLE)).unwrap_or(&container.name)
    }

    /// The service of Swarm or Compose that it belongs to.
    pub(super) fn service(&self) -> Option<&str> {
        let label = |name: &str| self.controller.labels.get(name).map(String::as_str);
        label(SERVICE).or_else(|| label(COMPOSE_SERVICE))
    }

    /// The stack or the project that it belongs to.
    pub(super) fn stack(&self) -> Option<&str> {
        STACKS.iter().find_map(|name| self.controller.labels.get(*name)).map(String::as_str)
    }

    /// The controller's container, where it runs.
    pub(super) fn running(self) -> Result<ContainerId, Report> {
        if self.controller.running {
            return Ok(self.controller.id);
        }
        let error = anyhow!("pod `{}` does not run", self.controller.name);
        Err(Report::new(error).hint(format!("`outrigger logs {}` tells why", self.controller.name)))
    }

    /// Components that run, and how many there should be.
    pub(super) fn counts(&self) -> (usize, usize) {
        let role = |container: &&Listed| container.labels.get(ownership::ROLE).is_none_or(|role| role == "component");
        let made: Vec<_> = self.components.iter().filter(role).collect();
        let (raw, _problems) = labels::read_labels(&self.controller.labels);
        let (spec, _problems) = lower::lower_partly(&raw);
        let up = made.iter().filter(|container| container.running).count();
        (up, made.len().max(spec.components.len()))
    }
}

/// All pods, by name; `stopped` ones only where they are asked for.
pub(super) async fn all<E: Engine>(engine: &E, stopped: bool) -> Result<Vec<Pod>, Report> {
    let mut owned: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
    for container in engine.list(&[ownership::POD.to_owned()]).await? {
        if let Some(owner) = container.labels.get(ownership::POD) {
            owned.entry(owner.clone()).or_default().push(container);
        }
    }
    // Components made from the controller's image have its label too.
    let labelled = engine.list(&[CONTROLLER_LABEL.to_owned()]).await?;
    let mut ids: Vec<String> = labelled
        .into_iter()
        .filter(|container| !container.labels.contains_key(ownership::POD) && (stopped || container.running))
        .map(|container| container.id.0)
        .collect();
    ids.extend(owned.keys().cloned());
    ids.sort();
    ids.dedup();
    let mut pods = Vec::new();
    for id in ids {
        let controller = match engine.inspect(&id).await {
            Ok(controller) => controller,
            // Gone since; what it left is its successor's to clean up.
            Err(error) if error.fault() == Fault::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        if stopped || controller.running {
            let mut components = owned.remove(&id).unwrap_or_default();
            components.sort_by(|a, b| Pod::component(a).cmp(Pod::component(b)));
            pods.push(Pod { controller, components });
        }
    }
    pods.sort_by(|a, b| a.controller.name.cmp(&b.controller.name));
    Ok(pods)
}

/// The pod that `wanted` names; without a name, the only one that runs.
pub(super) async fn one<E: Engine>(engine: &E, wanted: Option<&str>) -> Result<Pod, Report> {
    choose(all(engine, wanted.is_some()).await?, wanted)
}

/// By name, by id, by service, then by the beginning of an id. Pods that run are preferred over stopped ones of the same service.
fn choose(pods: Vec<Pod>, wanted: Option<&str>) -> Result<Pod, Report> {
    let Some(wanted) = wanted else {
        return single(pods.iter().collect(), &pods, "there are several pods", "no pod runs on this engine");
    };
    let is_prefix = |id: &ContainerId| wanted.len() >= 2 && id.0.starts_with(wanted);
    let tests: [&dyn Fn(&Pod) -> bool; 5] = [
        &|pod| pod.controller.name == wanted || pod.controller.id.0 == wanted,
        &|pod| pod.controller.running && pod.service() == Some(wanted),
        &|pod| pod.service() == Some(wanted),
        &|pod| pod.controller.running && is_prefix(&pod.controller.id),
        &|pod| is_prefix(&pod.controller.id),
    ];
    let found = tests
        .iter()
        .map(|fits| pods.iter().filter(|pod| fits(pod)).collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default();
    single(found, &pods, &format!("`{wanted}` is several pods"), &format!("no pod of this engine is called `{wanted}`"))
}

fn single(found: Vec<&Pod>, all: &[Pod], several: &str, none: &str) -> Result<Pod, Report> {
    let names = |pods: &mut dyn Iterator<Item = &Pod>| {
        pods.map(|pod| format!("`{}` ({})", pod.controller.name, pod.controller.id)).collect::<Vec<_>>().join(", ")
    };
    match found.as_slice() {
        [pod] => Ok((*pod).clone()),
        [] if all.is_empty() => Err(Report::new(anyhow!("{none}")).hint("`outrigger ps -a` shows stopped ones too")),
        [] => {
            let services: BTreeSet<&str> = all.iter().filter_map(Pod::service).collect();
            let services = match services.len() {
                0 => String::new(),
                _ => format!(", of `{}`", services.into_iter().collect::<Vec<_>>().join("`, `")),
            };
            Err(Report::new(anyhow!("{none}")).hint(format!("there are {}{services}", names(&mut all.iter()))))
        }
        several_pods => {
            let names = names(&mut several_pods.iter().copied());
            Err(Report::new(anyhow!("{several}: {names}")).hint("name one of them, or the beginning of its id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SelfInfo;

    fn pod(name: &str, id: &str, service: &str, running: bool) -> Pod {
        let labels = BTreeMap::from([(SERVICE.to_owned(), service.to_owned())]);
        let mut controller = SelfInfo::offline(name, labels).container;
        controller.id = ContainerId(id.to_owned());
        controller.running = running;
        Pod { controller, components: Vec::new() }
    }

    fn chosen(wanted: Option<&str>) -> Result<String, String> {
        let pods = vec![
            pod("shop.1.x", "abcd1", "shop", true),
            pod("shop.1.old", "abcd2", "shop", false),
            pod("web.1.x", "abff", "web", true),
            pod("web.2.y", "cdff", "web", true),
            pod("ab", "0000", "other", true),
        ];
        choose(pods, wanted).map(|pod| pod.controller.name).map_err(|report| report.text(false))
    }

    #[test]
    fn a_pod_is_found_by_name_id_and_service() {
        for (wanted, name) in [
            ("web.1.x", "web.1.x"),
            ("abcd1", "shop.1.x"),
            ("abcd", "shop.1.x"),
            ("cd", "web.2.y"),
            ("shop", "shop.1.x"),
            ("abcd2", "shop.1.old"),
            ("ab", "ab"),
        ] {
            assert_eq!(chosen(Some(wanted)).as_deref(), Ok(name), "{wanted}");
        }
    }

    #[test]
    fn what_is_not_one_pod_is_told_with_the_candidates() {
        let several = chosen(Some("web")).unwrap_err();
        assert!(several.contains("`web` is several pods: `web.1.x` (abff), `web.2.y` (cdff)"), "{several}");
        let none = chosen(Some("nothing")).unwrap_err();
        assert!(none.contains("no pod of this engine is called `nothing`") && none.contains("`shop.1.x`"), "{none}");
        assert!(none.contains(", of `other`, `shop`, `web`"), "{none}");
        let one_letter = chosen(Some("c")).unwrap_err();
        assert!(one_letter.contains("no pod"), "{one_letter}");
        assert!(chosen(None).unwrap_err().contains("there are several pods"));
        assert!(choose(Vec::new(), None).unwrap_err().text(false).contains("no pod runs on this engine"));
    }
}
