//! Finds what is to be hidden in one line, and writes the line without it.

use std::ops::Range;

use outrigger_plugin::Error;
use regex::bytes::{Regex, RegexBuilder};

use crate::bytes::{at, before, is_one_of};
use crate::colour;
use crate::config::{Config, Pattern};
use crate::fields::{Names, is_masked};
use crate::json::{self, Wanted};
use crate::patterns::{Fixed, is_version_name};
use crate::spans::{Form, Replacements, Span, apply, merge};
use crate::view::View;

/// Largest compiled expression of a user's, in bytes; also the limit of its cache.
const REGEX_BYTES: usize = 1 << 20;

/// How often a line that changes is looked at, at most. Two do but for made-up cases.
const PASSES: usize = 4;

/// How much longer than the line its new text may be: so many times, and so many bytes. The host takes no more from a plugin, for all lines of a batch together.
const GROWTH: (usize, usize) = (4, 800);

/// How many layers of escapes are taken off: JSON in a string in JSON, percent signs in an address in such a string.
const LAYERS: usize = 4;

/// What is hidden, and by what.
#[derive(Debug)]
pub struct Redactor {
    names: Names,
    fixed: Vec<(Fixed, usize)>,
    regexes: Vec<(Regex, usize)>,
    replacements: Replacements,
    /// Nothing in place of each, for lines that would grow too much.
    blanks: Replacements,
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
        let blanks = replacements.blank();
        Ok(Self { names: Names::new(names), fixed, regexes, replacements, blanks })
    }

    /// Writes the line without what is hidden, and answers `true`; or writes nothing, where nothing is.
    pub fn redact(&self, line: &[u8], out: &mut Vec<u8>) -> bool {
        debug_assert!(out.is_empty(), "a line has a buffer of its own");
        let is_changed = self.redact_with(&self.replacements, line, out);
        // A stranger who knows how to make lines grow must not be able to make the plugin fail.
        if is_changed && out.len() > line.len() * GROWTH.0 + GROWTH.1 {
            out.clear();
            return self.redact_with(&self.blanks, line, out);
        }
        is_changed
    }

    fn redact_with(&self, replacements: &Replacements, line: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(mut is_shield) = self.pass(replacements, line, true, out) else { return false };
        // What is hidden may have shielded what stood right beside it: a card's number after a letter is none, until the word before it is gone. The
        // user's own expressions are left out of this, since they may match what was put in place.
        let mut again = Vec::new();
        for _ in 1..PASSES {
            if !is_shield {
                break;
            }
            again.clear();
            let Some(shields) = self.pass(replacements, out, false, &mut again) else { break };
            is_shield = shields;
            std::mem::swap(out, &mut again);
        }
        true
    }

    /// Writes the line without what is hidden, and answers whether that may have shielded something; none where nothing changes.
    fn pass(&self, replacements: &Replacements, line: &[u8], with_regexes: bool, out: &mut Vec<u8>) -> Option<bool> {
        let look = Look { redactor: self, with_regexes, layers: LAYERS };
        if !look.suspects_line(line) {
            return None;
        }
        let mut spans = look.colourless_spans(line);
        if spans.is_empty() {
            return None;
        }
        merge(&mut spans);
        let is_shield = !self.regexes.is_empty()
            || spans.iter().any(|span| is_close(before(line, span.start)) || is_close(at(line, span.end)));
        apply(line, &spans, replacements, out).then_some(is_shield)
    }
}

/// Whether this byte beside what is hidden may be a part of something that is found now. Spaces and most signs end whatever stands beside them.
fn is_close(byte: u8) -> bool {
    !matches!(byte, 0 | b' ' | b'\t' | b'=' | b',' | b';' | b'(' | b')' | b'<' | b'>' | b'?' | b'|' | b'"' | b'}')
}

/// Moves the spans to where they were written.
fn mapped(spans: &mut [Span], view: &View) {
    for span in spans {
        let place = view.written(span.start..span.end);
        (span.start, span.end) = (place.start, place.end);
    }
}

