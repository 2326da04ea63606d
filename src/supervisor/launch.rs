//! Brings one container up: pull, create, fill, start.
//!
//! A step that has begun is never dropped half-way, except a pull and the copying of files, whose container is removed with the rest: between two steps the
//! launch looks whether the pod is stopping.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::config::Pull;
use crate::engine::{ContainerId, ContainerSpec, Engine, EngineError, Fault, Inspection, chain};
use crate::hooks::Hooks;
use crate::plan::{Planned, ownership};
use crate::pod::ComponentName;
use crate::supervisor::copy::{CopyError, copy_all};
use crate::supervisor::events::Event;
use crate::supervisor::shared::{Container, Shared, persist};

/// Linux's SIGTERM: what stops a container whose image names no other signal.
const SIGTERM: i32 = 15;

/// How long the engine may still take to answer to a start once the pod is stopping, a quarter of the stop's own time at most.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// How long an engine that shuts down may still answer to what it was asked before.
const LEAVING_TIME: Duration = Duration::from_millis(500);

/// How far the IPC donor is. `None`: there is none, or it is not up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Donor {
    /// The pod needs none.
    NotNeeded,
    /// It is being created.
    Pending,
    /// It exists: others that join it can be created, but not started.
    Created,
    /// It runs.
    Up,
    /// It can't be started.
    Failed(String),
}

/// Why a launch did not end with a running process.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("the pod is stopping")]
    Dropped,
    #[error(
        "{why}, and the engine does not have the image; build the image, load it with `docker load`, or make its registry reachable"
    )]
    Pull { why: String },
    #[error(
        "field `volumes[{at}]`: the engine has no volume driver `{driver}` that answers: {why}; install and enable it on this node, or correct `driver` \
         where the volume is declared"
    )]
    Driver { at: usize, driver: String, why: String },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error("the pod's shared IPC namespace is missing: {0}")]
    Donor(String),
}

/// Creates a container and starts it; tells the driver how that ended.
pub async fn launch<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    name: &ComponentName,
    donor: watch::Receiver<Donor>,
    created: impl Future<Output = ()> + Send,
) {
    let Some(planned) = shared.planned(name) else { return };
    let launched = async {
        let id = create_and_fill(shared, planned, donor.clone(), created).await?;
        start(shared, planned, &id, "", donor).await
    };
    let answer = unless_engine_leaves(shared, launched).await;
    report(shared, name, answer).await;
}

/// Gives a launch up which the engine does not answer while it shuts down: whatever comes of it, the next controller on the engine removes.
async fn unless_engine_leaves<E: Engine, H: Hooks, T>(
    shared: &Shared<E, H>,
    launch: impl Future<Output = Result<T, LaunchError>>,
) -> Result<T, LaunchError> {
    let leaves = async {
        shared.engine_leaves.cancelled().await;
        tokio::time::sleep(LEAVING_TIME).await;
    };
    tokio::select! {
        biased;
        answer = launch => answer,
        () = leaves => Err(LaunchError::Dropped),
    }
}

/// Starts the container that is there already; where somebody has removed it, a new one is made.
pub async fn relaunch<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    name: &ComponentName,
    donor: watch::Receiver<Donor>,
    created: impl Future<Output = ()> + Send,
) {
    let Some((planned, container)) = shared.planned(name).zip(shared.container(name)) else {
        return launch(shared, name, donor, created).await;
    };
    match unless_engine_leaves(shared, start_again(shared, planned, &container, donor.clone())).await {
        Ok(Some(checked)) => report(shared, name, Ok(checked)).await,
        Ok(None) => launch(shared, name, donor, created).await,
        Err(error) => report(shared, name, Err(error)).await,
    }
}

