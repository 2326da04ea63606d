//! Mail addresses.

use std::ops::Range;

use super::{at, before, run_end, run_start};

/// Bytes above ASCII count: `jörg@example.org` must not keep its `jö`.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-') || byte >= 0x80
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80
}

/// Where the domain ends: with the last dot that two letters follow.
fn domain_end(domain: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'.', domain).filter(|&dot| dot > 0).find_map(|dot| {
        let end = run_end(domain, dot + 1, |byte| byte.is_ascii_alphabetic());
        (end >= dot + 3).then_some(end)
    })
}

pub(super) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    for place in memchr::memchr_iter(b'@', text) {
        let mut start = run_start(text, place, is_local);
        // The `n` of an escaped newline in JSON is not part of the name.
        if before(text, start) == b'\\' && matches!(at(text, start), b'n' | b'r' | b't' | b'b' | b'f') {
            start += 1;
        }
        let domain = text.get(place + 1..run_end(text, place + 1, is_domain)).unwrap_or_default();
        if start == place || matches!(domain.first(), None | Some(b'.' | b'-')) {
            continue;
        }
        if let Some(length) = domain_end(domain) {
            found(start..place + 1 + length);
        }
    }
}
