//! Decides what the pod does next.
//!
//! [`Pod::step`] is pure: it takes one [`Event`] and answers [`Action`]s, which the driver carries out and whose outcomes come back as events.
//! Nothing here knows the engine, plugins or the clock, so that the whole life of a pod is tested without any of them.
//!
//! | file | decides |
//! | --- | --- |
//! | `start` | what may start, and when it counts as started |
//! | `exit` | what an exit means: a restart, the pod's end, or nothing |
//! | `stop` | signals, the order of stopping, deadlines |
//! | `health` | what the engine's checks and the controller's probes mean |
//! | `ready` | when the pod has started, how long that may take, and how long a repair may |
//! | `jobs` | what the end of a job means |
//! | `verdict` | the health of the pod and of its components |
//!
//! Invariants: once the pod is stopping no [`Action::Launch`] or [`Action::Relaunch`] is ever emitted, and never two for one component without an exit between them;
//! every container that was launched is stopped, or has exited, before [`Action::Cleanup`]; [`Action::Finish`] is the last action and is emitted once. The pod is never
//! healthy before every component that counts has been up; a crash before it has settled ends it; no repair leaves it healthy for longer than its budget.

mod exit;
mod health;
mod jobs;
mod ready;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;

use crate::containers::EngineHealth;
use crate::hooks::Judgement;
use crate::plan::budget::Budget;
use crate::plan::life::Life;
use crate::plan::{Plan, Planned};
use crate::pod::life::{RestartPolicy, RestartWhen, Role, Unready};
use crate::pod::{ComponentName, Dependency, PluginName};
use crate::supervisor::events::{Action, Event, KILLED, MemoryLimits, Oom, Outcome, Phase, Shortage, Stage};

pub use self::health::check_says;

/// One container of the pod.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what was written, and what has happened, each by itself: no two of them exclude each other"
)]
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it is in its life.
    pub phase: Phase,
    /// What must have happened to others before it starts.
    depends_on: Vec<(ComponentName, Dependency)>,
    grace: Duration,
    /// Whether it must finish before the others start.
    pub init: bool,
    essential: bool,
    /// The part that it plays.
    role: Role,
    /// Whether others await its success, or it is the pod's work.
    job: bool,
    policy: RestartPolicy,
    /// Whether something is to be done after its start.
    settles: bool,
    /// Whether something is to be done before its stop.
    parts: bool,
    /// How long a repair of it may take; zero: without a limit.
    repair: Duration,
    /// What of that its health check declares, as far as the plan has it.
    check_declared: Duration,
    /// Whether its current run has lasted for `min_ready`.
    lasted: bool,
    /// Whether it has been up, in this life of the pod or an earlier one.
    up_once: bool,
    /// Which run of it ended and is being repaired; none while it is up, and before the pod was healthy.
    down: Option<u64>,
    /// Whether the repair has taken longer than it may.
    overdue: bool,
    /// What the controller's own probes say; none without probes.
    pub probed: Option<Probed>,
    /// How often it has been started again.
    pub restarts: u32,
    /// The same, since it last ran long enough to count as new.
    attempts: u32,
    /// Which run of its process this is, counted from 1: what belongs to an earlier run is passed over.
    run: u64,
    /// Whether somebody has frozen its processes.
    pub paused: bool,
    /// Code of its last exit.
    pub exit_code: Option<i32>,
    /// What a want of memory had to do with the end of its last run.
    pub shortage: Shortage,
    /// The memory that it may use.
    memory: MemoryLimits,
    /// Why its current, or last, run counts as failed whatever its exit code is.
    pub failure: Option<String>,
    /// The engine's verdict, where it checks; `starting` again once its process has ended.
    pub health: Option<EngineHealth>,
    /// Why the engine's last check of the current run failed, in one line, as far as it did and is known.
    pub finding: Option<String>,
    /// Whether it has counted as started since the pod, or its last restart in place, began.
    started_once: bool,
    /// Whether it was launched before: its container is there.
    launched_once: bool,
    /// Whether it has ended with success, and that was its purpose.
    completed: bool,
    /// Whether it has ended for good, and the pod went on.
    gone_without: bool,
    /// Whether its stop signal has been delivered to its current run: until then nothing was asked of it.
    asked: bool,
    /// How much of its grace period is left for its process, once its stop signal has been delivered.
    time_left: Duration,
    /// What of the pod's time for its stop is reserved for it.
    share: Duration,
    /// Whether its share has begun, and what stops before it was killed for that.
    turn_came: bool,
    /// Whether its current run was to be killed for want of an end.
    killed: bool,
    /// The same, while the pod was ending.
    killed_at_the_end: bool,
    /// Whether the operator knows that its main process does not pass signals on.
    unpassed: bool,
    /// Whether its last run was killed by somebody else, and not for want of memory.
    killed_from_outside: bool,
    /// An exit that came before the news of its launch.
    early_exit: Option<(i32, Oom)>,
    /// Whether it is to be started again as soon as it has stopped.
    again: bool,
    /// Dependencies that were started again, after which it is to be started again too.
    outdated_by: BTreeSet<ComponentName>,
}

