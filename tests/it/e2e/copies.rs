//! Files and directories of the controller in components, as a real engine unpacks them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use outrigger::engine::Engine as _;

use super::pod::{PodUnderTest, component};
use crate::support::engine_or_fail;

/// Gives a file to somebody; only root may, and the engine's socket is root's.
fn give(path: &Path, owner: u32, group: u32, mode: u32) {
    chown(path, Some(owner), Some(group)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// As Swarm gives a secret to a service, and a directory beside it.
fn fill(pod: &mut PodUnderTest) {
    pod.volume_file("secret", "s3cret");
    let root = Path::new(pod.host_directory());
    give(root, 0, 0, 0o755);
    give(&root.join("secret"), 1000, 1000, 0o400);
    let tree = root.join("tree");
    fs::create_dir_all(tree.join("sub/empty")).unwrap();
    fs::write(tree.join("sub/run.sh"), "#!/bin/sh\necho \"ran as $(id -u)\"\n").unwrap();
    fs::write(tree.join("plain"), "text").unwrap();
    symlink("sub/run.sh", tree.join("link")).unwrap();
    give(&tree, 1000, 1001, 0o750);
    give(&tree.join("sub"), 1000, 1000, 0o755);
    give(&tree.join("sub/empty"), 1000, 1000, 0o711);
    give(&tree.join("sub/run.sh"), 1000, 1000, 0o500);
    give(&tree.join("plain"), 0, 1000, 0o640);
}

/// Octal mode, owner, group and path.
async fn rights(pod: &PodUnderTest, name: &str, paths: &[&str]) -> Vec<String> {
    let (code, said) = pod.in_component(name, &[&["stat", "-c", "%a %u %g %n"], paths].concat()).await;
    assert_eq!(code, 0, "{said}");
    said.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn modes_owners_directories_and_what_is_on_the_way() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-copies").await;
    fill(&mut pod);
    let script = "echo ready; exec sleep 1000";
    pod.label("pod.component.app", &component(script, "user: \"1000\"\nread_only: true\nvolumes: [/data]"));
    pod.label(
        "pod.copy.app",
        "[/config/secret:/data/on/the/way/, /config/tree:/data/sub/tree, {source: /config/secret, target: /data/given, mode: '0640', uid: 7, gid: 8}, \
         {source: /config/tree, target: /data/owned, mode: '0555', uid: 1000, gid: 9}]",
    );
    pod.label("pod.component.root", &component(script, ""));
    pod.label("pod.copy.root", "[/config/tree:/etc/, {source: /config/tree, target: /tmp}]");
    pod.start().await;
    pod.reaches("running").await;

    let found = rights(
        &pod,
        "app",
        &[
            "/data/on/the/way",
            "/data/on/the/way/secret",
            "/data/given",
            "/data/sub",
            "/data/sub/tree",
            "/data/sub/tree/sub",
            "/data/sub/tree/sub/empty",
            "/data/sub/tree/sub/run.sh",
            "/data/owned",
            "/data/owned/sub/empty",
            "/data/owned/plain",
        ],
    )
    .await;
    assert_eq!(
        found,
        [
            "755 0 0 /data/on/the/way",
            "400 1000 1000 /data/on/the/way/secret",
            "640 7 8 /data/given",
            "755 0 0 /data/sub",
            "750 1000 1001 /data/sub/tree",
            "755 1000 1000 /data/sub/tree/sub",
            "711 1000 1000 /data/sub/tree/sub/empty",
            "500 1000 1000 /data/sub/tree/sub/run.sh",
            "750 1000 9 /data/owned",
            "711 1000 9 /data/owned/sub/empty",
            "555 1000 9 /data/owned/plain",
        ]
    );
    assert_eq!(pod.in_component("app", &["cat", "/data/on/the/way/secret"]).await, (0, "s3cret".to_owned()));
    assert_eq!(pod.in_component("app", &["readlink", "/data/sub/tree/link"]).await.1.trim(), "sub/run.sh");
    assert_eq!(pod.in_component("app", &["/data/sub/tree/link"]).await, (0, "ran as 1000\n".to_owned()));

    // It was there: it stays as the image has it.
    let tmp = rights(&pod, "app", &["/tmp"]).await.remove(0);
    let found = rights(&pod, "root", &["/etc/tree", "/etc/tree/plain", "/tmp", "/tmp/plain", "/etc/passwd"]).await;
    assert_eq!(
        found,
        [
            "750 1000 1001 /etc/tree",
            "640 0 1000 /etc/tree/plain",
            tmp.as_str(),
            "640 0 1000 /tmp/plain",
            "644 0 0 /etc/passwd",
        ]
    );
    pod.stop().await;
}

#[tokio::test]
async fn a_large_directory_arrives_whole() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-large").await;
    pod.volume_file("file", "");
    let tree = Path::new(pod.host_directory()).join("large");
    fs::create_dir(&tree).unwrap();
    // 30 MB in files of odd lengths, and many small ones with names that a tar header has no room for.
    for n in 0..30_usize {
        fs::write(tree.join(format!("{n:02}")), vec![b'a' + n as u8 % 26; 1_000_000 + n]).unwrap();
    }
    let deep = tree.join("d".repeat(120)).join("e".repeat(120));
    fs::create_dir_all(&deep).unwrap();
    for n in 0..1000 {
        fs::write(deep.join(n.to_string()), n.to_string()).unwrap();
    }
    let sums = "cd /made/large && find . -type f | sort | xargs md5sum | md5sum";
    pod.label("pod.component.app", &component(&format!("{sums}; exec sleep 1000"), ""));
    pod.label("pod.copy.app", "/config/large:/made/");
    pod.start().await;
    pod.reaches("running").await;
    // This machine's shell: it need not have BusyBox, whose `sort` compares bytes.
    let here = std::process::Command::new("sh")
        .args(["-c", &sums.replace("/made/large", tree.to_str().unwrap())])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let here = String::from_utf8(here.stdout).unwrap();
    pod.says(&format!("[out] app: {}", here.trim())).await;
    pod.stop().await;
}

#[tokio::test]
async fn a_read_only_root_takes_no_files() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-readonly").await;
    fill(&mut pod);
    pod.label("pod.component.app", &component("exec sleep 1000", "read_only: true"));
    pod.label("pod.copy.app", "/config/tree:/made/here");
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    assert!(log.contains("`/made/here` is in the component's root file system, which is `read_only`"), "{log}");
    assert!(log.contains("mount a volume at `/made`") || log.contains("a directory of its own"), "{log}");
    let app = engine.inspect(&format!("{}.podlike.app", pod.name())).await;
    assert_eq!(app.unwrap_err().fault(), outrigger::engine::Fault::NotFound);
}

