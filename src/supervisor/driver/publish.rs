//! The pod's state, as rollouts, plugins and `status` see it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use super::Driver;
use crate::admin;
use crate::admin::status::Verdict;
use crate::clock::since_epoch;
use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::supervisor::views;

/// So many warnings are shown by `status`; then the oldest goes.
const WARNINGS: usize = 64;

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// Publishes the pod as it is now to rollouts, plugins and `status`.
    pub(super) fn publish(&self) {
        self.live.send_replace(Arc::new(views::live(&self.pod)));
        let containers: HashMap<_, _> = self.shared.all_containers().into_iter().collect();
        if !self.view.is_closed() {
            self.view.send_replace(Arc::new(self.fixed.view(&self.pod, &self.shared.plan, &containers)));
        }
        let (stage, components, health) = views::status(&self.pod, &self.shared.plan, &containers);
        let mut verdicts = self.pod.verdicts();
        self.status.send_modify(|status| {
            let status = Arc::make_mut(status);
            Verdict::note_since(&mut verdicts, &status.verdicts, since_epoch().as_secs());
            status.verdicts = verdicts;
            status.stage = stage;
            status.components = components;
            status.health = admin::health::with_refused(health, stage, &status.not_in_force);
        });
    }
}

/// Warns the operator, in the log and in `status`.
pub(super) fn warn(status: &watch::Sender<Arc<admin::Status>>, what: String) {
    warn!("{what}");
    status.send_modify(|status| {
        let warnings = &mut Arc::make_mut(status).warnings;
        if warnings.len() >= WARNINGS {
            warnings.remove(0);
        }
        warnings.push(what);
    });
}
