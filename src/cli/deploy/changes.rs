//! What a deployment changes in the services of a stack, in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::labels;

/// The labels of the containers, the components' among them.
const LABELS: &str = "/TaskTemplate/ContainerSpec/Labels";

/// One service before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    New(Vec<String>),
    /// Something of it is other than before.
    Changed(Vec<String>),
    /// It is as it was.
    Same,
    /// It is not there any more.
    Removed,
}

/// The changes by name of the service; services are as `docker service inspect` prints them.
pub fn of(before: &[Value], after: &[Value]) -> BTreeMap<String, Change> {
    let before: BTreeMap<&str, &Value> = before.iter().filter_map(named).collect();
    let after: BTreeMap<&str, &Value> = after.iter().filter_map(named).collect();
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let change = |name: &str| match (before.get(name), after.get(name)) {
        (None, Some(after)) => {
            Change::New(images(after).iter().map(|(what, image)| format!("{what}: image `{image}`")).collect())
        }
        (Some(_), None) | (None, None) => Change::Removed,
        (Some(before), Some(after)) if before == after => Change::Same,
        (Some(before), Some(after)) => Change::Changed(differences(before, after)),
    };
    names.into_iter().map(|name| (name.to_owned(), change(name))).collect()
}

/// The name and the specification of a service.
fn named(service: &Value) -> Option<(&str, &Value)> {
    let spec = service.get("Spec")?;
    Some((spec.get("Name")?.as_str()?, spec))
}

fn labels_of(spec: &Value) -> BTreeMap<String, String> {
    let labels = spec.pointer(LABELS).and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The settings of every component.
fn components(spec: &Value) -> BTreeMap<String, Map<String, Value>> {
    let (raw, _problems) = labels::read_labels(&labels_of(spec));
    let body = |component: labels::RawComponent| {
        (format!("component `{}`", component.name), component.body.unwrap_or_default())
    };
    raw.init.into_iter().chain(raw.components).map(body).collect()
}

/// The images of the controller and of every component.
fn images(spec: &Value) -> Vec<(String, String)> {
    let controller = spec.pointer("/TaskTemplate/ContainerSpec/Image").and_then(Value::as_str);
    let mut images: Vec<(String, String)> =
        controller.map(|image| ("controller".to_owned(), without_digest(image).to_owned())).into_iter().collect();
    for (what, body) in components(spec) {
        images.extend(body.get("image").and_then(Value::as_str).map(|image| (what, image.to_owned())));
    }
    // A service without components is no pod.
    if let [(what, _)] = images.as_mut_slice() {
        "container".clone_into(what);
    }
    images
}

/// docker adds the digest to the tag that was written.
fn without_digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(name, _)| name)
}

fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (images(before).into_iter().collect(), images(after).into_iter().collect());
    for (what, image) in &new {
        match old.get(what) {
            Some(was) if was != image => found.push(format!("{what}: image `{was}` -> `{image}`")),
            Some(_) => {}
            None => found.push(format!("{what}: new, image `{image}`")),
        }
    }
    found.extend(old.keys().filter(|what| !new.contains_key(*what)).map(|what| format!("{what}: removed")));
    // The digest of a tag that was built anew.
    let reference = |spec: &'_ Value| spec.pointer("/TaskTemplate/ContainerSpec/Image").cloned();
    if reference(before) != reference(after)
        && found.iter().all(|line| !line.starts_with("controller: ") && !line.starts_with("container: "))
    {
        found.push("container: another digest of the image".to_owned());
    }
    let (was, is) = (components(before), components(after));
    for (what, body) in &is {
        let Some(earlier) = was.get(what) else { continue };
        let keys: Vec<String> =
            differing(earlier, body).into_iter().filter(|key| key != "image").map(|key| format!("`{key}`")).collect();
        if !keys.is_empty() {
            found.push(format!("{what}: {}", keys.join(", ")));
        }
    }
    let (was, is) = (labels_of(before), labels_of(after));
    let is_component = |label: &str| label.starts_with("pod.component.") || label == "pod.init.components";
    let labels: BTreeSet<&String> =
        was.keys().chain(is.keys()).filter(|label| was.get(*label) != is.get(*label)).collect();
    found.extend(labels.into_iter().filter(|label| !is_component(label)).map(|label| format!("label `{label}`")));
    let replicas = |spec: &Value| spec.pointer("/Mode/Replicated/Replicas").and_then(Value::as_u64);
    if let (Some(was), Some(is)) = (replicas(before), replicas(after))
        && was != is
    {
        found.push(format!("replicas {was} -> {is}"));
    }
    found.extend(others(before, after));
    if found.is_empty() {
        // What is written differs and means the same, such as the order of a component's keys.
        found.push("written otherwise".to_owned());
    }
    found
}