/// One pass over one line.
#[derive(Clone, Copy)]
struct Look<'a> {
    redactor: &'a Redactor,
    with_regexes: bool,
    /// How many more layers may be taken off.
    layers: usize,
}

impl Look<'_> {
    /// Whether the text is worth a closer look. A `false` is certain.
    fn suspects(self, text: &[u8]) -> bool {
        let redactor = self.redactor;
        (self.with_regexes && !redactor.regexes.is_empty())
            || redactor.fixed.iter().any(|(fixed, _)| fixed.suspects(text))
            || redactor.names.suspects(text)
    }

    /// The same of a whole line. Most lines have no backslash and no colour, and of those that have, most hold nothing: they are not decoded for that.
    fn suspects_line(self, line: &[u8]) -> bool {
        let Some(escape) = memchr::memchr2(b'\\', colour::ESC, line) else { return self.suspects(line) };
        let tail = line.get(escape..).unwrap_or_default();
        if memchr::memchr(b'\\', tail).is_some() && self.suspects_escapes(tail) {
            return true;
        }
        if memchr::memchr(colour::ESC, tail).is_none() { self.suspects(line) } else { self.suspects_coloured(line) }
    }

    /// Whether a line with colours is worth a closer look, colours within values and names included. A `false` is certain.
    fn suspects_coloured(self, line: &[u8]) -> bool {
        let redactor = self.redactor;
        if self.with_regexes && !redactor.regexes.is_empty() {
            return true;
        }
        let mut needs_text = !redactor.names.is_empty() && colour::is_in_word(line);
        for (fixed, _) in &redactor.fixed {
            match fixed.suspects_coloured(line) {
                Some(true) => return true,
                Some(false) => {}
                None => needs_text = true,
            }
        }
        redactor.names.suspects(line)
            || (needs_text && View::without_colours(line).is_some_and(|view| self.suspects(&view.bytes)))
    }

    /// Whether a backslash may hide what is looked for: `\u0040` and `\x40` are an `@`, `\033[1m` a colour within a word.
    fn suspects_escapes(self, text: &[u8]) -> bool {
        memchr::memchr_iter(b'\\', text).any(|place| match at(text, place + 1) {
            b'u' | b'x' => true,
            b'0' => at(text, place + 2) == b'3',
            b'e' => at(text, place + 2) == b'[',
            _ => false,
        })
    }

    /// One layer further in.
    fn deeper(self) -> Option<Self> {
        Some(Self { layers: self.layers.checked_sub(1)?, ..self })
    }

    /// Of text without colours.
    fn spans(self, text: &[u8]) -> Vec<Span> {
        self.json_spans(text).unwrap_or_else(|| self.text_spans(text))
    }

    /// Of text that may have colours.
    fn colourless_spans(self, text: &[u8]) -> Vec<Span> {
        match View::without_colours(text) {
            Some(colourless) => {
                let mut spans = self.spans(&colourless.bytes);
                mapped(&mut spans, &colourless);
                spans
            }
            None => self.spans(text),
        }
    }

    /// Of what a layer means, where it was written.
    fn view_spans(self, view: &View) -> Vec<Span> {
        let mut spans = self.colourless_spans(&view.bytes);
        merge(&mut spans);
        mapped(&mut spans, view);
        spans
    }

    /// Of a line that is JSON, or ends with a JSON object. None: it is not.
    fn json_spans(self, line: &[u8]) -> Option<Vec<Span>> {
        let first = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let start = if line.get(first) == Some(&b'[') { first } else { memchr::memchr(b'{', line)? };
        self.json_spans_from(line, start).or_else(|| {
            // `[INFO] {"a": 1}`
            let start = memchr::memchr(b'{', line).filter(|place| *place > start)?;
            self.json_spans_from(line, start)
        })
    }

    fn json_spans_from(self, line: &[u8], start: usize) -> Option<Vec<Span>> {
        let (prefix, object) = line.split_at_checked(start)?;
        let mut visitor = Finder::new(self, object);
        if !json::walk(object, &mut visitor) {
            return None;
        }
        let mut spans = visitor.spans;
        for span in &mut spans {
            span.start += start;
            span.end += start;
        }
        if !prefix.is_empty() {
            spans.append(&mut self.pattern_spans(prefix));
            self.unescaped_spans(prefix, &mut spans);
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
    fn text_spans(self, text: &[u8]) -> Vec<Span> {
        let mut spans = self.pattern_spans(text);
        self.redactor.names.find(text, &mut |span| spans.push(self.fitting(span)));
        self.unescaped_spans(text, &mut spans);
        spans
    }

    /// Of the text with one layer of escapes less.
    fn unescaped_spans(self, text: &[u8], spans: &mut Vec<Span>) {
        let Some(look) = self.deeper() else { return };
        let Some(view) = View::unescaped(text) else {
            return;
        };
        let look = Look { with_regexes: false, ..look };
        // A quote within was written with a backslash, so what is put in place must be, too.
        let is_string = memchr::memmem::find(text, b"\\\"").is_some();
        spans.extend(
            look.view_spans(&view)
                .into_iter()
                .map(|span| Span { form: if is_string { span.form.escaped() } else { span.form }, ..span }),
        );
    }

    fn pattern_spans(self, text: &[u8]) -> Vec<Span> {
        self.pattern_spans_but(text, None)
    }

    /// Of all patterns but one.
    fn pattern_spans_but(self, text: &[u8], but: Option<Fixed>) -> Vec<Span> {
        let mut spans = Vec::new();
        for &(fixed, label) in self.redactor.fixed.iter().filter(|(fixed, _)| Some(*fixed) != but) {
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
    fn fitting(self, mut span: Span) -> Span {
        let is_word = |byte: &u8| byte.is_ascii_graphic() && !b"\"=&".contains(byte) || *byte >= 0x80;
        if span.form == Form::Plain && !self.redactor.replacements.of(span.label, Form::Plain).iter().all(is_word) {
            span.form = Form::Quoted;
        }
        span
    }
}

/// A string of JSON that says what the next value is.
#[derive(Clone, Copy)]
struct Announced {
    label: usize,
    /// Where the string ends.
    end: usize,
    /// `--password`: the next string of the list. Otherwise the value of the key `value`.
    is_option: bool,
}

/// Collects the spans of JSON.
struct Finder<'a> {
    look: Look<'a>,
    text: &'a [u8],
    spans: Vec<Span>,
    /// The label of the value that is wanted, and whether its key is the name and nothing more.
    waiting: Option<(usize, bool)>,
    announced: Option<Announced>,
    /// Of the last key: whether its value is the name of something, or a version.
    is_name: bool,
    is_version: bool,
}

impl<'a> Finder<'a> {
    fn new(look: Look<'a>, text: &'a [u8]) -> Self {
        let (spans, waiting, announced) = (Vec::new(), None, None);
        Self { look, text, spans, waiting, announced, is_name: false, is_version: false }
    }

    /// The label of this key, as it is written.
    fn label(&self, inside: Range<usize>) -> Option<(usize, bool)> {
        let key = self.text.get(inside.clone())?;
        let names = &self.look.redactor.names;
        let found = if memchr::memchr(b'\\', key).is_some() {
            names.of_key(&View::of_json(self.text, inside).bytes)
        } else {
            names.of_key(key)
        };
        found.map(|key| (key.label, key.is_exact))
    }

    /// Whether nothing but a comma stands between the string that announced this one and it.
    fn follows(&self, announced: Announced, inside: &Range<usize>) -> bool {
        let between = self.text.get(announced.end..inside.start).unwrap_or_default();
        between.iter().all(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b','))
            && between.iter().filter(|byte| **byte == b'"').count() == 2
    }

    fn hide(&mut self, inside: Range<usize>, label: usize, form: Form) {
        let is_worth = self.text.get(inside.clone()).is_some_and(|value| !value.is_empty() && !is_masked(value));
        if is_worth {
            self.spans.push(Span { start: inside.start, end: inside.end, label, form });
        }
    }

    /// Looks into a string as into a line: messages hold pairs and JSON, too.
    fn look_into(&mut self, inside: Range<usize>, is_key: bool) {
        let Some(raw) = self.text.get(inside.clone()) else {
            return;
        };
        let look = self.look;
        let find = |look: Look<'_>, text: &[u8]| {
            if is_key { look.pattern_spans(text) } else { look.spans(text) }
        };
        if memchr::memchr2(b'\\', colour::ESC, raw).is_none() {
            if !look.suspects(raw) {
                return;
            }
            let Some(look) = look.deeper() else { return };
            let found = if self.is_version && !is_key {
                look.pattern_spans_but(raw, Some(Fixed::Ipv4))
            } else {
                find(look, raw)
            };
            self.spans.extend(found.into_iter().map(|span| Span {
                start: span.start + inside.start,
                end: span.end + inside.start,
                form: span.form.escaped(),
                ..span
            }));
            return;
        }
        let view = View::of_json(self.text, inside);
        if !look.suspects_line(&view.bytes) {
            return;
        }
        let Some(look) = look.deeper() else { return };
        let mut found = if is_key { look.pattern_spans(&view.bytes) } else { look.colourless_spans(&view.bytes) };
        merge(&mut found);
        mapped(&mut found, &view);
        self.spans.extend(found.into_iter().map(|span| Span { form: span.form.escaped(), ..span }));
    }
}

