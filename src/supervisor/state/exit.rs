//! What an exit means: a restart, the pod's end, or nothing.

use std::time::Duration;

use super::{Node, Pod};
use crate::containers::EngineHealth;
use crate::hooks::Reaction;
use crate::pod::ComponentName;
use crate::pod::life::{Condition, RestartPolicy, RestartScope, RestartWhen, Role};
use crate::supervisor::events::{Action, Deadline, KILLED, Oom, Outcome, Phase, RunEnd, Stage};

/// Shortest pause before a restart: what the engine's own restarts begin with.
const LEAST_DELAY: Duration = Duration::from_millis(100);

impl Pod {
    pub(super) fn exited(&mut self, name: &ComponentName, exit_code: i32, oom: Oom, actions: &mut Vec<Action>) {
        let guarded = self.guarded.contains(name);
        let Some(node) = self.nodes.get_mut(name) else { return };
        match node.phase {
            // The engine was quicker to report the exit than its answer to the start.
            Phase::Launching => {
                node.early_exit = Some((exit_code, oom));
                return;
            }
            Phase::Settling | Phase::Running | Phase::Parting | Phase::Stopping => {}
            // Told twice: by the event and by the look after a reconnection.
            Phase::Waiting | Phase::Asking | Phase::BackingOff | Phase::Exited | Phase::Skipped => return,
        }
        node.shortage = node.shortage_of(exit_code, oom);
        let oom_killed = node.shortage.is_starved();
        let end = RunEnd::Exited { code: exit_code, shortage: node.shortage };
        actions.push(Action::RunEnded { name: name.clone(), end });
        // A process that was to be killed may have been quicker; only its exit code says so. An engine that shuts down kills without being asked.
        let by_a_kill =
            exit_code == KILLED && (node.killed_at_the_end || (self.engine_leaves && !node.asked && !oom_killed));
        let was_stopping = node.phase == Phase::Stopping && self.stage >= Stage::Stopping;
        self.killed |= by_a_kill && was_stopping;
        node.exit_code = Some(exit_code);
        node.finding = None;
        node.paused = false;
        node.killed_from_outside = exit_code == KILLED && !oom_killed && !node.killed;
        node.health = node.health.map(|_| EngineHealth::Starting);
        node.phase = Phase::Exited;
        if let Some(probed) = &mut node.probed {
            probed.reset();
        }
        self.begin_repair(name, actions);
        let Some(node) = self.nodes.get_mut(name) else { return };
        if self.stage >= Stage::Restarting {
            self.stop_more(actions);
        } else if std::mem::take(&mut node.again) {
            self.launch(name, actions);
        } else if node.init && exit_code == 0 && node.failure.is_none() {
            self.advance(actions);
        } else if guarded {
            self.exits_put_off.insert(name.clone(), (exit_code, oom_killed));
        } else {
            node.phase = Phase::Asking;
            actions.push(Action::Ask { name: name.clone(), exit_code, oom_killed });
        }
    }

    /// Plugins have said what an exit means; what they leave open, the restart policy decides.
    pub(super) fn decided(&mut self, name: &ComponentName, reaction: Reaction, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.phase != Phase::Asking {
            return;
        }
        node.phase = Phase::Exited;
        if self.stage >= Stage::Restarting {
            self.stop_more(actions);
            return;
        }
        match reaction {
            Reaction::AsPlanned => self.judge_exit(name, actions),
            Reaction::StopPod => self.end_with(name, actions),
            Reaction::Restart(after_ms) => self.back_off(name, Duration::from_millis(after_ms.into()), actions),
            Reaction::Ignore => self.go_without(name, actions),
        }
    }

