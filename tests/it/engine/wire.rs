//! The Docker adapter against engines that a real one can't be made to be: old, silent, restarted, cut off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use outrigger::config::{Settings, Timeouts};
use outrigger::engine::docker::{Docker, History};
use outrigger::engine::{ContainerId, ContainerSpec, Engine, EngineError, EngineEventKind, Fault, LogsFrom};
use outrigger::plan::compile::compile;
use outrigger::plan::{Seen, SelfInfo};
use outrigger::pod::life::ExecCommand;
use outrigger::pod::lower::lower;
use outrigger::pod::read::from_labels;
use outrigger::shutdown::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Answers by the end of the request's path, or by a part of its query (`?…`); a request without an answer hangs.
type Answers = &'static [(&'static str, &'static str)];

const VERSION: (&str, &str) =
    ("GET /version", r#"200 {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}"#);
const INFO: (&str, &str) = ("/info", r#"200 {"CgroupDriver": "systemd", "CgroupVersion": "2", "Name": "node-1"}"#);
const CONTAINER: (&str, &str) =
    ("/c/json", r#"200 {"Id": "c", "State": {"Running": false}, "Config": {"Tty": false}}"#);

struct Server {
    tasks: Tasks,
    path: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(directory: &Path, answers: Answers) -> Self {
        let path = directory.join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (tasks, requests) = (Tasks::new(), Arc::default());
        let (connections, record) = (tasks.clone(), Arc::clone(&requests));
        tasks.spawn("accept", move |token| async move {
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    let record = Arc::clone(&record);
                    connections.spawn("answer", |token| async move {
                        token.run_until_cancelled(answer(stream, answers, &record)).await;
                    });
                }
            };
            token.run_until_cancelled(accept).await;
        });
        Self { tasks, path, requests }
    }

    fn engine(&self) -> Docker {
        let short = Duration::from_millis(300);
        let timeouts = Timeouts { engine_call: short, engine_change: short, pull: short, ..Timeouts::default() };
        Docker::connect(self.path.to_str(), &timeouts).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    async fn stop(self) {
        self.tasks.cancel();
        assert!(self.tasks.wait(Duration::from_secs(5)).await);
        std::fs::remove_file(self.path).unwrap();
    }
}

async fn answer(mut stream: UnixStream, answers: Answers, record: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return;
        }
    }
    let text = String::from_utf8_lossy(&request);
    let line = text.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    record.lock().unwrap().push(line.clone());
    let path = line.split('?').next().unwrap();
    let Some((_, answer)) = answers.iter().find(|(wanted, _)| match wanted.strip_prefix('?') {
        Some(query) => line.contains(query),
        None => path.ends_with(wanted),
    }) else {
        return std::future::pending().await;
    };
    let (status, body) = answer.split_once(' ').unwrap();
    // Without a length: the end of the connection is the end of the body.
    let text = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn id() -> ContainerId {
    ContainerId("c".into())
}

#[tokio::test]
async fn requests_carry_the_version_that_was_settled_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[VERSION, INFO, CONTAINER, ("/events", "200 "), ("/c/logs", "200 ")]);
    let engine = server.engine();
    let info = engine.info().await.unwrap();
    assert_eq!((info.api, info.cgroup_version, info.node.as_str()), ((1, 41), 2, "node-1"));
    engine.clone().inspect("c").await.unwrap();
    assert_eq!(engine.events("a=b", Some(7)).count().await, 0);
    assert_eq!(engine.logs(&id(), LogsFrom { since: 5_000_000_000, timestamps: false }).count().await, 0);
    let requests = server.requests();
    assert_eq!(requests[..3], ["GET /version", "GET /v1.41/info", "GET /v1.41/containers/c/json"]);
    assert!(requests[3].starts_with("GET /v1.41/events?") && requests[3].contains("since=7"), "{requests:?}");
    assert_eq!(requests[4], "GET /v1.41/containers/c/json");
    assert_eq!(requests[5], "GET /v1.41/containers/c/logs?follow=1&stdout=1&stderr=1&since=5000000000&timestamps=1");
}

