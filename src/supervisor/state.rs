//! Decides what the pod does next.
//!
//! [`Pod::step`] is pure: it takes one [`Event`] and answers [`Action`]s, which the driver carries out and whose outcomes come back as events.
//! Nothing here knows the engine, plugins or the clock, so that the whole life of a pod is tested without any of them.
//!
//! Invariants: once the pod is stopping no [`Action::Launch`] is ever emitted; every container that was launched is stopped, or has exited, before
//! [`Action::Cleanup`]; [`Action::Finish`] is the last action and is emitted once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;

use crate::engine::EngineHealth;
use crate::hooks::{Judgement, Reaction, SignalDecision, Status};
use crate::plan::{Plan, Planned};
use crate::pod::{ComponentName, Condition, Dependency, PluginName};
use crate::supervisor::events::{Action, Deadline, Event, Outcome, Phase, Stage, stops};

/// One container of the pod.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it is in its life.
    pub phase: Phase,
    /// What must have happened to others before it starts.
    depends_on: Vec<(ComponentName, Dependency)>,
    grace: Duration,
    /// Whether it must finish before the others start.
    pub init: bool,
    /// How often it has been started again.
    pub restarts: u32,
    /// Code of its last exit.
    pub exit_code: Option<i32>,
    /// The engine's verdict, where it checks; `starting` again once its process has ended.
    pub health: Option<EngineHealth>,
    /// Whether its process has run at least once.
    started_once: bool,
    /// An exit that came before the news of its launch.
    early_exit: Option<(i32, bool)>,
    /// Whether it is to be started again as soon as it has stopped.
    again: bool,
}

impl Node {
    fn new(planned: &Planned, init: bool) -> Self {
        Self {
            phase: Phase::Waiting,
            depends_on: planned.depends_on.clone(),
            grace: planned.grace,
            init,
            restarts: 0,
            exit_code: None,
            health: None,
            started_once: false,
            early_exit: None,
            again: false,
        }
    }

    /// Whether a process of it may be alive.
    fn alive(&self) -> bool {
        matches!(self.phase, Phase::Launching | Phase::Running | Phase::Stopping)
    }
}

/// The state of a pod.
#[derive(Debug)]
pub struct Pod {
    stage: Stage,
    nodes: IndexMap<ComponentName, Node>,
    stop_budget: Duration,
    outcome: Option<Outcome>,
    killed: bool,
    guarded: BTreeSet<ComponentName>,
    /// Those of `guarded` that have exited: code, and whether for want of memory.
    exits_put_off: BTreeMap<ComponentName, (i32, bool)>,
    /// Stop signals that plugins are being asked about.
    asked_to_stop: bool,
    judgements: BTreeMap<(PluginName, Option<ComponentName>), Judgement>,
}

/// How long plugins may think about a signal that stops the pod.
const ASK_TIME: Duration = Duration::from_secs(1);

/// What is left for the engine to answer a kill before containers are removed by force.
const KILL_TIME: Duration = Duration::from_millis(500);

