//! When the pod has started, how long that may take, and how long a repair may.
//!
//! An engine knows one health of the pod, and Swarm's updates go by it: a task with a health check runs once it is healthy, an update waits for that without a limit,
//! and only a task that ends within `monitor` from then on counts as failed (swarmkit, `manager/orchestrator/update/updater.go`). Hence the three spans here: a start ends
//! after `start_deadline`, a crash within `settle` ends the pod, and a later one is repaired.

use std::time::Duration;

use super::{Node, Pod};
use crate::pod::ComponentName;
use crate::pod::life::Role;
use crate::supervisor::events::{Action, Deadline, Phase, Stage};

impl Node {
    /// Whether the pod is not healthy before it has been up.
    pub(super) fn counts(&self) -> bool {
        !self.init && (self.essential || self.role == Role::Sidecar)
    }

    /// Whether it is there to run for as long as the pod, so that its end has to be repaired.
    pub(super) fn serves(&self) -> bool {
        self.counts() && !self.job
    }

    /// Whether its end is awaited, and not that it stays up.
    fn is_awaited(&self) -> bool {
        self.job && self.role != Role::Job
    }

    /// Whether nothing but the time that it has run can show that it is up.
    pub(super) fn must_last(&self) -> bool {
        let is_probed = self.probed.as_ref().is_some_and(|it| it.waits_for_start || it.waits_for_ready);
        self.counts() && !self.is_awaited() && self.health.is_none() && !is_probed
    }

    /// Whether it is up: its check and its probes hold or, if it has neither, it has run for `min_ready`.
    pub(super) fn is_up(&self) -> bool {
        !self.is_awaited() && self.healthy() && (self.lasted || !self.must_last())
    }

    /// Whether the pod need not wait until it is up: it has done what it was there for, or the pod goes on without it.
    pub(super) fn is_done(&self) -> bool {
        self.gone_without || self.completed
    }
}

impl Pod {
    /// The start begins, and with it the time that it may take.
    pub(super) fn begin(&mut self, actions: &mut Vec<Action>) {
        if let Some(start) = self.life.start.as_ref().filter(|_| self.stage < Stage::Stopping) {
            actions.push(Action::Arm(Deadline::Start, start.total()));
        }
        self.advance(actions);
    }

    /// How long an engine needs to pull, create and start, and a registry to answer, says nothing about this version of the pod: the start's clock stands still meanwhile.
    /// Each of these calls has a deadline of its own.
    fn hold_start(&mut self, actions: &mut Vec<Action>) {
        if self.was_healthy || self.life.start.is_none() {
            return;
        }
        let launching = self.nodes.values().any(|node| node.phase == Phase::Launching);
        match (self.start_is_held, launching) {
            (false, true) => actions.push(Action::Hold(Deadline::Start)),
            (true, false) => actions.push(Action::GoOn(Deadline::Start)),
            (true, true) | (false, false) => {}
        }
        self.start_is_held = launching;
    }

    /// What the image's check declares, the plan could not know.
    pub(super) fn check_known(&mut self, name: &ComponentName, declared: Duration, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let more = declared.saturating_sub(node.check_declared);
        if more.is_zero() {
            return;
        }
        node.check_declared = declared;
        if !node.repair.is_zero() {
            node.repair = node.repair.saturating_add(more);
        }
        if !self.was_healthy && self.life.start.is_some() {
            actions.push(Action::Extend(Deadline::Start, more));
        }
    }

    /// It counts as started: from now on it is seen whether it stays up.
    pub(super) fn watch_up(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let min_ready = self.life.min_ready;
        let Some(node) = self.nodes.get_mut(name) else { return };
        if !node.must_last() {
            return;
        }
        if min_ready.is_zero() {
            node.lasted = true;
        } else {
            actions.push(Action::Arm(Deadline::Ready(name.clone(), node.run), min_ready));
        }
    }

    /// This run has lasted for `min_ready`.
    pub(super) fn ready(&mut self, name: &ComponentName, run: u64) {
        if let Some(node) = self.nodes.get_mut(name).filter(|it| it.run == run && it.phase == Phase::Running) {
            node.lasted = true;
        }
    }

