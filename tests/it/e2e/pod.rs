//! A pod under test: its controller's container, and everything that is asked of it.

use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bollard::query_parameters::{InspectContainerOptions, StopContainerOptions};
use futures_util::StreamExt;
use outrigger::engine::docker::Docker;
use outrigger::engine::{ContainerId, ContainerSpec, Engine, EngineHealth, Fault, Inspection, LogsFrom, Output};
use outrigger::pod::life::ExecCommand;
use outrigger::pod::{Mount, MountKind};
use tokio::sync::OnceCell;

use crate::support::{Guard, IMAGE, LABEL, PATIENCE, import, unique};

/// Pause between two looks at something that can't be waited for.
const LOOK: Duration = Duration::from_millis(50);

/// The image's health check, of the Dockerfile.
fn health_check() -> &'static str {
    let lines = include_str!("../../../Dockerfile").lines();
    lines.into_iter().find(|line| line.starts_with("HEALTHCHECK ")).expect("the image has a health check")
}

/// The YAML of a component that runs a shell script, with more keys in flow style.
pub fn component(script: &str, more: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!("image: {IMAGE}\ncommand: [sh, -c, {script}]\n{more}\n")
}

/// Waits until something is so.
pub async fn wait_for<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// The image of the controller: `OUTRIGGER_IMAGE`, or one made of the binary that was just built.
pub async fn controller_image(engine: &Docker) -> String {
    static MADE: OnceCell<String> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        if let Ok(image) = std::env::var("OUTRIGGER_IMAGE") {
            assert!(engine.has_image(&image).await.unwrap(), "there is no image `{image}`: run `make image`");
            return image;
        }
        // Of this very checkout: another's tests may run at the same time.
        let tag = binary()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let image = format!("outrigger-test/controller:{tag:016x}");
        import(&image, &["ENTRYPOINT [\"/outrigger\"]", "LABEL outrigger.controller=true", health_check()], archive())
            .await;
        image
    })
    .await
    .clone()
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_outrigger")
}

/// The binaries, and the shared libraries that the larger one was linked with.
fn archive() -> Vec<u8> {
    let binary = binary();
    let linked = Command::new("ldd").arg(binary).output().expect("`ldd` tells the libraries").stdout;
    let linked = String::from_utf8(linked).unwrap();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned);
    let mut archive = tar::Builder::new(Vec::new());
    // The engine does not know the entries of sparse files.
    archive.sparse(false);
    for directory in ["tmp", "run", "var/lib/outrigger", "var/cache/outrigger"] {
        archive.append_dir(directory, "/tmp").unwrap();
    }
    // As in the image that is released: setgid, see the Dockerfile.
    for (binary, name) in [(binary, "outrigger"), (env!("CARGO_BIN_EXE_outrigger-idle"), "outrigger-idle")] {
        let program = std::fs::read(binary).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(program.len() as u64);
        header.set_mode(0o2755);
        header.set_uid(0);
        header.set_gid(65534);
        archive.append_data(&mut header, name, program.as_slice()).unwrap();
    }
    for library in libraries {
        let file = std::fs::canonicalize(&library).unwrap();
        archive.append_path_with_name(file, library.trim_start_matches('/')).unwrap();
    }
    archive.into_inner().unwrap()
}

/// One pod. Everything of it is removed when it is dropped.
pub struct PodUnderTest {
    engine: Docker,
    spec: ContainerSpec,
    id: Option<ContainerId>,
    directory: tempfile::TempDir,
    _guard: Guard,
}

impl PodUnderTest {
    /// A pod without components.
    pub async fn new(engine: &Docker, name: &str) -> Self {
        let mut spec = ContainerSpec::new(unique("e2e", name), controller_image(engine).await);
        spec.labels.insert(LABEL.to_owned(), spec.name.clone());
        spec.mounts.push(bind("/var/run/docker.sock", "/var/run/docker.sock"));
        let guard = Guard(spec.name.clone());
        Self { engine: engine.clone(), spec, id: None, directory: tempfile::tempdir().unwrap(), _guard: guard }
    }

