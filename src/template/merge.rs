//! How what several templates say of the same thing becomes one: what is there stays, lists and maps grow.

use serde_json::{Map, Value};

use crate::labels::{Place, kind};
use crate::problem::Problems;

/// Adds `source` to `target`; `at` is where `source` was written.
///
/// Single values that are there win, an explicit nothing too. Maps grow by the keys they do not have; lists grow by all items; a list of `key=value` joins a
/// map and the other way round, as a map then; text becomes one more item of a list.
pub fn merge(target: &mut Map<String, Value>, source: &Map<String, Value>, at: &Place, problems: &mut Problems) {
    for (key, value) in source {
        let at = at.key(key);
        let Some(existing) = target.get_mut(key) else {
            target.insert(key.clone(), value.clone());
            continue;
        };
        match (existing, value) {
            (Value::Object(into), Value::Object(from)) => merge(into, from, &at, problems),
            (Value::Object(into), Value::Array(list)) => match pairs(key, list) {
                Some(from) => merge(into, &from, &at, problems),
                None => problems.push(apart(&at, "a list", "a map")),
            },
            (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
            (Value::Array(into), Value::String(_)) => into.push(value.clone()),
            (existing @ Value::Array(_), Value::Object(from)) => {
                match existing.as_array().and_then(|list| pairs(key, list)) {
                    Some(mut map) => {
                        merge(&mut map, from, &at, problems);
                        *existing = Value::Object(map);
                    }
                    None => problems.push(apart(&at, "a map", "a list")),
                }
            }
            (Value::Object(_) | Value::Array(_), Value::Null) => {}
            (Value::Object(_), other) | (Value::Array(_), other) => {
                problems.push(
                    at.problem(format!("{} cannot be merged with the result of an earlier template", kind(other))),
                );
            }
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {}
        }
    }
}

fn apart(at: &Place, this: &str, that: &str) -> crate::problem::Problem {
    at.problem(format!("{this} cannot be merged with {that} of an earlier template"))
        .hint("write two lists, two maps, or a list of `key=value`")
}

/// A list of `key=value` as a map; none where an item has another form. The components that `depends_on` lists have only to be started.
#[must_use]
pub fn pairs(key: &str, list: &[Value]) -> Option<Map<String, Value>> {
    list.iter()
        .map(|item| {
            let text = item.as_str()?;
            Some(match (text.split_once('='), key) {
                (Some((name, value)), _) => (name.to_owned(), Value::from(value)),
                (None, "depends_on") => (text.to_owned(), serde_json::json!({ "condition": "service_started" })),
                // A variable that is passed on, and a label without a value.
                (None, "environment") => (text.to_owned(), Value::Null),
                (None, "labels") => (text.to_owned(), Value::from("")),
                (None, _) => return None,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(target: Value, source: Value) -> Result<Value, String> {
        let mut problems = Problems::default();
        let Value::Object(mut target) = target else { unreachable!() };
        merge(&mut target, source.as_object().unwrap(), &Place::new("f"), &mut problems);
        problems.or(Value::Object(target)).map_err(|problems| problems.to_string())
    }

    #[test]
    fn what_is_there_stays_and_the_rest_grows() {
        for (target, source, result) in [
            (json!({"a": 1}), json!({"a": 2, "b": 3}), json!({"a": 1, "b": 3})),
            (json!({"a": null}), json!({"a": {"b": 1}}), json!({"a": null})),
            (json!({"a": {"x": 1}}), json!({"a": {"x": 2, "y": {"z": 3}}}), json!({"a": {"x": 1, "y": {"z": 3}}})),
            (json!({"a": {"x": "1"}}), json!({"a": ["x=2", "y=a=b"]}), json!({"a": {"x": "1", "y": "a=b"}})),
            (json!({"a": ["x=1"]}), json!({"a": {"x": "2", "y": "3"}}), json!({"a": {"x": "1", "y": "3"}})),
            (json!({"a": ["x=1"]}), json!({"a": ["x=2"]}), json!({"a": ["x=1", "x=2"]})),
            (json!({"a": ["x"]}), json!({"a": "y"}), json!({"a": ["x", "y"]})),
            (json!({"a": "x"}), json!({"a": ["y"]}), json!({"a": "x"})),
            (json!({"a": ["x"]}), json!({"a": null}), json!({"a": ["x"]})),
            (
                json!({"environment": ["X"]}),
                json!({"environment": {"Y": 1}}),
                json!({"environment": {"X": null, "Y": 1}}),
            ),
            (
                json!({"depends_on": ["x"]}),
                json!({"depends_on": {"y": {"condition": "service_healthy"}}}),
                json!({"depends_on": {"x": {"condition": "service_started"}, "y": {"condition": "service_healthy"}}}),
            ),
        ] {
            assert_eq!(merged(target.clone(), source.clone()), Ok(result), "{target} + {source}");
        }
    }

    #[test]
    fn what_can_not_be_joined_is_told() {
        let error = merged(json!({"volumes": ["a:/b"]}), json!({"volumes": {"c": "d"}})).unwrap_err();
        assert!(error.contains("field `volumes`: a map cannot be merged with a list"), "{error}");
        assert!(merged(json!({"a": {}}), json!({"a": 3})).unwrap_err().contains("a number cannot be merged"));
        assert!(
            merged(json!({"a": {}}), json!({"a": ["b"]})).unwrap_err().contains("a list cannot be merged with a map")
        );
    }
}
