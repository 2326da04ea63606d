//! Finds the pods of a text, whichever of the accepted forms it has.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Place, RawPod, Source, document, held, kind, placeholders, prefixed_labels, service, yaml};
use crate::problem::Problems;
use crate::problem::nearest;

/// Podlike's label that gives a volume the name by which components know it.
const VOLUME_REF: &str = "com.github.rycus86.podlike.volume-ref";

/// The pods so far.
type Found = Vec<Source>;

/// See [`super::read_sources`].
pub fn sources(origin: &str, text: &str, variable: &dyn Fn(&str) -> Option<String>) -> (Vec<Source>, Problems) {
    let at = Place::new(origin);
    let mut problems = Problems::default();
    let Some(value) = value(&at, text, &mut problems) else { return (Vec::new(), problems) };
    let mut found = Found::new();
    match &value {
        Value::Array(objects) => inspected(&at, objects, &mut found, &mut problems),
        Value::Object(map) if map.contains_key("services") => stack(&at, &value, &mut found, &mut problems),
        Value::Object(map) if map.contains_key("Config") || map.contains_key("Spec") => {
            inspected(&at, std::slice::from_ref(&value), &mut found, &mut problems);
        }
        Value::Object(map) if map.keys().any(|key| key.starts_with("pod.")) => {
            if let Some(labels) = label_map(&at, &value, &mut problems) {
                found.push(Source { labels_at: Some(at), ..source(stem(origin), prefixed_labels("", &labels)) });
            }
        }
        Value::Object(map) if is_document(map) => {
            let read = document::read_filled(&at, value.clone(), variable, Problems::default());
            let written = read.0.controller.as_ref().and_then(|(_, map)| map.get("name")).and_then(Value::as_str);
            let name = written.map_or_else(|| stem(origin), str::to_owned);
            found.push(Source { is_document: true, ..source(name, read) });
        }
        other => problems.push(neither(&at, other)),
    }
    (found, problems)
}

fn source(name: String, (raw, problems): (RawPod, Problems)) -> Source {
    Source { name, raw, problems, ..Source::default() }
}

/// JSON is YAML but for a few escapes and tabs, which its own reader knows.
fn value(at: &Place, text: &str, problems: &mut Problems) -> Option<Value> {
    let mut found = Problems::default();
    let parsed = yaml::parse(at, text, &mut found);
    if parsed.is_none()
        && text.trim_start().starts_with(['[', '{'])
        && let Ok(value) = serde_json::from_str(text)
    {
        return Some(value);
    }
    problems.extend(found);
    parsed
}

fn is_document(map: &serde_json::Map<String, Value>) -> bool {
    map.is_empty()
        || map.keys().any(|key| document::KEYS.contains(&key.as_str()) || nearest(key, document::KEYS).is_some())
}

fn neither(at: &Place, value: &Value) -> crate::problem::Problem {
    at.problem(format!(
        "expected a `pod.yaml` (with `components:`), a stack file (with `services:`) or the JSON of `docker inspect`, found {}",
        match value {
            Value::Object(map) => match map.keys().next() {
                Some(key) => format!("a map that begins with `{key}`"),
                None => "an empty map".to_owned(),
            },
            other => kind(other).to_owned(),
        }
    ))
}

/// Services with `pod.*` labels.
fn stack(at: &Place, value: &Value, found: &mut Found, problems: &mut Problems) {
    let (at, value_of_stack) = (at.key("services"), value);
    let services = match value.get("services") {
        Some(Value::Object(services)) => services,
        other => {
            let found = kind(other.unwrap_or(&Value::Null));
            problems.push(at.problem(format!("expected a map of services, found {found}")));
            return;
        }
    };
    let before = problems.0.len();
    let declared = declared(value_of_stack);
    for (name, written) in services {
        let at = at.key(name);
        for (path, what) in [("deploy", "the service"), ("build", "the image")] {
            misplaced(
                &at.key(path).key("labels"),
                written.get(path).and_then(|part| part.get("labels")),
                what,
                problems,
            );
        }
        let Some(value) = written.get("labels") else { continue };
        let Some(mut labels) = label_map(&at.key("labels"), value, problems) else { continue };
        let grace = service::Grace::of(value_of_stack, written, &mut labels);
        // In these files a `$` of a value is written `$$`.
        labels.values_mut().for_each(|text| *text = text.replace("$$", "$"));
        let doubts = service::doubts(&at, written);
        let unexpanded = unexpanded(&at.key("labels"), &labels);
        let prefix = format!("{}: {name}: ", at.label);
        let controller = (at.clone(), service::settings(written, value_of_stack.get("volumes")));
        if add(&prefix, name, &labels, at.key("labels"), controller, found)
            && let Some(source) = found.last_mut()
        {
            source.raw.warnings.extend(doubts);
            source.raw.warnings.extend(unexpanded);
            service::owners(&at, written, problems);
            source.raw.is_template = true;
            source.raw.warnings.extend(grace.doubt(&at));
            source.held = held::of_service(written);
            source.is_built = written.get("build").is_some();
            source.declared = declared.clone();
            let update = written.pointer("/deploy/update_config").filter(|update| !update.is_null());
            source.raw.update = update.map(|update| (at.key("deploy").key("update_config"), update.clone()));
        }
    }
    if found.is_empty() && problems.0.len() == before {
        let has_templates = std::iter::once(value).chain(services.values()).any(|part| part.get("x-podlike").is_some());
        problems.push(at.problem("no service has `pod.*` labels").hint(if has_templates {
            "this file has templates (`x-podlike`), which must be rendered first"
        } else {
            "write the labels in `labels:` of a service, beside its `image:`; or make a pod of each service with a template (`x-outrigger`, docs/templates.md); \
             or convert the file (docs/operations.md, \"From a Compose file\"), or give it unchanged to a controller with the label `pod.compose.file`"
        }));
    }
}

