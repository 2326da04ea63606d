//! Names of volumes, and mounts that components share with the controller.

use super::*;

#[test]
fn volume_names_are_resolved() {
    let bind = Mount { kind: MountKind::Bind, ..volume("data", "/bind") };
    let mut case = case(vec![with("a", |it| it.volumes = vec![volume("data", "/d"), volume("other", "/o"), bind])]);
    case.me.volume_aliases.insert("data".to_owned(), "stack_data".to_owned());
    let plan = case.plan();
    let sources: Vec<_> = plan.components[0].container.mounts.iter().filter_map(|mount| mount.source.clone()).collect();
    assert_eq!(sources, ["stack_data", "other", "data"], "only volumes have aliases");
}

#[test]
fn shared_mounts_leave_out_what_only_the_controller_may_see() {
    let mut case = case(vec![with("a", |it| {
        it.volumes = vec![volume("own", "/data/")];
        it.tmpfs.insert("/cache".to_owned(), String::new());
    })]);
    case.settings.volumes = Sharing::Shared;
    case.me.environment.insert("DOCKER_HOST".to_owned(), "unix:///engine/custom.sock".to_owned());
    case.me.container.mounts = vec![
        point("bind", "/var/run/docker.sock", "/var/run/docker.sock"),
        point("bind", "/run/docker.sock", "/hidden"),
        point("bind", "/x", "/engine/custom.sock"),
        point("bind", "/run", "/host/run"),
        point("bind", "/", "/rootfs"),
        point("bind", "/y", "/engine"),
        point("volume", "state", "/var/lib/outrigger/state"),
        point("volume", "lib", "/var/lib"),
        point("volume", "compiled", "/var/cache/outrigger"),
        point("bind", "/keys/auth", "/var/run/secrets/podlike/dockerregistryauth.json"),
        point("bind", "/keys", "/keys"),
        point("bind", "/x", "/again"),
        point("tmpfs", "", "/scratch"),
        point("volume", "shadowed", "/data"),
        point("volume", "shadowed2", "/cache"),
        point("volume", "logs", "/logs"),
        point("bind", "/etc/app", "/etc/app"),
    ];
    let plan = case.plan();
    let mounts: Vec<_> = plan.components[0]
        .container
        .mounts
        .iter()
        .map(|mount| (mount.source.as_deref().unwrap(), mount.target.as_str(), mount.read_only))
        .collect();
    assert_eq!(mounts, [("own", "/data/", false), ("logs", "/logs", true), ("/etc/app", "/etc/app", true)]);
    assert_eq!(
        plan.warnings,
        [
            "the mount `/host/run` is not shared, because it contains `/run/docker.sock`",
            "the mount `/rootfs` is not shared, because it contains `/var/run/docker.sock`",
            "the mount `/engine` is not shared, because it contains `/engine/custom.sock`",
            "the mount `/var/lib` is not shared, because it contains `/var/lib/outrigger`",
            "the mount `/keys` is not shared, because it contains `/keys/auth`",
            "the mount `/scratch` is not shared, because mounts of type `tmpfs` cannot be shared",
        ]
    );
    case.settings.volumes = Sharing::Private;
    assert_eq!(case.plan().components[0].container.mounts.len(), 1);
}

