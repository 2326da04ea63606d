//! A [`ContainerSpec`] in the words of the engine's API. Pure.
//!
//! Only what was set is sent, so that the engine's own defaults hold, and every field used here exists since API 1.40.
//!
//! Binds of host paths go through `Binds`, as Compose's short syntax and podlike do it: the engine then creates a source that does not exist, which
//! `Mounts` refuses: so one that must exist goes through `Mounts`. A path with a colon can't be written there and goes through `Mounts`, too. Volumes, named or anonymous, go through `Mounts`: there it makes
//! no difference, and nothing has to be escaped. From API 1.42 on the engine refuses options that belong to another kind of mount, so each carries its own only.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigIsolationEnum, HostConfigLogConfig,
    Mount as ApiMount, MountBindOptions, MountBindOptionsPropagationEnum as Propagation, MountTmpfsOptions, MountType,
    MountVolumeOptions, MountVolumeOptionsDriverConfig, PortBinding, PortMap, ResourcesBlkioWeightDevice,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum, ThrottleDevice,
};

use crate::engine::{ContainerSpec, has_start_interval};
use crate::pod::ports::Port;
use crate::pod::{HealthCheck, HostSettings, Mount, MountKind, OuterRestart};

/// Why a specification can't be told to the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSpec {
    #[error(
        "`{0}` is not a mount propagation: expected `private`, `rprivate`, `shared`, `rshared`, `slave` or `rslave`"
    )]
    Propagation(String),
    #[error("the bind at `{0}` has no source")]
    NoSource(String),
    #[error("`{0}` is not an isolation: expected `default`, `process` or `hyperv`")]
    Isolation(String),
}

/// The body of the call that creates it, for an engine of this API version.
pub(super) fn create_body(spec: &ContainerSpec, api: (u32, u32)) -> Result<ContainerCreateBody, BadSpec> {
    let ports = ports(&spec.ports);
    let mut host = host_config(&spec.host)?;
    let mut binds = Vec::new();
    let mut mounts = Vec::new();
    for mount in &spec.mounts {
        match bind(mount)? {
            Some(bind) => binds.push(bind),
            None => mounts.push(api_mount(mount)?),
        }
    }
    host.binds = unless_empty(binds);
    host.mounts = unless_empty(mounts);
    host.tmpfs = map(&spec.tmpfs);
    host.network_mode.clone_from(&spec.network_mode);
    host.pid_mode.clone_from(&spec.pid_mode);
    host.ipc_mode.clone_from(&spec.ipc_mode);
    host.cgroup_parent.clone_from(&spec.cgroup_parent);
    host.extra_hosts = unless_empty(spec.outer.extra_hosts.clone());
    host.dns = unless_empty(spec.outer.dns.clone());
    host.restart_policy = spec.outer.restart.map(restart_policy);
    host.log_config = spec
        .logging
        .as_ref()
        .map(|logging| HostConfigLogConfig { typ: Some(logging.driver.clone()), config: map(&logging.options) });
    let exposed_ports = unless_empty(ports.keys().cloned().collect());
    host.port_bindings = if ports.is_empty() { None } else { Some(ports) };
    Ok(ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: spec.outer.hostname.clone(),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: unless_empty(spec.env.clone()),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        labels: map(&spec.labels),
        tty: on(spec.tty),
        open_stdin: on(spec.stdin_open),
        stop_signal: spec.stop_signal.map(|signal| signal.to_string()),
        stop_timeout: spec.stop_timeout.map(whole_seconds),
        healthcheck: spec.healthcheck.as_ref().map(|check| health_config(check, api)),
        exposed_ports,
        host_config: Some(host),
        ..ContainerCreateBody::default()
    })
}

