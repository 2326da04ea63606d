//! What is wrong with a plugin's configuration, in the words and with the paths of whoever wrote it.

mod named;

use std::cmp::Reverse;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use crate::plugin::answers::said::Mistake;
use crate::problem::{candidates, nearest};

pub use self::named::components;

/// Errors told of one configuration.
const ERRORS: usize = 20;
/// Longest error, in characters: values are quoted in them.
const TEXT: usize = 300;
/// Deepest choice within a choice that is looked into.
const CHOICES: usize = 16;

/// Checks a configuration against its plugin's schema.
#[must_use]
pub fn mistakes(schema: &Value, config: &Value) -> Vec<Mistake> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let what = format!("the plugin's schema cannot be used: {error}");
            return vec![Mistake { path: String::new(), what, hint: None }];
        }
    };
    let mut told = Vec::new();
    for error in validator.iter_errors(config) {
        if told.len() >= ERRORS {
            break;
        }
        tell(&error, schema, CHOICES, &mut told);
    }
    told.truncate(ERRORS);
    told
}

fn tell(error: &ValidationError<'_>, schema: &Value, depth: usize, told: &mut Vec<Mistake>) {
    let path = dotted(error.instance_path().as_str());
    let mut push = |path: String, what: String, hint| {
        let mistake = Mistake { path, what: what.chars().take(TEXT).collect(), hint };
        // Branches of `allOf` and the like may find the same.
        if !told.contains(&mistake) {
            told.push(mistake);
        }
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let known = properties(schema, error.schema_path().as_str());
            for key in unexpected {
                let hint = Some(candidates(key, known.iter().copied())).filter(|hint| !hint.is_empty());
                push(joined(&path, key), "unknown key".to_owned(), hint);
            }
        }
        ValidationErrorKind::Required { property } => {
            push(joined(&path, &plain(property)), "is missing".to_owned(), None);
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } if depth > 0 => {
            let fitting = context.iter().filter(|branch| !branch.iter().any(|found| is_other_kind(found, error)));
            if let Some(best) = fitting.min_by_key(|branch| misfit(branch)) {
                best.iter().for_each(|found| tell(found, schema, depth - 1, told));
            } else {
                let expected: Vec<_> = context.iter().flatten().filter_map(kinds).collect();
                let found = error.instance();
                push(path, format!("expected {}, found {found}", expected.join(" or ")), None);
            }
        }
        ValidationErrorKind::Enum { options } => {
            // All of them: whoever mistypes one wants to see what there is.
            let (right, found) = (listed(options), error.instance());
            let known = options.as_array().into_iter().flatten().filter_map(Value::as_str);
            let meant = found.as_str().and_then(|word| nearest(word, known));
            let hint = meant.map(|right| format!("did you mean `{right}`?"));
            push(path, format!("expected {right}, found `{}`", plain(found)), hint);
        }
        ValidationErrorKind::FalseSchema => push(path, "is not allowed here".to_owned(), None),
        _ => push(path, error.to_string(), None),
    }
}

/// How badly a branch fits: the more errors, and the further out, the worse.
fn misfit(branch: &[ValidationError<'_>]) -> (usize, Reverse<usize>) {
    let errors = branch.iter().map(|error| match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected.len(),
        _ => 1,
    });
    let depth = |error: &ValidationError<'_>| error.instance_path().as_str().matches('/').count();
    (errors.sum(), Reverse(branch.iter().map(depth).max().unwrap_or_default()))
}

/// Whether a branch is out of the question for it describes another kind of value, such as a list where there is a text.
fn is_other_kind(found: &ValidationError<'_>, choice: &ValidationError<'_>) -> bool {
    found.instance_path() == choice.instance_path()
        && match found.kind() {
            ValidationErrorKind::Type { .. } => true,
            ValidationErrorKind::Enum { options } => {
                let kind = std::mem::discriminant(found.instance().as_ref());
                !options.as_array().is_some_and(|all| all.iter().any(|one| std::mem::discriminant(one) == kind))
            }
            ValidationErrorKind::Constant { expected_value } => {
                std::mem::discriminant(found.instance().as_ref()) != std::mem::discriminant(expected_value)
            }
            _ => false,
        }
}

/// What kind of value would have been right.
fn kinds(error: &ValidationError<'_>) -> Option<String> {
    match error.kind() {
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => Some(kind.to_string()),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => {
            let kinds: Vec<_> = kinds.iter().map(|kind| kind.to_string()).collect();
            Some(kinds.join(" or "))
        }
        ValidationErrorKind::Enum { options } => Some(listed(options)),
        ValidationErrorKind::Constant { expected_value } => Some(format!("`{}`", plain(expected_value))),
        _ => None,
    }
}

