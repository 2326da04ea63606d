//! Finds what is to be hidden in one line, and writes the line without it.

use std::ops::Range;

use outrigger_plugin::Error;
use regex::bytes::{Regex, RegexBuilder};

use crate::config::{Config, Pattern};
use crate::fields::Names;
use crate::json::{self, Decoded, Wanted};
use crate::patterns::Fixed;
use crate::spans::{Form, Replacements, Span, apply, merge};

/// Largest compiled expression of a user's, in bytes; also the limit of its cache.
const REGEX_BYTES: usize = 1 << 20;

/// How often a line that changes is looked at, at most. Two do but for made-up cases.
const PASSES: usize = 4;

/// What is hidden, and by what.
#[derive(Debug)]
pub struct Redactor {
    names: Names,
    fixed: Vec<(Fixed, usize)>,
    regexes: Vec<(Regex, usize)>,
    replacements: Replacements,
}

impl Redactor {
    /// Compiles the configuration.
    ///
    /// # Errors
    /// Names the expression that is not one, and the name that is empty.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let mut replacements = Replacements::default();
        let mut add = |name: &str| replacements.add(&config.replacement, name);
        let (mut fixed, mut regexes) = (Vec::new(), Vec::new());
        for pattern in &config.patterns {
            match pattern {
                Pattern::Fixed(one) => fixed.push((*one, add(one.name()))),
                Pattern::Regex(named) => {
                    let compiled = RegexBuilder::new(&named.regex)
                        .unicode(false)
                        .size_limit(REGEX_BYTES)
                        .dfa_size_limit(REGEX_BYTES)
                        .build()
                        .map_err(|error| Error::bad_config(format!("`patterns`: `{}`: {error}", named.name)))?;
                    regexes.push((compiled, add(&named.name)));
                }
            }
        }
        if config.fields.iter().any(String::is_empty) {
            return Err(Error::bad_config("`fields`: a name is empty"));
        }
        let names: Vec<_> = config.fields.iter().map(|name| (name.clone().into_bytes(), add(name))).collect();
        Ok(Self { names: Names::new(names), fixed, regexes, replacements })
    }

    /// Writes the line without what is hidden, and answers `true`; or writes nothing, where nothing is.
    pub fn redact(&self, line: &[u8], out: &mut Vec<u8>) -> bool {
        if !self.pass(line, true, out) {
            return false;
        }
        // What is hidden may have shielded what stood right beside it: a card's number after a letter is none, until the word before it is gone. The
        // user's own expressions are left out of this, since they may match what was put in place.
        let mut again = Vec::new();
        for _ in 1..PASSES {
            again.clear();
            if !self.pass(out, false, &mut again) {
                break;
            }
            std::mem::swap(out, &mut again);
        }
        true
    }

    fn pass(&self, line: &[u8], with_regexes: bool, out: &mut Vec<u8>) -> bool {
        let look = Look { redactor: self, with_regexes };
        // In JSON, `\u0040` is an `@`.
        let is_escaped = || memchr::memchr(b'\\', line).is_some() && memchr::memmem::find(line, b"\\u").is_some();
        if !look.suspects(line) && !is_escaped() {
            return false;
        }
        let mut spans = look.json_spans(line).unwrap_or_else(|| look.text_spans(line));
        if spans.is_empty() {
            return false;
        }
        merge(&mut spans);
        apply(line, &spans, &self.replacements, out)
    }
}

/// One pass over one line.
#[derive(Clone, Copy)]
struct Look<'a> {
    redactor: &'a Redactor,
    with_regexes: bool,
}

