//! The JSON Schema of what users write, so that editors complete and check it.
//!
//! It says what may be written where; what contradicts itself or names what is not there only [`lower`](crate::pod::lower::lower()) finds. Draft 7, which every
//! editor knows. That it has every key that lowering has, and no other, is held to by tests.

use serde_json::{Value, json};

/// The schema of `pod.yaml`; the parts are among its definitions.
const POD: &str = include_str!("schema/pod.json");

/// What there is a schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A `pod.yaml`.
    Pod,
    /// The value of a label `pod.component.<name>`.
    Component,
    /// The value of the label `pod.init.components`.
    Init,
    /// The value of a label `pod.copy.<component>`.
    Copy,
    /// The value of the label `pod.plugins`.
    Plugins,
    /// The value of the label `pod.options`.
    Options,
    /// The value of the label `pod.volumes`.
    Volumes,
    /// The value of the label `pod.stop_grace_period`.
    StopGracePeriod,
}

impl Part {
    /// The definition that says it, and what it is called.
    fn definition(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Pod => None,
            Self::Component => Some(("component", "pod.component.<name>")),
            Self::Init => Some(("init", "pod.init.components")),
            Self::Copy => Some(("copy", "pod.copy.<component>")),
            Self::Plugins => Some(("plugins", "pod.plugins")),
            Self::Options => Some(("options", "pod.options")),
            Self::Volumes => Some(("volumes", "pod.volumes")),
            Self::StopGracePeriod => Some(("duration", "pod.stop_grace_period")),
        }
    }
}

/// The schema of a part; it stands for itself.
#[must_use]
pub fn of(part: Part) -> Value {
    // It is part of the program, and a test reads it.
    let mut pod: Value = serde_json::from_str(POD).unwrap_or_default();
    match part.definition() {
        None => pod,
        Some((name, title)) => json!({
            "$schema": pod.get("$schema"),
            "title": title,
            "allOf": [{ "$ref": format!("#/definitions/{name}") }],
            "definitions": pod.get_mut("definitions").map(Value::take),
        }),
    }
}
