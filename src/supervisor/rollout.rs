//! Changes files of components, as transactions of `transaction`.
//!
//! One rollout at a time; while it runs, exits and starts of its components are its business. What became of each is one line of the log, and an entry of
//! `status`; while a refused version is the newest, or a newer one waits for a rollout that is under way, the pod is degraded. Each rollout begins with the
//! newest version of its files that is known, and is given up for a newer one until the first file is changed.

pub mod asked;
mod board;
mod missing;
mod pauses;
mod standing;
mod transaction;
mod trials;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::asked::Order;
use self::board::Board;
use self::pauses::{Newer, until_unpaused};
use self::standing::{sources, targets};
use self::transaction::{Ended, Transaction};
use self::trials::{Trials, proof};
use self::waiting::Report;
use crate::admin::status::{RolloutStatus, Status};
use crate::clock::since_epoch;
use crate::engine::Engine;
use crate::hooks::{Action, Change, HookFailure, Hooks, NEW_FILE, Rollout, RolloutOutcome};
use crate::own_log::{ROLLOUT_TARGET, RolledOut};
use crate::plan::render::one_line;
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// Versions in place that have not proven themselves yet; of more, the oldest stays unproven.
const UNPROVEN: usize = 16;

/// How often a rollout may be given up for a newer version before one is carried out all the same: a file that changes all the time arrives, too.
const GIVEN_UP: u32 = 16;

/// The reason of a rollout that was given up so.
const GIVEN_UP_FOR: &str = "a newer version is known; nothing was changed";