/// Starts a container that has run; none where it never will again, and is gone.
async fn start_again<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    planned: &Planned,
    container: &Container,
    mut donor: watch::Receiver<Donor>,
) -> Result<Option<bool>, LaunchError> {
    if planned.joins_donor {
        reached(shared, &mut donor, &[Donor::Up]).await?;
    }
    // Tells its last run, too, which a start whose answer gets lost must not be taken for.
    let seen = persist(&shared.launches, || shared.engine.inspect(&container.id.0)).await;
    let why = match &seen {
        Ok(seen) if planned.joins_donor && joins_another(shared, seen) => {
            "the IPC donor container was replaced during the start"
        }
        Ok(seen) if !seen.removing => {
            let before = &seen.started_at;
            match start(shared, planned, &container.id, before, donor).await {
                Err(LaunchError::Engine(error))
                    if error.fault() == Fault::NotFound && is_gone(shared, &container.id).await => {}
                answer => return answer.map(Some),
            }
            "the component's container was removed from outside"
        }
        Err(error) if error.fault() != Fault::NotFound => {
            return start(shared, planned, &container.id, "", donor).await.map(Some);
        }
        _ => "the component's container was removed from outside",
    };
    warn!(component = %planned.name, container = %container.id, "{why}: the controller creates a new container; files that were written in the old container are lost");
    // Nobody's any more, so that the engine's word of its end is not taken for the end of the next one.
    shared.removed(&planned.name);
    // Waits for a removal that is under way: until then the name is taken.
    persist(&shared.launches, || shared.engine.remove(&container.id)).await?;
    Ok(None)
}

/// Whether a container joins the IPC namespace of one that is the donor no longer. The engine keeps the id that its name stood for.
fn joins_another<E: Engine, H: Hooks>(shared: &Shared<E, H>, seen: &Inspection) -> bool {
    let Some(joined) = seen.ipc_mode.strip_prefix("container:") else { return false };
    let by_name = shared.plan.ipc_donor.as_ref().is_some_and(|donor| donor.name == joined);
    !by_name && shared.donor().is_some_and(|donor| donor.0 != joined)
}

/// Whether a container does not exist any more, or soon will not. The engine answers to a start in the same way where it misses a container whose namespace is joined.
async fn is_gone<E: Engine, H: Hooks>(shared: &Shared<E, H>, id: &ContainerId) -> bool {
    match persist(&shared.launches, || shared.engine.inspect(&id.0)).await {
        Ok(seen) => seen.removing,
        Err(error) => error.fault() == Fault::NotFound,
    }
}

async fn report<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    name: &ComponentName,
    answer: Result<bool, LaunchError>,
) {
    let event = match answer {
        Ok(checked) => Event::Launched { name: name.clone(), checked },
        Err(LaunchError::Dropped) => Event::LaunchDropped { name: name.clone() },
        Err(LaunchError::Copy(CopyError::Hook(failure))) => {
            shared.tell(Event::LaunchDropped { name: name.clone() }).await;
            Event::PluginFailed(failure)
        }
        Err(error) => Event::LaunchFailed { name: name.clone(), reason: chain(&error) },
    };
    shared.tell(event).await;
}

async fn create_and_fill<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    planned: &Planned,
    mut donor: watch::Receiver<Donor>,
    created: impl Future<Output = ()> + Send,
) -> Result<ContainerId, LaunchError> {
    go_on(shared)?;
    if planned.joins_donor {
        // The engine looks it up at the creation already.
        reached(shared, &mut donor, &[Donor::Created, Donor::Up]).await?;
    }
    if shared.settings.pull == Pull::Always {
        pull(shared, planned).await?;
    }
    let id = create(shared, planned).await?;
    let stop_signal = planned.stop_signal.unwrap_or(SIGTERM);
    shared.created(&planned.name, Container { id: id.clone(), stop_signal });
    debug!(component = %planned.name, %id, "created");
    let fill = async {
        created.await;
        copy_all(&shared.engine, &shared.hooks, planned, &id, &shared.launches).await
    };
    // A plugin may take its time, and a half-filled container is removed with the rest.
    tokio::select! {
        biased;
        () = shared.launches.cancelled() => return Err(LaunchError::Dropped),
        filled = fill => filled?,
    }
    Ok(id)
}

fn go_on<E: Engine, H: Hooks>(shared: &Shared<E, H>) -> Result<(), LaunchError> {
    if shared.launches.is_cancelled() { Err(LaunchError::Dropped) } else { Ok(()) }
}

async fn pull<E: Engine, H: Hooks>(shared: &Shared<E, H>, planned: &Planned) -> Result<(), LaunchError> {
    let image = &planned.container.image;
    info!(component = %planned.name, image, "pulling");
    tokio::select! {
        biased;
        () = shared.launches.cancelled() => Err(LaunchError::Dropped),
        answer = shared.engine.pull(image) => {
            answer.map_err(|source| LaunchError::Pull { why: chain(&source) })
        }
    }
}

