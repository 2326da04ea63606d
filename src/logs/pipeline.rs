//! What happens to a component's frames on their way to the output. The connection that they come from is none of its business.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Source;
use super::batch::{self, Batcher};
use super::counters::{Counters, Drop};
use super::format::Formatter;
use super::lines::{Assembler, MAX_LINE};
use super::pieces::Pieces;
use super::position::{Position, Progress};
use super::sink::Sink;
use crate::engine::{LogFrame, Output};
use crate::hooks::{Batch, HELD_BYTES, HELD_LINES, HookFailure, Hooks};

/// Bytes that are collected before they are written although more frames are there.
const CHUNK: usize = 64 * 1024;

/// What is kept allocated for the next chunk, in bytes.
const KEEP: usize = 16 * 1024;

/// How long lines are held while nothing comes behind them; then they are brought again as the final ones.
const HELD_QUIET: Duration = Duration::from_secs(1);

/// Frames to lines, lines through the plugins, lines to the sink, for one run of one component.
pub(super) struct Pipeline<H> {
    hooks: H,
    counters: Arc<Counters>,
    terminal: bool,
    /// Whether any plugin sees the lines.
    judged: bool,
    /// None where nothing is written.
    sink: Option<Sink>,
    formatter: Formatter,
    stdout: Lane,
    stderr: Lane,
    chunk: Chunk,
    /// Lines that a plugin is looking at.
    in_hook: usize,
}

/// One of the two streams.
struct Lane {
    pieces: Pieces,
    progress: Progress,
    /// Time of the current piece.
    at_ns: u64,
    assembler: Assembler,
    batcher: Batcher,
    held: Option<Held>,
}

struct Held {
    batch: Batch,
    until: Instant,
}

/// Lines that are ready to be written.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    lines: u64,
}

impl<H: Hooks> Pipeline<H> {
    pub(super) fn new(
        hooks: H,
        judged: bool,
        source: &Source,
        position: Position,
        sink: Option<Sink>,
        formatter: Formatter,
        counters: Arc<Counters>,
    ) -> Self {
        let lane = |output| Lane {
            pieces: Pieces::default(),
            progress: Progress::new(position.of(output)),
            at_ns: 0,
            assembler: Assembler::new(source.terminal, MAX_LINE),
            batcher: Batcher::new(source.component.clone(), output, source.run),
            held: None,
        };
        Self {
            hooks,
            counters,
            terminal: source.terminal,
            judged,
            sink,
            formatter,
            stdout: lane(Output::Stdout),
            stderr: lane(Output::Stderr),
            chunk: Chunk::default(),
            in_hook: 0,
        }
    }

    /// How far the output has been taken.
    pub(super) fn position(&self) -> Position {
        Position { stdout: self.stdout.progress.mark(), stderr: self.stderr.progress.mark() }
    }

    /// A new connection begins. Answers from which second on the engine must be asked.
    pub(super) fn connect(&mut self) -> i64 {
        for lane in [&mut self.stdout, &mut self.stderr] {
            lane.pieces = Pieces::default();
            lane.progress.rewind();
        }
        let open = [&self.stdout, &self.stderr].into_iter().filter_map(|lane| lane.assembler.open_since());
        self.position().since_s(open)
    }

    /// Takes a frame. What it completes waits for [`Self::settle`].
    pub(super) fn frame(&mut self, frame: &LogFrame) {
        self.feed(frame.output, |pieces, terminal, out| {
            if terminal { pieces.terminal(&frame.bytes, out) } else { pieces.frame(&frame.bytes, out) }
        });
    }

    /// Whether enough has come together that it should be settled before more frames are taken.
    pub(super) fn is_full(&self) -> bool {
        self.chunk.bytes.len() >= CHUNK || !self.stdout.batcher.is_drained() || !self.stderr.batcher.is_drained()
    }

    /// When [`Self::settle`] must be called although no frame has come.
    pub(super) fn due(&self) -> Option<Instant> {
        [&self.stdout, &self.stderr]
            .into_iter()
            .flat_map(|lane| [lane.batcher.due(), lane.held.as_ref().map(|held| held.until)])
            .flatten()
            .min()
    }

