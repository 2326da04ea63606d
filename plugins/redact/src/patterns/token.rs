//! Tokens: what follows `Bearer`, and AWS's access key ids.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::{at, before, run_end, run_start};

/// The first letter may be small.
static BEARER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"earer "));
/// Long-lived and temporary access keys.
const KEY_PREFIXES: [&[u8]; 2] = [b"AKIA", b"ASIA"];
/// What both end with.
static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"IA"));
/// Length of an access key id.
const KEY_LENGTH: usize = 20;
/// `Bearer ` and a token.
const SHORTEST: usize = 8;
/// A word of only small letters below this length is prose: "bearer token missing".
const LONG_WORD: usize = 20;

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

pub(super) fn suspects(text: &[u8]) -> bool {
    text.len() >= SHORTEST && (BEARER.find(text).is_some() || KEY.find(text).is_some())
}

pub(super) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    for place in BEARER.find_iter(text) {
        if !matches!(before(text, place), b'B' | b'b') {
            continue;
        }
        let start = run_end(text, place + BEARER.needle().len(), |byte| byte == b' ');
        let mut end = run_end(text, start, is_token);
        while end > start && at(text, end - 1) == b'.' {
            end -= 1;
        }
        let token = text.get(start..end).unwrap_or_default();
        if token.len() >= LONG_WORD || token.iter().any(|byte| !byte.is_ascii_lowercase()) {
            found(start..end);
        }
    }
    for prefix in KEY_PREFIXES {
        for place in memmem::find_iter(text, prefix) {
            let word = run_start(text, place, |byte| byte.is_ascii_alphanumeric())..run_end(text, place, is_key);
            if word.start == place && word.len() == KEY_LENGTH && !at(text, word.end).is_ascii_alphanumeric() {
                found(word);
            }
        }
    }
}
