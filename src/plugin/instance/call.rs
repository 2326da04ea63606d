//! One hook call as it travels from the pod to a plugin's task and back.

use crate::hooks::{
    Batch, Change, ComponentEvent, File, HealthTrigger, Hook, Judgement, Reaction, Rollout, RolloutOutcome,
    SignalDecision,
};
use crate::plugin::answers::lines::Verdict;

/// Hooks that share an instance of their plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Must not wait: `log-line`, `signal`, `component-event`.
    Quick,
    /// `health`, whose probes wait for the network.
    Probe,
    /// All others, which may wait.
    Patient,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Probe, Self::Patient];

    /// The class of a hook that this version serves.
    #[must_use]
    pub fn of(hook: Hook) -> Option<Self> {
        match hook {
            Hook::LogLine | Hook::Signal | Hook::ComponentEvent => Some(Self::Quick),
            Hook::Health => Some(Self::Probe),
            Hook::PreStart | Hook::ConfigCopy | Hook::ConfigChanged | Hook::Tick => Some(Self::Patient),
            Hook::LogSink | Hook::Stopping | Hook::HandOver => None,
        }
    }

    /// Its word in the setup of an instance.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Probe => "probe",
            Self::Patient => "patient",
        }
    }

    /// The name of its task.
    #[must_use]
    pub fn task(self) -> &'static str {
        match self {
            Self::Quick => "plugin-quick",
            Self::Probe => "plugin-probe",
            Self::Patient => "plugin-patient",
        }
    }
}

/// What a hook is called with. It comes back with the answer, so that the caller can call again or go on without the plugin.
#[derive(Debug)]
pub enum Call {
    /// The plan, as JSON.
    PreStart(String),
    /// A file and where it came from.
    ConfigCopy {
        /// Path in the controller.
        source: String,
        /// The file.
        file: File,
    },
    /// Why health is asked for.
    Health(HealthTrigger),
    /// Lines.
    LogLines(Batch),
    /// A signal's number.
    Signal(u8),
    /// What happened to a component.
    Event(ComponentEvent),
    /// What changed.
    Changed(Vec<Change>),
    /// How a rollout ended.
    Outcome {
        /// Of a rollout that the plugin has begun by itself.
        id: Option<String>,
        /// The word for it.
        outcome: RolloutOutcome,
        /// What failed, and what is in force.
        text: String,
    },
    /// Nothing.
    Tick,
}

impl Call {
    /// The hook that it calls.
    #[must_use]
    pub fn hook(&self) -> Hook {
        match self {
            Self::PreStart(_) => Hook::PreStart,
            Self::ConfigCopy { .. } => Hook::ConfigCopy,
            Self::Health(_) => Hook::Health,
            Self::LogLines(_) => Hook::LogLine,
            Self::Signal(_) => Hook::Signal,
            Self::Event(_) => Hook::ComponentEvent,
            Self::Changed(_) | Self::Outcome { .. } => Hook::ConfigChanged,
            Self::Tick => Hook::Tick,
        }
    }
}

/// What a plugin says about a file.
#[derive(Debug, PartialEq, Eq)]
pub enum CopyVerdict {
    /// Copy it as it is.
    Keep,
    /// Copy these instead.
    Replace(Vec<File>),
    /// Do not copy it.
    Skip,
}

/// What a hook answered, checked.
#[derive(Debug)]
pub enum Answer {
    /// To `pre-start`.
    Overlay(Option<String>),
    /// To `config-copy`.
    Copy(CopyVerdict),
    /// To `health`.
    Judgements(Vec<Judgement>),
    /// To `log-line`.
    Lines(Verdict),
    /// To `signal`.
    Decision(SignalDecision),
    /// To `component-event`.
    Reaction(Reaction),
    /// To `config-changed`.
    Rollout(Option<Rollout>),
    /// To the end of a rollout.
    Heard,
    /// To `tick`.
    Next(Option<u32>),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The instance can't be called any more: a trap or an overrun.
    Dead(String),
    /// The plugin answered an error, or something that it must not.
    Refused(String),
    /// The same, and it would answer the same again.
    Final(String),
    /// The plugin asks to be called again after so many milliseconds, and why.
    Retry(u32, String),
    /// The plugin is waiting to be started again.
    Down(String),
    /// The plugin failed too often, for the last time in this hook, and is called no more.
    Evicted(&'static str, String),
}

impl Failure {
    /// In words; `Retry` counts as a failure where nobody waits.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Dead(reason) | Self::Refused(reason) | Self::Final(reason) => reason.clone(),
            Self::Retry(ms, text) if text.is_empty() => format!("requested a retry in {ms} ms"),
            Self::Retry(ms, text) => format!("requested a retry in {ms} ms: {text}"),
            Self::Down(reason) => format!("is waiting for its restart: {reason}"),
            Self::Evicted(_, reason) => format!("failed too often and is not called any more; last failure: {reason}"),
        }
    }
}
