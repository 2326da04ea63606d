//! The container that lends the pod its IPC namespace, where the controller's own can't be joined.

use outrigger::engine::Engine;

use super::{runs_again, warnings};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

#[tokio::test]
async fn a_donor_that_dies_is_revived_and_components_can_start_again() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "ipc-donor").await;
    pod.label("pod.options", "settle: 0");
    pod.spec().ipc_mode = Some("private".to_owned());
    let script = "rm -f /tmp/end; echo up; until [ -e /tmp/end ]; do sleep 0.1; done; exit 1";
    for which in ["one", "two"] {
        pod.label(&format!("pod.component.{which}"), &component(script, "restart: {policy: on-failure, delay: 50ms}"));
    }
    pod.start().await;
    pod.reaches("running").await;
    let namespace = async |which: &str| pod.in_component(which, &["readlink", "/proc/self/ns/ipc"]).await;
    let both_run_again = async |restarts: u32| {
        for which in ["one", "two"] {
            // The component ends as soon as it sees the file; the engine may then have no exit code of the command, which it reports as -1.
            let touched = pod.in_component(which, &["touch", "/tmp/end"]).await;
            assert!(matches!(touched.0, 0 | -1), "{touched:?}");
        }
        for which in ["one", "two"] {
            runs_again(&pod, which, restarts).await;
        }
    };
    let before = namespace("one").await;
    assert_eq!(before.0, 0, "{}", before.1);
    assert_eq!(before, namespace("two").await);
    let donor = format!("{}.podlike.ipc", pod.name());
    let first = engine.inspect(&donor).await.unwrap();
    engine.signal(&first.id, 9).await.unwrap();
    wait_for("the donor runs again", || async {
        let now = engine.inspect(&donor).await.unwrap();
        now.running && now.started_at != first.started_at
    })
    .await;
    assert_eq!(engine.inspect(&donor).await.unwrap().id, first.id);
    let told = warnings(&pod.status().await);
    assert!(told.contains("the IPC donor container has ended"), "{told}");
    assert_eq!(namespace("one").await, before, "those that run keep what they have");
    both_run_again(1).await;
    let after = namespace("one").await;
    assert_eq!(after.0, 0, "{}", after.1);
    assert_eq!(after, namespace("two").await, "they share one again");
    assert_ne!(after, before);

    // Removed altogether, it comes back as another container, and theirs, which were made to join the old one, with it.
    engine.remove(&first.id).await.unwrap();
    wait_for("there is another donor", || async {
        engine.inspect(&donor).await.is_ok_and(|now| now.running && now.id != first.id)
    })
    .await;
    both_run_again(2).await;
    let last = namespace("one").await;
    assert_eq!(last.0, 0, "{}", last.1);
    assert_eq!(last, namespace("two").await, "they share the new one");
    assert!(pod.log().await.contains("the IPC donor container was replaced during the start"));
    pod.stop().await;
}
