//! Restarts, jobs, probes, steps around start and stop, and the drain.

use super::*;
use crate::pod::life::{LifecycleAction, LifecycleStep, Probe, ProbeCheck, RestartScope, RestartWhen, Unready};
use crate::probe::{ProbeKind, Verdict};

/// A pod of these components, as they are.
pub(super) fn of(components: Vec<Planned>) -> Pod {
    plan(Vec::new(), components, Duration::ZERO)
}

pub(super) fn plan(init: Vec<Planned>, components: Vec<Planned>, drain: Duration) -> Pod {
    Pod::new(&Plan {
        ipc_donor: None,
        init,
        components,
        budget: crate::plan::budget::Budget::default(),
        stop_budget: Duration::from_secs(8),
        drain,
        life: Life::default(),
        warnings: Vec::new(),
    })
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

#[test]
fn no_pause_is_so_short_that_the_engine_does_nothing_else() {
    let quick = RestartPolicy { delay: Duration::from_millis(1), ..restarting(RestartWhen::Always) };
    let mut pod = of(vec![with("app", |it| it.restart = quick)]);
    check(
        &mut pod,
        &[(Event::Begin, &["launch app"]), (launched("app"), &["started"]), (exited("app", 0), &["ask app 0"])],
    );
    let actions = pod.step(decided("app", Reaction::AsPlanned));
    assert_eq!(armed(&actions, &Deadline::BackOff(name("app"))), Some(Duration::from_millis(100)));
}

#[test]
fn pauses_double_up_to_the_longest_and_begin_again_after_a_quiet_time() {
    let mut pod = of(vec![with("app", |it| it.restart = restarting(RestartWhen::OnFailure))]);
    let back_off = Deadline::BackOff(name("app"));
    check(&mut pod, &[(Event::Begin, &["launch app"])]);
    let proven = pod.step(launched("app"));
    assert_eq!(armed(&proven, &Deadline::Proven(name("app"))), Some(RestartPolicy::RESET_AFTER));
    let mut pauses = Vec::new();
    for _ in 0..5 {
        check(&mut pod, &[(exited("app", 1), &["ask app 1"])]);
        pauses.extend(armed(&pod.step(decided("app", Reaction::AsPlanned)), &back_off).map(|it| it.as_secs()));
        check(&mut pod, &[(due("app"), &["relaunch app"]), (launched("app"), &[])]);
    }
    assert_eq!(pauses, [1, 2, 4, 5, 5]);
    check(&mut pod, &[(Event::Deadline(Deadline::Proven(name("app"))), &[]), (exited("app", 1), &["ask app 1"])]);
    assert_eq!(armed(&pod.step(decided("app", Reaction::AsPlanned)), &back_off), Some(Duration::from_secs(1)));
    // A timer of a run that is over says nothing about the next one.
    check(&mut pod, &[(Event::Deadline(Deadline::Proven(name("app"))), &[])]);
    assert_eq!(pod.node(&name("app")).unwrap().restarts, 5);
}

#[test]
fn a_success_is_no_failure_and_only_named_codes_count() {
    for (when, codes, exit_code, again) in [
        (RestartWhen::OnFailure, vec![], 0, false),
        (RestartWhen::OnFailure, vec![], 1, true),
        (RestartWhen::Always, vec![], 0, true),
        (RestartWhen::Never, vec![], 1, false),
        (RestartWhen::OnFailure, vec![(3, 5), (9, 9)], 4, true),
        (RestartWhen::OnFailure, vec![(3, 5), (9, 9)], 9, true),
        (RestartWhen::OnFailure, vec![(3, 5), (9, 9)], 6, false),
        (RestartWhen::Always, vec![(0, 0)], 1, false),
    ] {
        let policy = RestartPolicy { exit_codes: codes.clone(), ..restarting(when) };
        let mut pod = of(vec![with("app", |it| it.restart = policy)]);
        check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
        let _asked = pod.step(exited("app", exit_code));
        let actions = pod.step(decided("app", Reaction::AsPlanned));
        assert_eq!(armed(&actions, &Deadline::BackOff(name("app"))).is_some(), again, "{when:?} {codes:?} {exit_code}");
        assert_eq!(pod.stage() == Stage::Cleaning, !again);
    }
}

#[test]
fn what_is_given_up_ends_the_pod_where_it_is_essential() {
    for essential in [true, false] {
        let policy = RestartPolicy { max_attempts: Some(1), ..restarting(RestartWhen::Always) };
        let mut pod = of(vec![
            with("app", |it| {
                it.restart = policy;
                it.essential = essential;
            }),
            planned("web", &[]),
        ]);
        check(
            &mut pod,
            &[(Event::Begin, &["launch app", "launch web"]), (launched("app"), &[]), (launched("web"), &["started"])],
        );
        check(&mut pod, &[(exited("app", 3), &["ask app 3"]), (decided("app", Reaction::AsPlanned), &[])]);
        check(&mut pod, &[(due("app"), &["relaunch app"]), (launched("app"), &[]), (exited("app", 3), &["ask app 3"])]);
        let actions = pod.step(decided("app", Reaction::AsPlanned));
        assert!(warnings(&actions)[0].contains("given up after 1 restarts"), "{actions:?}");
        if essential {
            assert_eq!(short(&actions), ["drop-launches", "stop web"]);
            check(&mut pod, &[(exited("web", 0), &["cleanup"]), (Event::Cleaned, &["finish 3"])]);
        } else {
            assert_eq!((short(&actions), pod.stage()), (vec![], Stage::Running));
            assert!(pod.node(&name("app")).unwrap().gone_without());
        }
        assert_eq!(pod.failed(), [name("app")]);
    }
}

#[test]
fn a_pod_of_which_nothing_is_left_ends_with_the_last_one() {
    let side = |raw| with(raw, |it| it.essential = false);
    let mut pod = of(vec![side("a"), side("b")]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch a", "launch b"]),
            (launched("a"), &[]),
            (launched("b"), &["started"]),
            (exited("a", 1), &["ask a 1"]),
            (decided("a", Reaction::AsPlanned), &[]),
            (exited("b", 0), &["ask b 0"]),
            (decided("b", Reaction::AsPlanned), &["drop-launches", "cleanup"]),
            (Event::Cleaned, &["finish 0"]),
        ],
    );
}