    /// The same on another engine, whose socket lies in `directory`. The directory is mounted, not the socket: an engine that starts again makes a new one.
    pub fn beside(engine: &Docker, name: &str, image: &str, directory: &str) -> Self {
        let mut spec = ContainerSpec::new(unique("e2e", name), image);
        spec.labels.insert(LABEL.to_owned(), spec.name.clone());
        spec.mounts.push(bind(directory, "/engine"));
        spec.env.push("DOCKER_HOST=unix:///engine/docker.sock".to_owned());
        spec.network_mode = Some("none".to_owned());
        // Its containers go with the engine.
        let guard = Guard(spec.name.clone());
        Self { engine: engine.clone(), spec, id: None, directory: tempfile::tempdir().unwrap(), _guard: guard }
    }

    /// Name of the controller's container.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What the controller's container will be made of.
    pub fn spec(&mut self) -> &mut ContainerSpec {
        &mut self.spec
    }

    /// Adds a label to the controller's container.
    pub fn label(&mut self, key: &str, value: &str) {
        self.spec.labels.insert(key.to_owned(), value.to_owned());
    }

    /// Adds a flag of the controller.
    pub fn flag(&mut self, flag: &str) {
        self.spec.command.get_or_insert_default().push(flag.to_owned());
    }

    /// The controller does not get the engine's socket.
    pub fn without_socket(&mut self) {
        self.spec.mounts.clear();
    }

    /// A file in a directory that is mounted into the controller; answers its path there.
    pub fn volume_file(&mut self, name: &str, content: &str) -> String {
        let path = self.directory.path().to_str().unwrap().to_owned();
        self.spec.mounts.push(bind(&path, "/config"));
        self.change_file(name, content);
        format!("/config/{name}")
    }

