//! Volumes of a real volume driver: a plugin on the engine's plugin socket, served by this process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use outrigger::engine::{ContainerSpec, Engine};
use outrigger::pod::{Mount, MountKind, VolumeSpec};
use serde_json::{Value, json};

use super::pod::{PodUnderTest, component, wait_for};
use super::restart::{OwnEngine, carry};
use crate::support::{IMAGE, VolumeGuard, engine_or_fail, shell, skip, unique};

/// A volume driver (protocol version 1) whose volumes are directories. It knows the options `profile` and `snapshot-of`.
pub struct Driver {
    name: String,
    socket: PathBuf,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

struct State {
    root: tempfile::TempDir,
    /// Name and options of each volume.
    volumes: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    /// Every call, with the volume's name.
    calls: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl Driver {
    /// Listens in the directory where an engine looks for plugins.
    pub fn start(name: &str, plugins: &Path) -> Self {
        let name = unique("policy", name);
        let socket = plugins.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let state = Arc::new(State {
            root: tempfile::tempdir().unwrap(),
            volumes: Mutex::default(),
            calls: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&state);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                serving.serve(stream);
            }
        });
        Self { name, socket, state, accepting: Some(accepting) }
    }

    /// What the engine calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options that a volume was made with, where it was.
    pub fn options(&self, volume: &str) -> Option<BTreeMap<String, String>> {
        self.state.volumes.lock().unwrap().get(volume).cloned()
    }

    /// What is in a file of a volume.
    pub fn file(&self, volume: &str, file: &str) -> Option<String> {
        std::fs::read_to_string(self.state.root.path().join(volume).join(file)).ok()
    }

    /// How often the engine has made this call about a volume.
    pub fn calls(&self, call: &str, volume: &str) -> usize {
        let wanted = format!("{call} {volume}");
        self.state.calls.lock().unwrap().iter().filter(|made| **made == wanted).count()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _woken = UnixStream::connect(&self.socket);
        if let Some(accepting) = self.accepting.take() {
            let _ended = accepting.join();
        }
        let _removed = std::fs::remove_file(&self.socket);
    }
}

impl State {
    /// One request: the connection is closed afterwards.
    fn serve(&self, stream: UnixStream) {
        let mut reader = BufReader::new(stream);
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if line.to_ascii_lowercase().starts_with("transfer-encoding:") {
                length = usize::MAX;
            }
        }
        let body = if length == usize::MAX {
            chunks(&mut reader)
        } else {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            body
        };
        let call = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer = self.answer(&call, &asked).unwrap_or_else(|told| json!({ "Err": told })).to_string();
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        );
        let _gone = reader.get_mut().write_all(text.as_bytes());
    }

    fn answer(&self, call: &str, asked: &Value) -> Result<Value, String> {
        let name = asked["Name"].as_str().unwrap_or_default().to_owned();
        self.calls.lock().unwrap().push(format!("{} {name}", call.trim_start_matches("VolumeDriver.")));
        let place = |name: &str| -> PathBuf { self.root.path().join(name) };
        let known = |volume: &str| self.volumes.lock().unwrap().contains_key(volume);
        let found = |name: &str| json!({ "Name": name, "Mountpoint": place(name) });
        Ok(match call {
            "Plugin.Activate" => json!({ "Implements": ["VolumeDriver"] }),
            "VolumeDriver.Capabilities" => json!({ "Capabilities": { "Scope": "local" } }),
            "VolumeDriver.Create" => {
                let given: BTreeMap<String, String> = serde_json::from_value(asked["Opts"].clone()).unwrap_or_default();
                if let Some(profile) =
                    given.get("profile").filter(|profile| !["fast", "cheap"].contains(&profile.as_str()))
                {
                    return Err(format!("there is no profile {profile}"));
                }
                std::fs::create_dir_all(place(&name)).unwrap();
                if let Some(from) = given.get("snapshot-of") {
                    if !known(from) {
                        return Err(format!("there is no volume {from} to take a snapshot of"));
                    }
                    for entry in std::fs::read_dir(place(from)).unwrap().flatten() {
                        std::fs::copy(entry.path(), place(&name).join(entry.file_name())).unwrap();
                    }
                }
                self.volumes.lock().unwrap().insert(name, given);
                json!({ "Err": "" })
            }
            "VolumeDriver.List" => {
                let all: Vec<_> = self.volumes.lock().unwrap().keys().map(|name| found(name)).collect();
                json!({ "Volumes": all, "Err": "" })
            }
            _ if !known(&name) => return Err(format!("no volume {name}")),
            "VolumeDriver.Get" => json!({ "Volume": found(&name), "Err": "" }),
            "VolumeDriver.Path" | "VolumeDriver.Mount" => json!({ "Mountpoint": place(&name), "Err": "" }),
            "VolumeDriver.Remove" => {
                self.volumes.lock().unwrap().remove(&name);
                json!({ "Err": "" })
            }
            _ => json!({ "Err": "" }),
        })
    }
}

fn chunks(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..length]);
    }
}

fn volume(driver: &Driver, name: &str, options: &[(&str, &str)]) -> Mount {
    Mount {
        volume: Some(VolumeSpec {
            driver: driver.name.clone(),
            driver_opts: options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            labels: BTreeMap::from([("made-by".to_owned(), "policy".to_owned())]),
        }),
        ..Mount::new(MountKind::Volume, Some(name.to_owned()), "/data")
    }
}

