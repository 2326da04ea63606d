//! The engine's answers in our words. Pure.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum, EventMessage,
    HealthConfig, HealthStatusEnum, SystemInfoCgroupDriverEnum, SystemInfoCgroupVersionEnum,
};

use crate::engine::{
    CgroupDriver, CheckResult, CheckTimes, ContainerId, EngineEvent, EngineEventKind, EngineHealth, Inspection, Listed,
    MountPoint, PathKind,
};

/// What the engine writes where a container has never been started.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Without the state's one-word summary: engines invent words for it, and the flags beside it say the same.
pub(super) fn parse_inspection(body: &[u8]) -> serde_json::Result<ContainerInspectResponse> {
    let mut answer: serde_json::Value = serde_json::from_slice(body)?;
    if let Some(state) = answer.get_mut("State").and_then(serde_json::Value::as_object_mut) {
        state.remove("Status");
    }
    serde_json::from_value(answer)
}

/// Bits of Go's `fs.FileMode`, in which the engine writes what a path is: <https://pkg.go.dev/io/fs#FileMode>.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;
/// A device, a pipe, a socket, a character device, or something else that is no regular file.
const GO_SPECIAL: u32 = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19;

pub(super) fn path_kind(mode: u32, link: String) -> PathKind {
    match mode {
        _ if mode & GO_LINK != 0 => PathKind::Link(link),
        _ if mode & GO_DIRECTORY != 0 => PathKind::Directory,
        _ if mode & GO_SPECIAL != 0 => PathKind::Other,
        _ => PathKind::File,
    }
}

pub(super) fn inspection(answer: ContainerInspectResponse) -> Inspection {
    let state = answer.state.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let host = answer.host_config.unwrap_or_default();
    let networks = answer.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let mut addresses: Vec<String> = networks
        .into_values()
        .flat_map(|network| [network.ip_address, network.global_ipv6_address])
        .flatten()
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort();
    let mounts = answer.mounts.unwrap_or_default().into_iter().map(|mount| MountPoint {
        kind: mount.typ.map(|kind| kind.to_string()).unwrap_or_default(),
        name: mount.name.unwrap_or_default(),
        source: mount.source.unwrap_or_default(),
        target: mount.destination.unwrap_or_default(),
        writable: mount.rw.unwrap_or_default(),
    });
    Inspection {
        id: ContainerId(answer.id.unwrap_or_default()),
        name: answer.name.map(|name| without_slash(&name)).unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        labels: sorted(config.labels),
        command: config.cmd.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        hostname: config.hostname.unwrap_or_default(),
        running: state.running.unwrap_or_default(),
        paused: state.paused.unwrap_or_default(),
        removing: matches!(state.status, Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD)),
        started_at: state.started_at.filter(|at| at != NEVER).unwrap_or_default(),
        exit_code: state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        last_check: state.health.as_ref().and_then(|health| health.log.as_ref()?.last()).map(|last| CheckResult {
            exit_code: last.exit_code.unwrap_or_default(),
            output: last.output.clone().unwrap_or_default(),
        }),
        health: state.health.and_then(|health| health.status).and_then(|status| match status {
            HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
            HealthStatusEnum::STARTING => Some(EngineHealth::Starting),
            HealthStatusEnum::HEALTHY => Some(EngineHealth::Healthy),
            HealthStatusEnum::UNHEALTHY => Some(EngineHealth::Unhealthy),
        }),
        check_declares: config.healthcheck.as_ref().and_then(|check| {
            let test = check.test.as_deref().unwrap_or_default();
            let time = |nanos: Option<i64>| {
                Duration::from_nanos(nanos.and_then(|it| u64::try_from(it).ok()).unwrap_or_default())
            };
            let is_on = test.first().is_some_and(|first| first != "NONE");
            is_on.then(|| time(check.start_period).saturating_add(time(check.interval)))
        }),
        check: config.healthcheck.and_then(check_times),
        ipc_mode: host.ipc_mode.unwrap_or_default(),
        network_mode: host.network_mode.unwrap_or_default(),
        cgroup_parent: host.cgroup_parent.unwrap_or_default(),
        cgroup_namespace: host.cgroupns_mode.map(|mode| mode.to_string()).unwrap_or_default(),
        tty: config.tty.unwrap_or_default(),
        memory: host.memory.unwrap_or_default(),
        memory_swap: host.memory_swap.unwrap_or_default(),
        nano_cpus: host.nano_cpus.unwrap_or_default(),
        cpu_quota: host.cpu_quota.unwrap_or_default(),
        cpu_period: host.cpu_period.unwrap_or_default(),
        pids_limit: host.pids_limit.unwrap_or_default(),
        oom_score_adj: host.oom_score_adj.unwrap_or_default(),
        stop_timeout: config.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
        stop_signal: config.stop_signal.as_deref().and_then(signal_number),
        mounts: mounts.collect(),
        addresses,
    }
}