#[test]
fn a_job_lets_the_others_begin_and_its_failure_ends_the_pod() {
    let job = || with("job", |it| it.job = true);
    let app = |required| after("app", "job", Dependency { required, ..Dependency::on(Condition::Completed) });
    let mut pod = of(vec![job(), app(true)]);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch job"]),
            (launched("job"), &[]),
            (exited("job", 0), &["ask job 0"]),
            (decided("job", Reaction::AsPlanned), &["launch app"]),
            (launched("app"), &["started"]),
        ],
    );
    let mut pod = of(vec![job(), app(true)]);
    let failing = [(Event::Begin, &["launch job"][..]), (launched("job"), &[]), (exited("job", 7), &["ask job 7"])];
    check(&mut pod, &failing);
    check(
        &mut pod,
        &[(decided("job", Reaction::AsPlanned), &["drop-launches", "cleanup"]), (Event::Cleaned, &["finish 7"])],
    );
    let mut pod = of(vec![job(), app(false)]);
    check(&mut pod, &failing);
    let actions = pod.step(decided("job", Reaction::AsPlanned));
    assert_eq!(short(&actions), ["launch app"]);
    assert!(warnings(&actions).iter().any(|what| what.contains("`app` starts without `job`")), "{actions:?}");
}

#[test]
fn nobody_waits_for_what_cannot_happen() {
    // It has ended with success, and will never be healthy: that is no success of the pod.
    let mut pod =
        of(vec![with("db", |it| it.essential = false), after("app", "db", Dependency::on(Condition::Healthy))]);
    let checked = Event::Launched { name: name("db"), checked: true };
    check(&mut pod, &[(Event::Begin, &["launch db"]), (checked, &[]), (exited("db", 0), &["ask db 0"])]);
    check(&mut pod, &[(decided("db", Reaction::AsPlanned), &["drop-launches", "cleanup"])]);
    assert_eq!(
        end(&mut pod).to_string(),
        "component `app` waits for `db` to be healthy, which can't happen any more: it has ended"
    );
    // What the pod does not have at all is only ever wished for.
    let wished = Dependency { required: false, ..Dependency::on(Condition::Started) };
    let mut pod = of(vec![after("app", "cache", wished)]);
    check(&mut pod, &[(Event::Begin, &["launch app"])]);
}

