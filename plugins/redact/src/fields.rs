//! Fields by name: where in text their values are, in the notations that programs print.

mod name;
mod value;

use std::ops::Range;

use crate::bytes::{at, before, has_word, is_one_of, run_end, run_start};
use crate::spans::Span;

pub use name::Names;
pub use value::is_masked;

/// How a name and its value are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// `name=value`, with a value of one word.
    Word,
    /// `?name=value&`.
    Query,
    /// `name = value` and `name: value` where the name begins the line: the value is all of it.
    Rest,
    /// `name: value` within other text.
    Colon,
    /// `"name": value`, also with single quotes.
    Json,
    /// `--name value`.
    Flag,
    /// Text between `<name>` and the next `<`.
    Element,
    /// A value that must be quoted to be one.
    Quoted,
}

/// A name that is followed by a value.
struct Found {
    pair: Pair,
    /// Where the value begins.
    value: usize,
    /// The quote that the pair as a whole is in, `"name: value"`: the value ends with it.
    around: Option<u8>,
}

impl Names {
    /// Reports where their values are in text that is not JSON as a whole.
    pub fn find(&self, text: &[u8], found: &mut dyn FnMut(Span)) {
        let mut done = 0;
        for (name, label) in self.occurrences(text) {
            if name.start < done {
                continue;
            }
            let Some(Found { pair, value, around }) = after_name(text, &name) else {
                continue;
            };
            let Some((place, form)) = value::read(text, value, pair, around, &name) else {
                continue;
            };
            if place.is_empty() {
                continue;
            }
            done = place.end;
            found(Span { start: place.start, end: place.end, label, form });
        }
    }
}

/// Longest key that a name is the end of.
const LONGEST_KEY: usize = 64;

/// Characters of a key, of which the name is the last part.
fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn skip_spaces(text: &[u8], place: usize) -> usize {
    run_end(text, place, is_space)
}

/// Where the key begins that ends with this name.
fn key_start(text: &[u8], name: usize) -> usize {
    let from = name.saturating_sub(LONGEST_KEY);
    from + run_start(text.get(from..).unwrap_or_default(), name - from, is_key)
}

/// Whether only spaces and marks of lists, of quotations and of headers (`> `, `< `, `- `) stand before on the line.
fn begins_line(text: &[u8], key: usize) -> bool {
    let mut place = run_start(text, key, is_space);
    if matches!(before(text, place), b'-' | b'>' | b'<' | b'*' | b'|' | b'#' | b'+') && place < key {
        place = run_start(text, place - 1, is_space);
    }
    place == 0 || matches!(at(text, place - 1), b'\n' | b'\r')
}

