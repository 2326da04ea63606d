//! The end: the rest of the output is read, every container removed, and what failed is kept for a look.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::since_epoch;
use crate::config::Output::Streamed;
use crate::engine::{Engine, Inspection, chain};
use crate::hooks::{Hook, Hooks};
use crate::janitor;
use crate::own_log;
use crate::pod::ComponentName;
use crate::shutdown::Tasks;
use crate::supervisor::events::{Event, Oom};
use crate::supervisor::launch::Donor;
use crate::supervisor::output::Outputs;
use crate::supervisor::shared::{Container, Shared, persist};

/// Lines of a failed component that are told with the pod's end, and their bytes at most.
const LAST_LINES: u32 = 10;
const LAST_BYTES: usize = 4096;

/// For one call on behalf of a failed component: its last lines, and the new name under which it remains.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// Least time for the container that lends its IPC namespace to be there.
const LEAST: Duration = Duration::from_millis(100);

/// For the look whether more remains than may, after one more was kept.
const SWEEP_TIME: Duration = Duration::from_secs(2);

/// How long an engine that shuts down is still asked to remove containers: it has refused calls before, and ends only after the controller.
const GIVE_UP: Duration = Duration::from_secs(1);

/// How long the rest of the output may take where the engine shuts down: it is on its way already, or will not come.
const LAST_OUTPUT: Duration = Duration::from_millis(400);

/// Between two looks whether an engine that shuts down is still away.
const AWAY_LOOK: Duration = Duration::from_millis(50);

/// What the end of a pod takes.
pub struct Cleanup<E, H, N> {
    /// The pod's.
    pub shared: Arc<Shared<E, H>>,
    /// The controller's own container.
    pub own: Inspection,
    /// What components have written.
    pub outputs: Outputs,
    /// Launches under way.
    pub launching: Tasks,
    /// How far the container is that lends its IPC namespace.
    pub donor: watch::Receiver<Donor>,
    /// How long the rest of the output may take.
    pub drain: Duration,
    /// Until when the engine may answer to what it was asked to create.
    pub settled_by: Instant,
    /// The components whose failure ended the pod; the log gets their last output.
    pub deciding: Vec<ComponentName>,
    /// Those that remain for a look.
    pub keep: Vec<ComponentName>,
    /// For each component what tells plugins of its removal.
    pub news: HashMap<ComponentName, N>,
}

impl<E: Engine, H: Hooks, N: Future<Output = ()> + Send + 'static> Cleanup<E, H, N> {
    /// Cleans up, and tells the driver; calls that the engine does not answer are repeated until the token says otherwise, or the engine shuts down.
    pub async fn run(self, token: CancellationToken) {
        let (shared, given_up) = (Arc::clone(&self.shared), token.child_token());
        tokio::select! {
            biased;
            () = self.remove_all(given_up.clone()) => {}
            () = engine_is_gone(&shared) => {
                given_up.cancel();
                let left = shared.all_containers().len() + usize::from(shared.donor().is_some());
                warn!("the engine refuses connections, so {left} containers of the pod remain; the next controller that starts on this engine removes them");
            }
        }
        shared.tell(Event::Cleaned).await;
    }

    async fn remove_all(self, token: CancellationToken) {
        let Self { shared, own, outputs, launching, mut donor, drain, settled_by, deciding, keep, mut news } = self;
        let leaves = async {
            shared.engine_leaves.cancelled().await;
            tokio::time::sleep(LAST_OUTPUT).await;
        };
        tokio::select! {
            biased;
            () = outputs.drain(drain) => {}
            () = leaves => {
                let cut = outputs.cut(LEAST).await;
                if cut > 0 {
                    info!("the engine shut down before it had sent all output; the last lines of {cut} components may be missing");
                }
            }
        }
        // An engine that shuts down sends no output any more, of any component: that is reported above.
        if let Some(missing) = outputs.missing(!shared.engine_leaves.is_cancelled()) {
            warn!("output of components is missing: {missing}");
        }
        let until = Instant::now() + LOOK_TIME;
        for name in deciding {
            let last = tokio::time::timeout_at(until, last_output(&shared, &outputs, &name)).await.unwrap_or_default();
            // The reason follows with the end of the pod.
            error!(component = %name, last_output = last.join("\n"), "{}", own_log::LAST_OUTPUT);
        }
        let (removals, keepers) = (Tasks::new(), Tasks::new());
        let kept = Arc::new(AtomicBool::new(false));
        let mut done = HashSet::new();
        let mut remove_all = || {
            for (name, container) in shared.all_containers() {
                if !done.insert(container.id.clone()) {
                    continue;
                }
                let stays = keep.contains(&name);
                let (shared, given_up, news) = (Arc::clone(&shared), token.clone(), news.remove(&name));
                let (removing, kept) = (removals.clone(), Arc::clone(&kept));
                let within = if stays { &keepers } else { &removals };
                within.spawn("remove", move |_token| async move {
                    if stays && self::keep(&shared, &name, &container).await {
                        kept.store(true, Ordering::Relaxed);
                        return;
                    }
                    removing.spawn("remove", move |_token| async move {
                        remove(&shared, &name, &container, news, &given_up).await
                    });
                });
            }
        };
        remove_all();
        // What is being created now is there only when the engine has answered.
        launching.wait(settled_by.saturating_duration_since(Instant::now())).await;
        remove_all();
        // One that can't be kept is removed with the others.
        keepers.wait(2 * LOOK_TIME).await;
        if kept.load(Ordering::Relaxed) {
            let shared = Arc::clone(&shared);
            removals.spawn("sweep", move |_token| async move { sweep(&shared, &own).await });
        }
        // Its creation may still be under way; an error means that nobody will bring it up any more.
        let settled = donor.wait_for(|donor| !matches!(donor, Donor::Pending | Donor::Created));
        let left = settled_by.saturating_duration_since(Instant::now());
        if tokio::time::timeout(left.max(LEAST), settled).await.is_err() {
            warn!("the engine did not confirm in time whether it created the IPC donor container");
        }
        if let Some(id) = shared.donor() {
            let (shared, given_up) = (Arc::clone(&shared), token.clone());
            removals.spawn("remove", move |_token| async move {
                match persist(&given_up, || shared.engine.remove(&id)).await {
                    // Told for all containers together.
                    Err(error) if given_up.is_cancelled() => debug!("cannot remove the IPC donor container: {error}"),
                    Err(error) => error!(
                        error = chain(&error),
                        "cannot remove the IPC donor container; the next controller on this engine removes it"
                    ),
                    Ok(()) => {}
                }
            });
        }
        removals.wait(shared.settings.timeouts.engine_change).await;
    }
}

