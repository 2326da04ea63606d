//! When the pod is healthy for the first time, what a crash means soon after that and later, and how long a start may take.

use super::parts::{armed, due, end, probed, readiness, restarting, restarts, step, warnings, with};
use super::*;
use crate::admin::status::HealthState;
use crate::plan::life::StartDeadline;
use crate::pod::life::{RestartScope, RestartWhen, Role};
use crate::probe::{ProbeKind, Verdict};

const SECOND: Duration = Duration::from_secs(1);

fn life() -> Life {
    Life {
        min_ready: 2 * SECOND,
        start: Some(StartDeadline { base: 60 * SECOND, declared: vec![(name("app"), 5 * SECOND)] }),
        settle: 10 * SECOND,
        repair_budget: 60 * SECOND,
        declared: 5 * SECOND,
    }
}

fn pod_with(life: Life, init: Vec<Planned>, components: Vec<Planned>) -> Pod {
    Pod::new(&Plan { life, ..bare(init, components) })
}

fn of(components: Vec<Planned>) -> Pod {
    pod_with(life(), Vec::new(), components)
}

fn ready(raw: &str, run: u64) -> Event {
    Event::Deadline(Deadline::Ready(name(raw), run))
}

fn healthy(raw: &str) -> Event {
    Event::Health { name: name(raw), run: None, health: EngineHealth::Healthy, finding: None }
}

fn state(pod: &Pod) -> HealthState {
    pod.verdict().state
}

fn reasons(pod: &Pod) -> String {
    pod.verdict().reasons.join("\n")
}

fn take(pod: &mut Pod, events: Vec<Event>) -> Vec<Action> {
    events.into_iter().flat_map(|event| pod.step(event)).collect()
}

fn crashes(pod: &mut Pod, raw: &str, code: i32) -> Vec<Action> {
    take(pod, vec![exited(raw, code), decided(raw, Reaction::AsPlanned)])
}

/// `app`, which restarts, has just been healthy for the first time.
fn fresh() -> Pod {
    let mut pod = of(vec![restarts("app", RestartWhen::Always)]);
    let actions = take(&mut pod, vec![Event::Begin, launched("app"), ready("app", 1)]);
    assert_eq!(armed(&actions, &Deadline::Settled), Some(10 * SECOND), "{actions:?}");
    assert_eq!(state(&pod), HealthState::Healthy);
    pod
}

/// The same, some time later.
fn settled() -> Pod {
    let mut pod = fresh();
    assert_eq!(pod.step(Event::Deadline(Deadline::Settled)), []);
    pod
}

#[test]
fn a_pod_is_healthy_only_once_its_component_has_run_for_a_while() {
    let mut pod = of(vec![restarts("app", RestartWhen::Always)]);
    let _launch = pod.step(Event::Begin);
    let actions = pod.step(launched("app"));
    assert_eq!(armed(&actions, &Deadline::Ready(name("app"), 1)), Some(2 * SECOND));
    assert_eq!(state(&pod), HealthState::Starting);
    assert!(reasons(&pod).contains("has not run for 2s (`min_ready`) yet"), "{}", reasons(&pod));
    // It crashes before, again and again: that is never healthy, not in the pause either.
    for run in 1..5 {
        let _backing_off = crashes(&mut pod, "app", 1);
        assert_eq!(state(&pod), HealthState::Starting, "{run}");
        let _again = take(&mut pod, vec![due("app"), launched("app"), ready("app", run)]);
        assert_eq!(state(&pod), HealthState::Starting, "the timer of run {run} says nothing about the next");
    }
    assert_eq!(armed(&pod.step(ready("app", 5)), &Deadline::Settled), Some(10 * SECOND));
    assert_eq!(state(&pod), HealthState::Healthy);
    let mut pod =
        pod_with(Life { min_ready: Duration::ZERO, ..life() }, Vec::new(), vec![restarts("app", RestartWhen::Always)]);
    let actions = take(&mut pod, vec![Event::Begin, launched("app")]);
    assert_eq!(armed(&actions, &Deadline::Settled), Some(10 * SECOND));
}

