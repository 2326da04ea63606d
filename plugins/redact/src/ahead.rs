//! The rare bytes of a line, looked for in a whole batch at once.
//!
//! Most lines have none of them. A search for each line would cost more to begin and to end than to run, so the place of the next such byte is kept from line to
//! line.

use std::ops::Range;

use crate::colour;
use crate::patterns::Fixed;

/// Which rare bytes a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// A backslash or a percent sign: an escape.
    pub escape: bool,
    /// What an `@` may be written with.
    pub at_sign: bool,
    /// What a colour begins with.
    pub colour: bool,
}

impl Signs {
    /// Of one text.
    pub fn of(text: &[u8]) -> Self {
        Self { escape: escape(text).is_some(), at_sign: at_sign(text).is_some(), colour: colour(text).is_some() }
    }

    /// Whether the text may hold this pattern, as far as these bytes show it.
    pub fn may_hold(self, pattern: Fixed) -> bool {
        self.at_sign || pattern != Fixed::Email
    }
}

fn escape(text: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\\', b'%', text)
}

fn at_sign(text: &[u8]) -> Option<usize> {
    memchr::memchr3(b'@', b'%', b'&', text)
}

fn colour(text: &[u8]) -> Option<usize> {
    memchr::memchr(colour::ESC, text)
}

/// The next such bytes of a batch.
#[derive(Debug)]
pub struct Ahead<'a> {
    data: &'a [u8],
    escape: usize,
    at_sign: usize,
    colour: usize,
}

impl<'a> Ahead<'a> {
    /// From the start of these lines.
    pub fn new(data: &'a [u8]) -> Self {
        let mut ahead = Self { data, escape: 0, at_sign: 0, colour: 0 };
        ahead.escape = ahead.next(0, escape);
        ahead.at_sign = ahead.next(0, at_sign);
        ahead.colour = ahead.next(0, colour);
        ahead
    }

    fn next(&self, from: usize, find: impl Fn(&[u8]) -> Option<usize>) -> usize {
        self.data.get(from..).and_then(find).map_or(usize::MAX, |offset| from + offset)
    }

    /// Of the line that is there. Lines are asked for in order.
    pub fn signs(&mut self, line: Range<usize>) -> Signs {
        if self.escape < line.start {
            self.escape = self.next(line.start, escape);
        }
        if self.at_sign < line.start {
            self.at_sign = self.next(line.start, at_sign);
        }
        if self.colour < line.start {
            self.colour = self.next(line.start, colour);
        }
        Signs { escape: self.escape < line.end, at_sign: self.at_sign < line.end, colour: self.colour < line.end }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_line_of_a_batch_has_the_signs_that_it_has_alone(lines in proptest::collection::vec(r"[a@%&\\\x1b ]{0,4}", 0..12)) {
            let data = lines.concat();
            let mut ahead = Ahead::new(data.as_bytes());
            let mut from = 0;
            for line in &lines {
                let range = from..from + line.len();
                from = range.end;
                prop_assert_eq!(ahead.signs(range), Signs::of(line.as_bytes()));
            }
        }
    }
}
