//! What is done after a component's start and before its stop, and its probes: everything that goes on beside one run of its process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::engine::{Engine, EngineHealth, ExecOutput, chain};
use crate::hooks::Hooks;
use crate::pod::ComponentName;
use crate::pod::life::{ExecCommand, LifecycleAction, LifecycleStep, Probes};
use crate::probe::findings::Findings;
use crate::probe::{self, Verdict};
use crate::shutdown::Tasks;
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// For one step of `post_start` that has no `timeout`.
const SETTLE_TIME: Duration = Duration::from_secs(30);

/// What is kept of a command's output, in bytes, for the message that it failed.
const SHOWN: usize = 1024;

/// Verdicts of one component's probes that the driver has not taken yet; when full, the probes wait.
const VERDICTS_IN_FLIGHT: usize = 4;

/// Does what is to be done after a start, one step after the other.
pub async fn settle<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    name: ComponentName,
    run: u64,
    over: CancellationToken,
) {
    let steps = shared.planned(&name).map(|planned| planned.post_start.clone()).unwrap_or_default();
    let work = async {
        for (n, step) in steps.iter().enumerate() {
            let timeout = step.timeout.unwrap_or(SETTLE_TIME);
            perform(&shared, &name, step, timeout).await.map_err(|why| format!("step {}, {why}", n + 1))?;
        }
        Ok(())
    };
    tokio::select! {
        biased;
        // Its exit is told by itself.
        () = over.cancelled() => {}
        outcome = work => {
            if outcome.is_ok() {
                info!(component = %name, steps = steps.len(), "`post_start` is through");
            }
            shared.tell(Event::Settled { name, run, outcome }).await;
        }
    }
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
    let work = async {
        let mut left = within;
        for (n, step) in steps.iter().enumerate() {
            if left.is_zero() {
                warn!(component = %name, after = ?within, "no time is left for `pre_stop` from step {} on: the stop goes on without it", n + 1);
                break;
            }
            let began = Instant::now();
            if let Err(why) = perform(&shared, &name, step, step.timeout.unwrap_or(left).min(left)).await {
                warn!(component = %name, "`pre_stop` failed: step {}, {why}", n + 1);
            }
            left = left.saturating_sub(began.elapsed());
        }
    };
    tokio::select! {
        biased;
        () = over.cancelled() => {}
        () = work => shared.tell(Event::Parted { name, run, took: parting.elapsed() }).await,
    }
}

async fn perform<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    step: &LifecycleStep,
    timeout: Duration,
) -> Result<(), String> {
    match &step.action {
        LifecycleAction::Exec(command) => exec(shared, name, command, timeout).await,
        LifecycleAction::Http(request) => probe::send(request, timeout).await,
        LifecycleAction::Sleep(pause) => {
            tokio::time::sleep((*pause).min(timeout)).await;
            Ok(())
        }
    }
}

async fn exec<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    command: &ExecCommand,
    timeout: Duration,
) -> Result<(), String> {
    let shown = command.command.join(" ");
    let Some(container) = shared.container(name) else { return Err(format!("`{shown}`: its container is gone")) };
    let done = shared.engine.exec(&container.id, command, timeout, SHOWN).await;
    match done.map_err(|error| format!("`{shown}`: {}", chain(&error)))? {
        ExecOutput { exit_code: 0, .. } => Ok(()),
        ExecOutput { exit_code, stdout, stderr, .. } => {
            let said = [stderr, stdout]
                .iter()
                .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
                .find(|text| !text.is_empty());
            Err(format!("`{shown}` ended with {exit_code}{}", said.map(|text| format!(": {text}")).unwrap_or_default()))
        }
    }
}

/// Commands of probes run in one component.
struct InComponent<E, H> {
    shared: Arc<Shared<E, H>>,
    name: ComponentName,
}

impl<E: Engine, H: Hooks> probe::Exec for InComponent<E, H> {
    async fn exec(&self, argv: &[String], timeout: Duration) -> Result<(), String> {
        exec(&self.shared, &self.name, &ExecCommand::new(argv), timeout).await
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
    let inside = InComponent { shared: Arc::clone(shared), name: name.clone() };
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
    let inside = InComponent { shared: Arc::clone(shared), name: name.clone() };
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
                    debug!(component = %name, "its health check succeeds, before the engine has looked");
                    shared.tell(Event::Health { name, run: Some(run), health: EngineHealth::Healthy }).await;
                }
            }
        }
    });
}
