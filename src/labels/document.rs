//! The form of `pod.yaml`.

use serde_json::{Map, Value};

use super::interpolate::{File, Interpolation};
use super::{Place, RawPod, kind, shape};
use crate::problem::{Problem, Problems, candidates};

/// The keys of a `pod.yaml`.
pub const KEYS: [&str; 7] = ["components", "init", "copy", "plugins", "options", "volumes", "controller"];

/// Fills variables in, and reads what can be read.
pub fn read_filled(
    at: &Place,
    mut value: Value,
    variable: &dyn Fn(&str) -> Option<String>,
    mut problems: Problems,
) -> (RawPod, Problems) {
    let mut interpolation = Interpolation::new(File::Document, variable, &mut problems);
    interpolation.value(at, &mut value);
    let unset = interpolation.places();
    let (unfilled, hidden) = (interpolation.unfilled(), interpolation.hidden());
    let warnings: Vec<String> = interpolation.warnings().collect();
    let (mut raw, mut problems) = read(at, &value, problems);
    hidden.hide_all(&mut problems);
    (raw.unset, raw.unfilled, raw.hidden) = (unset, unfilled, hidden);
    raw.warnings.extend(warnings);
    (raw, problems)
}

/// Reads what can be read of a document; `problems` are those that were found on the way to it.
pub fn read(at: &Place, value: &Value, mut problems: Problems) -> (RawPod, Problems) {
    let mut raw = RawPod { components_at: Some(at.key("components")), ..RawPod::default() };
    let empty = Map::new();
    let map = match value {
        Value::Object(map) => map,
        Value::Null => &empty,
        other => {
            problems.push(
                at.problem(format!("expected a map, found {}", kind(other)))
                    .hint("a `pod.yaml` has the key `components:`"),
            );
            return (RawPod::default(), problems);
        }
    };
    for (key, value) in map {
        let at = at.key(key);
        match key.as_str() {
            "components" => {
                if !value.is_object() && !value.is_null() {
                    raw.components_at = None;
                }
                for (name, body) in entries(&at, value, "names and settings of components", &mut problems) {
                    raw.components.push(shape::component(name, &at.key(name), Some(body), &mut problems));
                }
            }
            "copy" => {
                for (component, files) in entries(&at, value, "names of components and their files", &mut problems) {
                    raw.copy.push(shape::copies(component, &at.key(component), files, &mut problems));
                }
            }
            "init" => raw.init = shape::init(&at, value, &mut problems),
            "plugins" => raw.plugins = shape::plugins(&at, value, &mut problems),
            "options" => raw.options = Some((at, value.clone())),
            "volumes" => raw.volumes = Some((at, value.clone())),
            "controller" => match value {
                Value::Object(map) => raw.controller = Some((at, map.clone())),
                Value::Null => {}
                other => problems.push(at.problem(format!("expected a map, found {}", kind(other)))),
            },
            // A place for anchors, as in Compose files.
            extension if extension.starts_with("x-") => {}
            unknown => problems.push(unknown_key(&at, unknown)),
        }
    }
    (raw, problems)
}

fn unknown_key(at: &Place, key: &str) -> Problem {
    let problem = at.problem("unknown key");
    if key == "services" {
        return problem.hint("in `pod.yaml`, this key is `components`");
    }
    problem.hint(candidates(key, KEYS))
}

fn entries<'v>(
    at: &Place,
    value: &'v Value,
    what: &str,
    problems: &mut Problems,
) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
    let map = match value {
        Value::Object(map) => Some(map),
        Value::Null => None,
        other => {
            problems.push(at.problem(format!("expected a map of {what}, found {}", kind(other))));
            None
        }
    };
    map.into_iter().flatten()
}
