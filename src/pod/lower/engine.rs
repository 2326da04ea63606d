//! Words that the engine judges when it creates a container: what it would refuse is refused here, with the place and a remedy.
//!
//! The rules are moby's, from version 20.10 on. What depends on the host (its kernel, its processors, its plugins) is left to the engine.

use super::fields::{Node, Read, Report};
use crate::pod::{Logging, VolumeSpec};
use crate::problem::candidates;

/// The capabilities of Linux, without their prefix (`linux/capability.h`, up to 5.9).
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// Options of a memory file system without a value (`moby/sys/mount`, its flags, without those that a new file system cannot have).
const TMPFS_FLAGS: [&str; 30] = [
    "async",
    "atime",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "private",
    "relatime",
    "ro",
    "rprivate",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "unbindable",
];

/// Options of a memory file system with a value.
const TMPFS_VALUES: [&str; 7] = ["gid", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"];

/// Options of the engine's own driver of volumes.
const LOCAL_OPTIONS: [&str; 4] = ["device", "o", "size", "type"];

/// Options of every log driver: how its lines wait, and what of them is kept for `docker logs`.
const OF_EVERY_DRIVER: [&str; 6] =
    ["cache-compress", "cache-disabled", "cache-max-file", "cache-max-size", "max-buffer-size", "mode"];

/// Options of drivers that add something to each line.
const OF_TAGGED: [&str; 5] = ["env", "env-regex", "labels", "labels-regex", "tag"];

/// The facilities of syslog.
const FACILITIES: [&str; 20] = [
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7", "lpr", "mail", "news", "syslog", "user", "uucp",
];

/// The options that a driver of the engine's own has beside [`OF_EVERY_DRIVER`]; none for a driver that takes any, or is a plugin.
fn options_of(driver: &str) -> Option<Vec<&'static str>> {
    let own: &[&str] = match driver {
        "json-file" => &["compress", "max-file", "max-size"],
        "local" => return Some(vec!["compress", "max-file", "max-size"]),
        "syslog" => &[
            "syslog-address",
            "syslog-facility",
            "syslog-format",
            "syslog-tls-ca-cert",
            "syslog-tls-cert",
            "syslog-tls-key",
            "syslog-tls-skip-verify",
        ],
        "journald" => &[],
        "gelf" => &[
            "gelf-address",
            "gelf-compression-level",
            "gelf-compression-type",
            "gelf-tcp-max-reconnect",
            "gelf-tcp-reconnect-delay",
        ],
        "fluentd" => &[
            "fluentd-address",
            "fluentd-async",
            "fluentd-async-connect",
            "fluentd-async-reconnect-interval",
            "fluentd-buffer-limit",
            "fluentd-max-retries",
            "fluentd-read-timeout",
            "fluentd-request-ack",
            "fluentd-retry-wait",
            "fluentd-sub-second-precision",
            "fluentd-write-timeout",
        ],
        // It adds nothing to a line, and makes a stream's name of the tag.
        "awslogs" => {
            return Some(vec![
                "awslogs-create-group",
                "awslogs-create-stream",
                "awslogs-credentials-endpoint",
                "awslogs-datetime-as-event-time",
                "awslogs-datetime-format",
                "awslogs-datetime-timezone",
                "awslogs-endpoint",
                "awslogs-force-flush-interval-seconds",
                "awslogs-format",
                "awslogs-group",
                "awslogs-max-buffered-events",
                "awslogs-multiline-pattern",
                "awslogs-region",
                "awslogs-stream",
                "tag",
            ]);
        }
        "splunk" => &[
            "splunk-caname",
            "splunk-capath",
            "splunk-format",
            "splunk-gzip",
            "splunk-gzip-level",
            "splunk-index",
            "splunk-index-acknowledgment",
            "splunk-insecureskipverify",
            "splunk-source",
            "splunk-sourcetype",
            "splunk-token",
            "splunk-url",
            "splunk-verify-connection",
        ],
        "gcplogs" => &["gcp-log-cmd", "gcp-meta-id", "gcp-meta-name", "gcp-meta-zone", "gcp-project"],
        _ => return None,
    };
    Some(own.iter().copied().chain(OF_TAGGED.into_iter().filter(|tag| driver != "gcplogs" || *tag != "tag")).collect())
}

