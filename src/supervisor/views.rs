//! The pod as others see it: rollouts, plugins, and `status`. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::admin::status::{ComponentStatus, Health, Stage as Shown};
use crate::containers::{EngineHealth, Inspection};
use crate::hooks::Status;
use crate::plan::Plan;
use crate::plugin::{ComponentState, ComponentView, PodView};
use crate::pod::ComponentName;
use crate::supervisor::events::Phase;
use crate::supervisor::shared::{Container, Live};
use crate::supervisor::state::{Node, Pod};

/// The components as rollouts see them.
#[must_use]
pub fn live(pod: &Pod) -> HashMap<ComponentName, Live> {
    let unhealthy = |name: &ComponentName, node: &Node| {
        node.health == Some(EngineHealth::Unhealthy)
            || node.probed.as_ref().is_some_and(|probed| matches!(probed.ready, Some(Err(_))))
            || pod.about(Some(name)).any(|(_, judgement)| judgement.status == Status::Unhealthy)
    };
    pod.nodes()
        .map(|(name, node)| {
            let (phase, run, restarts, checked) = (node.phase, node.run(), node.restarts, node.health.is_some());
            let gone = phase == Phase::Skipped || (phase == Phase::Exited && (node.init || node.gone_without()));
            let guarded = pod.is_guarded(name);
            let (paused, unhealthy) = (node.paused, unhealthy(name, node));
            (name.clone(), Live { phase, run, restarts, paused, checked, unhealthy, guarded, gone })
        })
        .collect()
}

/// Labels of the controller as plugins see them. `pod.plugins` has the configuration of every plugin, and its secrets; the pod's other labels are read by
/// the controller alone.
fn shown(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let shown = labels.iter().filter(|(key, _)| !key.starts_with("pod."));
    shown.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What never changes of what plugins see. A pod of hundreds of labels would else copy them all with each event.
#[derive(Debug)]
pub struct Fixed {
    name: String,
    labels: Arc<BTreeMap<String, String>>,
    of: HashMap<ComponentName, Arc<BTreeMap<String, String>>>,
}

impl Fixed {
    /// Of the controller's own container, and of those that it will make.
    #[must_use]
    pub fn new(own: &Inspection, plan: &Plan) -> Self {
        let planned = plan.init.iter().chain(&plan.components);
        Self {
            name: own.name.clone(),
            labels: Arc::new(shown(&own.labels)),
            of: planned.map(|it| (it.name.clone(), Arc::new(it.container.labels.clone()))).collect(),
        }
    }

    /// The pod as plugins see it before anything is created.
    #[must_use]
    pub fn planned(&self, plan: &Plan) -> PodView {
        let components = plan.init.iter().chain(&plan.components).filter_map(|planned| {
            Some(ComponentView {
                name: planned.name.clone(),
                image: planned.container.image.clone(),
                container_id: None,
                state: ComponentState::Planned,
                labels: Arc::clone(self.of.get(&planned.name)?),
            })
        });
        PodView { name: self.name.clone(), labels: Arc::clone(&self.labels), components: components.collect() }
    }

    /// The pod as plugins see it now.
    #[must_use]
    pub fn view(&self, pod: &Pod, plan: &Plan, containers: &HashMap<ComponentName, Container>) -> PodView {
        let components = pod.nodes().filter_map(|(name, node)| {
            Some(ComponentView {
                name: name.clone(),
                image: plan.find(name)?.container.image.clone(),
                container_id: containers.get(name).map(|container| container.id.0.clone()),
                state: state(node.phase),
                labels: Arc::clone(self.of.get(name)?),
            })
        });
        PodView { name: self.name.clone(), labels: Arc::clone(&self.labels), components: components.collect() }
    }
}

/// The components as `status` shows them, and the health of all.
#[must_use]
pub fn status(
    pod: &Pod,
    plan: &Plan,
    containers: &HashMap<ComponentName, Container>,
) -> (Shown, Vec<ComponentStatus>, Health) {
    let components: Vec<ComponentStatus> = pod
        .nodes()
        .filter_map(|(name, node)| {
            let planned = plan.find(name)?;
            Some(ComponentStatus {
                name: name.to_string(),
                init: node.init,
                image: planned.container.image.clone(),
                state: if node.paused { "paused" } else { word(state(node.phase)) }.to_owned(),
                health: pod.health_of(name, node),
                // Filled in when somebody asks.
                probes: Vec::new(),
                restarts: node.restarts,
                exit_code: node.exit_code,
                oom_killed: node.shortage.is_starved(),
                failure: node.failure.clone(),
                container_id: containers.get(name).map(|container| container.id.0.clone()),
            })
        })
        .collect();
    let health = pod.verdict_of(&components);
    (pod.shown(), components, health)
}

fn state(phase: Phase) -> ComponentState {
    match phase {
        Phase::Waiting => ComponentState::Planned,
        Phase::Launching => ComponentState::Starting,
        Phase::Settling => ComponentState::Starting,
        Phase::Running => ComponentState::Running,
        Phase::Parting | Phase::Stopping => ComponentState::Stopping,
        Phase::Asking | Phase::BackingOff | Phase::Exited => ComponentState::Exited,
        Phase::Skipped => ComponentState::Removed,
    }
}

fn word(state: ComponentState) -> &'static str {
    match state {
        ComponentState::Planned => "planned",
        ComponentState::Starting => "starting",
        ComponentState::Running => "running",
        ComponentState::Stopping => "stopping",
        ComponentState::Exited => "exited",
        ComponentState::Removed => "removed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_do_not_see_what_the_pod_is_made_of() {
        let labels = [
            ("pod.plugins", "- other: {token: secret}"),
            ("pod.component.app", "image: x"),
            ("com.docker.swarm.node.id", "n1"),
            ("podium", "y"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let keys: Vec<_> = shown(&labels).into_keys().collect();
        assert_eq!(keys, ["com.docker.swarm.node.id", "podium"]);
    }
}
