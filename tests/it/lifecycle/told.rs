//! What an operator reads of a failure: the reason itself, in the log, in `status` and in the end of the pod.

use outrigger::admin::status::ComponentStatus;
use outrigger::engine::EngineHealth::{Healthy, Unhealthy};

use super::log::Log;
use super::*;

const DB: (&str, &str) = ("pod.component.db", "{image: db, healthcheck: {test: [CMD, check]}}");
const SAID: &str = "it exited with code 1: db refused; try later";

fn shown(pod: &Running) -> ComponentStatus {
    pod.status.borrow().components[0].clone()
}

fn reasons(pod: &Running) -> Vec<String> {
    pod.status.borrow().health.reasons.clone()
}

/// The lines of the log with this in them, since the last call.
fn lines(log: &Log, about: &str) -> Vec<String> {
    log.take().into_iter().map(|(_, line)| line).filter(|line| line.contains(about)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_is_reported_with_its_output_and_each_change_once() {
    let (log, _guard) = Log::start();
    let mut pod = start(FakeEngine::new().health("db", &[(SECOND, Healthy)]), Script::default(), &[DB]).await;
    pod.reaches("running").await;
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(lines(&log, "health"), Vec::<String>::new(), "that it became healthy is no news");
    pod.engine.checked("db", 1, "db refused\n  try later\n\n");
    pod.engine.judge("db", Unhealthy);
    // The controller also looks by itself meanwhile.
    tokio::time::sleep(100 * SECOND).await;
    let told = lines(&log, "health check");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(&format!("WARN is unhealthy: the health check fails: {SAID}")), "{told:?}");
    assert_eq!(reasons(&pod), [format!("component `db` is unhealthy: the health check fails: {SAID}")]);
    pod.engine.checked("db", 0, "fine");
    pod.engine.judge("db", Healthy);
    tokio::time::sleep(100 * SECOND).await;
    let told = lines(&log, "health check");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("INFO is healthy again: the health check succeeds"), "{told:?}");
    assert_eq!((shown(&pod).health.unwrap().state.as_str(), reasons(&pod).len()), ("healthy", 0));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_its_check_ends_with_the_output_of_the_check() {
    let all = [DB, ("pod.options", "{start_deadline: 6s}")];
    let pod = start(FakeEngine::new(), Script::default(), &all).await;
    tokio::time::sleep(SECOND).await;
    pod.engine.checked("db", 1, "db refused\ntry later");
    pod.engine.judge("db", Unhealthy);
    let outcome = tokio::time::timeout(120 * SECOND, pod.end).await.unwrap().unwrap();
    assert!(outcome.to_string().contains(&format!("the health check fails: {SAID}")), "{outcome}");
    assert_ne!(outcome.exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_too_long_ends_with_the_output_of_all_that_are_not_up() {
    let (log, _guard) = Log::start();
    let engine = FakeEngine::new()
        .prints("loop", Output::Stderr, &[b"no such table\n"])
        .exits_after("loop", SECOND, 3)
        .prints("db", Output::Stdout, &[b"waiting for a disk\n"]);
    let all = [
        DB,
        ("pod.component.loop", "{image: loop, restart: always}"),
        ("pod.component.fine", "image: fine"),
        ("pod.component.late", "{image: late, depends_on: {db: {condition: service_healthy}}}"),
        ("pod.options", "{start_deadline: 6s}"),
    ];
    let pod = start(engine, Script::default(), &all).await;
    let outcome = pod.ends().await;
    assert!(outcome.is_failure() && outcome.exit_code() == 125, "{outcome}");
    let mut told = lines(&log, "last output");
    told.sort();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("ERROR last output") && told[0].contains("waiting for a disk"), "{told:?}");
    assert!(told[1].starts_with("ERROR last output") && told[1].contains("no such table"), "{told:?}");
    assert!(told.iter().all(|line| !line.contains("did not become healthy")), "the reason follows with the end");
}

#[tokio::test(start_paused = true)]
async fn a_readiness_probe_that_changes_is_one_line_each() {
    let (log, _guard) = Log::start();
    let sick = Arc::new(Mutex::new(false));
    let asked = Arc::clone(&sick);
    let engine = FakeEngine::new().exec_answers("app", move |_| {
        let exit_code = i64::from(*asked.lock().unwrap());
        ExecOutput { exit_code, stdout: "no\nroute\n".into(), stderr: "".into(), truncated: false }
    });
    let app = "{image: app, probes: {readiness: {exec: [ready], period: 1s, failure_threshold: 1}}}";
    let mut pod = start(engine, Script::default(), &[("pod.component.app", app)]).await;
    pod.reaches("running").await;
    tokio::time::sleep(20 * SECOND).await;
    for now in [true, false] {
        *sick.lock().unwrap() = now;
        tokio::time::sleep(20 * SECOND).await;
    }
    let told = lines(&log, "readiness");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("WARN the readiness probe fails: `ready` exited with code 1: no; route"), "{told:?}");
    assert!(told[1].starts_with("INFO the readiness probe succeeds again"), "{told:?}");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_for_want_of_memory_is_called_so() {
    const TOLD: &str = "was killed because memory ran out (137; `mem_limit` 20m)";
    let (log, _guard) = Log::start();
    let hog = (
        "pod.component.hog",
        "{image: hog, mem_limit: 20m, restart: {policy: on-failure, delay: 10s, max_attempts: 1}}",
    );
    let all = [hog, ("pod.options", "{settle: 0s}")];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    tokio::time::sleep(30 * SECOND).await;
    pod.engine.kill_for_memory("hog");
    tokio::time::sleep(SECOND).await;
    assert_eq!(lines(&log, TOLD).len(), 1);
    assert_eq!(reasons(&pod), [format!("component `hog` is degraded: the component {TOLD} and waits for its restart")]);
    tokio::time::sleep(30 * SECOND).await;
    let again = shown(&pod);
    assert_eq!((again.state.as_str(), again.exit_code, again.oom_killed), ("running", Some(137), true));
    // Somebody else's kill is none.
    pod.engine.kill("hog", 3);
    let outcome = tokio::time::timeout(120 * SECOND, pod.end).await.unwrap().unwrap();
    assert_eq!(outcome.to_string(), "component `hog` exited with code 3");

    for (limit, told) in [("mem_limit: 20m", "`mem_limit` 20m"), ("cpus: 1", "it has no `mem_limit` of its own")] {
        let all = [("pod.component.hog", &*format!("{{image: hog, {limit}}}"))];
        let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
        pod.reaches("running").await;
        pod.engine.kill_for_memory("hog");
        let outcome = tokio::time::timeout(120 * SECOND, pod.end).await.unwrap().unwrap();
        assert_eq!(outcome.to_string(), format!("component `hog` was killed because memory ran out (137; {told})"));
        assert_eq!(outcome.exit_code(), 137);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_component_is_shown_as_such() {
    let mut pod = start(FakeEngine::new(), Script::default(), &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    tokio::time::sleep(20 * SECOND).await;
    let is = |pod: &Running| (shown(pod).state, pod.status.borrow().health.state.to_string());
    assert_eq!(is(&pod), ("running".to_owned(), "healthy".to_owned()));
    pod.engine.pause("app", true);
    tokio::time::sleep(SECOND).await;
    assert_eq!(is(&pod), ("paused".to_owned(), "degraded".to_owned()));
    assert!(
        reasons(&pod)[0].contains("the component is paused; `docker unpause` lets it go on"),
        "{:?}",
        reasons(&pod)
    );
    pod.engine.pause("app", false);
    tokio::time::sleep(SECOND).await;
    assert_eq!(is(&pod), ("running".to_owned(), "healthy".to_owned()));
    // An event that is missed is made up for by a look.
    pod.engine.goes_away_for(5 * SECOND);
    pod.engine.pause("app", true);
    pod.engine.forgets_events();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(is(&pod).0, "paused");
    // A process that has ended is not paused.
    pod.engine.kill("app", 3);
    assert_eq!(pod.ends().await, component("app", 3));
}
