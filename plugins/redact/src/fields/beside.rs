//! Values beside a name in markup, in lists and in serialised data.

use super::enclosed::{closing, is_section};
use super::notation::is_flag;
use super::{Pair, is_key, is_space, skip_spaces};
use crate::bytes::{at, before, has_word, is_one_of, run_end, run_start};
use crate::work::Work;

/// What is in the element that this name begins: `<password>x`, `<ns:password type="x">x`. `sign` is `>` or the first attribute.
pub(super) fn element(text: &[u8], key: usize, name_end: usize, sign: usize, work: &Work) -> Option<(Pair, usize)> {
    let open = if before(text, key) == b':' { run_start(text, key - 1, is_key) } else { key };
    if before(text, open) != b'<' {
        return None;
    }
    let window = text.get(sign..text.len().min(sign + 256))?;
    let close = sign + memchr::memchr(b'>', window)?;
    if before(text, close) == b'/' {
        return None;
    }
    if is_closed(text, close + 1, work) {
        return Some((Pair::Element, close + 1));
    }
    // Elements within: all up to the end of this one.
    elements_end(text, close + 1, text.get(key..name_end)?, work).map(|_| (Pair::Elements, close + 1))
}

/// Where the element of this name ends that begins before `from`.
pub(super) fn elements_end(text: &[u8], from: usize, name: &[u8], work: &Work) -> Option<usize> {
    let is_end = |place: &usize| {
        let start = if has_word(text, *place, name) { *place } else { run_end(text, *place, is_key) + 1 };
        has_word(text, start, name) && at(text, start + name.len()) == b'>'
    };
    let tail = text.get(from..).unwrap_or_default();
    let end = memchr::memmem::find_iter(tail, b"</").map(|offset| from + offset + 2).find(is_end);
    work.spend(end.unwrap_or(text.len()) - from);
    end.map(|end| end - 2)
}

/// Whether the next element that begins or ends behind ends one. A `CDATA` section is text.
fn is_closed(text: &[u8], place: usize, work: &Work) -> bool {
    if is_section(text, place) {
        return true;
    }
    let tail = text.get(place..).unwrap_or_default();
    let next = memchr::memchr(b'<', tail);
    work.spend(next.unwrap_or(tail.len()));
    next.is_some_and(|offset| at(text, place + offset + 1) == b'/')
}

/// The value of an attribute or a child beside a name that is a value itself: `name="password" value="x"`, `<entry key="password">x`.
pub(super) fn attribute(text: &[u8], key: usize, sign: usize, work: &Work) -> Option<(Pair, usize)> {
    let equals = key.checked_sub(2)?;
    if at(text, equals) != b'=' {
        return None;
    }
    let attribute = text.get(run_start(text, equals, is_key)..equals)?;
    if !is_one_of(attribute, &["name", "key", "id", "n"]) {
        return None;
    }
    if at(text, sign) == b'>' {
        return is_closed(text, sign + 1, work).then_some((Pair::Element, sign + 1));
    }
    let value = [&b"value="[..], b"val=", b"v="].into_iter().find(|value| has_word(text, sign, value))?;
    Some((Pair::Quoted, sign + value.len()))
}

/// The value behind a comma: `('password', 'x')`, `{password,"x"}`, `["--password", "x"]`, `"name":"password","value":"x"`.
pub(super) fn in_list(text: &[u8], key: usize, comma: usize, quoted: bool, work: &Work) -> Option<(Pair, usize)> {
    let value = skip_spaces(text, comma + 1);
    let open = key - usize::from(quoted).min(key);
    if is_flag(text, key, key_name(text, key)) && quoted {
        return Some((Pair::Quoted, value));
    }
    let open = run_start(text, open, |byte| byte == b'<');
    let is_tuple = match before(text, open) {
        b'(' => quoted || before(text, open - 1) == b'(',
        b'{' => matches!(at(text, value), b'"' | b'<'),
        // A list of pairs: `[["password", "x"]]`.
        b'[' => quoted && matches!(before(text, run_start(text, open - 1, is_space)), b'[' | b','),
        _ => false,
    };
    if is_tuple {
        let is_pair = |end: usize| matches!(at(text, run_end(text, end + 1, |byte| byte == b'>')), b')' | b'}' | b']');
        let first = run_end(text, value, |byte| byte == b'<' || byte == b'b');
        let end = closing(text, first, work)?;
        return is_pair(end).then_some((Pair::Quoted, value));
    }
    if quoted && before(text, run_start(text, open, is_space)) == b':' {
        let after = [&b"\"value\""[..], b"'value'"].into_iter().find(|word| has_word(text, value, word))?;
        let colon = skip_spaces(text, value + after.len());
        return (at(text, colon) == b':').then(|| (Pair::Json, skip_spaces(text, colon + 1)));
    }
    None
}

/// The value behind a name that is the value of a `name`: `{Name:DB_PASSWORD,Value:x}`, `map[name:DB_PASSWORD value:x]`. `place` is behind the name.
pub(super) fn named(text: &[u8], key: usize, place: usize, quoted: bool) -> Option<(Pair, usize)> {
    if !matches!(at(text, place), b' ' | b',' | b';') {
        return None;
    }
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'');
    let sign = run_start(text, key - usize::from(quoted).min(key), is_space);
    if !matches!(before(text, sign), b':' | b'=') {
        return None;
    }
    let end = run_start(text, sign - 1, is_quote);
    let label = text.get(run_start(text, end, |byte| byte.is_ascii_alphanumeric() || byte == b'_')..end)?;
    if !is_one_of(label, &NAMED) {
        return None;
    }
    let gap = skip_spaces(text, place);
    let start = skip_spaces(text, if matches!(at(text, gap), b',' | b';') { gap + 1 } else { gap });
    let start = start + usize::from(is_quote(at(text, start)));
    let end = run_end(text, start, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_one_of(text.get(start..end)?, &VALUED) {
        return None;
    }
    let sign = skip_spaces(text, end + usize::from(is_quote(at(text, end))));
    let value = skip_spaces(text, sign + 1);
    matches!(at(text, sign), b':' | b'=').then_some((if quoted { Pair::Json } else { Pair::Word }, value))
}

/// Keys whose value is the name of another value, in small letters.
pub const NAMED: [&str; 10] = ["name", "key", "header", "k", "n", "field", "param", "path", "property", "fieldname"];
/// Keys of that other value.
pub const VALUED: [&str; 7] = ["value", "val", "v", "rejectedvalue", "rejected_value", "invalidvalue", "input"];

/// Behind the dashes of a key.
fn key_name(text: &[u8], key: usize) -> usize {
    run_end(text, key, |byte| byte == b'-')
}

/// The value behind a key that PHP has serialised: `s:8:"password";s:7:"hunter2"`.
pub(super) fn php(text: &[u8], place: usize) -> Option<usize> {
    let digits = place + 2;
    let colon = run_end(text, digits, |byte| byte.is_ascii_digit());
    (text.get(place..digits) == Some(b"s:") && colon > digits && at(text, colon) == b':').then_some(colon + 1)
}
