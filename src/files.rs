//! Opens files that somebody else may be changing.
//!
//! A component that shares a volume with the controller can put a symbolic link, a pipe or a device where a file was. [`open_regular`] opens what is at a path
//! only where it is a regular file on the mount that the path, as it is written, belongs to: a link cannot lead from a shared volume into
//! the controller's secrets, and a pipe cannot make the controller wait. [`tree`] does the same for everything below a directory.

pub mod tree;

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// Longest file that is copied into a component, in bytes: it is held in memory while plugins see it.
pub const LONGEST_COPY: u64 = 64 << 20;

/// To read without ever waiting, without becoming a terminal's process, and not for the programs that we start.
const FLAGS: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Opens a regular file for reading, without ever waiting.
///
/// # Errors
/// The kernel's; or [`ErrorKind::InvalidInput`] where it is no regular file, and [`ErrorKind::PermissionDenied`] where a link leads to another mount.
pub fn open_regular(path: &Path) -> Result<(File, Metadata)> {
    open(path, |metadata| {
        let what = if metadata.is_dir() { "this is a directory" } else { "this is not a regular file" };
        if metadata.is_file() { Ok(()) } else { Err(Error::new(ErrorKind::InvalidInput, what)) }
    })
}

/// Opens what is there, if it is what is `wanted` and no link led to another mount.
fn open(path: &Path, wanted: impl FnOnce(&Metadata) -> Result<()>) -> Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(FLAGS.bits()).open(path)?;
    let metadata = file.metadata()?;
    wanted(&metadata)?;
    let real = real(&file, &metadata)?;
    let mounts = mounts_of(&std::fs::read_to_string("/proc/self/mountinfo")?);
    let point = |path| mount_of(path, &mounts).map(|mount| &mount.point);
    if point(path) != point(&real) {
        let what = format!("a link leads out of its mount, to `{}`", real.display());
        return Err(Error::new(ErrorKind::PermissionDenied, what));
    }
    Ok((file, metadata))
}

/// The real path of an open file. One that has no name any more has the path that it had: a mount of a single file goes on showing it.
///
/// # Errors
/// The kernel's.
pub fn real(file: &File, metadata: &Metadata) -> Result<PathBuf> {
    let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let bytes = real.as_os_str().as_bytes();
    // The kernel's mark, see proc(5) on `/proc/pid/fd`.
    Ok(match bytes.strip_suffix(b" (deleted)").filter(|_| metadata.nlink() == 0) {
        Some(before) => PathBuf::from(OsStr::from_bytes(before)),
        None => real,
    })
}

/// A mount that this process sees: a line of `/proc/self/mountinfo`, see proc(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The directory or file of its file system that is mounted, by the name that it has now.
    pub root: PathBuf,
    /// Whether this directory or file has been removed since. The mount goes on showing it.
    pub is_removed: bool,
    is_in_memory: bool,
}

impl Mounted {
    /// Whether it is the mount of a single file of a disk. Files in memory do not count: the engine mounts Swarm's configs and secrets from there, and those never change.
    #[must_use]
    pub fn is_single_file(&self) -> bool {
        !self.is_in_memory && self.point.metadata().is_ok_and(|found| found.is_file())
    }
}