/// Resolves when the engine shuts down and has answered nothing for a while.
async fn engine_is_gone<E: Engine, H: Hooks>(shared: &Shared<E, H>) {
    shared.engine_leaves.cancelled().await;
    let begun = Instant::now();
    loop {
        let away = shared.engine.reach().away();
        if away.is_some_and(|away| away.since.max(begun).elapsed() >= GIVE_UP) {
            return;
        }
        tokio::time::sleep(AWAY_LOOK).await;
    }
}

/// Where nobody has heard of the end of a component, the engine may know of it: whether it had to be killed is told by its exit code.
async fn look_at_end<E: Engine, H: Hooks>(shared: &Shared<E, H>, name: &ComponentName, container: &Container) {
    if !shared.live.borrow().get(name).is_some_and(|live| live.phase.has_process()) {
        return;
    }
    if let Ok(Ok(seen)) = tokio::time::timeout(LOOK_TIME, shared.engine.inspect(&container.id.0)).await
        && !seen.running
    {
        let (exit_code, oom) = (seen.exit_code, Oom::remembered(seen.exit_code, seen.oom_killed));
        shared.tell(Event::Exited { name: name.clone(), exit_code, oom }).await;
    }
}

/// Removes a container, and tells plugins.
async fn remove<E: Engine, H: Hooks, N: Future<Output = ()>>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    container: &Container,
    news: Option<N>,
    given_up: &CancellationToken,
) {
    look_at_end(shared, name, container).await;
    match persist(given_up, || shared.engine.remove(&container.id)).await {
        Ok(()) => {
            if let Some(news) = news {
                news.await;
            }
        }
        // Told for all containers together.
        Err(error) if given_up.is_cancelled() => debug!(component = %name, "cannot remove the container: {error}"),
        Err(error) => {
            error!(component = %name, error = chain(&error), "cannot remove the container; the next controller on this engine removes it");
        }
    }
}

/// Of earlier failures only so many remain as may beside the one that has just been kept. Ours own their containers still, and stay.
async fn sweep<E: Engine, H: Hooks>(shared: &Shared<E, H>, own: &Inspection) {
    match tokio::time::timeout(SWEEP_TIME, janitor::sweep(&shared.engine, own, since_epoch().as_secs())).await {
        Ok(Err(error)) => debug!(error = chain(&error), "the engine cannot list leftover containers"),
        Ok(Ok(_)) => {}
        Err(_) => debug!("the engine did not list leftover containers in time"),
    }
}

/// The last lines of a component: as plugins left them, or where nobody followed its output, as the engine has them.
async fn last_output<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    outputs: &Outputs,
    name: &ComponentName,
) -> Vec<String> {
    let followed = outputs.last(name, LAST_LINES as usize);
    if !followed.is_empty() || shared.settings.logs == Streamed || !shared.hooks.with(Hook::LogLine).is_empty() {
        return followed;
    }
    let Some(container) = shared.container(name) else { return Vec::new() };
    match shared.engine.tail(&container.id, LAST_LINES, LAST_BYTES).await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect(),
        Err(error) => {
            debug!(component = %name, error = chain(&error), "cannot read the last output");
            Vec::new()
        }
    }
}

/// Keeps a failed component for a look. Where the engine will not, it is removed as the others are.
async fn keep<E: Engine, H: Hooks>(shared: &Shared<E, H>, name: &ComponentName, container: &Container) -> bool {
    let Some(planned) = shared.planned(name) else { return false };
    let kept = janitor::kept_name(&planned.container.name, since_epoch().as_secs());
    let Ok(renamed) = tokio::time::timeout(LOOK_TIME, shared.engine.rename(&container.id, &kept)).await else {
        warn!(component = %name, "the failed container cannot be kept for inspection, because the engine does not answer");
        return false;
    };
    match renamed {
        Ok(()) => {
            info!(component = %name, container = kept, "the failed container is kept for inspection with `docker logs` and `docker cp`; a later controller removes it when its time has expired");
            true
        }
        Err(error) => {
            warn!(component = %name, error = chain(&error), "the failed container cannot be kept for inspection");
            false
        }
    }
}
