//! `outrigger logs`: the output of a pod's controller and components, from the engine's logs.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, anyhow};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Serialize;

use super::argv::LogsArgs;
use super::merge::Merge;
use super::pods::{self, Pod};
use super::report::{Exit, Report};
use super::{Env, block_on, engine, time};
use crate::engine::docker::{Docker, LogQuery};
use crate::engine::{ContainerId, Engine, EngineError, EngineEventKind, Fault, LogFrame, Output};
use crate::logs::stamp::StampReader;
use crate::plan::ownership;

/// What the controller's own lines are called.
const CONTROLLER: &str = "controller";

/// A line without an end is shown in pieces of this many bytes.
const LONGEST: usize = 256 * 1024;

/// Colours of the components, in the order in which they come (the terminal's own palette).
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// A line of somebody.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    at_ns: i64,
    output: Output,
    /// Without its end.
    text: Vec<u8>,
}

/// What happens to one of the logs.
enum Happened {
    Line(String, Line),
    Failed(String, EngineError),
}

/// Puts frames with times together to lines.
#[derive(Default)]
struct Lines {
    stamps: StampReader,
    open: [Option<Line>; 2],
}

impl Lines {
    fn push(&mut self, frame: &LogFrame, lines: &mut Vec<Line>) {
        let (at, length) = self.stamps.read(&frame.bytes).map_or((None, 0), |(at, length)| (Some(at), length));
        let text = frame.bytes.get(length..).unwrap_or_default();
        let Some(open) = self.open.get_mut(usize::from(frame.output == Output::Stderr)) else { return };
        let at_ns = at.and_then(|at| i64::try_from(at).ok());
        let line = open.get_or_insert_with(|| Line {
            at_ns: at_ns.unwrap_or_else(time::now_ns),
            output: frame.output,
            text: Vec::new(),
        });
        line.text.extend_from_slice(text);
        let is_whole = line.text.last() == Some(&b'\n');
        if is_whole {
            line.text.pop();
            if line.text.last() == Some(&b'\r') {
                line.text.pop();
            }
        }
        if is_whole || line.text.len() >= LONGEST {
            lines.extend(open.take());
        }
    }

    fn end(&mut self) -> Vec<Line> {
        let mut rest: Vec<Line> = self.open.iter_mut().filter_map(Option::take).collect();
        rest.sort_by_key(|line| line.at_ns);
        rest
    }
}

/// The lines of one container, in order.
fn lines(
    engine: &Docker,
    name: String,
    id: &ContainerId,
    tty: bool,
    query: LogQuery,
) -> BoxStream<'static, (i64, Happened)> {
    let frames = engine.stored_log(id, tty, query).map(Some).chain(stream::once(async { None }));
    let mut state = Lines::default();
    frames
        .flat_map(move |frame| {
            let mut out = Vec::new();
            match frame {
                Some(Ok(frame)) => state.push(&frame, &mut out),
                Some(Err(error)) => {
                    return stream::iter(vec![(i64::MIN, Happened::Failed(name.clone(), error))]);
                }
                None => out = state.end(),
            }
            let told = out.into_iter().map(|line| (line.at_ns, Happened::Line(name.clone(), line)));
            stream::iter(told.collect::<Vec<_>>())
        })
        .boxed()
}

