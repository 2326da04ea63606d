//! The Compose file that the label `pod.compose.file` names.
//!
//! Only `services:` and `volumes:` of it matter. As podlike had it, what makes no sense in a pod is passed over, with one warning each; values that can't be
//! understood are problems all the same. Variables are filled in by the rules of the Compose specification. Pure: whoever calls has read the file.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::interpolate::{File, Interpolation};
use super::{Place, RawPod, kind, shape, yaml};
use crate::problem::Problems;

/// Top-level keys that say nothing about components.
const SILENT: [&str; 3] = ["version", "name", "services"];

/// Puts the services of the Compose file in the place of `raw.compose_file`: `text` is the file's content, or why it can't be read, and `variable` answers the
/// controller's environment. Answers what is wrong with the file; nothing happens where `raw` names none.
#[must_use]
pub fn read<E: Display>(
    raw: &mut RawPod,
    text: Result<&str, E>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Problems {
    let mut problems = Problems::default();
    let Some((label, path)) = raw.compose_file.take() else { return problems };
    let text = match text {
        Ok(text) => text,
        Err(why) => {
            problems.push(label.problem(format!("cannot read `{path}`: {why}")).hint(
                    "this is a path in the controller's container: mount the file there, for instance as a config of its service",
                ));
            return problems;
        }
    };
    let at = Place::new(&path);
    let Some(mut value) = yaml::parse(&at, text, &mut problems) else { return problems };
    let mut interpolation = Interpolation::new(File::Compose, variable, &mut problems);
    interpolation.value(&at, &mut value);
    raw.unset = interpolation.places();
    (raw.unfilled, raw.hidden) = (interpolation.unfilled(), interpolation.hidden());
    raw.warnings.extend(interpolation.warnings());
    let Value::Object(file) = &value else {
        problems.push(
            at.problem(format!("expected a Compose file, found {}", kind(&value)))
                .hint("a Compose file has the key `services:`"),
        );
        raw.hidden.hide_all(&mut problems);
        return problems;
    };
    raw.components_at = Some(at.key("services"));
    for (key, value) in file {
        let at = at.key(key);
        match key.as_str() {
            "volumes" => volumes(raw, at, value),
            "include" => problems.push(
                at.problem("the controller does not support `include` in a Compose file")
                    .hint("write all services into one file, or use the output of `docker compose config`"),
            ),
            key if SILENT.contains(&key) || key.starts_with("x-") => {}
            "networks" => raw.warnings.push(ignored(&at, "all components share the network of the controller")),
            "configs" | "secrets" => raw.warnings.push(ignored(
                &at,
                "add configs and secrets to the controller's service, and copy the files with the label `pod.copy.<component>`",
            )),
            _ => raw.warnings.push(ignored(&at, "the controller reads only `services` and `volumes`")),
        }
    }
    match file.get("services") {
        Some(Value::Object(services)) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            for (name, service) in services {
                self::service(raw, name, &at.key("services").key(name), service, folder, &mut problems);
            }
        }
        Some(Value::Null) | None => {}
        Some(other) => {
            raw.components_at = None;
            problems.push(at.key("services").problem(format!("expected a map of services, found {}", kind(other))));
        }
    }
    raw.hidden.hide_all(&mut problems);
    problems
}

fn ignored(at: &Place, why: &str) -> String {
    at.problem(format!("is ignored: {why}")).to_string()
}

/// Those of the label win.
fn volumes(raw: &mut RawPod, at: Place, value: &Value) {
    let labelled = raw.volumes.as_ref().and_then(|(_, value)| value.as_object());
    let is_bare = |volume: &Value| {
        volume.get("name").is_none() && volume.get("external").is_none_or(|it| it == &Value::Bool(false))
    };
    raw.bare_volumes = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, volume)| is_bare(volume) && !labelled.is_some_and(|labelled| labelled.contains_key(*name)))
        .map(|(name, _)| name.clone())
        .collect();
    match (&mut raw.volumes, value) {
        (Some((_, Value::Object(labelled))), Value::Object(volumes)) => {
            for (name, volume) in volumes {
                labelled.entry(name.clone()).or_insert_with(|| volume.clone());
            }
        }
        (Some(_), _) => {}
        (none, value) => *none = Some((at, value.clone())),
    }
}

fn service(raw: &mut RawPod, name: &str, at: &Place, service: &Value, folder: &str, problems: &mut Problems) {
    let mut component = shape::component(name, at, Some(service), problems);
    component.is_lenient = true;
    if let Some(body) = &mut component.body {
        if body.shift_remove("extends").is_some_and(|it| !it.is_null()) {
            problems
                .push(at.key("extends").problem("the controller does not support `extends` in a Compose file").hint(
                "copy the settings here, merge them with a YAML anchor, or use the output of `docker compose config`",
            ));
        }
        if let Some(files) = body.get_mut("env_file") {
            relative(files, folder);
        }
        // Whoever starts a service by its name starts those of all profiles; a pod is started as a whole.
        if body.shift_remove("profiles").is_some_and(|it| !it.is_null()) {
            raw.warnings.push(ignored(&at.key("profiles"), "a pod always starts all its components"));
        }
    }
    raw.components.push(component);
}

/// Paths of `env_file` begin in the folder of the Compose file.
fn relative(value: &mut Value, folder: &str) {
    match value {
        Value::String(path) if !path.is_empty() && !path.starts_with('/') => {
            *path = format!("{folder}/{}", path.trim_start_matches("./"));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relative(item, folder)),
        Value::Object(map) => in_map(map, folder),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn in_map(map: &mut Map<String, Value>, folder: &str) {
    if let Some(path) = map.get_mut("path").filter(|path| path.is_string()) {
        relative(path, folder);
    }
}

#[cfg(test)]
mod tests;
