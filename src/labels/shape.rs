//! The parts that labels and `pod.yaml` have in common: components, copies, plugins.

use serde_json::{Map, Value};

use super::{LONG_FORM, Place, RawComponent, RawCopies, RawCopy, RawPlugin, RawSettings, kind};
use crate::problem::Problems;

/// One component; `body` is none where it could not be read.
pub fn component(name: &str, at: &Place, body: Option<&Value>, problems: &mut Problems) -> RawComponent {
    let mut raw =
        RawComponent { name: name.to_owned(), at: at.clone(), body: None, plugins: Vec::new(), is_lenient: false };
    match body {
        Some(Value::Object(map)) => {
            let mut map = map.clone();
            if let Some(value) = map.shift_remove("plugins") {
                raw.plugins = plugins(&at.key("plugins"), &value, problems);
            }
            raw.body = Some(map);
        }
        Some(other) => problems.push(
            at.problem(format!("expected the settings of a component as a map, found {}", kind(other)))
                .hint("write at least `image: <reference>`"),
        ),
        None => {}
    }
    raw
}

/// The init components; each may have a `name`, else it is `init-1`, `init-2`, … by its position.
pub fn init(at: &Place, value: &Value, problems: &mut Problems) -> Vec<RawComponent> {
    let Some(items) =
        list(at, value, "a list of components, each of which begins with `- image: <reference>`", problems)
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = at.index(index);
        let mut name = format!("init-{}", index + 1);
        let mut raw = component(&name, &at, Some(item), problems);
        match raw.body.as_mut().and_then(|map| map.shift_remove("name")) {
            Some(Value::String(given)) => name = given,
            Some(Value::Null) | None => {}
            Some(other) => {
                problems.push(at.key("name").problem(format!("expected a string, found {}", kind(&other))));
            }
        }
        raw.name = name;
        found.push(raw);
    }
    found
}

/// The files of one component: `source:target`, a map of source and target, a map with `source` and `target`, or a list of such.
pub fn copies(component: &str, at: &Place, value: &Value, problems: &mut Problems) -> RawCopies {
    let mut files = Vec::new();
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                one_or_more_copies(&at.index(index), item, &mut files, problems);
            }
        }
        other => one_or_more_copies(at, other, &mut files, problems),
    }
    RawCopies { component: component.to_owned(), at: at.clone(), files }
}

fn one_or_more_copies(at: &Place, value: &Value, files: &mut Vec<RawCopy>, problems: &mut Problems) {
    const FORM: &str = "expected `<path in the controller>:<path in the component>`";
    match value {
        Value::String(text) => {
            let mut parts = text.split(':').map(str::trim);
            match (parts.next(), parts.next(), parts.next()) {
                (Some(source), Some(target), None) if !source.is_empty() && !target.is_empty() => {
                    files.push(RawCopy {
                        at: at.clone(),
                        source: source.to_owned(),
                        target: target.to_owned(),
                        settings: Map::new(),
                    });
                }
                (_, _, Some(_)) => problems.push(
                    at.problem(format!("{FORM}, found more than one `:` in `{text}`"))
                        .hint("for a path that contains `:`, write a map: `\"<source>\": \"<target>\"`"),
                ),
                _ => problems.push(at.problem(format!("{FORM}, found `{text}`"))),
            }
        }
        // No source of the other form is called so: it begins with a `/`.
        Value::Object(map) if map.contains_key("source") || map.contains_key("target") => {
            let mut settings = map.clone();
            let source = path(&at.key("source"), settings.shift_remove("source").as_ref(), problems);
            let target = path(&at.key("target"), settings.shift_remove("target").as_ref(), problems);
            if let (Some(source), Some(target)) = (source, target) {
                files.push(RawCopy { at: at.clone(), source, target, settings });
            }
        }
        Value::Object(map) => {
            for (source, value) in map {
                let at = at.key(source);
                let mut settings = Map::new();
                let target = if let Value::Object(map) = value {
                    settings.clone_from(map);
                    path(&at.key("target"), settings.shift_remove("target").as_ref(), problems)
                } else {
                    path(&at, Some(value), problems)
                };
                if source.trim().is_empty() {
                    problems.push(at.problem("expected a path in the controller, found an empty one"));
                } else if let Some(target) = target {
                    files.push(RawCopy { at, source: source.trim().to_owned(), target, settings });
                }
            }
        }
        other => problems.push(at.problem(format!("{FORM}, a list of such or a map, found {}", kind(other)))),
    }
}

/// The path without white space around it.
fn path(at: &Place, value: Option<&Value>, problems: &mut Problems) -> Option<String> {
    match value {
        Some(Value::String(path)) if !path.trim().is_empty() => Some(path.trim().to_owned()),
        None => {
            problems.push(at.problem("is missing"));
            None
        }
        Some(other) => {
            problems.push(at.problem(format!(
                "expected a path, found {}",
                if other.is_string() { "an empty one" } else { kind(other) }
            )));
            None
        }
    }
}

/// A `plugins:` list.
pub fn plugins(at: &Place, value: &Value, problems: &mut Problems) -> Vec<RawPlugin> {
    let form = "a list of plugins, each `- <name>` or `- <name>: {…}`";
    let Some(items) = list(at, value, form, problems) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = at.index(index);
        match item {
            Value::String(name) => found.push(RawPlugin {
                name: name.clone(),
                at: at.key(name),
                settings: RawSettings::Config(Value::Null),
            }),
            Value::Object(map) if map.len() == 1 => {
                found.extend(map.iter().map(|(name, value)| plugin(&at, name, value)));
            }
            Value::Object(map) => problems.push(several_names(&at, map)),
            other => problems.push(at.problem(format!("expected a plugin's name, found {}", kind(other)))),
        }
    }
    found
}

fn plugin(at: &Place, name: &str, value: &Value) -> RawPlugin {
    let settings = match value {
        Value::Object(map) if !map.is_empty() && map.keys().all(|key| LONG_FORM.contains(&key.as_str())) => {
            RawSettings::Long(map.clone())
        }
        other => RawSettings::Config(other.clone()),
    };
    RawPlugin { name: name.to_owned(), at: at.key(name), settings }
}

fn several_names(at: &Place, map: &Map<String, Value>) -> crate::problem::Problem {
    let keys: Vec<_> = map.keys().map(|key| format!("`{key}`")).collect();
    let problem = at.problem(match keys.is_empty() {
        true => "expected a plugin's name, found an empty map".to_owned(),
        false => format!("expected one plugin's name, found {}", keys.join(", ")),
    });
    match map.iter().next() {
        Some((name, Value::Null)) => problem.hint(format!("indent the settings of `{name}` more than the name")),
        _ => problem.hint("begin each plugin with its own `-`"),
    }
}

/// The items of a list; nothing written is an empty one.
fn list<'v>(at: &Place, value: &'v Value, expected: &str, problems: &mut Problems) -> Option<&'v [Value]> {
    match value {
        Value::Array(items) => Some(items),
        Value::Null => Some(&[]),
        other => {
            problems.push(at.problem(format!("expected {expected}, found {}", kind(other))));
            None
        }
    }
}