/// What else differs, by the engine's names.
fn others(before: &Value, after: &Value) -> Vec<String> {
    let empty = Map::new();
    let part = |spec: &Value, path: &str| spec.pointer(path).and_then(Value::as_object).unwrap_or(&empty).clone();
    let differing_at = |path: &str, known: &[&str]| {
        let keys = differing(&part(before, path), &part(after, path));
        keys.into_iter().filter(|key| !known.contains(&key.as_str())).map(|key| format!("`{key}`")).collect::<Vec<_>>()
    };
    let mut found = differing_at("", &["TaskTemplate", "Mode"]);
    found.extend(differing_at("/TaskTemplate", &["ContainerSpec"]));
    found.extend(differing_at("/TaskTemplate/ContainerSpec", &["Image", "Labels"]));
    found
}

fn differing(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

/// For people.
pub fn text(changes: &BTreeMap<String, Change>) -> String {
    let mut text = String::new();
    for (name, change) in changes {
        let (word, lines) = match change {
            Change::New(lines) => ("is new", lines.as_slice()),
            Change::Changed(lines) => ("changes", lines.as_slice()),
            Change::Same => ("is unchanged", &[][..]),
            Change::Removed => ("is removed", &[][..]),
        };
        text.push_str(&format!("service `{name}` {word}\n"));
        text.extend(lines.iter().map(|line| format!("  {line}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, image: &str, replicas: u64, labels: &Value, env: &Value) -> Value {
        json!({"ID": "x", "Spec": {"Name": name, "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Image": image, "Labels": labels, "Env": env}}}})
    }

    fn changes(before: &[Value], after: &[Value]) -> String {
        text(&of(before, after))
    }

    #[test]
    fn a_new_image_of_a_component_is_named() {
        let app =
            |tag: &str, more: &str| json!({"pod.component.app": format!("image: acme/app:{tag}\n{more}"), "x": "y"});
        let before = service("shop_web", "outrigger:1@sha256:ab", 2, &app("1", ""), &json!([]));
        let after = service("shop_web", "outrigger:1@sha256:ab", 2, &app("2", ""), &json!([]));
        let same = changes(std::slice::from_ref(&before), std::slice::from_ref(&before));
        assert_eq!(same, "service `shop_web` is unchanged\n");
        let told = changes(std::slice::from_ref(&before), std::slice::from_ref(&after));
        assert_eq!(told, "service `shop_web` changes\n  component `app`: image `acme/app:1` -> `acme/app:2`\n");
        let after = service("shop_web", "outrigger:2@sha256:cd", 3, &app("2", "command: [serve]\n"), &json!(["A=1"]));
        let told = changes(std::slice::from_ref(&before), &[after]);
        assert_eq!(
            told,
            "service `shop_web` changes\n  component `app`: image `acme/app:1` -> `acme/app:2`\n  \
             controller: image `outrigger:1` -> `outrigger:2`\n  component `app`: `command`\n  replicas 2 -> 3\n  `Env`\n"
        );
    }

    #[test]
    fn services_and_components_come_and_go() {
        let with = |labels: Value| service("a", "outrigger", 1, &labels, &json!([]));
        let one = with(json!({"pod.component.app": "image: a", "pod.plugins": "[reload]"}));
        let other = with(json!({"pod.component.web": "image: b", "pod.init.components": "[{name: made, image: c}]"}));
        assert_eq!(
            changes(std::slice::from_ref(&one), &[other]),
            "service `a` changes\n  component `made`: new, image `c`\n  component `web`: new, image `b`\n  component `app`: removed\n  label `pod.plugins`\n"
        );
        let plain = service("b", "nginx:1@sha256:ab", 1, &json!({}), &json!([]));
        assert_eq!(
            changes(std::slice::from_ref(&one), &[plain]),
            "service `a` is removed\nservice `b` is new\n  container: image `nginx:1`\n"
        );
        let rebuilt = service("b", "nginx:1@sha256:cd", 1, &json!({}), &json!([]));
        let plain = service("b", "nginx:1@sha256:ab", 1, &json!({}), &json!([]));
        assert_eq!(changes(&[plain], &[rebuilt]), "service `b` changes\n  container: another digest of the image\n");
        let commented = with(json!({"pod.component.app": "image: a # the same", "pod.plugins": "[reload]"}));
        assert_eq!(changes(&[one], &[commented]), "service `a` changes\n  written otherwise\n");
    }
}
