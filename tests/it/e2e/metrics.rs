//! The page of metrics, on a real engine.

use super::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

#[tokio::test]
async fn a_component_reads_the_page_of_its_pod() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "metrics").await;
    pod.label("pod.component.app", &component("echo one; echo two >&2; exec sleep 1000", ""));
    pod.flag("--metrics=127.0.0.1:7809");
    pod.start().await;
    pod.says("[err] app: two").await;
    let page =
        || async { pod.in_component("app", &["wget", "-q", "-O", "-", "http://127.0.0.1:7809/metrics"]).await.1 };
    for line in [
        "outrigger_log_read_lines_total{component=\"app\",stream=\"stdout\"} 1",
        "outrigger_log_read_bytes_total{component=\"app\",stream=\"stderr\"} 3",
        "outrigger_component_state{component=\"app\",state=\"running\"} 1",
        "outrigger_pod_stage{stage=\"running\"} 1",
        "# EOF",
    ] {
        wait_for(line, || async { page().await.lines().any(|found| found == line) }).await;
    }
    let status = pod.status().await;
    let metrics = status["metrics"].as_array().unwrap();
    assert!(metrics.iter().any(|it| it["name"] == "outrigger_engine_calls_total" && it["value"].as_f64() > Some(0.0)));
    pod.stop().await;
}

#[tokio::test]
async fn a_taken_port_ends_the_controller_before_anything_starts() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "metrics-taken").await;
    pod.label("pod.component.app", &component("exec sleep 1000", ""));
    // An address that no container has.
    pod.flag("--metrics=192.0.2.1:7809");
    pod.start().await;
    pod.says("cannot open the page of metrics on 192.0.2.1:7809").await;
    assert_ne!(pod.ends().await, 0);
}
