//! The log lines of the pod's events, and the duties that follow from an event whatever is decided about it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Driver;
use crate::admin::status::HealthState;
use crate::engine::{Engine, EngineHealth};
use crate::hooks::{ComponentEventKind, Hooks, Judgement, SignalDecision, Status};
use crate::plan::render::one_line;
use crate::pod::{ComponentName, PluginName};
use crate::probe::Verdict;
use crate::supervisor::events::{Deadline, Event, Oom, Phase, Shortage, stops};
use crate::supervisor::state::{Node, check_says};
use crate::supervisor::{follow, lifecycle};

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// Tells what happened, and does what follows for any decision: a run that has begun is looked at and listened to, one that has ended no more.
    pub(super) fn narrate(&mut self, event: &Event) {
        match event {
            Event::Launched { name, .. } => {
                info!(component = %name, "started");
                let restarts = self.restarts(name);
                let kind = if restarts == 0 { ComponentEventKind::Started } else { ComponentEventKind::Restarted };
                let run = CancellationToken::new();
                self.runs.insert(name.clone(), run.clone());
                let this = self.pod.node(name).map_or(0, Node::run);
                lifecycle::look_early(&self.shared, &self.tasks, name, this, run);
                self.tell_now(name, kind);
                self.outputs.follow(&self.shared, name);
                // The engine told of the exit before it answered to the start: what follows this run must know.
                if let Some((exit_code, oom)) = self.early_exits.remove(name) {
                    self.narrate_exit(name, exit_code, oom);
                }
            }
            Event::LaunchFailed { name, reason } => {
                // If that ends the pod, its end is an error.
                warn!(component = %name, "could not be started: {reason}");
                self.early_exits.remove(name);
            }
            Event::LaunchDropped { name } => {
                debug!(component = %name, "the start was cancelled");
                self.early_exits.remove(name);
            }
            // Its removal, too, ends with an exit, of which there is nothing to say.
            Event::Exited { name, .. } if !self.pod.alive(name) => {}
            Event::Exited { name, exit_code, oom } => {
                if self.pod.node(name).is_some_and(|node| node.phase == Phase::Launching) {
                    self.early_exits.insert(name.clone(), (*exit_code, *oom));
                } else {
                    self.narrate_exit(name, *exit_code, *oom);
                }
            }
            // Each of its hooks may meet the same failure.
            Event::PluginFailed(failure) if self.failures.contains(failure) => debug!("{failure}"),
            Event::PluginFailed(failure) => {
                error!("{failure}");
                self.failures.push(failure.clone());
            }
            Event::Judged { plugin, judgements } => judgements.iter().for_each(|it| self.narrate_judgement(plugin, it)),
            Event::SignalDecided { signal, decision: SignalDecision::Forward } if !stops(*signal) => {
                warn!(
                    signal,
                    "the controller ignores this signal; use the plugin `signal` to pass it on to a component"
                );
            }
            Event::Signal(signal) => {
                info!(signal, "the controller received a signal");
                if stops(*signal) {
                    let (shared, own) = (Arc::clone(&self.shared), self.own.id.clone());
                    self.tasks.spawn("engine there", move |_token| follow::engine_is_there(shared, own));
                }
            }
            Event::EngineLeaves if self.shared.engine_leaves.is_cancelled() => {}
            Event::EngineLeaves => {
                info!(
                    "the engine refuses connections: it is shutting down and stops all containers itself; the next controller that starts on this engine removes the containers of the pod"
                );
                self.shared.engine_leaves.cancel();
            }
            Event::Vanished { name, run } => {
                if self.pod.node(name).is_none_or(|node| node.run() != *run || !node.phase.has_process()) {
                    return;
                }
                info!(component = %name, "all processes have ended; the engine is unreachable, so the exit code is unknown");
                if let Some(run) = self.runs.remove(name) {
                    run.cancel();
                }
                self.outputs.ended(name);
            }
            // Of one run only: nobody sets them anew, and there is one for each run.
            Event::Deadline(deadline @ (Deadline::Ready(..) | Deadline::Repair(..))) => {
                self.timers.remove(deadline);
            }
            Event::Health { name, run, health, finding } if self.pod.heeds(name, *run, *health) => {
                self.narrate_health(name, *health, finding.as_deref());
            }
            Event::Paused { name, paused } => {
                let before = self.pod.node(name).map(|node| node.paused);
                match (before, paused) {
                    (Some(false), true) => warn!(component = %name, "is paused; `docker unpause` lets it go on"),
                    (Some(true), false) => info!(component = %name, "is not paused any more"),
                    _ => {}
                }
            }
            Event::Probed { name, run, verdict } if self.pod.heeds_probes(name, *run) => {
                self.narrate_readiness(name, verdict);
            }
            Event::Begin
            | Event::CheckKnown { .. }
            | Event::Decided { .. }
            | Event::Health { .. }
            | Event::SignalDecided { .. }
            | Event::Deadline(_)
            | Event::Restart(_)
            | Event::Guard(_)
            | Event::Unguard
            | Event::Waits
            | Event::Settled { .. }
            | Event::Parted { .. }
            | Event::Asked { .. }
            | Event::Unpassed { .. }
            | Event::Probed { .. }
            | Event::DonorEnded
            | Event::Cleaned => debug!(?event, "event"),
        }
    }

    /// What a plugin says of the pod's health, where it has changed its mind.
    pub(super) fn narrate_judgement(&self, plugin: &PluginName, now: &Judgement) {
        let before = self.pod.judgements().find(|(of, it)| *of == plugin && it.component == now.component);
        let before = before.map_or(Status::Healthy, |(_, it)| it.status);
        if before == now.status {
            return;
        }
        let component = now.component.as_ref().map_or("(the pod)", ComponentName::as_str);
        let (status, reason) = (HealthState::from(now.status).as_str(), one_line(&now.reason));
        match now.status {
            Status::Healthy | Status::Starting => {
                info!(%plugin, component, status, reason, "the plugin reported a change of health")
            }
            Status::Degraded | Status::Unhealthy => {
                warn!(%plugin, component, status, reason, "the plugin reported a change of health")
            }
        }
    }

    /// What the engine's check says of a component, where it has changed its mind about a run that was well or has become it.
    fn narrate_health(&self, name: &ComponentName, now: EngineHealth, finding: Option<&str>) {
        let before = self.pod.node(name).and_then(|node| node.health);
        match (before, now) {
            (Some(EngineHealth::Unhealthy), EngineHealth::Healthy) => {
                info!(component = %name, "is healthy again: the health check succeeds");
            }
            (before, EngineHealth::Unhealthy) if before != Some(EngineHealth::Unhealthy) => {
                warn!(component = %name, "is unhealthy: {}", check_says(now, finding));
            }
            _ => debug!(component = %name, ?now, finding, "checked"),
        }
    }

    /// The same of the readiness probe. A failed startup or liveness probe is reported with its consequence.
    fn narrate_readiness(&self, name: &ComponentName, verdict: &Verdict) {
        let before = self.pod.node(name).and_then(|node| node.probed.as_ref()?.ready.as_ref());
        match (before, verdict) {
            (Some(Err(_)), Verdict::Ready) => info!(component = %name, "the readiness probe succeeds again"),
            (None | Some(Ok(())), Verdict::Unready { reason }) => {
                warn!(component = %name, "the readiness probe fails: {reason}");
            }
            _ => debug!(component = %name, ?verdict, "probed"),
        }
    }

    pub(super) fn narrate_exit(&mut self, name: &ComponentName, exit_code: i32, oom: Oom) {
        let shortage = self.pod.node(name).map_or(Shortage::None, |node| node.shortage_of(exit_code, oom));
        let oom_killed = shortage.is_starved();
        match shortage {
            Shortage::Starved(_) => warn!(component = %name, exit_code, oom_killed, "{}", shortage.end(exit_code)),
            Shortage::Earlier(limits) => {
                info!(component = %name, exit_code, oom_killed, "exited; {}", limits.earlier());
            }
            Shortage::None => info!(component = %name, exit_code, oom_killed, "exited"),
        }
        if let Some(run) = self.runs.remove(name) {
            run.cancel();
        }
        self.outputs.ended(name);
    }
}
