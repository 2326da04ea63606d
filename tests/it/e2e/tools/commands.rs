//! `ps`, `status`, `logs`, `events` and `debug` against a pod on the real engine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use outrigger::engine::{Engine, EngineHealth, Fault};
use serde_json::Value;

use super::super::pod::{PodUnderTest, component, controller_image, wait_for};
use crate::support::{Guard, IMAGE, engine_or_fail, skip, unique};

pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(words).stdin(Stdio::null()).env_remove("OUTRIGGER_LOG");
    command
}

/// A command that would not end by itself: ended when dropped, also when the test fails.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _collected = self.0.wait();
    }
}

pub async fn run(words: &[&str]) -> Output {
    let mut command = command(words);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn a_pod_as_an_operator_sees_it() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "tools2").await;
    pod.label("outrigger.controller", "true");
    pod.label("com.docker.swarm.service.name", &format!("service-of-{}", pod.name().to_owned()));
    let speaker = "echo from the app; echo to stderr >&2; trap 'exit 0' TERM; while :; do sleep 0.1; done";
    pod.label("pod.component.app", &component(speaker, "volumes: [/data]"));
    let second =
        "until echo hi | nc -w 1 127.0.0.1 7001 >/dev/null 2>&1; do sleep 0.1; done; echo from web; sleep 1000";
    pod.label("pod.component.web", &component(second, "depends_on: [app]"));
    pod.label("pod.component.door", &component("exec nc -ll -p 7001 -e /bin/cat", ""));
    pod.start().await;
    // From the start on: an engine remembers few events, and many tests make them.
    let watching = command(&["events", pod.name(), "--since", "10m", "--json"]).stdout(Stdio::piped()).spawn();
    let mut events = Killed(watching.unwrap());
    pod.reaches("running").await;
    pod.says("[out] web: from web").await;
    let (name, id) = (pod.name().to_owned(), engine.inspect(pod.name()).await.unwrap().id.0);

    // Listed, and found by its name, its id and its service.
    let listed: Vec<Value> = serde_json::from_str(&out(&run(&["ps", "--json"]).await)).unwrap();
    let row = listed.iter().find(|row| row["name"] == name.as_str()).expect("it is listed");
    assert_eq!((&row["components_up"], &row["components"]), (&3.into(), &3.into()), "{row}");
    assert_eq!((row["id"].as_str(), row["running"].as_bool()), (Some(id.as_str()), Some(true)));
    assert!(row["age_s"].as_u64().is_some_and(|age| age < 120), "{row}");
    let table = out(&run(&["ps"]).await);
    let line = table.lines().find(|line| line.starts_with(&name)).expect("it is in the table");
    assert!(line.contains(" 3/3 ") && table.starts_with("POD"), "{table}");
    assert!(line.ends_with(&format!("app={IMAGE}, door={IMAGE}, web={IMAGE}")), "{table}");
    assert_eq!(row["images"]["web"], IMAGE, "{row}");
    for wanted in [name.as_str(), &id[..12], &format!("service-of-{name}")] {
        let status: Value = serde_json::from_str(&out(&run(&["status", wanted, "--json"]).await)).unwrap();
        assert_eq!(status["stage"], "running");
    }
    let unknown = run(&["status", "tools2-nobody"]).await;
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(125), "{told}");
    assert!(told.contains("no pod on this engine matches `tools2-nobody`") && told.contains(&name), "{told}");

    // Logs: each line once, in order, from the right stream, with and without a choice of components.
    let lines = json_lines(&out(&run(&["logs", "--json", &name]).await));
    let said = |component: &str, line: &str| {
        let found: Vec<_> = lines.iter().filter(|told| told["line"].as_str().unwrap().contains(line)).collect();
        assert_eq!(found.len(), 1, "`{line}` once: {found:?}");
        assert_eq!(found[0]["component"], component);
        found[0]["output"].as_str().unwrap().to_owned()
    };
    assert_eq!(said("app", "from the app"), "stdout");
    assert_eq!(said("app", "to stderr"), "stderr");
    assert_eq!(said("web", "from web"), "stdout");
    // The engine takes the controller's own log over beside the rest, and a moment earlier or later.
    let components = lines.iter().filter(|line| line["component"] != "controller");
    let times: Vec<_> = components.map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(lines.iter().any(|line| line["component"] == "controller"), "{lines:?}");
    let text = out(&run(&["logs", "-c", "app", "-c", "web", "--tail", "1", &name]).await);
    let mut text: Vec<_> = text.lines().collect();
    text.sort_unstable();
    assert_eq!(text[text.len() - 1], "web | from web");
    assert_eq!(text.len(), 2, "the last line of each: {text:?}");
    let odd = run(&["logs", "-c", "nobody", &name]).await;
    assert!(String::from_utf8_lossy(&odd.stderr).contains("no component `nobody`"));

    // A command in the network, the PID namespace and with the volumes; its exit code comes back, and nothing is left.
    let image = format!("--image={IMAGE}");
    let script = "echo hi | nc -w 1 127.0.0.1 7001 | grep -q hi && ps | grep -q '[n]c -ll' && echo joined; exit 7";
    let joined = run(&["debug", &name, &image, "--", "sh", "-c", script]).await;
    assert_eq!(String::from_utf8_lossy(&joined.stdout), "joined\n", "{}", String::from_utf8_lossy(&joined.stderr));
    assert_eq!(joined.status.code(), Some(7));
    pod.in_component("app", &["touch", "/data/seen"]).await;
    assert_eq!(out(&run(&["debug", &name, "-c", "app", &image, "--", "ls", "/data"]).await), "seen\n");
    wait_for("nothing of it is left", || async {
        engine.list(&["outrigger.debug".to_owned()]).await.unwrap().is_empty()
    })
    .await;
    let nowhere = tokio::task::spawn_blocking({
        let mut command = command(&["debug", &name]);
        command.env("PATH", "/nowhere");
        move || command.output().unwrap()
    });
    let told = String::from_utf8_lossy(&nowhere.await.unwrap().stderr).into_owned();
    assert!(told.contains("has a `docker` command"), "{told}");

    // Followed to the end; the events tell why.
    let mut followed = command(&["logs", "--follow", &name]).stdout(Stdio::piped()).spawn().unwrap();
    pod.stop().await;
    let followed = tokio::task::spawn_blocking(move || {
        let lines: Vec<_> = BufReader::new(followed.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
        assert!(followed.wait().unwrap().success());
        lines
    });
    assert!(followed.await.unwrap().iter().any(|line| line == "app        | from the app"));
    let told = tokio::task::spawn_blocking(move || {
        let mut told = Vec::new();
        for line in BufReader::new(events.0.stdout.take().unwrap()).lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let ended = event["event"] == "exit" && event["component"].is_null();
            told.push(event);
            if ended {
                break;
            }
        }
        told
    });
    let told = told.await.unwrap();
    let has = |component: &str, event: &str| {
        told.iter().any(|told| told["component"] == component && told["event"] == event && told["pod"] == name.as_str())
    };
    assert!(has("app", "start") && has("app", "exit") && has("web", "remove"), "{told:?}");
    let exit = told.iter().find(|told| told["component"] == "app" && told["event"] == "exit").unwrap();
    assert_eq!(exit["exit_code"], 0, "{exit}");
    assert_eq!(told.iter().filter(|told| told["component"] == "app" && told["event"] == "start").count(), 1);

    // Stopped pods are listed only on request.
    assert!(!out(&run(&["ps"]).await).contains(&name));
    assert!(out(&run(&["ps", "-a"]).await).lines().any(|line| line.starts_with(&name) && line.contains("exited (")));
}

