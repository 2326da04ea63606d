//! What tests against a real engine share, and the guests of those against the plugin host.

pub mod guests;
pub mod skip;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt;
use outrigger::config::Timeouts;
use outrigger::engine::docker::Docker;
use outrigger::engine::{ContainerSpec, Engine};

/// The image that the tests run: a static busybox with all its links, made here because no registry may be in reach.
pub const IMAGE: &str = "outrigger-test/busybox:latest";

/// Set on every container that tests make.
pub const LABEL: &str = "outrigger-test";

/// Longest time that anything may take on the engine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const SOCKET: &str = "/var/run/docker.sock";

/// The engine with [`IMAGE`]; none where there is none: then the test is skipped.
///
/// # Panics
/// In CI, and where `make test` has brought an engine.
pub async fn engine_or_fail() -> Option<Docker> {
    let address = std::env::var("DOCKER_HOST").ok();
    let connected = async {
        let engine = Docker::connect(address.as_deref(), &Timeouts::default())?;
        engine.info().await?;
        Ok::<_, outrigger::engine::EngineError>(engine)
    };
    match connected.await {
        Ok(engine) => {
            make_image(&engine).await;
            Some(engine)
        }
        Err(error) if skip::brings_engine() => panic!("there is no engine, and no test may be left out: {error}"),
        Err(error) => {
            skip::missing(error);
            None
        }
    }
}

async fn make_image(engine: &Docker) {
    // Tests run side by side: one makes the image, the others wait.
    static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _making = MAKING.lock().await;
    if engine.has_image(IMAGE).await.expect("the engine tells its images") {
        return;
    }
    import(IMAGE, &[], busybox_tar()).await;
}

/// Makes an image of a root file system, as `docker import` does.
pub async fn import(image: &str, changes: &[&str], archive: Vec<u8>) {
    let (name, tag) = image.split_once(':').expect("the image has a tag");
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(name)
        .tag(tag)
        .changes(changes.iter().map(|change| (*change).to_owned()).collect())
        .build();
    let client = bollard::Docker::connect_with_defaults().expect("the engine is there");
    let body = bollard::body_full(archive.into());
    let done: Result<Vec<_>, _> = client.create_image(Some(options), Some(body), None).try_collect().await;
    done.expect("the image is imported");
}

/// The root file system: `/bin/busybox` and a link for each of its applets.
fn busybox_tar() -> Vec<u8> {
    let path = "/bin/busybox";
    let program = std::fs::read(path).expect("`/bin/busybox` is there: install `busybox-static`");
    let applets = Command::new(path).arg("--list").output().expect("busybox runs").stdout;
    let mut archive = tar::Builder::new(Vec::new());
    let mut entry = |kind: tar::EntryType, name: &str, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        if kind == tar::EntryType::Symlink {
            header.set_size(0);
            archive.append_link(&mut header, name, "busybox").expect("a link is added");
        } else {
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content).expect("an entry is added");
        }
    };
    for directory in ["bin/", "etc/", "tmp/", "var/"] {
        entry(tar::EntryType::Directory, directory, 0o777, &[]);
    }
    entry(tar::EntryType::Regular, "bin/busybox", 0o755, &program);
    entry(tar::EntryType::Regular, "etc/passwd", 0o644, b"root:x:0:0:root:/:/bin/sh\n");
    for applet in String::from_utf8_lossy(&applets).lines().filter(|name| *name != "busybox") {
        entry(tar::EntryType::Symlink, &format!("bin/{applet}"), 0o777, &[]);
    }
    archive.into_inner().expect("the archive ends")
}

/// A name that no other test has.
pub fn unique(task: &str, name: &str) -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel makes random ids");
    format!("{task}-{name}-{}", &uuid[..8])
}

/// Removes a container when dropped, also when the test fails.
pub struct Guard(pub String);

impl Drop for Guard {
    fn drop(&mut self) {
        request("DELETE", &format!("/containers/{}?force=1&v=1", self.0));
    }
}

/// Removes a volume when dropped.
pub struct VolumeGuard(pub String);

impl Drop for VolumeGuard {
    fn drop(&mut self) {
        request("DELETE", &format!("/volumes/{}?force=1", self.0));
    }
}

/// A request without a runtime, as `Drop` has none.
fn request(method: &str, path: &str) -> String {
    let address = std::env::var("DOCKER_HOST").unwrap_or_else(|_| SOCKET.to_owned());
    let socket = address.strip_prefix("unix://").unwrap_or(&address);
    let Ok(mut stream) = UnixStream::connect(socket) else { return String::new() };
    let asked = stream.write_all(format!("{method} {path} HTTP/1.0\r\nHost: engine\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let _read = asked.and_then(|()| stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Removes all containers with a label (`key=value`).
pub fn remove_all(label: &str) {
    let filters = format!("{{%22label%22:[%22{}%22]}}", label.replace('=', "%3D"));
    let listed = request("GET", &format!("/containers/json?all=1&filters={filters}"));
    let body = listed.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let found: Vec<serde_json::Value> = serde_json::from_str(body).unwrap_or_default();
    for id in found.iter().filter_map(|container| container["Id"].as_str()) {
        request("DELETE", &format!("/containers/{id}?force=1&v=1"));
    }
}

/// A container of [`IMAGE`] that runs a shell script.
pub fn shell(task: &str, name: &str, script: &str) -> (ContainerSpec, Guard) {
    let mut spec = ContainerSpec::new(unique(task, name), IMAGE);
    spec.command = Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec());
    spec.labels.insert(LABEL.to_owned(), spec.name.clone());
    let guard = Guard(spec.name.clone());
    (spec, guard)
}
