//! Versions that come faster than they can be rolled out.

use super::*;

/// What was rolled out, with the outcome, as `status` shows it.
fn rolled(pod: &Running) -> Vec<String> {
    pod.status.borrow().rollouts.iter().map(|it| format!("{} {}", it.summary, it.outcome)).collect()
}

fn waits(pod: &Running) -> bool {
    pod.status.borrow().not_in_force.iter().any(|told| {
        told.starts_with("a newer version of `/")
            && told.ends_with("/web.conf` from plugin `script` waits for the end of the current rollout")
    })
}

fn slowly(mut reloader: Reloader) -> Reloader {
    let changed = reloader.script.changed.take().unwrap();
    reloader.script.changed =
        Some(Arc::new(move |changes| changed(changes).map(|rollout| Rollout { healthy_for_ms: 20_000, ..rollout })));
    reloader
}

#[tokio::test(start_paused = true)]
async fn of_versions_that_come_during_a_rollout_only_the_newest_is_rolled_out() {
    let engine = server();
    let reloader = slowly(Reloader::new(&engine));
    let pod = pod(engine, &reloader, "good 0").await;
    tokio::time::sleep(5 * SECOND).await;
    reloader.write("good 1");
    eventually(&pod, || content(&pod) == "good 1").await;
    assert!(!waits(&pod), "{:?}", pod.status.borrow().not_in_force);
    // Bad ones among them, which nobody has to try.
    for version in ["good 2", "deadly 3", "bad 4", "good 5"] {
        reloader.write(version);
        tokio::time::sleep(SECOND).await;
    }
    eventually(&pod, || waits(&pod)).await;
    eventually(&pod, || pod.status.borrow().health.state == HealthState::Degraded).await;
    assert_eq!(content(&pod), "good 1");
    reloader.ended(&pod, 2).await;
    assert_eq!(rolled(&pod), ["good 1 applied", "good 5 applied"]);
    assert_eq!(reloader.outcomes().iter().map(|(applied, _)| *applied).collect::<Vec<_>>(), [true, true]);
    assert_eq!(content(&pod), "good 5");
    eventually(&pod, || pod.status.borrow().health.state == HealthState::Healthy).await;
    assert_eq!(pod.status.borrow().not_in_force, Vec::<String>::new());
    pod.signal(15).await;
    pod.ends().await;
}

/// The rollout waits for the component, which takes long to start, or for a command; both times a newer version comes.
#[tokio::test(start_paused = true)]
async fn a_rollout_that_has_changed_nothing_is_given_up_for_a_newer_version() {
    for during_validation in [false, true] {
        let engine = server();
        let reloader = Reloader::new(&engine);
        let pod = pod(engine, &reloader, "good 0").await;
        tokio::time::sleep(5 * SECOND).await;
        if during_validation {
            drop(pod.engine.clone().slow("exec", "web", 4 * SECOND));
        } else {
            drop(pod.engine.clone().slow("start", "web", 10 * SECOND));
            pod.engine.kill("web", 1);
            tokio::time::sleep(6 * SECOND).await;
            assert_eq!(phase(&pod), "starting");
        }
        reloader.write("good 1");
        eventually(&pod, || waits(&pod) || pod.status.borrow().components.iter().any(|it| it.name == "web")).await;
        tokio::time::sleep(SECOND).await;
        reloader.write("good 2");
        eventually(&pod, || waits(&pod)).await;
        eventually(&pod, || content(&pod) == "good 2").await;
        let outcomes = reloader.outcomes();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        let (applied, text) = &outcomes[0];
        assert!(!applied && text == "superseded: a newer version is known; nothing was changed", "{text}");
        reloader.ended(&pod, 2).await;
        assert_eq!(rolled(&pod), ["good 1 superseded", "good 2 applied"]);
        assert!(!pod.engine.files("web").keys().any(|path| path.contains("candidate")));
        pod.signal(15).await;
        pod.ends().await;
    }
}

/// A file that changes faster than it can be validated arrives all the same.
#[tokio::test(start_paused = true)]
async fn a_file_that_changes_all_the_time_arrives() {
    let engine = server().slow("exec", "web", 4 * SECOND);
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good 0").await;
    let mut version = 0;
    let began = tokio::time::Instant::now();
    while content(&pod) == "good 0" {
        version += 1;
        assert!(began.elapsed() < 120 * SECOND, "{:?}", reloader.outcomes().len());
        reloader.write(&format!("good {version}"));
        eventually(&pod, || waits(&pod) || reloader.outcomes().is_empty() || content(&pod) != "good 0").await;
        tokio::time::sleep(SECOND).await;
    }
    assert!(reloader.outcomes().len() >= 16, "{:?}", reloader.outcomes());
    eventually(&pod, || content(&pod) == format!("good {version}")).await;
    pod.signal(15).await;
    pod.ends().await;
}
