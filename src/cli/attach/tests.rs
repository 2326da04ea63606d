use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::{HANDLERS, SILENT, Signals, attach};
use crate::cli::report::{Exit, Report};
use crate::engine::fake::FakeEngine;
use crate::engine::{ContainerId, ContainerSpec, Engine, LogFrame, Output};

const LABEL: &str = "outrigger.run=abc";

fn signals(numbers: mpsc::Receiver<i32>) -> Signals {
    Signals(stream::unfold(numbers, async |mut numbers| Some((numbers.recv().await?, numbers))).boxed())
}

async fn started(engine: &FakeEngine) -> ContainerId {
    let mut spec = ContainerSpec::new("pod", "outrigger");
    spec.labels.insert("outrigger.run".to_owned(), "abc".to_owned());
    let (id, _) = engine.create(&spec).await.unwrap();
    engine.start(&id).await.unwrap();
    id
}

struct Attached {
    end: Result<Exit, Report>,
    shown: Vec<(Output, Vec<u8>)>,
}

async fn attached(engine: &FakeEngine, signals: &mut Signals) -> Attached {
    let id = started(engine).await;
    let mut shown = Vec::new();
    let mut show = |frame: &LogFrame| shown.push((frame.output, frame.bytes.to_vec()));
    let end = attach(engine, &id, LABEL, 0, Duration::from_secs(5), signals, &mut show).await;
    Attached { end, shown }
}

#[tokio::test(start_paused = true)]
async fn answers_the_containers_own_code_and_shows_its_output() {
    let engine =
        FakeEngine::new().exits_after("pod", Duration::from_secs(60), 7).prints("pod", Output::Stderr, &[b"boo\n"]);
    let (_keep, numbers) = mpsc::channel(1);
    let attached = attached(&engine, &mut signals(numbers)).await;
    assert_eq!(attached.end.unwrap(), Exit::Pod(7));
    assert_eq!(attached.shown, [(Output::Stderr, b"boo\n".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn every_signal_goes_to_the_pod() {
    let engine = FakeEngine::new().exits_on("pod", 15, 0);
    let (send, numbers) = mpsc::channel(4);
    for number in [1, 10, 15] {
        send.send(number).await.unwrap();
    }
    let attached = attached(&engine, &mut signals(numbers)).await;
    assert_eq!(attached.end.unwrap(), Exit::Pod(0));
    assert_eq!(engine.calls_of("signal"), ["signal pod 1", "signal pod 10", "signal pod 15"]);
}

/// The first process of a container ignores what it has no handler for.
#[tokio::test(start_paused = true)]
async fn a_signal_waits_until_the_controller_can_hear_it() {
    for (prints, heard) in [(&[&b"the controller of Outrigger starts\n"[..]][..], HANDLERS), (&[], SILENT)] {
        let engine = FakeEngine::new().exits_on("pod", 15, 0).prints("pod", Output::Stderr, prints);
        let (send, numbers) = mpsc::channel(4);
        send.send(15).await.unwrap();
        let begin = tokio::time::Instant::now();
        let id = started(&engine).await;
        let mut signals = signals(numbers);
        let mut show = |_: &LogFrame| {};
        let attached = attach(&engine, &id, LABEL, 0, Duration::from_secs(5), &mut signals, &mut show);
        tokio::pin!(attached);
        let early = tokio::time::timeout(heard - Duration::from_millis(10), &mut attached).await;
        assert!(early.is_err() && engine.calls_of("signal").is_empty());
        assert_eq!(attached.await.unwrap(), Exit::Pod(0));
        assert!(begin.elapsed() < heard + Duration::from_secs(5));
        assert_eq!(engine.calls_of("signal"), ["signal pod 15"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_comes_back_is_followed_on() {
    let engine = FakeEngine::new().exits_after("pod", Duration::from_secs(120), 3);
    let id = started(&engine).await;
    engine.goes_away_for(Duration::from_secs(20));
    let (_keep, numbers) = mpsc::channel(1);
    let end =
        attach(&engine, &id, LABEL, 0, Duration::from_secs(5), &mut signals(numbers), &mut |_: &LogFrame| {}).await;
    assert_eq!(end.unwrap(), Exit::Pod(3));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stays_away_is_an_error_that_names_what_was_left() {
    let engine = FakeEngine::new();
    let id = started(&engine).await;
    engine.goes_away_for(Duration::from_secs(3600));
    let (_keep, numbers) = mpsc::channel(1);
    let end =
        attach(&engine, &id, LABEL, 0, Duration::from_secs(5), &mut signals(numbers), &mut |_: &LogFrame| {}).await;
    let report = end.unwrap_err();
    assert_eq!(report.exit(), Exit::Controller);
    assert!(
        report.text(false).contains(&format!("the command did not change container {id}")),
        "{}",
        report.text(false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_wait_for_an_engine_that_is_away() {
    let engine = FakeEngine::new();
    let id = started(&engine).await;
    engine.goes_away_for(Duration::from_secs(3600));
    let (send, numbers) = mpsc::channel(2);
    // The first is tried and fails while the streams are still thought to be alive; the second finds nobody to send it to.
    send.send(2).await.unwrap();
    send.send(2).await.unwrap();
    let end =
        attach(&engine, &id, LABEL, 0, Duration::from_secs(5), &mut signals(numbers), &mut |_: &LogFrame| {}).await;
    assert!(end.is_err());
}
