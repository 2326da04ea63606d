//! What happened to a component's lines, for `status`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of one component. Shared between its runs and with who shows them, as an `Arc`.
#[derive(Debug, Default)]
pub struct Counters {
    lines: AtomicU64,
    bytes: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    filtered: AtomicU64,
    truncated: AtomicU64,
    released: AtomicU64,
    reconnects: AtomicU64,
    cut: AtomicU64,
    unreadable: AtomicBool,
    /// The last lines that were ready to be written. Short sections without any await: a plain mutex is right.
    last: Mutex<Vec<u8>>,
}

/// What is kept of the last lines, in bytes.
const LAST: usize = 4096;

/// The values of [`Counters`] at one moment. All but `unreadable` and `written` only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Lines read from the engine.
    pub lines: u64,
    /// Their bytes, without line ends.
    pub bytes: u64,
    /// Lines written to standard output.
    pub written: u64,
    /// Lines that should have been written and could not be: standard output was gone, time ran out, or a plugin failed.
    pub dropped: u64,
    /// Lines that plugins took out. One that a plugin made into several counts against it.
    pub filtered: u64,
    /// How often a line was cut because it was too long; nothing is lost by that.
    pub truncated: u64,
    /// Lines that plugins held longer than they may, and that were written as they were.
    pub released: u64,
    /// How often the stream was opened again while the component ran.
    pub reconnects: u64,
    /// Runs whose output was not read to its end: time ran out, or a plugin failed.
    pub cut: u64,
    /// Whether the component's log driver can't be read.
    pub unreadable: bool,
}

impl Counts {
    /// What is missing in the output, in words; none if nothing is. `unread`: whether output that was not read counts, or dropped lines only.
    #[must_use]
    pub fn missing(&self, unread: bool) -> Option<String> {
        let dropped = match self.dropped {
            0 => None,
            1 => Some("1 line was dropped".to_owned()),
            lines => Some(format!("{lines} lines were dropped")),
        };
        let cut = (unread && self.cut > 0).then(|| "the output was not read to its end".to_owned());
        let all: Vec<String> = dropped.into_iter().chain(cut).collect();
        (!all.is_empty()).then(|| all.join(", and "))
    }
}

impl Counters {
    /// The values now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            lines: of(&self.lines),
            bytes: of(&self.bytes),
            written: of(&self.written),
            dropped: of(&self.dropped),
            filtered: of(&self.filtered),
            truncated: of(&self.truncated),
            released: of(&self.released),
            reconnects: of(&self.reconnects),
            cut: of(&self.cut),
            unreadable: self.unreadable.load(Ordering::Relaxed),
        }
    }

    /// The last `lines` lines as they were, or would have been, written: what plugins took out is not among them.
    #[must_use]
    pub fn last(&self, lines: usize) -> Vec<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&last);
        let mut found: Vec<String> = text.lines().rev().take(lines).map(str::to_owned).collect();
        found.reverse();
        found
    }

    /// Keeps the end of these lines.
    pub(super) fn remember(&self, lines: &[u8]) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let new = lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default();
        let over = (last.len() + new.len()).saturating_sub(LAST).min(last.len());
        last.drain(..over);
        last.extend_from_slice(new);
    }

    pub(super) fn read(&self, lines: u64, bytes: u64, truncated: u64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.truncated.fetch_add(truncated, Ordering::Relaxed);
    }

    pub(super) fn written(&self, lines: u64) {
        self.written.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that were counted as written, and could not be after all.
    pub(super) fn unwritten(&self, lines: u64) {
        self.written.fetch_sub(lines, Ordering::Relaxed);
        self.dropped(lines);
    }

    pub(super) fn dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn filtered(&self, lines: u64) {
        self.filtered.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn released(&self, lines: u64) {
        self.released.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers whether this is news.
    pub(super) fn set_unreadable(&self) -> bool {
        !self.unreadable.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_output_is_told_in_words() {
        let missing = |dropped, cut| Counts { dropped, cut, ..Counts::default() };
        let only_dropped = missing(3, 1).missing(false).unwrap();
        assert_eq!((missing(0, 1).missing(false), only_dropped.as_str()), (None, "3 lines were dropped"));
        let missing = |dropped, cut| missing(dropped, cut).missing(true);
        assert_eq!(missing(0, 0), None);
        assert_eq!(missing(1, 0).unwrap(), "1 line was dropped");
        assert_eq!(missing(0, 2).unwrap(), "the output was not read to its end");
        assert_eq!(missing(12, 1).unwrap(), "12 lines were dropped, and the output was not read to its end");
    }
}
