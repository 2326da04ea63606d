//! The pods of an engine, and which of them were meant.

mod elsewhere;
mod gone;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;

pub(super) use self::elsewhere::{nowhere, others};
pub(super) use self::gone::{Orphan, orphans, stopped};
use super::report::Report;
use super::run::CONTROLLER_LABEL;
use crate::engine::docker::Docker;
use crate::engine::{ContainerId, Engine, Fault, Inspection, Listed};
use crate::labels;
use crate::plan::ownership;
use crate::pod::{PodSpec, lower};
use crate::problem::candidates;

/// What Swarm writes on a task's container: the service, and the task (`web.2.<id>`).
const SERVICE: &str = "com.docker.swarm.service.name";
const TASK: &str = "com.docker.swarm.task.name";
/// What Swarm and Compose write on a stack's or a project's container.
const STACK: &str = "com.docker.stack.namespace";
const PROJECT: &str = "com.docker.compose.project";
/// What Compose writes on a service's container: the service, and the number of the replica.
const COMPOSE_SERVICE: &str = "com.docker.compose.service";
const COMPOSE_NUMBER: &str = "com.docker.compose.container-number";

/// A pod of the engine.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    /// Its controller's container.
    pub(super) controller: Inspection,
    /// What the controller made, by component name.
    pub(super) components: Vec<Listed>,
}

impl Pod {
    /// The component's name on a container of a pod; the container's own if it has none.
    pub(super) fn component(container: &Listed) -> &str {
        component(&container.labels, &container.name)
    }

    /// The service of Swarm or Compose that it belongs to.
    pub(super) fn service(&self) -> Option<&str> {
        service(&self.controller.labels)
    }

    /// The service of Swarm that it is a task of.
    pub(super) fn swarm_service(&self) -> Option<&str> {
        swarm_service(&self.controller.labels)
    }

    /// The stack or the project that it belongs to.
    pub(super) fn stack(&self) -> Option<&str> {
        stack(&self.controller.labels)
    }

    /// Which replica of its service it is, such as `web.2`.
    pub(super) fn replica(&self) -> Option<String> {
        let label = |name: &str| self.controller.labels.get(name).map(String::as_str);
        if let Some((replica, _id)) = label(TASK).and_then(|task| task.rsplit_once('.')) {
            return Some(replica.to_owned());
        }
        Some(format!("{}.{}", label(COMPOSE_SERVICE)?, label(COMPOSE_NUMBER)?))
    }

    /// What was asked for, as far as the labels tell.
    pub(super) fn spec(&self) -> PodSpec {
        let (raw, _problems) = labels::read_labels(&self.controller.labels);
        lower::lower_partly(&raw).0
    }

    /// The controller's container, if it runs.
    pub(super) async fn running(self, engine: &Docker) -> Result<ContainerId, Report> {
        if self.controller.running { Ok(self.controller.id) } else { Err(stopped(engine, &self).await) }
    }

    /// The containers of components; not the one that lends the IPC namespace.
    pub(super) fn members(&self) -> impl Iterator<Item = &Listed> {
        let role = |container: &&Listed| container.labels.get(ownership::ROLE).is_none_or(|role| role == "component");
        self.components.iter().filter(role)
    }
}

/// The component's name on a container of a pod with these labels and this name.
pub(super) fn component<'a>(labels: &'a BTreeMap<String, String>, name: &'a str) -> &'a str {
    let label = |name: &str| labels.get(name).map(String::as_str);
    // The one that lends the IPC namespace is no component, and is called after its role.
    label(ownership::COMPONENT).or_else(|| label(ownership::ROLE)).unwrap_or(name)
}

fn service(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get(SERVICE).or_else(|| labels.get(COMPOSE_SERVICE)).map(String::as_str)
}

/// The service of Swarm that a container is a task of.
pub(super) fn swarm_service(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get(SERVICE).map(String::as_str)
}

fn stack(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get(STACK).or_else(|| labels.get(PROJECT)).map(String::as_str)
}

/// Whether `wanted` names the service, the stack or the project of a container, or `project/service`.
pub(super) fn is_of(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    let (service, stack) = (service(labels), stack(labels));
    service == Some(wanted)
        || stack == Some(wanted)
        || wanted.split_once('/').is_some_and(|(of, name)| stack == Some(of) && service == Some(name))
}

