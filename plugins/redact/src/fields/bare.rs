//! Values without quotes: finds the end of one word, and the end of a value that is the rest of the line.

use super::enclosed::{is_escaped_quote, nest_end};
use super::{Pair, is_key, is_space, skip_spaces};
use crate::bytes::{at, before, has_word, run_end};
use crate::work::Work;

/// Longest key of a pair that may follow.
pub(super) const LONGEST_KEY: usize = 40;

/// The end of a value without quotes: of one word.
pub(super) fn bare_end(text: &[u8], from: usize, pair: Pair, work: &Work) -> usize {
    let end = word_end(text, from, pair, work);
    work.spend(end - from);
    // `Some(\"x\")`: what is in the brackets is found where the quotes are read as such.
    let is_open =
        end > from && matches!(before(text, end), b'(' | b'[' | b'{' | b'=' | b'<') && is_escaped_quote(text, end);
    if is_open { from } else { end }
}

fn word_end(text: &[u8], from: usize, pair: Pair, work: &Work) -> usize {
    let is_query = pair == Pair::Query;
    let mut place = from;
    while let Some(&byte) = text.get(place) {
        let next = at(text, place + 1);
        let ends = match byte {
            0..=b' ' | 0x7f | b'"' => true,
            b'\'' | b'`' => ends_word(next),
            // `Some(\"x\")`: what is in the brackets is found where the quotes are read as such.
            b'{' | b'[' | b'(' if is_escaped_quote(text, place + 1) => return from,
            b'{' | b'[' | b'(' => {
                if let Some(end) = nest_end(text, place, work) {
                    place = end;
                    continue;
                }
                false
            }
            b')' | b']' | b'}' => ends_word(next) || next == b'&',
            b',' | b';' | b'|' => ends_word(next) || (byte == b'&' || !is_query) && pair_follows(text, place + 1),
            b'&' => {
                is_query
                    || has_word(text, place, b"&amp;")
                    || is_escaped_quote(text, place)
                    || pair_follows(text, place + 1)
            }
            b'%' => is_escaped_quote(text, place),
            b'#' => is_query,
            b'<' if place == from
                && let Some(end) = angled(text, place) =>
            {
                place = end;
                continue;
            }
            b'<' => is_query || next == b'/' || is_tag(text, place),
            b'>' => is_query || (ends_word(next) && place > from),
            b'\\' => {
                (is_escaped_quote(text, place) && next != b'\\')
                    || (matches!(next, b'n' | b'r' | b't')
                        && (ends_word(at(text, place + 2)) || pair_follows(text, place + 2)))
                    // A written line end of two characters.
                    || (next == b'r' && text.get(place + 2..place + 4) == Some(b"\\n"))
            }
            b'/' => next == b'>',
            _ => false,
        };
        if ends {
            break;
        }
        place += 1;
    }
    place
}

pub(super) fn ends_word(byte: u8) -> bool {
    byte == 0
        || byte.is_ascii_whitespace()
        || matches!(byte, b',' | b';' | b'.' | b':' | b')' | b']' | b'}' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'|')
}

/// The end of a value in angle brackets, `<x1>`. Only letters within are a placeholder or the name of an element.
fn angled(text: &[u8], place: usize) -> Option<usize> {
    let window = text.get(..text.len().min(place + 256))?;
    let end = run_end(window, place + 1, |byte| byte > b' ' && !b"<>/\"'".contains(&byte));
    let inside = text.get(place + 1..end)?;
    let next = at(text, end + 1);
    let is_value = inside.len() > 2 && inside.iter().any(u8::is_ascii_digit) && !inside.contains(&b'=');
    (is_value && at(text, end) == b'>' && next != b'<' && ends_word(next)).then_some(end + 1)
}

/// Whether an element begins there: `<br>`, `<br/>`, `<b class="x">`.
fn is_tag(text: &[u8], place: usize) -> bool {
    let window = text.get(..text.len().min(place + LONGEST_KEY)).unwrap_or_default();
    let end = run_end(window, place + 1, is_key);
    match at(text, end) {
        b'>' | b'/' => at(text, place + 1).is_ascii_alphabetic(),
        b' ' => {
            let sign = run_end(window, end + 1, is_key);
            end > place + 1 && at(text, sign) == b'=' && matches!(at(text, sign + 1), b'"' | b'\'')
        }
        _ => false,
    }
}

/// Whether a key and a sign follow, so that the byte before separates two pairs.
pub(super) fn pair_follows(text: &[u8], place: usize) -> bool {
    let start = skip_spaces(text, place);
    let start = start + usize::from(matches!(at(text, start), b'"' | b'\'' | b':' | b'['));
    let window = text.get(..text.len().min(start + LONGEST_KEY)).unwrap_or_default();
    let mut end = run_end(window, start, is_key);
    if end == start || at(text, start).is_ascii_digit() {
        return false;
    }
    // Keys of two words: `User Id=jo`.
    if at(text, end) == b' ' && at(text, end + 1).is_ascii_alphabetic() {
        end = run_end(window, end + 1, is_key);
    }
    let end = run_end(text, end, |byte| matches!(byte, b'"' | b'\'' | b']'));
    match at(text, skip_spaces(text, end)) {
        b'=' => true,
        b':' => at(text, skip_spaces(text, end) + 1) != b'/',
        b'-' => at(text, skip_spaces(text, end) + 1) == b'>',
        _ => false,
    }
}

pub(super) fn line_end(text: &[u8], from: usize) -> usize {
    run_end(text, from, |byte| !matches!(byte, b'\n' | b'\r' | 0x07 | 0x1b))
}

pub(super) fn trimmed_end(text: &[u8], from: usize, end: usize) -> usize {
    text.get(from..end).map_or(end, |value| from + value.trim_ascii_end().len())
}

/// The end of a value that goes on to the end of the line, or to the next pair.
pub(super) fn rest_end(text: &[u8], from: usize, word: usize, work: &Work) -> usize {
    let end = line_end(text, from);
    work.spend(end.saturating_sub(from));
    // A line end as it is written in a string.
    let written = text.get(word..end).and_then(|rest| memchr::memmem::find(rest, b"\\r\\n"));
    let end = written.map_or(end, |offset| word + offset);
    // A cookie is a list of pairs itself.
    let has_pairs = text.get(from..word).is_some_and(|word| memchr::memchr(b'=', word).is_some());
    let mut place = word;
    while place < end && !has_pairs {
        let byte = at(text, place);
        if is_space(byte) || matches!(byte, b',' | b';') {
            // Of several spaces the last one decides.
            let is_last = !is_space(at(text, place + 1));
            if is_last
                && (pair_follows(text, place + 1) || matches!(text.get(place + 1..place + 3), Some(b"# " | b"//")))
            {
                break;
            }
        } else if matches!(byte, b'"' | b'\'' | b'}' | b')' | b']') && place == word {
            break;
        }
        place += 1;
    }
    trimmed_end(text, from, if has_pairs { end } else { place.min(end) })
}
