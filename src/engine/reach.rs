//! Whether the engine can be reached, as the last call has shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{EngineError, Fault, Result};
use crate::metrics::Family;

/// Since when the engine cannot be reached, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// When the first call failed of which none has succeeded since.
    pub since: Instant,
    /// The reason of the last failure, in words: `connection refused`.
    pub why: String,
}

/// How calls end, in the words of the metrics.
const ENDS: [&str; 7] = ["ok", "already_done", "not_found", "refused", "failed", "unreachable", "timeout"];

/// Whether the engine can be reached, and how calls to it have ended. Clones share the answers.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    away: watch::Sender<Option<Away>>,
    /// In the order of [`ENDS`].
    ends: Arc<[AtomicU64; ENDS.len()]>,
}

/// How a call has ended: one of [`ENDS`].
fn end<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(EngineError::Unreachable { .. } | EngineError::NoEngine { .. }) => "unreachable",
        Err(EngineError::Timeout { .. }) => "timeout",
        Err(error) => match error.fault() {
            Fault::AlreadyDone => "already_done",
            Fault::NotFound => "not_found",
            Fault::Permanent => "refused",
            Fault::Transient => "failed",
        },
    }
}

impl Reach {
    /// Notes the result of one call. A call that took too long says nothing: the engine may be busy, or it may be starting and not serve yet.
    pub(super) fn note<T>(&self, result: &Result<T>) {
        let ended = end(result);
        if let Some((counter, _)) = self.ends.iter().zip(ENDS).find(|(_, word)| *word == ended) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        match result {
            Ok(_) | Err(EngineError::Refused { .. } | EngineError::TooOld { .. }) => {
                self.away.send_if_modified(|away| away.take().is_some());
            }
            Err(EngineError::Unreachable { cause, .. } | EngineError::NoEngine { source: cause, .. }) => {
                let why = super::error::words(cause.as_ref());
                self.away.send_if_modified(|away| match away {
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
        self.away.borrow().clone()
    }

    /// The metrics of the engine's calls.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut calls = Family::counter("outrigger_engine_calls_total", "Calls to the engine, by how they ended.");
        for (count, word) in self.ends.iter().zip(ENDS) {
            calls.add([("result", word)], count.load(Ordering::Relaxed));
        }
        let mut up = Family::gauge("outrigger_engine_reachable", "Whether the engine has answered the last call.");
        up.add([], self.away().is_none().into());
        vec![calls, up]
    }

    /// Reports each time that the engine goes away or comes back.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Away>> {
        self.away.subscribe()
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
        let calls = reach.families().remove(0);
        let counted: Vec<_> = calls.samples.iter().map(|it| (it.labels[0].1.as_str(), it.value.clone())).collect();
        let of = |count: f64| crate::metrics::Value::Number(count);
        for (word, count) in [("ok", 0.0), ("not_found", 1.0), ("unreachable", 2.0), ("timeout", 2.0)] {
            assert!(counted.contains(&(word, of(count))), "{word}: {counted:?}");
        }
    }
}
