//! Mounts, memory file systems and devices.

use indexmap::IndexMap;

use super::fields::{Fields, Node, Read, Report};
use crate::labels::Place;
use crate::pod::{Device, Mount, MountKind, VolumeSpec};

/// Whose mounts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A component: it has no folder that a path could be relative to.
    Component,
    /// The controller's container, as `pod.yaml` describes it.
    Controller,
}

/// The engine mounts the image there.
const ROOT: &str = "the target is the root of the container, which is the file system of the image";

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// `volumes:`.
pub fn volumes(node: &Node<'_>, owner: Owner, report: &mut Report) -> Vec<Mount> {
    let mut found = Vec::new();
    for item in node.list("a list of mounts", report) {
        let mount = if item.value.is_object() {
            long(&item, owner, report)
        } else {
            let read = short(&item, owner, report);
            report.problems.take(read)
        };
        found.extend(mount);
    }
    found
}

/// `target`, `source:target` or `source:target:mode`.
fn short(item: &Node<'_>, owner: Owner, report: &mut Report) -> Read<Mount> {
    let text = item.string()?;
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return Err(item.problem(format!("expected `[source:]target[:mode]`, found `{text}`"))),
    };
    if source.is_some_and(|source| source.is_empty()) {
        return Err(item.problem(format!("the source in `{text}` is empty")));
    }
    let is_path = source.is_some_and(|source| source.starts_with(['/', '.', '~']));
    let mut mount =
        Mount::new(if is_path { MountKind::Bind } else { MountKind::Volume }, source.map(str::to_owned), target);
    for word in mode.split(',').filter(|word| !word.is_empty()) {
        match word {
            "ro" => mount.read_only = true,
            "rw" => {}
            "nocopy" => mount.no_copy = true,
            "z" | "Z" | "cached" | "delegated" | "consistent" => {
                report.warn(&item.problem(format!("`{word}` has no effect on this kind of mount")));
            }
            word if PROPAGATIONS.contains(&word) => mount.propagation = Some(word.to_owned()),
            word => {
                return Err(item
                    .problem(format!("unknown mode `{word}` in `{text}`"))
                    .hint("valid modes: `ro`, `rw`, `nocopy` and the kinds of propagation"));
            }
        }
    }
    checked(item, mount, owner)
}

/// The form with a key for each part.
fn long(item: &Node<'_>, owner: Owner, report: &mut Report) -> Option<Mount> {
    let before = report.problems.0.len();
    let mut fields = Fields::of(item, "a mount", report)?;
    let kind = fields.required("type", |node| match node.string()?.as_str() {
        "bind" => Ok(MountKind::Bind),
        "volume" => Ok(MountKind::Volume),
        "tmpfs" => Ok(MountKind::Tmpfs),
        other @ ("cluster" | "npipe" | "image") => Err(node
            .problem(format!("mounts of type `{other}` are not supported"))
            .hint("valid types: `bind`, `volume` and `tmpfs`")),
        other => Err(node.problem(format!("expected `bind`, `volume` or `tmpfs`, found `{other}`"))),
    });
    let source = fields.read("source", Node::word);
    let target = fields.required("target", Node::absolute);
    let mut mount = Mount {
        read_only: fields.flag("read_only"),
        ..Mount::new(kind.unwrap_or(MountKind::Volume), source, target.unwrap_or_default())
    };
    fields.many("bind", |node, report| {
        let Some(mut bind) = Fields::of(node, "a map with `propagation`", report) else { return };
        mount.propagation = bind.read("propagation", |node| {
            let word = node.string()?;
            if PROPAGATIONS.contains(&word.as_str()) {
                Ok(word)
            } else {
                Err(node.problem(format!("expected one of `{}`, found `{word}`", PROPAGATIONS.join("`, `"))))
            }
        });
        mount.must_exist = bind.read("create_host_path", Node::bool) == Some(false);
        if let Some(node) = bind.get("selinux") {
            bind.report.warn(&node.problem("has no effect on this kind of mount"));
        }
        bind.read("recursive", |node| match node.string()?.as_str() {
            "enabled" => Ok(()),
            other => Err(node
                .problem(format!("expected `enabled`, found `{other}`"))
                .hint("a bind mount always includes the mounts below its source")),
        });
        bind.done();
    });
    fields.many("volume", |node, report| {
        let Some(mut volume) = Fields::of(node, "a map with `nocopy`", report) else { return };
        mount.no_copy = volume.flag("nocopy");
        let spec = super::volumes::spec(&mut volume);
        super::engine::volume(node, &spec, volume.report);
        mount.volume = Some(spec).filter(|spec| *spec != VolumeSpec::default());
        volume.end(|key| {
            (key == "subpath").then_some((
                "mounting a part of a volume is not supported",
                "mount the whole volume, and use the path of the directory below the target",
            ))
        });
    });
    fields.many("tmpfs", |node, report| {
        let Some(mut tmpfs) = Fields::of(node, "a map with `size`", report) else { return };
        mount.tmpfs_size = tmpfs.read("size", Node::size);
        mount.tmpfs_mode = tmpfs.read("mode", octal);
        tmpfs.done();
    });
    fields.get("consistency");
    fields.done();
    if report.problems.0.len() > before {
        return None;
    }
    let checked = checked(item, mount, owner);
    report.problems.take(checked)
}

