//! Files on their way into a component.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::engine::{ContainerId, Engine, EngineError, Fault, chain};
use crate::files;
use crate::hooks::{File, HookFailure, Hooks};
use crate::plan::Planned;
use crate::pod::ComponentName;

/// Longest file that is copied, in bytes: it is held in memory while plugins see it.
pub const LARGEST_FILE: u64 = 64 << 20;

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

/// Copies all files of a component's `pod.copy` label, through the plugins.
///
/// # Errors
/// The first file that did not get there.
pub async fn copy_all<E: Engine, H: Hooks>(
    engine: &E,
    hooks: &H,
    planned: &Planned,
    id: &ContainerId,
) -> Result<(), CopyError> {
    for spec in &planned.copy {
        let file = read(&planned.name, &spec.source, &spec.target).await?;
        for file in hooks.config_copy(&spec.source, file).await? {
            put(engine, id, &file).await?;
        }
    }
    Ok(())
}

/// Reads a file of the controller. It keeps its mode, so that a secret stays one; its owner becomes root, as podlike has it.
async fn read(component: &ComponentName, source: &str, target: &str) -> Result<File, CopyError> {
    let failed = |error| CopyError::Read { component: component.clone(), path: source.to_owned(), source: error };
    let path = PathBuf::from(source);
    let read = tokio::task::spawn_blocking(move || files::read_regular(&path, LARGEST_FILE)).await;
    let (content, metadata) = read.map_err(std::io::Error::other).and_then(|read| read).map_err(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    Ok(File { component: component.clone(), path: target.to_owned(), mode, uid: 0, gid: 0, content })
}

/// Puts one file into a container, replacing what is there. Directories on the way that do not exist are made.
///
/// # Errors
/// The engine's refusal: no such container, a read-only file system.
pub async fn put<E: Engine>(engine: &E, id: &ContainerId, file: &File) -> Result<(), CopyError> {
    let failed = |source| CopyError::Engine { component: file.component.clone(), path: file.path.clone(), source };
    let path = Path::new(&file.path);
    let directory = path.parent().and_then(Path::to_str).unwrap_or("/");
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    match engine.upload(id, directory, pack(file, name)?).await {
        // The directory does not exist: unpacked at the root, the archive makes it. Not done at once, since a container
        // with a read-only root takes files only inside its volumes.
        Err(error) if error.fault() == Fault::NotFound && directory != "/" => {
            let whole = file.path.trim_start_matches('/');
            engine.upload(id, "/", pack(file, whole)?).await.map_err(failed)
        }
        answer => answer.map_err(failed),
    }
}

/// A tar archive of one file.
fn pack(file: &File, name: &str) -> Result<Bytes, CopyError> {
    let failed = |source| CopyError::Pack { component: file.component.clone(), path: file.path.clone(), source };
    let mut header = tar::Header::new_gnu();
    header.set_size(file.content.len() as u64);
    header.set_mode(file.mode);
    header.set_uid(file.uid.into());
    header.set_gid(file.gid.into());
    header.set_mtime(now_seconds());
    header.set_entry_type(tar::EntryType::Regular);
    let mut archive = tar::Builder::new(Vec::with_capacity(file.content.len() + 2048));
    archive.append_data(&mut header, name, file.content.as_slice()).map_err(failed)?;
    archive.into_inner().map(Bytes::from).map_err(failed)
}

fn now_seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// Reads one regular file of a container.
///
/// # Errors
/// Words for the plugin or the log: no such file, not a regular file, too long.
pub async fn get<E: Engine>(
    engine: &E,
    id: &ContainerId,
    component: &ComponentName,
    path: &str,
    limit: usize,
) -> Result<Option<File>, String> {
    /// What a tar archive adds to one file: header, long name, padding, end.
    const TAR_OVERHEAD: usize = 8 << 10;
    let archive = match engine.download(id, path, limit + TAR_OVERHEAD).await {
        Ok(archive) => archive,
        Err(error) if error.fault() == Fault::NotFound => return Ok(None),
        Err(error) => return Err(chain(&error)),
    };
    let unreadable = |error: std::io::Error| format!("cannot unpack `{path}`: {error}");
    let mut archive = tar::Archive::new(archive.as_ref());
    let Some(entry) = archive.entries().map_err(unreadable)?.next() else { return Ok(None) };
    let mut entry = entry.map_err(unreadable)?;
    if entry.header().entry_type() != tar::EntryType::Regular {
        return Err(format!("`{path}` in component `{component}` is not a regular file"));
    }
    let header = entry.header();
    let mode = header.mode().map_err(unreadable)? & 0o7777;
    let owner = |id: std::io::Result<u64>| id.map(|id| u32::try_from(id).unwrap_or(u32::MAX));
    let (uid, gid) = (owner(header.uid()).map_err(unreadable)?, owner(header.gid()).map_err(unreadable)?);
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut content).map_err(unreadable)?;
    if content.len() > limit {
        return Err(format!("`{path}` in component `{component}` has {} bytes, more than {limit}", content.len()));
    }
    Ok(Some(File { component: component.clone(), path: path.to_owned(), mode, uid, gid, content }))
}
