//! What the engine's failures mean, by call and status; their texts are only passed on.

use std::error::Error as StdError;
use std::time::Duration;

use bollard::errors::Error;

use crate::engine::error::NO_MANAGER;
use crate::engine::{EngineError, Fault};

/// The calls whose failures are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Info,
    Inspect,
    List,
    InspectVolume,
    InspectImage,
    InspectService,
    Pull,
    Create,
    Start,
    Signal,
    Remove,
    Connect,
    Rename,
    Upload,
    Stat,
    Download,
    Exec,
    Logs,
    Events,
}

impl Call {
    /// As an imperative, for messages.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Info => "ask",
            Self::Inspect => "inspect container",
            Self::List => "list containers with",
            Self::InspectVolume => "inspect volume",
            Self::InspectImage => "inspect image",
            Self::InspectService => "inspect service",
            Self::Pull => "pull image",
            Self::Create => "create container",
            Self::Start => "start container",
            Self::Signal => "signal container",
            Self::Remove => "remove container",
            Self::Connect => "join network",
            Self::Rename => "rename container",
            Self::Upload => "copy files into container",
            Self::Stat => "read files of container",
            Self::Download => "copy files from container",
            Self::Exec => "run a command in container",
            Self::Logs => "follow the output of container",
            Self::Events => "follow events of",
        }
    }

    /// What an HTTP status means for a repetition of this call.
    pub(super) fn fault(self, status: u16) -> Fault {
        match (self, status) {
            // Not modified: it runs. Conflict on a signal: it does not run, so there is nothing left to signal.
            (Self::Start, 304) | (Self::Signal, 409) => Fault::AlreadyDone,
            // What is dead or being removed has no output any more; a log driver that can't be read is 501.
            (_, 404) | (Self::Logs, 409) => Fault::NotFound,
            (_, 408 | 425 | 429) => Fault::Transient,
            // Not implemented, for instance by the log driver.
            (_, 400..=499 | 501) => Fault::Permanent,
            _ => Fault::Transient,
        }
    }
}

/// The status of a refusal.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether a pull failed because the registry asked for other credentials.
///
/// Engines with containerd's image store say so by status. Others answer 404 or 500 (or break off the stream) for this as for much else, and what the
/// registry answered, with the codes of its protocol, is to be found in the text alone.
pub(super) fn is_denial(error: &Error) -> bool {
    let text = match error {
        Error::DockerResponseServerError { status_code: 401 | 403, .. } => return true,
        Error::DockerResponseServerError { status_code: 404 | 500, message } => message,
        Error::DockerStreamError { error } => error,
        _ => return false,
    };
    let text = text.to_ascii_lowercase();
    ["unauthorized", "denied", "no basic auth credentials", "authentication required", "forbidden"]
        .iter()
        .any(|code| text.contains(code))
}

/// Our words for a failure of `call` on `object`; `deadline` is the one that the client itself keeps.
pub(super) fn classify(call: Call, object: &str, deadline: Duration, error: Error) -> EngineError {
    let verb = call.verb();
    let object = format!("`{object}`");
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            let message = message.trim();
            let message = if message.is_empty() {
                format!("status {status_code}")
            } else {
                message.trim_end_matches('.').to_owned()
            };
            // A proxy in front of the engine that has lost it, or an engine that ends: neither will take a call. A registry may be the one that answers so to a pull.
            if message.contains("is shutting down") {
                return EngineError::Unreachable { verb, object, cause: cause(message) };
            }
            // A worker of a Swarm, or an engine that is in none, answers well: it knows nothing of services.
            if message.contains(NO_MANAGER) {
                return EngineError::Refused { verb, object, message, fault: Fault::Permanent };
            }
            if matches!(status_code, 502..=504) && call != Call::Pull {
                let cause = cause(format!("the answer has status {status_code}"));
                return EngineError::Unreachable { verb, object, cause };
            }
            // As good as gone, and the status is the one of a container that is paused.
            let going = matches!(call, Call::Start) && status_code == 409 && message.contains("marked for removal");
            let fault = if going { Fault::NotFound } else { call.fault(status_code) };
            EngineError::Refused { verb, object, message, fault }
        }
        // Told in the middle of a pull: the registry or the network failed, a name that is wrong is refused with a status.
        Error::DockerStreamError { error } => {
            EngineError::Refused { verb, object, message: error.trim().to_owned(), fault: Fault::Transient }
        }
        Error::RequestTimeoutError => EngineError::Timeout { verb, object, after: deadline },
        // Bollard hides the kind of such an error.
        Error::IOError { err } => EngineError::Unreachable { verb, object, cause: Box::new(err) },
        error if is_transport(&error) => EngineError::Unreachable { verb, object, cause: Box::new(error) },
        error => EngineError::Refused { verb, object, message: error.to_string(), fault: Fault::Permanent },
    }
}

/// Whether the connection failed, rather than the engine or what it said.
fn is_transport(error: &Error) -> bool {
    matches!(error, Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } | Error::SocketNotFoundError(_))
        || matches!(error, Error::JsonSerdeError { err } if err.is_io() || err.is_eof())
}

