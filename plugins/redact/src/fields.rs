//! Fields by name: in JSON objects, and as `name=value` or `"name": value` in other text.

use std::ops::Range;

use crate::json::{Decoded, string_end};
use crate::spans::{Form, Span};

/// The names that are looked for.
#[derive(Debug)]
pub struct Names {
    /// Name and label.
    names: Vec<(Vec<u8>, usize)>,
    /// Whether a name ends with this byte.
    last: [bool; 256],
}

impl Names {
    /// These names, with their labels.
    pub fn new(names: impl IntoIterator<Item = (Vec<u8>, usize)>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        let mut last = [false; 256];
        for byte in names.iter().filter_map(|(name, _)| name.last()) {
            if let Some(flag) = last.get_mut(usize::from(*byte)) {
                *flag = true;
            }
        }
        Self { names, last }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The label of this key of a JSON object, as it is written.
    pub fn of_key(&self, text: &[u8], inside: Range<usize>) -> Option<usize> {
        let key = text.get(inside.clone())?;
        if memchr::memchr(b'\\', key).is_some() {
            return self.label(&Decoded::of(text, inside).bytes);
        }
        self.label(key)
    }

    fn label(&self, key: &[u8]) -> Option<usize> {
        let last = usize::from(*key.last()?);
        if !self.last.get(last).copied().unwrap_or(false) {
            return None;
        }
        self.names.iter().find(|(name, _)| name == key).map(|(_, label)| *label)
    }

    /// The name that ends there and is preceded by what `is_before` accepts; its label. The longest counts.
    fn ending_at(&self, text: &[u8], end: usize, is_before: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        let head = text.get(..end)?;
        let last = usize::from(*head.last()?);
        if !self.last.get(last).copied().unwrap_or(false) {
            return None;
        }
        let fitting = self.names.iter().filter(|(name, _)| head.ends_with(name) && is_before(end - name.len()));
        fitting.max_by_key(|(name, _)| name.len()).map(|(name, label)| (end - name.len(), *label))
    }

    /// Whether the text may hold one of them. A `false` is certain.
    pub fn suspects(&self, text: &[u8]) -> bool {
        !self.is_empty() && memchr::memchr2_iter(b'=', b':', text).any(|place| self.pair(text, place).is_some())
    }

    /// Tells where their values are in text that is not JSON as a whole.
    pub fn find(&self, text: &[u8], found: &mut dyn FnMut(Span)) {
        if self.is_empty() {
            return;
        }
        let mut done = 0;
        for place in memchr::memchr2_iter(b'=', b':', text) {
            if place < done {
                continue;
            }
            let Some((pair, label)) = self.pair(text, place) else { continue };
            if let Some((value, form)) = value(text, place + 1, pair) {
                done = value.end;
                found(Span { start: value.start, end: value.end, label, form });
            }
        }
    }

    /// What kind of pair this `=` or `:` is part of, and the label of its name.
    fn pair(&self, text: &[u8], place: usize) -> Option<(Pair, usize)> {
        let byte_before = |place: usize| place.checked_sub(1).and_then(|place| text.get(place)).copied();
        if text.get(place) == Some(&b'=') {
            let is_before = |start: usize| match byte_before(start) {
                None => true,
                // An escaped line break or tab, in JSON.
                Some(b'n' | b'r' | b't') => byte_before(start - 1) == Some(b'\\'),
                Some(byte) => byte.is_ascii_whitespace() || b",;&?({[\"'|".contains(&byte),
            };
            let (start, label) = self.ending_at(text, place, is_before)?;
            let is_query = matches!(byte_before(start), Some(b'?' | b'&'));
            return Some((if is_query { Pair::Query } else { Pair::Logfmt }, label));
        }
        let head = text.get(..place)?.trim_ascii_end();
        let quote = *head.last()?;
        let end = head.len() - 1;
        if !matches!(quote, b'"' | b'\'') {
            return None;
        }
        if byte_before(end) == Some(b'\\') {
            let opens = |start: usize| start >= 2 && text.get(start - 2..start) == Some(&[b'\\', quote]);
            let (_, label) = self.ending_at(text, end - 1, opens)?;
            return Some((Pair::EscapedJson, label));
        }
        let (_, label) = self.ending_at(text, end, |start| byte_before(start) == Some(quote))?;
        Some((Pair::Json, label))
    }
}

/// How a name and its value are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// `name=value`.
    Logfmt,
    /// `?name=value&`.
    Query,
    /// `"name": value`, also with single quotes.
    Json,
    /// `\"name\": \"value\"`.
    EscapedJson,
}

