use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;
use crate::probe::findings::Finding;
use crate::probe::tracker::Standing;

/// A component whose commands take so long and end so, in this order; then the last one is repeated.
#[derive(Clone)]
struct Script(Arc<Mutex<State>>);

struct State {
    began: Instant,
    course: VecDeque<(Duration, bool)>,
    /// When commands were begun, in milliseconds.
    starts: Vec<u128>,
    running: usize,
    /// Most at the same time.
    most: usize,
}

impl Script {
    fn new(course: &[(u64, bool)]) -> Self {
        let course = course.iter().map(|(ms, good)| (Duration::from_millis(*ms), *good)).collect();
        Self(Arc::new(Mutex::new(State { began: Instant::now(), course, starts: Vec::new(), running: 0, most: 0 })))
    }

    fn starts(&self) -> Vec<u128> {
        self.0.lock().unwrap().starts.clone()
    }
}

impl Exec for Script {
    async fn exec(&self, _argv: &[String], limit: Duration) -> Result<(), String> {
        let (takes, good) = {
            let mut state = self.0.lock().unwrap();
            let at = state.began.elapsed().as_millis();
            state.starts.push(at);
            state.running += 1;
            state.most = state.most.max(state.running);
            if state.course.len() > 1 { state.course.pop_front().unwrap() } else { state.course[0] }
        };
        let done = tokio::time::timeout(limit, tokio::time::sleep(takes)).await;
        self.0.lock().unwrap().running -= 1;
        match done {
            Ok(()) if good => Ok(()),
            Ok(()) => Err("it ended with 1".to_owned()),
            Err(_) => Err("the engine waits no longer".to_owned()),
        }
    }
}

fn exec() -> Probe {
    probe(ProbeCheck::Exec(vec!["check".to_owned()]))
}

/// What is told until this time, each with its milliseconds.
async fn told(probes: Probes, script: &Script, until: Duration) -> Vec<(u128, Verdict)> {
    noted(probes, script, until, &Findings::default()).await
}

/// The same, with what is noted meanwhile.
async fn noted(probes: Probes, script: &Script, until: Duration, findings: &Findings) -> Vec<(u128, Verdict)> {
    let (verdicts, mut heard) = mpsc::channel(1);
    let began = Instant::now();
    let mut told = Vec::new();
    let watching = watch(probes, script.clone(), verdicts, findings.clone());
    let hearing = async {
        while let Some(verdict) = heard.recv().await {
            told.push((began.elapsed().as_millis(), verdict));
        }
    };
    let _over = tokio::time::timeout(until, async { tokio::join!(watching, hearing) }).await;
    told
}

fn unready(reason: &str) -> Verdict {
    Verdict::Unready { reason: reason.to_owned() }
}

