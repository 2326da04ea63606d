//! Labels from a document.

use std::collections::BTreeMap;

use serde_json::Value;

/// See [`super::to_labels`].
pub fn labels(document: &Value) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (part, prefix) in [("components", "pod.component."), ("copy", "pod.copy.")] {
        for (name, value) in document.get(part).and_then(Value::as_object).into_iter().flatten() {
            labels.insert(format!("{prefix}{name}"), text(value));
        }
    }
    for (part, label) in [("init", "pod.init.components"), ("plugins", "pod.plugins")] {
        if let Some(value) = document.get(part).filter(|value| value.as_array().is_some_and(|list| !list.is_empty())) {
            labels.insert(label.to_owned(), text(value));
        }
    }
    for part in ["options", "volumes"] {
        if let Some(value) = document.get(part).filter(|value| value.as_object().is_some_and(|map| !map.is_empty())) {
            labels.insert(format!("pod.{part}"), text(value));
        }
    }
    labels
}

/// As YAML, for people who look at the container; as JSON, which is YAML too, where it can't be written so.
fn text(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_else(|_| value.to_string())
}
