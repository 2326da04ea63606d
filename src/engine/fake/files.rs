//! Files of a container of the [fake engine](super): regular files and symbolic links by path; every directory exists.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;

use bytes::Bytes;

use crate::engine::ExecOutput;

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// A file, or a link, in a container.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) content: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Where it leads to if it is a symbolic link.
    pub(super) link: Option<String>,
}

impl Default for File {
    fn default() -> Self {
        Self { content: Vec::new(), mode: 0o644, uid: 0, gid: 0, link: None }
    }
}

/// When a process looks at its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Its start.
    Start,
    /// A signal that does not end it by itself.
    Signal(i32),
}

/// The files as a process sees them: what a link leads to stands at the link's own path.
pub(super) fn seen(files: &BTreeMap<String, File>) -> BTreeMap<String, Vec<u8>> {
    let content = |path: &String| files.get(&located(path, files, true)).map(|file| file.content.clone());
    files.keys().filter_map(|path| Some((path.clone(), content(path)?))).collect()
}

/// Where a path leads to in the container's own root; the last part is followed if `last` says so.
pub(super) fn located(path: &str, files: &BTreeMap<String, File>, last: bool) -> String {
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut left: VecDeque<String> = parts(path).into();
    let (mut at, mut links) = (String::new(), 0);
    while let Some(part) = left.pop_front() {
        match part.as_str() {
            "." => continue,
            ".." => {
                at.truncate(at.rfind('/').unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let next = format!("{at}/{part}");
        let link = files.get(&next).and_then(|file| file.link.as_ref()).filter(|_| last || !left.is_empty());
        match link {
            Some(link) if links < LINKS => {
                links += 1;
                if link.starts_with('/') {
                    at.clear();
                }
                parts(link).into_iter().rev().for_each(|part| left.push_front(part));
            }
            _ => at = next,
        }
    }
    if at.is_empty() { "/".to_owned() } else { at }
}

/// Carries out `mv -f a b` and `rm -f a…`; answers why that failed.
pub(super) fn move_files(argv: &[String], files: &mut BTreeMap<String, File>) -> Option<ExecOutput> {
    let words: Vec<&str> = argv.iter().map(String::as_str).filter(|word| *word != "--").collect();
    match words.as_slice() {
        ["mv", "-f", from, to] => match files.remove(&located(from, files, false)) {
            Some(file) => {
                files.insert(located(to, files, false), file);
                None
            }
            None => {
                let stderr = Bytes::from(format!("mv: can't rename '{from}': No such file or directory\n"));
                Some(ExecOutput { exit_code: 1, stdout: Bytes::new(), stderr, truncated: false })
            }
        },
        ["rm", "-f", paths @ ..] => {
            for path in paths {
                files.remove(&located(path, files, false));
            }
            None
        }
        _ => None,
    }
}

/// The file at this path, or the files below it, with the names that the engine's archives give them.
pub(super) fn below(path: &str, files: &BTreeMap<String, File>) -> BTreeMap<String, File> {
    let path = path.trim_end_matches('/');
    let base = path.rsplit('/').next().unwrap_or(path);
    let named = files.iter().filter_map(|(at, file)| {
        let rest = at.strip_prefix(path)?;
        (rest.is_empty() || rest.starts_with('/'))
            .then(|| (format!("{base}{rest}").trim_start_matches('/').to_owned(), file.clone()))
    });
    named.collect()
}

/// Unpacks an archive into a directory, as the engine does: within the container's own root, and a link at the end of a path is replaced.
pub(super) fn unpack(directory: &str, archive: &[u8], files: &mut BTreeMap<String, File>) -> std::io::Result<()> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if !kind.is_file() && !kind.is_symlink() {
            continue;
        }
        let name = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        let path = format!("{}/{}", directory.trim_end_matches('/'), name.trim_start_matches('/'));
        let link = entry.link_name()?.filter(|_| kind.is_symlink()).map(|link| link.to_string_lossy().into_owned());
        let header = entry.header();
        // The engine takes numbers that were left out for 0.
        let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let (mode, uid, gid) =
            (header.mode()? & 0o7777, whole(header.uid().unwrap_or(0)), whole(header.gid().unwrap_or(0)));
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let path = located(&path, files, false);
        files.insert(path, File { content, mode, uid, gid, link });
    }
    Ok(())
}

/// An archive of these files.
pub(super) fn pack(files: &BTreeMap<String, File>) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, file) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(u64::from(file.uid));
        header.set_gid(u64::from(file.gid));
        if let Some(link) = &file.link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            archive.append_link(&mut header, path, link)?;
        } else {
            header.set_size(file.content.len() as u64);
            archive.append_data(&mut header, path, file.content.as_slice())?;
        }
    }
    archive.into_inner()
}
