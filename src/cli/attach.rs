//! Stays with a controller's container: shows its output, passes signals on, answers its exit code.

use std::future::pending;
use std::io::{self, Write};
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::report::{Exit, Report};
use crate::engine::{ContainerId, Engine, EngineError, EngineEventKind, Fault, LogFrame, LogsFrom, Output};

/// Between two looks at an engine that went away.
const PAUSE: Duration = Duration::from_secs(1);

/// So often, then the container is left alone: an upgrade of the engine takes some ten seconds.
const LOOKS: u32 = 60;

/// The kernel drops a signal to the first process of a container that has no handler for it yet. A controller has its handlers when it writes its first line; one that
/// writes nothing has them after this time.
const SILENT: Duration = Duration::from_secs(2);

/// From the first output to the handlers: a warning about the environment comes before them.
const HANDLERS: Duration = Duration::from_millis(200);

/// The signals that go to the pod. Those that stop and continue a job stay the terminal's.
const FORWARDED: [SignalKind; 6] = [
    SignalKind::interrupt(),
    SignalKind::terminate(),
    SignalKind::hangup(),
    SignalKind::quit(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// Signals to this process, caught from the moment that this exists.
pub(super) struct Signals(BoxStream<'static, i32>);

impl Signals {
    /// Catches them.
    pub(super) fn new() -> Result<Self, Report> {
        let caught: io::Result<Vec<(i32, Signal)>> =
            FORWARDED.iter().map(|&kind| Ok((kind.as_raw_value(), signal(kind)?))).collect();
        let mut caught = caught.context("cannot set up signal handling")?;
        let next = move |context: &mut std::task::Context<'_>| {
            for (number, signal) in &mut caught {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(Some(*number));
                }
            }
            Poll::Pending
        };
        Ok(Self(stream::poll_fn(next).boxed()))
    }

    /// The next one, if it has come already.
    pub(super) fn pending(&mut self) -> Option<i32> {
        self.next().now_or_never()
    }

    /// The next one.
    ///
    /// Cancel safety: none is lost.
    pub(super) async fn next(&mut self) -> i32 {
        match self.0.next().await {
            Some(number) => number,
            None => pending().await,
        }
    }
}

enum Happened {
    Signal(i32),
    Event(Option<Result<EngineEventKind, EngineError>>),
    Frame(Option<Result<LogFrame, EngineError>>),
    Drained,
    Ready,
}

/// Follows the container, which has `label` and was started after `since` (seconds since the Unix epoch), to its end. After that its last output may take
/// `drain`.
///
/// # Errors
/// The engine went away, or no longer knows the container; it is left as it is then.
pub(super) async fn attach<E: Engine>(
    engine: &E,
    id: &ContainerId,
    label: &str,
    since: i64,
    drain: Duration,
    signals: &mut Signals,
    show: &mut impl FnMut(&LogFrame),
) -> Result<Exit, Report> {
    let mut frames = engine.logs(id, LogsFrom::default());
    let mut events = engine.events(label, Some(since));
    let mut frames_open = true;
    let mut ended: Option<(i32, Instant)> = None;
    // Signals that came before the controller could hear them, and the time from which it can; none once they have been passed on.
    let mut held = Vec::new();
    let mut ready = Some(Instant::now() + SILENT);
    loop {
        if let Some((code, _)) = ended
            && !frames_open
        {
            return Ok(Exit::pod(code));
        }
        let deadline = ended.map(|(_, deadline)| deadline);
        let happened = tokio::select! {
            biased;
            number = signals.next() => Happened::Signal(number),
            event = events.next(), if ended.is_none() => {
                Happened::Event(event.map(|event| event.map(|event| event.kind)))
            }
            frame = frames.next(), if frames_open => Happened::Frame(frame),
            () = until(ready), if ready.is_some() => Happened::Ready,
            () = until(deadline) => Happened::Drained,
        };
        match happened {
            Happened::Signal(number) if ready.is_some() => held.push(number),
            Happened::Signal(number) => pass_on(engine, id, number).await,
            Happened::Ready => {
                ready = None;
                for number in held.drain(..) {
                    pass_on(engine, id, number).await;
                }
            }
            Happened::Event(Some(Ok(EngineEventKind::Die { exit_code }))) => {
                ended = Some((exit_code, Instant::now() + drain));
            }
            Happened::Event(Some(Ok(_))) => {}
            Happened::Event(lost @ (Some(Err(_)) | None)) => {
                debug!(error = ?lost.and_then(Result::err), "the event stream of the engine ended");
                match still_running(engine, id, signals).await? {
                    Some(code) => ended = Some((code, Instant::now() + drain)),
                    None => events = engine.events(label, Some(since)),
                }
            }
            Happened::Frame(Some(Ok(frame))) => {
                ready = ready.map(|ready| ready.min(Instant::now() + HANDLERS));
                show(&frame);
            }
            Happened::Frame(Some(Err(error))) => {
                warn!(%error, "cannot read the pod's output any more");
                frames_open = false;
            }
            Happened::Frame(None) => frames_open = false,
            Happened::Drained => frames_open = false,
        }
    }
}

async fn pass_on<E: Engine>(engine: &E, id: &ContainerId, number: i32) {
    debug!(signal = number, "a signal was passed on to the pod");
    match engine.signal(id, number).await {
        Err(error) if error.fault() != Fault::AlreadyDone => {
            warn!(%error, signal = number, "the engine did not pass a signal on to the pod");
        }
        _ => {}
    }
}

/// Pends for ever where there is no deadline.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Looks at the container until the engine answers: its exit code, or none while it runs.
async fn still_running<E: Engine>(engine: &E, id: &ContainerId, signals: &mut Signals) -> Result<Option<i32>, Report> {
    let mut looks = 0;
    loop {
        tokio::select! {
            biased;
            number = signals.next() => {
                let error = anyhow::anyhow!("the engine is unreachable, so signal {number} did not reach the pod");
                return Err(Report::new(error).hint(format!("the command did not change container {id}")));
            }
            () = sleep(PAUSE) => {}
        }
        looks += 1;
        match engine.inspect(&id.0).await {
            Ok(found) if found.running => return Ok(None),
            Ok(found) => return Ok(Some(found.exit_code)),
            Err(error) if error.fault() == Fault::Transient && looks < LOOKS => {
                debug!(%error, looks, "the engine is unreachable")
            }
            Err(error) => return Err(Report::new(error).hint(format!("the command did not change container {id}"))),
        }
    }
}

/// Where the container's output goes: the stream that it came from.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// A reader that went away does not end the pod; nothing more is written.
    closed: bool,
    /// Whether the last line of standard output has not ended.
    within_line: bool,
}

impl Screen {
    /// Whether what was shown last on standard output lacks the end of its line.
    pub(super) fn is_within_line(&self) -> bool {
        self.within_line
    }

    /// Writes a piece of output.
    pub(super) fn show(&mut self, frame: &LogFrame) {
        if self.closed {
            return;
        }
        let written = match frame.output {
            Output::Stdout => {
                self.within_line = frame.bytes.last().map_or(self.within_line, |last| *last != b'\n');
                let mut out = io::stdout().lock();
                out.write_all(&frame.bytes).and_then(|()| out.flush())
            }
            Output::Stderr => io::stderr().lock().write_all(&frame.bytes),
        };
        if let Err(error) = written {
            self.closed = true;
            debug!(%error, "the reader of the output is gone; no more output is written");
        }
    }
}

#[cfg(test)]
mod tests;
