//! What a container prints: followed while it is printed, and read after its end, over two runs.

use super::*;

/// Prints on both streams, and ends with 3 half a second later.
const SCRIPT: &str = "echo out; echo err >&2; sleep 0.5; printf 'no end'; exit 3";

/// What one stream has, up to the end of the reading.
async fn read<E: Engine>(engine: &E, id: &ContainerId, from: LogsFrom, output: Output) -> String {
    let frames: Result<Vec<_>, _> = timeout(PATIENCE, engine.logs(id, from).try_collect()).await.expect("it ends");
    let of = |frames: Vec<outrigger::engine::LogFrame>| -> String {
        let bytes = frames.into_iter().filter(|frame| frame.output == output).flat_map(|frame| frame.bytes);
        String::from_utf8(bytes.collect()).expect("it is text")
    };
    told(frames.map(of))
}

async fn script<E: Engine>(engine: &E, spec: &ContainerSpec) -> Vec<String> {
    let mut trace = Vec::new();
    let mut note = |what: &str, answer: String| trace.push(format!("{what}: {answer}"));
    let all = LogsFrom::default();
    let (id, _) = engine.create(spec).await.unwrap();
    engine.start(&id).await.unwrap();
    let (out, err) = tokio::join!(read(engine, &id, all, Output::Stdout), read(engine, &id, all, Output::Stderr));
    note("followed, standard output", out);
    note("followed, standard error", err);
    note("at the end of the output, exit code", end_of(engine, &id).await.to_string());
    note("read again", read(engine, &id, all, Output::Stdout).await);
    let later = LogsFrom { since: i64::from(u32::MAX), timestamps: false };
    note("since the far future", read(engine, &id, later, Output::Stdout).await);
    note("tail", told(engine.tail(&id, 1, 4096).await.map(|tail| !tail.is_empty())));
    note("tail of no more than 3 bytes", told(engine.tail(&id, 9, 3).await.map(|tail| tail.len())));
    note("start again", told(engine.start(&id).await));
    note("exit code", end_of(engine, &id).await.to_string());
    note("both runs, standard error", read(engine, &id, all, Output::Stderr).await);
    note("remove", told(engine.remove(&id).await));
    note("of what is gone", read(engine, &id, all, Output::Stdout).await);
    note("tail of what is gone", told(engine.tail(&id, 1, 4096).await));
    trace
}

#[tokio::test(start_paused = true)]
async fn the_fake_engine_prints() {
    let spec = ContainerSpec::new("prints", support::IMAGE);
    let fake = FakeEngine::new()
        .prints(&spec.name, Output::Stdout, &[b"out\n", b"no end"])
        .prints(&spec.name, Output::Stderr, &[b"err\n"])
        .exits_after(&spec.name, Duration::from_millis(500), 3);
    check("fake", &script(&fake, &spec).await, "output");
}

#[tokio::test]
async fn a_real_engine_prints_the_same() {
    let Some(engine) = support::engine_or_fail().await else { return };
    let (spec, _guard) = shell("contract-output", SCRIPT);
    check("real", &script(&engine, &spec).await, "output");
}
