//! Cgroups of a pod's own: a slice of systemd's, or a directory of version 2, with the pod's limits; measured from the machine, and gone with the pod.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use outrigger::engine::docker::Docker;
use outrigger::engine::{CgroupDriver, Engine};
use outrigger::plan::placement::{engine_key, tree_directory};

use super::pod::{PodUnderTest, bind, component, wait_for};
use crate::support::{Guard, engine_or_fail, skip};

const MIB: i64 = 1 << 20;
const BUS: &str = "/run/dbus/system_bus_socket";
const IDLE: &str = "exec sleep 1000";

/// Holds about 50 MiB of anonymous memory: `tail` waits for the end of a line.
const GREEDY: &str = "(head -c 52428800 /dev/zero; exec sleep 1000) | tail > /dev/null; echo ended";

/// The engine, if its cgroups are of this kind.
async fn engine_with(driver: CgroupDriver, version: Option<u8>) -> Option<Docker> {
    let engine = engine_or_fail().await?;
    let info = engine.info().await.unwrap();
    let fits = info.cgroup_driver == driver && version.is_none_or(|version| version == info.cgroup_version);
    if !fits {
        let (driver, version) = (info.cgroup_driver, info.cgroup_version);
        skip::not_applicable(format!("this engine's cgroups are {driver:?}, version {version}"));
    }
    fits.then_some(engine)
}

/// The first digits of the controller's id.
async fn owner(engine: &Docker, pod: &PodUnderTest) -> String {
    engine.inspect(pod.name()).await.unwrap().id.short().to_owned()
}

/// Where a pod's cgroup lies on this machine: in the engine's part of each hierarchy of version 1, or of the one of version 2.
fn directories(last: &str) -> Vec<PathBuf> {
    let top = |path: &str| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let hierarchies = top("/sys/fs/cgroup").filter(|path| path.is_dir()).chain([PathBuf::from("/sys/fs/cgroup")]);
    let engines = |path: PathBuf| {
        let parts = top(path.join("outrigger-engines").to_str().unwrap()).filter(|path| path.is_dir());
        parts.chain([path]).collect::<Vec<_>>()
    };
    hierarchies.flat_map(engines).map(|path| path.join(last)).filter(|path| path.is_dir()).collect()
}

/// In the hierarchies that systemd has. In the others of version 1 the engine's runtime leaves an empty directory behind.
fn slice(owner: &str) -> Vec<PathBuf> {
    let mut found = directories(&format!("outrigger.slice/outrigger-{owner}.slice"));
    found.retain(|path| {
        ["freezer", "cpuset", "cpuacct"].iter().all(|name| !path.starts_with(Path::new("/sys/fs/cgroup").join(name)))
    });
    found
}

/// With version 1 a slice has to be asked for.
async fn ask_for_slice(engine: &Docker, pod: &mut PodUnderTest) {
    if engine.info().await.unwrap().cgroup_version == 1 {
        pod.flag("--cgroup-mode=slice");
    }
}

/// The first of these files that a cgroup has.
fn text(directories: &[PathBuf], names: &[&str]) -> String {
    let files = directories.iter().flat_map(|path| names.iter().map(|name| path.join(name)));
    let found = files.filter_map(|path| fs::read_to_string(path).ok()).next();
    found.unwrap_or_else(|| panic!("none of {names:?} is in {directories:?}")).trim().to_owned()
}

/// Processes that the kernel killed for memory, in a cgroup and those below it.
fn kills(path: &Path) -> i64 {
    let own = ["memory.events.local", "memory.oom_control"].iter().find_map(|name| {
        let text = fs::read_to_string(path.join(name)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<i64>().ok())
    });
    let below =
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    own.unwrap_or_default() + below.map(|path| kills(&path)).sum::<i64>()
}

