//! Traps, overruns, wrong answers, and what the pod does about them.

use std::time::{Duration, Instant};

use outrigger::engine::Output;
use outrigger::hooks::{
    Batch, Change, ComponentEvent, ComponentEventKind, File, HealthTrigger, Hook, HookFailure, Hooks, SignalDecision,
};
use outrigger::plugin::set::PluginSet;
use outrigger::pod::OnError;
use serde_json::json;

use super::{HOOK, Pod, component, page, plugin};

fn lines() -> Batch {
    let mut batch = Batch::new(component("app"), Output::Stderr);
    batch.data = b"ab".to_vec();
    batch.ends = vec![1, 2];
    batch.times = vec![0, 0];
    batch
}

fn event() -> ComponentEvent {
    let kind = ComponentEventKind::Exited { exit_code: 1, oom_killed: false };
    ComponentEvent { component: component("app"), kind, at_ns: 0, sequence: 1, restarts: 0 }
}

fn file() -> File {
    File {
        component: component("app"),
        path: "/conf".to_owned(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        content: bytes::Bytes::new(),
    }
}

fn change() -> Vec<Change> {
    let (source, path) = ("/s".to_owned(), "/s".to_owned());
    vec![Change { source, path, digest: String::new(), content: bytes::Bytes::new(), removed: true }]
}

async fn call(set: &PluginSet, hook: Hook) -> Result<(), HookFailure> {
    match hook {
        Hook::PreStart => set.pre_start(&plugin(), "{}".to_owned()).await.map(drop),
        Hook::ConfigCopy => set.config_copy("/src", file()).await.map(drop),
        Hook::Health => set.health(&plugin(), HealthTrigger::Interval).await.map(drop),
        Hook::LogLine => set.log_lines(lines()).await.map(drop),
        Hook::Signal => set.signal(10).await.map(drop),
        Hook::ComponentEvent => set.component_event(event()).await.map(drop),
        Hook::ConfigChanged => set.config_changed(&plugin(), change()).await.map(drop),
        Hook::Tick => set.tick(&plugin()).await.map(drop),
        Hook::LogSink | Hook::Stopping | Hook::HandOver => panic!("not served"),
    }
}

const SERVED: [Hook; 8] = [
    Hook::PreStart,
    Hook::ConfigCopy,
    Hook::Health,
    Hook::LogLine,
    Hook::Signal,
    Hook::ComponentEvent,
    Hook::ConfigChanged,
    Hook::Tick,
];

async fn reason(hook: Hook, act: &str) -> String {
    let pod = Pod::new();
    let set = pod.with(json!({ hook.name(): act }), &["signals app", "pod *"]).await;
    let failure = call(&set, hook).await.unwrap_err();
    assert_eq!((failure.plugin, failure.hook), (plugin(), hook.name()));
    failure.reason
}

#[tokio::test]
async fn a_trap_in_any_hook_ends_the_hook_only() {
    for hook in SERVED {
        let told = reason(hook, "trap").await;
        assert_eq!(told, "trapped: wasm trap: wasm `unreachable` instruction executed", "{hook}");
    }
}

#[tokio::test]
async fn a_panic_is_told_in_its_own_words() {
    let told = reason(Hook::Tick, "panic").await;
    assert!(told.starts_with("trapped: ") && told.contains("the glass is empty and [31mred"), "{told}");
    assert!(!told.contains("unreachable") && told.len() < 400 && !told.contains(char::is_control), "{told:?}");
}

#[tokio::test]
async fn what_would_fail_again_is_not_called_again() {
    for (hook, act) in [(Hook::PreStart, "bad"), (Hook::PreStart, "bad-config"), (Hook::Tick, "bad-config")] {
        let pod = Pod::new();
        let set = pod.with_policy(OnError::Restart, json!({ hook.name(): act }), &[]).await;
        let failure = call(&set, hook).await.unwrap_err();
        assert_eq!(failure.hook, hook.name());
        let standing = &set.standing()[0];
        assert_eq!((standing.calls, standing.failures, standing.strikes), (1, 1, 0), "{hook} {act}: {standing:?}");
    }
}

#[tokio::test]
async fn an_evicted_plugin_names_the_hook_that_failed() {
    let pod = Pod::new();
    let acts = json!({"component-event": "trap", "log-line": "good", "tick": "good", "health": "good"});
    let set = pod.with_policy(OnError::Restart, acts, &[]).await;
    assert_eq!(call(&set, Hook::ComponentEvent).await.unwrap_err().hook, "component-event");
    for hook in [Hook::LogLine, Hook::Tick, Hook::Health] {
        let failure = call(&set, hook).await.unwrap_err();
        assert_eq!(failure.hook, "component-event", "{hook}: {failure}");
    }
}

#[tokio::test]
async fn wrong_answers_count_as_failures() {
    for (hook, act, expected) in [
        (Hook::PreStart, "bad", "`plan` for `components.app.image`: the plugin's manifest does not request it"),
        (Hook::ConfigCopy, "bad", "`files` for `app:/root/.ssh/id`"),
        (Hook::ConfigCopy, "bad-mode", "`files` for `app:/etc/x`: the pod does not grant it"),
        (Hook::Health, "bad", "component `ghost`"),
        (Hook::LogLine, "bad", "`drop` names line 9999, but the batch has 2 lines"),
        (Hook::LogLine, "bad-order", "do not ascend"),
        (Hook::LogLine, "bad-fields", "not a JSON object"),
        (Hook::LogLine, "bad-hold", "`hold` is 9999"),
        (Hook::LogLine, "many-lines", "the answer turns 2 lines into 1000001 lines, but the limit is 1032"),
        (Hook::LogLine, "long-line", "the answer makes line 0 1048577 bytes long, but the limit is 1048576"),
        (Hook::LogLine, "many-bytes", "the answer has 2001000 bytes, but the limit for this batch is 1049616"),
        (Hook::LogLine, "much-unused", "the answer has 4194304 bytes, but the limit for this batch is 1049616"),
        (Hook::LogLine, "many-fields", "(with the fields of each line), but the limit is 1048584"),
        (Hook::Signal, "bad", "`signals` for `db`: the pod does not grant it"),
        (Hook::Signal, "bad-number", "there is no signal 99"),
        (Hook::ConfigChanged, "bad", "`files` for `app:/etc/x`: the pod does not grant it"),
        (Hook::ConfigChanged, "bad-file", "`files` for `app:/root/x`"),
        (Hook::Tick, "fail", "failed: on purpose"),
        (Hook::Tick, "bad-config", "reported a wrong configuration: on purpose"),
        (Hook::Tick, "denied", "reported a missing permission: on purpose"),
    ] {
        let told = reason(hook, act).await;
        assert!(told.contains(expected), "{hook} {act}: {told}");
    }
}

#[tokio::test]
async fn a_spinning_guest_is_interrupted_and_never_blocks_the_runtime() {
    let pod = Pod::new();
    let set = pod.with(json!({"log-line": "spin"}), &[]).await;
    let mut longest = Duration::ZERO;
    let mut turns = 0;
    let watchdog = async {
        loop {
            let before = Instant::now();
            tokio::time::sleep(Duration::from_millis(5)).await;
            longest = longest.max(before.elapsed());
            turns += 1;
        }
    };
    let begun = Instant::now();
    let failure =
        tokio::select! { biased; failure = set.log_lines(lines()) => failure.unwrap_err(), () = watchdog => panic!() };
    let took = begun.elapsed();
    // On a busy machine the limit of CPU time may be reached first.
    let limits = ["exceeded its time limit of 300 ms", "exceeded its CPU time limit of 300 ms"];
    assert!(limits.iter().any(|limit| failure.reason.starts_with(limit)), "{}", failure.reason);
    assert!(took < HOOK * 10, "{took:?}");
    // One tick is 10 ms; the rest is for a machine that is busy with other things.
    assert!(turns > 5 && longest < Duration::from_millis(200), "{turns} turns, longest {longest:?}");
}

#[tokio::test]
async fn patient_hooks_have_a_cpu_budget_of_their_own() {
    let told = reason(Hook::Tick, "spin").await;
    assert_eq!(told, "exceeded its CPU time limit of 1000 ms");
}

#[tokio::test]
async fn a_guest_that_waits_too_long_is_cut_off() {
    let told = reason(Hook::LogLine, "sleep 60000").await;
    assert_eq!(told, "exceeded its time limit of 300 ms");
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"health": "sleep 60000"}), &[]);
    spec.limits.wait = Some(Duration::from_millis(200));
    let set = pod.load(&[spec]).await.unwrap();
    let told = call(&set, Hook::Health).await.unwrap_err().reason;
    assert_eq!(told, "exceeded its time limit of 200 ms");
}

