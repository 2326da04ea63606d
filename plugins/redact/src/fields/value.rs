//! Where the value of a field ends.

use std::ops::Range;

use super::{Pair, is_key, is_space, key_start, skip_spaces};
use crate::bytes::{at, before, has_word, is_one_of, run_end, run_start};
use crate::json::string_end;
use crate::spans::Form;

/// What `name: …` is followed by in prose, where more words follow.
const PROSE: [&str; 55] = [
    "must",
    "is",
    "are",
    "was",
    "were",
    "too",
    "not",
    "cannot",
    "can't",
    "can",
    "has",
    "have",
    "had",
    "should",
    "shall",
    "required",
    "contains",
    "does",
    "doesn't",
    "do",
    "did",
    "didn't",
    "expected",
    "got",
    "missing",
    "invalid",
    "this",
    "that",
    "at",
    "may",
    "needs",
    "need",
    "please",
    "your",
    "minimum",
    "maximum",
    "failed",
    "failure",
    "denied",
    "incorrect",
    "wrong",
    "expired",
    "only",
    "both",
    "either",
    "field",
    "isn't",
    "won't",
    "unable",
    "no",
    "could",
    "couldn't",
    "will",
    "found",
    "using",
];
/// What it is followed by where nothing follows: no value, or how things stand.
const STATUS: [&str; 40] = [
    "required",
    "missing",
    "invalid",
    "expired",
    "empty",
    "unset",
    "set",
    "blank",
    "changed",
    "updated",
    "ok",
    "failed",
    "denied",
    "granted",
    "success",
    "accepted",
    "rejected",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "enabled",
    "disabled",
    "null",
    "none",
    "nil",
    "undefined",
    "unknown",
    "string",
    "str",
    "text",
    "bytes",
    "int",
    "bool",
    "boolean",
    "varchar",
    "number",
    "any",
];
/// Words behind an option in prose and in help texts.
const NO_ARGUMENT: [&str; 40] = [
    "via",
    "is",
    "to",
    "or",
    "and",
    "on",
    "in",
    "for",
    "with",
    "option",
    "options",
    "flag",
    "flags",
    "string",
    "from",
    "at",
    "as",
    "the",
    "was",
    "must",
    "requires",
    "has",
    "needs",
    "cannot",
    "can",
    "argument",
    "value",
    "parameter",
    "password",
    "file",
    "if",
    "instead",
    "but",
    "when",
    "not",
    "should",
    "will",
    "are",
    "of",
    "by",
];
const NOTHING: [&str; 9] = ["null", "none", "nil", "undefined", "(null)", "<nil>", "<none>", "<null>", "<unset>"];
/// What programs put in place of a value.
const MASKS: [&str; 16] = [
    "filtered",
    "redacted",
    "hidden",
    "masked",
    "removed",
    "omitted",
    "sensitive",
    "protected",
    "private",
    "secret",
    "sensitive value",
    "not shown",
    "scrubbed",
    "sanitized",
    "obfuscated",
    "confidential",
];
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
/// Longest key of a pair that may follow.
const LONGEST_KEY: usize = 40;

/// Whether a value has been hidden already.
pub fn is_masked(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let inner = match value {
        [b'[' | b'<' | b'(' | b'{', inner @ .., b']' | b'>' | b')' | b'}'] => inner,
        _ => b"",
    };
    let is_starred =
        |value: &[u8]| value.len() >= 3 && value.iter().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.'));
    let bullets = std::str::from_utf8(value)
        .is_ok_and(|text| !text.is_empty() && text.chars().all(|c| matches!(c, '•' | '·' | '█' | '●' | '*')));
    is_starred(value)
        || bullets
        || is_starred(inner)
        || is_one_of(inner, &MASKS)
        || is_one_of(value, &["redacted", "filtered"])
}

/// The quote that ends the string whose quote begins there.
pub(super) fn closing(text: &[u8], open: usize) -> Option<usize> {
    let quote = at(text, open);
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    let mut place = open + 1;
    loop {
        let offset = memchr::memchr2(quote, b'\\', text.get(place..)?)?;
        place += offset;
        if at(text, place) == quote {
            // SQL and YAML double an apostrophe that is part of the string.
            if quote != b'\'' || at(text, place + 1) != quote || place == open + 1 {
                return Some(place);
            }
        }
        place += 2;
    }
}

