use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::*;
use crate::engine::{ContainerId, ContainerSpec, Engine, EngineError, EngineEventKind as Kind, LogsFrom};
use crate::plan::ownership;
use crate::pod::HealthCheck;
use crate::pod::life::ExecCommand;

const SECOND: Duration = Duration::from_secs(1);

fn spec(component: &str) -> ContainerSpec {
    let mut spec = ContainerSpec::new(format!("pod.podlike.{component}"), "acme/calc");
    spec.labels.insert(ownership::COMPONENT.into(), component.into());
    spec.labels.insert(ownership::POD.into(), "p".into());
    spec
}

async fn running(engine: &FakeEngine, component: &str) -> ContainerId {
    let (id, _) = engine.create(&spec(component)).await.unwrap();
    engine.start(&id).await.unwrap();
    id
}

/// The kinds of all events so far.
async fn told(engine: &FakeEngine) -> Vec<Kind> {
    let events = engine.events("outrigger.pod=p", Some(0));
    let quiet = tokio::time::sleep(Duration::from_millis(1));
    events.take_until(quiet).map(|event| event.unwrap().kind).collect().await
}

#[tokio::test(start_paused = true)]
async fn a_life_without_script() {
    let engine = FakeEngine::new();
    let id = running(&engine, "app").await;
    engine.start(&id).await.unwrap();
    engine.signal(&id, 1).await.unwrap();
    assert!(engine.inspect("pod.podlike.app").await.unwrap().running);
    engine.signal(&id, 15).await.unwrap();
    let seen = engine.inspect(&id.0).await.unwrap();
    assert_eq!((seen.running, seen.exit_code), (false, 143));
    assert_eq!(engine.signal(&id, 9).await.unwrap_err().fault(), Fault::AlreadyDone);
    engine.remove(&id).await.unwrap();
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.inspect(&id.0).await.unwrap_err().fault(), Fault::NotFound);
    assert_eq!(told(&engine).await, [Kind::Start, Kind::Die { exit_code: 143 }, Kind::Destroy]);
    assert!(engine.leftovers().is_empty());
    let calls = ["create app", "start app", "start app", "signal app 1", "signal app 15", "signal app 9", "remove app"];
    assert_eq!(engine.calls()[..7], calls);
}

#[tokio::test(start_paused = true)]
async fn exits_by_itself_once_for_each_run() {
    let engine = FakeEngine::new().exits_after("app", 60 * SECOND, 3);
    let id = running(&engine, "app").await;
    tokio::time::sleep(30 * SECOND).await;
    engine.signal(&id, 9).await.unwrap();
    engine.start(&id).await.unwrap();
    let first = engine.find("app").unwrap().started_at;
    // The exit that was planned for the first run passes the second by.
    tokio::time::sleep(59 * SECOND).await;
    assert!(engine.find("app").unwrap().running);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(engine.find("app").unwrap().exit_code, 3);
    let _again = engine.clone().runs_on("app");
    engine.start(&id).await.unwrap();
    assert_ne!(engine.find("app").unwrap().started_at, first);
    tokio::time::sleep(3600 * SECOND).await;
    assert!(engine.find("app").unwrap().running);
}

#[tokio::test(start_paused = true)]
async fn one_that_exits_at_once_is_never_seen_running() {
    let engine = FakeEngine::new().exits_at_once("app", 0).prints("app", Output::Stderr, &[b"bye\n"]);
    let id = running(&engine, "app").await;
    assert!(!engine.find("app").unwrap().running);
    let frames: Vec<_> = engine.logs(&id, LogsFrom::default()).map(|frame| frame.unwrap().bytes).collect().await;
    assert_eq!(frames, [Bytes::from("bye\n")]);
}

#[tokio::test(start_paused = true)]
async fn stubborn_ones_are_killed() {
    let engine = FakeEngine::new().ignores("app", 15).stop_takes("slow", 5 * SECOND).exits_on("slow", 15, 0);
    let (app, slow) = (running(&engine, "app").await, running(&engine, "slow").await);
    engine.signal(&app, 15).await.unwrap();
    engine.signal(&slow, 15).await.unwrap();
    tokio::time::sleep(4 * SECOND).await;
    assert!(engine.find("app").unwrap().running && engine.find("slow").unwrap().running);
    tokio::time::sleep(2 * SECOND).await;
    let gone = engine.find("slow").unwrap();
    assert_eq!((gone.running, gone.exit_code), (false, 0));
    engine.signal(&app, 9).await.unwrap();
    assert_eq!(engine.find("app").unwrap().exit_code, 137);
}

