//! What is at a watched path now, and what of it is new. Blocks: it runs on a thread for blocking work.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use inotify::{WatchDescriptor, WatchMask, Watches};
use sha2::{Digest as _, Sha256};

use super::trail::trail;
use crate::clock::since_epoch;
use crate::files::tree::{follow, is_hidden};
use crate::files::{self, Mounted};
use crate::hooks::{Change, limits};

/// Longest file, in bytes; longer ones are left out.
pub(super) const MAX_FILE: u64 = limits::LARGEST_FILE as u64;

/// Most files of one watch; those beyond it, in the order of their paths, are left out.
pub(super) const MAX_FILES: usize = 4096;

/// Most directories of one watch, and how deep they may be nested; those beyond it are left out.
const MAX_DIRECTORIES: usize = 4096;
const MAX_DEPTH: usize = 64;

/// Most bytes of contents of one report: one of the longest files. What is beyond comes in another report.
const MAX_REPORT: usize = limits::LARGEST_FILE as usize;

/// A file whose status changed so shortly before it was read may change again without a trace: its clock ticks every 4 to 10 ms, and network
/// file systems have seconds.
const RACY: Duration = Duration::from_secs(2);

/// All that can change what is at a path. No access and no closing after reading, which a look at it would cause itself.
const EVENTS: WatchMask = WatchMask::CREATE
    .union(WatchMask::CLOSE_WRITE)
    .union(WatchMask::MODIFY)
    .union(WatchMask::MOVE)
    .union(WatchMask::DELETE)
    .union(WatchMask::ATTRIB)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF);

/// A file as it was last told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    digest: [u8; 32],
    /// None: it must be read again to know whether it has changed.
    stamp: Option<Stamp>,
}

/// The files of a watch, by path.
pub(super) type Files = BTreeMap<PathBuf, Known>;

/// What changes whenever a file's content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Events of one inotify watch that matter: all, or those of one name.
pub(super) type Subscription = (WatchDescriptor, Option<OsString>);

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// What is known from now on.
    pub(super) files: Files,
    /// What is not yet told.
    pub(super) changes: Vec<Change>,
    /// Whether there is more to tell: scan again.
    pub(super) more: bool,
    /// What must be listened to.
    pub(super) subscriptions: Vec<Subscription>,
    /// What was left out, and why.
    pub(super) left_out: Vec<(PathBuf, String)>,
    /// Files that are mounts of their own, and whether each was replaced or removed where it is mounted from.
    pub(super) singles: BTreeMap<PathBuf, bool>,
    /// The directory mount that holds the path.
    pub(super) mount: Option<Mounted>,
    /// Why not everything can be listened to.
    pub(super) deaf: Option<io::Error>,
}

/// Looks at a path. Listens to each directory before it reads it, so that nothing falls between the two.
pub(super) fn scan(
    source: &str,
    known: &Files,
    watches: Option<Watches>,
    judge: &dyn Fn(&str) -> Option<String>,
) -> Scan {
    let mut scanner = Scanner {
        source,
        known,
        watches,
        judge,
        base: PathBuf::new(),
        root: None,
        mounts: files::mounts(),
        content: 0,
        files: 0,
        directories: 0,
        within: Vec::new(),
        now: since_epoch(),
        scan: Scan::default(),
    };
    scanner.run();
    scanner.scan
}

struct Scanner<'a> {
    source: &'a str,
    known: &'a Files,
    watches: Option<Watches>,
    /// Why a file is withheld.
    judge: &'a dyn Fn(&str) -> Option<String>,
    /// Where a file must really lie.
    base: PathBuf,
    /// The watched directory.
    root: Option<(PathBuf, File)>,
    mounts: Vec<Mounted>,
    /// Bytes of `scan.changes`.
    content: usize,
    files: usize,
    directories: usize,
    /// Device and number of the directories in which it is.
    within: Vec<(u64, u64)>,
    now: Duration,
    scan: Scan,
}

/// What is at a file's path.
enum Look {
    /// A file with this stamp, not read because it is known.
    Same(Stamp),
    Read {
        content: Vec<u8>,
        stamp: Stamp,
    },
    Absent,
    LeftOut(String),
}