/// The mounts of this process; none if `/proc` can't be read.
#[must_use]
pub fn mounts() -> Vec<Mounted> {
    mounts_of(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

fn mounts_of(mountinfo: &str) -> Vec<Mounted> {
    mountinfo.lines().filter_map(mounted).collect()
}

fn mounted(line: &str) -> Option<Mounted> {
    let (fields, rest) = line.split_once(" - ").unwrap_or((line, ""));
    let mut fields = fields.split(' ').skip(3).map(unescaped);
    let (root, point) = (fields.next()?, fields.next()?);
    let removed = root.strip_suffix("//deleted");
    Some(Mounted {
        point: PathBuf::from(point),
        root: PathBuf::from(removed.unwrap_or(&root)),
        is_removed: removed.is_some(),
        is_in_memory: matches!(rest.split(' ').next(), Some("tmpfs" | "ramfs")),
    })
}

/// Reads a regular file of at most `limit` bytes, see [`open_regular`].
///
/// # Errors
/// As [`open_regular`]; [`ErrorKind::FileTooLarge`] where it is longer, or grows while it is read.
pub fn read_regular(path: &Path, limit: u64) -> Result<(Vec<u8>, Metadata)> {
    let (file, metadata) = open_regular(path)?;
    Ok((read(&file, &metadata, limit)?, metadata))
}

fn read(file: &File, metadata: &Metadata, limit: u64) -> Result<Vec<u8>> {
    // What a file says of its length is only a hint: one that grows is read on, one in `/proc` says 0.
    let mut content = Vec::with_capacity(usize::try_from(metadata.len().min(limit)).unwrap_or_default() + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("the file is longer than {limit} bytes")));
    }
    Ok(content)
}

fn unescaped(word: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(word.to_owned(), |word, (escaped, plain)| word.replace(escaped, plain))
}

/// The mount that a path belongs to, by its words alone.
#[must_use]
pub fn mount_of<'a>(path: &Path, mounts: &'a [Mounted]) -> Option<&'a Mounted> {
    let holding = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    // Of two mounts at one point, the later covers the earlier.
    holding.max_by_key(|mount| mount.point.as_os_str().len())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn reads_a_file_and_a_link_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "content").unwrap();
        symlink("file", &link).unwrap();
        for path in [file, link] {
            assert_eq!(read_regular(&path, 7).unwrap().0, b"content");
            assert_eq!(read_regular(&path, 6).unwrap_err().kind(), ErrorKind::FileTooLarge);
        }
    }

    #[test]
    fn refuses_what_would_wait_never_end_or_lead_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_regular(&at("pipe"), 9).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(read_regular(directory.path(), 9).unwrap_err().kind(), ErrorKind::InvalidInput);
        // `/dev/zero` is a device, and `/proc` another mount.
        symlink("/dev/zero", at("zero")).unwrap();
        assert_eq!(read_regular(&at("zero"), 9).unwrap_err().kind(), ErrorKind::InvalidInput);
        symlink("/proc/self/status", at("status")).unwrap();
        assert_eq!(read_regular(&at("status"), 99_999).unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_file_without_a_name_has_the_path_that_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("file (deleted)");
        std::fs::write(&path, "").unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(real(&file, &file.metadata().unwrap()).unwrap(), path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(real(&file, &file.metadata().unwrap()).unwrap(), path);
    }

    #[test]
    fn lines_of_mountinfo_are_read() {
        let mountinfo = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:2 /x /run/secrets/db ro - tmpfs tmpfs rw\n\
                         3 1 8:1 /host/a//deleted /a\\040b ro,relatime shared:1 - ext4 /dev/a rw\n";
        let mounted = |point: &str, root: &str, is_removed, is_in_memory| Mounted {
            point: PathBuf::from(point),
            root: PathBuf::from(root),
            is_removed,
            is_in_memory,
        };
        assert_eq!(
            mounts_of(mountinfo),
            [
                mounted("/", "/", false, false),
                mounted("/run/secrets/db", "/x", false, true),
                mounted("/a b", "/host/a", true, false),
            ]
        );
    }

    #[test]
    fn the_longest_mount_holds_a_path() {
        let mounts = mounts_of("1 0 0:1 / / rw\n2 1 0:2 / /run/secrets rw - tmpfs\n3 1 0:3 / /a\\040b rw\n");
        let of = |path: &str| mount_of(Path::new(path), &mounts).unwrap().point.to_str().unwrap().to_owned();
        assert_eq!(of("/run/secrets/db"), "/run/secrets");
        assert_eq!(of("/run/secretsx"), "/");
        assert_eq!(of("/a b/c"), "/a b");
    }
}