#[tokio::test]
async fn newer_and_older_engines_than_we_know() {
    const NEW: Answers =
        &[("/version", r#"200 {"Version": "31", "ApiVersion": "1.60", "MinAPIVersion": "1.44"}"#), INFO];
    const NEWER: Answers =
        &[("/version", r#"200 {"Version": "40", "ApiVersion": "1.90", "MinAPIVersion": "1.80"}"#), INFO];
    for (answers, api) in [(NEW, (1, 53)), (NEWER, (1, 80))] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Server::start(dir.path(), answers).engine().info().await.unwrap().api, api);
    }
    let dir = tempfile::tempdir().unwrap();
    let old = Server::start(dir.path(), &[("/version", r#"200 {"Version": "18.09", "ApiVersion": "1.39"}"#)]);
    let error = old.engine().info().await.unwrap_err();
    assert_eq!(error.fault(), Fault::Permanent);
    assert_eq!(
        error.to_string(),
        "the engine 18.09 is too old: its API version is 1.39, but Outrigger needs 1.41 or newer (Docker 20.10)"
    );
}

/// What engines of every kind tell of their cgroups, and where components are put there.
#[tokio::test]
async fn cgroups_by_what_engines_tell() {
    const NESTED: &str = "/docker/own";
    const SLICE: &str = "mine.slice";
    // Recorded from the engines, shortened to what matters; that with systemd and version 2, and the one without root, as the API's documentation has them.
    /// The kind, `/version`, `/info`, and where components are put without and with a parent of the controller's.
    type Told = (&'static str, &'static str, &'static str, Option<&'static str>, Option<&'static str>);
    const ANSWERS: [Told; 6] = [
        (
            "cgroupfs, version 1",
            r#"200 {"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}"#,
            r#"200 {"CgroupDriver": "cgroupfs", "CgroupVersion": "1", "MemoryLimit": true, "SecurityOptions": ["name=seccomp,profile=default"], "Name": "vm"}"#,
            Some(NESTED),
            Some(SLICE),
        ),
        (
            "cgroupfs, version 2",
            r#"200 {"Version": "26.1.5+dfsg1", "ApiVersion": "1.45", "MinAPIVersion": "1.24"}"#,
            r#"200 {"CgroupDriver": "cgroupfs", "CgroupVersion": "2", "MemoryLimit": false, "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"], "Name": "vm"}"#,
            None,
            Some(SLICE),
        ),
        (
            "systemd, version 1",
            r#"200 {"Version": "26.1.5+dfsg1", "ApiVersion": "1.45", "MinAPIVersion": "1.24"}"#,
            r#"200 {"CgroupDriver": "systemd", "CgroupVersion": "1", "MemoryLimit": true, "SwapLimit": true, "CpuCfsQuota": true, "PidsLimit": true, "SecurityOptions": ["name=seccomp,profile=builtin"], "Name": "vm"}"#,
            None,
            Some(SLICE),
        ),
        (
            "systemd, version 2",
            r#"200 {"Version": "29.0.1", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}"#,
            r#"200 {"CgroupDriver": "systemd", "CgroupVersion": "2", "MemoryLimit": true, "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"], "Name": "vm"}"#,
            None,
            Some(SLICE),
        ),
        (
            "rootless without systemd",
            r#"200 {"Version": "28.5.2", "ApiVersion": "1.51", "MinAPIVersion": "1.24"}"#,
            r#"200 {"CgroupDriver": "none", "CgroupVersion": "2", "MemoryLimit": false, "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"], "Name": "vm"}"#,
            None,
            None,
        ),
        (
            "Podman",
            r#"200 {"Version": "5.4.2", "ApiVersion": "1.41", "MinAPIVersion": "1.24", "Components": [{"Name": "Podman Engine", "Version": "5.4.2"}]}"#,
            r#"200 {"CgroupDriver": "cgroupfs", "CgroupVersion": "2", "MemoryLimit": false, "SecurityOptions": ["name=seccomp,profile=default"], "Name": "vm"}"#,
            None,
            Some(SLICE),
        ),
    ];
    let labels = BTreeMap::from([("pod.component.app".to_owned(), "image: a".to_owned())]);
    let spec = lower(&from_labels(&labels).unwrap()).unwrap();
    for (kind, version, info, placed, beside) in ANSWERS {
        let dir = tempfile::tempdir().unwrap();
        let answers: Answers = Box::leak(Box::new([("/version", version), ("/info", info)]));
        let engine = Server::start(dir.path(), answers).engine().info().await.unwrap();
        let mut own = SelfInfo { seen: Seen::Within, ..SelfInfo::offline("web", BTreeMap::new()) };
        own.cgroup = (engine.cgroup_version == 1).then(|| NESTED.to_owned());
        for (parent, expected) in [("", placed), (SLICE, beside)] {
            own.container.cgroup_parent = parent.to_owned();
            let plan = compile(&spec, &own, &engine, &Settings::default()).unwrap();
            let app = &plan.components[0].container;
            assert_eq!(app.cgroup_parent.as_deref(), expected, "{kind}, the controller's parent is `{parent}`");
        }
    }
}

#[tokio::test]
async fn every_call_has_a_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[CONTAINER]);
    let engine = server.engine();
    let began = Instant::now();
    let spec = ContainerSpec::new("a", "b");
    let argv = ["true".to_owned()];
    let outcomes = [
        engine.info().await.map(drop),
        engine.inspect("x").await.map(drop),
        engine.list(&[]).await.map(drop),
        engine.volume("v").await.map(drop),
        engine.has_image("b").await.map(drop),
        engine.pull("b").await,
        engine.create(&spec).await.map(drop),
        engine.start(&id()).await,
        engine.signal(&id(), 1).await,
        engine.remove(&id()).await,
        engine.upload(&id(), "/", vec![bytes::Bytes::new()]).await,
        engine.download(&id(), "/a", 1).await.map(drop),
        engine.exec(&id(), &ExecCommand::new(argv), Duration::from_millis(100), 1).await.map(drop),
        engine.events("a=b", None).try_collect::<Vec<_>>().await.map(drop),
        engine.logs(&id(), LogsFrom::default()).try_collect::<Vec<_>>().await.map(drop),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert!(matches!(outcome, Err(EngineError::Timeout { .. })), "call {number}: {outcome:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_restarted_engine_is_simply_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[VERSION, INFO, CONTAINER]);
    let engine = server.engine();
    engine.info().await.unwrap();
    server.stop().await;
    assert!(matches!(engine.inspect("c").await, Err(EngineError::Unreachable { .. })));
    assert!(matches!(engine.info().await, Err(EngineError::NoEngine { .. })));
    let server = Server::start(dir.path(), &[CONTAINER]);
    engine.inspect("c").await.unwrap();
    assert_eq!(server.requests(), ["GET /v1.41/containers/c/json"]);
}

#[tokio::test]
async fn a_failure_inside_a_pull_is_one() {
    const PROGRESS: &str =
        "200 {\"status\": \"Pulling\"}\n{\"errorDetail\": {\"message\": \"no route\"}, \"error\": \"no route\"}\n";
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[("/images/create", PROGRESS)]);
    let error = server.engine().pull("registry:5000/a/b").await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.fault()),
        ("cannot pull image `registry:5000/a/b`: no route", Fault::Transient)
    );
    assert_eq!(server.requests(), ["POST /images/create?fromImage=registry%3A5000%2Fa%2Fb%3Alatest&platform="]);
}

#[tokio::test]
async fn a_cut_log_tells_what_came_and_then_that_it_was_cut() {
    const LOG: &str = "200 \u{1}\0\0\0\0\0\0\u{7}2026 ab\u{2}\0\0\0\0\0\0\u{7}2026 cd\u{1}\0\0\0\0\0\0\u{9}half";
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[CONTAINER, ("/c/logs", LOG)]);
    let got: Vec<_> = server.engine().logs(&id(), LogsFrom::default()).collect().await;
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(got[0].as_ref().unwrap().bytes, "ab");
    assert_eq!(got[1].as_ref().unwrap().bytes, "cd");
    assert!(matches!(got[2], Err(EngineError::Unreachable { .. })));
}

/// Output is `1`, `2` and `3` on standard output and `e` on standard error, whose time is before that of `2`.
#[tokio::test]
async fn a_log_that_ends_early_is_read_to_its_end() {
    const CUT: &str = "200 \u{1}\0\0\0\0\0\0\u{20}2026-01-01T00:00:01.000000001Z 1\u{1}\0\0\0\0\0\0\u{20}2026-01-01T00:00:02.000000001Z 2";
    const WHOLE: &str = "200 \u{1}\0\0\0\0\0\0\u{20}2026-01-01T00:00:02.000000001Z 2\u{2}\0\0\0\0\0\0\u{20}2026-01-01T00:00:02.000000000Z e\u{1}\0\0\0\0\0\0\u{20}2026-01-01T00:00:02.000000001Z 3";
    for (timestamps, third) in [(false, "e"), (true, "2026-01-01T00:00:02.000000000Z e")] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path(), &[CONTAINER, ("?follow=1", CUT), ("?follow=0", WHOLE)]);
        let frames: Vec<_> =
            server.engine().logs(&id(), LogsFrom { since: 0, timestamps }).try_collect().await.unwrap();
        let last: Vec<_> = frames.iter().map(|frame| char::from(*frame.bytes.last().unwrap())).collect();
        assert_eq!(last, ['1', '2', 'e', '3']);
        assert_eq!(frames[2].bytes, third);
        let again = server.requests().pop().unwrap();
        assert!(again.contains("follow=0") && again.contains("since=1767225601.000000001&"), "{again}");
    }
}