impl Pod {
    /// A pod of which nothing has been started.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let init = plan.init.iter().map(|planned| (planned.name.clone(), Node::new(planned, true)));
        let components = plan.components.iter().map(|planned| (planned.name.clone(), Node::new(planned, false)));
        Self {
            stage: if plan.init.is_empty() { Stage::Starting } else { Stage::Init },
            nodes: init.chain(components).collect(),
            stop_budget: plan.stop_budget,
            outcome: None,
            killed: false,
            guarded: BTreeSet::new(),
            exits_put_off: BTreeMap::new(),
            asked_to_stop: false,
            judgements: BTreeMap::new(),
        }
    }

    /// Where the pod is in its life.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether a process of this container may be alive.
    #[must_use]
    pub fn alive(&self, name: &ComponentName) -> bool {
        self.nodes.get(name).is_some_and(Node::alive)
    }

    /// Its containers, init components first.
    pub fn nodes(&self) -> impl Iterator<Item = (&ComponentName, &Node)> {
        self.nodes.iter()
    }

    /// The last judgement of each plugin about each component.
    pub fn judgements(&self) -> impl Iterator<Item = (&PluginName, &Judgement)> {
        self.judgements.iter().map(|((plugin, _), judgement)| (plugin, judgement))
    }

    /// Takes one event and answers what is to be done, in order.
    #[must_use]
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Begin => self.advance(&mut actions),
            Event::Launched { name, checked } => self.launched(&name, checked, &mut actions),
            Event::LaunchFailed { name, reason } => {
                self.set(&name, Phase::Exited);
                self.fail(format!("component `{name}` could not be started: {reason}"), &mut actions);
                self.stop_more(&mut actions);
            }
            Event::LaunchDropped { name } => {
                self.set(&name, Phase::Skipped);
                self.stop_more(&mut actions);
            }
            Event::Exited { name, exit_code, oom_killed } => self.exited(&name, exit_code, oom_killed, &mut actions),
            Event::Decided { name, reaction } => self.decided(&name, reaction, &mut actions),
            Event::Health { name, health } => self.health_changed(&name, health, &mut actions),
            Event::Judged { plugin, judgements } => {
                for judgement in judgements {
                    self.judgements.insert((plugin.clone(), judgement.component.clone()), judgement);
                }
            }
            Event::Signal(signal) => self.signalled(signal, &mut actions),
            Event::SignalDecided { signal, decision } => self.signal_decided(signal, decision, &mut actions),
            Event::Deadline(deadline) => self.deadline(deadline, &mut actions),
            Event::PluginFailed(failure) => {
                self.fail(failure.to_string(), &mut actions);
                self.stop_more(&mut actions);
            }
            Event::Restart(name) => self.restart(&name, &mut actions),
            Event::Guard(names) => self.guarded = names,
            Event::Unguard => self.unguard(&mut actions),
            Event::Cleaned => {
                if self.stage == Stage::Cleaning {
                    self.stage = Stage::Done;
                    actions.push(Action::Finish(self.final_outcome()));
                }
            }
        }
        actions
    }

    fn set(&mut self, name: &ComponentName, phase: Phase) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.phase = phase;
        }
    }

    /// Starts what may be started now.
    fn advance(&mut self, actions: &mut Vec<Action>) {
        if self.stage == Stage::Init {
            let next = self.nodes.iter().find(|(_, node)| node.init && node.phase != Phase::Exited);
            match next {
                Some((name, node)) => {
                    if node.phase == Phase::Waiting {
                        let name = name.clone();
                        self.set(&name, Phase::Launching);
                        actions.push(Action::Launch(name));
                    }
                    return;
                }
                None => self.stage = Stage::Starting,
            }
        }
        if self.stage != Stage::Starting {
            return;
        }
        let due: Vec<ComponentName> = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.init && node.phase == Phase::Waiting && self.may_start(node))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.set(&name, Phase::Launching);
            actions.push(Action::Launch(name));
        }
        if self.nodes.values().all(|node| node.started_once) {
            self.stage = Stage::Running;
            actions.push(Action::Started);
        }
    }

    fn may_start(&self, node: &Node) -> bool {
        node.depends_on.iter().all(|(name, on)| {
            self.nodes.get(name).is_some_and(|other| match on.condition {
                Condition::Started => other.started_once,
                Condition::Completed => other.phase == Phase::Exited && other.exit_code == Some(0),
                Condition::Healthy => {
                    other.started_once && other.health.is_none_or(|health| health == EngineHealth::Healthy)
                }
            })
        })
    }

    fn launched(&mut self, name: &ComponentName, checked: bool, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.phase = Phase::Running;
        node.started_once = true;
        if checked && node.health.is_none() {
            node.health = Some(EngineHealth::Starting);
        }
        if let Some((exit_code, oom_killed)) = node.early_exit.take() {
            self.exited(name, exit_code, oom_killed, actions);
        } else if self.stage >= Stage::Killing {
            self.set(name, Phase::Stopping);
            actions.push(Action::Kill(name.clone()));
        } else if self.stage == Stage::Stopping {
            self.stop_more(actions);
        } else {
            self.advance(actions);
        }
    }

    fn exited(&mut self, name: &ComponentName, exit_code: i32, oom_killed: bool, actions: &mut Vec<Action>) {
        let guarded = self.guarded.contains(name);
        let Some(node) = self.nodes.get_mut(name) else { return };
        match node.phase {
            // The engine was quicker to report the exit than its answer to the start.
            Phase::Launching => {
                node.early_exit = Some((exit_code, oom_killed));
                return;
            }
            Phase::Running | Phase::Stopping => {}
            // Told twice: by the event and by the look after a reconnection.
            Phase::Waiting | Phase::Asking | Phase::BackingOff | Phase::Exited | Phase::Skipped => return,
        }
        node.exit_code = Some(exit_code);
        node.health = node.health.map(|_| EngineHealth::Starting);
        node.phase = Phase::Exited;
        if self.stage >= Stage::Stopping {
            self.stop_more(actions);
            return;
        }
        if std::mem::take(&mut node.again) {
            node.phase = Phase::Launching;
            node.restarts += 1;
            actions.push(Action::Relaunch(name.clone()));
        } else if node.init && exit_code == 0 {
            self.advance(actions);
        } else if guarded {
            self.exits_put_off.insert(name.clone(), (exit_code, oom_killed));
        } else {
            node.phase = Phase::Asking;
            actions.push(Action::Ask { name: name.clone(), exit_code, oom_killed });
        }
    }

    fn decided(&mut self, name: &ComponentName, reaction: Reaction, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.phase != Phase::Asking {
            return;
        }
        node.phase = Phase::Exited;
        if self.stage >= Stage::Stopping {
            self.stop_more(actions);
            return;
        }
        match reaction {
            Reaction::AsPlanned | Reaction::StopPod => self.end_with(name, actions),
            Reaction::Restart(after_ms) => {
                node.phase = Phase::BackingOff;
                let after = Duration::from_millis(after_ms.into());
                actions.push(Action::Arm(Deadline::BackOff(name.clone()), after));
            }
            Reaction::Ignore => {
                // What waits for it to become healthy would wait for ever, and a pod of which nothing runs has ended.
                let awaited = self.nodes.values().any(|other| {
                    other.phase == Phase::Waiting
                        && other.depends_on.iter().any(|(on, it)| on == name && it.condition == Condition::Healthy)
                });
                let over = self.nodes.values().all(|other| other.phase == Phase::Exited);
                if awaited || over {
                    self.end_with(name, actions);
                } else {
                    self.advance(actions);
                }
            }
        }
    }

    /// This component's exit ends the pod.
    fn end_with(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let code = self.nodes.get(name).and_then(|node| node.exit_code).unwrap_or_default();
        self.begin_stop(Outcome::Component { name: name.clone(), code }, actions);
    }

    fn fail(&mut self, reason: String, actions: &mut Vec<Action>) {
        self.begin_stop(Outcome::Failed { reason }, actions);
    }

    fn health_changed(&mut self, name: &ComponentName, health: EngineHealth, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if !matches!(node.phase, Phase::Launching | Phase::Running) {
            return;
        }
        node.health = Some(health);
        let (status, reason) = match health {
            EngineHealth::Starting => (Status::Starting, "the engine's health check has not succeeded yet"),
            EngineHealth::Healthy => (Status::Healthy, "the engine's health check succeeds"),
            EngineHealth::Unhealthy => (Status::Unhealthy, "the engine's health check fails"),
        };
        let judgement = Judgement { component: Some(name.clone()), status, reason: reason.to_owned() };
        actions.push(Action::TellHealth(judgement));
        self.advance(actions);
    }

    fn signalled(&mut self, signal: i32, actions: &mut Vec<Action>) {
        if !stops(signal) {
            if self.stage < Stage::Stopping {
                actions.push(Action::AskSignal(signal));
            }
            return;
        }
        if self.stage >= Stage::Stopping {
            // Again: whoever asks has no patience left.
            self.kill_all(actions);
        } else if self.asked_to_stop {
            // Plugins are still being asked about the first one.
            self.stop_by_signal(signal, actions);
        } else {
            self.asked_to_stop = true;
            // The time runs from here, whatever plugins say, and they have only so much of it to say it.
            actions.push(Action::Arm(Deadline::Budget, self.stop_budget));
            actions.push(Action::Arm(Deadline::Asked(signal), ASK_TIME));
            actions.push(Action::AskSignal(signal));
        }
    }

    fn signal_decided(&mut self, signal: i32, decision: SignalDecision, actions: &mut Vec<Action>) {
        match decision {
            SignalDecision::Forward => {}
            SignalDecision::Deliver(list) => {
                for (name, signal) in list {
                    if self.nodes.get(&name).is_some_and(|node| matches!(node.phase, Phase::Running | Phase::Stopping))
                    {
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
        let outcome = if self.stage < Stage::Running { Outcome::Interrupted { signal } } else { Outcome::Stopped };
        self.begin_stop(outcome, actions);
    }

    fn begin_stop(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        if self.stage >= Stage::Stopping {
            return;
        }
        self.stage = Stage::Stopping;
        self.outcome = Some(outcome);
        for node in self.nodes.values_mut() {
            match node.phase {
                Phase::Waiting => node.phase = Phase::Skipped,
                Phase::BackingOff => node.phase = Phase::Exited,
                Phase::Launching
                | Phase::Running
                | Phase::Stopping
                | Phase::Asking
                | Phase::Exited
                | Phase::Skipped => {}
            }
        }
        actions.push(Action::DropLaunches);
        if !self.asked_to_stop {
            actions.push(Action::Arm(Deadline::Budget, self.stop_budget));
        }
        self.stop_more(actions);
    }

    /// Asks those to stop that no living component depends on; once nothing lives, the pod is cleaned up.
    fn stop_more(&mut self, actions: &mut Vec<Action>) {
        if !matches!(self.stage, Stage::Stopping | Stage::Killing) {
            return;
        }
        if !self.nodes.values().any(Node::alive) {
            self.stage = Stage::Cleaning;
            actions.push(Action::Cleanup);
            return;
        }
        if self.stage == Stage::Killing {
            return;
        }
        let needed: BTreeSet<&ComponentName> = self
            .nodes
            .values()
            .filter(|node| node.alive())
            .flat_map(|node| node.depends_on.iter().map(|(name, _)| name))
            .collect();
        let due: Vec<(ComponentName, Duration)> = self
            .nodes
            .iter()
            .filter(|(name, node)| node.phase == Phase::Running && !needed.contains(name))
            .map(|(name, node)| (name.clone(), node.grace))
            .collect();
        for (name, grace) in due {
            self.ask_to_stop(&name, grace, actions);
        }
    }

    fn ask_to_stop(&mut self, name: &ComponentName, grace: Duration, actions: &mut Vec<Action>) {
        self.set(name, Phase::Stopping);
        actions.push(Action::Stop(name.clone()));
        actions.push(Action::Arm(Deadline::Grace(name.clone()), grace));
    }

    fn kill_all(&mut self, actions: &mut Vec<Action>) {
        if self.stage != Stage::Stopping {
            return;
        }
        self.stage = Stage::Killing;
        let alive: Vec<ComponentName> = self
            .nodes
            .iter()
            .filter(|(_, node)| matches!(node.phase, Phase::Running | Phase::Stopping))
            .map(|(name, _)| name.clone())
            .collect();
        for name in alive {
            self.set(&name, Phase::Stopping);
            self.kill(name, actions);
        }
        actions.push(Action::Arm(Deadline::Kill, KILL_TIME));
    }

    fn kill(&mut self, name: ComponentName, actions: &mut Vec<Action>) {
        self.killed |= self.stage >= Stage::Stopping;
        actions.push(Action::Kill(name));
    }

    fn deadline(&mut self, deadline: Deadline, actions: &mut Vec<Action>) {
        match deadline {
            Deadline::Grace(name) => {
                if self.nodes.get(&name).is_some_and(|node| node.phase == Phase::Stopping) {
                    self.kill(name, actions);
                }
            }
            Deadline::Asked(signal) => {
                if self.stage < Stage::Stopping {
                    self.stop_by_signal(signal, actions);
                }
            }
            Deadline::Budget => self.kill_all(actions),
            Deadline::Kill => {
                if self.stage == Stage::Killing {
                    // The engine does not answer: removing by force is all that is left.
                    self.stage = Stage::Cleaning;
                    actions.push(Action::Cleanup);
                }
            }
            Deadline::BackOff(name) => {
                let Some(node) = self.nodes.get_mut(&name) else { return };
                if node.phase == Phase::BackingOff && self.stage < Stage::Stopping {
                    node.phase = Phase::Launching;
                    node.restarts += 1;
                    actions.push(Action::Relaunch(name));
                }
            }
        }
    }

    fn restart(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        if self.stage >= Stage::Stopping {
            return;
        }
        let Some(node) = self.nodes.get_mut(name) else { return };
        match node.phase {
            Phase::Running => {
                node.again = true;
                let grace = node.grace;
                self.ask_to_stop(name, grace, actions);
            }
            Phase::Exited | Phase::BackingOff => {
                self.exits_put_off.remove(name);
                node.phase = Phase::Launching;
                node.restarts += 1;
                actions.push(Action::Relaunch(name.clone()));
            }
            Phase::Stopping => node.again = true,
            Phase::Waiting | Phase::Launching | Phase::Asking | Phase::Skipped => {}
        }
    }

    /// A rollout has ended: what exited meanwhile, and was not started again, is now asked about.
    fn unguard(&mut self, actions: &mut Vec<Action>) {
        self.guarded.clear();
        for (name, (exit_code, oom_killed)) in std::mem::take(&mut self.exits_put_off) {
            let Some(node) = self.nodes.get_mut(&name) else { continue };
            if node.phase == Phase::Exited && self.stage < Stage::Stopping {
                node.phase = Phase::Asking;
                actions.push(Action::Ask { name, exit_code, oom_killed });
            }
        }
    }

    fn final_outcome(&mut self) -> Outcome {
        match self.outcome.take() {
            Some(Outcome::Stopped) if self.killed => Outcome::Killed,
            Some(outcome) => outcome,
            None => Outcome::Stopped,
        }
    }
}

#[cfg(test)]
mod tests;