/// All pods, by name; `stopped` ones only if they are asked for.
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

/// What a word has named.
#[derive(Debug)]
pub(super) struct Selection {
    /// At least one; of a service, all replicas of this engine.
    pub(super) pods: Vec<Pod>,
    /// The service, stack or project that was named; none if the word named one pod.
    pub(super) service: Option<String>,
}

impl Selection {
    /// What each pod is called beside the others: its replica if that tells them apart, else its name.
    pub(super) fn titles(&self) -> Vec<String> {
        let replicas: Vec<_> = self.pods.iter().map(|pod| pod.replica()).collect();
        let is_unique = |title: &String| replicas.iter().flatten().filter(|other| *other == title).count() == 1;
        let title = |(pod, replica): (&Pod, &Option<String>)| {
            replica.clone().filter(is_unique).unwrap_or_else(|| pod.controller.name.clone())
        };
        self.pods.iter().zip(&replicas).map(title).collect()
    }

    /// The only pod.
    fn only(self, wanted: &str) -> Result<Pod, Report> {
        let titles = self.titles();
        match <[Pod; 1]>::try_from(self.pods) {
            Ok([pod]) => Ok(pod),
            Err(pods) => Err(ambiguous(&format!("`{wanted}` matches several pods"), &pods.iter().collect::<Vec<_>>())
                .hint(format!("name one pod: `{}`", titles.join("`, `")))),
        }
    }
}

/// The pods that `wanted` names: one, or all replicas of a service on this engine; without a word, the only pod that runs.
pub(super) async fn named(engine: &Docker, wanted: Option<&str>) -> Result<Selection, Report> {
    let pods = all(engine, wanted.is_some()).await?;
    match (choose(pods, wanted), wanted) {
        (Err(report), Some(wanted)) => Err(absent(engine, wanted).await.unwrap_or(report)),
        (chosen, _) => chosen,
    }
}

/// Why no pod of this engine has this name, if the engine knows.
async fn absent(engine: &Docker, wanted: &str) -> Option<Report> {
    if let Some(report) = nowhere(engine, wanted).await {
        return Some(report);
    }
    let orphans = orphans(engine).await.ok()?;
    orphans.iter().find(|orphan| orphan.is(wanted)).map(Orphan::report)
}

/// The last run that has ended of each replica that `wanted` names; without a word, of the only pod that runs.
pub(super) async fn ended(engine: &Docker, wanted: Option<&str>) -> Result<Selection, Report> {
    let pods = all(engine, true).await?;
    match (last_ended(pods, wanted), wanted) {
        (Err(report), Some(wanted)) => Err(absent(engine, wanted).await.unwrap_or(report)),
        (chosen, _) => chosen,
    }
}

/// The pod that `wanted` names; without a word, the only one that runs. Several replicas are an error that lists them.
pub(super) async fn one(engine: &Docker, wanted: Option<&str>) -> Result<Pod, Report> {
    let selection = named(engine, wanted).await?;
    selection.only(wanted.unwrap_or_default())
}

/// By name, id, replica, service and stack, then by the beginning of an id. Pods that run are preferred over stopped ones; of these, the newest of each replica counts.
fn choose(pods: Vec<Pod>, wanted: Option<&str>) -> Result<Selection, Report> {
    let Some(wanted) = wanted else {
        return match pods.as_slice() {
            [_] => Ok(Selection { pods, service: None }),
            [] => Err(Report::new(anyhow!("no pod is running on this engine"))
                .hint("`outrigger ps -a` also lists stopped pods")),
            several => Err(ambiguous("several pods are running", &several.iter().collect::<Vec<_>>())
                .hint("name one pod, a service, or the beginning of an id")),
        };
    };
    let found = |fits: &dyn Fn(&Pod) -> bool| {
        let all: Vec<&Pod> = pods.iter().filter(|pod| fits(pod)).collect();
        let running: Vec<&Pod> = all.iter().copied().filter(|pod| pod.controller.running).collect();
        if running.is_empty() { newest(all) } else { running }
    };
    let exact = found(&|pod| pod.controller.name == wanted || pod.controller.id.0 == wanted);
    if !exact.is_empty() {
        return Ok(Selection { pods: exact.into_iter().cloned().collect(), service: None });
    }
    let replica = found(&|pod| pod.replica().as_deref() == Some(wanted));
    if !replica.is_empty() {
        return Ok(Selection { pods: replica.into_iter().cloned().collect(), service: None });
    }
    let service = found(&|pod| is_of(&pod.controller.labels, wanted));
    if !service.is_empty() {
        let service_name = Some(wanted.to_owned());
        return Ok(Selection { pods: service.into_iter().cloned().collect(), service: service_name });
    }
    let beginning = found(&|pod| wanted.len() >= 2 && pod.controller.id.0.starts_with(wanted));
    match beginning.as_slice() {
        [pod] => Ok(Selection { pods: vec![(*pod).clone()], service: None }),
        [] => Err(unknown(&pods, wanted)),
        several => Err(ambiguous(&format!("`{wanted}` matches several pods"), several)
            .hint("name one pod, or give more digits of its id")),
    }
}

