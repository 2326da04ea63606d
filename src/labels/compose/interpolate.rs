//! Variables in the values of a Compose file.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::labels::Place;
use crate::problem::{Problem, Problems};

/// How deep defaults may be nested.
const DEEPEST: usize = 16;

/// Longest text that one value may become: defaults that name variables that hold much could grow without end.
const LONGEST: usize = 1 << 20;

/// Fills variables in, and collects what went wrong.
pub(super) struct Interpolation<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Problems,
    /// Variables that were named without a default, and are not set.
    unset: BTreeSet<String>,
}

impl<'a> Interpolation<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>, problems: &'a mut Problems) -> Self {
        Self { variable, problems, unset: BTreeSet::new() }
    }

    /// Fills in every text of the value; keys stay as they are.
    pub(super) fn value(&mut self, at: &Place, value: &mut Value) {
        match value {
            Value::String(text) if text.contains('$') => match self.text(at, text, 0) {
                Ok(filled) => *text = filled,
                Err(problem) => self.problems.push(problem),
            },
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(&at.index(index), item);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    self.value(&at.key(key), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// One for each variable that is not set.
    pub(super) fn warnings(self) -> impl Iterator<Item = String> {
        self.unset.into_iter().map(|name| {
            format!("the Compose file names the variable `{name}`, which the controller does not have: it is empty")
        })
    }

    fn text(&mut self, at: &Place, text: &str, depth: usize) -> Result<String, Problem> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                filled.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let (inner, after) = braced(after).ok_or_else(|| bad(at, text))?;
                let (name, operator) = name(inner).ok_or_else(|| bad(at, text))?;
                filled.push_str(&self.with_operator(at, name, operator, depth)?);
                rest = after;
            } else {
                let (name, after) = name(after).ok_or_else(|| bad(at, text))?;
                filled.push_str(&self.plain(name));
                rest = after;
            }
            if filled.len() > LONGEST {
                return Err(at.problem(format!("becomes longer than {LONGEST} bytes")));
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn plain(&mut self, name: &str) -> String {
        (self.variable)(name).unwrap_or_else(|| {
            self.unset.insert(name.to_owned());
            String::new()
        })
    }

    fn with_operator(&mut self, at: &Place, name: &str, operator: &str, depth: usize) -> Result<String, Problem> {
        if operator.is_empty() {
            return Ok(self.plain(name));
        }
        if depth == DEEPEST {
            return Err(at.problem(format!("defaults are nested deeper than {DEEPEST}")));
        }
        // With a colon, a variable that is empty counts as one that is not set.
        let (takes_empty, operator) = match operator.strip_prefix(':') {
            Some(operator) => (false, operator),
            None => (true, operator),
        };
        let value = (self.variable)(name).filter(|value| takes_empty || !value.is_empty());
        let Some((word @ ("-" | "?" | "+"), other)) = operator.split_at_checked(1) else {
            return Err(bad(at, &format!("${{{name}{operator}}}")));
        };
        match (word, value) {
            ("-" | "?", Some(value)) => Ok(value),
            ("+", None) => Ok(String::new()),
            ("?", None) => {
                let why = self.text(at, other, depth + 1)?;
                let problem =
                    at.problem(format!("the variable `{name}` is needed, and the controller does not have it"));
                Err(if why.is_empty() { problem } else { problem.hint(why) })
            }
            _ => self.text(at, other, depth + 1),
        }
    }
}

fn bad(at: &Place, text: &str) -> Problem {
    at.problem(format!("`{text}` has a `$` that begins no variable")).hint("write `$$` for the character itself")
}

/// The name that a text begins with, and the rest.
fn name(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let begins = name.chars().next()?;
    (!begins.is_ascii_digit()).then_some((name, rest))
}

/// What is before the brace that closes this one, and after it.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (index, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' if depth == 0 => return Some((text.get(..index)?, text.get(index + 1..)?)),
            '}' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    None
}
