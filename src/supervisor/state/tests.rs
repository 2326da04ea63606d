mod again;
mod life;
mod memory;
mod parts;
mod ready;
mod roles;
mod runs;
mod steps;
mod stop;
mod turns;
mod walk;

use super::*;
use crate::containers::ContainerSpec;
use crate::hooks::{HookFailure, Reaction, SignalDecision};
use crate::pod::life::{Probes, RestartPolicy};
use crate::pod::{Condition, Dependency};
use crate::supervisor::events::Deadline;

fn name(raw: &str) -> ComponentName {
    ComponentName::new(raw).unwrap()
}

fn planned(raw: &str, depends_on: &[(&str, Condition)]) -> Planned {
    Planned {
        name: name(raw),
        wave: usize::from(!depends_on.is_empty()),
        depends_on: depends_on.iter().map(|(other, condition)| (name(other), Dependency::on(*condition))).collect(),
        role: crate::pod::life::Role::Main,
        essential: true,
        job: false,
        start: Duration::ZERO,
        start_of_check: Duration::ZERO,
        restart: RestartPolicy::default(),
        probes: Probes::default(),
        early_check: None,
        post_start: Vec::new(),
        pre_stop: Vec::new(),
        container: ContainerSpec::new(raw, "image"),
        joins_donor: false,
        copy: Vec::new(),
        grace: Duration::from_secs(3),
        stop_signal: None,
    }
}

fn pod(init: &[&str], components: &[(&str, &[(&str, Condition)])]) -> Pod {
    let init = init.iter().map(|raw| planned(raw, &[])).collect();
    let components = components.iter().map(|(raw, depends_on)| planned(raw, depends_on)).collect();
    Pod::new(&bare(init, components))
}

/// A plan with 8 s for a stop, and all else as by default.
fn bare(init: Vec<Planned>, components: Vec<Planned>) -> Plan {
    Plan {
        ipc_donor: None,
        init,
        components,
        budget: crate::plan::budget::Budget::default(),
        stop_budget: Duration::from_secs(8),
        drain: Duration::ZERO,
        life: Life::default(),
        warnings: Vec::new(),
        host_files: BTreeMap::new(),
    }
}

fn launched(raw: &str) -> Event {
    Event::Launched { name: name(raw), checked: false }
}

fn exited(raw: &str, exit_code: i32) -> Event {
    Event::Exited { name: name(raw), exit_code, oom: Oom::Never }
}

/// The stop signal of its first run is delivered.
fn asked(raw: &str) -> Event {
    Event::Asked { name: name(raw), run: 1 }
}

fn decided(raw: &str, reaction: Reaction) -> Event {
    Event::Decided { name: name(raw), reaction }
}

fn failure() -> HookFailure {
    HookFailure { plugin: PluginName::new("p").unwrap(), hook: "signal", reason: "it trapped".to_owned() }
}

/// The actions in a short form, timers and warnings left out.
fn short(actions: &[Action]) -> Vec<String> {
    let text = |action: &Action| match action {
        Action::Launch(name) => Some(format!("launch {name}")),
        Action::Relaunch(name) => Some(format!("relaunch {name}")),
        Action::Ask { name, exit_code, .. } => Some(format!("ask {name} {exit_code}")),
        Action::AskSignal(signal) => Some(format!("ask-signal {signal}")),
        Action::TellHealth(judgement) => Some(format!("tell-health {:?}", judgement.status)),
        Action::Send(name, signal) => Some(format!("send {name} {signal}")),
        Action::Stop { name, .. } => Some(format!("stop {name}")),
        Action::Kill { name, .. } => Some(format!("kill {name}")),
        Action::Settle { name, run } => Some(format!("settle {name} {run}")),
        Action::Probe { name, run } => Some(format!("probe {name} {run}")),
        Action::Part { name, run, .. } => Some(format!("part {name} {run}")),
        Action::ReviveDonor { .. } => Some("revive-donor".to_owned()),
        Action::SeekEngine => None,
        Action::LeaveEngine => Some("leave-engine".to_owned()),
        Action::RunBegan { .. } | Action::RunEnded { .. } => None,
        Action::Arm(..) | Action::Hold(_) | Action::GoOn(_) | Action::Extend(..) | Action::Warn(_) => None,
        Action::DropLaunches => Some("drop-launches".to_owned()),
        Action::Started => Some("started".to_owned()),
        Action::Cleanup { .. } => Some("cleanup".to_owned()),
        Action::Finish(outcome) => Some(format!("finish {}", outcome.exit_code())),
    };
    actions.iter().filter_map(text).collect()
}

