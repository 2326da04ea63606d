//! How components are asked to stop, when they are killed, and which exit code comes of it.

use super::parts::armed;
use super::*;

fn stopping(pod: &mut Pod, expected: &[&str]) {
    check(pod, &[(Event::Signal(15), &["ask-signal 15"])]);
    check(pod, &[(Event::SignalDecided { signal: 15, decision: SignalDecision::Forward }, expected)]);
}

fn grace(raw: &str) -> Event {
    Event::Deadline(Deadline::Grace(name(raw)))
}

#[test]
fn the_grace_period_begins_when_the_signal_is_delivered() {
    let mut pod = running();
    let _asked = pod.step(Event::Signal(15));
    let stop = pod.step(Event::SignalDecided { signal: 15, decision: SignalDecision::Forward });
    let of_app = Deadline::Grace(name("app"));
    assert_eq!(armed(&stop, &of_app), None, "the engine is busy, or away");
    // A timer of an earlier run.
    check(&mut pod, &[(grace("app"), &[])]);
    assert!(pod.step(Event::Asked { name: name("app"), run: 2 }).is_empty(), "another run's");
    assert_eq!(armed(&pod.step(asked("app")), &of_app), Some(Duration::from_secs(3)));
    assert_eq!(armed(&pod.step(asked("app")), &of_app), None, "once");
    check(
        &mut pod,
        &[(grace("app"), &["kill app"]), (exited("app", 137), &["cleanup"]), (Event::Cleaned, &["finish 137"])],
    );
}

#[test]
fn the_pods_time_does_not_wait_for_the_delivery() {
    let mut pod = running();
    stopping(&mut pod, &["drop-launches", "stop app"]);
    check(&mut pod, &[(Event::Deadline(Deadline::Budget), &["kill app"]), (exited("app", 137), &["cleanup"])]);
    check(&mut pod, &[(Event::Cleaned, &["finish 137"])]);
}

#[test]
fn a_component_that_was_quicker_than_its_kill_was_not_killed() {
    // The kill came too late: the exit code says so.
    for (exit_code, expected) in [(0, "finish 0"), (143, "finish 0"), (3, "finish 0"), (137, "finish 137")] {
        let mut pod = running();
        stopping(&mut pod, &["drop-launches", "stop app"]);
        check(&mut pod, &[(asked("app"), &[]), (grace("app"), &["kill app"])]);
        check(&mut pod, &[(exited("app", exit_code), &["cleanup"]), (Event::Cleaned, &[expected])]);
    }
    // Also where its end is reported only while the containers are removed.
    for (late, expected) in [(Some(0), "finish 0"), (Some(137), "finish 137"), (None, "finish 137")] {
        let mut pod = running();
        stopping(&mut pod, &["drop-launches", "stop app"]);
        check(&mut pod, &[(Event::Deadline(Deadline::Budget), &["kill app"])]);
        check(&mut pod, &[(Event::Deadline(Deadline::Kill), &["cleanup"])]);
        if let Some(exit_code) = late {
            check(&mut pod, &[(exited("app", exit_code), &[])]);
        }
        check(&mut pod, &[(Event::Cleaned, &[expected])]);
    }
}

#[test]
fn a_kill_for_a_restart_is_none_of_the_pods_end() {
    let mut pod = running();
    check(
        &mut pod,
        &[(Event::Restart(name("app")), &["stop app"]), (asked("app"), &[]), (grace("app"), &["kill app"])],
    );
    stopping(&mut pod, &["drop-launches"]);
    check(&mut pod, &[(exited("app", 137), &["cleanup"]), (Event::Cleaned, &["finish 0"])]);
}

#[test]
fn a_stop_signal_that_kills_is_an_end_as_asked_for() {
    let mut pod = running();
    stopping(&mut pod, &["drop-launches", "stop app"]);
    // `stop_signal: SIGKILL`, and its exit is reported before its delivery.
    check(&mut pod, &[(exited("app", 137), &["cleanup"]), (Event::Cleaned, &["finish 0"])]);
}

