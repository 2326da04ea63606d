//! A person who has paused a component wants it to stand still: a rollout neither runs commands in it, nor sends it signals, nor restarts it, which would end the
//! pause. It waits until nobody pauses the component any more.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::board::Board;
use super::waiting::Report;
use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// Between two questions to the engine about a pause whose event has not come, or whose end is announced by none.
const LOOK: Duration = Duration::from_secs(1);

/// Takes the report of a newer version, if there is one.
pub type Newer<'a> = dyn Fn() -> Option<Report> + Send + Sync + 'a;

/// Whether somebody has paused a component: as its events say, else as the engine says. An engine that is away knows of no pause.
pub async fn is_paused<E: Engine, H: Hooks>(shared: &Shared<E, H>, name: &ComponentName) -> bool {
    if shared.live.borrow().get(name).is_some_and(|live| live.paused) {
        return true;
    }
    let Some(container) = shared.container(name) else { return false };
    shared.engine.inspect(&container.id.0).await.is_ok_and(|seen| seen.running && seen.paused)
}

/// Waits until none of a rollout's components is paused, and shows meanwhile why the rollout waits. Answers the report of a newer version if one comes.
pub async fn until_unpaused<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    board: &Board,
    plugin: &PluginName,
    names: &BTreeSet<ComponentName>,
    newer: &Newer<'_>,
    token: &CancellationToken,
) -> Option<Report> {
    let mut live = shared.live.clone();
    let mut shown: Option<ComponentName> = None;
    let superseded = loop {
        live.mark_unchanged();
        let mut paused = None;
        for name in names {
            if is_paused(shared, name).await {
                paused = Some(name);
                break;
            }
        }
        let Some(name) = paused else { break None };
        if shown.as_ref() != Some(name) {
            info!(component = %name, "the rollout of plugin `{plugin}` waits, because the component is paused");
            board.hold(Some(format!(
                "the newest version from plugin `{plugin}` waits: component `{name}` is paused; `docker unpause` lets it go on"
            )));
            shared.tell(Event::Waits).await;
            shown = Some(name.clone());
        }
        if let Some(newer) = newer() {
            break Some(newer);
        }
        tokio::select! {
            biased;
            () = token.cancelled() => break None,
            changed = live.changed() => if changed.is_err() { break None },
            () = board.news() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    };
    if shown.is_some() {
        board.hold(None);
        shared.tell(Event::Waits).await;
    }
    superseded
}
