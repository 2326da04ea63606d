//! Steps and probes that fail because their component ends, and kills with and without a want of memory: the cause that is reported is the true one.

use std::sync::atomic::{AtomicBool, Ordering};

use super::log::Log;
use super::*;

const MS: Duration = Duration::from_millis(1);

fn answer(exit_code: i64, stderr: &str) -> ExecOutput {
    ExecOutput { exit_code, stdout: "".into(), stderr: stderr.to_owned().into(), truncated: false }
}

/// How commands fail in a container that ends, and how long before the engine reports its end.
const OF_ENDS: [(i64, &str, u64); 5] = [
    (126, "cannot exec in a stopped state: unknown", 1),
    (126, "cannot exec in a stopped state: unknown", 1500),
    (137, "", 1500),
    (1, "connection reset", 1),
    (7, "connection refused", 300),
];

#[tokio::test(start_paused = true)]
async fn the_exit_of_a_component_decides_and_not_the_step_that_it_has_broken() {
    for (exit_code, stderr, ms) in OF_ENDS {
        for code in [0, 3] {
            let engine = FakeEngine::new()
                .exits_after("work", Duration::from_millis(ms), code)
                .exec_answers("work", move |_| answer(exit_code, stderr));
            let work = "{image: work, role: job, post_start: [{command: [warm]}]}";
            let outcome = start(engine, Script::default(), &[("pod.component.work", work)]).await.ends().await;
            assert_eq!(outcome, component("work", code), "{exit_code} {stderr} {ms}");
        }
    }
    // The engine refuses the command, because the container has ended, and is slow to report that.
    let engine = FakeEngine::new().exits_after("work", 200 * MS, 3).slow("exec", "work", 201 * MS);
    let work = "{image: work, post_start: [{command: [warm]}]}";
    let outcome = start(engine, Script::default(), &[("pod.component.work", work)]).await.ends().await;
    assert_eq!(outcome, component("work", 3));
}

