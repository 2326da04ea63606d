//! What differs in rendering: the controller's settings, variables, files.

use serde_json::{Map, Value};

use super::{Difference, List, single};

/// What podlike gave to the controller too, though it is about the application's process.
const PROCESS: [(&str, &str); 12] = [
    ("entrypoint", "so the controller does not start"),
    ("env_file", ""),
    ("healthcheck", "so the application's check runs in the controller and replaces the pod's own health check"),
    ("isolation", ""),
    ("privileged", ""),
    ("read_only", "so the controller cannot create its socket"),
    ("shm_size", ""),
    ("stdin_open", ""),
    ("tmpfs", ""),
    ("tty", ""),
    ("ulimits", ""),
    ("user", "so the controller cannot open the engine's socket"),
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
            "podlike's default controller image is `rycus86/podlike`; Outrigger's is `outrigger` with this version",
            "to use another image, set `outrigger template --image` or `OUTRIGGER_IMAGE`",
        );
    }
    if let [first, second] = sections {
        for key in KEYS.into_iter().filter(|key| is_given(second.get(*key))) {
            let what = if key == "init" || is_given(first.get(key)) {
                "podlike ignores the second of two lists for one service; Outrigger uses both"
            } else {
                "podlike ignores the top-level section of the file if the service has a section too; Outrigger uses both"
            };
            list.push(key, what, "remove settings that must not apply");
        }
    }
    for section in sections {
        for key in KEYS {
            for (path, field) in files(section.get(key), key) {
                if path.starts_with('/') {
                    list.push(
                        field,
                        format!("podlike reads `{path}` relative to the directory of the stack file; Outrigger reads it as an absolute path"),
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
                format!("podlike also applies this setting to the controller{so}; Outrigger applies it only to the main component"),
                "if the controller needs this setting, write it into a `pod` template",
            );
        }
    }
    if is_given(service.get("working_dir")) {
        let what =
            "podlike also applies this setting to the controller; Outrigger applies it only to the main component";
        list.push("working_dir", what, "");
    }
    if is_given(service.get("depends_on")) {
        list.push(
            "depends_on",
            "podlike's main component waits for components with these names, without end if they do not exist; Outrigger ignores names that are not components",
            "",
        );
    }
    if is_given(service.get("volumes")) {
        let without = !sections.iter().any(|section| is_given(section.get("pod")));
        let (what, remedy) = if without {
            (
                "podlike's default controller does not get the service's volumes, so the main component uses volumes of the engine instead of the stack; Outrigger's controller gets the service's volumes",
                "to prevent this, write a `pod` template with its own `volumes:`",
            )
        } else {
            (
                "podlike does not mount the engine's socket if the service has volumes and no template mounts the socket; Outrigger always mounts the socket",
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
                    "podlike's templates see a variable as an empty value; Outrigger's templates see the variable as it is written, and docker replaces it at the deployment",
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