/// A network, removed when dropped.
struct Network(String);

impl Network {
    fn new(name: &str) -> Self {
        let name = unique("tools2", name);
        let made = Command::new("docker").args(["network", "create", &name]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _removed = Command::new("docker").args(["network", "rm", &self.0]).output();
    }
}

#[tokio::test]
async fn run_joins_every_network_and_leaves_nothing_where_one_is_missing() {
    let Some(engine) = engine_or_fail().await else { return };
    let (front, back) = (Network::new("front"), Network::new("back"));
    let image = controller_image(&engine).await;
    let name = unique("tools2", "networks");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pod.yaml");
    let write = |second: &str| {
        let controller = format!("controller: {{image: '{image}', networks: ['{}', '{second}']}}", front.0);
        let text = format!("{controller}\ncomponents: {{app: {{image: '{IMAGE}', command: [sleep, '1000']}}}}\n");
        std::fs::write(&file, text).unwrap();
    };
    let path = file.to_str().unwrap().to_owned();
    // Declared after the networks, so that it is removed before them.
    let _guard = Guard(name.clone());
    write("tools2-no-such-network");
    let failed = run(&["run", "--detach", "--name", &name, &path]).await;
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(125), "{told}");
    // Some engines tell it only at the start.
    assert!(told.contains("tools2-no-such-network") && told.contains("not found"), "{told}");
    assert_eq!(engine.inspect(&name).await.unwrap_err().fault(), Fault::NotFound, "nothing is left");