/// What stands behind a name: how its value is written, and where.
fn after_name(text: &[u8], name: &Range<usize>) -> Option<Found> {
    let key = key_start(text, name.start);
    let mut place = name.end;
    let opener = before(text, key);
    let mut around = None;
    let mut quoted = false;
    if matches!(opener, b'"' | b'\'' | b'`') {
        // CSV doubles the quotes of what it quotes.
        if opener == b'"' && before(text, key - 1) == b'"' && text.get(place..place + 2) == Some(b"\"\"") {
            (quoted, place) = (true, place + 2);
        } else if at(text, place) == opener {
            (quoted, place) = (true, place + 1);
        } else {
            around = Some(opener);
        }
        if quoted && text.get(place..place + 2) == Some(b">>") {
            place += 2;
        }
    }
    let bracketed = bracket_before(text, key, quoted) && at(text, place) == b']';
    if bracketed {
        place += 1;
    }
    // Lists of values: `password[]=x`, `password[0]=x`.
    if at(text, place) == b'[' {
        let close = run_end(text, place + 1, |byte| byte.is_ascii_digit());
        if at(text, close) == b']' {
            place = close + 1;
        }
    }
    // `Password......: x`
    if at(text, place) == b'.' {
        place = run_end(text, place, |byte| byte == b'.');
        if at(text, skip_spaces(text, place)) != b':' {
            return None;
        }
    }
    let found = |pair, value| Some(Found { pair, value, around });
    let sign = skip_spaces(text, place);
    let spaced = sign > place;
    match at(text, sign) {
        b'=' => match at(text, sign + 1) {
            b'=' | b'~' => None,
            b'&' if has_word(text, sign + 1, b"&gt;") => None,
            b'>' => found(
                if begins_line(text, key - usize::from(bracketed).min(key)) && bracketed {
                    Pair::Rest
                } else {
                    Pair::Colon
                },
                skip_spaces(text, sign + 2),
            ),
            _ if bracketed || matches!(opener, b'?' | b'&') => found(Pair::Query, sign + 1),
            _ if spaced && begins_line(text, key) => found(Pair::Rest, skip_spaces(text, sign + 1)),
            _ if spaced => found(Pair::Word, skip_spaces(text, sign + 1)),
            _ => {
                // Of `msg="password=x for jo"` the value is one word, of `'password=a b'` all.
                let is_argument = around.is_some() && is_word_start(text, key - 1);
                Some(Found { pair: Pair::Word, value: sign + 1, around: around.filter(|_| is_argument) })
            }
        },
        b':' => match at(text, sign + 1) {
            b':' => None,
            b'=' => found(Pair::Word, skip_spaces(text, sign + 2)),
            b'/' if !quoted && at(text, sign + 2) == b'/' => None,
            _ => {
                let value = skip_spaces(text, sign + 1);
                if quoted {
                    return found(Pair::Json, value);
                }
                // `arn:aws:secretsmanager:eu-west-1:1:secret:prod/db`
                if opener == b':' || (opener == b'/' && (!is_word_start(text, key - 1) || value > sign + 1)) {
                    return None;
                }
                if around.is_some() || begins_line(text, key) {
                    return found(Pair::Rest, value);
                }
                found(if opener == b'/' { Pair::Word } else { Pair::Colon }, value)
            }
        },
        0xef if text.get(sign..sign + 3) == Some("：".as_bytes()) => found(Pair::Colon, skip_spaces(text, sign + 3)),
        b'-' if at(text, sign + 1) == b'>' => found(Pair::Colon, skip_spaces(text, sign + 2)),
        b'>' if !quoted => element(text, key, sign).and_then(|value| found(Pair::Element, value)),
        b'>' | b'/' if quoted => attribute(text, key, sign).and_then(|(pair, value)| found(pair, value)),
        b',' => in_list(text, key, sign, quoted).and_then(|(pair, value)| found(pair, value)),
        b';' if quoted => php(text, sign + 1).and_then(|value| found(Pair::Quoted, value)),
        _ if spaced && quoted => attribute(text, key, sign).and_then(|(pair, value)| found(pair, value)),
        _ if spaced => {
            if is_flag(text, key, name.start) {
                // `a0="--password" a1="x"` and `"--password x"` both end with the quote.
                return found(Pair::Flag, sign);
            }
            // Clojure: `{:password "x"}`.
            if opener == b':' && at(text, sign) == b'"' {
                return found(Pair::Quoted, sign);
            }
            if opener == b'<' || opener == b':' {
                return element(text, key, sign).and_then(|value| found(Pair::Element, value));
            }
            netrc(text, key).then_some(Found { pair: Pair::Flag, value: sign, around })
        }
        _ => None,
    }
}

fn is_word_start(text: &[u8], place: usize) -> bool {
    let byte = before(text, place);
    byte == 0 || byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'[' | b'(' | b',')
}

/// Whether the key is in brackets: `user[password]`, `["password"]`.
fn bracket_before(text: &[u8], key: usize, quoted: bool) -> bool {
    before(text, key - usize::from(quoted).min(key)) == b'['
}

/// Whether the key is an option with a value of its own: `--password x`, `-password x`.
fn is_flag(text: &[u8], key: usize, name: usize) -> bool {
    let option = text.get(key..name).unwrap_or_default();
    let word = option.iter().position(|&byte| byte != b'-').unwrap_or(option.len());
    let modifier = option.get(word..).unwrap_or_default();
    let asks = [&b"no-"[..], b"without-", b"ask-", b"prompt-", b"skip-", b"show-", b"use-"];
    (1..=2).contains(&word) && is_word_start(text, key) && !asks.iter().any(|word| modifier.starts_with(word))
}