/// Runs a script in a container with this mount to its end; answers its exit code.
async fn run(engine: &outrigger::engine::docker::Docker, name: &str, script: &str, mount: Mount) -> i32 {
    let (spec, _guard) = shell("policy", name, script);
    let id = engine
        .create(&ContainerSpec { mounts: vec![mount], network_mode: Some("none".to_owned()), ..spec })
        .await
        .unwrap()
        .0;
    engine.start(&id).await.unwrap();
    wait_for("the container has ended", || async { !engine.inspect(&id.0).await.unwrap().running }).await;
    let code = engine.inspect(&id.0).await.unwrap().exit_code;
    engine.remove(&id).await.unwrap();
    code
}

#[tokio::test]
async fn options_reach_the_driver_and_snapshots_hold_the_copy() {
    let Some(_shared) = engine_or_fail().await else { return };
    if !nix::unistd::geteuid().is_root() {
        return skip::missing("an engine of its own needs root");
    }
    let mut own = OwnEngine::new(true);
    let engine = own.start().await;
    carry(IMAGE, &own.socket()).await;
    let driver = Driver::start("driver", &own.path("plugins"));
    // They go with the engine.
    let data = unique("policy", "data");
    let options = [("profile", "fast"), ("size", "10GiB"), ("odd key", "a=b,c")];
    assert_eq!(run(&engine, "writes", "echo first > /data/x", volume(&driver, &data, &options)).await, 0);
    let expected = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    assert_eq!(driver.options(&data), Some(expected));
    assert_eq!(driver.file(&data, "x").as_deref(), Some("first\n"));
    assert!(driver.calls("Mount", &data) == 1 && driver.calls("Unmount", &data) == 1);
    assert_eq!(driver.calls("Remove", &data), 0, "a named volume outlives the container");
    let seen = engine.volume(&data).await.unwrap();
    assert_eq!((seen.driver, seen.options.get("profile").map(String::as_str)), (driver.name.clone(), Some("fast")));
    assert_eq!(seen.labels.get("made-by").map(String::as_str), Some("policy"));

    let snapshot = unique("policy", "snapshot");
    let from = [("snapshot-of", data.as_str())];
    let script = "test \"$(cat /data/x)\" = first && echo second > /data/x";
    assert_eq!(run(&engine, "copies", script, volume(&driver, &snapshot, &from)).await, 0);
    assert_eq!(driver.file(&snapshot, "x").as_deref(), Some("second\n"));
    assert_eq!(driver.file(&data, "x").as_deref(), Some("first\n"), "the snapshot is a copy");

    let (spec, _guard) = shell("policy", "wrong", "true");
    let wrong = unique("policy", "wrong");
    let spec = ContainerSpec { mounts: vec![volume(&driver, &wrong, &[("profile", "golden")])], ..spec };
    let told = engine.create(&spec).await.unwrap_err().to_string();
    assert!(told.contains("there is no profile golden"), "{told}");
}

#[tokio::test]
async fn names_of_volumes_are_the_stacks_and_the_tasks() {
    let Some(engine) = engine_or_fail().await else { return };
    let client = bollard::Docker::connect_with_defaults().unwrap();
    let make = async |labels: &[(&str, String)], name: String| {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let request = bollard::models::VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(labels),
            ..Default::default()
        };
        client.create_volume(request).await.unwrap();
        VolumeGuard(name)
    };
    let stack = unique("policy", "stack");
    // As `name: 'x_{{.Task.ID}}'` with a label makes it, as a stack does, and as Compose does.
    let task = make(&[("com.github.rycus86.podlike.volume-ref", "logs".to_owned())], unique("policy", "task")).await;
    let of_stack = make(&[("com.docker.stack.namespace", stack.clone())], format!("{stack}_data")).await;
    let of_compose = make(&[("com.docker.compose.volume", "cache".to_owned())], unique("policy", "compose")).await;
    let global = VolumeGuard(unique("policy", "global"));
    let mut pod = PodUnderTest::new(&engine, "policy-names").await;
    for (at, guard) in [&task, &of_stack, &of_compose].into_iter().enumerate() {
        pod.spec().mounts.push(Mount { volume: None, target: format!("/own/{at}"), ..bare(&guard.0) });
    }
    let more = format!("volumes: [\"logs:/a\", \"data:/b\", \"cache:/c\", \"{}:/d\"]", global.0);
    pod.label("pod.component.app", &component("for d in a b c d; do echo $d > /$d/x; done; exec sleep 1000", &more));
    pod.start().await;
    pod.reaches("running").await;
    let seen = engine.inspect(&format!("{}.podlike.app", pod.name())).await.unwrap();
    let names: BTreeMap<_, _> = seen.mounts.iter().map(|mount| (mount.target.as_str(), mount.name.as_str())).collect();
    let expected = [("/a", &task), ("/b", &of_stack), ("/c", &of_compose), ("/d", &global)];
    assert_eq!(names, expected.into_iter().map(|(target, guard)| (target, guard.0.as_str())).collect());
    pod.stop().await;
    for guard in [&task, &of_stack, &of_compose, &global] {
        assert!(engine.volume(&guard.0).await.is_ok(), "volumes stay when the pod has gone");
    }
}

fn bare(name: &str) -> Mount {
    Mount::new(MountKind::Volume, Some(name.to_owned()), String::new())
}