/// Prints, and with `--follow` stays until the pod has ended.
pub(super) fn run(args: &LogsArgs, env: &Env) -> Result<Exit, Report> {
    let since_ns = args.since.as_deref().map(time::since).transpose();
    let since_ns = since_ns.map_err(|why| Report::usage(anyhow!("`--since`: {why}")))?;
    let query = LogQuery { follow: args.follow, tail: args.tail, since_ns };
    block_on(async {
        let engine = engine(env).await?;
        let pod = pods::one(&engine, args.pod.as_deref()).await?;
        let wanted = |name: &str| args.components.is_empty() || args.components.iter().any(|wanted| wanted == name);
        let names: Vec<&str> = pod.components.iter().map(Pod::component).chain([CONTROLLER]).collect();
        if let Some(odd) = args.components.iter().find(|wanted| !names.contains(&wanted.as_str())) {
            let error = anyhow!("pod `{}` has no component `{odd}`", pod.controller.name);
            return Err(Report::new(error).hint(format!("there are `{}`", names.join("`, `"))));
        }
        let screen = Screen::new(args, env, &names, &wanted);
        let mut merge = Merge::new(!args.follow);
        if wanted(CONTROLLER) {
            let seen = &pod.controller;
            merge.push(lines(&engine, CONTROLLER.to_owned(), &seen.id, seen.tty, query));
        }
        for container in pod.components.iter().filter(|container| wanted(Pod::component(container))) {
            let name = Pod::component(container).to_owned();
            match engine.inspect(&container.id.0).await {
                Ok(seen) => merge.push(lines(&engine, name, &seen.id, seen.tty, query)),
                Err(error) if error.fault() == Fault::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Components that start again, or are made anew, are followed from then on.
        let label = format!("{}={}", ownership::POD, pod.controller.id.0);
        let mut starts =
            if args.follow && pod.controller.running { engine.events(&label, None) } else { stream::pending().boxed() };
        let mut failed = 0;
        let mut shown = false;
        loop {
            tokio::select! {
                biased;
                event = starts.next() => match event {
                    Some(Ok(event)) if event.kind == EngineEventKind::Start => {
                        let Ok(seen) = engine.inspect(&event.id.0).await else { continue };
                        let Some(name) = seen.labels.get(ownership::COMPONENT).filter(|name| wanted(name)) else { continue };
                        let from = LogQuery { follow: true, tail: None, since_ns: Some(event.at_ns) };
                        merge.push(lines(&engine, name.clone(), &seen.id, seen.tty, from));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => starts = stream::pending().boxed(),
                },
                happened = merge.next() => match happened {
                    Some(Happened::Line(name, line)) => {
                        shown = true;
                        // The controller's output repeats its components' lines.
                        if name == CONTROLLER && line.output == Output::Stdout && repeats(&line.text, &names) {
                            continue;
                        }
                        if !screen.show(&name, &line)? {
                            return Ok(Exit::Success);
                        }
                    }
                    Some(Happened::Failed(name, error)) => {
                        failed += 1;
                        screen.complain(&name, &error);
                    }
                    None => break,
                },
            }
        }
        Ok(if failed > 0 && !shown { Exit::Controller } else { Exit::Success })
    })
}

/// Whether a line of the controller's is one of a component's that it has passed on: `[out] app: …`, or JSON with a `component`.
fn repeats(text: &[u8], names: &[&str]) -> bool {
    let text = String::from_utf8_lossy(text);
    if let Some(rest) = text.strip_prefix("[out] ").or_else(|| text.strip_prefix("[err] ")) {
        return rest.split_once(": ").or_else(|| rest.split_once(':')).is_some_and(|(name, _)| names.contains(&name));
    }
    text.starts_with("{\"time\":") && text.contains("\",\"component\":\"")
}

/// Where lines go.
struct Screen {
    json: bool,
    times: bool,
    colours: bool,
    width: usize,
    order: BTreeMap<String, usize>,
}

/// A line, as `--json` tells it. The names are part of the interface: see docs/commands.md.
#[derive(Serialize)]
struct Told<'a> {
    time: String,
    component: &'a str,
    output: &'static str,
    line: std::borrow::Cow<'a, str>,
}

impl Screen {
    fn new(args: &LogsArgs, env: &Env, names: &[&str], wanted: &dyn Fn(&str) -> bool) -> Self {
        let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let is_plain = set("NO_COLOR") || env.get("TERM").is_none_or(|term| term == "dumb");
        Self {
            json: args.json,
            times: args.timestamps,
            colours: io::stdout().is_terminal() && !is_plain,
            width: names.iter().filter(|name| wanted(name)).map(|name| name.chars().count()).max().unwrap_or_default(),
            order: names.iter().enumerate().map(|(place, name)| ((*name).to_owned(), place)).collect(),
        }
    }

    /// False where the reader has gone.
    fn show(&self, name: &str, line: &Line) -> Result<bool, Report> {
        let mut out = io::stdout().lock();
        match out.write_all(&self.bytes(name, line)?).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            done => Ok(done.map(|()| true).context("cannot write to standard output")?),
        }
    }

    fn bytes(&self, name: &str, line: &Line) -> Result<Vec<u8>, Report> {
        if self.json {
            let output = if line.output == Output::Stderr { "stderr" } else { "stdout" };
            let text = String::from_utf8_lossy(&line.text);
            let told = Told { time: time::format(line.at_ns), component: name, output, line: text };
            let mut bytes = serde_json::to_vec(&told).context("cannot write JSON")?;
            bytes.push(b'\n');
            return Ok(bytes);
        }
        let padding = " ".repeat(self.width.saturating_sub(name.chars().count()));
        let colour = self.order.get(name).and_then(|place| COLOURS.get(place % COLOURS.len()));
        let prefix = match colour.filter(|_| self.colours) {
            Some(colour) => format!("\u{1b}[{colour}m{name}{padding} |\u{1b}[0m "),
            None => format!("{name}{padding} | "),
        };
        let mut bytes = prefix.into_bytes();
        if self.times {
            bytes.extend_from_slice(time::format(line.at_ns).as_bytes());
            bytes.push(b' ');
        }
        bytes.extend_from_slice(&line.text);
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Tells on standard error why somebody's log is not shown.
    fn complain(&self, name: &str, error: &EngineError) {
        let text = format!("warning: the log of `{name}` is not shown: {error}\n");
        // Where standard error is closed there is nobody left to tell.
        io::stderr().write_all(text.as_bytes()).unwrap_or_default();
    }
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
        let told: Vec<_> =
            out.iter().map(|line| (line.at_ns / 1_000_000_000, String::from_utf8_lossy(&line.text))).collect();
        assert_eq!(told, [(2, "other".into()), (1, "half a line".into()), (4, "no end".into())]);
    }

    #[test]
    fn lines_that_the_controller_passed_on_are_told_once() {
        let names = ["app", CONTROLLER];
        assert!(repeats(b"[out] app: hello", &names));
        assert!(repeats(br#"{"time":"x","component":"app","output":"stdout","line":"y"}"#, &names));
        assert!(!repeats(b"[out] other: hello", &names));
        assert!(!repeats(b"outrigger starts", &names));
    }

    #[test]
    fn lines_for_people_and_for_programs() {
        let order = BTreeMap::from([("app".to_owned(), 0)]);
        let screen = Screen { json: false, times: true, colours: false, width: 5, order };
        let line = Line { at_ns: 0, output: Output::Stderr, text: b"a \"b\"".to_vec() };
        assert_eq!(screen.bytes("app", &line).unwrap(), b"app   | 1970-01-01T00:00:00.000000000Z a \"b\"\n");
        let screen = Screen { times: false, colours: true, ..screen };
        assert_eq!(screen.bytes("app", &line).unwrap(), b"\x1b[36mapp   |\x1b[0m a \"b\"\n");
        let screen = Screen { json: true, ..screen };
        let told = String::from_utf8(screen.bytes("app", &line).unwrap()).unwrap();
        let expected =
            r#"{"time":"1970-01-01T00:00:00.000000000Z","component":"app","output":"stderr","line":"a \"b\""}"#;
        assert_eq!(told.trim_end(), expected);
    }
}
