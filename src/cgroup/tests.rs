//! The tree on files, and whose cgroups are swept; slices are tested on an engine with systemd (`e2e::resources`).

use std::fs;
use std::path::Path;

use super::*;
use crate::engine::ContainerSpec;
use crate::engine::fake::FakeEngine;
use crate::plan::placement::{GroupLimits, tree_directory};

const OWNER: &str = "0123456789ab";
const ENGINE: &str = "THE:ENGINE";

/// The directory of the engine's pods.
fn pods(root: &Path) -> std::path::PathBuf {
    root.join(tree_directory(ENGINE))
}

fn group(root: &Path, limits: GroupLimits) -> PodGroup {
    PodGroup {
        means: Means::Tree(root.to_str().unwrap().to_owned()),
        owner: OWNER.to_owned(),
        pod: "web".to_owned(),
        engine: ENGINE.to_owned(),
        limits,
    }
}

/// A directory as a tree with these controllers, and the files that the kernel makes in the pod's cgroup.
fn tree(controllers: &str, files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let own = pods(root.path()).join(OWNER);
    fs::create_dir_all(&own).unwrap();
    fs::write(root.path().join("cgroup.controllers"), controllers).unwrap();
    for above in [root.path(), &root.path().join("outrigger"), &pods(root.path())] {
        fs::write(above.join("cgroup.subtree_control"), "").unwrap();
    }
    for file in files {
        fs::write(own.join(file), "").unwrap();
    }
    root
}

#[tokio::test]
async fn limits_are_written_as_the_kernel_reads_them() {
    let root = tree("cpuset cpu io memory pids\n", &["memory.max", "memory.swap.max", "cpu.max", "pids.max"]);
    let limits = GroupLimits { memory: Some(1 << 26), swap: Some(0), cpus: Some(1_500_000_000), pids: Some(64) };
    let keeper = Keeper::default();
    keeper.make(&group(root.path(), limits)).await.unwrap();
    let own = pods(root.path()).join(OWNER);
    let read = |file: &str| fs::read_to_string(own.join(file)).unwrap();
    assert_eq!(
        [read("memory.max"), read("memory.swap.max"), read("cpu.max"), read("pids.max")],
        ["67108864", "0", "150000 100000", "64"]
    );
    // The kernel takes one after the other; a file keeps what was written over it last.
    for above in [root.path().to_owned(), root.path().join("outrigger"), pods(root.path())] {
        assert!(fs::read_to_string(above.join("cgroup.subtree_control")).unwrap().starts_with("+pids"));
    }
    // Another run of the same controller has fewer limits.
    fs::write(own.join("pids.max"), "").unwrap();
    keeper.make(&group(root.path(), GroupLimits { pids: None, ..limits })).await.unwrap();
    assert_eq!(read("pids.max"), "max");
}

#[tokio::test]
async fn without_the_controller_nothing_is_made() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("cgroup.controllers"), "hugetlb\n").unwrap();
    let limits = GroupLimits { memory: Some(1 << 26), ..GroupLimits::default() };
    let error = Keeper::default().make(&group(root.path(), limits)).await.unwrap_err();
    assert_eq!(error.to_string(), "cgroup version 2 has no controller `memory` here");
    assert!(!root.path().join("outrigger").exists(), "what was half made is removed");
    let nothing = tempfile::tempdir().unwrap();
    let error = Keeper::default().make(&group(nothing.path(), limits)).await.unwrap_err();
    assert!(matches!(error, CgroupError::NoTree(_)), "{error}");
    assert!(!nothing.path().join("outrigger").exists());
}

#[tokio::test]
async fn what_was_made_is_removed_once() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("cgroup.controllers"), "").unwrap();
    let keeper = Keeper::default();
    keeper.make(&group(root.path(), GroupLimits::default())).await.unwrap();
    let own = pods(root.path()).join(OWNER);
    // The engine leaves those of containers that were kept.
    fs::create_dir(own.join("kept")).unwrap();
    keeper.release().await;
    assert!(!root.path().join("outrigger").exists());
    keeper.release().await;
}

#[tokio::test]
async fn a_bus_that_nobody_listens_to_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bus").to_str().unwrap().to_owned();
    let group = PodGroup { means: Means::Bus(socket.clone()), ..group(dir.path(), GroupLimits::default()) };
    let error = Keeper::default().make(&group).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("the system's D-Bus at `{socket}` does not answer: ")), "{error}");
    // One that hangs up is no bus either.
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let hangs_up = async {
        loop {
            drop(listener.accept().await);
        }
    };
    let keeper = Keeper::default();
    tokio::select! {
        made = keeper.make(&group) => assert!(matches!(made, Err(CgroupError::Bus(_))), "{made:?}"),
        () = hangs_up => {}
    }
}

#[tokio::test]
async fn only_idle_ones_with_an_owners_name_are_looked_at() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().to_str().unwrap();
    assert!(tree::idle(path, ENGINE).await.unwrap().is_empty(), "nobody has made any");
    for (owner, events) in [
        ("0123456789ab", Some("populated 0\nfrozen 0\n")),
        ("0123456789ac", Some("populated 1\nfrozen 0\n")),
        ("0123456789ad", None),
        ("somebody", Some("populated 0\n")),
        ("0123456789AB", Some("populated 0\n")),
    ] {
        let cgroup = pods(root.path()).join(owner);
        fs::create_dir_all(&cgroup).unwrap();
        if let Some(events) = events {
            fs::write(cgroup.join("cgroup.events"), events).unwrap();
        }
    }
    assert_eq!(tree::idle(path, ENGINE).await.unwrap(), [OWNER]);
}

#[tokio::test]
async fn only_owners_that_do_not_live_are_dead() {
    let engine = FakeEngine::new();
    let made = async |name: &str, running: bool| {
        let (id, _) = engine.create(&ContainerSpec::new(name, "outrigger")).await.unwrap();
        if running {
            engine.start(&id).await.unwrap();
        }
        id
    };
    let own = made("own", false).await;
    let (living, stopped, doubtful) =
        (made("living", true).await, made("stopped", false).await, made("doubtful", false).await);
    // A container of somebody else's that is called like an id.
    let _named = made(&"e".repeat(12), false).await;
    let engine = engine.fails("inspect", "doubtful", Fault::Transient, 1);
    let gone = "f".repeat(12);
    let owners = [&own, &living, &stopped, &doubtful].map(|id| id.short().to_owned());
    let owners = owners.into_iter().chain([gone.clone(), "e".repeat(12)]).collect();
    let mut expected = vec![stopped.short().to_owned(), gone];
    expected.sort();
    assert_eq!(dead(&engine, &own, owners).await, expected);
}
