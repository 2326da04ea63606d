use std::collections::BTreeMap;

use super::*;
use crate::pod::VolumeSpec;

fn mount(kind: MountKind, target: &str, read_only: bool) -> Mount {
    Mount {
        kind,
        source: (kind != MountKind::Tmpfs).then(|| "source".to_owned()),
        target: target.to_owned(),
        read_only,
        propagation: None,
        no_copy: false,
        must_exist: false,
        tmpfs_size: None,
        tmpfs_mode: None,
        volume: None,
    }
}

fn container() -> ContainerSpec {
    let mut container = ContainerSpec::new("a", "a");
    container.tmpfs = BTreeMap::from([("/run/app/".to_owned(), String::new())]);
    let memory =
        VolumeSpec { driver_opts: BTreeMap::from([("type".to_owned(), "tmpfs".to_owned())]), ..VolumeSpec::default() };
    container.mounts = vec![
        mount(MountKind::Tmpfs, "/cache", false),
        mount(MountKind::Volume, "/run/app/conf", false),
        mount(MountKind::Bind, "/shared", true),
        mount(MountKind::Bind, "/shared/open", false),
        mount(MountKind::Volume, "/dev/data", false),
        Mount { volume: Some(memory), ..mount(MountKind::Volume, "/memory", false) },
    ];
    container
}

#[test]
fn what_is_mounted_deepest_decides() {
    let container = container();
    for (path, expected) in [
        ("/etc/app.conf", None),
        ("/run/app.conf", None),
        ("/run/application", None),
        ("/run/app", Some("tmpfs `/run/app`")),
        ("/run/app/app.conf", Some("tmpfs `/run/app`")),
        ("/run//app/./x/../app.conf", Some("tmpfs `/run/app`")),
        ("/run/app/conf/app.conf", None),
        ("/cache/a/b", Some("tmpfs `/cache`")),
        ("/shared/a", Some("mount `/shared`, which is read-only")),
        ("/shared/open/a", None),
        ("/dev/shm/a", Some("lies in `/dev`")),
        ("/dev/data/a", None),
        ("/proc/sys/a", Some("belongs to the kernel")),
        ("/sys/fs/cgroup/a", Some("belongs to the kernel")),
        ("/memory/a", Some("in memory")),
        ("/etc/hosts", Some("the engine mounts")),
        ("/etc/hosts.allow", None),
    ] {
        let found = barred(&container, path).map(|barred| barred.what);
        match expected {
            None => assert_eq!(found, None, "{path}"),
            Some(words) => assert!(found.as_ref().is_some_and(|found| found.contains(words)), "{path}: {found:?}"),
        }
    }
}

#[test]
fn a_read_only_root_takes_files_on_volumes_only() {
    let mut container = container();
    container.host.read_only = true;
    let root = barred(&container, "/etc/app/app.conf").unwrap();
    assert!(root.what.contains("`read_only`"), "{root:?}");
    assert_eq!(
        root.hint,
        "mount a volume at `/etc/app`, into which files can be copied (for instance `volumes: [\"conf:/etc/app\"]`)"
    );
    let hint = barred(&container, "/etc/app.conf").unwrap().hint;
    assert!(hint.starts_with("take a target in a directory of its own") && hint.contains("conf:/etc/conf.d"), "{hint}");
    assert_eq!(barred(&container, "/run/app/conf/app.conf"), None);
    assert_eq!(barred(&container, "/shared/open/x"), None);
    assert!(barred(&container, "/run/app/x").unwrap().what.contains("tmpfs"));
}

#[test]
fn a_file_of_the_engine_that_the_user_mounts_is_a_mount() {
    let mut container = container();
    container.mounts.push(mount(MountKind::Bind, "/etc/hosts", false));
    assert_eq!(barred(&container, "/etc/hosts"), None);
}
