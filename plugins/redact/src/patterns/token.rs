//! Tokens: what follows `Bearer`, passwords in addresses (`scheme://user:password@host`), and the tokens of services that can be told by how they begin.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::bytes::{at, before, has_run, has_word, run_end, run_start, runs};
use crate::fields::is_masked;

/// The first letter may be small.
static BEARER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"earer"));
static BEARER_IN_CAPITALS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"BEARER"));
static AUTHORITY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"://"));
/// `://` in an address within an address.
const ESCAPED: [&[u8]; 2] = [b"%2F%2F", b"%2f%2f"];
/// Data sources of Go's driver for MySQL have no scheme.
const SOURCES: [&[u8]; 2] = [b"@tcp(", b"@unix("];
/// A word of only letters below this length is prose: "bearer token missing", "Bearer Token".
const LONG_WORD: usize = 20;
/// Fewest characters in a row of the tokens in [`BEGINNINGS`].
const SHORTEST: usize = 20;
/// Longest user and password in an address that are looked at.
const LONGEST_USER: usize = 512;

/// How tokens of well-known services begin, and how many characters follow at least.
const BEGINNINGS: [(&[u8], usize); 34] = [
    (b"ghp_", 36),
    (b"gho_", 36),
    (b"ghu_", 36),
    (b"ghs_", 36),
    (b"ghr_", 36),
    (b"github_pat_", 22),
    (b"glpat-", 20),
    (b"gldt-", 20),
    (b"glrt-", 20),
    (b"xoxb-", 20),
    (b"xoxp-", 20),
    (b"xoxa-", 20),
    (b"xoxr-", 20),
    (b"xoxs-", 20),
    (b"xapp-", 20),
    (b"sk_live_", 16),
    (b"sk_test_", 16),
    (b"rk_live_", 16),
    (b"rk_test_", 16),
    (b"whsec_", 24),
    (b"npm_", 36),
    (b"pypi-", 32),
    (b"dckr_pat_", 20),
    (b"dop_v1_", 64),
    (b"AIza", 35),
    (b"ya29", 20),
    (b"shpat_", 32),
    (b"shpss_", 32),
    (b"sk-proj-", 20),
    (b"sk-ant-", 20),
    (b"hf_", 30),
    (b"lin_api_", 32),
    (b"rubygems_", 40),
    (b"SG", 40),
];

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

pub(super) fn suspects(text: &[u8]) -> bool {
    has_run(text, SHORTEST, is_word)
        || BEARER.find(text).is_some()
        || BEARER_IN_CAPITALS.find(text).is_some()
        || (memchr::memchr2(b'@', b'%', text).is_some() && suspects_address(text))
}

fn suspects_address(text: &[u8]) -> bool {
    AUTHORITY.find(text).is_some()
        || SOURCES.iter().any(|source| memchr::memmem::find(text, source).is_some())
        || (memchr::memchr(b'%', text).is_some()
            && ESCAPED.iter().any(|sign| memchr::memmem::find(text, sign).is_some()))
}

pub(super) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    bearers(text, BEARER.find_iter(text).filter_map(|place| place.checked_sub(1)), found);
    bearers(text, BEARER_IN_CAPITALS.find_iter(text), found);
    passwords(text, found);
    sources(text, found);
    runs(text, SHORTEST, is_word, |run| {
        if let Some(token) = service_token(text, run) {
            found(token);
        }
        true
    });
}

