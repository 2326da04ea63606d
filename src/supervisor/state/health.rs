//! What the engine's checks and the controller's own probes mean.

use super::Pod;
use crate::engine::EngineHealth;
use crate::hooks::{Judgement, Status};
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
        actions: &mut Vec<Action>,
    ) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let is_stale = run.is_some_and(|run| run != node.run);
        if is_stale || !matches!(node.phase, Phase::Launching | Phase::Settling | Phase::Running) {
            return;
        }
        // A look at the containers finds the engine's own view, which lags behind where the controller looked first.
        if (health, node.health) == (EngineHealth::Starting, Some(EngineHealth::Healthy)) {
            return;
        }
        node.health = Some(health);
        let (status, reason) = match health {
            EngineHealth::Starting => (Status::Starting, "the engine's health check has not succeeded yet"),
            EngineHealth::Healthy => (Status::Healthy, "the engine's health check succeeds"),
            EngineHealth::Unhealthy => (Status::Unhealthy, "the engine's health check fails"),
        };
        tell(name, status, reason, actions);
        self.advance(actions);
    }

    pub(super) fn probed(&mut self, name: &ComponentName, run: u64, verdict: Verdict, actions: &mut Vec<Action>) {
        let going_on = self.stage < Stage::Restarting;
        let Some(node) = self.nodes.get_mut(name) else { return };
        let Some(probed) = &mut node.probed else { return };
        // Of an earlier run, or of one that is being stopped: nobody needs to know.
        if node.run != run || node.phase != Phase::Running || !going_on {
            return;
        }
        match verdict {
            Verdict::Started => probed.started = true,
            Verdict::Ready => {
                probed.ready = Some(Ok(()));
                tell(name, Status::Healthy, "its readiness probe succeeds", actions);
            }
            Verdict::Unready { reason } => {
                let status = match probed.unready {
                    Unready::Unhealthy => Status::Unhealthy,
                    Unready::Degraded => Status::Degraded,
                };
                tell(name, status, &format!("its readiness probe fails: {reason}"), actions);
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
}

/// Tells plugins with `health`.
fn tell(name: &ComponentName, status: Status, reason: &str, actions: &mut Vec<Action>) {
    actions.push(Action::TellHealth(Judgement { component: Some(name.clone()), status, reason: reason.to_owned() }));
}
