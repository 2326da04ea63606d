//! `logs --follow` of a pod that the engine starts again.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use outrigger::engine::Engine;
use outrigger::pod::OuterRestart;

use super::commands::{Killed, command};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

#[tokio::test]
async fn logs_follow_a_pod_through_its_restarts_up_to_its_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "follow").await;
    pod.label("outrigger.controller", "true");
    pod.spec().outer.restart = Some(OuterRestart::UnlessStopped);
    pod.volume_file("unused", "");
    let volume = format!("volumes: [\"{}:/config\"]", pod.host_directory());
    // The first run ends by itself, the second one when the pod is stopped.
    let script = "echo run >> /config/runs; echo \"run $(grep -c run /config/runs)\"; trap 'exit 0' TERM; until [ -e /config/go ] && mkdir /config/gone; do sleep 0.1; done 2>/dev/null; exit 3";
    pod.label("pod.component.app", &component(script, &volume));
    pod.start().await;
    pod.says("[out] app: run 1").await;
    let child = command(&["logs", "-f", "-c", "app", pod.name()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut following = Killed(child.unwrap());
    let first = engine.inspect(pod.name()).await.unwrap().started_at;
    // Followed before the end, which the command has to survive.
    tokio::time::sleep(Duration::from_secs(1)).await;
    pod.change_file("go", "");
    pod.says("[out] app: run 2").await;
    assert_ne!(engine.inspect(pod.name()).await.unwrap().started_at, first);
    assert_eq!(following.0.try_wait().unwrap(), None, "the end of the first run is not the end");
    pod.is_stopped_by_the_engine().await;
    let mut ended = None;
    wait_for("the command ends with the pod's stop", || {
        ended = following.0.try_wait().unwrap();
        let ended = ended.is_some();
        async move { ended }
    })
    .await;
    let mut shown = String::new();
    following.0.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(ended.unwrap().success());
    assert_eq!(shown, "app | run 1\napp | run 2\n");
}
