//! The health of the pod and of its components, of all that is known.

use super::health::check_says;
use super::{Node, Pod, Probed};
use crate::admin::health::aggregate;
use crate::admin::status::{ComponentStatus, Health, HealthState, PLUGIN, Stage as Shown, Verdict};
use crate::containers::EngineHealth;
use crate::hooks::{Judgement, Probe, Status};
use crate::plan::render::one_line;
use crate::pod::life::{Role, Unready};
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::events::{Phase, Stage};

impl Pod {
    /// Where the pod is, as it is shown.
    #[must_use]
    pub fn shown(&self) -> Shown {
        match self.stage {
            // What has been up, and starts again in place, is not a pod that starts.
            Stage::Init | Stage::Starting if self.ran => Shown::Restarting,
            Stage::Init => Shown::Init,
            Stage::Starting => Shown::Starting,
            Stage::Running => Shown::Running,
            Stage::Restarting => Shown::Restarting,
            Stage::Stopping => Shown::Stopping,
            Stage::Killing | Stage::Cleaning | Stage::Done => Shown::Killing,
        }
    }

    /// The pod's one health, of those of its components and of what plugins judge.
    #[must_use]
    pub fn verdict_of(&self, components: &[ComponentStatus]) -> Health {
        let of_the_pod: Vec<Health> = self.judged(None).map(|verdict| verdict.health()).collect();
        aggregate(self.shown(), components, &of_the_pod)
    }

    /// The pod's one health.
    pub(super) fn verdict(&self) -> Health {
        let components = self.nodes.iter().map(|(name, node)| ComponentStatus {
            name: name.to_string(),
            health: self.health_of(name, node),
            ..ComponentStatus::default()
        });
        self.verdict_of(&components.collect::<Vec<_>>())
    }

