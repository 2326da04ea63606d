//! Probes, steps around start and stop, and the drain.

use super::parts::*;
use super::*;
use crate::pod::life::{RestartWhen, Unready};
use crate::probe::{ProbeKind, Verdict};

#[test]
fn it_counts_as_started_only_after_its_steps() {
    let mut pod = of(vec![
        with("app", |it| {
            it.post_start = vec![step()];
            it.probes = Probes { readiness: Some(readiness(Unready::Unhealthy)), ..Probes::default() };
        }),
        after("web", "app", Dependency::on(Condition::Started)),
    ]);
    let settled = |run, outcome| Event::Settled { name: name("app"), run, outcome };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app"]),
            (launched("app"), &["settle app 1"]),
            (settled(9, Ok(())), &[]),
            (settled(1, Ok(())), &["probe app 1", "launch web"]),
        ],
    );
}

#[test]
fn a_step_that_fails_makes_a_failed_component() {
    let mut pod = of(vec![with("app", |it| {
        it.post_start = vec![step()];
        it.pre_stop = vec![step()];
    })]);
    let failed = Event::Settled { name: name("app"), run: 1, outcome: Err("no".to_owned()) };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app"]),
            (launched("app"), &["settle app 1"]),
            (failed, &["stop app"]),
            (exited("app", 0), &["ask app 0"]),
            (decided("app", Reaction::AsPlanned), &["drop-launches", "cleanup"]),
        ],
    );
    let outcome = end(&mut pod);
    assert_eq!(
        (outcome.exit_code(), outcome.to_string().as_str()),
        (125, "component `app` failed its `post_start`: no")
    );
    assert_eq!(pod.failed(), [name("app")]);
}

#[test]
fn what_comes_before_the_stop_has_its_time_within_the_grace() {
    let mut pod = of(vec![with("app", |it| it.pre_stop = vec![step()])]);
    check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
    let actions = stop(&mut pod);
    assert_eq!(short(&actions), ["ask-signal 15", "drop-launches", "part app 1"]);
    assert_eq!(armed(&actions, &Deadline::Parting(name("app"))), Some(Duration::from_secs(3)));
    assert!(
        actions.iter().any(|it| matches!(it, Action::Part { within, .. } if *within == Duration::from_millis(2250)))
    );
    let parted = |run| Event::Parted { name: name("app"), run, took: Duration::from_millis(1200) };
    check(&mut pod, &[(asked("app"), &[]), (parted(2), &[]), (parted(1), &["stop app"]), (parted(1), &[])]);
    // The rest of the grace period runs once the signal is delivered; the timer of what came before says nothing any more.
    check(&mut pod, &[(Event::Deadline(Deadline::Parting(name("app"))), &[])]);
    assert_eq!(armed(&pod.step(asked("app")), &Deadline::Grace(name("app"))), Some(Duration::from_millis(1800)));
    check(&mut pod, &[(asked("app"), &[]), (exited("app", 0), &["cleanup"])]);
    // If it took all of the grace period, a quarter of that, or 2 s, still belongs to the process.
    for (grace, left) in [(3000, 750), (30_000, 2000)] {
        let mut pod = of(vec![with("app", |it| {
            it.pre_stop = vec![step()];
            it.grace = Duration::from_millis(grace);
        })]);
        check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
        let _stopping = stop(&mut pod);
        let late = Event::Parted { name: name("app"), run: 1, took: Duration::from_millis(grace) };
        check(&mut pod, &[(late, &["stop app"])]);
        let of_app = Deadline::Grace(name("app"));
        assert_eq!(armed(&pod.step(asked("app")), &of_app), Some(Duration::from_millis(left)), "{grace}");
    }
    // One that hangs is killed with its grace, and one that has ended by itself has nothing to do.
    let mut pod = of(vec![with("app", |it| it.pre_stop = vec![step()])]);
    check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
    let _stopping = stop(&mut pod);
    check(&mut pod, &[(Event::Deadline(Deadline::Parting(name("app"))), &["kill app"]), (parted(1), &[])]);
    let mut pod = of(vec![with("app", |it| it.pre_stop = vec![step()])]);
    check(
        &mut pod,
        &[(Event::Begin, &["launch app"]), (launched("app"), &["started"]), (exited("app", 0), &["ask app 0"])],
    );
    check(&mut pod, &[(decided("app", Reaction::AsPlanned), &["drop-launches", "cleanup"])]);
}

#[test]
fn readiness_holds_waves_back_and_tells_health() {
    let mut pod = of(vec![
        with("app", |it| it.probes = Probes { readiness: Some(readiness(Unready::Degraded)), ..Probes::default() }),
        after("web", "app", Dependency::on(Condition::Healthy)),
    ]);
    let unready = || Verdict::Unready { reason: "503".to_owned() };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app"]),
            (launched("app"), &["probe app 1"]),
            (probed("app", 1, Verdict::Started), &[]),
            (probed("app", 1, unready()), &["tell-health Degraded"]),
            (probed("app", 7, Verdict::Ready), &[]),
            (probed("app", 1, Verdict::Ready), &["tell-health Healthy", "launch web"]),
            (launched("web"), &["started"]),
            (probed("app", 1, unready()), &["tell-health Degraded"]),
        ],
    );
}

