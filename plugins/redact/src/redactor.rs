//! Finds what is to be hidden in one line, and writes the line without it.

mod finder;
mod look;
mod own;

use std::rc::Rc;

use outrigger_plugin::Problem;
use regex::bytes::{Regex, RegexBuilder};

use crate::ahead::Signs;
use crate::bytes::{at, before};
use crate::config::{Config, Pattern};
use crate::fields::Names;
use crate::patterns::Fixed;
use crate::spans::{Form, Replacements, apply, length, merge};
use crate::work::{Watch, Work};
use look::{ALL, Look};

/// Largest compiled expression of a user's, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Largest caches of all of them together, in bytes.
const REGEX_CACHES: usize = 1 << 20;

/// How often a line that changes is looked at, at most. Two do but for made-up cases.
const PASSES: usize = 4;

/// How much longer than the line its new text may be: so many times, and so many bytes. The host takes no more from a plugin, for all lines of a batch together.
const GROWTH: (usize, usize) = (4, 800);

/// Longest new text of a line, in bytes, if the line itself is not longer. The plugin's memory holds it twice, beside the batch.
const LONGEST: usize = 2 << 20;

/// How many layers of escapes are taken off: JSON in a string in JSON, percent signs in an address in such a string.
const LAYERS: usize = 4;

/// For lines that are longer than this many bytes: the layers, each of which is a copy, and the passes. The memory and the time of a plugin are limited.
const LONG: (usize, usize, usize) = (256 << 10, 1, 2);

/// What is hidden, and by what.
#[derive(Debug)]
pub struct Redactor {
    names: Names,
    fixed: Vec<(Fixed, usize)>,
    regexes: Vec<(Regex, usize)>,
    replacements: Replacements,
    /// Nothing in place of each, for lines that would grow too much.
    blanks: Replacements,
    watch: Rc<Watch>,
}

impl Redactor {
    /// Compiles the configuration.
    ///
    /// # Errors
    /// Names the expression that is not one, and the name that is empty.
    pub fn new(config: &Config) -> Result<Self, Problem> {
        let mut replacements = Replacements::default();
        let mut add = |name: &str| replacements.add(&config.replacement, name);
        let (mut fixed, mut regexes) = (Vec::new(), Vec::new());
        let own = config.patterns.iter().filter(|pattern| matches!(pattern, Pattern::Regex(_))).count();
        for pattern in &config.patterns {
            match pattern {
                Pattern::Fixed(one) => fixed.push((*one, add(one.name()))),
                Pattern::Regex(named) => {
                    let compiled = RegexBuilder::new(&named.regex)
                        .unicode(false)
                        .size_limit(REGEX_BYTES)
                        .dfa_size_limit(REGEX_CACHES / own.max(1))
                        .build()
                        .map_err(|error| Problem::new("patterns", format!("`{}`: {error}", named.name)))?;
                    regexes.push((compiled, add(&named.name)));
                }
            }
        }
        if config.fields.iter().any(String::is_empty) {
            return Err(Problem::new("fields", "a name is empty"));
        }
        let names: Vec<_> = config.fields.iter().map(|name| (name.clone().into_bytes(), add(name))).collect();
        let blanks = replacements.blank();
        Ok(Self { names: Names::new(names), fixed, regexes, replacements, blanks, watch: Rc::default() })
    }

    /// Begins a batch, whose lines share the time of a hook.
    pub fn begin_batch(&self) {
        // Without expressions of the user's, the steps of a line bound its time.
        if !self.regexes.is_empty() {
            self.watch.start();
        }
    }

    /// Writes the line without what is hidden, and answers `true`. If nothing is to be hidden, it writes nothing.
    #[cfg(test)]
    pub fn redact(&self, line: &[u8], out: &mut Vec<u8>) -> bool {
        self.redact_with_signs(line, Signs::of(line), out)
    }

    /// The same, of a line whose rare bytes are known.
    pub fn redact_with_signs(&self, line: &[u8], signs: Signs, out: &mut Vec<u8>) -> bool {
        debug_assert!(out.is_empty(), "a line has a buffer of its own");
        let work = Work::for_line(line.len(), &self.watch);
        let is_changed = self.all_passes(line, signs, out, &work);
        if work.is_spent() {
            out.clear();
            out.extend_from_slice(self.replacements.of(0, Form::Plain));
            return true;
        }
        is_changed
    }

    fn all_passes(&self, line: &[u8], signs: Signs, out: &mut Vec<u8>, work: &Work) -> bool {
        let most = (line.len() * GROWTH.0 + GROWTH.1).min(line.len().max(LONGEST));
        let Some(mut is_shield) = self.pass(line, Some(signs), most, out, work) else { return false };
        // What is hidden may have shielded what stood right beside it: a card's number after a letter is none, until the word before it is gone. The
        // user's own expressions are left out of this, since they may match what was put in place.
        let mut again = Vec::new();
        for _ in 1..if line.len() > LONG.0 { LONG.2 } else { PASSES } {
            if !is_shield {
                break;
            }
            again.clear();
            let Some(shields) = self.pass(out, None, most, &mut again, work) else { break };
            is_shield = shields;
            std::mem::swap(out, &mut again);
        }
        true
    }

    /// Writes the line without what is hidden, in at most `most` bytes and its colours. Answers whether the hidden text may have shielded other text; none if
    /// nothing changes. `first`: the signs of the line as it was, in the first pass.
    fn pass(&self, line: &[u8], first: Option<Signs>, most: usize, out: &mut Vec<u8>, work: &Work) -> Option<bool> {
        let layers = if line.len() > LONG.0 { LONG.1 } else { LAYERS };
        let look = Look { redactor: self, with_regexes: first.is_some(), layers, patterns: ALL, is_plain: false, work };
        let look = look.closer(line, first.unwrap_or_else(|| Signs::of(line)))?;
        let mut spans = look.colourless_spans(line);
        if spans.is_empty() || work.is_spent() {
            return None;
        }
        merge(&mut spans);
        let is_shield = !self.regexes.is_empty()
            || spans.iter().any(|span| is_close(before(line, span.start)) || is_close(at(line, span.end)));
        // A stranger who knows how to make lines grow must not be able to make the plugin fail. The length is known before anything is written: a line that grew too
        // much would not fit into the plugin's memory.
        let is_too_long = length(line, &spans, &self.replacements) > most;
        let replacements = if is_too_long { &self.blanks } else { &self.replacements };
        apply(line, &spans, replacements, out).then_some(is_shield)
    }
}

/// Whether this byte beside what is hidden may be a part of something that is found now. Spaces and most signs end whatever stands beside them.
fn is_close(byte: u8) -> bool {
    !matches!(byte, 0 | b' ' | b'\t' | b'=' | b',' | b';' | b'(' | b')' | b'<' | b'>' | b'?' | b'|' | b'"' | b'}')
}

#[cfg(test)]
mod tests;