/// A capability, with its prefix or without; the engine takes them in either case.
pub fn capability(node: &Node<'_>) -> Read<String> {
    let word = node.word()?;
    let upper = word.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if upper == "ALL" || CAPABILITIES.contains(&bare) {
        return Ok(word);
    }
    Err(node
        .problem(format!("`{word}` is not a capability"))
        .hint(candidates(bare, CAPABILITIES.into_iter().chain(["ALL"]))))
}

/// `no-new-privileges`, or a key and its value.
pub fn security_opt(node: &Node<'_>) -> Read<String> {
    let text = node.word()?;
    let known = ["no-new-privileges", "seccomp=unconfined", "apparmor=PROFILE", "label=OPTION"];
    let wrong = |what: String| Err(node.problem(what).hint(format!("known: `{}`", known.join("`, `"))));
    if matches!(text.as_str(), "no-new-privileges" | "disable") {
        return Ok(text);
    }
    // A colon is the old way to write it.
    let Some((key, value)) = text.split_once('=').or_else(|| text.split_once(':')) else {
        return wrong(format!("`{text}` is not a security option"));
    };
    match key {
        "no-new-privileges" if !matches!(value, "true" | "false" | "1" | "0") => {
            wrong(format!("`{key}` must be `true` or `false`, found `{value}`"))
        }
        "no-new-privileges" | "apparmor" | "label" => Ok(text),
        "seccomp" if value == "unconfined" || value == "builtin" || value.trim_start().starts_with('{') => Ok(text),
        "seccomp" => Err(node
            .problem(format!("`{value}` is not a seccomp profile"))
            .hint("write `unconfined`, or the profile itself as JSON: the engine cannot read a profile from a file")),
        _ => wrong(format!("`{text}` is not a security option")),
    }
}

/// The options of one memory file system.
pub fn tmpfs_options(node: &Node<'_>, options: &str) -> Read<()> {
    for option in options.split(',') {
        let (word, value) = option.split_once('=').map_or((option, None), |(word, value)| (word, Some(value)));
        let what = match (TMPFS_VALUES.contains(&word), TMPFS_FLAGS.contains(&word), value) {
            (true, _, Some(value)) if !value.is_empty() => {
                super::start::tmpfs_value(node, word, value)?;
                continue;
            }
            (_, true, None) => continue,
            (true, ..) => format!("`{word}` needs a value"),
            (_, true, _) => format!("`{word}` takes no value"),
            _ => {
                return Err(node
                    .problem(format!("`{option}` is not a tmpfs option"))
                    .hint(candidates(word, TMPFS_VALUES.into_iter().chain(["ro", "noexec", "nosuid", "nodev"]))));
            }
        };
        return Err(node.problem(what));
    }
    Ok(())
}

/// How a volume is made, as far as the driver is the engine's own.
pub fn volume(node: &Node<'_>, spec: &VolumeSpec, report: &mut Report) {
    if !matches!(spec.driver.as_str(), "" | "local") || spec.driver_opts.is_empty() {
        return;
    }
    for option in spec.driver_opts.keys().filter(|option| !LOCAL_OPTIONS.contains(&option.as_str())) {
        report.push(
            node.at
                .key("driver_opts")
                .key(option)
                .problem("the engine's own volume driver does not have this option")
                .hint(candidates(option, LOCAL_OPTIONS)),
        );
    }
    if let Some(size) = spec.driver_opts.get("size")
        && let Err(bad) = crate::pod::values::size(size)
    {
        report.push(node.at.key("driver_opts").key("size").problem(bad.to_string()));
    }
    let missing = |key: &str| spec.driver_opts.get(key).is_none_or(String::is_empty);
    // `o` and `type` say how a device is mounted.
    if ["o", "type", "device"].iter().any(|key| spec.driver_opts.contains_key(*key)) {
        for key in ["device", "type"].into_iter().filter(|key| missing(key)) {
            report.push(
                node.at
                    .key("driver_opts")
                    .problem(format!("`{key}` is missing: `type`, `device` and `o` together describe one file system"))
                    .hint("for instance `{type: tmpfs, device: tmpfs, o: size=64m}`"),
            );
        }
    }
}

