//! Tasks that begin once all components run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use super::Driver;
use super::publish::warn;
use crate::engine::Engine;
use crate::hooks::{Hook, Hooks};
use crate::memory;
use crate::supervisor::{polls, rollout, watches};

/// Changed files on their way to what waits for rollouts; when full, the watcher waits and merges.
const CHANGES_IN_FLIGHT: usize = 16;

/// After the last component has been started, the pod has settled: what was needed to start it is given back.
const SETTLED: Duration = Duration::from_secs(2);

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// All components run: from now on files are watched, and plugins called from time to time.
    pub(super) fn started(&mut self) {
        info!(components = self.pod.nodes().count(), "the pod runs");
        let (changes_in, changes) = mpsc::channel(CHANGES_IN_FLIGHT);
        if let Some((known, later, files)) = self.watches.take() {
            let status = self.status.clone();
            let tell = Arc::new(move |what: String| warn(&status, what));
            watches::forward(&self.tasks, known, later, changes_in, files, tell);
        }
        // A rollout is a kind of launch: none goes on once the pod stops.
        let (shared, status) = (Arc::clone(&self.shared), self.status.clone());
        let stopping = self.shared.launches.clone();
        self.tasks.spawn("rollouts", move |_token| rollout::run(shared, changes, status, stopping));
        let (sweeping, own) = (Arc::clone(&self.shared), self.own.clone());
        self.tasks.spawn("sweep", move |token| polls::sweep(sweeping, own, token));
        self.tasks.spawn("trim", |token| async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(SETTLED) => memory::trim(),
            }
        });
        for plugin in self.shared.hooks.with(Hook::Tick) {
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn("ticks", move |_token| polls::tick(shared, plugin));
        }
        for plugin in self.shared.hooks.with(Hook::Health) {
            let Some(interval) = self.health_intervals.get(&plugin).copied() else { continue };
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn("health", move |_token| polls::health(shared, plugin, interval));
        }
    }
}