/// The text of the element that this name begins: `<password>x`, `<ns:password type="x">x`. `sign` is `>` or the first attribute.
fn element(text: &[u8], key: usize, sign: usize) -> Option<usize> {
    let open = if before(text, key) == b':' { run_start(text, key - 1, is_key) } else { key };
    if before(text, open) != b'<' {
        return None;
    }
    let window = text.get(sign..text.len().min(sign + 256))?;
    let close = sign + memchr::memchr(b'>', window)?;
    (before(text, close) != b'/' && is_closed(text, close + 1)).then_some(close + 1)
}

/// Whether the next element that begins or ends behind ends one.
fn is_closed(text: &[u8], place: usize) -> bool {
    let tail = text.get(place..).unwrap_or_default();
    memchr::memchr(b'<', tail).is_some_and(|offset| at(text, place + offset + 1) == b'/')
}

/// The value of an attribute or a child beside a name that is a value itself: `name="password" value="x"`, `<entry key="password">x`.
fn attribute(text: &[u8], key: usize, sign: usize) -> Option<(Pair, usize)> {
    let equals = key.checked_sub(2)?;
    if at(text, equals) != b'=' {
        return None;
    }
    let attribute = text.get(run_start(text, equals, is_key)..equals)?;
    if !is_one_of(attribute, &["name", "key", "id", "n"]) {
        return None;
    }
    if at(text, sign) == b'>' {
        return is_closed(text, sign + 1).then_some((Pair::Element, sign + 1));
    }
    let value = [&b"value="[..], b"val=", b"v="].into_iter().find(|value| has_word(text, sign, value))?;
    Some((Pair::Quoted, sign + value.len()))
}

/// The value behind a comma: `('password', 'x')`, `{password,"x"}`, `["--password", "x"]`, `"name":"password","value":"x"`.
fn in_list(text: &[u8], key: usize, comma: usize, quoted: bool) -> Option<(Pair, usize)> {
    let value = skip_spaces(text, comma + 1);
    let open = key - usize::from(quoted).min(key);
    if is_flag(text, key, key_name(text, key)) && quoted {
        return Some((Pair::Quoted, value));
    }
    let open = run_start(text, open, |byte| byte == b'<');
    let is_tuple = match before(text, open) {
        b'(' => quoted || before(text, open - 1) == b'(',
        b'{' => matches!(at(text, value), b'"' | b'<'),
        _ => false,
    };
    if is_tuple {
        let is_pair = |end: usize| matches!(at(text, run_end(text, end + 1, |byte| byte == b'>')), b')' | b'}');
        let first = run_end(text, value, |byte| byte == b'<' || byte == b'b');
        let end = value::closing(text, first)?;
        return is_pair(end).then_some((Pair::Quoted, value));
    }
    if quoted && before(text, run_start(text, open, is_space)) == b':' {
        let after = [&b"\"value\""[..], b"'value'"].into_iter().find(|word| has_word(text, value, word))?;
        let colon = skip_spaces(text, value + after.len());
        return (at(text, colon) == b':').then(|| (Pair::Json, skip_spaces(text, colon + 1)));
    }
    None
}

/// Behind the dashes of a key.
fn key_name(text: &[u8], key: usize) -> usize {
    run_end(text, key, |byte| byte == b'-')
}

/// The value behind a key that PHP has serialised: `s:8:"password";s:7:"hunter2"`.
fn php(text: &[u8], place: usize) -> Option<usize> {
    let digits = place + 2;
    let colon = run_end(text, digits, |byte| byte.is_ascii_digit());
    (text.get(place..digits) == Some(b"s:") && colon > digits && at(text, colon) == b':').then_some(colon + 1)
}

/// Whether the name is the third word of a `login x password y`.
fn netrc(text: &[u8], key: usize) -> bool {
    let user_end = run_start(text, key, is_space);
    let user = run_start(text, user_end, |byte| byte.is_ascii_graphic());
    let word_end = run_start(text, user, is_space);
    let word = text.get(run_start(text, word_end, |byte| byte.is_ascii_alphabetic())..word_end).unwrap_or_default();
    user < user_end && user_end < key && word_end < user && is_one_of(word, &["login"])
}

#[cfg(test)]
mod tests;