    /// Its process has ended, or is to end: if it served, its repair begins.
    pub(super) fn begin_repair(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let was_healthy = self.was_healthy;
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.lasted = false;
        if was_healthy && node.serves() && node.down.is_none() {
            node.down = Some(node.run);
            if !node.repair.is_zero() {
                actions.push(Action::Arm(Deadline::Repair(name.clone(), node.run), node.repair));
            }
        }
    }

    /// All of it is started again in place: each component has the time of all, since it waits for others.
    pub(super) fn begin_repair_of_all(&mut self, actions: &mut Vec<Action>) {
        if !self.was_healthy {
            return;
        }
        let budget = self.life.repair_budget;
        let all = budget.saturating_add(self.life.declared).saturating_add(self.restart_after);
        for (name, node) in self.nodes.iter_mut().filter(|(_, node)| node.serves() && !node.gone_without) {
            let run = *node.down.get_or_insert(node.run);
            if !budget.is_zero() {
                actions.push(Action::Arm(Deadline::Repair(name.clone(), run), all));
            }
        }
    }

    /// The repair after this run has had its time.
    pub(super) fn repair_is_late(&mut self, name: &ComponentName, run: u64, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.down == Some(run)) else { return };
        node.overdue = true;
        if self.stage < Stage::Stopping {
            actions.push(Action::Warn(format!(
                "component `{name}` is not up again within `repair_budget`; the pod is unhealthy until the component is up"
            )));
        }
    }

    /// Whether this end, which `restart` would repair, ends the pod: it was healthy for the first time only a moment ago, and whoever updates it has to see that this
    /// version does not hold. A component that should run on and ended with 0 has failed then; a sidecar that did has not.
    pub(super) fn is_crash_while_settling(&mut self, name: &ComponentName, actions: &mut Vec<Action>) -> bool {
        let settle = self.life.settle;
        let Some(node) = self.nodes.get_mut(name).filter(|node| self.settling && node.serves()) else { return false };
        // Who kills a process to see it come back, or because the machine is short of something, says nothing about this version.
        if node.killed_from_outside && node.failure.is_none() {
            return false;
        }
        if !node.failed() {
            if node.role == Role::Sidecar {
                return false;
            }
            node.failure = Some(format!(
                "exited with code 0 within {settle:?} (`settle`) after the pod became healthy, although `restart` requires it to keep running"
            ));
        } else {
            actions.push(Action::Warn(format!(
                "component `{name}` is not restarted, because it failed within {settle:?} (`settle`) after the pod became healthy"
            )));
        }
        true
    }

    /// After every event: who is up, and whether the pod is healthy for the first time.
    pub(super) fn take_stock(&mut self, actions: &mut Vec<Action>) {
        self.hold_start(actions);
        if self.stage >= Stage::Restarting {
            return;
        }
        for node in self.nodes.values_mut().filter(|node| node.is_up()) {
            node.up_once = true;
            node.down = None;
            node.overdue = false;
        }
        if self.was_healthy || self.stage != Stage::Running || !self.verdict().state.counts_as_healthy() {
            return;
        }
        self.was_healthy = true;
        if !self.life.settle.is_zero() {
            self.settling = true;
            actions.push(Action::Arm(Deadline::Settled, self.life.settle));
        }
    }

    /// The start has taken as long as it may.
    pub(super) fn start_is_late(&mut self, actions: &mut Vec<Action>) {
        // One that is held comes again.
        if self.was_healthy || self.stage >= Stage::Stopping || self.start_is_held {
            return;
        }
        let Some(start) = &self.life.start else { return };
        let total = start.total();
        let why = self.not_up();
        // Only the pod's own work is left, which may take as long as it likes.
        if why.is_empty() {
            return;
        }
        let blamed = self.nodes.iter().filter(|(_, node)| node.failed() && !node.phase.alive() && !node.is_done());
        self.blamed = blamed.map(|(name, _)| name.clone()).collect();
        let late = self.nodes.iter().filter(|(name, node)| node.launched_once && self.holds_up(name, node));
        self.late = late.map(|(name, _)| name.clone()).collect();
        self.fail(
            format!("the pod did not become healthy within {total:?} (`start_deadline`): {}", why.join("; ")),
            actions,
        );
    }
}
