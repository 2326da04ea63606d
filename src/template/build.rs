//! One service and its templates to the service of a pod: the controller's settings, and labels with the components.

use serde_json::{Map, Value};

use super::expand::{expand, to_data, to_map};
use super::fetch::{self, Sources};
use super::merge::{merge, pairs};
use super::service;
use super::source::{Registration, Template};
use super::{Note, grace, inherit, keys, read, write};
use crate::config::ENGINE_SOCKET;
use crate::labels::held::path_of;
use crate::labels::{Place, kind};
use crate::problem::Problems;

/// One service on its way to a pod.
pub struct Builder<'a> {
    /// Its name.
    pub name: &'a str,
    /// As it was written, its environment files read.
    pub service: &'a Map<String, Value>,
    /// Its templates.
    pub registration: &'a Registration,
    /// The global arguments.
    pub args: &'a Map<String, Value>,
    /// The controller's image where no template names one.
    pub image: &'a str,
    /// Where templates come from.
    pub sources: &'a mut dyn Sources,
    /// Everything that was wrong so far.
    pub problems: &'a mut Problems,
    /// What was left out, for the user to know.
    pub notes: &'a mut Vec<Note>,
}

/// What has become of one service.
pub struct Made {
    /// The service of the pod.
    pub service: Map<String, Value>,
    /// What the labels that were made hold.
    pub labels: Map<String, Value>,
    /// Its grace period, if a variable has it.
    pub open: Option<grace::Open>,
}