    /// What plugins judge about a component, or about the pod as a whole.
    pub fn about<'a>(
        &'a self,
        component: Option<&'a ComponentName>,
    ) -> impl Iterator<Item = (&'a PluginName, &'a Judgement)> {
        self.judgements().filter(move |(_, judgement)| judgement.component.as_ref() == component)
    }

    fn judged<'a>(&'a self, component: Option<&'a ComponentName>) -> impl Iterator<Item = Verdict> + 'a {
        let probed = component.and_then(|name| self.node(name)).and_then(|node| node.probed.as_ref());
        let unready = probed.map(|probed| probed.unready).unwrap_or_default();
        self.about(component).map(move |(plugin, judgement)| judged(plugin, judgement, unready))
    }

    /// Takes a judgement. The last one of each check counts, but a start that is complete stays so: until the component runs again.
    pub(super) fn judge(&mut self, plugin: PluginName, judgement: Judgement) {
        let by = (plugin, judgement.component.clone(), judgement.check.clone(), judgement.probe);
        let is_over = judgement.probe == Probe::Startup && self.judgements.get(&by).is_some_and(is_started);
        if !is_over {
            self.judgements.insert(by, judgement);
        }
    }

    /// A run of a component begins: its start is judged anew.
    pub(super) fn forget_startup(&mut self, component: &ComponentName) {
        self.judgements.retain(|(_, of, _, probe), _| *probe != Probe::Startup || of.as_ref() != Some(component));
    }

    /// What each check says: the engine's, the probes and the plugins. Of components in the order of the plan, then of the pod as a whole. Nobody knows here since
    /// when.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        let nodes = self.nodes.iter().filter(|(_, node)| !node.init);
        let components = nodes.flat_map(|(name, node)| {
            let own = checked(name, node).into_iter().chain(probed(name, node));
            own.chain(self.judged(Some(name)))
        });
        components.chain(self.judged(None)).collect()
    }

    /// The worst of what the engine, the controller and the plugins say about a component; none if nobody says anything.
    #[must_use]
    pub fn health_of(&self, name: &ComponentName, node: &Node) -> Option<Health> {
        if node.init {
            return None;
        }
        let plugins = self.judged(Some(name)).map(|verdict| verdict.health());
        self.own_health(name, node).into_iter().chain(plugins).reduce(worst)
    }

    /// Whether the pod is not up because of this component.
    pub(super) fn holds_up(&self, name: &ComponentName, node: &Node) -> bool {
        match (node.role, node.init) {
            (Role::Job, _) => false,
            (_, true) => node.phase != Phase::Exited,
            (_, false) => self.health_of(name, node).is_some_and(|health| !health.state.counts_as_healthy()),
        }
    }

    /// Why the pod is not up, of each component that it waits for.
    pub(super) fn not_up(&self) -> Vec<String> {
        let mut why = Vec::new();
        for (name, node) in &self.nodes {
            // How long the pod's own work takes is nobody's affair.
            if node.role == Role::Job {
                continue;
            }
            let last = node.last_end().map_or_else(String::new, |end| {
                let whose = if node.failure.is_some() { "the component" } else { "the last run" };
                format!(" ({whose} {end})")
            });
            if node.init {
                if node.phase != Phase::Exited {
                    why.push(format!("init component `{name}` {}{last}", init_word(node.phase)));
                }
                continue;
            }
            let health = self.health_of(name, node).filter(|health| !health.state.counts_as_healthy());
            match health {
                Some(health) => why.push(format!("component `{name}`: {}{last}", health.reasons.join(", "))),
                None if node.phase == Phase::Waiting && self.stage >= Stage::Starting => {
                    why.push(format!("component `{name}` waits for other components"));
                }
                None => {}
            }
        }
        let plugins = self.judged(None).map(|verdict| verdict.health());
        why.extend(plugins.filter(|it| !it.state.counts_as_healthy()).flat_map(|it| it.reasons));
        why
    }

    /// What the engine and the controller say about a component.
    fn own_health(&self, name: &ComponentName, node: &Node) -> Option<Health> {
        let paused = node.paused.then(|| Health {
            // Whoever replaces unhealthy pods would end what somebody has stopped for a look.
            state: HealthState::Degraded,
            reasons: vec!["the component is paused; `docker unpause` lets it go on".to_owned()],
        });
        let probed = probed(name, node).map(|verdict| verdict.health());
        let base = self.engine_health(name, node).into_iter().chain(probed).chain(paused).reduce(worst);
        // A pod that is being stopped as a whole says so itself, of all of its components.
        if self.stage >= Stage::Stopping {
            return base;
        }
        let is_short = node.phase == Phase::Running && node.must_last() && !node.lasted;
        let short = || vec![format!("the component has not run for {:?} (`min_ready`) yet", self.life.min_ready)];
        if node.overdue {
            let late = "the component is not up again within `repair_budget`".to_owned();
            let reasons = std::iter::once(late).chain(base.map(|it| it.reasons).unwrap_or_default()).collect();
            return Some(Health { state: HealthState::Unhealthy, reasons });
        }
        if node.down.is_some() && !node.is_up() {
            // Whoever replaces unhealthy pods must leave this one alone for a while: it is being mended where it is.
            let reasons = match base {
                _ if is_short => short(),
                Some(base) => base.reasons,
                None => vec!["the component is being restarted".to_owned()],
            };
            return Some(Health { state: HealthState::Degraded, reasons });
        }
        let is_new = !self.was_healthy && node.counts() && !node.is_done() && !self.has_been_up(node);
        if !is_new {
            return base;
        }
        match base {
            Some(health) if !is_short => Some(Health { state: health.state.max(HealthState::Starting), ..health }),
            _ if is_short => Some(Health { state: HealthState::Starting, reasons: short() }),
            None if node.launched_before() => {
                let why =
                    if node.job { "the component has not completed yet" } else { "the component has not been up yet" };
                Some(Health { state: HealthState::Starting, reasons: vec![why.to_owned()] })
            }
            base => base,
        }
    }

    /// Whether a pod that has not been healthy yet need not wait for it any more. One that was up and has ended since is waited for once more.
    fn has_been_up(&self, node: &Node) -> bool {
        node.up_once && node.phase == Phase::Running
    }

    fn engine_health(&self, name: &ComponentName, node: &Node) -> Option<Health> {
        let stops = self.stage >= Stage::Restarting;
        let starved = node.shortage.is_starved() && node.failure.is_none();
        let (state, reason) = match (node.phase, node.health) {
            (Phase::BackingOff, _) if starved => {
                let end = node.last_end().unwrap_or_default();
                let reason = format!("the component {end} and waits for its restart");
                return Some(Health { state: HealthState::Degraded, reasons: vec![reason] });
            }
            (Phase::Exited, _) if starved && node.gone_without() => {
                let end = node.last_end().unwrap_or_default();
                let reason = format!("the component {end}; the pod continues without it");
                return Some(Health { state: HealthState::Degraded, reasons: vec![reason] });
            }
            (Phase::BackingOff, _) => (HealthState::Degraded, "the component has exited and waits for its restart"),
            (Phase::Waiting, _) if self.stage == Stage::Running => {
                (HealthState::Degraded, "the component is being restarted")
            }
            (Phase::Launching, _) if node.launched_before() => {
                (HealthState::Degraded, "the component is being restarted")
            }
            (Phase::Launching, _) => (HealthState::Starting, "the component has not been started yet"),
            (Phase::Parting | Phase::Stopping, _) if !stops => {
                (HealthState::Degraded, "the component is being stopped")
            }
            (Phase::Asking, _) if !stops && !node.succeeded() => (
                HealthState::Degraded,
                "the component has exited, and the controller waits for the decision of plugins",
            ),
            // Put off until a rollout has ended.
            (Phase::Exited, _) if !stops && !node.gone_without() => (
                HealthState::Degraded,
                "the component has exited, and the controller has not decided yet whether to restart it",
            ),
            (Phase::Settling, _) => (HealthState::Starting, "`post_start` is not complete yet"),
            (Phase::Exited, _) if node.gone_without() && node.failed() => {
                (HealthState::Degraded, "the component has failed; the pod continues without it")
            }
            (Phase::Running, Some(_)) => return checked(name, node).map(|verdict| verdict.health()),
            (Phase::Running, None) | (Phase::Parting | Phase::Stopping | Phase::Asking | Phase::Exited, _) => {
                return None;
            }
            (Phase::Waiting | Phase::Skipped, _) => return None,
        };
        Some(Health { state, reasons: vec![reason.to_owned()] })
    }
}

