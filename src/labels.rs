//! Labels and files as they were written.
//!
//! The readers take a container's labels, a `pod.yaml`, a stack file or the output of `docker inspect`, and answer [`RawPod`]s: what was written, split
//! into its parts but not yet understood: `pod::lower` does the understanding. Each reader answers what it could read together with all that is wrong, so that
//! `pod::read` can lower that much and report the problems of both at once. `docs/labels.md` is the reference for users. Pure: no I/O.

pub mod compose;
mod detect;
mod document;
pub mod dotenv;
pub mod held;
mod interpolate;
pub mod placeholders;
pub mod schema;
mod service;
mod shape;
pub mod variables;
mod write;
pub mod yaml;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use crate::problem::Place;
use crate::problem::hidden::Hidden;
use crate::problem::{Problem, Problems, nearest};

/// What a user wrote, part by part, before it is checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawPod {
    /// Where components are written, for the message that there are none; none where that could not be read, which has been reported then.
    pub components_at: Option<Place>,
    /// In the order in which they run.
    pub init: Vec<RawComponent>,
    /// In the order of the file or, from labels, by name.
    pub components: Vec<RawComponent>,
    /// Files to copy, by component.
    pub copy: Vec<RawCopies>,
    /// The pod's own plugins, in order; a component's are with the component.
    pub plugins: Vec<RawPlugin>,
    /// What holds for the pod as a whole.
    pub options: Option<(Place, Value)>,
    /// How volumes are made that components name.
    pub volumes: Option<(Place, Value)>,
    /// Where the label `pod.stop_grace_period` is, and what it says: how long the service lets the pod stop, which no engine tells of a Swarm task.
    pub stop_grace_period: Option<(Place, Value)>,
    /// Where the label `pod.compose.file` is, and the path that it names; [`compose::read`] puts the file's services in its place.
    pub compose_file: Option<(Place, String)>,
    /// How Swarm updates the service, as a stack file has it: `deploy.update_config`.
    pub update: Option<(Place, Value)>,
    /// What the readers passed over.
    pub warnings: Vec<String>,
    /// Where variables of a Compose file, or of a `pod.yaml`, were filled in as nothing because they are not set, with their names.
    pub unset: Vec<(Place, String)>,
    /// Where variables could not be filled in, which has been reported: nothing else is said of such a text.
    pub unfilled: Vec<Place>,
    /// The values of variables that were filled in, which messages do not show.
    pub hidden: Hidden,
    /// Volumes that only the Compose file declares, and without a name of their own.
    pub bare_volumes: std::collections::BTreeSet<String>,
    /// Whether whoever deploys the text still fills variables in.
    pub is_template: bool,
    /// The `controller:` part of a `pod.yaml`, with its place; of a service or a container the grace period and the memory limit that it has itself.
    pub controller: Option<(Place, Map<String, Value>)>,
}

/// A pod of a text that may hold several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// Of the service, the container or the file.
    pub name: String,
    /// As far as it could be read.
    pub raw: RawPod,
    /// What its labels begin with in messages, where the text holds others too.
    pub prefix: String,
    /// Where the controller's own container is written, if not in the pod itself.
    pub at: Option<Place>,
    /// Where its labels are: a map, or a list of `label=text`; none for a `pod.yaml`.
    pub labels_at: Option<Place>,
    /// Whether it is a `pod.yaml`, whose controller `outrigger run` makes.
    pub is_document: bool,
    /// Paths that the controller has from mounts, configs and secrets; none where they can't all be known, and for a `pod.yaml`.
    pub held: Option<Vec<String>>,
    /// Whether the service's image is built, so that anything may be in it.
    pub is_built: bool,
    /// Names of the volumes that the stack file declares, and the names that components know them by if a label of podlike's gives one.
    pub declared: Vec<(String, Option<String>)>,
    /// Why the rest could not; those of lowering are not among them.
    pub problems: Problems,
}

