//! Which settings of a service go where, and how the settings of one thing are told from a map of named ones.

use serde_json::{Map, Value};

/// What the controller takes over from the service. Not among them is what is about the application's own process, as podlike had it: its entrypoint,
/// health check, user, terminal, working directory, read-only root, environment files, scratch memory, limits of the process and privileges would be
/// the controller's, which then does not start, or says that the application's check has failed.
pub const POD: [&str; 20] = [
    "configs",
    "credential_spec",
    "deploy",
    "dns",
    "dns_search",
    "domainname",
    "environment",
    "expose",
    "extra_hosts",
    "hostname",
    "ipc",
    "labels",
    "logging",
    "mac_address",
    "networks",
    "pid",
    "ports",
    "secrets",
    "stop_grace_period",
    "volumes",
];

/// What the main component takes over from the service.
pub const COMPONENT: [&str; 49] = [
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
    "plugins",
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

/// Settings that nobody takes over: of services, of controllers, and of components where they are written as such.
const OTHERS: [&str; 17] = [
    "build",
    "cgroup_parent",
    "cgroupns_mode",
    "container_name",
    "env_file",
    "essential",
    "external_links",
    "init",
    "links",
    "network_mode",
    "post_start",
    "pre_stop",
    "probes",
    "profiles",
    "pull_policy",
    "restart",
    "role",
];

/// Whether the key is one of a service or a component.
#[must_use]
pub fn is_setting(key: &str) -> bool {
    POD.contains(&key) || COMPONENT.contains(&key) || OTHERS.contains(&key)
}

/// Whether a map holds the settings of one thing, rather than the thing under its name: podlike's documentation has both forms, and its program took
/// the first setting for the name. `logging: {image: x}` is a component that is called `logging`, `logging: {driver: x}` is a setting.
#[must_use]
pub fn is_body(map: &Map<String, Value>) -> bool {
    let all_settings = !map.is_empty() && map.keys().all(|key| is_setting(key));
    let is_named = |value: &Value| match value {
        Value::Object(inner) => inner.contains_key("image") || inner.keys().all(|key| is_setting(key)),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    };
    all_settings && !(map.len() == 1 && map.values().all(is_named))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_of_a_component_is_known_as_one() {
        let schema: Value = serde_json::from_str(include_str!("../labels/schema/pod.json")).unwrap();
        let keys: Vec<_> = schema["definitions"]["component"]["properties"].as_object().unwrap().keys().collect();
        assert!(keys.len() > 50, "{keys:?}");
        let unknown: Vec<_> = keys.into_iter().filter(|key| !is_setting(key)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn settings_are_told_from_names() {
        for (map, body) in [
            (json!({"app": {"image": "x"}}), false),
            (json!({"image": "x", "labels": {"a": "b"}}), true),
            (json!({"labels": {"given": "so"}}), true),
            (json!({"logging": {"image": "x"}}), false),
            (json!({"logging": {"image": "x", "newer": "y"}}), false),
            (json!({"logging": {"driver": "x"}}), true),
            (json!({"environment": ["A=b"]}), true),
            (json!({"app": null}), false),
            (json!({}), false),
            (json!({"app": {"image": "x"}, "image": "y"}), false),
        ] {
            assert_eq!(is_body(map.as_object().unwrap()), body, "{map}");
        }
    }
}
