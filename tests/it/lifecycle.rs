//! The whole life of a pod, on the scripted engine and on paused time.

mod early;
mod ends;
mod faults;
mod life;
mod log;
mod outage;
mod rollouts;
mod stop;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrigger::admin::Status as PodStatus;
use outrigger::config::LineFormat;
use outrigger::config::{Keep, Settings};
use outrigger::engine::fake::FakeEngine;
use outrigger::engine::{Engine, ExecOutput, Fault, Output};
use outrigger::hooks::{
    Action, Batch, Change, Command, ComponentEvent, ComponentEventKind, File, HealthTrigger, Hook, HookFailure, Hooks,
    Judged, Judgement, NewFile, Reaction, Rollout, RolloutOutcome, SignalDecision, Status,
};
use outrigger::logs::sink::Sink;
use outrigger::plan::compile::OwnFiles;
use outrigger::plan::{SelfInfo, compile};
use outrigger::plugin::{PodView, Request, RequestKind, WatchRequest};
use outrigger::pod::{ComponentName, PluginName, lower};
use outrigger::processes::Processes;
use outrigger::supervisor::driver::{Driver, Parts, PodEnd};
use outrigger::supervisor::events::{Outcome, Shortage};
use outrigger::supervisor::findings::AllFindings;
use outrigger::supervisor::output::Outputs;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

fn name(raw: &str) -> ComponentName {
    ComponentName::new(raw).unwrap()
}

fn plugin() -> PluginName {
    PluginName::new("script").unwrap()
}

type Answer<I, O> = Option<Arc<dyn Fn(I) -> O + Send + Sync>>;

/// Plugins as one script: a hook is there where it has an answer.
#[derive(Clone, Default)]
struct Script {
    signal: Answer<i32, SignalDecision>,
    event: Answer<ComponentEvent, Reaction>,
    copy: Answer<File, Result<Vec<File>, String>>,
    changed: Answer<Vec<Change>, Option<Rollout>>,
    health: Answer<HealthTrigger, Vec<Judgement>>,
    lines: Answer<Batch, Result<Batch, String>>,
    tick: Answer<(), Option<u32>>,
    /// Which paths it may have; all without an answer.
    permits: Answer<String, bool>,
    outcomes: Arc<Mutex<Vec<(bool, String)>>>,
}

impl Script {
    fn failure(hook: &'static str, reason: String) -> HookFailure {
        HookFailure { plugin: plugin(), hook, reason }
    }
}

impl Hooks for Script {
    fn with(&self, hook: Hook) -> Vec<PluginName> {
        let there = match hook {
            Hook::Signal => self.signal.is_some(),
            Hook::ComponentEvent => self.event.is_some(),
            Hook::ConfigCopy => self.copy.is_some(),
            Hook::ConfigChanged => self.changed.is_some(),
            Hook::Health => self.health.is_some(),
            Hook::LogLine => self.lines.is_some(),
            Hook::Tick => self.tick.is_some(),
            _ => false,
        };
        there.then(plugin).into_iter().collect()
    }

    async fn pre_start(&self, _plugin: &PluginName, _plan: String) -> Result<Option<String>, HookFailure> {
        Ok(None)
    }

    async fn config_copy(&self, _source: &str, file: File) -> Result<Vec<File>, HookFailure> {
        match &self.copy {
            Some(answer) => answer(file).map_err(|why| Self::failure("config-copy", why)),
            None => Ok(vec![file]),
        }
    }

    async fn health(&self, _plugin: &PluginName, why: HealthTrigger) -> Result<Vec<Judgement>, HookFailure> {
        Ok(self.health.as_ref().map_or(Vec::new(), |answer| answer(why)))
    }

    async fn log_lines(&self, batch: Batch) -> Result<Judged, HookFailure> {
        let hold = Batch::new(batch.component.clone(), batch.output);
        let keep = match &self.lines {
            Some(answer) => answer(batch).map_err(|why| Self::failure("log-line", why))?,
            None => batch,
        };
        Ok(Judged { keep, hold, released: 0 })
    }

    async fn signal(&self, signal: i32) -> Result<SignalDecision, HookFailure> {
        Ok(self.signal.as_ref().map_or(SignalDecision::Forward, |answer| answer(signal)))
    }

    async fn component_event(&self, event: ComponentEvent) -> Result<Reaction, HookFailure> {
        Ok(self.event.as_ref().map_or(Reaction::AsPlanned, |answer| answer(event)))
    }

    async fn config_changed(&self, _plugin: &PluginName, changes: Vec<Change>) -> Result<Option<Rollout>, HookFailure> {
        Ok(self.changed.as_ref().and_then(|answer| answer(changes)))
    }

    async fn rollout_ended(
        &self,
        _plugin: &PluginName,
        id: Option<String>,
        outcome: RolloutOutcome,
        text: String,
    ) -> Result<(), HookFailure> {
        let text = id.map(|id| format!("{id} {text}")).unwrap_or(text);
        self.outcomes.lock().unwrap().push((outcome == RolloutOutcome::Applied, text));
        Ok(())
    }

    fn permits(&self, _plugin: &PluginName, component: &ComponentName, path: &str) -> Result<(), String> {
        match &self.permits {
            Some(permits) if !permits(path.to_owned()) => Err(format!("`files` for `{component}:{path}`: not granted")),
            _ => Ok(()),
        }
    }

