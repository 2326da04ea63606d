//! The image's HEALTHCHECK, which waits instead of asking again and again, on a real engine.

use std::time::{Duration, Instant};

use outrigger::engine::{Engine, EngineHealth};
use outrigger::pod::HealthCheck;

use super::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

/// Healthy while there is a file.
const CHECKED: &str = "healthcheck: {test: [CMD, test, -e, /tmp/ok], interval: 300ms, retries: 1}";

/// Longer than the engine takes from one check to the next: then the engine's check is one that waits.
const SETTLED: Duration = Duration::from_secs(6);

#[tokio::test]
async fn the_check_that_reports_a_healthy_pod_has_waited_for_it() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "idle-start").await;
    let check = CHECKED.replace("retries: 1", "retries: 100");
    pod.label("pod.component.app", &component("sleep 5; touch /tmp/ok; exec sleep 1000", &check));
    pod.start().await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    let checks = pod.checks().await;
    let was = pod.checks_of("app").await.iter().find(|check| check.code == 0).expect("it is healthy").ended;
    let last = checks.last().expect("there was a check");
    assert_eq!((last.code, last.said.as_str()), (0, ""), "{checks:?}");
    assert!(last.began < was && was < last.ended, "healthy at {was}: {checks:?}");
    // Without waiting there would have been one every two seconds.
    assert!(checks.len() <= 2, "{checks:?}");
    // Then the engine looks once more, and waits again.
    tokio::time::sleep(SETTLED * 2).await;
    assert!(pod.checks().await.len() <= checks.len() + 2, "{:?}", pod.checks().await);
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn an_unhealthy_pod_is_reported_at_once_and_its_recovery_too() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "idle-sick").await;
    pod.label("pod.component.app", &component("touch /tmp/ok; exec sleep 1000", CHECKED));
    pod.start().await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    tokio::time::sleep(SETTLED).await;
    assert_eq!(pod.in_component("app", &["rm", "/tmp/ok"]).await.0, 0);
    wait_for("the component is unhealthy", || async {
        engine.inspect(&format!("{}.podlike.app", pod.name())).await.unwrap().health == Some(EngineHealth::Unhealthy)
    })
    .await;
    let sick = Instant::now();
    pod.engine_calls_it(EngineHealth::Unhealthy).await;
    // Ten seconds, and what a busy machine adds. A check that goes on waiting would end after a minute.
    assert!(sick.elapsed() < Duration::from_secs(25), "{:?}", sick.elapsed());
    let checks = pod.checks().await;
    assert!(checks.iter().all(|check| check.code == 1 && check.said.contains("`app` is unhealthy")), "{checks:?}");
    // Each of the others was answered at once.
    assert!(checks.iter().skip(1).all(|check| check.ended - check.began < 2.0), "{checks:?}");

    let well = Instant::now();
    assert_eq!(pod.in_component("app", &["touch", "/tmp/ok"]).await.0, 0);
    pod.engine_calls_it(EngineHealth::Healthy).await;
    assert!(well.elapsed() < Duration::from_secs(25), "{:?}", well.elapsed());
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn a_controller_that_hangs_is_unhealthy_until_it_goes_on() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "idle-hang").await;
    pod.label("pod.component.app", &component("exec sleep 1000", ""));
    pod.start().await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    tokio::time::sleep(SETTLED).await;
    let hangs = Instant::now();
    pod.signal(19).await;
    pod.engine_calls_it(EngineHealth::Unhealthy).await;
    // Five times the silence of 2.5 s, four intervals of 2 s, and what a busy machine adds.
    assert!(hangs.elapsed() < Duration::from_secs(40), "{:?}", hangs.elapsed());
    let checks = pod.checks().await;
    assert!(checks.iter().all(|check| check.code == 1 && check.said.contains("silent for 2.5s")), "{checks:?}");
    let goes_on = Instant::now();
    pod.signal(18).await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    assert!(goes_on.elapsed() < Duration::from_secs(25), "{:?}", goes_on.elapsed());
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn a_check_that_waits_does_not_hold_up_the_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "idle-stop").await;
    pod.label("pod.component.app", &component("exec sleep 1000", ""));
    pod.start().await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    tokio::time::sleep(SETTLED).await;
    let began = Instant::now();
    assert_eq!(pod.is_stopped_by_the_engine().await, 0);
    // The engine kills after ten; the check would have waited for most of a minute.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_check_is_answered_before_the_time_is_over_that_the_service_gives_it() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "idle-limit").await;
    pod.label("pod.component.app", &component("exec sleep 1000", ""));
    // The test itself stays the image's.
    pod.spec().healthcheck = Some(HealthCheck::Command {
        test: Vec::new(),
        interval: Some(Duration::from_secs(1)),
        timeout: Some(Duration::from_secs(5)),
        start_period: None,
        start_interval: None,
        retries: None,
    });
    pod.start().await;
    pod.engine_calls_it(EngineHealth::Healthy).await;
    tokio::time::sleep(SETTLED * 4).await;
    let checks = pod.checks().await;
    assert_eq!(checks.len(), 5, "{checks:?}");
    assert!(checks.iter().all(|check| check.code == 0), "{checks:?}");
    // It has waited, four seconds, and not longer.
    let longest = checks.iter().map(|check| check.ended - check.began).fold(0.0, f64::max);
    assert!(longest > 3.0 && longest < 5.0, "{checks:?}");
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn without_a_health_check_nobody_waits() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "idle-none").await;
    pod.label("pod.component.app", &component("exec sleep 1000", ""));
    pod.spec().healthcheck = Some(HealthCheck::Disabled);
    pod.start().await;
    pod.health_check_answers(0).await;
    assert_eq!(engine.inspect(pod.name()).await.unwrap().health, None);
    // One look is for everybody, and so is one that waits, with the engine's own default for a limit.
    assert_eq!(pod.command(&["/outrigger", "healthcheck"]).await.0, 0);
    assert_eq!(pod.command(&["/outrigger", "healthcheck", "--wait"]).await.0, 0);
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn a_component_can_not_look_through_a_check_that_waits() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "idle-closed").await;
    let look =
        "until ps -o pid,args | grep '[h]ealthcheck --wait' >/tmp/found; do sleep 0.1; done; read p rest </tmp/found
        ls /proc/$p/root/ 2>&1; [ -S /proc/$p/root/var/run/docker.sock ] && echo REACHED; echo looked; exec sleep 1000";
    pod.label(
        "pod.component.app",
        &component(look, "healthcheck: {test: [CMD, 'false'], start_period: 10m, interval: 10m}"),
    );
    pod.start().await;
    pod.says("[out] app: looked").await;
    let log = pod.log().await;
    assert!(log.contains("ermission denied") && !log.contains("REACHED"), "{log}");
    assert_eq!(pod.stop().await, 0);
}