#[tokio::test(start_paused = true)]
async fn health_takes_its_course() {
    let engine =
        FakeEngine::new().health("app", &[(SECOND, EngineHealth::Healthy), (3 * SECOND, EngineHealth::Unhealthy)]);
    running(&engine, "app").await;
    assert_eq!(engine.find("app").unwrap().health, Some(EngineHealth::Starting));
    tokio::time::sleep(10 * SECOND).await;
    engine.judge("app", EngineHealth::Unhealthy);
    engine.judge("app", EngineHealth::Healthy);
    let healths = [EngineHealth::Healthy, EngineHealth::Unhealthy, EngineHealth::Healthy].map(Kind::Health);
    assert_eq!(told(&engine).await[1..], healths);

    let mut checked = spec("checked");
    checked.healthcheck = Some(HealthCheck::Command {
        test: vec![],
        interval: None,
        timeout: None,
        start_period: None,
        start_interval: None,
        retries: None,
    });
    let (id, _) = engine.create(&checked).await.unwrap();
    engine.start(&id).await.unwrap();
    assert_eq!(engine.find("checked").unwrap().health, Some(EngineHealth::Starting));
}

#[tokio::test(start_paused = true)]
async fn faults_and_delays_hit_their_verb_only() {
    let engine = FakeEngine::new().fails("start", "app", Fault::Transient, 2).slow("start", "app", SECOND).slow(
        "exec",
        "app",
        9 * SECOND,
    );
    let (id, _) = engine.create(&spec("app")).await.unwrap();
    let began = Instant::now();
    for _ in 0..2 {
        assert_eq!(engine.start(&id).await.unwrap_err().fault(), Fault::Transient);
    }
    engine.start(&id).await.unwrap();
    assert_eq!(began.elapsed(), 3 * SECOND);
    let late = engine.exec(&id, &ExecCommand::new(["true".into()]), SECOND, 10).await.unwrap_err();
    assert!(matches!(late, EngineError::Timeout { after: SECOND, .. }));
}