/// One component as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct RawComponent {
    /// Its name: of the label, of the key, or given to an init component by its position.
    pub name: String,
    /// Where its settings are.
    pub at: Place,
    /// Its settings without `plugins` and, for an init component, `name`; none where they could not be read, which has been reported then.
    pub body: Option<Map<String, Value>>,
    /// Its own plugins.
    pub plugins: Vec<RawPlugin>,
    /// Whether keys that it can't have are passed over with a warning, as those of a Compose file.
    pub is_lenient: bool,
}

/// The files of one component as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCopies {
    /// Which component.
    pub component: String,
    /// Where that was written.
    pub at: Place,
    /// In order.
    pub files: Vec<RawCopy>,
}

/// One file to copy; white space around both paths has been removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCopy {
    /// Where it was written.
    pub at: Place,
    /// Path in the controller.
    pub source: String,
    /// Path in the component.
    pub target: String,
    /// What else was written about it: `mode`, `uid`, `gid`.
    pub settings: Map<String, Value>,
}

/// One entry of a `plugins:` list.
#[derive(Debug, Clone, PartialEq)]
pub struct RawPlugin {
    /// Its name.
    pub name: String,
    /// Where its settings are.
    pub at: Place,
    /// What follows the name.
    pub settings: RawSettings,
}

/// The label that hands the service's grace period over to the controller.
pub const STOP_GRACE_PERIOD: &str = "pod.stop_grace_period";

/// The keys of a plugin's long form: a map that has only these, and one at least, is that form.
pub const LONG_FORM: [&str; 6] = ["source", "grants", "limits", "on-error", "health-interval", "config"];

/// The two forms in which a plugin's settings are written.
#[derive(Debug, Clone, PartialEq)]
pub enum RawSettings {
    /// Short: all of it is the plugin's configuration.
    Config(Value),
    /// Long: every key is one of the long form's.
    Long(Map<String, Value>),
}

/// Reads the labels of a controller's container: what could be read, and the reader's own problems. Labels that do not begin with `pod.` are left alone.
#[must_use]
pub fn read_labels(labels: &BTreeMap<String, String>) -> (RawPod, Problems) {
    prefixed_labels("", labels)
}

/// Reads a `pod.yaml`; `origin` is its name in messages, `variable` answers the variables that are filled in. Answers what could be read, and the reader's own problems.
#[must_use]
pub fn read_document(origin: &str, yaml: &str, variable: &dyn Fn(&str) -> Option<String>) -> (RawPod, Problems) {
    let at = Place::new(origin);
    let mut problems = Problems::default();
    match yaml::parse(&at, yaml, &mut problems) {
        Some(value) if value.get("services").is_some() && value.get("components").is_none() => {
            problems.push(at.problem("expected a `pod.yaml`, found a stack or Compose file").hint(
                "start this file with `docker stack deploy` or `docker compose up`; `outrigger check` and `plan` accept both kinds of files",
            ));
            (RawPod::default(), problems)
        }
        Some(value) => document::read_filled(&at, value, variable, problems),
        None => (RawPod::default(), problems),
    }
}

/// Reads the JSON form of a `pod.yaml`; `origin` is its name in messages. Answers what could be read, and the reader's own problems.
#[must_use]
pub fn read_value(origin: &str, value: &Value) -> (RawPod, Problems) {
    document::read(&Place::new(origin), value, Problems::default())
}

/// Finds the pods of a text: a `pod.yaml`, a stack or Compose file (each service with `pod.*` labels is a pod), the JSON of `docker inspect` for containers or
/// services, or a bare map of labels. Answers every pod as far as it could be read, and the problems that are no pod's own, such as that there is no pod. `variable` answers the variables that
/// are filled in in a `pod.yaml`; in a stack file they are docker's.
#[must_use]
pub fn read_sources(origin: &str, text: &str, variable: &dyn Fn(&str) -> Option<String>) -> (Vec<Source>, Problems) {
    detect::sources(origin, text, variable)
}

