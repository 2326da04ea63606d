//! What can happen to a pod, what is done about it, and where it stands: the words between [`state`](crate::supervisor::state) and the driver.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::engine::EngineHealth;
use crate::hooks::{HookFailure, Judgement, Reaction, SignalDecision};
use crate::pod::{ComponentName, PluginName};

/// Where the pod is in its life. Ordered: it only ever moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Init components run, one after the other.
    Init,
    /// Components are started as their conditions come true.
    Starting,
    /// All have been started.
    Running,
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
    /// Its process runs.
    Running,
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

impl Outcome {
    /// The controller's exit code: the component's own; 0 after a clean stop; 128 + n for a signal during start-up; 137 where a stop had to kill;
    /// 125, as `docker run` reports itself, for a failure of the controller, an image, or a plugin.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // What no process can answer counts as a failure, never as success.
            Self::Component { code, .. } => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Stopped => 0,
            Self::Interrupted { signal } => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Self::Killed => 137,
            Self::Failed { .. } => 125,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component { name, code } => write!(f, "component `{name}` ended with {code}"),
            Self::Stopped => f.write_str("stopped when asked to"),
            Self::Interrupted { signal } => write!(f, "signal {signal} during the start"),
            Self::Killed => f.write_str("asked to stop, and had to be killed"),
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
    /// A container's process ended.
    Exited {
        /// Which.
        name: ComponentName,
        /// 128 + n where a signal ended it.
        exit_code: i32,
        /// Whether the kernel killed it for want of memory.
        oom_killed: bool,
    },
    /// What plugins say about an exit.
    Decided {
        /// Whose exit.
        name: ComponentName,
        /// What to do.
        reaction: Reaction,
    },
    /// The engine's own check changed its mind.
    Health {
        /// About which container.
        name: ComponentName,
        /// The new verdict.
        health: EngineHealth,
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
    /// Everything has been removed, or could not be.
    Cleaned,
}

/// Timers. One of a kind replaces the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// This component has had its time to stop.
    Grace(ComponentName),
    /// Plugins have had their time to say what this signal, which stops the pod, means.
    Asked(i32),
    /// The pod has had its time to stop.
    Budget,
    /// What was killed should be dead by now.
    Kill,
    /// This component is due to be started again.
    BackOff(ComponentName),
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Pull, create, fill and start it; answers `Launched`, `LaunchFailed` or `LaunchDropped`.
    Launch(ComponentName),
    /// Start the container that is there already; answers as `Launch` does.
    Relaunch(ComponentName),
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
    /// Ask it to stop, with its own stop signal.
    Stop(ComponentName),
    /// Kill it.
    Kill(ComponentName),
    /// Set a timer.
    Arm(Deadline, Duration),
    /// Give up launches between two steps, and pulls at once.
    DropLaunches,
    /// All components have been started: begin watches, ticks and probes.
    Started,
    /// Read the rest of the output, remove containers; answers `Cleaned`.
    Cleanup,
    /// The end.
    Finish(Outcome),
}

/// Signals that stop a pod: Linux's SIGINT, SIGQUIT and SIGTERM.
#[must_use]
pub fn stops(signal: i32) -> bool {
    matches!(signal, 2 | 3 | 15)
}