/// Creates the container, with one pull where the engine does not have the image: asking first would cost every start a call.
async fn create<E: Engine, H: Hooks>(shared: &Shared<E, H>, planned: &Planned) -> Result<ContainerId, LaunchError> {
    let spec = with_donor(shared, planned);
    let (id, warnings) = match create_once(shared, &spec).await {
        Err(error) if error.fault() == Fault::NotFound => {
            if shared.engine.has_image(&planned.container.image).await? {
                return Err(without_driver(&planned.container, error));
            }
            pull(shared, planned).await?;
            go_on(shared)?;
            create_once(shared, &spec).await?
        }
        answer => answer?,
    };
    for warning in warnings {
        warn!(component = %planned.name, "the engine warns: {warning}");
    }
    Ok(id)
}

/// Creates a container, and answers with the engine's warnings. One that is there already is taken for the answer where this run has made it: asked twice because
/// the first answer got lost, the engine says that the name is taken.
async fn create_once<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    spec: &ContainerSpec,
) -> Result<(ContainerId, Vec<String>), EngineError> {
    match persist(&shared.launches, || shared.engine.create(spec)).await {
        // What the engine does not find for it is missing before there is a container.
        Err(error) if error.fault() != Fault::NotFound => {
            // The engine may be away for a moment more, and a container that nobody knows of would be left.
            match persist(&shared.launches, || shared.engine.inspect(&spec.name)).await {
                Ok(found) if ours(&found.labels, &spec.labels) => Ok((found.id, Vec::new())),
                _ => Err(error),
            }
        }
        answer => answer,
    }
}

/// Starts a container once, however many answers get lost on the way: where it has begun another run than the one of `before`, that is it, and it may
/// well have ended since.
async fn start_once<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    id: &ContainerId,
    before: &str,
) -> Result<(), EngineError> {
    let mut asked = false;
    persist(&shared.launches, || {
        let again = std::mem::replace(&mut asked, true);
        async move {
            if again && has_begun(&shared.engine.inspect(&id.0).await?, before) {
                return Ok(());
            }
            shared.engine.start(id).await
        }
    })
    .await
}

/// Whether a container has begun another run than the one that began at `before`, where it had one. The engine writes the year 1 for none.
fn has_begun(seen: &Inspection, before: &str) -> bool {
    seen.running || (seen.started_at != before && !seen.started_at.is_empty() && !seen.started_at.starts_with("0001-"))
}

/// The engine's words name the driver and the volume, not where they are written; and no answer tells what is missing but its text.
fn without_driver(container: &ContainerSpec, error: EngineError) -> LaunchError {
    let told = chain(&error);
    let drivers =
        container.mounts.iter().enumerate().filter_map(|(at, mount)| Some((at, &mount.volume.as_ref()?.driver)));
    let missing =
        drivers.filter(|(_, driver)| !driver.is_empty()).find(|(_, driver)| told.contains(&format!("\"{driver}\"")));
    match missing {
        Some((at, driver)) => LaunchError::Driver { at, driver: driver.clone(), why: chain(&error) },
        None => error.into(),
    }
}

/// Waits until the donor is so far.
async fn reached<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    donor: &mut watch::Receiver<Donor>,
    far_enough: &[Donor],
) -> Result<(), LaunchError> {
    tokio::select! {
        biased;
        () = shared.launches.cancelled() => Err(LaunchError::Dropped),
        answer = donor.wait_for(|donor| matches!(donor, Donor::Failed(_)) || far_enough.contains(donor)) => {
            match answer.as_deref() {
                Ok(Donor::Failed(why)) => Err(LaunchError::Donor(why.clone())),
                Ok(_) => Ok(()),
                // The driver is gone, and with it the pod.
                Err(_) => Err(LaunchError::Dropped),
            }
        }
    }
}

/// The container with the IPC namespace that it joins.
fn with_donor<'a, E: Engine, H: Hooks>(shared: &Shared<E, H>, planned: &'a Planned) -> Cow<'a, ContainerSpec> {
    match &shared.plan.ipc_donor {
        Some(donor) if planned.joins_donor => {
            let ipc_mode = Some(format!("container:{}", donor.name));
            Cow::Owned(ContainerSpec { ipc_mode, ..planned.container.clone() })
        }
        _ => Cow::Borrowed(&planned.container),
    }
}

/// Whether a container of a name that is taken was made by this very run of the controller.
fn ours(found: &BTreeMap<String, String>, planned: &BTreeMap<String, String>) -> bool {
    let same = |key: &str| found.get(key) == planned.get(key);
    // The one that lends its IPC namespace is no component.
    let has_owner = [ownership::POD, ownership::GENERATION].iter().all(|key| planned.contains_key(*key) && same(key));
    has_owner && same(ownership::COMPONENT) && same(ownership::ROLE)
}

