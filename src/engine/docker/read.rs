//! What only commands at a prompt ask: a part of a log, and how a container's namespaces are set up.

use std::collections::VecDeque;

use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::fault::{self, Call};
use super::frames::{Frames, Piece};
use super::{Docker, checked, refused};
use crate::engine::{ContainerId, EngineError, Fault, LogFrame, Result};

/// Which part of a container's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Whether to stay for what is still to come, up to the end of the run.
    pub follow: bool,
    /// At most so many of the last lines; none: all.
    pub tail: Option<u64>,
    /// Nanoseconds since the Unix epoch; none: from the beginning.
    pub since_ns: Option<i64>,
    /// The same; none: up to the end.
    pub until_ns: Option<i64>,
}

/// How far an engine's memory of events reaches back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// Time of its oldest event of anything, in nanoseconds since the Unix epoch; none without an event.
    pub first_ns: Option<i64>,
    /// Whether it holds so many that it may have dropped some.
    pub full: bool,
}

/// What becomes of a container, as far as its engine decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revival {
    /// It runs.
    Running,
    /// It has ended, and the engine will start it again.
    Due,
    /// It has ended. It has a restart policy, so somebody has stopped it, or restarts it, or the policy has given up.
    Possible,
    /// It has ended, and has no restart policy.
    Never,
}

/// Docker holds 256 events. While it is asked some more may come, which push the oldest out.
const FULL: usize = 192;

struct Reading {
    bytes: BoxStream<'static, std::result::Result<Bytes, bollard::errors::Error>>,
    frames: Frames,
    pieces: VecDeque<Piece>,
    is_over: bool,
}

impl Docker {
    /// Part of a container's log. Each frame begins with the engine's timestamp (RFC 3339 and a space), unless it continues a frame longer than 256 KiB.
    /// `tty` is whether its output is a terminal's.
    ///
    /// A log driver that can't be read is [`Fault::Permanent`]. Unlike [`Engine::logs`](crate::engine::Engine::logs) nothing is read again where the engine
    /// cut the log short.
    #[must_use]
    pub fn stored_log(&self, id: &ContainerId, tty: bool, query: LogQuery) -> BoxStream<'static, Result<LogFrame>> {
        let LogQuery { follow, tail, since_ns, until_ns } = query;
        let prefix = self.shared.api.prefix();
        let mut path =
            format!("{prefix}/containers/{}/logs?follow={}&stdout=1&stderr=1&timestamps=1", id.0, u8::from(follow));
        if let Some(tail) = tail {
            path.push_str(&format!("&tail={tail}"));
        }
        for (name, at_ns) in [("since", since_ns), ("until", until_ns)] {
            if let Some(at_ns) = at_ns {
                let (seconds, nanos) = (at_ns.div_euclid(1_000_000_000), at_ns.rem_euclid(1_000_000_000));
                path.push_str(&format!("&{name}={seconds}.{nanos:09}"));
            }
        }
        let reading = Reading {
            bytes: self.raw(id, path),
            frames: Frames::new(tty, true),
            pieces: VecDeque::new(),
            is_over: false,
        };
        let (limit, object) = (self.opening(), id.short().to_owned());
        let fail = move |error| unreadable(fault::classify(Call::Logs, &object, limit, error));
        stream::unfold((reading, fail), |(mut reading, fail)| async move {
            loop {
                if let Some(Piece { output, bytes, .. }) = reading.pieces.pop_front() {
                    return Some((Ok(LogFrame { output, bytes }), (reading, fail)));
                }
                if reading.is_over {
                    return None;
                }
                match reading.bytes.next().await {
                    Some(Ok(chunk)) => {
                        if let Err(bad) = reading.frames.push(chunk, &mut reading.pieces) {
                            reading.is_over = true;
                            let cause: Box<dyn std::error::Error + Send + Sync> = Box::new(bad);
                            let (verb, object) = (Call::Logs.verb(), "its engine".to_owned());
                            return Some((Err(EngineError::Unreachable { verb, object, cause }), (reading, fail)));
                        }
                    }
                    Some(Err(error)) => {
                        reading.is_over = true;
                        return Some((Err(fail(error)), (reading, fail)));
                    }
                    None => {
                        reading.is_over = true;
                        reading.frames.end(&mut reading.pieces);
                    }
                }
            }
        })
        .boxed()
    }

    /// How far the engine's memory of events reaches back, as far as that is later than `since_ns`: no more of it is read than that takes.
    ///
    /// # Errors
    /// As [`Engine::info`](crate::engine::Engine::info).
    pub async fn history(&self, since_ns: i64, now_ns: i64) -> Result<History> {
        let (from, until) = ("1", (now_ns / 1_000_000_000).to_string());
        let options = query::EventsOptionsBuilder::new().since(from).until(&until).build();
        let work = async {
            let mut events = self.client.events(Some(options));
            let mut history = History::default();
            let mut count = 0;
            while let Some(event) = events.next().await.transpose()? {
                let at = event.time_nano.or_else(|| event.time?.checked_mul(1_000_000_000)).unwrap_or_default();
                let first = *history.first_ns.get_or_insert(at);
                count += 1;
                history.full = count >= FULL;
                if first <= since_ns || history.full {
                    break;
                }
            }
            Ok(history)
        };
        self.within(Call::Events, "everything", self.look(), work).await
    }

    /// Whether the engine starts a container again that ends.
    ///
    /// # Errors
    /// As [`Engine::inspect`](crate::engine::Engine::inspect).
    pub async fn revival(&self, container: &str) -> Result<Revival> {
        let name = checked(Call::Inspect, container)?;
        let work = self.client.inspect_container(name, None);
        let seen = self.within(Call::Inspect, name, self.look(), work).await?;
        let policy = seen.host_config.and_then(|host| host.restart_policy).and_then(|policy| policy.name);
        let state = seen.state.unwrap_or_default();
        let is_on = |flag: Option<bool>| flag.unwrap_or_default();
        Ok(match (is_on(state.restarting), is_on(state.running), policy) {
            (true, ..) => Revival::Due,
            (false, true, _) => Revival::Running,
            (false, false, Some(policy)) if !matches!(policy.to_string().as_str(), "" | "no") => Revival::Possible,
            (false, false, _) => Revival::Never,
        })
    }

    /// Whose PID namespace a container is in: `container:<id>`, `host`, or empty for its own.
    ///
    /// # Errors
    /// As [`Engine::inspect`](crate::engine::Engine::inspect).
    pub async fn pid_mode(&self, container: &str) -> Result<String> {
        let name = checked(Call::Inspect, container)?;
        let work = self.client.inspect_container(name, None);
        let seen = self.within(Call::Inspect, name, self.look(), work).await?;
        Ok(seen.host_config.and_then(|host| host.pid_mode).unwrap_or_default())
    }
}

/// Says in our words that a log driver keeps nothing that could be read.
fn unreadable(error: EngineError) -> EngineError {
    match &error {
        EngineError::Refused { message, object, .. } if message.contains("does not support reading") => refused(
            Call::Logs,
            object.trim_matches('`'),
            Fault::Permanent,
            "the engine cannot read the logs of this log driver; look for the lines at the driver's destination",
        ),
        _ => error,
    }
}
