//! Ends under pressure: an engine that shuts down, one that is away, one that is busy.

use std::fs;

use tokio::time::Instant;

use super::log::Log;
use super::*;

/// Longest time from the last exit to the end of the controller.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn pod_of(engine: FakeEngine, all: &[(&str, &str)]) -> Running {
    start(engine, Script::default(), all).await
}

fn three() -> [(&'static str, &'static str); 3] {
    [
        ("pod.component.db", "image: db"),
        ("pod.component.app", "{image: app, depends_on: [db]}"),
        ("pod.component.web", "{image: web, depends_on: [app]}"),
    ]
}

/// The end of a pod whose containers may remain, and how long it took from now.
async fn over(pod: Running) -> (Outcome, Duration) {
    let began = Instant::now();
    let outcome = tokio::time::timeout(600 * SECOND, pod.end).await.expect("the pod ends").unwrap();
    (outcome, began.elapsed())
}

/// What an engine does that shuts down: it takes no calls any more, and stops everything at once.
async fn shuts_down(engine: &FakeEngine, pod: &Running, exits: &[(&str, i32)], signal_first: bool) {
    engine.shuts_down_for(3600 * SECOND);
    if signal_first {
        pod.signal(15).await;
    }
    for (name, code) in exits {
        engine.kill(name, *code);
    }
    if !signal_first {
        tokio::time::sleep(Duration::from_millis(300)).await;
        pod.signal(15).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_shuts_down_is_not_waited_for() {
    for signal_first in [true, false] {
        let engine = FakeEngine::new();
        let mut pod = pod_of(engine.clone(), &three()).await;
        pod.reaches("running").await;
        engine.forget_calls();
        let exits = [("db", 143), ("app", 0), ("web", 0), ("pod.podlike.ipc", 143)];
        shuts_down(&engine, &pod, &exits, signal_first).await;
        let (outcome, took) = over(pod).await;
        assert_eq!(outcome, Outcome::Stopped, "the engine's stop is a stop: {signal_first}");
        assert!(took < AT_ONCE, "{signal_first}: {took:?}");
        assert_eq!(engine.calls_of("start"), Vec::<String>::new(), "nothing is started again");
    }
}

/// What is expected then is no warning, and is told once, not for each component.
#[tokio::test(start_paused = true)]
async fn an_engine_that_shuts_down_leaves_a_short_log() {
    let (log, _guard) = Log::start();
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), &three()).await;
    pod.reaches("running").await;
    log.take();
    let exits = [("db", 143), ("app", 0), ("web", 0), ("pod.podlike.ipc", 143)];
    shuts_down(&engine, &pod, &exits, true).await;
    assert_eq!(over(pod).await.0, Outcome::Stopped);
    let lines: Vec<_> = log.take().into_iter().map(|(_, line)| line).collect();
    let with = |text: &str| lines.iter().filter(|line| line.contains(text)).cloned().collect::<Vec<_>>();
    let missing =
        ["INFO the engine shut down before it had sent all output; the last lines of 3 components may be missing"];
    assert_eq!(with("may be missing"), missing, "{lines:#?}");
    let warnings = with("WARN");
    assert_eq!(warnings.len(), 2, "{lines:#?}");
    assert!(warnings[0].contains("engine unreachable"), "{lines:#?}");
    assert!(warnings[1].contains("the engine refuses connections, so 4 containers of the pod remain"), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_shuts_down_is_waited_for_as_long_as_something_runs() {
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), &three()).await;
    pod.reaches("running").await;
    shuts_down(&engine, &pod, &[("db", 0), ("web", 0)], true).await;
    tokio::time::sleep(4 * SECOND).await;
    assert!(!pod.end.is_finished(), "`app` takes its time");
    engine.kill("app", 137);
    let (outcome, took) = over(pod).await;
    assert_eq!(outcome, Outcome::Killed, "the engine had to kill it");
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_is_nobody_elses_doing_decides_after_a_moment() {
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), &three()).await;
    pod.reaches("running").await;
    engine.shuts_down_for(5 * SECOND);
    engine.kill("app", 7);
    let began = Instant::now();
    // The calls come through again later: everything is removed.
    assert_eq!(pod.ends().await, component("app", 7));
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_shuts_down_during_the_start_or_a_drain_is_not_waited_for() {
    let engine = FakeEngine::new().slow("create", "web", 30 * SECOND);
    let mut pod = pod_of(engine.clone(), &three()).await;
    let up = pod.status.wait_for(|status| status.components.iter().any(|it| it.name == "app" && it.state == "running"));
    tokio::time::timeout(60 * SECOND, up).await.expect("`app` runs").unwrap();
    shuts_down(&engine, &pod, &[("db", 143), ("app", 143)], true).await;
    let (outcome, took) = over(pod).await;
    assert_eq!(outcome, Outcome::Interrupted { signal: 15 });
    assert!(took < AT_ONCE, "{took:?}");

    let engine = FakeEngine::new();
    let drained = [("pod.component.app", "image: app"), ("pod.options", "drain: 4s")];
    let mut pod = pod_of(engine.clone(), &drained).await;
    pod.reaches("running").await;
    shuts_down(&engine, &pod, &[("app", 0)], true).await;
    let (outcome, took) = over(pod).await;
    assert_eq!(outcome, Outcome::Stopped);
    assert!(took < AT_ONCE, "nothing is left to be drained: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_was_begun_by_an_engine_that_is_there_waits_for_its_return() {
    let engine = FakeEngine::new();
    let engine = engine.stop_takes("app", SECOND);
    let mut pod = pod_of(engine.clone(), &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    tokio::time::sleep(SECOND / 2).await;
    // Somebody restarts the engine, with live-restore, while it stops the pod.
    engine.goes_away_for(5 * SECOND);
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

/// A file system as `/proc`, with one process for each of these containers.
fn processes(engine: &FakeEngine, names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, pid) in names.iter().zip(20..) {
        let id = engine.find(name).unwrap().id.0;
        let at = root.path().join(pid.to_string());
        fs::create_dir(&at).unwrap();
        fs::write(at.join("cgroup"), format!("4:memory:/docker/{id}\n")).unwrap();
        fs::write(at.join("stat"), format!("{pid} (x) S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 1")).unwrap();
    }
    root
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_a_crashed_engine_starts_again_is_seen_where_it_can_be() {
    for seen in [true, false] {
        let engine = FakeEngine::new();
        let proc = tempfile::tempdir().unwrap();
        let visible = if seen { Processes::below(proc.path()) } else { Processes::hidden() };
        let settings = Settings { keep: Keep { count: 0, ..Keep::default() }, ..Settings::default() };
        let mut pod = start_seeing(visible, settings, engine.clone(), Script::default(), &three()).await;
        pod.reaches("running").await;
        let found = processes(&engine, &["db", "app", "web"]);
        for entry in fs::read_dir(found.path()).unwrap() {
            let entry = entry.unwrap();
            fs::rename(entry.path(), proc.path().join(entry.file_name())).unwrap();
        }
        // There is no stream any more: nobody reports what the next engine does before it serves.
        engine.goes_away_for(3600 * SECOND);
        tokio::time::sleep(SECOND).await;
        pod.signal(15).await;
        tokio::time::sleep(2 * SECOND).await;
        assert!(!pod.end.is_finished(), "they run still");
        for name in ["db", "app", "web"] {
            engine.kill(name, 0);
        }
        fs::remove_dir_all(proc.path()).unwrap();
        fs::create_dir(proc.path()).unwrap();
        let (outcome, took) = over(pod).await;
        if seen {
            assert_eq!(outcome, Outcome::Stopped);
            assert!(took < AT_ONCE, "{took:?}");
        } else {
            // Whether they have ended nobody can say, and the pod's time is up.
            assert_eq!(outcome, Outcome::Killed);
            assert!((6 * SECOND..10 * SECOND).contains(&took), "{took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_engine_does_not_cost_a_component_its_grace_period() {
    // The signal takes longer than the grace period, and the component needs nearly all of it.
    let engine = FakeEngine::new()
        .slow("signal", "app", 4 * SECOND)
        .exits_on("app", 15, 0)
        .stop_takes("app", 1900 * SECOND / 1000);
    let mut pod = pod_of(engine.clone(), &[("pod.component.app", "{image: app, stop_grace_period: 2s}")]).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert_eq!(engine.calls_of("signal"), ["signal app 15"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_killed() {
    // The look takes so long that the component has ended by then.
    let engine = FakeEngine::new().exits_on("app", 15, 0).stop_takes("app", 2500 * SECOND / 1000);
    let mut pod = pod_of(engine.clone(), &[("pod.component.app", "{image: app, stop_grace_period: 2s}")]).await;
    pod.reaches("running").await;
    let engine = engine.slow("inspect", "app", SECOND);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert_eq!(engine.calls_of("signal"), ["signal app 15"]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_without_an_answer_is_not_sent_twice() {
    let engine = FakeEngine::new().slow("signal", "app", 20 * SECOND).ignores("app", 15);
    let settings = Settings { keep: Keep { count: 0, ..Keep::default() }, ..Settings::default() };
    let mut pod = start_with(settings, engine.clone(), Script::default(), &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Killed);
    assert_eq!(engine.calls_of("signal").iter().filter(|call| call.ends_with(" 15")).count(), 1);
    // Nor is it if the call itself has taken too long: the component has the signal, and may need longer still.
    let engine =
        FakeEngine::new().loses_the_answer("signal", "app", 1).exits_on("app", 15, 0).stop_takes("app", 100 * SECOND);
    let all = [("pod.component.app", "{image: app, stop_grace_period: 3m}"), ("pod.stop_grace_period", "4m")];
    let mut pod = pod_of(engine.clone(), &all).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert_eq!(engine.calls_of("signal"), ["signal app 15"]);
}

/// An engine that comes back in time has the exit code, which the controller can't see.
#[tokio::test(start_paused = true)]
async fn what_ends_just_before_the_engine_is_back_is_heard_of_from_the_engine() {
    let engine = FakeEngine::new();
    let proc = tempfile::tempdir().unwrap();
    let settings = Settings { keep: Keep { count: 0, ..Keep::default() }, ..Settings::default() };
    let visible = Processes::below(proc.path());
    let mut pod = start_seeing(visible, settings, engine.clone(), Script::default(), &three()).await;
    pod.reaches("running").await;
    let found = processes(&engine, &["db", "app", "web"]);
    for entry in fs::read_dir(found.path()).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), proc.path().join(entry.file_name())).unwrap();
    }
    // The controller looks for the engine after 1.5 s, a third of a second after the end.
    engine.goes_away_for(SECOND * 14 / 10);
    tokio::time::sleep(SECOND / 10).await;
    pod.signal(15).await;
    tokio::time::sleep(SECOND * 107 / 100).await;
    engine.kill("web", 3);
    fs::remove_dir_all(proc.path().join("22")).unwrap();
    let status = pod.status.clone();
    let (outcome, _took) = over(pod).await;
    assert_eq!(outcome, Outcome::Stopped);
    let code = |name: &str| status.borrow().components.iter().find(|it| it.name == name).and_then(|it| it.exit_code);
    assert_eq!(code("web"), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_slow_component_leaves_its_dependency_a_share_of_the_time() {
    for (deaf, expected) in [
        (&["app"] as &[&str], &["signal app 15", "signal app 9", "signal db 15"] as &[&str]),
        (&["app", "db"], &["signal app 15", "signal app 9", "signal db 15", "signal db 9"]),
        (&["db"], &["signal app 15", "signal db 15", "signal db 9"]),
    ] {
        let engine = deaf.iter().fold(FakeEngine::new(), |engine, name| engine.ignores(name, 15));
        let settings = Settings { keep: Keep { count: 0, ..Keep::default() }, ..Settings::default() };
        let mut pod = start_with(settings, engine.clone(), Script::default(), &three()[..2]).await;
        pod.reaches("running").await;
        pod.signal(15).await;
        assert_eq!(pod.ends().await, Outcome::Killed);
        let signals = engine.calls_of("signal");
        assert_eq!(signals, expected, "deaf: {deaf:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_fails_when_the_component_has_ended_is_no_success() {
    for (code, expected) in [(0, 125), (3, 3)] {
        let script = Script { lines: Some(Arc::new(|_| Err("it trapped".to_owned()))), ..Script::default() };
        let engine = FakeEngine::new().prints("app", Output::Stdout, &[b"RESULT important\n"]);
        let mut pod = start(engine.clone(), script, &[("pod.component.app", "image: app")]).await;
        pod.reaches("running").await;
        engine.kill("app", code);
        let written = Arc::clone(&pod.written);
        let outcome = pod.ends().await;
        assert_eq!(outcome.exit_code(), expected, "{outcome}");
        assert_eq!(*written.lock().unwrap(), b"", "what a plugin may have to take out is not written");
        if code == 0 {
            assert_eq!(outcome.to_string(), "plugin `script` failed in `log-line`: it trapped");
        }
    }
}
