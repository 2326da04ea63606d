//! Payment cards.
//!
//! One number in ten has a right check digit, so that alone says little. A card's number also begins with digits that an issuer was given, has a length that
//! this issuer uses, and is printed in one piece or in groups as on the card: the ranges are those of ISO/IEC 7812 as the card networks publish them.

use std::ops::{Range, RangeInclusive};

use crate::bytes::{at, before, byte_table, run_end, runs};
use crate::colour;

/// Fewest digits that are looked for, Visa's old ones.
pub(super) const SHORTEST: usize = 13;
/// Most digits.
const LONGEST: usize = 19;

/// The groups in which cards are printed, beside groups of four.
const GROUPS: [&[usize]; 6] = [&[4, 6, 5], &[4, 6, 4], &[4, 4, 5], &[4, 3, 3, 3], &[6, 13], &[8, 8]];

/// First digits (of six), and lengths. Numbers that begin with 0, 1, 7 and most with 9 belong to no network.
const ISSUERS: [(RangeInclusive<u32>, &[usize]); 37] = [
    // Visa.
    (400_000..=499_999, &[13, 16, 19]),
    // Mastercard.
    (222_100..=272_099, &[16]),
    (510_000..=559_999, &[16]),
    // American Express.
    (340_000..=349_999, &[15]),
    (370_000..=379_999, &[15]),
    // Diners Club.
    (300_000..=305_999, &[14]),
    (309_500..=309_599, &[14]),
    (360_000..=369_999, &[14]),
    (380_000..=399_999, &[14]),
    // Discover.
    (601_100..=601_199, &[16, 19]),
    (644_000..=659_999, &[16, 19]),
    // JCB.
    (352_800..=358_999, &[16, 17, 18, 19]),
    // UnionPay.
    (620_000..=629_999, &[16, 17, 18, 19]),
    (810_000..=817_199, &[16, 17, 18, 19]),
    // Maestro.
    (501_800..=501_899, &[13, 14, 15, 16, 18, 19]),
    (502_000..=502_099, &[13, 14, 15, 16, 18, 19]),
    (503_800..=503_899, &[13, 14, 15, 16, 18, 19]),
    (589_300..=589_399, &[13, 14, 15, 16, 18, 19]),
    (630_400..=630_499, &[13, 14, 15, 16, 18, 19]),
    (675_900..=675_999, &[13, 14, 15, 16, 18, 19]),
    (676_100..=676_399, &[13, 14, 15, 16, 18, 19]),
    (676_770..=676_779, &[16, 18, 19]),
    // Dankort.
    (501_900..=501_999, &[16]),
    // Mir.
    (220_000..=220_499, &[16, 17, 18, 19]),
    // Verve.
    (506_099..=506_198, &[16, 18, 19]),
    (507_865..=507_964, &[16, 18, 19]),
    // RuPay.
    (508_500..=508_999, &[16]),
    (606_985..=607_984, &[16]),
    (608_001..=608_500, &[16]),
    // Elo and Hipercard.
    (506_699..=506_778, &[16]),
    (509_000..=509_999, &[16]),
    (606_282..=606_282, &[16]),
    (627_780..=627_780, &[16]),
    (504_175..=504_175, &[16]),
    (636_297..=636_297, &[16]),
    (636_368..=636_368, &[16]),
    // Troy.
    (979_200..=979_299, &[16]),
];

pub(super) const fn is_part(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b' ' | b'-' | b'+')
}

/// Whether there are enough digits in a row. The date and the hour of a time stamp are a row, too, but too short a number.
pub(super) fn suspects(text: &[u8]) -> bool {
    let mut any = false;
    runs(text, SHORTEST, is_part, |run| {
        let mut digits = 0;
        // A loop that may end early is not made one over vectors, which would add up bytes at the price of many shuffles.
        any = text.get(run).unwrap_or_default().iter().any(|byte| {
            digits += usize::from(byte.is_ascii_digit());
            digits >= SHORTEST
        });
        !any
    });
    any
}

/// Parts of a card's number and of the colours within it.
static COLOURED: [bool; 256] = byte_table!(byte => is_part(byte) || matches!(byte, colour::ESC | b'[' | b';' | b'm'));

/// Whether a line with colours has enough digits in a row, colours within it included.
pub(super) fn suspects_coloured(line: &[u8]) -> bool {
    let is_part = |byte: u8| COLOURED.get(usize::from(byte)).is_some_and(|is_part| *is_part);
    let mut any = false;
    runs(line, SHORTEST, is_part, |run| {
        let (mut place, mut digits) = (run.start, 0);
        while place < run.end && digits < SHORTEST {
            if let Some(length) = colour::sequence(line, place) {
                place += length;
                continue;
            }
            // The run may begin within a sequence: its parameters count, which does no harm.
            digits += usize::from(at(line, place).is_ascii_digit());
            place += 1;
        }
        any = digits >= SHORTEST;
        !any
    });
    any
}

/// Between two groups; `+` is a space in forms of the web.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'+')
}

/// Looks for cards in a run of digits and separators.
pub(super) fn find_in(text: &[u8], run: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    let mut start = run.start;
    while start < run.end {
        if !at(text, start).is_ascii_digit() {
            start += 1;
            continue;
        }
        match card_at(text, start) {
            Some(end) => {
                found(start..end);
                start = end;
            }
            None => start = run_end(text, start, |byte| byte.is_ascii_digit()),
        }
    }
}