/// Permission bits as octal digits. A number is refused: `640` would be another thing than `0640`.
pub fn octal(node: &Node<'_>) -> Read<u32> {
    match node.value {
        serde_json::Value::String(text) => {
            let digits = text.trim();
            let digits = digits.strip_prefix("0o").unwrap_or(digits);
            let bits = u32::from_str_radix(digits, 8).ok().filter(|bits| *bits <= 0o7777 && !digits.starts_with('+'));
            bits.ok_or_else(|| {
                node.problem(format!("`{text}` are not permission bits"))
                    .hint("write octal digits, for instance `\"0640\"`")
            })
        }
        serde_json::Value::Number(number) => Err(node
            .problem(format!("`{number}` is a decimal number, but permission bits are octal digits"))
            .hint(format!("put octal digits in quotes, for instance `\"0{:0>3}\"`", octal_digits(number)))),
        _ => Err(node.expected("octal digits in quotes").hint("write for instance `\"0640\"`")),
    }
}

/// The digits that were probably meant.
fn octal_digits(number: &serde_json::Number) -> String {
    let digits = number.to_string();
    let is_octal = digits.len() <= 4 && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    if is_octal { digits } else { "640".to_owned() }
}

/// What holds for both forms.
fn checked(item: &Node<'_>, mount: Mount, owner: Owner) -> Read<Mount> {
    if !mount.target.starts_with('/') {
        return Err(item.problem(format!("the target `{}` is not an absolute path", mount.target)));
    }
    if normal(&mount.target) == "/" {
        return Err(item.problem(ROOT));
    }
    super::start::target(item, &mount)?;
    let source = mount.source.as_deref();
    match (mount.kind, source) {
        (MountKind::Bind, None) => Err(item.problem("a bind mount needs a `source`")),
        (MountKind::Bind, Some(path)) if !path.starts_with('/') && owner == Owner::Component => {
            Err(item.problem(format!("the source `{path}` is not an absolute path")).hint(relative_remedy(&item.at)))
        }
        (MountKind::Volume, None) if mount.read_only => Err(item
            .problem("a volume without a name is always empty at its start, and `read_only` prevents every write to it")
            .hint("name the volume in `source`, or remove `read_only`")),
        (MountKind::Tmpfs, Some(_)) => Err(item.problem("a tmpfs mount has no `source`")),
        (MountKind::Volume, Some(name)) if !is_volume_name(name) => {
            Err(item.problem(format!("`{name}` is not a volume name")))
        }
        (MountKind::Bind | MountKind::Volume | MountKind::Tmpfs, _) => Ok(mount),
    }
}

/// What helps against a relative source in a component.
fn relative_remedy(at: &Place) -> &'static str {
    if at.field.starts_with("components.") || (at.field.starts_with("init") && at.label != "pod.init.components") {
        "write an absolute path of the engine's host. Or write the mount in `controller.volumes`, where a source may be relative to this file, and add `--volumes` to `controller.flags`: then all components have the controller's volumes"
    } else if at.field.starts_with("services.") {
        "write an absolute path of the engine's host: this file is in the controller, and the engine does not know its directory"
    } else {
        "write an absolute path of the engine's host: the controller does not know the directory of the stack file. Or write the mount in `volumes` of the controller's service, where docker makes the path absolute, and add `--volumes` to its `command`: then all components have the controller's volumes"
    }
}

