//! Scripts, told to the real engine and to the fake one: what they answer is the same, so that tests on the fake are tests of what engines do. What both
//! have to answer is in the files `contract/*.txt`, so that the fake one is held to it where there is no engine, too.

mod commands;
mod ends;
mod output;

use std::path::Path;

use bytes::Bytes;
use outrigger::engine::fake::FakeEngine;

use super::*;

/// An image that no engine has.
const NO_IMAGE: &str = "outrigger-test/none:1";

fn archive(name: &str, content: &[u8]) -> Vec<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content).unwrap();
    vec![archive.into_inner().unwrap().into()]
}

fn content(archive: &Bytes) -> String {
    let mut archive = tar::Archive::new(archive.as_ref());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut archive.entries().unwrap().next().unwrap().unwrap(), &mut text).unwrap();
    text
}

/// What it answered, or how it failed.
fn told<T: std::fmt::Debug>(answer: Result<T, EngineError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{:?}", error.fault()),
    }
}

async fn end_of<E: Engine>(engine: &E, id: &ContainerId) -> i32 {
    let wait = async {
        loop {
            let seen = engine.inspect(&id.0).await.unwrap();
            if !seen.running {
                return seen.exit_code;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it ends")
}

/// The life of a container that ends with 7 on SIGTERM.
async fn script<E: Engine>(engine: &E, spec: &ContainerSpec) -> Vec<String> {
    let mut trace = Vec::new();
    let mut note = |what: &str, answer: String| trace.push(format!("{what}: {answer}"));
    let label = format!("{LABEL}={}", spec.name);
    let (heard, mut events) = tokio::sync::mpsc::channel(64);
    let mut stream = engine.events(&label, None);
    // A stream begins when it is read.
    #[expect(clippy::disallowed_methods, reason = "the test owns this task, which ends with its last event")]
    tokio::spawn(async move {
        while let Some(event) = stream.next().await
            && heard.send(event).await.is_ok()
        {}
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let exec = async |id: &ContainerId, words: &[&str]| {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        told(engine.exec(id, &ExecCommand::new(argv), PATIENCE, 4096).await.map(|done| done.exit_code))
    };

    note("an image that is there", told(engine.has_image(&spec.image).await));
    note("and one that is not", told(engine.has_image(NO_IMAGE).await));
    let none = ContainerSpec { image: NO_IMAGE.to_owned(), ..spec.clone() };
    note("create without image", told(engine.create(&none).await.map(drop)));
    let (id, _) = engine.create(spec).await.unwrap();
    note("create again", told(engine.create(spec).await.map(drop)));
    let seen = async |name: &str| {
        let seen = engine.inspect(name).await.map(|seen| (seen.id == id, seen.running, seen.started_at.is_empty()));
        told(seen)
    };
    note("inspect", seen(&spec.name).await);
    note("signal before the start", told(engine.signal(&id, 15).await));
    note("exec before the start", exec(&id, &["true"]).await);
    note("upload", told(engine.upload(&id, "/tmp", archive("a", b"text")).await));
    note("exists", told(engine.exists(&id, "/tmp/a").await));
    note("exists not", told(engine.exists(&id, "/tmp/b").await));
    note("stat", told(engine.stat(&id, "/tmp/a").await));
    note("stat of nothing", told(engine.stat(&id, "/tmp/b").await));
    note("download", told(engine.download(&id, "/tmp/a", 1 << 16).await.map(|it| content(&it))));
    note("download of nothing", told(engine.download(&id, "/tmp/b", 1 << 16).await.map(drop)));

    note("start", told(engine.start(&id).await));
    note("start again", told(engine.start(&id).await));
    note("inspect by the short id", seen(id.short()).await);
    let listed = engine.list(std::slice::from_ref(&label)).await;
    note("list", told(listed.map(|all| all.into_iter().map(|it| (it.id == id, it.running)).collect::<Vec<_>>())));
    // The shell needs a moment to set its trap.
    tokio::time::sleep(Duration::from_millis(300)).await;
    note("exec", exec(&id, &["true"]).await);
    note("move", exec(&id, &["mv", "-f", "--", "/tmp/a", "/tmp/b"]).await);
    note("download what was moved", told(engine.download(&id, "/tmp/b", 1 << 16).await.map(|it| content(&it))));
    note("move nothing", exec(&id, &["mv", "-f", "--", "/tmp/a", "/tmp/b"]).await);
    note("remove a file", exec(&id, &["rm", "-f", "--", "/tmp/b"]).await);
    note("it is gone", told(engine.exists(&id, "/tmp/b").await));
    let first = engine.inspect(&id.0).await.unwrap().started_at;
    note("signal", told(engine.signal(&id, 15).await));
    note("exit code", end_of(engine, &id).await.to_string());
    note("signal after the end", told(engine.signal(&id, 15).await));
    note("exec after the end", exec(&id, &["true"]).await);

    note("start once more", told(engine.start(&id).await));
    note("it is another run", (engine.inspect(&id.0).await.unwrap().started_at != first).to_string());
    note("kill", told(engine.signal(&id, 9).await));
    note("exit code", end_of(engine, &id).await.to_string());
    let other = format!("{}-renamed", spec.name);
    note("rename", told(engine.rename(&id, &other).await));
    note("the old name", seen(&spec.name).await);
    note("the new name", seen(&other).await);
    note("remove", told(engine.remove(&id).await));
    note("remove again", told(engine.remove(&id).await));
    note("inspect", seen(&id.0).await);
    note("start what is gone", told(engine.start(&id).await));
    note("signal what is gone", told(engine.signal(&id, 9).await));
    note("exec in what is gone", exec(&id, &["true"]).await);
    note("upload to what is gone", told(engine.upload(&id, "/tmp", archive("a", b"text")).await));
    note("download from what is gone", told(engine.download(&id, "/tmp/a", 1 << 16).await.map(drop)));
    loop {
        let event = timeout(PATIENCE, events.recv()).await.expect("events come").unwrap().unwrap();
        assert_eq!(event.id, id);
        note("event", format!("{:?}", event.kind));
        if event.kind == Kind::Destroy {
            return trace;
        }
    }
}

/// What an engine has answered is what the file has. `BLESS=1` writes the fake one's answers to it; look whether a real one gives the same.
fn check(engine: &str, trace: &[String], name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/engine/contract/{name}.txt"));
    let actual: String = trace.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os("BLESS").is_some() && engine == "fake" {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(actual == expected, "the {engine} engine has answered\n{actual}but {} has\n{expected}", path.display());
}

fn scripted(spec: &ContainerSpec) -> FakeEngine {
    FakeEngine::new().exits_on(&spec.name, 15, 7).without_image(NO_IMAGE)
}

#[tokio::test(start_paused = true)]
async fn the_fake_engine_knows_the_life_of_a_container() {
    let spec = ContainerSpec::new("contract", support::IMAGE);
    let spec = ContainerSpec { labels: [(LABEL.to_owned(), spec.name.clone())].into(), ..spec };
    check("fake", &script(&scripted(&spec), &spec).await, "life");
}

#[tokio::test]
async fn a_real_engine_gives_the_same_life_to_a_container() {
    let Some(engine) = support::engine_or_fail().await else { return };
    let (spec, _guard) = shell("contract", FOREVER);
    let _renamed = support::Guard(format!("{}-renamed", spec.name));
    check("real", &script(&engine, &spec).await, "life");
}
