//! Walks through what was written: one value with its place, and the keys of one map.

use serde_json::{Map, Value};

use crate::labels::{Place, kind};
use crate::problem::candidates;
use crate::problem::hidden::Hidden;
use crate::problem::shown::IN_ALL;
use crate::problem::{Problem, Problems};

/// The least limit on memory that the engine takes, in bytes (`linuxMinMemory` of moby).
pub const LEAST_MEMORY: i64 = 6 * 1024 * 1024;

/// What lowering has to say besides its result.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong.
    pub problems: Problems,
    /// What has no effect, or is probably not meant so.
    pub warnings: Vec<String>,
    /// Values that no message shows.
    pub hidden: Hidden,
    /// Whether keys that nobody asked for are passed over with a warning.
    pub is_lenient: bool,
    /// Whether whoever deploys the text still fills variables in.
    pub is_template: bool,
    /// Every map that was read, with the keys that are known there, for tests.
    #[cfg(test)]
    pub seen: Vec<(Place, Vec<&'static str>)>,
}

impl Report {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether what is found from here on is still shown. A hint of the nearest name costs a look at all names, so nobody looks for it in vain.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.problems.0.len().max(self.warnings.len()) < IN_ALL
    }

    /// Adds a warning, in the form of a problem.
    pub fn warn(&mut self, warning: &Problem) {
        let mut warning = warning.clone();
        self.hidden.hide(&mut warning);
        self.warnings.push(warning.to_string());
    }
}

/// One value and where it was written. Never null, unless it is an item of a list.
#[derive(Debug, Clone)]
pub struct Node<'v> {
    /// Where.
    pub at: Place,
    /// What.
    pub value: &'v Value,
}

/// What reading one value answers.
pub type Read<T> = Result<T, Problem>;

