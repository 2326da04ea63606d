//! Kills with and without a want of memory.

use super::*;
use crate::plan::budget::{Budget, BudgetRow, HeldBy, Resource};
use crate::supervisor::events::MemoryLimits;

const MIB: i64 = 1 << 20;

fn ends(exit_code: i32, oom: Oom) -> Event {
    Event::Exited { name: name("app"), exit_code, oom }
}

/// A pod of `app` alone, running, with these limits.
fn limited(limits: MemoryLimits, held_by: HeldBy) -> Pod {
    let mut app = planned("app", &[]);
    app.container.host.memory = limits.own;
    let row = BudgetRow { resource: Resource::Memory, pod: limits.pod, components: Vec::new() };
    let budget = Budget { held_by, rows: vec![row], ..Budget::default() };
    let mut pod = Pod::new(&Plan { budget, ..bare(Vec::new(), vec![app]) });
    check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
    pod
}

/// How the pod ends after this exit of `app`.
fn outcome(mut pod: Pod, exit: Event) -> String {
    let _asked = pod.step(exit);
    let _stopping = pod.step(decided("app", Reaction::AsPlanned));
    pod.step(Event::Cleaned)
        .into_iter()
        .find_map(|action| match action {
            Action::Finish(outcome) => Some(outcome.to_string()),
            _ => None,
        })
        .unwrap()
}

#[test]
fn the_message_of_a_starved_component_names_the_limits_that_hold() {
    for (own, pod, held_by, told) in [
        (Some(20 * MIB), None, HeldBy::Apart, "`mem_limit` 20m"),
        (None, None, HeldBy::Together, "it has no `mem_limit` of its own"),
        (None, Some(90 * MIB), HeldBy::Together, "it has no `mem_limit` of its own; the limit of the pod is 90m"),
        (Some(20 * MIB), Some(90 * MIB), HeldBy::Together, "`mem_limit` 20m; the limit of the pod is 90m"),
        // Divided: what the component has got is what counts.
        (Some(45 * MIB), Some(90 * MIB), HeldBy::Apart, "`mem_limit` 45m"),
    ] {
        let running = limited(MemoryLimits { own, pod }, held_by);
        let expected = format!("component `app` was killed because memory ran out (137; {told})");
        assert_eq!(outcome(running, ends(137, Oom::AtTheEnd)), expected);
    }
}

#[test]
fn memory_that_ran_out_earlier_is_an_additional_clause() {
    for (oom, clause) in
        [(Oom::Never, ""), (Oom::Earlier, "; a process of it was killed earlier because memory ran out")]
    {
        for code in [0, 3, 137] {
            let running = limited(MemoryLimits::default(), HeldBy::Together);
            assert_eq!(outcome(running, ends(code, oom)), format!("component `app` exited with code {code}{clause}"));
        }
    }
    // Whose process that was is not known then.
    let together = MemoryLimits { own: None, pod: Some(90 * MIB) };
    let told = outcome(limited(together, HeldBy::Together), ends(3, Oom::Earlier));
    assert_eq!(
        told,
        "component `app` exited with code 3; a process of the pod was killed earlier because memory ran out"
    );
}

#[test]
fn a_kill_by_the_controller_is_never_for_want_of_memory() {
    for oom in [Oom::Earlier, Oom::AtTheEnd] {
        let mut pod = running();
        let _asked = pod.step(Event::Signal(15));
        let _stopping = pod.step(Event::SignalDecided { signal: 15, decision: SignalDecision::Forward });
        let _graced = pod.step(asked("app"));
        let killed = pod.step(Event::Deadline(Deadline::Grace(name("app"))));
        assert_eq!(short(&killed), ["kill app"]);
        let _over = pod.step(ends(137, oom));
        assert!(matches!(pod.node(&name("app")).unwrap().shortage, Shortage::Earlier(_)), "{oom:?}");
        assert_eq!(short(&pod.step(Event::Cleaned)), ["finish 137"]);
    }
}

#[test]
fn plugins_hear_of_a_want_of_memory_only_if_it_was_the_cause() {
    for (oom, expected) in [(Oom::Never, false), (Oom::Earlier, false), (Oom::AtTheEnd, true)] {
        let asked = running().step(ends(137, oom));
        let told = |action: &Action| matches!(action, Action::Ask { oom_killed, .. } if *oom_killed == expected);
        assert!(asked.iter().any(told), "{oom:?}: {asked:?}");
    }
}
