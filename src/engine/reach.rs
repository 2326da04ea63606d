//! Whether the engine can be reached, as the last call has shown.

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{EngineError, Result};

/// Since when the engine cannot be reached, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// When the first call failed of which none has succeeded since.
    pub since: Instant,
    /// The reason of the last failure, in words: `connection refused`.
    pub why: String,
}

/// Whether the engine can be reached. Clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Reach(watch::Sender<Option<Away>>);

impl Reach {
    /// Notes the result of one call. A call that took too long says nothing: the engine may be busy, or it may be starting and not serve yet.
    pub(super) fn note<T>(&self, result: &Result<T>) {
        match result {
            Ok(_) | Err(EngineError::Refused { .. } | EngineError::TooOld { .. }) => {
                self.0.send_if_modified(|away| away.take().is_some());
            }
            Err(EngineError::Unreachable { cause, .. } | EngineError::NoEngine { source: cause, .. }) => {
                let why = super::error::words(cause.as_ref());
                self.0.send_if_modified(|away| match away {
                    Some(before) => {
                        before.why = why;
                        false
                    }
                    None => {
                        *away = Some(Away { since: Instant::now(), why });
                        true
                    }
                });
            }
            Err(EngineError::Timeout { .. }) => {}
        }
    }

    /// Since when the engine cannot be reached; none where the last call was answered.
    #[must_use]
    pub fn away(&self) -> Option<Away> {
        self.0.borrow().clone()
    }

    /// Reports each time that the engine goes away or comes back.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Away>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Fault;

    fn unreachable() -> Result<()> {
        let cause = Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        Err(EngineError::Unreachable { verb: "inspect", object: "`a`".to_owned(), cause })
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_brings_it_back_and_only_a_failed_connection_takes_it_away() {
        let reach = Reach::default();
        let late =
            || Err::<(), _>(EngineError::Timeout { verb: "inspect", object: String::new(), after: Duration::ZERO });
        reach.note(&late());
        assert_eq!(reach.away(), None);
        reach.note(&unreachable());
        let first = reach.away().unwrap();
        assert_eq!(first.why, "connection refused");
        tokio::time::advance(Duration::from_secs(5)).await;
        reach.note(&unreachable());
        reach.note(&late());
        assert_eq!(reach.away(), Some(first));
        let no =
            EngineError::Refused { verb: "a", object: String::new(), message: String::new(), fault: Fault::NotFound };
        reach.note(&Err::<(), _>(no));
        assert_eq!(reach.away(), None);
    }
}
