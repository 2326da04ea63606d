//! Listens to the engine, and misses no exit.
//!
//! A stream of events can break: the engine restarts, its socket goes away. What happened meanwhile is found by looking at every container after the connection is
//! back; only events later than that look count, so that nothing is told twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::engine::{ContainerId, Engine, EngineEvent, EngineEventKind, Fault};
use crate::hooks::Hooks;
use crate::plan::ownership;
use crate::supervisor::shared::Shared;
use crate::supervisor::state::{Event, Phase};

/// First pause before the engine is called again; doubled each time.
const RECONNECT_FROM: Duration = Duration::from_millis(100);

/// Longest pause before the engine is called again.
const RECONNECT_TO: Duration = Duration::from_secs(5);

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Follows the events of the pod's containers until told to end.
pub async fn follow<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, pod: String, token: CancellationToken) {
    let label = format!("{}={pod}", ownership::POD);
    let mut seen = Seen { from_ns: now_ns(), ..Seen::default() };
    let mut pause = RECONNECT_FROM;
    loop {
        // One second earlier: the engine rounds, and what was seen already is passed over.
        let since = seen.from_ns / 1_000_000_000 - 1;
        let mut events = shared.engine.events(&label, Some(since));
        let broken = loop {
            let event = tokio::select! {
                biased;
                () = token.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                Some(Ok(event)) => {
                    pause = RECONNECT_FROM;
                    tell(&shared, &mut seen, event).await;
                }
                Some(Err(error)) => break error.to_string(),
                None => break "the stream ended".to_owned(),
            }
        };
        warn!(error = broken, retry_in = ?pause, "lost the engine's events");
        drop(events);
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(RECONNECT_TO),
        }
        if look(&shared, &mut seen).await {
            info!("the engine is back");
        }
    }
}

/// What has been told already.
#[derive(Debug, Default)]
struct Seen {
    /// Events before this moment have been told, or found by a look.
    from_ns: i64,
    /// Containers that a look found dead, and when.
    dead: HashMap<ContainerId, i64>,
}

async fn tell<E: Engine, H: Hooks>(shared: &Shared<E, H>, seen: &mut Seen, event: EngineEvent) {
    if event.at_ns < seen.from_ns {
        return;
    }
    seen.from_ns = event.at_ns + 1;
    let Some(name) = shared.name_of(&event.id) else { return };
    match event.kind {
        EngineEventKind::Die { exit_code } => {
            if seen.dead.remove(&event.id).is_some_and(|at| event.at_ns <= at) {
                return;
            }
            // The event does not say whether the kernel killed it, and the engine's own `oom` event may come later.
            let oom_killed = exit_code == 137
                && shared.engine.inspect(&event.id.0).await.is_ok_and(|inspection| inspection.oom_killed);
            debug!(component = %name, exit_code, "exited");
            shared.tell(Event::Exited { name, exit_code, oom_killed }).await;
        }
        EngineEventKind::Health(health) => shared.tell(Event::Health { name, health }).await,
        EngineEventKind::Destroy => {
            // Somebody removed it by force; the engine reports the death first, but not when it was dead already.
            shared.tell(Event::Exited { name, exit_code: 137, oom_killed: false }).await;
        }
        EngineEventKind::Start | EngineEventKind::Oom => {}
    }
}

/// Looks at every container that should be running. Answers whether the engine could be asked about all of them.
async fn look<E: Engine, H: Hooks>(shared: &Shared<E, H>, seen: &mut Seen) -> bool {
    let began = now_ns();
    let live = shared.live.borrow().clone();
    for (name, container) in shared.all_containers() {
        if !live.get(&name).is_some_and(|live| matches!(live.phase, Phase::Running | Phase::Stopping)) {
            continue;
        }
        match shared.engine.inspect(&container.id.0).await {
            Ok(inspection) if inspection.running => {
                if let Some(health) = inspection.health {
                    shared.tell(Event::Health { name, health }).await;
                }
            }
            Ok(inspection) => {
                seen.dead.insert(container.id, now_ns());
                let (exit_code, oom_killed) = (inspection.exit_code, inspection.oom_killed);
                shared.tell(Event::Exited { name, exit_code, oom_killed }).await;
            }
            Err(error) if error.fault() == Fault::NotFound => {
                shared.tell(Event::Exited { name, exit_code: 137, oom_killed: false }).await;
            }
            Err(error) => {
                debug!(%error, "the engine is still away");
                return false;
            }
        }
    }
    seen.from_ns = began;
    true
}
