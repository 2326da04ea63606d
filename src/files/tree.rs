//! Reads all that lies below a directory, while somebody else may be changing it.
//!
//! No link is ever followed: each entry is opened through the open directory that holds it, so that a directory which is replaced by a link while it is read leads nowhere.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;

use super::{FLAGS, read};

/// Most entries below one directory.
pub const MOST_ENTRIES: usize = 10_000;

/// Most bytes of all files below one directory together.
pub const MOST_BYTES: u64 = 256 << 20;

/// Most directories within each other: each is one open file.
const DEEPEST: usize = 64;

/// One thing below a directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path below the directory, without a slash at either end.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What it is.
    pub kind: Kind,
}

/// What an [`Entry`] is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory; what is in it comes after it.
    Directory,
    /// A regular file: its content, or nothing where only a look was asked for.
    File(Vec<u8>),
    /// A symbolic link, and what it leads to: something below the same directory.
    Link(PathBuf),
}

/// A directory that is being read, in the order of names.
#[derive(Debug)]
pub struct Tree {
    root: Metadata,
    open: Vec<Level>,
    entries: usize,
    bytes: u64,
    longest: u64,
}

/// An open directory on the way down.
#[derive(Debug)]
struct Level {
    /// Path below the root; empty for the root.
    path: String,
    directory: File,
    names: std::vec::IntoIter<OsString>,
}

/// What lies at a path.
#[derive(Debug)]
pub enum Source {
    /// A regular file: its content, and what else is known of it.
    File(Vec<u8>, Metadata),
    /// A directory, to be read.
    Tree(Tree),
}

/// Reads a regular file, or opens a directory, by the rules of [`open_regular`](super::open_regular). No file may be longer than `longest` bytes.
///
/// # Errors
/// The kernel's; those of [`open_regular`](super::open_regular) for what is neither; [`ErrorKind::FileTooLarge`].
pub fn source(path: &Path, longest: u64) -> Result<Source> {
    let (file, metadata) = open(path)?;
    if metadata.is_file() {
        return Ok(Source::File(read(&file, &metadata, longest)?, metadata));
    }
    Tree::new(file, metadata, longest).map(Source::Tree)
}

/// Whether [`source`], and all that follows, will work, as far as can be told without reading any content.
///
/// # Errors
/// The first that would come.
pub fn look(path: &Path, longest: u64) -> Result<()> {
    let (file, metadata) = open(path)?;
    if metadata.is_file() {
        return if metadata.len() > longest { Err(too_long(longest)) } else { Ok(()) };
    }
    let mut tree = Tree::new(file, metadata, longest)?;
    while tree.next(false)?.is_some() {}
    Ok(())
}

fn open(path: &Path) -> Result<(File, Metadata)> {
    super::open(path, |metadata| {
        let what = || Error::new(ErrorKind::InvalidInput, "it is neither a regular file nor a directory");
        if metadata.is_file() || metadata.is_dir() { Ok(()) } else { Err(what()) }
    })
}

impl Tree {
    fn new(directory: File, root: Metadata, longest: u64) -> Result<Self> {
        let mut tree = Self { root, open: Vec::new(), entries: 0, bytes: 0, longest };
        tree.enter(String::new(), directory)?;
        Ok(tree)
    }

    /// The directory itself: permission bits, owner, group.
    #[must_use]
    pub fn root(&self) -> (u32, u32, u32) {
        (self.root.mode() & 0o7777, self.root.uid(), self.root.gid())
    }

    /// Entries with at least `bytes` of content together, or all that are left.
    ///
    /// # Errors
    /// What can't be copied: no file, directory or link; a link that leads out; what can't be read; more than the limits allow. The message names it.
    pub fn some(&mut self, bytes: usize) -> Result<Vec<Entry>> {
        let (mut some, mut got) = (Vec::new(), 0);
        while got < bytes {
            let Some(entry) = self.next(true)? else { break };
            if let Kind::File(content) = &entry.kind {
                got += content.len();
            }
            some.push(entry);
        }
        Ok(some)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.open.iter().all(|level| level.names.as_slice().is_empty())
    }

    fn next(&mut self, content: bool) -> Result<Option<Entry>> {
        while let Some(level) = self.open.last_mut() {
            let Some(name) = level.names.next() else {
                self.open.pop();
                continue;
            };
            // Through the open directory: whatever its path has become meanwhile.
            let at = Path::new("/proc/self/fd").join(level.directory.as_raw_fd().to_string()).join(&name);
            let Some(name) = name.to_str() else {
                let what = format!("the name of `{}` is not UTF-8", name.display());
                return Err(Error::new(ErrorKind::InvalidData, what));
            };
            let path = if level.path.is_empty() { name.to_owned() } else { format!("{}/{name}", level.path) };
            return self.read(&at, &path, content).map(Some).map_err(|error| named(&path, &error));
        }
        Ok(None)
    }

    fn read(&mut self, at: &Path, path: &str, content: bool) -> Result<Entry> {
        let metadata = at.symlink_metadata()?;
        let entry = |metadata: &Metadata, kind| Entry {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            kind,
        };
        if metadata.is_symlink() {
            let target = at.read_link()?;
            if !stays(path, &target) {
                let what = format!("it is a link that leads out of the directory, to `{}`", target.display());
                return Err(Error::new(ErrorKind::InvalidInput, what));
            }
            return Ok(entry(&metadata, Kind::Link(target)));
        }
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("it is {}", strange(&metadata))));
        }
        let flags = FLAGS | OFlag::O_NOFOLLOW;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(at)?;
        // Once more: it may be another one by now.
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            self.enter(path.to_owned(), file)?;
            return Ok(entry(&metadata, Kind::Directory));
        }
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("it is {}", strange(&metadata))));
        }
        let mut read = Vec::new();
        let mut length = metadata.len();
        if content {
            read = super::read(&file, &metadata, self.longest)?;
            length = read.len() as u64;
        } else if length > self.longest {
            return Err(too_long(self.longest));
        }
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > MOST_BYTES {
            let what = format!("the files of the directory up to this one have more than {MOST_BYTES} bytes");
            return Err(Error::new(ErrorKind::FileTooLarge, what));
        }
        Ok(entry(&metadata, Kind::File(read)))
    }

    fn enter(&mut self, path: String, directory: File) -> Result<()> {
        if self.open.len() > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidInput, format!("it lies more than {DEEPEST} directories deep")));
        }
        let mut names = Vec::new();
        for found in std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))? {
            names.push(found?.file_name());
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                let what = format!("there are more than {MOST_ENTRIES} files and directories");
                return Err(Error::new(ErrorKind::FileTooLarge, what));
            }
        }
        names.sort();
        self.open.push(Level { path, directory, names: names.into_iter() });
        Ok(())
    }
}

/// Whether a link at this path leads to something below the same root, by its words alone.
fn stays(path: &str, target: &Path) -> bool {
    let mut depth = path.split('/').count() - 1;
    for part in target.components() {
        match part {
            Component::RootDir | Component::Prefix(_) => return false,
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return false,
            },
        }
    }
    true
}

fn strange(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn too_long(longest: u64) -> Error {
    Error::new(ErrorKind::FileTooLarge, format!("it is longer than {longest} bytes"))
}

/// With the path below the directory, in the kernel's or our own words.
fn named(path: &str, error: &Error) -> Error {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    Error::new(error.kind(), format!("`{path}`: {text}"))
}

#[cfg(test)]
mod tests;
