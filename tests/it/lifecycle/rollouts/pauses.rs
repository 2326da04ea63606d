//! A component that a person has paused stands still until the person ends the pause.

use super::*;

fn waits(pod: &Running) -> bool {
    pod.status.borrow().not_in_force.iter().any(|told| told.contains("waits: component `web` is paused"))
}

async fn paused(pod: &Running, paused: bool) {
    pod.engine.pause("web", paused);
    let expected = if paused { "paused" } else { "running" };
    eventually(pod, || phase(pod) == expected).await;
}

fn restarting(mut reloader: Reloader) -> Reloader {
    let changed = reloader.script.changed.take().unwrap();
    reloader.script.changed = Some(Arc::new(move |changes| {
        changed(changes).map(|rollout| Rollout { apply: vec![Action::Restart(name("web"))], ..rollout })
    }));
    reloader
}

/// Whatever makes a component use its file: none of it ends the pause, and the file is in force after it.
#[tokio::test(start_paused = true)]
async fn a_rollout_waits_for_the_end_of_a_pause() {
    for restarts in [false, true] {
        let engine = server();
        let reloader = Reloader::new(&engine);
        let reloader = if restarts { restarting(reloader) } else { reloader };
        let pod = pod(engine, &reloader, "good 0").await;
        tokio::time::sleep(5 * SECOND).await;
        paused(&pod, true).await;
        let before = pod.engine.calls_of("exec").len();
        reloader.write("good 1");
        eventually(&pod, || waits(&pod)).await;
        eventually(&pod, || pod.status.borrow().health.reasons.iter().any(|it| it.contains("is paused"))).await;
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!((phase(&pod).as_str(), content(&pod).as_str()), ("paused", "good 0"));
        assert_eq!((reloader.outcomes().len(), pod.engine.calls_of("exec").len()), (0, before));
        assert_eq!(pod.engine.calls_of("signal"), Vec::<String>::new());
        // Of versions that come meanwhile, only the newest is tried.
        reloader.write("good 2");
        eventually(&pod, || reloader.outcomes().iter().any(|(_, text)| text.starts_with("superseded"))).await;
        eventually(&pod, || waits(&pod)).await;
        paused(&pod, false).await;
        let (applied, text) = reloader.ended(&pod, 2).await;
        assert!(applied, "{text}");
        assert_eq!((phase(&pod).as_str(), content(&pod).as_str()), ("running", "good 2"));
        eventually(&pod, || pod.status.borrow().health.state == HealthState::Healthy).await;
        assert_eq!(pod.status.borrow().not_in_force, Vec::<String>::new());
        pod.signal(15).await;
        pod.ends().await;
    }
}

/// At whatever moment the pause comes: the rollout neither ends it nor is refused for it.
#[tokio::test(start_paused = true)]
async fn a_pause_in_the_middle_of_a_rollout_is_left_alone() {
    // The validation, the rename, the command after the signal, and the watch take 200 ms and more each.
    for after in [0, 100, 250, 450, 700, 1200] {
        for restarts in [false, true] {
            let engine = server().slow("exec", "web", Duration::from_millis(200));
            let reloader = Reloader::verifying(&engine, &["web", "-v"]);
            let reloader = if restarts { restarting(reloader) } else { reloader };
            let pod = pod(engine, &reloader, "good 0").await;
            tokio::time::sleep(5 * SECOND).await;
            reloader.write("good 1");
            eventually(&pod, || !pod.engine.calls_of("exec").is_empty()).await;
            tokio::time::sleep(Duration::from_millis(after)).await;
            eventually(&pod, || phase(&pod) == "running").await;
            paused(&pod, true).await;
            tokio::time::sleep(60 * SECOND).await;
            assert_eq!(phase(&pod), "paused", "{after} ms, restarts: {restarts}: {:?}", pod.engine.calls());
            assert_eq!(reloader.outcomes(), [], "{after} ms, restarts: {restarts}");
            paused(&pod, false).await;
            let (applied, text) = reloader.ended(&pod, 1).await;
            assert!(applied, "{after} ms, restarts: {restarts}: {text}");
            assert_eq!((phase(&pod).as_str(), content(&pod).as_str()), ("running", "good 1"));
            pod.signal(15).await;
            pod.ends().await;
        }
    }
}

/// The end of the pod, and the end of the paused component, end the wait.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_waits_for_the_end_of_a_pause_holds_up_nobody() {
    let engine = server();
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good 0").await;
    tokio::time::sleep(5 * SECOND).await;
    paused(&pod, true).await;
    reloader.write("good 1");
    eventually(&pod, || waits(&pod)).await;
    pod.engine.kill("web", 137);
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(applied, "{text}");
    assert_eq!((phase(&pod).as_str(), content(&pod).as_str()), ("running", "good 1"));
    paused(&pod, true).await;
    reloader.write("good 2");
    eventually(&pod, || waits(&pod)).await;
    pod.signal(15).await;
    pod.ends().await;
}