/// Feeds events one after the other and checks what each leads to.
fn check(pod: &mut Pod, story: &[(Event, &[&str])]) {
    for (index, (event, expected)) in story.iter().enumerate() {
        assert_eq!(short(&pod.step(event.clone())), *expected, "event {index}: {event:?}");
    }
}

/// A pod of `app` alone, running.
fn running() -> Pod {
    let mut pod = pod(&[], &[("app", &[])]);
    check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
    pod
}

#[test]
fn init_components_run_one_after_the_other() {
    let mut pod = pod(&["init-1", "init-2"], &[("app", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch init-1"]),
            (launched("init-1"), &[]),
            (exited("init-1", 0), &["launch init-2"]),
            (launched("init-2"), &[]),
            (exited("init-2", 0), &["launch app"]),
            (launched("app"), &["started"]),
        ],
    );
}

#[test]
fn a_failed_init_component_decides() {
    let mut pod = pod(&["init-1"], &[("app", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch init-1"]),
            (launched("init-1"), &[]),
            (exited("init-1", 255), &["ask init-1 255"]),
            (decided("init-1", Reaction::AsPlanned), &["drop-launches", "cleanup"]),
            (Event::Cleaned, &["finish 255"]),
        ],
    );
}

#[test]
fn an_exit_may_come_before_the_news_of_the_launch() {
    let mut pod = pod(&["init-1"], &[("app", &[])]);
    check(
        &mut pod,
        &[(Event::Begin, &["launch init-1"]), (exited("init-1", 0), &[]), (launched("init-1"), &["launch app"])],
    );
}

#[test]
fn conditions_hold_a_component_back() {
    let mut pod =
        pod(&[], &[("db", &[]), ("app", &[("db", Condition::Healthy)]), ("web", &[("app", Condition::Started)])]);
    let healthy = Event::Health { name: name("db"), run: None, health: EngineHealth::Healthy, finding: None };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db"]),
            (Event::Launched { name: name("db"), checked: true }, &[]),
            (healthy, &["tell-health Healthy", "launch app"]),
            (launched("app"), &["launch web"]),
            (launched("web"), &["started"]),
        ],
    );
}

/// What an image has is known only once its container runs: nobody waits for ever, and somebody says so.
#[test]
fn a_wait_for_health_that_nobody_looks_at_is_told() {
    let mut pod =
        pod(&[], &[("db", &[]), ("app", &[("db", Condition::Healthy)]), ("web", &[("db", Condition::Started)])]);
    let _launch = pod.step(Event::Begin);
    let actions = pod.step(launched("db"));
    let told: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Warn(what) => Some(what.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [
            "component `app` waits until `db` is healthy, but `db` has no health check, or a disabled one, and no probe: `app` starts as soon as `db` runs"
        ]
    );
    assert!(short(&actions).contains(&"launch app".to_owned()), "{:?}", short(&actions));
}

#[test]
fn health_may_come_before_the_news_of_the_launch() {
    let mut pod = pod(&[], &[("db", &[]), ("app", &[("db", Condition::Healthy)])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db"]),
            (
                Event::Health { name: name("db"), run: None, health: EngineHealth::Healthy, finding: None },
                &["tell-health Healthy"],
            ),
            (Event::Launched { name: name("db"), checked: true }, &["launch app"]),
        ],
    );
}

#[test]
fn dependents_stop_before_what_they_depend_on() {
    let mut pod = pod(&[], &[("db", &[]), ("app", &[("db", Condition::Started)])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db"]),
            (launched("db"), &["launch app"]),
            (launched("app"), &["started"]),
            (Event::Signal(15), &["ask-signal 15"]),
            (Event::SignalDecided { signal: 15, decision: SignalDecision::Forward }, &["drop-launches", "stop app"]),
            (exited("app", 143), &["stop db"]),
            (exited("db", 0), &["cleanup"]),
            (Event::Cleaned, &["finish 0"]),
        ],
    );
}

