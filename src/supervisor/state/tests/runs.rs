//! The beginning and the end of each run, from which all tasks beside a process follow.

use super::*;
use crate::supervisor::events::RunEnd;

/// The runs that these actions begin and end, and the questions about the engine.
fn runs(actions: &[Action]) -> Vec<String> {
    let text = |action: &Action| match action {
        Action::RunBegan { name, run } => Some(format!("began {name} {run}")),
        Action::RunEnded { name, end: RunEnd::Exited { code, .. } } => Some(format!("ended {name} {code}")),
        Action::RunEnded { name, end: RunEnd::Vanished } => Some(format!("vanished {name}")),
        Action::SeekEngine => Some("seek engine".to_owned()),
        Action::LeaveEngine => Some("leave engine".to_owned()),
        _ => None,
    };
    actions.iter().filter_map(text).collect()
}

fn follow(pod: &mut Pod, story: &[(Event, &[&str])]) {
    for (index, (event, expected)) in story.iter().enumerate() {
        assert_eq!(runs(&pod.step(event.clone())), *expected, "event {index}: {event:?}");
    }
}

fn restarting_pod() -> Pod {
    let mut app = planned("app", &[]);
    app.restart = parts::restarting(crate::pod::life::RestartWhen::Always);
    let life = Life { settle: Duration::ZERO, ..Life::default() };
    Pod::new(&Plan { life, ..bare(Vec::new(), vec![app]) })
}

#[test]
fn each_run_begins_and_ends_once() {
    let mut pod = restarting_pod();
    let back_off = || Event::Deadline(Deadline::BackOff(name("app")));
    follow(
        &mut pod,
        &[
            (Event::Begin, &[]),
            (launched("app"), &["began app 1"]),
            (exited("app", 3), &["ended app 3"]),
            // Reported twice: by the event, and by the look after a reconnection.
            (exited("app", 3), &[]),
            (decided("app", Reaction::AsPlanned), &[]),
            (back_off(), &[]),
            (Event::LaunchFailed { name: name("app"), reason: "no".to_owned() }, &[]),
            (back_off(), &[]),
            (launched("app"), &["began app 3"]),
        ],
    );
}

#[test]
fn an_exit_before_the_news_of_the_launch_ends_the_run_after_its_beginning() {
    let mut pod = pod(&[], &[("app", &[])]);
    follow(
        &mut pod,
        &[(Event::Begin, &[]), (exited("app", 7), &[]), (launched("app"), &["began app 1", "ended app 7"])],
    );
    assert_eq!(pod.node(&name("app")).unwrap().exit_code, Some(7));
}

#[test]
fn a_run_that_ended_unseen_does_not_end_again() {
    let mut pod = running();
    let vanished = |run| Event::Vanished { name: name("app"), run };
    follow(
        &mut pod,
        &[
            (vanished(1), &[]),
            (Event::Signal(15), &["seek engine"]),
            (Event::SignalDecided { signal: 15, decision: SignalDecision::Forward }, &[]),
            (vanished(2), &[]),
            (vanished(1), &["vanished app"]),
            (vanished(1), &[]),
            (exited("app", 0), &[]),
        ],
    );
}

#[test]
fn the_engine_is_sought_at_each_stop_signal_and_left_once() {
    let mut pod = running();
    follow(
        &mut pod,
        &[
            (Event::Signal(1), &[]),
            (Event::Signal(15), &["seek engine"]),
            (Event::EngineLeaves, &["leave engine"]),
            (Event::EngineLeaves, &[]),
            (Event::Signal(2), &["seek engine"]),
        ],
    );
}
