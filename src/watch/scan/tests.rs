use std::os::unix::fs::{OpenOptionsExt as _, symlink};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn directory() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    (dir, root)
}

/// Scans and answers the changes as `path` or `-path`, relative to the root, and what was left out.
fn check(root: &Path, source: &Path, files: &mut Files) -> (Vec<String>, Vec<String>) {
    let scan = scan(source.to_str().unwrap(), files, None, &|_| None);
    *files = scan.files;
    assert!(!scan.more);
    let short = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let told = |change: &Change| format!("{}{}", if change.removed { "-" } else { "" }, short(Path::new(&change.path)));
    let left_out = scan.left_out.iter().map(|(path, why)| format!("{}: {why}", short(path))).collect();
    (scan.changes.iter().map(told).collect(), left_out)
}

#[test]
fn only_other_digests_are_changes() {
    let (_dir, root) = directory();
    let mut files = Files::new();
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::write(root.join("a"), "1").unwrap();
    fs::write(root.join("sub/deep/b"), "2").unwrap();
    assert_eq!(check(&root, &root, &mut files).0, ["a", "sub/deep/b"]);
    fs::write(root.join("a"), "1").unwrap();
    assert!(check(&root, &root, &mut files).0.is_empty());
    fs::write(root.join("a"), "2").unwrap();
    fs::remove_dir_all(root.join("sub")).unwrap();
    assert_eq!(check(&root, &root, &mut files).0, ["a", "-sub/deep/b"]);
    fs::remove_file(root.join("a")).unwrap();
    assert_eq!(check(&root, &root.join("a"), &mut files).0, ["-a"]);
}

#[test]
fn a_settled_file_is_not_read_again() {
    let (_dir, root) = directory();
    fs::write(root.join("a"), "1").unwrap();
    let file = File::open(root.join("a")).unwrap();
    let stamp = Stamp::of(&file.metadata().unwrap());
    assert!(matches!(look(&root.join("a"), &root, &|_| None, Some(stamp)).unwrap(), Look::Same(_)));
    let older = Stamp { modified: (1, 0), ..stamp };
    assert!(matches!(look(&root.join("a"), &root, &|_| None, Some(older)).unwrap(), Look::Read { .. }));
    let mut files = Files::new();
    check(&root, &root, &mut files);
    assert_eq!(files[&root.join("a")].stamp, None, "a fresh file must be read again");
}

#[test]
fn links_lead_to_files_inside_only() {
    let (_dir, root) = directory();
    let (_secret, outside) = directory();
    fs::write(outside.join("key"), "secret").unwrap();
    fs::create_dir_all(root.join("..v1")).unwrap();
    fs::create_dir_all(root.join("real")).unwrap();
    fs::write(root.join("..v1/conf"), "1").unwrap();
    symlink("..v1", root.join("..data")).unwrap();
    symlink("..data/conf", root.join("conf")).unwrap();
    symlink(outside.join("key"), root.join("key")).unwrap();
    symlink(&outside, root.join("outside")).unwrap();
    symlink("real", root.join("loop")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    let refused = format!("key: this is a link to a file outside of `{}`", root.display());
    assert_eq!(check(&root, &root, &mut Files::new()), (vec!["conf".to_owned()], vec![refused.clone()]));
    assert_eq!(check(&root, &root.join("key"), &mut Files::new()), (vec![], vec![refused]));
    assert_eq!(check(&root, &root.join("conf"), &mut Files::new()).0, ["conf"]);
}

#[test]
fn what_is_too_long_or_no_file_is_left_out_and_not_gone() {
    let (_dir, root) = directory();
    let mut files = Files::new();
    fs::write(root.join("a"), "1").unwrap();
    check(&root, &root, &mut files);
    File::create(root.join("a")).unwrap().set_len(MAX_FILE + 1).unwrap();
    assert_eq!(check(&root, &root, &mut files), (vec![], vec!["a: the file is longer than 8 MiB".to_owned()]));
    fs::write(root.join("a"), "2").unwrap();
    assert_eq!(check(&root, &root, &mut files).0, ["a"]);
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(check(&root, &root, &mut files).0.is_empty());
    assert_eq!(check(&root, &root.join("fifo"), &mut Files::new()).1, ["fifo: this is not a regular file"]);
}

#[test]
fn a_long_report_comes_in_parts() {
    let (_dir, root) = directory();
    for name in ["a", "b", "c"] {
        File::create(root.join(name)).unwrap().set_len(MAX_FILE).unwrap();
    }
    let source = root.to_str().unwrap();
    let mut known = Files::new();
    for more in [true, true, false] {
        let part = scan(source, &known, None, &|_| None);
        assert_eq!((part.changes.len(), part.more), (1, more));
        known = part.files;
    }
}

#[test]
fn too_many_files_are_left_out() {
    let (_dir, root) = directory();
    for index in 0..=MAX_FILES {
        File::create(root.join(format!("{index:05}"))).unwrap();
    }
    let scan = scan(root.to_str().unwrap(), &Files::new(), None, &|_| None);
    assert_eq!(scan.changes.len(), MAX_FILES);
    assert_eq!(scan.left_out, [(root.join("04096"), "there are more than 4096 files".to_owned())]);
}

#[test]
fn what_is_withheld_is_not_read_whatever_leads_to_it() {
    let (_dir, root) = directory();
    fs::write(root.join("open"), "1").unwrap();
    fs::write(root.join("secret"), "2").unwrap();
    symlink("secret", root.join("link")).unwrap();
    let secret = root.join("secret").to_str().unwrap().to_owned();
    let judge = |path: &str| (path == secret).then(|| "it is a secret".to_owned());
    let scan = scan(root.to_str().unwrap(), &Files::new(), None, &judge);
    assert_eq!(scan.changes.iter().map(|change| &change.content[..]).collect::<Vec<_>>(), [b"1"]);
    let left_out: Vec<_> =
        scan.left_out.iter().map(|(path, why)| (path.file_name().unwrap().to_str().unwrap(), &**why)).collect();
    assert_eq!(left_out, [("link", "it is a secret"), ("secret", "it is a secret")]);
}

/// The files at and below a directory, with their content.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let scan = scan(root.to_str().unwrap(), &Files::new(), None, &|_| None);
    let short =
        |change: Change| (Path::new(&change.path).strip_prefix(root).unwrap().to_owned(), change.content.to_vec());
    scan.changes.into_iter().map(short).collect()
}

