//! Stacks on a real Swarm of one node: an application's new version, and how long its pods may take to stop.
//!
//! The engine that the tests run on is used as it is if it is a manager. Otherwise root gets an engine of its own in CI, `node5` of `scripts/engines`, which is gone
//! afterwards: no test makes somebody's engine a Swarm.

mod recipes;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use crate::e2e::pod::{component, controller_image};
use crate::support::{IMAGE, engine_or_fail, skip, unique};

const NODE: &str = "node5";

/// The address of the node is the machine's: one process at a time, of whatever checkout.
const LOCK: &str = "/tmp/outrigger-swarm.lock";

/// Longest time for anything that a Swarm is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A manager, and the controller's image on it.
pub struct Swarm {
    /// For `DOCKER_HOST`; none: as the environment has it.
    host: Option<String>,
    image: String,
    _own: Option<(Flock<File>, Own)>,
}

/// The engine that was started for the test.
struct Own;

impl Drop for Own {
    fn drop(&mut self) {
        let _forgotten = engines(&["forget", NODE]);
    }
}

fn engines(words: &[&str]) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engines")).args(words).output().unwrap()
}

fn said(words: &[&str], output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{words:?} failed: {out}\n{}", String::from_utf8_lossy(&output.stderr));
    out
}

impl Swarm {
    /// The one that is there, or one that is made; none if there may be none.
    pub async fn find() -> Option<Self> {
        let engine = engine_or_fail().await?;
        let image = controller_image(&engine).await;
        let there = Self { host: None, image: image.clone(), _own: None };
        if there.docker(&["info", "--format", "{{.Swarm.ControlAvailable}}"]) == "true" {
            return Some(there);
        }
        if !skip::brings_engine() || !nix::unistd::geteuid().is_root() {
            skip::missing("this engine is no manager of a Swarm, and only root starts another one, where CI is set");
            return None;
        }
        let file = File::options().create(true).append(true).open(LOCK).unwrap();
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).unwrap();
        let _forgotten = engines(&["forget", NODE]);
        let own = Own;
        let host = said(&["start"], &engines(&["start", NODE])).lines().last().unwrap_or_default().to_owned();
        said(&["carry"], &engines(&["carry", NODE, &image, IMAGE]));
        let made = Self { host: Some(host), image, _own: Some((lock, own)) };
        made.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
        Some(made)
    }

    fn of(&self, mut command: Command) -> Command {
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        command
    }

    /// What a docker command prints; it has to succeed.
    pub fn docker(&self, words: &[&str]) -> String {
        said(words, &self.of(Command::new("docker")).args(words).output().unwrap())
    }

    /// Our own command.
    pub fn outrigger(&self, words: &[&str]) -> Output {
        self.of(Command::new(env!("CARGO_BIN_EXE_outrigger"))).args(words).env_remove("OUTRIGGER_LOG").output().unwrap()
    }
}

/// A stack, removed when dropped with all that it is made of.
struct Stack<'s> {
    swarm: &'s Swarm,
    name: String,
    /// The service that is waited for.
    service: &'static str,
    directory: tempfile::TempDir,
}

