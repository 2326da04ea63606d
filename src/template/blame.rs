//! Which variables are behind a problem: docker replaces them in the text of a label before anyone reads it as YAML, so that the text that is wrong is in no file.

use std::collections::BTreeSet;

use serde_json::Value;

use super::body::has_variable;
use super::grace::is_pod;
use super::interpolate::{names, replaced};
use crate::labels::{Place, yaml};
use crate::problem::hidden::Hidden;
use crate::problem::shown::{IN_ALL, bound_notes, cut};
use crate::problem::{Problem, Problems};

/// How a message begins about a text that is no YAML.
const NO_YAML: &str = "not valid YAML";

/// What protects a value of one line, whatever it holds.
const REMEDY: &str =
    "if YAML changes the value, write `|-` after the colon, and the text with the variable in the next line, indented";

/// Names the variables in what each problem is about, in the place of their values, too. `stack` is the file `origin` before its variables were replaced.
pub fn name(stack: &Value, origin: &str, variable: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) {
    // No more of them are shown.
    for problem in problems.0.iter_mut().take(IN_ALL) {
        let texts = match problem.label.strip_prefix(origin) {
            Some("") => texts_at(stack, &problem.field),
            Some(rest) => of_label(stack, rest.trim_start_matches(": "), problem),
            None => continue,
        };
        let Some((texts, is_one)) = texts else { continue };
        let names: BTreeSet<String> = texts.iter().flat_map(|text| names(text)).collect();
        let mut hidden = Hidden::default();
        let at = Place { label: problem.label.clone(), field: problem.field.clone() };
        names
            .iter()
            .filter_map(|name| Some((name, variable(name)?)))
            .for_each(|(name, value)| hidden.add(&at, name, &value));
        hidden.hide(problem);
        // Of a list or a map not every variable has to do with it, but one that is empty may be what is missing.
        let is_behind = |name: &String| is_one || variable(name).is_none_or(|value| value.is_empty());
        let is_named = |name: &String| problem.what.contains(&format!("the variable `{name}`"));
        let mut told: Vec<String> = names
            .iter()
            .filter(|name| is_behind(name) && !is_named(name))
            .map(|name| sentence(name, variable))
            .collect();
        if told.is_empty() {
            continue;
        }
        if problem.what.starts_with(NO_YAML) {
            told.push(REMEDY.to_owned());
        }
        let hint = std::mem::take(&mut problem.hint);
        let first = Some(hint).filter(|hint| !hint.is_empty());
        problem.hint = first.into_iter().chain(told).collect::<Vec<_>>().join("; ");
    }
}

fn sentence(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    match variable(name) {
        None => format!("the variable `{name}` is not set"),
        Some(value) if value.is_empty() => format!("the variable `{name}` is empty"),
        Some(_) => format!("the value of the variable `{name}` is part of this text"),
    }
}

/// What a problem of a label is about: the value of its field; all of it, if it is no YAML.
fn of_label(stack: &Value, place: &str, problem: &Problem) -> Option<(Vec<String>, bool)> {
    let (service, label) = place.split_once(": ")?;
    let text = label_of(stack.get("services")?.get(service)?, label)?;
    if problem.what.starts_with(NO_YAML) {
        return Some((vec![text], true));
    }
    texts_at(&yaml::parse(&Place::default(), &text, &mut Problems::default())?, &problem.field)
}

/// Notes on labels that were written by hand: where the value of a variable changes what their YAML means, and is not what arrives.
#[must_use]
pub fn misread(stack: &Value, variable: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let services = stack.get("services").and_then(Value::as_object).into_iter().flatten();
    let mut notes = Vec::new();
    for (service, written) in services.filter(|(_, service)| is_pod(service)) {
        for (label, text) in labels_of(written).into_iter().filter(|(label, _)| label.starts_with("pod.")) {
            if !has_variable(&text) {
                continue;
            }
            let parse = |text: &str| yaml::parse(&Place::default(), text, &mut Problems::default());
            let filled = replaced(&text, variable).ok().and_then(|text| parse(&text));
            // What can't be read is an error.
            let (Some(before), Some(after)) = (parse(&text), filled) else { continue };
            let mut fields = Vec::new();
            differing(&Place::default(), &before, &after, variable, &mut fields);
            notes.extend(fields.into_iter().map(|(field, text)| {
                let names: Vec<String> = names(&text).into_iter().map(|name| format!("`{name}`")).collect();
                format!(
                    "service `{service}`, label `{label}`, field `{field}`: YAML changes the value of {}: write `|-` after the colon, and `{}` in the next line, indented",
                    names.join(" and "),
                    cut(&text)
                )
            }));
        }
    }
    bound_notes(&mut notes);
    notes
}

/// Texts whose variables have another value than was read.
fn differing(
    at: &Place,
    before: &Value,
    after: &Value,
    variable: &dyn Fn(&str) -> Option<String>,
    found: &mut Vec<(String, String)>,
) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, before) in before {
                differing(&at.key(key), before, after.get(key).unwrap_or(&Value::Null), variable, found);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                differing(&at.index(index), before, after, variable, found);
            }
        }
        (Value::String(text), after) if is_misread(text, after, variable) => {
            found.push((at.field.clone(), text.clone()));
        }
        _ => {}
    }
}

