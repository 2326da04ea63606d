//! What differs for one component: settings that podlike refused, misread or passed over.

use serde_json::{Map, Value};

use super::{List, single};
use crate::labels::{Place, kind};

/// Every key that podlike knew.
const KNOWN: [&str; 49] = [
    "blkio_config",
    "cap_add",
    "cap_drop",
    "command",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "depends_on",
    "device_cgroup_rules",
    "devices",
    "entrypoint",
    "env_file",
    "environment",
    "group_add",
    "healthcheck",
    "image",
    "isolation",
    "labels",
    "logging",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "oom_kill_disable",
    "oom_score_adj",
    "pids_limit",
    "privileged",
    "read_only",
    "runtime",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "userns_mode",
    "volumes",
    "working_dir",
];

/// The devices' limits that podlike mixed up, and what it took each for.
const CROSSED: [(&str, &str); 2] = [("device_write_bps", "device_read_iops"), ("device_read_iops", "device_write_bps")];

/// What kind of component it is.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// One that must finish before the others start.
    pub(super) is_init: bool,
    /// Whether a template made it.
    pub(super) is_rendered: bool,
}

/// Whether every file is read line by line.
fn is_raw(files: &Value) -> bool {
    let one = |file: &Value| file.get("format").and_then(Value::as_str) == Some("raw");
    files.as_array().map_or_else(|| one(files), |files| files.iter().all(one))
}

pub(super) fn look(body: &Map<String, Value>, at: &Place, kind: Kind, list: &mut List<'_>) {
    let Kind { is_init, is_rendered } = kind;
    for (key, value) in body {
        let field = at.key(key).field;
        match key.as_str() {
            "environment" => environment(value, &field, is_rendered, list),
            "labels" | "env_file" | "tmpfs" | "volumes" if is_rendered => {}
            "labels" => not_text(value, &field, list),
            "env_file" => {
                if value.is_string() {
                    list.push(&field, "podlike rejects an `env_file` that is text; Outrigger reads the file", "");
                }
                if !is_raw(value) {
                    let what = "podlike uses each line unchanged; Outrigger reads the file as Compose does: it removes quotes, `export` and comments, and replaces variables";
                    list.push(field, what, "write `{path: …, format: raw}`");
                }
            }
            "tmpfs" if value.is_string() => {
                list.push(field, "podlike rejects a `tmpfs` that is text; Outrigger mounts the tmpfs", "");
            }
            "mem_reservation" if value.is_string() => {
                list.push(field, "podlike accepts only a number here; Outrigger also accepts a size with a unit", "");
            }
            "blkio_config" => blkio(value, &field, list),
            "volumes" => volumes(value, &field, list),
            "depends_on" => depends_on(value, &field, is_init, list),
            "privileged" | "read_only" | "stdin_open" | "tty" | "oom_kill_disable" if is_old_truth(value) => {
                let what = format!(
                    "podlike reads `{}` as a boolean; Outrigger reads it as text and reports a problem",
                    single(value)
                );
                list.push(field, what, "write `true` or `false`");
            }
            "tty" if value == &Value::Bool(true) => {
                list.push(field, "with `-logs`, podlike garbles the output of a terminal; Outrigger does not", "");
            }
            // Of an init component.
            "name" if is_init => {
                list.push(
                    field,
                    "podlike rejects the name of an init component and always uses `init-1`, `init-2`, …",
                    "",
                );
            }
            key if !KNOWN.contains(&key) => {
                list.push(field, format!("podlike does not know `{key}` and rejects it"), "");
            }
            _ => {}
        }
    }
}

fn environment(value: &Value, field: &str, is_rendered: bool, list: &mut List<'_>) {
    let passed = "podlike sets this variable to an empty value; Outrigger uses the controller's value, and does not set the variable if the controller does not have it";
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if value.is_null() {
                    list.push(format!("{field}.{name}"), passed, format!("write `{name}: \"\"`"));
                }
            }
            if !is_rendered {
                not_text(value, field, list);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(name) = item.as_str().filter(|item| !item.contains('=')) {
                    list.push(format!("{field}[{index}]"), passed, format!("write `{name}=`"));
                }
            }
        }
        _ => {}
    }
}

