//! The time in which a pod that was told to stop goes on, unready, so that whoever sends it work can notice.

use std::time::{Duration, Instant};

use outrigger::engine::EngineHealth;
use outrigger::engine::docker::Docker;
use outrigger::pod::HealthCheck;

use super::{order, shared, warnings};
use crate::e2e::pod::{PodUnderTest, component};
use crate::support::engine_or_fail;

#[tokio::test]
async fn a_pod_is_unready_while_it_drains_and_still_serves() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "drain-serves").await;
    // As a load balancer would look.
    pod.spec().healthcheck = Some(HealthCheck::Command {
        test: ["CMD", "/outrigger", "healthcheck"].map(str::to_owned).to_vec(),
        interval: Some(Duration::from_millis(300)),
        timeout: Some(Duration::from_secs(10)),
        start_period: None,
        start_interval: None,
        retries: Some(1),
    });
    pod.spec().stop_timeout = Some(Duration::from_secs(240));
    pod.label("pod.options", "{drain: 90s}");
    let serve = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 127.0.0.1:7813 -h /www";
    pod.label("pod.component.app", &component(serve, "probes: {readiness: {tcp: 7813, period: 200ms, timeout: 5s}}"));
    pod.start().await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    let serving = pod.inspect("app").await;
    let began = Instant::now();
    pod.signal(15).await;
    pod.health_check_answers(1).await;
    pod.engine_calls_it(EngineHealth::Unhealthy).await;
    assert_eq!(pod.status().await["stage"], "stopping");
    let answer = pod.in_component("app", &["wget", "-q", "-O", "-", "http://127.0.0.1:7813/"]).await;
    assert_eq!(answer, (0, "hello\n".to_owned()));
    let now = pod.inspect("app").await;
    assert_eq!((now.running, now.started_at), (true, serving.started_at));
    // Whoever asks again does not want to wait for the rest of it.
    assert_eq!(pod.stop().await, 0);
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
}

/// Seconds since the machine was started, as containers see them too.
fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Has the engine stop a pod with this drain. Answers after how many seconds its first component was stopped, and what the pod warned of.
async fn drained(engine: &Docker, name: &str, drain: &str, grace: Duration) -> (f64, String) {
    let mut pod = PodUnderTest::new(engine, name).await;
    pod.spec().stop_timeout = Some(grace);
    pod.label("pod.options", &format!("{{drain: {drain}}}"));
    // The one that is stopped first takes so long that another one that is stopped with it would be through before it.
    let script = |name: &str| {
        format!(
            "trap 'read now idle < /proc/uptime; sleep 0.5; echo {name} $now >> /shared/order; exit 0' TERM; echo up; while :; do sleep 0.1; done"
        )
    };
    pod.label("pod.component.db", &component(&script("db"), &shared(&pod)));
    pod.label("pod.component.app", &component(&script("app"), &format!("depends_on: [db]\n{}", shared(&pod))));
    pod.start().await;
    // A shell that has not set its trap yet would end at once.
    pod.says("[out] db: up").await;
    pod.says("[out] app: up").await;
    pod.reaches("running").await;
    let told = warnings(&pod.status().await);
    let began = uptime();
    assert_eq!(pod.is_stopped_by_the_engine().await, 0, "{}", pod.log().await);
    let order = order(&pod);
    let stopped: Vec<_> = order.iter().map(|line| line.split_once(' ').unwrap()).collect();
    assert!(stopped.len() == 2 && stopped[0].0 == "app" && stopped[1].0 == "db", "{order:?}");
    (stopped[0].1.parse::<f64>().unwrap() - began, told)
}

#[tokio::test]
async fn a_drain_lasts_as_it_is_set_and_never_takes_the_time_for_the_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    // Of the grace period 1.5 s are the controller's own; of the rest, half is for the components.
    let (set, cut) = tokio::join!(
        drained(&engine, "drain-set", "3s", Duration::from_secs(100)),
        drained(&engine, "drain-cut", "60s", Duration::from_secs(21)),
    );
    assert!(set.0 >= 2.98 && set.0 < 49.0, "{} s", set.0);
    assert!(!set.1.contains("drain"), "{}", set.1);
    assert!(cut.0 >= 9.7, "{} s", cut.0);
    let expected = "`drain` 1m in `pod.options` is more than half of the 19.5s that the controller has for stopping; `drain` is reduced to 9.75s";
    assert!(cut.1.contains(expected) && cut.1.matches("is more than half").count() == 1, "{}", cut.1);
}
