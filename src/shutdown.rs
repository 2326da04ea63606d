//! Tasks with an owner, and the stages of an ending.

use std::future::Future;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span, warn};

/// The tasks of one owner: each has a name and a token, and the owner can wait for all of them. Clones share the same tasks.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task; it is given a token that tells it to end.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where tasks are spawned: they get owner, name and token here"
    )]
    pub fn spawn<F>(&self, name: &'static str, work: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Not an `async` block around it: that would keep the future twice, as what was moved in and as what is awaited, for as long as the task lives.
        let future = work(self.token.child_token()).map(|()| debug!("ended"));
        tokio::spawn(self.tracker.track_future(future.instrument(debug_span!("task", name))));
    }

    /// The token that all tasks' tokens follow.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Tells all tasks to end.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Waits until all have ended, at most `limit`. Answers whether they have.
    pub async fn wait(&self, limit: Duration) -> bool {
        let left = self.left_after(limit).await;
        if left > 0 {
            warn!(left, after = ?limit, "tasks did not end in time");
        }
        left == 0
    }

    /// The same where it is no surprise that some have not ended: answers how many.
    pub async fn left_after(&self, limit: Duration) -> usize {
        self.tracker.close();
        let ended = tokio::time::timeout(limit, self.tracker.wait()).await.is_ok();
        if ended { 0 } else { self.tracker.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_for_tasks_that_heed_the_token() {
        let tasks = Tasks::new();
        tasks.spawn("heeds", |token| async move { token.cancelled().await });
        tasks.cancel();
        assert!(tasks.wait(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_task_that_does_not() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", |_token| std::future::pending());
        tasks.cancel();
        assert!(!tasks.wait(Duration::from_secs(1)).await);
    }
}