/// Whether the YAML has made another text of it than its variables make. Lists, maps and numbers may be meant, and of several lines only the writer knows how they
/// are folded.
fn is_misread(text: &str, after: &Value, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    if !has_variable(text) || text.contains('\n') {
        return false;
    }
    replaced(text, variable).is_ok_and(|right| match after {
        Value::String(read) => right.trim() != read.trim(),
        // Nothing but a comment is left of it.
        Value::Null => right.trim_start().starts_with('#'),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    })
}

fn labels_of(service: &Value) -> Vec<(String, String)> {
    match service.get("labels") {
        Some(Value::Object(map)) => {
            map.iter().filter_map(|(label, text)| Some((label.clone(), text.as_str()?.to_owned()))).collect()
        }
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .filter_map(|item| item.split_once('='))
            .map(|(label, text)| (label.to_owned(), text.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

fn label_of(service: &Value, label: &str) -> Option<String> {
    labels_of(service).into_iter().find(|(name, _)| name == label).map(|(_, text)| text)
}

/// All texts with variables at a field, as `a.b[0].c`, and whether it is one text; none where there is no such field. Keys may hold dots.
fn texts_at(value: &Value, field: &str) -> Option<(Vec<String>, bool)> {
    if field.is_empty() {
        let mut texts = Vec::new();
        collect(value, &mut texts);
        return Some((texts, value.is_string()));
    }
    match value {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let rest = field.strip_prefix(key.as_str())?;
            match rest.strip_prefix('.') {
                Some(rest) => texts_at(value, rest),
                None if rest.is_empty() || rest.starts_with('[') => texts_at(value, rest),
                None => None,
            }
        }),
        Value::Array(list) => {
            let (index, rest) = field.strip_prefix('[')?.split_once(']')?;
            texts_at(list.get(index.parse::<usize>().ok()?)?, rest.strip_prefix('.').unwrap_or(rest))
        }
        // A part of one text has no place of its own.
        Value::String(_) => texts_at(value, ""),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if has_variable(text) => texts.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|item| collect(item, texts)),
        Value::Object(map) => map.values().for_each(|item| collect(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "NOTE" => Some("room 4 #south".to_owned()),
            "PLAIN" => Some("x y".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn a_problem_names_the_variables_of_its_field() {
        let body = "image: acme/web:${TAG}\nenvironment: {a.b: '${EMPTY}', c: $$NO}\nvolumes:\n- source: ${PLAIN}\n";
        let stack = json!({"services": {"web": {"user": "$PLAIN", "labels": {"pod.component.app": body, "pod.copy.app": "[${NOTE}"}},
            "list": {"labels": ["pod.component.app=image: ${TAG}"]}}});
        let hint = |label: &str, field: &str, what: &str| {
            let mut problems = Problems(vec![Problem::new(label, field, what)]);
            name(&stack, "s.yml", &variable, &mut problems);
            problems.0.remove(0).hint
        };
        let app = "s.yml: web: pod.component.app";
        assert_eq!(hint(app, "image", "is wrong"), "the variable `TAG` is not set");
        assert_eq!(hint(app, "environment.a.b", "x"), "the variable `EMPTY` is empty");
        assert_eq!(hint(app, "environment.c", "x"), "");
        assert_eq!(hint(app, "volumes[0].source", "x"), "the value of the variable `PLAIN` is part of this text");
        assert_eq!(hint(app, "volumes", "x"), "", "nothing is known to be behind it");
        assert_eq!(hint(app, "environment", "x"), "the variable `EMPTY` is empty");
        assert_eq!(hint(app, "tty", "x"), "");
        assert_eq!(hint(app, "", "not valid YAML: x").matches("the variable `").count(), 3, "any of the label's");
        assert!(hint("s.yml: web: pod.copy.app", "", "not valid YAML").contains("`NOTE`"));
        assert_eq!(hint("s.yml: list: pod.component.app", "image", "x"), "the variable `TAG` is not set");
        assert!(hint("s.yml", "services.web.user", "x").contains("`PLAIN`"));
        assert_eq!(hint(app, "image", "the variable `TAG` is required: x"), "");
        let mut secret = Problems(vec![Problem::new(app, "volumes[0].source", "`x y` is wrong")]);
        name(&stack, "s.yml", &variable, &mut secret);
        assert_eq!(secret.0[0].what, "`${PLAIN}` is wrong");
        assert_eq!(hint("other: web: pod.component.app", "image", "x"), "");
    }

    #[test]
    fn a_value_that_is_cut_off_in_a_label_by_hand_is_noted() {
        let of =
            |body: &str| misread(&json!({"services": {"web": {"labels": {"pod.component.app": body}}}}), &variable);
        for wrong in ["environment: {NOTE: \"${PLAIN}\"}\nuser: ${NOTE}\n", "user: a ${NOTE}", "user: ${NOTE} b"] {
            let notes = of(wrong);
            assert!(
                matches!(notes.as_slice(), [one] if one.contains("field `user`") && one.contains("`NOTE`") && !one.contains("south")),
                "{notes:?}"
            );
        }
        for right in [
            "user: '${NOTE}'",
            "user: |-\n  ${NOTE}\n",
            "user: ${PLAIN}",
            "user: ${EMPTY}",
            "user: ${GONE:-}",
            "user: $$NOTE",
            "a: [x",
        ] {
            assert_eq!(of(right), Vec::<String>::new(), "{right}");
        }
    }
}