/// The labels that say the same as this `pod.yaml` document; its `controller:` part has no label. Parts that are not of a document's form are left out:
/// the document is meant to be one that could be lowered, best [`plan::document::of`](crate::plan::document::of).
#[must_use]
pub fn to_labels(document: &Value) -> BTreeMap<String, String> {
    write::labels(document)
}

/// [`read_labels`] with `prefix` before every label in messages.
fn prefixed_labels(prefix: &str, labels: &BTreeMap<String, String>) -> (RawPod, Problems) {
    let mut problems = Problems::default();
    let mut raw = RawPod { components_at: Some(Place::new(format!("{prefix}pod.component.*"))), ..RawPod::default() };
    for (label, text) in labels.iter().filter(|(label, _)| label.starts_with("pod.")) {
        let at = Place::new(format!("{prefix}{label}"));
        if let Some(name) = label.strip_prefix("pod.component.") {
            let body = yaml::parse(&at, text, &mut problems);
            raw.components.push(shape::component(name, &at, body.as_ref(), &mut problems));
        } else if let Some(component) = label.strip_prefix("pod.copy.") {
            if let Some(value) = yaml::parse(&at, text, &mut problems) {
                raw.copy.push(shape::copies(component, &at, &value, &mut problems));
            }
        } else if label == "pod.init.components" {
            if let Some(value) = yaml::parse(&at, text, &mut problems) {
                raw.init = shape::init(&at, &value, &mut problems);
            }
        } else if label == "pod.plugins" {
            if let Some(value) = yaml::parse(&at, text, &mut problems) {
                raw.plugins = shape::plugins(&at, &value, &mut problems);
            }
        } else if label == "pod.options" {
            raw.options = yaml::parse(&at, text, &mut problems).map(|value| (at, value));
        } else if label == "pod.volumes" {
            raw.volumes = yaml::parse(&at, text, &mut problems).map(|value| (at, value));
        } else if label == STOP_GRACE_PERIOD {
            raw.stop_grace_period = yaml::parse(&at, text, &mut problems).map(|value| (at, value));
        } else if label == "pod.compose.file" {
            if text.trim().is_empty() {
                problems.push(
                    at.problem("is empty").hint("write the path of a Compose file in the controller's container"),
                );
            }
            raw.compose_file = Some((at, text.trim().to_owned()));
        } else {
            problems.push(unknown_label(&at, label));
        }
    }
    if let Some((at, _)) = &raw.compose_file {
        // Whether there are components is in the file.
        raw.components_at = None;
        if let Some(component) = raw.components.first() {
            problems.push(
                at.problem(format!(
                    "components come from a Compose file or from labels, not from both; the label `{}` is here too",
                    component.at.label
                ))
                .hint("remove one of the two"),
            );
        }
    }
    (raw, problems)
}

/// The labels that are no component's.
const WHOLE_LABELS: [&str; 6] =
    ["pod.init.components", "pod.plugins", "pod.compose.file", "pod.options", "pod.volumes", STOP_GRACE_PERIOD];

fn unknown_label(at: &Place, label: &str) -> Problem {
    let problem = at.problem("unknown label");
    if let Some(right) = nearest(label, WHOLE_LABELS) {
        return problem.hint(format!("did you mean `{right}`?"));
    }
    // The name of a component may hold dots: all behind the second one belongs to it.
    let (kind, name) = match label.match_indices('.').nth(1).and_then(|(dot, _)| label.split_at_checked(dot)) {
        Some((kind, name)) => (kind, name.strip_prefix('.').unwrap_or(name)),
        None => (label, "<name>"),
    };
    match nearest(kind, ["pod.component", "pod.copy"]) {
        Some(right) => problem.hint(format!("did you mean `{right}.{name}`?")),
        None => problem
            .hint("valid labels: `pod.component.<name>`, `pod.init.components`, `pod.copy.<component>`, `pod.plugins`, `pod.options`, `pod.volumes`, `pod.stop_grace_period` and `pod.compose.file`"),
    }
}

/// What kind of value this is, for messages.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests;
