//! Where names of fields stand in text.
//!
//! A name counts whatever its capitals, and with `-`, `_` or nothing between its words. It may be the last part of a longer key: `DB_password`, `dbPassword`,
//! `spring.datasource.password`. For each name the rarest of its letters is looked for; only there the rest is compared.

use std::ops::Range;

use crate::bytes::{at, before, hidden};

/// The letters of log lines, the rarest first. What is not here is rarer than all.
const COMMON_LAST: &[u8] = b"zqjxkwvybhgfpmucdlnrsoaite";
/// A name of so many letters counts inside of a word, too: nobody can tell where the words of `PGPASSWORD` end.
const LONG: usize = 8;
/// Most kinds of rare letters that are looked for one after the other.
const MOST_GROUPS: usize = 8;

/// A name that is looked for.
#[derive(Debug)]
struct Name {
    /// In small letters, without `-` and `_`.
    letters: Vec<u8>,
    label: usize,
    /// Which of the letters is looked for.
    anchor: usize,
}

/// The names that are looked for.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<Name>,
    /// A rare letter, small and capital, and the names that have it as their anchor.
    groups: Vec<(u8, u8, Vec<usize>)>,
}

/// A key that ends with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name's label.
    pub label: usize,
    /// Whether the key is the name and nothing more.
    pub is_exact: bool,
}

fn is_joint(byte: u8) -> bool {
    matches!(byte, b'-' | b'_')
}

/// Whether `%5B` may stand before, or `\u005b`, `\x5b`, or a colour of which the beginning is escaped: `%1B%5B36m`.
fn is_after_escape(text: &[u8], start: usize) -> bool {
    let head = before(text, start);
    let is_hex = head.is_ascii_hexdigit() && before(text, start - 1).is_ascii_hexdigit();
    is_hex || (head == b'm' && matches!(before(text, start - 1), b'0'..=b'9' | b'B' | b'b' | b'['))
}

fn rarity(byte: u8) -> usize {
    COMMON_LAST.iter().position(|&other| other == byte).map_or(0, |place| place + 1)
}

impl Names {
    /// These names, with their labels.
    pub fn new(names: impl IntoIterator<Item = (Vec<u8>, usize)>) -> Self {
        let mut all = Self::default();
        for (name, label) in names {
            let mut letters: Vec<u8> =
                name.iter().filter(|byte| !is_joint(**byte)).map(u8::to_ascii_lowercase).collect();
            if letters.is_empty() {
                letters = name;
            }
            all.add(letters, label);
        }
        all
    }