fn failed(kind: ProbeKind, reason: &str) -> Verdict {
    Verdict::Failed { kind, reason: reason.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn without_probes_it_is_started_and_nothing_goes_on() {
    let script = Script::new(&[(0, true)]);
    let (verdicts, mut heard) = mpsc::channel(1);
    watch(Probes::default(), script.clone(), verdicts, Findings::default()).await;
    assert_eq!(heard.recv().await, Some(Verdict::Started));
    assert_eq!(heard.recv().await, None);
    assert!(script.starts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_startup_probe_comes_first_and_the_others_side_by_side() {
    // Startup: two failures, a success. Then liveness and readiness, each from its own delay.
    let script = Script::new(&[(0, false), (0, false), (0, true)]);
    let probes = Probes {
        startup: Some(Probe { initial_delay: 3 * SECOND, period: 5 * SECOND, ..exec() }),
        liveness: Some(Probe { initial_delay: SECOND, period: 7 * SECOND, ..exec() }),
        readiness: Some(Probe { initial_delay: 2 * SECOND, period: 4 * SECOND, ..exec() }),
    };
    assert_eq!(told(probes, &script, 29 * SECOND).await, [(13_000, Verdict::Started), (15_000, Verdict::Ready)]);
    assert_eq!(script.starts(), [3000, 8000, 13_000, 14_000, 15_000, 19_000, 21_000, 23_000, 27_000, 28_000]);
}

#[tokio::test(start_paused = true)]
async fn a_startup_probe_that_fails_ends_everything() {
    let script = Script::new(&[(0, false)]);
    let probes = Probes { startup: Some(exec()), liveness: Some(exec()), readiness: Some(exec()) };
    assert_eq!(told(probes, &script, 100 * SECOND).await, [(20_000, failed(ProbeKind::Startup, "it ended with 1"))]);
    assert_eq!(script.starts(), [0, 10_000, 20_000]);
}

#[tokio::test(start_paused = true)]
async fn liveness_fails_after_so_many_failures_in_a_row() {
    let script = Script::new(&[(0, true), (0, false), (0, false), (0, true), (0, false)]);
    // A threshold for successes has no meaning here: one is enough.
    let probes = Probes { liveness: Some(Probe { success_threshold: 5, ..exec() }), ..Probes::default() };
    assert_eq!(
        told(probes, &script, 200 * SECOND).await,
        [(0, Verdict::Started), (60_000, failed(ProbeKind::Liveness, "it ended with 1"))]
    );
    assert_eq!(script.starts().len(), 7, "nothing more is looked at");
}

#[tokio::test(start_paused = true)]
async fn readiness_comes_and_goes_and_only_changes_are_told() {
    let script = Script::new(&[(0, true), (0, true), (0, false), (0, false), (0, true), (0, true)]);
    let readiness = Probe { success_threshold: 2, failure_threshold: 2, ..exec() };
    let probes = Probes { readiness: Some(readiness), ..Probes::default() };
    assert_eq!(
        told(probes, &script, 200 * SECOND).await,
        [
            (0, Verdict::Started),
            (10_000, Verdict::Ready),
            (30_000, unready("it ended with 1")),
            (50_000, Verdict::Ready)
        ]
    );
    assert_eq!(script.starts().len(), 21);
}

#[tokio::test(start_paused = true)]
async fn until_the_first_success_it_looks_more_often() {
    let script = Script::new(&[(0, false), (0, false), (0, true), (0, false), (0, true)]);
    let readiness = Probe { start_interval: Some(Duration::from_millis(250)), failure_threshold: 9, ..exec() };
    let probes = Probes { readiness: Some(readiness), ..Probes::default() };
    assert_eq!(told(probes, &script, 31 * SECOND).await, [(0, Verdict::Started), (500, Verdict::Ready)]);
    assert_eq!(script.starts(), [0, 250, 500, 10_500, 20_500, 30_500], "a failure after it changes nothing");
}

#[tokio::test(start_paused = true)]
async fn one_late_look_does_not_shift_the_others() {
    let script = Script::new(&[(0, true), (12_000, true), (0, true)]);
    let readiness = Probe { timeout: 15 * SECOND, ..exec() };
    let probes = Probes { readiness: Some(readiness), ..Probes::default() };
    told(probes, &script, 51 * SECOND).await;
    // The look of 20 s is made at once when the one of 10 s has ended.
    assert_eq!(script.starts(), [0, 10_000, 22_000, 30_000, 40_000, 50_000]);
}

#[tokio::test(start_paused = true)]
async fn looks_that_were_missed_are_not_made_up_for() {
    let script = Script::new(&[(0, true), (45_000, true), (0, true)]);
    let readiness = Probe { timeout: 50 * SECOND, ..exec() };
    let probes = Probes { readiness: Some(readiness), ..Probes::default() };
    told(probes, &script, 71 * SECOND).await;
    assert_eq!(script.starts(), [0, 10_000, 55_000, 60_000, 70_000]);
}

#[tokio::test(start_paused = true)]
async fn a_command_over_its_time_fails_and_no_other_runs_beside_it() {
    // It takes 35 s, where one second was given.
    let script = Script::new(&[(35_000, true), (0, true)]);
    let readiness = Probe { failure_threshold: 1, ..exec() };
    let probes = Probes { readiness: Some(readiness), ..Probes::default() };
    let told = told(probes, &script, 51 * SECOND).await;
    assert_eq!(told, [(0, Verdict::Started), (1000, unready("no answer within 1s")), (40_000, Verdict::Ready)]);
    assert_eq!(script.starts(), [0, 40_000, 50_000]);
    assert_eq!(script.0.lock().unwrap().most, 1);
}

#[tokio::test(start_paused = true)]
async fn liveness_fails_while_a_command_does_not_end() {
    let script = Script::new(&[(1_000_000, true)]);
    let probes = Probes { liveness: Some(exec()), ..Probes::default() };
    let why = "the command of the probe that started 20 s ago has not ended yet";
    assert_eq!(
        told(probes, &script, 100 * SECOND).await,
        [(0, Verdict::Started), (20_000, failed(ProbeKind::Liveness, why))]
    );
    assert_eq!(script.starts(), [0]);
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_a_stuck_command_is_left_alone() {
    let script = Script::new(&[(1_000_000, true), (0, true)]);
    let probes = Probes { readiness: Some(exec()), ..Probes::default() };
    let told = told(probes, &script, 71 * SECOND).await;
    assert_eq!(told.last(), Some(&(70_000, Verdict::Ready)), "{told:?}");
    assert_eq!(script.starts(), [0, 70_000]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_is_waited_for() {
    let script = Script::new(&[(0, true), (0, false), (0, true)]);
    let readiness = Probe { period: SECOND, failure_threshold: 1, ..exec() };
    let (verdicts, mut heard) = mpsc::channel(1);
    let watching = watch(
        Probes { readiness: Some(readiness), ..Probes::default() },
        script.clone(),
        verdicts,
        Findings::default(),
    );
    let hearing = async {
        tokio::time::sleep(60 * SECOND).await;
        let mut told = Vec::new();
        while told.len() < 4 {
            told.push(heard.recv().await.unwrap());
        }
        told
    };
    let told = tokio::select! { () = watching => panic!("it ended"), told = hearing => told };
    assert_eq!(told, [Verdict::Started, Verdict::Ready, unready("it ended with 1"), Verdict::Ready]);
}

#[tokio::test]
async fn between_looks_there_is_little_to_hold() {
    let (verdicts, _heard) = mpsc::channel(1);
    let size = size_of_val(&watch(Probes::default(), Script::new(&[(0, true)]), verdicts, Findings::default()));
    assert!(size <= 6 * 1024, "{size} bytes");
}

/// Kind, verdict, whether the last look succeeded, failures in a row, the last failure.
type Noted = (ProbeKind, Standing, Option<bool>, u32, Option<String>);

fn all(findings: &Findings) -> Vec<Noted> {
    let noted = |it: Finding| (it.kind, it.standing, it.last.map(|(ok, _)| ok), it.failures, it.message);
    findings.now().into_iter().map(noted).collect()
}

#[tokio::test(start_paused = true)]
async fn where_each_probe_stands_is_noted_also_where_no_verdict_changes() {
    let probes = || Probes { startup: Some(exec()), readiness: Some(exec()), ..Probes::default() };
    let findings = Findings::new(&probes());
    let no = || Some("it ended with 1".to_owned());
    let unknown = |kind| (kind, Standing::Open, None, 0, None);
    assert_eq!(all(&findings), [unknown(ProbeKind::Startup), unknown(ProbeKind::Readiness)]);
    // Startup: no, yes. Readiness: yes, and two failures of the three that a verdict needs.
    let script = Script::new(&[(0, false), (0, true), (0, true), (0, false)]);
    let told = noted(probes(), &script, 31 * SECOND, &findings).await;
    assert_eq!(told, [(10_000, Verdict::Started), (10_000, Verdict::Ready)]);
    let expected = [
        (ProbeKind::Startup, Standing::Succeeds, Some(true), 0, no()),
        (ProbeKind::Readiness, Standing::Succeeds, Some(false), 2, no()),
    ];
    assert_eq!(all(&findings), expected);
    // Another run: nothing of the first is left, and the probe that has not looked yet has nothing to say.
    let told = noted(probes(), &Script::new(&[(0, false)]), 11 * SECOND, &findings).await;
    assert_eq!(told, []);
    let expected = [(ProbeKind::Startup, Standing::Open, Some(false), 2, no()), unknown(ProbeKind::Readiness)];
    assert_eq!(all(&findings), expected);
}
