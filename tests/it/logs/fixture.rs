//! An engine that only has a log, and plugins that only see lines.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use outrigger::config;
use outrigger::config::LineFormat;
use outrigger::engine::{
    ContainerId, ContainerSpec, Engine, EngineError, EngineEvent, EngineInfo, ExecOutput, Fault, Inspection, Listed,
    LogFrame, LogsFrom, Output, Reach, Result,
};
use outrigger::hooks::{
    Batch, Change, ComponentEvent, File, HealthTrigger, Hook, HookFailure, Hooks, Judged, Judgement, Reaction, Rollout,
    RolloutOutcome, SignalDecision,
};
use outrigger::logs::position::Position;
use outrigger::logs::sink::Sink;
use outrigger::logs::{Run, Source};
use outrigger::pod::life::ExecCommand;
use outrigger::pod::{ComponentName, PluginName};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A run of `app` with a sink that can be read.
pub fn run(format: LineFormat) -> (Run, Sink, DuplexStream) {
    let (ours, theirs) = duplex(1 << 20);
    let run = Run {
        source: Source {
            component: ComponentName::new("app").unwrap(),
            id: ContainerId("c".repeat(64)),
            run: 1,
            terminal: false,
        },
        position: Position::default(),
        output: config::Output::Streamed,
        counters: Arc::default(),
        drain: Duration::from_secs(5),
        ended: CancellationToken::new(),
        token: CancellationToken::new(),
        engine_leaves: CancellationToken::new(),
    };
    (run, Sink::new(ours, format), theirs)
}

/// What the sink, which is gone by now, has written.
pub async fn read_lines(out: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    let read = out.read_to_end(&mut text);
    // A sink that a test still holds does not end.
    drop(tokio::time::timeout(Duration::from_secs(1), read).await);
    String::from_utf8_lossy(&text).into_owned()
}

/// A piece as engines write it.
pub fn stamped(at_ns: u64, bytes: &[u8]) -> Vec<u8> {
    let (s, ns) = (at_ns / 1_000_000_000, at_ns % 1_000_000_000);
    assert!(s < 86_400, "a day is enough for the tests");
    let stamp = format!("1970-01-01T{:02}:{:02}:{:02}.{ns:09}Z ", s / 3600, s / 60 % 60, s % 60);
    [stamp.as_bytes(), bytes].concat()
}

/// How a connection goes. Those that are not planned follow until the container exits.
#[derive(Debug, Clone, Copy)]
pub enum Plan {
    BreakAfter(usize),
    EndAfter(usize),
    HangAfter(usize),
    Unreadable,
}

#[derive(Clone)]
pub struct Journal(Arc<State>);

struct State {
    entries: Mutex<Vec<(u64, LogFrame)>>,
    plan: Mutex<VecDeque<Plan>>,
    connections: watch::Sender<usize>,
    reach: Reach,
    /// Number of entries, and whether there will be no more.
    written: watch::Sender<(usize, bool)>,
}

impl Default for Journal {
    fn default() -> Self {
        Self(Arc::new(State {
            entries: Mutex::default(),
            plan: Mutex::default(),
            connections: watch::Sender::new(0),
            reach: Reach::default(),
            written: watch::Sender::new((0, false)),
        }))
    }
}

impl Journal {
    pub fn write(&self, output: Output, at_ns: u64, bytes: &[u8]) {
        self.write_raw(output, at_ns, &stamped(at_ns, bytes));
    }

    pub fn write_raw(&self, output: Output, at_ns: u64, bytes: &[u8]) {
        let frame = LogFrame { output, bytes: Bytes::copy_from_slice(bytes) };
        self.0.entries.lock().unwrap().push((at_ns, frame));
        self.0.written.send_modify(|(count, _)| *count += 1);
    }

    /// The component exits, and its controller hears of it.
    pub fn exit(&self, ended: &CancellationToken) {
        self.0.written.send_modify(|(_, exited)| *exited = true);
        ended.cancel();
    }

    pub fn plan(&self, plan: impl IntoIterator<Item = Plan>) {
        self.0.plan.lock().unwrap().extend(plan);
    }

    /// Waits until so many connections have been made, and read as far as they go.
    pub async fn connected(&self, count: usize) {
        self.0.connections.subscribe().wait_for(|&connections| connections >= count).await.unwrap();
        tokio::task::yield_now().await;
    }

    pub fn connections(&self) -> usize {
        *self.0.connections.borrow()
    }
}

