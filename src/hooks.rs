//! The hooks in our own words: what crosses between the pod and its plugins, and the seam behind which the plugins are.
//!
//! The types mirror `wit/hooks.wit`; [`crate::plugin`] converts. Everything a plugin answers is untrusted input: who acts on it checks it.

pub mod limits;

use std::fmt;
use std::future::Future;

use bytes::Bytes;
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
    pub content: Bytes,
}

/// A file that a plugin wants in a component. What is none of its rights is kept from the file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Which component.
    pub component: ComponentName,
    /// Absolute path in it.
    pub path: String,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// The whole content.
    pub content: Bytes,
}

/// The rights of a new file for which nobody has asked for others: mode, owner and group.
pub const NEW_FILE: (u32, u32, u32) = (0o644, 0, 0);

impl NewFile {
    /// The file, if the one that is there has these rights: mode, owner and group.
    #[must_use]
    pub fn over(self, (mode, uid, gid): (u32, u32, u32)) -> File {
        File {
            component: self.component,
            path: self.path,
            mode: self.mode.unwrap_or(mode),
            uid: self.uid.unwrap_or(uid),
            gid: self.gid.unwrap_or(gid),
            content: self.content,
        }
    }

    /// What plugins made of this file, which they got with the rights of [`NEW_FILE`] where it has none: rights that they left alone stay open.
    #[must_use]
    pub fn remade(&self, file: File) -> Self {
        let open =
            |asked: Option<u32>, is: u32, given: u32| if asked.is_none() && is == given { None } else { Some(is) };
        let (mode, uid, gid) = NEW_FILE;
        Self {
            mode: open(self.mode, file.mode, mode),
            uid: open(self.uid, file.uid, uid),
            gid: open(self.gid, file.gid, gid),
            component: file.component,
            path: file.path,
            content: file.content,
        }
    }

    /// Whether the rights of the file that is there matter.
    #[must_use]
    pub fn keeps_rights(&self) -> bool {
        self.mode.is_none() || self.uid.is_none() || self.gid.is_none()
    }
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

/// The question that a check answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Probe {
    /// Is the start complete?
    Startup,
    /// Can it serve requests?
    Readiness,
    /// Does it work?
    #[default]
    Liveness,
}

/// One judgement of a plugin or of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// None: the pod as a whole.
    pub component: Option<ComponentName>,
    /// The name of the check; a plugin may have several of one component.
    pub check: String,
    /// The question that the check answers.
    pub probe: Probe,
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

impl ComponentEventKind {
    /// The words of all kinds, in the order of the documentation.
    pub const WORDS: [&'static str; 5] = ["created", "started", "exited", "restarted", "removed"];

    /// The word for it in the contract.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Exited { .. } => "exited",
            Self::Restarted => "restarted",
            Self::Removed => "removed",
        }
    }
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
    /// The number of the event in this pod, from 1.
    pub sequence: u64,
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
    /// Its content; empty if it was removed.
    pub content: Bytes,
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
    pub files: Vec<NewFile>,
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
    /// The component's run in this pod that wrote the lines, from 1.
    pub run: u32,
    /// For each line, the time when it was written, in nanoseconds since the Unix epoch.
    pub times: Vec<u64>,
    /// For each line, where it ends in `data`.
    pub ends: Vec<u32>,
    /// The bytes of all lines, one after the other.
    pub data: Vec<u8>,
    /// For each line, where its JSON object ends in `fields`; empty where no line has any.
    pub field_ends: Vec<u32>,
    /// JSON objects as text, one after the other.
    pub fields: Vec<u8>,
    /// So many lines at the head are here again for the plugin that is called, because one held them.
    pub again: u32,
    /// The plugins that have had lines at the head before, with the number of these lines.
    pub seen: Vec<(PluginName, u32)>,
    /// Whether no line has followed for a while, so that held lines must be decided.
    pub flush: bool,
    /// Whether these are the last lines of the run.
    pub last: bool,
}

impl Batch {
    /// An empty batch of this stream.
    #[must_use]
    pub fn new(component: ComponentName, output: Output) -> Self {
        Self {
            component,
            output,
            run: 1,
            times: Vec::new(),
            ends: Vec::new(),
            data: Vec::new(),
            field_ends: Vec::new(),
            fields: Vec::new(),
            again: 0,
            seen: Vec::new(),
            flush: false,
            last: false,
        }
    }

    /// An empty batch with the same source, and at the same point of the stream.
    #[must_use]
    pub fn like(other: &Self) -> Self {
        let empty = Self::new(other.component.clone(), other.output);
        Self { run: other.run, flush: other.flush, last: other.last, ..empty }
    }

    /// Whether no line of it may be held.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.flush || self.last
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

    /// Tells one plugin how its rollout ended; `id` is that of a rollout that it has begun by itself.
    fn rollout_ended(
        &self,
        plugin: &PluginName,
        id: Option<String>,
        outcome: RolloutOutcome,
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