fn host_config(host: &HostSettings) -> Result<HostConfig, BadSpec> {
    let blkio = &host.blkio;
    let isolation = match host.isolation.as_deref() {
        None | Some("") => None,
        Some("default") => Some(HostConfigIsolationEnum::DEFAULT),
        Some("process") => Some(HostConfigIsolationEnum::PROCESS),
        Some("hyperv") => Some(HostConfigIsolationEnum::HYPERV),
        Some(other) => return Err(BadSpec::Isolation(other.to_owned())),
    };
    Ok(HostConfig {
        privileged: on(host.privileged),
        readonly_rootfs: on(host.read_only),
        runtime: host.runtime.clone(),
        oom_score_adj: host.oom_score_adj,
        oom_kill_disable: on(host.oom_kill_disable),
        cap_add: unless_empty(host.cap_add.clone()),
        cap_drop: unless_empty(host.cap_drop.clone()),
        group_add: unless_empty(host.group_add.clone()),
        security_opt: unless_empty(host.security_opt.clone()),
        storage_opt: map(&host.storage_opt),
        sysctls: map(&host.sysctls),
        userns_mode: host.userns_mode.clone(),
        devices: unless_empty(
            host.devices
                .iter()
                .map(|device| DeviceMapping {
                    path_on_host: Some(device.host.clone()),
                    path_in_container: Some(device.container.clone()),
                    cgroup_permissions: Some(device.permissions.clone()),
                })
                .collect(),
        ),
        device_cgroup_rules: unless_empty(host.device_cgroup_rules.clone()),
        isolation,
        memory: host.memory,
        memory_reservation: host.memory_reservation,
        memory_swap: host.memory_swap,
        memory_swappiness: host.memory_swappiness,
        shm_size: host.shm_size,
        cpu_shares: host.cpu_shares,
        nano_cpus: host.nano_cpus,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_rt_period,
        cpu_realtime_runtime: host.cpu_rt_runtime,
        cpuset_cpus: host.cpuset.clone(),
        cpu_count: host.cpu_count,
        cpu_percent: host.cpu_percent,
        blkio_weight: blkio.weight,
        blkio_weight_device: unless_empty(
            blkio
                .weight_device
                .iter()
                .map(|(path, weight)| ResourcesBlkioWeightDevice {
                    path: Some(path.clone()),
                    weight: Some(usize::from(*weight)),
                })
                .collect(),
        ),
        blkio_device_read_bps: throttles(&blkio.device_read_bps),
        blkio_device_write_bps: throttles(&blkio.device_write_bps),
        blkio_device_read_iops: throttles(&blkio.device_read_iops),
        blkio_device_write_iops: throttles(&blkio.device_write_iops),
        pids_limit: host.pids_limit,
        ulimits: unless_empty(
            host.ulimits
                .iter()
                .map(|limit| ResourcesUlimits {
                    name: Some(limit.name.clone()),
                    soft: Some(limit.soft),
                    hard: Some(limit.hard),
                })
                .collect(),
        ),
        ..HostConfig::default()
    })
}

fn restart_policy(restart: OuterRestart) -> RestartPolicy {
    let (name, count) = match restart {
        OuterRestart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        OuterRestart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        OuterRestart::OnFailure(most) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(most))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count }
}

fn throttles(devices: &[(String, u64)]) -> Option<Vec<ThrottleDevice>> {
    let throttle = |(path, rate): &(String, u64)| ThrottleDevice {
        path: Some(path.clone()),
        rate: Some(i64::try_from(*rate).unwrap_or(i64::MAX)),
    };
    unless_empty(devices.iter().map(throttle).collect())
}

fn health_config(check: &HealthCheck, api: (u32, u32)) -> HealthConfig {
    match check {
        HealthCheck::Disabled => HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() },
        HealthCheck::Command { test, interval, timeout, start_period, start_interval, retries } => HealthConfig {
            test: unless_empty(test.clone()),
            interval: interval.map(nanos),
            timeout: timeout.map(nanos),
            start_period: start_period.map(nanos),
            start_interval: start_interval.filter(|_| has_start_interval(api)).map(nanos),
            retries: retries.map(i64::from),
        },
    }
}