#[test]
fn a_dead_component_is_stopped_and_its_policy_decides() {
    let failed = |run| {
        probed("app", run, Verdict::Failed { kind: ProbeKind::Liveness, reason: "connection refused".to_owned() })
    };
    let liveness = || Probes { liveness: Some(readiness(Unready::Unhealthy)), ..Probes::default() };
    let mut pod = of(vec![with("app", |it| {
        it.probes = liveness();
        it.restart = restarting(RestartWhen::OnFailure);
    })]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch app"]),
            (launched("app"), &["probe app 1", "started"]),
            (failed(1), &["stop app"]),
            // It ended as told, and failed all the same.
            (exited("app", 0), &["ask app 0"]),
            (decided("app", Reaction::AsPlanned), &[]),
            (due("app"), &["relaunch app"]),
            (failed(1), &[]),
            (launched("app"), &["probe app 2"]),
            (failed(1), &[]),
        ],
    );
    let mut pod = of(vec![with("app", |it| it.probes = liveness())]);
    check(
        &mut pod,
        &[(Event::Begin, &["launch app"]), (launched("app"), &["probe app 1", "started"]), (failed(1), &["stop app"])],
    );
    check(
        &mut pod,
        &[(exited("app", 143), &["ask app 143"]), (decided("app", Reaction::AsPlanned), &["drop-launches", "cleanup"])],
    );
    let outcome = end(&mut pod);
    assert_eq!(outcome.to_string(), "component `app` failed its liveness probe: connection refused");
    // Not the 143 of having been asked to stop, which would look like a stop from outside.
    assert_eq!(outcome.exit_code(), 125);
}

#[test]
fn news_of_an_earlier_run_are_passed_over() {
    let mut pod = of(vec![restarts("db", RestartWhen::Always), planned("app", &[("db", Condition::Healthy)])]);
    let healthy =
        |run| Event::Health { name: name("db"), run: Some(run), health: EngineHealth::Healthy, finding: None };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db"]),
            (Event::Launched { name: name("db"), checked: true }, &[]),
            (exited("db", 0), &["ask db 0"]),
            (decided("db", Reaction::AsPlanned), &[]),
            (due("db"), &["relaunch db"]),
            (Event::Launched { name: name("db"), checked: true }, &[]),
            (healthy(1), &[]),
            (healthy(2), &["tell-health Healthy", "launch app"]),
        ],
    );
}

#[test]
fn it_is_told_who_waits_for_what_ever_more_rarely() {
    let app = [("db", Condition::Healthy), ("web", Condition::Started)];
    let mut pod = of(vec![planned("db", &[]), planned("web", &[]), planned("app", &app)]);
    let began = pod.step(Event::Begin);
    assert_eq!(armed(&began, &Deadline::Patience), Some(Duration::from_secs(30)));
    check(&mut pod, &[(Event::Launched { name: name("db"), checked: true }, &[]), (launched("web"), &[])]);
    let told = pod.step(Event::Deadline(Deadline::Patience));
    assert_eq!(warnings(&told), ["the pod is still starting: `app` waits for `db` to be healthy"]);
    assert_eq!(armed(&told, &Deadline::Patience), Some(Duration::from_secs(60)));
    let healthy = Event::Health { name: name("db"), run: None, health: EngineHealth::Healthy, finding: None };
    check(&mut pod, &[(healthy, &["tell-health Healthy", "launch app"]), (launched("app"), &["started"])]);
    assert_eq!(pod.step(Event::Deadline(Deadline::Patience)), []);
}

#[test]
fn a_pod_drains_before_it_stops_and_a_second_signal_cuts_that_short() {
    let drained = || {
        let mut pod = plan(Vec::new(), vec![planned("app", &[])], Duration::from_secs(4));
        check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
        let actions = stop(&mut pod);
        assert_eq!(short(&actions), ["ask-signal 15", "drop-launches"]);
        assert_eq!(armed(&actions, &Deadline::Drain), Some(Duration::from_secs(4)));
        assert_eq!(pod.stage(), Stage::Stopping);
        pod
    };
    check(&mut drained(), &[(Event::Deadline(Deadline::Drain), &["stop app"]), (exited("app", 0), &["cleanup"])]);
    check(&mut drained(), &[(Event::Signal(15), &["stop app"]), (Event::Signal(15), &["kill app"])]);
    check(
        &mut drained(),
        &[(exited("app", 0), &["cleanup"]), (Event::Deadline(Deadline::Drain), &[]), (Event::Cleaned, &["finish 0"])],
    );
    check(&mut drained(), &[(Event::Deadline(Deadline::Budget), &["kill app"])]);
    // What ends by itself has nobody to wait for.
    let mut pod = plan(Vec::new(), vec![planned("app", &[]), planned("web", &[])], Duration::from_secs(4));
    check(
        &mut pod,
        &[(Event::Begin, &["launch app", "launch web"]), (launched("app"), &[]), (launched("web"), &["started"])],
    );
    check(
        &mut pod,
        &[(exited("app", 1), &["ask app 1"]), (decided("app", Reaction::AsPlanned), &["drop-launches", "stop web"])],
    );
}
