//! What is done after a component's start and before its stop, and its probes: everything that goes on beside one run of its process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::engine::{Engine, EngineError, EngineHealth, ExecOutput, Fault, chain};
use crate::hooks::Hooks;
use crate::plan::render::one_line;
use crate::plan::units;
use crate::pod::ComponentName;
use crate::pod::life::{ExecCommand, LifecycleAction, LifecycleStep, Probes};
use crate::probe::findings::Findings;
use crate::probe::{self, Verdict};
use crate::shutdown::Tasks;
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// What is kept of a command's output, in bytes, for the message that it failed.
const SHOWN: usize = 1024;

/// Verdicts of one component's probes that the driver has not taken yet; when full, the probes wait.
const VERDICTS_IN_FLIGHT: usize = 4;

/// How long the end of a component may come after a failure that it has caused: a server has closed its port, and the engine has not reported its exit yet.
const END_COMES: Duration = Duration::from_millis(500);

/// The same for a failure that ends of components are known to cause.
const END_IS_NEAR: Duration = Duration::from_secs(3);

/// Between two looks whether a component has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// For the engine to show a component.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// Why a step or a probe failed.
#[derive(Debug)]
struct Failure {
    /// For the operator.
    why: String,
    /// Whether commands fail so in a container that ends: the engine does not run them any more, or the kernel kills them.
    is_of_an_end: bool,
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { why, is_of_an_end: false }
    }
}

impl Failure {
    /// How long an end of the component may come later.
    fn patience(&self) -> Duration {
        if self.is_of_an_end { END_IS_NEAR } else { END_COMES }
    }
}

/// Whether a component has ended, or ends within this time: then its own exit decides, and what has failed for that reason does not count.
async fn ends<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    over: &CancellationToken,
    within: Duration,
) -> bool {
    let until = Instant::now() + within;
    loop {
        let Some(container) = shared.container(name) else { return true };
        let looked = tokio::time::timeout(LOOK_TIME, shared.engine.inspect(&container.id.0)).await;
        let has_ended = match &looked {
            Ok(Ok(seen)) => !seen.running,
            Ok(Err(error)) => error.fault() == Fault::NotFound,
            Err(_late) => false,
        };
        if has_ended || over.is_cancelled() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        tokio::select! {
            () = over.cancelled() => return true,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Does what is to be done after a start, one step after the other.
pub async fn settle<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    name: ComponentName,
    run: u64,
    over: CancellationToken,
) {
    let steps = shared.planned(&name).map(|planned| planned.post_start.clone()).unwrap_or_default();
    let mut outcome = Ok(());
    for (n, step) in steps.iter().enumerate() {
        let limit = match step.timeout {
            Some(time) => Limit { time, of: OWN_TIME },
            None => Limit { time: LifecycleStep::POST_START_TIMEOUT, of: "the default `timeout` of a step" },
        };
        let number = n + 1;
        let Some(done) = perform_while_it_runs(&shared, &name, (Around::Start, number), step, limit, &over).await
        else {
            return;
        };
        if let Err(why) = done {
            outcome = Err(format!("step {number}, {why}"));
            break;
        }
    }
    if outcome.is_ok() {
        info!(component = %name, steps = steps.len(), "`post_start` is complete");
    }
    shared.tell(Event::Settled { name, run, outcome }).await;
}

/// Does what is to be done before a stop, in at most `within`. What fails is told, and the next step done all the same.
pub async fn part<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    name: ComponentName,
    run: u64,
    within: Duration,
    over: CancellationToken,
) {
    let steps = shared.planned(&name).map(|planned| planned.pre_stop.clone()).unwrap_or_default();
    let parting = Instant::now();
    // Each step has what those before it left, and ends by itself: so it is always told which one took the time.
    let mut left = within;
    for (n, step) in steps.iter().enumerate() {
        if left.is_zero() {
            warn!(component = %name, after = ?within, "`pre_stop` ran out of time; the stop continues without the steps from step {} on", n + 1);
            break;
        }
        let began = Instant::now();
        let limit = match step.timeout {
            Some(time) if time < left => Limit { time, of: OWN_TIME },
            _ => Limit { time: left, of: "the time that `stop_grace_period` leaves for `pre_stop`" },
        };
        let number = n + 1;
        let Some(done) = perform_while_it_runs(&shared, &name, (Around::Stop, number), step, limit, &over).await else {
            return;
        };
        if let Err(why) = done {
            warn!(component = %name, "`pre_stop` failed: step {number}, {why}");
        }
        // In whole milliseconds, as it is shown.
        let ms = left.saturating_sub(began.elapsed()).as_millis();
        left = Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
    }
    shared.tell(Event::Parted { name, run, took: parting.elapsed() }).await;
}

/// How long a step may take, and who says so.
#[derive(Debug, Clone, Copy)]
struct Limit {
    time: Duration,
    of: &'static str,
}

/// Around which end of a run a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    Start,
    Stop,
}

