//! Where the value of a field ends.

use std::ops::Range;

use super::bare::{bare_end, line_end, rest_end, trimmed_end};
use super::beside::elements_end;
use super::cookie::{is_cookie, list_end};
use super::enclosed::{is_escaped_quote, is_section, nest_end, section, string};
use super::header::{credentials, is_authorization, scheme, scheme_end};
use super::words::{is_masked, is_no_argument, is_nothing, is_placeholder, is_prose};
use super::{Pair, key_start};
use crate::bytes::{at, before, run_end};
use crate::spans::Form;
use crate::work::Work;

/// The value that begins there, and how to write what is put in place. None where there is nothing to hide.
pub(super) fn read(
    text: &[u8],
    from: usize,
    pair: Pair,
    around: Option<u8>,
    name: &Range<usize>,
    work: &Work,
) -> Option<(Range<usize>, Form)> {
    let first = *text.get(from)?;
    if pair == Pair::Element {
        if is_section(text, from) {
            return worth(text, section(text, from, work), Form::Plain);
        }
        let end = memchr::memchr(b'<', text.get(from..)?).map_or(text.len(), |offset| from + offset);
        work.spend(end - from);
        return worth(text, from..end, Form::Plain);
    }
    if pair == Pair::Elements {
        let key = text.get(key_start(text, name.start)..name.end)?;
        return worth(text, from..elements_end(text, from, key, work)?, Form::Plain);
    }
    if pair == Pair::Line {
        let end = trimmed_end(text, from, line_end(text, from));
        work.spend(end.saturating_sub(from));
        // The quote that the line as a whole is in stays.
        let end = if around.is_some_and(|quote| before(text, end) == quote) { end - 1 } else { end };
        return worth(text, from..end, Form::Plain);
    }
    if let Some(inside) = string(text, from, pair, work) {
        return worth(text, inside, Form::Escaped);
    }
    if pair == Pair::Quoted {
        return None;
    }
    // The quote is escaped, so this is inside of a string: the layer without the escapes is looked at, too.
    if is_escaped_quote(text, from) {
        return None;
    }
    if pair == Pair::Json {
        // `field 'password': must not be blank`
        let word = run_end(text, from, |byte| byte.is_ascii_lowercase());
        if at(text, word) == b' ' && at(text, word + 1).is_ascii_lowercase() && is_prose(text, from, name) {
            return None;
        }
        // Go: `[]string{"x"}`.
        let is_typed = at(text, from + 1) == b']' && at(text, from + 2).is_ascii_alphabetic();
        if matches!(first, b'{' | b'[') && !is_typed {
            return worth(text, from..nest_end(text, from, work).unwrap_or(text.len()), Form::Quoted);
        }
        let word = if is_typed { from + 2 } else { from };
        let mut end = run_end(text, word, |byte| byte > b' ' && !b",}])\\\"".contains(&byte));
        work.spend(end - word);
        if let Some(open) = memchr::memchr2(b'{', b'(', text.get(from..end)?) {
            end = nest_end(text, from + open, work).unwrap_or(end);
        }
        return worth(text, from..end, Form::Quoted);
    }
    let limit = match around {
        Some(quote) => {
            let key = key_start(text, name.start);
            // `"Authorization: OAuth token=\"x\""`
            let has_quotes = is_authorization(text, name) && before(text, key - 1) != b'\\';
            let tail = text.get(from..)?;
            let mut ends = memchr::memchr_iter(quote, tail).map(|offset| from + offset);
            let end = ends.find(|&end| !has_quotes || before(text, end) != b'\\').unwrap_or(text.len());
            work.spend(end - from);
            end
        }
        None => text.len(),
    };
    let text = text.get(..limit)?;
    if first.is_ascii_whitespace() || from >= limit {
        return None;
    }
    match pair {
        Pair::Flag => flag(text, from, name, work),
        Pair::Rest | Pair::Colon => {
            if is_prose(text, from, name) {
                return None;
            }
            let word = bare_end(text, from, pair, work);
            if text.get(from..word).is_some_and(is_masked) {
                return None;
            }
            let is_list = is_cookie(text, name) && text.get(from..word)?.contains(&b'=');
            let end = match pair {
                _ if let Some(end) = credentials(text, from..word, pair, around, name, work) => end,
                _ if scheme(text, from..word) => scheme_end(text, word, pair, work),
                Pair::Rest if is_cookie(text, name) => trimmed_end(text, from, line_end(text, from)),
                Pair::Colon if is_list => list_end(text, word, name, work),
                Pair::Rest => rest_end(text, from, word, work),
                _ => word,
            };
            worth(text, from..end, Form::Plain)
        }
        _ => {
            let word = bare_end(text, from, pair, work);
            if is_placeholder(text, from..word, name) || text.get(from..word).is_some_and(is_masked) {
                return None;
            }
            let is_list = pair == Pair::Word && is_cookie(text, name) && text.get(from..word)?.contains(&b'=');
            let end = match around {
                _ if is_list => list_end(text, word, name, work),
                _ if let Some(end) = credentials(text, from..word, pair, around, name, work) => end,
                // The whole word of a shell is quoted: `'password=a b'`.
                Some(_) if pair == Pair::Word => rest_end(text, from, word, work),
                _ if scheme(text, from..word) => scheme_end(text, word, pair, work),
                _ => word,
            };
            worth(text, from..end, Form::Plain)
        }
    }
}

fn worth(text: &[u8], place: Range<usize>, form: Form) -> Option<(Range<usize>, Form)> {
    let value = text.get(place.clone())?;
    let is_nothing = form != Form::Escaped && is_nothing(value);
    (!value.trim_ascii().is_empty() && !is_nothing && !is_masked(value)).then_some((place, form))
}

/// The argument of an option.
fn flag(text: &[u8], from: usize, name: &Range<usize>, work: &Work) -> Option<(Range<usize>, Form)> {
    let first = at(text, from);
    // Another option, or what stands for an argument in a help text.
    if matches!(first, b'-' | b'<' | b'[' | b'$' | b'|' | b'(' | b')' | b',' | b'=' | b'{' | b']') {
        return None;
    }
    let end = bare_end(text, from, Pair::Word, work);
    let word = text.get(from..end)?;
    let plain = word.strip_suffix(b".").unwrap_or(word);
    let is_name = text.get(name.clone()).is_some_and(|name| plain.eq_ignore_ascii_case(name));
    (!is_name && !is_no_argument(plain)).then(|| worth(text, from..end, Form::Plain))?
}
