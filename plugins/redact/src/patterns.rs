//! The patterns that come with the plugin, found by scanning and not by regular expressions.
//!
//! Each looks for what is rare in a line first (an `@`, a long run of digits) and only there for the rest.

mod card;
mod email;
mod iban;
mod ipv4;
mod token;

use std::ops::Range;

pub use ipv4::is_version_name;

use crate::bytes::runs;
use crate::colour::Seams;

/// One of the patterns that come with the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// A mail address.
    Email,
    /// A payment card's number: an issuer's range and length, a right check digit, in one piece or in groups as cards have them.
    Card,
    /// A bank account's number of a country that has such, with right check digits, in one piece or in groups of four.
    Iban,
    /// An address of the Internet's version 4.
    Ipv4,
    /// What follows `Bearer`, passwords in addresses of the web, and the tokens of well-known services.
    Token,
}

impl Fixed {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Email, Self::Card, Self::Iban, Self::Ipv4, Self::Token];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ipv4 => "ipv4",
            Self::Token => "token",
        }
    }

    /// Whether the text may hold one, also behind escapes. Quick; a `false` is certain.
    pub fn suspects(self, text: &[u8]) -> bool {
        match self {
            Self::Email => email::suspects(text),
            Self::Card => card::suspects(text),
            Self::Iban => iban::suspects(text),
            Self::Ipv4 => ipv4::suspects(text),
            Self::Token => token::suspects(text),
        }
    }

    /// Whether a line with colours may hold one, colours within it included; none: that can't be seen without taking the colours out.
    pub fn suspects_coloured(self, line: &[u8], seams: impl FnOnce() -> Seams) -> Option<bool> {
        match self {
            Self::Email => Some(email::suspects(line)),
            Self::Card => Some(card::suspects_coloured(line)),
            Self::Iban | Self::Ipv4 | Self::Token => (!seams().in_text).then(|| self.suspects(line)),
        }
    }

    /// Reports where they are.
    pub fn find(self, text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
        match self {
            Self::Email => email::find(text, found),
            Self::Card => runs(text, card::SHORTEST, card::is_part, |run| {
                card::find_in(text, run, found);
                true
            }),
            Self::Iban => runs(text, iban::SHORTEST, iban::is_part, |run| {
                iban::find_in(text, run, found);
                true
            }),
            Self::Ipv4 => ipv4::find(text, found),
            Self::Token => token::find(text, found),
        }
    }
}

#[cfg(test)]
mod tests;
