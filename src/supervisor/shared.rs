//! What the tasks of one pod share: the engine, the plugins, the plan, and which container is which component.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::config::Settings;
use crate::engine::{ContainerId, Engine, EngineError, Fault, chain};
use crate::hooks::Hooks;
use crate::plan::{Plan, Planned};
use crate::pod::ComponentName;
use crate::processes::Processes;
use crate::supervisor::events::{Event, Phase};
use crate::supervisor::findings::AllFindings;
use crate::supervisor::rollout::asked::Asked;

/// Events in flight to the driver. When full, the task that has something to tell waits; the driver itself never sends.
pub const EVENTS_IN_FLIGHT: usize = 256;

/// First pause before an engine call is repeated; doubled each time.
const RETRY_FROM: Duration = Duration::from_millis(50);

/// Longest pause before an engine call is repeated.
const RETRY_TO: Duration = Duration::from_secs(2);

/// A container of the pod, once it exists.
#[derive(Debug, Clone)]
pub struct Container {
    /// The engine's id.
    pub id: ContainerId,
    /// The signal that asks it to stop.
    pub stop_signal: i32,
}

/// One component as the rest of the pod sees it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Where it is in its life.
    pub phase: Phase,
    /// Which run of its process this is, counted from 1.
    pub run: u64,
    /// How often it has been started again: tells one run from the next.
    pub restarts: u32,
    /// Whether somebody has frozen its processes.
    pub paused: bool,
    /// Whether the engine checks its health.
    pub checked: bool,
    /// Whether the engine's check, or a plugin, says that it does not work.
    pub unhealthy: bool,
    /// Whether a rollout decides about its exits and starts.
    pub guarded: bool,
    /// Whether it has ended for good.
    pub gone: bool,
}

/// What is shared; in an [`Arc`].
#[derive(Debug)]
pub struct Shared<E, H> {
    /// The engine.
    pub engine: E,
    /// The plugins.
    pub hooks: H,
    /// Settings of the controller.
    pub settings: Settings,
    /// What was planned.
    pub plan: Plan,
    /// To the driver.
    pub events: mpsc::Sender<Event>,
    /// Cancelled when no launch may go on.
    pub launches: CancellationToken,
    /// Cancelled when the engine is known to shut down: it has asked the controller to stop and takes no calls any more. It stops the components itself.
    pub engine_leaves: CancellationToken,
    /// The processes of the components, where the controller sees them.
    pub processes: Processes,
    /// The components as they are.
    pub live: watch::Receiver<Arc<HashMap<ComponentName, Live>>>,
    /// What their probes have found.
    pub findings: AllFindings,
    /// Rollouts that plugins have begun by themselves.
    pub asked: Asked,
    // Short sections without any await: a plain mutex is right.
    containers: Mutex<HashMap<ComponentName, Container>>,
    donor: Mutex<Option<ContainerId>>,
}

impl<E: Engine, H: Hooks> Shared<E, H> {
    /// Nothing has been created yet.
    pub fn new(
        engine: E,
        hooks: H,
        settings: Settings,
        plan: Plan,
        events: mpsc::Sender<Event>,
        live: watch::Receiver<Arc<HashMap<ComponentName, Live>>>,
        findings: AllFindings,
    ) -> Self {
        let launches = CancellationToken::new();
        Self {
            engine,
            hooks,
            settings,
            plan,
            events,
            launches,
            engine_leaves: CancellationToken::new(),
            processes: Processes::hidden(),
            live,
            findings,
            asked: Asked::default(),
            containers: Mutex::default(),
            donor: Mutex::default(),
        }
    }

    /// With the processes that the controller sees.
    #[must_use]
    pub fn seeing(self, processes: Processes) -> Self {
        Self { processes, ..self }
    }

    fn containers(&self) -> MutexGuard<'_, HashMap<ComponentName, Container>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container of a component, once it exists.
    pub fn container(&self, name: &ComponentName) -> Option<Container> {
        self.containers().get(name).cloned()
    }

    /// All containers that exist.
    pub fn all_containers(&self) -> Vec<(ComponentName, Container)> {
        self.containers().iter().map(|(name, container)| (name.clone(), container.clone())).collect()
    }

    /// Which component a container is.
    pub fn name_of(&self, id: &ContainerId) -> Option<ComponentName> {
        self.containers().iter().find(|(_, container)| container.id == *id).map(|(name, _)| name.clone())
    }

    /// Notes that a container exists.
    pub fn created(&self, name: &ComponentName, container: Container) {
        self.containers().insert(name.clone(), container);
    }

    /// Forgets a container that somebody has removed.
    pub fn removed(&self, name: &ComponentName) {
        self.containers().remove(name);
    }

    /// The container that lends its IPC namespace, once it exists.
    pub fn donor(&self) -> Option<ContainerId> {
        self.donor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the IPC donor exists.
    pub fn set_donor(&self, id: ContainerId) {
        *self.donor.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// What was planned for a component.
    pub fn planned(&self, name: &ComponentName) -> Option<&Planned> {
        self.plan.find(name)
    }

    /// Tells the driver. That nobody listens any more means that the pod is over, and is no error.
    pub async fn tell(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("the pod has ended; an event arrived too late");
        }
    }
}

/// How often a call is repeated that the engine has answered with an error of its own: it says so of passing trouble, but also of an image whose
/// program does not exist, and of a runtime that is not installed.
const ANSWERED: u32 = 4;

/// Repeats a call that may be repeated, with back-off: as long as the engine is away until `given_up`, and a few times where it answers that it failed.
///
/// # Errors
/// The last error: the first one that is not [`Fault::Transient`], or whichever was there when it was given up.
pub async fn persist<T, F, Fut>(given_up: &CancellationToken, mut call: F) -> Result<T, EngineError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, EngineError>>,
{
    let mut pause = RETRY_FROM;
    let mut answered = 0;
    loop {
        match call().await {
            Err(error) if error.fault() == Fault::Transient && !given_up.is_cancelled() => {
                if matches!(error, EngineError::Refused { .. }) {
                    answered += 1;
                    if answered > ANSWERED {
                        return Err(error);
                    }
                }
                if matches!(error, EngineError::Unreachable { .. }) {
                    // The outage is reported for all calls at once.
                    debug!(retry_in = ?pause, "{error}");
                } else {
                    warn!(retry_in = ?pause, "{}", chain(&error));
                }
                tokio::select! {
                    () = given_up.cancelled() => return Err(error),
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_TO),
                }
            }
            answer => return answer,
        }
    }
}
