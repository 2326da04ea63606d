//! Variables in the values of a Compose file, and of a `pod.yaml`.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::Place;
use super::variables::{BadVariable, Rules, Variables};
use crate::problem::hidden::Hidden;
use crate::problem::{Problem, Problems};

/// Keys of a `pod.yaml` whose values a shell or a plugin may read: a `$` there is seldom ours.
const OF_SHELLS: [&str; 5] = ["command", "entrypoint", "test", "exec", "plugins"];

/// Keys whose values are named by users, so that a name below says nothing.
const OF_USERS: [&str; 2] = ["environment", "labels"];

/// What is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    /// The file of `pod.compose.file`, from the controller's environment.
    Compose,
    /// A `pod.yaml`, from the environment of the command.
    Document,
}

/// Fills variables in, and collects what went wrong.
pub(super) struct Interpolation<'a> {
    file: File,
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Problems,
    /// Variables that were named without a default, and are not set.
    unset: BTreeSet<String>,
    /// Where they were named.
    places: Vec<(Place, String)>,
    /// Where that failed.
    unfilled: Vec<Place>,
    /// What was filled in.
    hidden: Hidden,
}

impl<'a> Interpolation<'a> {
    pub(super) fn new(file: File, variable: &'a dyn Fn(&str) -> Option<String>, problems: &'a mut Problems) -> Self {
        Self {
            file,
            variable,
            problems,
            unset: BTreeSet::new(),
            places: Vec::new(),
            unfilled: Vec::new(),
            hidden: Hidden::default(),
        }
    }

    /// Fills in every text of the value; keys stay as they are.
    pub(super) fn value(&mut self, at: &Place, value: &mut Value) {
        let rules = match self.file {
            File::Compose => Rules::Compose,
            File::Document => Rules::File,
        };
        self.filled(at, value, rules, self.file == File::Document);
    }

    fn filled(&mut self, at: &Place, value: &mut Value, rules: Rules, looks: bool) {
        match value {
            Value::String(text) if text.contains('$') => match self.text(at, text, rules) {
                Ok(filled) => *text = filled,
                Err(problem) => {
                    self.unfilled.push(at.clone());
                    self.problems.push(problem);
                }
            },
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.filled(&at.index(index), item, rules, looks);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    // Anchors: what is used of them stands where it is used.
                    if looks && at.field.is_empty() && key.starts_with("x-") {
                        continue;
                    }
                    let rules = if looks && OF_SHELLS.contains(&key.as_str()) { Rules::Shell } else { rules };
                    self.filled(&at.key(key), value, rules, looks && !OF_USERS.contains(&key.as_str()));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Where variables were named that are not set.
    pub(super) fn places(&mut self) -> Vec<(Place, String)> {
        std::mem::take(&mut self.places)
    }

    /// Where variables could not be filled in.
    pub(super) fn unfilled(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.unfilled)
    }

    /// The values that were filled in, with their places.
    pub(super) fn hidden(&mut self) -> Hidden {
        std::mem::take(&mut self.hidden)
    }

    /// One for each variable that is not set.
    pub(super) fn warnings(self) -> impl Iterator<Item = String> {
        let file = self.file;
        self.unset.into_iter().map(move |name| match file {
            File::Compose => {
                format!("the Compose file uses the variable `{name}`, which the controller does not have; an empty value replaces it")
            }
            File::Document => format!("the variable `{name}` is not set; an empty value replaces it"),
        })
    }

    fn text(&mut self, at: &Place, text: &str, rules: Rules) -> Result<String, Problem> {
        let mut unset = |name: &str| {
            self.unset.insert(name.to_owned());
            self.places.push((at.clone(), name.to_owned()));
        };
        let used = RefCell::new(Vec::new());
        let variable = |name: &str| {
            let value = (self.variable)(name);
            used.borrow_mut().extend(value.clone().map(|value| (name.to_owned(), value)));
            value
        };
        let filled = Variables::new(rules, &variable, &mut unset).fill(text);
        for (name, value) in used.into_inner() {
            self.hidden.add(at, &name, &value);
        }
        filled.map_err(|why| self.problem(at, text, why))
    }

    fn problem(&self, at: &Place, text: &str, why: BadVariable) -> Problem {
        let stray = |text: &str| {
            at.problem(format!("`{text}` has a `$` that does not begin a variable"))
                .hint("write `$$` for the character `$`")
        };
        match why {
            BadVariable::Stray | BadVariable::Unclosed(_) => stray(text),
            BadVariable::NoVariable(expression) => stray(&expression),
            BadVariable::Required { name, why } => {
                let problem = at.problem(match self.file {
                    File::Compose => format!("the variable `{name}` is required, but the controller does not have it"),
                    File::Document => format!("the variable `{name}` is required, but it is not set"),
                });
                match (why.is_empty(), self.file) {
                    (false, _) => problem.hint(why),
                    (true, File::Document) => {
                        problem.hint("set the variable in the environment, or in `.env` beside the file")
                    }
                    (true, File::Compose) => problem,
                }
            }
            BadVariable::TooDeep { most } => at.problem(format!("defaults are nested deeper than {most}")),
            BadVariable::TooLong { most } => at.problem(format!("becomes longer than {most} bytes")),
        }
    }
}
