//! Several nodes: three engines in one Swarm, a service of pods, an update under load, and a node that is lost.
//!
//! The engines are those of `scripts/engines` (`node1` …): as root, each in namespaces of its own, connected by a bridge.

mod load;
mod shutdown;
mod updates;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use self::load::{Load, get};
use crate::e2e::controller_image;
use crate::support::{IMAGE, engine_or_fail, skip};

const NODES: [&str; 3] = ["node1", "node2", "node3"];
const ADDRESSES: [&str; 3] = ["10.213.7.1", "10.213.7.2", "10.213.7.3"];
const PORT: u16 = 18080;
const SERVICE: &str = "web";

/// Longest time for anything that a Swarm is waited for: it notices a lost node only after some missed heartbeats.
const PATIENCE: Duration = Duration::from_secs(90);

/// The addresses of the nodes are the machine's: one test at a time, of whatever checkout.
const LOCK: &str = "/tmp/outrigger-nodes.lock";

/// Engines in one Swarm; removed with all that they hold when dropped.
struct Nodes {
    nodes: &'static [&'static str],
    _lock: Flock<File>,
}

impl Nodes {
    /// Three empty engines with these images, joined to one Swarm; every one of them is a manager, so that any one can be lost.
    fn start(images: &[&str]) -> Self {
        Self::of(&NODES, images)
    }

    fn of(nodes: &'static [&'static str], images: &[&str]) -> Self {
        let file = File::options().create(true).append(true).open(LOCK).unwrap();
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).unwrap();
        let started = Self { nodes, _lock: lock };
        for node in nodes.iter().copied() {
            engines(&["forget", node]);
            engines(&["start", node]);
            engines(&[&["carry", node], images].concat());
        }
        // Heartbeats of one second: a lost node is noticed in a few.
        docker("node1", &["swarm", "init", "--advertise-addr", ADDRESSES[0], "--dispatcher-heartbeat", "1s"]);
        let token = docker("node1", &["swarm", "join-token", "--quiet", "manager"]);
        for (node, address) in nodes.iter().zip(ADDRESSES).skip(1) {
            let first = format!("{}:2377", ADDRESSES[0]);
            docker(node, &["swarm", "join", "--token", &token, "--advertise-addr", address, &first]);
        }
        started
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in self.nodes {
            let _forgotten = script(&["forget", node]);
        }
    }
}

fn script(words: &[&str]) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engines")).args(words).output().unwrap()
}

fn engines(words: &[&str]) -> String {
    told(words, &script(words))
}

fn told(words: &[&str], output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} failed: {said}\n{errors}");
    said
}

fn address(node: &str) -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), std::path::PathBuf::from);
    format!("unix://{}/engines/{node}/run/docker.sock", target.display())
}

/// The docker command on one of the nodes.
fn docker_output(node: &str, words: &[&str]) -> Output {
    Command::new("docker").args(["--host", &address(node)]).args(words).output().unwrap()
}

/// What our own command says on standard error, asking one of the nodes.
fn outrigger(node: &str, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    let done = command.args(words).env("DOCKER_HOST", address(node)).output().unwrap();
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn docker(node: &str, words: &[&str]) -> String {
    told(words, &docker_output(node, words))
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

async fn wait_for(what: &str, mut so: impl FnMut() -> bool, evidence: impl Fn() -> String) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}\n{}", evidence());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// The tasks of a service, newest first; none if there is no such service.
fn tasks(manager: &str, service: &str, format: &str) -> String {
    let listed = docker_output(manager, &["service", "ps", service, "--no-trunc", "--format", format]);
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

/// The nodes on which a task of the service runs that should.
fn running(service: &str) -> Vec<String> {
    let mut nodes: Vec<String> = tasks("node1", service, "{{.Node}} {{.DesiredState}} {{.CurrentState}}")
        .lines()
        .filter_map(|line| line.split_once(" Running Running"))
        .map(|(node, _since)| node.trim_start_matches("outrigger-").to_owned())
        .collect();
    nodes.sort();
    nodes
}

fn evidence() -> String {
    let mut text = docker("node1", &["service", "ps", SERVICE, "--no-trunc"]);
    for node in NODES {
        let listed = docker_output(node, &["ps", "-a"]);
        text.push_str(&format!("\n{node}:\n{}", String::from_utf8_lossy(&listed.stdout)));
    }
    text
}

/// Containers on a node that some controller made, each with its controller's id.
fn components(node: &str) -> Vec<(String, String)> {
    let format = "{{.Names}} {{.Label \"outrigger.pod\"}}";
    docker(node, &["ps", "-a", "--filter", "label=outrigger.pod", "--format", format])
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, pod)| (name.to_owned(), pod.to_owned()))
        .collect()
}

/// Components whose controller does not run.
fn orphans(node: &str) -> Vec<String> {
    let controllers = lines(&docker(node, &["ps", "--quiet", "--no-trunc"]));
    components(node).into_iter().filter(|(_, pod)| !controllers.contains(pod)).map(|(name, _)| name).collect()
}

