//! Escape sequences of terminals: colours above all.
//!
//! A sequence is what ECMA-48 calls a control sequence (`ESC [`, parameters, a final byte), or the choice of a character set (`ESC ( B`). Hyperlinks and titles
//! (`ESC ]`) are no sequences here: they hold text, which may hold secrets.

use crate::bytes::{at, before, has_word, run_end};

/// Begins every sequence.
pub const ESC: u8 = 0x1b;

/// The length of the sequence that begins at this ESC; none where it is not complete, or none of ours.
#[inline]
pub fn sequence(text: &[u8], place: usize) -> Option<usize> {
    if at(text, place) != ESC {
        return None;
    }
    body(text, place + 1).map(|end| end - place)
}

/// The end of what follows an ESC.
#[inline]
fn body(text: &[u8], place: usize) -> Option<usize> {
    match at(text, place) {
        b'[' => {
            let mut end = place + 1;
            while matches!(at(text, end), 0x20..=0x3f) {
                end += 1;
            }
            matches!(at(text, end), 0x40..=0x7e).then_some(end + 1)
        }
        b'(' | b')' if at(text, place + 1).is_ascii_alphanumeric() => Some(place + 2),
        b'#' if at(text, place + 1).is_ascii_digit() => Some(place + 2),
        b'7' | b'8' | b'=' | b'>' | b'M' | b'c' => Some(place + 1),
        _ => None,
    }
}

/// The length of a sequence that begins here, also of one whose ESC is written out: `\x1b[31m` (Go, C), `\u001b[31m` (JSON; with more backslashes where it is
/// a string in a string), `\033[31m`, `\e[31m` (shells), `^[[31m` (`cat -v`), `#033[31m` (rsyslog).
pub fn sequence_or_written(text: &[u8], place: usize) -> Option<usize> {
    let written = match at(text, place) {
        ESC => return sequence(text, place),
        b'\\' => {
            let word = run_end(text, place, |byte| byte == b'\\');
            let written =
                [&b"x1b"[..], b"u001b", b"033", b"e"].into_iter().find(|written| has_word(text, word, written))?;
            word + written.len()
        }
        b'^' if at(text, place + 1) == b'[' => place + 2,
        b'#' if has_word(text, place, b"#033") => place + 4,
        _ => return None,
    };
    if at(text, written) != b'[' {
        return None;
    }
    let end = body(text, written)?;
    // The string in which the ESC is written out ends first: `{"a": "\u001b["}`.
    let leaves_string = memchr::memchr3(b'"', b'\'', b'\\', text.get(written..end)?).is_some();
    (!leaves_string).then(|| end - place)
}

/// Where the sequences of a line stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seams {
    /// Between two letters or digits: a colour within a word.
    pub in_word: bool,
    /// Between two bytes of a word, an address or a token, or at the end of a word that may be `Bearer`.
    pub in_text: bool,
}

impl Seams {
    /// Of all sequences of this line.
    pub fn of(line: &[u8]) -> Self {
        let mut seams = Self::default();
        let mut place = 0;
        for start in memchr::memchr_iter(ESC, line) {
            let head = before(line, start);
            if start < place || !is_text(head) {
                continue;
            }
            let mut end = start;
            while let Some(length) = sequence(line, end) {
                end += length;
            }
            if end > start {
                let next = at(line, end);
                seams.in_word |= head.is_ascii_alphanumeric() && next.is_ascii_alphanumeric();
                seams.in_text |= is_text(next) || (matches!(head, b'r' | b'R') && matches!(next, b' ' | b'\t'));
            }
            place = end;
        }
        seams
    }
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b':' | b'/')
}
