//! A service of Swarm in the words of a stack file, and two of them compared: `old -> new`, without the values of secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::pod::values;

/// So many characters of a value are shown.
const LONGEST: usize = 120;

/// Keys below which names are no secrets: they name objects of the Swarm, paths and networks.
const OPEN: [&str; 6] = ["configs", "secrets", "volumes", "ports", "networks", "deploy"];

/// A name with one of these has a value that is not shown.
const SECRET_NAMES: [&str; 11] =
    ["pass", "pwd", "secret", "token", "cred", "auth", "dsn", "cookie", "salt", "private", "signature"];

/// A value with one of these is not shown, whatever its name is.
const SECRET_TEXTS: [&str; 9] =
    ["password", "passwd", "secret", "token", "bearer ", "api_key", "api-key", "apikey", "-----begin"];

/// A run of this many letters and digits, mixed, is taken for a key.
const KEY_LENGTH: usize = 32;

/// Values that the engine counts in nanoseconds.
const DURATIONS: [&str; 7] = ["delay", "monitor", "window", "interval", "timeout", "start_period", "stop_grace_period"];

/// Keys of the engine whose name in a stack file is not just another spelling.
const NAMES: [(&str, &str); 14] = [
    ("Command", "entrypoint"),
    ("Args", "command"),
    ("Env", "environment"),
    ("Dir", "working_dir"),
    ("Groups", "group_add"),
    ("Mounts", "volumes"),
    ("Hosts", "extra_hosts"),
    ("CapabilityAdd", "cap_add"),
    ("CapabilityDrop", "cap_drop"),
    ("TTY", "tty"),
    ("OpenStdin", "stdin_open"),
    ("NanoCPUs", "cpus"),
    ("MemoryBytes", "memory"),
    ("MaxReplicas", "max_replicas_per_node"),
];

/// The specification of a service in the words of a stack file; without its image and its labels, and with `deploy.labels`.
pub fn service(spec: &Value) -> Map<String, Value> {
    let object = |path: &str| spec.pointer(path).and_then(Value::as_object).cloned().unwrap_or_default();
    let (mut written, mut deploy) = (Map::new(), Map::new());
    for (key, value) in object("/TaskTemplate/ContainerSpec") {
        match key.as_str() {
            "Image" | "Labels" => {}
            // docker's own word for "not written".
            "Isolation" if value == "default" => {}
            "DNSConfig" => {
                for (key, name) in [("Nameservers", "dns"), ("Search", "dns_search"), ("Options", "dns_opt")] {
                    written.extend(value.get(key).map(|value| (name.to_owned(), value.clone())));
                }
            }
            "Configs" => insert(&mut written, "configs", keyed(&value, &file)),
            "Secrets" => insert(&mut written, "secrets", keyed(&value, &file)),
            "Mounts" => insert(&mut written, "volumes", keyed(&value, &mount)),
            "Env" => insert(&mut written, "environment", variables(value)),
            _ => insert(&mut written, &name(&key), plain(&key, value)),
        }
    }
    for (key, value) in object("/TaskTemplate") {
        match key.as_str() {
            "ContainerSpec" | "Runtime" => {}
            "LogDriver" => {
                let logging = json!({"driver": value.get("Name"), "options": value.get("Options")});
                insert(&mut written, "logging", logging);
            }
            "Networks" => insert(&mut written, "networks", keyed(&value, &network)),
            "ForceUpdate" => insert(&mut written, "forced updates", value),
            _ => insert(&mut deploy, &name(&key), plain(&key, value)),
        }
    }
    for (key, value) in object("") {
        match key.as_str() {
            "Name" | "TaskTemplate" => {}
            "Mode" => mode(&mut deploy, &value),
            "EndpointSpec" => {
                deploy.extend(value.get("Mode").map(|mode| ("endpoint_mode".to_owned(), mode.clone())));
                insert(&mut written, "ports", keyed(value.get("Ports").unwrap_or(&Value::Null), &port));
            }
            "Networks" => insert(&mut written, "networks", keyed(&value, &network)),
            "Labels" => insert(&mut deploy, "labels", own_labels(value)),
            _ => insert(&mut deploy, &name(&key), plain(&key, value)),
        }
    }
    insert(&mut written, "deploy", Value::Object(deploy));
    written
}

fn insert(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.insert(key.to_owned(), value);
}

