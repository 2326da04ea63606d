use std::collections::BTreeMap;

use proptest::prelude::{any, prop, proptest};
use proptest::sample::select;
use proptest::strategy::Strategy;
use serde_json::json;

use super::{Place, to_labels, yaml};
use crate::pod::lower::lower;
use crate::pod::read::{from_document, from_labels, from_value, sources};
use crate::problem::Problems;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn yaml_merges_and_aliases_are_resolved() {
    let mut problems = Problems::default();
    let text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{x: 5}, *a]}\nd: *a\n1: {true: 0.5}";
    let value = yaml::parse(&Place::new("t"), text, &mut problems).unwrap();
    assert_eq!(
        value,
        json!({"a": {"x": 1, "y": 2}, "b": {"y": 3, "x": 1}, "c": {"x": 5, "y": 2}, "d": {"x": 1, "y": 2}, "1": {"true": 0.5}})
    );
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn a_laughing_billion_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let problems = from_document("pod.yaml", &text).unwrap_err();
    assert!(problems.to_string().contains("repetition limit exceeded"), "{problems}");
}

#[test]
fn aliases_do_not_make_much_of_little() {
    let long = vec!["x"; 2000].join(", ");
    let text = format!("a: &a [{long}]\nb: [{}]\n", vec!["*a"; 2000].join(", "));
    let problems = from_document("pod.yaml", &text).unwrap_err();
    assert!(problems.to_string().contains("more than 1000000 values"), "{problems}");
}

#[test]
fn a_deep_nest_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let text = format!("components: {}{}", open.repeat(5000), close.repeat(5000));
        let problems = from_document("pod.yaml", &text).unwrap_err().to_string();
        assert!(problems.contains("nested"), "{problems}");
    }
}

#[test]
fn readers_report_what_lowering_finds_too() {
    let problems = from_labels(&labels(&[("pod.component.app", "imge: a"), ("pod.plugin", "[]")])).unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.0.len(), 3, "{text}");
    assert!(text.contains("did you mean `pod.plugins`?") && text.contains("did you mean `image`?"), "{text}");
}

#[test]
fn labels_of_others_are_left_alone() {
    let raw = from_labels(&labels(&[("pod.component.app", "image: a"), ("podman.x", "y"), ("com.x", "{")])).unwrap();
    assert_eq!(raw.components.len(), 1);
}

#[test]
fn labels_and_document_say_the_same() {
    let document = json!({
        "components": {
            "web": {"image": "nginx", "environment": {"TRUE": "yes", "NUMBER": "012", "TEXT": " - a: #b\n\nc\t"}},
            "app": {"image": "a", "depends_on": ["web"], "plugins": ["redact"]},
        },
        "init": [{"image": "i", "command": "sh -c 'x y'"}],
        "copy": {"web": "/a:/b", "init-1": {"/c": "/d"}},
        "plugins": [{"reload": {"x": [1, null]}}],
    });
    let written = to_labels(&document);
    let keys: Vec<_> = written.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "pod.component.app",
            "pod.component.web",
            "pod.copy.init-1",
            "pod.copy.web",
            "pod.init.components",
            "pod.plugins"
        ]
    );
    let mut from_labels = lower(&from_labels(&written).unwrap()).unwrap();
    let mut from_document = lower(&from_value("pod.yaml", &document).unwrap()).unwrap();
    for spec in [&mut from_labels, &mut from_document] {
        spec.plugins.iter_mut().for_each(|plugin| plugin.origin.clear());
        spec.places.clear();
    }
    assert_eq!(from_labels, from_document);
}

#[test]
fn the_order_of_components_in_a_file_means_nothing() {
    let one = "components:\n  b: {image: b, plugins: [redact]}\n  a: {image: a, plugins: [signal], depends_on: [b]}\n";
    let other =
        "components:\n  a: {image: a, plugins: [signal], depends_on: [b]}\n  b: {image: b, plugins: [redact]}\n";
    let [one, other] = [one, other].map(|text| lower(&from_document("pod.yaml", text).unwrap()).unwrap());
    assert_eq!(one, other);
}

#[test]
fn pods_of_a_stack_are_named_after_their_services() {
    let text = "services:\n  one: {labels: {pod.component.app: 'image: a'}}\n  two: {labels: ['pod.component.app=image: b']}\n  three: {}\n";
    let names: Vec<_> = sources("stack.yml", text).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn a_file_without_a_name_of_its_own_gives_the_pod_its_name() {
    for (origin, name) in [("x/calc.yaml", "calc"), ("pod.yaml", "pod"), ("-", "-"), ("", "pod"), (".yaml", "pod")] {
        let pods = sources(origin, "components: {a: {image: a}}").unwrap();
        assert_eq!(pods[0].0, name, "{origin}");
    }
}

/// Pieces of which YAML that is nearly right can be made.
const PIECES: [&str; 48] = [
    "components:",
    "init:",
    "copy:",
    "plugins:",
    "controller:",
    "services:",
    "labels:",
    "app: ",
    "image: ",
    "command: ",
    "environment: ",
    "depends_on: ",
    "volumes: ",
    "healthcheck: ",
    "test: ",
    "ulimits: ",
    "pod.component.app: ",
    "pod.plugins: ",
    "\n",
    "\n  ",
    "\n    ",
    "\n      ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "'",
    "\"",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: ",
    "!t ",
    "!!int ",
    "? ",
    "#",
    "---\n",
    "\t",
    "1",
    "-1.5",
    "null",
    "/a:/b",
    "reload",
    "\u{85}",
];

fn yamlish() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat())
}

fn read_all(text: &str) {
    let lowered = from_document("pod.yaml", text).and_then(|raw| lower(&raw));
    if let Ok(spec) = lowered {
        drop(to_labels(&crate::plan::document::of(&spec)));
    }
    drop(sources("stack.yml", text));
    for label in ["pod.component.app", "pod.init.components", "pod.copy.app", "pod.plugins", "pod.x"] {
        drop(from_labels(&labels(&[(label, text), ("pod.component.b", "image: b")])).and_then(|raw| lower(&raw)));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        read_all(&text);
    }

    #[test]
    fn no_yaml_panics(text in yamlish()) {
        read_all(&text);
    }

    #[test]
    fn no_label_panics(label in "(pod\\.)?(component|copy|init|plugins?)?\\.?[a-zé.]{0,12}", text in yamlish()) {
        drop(from_labels(&labels(&[(&label, &text)])).and_then(|raw| lower(&raw)));
    }
}
