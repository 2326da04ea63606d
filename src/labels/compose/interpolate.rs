//! Variables in the values of a Compose file.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::labels::Place;
use crate::labels::variables::{BadVariable, Rules, Variables};
use crate::problem::{Problem, Problems};

/// Fills variables in, and collects what went wrong.
pub(super) struct Interpolation<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Problems,
    /// Variables that were named without a default, and are not set.
    unset: BTreeSet<String>,
    /// Where they were named.
    places: Vec<(Place, String)>,
}

impl<'a> Interpolation<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>, problems: &'a mut Problems) -> Self {
        Self { variable, problems, unset: BTreeSet::new(), places: Vec::new() }
    }

    /// Fills in every text of the value; keys stay as they are.
    pub(super) fn value(&mut self, at: &Place, value: &mut Value) {
        match value {
            Value::String(text) if text.contains('$') => match self.text(at, text) {
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

    /// Where variables were named that are not set.
    pub(super) fn places(&mut self) -> Vec<(Place, String)> {
        std::mem::take(&mut self.places)
    }

    /// One for each variable that is not set.
    pub(super) fn warnings(self) -> impl Iterator<Item = String> {
        self.unset.into_iter().map(|name| {
            format!("the Compose file names the variable `{name}`, which the controller does not have: it is empty")
        })
    }

    fn text(&mut self, at: &Place, text: &str) -> Result<String, Problem> {
        let mut unset = |name: &str| {
            self.unset.insert(name.to_owned());
            self.places.push((at.clone(), name.to_owned()));
        };
        let filled = Variables::new(Rules::Compose, self.variable, &mut unset).fill(text);
        filled.map_err(|why| problem(at, text, why))
    }
}

fn problem(at: &Place, text: &str, why: BadVariable) -> Problem {
    let stray = |text: &str| {
        at.problem(format!("`{text}` has a `$` that begins no variable")).hint("write `$$` for the character itself")
    };
    match why {
        BadVariable::Stray | BadVariable::Unclosed(_) => stray(text),
        BadVariable::NoVariable(expression) => stray(&expression),
        BadVariable::Required { name, why } => {
            let problem = at.problem(format!("the variable `{name}` is needed, and the controller does not have it"));
            if why.is_empty() { problem } else { problem.hint(why) }
        }
        BadVariable::TooDeep { most } => at.problem(format!("defaults are nested deeper than {most}")),
        BadVariable::TooLong { most } => at.problem(format!("becomes longer than {most} bytes")),
    }
}