#[tokio::test]
async fn a_directory_that_can_not_be_copied_is_told_before_anything_starts() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-refused").await;
    fill(&mut pod);
    symlink("/etc/shadow", Path::new(pod.host_directory()).join("tree/sub/out")).unwrap();
    pod.label("pod.component.app", &component("exec sleep 1000", ""));
    pod.label("pod.copy.app", "/config/tree:/made/here");
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    let expected = "`pod.copy.app`: cannot read `/config/tree`: `sub/out`: this is a link that leads out of the directory, to `/etc/shadow`";
    assert!(log.contains(expected), "{log}");
}

#[tokio::test]
async fn what_is_no_file_in_a_directory_is_left_out_with_a_warning() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-strange").await;
    fill(&mut pod);
    let tree = Path::new(pod.host_directory()).join("tree");
    nix::unistd::mkfifo(&tree.join("sub/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(tree.join("sub/beside"), "beside the pipe\n").unwrap();
    pod.label("pod.component.app", &component("cat /made/here/sub/beside; exec sleep 1000", ""));
    pod.label("pod.copy.app", "/config/tree:/made/here");
    pod.start().await;
    pod.says("[out] app: beside the pipe").await;
    let log = pod.log().await;
    assert!(log.contains("component `app`: `copy` leaves out `/config/tree/sub/pipe`: this is a named pipe"), "{log}");
    pod.stop().await;
}