/// The pod: a web server that answers with the version that it is of.
fn create_service(image: &str) {
    let script = "mkdir /www; echo \"$VERSION\" > /www/index.html; exec httpd -f -p 8080 -h /www";
    let label = |version: &str| {
        let command = serde_json::to_string(script).unwrap();
        format!("pod.component.app=image: {IMAGE}\ncommand: [sh, -c, {command}]\nenvironment: {{VERSION: {version}}}\n")
    };
    docker("node1", &["network", "create", "--driver", "overlay", "pods"]);
    docker(
        "node1",
        &[
            "service",
            "create",
            "--detach",
            "--quiet",
            "--no-resolve-image",
            "--name",
            SERVICE,
            "--replicas",
            "2",
            "--network",
            "pods",
            "--endpoint-mode",
            "dnsrr",
            "--publish",
            &format!("mode=host,published={PORT},target=8080"),
            "--mount",
            "type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock",
            "--update-order",
            "start-first",
            "--update-monitor",
            "1s",
            "--stop-grace-period",
            "20s",
            "--health-interval",
            "500ms",
            "--container-label",
            &label("one"),
            image,
        ],
    );
}

fn update_service() {
    let was = docker(
        "node1",
        &[
            "service",
            "inspect",
            SERVICE,
            "--format",
            "{{index .Spec.TaskTemplate.ContainerSpec.Labels \"pod.component.app\"}}",
        ],
    );
    let label = format!("pod.component.app={}", was.replace("VERSION: one", "VERSION: two"));
    docker(
        "node1",
        &["service", "update", "--detach", "--quiet", "--no-resolve-image", "--container-label-add", &label, SERVICE],
    );
}

fn may_start_engines() -> bool {
    if std::env::var_os("CI").is_none() {
        skip::missing("engines of their own are started only if CI is set");
        return false;
    }
    assert!(nix::unistd::geteuid().is_root(), "only root can start engines, and in CI no test may be left out");
    true
}

#[tokio::test]
async fn pods_are_updated_under_load_and_move_when_a_node_is_lost() {
    if !may_start_engines() {
        return;
    }
    let Some(engine) = engine_or_fail().await else { return };
    let image = controller_image(&engine).await;
    let _nodes = Nodes::start(&[&image, IMAGE]);
    create_service(&image);
    wait_for("two pods run", || running(SERVICE).len() == 2, evidence).await;
    // Asked on one node, the commands report on which nodes the other replicas are, also if none is here.
    for (asked, command) in NODES.iter().flat_map(|node| ["status", "logs"].map(|command| (*node, command))) {
        let told = outrigger(asked, &[command, SERVICE]);
        let places = running(SERVICE);
        for node in places.iter().filter(|node| *node != asked) {
            assert!(told.contains(&format!(" on outrigger-{node} (running)")), "{command} on {asked}: {node}: {told}");
        }
        let is_here = places.iter().any(|node| node == asked);
        assert_eq!(told.contains("this engine has no pod of `web`"), !is_here, "{command} on {asked}: {told}");
        let own = told.contains(&format!(" on outrigger-{asked} "));
        assert!(!own, "{command} on {asked} names the node itself: {told}");
    }
    let load = Load::start(ADDRESSES.map(|address| format!("{address}:{PORT}")).to_vec());
    wait_for("the first answer", || load.counted().answers("one") > 0, evidence).await;
    let before = load.counted();

    // One pod after the other, each replaced only once its successor is healthy.
    update_service();
    let state = ["service", "inspect", SERVICE, "--format", "{{.UpdateStatus.State}}"];
    wait_for("the update is complete", || docker("node1", &state) == "completed", evidence).await;
    wait_for("two pods run", || running(SERVICE).len() == 2, evidence).await;
    let updated = load.counted();
    assert_eq!(updated.failed, before.failed, "an update drops no request: {updated:?}");
    assert!(updated.answers("two") > 0, "{updated:?}");
    wait_for("what the update replaced is gone", || NODES.iter().all(|node| orphans(node).is_empty()), evidence).await;

    // A node loses its power. Not the first, which is asked for all of this.
    let lost = running(SERVICE).into_iter().find(|node| node != "node1").unwrap();
    let had: Vec<_> = components(&lost).into_iter().map(|(name, _)| name).collect();
    assert!(!had.is_empty());
    engines(&["kill", &lost]);
    let moved = || {
        let now = running(SERVICE);
        now.len() == 2 && !now.contains(&lost)
    };
    wait_for("the pod has moved", moved, || docker("node1", &["service", "ps", SERVICE])).await;
    let after = load.counted();
    assert_eq!(after.failed, updated.failed, "the other pod goes on: {after:?}");

    // It comes back, with its disk: what the lost pod was made of is there, and nobody's.
    engines(&["start", &lost]);
    let format = "{{.Status.State}}";
    let hostname = format!("outrigger-{lost}");
    wait_for(
        "the node is back",
        || docker("node1", &["node", "inspect", &hostname, "--format", format]) == "ready",
        evidence,
    )
    .await;
    let left: BTreeSet<_> = components(&lost).into_iter().map(|(name, _)| name).collect();
    assert!(had.iter().all(|name| left.contains(name)), "left over are {left:?} of {had:?}");
    // The next controller on that node cleans up.
    docker("node1", &["service", "scale", "--detach", &format!("{SERVICE}=3")]);
    wait_for("a pod runs on every node", || running(SERVICE) == NODES, evidence).await;
    wait_for("nothing is left of the lost pod", || NODES.iter().all(|node| orphans(node).is_empty()), evidence).await;
    for node in NODES {
        assert_eq!(components(node).len(), 1, "{node}: {:?}", components(node));
    }
    let counted = load.stop().await;
    eprintln!("{counted:?}");
    assert_eq!(counted.failed, before.failed, "{counted:?}");

    // The service goes, and its pods leave nothing.
    docker("node1", &["service", "rm", SERVICE]);
    let empty = || NODES.iter().all(|node| docker(node, &["ps", "--all", "--quiet"]).is_empty());
    wait_for("every container is gone", empty, String::new).await;
}