impl<'v> Node<'v> {
    /// A problem with this value.
    #[must_use]
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        self.at.problem(what)
    }

    /// The problem that this value is not what was expected.
    #[must_use]
    pub fn expected(&self, what: &str) -> Problem {
        self.problem(format!("expected {what}, found {}", kind(self.value)))
    }

    /// Text that was written as text.
    pub fn string(&self) -> Read<String> {
        match self.value {
            Value::String(text) => self.without_nul(text),
            Value::Number(_) | Value::Bool(_) => Err(self.expected("a string").hint("put it in quotes")),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(self.expected("a string")),
        }
    }

    /// Text, or a number or truth value as text.
    pub fn scalar(&self) -> Read<String> {
        match self.value {
            Value::String(text) => self.without_nul(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(self.expected("a string or a number")),
        }
    }

    // No C string, and so no argument, variable or path, can hold it; the engine would refuse it in harder words.
    fn without_nul(&self, text: &str) -> Read<String> {
        if text.contains('\0') { Err(self.problem("contains a NUL character")) } else { Ok(text.to_owned()) }
    }

    /// Text that is not empty.
    pub fn word(&self) -> Read<String> {
        let text = self.scalar()?;
        if text.trim().is_empty() { Err(self.problem("is empty")) } else { Ok(text) }
    }

    /// A path that begins with `/`.
    pub fn absolute(&self) -> Read<String> {
        let path = self.string()?;
        if path.starts_with('/') { Ok(path) } else { Err(self.problem(format!("`{path}` is not an absolute path"))) }
    }

    /// A truth value.
    pub fn bool(&self) -> Read<bool> {
        match self.value {
            Value::Bool(truth) => Ok(*truth),
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    /// A whole number within a range.
    pub fn int(&self, range: std::ops::RangeInclusive<i64>) -> Read<i64> {
        let number = match self.value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (low, high) = (*range.start(), *range.end());
            let expected = match (low, high) {
                (low, i64::MAX) => format!("a whole number, at least {low}"),
                (low, high) => format!("a whole number from {low} to {high}"),
            };
            match self.value {
                Value::Number(_) | Value::String(_) => {
                    self.problem(format!("expected {expected}, found `{}`", self.scalar().unwrap_or_default()))
                }
                _ => self.expected(&expected),
            }
        })
    }

    /// A size in bytes.
    pub fn size(&self) -> Read<i64> {
        if self.value.is_array() || self.value.is_object() || self.value.is_boolean() {
            return Err(self.expected("a size such as `64m`"));
        }
        crate::pod::values::size(&self.scalar()?).map_err(|bad| self.problem(bad.to_string()))
    }

    /// A limit on memory, in bytes; 0 is none.
    pub fn memory(&self) -> Read<i64> {
        match self.size()? {
            size @ 1..LEAST_MEMORY => Err(self
                .problem(format!("{size} bytes are below the engine's minimum"))
                .hint("the minimum is `6m` (6 MiB); for no limit, remove the key or write 0")),
            size => Ok(size),
        }
    }

    /// A size in bytes, or -1.
    pub fn size_or_unlimited(&self) -> Read<i64> {
        if self.scalar().is_ok_and(|text| text.trim() == "-1") { Ok(-1) } else { self.size() }
    }

    /// A duration.
    pub fn duration(&self) -> Read<std::time::Duration> {
        if self.value.is_array() || self.value.is_object() || self.value.is_boolean() {
            return Err(self.expected("a duration such as `1m30s`"));
        }
        crate::pod::values::duration(&self.scalar()?).map_err(|bad| self.problem(bad.to_string()))
    }

    /// The items of a list, or this one value where it is none.
    #[must_use]
    pub fn items(&self) -> Vec<Node<'v>> {
        match self.value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, value)| Node { at: self.at.index(index), value }).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// A string, or the list of all items' strings; problems of items are reported, and those left out.
    pub fn strings(&self, read: impl Fn(&Node<'v>) -> Read<String>, report: &mut Report) -> Vec<String> {
        self.items().iter().filter_map(|item| report.problems.take(read(item))).collect()
    }

    /// The items of what must be a list.
    pub fn list(&self, what: &str, report: &mut Report) -> Vec<Node<'v>> {
        if self.value.is_array() {
            self.items()
        } else {
            report.push(self.expected(what));
            Vec::new()
        }
    }

    /// The entries of a map.
    #[must_use]
    pub fn entries(&self) -> Option<Vec<(&'v str, Node<'v>)>> {
        let map = self.value.as_object()?;
        Some(map.iter().map(|(key, value)| (key.as_str(), Node { at: self.at.key(key), value })).collect())
    }

    /// `key: value` or a list of `key=value`; a value is none where nothing was written, or no `=` in a list.
    pub fn pairs(&self, report: &mut Report) -> Vec<(Place, String, Option<String>)> {
        let mut found = Vec::new();
        if let Some(entries) = self.entries() {
            for (key, node) in entries {
                let value = if node.value.is_null() { Ok(None) } else { node.scalar().map(Some) };
                if let Some(value) = report.problems.take(value) {
                    found.push((node.at, key.to_owned(), value));
                }
            }
        } else if self.value.is_array() {
            for item in self.items() {
                let text =
                    item.scalar().map_err(|problem| match item.value.as_object().and_then(|map| map.keys().next()) {
                        Some(name) => {
                            problem.hint(format!("in a list, write `{name}=value`; or write a map, without `-`"))
                        }
                        None => problem,
                    });
                if let Some(text) = report.problems.take(text) {
                    let (key, value) = match text.split_once('=') {
                        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                        None => (text, None),
                    };
                    found.push((item.at, key, value));
                }
            }
        } else {
            report.push(self.expected("a map, or a list of `name=value`"));
        }
        let mut seen = std::collections::HashSet::new();
        for (at, key, _) in &found {
            // YAML reads `<<` as a merge, so a label could not say it.
            if key.is_empty() || key == "<<" || key.contains(['=', '\0']) {
                report.push(at.problem(format!("`{key}` is not a valid name")));
            } else if !seen.insert(key.clone()) {
                report.push(at.problem(format!("`{key}` appears twice")));
            }
        }
        found
    }
}

