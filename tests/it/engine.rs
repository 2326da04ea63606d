//! The Docker adapter against a real engine, and in [`wire`] against one that misbehaves.

mod contract;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use outrigger::config::Timeouts;
use outrigger::engine::docker::Docker;
use outrigger::engine::{
    ContainerId, ContainerSpec, Engine, EngineError, EngineEventKind as Kind, EngineHealth, Fault, LogsFrom, Output,
};
use outrigger::pod::life::ExecCommand;
use outrigger::pod::{HealthCheck, Mount, MountKind};
use tokio::time::timeout;

use crate::support::{self, LABEL, PATIENCE, VolumeGuard};

const TASK: &str = "engine";
const FOREVER: &str = "trap 'exit 7' TERM; while :; do sleep 0.05; done";

fn shell(name: &str, script: &str) -> (ContainerSpec, support::Guard) {
    support::shell(TASK, name, script)
}

async fn started(engine: &Docker, spec: &ContainerSpec) -> ContainerId {
    let (id, _warnings) = engine.create(spec).await.expect("it is created");
    engine.start(&id).await.expect("it starts");
    id
}

/// Waits for its end and answers the exit code.
async fn ended(engine: &Docker, id: &ContainerId) -> i32 {
    let wait = async {
        loop {
            let seen = engine.inspect(&id.0).await.expect("it is there");
            if !seen.running && !seen.started_at.is_empty() {
                return seen.exit_code;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it ends")
}

/// All output of one stream, up to the end of the run.
async fn output(engine: &Docker, id: &ContainerId, output: Output) -> String {
    let frames: Vec<_> = timeout(PATIENCE, engine.logs(id, LogsFrom::default()).try_collect())
        .await
        .expect("the output ends")
        .expect("the output can be read");
    let bytes: Vec<u8> =
        frames.into_iter().filter(|frame| frame.output == output).flat_map(|frame| frame.bytes).collect();
    String::from_utf8(bytes).expect("the output is text")
}

async fn run(engine: &Docker, id: &ContainerId, words: &[&str]) -> outrigger::engine::ExecOutput {
    let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    engine.exec(id, &ExecCommand::new(argv), PATIENCE, 4096).await.expect("the command runs")
}

macro_rules! engine {
    () => {
        match support::engine_or_fail().await {
            Some(engine) => engine,
            None => return,
        }
    };
}

#[tokio::test]
async fn a_life_from_create_to_remove() {
    let engine = engine!();
    let info = engine.info().await.unwrap();
    assert!(info.api >= (1, 40) && !info.version.is_empty() && !info.node.is_empty(), "{info:?}");

    let (mut spec, _guard) = shell("life", FOREVER);
    spec.env = vec!["A=1".into()];
    spec.stop_signal = Some(3);
    spec.stop_timeout = Some(Duration::from_secs(4));
    let (id, _) = engine.create(&spec).await.unwrap();
    let seen = engine.inspect(&spec.name).await.unwrap();
    assert_eq!(
        (&seen.id, seen.name.as_str(), seen.running, seen.started_at.as_str()),
        (&id, spec.name.as_str(), false, "")
    );
    assert_eq!((seen.stop_signal, seen.stop_timeout), (Some(3), Some(Duration::from_secs(4))));
    assert!(seen.env.contains(&"A=1".to_owned()));
    assert_eq!(engine.signal(&id, 15).await.unwrap_err().fault(), Fault::AlreadyDone);

    engine.start(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    let listed = engine.list(&[format!("{LABEL}={}", spec.name)]).await.unwrap();
    assert_eq!((listed.len(), &listed[0].id, listed[0].running), (1, &id, true));
    assert_eq!(listed[0].name, spec.name);
    let seen = engine.inspect(id.short()).await.unwrap();
    assert!(seen.running && !seen.started_at.is_empty());

    // The shell needs a moment to set its trap.
    tokio::time::sleep(Duration::from_millis(200)).await;
    engine.signal(&id, 15).await.unwrap();
    assert_eq!(ended(&engine, &id).await, 7);
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.inspect(&id.0).await.unwrap_err().fault(), Fault::NotFound);
    engine.remove(&id).await.unwrap();
    for gone in [engine.start(&id).await, engine.signal(&id, 9).await] {
        assert_eq!(gone.unwrap_err().fault(), Fault::NotFound);
    }
}

#[tokio::test]
async fn remove_kills_and_frees_the_name() {
    let engine = engine!();
    let (mut spec, _guard) = shell("remove", "trap '' TERM; while :; do sleep 1; done");
    spec.mounts = vec![mount(MountKind::Volume, None, "/data")];
    let id = started(&engine, &spec).await;
    let anonymous = engine.inspect(&id.0).await.unwrap().mounts[0].name.clone();
    assert!(engine.volume(&anonymous).await.is_ok());
    // Both at once: the second meets a removal in progress, or nothing.
    let (one, other) = tokio::join!(engine.remove(&id), engine.remove(&id));
    one.unwrap();
    other.unwrap();
    assert_eq!(engine.volume(&anonymous).await.unwrap_err().fault(), Fault::NotFound);
    engine.create(&spec).await.unwrap();
}

#[tokio::test]
async fn what_create_refuses() {
    let engine = engine!();
    let (mut spec, _guard) = shell("refused", "true");
    engine.create(&spec).await.unwrap();
    let conflict = engine.create(&spec).await.unwrap_err();
    assert_eq!(conflict.fault(), Fault::Permanent);
    assert!(conflict.to_string().starts_with(&format!("cannot create container `{}`: ", spec.name)), "{conflict}");

    spec.name = support::unique(TASK, "missing");
    spec.image = "outrigger-test/no-such-image:1".into();
    assert!(!engine.has_image(&spec.image).await.unwrap());
    assert!(engine.has_image(support::IMAGE).await.unwrap());
    assert_eq!(engine.create(&spec).await.unwrap_err().fault(), Fault::NotFound);
    // A registry that does not listen.
    let pulled = timeout(PATIENCE, engine.pull("127.0.0.1:9/outrigger-test/none")).await.unwrap();
    assert_eq!(pulled.unwrap_err().fault(), Fault::Transient);

    spec.image = support::IMAGE.into();
    spec.command = Some(vec!["/no/such/program".into()]);
    let _guard = support::Guard(spec.name.clone());
    let (id, _) = engine.create(&spec).await.unwrap();
    assert!(matches!(engine.start(&id).await, Err(EngineError::Refused { .. })));
}

#[tokio::test]
async fn output_of_both_streams_is_complete() {
    let engine = engine!();
    let (spec, _guard) = shell("logs", "echo out; echo err >&2; printf 'no newline'; exit 3");
    let id = started(&engine, &spec).await;
    // Attached after its end as well as before: nothing is missing.
    assert_eq!(ended(&engine, &id).await, 3);
    assert_eq!(output(&engine, &id, Output::Stdout).await, "out\nno newline");
    assert_eq!(output(&engine, &id, Output::Stderr).await, "err\n");

    let from = LogsFrom { since: 0, timestamps: true };
    let frames: Vec<_> = engine.logs(&id, from).try_collect().await.unwrap();
    assert_eq!(frames.len(), 3);
    for frame in &frames {
        assert!(frame.bytes.starts_with(b"20") && frame.bytes.contains(&b'Z'), "{frame:?}");
    }
    let later = LogsFrom { since: i64::from(u32::MAX), timestamps: false };
    assert_eq!(engine.logs(&id, later).count().await, 0);
}

#[tokio::test]
async fn much_output_is_followed_while_it_is_written() {
    let engine = engine!();
    let (spec, _guard) = shell("follow", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
    let id = started(&engine, &spec).await;
    let text = output(&engine, &id, Output::Stdout).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines.first(), lines.last()), (20_000, Some(&"line 0"), Some(&"line 19999")));
}

#[tokio::test]
async fn a_terminals_output_is_raw() {
    let engine = engine!();
    // Begins with what would be a header, and ends without a newline.
    let (mut spec, _guard) = shell("tty", "printf '\\001\\000\\000\\000prompt> '; echo; echo err >&2; printf end");
    spec.tty = true;
    let id = started(&engine, &spec).await;
    ended(&engine, &id).await;
    let text = output(&engine, &id, Output::Stdout).await;
    assert_eq!(text, "\u{1}\0\0\0prompt> \r\nerr\r\nend");
    let from = LogsFrom { since: 0, timestamps: true };
    let frames: Vec<_> = engine.logs(&id, from).try_collect().await.unwrap();
    assert_eq!(frames.len(), 3);
    assert!(frames.iter().all(|frame| frame.output == Output::Stdout && frame.bytes.starts_with(b"20")), "{frames:?}");
}

#[tokio::test]
async fn commands_answer_what_they_print_and_how_they_end() {
    let engine = engine!();
    let (spec, _guard) = shell("exec", FOREVER);
    let id = started(&engine, &spec).await;
    let done = run(&engine, &id, &["/bin/sh", "-c", "echo out; echo err >&2; exit 5"]).await;
    assert_eq!(
        (done.exit_code, &done.stdout[..], &done.stderr[..], done.truncated),
        (5, &b"out\n"[..], &b"err\n"[..], false)
    );

    let missing = run(&engine, &id, &["/no/such/program"]).await;
    assert!(matches!(missing.exit_code, 126 | 127), "{missing:?}");
    // Engines differ in where they say so.
    let said = [missing.stdout, missing.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("/no/such/program"));

    let argv = ["/bin/sh", "-c", "i=0; while [ $i -lt 5000 ]; do echo 0123456789; i=$((i+1)); done"].map(str::to_owned);
    let much = engine.exec(&id, &ExecCommand::new(argv.clone()), PATIENCE, 100).await.unwrap();
    assert_eq!((much.stdout.len(), much.truncated, much.exit_code), (100, true, 0));

    let began = Instant::now();
    let late =
        engine.exec(&id, &ExecCommand::new(["/bin/sleep".into(), "20".into()]), Duration::from_millis(300), 10).await;
    assert!(matches!(late, Err(EngineError::Timeout { .. })), "{late:?}");
    assert!(began.elapsed() < Duration::from_secs(10));

    engine.signal(&id, 9).await.unwrap();
    assert_eq!(ended(&engine, &id).await, 137);
    assert_eq!(engine.exec(&id, &ExecCommand::new(argv), PATIENCE, 10).await.unwrap_err().fault(), Fault::Permanent);
}

#[tokio::test]
async fn files_go_in_before_the_start_and_come_out() {
    let engine = engine!();
    let (spec, _guard) = shell("files", "cat /etc/app/conf; stat -c '%a %u %g' /etc/app/conf");
    let (id, _) = engine.create(&spec).await.unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(6);
    header.set_mode(0o640);
    header.set_uid(12);
    header.set_gid(34);
    archive.append_data(&mut header, "app/conf", &b"hello\n"[..]).unwrap();
    let archive = bytes::Bytes::from(archive.into_inner().unwrap());
    engine.upload(&id, "/etc", vec![archive.clone()]).await.unwrap();
    assert_eq!(engine.upload(&id, "/no/such", vec![archive]).await.unwrap_err().fault(), Fault::NotFound);

    let got = engine.download(&id, "/etc/app/conf", 8192).await.unwrap();
    let mut read = tar::Archive::new(&got[..]);
    let entry = read.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(
        (entry.path().unwrap().to_str(), entry.size(), entry.header().mode().unwrap() & 0o777),
        (Some("conf"), 6, 0o640)
    );
    assert_eq!(engine.download(&id, "/bin/busybox", 8192).await.unwrap_err().fault(), Fault::Permanent);
    assert_eq!(engine.download(&id, "/etc/none", 8192).await.unwrap_err().fault(), Fault::NotFound);

    engine.start(&id).await.unwrap();
    assert_eq!(output(&engine, &id, Output::Stdout).await, "hello\n640 12 34\n");
}

#[tokio::test]
async fn events_tell_a_life_and_its_health() {
    let engine = engine!();
    let (mut spec, _guard) = shell("events", "trap 'exit 7' TERM; touch /tmp/well; while :; do sleep 0.05; done");
    spec.healthcheck = Some(HealthCheck::Command {
        test: vec!["CMD-SHELL".into(), "test -e /tmp/well".into()],
        interval: Some(Duration::from_millis(300)),
        timeout: Some(Duration::from_secs(5)),
        start_period: None,
        start_interval: None,
        retries: Some(1),
    });
    let label = format!("{LABEL}={}", spec.name);
    let life = async {
        let id = started(&engine, &spec).await;
        let healthy = |health| {
            let (engine, id) = (&engine, &id);
            async move {
                while engine.inspect(&id.0).await.unwrap().health != Some(health) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        healthy(EngineHealth::Healthy).await;
        run(&engine, &id, &["/bin/rm", "/tmp/well"]).await;
        healthy(EngineHealth::Unhealthy).await;
        engine.signal(&id, 15).await.unwrap();
        ended(&engine, &id).await;
        engine.remove(&id).await.unwrap();
        id
    };
    let mut events = engine.events(&label, None);
    let watch = async {
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            seen.push((event.id, event.kind.clone()));
            if event.kind == Kind::Destroy {
                break;
            }
        }
        seen
    };
    let (seen, id) = timeout(2 * PATIENCE, async { tokio::join!(watch, life) }).await.unwrap();
    let expected = [
        Kind::Start,
        Kind::Health(EngineHealth::Healthy),
        Kind::Health(EngineHealth::Unhealthy),
        Kind::Die { exit_code: 7 },
        Kind::Destroy,
    ];
    assert_eq!(seen, expected.map(|kind| (id.clone(), kind)));

    // And once more from the engine's memory.
    let again: Vec<_> = timeout(PATIENCE, engine.events(&label, Some(1)).take(5).try_collect()).await.unwrap().unwrap();
    assert!(again.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns));
}

fn mount(kind: MountKind, source: Option<&str>, target: &str) -> Mount {
    Mount::new(kind, source.map(str::to_owned), target)
}

#[tokio::test]
async fn mounts_and_limits_arrive() {
    let engine = engine!();
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made/by/the/engine");
    let (mut spec, _guard) =
        shell("mounts", "df /shm | tail -1 | awk '{print $2}'; touch /bind/x; touch /ro/x; echo $?");
    let volume = VolumeGuard(support::unique(TASK, "volume"));
    spec.mounts = vec![
        mount(MountKind::Bind, made.to_str(), "/bind"),
        mount(MountKind::Volume, Some(&volume.0), "/volume"),
        Mount { read_only: true, ..mount(MountKind::Bind, dir.path().to_str(), "/ro") },
        Mount { tmpfs_size: Some(1 << 20), ..mount(MountKind::Tmpfs, None, "/shm") },
    ];
    spec.host.memory = Some(64 << 20);
    spec.host.oom_score_adj = Some(500);
    spec.ports = outrigger::pod::ports::Port::read("127.0.0.1::80").unwrap();
    let id = started(&engine, &spec).await;
    assert_eq!(output(&engine, &id, Output::Stdout).await, "1024\n1\n");
    let seen = engine.inspect(&id.0).await.unwrap();
    // Where the kernel's cgroups limit no memory, the engine drops the limit and warns.
    let limits = bollard::Docker::connect_with_defaults().unwrap().info().await.unwrap().memory_limit.unwrap();
    assert_eq!((seen.memory, seen.oom_score_adj), (if limits { 64 << 20 } else { 0 }, 500));
    let mounts: BTreeMap<_, _> = seen.mounts.iter().map(|mount| (mount.target.as_str(), mount)).collect();
    assert_eq!((mounts["/bind"].kind.as_str(), mounts["/bind"].writable), ("bind", true));
    assert_eq!((mounts["/volume"].name.as_str(), mounts["/volume"].kind.as_str()), (volume.0.as_str(), "volume"));
    assert!(!mounts["/ro"].writable);
    assert!(made.join("x").exists(), "the engine makes the source of a bind");
    assert!(engine.volume(&volume.0).await.unwrap().labels.is_empty());
    engine.remove(&id).await.unwrap();
}

#[tokio::test]
async fn volumes_have_labels() {
    let engine = engine!();
    let volume = VolumeGuard(support::unique(TASK, "labels"));
    let client = bollard::Docker::connect_with_defaults().unwrap();
    let labels = [("com.docker.stack.namespace".to_owned(), "st".to_owned())];
    let request = bollard::models::VolumeCreateRequest {
        name: Some(volume.0.clone()),
        labels: Some(labels.clone().into()),
        ..Default::default()
    };
    client.create_volume(request).await.unwrap();
    assert_eq!(engine.volume(&volume.0).await.unwrap().labels, BTreeMap::from(labels));
    assert_eq!(engine.volume("outrigger-test-none").await.unwrap_err().fault(), Fault::NotFound);
}

#[tokio::test]
async fn what_is_no_engine_is_told_with_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = format!("unix://{}", path.display());
    for address in [address.as_str(), "tcp://127.0.0.1:9"] {
        let engine = Docker::connect(Some(address), &Timeouts::default()).unwrap();
        let error = engine.info().await.unwrap_err();
        assert_eq!(error.to_string(), format!("no container engine at `{address}`"));
        let error = engine.inspect("x").await.unwrap_err();
        assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    }
}
