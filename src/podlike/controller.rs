//! What differs for the pod as a whole: flags, exit codes, memory, copies, health.

use serde_json::{Map, Value};

use super::{List, Pod, single};
use crate::labels::{Place, yaml};
use crate::problem::Problems;

/// Podlike's flags. None takes the word behind it as its value; all others of ours do.
const SWITCHES: [&str; 5] = ["pids", "ipc", "volumes", "logs", "pull"];

/// Where podlike looked for the registry's credentials.
const AUTH: &str = "podlike/dockerregistryauth.json";

pub(super) fn look(service: &Map<String, Value>, labels: &[(String, String)], pod: &Pod, list: &mut List<'_>) {
    image(service, list);
    flags(service, list);
    exit_codes(service, list);
    memory(service, pod, list);
    health(service, pod, list);
    let secrets = service.get("secrets").and_then(Value::as_array);
    for (index, secret) in secrets.into_iter().flatten().enumerate() {
        let target = secret.get("target").map_or_else(|| single(secret), single);
        if target.ends_with(AUTH) || target.ends_with("dockerregistryauth.json") {
            list.push(
                format!("secrets[{index}]"),
                "podlike uses the part of an image's name before the first `/` as the registry, so credentials for Docker Hub do not match images of users and organisations (`rycus86/app`); with Outrigger they do",
                "",
            );
        }
    }
    for (label, text) in labels {
        list.label.clone_from(label);
        if label.starts_with("pod.copy.") {
            if keeps_modes(text) {
                list.push(
                    "",
                    "podlike gives every copied file the mode 0644; with Outrigger a file keeps its mode, so scripts stay executable and secrets stay private",
                    "set `mode: \"0644\"` in the long form of the copy, or `mode: 0444` on the config or secret of the service",
                );
            }
        } else if label == "pod.compose.file" {
            list.push(
                "",
                "podlike ignores some settings in this file, for example `restart`, and does not replace `${VAR}`; Outrigger applies the settings and replaces variables. The file is inside the controller, so this check cannot read it",
                "remove settings that must not apply, and write `$$` for `$`",
            );
        } else if label == "pod.init.components" {
            list.push(
                "",
                "if an init component exits with 255, podlike exits with 0; if a signal arrives during that time, podlike exits with 131 or 132. Outrigger exits with 255, or with 128 + n for signal n",
                "",
            );
        }
    }
    list.label.clear();
}

/// Whether a file of a `pod.copy` label has no mode of its own there; what can't be read is a problem that `check` tells.
fn keeps_modes(text: &str) -> bool {
    let body = yaml::parse(&Place::default(), &text.replace("$$", "$"), &mut Problems::default());
    body.is_some_and(|body| !sets_modes(&body))
}

