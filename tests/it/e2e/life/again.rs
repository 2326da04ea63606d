//! Components that are started again, alone or all together: in their containers, under the same controller.

use outrigger::engine::Engine;

use super::{STAYS, runs_again, shared, warnings};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::{IMAGE, engine_or_fail};

#[tokio::test]
async fn restarts_follow_the_exit_codes_after_growing_pauses() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "again-codes").await;
    pod.label("pod.options", "settle: 0");
    // Seconds since the machine was started, at the begin and the end of each run.
    let script = "now() { read up idle < /proc/uptime; echo \"$1 $up\" >> /shared/times; }; \
        echo run >> /tmp/runs; now start; case $(wc -l < /tmp/runs) in 1) now end; exit 3;; 2) now end; exit 6;; esac; \
        until [ -e /shared/go ]; do sleep 0.1; done; exit 4";
    let restart = format!(
        "restart: {{policy: on-failure, exit_codes: [3, '5-7'], delay: 700ms, max_delay: 1h, max_attempts: 9}}\n{}",
        shared(&pod)
    );
    pod.label("pod.component.app", &component(script, &restart));
    pod.label("pod.component.web", &component(STAYS, ""));
    pod.start().await;
    runs_again(&pod, "app", 2).await;
    pod.reaches("running").await;
    let app = pod.status_of("app").await;
    assert_eq!(app["exit_code"], 6, "the last exit's: {app}");
    wait_for("its third run has begun", || async { pod.in_directory("times").matches("start").count() == 3 }).await;
    let times: Vec<f64> =
        pod.in_directory("times").lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect();
    assert!(times[2] - times[1] >= 0.69 && times[4] - times[3] >= 1.39, "{times:?}");
    // One that is not named.
    pod.change_file("go", "");
    assert_eq!(pod.ends().await, 4, "{}", pod.log().await);
}

#[tokio::test]
async fn always_means_after_success_and_after_a_kill_too() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "again-always").await;
    pod.label("pod.options", "settle: 0");
    let script =
        "trap 'exit 0' TERM; echo run >> /tmp/runs; until [ -e /tmp/end ]; do sleep 0.1; done; rm /tmp/end; exit 0";
    pod.label("pod.component.app", &component(script, "restart: {policy: always, delay: 50ms}"));
    pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
    pod.start().await;
    pod.reaches("running").await;
    let look = async || {
        let controller = engine.inspect(pod.name()).await.unwrap();
        let web = pod.inspect("web").await;
        (controller.id, controller.started_at, pod.inspect("app").await.id, web.id, web.started_at)
    };
    let before = look().await;
    assert_eq!(pod.in_component("app", &["touch", "/tmp/end"]).await.0, 0);
    runs_again(&pod, "app", 1).await;
    assert_eq!(pod.status_of("app").await["exit_code"], 0);
    engine.signal(&before.2, 9).await.unwrap();
    runs_again(&pod, "app", 2).await;
    assert_eq!(pod.status_of("app").await["exit_code"], 137);
    let runs = || async { pod.in_component("app", &["cat", "/tmp/runs"]).await.1 == "run\n".repeat(3) };
    wait_for("it has run three times in the same container", runs).await;
    assert_eq!(look().await, before, "nothing else was started again");
    let status = pod.status().await;
    assert_eq!((&status["stage"], &pod.status_of("web").await["restarts"]), (&"running".into(), &0.into()));
    // The stop is no end after which it would be started again.
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn a_pod_is_started_again_in_place() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "again-place").await;
    pod.label("pod.options", "settle: 0");
    // What is told to the outside stays the same: the address is the controller's.
    let address = "echo \"at $(hostname -i)\"";
    pod.label("pod.init.components", &format!("[{{image: {IMAGE}, command: [sh, -c, 'echo prepared']}}]"));
    let app = format!(
        "{address}; if [ -e /shared/go ]; then {STAYS}; fi; until [ -e /shared/go ]; do sleep 0.1; done; exit 4"
    );
    let restart = format!("restart: {{policy: on-failure, scope: pod, delay: 50ms}}\n{}", shared(&pod));
    pod.label("pod.component.app", &component(&app, &restart));
    pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
    pod.start().await;
    pod.reaches("running").await;
    pod.says("[out] web: up").await;
    let (controller, web) = (engine.inspect(pod.name()).await.unwrap(), pod.inspect("web").await);
    pod.change_file("go", "");
    runs_again(&pod, "app", 1).await;
    runs_again(&pod, "web", 1).await;
    pod.reaches("running").await;
    let (now, other) = (engine.inspect(pod.name()).await.unwrap(), pod.inspect("web").await);
    assert_eq!((now.id, now.started_at, &now.addresses), (controller.id, controller.started_at, &controller.addresses));
    assert_eq!(other.id, web.id);
    assert_ne!(other.started_at, web.started_at, "the others are started again too");
    assert!(warnings(&pod.status().await).contains("restarts all components of the pod"));
    pod.says("[out] app: up").await;
    wait_for("both have said so", || async { pod.log().await.matches("[out] web: up").count() == 2 }).await;
    assert_eq!(pod.stop().await, 0);
    let log = pod.log().await;
    for (line, expected) in [("[out] init-1: prepared", 2), ("[out] web: up", 2), ("[out] app: up", 1)] {
        assert_eq!(log.matches(line).count(), expected, "`{line}` in:\n{log}");
    }
    let addresses: Vec<_> = log.lines().filter(|line| line.starts_with("[out] app: at ")).collect();
    assert!(addresses.len() == 2 && addresses.first() == addresses.last(), "{addresses:?}");
    assert!(addresses[0].ends_with(&controller.addresses[0]), "{addresses:?} {:?}", controller.addresses);
}

#[tokio::test]
async fn one_that_somebody_removed_is_made_anew() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "again-removed").await;
    pod.label("pod.options", "settle: 0");
    // One file within the container, which goes with it, and one outside.
    let script = format!("echo run >> /tmp/runs; echo run >> /shared/runs; {STAYS}");
    let app = format!("restart: {{policy: always, delay: 50ms}}\n{}", shared(&pod));
    pod.label("pod.component.app", &component(&script, &app));
    pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
    pod.start().await;
    pod.reaches("running").await;
    let (first, web) = (pod.inspect("app").await.id, pod.inspect("web").await);
    engine.remove(&first).await.unwrap();
    runs_again(&pod, "app", 1).await;
    let second = pod.inspect("app").await;
    assert_ne!(second.id, first);
    assert_eq!(pod.in_component("app", &["cat", "/tmp/runs"]).await.1, "run\n", "nothing of the first one's is in it");
    assert_eq!(pod.in_directory("runs"), "run\nrun\n");
    pod.says("the component's container was removed from outside: the controller creates a new container").await;
    let still = pod.inspect("web").await;
    assert_eq!((still.id, still.started_at), (web.id, web.started_at), "nothing else was started again");
    // What it says is read from the new one, and it is removed with the pod.
    wait_for("it is heard twice", || async { pod.log().await.matches("app: up").count() == 2 }).await;
    assert_eq!(pod.stop().await, 0);
}