#[test]
fn checks_and_probes_show_that_a_component_is_up_and_no_time() {
    let probing = |change: &dyn Fn(&mut Probes)| {
        let mut probes = Probes::default();
        change(&mut probes);
        of(vec![with("app", |it| it.probes = probes.clone())])
    };
    let probe = || Some(readiness(Unready::Unhealthy));
    let begin = || vec![Event::Begin, launched("app")];
    let mut pod = probing(&|it| it.readiness = probe());
    let actions = take(&mut pod, begin());
    assert_eq!(armed(&actions, &Deadline::Ready(name("app"), 1)), None);
    let _started = pod.step(probed("app", 1, Verdict::Started));
    assert_eq!(state(&pod), HealthState::Starting);
    assert!(armed(&pod.step(probed("app", 1, Verdict::Ready)), &Deadline::Settled).is_some());
    let mut pod = probing(&|it| it.startup = probe());
    let _up = take(&mut pod, begin());
    assert_eq!(state(&pod), HealthState::Starting);
    assert!(armed(&pod.step(probed("app", 1, Verdict::Started)), &Deadline::Settled).is_some());
    // Nothing has been looked at when a liveness probe begins.
    let mut pod = probing(&|it| it.liveness = probe());
    let _up = take(&mut pod, begin());
    let _started = pod.step(probed("app", 1, Verdict::Started));
    assert_eq!(state(&pod), HealthState::Starting);
    assert!(armed(&pod.step(ready("app", 1)), &Deadline::Settled).is_some());
    let mut pod = of(vec![planned("app", &[])]);
    let _up = take(&mut pod, vec![Event::Begin, Event::Launched { name: name("app"), checked: true }]);
    assert_eq!(state(&pod), HealthState::Starting);
    assert!(armed(&pod.step(healthy("app")), &Deadline::Settled).is_some());
}

#[test]
fn checks_probes_and_plugins_say_what_they_say_in_one_form() {
    let probes = Probes { readiness: Some(readiness(Unready::Degraded)), ..Probes::default() };
    let app = with("app", |it| it.probes = probes.clone());
    let mut pod = of(vec![app, planned("db", &[])]);
    let db = Event::Launched { name: name("db"), checked: true };
    let _up = take(&mut pod, vec![Event::Begin, launched("app"), db, probed("app", 1, Verdict::Started)]);
    let said = |pod: &Pod| -> Vec<String> {
        let of = |it: crate::admin::status::Verdict| {
            let subject = it.subject.unwrap_or_else(|| "pod".to_owned());
            format!("{} {subject} {} {}: {}", it.check, it.kind, it.status, it.reason)
        };
        pod.verdicts().into_iter().map(of).collect()
    };
    let waits = "probe app readiness starting: the readiness probe has not succeeded yet";
    assert_eq!(said(&pod), [waits, "engine db health starting: the health check has not succeeded yet"]);
    let judgement = |component| judgement(component, crate::hooks::Status::Unhealthy, "no");
    let judgements = vec![judgement(None), judgement(Some(name("db")))];
    let judged = Event::Judged { plugin: PluginName::new("p").unwrap(), judgements };
    let unready = Verdict::Unready { reason: "503".to_owned() };
    let _told = take(&mut pod, vec![healthy("db"), probed("app", 1, unready), judged]);
    assert_eq!(
        said(&pod),
        [
            "probe app readiness degraded: the readiness probe fails: 503",
            "engine db health healthy: the health check succeeds",
            "plugin p db health unhealthy: no",
            "plugin p pod health unhealthy: no",
        ]
    );
}