/// Whether YAML 1.1 takes this for a truth value, and YAML 1.2 for text.
fn is_old_truth(value: &Value) -> bool {
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    value.as_str().is_some_and(|text| WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

/// Values of a map that are no text.
fn not_text(value: &Value, field: &str, list: &mut List<'_>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if matches!(value, Value::Number(_) | Value::Bool(_)) {
            list.push(
                format!("{field}.{name}"),
                format!("podlike rejects {} here; Outrigger reads it as text", kind(value)),
                "",
            );
        }
    }
}

fn blkio(value: &Value, field: &str, list: &mut List<'_>) {
    for (key, taken) in CROSSED {
        if value.get(key).is_some() {
            list.push(
                format!("{field}.{key}"),
                format!("podlike reads this value as `{taken}`; Outrigger uses the value as it is written"),
                format!("write `{taken}` to keep podlike's limit"),
            );
        }
    }
}

fn volumes(value: &Value, field: &str, list: &mut List<'_>) {
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let field = format!("{field}[{index}]");
        let Some(text) = item.as_str() else {
            long_volume(item, &field, list);
            continue;
        };
        if text.starts_with('/') && text.contains(':') {
            missing_source(&field, list);
        }
        let mut parts = text.splitn(3, ':');
        let (source, mode) = (parts.next().unwrap_or_default(), parts.nth(1));
        if text.contains(':') && source.starts_with(['.', '~']) {
            list.push(
                field,
                "podlike reads a relative source as the name of a volume; Outrigger reports a problem",
                "write the absolute path on the node",
            );
        } else if let Some(other) =
            mode.map(|mode| mode.split(',').filter(|it| !matches!(*it, "ro" | "rw")).collect::<Vec<_>>())
            && !other.is_empty()
        {
            let what = format!("podlike ignores the mode `{}`; Outrigger applies it", other.join(","));
            list.push(field, what, "remove the mode");
        }
    }
}

/// A mount in the form with a key for each part.
fn long_volume(item: &Value, field: &str, list: &mut List<'_>) {
    let makes = item.pointer("/bind/create_host_path").is_none_or(|makes| makes != &Value::Bool(false));
    if item.get("type").and_then(Value::as_str) == Some("bind") && makes {
        missing_source(field, list);
    }
    let size = item.pointer("/tmpfs/size").map(single).unwrap_or_default();
    if let Some((podlikes, ours)) = sizes(&size) {
        list.push(
            format!("{field}.tmpfs.size"),
            format!("podlike reads `{size}` as {podlikes} bytes; Outrigger reads it as {ours} bytes, as Compose does"),
            format!("write `{podlikes}`"),
        );
    }
}

/// What podlike and we make of a size with a unit: powers of 1000, and powers of 1024. None without a unit.
fn sizes(text: &str) -> Option<(u64, u64)> {
    let text = text.trim().to_ascii_lowercase();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text.get(number.len()..)?.trim_start().chars().next()?;
    let power = u32::try_from("kmgt".find(unit)?).ok()? + 1;
    let number: u64 = number.parse().ok()?;
    Some((number.checked_mul(1000_u64.checked_pow(power)?)?, number.checked_mul(1024_u64.checked_pow(power)?)?))
}

fn missing_source(field: &str, list: &mut List<'_>) {
    list.push(
        field,
        "podlike fails if the source of a bind mount does not exist on the node; with Outrigger, as with Compose, the engine creates a directory there",
        "use the long form with `bind: {create_host_path: false}`",
    );
}

fn depends_on(value: &Value, field: &str, is_init: bool, list: &mut List<'_>) {
    if is_init {
        return;
    }
    for (name, dependency) in value.as_object().into_iter().flatten() {
        for (key, value) in dependency.as_object().into_iter().flatten() {
            let field = format!("{field}.{name}.{key}");
            match (key.as_str(), value.as_str()) {
                ("condition", Some("service_started" | "service_healthy")) => {}
                ("condition", Some(other)) => list.push(field, format!("podlike rejects the condition `{other}`"), ""),
                ("condition", None) => {}
                (other, _) => {
                    list.push(field, format!("podlike ignores `{other}`; Outrigger applies it"), "remove the key")
                }
            }
        }
    }
}
