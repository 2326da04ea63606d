//! Checks that wait: a long poll, so that the engine need not run a check every few seconds to learn that nothing has changed.
//!
//! The engine learns the verdict only when a check ends, and it begins the next one an interval later. So a check ends as soon as there is something that the engine does
//! not know yet, and otherwise just before the engine would end it. Meanwhile the controller sends a heartbeat, so that a check
//! notices a controller that hangs.
//!
//! A component that shares the PID namespace may stop a check (SIGSTOP), so that the engine does not learn of a new verdict. With each heartbeat, and until the check has
//! gone, the controller therefore continues its process (SIGCONT).

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::server::{PATIENCE, verdict_of};
use super::status::{HealthState, Status};
use crate::idle::{FAILED, HEARTBEAT, PASSED, WAIT};

/// A check is answered so long before the engine ends it. The engine's clock runs while it starts the check's process, a tenth of a second and more.
const MARGIN: Duration = Duration::from_secs(1);

/// A check that was answered, and does not end, is continued for so long.
const LINGER: Duration = Duration::from_secs(60);

/// How much later than it should the engine may begin a check.
const SLACK: Duration = Duration::from_secs(1);

/// How the engine checks the controller's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How long a check may be kept waiting.
    hold: Duration,
    /// So long after a change every check is answered at once.
    settle: Duration,
    /// If no check has come for so long, the engine has tried others in vain, or was itself started again.
    gap: Duration,
}

impl Waiting {
    /// For checks that begin `interval` after the last one, and that the engine ends after `limit`.
    #[must_use]
    pub fn new(interval: Duration, limit: Duration) -> Self {
        Self { hold: limit.saturating_sub(MARGIN), settle: interval + SLACK, gap: interval * 2 + SLACK }
    }
}

/// What a check would be answered now, and who knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    state: HealthState,
    since: Instant,
    /// When a check was answered so; none: none was, or one has gone away without an answer since.
    told: Option<Instant>,
}

impl Verdict {
    pub(super) fn new(state: HealthState) -> Self {
        Self { state, since: Instant::now(), told: None }
    }

    /// Whether a check that has begun at `begun` is kept waiting.
    ///
    /// - `unhealthy` is answered at once, so that the engine's retries follow each other as fast as they can.
    /// - `starting` waits: the engine is to learn of the end of the start, not of the start.
    /// - All others wait if the engine knows. Somebody else may have asked in its place, so for longer than the engine takes to its next check
    ///   everyone is answered at once.
    fn waits(&self, waiting: &Waiting, begun: Instant, now: Instant) -> bool {
        match self.state {
            HealthState::Unhealthy => false,
            HealthState::Starting => true,
            HealthState::Healthy | HealthState::Degraded => {
                self.told.is_some_and(|at| begun <= at + waiting.gap) && now >= self.since + waiting.settle
            }
        }
    }
}

/// Keeps `verdicts` as the pod's health is, until the pod's end.
pub(super) async fn follow(
    mut status: watch::Receiver<Arc<Status>>,
    verdicts: watch::Sender<Verdict>,
    stop: CancellationToken,
) {
    loop {
        let state = status.borrow_and_update().health.state;
        verdicts.send_if_modified(|verdict| {
            let is_new = verdict.state != state;
            if is_new {
                *verdict = Verdict::new(state);
            }
            is_new
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}

/// The time that a check had spent when it asked; none: this is no such query.
pub(super) fn spent(request: &str) -> Option<Duration> {
    let rest = request.strip_prefix(WAIT)?.strip_prefix(' ')?;
    rest.parse().ok().map(Duration::from_millis)
}

/// A check that waits.
pub(super) struct Waiter {
    pub status: watch::Receiver<Arc<Status>>,
    pub verdicts: watch::Sender<Verdict>,
    pub waiting: Waiting,
    /// When the check began.
    pub begun: Instant,
}

impl Waiter {
    /// Answers the check as soon as there is something to report.
    pub(super) async fn wait(self, mut stream: UnixStream, stop: CancellationToken) {
        let by = self.begun + self.waiting.hold;
        let mut verdicts = self.verdicts.subscribe();
        let mut heart = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heart.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let verdict = *verdicts.borrow_and_update();
            let now = Instant::now();
            if now >= by || !verdict.waits(&self.waiting, self.begun, now) {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = verdicts.changed() => if changed.is_err() { break },
                () = sleep_until(by) => {}
                _ = heart.tick() => {
                    wake(&stream);
                    if !send(&mut stream, "\n").await {
                        self.heard(false);
                        return;
                    }
                }
            }
        }
        self.answer(&mut stream).await;
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = gone(stream) => {}
        }
    }

    /// Answers it as things are.
    pub(super) async fn answer(self, stream: &mut UnixStream) {
        let status = Arc::clone(&self.status.borrow());
        let code = if status.health.state.counts_as_healthy() { PASSED } else { FAILED };
        let text = if status.health.state == HealthState::Healthy { String::new() } else { verdict_of(&status) };
        let sent = send(stream, &format!("{code}\n{text}")).await;
        // Of a verdict that is replaced meanwhile nobody has heard.
        if self.verdicts.borrow().state == status.health.state {
            self.heard(sent);
        }
    }

    /// A check has got its answer, or went away without one: then the engine knows less than it did, and the next check is answered at once.
    fn heard(&self, told: bool) {
        self.verdicts.send_modify(|verdict| verdict.told = told.then(Instant::now));
    }
}

/// Continues the process of a check, which somebody may have stopped. The kernel names the process that has connected; for a process that goes on, this has no effect.
fn wake(stream: &UnixStream) {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    // Lower numbers mean others: a group of processes, or all.
    let Some(pid) = pid.filter(|pid| *pid > 1) else { return };
    if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGCONT) {
        debug!(%error, pid, "cannot continue a check");
    }
}

/// Waits until a check that was answered has ended, and continues it meanwhile.
async fn gone(mut stream: UnixStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    // The engine ends a check that takes longer, and a check is of no use any more then.
    for _ in 0..LINGER.as_secs() / HEARTBEAT.as_secs() {
        wake(&stream);
        if timeout(HEARTBEAT, stream.read(&mut [0_u8])).await.is_ok() {
            return;
        }
    }
}

/// Whether it could be sent.
async fn send(stream: &mut UnixStream, text: &str) -> bool {
    match timeout(PATIENCE, stream.write_all(text.as_bytes())).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            debug!(%error, "a check went away while it waited");
            false
        }
        Err(_) => {
            debug!("a check that waits does not read");
            false
        }
    }
}

#[cfg(test)]
mod tests;