fn refused<T>(verb: &'static str, fault: Fault) -> Result<T> {
    Err(EngineError::Refused { verb, object: "`app`".to_owned(), message: "not here".to_owned(), fault })
}

impl Engine for Journal {
    fn reach(&self) -> &Reach {
        &self.0.reach
    }

    fn logs(&self, _: &ContainerId, from: LogsFrom) -> BoxStream<'static, Result<LogFrame>> {
        assert!(from.timestamps);
        let plan = self.0.plan.lock().unwrap().pop_front();
        self.0.connections.send_modify(|count| *count += 1);
        let since = u64::try_from(from.since).unwrap() * 1_000_000_000;
        let found = |(at_ns, frame): &(u64, LogFrame)| (*at_ns >= since).then(|| Ok(frame.clone()));
        let frames: Vec<_> = self.0.entries.lock().unwrap().iter().filter_map(found).collect();
        let seen = self.0.entries.lock().unwrap().len();
        match plan {
            Some(Plan::BreakAfter(count)) => {
                let broken = stream::iter([refused("follow the log of", Fault::Transient)]);
                stream::iter(frames).take(count).chain(broken).boxed()
            }
            Some(Plan::EndAfter(count)) => stream::iter(frames).take(count).boxed(),
            Some(Plan::HangAfter(count)) => stream::iter(frames).take(count).chain(stream::pending()).boxed(),
            Some(Plan::Unreadable) => stream::iter([refused("follow the log of", Fault::Permanent)]).boxed(),
            None => {
                let (state, written) = (Arc::clone(&self.0), self.0.written.subscribe());
                let later = stream::unfold((state, written, seen), |(state, mut written, seen)| async move {
                    written.wait_for(|&(count, exited)| count > seen || exited).await.ok()?;
                    let frame = state.entries.lock().unwrap().get(seen)?.1.clone();
                    Some((Ok(frame), (state, written, seen + 1)))
                });
                stream::iter(frames).chain(later).boxed()
            }
        }
    }

    async fn info(&self) -> Result<EngineInfo> {
        refused("ask", Fault::Permanent)
    }
    async fn inspect(&self, _: &str) -> Result<Inspection> {
        refused("inspect", Fault::Permanent)
    }
    async fn list(&self, _: &[String]) -> Result<Vec<Listed>> {
        refused("list", Fault::Permanent)
    }
    async fn volume(&self, _: &str) -> Result<outrigger::engine::VolumeInfo> {
        refused("look at", Fault::Permanent)
    }
    async fn service_grace(&self, _: &str) -> Result<Option<Duration>> {
        refused("look at", Fault::Permanent)
    }
    async fn has_image(&self, _: &str) -> Result<bool> {
        refused("look for", Fault::Permanent)
    }
    async fn pull(&self, _: &str) -> Result<()> {
        refused("pull", Fault::Permanent)
    }
    async fn create(&self, _: &ContainerSpec) -> Result<(ContainerId, Vec<String>)> {
        refused("create", Fault::Permanent)
    }
    async fn start(&self, _: &ContainerId) -> Result<()> {
        refused("start", Fault::Permanent)
    }
    async fn signal(&self, _: &ContainerId, _: i32) -> Result<()> {
        refused("signal", Fault::Permanent)
    }
    async fn remove(&self, _: &ContainerId) -> Result<()> {
        refused("remove", Fault::Permanent)
    }
    async fn upload(&self, _: &ContainerId, _: &str, _: Vec<Bytes>) -> Result<()> {
        refused("upload to", Fault::Permanent)
    }
    async fn exists(&self, _: &ContainerId, _: &str) -> Result<bool> {
        refused("look into", Fault::Permanent)
    }
    async fn stat(&self, _: &ContainerId, _: &str) -> Result<Option<outrigger::engine::PathKind>> {
        refused("look into", Fault::Permanent)
    }
    async fn download(&self, _: &ContainerId, _: &str, _: usize) -> Result<Bytes> {
        refused("download from", Fault::Permanent)
    }
    async fn tail(&self, _: &ContainerId, _: u32, _: usize) -> Result<bytes::Bytes> {
        refused("read", Fault::Permanent)
    }

    async fn connect(&self, _: &ContainerId, _: &str) -> Result<()> {
        refused("run in", Fault::Permanent)
    }

    async fn rename(&self, _: &ContainerId, _: &str) -> Result<()> {
        refused("run in", Fault::Permanent)
    }

    async fn exec(&self, _: &ContainerId, _: &ExecCommand, _: Duration, _: usize) -> Result<ExecOutput> {
        refused("run in", Fault::Permanent)
    }
    fn events(&self, _: &str, _: Option<i64>) -> BoxStream<'static, Result<EngineEvent>> {
        stream::pending().boxed()
    }
}

