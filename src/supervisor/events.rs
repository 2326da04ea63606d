//! What can happen to a pod, what is done about it, and where it stands: the words between [`state`](crate::supervisor::state) and the driver.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::containers::EngineHealth;
use crate::hooks::{HookFailure, Judgement, Reaction, SignalDecision};
use crate::plan::units::size;
use crate::pod::{ComponentName, PluginName};
use crate::probe::Verdict;

/// Exit code of a process that SIGKILL has ended.
pub const KILLED: i32 = 137;

/// Where the pod is in its life. Ordered: it only ever moves on, but for a restart in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Init components run, one after the other.
    Init,
    /// Components are started as their conditions come true.
    Starting,
    /// All have been started.
    Running,
    /// All are being stopped, in order to be started again in place. The one stage from which the pod goes back.
    Restarting,
    /// Components are asked to stop, dependents first.
    Stopping,
    /// The time is up: what still runs is killed.
    Killing,
    /// Nothing runs; containers are being removed.
    Cleaning,
    /// It is over.
    Done,
}

/// Where one container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its turn has not come.
    Waiting,
    /// Being pulled, created, filled or started.
    Launching,
    /// Its process runs, and what is to be done after its start is being done.
    Settling,
    /// Its process runs.
    Running,
    /// What is to be done before its stop is being done.
    Parting,
    /// Asked to stop.
    Stopping,
    /// Its process ended; plugins are asked what that means.
    Asking,
    /// Its process ended, and will be started again when a timer has run out.
    BackingOff,
    /// Its process ended, and that was that.
    Exited,
    /// Never ran, and never will.
    Skipped,
}

/// What ended the pod, and so its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This component's exit.
    Component {
        /// Which one.
        name: ComponentName,
        /// Its code, unchanged.
        code: i32,
        /// Whether memory ran out in this run.
        shortage: Shortage,
    },
    /// This component failed in another way than by its exit: it could not be started, or a probe or a step of its start failed.
    Unfit {
        /// Which one.
        name: ComponentName,
        /// Why, as a predicate: `failed its liveness probe: …`.
        reason: String,
    },
    /// A signal, and everything stopped when asked.
    Stopped,
    /// A signal, while the pod was still starting.
    Interrupted {
        /// Which one.
        signal: i32,
    },
    /// A signal, and something had to be killed.
    Killed,
    /// Something could not be done.
    Failed {
        /// Why, for the operator.
        reason: String,
    },
}

/// Whether the engine has reported that the kernel killed a process of a container for want of memory, during one run of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Oom {
    /// Never.
    #[default]
    Never,
    /// At some time before the end.
    Earlier,
    /// At the moment when the run ended with SIGKILL.
    AtTheEnd,
}

impl Oom {
    /// What the engine's own memory of it says, if its report is missing.
    #[must_use]
    pub fn remembered(exit_code: i32, flag: bool) -> Self {
        match flag {
            false => Self::Never,
            true if exit_code == KILLED => Self::AtTheEnd,
            true => Self::Earlier,
        }
    }
}

/// What a want of memory had to do with the end of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shortage {
    /// Nothing.
    #[default]
    None,
    /// It did not cause the end: the kernel killed another process, some time before.
    Earlier(MemoryLimits),
    /// The kernel killed the component itself.
    Starved(MemoryLimits),
}

/// The limits that a component has to keep, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Its own.
    pub own: Option<i64>,
    /// The limit of all components together, if the kernel enforces one.
    pub pod: Option<i64>,
}

impl Shortage {
    /// Whether the kernel killed the component for want of memory.
    #[must_use]
    pub fn is_starved(self) -> bool {
        matches!(self, Self::Starved(_))
    }

    /// How the run ended, as a predicate.
    #[must_use]
    pub fn end(self, code: i32) -> String {
        match self {
            Self::None => format!("exited with code {code}"),
            Self::Earlier(limits) => format!("exited with code {code}; {}", limits.earlier()),
            Self::Starved(limits) => format!("was killed because memory ran out ({KILLED}; {limits})"),
        }
    }
}

impl MemoryLimits {
    /// That a kill came some time before the end. With cgroup v1, the engine reports a kill under the limit of a pod for each of its containers.
    #[must_use]
    pub fn earlier(self) -> &'static str {
        match self.pod {
            None => "a process of it was killed earlier because memory ran out",
            Some(_) => "a process of the pod was killed earlier because memory ran out",
        }
    }
}

