//! Values that the engine takes when it creates a container, and refuses when it starts it: what is wrong whatever the host, its kernel and the image are is refused here, with the place and a remedy.
//!
//! The rules are those of moby, runc and Linux. Whether an image has a user or a group, and a kernel a setting, only the engine knows.

use std::collections::BTreeMap;

use super::component::options;
use super::fields::{Fields, Node, Read, Report};
use crate::pod::{Logging, Mount, MountKind, values};
use crate::problem::candidates;

/// Greatest number of a user or group (`maxID` of moby's package `user`).
const HIGHEST_ID: i64 = 2_147_483_647;

/// The shares of processor time that every engine takes; 0 is the engine's default. Only very new engines with cgroup version 2 take others, and change them to these.
const SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;

/// Greatest number of files that a kernel can be set to allow one process (`sysctl_nr_open_max` of Linux): it takes no limit above it, and so not "none".
const MOST_FILES: i64 = 2_147_483_584;

/// Settings of the kernel that each container has of its own, beside those of [`OWN_TREES`].
const OWN_SYSCTLS: [&str; 9] = [
    "kernel.domainname",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

const OWN_TREES: [&str; 2] = ["net.", "fs.mqueue."];

/// Files of `/proc` over which the runtime lets others be mounted.
const PROC_FILES: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Files that the engine makes for every container.
const OF_THE_ENGINE: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// What a tag may name of a container (fields and methods of `logger.Info`).
const OF_TAGS: [&str; 21] = [
    "Command",
    "Config",
    "ContainerArgs",
    "ContainerCreated",
    "ContainerEntrypoint",
    "ContainerEnv",
    "ContainerID",
    "ContainerImageID",
    "ContainerImageName",
    "ContainerLabels",
    "ContainerName",
    "DaemonName",
    "ExtraAttributes",
    "FullID",
    "Hostname",
    "ID",
    "ImageFullID",
    "ImageID",
    "ImageName",
    "LogPath",
    "Name",
];

/// `user:`, a name or number, and a group after a `:`. The engine ignores a third part.
pub fn user(node: &Node<'_>) -> Read<String> {
    let text = node.word()?;
    for part in text.split(':').take(2) {
        id(node, part)?;
    }
    Ok(text)
}

/// `group_add:`.
pub fn group(node: &Node<'_>) -> Read<String> {
    let text = node.word()?;
    id(node, &text)?;
    Ok(text)
}

fn id(node: &Node<'_>, text: &str) -> Read<()> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number && !text.parse().is_ok_and(|id| (0..=HIGHEST_ID).contains(&id)) {
        let problem = node.problem(format!("`{text}` is not the number of a user or group"));
        return Err(problem.hint(format!("write a name, or a number from 0 to {HIGHEST_ID}")));
    }
    Ok(())
}

/// `cpu_shares:`.
pub fn shares(node: &Node<'_>) -> Read<i64> {
    let shares = node.int(0..=i64::MAX)?;
    if shares == 0 || SHARES.contains(&shares) {
        return Ok(shares);
    }
    let (least, most) = (SHARES.start(), SHARES.end());
    Err(node
        .problem(format!("expected a whole number from {least} to {most}, found `{shares}`"))
        .hint("for the engine's default, remove the key or write 0"))
}

/// A limit of `ulimits:` that no kernel takes.
pub fn ulimit(node: &Node<'_>, name: &str, hard: i64) -> Read<()> {
    if name == "nofile" && !(0..=MOST_FILES).contains(&hard) {
        return Err(node
            .problem(format!("the kernel takes no `nofile` limit of {hard}"))
            .hint("open files always have a limit: write a number, for instance `1048576`"));
    }
    Ok(())
}

/// `sysctls:`.
pub fn sysctls(node: &Node<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let found = options(node, report);
    for name in found.keys() {
        let dotted = name.replace('/', ".");
        if OWN_TREES.iter().any(|tree| dotted.starts_with(tree)) || OWN_SYSCTLS.contains(&dotted.as_str()) {
            continue;
        }
        let at = node.at.key(name);
        report.push(match dotted.as_str() {
            "kernel.hostname" => at
                .problem("the host name of a pod is that of the controller's container")
                .hint("set `hostname` of the controller's service"),
            _ => at.problem("this setting belongs to the whole host: a container cannot have its own").hint(format!(
                "set it on the host; a container has `net.*`, `fs.mqueue.*`, `{}`",
                OWN_SYSCTLS.join("`, `")
            )),
        });
    }
    found
}

