//! What a deployment changes in the services of a stack, in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::written;
use crate::labels;
use crate::labels::{Place, yaml};
use crate::pod::Problems;

/// So many differences of one service are shown.
const MOST: usize = 100;

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
    /// It is as it was, and not in the files any more.
    Left,
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

/// Tells the services apart that are as they were because the files do not have them any more; `written` are the names of those of the files.
pub fn leave(changes: &mut BTreeMap<String, Change>, written: &BTreeSet<String>) {
    let left = changes.iter_mut().filter(|(name, change)| **change == Change::Same && !written.contains(*name));
    left.for_each(|(_, change)| *change = Change::Left);
}

/// The name and the specification of a service.
fn named(service: &Value) -> Option<(&str, &Value)> {
    let spec = service.get("Spec")?;
    Some((spec.get("Name")?.as_str()?, spec))
}

/// The labels of a service's containers.
pub fn labels_of(spec: &Value) -> BTreeMap<String, String> {
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
    if let Some((what, _)) = images.first_mut().filter(|_| !is_pod(&labels_of(spec))) {
        "container".clone_into(what);
    }
    images
}

/// Whether the labels describe components, here or in a file of the controller.
pub fn is_pod(labels: &BTreeMap<String, String>) -> bool {
    labels.keys().any(|label| is_component(label) || label == "pod.compose.file")
}

fn is_component(label: &str) -> bool {
    label.starts_with("pod.component.") || label == "pod.init.components"
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
        let what = if is_pod(&labels_of(after)) { "controller" } else { "container" };
        found.push(format!("{what}: new digest of the same image"));
    }
    let (was, is) = (components(before), components(after));
    for (what, body) in &is {
        let Some(earlier) = was.get(what) else { continue };
        let lines = written::differences(&settings(earlier), &settings(body));
        found.extend(lines.iter().map(|line| format!("{what}: {line}")));
    }
    let (was, is) = (labels_of(before), labels_of(after));
    let labels: BTreeSet<&String> = was.keys().chain(is.keys()).filter(|label| !is_component(label)).collect();
    for label in labels {
        let (was, is) = (was.get(label).map(|text| value(text)), is.get(label).map(|text| value(text)));
        let mut lines = Vec::new();
        written::compare(&mut Vec::new(), was.as_ref(), is.as_ref(), &mut lines);
        found.extend(lines.iter().map(|line| format!("label `{label}`: {line}")));
    }
    found.extend(written::differences(&written::service(before), &written::service(after)));
    if found.is_empty() {
        // What is written differs and means the same, such as the order of a component's keys.
        found.push("different notation, same meaning".to_owned());
    }
    let more = found.len().saturating_sub(MOST);
    if more > 0 {
        found.truncate(MOST);
        found.push(format!("and {more} more changes"));
    }
    found
}

/// The settings of a component, except its image.
fn settings(body: &Map<String, Value>) -> Map<String, Value> {
    let mut settings = body.clone();
    settings.remove("image");
    for key in ["environment", "labels"] {
        if let Some(value) = settings.get_mut(key) {
            *value = written::variables(value.take());
        }
    }
    settings
}

/// The value of a label; the text itself if it is no YAML.
fn value(label: &str) -> Value {
    let mut problems = Problems::default();
    yaml::parse(&Place::new("label"), label, &mut problems).unwrap_or_else(|| Value::String(label.to_owned()))
}

