//! The end of the pod: the clean-up, and the times that it may take.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Driver;
use crate::engine::Engine;
use crate::hooks::{ComponentEventKind, Hooks};
use crate::pod::ComponentName;
use crate::supervisor::cleanup::Cleanup;
use crate::supervisor::events::Outcome;

/// So many components have their last output in the log if the start took too long.
const TOLD_LATE: usize = 5;

/// Least time for the rest of the output, however late it is.
const LEAST_DRAIN: Duration = Duration::from_millis(100);

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// Reads the rest of the output, then removes every container but the failed ones that remain for a look.
    pub(super) fn clean_up(&self, failed: Vec<ComponentName>) {
        let news = self
            .pod
            .nodes()
            .map(|(name, node)| (name.clone(), self.tell(name, ComponentEventKind::Removed, node.restarts)))
            .collect();
        let decider = self.pod.outcome().and_then(|outcome| outcome.component()).filter(|name| failed.contains(name));
        let deciding = decider.into_iter().chain(self.pod.late()).take(TOLD_LATE).cloned().collect();
        let cleanup = Cleanup {
            shared: Arc::clone(&self.shared),
            own: self.own.clone(),
            outputs: self.outputs.clone(),
            launching: self.launching.clone(),
            donor: self.donor.subscribe(),
            drain: self.drain_time(),
            settled_by: Instant::now() + self.settle_time(),
            deciding,
            keep: failed.into_iter().take(self.shared.settings.keep.count).collect(),
            news,
        };
        self.tasks.spawn("clean up", move |token| cleanup.run(token));
    }

    /// How long the rest of the output may take: what is left of the controller's own grace period, less half of the reserve for removals.
    fn drain_time(&self) -> Duration {
        let timeouts = &self.shared.settings.timeouts;
        let gone = self.stopping_since.map_or(Duration::ZERO, |since| since.elapsed());
        let left = (self.shared.plan.stop_budget + timeouts.stop_reserve / 2).saturating_sub(gone);
        left.clamp(LEAST_DRAIN, timeouts.log_drain.max(LEAST_DRAIN))
    }

    /// How long the engine may still answer to what it was asked to create: a container that nobody knows of yet is left behind. Who stops a pod with a signal kills it
    /// when its grace period is over, and some of that is needed for the removals.
    fn settle_time(&self) -> Duration {
        let timeouts = &self.shared.settings.timeouts;
        match self.pod.outcome() {
            Some(Outcome::Stopped | Outcome::Interrupted { .. } | Outcome::Killed) => {
                let gone = self.stopping_since.map_or(Duration::ZERO, |since| since.elapsed());
                let left = (self.shared.plan.stop_budget + timeouts.stop_reserve / 2).saturating_sub(gone);
                left.clamp(LEAST_DRAIN, timeouts.engine_change.max(LEAST_DRAIN))
            }
            Some(Outcome::Component { .. } | Outcome::Unfit { .. } | Outcome::Failed { .. }) | None => {
                timeouts.engine_change
            }
        }
    }
}