#[tokio::test]
async fn a_slice_holds_the_pods_limits_for_its_components_together() {
    let Some(engine) = engine_with(CgroupDriver::Systemd, None).await else { return };
    let mut pod = PodUnderTest::new(&engine, "slice").await;
    pod.spec().host.memory = Some(96 * MIB);
    pod.spec().host.memory_swap = Some(96 * MIB);
    pod.spec().host.nano_cpus = Some(500_000_000);
    pod.spec().host.pids_limit = Some(64);
    pod.spec().mounts.push(bind(BUS, BUS));
    ask_for_slice(&engine, &mut pod).await;
    pod.label("pod.component.one", &component(GREEDY, ""));
    pod.label("pod.component.two", &component(GREEDY, "pids_limit: 100"));
    pod.start().await;
    let owner = owner(&engine, &pod).await;
    wait_for("the slice is there with its components", || async { pod.log().await.contains("the pod runs") }).await;
    let slice = slice(&owner);
    wait_for("one is killed, since both don't fit", || async { slice.iter().any(|path| kills(path) > 0) }).await;
    assert_eq!(text(&slice, &["memory.max", "memory.limit_in_bytes"]).parse::<i64>().unwrap(), 96 * MIB);
    let most: i64 = text(&slice, &["memory.peak", "memory.max_usage_in_bytes"]).parse().unwrap();
    assert!(most > 60 * MIB && most <= 96 * MIB, "together they grew past what half of it would be: {most}");
    assert!(["50000 100000", "50000"].contains(&text(&slice, &["cpu.max", "cpu.cfs_quota_us"]).as_str()));
    assert_eq!(text(&slice, &["pids.max"]), "64");
    let log = pod.log().await;
    assert!(log.contains("`two`: `pids_limit` 100 is reduced to 64") && !log.contains("get 48MiB each"), "{log}");
    pod.kill().await;
}

#[tokio::test]
async fn a_slice_is_gone_with_its_pod_and_a_dead_controllers_with_the_next() {
    let Some(engine) = engine_with(CgroupDriver::Systemd, None).await else { return };
    let started = async |name: &str| {
        let mut pod = PodUnderTest::new(&engine, name).await;
        pod.spec().host.memory = Some(96 * MIB);
        pod.spec().mounts.push(bind("/run/dbus", "/host/dbus"));
        ask_for_slice(&engine, &mut pod).await;
        pod.label("pod.component.app", &component(IDLE, ""));
        pod.start().await;
        pod.reaches("running").await;
        let owner = owner(&engine, &pod).await;
        (pod, owner)
    };
    let (pod, first) = started("slice-end").await;
    let (_, status) = pod.command(&["/outrigger", "status"]).await;
    let expected = format!(
        "cgroups: slice, in `outrigger-{first}.slice`: systemd can create a slice: the D-Bus socket is mounted at `/host/dbus/system_bus_socket`"
    );
    assert!(status.contains(&expected), "{status}");
    let (killed, second) = started("slice-killed").await;
    killed.kill().await;
    assert!(!slice(&first).is_empty() && !slice(&second).is_empty());
    // The same controller takes up the slice that it left, and ends it.
    let mut again = killed;
    again.start().await;
    again.reaches("running").await;
    again.kill().await;
    assert!(!slice(&second).is_empty());
    let (next, third) = started("slice-next").await;
    wait_for("the dead controller's slice is gone", || async { slice(&second).is_empty() }).await;
    assert!(!slice(&first).is_empty(), "a living pod's remains");
    for (pod, owner) in [(pod, first), (next, third)] {
        pod.stop().await;
        wait_for("the slice is gone with its pod", || async { slice(&owner).is_empty() }).await;
    }
}

/// Also where systemd makes the cgroups, nothing is made and left behind without the operator's grant.
#[tokio::test]
async fn without_the_bus_the_limits_are_divided_as_ever() {
    let Some(engine) = engine_with(CgroupDriver::Systemd, None).await else { return };
    let mut pod = PodUnderTest::new(&engine, "slice-none").await;
    pod.spec().host.memory = Some(96 * MIB);
    pod.label("pod.component.one", &component(IDLE, ""));
    pod.label("pod.component.two", &component(IDLE, ""));
    pod.start().await;
    pod.reaches("running").await;
    assert!(slice(&owner(&engine, &pod).await).is_empty());
    let one = engine.inspect(&format!("{}.podlike.one", pod.name())).await.unwrap();
    assert_eq!((one.memory, one.cgroup_parent.as_str()), (48 * MIB, ""));
    let (_, status) = pod.command(&["/outrigger", "status"]).await;
    assert!(status.contains("cgroups: divided: "), "{status}");
    pod.stop().await;
}

