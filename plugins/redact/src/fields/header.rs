//! The credentials of `Authorization` and of headers whose names end so: a scheme, and one word or a list of pairs.

use std::ops::Range;

use super::bare::{LONGEST_KEY, bare_end, line_end, rest_end, trimmed_end};
use super::enclosed::closing;
use super::{Pair, skip_spaces};
use crate::bytes::{at, has_word, is_one_of, run_end, run_start};
use crate::work::Work;

/// Words before the credentials of a header.
const SCHEMES: [&str; 14] = [
    "bearer",
    "basic",
    "digest",
    "token",
    "negotiate",
    "ntlm",
    "apikey",
    "api-key",
    "key",
    "hawk",
    "splunk",
    "aws4-hmac-sha256",
    "signature",
    "jwt",
];
/// More words before credentials than [`SCHEMES`]. Any other word counts, too, but behind these the credentials may be anything.
const AUTHORIZATION_SCHEMES: [&str; 12] = [
    "oauth",
    "mac",
    "hmac",
    "hmac-sha256",
    "googlelogin",
    "sharedkey",
    "sharedkeylite",
    "sharedaccesssignature",
    "aws",
    "ssws",
    "dpop",
    "genie-key",
];
const AUTHORIZATION: &[u8] = b"authorization";

/// Whether this name is that of a header with credentials.
pub(super) fn is_authorization(text: &[u8], name: &Range<usize>) -> bool {
    name.len() >= AUTHORIZATION.len() && has_word(text, name.end - AUTHORIZATION.len(), AUTHORIZATION)
}

/// Where the credentials of an `Authorization` header end: a scheme of whatever name and one word or a list of pairs, or such a list alone. `first` is the
/// first word. None: that word is all, as far as can be seen.
pub(super) fn credentials(
    text: &[u8],
    first: Range<usize>,
    pair: Pair,
    around: Option<u8>,
    name: &Range<usize>,
    work: &Work,
) -> Option<usize> {
    if !is_authorization(text, name) {
        return None;
    }
    let whole = |end| if pair == Pair::Rest { rest_end(text, first.start, end, work) } else { end };
    if let Some((end, _)) = pairs(text, first.start, work) {
        return Some(whole(end));
    }
    let word = text.get(first.clone())?;
    let start = skip_spaces(text, first.end);
    if !is_scheme(word) || start == first.end || at(text, start) <= b' ' {
        return None;
    }
    let is_known = is_one_of(word, &SCHEMES) || is_one_of(word, &AUTHORIZATION_SCHEMES);
    let is_capital = word.first().is_some_and(u8::is_ascii_uppercase);
    if let Some((end, is_list)) = pairs(text, start, work) {
        // In `authorization=abc took=3ms`, the pair behind is another one.
        let is_part = is_known || is_list || around.is_some() || (is_capital && pair != Pair::Word);
        return is_part.then(|| whole(end));
    }
    let end = bare_end(text, start, pair, work);
    let is_word = |byte: &u8| byte.is_ascii_lowercase();
    let is_prose = || text.get(start..end).is_some_and(|word| word.iter().all(is_word));
    let is_part = is_known || pair != Pair::Word || (is_capital && !is_prose());
    (is_part && end > start).then(|| if is_known { end } else { whole(end) })
}

/// Whether the word announces the credentials behind it.
pub(super) fn scheme(text: &[u8], word: Range<usize>) -> bool {
    let next = at(text, word.end + 1);
    at(text, word.end) == b' ' && next > b' ' && is_one_of(text.get(word).unwrap_or_default(), &SCHEMES)
}

/// The end of credentials: of one word, or of a list of pairs.
pub(super) fn scheme_end(text: &[u8], scheme: usize, pair: Pair, work: &Work) -> usize {
    let start = skip_spaces(text, scheme);
    let first = run_end(text, start, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // `Digest username="x", realm="y"`
    if at(text, first) == b'=' && matches!(at(text, first + 1), b'"' | b'A'..=b'Z') {
        return trimmed_end(text, scheme, line_end(text, start));
    }
    bare_end(text, start, pair, work)
}

/// Whether the word may be a scheme, and not credentials: letters, and digits only as in `TC3-HMAC-SHA256`.
fn is_scheme(word: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let has_digit = word.iter().any(u8::is_ascii_digit);
    let names_hash = || word.windows(3).any(|part| part.eq_ignore_ascii_case(b"sha"));
    word.len() <= LONGEST_KEY
        && word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.iter().all(is_part)
        && (!has_digit || names_hash())
}

/// The end of a list of pairs, `a="b", c=d&e=f`, and whether it is more than one pair without quotes.
fn pairs(text: &[u8], from: usize, work: &Work) -> Option<(usize, bool)> {
    let (mut place, mut end, mut count) = (from, None, 0);
    let (mut any_quoted, mut must_be_quoted) = (false, false);
    let mut separator = None;
    loop {
        let window = text.get(..text.len().min(place + LONGEST_KEY)).unwrap_or_default();
        let key = run_end(window, place, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if key == place || at(text, key) != b'=' {
            break;
        }
        let quote = run_end(text, key + 1, |byte| byte == b'\\');
        let is_quoted = matches!(at(text, quote), b'"' | b'\'');
        if must_be_quoted && !is_quoted {
            break;
        }
        let value_end = if is_quoted { quoted_end(text, key + 1..quote, work) } else { bare_pair_end(text, key + 1) };
        work.spend(value_end - place);
        // The end of base64 is no sign of a pair.
        if value_end == key + 1 || at(text, key + 1) == b'=' {
            break;
        }
        (end, count, any_quoted) = (Some(value_end), count + 1, any_quoted || is_quoted);
        let gap = skip_spaces(text, value_end);
        let is_separated = matches!(at(text, gap), b',' | b';' | b'&');
        // Another sign separates this list from what follows: `{Authorization=X a=b&c=d, Host=x}`.
        if is_separated && *separator.get_or_insert(at(text, gap)) != at(text, gap) {
            break;
        }
        if !is_separated && (!is_quoted || gap == value_end) {
            break;
        }
        must_be_quoted = !is_separated;
        place = if is_separated { skip_spaces(text, gap + 1) } else { gap };
    }
    Some((end?, any_quoted || count > 1))
}

/// The end of a value without quotes. `SignedHeaders=date;host&…` is a list of words.
fn bare_pair_end(text: &[u8], from: usize) -> usize {
    let mut place = from;
    loop {
        place = run_end(text, place, |byte| byte > b' ' && !b",;&\"'`\\<>{}[]()|".contains(&byte));
        let word = run_end(text, place + 1, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if at(text, place) != b';' || word == place + 1 || at(text, word) == b'=' {
            return place;
        }
        place = word;
    }
}

/// Behind the quote that ends the string whose quote stands behind these backslashes.
fn quoted_end(text: &[u8], slashes: Range<usize>, work: &Work) -> usize {
    let line = || line_end(text, slashes.end);
    if slashes.is_empty() {
        return closing(text, slashes.end, work).map_or_else(line, |end| end + 1);
    }
    let from = slashes.end + 1;
    let ends = memchr::memchr_iter(at(text, slashes.end), text.get(from..).unwrap_or_default());
    let mut ends = ends.map(|offset| from + offset);
    let is_end = |end: &usize| *end - run_start(text, *end, |byte| byte == b'\\').max(from) == slashes.len();
    ends.find(is_end).map_or_else(line, |end| end + 1)
}