#[test]
fn every_component_that_counts_is_waited_for_and_no_other() {
    let side = with("side", |it| it.essential = false);
    let proxy = with("proxy", |it| {
        it.role = Role::Sidecar;
        it.essential = false;
    });
    let app = with("app", |it| it.depends_on = vec![(name("job"), Dependency::on(Condition::Completed))]);
    let mut pod = of(vec![proxy, side, with("job", |it| it.job = true), app]);
    let _launches = take(&mut pod, vec![Event::Begin, launched("proxy"), launched("side"), launched("job")]);
    let _up = take(&mut pod, vec![ready("proxy", 1), exited("job", 0), decided("job", Reaction::AsPlanned)]);
    assert_eq!(state(&pod), HealthState::Starting);
    let actions = take(&mut pod, vec![launched("app"), ready("app", 1)]);
    assert!(armed(&actions, &Deadline::Settled).is_some(), "{}", reasons(&pod));
}

#[test]
fn one_that_was_up_and_is_down_when_the_last_one_comes_up_is_waited_for() {
    let mut pod = of(vec![restarts("app", RestartWhen::Always), planned("db", &[])]);
    let db = Event::Launched { name: name("db"), checked: true };
    let _up = take(&mut pod, vec![Event::Begin, launched("app"), db, ready("app", 1)]);
    let _down = crashes(&mut pod, "app", 1);
    assert_eq!(armed(&pod.step(healthy("db")), &Deadline::Settled), None);
    assert_eq!(state(&pod), HealthState::Starting);
    let actions = take(&mut pod, vec![due("app"), launched("app"), ready("app", 2)]);
    assert!(armed(&actions, &Deadline::Settled).is_some());
}

fn judgement(component: Option<ComponentName>, status: crate::hooks::Status, reason: &str) -> Judgement {
    Judgement {
        component,
        check: String::new(),
        probe: crate::hooks::Probe::Liveness,
        status,
        reason: reason.to_owned(),
    }
}

#[test]
fn checks_of_a_plugin_count_each_for_itself() {
    use crate::hooks::{Probe, Status};
    let mut pod = fresh();
    let plugin = PluginName::new("p").unwrap();
    let mut judge = |check: &str, probe, status| {
        let judgement = Judgement { check: check.to_owned(), probe, ..judgement(Some(name("app")), status, check) };
        pod.judge(plugin.clone(), judgement);
        let node = pod.node(&name("app")).unwrap();
        pod.health_of(&name("app"), node).map(|health| (health.state, health.reasons.join(",")))
    };
    let unwell = judge("disk", Probe::Liveness, Status::Unhealthy).unwrap();
    assert_eq!(unwell.0, HealthState::Unhealthy);
    assert!(unwell.1.contains("plugin `p/disk`: disk"), "{}", unwell.1);
    let still = judge("net", Probe::Liveness, Status::Healthy).unwrap();
    assert_eq!(still.0, HealthState::Unhealthy, "another check of the plugin does not outweigh it");
    let well = judge("disk", Probe::Liveness, Status::Healthy).unwrap();
    assert_ne!(well.0, HealthState::Unhealthy);
    let starts = judge("warm", Probe::Startup, Status::Unhealthy).unwrap();
    assert_eq!(starts.0, HealthState::Starting);
    let started = judge("warm", Probe::Startup, Status::Healthy).unwrap();
    assert_ne!(started.0, HealthState::Starting);
    let stays = judge("warm", Probe::Startup, Status::Unhealthy).unwrap();
    assert_eq!(stays, started, "a start that is complete stays complete");
    pod.forget_startup(&name("app"));
    let plugin = PluginName::new("p").unwrap();
    let again = Judgement { probe: Probe::Startup, ..judgement(Some(name("app")), Status::Unhealthy, "the next run") };
    pod.judge(plugin, again);
    let verdicts = pod.verdicts();
    assert!(verdicts.iter().any(|it| it.kind == "startup" && it.status == HealthState::Starting));
}

#[test]
fn an_unready_judgement_counts_as_an_unready_probe() {
    use crate::hooks::{Probe, Status};
    let mut pod = fresh();
    let unready = Judgement { probe: Probe::Readiness, ..judgement(None, Status::Unhealthy, "no") };
    pod.judge(PluginName::new("p").unwrap(), unready);
    let verdict = pod.verdicts().into_iter().find(|it| it.check == "plugin p").unwrap();
    let expected = match Unready::default() {
        Unready::Unhealthy => HealthState::Unhealthy,
        Unready::Degraded => HealthState::Degraded,
    };
    assert_eq!((verdict.kind.as_str(), verdict.status), ("readiness", expected));
}

