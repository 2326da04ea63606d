//! Components that failed remain for a look, so many and no more, and their last words are in the message of the pod's end.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use outrigger::engine::docker::Docker;
use outrigger::engine::{Engine, LogsFrom};

use super::{STAYS, shared, warnings};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

/// Tells how often it has been started, as each run is another container.
fn fails(pod: &PodUnderTest) -> String {
    let script = "echo run >> /shared/runs; echo \"boom $(wc -l < /shared/runs)\" >&2; exit 9";
    component(script, &shared(pod))
}

/// Runs the pod to its end, in another second than anything before it: the name of what remains tells only seconds.
async fn fail(pod: &mut PodUnderTest) -> Vec<String> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    wait_for("the next second", async || now() > before).await;
    pod.start().await;
    assert_eq!(pod.is_over().await, 9);
    pod.components().await
}

async fn output(engine: &Docker, name: &str) -> String {
    let id = engine.inspect(name).await.unwrap().id;
    let mut frames = engine.logs(&id, LogsFrom { since: 0, timestamps: false });
    let mut text = Vec::new();
    while let Some(frame) = frames.next().await {
        text.extend_from_slice(&frame.unwrap().bytes);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn the_last_that_failed_remains_until_the_next_controllers_look() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "kept-one").await;
    pod.label("pod.component.app", &fails(&pod));
    pod.label("pod.component.web", &component(STAYS, ""));
    let first = fail(&mut pod).await;
    assert_eq!(first.len(), 1, "only the one that failed: {first:?}");
    let since = first[0].strip_prefix(&format!("{}.podlike.app.failed-", pod.name())).expect("its name tells");
    assert!(since.parse::<u64>().is_ok_and(|since| since > 1_700_000_000), "{since}");
    let kept = engine.inspect(&first[0]).await.unwrap();
    assert_eq!((kept.running, kept.exit_code), (false, 9));
    assert_eq!(kept.labels.get("outrigger.keep").map(String::as_str), Some("1/3600"));
    assert_eq!(output(&engine, &first[0]).await, "boom 1\n");
    let log = pod.log().await;
    assert!(log.contains("component `app`: last output:\n  | [err] app: boom 1"), "{log}");

    // Its name is free for the next run, which leaves one more; whoever starts then, this pod or another, finds one too many.
    let second = fail(&mut pod).await;
    let newest = second.last().unwrap();
    assert!(*newest != first[0] && second.len() <= 2, "{second:?}");
    assert_eq!(output(&engine, newest).await, "boom 2\n");
    let third = fail(&mut pod).await;
    assert!(third.len() <= 2 && !third.contains(&first[0]), "the oldest has gone: {third:?}");
    assert_eq!(output(&engine, third.last().unwrap()).await, "boom 3\n");
}

#[tokio::test]
async fn as_many_remain_as_the_controller_was_told() {
    let Some(engine) = engine_or_fail().await else { return };
    // Two have failed while the pod went on, before the third one ends it.
    let kept = async |count: u32| {
        let mut pod = PodUnderTest::new(&engine, &format!("kept-{count}")).await;
        pod.flag(&format!("--keep-failed={count}"));
        pod.flag("--keep-failed-for=90m");
        pod.label("pod.component.extra", &component("exit 3", "essential: false"));
        pod.label("pod.component.more", &component("exit 4", "essential: false"));
        let script = "until [ -e /shared/go ]; do sleep 0.1; done; exit 9";
        pod.label("pod.component.app", &component(script, &shared(&pod)));
        pod.start().await;
        wait_for("two have failed", || async {
            warnings(&pod.status().await).matches("the pod continues without it").count() == 2
        })
        .await;
        pod.reaches("running").await;
        pod.change_file("go", "");
        assert_eq!(pod.is_over().await, 9, "{}", pod.log().await);
        let prefix = format!("{}.podlike.", pod.name());
        let mut kept = Vec::new();
        for name in pod.components().await {
            let label = engine.inspect(&name).await.unwrap().labels.get("outrigger.keep").cloned();
            assert_eq!(label, Some(format!("{count}/5400")));
            kept.push(name.strip_prefix(&prefix).unwrap().split_once(".failed-").unwrap().0.to_owned());
        }
        kept
    };
    let (one, all) = tokio::join!(kept(1), kept(3));
    assert_eq!(one, ["app"], "the one that ended the pod comes first");
    assert_eq!(all, ["app", "extra", "more"]);
}

#[tokio::test]
async fn nothing_remains_where_nothing_may_and_its_words_are_told_without_logs_too() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "kept-none").await;
    pod.flag("--keep-failed=0");
    pod.flag("-logs=false");
    pod.label("pod.component.app", &fails(&pod));
    assert_eq!(fail(&mut pod).await, Vec::<String>::new());
    let log = pod.log().await;
    assert!(log.contains("component `app`: last output:\n  | boom 1"), "{log}");
    assert!(!log.contains("[err] app"), "{log}");
}