#[tokio::test]
async fn a_waiting_hook_holds_up_no_quick_one() {
    let pod = Pod::new();
    let set = pod.with(json!({"tick": "sleep 20000", "health": "sleep 20000"}), &[]).await;
    let name = plugin();
    tokio::select! {
        biased;
        _ = set.tick(&name) => panic!("the tick ended first"),
        _ = set.health(&name, HealthTrigger::Interval) => panic!("the probe ended first"),
        judged = set.log_lines(lines()) => assert_eq!(judged.unwrap().keep.len(), 2),
    }
}

#[tokio::test]
async fn memory_is_limited() {
    assert_eq!(reason(Hook::Tick, "hog").await, "exceeded its memory limit of 32768 KiB");
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"tick": "hog"}), &[]);
    spec.limits.memory = Some(4 << 20);
    let set = pod.load(&[spec.clone()]).await.unwrap();
    assert_eq!(call(&set, Hook::Tick).await.unwrap_err().reason, "exceeded its memory limit of 4096 KiB");
    spec.limits.memory = Some(64 << 10);
    let told = pod.load(&[spec]).await.unwrap_err().to_string();
    assert!(told.contains("field `p.limits`: the plugin did not start: exceeded its memory limit of 64 KiB"), "{told}");
}

#[tokio::test]
async fn what_a_guest_hands_over_is_limited() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"pre-start": "huge"}), &[]);
    spec.limits.memory = Some(128 << 20);
    let set = pod.load(&[spec]).await.unwrap();
    let told = call(&set, Hook::PreStart).await.unwrap_err().reason;
    assert!(told.starts_with("trapped:") && !told.contains("unreachable"), "{told}");
    let told = reason(Hook::Tick, "handles").await;
    assert!(told.starts_with("trapped:"), "{told}");
}

