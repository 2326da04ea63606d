//! What may start, and when it counts as started.

use std::time::Duration;

use super::{Node, Pod};
use crate::pod::life::Condition;
use crate::pod::{ComponentName, Dependency};
use crate::supervisor::events::{Action, Deadline, KillReason, Outcome, Phase, Stage};

/// How long components may wait for others before the operator is told, for the first time; doubled each time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest pause between two such words.
const MOST_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Whether a condition of a dependency is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    True,
    /// It may still become true.
    NotYet,
    /// It never will.
    Never,
}

impl Pod {
    /// Starts what may be started now, and ends the pod where somebody waits for what can't happen any more.
    pub(super) fn advance(&mut self, actions: &mut Vec<Action>) {
        if self.stage == Stage::Init {
            let next = self.nodes.iter().find(|(_, node)| node.init && node.phase != Phase::Exited);
            match next {
                Some((name, node)) => {
                    if node.phase == Phase::Waiting {
                        let name = name.clone();
                        self.launch(&name, actions);
                    }
                    return;
                }
                None => self.stage = Stage::Starting,
            }
        }
        if self.stage == Stage::Starting {
            self.start_due(actions);
        }
        if self.stage == Stage::Starting && self.nodes.values().all(|node| node.started_once || node.over()) {
            self.stage = Stage::Running;
            if !std::mem::replace(&mut self.ran, true) {
                actions.push(Action::Started);
            }
        }
        if matches!(self.stage, Stage::Starting | Stage::Running) {
            self.renew(actions);
        }
    }

    fn start_due(&mut self, actions: &mut Vec<Action>) {
        for name in self.waiting() {
            let Some(node) = self.nodes.get(&name) else { continue };
            let mut due = true;
            let mut passed_over = Vec::new();
            let mut hopeless = None;
            for (other, on) in &node.depends_on {
                match (self.standing(other, *on), on.required) {
                    (Standing::True, _) => {}
                    (Standing::NotYet, _) => due = false,
                    (Standing::Never, false) => passed_over.push((other.clone(), on.condition)),
                    (Standing::Never, true) => hopeless = Some((other.clone(), on.condition)),
                }
            }
            if let Some((other, condition)) = hopeless {
                return self.end_hopeless(&name, &other, condition, actions);
            }
            if due {
                for (other, condition) in passed_over {
                    let what = format!(
                        "component `{name}` starts without `{other}`: the dependency is optional, and `{other}` will not be {}",
                        wanted(condition)
                    );
                    actions.push(Action::Warn(what));
                }
                self.warn_of_blind_waits(&name, actions);
                self.launch(&name, actions);
            }
        }
        if self.patience.is_none() && !self.waiting().is_empty() {
            self.patience = Some(PATIENCE);
            actions.push(Action::Arm(Deadline::Patience, PATIENCE));
        }
    }

    /// What the image of a dependency has is known only now: one that nobody looks at counts as healthy as soon as it runs, as with podlike.
    fn warn_of_blind_waits(&self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get(name) else { return };
        for (other, _) in node.depends_on.iter().filter(|(_, on)| on.condition == Condition::Healthy) {
            let is_unseen = |other: &Node| other.started_once && other.health.is_none() && other.probed.is_none();
            if self.nodes.get(other).is_some_and(is_unseen) {
                let what = format!(
                    "component `{name}` waits until `{other}` is healthy, but `{other}` has no health check, or a disabled one, and no probe: `{name}` starts as soon as `{other}` runs"
                );
                actions.push(Action::Warn(what));
            }
        }
    }

    /// Components whose turn has not come.
    fn waiting(&self) -> Vec<ComponentName> {
        let waits = |(_, node): &(&ComponentName, &Node)| !node.init && node.phase == Phase::Waiting;
        self.nodes.iter().filter(waits).map(|(name, _)| name.clone()).collect()
    }

    /// Tells the operator who waits for what, ever more rarely: nothing else says why a pod does not come up.
    pub(super) fn still_waiting(&mut self, actions: &mut Vec<Action>) {
        let Some(pause) = self.patience.take() else { return };
        if self.stage != Stage::Starting {
            return;
        }
        let mut waits = Vec::new();
        for name in self.waiting() {
            let Some(node) = self.nodes.get(&name) else { continue };
            let open = |(other, on): &&(ComponentName, Dependency)| self.standing(other, *on) == Standing::NotYet;
            let open = node.depends_on.iter().filter(open);
            let open: Vec<_> = open.map(|(other, on)| format!("`{other}` to be {}", wanted(on.condition))).collect();
            if !open.is_empty() {
                waits.push(format!("`{name}` waits for {}", open.join(" and ")));
            }
        }
        if !waits.is_empty() {
            actions.push(Action::Warn(format!("the pod is still starting: {}", waits.join("; "))));
            let next = (pause * 2).min(MOST_PATIENCE);
            self.patience = Some(next);
            actions.push(Action::Arm(Deadline::Patience, next));
        }
    }

    /// Nobody will ever start `name`: it needs what did not happen.
    fn end_hopeless(
        &mut self,
        name: &ComponentName,
        other: &ComponentName,
        condition: Condition,
        actions: &mut Vec<Action>,
    ) {
        let Some(node) = self.nodes.get(other) else { return };
        if let (true, Some(code @ 1..)) = (node.failure.is_none(), node.exit_code) {
            let outcome = Outcome::Component { name: other.clone(), code, shortage: node.shortage };
            return self.begin_stop(outcome, actions);
        }
        let why = node.failure.as_ref().map_or_else(|| "that component has ended".to_owned(), Clone::clone);
        self.fail(
            format!(
                "component `{name}` waits for `{other}` to be {}, which is no longer possible: {why}",
                wanted(condition)
            ),
            actions,
        );
    }

