//! Which way is taken, why, and what is told where one was asked for that does not work.

use std::collections::BTreeMap;

use super::place;
use crate::config::{CgroupMode, Settings, Sharing};
use crate::containers::info::{CgroupDriver, EngineInfo};
use crate::containers::{ContainerId, MountPoint};
use crate::plan::placement::{GroupLimits, Means, Mounted, Placement, Tier};
use crate::plan::{Seen, SelfInfo, offline};

const MIB: i64 = 1 << 20;
const BUS: &str = "/run/dbus/system_bus_socket";

fn bind(source: &str, target: &str, writable: bool) -> MountPoint {
    MountPoint { kind: "bind".into(), name: String::new(), source: source.into(), target: target.into(), writable }
}

/// A controller with 64 MiB and these mounts.
fn controller(mounts: Vec<MountPoint>) -> SelfInfo {
    let mut me = SelfInfo::offline("web", BTreeMap::new());
    me.seen = Seen::Within;
    me.container.id = ContainerId("0123456789abcdef".repeat(4));
    me.container.memory = 64 * MIB;
    me.container.mounts = mounts;
    me
}

fn engine(driver: CgroupDriver, version: u8) -> EngineInfo {
    EngineInfo { cgroup_driver: driver, cgroup_version: version, ..offline::engine() }
}

fn auto(me: &SelfInfo, engine: &EngineInfo) -> Placement {
    place(me, engine, &Settings::default()).unwrap()
}

fn asked(me: &SelfInfo, engine: &EngineInfo, mode: CgroupMode) -> Result<Placement, String> {
    let settings = Settings { cgroup_mode: mode, ..Settings::default() };
    place(me, engine, &settings).map_err(|problem| problem.to_string())
}

#[test]
fn a_slice_where_systemd_can_be_asked() {
    let mut me = controller(vec![bind(BUS, BUS, false)]);
    me.container.memory_swap = 96 * MIB;
    me.container.nano_cpus = 1_500_000_000;
    me.container.pids_limit = 100;
    let old = auto(&me, &engine(CgroupDriver::Systemd, 1));
    assert_eq!((old.tier, old.parent), (Tier::Divided, None));
    assert!(old.why.contains("is used only with `--cgroup-mode=slice`"), "{}", old.why);
    for version in [1, 2] {
        let placed = asked(&me, &engine(CgroupDriver::Systemd, version), CgroupMode::Slice).unwrap();
        if version == 2 {
            assert_eq!(placed, auto(&me, &engine(CgroupDriver::Systemd, version)));
        }
        assert_eq!((placed.tier, placed.parent.as_deref()), (Tier::Slice, Some("outrigger-0123456789ab.slice")));
        let group = placed.group.unwrap();
        assert_eq!(group.means, Means::Bus(BUS.to_owned()));
        let limits =
            GroupLimits { memory: Some(64 << 20), swap: Some(32 << 20), cpus: Some(1_500_000_000), pids: Some(100) };
        assert_eq!(group.limits, limits);
    }
}

#[test]
fn a_directory_where_the_engines_own_tree_can_be_written() {
    let me = controller(vec![bind(BUS, BUS, true), bind("/sys/fs/cgroup", "/host/cgroup/", true)]);
    let placed = auto(&me, &engine(CgroupDriver::Cgroupfs, 2));
    assert_eq!((placed.tier, placed.parent.as_deref()), (Tier::Tree, Some("/outrigger/e3b0c442/0123456789ab")));
    assert_eq!(placed.group.unwrap().means, Means::Tree("/host/cgroup".to_owned()));
    let read_only = controller(vec![bind("/sys/fs/cgroup", "/host/cgroup", false)]);
    let placed = auto(&read_only, &engine(CgroupDriver::Cgroupfs, 2));
    assert_eq!(placed.tier, Tier::Divided);
    assert!(placed.why.contains("no writable mount"), "{}", placed.why);
}