#[tokio::test]
async fn a_flood_of_output_does_no_harm() {
    let pod = Pod::new();
    let set = pod.with(json!({"tick": "shout 2000"}), &[]).await;
    assert_eq!(set.tick(&plugin()).await, Ok(Some(10)));
}

#[tokio::test]
async fn ignore_goes_on_without_and_restarts_in_the_background() {
    let pod = Pod::new();
    let set = pod.with_policy(OnError::Ignore, json!({"log-line": "trap", "signal": "good"}), &["signals app"]).await;
    assert_eq!(set.log_lines(lines()).await.unwrap().keep, lines(), "the lines are as they were");
    // Its instance is down; the signal hook shares it.
    assert_eq!(set.signal(10).await.unwrap(), SignalDecision::Forward);
    let deadline = Instant::now() + Duration::from_secs(5);
    while set.signal(10).await.unwrap() == SignalDecision::Forward {
        assert!(Instant::now() < deadline, "it did not come back");
        tokio::task::yield_now().await;
    }
    let metrics = page(&set);
    assert!(metrics.contains("outrigger_hook_restarts_total{plugin=\"p\",hook=\"plugin-quick\"} 1"), "{metrics}");
}

#[tokio::test]
async fn an_answer_without_bounds_is_a_strike_and_nothing_of_it_is_taken() {
    for act in ["many-lines", "long-line", "many-bytes", "much-unused", "many-fields"] {
        let pod = Pod::new();
        let set = pod.with_policy(OnError::Ignore, json!({ "log-line": act }), &[]).await;
        assert_eq!(set.log_lines(lines()).await.unwrap().keep, lines(), "{act}: the lines are as they were");
        let standing = &set.standing()[0];
        assert_eq!((standing.calls, standing.failures, standing.strikes), (1, 1, 1), "{act}: {standing:?}");
    }
}

