//! A guest's standard output and error, line by line into the controller's log.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::{debug, error, info, warn};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::pod::PluginName;

/// Longest line; what is longer comes as several.
const LINE: usize = 4096;
/// Lines of one stream in [`WINDOW`]; what goes beyond is dropped and counted.
const LINES: u32 = 200;
/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(1);

/// How important a line is.
#[derive(Debug, Clone, Copy)]
pub enum Level {
    /// For developers of the plugin.
    Debug,
    /// Also lines of standard output.
    Info,
    /// Also lines of standard error.
    Warn,
    /// Something does not work.
    Error,
}

/// Of what a guest wrote before it trapped, so much is told as the reason, in characters.
const LAST_WORDS: usize = 300;

/// What a guest last wrote to its standard error.
#[derive(Debug, Clone, Default)]
pub struct LastWords(Arc<Mutex<String>>);

impl LastWords {
    /// Forgets what was written: the next call begins.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What was written since, on one line; empty where that is nothing.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first lines are kept: a panic's message comes before its trace.
    fn note(&self, line: &str) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = LAST_WORDS.saturating_sub(words.chars().count());
        if !words.is_empty() && room > 1 {
            words.push(' ');
        }
        words.extend(line.trim().chars().filter(|c| !c.is_control()).take(room.saturating_sub(1)));
    }
}

#[derive(Debug)]
struct Lines {
    plugin: PluginName,
    level: Level,
    /// None for standard output.
    last_words: Option<LastWords>,
    partial: Vec<u8>,
    window: Instant,
    in_window: u32,
    dropped: u32,
}

/// One of a guest's two streams. Clones write to the same.
#[derive(Debug, Clone)]
pub struct LogPipe(Arc<Mutex<Lines>>);

impl LogPipe {
    /// Logs with the plugin's name, and keeps the beginning of what was written in `last_words`.
    #[must_use]
    pub fn new(plugin: &PluginName, level: Level, last_words: Option<LastWords>) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            plugin: plugin.clone(),
            level,
            last_words,
            partial: Vec::new(),
            window: Instant::now(),
            in_window: 0,
            dropped: 0,
        })))
    }

    /// Logs a text of this importance; each of its lines counts as one.
    pub fn line(&self, level: Level, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            // Long lines come as several, like printed ones.
            line.as_bytes().chunks(LINE).for_each(|part| lines.log(level, part));
        }
    }

    /// Reports lines that were dropped, if the time for which they are counted is over.
    pub fn settle(&self) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.dropped > 0 && lines.window.elapsed() >= WINDOW {
            lines.say_dropped();
        }
    }

    fn take(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, |lines, line| lines.log(lines.level, line));
    }
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(&mut Self, &[u8])) {
        while !bytes.is_empty() {
            let room = LINE - self.partial.len();
            let window = bytes.get(..room).unwrap_or(bytes);
            let (part, skip, whole) = match memchr::memchr(b'\n', window) {
                Some(end) => (window.get(..end).unwrap_or_default(), end + 1, true),
                None => (window, window.len(), window.len() == room),
            };
            self.partial.extend_from_slice(part);
            bytes = bytes.get(skip..).unwrap_or_default();
            if whole {
                let line = std::mem::take(&mut self.partial);
                each(self, &line);
            }
        }
    }

    fn say_dropped(&mut self) {
        if self.dropped > 0 {
            warn!(plugin = %self.plugin, dropped = self.dropped, "the plugin writes too many log lines; some lines were dropped");
            self.dropped = 0;
        }
    }

    fn log(&mut self, level: Level, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if let Some(last_words) = &self.last_words {
            last_words.note(&String::from_utf8_lossy(line));
        }
        if self.window.elapsed() >= WINDOW {
            self.say_dropped();
            (self.window, self.in_window, self.dropped) = (Instant::now(), 0, 0);
        }
        if self.in_window >= LINES {
            self.dropped += 1;
            return;
        }
        self.in_window += 1;
        let line = String::from_utf8_lossy(line);
        match level {
            Level::Debug => debug!(plugin = %self.plugin, "{line}"),
            Level::Error => error!(plugin = %self.plugin, "{line}"),
            Level::Info => info!(plugin = %self.plugin, "{line}"),
            Level::Warn => warn!(plugin = %self.plugin, "{line}"),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.say_dropped();
    }
}

impl IsTerminal for LogPipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogPipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LogPipe {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogPipe {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for LogPipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(writes: &[&[u8]]) -> (Vec<String>, usize) {
        let pipe = LogPipe::new(&PluginName::new("p").unwrap(), Level::Info, None);
        let mut lines = Vec::new();
        let mut inner = pipe.0.lock().unwrap();
        for bytes in writes {
            inner.take(bytes, |_, line| lines.push(String::from_utf8_lossy(line).into_owned()));
        }
        (lines, inner.partial.len())
    }

    #[test]
    fn lines_may_come_in_pieces() {
        assert_eq!(split(&[b"a", b"b\nc", b"", b"\n\nd"]), (vec!["ab".into(), "c".into(), String::new()], 1));
    }

    #[test]
    fn a_line_without_end_does_not_grow() {
        let long = vec![b'x'; LINE * 3 + 7];
        let (lines, partial) = split(&[&long]);
        assert_eq!((lines.len(), partial), (3, 7));
    }

    #[test]
    fn a_flood_is_cut() {
        let pipe = LogPipe::new(&PluginName::new("p").unwrap(), Level::Info, None);
        pipe.0.lock().unwrap().window = Instant::now() + Duration::from_secs(3600);
        for _ in 0..LINES + 5 {
            pipe.take(b"x\n");
        }
        let lines = pipe.0.lock().unwrap();
        assert_eq!((lines.in_window, lines.dropped), (LINES, 5));
    }
}