/// Where the value that begins at or after `from` is, and how to write what is put there. None where there is nothing to hide.
fn value(text: &[u8], from: usize, pair: Pair) -> Option<(Range<usize>, Form)> {
    let tail = text.get(from..)?;
    let is_json = matches!(pair, Pair::Json | Pair::EscapedJson);
    let from = if is_json { from + (tail.len() - tail.trim_ascii_start().len()) } else { from };
    let first = *text.get(from)?;
    let (range, form) = match (pair, first) {
        (_, b'"') => (from + 1..string_end(text, from + 1).unwrap_or(text.len()), Form::Escaped),
        (_, b'\'') => (from + 1..end_of(text, from + 1, |byte| byte == b'\''), Form::Escaped),
        (Pair::EscapedJson, b'\\') if text.get(from + 1) == Some(&b'"') => {
            (from + 2..escaped_string_end(text, from + 2), Form::Escaped)
        }
        (Pair::Json | Pair::EscapedJson, b'{' | b'[') => (from..nest_end(text, from), Form::Quoted),
        (Pair::Json, _) => (from..end_of(text, from, |byte| b",}] \t\r\n".contains(&byte)), Form::Quoted),
        (Pair::EscapedJson, _) => {
            (from..end_of(text, from, |byte| b",}] \t\r\n\\\"".contains(&byte)), Form::QuotedEscaped)
        }
        (Pair::Query, _) => (from..end_of(text, from, |byte| b"&# \t\"'".contains(&byte)), Form::Plain),
        (Pair::Logfmt, _) => {
            let nest = if matches!(first, b'{' | b'[') { nest_end(text, from) } else { from };
            let end = end_of(text, nest, |byte| b" \t\r\n\"".contains(&byte));
            // What follows a value in `{a=1, b=2}` is not part of it.
            let bare = text.get(nest..end)?;
            let tail = bare.iter().rev().take_while(|byte| b",;})".contains(byte)).count();
            (from..end - tail, Form::Plain)
        }
    };
    let content = text.get(range.clone())?;
    let is_nothing = content.is_empty() || (is_json && form != Form::Escaped && content == b"null");
    (!is_nothing).then_some((range, form))
}

fn end_of(text: &[u8], from: usize, is_end: impl Fn(u8) -> bool) -> usize {
    let tail = text.get(from..).unwrap_or_default();
    tail.iter().position(|&byte| is_end(byte)).map_or(text.len(), |length| from + length)
}

/// The `\"` that ends a string which is itself inside of a string: two more backslashes would make it part of that.
fn escaped_string_end(text: &[u8], from: usize) -> usize {
    let mut place = from;
    while let Some(offset) = text.get(place..).and_then(|tail| memchr::memchr(b'"', tail)) {
        let quote = place + offset;
        let slashes = text.get(from..quote).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
        match slashes {
            0 => return quote,
            1 => return quote - 1,
            _ => place = quote + 1,
        }
    }
    text.len()
}

/// The end of the object or list that begins here, or of the text.
fn nest_end(text: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut place = from;
    while let Some(&byte) = text.get(place) {
        match byte {
            b'"' => match string_end(text, place + 1) {
                Some(end) => place = end,
                None => return text.len(),
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return place + 1;
                }
            }
            _ => {}
        }
        place += 1;
    }
    text.len()
}
