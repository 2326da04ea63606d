use std::io::ErrorKind;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;

use super::*;
use crate::admin::status::Health;
use crate::admin::{ask, serve, socket};
use crate::shutdown::Tasks;

const INTERVAL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(60);

struct Pod {
    _dir: tempfile::TempDir,
    path: PathBuf,
    publish: watch::Sender<Arc<Status>>,
    tasks: Tasks,
}

impl Pod {
    fn new(state: HealthState) -> Self {
        Self::checked(state, LIMIT)
    }

    /// The engine ends a check of it after `limit`.
    fn checked(state: HealthState, limit: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = socket(dir.path());
        let (publish, status) = watch::channel(status(state));
        let tasks = Tasks::new();
        serve(&path, status, |_| {}, String::new, Waiting::new(INTERVAL, limit), &tasks).unwrap();
        Self { _dir: dir, path, publish, tasks }
    }

    /// Some while after the pod became what it is, with an engine that knows.
    async fn settled(state: HealthState) -> Self {
        let pod = Self::new(state);
        tokio::time::sleep(INTERVAL).await;
        pod.check().await.ended().await;
        tokio::time::sleep(INTERVAL).await;
        pod
    }

    fn becomes(&self, state: HealthState) {
        self.publish.send_replace(status(state));
    }

    /// Begins a check.
    async fn check(&self) -> Check {
        self.check_after(Duration::ZERO).await
    }

    /// One that has spent so much time already.
    async fn check_after(&self, spent: Duration) -> Check {
        let begun = Instant::now();
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        stream.write_all(format!("wait {}\n", spent.as_millis()).as_bytes()).await.unwrap();
        Check { stream, begun }
    }
}

struct Check {
    stream: UnixStream,
    begun: Instant,
}

impl Check {
    /// The answer without heartbeats, how many came before it, and the time that all took, in seconds.
    async fn ended(mut self) -> (String, usize, u64) {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).await.unwrap();
        let answer = text.trim_start_matches('\n');
        (answer.to_owned(), text.len() - answer.len(), self.begun.elapsed().as_secs())
    }

    /// Waits until it has its first heartbeat: it is kept waiting.
    async fn is_kept(&mut self) {
        let mut byte = [0_u8];
        self.stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, *b"\n");
    }

    /// The answer, which is there.
    async fn at_once(self) -> String {
        let (answer, heartbeats, seconds) = self.ended().await;
        assert_eq!((heartbeats, seconds), (0, 0), "{answer}");
        answer
    }
}

fn status(state: HealthState) -> Arc<Status> {
    let reasons = if state == HealthState::Healthy { vec![] } else { vec!["because".to_owned()] };
    Arc::new(Status { health: Health { state, reasons }, ..Status::default() })
}