/// The options of a container's storage: every driver of Linux has only its size.
pub fn storage_opt(node: &Node<'_>, report: &mut Report) -> std::collections::BTreeMap<String, String> {
    let found = super::component::options(node, report);
    for (option, value) in &found {
        if option != "size" {
            report.push(
                node.at.key(option).problem("the engine does not have this storage option").hint("known: `size`"),
            );
        } else if let Err(bad) = crate::pod::values::size(value) {
            report.push(node.at.key(option).problem(bad.to_string()));
        }
    }
    found
}

/// The options of the engine's own log drivers.
pub fn logging(node: &Node<'_>, logging: &Logging, report: &mut Report) {
    let Logging { driver, options } = logging;
    let at = |name: &str| node.at.key("options").key(name);
    let option = |name: &str| options.get(name).map(String::as_str);
    if let Some(own) = options_of(driver) {
        let is_known = |option: &str| own.contains(&option) || OF_EVERY_DRIVER.contains(&option);
        for option in options.keys().filter(|option| !is_known(option)) {
            report.push(
                at(option)
                    .problem(format!("the log driver `{driver}` does not have this option"))
                    .hint(candidates(option, own.iter().copied().chain(OF_EVERY_DRIVER))),
            );
        }
    }
    for name in ["awslogs-force-flush-interval-seconds", "awslogs-max-buffered-events"] {
        if let Some(text) = option(name).filter(|text| !text.parse::<i64>().is_ok_and(|number| number > 0)) {
            report.push(at(name).problem(format!("expected a whole number above 0, found `{text}`")));
        }
    }
    if let [Some(_), Some(_)] = ["awslogs-datetime-format", "awslogs-multiline-pattern"].map(option) {
        let problem = at("awslogs-multiline-pattern")
            .problem("both this option and `awslogs-datetime-format` say where an event begins");
        report.push(problem.hint("remove one of the two"));
    }
    let needed = match driver.as_str() {
        "gelf" => Some("gelf-address"),
        "awslogs" => Some("awslogs-group"),
        "splunk" => Some("splunk-url"),
        "logentries" => Some("logentries-token"),
        _ => None,
    };
    if let Some(needed) = needed.filter(|needed| option(needed).is_none_or(str::is_empty)) {
        report.push(at(needed).problem("is missing").hint(format!("the log driver `{driver}` needs this option")));
    }
    for name in ["syslog-address", "gelf-address"] {
        if let Some(address) = option(name).filter(|address| !address.is_empty() && !address.contains("://")) {
            report.push(
                at(name)
                    .problem(format!("`{address}` is not an address"))
                    .hint("write for instance `udp://192.168.0.42:514`"),
            );
        }
    }
    let is_number = |text: &str| text.parse::<u8>().is_ok_and(|number| number <= 23);
    if let Some(word) =
        option("syslog-facility").filter(|word| !word.is_empty() && !FACILITIES.contains(word) && !is_number(word))
    {
        report.push(
            at("syslog-facility")
                .problem(format!("`{word}` is not a syslog facility"))
                .hint(candidates(word, FACILITIES)),
        );
    }
    let formats = ["rfc3164", "rfc5424", "rfc5424micro"];
    if let Some(word) = option("syslog-format").filter(|word| !word.is_empty() && !formats.contains(word)) {
        report.push(
            at("syslog-format").problem(format!("`{word}` is not a syslog format")).hint(candidates(word, formats)),
        );
    }
    if let Some(word) = option("cache-disabled").filter(|word| !matches!(*word, "true" | "false" | "1" | "0")) {
        report.push(at("cache-disabled").problem(format!("expected `true` or `false`, found `{word}`")));
    }
    if let Some(mode) = option("mode").filter(|mode| !matches!(*mode, "" | "blocking" | "non-blocking")) {
        report.push(at("mode").problem(format!("expected `blocking` or `non-blocking`, found `{mode}`")));
    }
    if option("max-buffer-size").is_some() && option("mode") != Some("non-blocking") {
        report.push(at("max-buffer-size").problem("has an effect only with `mode: non-blocking`"));
    } else if let Some(size) = option("max-buffer-size")
        && let Err(bad) = crate::pod::values::size(size)
    {
        report.push(at("max-buffer-size").problem(bad.to_string()));
    }
}
