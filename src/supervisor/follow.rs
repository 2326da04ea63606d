//! Listens to the engine, and misses no exit.
//!
//! A stream of events can break: the engine restarts, its socket goes away. What happened meanwhile is found by looking at the containers when it is back, and from
//! time to time besides. Nothing here compares the engine's clock with the controller's: they may be on different machines.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::engine::{ContainerId, Engine, EngineError, EngineEvent, EngineEventKind, Fault, chain};
use crate::hooks::Hooks;
use crate::plan::ownership;
use crate::pod::ComponentName;
use crate::supervisor::events::Event;
use crate::supervisor::launch::Donor;
use crate::supervisor::shared::Shared;

/// First pause before the engine is called again; doubled each time.
const RECONNECT_FROM: Duration = Duration::from_millis(100);

/// Longest pause before the engine is called again.
const RECONNECT_TO: Duration = Duration::from_secs(5);

/// Time between two looks at all containers, in case an engine forgets to tell something.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Follows the events of the pod's containers until told to end.
pub async fn follow<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    pod: String,
    donor: watch::Receiver<Donor>,
    token: CancellationToken,
) {
    let label = format!("{}={pod}", ownership::POD);
    let mut seen = Seen::default();
    let mut pause = RECONNECT_FROM;
    loop {
        // At first from the very beginning: the label leaves nothing but this pod's events.
        let since = seen.last_ns / 1_000_000_000;
        let mut events = shared.engine.events(&label, Some(since));
        let mut next_look = Instant::now() + LOOK_EVERY;
        let broken = loop {
            let event = tokio::select! {
                biased;
                () = token.cancelled() => return,
                event = events.next() => event,
                () = sleep_until(next_look) => {
                    next_look = Instant::now() + LOOK_EVERY;
                    match look(&shared, &label, &donor, &mut seen).await {
                        Ok(()) => continue,
                        Err(error) => break chain(&error),
                    }
                }
            };
            match event {
                Some(Ok(event)) => {
                    pause = RECONNECT_FROM;
                    tell(&shared, &mut seen, event).await;
                }
                Some(Err(error)) => break chain(&error),
                None => break "the stream ended".to_owned(),
            }
        };
        warn!(error = broken, retry_in = ?pause, "lost the engine's events");
        drop(events);
        seen.before_ns = seen.last_ns;
        tokio::select! {
            () = token.cancelled() => return,
            () = sleep(pause) => pause = (pause * 2).min(RECONNECT_TO),
        }
        match look(&shared, &label, &donor, &mut seen).await {
            Ok(()) => info!("the engine is back"),
            Err(error) => debug!(error = chain(&error), "the engine is still away"),
        }
    }
}

/// What has been told already.
#[derive(Debug, Default)]
struct Seen {
    /// The engine's time of the last event; 0 before the first.
    last_ns: i64,
    /// The same, of the streams before this one.
    before_ns: i64,
    /// Containers that a look found dead. Their next death in the stream is the same one, unless a start comes before it.
    dead: HashSet<ContainerId>,
}

async fn tell<E: Engine, H: Hooks>(shared: &Shared<E, H>, seen: &mut Seen, event: EngineEvent) {
    // A new stream begins within the second of the last event.
    if event.at_ns <= seen.before_ns {
        return;
    }
    seen.last_ns = seen.last_ns.max(event.at_ns);
    let Some(name) = shared.name_of(&event.id) else {
        if shared.donor().as_ref() == Some(&event.id) {
            match event.kind {
                EngineEventKind::Die { .. } if !seen.dead.remove(&event.id) => shared.tell(Event::DonorEnded).await,
                EngineEventKind::Start => {
                    seen.dead.remove(&event.id);
                }
                _ => {}
            }
        }
        return;
    };
    match event.kind {
        EngineEventKind::Die { exit_code } => {
            if seen.dead.remove(&event.id) {
                return;
            }
            // The event does not say whether the kernel killed it, and the engine's own `oom` event may come later.
            let oom_killed = exit_code == 137
                && shared.engine.inspect(&event.id.0).await.is_ok_and(|inspection| inspection.oom_killed);
            shared.tell(Event::Exited { name, exit_code, oom_killed }).await;
        }
        EngineEventKind::Health(health) => shared.tell(Event::Health { name, run: None, health }).await,
        // Somebody removed it by force; the engine reports the death first, but not when it was dead already.
        EngineEventKind::Destroy => {
            seen.dead.remove(&event.id);
            shared.tell(Event::Exited { name, exit_code: 137, oom_killed: false }).await;
        }
        EngineEventKind::Start => {
            seen.dead.remove(&event.id);
        }
        EngineEventKind::Oom => {}
    }
}

/// Looks at every container that should be running.
async fn look<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    label: &str,
    donor: &watch::Receiver<Donor>,
    seen: &mut Seen,
) -> Result<(), EngineError> {
    let listed = shared.engine.list(&[label.to_owned()]).await?;
    if let Some(id) = shared.donor()
        && *donor.borrow() == Donor::Up
        && !listed.iter().any(|listed| listed.id == id && listed.running)
    {
        seen.dead.insert(id);
        shared.tell(Event::DonorEnded).await;
    }
    for (name, container) in shared.all_containers() {
        if !should_run(shared, &name) {
            continue;
        }
        let there = listed.iter().find(|listed| listed.id == container.id);
        if there.is_some_and(|listed| listed.running) && !awaits_health(shared, &name) {
            continue;
        }
        match shared.engine.inspect(&container.id.0).await {
            Ok(inspection) if inspection.running => {
                if let Some(health) = inspection.health {
                    shared.tell(Event::Health { name, run: None, health }).await;
                }
            }
            // Asked once more: it may have been started again meanwhile.
            Ok(inspection) if should_run(shared, &name) => {
                seen.dead.insert(container.id);
                let (exit_code, oom_killed) = (inspection.exit_code, inspection.oom_killed);
                shared.tell(Event::Exited { name, exit_code, oom_killed }).await;
            }
            Ok(_) => {}
            Err(error) if error.fault() == Fault::NotFound => {
                shared.tell(Event::Exited { name, exit_code: 137, oom_killed: false }).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn should_run<E: Engine, H: Hooks>(shared: &Shared<E, H>, name: &ComponentName) -> bool {
    let live = shared.live.borrow();
    live.get(name).is_some_and(|live| live.phase.has_process())
}

fn awaits_health<E: Engine, H: Hooks>(shared: &Shared<E, H>, name: &ComponentName) -> bool {
    shared.live.borrow().get(name).is_some_and(|live| live.checked)
}
