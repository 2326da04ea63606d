//! `logs --follow` when nothing is left to follow: whether more will start, and how long that is waited for.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::cli::output;
use crate::cli::pods::{self, Selection};
use crate::engine::docker::{Docker, Revival};
use crate::engine::{Fault, Inspection};

/// Between two looks whether something has started, or nothing will.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a container with a restart policy may have ended before it counts as stopped for good: `docker restart` needs a moment between stop and start.
const RESTART_TIME: Duration = Duration::from_secs(2);

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Something may have started that nobody has reported.
    Look,
    /// Nothing will start any more.
    End,
}

/// Whether more is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outlook {
    Never,
    /// Only if it starts within [`RESTART_TIME`].
    Possible,
    /// It runs, or will.
    Running,
    /// It has ended, and will start again.
    Due,
}

/// A wait for the next start.
#[derive(Debug, Default)]
pub struct Wait {
    /// Since when nothing is left to follow; none while something is.
    since: Option<Instant>,
    next_look: Option<Instant>,
    is_noted: bool,
    /// Since when nothing runs, or is due.
    doubtful: Option<Instant>,
}

impl Wait {
    pub fn is_on(&self) -> bool {
        self.since.is_some()
    }

    pub fn begins(&mut self) {
        let now = Instant::now();
        *self = Self { since: Some(now), next_look: Some(now), ..Self::default() };
    }

    pub fn ends(&mut self) {
        *self = Self::default();
    }

    /// Waits for the next look; for ever while something is followed.
    ///
    /// Cancel safety: the look is made once more.
    pub async fn next(&mut self, engine: &Docker, selection: &Selection, known: &[Inspection]) -> Next {
        let Some(due) = self.next_look else { return pending().await };
        sleep_until(due).await;
        let outlook = outlook(engine, selection, known).await;
        self.next_look = Some(Instant::now() + LOOK_EVERY);
        self.judge(outlook)
    }

    fn judge(&mut self, outlook: Outlook) -> Next {
        let now = Instant::now();
        match outlook {
            Outlook::Never => return Next::End,
            Outlook::Possible => {
                if now.duration_since(*self.doubtful.get_or_insert(now)) >= RESTART_TIME {
                    return Next::End;
                }
            }
            Outlook::Running => self.doubtful = None,
            Outlook::Due => {
                self.doubtful = None;
                if !std::mem::replace(&mut self.is_noted, true) {
                    output::notes(&["the pod has ended; `logs` waits for its next start".to_owned()]);
                }
            }
        }
        Next::Look
    }
}

/// Whether anything of what was asked for will start again. An engine that does not answer leaves that open.
async fn outlook(engine: &Docker, selection: &Selection, known: &[Inspection]) -> Outlook {
    let services: BTreeSet<&str> = match selection.service {
        Some(_) => known.iter().filter_map(|controller| pods::swarm_service(&controller.labels)).collect(),
        None => BTreeSet::new(),
    };
    let mut best = Outlook::Never;
    for service in services {
        best = best.max(match engine.is_wanted(service).await {
            Ok(true) => Outlook::Due,
            Ok(false) => Outlook::Never,
            Err(error) if error.fault() == Fault::NotFound => Outlook::Never,
            // Only a manager knows.
            Err(_) => Outlook::Due,
        });
    }
    for controller in known {
        best = best.max(match engine.revival(&controller.id.0).await {
            Ok(Revival::Running) => Outlook::Running,
            Ok(Revival::Due) => Outlook::Due,
            // One that did not run when it was looked at first was stopped before.
            Ok(Revival::Possible) if controller.running => Outlook::Possible,
            Ok(Revival::Possible | Revival::Never) => Outlook::Never,
            // Compose makes another container when it makes a service anew.
            Err(error) if error.fault() == Fault::NotFound && selection.service.is_some() && controller.running => {
                Outlook::Possible
            }
            Err(error) if error.fault() == Fault::NotFound => Outlook::Never,
            Err(_) => Outlook::Possible,
        });
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_may_be_restarted_is_waited_for_a_moment_and_what_is_due_without_a_limit() {
        let mut wait = Wait::default();
        assert!(!wait.is_on());
        wait.begins();
        assert!(wait.is_on());
        assert_eq!(wait.judge(Outlook::Possible), Next::Look);
        tokio::time::sleep(RESTART_TIME / 2).await;
        assert_eq!(wait.judge(Outlook::Possible), Next::Look);
        // The engine has begun with its start: the moment counts anew.
        assert_eq!(wait.judge(Outlook::Running), Next::Look);
        tokio::time::sleep(RESTART_TIME * 2).await;
        assert_eq!(wait.judge(Outlook::Possible), Next::Look);
        tokio::time::sleep(RESTART_TIME).await;
        assert_eq!(wait.judge(Outlook::Possible), Next::End);
        wait.begins();
        for _ in 0..3 {
            assert_eq!(wait.judge(Outlook::Due), Next::Look);
            tokio::time::sleep(RESTART_TIME * 10).await;
        }
        assert!(wait.is_noted);
        assert_eq!(wait.judge(Outlook::Never), Next::End);
    }
}