    /// What the component's own settings say about an end of it, or about a launch that failed.
    pub(super) fn judge_exit(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let failed = node.failed();
        if wants_restart(node) {
            let given_up = node.policy.max_attempts.is_some_and(|most| node.attempts >= most);
            if !given_up {
                if self.is_crash_while_settling(name, actions) {
                    return self.end_with(name, actions);
                }
                let Some(node) = self.nodes.get_mut(name) else { return };
                let after = pause(&node.policy, node.attempts);
                node.attempts = node.attempts.saturating_add(1);
                if let (true, Some(reason)) = (!node.launched_once, &node.failure) {
                    actions.push(Action::Warn(format!("component `{name}` {reason}; retry in {after:?}")));
                }
                return match node.policy.scope {
                    RestartScope::Component => self.back_off(name, after, actions),
                    RestartScope::Pod => self.restart_in_place(after, actions),
                };
            }
            actions.push(Action::Warn(format!(
                "component `{name}` is not restarted any more after {} restart{}",
                node.attempts,
                if node.attempts == 1 { "" } else { "s" }
            )));
        }
        if node.role == Role::Job || (node.job && !failed) {
            return self.go_without(name, actions);
        }
        let (init, essential, job) = (node.init, node.essential, node.job);
        let awaited = || {
            self.nodes
                .values()
                .flat_map(|other| &other.depends_on)
                .filter(|(on, it)| on == name && it.condition == Condition::Completed)
        };
        // Where nobody requires a job, its failure is nobody's.
        if job && awaited().all(|(_, on)| !on.required) {
            return self.go_without(name, actions);
        }
        if essential || init || job { self.end_with(name, actions) } else { self.go_without(name, actions) }
    }

    /// The component stays as it is, and the pod goes on, as long as anything of it does.
    fn go_without(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        if let Some(node) = self.nodes.get_mut(name) {
            if node.role == Role::Job {
                return self.job_ended(name, actions);
            }
            node.gone_without = true;
            // Whoever decided so, a plugin or the policy: what it was there for is done.
            node.completed = node.job && !node.failed();
            node.down = None;
            node.overdue = false;
        }
        // A sidecar keeps nothing up.
        let over = self.nodes.values().all(|node| node.over() || node.role == Role::Sidecar);
        if over {
            self.end_with(name, actions);
        } else {
            if self.nodes.get(name).is_some_and(Node::failed) {
                actions.push(Action::Warn(format!("component `{name}` has failed; the pod continues without it")));
            }
            self.advance(actions);
        }
    }

    fn back_off(&mut self, name: &ComponentName, after: Duration, actions: &mut Vec<Action>) {
        self.set(name, Phase::BackingOff);
        actions.push(Action::Arm(Deadline::BackOff(name.clone()), after));
    }

    /// This component's end is the pod's.
    pub(super) fn end_with(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get(name) else { return };
        let outcome = match &node.failure {
            Some(reason) => Outcome::Unfit { name: name.clone(), reason: reason.clone() },
            None => {
                let code = node.exit_code.unwrap_or_default();
                Outcome::Component { name: name.clone(), code, shortage: node.shortage }
            }
        };
        self.begin_stop(outcome, actions);
    }

    pub(super) fn fail(&mut self, reason: String, actions: &mut Vec<Action>) {
        self.begin_stop(Outcome::Failed { reason }, actions);
    }

    /// Stops everything, in order to start it again.
    fn restart_in_place(&mut self, after: Duration, actions: &mut Vec<Action>) {
        actions.push(Action::Warn(format!("the controller restarts all components of the pod in {after:?}")));
        self.stage = Stage::Restarting;
        self.restart_after = after;
        for node in self.nodes.values_mut() {
            match node.phase {
                Phase::BackingOff | Phase::Asking => node.phase = Phase::Exited,
                Phase::Waiting | Phase::Launching | Phase::Settling | Phase::Running => {}
                Phase::Parting | Phase::Stopping | Phase::Exited | Phase::Skipped => {}
            }
            node.again = false;
        }
        self.exits_put_off.clear();
        self.starts_put_off.clear();
        self.begin_repair_of_all(actions);
        self.stop_more(actions);
    }

