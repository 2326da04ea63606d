//! The life of components on a real engine: what makes it ready, who waits for whom, what is done again, and what becomes of those that failed.

mod again;
mod drain;
mod ipc;
mod jobs;
mod kept;
mod signals;
mod steps;
mod stops;

use outrigger::engine::EngineHealth;

use super::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

/// Runs until it is told to stop; says so each time it is started.
const STAYS: &str = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done";

/// A volume of the pod's directory, where components write down in which order they did things.
fn shared(pod: &PodUnderTest) -> String {
    format!("volumes: [\"{}:/shared\"]", pod.host_directory())
}

/// Runs until it is told to stop, and writes down when it begins and when it is told; the first takes so long to stop that whoever stops at the same
/// time would be before it.
fn writes(name: &str) -> String {
    format!(
        "trap 'sleep 0.5; echo {name} stops >> /shared/order; exit 0' TERM; echo {name} runs >> /shared/order; while :; do sleep 0.1; done"
    )
}

/// The lines that components have written down.
fn order(pod: &PodUnderTest) -> Vec<String> {
    pod.in_directory("order").lines().map(str::to_owned).collect()
}

/// A list in the pod's status, as one text.
fn warnings(status: &serde_json::Value) -> String {
    status["warnings"].to_string()
}

/// Waits until a component runs in its run of this number, counted from 0.
async fn runs_again(pod: &PodUnderTest, name: &str, restarts: u32) {
    wait_for(&format!("`{name}` runs after {restarts} restarts"), || async {
        let now = pod.status_of(name).await;
        now["restarts"] == restarts && now["state"] == "running"
    })
    .await;
}

#[tokio::test]
async fn an_http_probe_decides_about_dependents_and_the_pods_health() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-ready").await;
    let serve = |port: u16, more: &str| {
        let script = format!("mkdir -p /www; exec httpd -f -p 127.0.0.1:{port} -h /www");
        let probe =
            format!("{{http: {{port: {port}, path: /ready}}, period: 200ms, timeout: 5s, failure_threshold: 2{more}}}");
        component(&script, &format!("probes: {{readiness: {probe}}}"))
    };
    pod.label("pod.component.web", &serve(7811, ""));
    pod.label("pod.component.extra", &serve(7812, ", unready: degraded"));
    pod.label("pod.component.app", &component(STAYS, "depends_on: {web: {condition: service_healthy}}"));
    pod.start().await;
    wait_for("the probe has failed", || async {
        pod.status_of("web").await["health"].to_string().contains("/ready answered 404")
    })
    .await;
    assert!(pod.inspect("web").await.running, "a readiness probe stops nothing");
    assert!(!pod.components().await.iter().any(|name| name.ends_with(".app")), "its dependent waits");
    assert_eq!(pod.command(&["/outrigger", "healthcheck"]).await.0, 1);

    let ready = async |which: &str| assert_eq!(pod.in_component(which, &["touch", "/www/ready"]).await.0, 0);
    let unready = async |which: &str| assert_eq!(pod.in_component(which, &["rm", "/www/ready"]).await.0, 0);
    ready("web").await;
    pod.says("[out] app: up").await;
    ready("extra").await;
    pod.engine_calls_it(EngineHealth::Healthy).await;

    // This one only lowers the verdict.
    unready("extra").await;
    wait_for("the pod is degraded", || async { pod.status().await["health"]["state"] == "degraded" }).await;
    assert_eq!(pod.command(&["/outrigger", "healthcheck"]).await.0, 0);

    unready("web").await;
    pod.health_check_answers(1).await;
    pod.engine_calls_it(EngineHealth::Unhealthy).await;
    ready("web").await;
    pod.health_check_answers(0).await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    assert_eq!(pod.status_of("app").await["restarts"], 0);
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn a_component_that_is_no_longer_alive_is_started_again_in_its_container() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-alive").await;
    pod.label("pod.options", "settle: 0");
    let probe = "{exec: [test, '!', -e, /tmp/stuck], period: 200ms, timeout: 10s, failure_threshold: 2}";
    pod.label(
        "pod.component.app",
        &component(
            &format!("rm -f /tmp/stuck; echo run >> /tmp/runs; {STAYS}"),
            &format!("restart: {{policy: on-failure, delay: 100ms}}\nprobes: {{liveness: {probe}}}"),
        ),
    );
    pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
    pod.start().await;
    pod.reaches("running").await;
    let (app, web) = (pod.inspect("app").await, pod.inspect("web").await);
    assert_eq!(pod.in_component("app", &["touch", "/tmp/stuck"]).await.0, 0);
    runs_again(&pod, "app", 1).await;
    let again = pod.inspect("app").await;
    assert_eq!(again.id, app.id, "the same container");
    assert_ne!(again.started_at, app.started_at);
    let runs = || async { pod.in_component("app", &["cat", "/tmp/runs"]).await.1 == "run\nrun\n" };
    wait_for("it has the files that it had", runs).await;
    let other = pod.inspect("web").await;
    assert_eq!((other.id, other.started_at), (web.id, web.started_at), "the others go on");
    let told = warnings(&pod.status().await);
    assert!(told.contains("component `app` failed its liveness probe"), "{told}");
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn a_pod_goes_on_without_a_component_that_is_not_essential() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-extra").await;
    let restart = "essential: false\nrestart: {policy: on-failure, max_attempts: 2, delay: 50ms}";
    pod.label("pod.component.metrics", &component("echo tried >> /tmp/tried; exit 3", restart));
    pod.label("pod.component.app", &component(STAYS, ""));
    pod.start().await;
    wait_for("it is given up", || async {
        let told = warnings(&pod.status().await);
        told.contains("`metrics` is not restarted any more after 2 restarts")
            && told.contains("the pod continues without it")
    })
    .await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    let status = pod.status().await;
    assert_eq!((&status["stage"], &status["health"]["state"]), (&"running".into(), &"degraded".into()));
    let metrics = pod.status_of("metrics").await;
    assert_eq!((&metrics["restarts"], &metrics["exit_code"]), (&2.into(), &3.into()), "{metrics}");
    assert!(pod.inspect("app").await.running);
    assert_eq!(pod.stop().await, 0, "the stop is clean all the same");
}
