//! Events of components, and reactions to them.

use serde::Deserialize;
use serde_json::json;

/// The kinds of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// The engine has made the component's container.
    Created,
    /// The component's process runs.
    Started,
    /// The component's process has ended.
    Exited,
    /// The component runs again.
    Restarted,
    /// The component's container is gone.
    Removed,
    /// A kind of a later host.
    #[default]
    #[serde(other)]
    Other,
}

impl EventKind {
    /// Its word in the contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Exited => "exited",
            Self::Restarted => "restarted",
            Self::Removed => "removed",
            Self::Other => "other",
        }
    }
}

/// An event of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// What has happened.
    pub kind: EventKind,
    /// The component.
    #[serde(default)]
    pub component: String,
    /// The time, in nanoseconds since the Unix epoch.
    #[serde(default)]
    pub at_ns: u64,
    /// The number of the event in this pod, from 1.
    #[serde(default)]
    pub sequence: u64,
    /// The number of the component's run in this pod, from 1.
    #[serde(default)]
    pub run: u32,
    /// The number of restarts of this component in this pod.
    #[serde(default)]
    pub restarts: u32,
    /// The exit code; only for `exited`.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Whether the kernel killed the component because of its memory limit.
    #[serde(default)]
    pub oom_killed: bool,
}

impl Event {
    /// An event, for tests.
    pub fn new(kind: EventKind, component: impl Into<String>) -> Self {
        Self { kind, component: component.into(), run: 1, ..Self::default() }
    }

    /// The same as an exit with this code.
    #[must_use]
    pub fn exited(self, exit_code: i32) -> Self {
        Self { kind: EventKind::Exited, exit_code: Some(exit_code), ..self }
    }
}

/// A decision about an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Follow the pod's own rules.
    AsPlanned,
    /// Start the component again after this many milliseconds.
    Restart(u32),
    /// Stop the pod; its exit code is the component's.
    StopPod,
    /// Let the pod go on without the component.
    Ignore,
}

impl Reaction {
    pub(crate) fn json(self) -> Option<String> {
        let text = match self {
            Self::AsPlanned => return None,
            Self::Restart(after_ms) => json!({"action": "restart", "after_ms": after_ms}),
            Self::StopPod => json!({"action": "stop-pod"}),
            Self::Ignore => json!({"action": "ignore"}),
        };
        Some(text.to_string())
    }
}
