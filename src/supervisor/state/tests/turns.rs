//! The pod's time for its stop, divided among components that stop one after the other: no component pays for another one with its stop signal.

use std::collections::HashMap;

use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::plan::stops::{Turns, kept};
use crate::pod::life::{LifecycleAction, LifecycleStep, Role};
use crate::supervisor::events::KillReason;

fn turn(raw: &str) -> Event {
    Event::Deadline(Deadline::Turn(name(raw)))
}

fn armed(actions: &[Action], wanted: &Deadline) -> Option<Duration> {
    actions.iter().find_map(|action| match action {
        Action::Arm(deadline, after) if deadline == wanted => Some(*after),
        _ => None,
    })
}

/// `db`, and `app` which needs it, both running, asked to stop; each with a grace period of these seconds, of the pod's 8.
fn two(db: u64, app: u64) -> (Pod, Vec<Action>) {
    let mut components = [planned("db", &[]), planned("app", &[("db", Condition::Started)])];
    components[0].grace = Duration::from_secs(db);
    components[1].grace = Duration::from_secs(app);
    let mut pod = Pod::new(&bare(Vec::new(), components.to_vec()));
    check(
        &mut pod,
        &[(Event::Begin, &["launch db"]), (launched("db"), &["launch app"]), (launched("app"), &["started"])],
    );
    let actions = pod.step(Event::Signal(15));
    let forward = Event::SignalDecided { signal: 15, decision: SignalDecision::Forward };
    check(&mut pod, &[(forward, &["drop-launches", "stop app"]), (asked("app"), &[])]);
    (pod, actions)
}

#[test]
fn a_slow_component_does_not_cost_its_dependency_the_stop_signal() {
    let (mut pod, actions) = two(8, 8);
    assert_eq!(armed(&actions, &Deadline::Turn(name("db"))), Some(Duration::from_secs(6)), "a quarter of the time");
    assert_eq!(armed(&actions, &Deadline::Turn(name("app"))), None, "nothing stops before it");
    let killed = pod.step(turn("db"));
    let why = KillReason::Next { next: name("db"), of: Duration::from_secs(8) };
    assert!(killed.contains(&Action::Kill { name: name("app"), asked: true, why: why.clone() }), "{killed:?}");
    assert_eq!(
        why.sentence(true),
        "did not stop in time and is killed: `db` stops after it, and needs its share of the 8s that the pod has to stop"
    );
    check(&mut pod, &[(exited("app", 137), &["stop db"]), (turn("db"), &[]), (asked("db"), &[])]);
    check(&mut pod, &[(exited("db", 0), &["cleanup"]), (Event::Cleaned, &["finish 137"])]);
}

#[test]
fn grace_periods_that_fit_are_not_cut() {
    let (_, actions) = two(2, 6);
    assert_eq!(armed(&actions, &Deadline::Turn(name("db"))), Some(Duration::from_secs(6)));
    // Its own end comes first, and the turn has nothing to do.
    let (mut pod, _) = two(2, 3);
    check(&mut pod, &[(exited("app", 0), &["stop db"]), (turn("db"), &[]), (exited("db", 0), &["cleanup"])]);
    check(&mut pod, &[(Event::Cleaned, &["finish 0"])]);
}

#[test]
fn what_cannot_be_killed_does_not_cost_the_signal_either() {
    let (mut pod, _) = two(8, 8);
    let again = pod.step(turn("db"));
    assert_eq!(armed(&again, &Deadline::Turn(name("db"))), Some(Duration::from_millis(500)));
    check(&mut pod, &[(turn("db"), &["stop db"]), (asked("db"), &[]), (exited("db", 0), &[])]);
    check(&mut pod, &[(Event::Deadline(Deadline::Budget), &[]), (Event::Deadline(Deadline::Kill), &["cleanup"])]);
    check(&mut pod, &[(Event::Cleaned, &["finish 137"])]);
}

#[test]
fn a_kill_says_why() {
    let why = |actions: &[Action], raw: &str| {
        actions.iter().find_map(|action| match action {
            Action::Kill { name: of, asked, why } if of.as_str() == raw => Some(why.sentence(*asked)),
            _ => None,
        })
    };
    let (mut pod, _) = two(8, 3);
    let over = pod.step(Event::Deadline(Deadline::Grace(name("app"))));
    assert_eq!(why(&over, "app").unwrap(), "did not stop in time and is killed: its grace period of 3s is over");
    let (mut pod, _) = two(8, 8);
    let over = pod.step(Event::Deadline(Deadline::Budget));
    let late = "did not stop in time and is killed: the 8s that the pod has to stop are over";
    assert_eq!(why(&over, "app").unwrap(), late);
    assert_eq!(
        why(&over, "db").unwrap(),
        late.replace("did not stop in time and is killed", "is killed before it got its stop signal")
    );
    let (mut pod, _) = two(8, 8);
    let again = pod.step(Event::Signal(15));
    for raw in ["app", "db"] {
        assert_eq!(why(&again, raw).unwrap(), "is killed: the controller was asked once more to stop");
    }
}