/// The end of the object or list that begins there; none where it does not end.
pub(super) fn nest_end(text: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut place = from;
    while let Some(&byte) = text.get(place) {
        match byte {
            b'"' => place = string_end(text, place + 1)?,
            // An apostrophe within a word is none.
            b'\'' if !before(text, place).is_ascii_alphanumeric() => {
                if let Some(end) = closing(text, place) {
                    place = end;
                }
            }
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(place + 1);
                }
            }
            b'\n' | b'\r' => return None,
            _ => {}
        }
        place += 1;
    }
    None
}

/// The value that begins there, and how to write what is put in place. None where there is nothing to hide.
pub(super) fn read(
    text: &[u8],
    from: usize,
    pair: Pair,
    around: Option<u8>,
    name: &Range<usize>,
) -> Option<(Range<usize>, Form)> {
    let first = *text.get(from)?;
    if pair == Pair::Element {
        let end = memchr::memchr(b'<', text.get(from..)?).map_or(text.len(), |offset| from + offset);
        return worth(text, from..end, Form::Plain);
    }
    if let Some(inside) = string(text, from, pair) {
        return worth(text, inside, Form::Escaped);
    }
    if pair == Pair::Quoted {
        return None;
    }
    // The quote is escaped, so this is inside of a string: the layer without the escapes is looked at, too.
    if is_escaped_quote(text, from) {
        return None;
    }
    if pair == Pair::Json {
        // Go: `[]string{"x"}`.
        let is_typed = at(text, from + 1) == b']' && at(text, from + 2).is_ascii_alphabetic();
        if matches!(first, b'{' | b'[') && !is_typed {
            return worth(text, from..nest_end(text, from).unwrap_or(text.len()), Form::Quoted);
        }
        let word = if is_typed { from + 2 } else { from };
        let mut end = run_end(text, word, |byte| byte > b' ' && !b",}])\\\"".contains(&byte));
        if let Some(open) = memchr::memchr2(b'{', b'(', text.get(from..end)?) {
            end = nest_end(text, from + open).unwrap_or(end);
        }
        return worth(text, from..end, Form::Quoted);
    }
    let limit = match around {
        Some(quote) => memchr::memchr(quote, text.get(from..)?).map_or(text.len(), |offset| from + offset),
        None => text.len(),
    };
    let text = text.get(..limit)?;
    if first.is_ascii_whitespace() || from >= limit {
        return None;
    }
    match pair {
        Pair::Flag => flag(text, from, name),
        Pair::Rest | Pair::Colon => {
            if is_prose(text, from, name) {
                return None;
            }
            let word = bare_end(text, from, pair);
            if text.get(from..word).is_some_and(is_masked) {
                return None;
            }
            let end = match pair {
                _ if scheme(text, from..word) => scheme_end(text, word),
                Pair::Rest => rest_end(text, from, word),
                _ => word,
            };
            worth(text, from..end, Form::Plain)
        }
        _ => {
            let word = bare_end(text, from, pair);
            if is_placeholder(text, from..word, name) || text.get(from..word).is_some_and(is_masked) {
                return None;
            }
            let end = match around {
                // The whole word of a shell is quoted: `'password=a b'`.
                Some(_) if pair == Pair::Word => rest_end(text, from, word),
                _ if scheme(text, from..word) => scheme_end(text, word),
                _ => word,
            };
            worth(text, from..end, Form::Plain)
        }
    }
}

/// A quote or a bracket as it is written inside of a string, of an address of the web or of XML.
fn is_escaped_quote(text: &[u8], place: usize) -> bool {
    match at(text, place) {
        b'\\' => matches!(at(text, place + 1), b'"' | b'\'' | b'\\'),
        b'&' => [&b"&quot;"[..], b"&#39;", b"&#34;", b"&apos;", b"&lt;", b"&gt;", b"&#x"]
            .iter()
            .any(|entity| has_word(text, place, entity)),
        b'%' => has_word(text, place, b"%22") || has_word(text, place, b"%27"),
        _ => false,
    }
}

fn worth(text: &[u8], place: Range<usize>, form: Form) -> Option<(Range<usize>, Form)> {
    let value = text.get(place.clone())?;
    let is_nothing = form != Form::Escaped && is_one_of(value, &NOTHING);
    (!value.trim_ascii().is_empty() && !is_nothing && !is_masked(value)).then_some((place, form))
}