/// As an entry of `Binds`, where it is a bind that can be written so.
fn bind(mount: &Mount) -> Result<Option<String>, BadSpec> {
    if mount.kind != MountKind::Bind {
        return Ok(None);
    }
    let source = mount.source.as_deref().ok_or_else(|| BadSpec::NoSource(mount.target.clone()))?;
    if mount.must_exist || source.contains(':') || mount.target.contains(':') {
        return Ok(None);
    }
    let mut options = Vec::new();
    if mount.read_only {
        options.push("ro");
    }
    if let Some(propagation) = &mount.propagation {
        parse_propagation(propagation)?;
        options.push(propagation);
    }
    let colon = if options.is_empty() { "" } else { ":" };
    Ok(Some(format!("{source}:{}{colon}{}", mount.target, options.join(","))))
}

fn api_mount(mount: &Mount) -> Result<ApiMount, BadSpec> {
    let mut answer = ApiMount {
        target: Some(mount.target.clone()),
        source: mount.source.clone(),
        read_only: on(mount.read_only),
        ..ApiMount::default()
    };
    match mount.kind {
        MountKind::Bind => {
            answer.typ = Some(MountType::BIND);
            if let Some(propagation) = &mount.propagation {
                let propagation = Some(parse_propagation(propagation)?);
                answer.bind_options = Some(MountBindOptions { propagation, ..MountBindOptions::default() });
            }
        }
        MountKind::Volume => {
            answer.typ = Some(MountType::VOLUME);
            answer.volume_options = volume_options(mount);
        }
        MountKind::Tmpfs => {
            answer.typ = Some(MountType::TMPFS);
            answer.source = None;
            if mount.tmpfs_size.is_some() || mount.tmpfs_mode.is_some() {
                answer.tmpfs_options = Some(MountTmpfsOptions {
                    size_bytes: mount.tmpfs_size,
                    mode: mount.tmpfs_mode.map(i64::from),
                    ..MountTmpfsOptions::default()
                });
            }
        }
    }
    Ok(answer)
}

/// How the engine makes the volume where it does not exist yet.
fn volume_options(mount: &Mount) -> Option<MountVolumeOptions> {
    let spec = mount.volume.as_ref();
    let driver = spec.filter(|spec| !spec.driver.is_empty() || !spec.driver_opts.is_empty());
    let options = MountVolumeOptions {
        no_copy: on(mount.no_copy),
        labels: spec.filter(|spec| !spec.labels.is_empty()).map(|spec| spec.labels.clone().into_iter().collect()),
        driver_config: driver.map(|spec| MountVolumeOptionsDriverConfig {
            name: Some(spec.driver.clone()).filter(|name| !name.is_empty()),
            options: Some(spec.driver_opts.clone().into_iter().collect()),
        }),
        ..MountVolumeOptions::default()
    };
    (options != MountVolumeOptions::default()).then_some(options)
}

fn parse_propagation(word: &str) -> Result<Propagation, BadSpec> {
    Ok(match word {
        "private" => Propagation::PRIVATE,
        "rprivate" => Propagation::RPRIVATE,
        "shared" => Propagation::SHARED,
        "rshared" => Propagation::RSHARED,
        "slave" => Propagation::SLAVE,
        "rslave" => Propagation::RSLAVE,
        other => return Err(BadSpec::Propagation(other.to_owned())),
    })
}

fn ports(ports: &[Port]) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        let key = format!("{}/{}", port.container, port.protocol.name());
        let binding = PortBinding {
            host_ip: port.address.map(|address| address.to_string()),
            host_port: Some(port.host.to_string()),
        };
        map.entry(key).or_default().get_or_insert_default().push(binding);
    }
    map
}

/// Rounded up: a part of a second that was asked for is not cut off.
fn whole_seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn on(switch: bool) -> Option<bool> {
    switch.then_some(true)
}

fn unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}

fn map(map: &std::collections::BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    if map.is_empty() { None } else { Some(map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()) }
}

#[cfg(test)]
mod tests;
