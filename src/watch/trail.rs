//! Which directory entries decide what a path names.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows.
const LINKS: usize = 40;

/// Every directory entry whose replacement makes `path` name something else without its directory being moved: the last one, every
/// symbolic link on the way, and where the way ends early, the entry that is missing. Entries are answered as directory and name.
pub(super) fn trail(path: &Path) -> Vec<(PathBuf, OsString)> {
    let mut trail = Vec::new();
    let mut left: VecDeque<OsString> = parts(path);
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let entry = here.join(&name);
        match fs::symlink_metadata(&entry) {
            Ok(found) if found.is_symlink() && links < LINKS => {
                links += 1;
                trail.push((here.clone(), name));
                let Ok(target) = fs::read_link(&entry) else { return trail };
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    left.push_front(part);
                }
            }
            Ok(_) => {
                if left.is_empty() {
                    trail.push((here.clone(), name));
                }
                here = entry;
            }
            Err(_) => {
                trail.push((here, name));
                return trail;
            }
        }
    }
    trail
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_the_last_entry_decide() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("v1")).unwrap();
        fs::write(root.join("v1/app.conf"), "").unwrap();
        symlink("v1", root.join("..data")).unwrap();
        symlink("..data/app.conf", root.join("app.conf")).unwrap();
        let expected = [(&root, "app.conf"), (&root, "..data"), (&root.join("v1"), "app.conf")];
        assert_eq!(trail(&root.join("app.conf")), expected.map(|(dir, name)| (dir.clone(), name.into())));
    }

    #[test]
    fn what_is_missing_decides() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        assert_eq!(trail(&root.join("etc/app/x")), [(root.clone(), "etc".into())]);
        symlink("loop", root.join("loop")).unwrap();
        assert!(trail(&root.join("loop")).len() <= LINKS + 1);
    }
}