/// Why nothing, or nothing of this kind, can be mounted there.
pub fn target(node: &Node<'_>, mount: &Mount) -> Read<()> {
    let target = super::mounts::normal(&mount.target);
    let source = mount.source.as_deref().unwrap_or_default();
    let is_of_proc = target == "/proc" || target.starts_with("/proc/");
    let is_directory = mount.kind != MountKind::Bind;
    let is_right = match mount.kind {
        // What is mounted from there the runtime may take.
        MountKind::Bind => {
            !is_of_proc || PROC_FILES.contains(&target.as_str()) || source == "/proc" || source.starts_with("/proc/")
        }
        MountKind::Volume => !is_of_proc,
        // Which directories there are depends on the kernel.
        MountKind::Tmpfs => target != "/proc" && !PROC_FILES.contains(&target.as_str()),
    };
    if !is_right {
        let problem =
            node.problem(format!("the engine cannot mount this at `{target}`, because `/proc` belongs to the kernel"));
        return Err(problem.hint("use another target"));
    }
    // One with a name, and a directory of the host, may hold the devices that every process needs.
    if target == "/dev" && is_directory && source.is_empty() {
        let problem =
            node.problem("an empty `/dev` has no `/dev/null`, and without it the engine cannot start a process");
        return Err(problem.hint("use another target, for instance a directory below `/dev`"));
    }
    if is_directory && OF_THE_ENGINE.contains(&target.as_str()) {
        return Err(node.problem(format!("`{target}` is a file, and this mount is a directory")).hint(
            "set `extra_hosts`, `hostname` or `dns` of the controller's service, whose network the components share",
        ));
    }
    Ok(())
}

/// The value of an option of a memory file system, in the forms of Linux.
pub fn tmpfs_value(node: &Node<'_>, option: &str, value: &str) -> Read<()> {
    if value.contains('$') {
        return Ok(()); // Whoever deploys the file fills it in.
    }
    let wrong = |expected: &str| Err(node.problem(format!("`{option}`: expected {expected}, found `{value}`")));
    match option {
        "size" | "nr_inodes" | "nr_blocks" => {
            let text = value.strip_suffix('%').filter(|_| option == "size").unwrap_or(value);
            let digits = text.strip_suffix(['k', 'm', 'g', 't', 'p', 'e', 'K', 'M', 'G', 'T', 'P', 'E']);
            match is_c_number(digits.filter(|_| !text.starts_with("0x")).unwrap_or(text)) {
                true => Ok(()),
                false if option == "size" => {
                    wrong("a size such as `64m`, without a point and without `b`, or a percentage")
                }
                false => wrong("a number such as `1000` or `10k`"),
            }
        }
        "mode" => match u32::from_str_radix(value, 8) {
            Ok(_) => Ok(()),
            Err(_) => wrong("octal digits such as `1777`"),
        },
        "uid" | "gid" => {
            let is_decimal = value.bytes().all(|b| b.is_ascii_digit()) && !value.starts_with('0');
            match is_c_number(value) && (!is_decimal || value.parse::<u32>().is_ok_and(|id| id != u32::MAX)) {
                true => Ok(()),
                false => wrong("a number"),
            }
        }
        _ => Ok(()),
    }
}

/// Digits as C reads them: a `0x` makes them hexadecimal.
fn is_c_number(text: &str) -> bool {
    let is_of = |digits: &str, right: fn(&u8) -> bool| !digits.is_empty() && digits.bytes().all(|b| right(&b));
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => is_of(digits, u8::is_ascii_hexdigit),
        None => is_of(text.strip_prefix('+').unwrap_or(text), u8::is_ascii_digit),
    }
}

/// A program without a name.
pub fn first_word(entrypoint: Option<&[String]>, command: Option<&[String]>, fields: &mut Fields<'_, '_>) {
    let is_empty = |words: &[String]| words.first().is_some_and(String::is_empty);
    const WHAT: &str = "the first word is empty, and it is the program";
    const HINT: &str = "write the program, or remove the key";
    // One empty word alone means: not the image's.
    let is_reset = |words: &[String]| words.is_empty() || (is_empty(words) && words.len() == 1);
    if entrypoint.is_some_and(|words| is_empty(words) && !is_reset(words)) {
        let problem = fields.place("entrypoint").problem(WHAT);
        fields.report.push(problem.hint(HINT));
    }
    if command.is_some_and(is_empty) {
        let at = fields.place("command");
        match entrypoint {
            None => fields.report.warn(
                &at.problem("the first word is empty: unless the image has an entrypoint, the container cannot start")
                    .hint(HINT),
            ),
            Some(words) if is_reset(words) => fields.report.push(at.problem(WHAT).hint(HINT)),
            Some(_) => {}
        }
    }
}