/// Notes the labels that have placeholders of Swarm.
fn unexpanded(at: &Place, labels: &BTreeMap<String, String>) -> Vec<String> {
    let of = |(label, text): (&String, &String)| {
        let placeholder = placeholders::first(text)?;
        let what = format!("Swarm does not replace `{placeholder}` in a label, so a component gets the text itself");
        let hint = "set a variable with this value in `environment` of the service, and write only the name of the variable in `environment` of the component";
        Some(at.key(label).problem(what).hint(hint).to_string())
    };
    labels.iter().filter(|(label, _)| label.starts_with("pod.")).filter_map(of).collect()
}

/// The volumes that a stack file declares, and podlike's other names of them.
fn declared(stack: &Value) -> Vec<(String, Option<String>)> {
    let volumes = stack.get("volumes").and_then(Value::as_object).into_iter().flatten();
    let other = |volume: &Value| match volume.get("labels")? {
        Value::Object(map) => map.get(VOLUME_REF)?.as_str().map(str::to_owned),
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .find_map(|label| label.strip_prefix(VOLUME_REF)?.strip_prefix('='))
            .map(str::to_owned),
        _ => None,
    };
    volumes.map(|(name, volume)| (name.clone(), other(volume))).collect()
}

/// `pod.*` labels where the controller can't see them.
fn misplaced(at: &Place, labels: Option<&Value>, of_what: &str, problems: &mut Problems) {
    let keys: Vec<&str> = match labels {
        Some(Value::Object(map)) => map.keys().map(String::as_str).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if keys.iter().any(|key| key.starts_with("pod.")) {
        problems.push(
            at.problem(format!("these are labels of {of_what}; the controller reads only the labels of its container"))
                .hint("move the `pod.*` labels to `labels:` of the service itself, which is beside `image:`"),
        );
    }
}

/// Containers or services as the engine describes them.
fn inspected(at: &Place, objects: &[Value], found: &mut Found, problems: &mut Problems) {
    for (index, object) in objects.iter().enumerate() {
        let at = at.index(index);
        let paths = ["/Config/Labels", "/Spec/TaskTemplate/ContainerSpec/Labels"];
        let Some((path, value)) = paths.iter().find_map(|path| Some((path, object.pointer(path)?))) else { continue };
        let labels_at = path.split('/').skip(1).fold(at.clone(), |at, key| at.key(key));
        let Some(labels) = label_map(&at, value, problems) else { continue };
        let name = ["/Name", "/Spec/Name"].iter().find_map(|path| object.pointer(path)).and_then(Value::as_str);
        let name = name.map_or_else(|| format!("[{index}]"), |name| name.trim_start_matches('/').to_owned());
        let settings = service::engine_settings(object);
        let is_service = object.pointer("/Spec/TaskTemplate").is_some();
        let grace = service::Grace::of_service(is_service, &settings, &labels);
        if add(&format!("{name}: "), &name, &labels, labels_at, (at.clone(), settings), found)
            && let Some(source) = found.last_mut()
        {
            source.raw.warnings.extend(grace.doubt(&at));
            source.held = held::of_object(object);
        }
    }
    if found.is_empty() && problems.is_empty() {
        problems.push(
            at.problem("no container has `pod.*` labels")
                .hint("`docker inspect` shows the labels of a container in `Config.Labels`"),
        );
    }
}

/// Adds what is a pod, and answers whether it is one.
fn add(
    prefix: &str,
    name: &str,
    labels: &BTreeMap<String, String>,
    labels_at: Place,
    controller: (Place, Map<String, Value>),
    found: &mut Found,
) -> bool {
    let is_pod = labels.keys().any(|label| label.starts_with("pod."));
    if is_pod {
        let mut read = source(name.to_owned(), prefixed_labels(prefix, labels));
        prefix.clone_into(&mut read.prefix);
        read.at = Some(controller.0.clone());
        read.labels_at = Some(labels_at);
        read.raw.controller = Some(controller).filter(|(_, settings)| !settings.is_empty());
        found.push(read);
    }
    is_pod
}

/// Labels as a map or as a list of `key=value`. None where it is neither.
fn label_map(at: &Place, value: &Value, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    match value {
        Value::Object(map) => {
            for (label, value) in map {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Null => String::new(),
                    Value::Bool(_) | Value::Number(_) => value.to_string(),
                    Value::Array(_) | Value::Object(_) if label.starts_with("pod.") => {
                        problems.push(at.key(label).problem(format!("expected text, found {}", kind(value))).hint(
                            "a label is text: write a `|` after the colon, and do not change the lines below it",
                        ));
                        continue;
                    }
                    Value::Array(_) | Value::Object(_) => continue,
                };
                labels.insert(label.clone(), text);
            }
        }
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                let Some(item) = item.as_str() else {
                    problems.push(at.index(index).problem(format!("expected `label=value`, found {}", kind(item))));
                    continue;
                };
                let (label, text) = item.split_once('=').unwrap_or((item, ""));
                if labels.insert(label.to_owned(), text.to_owned()).is_some() {
                    problems.push(at.index(index).problem(format!("the label `{label}` appears twice")));
                }
            }
        }
        Value::Null => {}
        other => {
            problems.push(at.problem(format!("expected labels as a map or a list, found {}", kind(other))));
            return None;
        }
    }
    Some(labels)
}

/// The file's name without directories and ending.
fn stem(origin: &str) -> String {
    let name = origin.rsplit('/').next().unwrap_or(origin);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { "pod".to_owned() } else { stem.to_owned() }
}