    async fn tick(&self, _plugin: &PluginName) -> Result<Option<u32>, HookFailure> {
        Ok(self.tick.as_ref().and_then(|answer| answer(())))
    }
}

/// A pod that runs as a task.
struct Running {
    engine: FakeEngine,
    signals: mpsc::Sender<i32>,
    status: watch::Receiver<Arc<PodStatus>>,
    watches: mpsc::Sender<WatchRequest>,
    requests: mpsc::Sender<Request>,
    view: watch::Receiver<Arc<PodView>>,
    findings: AllFindings,
    written: Arc<Mutex<Vec<u8>>>,
    end: JoinHandle<Outcome>,
}

/// Everything that is written, kept.
struct Kept(Arc<Mutex<Vec<u8>>>);

impl tokio::io::AsyncWrite for Kept {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

const OWN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Starts a pod of these labels, of which nothing remains after its end.
async fn start(engine: FakeEngine, script: Script, all: &[(&str, &str)]) -> Running {
    let keep = Keep { count: 0, ..Keep::default() };
    start_with(Settings { keep, ..Settings::default() }, engine, script, all).await
}

async fn start_with(settings: Settings, engine: FakeEngine, script: Script, all: &[(&str, &str)]) -> Running {
    start_seeing(Processes::hidden(), settings, engine, script, all).await
}

async fn start_seeing(
    processes: Processes,
    settings: Settings,
    engine: FakeEngine,
    script: Script,
    all: &[(&str, &str)],
) -> Running {
    let raw = outrigger::pod::read::from_labels(&labels(all)).unwrap();
    let spec = lower::lower(&raw).unwrap();
    let mut me = SelfInfo::offline("pod", labels(all));
    me.container.id.0 = OWN.to_owned();
    let info = engine.info().await.unwrap();
    let plan = compile::compile(&spec, &me, &info, &settings).unwrap();
    engine.forget_calls();
    let (signals, signals_out) = mpsc::channel(8);
    let (requests, requests_out) = mpsc::channel(8);
    let (watches, watches_out) = mpsc::channel(8);
    let (view, view_out) = watch::channel(Arc::new(PodView::default()));
    let (status, status_out) = watch::channel(Arc::new(PodStatus::default()));
    let written = Arc::new(Mutex::new(Vec::new()));
    let findings = AllFindings::new(&plan);
    let files = OwnFiles::new(&me.container, &me.environment, &me.own_volumes, &info, &settings);
    let parts = Parts {
        engine: engine.clone(),
        hooks: script,
        settings,
        plan,
        own: me.container.clone(),
        health_intervals: HashMap::from([(plugin(), 10 * SECOND)]),
        watches: Vec::new(),
        files,
        end: PodEnd { requests: requests_out, served: Arc::default(), watches: watches_out, pod: view },
        status,
        outputs: Outputs::new(Sink::new(Kept(Arc::clone(&written)), LineFormat::Text)),
        findings: findings.clone(),
        processes,
    };
    let driver = Driver::new(parts, signals_out);
    #[expect(clippy::disallowed_methods, reason = "the test owns this task, and awaits it")]
    let end = tokio::spawn(driver.run());
    Running { engine, signals, status: status_out, watches, requests, view: view_out, findings, written, end }
}

impl Running {
    /// Waits until the pod is in this stage.
    async fn reaches(&mut self, stage: &str) {
        let reached = self.status.wait_for(|status| status.stage.as_str() == stage);
        tokio::time::timeout(60 * SECOND, reached).await.expect("the stage is reached").expect("the pod lives");
    }

    /// Waits for the end of the pod; nothing of it may be left.
    async fn ends(self) -> Outcome {
        let outcome = tokio::time::timeout(120 * SECOND, self.end).await.expect("the pod ends").unwrap();
        assert_eq!(self.engine.leftovers(), Vec::<String>::new(), "containers are left");
        outcome
    }

