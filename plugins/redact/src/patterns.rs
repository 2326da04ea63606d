//! The patterns that come with the plugin, found by scanning and not by regular expressions.
//!
//! Each looks for what is rare in a line first (an `@`, a long run of digits) and only there for the rest.

mod card;
mod email;
mod iban;
mod ipv4;
mod token;

use std::ops::Range;

/// One of the patterns that come with the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// A mail address.
    Email,
    /// A payment card's number: 13 to 19 digits with a right check digit, in one piece or in groups.
    Card,
    /// A bank account's number, with right check digits, in one piece or in groups of four.
    Iban,
    /// An address of the Internet's version 4.
    Ipv4,
    /// What follows `Bearer`, and AWS's access key ids.
    Token,
}

impl Fixed {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Email, Self::Card, Self::Iban, Self::Ipv4, Self::Token];

    /// What users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ipv4 => "ipv4",
            Self::Token => "token",
        }
    }

    /// Whether the text may hold one. Quick; a `false` is certain.
    pub fn suspects(self, text: &[u8]) -> bool {
        match self {
            Self::Email => memchr::memchr(b'@', text).is_some(),
            Self::Card => has_run(text, card::SHORTEST, card::is_part),
            Self::Iban => has_run(text, iban::SHORTEST, iban::is_part),
            Self::Ipv4 => ipv4::suspects(text),
            Self::Token => token::suspects(text),
        }
    }

    /// Tells where they are, in ascending order of their starts.
    pub fn find(self, text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
        match self {
            Self::Email => email::find(text, found),
            Self::Card => runs(text, card::SHORTEST, card::is_part, |run| card::find_in(text, run, found)),
            Self::Iban => runs(text, iban::SHORTEST, iban::is_part, |run| iban::find_in(text, run, found)),
            Self::Ipv4 => ipv4::find(text, found),
            Self::Token => token::find(text, found),
        }
    }
}

/// The byte there, 0 outside.
fn at(text: &[u8], place: usize) -> u8 {
    text.get(place).copied().unwrap_or(0)
}

/// The byte before, 0 at the start.
fn before(text: &[u8], place: usize) -> u8 {
    place.checked_sub(1).map_or(0, |place| at(text, place))
}

/// Where the run of such bytes that ends before `end` begins.
fn run_start(text: &[u8], end: usize, is_part: impl Fn(u8) -> bool) -> usize {
    text.get(..end).map_or(end, |head| head.iter().rposition(|&byte| !is_part(byte)).map_or(0, |place| place + 1))
}

/// Where the run of such bytes that begins at `start` ends.
fn run_end(text: &[u8], start: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let tail = text.get(start..).unwrap_or_default();
    tail.iter().position(|&byte| !is_part(byte)).map_or(text.len(), |length| start + length)
}

/// Visits the runs of at least `shortest` such bytes. Every such run covers one of the places that are `shortest` apart, so only those are looked at.
fn runs(text: &[u8], shortest: usize, is_part: fn(u8) -> bool, mut visit: impl FnMut(Range<usize>)) {
    let mut probe = shortest - 1;
    while let Some(&byte) = text.get(probe) {
        let mut next = probe;
        if is_part(byte) {
            let run = run_start(text, probe, is_part)..run_end(text, probe, is_part);
            next = run.end;
            if run.len() >= shortest {
                visit(run);
            }
        }
        probe = next + shortest;
    }
}

/// Whether there is such a run.
fn has_run(text: &[u8], shortest: usize, is_part: fn(u8) -> bool) -> bool {
    let mut any = false;
    runs(text, shortest, is_part, |_| any = true);
    any
}

#[cfg(test)]
mod tests;
