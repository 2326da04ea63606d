//! The one writer behind all components' lines.
//!
//! Chunks of whole lines are taken over at once and written one after the other, so lines are never interleaved, not even when
//! a writer is cancelled: what it had handed over is written before the next chunk. A writer waits while the output is blocked; nothing is queued
//! beyond one chunk, because the engine's own log is the better queue.

use std::fmt;
use std::fs::OpenOptions;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::pin::Pin;
use std::sync::Arc;

use nix::fcntl::OFlag;
use tokio::io::AsyncWrite;
use tokio::net::unix::pipe;
use tokio::sync::Mutex;
use tracing::{debug, warn};

use super::counters::Counters;
use crate::config::LineFormat;

/// What is kept allocated between chunks, in bytes.
const KEEP: usize = 16 * 1024;

/// Where lines go. Cheap to clone: all clones write to the same output.
#[derive(Clone)]
pub struct Sink {
    format: LineFormat,
    writer: Arc<Mutex<Writer>>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Sink {
    /// Writes to this output.
    #[must_use]
    pub fn new(out: impl AsyncWrite + Send + 'static, format: LineFormat) -> Self {
        let writer = Writer {
            out: Box::pin(out),
            chunk: Vec::new(),
            done: 0,
            lines: 0,
            owner: None,
            state: State::Open,
            torn: false,
        };
        Self { format, writer: Arc::new(Mutex::new(writer)) }
    }

    /// Writes to the controller's standard output. Must be called within the runtime.
    ///
    /// A pipe or a terminal is opened once more, so that it can be written without blocking and without changing what others see
    /// of it; a file, or a pipe that may not be opened again, is written on a thread of its own.
    #[must_use]
    pub fn stdout(format: LineFormat) -> Self {
        let reopened = OpenOptions::new()
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open("/proc/self/fd/1")
            .and_then(pipe::Sender::from_file_unchecked);
        match reopened {
            Ok(pipe) => Self::new(pipe, format),
            Err(error) => {
                debug!(%error, "standard output does not support writes without blocking; the controller uses a separate thread");
                Self::new(tokio::io::stdout(), format)
            }
        }
    }

    /// How lines look here.
    #[must_use]
    pub fn format(&self) -> LineFormat {
        self.format
    }

    /// Waits until everything that was handed over is written.
    ///
    /// Cancel safety: nothing is lost, a later call goes on.
    pub async fn flush(&self) {
        self.writer.lock().await.drain().await;
    }

    /// Takes over a chunk of so many whole lines, leaving an empty buffer and 0, and writes it. Lines that can't be written are counted as dropped.
    ///
    /// Cancel safety: either the chunk is untouched, or it has been taken over and will be written by the next call.
    pub(super) async fn write(&self, chunk: &mut Vec<u8>, lines: &mut u64, counters: &Arc<Counters>) {
        let mut writer = self.writer.lock().await;
        writer.drain().await;
        let lines = std::mem::take(lines);
        counters.written(lines);
        writer.take(chunk, lines, counters);
        writer.drain().await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The last chunk could not be written; the next one may be.
    Failing,
    /// Nobody will ever read.
    Gone,
}

struct Writer {
    out: Pin<Box<dyn AsyncWrite + Send>>,
    /// What was handed over, and how much of it is written.
    chunk: Vec<u8>,
    done: usize,
    /// Its lines, until they are counted as delivered or as dropped.
    lines: u64,
    owner: Option<Arc<Counters>>,
    state: State,
    /// Whether the output ends in the middle of a line that will never be completed.
    torn: bool,
}

impl Writer {
    fn take(&mut self, chunk: &mut Vec<u8>, lines: u64, counters: &Arc<Counters>) {
        self.chunk.clear();
        self.chunk.shrink_to(KEEP);
        std::mem::swap(&mut self.chunk, chunk);
        self.done = 0;
        self.lines = lines;
        self.owner = Some(Arc::clone(counters));
    }

    async fn drain(&mut self) {
        while self.done < self.chunk.len() {
            if self.state == State::Gone {
                self.give_up();
                return;
            }
            let wrote = poll_fn(|cx| {
                let rest = if self.torn { b"\n".as_slice() } else { self.chunk.get(self.done..).unwrap_or_default() };
                self.out.as_mut().poll_write(cx, rest)
            })
            .await;
            match wrote {
                Ok(0) => self.failed(&io::ErrorKind::WriteZero.into()),
                Ok(_) if self.torn => self.torn = false,
                Ok(count) => self.done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failed(&error),
            }
        }
        if self.state != State::Gone
            && let Err(error) = poll_fn(|cx| self.out.as_mut().poll_flush(cx)).await
        {
            self.failed(&error);
        } else if self.state == State::Failing && !self.chunk.is_empty() {
            self.state = State::Open;
            warn!("standard output accepts data again");
        }
        if let Some(owner) = &self.owner {
            owner.delivered(std::mem::take(&mut self.lines));
        }
        self.chunk.clear();
        self.done = 0;
    }

    fn failed(&mut self, error: &io::Error) {
        let gone = error.kind() == io::ErrorKind::BrokenPipe;
        if gone {
            warn!(%error, "standard output is closed; the components' output is dropped from now on");
            self.state = State::Gone;
        } else if self.state == State::Open {
            warn!(%error, "standard output does not accept data; the components' output is dropped until it does");
            self.state = State::Failing;
        }
        self.give_up();
    }

    /// Drops what is left of the chunk.
    fn give_up(&mut self) {
        let rest = self.chunk.get(self.done..).unwrap_or_default();
        self.torn |= self.done > 0 && self.chunk.get(self.done - 1).is_some_and(|&last| last != b'\n');
        if let Some(owner) = &self.owner {
            // Each line of a chunk has one line end.
            let lost = memchr::memchr_iter(b'\n', rest).count() as u64;
            owner.delivered(std::mem::take(&mut self.lines).saturating_sub(lost));
            owner.unwritten(lost);
        }
        self.chunk.clear();
        self.done = 0;
    }
}

#[cfg(test)]
mod tests;
