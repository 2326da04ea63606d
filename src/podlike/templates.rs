//! What differs in rendering: the controller's settings, variables, files.

use serde_json::{Map, Value};

use super::{Difference, List, single};

/// What podlike gave to the controller too, though it is about the application's process.
const PROCESS: [(&str, &str); 12] = [
    ("entrypoint", "so the controller did not start"),
    ("env_file", ""),
    ("healthcheck", "so the application's check ran in the controller, and the pod's own health was not seen"),
    ("isolation", ""),
    ("privileged", ""),
    ("read_only", "so the controller could not write its socket"),
    ("shm_size", ""),
    ("stdin_open", ""),
    ("tmpfs", ""),
    ("tty", ""),
    ("ulimits", ""),
    ("user", "so the controller could not open the engine's socket"),
];

const KEYS: [&str; 5] = ["pod", "init", "transformer", "templates", "copy"];

pub(super) fn look(raw: &Value, found: &mut Vec<Difference>) {
    let top = raw.get("x-podlike").and_then(Value::as_object);
    let services = raw.get("services").and_then(Value::as_object);
    for (name, service) in services.into_iter().flatten() {
        let Some(service) = service.as_object() else { continue };
        let own = service.get("x-podlike");
        let above = top.and_then(|top| top.get(name));
        if own.is_none() && above.is_none() {
            continue;
        }
        let sections: Vec<&Map<String, Value>> =
            [own, above].into_iter().flatten().filter_map(Value::as_object).collect();
        let mut list = List { service: name, label: "x-podlike".to_owned(), found };
        sections_of(&sections, &mut list);
        list.label.clear();
        settings(service, &sections, &mut list);
    }
}

fn is_given(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null())
}

fn sections_of(sections: &[&Map<String, Value>], list: &mut List<'_>) {
    if !sections.iter().any(|section| is_given(section.get("pod"))) {
        list.push(
            "pod",
            "podlike's default controller was `rycus86/podlike`; here it is `outrigger`, of this version",
            "`outrigger template --image`, or `OUTRIGGER_IMAGE`, names another one",
        );
    }
    if let [first, second] = sections {
        for key in KEYS.into_iter().filter(|key| is_given(second.get(*key))) {
            let what = if key == "init" || is_given(first.get(key)) {
                "podlike lost the second of two lists for one service; here both count"
            } else {
                "podlike lost what the top of the file says where the service has a section too; here both count"
            };
            list.push(key, what, "remove what must not count");
        }
    }
    for section in sections {
        for key in KEYS {
            for (path, field) in files(section.get(key), key) {
                if path.starts_with('/') {
                    list.push(
                        field,
                        format!("podlike took `{path}` from the folder of the stack file; here it is an absolute path"),
                        "remove the first `/`",
                    );
                }
            }
        }
    }
}

/// The paths of templates, with their fields.
fn files(value: Option<&Value>, field: &str) -> Vec<(String, String)> {
    match value {
        Some(Value::String(path)) => vec![(path.clone(), field.to_owned())],
        Some(Value::Array(list)) => {
            list.iter().enumerate().flat_map(|(index, item)| files(Some(item), &format!("{field}[{index}]"))).collect()
        }
        Some(Value::Object(map)) => {
            let inner = map.get("file").into_iter().flat_map(|file| match file {
                Value::Object(file) => {
                    let mut all = files(file.get("path"), &format!("{field}.file.path"));
                    all.extend(files(file.get("fallback"), &format!("{field}.file.fallback")));
                    all
                }
                other => files(Some(other), &format!("{field}.file")),
            });
            let http = map.get("http").and_then(|http| http.get("fallback"));
            inner.chain(files(http, &format!("{field}.http.fallback"))).collect()
        }
        _ => Vec::new(),
    }
}

fn settings(service: &Map<String, Value>, sections: &[&Map<String, Value>], list: &mut List<'_>) {
    for (key, so) in PROCESS {
        if is_given(service.get(key)) {
            let so = if so.is_empty() { String::new() } else { format!(", {so}") };
            list.push(
                key,
                format!("podlike gave this setting to the controller as well{so}; here only the main component has it"),
                "write it into a `pod` template where the controller needs it",
            );
        }
    }
    if is_given(service.get("working_dir")) {
        let what = "podlike gave this setting to the controller as well; here only the main component has it";
        list.push("working_dir", what, "");
    }
    if is_given(service.get("depends_on")) {
        list.push(
            "depends_on",
            "podlike's main component waited for components of these names, for ever where there were none; here names that are no components are left out",
            "",
        );
    }
    if is_given(service.get("volumes")) {
        let without = !sections.iter().any(|section| is_given(section.get("pod")));
        let (what, remedy) = if without {
            (
                "podlike's default controller did not get the service's volumes, so that the main component's were volumes of the engine's, not of the stack; here it gets them",
                "a `pod` template with `volumes:` of its own keeps them away",
            )
        } else {
            (
                "podlike left out the engine's socket where the service has volumes and no template mounts it; here it is always mounted",
                "",
            )
        };
        list.push("volumes", what, remedy);
    }
    for (key, value) in service.iter().filter(|(key, _)| !key.starts_with("x-")) {
        variables(value, key, list);
    }
}

/// Variables that are known only when the stack is deployed.
fn variables(value: &Value, field: &str, list: &mut List<'_>) {
    match value {
        Value::String(_) => {
            let text = single(value).replace("$$", "");
            if text.contains('$') {
                list.push(
                    field,
                    "podlike's templates saw a variable as nothing; here they see it as it is written, and docker replaces it when the stack is deployed",
                    "",
                );
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| variables(item, &format!("{field}[{index}]"), list));
        }
        Value::Object(map) => map.iter().for_each(|(key, item)| variables(item, &format!("{field}.{key}"), list)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
