//! Who waits for whom: jobs, dependencies that nobody requires, and those whose restart is their dependents' too.

use super::{STAYS, order, runs_again, shared, warnings, writes};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

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
    let good = pod_with("job-good", "until [ -e /shared/go ]; do sleep 0.1; done; echo tables > /shared/made").await;
    let bad = pod_with("job-bad", "echo no database; exit 5").await;
    good.reaches("starting").await;
    wait_for("the job runs", || async { good.status_of("migrate").await["state"] == "running" }).await;
    assert_eq!(good.status_of("app").await["state"], "planned");
    assert_eq!(good.command(&["/outrigger", "healthcheck"]).await.0, 1);
    good.change_file("go", "");
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

#[tokio::test]
async fn a_dependency_that_is_not_required_may_be_missing_or_fail() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "job-optional").await;
    pod.label("pod.component.seed", &component("until [ -e /shared/go ]; do sleep 0.1; done; exit 5", &shared(&pod)));
    let on = "depends_on: {seed: {condition: service_completed_successfully, required: false}, cache: {condition: service_healthy, required: false}}";
    pod.label("pod.component.app", &component(STAYS, on));
    pod.start().await;
    wait_for("the job runs", || async { pod.status_of("seed").await["state"] == "running" }).await;
    assert_eq!(pod.status_of("app").await["state"], "planned", "it waits as long as there is hope");
    pod.change_file("go", "");
    pod.says("[out] app: up").await;
    pod.reaches("running").await;
    pod.health_check_answers(0).await;
    let status = pod.status().await;
    assert_eq!(status["health"]["state"], "degraded", "{status}");
    let told = warnings(&status);
    assert!(
        told.contains("`app` starts without `seed`: the dependency is optional, and `seed` will not be completed"),
        "{told}"
    );
    assert!(told.contains("`cache`"), "{told}");
    assert_eq!(pod.status_of("seed").await["exit_code"], 5);
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn dependents_are_started_again_after_their_dependency_where_they_ask_for_it() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "job-renew").await;
    pod.label("pod.options", "settle: 0");
    let db = "rm -f /tmp/ready; echo db runs >> /shared/order; touch /tmp/ready; until [ -e /shared/end ]; do sleep 0.1; done; rm /shared/end /tmp/ready; echo db ends >> /shared/order; exit 1";
    let db_life = format!(
        "restart: {{policy: on-failure, delay: 50ms}}\nprobes: {{readiness: {{exec: [test, -e, /tmp/ready], period: 200ms, timeout: 10s}}}}\n{}",
        shared(&pod)
    );
    pod.label("pod.component.db", &component(db, &db_life));
    let on = format!("depends_on: {{db: {{condition: service_healthy, restart: true}}}}\n{}", shared(&pod));
    pod.label("pod.component.app", &component(&writes("app"), &on));
    pod.label("pod.component.web", &component(STAYS, "depends_on: {db: {condition: service_healthy}}"));
    pod.start().await;
    pod.reaches("running").await;
    wait_for("all have begun", || async { order(&pod).len() == 2 }).await;
    let web = pod.inspect("web").await;
    pod.change_file("end", "");
    runs_again(&pod, "app", 1).await;
    wait_for("it has begun again", || async { order(&pod).len() == 6 }).await;
    assert_eq!(order(&pod), ["db runs", "app runs", "db ends", "db runs", "app stops", "app runs"]);
    assert_eq!(pod.status_of("db").await["restarts"], 1);
    let other = pod.inspect("web").await;
    assert_eq!((other.id, other.started_at), (web.id, web.started_at), "who does not ask for it goes on");
    pod.kill().await;
}

/// A sidecar that runs until it is told to stop, and says so.
const BESIDE: &str = "trap 'echo beside stops; exit 0' TERM; echo beside runs; while :; do sleep 0.1; done";

#[tokio::test]
async fn a_batch_pod_ends_with_its_job_and_its_sidecar_is_stopped() {
    let Some(engine) = engine_or_fail().await else { return };
    for (name, code) in [("role-good", 0), ("role-bad", 7)] {
        let mut pod = PodUnderTest::new(&engine, name).await;
        pod.label("pod.component.beside", &component(BESIDE, "role: sidecar"));
        let work = format!("echo working; until [ -e /shared/go ]; do sleep 0.1; done; echo done; exit {code}");
        pod.label(
            "pod.component.work",
            &component(&work, &format!("role: job\ndepends_on: [beside]\n{}", shared(&pod))),
        );
        pod.start().await;
        pod.says("[out] work: working").await;
        pod.reaches("running").await;
        pod.change_file("go", "");
        assert_eq!(pod.ends().await, code, "{}", pod.log().await);
        let log = pod.log().await;
        let position = |line: &str| log.find(line).unwrap_or_else(|| panic!("`{line}` is missing in:\n{log}"));
        assert!(position("[out] work: done") < position("[out] beside: beside stops"), "{log}");
        assert_eq!(log.matches("[out] beside: beside runs").count(), 1, "{log}");
    }
}

#[tokio::test]
async fn a_sidecar_that_ends_before_the_job_does_not_end_the_pod() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "role-early").await;
    // Its first run ends by itself, and with success.
    let early = format!("[ -e /shared/once ] || {{ touch /shared/once; echo first run; sleep 1; exit 0; }}; {BESIDE}");
    pod.label("pod.component.beside", &component(&early, &format!("role: sidecar\n{}", shared(&pod))));
    let work = "until [ -e /shared/go ]; do sleep 0.1; done; echo done";
    pod.label("pod.component.work", &component(work, &format!("role: job\n{}", shared(&pod))));
    pod.start().await;
    pod.says("[out] beside: first run").await;
    runs_again(&pod, "beside", 1).await;
    let work = pod.status_of("work").await;
    assert_eq!((&work["state"], &work["restarts"]), (&"running".into(), &0.into()), "{work}");
    pod.change_file("go", "");
    assert_eq!(pod.ends().await, 0, "{}", pod.log().await);
    let log = pod.log().await;
    assert!(log.contains("[out] work: done") && log.contains("[out] beside: beside stops"), "{log}");
}
