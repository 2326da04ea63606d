//! Restarts, jobs, steps around start and stop, the drain, and what remains of a failure.

use outrigger::admin::status::ProbeState;
use outrigger::config::{Keep, Output as Logs};
use outrigger::plugin::ComponentState;

use super::*;

fn starts(engine: &FakeEngine) -> Vec<String> {
    engine.calls_of("start").into_iter().filter(|call| !call.contains("ipc")).collect()
}

/// What `status` says of a component.
fn told(pod: &Running, component: &str) -> outrigger::admin::status::ComponentStatus {
    let mut status = PodStatus::clone(&pod.status.borrow());
    pod.findings.show(&mut status);
    status.components.iter().find(|it| it.name == component).cloned().expect("it is shown")
}

async fn restarted(pod: &mut Running, component: &str, times: u32) {
    let of = |status: &Arc<PodStatus>| {
        status.components.iter().any(|it| it.name == component && it.restarts == times && it.state == "running")
    };
    let reached = pod.status.wait_for(of);
    tokio::time::timeout(600 * SECOND, reached).await.expect("it is started again").expect("the pod lives");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_restarted_in_the_same_container_with_growing_pauses() {
    let engine = FakeEngine::new().exits_after("app", SECOND, 3);
    let policy = "{image: app, restart: {policy: on-failure, delay: 2s, max_attempts: 3}}";
    let all = [("pod.component.app", policy), ("pod.component.web", "image: web")];
    let began = tokio::time::Instant::now();
    let pod = start(engine.clone(), Script::default(), &all).await;
    assert_eq!(pod.ends().await, component("app", 3));
    // Four runs of a second, and pauses of 2, 4 and 8 s between them.
    let took = began.elapsed();
    assert!(took >= 18 * SECOND && took < 19 * SECOND, "{took:?}");
    assert_eq!(engine.calls_of("create").iter().filter(|call| call.contains("app")).count(), 1);
    assert_eq!(starts(&engine).iter().filter(|call| *call == "start app").count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_plugins_see_changes_and_the_labels_are_not_copied() {
    let app = "{image: app, restart: on-failure, labels: {tier: front}}";
    let all = [("pod.component.app", app), ("pod.component.web", "image: web")];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    let before = pod.view.borrow().clone();
    assert!(before.labels.keys().all(|key| !key.starts_with("pod.")), "{:?}", before.labels);
    assert_eq!(before.components[0].labels.get("tier").map(String::as_str), Some("front"));
    pod.engine.kill("app", 1);
    let ended = pod.view.wait_for(|view| view.components[0].state == ComponentState::Exited);
    let after = tokio::time::timeout(60 * SECOND, ended).await.expect("it is told").unwrap().clone();
    assert!(Arc::ptr_eq(&before.labels, &after.labels));
    for (before, after) in before.components.iter().zip(&after.components) {
        assert!(Arc::ptr_eq(&before.labels, &after.labels), "{}", before.name);
    }
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_essential_may_fail() {
    let engine = FakeEngine::new().exits_after("side", SECOND, 3);
    let all = [("pod.component.side", "{image: side, essential: false}"), ("pod.component.web", "image: web")];
    let mut pod = start(engine, Script::default(), &all).await;
    let degraded = pod.status.wait_for(|status| status.health.state.as_str() == "degraded");
    tokio::time::timeout(60 * SECOND, degraded).await.expect("it is told").unwrap();
    assert_eq!((told(&pod, "side").state.as_str(), told(&pod, "side").exit_code), ("exited", Some(3)));
    assert!(pod.status.borrow().warnings.iter().any(|what| what.contains("`side` has failed")));
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_job_comes_before_those_that_wait_for_it() {
    let app = "{image: app, depends_on: {migrate: {condition: service_completed_successfully}}}";
    let all = [("pod.component.migrate", "image: migrate"), ("pod.component.app", app)];
    let engine = FakeEngine::new().exits_after("migrate", 5 * SECOND, 0);
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    pod.reaches("running").await;
    assert_eq!(starts(&engine), ["start migrate", "start app"]);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    let engine = FakeEngine::new().exits_after("migrate", 5 * SECOND, 4);
    assert_eq!(start(engine.clone(), Script::default(), &all).await.ends().await, component("migrate", 4));
    assert_eq!(starts(&engine), ["start migrate"]);
}

#[tokio::test(start_paused = true)]
async fn the_pod_starts_again_in_place() {
    let engine = FakeEngine::new().exits_after("init-1", SECOND, 0).exits_after("app", 15 * SECOND, 1);
    let app = "{image: app, depends_on: [db], restart: {policy: on-failure, scope: pod, max_attempts: 1}}";
    let all =
        [("pod.init.components", "[{image: one}]"), ("pod.component.db", "image: db"), ("pod.component.app", app)];
    let pod = start(engine.clone(), Script::default(), &all).await;
    assert_eq!(pod.ends().await, component("app", 1));
    let once = ["start init-1", "start db", "start app"];
    assert_eq!(starts(&engine), [once, once].concat());
    assert_eq!(engine.calls_of("create").iter().filter(|call| !call.contains("ipc")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn dependents_follow_the_restart_of_what_they_need() {
    let engine = FakeEngine::new().exits_after("db", 15 * SECOND, 1);
    let app = "{image: app, depends_on: {db: {condition: service_started, restart: true}}}";
    let all = [("pod.component.db", "{image: db, restart: on-failure:1}"), ("pod.component.app", app)];
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    restarted(&mut pod, "app", 1).await;
    assert_eq!(starts(&engine), ["start db", "start app", "start db", "start app"]);
    assert_eq!(pod.ends().await, component("db", 1));
}

#[tokio::test(start_paused = true)]
async fn steps_come_after_the_start_and_before_the_stop() {
    let run = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&run);
    let engine = FakeEngine::new().exec_answers("app", move |argv| {
        seen.lock().unwrap().push(argv.join(" "));
        ExecOutput { exit_code: 0, stdout: "".into(), stderr: "".into(), truncated: false }
    });
    let app = "{image: app, post_start: [{command: [warm, up]}], pre_stop: [{command: [say, bye]}, {sleep: 2s}]}";
    let all = [("pod.component.app", app), ("pod.component.web", "{image: web, depends_on: [app]}")];
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    pod.reaches("running").await;
    let calls = engine.calls();
    let at =
        |call: &str| calls.iter().position(|it| it.starts_with(call)).unwrap_or_else(|| panic!("{call}: {calls:?}"));
    assert!(at("start app") < at("exec app warm up") && at("exec app warm up") < at("start web"), "{calls:?}");
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert_eq!(*run.lock().unwrap(), ["warm up", "say bye"]);
    assert!(began.elapsed() >= 2 * SECOND, "{:?}", began.elapsed());
}

/// A command ends with its component: that is the reason then, and no failure of the step.
#[tokio::test(start_paused = true)]
async fn steps_stop_with_their_component_and_do_not_fail_then() {
    let steps =
        |key: &str| format!("{{image: app, essential: false, {key}: [{{command: [forever]}}, {{command: [never]}}]}}");
    for key in ["post_start", "pre_stop"] {
        let (log, _guard) = super::log::Log::start();
        let engine = FakeEngine::new().hangs("app", |argv| argv[0] == "forever");
        let app = steps(key);
        let all =
            [("pod.component.app", app.as_str()), ("pod.component.web", "image: web"), ("pod.options", "{settle: 0s}")];
        let pod = start(engine, Script::default(), &all).await;
        tokio::time::sleep(5 * SECOND).await;
        if key == "pre_stop" {
            pod.signal(15).await;
            tokio::time::sleep(SECOND).await;
        }
        assert_eq!(pod.engine.calls_of("exec"), ["exec app forever"], "{key}");
        pod.engine.kill("app", 0);
        tokio::time::sleep(SECOND).await;
        let lines: Vec<_> = log.take().into_iter().map(|(_, line)| line).filter(|line| line.contains(key)).collect();
        let told = format!("`{key}` stops in step 1, because the component has ended");
        assert_eq!(lines.iter().filter(|line| line.contains(&told)).count(), 1, "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("failed") || line.starts_with("WARN")), "{lines:?}");
        assert_eq!(pod.engine.calls_of("exec"), ["exec app forever"], "{key}: no further step");
        if key == "post_start" {
            pod.signal(15).await;
        }
        assert_eq!(pod.ends().await.exit_code(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_or_hangs_fails_the_component_and_never_the_stop() {
    let failing = |argv: &[String]| ExecOutput {
        exit_code: 9,
        stdout: "".into(),
        stderr: format!("no {}", argv[0]).into(),
        truncated: false,
    };
    let all = [("pod.component.app", "{image: app, post_start: [{command: cache}]}")];
    let outcome = start(FakeEngine::new().exec_answers("app", failing), Script::default(), &all).await.ends().await;
    let expected = "component `app` failed its `post_start`: step 1, `cache` exited with code 9: no cache";
    assert_eq!((outcome.to_string().as_str(), outcome.exit_code()), (expected, 125));

    let all =
        [("pod.component.app", "{image: app, stop_grace_period: 4s, pre_stop: [{command: forever, timeout: 1h}]}")];
    let engine = FakeEngine::new().slow("exec", "app", 10_000 * SECOND);
    let mut pod = start(engine, Script::default(), &all).await;
    pod.reaches("running").await;
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert!(began.elapsed() < 4 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_draining_pod_is_unhealthy_and_runs_on() {
    let all = [("pod.component.app", "image: app"), ("pod.options", "{drain: 3s}")];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    let began = tokio::time::Instant::now();
    pod.signal(15).await;
    pod.reaches("stopping").await;
    assert_eq!(pod.status.borrow().health.state.as_str(), "unhealthy");
    assert_eq!(told(&pod, "app").state, "running");
    assert_eq!(pod.engine.calls_of("signal").len(), 0);
    let engine = pod.engine.clone();
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert!(began.elapsed() >= 3 * SECOND, "{:?}", began.elapsed());
    assert_eq!(engine.calls_of("signal")[0], "signal app 15");
}

#[tokio::test(start_paused = true)]
async fn an_exec_probe_that_fails_restarts_its_component() {
    let looks = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&looks);
    let engine = FakeEngine::new().exec_answers("app", move |_| {
        let mut looks = counted.lock().unwrap();
        *looks += 1;
        // Well twice, ill for three looks, which is what it takes; then well for ever.
        let exit_code = i64::from((3..=5).contains(&*looks));
        ExecOutput { exit_code, stdout: "".into(), stderr: "".into(), truncated: false }
    });
    let app = "{image: app, restart: on-failure, probes: {liveness: {exec: [check], period: 10s}}}";
    let mut pod = start(engine, Script::default(), &[("pod.component.app", app)]).await;
    restarted(&mut pod, "app", 1).await;
    // One of the next run may have been made already.
    assert!((5..=6).contains(&*looks.lock().unwrap()));
    assert!(
        pod.status.borrow().warnings.iter().any(|what| what.contains("liveness probe: `check` exited with code 1"))
    );
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn each_probe_is_shown_as_it_stands_and_anew_with_each_run() {
    let ill = Arc::new(Mutex::new(false));
    let asked = Arc::clone(&ill);
    let engine = FakeEngine::new().exec_answers("app", move |_| {
        let exit_code = i64::from(*asked.lock().unwrap());
        ExecOutput { exit_code, stdout: "".into(), stderr: "no route".into(), truncated: false }
    });
    let app = "{image: app, restart: {policy: always, delay: 30s}, probes: {liveness: {exec: [check], period: 10s}}}";
    let all = [("pod.component.app", app), ("pod.component.web", "image: web")];
    let mut pod = start(engine, Script::default(), &all).await;
    pod.reaches("running").await;
    tokio::time::sleep(15 * SECOND).await;
    let shown = |pod: &Running| {
        let [probe] = told(pod, "app").probes.try_into().expect("it has one");
        assert_eq!((probe.kind.as_str(), probe.last_at > Some(0)), ("liveness", probe.last_ok.is_some()));
        (probe.state, probe.last_ok, probe.failures, probe.last_failure)
    };
    assert_eq!(shown(&pod), (ProbeState::Succeeds, Some(true), 0, None));
    assert_eq!(told(&pod, "web").probes, []);
    // Two failures are not enough for a verdict, of which nothing else would tell.
    *ill.lock().unwrap() = true;
    tokio::time::sleep(20 * SECOND).await;
    let failing = (ProbeState::Succeeds, Some(false), 2, Some("`check` exited with code 1: no route".to_owned()));
    assert_eq!(shown(&pod), failing);
    pod.engine.kill("app", 1);
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!((told(&pod, "app").state.as_str(), shown(&pod)), ("exited", failing));
    *ill.lock().unwrap() = false;
    restarted(&mut pod, "app", 1).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(shown(&pod), (ProbeState::Succeeds, Some(true), 0, None));
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn readiness_decides_when_dependents_start_and_what_the_pod_is() {
    let ready = Arc::new(Mutex::new(false));
    let asked = Arc::clone(&ready);
    let engine = FakeEngine::new().exec_answers("db", move |_| {
        let exit_code = i64::from(!*asked.lock().unwrap());
        ExecOutput { exit_code, stdout: "".into(), stderr: "".into(), truncated: false }
    });
    let db = "{image: db, probes: {readiness: {exec: [check], period: 1s, failure_threshold: 1}}}";
    let app = "{image: app, depends_on: {db: {condition: service_healthy}}}";
    let mut pod =
        start(engine.clone(), Script::default(), &[("pod.component.db", db), ("pod.component.app", app)]).await;
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(starts(&engine), ["start db"]);
    assert_eq!(told(&pod, "app").state, "planned");
    *ready.lock().unwrap() = true;
    pod.reaches("running").await;
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(pod.status.borrow().health.state.as_str(), "healthy");
    *ready.lock().unwrap() = false;
    let ill = pod.status.wait_for(|status| status.health.state.as_str() == "unhealthy");
    tokio::time::timeout(60 * SECOND, ill).await.expect("it is told").unwrap();
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn the_one_that_failed_remains_for_a_look_with_its_last_words() {
    for (keep, logs) in [(1, Logs::Streamed), (1, Logs::Quiet), (0, Logs::Quiet)] {
        let engine =
            FakeEngine::new().prints("app", Output::Stderr, &[b"no such table\n"]).exits_after("app", SECOND, 3);
        let settings = Settings { keep: Keep { count: keep, ..Keep::default() }, logs, ..Settings::default() };
        let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
        let pod = start_with(settings, engine.clone(), Script::default(), &all).await;
        let outcome = tokio::time::timeout(120 * SECOND, pod.end).await.unwrap().unwrap();
        assert_eq!(outcome, component("app", 3));
        assert_eq!(engine.leftovers(), vec!["app"; keep]);
        let renames = engine.calls_of("rename");
        assert_eq!(renames.len(), keep, "{renames:?}");
        assert!(renames.iter().all(|call| call.starts_with("rename app pod.podlike.app.failed-")), "{renames:?}");
        // Where nobody followed its output, the engine is asked for its end.
        assert_eq!(engine.calls_of("tail").len(), usize::from(logs == Logs::Quiet));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_remain_than_may_from_the_moment_of_the_failure() {
    let engine = FakeEngine::new().exits_after("app", 5 * SECOND, 3);
    let settings = Settings { keep: Keep { count: 1, ..Keep::default() }, ..Settings::default() };
    let mut pod = start_with(settings, engine.clone(), Script::default(), &[("pod.component.app", "image: app")]).await;
    pod.reaches("running").await;
    // Of an earlier task of the same service.
    let mut before = engine.created("app").expect("it has been created");
    before.name = "pod-0.podlike.app.failed-1".to_owned();
    before.labels.insert("outrigger.pod".to_owned(), "0".repeat(64));
    before.network_mode = Some(format!("container:{}", "0".repeat(64)));
    let (before, _) = engine.create(&before).await.unwrap();
    assert_eq!(tokio::time::timeout(120 * SECOND, pod.end).await.unwrap().unwrap(), component("app", 3));
    let renames = engine.calls_of("rename");
    assert_eq!(renames.len(), 1, "{renames:?}");
    let gone = engine.inspect(&before.0).await.unwrap_err();
    assert_eq!(gone.fault(), Fault::NotFound, "the one from before is gone: {:?}", engine.leftovers());
    assert_eq!(engine.leftovers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_donor_that_dies_is_started_again() {
    let engine = FakeEngine::new();
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "image: web")];
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    pod.reaches("running").await;
    let donor = |engine: &FakeEngine| engine.calls_of("start").into_iter().filter(|call| call.contains("ipc")).count();
    assert_eq!(donor(&engine), 1);
    engine.kill("pod.podlike.ipc", 137);
    let warned = pod
        .status
        .wait_for(|status| status.warnings.iter().any(|what| what.contains("the IPC donor container has ended")));
    tokio::time::timeout(60 * SECOND, warned).await.expect("it is told").unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(donor(&engine), 2);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_removes_is_made_anew() {
    let engine = FakeEngine::new();
    let app = "{image: app, restart: always}";
    let all = [("pod.component.app", app), ("pod.component.web", "image: web")];
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    pod.reaches("running").await;
    let id_of = |name: &str| engine.find(name).expect("it is there").id;
    let (app, donor) = (id_of("pod.podlike.app"), id_of("pod.podlike.ipc"));
    engine.remove(&app).await.unwrap();
    restarted(&mut pod, "app", 1).await;
    assert_ne!(id_of("pod.podlike.app"), app);
    assert_eq!(told(&pod, "app").container_id, Some(id_of("pod.podlike.app").0));

    engine.remove(&donor).await.unwrap();
    let revived = || engine.find("pod.podlike.ipc").is_some_and(|found| found.running && found.id != donor);
    for _ in 0..60 {
        if revived() {
            break;
        }
        tokio::time::sleep(SECOND).await;
    }
    assert!(revived(), "{:?}", engine.calls());
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    assert_eq!(engine.leftovers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_check_that_succeeds_early_counts_where_the_engine_looks_late() {
    let started = tokio::time::Instant::now();
    let engine = FakeEngine::new()
        .health("db", &[(60 * SECOND, outrigger::engine::EngineHealth::Healthy)])
        .exec_answers("db", move |argv| {
            assert_eq!(argv, ["/bin/sh", "-c", "ready?"]);
            let exit_code = i64::from(started.elapsed() < 5 * SECOND);
            ExecOutput { exit_code, stdout: "".into(), stderr: "".into(), truncated: false }
        });
    let check = "{test: ready?, interval: 60s, start_period: 50s, start_interval: 2s}";
    let db = format!("{{image: db, healthcheck: {check}}}");
    let app = "{image: app, depends_on: {db: {condition: service_healthy}}}";
    let all = [("pod.component.db", db.as_str()), ("pod.component.app", app)];
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    pod.reaches("running").await;
    let took = started.elapsed();
    assert!(took >= 5 * SECOND && took < 10 * SECOND, "{took:?}");
    let looks = engine.calls_of("exec").len();
    // Once is enough, and the engine's own view, found by a look at the containers, changes nothing.
    tokio::time::sleep(45 * SECOND).await;
    assert_eq!(engine.calls_of("exec").len(), looks);
    assert_eq!(told(&pod, "db").health.unwrap().state.as_str(), "healthy");
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

/// How long until the pod has this health.
async fn becomes(pod: &mut Running, state: &str) -> Duration {
    let began = tokio::time::Instant::now();
    let reached = pod.status.wait_for(|status| status.health.state.as_str() == state);
    tokio::time::timeout(600 * SECOND, reached)
        .await
        .unwrap_or_else(|_| panic!("never {state}"))
        .expect("the pod lives");
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_version_that_crashes_again_and_again_is_never_healthy_and_its_start_ends() {
    for lasts in [Duration::from_millis(10), SECOND] {
        let began = tokio::time::Instant::now();
        let app = "{image: app, restart: {policy: always, max_delay: 2s}}";
        let engine = FakeEngine::new().exits_after("app", lasts, 3);
        let mut pod = start(engine, Script::default(), &[("pod.component.app", app)]).await;
        let healthy = pod.status.wait_for(|status| status.health.state.counts_as_healthy());
        assert!(healthy.await.is_err(), "it ends without having been healthy");
        let outcome = pod.ends().await;
        assert_eq!(outcome.exit_code(), 125);
        let told = outcome.to_string();
        assert!(
            told.contains("within 60s (`start_deadline`): component `app`") && told.contains("exited with code 3"),
            "{told}"
        );
        let took = began.elapsed();
        assert!((60 * SECOND..62 * SECOND).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_crashes_soon_after_it_was_healthy_ends_its_pod() {
    for (lasts, health) in [(4, None), (9, None), (4, Some(2)), (9, Some(2))] {
        let course: Vec<_> =
            health.map(|at| (at * SECOND, outrigger::engine::EngineHealth::Healthy)).into_iter().collect();
        let engine = FakeEngine::new().health("app", &course).exits_after("app", lasts * SECOND, 3);
        let mut pod =
            start(engine.clone(), Script::default(), &[("pod.component.app", "{image: app, restart: always}")]).await;
        assert_eq!(becomes(&mut pod, "healthy").await.as_secs(), 2);
        assert_eq!(pod.ends().await, component("app", 3), "{lasts}");
        assert_eq!(starts(&engine), ["start app"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_takes_too_long_makes_the_pod_unhealthy_until_it_is_through() {
    let engine = FakeEngine::new();
    let all = [("pod.component.app", "{image: app, restart: {policy: always, delay: 100s}}")];
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    becomes(&mut pod, "healthy").await;
    tokio::time::sleep(11 * SECOND).await;
    engine.kill("app", 1);
    assert!(becomes(&mut pod, "degraded").await < SECOND);
    let degraded = becomes(&mut pod, "unhealthy").await;
    assert!((59 * SECOND..=60 * SECOND).contains(&degraded), "{degraded:?}");
    let unhealthy = becomes(&mut pod, "healthy").await;
    assert!((41 * SECOND..44 * SECOND).contains(&unhealthy), "100 s of pause, and 2 s to be up: {unhealthy:?}");
    assert!(pod.status.borrow().warnings.iter().any(|what| what.contains("`repair_budget`")));
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn the_options_of_the_pod_change_all_of_these_times() {
    let began = tokio::time::Instant::now();
    let options = ("pod.options", "{min_ready: 500ms, start_deadline: 5s, settle: 1s, repair_budget: 3s}");
    let engine = FakeEngine::new().exits_after("app", Duration::from_millis(100), 3);
    let app = ("pod.component.app", "{image: app, restart: {policy: always, delay: 20s}}");
    let pod = start(engine, Script::default(), &[app, options]).await;
    assert_eq!(pod.ends().await.exit_code(), 125);
    assert!((5 * SECOND..6 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    let engine = FakeEngine::new();
    let mut pod = start(engine.clone(), Script::default(), &[app, options]).await;
    assert!(becomes(&mut pod, "healthy").await < SECOND);
    tokio::time::sleep(2 * SECOND).await;
    engine.kill("app", 3);
    assert!((2 * SECOND..=3 * SECOND + SECOND / 2).contains(&becomes(&mut pod, "unhealthy").await));
    becomes(&mut pod, "healthy").await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
    // An image that is pulled for minutes is no slow start.
    let engine = FakeEngine::new().without_image("app").slow("pull", "app", 300 * SECOND);
    let mut pod = start(engine, Script::default(), &[app, options]).await;
    assert_eq!(becomes(&mut pod, "healthy").await.as_secs(), 300);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_batch_pod_ends_with_its_job_and_its_sidecar_goes_last() {
    let engine = FakeEngine::new().exits_after("report", 300 * SECOND, 4).exits_after("proxy", 40 * SECOND, 0);
    let report = "{image: report, role: job, depends_on: [proxy]}";
    let all = [("pod.component.proxy", "{image: proxy, role: sidecar}"), ("pod.component.report", report)];
    let mut pod = start(engine.clone(), Script::default(), &all).await;
    becomes(&mut pod, "healthy").await;
    assert_eq!(tokio::time::timeout(400 * SECOND, pod.end).await.unwrap().unwrap(), component("report", 4));
    assert!(starts(&engine).iter().filter(|call| *call == "start proxy").count() > 3, "{:?}", starts(&engine));
    assert_eq!(starts(&engine).iter().filter(|call| *call == "start report").count(), 1);
}
