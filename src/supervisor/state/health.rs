//! What the engine's checks and the controller's own probes mean.

use super::{Node, Pod};
use crate::containers::EngineHealth;
use crate::hooks::{Judgement, Probe, Status};
use crate::pod::ComponentName;
use crate::pod::life::Unready;
use crate::probe::Verdict;
use crate::supervisor::events::{Action, Phase, Stage};

impl Pod {
    pub(super) fn health_changed(
        &mut self,
        name: &ComponentName,
        run: Option<u64>,
        health: EngineHealth,
        finding: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        if !self.heeds(name, run, health) {
            return;
        }
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.health = Some(health);
        node.finding = match health {
            EngineHealth::Healthy => None,
            EngineHealth::Starting | EngineHealth::Unhealthy => finding.or_else(|| node.finding.take()),
        };
        let status = match health {
            EngineHealth::Starting => Status::Starting,
            EngineHealth::Healthy => Status::Healthy,
            EngineHealth::Unhealthy => Status::Unhealthy,
        };
        tell(name, status, &check_says(health, node.finding.as_deref()), actions);
        self.advance(actions);
    }

    /// Whether what the engine's check says about this run of a component is news of the process that runs now.
    #[must_use]
    pub fn heeds(&self, name: &ComponentName, run: Option<u64>, health: EngineHealth) -> bool {
        let Some(node) = self.nodes.get(name) else { return false };
        let is_stale = run.is_some_and(|run| run != node.run);
        // A look at the containers finds the engine's own view, which lags behind where the controller looked first.
        let lags = (health, node.health) == (EngineHealth::Starting, Some(EngineHealth::Healthy));
        !is_stale && !lags && matches!(node.phase, Phase::Launching | Phase::Settling | Phase::Running)
    }

    pub(super) fn probed(&mut self, name: &ComponentName, run: u64, verdict: Verdict, actions: &mut Vec<Action>) {
        if !self.heeds_probes(name, run) {
            return;
        }
        let Some(node) = self.nodes.get_mut(name) else { return };
        let Some(probed) = &mut node.probed else { return };
        match verdict {
            Verdict::Started => probed.started = true,
            Verdict::Ready => {
                probed.ready = Some(Ok(()));
                tell(name, Status::Healthy, "the readiness probe succeeds", actions);
            }
            Verdict::Unready { reason } => {
                let status = match probed.unready {
                    Unready::Unhealthy => Status::Unhealthy,
                    Unready::Degraded => Status::Degraded,
                };
                tell(name, status, &format!("the readiness probe fails: {reason}"), actions);
                probed.ready = Some(Err(reason));
            }
            Verdict::Failed { kind, reason } => {
                let reason = format!("failed its {kind} probe: {reason}");
                actions.push(Action::Warn(format!("component `{name}` {reason}")));
                node.failure = Some(reason);
                let grace = node.grace;
                self.begin_repair(name, actions);
                return self.ask_to_stop(name, grace, true, actions);
            }
        }
        self.advance(actions);
    }

    /// Whether what probes say about this run of a component matters: nobody needs to know of an earlier run, or of one that is being stopped.
    #[must_use]
    pub fn heeds_probes(&self, name: &ComponentName, run: u64) -> bool {
        let matters = |node: &Node| node.run == run && node.phase == Phase::Running && node.probed.is_some();
        self.stage < Stage::Restarting && self.nodes.get(name).is_some_and(matters)
    }
}

/// What the engine's check says, with the reason as far as it is known.
#[must_use]
pub fn check_says(health: EngineHealth, finding: Option<&str>) -> String {
    let says = match health {
        EngineHealth::Starting => "the health check has not succeeded yet",
        EngineHealth::Healthy => return "the health check succeeds".to_owned(),
        EngineHealth::Unhealthy => "the health check fails",
    };
    finding.map_or_else(|| says.to_owned(), |finding| format!("{says}: {finding}"))
}

/// Tells plugins with `health`.
fn tell(name: &ComponentName, status: Status, reason: &str, actions: &mut Vec<Action>) {
    actions.push(Action::TellHealth(Judgement {
        component: Some(name.clone()),
        check: String::new(),
        probe: Probe::Liveness,
        status,
        reason: reason.to_owned(),
    }));
}
