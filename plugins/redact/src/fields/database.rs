//! Values as databases write them: in SQL, and in PostgreSQL's details of an error.

use super::enclosed::nest_end;
use super::{Pair, is_space, skip_spaces};
use crate::bytes::{at, before, has_word, is_one_of, run_end, run_start};
use crate::work::Work;

/// How far a statement is read for its words.
const WINDOW: usize = 256;
/// Bytes that a search for a sign reads in one step.
const SEARCHED: usize = 16;

/// The value behind a column's name, or behind `PASSWORD`. `sign` is the first byte behind the name and its spaces.
pub(super) fn sql(text: &[u8], key: usize, name: usize, sign: usize, work: &Work) -> Option<(Pair, usize)> {
    match at(text, sign) {
        b'\'' | b'"' if name < sign => {
            let is_value = is_statement(text, key, work)
                || is_one_of(text.get(key..name)?, &["identified by"])
                || (at(text, sign) == b'\'' && is_alone(text, key, name, sign, work));
            is_value.then_some((Pair::Quoted, sign))
        }
        // Comparisons. Without quotes, what follows is another name.
        b'<' if at(text, sign + 1) == b'>' => Some((Pair::Quoted, skip_spaces(text, sign + 2))),
        b'!' if at(text, sign + 1) == b'=' => {
            let signs = run_end(text, sign + 1, |byte| byte == b'=');
            Some((Pair::Quoted, skip_spaces(text, signs)))
        }
        b'=' if at(text, sign + 1) == b'=' => {
            let value = skip_spaces(text, run_end(text, sign, |byte| byte == b'='));
            matches!(at(text, value), b'"' | b'\'').then_some((Pair::Quoted, value))
        }
        b'a'..=b'z' | b'A'..=b'Z' if name < sign => operator(text, key, sign, work),
        _ => None,
    }
}

/// The value behind a word: `LIKE 'x'`, `NOT IN ('x', 'y')`, `SET PASSWORD FOR jo = 'x'`.
fn operator(text: &[u8], key: usize, word: usize, work: &Work) -> Option<(Pair, usize)> {
    let word = if has_word(text, word, b"not ") { skip_spaces(text, word + 4) } else { word };
    let end = run_end(text.get(..text.len().min(word + 16))?, word, |byte| byte.is_ascii_alphabetic());
    let value = skip_spaces(text, end);
    let operator = text.get(word..end)?;
    if is_one_of(operator, &["like", "ilike", "rlike", "regexp"]) && value > end {
        return (at(text, value) == b'\'').then_some((Pair::Quoted, value));
    }
    if is_one_of(operator, &["in"]) && at(text, value) == b'(' {
        let first = at(text, skip_spaces(text, value + 1));
        return (first == b'\'' || first.is_ascii_digit()).then_some((Pair::Word, value));
    }
    if is_one_of(operator, &["for"]) && is_one_of(word_before(text, key), &["set"]) {
        let window = text.get(value..text.len().min(value + WINDOW))?;
        work.spend(window.len());
        let equals = value + memchr::memchr2(b'=', b'\n', window)?;
        return (at(text, equals) == b'=').then(|| (Pair::Quoted, skip_spaces(text, equals + 1)));
    }
    None
}

fn word_before(text: &[u8], key: usize) -> &[u8] {
    let end = run_start(text, key, is_space);
    text.get(run_start(text, end, |byte| byte.is_ascii_alphabetic())..end).unwrap_or_default()
}

/// Whether the key belongs to a statement that sets a user's password: `ALTER ROLE r WITH PASSWORD`.
fn is_statement(text: &[u8], key: usize, work: &Work) -> bool {
    if is_one_of(word_before(text, key), &["encrypted", "unencrypted"]) {
        return true;
    }
    let window = text.get(key.saturating_sub(WINDOW)..key).unwrap_or_default();
    work.spend(window.len());
    let mut is_verb = false;
    for word in window.split(|byte| !byte.is_ascii_alphabetic()) {
        if is_verb && is_one_of(word, &["user", "role", "login", "group"]) {
            return true;
        }
        is_verb = is_one_of(word, &["alter", "create", "grant"]);
    }
    false
}

/// Whether the name is in capitals or begins the line, and nothing of a sentence follows the string: `PASSWORD 'x';`.
fn is_alone(text: &[u8], key: usize, name: usize, open: usize, work: &Work) -> bool {
    let is_capital = text.get(key..name).is_some_and(|key| !key.iter().any(u8::is_ascii_lowercase));
    let start = run_start(text, key, is_space);
    if !is_capital && start > 0 && at(text, start - 1) != b'\n' {
        return false;
    }
    let Some(end) = super::enclosed::closing(text, open, work) else { return false };
    matches!(at(text, skip_spaces(text, end + 1)), 0 | b';' | b')' | b',' | b'"' | b'\n' | b'\r')
}

/// PostgreSQL's `Key (email, lower(ssn))=(…) already exists`: all values, in their brackets. `place` is behind the name.
pub(super) fn detail(text: &[u8], key: usize, place: usize, work: &Work) -> Option<(Pair, usize)> {
    if !matches!(at(text, place), b')' | b',') && text.get(place..place + 2) != Some(b"::") {
        return None;
    }
    let tail = text.get(place..text.len().min(place + WINDOW))?;
    let close = memchr::memmem::find(tail, b")=(");
    work.spend(close.unwrap_or(tail.len()) / SEARCHED);
    let close = place + close?;
    let from = key.saturating_sub(WINDOW);
    let head = text.get(from..key)?;
    work.spend(head.len());
    let open = from + memchr::memmem::rfind(head, b"Key (")?;
    let is_list = |byte: u8| !matches!(byte, b'=' | b'\n' | b';');
    if before(text, open).is_ascii_alphanumeric() || run_end(text, open, is_list) != close + 1 {
        return None;
    }
    let values = close + 2;
    // A bracket that is not closed may be a part of a value.
    Some((if nest_end(text, values, work).is_some() { Pair::Word } else { Pair::Line }, values))
}
