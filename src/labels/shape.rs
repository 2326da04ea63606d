//! The parts that labels and `pod.yaml` have in common: components, copies, plugins.

use serde_json::{Map, Value};

use super::{LONG_FORM, Place, RawComponent, RawCopies, RawCopy, RawPlugin, RawSettings, kind};
use crate::pod::Problems;

/// One component; `body` is none where it could not be read.
pub fn component(name: &str, at: &Place, body: Option<&Value>, problems: &mut Problems) -> RawComponent {
    let mut raw = RawComponent { name: name.to_owned(), at: at.clone(), body: None, plugins: Vec::new() };
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
                .hint("at least `image: <reference>`"),
        ),
        None => {}
    }
    raw
}

/// The init components; each may have a `name`, else it is `init-1`, `init-2`, … by its position.
pub fn init(at: &Place, value: &Value, problems: &mut Problems) -> Vec<RawComponent> {
    let Some(items) = list(at, value, "a list of components, each begun with `- image: <reference>`", problems) else {
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

/// The files of one component: `source:target`, a list of such, or a map of source and target.
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
                    files.push(RawCopy { at: at.clone(), source: source.to_owned(), target: target.to_owned() });
                }
                (_, _, Some(_)) => problems.push(
                    at.problem(format!("{FORM}, found more than one `:` in `{text}`"))
                        .hint("a path that holds a `:` can be written as a map, `\"<source>\": \"<target>\"`"),
                ),
                _ => problems.push(at.problem(format!("{FORM}, found `{text}`"))),
            }
        }
        Value::Object(map) => {
            for (source, target) in map {
                let at = at.key(source);
                match target {
                    Value::String(target) if !target.trim().is_empty() && !source.trim().is_empty() => {
                        files.push(RawCopy { at, source: source.trim().to_owned(), target: target.trim().to_owned() })
                    }
                    other => problems.push(at.problem(format!(
                        "expected a path in the component, found {}",
                        if other.is_string() { "an empty one" } else { kind(other) }
                    ))),
                }
            }
        }
        other => problems.push(at.problem(format!("{FORM}, a list of such or a map, found {}", kind(other)))),
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

fn several_names(at: &Place, map: &Map<String, Value>) -> crate::pod::Problem {
    let keys: Vec<_> = map.keys().map(|key| format!("`{key}`")).collect();
    let problem = at.problem(match keys.is_empty() {
        true => "expected a plugin's name, found an empty map".to_owned(),
        false => format!("expected one plugin's name, found {}", keys.join(", ")),
    });
    match map.iter().next() {
        Some((name, Value::Null)) => problem.hint(format!("indent the settings of `{name}` further than its name")),
        _ => problem.hint("begin each plugin with a `-` of its own"),
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