fn check_times(check: HealthConfig) -> Option<CheckTimes> {
    check.test.filter(|test| test.first().is_some_and(|kind| kind != "NONE"))?;
    // In nanoseconds; 0 is the engine's default.
    let given = |time: Option<i64>| time.and_then(|time| u64::try_from(time).ok()).filter(|&time| time > 0);
    let default = CheckTimes::default();
    Some(CheckTimes {
        interval: given(check.interval).map_or(default.interval, Duration::from_nanos),
        timeout: given(check.timeout).map_or(default.timeout, Duration::from_nanos),
    })
}

pub(super) fn listed(answer: ContainerSummary) -> Option<Listed> {
    use ContainerSummaryStateEnum as State;
    Some(Listed {
        id: ContainerId(answer.id?),
        // A linked container has more names, with more than the one slash in front.
        name: answer
            .names
            .unwrap_or_default()
            .iter()
            .map(|name| without_slash(name))
            .find(|name| !name.contains('/'))
            .unwrap_or_default(),
        image: answer.image.unwrap_or_default(),
        labels: sorted(answer.labels),
        running: matches!(answer.state, Some(State::RUNNING | State::PAUSED | State::RESTARTING)),
        paused: answer.state == Some(State::PAUSED),
    })
}

/// None for events that do not matter here. Reads `Action` and `Actor` only: API 1.52 dropped `status` and `id`.
pub(super) fn event(answer: EventMessage) -> Option<EngineEvent> {
    let actor = answer.actor?;
    let kind = match answer.action.as_deref()? {
        "start" => EngineEventKind::Start,
        "die" => EngineEventKind::Die {
            exit_code: actor.attributes.as_ref()?.get("exitCode").and_then(|code| code.parse().ok())?,
        },
        "oom" => EngineEventKind::Oom,
        "pause" => EngineEventKind::Paused(true),
        "unpause" => EngineEventKind::Paused(false),
        "destroy" => EngineEventKind::Destroy,
        action => EngineEventKind::Health(match action.strip_prefix("health_status:")?.trim() {
            "starting" => EngineHealth::Starting,
            "healthy" => EngineHealth::Healthy,
            "unhealthy" => EngineHealth::Unhealthy,
            _ => return None,
        }),
    };
    let at_ns = answer.time_nano.or_else(|| answer.time?.checked_mul(1_000_000_000)).unwrap_or_default();
    Some(EngineEvent { id: ContainerId(actor.id?), at_ns, kind })
}

pub(super) fn cgroup_driver(answer: Option<SystemInfoCgroupDriverEnum>) -> CgroupDriver {
    match answer {
        Some(SystemInfoCgroupDriverEnum::SYSTEMD) => CgroupDriver::Systemd,
        Some(SystemInfoCgroupDriverEnum::CGROUPFS) => CgroupDriver::Cgroupfs,
        Some(SystemInfoCgroupDriverEnum::NONE | SystemInfoCgroupDriverEnum::EMPTY) | None => CgroupDriver::None,
    }
}

/// Engines that do not tell know only the first version.
pub(super) fn cgroup_version(answer: Option<SystemInfoCgroupVersionEnum>) -> u8 {
    match answer {
        Some(SystemInfoCgroupVersionEnum::_2) => 2,
        Some(SystemInfoCgroupVersionEnum::_1 | SystemInfoCgroupVersionEnum::EMPTY) | None => 1,
    }
}

