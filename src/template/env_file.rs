//! Environment files of a service that becomes a pod: they lie beside the stack file, where no controller can read them.

use serde_json::{Map, Value};

use super::fetch::Sources;
use super::merge::pairs;
use super::service::text;
use crate::labels::Place;
use crate::problem::Problems;

/// Puts what the files of `env_file` say into `environment`, which wins, and takes `env_file` away. Answers a note for each optional file that cannot be read.
#[must_use]
pub fn inline(
    service: &mut Map<String, Value>,
    at: &Place,
    sources: &mut dyn Sources,
    problems: &mut Problems,
) -> Vec<String> {
    let mut notes = Vec::new();
    let files: Vec<(String, bool)> = match service.shift_remove("env_file") {
        None | Some(Value::Null) => return notes,
        Some(Value::Array(list)) => list.iter().map(file).collect(),
        Some(one) => vec![file(&one)],
    };
    let mut all = Map::new();
    for (index, (file, is_required)) in files.iter().enumerate() {
        let at = at.key("env_file").index(index);
        match sources.file(file) {
            Ok(text) => variables(&text, &at, file, sources, &mut all, problems),
            Err(error) if !is_required => notes.push(format!("`env_file` `{file}` is ignored: {error}")),
            Err(error) => problems.push(at.problem(format!("cannot read `{file}`: {error}"))),
        }
    }
    let own = match service.shift_remove("environment") {
        Some(Value::Object(map)) => map,
        Some(Value::Array(list)) => pairs("environment", &list).unwrap_or_default(),
        _ => Map::new(),
    };
    all.extend(own);
    service.insert("environment".to_owned(), Value::Object(all));
    notes
}

/// An item is a path, or a map with one; and whether the file must be there.
fn file(item: &Value) -> (String, bool) {
    let is_required = item.get("required").and_then(Value::as_bool).unwrap_or(true);
    (item.get("path").map_or_else(|| text(item), text), is_required)
}

/// Lines of `KEY=value`, taken as they are; `KEY` alone is a variable of whoever deploys.
fn variables(
    text: &str,
    at: &Place,
    file: &str,
    sources: &dyn Sources,
    into: &mut Map<String, Value>,
    problems: &mut Problems,
) {
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value.to_owned())));
        if name.is_empty() || name.contains(char::is_whitespace) {
            let what = format!("`{file}`, line {}: expected `NAME=value`", number + 1);
            problems.push(at.problem(what));
            continue;
        }
        if let Some(value) = value.or_else(|| sources.variable(name)) {
            // The result is a stack file, where a `$` begins a variable.
            into.insert(name.to_owned(), value.replace('$', "$$").into());
        }
    }
}
