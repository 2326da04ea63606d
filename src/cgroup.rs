//! Cgroups of whole pods: made before the first container with the limits of the pod, and removed after the last one.
//!
//! Where the engine has its cgroups made by systemd, it is a slice, which systemd is asked for over the system's D-Bus (`bus`); where the engine makes them
//! itself, on version 2, a directory of the host's cgroup tree (`tree`). Both only where the operator has mounted what it takes into the controller; nothing
//! here does anything before it is asked to.
//!
//! Invariant: nothing is removed in which a process runs, but the pod's own at its end; and of others' nothing whose owner may live.

mod bus;
mod tree;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::engine::{ContainerId, Engine, Fault};
use crate::plan::placement::{Means, PodGroup};

/// Longest time for the making or the removal of one: the pod's start and its end wait for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why a cgroup can't be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The socket of D-Bus can't be opened.
    #[error("the system's D-Bus at `{socket}` does not answer: {source}")]
    Closed {
        /// Its path.
        socket: String,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The bus, or systemd behind it, refused.
    #[error("systemd refused a request over D-Bus: {0}")]
    Bus(String),
    /// The kernel refused.
    #[error("`{path}`: {source}")]
    Tree {
        /// A file or directory of the tree.
        path: String,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The kernel has no such controller for this tree.
    #[error("cgroup version 2 has no controller `{0}` here")]
    Controller(&'static str),
    /// What is mounted there is something else.
    #[error("`{0}` is not the root of a cgroup tree of version 2")]
    NoTree(String),
    /// It took too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// Keeps what was made, until it is removed.
#[derive(Debug, Default)]
pub struct Keeper {
    // Short sections without any await: a plain mutex is right.
    made: Mutex<Option<PodGroup>>,
}

impl Keeper {
    fn made(&self) -> MutexGuard<'_, Option<PodGroup>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a pod's cgroup with its limits; one that is there already, of an earlier run, gets them.
    ///
    /// # Errors
    /// Why not. What was half made has been removed.
    ///
    /// Cancel safety: [`release`](Self::release) removes what was made, also after a call that was dropped.
    pub async fn make(&self, group: &PodGroup) -> Result<(), CgroupError> {
        *self.made() = Some(group.clone());
        let making = async {
            match &group.means {
                Means::Bus(socket) => bus::make(socket, group).await,
                Means::Tree(root) => tree::make(root, group).await,
            }
        };
        let made = tokio::time::timeout(PATIENCE, making).await.unwrap_or(Err(CgroupError::Late));
        match &made {
            Ok(()) => debug!(cgroup = group.parent(), "created the pod's cgroup with the pod's limits"),
            Err(_) => self.release().await,
        }
        made
    }

    /// Removes what was made; nothing where nothing was. What can't be removed, the next controller on the engine removes.
    ///
    /// Cancel safety: a call that is dropped may have removed it or not.
    pub async fn release(&self) {
        let Some(group) = self.made().take() else { return };
        let removed = tokio::time::timeout(PATIENCE, remove(&group.means, &group.engine, &group.owner)).await;
        if let Err(error) = removed.unwrap_or(Err(CgroupError::Late)) {
            warn!(cgroup = group.parent(), %error, "cannot remove the pod's cgroup; the next controller on this engine removes it");
        }
    }
}

async fn remove(means: &Means, engine: &str, owner: &str) -> Result<(), CgroupError> {
    match means {
        Means::Bus(socket) => bus::remove(socket, owner).await,
        Means::Tree(root) => tree::remove(root, engine, owner).await,
    }
}

/// Removes the cgroups of controllers that are gone, or do not run. To be called after their containers have been removed.
///
/// Answers their owners, sorted. `engine_key` tells this engine from others on the same host, as [`PodGroup::engine`] does.
///
/// # Errors
/// They can't be listed. Trouble with single ones is told in the log only.
///
/// Cancel safety: a sweep that is dropped half-way has removed some; the next one goes on.
pub async fn sweep<E: Engine>(
    engine: &E,
    own: &ContainerId,
    means: &Means,
    engine_key: &str,
) -> Result<Vec<String>, CgroupError> {
    let listing = async {
        match means {
            Means::Bus(socket) => bus::idle(socket, engine_key).await,
            Means::Tree(root) => tree::idle(root, engine_key).await,
        }
    };
    let idle = tokio::time::timeout(PATIENCE, listing).await.unwrap_or(Err(CgroupError::Late))?;
    let mut swept = Vec::new();
    for owner in dead(engine, own, idle).await {
        match tokio::time::timeout(PATIENCE, remove(means, engine_key, &owner)).await.unwrap_or(Err(CgroupError::Late))
        {
            Ok(()) => {
                info!(owner, "removed a cgroup that an earlier controller left behind");
                swept.push(owner);
            }
            Err(error) => warn!(owner, %error, "cannot remove a cgroup that an earlier controller left behind"),
        }
    }
    Ok(swept)
}

/// Those of the owners that are gone, or do not run; sorted. Doubt (one that can't be looked at) counts as life.
async fn dead<E: Engine>(engine: &E, own: &ContainerId, mut owners: Vec<String>) -> Vec<String> {
    owners.sort();
    owners.retain(|owner| owner != own.short());
    let mut dead = Vec::new();
    for owner in owners {
        let is_dead = match engine.inspect(&owner).await {
            // A name may look like an id, and be somebody else's.
            Ok(found) => found.id.short() == owner && !found.running,
            Err(error) => error.fault() == Fault::NotFound,
        };
        if is_dead {
            dead.push(owner);
        }
    }
    dead
}

/// Whether it is the first 12 digits of a container's id.
fn is_owner(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
