//! Limits, privileges and the rest of the settings of the engine's host.

use super::fields::{Fields, Node, Read, Report};
use super::{engine, mounts, rejected, start};
use crate::pod::{Blkio, HostSettings, Ulimit, values};
use crate::problem::candidates;

/// Names of resource limits, as `setrlimit` knows them.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// The least part of a processor that the engine takes, in billionths.
const LEAST_NANO_CPUS: i64 = 10_000_000;

const COUNT: std::ops::RangeInclusive<i64> = 0..=i64::MAX;

/// Reads all of them.
pub fn settings(fields: &mut Fields<'_, '_>) -> HostSettings {
    let mut settings = HostSettings {
        privileged: fields.flag("privileged"),
        read_only: fields.flag("read_only"),
        runtime: fields.read("runtime", Node::word),
        oom_score_adj: fields.read("oom_score_adj", |node| node.int(-1000..=1000)),
        oom_kill_disable: fields.flag("oom_kill_disable"),
        cap_add: words(fields, "cap_add", engine::capability),
        cap_drop: words(fields, "cap_drop", engine::capability),
        group_add: words(fields, "group_add", start::group),
        security_opt: words(fields, "security_opt", engine::security_opt),
        storage_opt: fields.many("storage_opt", engine::storage_opt).unwrap_or_default(),
        sysctls: fields.many("sysctls", start::sysctls).unwrap_or_default(),
        userns_mode: fields.read("userns_mode", |node| match node.string()?.as_str() {
            mode @ ("" | "host") => Ok(mode.to_owned()),
            other => Err(node.problem(format!("expected `host`, found `{other}`"))),
        }),
        devices: fields.many("devices", mounts::devices).unwrap_or_default(),
        device_cgroup_rules: fields
            .many("device_cgroup_rules", |node, report| node.strings(device_rule, report))
            .unwrap_or_default(),
        isolation: fields.read("isolation", isolation),
        memory: fields.read("mem_limit", Node::memory),
        memory_reservation: fields.read("mem_reservation", Node::memory),
        memory_swap: fields.read("memswap_limit", Node::size_or_unlimited),
        memory_swappiness: fields.read("mem_swappiness", |node| node.int(0..=100)),
        shm_size: fields.read("shm_size", Node::size),
        cpu_shares: fields.read("cpu_shares", start::shares),
        nano_cpus: fields.read("cpus", cpus),
        cpu_period: fields.read("cpu_period", period),
        cpu_quota: fields.read("cpu_quota", quota),
        cpu_rt_period: fields.read("cpu_rt_period", micros),
        cpu_rt_runtime: fields.read("cpu_rt_runtime", micros),
        cpuset: fields.read("cpuset", cpuset),
        cpu_count: fields.read("cpu_count", |node| node.int(COUNT)),
        cpu_percent: fields.read("cpu_percent", |node| node.int(0..=100)),
        blkio: fields.many("blkio_config", blkio).unwrap_or_default(),
        pids_limit: fields.read("pids_limit", |node| node.int(-1..=i64::MAX)),
        ulimits: fields.many("ulimits", ulimits).unwrap_or_default(),
    };
    let resources = fields.many("deploy", deploy).unwrap_or_default();
    settings.memory = agreed(fields, "mem_limit", settings.memory, resources.memory);
    settings.memory_reservation =
        agreed(fields, "mem_reservation", settings.memory_reservation, resources.memory_reservation);
    settings.nano_cpus = agreed(fields, "cpus", settings.nano_cpus, resources.nano_cpus);
    settings.pids_limit = agreed(fields, "pids_limit", settings.pids_limit, resources.pids_limit);
    check(&settings, fields);
    settings
}

/// The limits of `deploy.resources`.
fn deploy(node: &Node<'_>, report: &mut Report) -> HostSettings {
    let mut found = HostSettings::default();
    let Some(mut fields) = Fields::of(node, "a map with `resources`", report) else { return found };
    fields.many("resources", |node, report| {
        let Some(mut fields) = Fields::of(node, "a map with `limits` and `reservations`", report) else { return };
        fields.many("limits", |node, report| {
            let Some(mut fields) = Fields::of(node, "a map with `memory`, `cpus` and `pids`", report) else { return };
            found.memory = fields.read("memory", Node::memory);
            found.nano_cpus = fields.read("cpus", cpus);
            found.pids_limit = fields.read("pids", |node| node.int(-1..=i64::MAX));
            fields.done();
        });
        fields.many("reservations", |node, report| {
            let Some(mut fields) = Fields::of(node, "a map with `memory`", report) else { return };
            found.memory_reservation = fields.read("memory", Node::memory);
            if let Some(node) = fields.get("cpus") {
                fields.report.warn(
                    &node.problem("has no effect: only Swarm reserves CPUs, and only for the controller's service"),
                );
            }
            fields.end(|key| {
                matches!(key, "devices" | "generic_resources").then_some((
                    "requests for devices of drivers are not supported",
                    "list the device files in `devices`",
                ))
            });
        });
        fields.done();
    });
    fields.end(rejected::deploy_key);
    found
}

