use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use super::*;

const LONGEST: u64 = 100;

fn tree(path: &Path) -> Tree {
    match source(path, LONGEST).unwrap() {
        Source::Tree(tree) => tree,
        Source::File(..) => panic!("`{}` is a file", path.display()),
    }
}

/// Everything below a directory, in one go.
fn all(path: &Path) -> Result<Vec<Entry>> {
    tree(path).some(usize::MAX)
}

/// What speaks against copying a directory, found without its content and with it.
fn refusal(path: &Path) -> (ErrorKind, String) {
    let (early, late) = (
        look(path, LONGEST).unwrap_err(),
        source(path, LONGEST).and_then(|source| match source {
            Source::Tree(mut tree) => tree.some(usize::MAX),
            Source::File(..) => panic!("`{}` is a file", path.display()),
        }),
    );
    let late = late.unwrap_err();
    assert_eq!((early.kind(), early.to_string()), (late.kind(), late.to_string()));
    (late.kind(), late.to_string())
}

#[test]
fn everything_comes_in_order_with_its_rights() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    fs::create_dir_all(at("b/empty")).unwrap();
    fs::write(at("b/file"), "content").unwrap();
    fs::write(at("a"), "").unwrap();
    symlink("b/../a", at("link")).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(at("b/file"), Some(1000), Some(1001)).unwrap();
    }
    fs::set_permissions(at("b/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(at("b/empty"), fs::Permissions::from_mode(0o700)).unwrap();
    look(root.path(), LONGEST).unwrap();
    let found = all(root.path()).unwrap();
    let shown: Vec<_> = found.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
    assert_eq!(
        shown,
        [
            ("a", &Kind::File(Vec::new())),
            ("b", &Kind::Directory),
            ("b/empty", &Kind::Directory),
            ("b/file", &Kind::File(b"content".to_vec())),
            ("link", &Kind::Link("b/../a".into())),
        ]
    );
    assert_eq!((found[2].mode, found[3].mode), (0o700, 0o4751));
    if nix::unistd::geteuid().is_root() {
        assert_eq!((found[3].uid, found[3].gid), (1000, 1001));
    }
}

#[test]
fn parts_are_as_long_as_asked_for() {
    let root = tempfile::tempdir().unwrap();
    for n in 0..5 {
        fs::write(root.path().join(n.to_string()), [b'x'; 40]).unwrap();
    }
    let mut tree = tree(root.path());
    let parts: Vec<_> = (0..4).map(|_| tree.some(80).unwrap().len()).collect();
    assert_eq!(parts, [2, 2, 1, 0]);
    assert!(tree.is_over());
}

/// What is left out of a directory, and why.
fn left_out(path: &Path) -> Vec<(String, String)> {
    look(path, LONGEST).unwrap();
    let mut tree = tree(path);
    tree.some(usize::MAX).unwrap();
    tree.take_left_out()
}

#[test]
fn what_is_no_file_is_left_out_by_name() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    fs::create_dir(at("sub")).unwrap();
    nix::unistd::mkfifo(&at("sub/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _listening = std::os::unix::net::UnixListener::bind(at("sub/socket")).unwrap();
    fs::write(at("sub/file"), "x").unwrap();
    fs::write(root.path().join(OsStr::from_bytes(b"sub/\xff")), "x").unwrap();
    let pair = |path: &str, why: &str| (path.to_owned(), why.to_owned());
    let expected = [
        pair("sub/pipe", "this is a named pipe"),
        pair("sub/socket", "this is a socket"),
        pair("sub/\u{fffd}", "the name is not UTF-8"),
    ];
    assert_eq!(left_out(root.path()), expected);
    assert_eq!(all(root.path()).unwrap().iter().map(|entry| &*entry.path).collect::<Vec<_>>(), ["sub", "sub/file"]);
    assert_eq!(look(&at("sub/pipe"), LONGEST).unwrap_err().kind(), ErrorKind::InvalidInput, "the source itself");
}

#[test]
fn links_stay_below_the_directory() {
    for (path, target, stay) in [
        ("link", "file", true),
        ("link", "./sub/file", true),
        ("link", "sub/..", true),
        ("sub/link", "..", true),
        ("sub/link", "../other/deep", true),
        ("link", "..", false),
        ("sub/link", "../..", false),
        ("link", "sub/../../x", false),
        ("link", "/etc/passwd", false),
    ] {
        assert_eq!(stays(path.split('/').count(), Path::new(target)), stay, "{path} -> {target}");
    }
    let root = tempfile::tempdir().unwrap();
    symlink("/run/secrets", root.path().join("link")).unwrap();
    let (kind, said) = refusal(root.path());
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert_eq!(said, "`link`: this is a link that leads out of the directory, to `/run/secrets`");
}

#[test]
fn a_link_to_a_directory_is_followed_only_where_it_is_the_source_and_stays_on_its_mount() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("sub")).unwrap();
    fs::write(root.path().join("sub/file"), "x").unwrap();
    symlink("sub", root.path().join("link")).unwrap();
    symlink("/proc/self", root.path().join("away")).unwrap();
    assert_eq!(all(&root.path().join("link")).unwrap().len(), 1);
    assert_eq!(look(&root.path().join("away"), LONGEST).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

/// As Kubernetes mounts a ConfigMap.
#[test]
fn of_a_directory_that_is_exchanged_as_a_whole_comes_what_its_links_lead_to() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    fs::create_dir_all(at("..t1/sub")).unwrap();
    fs::write(at("..t1/a.conf"), "a").unwrap();
    fs::write(at("..t1/sub/b.conf"), "b").unwrap();
    fs::write(at("plain"), "p").unwrap();
    symlink("../a.conf", at("..t1/sub/up")).unwrap();
    for (link, to) in [
        ("..data", "..t1"),
        ("a.conf", "..data/a.conf"),
        ("sub", "..data/sub"),
        ("gone", "..data/gone"),
        ("link", "plain"),
        ("self", "self"),
    ] {
        symlink(to, at(link)).unwrap();
    }
    look(root.path(), LONGEST).unwrap();
    let found = all(root.path()).unwrap();
    let shown: Vec<_> = found.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
    assert_eq!(
        shown,
        [
            ("a.conf", &Kind::File(b"a".to_vec())),
            ("link", &Kind::Link("plain".into())),
            ("plain", &Kind::File(b"p".to_vec())),
            ("self", &Kind::Link("self".into())),
            ("sub", &Kind::Directory),
            ("sub/b.conf", &Kind::File(b"b".to_vec())),
            ("sub/up", &Kind::File(b"a".to_vec())),
        ]
    );
    // Neither by a detour.
    symlink("../../etc/passwd", at("..t1/out")).unwrap();
    symlink("..data/out", at("out")).unwrap();
    assert_eq!(refusal(root.path()).1, "`out`: this is a link that leads out of the directory");
    fs::remove_file(at("out")).unwrap();
    nix::unistd::mkfifo(&at("..t1/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("..data/pipe", at("pipe")).unwrap();
    assert_eq!(left_out(root.path()), [("pipe".to_owned(), "this is a named pipe".to_owned())]);
}

#[test]
fn a_directory_that_becomes_a_link_leads_nowhere() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    fs::create_dir_all(at("a/sub")).unwrap();
    fs::write(at("a/sub/file"), "ours").unwrap();
    fs::create_dir_all(at("b/sub")).unwrap();
    fs::write(at("b/sub/file"), "theirs").unwrap();
    let mut tree = tree(&at("a"));
    assert_eq!(tree.next(true).unwrap().unwrap().path, "sub");
    fs::rename(at("a"), at("c")).unwrap();
    symlink("b", at("a")).unwrap();
    assert_eq!(tree.next(true).unwrap().unwrap().kind, Kind::File(b"ours".to_vec()));
}

#[test]
fn there_are_limits() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    fs::write(at("long"), [0; LONGEST as usize + 1]).unwrap();
    assert_eq!(refusal(root.path()), (ErrorKind::FileTooLarge, "`long`: the file is longer than 100 bytes".into()));
    fs::write(at("long"), [0; LONGEST as usize]).unwrap();
    look(root.path(), LONGEST).unwrap();
    let deep = (0..=DEEPEST).map(|n| n.to_string()).collect::<Vec<_>>().join("/");
    fs::create_dir_all(at(&deep)).unwrap();
    assert!(refusal(root.path()).1.contains("more than 64 directories deep"));
    fs::remove_dir_all(at("0")).unwrap();
    fs::create_dir_all(at("some/more")).unwrap();
    for (before, fits) in [(MOST_ENTRIES - 1, true), (MOST_ENTRIES, false)] {
        let mut tree = tree(&at("some"));
        tree.entries = before;
        fs::create_dir_all(at("some/more/one")).unwrap();
        match tree.next(false) {
            Ok(found) => assert!(fits && found.unwrap().path == "more"),
            Err(error) => {
                assert!(!fits);
                assert_eq!(error.kind(), ErrorKind::FileTooLarge);
                assert_eq!(error.to_string(), "`more`: there are more than 10000 files and directories");
            }
        }
    }
}

#[test]
fn all_files_together_have_a_limit() {
    let root = tempfile::tempdir().unwrap();
    // Holes: they have a length, and take no room.
    for n in 0..5 {
        fs::File::create(root.path().join(n.to_string())).unwrap().set_len(MOST_BYTES / 4).unwrap();
    }
    let error = look(root.path(), MOST_BYTES).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    assert!(error.to_string().starts_with("`4`: "), "{error}");
}

#[test]
fn what_may_not_be_read_is_named() {
    if nix::unistd::geteuid().is_root() {
        return; // Root may read everything.
    }
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("secret"), "x").unwrap();
    fs::set_permissions(root.path().join("secret"), fs::Permissions::from_mode(0o0)).unwrap();
    assert_eq!(refusal(root.path()), (ErrorKind::PermissionDenied, "`secret`: Permission denied".into()));
}
