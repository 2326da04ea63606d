//! Variables in a stack file, as the engine's client replaces them: for looking at what will be deployed. What is deployed is left to the client.

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
    at.problem(what).hint("a `$` that begins no variable is written `$$` in a stack file, also in its templates")
}

fn replaced(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    Variables::new(Rules::Client, variable, &mut |_unset| {}).fill(text).map_err(|why| match why {
        BadVariable::Stray => "a `$` begins no variable".to_owned(),
        BadVariable::Unclosed(text) => format!("`{text}` has no `}}`"),
        BadVariable::NoVariable(expression) => format!("`{expression}` is no variable"),
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
            ("cost $5", Err("a `$` begins no variable")),
            ("${1}", Err("`${1}` is no variable")),
        ] {
            assert_eq!(
                replaced(text, &variable).as_deref(),
                result.map_err(|e: &str| e.to_owned()).as_deref(),
                "{text}"
            );
        }
    }
}