/// The inside of a string that the value is, also `b'…'`, `&"…"`, `<<"…">>`, `Some("…")`, `string(7) "…"`.
fn string(text: &[u8], from: usize, pair: Pair) -> Option<Range<usize>> {
    if pair == Pair::Query {
        return None;
    }
    let head = run_end(text, from, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':'));
    let mut open = match at(text, head) {
        b'"' | b'\'' if head - from <= 2 => head,
        b'(' if head > from && matches!(at(text, head + 1), b'"' | b'\'') => head + 1,
        b'(' if has_word(text, from, b"string(") => {
            let close = run_end(text, head + 1, |byte| byte.is_ascii_digit());
            if text.get(close..close + 3) != Some(b") \"") {
                return None;
            }
            close + 2
        }
        b'&' | b'@' if head == from && at(text, from + 1) == b'"' => from + 1,
        b'<' if head == from && text.get(from..from + 3) == Some(b"<<\"") => from + 2,
        b'`' if head == from => head,
        _ => return None,
    };
    // CSV: `""x""`.
    if text.get(open..open + 2) == Some(b"\"\"")
        && !matches!(at(text, open + 2), 0 | b',' | b'}' | b']' | b')' | b';' | b' ')
    {
        open += 2;
        let end = memchr::memmem::find(text.get(open..)?, b"\"\"").map_or(text.len(), |offset| open + offset);
        return Some(open..end);
    }
    Some(open + 1..closing(text, open).unwrap_or(text.len()))
}

/// Whether a key and a sign follow, so that the byte before separates two pairs.
fn pair_follows(text: &[u8], place: usize) -> bool {
    let start = skip_spaces(text, place);
    let start = start + usize::from(matches!(at(text, start), b'"' | b'\'' | b':' | b'['));
    let window = text.get(..text.len().min(start + LONGEST_KEY)).unwrap_or_default();
    let mut end = run_end(window, start, is_key);
    if end == start || at(text, start).is_ascii_digit() {
        return false;
    }
    // Keys of two words: `User Id=jo`.
    if at(text, end) == b' ' && at(text, end + 1).is_ascii_alphabetic() {
        end = run_end(window, end + 1, is_key);
    }
    let end = run_end(text, end, |byte| matches!(byte, b'"' | b'\'' | b']'));
    match at(text, skip_spaces(text, end)) {
        b'=' => true,
        b':' => at(text, skip_spaces(text, end) + 1) != b'/',
        b'-' => at(text, skip_spaces(text, end) + 1) == b'>',
        _ => false,
    }
}

fn ends_word(byte: u8) -> bool {
    byte == 0
        || byte.is_ascii_whitespace()
        || matches!(byte, b',' | b';' | b'.' | b':' | b')' | b']' | b'}' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'|')
}

/// The end of a value without quotes: of one word.
fn bare_end(text: &[u8], from: usize, pair: Pair) -> usize {
    let is_query = pair == Pair::Query;
    let mut place = from;
    while let Some(&byte) = text.get(place) {
        let next = at(text, place + 1);
        let ends = match byte {
            0..=b' ' | 0x7f | b'"' => true,
            b'\'' | b'`' => ends_word(next),
            // `Some(\"x\")`: what is in the brackets is found where the quotes are read as such.
            b'{' | b'[' | b'(' if is_escaped_quote(text, place + 1) => return from,
            b'{' | b'[' | b'(' => {
                if let Some(end) = nest_end(text, place) {
                    place = end;
                    continue;
                }
                false
            }
            b')' | b']' | b'}' => ends_word(next) || next == b'&',
            b',' | b';' | b'|' => ends_word(next) || (byte == b'&' || !is_query) && pair_follows(text, place + 1),
            b'&' => {
                is_query
                    || has_word(text, place, b"&amp;")
                    || is_escaped_quote(text, place)
                    || pair_follows(text, place + 1)
            }
            b'%' => is_escaped_quote(text, place),
            b'#' => is_query,
            b'<' => is_query || next == b'/' || next.is_ascii_alphabetic(),
            b'>' => is_query || (ends_word(next) && place > from),
            b'\\' => {
                (is_escaped_quote(text, place) && next != b'\\')
                    || (matches!(next, b'n' | b'r' | b't')
                        && (ends_word(at(text, place + 2)) || pair_follows(text, place + 2)))
            }
            b'/' => next == b'>',
            _ => false,
        };
        if ends {
            break;
        }
        place += 1;
    }
    // `Some(\"x\")`: what is in the brackets is found where the quotes are read as such.
    let is_open = place > from
        && matches!(before(text, place), b'(' | b'[' | b'{' | b'=' | b'<')
        && is_escaped_quote(text, place);
    if is_open { from } else { place }
}