/// Without anything mounted, and where a cgroup of the pod's own would be for nothing, it is as it always was.
#[test]
fn nothing_of_the_pods_own_without_means_or_limits() {
    let bare = controller(Vec::new());
    let mut unlimited = controller(vec![bind(BUS, BUS, false), bind("/sys/fs/cgroup", "/host/cgroup", true)]);
    unlimited.container.memory = 0;
    for me in [&bare, &unlimited] {
        for (driver, version) in [(CgroupDriver::Systemd, 1), (CgroupDriver::Systemd, 2), (CgroupDriver::Cgroupfs, 2)] {
            let placed = auto(me, &engine(driver, version));
            assert_eq!((placed.tier, placed.parent, placed.group), (Tier::Divided, None, None), "{driver:?} {version}");
            assert!(!placed.why.is_empty());
        }
    }
    // Who asks for it gets it all the same.
    let placed = asked(&unlimited, &engine(CgroupDriver::Systemd, 2), CgroupMode::Slice).unwrap();
    assert!(placed.group.unwrap().limits.is_empty());
}

#[test]
fn a_parent_that_somebody_chose_is_never_left() {
    let mut me = controller(vec![bind(BUS, BUS, false)]);
    me.container.cgroup_parent = "mine.slice".to_owned();
    me.cgroup = Some("/docker/self".to_owned());
    for (driver, version) in [(CgroupDriver::Systemd, 2), (CgroupDriver::Cgroupfs, 1)] {
        let engine = engine(driver, version);
        let placed = auto(&me, &engine);
        assert_eq!((placed.tier, placed.parent.as_deref()), (Tier::Inherit, Some("mine.slice")));
        for mode in [CgroupMode::Slice, CgroupMode::Tree, CgroupMode::Nested, CgroupMode::Divided] {
            let told = asked(&me, &engine, mode).unwrap_err();
            assert!(told.contains("`cgroup_parent` is `mine.slice`") && told.contains("use `inherit`"), "{told}");
        }
    }
}

#[test]
fn what_can_not_be_had_is_told_with_the_flag_and_the_remedy() {
    let bare = controller(Vec::new());
    let (systemd, new, old) =
        (engine(CgroupDriver::Systemd, 2), engine(CgroupDriver::Cgroupfs, 2), engine(CgroupDriver::Cgroupfs, 1));
    let none = engine(CgroupDriver::None, 2);
    for (engine, mode, remedy) in [
        (&systemd, CgroupMode::Inherit, "set `cgroup_parent` in Compose"),
        (&systemd, CgroupMode::Slice, "mount `/run/dbus/system_bus_socket` into the controller"),
        (&systemd, CgroupMode::Tree, "use `slice`"),
        (&systemd, CgroupMode::Nested, "use `slice`"),
        (&new, CgroupMode::Slice, "native.cgroupdriver=systemd"),
        (&new, CgroupMode::Tree, "at `/host/cgroup`, writable"),
        (&new, CgroupMode::Nested, "use `tree`"),
        (&old, CgroupMode::Tree, "use `nested`"),
        (&old, CgroupMode::Nested, "`--cgroupns=host`"),
        (&none, CgroupMode::Divided, "use an engine with cgroups"),
        (&none, CgroupMode::Inherit, "use an engine with cgroups"),
    ] {
        let told = asked(&bare, engine, mode).unwrap_err();
        let begin = format!("`--cgroup-mode`: `{}` does not work here: ", mode.name());
        assert!(told.starts_with(&begin) && told.contains(remedy), "{told}");
    }
    assert_eq!(asked(&bare, &old, CgroupMode::Divided).unwrap().tier, Tier::Divided);
}