    fn standing(&self, name: &ComponentName, on: Dependency) -> Standing {
        // What the pod does not have can only be a dependency that is not required.
        let Some(other) = self.nodes.get(name) else { return Standing::Never };
        let met = match on.condition {
            Condition::Started => other.started_once,
            Condition::Healthy => other.started_once && other.healthy(),
            Condition::Completed => other.completed,
        };
        if met {
            Standing::True
        } else if other.over() {
            Standing::Never
        } else {
            Standing::NotYet
        }
    }

    /// Starts those again whose dependency was started again, once it is what they need it to be.
    fn renew(&mut self, actions: &mut Vec<Action>) {
        let current = |on: &Dependency, other: &Node| match on.condition {
            Condition::Started => other.phase == Phase::Running,
            Condition::Healthy => other.healthy(),
            Condition::Completed => other.completed,
        };
        let due: Vec<ComponentName> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.phase == Phase::Running && !node.outdated_by.is_empty())
            .filter(|(_, node)| {
                node.depends_on
                    .iter()
                    .filter(|(other, _)| node.outdated_by.contains(other))
                    .all(|(other, on)| self.nodes.get(other).is_some_and(|other| current(on, other)))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.restart(&name, actions);
        }
    }

    /// Brings a component up: its container is made where it is not there yet.
    pub(super) fn launch(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let again = node.launched_once;
        node.phase = Phase::Launching;
        node.run += 1;
        node.failure = None;
        node.early_exit = None;
        node.asked = false;
        node.killed = false;
        node.killed_at_the_end = false;
        node.turn_came = false;
        node.completed = false;
        node.gone_without = false;
        node.lasted = false;
        node.outdated_by.clear();
        if let Some(probed) = &mut node.probed {
            probed.reset();
        }
        self.failed_jobs.retain(|job| job != name);
        let Some(node) = self.nodes.get_mut(name) else { return };
        if !again {
            return actions.push(Action::Launch(name.clone()));
        }
        node.restarts += 1;
        actions.push(Action::Relaunch(name.clone()));
        for other in self.nodes.values_mut() {
            if other.depends_on.iter().any(|(on, it)| on == name && it.restart) {
                other.outdated_by.insert(name.clone());
            }
        }
    }

    pub(super) fn launched(&mut self, name: &ComponentName, checked: bool, actions: &mut Vec<Action>) {
        self.forget_startup(name);
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.launched_once = true;
        node.phase = if node.settles { Phase::Settling } else { Phase::Running };
        if checked && node.health.is_none() {
            node.health = Some(crate::containers::EngineHealth::Starting);
        }
        let (settles, run) = (node.settles, node.run);
        actions.push(Action::RunBegan { name: name.clone(), run });
        if !settles {
            node.started_once = true;
        }
        if let Some((exit_code, oom)) = node.early_exit.take() {
            return self.exited(name, exit_code, oom, actions);
        }
        match self.stage {
            Stage::Killing | Stage::Cleaning | Stage::Done => {
                self.set(name, Phase::Stopping);
                actions.push(Action::Kill { name: name.clone(), asked: false, why: KillReason::Late });
            }
            Stage::Restarting | Stage::Stopping => self.stop_more(actions),
            Stage::Init | Stage::Starting | Stage::Running if settles => {
                actions.push(Action::Settle { name: name.clone(), run });
            }
            Stage::Init | Stage::Starting | Stage::Running => self.up(name, actions),
        }
    }

    /// What is to be done after the start is through.
    pub(super) fn settled(
        &mut self,
        name: &ComponentName,
        run: u64,
        outcome: Result<(), String>,
        actions: &mut Vec<Action>,
    ) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.run != run || node.phase != Phase::Settling {
            return;
        }
        match outcome {
            Ok(()) => {
                node.phase = Phase::Running;
                node.started_once = true;
                if self.stage < Stage::Restarting {
                    self.up(name, actions);
                }
            }
            Err(reason) => {
                let reason = format!("failed its `post_start`: {reason}");
                actions.push(Action::Warn(format!("component `{name}` {reason}")));
                node.failure = Some(reason);
                // Nothing that was prepared before its stop holds for one that never got ready.
                let grace = node.grace;
                self.ask_to_stop(name, grace, false, actions);
            }
        }
    }

    /// It counts as started.
    fn up(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get(name) else { return };
        if node.probed.is_some() {
            actions.push(Action::Probe { name: name.clone(), run: node.run });
        }
        if node.watched() {
            actions.push(Action::Arm(Deadline::Proven(name.clone()), node.policy.reset_after));
        }
        self.watch_up(name, actions);
        self.advance(actions);
    }

    pub(super) fn launch_failed(&mut self, name: &ComponentName, reason: String, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.phase != Phase::Launching {
            return;
        }
        node.phase = Phase::Exited;
        node.failure = Some(format!("could not be started: {reason}"));
        if self.stage >= Stage::Restarting {
            return self.stop_more(actions);
        }
        self.judge_exit(name, actions);
    }
}

fn wanted(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Healthy => "healthy",
        Condition::Completed => "completed",
    }
}