    async fn signal(&self, signal: i32) {
        self.signals.send(signal).await.unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }
}

/// Calls that change something, in order.
fn changes(engine: &FakeEngine) -> Vec<String> {
    let verbs = ["create ", "start ", "signal ", "remove ", "upload "];
    engine.calls().into_iter().filter(|call| verbs.iter().any(|verb| call.starts_with(verb))).collect()
}

fn component(exit: &str, code: i32) -> Outcome {
    Outcome::Component { name: name(exit), code, shortage: Shortage::None }
}

#[tokio::test(start_paused = true)]
async fn components_start_in_waves_and_stop_in_reverse() {
    let all = [
        ("pod.component.db", "image: db"),
        ("pod.component.app", "{image: app, depends_on: [db]}"),
        ("pod.component.web", "{image: web, depends_on: [app]}"),
    ];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    let engine = pod.engine.clone();
    assert_eq!(pod.ends().await, Outcome::Stopped);
    let of = |verb: &str| -> Vec<String> {
        changes(&engine).into_iter().filter(|call| call.starts_with(verb) && !call.contains("ipc")).collect()
    };
    assert_eq!(of("start "), ["start db", "start app", "start web"]);
    assert_eq!(of("signal "), ["signal web 15", "signal app 15", "signal db 15"]);
}

#[tokio::test(start_paused = true)]
async fn init_components_finish_one_after_the_other_before_the_rest() {
    let all = [("pod.init.components", "[{image: one}, {image: two}]"), ("pod.component.app", "image: app")];
    let engine = FakeEngine::new().exits_after("init-1", SECOND, 0).exits_after("init-2", SECOND, 0);
    let mut pod = start(engine, Script::default(), &all).await;
    pod.reaches("running").await;
    let starts: Vec<String> = pod.engine.calls_of("start").into_iter().filter(|call| !call.contains("ipc")).collect();
    assert_eq!(starts, ["start init-1", "start init-2", "start app"]);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_failed_init_component_ends_the_pod_with_its_code() {
    let all = [("pod.init.components", "[{image: one}]"), ("pod.component.app", "image: app")];
    let pod = start(FakeEngine::new().exits_at_once("init-1", 255), Script::default(), &all).await;
    let engine = pod.engine.clone();
    assert_eq!(pod.ends().await, component("init-1", 255));
    assert!(!engine.calls().iter().any(|call| call == "create app"), "{:?}", engine.calls());
}

#[tokio::test(start_paused = true)]
async fn the_exit_code_is_the_deciding_components() {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    pod.engine.kill("app", 42);
    let outcome = pod.ends().await;
    assert_eq!(outcome, component("app", 42));
    assert_eq!(outcome.exit_code(), 42);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_exits_before_the_wave_is_through_ends_the_pod() {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "{image: web, depends_on: [app]}")];
    let engine = FakeEngine::new().exits_at_once("app", 9).slow("start", "web", 5 * SECOND);
    let pod = start(engine, Script::default(), &all).await;
    assert_eq!(pod.ends().await, component("app", 9));
}

#[tokio::test(start_paused = true)]
async fn a_component_that_ignores_sigterm_is_killed_within_the_grace() {
    let all = [("pod.component.app", "{image: app, stop_grace_period: 3s}")];
    let mut pod = start(FakeEngine::new().ignores("app", 15), Script::default(), &all).await;
    pod.reaches("running").await;
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    let engine = pod.engine.clone();
    assert_eq!(pod.ends().await, Outcome::Killed);
    assert_eq!(engine.calls_of("signal"), ["signal app 15", "signal app 9"]);
    let took = began.elapsed();
    assert!((3 * SECOND..5 * SECOND).contains(&took), "took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_whole_stop_keeps_within_the_controllers_grace() {
    let all = [
        ("pod.component.a", "{image: a, stop_grace_period: 8s}"),
        ("pod.component.b", "{image: b, stop_grace_period: 8s, depends_on: [a]}"),
        ("pod.component.c", "{image: c, stop_grace_period: 8s, depends_on: [b]}"),
    ];
    let engine = FakeEngine::new().ignores("a", 15).ignores("b", 15).ignores("c", 15);
    let mut pod = start(engine, Script::default(), &all).await;
    pod.reaches("running").await;
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Killed);
    assert!(began.elapsed() < 10 * SECOND, "took {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn sigterm_during_a_pull_ends_the_pod_at_once() {
    let all = [("pod.component.app", "image: app")];
    let engine = FakeEngine::new().without_image("app").slow("pull", "app", 600 * SECOND);
    let pod = start(engine, Script::default(), &all).await;
    tokio::time::sleep(5 * SECOND).await;
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    let outcome = pod.ends().await;
    assert_eq!(outcome, Outcome::Interrupted { signal: 15 });
    assert_eq!(outcome.exit_code(), 143);
    assert!(began.elapsed() < 2 * SECOND, "took {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_does_not_wait_for_the_grace() {
    let all = [("pod.component.app", "{image: app, stop_grace_period: 8s}")];
    let mut pod = start(FakeEngine::new().ignores("app", 15), Script::default(), &all).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    pod.reaches("stopping").await;
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Killed);
    assert!(began.elapsed() < 2 * SECOND, "took {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn components_join_the_donor_which_goes_with_them_however_early_the_end() {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(FakeEngine::new().slow("start", "pod.podlike.ipc", SECOND), Script::default(), &all).await;
    pod.reaches("running").await;
    let joined = pod.engine.created("app").unwrap().ipc_mode;
    assert_eq!(joined.as_deref(), Some("container:pod.podlike.ipc"));
    let calls: Vec<String> = changes(&pod.engine)
        .into_iter()
        .filter(|call| call.starts_with("create") || call.starts_with("start"))
        .collect();
    let position =
        |call: &str| calls.iter().position(|made| made == call).unwrap_or_else(|| panic!("{call}: {calls:?}"));
    assert!(position("create pod.podlike.ipc") < position("create app"), "{calls:?}");
    assert!(position("start pod.podlike.ipc") < position("start app"), "{calls:?}");
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);

    let engine =
        FakeEngine::new().slow("create", "pod.podlike.ipc", 3 * SECOND).fails("start", "app", Fault::Permanent, 1);
    assert_eq!(start(engine, Script::default(), &all[..1]).await.ends().await.exit_code(), 125);
    let engine =
        FakeEngine::new().slow("create", "pod.podlike.ipc", 3 * SECOND).fails("create", "app", Fault::Permanent, 1);
    assert_eq!(start(engine, Script::default(), &all).await.ends().await.exit_code(), 125);
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_is_pulled_and_an_unreachable_registry_ends_the_pod() {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(FakeEngine::new().without_image("app"), Script::default(), &all).await;
    pod.reaches("running").await;
    assert_eq!(pod.engine.calls_of("pull").len(), 1, "{:?}", pod.engine.calls());
    pod.signal(15).await;
    pod.ends().await;

    let engine = FakeEngine::new().without_image("app").fails("pull", "app", Fault::Permanent, 1);
    let outcome = start(engine, Script::default(), &all).await.ends().await;
    let reason = outcome.to_string();
    assert!(reason.contains("`app`") && reason.contains("docker load"), "{reason}");
    assert_eq!(outcome.exit_code(), 125);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_refuses_to_start_ends_the_pod() {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let engine = FakeEngine::new().fails("start", "app", Fault::Permanent, 1);
    let outcome = start(engine, Script::default(), &all).await.ends().await;
    assert_eq!(outcome.exit_code(), 125, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_exit_while_the_engine_is_away_is_not_missed() {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    pod.engine.goes_away_for(30 * SECOND);
    tokio::time::sleep(5 * SECOND).await;
    pod.engine.kill("app", 21);
    assert_eq!(pod.ends().await, component("app", 21));
}

#[tokio::test(start_paused = true)]
async fn the_pod_outlives_an_engine_that_goes_away() {
    let all = [("pod.component.app", "image: app")];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    for _ in 0..3 {
        pod.engine.goes_away_for(40 * SECOND);
        tokio::time::sleep(60 * SECOND).await;
        assert!(!pod.end.is_finished());
    }
    pod.engine.kill("app", 3);
    assert_eq!(pod.ends().await, component("app", 3));
}

#[tokio::test(start_paused = true)]
async fn the_engine_may_be_away_for_a_moment_while_the_pod_starts() {
    let all = [("pod.component.app", "image: app")];
    let engine =
        FakeEngine::new().fails("create", "app", Fault::Transient, 2).fails("start", "app", Fault::Transient, 2);
    let mut pod = start(engine, Script::default(), &all).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn health_of_components_makes_the_health_of_the_pod() {
    use outrigger::engine::EngineHealth::{Healthy, Starting, Unhealthy};
    let all = [
        ("pod.component.app", "image: app"),
        ("pod.component.web", "{image: web, depends_on: {app: {condition: service_healthy}}}"),
    ];
    let course = [(Duration::ZERO, Starting), (4 * SECOND, Healthy), (60 * SECOND, Unhealthy)];
    let mut pod = start(FakeEngine::new().health("app", &course), Script::default(), &all).await;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(pod.status.borrow().health.state.as_str(), "starting");
    assert!(!pod.engine.calls().iter().any(|call| call == "start web"), "web waits for the health of app");
    pod.reaches("running").await;
    // `web` has neither check nor probe: it counts as up once it has run for a while.
    assert_eq!(pod.status.borrow().health.state.as_str(), "starting");
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(pod.status.borrow().health.state.as_str(), "healthy");
    tokio::time::sleep(90 * SECOND).await;
    let health = pod.status.borrow().health.clone();
    assert_eq!(health.state.as_str(), "unhealthy");
    assert!(health.reasons.iter().any(|reason| reason.contains("app")), "{health:?}");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn plugins_judge_health() {
    let judge = |why: HealthTrigger| match why {
        HealthTrigger::Interval => {
            vec![Judgement {
                component: Some(name("app")),
                check: String::new(),
                probe: outrigger::hooks::Probe::Liveness,
                status: Status::Unhealthy,
                reason: "no answer".to_owned(),
            }]
        }
        HealthTrigger::EngineReport(_) => Vec::new(),
    };
    let script = Script { health: Some(Arc::new(judge)), ..Script::default() };
    let mut pod = start(FakeEngine::new(), script, &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    tokio::time::sleep(SECOND).await;
    let health = pod.status.borrow().health.clone();
    assert_eq!(health.state.as_str(), "unhealthy");
    assert!(health.reasons.iter().any(|reason| reason.contains("no answer")), "{health:?}");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn plugins_decide_about_signals() {
    let decide = |signal| match signal {
        1 => SignalDecision::Deliver(vec![(name("web"), 10)]),
        _ => SignalDecision::Forward,
    };
    let script = Script { signal: Some(Arc::new(decide)), ..Script::default() };
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(FakeEngine::new(), script, &all).await;
    pod.reaches("running").await;
    pod.signal(1).await;
    pod.signal(12).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(pod.engine.calls_of("signal"), ["signal web 10"]);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn plugins_see_every_event_in_order_and_decide_about_exits() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let react = move |event: ComponentEvent| {
        let word = match event.kind {
            ComponentEventKind::Created => "created",
            ComponentEventKind::Started => "started",
            ComponentEventKind::Exited { .. } => "exited",
            ComponentEventKind::Restarted => "restarted",
            ComponentEventKind::Removed => "removed",
        };
        told.lock().unwrap().push(word);
        if matches!(event.kind, ComponentEventKind::Exited { exit_code: 1, .. }) {
            Reaction::Restart(250)
        } else {
            Reaction::AsPlanned
        }
    };
    let script = Script { event: Some(Arc::new(react)), ..Script::default() };
    let mut pod = start(FakeEngine::new(), script, &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    pod.engine.kill("app", 1);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(pod.status.borrow().components[0].restarts, 1);
    pod.engine.kill("app", 2);
    assert_eq!(pod.ends().await, component("app", 2));
    assert_eq!(*seen.lock().unwrap(), ["created", "started", "exited", "restarted", "exited", "removed"]);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_refuses_a_file_ends_the_pod_before_the_start() {
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), "x").unwrap();
    let copy = format!("{}:/etc/app.conf", source.path().display());
    let script = Script { copy: Some(Arc::new(|_| Err("not like this".to_owned()))), ..Script::default() };
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    let pod = start(FakeEngine::new(), script, &all).await;
    let engine = pod.engine.clone();
    let outcome = pod.ends().await;
    let Outcome::Failed { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("not like this"), "{reason}");
    assert!(engine.calls_of("start").iter().all(|call| call.contains("ipc")));
}

#[tokio::test(start_paused = true)]
async fn files_are_copied_through_plugins_before_the_start() {
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), "colour: red").unwrap();
    let copy = format!("{}:/etc/app.conf", source.path().display());
    let replace = |file: File| {
        let content = String::from_utf8(file.content.to_vec()).unwrap().replace("red", "blue").into();
        Ok(vec![File { content, ..file }])
    };
    let script = Script { copy: Some(Arc::new(replace)), ..Script::default() };
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    let mut pod = start(FakeEngine::new(), script, &all).await;
    pod.reaches("running").await;
    assert_eq!(pod.engine.files("app")["/etc/app.conf"], b"colour: blue");
    let calls = changes(&pod.engine);
    let position = |prefix: &str| calls.iter().position(|call| call.starts_with(prefix)).unwrap();
    assert!(position("upload app") < position("start app"), "{calls:?}");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn copies_keep_mode_and_owner_unless_the_label_says_otherwise() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::set_permissions(source.path(), std::fs::Permissions::from_mode(0o440)).unwrap();
    // Only root may give files away.
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(source.path(), Some(1000), Some(2000)).unwrap();
    }
    let (is, from) = (source.path().metadata().unwrap(), source.path().display());
    let copy = format!(
        "[{{source: {from}, target: /as-it-is}}, {{source: {from}, target: /mode, mode: '0755'}}, {{source: {from}, target: /owner, uid: 7, gid: 8}}]"
    );
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    let rights = |path: &str| pod.engine.file_mode("app", path).unwrap();
    assert_eq!(rights("/as-it-is"), (0o440, is.uid(), is.gid()));
    assert_eq!(rights("/mode"), (0o755, is.uid(), is.gid()));
    assert_eq!(rights("/owner"), (0o440, 7, 8));
    pod.signal(15).await;
    pod.ends().await;
}

/// A directory of this shape: `nginx.conf` and `conf.d/a.conf`.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("nginx.conf"), "red").unwrap();
    std::fs::create_dir(directory.path().join("conf.d")).unwrap();
    std::fs::write(directory.path().join("conf.d/a.conf"), "blue").unwrap();
    directory
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_copied_at_once_and_each_file_through_the_plugins() {
    let source = directory();
    let from = source.path().display();
    let copy = format!("{{source: {from}, target: /etc/nginx, mode: '0600', uid: 5}}");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let answer = move |file: File| {
        told.lock().unwrap().push(file.path.clone());
        let more = File { path: "/var/more".to_owned(), ..file.clone() };
        Ok(match file.path.as_str() {
            "/etc/nginx/nginx.conf" => vec![File { content: b"green"[..].into(), mode: 0o644, ..file }, more],
            _ => vec![file],
        })
    };
    let script = Script { copy: Some(Arc::new(answer)), ..Script::default() };
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    let mut pod = start(FakeEngine::new(), script, &all).await;
    pod.reaches("running").await;
    assert_eq!(*seen.lock().unwrap(), ["/etc/nginx/conf.d/a.conf", "/etc/nginx/nginx.conf"]);
    let files = pod.engine.files("app");
    assert_eq!(files["/etc/nginx/nginx.conf"], b"green");
    assert_eq!(files["/etc/nginx/conf.d/a.conf"], b"blue");
    assert_eq!(files["/var/more"], b"red");
    assert_eq!(pod.engine.file_mode("app", "/etc/nginx/conf.d/a.conf").unwrap().0, 0o600);
    assert_eq!(pod.engine.file_mode("app", "/etc/nginx/conf.d/a.conf").unwrap().1, 5);
    assert_eq!(pod.engine.file_mode("app", "/etc/nginx/nginx.conf").unwrap().0, 0o644, "what the plugin says counts");
    // A look whether it is there, all of it at once, and what the plugin added.
    assert_eq!(pod.engine.calls_of("upload"), ["upload app /etc/nginx", "upload app /etc/nginx", "upload app /var"]);
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn directories_on_the_way_are_made_from_the_nearest_that_exists() {
    let source = directory();
    let from = source.path().display();
    let copy = format!("{{'{from}/': /data/a/b, {from}/nginx.conf: /data/c/d/e/}}");
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    // What does not exist is not found: for the directory twice, for the file three times.
    let mut pod = start(FakeEngine::new().fails("upload", "app", Fault::NotFound, 2), Script::default(), &all).await;
    pod.reaches("running").await;
    assert_eq!(
        pod.engine.calls_of("upload"),
        ["/data/a/b", "/data/a", "/data", "/data", "/data/c/d/e"].map(|path| format!("upload app {path}"))
    );
    let files: Vec<String> = pod.engine.files("app").into_keys().collect();
    assert_eq!(files, ["/data/a/b/conf.d/a.conf", "/data/a/b/nginx.conf", "/data/c/d/e/nginx.conf"]);
    pod.signal(15).await;
    pod.ends().await;

    let copy = format!("{from}/nginx.conf:/data/c/d/e/");
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    let mut pod = start(FakeEngine::new().fails("upload", "app", Fault::NotFound, 3), Script::default(), &all).await;
    pod.reaches("running").await;
    assert_eq!(
        pod.engine.calls_of("upload"),
        ["/data/c/d/e", "/data/c/d", "/data/c", "/data", "/data"].map(|path| format!("upload app {path}"))
    );
    assert_eq!(pod.engine.files("app").into_keys().collect::<Vec<_>>(), ["/data/c/d/e/nginx.conf"]);
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_waits_for_an_engine_that_is_away() {
    let source = directory();
    let copy = format!("{}:/etc/nginx", source.path().display());
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    let mut pod = start(FakeEngine::new().fails("upload", "app", Fault::Transient, 2), Script::default(), &all).await;
    pod.reaches("running").await;
    assert_eq!(pod.engine.files("app").len(), 2);
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_copied_is_named_and_nothing_starts() {
    let source = directory();
    std::os::unix::fs::symlink("/etc/passwd", source.path().join("conf.d/link")).unwrap();
    let copy = format!("{}:/etc/nginx", source.path().display());
    let all = [("pod.component.app", "image: app"), ("pod.copy.app", copy.as_str())];
    let pod = start(FakeEngine::new(), Script::default(), &all).await;
    let engine = pod.engine.clone();
    let outcome = pod.ends().await;
    let said = outcome.to_string();
    for expected in ["`pod.copy.app`", "`conf.d/link`", "leads out of the directory, to `/etc/passwd`"] {
        assert!(said.contains(expected), "`{expected}` is missing in: {said}");
    }
    assert!(engine.calls_of("start").iter().all(|call| call.contains("ipc")));
}

#[tokio::test(start_paused = true)]
async fn output_is_passed_on_to_its_last_line() {
    let all = [("pod.component.app", "image: app")];
    let engine = FakeEngine::new()
        .prints("app", Output::Stdout, &[b"one\ntw", b"o\nlast without a newline"])
        .prints("app", Output::Stderr, &[b"oh\n"])
        .exits_after("app", SECOND, 0);
    let pod = start(engine, Script::default(), &all).await;
    let written = Arc::clone(&pod.written);
    pod.ends().await;
    let mut lines: Vec<String> =
        String::from_utf8(written.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["[err] app: oh", "[out] app: last without a newline", "[out] app: one", "[out] app: two"]);
}

#[tokio::test(start_paused = true)]
async fn plugins_rewrite_lines() {
    let upper = |mut batch: Batch| {
        batch.data.make_ascii_uppercase();
        Ok(batch)
    };
    let script = Script { lines: Some(Arc::new(upper)), ..Script::default() };
    let engine = FakeEngine::new().prints("app", Output::Stdout, &[b"hello\n"]);
    let mut pod = start(engine, script, &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(pod.text(), "[out] app: HELLO\n");
    pod.signal(15).await;
    pod.ends().await;
}

fn file(content: &str) -> NewFile {
    NewFile {
        component: name("web"),
        path: "/etc/web.conf".to_owned(),
        mode: Some(0o644),
        uid: Some(0),
        gid: Some(0),
        content: content.to_owned().into(),
    }
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A plugin that rolls a file out as `web`'s configuration: validated aside, applied with SIGHUP, watched for two seconds.
fn roller() -> Script {
    let changed = |changes: Vec<Change>| {
        let content = String::from_utf8(changes[0].content.to_vec()).unwrap();
        Some(Rollout {
            summary: "web.conf".to_owned(),
            files: vec![file(&content)],
            remove: Vec::new(),
            validate: vec![Command {
                component: name("web"),
                argv: argv(&["web", "-t", "{candidate}"]),
                timeout_ms: 1000,
            }],
            apply: vec![Action::Signal(name("web"), 1)],
            verify: Vec::new(),
            healthy_for_ms: 2000,
        })
    };
    Script { changed: Some(Arc::new(changed)), ..Script::default() }
}

/// An engine whose `web` has a configuration, and refuses one that says `bad`.
fn webserver() -> FakeEngine {
    let engine = FakeEngine::new();
    let files = engine.clone();
    engine.exec_answers("web", move |argv| {
        let bad =
            argv.get(2).and_then(|path| files.files("web").get(path).cloned()).is_some_and(|content| content == b"bad");
        ExecOutput {
            exit_code: i64::from(bad),
            stdout: bytes::Bytes::new(),
            stderr: if bad { bytes::Bytes::from_static(b"unknown directive") } else { bytes::Bytes::new() },
            truncated: false,
        }
    })
}

/// A pod with `web`, whose watched file a test may change.
async fn rolling(engine: FakeEngine) -> (Running, Script, tempfile::TempDir) {
    let (pod, script, directory) = rolling_without_file(engine).await;
    pod.engine.put_file("web", "/etc/web.conf", b"first");
    (pod, script, directory)
}

/// The same, where `web` has no configuration yet.
async fn rolling_without_file(engine: FakeEngine) -> (Running, Script, tempfile::TempDir) {
    let script = roller();
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(engine, script.clone(), &all).await;
    pod.reaches("running").await;
    (pod, script, tempfile::tempdir().unwrap())
}

async fn change(pod: &Running, script: &Script, directory: &tempfile::TempDir, content: &str) -> (bool, String) {
    let before = script.outcomes.lock().unwrap().len();
    let path = directory.path().join(format!("web-{before}.conf"));
    std::fs::write(&path, content).unwrap();
    let watch = WatchRequest {
        plugin: plugin(),
        source: path.to_str().unwrap().to_owned(),
        debounce: Duration::from_millis(10),
        max_delay: SECOND,
    };
    pod.watches.send(watch).await.unwrap();
    let deadline = std::time::Instant::now() + 20 * SECOND;
    while script.outcomes.lock().unwrap().len() == before {
        assert!(std::time::Instant::now() < deadline, "no outcome; calls: {:?}", pod.engine.calls());
        // The file is read on a thread, which paused time does not wait for.
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    script.outcomes.lock().unwrap()[before].clone()
}

#[tokio::test(start_paused = true)]
async fn a_good_file_is_validated_renamed_and_applied() {
    let (pod, script, directory) = rolling(webserver()).await;
    pod.engine.forget_calls();
    let (applied, text) = change(&pod, &script, &directory, "second").await;
    assert!(applied, "{text}");
    let files = pod.engine.files("web");
    assert_eq!(files["/etc/web.conf"], b"second");
    assert!(!files.keys().any(|path| path.contains("candidate")), "{:?}", files.keys());
    assert_eq!(pod.engine.calls_of("signal"), ["signal web 1"]);
    let shown = pod.status.borrow().rollouts.clone();
    assert_eq!((shown[0].summary.as_str(), shown[0].outcome.word()), ("web.conf", "applied"));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_is_refused_and_nothing_changes() {
    let (pod, script, directory) = rolling(webserver()).await;
    pod.engine.forget_calls();
    let (applied, text) = change(&pod, &script, &directory, "bad").await;
    assert!(!applied);
    assert!(text.contains("unknown directive") && text.contains("nothing was changed"), "{text}");
    let files = pod.engine.files("web");
    assert_eq!(files["/etc/web.conf"], b"first");
    assert!(!files.keys().any(|path| path.contains("candidate")), "{:?}", files.keys());
    assert_eq!(pod.engine.calls_of("signal"), Vec::<String>::new());
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_kills_its_component_is_rolled_back() {
    let (mut pod, script, directory) = rolling(webserver().exits_on("web", 1, 70)).await;
    let (applied, text) = change(&pod, &script, &directory, "deadly").await;
    assert!(!applied);
    assert!(text.contains("`web`") && text.contains("rolled back"), "{text}");
    assert_eq!(pod.engine.files("web")["/etc/web.conf"], b"first");
    pod.reaches("running").await;
    let restarts = pod.status.borrow().components.iter().find(|component| component.name == "web").unwrap().restarts;
    assert_eq!(restarts, 1);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_new_file_that_kills_its_component_is_taken_out_of_it_again() {
    let (mut pod, script, directory) = rolling_without_file(webserver().exits_on("web", 1, 70)).await;
    let (applied, text) = change(&pod, &script, &directory, "deadly").await;
    assert!(!applied && text.contains("rolled back"), "{text}");
    let files = pod.engine.files("web");
    assert!(!files.keys().any(|path| path.contains("web.conf")), "{:?}", files.keys());
    pod.reaches("running").await;
    let restarts = pod.status.borrow().components.iter().find(|component| component.name == "web").unwrap().restarts;
    assert_eq!(restarts, 2, "once to take it out, once to begin without it");
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);

    // What can't be removed is not said to be.
    let told = |exit_code: i64| ExecOutput {
        exit_code,
        stdout: bytes::Bytes::new(),
        stderr: bytes::Bytes::new(),
        truncated: false,
    };
    let stuck = webserver().exits_on("web", 1, 70).exec_answers("web", move |argv| match argv[0].as_str() {
        "rm" if argv.contains(&"/etc/web.conf".to_owned()) => told(1),
        _ => told(0),
    });
    let (pod, script, directory) = rolling_without_file(stuck).await;
    let (applied, text) = change(&pod, &script, &directory, "deadly").await;
    assert!(
        !applied && text.contains("the rollback failed") && text.contains("could not be removed from component `web`"),
        "{text}"
    );
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_rollout() {
    let (pod, script, directory) = rolling(webserver().slow("exec", "web", 20 * SECOND)).await;
    let path = directory.path().join("web.conf");
    std::fs::write(&path, "second").unwrap();
    let source = path.to_str().unwrap().to_owned();
    pod.watches
        .send(WatchRequest { plugin: plugin(), source, debounce: Duration::from_millis(10), max_delay: SECOND })
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + 20 * SECOND;
    while pod.engine.calls_of("exec").is_empty() {
        assert!(std::time::Instant::now() < deadline, "no command was run");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert!(began.elapsed() < 5 * SECOND, "took {:?}", began.elapsed());
    assert!(script.outcomes.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_held_against_a_rollout() {
    let (pod, script, directory) = rolling(webserver().stop_takes("web", 5 * SECOND)).await;
    let path = directory.path().join("web.conf");
    std::fs::write(&path, "second").unwrap();
    let source = path.to_str().unwrap().to_owned();
    let watch = WatchRequest { plugin: plugin(), source, debounce: Duration::from_millis(10), max_delay: SECOND };
    pod.watches.send(watch).await.unwrap();
    let deadline = std::time::Instant::now() + 20 * SECOND;
    while pod.engine.calls_of("signal").is_empty() {
        assert!(std::time::Instant::now() < deadline, "the file was not applied");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It is watched for two seconds now; what the stop does to the component is no fault of the file.
    pod.signal(15).await;
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(pod.engine.files("web")["/etc/web.conf"], b"second");
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert!(script.outcomes.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_answers_with_errors_for_ever_ends_the_pod() {
    for verb in ["create", "start"] {
        let engine = FakeEngine::new().fails(verb, "app", Fault::Transient, 1000);
        let outcome = start(engine, Script::default(), &[("pod.component.app", "image: app")]).await.ends().await;
        assert_eq!(outcome.exit_code(), 125, "{verb}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_creates_after_the_end_is_removed_too() {
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let engine = FakeEngine::new().slow("create", "web", 30 * SECOND).exits_at_once("app", 4);
    assert_eq!(start(engine, Script::default(), &all).await.ends().await, component("app", 4));
}

#[tokio::test(start_paused = true)]
async fn requests_of_plugins_are_served_and_refused_with_a_reason() {
    let mut pod = start(FakeEngine::new(), Script::default(), &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    pod.engine.put_file("app", "/etc/a", b"content");
    let (reply, answer) = oneshot::channel();
    let kind = RequestKind::Read { component: name("app"), path: "/etc/a".to_owned(), limit: 100, reply };
    pod.requests.send(Request { plugin: plugin(), kind }).await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap().content, &b"content"[..]);

    let (reply, answer) = oneshot::channel();
    let kind = RequestKind::Signal { component: name("nobody"), signal: 1, reply };
    pod.requests.send(Request { plugin: plugin(), kind }).await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap_err(), "the pod has no component `nobody`");

    let (reply, answer) = oneshot::channel();
    let kind = RequestKind::Read { component: name("app"), path: "/etc/a".to_owned(), limit: 3, reply };
    pod.requests.send(Request { plugin: plugin(), kind }).await.unwrap();
    let told = answer.await.unwrap().unwrap_err();
    assert_eq!(told, "`/etc/a` in component `app` has 7 bytes, but the limit is 3");
    assert_eq!(pod.view.borrow().components[0].name, name("app"));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_begins_rollouts_and_judges_by_itself() {
    let mut script = roller();
    // Nothing is watched.
    script.changed = None;
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(webserver(), script.clone(), &all).await;
    pod.reaches("running").await;
    pod.engine.put_file("web", "/etc/web.conf", b"first");
    let begin = async |content: &str| {
        let rollout = Rollout {
            summary: "by itself".to_owned(),
            files: vec![NewFile { mode: None, ..file(content) }],
            remove: Vec::new(),
            validate: vec![Command {
                component: name("web"),
                argv: argv(&["web", "-t", "{candidate}"]),
                timeout_ms: 1000,
            }],
            apply: vec![Action::Signal(name("web"), 1)],
            verify: Vec::new(),
            healthy_for_ms: 1000,
        };
        let (reply, answer) = oneshot::channel();
        pod.requests.send(Request { plugin: plugin(), kind: RequestKind::Rollout { rollout, reply } }).await.unwrap();
        answer.await.unwrap().unwrap()
    };
    let outcomes = async |count: usize| {
        while script.outcomes.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        script.outcomes.lock().unwrap().clone()
    };
    assert_eq!((begin("second").await, begin("bad").await), ("1".to_owned(), "2".to_owned()));
    let ended = outcomes(2).await;
    assert_eq!((ended[0].0, ended[1].0), (true, false), "{ended:?}");
    assert!(ended[0].1.starts_with("1 ") && ended[1].1.starts_with("2 "), "the ids come back: {ended:?}");
    assert_eq!(pod.engine.files("web")["/etc/web.conf"], b"second");
    assert_eq!(pod.engine.calls_of("signal"), ["signal web 1"]);

    let (reply, answer) = oneshot::channel();
    let judgement = Judgement {
        component: Some(name("web")),
        check: "pushed".to_owned(),
        probe: outrigger::hooks::Probe::Liveness,
        status: Status::Unhealthy,
        reason: "a pattern in the log".to_owned(),
    };
    let kind = RequestKind::Report { judgements: vec![judgement], reply };
    pod.requests.send(Request { plugin: plugin(), kind }).await.unwrap();
    answer.await.unwrap().unwrap();
    let judged =
        pod.status.wait_for(|status| status.health.reasons.iter().any(|it| it.contains("a pattern in the log")));
    assert_eq!(judged.await.unwrap().health.state, outrigger::admin::status::HealthState::Unhealthy);
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn ticks_come_as_often_as_asked_for() {
    let count = Arc::new(Mutex::new(0_u32));
    let counted = Arc::clone(&count);
    let tick = move |()| {
        let mut count = counted.lock().unwrap();
        *count += 1;
        (*count < 4).then_some(1000)
    };
    let script = Script { tick: Some(Arc::new(tick)), ..Script::default() };
    let mut pod = start(FakeEngine::new(), script, &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(*count.lock().unwrap(), 3);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(*count.lock().unwrap(), 4);
    pod.signal(15).await;
    pod.ends().await;
}