#[tokio::test(start_paused = true)]
async fn the_exit_of_a_component_decides_and_not_the_probe_that_it_has_broken() {
    for (exit_code, stderr, ms) in OF_ENDS {
        for kind in ["liveness", "startup"] {
            let engine = FakeEngine::new()
                .exits_after("app", 2 * SECOND + Duration::from_millis(ms), 3)
                .exec_answers("app", move |_| answer(exit_code, stderr));
            let app = format!(
                "{{image: app, probes: {{{kind}: {{exec: [alive], initial_delay: 2s, period: 100ms, failure_threshold: 1}}}}}}"
            );
            let outcome = start(engine, Script::default(), &[("pod.component.app", &app)]).await.ends().await;
            assert_eq!(outcome, component("app", 3), "{kind} {exit_code} {stderr} {ms}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_exit_code_that_is_not_restarted_is_not_restarted_because_a_step_failed_with_it() {
    let engine =
        FakeEngine::new().exits_after("app", 100 * MS, 3).exec_answers("app", |_| answer(126, "in a stopped state"));
    let app = "{image: app, restart: {policy: on-failure, exit_codes: [7]}, post_start: [{command: [warm]}]}";
    let outcome = start(engine.clone(), Script::default(), &[("pod.component.app", app)]).await.ends().await;
    assert_eq!((outcome, engine.calls_of("start").len()), (component("app", 3), 1));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_in_a_component_that_lives_on_is_still_the_cause() {
    for exit_code in [1, 126, 137] {
        let engine = FakeEngine::new().exec_answers("app", move |_| answer(exit_code, "no"));
        let app = "{image: app, post_start: [{command: [warm]}]}";
        let outcome = start(engine, Script::default(), &[("pod.component.app", app)]).await.ends().await;
        let told = format!("component `app` failed its `post_start`: step 1, `warm` exited with code {exit_code}: no");
        assert_eq!((outcome.to_string(), outcome.exit_code()), (told, 125));
    }
}

#[tokio::test(start_paused = true)]
async fn pre_stop_that_is_cut_off_by_the_end_is_no_failure() {
    let (log, _guard) = Log::start();
    let engine = FakeEngine::new().exec_answers("app", |_| answer(137, ""));
    let app = "{image: app, pre_stop: [{command: [leave]}, {command: [more]}]}";
    let mut pod = start(engine.clone(), Script::default(), &[("pod.component.app", app)]).await;
    pod.reaches("running").await;
    pod.signal(15).await;
    tokio::time::sleep(200 * MS).await;
    engine.kill("app", 0);
    assert_eq!(pod.ends().await, Outcome::Stopped);
    let told: Vec<_> =
        log.take().into_iter().map(|(_, line)| line).filter(|line| line.contains("`pre_stop`")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("stops in step 1, because the component has ended"), "{told:?}");
    assert_eq!(engine.calls_of("exec").len(), 1);
}

/// How a pod of `hog` alone ends, after `happen`.
async fn end_of(hog: &str, happen: impl AsyncFnOnce(&Running)) -> (Outcome, Vec<String>) {
    let (log, _guard) = Log::start();
    let all = [("pod.component.hog", hog), ("pod.options", "{settle: 0s}")];
    let mut pod = start(FakeEngine::new().ignores("hog", 15), Script::default(), &all).await;
    pod.reaches("running").await;
    tokio::time::sleep(20 * SECOND).await;
    happen(&pod).await;
    let outcome = tokio::time::timeout(120 * SECOND, pod.end).await.unwrap().unwrap();
    let told = log.take().into_iter().map(|(_, line)| line).filter(|line| line.contains("memory")).collect();
    (outcome, told)
}

const EARLIER: &str = "a process of it was killed earlier because memory ran out";

#[tokio::test(start_paused = true)]
async fn a_kill_that_is_asked_for_is_never_for_want_of_memory() {
    let hog = "{image: hog, mem_limit: 20m, stop_grace_period: 2s}";
    // By the controller, at the end of its grace period.
    for pause in [Duration::ZERO, 1900 * MS, 10 * SECOND] {
        let (outcome, told) = end_of(hog, async |pod: &Running| {
            pod.engine.runs_out_of_memory("hog");
            tokio::time::sleep(pause).await;
            pod.signal(15).await;
        })
        .await;
        assert_eq!(outcome, Outcome::Killed);
        assert!(told.len() == 1 && told[0].starts_with(&format!("INFO exited; {EARLIER}")), "{told:?}");
    }
    // After a liveness probe has failed, too.
    let sick = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&sick);
    let engine = FakeEngine::new()
        .ignores("hog", 15)
        .exec_answers("hog", move |_| answer(asked.load(Ordering::Relaxed).into(), "ill"));
    let probed = "{image: hog, stop_grace_period: 2s, probes: {liveness: {exec: [alive], period: 1s}}}";
    let (log, _guard) = Log::start();
    let mut pod = start(engine, Script::default(), &[("pod.component.hog", probed)]).await;
    pod.reaches("running").await;
    pod.engine.runs_out_of_memory("hog");
    sick.store(true, Ordering::Relaxed);
    let outcome = pod.ends().await;
    assert!(outcome.to_string().contains("failed its liveness probe"), "{outcome}");
    assert!(!log.take().iter().any(|(_, line)| line.contains("was killed because memory ran out (137")));
    // From outside.
    let (outcome, _told) = end_of(hog, async |pod: &Running| {
        pod.engine.runs_out_of_memory("hog");
        tokio::time::sleep(10 * SECOND).await;
        pod.engine.kill("hog", 137);
    })
    .await;
    assert_eq!(outcome.to_string(), format!("component `hog` exited with code 137; {EARLIER}"));
    // Of an exit of its own, it is worth knowing.
    let (outcome, _told) = end_of(hog, async |pod: &Running| {
        pod.engine.runs_out_of_memory("hog");
        tokio::time::sleep(10 * SECOND).await;
        pod.engine.kill("hog", 1);
    })
    .await;
    assert_eq!(outcome.to_string(), format!("component `hog` exited with code 1; {EARLIER}"));
}

#[tokio::test(start_paused = true)]
async fn a_kill_from_outside_is_no_crash_although_memory_ran_out_before() {
    let all = [
        ("pod.component.hog", "{image: hog, restart: {policy: on-failure, delay: 1s}}"),
        ("pod.options", "{settle: 10m}"),
    ];
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    tokio::time::sleep(20 * SECOND).await;
    pod.engine.runs_out_of_memory("hog");
    tokio::time::sleep(10 * SECOND).await;
    pod.engine.kill("hog", 137);
    tokio::time::sleep(10 * SECOND).await;
    let seen = pod.status.borrow().components[0].clone();
    assert_eq!(
        (seen.state.as_str(), seen.restarts, seen.oom_killed),
        ("running", 1, false),
        "a crash ends a pod that settles"
    );
    // In the run that follows, nothing has happened.
    pod.engine.kill("hog", 137);
    tokio::time::sleep(10 * SECOND).await;
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_report_of_the_kernels_kill_may_come_after_the_exit() {
    let hog = "{image: hog, mem_limit: 20m}";
    for earlier in [false, true] {
        let (outcome, _told) = end_of(hog, async |pod: &Running| {
            if earlier {
                pod.engine.runs_out_of_memory("hog");
                tokio::time::sleep(10 * SECOND).await;
            }
            pod.engine.kill("hog", 137);
            tokio::time::sleep(220 * MS).await;
            pod.engine.runs_out_of_memory("hog");
        })
        .await;
        assert_eq!(
            outcome.to_string(),
            "component `hog` was killed because memory ran out (137; `mem_limit` 20m)",
            "{earlier}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn kills_of_many_components_are_not_reported_one_after_the_other() {
    let names: Vec<String> = (0..8).map(|n| format!("app{n}")).collect();
    let labels: Vec<String> = names.iter().map(|name| format!("pod.component.{name}")).collect();
    let mut all: Vec<(&str, &str)> =
        labels.iter().map(|label| (label.as_str(), "{image: app, restart: {policy: always, delay: 100ms}}")).collect();
    all.push(("pod.options", "{settle: 0s}"));
    let mut pod = start(FakeEngine::new(), Script::default(), &all).await;
    pod.reaches("running").await;
    tokio::time::sleep(20 * SECOND).await;
    names.iter().for_each(|name| pod.engine.kill(name, 137));
    tokio::time::sleep(SECOND).await;
    let restarts: Vec<u32> = pod.status.borrow().components.iter().map(|seen| seen.restarts).collect();
    assert_eq!(restarts, [1; 8]);
    pod.signal(15).await;
    assert_eq!(pod.ends().await, Outcome::Stopped);
}
