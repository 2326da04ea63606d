//! Tokens: what follows `Bearer`, passwords in addresses (`scheme://user:password@host`), and the tokens of services that can be told by how they begin.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::bytes::{at, before, has_run, has_word, run_end, run_start, runs};
use crate::fields::is_masked;

/// The first letter may be small.
static BEARER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"earer "));
static AUTHORITY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"://"));
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
        || (memchr::memchr2(b'@', b'%', text).is_some() && AUTHORITY.find(text).is_some())
}

pub(super) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    bearers(text, found);
    passwords(text, found);
    runs(text, SHORTEST, is_word, |run| {
        if let Some(token) = service_token(text, run) {
            found(token);
        }
    });
}

fn bearers(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    for place in BEARER.find_iter(text) {
        if !matches!(before(text, place), b'B' | b'b') || before(text, place - 1).is_ascii_alphanumeric() {
            continue;
        }
        let start = run_end(text, place + BEARER.needle().len(), |byte| byte == b' ');
        let mut end = run_end(text, start, is_token);
        while end > start && at(text, end - 1) == b'.' {
            end -= 1;
        }
        let token = text.get(start..end).unwrap_or_default();
        // `Bearer realm="x"` asks for a token.
        let next = run_end(text, end, |byte| byte == b'\\');
        let is_asking = token.last() == Some(&b'=') && matches!(at(text, next), b'"' | b'\'');
        let is_prose = token.len() < LONG_WORD && token.iter().skip(1).all(u8::is_ascii_lowercase);
        let is_prose = is_prose && token.iter().all(u8::is_ascii_alphabetic);
        if !token.is_empty() && !is_asking && !is_prose {
            found(start..end);
        }
    }
}

/// `scheme://user:password@host`.
fn passwords(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    for place in AUTHORITY.find_iter(text) {
        let start = place + AUTHORITY.needle().len();
        let limit = text.len().min(start + LONGEST_USER);
        let window = text.get(..limit).unwrap_or_default();
        let end = run_end(window, start, |byte| {
            byte > b' ' && byte < 0x7f && !b"/?#\"'<>`\\,{}|".contains(&byte) || byte >= 0x80
        });
        let Some(user) = text.get(start..end) else {
            continue;
        };
        let Some(host) = memchr::memrchr(b'@', user) else {
            continue;
        };
        let Some(colon) = memchr::memchr(b':', user.get(..host).unwrap_or_default()) else {
            continue;
        };
        let password = start + colon + 1..start + host;
        let is_variable =
            at(text, password.start) == b'$' || at(text, password.start) == b'%' && at(text, password.end - 1) == b'%';
        if !password.is_empty() && !is_variable && !is_masked(text.get(password.clone()).unwrap_or_default()) {
            found(password);
        }
    }
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
