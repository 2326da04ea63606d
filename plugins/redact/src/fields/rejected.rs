//! Values in messages that say why they were rejected, and in notations that write a type before a value.

use super::bare::line_end;
use super::{Pair, skip_spaces};
use crate::bytes::{at, has_word, run_end};
use crate::work::Work;

/// How far a message is read for the word that announces the value.
const WINDOW: usize = 160;

/// Of `field 'ssn': rejected value [x]` and `ssn: Cast to Number failed for value "x"`, the message; of go-spew's `Password: (string) (len=7) "x"`, the string.
/// `from` is the place at which a value would begin.
pub(super) fn message(text: &[u8], from: usize, work: &Work) -> Option<(Pair, usize)> {
    match at(text, from) {
        b'(' => typed(text, from, work).map(|string| (Pair::Quoted, string)),
        b'a'..=b'z' | b'A'..=b'Z' => announces(text, from, work).then_some((Pair::Line, from)),
        _ => None,
    }
}

/// The string behind types in brackets.
fn typed(text: &[u8], from: usize, work: &Work) -> Option<usize> {
    let window = text.get(..text.len().min(from + WINDOW))?;
    let mut place = from;
    while at(window, place) == b'(' {
        let end = run_end(window, place + 1, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'*' | b'[' | b']' | b'=' | b' ')
        });
        work.spend(end - place);
        place = skip_spaces(window, if at(window, end) == b')' { end + 1 } else { return None });
    }
    (at(window, place) == b'"').then_some(place)
}

/// Whether a sentence begins there that has the word `value`, or a word like it, before something in quotes or brackets.
fn announces(text: &[u8], from: usize, work: &Work) -> bool {
    // The end of the line is looked for in the window only: whoever repeats a name must not have the rest of the line read each time.
    let window = text.get(..text.len().min(from + WINDOW)).unwrap_or_default();
    let window = window.get(..line_end(window, from)).unwrap_or_default();
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'.' | b',' | b'`' | b'_' | b'(');
    let mut place = from;
    loop {
        let end = run_end(window, place, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let word = window.get(place..end).unwrap_or_default();
        if [&b"value"[..], b"got", b"received"].iter().any(|other| word.eq_ignore_ascii_case(other)) {
            let sign = skip_spaces(window, end);
            let sign = if at(window, sign) == b':' { skip_spaces(window, sign + 1) } else { sign };
            let quote = run_end(window, sign, |byte| byte == b'\\');
            let is_spaced = sign > end;
            let is_open = matches!(at(window, quote), b'"' | b'\'' | b'`' | b'[' | b'(')
                || has_word(window, sign, "\u{201c}".as_bytes());
            if is_spaced && is_open {
                work.spend(end - from);
                return true;
            }
        }
        if !is_part(at(window, end)) {
            work.spend(end - from);
            return false;
        }
        place = end + 1;
    }
}

/// Behind a name in quotes: Joi's `"password" with value "x" fails`, Mongoose's ``Path `password` (`x`) is shorter``.
pub(super) fn quoted(text: &[u8], sign: usize) -> Option<(Pair, usize)> {
    if has_word(text, sign, b"with value ") {
        let value = skip_spaces(text, sign + 11);
        return matches!(at(text, value), b'"' | b'\'').then_some((Pair::Quoted, value));
    }
    (text.get(sign..sign + 2) == Some(b"(`")).then_some((Pair::Quoted, sign + 1))
}
