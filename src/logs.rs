//! Output of components: frames of the engine, lines, batches for the plugins, and the sink behind them.
//!
//! [`stream`] follows one run of one component. Its promise: while the controller lives, every line that the engine has kept is passed on
//! exactly once, in order within its stream, whatever happens to the connection; `docs/logs.md` tells what is lost when. Memory is bounded
//! for each component: one open line, one batch and what plugins hold for each of the two streams, and one chunk on its way out. Whatever is slow, a
//! plugin or the reader of standard output, makes the stream wait: the engine's own log is the queue.

mod batch;
pub mod counters;
pub mod format;
pub mod lines;
mod pace;
mod pieces;
mod pipeline;
pub mod position;
pub mod sink;
pub mod stamp;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use futures_util::stream::{BoxStream, StreamExt as _};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::counters::{Counters, Drop};
use self::format::Formatter;
use self::pace::Pace;
use self::pipeline::Pipeline;
use self::position::Position;
use self::sink::Sink;
use crate::config;
use crate::engine::{ContainerId, Engine, EngineError, Fault, LogFrame, LogsFrom};
use crate::hooks::{Hook, HookFailure, Hooks};
use crate::pod::ComponentName;

/// Frames taken in a row before anything else has its turn.
const FRAMES: usize = 256;

/// How often the task that feeds the stream gets its turn before the stream counts as drained: hyper's connection hands over one frame at a time.
const TURNS: usize = 2;

/// First pause before a broken stream is opened again; doubled each time up to the longest, and back to the first once something was read.
const PAUSE: Duration = Duration::from_millis(100);

/// Longest pause before a broken stream is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long the stream of a component that has exited may be silent without ending before it is opened again: engines have lost the end
/// of a log that was rotated while it was followed (moby#37646).
const SILENCE: Duration = Duration::from_secs(1);

/// Whose output is followed.
#[derive(Debug, Clone)]
pub struct Source {
    /// The component.
    pub component: ComponentName,
    /// Its container.
    pub id: ContainerId,
    /// The number of its run in this pod, from 1.
    pub run: u32,
    /// Whether it has a terminal (`tty: true`): then its output is one stream of bytes, without frames.
    pub terminal: bool,
}

/// One run of a component, and how it is followed.
#[derive(Debug, Clone)]
pub struct Run {
    /// Whose output.
    pub source: Source,
    /// Where the run before ended; the default for the first one.
    pub position: Position,
    /// Whether lines are written, or only shown to plugins.
    pub output: config::Output,
    /// The component's counters.
    pub counters: Arc<Counters>,
    /// How long reading may go on once the component has exited ([`config::Timeouts::log_drain`]).
    pub drain: Duration,
    /// Cancelled when the component has exited: its output is then read to the end.
    pub ended: CancellationToken,
    /// Cancelled when the caller waits no longer: what is not written yet is dropped and counted.
    pub token: CancellationToken,
    /// Cancelled when the engine shuts down: an end that is missing then is the pod's news, not each component's.
    pub engine_leaves: CancellationToken,
}

/// Why a component's output can't be followed any longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFailure {
    /// A plugin failed, and the pod's `on-error` says that this ends the pod.
    #[error("cannot follow the output of `{component}`")]
    Hook {
        /// Whose output.
        component: ComponentName,
        /// What happened.
        #[source]
        source: HookFailure,
    },
}

/// Follows one run of a component until its output has ended, and answers from where its next run goes on.
///
/// Answers at once where nobody wants the lines: they are not written, and no plugin sees lines. A log driver that can't be read is a
/// warning, once for each [`Counters`], and no failure. Lines that plugins were shown when one of them failed are dropped, not written as they were: a
/// redaction that fails must not disclose what it was there for.
///
/// Cancel safety: lines that are being passed on are lost, uncounted. Cancel `token` instead.
pub async fn stream<E: Engine, H: Hooks>(engine: E, hooks: H, run: Run, sink: Sink) -> Result<Position, LogFailure> {
    let judged = !hooks.with(Hook::LogLine).is_empty();
    let written = match run.output {
        config::Output::Streamed => true,
        config::Output::Quiet => false,
    };
    if !judged && !written {
        return Ok(run.position);
    }
    let Run { source, position, counters, drain, ended, token, engine_leaves, .. } = run;
    let formatter = Formatter::new(sink.format(), &source.component);
    let sink = written.then_some(sink);
    let mut pipeline = Pipeline::new(hooks, judged, &source, position, sink, formatter, Arc::clone(&counters));
    let limit = async {
        tokio::select! {
            () = token.cancelled() => "the controller stopped reading",
            () = async { ended.cancelled().await; tokio::time::sleep(drain).await } => "reading timed out",
        }
    };
    let outcome = {
        let follow = pin!(follow(&engine, &source, &mut pipeline, &counters, &ended));
        tokio::select! {
            biased;
            why = limit => Err(why),
            result = follow => Ok(result),
        }
    };
    let result = match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => {
            // What waited behind the batch that failed is not written either, and the rest is not read.
            let _dropped = pipeline.abandon(Drop::Plugin);
            counters.cut();
            Err(failure)
        }
        Err(why) => {
            // Whatever can be passed on without waiting still is.
            let result = pipeline.finish().now_or_never().unwrap_or(Ok(()));
            let dropped = pipeline.abandon(Drop::Deadline);
            let read_until = pipeline.position().at().unwrap_or_else(|| "its beginning".to_owned());
            // How much the engine still has is not known; from where on is.
            if dropped == 0 && engine_leaves.is_cancelled() {
                debug!(component = %source.component, why, read_until, "the end of the output may be missing");
            } else {
                warn!(component = %source.component, why, dropped, read_until, "the end of the output may be missing");
            }
            counters.cut();
            result
        }
    };
    match result {
        Ok(()) => Ok(pipeline.position()),
        Err(failure) => Err(LogFailure::Hook { component: source.component, source: failure }),
    }
}