#[test]
fn a_drain_and_a_long_pre_stop_leave_time_for_the_signal() {
    let mut app = planned("app", &[]);
    app.grace = Duration::from_secs(8);
    app.pre_stop = vec![step()];
    let mut pod = Pod::new(&Plan { drain: Duration::from_secs(4), ..bare(Vec::new(), vec![app]) });
    check(&mut pod, &[(Event::Begin, &["launch app"]), (launched("app"), &["started"])]);
    let actions = pod.step(Event::Signal(15));
    let call = Deadline::LastCall(name("app"));
    assert_eq!(
        armed(&actions, &call),
        Some(Duration::from_millis(7500)),
        "half of a share of 2 s, which is a quarter of it"
    );
    let forward = Event::SignalDecided { signal: 15, decision: SignalDecision::Forward };
    check(&mut pod, &[(forward, &["drop-launches"]), (Event::Deadline(Deadline::Drain), &["part app 1"])]);
    let called = pod.step(Event::Deadline(call.clone()));
    assert!(matches!(&called[0], Action::Warn(what) if what.contains("before its `pre_stop` has ended")), "{called:?}");
    assert_eq!(short(&called), ["stop app"]);
    // The step goes on, and its end is no second reason.
    let parted = Event::Parted { name: name("app"), run: 1, took: Duration::from_secs(6) };
    check(&mut pod, &[(parted, &[]), (Event::Deadline(call), &[]), (exited("app", 0), &["cleanup"])]);
}

fn step() -> LifecycleStep {
    LifecycleStep { action: LifecycleAction::Sleep(Duration::from_secs(60)), timeout: None }
}

/// One component of a random pod; times in milliseconds.
#[derive(Debug, Clone)]
struct One {
    needs: Vec<usize>,
    sidecar: bool,
    grace: u64,
    /// How long what is done before its stop would take; none: there is nothing to do.
    parts: Option<u64>,
    /// From its signal to its end; none: it does not heed the signal.
    stops: Option<u64>,
    /// From the order to the delivery.
    delivery: u64,
}

fn pods() -> impl Strategy<Value = Vec<One>> {
    let time = || prop::option::of(0_u64..12_000);
    let one = (
        prop::collection::vec(0_usize..8, 0..3),
        prop::bool::weighted(0.25),
        500_u64..10_000,
        time(),
        time(),
        0_u64..5,
    );
    prop::collection::vec(one, 1..8).prop_map(|list| {
        let made = list.into_iter().enumerate().map(|(at, (needs, sidecar, grace, parts, stops, delivery))| {
            let needs = needs.into_iter().filter(|other| *other < at).collect();
            One { needs, sidecar, grace, parts, stops, delivery }
        });
        made.collect()
    })
}

const NAMES: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];

/// A pod that stops, on a clock of its own.
struct Stop {
    pod: Pod,
    turns: Turns,
    all: Vec<One>,
    now: u64,
    count: u64,
    queue: Vec<(u64, u64, Event)>,
    timers: HashMap<Deadline, u64>,
    /// When each got its signal, and when it was killed; and those that have ended.
    asked: HashMap<usize, u64>,
    killed: HashMap<usize, u64>,
    ended: BTreeSet<usize>,
    /// The pod's exit code, and when it ended.
    end: Option<(u8, u64)>,
}

