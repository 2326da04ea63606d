//! From pieces to lines.

/// Longest line, in bytes; a longer one becomes several.
pub const MAX_LINE: usize = crate::hooks::limits::LONGEST_LINE;

/// How far before the limit white space is looked for, in bytes.
const CUT_WINDOW: usize = 4096;

/// What is kept allocated for the next open line, in bytes.
const KEEP: usize = 16 * 1024;

/// Puts the lines of one stream together. Holds at most one line of at most [`MAX_LINE`] bytes.
#[derive(Debug)]
pub(super) struct Assembler {
    open: Vec<u8>,
    at_ns: u64,
    limit: usize,
    strip_return: bool,
    cuts: u64,
}

impl Assembler {
    /// `terminal`: a carriage return before the line end was put there by the terminal.
    pub(super) fn new(terminal: bool, limit: usize) -> Self {
        Self { open: Vec::new(), at_ns: 0, limit: limit.max(1), strip_return: terminal, cuts: 0 }
    }

    /// Takes bytes that were written at this time, and passes on every line that they complete, with the time of its beginning.
    pub(super) fn push(&mut self, at_ns: u64, mut bytes: &[u8], line: &mut impl FnMut(u64, &[u8])) {
        while let Some(newline) = memchr::memchr(b'\n', bytes) {
            let (head, rest) = bytes.split_at(newline);
            bytes = rest.get(1..).unwrap_or_default();
            if self.open.is_empty() {
                self.whole(at_ns, head, line);
            } else {
                self.extend(head, line);
                line(self.at_ns, self.stripped(&self.open));
                self.open.clear();
                self.open.shrink_to(KEEP);
            }
        }
        if !bytes.is_empty() {
            if self.open.is_empty() {
                self.at_ns = at_ns;
            }
            self.extend(bytes, line);
        }
    }

    /// Passes on the last line, which has no line end.
    pub(super) fn finish(&mut self, line: &mut impl FnMut(u64, &[u8])) {
        if !self.open.is_empty() {
            line(self.at_ns, &self.open);
            self.open = Vec::new();
        }
    }

    /// When the line that has not ended yet was begun.
    pub(super) fn open_since(&self) -> Option<u64> {
        (!self.open.is_empty()).then_some(self.at_ns)
    }

    /// Lines that were cut since the last call.
    pub(super) fn take_cuts(&mut self) -> u64 {
        std::mem::take(&mut self.cuts)
    }

    fn whole(&mut self, at_ns: u64, mut content: &[u8], line: &mut impl FnMut(u64, &[u8])) {
        while content.len() > self.limit {
            let (first, rest) = content.split_at(cut(content, self.limit));
            self.cuts += 1;
            line(at_ns, first);
            content = rest;
        }
        line(at_ns, self.stripped(content));
    }

    fn extend(&mut self, mut bytes: &[u8], line: &mut impl FnMut(u64, &[u8])) {
        while !bytes.is_empty() {
            // One byte more than a line may have, so that a line of exactly the limit is not cut.
            let room = (self.limit + 1).saturating_sub(self.open.len()).min(bytes.len());
            let (taken, rest) = bytes.split_at(room);
            self.open.extend_from_slice(taken);
            bytes = rest;
            if self.open.len() > self.limit {
                let end = cut(&self.open, self.limit);
                self.cuts += 1;
                line(self.at_ns, self.open.get(..end).unwrap_or_default());
                self.open.drain(..end);
            }
        }
    }

    fn stripped<'a>(&self, content: &'a [u8]) -> &'a [u8] {
        if self.strip_return { content.strip_suffix(b"\r").unwrap_or(content) } else { content }
    }
}

/// Where a content that is longer than the limit is cut: behind the last white space, else before a character, else at the limit.
/// Looks at nothing behind `limit + 1`, so that the frames it came in make no difference.
fn cut(content: &[u8], limit: usize) -> usize {
    let from = limit.saturating_sub(CUT_WINDOW);
    let window = content.get(from..limit).unwrap_or_default();
    if let Some(space) = window.iter().rposition(u8::is_ascii_whitespace) {
        return from + space + 1;
    }
    let continues = |at: usize| content.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    (limit.saturating_sub(3)..=limit).rev().find(|&at| at > 0 && !continues(at)).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(output: &[u8], cuts: &[usize], terminal: bool, limit: usize) -> (Vec<Vec<u8>>, u64) {
        let mut found = Vec::new();
        let mut assembler = Assembler::new(terminal, limit);
        let mut from = 0;
        for &end in cuts.iter().chain([&output.len()]) {
            assembler.push(0, &output[from..end], &mut |_, line| found.push(line.to_vec()));
            assert!(assembler.open.len() <= limit, "more than one line is held");
            from = end;
        }
        assembler.finish(&mut |_, line| found.push(line.to_vec()));
        (found, assembler.take_cuts())
    }

    fn check(output: &str, terminal: bool, limit: usize, expected: &[&str]) {
        let found = lines(output.as_bytes(), &[], terminal, limit).0;
        let found: Vec<_> = found.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_are_told_apart() {
        check("a\n\nb\r\nc", false, 99, &["a", "", "b\r", "c"]);
        check("a\n\nb\r\nc\r", true, 99, &["a", "", "b", "c\r"]);
    }

    #[test]
    fn long_lines_are_cut_at_white_space_or_before_a_character() {
        check("one two three\n", false, 9, &["one two ", "three"]);
        check("123456789\n", false, 9, &["123456789"]);
        check("1234567890\n", false, 9, &["123456789", "0"]);
        check("1234567ü90\n", false, 8, &["1234567", "ü90"]);
        assert_eq!(lines(b"1234567890123456789\n", &[], false, 9).1, 2);
    }

    #[test]
    fn a_line_has_the_time_of_its_beginning() {
        let mut found = Vec::new();
        let mut assembler = Assembler::new(false, 99);
        for (at, bytes) in [(1, "a"), (2, "b\nc\nd"), (3, "e\n")] {
            assembler.push(at, bytes.as_bytes(), &mut |at, line| found.push((at, line.to_vec())));
        }
        assert_eq!(found, [(1, b"ab".to_vec()), (2, b"c".to_vec()), (2, b"de".to_vec())]);
    }

    proptest! {
        /// Any output gives the same lines, wherever the engine cuts it.
        #[test]
        fn frames_make_no_difference(
            parts in prop::collection::vec(prop_oneof!["[a-c ü]{0,12}", Just("\n".to_owned()), Just("\r\n".to_owned())], 0..20),
            raw in prop::collection::vec(any::<u8>(), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            terminal in any::<bool>(),
            limit in 1_usize..20,
        ) {
            let mut output = parts.concat().into_bytes();
            output.extend_from_slice(&raw);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(output.len() + 1)).collect();
            cuts.sort_unstable();
            let whole = lines(&output, &[], terminal, limit);
            prop_assert_eq!(&lines(&output, &cuts, terminal, limit), &whole);
            let each: Vec<usize> = (0..output.len()).collect();
            prop_assert_eq!(&lines(&output, &each, terminal, limit), &whole);
        }
    }
}