/// Longest name of a volume: the engine makes a directory of that name.
const LONGEST_NAME: usize = 255;

/// Whether the engine takes it for one.
pub fn is_volume_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The path without `.`, `..` and needless slashes.
pub fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `tmpfs:`, one path or a list; options behind a `:`.
pub fn tmpfs(node: &Node<'_>, report: &mut Report) -> IndexMap<String, String> {
    let mut found = IndexMap::new();
    for item in node.items() {
        let Some(text) = report.problems.take(item.string()) else { continue };
        let (path, options) = text.split_once(':').unwrap_or((&text, ""));
        if !options.is_empty() {
            let read = super::engine::tmpfs_options(&item, options);
            report.problems.take(read);
        }
        let taken = super::start::target(&item, &Mount::new(MountKind::Tmpfs, None, path));
        report.problems.take(taken);
        if path.starts_with('/') && normal(path) == "/" {
            report.push(item.problem(ROOT));
        } else if !path.starts_with('/') {
            report.push(item.problem(format!("`{path}` is not an absolute path")));
        } else if found.insert(path.to_owned(), options.to_owned()).is_some() {
            report.push(item.problem(format!("`{path}` appears twice")));
        }
    }
    found
}

/// Two mounts at one path: the engine refuses them.
pub fn check_targets(node_at: &Place, volumes: &[Mount], tmpfs: &IndexMap<String, String>, report: &mut Report) {
    let mut seen = std::collections::HashSet::new();
    let targets = volumes.iter().map(|mount| mount.target.as_str()).chain(tmpfs.keys().map(String::as_str));
    for target in targets.map(normal) {
        if seen.contains(&target) {
            report.push(node_at.problem(format!("two mounts have the target `{target}`")));
        }
        seen.insert(target);
    }
}

/// `devices:`, each `host[:container[:permissions]]` or a map.
pub fn devices(node: &Node<'_>, report: &mut Report) -> Vec<Device> {
    let mut found = Vec::new();
    for item in node.list("a list of devices", report) {
        let read = if item.value.is_object() { long_device(&item, report) } else { short_device(&item).map(Some) };
        found.extend(
            report
                .problems
                .take(read.and_then(|device| device.map(|it| checked_device(&item, it)).transpose()))
                .flatten(),
        );
    }
    found
}

fn short_device(item: &Node<'_>) -> Read<Device> {
    let text = item.string()?;
    let parts: Vec<_> = text.split(':').collect();
    let (host, container, permissions) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, container] => (*host, *container, "rwm"),
        [host, container, permissions] => (*host, *container, *permissions),
        _ => return Err(item.problem(format!("expected `host[:container[:permissions]]`, found `{text}`"))),
    };
    Ok(Device { host: host.to_owned(), container: container.to_owned(), permissions: permissions.to_owned() })
}

fn long_device(item: &Node<'_>, report: &mut Report) -> Read<Option<Device>> {
    let Some(mut fields) = Fields::of(item, "a device", report) else { return Ok(None) };
    let source = fields.read("source", Node::word);
    let target = fields.read("target", Node::word);
    let permissions = fields.read("permissions", Node::word);
    fields.done();
    let Some(host) = source else { return Err(item.problem("`source` is missing")) };
    Ok(Some(Device {
        container: target.unwrap_or_else(|| host.clone()),
        host,
        permissions: permissions.unwrap_or_else(|| "rwm".to_owned()),
    }))
}

fn checked_device(item: &Node<'_>, device: Device) -> Read<Device> {
    for path in [&device.host, &device.container] {
        if !path.starts_with('/') {
            let problem = item.problem(format!("`{path}` is not an absolute path"));
            let is_cdi = path.contains('/') && path.contains('=');
            return Err(if is_cdi {
                problem.hint("CDI devices are not supported: list the files in `/dev`")
            } else {
                problem
            });
        }
    }
    let permissions = &device.permissions;
    if permissions.is_empty() || !permissions.chars().all(|c| "rwm".contains(c)) {
        return Err(item.problem(format!("`{permissions}` are not device permissions, expected letters of `rwm`")));
    }
    Ok(device)
}
