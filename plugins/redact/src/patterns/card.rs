//! Payment cards.

use std::ops::Range;

use super::{at, before, run_end};

/// Fewest digits.
pub(super) const SHORTEST: usize = 13;
/// Most digits.
const LONGEST: usize = 19;
/// Digits of the first group, at least: all cards are printed so.
const FIRST_GROUP: usize = 4;
/// Digits of every other group, at least.
const OTHER_GROUP: usize = 3;

pub(super) fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-')
}

/// Looks for cards in a run of digits, spaces and dashes: groups of digits with one space or dash between them.
pub(super) fn find_in(text: &[u8], run: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    let mut start = run.start;
    while start < run.end {
        if !at(text, start).is_ascii_digit() {
            start += 1;
            continue;
        }
        match card_at(text, start) {
            Some(end) => {
                found(start..end);
                start = end;
            }
            None => start = run_end(text, start, |byte| byte.is_ascii_digit()),
        }
    }
}

/// The end of the longest card that begins here, at the start of a group.
fn card_at(text: &[u8], start: usize) -> Option<usize> {
    // No issuer has others; times since 1970 begin with 1.
    if !matches!(at(text, start), b'2'..=b'6' | b'8') {
        return None;
    }
    let first_end = run_end(text, start, |byte| byte.is_ascii_digit());
    let is_whole = first_end - start >= SHORTEST;
    if first_end - start < FIRST_GROUP || is_joined_before(text, start, is_whole) {
        return None;
    }
    let mut digits = 0;
    let mut sums = (0_u32, 0_u32);
    let mut best = None;
    let mut group = start..first_end;
    while digits + group.len() <= LONGEST {
        for &byte in text.get(group.clone()).unwrap_or_default() {
            // Luhn doubles every second digit from the right; which those are is known at the end only, so both sums are kept.
            let digit = u32::from(byte - b'0');
            let doubled = if digit < 5 { digit * 2 } else { digit * 2 - 9 };
            sums = (sums.1 + digit, sums.0 + doubled);
        }
        digits += group.len();
        let is_whole = group.end == first_end;
        if digits >= SHORTEST && sums.0.is_multiple_of(10) && !is_joined_after(text, group.end, is_whole) {
            best = Some(group.end);
        }
        if !matches!(at(text, group.end), b' ' | b'-') {
            break;
        }
        group = group.end + 1..run_end(text, group.end + 1, |byte| byte.is_ascii_digit());
        if group.len() < OTHER_GROUP {
            break;
        }
    }
    best
}

/// Part of a word or a fraction; or, where it is in groups, of a date or a UUID.
fn is_joined_before(text: &[u8], start: usize, is_whole: bool) -> bool {
    match before(text, start) {
        b'.' => before(text, start - 1).is_ascii_digit(),
        b'-' => !is_whole && before(text, start - 1).is_ascii_alphanumeric(),
        byte => byte.is_ascii_alphanumeric(),
    }
}

fn is_joined_after(text: &[u8], end: usize, is_whole: bool) -> bool {
    match at(text, end) {
        b'.' => at(text, end + 1).is_ascii_digit(),
        b'-' => !is_whole && at(text, end + 1).is_ascii_alphanumeric(),
        byte => byte.is_ascii_alphanumeric(),
    }
}
