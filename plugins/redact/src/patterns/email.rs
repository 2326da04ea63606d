//! Mail addresses: of people, in any script, quoted (`"jane doe"@example.org`) or not. Names of packages, files, units and objects look alike and are none.

use std::ops::Range;

use crate::bytes::{at, before, character, character_before, hex, is_one_of, run_end, run_start};

/// Longest quoted name, RFC 5321.
const LONGEST_QUOTED: usize = 64;

/// What ends names of files, of packages and of systemd's units, and is no domain of the top level where people have mail.
const NO_TOP_LEVEL: [&str; 74] = [
    "service",
    "socket",
    "target",
    "timer",
    "mount",
    "automount",
    "slice",
    "scope",
    "swap",
    "device",
    "path",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "avif",
    "ico",
    "bmp",
    "heic",
    "tif",
    "tiff",
    "psd",
    "js",
    "mjs",
    "cjs",
    "ts",
    "tsx",
    "jsx",
    "css",
    "scss",
    "less",
    "map",
    "json",
    "yaml",
    "yml",
    "toml",
    "xml",
    "html",
    "htm",
    "txt",
    "log",
    "csv",
    "pdf",
    "gz",
    "tgz",
    "xz",
    "bz",
    "tar",
    "zst",
    "whl",
    "jar",
    "war",
    "rpm",
    "deb",
    "apk",
    "iso",
    "img",
    "exe",
    "dll",
    "vue",
    "rb",
    "php",
    "lock",
    "conf",
    "cfg",
    "ini",
    "sock",
    "pem",
    "crt",
    "wasm",
    "dylib",
    "tostring",
];

/// Whether there is an `@`, or a way to write one.
pub(super) fn suspects(text: &[u8]) -> bool {
    memchr::memchr3_iter(b'@', b'%', b'&', text).any(|place| match at(text, place) {
        b'@' => true,
        // Also `%2540`, a percent sign that was escaped itself.
        b'%' => matches!(at(text, place + 1), b'4' | b'2') && matches!(at(text, place + 2), b'0' | b'5'),
        _ => matches!(at(text, place + 1), b'#' | b'c'),
    })
}

/// Letters and digits of any script, with the marks that belong to them.
fn is_letter(character: char) -> bool {
    character.is_alphanumeric()
        || matches!(character, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{dff}' | '\u{e30}'..='\u{eff}' | '\u{200c}' | '\u{200d}')
}

/// Where the run of letters, digits and such bytes that ends before `end` begins.
fn word_start(text: &[u8], end: usize, others: impl Fn(u8) -> bool) -> usize {
    let mut start = end;
    loop {
        start = run_start(text, start, |byte| byte.is_ascii_alphanumeric() || others(byte));
        match character_before(text, start) {
            Some((found, place)) if !found.is_ascii() && is_letter(found) => start = place,
            None if before(text, start) >= 0x80 => start -= 1,
            _ => return start,
        }
    }
}

/// Where the run of letters, digits and such bytes that begins there ends.
fn word_end(text: &[u8], start: usize, others: impl Fn(u8) -> bool) -> usize {
    let mut end = start;
    loop {
        end = run_end(text, end, |byte| byte.is_ascii_alphanumeric() || others(byte));
        match character(text, end) {
            Some((found, length)) if !found.is_ascii() && is_letter(found) => end += length,
            _ => return end,
        }
    }
}

pub(super) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    for place in memchr::memchr_iter(b'@', text) {
        let Some(end) = domain_end(text, place + 1) else {
            continue;
        };
        let Some(start) = name_start(text, place, end) else {
            continue;
        };
        if is_mail(text, start..place, place + 1..end) {
            found(start..end);
        }
    }
}

/// Where the domain that begins there ends: with the last label that can be of the top level.
fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    if at(text, start) == b'[' {
        return literal_end(text, start);
    }
    let end = word_end(text, start, |byte| matches!(byte, b'.' | b'-'));
    let domain = text.get(start..end)?;
    if matches!(domain.first(), None | Some(b'.' | b'-')) {
        return None;
    }
    memchr::memrchr_iter(b'.', domain).find_map(|dot| top_level_end(domain, dot + 1)).map(|length| start + length)
}

/// The end of `[203.0.113.5]` or `[IPv6:…]`.
fn literal_end(text: &[u8], start: usize) -> Option<usize> {
    let end =
        run_end(text, start + 1, |byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'I' | b'P' | b'v'));
    (at(text, end) == b']' && end > start + 3).then_some(end + 1)
}

fn top_level_end(domain: &[u8], start: usize) -> Option<usize> {
    let label = domain.get(start..)?;
    if label.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"xn--")) {
        let end = run_end(domain, start, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        return (end > start + 4).then_some(end);
    }
    match label.first()? {
        b'a'..=b'z' | b'A'..=b'Z' => {
            let end = run_end(domain, start, |byte| byte.is_ascii_alphabetic());
            let is_part = at(domain, end).is_ascii_alphanumeric();
            (end >= start + 2 && !is_part && is_top_level(domain.get(start..end)?)).then_some(end)
        }
        0x80.. => Some(word_end(domain, start, |_| false)),
        _ => None,
    }
}