    /// That directory on the host.
    pub fn host_directory(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    /// Puts another version of that file in place, as an editor does.
    pub fn change_file(&self, name: &str, content: &str) {
        let aside: PathBuf = self.directory.path().join(format!(".{name}.new"));
        std::fs::write(&aside, content).unwrap();
        std::fs::rename(aside, self.directory.path().join(name)).unwrap();
    }

    /// What is in a file of that directory by now.
    pub fn in_directory(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    /// The controller's container.
    pub fn id(&self) -> &ContainerId {
        self.id.as_ref().expect("the pod has been started")
    }

    /// A file of the controller's container, which is created for it, as an archive.
    pub async fn file(mut self, path: &str) -> bytes::Bytes {
        self.id = Some(self.engine.create(&self.spec).await.unwrap().0);
        self.engine.download(self.id(), path, 512 << 20).await.unwrap()
    }

    /// Starts the controller, creating it the first time.
    pub async fn start(&mut self) {
        if self.id.is_none() {
            self.id = Some(self.engine.create(&self.spec).await.unwrap().0);
        }
        // A busy engine's runtime loses a container's first process now and then, before it is the controller's.
        for again in [true, true, false] {
            match self.engine.start(self.id()).await {
                Err(error) if again && error.fault() == Fault::Transient => eprintln!("started again: {error}"),
                answer => return answer.unwrap(),
            }
        }
    }

    /// Names of the containers that the controller made, sorted.
    pub async fn components(&self) -> Vec<String> {
        let label = format!("outrigger.pod={}", self.id().0);
        let mut names: Vec<String> =
            self.engine.list(&[label]).await.unwrap().into_iter().map(|found| found.name).collect();
        names.sort();
        names
    }

    /// Waits for this stage of the pod.
    pub async fn reaches(&self, stage: &str) {
        wait_for(&format!("the pod is {stage}"), || async {
            let (code, said) = self.command(&["/outrigger", "status", "--json"]).await;
            let status: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
            code == 0 && status["stage"] == stage
        })
        .await;
    }

    /// What `outrigger status` says; null where nobody answers.
    pub async fn status(&self) -> serde_json::Value {
        let (_, said) = self.command(&["/outrigger", "status", "--json"]).await;
        serde_json::from_str(&said).unwrap_or_default()
    }

    /// What it says of one component.
    pub async fn status_of(&self, name: &str) -> serde_json::Value {
        let status = self.status().await;
        let components = status["components"].as_array().cloned().unwrap_or_default();
        components.into_iter().find(|component| component["name"] == name).unwrap_or_default()
    }

    /// What the engine says of one component.
    pub async fn inspect(&self, name: &str) -> Inspection {
        self.engine.inspect(&format!("{}.podlike.{name}", self.name())).await.unwrap()
    }

    /// Waits for this exit code of the image's health check.
    pub async fn health_check_answers(&self, code: i64) {
        wait_for(&format!("the health check answers {code}"), || async {
            self.command(&["/outrigger", "healthcheck"]).await.0 == code
        })
        .await;
    }

    /// Waits until the engine itself says so of the controller.
    pub async fn engine_calls_it(&self, health: EngineHealth) {
        wait_for(&format!("the engine calls the pod {health:?}"), || async {
            self.engine.inspect(&self.id().0).await.unwrap().health == Some(health)
        })
        .await;
    }

    /// The checks of the controller that the engine remembers, oldest first: it remembers five.
    pub async fn checks(&self) -> Vec<Check> {
        checks(&self.id().0).await
    }

    /// The same of a component.
    pub async fn checks_of(&self, name: &str) -> Vec<Check> {
        checks(&format!("{}.podlike.{name}", self.name())).await
    }

    /// Runs a command in the controller's container; answers its exit code and its output.
    pub async fn command(&self, argv: &[&str]) -> (i64, String) {
        exec(&self.engine, self.id(), argv).await
    }

    /// Runs a command in a component.
    pub async fn in_component(&self, name: &str, argv: &[&str]) -> (i64, String) {
        exec(&self.engine, &self.inspect(name).await.id, argv).await
    }

    /// Everything that the controller has written so far, both streams.
    pub async fn raw_log(&self) -> Vec<u8> {
        self.written(&[Output::Stdout, Output::Stderr]).await
    }

    /// What the components have written so far: the controller's own log may lie between the pieces of one of their lines.
    pub async fn output(&self) -> Vec<u8> {
        self.written(&[Output::Stdout]).await
    }

    async fn written(&self, streams: &[Output]) -> Vec<u8> {
        let mut frames = self.engine.logs(self.id(), LogsFrom { since: 0, timestamps: false });
        let mut log = Vec::new();
        // The log of a container that runs does not end: it is read until it pauses.
        let running = self.engine.inspect(&self.id().0).await.unwrap().running;
        let patience = if running { Duration::from_millis(300) } else { PATIENCE };
        while let Ok(Some(frame)) = tokio::time::timeout(patience, frames.next()).await {
            let frame = frame.unwrap();
            if streams.contains(&frame.output) {
                log.extend_from_slice(&frame.bytes);
            }
        }
        log
    }

    /// The same, as text.
    pub async fn log(&self) -> String {
        String::from_utf8_lossy(&self.raw_log().await).into_owned()
    }

    /// Waits until the controller has written this.
    pub async fn says(&self, text: &str) {
        self.says_one_of(&[text]).await;
    }

    /// Waits until the controller has written one of these, and answers which.
    pub async fn says_one_of<'t>(&self, texts: &[&'t str]) -> &'t str {
        let mut frames = self.engine.logs(self.id(), LogsFrom { since: 0, timestamps: false });
        let mut log = Vec::new();
        let found = async {
            while let Some(frame) = frames.next().await {
                log.extend_from_slice(&frame.unwrap().bytes);
                let so_far = String::from_utf8_lossy(&log);
                if let Some(text) = texts.iter().find(|text| so_far.contains(**text)) {
                    return Some(*text);
                }
            }
            None
        };
        let found = tokio::time::timeout(PATIENCE, found).await.ok().flatten();
        found.unwrap_or_else(|| panic!("none of {texts:?} was said; the log:\n{}", String::from_utf8_lossy(&log)))
    }

    /// Sends a signal to the controller.
    pub async fn signal(&self, signal: i32) {
        self.engine.signal(self.id(), signal).await.unwrap();
    }

    /// Kills the controller, so that it can clean up nothing.
    pub async fn kill(&self) {
        self.signal(9).await;
        wait_for("the controller is dead", || async { !self.engine.inspect(&self.id().0).await.unwrap().running })
            .await;
    }

    /// Asks the pod to stop, and answers its exit code.
    pub async fn stop(&self) -> i32 {
        self.signal(15).await;
        self.ends().await
    }

    /// Has the engine stop the pod, as `docker stop` does, and answers its exit code: 137 where the controller's grace period was too short for it.
    pub async fn is_stopped_by_the_engine(&self) -> i32 {
        let client = bollard::Docker::connect_with_defaults().unwrap();
        client.stop_container(&self.id().0, None::<StopContainerOptions>).await.unwrap();
        self.ends().await
    }

    /// Waits for the end of the pod, and answers its exit code.
    pub async fn is_over(&self) -> i32 {
        let began = Instant::now();
        while self.engine.inspect(&self.id().0).await.unwrap().running {
            assert!(began.elapsed() < PATIENCE, "the pod does not end; the log:\n{}", self.log().await);
            tokio::time::sleep(LOOK).await;
        }
        self.engine.inspect(&self.id().0).await.unwrap().exit_code
    }

    /// Waits for the end of the pod, sees that nothing of it is left, and answers its exit code.
    pub async fn ends(&self) -> i32 {
        let code = self.is_over().await;
        let (kept, left): (Vec<_>, Vec<_>) =
            self.components().await.into_iter().partition(|name| name.contains(".failed-"));
        assert_eq!(left, Vec::<String>::new(), "containers are left; the log:\n{}", self.log().await);
        // The one whose failure ended the pod remains for a look.
        assert!(kept.len() <= 1, "{kept:?}");
        for name in kept {
            let kept = self.engine.inspect(&name).await.unwrap();
            assert!(!kept.running, "{name} runs");
            self.engine.remove(&kept.id).await.unwrap();
        }
        code
    }
}