/// A cause in words, where the engine or its client gave none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Cause(pub(super) String);

/// Boxes a cause that has only words.
pub(super) fn cause(text: impl Into<String>) -> Box<dyn StdError + Send + Sync> {
    Box::new(Cause(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: Call, status_code: u16) -> Fault {
        let error = Error::DockerResponseServerError { status_code, message: "No.".into() };
        let error = classify(call, "app", Duration::ZERO, error);
        assert_eq!(error.to_string(), format!("cannot {} `app`: No", call.verb()));
        error.fault()
    }

    #[test]
    fn the_same_status_means_different_things() {
        assert_eq!(refused(Call::Signal, 409), Fault::AlreadyDone);
        assert_eq!(refused(Call::Create, 409), Fault::Permanent);
        assert_eq!(refused(Call::Start, 304), Fault::AlreadyDone);
        assert_eq!(refused(Call::Create, 404), Fault::NotFound);
        assert_eq!(refused(Call::Inspect, 404), Fault::NotFound);
        assert_eq!(refused(Call::Create, 400), Fault::Permanent);
        assert_eq!(refused(Call::Logs, 501), Fault::Permanent);
        assert_eq!(refused(Call::Logs, 409), Fault::NotFound);
        assert_eq!(refused(Call::Start, 500), Fault::Transient);
        assert_eq!(refused(Call::Pull, 429), Fault::Transient);
    }

    #[test]
    fn a_denial_is_told_by_status_and_by_the_registrys_code_where_the_status_says_nothing() {
        let denied = |status_code, message: &str| {
            is_denial(&Error::DockerResponseServerError { status_code, message: message.to_owned() })
        };
        assert!(denied(401, "") && denied(403, "no"));
        assert!(denied(500, "Head https://r.io/v2/x: unauthorized: bad password"));
        assert!(denied(404, "pull access denied for x, repository does not exist or may require 'docker login'"));
        assert!(!denied(404, "manifest for x:1 not found"));
        assert!(!denied(500, "dial tcp: lookup r.io: no such host"));
        assert!(!denied(400, "invalid reference: `denied`"));
        assert!(is_denial(&Error::DockerStreamError { error: "denied: no".to_owned() }));
    }

    #[test]
    fn a_refusal_without_words_names_its_status() {
        let error = Error::DockerResponseServerError { status_code: 500, message: String::new() };
        let error = classify(Call::List, "outrigger.pod", Duration::ZERO, error);
        assert_eq!(error.to_string(), "cannot list containers with `outrigger.pod`: status 500");
    }

    #[test]
    fn a_proxy_without_its_engine_and_an_engine_that_ends_are_unreachable() {
        let told = |call, status_code, message: &str| {
            let error = Error::DockerResponseServerError { status_code, message: message.to_owned() };
            let error = classify(call, "app", Duration::ZERO, error);
            matches!(error, EngineError::Unreachable { .. }).then(|| error.to_string())
        };
        let html = "<html><body><h1>503 Service Unavailable</h1></body></html>";
        let expected = "cannot signal container `app`: engine unreachable: the answer has status 503";
        assert_eq!(told(Call::Signal, 503, html).as_deref(), Some(expected));
        assert!(
            told(Call::Remove, 502, "").is_some() && told(Call::Start, 500, "the daemon is shutting down").is_some()
        );
        let worker = "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state.";
        assert_eq!(told(Call::InspectService, 503, worker), None, "the engine of a worker is not away");
        assert!(
            told(Call::Pull, 503, "the registry has no time").is_none() && told(Call::Remove, 500, "busy").is_none()
        );
    }

    #[test]
    fn a_failed_connection_is_told_in_words() {
        let of = |kind| {
            let err = std::io::Error::from(kind);
            crate::engine::chain(&classify(Call::Signal, "app", Duration::ZERO, Error::IOError { err }))
        };
        use std::io::ErrorKind;
        assert_eq!(
            of(ErrorKind::ConnectionRefused),
            "cannot signal container `app`: engine unreachable: connection refused"
        );
        assert!(of(ErrorKind::NotFound).ends_with("engine unreachable: the engine's socket does not exist"));
        // An error of our own has words of its own.
        let err = std::io::Error::new(ErrorKind::UnexpectedEof, "half a frame");
        let error = classify(Call::Logs, "app", Duration::ZERO, Error::IOError { err });
        assert!(crate::engine::chain(&error).ends_with("engine unreachable: half a frame"));
    }

    #[test]
    fn lost_connections_are_unreachable_and_late_headers_time_out() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = classify(Call::Info, "engine", Duration::ZERO, Error::IOError { err: io });
        assert!(matches!(error, EngineError::Unreachable { .. }));
        let error = classify(Call::Logs, "app", Duration::from_secs(15), Error::RequestTimeoutError);
        assert_eq!(error.to_string(), "the engine did not follow the output of container `app` within 15s");
        assert_eq!(error.fault(), Fault::Transient);
    }
}
