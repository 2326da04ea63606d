//! Files on their way into a component.
//!
//! A file, or a part of a directory, is held in memory once: it is read away from the runtime's thread, seen by the plugins, and handed to the engine as it is.

mod archive;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::archive::{Archive, Rights};
use crate::engine::{ContainerId, Engine, EngineError, Fault, chain};
use crate::files::tree::{self, Kind, Source, Tree};
use crate::hooks::{File, HookFailure, Hooks};
use crate::plan::Planned;
use crate::plan::compile::targets;
use crate::plan::render::one_line;
use crate::pod::{ComponentName, CopySpec};
use crate::supervisor::place::locate;
use crate::supervisor::shared::persist;

/// Longest file that is copied, in bytes: it is held in memory while plugins see it.
pub const LARGEST_FILE: u64 = crate::files::LONGEST_COPY;

/// A directory is copied in archives of about so many bytes, or of one longer file: more is never in memory.
const PART: usize = 8 << 20;

/// Rights of directories that are made on the way to a target.
const MADE: Rights = Rights { mode: 0o755, uid: 0, gid: 0 };

/// Rights of a link, which nobody looks at.
const LINK: Rights = Rights { mode: 0o777, uid: 0, gid: 0 };

/// Why a file did not get into a component.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source can't be read, is too long (mount it as a volume instead), or is not what it was.
    #[error("label `pod.copy.{component}`: cannot read `{path}`")]
    Read {
        /// For which component.
        component: ComponentName,
        /// Path in the controller.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The archive can't be made.
    #[error("cannot pack `{path}` for component `{component}`")]
    Pack {
        /// For which component.
        component: ComponentName,
        /// Path in the component.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A plugin refused it.
    #[error(transparent)]
    Hook(#[from] HookFailure),
    /// The component's process would not see it, or nobody can write there.
    #[error("component `{component}`: {why}")]
    Barred {
        /// Which component.
        component: ComponentName,
        /// What is wrong, and the remedy.
        why: String,
    },
    /// The engine refused it.
    #[error("cannot copy to `{path}` in component `{component}`")]
    Engine {
        /// Which component.
        component: ComponentName,
        /// Path in the component.
        path: String,
        /// Why.
        #[source]
        source: EngineError,
    },
}

/// Copies everything of a component's `pod.copy` label, through the plugins.
///
/// # Errors
/// The first file that did not get there.
pub async fn copy_all<E: Engine, H: Hooks>(
    engine: &E,
    hooks: &H,
    planned: &Planned,
    id: &ContainerId,
    given_up: &CancellationToken,
) -> Result<(), CopyError> {
    let way = Way { engine, id, planned, component: &planned.name, given_up };
    for spec in &planned.copy {
        let path = PathBuf::from(&spec.source);
        match way.blocking(spec, move || tree::source(&path, LARGEST_FILE)).await? {
            Source::File(content, metadata) => {
                let is = Rights { mode: metadata.mode() & 0o7777, uid: metadata.uid(), gid: metadata.gid() };
                let file = file(&planned.name, spec.target.clone(), wanted(spec, is), content);
                for file in hooks.config_copy(&spec.source, file).await? {
                    way.put(file).await?;
                }
            }
            Source::Tree(tree) => way.copy_tree(hooks, spec, tree).await?,
        }
    }
    Ok(())
}

/// What the label says of rights, else what the source has.
fn wanted(spec: &CopySpec, is: Rights) -> Rights {
    Rights { mode: spec.mode.unwrap_or(is.mode), uid: spec.uid.unwrap_or(is.uid), gid: spec.gid.unwrap_or(is.gid) }
}

fn file(component: &ComponentName, path: String, rights: Rights, content: Vec<u8>) -> File {
    let Rights { mode, uid, gid } = rights;
    File { component: component.clone(), path, mode, uid, gid, content: content.into() }
}

/// Puts one file into a container, replacing what is there, a link, too. Directories on the way that do not exist are made. Calls are repeated while the
/// engine is away, until `given_up`.
///
/// # Errors
/// The engine's refusal: no such container, a read-only file system. What the component's process would not see.
pub async fn put<E: Engine>(
    engine: &E,
    id: &ContainerId,
    planned: &Planned,
    file: &File,
    given_up: &CancellationToken,
) -> Result<(), CopyError> {
    Way { engine, id, planned, component: &planned.name, given_up }.put(file.clone()).await
}

/// Puts a symbolic link into a container, as [`put`] does a file.
///
/// # Errors
/// As [`put`].
pub async fn put_link<E: Engine>(
    engine: &E,
    id: &ContainerId,
    planned: &Planned,
    path: &str,
    to: &Path,
    given_up: &CancellationToken,
) -> Result<(), CopyError> {
    let way = Way { engine, id, planned, component: &planned.name, given_up };
    way.place(path, |archive, name| archive.link(name, LINK, to)).await
}

/// Into one container.
struct Way<'a, E> {
    engine: &'a E,
    id: &'a ContainerId,
    planned: &'a Planned,
    component: &'a ComponentName,
    /// Until then calls are repeated while the engine is away.
    given_up: &'a CancellationToken,
}

impl<E: Engine> Way<'_, E> {
    /// Disks may be slow, and the runtime has but one thread.
    async fn blocking<T: Send + 'static>(
        &self,
        spec: &CopySpec,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, CopyError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(std::io::Error::other).and_then(|done| done).map_err(|source| CopyError::Read {
            component: self.component.clone(),
            path: spec.source.clone(),
            source,
        })
    }

    async fn upload(&self, directory: &str, archive: Vec<Bytes>) -> Result<(), EngineError> {
        persist(self.given_up, || self.engine.upload(self.id, directory, archive.clone())).await
    }

    /// Whether the component's process will see what is put at a path. Where a file system is made with the process, links decide as well: `/var/run` of many
    /// images is `/run`. Elsewhere the engine follows them.
    async fn reaches(&self, path: &str) -> Result<(), CopyError> {
        let mut barred = targets::barred(&self.planned.container, path);
        if barred.is_none() && targets::has_tmpfs(&self.planned.container) {
            // Where links can't be followed, the engine's own words come with the copy.
            let real = locate(self.engine, self.id, path, self.given_up).await.ok();
            barred = real.and_then(|real| targets::barred(&self.planned.container, &real.path));
        }
        match barred {
            Some(barred) => Err(CopyError::Barred { component: self.component.clone(), why: barred.told() }),
            None => Ok(()),
        }
    }

    /// Whether a file can take this place: that of a mount it can't.
    fn free(&self, path: &str) -> Result<(), CopyError> {
        match targets::mount_at(&self.planned.container, path) {
            Some(barred) => Err(CopyError::Barred { component: self.component.clone(), why: barred.told() }),
            None => Ok(()),
        }
    }

    async fn put(&self, file: File) -> Result<(), CopyError> {
        let rights = Rights { mode: file.mode, uid: file.uid, gid: file.gid };
        let content = file.content;
        self.place(&file.path, |archive, name| archive.file(name, rights, content.clone())).await
    }

    /// Puts one thing at a path.
    async fn place(
        &self,
        path: &str,
        add: impl Fn(&mut Archive, &str) -> std::io::Result<()> + Send + Sync,
    ) -> Result<(), CopyError> {
        self.free(path)?;
        self.reaches(path).await?;
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let pack = |base: &str| {
            let mut archive = Archive::new();
            let below = below(base, directory);
            make(&mut archive, below, None)?;
            add(&mut archive, &joined(below, name))?;
            Ok(archive.finish())
        };
        let packed = |base: &str| pack(base).map_err(|source| self.unpacked(path, source));
        let directory = if directory.is_empty() { "/" } else { directory };
        match self.upload(directory, packed(directory)?).await {
            // Asking first whether the directory is there would cost each file a call.
            Err(error) if error.fault() == Fault::NotFound && directory != "/" => {
                let base = self.existing(parent(directory)).await.map_err(|source| self.refused(path, source))?;
                self.upload(base, packed(base)?).await
            }
            answer => answer,
        }
        .map_err(|source| self.refused(path, source))
    }

    /// The nearest directory that exists, at this path or above it. Not just the root: where that is read-only, a volume below it may not be.
    async fn existing<'p>(&self, directory: &'p str) -> Result<&'p str, EngineError> {
        let mut at = directory;
        loop {
            match self.upload(at, archive::empty()).await {
                Ok(()) => return Ok(at),
                Err(error) if error.fault() == Fault::NotFound && at != "/" => at = parent(at),
                Err(error) => return Err(error),
            }
        }
    }

    /// Copies all below a directory, in as few archives as memory allows.
    async fn copy_tree<H: Hooks>(&self, hooks: &H, spec: &CopySpec, mut tree: Tree) -> Result<(), CopyError> {
        let target = spec.target.trim_end_matches('/');
        self.reaches(&format!("{target}/.")).await?;
        let refused = |source| self.refused(&spec.target, source);
        let base = self.existing(if target.is_empty() { "/" } else { target }).await.map_err(refused)?;
        let prefix = below(base, target);
        let (mode, uid, gid) = tree.root();
        // `mode` is that of files.
        let rights_of = |is: Rights| Rights { mode: is.mode, ..wanted(spec, is) };
        let mut archive = Archive::new();
        make(&mut archive, prefix, Some(rights_of(Rights { mode, uid, gid })))
            .map_err(|source| self.unpacked(target, source))?;
        loop {
            let (rest, some) = self
                .blocking(spec, move || {
                    let some = tree.some(PART)?;
                    Ok((tree, some))
                })
                .await?;
            tree = rest;
            for (path, why) in tree.take_left_out() {
                let path = one_line(&path);
                warn!(component = %self.component, "`copy` leaves out `{}/{path}`: {why}", spec.source.trim_end_matches('/'));
            }
            let last = tree.is_over();
            let mut elsewhere = Vec::new();
            for entry in some {
                let path = format!("{target}/{}", entry.path);
                let is = Rights { mode: entry.mode, uid: entry.uid, gid: entry.gid };
                let name = joined(prefix, &entry.path);
                if entry.kind != Kind::Directory {
                    self.free(&path)?;
                    if let Some(barred) = targets::barred(&self.planned.container, &path) {
                        return Err(CopyError::Barred { component: self.component.clone(), why: barred.told() });
                    }
                }
                match entry.kind {
                    Kind::Directory => archive.directory(&name, rights_of(is)),
                    Kind::Link(to) => archive.link(&name, rights_of(is), &to),
                    Kind::File(content) => {
                        let source = format!("{}/{}", spec.source.trim_end_matches('/'), entry.path);
                        let file = file(self.component, path.clone(), wanted(spec, is), content);
                        let mut done = Ok(());
                        for file in hooks.config_copy(&source, file).await? {
                            if file.path != path {
                                elsewhere.push(file);
                                continue;
                            }
                            let rights = Rights { mode: file.mode, uid: file.uid, gid: file.gid };
                            done = done.and(archive.file(&name, rights, file.content));
                        }
                        done
                    }
                }
                .map_err(|source| self.unpacked(&path, source))?;
            }
            // The first one makes the directory, even where nothing is in it.
            let full = std::mem::replace(&mut archive, Archive::new());
            self.upload(base, full.finish()).await.map_err(refused)?;
            for file in elsewhere {
                self.put(file).await?;
            }
            if last {
                return Ok(());
            }
        }
    }

    fn refused(&self, path: &str, source: EngineError) -> CopyError {
        CopyError::Engine { component: self.component.clone(), path: path.to_owned(), source }
    }

    fn unpacked(&self, path: &str, source: std::io::Error) -> CopyError {
        CopyError::Pack { component: self.component.clone(), path: path.to_owned(), source }
    }
}

