//! What the log has of an engine that is away: one line in words with growing pauses, and one when it is back, whatever part of the pod meets it.

use super::log::Log;
use super::*;

/// The lines about the engine, with their seconds from the last call of [`Log::take`] on.
fn take(log: &Log) -> Vec<(u64, String)> {
    let lines = log.take().into_iter();
    lines.filter(|(_, line)| line.contains("engine") || line.contains("unreachable")).collect()
}

async fn pod() -> Running {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    tokio::time::sleep(5 * SECOND).await;
    pod
}

/// The seconds of the reports; the first line has no "for", since it has just begun.
fn reports(told: &[(u64, String)]) -> Vec<u64> {
    let away = told.iter().filter(|(_, line)| line.starts_with("WARN engine unreachable"));
    away.map(|(at, line)| {
        assert!(line.contains(": connection refused; the controller retries its calls"), "{line}");
        *at
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_reported_in_words_with_growing_pauses_and_its_end_once() {
    let (log, _guard) = Log::start();
    let pod = pod().await;
    log.take();
    pod.engine.goes_away_for(100 * SECOND);
    tokio::time::sleep(150 * SECOND).await;
    let told = take(&log);
    assert_eq!(reports(&told), [0, 2, 6, 14, 30, 62], "{told:#?}");
    assert!(told[0].1.starts_with("WARN engine unreachable: connection refused;"), "{told:#?}");
    assert!(told[1].1.contains("engine unreachable for 2s: ") && told[1].1.contains("next_report_in=4s"), "{told:#?}");
    // Every part of the pod has met it, and none has a line of its own.
    assert_eq!(told.len(), 7, "{told:#?}");
    let (at, back) = &told[6];
    assert!(back.starts_with("INFO the engine is reachable again after 10") && (100..110).contains(at), "{told:#?}");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_comes_and_goes_does_not_fill_the_log_and_a_calm_minute_makes_a_new_outage() {
    let (log, _guard) = Log::start();
    let pod = pod().await;
    log.take();
    for _ in 0..30 {
        pod.engine.goes_away_for(4 * SECOND);
        tokio::time::sleep(10 * SECOND).await;
    }
    let told = take(&log);
    let at = reports(&told);
    assert_eq!(at[0], 0, "{told:#?}");
    assert!((4..=9).contains(&at.len()), "30 outages in five minutes: {told:#?}");
    let pauses: Vec<_> = at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(pauses.is_sorted() && pauses[pauses.len() - 1] >= 64, "{pauses:?}");
    let back = told.iter().filter(|(_, line)| line.starts_with("INFO the engine is reachable again")).count();
    assert!(back <= at.len() && back > 0, "an end only of what was reported: {told:#?}");

    tokio::time::sleep(70 * SECOND).await;
    log.take();
    pod.engine.goes_away_for(5 * SECOND);
    tokio::time::sleep(20 * SECOND).await;
    let told = take(&log);
    assert_eq!(reports(&told), [0, 2], "a new outage: {told:#?}");
    assert_eq!(told.len(), 3, "{told:#?}");
    pod.signal(15).await;
    pod.ends().await;
}