/// Starts it, and answers whether the engine checks its health.
async fn start<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    planned: &Planned,
    id: &ContainerId,
    before: &str,
    mut donor: watch::Receiver<Donor>,
) -> Result<bool, LaunchError> {
    if planned.joins_donor {
        reached(shared, &mut donor, &[Donor::Up]).await?;
    }
    go_on(shared)?;
    match in_time(shared, start_once(shared, id, before)).await {
        Some(answer) => answer?,
        // It may run all the same, and then it has to be asked to stop like the others. The engine goes on with what it was asked for.
        None => match in_time(shared, shared.engine.inspect(&id.0)).await {
            Some(Ok(found)) if !found.running => return Err(LaunchError::Dropped),
            _ => {
                warn!(component = %planned.name, "the engine did not confirm the start; the controller stops the container as if it were running");
                return Ok(false);
            }
        },
    }
    // What the image says about health and stopping is known only now.
    let Some(looked) = in_time(shared, persist(&shared.launches, || shared.engine.inspect(&id.0))).await else {
        return Ok(false);
    };
    match looked {
        Ok(inspection) => {
            let stop_signal = planned.stop_signal.or(inspection.stop_signal).unwrap_or(SIGTERM);
            shared.created(&planned.name, Container { id: id.clone(), stop_signal });
            if let Some(declared) = inspection.check_declares.filter(|time| *time > planned.start_of_check) {
                shared.tell(Event::CheckKnown { name: planned.name.clone(), declared }).await;
            }
            Ok(inspection.health.is_some())
        }
        Err(error) => {
            warn!(component = %planned.name, error = chain(&error), "the component has started, but the engine cannot report its health");
            Ok(false)
        }
    }
}

/// What a call answers; none where the pod is stopping and has no time to wait for it.
async fn in_time<E: Engine, H: Hooks, T>(shared: &Shared<E, H>, call: impl Future<Output = T>) -> Option<T> {
    let late = async {
        shared.launches.cancelled().await;
        tokio::time::sleep(ANSWER_TIME.min(shared.plan.stop_budget / 4)).await;
    };
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = late => None,
    }
}

/// Brings the IPC donor up. Whatever happens, [`Shared::donor`] knows of the container once there is one.
pub async fn launch_donor<E: Engine, H: Hooks>(shared: &Arc<Shared<E, H>>, told: &watch::Sender<Donor>) {
    let Some(spec) = &shared.plan.ipc_donor else { return };
    let brought_up = async {
        let (id, warnings) = create_once(shared, spec).await?;
        shared.set_donor(id.clone());
        for warning in warnings {
            warn!(container = %id, "the engine warns: {warning}");
        }
        told.send_replace(Donor::Created);
        go_on(shared)?;
        persist(&shared.launches, || shared.engine.start(&id)).await.map_err(LaunchError::Engine)
    };
    let donor = match brought_up.await {
        Ok(()) => Donor::Up,
        Err(error) => Donor::Failed(chain(&error)),
    };
    told.send_replace(donor);
}

/// Starts a donor that has ended, after a pause; where somebody has removed it, a new one of its name is made. Others that join it wait meanwhile.
pub async fn revive_donor<E: Engine, H: Hooks>(
    shared: &Arc<Shared<E, H>>,
    told: &watch::Sender<Donor>,
    after: Duration,
) {
    let Some(id) = shared.donor() else { return };
    told.send_replace(Donor::Created);
    tokio::select! {
        biased;
        () = shared.launches.cancelled() => {
            told.send_replace(Donor::Failed("the pod is stopping".to_owned()));
            return;
        }
        () = tokio::time::sleep(after) => {}
    }
    let donor = match persist(&shared.launches, || shared.engine.start(&id)).await {
        Err(error) if error.fault() == Fault::NotFound => {
            warn!(container = %id, "the IPC donor container was removed from outside; the controller creates a new one");
            told.send_replace(Donor::Pending);
            // A removal that is under way keeps the name until it is through.
            match persist(&shared.launches, || shared.engine.remove(&id)).await {
                Ok(()) => return launch_donor(shared, told).await,
                Err(error) => Donor::Failed(chain(&error)),
            }
        }
        Err(error) => Donor::Failed(chain(&error)),
        Ok(()) => Donor::Up,
    };
    told.send_replace(donor);
}
