//! What is done around the start and the stop of components, and the order of stopping.

use std::time::{Duration, Instant};

use outrigger::engine::EngineHealth;
use outrigger::pod::HealthCheck;

use super::{STAYS, shared};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

#[tokio::test]
async fn steps_are_done_between_the_start_and_the_dependents_and_before_the_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-order").await;
    let writes = |what: &str| {
        format!(
            "trap 'echo {what} stops >> /shared/order; exit 0' TERM; echo {what} runs >> /shared/order; while :; do sleep 0.1; done"
        )
    };
    // The pauses are room for whoever does not wait.
    let after = "until grep -q 'app runs' /shared/order; do sleep 0.1; done; sleep 0.5; echo post_start >> /shared/order";
    let before = "sleep 0.5; echo \"pre_stop $WHY\" >> /shared/order";
    let steps = format!(
        "post_start: [{{command: [sh, -c, {}]}}]\npre_stop: [{{command: [sh, -c, {}], environment: {{WHY: asked}}}}]\n{}",
        serde_json::to_string(after).unwrap(),
        serde_json::to_string(before).unwrap(),
        shared(&pod)
    );
    pod.label("pod.component.app", &component(&writes("app"), &steps));
    pod.label("pod.component.web", &component(&writes("web"), &format!("depends_on: [app]\n{}", shared(&pod))));
    pod.start().await;
    pod.reaches("running").await;
    wait_for("the dependent runs", || async { pod.in_directory("order").contains("web runs") }).await;
    assert_eq!(pod.stop().await, 0);
    let order = pod.in_directory("order");
    let order: Vec<_> = order.lines().collect();
    assert_eq!(order, ["app runs", "post_start", "web runs", "web stops", "pre_stop asked", "app stops"]);
}

#[tokio::test]
async fn a_step_that_fails_after_the_start_ends_the_pod_with_its_reason() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-fail").await;
    let steps = "post_start: [{command: [sh, -c, 'echo no luck >&2; exit 9']}]";
    pod.label("pod.component.app", &component(STAYS, steps));
    pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
    pod.start().await;
    let code = pod.ends().await;
    let log = pod.log().await;
    assert_eq!(code, 125, "{log}");
    assert!(log.contains("component `app` failed its `post_start`: step 1, `sh -c"), "{log}");
    assert!(log.contains("ended with 9: no luck") && !log.contains("[out] web"), "{log}");
}

#[tokio::test]
async fn a_pod_is_unhealthy_while_it_drains_and_still_answers() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-drain").await;
    // As a load balancer would look.
    pod.spec().healthcheck = Some(HealthCheck::Command {
        test: ["CMD", "/outrigger", "healthcheck"].map(str::to_owned).to_vec(),
        interval: Some(Duration::from_millis(300)),
        timeout: Some(Duration::from_secs(10)),
        start_period: None,
        start_interval: None,
        retries: Some(1),
    });
    pod.spec().stop_timeout = Some(Duration::from_secs(90));
    pod.label("pod.options", "{drain: 60s}");
    let serve = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 127.0.0.1:7813 -h /www";
    pod.label("pod.component.app", &component(serve, "probes: {readiness: {tcp: 7813, period: 200ms, timeout: 5s}}"));
    pod.start().await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    let began = Instant::now();
    pod.signal(15).await;
    pod.engine_calls_it(EngineHealth::Unhealthy).await;
    assert_eq!(pod.command(&["/outrigger", "healthcheck"]).await.0, 1);
    assert_eq!(pod.status().await["stage"], "stopping");
    let answer = pod.in_component("app", &["wget", "-q", "-O", "-", "http://127.0.0.1:7813/"]).await;
    assert_eq!(answer, (0, "hello\n".to_owned()));
    // Whoever asks again does not want to wait for the rest of it.
    assert_eq!(pod.stop().await, 0);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let mut short = PodUnderTest::new(&engine, "steps-short-drain").await;
    short.label("pod.options", "{drain: 1s}");
    short.label("pod.component.app", &component(STAYS, ""));
    short.start().await;
    short.reaches("running").await;
    let began = Instant::now();
    assert_eq!(short.stop().await, 0);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_deep_chain_stops_in_reverse_order_within_the_grace_period() {
    const DEPTH: usize = 8;
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-chain").await;
    for at in 0..DEPTH {
        let script =
            format!("trap 'sleep 0.1; echo c{at} >> /shared/order; exit 0' TERM; echo up; while :; do sleep 0.05; done");
        let on = if at == 0 { String::new() } else { format!("depends_on: [c{}]\n", at - 1) };
        pod.label(&format!("pod.component.c{at}"), &component(&script, &format!("{on}{}", shared(&pod))));
    }
    pod.start().await;
    pod.reaches("running").await;
    // A shell that has not set its trap yet would end at once.
    for at in 0..DEPTH {
        pod.says(&format!("[out] c{at}: up")).await;
    }
    let began = Instant::now();
    let code = pod.stop().await;
    // The engine's own default, after which it would kill the controller.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(code, 0, "{}", pod.log().await);
    let expected: Vec<_> = (0..DEPTH).rev().map(|at| format!("c{at}")).collect();
    let order = pod.in_directory("order");
    assert_eq!(order.lines().collect::<Vec<_>>(), expected);
}
