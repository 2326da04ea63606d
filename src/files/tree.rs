//! Reads all that lies below a directory, while somebody else may be changing it.
//!
//! Each entry is opened through the open directory that holds it, so that a directory which is replaced by a link while it is read leads nowhere.
//!
//! Names that begin with `..` are left out: Kubernetes, and others that exchange a directory as a whole, keep its versions there, and lead to the current one by
//! links (`app.conf` to `..data/app.conf`, `..data` to `..2026_01_31`). Instead of such a link comes what is behind it, found step by step within the directory.
//! Any other link stays a link, because its target is copied as well.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
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

/// As many symbolic links as the kernel follows: path_resolution(7).
const LINKS: usize = 40;

/// How often a link is followed again that leads nowhere, since the directory may just be exchanged.
const LOOKS: usize = 3;

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
    directory: File,
    open: Vec<Level>,
    entries: usize,
    bytes: u64,
    longest: u64,
    left_out: Vec<(String, String)>,
}

/// Something that is no file, directory or link: whoever can write to the directory can make one at any time, so it is left out instead of refused.
#[derive(Debug, thiserror::Error)]
#[error("this is {0}")]
struct Strange(&'static str);

/// An open directory on the way down.
#[derive(Debug)]
struct Level {
    /// Path below the root; empty for the root.
    path: String,
    /// Where it really is below the root: elsewhere, if it is behind a link.
    real: Vec<OsString>,
    /// Device and number, by which a link that leads back is known.
    id: (u64, u64),
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
        let what = || Error::new(ErrorKind::InvalidInput, "this is neither a regular file nor a directory");
        if metadata.is_file() || metadata.is_dir() { Ok(()) } else { Err(what()) }
    })
}

impl Tree {
    fn new(directory: File, root: Metadata, longest: u64) -> Result<Self> {
        let top = directory.try_clone()?;
        let mut tree = Self { root, directory, open: Vec::new(), entries: 0, bytes: 0, longest, left_out: Vec::new() };
        tree.enter(String::new(), Vec::new(), top)?;
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
    /// What can't be copied: a link that leads out; what can't be read; more than the limits allow. The message names it.
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

    /// What was left out since the last call, and why: what is no file, directory or link, and names that are not UTF-8.
    pub fn take_left_out(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.left_out)
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
            if is_hidden(&name) {
                continue;
            }
            let at = within(&level.directory, &name);
            let real: Vec<OsString> = level.real.iter().cloned().chain([name.clone()]).collect();
            let below =
                |name: &str| if level.path.is_empty() { name.to_owned() } else { format!("{}/{name}", level.path) };
            let Some(name) = name.to_str() else {
                self.left_out.push((below(&name.to_string_lossy()), "the name is not UTF-8".to_owned()));
                continue;
            };
            let path = below(name);
            match self.read(&at, &path, real, content) {
                Ok(Some(entry)) => return Ok(Some(entry)),
                Ok(None) => {}
                Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Strange>()) => {
                    self.left_out.push((path, error.to_string()));
                }
                Err(error) => return Err(named(&path, &error)),
            }
        }
        Ok(None)
    }

    fn read(&mut self, at: &Path, path: &str, real: Vec<OsString>, content: bool) -> Result<Option<Entry>> {
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
            if !stays(real.len(), &target) {
                let what = format!("this is a link that leads out of the directory, to `{}`", target.display());
                return Err(Error::new(ErrorKind::InvalidInput, what));
            }
            let mut way = follow(&self.directory, &real)?;
            for _ in 1..LOOKS {
                if way.end.is_none() && way.is_hidden {
                    way = follow(&self.directory, &real)?;
                }
            }
            if !way.is_hidden {
                return Ok(Some(entry(&metadata, Kind::Link(target))));
            }
            let Some((real, file, metadata)) = way.end else { return Ok(None) };
            let kind = self.opened(path, real, &file, &metadata, content)?;
            return Ok(Some(entry(&metadata, kind)));
        }
        let (file, metadata) = open_entry(at, &metadata)?;
        let kind = self.opened(path, real, &file, &metadata, content)?;
        Ok(Some(entry(&metadata, kind)))
    }

    fn opened(
        &mut self,
        path: &str,
        real: Vec<OsString>,
        file: &File,
        metadata: &Metadata,
        content: bool,
    ) -> Result<Kind> {
        if metadata.is_dir() {
            self.enter(path.to_owned(), real, file.try_clone()?)?;
            return Ok(Kind::Directory);
        }
        let mut read = Vec::new();
        let mut length = metadata.len();
        if content {
            read = super::read(file, metadata, self.longest)?;
            length = read.len() as u64;
        } else if length > self.longest {
            return Err(too_long(self.longest));
        }
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > MOST_BYTES {
            let what = format!("the files of the directory have more than {MOST_BYTES} bytes in total");
            return Err(Error::new(ErrorKind::FileTooLarge, what));
        }
        Ok(Kind::File(read))
    }

    fn enter(&mut self, path: String, real: Vec<OsString>, directory: File) -> Result<()> {
        if self.open.len() > DEEPEST {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the path is more than {DEEPEST} directories deep"),
            ));
        }
        let metadata = directory.metadata()?;
        let id = (metadata.dev(), metadata.ino());
        if self.open.iter().any(|level| level.id == id) {
            let what = "this is a link that leads back to a directory in which it is";
            return Err(Error::new(ErrorKind::InvalidInput, what));
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
        self.open.push(Level { path, real, id, directory, names: names.into_iter() });
        Ok(())
    }
}