/// What the controller's own probes say about a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Whether the startup probe has succeeded, where there is one.
    pub started: bool,
    /// What the readiness probe says, where there is one: none before its first verdict.
    pub ready: Option<Result<(), String>>,
    /// Whether there is a startup probe.
    waits_for_start: bool,
    /// Whether there is a readiness probe.
    waits_for_ready: bool,
    /// What an unready one means for the pod.
    pub unready: Unready,
}

impl Probed {
    fn of(planned: &Planned) -> Option<Self> {
        let readiness = planned.probes.readiness.as_ref();
        (!planned.probes.is_empty()).then(|| Self {
            started: false,
            ready: None,
            waits_for_start: planned.probes.startup.is_some(),
            waits_for_ready: readiness.is_some(),
            unready: readiness.map(|probe| probe.unready).unwrap_or_default(),
        })
    }

    /// Whether nothing speaks against it.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.started && (!self.waits_for_ready || self.ready == Some(Ok(())))
    }

    fn reset(&mut self) {
        self.started = false;
        self.ready = None;
    }
}

impl Node {
    fn new(planned: &Planned, init: bool, life: &Life, budget: &Budget) -> Self {
        let repair = if life.repair_budget.is_zero() {
            Duration::ZERO
        } else {
            life.repair_budget.saturating_add(planned.start)
        };
        Self {
            phase: Phase::Waiting,
            depends_on: planned.depends_on.clone(),
            grace: planned.grace,
            init,
            essential: planned.essential,
            role: planned.role,
            job: planned.job,
            policy: planned.restart.clone(),
            settles: !planned.post_start.is_empty(),
            parts: !planned.pre_stop.is_empty(),
            repair,
            check_declared: planned.start_of_check,
            lasted: false,
            up_once: false,
            down: None,
            overdue: false,
            probed: Probed::of(planned),
            restarts: 0,
            attempts: 0,
            run: 0,
            paused: false,
            exit_code: None,
            shortage: Shortage::None,
            memory: MemoryLimits { own: planned.container.host.memory, pod: budget.memory_together() },
            failure: None,
            health: None,
            finding: None,
            started_once: false,
            launched_once: false,
            completed: false,
            gone_without: false,
            asked: false,
            time_left: planned.grace,
            share: planned.grace,
            turn_came: false,
            killed: false,
            killed_at_the_end: false,
            unpassed: false,
            killed_from_outside: false,
            early_exit: None,
            again: false,
            outdated_by: BTreeSet::new(),
        }
    }

    /// Whether it works, as far as anybody looks: its process runs, its check succeeds, its probes hold.
    fn healthy(&self) -> bool {
        self.phase == Phase::Running
            && self.health.is_none_or(|health| health == EngineHealth::Healthy)
            && self.probed.as_ref().is_none_or(Probed::holds)
    }

    /// Which run of its process this is, counted from 1; 0 before the first.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Whether it has ended for good, and the pod went on.
    #[must_use]
    pub fn gone_without(&self) -> bool {
        self.gone_without
    }

    /// Whether it has been brought up before, in this life of the pod or an earlier one.
    #[must_use]
    pub fn launched_before(&self) -> bool {
        self.launched_once
    }

    /// Whether it ended as it should, for those that await its success.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.job && !self.failed()
    }

    /// How its last run ended, as a predicate; none before the first end.
    fn last_end(&self) -> Option<String> {
        self.failure.clone().or_else(|| self.exit_code.map(|code| self.shortage.end(code)))
    }

    /// What a want of memory has to do with an exit of the current run. A kill that the controller asked for is never the kernel's.
    #[must_use]
    pub fn shortage_of(&self, exit_code: i32, oom: Oom) -> Shortage {
        match oom {
            Oom::Never => Shortage::None,
            Oom::AtTheEnd if exit_code == KILLED && !self.killed => Shortage::Starved(self.memory),
            Oom::AtTheEnd | Oom::Earlier => Shortage::Earlier(self.memory),
        }
    }

    /// Whether it has ended for good.
    fn over(&self) -> bool {
        matches!(self.phase, Phase::Exited | Phase::Skipped)
    }

    /// Whether its last run failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failure.is_some() || self.exit_code.is_some_and(|code| code != 0)
    }

    fn watched(&self) -> bool {
        self.policy.when != RestartWhen::Never
    }
}

