//! How components have fared with the files that they have: whether going back to those would be better than what is new.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::pod::ComponentName;
use crate::supervisor::events::Phase;
use crate::supervisor::shared::Live;

/// A component that has run for so long has shown that its files are no reason for it to end: the default of `healthy-for` of the plugin `reload`.
const PROOF: Duration = Duration::from_secs(2);

/// One component with its current files.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Since when it runs and is not unhealthy.
    since: Option<Instant>,
    /// The longest time that it has.
    longest: Duration,
    /// How often it has ended.
    ends: u32,
    /// Whether its last end has been counted.
    down: bool,
}

impl Trial {
    fn longest(&self) -> Duration {
        self.since.map_or(self.longest, |since| self.longest.max(since.elapsed()))
    }
}

/// The trials of all components.
#[derive(Debug, Default)]
pub struct Trials(Mutex<HashMap<ComponentName, Trial>>);

impl Trials {
    fn all(&self) -> MutexGuard<'_, HashMap<ComponentName, Trial>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the components until the pod is over.
    pub async fn observe(&self, mut live: watch::Receiver<Arc<HashMap<ComponentName, Live>>>) {
        loop {
            self.see(&live.borrow_and_update().clone());
            if live.changed().await.is_err() {
                return;
            }
        }
    }

    fn see(&self, live: &HashMap<ComponentName, Live>) {
        let mut all = self.all();
        for (name, live) in live {
            // What was started again before the first look has ended as often.
            let trial = all.entry(name.clone()).or_insert_with(|| Trial { ends: live.restarts, ..Trial::default() });
            let well = live.phase == Phase::Running && !live.unhealthy;
            match trial.since {
                None if well => trial.since = Some(Instant::now()),
                Some(since) if !well => {
                    trial.longest = trial.longest.max(since.elapsed());
                    trial.since = None;
                }
                _ => {}
            }
            let down = matches!(live.phase, Phase::Exited | Phase::Asking | Phase::BackingOff);
            if down && !trial.down {
                trial.ends = trial.ends.saturating_add(1);
            }
            trial.down = down;
        }
    }

    /// Whether nothing speaks against the files that these components have: each has run with them for long enough, or has not ended yet.
    pub fn are_good<'a>(&self, mut names: impl Iterator<Item = &'a ComponentName>) -> bool {
        let all = self.all();
        names.all(|name| all.get(name).is_none_or(|trial| trial.ends == 0 || trial.longest() >= PROOF))
    }

    /// These components get other files. Answers what is known of those that they had.
    pub fn begin(&self, names: &BTreeSet<ComponentName>) -> Vec<(ComponentName, Trial)> {
        let mut all = self.all();
        let now = Instant::now();
        let anew = |trial: &Trial| Trial { since: trial.since.map(|_| now), down: trial.down, ..Trial::default() };
        names
            .iter()
            .filter_map(|name| {
                let trial = all.get_mut(name)?;
                let fresh = anew(trial);
                Some((name.clone(), std::mem::replace(trial, fresh)))
            })
            .collect()
    }

    /// They have their old files again.
    pub fn restore(&self, before: Vec<(ComponentName, Trial)>) {
        let mut all = self.all();
        for (name, old) in before {
            if let Some(trial) = all.get_mut(&name) {
                trial.longest = old.longest();
                trial.ends = old.ends;
            }
        }
    }

    /// For how long the one that has run the shortest runs by now; none if one does not run.
    pub fn run_for(&self, names: &BTreeSet<ComponentName>) -> Option<Duration> {
        let all = self.all();
        let since = names.iter().map(|name| all.get(name).and_then(|trial| trial.since).map(|since| since.elapsed()));
        since.min().flatten()
    }
}

/// For how long components must run until what is in place counts as working.
#[must_use]
pub fn proof(healthy_for: Duration) -> Duration {
    healthy_for.max(PROOF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(phase: Phase, restarts: u32) -> HashMap<ComponentName, Live> {
        let live = Live {
            phase,
            run: 1,
            restarts,
            paused: false,
            checked: false,
            unhealthy: false,
            guarded: false,
            gone: false,
        };
        HashMap::from([(app(), live)])
    }

    fn app() -> ComponentName {
        ComponentName::new("app").unwrap()
    }

    fn good(trials: &Trials) -> bool {
        trials.are_good([&app()].into_iter())
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_good_until_a_short_run_has_ended() {
        let trials = Trials::default();
        trials.see(&live(Phase::Running, 0));
        assert!(good(&trials), "nothing speaks against them");
        tokio::time::advance(Duration::from_secs(1)).await;
        trials.see(&live(Phase::BackingOff, 0));
        assert!(!good(&trials), "it has ended after a second");
        trials.see(&live(Phase::Running, 1));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(good(&trials), "it has run for three seconds");
        trials.see(&live(Phase::BackingOff, 1));
        assert!(good(&trials), "they are not why it ended");

        let before = trials.begin(&BTreeSet::from([app()]));
        trials.see(&live(Phase::Running, 2));
        trials.see(&live(Phase::Exited, 2));
        assert!(!good(&trials), "new files, and a run that ended at once");
        trials.restore(before);
        assert!(good(&trials), "the old ones again");
    }

    #[tokio::test(start_paused = true)]
    async fn several_have_run_for_as_long_as_the_shortest_and_not_at_all_while_one_is_down() {
        let web = ComponentName::new("web").unwrap();
        let both = BTreeSet::from([app(), web.clone()]);
        let with_web = |phase| {
            let mut live = live(Phase::Running, 0);
            let other = Live { phase, ..live[&app()].clone() };
            live.insert(web.clone(), other);
            live
        };
        let trials = Trials::default();
        trials.see(&live(Phase::Running, 0));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(trials.run_for(&both), None, "nothing is known of one");
        trials.see(&with_web(Phase::Running));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(trials.run_for(&both), Some(Duration::from_secs(1)));
        trials.see(&with_web(Phase::BackingOff));
        assert_eq!(trials.run_for(&both), None);
        assert_eq!(trials.run_for(&BTreeSet::from([app()])), Some(Duration::from_secs(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_started_again_before_has_ended() {
        let trials = Trials::default();
        trials.see(&live(Phase::Running, 3));
        assert!(!good(&trials));
        tokio::time::advance(PROOF).await;
        assert!(good(&trials));
        assert_eq!(trials.run_for(&BTreeSet::from([app()])), Some(PROOF));
    }
}