    fn add(&mut self, letters: Vec<u8>, label: usize) {
        // One pass over the line finds the anchors of all names of a group, so a group that is there already is better than a rarer letter.
        let shared =
            letters.iter().enumerate().filter(|(_, byte)| self.groups.iter().any(|(small, ..)| small == *byte));
        let best = shared
            .min_by_key(|(_, byte)| rarity(**byte))
            .filter(|(_, byte)| rarity(**byte) <= COMMON_LAST.len() / 2 || self.groups.len() >= MOST_GROUPS);
        let rarest = || letters.iter().enumerate().min_by_key(|(_, byte)| rarity(**byte));
        let Some((anchor, &byte)) = best.or_else(rarest) else {
            return;
        };
        let index = self.names.len();
        match self.groups.iter_mut().find(|(small, ..)| *small == byte) {
            Some((_, _, names)) => names.push(index),
            None => self.groups.push((byte, byte.to_ascii_uppercase(), vec![index])),
        }
        self.names.push(Name { letters, label, anchor });
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the text may hold one of them, also behind escapes. A `false` is certain.
    pub fn suspects(&self, text: &[u8]) -> bool {
        let mut any = false;
        self.each(text, true, &mut |_, _| {
            any = true;
            false
        });
        any
    }

    /// Where names are, in order; of several that end at one place the longest.
    pub fn occurrences(&self, text: &[u8]) -> Vec<(Range<usize>, usize)> {
        let mut found = Vec::new();
        self.each(text, false, &mut |place, label| {
            found.push((place, label));
            true
        });
        found.sort_by_key(|(place, _)| (place.end, place.start));
        found.dedup_by(|next, kept| next.0.end == kept.0.end);
        found
    }

    /// Reports every name until `found` answers `false`. With `escaped`, also those that an escape stands before, whose letters look like a word's.
    fn each(&self, text: &[u8], escaped: bool, found: &mut dyn FnMut(Range<usize>, usize) -> bool) {
        for (small, capital, names) in &self.groups {
            for place in memchr::memchr2_iter(*small, *capital, text) {
                for name in names.iter().filter_map(|&index| self.names.get(index)) {
                    if let Some(place) = name.around(text, place, escaped)
                        && !found(place, name.label)
                    {
                        return;
                    }
                }
            }
        }
    }

    /// The name that this key of a JSON object ends with.
    pub fn of_key(&self, key: &[u8]) -> Option<Key> {
        let mut best: Option<(usize, Key)> = None;
        for name in &self.names {
            let Some(last) = name.letters.last() else {
                continue;
            };
            let end = name.end_in_key(key);
            if !before(key, end).eq_ignore_ascii_case(last) {
                continue;
            }
            let Some(start) = name.back(key, end - 1, name.letters.len() - 1) else {
                continue;
            };
            if name.begins(key, start) && best.is_none_or(|(other, _)| start < other) {
                best = Some((start, Key { label: name.label, is_exact: start == 0 }));
            }
        }
        best.map(|(_, key)| key)
    }
}

impl Name {
    /// The name of which this is the anchor.
    fn around(&self, text: &[u8], anchor: usize, escaped: bool) -> Option<Range<usize>> {
        let start = self.back(text, anchor, self.anchor)?;
        let mut end = anchor + 1;
        for &letter in self.letters.get(self.anchor + 1..)? {
            if is_joint(at(text, end)) && !is_joint(letter) {
                end += 1;
            }
            if at(text, end).to_ascii_lowercase() != letter || end >= text.len() {
                return None;
            }
            end += 1;
        }
        if self.letters.len() >= LONG {
            end += self.digits(text, end);
        }
        let next = at(text, end);
        let goes_on = next.is_ascii_alphanumeric()
            || next == b'_'
            || (matches!(next, b'-' | b'.') && at(text, end + 1).is_ascii_alphanumeric())
            || (next >= 0x80
                && hidden(text, end) == 0
                && text.get(end..end + 3).is_none_or(|colon| colon != "：".as_bytes()));
        (!goes_on && (self.begins(text, start) || (escaped && is_after_escape(text, start)))).then_some(start..end)
    }

    /// Up to two digits that number a field: `password1`, `password2`.
    fn digits(&self, text: &[u8], end: usize) -> usize {
        (0..2).take_while(|&offset| at(text, end + offset).is_ascii_digit()).count()
    }

    fn end_in_key(&self, key: &[u8]) -> usize {
        let digits = key.iter().rev().take(2).take_while(|byte| byte.is_ascii_digit()).count();
        let ends_with_digit = self.letters.last().is_some_and(u8::is_ascii_digit);
        key.len() - if self.letters.len() >= LONG && !ends_with_digit { digits } else { 0 }
    }

    /// Where the name begins whose letter number `letter` stands there.
    fn back(&self, text: &[u8], place: usize, letter: usize) -> Option<usize> {
        let mut start = place;
        for &letter in self.letters.get(..letter)?.iter().rev() {
            if is_joint(before(text, start)) && !is_joint(letter) {
                start -= 1;
            }
            if start == 0 || before(text, start).to_ascii_lowercase() != letter {
                return None;
            }
            start -= 1;
        }
        Some(start)
    }

    /// Whether a word begins there.
    fn begins(&self, text: &[u8], start: usize) -> bool {
        let (head, first) = (before(text, start), at(text, start));
        if !head.is_ascii_alphanumeric() {
            return head < 0x80 || self.letters.len() >= LONG || !first.is_ascii_alphanumeric();
        }
        // Digits are words of their own: `oauth2Secret`.
        let is_camel =
            first.is_ascii_uppercase() && (!head.is_ascii_uppercase() || at(text, start + 1).is_ascii_lowercase());
        // `-Dpassword=x`, `-Ppassword=x`.
        let dashed = before(text, start - 1) == b'-' && !before(text, start.saturating_sub(2)).is_ascii_alphanumeric();
        // An escaped line end or tab: `\npassword=x`.
        let escaped = before(text, start - 1) == b'\\' && matches!(head, b'n' | b'r' | b't');
        is_camel || dashed || escaped || self.letters.len() >= LONG
    }
}