impl Scanner<'_> {
    fn run(&mut self) {
        let path = std::path::absolute(self.source).unwrap_or_else(|_| PathBuf::from(self.source));
        for (directory, name) in trail(&path) {
            self.listen(&directory, Some(name));
        }
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                self.base = path.canonicalize().unwrap_or_else(|_| path.clone());
                self.root = File::open(&self.base).ok().map(|root| (path.clone(), root));
                self.directory(&path, 0);
            }
            Ok(_) => {
                // Whoever writes a bind-mounted file elsewhere is seen at the file only.
                self.listen(&path, None);
                self.base = path.parent().and_then(|parent| parent.canonicalize().ok()).unwrap_or_default();
                self.file(&path);
            }
            Err(error) => self.failed(&path, &error),
        }
        let mount = files::mount_of(&path, &self.mounts);
        self.scan.mount = mount.filter(|mount| mount.point.metadata().is_ok_and(|found| found.is_dir())).cloned();
        if self.scan.mount.as_ref().is_some_and(|mount| mount.is_removed) {
            // The mount shows an empty directory, and nobody knows what is in its place now. Nothing has been removed by intent.
            return self.keep(&path);
        }
        let missing: Vec<&PathBuf> = self.known.keys().filter(|path| !self.scan.files.contains_key(*path)).collect();
        for path in missing {
            self.scan.changes.push(Change {
                source: self.source.to_owned(),
                path: path.to_string_lossy().into_owned(),
                digest: String::new(),
                content: Bytes::new(),
                removed: true,
            });
        }
    }

    fn listen(&mut self, path: &Path, name: Option<OsString>) {
        if let Some(watches) = &mut self.watches {
            match watches.add(path, EVENTS) {
                Ok(watch) => self.scan.subscriptions.push((watch, name)),
                Err(error) if is_absence(&error) => {}
                Err(error) => self.scan.deaf = Some(error),
            }
        }
    }

    fn directory(&mut self, path: &Path, depth: usize) {
        self.directories += 1;
        if depth > MAX_DEPTH || self.directories > MAX_DIRECTORIES {
            let why = format!(
                "there are more than {MAX_DIRECTORIES} directories, or more than {MAX_DEPTH} nested directories"
            );
            if depth > MAX_DEPTH || self.directories == MAX_DIRECTORIES + 1 {
                self.scan.left_out.push((path.to_owned(), why));
            }
            return self.keep(path);
        }
        let id = match fs::metadata(path) {
            Ok(found) => (found.dev(), found.ino()),
            Err(error) => return self.failed(path, &error),
        };
        if self.within.contains(&id) {
            let why = "this is a link that leads back to a directory in which it is".to_owned();
            self.scan.left_out.push((path.to_owned(), why));
            return self.keep(path);
        }
        self.listen(path, None);
        self.within.push(id);
        self.entries_of(path, depth);
        self.within.pop();
    }

    fn entries_of(&mut self, path: &Path, depth: usize) {
        let entries = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.and_then(|e| Ok((e.path(), e.file_type()?)))).collect());
        let mut entries: Vec<(PathBuf, fs::FileType)> = match entries {
            Ok(entries) => entries,
            Err(error) => return self.failed(path, &error),
        };
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (entry, kind) in entries {
            if entry.file_name().is_some_and(is_hidden) {
                // The machinery of atomic updates (`..data`); what it flips is seen through the links beside it.
            } else if kind.is_dir() || (kind.is_symlink() && self.is_behind_hidden(&entry)) {
                self.directory(&entry, depth + 1);
            } else if kind.is_file() || (kind.is_symlink() && !fs::metadata(&entry).is_ok_and(|target| target.is_dir()))
            {
                self.file(&entry);
            }
        }
    }

    /// Whether a link leads to a directory by a way that is passed over itself: else the directory is looked at in its own place.
    fn is_behind_hidden(&self, link: &Path) -> bool {
        let Some((top, root)) = &self.root else { return false };
        let below: Vec<OsString> =
            link.strip_prefix(top).into_iter().flatten().map(std::ffi::OsStr::to_owned).collect();
        let way = follow(root, &below);
        way.is_ok_and(|way| way.is_hidden && way.end.is_some_and(|(_, _, metadata)| metadata.is_dir()))
    }

    fn file(&mut self, path: &Path) {
        if path.to_str().is_none() {
            return self.scan.left_out.push((path.to_owned(), "the name is not UTF-8".to_owned()));
        }
        self.files += 1;
        if self.files > MAX_FILES {
            if self.files == MAX_FILES + 1 {
                self.scan.left_out.push((path.to_owned(), format!("there are more than {MAX_FILES} files")));
            }
            return self.keep(path);
        }
        let known = self.known.get(path);
        if self.scan.more {
            // The next scan looks at it.
            return self.keep(path);
        }
        match look(path, &self.base, self.judge, known.and_then(|known| known.stamp)) {
            Ok(Look::Same(stamp)) => {
                if let Some(known) = known {
                    let stamp = self.settled(stamp);
                    self.scan.files.insert(path.to_owned(), Known { digest: known.digest, stamp });
                }
            }
            Ok(Look::Read { content, stamp }) => {
                let digest: [u8; 32] = Sha256::digest(&content).into();
                let is_news = known.is_none_or(|known| known.digest != digest);
                if is_news && self.content > 0 && self.content + content.len() > MAX_REPORT {
                    self.scan.more = true;
                    return self.keep(path);
                }
                let stamp = self.settled(stamp);
                self.scan.files.insert(path.to_owned(), Known { digest, stamp });
                if is_news {
                    self.content += content.len();
                    self.scan.changes.push(Change {
                        source: self.source.to_owned(),
                        path: path.to_string_lossy().into_owned(),
                        digest: hex::encode(digest),
                        content: content.into(),
                        removed: false,
                    });
                }
            }
            Ok(Look::Absent) => {}
            Ok(Look::LeftOut(why)) => {
                self.scan.left_out.push((path.to_owned(), why));
                self.keep(path);
            }
            Err(error) => self.failed(path, &error),
        }
        if self.mounts.iter().any(|mount| mount.point == path && mount.is_single_file())
            && let Ok(found) = fs::metadata(path)
        {
            self.scan.singles.insert(path.to_owned(), found.nlink() == 0);
        }
    }

    /// What can't be read for now has neither changed nor gone, unless it has gone.
    fn failed(&mut self, path: &Path, error: &io::Error) {
        if !is_absence(error) {
            self.scan.left_out.push((path.to_owned(), error.to_string()));
            self.keep(path);
        }
    }

    /// Leaves everything at and below this path as it was known.
    fn keep(&mut self, path: &Path) {
        let below = self.known.range(path.to_owned()..).take_while(|(file, _)| file.starts_with(path));
        self.scan.files.extend(below.map(|(file, known)| (file.clone(), known.clone())));
    }

    /// The stamp, where it is old enough to tell every later change.
    fn settled(&self, stamp: Stamp) -> Option<Stamp> {
        let changed = u64::try_from(stamp.changed.0.max(stamp.modified.0)).unwrap_or_default();
        (Duration::from_secs(changed) + RACY < self.now).then_some(stamp)
    }
}