#[tokio::test]
async fn a_terminals_log_that_ends_early_is_read_to_its_end() {
    const TERMINAL: (&str, &str) =
        ("/c/json", r#"200 {"Id": "c", "State": {"Running": false}, "Config": {"Tty": true}}"#);
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start(dir.path(), &[TERMINAL, ("?follow=1", "200 one\r\ntw"), ("?follow=0", "200 one\r\ntwo\r\n")]);
    let frames: Vec<_> = server.engine().logs(&id(), LogsFrom::default()).try_collect().await.unwrap();
    assert_eq!(frames.iter().map(|frame| &frame.bytes[..]).collect::<Vec<_>>().concat(), b"one\r\ntwo\r\n");
}

#[tokio::test]
async fn a_log_that_ends_while_its_container_runs_is_followed_again() {
    const RUNNING: (&str, &str) =
        ("/c/json", r#"200 {"Id": "c", "State": {"Running": true, "StartedAt": "2026-01-01T00:00:00Z"}}"#);
    const LINE: &str = "200 \u{1}\0\0\0\0\0\0\u{20}2026-01-01T00:00:01.000000001Z 1";
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[RUNNING, ("?follow=1", LINE)]);
    let engine = server.engine();
    let mut logs = engine.logs(&id(), LogsFrom::default());
    assert_eq!(logs.next().await.unwrap().unwrap().bytes, "1");
    // The same line again and again is not news, and does not make for a busy loop.
    assert!(tokio::time::timeout(Duration::from_millis(500), logs.next()).await.is_err());
    let follows = server.requests().iter().filter(|request| request.contains("follow=1")).count();
    assert!((2..10).contains(&follows), "{follows}");
}

#[tokio::test]
async fn events_end_with_their_connection() {
    const EVENTS: &str =
        "200 {\"Type\": \"container\", \"Action\": \"start\", \"Actor\": {\"ID\": \"c\"}, \"timeNano\": 5}\n";
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[("/events", EVENTS)]);
    let got: Vec<_> = server.engine().events("a=b", None).try_collect().await.unwrap();
    assert_eq!(
        got.iter().map(|event| (event.at_ns, event.kind.clone())).collect::<Vec<_>>(),
        [(5, EngineEventKind::Start)]
    );
}

