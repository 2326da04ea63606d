//! The hooks in our own words: what crosses between the pod and its plugins, and the seam behind which the plugins are.
//!
//! The types mirror `wit/hooks.wit`; [`crate::plugin`] converts. Everything a plugin answers is untrusted input: who acts on it checks it.

pub mod limits;

use std::fmt;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::containers::Output;
use crate::pod::{Capability, ComponentName, PluginName};

/// The hooks that a plugin may export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Changes the plan.
    PreStart,
    /// Sees files on their way into components.
    ConfigCopy,
    /// Probes and judges.
    Health,
    /// Sees lines of output.
    LogLine,
    /// Delivers lines. Not served yet.
    LogSink,
    /// Decides about signals.
    Signal,
    /// Sees what happens to components.
    ComponentEvent,
    /// Decides about changed files.
    ConfigChanged,
    /// Is called from time to time.
    Tick,
    /// Takes part in the end. Not served yet.
    Stopping,
    /// Hands its memory to a new version. Not served yet.
    HandOver,
}

impl Hook {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::PreStart,
        Self::ConfigCopy,
        Self::Health,
        Self::LogLine,
        Self::LogSink,
        Self::Signal,
        Self::ComponentEvent,
        Self::ConfigChanged,
        Self::Tick,
        Self::Stopping,
        Self::HandOver,
    ];

    /// The capability without which the hook is not called; none where the hook decides about nothing, or its answers need grants of their own.
    #[must_use]
    pub fn power(self) -> Option<Capability> {
        match self {
            Self::LogLine => Some(Capability::Lines),
            Self::ConfigCopy => Some(Capability::Copies),
            Self::ComponentEvent => Some(Capability::Exits),
            Self::Health => Some(Capability::Verdicts),
            Self::Signal => Some(Capability::OnSignals),
            Self::PreStart | Self::LogSink | Self::ConfigChanged | Self::Tick | Self::Stopping | Self::HandOver => None,
        }
    }

    /// The name of its interface.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreStart => "pre-start",
            Self::ConfigCopy => "config-copy",
            Self::Health => "health",
            Self::LogLine => "log-line",
            Self::LogSink => "log-sink",
            Self::Signal => "signal",
            Self::ComponentEvent => "component-event",
            Self::ConfigChanged => "config-changed",
            Self::Tick => "tick",
            Self::Stopping => "stopping",
            Self::HandOver => "hand-over",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A file on its way into a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Which component.
    pub component: ComponentName,
    /// Absolute path in it.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The whole content.
    pub content: Vec<u8>,
}

/// What is thought of a component's, or the pod's, health. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All is well.
    Healthy,
    /// Works, but not as it should; counts as healthy.
    Degraded,
    /// Not ready yet.
    Starting,
    /// Does not work.
    Unhealthy,
}

/// One judgement of a plugin or of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// None: the pod as a whole.
    pub component: Option<ComponentName>,
    /// The verdict.
    pub status: Status,
    /// Why, in words.
    pub reason: String,
}

/// Why `health` is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthTrigger {
    /// Its interval has passed.
    Interval,
    /// The engine's own check changed its mind.
    EngineReport(Judgement),
}

/// What happened to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentEventKind {
    /// The engine has made it.
    Created,
    /// Its process runs.
    Started,
    /// Its process ended.
    Exited {
        /// 128 + n where a signal ended it.
        exit_code: i32,
        /// Whether the kernel killed it for want of memory.
        oom_killed: bool,
    },
    /// It runs again.
    Restarted,
    /// It is gone.
    Removed,
}

/// One event of a component's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentEvent {
    /// Which component.
    pub component: ComponentName,
    /// What happened.
    pub kind: ComponentEventKind,
    /// Nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// How often it has been started again in this pod.
    pub restarts: u32,
}

/// What is done about an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// What the pod's own rules say.
    AsPlanned,
    /// Start it again after so many milliseconds.
    Restart(u32),
    /// Stop the pod.
    StopPod,
    /// Run on without it.
    Ignore,
}

/// What a signal to the controller means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalDecision {
    /// What the pod does by itself.
    Forward,
    /// These signals instead; none: swallowed.
    Deliver(Vec<(ComponentName, i32)>),
}

/// A change below a watched path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the plugin asked to have watched.
    pub source: String,
    /// The file that changed.
    pub path: String,
    /// SHA-256 of its content, hexadecimal; empty where it was removed.
    pub digest: String,
    /// Its content; empty where it was removed.
    pub content: Vec<u8>,
    /// Whether it is gone.
    pub removed: bool,
}

/// A command inside a component; `{candidate}` and `{candidate:/path}` in `argv` stand for candidate files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where it runs.
    pub component: ComponentName,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Longest time, in milliseconds.
    pub timeout_ms: u32,
}

/// How a rollout's files are put to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A signal to a component.
    Signal(ComponentName, i32),
    /// A command in a component.
    Run(Command),
    /// Stop it and start it again.
    Restart(ComponentName),
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutOutcome {
    /// The new version is in force.
    Applied,
    /// The version before is in force.
    #[default]
    Refused,
    /// The new version is in place, and its components have not run with it for long enough.
    Unproven,
    /// It was given up for a newer one.
    Superseded,
}

impl RolloutOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Refused, Self::Unproven, Self::Superseded];

    /// The word for it in the log, in `status` and in `events`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Unproven => "unproven",
            Self::Superseded => "superseded",
        }
    }

    /// The outcome of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

impl std::fmt::Display for RolloutOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A file of a component without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 of the content, in hexadecimal.
    pub digest: String,
}