    write(&back.0);
    out(&run(&["run", "--detach", "--name", &name, &path]).await);
    assert_eq!(engine.inspect(&name).await.unwrap().addresses.len(), 2);
    let stopped = Command::new("docker").args(["stop", &name]).output().unwrap();
    assert!(stopped.status.success());
}

#[tokio::test]
async fn run_tells_in_json_what_it_made_and_how_it_ended() {
    let Some(engine) = engine_or_fail().await else { return };
    let image = controller_image(&engine).await;
    let name = unique("tools2", "json");
    let _guard = Guard(name.clone());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pod.yaml");
    // The last line has no end: what is told is on a line of its own nevertheless.
    let script = "until [ -e /tmp/go ]; do sleep 0.1; done; printf 'no end of line'; exit 7";
    let component = format!("app: {{image: '{IMAGE}', command: [sh, -c, {}]}}", serde_json::json!(script));
    std::fs::write(
        &file,
        format!("controller: {{image: '{image}', flags: [--keep-failed=0]}}\ncomponents: {{{component}}}\n"),
    )
    .unwrap();
    let path = file.to_str().unwrap().to_owned();

    let begun = json_lines(&out(&run(&["run", "--detach", "--json", "--name", &name, &path]).await));
    let id = engine.inspect(&name).await.unwrap().id.0;
    assert_eq!(begun, [serde_json::json!({"id": id, "name": name, "exit_code": null})]);
    assert!(Command::new("docker").args(["stop", &name]).output().unwrap().status.success());
    engine.remove(&outrigger::engine::ContainerId(name.clone())).await.unwrap();

    let attended = ["run", "--json", "--name", &name, &path];
    let go = async {
        let app = format!("{name}.podlike.app");
        wait_for("the component runs", || async { engine.inspect(&app).await.is_ok_and(|seen| seen.running) }).await;
        let id = engine.inspect(&name).await.unwrap().id.0;
        assert!(Command::new("docker").args(["exec", &app, "touch", "/tmp/go"]).output().unwrap().status.success());
        id
    };
    let (told, id) = tokio::join!(run(&attended), go);
    assert_eq!(told.status.code(), Some(7), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).unwrap();
    let last = text.lines().last().unwrap();
    let machine: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(machine, serde_json::json!({"id": id, "name": name, "exit_code": 7}));
    assert_eq!(
        engine.inspect(&name).await.unwrap_err().fault(),
        Fault::NotFound,
        "one that was attended is removed at its end"
    );
}

