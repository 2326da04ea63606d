//! Values with an end of their own: strings, objects and lists, and `CDATA` sections.

use std::ops::Range;

use super::bare::ends_word;
use super::{Pair, skip_spaces};
use crate::bytes::{at, before, has_word, run_end};
use crate::json::string_end;
use crate::work::Work;

/// The quote that ends the string whose quote begins there.
pub(super) fn closing(text: &[u8], open: usize, work: &Work) -> Option<usize> {
    let end = closing_at(text, open);
    work.spend(end.unwrap_or(text.len()).saturating_sub(open));
    end
}

fn closing_at(text: &[u8], open: usize) -> Option<usize> {
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

/// The end of the object or list that begins there; none if it has no end.
pub(super) fn nest_end(text: &[u8], from: usize, work: &Work) -> Option<usize> {
    if work.is_spent() {
        return None;
    }
    let end = nest_end_at(text, from, work);
    work.spend(end.unwrap_or(text.len()).saturating_sub(from));
    end
}

fn nest_end_at(text: &[u8], from: usize, work: &Work) -> Option<usize> {
    let mut depth = 0_usize;
    let mut place = from;
    while let Some(&byte) = text.get(place) {
        match byte {
            b'"' => place = string_end(text, place + 1)?,
            // An apostrophe within a word is none.
            b'\'' if !before(text, place).is_ascii_alphanumeric() => {
                if work.is_spent() {
                    return None;
                }
                if let Some(end) = closing(text, place, work) {
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

/// A quote or a bracket as it is written inside of a string, of an address of the web or of XML.
pub(super) fn is_escaped_quote(text: &[u8], place: usize) -> bool {
    match at(text, place) {
        b'\\' => matches!(at(text, place + 1), b'"' | b'\'' | b'\\'),
        b'&' => [&b"&quot;"[..], b"&#39;", b"&#34;", b"&apos;", b"&lt;", b"&gt;", b"&#x"]
            .iter()
            .any(|entity| has_word(text, place, entity)),
        b'%' => has_word(text, place, b"%22") || has_word(text, place, b"%27"),
        _ => false,
    }
}

/// The inside of a string that the value is, also `b'…'`, `&"…"`, `<<"…">>`, `Some("…")`, `string(7) "…"`.
pub(super) fn string(text: &[u8], from: usize, pair: Pair, work: &Work) -> Option<Range<usize>> {
    if pair == Pair::Query {
        return None;
    }
    let head = run_end(text, from, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':'));
    work.spend(head - from);
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
        work.spend(end - open);
        return Some(open..end);
    }
    let mut end = closing(text, open, work).unwrap_or(text.len());
    while let Some(last) = joined(text, end).and_then(|next| closing(text, next, work)) {
        end = last;
    }
    Some(open + 1..end)
}

/// The quote of the string that is joined to the one whose quote ends there: `"a" + "b"`, `'a' || 'b'`, `"a" . "b"`.
fn joined(text: &[u8], close: usize) -> Option<usize> {
    let sign = skip_spaces(text, close + 1);
    let spaced = sign > close + 1;
    let next = match at(text, sign) {
        b'+' => sign + 1,
        b'.' if spaced && at(text, sign + 1) == b' ' => sign + 1,
        b'|' if at(text, sign + 1) == b'|' => sign + 2,
        _ => return None,
    };
    let open = skip_spaces(text, next);
    matches!(at(text, open), b'"' | b'\'').then_some(open)
}

/// Whether a string stands there that is not empty, and whose quote ends a word.
pub(super) fn is_string(text: &[u8], open: usize, work: &Work) -> bool {
    matches!(at(text, open), b'"' | b'\'')
        && closing(text, open, work).is_some_and(|end| end > open + 1 && ends_word(at(text, end + 1)))
}

const SECTION: &[u8] = b"<![CDATA[";
/// Whether this text of an element is a `CDATA` section.
pub(super) fn is_section(text: &[u8], place: usize) -> bool {
    has_word(text, run_end(text, place, |byte| byte.is_ascii_whitespace()), b"<![cdata[")
}

/// The text of the sections that begin there.
pub(super) fn section(text: &[u8], from: usize, work: &Work) -> Range<usize> {
    let start = run_end(text, from, |byte| byte.is_ascii_whitespace()) + SECTION.len();
    let mut place = start;
    loop {
        let tail = text.get(place..).unwrap_or_default();
        let end = memchr::memmem::find(tail, b"]]>").map_or(text.len(), |offset| place + offset);
        work.spend(end - place);
        // A `]]>` within the text is written as two sections.
        if !text.get(end + 3..).is_some_and(|tail| tail.starts_with(SECTION)) {
            return start..end;
        }
        place = end + 3 + SECTION.len();
    }
}