/// A transaction on files of components, see `config-changed` in `wit/hooks.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// One line for the log.
    pub summary: String,
    /// Files to put in place.
    pub files: Vec<File>,
    /// Files to remove: component and path.
    pub remove: Vec<(ComponentName, String)>,
    /// Commands that must succeed before anything is applied.
    pub validate: Vec<Command>,
    /// What makes the components use the files.
    pub apply: Vec<Action>,
    /// Commands that must succeed afterwards.
    pub verify: Vec<Command>,
    /// How long the components must stay healthy afterwards, in milliseconds.
    pub healthy_for_ms: u32,
}

/// Lines of one stream of one component, packed: line i is `data[ends[i-1]..ends[i]]`, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Whose output.
    pub component: ComponentName,
    /// Which stream.
    pub output: Output,
    /// When the first line was written, in nanoseconds since the Unix epoch.
    pub first_ns: u64,
    /// For each line, microseconds after the first.
    pub after_us: Vec<u32>,
    /// For each line, where it ends in `data`.
    pub ends: Vec<u32>,
    /// The bytes of all lines, one after the other.
    pub data: Vec<u8>,
    /// For each line, where its JSON object ends in `fields`; empty where no line has any.
    pub field_ends: Vec<u32>,
    /// JSON objects as text, one after the other.
    pub fields: Vec<u8>,
    /// Whether no more lines will come after these.
    pub is_final: bool,
}

impl Batch {
    /// An empty batch of this stream.
    #[must_use]
    pub fn new(component: ComponentName, output: Output) -> Self {
        Self {
            component,
            output,
            first_ns: 0,
            after_us: Vec::new(),
            ends: Vec::new(),
            data: Vec::new(),
            field_ends: Vec::new(),
            fields: Vec::new(),
            is_final: false,
        }
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The lines, one after the other.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let line = self.data.get(from..end as usize).unwrap_or_default();
            from = end as usize;
            line
        })
    }
}

/// Most lines that plugins may hold back of one stream.
pub const HELD_LINES: usize = 1024;

/// Most bytes that plugins may hold back of one stream.
pub const HELD_BYTES: usize = 256 << 10;

/// A batch after all plugins have seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Lines to write.
    pub keep: Batch,
    /// Lines at the tail that a plugin could not decide about yet: they come first in the next batch.
    pub hold: Batch,
    /// Lines that a plugin would have held back beyond what may be held: they are among `keep`.
    pub released: u64,
}

/// A hook failed and the pod's `on-error` says that this ends the pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}` failed in `{hook}`: {reason}")]
pub struct HookFailure {
    /// Which plugin.
    pub plugin: PluginName,
    /// In which hook, or `describe`, `configure`.
    pub hook: &'static str,
    /// Why: a trap, an overrun, or the plugin's own words.
    pub reason: String,
}

/// The pod's plugins as one: every hook is called in the order of `plugins:`, those without it are passed over, and failures
/// have been dealt with as `on-error` says. An `Err` ends the pod.
///
/// Cancel safety: a call that is dropped leaves the plugin to end its hook, within its deadline.
pub trait Hooks: Clone + Send + Sync + 'static {
    /// Names of the plugins that have this hook, in order.
    fn with(&self, hook: Hook) -> Vec<PluginName>;

    /// Asks one plugin for its overlay on the plan.
    fn pre_start(
        &self,
        plugin: &PluginName,
        plan_json: String,
    ) -> impl Future<Output = Result<Option<String>, HookFailure>> + Send;

    /// Passes a file through every plugin; the answer is what to copy instead, which may be nothing.
    fn config_copy(&self, source: &str, file: File) -> impl Future<Output = Result<Vec<File>, HookFailure>> + Send;

    /// Asks one plugin for its judgements.
    fn health(
        &self,
        plugin: &PluginName,
        trigger: HealthTrigger,
    ) -> impl Future<Output = Result<Vec<Judgement>, HookFailure>> + Send;

    /// Passes a batch through every plugin.
    fn log_lines(&self, batch: Batch) -> impl Future<Output = Result<Judged, HookFailure>> + Send;

    /// Asks what a signal means; the first plugin that does not forward decides.
    fn signal(&self, signal: i32) -> impl Future<Output = Result<SignalDecision, HookFailure>> + Send;

    /// Tells every plugin; the first that does not say `as-planned` decides.
    fn component_event(&self, event: ComponentEvent) -> impl Future<Output = Result<Reaction, HookFailure>> + Send;

    /// Tells one plugin what changed.
    fn config_changed(
        &self,
        plugin: &PluginName,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<Option<Rollout>, HookFailure>> + Send;

    /// Most bytes of contents that one report of changes to a plugin may have.
    fn report_limit(&self, _plugin: &PluginName) -> usize {
        limits::LARGEST_FILE as usize
    }

    /// The files that a plugin has put off in its last [`config_changed`](Self::config_changed): they are to be reported again after the rollout.
    fn put_off(&self, _plugin: &PluginName) -> Vec<String> {
        Vec::new()
    }

    /// Tells one plugin how its rollout ended.
    fn rollout_ended(
        &self,
        plugin: &PluginName,
        applied: bool,
        text: String,
    ) -> impl Future<Output = Result<(), HookFailure>> + Send;

    /// Whether a plugin may have this file of a component: asked with the path that links really lead to.
    ///
    /// # Errors
    /// Which grant is missing, in words.
    fn permits(&self, plugin: &PluginName, component: &ComponentName, path: &str) -> Result<(), String>;

    /// Calls one plugin's `tick`; the answer is the delay to the next call in milliseconds, or none.
    fn tick(&self, plugin: &PluginName) -> impl Future<Output = Result<Option<u32>, HookFailure>> + Send;
}
