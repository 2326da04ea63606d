//! How far a component's output has been taken, so that a reconnect neither loses nor repeats a piece of it.
//!
//! A piece is what the engine wrote with one timestamp: a line, or 16 KiB of one. Timestamps have nanoseconds, yet several pieces may share one
//! (all pieces of one line do), so the pieces at the last timestamp are counted, and the bytes of the last one too: a terminal's
//! output can break off in the middle of a piece.

use super::stamp;
use crate::engine::Output;

/// How far before the last piece a reconnect begins to read: pieces of the two streams are not written strictly in the order of their times.
const SLACK_NS: u64 = 10 * NANOS;

const NANOS: u64 = 1_000_000_000;

/// How far both streams have been taken. The default is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    pub(super) stdout: Mark,
    pub(super) stderr: Mark,
}

impl Position {
    pub(super) fn of(&self, output: Output) -> Mark {
        match output {
            Output::Stdout => self.stdout,
            Output::Stderr => self.stderr,
        }
    }

    /// When the last piece was written, as the engine writes times; none before the first, and where pieces have no time.
    #[must_use]
    pub fn at(&self) -> Option<String> {
        let at_ns = self.stdout.at_ns.max(self.stderr.at_ns);
        let mut text = Vec::with_capacity(stamp::LONGEST);
        stamp::write(&mut text, at_ns);
        (at_ns > 0).then(|| String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// From which second on the engine must be asked, given the beginnings of lines that have not ended yet: their remaining
    /// pieces carry the time of the first one, however late they come.
    pub(super) fn since_s(&self, open_lines_ns: impl Iterator<Item = u64>) -> i64 {
        let last = self.stdout.at_ns.max(self.stderr.at_ns).saturating_sub(SLACK_NS);
        let from = open_lines_ns.fold(last, u64::min);
        i64::try_from(from / NANOS).unwrap_or(i64::MAX)
    }
}

/// How far one stream has been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// Time of the last piece; 0 where pieces have none.
    at_ns: u64,
    /// Pieces taken at that time.
    pieces: u64,
    /// Bytes taken of the last of them.
    within: u64,
}

impl Mark {
    fn advance(&mut self, start: Option<u64>, len: u64) {
        match start {
            Some(at_ns) if self.pieces > 0 && at_ns == self.at_ns => {
                self.pieces += 1;
                self.within = len;
            }
            Some(at_ns) => *self = Self { at_ns, pieces: 1, within: len },
            None => self.within += len,
        }
    }
}

/// Keeps the mark of one stream, and tells what of a repeated stream is known already.
#[derive(Debug, Default)]
pub(super) struct Progress {
    mark: Mark,
    /// Where the repetition is, until it has caught up with `mark`.
    replay: Option<Mark>,
}

impl Progress {
    pub(super) fn new(mark: Mark) -> Self {
        Self { mark, replay: None }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// A new connection begins: what it delivers may be known.
    pub(super) fn rewind(&mut self) {
        self.replay = (self.mark.pieces > 0).then(Mark::default);
    }

    /// Takes a piece that starts (`Some` time) or goes on (`None`), and answers how many of its first bytes are known already.
    pub(super) fn take(&mut self, start: Option<u64>, len: usize) -> usize {
        let len64 = len as u64;
        let Some(replay) = &mut self.replay else {
            self.mark.advance(start, len64);
            return 0;
        };
        let before = if start.is_some() { 0 } else { replay.within };
        replay.advance(start, len64);
        let known = if (replay.at_ns, replay.pieces) < (self.mark.at_ns, self.mark.pieces) {
            len
        } else if (replay.at_ns, replay.pieces) == (self.mark.at_ns, self.mark.pieces) {
            usize::try_from(self.mark.within.saturating_sub(before)).unwrap_or(usize::MAX).min(len)
        } else {
            0
        };
        if known < len
            || (replay.at_ns, replay.pieces, replay.within) > (self.mark.at_ns, self.mark.pieces, self.mark.within)
        {
            self.mark = *replay;
            self.replay = None;
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes pieces of these times and lengths, and answers the known bytes of each.
    fn take(progress: &mut Progress, pieces: &[(Option<u64>, usize)]) -> Vec<usize> {
        pieces.iter().map(|&(start, len)| progress.take(start, len)).collect()
    }

    #[test]
    fn a_repetition_is_known_up_to_the_mark() {
        let mut progress = Progress::default();
        take(&mut progress, &[(Some(1), 5), (Some(2), 5), (Some(2), 5)]);
        progress.rewind();
        let again = take(&mut progress, &[(Some(1), 5), (Some(2), 5), (Some(2), 5), (Some(2), 5), (Some(3), 5)]);
        assert_eq!(again, [5, 5, 5, 0, 0]);
    }

    #[test]
    fn a_piece_that_broke_off_goes_on_where_it_did() {
        let mut progress = Progress::default();
        take(&mut progress, &[(Some(1), 4), (Some(2), 3)]);
        progress.rewind();
        assert_eq!(take(&mut progress, &[(Some(1), 4), (Some(2), 2), (None, 4), (None, 2)]), [4, 2, 1, 0]);
    }

    #[test]
    fn a_repetition_that_breaks_off_leaves_the_mark() {
        let mut progress = Progress::default();
        take(&mut progress, &[(Some(1), 4), (Some(2), 3)]);
        let mark = progress.mark();
        progress.rewind();
        assert_eq!(take(&mut progress, &[(Some(1), 4)]), [4]);
        assert_eq!(progress.mark(), mark);
    }

    #[test]
    fn pieces_without_time_are_counted() {
        let mut progress = Progress::default();
        take(&mut progress, &[(Some(0), 4), (Some(0), 3)]);
        progress.rewind();
        assert_eq!(take(&mut progress, &[(Some(0), 4), (Some(0), 3), (Some(0), 3)]), [4, 3, 0]);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing_while_connected() {
        let mut progress = Progress::default();
        assert_eq!(take(&mut progress, &[(Some(100), 1), (Some(50), 1), (Some(51), 1)]), [0, 0, 0]);
        progress.rewind();
        assert_eq!(take(&mut progress, &[(Some(51), 1), (Some(52), 1)]), [1, 0]);
    }

    #[test]
    fn asks_the_engine_for_little_but_enough() {
        let at = |s: u64| Mark { at_ns: s * NANOS, pieces: 1, within: 1 };
        let position = Position { stdout: at(100), stderr: at(3) };
        assert_eq!(position.since_s(std::iter::empty()), 90);
        assert_eq!(position.since_s([7 * NANOS].into_iter()), 7);
        assert_eq!(Position::default().since_s(std::iter::empty()), 0);
    }
}
