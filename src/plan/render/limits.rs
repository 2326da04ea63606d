//! The settings of the host that a container does not leave to the engine, by their names in `pod.yaml`.

use serde_json::{Map, Value, json};

use crate::pod::{Blkio, HostSettings};

/// Those that are set; `privileged` is no limit and shown by itself.
pub(super) fn limits(host: &HostSettings) -> Map<String, Value> {
    // Taken apart, so that a new setting can't be forgotten here.
    let HostSettings {
        privileged: _,
        read_only,
        runtime,
        oom_score_adj,
        oom_kill_disable,
        cap_add,
        cap_drop,
        group_add,
        security_opt,
        storage_opt,
        sysctls,
        userns_mode,
        devices,
        device_cgroup_rules,
        isolation,
        memory,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        shm_size,
        cpu_shares,
        nano_cpus,
        cpu_period,
        cpu_quota,
        cpu_rt_period,
        cpu_rt_runtime,
        cpuset,
        cpu_count,
        cpu_percent,
        blkio,
        pids_limit,
        ulimits,
    } = host;
    let devices: Vec<_> =
        devices.iter().map(|device| format!("{}:{}:{}", device.host, device.container, device.permissions)).collect();
    let ulimits: Map<_, _> =
        ulimits.iter().map(|limit| (limit.name.clone(), json!({"soft": limit.soft, "hard": limit.hard}))).collect();
    // As a number of CPUs: exact, since a double holds every such integer that makes sense.
    #[expect(clippy::cast_precision_loss, reason = "billionths of a CPU stay far below 2^53")]
    let cpus = nano_cpus.map(|nano| nano as f64 / 1e9);
    let all = [
        ("mem_limit", json!(memory)),
        ("mem_reservation", json!(memory_reservation)),
        ("memswap_limit", json!(memory_swap)),
        ("mem_swappiness", json!(memory_swappiness)),
        ("shm_size", json!(shm_size)),
        ("cpus", json!(cpus)),
        ("cpu_shares", json!(cpu_shares)),
        ("cpu_period", json!(cpu_period)),
        ("cpu_quota", json!(cpu_quota)),
        ("cpu_rt_period", json!(cpu_rt_period)),
        ("cpu_rt_runtime", json!(cpu_rt_runtime)),
        ("cpuset", json!(cpuset)),
        ("cpu_count", json!(cpu_count)),
        ("cpu_percent", json!(cpu_percent)),
        ("pids_limit", json!(pids_limit)),
        ("blkio_config", Value::Object(block_io(blkio))),
        ("ulimits", Value::Object(ulimits)),
        ("oom_score_adj", json!(oom_score_adj)),
        ("oom_kill_disable", json!(oom_kill_disable)),
        ("read_only", json!(read_only)),
        ("cap_add", json!(cap_add)),
        ("cap_drop", json!(cap_drop)),
        ("group_add", json!(group_add)),
        ("security_opt", json!(security_opt)),
        ("storage_opt", json!(storage_opt)),
        ("sysctls", json!(sysctls)),
        ("userns_mode", json!(userns_mode)),
        ("devices", json!(devices)),
        ("device_cgroup_rules", json!(device_cgroup_rules)),
        ("runtime", json!(runtime)),
        ("isolation", json!(isolation)),
    ];
    set(all)
}

fn block_io(blkio: &Blkio) -> Map<String, Value> {
    let Blkio { weight, weight_device, device_read_bps, device_write_bps, device_read_iops, device_write_iops } = blkio;
    let by_device = |list: &[(String, u64)]| {
        Value::Object(list.iter().map(|(device, rate)| (device.clone(), json!(rate))).collect())
    };
    let weights: Map<_, _> = weight_device.iter().map(|(device, weight)| (device.clone(), json!(weight))).collect();
    set([
        ("weight", json!(weight)),
        ("weight_device", Value::Object(weights)),
        ("device_read_bps", by_device(device_read_bps)),
        ("device_write_bps", by_device(device_write_bps)),
        ("device_read_iops", by_device(device_read_iops)),
        ("device_write_iops", by_device(device_write_iops)),
    ])
}

/// Leaves out what is not set: nothing, off, or empty.
fn set<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    let is_set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    };
    all.into_iter().filter(|(_, value)| is_set(value)).map(|(key, value)| (key.to_owned(), value)).collect()
}
