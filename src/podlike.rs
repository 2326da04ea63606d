//! Where a stack file behaves otherwise here than with podlike: every place, what differs, and what brings the old behaviour back.
//!
//! `docs/podlike.md` has the same as a table, with the reasons. Pure: no I/O.

mod component;
mod controller;
mod templates;

use serde_json::{Map, Value};

use crate::labels::{Place, yaml};
use crate::problem::Problems;

/// One place where the behaviour differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The service.
    pub service: String,
    /// The label, as `pod.component.app`; empty for a setting of the service itself.
    pub label: String,
    /// Dotted path within it; empty for the whole.
    pub field: String,
    /// What podlike did, and what happens here.
    pub what: String,
    /// What to write where podlike's behaviour is wanted, or what else to do; empty where nothing can or need be done.
    pub remedy: String,
}

/// The differences of a stack file in the order of the file; `raw` is the file before its templates were rendered, `rendered` what they made of it (the same
/// where it has none). Values with variables in them should have been replaced.
#[must_use]
pub fn differences(raw: &Value, rendered: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    templates::look(raw, &mut found);
    let services = rendered.get("services").and_then(Value::as_object);
    for (name, service) in services.into_iter().flatten() {
        let Some(service) = service.as_object() else { continue };
        let labels = labels(service);
        if labels.iter().any(|(label, _)| label.starts_with("pod.")) {
            let is_rendered = raw.pointer(&format!("/x-podlike/{}", escaped(name))).is_some()
                || raw.pointer(&format!("/services/{}/x-podlike", escaped(name))).is_some();
            look(name, service, &labels, is_rendered, &mut found);
        }
    }
    found
}

/// A name within a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// `is_rendered`: podlike brought what its templates made into one form, so that the forms it refused in labels were none.
fn look(
    name: &str,
    service: &Map<String, Value>,
    labels: &[(String, String)],
    is_rendered: bool,
    found: &mut Vec<Difference>,
) {
    let mut list = List { service: name, label: String::new(), found };
    let pod = Pod::of(labels);
    controller::look(service, labels, &pod, &mut list);
    for (label, body) in &pod.components {
        list.label.clone_from(label);
        component::look(body, &Place::default(), component::Kind { is_init: false, is_rendered }, &mut list);
    }
    for (index, body) in pod.init.iter().enumerate() {
        list.label = "pod.init.components".to_owned();
        component::look(
            body,
            &Place::default().index(index),
            component::Kind { is_init: true, is_rendered },
            &mut list,
        );
    }
}

/// The parts of a pod that can be read; what can't be is a problem that `check` tells.
struct Pod {
    /// By label.
    components: Vec<(String, Map<String, Value>)>,
    init: Vec<Map<String, Value>>,
}

impl Pod {
    fn of(labels: &[(String, String)]) -> Self {
        let mut pod = Self { components: Vec::new(), init: Vec::new() };
        for (label, text) in labels {
            // In these files a `$` of a value is written `$$`.
            let text = text.replace("$$", "$");
            match yaml::parse(&Place::default(), &text, &mut Problems::default()) {
                Some(Value::Object(body)) if label.starts_with("pod.component.") => {
                    pod.components.push((label.clone(), body));
                }
                Some(Value::Array(list)) if label == "pod.init.components" => {
                    pod.init = list.iter().filter_map(Value::as_object).cloned().collect();
                }
                _ => {}
            }
        }
        pod
    }
}

/// Takes differences of one service.
struct List<'f> {
    service: &'f str,
    label: String,
    found: &'f mut Vec<Difference>,
}

impl List<'_> {
    fn push(&mut self, field: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(Difference {
            service: self.service.to_owned(),
            label: self.label.clone(),
            field: field.into(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }
}

/// The labels of a service, in either form.
fn labels(service: &Map<String, Value>) -> Vec<(String, String)> {
    match service.get("labels") {
        Some(Value::Object(map)) => map.iter().map(|(label, text)| (label.clone(), single(text))).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(|item| item.split_once('=').unwrap_or((item, "")))
            .map(|(label, text)| (label.to_owned(), text.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

/// A single value as text.
fn single(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
