//! Components that stop: many at a time, and behind a shell that does not pass signals on.

use std::fmt::Write as _;

use super::*;

#[tokio::test]
async fn many_components_that_stop_at_once_are_not_killed() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-many").await;
    // They need a part of their grace period each, and the engine needs its time for so many.
    let script = "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 1 & wait $!; done";
    for index in 0..60 {
        pod.label(&format!("pod.component.c{index}"), &component(script, "stop_grace_period: 3s"));
    }
    pod.spec().stop_timeout = Some(std::time::Duration::from_secs(240));
    pod.start().await;
    pod.reaches("running").await;
    assert_eq!(pod.inspect("c7").await.stop_timeout, Some(std::time::Duration::from_secs(3)));
    assert_eq!(pod.stop().await, 0);
    let log = pod.log().await;
    assert!(!log.contains("did not stop in time"), "{log}");
    assert_eq!(log.matches("exited exit_code=0").count(), 60, "{log}");
}

#[tokio::test]
async fn an_application_behind_a_shell_gets_its_signal_and_its_time() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-shell").await;
    let application = "trap 'echo application got TERM; sleep 1; echo application saved; exit 0' TERM; echo application up; while :; do sleep 0.1; done";
    let application = serde_json::to_string(application).unwrap();
    let mut script = String::new();
    // Shells in a shell, and one of them leaves the application to itself.
    write!(script, "sh -c {application}; echo wrapper ends").unwrap();
    pod.label("pod.component.front", &component(&script, "stop_grace_period: 8s"));
    let nested = serde_json::to_string(&script).unwrap();
    pod.label("pod.component.deep", &component(&format!("sh -c {nested}; true"), "stop_grace_period: 8s"));
    pod.label("pod.component.plain", &component(&format!("exec sh -c {application}"), "stop_grace_period: 8s"));
    // Does not heed the signal: it has its grace period, as any other.
    let deaf = serde_json::to_string("trap 'echo deaf heard it' TERM; while :; do sleep 0.1; done").unwrap();
    pod.label("pod.component.deaf", &component(&format!("sh -c {deaf}; true"), "stop_grace_period: 2s"));
    pod.spec().stop_timeout = Some(std::time::Duration::from_secs(60));
    pod.start().await;
    for name in ["front", "deep", "plain"] {
        pod.says(&format!("[out] {name}: application up")).await;
    }
    pod.reaches("running").await;
    assert_eq!(pod.stop().await, 137, "one of them had to be killed");
    let log = pod.log().await;
    for name in ["front", "deep", "plain"] {
        assert!(log.contains(&format!("[out] {name}: application saved")), "{name}:\n{log}");
    }
    assert!(log.contains("[out] front: wrapper ends") && log.contains("[out] deaf: deaf heard it"), "{log}");
    for (name, warned) in [("front", 1), ("deep", 1), ("plain", 0), ("deaf", 1)] {
        assert_eq!(
            log.matches(&format!("component `{name}` has the main process `sh`")).count(),
            warned,
            "{name}:\n{log}"
        );
    }
    assert_eq!(log.matches("did not stop in time and is killed: its grace period of 2s is over").count(), 1, "{log}");
}

#[tokio::test]
async fn a_slow_component_does_not_cost_its_dependency_the_stop_signal() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-slow").await;
    let flushes = "trap 'echo db flushed; exit 0' TERM; echo db up; while :; do sleep 0.1; done";
    pod.label("pod.component.db", &component(flushes, "pre_stop: [{sleep: 200ms}]"));
    let deaf = "trap '' TERM; echo app up; while :; do sleep 0.1; done";
    pod.label("pod.component.app", &component(deaf, "depends_on: [db]"));
    // As long as the engine waits by default; by then all is over.
    pod.spec().stop_timeout = Some(std::time::Duration::from_secs(10));
    pod.start().await;
    for name in ["db", "app"] {
        pod.says(&format!("[out] {name}: {name} up")).await;
    }
    pod.reaches("running").await;
    assert_eq!(pod.stop().await, 137, "one of them had to be killed");
    let log = pod.log().await;
    assert!(
        log.contains("component `db`: `pre_stop` before its stop") && log.contains("[out] db: db flushed"),
        "{log}"
    );
    let why =
        "component `app`: did not stop in time and is killed: `db` stops after it, and needs its share of the 8.5s";
    assert!(log.contains(why), "{log}");
    assert!(!log.contains("component `db`: did not stop") && !log.contains("component `db`: is killed"), "{log}");
}
