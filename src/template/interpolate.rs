//! Variables in a stack file, as the engine's client replaces them: for looking at what will be deployed, and for the bodies of labels. The rest of what is
//! deployed is left to the client.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::labels::Place;
use crate::labels::variables::{BadVariable, Rules, Variables};
use crate::problem::{Problem, Problems};

/// The parts of a stack file in which the client replaces variables; in others a `$` is nothing special.
const PARTS: [&str; 5] = ["services", "volumes", "networks", "secrets", "configs"];

/// A stack file with its variables replaced; see [`value`].
pub fn stack(stack: &Value, at: &Place, variable: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Value {
    let Value::Object(map) = stack else { return stack.clone() };
    let mut replaced = map.clone();
    for (key, part) in replaced.iter_mut().filter(|(key, _)| PARTS.contains(&key.as_str())) {
        *part = value(part, &at.key(key), variable, problems);
    }
    Value::Object(replaced)
}

/// The value with `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}` and `${NAME?message}` replaced, and `$$` left as it is: what
/// reads labels of a stack file undoes that. A variable that is not set is empty, as for the client.
pub fn value(value: &Value, at: &Place, variable: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Value {
    match value {
        Value::String(text) => match replaced(text, variable) {
            Ok(text) => Value::String(text),
            Err(what) => {
                problems.push(wrong(at, what));
                Value::String(text.clone())
            }
        },
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, item)| self::value(item, &at.index(index), variable, problems))
            .collect(),
        Value::Object(map) => {
            let one =
                |(key, item): (&String, &Value)| (key.clone(), self::value(item, &at.key(key), variable, problems));
            Value::Object(map.iter().map(one).collect())
        }
        other => other.clone(),
    }
}

fn wrong(at: &Place, what: String) -> Problem {
    at.problem(what).hint("in a stack file and its templates, write `$$` for a `$` that does not begin a variable")
}

/// A note for each variable that is named without a default where the client replaces it, and is not set.
#[must_use]
pub fn unset(stack: &Value, variable: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for part in PARTS.iter().filter_map(|part| stack.get(part)) {
        unset_in(part, variable, &mut found);
    }
    found.into_iter().map(|name| format!("the variable `{name}` is not set; an empty value replaces it")).collect()
}

fn unset_in(value: &Value, variable: &dyn Fn(&str) -> Option<String>, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.contains('$') => {
            let mut note = |name: &str| {
                found.insert(name.to_owned());
            };
            Variables::new(Rules::Client, variable, &mut note).fill(text).map(drop).unwrap_or_default();
        }
        Value::Array(list) => list.iter().for_each(|item| unset_in(item, variable, found)),
        Value::Object(map) => map.values().for_each(|item| unset_in(item, variable, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The names of the variables in a text, as far as the client can read it.
#[must_use]
pub fn names(text: &str) -> BTreeSet<String> {
    let found = RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        found.borrow_mut().insert(name.to_owned());
        // With a value no default and no message is looked at.
        Some("x".to_owned())
    };
    // What is wrong with the text is told elsewhere.
    replaced(text, &note).map(drop).unwrap_or_default();
    found.into_inner()
}

/// One text with its variables replaced; see [`value`].
///
/// # Errors
/// Why the client refuses it.
pub fn replaced(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    Variables::new(Rules::Client, variable, &mut |_unset| {}).fill(text).map_err(|why| match why {
        BadVariable::Stray => "a `$` does not begin a variable".to_owned(),
        BadVariable::Unclosed(text) => format!("`{text}` has no `}}`"),
        BadVariable::NoVariable(expression) => format!("`{expression}` is not a variable"),
        BadVariable::Required { name, why } => format!("the variable `{name}` is required: {why}"),
        BadVariable::TooDeep { most } => format!("defaults are nested deeper than {most}"),
        BadVariable::TooLong { most } => format!("becomes longer than {most} bytes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_the_client_does() {
        let file =
            serde_json::json!({"x-a": "cost $5", "services": {"$a": {"image": "i:$T", "n": 1}}, "version": "$T"});
        let mut problems = Problems::default();
        let done = stack(&file, &Place::new("f"), &|_| Some("t".to_owned()), &mut problems);
        assert_eq!(problems, Problems::default());
        let expected =
            serde_json::json!({"x-a": "cost $5", "services": {"$a": {"image": "i:t", "n": 1}}, "version": "$T"});
        assert_eq!(done, expected);
        stack(&serde_json::json!({"services": {"a": "$"}}), &Place::new("f"), &|_| None, &mut problems);
        assert_eq!(problems.0[0].field, "services.a");
    }

    #[test]
    fn in_every_part_that_the_client_fills_in() {
        for part in ["services", "volumes", "networks", "secrets", "configs"] {
            let file = |text: &str| serde_json::json!({ part: { "a": { "name": text, "list": [text] } } });
            let mut problems = Problems::default();
            let done = stack(
                &file("v-$T-${NAME:-n}"),
                &Place::new("f"),
                &|name| (name == "T").then(|| "2".to_owned()),
                &mut problems,
            );
            assert_eq!((done, problems), (file("v-2-n"), Problems::default()), "{part}");
        }
    }

    #[test]
    fn variables_as_the_client_replaces_them() {
        let variable = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "E" => Some(String::new()),
            "D" => Some("$x".to_owned()),
            _ => None,
        };
        for (text, result) in [
            ("$A-${A}_$A_", Ok("a-a_")),
            ("${E:-d}${E-d}${N:-d}${N-d}${A:-d}", Ok("ddda")),
            ("$$A $${A}", Ok("$$A $${A}")),
            ("${D}", Ok("$$x")),
            ("${N}", Ok("")),
            ("${N:?gone}", Err("the variable `N` is required: gone")),
            ("${E?x}", Ok("")),
            ("${A", Err("`${A` has no `}`")),
            ("cost $5", Err("a `$` does not begin a variable")),
            ("${1}", Err("`${1}` is not a variable")),
        ] {
            assert_eq!(
                replaced(text, &variable).as_deref(),
                result.map_err(|e: &str| e.to_owned()).as_deref(),
                "{text}"
            );
        }
    }
}