impl Drop for PodUnderTest {
    fn drop(&mut self) {
        // What a failed test leaves: the controller is killed by its own guard, its components here.
        if let Some(id) = &self.id {
            let label = format!("outrigger.pod={}", id.0);
            crate::support::remove_all(&label);
        }
    }
}

/// One of the engine's checks.
#[derive(Debug)]
pub struct Check {
    /// When it began, in seconds of the day.
    pub began: f64,
    /// When it ended, likewise.
    pub ended: f64,
    /// Its exit code; -1: the engine ended it.
    pub code: i64,
    /// What it printed.
    pub said: String,
}

async fn checks(container: &str) -> Vec<Check> {
    let client = bollard::Docker::connect_with_defaults().unwrap();
    let found = client.inspect_container(container, None::<InspectContainerOptions>).await.unwrap();
    let log = found.state.and_then(|state| state.health).and_then(|health| health.log).unwrap_or_default();
    let second = |at: Option<String>| {
        let at = at.expect("the engine notes when");
        let clock = at.split_once('T').unwrap().1.get(..12).unwrap().trim_end_matches(['Z', '+', '-']).to_owned();
        clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
    };
    log.into_iter()
        .map(|check| Check {
            began: second(check.start),
            ended: second(check.end),
            code: check.exit_code.unwrap_or_default(),
            said: check.output.unwrap_or_default(),
        })
        .collect()
}

async fn exec(engine: &Docker, id: &ContainerId, argv: &[&str]) -> (i64, String) {
    let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    match engine.exec(id, &ExecCommand::new(argv), PATIENCE, 1 << 20).await {
        Ok(done) => {
            let text = [done.stdout, done.stderr].concat();
            (done.exit_code, String::from_utf8(text).unwrap())
        }
        // The container may just have ended.
        Err(error) => (-1, error.to_string()),
    }
}

/// A writable mount of a path of the node.
pub fn bind(source: &str, target: &str) -> Mount {
    Mount::new(MountKind::Bind, Some(source.to_owned()), target)
}
