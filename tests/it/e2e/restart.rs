//! An engine of the test's own, with `live-restore`, that is stopped and started under a running pod.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::TryStreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use outrigger::config::Timeouts;
use outrigger::engine::Engine;
use outrigger::engine::docker::Docker;

use super::pod::{PodUnderTest, component, controller_image, wait_for};
use crate::support::{IMAGE, engine_or_fail, skip};

/// An engine with its own directories. Ended, with its containers, when dropped.
pub struct OwnEngine {
    directory: tempfile::TempDir,
    daemon: Option<Child>,
    /// Whether it looks for plugins in a directory of its own: an engine never forgets a volume driver, and asks it about every volume that it does not know.
    own_plugins: bool,
}

impl OwnEngine {
    /// Not started yet.
    pub fn new(own_plugins: bool) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), daemon: None, own_plugins }
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its address.
    pub fn socket(&self) -> String {
        format!("unix://{}", self.path("socket/docker.sock").display())
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) -> Docker {
        std::fs::create_dir_all(self.path("socket")).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        // In a network namespace of its own: an engine without a bridge removes `docker0` wherever it finds it.
        let mut daemon = Command::new("unshare");
        if self.own_plugins {
            std::fs::create_dir_all(self.path("plugins")).unwrap();
            let mount =
                "mkdir -p /run/docker/plugins && mount --bind \"$0\" /run/docker/plugins && exec dockerd \"$@\"";
            daemon.args(["--net", "--mount", "--", "sh", "-c", mount]).arg(self.path("plugins"));
        } else {
            daemon.args(["--net", "--", "dockerd"]);
        }
        let daemon = daemon
            .args(["--live-restore", "--bridge=none", "--iptables=false", "--ip6tables=false"])
            .arg(format!("--host={}", self.socket()))
            .arg(format!("--data-root={}", self.path("data").display()))
            .arg(format!("--exec-root={}", self.path("exec").display()))
            .arg(format!("--pidfile={}", self.path("pid").display()))
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("`unshare` is installed");
        self.daemon = Some(daemon);
        let connect = || Docker::connect(Some(&self.socket()), &Timeouts::default());
        wait_for("connected to the engine", || async {
            match connect() {
                Ok(engine) => engine.info().await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
        connect().unwrap()
    }

    /// Ends the daemon; its containers live on.
    fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGTERM).unwrap();
        daemon.wait().unwrap();
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        // Containers outlive this engine, so they are ended first.
        if self.daemon.is_some() {
            let socket = self.socket();
            let list = Command::new("docker").args(["-H", &socket, "ps", "-aq"]).output();
            let ids = list.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            for id in ids.split_whitespace() {
                let _removed = Command::new("docker").args(["-H", &socket, "rm", "-fv", id]).output();
            }
        }
        self.stop();
        for mount in mounts_below(self.directory.path()) {
            let _unmounted = Command::new("umount").arg("-l").arg(mount).output();
        }
    }
}

fn mounts_below(directory: &Path) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below =
        |line: &str| line.split(' ').nth(1).filter(|path| Path::new(path).starts_with(directory)).map(str::to_owned);
    mounts.lines().rev().filter_map(below).collect()
}

/// Carries an image from one engine to the other.
pub async fn carry(image: &str, socket: &str) {
    let from = bollard::Docker::connect_with_defaults().unwrap();
    let to = bollard::Docker::connect_with_socket(socket, 120, bollard::API_DEFAULT_VERSION).unwrap();
    let archive: Vec<bytes::Bytes> = from.export_image(image).try_collect().await.unwrap();
    let body = bollard::body_full(archive.concat().into());
    let loaded: Vec<_> =
        to.import_image(ImportImageOptionsBuilder::new().build(), body, None).try_collect().await.unwrap();
    assert!(!loaded.is_empty());
}

#[tokio::test]
async fn a_pod_outlives_its_engine_and_misses_no_exit() {
    let Some(first) = engine_or_fail().await else { return };
    if !nix::unistd::geteuid().is_root() {
        skip::missing("an engine of its own needs root");
        return;
    }
    let image = controller_image(&first).await;
    let mut own = OwnEngine::new(false);
    let engine = own.start().await;
    carry(&image, &own.socket()).await;
    carry(IMAGE, &own.socket()).await;

    let mut pod = PodUnderTest::beside(&engine, "engine", &image, own.path("socket").to_str().unwrap());
    // Ends when it is told to, while nobody can see it.
    let config = pod.volume_file("go", "");
    let script = format!(
        "echo ready; until grep -q one {config}; do sleep 0.1; done; echo one; until grep -q now {config}; do sleep 0.1; done; exit 21"
    );
    pod.label(
        "pod.component.app",
        &component(&script, "volumes: [VOLUME]").replace("VOLUME", &format!("{}:/config", pod.host_directory())),
    );
    pod.label("pod.component.web", &component("echo ready; exec sleep 1000", ""));
    pod.start().await;
    pod.says("[out] app: ready").await;
    pod.reaches("running").await;

    // Once up and down: the pod goes on.
    own.stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    own.start().await;
    pod.reaches("running").await;
    assert_eq!(pod.components().await.len(), 3);
    pod.change_file("go", "one");
    pod.says("[out] app: one").await;

    own.stop();
    pod.change_file("go", "now");
    // Long enough for the component to see it and to exit.
    tokio::time::sleep(Duration::from_secs(2)).await;
    own.start().await;
    assert_eq!(pod.ends().await, 21);
    let log = pod.log().await;
    assert_eq!(log.matches("\n[out] app: ready").count(), 1, "no line is told twice:\n{log}");
}