/// What the one plugin does with batches.
#[derive(Debug, Clone, Copy)]
pub enum Plugin {
    KeepAll,
    /// Holds so many lines at the tail.
    Hold(usize),
    Fail,
}

impl Plugin {
    pub fn keep_all() -> Self {
        Self::KeepAll
    }
    pub fn hold(lines: usize) -> Self {
        Self::Hold(lines)
    }
    pub fn fail() -> Self {
        Self::Fail
    }
}

#[derive(Clone)]
pub struct Plugins(Option<Plugin>, watch::Sender<Vec<Batch>>);

impl Plugins {
    pub fn none() -> Self {
        Self(None, watch::Sender::new(Vec::new()))
    }
    pub fn new(plugin: Plugin) -> Self {
        Self(Some(plugin), watch::Sender::new(Vec::new()))
    }
    pub fn seen(&self) -> Vec<Batch> {
        self.1.borrow().clone()
    }
    pub async fn wait_for(&self, batches: usize) {
        self.1.subscribe().wait_for(|seen| seen.len() >= batches).await.unwrap();
    }
}

fn part(batch: &Batch, range: std::ops::Range<usize>) -> Batch {
    let mut part = Batch::new(batch.component.clone(), batch.output);
    for (index, line) in batch.lines().enumerate().filter(|(index, _)| range.contains(index)) {
        part.times.push(batch.times[index]);
        part.data.extend_from_slice(line);
        part.ends.push(u32::try_from(part.data.len()).unwrap());
    }
    part
}

fn unused<T>() -> std::result::Result<T, HookFailure> {
    Err(failure("not asked for"))
}

fn failure(reason: &str) -> HookFailure {
    HookFailure { plugin: PluginName::new("test").unwrap(), hook: "log-line", reason: reason.to_owned() }
}

impl Hooks for Plugins {
    fn with(&self, hook: Hook) -> Vec<PluginName> {
        match (self.0, hook) {
            (Some(_), Hook::LogLine) => vec![PluginName::new("test").unwrap()],
            _ => Vec::new(),
        }
    }
    async fn log_lines(&self, batch: Batch) -> std::result::Result<Judged, HookFailure> {
        self.1.send_modify(|seen| seen.push(batch.clone()));
        let hold = match self.0.unwrap() {
            Plugin::KeepAll => 0,
            Plugin::Hold(lines) => lines.min(batch.len()),
            Plugin::Fail => return Err(failure("as scripted")),
        };
        let split = if batch.is_final() { batch.len() } else { batch.len() - hold };
        Ok(Judged { keep: part(&batch, 0..split), hold: part(&batch, split..batch.len()), released: 0 })
    }
    async fn pre_start(&self, _: &PluginName, _: String) -> std::result::Result<Option<String>, HookFailure> {
        unused()
    }
    async fn config_copy(&self, _: &str, _: File) -> std::result::Result<Vec<File>, HookFailure> {
        unused()
    }
    async fn health(&self, _: &PluginName, _: HealthTrigger) -> std::result::Result<Vec<Judgement>, HookFailure> {
        unused()
    }
    async fn signal(&self, _: i32) -> std::result::Result<SignalDecision, HookFailure> {
        unused()
    }
    async fn component_event(&self, _: ComponentEvent) -> std::result::Result<Reaction, HookFailure> {
        unused()
    }
    async fn config_changed(
        &self,
        _: &PluginName,
        _: Vec<Change>,
    ) -> std::result::Result<Option<Rollout>, HookFailure> {
        unused()
    }
    async fn rollout_ended(
        &self,
        _: &PluginName,
        _id: Option<String>,
        _: RolloutOutcome,
        _: String,
    ) -> std::result::Result<(), HookFailure> {
        unused()
    }
    fn permits(&self, _: &PluginName, _: &ComponentName, _: &str) -> std::result::Result<(), String> {
        Ok(())
    }
    async fn tick(&self, _: &PluginName) -> std::result::Result<Option<u32>, HookFailure> {
        unused()
    }
}
