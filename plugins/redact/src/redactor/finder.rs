//! What is to be hidden in a line that is JSON.

use std::ops::Range;

use super::look::{Look, mapped};
use crate::ahead::{Ahead, Signs};
use crate::bytes::{at, before, is_one_of, run_end, run_start};
use crate::colour;
use crate::fields::{NAMED, VALUED, is_masked};
use crate::json::{self, Wanted};
use crate::patterns::{Fixed, is_version_name};
use crate::spans::{Form, Span, merge};
use crate::view::View;

/// Which value a string of JSON announces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Announcer {
    /// `--password`: the next string of the list.
    Option,
    /// `{"name": "password"}`: the value of the key `value`.
    Name,
    /// `[["password", "x"]]`: the string that ends the list.
    First,
}

/// A string of JSON that says what the next value is.
#[derive(Clone, Copy)]
struct Announced {
    label: usize,
    /// Where the string ends.
    end: usize,
    by: Announcer,
}

/// Collects the spans of JSON.
pub(super) struct Finder<'a> {
    look: Look<'a>,
    /// For strings without escapes.
    raw: Look<'a>,
    ahead: Ahead<'a>,
    text: &'a [u8],
    pub(super) spans: Vec<Span>,
    /// The label of the value that is wanted, and whether its key is the name and nothing more.
    waiting: Option<(usize, bool)>,
    announced: Option<Announced>,
    /// Of the last key: whether its value is the name of something, or a version.
    is_name: bool,
    is_version: bool,
}

impl<'a> Finder<'a> {
    pub(super) fn new(look: Look<'a>, text: &'a [u8]) -> Self {
        let (spans, waiting, announced) = (Vec::new(), None, None);
        let is_whole =
            memchr::memchr3(b'\\', b'%', b'&', text).is_none() && memchr::memchr(colour::ESC, text).is_none();
        let raw = if is_whole && !look.is_plain { look.for_parts_of(text) } else { look };
        Self { look, raw, ahead: Ahead::new(text), text, spans, waiting, announced, is_name: false, is_version: false }
    }

    /// The label of this key, as it is written.
    fn label(&self, inside: Range<usize>) -> Option<(usize, bool)> {
        let key = self.text.get(inside.clone())?;
        let names = &self.look.redactor.names;
        if names.is_empty() {
            return None;
        }
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

    /// Whether the string whose quote begins there is the first of a list in a list.
    fn is_first(&self, quote: usize) -> bool {
        let open = run_start(self.text, quote, |byte| byte.is_ascii_whitespace());
        before(self.text, open) == b'['
            && matches!(
                before(self.text, run_start(self.text, open - 1, |byte| byte.is_ascii_whitespace())),
                b'[' | b','
            )
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
        let look = self.raw;
        let find = |look: Look<'_>, text: &[u8]| {
            if is_key { look.pattern_spans(text) } else { look.spans(text) }
        };
        let signs = self.ahead.signs(inside.clone());
        if !signs.colour && (!signs.escape || memchr::memchr(b'\\', raw).is_none()) {
            if !(look.suspects_patterns(raw, signs) || (!is_key && look.redactor.names.suspects(raw))) {
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
        let look = self.look;
        let view = View::of_json(self.text, inside);
        if !look.suspects_line(&view.bytes, Signs::of(&view.bytes)) {
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
            && announced.by == Announcer::Name
            && self.waiting.is_none()
            && is_one_of(key, &VALUED)
            && self.follows(announced, &inside)
        {
            self.waiting = Some((announced.label, false));
        }
        self.is_name = !self.look.redactor.names.is_empty() && is_one_of(key, &NAMED);
        self.is_version = is_version_name(key);
        self.look_into(inside, true);
        self.waiting.is_some()
    }

    fn string(&mut self, inside: Range<usize>) {
        let announced = self.announced.take();
        let is_wanted = |announced: &Announced| match announced.by {
            Announcer::Option => self.follows(*announced, &inside),
            Announcer::Name => false,
            Announcer::First => {
                let end = run_end(self.text, inside.end + 1, |byte| byte.is_ascii_whitespace());
                at(self.text, end) == b']'
                    && self.follows(*announced, &inside)
                    && self.label(inside.clone()).is_none_or(|(_, is_exact)| !is_exact)
            }
        };
        if let Some(announced) = announced.filter(is_wanted) {
            return self.hide(inside, announced.label, Form::Escaped);
        }
        if self.look.redactor.names.is_empty() {
            return self.look_into(inside, false);
        }
        let text = self.text.get(inside.clone()).unwrap_or_default();
        let option = text.strip_prefix(b"-").map(|rest| rest.strip_prefix(b"-").unwrap_or(rest));
        let is_option = option.is_some_and(|option| {
            option.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        });
        let by = if is_option {
            Some(Announcer::Option)
        } else if self.is_name {
            Some(Announcer::Name)
        } else {
            self.is_first(inside.start - 1).then_some(Announcer::First)
        };
        if let Some(by) = by
            && let Some((label, _)) = self.label(inside.clone())
        {
            self.announced = Some(Announced { label, end: inside.end, by });
        }
        self.is_name = false;
        self.look_into(inside, false);
    }

    fn number(&mut self, whole: Range<usize>) {
        let found = self.text.get(whole.clone()).map(|digits| self.raw.pattern_spans(digits)).unwrap_or_default();
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