#[tokio::test]
async fn the_history_is_read_as_far_as_it_takes() {
    let line = |at: u64| format!("{{\"Type\": \"image\", \"Action\": \"pull\", \"timeNano\": {at}}}\n");
    let dir = tempfile::tempdir().unwrap();
    let asked = async |from: u64, count: u64| {
        let events: String = (from..from + count).map(line).collect();
        let answers: &'static [(&str, &str)] =
            Box::leak(Box::new([("/events", &*String::leak(format!("200 {events}")))]));
        let server = Server::start(dir.path(), answers);
        let history = server.engine().history(1000, 9_000_000_000).await.unwrap();
        assert!(server.requests().iter().any(|it| it.contains("since=1&until=9")), "{:?}", server.requests());
        server.stop().await;
        history
    };
    assert_eq!(asked(2000, 3).await, History { first_ns: Some(2000), full: false });
    assert_eq!(asked(2000, 256).await, History { first_ns: Some(2000), full: true });
    assert_eq!(asked(900, 256).await, History { first_ns: Some(900), full: false }, "the first event is enough");
    assert_eq!(asked(2000, 0).await, History::default());
}

#[tokio::test]
async fn a_removal_in_progress_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let busy = Server::start(dir.path(), &[("/containers/c", r#"409 {"message": "removal in progress"}"#)]);
    // It never ends: the deadline does.
    assert!(matches!(busy.engine().remove(&id()).await, Err(EngineError::Timeout { .. })));
    assert!(busy.requests().len() > 2);
    busy.stop().await;
    let gone = Server::start(dir.path(), &[("/containers/c", r#"404 {"message": "no such container"}"#)]);
    gone.engine().remove(&id()).await.unwrap();
    assert_eq!(gone.requests(), ["DELETE /containers/c?v=true&force=true&link=false"]);
}