/// For people.
pub fn text(changes: &BTreeMap<String, Change>) -> String {
    let mut text = String::new();
    for (name, change) in changes {
        let (word, lines) = match change {
            Change::New(lines) => ("is new", lines.as_slice()),
            Change::Changed(lines) => ("changes", lines.as_slice()),
            Change::Same => ("is unchanged", &[][..]),
            Change::Left => ("is in the stack, but not in the files: it stays, and `--prune` removes it", &[][..]),
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
             controller: image `outrigger:1` -> `outrigger:2`\n  component `app`: `command`: new, `[\"serve\"]`\n  `deploy.replicas`: `2` -> `3`\n  \
             `environment.A`: new, `1`\n"
        );
    }

    #[test]
    fn a_service_that_the_files_have_no_more_is_not_called_unchanged() {
        let of = |name: &str| service(name, "a", 1, &json!({}), &json!([]));
        let both = [of("shop_new"), of("shop_old")];
        let mut changes = super::of(&both, &both);
        leave(&mut changes, &BTreeSet::from(["shop_new".to_owned()]));
        assert_eq!(
            text(&changes),
            "service `shop_new` is unchanged\n\
             service `shop_old` is in the stack, but not in the files: it stays, and `--prune` removes it\n"
        );
    }

    #[test]
    fn services_and_components_come_and_go() {
        let with = |labels: Value| service("a", "outrigger", 1, &labels, &json!([]));
        let one = with(json!({"pod.component.app": "image: a", "pod.plugins": "[reload]"}));
        let other = with(json!({"pod.component.web": "image: b", "pod.init.components": "[{name: made, image: c}]"}));
        assert_eq!(
            changes(std::slice::from_ref(&one), &[other]),
            "service `a` changes\n  component `made`: new, image `c`\n  component `web`: new, image `b`\n  component `app`: removed\n  label `pod.plugins`: removed\n"
        );
        let plain = service("b", "nginx:1@sha256:ab", 1, &json!({}), &json!([]));
        assert_eq!(
            changes(std::slice::from_ref(&one), &[plain]),
            "service `a` is removed\nservice `b` is new\n  container: image `nginx:1`\n"
        );
        let rebuilt = service("b", "nginx:1@sha256:cd", 1, &json!({}), &json!([]));
        let plain = service("b", "nginx:1@sha256:ab", 1, &json!({}), &json!([]));
        assert_eq!(changes(&[plain], &[rebuilt]), "service `b` changes\n  container: new digest of the same image\n");
        let commented = with(json!({"pod.component.app": "image: a # the same", "pod.plugins": "[reload]"}));
        assert_eq!(changes(&[one], &[commented]), "service `a` changes\n  different notation, same meaning\n");
    }

    #[test]
    fn what_changes_in_a_component_or_a_label_is_shown_as_old_and_new() {
        let with = |app: &str, options: &str| {
            service(
                "a",
                "outrigger",
                1,
                &json!({"pod.component.app": app, "pod.options": options, "pod.note": "x: y: z"}),
                &json!([]),
            )
        };
        let before = with("{image: a, environment: [LEVEL=info, API_KEY=one], mem_limit: 64m}", "settle: 10s");
        let after = with("{image: a, environment: {LEVEL: debug, API_KEY: two}, mem_limit: 128m}", "settle: 30s");
        assert_eq!(
            changes(&[before], &[after]),
            "service `a` changes\n  component `app`: `environment.API_KEY`: another value, which is not shown\n  \
             component `app`: `environment.LEVEL`: `info` -> `debug`\n  component `app`: `mem_limit`: `64m` -> `128m`\n  \
             label `pod.options`: `settle`: `10s` -> `30s`\n"
        );
    }

    #[test]
    fn a_pod_of_a_compose_file_has_a_controller() {
        let of = |tag: &str| {
            service("a", &format!("outrigger:{tag}"), 1, &json!({"pod.compose.file": "/pod.yml"}), &json!([]))
        };
        assert_eq!(changes(&[], &[of("1")]), "service `a` is new\n  controller: image `outrigger:1`\n");
        assert_eq!(
            changes(&[of("1")], &[of("2")]),
            "service `a` changes\n  controller: image `outrigger:1` -> `outrigger:2`\n"
        );
        let digest = |digest: &str| {
            service("a", &format!("outrigger@sha256:{digest}"), 1, &json!({"pod.compose.file": "/pod.yml"}), &json!([]))
        };
        assert_eq!(
            changes(&[digest("a")], &[digest("b")]),
            "service `a` changes\n  controller: new digest of the same image\n"
        );
    }

    #[test]
    fn the_list_of_changes_has_an_end() {
        let env = |value: u32| json!((0..150).map(|n| format!("V{n}={value}")).collect::<Vec<_>>());
        let (before, after) = (service("a", "x", 1, &json!({}), &env(1)), service("a", "x", 1, &json!({}), &env(2)));
        let told = changes(&[before], &[after]);
        assert_eq!(told.lines().count(), 1 + MOST + 1);
        assert!(told.ends_with("  and 50 more changes\n"), "{told}");
    }
}
