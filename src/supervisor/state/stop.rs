//! Signals, the order of stopping, and deadlines.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Node, Pod};
use crate::hooks::SignalDecision;
use crate::plan::stops::{Stopper, kept, turns};
use crate::pod::ComponentName;
use crate::pod::life::Role;
use crate::supervisor::events::{Action, Deadline, KillReason, Outcome, Phase, RunEnd, Stage, stops};

/// How long plugins may think about a signal that stops the pod.
const ASK_TIME: Duration = Duration::from_secs(1);

/// What is left for the engine to answer a kill before containers are removed by force.
const KILL_TIME: Duration = Duration::from_millis(500);

/// For the kernel to end a process that was killed; one that hangs in a call to a device or a file server may never end.
const DEAD_TIME: Duration = Duration::from_secs(10);

impl Pod {
    pub(super) fn signalled(&mut self, signal: i32, actions: &mut Vec<Action>) {
        if !stops(signal) {
            if self.stage < Stage::Stopping {
                actions.push(Action::AskSignal(signal));
            }
            return;
        }
        actions.push(Action::SeekEngine);
        if self.draining {
            // Again: whoever asks does not want to wait for others to notice.
            self.draining = false;
            self.stop_more(actions);
        } else if self.stage >= Stage::Stopping && self.asked_to_stop {
            // Once more: whoever asks has no patience left.
            self.kill_all(&KillReason::AskedAgain, actions);
        } else if self.stage >= Stage::Stopping {
            // The pod ends already, by a component's end; this is the first time that somebody asks for it.
            self.asked_to_stop = true;
        } else if self.asked_to_stop {
            // Plugins are still being asked about the first one.
            self.stop_by_signal(signal, actions);
        } else {
            self.asked_to_stop = true;
            // The time runs from here, whatever plugins say, and they have only so much of it to say it.
            self.arm_stop(actions);
            actions.push(Action::Arm(Deadline::Asked(signal), ASK_TIME));
            actions.push(Action::AskSignal(signal));
        }
    }

    pub(super) fn signal_decided(&mut self, signal: i32, decision: SignalDecision, actions: &mut Vec<Action>) {
        match decision {
            SignalDecision::Forward => {}
            SignalDecision::Deliver(list) => {
                for (name, signal) in list {
                    if self.nodes.get(&name).is_some_and(|node| node.phase.has_process()) {
                        actions.push(Action::Send(name, signal));
                    }
                }
            }
        }
        // A plugin may translate a stop, but never prevent one.
        if stops(signal) && self.stage < Stage::Stopping {
            self.stop_by_signal(signal, actions);
        }
    }

    fn stop_by_signal(&mut self, signal: i32, actions: &mut Vec<Action>) {
        let outcome = if self.ran { Outcome::Stopped } else { Outcome::Interrupted { signal } };
        // Only who serves others is left alone for a while; the end of a component ends the pod at once.
        self.draining = self.ran && !self.drain.is_zero() && self.any_alive();
        if self.draining {
            actions.push(Action::Arm(Deadline::Drain, self.drain));
        }
        self.begin_stop(outcome, actions);
    }

    pub(super) fn begin_stop(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        if self.stage >= Stage::Stopping {
            return;
        }
        self.stage = Stage::Stopping;
        self.outcome = Some(outcome);
        for node in self.nodes.values_mut() {
            match node.phase {
                Phase::Waiting => node.phase = Phase::Skipped,
                Phase::BackingOff => node.phase = Phase::Exited,
                Phase::Launching | Phase::Settling | Phase::Running | Phase::Parting | Phase::Stopping => {}
                Phase::Asking | Phase::Exited | Phase::Skipped => {}
            }
            node.again = false;
        }
        actions.push(Action::DropLaunches);
        if !self.asked_to_stop {
            self.arm_stop(actions);
        }
        self.stop_more(actions);
    }

