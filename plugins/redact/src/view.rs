//! What a part of a line means, and where in the line each byte of the meaning was written.
//!
//! A line is read in layers: without its colours, a JSON string without its escapes, an address of the web without its percent signs. What is found in a
//! layer is replaced where it was written.

use std::ops::Range;

use crate::bytes::{at, has_word, hex, run_end};
use crate::colour;

/// Most escapes of one view. A line of 1 MiB with more of them is not decoded: the memory of a plugin is limited.
const MOST_ESCAPES: usize = 1 << 16;

/// Colours of a usual line.
const LIKELY_COLOURS: usize = 16;

/// One layer.
#[derive(Debug, Default)]
pub struct View {
    /// The meaning.
    pub bytes: Vec<u8>,
    /// What was written otherwise than it is meant, in order. Everything between them is written as it is meant.
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    /// Where in the meaning.
    at: usize,
    /// How many bytes of it; 0: nothing of the meaning.
    length: usize,
    /// Where it was written.
    from: usize,
    /// In how many bytes.
    width: usize,
}

impl View {
    fn with_capacity(bytes: usize, start: usize) -> Self {
        let changes = vec![Change { at: 0, length: 0, from: start, width: 0 }];
        Self { bytes: Vec::with_capacity(bytes), changes }
    }

    fn change(&mut self, from: usize, width: usize, meant: &[u8]) {
        self.changes.push(Change { at: self.bytes.len(), length: meant.len(), from, width });
        self.bytes.extend_from_slice(meant);
    }

    /// Where this byte of the meaning was written.
    fn written_byte(&self, place: usize) -> Range<usize> {
        let index = self.changes.partition_point(|change| change.at <= place);
        // Of several changes at one place the last one counts: all before it mean nothing.
        let change = index.checked_sub(1).and_then(|index| self.changes.get(index));
        let Some(change) = change else {
            return place..place + 1;
        };
        let inside = place - change.at;
        if inside < change.length {
            return change.from..change.from + change.width;
        }
        let start = change.from + change.width + inside - change.length;
        start..start + 1
    }

    /// Where this part of the meaning was written; never the half of an escape.
    pub fn written(&self, part: Range<usize>) -> Range<usize> {
        let start = self.written_byte(part.start).start;
        let Some(last) = part.end.checked_sub(1).filter(|last| *last >= part.start) else {
            return start..start;
        };
        start..self.written_byte(last).end
    }

    /// The text without its colours, written out or not; none where it has none.
    pub fn without_colours(text: &[u8]) -> Option<Self> {
        // All but the choice of a character set have a bracket.
        memchr::memchr2(colour::ESC, b'[', text)?;
        // Most colours are not written out: then only an ESC begins one.
        if memchr::memchr3(b'\\', b'^', b'#', text).is_none() {
            return Self::without_sequences(text);
        }
        let mut marks = Marks { text, next: None, hash: None };
        let mut view = Self::default();
        let mut from = 0;
        let mut place = marks.from(0)?;
        while view.changes.len() <= MOST_ESCAPES {
            let length = colour::sequence_or_written(text, place);
            if let Some(length) = length {
                if view.changes.is_empty() {
                    view = Self::with_capacity(text.len(), 0);
                }
                view.bytes.extend_from_slice(text.get(from..place)?);
                view.change(place, length, b"");
                from = place + length;
            }
            // If a row of backslashes begins no sequence, its end begins none.
            let after =
                place + length.unwrap_or_else(|| run_end(text, place, |byte| byte == b'\\').max(place + 1) - place);
            let Some(next) = marks.from(after) else { break };
            place = next;
        }
        if view.changes.is_empty() {
            return None;
        }
        view.bytes.extend_from_slice(text.get(from..)?);
        Some(view)
    }

    /// The text without its colours, none of which is written out; none where it has none.
    fn without_sequences(text: &[u8]) -> Option<Self> {
        let mut starts = memchr::memchr_iter(colour::ESC, text);
        let (mut place, mut length) =
            starts.find_map(|place| colour::sequence(text, place).map(|length| (place, length)))?;
        let mut view = Self::with_capacity(text.len(), 0);
        view.changes.reserve(LIKELY_COLOURS);
        let mut from = 0;
        loop {
            view.bytes.extend_from_slice(text.get(from..place)?);
            view.change(place, length, b"");
            from = place + length;
            if view.changes.len() > MOST_ESCAPES {
                break;
            }
            let next = starts.find_map(|place| colour::sequence(text, place).map(|length| (place, length)));
            let Some(found) = next else { break };
            (place, length) = found;
        }
        view.bytes.extend_from_slice(text.get(from..)?);
        Some(view)
    }

    /// The meaning of the inside of a valid JSON string, a range of `text`.
    pub fn of_json(text: &[u8], inside: Range<usize>) -> Self {
        let mut view = Self::with_capacity(inside.len(), inside.start);
        let mut from = inside.start;
        while let Some(offset) = text.get(from..inside.end).and_then(|tail| memchr::memchr(b'\\', tail)) {
            let place = from + offset;
            view.bytes.extend_from_slice(text.get(from..place).unwrap_or_default());
            let mut buffer = [0; 4];
            let (meant, width) = json_escape(text, place, &mut buffer).unwrap_or((b"\\", 1));
            view.change(place, width, meant);
            from = place + width;
            if view.changes.len() > MOST_ESCAPES {
                break;
            }
        }
        view.bytes.extend_from_slice(text.get(from..inside.end).unwrap_or_default());
        view
    }