#[test]
fn any_exit_ends_the_pod_with_its_code() {
    let mut pod = pod(&[], &[("app", &[]), ("web", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app", "launch web"]),
            (launched("app"), &[]),
            (launched("web"), &["started"]),
            (exited("app", 7), &["ask app 7"]),
            (decided("app", Reaction::AsPlanned), &["drop-launches", "stop web"]),
            (exited("web", 0), &["cleanup"]),
            (Event::Cleaned, &["finish 7"]),
        ],
    );
}

#[test]
fn an_exit_before_the_wave_is_through_ends_the_pod() {
    let mut pod = pod(&[], &[("app", &[]), ("web", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app", "launch web"]),
            (launched("app"), &[]),
            (exited("app", 3), &["ask app 3"]),
            (decided("app", Reaction::AsPlanned), &["drop-launches"]),
            (Event::LaunchDropped { name: name("web") }, &["cleanup"]),
            (Event::Cleaned, &["finish 3"]),
        ],
    );
}

#[test]
fn what_was_launched_too_late_is_stopped() {
    let mut pod = pod(&[], &[("app", &[]), ("web", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app", "launch web"]),
            (Event::LaunchFailed { name: name("app"), reason: "no image".to_owned() }, &["drop-launches"]),
            (launched("web"), &["stop web"]),
            (exited("web", 0), &["cleanup"]),
            (Event::Cleaned, &["finish 125"]),
        ],
    );
}

#[test]
fn a_component_that_ignores_its_signal_is_killed_after_its_grace() {
    let mut pod = running();
    let forward = Event::SignalDecided { signal: 15, decision: SignalDecision::Forward };
    check(
        &mut pod,
        &[
            (Event::Signal(15), &["ask-signal 15"]),
            (forward, &["drop-launches", "stop app"]),
            (asked("app"), &[]),
            (Event::Deadline(Deadline::Grace(name("app"))), &["kill app"]),
            (exited("app", 137), &["cleanup"]),
            (Event::Cleaned, &["finish 137"]),
        ],
    );
}

#[test]
fn the_budget_kills_what_is_left_and_does_not_wait_for_ever() {
    let mut pod = running();
    let forward = Event::SignalDecided { signal: 2, decision: SignalDecision::Forward };
    check(
        &mut pod,
        &[
            (Event::Signal(2), &["ask-signal 2"]),
            (forward, &["drop-launches", "stop app"]),
            (Event::Deadline(Deadline::Budget), &["kill app"]),
            (Event::Deadline(Deadline::Kill), &["cleanup"]),
            (exited("app", 137), &[]),
            (Event::Cleaned, &["finish 137"]),
        ],
    );
}

#[test]
fn a_second_signal_kills_and_a_slow_plugin_does_not_hold_up_a_stop() {
    let mut pod = running();
    check(
        &mut pod,
        &[
            (Event::Signal(15), &["ask-signal 15"]),
            (Event::Signal(15), &["drop-launches", "stop app"]),
            (Event::Signal(15), &["kill app"]),
            (Event::SignalDecided { signal: 15, decision: SignalDecision::Forward }, &[]),
            (exited("app", 137), &["cleanup"]),
        ],
    );
}

#[test]
fn plugins_have_only_so_long_to_think_about_a_stop() {
    let mut pod = running();
    let armed =
        |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Arm(Deadline::Budget, _))).count();
    assert_eq!(armed(&pod.step(Event::Signal(15))), 1, "the time runs from the signal");
    let actions = pod.step(Event::Deadline(Deadline::Asked(15)));
    assert_eq!(short(&actions), ["drop-launches", "stop app"]);
    assert_eq!(armed(&actions), 0, "and is not set anew");
    let late = Event::SignalDecided { signal: 15, decision: SignalDecision::Deliver(vec![(name("app"), 3)]) };
    check(&mut pod, &[(late, &["send app 3"]), (exited("app", 0), &["cleanup"]), (Event::Cleaned, &["finish 0"])]);
}

#[test]
fn a_signal_during_start_up_is_told_by_the_exit_code() {
    let mut pod = pod(&["init-1"], &[("app", &[])]);
    let forward = Event::SignalDecided { signal: 15, decision: SignalDecision::Forward };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch init-1"]),
            (Event::Signal(15), &["ask-signal 15"]),
            (forward, &["drop-launches"]),
            (Event::LaunchDropped { name: name("init-1") }, &["cleanup"]),
            (Event::Cleaned, &["finish 143"]),
        ],
    );
}

