//! Directories of the host's cgroup tree of version 2. The kernel answers at once; what it takes longer for runs beside the runtime.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CgroupError, is_owner};
use crate::plan::placement::{GroupLimits, PodGroup, TREE_DIRECTORY, tree_directory};

/// Length of a period of the CPU's quota in microseconds, as the engine takes it.
const PERIOD: u64 = 100_000;

/// The files of limits, and what is written where there is none.
const UNLIMITED: [(&str, &str); 4] =
    [("memory.max", "max"), ("memory.swap.max", "max"), ("cpu.max", "max 100000"), ("pids.max", "max")];

/// What has run in a cgroup may keep it in use a moment longer than it lives.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Makes the directory and writes the limits; one that is there already gets them.
pub(super) async fn make(root: &str, group: &PodGroup) -> Result<(), CgroupError> {
    let (root, directory) = (PathBuf::from(root), tree_directory(&group.engine));
    let (owner, limits) = (group.owner.clone(), group.limits);
    blocking(move || make_now(&root, &directory, &owner, &limits)).await
}

/// Removes the directory; fine where there is none.
pub(super) async fn remove(root: &str, engine: &str, owner: &str) -> Result<(), CgroupError> {
    let pods = Path::new(root).join(tree_directory(engine));
    let own = pods.join(owner);
    let mut tries = 0..BUSY_TRIES;
    let outcome = loop {
        let path = own.clone();
        // Those of kept containers are empty, and the engine makes them anew when they are started.
        match blocking(move || remove_empty(&path)).await {
            Err(CgroupError::Tree { source, .. })
                if source.kind() == ErrorKind::ResourceBusy && tries.next().is_some() =>
            {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            outcome => break outcome,
        }
    };
    // The last one leaves no trace. Another pod's keeps it, or makes it anew.
    let _in_use = fs::remove_dir(&pods).and_then(|()| fs::remove_dir(Path::new(root).join(TREE_DIRECTORY)));
    outcome
}

/// Owners of those of this engine in which nothing runs.
pub(super) async fn idle(root: &str, engine: &str) -> Result<Vec<String>, CgroupError> {
    let pods = Path::new(root).join(tree_directory(engine));
    blocking(move || {
        let entries = match fs::read_dir(&pods) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(told(&pods, error)),
        };
        let idle = |path: &Path| {
            let events = fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
            events.lines().any(|line| line == "populated 0")
        };
        let found = entries.flatten().filter(|entry| idle(&entry.path()));
        Ok(found.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_owner(name)).collect())
    })
    .await
}

fn make_now(root: &Path, directory: &str, owner: &str, limits: &GroupLimits) -> Result<(), CgroupError> {
    let controllers = fs::read_to_string(root.join("cgroup.controllers"))
        .map_err(|_| CgroupError::NoTree(root.display().to_string()))?;
    let (all, pods) = (root.join(TREE_DIRECTORY), root.join(directory));
    let own = pods.join(owner);
    fs::create_dir_all(&own).map_err(|error| told(&own, error))?;
    // One of an earlier run may have limits that this one has not; where there is no such file, there is no such limit.
    let wanted = files(limits);
    let is_wanted = |file: &str| wanted.iter().any(|(_, files)| files.iter().any(|(name, _)| *name == file));
    for (file, unlimited) in UNLIMITED.into_iter().filter(|(file, _)| !is_wanted(file)) {
        match write(&own.join(file), unlimited) {
            Err(CgroupError::Tree { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            written => written?,
        }
    }
    for (controller, files) in wanted {
        if !controllers.split_whitespace().any(|one| one == controller) {
            return Err(CgroupError::Controller(controller));
        }
        for above in [root, &all, &pods] {
            write(&above.join("cgroup.subtree_control"), &format!("+{controller}"))?;
        }
        for (file, limit) in files {
            match write(&own.join(file), &limit) {
                // A kernel without swap has no such file, and nothing to limit.
                Err(CgroupError::Tree { source, .. })
                    if file == "memory.swap.max" && source.kind() == ErrorKind::NotFound => {}
                written => written?,
            }
        }
    }
    Ok(())
}

/// What is written, by controller.
fn files(limits: &GroupLimits) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let unlimited = || "max".to_owned();
    let mut files = Vec::new();
    if let Some(memory) = limits.memory {
        let swap = limits.swap.map_or_else(unlimited, |swap| swap.to_string());
        files.push(("memory", vec![("memory.max", memory.to_string()), ("memory.swap.max", swap)]));
    }
    if let Some(cpus) = limits.cpus {
        // The kernel takes no quota below a millisecond.
        let quota = (u128::from(cpus) * u128::from(PERIOD) / 1_000_000_000).max(1000);
        files.push(("cpu", vec![("cpu.max", format!("{quota} {PERIOD}"))]));
    }
    if let Some(pids) = limits.pids {
        files.push(("pids", vec![("pids.max", pids.to_string())]));
    }
    files
}

/// Only what is there is written: nothing of the tree is ever a file of ours.
fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    let written = fs::OpenOptions::new().write(true).open(path).and_then(|mut file| {
        use std::io::Write as _;
        file.write_all(text.as_bytes())
    });
    written.map_err(|error| told(path, error))
}

/// The directory with those below it; the kernel refuses where anything runs in one.
fn remove_empty(path: &Path) -> Result<(), CgroupError> {
    let below = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(told(path, error)),
    };
    for entry in below.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_empty(&entry.path())?;
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(told(path, error)),
        _ => Ok(()),
    }
}

fn told(path: &Path, source: io::Error) -> CgroupError {
    CgroupError::Tree { path: path.display().to_string(), source }
}

/// A task that can't be joined has panicked, or the runtime ends.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CgroupError> + Send + 'static,
) -> Result<T, CgroupError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(CgroupError::Late))
}
