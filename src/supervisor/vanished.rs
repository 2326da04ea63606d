//! Notices that components have ended while the engine is away, and the pod is being stopped.
//!
//! An engine that starts again after a crash stops what it finds of containers, and serves nobody meanwhile: there is no stream of events, and no call is
//! answered. In a shared PID namespace the controller sees the components' processes. It knows nothing of their exit codes then, and says so. Where it does not see them,
//! nothing is known before the engine is back or the pod's time is over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::engine::{Away, ContainerId, Engine};
use crate::hooks::Hooks;
use crate::processes::Look;
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// Between two looks at processes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// So long a component has no process before it counts as ended: an engine that still reports exits has the exit code, and is heard first.
const SURE: Duration = Duration::from_millis(500);

/// Watches processes whenever the engine is away, until told to end.
pub async fn watch<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, token: CancellationToken) {
    let mut reach = shared.engine.reach().changes();
    loop {
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            away = reach.wait_for(Option::is_some) => if away.is_err() { return },
        }
        // Nothing is started while the engine is away. Where no process of a container has been seen, it can't be seen to end either.
        let Some(look) = shared.processes.look().await else { return };
        let containers = shared.all_containers().into_iter().map(|(_, container)| container.id);
        let visible: HashSet<ContainerId> = containers.filter(|id| !look.of(&id.0).is_empty()).collect();
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            () = is_back(&mut reach) => {}
            () = tell_ended(&shared, &visible) => {}
        }
    }
}

async fn is_back(reach: &mut watch::Receiver<Option<Away>>) {
    if reach.wait_for(Option::is_none).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Once the pod stops, tells of each component of which no process is left.
async fn tell_ended<E: Engine, H: Hooks>(shared: &Shared<E, H>, visible: &HashSet<ContainerId>) {
    shared.launches.cancelled().await;
    let mut missing: HashMap<ContainerId, Instant> = HashMap::new();
    while let Some(look) = shared.processes.look().await {
        for event in ended(shared, visible, &look, &mut missing) {
            shared.tell(event).await;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn ended<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    visible: &HashSet<ContainerId>,
    look: &Look,
    missing: &mut HashMap<ContainerId, Instant>,
) -> Vec<Event> {
    let live = Arc::clone(&shared.live.borrow());
    let running = shared.all_containers().into_iter().filter_map(|(name, container)| {
        let run = live.get(&name).filter(|live| live.phase.has_process())?.run;
        Some((name, run, container.id))
    });
    let gone = running.filter(|(.., id)| visible.contains(id) && look.of(&id.0).is_empty());
    let sure = gone.filter(|(.., id)| missing.entry(id.clone()).or_insert_with(Instant::now).elapsed() >= SURE);
    sure.map(|(name, run, _)| Event::Vanished { name, run }).collect()
}
