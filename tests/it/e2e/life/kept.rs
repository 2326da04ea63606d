//! Components that failed remain for a look, so many and no more, and their last words are in the message of the pod's end.

use futures_util::StreamExt;
use outrigger::engine::docker::Docker;
use outrigger::engine::{Engine, LogsFrom};

use crate::e2e::pod::{PodUnderTest, component};
use crate::support::engine_or_fail;

/// Writes down how often it has been started, as each run is another container.
fn fails(pod: &PodUnderTest) -> String {
    let script = "echo run >> /shared/runs; echo \"boom $(wc -l < /shared/runs)\" >&2; exit 9";
    component(script, &super::shared(pod))
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
    pod.label("pod.component.web", &component(super::STAYS, ""));
    pod.start().await;
    assert_eq!(pod.is_over().await, 9);
    let first = pod.components().await;
    assert_eq!(first.len(), 1, "only the one that failed: {first:?}");
    let since = first[0].strip_prefix(&format!("{}.podlike.app.failed-", pod.name())).expect("its name tells");
    assert!(since.parse::<u64>().is_ok_and(|since| since > 1_700_000_000), "{since}");
    let kept = engine.inspect(&first[0]).await.unwrap();
    assert_eq!((kept.running, kept.exit_code), (false, 9));
    assert_eq!(output(&engine, &first[0]).await, "boom 1\n");
    let log = pod.log().await;
    assert!(log.contains("component `app` ended with 9; its last output:\n  | boom 1\n"), "{log}");

    // Its name is free for the next run, which leaves one more; whoever starts then finds one too many.
    pod.start().await;
    assert_eq!(pod.is_over().await, 9);
    let second = pod.components().await;
    assert!(second.len() == 2 && second.contains(&first[0]), "{second:?}");
    pod.start().await;
    assert_eq!(pod.is_over().await, 9);
    let third = pod.components().await;
    assert!(third.len() == 2 && !third.contains(&first[0]), "the oldest has gone: {third:?}");
    assert_eq!(output(&engine, third.last().unwrap()).await, "boom 3\n");
}

#[tokio::test]
async fn nothing_remains_where_nothing_may_and_its_words_are_told_without_logs_too() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "kept-none").await;
    pod.flag("--keep-failed=0");
    pod.flag("-logs=false");
    pod.label("pod.component.app", &fails(&pod));
    pod.start().await;
    assert_eq!(pod.is_over().await, 9);
    assert_eq!(pod.components().await, Vec::<String>::new());
    let log = pod.log().await;
    assert!(log.contains("component `app` ended with 9; its last output:\n  | boom 1\n"), "{log}");
    assert!(!log.contains("[err] app"), "{log}");
}