/// Whether a link that lies so deep below a root leads to something below the same root, by its words alone.
fn stays(depth: usize, target: &Path) -> bool {
    let mut depth = depth.saturating_sub(1);
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

/// Whether a name belongs to the machinery that exchanges a directory as a whole, and not to the directory's content.
#[must_use]
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"..") && name != ".."
}

/// The way of a path whose links have been followed.
#[derive(Debug)]
pub struct Way {
    /// Whether it leads through a [hidden](is_hidden) name.
    pub is_hidden: bool,
    /// What is at its end, and where that really is; none: nothing.
    pub end: Option<(Vec<OsString>, File, Metadata)>,
}

/// Follows all links of a path below a directory, and never out of it: each part is opened through the open directory that holds it.
///
/// # Errors
/// A link that leads out; what is neither a file nor a directory; the kernel's.
pub fn follow(root: &File, path: &[OsString]) -> Result<Way> {
    let mut left: VecDeque<OsString> = path.iter().cloned().collect();
    let mut open: Vec<(OsString, File, Metadata)> = Vec::new();
    let (mut is_hidden_way, mut links) = (false, 0);
    let nothing = |is_hidden| Ok(Way { is_hidden, end: None });
    while let Some(part) = left.pop_front() {
        if open.last().is_some_and(|(_, _, metadata)| !metadata.is_dir()) {
            return nothing(is_hidden_way || left.iter().chain([&part]).any(|part| is_hidden(part)));
        }
        if part == "." {
            continue;
        }
        if part == ".." {
            if open.pop().is_none() {
                return Err(Error::new(ErrorKind::InvalidInput, "this is a link that leads out of the directory"));
            }
            continue;
        }
        is_hidden_way |= is_hidden(&part);
        let at = within(open.last().map_or(root, |(_, directory, _)| directory), &part);
        let metadata = match at.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // What is not reached counts as well: a link is judged by where it leads, also while nothing is there.
                is_hidden_way |= left.iter().any(|part| is_hidden(part));
                return leads_on(&open, &left).and_then(|()| nothing(is_hidden_way));
            }
            found => found?,
        };
        if metadata.is_symlink() {
            links += 1;
            if links > LINKS {
                return nothing(is_hidden_way);
            }
            let target = at.read_link()?;
            // `components` leaves out a `/` or `/.` at the end, for which the kernel wants a directory.
            if [b"/".as_slice(), b"/."].iter().any(|end| target.as_os_str().as_bytes().ends_with(end)) {
                left.push_front(".".into());
            }
            for part in target.components().rev() {
                match part {
                    Component::RootDir | Component::Prefix(_) => {
                        let what = format!("this is a link that leads out of the directory, to `{}`", target.display());
                        return Err(Error::new(ErrorKind::InvalidInput, what));
                    }
                    Component::CurDir => {}
                    Component::ParentDir => left.push_front("..".into()),
                    Component::Normal(name) => left.push_front(name.to_owned()),
                }
            }
            continue;
        }
        let (file, metadata) = open_entry(&at, &metadata)?;
        open.push((part, file, metadata));
    }
    let real: Vec<OsString> = open.iter().map(|(name, _, _)| name.clone()).collect();
    let end = match open.pop() {
        Some((_, file, metadata)) => (real, file, metadata),
        None => (real, root.try_clone()?, root.metadata()?),
    };
    Ok(Way { is_hidden: is_hidden_way, end: Some(end) })
}

/// Whether the rest of a way that ends early would have stayed below the root.
fn leads_on(open: &[(OsString, File, Metadata)], left: &VecDeque<OsString>) -> Result<()> {
    let mut depth = open.len() + 1;
    for part in left {
        depth = match part.as_bytes() {
            b"." => depth,
            b".." => depth
                .checked_sub(1)
                .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "this is a link that leads out of the directory"))?,
            _ => depth + 1,
        };
    }
    Ok(())
}

/// An entry of an open directory: whatever the directory's path has become meanwhile.
fn within(directory: &File, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name)
}

/// Opens a file or a directory that was seen there, and no link.
fn open_entry(at: &Path, seen: &Metadata) -> Result<(File, Metadata)> {
    let refused = |metadata: &Metadata| Error::new(ErrorKind::InvalidInput, Strange(strange(metadata)));
    if !seen.is_file() && !seen.is_dir() {
        return Err(refused(seen));
    }
    let flags = FLAGS | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(at)?;
    // Once more: it may be another one by now.
    let metadata = file.metadata()?;
    if metadata.is_file() || metadata.is_dir() { Ok((file, metadata)) } else { Err(refused(&metadata)) }
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
    Error::new(ErrorKind::FileTooLarge, format!("the file is longer than {longest} bytes"))
}

/// With the path below the directory, in the kernel's or our own words.
fn named(path: &str, error: &Error) -> Error {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    Error::new(error.kind(), format!("`{path}`: {text}"))
}

#[cfg(test)]
mod tests;
