//! Fields by name: where in text their values are, in the notations that programs print.

mod bare;
mod beside;
mod cookie;
mod database;
mod enclosed;
mod header;
mod name;
mod notation;
mod rejected;
mod value;
mod words;

use crate::bytes::{at, hidden, run_end, run_start};
use crate::spans::Span;
use crate::work::Work;
use notation::after_name;

pub use beside::{NAMED, VALUED};
pub use name::Names;
pub use words::is_masked;

/// How a name and its value are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// `name=value`, with a value of one word.
    Word,
    /// `?name=value&`.
    Query,
    /// `name = value` and `name: value` where the name begins the line: the value is all of it.
    Rest,
    /// `name: value` within other text.
    Colon,
    /// `"name": value`, also with single quotes.
    Json,
    /// `--name value`.
    Flag,
    /// Text between `<name>` and the next `<`.
    Element,
    /// Elements between `<name>` and `</name>`.
    Elements,
    /// All to the end of the line, whatever it is.
    Line,
    /// A value that must be quoted to be one.
    Quoted,
}

/// A name that is followed by a value.
struct Found {
    pair: Pair,
    /// Where the value begins.
    value: usize,
    /// The quote that the pair as a whole is in, `"name: value"`: the value ends with it.
    around: Option<u8>,
}

impl Names {
    /// Reports where their values are in text that is not JSON as a whole.
    pub fn find(&self, text: &[u8], work: &Work, found: &mut dyn FnMut(Span)) {
        if self.is_empty() {
            return;
        }
        let mut done = 0;
        for (name, label) in self.occurrences(text) {
            if name.start < done {
                continue;
            }
            if work.is_spent() {
                return;
            }
            let Some(Found { pair, value, around }) = after_name(text, &name, work) else {
                continue;
            };
            let Some((place, form)) = value::read(text, value, pair, around, &name, work) else {
                continue;
            };
            if place.is_empty() {
                continue;
            }
            done = place.end;
            found(Span { start: place.start, end: place.end, label, form });
        }
    }
}

/// Longest key that a name is the end of.
const LONGEST_KEY: usize = 64;

/// Characters of a key, of which the name is the last part.
fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Behind spaces, and behind characters that look like spaces or like nothing.
fn skip_spaces(text: &[u8], place: usize) -> usize {
    let mut place = run_end(text, place, is_space);
    loop {
        let length = hidden(text, place);
        if length == 0 {
            return place;
        }
        place = run_end(text, place + length, is_space);
    }
}

/// Behind characters that look like nothing, and behind a carriage return: what follows it overwrites the line on a terminal.
fn skip_hidden(text: &[u8], mut place: usize) -> usize {
    loop {
        match at(text, place) {
            b'\r' => place += 1,
            _ => match hidden(text, place) {
                0 => return place,
                length => place += length,
            },
        }
    }
}

/// Where the key begins that ends with this name.
fn key_start(text: &[u8], name: usize) -> usize {
    let from = name.saturating_sub(LONGEST_KEY);
    from + run_start(text.get(from..).unwrap_or_default(), name - from, is_key)
}

#[cfg(test)]
mod tests;
