//! One probe's looks, one after the other, on time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::findings::Findings;
use super::tracker::{Change, Tracker};
use super::{Exec, ProbeKind, Unanswered, connect, grpc, late, send, within};
use crate::pod::life::{Probe, ProbeCheck};

/// A command that does not end is waited for so long, though every look meanwhile fails; then the next look runs another one beside it. No engine can end a
/// command by itself, and a stuck one must not mean that nobody ever looks again.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// A command under way in the component.
type Running<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

pub(super) struct Looks<'a, X> {
    probe: &'a Probe,
    kind: ProbeKind,
    exec: &'a X,
    findings: &'a Findings,
    tracker: Tracker,
    due: Instant,
    /// The command of an earlier look, and when that began.
    running: Option<(Instant, Running<'a>)>,
}

impl<'a, X: Exec> Looks<'a, X> {
    pub(super) fn new(probe: &'a Probe, kind: ProbeKind, exec: &'a X, findings: &'a Findings) -> Self {
        // A startup or liveness probe succeeds, and stays so, with one success.
        let successes = if kind == ProbeKind::Readiness { probe.success_threshold } else { 1 };
        Self {
            probe,
            kind,
            exec,
            findings,
            tracker: Tracker::new(successes, probe.failure_threshold),
            due: Instant::now() + probe.initial_delay,
            running: None,
        }
    }

    /// Waits for the next look, looks, and answers what that changed.
    pub(super) async fn next(&mut self) -> Option<Change> {
        self.pause().await;
        let seen = self.look().await;
        let step = match self.probe.start_interval {
            Some(interval) if !self.tracker.succeeded() && seen.is_err() => interval,
            _ => self.probe.period,
        };
        self.due = after(self.due, step, Instant::now());
        let failure = seen.as_ref().err().cloned();
        let change = self.tracker.note(seen);
        self.findings.note(self.kind, &self.tracker, failure);
        change
    }

    async fn pause(&mut self) {
        // What a command says has to be read, or it could not go on.
        if let Some((_, running)) = &mut self.running {
            tokio::select! {
                biased;
                () = sleep_until(self.due) => return,
                _too_late = running => self.running = None,
            }
        }
        sleep_until(self.due).await;
    }

    async fn look(&mut self) -> Result<(), String> {
        let limit = self.probe.timeout;
        // Between two looks, which is nearly always, a probe holds no room for what a look needs.
        match &self.probe.check {
            ProbeCheck::Http(request) => Box::pin(send(request, limit)).await,
            ProbeCheck::Tcp { host, port } => {
                Box::pin(within(limit, async |_until| connect(host, *port).await.map_err(Unanswered::why)))
                    .await
                    .map(drop)
            }
            ProbeCheck::Grpc { host, port, service } => {
                Box::pin(within(limit, async |_until| grpc::check(host, *port, service, limit).await)).await
            }
            ProbeCheck::Exec(argv) => self.run(argv).await,
        }
    }

    async fn run(&mut self, argv: &'a [String]) -> Result<(), String> {
        let (now, limit, exec) = (Instant::now(), self.probe.timeout, self.exec);
        if let Some((began, _)) = &self.running {
            return Err(format!(
                "the command of the probe that started {} s ago has not ended yet",
                (now - *began).as_secs()
            ));
        }
        let (_, running) = self.running.insert((now, Box::pin(exec.exec(argv, limit.max(LEFT_ALONE)))));
        let Ok(answer) = timeout_at(now + limit, running).await else { return Err(late(limit)) };
        self.running = None;
        answer
    }
}

/// When the look after the one that was due at `due` is due. One that took too long is followed by the next at once; all further ones keep their times, and
/// none is made up for.
fn after(due: Instant, step: Duration, now: Instant) -> Instant {
    let next = due + step;
    let passed = now.saturating_duration_since(next).as_nanos().checked_div(step.as_nanos()).unwrap_or_default();
    next + step.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX))
}
