//! What differs for the pod as a whole: flags, exit codes, memory, copies, health.

use serde_json::{Map, Value};

use super::{List, Pod, single};

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
                "podlike took only the part of an image's name before the first `/` for the registry, so that credentials of Docker Hub did not match images of its users and organisations (`rycus86/app`); here they do",
                "",
            );
        }
    }
    for (label, _) in labels {
        list.label.clone_from(label);
        if label.starts_with("pod.copy.") {
            list.push(
                "",
                "podlike gave every copied file the mode 0644; here a file keeps its own, so that scripts stay executable and secrets stay closed",
                "set `mode: 0444` where the config or secret is given to the service",
            );
        } else if label == "pod.compose.file" {
            list.push(
                "",
                "podlike passed over settings in this file that mean something here, `restart` above all, and left `${VAR}` as it was; here they count, and variables are replaced. The file lies in the controller and can't be looked at here",
                "remove what must not count, and write `$$` for a `$`",
            );
        } else if label == "pod.init.components" {
            list.push(
                "",
                "where an init component ends with 255, podlike ended with 0; where a signal came meanwhile, with 131 or 132. Here 255 stays 255, and signal n is 128 + n",
                "",
            );
        }
    }
    list.label.clear();
}

fn image(service: &Map<String, Value>, list: &mut List<'_>) {
    let image = service.get("image").map(single).unwrap_or_default();
    let repository = image.split('@').next().unwrap_or_default();
    if repository.rsplit('/').next().is_some_and(|name| name.split(':').next() == Some("podlike")) {
        list.push("image", format!("`{image}` is podlike itself"), "write Outrigger's image to change over");
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
            "podlike was silent without `-logs`; here the components' output goes to the controller's log",
            "add `-logs=false` to the command",
        );
    }
    if flag(&words, "ipc") != Some(false) {
        list.push(
            "command",
            "podlike shared the controller's IPC namespace, and its components did not start on engines whose default is a private one; here the pod shares one on every engine",
            "`-ipc=false` gives each component its own",
        );
    }
    if flag(&words, "volumes") == Some(true) {
        list.push(
            "command",
            "with `-volumes` podlike gave the components the engine's socket too; here they get all other mounts of the controller, and never that one",
            "mount what a component needs by its own `volumes`",
        );
    }
    let mut is_value = false;
    for (index, word) in words.iter().enumerate() {
        let name = word.trim_start_matches('-');
        let is_flag = word.starts_with('-') && !name.is_empty();
        if !is_value && !is_flag && word != "-" {
            list.push(format!("command[{index}]"), format!("podlike stopped at the argument `{word}`"), "");
        }
        is_value = !is_value && is_flag && !word.contains('=') && !SWITCHES.contains(&name);
    }
}

fn exit_codes(service: &Map<String, Value>, list: &mut List<'_>) {
    let condition = service.get("deploy").and_then(|it| it.pointer("/restart_policy/condition")).map(single);
    let restart = service.get("restart").map(single).unwrap_or_default();
    let job = service.get("deploy").and_then(|it| it.get("mode")).map(single).unwrap_or_default().ends_with("-job");
    let what = "podlike ended with 0 whenever a component had ended, with whatever code; here the pod ends with that component's code";
    let (field, effect, remedy) = if condition.as_deref() == Some("on-failure") {
        (
            "deploy.restart_policy.condition",
            ", so `on-failure` starts the pod again after a failure",
            "`condition: none` never starts it again",
        )
    } else if restart.starts_with("on-failure") {
        ("restart", ", so `on-failure` starts the pod again after a failure", "`restart: \"no\"` never starts it again")
    } else if job {
        ("deploy.mode", ", so that a job that fails counts as failed", "")
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
            format!("podlike let each of the {} components use {limit} on its own; here {limit} is for all of them together", pod.components.len()),
            "raise the limit to the sum that the components need, and set `mem_limit` for those that must not grow",
        );
    }
}

fn health(service: &Map<String, Value>, pod: &Pod, list: &mut List<'_>) {
    // Without these two it only says how often the image's own check is made.
    if service.get("healthcheck").is_some_and(|check| check.get("test").is_some() || check.get("disable").is_some()) {
        list.push(
            "healthcheck",
            "this replaces the controller's own health check, here as with podlike: the components' health is not seen then",
            "remove it here, and set it for the component that it is about",
        );
    }
    if !pod.init.is_empty() {
        list.push(
            "",
            "podlike's image gave init components ten seconds before the engine found the controller unhealthy; here the pod ends itself if it is not up after a minute, and ten minutes more for each init component",
            "`pod.options: '{start_deadline: …}'` changes it",
        );
    }
}