/// `1.41` as (1, 41).
pub(super) fn api_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`: all that the engine itself takes.
fn signal_number(text: &str) -> Option<i32> {
    // Of the C library, which keeps the first two for itself.
    const RTMIN: i32 = 34;
    const RTMAX: i32 = 64;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return if offset.is_empty() {
            Some(RTMIN)
        } else {
            Some(RTMIN + offset.strip_prefix('+')?.parse::<u8>().ok()? as i32)
        };
    }
    if let Some(offset) = name.strip_prefix("RTMAX") {
        return if offset.is_empty() {
            Some(RTMAX)
        } else {
            Some(RTMAX - offset.strip_prefix('-')?.parse::<u8>().ok()? as i32)
        };
    }
    nix::sys::signal::Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32)
}

fn without_slash(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

pub(super) fn sorted(labels: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    labels.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: serde_json::Value) -> Option<EngineEvent> {
        event(serde_json::from_value(text).unwrap())
    }

    #[test]
    fn events_of_old_and_new_engines() {
        // 20.10 still sends `status` and `id`; 29 does not. What they say is elsewhere too.
        let old = json!({
            "status": "die", "id": "abc", "from": "img", "Type": "container", "Action": "die",
            "Actor": {"ID": "abc", "Attributes": {"exitCode": "137", "name": "x"}}, "scope": "local", "time": 2, "timeNano": 2_000_000_005_i64,
        });
        let died = EngineEvent {
            id: ContainerId("abc".into()),
            at_ns: 2_000_000_005,
            kind: EngineEventKind::Die { exit_code: 137 },
        };
        assert_eq!(parsed(old), Some(died));
        let kinds = [
            ("start", Some(EngineEventKind::Start)),
            ("oom", Some(EngineEventKind::Oom)),
            ("pause", Some(EngineEventKind::Paused(true))),
            ("unpause", Some(EngineEventKind::Paused(false))),
            ("destroy", Some(EngineEventKind::Destroy)),
            ("health_status: healthy", Some(EngineEventKind::Health(EngineHealth::Healthy))),
            ("health_status: unhealthy", Some(EngineEventKind::Health(EngineHealth::Unhealthy))),
            ("health_status:starting", Some(EngineEventKind::Health(EngineHealth::Starting))),
            ("health_status: odd", None),
            ("exec_die", None),
            ("die", None),
        ];
        for (action, kind) in kinds {
            let new = json!({"Type": "container", "Action": action, "Actor": {"ID": "abc"}, "time": 3});
            assert_eq!(
                parsed(new).map(|event| (event.at_ns, event.kind)),
                kind.map(|kind| (3_000_000_000, kind)),
                "{action}"
            );
        }
    }

    #[test]
    fn an_inspection_of_a_container_that_never_ran() {
        let answer = json!({
            "Id": "0123456789abcdef", "Name": "/pod.podlike.app",
            "State": {"Running": false, "ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z"},
            "Config": {"Image": "acme/calc", "Labels": null, "Env": ["A=1"], "Hostname": "h", "StopSignal": "SIGQUIT", "StopTimeout": 7, "Tty": true},
            "HostConfig": {"IpcMode": "private", "NetworkMode": "net", "Memory": 5, "MemorySwap": -1, "OomScoreAdj": -3, "CgroupParent": ""},
            "Mounts": [{"Type": "volume", "Name": "v", "Source": "/s", "Destination": "/d", "RW": true}],
            "NetworkSettings": {"Networks": {"net": {"IPAddress": "10.0.0.2", "GlobalIPv6Address": ""}}},
        });
        let got = inspection(serde_json::from_value(answer).unwrap());
        assert_eq!((got.name.as_str(), got.started_at.as_str(), got.stop_signal), ("pod.podlike.app", "", Some(3)));
        assert_eq!((got.health, got.memory_swap, got.stop_timeout), (None, -1, Some(Duration::from_secs(7))));
        assert_eq!(got.addresses, ["10.0.0.2"]);
        assert_eq!(got.mounts[0].kind, "volume");
        assert!(got.tty && got.mounts[0].writable && got.labels.is_empty());
    }

    #[test]
    fn when_the_engine_looks_at_a_container() {
        let seconds = |interval, timeout| {
            Some(CheckTimes { interval: Duration::from_secs(interval), timeout: Duration::from_secs(timeout) })
        };
        for (check, expected) in [
            (json!(null), None),
            (json!({}), None),
            (json!({"Test": ["NONE"], "Timeout": 5_000_000_000_i64}), None),
            (json!({"Test": ["CMD", "/outrigger", "healthcheck", "--wait"]}), seconds(30, 30)),
            (
                json!({"Test": ["CMD-SHELL", "x"], "Interval": 2_000_000_000_i64, "Timeout": 3_000_000_000_i64}),
                seconds(2, 3),
            ),
            (json!({"Test": ["CMD", "x"], "Interval": 0, "Timeout": -1}), seconds(30, 30)),
        ] {
            let answer = json!({"Id": "a", "Config": {"Healthcheck": check}});
            assert_eq!(inspection(serde_json::from_value(answer).unwrap()).check, expected, "{check}");
        }
    }

    #[test]
    fn the_last_check_counts_and_its_words_are_one_line() {
        let log = json!([
            {"Start": "2026-01-01T00:00:00.5Z", "End": "2026-01-01T00:00:01Z", "ExitCode": 0, "Output": "ok"},
            {"Start": "2026-01-01T00:00:02.5Z", "End": "2026-01-01T00:00:03Z", "ExitCode": 1, "Output": "db refused\n\n try later\n"},
        ]);
        let answer = json!({"Id": "a", "State": {"Running": true, "Paused": true, "Health": {"Status": "unhealthy", "Log": log}}});
        let got = inspection(serde_json::from_value(answer).unwrap());
        assert!(got.paused);
        let last = got.last_check.unwrap();
        assert_eq!(last.failure(1024).unwrap(), "it exited with code 1: db refused; try later");
        assert_eq!(last.failure(5).unwrap(), "it exited with code 1: db re…");
        let of = |exit_code, output: &str| CheckResult { exit_code, output: output.to_owned() }.failure(9);
        assert_eq!(of(0, "fine"), None);
        assert_eq!(of(3, " \n"), Some("it exited with code 3".to_owned()));
        assert_eq!(of(-1, "too slow"), Some("too slow".to_owned()));
        assert_eq!(of(-1, "öööööö"), Some("öööö…".to_owned()), "no character is cut");
    }

    #[test]
    fn a_state_in_another_engines_words() {
        let podman = br#"{"Id": "a", "State": {"Status": "stopped", "Running": false, "ExitCode": 3}}"#;
        let got = inspection(parse_inspection(podman).unwrap());
        assert_eq!((got.running, got.exit_code), (false, 3));
        assert!(parse_inspection(b"{").is_err());
    }

    #[test]
    fn what_a_path_is() {
        for (mode, expected) in [
            (0o100_644 & 0o777, PathKind::File),
            (GO_DIRECTORY | 1 << 20 | 0o777, PathKind::Directory),
            (GO_LINK | 0o777, PathKind::Link("/run".to_owned())),
            (1 << 26 | 1 << 21 | 0o666, PathKind::Other),
        ] {
            assert_eq!(path_kind(mode, "/run".to_owned()), expected);
        }
    }

    #[test]
    fn listed_names() {
        let answer = json!({"Id": "a", "Names": ["/other/link", "/name"], "State": "paused", "Labels": {"k": "v"}});
        let got = listed(serde_json::from_value(answer).unwrap()).unwrap();
        assert_eq!((got.name.as_str(), got.running, got.paused), ("name", true, true));
    }

    #[test]
    fn signals_by_every_name() {
        let names = [("15", 15), ("TERM", 15), ("sigint", 2), ("SIGRTMIN+3", 37), ("RTMIN", 34), ("SIGRTMAX-1", 63)];
        for (name, number) in names {
            assert_eq!(signal_number(name), Some(number), "{name}");
        }
        assert_eq!(signal_number("SIGNOTHING"), None);
    }
}