/// A volume does not hold what is mounted below it. Only one that can hold nothing else is shared all the same.
#[test]
fn a_volume_is_shared_if_the_socket_below_it_is_another_mount() {
    let socket = || point("bind", "/var/run/docker.sock", "/var/run/docker.sock");
    let told = |mounts: Vec<MountPoint>, change: fn(&mut Case)| {
        let named = with("b", |it| it.volumes = vec![volume("pids", "/pids")]);
        let mut case = case(vec![component("a"), named]);
        case.settings.volumes = Sharing::Shared;
        case.me.container.mounts = mounts;
        case.me.own_volumes.add("pids", "local", &BTreeMap::new());
        change(&mut case);
        let shared = case.spec.components.shift_remove("b").map(|named| {
            let mut only = case.spec.clone();
            only.components.insert(named.name.clone(), named);
            compile(&only, &case.me, &case.engine, &case.settings).is_ok()
        });
        let plan = case.plan();
        let mounts: Vec<_> = plan.components[0].container.mounts.iter().map(|mount| mount.target.clone()).collect();
        assert!(plan.components[0].container.mounts.iter().all(|mount| mount.no_copy), "it is the controller's");
        (mounts.join(" "), shared.unwrap(), plan.warnings.join("\n"))
    };
    let pids = || point("volume", "pids", "/var/run");
    // As podlike's example has it.
    assert_eq!(told(vec![socket(), pids()], |_| {}), ("/var/run".to_owned(), true, String::new()));
    let deeper = point("bind", "/x/docker.sock", "/var/run/engine/docker.sock");
    let is_refused = |(shared, named, warning): (String, bool, String), holds: &str| {
        assert_eq!((shared.as_str(), named), ("", false), "{warning}");
        assert!(
            warning.contains(&format!("the mount `/var/run` is not shared, because it contains `{holds}`")),
            "{warning}"
        );
    };
    // A socket of its own: nothing covers it, or what covers it comes out of the volume.
    is_refused(told(vec![pids()], |_| {}), "/var/run/docker.sock");
    let own = "/var/lib/docker/volumes/pids/_data/docker.sock";
    is_refused(told(vec![point("bind", own, "/var/run/docker.sock"), pids()], |_| {}), "/var/run/docker.sock");
    let elsewhere = told(vec![deeper, socket(), pids()], |case| {
        case.me.environment.insert("DOCKER_HOST".to_owned(), "unix:///var/run/other/docker.sock".to_owned());
    });
    is_refused(elsewhere, "/var/run/other/docker.sock");
    // Whoever makes it decides what is in it: a bind of the node's `/var/run`, or any driver's.
    for (driver, options) in
        [("local", vec![("type", "none"), ("o", "bind"), ("device", "/var/run")]), ("acme", vec![])]
    {
        let mut unknown = case(vec![component("a")]);
        unknown.settings.volumes = Sharing::Shared;
        unknown.me.container.mounts = vec![socket(), pids()];
        let options = options.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        unknown.me.own_volumes.add("pids", driver, &options);
        assert!(unknown.plan().components[0].container.mounts.is_empty(), "{driver}");
    }
    // What the controller keeps for itself would be made there.
    let state = told(vec![socket(), pids()], |case| case.settings.state_dir = "/var/run/outrigger".into());
    is_refused(state, "/var/run/outrigger");
    // Credentials and other engines' sockets count if they are there.
    for file in ["/var/run/secrets/podlike", "/var/run/containerd/containerd.sock"] {
        let mut there = case(vec![component("a")]);
        there.settings.volumes = Sharing::Shared;
        there.me.container.mounts = vec![socket(), pids()];
        there.me.own_volumes.add("pids", "", &BTreeMap::new());
        there.me.own_volumes.files.insert(file.to_owned());
        assert!(there.plan().components[0].container.mounts.is_empty(), "{file}");
    }
    // The same volume at a second place is the same.
    let twice =
        vec![socket(), pids(), point("volume", "pids", "/again"), point("volume", "pids", "/var/lib/outrigger")];
    let (shared, named, warning) = told(twice, |_| {});
    assert!(shared.is_empty() && !named && warning.contains("`/again` is not shared"), "{shared} {warning}");
}

#[test]
fn volumes_of_a_compose_file_that_stacks_share_are_told() {
    let mut case =
        case(vec![with("a", |it| it.volumes = vec![volume("db", "/d"), volume("own", "/o"), volume("aliased", "/a")])]);
    case.spec.bare_volumes = ["db", "own", "aliased", "unused"].map(str::to_owned).into();
    assert_eq!(case.plan().warnings, [""; 0], "without a stack there is no other name");
    case.me.container.labels.insert("com.docker.stack.namespace".to_owned(), "st".to_owned());
    case.me.volume_aliases.insert("aliased".to_owned(), "st_aliased".to_owned());
    case.me.container.mounts = vec![point("volume", "own", "/unused")];
    let told = case.plan().warnings;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("volume `db` of the Compose file is the engine's")
            && told[0].contains("`db: {name: st_db}`"),
        "{told:?}"
    );
}

/// The engine refuses to make a volume of another kind under the name of one that is there.
#[test]
fn a_volume_that_the_controller_has_is_not_specified_again() {
    let specified = Mount { volume: Some(crate::pod::VolumeSpec::default()), ..volume("data", "/d") };
    let mut case = case(vec![with("a", |it| it.volumes = vec![specified.clone()])]);
    assert_eq!(case.plan().components[0].container.mounts[0].volume, specified.volume);
    case.me.volume_aliases.insert("data".to_owned(), "stack_data".to_owned());
    assert_eq!(case.plan().components[0].container.mounts[0].volume, None);
}
