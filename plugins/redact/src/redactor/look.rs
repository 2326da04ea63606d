//! One pass over a line: which parts of it are worth a closer look, and what is to be hidden in them.

use std::cell::OnceCell;
use std::ops::Range;

use super::Redactor;
use super::finder::Finder;
use super::own;
use crate::ahead::Signs;
use crate::bytes::{at, hex};
use crate::colour::Seams;
use crate::json;
use crate::patterns::Fixed;
use crate::spans::{Form, Span, merge};
use crate::view::{View, octal};
use crate::work::Work;

/// Whether the text, in which there are no backslashes, percent signs and ESC, has no entities and no colours that are written out either.
fn is_plain(text: &[u8]) -> bool {
    memchr::memchr3(b'&', b'^', b'#', text).is_none()
}

/// All patterns, in [`Look::patterns`].
pub(super) const ALL: u32 = u32::MAX;

/// One pass over one line.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) redactor: &'a Redactor,
    pub(super) with_regexes: bool,
    /// How many more layers may be taken off.
    pub(super) layers: usize,
    /// Which of the redactor's fixed patterns may be there, a bit for each.
    pub(super) patterns: u32,
    /// Whether the text has no escapes, colours or entities: it is as it is meant.
    pub(super) is_plain: bool,
    pub(super) work: &'a Work,
}

impl<'a> Look<'a> {
    /// Whether the text is worth a closer look. A `false` is certain.
    pub(super) fn suspects(self, text: &[u8]) -> bool {
        let redactor = self.redactor;
        (self.with_regexes && !redactor.regexes.is_empty())
            || self.fixed().any(|(fixed, _)| fixed.suspects(text))
            || redactor.names.suspects(text)
    }

