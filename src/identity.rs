//! Which container the controller runs in, and what it can see from there.
//!
//! No engine tells a process its container's id, and every hint may be somebody else's: the mounts with `network_mode: container:X`, the host name where
//! one is set, the cgroup where a namespace hides it. So each hint gives candidates only, and a candidate counts once it is verified: a file with a name that
//! nobody can guess is written to our root file system, and only our own container has it. Where the root file system can't be written, what the engine tells
//! of the candidate must agree with what we see.

mod grace;
mod proc;
mod surroundings;

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use tracing::{debug, warn};

pub use self::grace::with_grace;
use self::surroundings::Nonce;
pub use self::surroundings::{Surroundings, compose_text, environment, own_cgroup, own_volumes, self_info};
use crate::config::Settings;
use crate::engine::{Engine, EngineError, Fault, Inspection};

/// The archive of the nonce file: a header, the content and the end, with room for an engine's extras.
const NONCE_ARCHIVE: usize = 64 * 1024;

/// Containers that are tried when nothing but the engine's list is left; each costs a call.
const MOST_SCANNED: usize = 64;

/// What our own container must have for us to have work to do: the labels that describe the pod.
const POD_LABELS: &str = "pod.";

/// One way to come by candidates. In the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `--self`, `OUTRIGGER_SELF`.
    Given,
    /// Sources of the mounts of `/etc/hostname` and the like.
    Mounts,
    /// Path of the cgroup.
    Cgroup,
    /// The host name.
    Hostname,
    /// Every running container with labels of a pod.
    Scan,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given => "`--self` or `OUTRIGGER_SELF`",
            Self::Mounts => "`/proc/self/mountinfo`",
            Self::Cgroup => "`/proc/self/cgroup`",
            Self::Hostname => "the host name",
            Self::Scan => "the list of the engine's containers",
        })
    }
}

/// What came of one method, or of one candidate of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Where the candidate came from.
    pub method: Method,
    /// Id or name; none where the method gave no candidate.
    pub candidate: Option<String>,
    /// Why it is not ours.
    pub outcome: String,
}

/// Why our own container is not known.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nothing looks like a container around us.
    #[error(
        "not in a container: run the image `outrigger` with the engine's socket mounted, or `outrigger run pod.yaml` on a host"
    )]
    NotInContainer,
    /// No candidate could be verified.
    #[error("cannot detect the controller's own container{}; set `--self` or `OUTRIGGER_SELF` to the id or name of this container", listed(.0))]
    Unknown(Vec<Attempt>),
    /// The engine failed us.
    #[error("cannot detect the controller's own container")]
    Engine(#[from] EngineError),
}

fn listed(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    for Attempt { method, candidate, outcome } in attempts {
        // Writing to a string never fails.
        let _written = match candidate {
            Some(candidate) => write!(text, "\n  {method}: `{candidate}`: {outcome}"),
            None => write!(text, "\n  {method}: {outcome}"),
        };
    }
    text
}

/// Finds our own container.
///
/// # Errors
/// [`IdentityError::NotInContainer`], [`IdentityError::Unknown`] with what every method gave, or the engine's failure where it did not answer.
///
/// Cancel safety: changes nothing but its nonce file, which is removed when this is dropped.
pub async fn find<E: Engine>(
    engine: &E,
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<Inspection, IdentityError> {
    if settings.own_id.is_none() && !surroundings.look_contained() {
        return Err(IdentityError::NotInContainer);
    }
    let mut search = Search {
        engine,
        surroundings,
        nonce: Nonce::write(&surroundings.nonce_dir),
        seen: BTreeSet::new(),
        attempts: Vec::new(),
    };
    let known = [
        (Method::Given, settings.own_id.iter().cloned().collect(), "not set"),
        (Method::Mounts, proc::mountinfo_ids(&surroundings.mountinfo), "names no container"),
        (Method::Cgroup, surroundings.cgroup_ids(), "names no container (this is normal with cgroup version 2)"),
        (Method::Hostname, proc::hostname_id(&surroundings.hostname).into_iter().collect(), "is not an id"),
    ];
    for (method, candidates, none) in known {
        if let Some(found) = search.any_of(method, candidates, none).await? {
            return Ok(found);
        }
    }
    let others = engine.list(&[]).await?;
    let fits =
        |labels: &std::collections::BTreeMap<String, String>| labels.keys().any(|key| key.starts_with(POD_LABELS));
    let candidates: Vec<_> = others
        .into_iter()
        .filter(|container| container.running && fits(&container.labels))
        .map(|container| container.id.0)
        .take(MOST_SCANNED)
        .collect();
    if let Some(found) = search.any_of(Method::Scan, candidates, "no running container has the labels of a pod").await?
    {
        return Ok(found);
    }
    Err(IdentityError::Unknown(search.attempts))
}

struct Search<'a, E> {
    engine: &'a E,
    surroundings: &'a Surroundings,
    /// Or why there is none.
    nonce: Result<Nonce, String>,
    /// Candidates that were looked at already.
    seen: BTreeSet<String>,
    attempts: Vec<Attempt>,
}