/// What two keys that mean the same say together.
fn agreed(fields: &mut Fields<'_, '_>, key: &str, own: Option<i64>, deployed: Option<i64>) -> Option<i64> {
    if own.is_some() && deployed.is_some() && own != deployed {
        let problem = fields.place(key).problem("contradicts `deploy.resources`");
        fields.report.push(problem.hint("remove one of the two"));
    }
    own.or(deployed)
}

/// What the engine would refuse because two settings do not go together.
fn check(settings: &HostSettings, fields: &mut Fields<'_, '_>) {
    let limit = settings.memory.filter(|bytes| *bytes > 0);
    if settings.memory_reservation.zip(limit).is_some_and(|(soft, hard)| soft > hard) {
        let problem = fields.place("mem_reservation").problem("is more than `mem_limit`");
        fields.report.push(problem);
    }
    if settings.memory_swap.filter(|both| *both > 0).zip(limit).is_some_and(|(both, memory)| both < memory) {
        let at = fields.place("memswap_limit");
        fields.report.push(at.problem("is less than `mem_limit`").hint("this value is the sum of memory and swap"));
    }
    let realtime = settings.cpu_rt_runtime.zip(settings.cpu_rt_period.filter(|micros| *micros > 0));
    if realtime.is_some_and(|(runtime, period)| runtime > period) {
        let problem = fields.place("cpu_rt_runtime").problem("is more than `cpu_rt_period`");
        fields.report.push(problem);
    }
    let cfs = settings.cpu_period.or(settings.cpu_quota).filter(|micros| *micros != 0);
    if settings.nano_cpus.is_some_and(|nano| nano > 0) && cfs.is_some() {
        let problem = fields.place("cpus").problem("cannot be combined with `cpu_period` or `cpu_quota`");
        fields.report.push(problem);
    }
}

/// The words of a list, or one.
fn words(fields: &mut Fields<'_, '_>, key: &'static str, read: fn(&Node<'_>) -> Read<String>) -> Vec<String> {
    fields.many(key, |node, report| node.strings(read, report)).unwrap_or_default()
}

fn isolation(node: &Node<'_>) -> Read<String> {
    match node.string()?.as_str() {
        word @ ("" | "default") => Ok(word.to_owned()),
        word => Err(node
            .problem(format!("expected `default`, found `{word}`"))
            .hint("other values are for Windows containers: remove the key")),
    }
}

/// The kernel's own bounds of a period of its scheduler, in microseconds.
fn period(node: &Node<'_>) -> Read<i64> {
    match micros(node)? {
        period @ (0 | 1_000..=1_000_000) => Ok(period),
        period => Err(node.problem(format!("expected from 1 ms to 1 s, found {period} microseconds"))),
    }
}

fn quota(node: &Node<'_>) -> Read<i64> {
    let quota = if is_number(node) { node.int(-1..=i64::MAX)? } else { micros(node)? };
    match quota {
        1..1_000 => Err(node
            .problem(format!("{quota} microseconds are below the engine's minimum"))
            .hint("the minimum is 1 ms")),
        quota => Ok(quota),
    }
}

fn is_number(node: &Node<'_>) -> bool {
    node.value.is_number() || node.value.as_str().is_some_and(|text| text.trim().parse::<i64>().is_ok())
}

/// Microseconds, as a number or a duration.
fn micros(node: &Node<'_>) -> Read<i64> {
    if is_number(node) {
        return node.int(COUNT);
    }
    let micros = node.duration()?.as_micros();
    i64::try_from(micros).map_err(|_| node.problem("is too long"))
}