/// The keys that the schema describes beside this keyword.
fn properties<'a>(schema: &'a Value, keyword: &str) -> Vec<&'a str> {
    let beside = keyword.rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent));
    let properties = beside.and_then(|parent| parent.get("properties")).and_then(Value::as_object);
    properties.into_iter().flat_map(|map| map.keys().map(String::as_str)).collect()
}

fn listed(options: &Value) -> String {
    let options: Vec<_> = options.as_array().into_iter().flatten().map(|one| format!("`{}`", plain(one))).collect();
    options.join(" or ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(schema: &Value, config: &Value) -> Vec<String> {
        let line = |mistake: Mistake| {
            let hint = mistake.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}: {}{hint}", mistake.path, mistake.what)
        };
        mistakes(schema, config).into_iter().map(line).collect()
    }

    #[test]
    fn mistakes_name_their_path() {
        let schema = json!({
            "type": "object",
            "required": ["service"],
            "properties": {"to": {"type": "array", "items": {"type": "object", "properties": {"a/b": {"type": "string"}}}}},
        });
        let mut told = told(&schema, &json!({"to": [{"a/b": "x"}, {"a/b": 7}]}));
        told.sort();
        assert_eq!(told, ["service: is missing", "to.1.a/b: 7 is not of type \"string\""]);
    }

    #[test]
    fn a_choice_tells_of_the_branch_that_was_meant() {
        let schema = |name: &str| -> Value {
            let text = match name {
                "reload" => include_str!("../../../plugins/reload/src/schema.json"),
                "redact" => include_str!("../../../plugins/redact/src/schema.json"),
                _ => include_str!("../../../plugins/signal/src/schema.json"),
            };
            serde_json::from_str(text).unwrap()
        };
        let rule = |more: Value| {
            let mut rule = json!({"watch": "/w", "component": "a", "target": "/t"});
            rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            rule
        };
        for (name, config, expected) in [
            (
                "reload",
                rule(json!({"heathy-for": "2s"})),
                &["heathy-for: unknown key (did you mean `healthy-for`?)"][..],
            ),
            ("reload", json!({"watch": "/w", "component": "a"}), &["target: is missing"]),
            (
                "reload",
                json!({"rules": [rule(json!({"mod": 420, "xyz": 1})), rule(json!({"uid": "me"}))]}),
                &[
                    "rules.0.mod: unknown key (did you mean `mode`?)",
                    "rules.0.xyz: unknown key (known: `uid`, `gid`, `exec`, `mode`, `watch`, `target`, `signal`, `verify`, `restart`, `timeout`, `debounce`, `max-delay` and 3 more)",
                    "rules.1.uid: \"me\" is not of type \"integer\"",
                ],
            ),
            ("reload", rule(json!({"validate": [["sh", 7]]})), &["validate.0.1: 7 is not of type \"string\""]),
            ("reload", rule(json!({"signal": true})), &["signal: expected string or integer, found true"]),
            (
                "redact",
                json!({"patterns": ["phone", {"name": "x"}], "field": []}),
                &[
                    "field: unknown key (did you mean `fields`? Known: `fields`, `patterns`, `components`, `replacement`)",
                    "patterns.0: expected `email` or `card` or `iban` or `ipv4` or `token`, found `phone`",
                    "patterns.1.regex: is missing",
                ],
            ),
            (
                "redact",
                json!({"patterns": ["emial"]}),
                &[
                    "patterns.0: expected `email` or `card` or `iban` or `ipv4` or `token`, found `emial` (did you mean `email`?)",
                ],
            ),
            ("signal", json!({"map": {"HUP": {"to": []}}}), &["map.HUP.to: [] has less than 1 item"]),
            (
                "signal",
                json!({"map": {"HUP": 7}}),
                &["map.HUP: expected `forward` or `swallow` or object or array, found 7"],
            ),
        ] {
            let mut told = told(&schema(name), &config);
            told.sort();
            assert_eq!(told, expected, "{name} {config}");
        }
    }

    #[test]
    fn mistakes_are_bounded() {
        let schema = json!({"additionalProperties": false, "properties": {"a": {}}});
        let many: Value = (0..100).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(mistakes(&schema, &many).len(), ERRORS);
        let long = mistakes(&json!({"type": "object"}), &json!("x".repeat(1000)));
        assert_eq!(long.iter().map(|mistake| mistake.what.chars().count()).collect::<Vec<_>>(), [TEXT]);
    }
}
