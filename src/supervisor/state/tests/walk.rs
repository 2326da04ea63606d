//! Whole lives of pods whose components crash as they like, on a clock of its own: what the engine, and with it Swarm, is told keeps its promises.

use std::collections::HashMap;

use proptest::prelude::{any, prop, prop_assert, proptest};

use super::parts::{restarting, restarts, with};
use super::*;
use crate::plan::life::StartDeadline;
use crate::pod::life::{RestartWhen, Role};

/// All times are milliseconds.
const MIN_READY: u64 = 2_000;
const SETTLE: u64 = 10_000;
const BUDGET: u64 = 4_000;
const START: u64 = 12_000;
/// From the launch to the run.
const LAUNCH: u64 = 100;
/// From the run to the first success of a check.
const CHECK: u64 = 3_000;
const END: u64 = 300_000;

#[derive(Debug, Clone)]
enum Due {
    Event(Event),
    /// Of this launch of this component.
    OfRun(&'static str, u64, Event),
    Timer(Deadline, u64),
}

/// How long each run of a component lasts, and with what it ends; the last one lasts to the end.
type Runs = Vec<(u64, i32)>;

#[derive(Debug, Default, Clone)]
struct Seen {
    launches: u64,
    /// Since when this run goes on; none while there is none.
    running: Option<u64>,
    /// Since when its check succeeds.
    checked: bool,
    /// Whether a run has begun and not ended.
    began: bool,
    was_up: bool,
    /// Since when it is down after the pod was healthy.
    down: Option<u64>,
}

struct Walk {
    pod: Pod,
    now: u64,
    queue: Vec<(u64, u64, Due)>,
    timers: HashMap<Deadline, u64>,
    /// When each timer is due, or what is left of one that is held.
    due: HashMap<Deadline, u64>,
    /// How long the start's clock has stood still.
    held: u64,
    count: u64,
    runs: HashMap<&'static str, Runs>,
    seen: HashMap<&'static str, Seen>,
    first_healthy: Option<u64>,
    finished: bool,
}

const NAMES: [&str; 3] = ["plain", "checked", "side"];

impl Walk {
    fn new(runs: [Runs; 3]) -> Self {
        let time = Duration::from_millis;
        let life = Life {
            min_ready: time(MIN_READY),
            start: Some(StartDeadline { base: time(START), declared: Vec::new() }),
            settle: time(SETTLE),
            repair_budget: time(BUDGET),
            declared: Duration::ZERO,
        };
        let components = vec![
            restarts("plain", RestartWhen::Always),
            restarts("checked", RestartWhen::OnFailure),
            with("side", |it| {
                it.role = Role::Sidecar;
                it.essential = false;
                it.restart = restarting(RestartWhen::Always);
            }),
        ];
        let pod = Pod::new(&Plan { life, ..bare(Vec::new(), components) });
        let mut walk = Self {
            pod,
            now: 0,
            queue: Vec::new(),
            timers: HashMap::new(),
            due: HashMap::new(),
            held: 0,
            count: 0,
            runs: NAMES.into_iter().zip(runs).collect(),
            seen: NAMES.into_iter().map(|raw| (raw, Seen::default())).collect(),
            first_healthy: None,
            finished: false,
        };
        walk.at(0, Due::Event(Event::Begin));
        walk
    }

    fn at(&mut self, time: u64, due: Due) {
        self.count += 1;
        self.queue.push((time, self.count, due));
    }