fn cpus(node: &Node<'_>) -> Read<i64> {
    match values::cpus(&node.scalar()?).map_err(|bad| node.problem(bad.to_string()))? {
        1..LEAST_NANO_CPUS => Err(node
            .problem("is below the engine's minimum")
            .hint("the minimum is `0.01`; for no limit, remove the key or write 0")),
        nano => Ok(nano),
    }
}

fn cpuset(node: &Node<'_>) -> Read<String> {
    // The engine takes no white space.
    let text: String = node.scalar()?.chars().filter(|c| !c.is_whitespace()).collect();
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let right = text.split(',').all(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        matches!((number(from), number(to)), (Some(from), Some(to)) if from <= to)
    });
    if right {
        Ok(text)
    } else {
        Err(node.problem(format!("`{text}` is not a set of CPUs, expected for instance `0-3` or `0,2`")))
    }
}

fn device_rule(node: &Node<'_>) -> Read<String> {
    // The engine takes one blank between the parts.
    let text = node.string()?.split_whitespace().collect::<Vec<_>>().join(" ");
    let number = |part: &str| part == "*" || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let right = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [kind, numbers, access] => {
            matches!(*kind, "a" | "b" | "c")
                && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                && access.len() <= 3
                && access.chars().all(|c| "rwm".contains(c))
        }
        _ => false,
    };
    if right {
        Ok(text)
    } else {
        Err(node.problem(format!("`{text}` is not a rule, expected for instance `c 1:3 mr`")))
    }
}

fn ulimits(node: &Node<'_>, report: &mut Report) -> Vec<Ulimit> {
    let mut found = Vec::new();
    let Some(entries) = node.entries() else {
        report.push(node.expected("a map of limits"));
        return found;
    };
    for (name, node) in entries {
        if !ULIMITS.contains(&name) {
            let problem = node.problem("unknown limit");
            report.push(problem.hint(candidates(name, ULIMITS)));
        }
        let limits = if node.value.is_object() {
            let Some(mut fields) = Fields::of(&node, "a limit", report) else { continue };
            let soft = fields.required("soft", |node| node.int(-1..=i64::MAX));
            let hard = fields.required("hard", |node| node.int(-1..=i64::MAX));
            fields.done();
            soft.zip(hard)
        } else {
            report.problems.take(node.int(-1..=i64::MAX)).map(|both| (both, both))
        };
        let Some((soft, hard)) = limits else { continue };
        let taken = start::ulimit(&node, name, hard);
        report.problems.take(taken);
        if hard != -1 && (soft == -1 || soft > hard) {
            report.push(node.problem(format!("the soft limit {soft} is more than the hard limit {hard}")));
        }
        found.push(Ulimit { name: name.to_owned(), soft, hard });
    }
    found
}

fn blkio(node: &Node<'_>, report: &mut Report) -> Blkio {
    let Some(mut fields) = Fields::of(node, "a map", report) else { return Blkio::default() };
    let blkio = Blkio {
        weight: fields.read("weight", weight),
        weight_device: throttles(&mut fields, "weight_device", "weight", weight),
        device_read_bps: throttles(&mut fields, "device_read_bps", "rate", bytes),
        device_write_bps: throttles(&mut fields, "device_write_bps", "rate", bytes),
        device_read_iops: throttles(&mut fields, "device_read_iops", "rate", operations),
        device_write_iops: throttles(&mut fields, "device_write_iops", "rate", operations),
    };
    fields.done();
    blkio
}

fn weight(node: &Node<'_>) -> Read<u16> {
    let weight = node.int(10..=1000)?;
    u16::try_from(weight).map_err(|_| node.problem("is too large"))
}

fn bytes(node: &Node<'_>) -> Read<u64> {
    u64::try_from(node.size()?).map_err(|_| node.problem("is negative"))
}

fn operations(node: &Node<'_>) -> Read<u64> {
    u64::try_from(node.int(COUNT)?).map_err(|_| node.problem("is negative"))
}

/// A list of devices, each with the value of one more key.
fn throttles<T>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    value: &'static str,
    read: fn(&Node<'_>) -> Read<T>,
) -> Vec<(String, T)> {
    let throttles = fields.many(key, |node, report| {
        let mut found = Vec::new();
        for item in node.list("a list of devices", report) {
            let Some(mut fields) = Fields::of(&item, "a map with `path`", report) else { continue };
            let path = fields.required("path", Node::absolute);
            let value = fields.required(value, read);
            fields.done();
            found.extend(path.zip(value));
        }
        found
    });
    throttles.unwrap_or_default()
}
