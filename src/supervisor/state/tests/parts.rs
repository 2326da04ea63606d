//! Pods, components and events that several tests are made of.

use super::*;
use crate::pod::life::{LifecycleAction, LifecycleStep, Probe, ProbeCheck, RestartWhen, Unready};
use crate::probe::Verdict;

/// A pod of these components, as they are.
pub(super) fn of(components: Vec<Planned>) -> Pod {
    plan(Vec::new(), components, Duration::ZERO)
}

pub(super) fn plan(init: Vec<Planned>, components: Vec<Planned>, drain: Duration) -> Pod {
    Pod::new(&Plan { drain, ..bare(init, components) })
}

pub(super) fn with(raw: &str, change: impl FnOnce(&mut Planned)) -> Planned {
    let mut planned = planned(raw, &[]);
    change(&mut planned);
    planned
}

pub(super) fn after(raw: &str, on: &str, dependency: Dependency) -> Planned {
    with(raw, |it| it.depends_on = vec![(name(on), dependency)])
}

pub(super) fn restarting(when: RestartWhen) -> RestartPolicy {
    RestartPolicy { delay: Duration::from_secs(1), max_delay: Duration::from_secs(5), ..RestartPolicy::new(when) }
}

pub(super) fn restarts(raw: &str, when: RestartWhen) -> Planned {
    with(raw, |it| it.restart = restarting(when))
}

pub(super) fn readiness(unready: Unready) -> Probe {
    Probe {
        check: ProbeCheck::Tcp { host: "127.0.0.1".to_owned(), port: 80 },
        initial_delay: Duration::ZERO,
        period: Duration::from_secs(10),
        start_interval: None,
        timeout: Duration::from_secs(1),
        success_threshold: 1,
        failure_threshold: 3,
        unready,
    }
}

pub(super) fn step() -> LifecycleStep {
    LifecycleStep { action: LifecycleAction::Sleep(Duration::from_secs(1)), timeout: None }
}

pub(super) fn probed(raw: &str, run: u64, verdict: Verdict) -> Event {
    Event::Probed { name: name(raw), run, verdict }
}

pub(super) fn due(raw: &str) -> Event {
    Event::Deadline(Deadline::BackOff(name(raw)))
}

pub(super) fn stop(pod: &mut Pod) -> Vec<Action> {
    let mut actions = pod.step(Event::Signal(15));
    actions.extend(pod.step(Event::SignalDecided { signal: 15, decision: SignalDecision::Forward }));
    actions
}

/// Everything has been removed: how the pod ends.
pub(super) fn end(pod: &mut Pod) -> Outcome {
    let mut actions = pod.step(Event::Cleaned);
    match (actions.pop(), actions.is_empty()) {
        (Some(Action::Finish(outcome)), true) => outcome,
        other => panic!("{other:?}"),
    }
}

/// How long the timer of this kind is set for.
pub(super) fn armed(actions: &[Action], wanted: &Deadline) -> Option<Duration> {
    actions.iter().find_map(|action| match action {
        Action::Arm(deadline, after) if deadline == wanted => Some(*after),
        _ => None,
    })
}

pub(super) fn warnings(actions: &[Action]) -> Vec<String> {
    let warned = |action: &Action| if let Action::Warn(what) = action { Some(what.clone()) } else { None };
    actions.iter().filter_map(warned).collect()
}