/// A directory as `copy` brings it into a component; none if `copy` refuses it.
fn copied(source: &Path) -> Option<TempDir> {
    let Ok(files::tree::Source::Tree(mut tree)) = files::tree::source(source, 100) else { return None };
    let (copy, entries) = (tempfile::tempdir().unwrap(), tree.some(usize::MAX).ok()?);
    for entry in entries {
        assert!(!entry.path.split('/').any(|name| name.starts_with("..")), "{}", entry.path);
        let at = copy.path().join(&entry.path);
        match entry.kind {
            files::tree::Kind::Directory => fs::create_dir(at).unwrap(),
            files::tree::Kind::File(content) => fs::write(at, content).unwrap(),
            files::tree::Kind::Link(to) => symlink(to, at).unwrap(),
        }
    }
    Some(copy)
}

#[test]
fn a_directory_behind_a_hidden_name_is_entered() {
    let (_dir, root) = directory();
    fs::create_dir_all(root.join("..t1/sub/deep")).unwrap();
    fs::create_dir_all(root.join("plain")).unwrap();
    fs::write(root.join("..t1/sub/deep/a"), "1").unwrap();
    fs::write(root.join("..t1/b"), "2").unwrap();
    fs::write(root.join("plain/c"), "3").unwrap();
    for (link, to) in [("..data", "..t1"), ("b", "..data/b"), ("sub", "..data/sub"), ("again", "plain"), ("out", "..")]
    {
        symlink(to, root.join(link)).unwrap();
    }
    let mut known = Files::new();
    assert_eq!(check(&root, &root, &mut known).0, ["b", "plain/c", "sub/deep/a"]);
    fs::create_dir_all(root.join("..t2/sub")).unwrap();
    fs::write(root.join("..t2/sub/d"), "4").unwrap();
    symlink("..t2", root.join("..new")).unwrap();
    fs::rename(root.join("..new"), root.join("..data")).unwrap();
    assert_eq!(check(&root, &root, &mut known).0, ["sub/d", "-b", "-sub/deep/a"]);
}

#[derive(Debug, Clone)]
enum What {
    File(u8),
    Pipe,
    Directory,
    Link(Vec<&'static str>),
}

fn to_write(at: &Path) -> io::Result<File> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    fs::OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags).open(at)
}

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "sub", "..t1", "..data"]), 1..4)
}

fn what() -> impl Strategy<Value = What> {
    let to = prop::sample::select(vec!["a", "b", "sub", "..t1", "..data", "..", "."]);
    prop_oneof![
        2 => any::<u8>().prop_map(What::File),
        1 => Just(What::Pipe),
        2 => Just(What::Directory),
        3 => prop::collection::vec(to, 1..4).prop_map(What::Link),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever links there are: what `copy` has brought is what `reload` would bring, so that nothing else is left in a component after a rollout.
    #[test]
    fn a_copy_of_a_directory_has_the_files_that_a_watch_of_it_reports(all in prop::collection::vec((path(), what()), 1..16)) {
        let (_dir, root) = directory();
        for (path, what) in &all {
            let at = root.join(path.join("/"));
            // What is in the way, or has nothing to lie in, is left out.
            drop(match what {
                // A pipe that is there would make a plain write wait.
                What::File(content) => to_write(&at).and_then(|mut file| io::Write::write_all(&mut file, &[*content])),
                What::Pipe => nix::unistd::mkfifo(&at, nix::sys::stat::Mode::S_IRWXU).map_err(io::Error::from),
                What::Directory => fs::create_dir(at),
                What::Link(to) => symlink(to.join("/"), at),
            });
        }
        if let Some(copy) = copied(&root) {
            prop_assert_eq!(contents(&copy.path().canonicalize().unwrap()), contents(&root));
        }
    }
}
