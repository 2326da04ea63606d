//! What goes on beside the pod, from time to time: plugins are told and asked, and left-overs looked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::since_epoch;
use crate::engine::{Engine, Inspection, chain};
use crate::hooks::{ComponentEvent, ComponentEventKind, HealthTrigger, Hooks, Reaction};
use crate::janitor;
use crate::pod::PluginName;
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// Time between two looks for what was left over, or kept too long.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// By so much at most the time of one controller is longer than that of another.
const SWEEP_SPREAD: Duration = Duration::from_secs(10 * 60);

/// Removes what was kept for a look, once its time is over.
pub async fn sweep<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, own: Inspection, token: CancellationToken) {
    // Spread by the container's id, which is random: pods that were started together don't all ask the engine at once.
    let spread = own.id.0.get(..4).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    let pause = SWEEP_EVERY + Duration::from_secs(spread % SWEEP_SPREAD.as_secs());
    loop {
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if let Err(error) = janitor::sweep(&shared.engine, &own, since_epoch().as_secs()).await {
            debug!(error = chain(&error), "the engine cannot list leftover containers");
        }
    }
}

/// Tells plugins what happens to components, one event after the other, and the driver what they say to an exit.
pub async fn tell_plugins<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    mut news: mpsc::Receiver<ComponentEvent>,
    token: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            biased;
            event = news.recv() => event,
            () = token.cancelled() => return,
        };
        let Some(event) = event else { return };
        let (name, exited) = (event.component.clone(), matches!(event.kind, ComponentEventKind::Exited { .. }));
        let answer = shared.hooks.component_event(event).await;
        let (reaction, failure) = match answer {
            Ok(reaction) => (reaction, None),
            Err(failure) => (Reaction::AsPlanned, Some(failure)),
        };
        if let Some(failure) = failure {
            shared.tell(Event::PluginFailed(failure)).await;
        }
        if exited {
            shared.tell(Event::Decided { name, reaction }).await;
        }
    }
}

/// Calls a plugin's `tick`, and again when it says, until the pod stops.
pub async fn tick<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, plugin: PluginName) {
    loop {
        let answer = tokio::select! {
            biased;
            // A pod that stops has no use for it.
            () = shared.launches.cancelled() => return,
            answer = shared.hooks.tick(&plugin) => answer,
        };
        let pause = match answer {
            Ok(Some(pause)) => Duration::from_millis(pause.max(crate::hooks::limits::LEAST_TICK_MS).into()),
            Ok(None) => return,
            Err(failure) => return shared.tell(Event::PluginFailed(failure)).await,
        };
        tokio::select! {
            biased;
            () = shared.launches.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Asks a plugin about the pod's health, from time to time, until the pod stops.
pub async fn health<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, plugin: PluginName, interval: Duration) {
    loop {
        let answer = tokio::select! {
            biased;
            () = shared.launches.cancelled() => return,
            answer = shared.hooks.health(&plugin, HealthTrigger::Interval) => answer,
        };
        match answer {
            Ok(judgements) => shared.tell(Event::Judged { plugin: plugin.clone(), judgements }).await,
            Err(failure) => return shared.tell(Event::PluginFailed(failure)).await,
        }
        tokio::select! {
            biased;
            () = shared.launches.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}