impl<'s> Stack<'s> {
    fn new(swarm: &'s Swarm, name: &str) -> Self {
        Self { swarm, name: unique("cli", name), service: "pod", directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> String {
        self.directory.path().join("stack.yml").to_str().unwrap().to_owned()
    }

    /// Writes the stack file: one service, `pod`, with one component, `app`.
    fn write(&self, app: &str, service: &str) {
        let labels = app.lines().map(|line| format!("        {line}\n")).collect::<String>();
        let text = format!(
            "version: '3.8'\nservices:\n  pod:\n    image: {}\n    labels:\n      pod.component.app: |\n{labels}    \
             volumes: ['/var/run/docker.sock:/var/run/docker.sock', '{}:/out']\n    {service}\n",
            self.swarm.image,
            self.directory.path().display()
        );
        std::fs::write(self.file(), text).unwrap();
    }

    fn deploy(&self) -> (Option<i32>, String, String) {
        let done = self.swarm.outrigger(&["deploy", "--resolve-image", "never", "-c", &self.file(), &self.name]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    }

    fn service(&self) -> String {
        format!("{}_{}", self.name, self.service)
    }

    fn wait_for(&self, what: &str, so: impl Fn() -> bool) {
        let began = Instant::now();
        while !so() {
            let tasks = || self.swarm.docker(&["service", "ps", "--no-trunc", &self.service()]);
            assert!(began.elapsed() < PATIENCE, "waited in vain: {what}\n{}", tasks());
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        let label = format!("label=com.docker.stack.namespace={}", self.name);
        let docker = |words: &[&str]| self.swarm.of(Command::new("docker")).args(words).output();
        let _removed = docker(&["stack", "rm", &self.name]);
        // The network can be removed once its tasks have gone.
        let began = Instant::now();
        while began.elapsed() < PATIENCE
            && docker(&["network", "ls", "-q", "--filter", &label]).is_ok_and(|left| !left.stdout.is_empty())
        {
            std::thread::park_timeout(Duration::from_millis(500));
            let _removed = docker(&["stack", "rm", &self.name]);
        }
        // One that failed remains for a look, and Swarm leaves the containers of jobs.
        for label in [format!("label=outrigger.service={}", self.service()), label] {
            let Ok(kept) = docker(&["ps", "-aq", "--filter", &label]) else { continue };
            for id in String::from_utf8_lossy(&kept.stdout).lines() {
                let _removed = docker(&["rm", "-f", id]);
            }
        }
        if let Ok(left) = docker(&["volume", "ls", "-q", "--filter", &format!("name={}_", self.name)]) {
            for name in String::from_utf8_lossy(&left.stdout).lines() {
                let _removed = docker(&["volume", "rm", name]);
            }
        }
    }
}

/// Another name of the test's image, removed when dropped.
struct Tag<'s>(&'s Swarm, String);

impl<'s> Tag<'s> {
    fn new(swarm: &'s Swarm) -> Self {
        let name = unique("outrigger-test/cli", "two");
        swarm.docker(&["tag", IMAGE, &name]);
        Self(swarm, name)
    }
}

impl Drop for Tag<'_> {
    fn drop(&mut self) {
        let _removed = self.0.of(Command::new("docker")).args(["rmi", &self.1]).output();
    }
}

const STAYS: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

#[tokio::test]
async fn a_new_version_of_an_application_is_rolled_out_and_a_broken_one_rolled_back() {
    let Some(swarm) = Swarm::find().await else { return };
    let (stack, tag) = (Stack::new(&swarm, "rollout"), Tag::new(&swarm));
    let service = "deploy: {replicas: 1, endpoint_mode: dnsrr, update_config: {failure_action: rollback, monitor: 3s, order: stop-first}, rollback_config: {monitor: 1s}}";
    let of = |image: &str| component(STAYS, "").replace(IMAGE, image);
    stack.write(&of(IMAGE), service);
    let (code, out, err) = stack.deploy();
    assert_eq!(code, Some(0), "{out}\n{err}");
    let name = stack.service();
    assert!(out.contains(&format!("service `{name}` is new\n  controller: image `")), "{out}");
    assert!(
        out.contains(&format!("  component `app`: image `{IMAGE}`\n"))
            && out.ends_with(&format!("service `{name}`: the update is complete\n")),
        "{out}"
    );

    // It has said so only once the pod is up; every command takes the service's name and the replica's.
    let images = || {
        let listed: Value = serde_json::from_slice(&swarm.outrigger(&["ps", "--json"]).stdout).unwrap();
        let pods = listed.as_array().unwrap().iter().filter(|pod| pod["service"] == name.as_str());
        pods.map(|pod| pod["images"]["app"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(images(), [IMAGE]);
    for word in [name.clone(), format!("{name}.1"), stack.name.clone()] {
        let status: Value = serde_json::from_slice(&swarm.outrigger(&["status", &word, "--json"]).stdout).unwrap();
        assert_eq!(status["stage"], "running", "{word}");
    }
    let other = swarm.outrigger(&["status", &format!("{name}.2")]);
    assert!(
        String::from_utf8_lossy(&other.stderr).contains(&format!("no pod on this engine matches `{name}.2`")),
        "{other:?}"
    );

    // Nothing is other than before.
    let (code, out, err) = stack.deploy();
    assert_eq!((code, out.contains(&format!("service `{name}` is unchanged\n"))), (Some(0), true), "{out}\n{err}");
    let task = || swarm.docker(&["service", "ps", "-q", "--filter", "desired-state=running", &name]);
    let before = task();

    // Another image of the component is all that a new version needs.
    stack.write(&of(&tag.1), service);
    let (code, out, err) = stack.deploy();
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert!(
        out.contains(&format!("service `{name}` changes\n  component `app`: image `{IMAGE}` -> `{}`\n", tag.1)),
        "{out}"
    );
    assert!(out.ends_with(&format!("service `{name}`: the update is complete\n")), "{out}");
    assert_eq!(images(), std::slice::from_ref(&tag.1));
    assert_ne!(task(), before, "a rolling update makes another task");

    // One that can't start: Swarm goes back, and the command says so.
    stack.write(&of("127.0.0.1:1/not-there:1"), service);
    let (code, out, err) = stack.deploy();
    assert_eq!(code, Some(1), "{out}\n{err}");
    assert!(err.contains(&format!("Swarm rolled the update of service `{name}` back")), "{err}");
    // The controller knows more than Swarm.
    let reason = "component `app` could not be started: cannot pull image `127.0.0.1:1/not-there:1`";
    assert!(err.contains(&format!("note: task `{name}.1` failed: {reason}")), "{err}");
    stack.wait_for("the version before runs again", || images() == std::slice::from_ref(&tag.1));
    // The command of the hint shows it, and so does `--previous`, although another task runs.
    let (_, hint) = err.split_once("hint: `outrigger logs ").unwrap_or_else(|| panic!("{err}"));
    let container = hint.split('`').next().unwrap();
    for words in [&["logs", container][..], &["logs", "--previous", &name], &["logs", "-p", &format!("{name}.1")]] {
        let shown = swarm.outrigger(words);
        assert!(String::from_utf8_lossy(&shown.stdout).contains(reason), "{words:?}: {shown:?}");
    }
    let now = swarm.outrigger(&["logs", &name]);
    assert!(now.status.success() && !String::from_utf8_lossy(&now.stdout).contains(reason), "{now:?}");

    // Not followed, it says what changes and leaves. There is no node for the second replica, which the manager tells.
    let more = "deploy: {replicas: 2, endpoint_mode: dnsrr, placement: {max_replicas_per_node: 1}}";
    stack.write(&of(IMAGE), more);
    let done = swarm.outrigger(&["deploy", "--detach", "--resolve-image", "never", "-c", &stack.file(), &stack.name]);
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success() && out.contains("component `app`: image") && !out.contains("is complete"),
        "{done:?}"
    );
    assert!(out.contains("  `deploy.replicas`: `1` -> `2`\n"), "{out}");
    // Swarm may have given the node to either of the two.
    let places = [1, 2].map(|slot| (format!("{name}.{slot}"), format!("`{name}.{slot}` on no node (pending)")));
    for command in ["status", "logs"] {
        stack.wait_for("the other replica is named", || {
            let told = swarm.outrigger(&[command, &name]);
            let told = String::from_utf8_lossy(&told.stderr).into_owned();
            places.iter().any(|(_, place)| told.contains(place))
        });
    }
    let told = String::from_utf8_lossy(&swarm.outrigger(&["status", &name]).stderr).into_owned();
    let (other, place) = places.iter().find(|(_, place)| told.contains(place)).unwrap();
    let done = swarm.outrigger(&["status", other]);
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(125), "{told}");
    // The first replica has run here before: its last container is found, and does not run any more.
    let expected = match other.ends_with(".1") {
        true => format!("pod `{other}."),
        false => format!("this engine has no pod of `{other}`; replicas elsewhere: {place}"),
    };
    assert!(told.contains(&expected), "{told}");
}

/// A job of a CI system sees by the exit code alone whether the stack is as it should be.
#[tokio::test]
async fn what_is_there_is_judged_whether_it_has_changed_or_not() {
    let Some(swarm) = Swarm::find().await else { return };
    let stack = Stack::new(&swarm, "judged");
    let name = stack.service();
    let policy = |policy: &str| format!("deploy: {{endpoint_mode: dnsrr, restart_policy: {{{policy}}}}}");
    let failed = format!("note: task `{name}.1` failed: component `app` exited with code 3");

    // It crashes again and again: the deadline ends the command, also if nothing has changed.
    stack.write(&component("echo boom; exit 3", ""), &policy("delay: 1s"));
    let words = ["deploy", "--progress-deadline", "40s", "--resolve-image", "never", "-c", &stack.file(), &stack.name];
    for told in ["is new", "is unchanged"] {
        let done = swarm.outrigger(&words);
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(1), "{out}\n{err}");
        assert!(out.contains(&format!("service `{name}` {told}\n")), "{out}");
        assert_eq!(err.matches(&failed).count(), 1, "each reason is noted once: {err}");
        assert!(err.contains(&format!(" tasks of `{name}` failed: component `app` exited with code 3\n")), "{err}");
        assert!(
            err.contains(&format!("service `{name}` makes no progress: 0 of 1 tasks run (task `{name}.1` failed: ")),
            "{err}"
        );
    }

    // The restart policy starts no other task: the deadline of ten minutes would be more than this test waits.
    stack.write(&component("echo boom; exit 3", ""), &policy("condition: none"));
    for told in ["  `deploy.restart_policy.condition`: `any` -> `none`\n", "is unchanged"] {
        let (code, out, err) = stack.deploy();
        assert_eq!(code, Some(1), "{out}\n{err}");
        assert!(out.contains(told), "{out}");
        assert!(err.contains("component `app` exited with code 3"), "{err}");
        assert!(
            err.contains("the restart policy (`condition: none`) starts no other task") || err.contains("stopped: "),
            "{err}"
        );
    }

    // A batch service has completed.
    stack.write(&component("echo worked", "role: job"), &policy("condition: on-failure"));
    for (told, end) in [("changes", "the update is complete"), ("is unchanged", "all tasks run or have completed")] {
        let (code, out, err) = stack.deploy();
        assert_eq!(code, Some(0), "{out}\n{err}");
        assert!(out.contains(&format!("service `{name}` {told}\n")) && out.ends_with(&format!("{end}\n")), "{out}");
    }
}

/// Swarm forgets that it has paused an update as soon as the same file is deployed again.
#[tokio::test]
async fn a_paused_update_stays_a_failure_if_the_same_file_is_deployed_again() {
    let Some(swarm) = Swarm::find().await else { return };
    let stack = Stack::new(&swarm, "paused");
    let name = stack.service();
    let service = "deploy: {endpoint_mode: dnsrr, update_config: {failure_action: pause, monitor: 2s}, restart_policy: {delay: 1s}}";
    stack.write(&component(STAYS, ""), service);
    let (code, out, err) = stack.deploy();
    assert_eq!(code, Some(0), "{out}\n{err}");
    stack.write(&component("echo boom; exit 3", ""), service);
    for (changes, why) in [
        ("changes", "update paused"),
        ("is unchanged", "Swarm paused it before this deployment, and its tasks still fail: "),
    ] {
        let (code, out, err) = stack.deploy();
        assert_eq!(code, Some(1), "{out}\n{err}");
        assert!(out.contains(&format!("service `{name}` {changes}\n")), "{out}");
        assert!(err.contains(&format!("the update of service `{name}` stopped: {why}")), "{err}");
        assert!(err.contains(&format!("note: task `{name}.1` failed: component `app` exited with code 3")), "{err}");
    }
}

/// Swarm never changes a config: the operator has to know the remedy.
#[tokio::test]
async fn a_changed_config_is_refused_with_the_remedy() {
    let Some(swarm) = Swarm::find().await else { return };
    let stack = Stack::new(&swarm, "config");
    let write = |content: &str| {
        stack.write(&component(STAYS, ""), "deploy: {endpoint_mode: dnsrr, replicas: 0}\n    configs: [c]");
        let text = std::fs::read_to_string(stack.file()).unwrap();
        std::fs::write(stack.file(), format!("{text}configs: {{c: {{file: ./c.txt}}}}\n")).unwrap();
        std::fs::write(stack.directory.path().join("c.txt"), content).unwrap();
    };
    write("one");
    let (code, out, err) = stack.deploy();
    assert_eq!(code, Some(0), "{out}\n{err}");
    write("two");
    let (code, out, err) = stack.deploy();
    assert_eq!(code, Some(1), "{out}\n{err}");
    let config = format!("{}_c", stack.name);
    assert!(err.contains(&format!("hint: the content of config `{config}` has changed")), "{err}");
    assert!(err.contains(&format!("`name: {config}-2` below its key in `configs:`")), "{err}");
}

/// Twelve seconds are more than a pod takes that knows nothing of its service.
#[tokio::test]
async fn a_service_has_the_grace_period_that_it_was_given() {
    let Some(swarm) = Swarm::find().await else { return };
    let saving = "trap 'for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1; done; echo saved > /out/$WHO; exit 0' TERM; echo up > /out/$WHO; while :; do sleep 0.1; done";
    let service = "stop_grace_period: 30s\n    deploy: {endpoint_mode: dnsrr}";
    let stacks: Vec<(Stack<'_>, bool)> = [("handed", true), ("asked", false)]
        .map(|(name, ours)| {
            let stack = Stack::new(&swarm, name);
            let path = stack.directory.path().display().to_string();
            let more = format!("stop_grace_period: 25s\nenvironment: {{WHO: app}}\nvolumes: ['{path}:/out']");
            stack.write(&component(&saving.replace('$', "$$"), &more), service);
            (stack, ours)
        })
        .into();
    for (stack, ours) in &stacks {
        if *ours {
            assert_eq!(stack.deploy().0, Some(0));
        } else {
            // docker hands nothing over; on a manager the controller asks for it.
            swarm.docker(&["stack", "deploy", "--resolve-image", "never", "-c", &stack.file(), &stack.name]);
        }
        let wrote =
            |text: &str| std::fs::read_to_string(stack.directory.path().join("app")).is_ok_and(|it| it.trim() == text);
        stack.wait_for("the component is up", || wrote("up"));
        let id = swarm.docker(&[
            "ps",
            "-q",
            "--filter",
            &format!("label=com.docker.swarm.service.name={}", stack.service()),
        ]);
        let planned = swarm.outrigger(&["plan", "--json", "--container", &id]);
        let planned: Value = serde_json::from_slice(&planned.stdout).unwrap();
        assert_eq!(planned[0]["plan"]["stop_budget_ms"], 28_500, "{}: the plan agrees", stack.name);
        let label = swarm.docker(&["inspect", "--format", "{{index .Config.Labels \"pod.stop_grace_period\"}}", &id]);
        assert_eq!(label, if *ours { "30s" } else { "" });
    }
    for (stack, _) in &stacks {
        swarm.docker(&["service", "scale", "--detach", &format!("{}=0", stack.service())]);
    }
    for (stack, _) in &stacks {
        let saved = || std::fs::read_to_string(stack.directory.path().join("app")).is_ok_and(|it| it.trim() == "saved");
        stack.wait_for("the component has had its time", saved);
    }
}

#[test]
fn the_script_of_the_engines_knows_the_node() {
    let script = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/engines")).unwrap();
    assert!(script.contains("node[1-9])"), "{NODE} is one of them");
}