/// The state of a pod.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own beside the stage")]
#[derive(Debug)]
pub struct Pod {
    stage: Stage,
    nodes: IndexMap<ComponentName, Node>,
    stop_budget: Duration,
    drain: Duration,
    /// Whether it is left alone for a while before its components stop.
    draining: bool,
    /// Whether all have been started at least once.
    ran: bool,
    /// The pause before the pod is started again in place.
    restart_after: Duration,
    outcome: Option<Outcome>,
    /// Why a plugin has failed whose failure ends the pod; it may come when the pod ends already.
    plugin_failure: Option<String>,
    /// Whether a process ended by a kill while the pod was ending.
    killed: bool,
    /// Whether the engine shuts down, and stops and kills the components itself.
    engine_leaves: bool,
    guarded: BTreeSet<ComponentName>,
    /// Those of `guarded` that have exited: code, and whether for want of memory.
    exits_put_off: BTreeMap<ComponentName, (i32, bool)>,
    /// Those of `guarded` whose start has come due: the rollout starts them, or its end does.
    starts_put_off: BTreeSet<ComponentName>,
    /// Stop signals that plugins are being asked about.
    asked_to_stop: bool,
    judgements: BTreeMap<verdict::JudgedBy, Judgement>,
    /// The pause until the operator is told what is waited for; none where nobody waits.
    patience: Option<Duration>,
    life: Life,
    /// Whether it has been healthy.
    was_healthy: bool,
    /// Whether it was healthy for the first time so short a while ago that a crash ends it.
    settling: bool,
    /// Whether the clock of the start stands still.
    start_is_held: bool,
    /// Components that were not up when the start had taken too long, and whose last run failed.
    blamed: BTreeSet<ComponentName>,
    /// Those that were started, and for which the start took too long.
    late: BTreeSet<ComponentName>,
    /// Jobs that failed, in the order of their ends.
    failed_jobs: Vec<ComponentName>,
    /// How often the container that lends its IPC namespace has ended, since it last ran long enough to count as new.
    donor_ends: u32,
}

impl Pod {
    /// A pod of which nothing has been started.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let node = |planned: &Planned, init| (planned.name.clone(), Node::new(planned, init, &plan.life, &plan.budget));
        let init = plan.init.iter().map(|planned| node(planned, true));
        let components = plan.components.iter().map(|planned| node(planned, false));
        Self {
            stage: if plan.init.is_empty() { Stage::Starting } else { Stage::Init },
            nodes: init.chain(components).collect(),
            stop_budget: plan.stop_budget,
            drain: plan.drain,
            draining: false,
            ran: false,
            restart_after: Duration::ZERO,
            outcome: None,
            plugin_failure: None,
            killed: false,
            engine_leaves: false,
            guarded: BTreeSet::new(),
            exits_put_off: BTreeMap::new(),
            starts_put_off: BTreeSet::new(),
            asked_to_stop: false,
            judgements: BTreeMap::new(),
            patience: None,
            life: plan.life.clone(),
            was_healthy: false,
            settling: false,
            start_is_held: false,
            blamed: BTreeSet::new(),
            late: BTreeSet::new(),
            failed_jobs: Vec::new(),
            donor_ends: 0,
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
        self.nodes.get(name).is_some_and(|node| node.phase.alive())
    }

    /// Whether anything of it may have a process.
    fn any_alive(&self) -> bool {
        self.nodes.values().any(|node| node.phase.alive())
    }

    /// Its containers, init components first.
    pub fn nodes(&self) -> impl Iterator<Item = (&ComponentName, &Node)> {
        self.nodes.iter()
    }