/// Options of the engine's own log drivers for files, and tags.
pub fn logging(node: &Node<'_>, logging: &Logging, report: &mut Report) {
    let Logging { driver, options } = logging;
    let at = |name: &str| node.at.key("options").key(name);
    // Whoever deploys the file fills variables in.
    let option = |name: &str| options.get(name).map(String::as_str).filter(|text| !text.contains('$'));
    if let Some(tag) = option("tag").filter(|_| !matches!(driver.as_str(), "" | "local" | "none" | "gcplogs"))
        && let Err(wrong) = tag_right(tag)
    {
        let problem = at("tag").problem(wrong.0);
        report.push(problem.hint(wrong.1));
    }
    for name in ["env-regex", "labels-regex"] {
        if let Some(expression) = option(name).filter(|expression| !is_balanced(expression)) {
            let what = format!("`{expression}` is not a regular expression: a group is not closed, or not opened");
            report.push(at(name).problem(what));
        }
    }
    if !matches!(driver.as_str(), "json-file" | "local") {
        return;
    }
    if let Some(size) = option("max-size") {
        // Other spellings than ours are taken, too.
        let bytes = values::size(size).ok().or_else(|| size.parse::<f64>().is_ok_and(|it| it > 0.0).then_some(1));
        match bytes {
            None => {
                report.push(at("max-size").problem(format!("`{size}` is not a size")).hint("write for instance `10m`"))
            }
            Some(0) if driver == "json-file" => {
                report.push(at("max-size").problem("must be more than 0").hint("for no limit, remove the option"));
            }
            Some(_) => {}
        }
    }
    let least = if driver == "json-file" { 1 } else { 0 };
    let files = option("max-file").map(str::parse::<i64>);
    let few = files.as_ref().is_some_and(|files| files.as_ref().is_ok_and(|files| *files < 2));
    if let Some(text) = option("max-file")
        && !files.is_some_and(|files| files.is_ok_and(|files| files >= least))
    {
        report.push(at("max-file").problem(format!("expected a whole number, at least 1, found `{text}`")));
        return;
    }
    let compresses = match option("compress") {
        None => None,
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Some(true),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Some(false),
        Some(text) => {
            report.push(at("compress").problem(format!("expected `true` or `false`, found `{text}`")));
            return;
        }
    };
    let is_needed = match driver.as_str() {
        "json-file" => "needs `max-size`, and `max-file` of 2 or more: only files that are full are compressed",
        _ => "needs `max-file` of 2 or more: only files that are full are compressed",
    };
    match compresses {
        Some(true) if few => report.push(at("compress").problem(is_needed)),
        // The options of the engine's default driver hold where a container has none of that name.
        Some(true) if driver == "json-file" && (files_unset(options) || option("max-size").is_none()) => {
            report.warn(&at("compress").problem(is_needed).hint(
                "write them here; unless the engine's own `log-opts` have them, it refuses to start the container",
            ))
        }
        None if few && driver == "local" => report.warn(
            &at("max-file")
                .problem("the driver `local` compresses files that are full, and with one file there is none")
                .hint("write `compress: \"false\"` too, or `max-file` of 2 or more"),
        ),
        _ => {}
    }
}

/// Whether the groups of a regular expression can be right; the rest of it is left to the engine.
fn is_balanced(expression: &str) -> bool {
    if expression.contains("\\Q") || expression.contains('[') {
        return true;
    }
    let mut open = 0_usize;
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '(' => open += 1,
            ')' => match open.checked_sub(1) {
                Some(left) => open = left,
                None => return false,
            },
            _ => {}
        }
    }
    open == 0
}

fn files_unset(options: &BTreeMap<String, String>) -> bool {
    !options.contains_key("max-file")
}

/// Whether this can be a template of a tag. Only the simplest ones are judged: the others are programs.
fn tag_right(tag: &str) -> Result<(), (String, String)> {
    let is_program =
        ["range", "with", "define", "template", "block", "/*", "\"", "`", "$"].iter().any(|it| tag.contains(it));
    let mut rest = tag;
    while let Some((_, action)) = rest.split_once("{{").filter(|_| !is_program) {
        let Some((action, after)) = action.split_once("}}") else {
            return Err(("`{{` has no closing `}}`".to_owned(), "write for instance `{{.Name}}`".to_owned()));
        };
        let name = action.trim_matches(['-', ' ', '\t']).strip_prefix('.').unwrap_or_default();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name && !OF_TAGS.contains(&name) {
            return Err((format!("`{{{{.{name}}}}}` is not a field of a tag"), candidates(name, OF_TAGS)));
        }
        rest = after;
    }
    Ok(())
}
