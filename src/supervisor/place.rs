//! Where a path of a component really is.
//!
//! Links are followed one by one, by what the engine answers about each, and within the component's own root: an absolute link begins there, and `..` does not
//! lead out of it. Nothing is ever opened in the controller. For a root that the controller can't open, this is the meaning of `openat2` with
//! `RESOLVE_IN_ROOT` (openat2(2)). A component may exchange a link meanwhile; the engine and commands in the component resolve the path again, in the same root,
//! so that a component can lead a file astray among its own files only.

use std::collections::{BTreeSet, VecDeque};

use tokio_util::sync::CancellationToken;

use crate::engine::{ContainerId, Engine, PathKind, chain};
use crate::supervisor::shared::persist;

/// As many symbolic links as the kernel follows: path_resolution(7).
const LINKS: usize = 40;

/// A path without links in the container's own root, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Absolute, without `.` and `..`.
    pub path: String,
    /// None: nothing is there yet.
    pub kind: Option<PathKind>,
}

/// Follows the links of all directories of a path, but not one at its end.
///
/// # Errors
/// The engine's, links in a circle, and a file where a directory should be, in words.
pub async fn locate<E: Engine>(
    engine: &E,
    id: &ContainerId,
    path: &str,
    given_up: &CancellationToken,
) -> Result<Located, String> {
    walk(engine, id, path, false, given_up).await
}

/// Follows all links of a path, one at its end, too.
///
/// # Errors
/// As [`locate`].
pub async fn follow<E: Engine>(
    engine: &E,
    id: &ContainerId,
    path: &str,
    given_up: &CancellationToken,
) -> Result<Located, String> {
    walk(engine, id, path, true, given_up).await
}

async fn walk<E: Engine>(
    engine: &E,
    id: &ContainerId,
    path: &str,
    last: bool,
    given_up: &CancellationToken,
) -> Result<Located, String> {
    let mut left: VecDeque<String> = parts(path).collect();
    let (mut at, mut links) = (String::new(), 0);
    // An engine resolves a link as a whole, and the way to where it leads is gone once more.
    let mut directories = BTreeSet::new();
    while let Some(part) = left.pop_front() {
        if part == ".." {
            at.truncate(at.rfind('/').unwrap_or_default());
            continue;
        }
        let next = format!("{at}/{part}");
        let is_last = left.is_empty();
        if !is_last && directories.contains(&next) {
            at = next;
            continue;
        }
        match persist(given_up, || engine.stat(id, &next)).await.map_err(|error| chain(&error))? {
            Some(PathKind::Link(to)) if last || !is_last => {
                links += 1;
                if links > LINKS {
                    return Err(format!("`{path}` leads through more than {LINKS} links"));
                }
                if to.starts_with('/') {
                    at.clear();
                }
                for part in parts(&to).collect::<Vec<_>>().into_iter().rev() {
                    left.push_front(part);
                }
            }
            kind if is_last => return Ok(Located { path: next, kind }),
            Some(PathKind::Directory) => {
                directories.insert(next.clone());
                at = next;
            }
            Some(PathKind::File | PathKind::Link(_) | PathKind::Other) => {
                return Err(format!("`{next}` is not a directory"));
            }
            None => {
                let rest = left.iter().fold(next, |mut at, part| {
                    match part.as_str() {
                        ".." => at.truncate(at.rfind('/').unwrap_or_default()),
                        part => at.extend(["/", part]),
                    }
                    at
                });
                return Ok(Located { path: rest, kind: None });
            }
        }
    }
    let path = if at.is_empty() { "/".to_owned() } else { at };
    Ok(Located { path, kind: Some(PathKind::Directory) })
}

fn parts(path: &str) -> impl Iterator<Item = String> + '_ {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::engine::{ContainerSpec, Fault};

    async fn component() -> (FakeEngine, ContainerId) {
        let engine = FakeEngine::new();
        let (id, _) = engine.create(&ContainerSpec::new("app", "app")).await.unwrap();
        for path in ["/etc/app/app.conf", "/opt/conf/other", "/etc/shadow"] {
            engine.put_file("app", path, b"x");
        }
        for (path, to) in [
            ("/etc/link", "/opt/conf"),
            ("/opt/conf/up", "../../etc/app"),
            ("/etc/out", "../../../../opt/conf"),
            ("/etc/app/x.conf", "../shadow"),
            ("/etc/round", "round"),
            ("/etc/hanging", "/nowhere/at/all"),
        ] {
            engine.put_link("app", path, to);
        }
        (engine, id)
    }

    #[tokio::test]
    async fn links_are_followed_within_the_components_root() {
        let (engine, id) = component().await;
        let never = CancellationToken::new();
        let file = Some(PathKind::File);
        for (path, expected, kind) in [
            ("/etc/app/app.conf", "/etc/app/app.conf", file.clone()),
            ("/etc/link/other", "/opt/conf/other", file.clone()),
            ("/etc/link/up/app.conf", "/etc/app/app.conf", file.clone()),
            ("/etc/out/other", "/opt/conf/other", file.clone()),
            ("/etc/link/new/file", "/opt/conf/new/file", None),
            ("/etc/hanging/a/../b", "/nowhere/at/all/b", None),
            ("/etc/link", "/etc/link", Some(PathKind::Link("/opt/conf".to_owned()))),
            ("/", "/", Some(PathKind::Directory)),
        ] {
            let found = locate(&engine, &id, path, &never).await.unwrap();
            assert_eq!(found, Located { path: expected.to_owned(), kind }, "{path}");
        }
        let found = follow(&engine, &id, "/etc/app/x.conf", &never).await.unwrap();
        assert_eq!(found, Located { path: "/etc/shadow".to_owned(), kind: file });
        let told = follow(&engine, &id, "/etc/round", &never).await.unwrap_err();
        assert!(told.contains("more than 40 links"), "{told}");
        let told = locate(&engine, &id, "/etc/shadow/x", &never).await.unwrap_err();
        assert_eq!(told, "`/etc/shadow` is not a directory");
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_is_away_is_waited_for() {
        let (engine, id) = component().await;
        let engine = engine.fails("stat", "app", Fault::Transient, 3);
        let found = locate(&engine, &id, "/etc/link/other", &CancellationToken::new()).await.unwrap();
        assert_eq!(found.path, "/opt/conf/other");
    }
}