#[test]
fn a_plugin_that_judges_the_pod_holds_the_first_verdict_back() {
    let judged = |status| Event::Judged {
        plugin: PluginName::new("p").unwrap(),
        judgements: vec![judgement(None, status, "because")],
    };
    let mut pod = of(vec![planned("app", &[])]);
    let actions =
        take(&mut pod, vec![Event::Begin, judged(crate::hooks::Status::Unhealthy), launched("app"), ready("app", 1)]);
    assert_eq!(armed(&actions, &Deadline::Settled), None);
    assert!(armed(&pod.step(judged(crate::hooks::Status::Degraded)), &Deadline::Settled).is_some());
}

#[test]
fn a_crash_soon_after_the_first_healthy_verdict_ends_the_pod() {
    let mut pod = fresh();
    let actions = crashes(&mut pod, "app", 7);
    assert_eq!(short(&actions), ["ask app 7", "drop-launches", "cleanup"]);
    assert!(warnings(&actions)[0].starts_with("component `app` is not restarted"), "{actions:?}");
    assert_eq!(end(&mut pod), Outcome::Component { name: name("app"), code: 7, shortage: Shortage::None });
    assert_eq!(pod.failed(), [name("app")]);
    // A failed probe is a crash too.
    let mut pod = of(vec![with("app", |it| {
        it.restart = restarting(RestartWhen::OnFailure);
        it.probes = Probes { liveness: Some(readiness(Unready::Unhealthy)), ..Probes::default() };
    })]);
    let _up = take(&mut pod, vec![Event::Begin, launched("app"), probed("app", 1, Verdict::Started), ready("app", 1)]);
    let failed = Verdict::Failed { kind: ProbeKind::Liveness, reason: "no".to_owned() };
    assert_eq!(short(&pod.step(probed("app", 1, failed))), ["stop app"]);
    assert_eq!(short(&crashes(&mut pod, "app", 0))[1..], ["drop-launches", "cleanup"]);
    assert_eq!(end(&mut pod).to_string(), "component `app` failed its liveness probe: no");
}

#[test]
fn a_component_that_should_run_on_and_ends_with_0_has_failed_while_the_pod_settles() {
    let mut pod = fresh();
    assert_eq!(short(&crashes(&mut pod, "app", 0))[1..], ["drop-launches", "cleanup"]);
    let outcome = end(&mut pod);
    assert_eq!(outcome.exit_code(), 125);
    assert!(outcome.to_string().starts_with("component `app` exited with code 0 within 10s (`settle`)"), "{outcome}");
}