/// Takes changes to the plugins that watch them, and carries out what they answer, until told to end.
pub async fn run<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    changes: mpsc::Receiver<(PluginName, Vec<Change>)>,
    status: watch::Sender<Arc<Status>>,
    token: CancellationToken,
) {
    let (trials, board) = (Trials::default(), Board::new(status));
    let live = shared.live.clone();
    let rollouts = Rollouts { shared: &shared, trials: &trials, board: &board, token: &token, unproven: Vec::new() };
    tokio::select! {
        biased;
        () = trials.observe(live) => {}
        () = board.listen(changes, &shared) => {}
        () = rollouts.serve() => {}
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
    board: &'a Board,
    token: &'a CancellationToken,
    unproven: Vec<Unproven>,
}

impl<E: Engine, H: Hooks> Rollouts<'_, E, H> {
    async fn serve(mut self) {
        loop {
            let mut next = tokio::select! {
                biased;
                () = self.token.cancelled() => return,
                report = self.board.next() => Some(report),
                order = self.shared.asked.next() => {
                    self.asked(order).await;
                    continue;
                }
                at = self.proven() => {
                    self.in_force(at).await;
                    continue;
                }
            };
            let mut given_up = 0;
            while let Some(report) = next {
                next = match self.one(report, given_up < GIVEN_UP).await {
                    Ok(newer) => newer,
                    Err(failure) => {
                        self.shared.tell(Event::PluginFailed(failure)).await;
                        None
                    }
                };
                given_up += 1;
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
        let text = format!("{}: the component has run with the new version for {time:?}", shown.summary);
        info!(target: ROLLOUT_TARGET, "{}", rolled_out(&names, &plugin, RolloutOutcome::Applied, text));
        self.board.ended(&plugin, shown.targets.iter().cloned().collect(), Default::default(), None);
        shown.outcome = RolloutOutcome::Applied;
        shown.reason = String::new();
        shown.at = since_epoch().as_secs();
        self.show(Some(shown)).await;
    }

    /// Answers what takes the place of this report if it is not the newest any more, which may only be if `may_give_up`.
    async fn one(&mut self, report: Report, may_give_up: bool) -> Result<Option<Report>, HookFailure> {
        let mut report = report;
        let is_left_out = self.leave_out(&mut report);
        if report.changes.is_empty() {
            self.show(None).await;
            return Ok(None);
        }
        let plugin = report.plugin.clone();
        let rollout = self.shared.hooks.config_changed(&plugin, report.changes.clone()).await?;
        self.board.put_off(&mut report, &self.shared.hooks.put_off(&plugin));
        let (plugin, sources) = (&plugin, sources(&report.changes));
        // A watched file that is gone may come back as it was refused: then nothing is tried again.
        let news: Vec<_> = report.changes.iter().filter(|change| !missing::is_gone(change)).cloned().collect();
        let moved_on = self.board.heard(plugin, &standing::sources(&news)) || is_left_out;
        let Some(rollout) = rollout else {
            if moved_on {
                self.show(None).await;
            }
            return Ok(None);
        };
        let board = self.board;
        let newer = || if may_give_up { board.supersede(&report) } else { None };
        self.roll_out(plugin, None, rollout, sources, &newer).await
    }

    /// Carries out a rollout that a plugin has begun by itself.
    async fn asked(&mut self, Order { plugin, id, rollout }: Order) {
        let done = self.roll_out(&plugin, Some(id), rollout, BTreeMap::new(), &|| None).await;
        if let Err(failure) = done {
            self.shared.tell(Event::PluginFailed(failure)).await;
        }
    }

    /// Carries out a rollout of a plugin, and reports its outcome. Answers what takes its place if it was given up.
    async fn roll_out(
        &mut self,
        plugin: &PluginName,
        id: Option<String>,
        rollout: Rollout,
        sources: BTreeMap<String, String>,
        newer: &Newer<'_>,
    ) -> Result<Option<Report>, HookFailure> {
        let mut files = Vec::new();
        for file in &rollout.files {
            let given = file.clone().over(NEW_FILE);
            let made = self.shared.hooks.config_copy(&format!("plugin:{plugin}"), given).await?;
            files.extend(made.into_iter().map(|made| file.remade(made)));
        }
        let rollout = Rollout { files, ..rollout };
        let names: BTreeSet<ComponentName> = involved(&rollout).cloned().collect();
        let targets = targets(&rollout);
        self.board.begin();
        let ended = self.carry_out(plugin, &rollout, &names, newer).await;
        let Some(ended) = ended.filter(|_| !self.token.is_cancelled()) else {
            self.shared.tell(Event::Unguard).await;
            return Ok(None);
        };
        // In one line: `events` reads it from the log, and `status` has it in a sentence.
        let (outcome, reason) = match &ended {
            Ended::Applied => (RolloutOutcome::Applied, String::new()),
            Ended::Refused(reason) => (RolloutOutcome::Refused, one_line(reason)),
            Ended::Unproven(reason) => (RolloutOutcome::Unproven, one_line(reason)),
            Ended::Superseded(_) => (RolloutOutcome::Superseded, GIVEN_UP_FOR.to_owned()),
        };
        let rollout = Rollout { summary: one_line(&rollout.summary), ..rollout };
        let text = match outcome {
            RolloutOutcome::Applied => rollout.summary.clone(),
            RolloutOutcome::Refused | RolloutOutcome::Unproven | RolloutOutcome::Superseded => {
                format!("{}: {reason}", rollout.summary)
            }
        };
        let line = rolled_out(&names, plugin, outcome, text);
        match outcome {
            RolloutOutcome::Applied | RolloutOutcome::Superseded => info!(target: ROLLOUT_TARGET, "{line}"),
            RolloutOutcome::Refused | RolloutOutcome::Unproven => warn!(target: ROLLOUT_TARGET, "{line}"),
        }
        if !matches!(ended, Ended::Superseded(_)) {
            // What it replaces is not waited for any more.
            self.unproven
                .retain(|old| !(old.plugin == *plugin && old.shown.targets.iter().any(|it| targets.contains(it))));
            let refused = (!reason.is_empty()).then(|| (outcome, reason.to_owned()));
            self.board.ended(plugin, targets.clone(), sources, refused);
        }
        let shown = RolloutStatus {
            plugin: plugin.to_string(),
            summary: rollout.summary.clone(),
            outcome,
            reason,
            at: since_epoch().as_secs(),
            targets: targets.into_iter().collect(),
        };
        self.show(Some(shown.clone())).await;
        let (outcome, text, newer) = match ended {
            Ended::Applied => (RolloutOutcome::Applied, format!("applied: {}", rollout.summary), None),
            Ended::Refused(reason) => (RolloutOutcome::Refused, reason, None),
            Ended::Superseded(newer) => {
                (RolloutOutcome::Superseded, format!("superseded: {GIVEN_UP_FOR}"), Some(newer))
            }
            Ended::Unproven(reason) => {
                if self.unproven.len() >= UNPROVEN {
                    self.unproven.remove(0);
                }
                let time = proof(Duration::from_millis(rollout.healthy_for_ms.into()));
                self.unproven.push(Unproven { plugin: plugin.clone(), names, time, shown });
                (RolloutOutcome::Unproven, reason, None)
            }
        };
        self.shared.hooks.rollout_ended(plugin, id, outcome, text).await?;
        Ok(newer)
    }

    /// Begins when no component is paused, and again after a pause that came before anything was changed. Nothing is guarded meanwhile: the others live on.
    /// None: the pod stops during such a pause.
    async fn carry_out(
        &self,
        plugin: &PluginName,
        rollout: &Rollout,
        names: &BTreeSet<ComponentName>,
        newer: &Newer<'_>,
    ) -> Option<Ended> {
        loop {
            if let Some(newer) = until_unpaused(self.shared, self.board, plugin, names, newer, self.token).await {
                return Some(Ended::Superseded(newer));
            }
            self.shared.tell(Event::Guard(names.clone())).await;
            let transaction =
                Transaction::new(self.shared, self.board, plugin, rollout, names, self.trials, newer, self.token);
            match transaction.carry_out().await {
                None if !self.token.is_cancelled() => self.shared.tell(Event::Unguard).await,
                ended => return ended,
            }
        }
    }

    /// Takes out of a report what is more than its plugin can have at once: the rest waits, and what never fits is refused. Answers whether something is.
    fn leave_out(&self, report: &mut Report) -> bool {
        let limit = self.shared.hooks.report_limit(&report.plugin);
        let too_long = self.board.cut(report, limit);
        for change in &too_long {
            let reason =
                format!("the file has {} bytes, but a plugin can receive at most {limit}", change.content.len());
            warn!(plugin = %report.plugin, "`{}` is not rolled out: {reason}", one_line(&change.path));
            let sources = sources(std::slice::from_ref(change));
            self.board.heard(&report.plugin, &sources);
            let refused = Some((RolloutOutcome::Refused, reason));
            self.board.ended(&report.plugin, [change.path.clone()].into(), sources, refused);
        }
        !too_long.is_empty()
    }

    /// Shows in `status` a rollout that has ended, and what is not in force; has the driver see it.
    async fn show(&self, ended: Option<RolloutStatus>) {
        self.board.show(ended);
        self.shared.tell(Event::Unguard).await;
    }
}

fn rolled_out(
    names: &BTreeSet<ComponentName>,
    plugin: &PluginName,
    outcome: RolloutOutcome,
    text: String,
) -> RolledOut {
    RolledOut { components: names.iter().map(ToString::to_string).collect(), plugin: plugin.to_string(), outcome, text }
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
