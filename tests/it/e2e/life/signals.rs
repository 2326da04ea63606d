//! Signals that a component's root user sends to the controller: with a shared PID namespace nothing keeps it from that.

use super::*;

/// SIGHUP, SIGCHLD, SIGUSR1 and SIGSEGV at the same moment, again and again.
const STORM: &str = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); kill -HUP 1; kill -CHLD 1; kill -USR1 1; kill -SEGV 1; kill -BUS 1; kill -ILL 1; kill -FPE 1; done; echo through";

#[tokio::test]
async fn faults_that_a_component_sends_do_not_end_the_controller() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "life-faults").await;
    pod.label("pod.component.app", &component(STAYS, ""));
    pod.start().await;
    pod.reaches("running").await;
    let (code, told) = pod.in_component("app", &["sh", "-c", STORM]).await;
    assert_eq!((code, told.trim()), (0, "through"), "the controller took its components along");
    // Still the same one, and it listens.
    assert_eq!(pod.status().await["components"][0]["restarts"], 0);
    assert_eq!(pod.stop().await, 0);
}