fn index(name: &ComponentName) -> usize {
    NAMES.iter().position(|raw| *raw == name.as_str()).unwrap()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

impl Stop {
    fn new(all: Vec<One>, time: u64, drain: u64) -> Self {
        let components = all.iter().enumerate().map(|(at, one)| {
            let needs: Vec<_> = one.needs.iter().map(|other| (NAMES[*other], Condition::Started)).collect();
            let mut made = planned(NAMES[at], &needs);
            made.role = if one.sidecar { Role::Sidecar } else { Role::Main };
            made.essential = !one.sidecar;
            made.grace = Duration::from_millis(one.grace.min(time));
            made.pre_stop = one.parts.map(|_| step()).into_iter().collect();
            made
        });
        let (stop_budget, drain) = (Duration::from_millis(time), Duration::from_millis(drain));
        let plan = Plan { stop_budget, drain, ..bare(Vec::new(), components.collect()) };
        let mut pod = Pod::new(&plan);
        let _launches = pod.step(Event::Begin);
        for raw in &NAMES[..all.len()] {
            let _more = pod.step(launched(raw));
        }
        assert_eq!(pod.stage(), Stage::Running);
        Self {
            pod,
            turns: plan.turns(),
            all,
            now: 0,
            count: 0,
            queue: Vec::new(),
            timers: HashMap::new(),
            asked: HashMap::new(),
            killed: HashMap::new(),
            ended: BTreeSet::new(),
            end: None,
        }
    }

    fn at(&mut self, after: u64, event: Event) -> u64 {
        self.count += 1;
        self.queue.push((self.now + after, self.count, event));
        self.count
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::AskSignal(signal) => {
                self.at(0, Event::SignalDecided { signal, decision: SignalDecision::Forward });
            }
            Action::Part { name, run, within } => {
                let took = self.all[index(&name)].parts.unwrap().min(ms(within));
                self.at(took, Event::Parted { name, run, took: Duration::from_millis(took) });
            }
            Action::Stop { name, run } => {
                let at = index(&name);
                self.asked.insert(at, self.now);
                let One { delivery, stops, .. } = self.all[at];
                self.at(delivery, Event::Asked { name: name.clone(), run });
                if let Some(after) = stops {
                    self.at(delivery + after, exited(NAMES[at], 0));
                }
            }
            Action::Kill { name, .. } => {
                let at = index(&name);
                self.killed.entry(at).or_insert(self.now);
                self.at(1, exited(NAMES[at], 137));
            }
            Action::Arm(deadline, after) => {
                let set = self.at(ms(after), Event::Deadline(deadline.clone()));
                self.timers.insert(deadline, set);
            }
            Action::Cleanup { .. } => {
                self.at(0, Event::Cleaned);
            }
            Action::Finish(outcome) => self.end = Some((outcome.exit_code(), self.now)),
            _ => {}
        }
    }

    /// What comes next, if it still counts.
    fn next(&mut self) -> Option<Event> {
        loop {
            let (place, _) = self.queue.iter().enumerate().min_by_key(|(_, (time, count, _))| (*time, *count))?;
            let (time, count, event) = self.queue.remove(place);
            self.now = time;
            match &event {
                Event::Deadline(deadline) if self.timers.get(deadline) != Some(&count) => {}
                Event::Exited { name, .. } if !self.ended.insert(index(name)) => {}
                _ => return Some(event),
            }
        }
    }
}

proptest! {
    /// Every component gets its stop signal, with the time that is kept for it, before it is killed; none is asked while one that stops before it lives; and the
    /// pod ends in its time, with 137 only if a kill ended a process.
    #[test]
    fn every_component_gets_its_signal_and_its_time(list in pods(), time in 2_000_u64..20_000, drain in 0_u64..10_000) {
        let drain = drain.min(time / 2);
        let mut stop = Stop::new(list, time, drain);
        stop.at(0, Event::Signal(15));
        let mut kills = 0;
        while let Some(event) = stop.next() {
            if let Event::Exited { name, exit_code: 137, .. } = &event {
                kills += u32::from(stop.killed.contains_key(&index(name)));
            }
            let asked_before: Vec<usize> = stop.asked.keys().copied().collect();
            for action in stop.pod.step(event) {
                stop.carry_out(action);
            }
            for at in stop.asked.keys().filter(|at| !asked_before.contains(at)) {
                let first = |other: &usize| stop.all[*other].needs.contains(at);
                let living = (0..stop.all.len()).filter(|other| !stop.ended.contains(other)).find(first);
                prop_assert_eq!(living, None, "{} is asked while one that needs it lives", NAMES[*at]);
            }
        }
        let (code, at) = stop.end.expect("the pod ends");
        prop_assert!(at <= time + 10, "it ended at {at} of {time}");
        prop_assert_eq!(code, if kills > 0 { 137 } else { 0 });
        prop_assert_eq!(stop.ended.len(), stop.all.len());
        for (at, one) in stop.all.iter().enumerate() {
            prop_assert!(stop.asked.contains_key(&at), "{} never got its stop signal: {:?}", NAMES[at], stop.asked);
            let Some(killed) = stop.killed.get(&at) else { continue };
            let turn = stop.turns.of[at];
            let share = turn.ends_by.saturating_sub(turn.begins_by);
            let least = if one.parts.is_some() { kept(share) } else { share };
            // The kills of those before it, one by one, and deliveries take some milliseconds.
            let got = killed - stop.asked[&at] + 60;
            prop_assert!(got >= ms(least), "{} had {got} ms of {least:?}", NAMES[at]);
        }
    }
}