/// How a connection ended.
enum End {
    /// The engine says that there is no more.
    Complete,
    /// The component has exited, and the stream neither goes on nor ends.
    Silent,
    Broken(EngineError),
}

async fn follow<E: Engine, H: Hooks>(
    engine: &E,
    source: &Source,
    pipeline: &mut Pipeline<H>,
    counters: &Counters,
    ended: &CancellationToken,
) -> Result<(), HookFailure> {
    let mut pause = PAUSE;
    loop {
        // A stream that ends with nobody having told of an exit may have been opened before the start.
        let last = ended.is_cancelled();
        let before = pipeline.position();
        let from = LogsFrom { since: pipeline.connect(), timestamps: true };
        let end = read(engine.logs(&source.id, from), pipeline, ended, last).await?;
        if pipeline.position() != before {
            pause = PAUSE;
        }
        match end {
            End::Complete if ended.is_cancelled() => break,
            End::Complete | End::Silent => debug!(component = %source.component, "the stream of output ended"),
            End::Broken(error) => match error.fault() {
                Fault::Permanent => {
                    if counters.set_unreadable() {
                        warn!(
                            component = %source.component,
                            %error,
                            "cannot read the output: use a log driver that the engine can read (`json-file`, `local`, `journald`), or do not turn off the driver's local cache",
                        );
                    }
                    break;
                }
                Fault::NotFound if last => break,
                Fault::NotFound | Fault::AlreadyDone | Fault::Transient => {
                    debug!(component = %source.component, %error, retry_in = ?pause, "the stream of output was interrupted");
                }
            },
        }
        if !last {
            tokio::select! {
                () = ended.cancelled() => continue,
                () = tokio::time::sleep(pause) => counters.reconnected(),
            }
        } else {
            tokio::time::sleep(pause).await;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    pipeline.finish().await
}

/// Reads one connection to its end.
async fn read<H: Hooks>(
    mut frames: BoxStream<'static, Result<LogFrame, EngineError>>,
    pipeline: &mut Pipeline<H>,
    ended: &CancellationToken,
    last: bool,
) -> Result<End, HookFailure> {
    enum Event {
        Frame(Option<Result<LogFrame, EngineError>>),
        Due,
        Exited,
        Silent,
    }
    let mut exited = pin!(ended.cancelled());
    let mut has_exited = last;
    let mut pace = Pace::default();
    loop {
        let due = pipeline.due();
        let event = tokio::select! {
            biased;
            () = &mut exited, if !has_exited => Event::Exited,
            frame = frames.next() => Event::Frame(frame),
            () = async { if let Some(due) = due { sleep_until(due).await } }, if due.is_some() => Event::Due,
            () = tokio::time::sleep(SILENCE), if has_exited && !last => Event::Silent,
        };
        let mut frame = match event {
            Event::Frame(frame) => frame,
            Event::Due => {
                pipeline.settle().await?;
                continue;
            }
            Event::Exited => {
                has_exited = true;
                continue;
            }
            Event::Silent => return Ok(End::Silent),
        };
        // What is there already is taken at once, so that a busy component's lines are written many at a time.
        let (mut taken, mut turns, mut drained) = (0, 0, false);
        let end = loop {
            match frame {
                Some(Ok(frame)) => pipeline.frame(&frame),
                Some(Err(error)) => break Some(End::Broken(error)),
                None => break Some(End::Complete),
            }
            taken += 1;
            if taken == FRAMES || pipeline.is_full() {
                break None;
            }
            let next = loop {
                match frames.next().now_or_never() {
                    Some(next) => break Some(next),
                    None if turns == TURNS => break None,
                    None => turns += 1,
                }
                give_way().await;
            };
            let Some(next) = next else {
                drained = true;
                break None;
            };
            turns = 0;
            frame = next;
        };
        pipeline.settle().await?;
        if let Some(end) = end {
            return Ok(end);
        }
        match pace.taken(taken, drained, Instant::now()) {
            Some(rested) => sleep_until(pipeline.due().map_or(rested, |due| due.min(rested))).await,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Lets every task that is ready have its turn. Unlike `yield_now` it does not ask the kernel for events, which would cost a system call for each frame.
async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if given {
            return Poll::Ready(());
        }
        given = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