/// Whether the word announces the credentials behind it.
fn scheme(text: &[u8], word: Range<usize>) -> bool {
    let next = at(text, word.end + 1);
    at(text, word.end) == b' ' && next > b' ' && is_one_of(text.get(word).unwrap_or_default(), &SCHEMES)
}

/// The end of credentials: of one word, or of a list of pairs.
fn scheme_end(text: &[u8], scheme: usize) -> usize {
    let start = skip_spaces(text, scheme);
    let first = run_end(text, start, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // `Digest username="x", realm="y"`
    if at(text, first) == b'=' && matches!(at(text, first + 1), b'"' | b'A'..=b'Z') {
        return trimmed_end(text, scheme, line_end(text, start));
    }
    bare_end(text, start, Pair::Word)
}

fn line_end(text: &[u8], from: usize) -> usize {
    run_end(text, from, |byte| !matches!(byte, b'\n' | b'\r' | 0x07 | 0x1b))
}

fn trimmed_end(text: &[u8], from: usize, end: usize) -> usize {
    text.get(from..end).map_or(end, |value| from + value.trim_ascii_end().len())
}

/// The end of a value that goes on to the end of the line, or to the next pair.
fn rest_end(text: &[u8], from: usize, word: usize) -> usize {
    let end = line_end(text, from);
    // A cookie is a list of pairs itself.
    let has_pairs = text.get(from..word).is_some_and(|word| memchr::memchr(b'=', word).is_some());
    let mut place = word;
    while place < end && !has_pairs {
        let byte = at(text, place);
        if is_space(byte) || matches!(byte, b',' | b';') {
            if pair_follows(text, place + 1) || matches!(text.get(place + 1..place + 3), Some(b"# " | b"//")) {
                break;
            }
        } else if matches!(byte, b'"' | b'\'' | b'}' | b')' | b']') && place == word {
            break;
        }
        place += 1;
    }
    trimmed_end(text, from, if has_pairs { end } else { place.min(end) })
}

/// Whether words of a sentence follow, or a word that says how things stand.
fn is_prose(text: &[u8], from: usize, name: &Range<usize>) -> bool {
    let end = run_end(text, from, |byte| byte.is_ascii_alphabetic() || byte == b'\'' || byte == b'&');
    let word = text.get(from..end).unwrap_or_default();
    let word = word.strip_prefix(b"&").unwrap_or(word);
    let next = at(text, end);
    let more = next == b' ' && at(text, end + 1).is_ascii_alphabetic();
    if more && is_one_of(word, &PROSE) {
        return true;
    }
    let ends = next == 0 || next.is_ascii_whitespace() || matches!(next, b',' | b';' | b')' | b'.' | b'}');
    if ends && is_one_of(word, &STATUS) {
        return true;
    }
    // "invalid password: does it match"
    let gap = run_start(text, name.start, is_space);
    let adjective = text.get(run_start(text, gap, |byte| byte.is_ascii_alphabetic())..gap).unwrap_or_default();
    more && gap < name.start
        && is_one_of(
            adjective,
            &["invalid", "bad", "wrong", "incorrect", "weak", "missing", "no", "expired", "unknown"],
        )
        && word.iter().all(u8::is_ascii_lowercase)
}

/// Whether the value says something about the field, `is_password=true`, or stands for a value in a help text, `--password=PASSWORD`.
fn is_placeholder(text: &[u8], value: Range<usize>, name: &Range<usize>) -> bool {
    let value = text.get(value).unwrap_or_default();
    let key = key_start(text, name.start);
    let is_longer = key < name.start && at(text, key) != b'-';
    let is_option = at(text, key) == b'-';
    let name = text.get(name.clone()).unwrap_or_default();
    let is_capital = value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    (is_longer && is_one_of(value, &["true", "false"]))
        || (is_option && is_capital && value.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)))
}

/// The argument of an option.
fn flag(text: &[u8], from: usize, name: &Range<usize>) -> Option<(Range<usize>, Form)> {
    let first = at(text, from);
    // Another option, or what stands for an argument in a help text.
    if matches!(first, b'-' | b'<' | b'[' | b'$' | b'|' | b'(' | b')' | b',' | b'=' | b'{' | b']') {
        return None;
    }
    let end = bare_end(text, from, Pair::Word);
    let word = text.get(from..end)?;
    let plain = word.strip_suffix(b".").unwrap_or(word);
    let is_name = text.get(name.clone()).is_some_and(|name| plain.eq_ignore_ascii_case(name));
    (!is_name && !is_one_of(plain, &NO_ARGUMENT)).then(|| worth(text, from..end, Form::Plain))?
}