#[test]
fn what_is_no_crash_does_not_end_a_pod_that_settles() {
    let quiet = |change: &dyn Fn(&mut Planned)| {
        let mut pod = of(vec![
            planned("web", &[]),
            with("app", |it| {
                it.restart = restarting(RestartWhen::Always);
                change(it);
            }),
        ]);
        let _up =
            take(&mut pod, vec![Event::Begin, launched("web"), launched("app"), ready("web", 1), ready("app", 1)]);
        assert!(pod.settling);
        pod
    };
    let not_essential = |it: &mut Planned| it.essential = false;
    let sidecar = |it: &mut Planned| {
        it.role = Role::Sidecar;
        it.essential = false;
    };
    let job = |it: &mut Planned| {
        it.role = Role::Job;
        it.job = true;
        it.restart = restarting(RestartWhen::OnFailure);
    };
    for (what, change, code) in [
        ("one that is not essential", &not_essential as &dyn Fn(&mut Planned), 1),
        ("a sidecar's success", &sidecar, 0),
        ("a retry of the pod's work", &job, 1),
    ] {
        let mut pod = quiet(change);
        let actions = crashes(&mut pod, "app", code);
        assert!(armed(&actions, &Deadline::BackOff(name("app"))).is_some(), "{what}: {actions:?}");
    }
    // Somebody killed it; for want of memory it is its own doing.
    let killed = |oom| Event::Exited { name: name("app"), exit_code: 137, oom };
    for oom in [Oom::Never, Oom::Earlier, Oom::AtTheEnd] {
        let mut pod = quiet(&|_| {});
        let actions = take(&mut pod, vec![killed(oom), decided("app", Reaction::AsPlanned)]);
        assert_eq!(armed(&actions, &Deadline::BackOff(name("app"))).is_some(), oom != Oom::AtTheEnd);
    }
    // A sidecar that fails takes the others with it.
    let mut pod = quiet(&sidecar);
    assert_eq!(short(&crashes(&mut pod, "app", 1))[1..], ["drop-launches", "stop web"]);
    // A rollout restarts what it likes.
    let mut pod = quiet(&|_| {});
    check(&mut pod, &[(Event::Restart(name("app")), &["stop app"]), (exited("app", 143), &["relaunch app"])]);
    // A plugin's word counts.
    let mut pod = quiet(&|_| {});
    let actions = take(&mut pod, vec![exited("app", 1), decided("app", Reaction::Restart(500))]);
    assert!(armed(&actions, &Deadline::BackOff(name("app"))).is_some());
    // With `settle: 0` there is no such time.
    let mut pod =
        pod_with(Life { settle: Duration::ZERO, ..life() }, Vec::new(), vec![restarts("app", RestartWhen::Always)]);
    let _up = take(&mut pod, vec![Event::Begin, launched("app"), ready("app", 1)]);
    assert!(armed(&crashes(&mut pod, "app", 1), &Deadline::BackOff(name("app"))).is_some());
}

#[test]
fn a_later_crash_is_repaired_and_the_pod_stays_healthy_for_the_engine_until_the_budget_is_over() {
    let mut pod = settled();
    let actions = crashes(&mut pod, "app", 1);
    assert_eq!(armed(&actions, &Deadline::Repair(name("app"), 1)), Some(60 * SECOND));
    assert_eq!(state(&pod), HealthState::Degraded);
    // It is not up as soon as it runs.
    let _running = take(&mut pod, vec![due("app"), launched("app")]);
    assert_eq!(state(&pod), HealthState::Degraded);
    assert_eq!(armed(&crashes(&mut pod, "app", 1), &Deadline::Repair(name("app"), 2)), None, "the time runs on");
    let told = pod.step(Event::Deadline(Deadline::Repair(name("app"), 1)));
    assert!(warnings(&told)[0].starts_with("component `app` is not up again"), "{told:?}");
    assert_eq!(state(&pod), HealthState::Unhealthy);
    let _running = take(&mut pod, vec![due("app"), launched("app")]);
    assert_eq!(state(&pod), HealthState::Unhealthy);
    let _up = pod.step(ready("app", 3));
    assert_eq!(state(&pod), HealthState::Healthy);
    // The next one has its own time, and a late timer of the first says nothing.
    let actions = crashes(&mut pod, "app", 1);
    assert_eq!(armed(&actions, &Deadline::Repair(name("app"), 3)), Some(60 * SECOND));
    assert_eq!(pod.step(Event::Deadline(Deadline::Repair(name("app"), 1))), []);
    assert_eq!(state(&pod), HealthState::Degraded);
}

