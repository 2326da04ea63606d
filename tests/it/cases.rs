//! Cases that are data: a folder of `tests/cases` holds one input, and what must come of it.
//!
//! | file | meaning |
//! | --- | --- |
//! | `pod.yaml`, `labels.yaml`, `stack.yml` or `inspect.json` | the input; one of them |
//! | `compose.yml` | where the label `pod.compose.file` is, the file that it names; the controller has the variable `TAG` |
//! | `error.txt` | every problem that must be reported, a line each |
//! | `pods.json` | without problems: name, canonical document and warnings of every pod |
//!
//! `BLESS=1 cargo test --test it cases` writes what comes of each input now; look at the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use outrigger::labels::schema::{self, Part};
use outrigger::labels::{self, RawPod};
use outrigger::plan::document;
use outrigger::pod::lower::lower;
use outrigger::pod::{PodSpec, Problems, read};
use serde_json::{Value, json};

const INPUTS: [&str; 4] = ["pod.yaml", "labels.yaml", "stack.yml", "inspect.json"];

#[test]
fn every_case_answers_what_it_should() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let (name, text) = input(&case);
        let (file, stale, found) = match pods_of(&case, &name, &text) {
            Ok(pods) => {
                ("pods.json", "error.txt", format!("{:#}\n", Value::from(pods.iter().map(shown).collect::<Vec<_>>())))
            }
            Err(problems) => ("error.txt", "pods.json", format!("{problems}\n")),
        };
        let expected = fs::read_to_string(case.join(file)).unwrap_or_default();
        if bless {
            if case.join(stale).exists() {
                fs::remove_file(case.join(stale)).unwrap();
            }
            fs::write(case.join(file), found).unwrap();
        } else if expected != found || case.join(stale).exists() {
            wrong.push(format!("{}: {file}\n--- expected\n{expected}--- found\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_good_case_survives_its_canonical_document_and_its_labels() {
    let mut checked = 0;
    for case in cases() {
        let (name, text) = input(&case);
        // A pod whose components are in a file that nobody has read has none to come back.
        for (pod, spec) in
            pods_of(&case, &name, &text).into_iter().flatten().filter(|(_, spec)| !spec.components.is_empty())
        {
            let document = document::of(&spec);
            let again = lower(&read::from_value(&name, &document).unwrap()).unwrap();
            assert_eq!(comparable(again), comparable(spec.clone()), "{}: {pod}", case.display());
            let written = labels::to_labels(&document);
            let again = lower(&read::from_labels(&written).unwrap()).unwrap();
            let without_controller = PodSpec { controller: Default::default(), ..spec };
            assert_eq!(comparable(again), comparable(without_controller), "{}: {pod}", case.display());
            checked += 1;
        }
    }
    assert!(checked >= 10, "only {checked} good cases");
}

/// Lowers every pod of the input, and collects the problems of all.
fn pods(name: &str, text: &str) -> Result<Vec<(String, PodSpec)>, Problems> {
    lowered(read::sources(name, text)?, None)
}

/// The same with the Compose file of the case, where it has one.
fn pods_of(case: &Path, name: &str, text: &str) -> Result<Vec<(String, PodSpec)>, Problems> {
    let file = fs::read_to_string(case.join("compose.yml")).ok();
    lowered(read::sources(name, text)?, file.as_deref())
}

fn lowered(sources: Vec<(String, RawPod)>, file: Option<&str>) -> Result<Vec<(String, PodSpec)>, Problems> {
    let mut problems = Problems::default();
    let mut specs = Vec::new();
    for (pod, mut raw) in sources {
        if let Some(file) = file {
            let variable = |name: &str| (name == "TAG").then(|| "1.2".to_owned());
            problems.extend(labels::compose::read(&mut raw, Ok::<_, String>(file), &variable));
        }
        match lower(&raw) {
            Ok(spec) => specs.push((pod, spec)),
            Err(more) => problems.extend(more),
        }
    }
    problems.or(specs)
}

fn shown((name, spec): &(String, PodSpec)) -> Value {
    let mut shown = json!({ "name": name, "document": document::of(spec) });
    if !spec.warnings.is_empty() {
        shown["warnings"] = spec.warnings.clone().into();
    }
    shown
}

/// What a document does not keep: where a plugin was written, and warnings.
fn comparable(mut spec: PodSpec) -> PodSpec {
    spec.warnings.clear();
    spec.plugins.iter_mut().for_each(|plugin| plugin.origin.clear());
    spec.places.clear();
    spec
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(found.len() >= 40, "only {} cases in {}", found.len(), root.display());
    found
}

fn input(case: &Path) -> (String, String) {
    let there: Vec<_> = INPUTS.iter().filter(|name| case.join(name).exists()).collect();
    assert_eq!(there.len(), 1, "{} must hold one of {INPUTS:?}", case.display());
    (there[0].to_string(), fs::read_to_string(case.join(there[0])).unwrap())
}

#[test]
fn every_example_of_the_reference_is_right() {
    let mut checked = 0;
    for block in reference().split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        if let Err(problems) = pods("docs/labels.md", text) {
            panic!("{problems}\nin\n{text}");
        }
        checked += 1;
    }
    assert!(checked >= 7, "only {checked} examples");
}

#[test]
fn every_setting_is_in_the_reference() {
    let schema = schema::of(Part::Pod);
    let reference = reference();
    // The words of everything in back quotes.
    let quoted = reference.split('`').skip(1).step_by(2);
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let named: std::collections::HashSet<_> = quoted.flat_map(|text| text.split(|c| !in_word(c))).collect();
    let mut checked = 0;
    for definition in
        ["component", "restart", "probe", "readiness_probe", "steps", "healthcheck", "options", "volumes", "controller"]
    {
        let mut keys = Vec::new();
        keys_of(&schema["definitions"][definition], &mut keys);
        for key in &keys {
            let is_named = named.contains(key.as_str());
            assert!(is_named, "`{key}` of {definition}");
        }
        checked += keys.len();
    }
    assert!(checked > 100, "only {checked} keys");
}

/// The keys of all maps below.
fn keys_of(schema: &Value, keys: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (name, inner) in map {
                if name == "properties" {
                    keys.extend(inner.as_object().into_iter().flat_map(|it| it.keys().cloned()));
                }
                keys_of(inner, keys);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| keys_of(inner, keys)),
        _ => {}
    }
}

