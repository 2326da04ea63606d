//! What is known of changed files beside the rollout that is under way: which wait for it, and which were refused. What of that `status` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, watch};

use super::missing::Missing;
use super::standing::Standing;
use super::waiting::{Report, Waiting, first_part};
use crate::admin::status::{RolloutStatus, Status};
use crate::engine::Engine;
use crate::hooks::{Change, Hooks, RolloutOutcome};
use crate::plan::Plan;
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// Ended rollouts that `status` shows.
const REMEMBERED: usize = 10;

/// See the [module](self).
#[derive(Debug)]
pub struct Board {
    // Short sections without any await: a plain mutex is right.
    known: Mutex<Known>,
    /// Something waits.
    came: Notify,
    /// Something waits no more.
    went: Notify,
    status: watch::Sender<Arc<Status>>,
}

#[derive(Debug, Default)]
struct Known {
    waiting: Waiting,
    standing: Standing,
    missing: Missing,
    /// Why the rollout that is under way does not go on, if it waits for a person.
    held: Option<String>,
    /// Whether a rollout is under way, or what has come during one is not yet through: only then is waiting worth a word.
    busy: bool,
}

impl Board {
    /// Nothing is known yet.
    pub fn new(status: watch::Sender<Arc<Status>>) -> Self {
        Self { known: Mutex::default(), came: Notify::new(), went: Notify::new(), status }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the watcher reports, also while a rollout is under way, for ever. If very much waits already, the watcher waits too, and merges.
    pub async fn listen<E: Engine, H: Hooks>(
        &self,
        mut changes: mpsc::Receiver<(PluginName, Vec<Change>)>,
        shared: &Shared<E, H>,
    ) {
        while let Some((plugin, changes)) = changes.recv().await {
            let shows = {
                let mut known = self.known();
                let moved = known.missing.heard(&plugin, &changes, |path| copied_to(&shared.plan, path));
                known.waiting.add(&plugin, changes);
                known.busy || moved
            };
            self.came.notify_one();
            if shows {
                self.show(None);
                shared.tell(Event::Waits).await;
            }
            while self.known().waiting.is_full() {
                self.went.notified().await;
            }
        }
        std::future::pending().await
    }

    /// The next report. Cancel safety: nothing is lost.
    pub async fn next(&self) -> Report {
        loop {
            {
                let mut known = self.known();
                if let Some(report) = known.waiting.take() {
                    self.went.notify_one();
                    return report;
                }
                known.busy = false;
            }
            self.came.notified().await;
        }
    }

    /// What takes the place of a report of which nothing has been changed yet, see [`Waiting::supersede`].
    pub fn supersede(&self, report: &Report) -> Option<Report> {
        let newer = self.known().waiting.supersede(report)?;
        self.went.notify_one();
        Some(newer)
    }

    /// Cuts off what is more than one rollout may have, or than one report may have in bytes: it waits for the next report. Answers the changes that are too
    /// long for any report.
    pub fn cut(&self, report: &mut Report, limit: usize) -> Vec<Change> {
        let too_long = report.changes.extract_if(.., |change| change.content.len() > limit).collect();
        let rest = report.changes.split_off(first_part(&report.changes, limit));
        self.put_back(&report.plugin, rest);
        too_long
    }

    /// Takes out of a report what its plugin has put off, and has it wait for the next one.
    pub fn put_off(&self, report: &mut Report, paths: &[String]) {
        let paths: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
        // A plugin that puts off everything would be asked for ever.
        if report.changes.iter().all(|change| paths.contains(change.path.as_str())) {
            return;
        }
        let later = report.changes.extract_if(.., |change| paths.contains(change.path.as_str())).collect();
        self.put_back(&report.plugin, later);
    }

    fn put_back(&self, plugin: &PluginName, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.known().waiting.put_back(plugin, changes);
            self.came.notify_one();
        }
    }

    /// A rollout begins: what waits, waits for it.
    pub fn begin(&self) {
        self.known().busy = true;
        self.show(None);
    }

    /// The rollout that is under way waits for this, or for nothing any more.
    pub fn hold(&self, why: Option<String>) {
        self.known().held = why;
        self.show(None);
    }

    /// Something may have come that waits. Cancel safety: nothing is lost.
    pub async fn news(&self) {
        self.came.notified().await;
    }

    /// See [`Standing::heard`].
    pub fn heard(&self, plugin: &PluginName, sources: &BTreeMap<String, String>) -> bool {
        self.known().standing.heard(plugin, sources)
    }

    /// See [`Standing::ended`].
    pub fn ended(
        &self,
        plugin: &PluginName,
        targets: BTreeSet<String>,
        sources: BTreeMap<String, String>,
        refused: Option<(RolloutOutcome, String)>,
    ) {
        self.known().standing.ended(plugin, targets, sources, refused);
    }

    /// Writes into `status` a rollout that has ended, and what is not in force.
    pub fn show(&self, ended: Option<RolloutStatus>) {
        let not_in_force = {
            let known = self.known();
            let waiting = if known.busy { known.waiting.told() } else { Vec::new() };
            [known.standing.told(), known.missing.told(), known.held.iter().cloned().collect(), waiting].concat()
        };
        self.status.send_modify(|status| {
            let status = Arc::make_mut(status);
            status.not_in_force = not_in_force;
            if status.rollouts.len() >= REMEMBERED && ended.is_some() {
                status.rollouts.remove(0);
            }
            if let Some(ended) = &ended {
                let outcome = RolloutOutcome::ALL.into_iter().zip(&mut status.rollouts_ended);
                outcome.filter(|(outcome, _)| *outcome == ended.outcome).for_each(|(_, count)| *count += 1);
            }
            status.rollouts.extend(ended);
        });
    }
}

/// The components that get this file of the controller when the pod starts.
fn copied_to(plan: &Plan, path: &str) -> BTreeSet<ComponentName> {
    let planned = plan.init.iter().chain(&plan.components);
    let gets = planned.filter(|planned| planned.copy.iter().any(|copy| copy.source == path));
    gets.map(|planned| planned.name.clone()).collect()
}