#[tokio::test]
async fn ignore_passes_an_evicted_plugin_over() {
    let pod = Pod::new();
    let set = pod.with_policy(OnError::Ignore, json!({"tick": "trap"}), &[]).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while set.with(Hook::Tick) == [plugin()] {
        assert!(Instant::now() < deadline, "it was not evicted");
        set.tick(&plugin()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(set.tick(&plugin()).await, Ok(None));
    assert!(set.with(Hook::LogLine).is_empty());
    assert_eq!(set.log_lines(lines()).await.unwrap().keep, lines());
}

#[tokio::test]
async fn restart_calls_again_until_it_works() {
    for act in ["trap-times 2", "fail-times 2"] {
        let pod = Pod::new();
        let set = pod.with_policy(OnError::Restart, json!({"tick": act}), &["state *"]).await;
        let begun = Instant::now();
        assert_eq!(set.tick(&plugin()).await, Ok(Some(10)), "{act}");
        assert!(begun.elapsed() >= Duration::from_millis(300), "back-off of 100 and 200 ms");
        let metrics = page(&set);
        assert!(metrics.contains("outrigger_hook_restarts_total{plugin=\"p\",hook=\"plugin-patient\"} 2"), "{metrics}");
    }
}

#[tokio::test]
async fn restart_gives_up_after_five_strikes() {
    let pod = Pod::new();
    let set = pod.with_policy(OnError::Restart, json!({"signal": "trap"}), &[]).await;
    let failure = set.signal(10).await.unwrap_err();
    assert!(
        failure.reason.starts_with("failed too often and is not called any more; last failure: trapped"),
        "{failure}"
    );
    let other = set.tick(&plugin()).await.unwrap_err();
    assert!(other.reason.contains("is not called any more"), "evicted as a whole: {other}");
}

#[tokio::test]
async fn a_hook_may_have_a_policy_of_its_own() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"log-line": "fail", "tick": "fail"}), &[]);
    spec.on_error.hooks.insert("log-line".to_owned(), OnError::Ignore);
    let set = pod.load(&[spec]).await.unwrap();
    assert_eq!(set.log_lines(lines()).await.unwrap().keep.len(), 2);
    let failure = set.tick(&plugin()).await.unwrap_err();
    assert!(failure.reason.contains("on purpose"), "{failure}");
}

#[tokio::test]
async fn retry_is_waited_for_by_patient_hooks_only_and_not_for_ever() {
    let pod = Pod::new();
    let set = pod.with(json!({"tick": "retry-times 3"}), &["state *"]).await;
    assert_eq!(set.tick(&plugin()).await, Ok(Some(10)));
    assert_eq!(reason(Hook::Tick, "retry 1").await, "requested a retry in 1 ms");
    assert_eq!(reason(Hook::LogLine, "retry 60000").await, "requested a retry in 60000 ms");
    assert_eq!(reason(Hook::Health, "retry 60000").await, "requested a retry in 60000 ms");
}

#[tokio::test]
async fn a_dropped_call_leaves_the_plugin_usable() {
    let pod = Pod::new();
    let set = pod.with(json!({"component-event": "sleep 50"}), &[]).await;
    {
        let mut first = std::pin::pin!(set.component_event(event()));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(set.log_lines(lines()).await.unwrap().keep.len(), 2);
}

#[tokio::test]
async fn no_plugin_outlives_the_set() {
    let pod = Pod::new();
    let set = pod.with(json!({"log-line": "spin", "tick": "sleep 60000"}), &[]).await;
    let (lines, tick) = (set.clone(), set.clone());
    let name = plugin();
    let busy = async { tokio::join!(lines.log_lines(lines_of()), tick.tick(&name)) };
    let stop = async {
        tokio::task::yield_now().await;
        set.shut_down(Duration::from_secs(2)).await
    };
    let (busy, ended) = tokio::join!(busy, stop);
    assert!(ended, "its tasks ended");
    assert!(busy.0.is_err() && busy.1.is_err());
    assert!(set.tick(&plugin()).await.is_err(), "nobody answers any more");
}

fn lines_of() -> Batch {
    lines()
}

/// A plugin whose memory only grows is as well as any other: it is not evicted, and no line is lost.
#[tokio::test]
async fn an_instance_that_is_nearly_full_is_renewed_without_a_strike() {
    let pod = Pod::new();
    let set = pod.with(json!({"log-line": "leak 3"}), &[]).await;
    for _ in 0..40 {
        assert_eq!(set.log_lines(lines_of()).await.unwrap().keep.len(), lines_of().len());
    }
    let standing = set.standing();
    assert_eq!((standing[0].strikes, standing[0].failures, standing[0].evicted), (0, 0, false));
    let text = super::page(&set);
    let renewals = text.lines().find_map(|line| line.strip_prefix("outrigger_hook_renewals_total{"));
    assert!(renewals.is_some_and(|line| !line.ends_with(" 0")), "{text}");
}