/// Whether people can have mail there.
fn is_top_level(label: &[u8]) -> bool {
    // By far the most frequent, so that the list is not gone through.
    matches!(label, b"com" | b"org" | b"net" | b"de" | b"io" | b"uk") || !is_one_of(label, &NO_TOP_LEVEL)
}

/// Where the name before the `@` begins; none where there is none.
fn name_start(text: &[u8], place: usize, end: usize) -> Option<usize> {
    if before(text, place) == b'"' {
        return quoted_start(text, place);
    }
    let is_part = |byte: u8| matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'~');
    let mut start = word_start(text, place, is_part);
    // A percent sign that escapes something is no part of the name; the layer without it is looked at, too.
    let head = text.get(start..place)?;
    let is_simple = head.iter().all(|byte| !matches!(byte, b'%' | b'\''));
    if !is_simple
        && let Some(escape) = memchr::memrchr_iter(b'%', head).find(|offset| hex(text, start + offset + 1, 2).is_some())
    {
        start += escape + 3;
    }
    start = start.min(place);
    start = past_escape(text, start).min(place);
    if !is_simple {
        start = past_quotes(text, start, place, end);
    }
    // What a mailing list or a forwarder puts before an address that it wraps: `bounces+jane=example.org@list.example.com`.
    if before(text, start) == b'=' {
        let wrapped = word_start(text, start - 1, is_part);
        let head = text.get(wrapped..start - 1)?;
        if memchr::memchr(b'+', head).is_some_and(|plus| plus > 0) {
            start = wrapped;
        }
    }
    let dots = text.get(start..place)?.iter().take_while(|byte| matches!(byte, b'.' | b'-' | b'\'')).count();
    (start + dots < place).then_some(start + dots)
}

/// Past the letters of an escape that stands before: the `n` of `\n` is not part of the name, nor is the `x22` of `\x22`.
fn past_escape(text: &[u8], start: usize) -> usize {
    if before(text, start) != b'\\' {
        return start;
    }
    match at(text, start) {
        b'n' | b'r' | b't' | b'b' | b'f' => start + 1,
        b'x' if hex(text, start + 1, 2).is_some() => start + 3,
        b'u' if hex(text, start + 1, 4).is_some() => start + 5,
        _ => start,
    }
}

/// Past a quote that is not part of the name: an apostrophe is, but not the quotes of `'jane@example.org'` and `b'jane@example.org'`.
fn past_quotes(text: &[u8], start: usize, place: usize, end: usize) -> usize {
    let head = text.get(start..place).unwrap_or_default();
    let quotes = head.iter().take_while(|byte| **byte == b'\'').count();
    let Some(quote) = memchr::memchr(b'\'', head) else {
        return start;
    };
    let is_prefix = quote <= 2
        && head.iter().take(quote).all(|byte| matches!(byte.to_ascii_lowercase(), b'b' | b'u' | b'r' | b'f'));
    if quotes == 0 && is_prefix && at(text, end) == b'\'' { start + quote + 1 } else { start + quotes }
}

/// Where a quoted name begins, whose closing quote stands before the `@`.
fn quoted_start(text: &[u8], place: usize) -> Option<usize> {
    let close = place - 1;
    let from = close.saturating_sub(LONGEST_QUOTED);
    let inside = text.get(from..close)?;
    let open =
        from + memchr::memrchr_iter(b'"', inside).find(|&open| open == 0 || inside.get(open - 1) != Some(&b'\\'))?;
    let name = text.get(open + 1..close)?;
    (!name.is_empty() && !name.iter().any(u8::is_ascii_control)).then_some(open)
}

/// Whether it is a person's address, or only looks like one.
fn is_mail(text: &[u8], name: Range<usize>, domain: Range<usize>) -> bool {
    let mut labels = text.get(domain.clone()).unwrap_or_default().split(|&byte| byte == b'.');
    let begins_with_digit = |label: &[u8]| label.first().is_some_and(u8::is_ascii_digit);
    let is_number = |label: &[u8]| label.iter().all(u8::is_ascii_digit);
    let first = labels.next().unwrap_or_default();
    // `left-pad@1.2.3-rc.tar`
    if is_number(first) && labels.next().is_some_and(begins_with_digit) && labels.next().is_some() {
        return false;
    }
    let local = text.get(name.clone()).unwrap_or_default();
    // `git@github.com:acme/site.git`, `ssh://git@github.com/acme`
    if is_one_of(local, &["git", "hg", "svn"]) {
        let next = at(text, domain.end);
        let is_path = next == b':' && !at(text, domain.end + 1).is_ascii_whitespace();
        return !is_path && before(text, name.start) != b'/';
    }
    // `io.netty.Channel@5a2e.run`: an object of Java's by its class.
    let is_class = local
        .rsplit(|&byte| matches!(byte, b'.' | b'$'))
        .next()
        .and_then(<[u8]>::first)
        .is_some_and(u8::is_ascii_uppercase)
        && memchr::memchr(b'.', local).is_some();
    let is_hash = || first.iter().all(u8::is_ascii_hexdigit) && first.iter().any(u8::is_ascii_digit);
    !(is_class && is_hash())
}