impl<E: Engine> Search<'_, E> {
    /// The first of the candidates that is verified.
    async fn any_of(
        &mut self,
        method: Method,
        candidates: Vec<String>,
        none: &str,
    ) -> Result<Option<Inspection>, IdentityError> {
        if candidates.is_empty() {
            self.note(method, None, none.to_owned());
        }
        for candidate in candidates {
            if !self.seen.insert(candidate.clone()) {
                continue;
            }
            match self.verified(method, &candidate).await? {
                Ok(found) => {
                    debug!(%method, container = %found.id, "the controller has found its own container");
                    return Ok(Some(found));
                }
                Err(why) => {
                    if method == Method::Given {
                        warn!(
                            candidate,
                            why,
                            "the container in `--self` or `OUTRIGGER_SELF` is not the controller's own container; trying other ways to find the container"
                        );
                    }
                    self.note(method, Some(candidate), why);
                }
            }
        }
        Ok(None)
    }

    fn note(&mut self, method: Method, candidate: Option<String>, outcome: String) {
        debug!(%method, ?candidate, outcome, "this candidate is not the controller's own container");
        self.attempts.push(Attempt { method, candidate, outcome });
    }

    /// The inner error says why the candidate is not us.
    async fn verified(&self, method: Method, candidate: &str) -> Result<Result<Inspection, String>, EngineError> {
        let found = match self.engine.inspect(candidate).await {
            Ok(found) => found,
            Err(error) if error.fault() == Fault::Transient => return Err(error),
            Err(error) if error.fault() == Fault::NotFound => return Ok(Err("no such container".to_owned())),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if !found.running {
            return Ok(Err("the container is not running".to_owned()));
        }
        let verdict = match &self.nonce {
            // Nobody else has a file of that name. Its content takes the engine forty times as long; it is asked for where a proxy refuses the look.
            Ok(nonce) => match self.engine.exists(&found.id, &nonce.path()).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("the container does not have the controller's test file".to_owned()),
                Err(error) if error.fault() == Fault::Transient => return Err(error),
                Err(_refused) => return self.compared(method, found, nonce).await,
            },
            Err(_why) => self.agrees(method, &found),
        };
        Ok(verdict.map(|()| found))
    }

    /// The same by the content of the file.
    async fn compared(
        &self,
        method: Method,
        found: Inspection,
        nonce: &Nonce,
    ) -> Result<Result<Inspection, String>, EngineError> {
        let verdict = match self.engine.download(&found.id, &nonce.path(), NONCE_ARCHIVE).await {
            Ok(archive) if memchr::memmem::find(&archive, nonce.text().as_bytes()).is_some() => Ok(()),
            Ok(_other) => Err("the container has another file at the path of the controller's test file".to_owned()),
            Err(error) if error.fault() == Fault::NotFound => {
                Err("the container does not have the controller's test file".to_owned())
            }
            Err(error) if error.fault() == Fault::Transient => return Err(error),
            // A proxy in front of the engine may refuse archives.
            Err(_refused) => self.agrees(method, &found),
        };
        Ok(verdict.map(|()| found))
    }

    /// Whether what the engine tells of it agrees with what we see. Weaker than the file: used where there is none.
    fn agrees(&self, method: Method, found: &Inspection) -> Result<(), String> {
        // Somebody said so, and nothing contradicts it.
        if method == Method::Given {
            return Ok(());
        }
        let unsure = self.nonce.as_ref().err().map(|why| format!(" ({why})")).unwrap_or_default();
        // One whose network we join has our host name, our addresses, and the files that are mounted for them.
        let cgroups = self.surroundings.cgroup_ids();
        if !cgroups.is_empty() && !cgroups.contains(&found.id.0) {
            return Err(format!("the controller's cgroup belongs to `{}`{unsure}", cgroups.join("`, `")));
        }
        if !found.labels.keys().any(|key| key.starts_with(POD_LABELS)) {
            return Err(format!("the container has no label `{POD_LABELS}*`{unsure}"));
        }
        if found.hostname != self.surroundings.hostname {
            return Err(format!(
                "the container's host name is `{}`, the controller's is `{}`{unsure}",
                found.hostname, self.surroundings.hostname
            ));
        }
        let local = self.surroundings.addresses();
        let shared =
            found.addresses.iter().any(|address| address.parse().is_ok_and(|address| local.contains(&address)));
        if !found.addresses.is_empty() && !shared {
            return Err(format!("the controller has none of the container's addresses{unsure}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