impl json::Visitor for Finder<'_> {
    fn key(&mut self, inside: Range<usize>) -> bool {
        self.waiting = self.label(inside.clone());
        let key = self.text.get(inside.clone()).unwrap_or_default();
        if let Some(announced) = self.announced.take()
            && !announced.is_option
            && self.waiting.is_none()
            && is_one_of(key, &["value", "val", "v"])
            && self.follows(announced, &inside)
        {
            self.waiting = Some((announced.label, false));
        }
        self.is_name = is_one_of(key, &["name", "key", "header", "k", "n"]);
        self.is_version = is_version_name(key);
        self.look_into(inside, true);
        self.waiting.is_some()
    }

    fn string(&mut self, inside: Range<usize>) {
        let announced = self.announced.take();
        if let Some(announced) = announced.filter(|announced| announced.is_option && self.follows(*announced, &inside))
        {
            return self.hide(inside, announced.label, Form::Escaped);
        }
        let text = self.text.get(inside.clone()).unwrap_or_default();
        let option = text.strip_prefix(b"-").map(|rest| rest.strip_prefix(b"-").unwrap_or(rest));
        let is_option = option.is_some_and(|option| {
            option.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        });
        if (is_option || self.is_name)
            && let Some((label, _)) = self.label(inside.clone())
        {
            self.announced = Some(Announced { label, end: inside.end, is_option });
        }
        self.is_name = false;
        self.look_into(inside, false);
    }

    fn number(&mut self, whole: Range<usize>) {
        let found = self.text.get(whole.clone()).map(|digits| self.look.pattern_spans(digits)).unwrap_or_default();
        if let Some(span) = found.into_iter().next() {
            self.spans.push(Span { start: whole.start, end: whole.end, label: span.label, form: Form::Quoted });
        }
    }

    fn wanted(&mut self, value: Wanted) {
        let Some((label, is_exact)) = self.waiting.take() else {
            return;
        };
        match value {
            Wanted::String(inside) => self.hide(inside, label, Form::Escaped),
            // `hasPassword: true` and `passwordLength` say something about it.
            Wanted::Other(whole) if !is_exact && matches!(self.text.get(whole.clone()), Some(b"true" | b"false")) => {}
            Wanted::Other(whole) => self.hide(whole, label, Form::Quoted),
            Wanted::Null => {}
        }
    }
}
