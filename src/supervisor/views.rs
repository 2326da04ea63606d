//! The pod as others see it: rollouts, plugins, and `status`. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::admin::health::aggregate;
use crate::admin::status::{ComponentStatus, Health, HealthState, Stage as Shown};
use crate::engine::{EngineHealth, Inspection};
use crate::hooks::{Judgement, Status};
use crate::plan::Plan;
use crate::plugin::{ComponentState, ComponentView, PodView};
use crate::pod::life::Unready;
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::events::{Phase, Stage};
use crate::supervisor::shared::{Container, Live};
use crate::supervisor::state::{Node, Pod};

/// The components as rollouts see them.
#[must_use]
pub fn live(pod: &Pod) -> HashMap<ComponentName, Live> {
    let unhealthy = |name: &ComponentName, node: &Node| {
        node.health == Some(EngineHealth::Unhealthy)
            || node.probed.as_ref().is_some_and(|probed| matches!(probed.ready, Some(Err(_))))
            || about(pod, Some(name)).any(|(_, judgement)| judgement.status == Status::Unhealthy)
    };
    pod.nodes()
        .map(|(name, node)| {
            let (phase, restarts, checked) = (node.phase, node.restarts, node.health.is_some());
            (name.clone(), Live { phase, restarts, checked, unhealthy: unhealthy(name, node) })
        })
        .collect()
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
            labels: Arc::new(own.labels.clone()),
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
                state: word(state(node.phase)).to_owned(),
                health: health_of(pod, name, node),
                // Filled in when somebody asks.
                probes: Vec::new(),
                restarts: node.restarts,
                exit_code: node.exit_code,
                failure: node.failure.clone(),
                container_id: containers.get(name).map(|container| container.id.0.clone()),
            })
        })
        .collect();
    let of_the_pod: Vec<Health> = about(pod, None).map(|(plugin, judgement)| told(plugin, judgement)).collect();
    let stage = match shown(pod.stage()) {
        Shown::Init | Shown::Starting if pod.ran() => Shown::Restarting,
        stage => stage,
    };
    let health = aggregate(stage, &components, &of_the_pod);
    (stage, components, health)
}

fn about<'a>(
    pod: &'a Pod,
    component: Option<&'a ComponentName>,
) -> impl Iterator<Item = (&'a PluginName, &'a Judgement)> {
    pod.judgements().filter(move |(_, judgement)| judgement.component.as_ref() == component)
}

fn told(plugin: &PluginName, judgement: &Judgement) -> Health {
    let state = HealthState::from(judgement.status);
    Health { state, reasons: vec![format!("plugin `{plugin}`: {}", judgement.reason)] }
}

/// The worst of what the engine and the plugins say about a component; none where nobody says anything.
fn health_of(pod: &Pod, name: &ComponentName, node: &Node) -> Option<Health> {
    if node.init {
        return None;
    }
    // A pod that is being stopped as a whole says so itself, of all of its components.
    let stops = pod.stage() >= Stage::Restarting;
    let engine = match (node.phase, node.health) {
        // Whoever replaces unhealthy pods must leave this one alone: it is being mended where it is.
        (Phase::BackingOff, _) => Some((HealthState::Degraded, "it exited and waits for its restart")),
        (Phase::Waiting, _) if pod.stage() == Stage::Running => {
            Some((HealthState::Degraded, "it is being started again"))
        }
        (Phase::Launching, _) if node.launched_before() => Some((HealthState::Degraded, "it is being started again")),
        (Phase::Launching, _) => Some((HealthState::Starting, "it has not been started yet")),
        (Phase::Parting | Phase::Stopping, _) if !stops => Some((HealthState::Degraded, "it is being stopped")),
        (Phase::Asking, _) if !stops && !node.succeeded() => {
            Some((HealthState::Degraded, "it exited, and plugins are asked what that means"))
        }
        // Put off until a rollout has ended.
        (Phase::Exited, _) if !stops && !node.gone_without() => {
            Some((HealthState::Degraded, "it exited, and it is not decided yet what that means"))
        }
        (Phase::Settling, _) => Some((HealthState::Starting, "its `post_start` is not through yet")),
        (Phase::Exited, _) if node.gone_without() && node.failed() => {
            Some((HealthState::Degraded, "it has failed, and the pod goes on without it"))
        }
        (Phase::Running, Some(EngineHealth::Starting)) => {
            Some((HealthState::Starting, "its health check has not succeeded yet"))
        }
        (Phase::Running, Some(EngineHealth::Unhealthy)) => Some((HealthState::Unhealthy, "its health check fails")),
        (Phase::Running, Some(EngineHealth::Healthy)) => Some((HealthState::Healthy, "its health check succeeds")),
        (Phase::Running, None) | (Phase::Parting | Phase::Stopping | Phase::Asking | Phase::Exited, _) => None,
        (Phase::Waiting | Phase::Skipped, _) => None,
    };
    let engine = engine.map(|(state, reason)| Health { state, reasons: vec![reason.to_owned()] });
    let probes = probed(node).map(|(state, reason)| Health { state, reasons: vec![reason] });
    let plugins = about(pod, Some(name)).map(|(plugin, judgement)| told(plugin, judgement));
    engine.into_iter().chain(probes).chain(plugins).reduce(|one, other| {
        let state = one.state.max(other.state);
        let mut reasons: Vec<String> = Vec::new();
        for verdict in [one, other] {
            if verdict.state != HealthState::Healthy || state == HealthState::Healthy {
                reasons.extend(verdict.reasons);
            }
        }
        Health { state, reasons }
    })
}

/// What the controller's own probes say.
fn probed(node: &Node) -> Option<(HealthState, String)> {
    let probed = node.probed.as_ref().filter(|_| node.phase == Phase::Running)?;
    Some(match (&probed.ready, probed.unready) {
        _ if !probed.started => (HealthState::Starting, "its startup probe has not succeeded yet".to_owned()),
        (None, _) if !probed.holds() => (HealthState::Starting, "its readiness probe has not succeeded yet".to_owned()),
        (Some(Err(reason)), Unready::Unhealthy) => {
            (HealthState::Unhealthy, format!("its readiness probe fails: {reason}"))
        }
        (Some(Err(reason)), Unready::Degraded) => {
            (HealthState::Degraded, format!("its readiness probe fails: {reason}"))
        }
        (None | Some(Ok(())), _) => (HealthState::Healthy, "its probes succeed".to_owned()),
    })
}

fn shown(stage: Stage) -> Shown {
    match stage {
        Stage::Init => Shown::Init,
        Stage::Starting => Shown::Starting,
        Stage::Running => Shown::Running,
        Stage::Restarting => Shown::Restarting,
        Stage::Stopping => Shown::Stopping,
        Stage::Killing | Stage::Cleaning | Stage::Done => Shown::Killing,
    }
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
