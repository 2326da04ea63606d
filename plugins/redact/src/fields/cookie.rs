//! Lists of cookies: `Cookie: a=1; b=2`, `Set-Cookie: a=1; Path=/; HttpOnly, b=2`.

use std::ops::Range;

use super::{key_start, skip_spaces};
use crate::bytes::{at, has_word, run_end};
use crate::work::Work;

const COOKIE: &[u8] = b"cookie";
/// How far a date goes on at most: `Expires=Wed, 09 Jun 2027 10:18:14 GMT`.
const DATE: usize = 40;

/// Whether this name is that of a header with cookies.
pub(super) fn is_cookie(text: &[u8], name: &Range<usize>) -> bool {
    name.len() >= COOKIE.len() && has_word(text, name.end - COOKIE.len(), COOKIE)
}

/// The end of the list whose first pair ends at `end`. Only in `Set-Cookie`, commas separate cookies.
pub(super) fn list_end(text: &[u8], mut end: usize, name: &Range<usize>, work: &Work) -> usize {
    let key = key_start(text, name.start);
    let is_set =
        text.get(key..name.end).is_some_and(|key| key.windows(3).any(|part| part.eq_ignore_ascii_case(b"set")));
    let start = end;
    end = date_end(text, end);
    while at(text, end) == b';' || (is_set && at(text, end) == b',') {
        let place = skip_spaces(text, end + 1);
        let word = run_end(text, place, |byte| byte.is_ascii_alphanumeric() || b"-_.!#$%&*+^|~".contains(&byte));
        if word == place {
            break;
        }
        end = match at(text, word) {
            b'=' => date_end(text, run_end(text, word + 1, |byte| byte > b' ' && !b",;\"'`\\{}[]()<>".contains(&byte))),
            // `Secure`, `HttpOnly`
            b';' | b',' | 0 => word,
            _ => break,
        };
    }
    work.spend(end - start);
    end
}

/// Behind the date whose day of the week ends there.
fn date_end(text: &[u8], day: usize) -> usize {
    if at(text, day) != b',' || at(text, day + 1) != b' ' || !at(text, day + 2).is_ascii_digit() {
        return day;
    }
    let window = text.get(day..text.len().min(day + DATE)).unwrap_or_default();
    memchr::memmem::find(window, b" GMT").map_or(day, |offset| day + offset + 4)
}