fn bearers(text: &[u8], places: impl Iterator<Item = usize>, found: &mut dyn FnMut(Range<usize>)) {
    for place in places {
        if !matches!(at(text, place), b'B' | b'b') || before(text, place).is_ascii_alphanumeric() {
            continue;
        }
        let is_space = |byte| matches!(byte, b' ' | b'\t');
        let word = place + BEARER_IN_CAPITALS.needle().len();
        let sign = word + usize::from(at(text, word) == b':');
        let start = run_end(text, sign, is_space);
        if start == sign {
            continue;
        }
        let mut end = run_end(text, start, is_token);
        while end > start && at(text, end - 1) == b'.' {
            end -= 1;
        }
        let token = text.get(start..end).unwrap_or_default();
        // `Bearer realm="x"` asks for a token.
        let next = run_end(text, end, |byte| byte == b'\\');
        let is_asking = token.last() == Some(&b'=') && matches!(at(text, next), b'"' | b'\'');
        let is_prose = token.len() < LONG_WORD
            && (token.iter().skip(1).all(u8::is_ascii_lowercase) || token.iter().all(u8::is_ascii_uppercase));
        let is_prose = is_prose && token.iter().all(u8::is_ascii_alphabetic);
        if !token.is_empty() && !is_asking && !is_prose {
            found(start..end);
        }
    }
}

/// `scheme://user:password@host`.
fn passwords(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    let mut places = AUTHORITY.find_iter(text).peekable();
    while let Some(place) = places.next() {
        let start = place + AUTHORITY.needle().len();
        // Not beyond the next address, so that every byte is read once.
        let limit = text.len().min(start + LONGEST_USER).min(places.peek().copied().unwrap_or(usize::MAX));
        let window = text.get(..limit).unwrap_or_default();
        if let Some(user) = token_as_user(text, place, window, start) {
            found(user);
            continue;
        }
        let Some(password) = password(window, start).or_else(|| unescaped_password(window, start)) else {
            continue;
        };
        let is_variable =
            at(text, password.start) == b'$' || at(text, password.start) == b'%' && at(text, password.end - 1) == b'%';
        if !password.is_empty() && !is_variable && !is_masked(text.get(password.clone()).unwrap_or_default()) {
            found(password);
        }
    }
}

/// The end of what may be the part of an address before its path; with `and_path`, of all of it.
fn authority_end(window: &[u8], start: usize, and_path: bool) -> usize {
    run_end(window, start, |byte| {
        (byte > b' ' && byte < 0x7f && !b"\"'<>`\\,{}|".contains(&byte) || byte >= 0x80)
            && (and_path || !matches!(byte, b'/' | b'?' | b'#'))
    })
}

fn password(window: &[u8], start: usize) -> Option<Range<usize>> {
    let user = window.get(start..authority_end(window, start, false))?;
    let host = memchr::memrchr(b'@', user)?;
    let colon = memchr::memchr(b':', user.get(..host)?)?;
    Some(start + colon + 1..start + host)
}

/// The token in place of a user: `https://TOKEN@host`, `https://TOKEN:@host`, `https://TOKEN:x-oauth-basic@host`.
fn token_as_user(text: &[u8], scheme: usize, window: &[u8], start: usize) -> Option<Range<usize>> {
    let user = window.get(start..authority_end(window, start, false))?;
    let user = user.get(..memchr::memrchr(b'@', user)?)?;
    let (name, password) = match memchr::memchr(b':', user) {
        Some(colon) => (user.get(..colon)?, user.get(colon + 1..)),
        None => (user, None),
    };
    let is_token = match password {
        Some(b"x-oauth-basic") => !is_masked(name),
        Some(b"") | None => {
            let is_mixed = name.iter().any(u8::is_ascii_digit) && name.iter().any(u8::is_ascii_alphabetic);
            let is_web = text.get(..scheme).is_some_and(|head| head.ends_with(b"http") || head.ends_with(b"https"));
            is_web && is_mixed && name.len() >= SHORTEST && name.iter().all(|byte| is_word(*byte))
        }
        Some(_) => false,
    };
    (is_token && !name.is_empty()).then_some(start..start + name.len())
}