impl fmt::Display for MemoryLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.own {
            Some(limit) => write!(f, "`mem_limit` {}", size(limit))?,
            None => f.write_str("it has no `mem_limit` of its own")?,
        }
        self.pod.map_or(Ok(()), |limit| write!(f, "; the limit of the pod is {}", size(limit)))
    }
}

impl Phase {
    /// Whether a process of it may be alive.
    #[must_use]
    pub fn alive(self) -> bool {
        match self {
            Self::Launching | Self::Settling | Self::Running | Self::Parting | Self::Stopping => true,
            Self::Waiting | Self::Asking | Self::BackingOff | Self::Exited | Self::Skipped => false,
        }
    }

    /// Whether its process runs, and nothing was asked of it yet.
    #[must_use]
    pub fn unasked(self) -> bool {
        matches!(self, Self::Settling | Self::Running)
    }

    /// Whether its process was alive when it was last heard of.
    #[must_use]
    pub fn has_process(self) -> bool {
        self.alive() && self != Self::Launching
    }
}

impl Outcome {
    /// The component whose end is the pod's, where it is one's.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentName> {
        match self {
            Self::Component { name, .. } | Self::Unfit { name, .. } => Some(name),
            Self::Stopped | Self::Interrupted { .. } | Self::Killed | Self::Failed { .. } => None,
        }
    }

    /// Whether the pod has failed, and was not asked to end.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Component { code, .. } => *code != 0,
            Self::Unfit { .. } | Self::Failed { .. } => true,
            Self::Stopped | Self::Interrupted { .. } | Self::Killed => false,
        }
    }

    /// The controller's exit code: the component's own; 0 after a clean stop; 128 + n for a signal during start-up; 137 where a stop had to kill;
    /// 125, as `docker run` reports itself, for a failure of the controller, an image, a plugin, or of a component that failed otherwise than by its exit.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // What no process can answer counts as a failure, never as success.
            Self::Component { code, .. } => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Stopped => 0,
            Self::Interrupted { signal } => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Self::Killed => 137,
            // The code that such a component ends with comes of being asked to stop, and says nothing: 143 would look like a stop from outside.
            Self::Failed { .. } | Self::Unfit { .. } => 125,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component { name, code, shortage } => write!(f, "component `{name}` {}", shortage.end(*code)),
            Self::Unfit { name, reason, .. } => write!(f, "component `{name}` {reason}"),
            Self::Stopped => f.write_str("the pod was stopped by a signal"),
            Self::Interrupted { signal } => write!(f, "signal {signal} ended the pod during its start"),
            Self::Killed => {
                f.write_str("the pod was stopped by a signal, and at least one of its processes was killed")
            }
            Self::Failed { reason } => f.write_str(reason),
        }
    }
}