/// `StopGracePeriod` is `stop_grace_period`.
fn name(engine: &str) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(key, _)| *key == engine) {
        return (*name).to_owned();
    }
    let mut name = String::new();
    let letters: Vec<char> = engine.chars().collect();
    let is_upper = |index: usize| letters.get(index).is_some_and(char::is_ascii_uppercase);
    for (index, letter) in letters.iter().enumerate() {
        // A word begins at a capital, but not within a run of them, such as `OS`.
        let begins = is_upper(index)
            && index > 0
            && (!is_upper(index - 1) || letters.get(index + 1).is_some_and(char::is_ascii_lowercase));
        if begins {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// A value of the engine, with the units of a stack file.
fn plain(key: &str, value: Value) -> Value {
    let name = name(key);
    match value {
        Value::Object(map) => {
            // The keys of these are the user's.
            let is_free = matches!(key, "Sysctls" | "Labels" | "Options");
            // docker takes the platforms from the image; no key of a stack file has them.
            let is_written = |inner: &str| (key, inner) != ("Placement", "Platforms");
            Value::Object(
                map.into_iter()
                    .filter(|(inner, _)| is_written(inner))
                    .map(|(key, value)| if is_free { (key, value) } else { (self::name(&key), plain(&key, value)) })
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| plain("", item)).collect()),
        Value::Number(number) => match number.as_i64() {
            Some(nanos) if DURATIONS.contains(&name.as_str()) => {
                json!(values::format_duration(Duration::from_nanos(nanos.unsigned_abs())))
            }
            Some(nanos) if name == "cpus" => json!(values::format_cpus(nanos)),
            Some(bytes) if name == "memory" => json!(size(bytes)),
            _ => Value::Number(number),
        },
        other => other,
    }
}

fn size(bytes: i64) -> String {
    for (unit, size) in [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)] {
        if bytes >= size && bytes % size == 0 {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}")
}

fn mode(deploy: &mut Map<String, Value>, value: &Value) {
    let Some((mode, settings)) = value.as_object().and_then(|modes| modes.iter().next()) else { return };
    // `ReplicatedJob` is `replicated-job`.
    insert(deploy, "mode", json!(name(mode).replace('_', "-")));
    for key in ["Replicas", "TotalCompletions", "MaxConcurrent"] {
        let written = if key == "MaxConcurrent" { "max_concurrent" } else { "replicas" };
        deploy.extend(settings.get(key).map(|count| (written.to_owned(), count.clone())));
    }
}

/// The labels of the service without those that docker adds.
fn own_labels(labels: Value) -> Value {
    let Value::Object(mut labels) = labels else { return labels };
    labels.retain(|key, _| !key.starts_with("com.docker.stack."));
    Value::Object(labels)
}

/// A list of objects as a map.
fn keyed(list: &Value, entry: &dyn Fn(&Value) -> (String, String)) -> Value {
    let entries: BTreeMap<String, String> = list.as_array().into_iter().flatten().map(entry).collect();
    json!(entries)
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The name of a config or a secret by its path.
fn file(value: &Value) -> (String, String) {
    let name = ["/ConfigName", "/SecretName"].map(|path| text(value, path)).concat();
    let target = text(value, "/File/Name");
    (if target.is_empty() { name.clone() } else { target.to_owned() }, name)
}

fn mount(value: &Value) -> (String, String) {
    let source = match text(value, "/Source") {
        "" => text(value, "/Type"),
        source => source,
    };
    let mut written = source.to_owned();
    if value.get("ReadOnly").and_then(Value::as_bool) == Some(true) {
        written.push_str(":ro");
    }
    let options: Vec<String> = ["BindOptions", "VolumeOptions", "TmpfsOptions"]
        .iter()
        .filter_map(|key| value.get(*key))
        .filter(|options| options.as_object().is_some_and(|options| !options.is_empty()))
        .map(|options| plain("", options.clone()))
        .map(|mut options| {
            if let Some(labels) = options.get_mut("labels") {
                *labels = own_labels(labels.take());
            }
            options.to_string()
        })
        .filter(|options| options != "{\"labels\":{}}")
        .collect();
    written.extend(options.iter().map(|options| format!(" {options}")));
    (text(value, "/Target").to_owned(), written)
}

fn network(value: &Value) -> (String, String) {
    let aliases = value.get("Aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    (text(value, "/Target").to_owned(), format!("aliases {}", aliases.collect::<Vec<_>>().join(", ")))
}

fn port(value: &Value) -> (String, String) {
    let number = |key: &str| value.get(key).and_then(Value::as_u64).map(|port| port.to_string()).unwrap_or_default();
    let protocol = text(value, "/Protocol");
    let published = Some(number("PublishedPort")).filter(|port| !port.is_empty()).unwrap_or_else(|| "any".to_owned());
    let mode = Some(text(value, "/PublishMode")).filter(|mode| !mode.is_empty()).unwrap_or("ingress");
    let protocol = if protocol.is_empty() { "tcp" } else { protocol };
    (format!("{}/{protocol}", number("TargetPort")), format!("{published}, mode {mode}"))
}

/// `[A=1, B]` is `{A: 1, B: null}`; any other value is left as it is.
pub fn variables(value: Value) -> Value {
    let Value::Array(items) = &value else { return value };
    let pair = |item: &Value| {
        let text = item.as_str()?;
        Some(match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), json!(value)),
            None => (text.to_owned(), Value::Null),
        })
    };
    items.iter().map(pair).collect::<Option<Map<_, _>>>().map_or(value, Value::Object)
}

/// The differences of two maps, a line each: `` `environment.LEVEL`: `info` -> `debug` ``.
pub fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    maps(&mut Vec::new(), before, after, &mut found);
    found
}

