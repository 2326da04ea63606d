//! How a name and its value are written.

use std::ops::Range;

use super::bare::pair_follows;
use super::beside::{attribute, element, in_list, named, php};
use super::database::{detail, sql};
use super::enclosed::is_string;
use super::rejected;
use super::{Found, Pair, is_space, key_start, skip_hidden, skip_spaces};
use crate::bytes::{at, before, has_word, is_one_of, run_end, run_start};
use crate::work::Work;

/// Whether only spaces and marks of lists, of quotations and of headers (`> `, `< `, `- `) stand before on the line.
fn begins_line(text: &[u8], key: usize) -> bool {
    let mut place = run_start(text, key, is_space);
    if matches!(before(text, place), b'-' | b'>' | b'<' | b'*' | b'|' | b'#' | b'+') && place < key {
        place = run_start(text, place - 1, is_space);
    }
    place == 0 || matches!(at(text, place - 1), b'\n' | b'\r')
}

/// What stands behind a name: how its value is written, and where.
pub(super) fn after_name(text: &[u8], name: &Range<usize>, work: &Work) -> Option<Found> {
    let key = key_start(text, name.start);
    let mut place = name.end;
    let opener = before(text, key);
    let mut around = None;
    let mut quoted = false;
    if matches!(opener, b'"' | b'\'' | b'`') {
        // In CSV, a quote within a quoted value is written twice.
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
    // Of `msg="password=x for jo"` the value is one word, of `'password=a b'` all.
    let argument = |value| {
        let is_argument = around.is_some() && is_word_start(text, key - 1);
        Some(Found { pair: Pair::Word, value, around: around.filter(|_| is_argument) })
    };
    if let Some((pair, value)) = detail(text, key, place, work)
        .or_else(|| sql(text, key, place, sign, work))
        .or_else(|| if quoted && spaced { rejected::quoted(text, sign) } else { None })
        .or_else(|| named(text, key, place, quoted))
    {
        return found(pair, value);
    }
    match at(text, sign) {
        b'=' => match at(text, sign + 1) {
            // A comparison has spaces around the sign.
            b'=' if !spaced && at(text, sign + 2) > b' ' && !matches!(at(text, sign + 2), b'=' | b'>') => {
                argument(sign + 2)
            }
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
                let value = skip_hidden(text, sign + 1);
                if !is_space(at(text, value)) {
                    return argument(value);
                }
                // `password= x`: in the middle of a line, only quotes show that this is the value.
                let next = skip_spaces(text, value);
                if around != Some(at(text, next)) && is_string(text, next, work) {
                    return found(Pair::Quoted, next);
                }
                let is_rest = around.is_none() && begins_line(text, key) && !pair_follows(text, next);
                is_rest.then_some(Found { pair: Pair::Rest, value: next, around })
            }
        },
        b':' => match at(text, sign + 1) {
            b':' => None,
            b'=' => found(Pair::Word, skip_spaces(text, sign + 2)),
            b'/' if !quoted && at(text, sign + 2) == b'/' => None,
            _ => {
                let value = skip_spaces(text, sign + 1);
                if let Some((pair, value)) = rejected::message(text, value, work) {
                    return found(pair, value);
                }
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
        b'>' if !quoted => element(text, key, name.end, sign, work).and_then(|(pair, value)| found(pair, value)),
        b'>' | b'/' if quoted => attribute(text, key, sign, work).and_then(|(pair, value)| found(pair, value)),
        b',' => in_list(text, key, sign, quoted, work).and_then(|(pair, value)| found(pair, value)),
        b';' if quoted => php(text, sign + 1).and_then(|value| found(Pair::Quoted, value)),
        // `'--password' 'x'`
        b'"' | b'\'' if spaced && quoted && is_flag(text, key, name.start) => found(Pair::Quoted, sign),
        _ if spaced && quoted => attribute(text, key, sign, work).and_then(|(pair, value)| found(pair, value)),
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
                return element(text, key, name.end, sign, work).and_then(|(pair, value)| found(pair, value));
            }
            // A table of settings, in which only a word with more than letters is sure to be a value.
            if begins_line(text, key) && at(text, place) == b'\t' && is_only_word(text, sign) {
                return found(Pair::Word, sign);
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
pub(super) fn is_flag(text: &[u8], key: usize, name: usize) -> bool {
    let option = text.get(key..name).unwrap_or_default();
    let word = option.iter().position(|&byte| byte != b'-').unwrap_or(option.len());
    let modifier = option.get(word..).unwrap_or_default();
    let asks = [&b"no-"[..], b"without-", b"ask-", b"prompt-", b"skip-", b"show-", b"use-"];
    (1..=2).contains(&word) && is_word_start(text, key) && !asks.iter().any(|word| modifier.starts_with(word))
}

/// Whether the line ends with this word, and it has a digit or a sign.
fn is_only_word(text: &[u8], place: usize) -> bool {
    let end = run_end(text, place, |byte| byte > b' ');
    matches!(at(text, end), 0 | b'\n' | b'\r')
        && text.get(place..end).is_some_and(|word| word.iter().any(|byte| !byte.is_ascii_alphabetic()))
}

/// Whether the name is the third word of a `login x password y`.
fn netrc(text: &[u8], key: usize) -> bool {
    let user_end = run_start(text, key, is_space);
    let user = run_start(text, user_end, |byte| byte.is_ascii_graphic());
    let word_end = run_start(text, user, is_space);
    let word = text.get(run_start(text, word_end, |byte| byte.is_ascii_alphabetic())..word_end).unwrap_or_default();
    user < user_end && user_end < key && word_end < user && is_one_of(word, &["login"])
}
