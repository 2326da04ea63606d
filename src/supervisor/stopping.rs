//! How one component is asked to stop, and killed.
//!
//! A component's grace period begins when its signal has been delivered, and nothing is killed before a look: an engine that is busy delivers signals late and
//! reports exits late, and no component is to pay for that.
//!
//! Where a component's main process is a shell that does not pass its signal on, the engine would kill the application behind it as soon as the shell has ended.
//! In a shared PID namespace the controller sees such processes, and asks them first.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::Sharing;
use crate::engine::{ContainerId, Engine, EngineError, Fault};
use crate::hooks::Hooks;
use crate::pod::ComponentName;
use crate::processes::{Forgotten, youngest};
use crate::supervisor::events::{Event, KillReason, Oom};
use crate::supervisor::shared::{Container, Shared, persist};

const SIGKILL: i32 = 9;

/// Between two looks whether processes that were asked have ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// For the engine to show a component that is to be killed; then it is killed unseen.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// One run of a component, to be stopped.
#[derive(Debug, Clone)]
pub struct Target {
    /// Which component.
    pub name: ComponentName,
    /// Which run of it, counted from 1.
    pub run: u64,
    /// Cancelled when its process has ended.
    pub over: CancellationToken,
}

/// Asks a component to stop, however long the engine is away, and tells the driver when its signal is delivered.
pub async fn stop<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, target: Target, token: CancellationToken) {
    let Target { name, run, over } = &target;
    let container = shared.container(name);
    let signal = container.as_ref().map_or(0, |container| container.stop_signal);
    info!(component = %name, signal, "stopping");
    let asking = async {
        let Some(container) = container else { return };
        ask_forgotten(&shared, &target, &container).await;
        deliver(&shared, name, &container.id, signal, &token).await;
    };
    tokio::select! {
        biased;
        () = token.cancelled() => return,
        () = over.cancelled() => return,
        () = asking => {}
    }
    shared.tell(Event::Asked { name: name.clone(), run: *run }).await;
}

/// Delivers the stop signal to the main process.
async fn deliver<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    id: &ContainerId,
    signal: i32,
    token: &CancellationToken,
) {
    let delivered = persist(token, || async {
        match shared.engine.signal(id, signal).await {
            // The engine goes on with what it was asked for, and an application may take a second signal for impatience.
            Err(error @ EngineError::Timeout { .. }) => {
                warn!(component = %name, "{error}; the controller assumes that the signal was sent");
                Ok(())
            }
            answer => answer,
        }
    });
    match delivered.await {
        Err(error) if error.fault() != Fault::AlreadyDone => {
            warn!(component = %name, signal, "the engine did not deliver a signal: {error}");
        }
        _ => debug!(component = %name, signal, "signal sent"),
    }
}

/// Asks those processes of a component to stop that would else be killed without a signal of their own, and waits for their end.
async fn ask_forgotten<E: Engine, H: Hooks>(shared: &Shared<E, H>, target: &Target, container: &Container) {
    let (id, signal) = (&container.id.0, container.stop_signal);
    let mut until = None;
    let mut asked = HashSet::new();
    // An engine that shuts down has asked the main process already.
    while !shared.engine_leaves.is_cancelled() {
        let Some(found) = shared.processes.forgotten(id, signal, until).await else { return };
        let fresh = found.first.iter().filter(|process| asked.insert(process.identity()));
        let refused = fresh.filter_map(|process| match shared.processes.send(process, signal) {
            Ok(()) | Err(Errno::ESRCH) => None,
            Err(error) => Some(error),
        });
        let refused = refused.last();
        if until.is_none() {
            until = shared.processes.look().await.map(|look| youngest(look.of(id)));
            let what = unpassed(&found, signal, refused);
            shared.tell(Event::Unpassed { name: target.name.clone(), what }).await;
            // Their grace period begins.
            shared.tell(Event::Asked { name: target.name.clone(), run: target.run }).await;
        }
        if refused.is_some() {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the operator should know of a main process that does not pass its stop signal on, as a predicate.
fn unpassed(found: &Forgotten, signal: i32, refused: Option<Errno>) -> String {
    let Forgotten { main, first } = found;
    let programs: BTreeSet<String> = first.iter().map(|process| format!("`{}`", process.name)).collect();
    let programs = Vec::from_iter(programs).join(", ");
    let done = match refused {
        None => "the controller sends the signal to these processes first".to_owned(),
        Some(error) => format!(
            "these processes are killed together with the main process, because the controller cannot signal them: {error}"
        ),
    };
    format!(
        "has the main process `{}`, which ends on the stop signal ({signal}) and does not pass the signal on to {programs}: {done}; start the application with `exec`",
        main.name
    )
}

/// Kills a component that still runs, however long the engine is away.
pub async fn kill<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    name: ComponentName,
    asked: bool,
    why: KillReason,
    token: CancellationToken,
) {
    let Some(container) = shared.container(&name) else { return };
    let looked = tokio::time::timeout(LOOK_TIME, shared.engine.inspect(&container.id.0)).await;
    if let Ok(Ok(seen)) = &looked
        && !seen.running
    {
        debug!(component = %name, exit_code = seen.exit_code, "the component has already stopped");
        // Nothing is started any more, so that the engine's own report of this end can't be taken for another one.
        if shared.launches.is_cancelled() {
            let (exit_code, oom) = (seen.exit_code, Oom::remembered(seen.exit_code, seen.oom_killed));
            shared.tell(Event::Exited { name, exit_code, oom }).await;
        }
        return;
    }
    let hint = if !asked || why == KillReason::AskedAgain || shared.settings.pids == Sharing::Shared {
        ""
    } else {
        "; the first process of a PID namespace receives only signals that it handles, and a shell does not pass signals on; start the application with `exec`"
    };
    warn!(component = %name, "{}{hint}", why.sentence(asked));
    send(&shared, &name, &container.id, SIGKILL, token).await;
}

/// Sends a signal, however long the engine is away.
pub async fn send<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    id: &ContainerId,
    signal: i32,
    token: CancellationToken,
) {
    let sent = tokio::select! {
        biased;
        () = token.cancelled() => return,
        sent = persist(&token, || shared.engine.signal(id, signal)) => sent,
    };
    match sent {
        Err(error) if error.fault() != Fault::AlreadyDone => {
            warn!(component = %name, signal, "the engine did not deliver a signal: {error}");
        }
        _ => debug!(component = %name, signal, "signal sent"),
    }
}