/// The end of the card that begins here, at the start of a group.
fn card_at(text: &[u8], start: usize) -> Option<usize> {
    let first_end = run_end(text, start, |byte| byte.is_ascii_digit());
    if first_end - start >= SHORTEST {
        let is_alone = !is_joined_before(text, start, true) && !is_joined_after(text, first_end, true);
        return (is_alone && is_card(text.get(start..first_end)?)).then_some(first_end);
    }
    let separator = at(text, first_end);
    if !is_separator(separator) || is_joined_before(text, start, false) || is_row_before(text, start, separator) {
        return None;
    }
    let mut ends = [0; 6];
    let mut lengths = [0; 6];
    let (mut count, mut place) = (0, start);
    for (end, length) in ends.iter_mut().zip(&mut lengths) {
        *end = run_end(text, place, |byte| byte.is_ascii_digit());
        *length = *end - place;
        if *length == 0 {
            break;
        }
        count += 1;
        if at(text, *end) != separator {
            break;
        }
        place = *end + 1;
    }
    // The longest first: four digits of a security code may stand behind a card, but no digits of a card in front of another one.
    (2..=count.min(5)).rev().find_map(|groups| {
        let shape = lengths.get(..groups)?;
        let end = *ends.get(groups - 1)?;
        let by_fours = groups >= 4
            && shape.split_last().is_some_and(|(last, others)| *last <= 4 && others.iter().all(|length| *length == 4));
        if !by_fours && !GROUPS.contains(&shape) {
            return None;
        }
        let goes_on = groups < count && lengths.get(groups) == Some(&4) && lengths.get(groups - 1) == Some(&4);
        if (goes_on && !is_expiry(text, end + 1)) || is_joined_after(text, end, false) {
            return None;
        }
        let mut digits = [0; LONGEST];
        let mut length = 0;
        for &byte in text.get(start..end)?.iter().filter(|byte| byte.is_ascii_digit()) {
            *digits.get_mut(length)? = byte;
            length += 1;
        }
        is_card(digits.get(..length)?).then_some(end)
    })
}

/// Whether these digits are a card's.
fn is_card(digits: &[u8]) -> bool {
    if !(SHORTEST..=LONGEST).contains(&digits.len()) {
        return false;
    }
    let first = digits.iter().take(6).fold(0, |value, &byte| value * 10 + u32::from(byte - b'0'));
    let is_issued = ISSUERS.iter().any(|(range, lengths)| range.contains(&first) && lengths.contains(&digits.len()));
    let is_one_digit = digits.iter().all(|digit| Some(digit) == digits.first());
    is_issued && !is_one_digit && luhn(digits)
}

/// The check of ISO/IEC 7812-1, annex B: every second digit from the right is doubled, and the digits of all add up to a multiple of ten.
fn luhn(digits: &[u8]) -> bool {
    // What the sum becomes if a digit of this value is doubled. A table keeps the compiler from vectors, which such short numbers are not worth.
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let (mut sum, mut doubles) = (0, digits.len().is_multiple_of(2));
    for byte in digits {
        let digit = byte - b'0';
        sum += if doubles { DOUBLED.get(usize::from(digit)).copied().unwrap_or(0) } else { u32::from(digit) };
        doubles = !doubles;
    }
    sum.is_multiple_of(10)
}

/// Month and year, as they stand behind a card: 0127 to 1249.
fn is_expiry(text: &[u8], place: usize) -> bool {
    let digit = |offset: usize| at(text, place + offset).wrapping_sub(b'0');
    let (month, year) = (digit(0) * 10 + digit(1), digit(2) * 10 + digit(3));
    (1..=12).contains(&month) && (24..=49).contains(&year)
}

/// Whether a group of four digits stands before, as in a row of such numbers; years do not count.
fn is_row_before(text: &[u8], start: usize, separator: u8) -> bool {
    let Some(head) = start.checked_sub(5).and_then(|from| text.get(from..start)) else {
        return false;
    };
    let [a, b, _, _, behind] = *head else {
        return false;
    };
    let is_group = head.iter().take(4).all(u8::is_ascii_digit) && behind == separator;
    let is_year = matches!([a, b], [b'1', b'9'] | [b'2', b'0']);
    is_group && !is_year && !before(text, start - 5).is_ascii_alphanumeric()
}

/// Part of a word or a fraction; or, where it is in groups, of a date or a UUID.
fn is_joined_before(text: &[u8], start: usize, is_whole: bool) -> bool {
    match before(text, start) {
        b'.' => before(text, start - 1).is_ascii_digit(),
        b'-' => !is_whole && before(text, start - 1).is_ascii_alphanumeric(),
        b'_' => true,
        byte => byte.is_ascii_alphanumeric(),
    }
}

fn is_joined_after(text: &[u8], end: usize, is_whole: bool) -> bool {
    match at(text, end) {
        b'.' => at(text, end + 1).is_ascii_digit(),
        b'-' => !is_whole && at(text, end + 1).is_ascii_alphanumeric(),
        b'_' => true,
        byte => byte.is_ascii_alphanumeric(),
    }
}
