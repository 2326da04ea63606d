//! What comes out of containers: events, output, and what commands in them print.

use bytes::Bytes;

use crate::containers::{ContainerId, EngineHealth, Output};

/// One thing that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// Which container.
    pub id: ContainerId,
    /// Nanoseconds since the Unix epoch, of the engine's clock.
    pub at_ns: i64,
    /// What happened.
    pub kind: EngineEventKind,
}

/// The events that matter here; all others are left out by the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEventKind {
    /// Its process was started.
    Start,
    /// Its process ended.
    Die {
        /// 128 + n where a signal ended it.
        exit_code: i32,
    },
    /// The kernel killed a process of it for want of memory.
    Oom,
    /// Its processes were frozen, or go on.
    Paused(bool),
    /// The engine's health check changed its mind.
    Health(EngineHealth),
    /// It is gone.
    Destroy,
}

/// A piece of a container's output, as the engine delivered it: neither whole lines nor whole characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFrame {
    /// Which stream; a terminal's is all [`Output::Stdout`].
    pub output: Output,
    /// With the engine's timestamp (RFC 3339 and a space) in front where [`LogsFrom::timestamps`] asked for it.
    pub bytes: Bytes,
}

/// From where [`Engine::logs`](super::Engine::logs) follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogsFrom {
    /// Seconds since the Unix epoch; 0 from the beginning.
    pub since: i64,
    /// Whether each frame begins with its time.
    pub timestamps: bool,
}

/// What a command in a container answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Of the command; 126 and 127 as a shell would answer where it can't be run.
    pub exit_code: i64,
    /// At most the asked number of bytes.
    pub stdout: Bytes,
    /// At most the asked number of bytes.
    pub stderr: Bytes,
    /// Whether something was cut off.
    pub truncated: bool,
}
