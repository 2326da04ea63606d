//! `start_interval` on engines that do not have it: the controller looks, and its first success counts.

use outrigger::engine::{EngineHealth, EngineInfo};

use super::*;

const DB: &str =
    "{image: db, healthcheck: {test: [CMD, check, it], interval: 60s, start_period: 30s, start_interval: 1s}}";
const APP: &str = "{image: app, depends_on: {db: {condition: service_healthy}}}";

/// An engine whose `db` is well from the given look on, and says so itself after a minute. The second value counts the looks.
fn engine(well_from: usize) -> (FakeEngine, Arc<Mutex<usize>>) {
    let looks = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&looks);
    let engine =
        FakeEngine::new().health("db", &[(60 * SECOND, EngineHealth::Healthy)]).exec_answers("db", move |argv| {
            assert_eq!(argv, ["check", "it"]);
            let mut looks = counted.lock().unwrap();
            *looks += 1;
            let exit_code = i64::from(*looks < well_from);
            ExecOutput { exit_code, stdout: "".into(), stderr: "".into(), truncated: false }
        });
    (engine, looks)
}

/// The pod once `app` runs, and how long that took.
async fn running(engine: FakeEngine) -> (Running, u64) {
    let began = tokio::time::Instant::now();
    let all = [("pod.component.db", DB), ("pod.component.app", APP)];
    let mut pod = start(engine, Script::default(), &all).await;
    let runs = pod.status.wait_for(|status| status.stage.as_str() == "running");
    tokio::time::timeout(200 * SECOND, runs).await.expect("both start").expect("the pod lives");
    (pod, began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn the_first_success_counts_until_the_engine_says_otherwise() {
    let (engine, looks) = engine(4);
    let (mut pod, took) = running(engine).await;
    assert_eq!((took, *looks.lock().unwrap()), (4, 4));
    // The engine is looked at meanwhile, and has not looked itself yet.
    tokio::time::sleep(40 * SECOND).await;
    assert_eq!(pod.status.borrow().health.state.as_str(), "healthy");
    pod.engine.judge("db", EngineHealth::Unhealthy);
    let ill = pod.status.wait_for(|status| status.health.state.as_str() == "unhealthy");
    tokio::time::timeout(SECOND, ill).await.expect("it is told").unwrap();
    assert_eq!(*looks.lock().unwrap(), 4, "nothing more is looked at");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn after_the_start_period_it_is_the_engines() {
    let (engine, looks) = engine(1000);
    let (pod, took) = running(engine).await;
    assert_eq!(took, 60);
    let looks = *looks.lock().unwrap();
    assert!((29..=30).contains(&looks), "{looks}");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn each_run_is_looked_at_anew() {
    let (engine, looks) = engine(4);
    let all = [("pod.component.db", &*DB.replace("image: db", "image: db, restart: always"))];
    let mut pod = start(engine, Script::default(), &all).await;
    let healthy = |status: &Arc<PodStatus>| status.health.state.as_str() == "healthy";
    tokio::time::timeout(10 * SECOND, pod.status.wait_for(healthy)).await.expect("it is healthy").unwrap();
    tokio::time::sleep(11 * SECOND).await;
    pod.engine.kill("db", 1);
    let ill = |status: &Arc<PodStatus>| status.health.state.as_str() != "healthy";
    tokio::time::timeout(10 * SECOND, pod.status.wait_for(ill)).await.expect("it is not").unwrap();
    tokio::time::timeout(10 * SECOND, pod.status.wait_for(healthy)).await.expect("it is healthy again").unwrap();
    assert_eq!(*looks.lock().unwrap(), 5);
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_has_it_looks_by_itself() {
    let (engine, looks) = engine(1);
    let info = EngineInfo { api: (1, 44), ..engine.info().await.unwrap() };
    let (pod, took) = running(engine.with_info(info)).await;
    assert_eq!((took, *looks.lock().unwrap()), (60, 0));
    pod.signal(15).await;
    pod.ends().await;
}