#[test]
fn what_was_refused_is_not_tried_again() {
    let mut me = controller(vec![bind(BUS, BUS, false)]);
    me.cgroup_refused = Some("systemd refused a request over D-Bus: no".to_owned());
    let engine = engine(CgroupDriver::Systemd, 2);
    let placed = auto(&me, &engine);
    assert_eq!((placed.tier, placed.why.as_str()), (Tier::Divided, "systemd refused a request over D-Bus: no"));
    let told = asked(&me, &engine, CgroupMode::Slice).unwrap_err();
    assert!(told.contains("systemd refused a request over D-Bus: no"), "{told}");
}

#[test]
fn nested_needs_a_controller_that_can_start_again() {
    let mut me = controller(Vec::new());
    me.cgroup = Some("/docker/self".to_owned());
    let mut engine = engine(CgroupDriver::Cgroupfs, 1);
    assert_eq!(auto(&me, &engine).parent.as_deref(), Some("/docker/self"));
    engine.api = (1, 51);
    let settings = Settings { pids: Sharing::Private, cgroup_mode: CgroupMode::Nested, ..Settings::default() };
    let told = place(&me, &engine, &settings).unwrap_err().to_string();
    assert!(told.contains("remove `--pids=false`"), "{told}");
}

#[test]
fn mounts_are_found_wherever_they_are_in_the_controller() {
    let mounted = |points: Vec<MountPoint>| Mounted::of(&controller(points).container);
    for (source, target, expected) in [
        ("/var/run/dbus/system_bus_socket", "/bus", "/bus"),
        ("/run/dbus", "/host/dbus/", "/host/dbus/system_bus_socket"),
    ] {
        let found = mounted(vec![bind(source, target, false)]);
        assert_eq!(found.bus.as_deref(), Some(expected), "{source}");
    }
    let volume = MountPoint { kind: "volume".into(), ..bind(BUS, BUS, true) };
    let others = [("/run/dbus2", "/a"), ("/sys", "/b"), ("/run", "/c"), ("/", "/d")];
    let others = others.map(|(source, target)| bind(source, target, true)).into_iter();
    assert_eq!(mounted(others.chain([volume]).collect()), Mounted::default());
}

/// From outside a controller its own cgroup is not seen, which is no reason to think that it has none.
#[test]
fn from_outside_it_is_as_it_usually_is() {
    let mut me = controller(Vec::new());
    me.seen = Seen::Outside;
    let old = engine(CgroupDriver::Cgroupfs, 1);
    let placed = auto(&me, &old);
    assert_eq!((placed.tier, placed.parent, placed.is_assumed), (Tier::Nested, None, false));
    assert_eq!(asked(&me, &old, CgroupMode::Nested).unwrap().tier, Tier::Nested);
    assert_eq!(auto(&me, &engine(CgroupDriver::Systemd, 2)).tier, Tier::Divided);
    me.container.cgroup_namespace = "private".to_owned();
    assert_eq!(auto(&me, &old).tier, Tier::Divided);
    let told = asked(&me, &old, CgroupMode::Nested).unwrap_err();
    assert!(told.contains("`--cgroupns=host`"), "{told}");
}

/// Where the engine was not asked, whatever mode was asked for may work.
#[test]
fn without_an_engine_everything_is_assumed() {
    let mut me = controller(Vec::new());
    me.seen = Seen::Nothing;
    let engine = offline::engine();
    let placed = auto(&me, &engine);
    assert_eq!((placed.tier, placed.is_assumed), (Tier::Divided, true));
    assert!(placed.to_string().starts_with("cgroups: divided (assumed): unknown without an engine"), "{placed}");
    for (mode, tier) in [
        (CgroupMode::Inherit, Tier::Inherit),
        (CgroupMode::Slice, Tier::Slice),
        (CgroupMode::Tree, Tier::Tree),
        (CgroupMode::Nested, Tier::Nested),
    ] {
        let placed = asked(&me, &engine, mode).unwrap();
        assert_eq!((placed.tier, placed.is_assumed), (tier, true));
    }
    let divided = asked(&me, &engine, CgroupMode::Divided).unwrap();
    assert_eq!((divided.tier, divided.is_assumed), (Tier::Divided, false));
}
