//! Addresses of the Internet's version 4. Versions of four numbers look the same: what stands before decides.

use std::ops::Range;

use crate::bytes::{at, before, has_word, is_one_of, run_end, run_start};

/// Words before four numbers that are a version or a chapter.
const VERSION_WORDS: [&str; 22] = [
    "version",
    "ver",
    "v",
    "release",
    "rel",
    "build",
    "revision",
    "rev",
    "section",
    "chapter",
    "clause",
    "firmware",
    "driver",
    "upgrade",
    "productversion",
    "fileversion",
    "packageversion",
    "assemblyversion",
    "appversion",
    "apiversion",
    "schema",
    "oid",
];

/// Whether there is a number between two dots, with a digit before: versions and fractions of seconds have dots, too.
pub(super) fn suspects(text: &[u8]) -> bool {
    memchr::memchr_iter(b'.', text).any(|dot| {
        let digits =
            run_end(text.get(..text.len().min(dot + 4)).unwrap_or_default(), dot + 1, |byte| byte.is_ascii_digit());
        before(text, dot).is_ascii_digit() && digits > dot + 1 && at(text, digits) == b'.'
    }) || memchr::memchr_iter(b'%', text).any(|sign| {
        before(text, sign).is_ascii_digit() && has_word(text, sign, b"%2e") && at(text, sign + 3).is_ascii_digit()
    })
}

/// Whether a field of this name has a version as its value.
pub fn is_version_name(name: &[u8]) -> bool {
    name.len() >= 7 && name.get(name.len() - 7..).is_some_and(|tail| tail.eq_ignore_ascii_case(b"version"))
}

/// The end of the number from 0 to 255 that begins here. No address has zeros in front.
fn octet_end(text: &[u8], start: usize) -> Option<usize> {
    let end = run_end(text.get(..text.len().min(start + 4)).unwrap_or_default(), start, |byte| byte.is_ascii_digit());
    let digits = text.get(start..end)?;
    let value = digits.iter().fold(0_u32, |value, &byte| value * 10 + u32::from(byte - b'0'));
    let has_zeros = digits.len() > 1 && digits.first() == Some(&b'0');
    (1..=3).contains(&digits.len()).then_some(end).filter(|_| value <= 255 && !has_zeros)
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
        // The digits of `%20` are none of an address.
        if matches!(before(text, start), b'.' | b'_' | b'%') || before(text, start).is_ascii_alphanumeric() {
            continue;
        }
        if let Some(end) = address_end(text, start) {
            if !is_version(text, start..end, done) {
                found(start..end);
            }
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
    // `1.2.3.4.5` and `1.2.3.4rc1` are versions, but names of hosts may begin with an address.
    let next = at(text, end);
    let is_host =
        [&b".in-addr.arpa"[..], b".nip.io", b".sslip.io", b".xip.io"].iter().any(|host| has_word(text, end, host));
    let goes_on = next == b'.' && at(text, end + 1).is_ascii_alphanumeric() && !is_host;
    let is_joined = next.is_ascii_alphanumeric() || next == b'_' || goes_on;
    (!is_joined).then_some(end)
}

/// Whether these four numbers are a version, by what stands before.
fn is_version(text: &[u8], place: Range<usize>, done: usize) -> bool {
    let start = place.start;
    match before(text, start) {
        // `Chrome/120.0.0.0`, but not `localhost/127.0.0.1:80`, as Java prints addresses.
        b'/' => {
            let name =
                run_start(text, start - 1, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            let is_product = at(text, name).is_ascii_uppercase() && at(text, place.end) != b':';
            let is_zeros = text.get(place.clone()).is_some_and(|version| version.ends_with(b".0.0.0"));
            name < start - 1 && before(text, start - 1).is_ascii_alphabetic() && (is_product || is_zeros)
        }
        // `rails-7.0.8.4`, but not the second of two addresses.
        b'-' => start - 1 != done && before(text, start - 1).is_ascii_alphabetic(),
        _ => {
            // `version 1.2.3.4`, `version=1.2.3.4`, `"version": "1.2.3.4"`.
            let gap = run_start(text, start, |byte| {
                matches!(byte, b' ' | b'=' | b':' | b'"' | b'\'' | b'\t' | b'(' | b'\\' | b'[')
            });
            let name = run_start(text, gap, |byte| byte.is_ascii_alphanumeric());
            let word = text.get(name..gap).unwrap_or_default();
            start - gap <= 6 && !word.is_empty() && (is_one_of(word, &VERSION_WORDS) || is_version_name(word))
        }
    }
}