/// The worse of two; the reasons of what is not healthy, if anything is not.
fn worst(one: Health, other: Health) -> Health {
    let state = one.state.max(other.state);
    let mut reasons: Vec<String> = Vec::new();
    for verdict in [one, other] {
        if verdict.state != HealthState::Healthy || state == HealthState::Healthy {
            reasons.extend(verdict.reasons);
        }
    }
    Health { state, reasons }
}

/// A judgement of one plugin, as the last one of its component, check and probe.
pub(super) type JudgedBy = (PluginName, Option<ComponentName>, String, Probe);

fn is_started(judgement: &Judgement) -> bool {
    matches!(judgement.status, Status::Healthy | Status::Degraded)
}

fn judged(plugin: &PluginName, judgement: &Judgement, unready: Unready) -> Verdict {
    let check = match judgement.check.as_str() {
        "" => format!("{PLUGIN}{plugin}"),
        check => format!("{PLUGIN}{plugin}/{check}"),
    };
    let status = match (judgement.probe, judgement.status) {
        (Probe::Startup, _) if !is_started(judgement) => HealthState::Starting,
        // As the pod's own readiness probe does.
        (Probe::Readiness, Status::Unhealthy) => match unready {
            Unready::Unhealthy => HealthState::Unhealthy,
            Unready::Degraded => HealthState::Degraded,
        },
        (_, status) => status.into(),
    };
    let kind = match judgement.probe {
        Probe::Startup => "startup",
        Probe::Readiness => "readiness",
        Probe::Liveness => "health",
    };
    Verdict {
        check,
        subject: judgement.component.as_ref().map(ToString::to_string),
        kind: kind.to_owned(),
        status,
        reason: one_line(&judgement.reason),
        since: 0,
    }
}

/// What the engine's check says about a component that runs.
fn checked(name: &ComponentName, node: &Node) -> Option<Verdict> {
    let health = node.health.filter(|_| node.phase == Phase::Running)?;
    let status = match health {
        EngineHealth::Starting => HealthState::Starting,
        EngineHealth::Healthy => HealthState::Healthy,
        EngineHealth::Unhealthy => HealthState::Unhealthy,
    };
    let reason = check_says(health, node.finding.as_deref());
    Some(Verdict {
        check: "engine".to_owned(),
        subject: Some(name.to_string()),
        kind: "health".to_owned(),
        status,
        reason,
        since: 0,
    })
}

/// What the controller's own probes say about a component that runs.
fn probed(name: &ComponentName, node: &Node) -> Option<Verdict> {
    let probed = node.probed.as_ref().filter(|_| node.phase == Phase::Running)?;
    let (status, reason) = match (&probed.ready, probed.unready) {
        _ if !probed.started => (HealthState::Starting, "the startup probe has not succeeded yet".to_owned()),
        (None, _) if !Probed::holds(probed) => {
            (HealthState::Starting, "the readiness probe has not succeeded yet".to_owned())
        }
        (Some(Err(reason)), Unready::Unhealthy) => {
            (HealthState::Unhealthy, format!("the readiness probe fails: {reason}"))
        }
        (Some(Err(reason)), Unready::Degraded) => {
            (HealthState::Degraded, format!("the readiness probe fails: {reason}"))
        }
        (None | Some(Ok(())), _) => (HealthState::Healthy, "the probes succeed".to_owned()),
    };
    let kind = match (probed.started, probed.waits_for_ready) {
        (false, _) => "startup",
        (true, true) => "readiness",
        (true, false) => "liveness",
    };
    Some(Verdict {
        check: "probe".to_owned(),
        subject: Some(name.to_string()),
        kind: kind.to_owned(),
        status,
        reason,
        since: 0,
    })
}

fn init_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "has not been started yet",
        Phase::Launching => "is being started",
        Phase::Settling | Phase::Running | Phase::Parting => "has not ended yet",
        Phase::Stopping => "is being stopped",
        Phase::Asking | Phase::Exited | Phase::Skipped => "has ended",
        Phase::BackingOff => "waits for its restart",
    }
}