#[test]
fn a_repair_has_the_time_that_the_components_own_start_may_take() {
    let slow = with("app", |it| {
        it.restart = restarting(RestartWhen::Always);
        it.start = 90 * SECOND;
        it.probes = Probes {
            startup: Some(readiness(Unready::Unhealthy)),
            readiness: Some(readiness(Unready::Unhealthy)),
            ..Probes::default()
        };
    });
    let mut pod = of(vec![slow]);
    let ready = [Verdict::Started, Verdict::Ready];
    let _up = take(&mut pod, vec![Event::Begin, launched("app")]);
    let _ready = take(&mut pod, ready.clone().map(|verdict| probed("app", 1, verdict)).to_vec());
    let _settled = pod.step(Event::Deadline(Deadline::Settled));
    let actions = crashes(&mut pod, "app", 1);
    assert_eq!(armed(&actions, &Deadline::Repair(name("app"), 1)), Some(150 * SECOND));
    // Neither a startup probe that has not succeeded nor a readiness probe that fails makes the pod unhealthy meanwhile.
    let _running = take(&mut pod, vec![due("app"), launched("app")]);
    assert_eq!(state(&pod), HealthState::Degraded);
    let unready = Verdict::Unready { reason: "503".to_owned() };
    let _probed = take(&mut pod, vec![probed("app", 2, Verdict::Started), probed("app", 2, unready.clone())]);
    assert_eq!(state(&pod), HealthState::Degraded);
    let _ready = pod.step(probed("app", 2, Verdict::Ready));
    assert_eq!(state(&pod), HealthState::Healthy);
    // One that runs, was ready, and is no more is not being repaired.
    let _unready = pod.step(probed("app", 2, unready));
    assert_eq!(state(&pod), HealthState::Unhealthy);
    // What the check of the image itself declares counts, too: it is known only once the component has started.
    let mut pod = settled();
    let _known = pod.step(Event::CheckKnown { name: name("app"), declared: 40 * SECOND });
    let actions = crashes(&mut pod, "app", 1);
    assert_eq!(armed(&actions, &Deadline::Repair(name("app"), 1)), Some(100 * SECOND));
    // Without a budget the repair may take as long as it likes.
    let mut pod = pod_with(
        Life { repair_budget: Duration::ZERO, ..life() },
        Vec::new(),
        vec![restarts("app", RestartWhen::Always)],
    );
    let _up = take(
        &mut pod,
        vec![Event::Begin, launched("app"), super::ready::ready("app", 1), Event::Deadline(Deadline::Settled)],
    );
    let actions = crashes(&mut pod, "app", 1);
    assert_eq!((armed(&actions, &Deadline::Repair(name("app"), 1)), state(&pod)), (None, HealthState::Degraded));
}

#[test]
fn a_restart_in_place_has_the_time_of_the_whole_start() {
    let mut pod = of(vec![
        planned("db", &[]),
        with("app", |it| {
            it.restart = RestartPolicy { scope: RestartScope::Pod, ..restarting(RestartWhen::Always) };
            it.depends_on = vec![(name("db"), Dependency::on(Condition::Started))];
        }),
    ]);
    let up = |run| vec![launched("db"), launched("app"), ready("db", run), ready("app", run)];
    let _up = take(&mut pod, [vec![Event::Begin], up(1)].concat());
    let _settled = pod.step(Event::Deadline(Deadline::Settled));
    let actions = crashes(&mut pod, "app", 1);
    // The budget, what the start declares, and the pause.
    for raw in ["app", "db"] {
        let last = actions.iter().rev().find_map(|action| match action {
            Action::Arm(deadline, time) if *deadline == Deadline::Repair(name(raw), 1) => Some(*time),
            _ => None,
        });
        assert_eq!(last, Some(66 * SECOND), "{raw}: {actions:?}");
    }
    let _stopped = pod.step(exited("db", 143));
    assert_eq!(state(&pod), HealthState::Degraded);
    let _late = pod.step(Event::Deadline(Deadline::Repair(name("db"), 1)));
    assert_eq!(state(&pod), HealthState::Unhealthy);
    let _again = take(&mut pod, [vec![Event::Deadline(Deadline::PodBackOff)], up(2)].concat());
    assert_eq!(state(&pod), HealthState::Healthy, "{}", reasons(&pod));
}