#[test]
fn a_plugin_translates_signals_but_cannot_prevent_a_stop() {
    let mut pod = running();
    let quit = SignalDecision::Deliver(vec![(name("app"), 3)]);
    check(
        &mut pod,
        &[
            (Event::Signal(1), &["ask-signal 1"]),
            (Event::SignalDecided { signal: 1, decision: quit.clone() }, &["send app 3"]),
            (Event::Signal(15), &["ask-signal 15"]),
            (Event::SignalDecided { signal: 15, decision: quit }, &["send app 3", "drop-launches", "stop app"]),
        ],
    );
}

#[test]
fn plugins_decide_about_exits() {
    let mut pod = pod(&[], &[("app", &[]), ("web", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app", "launch web"]),
            (launched("app"), &[]),
            (launched("web"), &["started"]),
            (exited("web", 1), &["ask web 1"]),
            (decided("web", Reaction::Restart(500)), &[]),
            (Event::Deadline(Deadline::BackOff(name("web"))), &["relaunch web"]),
            (launched("web"), &[]),
            (exited("web", 1), &["ask web 1"]),
            (decided("web", Reaction::Ignore), &[]),
            (exited("app", 4), &["ask app 4"]),
            (decided("app", Reaction::Ignore), &["drop-launches", "cleanup"]),
            (Event::Cleaned, &["finish 4"]),
        ],
    );
    assert_eq!(pod.nodes().map(|(_, node)| node.restarts).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn nothing_waits_for_the_health_of_what_is_gone() {
    let mut pod = pod(&[], &[("db", &[]), ("app", &[("db", Condition::Healthy)])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db"]),
            (Event::Launched { name: name("db"), checked: true }, &[]),
            (exited("db", 5), &["ask db 5"]),
            (decided("db", Reaction::Ignore), &["drop-launches", "cleanup"]),
            (Event::Cleaned, &["finish 5"]),
        ],
    );
}

#[test]
fn an_exit_during_a_rollout_waits_for_its_end() {
    let mut pod = running();
    check(
        &mut pod,
        &[
            (Event::Guard(BTreeSet::from([name("app")])), &[]),
            (exited("app", 1), &[]),
            (Event::Restart(name("app")), &["relaunch app"]),
            (launched("app"), &[]),
            (Event::Unguard, &[]),
            (Event::Guard(BTreeSet::from([name("app")])), &[]),
            (exited("app", 6), &[]),
            (Event::Unguard, &["ask app 6"]),
            (decided("app", Reaction::AsPlanned), &["drop-launches", "cleanup"]),
            (Event::Cleaned, &["finish 6"]),
        ],
    );
}

#[test]
fn a_restart_stops_and_starts_and_its_kill_does_not_change_the_outcome() {
    let mut pod = running();
    let forward = Event::SignalDecided { signal: 15, decision: SignalDecision::Forward };
    check(
        &mut pod,
        &[
            (Event::Restart(name("app")), &["stop app"]),
            (asked("app"), &[]),
            (Event::Deadline(Deadline::Grace(name("app"))), &["kill app"]),
            (exited("app", 137), &["relaunch app"]),
            (launched("app"), &[]),
            (Event::Signal(15), &["ask-signal 15"]),
            (forward, &["drop-launches", "stop app"]),
            (exited("app", 0), &["cleanup"]),
            (Event::Cleaned, &["finish 0"]),
        ],
    );
}

#[test]
fn a_failed_plugin_stops_the_pod() {
    let mut pod = running();
    check(
        &mut pod,
        &[
            (Event::PluginFailed(failure()), &["drop-launches", "stop app"]),
            (exited("app", 0), &["cleanup"]),
            (Event::Cleaned, &["finish 125"]),
        ],
    );
}

#[test]
fn a_plugin_that_fails_while_the_pod_ends_hides_no_failure_and_is_hidden_by_no_success() {
    for (exit_code, expected) in [(0, "finish 125"), (3, "finish 3"), (137, "finish 137")] {
        for cleaning in [true, false] {
            let mut pod = pod(&[], &[("app", &[]), ("web", &[])]);
            check(&mut pod, &[(Event::Begin, &["launch app", "launch web"]), (launched("app"), &[])]);
            check(
                &mut pod,
                &[(launched("web"), &["started"]), (exited("app", exit_code), &[&format!("ask app {exit_code}")])],
            );
            check(&mut pod, &[(decided("app", Reaction::AsPlanned), &["drop-launches", "stop web"])]);
            if !cleaning {
                check(&mut pod, &[(Event::PluginFailed(failure()), &[])]);
            }
            check(&mut pod, &[(exited("web", 0), &["cleanup"])]);
            if cleaning {
                check(&mut pod, &[(Event::PluginFailed(failure()), &[])]);
            }
            check(&mut pod, &[(Event::Cleaned, &[expected])]);
        }
    }
    // Of a stop, too: what its lines said may be lost.
    for (exit_code, expected) in [(0, "finish 125"), (137, "finish 137")] {
        let mut pod = running();
        let forward = Event::SignalDecided { signal: 15, decision: SignalDecision::Forward };
        check(&mut pod, &[(Event::Signal(15), &["ask-signal 15"]), (forward, &["drop-launches", "stop app"])]);
        check(&mut pod, &[(asked("app"), &[]), (Event::PluginFailed(failure()), &[])]);
        check(&mut pod, &[(Event::Deadline(Deadline::Grace(name("app"))), &["kill app"])]);
        check(&mut pod, &[(exited("app", exit_code), &["cleanup"]), (Event::Cleaned, &[expected])]);
    }
}

#[test]
fn an_exit_told_twice_counts_once() {
    let mut pod = running();
    check(&mut pod, &[(exited("app", 2), &["ask app 2"]), (exited("app", 2), &[])]);
}

proptest::proptest! {
    /// Whatever happens, in whatever order: no launch after the stop has begun, and one end at most, after which there is nothing.
    #[test]
    fn no_launch_after_the_stop_and_one_end(choices in proptest::collection::vec((0_usize..16, 0_usize..3), 1..80)) {
        let mut pod = pod(&["init-1"], &[("db", &[]), ("app", &[("db", Condition::Healthy)])]);
        let names = ["init-1", "db", "app"];
        let (mut stopping, mut finished) = (false, false);
        for (choice, which) in choices {
            let raw = names[which];
            let event = match choice {
                0 => Event::Begin,
                1 | 2 => launched(raw),
                3 => Event::Launched { name: name(raw), checked: true },
                4 => exited(raw, 0),
                5 => exited(raw, 9),
                6 => decided(raw, Reaction::AsPlanned),
                7 => decided(raw, Reaction::Restart(1)),
                8 => Event::Deadline(Deadline::BackOff(name(raw))),
                9 => Event::Health { name: name(raw), run: None, health: EngineHealth::Healthy, finding: None },
                10 => Event::Signal(15),
                11 => Event::SignalDecided { signal: 15, decision: SignalDecision::Forward },
                12 => Event::Restart(name(raw)),
                13 => Event::LaunchDropped { name: name(raw) },
                14 => Event::Deadline(Deadline::Budget),
                _ => Event::Cleaned,
            };
            let actions = pod.step(event);
            stopping |= pod.stage() >= Stage::Stopping;
            let launches = actions.iter().any(|a| matches!(a, Action::Launch(_) | Action::Relaunch(_)));
            proptest::prop_assert!(!(stopping && launches));
            let ends = actions.iter().filter(|a| matches!(a, Action::Finish(_))).count();
            proptest::prop_assert!(ends == 0 || !finished);
            finished |= ends > 0;
        }
    }
}
