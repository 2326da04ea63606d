//! Values of variables that were filled in. Messages name the variable instead: its value may be a secret, and messages end up in logs and tickets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Place, Problem, Problems};

/// A value with fewer characters is replaced only in quoted words: it would be found in every sentence.
const SHORT: usize = 4;

/// A variable and its value.
type Named = (String, String);

/// The values that were filled in, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hidden {
    /// By label, then by field.
    places: HashMap<String, BTreeMap<String, BTreeSet<Named>>>,
    /// Of settings of plugins, whose problems have places of their own.
    plugins: BTreeSet<Named>,
}

impl Hidden {
    /// Notes that a variable was filled in at this place.
    pub fn add(&mut self, at: &Place, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let named = (name.to_owned(), value.to_owned());
        if at.field.split(['.', '[']).any(|key| key == "plugins") {
            self.plugins.insert(named.clone());
        }
        self.places.entry(at.label.clone()).or_default().entry(at.field.clone()).or_default().insert(named);
    }

    /// Names variables in the place of their values in problems of these places, and of what is above and below them.
    pub fn hide_all(&self, problems: &mut Problems) {
        if !self.places.is_empty() {
            problems.0.iter_mut().for_each(|problem| self.hide(problem));
        }
    }

    /// The same for problems that plugins have with their settings.
    pub fn hide_of_plugins(&self, problems: &mut Problems) {
        problems.0.iter_mut().for_each(|problem| replace(problem, self.plugins.iter().collect()));
    }

    /// The same for one problem.
    pub fn hide(&self, problem: &mut Problem) {
        let Some(fields) = self.places.get(&problem.label) else { return };
        let field = problem.field.as_str();
        let ends = field.match_indices(['.', '[']).map(|(end, _)| end).chain([0, field.len()]);
        let above = ends.filter_map(|end| fields.get(field.get(..end)?));
        let below = fields
            .range(field.to_owned()..)
            .take_while(|(below, _)| below.starts_with(field))
            .filter(|(below, _)| {
                let rest = below.get(field.len()..).unwrap_or_default();
                field.is_empty() || rest.starts_with(['.', '['])
            })
            .map(|(_, named)| named);
        let all: BTreeSet<&Named> = above.chain(below).flatten().collect();
        replace(problem, all);
    }
}

fn replace(problem: &mut Problem, named: BTreeSet<&Named>) {
    let mut named: Vec<_> = named.into_iter().collect();
    // One value may be a part of another.
    named.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    for (name, value) in named {
        for text in [&mut problem.what, &mut problem.hint] {
            if text.contains(value) {
                *text = without(text, name, value);
            }
        }
    }
}

fn without(text: &str, name: &str, value: &str) -> String {
    let variable = format!("${{{name}}}");
    if value.chars().count() >= SHORT || value.contains('`') {
        return text.replace(value, &variable);
    }
    let pieces = text.split('`').enumerate();
    let shown =
        pieces.map(|(index, piece)| if index % 2 == 1 { piece.replace(value, &variable) } else { piece.into() });
    shown.collect::<Vec<String>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(fields: &[(&str, &str, &str)]) -> Hidden {
        let mut hidden = Hidden::default();
        for (field, name, value) in fields {
            hidden.add(&Place { label: "pod.yaml".to_owned(), field: (*field).to_owned() }, name, value);
        }
        hidden
    }

    fn shown(hidden: &Hidden, field: &str, what: &str) -> String {
        let mut problem = Problem::new("pod.yaml", field, what).hint(what);
        hidden.hide(&mut problem);
        assert_eq!(problem.hint, problem.what);
        problem.what
    }

    #[test]
    fn a_value_is_hidden_at_its_place_above_and_below_and_nowhere_else() {
        let hidden = hidden(&[("a.b[1]", "PW", "hunter2"), ("a.b[1]", "N", "5"), ("a.c", "LONG", "hunter2 and more")]);
        for at in ["a.b[1]", "a.b", "a", "", "a.b[1].x", "a.b[1][0]"] {
            assert_eq!(shown(&hidden, at, "no hunter2"), "no ${PW}", "{at}");
        }
        for elsewhere in ["a.b[10]", "a.bc", "b", "a.b[0]"] {
            assert_eq!(shown(&hidden, elsewhere, "no hunter2"), "no hunter2", "{elsewhere}");
        }
        assert_eq!(shown(&hidden, "a.b[1]", "`x5` is not 5 of `5m`"), "`x${N}` is not 5 of `${N}m`");
        assert_eq!(shown(&hidden, "a", "`hunter2 and more`"), "`${LONG}`");
        let mut other = Problem::new("other.yaml", "a.b[1]", "hunter2");
        hidden.hide(&mut other);
        assert_eq!(other.what, "hunter2");
    }

    #[test]
    fn problems_of_plugins_have_other_places() {
        let hidden =
            hidden(&[("components.app.plugins[0].redact.x", "PW", "hunter2"), ("copy.plugins-x", "N", "other")]);
        let mut problems = Problems(vec![Problem::new("pod.yaml", "redact.x", "hunter2 or other")]);
        hidden.hide_of_plugins(&mut problems);
        assert_eq!(problems.0[0].what, "${PW} or other");
    }
}
