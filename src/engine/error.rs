//! Why the engine did not do something, and whether to try again.

use std::io;
use std::time::Duration;

/// In the answer of an engine that is no manager of a Swarm to a question about a service.
pub(super) const NO_MANAGER: &str = "not a swarm manager";

/// Whether a repetition makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked for is so already.
    AlreadyDone,
    /// The object does not exist.
    NotFound,
    /// It will fail again.
    Permanent,
    /// The engine was away or busy.
    Transient,
}

/// Why the engine did not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine's answer was no.
    #[error("cannot {verb} {object}: {message}")]
    Refused {
        /// What was tried, as an imperative: `create container`.
        verb: &'static str,
        /// On what.
        object: String,
        /// The engine's own words.
        message: String,
        /// What that means for a repetition.
        fault: Fault,
    },
    /// Nobody answered. The message names the reason in words, so that [`chain`] has nothing to add.
    #[error("cannot {verb} {object}: engine unreachable: {}", words(cause.as_ref()))]
    Unreachable {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The deadline passed.
    #[error("the engine did not {verb} {object} within {after:?}")]
    Timeout {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// The deadline.
        after: Duration,
    },
    /// There is no engine at this address.
    #[error("no container engine at `{address}`")]
    NoEngine {
        /// Path or URL.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine speaks only older versions of the API.
    #[error("the engine {version} is too old: its API version is {}.{}, but Outrigger needs {}.{} or newer (Docker 20.10)", api.0, api.1, needed.0, needed.1)]
    TooOld {
        /// Of the engine.
        version: String,
        /// Newest that it speaks.
        api: (u32, u32),
        /// Oldest that Outrigger speaks.
        needed: (u32, u32),
    },
}

impl EngineError {
    /// Whether the question was about a service, and only a manager of the Swarm can answer it.
    #[must_use]
    pub fn is_no_manager(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains(NO_MANAGER))
    }

    /// Whether a repetition makes sense.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused { fault, .. } => *fault,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::NoEngine { .. } => Fault::Transient,
            Self::TooOld { .. } => Fault::Permanent,
        }
    }
}

/// Why a connection failed, in words: those of the system's error, where there is one among the causes, else those of the innermost cause.
pub(super) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.get_ref().is_none()
            && let Some(words) = known(io.kind())
        {
            return words.to_owned();
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => return cause.to_string(),
        }
    }
}

fn known(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "connection reset",
        io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => "connection closed",
        io::ErrorKind::NotFound => "the engine's socket does not exist",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to the host",
        io::ErrorKind::TimedOut => "connection timed out",
        _ => return None,
    })
}

/// An error and its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What calls of an [`Engine`](super::Engine) answer.
pub type Result<T> = std::result::Result<T, EngineError>;
