//! The words of a `pod.yaml`.
//!
//! What reads pods speaks of labels, which is what a controller has. Whoever wrote a `pod.yaml` knows of none: [`document`] puts places and advice into the words of the file.

use super::Problem;

/// Parts of a pod, as the beginning of a label and as the key of a `pod.yaml`.
const PARTS: [(&str, &str); 6] = [
    ("pod.component.", "components."),
    ("pod.copy.", "copy."),
    ("pod.init.components", "init"),
    ("pod.plugins", "plugins"),
    ("pod.options", "options"),
    ("pod.volumes", "volumes"),
];

/// Words before a label that a file's key does not have.
const BEFORE: [&str; 3] = ["the label ", "a label ", "label "];

/// Advice that names parts of a stack file.
const ADVICE: [(&str, &str); 5] = [
    ("add the config or secret to the controller's service", "mount the file with `controller.volumes`"),
    ("the controller's own service or container", "`controller`"),
    ("the controller's service", "`controller`"),
    (
        "mount the file there, for instance as a volume, or as a config of a service",
        "mount the file there with `controller.volumes` (for instance `./app.env:/run/app.env:ro`), and write the path of the mount",
    ),
    (
        "mount the file there, and write the path of the mount",
        "mount the file there with `controller.volumes`, and write the path of the mount",
    ),
];

/// A problem of a pod that a `pod.yaml` holds, which is called `origin` in messages.
#[must_use]
pub fn document(mut problem: Problem, origin: &str) -> Problem {
    if let Some(field) = key(&problem.label) {
        let dot = if problem.field.is_empty() || problem.field.starts_with('[') { "" } else { "." };
        problem.field = format!("{field}{dot}{}", problem.field);
        origin.clone_into(&mut problem.label);
    } else if problem.label == "controller" {
        let dot = if problem.field.is_empty() { "" } else { "." };
        problem.field = format!("controller{dot}{}", problem.field);
        origin.clone_into(&mut problem.label);
    }
    problem.what = words(&problem.what);
    problem.hint = words(&problem.hint);
    problem
}

/// A text about such a pod.
#[must_use]
pub fn words(text: &str) -> String {
    let mut said = String::new();
    let mut rest = text;
    while let Some((before, quoted, after)) = quoted(rest) {
        let (before, name) = match key(quoted) {
            Some(name) => (BEFORE.iter().find_map(|word| before.strip_suffix(word)).unwrap_or(before), name),
            None => (before, quoted.to_owned()),
        };
        said.push_str(before);
        said.push_str(&format!("`{name}`"));
        rest = after;
    }
    said.push_str(rest);
    ADVICE.iter().fold(said, |said, (label, file)| said.replace(label, file))
}

/// The next text in back quotes, with what is before and after it.
fn quoted(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (quoted, after) = rest.split_once('`')?;
    Some((before, quoted, after))
}

/// A label as a key of the file.
fn key(label: &str) -> Option<String> {
    PARTS.iter().find_map(|(begin, key)| {
        let rest = label.strip_prefix(begin)?;
        (begin.ends_with('.') || rest.is_empty()).then(|| format!("{key}{rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_told_of_labels() {
        for (text, right) in [
            ("write it in the label `pod.copy.<component>`", "write it in `copy.<component>`"),
            ("`drain` 1s of `pod.options` is cut", "`drain` 1s of `options` is cut"),
            ("see label `pod.init.components`, or `--pull`", "see `init`, or `--pull`"),
            ("`pod.initial` and `pod.` stay", "`pod.initial` and `pod.` stay"),
            ("an odd ` stays", "an odd ` stays"),
            ("set it on the controller's own service or container", "set it on `controller`"),
        ] {
            assert_eq!(words(text), right);
        }
        let of = |label: &str, field: &str| document(Problem::new(label, field, ""), "p.yaml").to_string();
        assert_eq!(of("pod.component.app", "image"), "`p.yaml`, field `components.app.image`: ");
        assert_eq!(of("pod.init.components", "[0].image"), "`p.yaml`, field `init[0].image`: ");
        assert_eq!(of("pod.copy.app", ""), "`p.yaml`, field `copy.app`: ");
        assert_eq!(of("controller", "flags"), "`p.yaml`, field `controller.flags`: ");
        assert_eq!(of("p.yaml", "x"), "`p.yaml`, field `x`: ");
    }
}
