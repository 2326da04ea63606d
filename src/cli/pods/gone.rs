//! Pods without a controller that runs: those that are stopped, and containers that a controller has left behind.

use std::collections::BTreeMap;

use anyhow::anyhow;

use super::Pod;
use crate::cli::report::Report;
use crate::engine::docker::Docker;
use crate::engine::{Engine, Fault, Listed};
use crate::janitor;
use crate::plan::compile::NAME_INFIX;
use crate::plan::ownership;

/// Containers of a pod whose controller's container does not exist any more.
#[derive(Debug)]
pub(in crate::cli) struct Orphan {
    /// The id of the controller.
    pub(in crate::cli) owner: String,
    /// At least one.
    pub(in crate::cli) containers: Vec<Listed>,
}

impl Orphan {
    /// The name that the pod had, as far as the names of its containers tell.
    pub(in crate::cli) fn name(&self) -> &str {
        let names = self.containers.iter().filter_map(|container| container.name.split_once(NAME_INFIX));
        names.map(|(pod, _)| pod).next().unwrap_or(&self.owner)
    }

    /// Whether a word names it.
    pub(in crate::cli) fn is(&self, wanted: &str) -> bool {
        self.name() == wanted || (wanted.len() >= 2 && self.owner.starts_with(wanted))
    }

    /// Why nothing can be asked of it.
    pub(in crate::cli) fn report(&self) -> Report {
        let left = named(&self.containers, |container| Pod::component(container));
        let error = anyhow!(
            "the controller of pod `{}` does not exist any more; the pod's containers remain: {left}",
            self.name()
        );
        Report::new(error).hint(format!(
            "the next controller that starts on this engine removes them; or remove them with `docker rm -f {}`",
            plain(&self.containers)
        ))
    }
}

fn named<'a>(containers: impl IntoIterator<Item = &'a Listed>, name: impl Fn(&'a Listed) -> &'a str) -> String {
    containers.into_iter().map(|container| format!("`{}`", name(container))).collect::<Vec<_>>().join(", ")
}

fn plain<'a>(containers: impl IntoIterator<Item = &'a Listed>) -> String {
    containers.into_iter().map(|container| container.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// The containers of all pods whose controllers are gone; not those that are kept for a look.
pub(in crate::cli) async fn orphans<E: Engine>(engine: &E) -> Result<Vec<Orphan>, Report> {
    let mut owned: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
    for container in engine.list(&[ownership::POD.to_owned()]).await? {
        if let Some(owner) = container.labels.get(ownership::POD)
            && !janitor::is_kept(&container)
        {
            owned.entry(owner.clone()).or_default().push(container);
        }
    }
    let mut orphans = Vec::new();
    for (owner, mut containers) in owned {
        match engine.inspect(&owner).await {
            Err(error) if error.fault() == Fault::NotFound => {
                containers.sort_by(|a, b| a.name.cmp(&b.name));
                orphans.push(Orphan { owner, containers });
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
    }
    orphans.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(orphans)
}

/// Why a pod that is stopped has no controller to ask, and what to do.
pub(in crate::cli) async fn stopped(engine: &Docker, pod: &Pod) -> Report {
    let replicas = match pod.swarm_service() {
        // A worker is not told.
        Some(service) => engine.replicas(service).await.ok().flatten().map(|replicas| (service, replicas)),
        None => None,
    };
    not_running(pod, replicas)
}

fn not_running(pod: &Pod, replicas: Option<(&str, u64)>) -> Report {
    let name = &pod.controller.name;
    let left: Vec<&Listed> = pod.components.iter().filter(|container| container.running).collect();
    if !left.is_empty() {
        let names = named(left.iter().copied(), |container| Pod::component(container));
        let error = anyhow!("pod `{name}` is not running, but components of its last run are: {names}");
        return Report::new(error).hint(format!(
            "`docker start {name}` removes them and starts the pod; or remove them with `docker rm -f {}`",
            plain(left)
        ));
    }
    match replicas {
        Some((service, 0)) => Report::new(anyhow!("service `{service}` has 0 replicas, so none of its pods runs"))
            .hint(format!("`docker service scale {service}=1` starts one; `outrigger logs {name}` shows the last run")),
        _ => Report::new(anyhow!("pod `{name}` is not running")).hint(format!("`outrigger logs {name}` shows why")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::engine::{ContainerSpec, Inspection};
    use crate::plan::SelfInfo;

    async fn component(engine: &FakeEngine, pod: &str, owner: &str, name: &str) {
        let mut spec = ContainerSpec::new(format!("{pod}.podlike.{name}"), name);
        let labels = [(ownership::COMPONENT, name), (ownership::ROLE, "component"), (ownership::POD, owner)];
        spec.labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let (id, _notes) = engine.create(&spec).await.unwrap();
        engine.start(&id).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_controller_that_is_gone_has_left_is_listed() {
        let engine = FakeEngine::new();
        let (controller, _notes) = engine.create(&ContainerSpec::new("shop", "outrigger")).await.unwrap();
        component(&engine, "shop", &controller.0, "app").await;
        component(&engine, "lost", "0123456789ab", "web").await;
        component(&engine, "lost", "0123456789ab", "app").await;
        component(&engine, "lost", "0123456789ab", "db.failed-1").await;
        let orphans = orphans(&engine).await.unwrap();
        let [orphan] = orphans.as_slice() else { panic!("{orphans:?}") };
        assert_eq!((orphan.name(), orphan.containers.len()), ("lost", 3));
        assert!(orphan.is("lost") && orphan.is("0123") && !orphan.is("0") && !orphan.is("shop"));
        let told = orphan.report().text(false);
        assert!(
            told.contains(
                "pod `lost` does not exist any more; the pod's containers remain: `app`, `db.failed-1`, `web`"
            ),
            "{told}"
        );
        assert!(told.contains("`docker rm -f lost.podlike.app lost.podlike.db.failed-1 lost.podlike.web`"), "{told}");
    }

    #[tokio::test]
    async fn a_stopped_pod_names_what_still_runs_of_it() {
        let engine = FakeEngine::new();
        component(&engine, "shop", "ab", "app").await;
        component(&engine, "shop", "ab", "done").await;
        engine.kill("done", 0);
        let controller = Inspection { running: false, ..SelfInfo::offline("shop", BTreeMap::new()).container };
        let components = engine.list(&[ownership::POD.to_owned()]).await.unwrap();
        let pod = Pod { controller, components };
        let told = not_running(&pod, Some(("st_shop", 0))).text(false);
        assert!(told.contains("pod `shop` is not running, but components of its last run are: `app`"), "{told}");
        assert!(
            told.contains("`docker start shop` removes them") && told.contains("`docker rm -f shop.podlike.app`"),
            "{told}"
        );
        let pod = Pod { components: Vec::new(), ..pod };
        let told = not_running(&pod, Some(("st_shop", 0))).text(false);
        assert!(
            told.contains("service `st_shop` has 0 replicas") && told.contains("`docker service scale st_shop=1`"),
            "{told}"
        );
        for replicas in [None, Some(("st_shop", 2))] {
            let told = not_running(&pod, replicas).text(false);
            assert!(
                told.contains("pod `shop` is not running") && told.contains("`outrigger logs shop` shows why"),
                "{told}"
            );
        }
    }
}