#[test]
fn dependents_follow_a_restart_once_it_is_through() {
    let follows = Dependency { restart: true, ..Dependency::on(Condition::Healthy) };
    let mut pod = of(vec![
        with("db", |it| it.restart = restarting(RestartWhen::Always)),
        after("app", "db", follows),
        after("web", "db", Dependency::on(Condition::Started)),
    ]);
    let up = || Event::Launched { name: name("db"), checked: true };
    let healthy = || Event::Health { name: name("db"), run: None, health: EngineHealth::Healthy };
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch db"]),
            (up(), &["launch web"]),
            (healthy(), &["tell-health Healthy", "launch app"]),
            (launched("web"), &[]),
            (launched("app"), &["started"]),
            (exited("db", 1), &["ask db 1"]),
            (decided("db", Reaction::AsPlanned), &[]),
            (due("db"), &["relaunch db"]),
            (up(), &[]),
            (healthy(), &["tell-health Healthy", "stop app"]),
            (exited("app", 0), &["relaunch app"]),
            (launched("app"), &[]),
            (healthy(), &["tell-health Healthy"]),
        ],
    );
}

#[test]
fn a_pod_restarts_in_place_in_reverse_order_with_its_init_components() {
    let policy = RestartPolicy { scope: RestartScope::Pod, ..restarting(RestartWhen::OnFailure) };
    let app = with("app", |it| {
        it.restart = policy;
        it.depends_on = vec![(name("db"), Dependency::on(Condition::Started))];
    });
    let web = after("web", "app", Dependency::on(Condition::Started));
    let mut pod = plan(vec![planned("init-1", &[])], vec![planned("db", &[]), app, web], Duration::ZERO);
    check(
        &mut pod,
        &[
            (Event::Begin, &["launch init-1"]),
            (launched("init-1"), &[]),
            (exited("init-1", 0), &["launch db"]),
            (launched("db"), &["launch app"]),
            (launched("app"), &["launch web"]),
            (launched("web"), &["started"]),
            (exited("app", 1), &["ask app 1"]),
            (decided("app", Reaction::AsPlanned), &["stop web"]),
        ],
    );
    assert_eq!(pod.stage(), Stage::Restarting);
    check(&mut pod, &[(exited("web", 0), &["stop db"])]);
    let actions = pod.step(exited("db", 0));
    assert_eq!(armed(&actions, &Deadline::PodBackOff), Some(Duration::from_secs(1)));
    check(
        &mut pod,
        &[
            (Event::Deadline(Deadline::PodBackOff), &["relaunch init-1"]),
            (launched("init-1"), &[]),
            (exited("init-1", 0), &["relaunch db"]),
            (launched("db"), &["relaunch app"]),
            (launched("app"), &["relaunch web"]),
            // Watches and ticks have been going on all the time.
            (launched("web"), &[]),
        ],
    );
    assert_eq!(pod.stage(), Stage::Running);
}

#[test]
fn a_signal_ends_a_restart_in_place() {
    let policy = RestartPolicy { scope: RestartScope::Pod, ..restarting(RestartWhen::Always) };
    let mut pod = of(vec![with("app", |it| it.restart = policy)]);
    check(
        &mut pod,
        &[(Event::Begin, &["launch app"]), (launched("app"), &["started"]), (exited("app", 1), &["ask app 1"])],
    );
    check(&mut pod, &[(decided("app", Reaction::AsPlanned), &[])]);
    assert_eq!(short(&stop(&mut pod)), ["ask-signal 15", "drop-launches", "cleanup"]);
    check(&mut pod, &[(Event::Deadline(Deadline::PodBackOff), &[]), (Event::Cleaned, &["finish 0"])]);
}

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
    let mut pod = of(vec![
        with("db", |it| it.restart = restarting(RestartWhen::Always)),
        planned("app", &[("db", Condition::Healthy)]),
    ]);
    let healthy = |run| Event::Health { name: name("db"), run: Some(run), health: EngineHealth::Healthy };
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
    assert_eq!(warnings(&told), ["the pod is not up yet: `app` waits for `db` to be healthy"]);
    assert_eq!(armed(&told, &Deadline::Patience), Some(Duration::from_secs(60)));
    let healthy = Event::Health { name: name("db"), run: None, health: EngineHealth::Healthy };
    check(&mut pod, &[(healthy, &["tell-health Healthy", "launch app"]), (launched("app"), &["started"])]);
    assert_eq!(pod.step(Event::Deadline(Deadline::Patience)), []);
}