    /// The text with one layer of backslashes, percent signs and HTML's entities taken off; none where it has none.
    pub fn unescaped(text: &[u8]) -> Option<Self> {
        let mut buffer = [0; 4];
        let first =
            memchr::memchr3_iter(b'\\', b'%', b'&', text).find(|&place| escape(text, place, &mut buffer).is_some())?;
        let mut view = Self::with_capacity(text.len(), 0);
        view.bytes.extend_from_slice(text.get(..first)?);
        let mut from = first;
        let mut place = first;
        while view.changes.len() <= MOST_ESCAPES {
            let after = match escape(text, place, &mut buffer) {
                Some((meant, width)) => {
                    view.bytes.extend_from_slice(text.get(from..place)?);
                    view.change(place, width, meant);
                    from = place + width;
                    from
                }
                None => place + 1,
            };
            let Some(offset) = memchr::memchr3(b'\\', b'%', b'&', text.get(after..)?) else { break };
            place = after + offset;
        }
        view.bytes.extend_from_slice(text.get(from..)?);
        Some(view)
    }
}

/// The places in a text at which a colour may begin.
struct Marks<'a> {
    text: &'a [u8],
    /// The next ESC, `\` or `^`, and the next `#033[`: as far as they are known. The text's length: there is no more.
    next: Option<usize>,
    hash: Option<usize>,
}

impl Marks<'_> {
    /// The first of them that is not before `place`.
    fn from(&mut self, place: usize) -> Option<usize> {
        let Self { text, .. } = *self;
        let tail = text.get(place..)?;
        let next = self.next.filter(|next| *next >= place).unwrap_or_else(|| {
            memchr::memchr3(colour::ESC, b'\\', b'^', tail).map_or(text.len(), |offset| place + offset)
        });
        let hash = self.hash.filter(|hash| *hash >= place).unwrap_or_else(|| {
            let mut hashes = memchr::memchr_iter(b'#', tail).map(|offset| place + offset);
            hashes.find(|&hash| has_word(text, hash, b"#033[")).unwrap_or(text.len())
        });
        (self.next, self.hash) = (Some(next), Some(hash));
        Some(next.min(hash)).filter(|first| *first < text.len())
    }
}

/// What the escape that begins there means and its length.
fn escape<'a>(text: &[u8], place: usize, buffer: &'a mut [u8; 4]) -> Option<(&'a [u8], usize)> {
    match at(text, place) {
        b'\\' => match at(text, place + 1) {
            b'x' => one(buffer, hex(text, place + 2, 2)?, 4),
            b'0'..=b'3' => one(buffer, octal(text, place + 1)?, 4),
            b'e' if at(text, place + 2) == b'[' => one(buffer, u32::from(colour::ESC), 2),
            b'\'' => Some((b"'", 2)),
            _ => json_escape(text, place, buffer),
        },
        b'%' => one(buffer, hex(text, place + 1, 2)?, 3),
        b'&' => entity(text, place, buffer),
        _ => None,
    }
}

/// The value of three octal digits, at most 255.
pub fn octal(text: &[u8], place: usize) -> Option<u32> {
    let digits = text.get(place..place + 3)?;
    let value = digits.iter().try_fold(0, |value, &byte| Some(value * 8 + char::from(byte).to_digit(8)?))?;
    (value <= 0xff).then_some(value)
}

fn one(buffer: &mut [u8; 4], byte: u32, width: usize) -> Option<(&[u8], usize)> {
    let [first, ..] = buffer;
    *first = u8::try_from(byte).ok()?;
    Some((std::slice::from_ref(first), width))
}

/// What an escape of JSON means.
fn json_escape<'a>(text: &[u8], place: usize, buffer: &'a mut [u8; 4]) -> Option<(&'a [u8], usize)> {
    let meant: &[u8] = match at(text, place + 1) {
        b'u' => {
            let (character, width) = unicode(text, place)?;
            return Some((character.encode_utf8(buffer).as_bytes(), width));
        }
        b'n' => b"\n",
        b'r' => b"\r",
        b't' => b"\t",
        b'b' => b"\x08",
        b'f' => b"\x0c",
        b'"' => b"\"",
        b'\\' => b"\\",
        b'/' => b"/",
        _ => return None,
    };
    Some((meant, 2))
}

/// The character of a `\u` escape, and the length of the escape: 12 for a pair of surrogates.
fn unicode(text: &[u8], place: usize) -> Option<(char, usize)> {
    let unit = |place: usize| {
        if text.get(place..place + 2) == Some(b"\\u") { hex(text, place + 2, 4) } else { None }
    };
    let first = unit(place)?;
    if let (0xD800..0xDC00, Some(second @ 0xDC00..0xE000)) = (first, unit(place + 6)) {
        let joined = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return Some((char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 12));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
}

/// Longest entity that is understood, with `&` and `;`.
const LONGEST_ENTITY: usize = 10;

fn entity<'a>(text: &[u8], place: usize, buffer: &'a mut [u8; 4]) -> Option<(&'a [u8], usize)> {
    let tail = text.get(place + 1..text.len().min(place + LONGEST_ENTITY))?;
    let length = memchr::memchr(b';', tail)?;
    let name = tail.get(..length)?;
    let code = match name {
        b"quot" => u32::from(b'"'),
        b"amp" => u32::from(b'&'),
        b"lt" => u32::from(b'<'),
        b"gt" => u32::from(b'>'),
        b"apos" => u32::from(b'\''),
        b"commat" => u32::from(b'@'),
        b"nbsp" => u32::from(b' '),
        [b'#', b'x' | b'X', digits @ ..] if !digits.is_empty() => hex(digits, 0, digits.len())?,
        [b'#', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    let character = char::from_u32(code)?;
    Some((character.encode_utf8(buffer).as_bytes(), length + 2))
}

#[cfg(test)]
mod tests;
