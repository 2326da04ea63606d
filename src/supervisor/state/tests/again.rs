//! Restarts, to the last detail: which failures count, what begins anew, and what a stop makes of it.

use super::parts::{after, armed, due, end, of, probed, readiness, restarting, restarts, stop, with};
use super::*;
use crate::pod::life::{RestartScope, RestartWhen};
use crate::probe::{ProbeKind, Verdict};

#[test]
fn a_failed_probe_is_a_failure_whatever_exit_codes_has() {
    for code in [0, 143, 3] {
        let policy = RestartPolicy { exit_codes: vec![(7, 7)], ..restarting(RestartWhen::OnFailure) };
        let mut pod = of(vec![with("app", |it| {
            it.restart = policy;
            it.probes = Probes { liveness: Some(readiness(Unready::Unhealthy)), ..Probes::default() };
        })]);
        let failed = Verdict::Failed { kind: ProbeKind::Liveness, reason: "no".to_owned() };
        check(
            &mut pod,
            &[
                (Event::Begin, &["launch app"]),
                (launched("app"), &["probe app 1", "started"]),
                (probed("app", 1, failed), &["stop app"]),
            ],
        );
        let _asked = pod.step(exited("app", code));
        let actions = pod.step(decided("app", Reaction::AsPlanned));
        assert!(armed(&actions, &Deadline::BackOff(name("app"))).is_some(), "{code}: {actions:?}");
        check(&mut pod, &[(due("app"), &["relaunch app"])]);
    }
}

#[test]
fn a_component_that_waits_for_its_restart_has_not_run_long_enough() {
    let mut pod = of(vec![restarts("app", RestartWhen::OnFailure)]);
    let back_off = Deadline::BackOff(name("app"));
    check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
    let _asked = pod.step(exited("app", 1));
    assert_eq!(armed(&pod.step(decided("app", Reaction::AsPlanned)), &back_off), Some(Duration::from_secs(1)));
    // The timer of the run that is over runs out in the pause.
    check(&mut pod, &[(Event::Deadline(Deadline::Proven(name("app"))), &[]), (due("app"), &["relaunch app"])]);
    let _launched = pod.step(launched("app"));
    let _asked = pod.step(exited("app", 1));
    assert_eq!(armed(&pod.step(decided("app", Reaction::AsPlanned)), &back_off), Some(Duration::from_secs(2)));
}

#[test]
fn dependents_follow_a_restart_while_the_pod_still_starts() {
    let follows = Dependency { restart: true, ..Dependency::on(Condition::Started) };
    let mut pod = of(vec![restarts("db", RestartWhen::Always), after("app", "db", follows), planned("slow", &[])]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db", "launch slow"]),
            (launched("db"), &["launch app"]),
            (launched("app"), &[]),
            (exited("db", 1), &["ask db 1"]),
            (decided("db", Reaction::AsPlanned), &[]),
            (due("db"), &["relaunch db"]),
        ],
    );
    assert_eq!(pod.stage(), Stage::Starting);
    check(&mut pod, &[(launched("db"), &["stop app"]), (exited("app", 0), &["relaunch app"])]);
}

#[test]
fn a_job_runs_again_before_those_that_wait_for_it_when_the_pod_starts_again_in_place() {
    let policy = RestartPolicy { scope: RestartScope::Pod, ..restarting(RestartWhen::OnFailure) };
    let app = with("app", |it| {
        it.restart = policy;
        it.depends_on = vec![(name("job"), Dependency::on(Condition::Completed))];
    });
    // What waits is looked at before what it waits for.
    let mut pod = of(vec![app, with("job", |it| it.job = true)]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch job"]),
            (launched("job"), &[]),
            (exited("job", 0), &["ask job 0"]),
            (decided("job", Reaction::AsPlanned), &["launch app"]),
            (launched("app"), &["started"]),
            (exited("app", 1), &["ask app 1"]),
            (decided("app", Reaction::AsPlanned), &[]),
            (Event::Deadline(Deadline::PodBackOff), &["relaunch job"]),
            (launched("job"), &[]),
            (exited("job", 0), &["ask job 0"]),
            (decided("job", Reaction::AsPlanned), &["relaunch app"]),
        ],
    );
}

#[test]
fn a_launch_that_fails_while_the_pod_stops_is_no_end_to_be_judged() {
    let mut pod = of(vec![restarts("app", RestartWhen::Always), planned("web", &[])]);
    check(&mut pod, &[(Event::Begin, &["launch app", "launch web"]), (launched("web"), &[])]);
    let _stopping = stop(&mut pod);
    let actions = pod.step(Event::LaunchFailed { name: name("app"), reason: "no".to_owned() });
    assert_eq!((short(&actions), armed(&actions, &Deadline::BackOff(name("app")))), (vec![], None));
    check(&mut pod, &[(exited("web", 0), &["cleanup"])]);
    assert_eq!(end(&mut pod), Outcome::Interrupted { signal: 15 });
}

/// Whoever asked for a restart just before all components are started again has got it: the next end of that component is judged as any other.
#[test]
fn a_restart_that_was_asked_for_is_not_made_twice_when_the_pod_starts_again_in_place() {
    let policy = RestartPolicy { scope: RestartScope::Pod, ..restarting(RestartWhen::Always) };
    let mut pod = of(vec![planned("app", &[]), with("web", |it| it.restart = policy)]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app", "launch web"]),
            (launched("app"), &[]),
            (launched("web"), &["started"]),
            (Event::Restart(name("app")), &["stop app"]),
            (exited("web", 1), &["ask web 1"]),
        ],
    );
    let _again = pod.step(decided("web", Reaction::AsPlanned));
    check(
        &mut pod,
        &[
            (exited("app", 0), &[]),
            (Event::Deadline(Deadline::PodBackOff), &["relaunch app", "relaunch web"]),
            (launched("app"), &[]),
            (launched("web"), &[]),
            (exited("app", 3), &["ask app 3"]),
        ],
    );
}