    /// The fixed patterns that may be there.
    fn fixed(self) -> impl Iterator<Item = (Fixed, usize)> + use<'a> {
        let all = self.redactor.fixed.iter().enumerate();
        all.filter(move |(index, _)| self.patterns & (1 << index) != 0).map(|(_, fixed)| *fixed)
    }

    /// The same look, for parts of this text that are written as they are meant: a pattern that the whole can't hold is in none of them.
    pub(super) fn for_parts_of(self, text: &[u8]) -> Self {
        Self { patterns: self.holding(|fixed| fixed.suspects(text)), ..self }
    }

    /// Those of all fixed patterns for which this is true, a bit for each.
    fn holding(self, is_held: impl Fn(Fixed) -> bool) -> u32 {
        let held = self.redactor.fixed.iter().enumerate().filter(|(_, (fixed, _))| is_held(*fixed));
        held.fold(0, |held, (index, _)| held | (1 << index))
    }

    /// Whether one of the patterns may be there. A `false` is certain.
    pub(super) fn suspects_patterns(self, text: &[u8], signs: Signs) -> bool {
        (self.with_regexes && !self.redactor.regexes.is_empty())
            || self.fixed().any(|(fixed, _)| signs.may_hold(fixed) && fixed.suspects(text))
    }

    /// How a line is to be looked at; none if it is not worth a closer look, which is certain. Most lines have no backslash and no colour, and of those that
    /// have, most hold nothing: they are not decoded for that.
    pub(super) fn closer(self, line: &[u8], signs: Signs) -> Option<Self> {
        if signs.escape || signs.colour {
            return self.suspects_line(line, signs).then_some(self);
        }
        let redactor = self.redactor;
        let patterns = self.holding(|fixed| signs.may_hold(fixed) && fixed.suspects(line));
        let has_regexes = self.with_regexes && !redactor.regexes.is_empty();
        if patterns == 0 && !has_regexes && !redactor.names.suspects(line) {
            return None;
        }
        let is_plain = is_plain(line);
        Some(Self { is_plain, patterns: if is_plain { patterns } else { ALL }, ..self })
    }

    /// Whether a line is worth a closer look. A `false` is certain.
    pub(super) fn suspects_line(self, line: &[u8], signs: Signs) -> bool {
        if signs.escape && self.suspects_escapes(line) {
            return true;
        }
        if signs.colour { self.suspects_coloured(line, signs) } else { self.suspects(line) }
    }

    /// Whether a line with colours is worth a closer look, colours within values and names included. A `false` is certain.
    fn suspects_coloured(self, line: &[u8], signs: Signs) -> bool {
        let redactor = self.redactor;
        if self.with_regexes && !redactor.regexes.is_empty() {
            return true;
        }
        let known = OnceCell::new();
        let seams = || *known.get_or_init(|| Seams::of(line));
        let mut needs_text = !redactor.names.is_empty() && seams().in_word;
        for (fixed, _) in redactor.fixed.iter().filter(|(fixed, _)| signs.may_hold(*fixed)) {
            match fixed.suspects_coloured(line, seams) {
                Some(true) => return true,
                Some(false) => {}
                None => needs_text = true,
            }
        }
        redactor.names.suspects(line)
            || (needs_text && View::without_colours(line).is_some_and(|view| self.suspects(&view.bytes)))
    }

    /// Whether a backslash may hide what is looked for: `\u0040` and `\x40` are an `@`, `\033[1m` a colour within a word. A percent sign may hide a letter of a
    /// name: programs have no need to write letters so.
    fn suspects_escapes(self, text: &[u8]) -> bool {
        let has_names = !self.redactor.names.is_empty();
        memchr::memchr2_iter(b'\\', b'%', text).any(|place| match (at(text, place), at(text, place + 1)) {
            (b'%', b'4'..=b'7') => {
                has_names && hex(text, place + 1, 2).and_then(char::from_u32).is_some_and(|it| it.is_ascii_alphabetic())
            }
            (b'%', _) => false,
            (_, b'u' | b'x') => true,
            (_, b'0'..=b'3') => octal(text, place + 1).is_some(),
            (_, b'e') => at(text, place + 2) == b'[',
            _ => false,
        })
    }

    /// One layer further in.
    pub(super) fn deeper(self) -> Option<Self> {
        Some(Self { layers: self.layers.checked_sub(1)?, ..self })
    }

    /// Of text without colours.
    pub(super) fn spans(self, text: &[u8]) -> Vec<Span> {
        if self.work.is_spent() {
            return Vec::new();
        }
        self.json_spans(text).unwrap_or_else(|| self.text_spans(text))
    }

    /// Of text that may have colours.
    pub(super) fn colourless_spans(self, text: &[u8]) -> Vec<Span> {
        if self.is_plain {
            return self.spans(text);
        }
        match View::without_colours(text) {
            Some(colourless) => {
                let mut spans = self.spans(&colourless.bytes);
                mapped(&mut spans, &colourless);
                spans
            }
            None => self.spans(text),
        }
    }

    /// The spans of a layer's text, at the places at which they were written.
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
        self.work.spend(object.len());
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
            self.redactor.names.find(line, self.work, &mut found);
        }
        Some(spans)
    }

    /// Of text that has no structure, as far as is known.
    fn text_spans(self, text: &[u8]) -> Vec<Span> {
        self.work.spend(text.len());
        let mut spans = self.pattern_spans(text);
        self.redactor.names.find(text, self.work, &mut |span| spans.push(self.fitting(span)));
        self.unescaped_spans(text, &mut spans);
        spans
    }

    /// Of the text with one layer of escapes less.
    fn unescaped_spans(self, text: &[u8], spans: &mut Vec<Span>) {
        if self.is_plain {
            return;
        }
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

    pub(super) fn pattern_spans(self, text: &[u8]) -> Vec<Span> {
        self.pattern_spans_but(text, None)
    }

    /// Of all patterns but one.
    pub(super) fn pattern_spans_but(self, text: &[u8], but: Option<Fixed>) -> Vec<Span> {
        let mut spans = Vec::new();
        for (fixed, label) in self.fixed().filter(|(fixed, _)| Some(*fixed) != but) {
            let mut found = |Range { start, end }| spans.push(Span { start, end, label, form: Form::Plain });
            fixed.find(text, &mut found);
        }
        for (regex, label) in self.redactor.regexes.iter().filter(|_| self.with_regexes) {
            let mut found = |start, end| spans.push(Span { start, end, label: *label, form: Form::Plain });
            own::find(regex, text, self.work, &mut found);
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

/// Moves the spans to where they were written.
pub(super) fn mapped(spans: &mut [Span], view: &View) {
    for span in spans {
        let place = view.written(span.start..span.end);
        (span.start, span.end) = (place.start, place.end);
    }
}