    /// One of its containers.
    #[must_use]
    pub fn node(&self, name: &ComponentName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Whether a rollout decides about this container's exits and starts.
    #[must_use]
    pub fn is_guarded(&self, name: &ComponentName) -> bool {
        self.guarded.contains(name)
    }

    /// The last judgement of each plugin about each component.
    pub fn judgements(&self) -> impl Iterator<Item = (&PluginName, &Judgement)> {
        self.judgements.iter().map(|(by, judgement)| (&by.0, judgement))
    }

    /// Whether all have been started at least once.
    #[must_use]
    pub fn ran(&self) -> bool {
        self.ran
    }

    /// What ended the pod, once something has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Components that were started, and were not up at the end of `start_deadline`: their output may say why.
    pub fn late(&self) -> impl Iterator<Item = &ComponentName> {
        self.late.iter()
    }

    /// Components whose last run failed by itself, the one that ended the pod first: what is worth keeping for a look.
    #[must_use]
    pub fn failed(&self) -> Vec<ComponentName> {
        let decider = match &self.outcome {
            Some(outcome) => outcome.component(),
            None => None,
        };
        let by_itself = |(name, node): &(&ComponentName, &Node)| {
            node.launched_once
                && node.failed()
                && (decider == Some(*name) || self.gave_up(name) || self.blamed.contains(*name))
        };
        let mut failed: Vec<_> = self.nodes.iter().filter(by_itself).map(|(name, _)| name.clone()).collect();
        failed.sort_by_key(|name| decider != Some(name));
        failed
    }

    /// Takes one event and answers what is to be done, in order.
    #[must_use]
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Begin => self.begin(&mut actions),
            Event::CheckKnown { name, declared } => self.check_known(&name, declared, &mut actions),
            Event::Launched { name, checked } => self.launched(&name, checked, &mut actions),
            Event::LaunchFailed { name, reason } => self.launch_failed(&name, reason, &mut actions),
            Event::LaunchDropped { name } => {
                self.set(&name, Phase::Skipped);
                self.stop_more(&mut actions);
            }
            Event::Settled { name, run, outcome } => self.settled(&name, run, outcome, &mut actions),
            Event::Parted { name, run, took } => self.parted(&name, run, took, &mut actions),
            Event::Asked { name, run } => self.asked(&name, run, &mut actions),
            Event::Vanished { name, run } => self.vanished(&name, run, &mut actions),
            Event::Unpassed { name, what } => {
                let unpassed = self.nodes.get_mut(&name).map(|node| &mut node.unpassed);
                if unpassed.is_some_and(|unpassed| !std::mem::replace(unpassed, true)) {
                    actions.push(Action::Warn(format!("component `{name}` {what}")));
                }
            }
            Event::EngineLeaves => {
                if !std::mem::replace(&mut self.engine_leaves, true) {
                    actions.push(Action::LeaveEngine);
                }
            }
            Event::Probed { name, run, verdict } => self.probed(&name, run, verdict, &mut actions),
            Event::Exited { name, exit_code, oom } => self.exited(&name, exit_code, oom, &mut actions),
            Event::Decided { name, reaction } => self.decided(&name, reaction, &mut actions),
            Event::Health { name, run, health, finding } => {
                self.health_changed(&name, run, health, finding, &mut actions);
            }
            Event::Paused { name, paused } => {
                if let Some(node) = self.nodes.get_mut(&name).filter(|node| node.phase.has_process()) {
                    node.paused = paused;
                }
            }
            Event::Judged { plugin, judgements } => {
                for judgement in judgements {
                    self.judge(plugin.clone(), judgement);
                }
            }
            Event::Signal(signal) => self.signalled(signal, &mut actions),
            Event::SignalDecided { signal, decision } => self.signal_decided(signal, decision, &mut actions),
            Event::Deadline(deadline) => self.deadline(deadline, &mut actions),
            Event::PluginFailed(failure) => {
                self.plugin_failure.get_or_insert_with(|| failure.to_string());
                self.fail(failure.to_string(), &mut actions);
                self.stop_more(&mut actions);
            }
            Event::Restart(name) => self.restart(&name, &mut actions),
            Event::Guard(names) => self.guarded = names,
            Event::Unguard => self.unguard(&mut actions),
            // The driver shows the pod after each event.
            Event::Waits => {}
            Event::DonorEnded => self.donor_ended(&mut actions),
            Event::Cleaned => {
                if self.stage == Stage::Cleaning {
                    self.stage = Stage::Done;
                    actions.push(Action::Finish(self.final_outcome()));
                }
            }
        }
        self.take_stock(&mut actions);
        actions
    }

    fn set(&mut self, name: &ComponentName, phase: Phase) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.phase = phase;
        }
    }

    fn final_outcome(&mut self) -> Outcome {
        // Nobody has heard of their end: the removal by force has killed them, or the end of the controller will.
        let unheard = self.nodes.values().any(|node| node.killed_at_the_end && node.phase.has_process());
        let outcome = match self.outcome.clone() {
            Some(Outcome::Stopped) if self.killed || unheard => Outcome::Killed,
            Some(outcome) => outcome,
            None => Outcome::Stopped,
        };
        // A success would hide it; any other code says more.
        match self.plugin_failure.take() {
            Some(reason) if outcome.exit_code() == 0 => Outcome::Failed { reason },
            _ => outcome,
        }
    }
}
