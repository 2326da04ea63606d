//! Where compiled plugins are kept, and which files are trusted to be machine code.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::geteuid;

/// Compiled plugins kept; the oldest are removed beyond it. A pod has a handful, and a compiled Rust plugin takes some 300 KiB.
const KEPT: usize = 64;

/// A file that nobody but its owner, this process's user or root, can have written.
#[derive(Debug)]
pub struct Trusted {
    path: PathBuf,
}

impl Trusted {
    /// Checks a file and the directory that it is in.
    ///
    /// # Errors
    /// Why it is not trusted; [`io::ErrorKind::NotFound`] where there is none.
    pub fn check(path: &Path) -> io::Result<Self> {
        let parent = path.parent().ok_or_else(|| refused(path, "has no parent directory"))?;
        only_owner_writes(parent, fs::symlink_metadata(parent)?.is_dir())?;
        only_owner_writes(path, fs::symlink_metadata(path)?.is_file())?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("`{}` {why}", path.display()))
}

fn only_owner_writes(path: &Path, right_kind: bool) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if !right_kind {
        return Err(refused(path, "is not a regular file or directory"));
    }
    if meta.uid() != geteuid().as_raw() && meta.uid() != 0 {
        return Err(refused(path, "belongs to another user"));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(refused(path, "is writable by users other than its owner"));
    }
    Ok(())
}

/// The directory of compiled plugins, which only this process's user may enter.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The cache in `dir`, which need not exist yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// A file of the cache, where it is there and trusted.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], or why it is not trusted.
    pub fn find(&self, key: &str) -> io::Result<Trusted> {
        self.private()?;
        Trusted::check(&self.file(key))
    }

    /// Puts a file into the cache, whole or not at all.
    ///
    /// # Errors
    /// Where the directory is not ours alone, or can't be written.
    pub fn put(&self, key: &str, code: &[u8]) -> io::Result<Trusted> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        if !self.dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        }
        self.private()?;
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let half = self.dir.join(format!("{}.{serial}.new", std::process::id()));
        let written = write_new(&half, code).and_then(|()| fs::rename(&half, self.file(key)));
        if let Err(error) = written {
            // A second failure here tells no more than the first.
            drop(fs::remove_file(&half));
            return Err(error);
        }
        self.prune();
        self.find(key)
    }

    fn file(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.cwasm"))
    }

    fn private(&self) -> io::Result<()> {
        let meta = fs::symlink_metadata(&self.dir)?;
        if !meta.is_dir() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(refused(&self.dir, "is not a directory with access for this user only (mode 0700)"));
        }
        Ok(())
    }

    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(KEPT)) {
            // Another controller on the same volume may have been quicker.
            drop(fs::remove_file(path));
        }
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("cache"));
        (dir, cache)
    }

    #[test]
    fn what_is_put_is_found_and_private() {
        let (_dir, cache) = cache();
        assert_eq!(cache.find("a").unwrap_err().kind(), io::ErrorKind::NotFound);
        let put = cache.put("a", b"code").unwrap();
        assert_eq!(fs::read(put.path()).unwrap(), b"code");
        assert_eq!(fs::metadata(put.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&cache.dir).unwrap().count(), 1, "no half-written file stays");
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        let (_dir, cache) = cache();
        cache.put("a", b"code").unwrap();
        fs::set_permissions(&cache.dir, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(cache.find("a").unwrap_err().to_string().contains("mode 0700"));
        assert!(cache.put("b", b"code").unwrap_err().to_string().contains("mode 0700"));
    }

    #[test]
    fn a_file_that_others_may_write_and_a_link_are_refused() {
        let (dir, cache) = cache();
        let put = cache.put("a", b"code").unwrap();
        fs::set_permissions(put.path(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.find("a").unwrap_err().to_string().contains("users other than its owner"));
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, b"code").unwrap();
        std::os::unix::fs::symlink(&elsewhere, cache.dir.join("l.cwasm")).unwrap();
        assert!(cache.find("l").unwrap_err().to_string().contains("not a regular file"));
    }

    #[test]
    fn the_oldest_are_removed() {
        let (_dir, cache) = cache();
        for index in 0..KEPT + 3 {
            cache.put(&format!("k{index}"), b"code").unwrap();
        }
        assert_eq!(fs::read_dir(&cache.dir).unwrap().count(), KEPT);
        assert!(cache.find(&format!("k{}", KEPT + 2)).is_ok());
    }
}