/// Some writers of YAML know one kind of numbers only.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and far from the limits")]
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// The keys of one map. Every key that was asked for is known; [`Fields::end`] reports the others.
#[derive(Debug)]
pub struct Fields<'v, 'r> {
    at: Place,
    map: &'v Map<String, Value>,
    known: Vec<&'static str>,
    /// Where problems and warnings go.
    pub report: &'r mut Report,
}

impl<'v, 'r> Fields<'v, 'r> {
    /// Begins with no key known.
    pub fn new(at: &Place, map: &'v Map<String, Value>, report: &'r mut Report) -> Self {
        Self { at: at.clone(), map, known: Vec::new(), report }
    }

    /// The same for a value that must be a map; none, and a problem, where it is not.
    pub fn of(node: &Node<'v>, what: &str, report: &'r mut Report) -> Option<Self> {
        match node.value {
            Value::Object(map) => Some(Self::new(&node.at, map, report)),
            _ => {
                report.push(node.expected(what));
                None
            }
        }
    }

    /// Place of a key, whether it is written or not.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        self.at.key(key)
    }

    /// The value of a key; none where it is not written, or nothing (null) is.
    pub fn get(&mut self, key: &'static str) -> Option<Node<'v>> {
        self.known.push(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node { at: self.at.key(key), value })
    }

    /// Reads the value of a key, and reports its problem.
    pub fn read<T>(&mut self, key: &'static str, read: impl FnOnce(&Node<'v>) -> Read<T>) -> Option<T> {
        let node = self.get(key)?;
        self.report.problems.take(read(&node))
    }

    /// Reads the value of a key that must be written.
    pub fn required<T>(&mut self, key: &'static str, read: impl FnOnce(&Node<'v>) -> Read<T>) -> Option<T> {
        let Some(node) = self.get(key) else {
            self.report.push(self.at.key(key).problem("is missing"));
            return None;
        };
        self.report.problems.take(read(&node))
    }

    /// Reads the value of a key that may have several problems.
    pub fn many<T>(&mut self, key: &'static str, read: impl FnOnce(&Node<'v>, &mut Report) -> T) -> Option<T> {
        let node = self.get(key)?;
        Some(read(&node, self.report))
    }

    /// A list of words, or one.
    pub fn words(&mut self, key: &'static str) -> Vec<String> {
        self.many(key, |node, report| node.strings(Node::word, report)).unwrap_or_default()
    }

    /// A truth value; not written means false.
    pub fn flag(&mut self, key: &'static str) -> bool {
        self.read(key, Node::bool).unwrap_or_default()
    }

    /// Reports every key that nobody asked for; `rejected` says why a key of other programs is not one here.
    pub fn end(self, rejected: impl Fn(&str) -> Option<(&'static str, &'static str)>) {
        #[cfg(test)]
        self.report.seen.push((self.at.clone(), self.known.clone()));
        // Compose files may have keys that begin with `x-` everywhere.
        let is_unknown = |key: &str| !self.known.contains(&key) && !key.starts_with("x-");
        for key in self.map.keys().filter(|key| is_unknown(key)) {
            let at = self.at.key(key);
            let problem = match rejected(key) {
                Some((why, "")) => at.problem(why),
                Some((why, remedy)) => at.problem(why).hint(remedy),
                None if self.report.is_shown() => {
                    at.problem("unknown key").hint(candidates(key, self.known.iter().copied()))
                }
                None => at.problem("unknown key"),
            };
            if self.report.is_lenient {
                self.report.warn(&Problem { what: format!("is ignored: {}", problem.what), ..problem });
            } else {
                self.report.push(problem);
            }
        }
    }

    /// [`Fields::end`] without keys of other programs.
    pub fn done(self) {
        self.end(|_| None);
    }
}