/// The directory that holds this one.
fn parent(directory: &str) -> &str {
    match directory.rsplit_once('/') {
        Some((above, _)) if !above.is_empty() => above,
        _ => "/",
    }
}

/// A path within a directory, as an archive has it.
fn below<'p>(base: &str, path: &'p str) -> &'p str {
    path.strip_prefix(base.trim_end_matches('/')).unwrap_or(path).trim_matches('/')
}

fn joined(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Makes the directories of a path that does not exist yet, of which the last one has these rights.
fn make(archive: &mut Archive, path: &str, last: Option<Rights>) -> std::io::Result<()> {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    for directory in ends.filter_map(|end| path.get(..end)).filter(|directory| !directory.is_empty()) {
        let rights = last.filter(|_| directory.len() == path.len()).unwrap_or(MADE);
        archive.directory(directory, rights)?;
    }
    Ok(())
}

/// What is at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Was {
    /// Nothing.
    Absent,
    /// A regular file.
    File(File),
    /// A symbolic link, and its text.
    Link(PathBuf),
}

/// Reads what is at a path of a container, without following a link at its end. Calls are repeated while the engine is away, until `given_up`.
///
/// # Errors
/// Words for the plugin or the log: neither a regular file nor a link, too long.
pub async fn get<E: Engine>(
    engine: &E,
    id: &ContainerId,
    component: &ComponentName,
    path: &str,
    limit: usize,
    given_up: &CancellationToken,
) -> Result<Was, String> {
    /// What a tar archive adds to one file: header, long name, padding, end.
    const TAR_OVERHEAD: usize = 8 << 10;
    let archive = match persist(given_up, || engine.download(id, path, limit + TAR_OVERHEAD)).await {
        Ok(archive) => archive,
        Err(error) if error.fault() == Fault::NotFound => return Ok(Was::Absent),
        Err(error) => return Err(chain(&error)),
    };
    let unreadable = |error: std::io::Error| format!("cannot unpack `{path}`: {error}");
    let mut archive = tar::Archive::new(archive.as_ref());
    let Some(entry) = archive.entries().map_err(unreadable)?.next() else { return Ok(Was::Absent) };
    let mut entry = entry.map_err(unreadable)?;
    match entry.header().entry_type() {
        tar::EntryType::Regular => {}
        tar::EntryType::Symlink => {
            let to = entry.link_name().map_err(unreadable)?;
            return Ok(Was::Link(to.unwrap_or_default().into_owned()));
        }
        _ => return Err(format!("`{path}` in component `{component}` is not a regular file")),
    }
    let header = entry.header();
    let mode = header.mode().map_err(unreadable)? & 0o7777;
    let owner = |id: std::io::Result<u64>| id.map(|id| u32::try_from(id).unwrap_or(u32::MAX));
    let (uid, gid) = (owner(header.uid()).map_err(unreadable)?, owner(header.gid()).map_err(unreadable)?);
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut content).map_err(unreadable)?;
    if content.len() > limit {
        return Err(format!(
            "`{path}` in component `{component}` has {} bytes, but the limit is {limit}",
            content.len()
        ));
    }
    Ok(Was::File(File { component: component.clone(), path: path.to_owned(), mode, uid, gid, content: content.into() }))
}
