//! The clocks of the pod's deadlines.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Driver;
use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::supervisor::events::{Deadline, Event};

impl<E: Engine, H: Hooks> Driver<E, H> {
    pub(super) fn arm(&mut self, deadline: Deadline, after: Duration) {
        if deadline == Deadline::Budget {
            self.stopping_since = Some(Instant::now());
        }
        let cancelled = CancellationToken::new();
        let timer = Timer { cancelled: cancelled.clone(), due: Instant::now() + after, held: None };
        if let Some(before) = self.timers.insert(deadline.clone(), timer) {
            before.cancelled.cancel();
        }
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn("timer", move |token| async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = cancelled.cancelled() => {}
                () = tokio::time::sleep(after) => shared.tell(Event::Deadline(deadline)).await,
            }
        });
    }

    /// Forgets a timer that has rung, if it was of one run only: nobody sets it anew, and each run has its own.
    pub(super) fn rang(&mut self, deadline: &Deadline) {
        if matches!(deadline, Deadline::Ready(..) | Deadline::Repair(..)) {
            self.timers.remove(deadline);
        }
    }

    /// Stops the clock of a timer, where it is set.
    pub(super) fn hold(&mut self, deadline: &Deadline) {
        if let Some(timer) = self.timers.get_mut(deadline) {
            timer.cancelled.cancel();
            timer.held.get_or_insert(timer.due.saturating_duration_since(Instant::now()));
        }
    }

    /// Gives a timer more time, whether its clock stands still or not.
    pub(super) fn extend(&mut self, deadline: Deadline, more: Duration) {
        match self.timers.get_mut(&deadline) {
            Some(Timer { held: Some(left), .. }) => *left = left.saturating_add(more),
            Some(timer) => {
                let left = timer.due.saturating_duration_since(Instant::now());
                self.arm(deadline, left.saturating_add(more));
            }
            None => {}
        }
    }
}

/// A timer that was set.
#[derive(Debug)]
pub(super) struct Timer {
    pub(super) cancelled: CancellationToken,
    pub(super) due: Instant,
    /// What was left when its clock was stopped.
    pub(super) held: Option<Duration>,
}