    /// Everything has stopped and the pause is over: from the beginning.
    pub(super) fn begin_again(&mut self, actions: &mut Vec<Action>) {
        // What lives still is waited for: once it has stopped, the pause begins.
        if self.stage != Stage::Restarting || self.any_alive() {
            return;
        }
        let mut init = false;
        self.failed_jobs.clear();
        for node in self.nodes.values_mut() {
            node.phase = Phase::Waiting;
            node.started_once = false;
            node.completed = false;
            node.outdated_by.clear();
            init |= node.init;
        }
        self.stage = if init { Stage::Init } else { Stage::Starting };
        self.advance(actions);
    }

    /// A component is to be stopped, where it runs, and started.
    pub(super) fn restart(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        if self.stage >= Stage::Restarting {
            return;
        }
        let Some(node) = self.nodes.get_mut(name) else { return };
        match node.phase {
            Phase::Settling | Phase::Running => {
                node.again = true;
                node.outdated_by.clear();
                let grace = node.grace;
                self.begin_repair(name, actions);
                self.ask_to_stop(name, grace, true, actions);
            }
            Phase::Exited | Phase::BackingOff => {
                self.exits_put_off.remove(name);
                self.starts_put_off.remove(name);
                self.launch(name, actions);
            }
            Phase::Parting | Phase::Stopping => node.again = true,
            Phase::Waiting | Phase::Launching | Phase::Asking | Phase::Skipped => {}
        }
    }

    /// A rollout has ended: what exited meanwhile, and was not started again, is now asked about; what was to be started is.
    pub(super) fn unguard(&mut self, actions: &mut Vec<Action>) {
        self.guarded.clear();
        for (name, (exit_code, oom_killed)) in std::mem::take(&mut self.exits_put_off) {
            let Some(node) = self.nodes.get_mut(&name) else { continue };
            if node.phase == Phase::Exited && self.stage < Stage::Restarting {
                node.phase = Phase::Asking;
                actions.push(Action::Ask { name, exit_code, oom_killed });
            }
        }
        for name in std::mem::take(&mut self.starts_put_off) {
            let due = self.nodes.get(&name).is_some_and(|node| node.phase == Phase::BackingOff);
            if due && self.stage < Stage::Restarting {
                self.launch(&name, actions);
            }
        }
    }

    /// The container that lends its IPC namespace is started again: at once the first time, then ever more slowly.
    pub(super) fn donor_ended(&mut self, actions: &mut Vec<Action>) {
        if self.stage >= Stage::Stopping {
            return;
        }
        let policy = RestartPolicy::default();
        let after = self.donor_ends.checked_sub(1).map_or(Duration::ZERO, |before| pause(&policy, before));
        self.donor_ends = self.donor_ends.saturating_add(1);
        let when = if after.is_zero() { "immediately".to_owned() } else { format!("in {after:?}") };
        actions.push(Action::Warn(format!(
            "the IPC donor container has ended and is restarted {when}: components that run now and components that start later do not share memory with each other"
        )));
        actions.push(Action::ReviveDonor { after });
        actions.push(Action::Arm(Deadline::DonorProven, after + policy.reset_after));
    }

    /// Whether a component has failed for good while the pod went on.
    pub(super) fn gave_up(&self, name: &ComponentName) -> bool {
        self.nodes.get(name).is_some_and(|node| node.gone_without)
    }
}

fn wants_restart(node: &Node) -> bool {
    let named = node.policy.exit_codes.is_empty()
        // What failed without an exit code of its own has none to compare.
        || node.failure.is_some()
        || node.exit_code.and_then(|code| u8::try_from(code).ok()).is_some_and(|code| {
            node.policy.exit_codes.iter().any(|(first, last)| (*first..=*last).contains(&code))
        });
    named
        && match node.policy.when {
            RestartWhen::Never => false,
            RestartWhen::OnFailure => node.failed(),
            RestartWhen::Always => true,
        }
}

/// The pause before the next restart: doubled with each that went before, and never so short that a component that can't live takes all of the engine's time.
fn pause(policy: &RestartPolicy, attempts: u32) -> Duration {
    let factor = 1_u32.checked_shl(attempts.min(31)).unwrap_or(u32::MAX);
    policy.delay.saturating_mul(factor).min(policy.max_delay).max(LEAST_DELAY)
}