fn sets_modes(files: &Value) -> bool {
    let is_set = |file: &Value| file.get("mode").is_some_and(|mode| !mode.is_null());
    match files {
        Value::Array(list) => list.iter().all(sets_modes),
        // One file: as everywhere in the long form, its source is a key, or the value of one.
        Value::Object(map) if map.get("source").is_some_and(|source| !source.is_object()) => is_set(files),
        Value::Object(map) => map.values().all(is_set),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn image(service: &Map<String, Value>, list: &mut List<'_>) {
    let image = service.get("image").map(single).unwrap_or_default();
    let repository = image.split('@').next().unwrap_or_default();
    if repository.rsplit('/').next().is_some_and(|name| name.split(':').next() == Some("podlike")) {
        list.push("image", format!("`{image}` is podlike itself"), "use Outrigger's image instead");
    }
}

/// The words of the controller's command line.
fn words(service: &Map<String, Value>) -> Vec<String> {
    match service.get("command") {
        Some(Value::String(line)) => shell_words::split(line).unwrap_or_default(),
        Some(Value::Array(list)) => list.iter().map(single).collect(),
        _ => Vec::new(),
    }
}

/// What a flag says; none where it is not given.
fn flag(words: &[String], name: &str) -> Option<bool> {
    words.iter().rev().find_map(|word| {
        let word = word.trim_start_matches('-');
        let value = if word == name { "true" } else { word.strip_prefix(name)?.strip_prefix('=')? };
        Some(!matches!(value, "0" | "f" | "F" | "false" | "False" | "FALSE"))
    })
}

fn flags(service: &Map<String, Value>, list: &mut List<'_>) {
    let words = words(service);
    if flag(&words, "logs").is_none() {
        list.push(
            "command",
            "without `-logs`, podlike prints no component output; Outrigger writes the components' output to the controller's log",
            "add `--logs=false` to the command",
        );
    }
    if flag(&words, "ipc") != Some(false) {
        list.push(
            "command",
            "podlike shares the controller's IPC namespace, so its components do not start on engines with private IPC namespaces by default; with Outrigger the components share one on every engine",
            "`--ipc=false` gives each component its own IPC namespace",
        );
    }
    if flag(&words, "volumes") == Some(true) {
        list.push(
            "command",
            "with `-volumes`, podlike also shares the engine's socket with the components; Outrigger shares all other mounts of the controller, but never the socket",
            "mount the files that a component needs with its own `volumes`",
        );
    }
    let mut is_value = false;
    for (index, word) in words.iter().enumerate() {
        let name = word.trim_start_matches('-');
        let is_flag = word.starts_with('-') && !name.is_empty();
        if !is_value && !is_flag && word != "-" {
            list.push(format!("command[{index}]"), format!("podlike rejects the argument `{word}`"), "");
        }
        is_value = !is_value && is_flag && !word.contains('=') && !SWITCHES.contains(&name);
    }
}

fn exit_codes(service: &Map<String, Value>, list: &mut List<'_>) {
    let condition = service.get("deploy").and_then(|it| it.pointer("/restart_policy/condition")).map(single);
    let restart = service.get("restart").map(single).unwrap_or_default();
    let job = service.get("deploy").and_then(|it| it.get("mode")).map(single).unwrap_or_default().ends_with("-job");
    let what = "podlike exits with 0 when any component has ended, whatever its exit code is; Outrigger exits with that component's exit code";
    let (field, effect, remedy) = if condition.as_deref() == Some("on-failure") {
        (
            "deploy.restart_policy.condition",
            ", so `on-failure` restarts the pod after a failure",
            "`condition: none` never restarts the pod",
        )
    } else if restart.starts_with("on-failure") {
        ("restart", ", so `on-failure` restarts the pod after a failure", "`restart: \"no\"` never restarts the pod")
    } else if job {
        ("deploy.mode", ", so a failed job counts as failed", "")
    } else {
        ("", ", which `docker service ps` shows as failed", "")
    };
    list.push(field, format!("{what}{effect}"), remedy);
}

fn memory(service: &Map<String, Value>, pod: &Pod, list: &mut List<'_>) {
    let (field, limit) = match service.get("deploy").and_then(|deploy| deploy.pointer("/resources/limits/memory")) {
        Some(limit) => ("deploy.resources.limits.memory", limit),
        None => match service.get("mem_limit") {
            Some(limit) => ("mem_limit", limit),
            None => return,
        },
    };
    let without = pod.components.iter().filter(|(_, body)| !body.contains_key("mem_limit")).count();
    if pod.components.len() > 1 && without > 0 {
        let limit = single(limit);
        list.push(
            field,
            format!("podlike allows each of the {} components to use {limit}; with Outrigger, {limit} is the limit for all components together", pod.components.len()),
            "raise the limit to the sum that the components need, and set `mem_limit` on components that must not use more",
        );
    }
}

fn health(service: &Map<String, Value>, pod: &Pod, list: &mut List<'_>) {
    // Without these two it only says how often the image's own check is made.
    if service.get("healthcheck").is_some_and(|check| check.get("test").is_some() || check.get("disable").is_some()) {
        list.push(
            "healthcheck",
            "this replaces the controller's own health check, with Outrigger as with podlike, so the engine cannot see the components' health",
            "remove the key here, and set it on the component that needs it",
        );
    }
    if service.get("healthcheck").is_some_and(|check| check.get("start_period").is_some_and(|period| !period.is_null()))
    {
        list.push(
            "healthcheck.start_period",
            "with podlike this extends the ten seconds of its image; with Outrigger it replaces the 24 hours of the image. If a start takes longer, the engine reports `unhealthy`, and Swarm stops the task without a reason",
            "remove the key: the controller ends a slow start at `start_deadline` in `pod.options`, and logs the reason",
        );
    }
    if !pod.init.is_empty() {
        list.push(
            "",
            "podlike's image allows init components ten seconds before the engine reports the controller as unhealthy; with Outrigger, the pod ends if it is not healthy after one minute plus ten minutes for each init component",
            "`pod.options: '{start_deadline: …}'` changes this time",
        );
    }
}
