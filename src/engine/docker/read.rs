//! What only commands at a prompt ask: a part of a log, and how a container's namespaces are set up.

use std::collections::VecDeque;

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
}

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
        let LogQuery { follow, tail, since_ns } = query;
        let prefix = self.shared.api.prefix();
        let mut path =
            format!("{prefix}/containers/{}/logs?follow={}&stdout=1&stderr=1&timestamps=1", id.0, u8::from(follow));
        if let Some(tail) = tail {
            path.push_str(&format!("&tail={tail}"));
        }
        if let Some(since) = since_ns {
            path.push_str(&format!(
                "&since={}.{:09}",
                since.div_euclid(1_000_000_000),
                since.rem_euclid(1_000_000_000)
            ));
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
            "its log driver can't be read back: look where that driver sends its lines",
        ),
        _ => error,
    }
}