fn maps(path: &mut Vec<String>, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<String>) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        path.push(key.clone());
        compare(path, before.get(key), after.get(key), found);
        path.pop();
    }
}

/// The differences of two values; none: it is not there.
pub fn compare(path: &mut Vec<String>, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<String>) {
    let empty = Map::new();
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => maps(path, before, after, found),
        (None | Some(Value::Null), Some(Value::Object(after))) if !after.is_empty() => maps(path, &empty, after, found),
        (Some(Value::Object(before)), None | Some(Value::Null)) if !before.is_empty() => {
            maps(path, before, &empty, found);
        }
        (Some(Value::Array(before)), Some(Value::Array(after)))
            if before.iter().chain(after).any(|item| item.is_object() || item.is_array()) =>
        {
            for index in 0..before.len().max(after.len()) {
                path.push(index.to_string());
                compare(path, before.get(index), after.get(index), found);
                path.pop();
            }
        }
        (before, after) => found.extend(line(path, before, after)),
    }
}

/// None if both are as good as not there.
fn line(path: &[String], before: Option<&Value>, after: Option<&Value>) -> Option<String> {
    let is_nothing = |value: &&Value| match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let (before, after) = (before.filter(is_nothing), after.filter(is_nothing));
    let place = place(path);
    let is_hidden = |value: Option<&Value>| value.is_some_and(|value| is_secret(path, value));
    let hides = is_hidden(before) || is_hidden(after);
    Some(match (before, after) {
        (None, None) => return None,
        (Some(_), None) => format!("{place}removed"),
        (None, Some(_)) if hides => format!("{place}new, its value is not shown"),
        (None, Some(after)) => format!("{place}new, `{}`", short(after)),
        (Some(_), Some(_)) if hides => format!("{place}another value, which is not shown"),
        (Some(before), Some(after)) => format!("{place}`{}` -> `{}`", short(before), short(after)),
    })
}

/// `` `configs[/etc/app.conf]`:  ``; nothing for the whole.
fn place(path: &[String]) -> String {
    let mut place = String::new();
    for key in path {
        let is_word = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '));
        match (is_word && key.parse::<u64>().is_err(), place.is_empty()) {
            (true, true) => place.push_str(key),
            (true, false) => place.push_str(&format!(".{key}")),
            (false, _) => place.push_str(&format!("[{}]", cut(key))),
        }
    }
    if place.is_empty() { place } else { format!("`{place}`: ") }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

/// One line that moves no cursor, and has an end.
fn cut(text: &str) -> String {
    let escaped: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if text.chars().nth(LONGEST).is_some() { format!("{escaped}…") } else { escaped }
}

/// Whether the value at this path should not appear in the log of a CI job. In doubt it should not.
fn is_secret(path: &[String], value: &Value) -> bool {
    if path.first().is_some_and(|first| OPEN.contains(&first.as_str()) && path.get(1).is_none_or(|it| it != "labels")) {
        return false;
    }
    let has_secret_name = path.iter().any(|key| {
        let key = key.to_ascii_lowercase();
        SECRET_NAMES.iter().any(|word| key.contains(word)) || key.ends_with("key")
    });
    let text = short_free(value);
    let lower = text.to_ascii_lowercase();
    has_secret_name || SECRET_TEXTS.iter().any(|word| lower.contains(word)) || has_credentials(&text) || has_key(&text)
}

fn short_free(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `postgres://user:word@host`.
fn has_credentials(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', ' ', '"']).next().unwrap_or_default();
        authority.contains('@')
    })
}

fn has_key(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '_' | '-');
    text.split(|c| !is_part(c)).any(|word| {
        word.len() >= KEY_LENGTH
            && word.chars().any(|c| c.is_ascii_digit())
            && word.chars().any(|c| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests;