    /// What is due next, if it still is.
    fn next(&mut self) -> Option<Event> {
        loop {
            let (index, _) = self.queue.iter().enumerate().min_by_key(|(_, (time, count, _))| (*time, *count))?;
            let (time, _, due) = self.queue.remove(index);
            self.now = time;
            match due {
                Due::Event(event) => return Some(event),
                Due::OfRun(raw, launch, event) if self.seen[raw].launches == launch => return Some(event),
                Due::Timer(deadline, set) if self.timers.get(&deadline) == Some(&set) => {
                    return Some(Event::Deadline(deadline));
                }
                Due::OfRun(..) | Due::Timer(..) => {}
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        let raw = |name: &ComponentName| NAMES.into_iter().find(|raw| *raw == name.as_str()).unwrap();
        match action {
            Action::Launch(name) | Action::Relaunch(name) => {
                let raw = raw(&name);
                let seen = self.seen.get_mut(raw).unwrap();
                seen.launches += 1;
                let launch = seen.launches;
                let runs = &self.runs[raw];
                let run = runs.get(usize::try_from(launch).unwrap() - 1).copied();
                let began = self.now + LAUNCH;
                let checked = raw == "checked";
                self.at(began, Due::OfRun(raw, launch, Event::Launched { name: name.clone(), checked }));
                if checked {
                    let event =
                        Event::Health { name: name.clone(), run: None, health: EngineHealth::Healthy, finding: None };
                    self.at(began + CHECK, Due::OfRun(raw, launch, event));
                }
                if let Some((lasts, code)) = run {
                    self.at(began + lasts, Due::OfRun(raw, launch, exited(raw, code)));
                }
            }
            Action::Ask { name, .. } => self.at(self.now, Due::Event(decided(name.as_str(), Reaction::AsPlanned))),
            Action::Stop { name, .. } => {
                let raw = raw(&name);
                let launch = self.seen[raw].launches;
                self.at(self.now + 10, Due::OfRun(raw, launch, exited(raw, 143)));
            }
            Action::Arm(deadline, after) => {
                let set = self.count + 1;
                self.timers.insert(deadline.clone(), set);
                let due = self.now + u64::try_from(after.as_millis()).unwrap();
                self.due.insert(deadline.clone(), due);
                self.at(due, Due::Timer(deadline, set));
            }
            Action::Hold(deadline) => {
                self.timers.remove(&deadline);
                let left = self.due.get_mut(&deadline).unwrap();
                *left = left.saturating_sub(self.now);
                self.held += LAUNCH;
            }
            Action::GoOn(deadline) => {
                let left = Duration::from_millis(self.due[&deadline]);
                self.carry_out(Action::Arm(deadline, left));
            }
            Action::RunBegan { name, .. } => {
                let began = std::mem::replace(&mut self.seen.get_mut(name.as_str()).unwrap().began, true);
                assert!(!began, "`{name}` began twice");
            }
            Action::RunEnded { name, .. } => {
                let began = std::mem::take(&mut self.seen.get_mut(name.as_str()).unwrap().began);
                assert!(began, "`{name}` ended without a beginning");
            }
            Action::Cleanup { .. } => self.at(self.now, Due::Event(Event::Cleaned)),
            Action::Finish(_) => self.finished = true,
            _ => {}
        }
    }

    /// What an onlooker knows of the components, by the events alone.
    fn look(&mut self, event: &Event) {
        let now = self.now;
        match event {
            Event::Launched { name, .. } => {
                let seen = self.seen.get_mut(name.as_str()).unwrap();
                seen.running = Some(now);
                seen.checked = false;
            }
            Event::Health { name, .. } => {
                let seen = self.seen.get_mut(name.as_str()).unwrap();
                seen.checked = seen.running.is_some();
            }
            Event::Exited { name, .. } => {
                let was_healthy = self.first_healthy.is_some();
                let seen = self.seen.get_mut(name.as_str()).unwrap();
                seen.running = None;
                seen.checked = false;
                if was_healthy {
                    seen.down.get_or_insert(now);
                }
            }
            _ => {}
        }
        for (raw, seen) in &mut self.seen {
            let lasted = seen.running.is_some_and(|since| now >= since + MIN_READY);
            if if *raw == "checked" { seen.checked } else { lasted } {
                seen.was_up = true;
                seen.down = None;
            }
        }
    }
}

/// A crash that `restart` would repair.
fn is_crash(event: &Event) -> bool {
    match event {
        Event::Exited { name, exit_code, .. } => match name.as_str() {
            "side" | "checked" => *exit_code != 0,
            _ => true,
        },
        _ => false,
    }
}

fn runs() -> impl proptest::strategy::Strategy<Value = Runs> {
    let lasts = proptest::prop_oneof![4 => 0_u64..2_500, 1 => 1_000_u64..15_000, 3 => 15_000_u64..60_000];
    prop::collection::vec((lasts, proptest::prop_oneof![proptest::prelude::Just(0), 1_i32..5]), 0..12)
}

proptest! {
    /// Never healthy before every component has been up; every crash within `settle` ends the pod; no repair goes on for longer than its budget while the pod is
    /// healthy for the engine; and a start that comes to nothing ends.
    #[test]
    fn the_one_health_keeps_its_promises(plain in runs(), checked in runs(), side in runs(), steps in any::<u16>()) {
        let mut walk = Walk::new([plain, checked, side]);
        let most = 400 + usize::from(steps % 400);
        for _ in 0..most {
            let Some(event) = walk.next().filter(|_| walk.now < END && !walk.finished) else { break };
            walk.look(&event);
            let before = walk.pod.stage();
            let actions = walk.pod.step(event.clone());
            for action in actions {
                walk.carry_out(action);
            }
            let (now, stops) = (walk.now, walk.pod.stage() >= Stage::Stopping);
            let is_healthy = walk.pod.verdict().state.counts_as_healthy();
            if is_healthy {
                prop_assert!(walk.seen.values().all(|seen| seen.was_up), "healthy too soon at {now}: {:?}", walk.seen);
                walk.first_healthy.get_or_insert(now);
            }
            let settles = walk.first_healthy.is_some_and(|since| now < since + SETTLE);
            if settles && before < Stage::Stopping && is_crash(&event) {
                // Plugins are asked at once, and their answer comes before time goes on; timers of the same instant may come first.
                loop {
                    let next = walk.next();
                    prop_assert!(next.is_some() && walk.now == now, "{next:?}");
                    let next = next.unwrap();
                    let is_answer = matches!(next, Event::Decided { .. });
                    walk.look(&next);
                    for action in walk.pod.step(next) {
                        walk.carry_out(action);
                    }
                    if is_answer {
                        break;
                    }
                }
                prop_assert!(walk.pod.stage() >= Stage::Stopping, "a crash at {now}, healthy since {:?}", walk.first_healthy);
            }
            for (raw, seen) in &walk.seen {
                let late = seen.down.is_some_and(|since| now > since + BUDGET);
                prop_assert!(!(late && is_healthy && !stops), "`{raw}` is down since {:?}, and it is {now}", seen.down);
            }
            prop_assert!(walk.first_healthy.is_some() || stops || now <= START + walk.held + 2 * LAUNCH, "it still starts at {now}");
        }
    }
}
