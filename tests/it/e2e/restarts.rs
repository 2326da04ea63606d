//! Components that are started again in place, and what becomes of their output.

use super::pod::{PodUnderTest, component};
use crate::support::engine_or_fail;

#[tokio::test]
async fn a_last_line_without_an_end_is_a_line_of_its_own_run() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "core-glue").await;
    pod.label("pod.options", "settle: 0");
    let restart = "restart: {policy: on-failure, delay: 20ms, max_delay: 50ms, max_attempts: 6}";
    pod.label("pod.component.app", &component("echo first; printf nonl; exit 3", restart));
    pod.start().await;
    assert_eq!(pod.ends().await, 3);
    let log = pod.log().await;
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("[out] app: ")).collect();
    assert_eq!(lines, ["[out] app: first", "[out] app: nonl"].repeat(7), "{log}");
    assert!(!log.contains("tasks did not end"), "{log}");
}
