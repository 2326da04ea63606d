//! Words that stand in the place of a value and are none: words of prose and of help texts, words for a state, and words that programs write instead of a value.

use std::ops::Range;

use super::{is_space, key_start};
use crate::bytes::{at, is_one_of, run_end, run_start};

/// What `name: …` is followed by in prose, where more words follow.
const PROSE: [&str; 56] = [
    "must",
    "is",
    "are",
    "was",
    "were",
    "too",
    "not",
    "cannot",
    "can't",
    "can",
    "has",
    "have",
    "had",
    "should",
    "shall",
    "required",
    "contains",
    "does",
    "doesn't",
    "do",
    "did",
    "didn't",
    "expected",
    "got",
    "missing",
    "invalid",
    "this",
    "that",
    "at",
    "may",
    "needs",
    "need",
    "please",
    "your",
    "minimum",
    "maximum",
    "failed",
    "failure",
    "denied",
    "incorrect",
    "wrong",
    "expired",
    "only",
    "both",
    "either",
    "field",
    "isn't",
    "won't",
    "unable",
    "no",
    "could",
    "couldn't",
    "will",
    "found",
    "using",
    "value",
];

/// Words behind a name that are no value if nothing follows them: they say that the value is missing, or name a state.
const STATUS: [&str; 40] = [
    "required",
    "missing",
    "invalid",
    "expired",
    "empty",
    "unset",
    "set",
    "blank",
    "changed",
    "updated",
    "ok",
    "failed",
    "denied",
    "granted",
    "success",
    "accepted",
    "rejected",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "enabled",
    "disabled",
    "null",
    "none",
    "nil",
    "undefined",
    "unknown",
    "string",
    "str",
    "text",
    "bytes",
    "int",
    "bool",
    "boolean",
    "varchar",
    "number",
    "any",
];

/// Words behind an option in prose and in help texts.
const NO_ARGUMENT: [&str; 40] = [
    "via",
    "is",
    "to",
    "or",
    "and",
    "on",
    "in",
    "for",
    "with",
    "option",
    "options",
    "flag",
    "flags",
    "string",
    "from",
    "at",
    "as",
    "the",
    "was",
    "must",
    "requires",
    "has",
    "needs",
    "cannot",
    "can",
    "argument",
    "value",
    "parameter",
    "password",
    "file",
    "if",
    "instead",
    "but",
    "when",
    "not",
    "should",
    "will",
    "are",
    "of",
    "by",
];

const NOTHING: [&str; 9] = ["null", "none", "nil", "undefined", "(null)", "<nil>", "<none>", "<null>", "<unset>"];
/// What programs put in place of a value.
const MASKS: [&str; 16] = [
    "filtered",
    "redacted",
    "hidden",
    "masked",
    "removed",
    "omitted",
    "sensitive",
    "protected",
    "private",
    "secret",
    "sensitive value",
    "not shown",
    "scrubbed",
    "sanitized",
    "obfuscated",
    "confidential",
];

/// Whether a value has been hidden already.
pub fn is_masked(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let inner = match value {
        [b'[' | b'<' | b'(' | b'{', inner @ .., b']' | b'>' | b')' | b'}'] => inner,
        _ => b"",
    };
    let is_starred =
        |value: &[u8]| value.len() >= 3 && value.iter().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.'));
    let bullets = std::str::from_utf8(value)
        .is_ok_and(|text| !text.is_empty() && text.chars().all(|c| matches!(c, '•' | '·' | '█' | '●' | '*')));
    is_starred(value)
        || bullets
        || is_starred(inner)
        || is_one_of(inner, &MASKS)
        || is_one_of(value, &["redacted", "filtered"])
}

/// Whether a word without quotes says that there is no value.
pub(super) fn is_nothing(value: &[u8]) -> bool {
    is_one_of(value, &NOTHING)
}

/// Whether the word behind an option belongs to a sentence or to a help text.
pub(super) fn is_no_argument(word: &[u8]) -> bool {
    is_one_of(word, &NO_ARGUMENT)
}

/// Whether words of a sentence follow, or a word that says how things stand.
pub(super) fn is_prose(text: &[u8], from: usize, name: &Range<usize>) -> bool {
    let end = run_end(text, from, |byte| byte.is_ascii_alphabetic() || byte == b'\'' || byte == b'&');
    let word = text.get(from..end).unwrap_or_default();
    let word = word.strip_prefix(b"&").unwrap_or(word);
    let next = at(text, end);
    let more = next == b' ' && at(text, end + 1).is_ascii_alphabetic();
    // Mongoose: ``password: Path `password` is required``.
    if text.get(end..end + 2) == Some(b" `") && is_one_of(word, &["path"]) {
        return true;
    }
    if more && is_one_of(word, &PROSE) {
        return true;
    }
    let ends = next == 0 || next.is_ascii_whitespace() || matches!(next, b',' | b';' | b')' | b'.' | b'}');
    if ends && is_one_of(word, &STATUS) {
        return true;
    }
    // "invalid password: does it match"
    let gap = run_start(text, name.start, is_space);
    let adjective = text.get(run_start(text, gap, |byte| byte.is_ascii_alphabetic())..gap).unwrap_or_default();
    more && gap < name.start
        && is_one_of(
            adjective,
            &["invalid", "bad", "wrong", "incorrect", "weak", "missing", "no", "expired", "unknown"],
        )
        && word.iter().all(u8::is_ascii_lowercase)
}

/// Whether the value says something about the field, `is_password=true`, or stands for a value in a help text, `--password=PASSWORD`.
pub(super) fn is_placeholder(text: &[u8], value: Range<usize>, name: &Range<usize>) -> bool {
    let value = text.get(value).unwrap_or_default();
    let key = key_start(text, name.start);
    let is_longer = key < name.start && at(text, key) != b'-';
    let is_option = at(text, key) == b'-';
    let name = text.get(name.clone()).unwrap_or_default();
    let is_capital = value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    (is_longer && is_one_of(value, &["true", "false"]))
        || (is_option && is_capital && value.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)))
}
