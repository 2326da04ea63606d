//! From the engine's frames to lines.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};

use crate::cli::time;
use crate::engine::docker::{Docker, LogQuery};
use crate::engine::{EngineError, Inspection, LogFrame, Output};
use crate::logs::stamp::StampReader;

/// A line without an end is passed on in pieces of this many bytes: a line of 1 MiB is longest, and each byte of it may become six in JSON.
const LONGEST: usize = 8 << 20;

/// A line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the engine took it over, in nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// Which stream.
    pub output: Output,
    /// Without its end.
    pub text: Vec<u8>,
    /// Whether it has ended; else what comes next of this stream continues it.
    pub is_whole: bool,
}

/// Puts frames with times together to lines.
#[derive(Default)]
pub struct Lines {
    stamps: StampReader,
    open: [Option<Line>; 2],
}

impl Lines {
    /// Takes a frame, and adds the lines that it completes.
    pub fn push(&mut self, frame: &LogFrame, lines: &mut Vec<Line>) {
        let (at, length) = self.stamps.read(&frame.bytes).map_or((None, 0), |(at, length)| (Some(at), length));
        let text = frame.bytes.get(length..).unwrap_or_default();
        let Some(open) = self.open.get_mut(usize::from(frame.output == Output::Stderr)) else { return };
        let at_ns = at.and_then(|at| i64::try_from(at).ok());
        let line = open.get_or_insert_with(|| Line {
            at_ns: at_ns.unwrap_or_else(time::now_ns),
            output: frame.output,
            text: Vec::new(),
            is_whole: false,
        });
        line.text.extend_from_slice(text);
        line.is_whole = line.text.last() == Some(&b'\n');
        if line.is_whole {
            line.text.pop();
            if line.text.last() == Some(&b'\r') {
                line.text.pop();
            }
        }
        if line.is_whole || line.text.len() >= LONGEST {
            lines.extend(open.take());
        }
    }

    /// What has no end yet, when nothing more comes.
    pub fn end(&mut self) -> Vec<Line> {
        let mut rest: Vec<Line> = self.open.iter_mut().filter_map(Option::take).collect();
        rest.sort_by_key(|line| line.at_ns);
        rest
    }
}

/// The lines of one container's log.
pub fn lines(
    engine: &Docker,
    container: &Inspection,
    query: LogQuery,
) -> BoxStream<'static, Result<Line, EngineError>> {
    // The engine counts the last lines before it leaves out the newer ones.
    if let (Some(count), Some(_)) = (query.tail, query.until_ns) {
        let all = lines(engine, container, LogQuery { tail: None, ..query });
        return stream::once(last_of(all, count)).flatten().boxed();
    }
    let frames = engine.stored_log(&container.id, container.tty, query).map(Some).chain(stream::once(async { None }));
    let mut state = Lines::default();
    let lines = frames.flat_map(move |frame| {
        let mut out = Vec::new();
        match frame {
            Some(Ok(frame)) => state.push(&frame, &mut out),
            Some(Err(error)) => return stream::iter(vec![Err(error)]),
            None => out = state.end(),
        }
        stream::iter(out.into_iter().map(Ok).collect::<Vec<_>>())
    });
    lines.boxed()
}

/// The last `count` of these, and every failure.
async fn last_of(
    mut lines: BoxStream<'static, Result<Line, EngineError>>,
    count: u64,
) -> BoxStream<'static, Result<Line, EngineError>> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let (mut kept, mut failed) = (VecDeque::new(), Vec::new());
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => kept.push_back(line),
            Err(error) => failed.push(Err(error)),
        }
        if kept.len() > count {
            kept.pop_front();
        }
    }
    stream::iter(kept.into_iter().map(Ok).chain(failed)).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(output: Output, text: &str) -> LogFrame {
        LogFrame { output, bytes: bytes::Bytes::copy_from_slice(text.as_bytes()) }
    }

    #[test]
    fn frames_become_lines_of_each_stream() {
        let mut state = Lines::default();
        let mut out = Vec::new();
        for (output, text) in [
            (Output::Stdout, "1970-01-01T00:00:01Z half "),
            (Output::Stderr, "1970-01-01T00:00:02Z other\r\n"),
            (Output::Stdout, "1970-01-01T00:00:03Z a line\n"),
            (Output::Stdout, "1970-01-01T00:00:04Z no end"),
        ] {
            state.push(&frame(output, text), &mut out);
        }
        out.extend(state.end());
        let told: Vec<_> = out
            .iter()
            .map(|line| (line.at_ns / 1_000_000_000, String::from_utf8_lossy(&line.text), line.is_whole))
            .collect();
        assert_eq!(told, [(2, "other".into(), true), (1, "half a line".into(), true), (4, "no end".into(), false)]);
    }

    #[tokio::test]
    async fn the_last_lines_before_a_time_are_counted_here() {
        let line = |n: i64| Line { at_ns: n, output: Output::Stdout, text: Vec::new(), is_whole: true };
        for (count, expected) in [(0, vec![]), (2, vec![2, 3]), (9, vec![1, 2, 3])] {
            let lines = last_of(stream::iter([1, 2, 3].map(line).map(Ok)).boxed(), count).await;
            let times: Vec<i64> = lines.map(|line| line.unwrap().at_ns).collect().await;
            assert_eq!(times, expected, "{count}");
        }
    }
}