#[test]
fn a_process_that_does_not_die_does_not_hold_up_the_pod() {
    let pod_of = |essential| of(vec![with("db", |it| it.essential = essential), planned("app", &[])]);
    let killed = |pod: &mut Pod| {
        check(
            pod,
            &[(Event::Begin, &["launch db", "launch app"]), (launched("db"), &[]), (launched("app"), &["started"])],
        );
        check(pod, &[(Event::Restart(name("db")), &["stop db"]), (asked("db"), &[])]);
        let actions = pod.step(Event::Deadline(Deadline::Grace(name("db"))));
        assert!(actions.contains(&Action::Kill(name("db"))), "{actions:?}");
        assert_eq!(armed(&actions, &Deadline::Dead(name("db"))), Some(Duration::from_secs(10)));
        pod.step(Event::Deadline(Deadline::Dead(name("db"))))
    };
    let mut pod = pod_of(true);
    let actions = killed(&mut pod);
    assert!(
        actions.contains(&Action::DropLaunches) && actions.contains(&Action::Stop { name: name("app"), run: 1 }),
        "{actions:?}"
    );
    // It was killed already; the other one has its time.
    check(
        &mut pod,
        &[
            (exited("app", 143), &[]),
            (Event::Deadline(Deadline::Budget), &[]),
            (Event::Deadline(Deadline::Kill), &["cleanup"]),
        ],
    );
    let outcome = end(&mut pod);
    assert!(outcome.to_string().contains("`db` was killed, and its process has not ended in 10s"), "{outcome}");
    let mut pod = pod_of(false);
    let actions = killed(&mut pod);
    assert!(warnings(&actions)[0].contains("`db` was killed") && actions.len() == 1, "{actions:?}");
    // One that has ended in time is of no concern.
    check(&mut pod, &[(exited("db", 137), &["relaunch db"]), (Event::Deadline(Deadline::Dead(name("db"))), &[])]);
}

