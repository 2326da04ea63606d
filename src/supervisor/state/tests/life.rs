//! Restarts, jobs and what depends on them.

use super::parts::*;
use super::*;
use crate::pod::life::{RestartScope, RestartWhen, Unready};
use crate::probe::{ProbeKind, Verdict};

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
    let mut pod = of(vec![restarts("app", RestartWhen::OnFailure)]);
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
        assert!(warnings(&actions)[0].contains("is not restarted any more after 1 restart"), "{actions:?}");
        assert!(!warnings(&actions)[0].contains("1 restarts"), "{actions:?}");
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
        "component `app` waits for `db` to be healthy, which is no longer possible: that component has ended"
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
        restarts("db", RestartWhen::Always),
        after("app", "db", follows),
        after("web", "db", Dependency::on(Condition::Started)),
    ]);
    let up = || Event::Launched { name: name("db"), checked: true };
    let healthy = || Event::Health { name: name("db"), run: None, health: EngineHealth::Healthy, finding: None };
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
fn a_process_that_does_not_die_does_not_hold_up_the_pod() {
    let pod_of = |essential| of(vec![with("db", |it| it.essential = essential), planned("app", &[])]);
    let killed = |pod: &mut Pod| {
        check(
            pod,
            &[(Event::Begin, &["launch db", "launch app"]), (launched("db"), &[]), (launched("app"), &["started"])],
        );
        check(pod, &[(Event::Restart(name("db")), &["stop db"]), (asked("db"), &[])]);
        let actions = pod.step(Event::Deadline(Deadline::Grace(name("db"))));
        assert!(short(&actions).contains(&"kill db".to_owned()), "{actions:?}");
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
    assert!(outcome.to_string().contains("`db` was killed, but its process has not ended within 10s"), "{outcome}");
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
                11 => Event::Health { name: name(raw), run: None, health: EngineHealth::Healthy, finding: None },
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