#[tokio::test(start_paused = true)]
async fn images_have_to_be_pulled() {
    let engine = FakeEngine::new().without_image("acme/calc").fails("pull", "acme/calc", Fault::Transient, 1);
    assert!(!engine.has_image("acme/calc").await.unwrap());
    assert_eq!(engine.create(&spec("app")).await.unwrap_err().fault(), Fault::NotFound);
    assert_eq!(engine.pull("acme/calc").await.unwrap_err().fault(), Fault::Transient);
    engine.pull("acme/calc").await.unwrap();
    engine.create(&spec("app")).await.unwrap();
    assert_eq!(engine.create(&spec("app")).await.unwrap_err().fault(), Fault::Permanent);
    assert_eq!(engine.calls_of("pull"), ["pull acme/calc", "pull acme/calc"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_streams_but_not_containers() {
    let engine = FakeEngine::new().exits_after("app", 5 * SECOND, 1);
    let mut events = engine.events("outrigger.pod=p", None);
    let first = tokio::join!(events.next(), running(&engine, "app"));
    assert_eq!(first.0.unwrap().unwrap().kind, Kind::Start);
    engine.goes_away_for(10 * SECOND);
    assert!(matches!(events.next().await, Some(Err(EngineError::Unreachable { .. }))));
    assert!(events.next().await.is_none());
    assert!(matches!(engine.inspect("app").await, Err(EngineError::Unreachable { .. })));
    assert!(matches!(engine.events("a", None).next().await, Some(Err(EngineError::Unreachable { .. }))));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(engine.inspect("pod.podlike.app").await.unwrap().exit_code, 1);
    assert_eq!(told(&engine).await.last(), Some(&Kind::Die { exit_code: 1 }));
}

#[tokio::test(start_paused = true)]
async fn logs_are_followed_to_the_end_of_the_run() {
    let engine = FakeEngine::new().prints("app", Output::Stdout, &[b"a\n", b"b\n"]);
    let id = running(&engine, "app").await;
    let mut logs = engine.logs(&id, LogsFrom { since: 0, timestamps: true });
    for expected in ["a\n", "b\n"] {
        let frame = String::from_utf8(logs.next().await.unwrap().unwrap().bytes.to_vec()).unwrap();
        let (time, line) = frame.split_once(' ').unwrap();
        assert!(time.starts_with("2026-01-01T00:00:00.") && time.ends_with('Z'), "{time}");
        assert_eq!(line, expected);
    }
    tokio::time::sleep(2 * SECOND).await;
    engine.say("app", Output::Stderr, b"c");
    let last = logs.next().await.unwrap().unwrap();
    assert_eq!(last.output, Output::Stderr);
    engine.kill("app", 1);
    assert!(logs.next().await.is_none());
    let later = LogsFrom { since: 1_767_225_601, timestamps: false };
    let again: Vec<_> = engine.logs(&id, later).map(|frame| frame.unwrap().bytes).collect().await;
    assert_eq!(again, [Bytes::from("c")]);
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.logs(&id, later).next().await.unwrap().unwrap_err().fault(), Fault::NotFound);
}

#[tokio::test(start_paused = true)]
async fn files_go_in_move_and_come_out() {
    let engine = FakeEngine::new();
    let id = running(&engine, "app").await;
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o600);
    header.set_uid(7);
    archive.append_data(&mut header, "conf.d/new", &b"abc"[..]).unwrap();
    engine.upload(&id, "/etc", vec![archive.into_inner().unwrap().into()]).await.unwrap();
    assert_eq!(engine.file_mode("app", "/etc/conf.d/new"), Some((0o600, 7, 0)));

    let argv = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let exec = async |words: &str| engine.exec(&id, &ExecCommand::new(argv(words)), SECOND, 8).await.unwrap();
    assert_eq!(exec("mv -f /etc/conf.d/new /etc/conf.d/old").await.exit_code, 0);
    let failed = exec("mv -f /etc/conf.d/new /etc/conf.d/old").await;
    assert_eq!((failed.exit_code, failed.truncated, &failed.stderr[..]), (1, true, &b"mv: can'"[..]));
    let archive = engine.download(&id, "/etc/conf.d", 4096).await.unwrap();
    let names: Vec<_> = tar::Archive::new(&archive[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["conf.d/old"]);
    assert_eq!(engine.download(&id, "/etc/conf.d", 10).await.unwrap_err().fault(), Fault::Permanent);
    exec("rm -f /etc/conf.d/old").await;
    assert!(engine.files("app").is_empty());
    assert_eq!(engine.download(&id, "/etc", 10).await.unwrap_err().fault(), Fault::NotFound);

    let engine = engine.exec_answers("app", |argv| ExecOutput {
        exit_code: argv.len() as i64,
        stdout: Bytes::from_static(b"out"),
        stderr: Bytes::new(),
        truncated: false,
    });
    assert_eq!(engine.exec(&id, &ExecCommand::new(argv("nginx -t")), SECOND, 8).await.unwrap().exit_code, 2);
}

#[tokio::test(start_paused = true)]
async fn containers_of_others_are_found_but_are_no_leftovers() {
    let engine = FakeEngine::new();
    let id = running(&engine, "app").await;
    let mut other = engine.find("app").unwrap();
    other.id = ContainerId("b".repeat(64));
    other.name = "other".into();
    other.labels.clear();
    engine.put_container(other);
    assert_eq!(engine.inspect(&"b".repeat(12)).await.unwrap().name, "other");
    assert_eq!(engine.leftovers(), ["app"]);
    let listed = engine.list(&["outrigger.pod=p".into(), ownership::COMPONENT.into()]).await.unwrap();
    assert_eq!(listed.into_iter().map(|listed| listed.id).collect::<Vec<_>>(), [id]);
    assert_eq!(engine.list(&[]).await.unwrap().len(), 2);
}

#[test]
fn times_are_written_as_the_engine_writes_them() {
    assert_eq!(world::rfc3339(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
    assert_eq!(world::rfc3339(1_767_225_599_999_999_999), "2025-12-31T23:59:59.999999999Z");
}