/// What happened. Closed: every event is decided about in every stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The driver is ready.
    Begin,
    /// A container's process runs.
    Launched {
        /// Which.
        name: ComponentName,
        /// Whether the engine checks its health.
        checked: bool,
    },
    /// The engine's check of a container, which its image may have brought, is known.
    CheckKnown {
        /// Of which.
        name: ComponentName,
        /// What the check declares of the start: its start period, and one interval.
        declared: Duration,
    },
    /// A container can't be started.
    LaunchFailed {
        /// Which.
        name: ComponentName,
        /// Why, for the operator.
        reason: String,
    },
    /// A launch was given up because the pod is stopping; its process does not run.
    LaunchDropped {
        /// Which.
        name: ComponentName,
    },
    /// What is to be done after a start has been done.
    Settled {
        /// Whose start.
        name: ComponentName,
        /// Which run of it, see [`Action::Settle`].
        run: u64,
        /// Why it failed, for the operator.
        outcome: Result<(), String>,
    },
    /// What is to be done before a stop has been done, or has had its time.
    Parted {
        /// Whose stop.
        name: ComponentName,
        /// Which run of it.
        run: u64,
        /// How much of its grace period this has taken.
        took: Duration,
    },
    /// Its stop signal has been delivered, or never will be: from here on its grace period runs.
    Asked {
        /// Which.
        name: ComponentName,
        /// Which run of it.
        run: u64,
    },
    /// Its main process does not pass its stop signal on.
    Unpassed {
        /// Which.
        name: ComponentName,
        /// What is done about it and what the user can do, as a predicate.
        what: String,
    },
    /// The controller was asked to stop, and the engine takes no calls: it shuts down, and stops all containers itself.
    EngineLeaves,
    /// The controller sees that no process of this container is left, and the engine is not there to report the exit code.
    Vanished {
        /// Which.
        name: ComponentName,
        /// Which run of it.
        run: u64,
    },
    /// The controller's own probes changed their mind.
    Probed {
        /// About which container.
        name: ComponentName,
        /// Which run of it.
        run: u64,
        /// The new verdict.
        verdict: Verdict,
    },
    /// A container's process ended.
    Exited {
        /// Which.
        name: ComponentName,
        /// 128 + n where a signal ended it.
        exit_code: i32,
        /// Whether memory ran out in this run.
        oom: Oom,
    },
    /// What plugins say about an exit.
    Decided {
        /// Whose exit.
        name: ComponentName,
        /// What to do.
        reaction: Reaction,
    },
    /// The engine's own check, or the controller's early look with the same command, changed its mind.
    Health {
        /// About which container.
        name: ComponentName,
        /// Which run of it; none where the engine tells, whose words come in the order of what happened.
        run: Option<u64>,
        /// The new verdict.
        health: EngineHealth,
        /// Why the last check failed, in one line, if it did and the reason is known.
        finding: Option<String>,
    },
    /// Somebody has frozen a container's processes, or has let them go on.
    Paused {
        /// Which.
        name: ComponentName,
        /// Whether they are frozen now.
        paused: bool,
    },
    /// What a plugin thinks of the pod's health.
    Judged {
        /// Which plugin.
        plugin: PluginName,
        /// Its judgements; they replace its last ones about the same components.
        judgements: Vec<Judgement>,
    },
    /// The controller received a signal.
    Signal(i32),
    /// What plugins say about a signal.
    SignalDecided {
        /// Which.
        signal: i32,
        /// What to do.
        decision: SignalDecision,
    },
    /// A timer has run out.
    Deadline(Deadline),
    /// A plugin failed, and `on-error` says that this ends the pod.
    PluginFailed(HookFailure),
    /// A rollout wants this component to be stopped (where it runs) and started.
    Restart(ComponentName),
    /// A rollout is under way: an exit of these components is its business until it ends.
    Guard(BTreeSet<ComponentName>),
    /// No rollout is under way any more.
    Unguard,
    /// What waits for a rollout has changed: `status` is to show it.
    Waits,
    /// The container that lends its IPC namespace has ended.
    DonorEnded,
    /// Everything has been removed, or could not be.
    Cleaned,
}

/// Timers. One of a kind replaces the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// This component has had its time to stop, from the delivery of its stop signal on.
    Grace(ComponentName),
    /// Whatever is to be done before its stop has taken all of this component's time.
    Parting(ComponentName),
    /// Plugins have had their time to say what this signal, which stops the pod, means.
    Asked(i32),
    /// This component was killed, and should be dead by now.
    Dead(ComponentName),
    /// Somebody has waited for others so long that the operator should know.
    Patience,
    /// This component's share of the pod's time to stop begins.
    Turn(ComponentName),
    /// Of this component's share only so much is left as its process needs.
    LastCall(ComponentName),
    /// The pod has had its time to stop.
    Budget,
    /// What was killed should be dead by now.
    Kill,
    /// This component is due to be started again.
    BackOff(ComponentName),
    /// This component has run so long that its earlier restarts are forgotten.
    Proven(ComponentName),
    /// This run of this component has lasted so long that it counts as up, if nothing else is known of it.
    Ready(ComponentName, u64),
    /// The pod has had its time to become healthy for the first time.
    Start,
    /// The pod has been healthy so long that a crash is repaired.
    Settled,
    /// This component has had its time to be up again after this run of it ended.
    Repair(ComponentName, u64),
    /// The pod has had its time to be left alone before it stops.
    Drain,
    /// The pod is due to be started again in place.
    PodBackOff,
    /// The container that lends its IPC namespace has run so long that its earlier ends are forgotten.
    DonorProven,
}

/// Why a component is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillReason {
    /// Its own grace period is over.
    Grace(Duration),
    /// It is slow, and another component stops after it.
    Next {
        /// Which.
        next: ComponentName,
        /// What the pod has for its stop.
        of: Duration,
    },
    /// What the pod has for its stop is over.
    PodTime(Duration),
    /// The controller was asked once more to stop.
    AskedAgain,
    /// Its start was through only when all others had been killed.
    Late,
}

