//! Native probes, and looks while a component starts, on a real engine.

use std::time::{Duration, Instant};

use super::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

#[tokio::test]
async fn a_health_check_is_looked_at_often_while_the_component_starts() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-early").await;
    // The engine by itself would look for the first time after a minute.
    let check = "healthcheck: {test: test -e /tmp/ok, interval: 1m, start_period: 50s, start_interval: 200ms}";
    pod.label("pod.component.db", &component("sleep 1; touch /tmp/ok; exec sleep 1000", check));
    let on = "depends_on: {db: {condition: service_healthy}}";
    pod.label("pod.component.app", &component("echo started; exec sleep 1000", on));
    let began = Instant::now();
    pod.start().await;
    pod.says("[out] app: started").await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(20), "{took:?}");
    // The other component has neither check nor probe, and counts as up after two seconds.
    wait_for("the pod is healthy", || async { pod.command(&["/outrigger", "healthcheck"]).await.0 == 0 }).await;
    pod.stop().await;
}

#[tokio::test]
async fn probes_need_no_tool_in_the_image() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-native").await;
    // Ready while `/www/ok` is there, which is there after a second. The others wait for it.
    let server = "mkdir /tmp/www; httpd -f -p 127.0.0.1:7801 -h /tmp/www & sleep 1; touch /tmp/www/ok; wait";
    pod.label(
        "pod.component.web",
        &component(
            server,
            "probes: {startup: {tcp: 7801, period: 100ms, failure_threshold: 50}, readiness: {http: {port: 7801, path: /ok}, period: 200ms, failure_threshold: 1}}",
        ),
    );
    let on = "depends_on: {web: {condition: service_healthy}}";
    pod.label(
        "pod.component.app",
        &component("test -e /proc && wget -q -O - 127.0.0.1:7801/ok && echo started; exec sleep 1000", on),
    );
    pod.start().await;
    pod.says("[out] app: started").await;
    let healthy = || async { pod.command(&["/outrigger", "healthcheck"]).await.0 == 0 };
    wait_for("the pod is healthy", healthy).await;
    assert_eq!(pod.in_component("web", &["mv", "/tmp/www/ok", "/tmp/www/no"]).await.0, 0);
    wait_for("the pod is not healthy", || async { !healthy().await }).await;
    let (_, status) = pod.command(&["/outrigger", "status", "--json"]).await;
    assert!(status.contains("GET http://127.0.0.1:7801/ok answered 404"), "{status}");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let web = status["components"].as_array().unwrap().iter().find(|it| it["name"] == "web").unwrap();
    let (startup, readiness) = (&web["probes"][0], &web["probes"][1]);
    assert_eq!((&startup["kind"], &startup["state"]), (&"startup".into(), &"succeeds".into()), "{web}");
    assert_eq!((&readiness["kind"], &readiness["state"]), (&"readiness".into(), &"fails".into()), "{web}");
    assert!(readiness["failures"].as_u64() >= Some(1) && readiness["last_at"].as_u64() > Some(0), "{web}");
    assert_eq!(pod.in_component("web", &["mv", "/tmp/www/no", "/tmp/www/ok"]).await.0, 0);
    wait_for("the pod is healthy again", healthy).await;
    pod.stop().await;
}

#[tokio::test]
async fn a_component_whose_liveness_probe_fails_is_started_again() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "probes-liveness").await;
    pod.label("pod.options", "settle: 0");
    // Its server is gone after a second; in its second run it stays.
    let server = "echo up; if [ -e /tmp/again ]; then exec nc -lk -p 7802 -e true; fi; touch /tmp/again; nc -lk -p 7802 -e true & sleep 1; kill $!; exec sleep 1000";
    let server = server.replace("nc -lk", "nc -ll");
    let probes = "restart: {policy: on-failure, delay: 100ms}\nstop_grace_period: 1s\nprobes: {liveness: {tcp: 7802, initial_delay: 300ms, period: 200ms, failure_threshold: 2}}";
    pod.label("pod.component.app", &component(&server, probes));
    pod.start().await;
    wait_for("it was started again", || async {
        let log = pod.log().await;
        log.matches("[out] app: up").count() == 2
    })
    .await;
    let log = pod.log().await;
    assert!(log.contains("failed its liveness probe: cannot connect to 127.0.0.1:7802: connection refused"), "{log}");
    pod.reaches("running").await;
    pod.stop().await;
}