#[test]
fn a_launch_that_fails_is_tried_again_where_the_policy_says_so() {
    let no_image = || Event::LaunchFailed { name: name("app"), reason: "no image".to_owned() };
    let mut pod = of(vec![with("app", |it| {
        it.restart = RestartPolicy { max_attempts: Some(1), ..restarting(RestartWhen::OnFailure) }
    })]);
    check(&mut pod, &[(Event::Begin, &["launch app"]), (no_image(), &[]), (due("app"), &["launch app"])]);
    check(&mut pod, &[(no_image(), &["drop-launches", "cleanup"])]);
    let outcome = end(&mut pod);
    assert_eq!(
        (outcome.exit_code(), outcome.to_string().as_str()),
        (125, "component `app` could not be started: no image")
    );
    // There is nothing to be looked at.
    assert_eq!(pod.failed(), []);
    // One that is not essential is gone without.
    let mut pod = of(vec![with("app", |it| it.essential = false), planned("web", &[])]);
    check(
        &mut pod,
        &[(Event::Begin, &["launch app", "launch web"]), (no_image(), &[]), (launched("web"), &["started"])],
    );
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

#[test]
fn a_pod_is_not_started_again_beside_what_lives() {
    let policy = restarting(RestartWhen::OnFailure);
    let db = with("db", |it| it.restart = RestartPolicy { scope: RestartScope::Pod, ..policy });
    let mut pod = plan(Vec::new(), vec![db, planned("web", &[])], Duration::from_secs(1));
    check(&mut pod, &[(Event::Begin, &["launch db", "launch web"]), (launched("web"), &[])]);
    let failed = Event::LaunchFailed { name: name("db"), reason: "no".to_owned() };
    assert!(short(&pod.step(failed)).contains(&"stop web".to_owned()));
    check(&mut pod, &[(Event::Deadline(Deadline::PodBackOff), &[])]);
    assert!(armed(&pod.step(exited("web", 0)), &Deadline::PodBackOff).is_some());
    check(&mut pod, &[(Event::Deadline(Deadline::PodBackOff), &["launch db", "relaunch web"])]);
}

#[test]
fn a_dead_donor_is_started_again() {
    let mut pod = running();
    let pauses = |pod: &mut Pod| match pod.step(Event::DonorEnded).as_slice() {
        [_, Action::ReviveDonor { after }, ..] => after.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!([0; 4].map(|_| pauses(&mut pod)), [0, 1, 2, 4]);
    check(&mut pod, &[(Event::Deadline(Deadline::DonorProven), &[])]);
    assert_eq!(pauses(&mut pod), 0);
    let _stopping = stop(&mut pod);
    check(&mut pod, &[(Event::DonorEnded, &[])]);
}

proptest::proptest! {
    /// Whatever happens, in whatever order: no launch once the pod stops, no second launch of what may be alive, one end at most, and nothing
    /// cleaned up that may be alive, unless the engine did not answer a kill.
    #[test]
    fn invariants_hold_whatever_happens(choices in proptest::collection::vec((0_usize..24, 0_usize..4, 0_u64..4), 1..120)) {
        let policy = |scope| RestartPolicy { scope, max_attempts: Some(2), ..restarting(RestartWhen::OnFailure) };
        let names = ["init-1", "db", "app", "web"];
        let mut pod = plan(
            vec![planned("init-1", &[])],
            vec![
                with("db", |it| {
                    it.restart = policy(RestartScope::Pod);
                    it.post_start = vec![step()];
                }),
                with("app", |it| {
                    it.restart = policy(RestartScope::Component);
                    it.probes = Probes { liveness: Some(readiness(Unready::Unhealthy)), ..Probes::default() };
                    it.depends_on = vec![(name("db"), Dependency { restart: true, ..Dependency::on(Condition::Healthy) })];
                    it.pre_stop = vec![step()];
                }),
                with("web", |it| {
                    it.essential = false;
                    it.depends_on = vec![(name("app"), Dependency { required: false, ..Dependency::on(Condition::Healthy) })];
                }),
            ],
            Duration::from_secs(1),
        );
        let (mut stopping, mut finished, mut forced) = (false, false, false);
        for (choice, which, run) in choices {
            let raw = names[which];
            let event = match choice {
                0 => Event::Begin,
                1..=3 => launched(raw),
                4 => Event::Launched { name: name(raw), checked: true },
                5 => exited(raw, 0),
                6 => exited(raw, 9),
                7 | 8 => decided(raw, Reaction::AsPlanned),
                9 => decided(raw, Reaction::Ignore),
                10 => due(raw),
                11 => Event::Health { name: name(raw), run: None, health: EngineHealth::Healthy },
                12 => Event::Signal(15),
                13 => Event::SignalDecided { signal: 15, decision: SignalDecision::Forward },
                14 => Event::Restart(name(raw)),
                15 => Event::LaunchFailed { name: name(raw), reason: "no".to_owned() },
                16 => Event::Deadline(Deadline::Budget),
                17 => Event::Settled { name: name(raw), run, outcome: Ok(()) },
                18 => Event::Settled { name: name(raw), run, outcome: Err("no".to_owned()) },
                19 => probed(raw, run, Verdict::Failed { kind: ProbeKind::Liveness, reason: "no".to_owned() }),
                20 => Event::Deadline(Deadline::PodBackOff),
                21 => Event::Deadline(Deadline::Drain),
                22 => {
                    forced = true;
                    Event::Deadline(Deadline::Kill)
                }
                _ => Event::Cleaned,
            };
            // Only what is being launched is ever reported as launched.
            let launching = pod.node(&name(raw)).is_some_and(|node| node.phase == Phase::Launching);
            if matches!(event, Event::Launched { .. }) && !launching {
                continue;
            }
            let before: Vec<_> = names.iter().map(|raw| pod.alive(&name(raw))).collect();
            let actions = pod.step(event);
            stopping |= pod.stage() >= Stage::Stopping;
            for action in &actions {
                if let Action::Launch(launched) | Action::Relaunch(launched) = action {
                    proptest::prop_assert!(!stopping);
                    let index = names.iter().position(|raw| launched == &name(raw)).unwrap();
                    let itself = index == which && matches!(choice, 5 | 6);
                    proptest::prop_assert!(!before[index] || itself, "{launched} is launched twice");
                }
                if matches!(action, Action::Cleanup { .. }) {
                    proptest::prop_assert!(forced || names.iter().all(|raw| !pod.alive(&name(raw))));
                }
                if matches!(action, Action::Finish(_)) {
                    proptest::prop_assert!(!finished);
                    finished = true;
                }
            }
        }
    }
}