    /// The pod's time for its stop begins, and is divided among those that may have to stop.
    fn arm_stop(&mut self, actions: &mut Vec<Action>) {
        actions.push(Action::Arm(Deadline::Budget, self.stop_budget));
        let list: Vec<_> = self
            .nodes
            .iter()
            .map(|(name, node)| Stopper {
                name,
                depends_on: &node.depends_on,
                role: node.role,
                grace: (!node.over()).then_some(node.grace),
            })
            .collect();
        let turns = turns(&list, self.stop_budget, self.drain);
        for ((name, node), turn) in self.nodes.iter_mut().zip(turns.of).filter(|((_, node), _)| !node.over()) {
            node.share = turn.ends_by.saturating_sub(turn.begins_by);
            // Which sidecars stop last depends on what still lives by then.
            if turn.wave > 1 || node.role == Role::Sidecar {
                actions.push(Action::Arm(Deadline::Turn(name.clone()), turn.begins_by));
            }
            if node.parts {
                let last_call = turn.ends_by.saturating_sub(turn.kept);
                actions.push(Action::Arm(Deadline::LastCall(name.clone()), last_call));
            }
        }
    }

    /// Asks those to stop that no living component depends on; once nothing lives, the pod is cleaned up, or starts again.
    pub(super) fn stop_more(&mut self, actions: &mut Vec<Action>) {
        if !matches!(self.stage, Stage::Restarting | Stage::Stopping | Stage::Killing) {
            return;
        }
        if !self.any_alive() {
            self.draining = false;
            if self.stage == Stage::Restarting {
                // Armed once more by whatever comes too late: the last one counts, and nothing runs meanwhile.
                actions.push(Action::Arm(Deadline::PodBackOff, self.restart_after));
            } else {
                self.stage = Stage::Cleaning;
                actions.push(Action::Cleanup { failed: self.failed() });
            }
            return;
        }
        if self.stage == Stage::Killing || self.draining {
            return;
        }
        let needed = self.needed_by(self.nodes.values().filter(|node| node.phase.alive()));
        // A sidecar serves the others to their end. One that waits for another at its start stops before that one, as everybody does.
        let others_live = self.nodes.values().any(|node| node.role != Role::Sidecar && node.phase.alive());
        let due: Vec<(ComponentName, Duration)> = self
            .nodes
            .iter()
            .filter(|(name, node)| node.phase.unasked() && !needed.contains(name))
            .filter(|(_, node)| !(others_live && self.stops_last(node)))
            .map(|(name, node)| (name.clone(), node.grace))
            .collect();
        for (name, grace) in due {
            self.ask_to_stop(&name, grace, true, actions);
        }
    }

    /// All that these need, by way of others too, whether those live or not: the order is that of the waves.
    fn needed_by<'a>(&'a self, nodes: impl Iterator<Item = &'a Node>) -> BTreeSet<&'a ComponentName> {
        let mut needed: BTreeSet<&ComponentName> = BTreeSet::new();
        let mut open: Vec<_> = nodes.collect();
        while let Some(node) = open.pop() {
            for (name, _) in &node.depends_on {
                if needed.insert(name) {
                    open.extend(self.nodes.get(name));
                }
            }
        }
        needed
    }

    /// Whether it is a sidecar that serves all others to their end.
    fn stops_last(&self, node: &Node) -> bool {
        node.role == Role::Sidecar && !self.follows_others(node)
    }

