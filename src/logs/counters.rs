//! What happened to a component's lines, for `status` and the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::engine::Output;
use crate::metrics::Family;
use crate::pod::ComponentName;

/// Why a line that should have been written was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// The output could not be written.
    Output,
    /// A plugin failed while it had the line.
    Plugin,
    /// Time ran out.
    Deadline,
}

impl Drop {
    /// All, in the order of [`Counts::drops`].
    pub const ALL: [Self; 3] = [Self::Output, Self::Plugin, Self::Deadline];

    /// The word for it in the metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Plugin => "plugin",
            Self::Deadline => "deadline",
        }
    }
}

/// The two streams, in the order of [`Counts::streams`].
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// Counters of one component. Shared between its runs and with who shows them, as an `Arc`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines and bytes read, of standard output and of standard error.
    read: [[AtomicU64; 2]; 2],
    written: AtomicU64,
    delivered: AtomicU64,
    dropped: [AtomicU64; Drop::ALL.len()],
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
    /// Lines and bytes read of standard output, and of standard error.
    pub streams: [(u64, u64); 2],
    /// Lines written to standard output, or handed over to its writer.
    pub written: u64,
    /// Those that the writer has got rid of: the metric, which must never fall.
    pub delivered: u64,
    /// Lines that should have been written and could not be: standard output was gone, time ran out, or a plugin failed.
    pub dropped: u64,
    /// The same by reason, in the order of [`Drop::ALL`].
    pub drops: [u64; Drop::ALL.len()],
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
        let streams = self.read.each_ref().map(|[lines, bytes]| (of(lines), of(bytes)));
        let drops = self.dropped.each_ref().map(of);
        Counts {
            lines: streams.iter().map(|(lines, _)| lines).sum(),
            bytes: streams.iter().map(|(_, bytes)| bytes).sum(),
            streams,
            written: of(&self.written),
            delivered: of(&self.delivered),
            dropped: drops.iter().sum(),
            drops,
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

    pub(super) fn read(&self, output: Output, lines: u64, bytes: u64, truncated: u64) {
        let [stdout, stderr] = &self.read;
        let [all_lines, all_bytes] = match output {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        };
        all_lines.fetch_add(lines, Ordering::Relaxed);
        all_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.truncated.fetch_add(truncated, Ordering::Relaxed);
    }

    pub(super) fn written(&self, lines: u64) {
        self.written.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that were counted as written, and have been.
    pub(super) fn delivered(&self, lines: u64) {
        self.delivered.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that were counted as written, and could not be after all.
    pub(super) fn unwritten(&self, lines: u64) {
        self.written.fetch_sub(lines, Ordering::Relaxed);
        self.dropped(Drop::Output, lines);
    }

    pub(super) fn dropped(&self, why: Drop, lines: u64) {
        let [output, plugin, deadline] = &self.dropped;
        let counter = match why {
            Drop::Output => output,
            Drop::Plugin => plugin,
            Drop::Deadline => deadline,
        };
        counter.fetch_add(lines, Ordering::Relaxed);
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

/// The metrics of all components' lines.
#[must_use]
pub fn families(all: &[(ComponentName, Counts)]) -> Vec<Family> {
    let mut lines = Family::counter("outrigger_log_read_lines_total", "Lines read from components.");
    let mut bytes = Family::counter("outrigger_log_read_bytes_total", "Bytes of these lines, without line ends.");
    let mut dropped = Family::counter(
        "outrigger_log_dropped_lines_total",
        "Lines that should have been written and could not be, by reason.",
    );
    type Of = fn(&Counts) -> u64;
    let simple: [(&str, &str, Of); 6] = [
        ("outrigger_log_written_lines_total", "Lines written.", |counts| counts.delivered),
        ("outrigger_log_filtered_lines_total", "Lines that plugins removed.", |counts| counts.filtered),
        ("outrigger_log_released_lines_total", "Lines that plugins held beyond the limit.", |counts| counts.released),
        ("outrigger_log_cuts_total", "Cuts of lines that were too long.", |counts| counts.truncated),
        ("outrigger_log_reconnects_total", "Streams of output that were opened again.", |counts| counts.reconnects),
        ("outrigger_log_incomplete_runs_total", "Runs whose output was not read to its end.", |counts| counts.cut),
    ];
    let mut simple = simple.map(|(name, help, of)| (Family::counter(name, help), of));
    let mut unreadable =
        Family::gauge("outrigger_log_unreadable", "Whether the component has a log driver that cannot be read.");
    for (name, counts) in all {
        let component = ("component", name.as_str());
        for (stream, (of_lines, of_bytes)) in STREAMS.into_iter().zip(counts.streams) {
            lines.add([component, ("stream", stream)], of_lines);
            bytes.add([component, ("stream", stream)], of_bytes);
        }
        for (why, count) in Drop::ALL.into_iter().zip(counts.drops) {
            dropped.add([component, ("reason", why.word())], count);
        }
        for (family, of) in &mut simple {
            family.add([component], of(counts));
        }
        unreadable.add([component], counts.unreadable.into());
    }
    let simple = simple.into_iter().map(|(family, _)| family);
    [lines, bytes, dropped, unreadable].into_iter().chain(simple).collect()
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

    #[test]
    fn lines_are_told_apart_by_stream_and_drops_by_reason() {
        let counters = Counters::default();
        counters.read(Output::Stdout, 2, 10, 0);
        counters.read(Output::Stderr, 1, 5, 1);
        counters.dropped(Drop::Deadline, 1);
        counters.dropped(Drop::Plugin, 2);
        let counts = counters.counts();
        assert_eq!((counts.lines, counts.bytes, counts.dropped), (3, 15, 3));
        let registry = crate::metrics::Registry::default();
        let name = ComponentName::new("app").unwrap();
        registry.add(move || families(&[(name.clone(), counts)]));
        let page = registry.page();
        for line in [
            "outrigger_log_read_lines_total{component=\"app\",stream=\"stderr\"} 1",
            "outrigger_log_read_bytes_total{component=\"app\",stream=\"stdout\"} 10",
            "outrigger_log_dropped_lines_total{component=\"app\",reason=\"output\"} 0",
            "outrigger_log_dropped_lines_total{component=\"app\",reason=\"plugin\"} 2",
            "outrigger_log_dropped_lines_total{component=\"app\",reason=\"deadline\"} 1",
            "outrigger_log_cuts_total{component=\"app\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
