//! A reader of JSON that answers places instead of values.
//!
//! It walks over one whole value without building anything, so that a line can be edited in place: order, spaces and numbers stay as they are.
//! It accepts what RFC 8259 accepts, bytes above ASCII in strings unread.

use std::ops::Range;

use crate::bytes::byte_table;

/// What the walk meets. Ranges are of the text.
pub trait Visitor {
    /// A key, without its quotes. `true`: the value of this key is wanted whole.
    fn key(&mut self, inside: Range<usize>) -> bool;
    /// A string that is not a key, without its quotes.
    fn string(&mut self, inside: Range<usize>);
    /// A number.
    fn number(&mut self, whole: Range<usize>);
    /// The value that was wanted: nothing in it is visited.
    fn wanted(&mut self, value: Wanted);
}

/// A value that was wanted whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A string, without its quotes.
    String(Range<usize>),
    /// `null`.
    Null,
    /// Anything else.
    Other(Range<usize>),
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

/// What a value is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nest {
    Object,
    Array,
}

/// Walks over the one value that the text is, spaces around it allowed. Answers whether it is one; if not, what was visited before the mistake was found
/// means nothing.
#[must_use]
pub fn walk(text: &[u8], visitor: &mut impl Visitor) -> bool {
    Walk { text, place: 0, nests: Vec::new(), wanted: None, is_wanted: false }.run(visitor).is_some()
}

/// The first byte after the string's inside: its closing quote. `start` is the first byte of the inside.
pub fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut place = start;
    loop {
        let tail = text.get(place..)?;
        let offset = memchr::memchr2(b'"', b'\\', tail)?;
        place += offset;
        if text.get(place) == Some(&b'"') {
            return Some(place);
        }
        place += 2;
    }
}

/// The bytes at which the reading of a string stops: quotes, backslashes, and control characters, which are not allowed.
static STOPS: [bool; 256] = byte_table!(byte => matches!(byte, b'"' | b'\\' | 0..0x20));

struct Walk<'a> {
    text: &'a [u8],
    place: usize,
    nests: Vec<Nest>,
    /// Start and depth of the container that is wanted whole.
    wanted: Option<(usize, usize)>,
    /// Whether the next value is.
    is_wanted: bool,
}

impl Walk<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.place).copied().unwrap_or(0)
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.place += 1;
        }
    }

    fn run(mut self, visitor: &mut impl Visitor) -> Option<()> {
        let mut next = Next::Value;
        loop {
            self.skip_spaces();
            let byte = self.peek();
            next = match (next, byte) {
                (Next::KeyOrEnd | Next::CommaOrEnd, b'}') => self.close(Nest::Object, visitor)?,
                (Next::ValueOrEnd | Next::CommaOrEnd, b']') => self.close(Nest::Array, visitor)?,
                (Next::CommaOrEnd, b',') => {
                    self.place += 1;
                    if self.nests.last()? == &Nest::Object { Next::Key } else { Next::Value }
                }
                (Next::Colon, b':') => {
                    self.place += 1;
                    Next::Value
                }
                (Next::Key | Next::KeyOrEnd, b'"') => {
                    let inside = self.string()?;
                    self.is_wanted = self.wanted.is_none() && visitor.key(inside);
                    Next::Colon
                }
                (Next::Value | Next::ValueOrEnd, _) => self.value(byte, visitor)?,
                _ => return None,
            };
            if self.nests.is_empty() {
                self.skip_spaces();
                return (self.place == self.text.len()).then_some(());
            }
        }
    }

    fn value(&mut self, byte: u8, visitor: &mut impl Visitor) -> Option<Next> {
        let start = self.place;
        let is_wanted = std::mem::take(&mut self.is_wanted);
        match byte {
            b'{' | b'[' => {
                let nest = if byte == b'{' { Nest::Object } else { Nest::Array };
                if is_wanted {
                    self.wanted = Some((start, self.nests.len()));
                }
                self.nests.push(nest);
                self.place += 1;
                return Some(if nest == Nest::Object { Next::KeyOrEnd } else { Next::ValueOrEnd });
            }
            b'"' => {
                let inside = self.string()?;
                if is_wanted {
                    visitor.wanted(Wanted::String(inside));
                } else if self.wanted.is_none() {
                    visitor.string(inside);
                }
            }
            b't' | b'f' | b'n' => {
                let word: &[u8] = match byte {
                    b't' => b"true",
                    b'f' => b"false",
                    _ => b"null",
                };
                self.place += word.len();
                if self.text.get(start..self.place)? != word {
                    return None;
                }
                if is_wanted {
                    visitor.wanted(if byte == b'n' { Wanted::Null } else { Wanted::Other(start..self.place) });
                }
            }
            _ => {
                self.number()?;
                if is_wanted {
                    visitor.wanted(Wanted::Other(start..self.place));
                } else if self.wanted.is_none() {
                    visitor.number(start..self.place);
                }
            }
        }
        Some(Next::CommaOrEnd)
    }

    fn close(&mut self, nest: Nest, visitor: &mut impl Visitor) -> Option<Next> {
        if self.nests.pop()? != nest {
            return None;
        }
        self.place += 1;
        if let Some((start, depth)) = self.wanted
            && depth == self.nests.len()
        {
            self.wanted = None;
            visitor.wanted(Wanted::Other(start..self.place));
        }
        Some(Next::CommaOrEnd)
    }

    /// The inside of the string that begins here.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.place + 1;
        self.place = start;
        loop {
            let tail = self.text.get(self.place..)?;
            self.place += tail.iter().position(|&byte| STOPS.get(usize::from(byte)).is_some_and(|stops| *stops))?;
            match *self.text.get(self.place)? {
                b'"' => {
                    self.place += 1;
                    return Some(start..self.place - 1);
                }
                b'\\' => match *self.text.get(self.place + 1)? {
                    b'u' => {
                        let digits = self.text.get(self.place + 2..self.place + 6)?;
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return None;
                        }
                        self.place += 6;
                    }
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.place += 2,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.place;
        while self.peek().is_ascii_digit() {
            self.place += 1;
        }
        (self.place > start).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == b'-' {
            self.place += 1;
        }
        if self.peek() == b'0' {
            self.place += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.place += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.place += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.place += 1;
            }
            self.digits()?;
        }
        Some(())
    }
}
