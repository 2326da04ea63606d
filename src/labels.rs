//! Labels and files as they were written.
//!
//! The readers take a container's labels, a `pod.yaml`, a stack file or the output of `docker inspect`, and answer [`RawPod`]s: what was written, split
//! into its parts but not yet understood. [`lower`](crate::pod::lower::lower) does the understanding. Both report every problem at once: where a reader finds a problem, it
//! lowers what it could read all the same, and answers the problems of both. `docs/labels.md` is the reference for users. Pure: no I/O.

pub mod compose;
mod detect;
mod document;
pub mod nearest;
pub mod schema;
mod shape;
mod write;
pub mod yaml;

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::pod::{Problem, Problems, lower};
use nearest::nearest;

/// Where something was written: what a [`Problem`] names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// A label such as `pod.component.app`, or a file's name.
    pub label: String,
    /// Dotted path within it, as `volumes[1].source`; empty for the whole.
    pub field: String,
}

impl Place {
    /// The whole of a label or file.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), field: String::new() }
    }

    /// A key of the map that is here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let field = if self.field.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field) };
        Self { label: self.label.clone(), field }
    }

    /// An item, counted from 0, of the list that is here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self { label: self.label.clone(), field: format!("{}[{index}]", self.field) }
    }

    /// A problem with what is here.
    #[must_use]
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::new(&self.label, &self.field, what)
    }
}

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
    /// Where the label `pod.compose.file` is, and the path that it names; [`compose::read`] puts the file's services in its place.
    pub compose_file: Option<(Place, String)>,
    /// What the readers passed over.
    pub warnings: Vec<String>,
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
    /// Whether it is a `pod.yaml`, whose controller `outrigger run` makes.
    pub is_document: bool,
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

/// Reads the labels of a controller's container. Labels that do not begin with `pod.` are left alone.
///
/// # Errors
/// Every problem of every label, those that only lowering finds among them.
pub fn from_labels(labels: &BTreeMap<String, String>) -> Result<RawPod, Problems> {
    let (raw, problems) = read_labels(labels);
    finish(raw, problems)
}

/// As [`from_labels`], but answers what could be read together with the reader's own problems.
#[must_use]
pub fn read_labels(labels: &BTreeMap<String, String>) -> (RawPod, Problems) {
    prefixed_labels("", labels)
}

/// Reads a `pod.yaml`; `origin` is its name in messages.
///
/// # Errors
/// Every problem of the file, those that only lowering finds among them.
pub fn from_document(origin: &str, yaml: &str) -> Result<RawPod, Problems> {
    let (raw, problems) = read_document(origin, yaml);
    finish(raw, problems)
}

/// As [`from_document`], but answers what could be read together with the reader's own problems.
#[must_use]
pub fn read_document(origin: &str, yaml: &str) -> (RawPod, Problems) {
    let at = Place::new(origin);
    let mut problems = Problems::default();
    match yaml::parse(&at, yaml, &mut problems) {
        Some(value) if value.get("services").is_some() && value.get("components").is_none() => {
            problems.push(at.problem("this is a stack or Compose file, and a `pod.yaml` was expected").hint(
                "start it with `docker stack deploy` or `docker compose up`; `outrigger check` and `plan` read it too",
            ));
            (RawPod::default(), problems)
        }
        Some(value) => document::read(&at, &value, problems),
        None => (RawPod::default(), problems),
    }
}

/// Reads the JSON form of a `pod.yaml`; `origin` is its name in messages.
///
/// # Errors
/// Every problem, those that only lowering finds among them.
pub fn from_value(origin: &str, value: impl Borrow<Value>) -> Result<RawPod, Problems> {
    let (raw, problems) = document::read(&Place::new(origin), value.borrow(), Problems::default());
    finish(raw, problems)
}

/// Finds the pods of a text: a `pod.yaml`, a stack or Compose file (each service with `pod.*` labels is a pod), the JSON of `docker inspect` for containers or
/// services, or a bare map of labels. Each comes with its name: the service's, the container's, or the file's without its ending.
///
/// # Errors
/// Every problem of every pod, those that only lowering finds among them, or that there is no pod.
pub fn sources(origin: &str, text: &str) -> Result<Vec<(String, RawPod)>, Problems> {
    let (sources, mut problems) = read_sources(origin, text);
    let failed = !problems.is_empty() || sources.iter().any(|source| !source.problems.is_empty());
    let mut pods = Vec::new();
    for source in sources {
        problems.extend(source.problems);
        if failed {
            problems.extend(lower::lower_partly(&source.raw).1);
        } else {
            pods.push((source.name, source.raw));
        }
    }
    problems.or(pods)
}

/// As [`sources`], but answers every pod as far as it could be read, and the problems that are no pod's own.
#[must_use]
pub fn read_sources(origin: &str, text: &str) -> (Vec<Source>, Problems) {
    detect::sources(origin, text)
}

/// The labels that say the same as this `pod.yaml` document; its `controller:` part has no label. Parts that are not of a document's form are left out:
/// the document is meant to be one that could be lowered, best [`plan::document::of`](crate::plan::document::of).
#[must_use]
pub fn to_labels(document: &Value) -> BTreeMap<String, String> {
    write::labels(document)
}

/// [`from_labels`] with `prefix` before every label in messages.
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
        } else if label == "pod.compose.file" {
            if text.trim().is_empty() {
                problems.push(at.problem("is empty").hint("name a Compose file by its path in the controller"));
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
                    "components are written in a Compose file or as labels, not both, and here is `{}` too",
                    component.at.label
                ))
                .hint("leave one of them out"),
            );
        }
    }
    (raw, problems)
}

/// The labels that are no component's.
const WHOLE_LABELS: [&str; 5] =
    ["pod.init.components", "pod.plugins", "pod.compose.file", "pod.options", "pod.volumes"];

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
            .hint("known are `pod.component.<name>`, `pod.init.components`, `pod.copy.<component>`, `pod.plugins`, `pod.options`, `pod.volumes` and `pod.compose.file`"),
    }
}

/// Answers `raw`, or all problems: the reader's and those that lowering finds in what could be read.
fn finish(raw: RawPod, mut problems: Problems) -> Result<RawPod, Problems> {
    if problems.is_empty() {
        return Ok(raw);
    }
    problems.extend(lower::lower_partly(&raw).1);
    Err(problems)
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
