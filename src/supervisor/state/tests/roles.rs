//! `role: job` and `role: sidecar`.

use super::parts::{after, armed, due, end, of, restarting, stop, with};
use super::*;
use crate::pod::life::{RestartScope, RestartWhen, Role};

fn job(raw: &str) -> Planned {
    with(raw, |it| {
        it.role = Role::Job;
        it.job = true;
    })
}

fn sidecar(raw: &str) -> Planned {
    with(raw, |it| {
        it.role = Role::Sidecar;
        it.essential = false;
        it.restart = RestartPolicy { delay: Duration::from_secs(1), ..Role::Sidecar.restart() };
    })
}

/// Of a pod that has begun: all run.
fn up(components: Vec<Planned>) -> Pod {
    let names: Vec<String> = components.iter().map(|it| it.name.to_string()).collect();
    let mut pod = of(components);
    let _launches = pod.step(Event::Begin);
    for raw in names {
        let _up = pod.step(launched(&raw));
    }
    assert_eq!(pod.stage(), Stage::Running);
    pod
}

fn ends(pod: &mut Pod, raw: &str, code: i32) -> Vec<Action> {
    let mut actions = pod.step(exited(raw, code));
    actions.extend(pod.step(decided(raw, Reaction::AsPlanned)));
    actions
}

#[test]
fn the_pod_ends_once_all_jobs_have_ended_with_the_first_failure() {
    for (codes, decides) in [([0, 0], 0), ([4, 0], 4), ([0, 5], 5), ([4, 5], 4)] {
        let mut pod = up(vec![job("one"), job("two"), sidecar("proxy")]);
        assert_eq!(short(&ends(&mut pod, "one", codes[0])), [format!("ask one {}", codes[0])]);
        assert_eq!(pod.stage(), Stage::Running);
        let last = ends(&mut pod, "two", codes[1]);
        assert_eq!(short(&last)[1..], ["drop-launches", "stop proxy"]);
        check(&mut pod, &[(exited("proxy", 143), &["cleanup"])]);
        assert_eq!(end(&mut pod).exit_code(), decides, "{codes:?}");
        assert!(!pod.failed().contains(&name("proxy")));
    }
}

#[test]
fn a_job_is_tried_again_first_and_counts_as_it_ended_last() {
    let again = |raw| {
        with(raw, |it| {
            it.role = Role::Job;
            it.job = true;
            it.restart = RestartPolicy { max_attempts: Some(1), ..restarting(RestartWhen::OnFailure) };
        })
    };
    for (second, decides) in [(0, 0), (8, 8)] {
        let mut pod = up(vec![again("work")]);
        assert!(armed(&ends(&mut pod, "work", 7), &Deadline::BackOff(name("work"))).is_some());
        check(&mut pod, &[(due("work"), &["relaunch work"]), (launched("work"), &[])]);
        assert_eq!(short(&ends(&mut pod, "work", second))[1..], ["drop-launches", "cleanup"]);
        assert_eq!(end(&mut pod).exit_code(), decides);
    }
}

#[test]
fn a_job_that_failed_before_a_restart_in_place_counts_as_it_ends_after_it() {
    let app = with("app", |it| {
        it.restart = RestartPolicy { scope: RestartScope::Pod, ..restarting(RestartWhen::OnFailure) };
    });
    for (second, decides) in [(0, 0), (8, 8)] {
        let mut pod = up(vec![job("one"), job("two"), app.clone()]);
        assert_eq!(short(&ends(&mut pod, "one", 4)), ["ask one 4"]);
        assert_eq!(short(&ends(&mut pod, "app", 1))[1..], ["stop two"]);
        let _stopped = pod.step(exited("two", 143));
        let again = &["relaunch one", "relaunch two", "relaunch app"];
        check(&mut pod, &[(Event::Deadline(Deadline::PodBackOff), again)]);
        for raw in ["one", "two", "app"] {
            check(&mut pod, &[(launched(raw), &[])]);
        }
        assert_eq!(short(&ends(&mut pod, "one", 0)), ["ask one 0"]);
        assert_eq!(short(&ends(&mut pod, "two", second))[1..], ["drop-launches", "stop app"]);
        check(&mut pod, &[(exited("app", 143), &["cleanup"])]);
        assert_eq!(end(&mut pod).exit_code(), decides);
    }
}

#[test]
fn a_plugin_that_ignores_the_end_of_a_job_does_not_keep_the_pod_up() {
    let mut pod = up(vec![job("work"), sidecar("proxy")]);
    check(
        &mut pod,
        &[(exited("work", 3), &["ask work 3"]), (decided("work", Reaction::Ignore), &["drop-launches", "stop proxy"])],
    );
}