impl Around {
    fn key(self) -> &'static str {
        match self {
            Self::Start => "post_start",
            Self::Stop => "pre_stop",
        }
    }
}

/// What limits a step that is written with a `timeout`.
const OWN_TIME: &str = "its `timeout`";

/// Performs one step, which the key and the number name in the log; none if the component has ended, which stops the rest of the steps.
async fn perform_while_it_runs<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    (around, number): (Around, usize),
    step: &LifecycleStep,
    limit: Limit,
    over: &CancellationToken,
) -> Option<Result<(), String>> {
    let began = Instant::now();
    let done = tokio::select! {
        // The end of a component ends its commands too. If both have ended, the end of the component is the reason, and the step has not failed.
        biased;
        () = over.cancelled() => None,
        done = perform(shared, name, step, limit, around) => Some(done),
    };
    let ended = match &done {
        None => true,
        Some(Ok(())) => false,
        Some(Err(failure)) => {
            let left = limit.time.saturating_sub(began.elapsed());
            let patience = match around {
                Around::Start => failure.patience(),
                // The grace period runs.
                Around::Stop if failure.is_of_an_end => END_IS_NEAR.min(left),
                Around::Stop => Duration::ZERO,
            };
            ends(shared, name, over, patience).await
        }
    };
    if ended {
        info!(component = %name, "`{}` stops in step {number}, because the component has ended", around.key());
        return None;
    }
    done.map(|done| done.map_err(|failure| failure.why))
}

/// Does a step. One that runs out of time says which time that is.
async fn perform<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    step: &LifecycleStep,
    Limit { time, of }: Limit,
    around: Around,
) -> Result<(), Failure> {
    let began = Instant::now();
    let done = match &step.action {
        LifecycleAction::Exec(command) => exec(shared, name, command, time).await,
        LifecycleAction::Http(request) => match around {
            // The server may not listen yet.
            Around::Start => probe::send_patiently(request, time).await.map_err(Failure::from),
            Around::Stop => probe::send(request, time).await.map_err(Failure::from),
        },
        LifecycleAction::Sleep(pause) => {
            tokio::time::sleep((*pause).min(time)).await;
            Ok(())
        }
    };
    done.map_err(|failure| match began.elapsed() < time {
        true => failure,
        false => Failure { why: format!("{}, {of}", failure.why), ..failure },
    })
}

/// Exit codes of commands in containers that end: the runtime could not run it, or the kernel killed it.
const END_CODES: [i64; 2] = [126, 137];

async fn exec<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    command: &ExecCommand,
    timeout: Duration,
) -> Result<(), Failure> {
    let shown = units::command(&command.command);
    let Some(container) = shared.container(name) else {
        return Err(Failure { why: format!("`{shown}`: the container is gone"), is_of_an_end: true });
    };
    let done = shared.engine.exec(&container.id, command, timeout, SHOWN).await;
    let failed = |error: EngineError| match error {
        // The engine does its part, and waits for the command's end.
        EngineError::Timeout { after, .. } if shared.engine.reach().away().is_none() => {
            Failure::from(format!("`{shown}` did not end within {after:?}"))
        }
        error => {
            let is_of_an_end = matches!(error, EngineError::Refused { .. });
            Failure { why: format!("`{shown}`: {}", chain(&error)), is_of_an_end }
        }
    };
    match done.map_err(failed)? {
        ExecOutput { exit_code: 0, .. } => Ok(()),
        ExecOutput { exit_code, stdout, stderr, .. } => {
            let said = [stderr, stdout]
                .iter()
                .map(|bytes| one_line(&String::from_utf8_lossy(bytes)))
                .find(|text| !text.is_empty());
            let said = said.map(|text| format!(": {text}")).unwrap_or_default();
            Err(Failure {
                why: format!("`{shown}` exited with code {exit_code}{said}"),
                is_of_an_end: END_CODES.contains(&exit_code),
            })
        }
    }
}

