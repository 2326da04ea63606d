//! Bank account numbers.

use std::ops::Range;

use super::{at, before, run_end};

/// Shortest number, Norway's.
pub(super) const SHORTEST: usize = 15;
/// Longest number that the standard allows.
const LONGEST: usize = 34;
/// Characters of each group but the last, where it is written in groups.
const GROUP: usize = 4;

fn is_letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

pub(super) fn is_part(byte: u8) -> bool {
    is_letter_or_digit(byte) || byte == b' '
}

pub(super) fn find_in(text: &[u8], run: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    let mut start = run.start;
    while start < run.end {
        let end = run_end(text, start, is_letter_or_digit);
        if end == start {
            start += 1;
            continue;
        }
        match iban_at(text, start) {
            Some(end) => {
                found(start..end);
                start = end;
            }
            None => start = end,
        }
    }
}

/// What a character counts in the check: A is 10.
fn appended(rest: u32, byte: u8) -> u32 {
    if byte.is_ascii_digit() {
        (rest * 10 + u32::from(byte - b'0')) % 97
    } else {
        (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97
    }
}

/// The end of the longest account number that begins here, at the start of a word.
fn iban_at(text: &[u8], start: usize) -> Option<usize> {
    let head = text.get(start..start + GROUP)?;
    let [a, b, c, d] = *head else { return None };
    let is_head = a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit();
    if !is_head || before(text, start).is_ascii_alphanumeric() {
        return None;
    }
    let mut length = 0;
    let mut rest = 0;
    let mut best = None;
    let mut from = start;
    loop {
        let end = run_end(text, from, is_letter_or_digit);
        length += end - from;
        if length > LONGEST {
            break;
        }
        // The first four characters count last.
        let body = if from == start { from + GROUP } else { from };
        rest = text.get(body..end).unwrap_or_default().iter().fold(rest, |rest, &byte| appended(rest, byte));
        let is_right = head.iter().fold(rest, |rest, &byte| appended(rest, byte)) == 1;
        if length >= SHORTEST && is_right && !at(text, end).is_ascii_alphanumeric() {
            best = Some(end);
        }
        let goes_on = end - from == GROUP && at(text, end) == b' ' && is_letter_or_digit(at(text, end + 1));
        if !goes_on {
            break;
        }
        from = end + 1;
    }
    best
}
