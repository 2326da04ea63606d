//! Where a mistake is: file, line and column, in the words of the file at hand.

use std::fs;

use serde_json::Value;

use super::{code, err, fed, out, outrigger};

const POD: &str = "\
components:
  app:
    imag: busybox
    volumes: ['data']
copy: {wbe: '/a:/b'}
volumes:
  data: {driver: x, extrenal: true}
";

#[test]
fn a_mistake_is_shown_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pod.yaml");
    fs::write(&path, POD).unwrap();
    let path = path.to_str().unwrap();
    for command in ["check", "plan", "run"] {
        let output = outrigger(&[command, path]).output().unwrap();
        assert_eq!(code(&output), 1, "{command}");
        let told = err(&output);
        let shown = format!(
            "error: `pod.yaml`, field `components.app.imag`: unknown key\n --> {path}:3:5\n  |\n3 |     imag: busybox\n  |     ^^^^^^^^^^^^^\n  hint: did you mean `image`?"
        );
        for shown in [shown.as_str(), ":5:8\n", ":7:21\n", ":2:3\n"] {
            assert!(told.contains(shown), "{command}: `{shown}` is missing in:\n{told}");
        }
    }
}

#[test]
fn json_has_file_line_and_column() {
    let output = fed(&["check", "--json", "-"], POD);
    assert_eq!(code(&output), 1);
    let answer: Value = serde_json::from_str(&out(&output)).unwrap();
    let place =
        |problem: &Value| [&problem["file"], &problem["line"], &problem["column"]].map(ToString::to_string).join(":");
    let problems = answer["problems"].as_array().unwrap();
    let of = |field: &str| problems.iter().find(|it| it["field"] == field).map(place);
    assert_eq!(of("components.app.imag").as_deref(), Some("\"stdin\":3:5"));
    assert_eq!(of("copy.wbe").as_deref(), Some("\"stdin\":5:8"));
    let nothing = fed(&["check", "--json", "-"], "components: {}");
    let answer: Value = serde_json::from_str(&out(&nothing)).unwrap();
    assert_eq!(place(&answer["problems"][0]), "\"stdin\":1:1", "of what is empty, its key");
}

/// A label in a stack file, rendered and merged or not: the file's line, not the label's.
#[test]
fn a_label_of_a_stack_file_is_shown_at_the_files_line() {
    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one.yml");
    let other = folder.path().join("other.yml");
    fs::write(&one, "version: '3.7'\nservices: {web: {image: outrigger}}\n").unwrap();
    let label = "\n      pod.component.app: |\n        image: busybox:${TAG:-1}\n        tty: maybe\n";
    fs::write(&other, format!("version: '3.7'\nservices:\n  web:\n    image: outrigger\n    labels:{label}")).unwrap();
    let (one, other) = (one.to_str().unwrap(), other.to_str().unwrap());
    let marked = format!("--> {other}:8:9\n  |\n8 |         tty: maybe\n  |         ^^^^^^^^^^");
    for command in [&["check", other][..], &["plan", other], &["deploy", "--dry-run", "-c", one, "-c", other, "x"]] {
        let output = outrigger(command).output().unwrap();
        assert_eq!(code(&output), 1, "{command:?}: {}", out(&output));
        assert!(err(&output).contains(&marked), "{command:?}: `{marked}` is missing in:\n{}", err(&output));
    }
    // A text that is no YAML has a line, too.
    fs::write(other, format!("services:\n  web:\n    image: outrigger\n    labels:{label}        b: c: d\n")).unwrap();
    let told = err(&outrigger(&["check", other]).output().unwrap());
    assert!(told.contains(&format!("{other}:8:13\n")), "{told}");
}

/// Whoever writes a `pod.yaml` knows of no labels.
#[test]
fn a_file_is_told_nothing_of_labels() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut checked = 0;
    for case in
        fs::read_dir(root).unwrap().map(|case| case.unwrap().path().join("pod.yaml")).filter(|case| case.exists())
    {
        let output = outrigger(&["check", case.to_str().unwrap()]).output().unwrap();
        let told = out(&output) + &err(&output);
        // What is written below `labels` is the file's own matter.
        for line in told.lines().filter(|line| !line.contains("labels")) {
            let names = [
                "pod.component",
                "pod.copy",
                "pod.init",
                "pod.plugins",
                "pod.options",
                "pod.volumes",
                "the label",
                "a label",
            ];
            let named = names.iter().find(|name| line.contains(**name));
            assert_eq!(named, None, "{}: {line}", case.display());
            checked += 1;
        }
    }
    assert!(checked > 200, "only {checked} lines");
}

/// A label is a text of its own: the anchors of the stack file are not there.
#[test]
fn an_anchor_of_the_file_in_a_label_is_named_with_its_field() {
    let stack = "x-env: &env {A: b}\nservices:\n  web:\n    image: outrigger\n    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']\n    labels:\n      \
        pod.component.web: |\n        image: nginx\n        environment:\n          <<: *env\n          C: d\n";
    let output = fed(&["check", "--json", "-"], stack);
    assert_eq!(code(&output), 1);
    let answer: Value = serde_json::from_str(&out(&output)).unwrap();
    let problem = &answer["problems"][0];
    assert_eq!(problem["field"], "environment.<<", "{problem}");
    assert_eq!(problem["what"], "this text does not define the anchor `env`");
    assert!(problem["hint"].as_str().unwrap().contains("define `&env` in this label"), "{problem}");
    assert!([9, 10].contains(&problem["line"].as_u64().unwrap()), "{problem}");
    let document = fed(&["check", "--json", "-"], "components: {app: {image: a, environment: {<<: *env}}}\n");
    let answer: Value = serde_json::from_str(&out(&document)).unwrap();
    assert_eq!(answer["problems"][0]["hint"], "define `&env` before this line", "{answer}");
}
