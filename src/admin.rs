//! The socket behind `outrigger healthcheck` and `outrigger status`.
//!
//! A file socket below the state directory, never an abstract one: components share the controller's network namespace, where abstract sockets
//! live, but not its files. A client sends one line (`health`, `status` or `metrics`) and gets one answer, then the connection ends.
//! A check that waits ([`wait`]) sends `wait` and the milliseconds that it has spent; the answer comes once there is something to report.
//! The same metrics are a page over HTTP ([`http`]), where the operator opens it.
//! The supervisor publishes a [`Status`] whenever something changes; nothing here asks it anything, so a busy pod answers as fast as an idle one.

mod accept;
pub mod client;
pub mod health;
pub mod http;
pub mod server;
pub mod status;
pub mod wait;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use client::ask;
pub use server::serve;
pub use status::Status;
pub use wait::Waiting;

use crate::config::Listen;

/// File name of the socket in the state directory.
pub use crate::idle::SOCKET;

/// Longest that the kernel takes for the path of a socket, in bytes.
const LONGEST_PATH: usize = 107;

/// The socket's path in this state directory.
#[must_use]
pub fn socket(state_dir: &Path) -> PathBuf {
    state_dir.join(SOCKET)
}

/// Why the socket could not be opened or asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The directory can't be made or written.
    #[error("cannot create the directory `{}` of the admin socket", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The socket can't be bound.
    #[error("cannot open the admin socket `{}`", path.display())]
    Bind {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another controller answers on it.
    #[error("another controller answers on the admin socket `{}`", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The kernel's limit.
    #[error("the path of the admin socket `{}` is longer than {LONGEST_PATH} bytes", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// The page of metrics can't be opened.
    #[error("cannot open the page of metrics on {at} (`--metrics`, `OUTRIGGER_METRICS`)")]
    Listen {
        /// Where.
        at: Listen,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nobody listens.
    #[error("no controller answers on `{}`", path.display())]
    NoController {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("cannot exchange data with the controller on `{}`", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The deadline passed.
    #[error("the controller did not answer on `{}` within {after:?}", path.display())]
    Timeout {
        /// Which.
        path: PathBuf,
        /// The deadline.
        after: Duration,
    },
    /// The answer makes no sense, or is a refusal.
    #[error("the controller answered `{answer}` to `{query}`")]
    Refused {
        /// What was asked.
        query: String,
        /// Its first line.
        answer: String,
    },
}

impl AdminError {
    /// What to do about it; empty where the message says it already.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Directory { .. } | Self::Bind { .. } => {
                "if the root file system is read-only, mount a tmpfs there, or set `OUTRIGGER_STATE_DIR` to a writable directory"
            }
            Self::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                "choose another port: another process in the controller's network uses this one; with `network_mode: host`, that may be any process of the host"
            }
            Self::Listen { .. } => "choose an address that the controller's container has, or give the port only",
            Self::InUse { .. } => {
                "each controller needs its own state directory: give each replica its own volume, for example with `{{.Task.ID}}` in the volume's name"
            }
            Self::TooLong { .. } => "set `OUTRIGGER_STATE_DIR` to a shorter path",
            Self::NoController { .. } => {
                "check that the controller is running and that `OUTRIGGER_STATE_DIR` is the same for both; if the controller has the flag `--state-dir`, use the same flag here"
            }
            Self::Broken { .. } | Self::Timeout { .. } | Self::Refused { .. } => "",
        }
    }
}

#[cfg(test)]
mod tests;