/// Commands of probes run in one component.
struct InComponent<E, H> {
    shared: Arc<Shared<E, H>>,
    name: ComponentName,
    /// Whether the last command failed as commands fail in a container that ends.
    ending: Arc<AtomicBool>,
}

impl<E: Engine, H: Hooks> probe::Exec for InComponent<E, H> {
    async fn exec(&self, argv: &[String], timeout: Duration) -> Result<(), String> {
        let done = exec(&self.shared, &self.name, &ExecCommand::new(argv), timeout).await;
        self.ending.store(done.as_ref().is_err_and(|failure| failure.is_of_an_end), Ordering::Relaxed);
        done.map_err(|failure| failure.why)
    }
}

/// Probes one run of a component until it is over.
pub fn watch<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    tasks: &Tasks,
    name: &ComponentName,
    run: u64,
    over: CancellationToken,
) {
    let Some(probes) = shared.planned(name).map(|planned| planned.probes.clone()) else { return };
    let (verdicts, mut found) = mpsc::channel(VERDICTS_IN_FLIGHT);
    let ending = Arc::new(AtomicBool::new(false));
    let inside = InComponent { shared: Arc::clone(shared), name: name.clone(), ending: Arc::clone(&ending) };
    let findings = shared.findings.of(name);
    let ended = over.clone();
    tasks.spawn("probes", move |token| async move {
        tokio::select! {
            biased;
            () = token.cancelled() => {}
            () = ended.cancelled() => {}
            () = probe::watch(probes, inside, verdicts, findings) => {}
        }
    });
    let (shared, name) = (Arc::clone(shared), name.clone());
    tasks.spawn("verdicts", move |_token| async move {
        while let Some(verdict) = found.recv().await {
            let ending = ending.load(Ordering::Relaxed);
            let patience = match verdict {
                Verdict::Failed { .. } if !ending => Some(END_COMES),
                Verdict::Failed { .. } | Verdict::Unready { .. } if ending => Some(END_IS_NEAR),
                _ => None,
            };
            if let Some(patience) = patience
                && ends(&shared, &name, &over, patience).await
            {
                debug!(component = %name, ?verdict, "the component has ended, so the verdict of its probe does not count");
                continue;
            }
            debug!(component = %name, ?verdict, "probed");
            shared.tell(Event::Probed { name: name.clone(), run, verdict }).await;
        }
    });
}

/// Runs the command of a component's health check by ourselves, until it has succeeded once: what the engine can't do before its own first look.
pub fn look_early<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    tasks: &Tasks,
    name: &ComponentName,
    run: u64,
    over: CancellationToken,
) {
    let Some(check) = shared.planned(name).and_then(|planned| planned.early_check.clone()) else { return };
    let (verdicts, mut found) = mpsc::channel(VERDICTS_IN_FLIGHT);
    let inside = InComponent { shared: Arc::clone(shared), name: name.clone(), ending: Arc::default() };
    let (shared, name) = (Arc::clone(shared), name.clone());
    tasks.spawn("early check", move |token| async move {
        let probes = Probes { startup: Some(check.probe), ..Probes::default() };
        let look = async {
            probe::watch(probes, inside, verdicts, Findings::default()).await;
            found.recv().await
        };
        tokio::select! {
            biased;
            () = token.cancelled() => {}
            () = over.cancelled() => {}
            () = tokio::time::sleep(check.within) => {}
            verdict = look => {
                if verdict == Some(Verdict::Started) {
                    debug!(component = %name, "the health check succeeds in an early check by the controller");
                    shared.tell(Event::Health { name, run: Some(run), health: EngineHealth::Healthy, finding: None }).await;
                }
            }
        }
    });
}