/// `examples/hello` as it is, but for the image's name.
#[tokio::test]
async fn the_services_of_the_hello_example_find_each_other_from_node_to_node() {
    if !may_start_engines() {
        return;
    }
    let Some(engine) = engine_or_fail().await else { return };
    let image = controller_image(&engine).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    told(&["demo-images"], &Command::new(root.join("scripts/demo-images")).output().unwrap());
    let example = root.join("examples/hello");
    let directory = tempfile::tempdir().unwrap();
    let stack = std::fs::read_to_string(example.join("stack.yml")).unwrap();
    let renamed = stack.replacen("image: outrigger\n", &format!("image: {image}\n"), 1);
    assert_ne!(stack, renamed);
    std::fs::write(directory.path().join("stack.yml"), renamed).unwrap();
    std::fs::copy(example.join("hello.py"), directory.path().join("hello.py")).unwrap();

    let _nodes = Nodes::start(&[&image, "python:3-slim"]);
    let zone = |node: &str, zone: &str| {
        docker("node1", &["node", "update", "--label-add", &format!("hello.zone={zone}"), &format!("outrigger-{node}")])
    };
    zone("node1", "south");
    zone("node2", "south");
    zone("node3", "east");
    let file = directory.path().join("stack.yml");
    docker("node1", &["stack", "deploy", "--resolve-image", "never", "-c", file.to_str().unwrap(), "hello"]);
    let told = || {
        let services = ["hello_front", "hello_hello", "hello_world"];
        services.map(|service| docker("node1", &["service", "ps", "--no-trunc", service])).join("\n")
    };
    wait_for("`front` runs", || running("hello_front").len() == 1, told).await;
    wait_for("`hello` runs twice", || running("hello_hello").len() == 2, told).await;
    // Evenly over the zones, not over the nodes: one of the two is where the third node is alone.
    let spread = running("hello_hello");
    assert!(spread[0] != "node3" && spread[1] == "node3", "{spread:?}");
    assert!(running("hello_world").is_empty(), "no node is in the zone `north`");

    zone("node2", "north");
    wait_for("`world` runs where it may", || running("hello_world") == ["node2"], told).await;
    let front = running("hello_front").remove(0);
    let at = NODES.iter().zip(ADDRESSES).find(|(node, _)| **node == front).map(|(_, address)| address).unwrap();
    let [one, two] = [1, 2].map(|slot| node_of(&format!("hello_hello.{slot}")));
    let both = format!("hello is hello.1 on {one}, hello.2 on {two}");
    for (path, who, other) in [
        ("/view", "front", "world is world.1 on outrigger-node2".to_owned()),
        ("/of/world", "world", format!("front is front.1 on outrigger-{front}")),
        ("/view", "front", both.clone()),
        ("/of/world", "world", both.clone()),
        ("/of/hello", "hello", "world is world.1 on outrigger-node2".to_owned()),
        ("/of/hello", "hello", format!("front is front.1 on outrigger-{front}")),
    ] {
        let wanted = format!("{who}: {other}");
        let began = Instant::now();
        loop {
            let said = get(&format!("{at}:8080"), path, PATIENCE).await.unwrap_or_else(|error| error.to_string());
            if said.lines().any(|line| line == wanted) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{path}: `{wanted}` is not in\n{said}\n{}", told());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    docker("node1", &["stack", "rm", "hello"]);
    let empty = || NODES.iter().all(|node| docker(node, &["ps", "--all", "--quiet"]).is_empty());
    wait_for("every container is gone", empty, String::new).await;
}

/// The node that a task is on which should run.
fn node_of(task: &str) -> String {
    let (service, _) = task.rsplit_once('.').unwrap();
    let listed = docker(
        "node1",
        &["service", "ps", service, "--filter", "desired-state=running", "--format", "{{.Name}} {{.Node}}"],
    );
    let found = listed.lines().find_map(|line| line.strip_prefix(&format!("{task} ")));
    found.unwrap_or_else(|| panic!("no {task} in {listed}")).trim().to_owned()
}