#[test]
fn the_query_has_the_time_that_was_spent() {
    assert_eq!(spent("wait 1500"), Some(Duration::from_millis(1500)));
    for other in ["wait", "wait ", "wait x", "waits 1", "wait -1", "health"] {
        assert_eq!(spent(other), None, "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_starts_is_reported_when_it_is_healthy() {
    let pod = Pod::new(HealthState::Starting);
    let mut check = pod.check().await;
    check.is_kept().await;
    pod.becomes(HealthState::Healthy);
    assert_eq!(check.ended().await, ("0\n".to_owned(), 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_longer_than_a_check_is_reported_as_such_in_time() {
    let pod = Pod::new(HealthState::Starting);
    let (answer, heartbeats, seconds) = pod.check().await.ended().await;
    assert_eq!((answer.as_str(), seconds), ("1\nstarting\nbecause\n", 59));
    assert!((57..=59).contains(&heartbeats), "{heartbeats}");
    let (_, _, seconds) = pod.check_after(Duration::from_millis(2500)).await.ended().await;
    assert_eq!(seconds, 56);
}

#[tokio::test(start_paused = true)]
async fn what_is_unhealthy_is_never_kept() {
    let pod = Pod::new(HealthState::Unhealthy);
    for _ in 0..5 {
        assert_eq!(pod.check().await.at_once().await, "1\nunhealthy\nbecause\n");
        tokio::time::sleep(INTERVAL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_pod_is_reported_once_and_then_as_late_as_can_be() {
    let pod = Pod::new(HealthState::Healthy);
    assert_eq!(pod.check().await.at_once().await, "0\n");
    tokio::time::sleep(INTERVAL + SLACK).await;
    for _ in 0..3 {
        let (answer, _, seconds) = pod.check().await.ended().await;
        assert_eq!((answer.as_str(), seconds), ("0\n", 59));
        tokio::time::sleep(INTERVAL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_of_the_verdict_ends_a_check() {
    use HealthState::{Degraded, Healthy, Unhealthy};
    for (from, to, expected) in [
        (Healthy, Unhealthy, "1\nunhealthy\nbecause\n"),
        (Healthy, Degraded, "0\ndegraded\nbecause\n"),
        (Degraded, Healthy, "0\n"),
        (Degraded, Unhealthy, "1\nunhealthy\nbecause\n"),
    ] {
        let pod = Pod::settled(from).await;
        let mut check = pod.check().await;
        check.is_kept().await;
        pod.becomes(to);
        assert_eq!(check.ended().await, (expected.to_owned(), 0, 1), "{from} {to}");
        // And the way back is reported by the next one.
        pod.becomes(from);
        assert_ne!(pod.check().await.at_once().await, expected, "{to} {from}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_in_between_does_not_end_a_check() {
    let pod = Pod::settled(HealthState::Healthy).await;
    let mut check = pod.check().await;
    check.is_kept().await;
    pod.becomes(HealthState::Starting);
    check.is_kept().await;
    pod.becomes(HealthState::Healthy);
    assert_eq!(check.ended().await.0, "0\n");
}

#[tokio::test(start_paused = true)]
async fn who_asks_in_the_engines_place_keeps_nothing_from_it() {
    let pod = Pod::settled(HealthState::Unhealthy).await;
    pod.becomes(HealthState::Healthy);
    // Somebody's `docker exec`, just before the engine's own check.
    assert_eq!(pod.check().await.at_once().await, "0\n");
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(pod.check().await.at_once().await, "0\n");
}

/// The answer is still being sent when another verdict takes its place: nobody has heard of that one.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_out_of_date_when_it_arrives_counts_for_nothing() {
    let pod = Pod::settled(HealthState::Healthy).await;
    // More than the socket holds, so that the controller has to wait until it is read.
    let health = Health { state: HealthState::Unhealthy, reasons: vec!["because ".repeat(1 << 18)] };
    pod.publish.send_replace(Arc::new(Status { health, ..Status::default() }));
    let check = pod.check().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    pod.becomes(HealthState::Healthy);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(check.ended().await.0.starts_with("1\nunhealthy\nbecause "));
    tokio::time::sleep(INTERVAL + SLACK).await;
    assert_eq!(pod.check().await.at_once().await, "0\n");
}

#[tokio::test(start_paused = true)]
async fn after_a_check_that_went_away_the_next_one_is_answered_at_once() {
    let pod = Pod::settled(HealthState::Healthy).await;
    let mut check = pod.check().await;
    check.is_kept().await;
    drop(check);
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(pod.check().await.at_once().await, "0\n");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_away_is_answered_at_once() {
    let pod = Pod::settled(HealthState::Healthy).await;
    let mut check = pod.check().await;
    check.is_kept().await;
    drop(check.ended().await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(pod.check().await.at_once().await, "0\n");
}

#[tokio::test(start_paused = true)]
async fn a_check_of_little_time_has_its_answer_before_it_is_over() {
    for (limit, kept) in [(3, 2), (2, 1), (1, 0)] {
        let pod = Pod::checked(HealthState::Starting, Duration::from_secs(limit));
        assert_eq!(pod.check().await.ended().await.2, kept, "{limit}");
    }
    let pod = Pod::checked(HealthState::Starting, Duration::from_millis(300));
    assert_eq!(pod.check_after(Duration::from_secs(5)).await.ended().await.2, 0);
}

#[tokio::test(start_paused = true)]
async fn so_many_checks_wait_and_others_are_still_answered() {
    let pod = Pod::new(HealthState::Starting);
    let mut kept = Vec::new();
    for _ in 0..16 {
        let mut check = pod.check().await;
        check.is_kept().await;
        kept.push(check);
    }
    assert_eq!(pod.check().await.at_once().await, "1\nstarting\nbecause\n");
    assert_eq!(ask(&pod.path, "health").await.unwrap(), "starting\nbecause\n");
    pod.becomes(HealthState::Healthy);
    for check in kept {
        assert_eq!(check.ended().await.0, "0\n");
    }
    // Their places are free again.
    pod.becomes(HealthState::Starting);
    pod.check().await.is_kept().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_answered_when_the_controller_ends() {
    let pod = Pod::new(HealthState::Starting);
    let mut check = pod.check().await;
    check.is_kept().await;
    pod.tasks.cancel();
    assert_eq!(check.ended().await.0, "1\nstarting\nbecause\n");
    assert!(pod.tasks.wait(Duration::from_secs(1)).await);
    assert_eq!(UnixStream::connect(&pod.path).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// The check is this process itself, which notices each SIGCONT.
#[tokio::test]
async fn a_check_that_somebody_has_stopped_is_continued() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut continued = signal(SignalKind::from_raw(18)).unwrap();
    let pod = Pod::new(HealthState::Starting);
    let mut check = pod.check().await;
    check.is_kept().await;
    timeout(LIMIT, continued.recv()).await.expect("with the heartbeat").unwrap();
    // Stopped before it reads the answer.
    pod.becomes(HealthState::Unhealthy);
    for _ in 0..2 {
        timeout(LIMIT, continued.recv()).await.expect("until it has ended").unwrap();
    }
    let (answer, ..) = check.ended().await;
    assert!(answer.starts_with("1\n"), "{answer}");
}
