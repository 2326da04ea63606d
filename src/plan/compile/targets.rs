//! Where in a component files can't be put: below a file system that its process gets at its start, and on what nobody can write.
//!
//! Files are copied by the engine into the container's own file system and its volumes, without its process. A tmpfs is made with the process, and hides
//! what was copied to its place; a read-only file system refuses it. Both are known before anything is started.

use std::collections::BTreeMap;

use crate::config::policy::normal;
use crate::containers::ContainerSpec;
use crate::plan::Plan;
use crate::pod::{Capability, Grant, Mount, MountKind, PluginSource, PluginSpec, Problem, Problems};

/// What every runtime mounts anew for each process: <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-filesystems>.
const OF_THE_RUNTIME: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Files that the engine mounts over those of the image.
const OF_THE_ENGINE: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// Ends of the names of files that programs are configured with.
const OF_FILES: [&str; 38] = [
    "acl",
    "cer",
    "cert",
    "cfg",
    "cnf",
    "conf",
    "config",
    "crt",
    "csv",
    "css",
    "env",
    "hcl",
    "htm",
    "html",
    "ini",
    "jks",
    "js",
    "json",
    "key",
    "list",
    "lua",
    "p12",
    "pem",
    "php",
    "properties",
    "py",
    "rb",
    "rules",
    "sh",
    "sql",
    "tmpl",
    "toml",
    "tpl",
    "txt",
    "vcl",
    "xml",
    "yaml",
    "yml",
];

/// The option of the engine's own volume driver that makes a volume of memory, which lives only as long as somebody mounts it.
const MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// Why a file can't be put at a path of a component, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barred {
    /// What is wrong, with the path.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl Barred {
    /// Both as one text.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{} ({})", self.what, self.hint)
    }
}

/// What lies at a mount point, as far as copied files are concerned.
enum Place<'a> {
    Tmpfs,
    Runtime,
    MemoryVolume,
    Mounted(&'a Mount),
}

/// Why a file can't be put at this path of a container; none if it can. Links of the image are not known here: resolve them first where they can be.
#[must_use]
pub fn barred(container: &ContainerSpec, path: &str) -> Option<Barred> {
    barred_with(container, path, &BTreeMap::new())
}

/// The same, if it is known of some paths of the host whether they are files.
#[must_use]
pub fn barred_with(container: &ContainerSpec, path: &str, host_files: &BTreeMap<String, bool>) -> Option<Barred> {
    let path = normal(path);
    let tmpfs = container.tmpfs.keys().map(|at| (normal(at), Place::Tmpfs));
    let runtime = OF_THE_RUNTIME.iter().map(|at| ((*at).to_owned(), Place::Runtime));
    let mounts = container.mounts.iter().map(|mount| {
        let place = match mount.kind {
            MountKind::Tmpfs => Place::Tmpfs,
            MountKind::Volume if is_memory(mount) => Place::MemoryVolume,
            MountKind::Volume | MountKind::Bind => Place::Mounted(mount),
        };
        (normal(&mount.target), place)
    });
    // What is mounted deepest is seen there; of two at one place, what the user has written.
    let holding = runtime.chain(tmpfs).chain(mounts).filter(|(at, _)| is_within(&path, at));
    let (at, place) = match holding.max_by_key(|(at, _)| at.len()) {
        Some((at, place)) => (at, Some(place)),
        None => ("/".to_owned(), None),
    };
    let directory = match path.rsplit_once('/') {
        Some((above, _)) if path != at && !above.is_empty() => above,
        _ => &path,
    };
    let volume = if at == "/" && directory.rfind('/') == Some(0) {
        // A volume there would hide, or take a copy of, what the whole system needs.
        format!(
            "use a target in a directory of its own, and mount a volume there, because files can be copied into volumes (for instance `volumes: [\"conf:{}/conf.d\"]`)",
            directory.trim_end_matches('/')
        )
    } else {
        format!(
            "mount a volume at `{directory}`, because files can be copied into volumes (for instance `volumes: [\"conf:{directory}\"]`)"
        )
    };
    let (what, hint) = match place {
        Some(Place::Tmpfs) => (
            format!("`{path}` is in the component's tmpfs `{at}`, which is created at the start of the process and hides files that were copied there before"),
            volume,
        ),
        Some(Place::MemoryVolume) => (
            format!("`{path}` is in the volume `{at}`, which is in memory and loses files that were copied there before the start of the process"),
            format!("use a volume that is not in memory for `{at}`"),
        ),
        Some(Place::Runtime) if at == "/dev" => (
            format!("`{path}` is in `/dev`, which is created at the start of the process and hides files that were copied there before"),
            volume,
        ),
        Some(Place::Runtime) => (
            format!("`{path}` is in `{at}`, which belongs to the kernel"),
            "use another path for the file".to_owned(),
        ),
        Some(Place::Mounted(mount)) if mount.read_only => (
            format!("`{path}` is in the component's mount `{at}`, which is read-only"),
            format!("mount `{at}` without `ro`, or change the file in the source of the mount"),
        ),
        Some(Place::Mounted(mount)) if path == at && mount.kind == MountKind::Bind => {
            let is_file = mount.source.as_deref().and_then(|source| host_files.get(source));
            return match is_file {
                Some(true) => mount_at(container, &path),
                Some(false) => None,
                None if is_named_as_file(&path) => mount_at(container, &path).map(guessed),
                None => None,
            };
        }
        Some(Place::Mounted(_)) => return None,
        None if OF_THE_ENGINE.contains(&path.as_str()) => (
            format!("the engine mounts its own file over `{path}` at the start of the process"),
            "to set host names and DNS servers, use `extra_hosts` or `dns` of the controller's service, whose network the components share".to_owned(),
        ),
        None if container.host.read_only => (
            format!("`{path}` is in the component's root file system, which is `read_only`"),
            volume,
        ),
        None => return None,
    };
    Some(Barred { what, hint })
}

