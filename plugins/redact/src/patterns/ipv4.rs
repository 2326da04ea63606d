//! Addresses of the Internet's version 4.

use std::ops::Range;

use super::{at, before, run_end, run_start};

/// Whether there is a number between two dots, with a digit before: versions and fractions of seconds have dots, too.
pub(super) fn suspects(text: &[u8]) -> bool {
    memchr::memchr_iter(b'.', text).any(|dot| {
        let digits =
            run_end(text.get(..text.len().min(dot + 4)).unwrap_or_default(), dot + 1, |byte| byte.is_ascii_digit());
        before(text, dot).is_ascii_digit() && digits > dot + 1 && at(text, digits) == b'.'
    })
}

/// The end of the number from 0 to 255 that begins here.
fn octet_end(text: &[u8], start: usize) -> Option<usize> {
    let end = run_end(text.get(..text.len().min(start + 4)).unwrap_or_default(), start, |byte| byte.is_ascii_digit());
    let digits = text.get(start..end)?;
    let value = digits.iter().fold(0_u32, |value, &byte| value * 10 + u32::from(byte - b'0'));
    (1..=3).contains(&digits.len()).then_some(end).filter(|_| value <= 255)
}

pub(super) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    let mut done = 0;
    for dot in memchr::memchr_iter(b'.', text) {
        if dot < done {
            continue;
        }
        let earliest = dot.saturating_sub(4).max(done);
        let start = earliest
            + run_start(text.get(earliest..).unwrap_or_default(), dot - earliest, |byte| byte.is_ascii_digit());
        let is_joined = before(text, start).is_ascii_alphanumeric() || before(text, start) == b'.';
        if is_joined {
            continue;
        }
        if let Some(end) = address_end(text, start) {
            found(start..end);
            done = end;
        }
    }
}

fn address_end(text: &[u8], start: usize) -> Option<usize> {
    let mut end = octet_end(text, start)?;
    for _ in 0..3 {
        if at(text, end) != b'.' {
            return None;
        }
        end = octet_end(text, end + 1)?;
    }
    // `1.2.3.4.5` and `1.2.3.4rc1` are versions.
    let next = at(text, end);
    let is_joined = next.is_ascii_alphanumeric() || (next == b'.' && at(text, end + 1).is_ascii_alphanumeric());
    (!is_joined).then_some(end)
}