fn reference() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/labels.md")).unwrap()
}

fn validator(part: Part) -> jsonschema::Validator {
    jsonschema::draft7::new(&schema::of(part)).unwrap()
}

fn parsed(text: &str) -> Option<Value> {
    labels::yaml::parse(&labels::Place::default(), text, &mut Problems::default())
}

#[track_caller]
fn is_valid(validator: &jsonschema::Validator, value: &Value, what: &str) {
    let wrong: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
}

#[test]
fn the_schema_takes_every_good_case() {
    let pod = validator(Part::Pod);
    let mut checked = 0;
    for case in cases() {
        let (name, text) = input(&case);
        let Ok(pods) = pods_of(&case, &name, &text) else { continue };
        for (_, spec) in pods.iter().filter(|(_, spec)| !spec.components.is_empty()) {
            is_valid(&pod, &document::of(spec), &format!("canonical form of {}", case.display()));
        }
        let Some(value) = parsed(&text) else { continue };
        match name.as_str() {
            "pod.yaml" => is_valid(&pod, &value, &case.display().to_string()),
            "labels.yaml" => {
                for (label, value) in value.as_object().unwrap() {
                    let Some(part) = part_of(label) else { continue };
                    let value = parsed(value.as_str().unwrap()).unwrap();
                    is_valid(&validator(part), &value, &format!("`{label}` of {}", case.display()));
                }
            }
            _ => {}
        }
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} good cases");
}

fn part_of(label: &str) -> Option<Part> {
    Some(match label {
        "pod.init.components" => Part::Init,
        "pod.plugins" => Part::Plugins,
        "pod.options" => Part::Options,
        "pod.volumes" => Part::Volumes,
        "pod.stop_grace_period" => Part::StopGracePeriod,
        label if label.starts_with("pod.component.") => Part::Component,
        label if label.starts_with("pod.copy.") => Part::Copy,
        _ => return None,
    })
}

#[test]
fn the_schema_refuses_unknown_keys() {
    let pod = validator(Part::Pod);
    let mut checked = 0;
    for case in cases() {
        let (name, text) = input(&case);
        let problems = fs::read_to_string(case.join("error.txt")).unwrap_or_default();
        if name != "pod.yaml" || !problems.contains("unknown key") {
            continue;
        }
        let Some(value) = parsed(&text) else { continue };
        assert!(!pod.is_valid(&value), "{}", case.display());
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} cases with unknown keys");
}