    /// Passes on whatever is complete or due.
    ///
    /// Cancel safety: lines that a plugin is looking at are lost to the output; [`Self::abandon`] counts them.
    pub(super) async fn settle(&mut self) -> Result<(), HookFailure> {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            let now = Instant::now();
            for lane in [&mut self.stdout, &mut self.stderr] {
                if lane.batcher.due().is_some_and(|due| due <= now) {
                    lane.batcher.cut();
                }
            }
        }
        for output in [Output::Stdout, Output::Stderr] {
            while let Some(batch) = self.lane(output).batcher.next() {
                self.judge(output, Some(batch)).await?;
            }
            if let Some(held) = self.lane(output).held.as_mut().filter(|held| held.until <= Instant::now()) {
                held.batch.flush = true;
                self.judge(output, None).await?;
            }
        }
        self.write().await;
        Ok(())
    }

    /// Nothing more will come: passes on unfinished lines and whatever is held.
    pub(super) async fn finish(&mut self) -> Result<(), HookFailure> {
        for output in [Output::Stdout, Output::Stderr] {
            self.feed(output, |pieces, _, out| pieces.finish(out));
            self.end_line(output);
            self.lane(output).batcher.cut();
            while let Some(mut batch) = self.lane(output).batcher.next() {
                batch.last = self.lane(output).batcher.is_drained();
                self.judge(output, Some(batch)).await?;
            }
            if let Some(held) = &mut self.lane(output).held {
                held.batch.last = true;
                self.judge(output, None).await?;
            }
        }
        self.write().await;
        Ok(())
    }

    /// Counts whatever has not been passed on as dropped, and answers how many lines that are.
    pub(super) fn abandon(&mut self, why: Drop) -> u64 {
        let mut lines = self.chunk.lines + self.in_hook as u64;
        for lane in [&self.stdout, &self.stderr] {
            lines += lane.held.as_ref().map_or(0, |held| held.batch.len()) as u64;
            lines += lane.batcher.lines() as u64 + u64::from(lane.assembler.open_since().is_some());
        }
        self.chunk = Chunk::default();
        self.counters.dropped(why, lines);
        lines
    }

    fn lane(&mut self, output: Output) -> &mut Lane {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }

    /// Lets `read` find the pieces, and takes what is new of them.
    fn feed(&mut self, output: Output, read: impl FnOnce(&mut Pieces, bool, &mut dyn FnMut(Option<u64>, &[u8]))) {
        let Self { stdout, stderr, chunk, formatter, sink, counters, judged, terminal, .. } = self;
        let lane = match output {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        };
        let Lane { pieces, progress, at_ns, assembler, batcher, .. } = lane;
        let (judged, written) = (*judged, sink.is_some());
        let (mut lines, mut bytes) = (0, 0);
        let mut line = |at_ns: u64, line: &[u8]| {
            lines += 1;
            bytes += line.len() as u64;
            if judged {
                batcher.push(at_ns, line);
            } else if written {
                chunk.lines += formatter.line(&mut chunk.bytes, output, at_ns, line, &[]);
            }
        };
        read(pieces, *terminal, &mut |start, piece| {
            let known = progress.take(start, piece.len());
            *at_ns = start.unwrap_or(*at_ns);
            assembler.push(*at_ns, piece.get(known..).unwrap_or_default(), &mut line);
        });
        counters.read(output, lines, bytes, assembler.take_cuts());
    }

    fn end_line(&mut self, output: Output) {
        let Self { stdout, stderr, chunk, formatter, sink, counters, judged, .. } = self;
        let lane = match output {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        };
        lane.assembler.finish(&mut |at_ns, line| {
            counters.read(output, 1, line.len() as u64, 0);
            if *judged {
                lane.batcher.push(at_ns, line);
            } else if sink.is_some() {
                chunk.lines += formatter.line(&mut chunk.bytes, output, at_ns, line, &[]);
            }
        });
    }

    /// Passes a batch, with the held lines in front, through the plugins. Without one, the held lines are all there is, and must be decided.
    async fn judge(&mut self, output: Output, batch: Option<Batch>) -> Result<(), HookFailure> {
        let held = self.lane(output).held.take().map(|held| held.batch);
        let batch = match (held, batch) {
            (Some(held), Some(batch)) => batch::prepend(held, &batch),
            (Some(held), None) => held,
            (None, Some(batch)) => batch,
            (None, None) => return Ok(()),
        };
        let is_final = batch.is_final();
        let count = batch.len();
        self.in_hook += count;
        let judged = self.hooks.log_lines(batch).await;
        self.in_hook -= count;
        let judged = judged.inspect_err(|_| self.counters.dropped(Drop::Plugin, count as u64))?;
        self.counters.released(judged.released);
        self.keep(output, &judged.keep);
        let hold = judged.hold;
        self.counters.filtered(count.saturating_sub(judged.keep.len() + hold.len()) as u64);
        if is_final || hold.len() > HELD_LINES || hold.data.len() + hold.fields.len() > HELD_BYTES {
            if !is_final {
                self.counters.released(hold.len() as u64);
            }
            self.keep(output, &hold);
        } else if !hold.is_empty() {
            self.lane(output).held = Some(Held { batch: hold, until: Instant::now() + HELD_QUIET });
        }
        if self.chunk.bytes.len() >= CHUNK {
            self.write().await;
        }
        Ok(())
    }

    fn keep(&mut self, output: Output, batch: &Batch) {
        let Self { chunk, formatter, sink, counters, .. } = self;
        if sink.is_some() {
            batch::each(batch, |at_ns, line, fields| {
                chunk.lines += formatter.line(&mut chunk.bytes, output, at_ns, line, fields);
            });
        } else {
            let mut lines = Vec::new();
            batch::each(batch, |at_ns, line, fields| {
                formatter.line(&mut lines, output, at_ns, line, fields);
            });
            counters.remember(&lines);
        }
    }

    async fn write(&mut self) {
        if let Some(sink) = &self.sink
            && !self.chunk.bytes.is_empty()
        {
            self.counters.remember(&self.chunk.bytes);
            sink.write(&mut self.chunk.bytes, &mut self.chunk.lines, &self.counters).await;
            self.chunk.bytes.shrink_to(KEEP);
        }
    }
}
