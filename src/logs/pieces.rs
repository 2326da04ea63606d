//! From the engine's frames to pieces: what the engine wrote with one timestamp.
//!
//! A frame of a component without terminal is exactly one piece, timestamp first. A terminal's output is one stream of bytes in which the
//! timestamps stand at the beginning of lines and, because the engine writes a long line 16 KiB at a time, between two pieces of
//! one line; the frames are cut anywhere.

use super::stamp::{LONGEST, StampReader};

/// Where the engine cuts long lines: `defaultBufSize` in moby's `daemon/logger/copier.go`.
const SEAM: usize = 16 * 1024;

/// Finds the pieces of one stream of one connection.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    reader: StampReader,
    /// Whether a frame of this stream has had a timestamp.
    stamped: bool,
    /// Whether the last frame was a full piece of a line that goes on.
    goes_on: bool,
    terminal: Terminal,
}

#[derive(Debug, Default)]
struct Terminal {
    /// Bytes that may turn out to be a timestamp; at most [`LONGEST`].
    head: Vec<u8>,
    /// The timestamp of the current line, as it was written.
    stamp: Vec<u8>,
    place: Place,
    /// Bytes of the current piece so far.
    body: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    /// A timestamp should come next.
    #[default]
    LineStart,
    /// The same timestamp as before may come next, or the line may go on.
    Seam,
    Body,
}

impl Pieces {
    /// Passes on the piece in a frame of a component without terminal: its time where it has one, and its bytes. Frames of
    /// engines that write no timestamps are pieces of the time 0.
    pub(super) fn frame(&mut self, frame: &[u8], out: &mut dyn FnMut(Option<u64>, &[u8])) {
        match self.reader.read(frame) {
            Some((at_ns, len)) => {
                self.stamped = true;
                let piece = frame.get(len..).unwrap_or_default();
                out(Some(at_ns), piece);
                // The engine cuts a long line at the seam only, so a shorter piece is its last one. The driver `local` of Docker 20.10 loses the line end of
                // that piece; without it that line and the next one would be one.
                let is_open = piece.last() != Some(&b'\n');
                if std::mem::replace(&mut self.goes_on, is_open && piece.len() >= SEAM) && is_open && piece.len() < SEAM
                {
                    out(None, b"\n");
                }
            }
            None if self.stamped => out(None, frame),
            None => out(Some(0), frame),
        }
    }

    /// Passes on what of a terminal's output is certain by now: a piece's time where it starts here, and bytes of it.
    pub(super) fn terminal(&mut self, mut bytes: &[u8], out: &mut dyn FnMut(Option<u64>, &[u8])) {
        while !bytes.is_empty() {
            bytes = match self.terminal.place {
                Place::Body => self.body(bytes, out),
                Place::LineStart => self.line_start(bytes, out),
                Place::Seam => self.seam(bytes, out),
            };
        }
    }

