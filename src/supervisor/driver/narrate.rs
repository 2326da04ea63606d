//! The log lines of the pod's events. Nothing here decides: all duties are actions of [`Pod::step`](crate::supervisor::state::Pod::step).

use tracing::{debug, error, info, warn};

use super::Driver;
use crate::admin::status::HealthState;
use crate::engine::{Engine, EngineHealth};
use crate::hooks::{Hooks, Judgement, SignalDecision, Status};
use crate::plan::render::one_line;
use crate::pod::{ComponentName, PluginName};
use crate::probe::Verdict;
use crate::supervisor::events::{Event, RunEnd, Shortage, stops};
use crate::supervisor::state::check_says;

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// Logs an event, before it changes the pod.
    pub(super) fn narrate(&mut self, event: &Event) {
        match event {
            Event::Launched { name, .. } => info!(component = %name, "started"),
            // If that ends the pod, its end is an error.
            Event::LaunchFailed { name, reason } => warn!(component = %name, "could not be started: {reason}"),
            Event::LaunchDropped { name } => debug!(component = %name, "the start was cancelled"),
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
            Event::Signal(signal) => info!(signal, "the controller received a signal"),
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
            | Event::EngineLeaves
            | Event::Exited { .. }
            | Event::Vanished { .. }
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
        let is_same = |it: &Judgement| (&it.component, &it.check, it.probe) == (&now.component, &now.check, now.probe);
        let before = self.pod.judgements().find(|(of, it)| *of == plugin && is_same(it));
        let before = before.map_or(Status::Healthy, |(_, it)| it.status);
        if before == now.status {
            return;
        }
        let component = now.component.as_ref().map_or("(the pod)", ComponentName::as_str);
        let (status, reason) = (HealthState::from(now.status).as_str(), one_line(&now.reason));
        match now.status {
            Status::Healthy | Status::Starting => {
                info!(%plugin, component, check = now.check, status, reason, "the plugin reported a change of health")
            }
            Status::Degraded | Status::Unhealthy => {
                warn!(%plugin, component, check = now.check, status, reason, "the plugin reported a change of health")
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

    /// The end of a run.
    pub(super) fn narrate_end(&self, name: &ComponentName, end: &RunEnd) {
        match *end {
            RunEnd::Vanished => {
                info!(component = %name, "all processes have ended; the engine is unreachable, so the exit code is unknown");
            }
            RunEnd::Exited { code: exit_code, shortage } => {
                let oom_killed = shortage.is_starved();
                match shortage {
                    Shortage::Starved(_) => {
                        warn!(component = %name, exit_code, oom_killed, "{}", shortage.end(exit_code))
                    }
                    Shortage::Earlier(limits) => {
                        info!(component = %name, exit_code, oom_killed, "exited; {}", limits.earlier());
                    }
                    Shortage::None => info!(component = %name, exit_code, oom_killed, "exited"),
                }
            }
        }
    }

    /// The engine shuts down, with the pod still in it.
    pub(super) fn narrate_shutdown(&self) {
        info!(
            "the engine refuses connections: it is shutting down and stops all containers itself; the next controller that starts on this engine removes the containers of the pod"
        );
    }
}