#[tokio::test]
async fn a_bus_that_refuses_divides_or_ends_the_pod_as_was_asked() {
    let Some(engine) = engine_with(CgroupDriver::Systemd, None).await else { return };
    let version = engine.info().await.unwrap().cgroup_version;
    // Only root may ask systemd for units; whoever else has the engine's socket may start containers all the same.
    let socket = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let group = fs::metadata(socket.trim_start_matches("unix://")).unwrap().gid();
    for flag in [None, Some("--cgroup-mode=slice")] {
        // Only asked for would it be tried.
        if flag.is_none() && version == 1 {
            continue;
        }
        let mut pod = PodUnderTest::new(&engine, "slice-refused").await;
        pod.spec().host.memory = Some(96 * MIB);
        pod.spec().user = Some("65534".to_owned());
        pod.spec().host.group_add = vec![group.to_string()];
        pod.spec().mounts.push(bind(BUS, BUS));
        pod.label("pod.component.one", &component(IDLE, ""));
        if let Some(flag) = flag {
            pod.flag(flag);
        }
        pod.start().await;
        pod.says("systemd refused a request over D-Bus: ").await;
        if flag.is_some() {
            assert_eq!(pod.ends().await, 1);
            pod.says("`--cgroup-mode`: `slice` does not work here").await;
        } else {
            pod.reaches("running").await;
            assert_eq!(engine.inspect(&format!("{}.podlike.one", pod.name())).await.unwrap().memory, 96 * MIB);
            pod.stop().await;
        }
    }
}

#[tokio::test]
async fn components_never_get_what_makes_cgroups() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "grant").await;
    pod.spec().mounts.push(bind("/sys/fs/cgroup", "/host/cgroup"));
    pod.flag("--volumes");
    pod.label("pod.component.app", &component("ls -d /host/cgroup; ls /tmp > /dev/null; exec sleep 1000", ""));
    pod.start().await;
    pod.says("ls: /host/cgroup: No such file or directory").await;
    pod.stop().await;
    let mut pod = PodUnderTest::new(&engine, "grant-bind").await;
    pod.label("pod.component.app", &component(IDLE, "volumes: ['/run/dbus:/run/dbus', '/sys/fs/cgroup:/cg']"));
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    assert!(log.contains("`/run/dbus` is in `/run` of the node"), "{log}");
    assert!(log.contains("`/sys/fs/cgroup` is in `/sys` of the node"), "{log}");
}

#[tokio::test]
async fn a_way_that_does_not_work_here_ends_the_pod_with_the_remedy() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "mode").await;
    pod.label("pod.component.app", &component(IDLE, ""));
    pod.flag("--cgroup-mode=inherit");
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    assert!(
        log.contains("`--cgroup-mode`: `inherit` does not work here: the controller has no `cgroup_parent`"),
        "{log}"
    );
}

/// The kernel of the tests may have no controllers of version 2: then the directory is all that can be shown, and what is told without them.
#[tokio::test]
async fn a_directory_of_version_2_is_the_pods_and_goes_with_it() {
    let Some(engine) = engine_with(CgroupDriver::Cgroupfs, Some(2)).await else { return };
    let pods = tree_directory(engine_key(&engine.info().await.unwrap()));
    let started = async |name: &str, memory: Option<i64>| {
        let mut pod = PodUnderTest::new(&engine, name).await;
        pod.spec().host.memory = memory;
        pod.spec().mounts.push(bind("/sys/fs/cgroup", "/host/cgroup"));
        pod.label("pod.component.app", &component(IDLE, ""));
        if memory.is_none() {
            pod.flag("--cgroup-mode=tree");
        }
        pod.start().await;
        pod.reaches("running").await;
        pod
    };
    let pod = started("tree", None).await;
    let owner_ = owner(&engine, &pod).await;
    let last = format!("{pods}/{owner_}");
    let app = engine.inspect(&format!("{}.podlike.app", pod.name())).await.unwrap();
    assert_eq!(app.cgroup_parent, format!("/{last}"));
    let found = directories(&last);
    assert!(found.iter().any(|path| path.join(&app.id.0).is_dir()), "{found:?}");
    pod.kill().await;
    assert!(!directories(&last).is_empty());
    let _gone = Guard(pod.name().to_owned());

    let next = started("tree-next", None).await;
    wait_for("the dead controller's directory is gone", || async { directories(&last).is_empty() }).await;
    let last = format!("{pods}/{}", owner(&engine, &next).await);
    assert!(!directories(&last).is_empty());
    next.stop().await;
    assert!(directories(&last).is_empty());

    let limited = started("tree-limited", Some(96 * MIB)).await;
    let (_, status) = limited.command(&["/outrigger", "status"]).await;
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
        .or_else(|_| fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers"))
        .unwrap();
    if controllers.contains("memory") {
        let found = directories(&format!("{pods}/{}", owner(&engine, &limited).await));
        assert_eq!(text(&found, &["memory.max"]), (96 * MIB).to_string());
    } else {
        // The engine itself has dropped the limit.
        assert!(status.contains("cgroups: divided: the controller has no limits"), "{status}");
    }
    limited.stop().await;
}
