//! Components that crash, hang and ignore signals, and an engine that fails, while restarts, steps, probes and the drain are at work.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use outrigger::engine::EngineHealth;
use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

const RESTARTED: &str = "{image: app, restart: {policy: on-failure, delay: 1s}}";

fn app(life: &str) -> [(&'static str, String); 1] {
    [("pod.component.app", life.to_owned())]
}

async fn pod_of(engine: FakeEngine, script: Script, all: &[(&str, String)]) -> Running {
    let all: Vec<(&str, &str)> = all.iter().map(|(key, value)| (*key, value.as_str())).collect();
    start(engine, script, &all).await
}

fn starts(engine: &FakeEngine, of: &str) -> usize {
    engine.calls_of("start").iter().filter(|call| call.ends_with(of)).count()
}

/// Waits until this has been started so often.
async fn started(engine: &FakeEngine, of: &str, times: usize) {
    let reached = async {
        while starts(engine, of) < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(600 * SECOND, reached).await.unwrap_or_else(|_| panic!("{of}: {}", starts(engine, of)));
}

fn answer(exit_code: i64, stderr: &str) -> ExecOutput {
    let stderr = Bytes::copy_from_slice(stderr.as_bytes());
    ExecOutput { exit_code, stdout: Bytes::new(), stderr, truncated: false }
}

/// Counts the reports of an outage among what is logged.
#[derive(Clone, Default)]
struct Reports(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Reports {
    fn on_event(&self, event: &tracing::Event<'_>, _context: tracing_subscriber::layer::Context<'_, S>) {
        struct Found(bool);
        impl tracing::field::Visit for Found {
            fn record_debug(&mut self, _field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 |= format!("{value:?}").starts_with("engine unreachable");
            }
        }
        let mut found = Found(false);
        event.record(&mut found);
        self.0.fetch_add(usize::from(found.0), Ordering::Relaxed);
    }
}

/// An engine that comes and goes does not fill the log, and one that was back for long is reported at once.
#[tokio::test(start_paused = true)]
async fn outages_that_follow_each_other_are_reported_ever_more_rarely() {
    let reports = Reports::default();
    let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(reports.clone()));
    let count = || reports.0.load(Ordering::Relaxed);
    let mut pod = pod_of(FakeEngine::new(), Script::default(), &app("image: app")).await;
    pod.reaches("running").await;
    let mut counts = Vec::new();
    for _ in 0..10 {
        pod.engine.goes_away_for(SECOND);
        tokio::time::sleep(11 * SECOND).await;
        counts.push(count());
    }
    assert!(counts[0] == 1 && counts[9] > 1 && counts[9] <= 6, "{counts:?}");
    tokio::time::sleep(120 * SECOND).await;
    pod.engine.goes_away_for(SECOND);
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(count(), counts[9] + 1);
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_slows_down_and_is_given_up() {
    let began = Instant::now();
    let life = "{image: app, restart: {policy: on-failure, max_attempts: 3, delay: 1s}}";
    let pod = pod_of(FakeEngine::new().exits_at_once("app", 7), Script::default(), &app(life)).await;
    let engine = pod.engine.clone();
    assert_eq!(pod.ends().await, component("app", 7));
    assert_eq!(starts(&engine, " app"), 4);
    let took = began.elapsed();
    assert!((7 * SECOND..8 * SECOND).contains(&took), "1 s, 2 s and 4 s: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_outlives_an_engine_that_is_away_or_fails() {
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), Script::default(), &app(RESTARTED)).await;
    pod.reaches("running").await;
    let engine = engine.fails("start", "app", Fault::Transient, 2);
    engine.kill("app", 1);
    started(&engine, " app", 4).await;
    engine.kill("app", 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    engine.goes_away_for(20 * SECOND);
    started(&engine, " app", 5).await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_the_engine_refuses_is_tried_again() {
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), Script::default(), &app(RESTARTED)).await;
    pod.reaches("running").await;
    let engine = engine.fails("start", "app", Fault::Permanent, 1);
    engine.kill("app", 1);
    started(&engine, " app", 3).await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_signal_in_the_pause_before_a_restart_ends_the_pod_at_once() {
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), Script::default(), &app("{image: app, restart: {delay: 100s}}")).await;
    pod.reaches("running").await;
    engine.kill("app", 1);
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(starts(&engine, " app"), 1);
}

#[tokio::test(start_paused = true)]
async fn post_start_that_hangs_holds_up_neither_a_stop_nor_its_own_failure() {
    let life = "{image: app, post_start: [{command: [warm], timeout: 60s}]}";
    let engine = FakeEngine::new().slow("exec", "app", 3600 * SECOND);
    let pod = pod_of(engine.clone(), Script::default(), &app(life)).await;
    started(&engine, " app", 1).await;
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Interrupted { signal: 15 });
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());

    let pod = pod_of(FakeEngine::new().slow("exec", "app", 3600 * SECOND), Script::default(), &app(life)).await;
    let outcome = pod.ends().await;
    assert!(
        outcome.to_string().contains("failed its `post_start`: step 1, `warm` did not end within 60s, its `timeout`"),
        "{outcome}"
    );
    assert_ne!(outcome.exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn post_start_that_fails_tells_the_commands_words_and_the_policy_decides() {
    let life = "{image: app, restart: {policy: on-failure, max_attempts: 1}, post_start: [{command: [warm]}]}";
    let engine = FakeEngine::new().exec_answers("app", |_| answer(3, "no database\n"));
    let pod = pod_of(engine.clone(), Script::default(), &app(life)).await;
    let outcome = pod.ends().await;
    assert_eq!(starts(&engine, " app"), 2);
    assert!(outcome.to_string().contains("`warm` exited with code 3: no database"), "{outcome}");
}

#[tokio::test(start_paused = true)]
async fn dependents_and_probes_wait_for_post_start() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let engine = FakeEngine::new().slow("exec", "app", 5 * SECOND).exec_answers("app", move |argv| {
        seen.lock().unwrap().push(argv[0].clone());
        answer(0, "")
    });
    let all = [
        (
            "pod.component.app",
            "{image: app, post_start: [{command: [warm]}], probes: {readiness: {exec: [ready], timeout: 10s}}}"
                .to_owned(),
        ),
        ("pod.component.web", "{image: web, depends_on: {app: {condition: service_healthy}}}".to_owned()),
    ];
    let mut pod = pod_of(engine.clone(), Script::default(), &all).await;
    started(&engine, " app", 1).await;
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(starts(&engine, " web"), 0, "started before it was ready");
    pod.reaches("running").await;
    assert_eq!(order.lock().unwrap()[..2], ["warm", "ready"]);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn pre_stop_that_hangs_leaves_time_for_a_clean_stop() {
    let life = "{image: app, stop_grace_period: 6s, pre_stop: [{command: [leave]}]}";
    let engine = FakeEngine::new().slow("exec", "app", 3600 * SECOND);
    let mut pod = pod_of(engine.clone(), Script::default(), &app(life)).await;
    pod.reaches("running").await;
    let began = Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert!(began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
    assert_eq!(engine.calls_of("signal"), ["signal app 15"]);
}

#[tokio::test(start_paused = true)]
async fn pre_stop_is_not_done_for_what_ended_by_itself() {
    let engine = FakeEngine::new().exits_after("app", SECOND, 0);
    let pod = pod_of(engine.clone(), Script::default(), &app("{image: app, pre_stop: [{command: [leave]}]}")).await;
    assert_eq!(pod.ends().await, component("app", 0));
    assert!(engine.calls_of("exec").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_liveness_probe_restarts_what_ignores_its_signal_and_ends_a_pod_without_policy() {
    let looks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&looks);
    // A look long after the pod became healthy, and the two after it, fail; then it works again.
    let sick = move |_: &[String]| match count.fetch_add(1, Ordering::Relaxed) {
        20..23 => answer(1, "stuck"),
        _ => answer(0, ""),
    };
    let life = "{image: app, stop_grace_period: 3s, restart: always, probes: {liveness: {exec: [alive], period: 1s}}}";
    let engine = FakeEngine::new().ignores("app", 15).exec_answers("app", sick);
    let mut pod = pod_of(engine.clone(), Script::default(), &app(life)).await;
    pod.reaches("running").await;
    started(&engine, " app", 2).await;
    assert_eq!(engine.calls_of("signal"), ["signal app 15", "signal app 9"]);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(starts(&engine, " app"), 2, "verdicts of the old run count against the new one");
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Killed);

    // Its exit code says that all is well; the probe says otherwise.
    let engine = FakeEngine::new().exits_on("app", 15, 0).exec_answers("app", |_| answer(1, "stuck"));
    let life = "{image: app, probes: {liveness: {exec: [alive], period: 1s}}}";
    let outcome = pod_of(engine, Script::default(), &app(life)).await.ends().await;
    assert!(outcome.to_string().contains("liveness probe") && outcome.to_string().contains("stuck"), "{outcome}");
    assert_ne!(outcome.exit_code(), 0);
}

#[tokio::test(start_paused = true)]
async fn readiness_is_the_pods_health() {
    let ready = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&ready);
    let engine = FakeEngine::new()
        .exec_answers("app", move |_| answer(i64::from(asked.load(Ordering::Relaxed) == 0), "not yet"));
    let life = "{image: app, probes: {readiness: {exec: [ready], period: 1s, failure_threshold: 1}}}";
    let mut pod = pod_of(engine, Script::default(), &app(life)).await;
    let mut is = async |state: &str| {
        let reached = pod.status.wait_for(|status| status.health.state.to_string() == state);
        tokio::time::timeout(60 * SECOND, reached)
            .await
            .unwrap_or_else(|_| panic!("never {state}"))
            .unwrap()
            .health
            .clone()
    };
    let unhealthy = is("unhealthy").await;
    assert!(unhealthy.reasons.join(" ").contains("not yet"), "{unhealthy:?}");
    ready.store(1, Ordering::Relaxed);
    is("healthy").await;
    ready.store(0, Ordering::Relaxed);
    is("unhealthy").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_restarts_in_place_kills_what_ignores_its_signal_and_runs_init_again() {
    let all = [
        ("pod.init.components", "[{image: prepare}]".to_owned()),
        ("pod.component.db", "{image: db, stop_grace_period: 2s}".to_owned()),
        (
            "pod.component.app",
            "{image: app, depends_on: [db], restart: {policy: on-failure, scope: pod, delay: 1s}}".to_owned(),
        ),
    ];
    let engine = FakeEngine::new().exits_after("init-1", SECOND, 0).ignores("db", 15);
    let mut pod = pod_of(engine.clone(), Script::default(), &all).await;
    pod.reaches("running").await;
    engine.kill("app", 1);
    started(&engine, " app", 2).await;
    pod.reaches("running").await;
    let made: Vec<String> = changes(&engine).into_iter().filter(|call| !call.contains("ipc")).collect();
    let expected = [
        "create init-1",
        "start init-1",
        "create db",
        "start db",
        "create app",
        "start app",
        "signal db 15",
        "signal db 9",
        "start init-1",
        "start db",
        "start app",
    ];
    assert_eq!(made, expected);
    // A signal in the midst of the next one.
    engine.kill("app", 1);
    pod.reaches("restarting").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Killed);
    assert_eq!(starts(&engine, " init-1"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_dies_at_any_time_never_leaves_its_dependent_waiting() {
    for after in [0, 1500, 4000] {
        let all = [
            ("pod.component.db", "{image: db, essential: false}".to_owned()),
            (
                "pod.component.app",
                "{image: app, depends_on: {db: {condition: service_healthy}}, post_start: [{sleep: 2s}]}".to_owned(),
            ),
        ];
        let engine = FakeEngine::new()
            .health("db", &[(Duration::ZERO, EngineHealth::Starting), (SECOND, EngineHealth::Healthy)])
            .exits_after("db", Duration::from_millis(after), 4);
        let mut pod = pod_of(engine.clone(), Script::default(), &all).await;
        if after == 0 {
            assert_eq!(pod.ends().await, component("db", 4), "what it waits for can't come true");
        } else {
            pod.reaches("running").await;
            tokio::time::sleep(10 * SECOND).await;
            pod.signal(15).await;
            assert_eq!(pod.ends().await, Outcome::Stopped, "{after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_lets_a_job_be_does_not_undo_its_success() {
    let all = [
        ("pod.component.job", "{image: job}".to_owned()),
        (
            "pod.component.app",
            "{image: app, depends_on: {job: {condition: service_completed_successfully}}}".to_owned(),
        ),
    ];
    let script = Script { event: Some(Arc::new(|_| Reaction::Ignore)), ..Script::default() };
    let mut pod = pod_of(FakeEngine::new().exits_after("job", SECOND, 0), script, &all).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

/// Two, so that there is a namespace to share.
fn joined() -> [(&'static str, String); 2] {
    [("pod.component.app", "image: app".to_owned()), ("pod.component.web", "image: web".to_owned())]
}

#[tokio::test(start_paused = true)]
async fn a_donor_that_crashes_is_not_started_in_a_tight_loop() {
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), Script::default(), &joined()).await;
    pod.reaches("running").await;
    let engine = engine.exits_after("pod.podlike.ipc", Duration::from_millis(1), 1);
    engine.kill("pod.podlike.ipc", 1);
    tokio::time::sleep(60 * SECOND).await;
    let times = starts(&engine, "pod.podlike.ipc");
    assert!((2..40).contains(&times), "started {times} times within a minute");
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_donor_that_dies_while_the_engine_is_away_is_started_again() {
    let engine = FakeEngine::new();
    let mut pod = pod_of(engine.clone(), Script::default(), &joined()).await;
    pod.reaches("running").await;
    engine.goes_away_for(5 * SECOND);
    engine.kill("pod.podlike.ipc", 137);
    // What happened while the engine was unreachable only a look can tell.
    tokio::time::sleep(SECOND).await;
    engine.forgets_events();
    started(&engine, "pod.podlike.ipc", 2).await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_unready_at_once_and_ends_early_on_a_second_signal_or_when_nothing_lives() {
    let drained = [("pod.component.app", "{image: app}".to_owned()), ("pod.options", "drain: 4s".to_owned())];
    for (second, dies) in [(false, false), (true, false), (false, true)] {
        let engine = FakeEngine::new();
        let mut pod = pod_of(engine.clone(), Script::default(), &drained).await;
        pod.reaches("running").await;
        let began = Instant::now();
        pod.signal(15).await;
        pod.reaches("stopping").await;
        assert_eq!(pod.status.borrow().health.state.to_string(), "unhealthy");
        assert!(engine.calls_of("signal").is_empty(), "it is left alone");
        tokio::time::sleep(SECOND).await;
        if second {
            pod.signal(15).await;
        }
        if dies {
            engine.kill("app", 0);
        }
        assert_eq!(pod.ends().await, Outcome::Stopped, "{second} {dies}");
        let took = began.elapsed();
        let expected = if second || dies { SECOND..2 * SECOND } else { 4 * SECOND..5 * SECOND };
        assert!(expected.contains(&took), "{second} {dies}: {took:?}");
    }
}

/// A lost answer is waited for until the call's deadline.
async fn runs_at_last(pod: &mut Running) {
    let runs = pod.status.wait_for(|status| status.stage == outrigger::admin::status::Stage::Running);
    tokio::time::timeout(300 * SECOND, runs).await.expect("it runs").unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_not_done_twice_where_its_answer_is_lost() {
    let joined = [("pod.component.app", "{image: app}".to_owned()), ("pod.component.web", "{image: web}".to_owned())];
    for (verb, name) in
        [("create", "app"), ("create", "pod.podlike.ipc"), ("start", "app"), ("start", "pod.podlike.ipc")]
    {
        let engine = FakeEngine::new().loses_the_answer(verb, name, 1);
        let mut pod = pod_of(engine.clone(), Script::default(), &joined).await;
        runs_at_last(&mut pod).await;
        pod.signal(15).await;
        assert_eq!(pod.ends().await, Outcome::Stopped, "{verb} {name}");
        assert_eq!(engine.leftovers(), [""; 0], "{verb} {name}");
    }
    // The same after a pull.
    let engine = FakeEngine::new().without_image("app").loses_the_answer("create", "app", 1);
    let mut pod = pod_of(engine.clone(), Script::default(), &joined).await;
    runs_at_last(&mut pod).await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert_eq!(engine.leftovers(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_ended_before_its_start_was_answered_is_the_only_one() {
    let engine = FakeEngine::new().exits_at_once("app", 3).loses_the_answer("start", "app", 1);
    let pod = pod_of(engine.clone(), Script::default(), &app("{image: app}")).await;
    assert_eq!(pod.ends().await, component("app", 3));
    assert_eq!(starts(&engine, " app"), 1, "{:?}", engine.calls());

    let engine = FakeEngine::new().exits_at_once("app", 3).loses_the_answer("start", "app", 1);
    let twice = "{image: app, restart: {policy: on-failure, delay: 1s, max_attempts: 1}}";
    let pod = pod_of(engine.clone(), Script::default(), &app(twice)).await;
    assert_eq!(pod.ends().await, component("app", 3));
    assert_eq!(starts(&engine, " app"), 2, "{:?}", engine.calls());
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_degraded_while_a_component_is_stopped_and_started_again() {
    use outrigger::admin::status::HealthState;
    let life = "{image: app, restart: always, probes: {liveness: {exec: [alive], period: 1s, timeout: 1s, failure_threshold: 1}}}";
    let fails = Arc::new(AtomicUsize::new(0));
    let looks = Arc::clone(&fails);
    // A look long after the pod became healthy fails; it does not heed SIGTERM, and its next start takes a while.
    let engine = FakeEngine::new()
        .ignores("app", 15)
        .exec_answers("app", move |_| answer(i64::from(looks.fetch_add(1, Ordering::Relaxed) == 20), ""));
    let mut pod = pod_of(engine.clone(), Script::default(), &app(life)).await;
    pod.reaches("running").await;
    let _engine = engine.clone().slow("start", "app", 3 * SECOND);
    for (state, reason) in [
        ("stopping", "component `app` is degraded: the component is being stopped"),
        ("exited", "component `app` is degraded: the component has exited and waits for its restart"),
        ("starting", "component `app` is degraded: the component is being restarted"),
    ] {
        let reached = pod.status.wait_for(|status| status.components.iter().any(|it| it.state == state));
        let health = tokio::time::timeout(60 * SECOND, reached).await.expect(state).unwrap().health.clone();
        assert_eq!((health.state, health.reasons), (HealthState::Degraded, vec![reason.to_owned()]), "{state}");
    }
    started(&engine, " app", 2).await;
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_not_answered_is_stopped_like_one_that_was() {
    let engine = FakeEngine::new().loses_the_answer("start", "app", 1);
    let pod = pod_of(engine.clone(), Script::default(), &app("{image: app}")).await;
    started(&engine, " app", 1).await;
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Interrupted { signal: 15 });
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    assert_eq!(engine.calls_of("signal"), ["signal app 15"]);
    assert_eq!(engine.leftovers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_not_answered_holds_up_neither_the_stop_nor_the_removal_of_others() {
    let engine = FakeEngine::new().slow("create", "web", 3600 * SECOND);
    let all = [
        ("pod.component.app", "{image: app}".to_owned()),
        ("pod.component.web", "{image: web, depends_on: [app]}".to_owned()),
    ];
    let pod = pod_of(engine.clone(), Script::default(), &all).await;
    started(&engine, " app", 1).await;
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    pod.signal(15).await;
    pod.ends().await;
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
    assert_eq!(engine.leftovers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_failed_component_that_can_not_be_renamed_in_time_is_removed() {
    let engine = FakeEngine::new().slow("rename", "app", 3600 * SECOND);
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let settings = Settings { keep: Keep { count: 1, ..Keep::default() }, ..Settings::default() };
    let mut pod = start_with(settings, engine.clone(), Script::default(), &all).await;
    pod.reaches("running").await;
    let began = Instant::now();
    engine.kill("app", 3);
    assert_eq!(tokio::time::timeout(600 * SECOND, pod.end).await.unwrap().unwrap(), component("app", 3));
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    assert_eq!(engine.calls_of("rename").len(), 1);
    assert_eq!(engine.leftovers(), Vec::<String>::new());
}
