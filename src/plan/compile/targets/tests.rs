use std::collections::BTreeMap;

use super::*;
use crate::pod::VolumeSpec;

fn mount(kind: MountKind, target: &str, read_only: bool) -> Mount {
    Mount { read_only, ..Mount::new(kind, (kind != MountKind::Tmpfs).then(|| "source".to_owned()), target) }
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
        ("/dev/shm/a", Some("is in `/dev`")),
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
        "mount a volume at `/etc/app`, because files can be copied into volumes (for instance `volumes: [\"conf:/etc/app\"]`)"
    );
    let hint = barred(&container, "/etc/app.conf").unwrap().hint;
    assert!(hint.starts_with("use a target in a directory of its own") && hint.contains("conf:/etc/conf.d"), "{hint}");
    assert_eq!(barred(&container, "/run/app/conf/app.conf"), None);
    assert_eq!(barred(&container, "/shared/open/x"), None);
    assert!(barred(&container, "/run/app/x").unwrap().what.contains("tmpfs"));
}

#[test]
fn nothing_takes_the_place_of_a_mount() {
    let mut container = container();
    container.mounts.push(mount(MountKind::Bind, "/etc/app/a.conf", false));
    container.mounts.push(mount(MountKind::Bind, "/etc/app/conf.d/", false));
    for (path, by_name, by_kind) in [
        ("/etc/app/./a.conf", true, true),
        ("/etc/app/a.conf.bak", false, false),
        ("/etc/app/conf.d", false, true),
        ("/etc/app/conf.d/x.conf", false, false),
        ("/run/app/conf", false, true),
        ("/cache", true, false),
    ] {
        assert_eq!(barred(&container, path).is_some(), by_name, "{path}");
        assert_eq!(mount_at(&container, path).is_some(), by_kind, "{path}");
    }
    let Barred { what, hint } = barred(&container, "/etc/app/a.conf").unwrap();
    assert_eq!(
        what,
        "`/etc/app/a.conf` is itself a mount of `source` in the component, and no file can take the place of a mount (the name is that of a file; this host does not have the source of the mount, so this is a guess)"
    );
    assert!(
        hint.contains("mount its directory at `/etc/app`, or a volume") && hint.contains("conf:/etc/app"),
        "{hint}"
    );
    // If the source is here, it decides, and not the name.
    for (path, is_file) in [("/etc/app/a.conf", true), ("/etc/app/a.conf", false), ("/etc/app/conf.d", true)] {
        let known = BTreeMap::from([("source".to_owned(), is_file)]);
        let found = barred_with(&container, path, &known).map(|barred| barred.what);
        assert_eq!(found, mount_at(&container, path).filter(|_| is_file).map(|barred| barred.what), "{path} {is_file}");
    }
    container.mounts.push(mount(MountKind::Bind, "/a.conf", false));
    assert!(barred(&container, "/a.conf").unwrap().hint.starts_with("use a target in a directory of its own"));
}

#[test]
fn a_file_of_the_engine_that_the_user_mounts_is_a_mount() {
    let mut container = container();
    container.mounts.push(mount(MountKind::Bind, "/etc/hosts", false));
    assert_eq!(barred(&container, "/etc/hosts"), None);
}

/// The problems of a pod in labels; its Compose file, if it has one, is `file`.
fn refused(labels: &[(&str, &str)], file: &str) -> String {
    let labels: BTreeMap<_, _> = labels.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect();
    let mut raw = crate::pod::read::from_labels(&labels).unwrap();
    let problems = crate::labels::compose::read(&mut raw, Ok::<_, String>(file), &|_| None);
    assert!(problems.is_empty(), "{problems}");
    let spec = crate::pod::lower::lower(&raw).unwrap();
    let me = crate::plan::SelfInfo::offline("pod", labels);
    let compiled =
        super::super::compile(&spec, &me, &crate::plan::offline::engine(), &crate::config::Settings::default());
    compiled.map(drop).unwrap_err().to_string()
}

/// Whatever a component is, and wherever it is written.
#[test]
fn init_components_and_those_of_a_compose_file_are_judged_alike() {
    let app = ("pod.component.app", "image: a");
    let init = |settings: &str| {
        refused(
            &[
                app,
                ("pod.init.components", &format!("[{{image: a, {settings}}}]")),
                ("pod.copy.init-1", "/in/a:/etc/b/c"),
            ],
            "",
        )
    };
    let told = init("tmpfs: [/etc/b]");
    assert!(
        told.starts_with("`pod.copy.init-1`, field `target`: `/etc/b/c` is in the component's tmpfs `/etc/b`"),
        "{told}"
    );
    let told = init("read_only: true");
    assert!(told.contains("`pod.copy.init-1`") && told.contains("root file system, which is `read_only`"), "{told}");
    assert!(told.contains("mount a volume at `/etc/b`"), "{told}");

    let of_file = |settings: &str| {
        refused(
            &[("pod.compose.file", "/in/compose.yml"), ("pod.copy.web", "/in/a:/etc/b/c")],
            &format!("services: {{web: {{image: a, {settings}}}}}"),
        )
    };
    let told = of_file("tmpfs: /etc");
    assert!(
        told.starts_with("`pod.copy.web`, field `target`: `/etc/b/c` is in the component's tmpfs `/etc`"),
        "{told}"
    );
    let told = of_file("volumes: [{type: tmpfs, target: /etc/b}]");
    assert!(told.contains("is in the component's tmpfs `/etc/b`"), "{told}");
    let told = of_file("read_only: true");
    assert!(told.contains("`pod.copy.web`") && told.contains("which is `read_only`"), "{told}");
    let told = of_file("volumes: [{type: volume, source: v, target: /etc, read_only: true}]");
    assert!(told.contains("is in the component's mount `/etc`, which is read-only"), "{told}");
}