/// As [`ended`]: a word that names a stopped container means this one.
fn last_ended(pods: Vec<Pod>, wanted: Option<&str>) -> Result<Selection, Report> {
    let (running, stopped): (Vec<Pod>, Vec<Pod>) = pods.iter().cloned().partition(|pod| pod.controller.running);
    let Some(wanted) = wanted else {
        let [only] = choose(running, None)?.pods.try_into().map_err(|_| anyhow!("several pods are running"))?;
        return last_ended(pods, Some(&only.controller.name));
    };
    if let Ok(selection) = choose(stopped.clone(), Some(wanted)) {
        return Ok(selection);
    }
    // The name or the id of a container that runs means its replica.
    let Selection { pods: named, service } = choose(pods, Some(wanted))?;
    let places: BTreeSet<_> = named.iter().map(place).collect();
    let pods: Vec<Pod> =
        newest(stopped.iter().filter(|pod| places.contains(&place(pod))).collect()).into_iter().cloned().collect();
    if pods.is_empty() {
        let error = anyhow!("no run of `{wanted}` that has ended is on this engine");
        return Err(Report::new(error).hint(
            "a container that the engine starts again keeps one log, which `outrigger logs` shows without `--previous`",
        ));
    }
    Ok(Selection { pods, service })
}

/// The place of a pod: runs of the same replica have the same one.
fn place(pod: &Pod) -> (Option<String>, String) {
    (pod.stack().map(str::to_owned), pod.replica().unwrap_or_else(|| pod.controller.name.clone()))
}

/// Of stopped pods, the last of each replica: Swarm keeps those before it, too.
fn newest(mut pods: Vec<&Pod>) -> Vec<&Pod> {
    pods.sort_by(|a, b| b.controller.started_at.cmp(&a.controller.started_at));
    let mut seen = BTreeSet::new();
    pods.retain(|pod| seen.insert(place(pod)));
    pods.sort_by(|a, b| a.controller.name.cmp(&b.controller.name));
    pods
}

fn listed(pods: &[&Pod]) -> String {
    pods.iter().map(|pod| format!("`{}` ({})", pod.controller.name, pod.controller.id)).collect::<Vec<_>>().join(", ")
}

fn ambiguous(several: &str, pods: &[&Pod]) -> Report {
    Report::new(anyhow!("{several}: {}", listed(pods)))
}

fn unknown(pods: &[Pod], wanted: &str) -> Report {
    let report = Report::new(anyhow!("no pod on this engine matches `{wanted}`"));
    if pods.is_empty() {
        return report.hint("this engine has no pods");
    }
    // Pods that run, and what a word may name of those that have ended: Swarm keeps many of the same replica.
    let running = pods.iter().filter(|pod| pod.controller.running).map(|pod| pod.controller.name.clone());
    let ended = pods.iter().filter(|pod| !pod.controller.running);
    let ended = ended.map(|pod| pod.replica().unwrap_or_else(|| pod.controller.name.clone()));
    let services = pods.iter().filter_map(|pod| pod.service().map(str::to_owned));
    let mut seen = BTreeSet::new();
    let known: Vec<String> = services.chain(running).chain(ended).filter(|name| seen.insert(name.clone())).collect();
    report.hint(format!("{}; `outrigger ps -a` lists all pods", candidates(wanted, known.iter().map(String::as_str))))
}

#[cfg(test)]
mod tests;
