//! Places in a line that get something else.

use std::ops::Range;

use crate::bytes::run_end;
use crate::colour;

/// How the replacement is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// As the inside of a JSON string.
    Escaped,
    /// As a JSON string, quotes and all.
    Quoted,
    /// As a JSON string inside of a JSON string.
    QuotedEscaped,
}

impl Form {
    /// The same, one JSON string further in.
    pub fn escaped(self) -> Self {
        match self {
            Self::Plain | Self::Escaped => Self::Escaped,
            Self::Quoted | Self::QuotedEscaped => Self::QuotedEscaped,
        }
    }
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// Place in [`Replacements`].
    pub label: usize,
    /// How it is written.
    pub form: Form,
}

/// What is put in place, for each field and pattern.
#[derive(Debug, Default)]
pub struct Replacements(Vec<[Vec<u8>; 4]>);

impl Replacements {
    /// Adds one and answers its label. `template` may hold `{name}`.
    pub fn add(&mut self, template: &str, name: &str) -> usize {
        let plain = template.replace("{name}", name);
        let escaped = escape(&plain);
        let quoted = format!("\"{escaped}\"");
        let quoted_escaped = escape(&quoted);
        self.0.push([plain, escaped, quoted, quoted_escaped].map(String::into_bytes));
        self.0.len() - 1
    }

    /// As many, with nothing in them.
    pub fn blank(&self) -> Self {
        let nothing = || ["", "", "\"\"", "\\\"\\\""].map(|text| text.as_bytes().to_vec());
        Self(self.0.iter().map(|_| nothing()).collect())
    }

    /// What is put in place there.
    pub fn of(&self, label: usize, form: Form) -> &[u8] {
        let all = self.0.get(label);
        all.map_or(&[], |[plain, escaped, quoted, quoted_escaped]| match form {
            Form::Plain => plain,
            Form::Escaped => escaped,
            Form::Quoted => quoted,
            Form::QuotedEscaped => quoted_escaped,
        })
    }
}

/// Bytes of a new line that are kept free.
const SPARE: usize = 16;

fn escape(text: &str) -> String {
    let quoted = outrigger_plugin::serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// Puts spans in order and makes one of those that overlap; what begins first, or else needs quotes, or else is longer, says what it becomes.
pub fn merge(spans: &mut Vec<Span>) {
    if spans.len() < 2 {
        return;
    }
    spans.sort_by_key(|span| (span.start, span.form == Form::Plain, std::cmp::Reverse(span.end)));
    spans.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
}

/// How long the line becomes, its colours in what is hidden aside.
pub fn length(line: &[u8], spans: &[Span], replacements: &Replacements) -> usize {
    spans.iter().fold(line.len(), |length, span| {
        length + replacements.of(span.label, span.form).len() - span.end.saturating_sub(span.start).min(length)
    })
}

/// Writes the line with its spans, merged before, replaced. Answers whether that changes it; writes nothing where it does not.
pub fn apply(line: &[u8], spans: &[Span], replacements: &Replacements, out: &mut Vec<u8>) -> bool {
    let piece = |range: Range<usize>| line.get(range).unwrap_or_default();
    if spans.iter().all(|span| piece(span.start..span.end) == replacements.of(span.label, span.form)) {
        return false;
    }
    // A few bytes more, for line ends: the memory for twice as many is not to be had.
    out.reserve_exact(length(line, spans, replacements) + SPARE);
    let mut from = 0;
    for span in spans {
        out.extend_from_slice(piece(from..span.start));
        out.extend_from_slice(replacements.of(span.label, span.form));
        keep_colours(piece(span.start..span.end), out);
        from = span.end;
    }
    out.extend_from_slice(piece(from..line.len()));
    true
}

/// Writes the escape sequences of what is hidden, so that the rest of the line has the colours that it had.
fn keep_colours(hidden: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr2(colour::ESC, b'[', hidden).is_none() {
        return;
    }
    let mut from = 0;
    for (place, byte) in hidden.iter().enumerate() {
        if place < from || !matches!(byte, &colour::ESC | b'\\' | b'^' | b'#') {
            continue;
        }
        match colour::sequence_or_written(hidden, place) {
            Some(length) => {
                out.extend_from_slice(hidden.get(place..place + length).unwrap_or_default());
                from = place + length;
            }
            None => from = run_end(hidden, place, |byte| byte == b'\\'),
        }
    }
}

#[cfg(test)]
mod tests;