impl Look<'_> {
    /// Whether the text is worth a closer look. A `false` is certain.
    fn suspects(self, text: &[u8]) -> bool {
        let redactor = self.redactor;
        (self.with_regexes && !redactor.regexes.is_empty())
            || redactor.fixed.iter().any(|(fixed, _)| fixed.suspects(text))
            || redactor.names.suspects(text)
    }

    /// Of a line that is JSON, or ends with a JSON object. None: it is not.
    fn json_spans(&self, line: &[u8]) -> Option<Vec<Span>> {
        let first = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let start = if line.get(first) == Some(&b'[') { first } else { memchr::memchr(b'{', line)? };
        self.json_spans_from(line, start).or_else(|| {
            // `[INFO] {"a": 1}`
            let start = memchr::memchr(b'{', line).filter(|place| *place > start)?;
            self.json_spans_from(line, start)
        })
    }

    fn json_spans_from(&self, line: &[u8], start: usize) -> Option<Vec<Span>> {
        let (prefix, object) = line.split_at_checked(start)?;
        let mut visitor = Finder { look: *self, text: object, spans: Vec::new() };
        if !json::walk(object, &mut visitor) {
            return None;
        }
        let mut spans = visitor.spans;
        for span in &mut spans {
            span.start += start;
            span.end += start;
        }
        spans.append(&mut self.pattern_spans(prefix));
        if !prefix.is_empty() {
            // The object itself may be a value: `password={…}`.
            let mut found = |span: Span| {
                if span.start <= start {
                    spans.push(self.fitting(span))
                }
            };
            self.redactor.names.find(line, &mut found);
        }
        Some(spans)
    }

    /// Of text that has no structure, as far as is known.
    fn text_spans(&self, text: &[u8]) -> Vec<Span> {
        let mut spans = self.pattern_spans(text);
        self.redactor.names.find(text, &mut |span| spans.push(self.fitting(span)));
        spans
    }

    fn pattern_spans(&self, text: &[u8]) -> Vec<Span> {
        let mut spans = Vec::new();
        for &(fixed, label) in &self.redactor.fixed {
            let mut found = |Range { start, end }| spans.push(Span { start, end, label, form: Form::Plain });
            fixed.find(text, &mut found);
        }
        for (regex, label) in self.redactor.regexes.iter().filter(|_| self.with_regexes) {
            let mut found = |place: regex::bytes::Match<'_>| {
                if !place.is_empty() {
                    spans.push(Span { start: place.start(), end: place.end(), label: *label, form: Form::Plain });
                }
            };
            if regex.captures_len() > 1 {
                regex.captures_iter(text).filter_map(|groups| groups.get(1)).for_each(&mut found);
            } else {
                regex.find_iter(text).for_each(&mut found);
            }
        }
        spans
    }

    /// A bare value becomes a quoted one, where what is put there would otherwise be more than one word.
    fn fitting(&self, mut span: Span) -> Span {
        let is_word = |byte: &u8| byte.is_ascii_graphic() && !b"\"=&".contains(byte) || *byte >= 0x80;
        if span.form == Form::Plain && !self.redactor.replacements.of(span.label, Form::Plain).iter().all(is_word) {
            span.form = Form::Quoted;
        }
        span
    }
}

/// Collects the spans of JSON.
struct Finder<'a> {
    look: Look<'a>,
    text: &'a [u8],
    spans: Vec<Span>,
}

impl<'a> Finder<'a> {
    /// Looks into a string as into a line: messages hold pairs and JSON, too.
    fn look_into(&mut self, inside: Range<usize>, find: fn(&Look<'a>, &[u8]) -> Vec<Span>) {
        let Some(raw) = self.text.get(inside.clone()) else { return };
        if memchr::memchr(b'\\', raw).is_none() {
            if !self.look.suspects(raw) {
                return;
            }
            let found = find(&self.look, raw).into_iter().map(|span| Span {
                start: span.start + inside.start,
                end: span.end + inside.start,
                form: span.form.escaped(),
                ..span
            });
            self.spans.extend(found);
            return;
        }
        let decoded = Decoded::of(self.text, inside);
        let mut found = find(&self.look, &decoded.bytes);
        merge(&mut found);
        let written = found.into_iter().map(|span| {
            let place = decoded.written(span.start..span.end);
            Span { start: place.start, end: place.end, form: span.form.escaped(), ..span }
        });
        self.spans.extend(written);
    }
}

impl json::Visitor for Finder<'_> {
    fn key(&mut self, inside: Range<usize>) -> bool {
        let label = self.look.redactor.names.of_key(self.text, inside.clone());
        self.look_into(inside, Look::pattern_spans);
        // The label waits in a span of its own until the value is known.
        if let Some(label) = label {
            self.spans.push(Span { start: 0, end: 0, label, form: Form::Quoted });
        }
        label.is_some()
    }

    fn string(&mut self, inside: Range<usize>) {
        self.look_into(inside, Look::text_spans);
    }

    fn number(&mut self, whole: Range<usize>) {
        let found = self.text.get(whole.clone()).map(|digits| self.look.pattern_spans(digits)).unwrap_or_default();
        if let Some(span) = found.into_iter().next() {
            self.spans.push(Span { start: whole.start, end: whole.end, label: span.label, form: Form::Quoted });
        }
    }

    fn wanted(&mut self, value: Wanted) {
        let Some(waiting) = self.spans.pop() else { return };
        let (place, form) = match value {
            Wanted::String(inside) => (inside, Form::Escaped),
            Wanted::Other(whole) => (whole, Form::Quoted),
            Wanted::Null => return,
        };
        if !place.is_empty() {
            self.spans.push(Span { start: place.start, end: place.end, form, ..waiting });
        }
    }
}
