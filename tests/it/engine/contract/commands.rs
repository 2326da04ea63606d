//! Commands in a container, and what it has at a path.

use super::*;

/// Prints more than is kept, and ends with 5.
const MUCH: [&str; 3] = ["/bin/sh", "-c", "echo out; echo err >&2; exit 5"];
const LONG: [&str; 2] = ["/bin/sleep", "20"];

async fn script<E: Engine>(engine: &E, spec: &ContainerSpec) -> Vec<String> {
    let mut trace = Vec::new();
    let mut note = |what: &str, answer: String| trace.push(format!("{what}: {answer}"));
    let (id, _) = engine.create(spec).await.unwrap();
    let exec = async |words: &[&str], patience: Duration, limit: usize| {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let done = engine.exec(&id, &ExecCommand::new(argv), patience, limit).await;
        told(done.map(|done| (done.exit_code, done.stdout, done.stderr, done.truncated)))
    };
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    archive.append_link(&mut header, "made/link", "/tmp/made/file").unwrap();
    let link = archive.into_inner().unwrap().into();

    note("upload", told(engine.upload(&id, "/tmp", super::archive("made/file", b"text")).await));
    note("upload of a link", told(engine.upload(&id, "/tmp", vec![link]).await));
    for path in ["/tmp/made", "/tmp/made/file", "/tmp/made/link", "/tmp/made/none"] {
        note(&format!("stat {path}"), told(engine.stat(&id, path).await));
        note(&format!("exists {path}"), told(engine.exists(&id, path).await));
    }
    note("download that is too long", told(engine.download(&id, "/tmp/made/file", 100).await));
    engine.start(&id).await.unwrap();
    note("run", exec(&MUCH, PATIENCE, 4096).await);
    note("of which little is kept", exec(&MUCH, PATIENCE, 2).await);
    note("one that takes too long", exec(&LONG, Duration::from_millis(300), 10).await);
    note("overwrite", told(engine.upload(&id, "/tmp", super::archive("made/file", b"other")).await));
    note("move over a file", exec(&["mv", "-f", "--", "/tmp/made/file", "/tmp/made/link"], PATIENCE, 10).await);
    let moved = engine.download(&id, "/tmp/made/link", 1 << 16).await;
    note("what was moved", told(moved.map(|archive| content(&archive))));
    note("stat of what was moved", told(engine.stat(&id, "/tmp/made/link").await));
    note("remove what is not there", exec(&["rm", "-f", "--", "/tmp/made/none"], PATIENCE, 10).await);
    engine.remove(&id).await.unwrap();
    note("stat of what is gone", told(engine.stat(&id, "/tmp/made/link").await));
    note("exists in what is gone", told(engine.exists(&id, "/tmp/made/link").await));
    trace
}

#[tokio::test(start_paused = true)]
async fn the_fake_engine_runs_commands() {
    let spec = ContainerSpec::new("commands", support::IMAGE);
    let answer = |argv: &[String]| {
        let (code, out, err) = if argv == MUCH { (5, &b"out\n"[..], &b"err\n"[..]) } else { (0, &b""[..], &b""[..]) };
        let (stdout, stderr) = (Bytes::from_static(out), Bytes::from_static(err));
        outrigger::engine::ExecOutput { exit_code: code, stdout, stderr, truncated: false }
    };
    let fake = FakeEngine::new().exec_answers(&spec.name, answer).hangs(&spec.name, |argv| argv == LONG);
    check("fake", &script(&fake, &spec).await, "commands");
}

#[tokio::test]
async fn a_real_engine_runs_the_same_commands() {
    let Some(engine) = support::engine_or_fail().await else { return };
    let (spec, _guard) = shell("contract-commands", FOREVER);
    check("real", &script(&engine, &spec).await, "commands");
}