    /// Its share of the pod's time begins, and it has not been asked to stop yet: whatever it waits for is killed. If even that does not end in time (the engine
    /// is busy, or a process hangs in the kernel), it is asked all the same.
    fn turn_comes(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        if self.stage != Stage::Stopping {
            return;
        }
        if std::mem::take(&mut self.draining) {
            self.stop_more(actions);
        }
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.phase.unasked()) else { return };
        if std::mem::replace(&mut node.turn_came, true) {
            let grace = node.grace;
            return self.ask_to_stop(name, grace, true, actions);
        }
        actions.push(Action::Arm(Deadline::Turn(name.clone()), (node.share / 2).min(KILL_TIME)));
        let Some(node) = self.nodes.get(name) else { return };
        let stops_last = self.stops_last(node);
        let before = self.nodes.iter().filter(|(other, node)| {
            *other != name
                && node.phase.alive()
                && ((stops_last && node.role != Role::Sidecar) || self.needed_by(std::iter::once(*node)).contains(name))
        });
        let before: Vec<_> = before.map(|(name, node)| (name.clone(), node.phase, node.grace)).collect();
        for (other, phase, grace) in before {
            match phase {
                Phase::Parting | Phase::Stopping => {
                    self.set(&other, Phase::Stopping);
                    self.kill(other, KillReason::Next { next: name.clone(), of: self.stop_budget }, actions);
                }
                Phase::Settling | Phase::Running => self.ask_to_stop(&other, grace, true, actions),
                Phase::Waiting | Phase::Launching | Phase::Asking => {}
                Phase::BackingOff | Phase::Exited | Phase::Skipped => {}
            }
        }
    }

    /// What is left of its share is for its process: whatever is done before its stop has had its time.
    fn last_call(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if self.stage == Stage::Stopping && node.phase == Phase::Parting {
            node.phase = Phase::Stopping;
            node.time_left = node.grace;
            actions.push(Action::Warn(format!(
                "component `{name}` gets its stop signal before its `pre_stop` has ended, since the pod has only {:?} to stop",
                self.stop_budget
            )));
            actions.push(Action::Stop { name: name.clone(), run: node.run });
        }
    }

    /// Whether a component that lives and is no sidecar is among those that this one needs, be it by way of others.
    fn follows_others(&self, node: &Node) -> bool {
        let mut seen: BTreeSet<&ComponentName> = BTreeSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for (name, _) in &node.depends_on {
                let Some(other) = self.nodes.get(name).filter(|_| seen.insert(name)) else { continue };
                if other.role != Role::Sidecar && other.phase.alive() {
                    return true;
                }
                open.push(other);
            }
        }
        false
    }

    /// Asks it to stop, after what is to be done before; all in its grace period.
    pub(super) fn ask_to_stop(
        &mut self,
        name: &ComponentName,
        grace: Duration,
        politely: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if politely && node.parts && node.phase == Phase::Running {
            node.phase = Phase::Parting;
            let within = grace.saturating_sub(kept(grace));
            actions.push(Action::Part { name: name.clone(), run: node.run, within });
            actions.push(Action::Arm(Deadline::Parting(name.clone()), grace));
        } else {
            node.phase = Phase::Stopping;
            node.time_left = grace;
            actions.push(Action::Stop { name: name.clone(), run: node.run });
        }
    }

    /// What is to be done before its stop is through.
    pub(super) fn parted(&mut self, name: &ComponentName, run: u64, took: Duration, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.run == run && node.phase == Phase::Parting {
            node.phase = Phase::Stopping;
            node.time_left = node.grace.saturating_sub(took).max(kept(node.grace));
            actions.push(Action::Stop { name: name.clone(), run });
        }
    }

    /// Its stop signal is delivered. An engine that is busy or away delivers it late, and the component does not pay for that: only the pod's own time does
    /// not wait.
    pub(super) fn asked(&mut self, name: &ComponentName, run: u64, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.run == run && node.phase == Phase::Stopping && !node.asked {
            node.asked = true;
            actions.push(Action::Arm(Deadline::Grace(name.clone()), node.time_left));
        }
    }

    /// No process of it is left, and nobody can say with which code it ended. While the pod goes on, the engine is waited for, which knows.
    pub(super) fn vanished(&mut self, name: &ComponentName, run: u64, actions: &mut Vec<Action>) {
        if self.stage < Stage::Stopping {
            return;
        }
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.run == run && node.phase.has_process() {
            node.phase = Phase::Exited;
            node.exit_code = None;
            actions.push(Action::RunEnded { name: name.clone(), end: RunEnd::Vanished });
            self.stop_more(actions);
        }
    }

    fn kill_all(&mut self, why: &KillReason, actions: &mut Vec<Action>) {
        if self.stage != Stage::Stopping {
            return;
        }
        self.stage = Stage::Killing;
        self.draining = false;
        let alive: Vec<ComponentName> =
            self.nodes.iter().filter(|(_, node)| node.phase.has_process()).map(|(name, _)| name.clone()).collect();
        for name in alive {
            self.set(&name, Phase::Stopping);
            self.kill(name, why.clone(), actions);
        }
        actions.push(Action::Arm(Deadline::Kill, KILL_TIME));
    }

    fn kill(&mut self, name: ComponentName, why: KillReason, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        node.killed_at_the_end |= self.stage >= Stage::Stopping;
        // Its own time may be up, and then the pod's: once is enough.
        if std::mem::replace(&mut node.killed, true) {
            return;
        }
        actions.push(Action::Kill { name: name.clone(), asked: node.asked, why });
        if self.stage < Stage::Stopping {
            actions.push(Action::Arm(Deadline::Dead(name), DEAD_TIME));
        }
    }

    /// It was killed in order to be started again, and its process is still there.
    fn survived(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get(name) else { return };
        if !(node.killed && node.phase == Phase::Stopping && self.stage < Stage::Stopping) {
            return;
        }
        let what = format!(
            "component `{name}` was killed, but its process has not ended within {DEAD_TIME:?}: the process hangs in the kernel"
        );
        if self.stage == Stage::Restarting || node.essential {
            self.fail(what, actions);
        } else {
            actions.push(Action::Warn(what));
        }
    }

    pub(super) fn deadline(&mut self, deadline: Deadline, actions: &mut Vec<Action>) {
        match deadline {
            Deadline::Grace(name) => {
                if let Some(node) = self.nodes.get(&name).filter(|node| node.phase == Phase::Stopping && node.asked) {
                    let why = KillReason::Grace(node.grace);
                    self.kill(name, why, actions);
                }
            }
            Deadline::Parting(name) => {
                if let Some(node) = self.nodes.get_mut(&name).filter(|node| node.phase == Phase::Parting) {
                    node.phase = Phase::Stopping;
                    let why = KillReason::Grace(node.grace);
                    self.kill(name, why, actions);
                }
            }
            Deadline::Asked(signal) => {
                if self.stage < Stage::Stopping {
                    self.stop_by_signal(signal, actions);
                }
            }
            Deadline::Ready(name, run) => self.ready(&name, run),
            Deadline::Start => self.start_is_late(actions),
            Deadline::Settled => self.settling = false,
            Deadline::Repair(name, run) => self.repair_is_late(&name, run, actions),
            Deadline::Dead(name) => self.survived(&name, actions),
            Deadline::Patience => self.still_waiting(actions),
            Deadline::Turn(name) => self.turn_comes(&name, actions),
            Deadline::LastCall(name) => self.last_call(&name, actions),
            Deadline::Budget => self.kill_all(&KillReason::PodTime(self.stop_budget), actions),
            Deadline::Kill => {
                if self.stage == Stage::Killing {
                    // The engine does not answer: removing by force is all that is left.
                    self.stage = Stage::Cleaning;
                    actions.push(Action::Cleanup { failed: self.failed() });
                }
            }
            Deadline::Drain => {
                self.draining = false;
                self.stop_more(actions);
            }
            Deadline::BackOff(name) => {
                let due = self.nodes.get(&name).is_some_and(|node| node.phase == Phase::BackingOff);
                if due && self.guarded.contains(&name) {
                    // Its files are being changed, and must not be half of the old and half of the new when it starts.
                    self.starts_put_off.insert(name);
                } else if due && self.stage < Stage::Restarting {
                    self.launch(&name, actions);
                }
            }
            Deadline::Proven(name) => {
                if let Some(node) = self.nodes.get_mut(&name).filter(|node| node.phase == Phase::Running) {
                    node.attempts = 0;
                }
            }
            Deadline::PodBackOff => self.begin_again(actions),
            Deadline::DonorProven => self.donor_ends = 0,
        }
    }
}