#[test]
fn a_job_that_another_needs_and_that_fails_ends_the_pod() {
    let mut report = job("report");
    report.depends_on = vec![(name("load"), Dependency::on(Condition::Completed))];
    let mut pod = of(vec![job("load"), report]);
    check(&mut pod, &[(Event::Begin, &["launch load"]), (launched("load"), &[]), (exited("load", 6), &["ask load 6"])]);
    check(&mut pod, &[(decided("load", Reaction::AsPlanned), &["drop-launches", "cleanup"])]);
    assert_eq!(end(&mut pod), Outcome::Component { name: name("load"), code: 6, shortage: Shortage::None });
}

#[test]
fn other_components_of_a_pod_with_jobs_end_it_as_ever() {
    let mut pod = up(vec![job("work"), planned("app", &[])]);
    assert_eq!(short(&ends(&mut pod, "app", 0))[1..], ["drop-launches", "stop work"]);
}

#[test]
fn a_sidecar_never_ends_the_pod_and_never_keeps_it_up() {
    let once = with("once", |it| {
        it.role = Role::Sidecar;
        it.essential = false;
    });
    let mut pod = up(vec![sidecar("proxy"), once, job("work")]);
    let actions = ends(&mut pod, "proxy", 0);
    assert_eq!(armed(&actions, &Deadline::BackOff(name("proxy"))), Some(Duration::from_secs(1)));
    check(&mut pod, &[(due("proxy"), &["relaunch proxy"]), (launched("proxy"), &[])]);
    // One that is not started again leaves the pod as it is, with whatever code.
    assert_eq!((short(&ends(&mut pod, "once", 9)), pod.stage()), (vec!["ask once 9".to_owned()], Stage::Running));
    assert_eq!(short(&ends(&mut pod, "work", 0))[1..], ["drop-launches", "stop proxy"]);
    // Beside a component that is not essential, too, it keeps nothing up.
    let mut pod = up(vec![sidecar("proxy"), with("app", |it| it.essential = false)]);
    assert_eq!(short(&ends(&mut pod, "app", 0))[1..], ["drop-launches", "stop proxy"]);
}

#[test]
fn sidecars_stop_after_the_others_and_among_themselves_in_reverse() {
    let mut second = sidecar("second");
    second.depends_on = vec![(name("first"), Dependency::on(Condition::Started))];
    let mut pod = up(vec![sidecar("first"), second, planned("app", &[]), planned("web", &[])]);
    assert_eq!(short(&stop(&mut pod)), ["ask-signal 15", "drop-launches", "stop app", "stop web"]);
    check(
        &mut pod,
        &[
            (exited("app", 0), &[]),
            (exited("web", 0), &["stop second"]),
            (exited("second", 0), &["stop first"]),
            (exited("first", 143), &["cleanup"]),
            (Event::Cleaned, &["finish 0"]),
        ],
    );
}

#[test]
fn a_sidecar_that_starts_after_a_component_stops_before_it() {
    // Two such pairs, side by side: none waits for the other pair.
    let of_app = |raw: &str, on: &str| Planned {
        depends_on: after(raw, on, Dependency::on(Condition::Started)).depends_on,
        ..sidecar(raw)
    };
    let mut pod =
        up(vec![planned("a", &[]), planned("b", &[]), of_app("of-a", "a"), of_app("of-b", "b"), sidecar("of-all")]);
    assert_eq!(short(&stop(&mut pod)), ["ask-signal 15", "drop-launches", "stop of-a", "stop of-b"]);
    check(
        &mut pod,
        &[
            (exited("of-a", 0), &["stop a"]),
            (exited("of-b", 0), &["stop b"]),
            (exited("a", 0), &[]),
            (exited("b", 0), &["stop of-all"]),
        ],
    );
}

#[test]
fn a_sidecar_that_only_waited_for_a_component_to_complete_stops_last() {
    let mut proxy = sidecar("proxy");
    proxy.depends_on = vec![(name("prepare"), Dependency::on(Condition::Completed))];
    let mut pod = of(vec![with("prepare", |it| it.job = true), proxy, planned("app", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch prepare", "launch app"]),
            (launched("app"), &[]),
            (launched("prepare"), &[]),
            (exited("prepare", 0), &["ask prepare 0"]),
            (decided("prepare", Reaction::AsPlanned), &["launch proxy"]),
            (launched("proxy"), &["started"]),
        ],
    );
    assert_eq!(short(&stop(&mut pod)), ["ask-signal 15", "drop-launches", "stop app"]);
    check(&mut pod, &[(exited("app", 0), &["stop proxy"])]);
}
