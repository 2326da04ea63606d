use super::*;
use crate::labels::read_labels;
use std::collections::BTreeMap;

fn environment(name: &str) -> Option<String> {
    match name {
        "TAG" => Some("1.2".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(text: &str) -> (RawPod, Problems) {
    let labels = BTreeMap::from([("pod.compose.file".to_owned(), "/run/app/compose.yml".to_owned())]);
    let (mut raw, mut problems) = read_labels(&labels);
    problems.extend(super::read(&mut raw, Ok::<_, String>(text), &environment));
    (raw, problems)
}

fn image(written: &str) -> Result<String, String> {
    let (raw, problems) = read(&format!("services: {{app: {{image: '{written}'}}}}"));
    problems.or(()).map_err(|problems| problems.to_string())?;
    Ok(raw.components[0].body.as_ref().unwrap()["image"].as_str().unwrap().to_owned())
}

#[test]
fn variables_are_filled_in_as_compose_does() {
    for (written, expected) in [
        ("a:$TAG", "a:1.2"),
        ("a:${TAG}-x", "a:1.2-x"),
        ("a$$TAG", "a$TAG"),
        ("${NONE:-d}", "d"),
        ("${NONE-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("x${EMPTY-d}", "x"),
        ("${TAG:+set}", "set"),
        ("x${NONE:+set}", "x"),
        ("x${EMPTY:+set}", "x"),
        ("x${EMPTY+set}", "xset"),
        ("${NONE:-${EMPTY:-${TAG}}}", "1.2"),
        ("${NONE:-a-b:c}", "a-b:c"),
        ("${NONE:--}", "-"),
        ("${TAG:?needed}", "1.2"),
        ("x${NONE}", "x"),
    ] {
        assert_eq!(image(written).as_deref(), Ok(expected), "{written}");
    }
    for (written, expected) in [
        ("${NONE:?set it}", "the variable `NONE` is required, but the controller does not have it (hint: set it)"),
        ("${EMPTY:?}", "the variable `EMPTY` is required"),
        ("a$", "does not begin a variable"),
        ("$(x)", "does not begin a variable"),
        ("${TAG", "does not begin a variable"),
        ("${}", "does not begin a variable"),
        ("${1}", "does not begin a variable"),
        ("${TAG!x}", "does not begin a variable"),
        ("${TAG:}", "does not begin a variable"),
    ] {
        let found = image(written).unwrap_err();
        assert!(found.contains(expected), "{written}: {found}");
    }
    let deep = format!("{}x{}", "${A:-".repeat(20), "}".repeat(20));
    assert!(image(&deep).unwrap_err().contains("nested deeper"));
}

#[test]
fn an_unset_variable_is_told_once() {
    let (raw, _) = read("services: {app: {image: 'x$NONE', user: 'y$NONE'}}");
    assert_eq!(raw.warnings.len(), 1, "{:?}", raw.warnings);
    assert!(raw.warnings[0].contains("`NONE`"));
}

/// What is wrong because a variable is empty is told with its name.
#[test]
fn a_problem_that_an_unset_variable_makes_names_it() {
    let (raw, problems) = read("services: {app: {image: 'busybox:${NONE}'}}");
    assert!(problems.is_empty(), "{problems}");
    let (_, problems) = crate::pod::lower::lower_partly(&raw);
    let told = problems.to_string();
    assert!(told.contains("`busybox:` is not an image") && told.contains("the variable `NONE` is not set"), "{told}");
}

#[test]
fn only_services_and_volumes_matter() {
    let text = "
name: x
x-base: &base {image: a}
services:
  app: {<<: *base, profiles: [debug], env_file: [./env, /abs, {path: more}]}
volumes: {data: {driver: local}}
networks: {front: }
secrets: {key: {file: ./key}}
";
    let (raw, problems) = read(text);
    assert!(problems.is_empty(), "{problems}");
    let body = raw.components[0].body.as_ref().unwrap();
    assert_eq!(body["image"], "a");
    assert_eq!(body["env_file"], serde_json::json!(["/run/app/env", "/abs", {"path": "/run/app/more"}]));
    assert_eq!(raw.volumes.unwrap().1["data"]["driver"], "local");
    assert_eq!(raw.warnings.len(), 3, "{:?}", raw.warnings);
}

#[test]
fn what_refers_to_other_files_is_refused() {
    let (_, problems) = read("include: [other.yml]\nservices: {app: {extends: {service: base}}}");
    let text = problems.to_string();
    assert!(text.contains("does not support `include`") && text.contains("does not support `extends`"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_the_labels_problem() {
    let labels = BTreeMap::from([("pod.compose.file".to_owned(), "/none".to_owned())]);
    let (mut raw, _) = read_labels(&labels);
    let problems = super::read(&mut raw, Err::<&str, _>("does not exist"), &environment);
    assert!(problems.to_string().starts_with("`pod.compose.file`: cannot read `/none`: does not exist"), "{problems}");
}

#[test]
fn either_a_file_or_labels() {
    let labels = BTreeMap::from([
        ("pod.compose.file".to_owned(), "/c.yml".to_owned()),
        ("pod.component.app".to_owned(), "image: a".to_owned()),
    ]);
    assert!(read_labels(&labels).1.to_string().contains("not from both"));
}

#[test]
fn volumes_without_a_name_of_their_own_are_known() {
    let mut raw =
        RawPod { compose_file: Some((Place::new("pod.compose.file"), "/c.yml".to_owned())), ..RawPod::default() };
    raw.volumes = Some((Place::new("pod.volumes"), serde_json::json!({"labelled": {}})));
    let text = "services: {app: {image: a}}\nvolumes: {bare: , plain: {}, named: {name: x}, there: {external: true}, labelled: {}}";
    let problems = super::read(&mut raw, Ok::<_, String>(text), &|_| None);
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(raw.bare_volumes.into_iter().collect::<Vec<_>>(), ["bare", "plain"]);
}
