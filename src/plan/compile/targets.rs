//! Where in a component files can't be put: below a file system that its process gets at its start, and on what nobody can write.
//!
//! Files are copied by the engine into the container's own file system and its volumes, without its process. A tmpfs is made with the process, and hides
//! what was copied to its place; a read-only file system refuses it. Both are known before anything is started.

use crate::config::policy::normal;
use crate::engine::ContainerSpec;
use crate::plan::Plan;
use crate::pod::{Grant, Mount, MountKind, PluginSource, PluginSpec, Problem, Problems};

/// What every runtime mounts anew for each process: <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-filesystems>.
const OF_THE_RUNTIME: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Files that the engine mounts over those of the image.
const OF_THE_ENGINE: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

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
            "take a target in a directory of its own, and mount a volume there, into which files can be copied (for instance `volumes: [\"conf:{}/conf.d\"]`)",
            directory.trim_end_matches('/')
        )
    } else {
        format!(
            "mount a volume at `{directory}`, into which files can be copied (for instance `volumes: [\"conf:{directory}\"]`)"
        )
    };
    let (what, hint) = match place {
        Some(Place::Tmpfs) => (
            format!("`{path}` lies in the component's tmpfs `{at}`, which is made when its process starts and hides what was copied there before"),
            volume,
        ),
        Some(Place::MemoryVolume) => (
            format!("`{path}` lies in the volume `{at}`, which is in memory and loses what was copied there before the component's process starts"),
            format!("take a volume that is not in memory for `{at}`"),
        ),
        Some(Place::Runtime) if at == "/dev" => (
            format!("`{path}` lies in `/dev`, which is made when the component's process starts and hides what was copied there before"),
            volume,
        ),
        Some(Place::Runtime) => (
            format!("`{path}` lies in `{at}`, which belongs to the kernel"),
            "take another path for the file".to_owned(),
        ),
        Some(Place::Mounted(mount)) if mount.read_only => (
            format!("`{path}` lies in the component's mount `{at}`, which is read-only"),
            format!("mount `{at}` without `ro`, or change the file where that mount comes from"),
        ),
        Some(Place::Mounted(_)) => return None,
        None if OF_THE_ENGINE.contains(&path.as_str()) => (
            format!("the engine mounts a file of its own over `{path}` when the component's process starts"),
            "for names and addresses, set `extra_hosts` or `dns` of the controller's service: components share its network".to_owned(),
        ),
        None if container.host.read_only => (
            format!("`{path}` lies in the component's root file system, which is `read_only`"),
            volume,
        ),
        None => return None,
    };
    Some(Barred { what, hint })
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
        let (name, path) = grant.scope.split_once(':').filter(|_| grant.capability == "files")?;
        let planned = plan.init.iter().chain(&plan.components).find(|planned| planned.name.as_str() == name)?;
        let Barred { what, hint } = barred(&planned.container, path)?;
        Some(Problem::new(&plugin.origin, plugin.name.as_str(), format!("component `{name}`: {what}")).hint(hint))
    });
    Problems(barred.collect())
}

#[cfg(test)]
mod tests;
