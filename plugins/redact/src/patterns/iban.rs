//! Bank account numbers, ISO 13616.

use std::ops::Range;

use crate::bytes::{at, before, run_end, run_start, runs};

/// Fewest characters of capitals, digits and spaces in a row that are looked at: the shortest number, Norway's, behind small letters.
pub(super) const SHORTEST: usize = 13;
/// Longest number that the standard allows.
const LONGEST: usize = 34;
/// Characters of each group but the last, where it is written in groups.
const GROUP: usize = 4;

/// The countries of SWIFT's registry, with what follows the check digits: `n` digits, `a` letters, `c` either. Behind them countries that use such numbers
/// without being in the registry.
const COUNTRIES: &str = "AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BI23n BR23n1a1c BY4c4n16c CH5n12c CR18n CY8n16c CZ20n DE18n \
DJ23n DK14n DO4c20n EE16n EG25n ES20n FI14n FK2a12n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n GR7n16c GT24c HN4a20n HR17n HU24n IE4a14n IL19n IQ4a15n \
IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c LC4a24c LI5n12c LT16n LU3n13c LV4a13c LY21n MC10n11c2n MD20c ME18n MK3n10c2n MN16n MR23n MT4a5n18c \
MU4a19n3a NI4a20n NL4a10n NO11n OM3n16c PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c RS18n RU14n15c SA2n18c SC4a20n3a SD14n SE20n SI15n SK20n SM1a10n12c \
SO19n ST21n SV4a20n TL19n TN20n TR6n16c UA6n19c VA18n VG4a16n XK16n YE4a4n18c \
AO21n BF24c BJ24c CF23n CG23n CI24c CM23n CV21n DZ22n GA23n GQ23n GW21c IR22n KM23n MA24n MG23n ML24c MZ21n NE24c SN24c TD23n TG24c";

fn is_capital_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

pub(super) fn is_part(byte: u8) -> bool {
    is_capital_or_digit(byte) || is_separator(byte)
}

/// Between two groups; `+` is a space in forms of the web.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'+')
}

/// Whether there are two letters and two digits, as numbers begin, in a long run or just before it.
pub(super) fn suspects(text: &[u8]) -> bool {
    let mut any = false;
    runs(text, SHORTEST, is_part, |run| {
        let part = text.get(run.start.saturating_sub(2)..run.end).unwrap_or_default();
        any = part.windows(GROUP).any(|head| {
            matches!(*head, [a, b, c, d] if c.is_ascii_digit() && d.is_ascii_digit() && b.is_ascii_alphabetic() && a.is_ascii_alphabetic())
        });
        !any
    });
    any
}

pub(super) fn find_in(text: &[u8], run: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    // In small letters only the digits are part of the run.
    let mut start = run_start(text, run.start, |byte| byte.is_ascii_alphanumeric());
    while start < run.end {
        let end = run_end(text, start, |byte| byte.is_ascii_alphanumeric());
        if end == start {
            start += 1;
            continue;
        }
        match iban_at(text, start) {
            Some(end) => {
                found(start..end);
                start = end;
            }
            None => start = end,
        }
    }
}

/// Length and form of the numbers of this country.
fn country(code: &[u8]) -> Option<(usize, &'static [u8])> {
    let rest = COUNTRIES.split(' ').find_map(|entry| entry.as_bytes().strip_prefix(code))?;
    let mut length = GROUP;
    let mut number = 0;
    for &byte in rest {
        if byte.is_ascii_digit() {
            number = number * 10 + usize::from(byte - b'0');
        } else {
            length += std::mem::take(&mut number);
        }
    }
    Some((length, rest))
}

/// Whether what follows the check digits has this form.
fn fits(mut rest: &[u8], form: &[u8]) -> bool {
    let mut number = 0;
    for &byte in form {
        if byte.is_ascii_digit() {
            number = number * 10 + usize::from(byte - b'0');
            continue;
        }
        let Some((part, behind)) = rest.split_at_checked(std::mem::take(&mut number)) else {
            return false;
        };
        rest = behind;
        let is_right = |character: &u8| match byte {
            b'n' => character.is_ascii_digit(),
            b'a' => character.is_ascii_uppercase(),
            _ => true,
        };
        if !part.iter().all(is_right) {
            return false;
        }
    }
    rest.is_empty()
}

/// The check of ISO 7064, MOD 97-10: the first four characters count last, and A is 10.
fn is_checked(number: &[u8]) -> bool {
    let (head, tail) = number.split_at(GROUP.min(number.len()));
    let rest = tail.iter().chain(head).fold(0_u32, |rest, &byte| {
        if byte.is_ascii_digit() {
            (rest * 10 + u32::from(byte - b'0')) % 97
        } else {
            (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97
        }
    });
    rest == 1
}

/// The end of the account number that begins here, at the start of a word.
fn iban_at(text: &[u8], start: usize) -> Option<usize> {
    let head = text.get(start..start + GROUP)?;
    let [a, b, c, d] = *head else { return None };
    let is_head = a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit();
    if !is_head || a.is_ascii_uppercase() != b.is_ascii_uppercase() || before(text, start) == b'_' {
        return None;
    }
    let (length, form) = country(&[a.to_ascii_uppercase(), b.to_ascii_uppercase()])?;
    let mut number = [0; LONGEST];
    let mut count = 0;
    let mut place = start;
    let separator = at(text, start + GROUP);
    let is_grouped = is_separator(separator);
    while count < length {
        let byte = at(text, place);
        if is_grouped && count > 0 && count.is_multiple_of(GROUP) && byte == separator {
            place += 1;
            continue;
        }
        let is_right = if a.is_ascii_uppercase() {
            is_capital_or_digit(byte)
        } else {
            byte.is_ascii_digit() || byte.is_ascii_lowercase()
        };
        if !is_right || (is_grouped && count > 0 && count.is_multiple_of(GROUP) && before(text, place) != separator) {
            return None;
        }
        *number.get_mut(count)? = byte.to_ascii_uppercase();
        count += 1;
        place += 1;
    }
    let number = number.get(..length)?;
    let next = at(text, place);
    let is_whole = !next.is_ascii_alphanumeric() && next != b'_';
    (is_whole && fits(number.get(GROUP..)?, form) && is_checked(number)).then_some(place)
}