impl Builder<'_> {
    /// Makes the service of the pod. What could not be made is missing in it, and told.
    pub fn build(mut self) -> Made {
        let data = self.data();
        let mut pod = self.pod(&data);
        let open = grace::raise(self.name, &mut pod, self.service);
        let (main, mut body) = self.main(&data);
        let others = self.components(&data);
        self.depend(&main, &mut body, &others);
        let mut labels = Map::new();
        labels.insert(format!("pod.component.{main}"), Value::Object(body));
        for (name, body) in others {
            let label = format!("pod.component.{name}");
            if labels.contains_key(&label) {
                self.problems.push(
                    self.registration
                        .at
                        .key("templates")
                        .problem(format!(
                            "two components have the name `{name}`, which is the name of the main component"
                        ))
                        .hint("rename one of the two: the key at the root of a template is the name of the component"),
                );
            }
            labels.insert(label, body);
        }
        let init = self.init(&data);
        if !init.is_empty() {
            labels.insert("pod.init.components".to_owned(), Value::Array(init));
        }
        for (component, files) in self.copies(&data) {
            labels.insert(format!("pod.copy.{component}"), files);
        }
        let at = self.registration.at.key("pod").key("labels");
        let mut own = match pod.shift_remove("labels") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(Value::Array(list)) => pairs("labels", &list).unwrap_or_default(),
            Some(other) => {
                self.problems.push(at.problem(format!("expected labels as a map or a list, found {}", kind(&other))));
                Map::new()
            }
        };
        inherit::expanded(&pod, &mut labels);
        own.extend(labels.iter().map(|(label, body)| (label.clone(), write::body(body).into())));
        self.unseen(&main, &pod, &own);
        pod.insert("labels".to_owned(), Value::Object(own));
        Made { service: pod, labels, open }
    }

    fn note(&mut self, text: String) {
        self.notes.push(Note { service: self.name.to_owned(), text });
    }

    fn args(&self) -> Map<String, Value> {
        let mut args = self.registration.args.clone();
        // A global argument of another form is no mistake: the service has its own.
        merge(&mut args, self.args, &Place::default(), &mut Problems::default());
        args
    }

    fn data(&self) -> gotmpl::Value {
        let args = Value::Object(self.args());
        to_map([("Service", service::view(self.name, self.service)), ("Args", to_data(&args))])
    }

    /// The map that a template makes; empty where it makes nothing.
    fn rendered(&mut self, template: &Template, data: &gotmpl::Value) -> Option<Map<String, Value>> {
        let (name, source) = fetch::text(template, self.sources, self.problems)?;
        let at = &template.at;
        let args = self.args();
        let text = match expand(&name, &source, data) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(at.problem(error));
                return None;
            }
        };
        let mut wrong = Problems::default();
        let read = read::read(at, &text, &mut wrong);
        let failed = !wrong.is_empty();
        for problem in wrong.0 {
            let hint = format!("output of the template `{name}`:\n{}", numbered(&text));
            self.problems.push(if read.is_none() { problem.hint(hint) } else { problem });
        }
        match read {
            Some(value) if !failed => match value {
                Value::Object(map) => {
                    self.no_values(at, &Value::Object(map.clone()), &uses(&name, &source, &args));
                    Some(map)
                }
                Value::Null => Some(Map::new()),
                other => {
                    let what = format!("expected the template `{name}` to produce a map, found {}", kind(&other));
                    self.problems.push(at.problem(what));
                    None
                }
            },
            _ => None,
        }
    }

    /// Notes the configs and secrets of the service that no label of the pod mentions: they stay with the controller, and the application, which had them as a service,
    /// would miss them.
    fn unseen(&mut self, main: &str, pod: &Map<String, Value>, labels: &Map<String, Value>) {
        for (key, word) in [("configs", "config"), ("secrets", "secret")] {
            for entry in pod.get(key).and_then(Value::as_array).into_iter().flatten() {
                let Some(path) = path_of(key, entry) else { continue };
                let mentions = |value: &Value| value.as_str().is_some_and(|text| text.contains(&path));
                // A directory that is copied as a whole brings what is in it.
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                let copies =
                    |value: &Value| !parent.is_empty() && value.as_str().is_some_and(|text| text.contains(parent));
                let is_copied = labels
                    .iter()
                    .any(|(label, value)| mentions(value) || (label.starts_with("pod.copy.") && copies(value)));
                if !is_copied {
                    self.note(format!(
                        "the controller gets the {word} `{path}`, and no component does (hint: copy it: \
                         `pod.copy.{main}: \"{path}:{path}\"` in the labels of the service)"
                    ));
                }
            }
        }
    }

    /// What Go prints for something that is not there is nobody's setting.
    fn no_values(&mut self, at: &Place, value: &Value, uses: &str) {
        match value {
            Value::String(text) if text.contains("<no value>") => {
                self.problems.push(at.problem(format!("{uses}, which is not set: the result is `<no value>`")).hint(
                    "set the value in `args`, correct the name, or write a default: `{{ or .Args.X \"default\" }}`",
                ));
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(index, item)| self.no_values(&at.index(index), item, uses))
            }
            Value::Object(map) => map.iter().for_each(|(key, item)| self.no_values(&at.key(key), item, uses)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The name and the settings of the one thing that a template makes.
    fn single(
        &mut self,
        template: &Template,
        data: &gotmpl::Value,
        what: &str,
    ) -> Option<(Option<String>, Map<String, Value>)> {
        let map = self.rendered(template, data)?;
        if keys::is_body(&map) {
            return Some((None, map));
        }
        let mut entries = map.into_iter();
        let (name, body) = match (entries.next(), entries.next()) {
            (Some((name, body)), None) => (name, body),
            (None, _) => {
                self.problems
                    .push(template.at.problem(format!("expected the template to produce one {what}, found nothing")));
                return None;
            }
            (Some((first, _)), Some((second, _))) => {
                let what = format!("expected the template to produce one {what}, found `{first}` and `{second}`");
                self.problems.push(template.at.problem(what));
                return None;
            }
        };
        match body {
            Value::Object(body) => Some((Some(name), body)),
            Value::Null => Some((Some(name), Map::new())),
            other => {
                let what = format!("expected `{name}` to be a map of settings, found {}", kind(&other));
                self.problems.push(template.at.problem(what));
                None
            }
        }
    }

    fn pod(&mut self, data: &gotmpl::Value) -> Map<String, Value> {
        let mut pod = Map::new();
        for template in &self.registration.pod {
            if let Some((_, body)) = self.single(template, data, "controller") {
                merge(&mut pod, &body, &template.at, self.problems);
            }
        }
        for (key, value) in self.service.iter().filter(|(key, _)| keys::POD.contains(&key.as_str())) {
            pod.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if self.registration.pod.is_empty() {
            pod.entry("command").or_insert_with(|| "-logs".into());
        }
        pod.entry("image").or_insert_with(|| self.image.into());
        match pod.entry("volumes").or_insert(Value::Null) {
            list @ (Value::Null | Value::Array(_)) => {
                let mut volumes = list.as_array().cloned().unwrap_or_default();
                if !volumes.iter().flat_map(service::short::volume).any(|it| is_socket(&it)) {
                    volumes.push(format!("{ENGINE_SOCKET}:{ENGINE_SOCKET}:ro").into());
                }
                *list = Value::Array(volumes);
            }
            other => {
                let what = format!("expected a list, found {}", kind(other));
                self.problems.push(self.registration.at.key("pod").key("volumes").problem(what));
            }
        }
        pod
    }

    fn main(&mut self, data: &gotmpl::Value) -> (String, Map<String, Value>) {
        let mut name = None;
        let mut body = Map::new();
        for template in &self.registration.transformer {
            if let Some((root, made)) = self.single(template, data, "component") {
                name = name.or(root);
                merge(&mut body, &made, &template.at, self.problems);
            }
        }
        for (key, value) in self.service.iter().filter(|(key, _)| keys::COMPONENT.contains(&key.as_str())) {
            if !body.contains_key(key) {
                let value = if key == "labels" { without_pod(value) } else { value.clone() };
                body.insert(key.clone(), value);
            }
        }
        (name.unwrap_or_else(|| "app".to_owned()), body)
    }

    fn components(&mut self, data: &gotmpl::Value) -> Map<String, Value> {
        let mut all = Map::new();
        for template in &self.registration.templates {
            if let Some(made) = self.rendered(template, data) {
                merge(&mut all, &made, &template.at, self.problems);
            }
        }
        all
    }

    /// The service's own `depends_on` names services, which start on their own; a component waits for components only.
    fn depend(&mut self, main: &str, body: &mut Map<String, Value>, others: &Map<String, Value>) {
        let services = |it: &str| it != main && others.contains_key(it);
        if self.service.get("depends_on") != body.get("depends_on") {
            return;
        }
        let Some(written) = body.shift_remove("depends_on") else { return };
        let (kept, dropped): (Vec<String>, Vec<String>) = match &written {
            Value::Array(list) => list.iter().map(service::text).partition(|name| services(name)),
            Value::Object(map) => map.keys().cloned().partition(|name| services(name)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
        };
        if !dropped.is_empty() {
            self.note(format!(
                "`depends_on` of {} is ignored: a component can wait only for components of the same pod",
                dropped.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ));
        }
        if !kept.is_empty() {
            let value = match written {
                Value::Object(map) => Value::Object(map.into_iter().filter(|(name, _)| kept.contains(name)).collect()),
                _ => kept.into(),
            };
            body.insert("depends_on".to_owned(), value);
        }
    }

    fn init(&mut self, data: &gotmpl::Value) -> Vec<Value> {
        let mut list = Vec::new();
        for template in &self.registration.init {
            let Some(map) = self.rendered(template, data) else { continue };
            match (keys::is_body(&map), map.len()) {
                (true, 1..) => list.push(Value::Object(map)),
                // A template may leave its component out.
                (_, 0) => {}
                (_, 1) => list.extend(map.into_iter().map(|(_, body)| body)),
                _ => {
                    let names: Vec<String> = map.keys().map(|name| format!("`{name}`")).collect();
                    let what = format!("expected the template to produce one component, found {}", names.join(" and "));
                    self.problems
                        .push(template.at.problem(what).hint("write one template for each component, in their order"));
                }
            }
        }
        list
    }

    fn copies(&mut self, data: &gotmpl::Value) -> Map<String, Value> {
        let mut all = Map::new();
        for template in &self.registration.copy {
            let Some(made) = self.rendered(template, data) else { continue };
            let listed =
                made.into_iter().map(|(component, files)| (component, Value::Array(list_of_copies(files)))).collect();
            merge(&mut all, &listed, &template.at, self.problems);
        }
        all
    }
}

/// Files to copy as a list, whichever form they have.
fn list_of_copies(files: Value) -> Vec<Value> {
    match files {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        Value::Object(map) => map
            .into_iter()
            .map(|(source, target)| match target {
                Value::String(target) => Value::String(format!("{source}:{target}")),
                other => Value::Object(Map::from_iter([(source, other)])),
            })
            .collect(),
        one => vec![one],
    }
}

/// Labels of a component: those of the pod stay with its controller.
fn without_pod(labels: &Value) -> Value {
    match labels {
        Value::Object(map) => {
            map.iter().filter(|(key, _)| !key.starts_with("pod.")).map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        Value::Array(list) => {
            list.iter().filter(|item| !item.as_str().is_some_and(|text| text.starts_with("pod."))).cloned().collect()
        }
        other => other.clone(),
    }
}

fn is_socket(volume: &Value) -> bool {
    let target = volume.get("target").map(service::text).unwrap_or_default();
    target == ENGINE_SOCKET || target == "/run/docker.sock"
}

/// The first lines of a text with their numbers.
fn numbered(text: &str) -> String {
    const MOST: usize = 40;
    let lines: Vec<String> =
        text.lines().take(MOST).enumerate().map(|(index, line)| format!("{:>6} | {line}", index + 1)).collect();
    lines.join("\n")
}
/// Begins what is told of a template that uses what nobody gives: with its name and, as far as its text tells, with that of what is missing.
fn uses(name: &str, source: &str, args: &Map<String, Value>) -> String {
    let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut missing: Vec<&str> = source
        .split(".Args.")
        .skip(1)
        .filter_map(|rest| rest.split(|c| !in_name(c)).next())
        .map(|path| path.trim_end_matches('.'))
        .filter(|path| !is_given(path, args))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    match missing.as_slice() {
        [] => format!("the template `{name}` uses a value"),
        some => format!("the template `{name}` uses `.Args.{}`", some.join("`, `.Args.")),
    }
}

fn is_given(path: &str, args: &Map<String, Value>) -> bool {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|name| args.get(name));
    parts.try_fold(first, |value, name| value.map(|value| value.get(name))).flatten().is_some()
}
