//! Changes files of components, as transactions of `transaction`.
//!
//! One rollout at a time; while it runs, exits and starts of its components are its business. What became of each is one line of the log, and an entry of
//! `status`; while a refused version is the newest, the pod is degraded.

mod standing;
mod transaction;
mod trials;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::standing::{Standing, sources, targets};
use self::transaction::{Ended, Transaction};
use self::trials::{Trials, proof};
use crate::admin::status::{RolloutStatus, Status};
use crate::clock::since_epoch;
use crate::engine::Engine;
use crate::hooks::{Action, Change, HookFailure, Hooks, Rollout};
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// Ended rollouts that `status` shows.
const REMEMBERED: usize = 10;

/// Versions in place that have not proven themselves yet; of more, the oldest stays unproven.
const UNPROVEN: usize = 16;

/// Takes changes to the plugins that watch them, and carries out what they answer, until told to end.
pub async fn run<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    changes: mpsc::Receiver<(PluginName, Vec<Change>)>,
    status: watch::Sender<Arc<Status>>,
    token: CancellationToken,
) {
    let trials = Trials::default();
    let live = shared.live.clone();
    let rollouts = Rollouts {
        shared: &shared,
        trials: &trials,
        status,
        token: &token,
        standing: Standing::default(),
        unproven: Vec::new(),
    };
    tokio::select! {
        biased;
        () = trials.observe(live) => {}
        () = rollouts.serve(changes) => {}
    }
}

/// A version that is in place, and with which its components have not run for long enough yet.
struct Unproven {
    plugin: PluginName,
    names: BTreeSet<ComponentName>,
    time: Duration,
    shown: RolloutStatus,
}

struct Rollouts<'a, E, H> {
    shared: &'a Shared<E, H>,
    trials: &'a Trials,
    status: watch::Sender<Arc<Status>>,
    token: &'a CancellationToken,
    standing: Standing,
    unproven: Vec<Unproven>,
}