/// `user:password@tcp(host:port)/name`.
fn sources(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    if memchr::memchr(b'@', text).is_none() {
        return;
    }
    for source in SOURCES {
        let mut behind = 0;
        for place in memchr::memmem::find_iter(text, source) {
            // Not before the last one, so that every byte is read once.
            let from = place.saturating_sub(LONGEST_USER).max(behind);
            behind = place + 1;
            let is_part = |byte: u8| byte > b' ' && byte != 0x7f && !b"\"'`".contains(&byte);
            let start = from + run_start(text.get(from..).unwrap_or_default(), place - from, is_part);
            let source = text.get(start..place).unwrap_or_default();
            // Addresses are found by their scheme.
            if memchr::memmem::find(source, b"://").is_some() {
                continue;
            }
            let Some(colon) = memchr::memchr(b':', source) else { continue };
            let password = start + colon + 1..place;
            let is_known =
                is_masked(text.get(password.clone()).unwrap_or_default()) || at(text, password.start) == b'$';
            if colon > 0 && is_word(at(source, colon - 1)) && !password.is_empty() && !is_known {
                found(password);
            }
        }
    }
}

/// A password with a `/`, `?` or `#` that should have been escaped. Libraries that refuse such an address print it. A port before a path is none.
fn unescaped_password(window: &[u8], start: usize) -> Option<Range<usize>> {
    let address = window.get(start..authority_end(window, start, true))?;
    let host = memchr::memrchr(b'@', address)?;
    let colon = memchr::memchr2(b':', b'/', address.get(..host)?).filter(|&place| at(address, place) == b':')?;
    let user = address.get(..colon)?;
    let first_end = run_end(address, colon + 1, |byte| !matches!(byte, b'/' | b'?' | b'#'));
    let first = address.get(colon + 1..first_end.min(host))?;
    let is_port = first.iter().all(u8::is_ascii_digit) && (!first.is_empty() || user.len() < 2)
        || first.eq_ignore_ascii_case(b"port")
        || matches!(first, [b'%' | b':', ..]);
    let is_user = !user.is_empty() && !user.iter().any(|byte| matches!(byte, b'@' | b'[' | b'?' | b'#'));
    let is_host = at(address, host + 1).is_ascii_alphanumeric() || at(address, host + 1) == b'[';
    let is_digest = has_word(address, host + 1, b"sha256:");
    (is_user && is_host && !is_port && !is_digest).then_some(start + colon + 1..start + host)
}

/// The token that this run of characters is, if it begins like one of a service.
fn service_token(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let word = text.get(run.clone())?;
    if has_word(text, run.start, b"eyj") && word.starts_with(b"eyJ") {
        return web_token(text, run);
    }
    if word.len() == 20 && (word.starts_with(b"AKIA") || word.starts_with(b"ASIA")) {
        let is_key = word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        return (is_key && !is_joined(text, run.start)).then_some(run);
    }
    // The first part of SendGrid's and of Google's tokens is shorter than a run; a dot follows it.
    let (start, word) = match before(text, run.start) {
        b'.' => {
            let start = run_start(text, run.start - 1, is_word);
            (start, text.get(start..run.start - 1)?)
        }
        _ => (run.start, word),
    };
    let &(beginning, least) = BEGINNINGS.iter().find(|(beginning, _)| word.starts_with(beginning))?;
    let end = run_end(text, run.start, |byte| is_word(byte) || byte == b'.');
    let end = if at(text, end - 1) == b'.' { end - 1 } else { end };
    let is_dotted = !matches!(beginning, b"SG" | b"ya29") || (start < run.start && word.len() == beginning.len());
    let rest = text.get(start + beginning.len()..end)?;
    let has_digit = rest.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (is_dotted && rest.len() >= least && has_digit && !is_joined(text, start)).then_some(start..end)
}

fn is_joined(text: &[u8], start: usize) -> bool {
    before(text, start).is_ascii_alphanumeric()
}

/// A JSON Web Token: three parts, of which the first two are encoded objects.
fn web_token(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let second = (at(text, run.end) == b'.').then_some(run.end + 1)?;
    let second_end = run_end(text, second, is_word);
    let third = (at(text, second_end) == b'.' && second_end > second).then_some(second_end + 1)?;
    let end = run_end(text, third, is_word);
    (!is_joined(text, run.start)).then_some(run.start..end)
}