#[test]
fn a_start_that_takes_too_long_ends_with_the_reason() {
    let mut pod = of(vec![restarts("app", RestartWhen::Always), planned("web", &[])]);
    let begun = pod.step(Event::Begin);
    assert_eq!(armed(&begun, &Deadline::Start), Some(65 * SECOND), "{begun:?}");
    let _up = take(&mut pod, vec![launched("app"), launched("web"), ready("web", 1)]);
    let _down = crashes(&mut pod, "app", 3);
    assert_eq!(short(&pod.step(Event::Deadline(Deadline::Start))), ["drop-launches", "stop web"]);
    check(&mut pod, &[(exited("web", 143), &["cleanup"])]);
    // What did not come up remains for a look, and not what was stopped with the pod.
    assert_eq!(pod.failed(), [name("app")]);
    let outcome = end(&mut pod);
    assert_eq!(
        (outcome.exit_code(), outcome.to_string().as_str()),
        (
            125,
            "the pod did not become healthy within 65s (`start_deadline`): \
             component `app`: the component has exited and waits for its restart (the last run exited with code 3)"
        )
    );
    // Once healthy, it has started.
    assert_eq!(fresh().step(Event::Deadline(Deadline::Start)), []);
    let mut pod = pod_with(Life { start: None, ..life() }, Vec::new(), vec![restarts("app", RestartWhen::Always)]);
    assert_eq!(armed(&pod.step(Event::Begin), &Deadline::Start), None);
}

#[test]
fn an_init_component_or_a_plugin_may_be_the_reason_and_the_work_of_the_pod_is_none() {
    let mut pod = pod_with(life(), vec![planned("init-1", &[])], vec![planned("app", &[])]);
    let _begun = take(&mut pod, vec![Event::Begin, launched("init-1")]);
    assert_eq!(short(&pod.step(Event::Deadline(Deadline::Start))), ["drop-launches", "stop init-1"]);
    let told = pod.outcome().unwrap().to_string();
    assert!(told.ends_with("init component `init-1` has not ended yet"), "{told}");
    let job = with("work", |it| {
        it.role = Role::Job;
        it.job = true;
        it.restart = restarting(RestartWhen::OnFailure);
    });
    let mut pod = of(vec![job]);
    let _up = take(&mut pod, vec![Event::Begin, launched("work")]);
    let _down = crashes(&mut pod, "work", 1);
    assert_eq!(pod.step(Event::Deadline(Deadline::Start)), []);
    assert_eq!(pod.stage(), Stage::Running);
}

#[test]
fn the_engines_own_time_does_not_count_and_an_images_own_check_does() {
    let (hold, go_on) = (Action::Hold(Deadline::Start), Action::GoOn(Deadline::Start));
    let mut pod = of(vec![restarts("app", RestartWhen::Always), planned("web", &[])]);
    assert_eq!(pod.step(Event::Begin).last(), Some(&hold));
    assert!(!pod.step(launched("app")).contains(&go_on), "`web` is still being launched");
    // It had run out when the clock was stopped.
    assert_eq!(pod.step(Event::Deadline(Deadline::Start)), []);
    assert!(pod.step(launched("web")).contains(&go_on));
    let known = |seconds: u64| Event::CheckKnown { name: name("app"), declared: Duration::from_secs(seconds) };
    assert_eq!(pod.step(known(40)), [Action::Extend(Deadline::Start, 40 * SECOND)]);
    assert_eq!(pod.step(known(40)), [], "it is the same at the next start");
    let _down = crashes(&mut pod, "app", 1);
    assert!(pod.step(due("app")).contains(&hold));
    let actions = take(&mut pod, vec![launched("app"), ready("app", 2), ready("web", 1)]);
    assert!(actions.contains(&go_on) && armed(&actions, &Deadline::Settled).is_some(), "{actions:?}");
    // Once healthy, there is no such clock.
    let _settled = take(&mut pod, vec![Event::Deadline(Deadline::Settled)]);
    let _down = crashes(&mut pod, "app", 1);
    assert!(!pod.step(due("app")).contains(&hold));
}

#[test]
fn steps_after_the_start_are_part_of_it() {
    let mut pod = of(vec![with("app", |it| it.post_start = vec![step()])]);
    let actions = take(&mut pod, vec![Event::Begin, launched("app")]);
    assert_eq!(armed(&actions, &Deadline::Ready(name("app"), 1)), None);
    let actions = pod.step(Event::Settled { name: name("app"), run: 1, outcome: Ok(()) });
    assert_eq!(armed(&actions, &Deadline::Ready(name("app"), 1)), Some(2 * SECOND));
}