impl KillReason {
    /// For the operator, as a predicate; `asked`: its stop signal was delivered.
    #[must_use]
    pub fn sentence(&self, asked: bool) -> String {
        let late = if asked { "did not stop in time and is killed" } else { "is killed before it got its stop signal" };
        match self {
            Self::Grace(grace) => format!("{late}: its grace period of {grace:?} is over"),
            Self::Next { next, of } => {
                format!("{late}: `{next}` stops after it, and needs its share of the {of:?} that the pod has to stop")
            }
            Self::PodTime(time) => format!("{late}: the {time:?} that the pod has to stop are over"),
            Self::AskedAgain => "is killed: the controller was asked once more to stop".to_owned(),
            Self::Late => "is killed: its start took until the others had been killed".to_owned(),
        }
    }
}

/// How a run of a component ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The engine reported its exit.
    Exited {
        /// 128 + n if a signal ended it.
        code: i32,
        /// What a want of memory had to do with it.
        shortage: Shortage,
    },
    /// No process of it is left, and the engine does not answer, which knows the exit code.
    Vanished,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Pull, create, fill and start it; answers `Launched`, `LaunchFailed` or `LaunchDropped`.
    Launch(ComponentName),
    /// Start the container that is there already; answers as `Launch` does.
    Relaunch(ComponentName),
    /// A run has begun: look at it, listen to it, tell plugins.
    RunBegan {
        /// Of which component.
        name: ComponentName,
        /// Which run of it, counted from 1.
        run: u64,
    },
    /// A run has ended: what goes on beside it ends, too. Once for each run that began.
    RunEnded {
        /// Of which component.
        name: ComponentName,
        /// How.
        end: RunEnd,
    },
    /// Find out whether the engine still takes calls; answers `EngineLeaves` if it does not.
    SeekEngine,
    /// The engine shuts down: nothing is asked of it any more.
    LeaveEngine,
    /// Do what is to be done after the start of this run; answers `Settled`.
    Settle {
        /// Of which component.
        name: ComponentName,
        /// Which run of it, counted from 1.
        run: u64,
    },
    /// Begin to probe this run, until its process ends; answers `Probed`.
    Probe {
        /// Which component.
        name: ComponentName,
        /// Which run of it.
        run: u64,
    },
    /// Do what is to be done before a stop, in at most `within`; answers `Parted`.
    Part {
        /// Which component.
        name: ComponentName,
        /// Which run of it.
        run: u64,
        /// Its time; then it is asked to stop all the same.
        within: Duration,
    },
    /// Tell the operator.
    Warn(String),
    /// Start the container again that lends its IPC namespace.
    ReviveDonor {
        /// The pause before.
        after: Duration,
    },
    /// Ask plugins about an exit; answers `Decided`.
    Ask {
        /// Whose.
        name: ComponentName,
        /// Its code.
        exit_code: i32,
        /// Whether the kernel killed it for want of memory.
        oom_killed: bool,
    },
    /// Ask plugins about a signal; answers `SignalDecided`.
    AskSignal(i32),
    /// Tell plugins with `health` what the engine found.
    TellHealth(Judgement),
    /// Send a signal.
    Send(ComponentName, i32),
    /// Ask it to stop, with its own stop signal; answers `Asked`.
    Stop {
        /// Which component.
        name: ComponentName,
        /// Which run of it.
        run: u64,
    },
    /// Kill it, if a look shows that it still runs.
    Kill {
        /// Which component.
        name: ComponentName,
        /// Whether its stop signal has been delivered.
        asked: bool,
        /// Why.
        why: KillReason,
    },
    /// Set a timer.
    Arm(Deadline, Duration),
    /// Stop the clock of a timer that may be set.
    Hold(Deadline),
    /// Let the clock of a timer go on that was held.
    GoOn(Deadline),
    /// Give a timer that may be set, or held, more time.
    Extend(Deadline, Duration),
    /// Give up launches between two steps, and pulls at once.
    DropLaunches,
    /// All components have been started for the first time: begin watches and ticks.
    Started,
    /// Read the rest of the output, remove containers; answers `Cleaned`.
    Cleanup {
        /// Components whose last run failed by itself, the one that ended the pod first: what is worth keeping for a look.
        failed: Vec<ComponentName>,
    },
    /// The end.
    Finish(Outcome),
}

/// Signals that stop a pod: Linux's SIGINT, SIGQUIT and SIGTERM.
#[must_use]
pub fn stops(signal: i32) -> bool {
    matches!(signal, 2 | 3 | 15)
}