/// What a pod on a single host needs to be there after a reboot.
#[tokio::test]
async fn a_detached_pod_is_started_again_by_the_engine() {
    let Some(engine) = engine_or_fail().await else { return };
    let image = controller_image(&engine).await;
    let name = unique("tools2", "again");
    let _guard = Guard(name.clone());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pod.yaml");
    let script = "grep -q '10.9.8.7.*database' /etc/hosts && grep -q 10.9.8.6 /etc/resolv.conf && [ \"$(hostname)\" = pod-host ] || exit 3; sleep 1000";
    let controller = format!(
        "{{image: '{image}', restart: unless-stopped, hostname: pod-host, extra_hosts: {{database: 10.9.8.7}}, dns: 10.9.8.6, flags: [--keep-failed=0]}}"
    );
    let component = format!("{{image: '{IMAGE}', command: [sh, -c, {}]}}", serde_json::json!(script));
    std::fs::write(&file, format!("controller: {controller}\ncomponents: {{app: {component}}}\n")).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let policy = || {
        let format = "{{.HostConfig.RestartPolicy.Name}}";
        let output = Command::new("docker").args(["inspect", "--format", format, &name]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };

    out(&run(&["run", "--detach", "--name", &name, &path]).await);
    assert_eq!(policy(), "unless-stopped");
    let app = format!("{name}.podlike.app");
    let healthy = || async { engine.inspect(&name).await.is_ok_and(|seen| seen.health == Some(EngineHealth::Healthy)) };
    wait_for("the pod is healthy, and so its component has found the names", healthy).await;
    let first = engine.inspect(&app).await.unwrap().id;
    assert!(Command::new("docker").args(["kill", &app]).output().unwrap().status.success());
    wait_for("the engine has started the pod again", || async {
        engine.inspect(&app).await.is_ok_and(|seen| seen.running && seen.id != first)
    })
    .await;
    assert!(Command::new("docker").args(["stop", &name]).output().unwrap().status.success());
    engine.remove(&outrigger::engine::ContainerId(name.clone())).await.unwrap();

    // In the foreground the command removes the pod at its end: nobody may start it again.
    let attended = ["run", "--name", &name, &path];
    let (_, policy) = tokio::join!(run(&attended), async {
        wait_for("the component runs", || async { engine.inspect(&app).await.is_ok_and(|seen| seen.running) }).await;
        let policy = policy();
        assert!(Command::new("docker").args(["stop", &name]).output().unwrap().status.success());
        policy
    });
    assert!(matches!(policy.as_str(), "" | "no"), "{policy}");
}

/// The engine reports in the state of the container alone that the kernel killed it.
#[tokio::test]
async fn a_component_that_ran_out_of_memory_is_named_as_such() {
    const TOLD: &str = "was killed because memory ran out (137; `mem_limit` 20m)";
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "tools-memory").await;
    pod.label("outrigger.controller", "true");
    pod.label("pod.component.app", &component("trap 'exit 0' TERM; while :; do sleep 0.1; done", ""));
    // 100 MiB for one block, in the component's first process.
    let hog = format!(
        "{{image: {IMAGE}, command: [dd, if=/dev/zero, of=/dev/null, bs=100M, count=1], mem_limit: 20m, memswap_limit: 20m, essential: false, restart: {{policy: always, delay: 5m, max_delay: 5m}}}}"
    );
    pod.label("pod.component.hog", &hog);
    pod.label("pod.options", "{settle: 0s}");
    pod.start().await;
    pod.says("component `hog`: started").await;
    // Where the kernel has no controller for memory, the engine drops the limit and says so.
    if pod.log().await.contains("Limitation discarded") {
        skip::not_applicable("this engine's kernel cannot limit memory");
        pod.stop().await;
        return;
    }
    pod.says(&format!("component `hog`: {TOLD}")).await;
    pod.reaches("running").await;
    let status = pod.status().await;
    let shown = status["components"].as_array().unwrap().iter().find(|component| component["name"] == "hog").unwrap();
    assert_eq!((&shown["oom_killed"], &shown["exit_code"]), (&Value::Bool(true), &Value::from(137)), "{shown}");
    let reasons = status["health"]["reasons"].to_string();
    assert!(reasons.contains(TOLD), "{status}");
    let text = out(&run(&["status", pod.name()]).await);
    assert!(text.contains(TOLD), "{text}");
    assert_eq!(pod.stop().await, 0);
}
