//! The life of components on a real engine: probes, restarts, jobs, and what becomes of those that failed.

mod ipc;
mod kept;
mod steps;

use outrigger::engine::{Engine, EngineHealth};

use super::pod::{PodUnderTest, component, wait_for};
use crate::support::{IMAGE, engine_or_fail};

/// Runs until it is told to stop; says so each time it is started.
const STAYS: &str = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done";

/// A volume of the pod's directory, where components write down in which order they did things.
fn shared(pod: &PodUnderTest) -> String {
    format!("volumes: [\"{}:/shared\"]", pod.host_directory())
}

/// A list in the pod's status, as one text.
fn warnings(status: &serde_json::Value) -> String {
    status["warnings"].to_string()
}

#[tokio::test]
async fn an_http_probe_decides_about_dependents_and_the_pods_health() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-ready").await;
    let serve = |port: u16, more: &str| {
        let script = format!("mkdir -p /www; exec httpd -f -p 127.0.0.1:{port} -h /www");
        let probe = format!(
            "{{http: {{port: {port}, path: /ready}}, period: 200ms, timeout: 5s, failure_threshold: 2{more}}}"
        );
        component(&script, &format!("probes: {{readiness: {probe}}}"))
    };
    pod.label("pod.component.web", &serve(7811, ""));
    pod.label("pod.component.extra", &serve(7812, ", unready: degraded"));
    pod.label("pod.component.app", &component(STAYS, "depends_on: {web: {condition: service_healthy}}"));
    pod.start().await;
    wait_for("the probe has failed", || async {
        let h = pod.status_of("web").await["health"].to_string(); eprintln!("{h}"); h.contains("/ready answered 404")
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
    wait_for("it was started again", || async {
        let now = pod.status_of("app").await;
        now["restarts"] == 1 && now["state"] == "running"
    })
    .await;
    let again = pod.inspect("app").await;
    assert_eq!(again.id, app.id, "the same container");
    assert_ne!(again.started_at, app.started_at);
    assert_eq!(pod.in_component("app", &["cat", "/tmp/runs"]).await.1, "run\nrun\n", "with the files it had");
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
    pod.label("pod.component.metrics", &component("echo tried; exit 3", restart));
    pod.label("pod.component.app", &component(STAYS, ""));
    pod.start().await;
    wait_for("it is given up", || async {
        let told = warnings(&pod.status().await);
        told.contains("`metrics` is given up after 2 restarts") && told.contains("the pod goes on without it")
    })
    .await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    let status = pod.status().await;
    assert_eq!((&status["stage"], &status["health"]["state"]), (&"running".into(), &"degraded".into()));
    let metrics = pod.status_of("metrics").await;
    assert_eq!((&metrics["restarts"], &metrics["exit_code"]), (&2.into(), &3.into()), "{metrics}");
    assert!(pod.inspect("app").await.running);
    assert_eq!(pod.stop().await, 0, "the stop is clean all the same");
    let log = pod.log().await;
    assert_eq!(log.matches("[out] metrics: tried").count(), 3, "{log}");
}

#[tokio::test]
async fn a_pod_is_started_again_in_place() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-place").await;
    // What is told to the outside stays the same: the address is the controller's.
    let address = "echo \"at $(hostname -i)\"";
    pod.label("pod.init.components", &format!("[{{image: {IMAGE}, command: [sh, -c, 'echo prepared']}}]"));
    let app = format!(
        "{address}; if [ -e /shared/go ]; then {STAYS}; fi; until [ -e /shared/go ]; do sleep 0.1; done; exit 4"
    );
    let restart = format!("restart: {{policy: on-failure, scope: pod, delay: 50ms}}\n{}", shared(&pod));
    pod.label("pod.component.app", &component(&app, &restart));
    pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
    pod.start().await;
    pod.reaches("running").await;
    pod.says("[out] web: up").await;
    let (controller, web) = (engine.inspect(pod.name()).await.unwrap(), pod.inspect("web").await);
    pod.change_file("go", "");
    wait_for("all run again", || async {
        let (app, web) = (pod.status_of("app").await, pod.status_of("web").await);
        [&app, &web].iter().all(|one| one["restarts"] == 1 && one["state"] == "running")
    })
    .await;
    pod.reaches("running").await;
    let (now, other) = (engine.inspect(pod.name()).await.unwrap(), pod.inspect("web").await);
    assert_eq!((now.id, now.started_at, &now.addresses), (controller.id, controller.started_at, &controller.addresses));
    assert_eq!(other.id, web.id);
    assert_ne!(other.started_at, web.started_at, "the others are started again too");
    assert!(warnings(&pod.status().await).contains("started again in place"));
    assert_eq!(pod.stop().await, 0);
    let log = pod.log().await;
    for (line, expected) in [("[out] init-1: prepared", 2), ("[out] web: up", 2), ("[out] app: up", 1)] {
        assert_eq!(log.matches(line).count(), expected, "`{line}` in:\n{log}");
    }
    let addresses: Vec<_> = log.lines().filter(|line| line.starts_with("[out] app: at ")).collect();
    assert!(addresses.len() == 2 && addresses.first() == addresses.last(), "{addresses:?}");
    assert!(addresses[0].ends_with(&controller.addresses[0]), "{addresses:?} {:?}", controller.addresses);
}

#[tokio::test]
async fn a_job_is_waited_for_and_its_failure_ends_the_pod() {
    let Some(engine) = engine_or_fail().await else { return };
    let pod_with = async |name: &str, job: &str| {
        let mut pod = PodUnderTest::new(&engine, name).await;
        pod.label("pod.component.migrate", &component(job, &shared(&pod)));
        let on = "depends_on: {migrate: {condition: service_completed_successfully}}";
        let app = format!("cat /shared/made; {STAYS}");
        pod.label("pod.component.app", &component(&app, &format!("{on}\n{}", shared(&pod))));
        pod.start().await;
        pod
    };
    let good = pod_with("life-job", "sleep 0.5; echo tables > /shared/made").await;
    let bad = pod_with("life-broken-job", "echo no database; exit 5").await;
    good.says("[out] app: tables").await;
    good.reaches("running").await;
    good.health_check_answers(0).await;
    let job = good.status_of("migrate").await;
    assert_eq!((&job["state"], &job["exit_code"]), (&"exited".into(), &0.into()), "{job}");
    assert_eq!(good.stop().await, 0);
    assert_eq!(bad.ends().await, 5, "{}", bad.log().await);
    let log = bad.log().await;
    assert!(log.contains("[out] migrate: no database") && !log.contains("[out] app"), "{log}");
}
