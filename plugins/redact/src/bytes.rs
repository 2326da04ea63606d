//! Reading bytes without ever reading outside.

/// For each byte, whether the expression is true of it. A macro, because a constant function cannot call a closure.
macro_rules! byte_table {
    ($byte:ident => $is_in:expr) => {{
        let mut table = [false; 256];
        let (mut rest, mut $byte): (&mut [bool], u8) = (&mut table, 0);
        while let Some((entry, others)) = rest.split_first_mut() {
            *entry = $is_in;
            (rest, $byte) = (others, $byte.wrapping_add(1));
        }
        table
    }};
}
pub(crate) use byte_table;

/// The byte there, 0 outside.
pub fn at(text: &[u8], place: usize) -> u8 {
    text.get(place).copied().unwrap_or(0)
}

/// The byte before, 0 at the start.
pub fn before(text: &[u8], place: usize) -> u8 {
    place.checked_sub(1).map_or(0, |place| at(text, place))
}

/// Where the run of such bytes that ends before `end` begins.
pub fn run_start(text: &[u8], end: usize, is_part: impl Fn(u8) -> bool) -> usize {
    text.get(..end).map_or(end, |head| head.iter().rposition(|&byte| !is_part(byte)).map_or(0, |place| place + 1))
}

/// Where the run of such bytes that begins at `start` ends.
pub fn run_end(text: &[u8], start: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let tail = text.get(start..).unwrap_or_default();
    tail.iter().position(|&byte| !is_part(byte)).map_or(text.len(), |length| start + length)
}

/// Visits the runs of at least `shortest` such bytes. Every such run covers one of the places that are `shortest` apart, so only those are looked at, and a
/// run that turns out too short is left at its start.
#[inline(always)]
pub fn runs(
    text: &[u8],
    shortest: usize,
    is_part: impl Fn(u8) -> bool,
    mut visit: impl FnMut(std::ops::Range<usize>) -> bool,
) {
    // The last byte of the shortest run that may begin at `start`; the bytes from `start` to `known` are parts.
    let (mut probe, mut known) = (shortest - 1, 0);
    while let Some(&byte) = text.get(probe) {
        if !is_part(byte) {
            known = probe + 1;
            probe += shortest;
            continue;
        }
        let between = text.get(known..probe).unwrap_or_default();
        if let Some(offset) = between.iter().rposition(|&byte| !is_part(byte)) {
            let start = known + offset + 1;
            known = probe + 1;
            probe = start + shortest - 1;
            continue;
        }
        let start = probe + 1 - shortest;
        let end = run_end(text, probe + 1, &is_part);
        if !visit(start..end) {
            return;
        }
        known = end + 1;
        probe = end + shortest;
    }
}

/// Whether there is such a run.
#[inline(always)]
pub fn has_run(text: &[u8], shortest: usize, is_part: impl Fn(u8) -> bool) -> bool {
    let mut any = false;
    runs(text, shortest, is_part, |_| {
        any = true;
        false
    });
    any
}

/// The length of a character that terminals show as nothing or as a space, and that is neither a space nor a tab: NUL, a no-break space, a character of no
/// width. 0: there is none.
pub fn hidden(text: &[u8], place: usize) -> usize {
    match at(text, place) {
        0 if place < text.len() => 1,
        0xc2 if at(text, place + 1) == 0xa0 => 2,
        0xe2 if at(text, place + 1) == 0x80 && matches!(at(text, place + 2), 0x80..=0x8d | 0xaf) => 3,
        0xe2 if at(text, place + 1) == 0x81 && at(text, place + 2) == 0xa0 => 3,
        0xef if at(text, place + 1) == 0xbb && at(text, place + 2) == 0xbf => 3,
        _ => 0,
    }
}

/// Whether the text goes on with this there, small letters and capitals alike. `word` is in small letters.
pub fn has_word(text: &[u8], place: usize, word: &[u8]) -> bool {
    text.get(place..place + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
}

/// Whether this is one of the words, small letters and capitals alike.
pub fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|other| word.eq_ignore_ascii_case(other.as_bytes()))
}

/// The value of so many hexadecimal digits.
pub fn hex(text: &[u8], place: usize, digits: usize) -> Option<u32> {
    let digits = text.get(place..place + digits)?;
    digits.iter().try_fold(0, |value, &byte| Some(value * 16 + char::from(byte).to_digit(16)?))
}

/// The character that begins there and its length in bytes; none where it is not UTF-8.
pub fn character(text: &[u8], place: usize) -> Option<(char, usize)> {
    let first = *text.get(place)?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    let tail = text.get(place..text.len().min(place + 4))?;
    let valid = match std::str::from_utf8(tail) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(tail.get(..error.valid_up_to())?).ok()?,
    };
    valid.chars().next().map(|character| (character, character.len_utf8()))
}

/// Where the character that ends before `end` begins; none where it is not UTF-8.
pub fn character_before(text: &[u8], end: usize) -> Option<(char, usize)> {
    let last = end.checked_sub(1)?;
    if at(text, last).is_ascii() {
        return Some((char::from(at(text, last)), last));
    }
    let start = (1..=4).find_map(|length| {
        let start = end.checked_sub(length)?;
        (at(text, start) & 0xC0 != 0x80).then_some(start)
    })?;
    let (found, length) = character(text, start)?;
    (start + length == end).then_some((found, start))
}
