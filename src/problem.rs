//! Problems of the input, collected so that the user sees all of them at once.
//!
//! Below everything that reads what users wrote. A [`Place`] is where something was written, a [`Problem`] what is wrong there, [`nearest`] what was perhaps meant; [`nesting`] is asked before
//! any of it is parsed. [`sources`] knows the texts, and finds the line and column of a problem's field in them.

pub mod anchor;
pub mod hidden;
pub mod language;
mod nearest;
pub mod nesting;
pub mod shown;
pub mod sources;
pub(crate) mod tree;

use std::collections::HashSet;
use std::fmt;

pub use self::nearest::{candidates, nearest};
use self::shown::{Shown, cut};

/// One thing that is wrong with what the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The label, file or flag, for instance `pod.component.app`.
    pub label: String,
    /// Dotted path of the field within it, empty for the whole.
    pub field: String,
    /// What is wrong and what was expected: a lower-case fragment without a final dot.
    pub what: String,
    /// What to do about it; empty where `what` says it already.
    pub hint: String,
    /// Where in the text that is.
    pub position: Position,
}

/// Where in a text a problem is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Position {
    /// At the problem's field: [`sources::Sources::locate`] finds its line.
    #[default]
    Field,
    /// At this line and column of the text of the problem's label, both from 1: what is there has no field.
    Point {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// At the key of the problem's field, where its map has the key once more: this one, of all such keys of the text, from 0.
    Again(usize),
    /// Found.
    Found(Box<Span>),
}

/// A piece of one line of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The file as the user named it; none for the text of a label that is in no file.
    pub file: Option<String>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, or the part of a long line around the piece.
    pub text: String,
    /// Where the piece begins in `text`, in characters, from 0.
    pub mark: usize,
    /// How many characters of `text` it has; at least 1.
    pub length: usize,
}

impl Problem {
    /// A problem without a hint.
    #[must_use]
    pub fn new(label: impl Into<String>, field: impl Into<String>, what: impl Into<String>) -> Self {
        let (label, field, what) = (label.into(), field.into(), what.into());
        Self { label, field, what, hint: String::new(), position: Position::Field }
    }

    /// Says where in the text of its label it is, by line and column from 1.
    #[must_use]
    pub fn point(mut self, line: usize, column: usize) -> Self {
        self.position = Position::Point { line, column };
        self
    }

    /// Says that it is at a key which its map has once more; `number` counts all such keys of the text, from 0.
    #[must_use]
    pub fn again(mut self, number: usize) -> Self {
        self.position = Position::Again(number);
        self
    }

    /// Keeps line and column, and forgets the line's text: a log is read by others than whoever wrote it.
    pub fn without_text(&mut self) {
        if let Position::Found(span) = &mut self.position {
            span.text.clear();
        }
    }

    /// The line, and its piece, where they have been found.
    #[must_use]
    pub fn span(&self) -> Option<&Span> {
        match &self.position {
            Position::Found(span) => Some(span),
            Position::Field | Position::Point { .. } | Position::Again(_) => None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", cut(&self.label))?;
        if !self.field.is_empty() {
            write!(f, ", field `{}`", cut(&self.field))?;
        }
        if let Position::Point { line, column } = self.position {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", cut(&self.what))?;
        if !self.hint.is_empty() {
            write!(f, " (hint: {})", cut(&self.hint))?;
        }
        Ok(())
    }
}

/// Where something was written: what a [`Problem`] names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// A label such as `pod.component.app`, or a file's name.
    pub label: String,
    /// Dotted path within it, as `volumes[1].source`; empty for the whole.
    pub field: String,
}

impl Place {
    /// The whole of a label or file.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), field: String::new() }
    }

    /// A key of the map that is here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let field = if self.field.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field) };
        Self { label: self.label.clone(), field }
    }

    /// An item, counted from 0, of the list that is here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self { label: self.label.clone(), field: format!("{}[{index}]", self.field) }
    }

    /// A problem with what is here.
    #[must_use]
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::new(&self.label, &self.field, what)
    }
}

/// All problems found so far. Empty means that the input is right.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Keeps the value or the problem.
    pub fn take<T>(&mut self, parsed: Result<T, Problem>) -> Option<T> {
        parsed.map_err(|problem| self.0.push(problem)).ok()
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: Problems) {
        self.0.extend(other.0);
    }

    /// The same, where components may be written elsewhere than in the labels `pod.component.<name>`, as init components are: `written` answers where, by name.
    #[must_use]
    pub fn moved<'a>(mut self, written: &dyn Fn(&str) -> Option<&'a Place>) -> Self {
        for problem in &mut self.0 {
            let (name, field) = match problem.label.strip_prefix("pod.component.") {
                Some(name) => (name, problem.field.as_str()),
                None if problem.label == "pod.init.components" => {
                    problem.field.split_once('.').unwrap_or((&problem.field, ""))
                }
                None => continue,
            };
            let Some(at) = written(name) else { continue };
            let at = if field.is_empty() { at.clone() } else { at.key(field) };
            (problem.label, problem.field) = (at.label, at.field);
        }
        self
    }

    /// Adds those of another collection, but for places where something is wrong already: what is missing there leads to more of them.
    pub fn extend_elsewhere(&mut self, other: Problems) {
        let place = |problem: &Problem| (problem.label.clone(), problem.field.clone());
        let mut known: HashSet<_> = self.0.iter().map(place).collect();
        for problem in other.0 {
            if known.insert(place(&problem)) {
                self.0.push(problem);
            }
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value`, or the problems where there are any.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    /// A line for each, as far as they are [`Shown`], and one that counts the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Shown::of(self, shown::IN_ALL);
        for (index, problem) in shown.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        shown.rest().map_or(Ok(()), |rest| write!(f, "\n{rest}"))
    }
}
