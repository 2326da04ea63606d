//! Reports that the engine is away, once for the whole pod: every part of it meets the same outage, and repeats its own calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::supervisor::shared::Shared;

/// From the first report of an outage to the second; doubled each time.
const REPORT_FROM: Duration = Duration::from_secs(2);

/// Longest time between two reports of one outage.
const REPORT_TO: Duration = Duration::from_secs(5 * 60);

/// An engine that has been back for so long begins a new outage when it goes away again. Until then the pauses between reports go on growing, so that an engine
/// that comes and goes does not fill the log.
const CALM: Duration = Duration::from_secs(60);

/// Reports each outage of the engine with growing pauses, and its end, until told to end.
pub async fn report<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, token: CancellationToken) {
    let mut changes = shared.engine.reach().changes();
    let mut pause = REPORT_FROM;
    let mut due = Instant::now();
    let mut back = None;
    // When the outage began that the log has, and does not have the end of.
    let mut reported = None;
    loop {
        let away = changes.borrow_and_update().clone();
        let now = Instant::now();
        match (away, reported) {
            (Some(away), _) => {
                if back.take().is_some_and(|since: Instant| now.duration_since(since) >= CALM) {
                    pause = REPORT_FROM;
                    due = now;
                }
                if now >= due {
                    let lasted = now.duration_since(away.since).as_secs();
                    let so_far = if lasted == 0 { String::new() } else { format!(" for {lasted}s") };
                    warn!(next_report_in = ?pause, "engine unreachable{so_far}: {}; the controller retries its calls", away.why);
                    reported = Some(away.since);
                    due = now + pause;
                    pause = (pause * 2).min(REPORT_TO);
                }
                tokio::select! {
                    biased;
                    () = token.cancelled() => return,
                    _ = changes.changed() => {}
                    () = tokio::time::sleep_until(due) => {}
                }
                continue;
            }
            (None, Some(since)) => {
                info!("the engine is reachable again after {}s", now.duration_since(since).as_secs());
                reported = None;
                back = Some(now);
            }
            (None, None) => {
                back.get_or_insert(now);
            }
        }
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            _ = changes.changed() => {}
        }
    }
}