fn look(path: &Path, base: &Path, judge: &dyn Fn(&str) -> Option<String>, known: Option<Stamp>) -> io::Result<Look> {
    let (mut file, found) = match files::open_regular(path) {
        Ok(opened) => opened,
        Err(error) if is_absence(&error) => return Ok(Look::Absent),
        // Not the kernel's: it is no file, or not where it should be.
        Err(error) if error.raw_os_error().is_none() => return Ok(Look::LeftOut(error.to_string())),
        Err(error) => return Err(error),
    };
    // The opened file, not merely the path that it was opened by: a component that shares a volume must not make the controller read its own files to a
    // plugin.
    let real = files::real(&file, &found)?;
    if !real.starts_with(base) {
        return Ok(Look::LeftOut(format!("this is a link to a file outside of `{}`", base.display())));
    }
    if let Some(why) = judge(&real.to_string_lossy()).or_else(|| judge(&path.to_string_lossy())) {
        return Ok(Look::LeftOut(why));
    }
    if found.len() > MAX_FILE {
        return Ok(Look::LeftOut(format!("the file is longer than {} MiB", MAX_FILE >> 20)));
    }
    let stamp = Stamp::of(&found);
    if known == Some(stamp) {
        return Ok(Look::Same(stamp));
    }
    let mut content = Vec::new();
    (&mut file).take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Ok(Look::LeftOut(format!("the file is longer than {} MiB", MAX_FILE >> 20)));
    }
    Ok(Look::Read { content, stamp })
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests;