    /// Passes on what was kept back in case it were a timestamp: nothing more will come.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Option<u64>, &[u8])) {
        let head = std::mem::take(&mut self.terminal.head);
        if !head.is_empty() {
            out(self.unstamped(), &head);
        }
    }

    fn body<'a>(&mut self, bytes: &'a [u8], out: &mut dyn FnMut(Option<u64>, &[u8])) -> &'a [u8] {
        let terminal = &mut self.terminal;
        let room = (SEAM - terminal.body).min(bytes.len());
        let (inside, _) = bytes.split_at(room);
        let end = memchr::memchr(b'\n', inside).map(|newline| newline + 1);
        let (piece, rest) = bytes.split_at(end.unwrap_or(room));
        terminal.body += piece.len();
        if end.is_some() {
            terminal.place = Place::LineStart;
        } else if terminal.body == SEAM {
            terminal.place = Place::Seam;
        }
        out(None, piece);
        rest
    }

    fn line_start<'a>(&mut self, bytes: &'a [u8], out: &mut dyn FnMut(Option<u64>, &[u8])) -> &'a [u8] {
        let space = memchr::memchr(b' ', bytes).map(|space| space + 1);
        let room = LONGEST.saturating_sub(self.terminal.head.len());
        let (taken, rest) = bytes.split_at(space.unwrap_or(room).min(room).min(bytes.len()));
        self.terminal.head.extend_from_slice(taken);
        // A line end, too, tells that this is no timestamp, for instance of an engine that writes none.
        let complete = space == Some(taken.len())
            || self.terminal.head.len() >= LONGEST
            || memchr::memchr(b'\n', &self.terminal.head).is_some();
        if !complete {
            return rest;
        }
        let head = std::mem::take(&mut self.terminal.head);
        self.terminal.body = 0;
        self.terminal.place = Place::Body;
        if let Some((at_ns, _)) = self.reader.read(&head) {
            self.stamped = true;
            self.terminal.stamp.clone_from(&head);
            out(Some(at_ns), &[]);
        } else {
            if let Some(at_ns) = self.unstamped() {
                out(Some(at_ns), &[]);
            }
            let mut left = head.as_slice();
            while !left.is_empty() && self.terminal.place == Place::Body {
                left = self.body(left, out);
            }
            // What stands behind a line end within the head is looked at again: it may be a timestamp.
            if !left.is_empty() {
                let again = left.to_vec();
                self.terminal(&again, out);
            }
        }
        rest
    }

    fn seam<'a>(&mut self, bytes: &'a [u8], out: &mut dyn FnMut(Option<u64>, &[u8])) -> &'a [u8] {
        let terminal = &mut self.terminal;
        let room = terminal.stamp.len().saturating_sub(terminal.head.len());
        let (taken, rest) = bytes.split_at(room.min(bytes.len()));
        terminal.head.extend_from_slice(taken);
        if terminal.stamp.starts_with(&terminal.head) && terminal.head.len() < terminal.stamp.len() {
            return rest;
        }
        let head = std::mem::take(&mut terminal.head);
        terminal.place = Place::Body;
        terminal.body = 0;
        if !head.is_empty() && head == terminal.stamp {
            let at_ns = self.reader.read(&head).map(|(at_ns, _)| at_ns);
            out(at_ns, &[]);
        } else {
            // The engine's pieces have another length, so no timestamp was due here: these bytes are the line's own.
            let mut left = head.as_slice();
            while !left.is_empty() && self.terminal.place == Place::Body {
                left = self.body(left, out);
            }
            if !left.is_empty() {
                let again = left.to_vec();
                self.terminal(&again, out);
            }
        }
        rest
    }

    fn unstamped(&self) -> Option<u64> {
        (!self.stamped).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2026-11-21T01:22:01.521082960Z ";
    const AT: u64 = 1_795_224_121_521_082_960;

    /// Time and bytes of every piece of a terminal's output that arrives in frames of this length.
    fn pieces(output: &[u8], frame: usize) -> Vec<(Option<u64>, Vec<u8>)> {
        let mut found: Vec<(Option<u64>, Vec<u8>)> = Vec::new();
        let mut pieces = Pieces::default();
        let mut take = |start: Option<u64>, bytes: &[u8]| match (start, found.last_mut()) {
            (None, Some((_, last))) => last.extend_from_slice(bytes),
            (start, _) => found.push((start, bytes.to_vec())),
        };
        for frame in output.chunks(frame) {
            pieces.terminal(frame, &mut take);
        }
        pieces.finish(&mut take);
        found
    }

    #[test]
    fn a_long_line_of_a_terminal_loses_the_timestamps_inside() {
        // As Docker 20.10 writes it.
        let long = "x".repeat(SEAM);
        let output = format!("{STAMP}{long}{STAMP}{long}{STAMP}yEND\r\n{STAMP}tail");
        for frame in [1, 7, 31, 4096, SEAM, SEAM + 31, SEAM + 32, output.len()] {
            let expected = [long.as_str(), &long, "yEND\r\n", "tail"].map(|text| (Some(AT), text.as_bytes().to_vec()));
            assert_eq!(pieces(output.as_bytes(), frame), expected, "frames of {frame}");
        }
    }

    #[test]
    fn a_seam_without_timestamp_belongs_to_the_line() {
        let long = "x".repeat(SEAM + 5);
        let output = format!("{STAMP}{long}\n{STAMP}2026 is a year\n");
        for frame in [1, 40, SEAM + 31, output.len()] {
            let expected =
                [format!("{long}\n"), "2026 is a year\n".to_owned()].map(|text| (Some(AT), text.into_bytes()));
            assert_eq!(pieces(output.as_bytes(), frame), expected, "frames of {frame}");
        }
    }

    #[test]
    fn a_terminal_without_timestamps_loses_nothing() {
        let output = b"\n\na b c\nlong enough to be more than any timestamp could ever be\nx";
        for frame in 1..output.len() {
            let all: Vec<u8> = pieces(output, frame).into_iter().flat_map(|(_, bytes)| bytes).collect();
            assert_eq!(all, output, "frames of {frame}");
        }
    }

    /// A prompt without a time is shown when its line ends, not when the next 36 bytes have come.
    #[test]
    fn a_short_line_without_timestamp_is_passed_on_at_once() {
        for line in ["a\n", "\r\n", "password:\n"] {
            let mut found = Vec::new();
            Pieces::default().terminal(line.as_bytes(), &mut |_, bytes| found.extend_from_slice(bytes));
            assert_eq!(found, line.as_bytes(), "{line:?}");
        }
    }

    /// A line without end and without spaces is no timestamp for ever: what is kept back is bounded.
    #[test]
    fn an_endless_line_of_a_terminal_is_passed_on() {
        let mut pieces = Pieces::default();
        let mut passed = 0;
        for taken in 1..=100_000_usize {
            pieces.terminal(b"x", &mut |_, bytes| passed += bytes.len());
            assert!(taken - passed <= LONGEST, "{} bytes are kept back", taken - passed);
            assert!(pieces.terminal.head.capacity() <= 4 * LONGEST);
        }
    }

    #[test]
    fn the_last_piece_of_a_long_line_ends_it_also_without_a_line_end() {
        // As the driver `local` of Docker 20.10 stores lines of 16387, 16384 and 5 bytes.
        let long = "x".repeat(SEAM);
        for (last, expected) in [("end", "end"), ("", "")] {
            let mut all = Vec::new();
            let mut pieces = Pieces::default();
            for piece in [&long, last, "next\n"] {
                pieces.frame(format!("{STAMP}{piece}").as_bytes(), &mut |_, bytes| all.extend_from_slice(bytes));
            }
            assert_eq!(String::from_utf8(all).unwrap(), format!("{long}{expected}\nnext\n"));
        }
    }

    #[test]
    fn frames_without_timestamp_are_pieces_until_one_has_one() {
        let mut found = Vec::new();
        let mut pieces = Pieces::default();
        for frame in ["a\n", "2026-11-21T01:22:01.521082960Z b", "c\n"] {
            pieces.frame(frame.as_bytes(), &mut |start, bytes| found.push((start, bytes.to_vec())));
        }
        assert_eq!(found, [(Some(0), b"a\n".to_vec()), (Some(AT), b"b".to_vec()), (None, b"c\n".to_vec())]);
    }
}