impl<E: Engine, H: Hooks> Rollouts<'_, E, H> {
    async fn serve(mut self, mut changes: mpsc::Receiver<(PluginName, Vec<Change>)>) {
        loop {
            let (plugin, changes) = tokio::select! {
                biased;
                () = self.token.cancelled() => return,
                change = changes.recv() => match change { Some(change) => change, None => return },
                at = self.proven() => {
                    self.in_force(at).await;
                    continue;
                }
            };
            if let Err(failure) = self.one(&plugin, changes).await {
                self.shared.tell(Event::PluginFailed(failure)).await;
            }
        }
    }

    /// Waits until an unproven version has proven itself. Cancel safety: nothing is lost.
    async fn proven(&self) -> usize {
        if self.unproven.is_empty() {
            return std::future::pending().await;
        }
        let mut live = self.shared.live.clone();
        loop {
            live.mark_unchanged();
            let left = |unproven: &Unproven| Some(unproven.time.saturating_sub(self.trials.run_for(&unproven.names)?));
            let soonest = self.unproven.iter().enumerate().filter_map(|(at, it)| Some((left(it)?, at))).min();
            match soonest {
                Some((Duration::ZERO, at)) => return at,
                Some((left, _)) => {
                    // Whoever ends meanwhile begins anew.
                    tokio::select! { _ = live.changed() => {}, () = tokio::time::sleep(left) => {} }
                }
                None => {
                    if live.changed().await.is_err() {
                        return std::future::pending().await;
                    }
                }
            }
            // The trials look at the same news, in the same task.
            tokio::task::yield_now().await;
        }
    }

    async fn in_force(&mut self, at: usize) {
        let Unproven { plugin, names, mut shown, time } = self.unproven.remove(at);
        info!(
            "{}: rollout of plugin `{plugin}` applied: {}: it has run with it for {time:?}",
            told(&names),
            shown.summary
        );
        self.standing.ended(&plugin, shown.targets.iter().cloned().collect(), Default::default(), None);
        "applied".clone_into(&mut shown.outcome);
        shown.reason = String::new();
        shown.at = since_epoch().as_secs();
        self.show(Some(shown)).await;
    }

    async fn one(&mut self, plugin: &PluginName, changes: Vec<Change>) -> Result<(), HookFailure> {
        let sources = sources(&changes);
        let rollout = self.shared.hooks.config_changed(plugin, changes).await?;
        let moved_on = self.standing.heard(plugin, &sources);
        let Some(rollout) = rollout else {
            if moved_on {
                self.show(None).await;
            }
            return Ok(());
        };
        let mut files = Vec::new();
        for file in &rollout.files {
            files.extend(self.shared.hooks.config_copy(&format!("plugin:{plugin}"), file.clone()).await?);
        }
        let rollout = Rollout { files, ..rollout };
        let names: BTreeSet<ComponentName> = involved(&rollout).cloned().collect();
        let targets = targets(&rollout);
        // What they replace is not waited for any more.
        self.unproven.retain(|old| !(old.plugin == *plugin && old.shown.targets.iter().any(|it| targets.contains(it))));
        self.shared.tell(Event::Guard(names.clone())).await;
        let transaction = Transaction::new(self.shared, plugin, &rollout, &names, self.trials, self.token);
        let ended = transaction.carry_out().await;
        if self.token.is_cancelled() {
            self.shared.tell(Event::Unguard).await;
            return Ok(());
        }
        let (outcome, reason) = match &ended {
            Ended::Applied => ("applied", ""),
            Ended::Refused(reason) => ("refused", reason.as_str()),
            Ended::Unproven(reason) => ("unproven", reason.as_str()),
        };
        let head = format!("{}: rollout of plugin `{plugin}` {outcome}: {}", told(&names), rollout.summary);
        if reason.is_empty() {
            info!("{head}")
        } else {
            warn!("{head}: {reason}")
        }
        let refused = (!reason.is_empty()).then(|| (outcome, reason.to_owned()));
        self.standing.ended(plugin, targets.clone(), sources, refused);
        let shown = RolloutStatus {
            plugin: plugin.to_string(),
            summary: rollout.summary.clone(),
            outcome: outcome.to_owned(),
            reason: reason.to_owned(),
            at: since_epoch().as_secs(),
            targets: targets.into_iter().collect(),
        };
        self.show(Some(shown.clone())).await;
        let (applied, text) = match ended {
            Ended::Applied => (true, format!("applied: {}", rollout.summary)),
            Ended::Refused(reason) => (false, reason),
            Ended::Unproven(reason) => {
                if self.unproven.len() >= UNPROVEN {
                    self.unproven.remove(0);
                }
                let time = proof(Duration::from_millis(rollout.healthy_for_ms.into()));
                self.unproven.push(Unproven { plugin: plugin.clone(), names, time, shown });
                (false, reason)
            }
        };
        self.shared.hooks.rollout_ended(plugin, applied, text).await
    }

    /// Shows in `status` a rollout that has ended, and what is not in force; has the driver see it.
    async fn show(&self, ended: Option<RolloutStatus>) {
        let not_in_force = self.standing.told();
        self.status.send_modify(|status| {
            let status = Arc::make_mut(status);
            status.not_in_force = not_in_force;
            if status.rollouts.len() >= REMEMBERED && ended.is_some() {
                status.rollouts.remove(0);
            }
            status.rollouts.extend(ended);
        });
        self.shared.tell(Event::Unguard).await;
    }
}

/// The components as a line of the log begins.
fn told(names: &BTreeSet<ComponentName>) -> String {
    let list: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("component{} {}", if list.len() == 1 { "" } else { "s" }, list.join(", "))
}

fn involved(rollout: &Rollout) -> impl Iterator<Item = &ComponentName> {
    let commands = rollout.validate.iter().chain(&rollout.verify).map(|command| &command.component);
    let actions = rollout.apply.iter().map(|action| match action {
        Action::Signal(component, _) | Action::Restart(component) => component,
        Action::Run(command) => &command.component,
    });
    let removed = rollout.remove.iter().map(|(component, _)| component);
    rollout.files.iter().map(|file| &file.component).chain(removed).chain(commands).chain(actions)
}