#[test]
fn what_an_engine_that_shuts_down_has_killed_was_killed() {
    for (exit_code, expected) in [(137, "finish 137"), (0, "finish 0"), (143, "finish 0")] {
        let mut pod = running();
        check(&mut pod, &[(Event::Signal(15), &["ask-signal 15"]), (Event::EngineLeaves, &["leave-engine"])]);
        check(
            &mut pod,
            &[
                (
                    Event::SignalDecided { signal: 15, decision: SignalDecision::Forward },
                    &["drop-launches", "stop app"],
                ),
                (exited("app", exit_code), &["cleanup"]),
                (Event::Cleaned, &[expected]),
            ],
        );
    }
}

#[test]
fn a_component_that_is_seen_to_have_ended_needs_no_exit_code() {
    let mut pod = pod(&[], &[("db", &[]), ("app", &[("db", Condition::Started)])]);
    let vanished = |raw, run| Event::Vanished { name: name(raw), run };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db"]),
            (launched("db"), &["launch app"]),
            (launched("app"), &["started"]),
            // While the pod goes on, the engine is waited for, which knows the exit code.
            (vanished("app", 1), &[]),
        ],
    );
    assert!(pod.alive(&name("app")));
    stopping(&mut pod, &["drop-launches", "stop app"]);
    check(
        &mut pod,
        &[
            (vanished("app", 2), &[]),
            (vanished("app", 1), &["stop db"]),
            (exited("app", 137), &[]),
            (vanished("db", 1), &["cleanup"]),
            (Event::Cleaned, &["finish 0"]),
        ],
    );
    assert_eq!(pod.node(&name("db")).unwrap().exit_code, None);
}

/// `app` has ended with 7, and `web` runs.
fn app_has_failed() -> Pod {
    let mut pod = pod(&[], &[("app", &[]), ("web", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app", "launch web"]),
            (launched("app"), &[]),
            (launched("web"), &["started"]),
            (exited("app", 7), &["ask app 7"]),
        ],
    );
    pod
}

#[test]
fn the_first_signal_while_a_component_ends_the_pod_does_not_kill_the_others() {
    let mut pod = app_has_failed();
    check(
        &mut pod,
        &[
            (decided("app", Reaction::AsPlanned), &["drop-launches", "stop web"]),
            (Event::Signal(15), &[]),
            (Event::Signal(15), &["kill web"]),
            (exited("web", 137), &["cleanup"]),
            (Event::Cleaned, &["finish 7"]),
        ],
    );
}

#[test]
fn the_time_of_a_stop_that_a_component_begins_is_bounded_too() {
    let mut pod = app_has_failed();
    let actions = pod.step(decided("app", Reaction::AsPlanned));
    assert_eq!(armed(&actions, &Deadline::Budget), Some(Duration::from_secs(8)));
    check(
        &mut pod,
        &[(Event::Deadline(Deadline::Budget), &["kill web"]), (Event::Deadline(Deadline::Kill), &["cleanup"])],
    );
}

#[test]
fn a_plugins_signal_goes_only_to_components_with_a_process() {
    let mut pod =
        pod(&[], &[("db", &[]), ("app", &[("db", Condition::Started)]), ("web", &[("app", Condition::Started)])]);
    check(&mut pod, &[(Event::Begin, &["launch db"]), (launched("db"), &["launch app"])]);
    let to_all = ["db", "app", "web", "nobody"].map(|raw| (ComponentName::new(raw).unwrap(), 1)).to_vec();
    let deliver = || Event::SignalDecided { signal: 1, decision: SignalDecision::Deliver(to_all.clone()) };
    // One is being launched, one waits, one does not exist.
    check(&mut pod, &[(deliver(), &["send db 1"]), (launched("app"), &["launch web"])]);
    check(&mut pod, &[(deliver(), &["send db 1", "send app 1"]), (exited("app", 0), &["ask app 0"])]);
    check(&mut pod, &[(deliver(), &["send db 1"])]);
}

#[test]
fn a_shell_that_passes_no_signal_on_is_reported_once() {
    let mut pod = running();
    let unpassed = || Event::Unpassed { name: name("app"), what: "has the main process `sh`".to_owned() };
    let warned = pod.step(unpassed());
    assert_eq!(warned, [Action::Warn("component `app` has the main process `sh`".to_owned())]);
    assert_eq!(pod.step(unpassed()), []);
}