/// Why nothing can take the place of what is at this path of a container: it is a mount itself, as a file that is mounted alone. Of a path that is known to be
/// that of a file, or to become one.
#[must_use]
pub fn mount_at(container: &ContainerSpec, path: &str) -> Option<Barred> {
    let path = normal(path);
    let mount =
        container.mounts.iter().find(|mount| mount.kind != MountKind::Tmpfs && normal(&mount.target) == path)?;
    let of = mount.source.as_ref().map(|source| format!(" of `{source}`")).unwrap_or_default();
    let directory = path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty());
    let hint = match directory {
        Some(directory) => format!(
            "instead of the file, mount its directory at `{directory}`, or a volume, because files can be copied into volumes (for instance `volumes: [\"conf:{directory}\"]`)"
        ),
        None => "use a target in a directory of its own, and mount that directory or a volume there".to_owned(),
    };
    Some(Barred {
        what: format!("`{path}` is itself a mount{of} in the component, and no file can take the place of a mount"),
        hint,
    })
}

/// Says that only the name decided, and how to contradict.
fn guessed(Barred { what, hint }: Barred) -> Barred {
    Barred {
        what: format!(
            "{what} (the name is that of a file; this host does not have the source of the mount, so this is a guess)"
        ),
        hint: format!("{hint}; if the source is a directory, use a target whose name does not end like a file's"),
    }
}

/// Whether this is a file's name, and hardly a directory's. The host's file behind a mount is known to nobody but the engine.
fn is_named_as_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').is_some_and(|(_, kind)| OF_FILES.contains(&kind.to_ascii_lowercase().as_str()))
}

/// Whether a file system is made with the process of this container, where the user says so.
#[must_use]
pub fn has_tmpfs(container: &ContainerSpec) -> bool {
    !container.tmpfs.is_empty() || container.mounts.iter().any(|mount| mount.kind == MountKind::Tmpfs)
}

fn is_within(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the engine makes this volume in memory.
fn is_memory(mount: &Mount) -> bool {
    let options = mount.volume.as_ref().map(|volume| (volume.driver.as_str(), &volume.driver_opts));
    options.is_some_and(|(driver, options)| {
        matches!(driver, "" | "local") && options.get("type").is_some_and(|kind| MEMORY.contains(&kind.as_str()))
    })
}

/// The files that a stock plugin is configured to put into components and that can't be put there. `wanted` is what its configuration asks for. Of other
/// plugins nobody knows whether they would write what they may: they are refused when they do.
#[must_use]
pub fn of_plugin(plan: &Plan, plugin: &PluginSpec, wanted: &[Grant]) -> Problems {
    let barred = wanted.iter().filter(|_| plugin.source == PluginSource::Stock).filter_map(|grant| {
        let (name, path) = grant.scope.split_once(':').filter(|_| grant.capability == Capability::Files)?;
        let planned = plan.init.iter().chain(&plan.components).find(|planned| planned.name.as_str() == name)?;
        let Barred { what, hint } = barred_with(&planned.container, path, &plan.host_files)?;
        Some(Problem::new(&plugin.origin, plugin.name.as_str(), format!("component `{name}`: {what}")).hint(hint))
    });
    Problems(barred.collect())
}

#[cfg(test)]
mod tests;
