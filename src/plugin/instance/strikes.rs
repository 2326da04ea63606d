//! How often a plugin failed, how long it waits before it is started again, and when it has had its chances.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many strikes, and the plugin is called no more.
pub const MOST: u32 = 5;
/// Wait before the first restart; doubled for each further one.
pub const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Strikes are forgiven after so long without one.
pub const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// What follows from a strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again, not before this.
    Retry(Instant),
    /// Never again.
    Evict,
}

#[derive(Debug, Default)]
struct Book {
    count: u32,
    last: Option<Instant>,
    /// In which hook the last strike was, and why.
    evicted: Option<(&'static str, String)>,
}

/// One plugin's strikes; its instances share them.
#[derive(Debug, Default)]
pub struct Strikes(Mutex<Book>);

impl Strikes {
    /// Notes a strike in this hook.
    #[must_use]
    pub fn strike(&self, hook: &'static str, reason: &str) -> Verdict {
        let now = Instant::now();
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.last.is_some_and(|last| now.duration_since(last) >= FORGIVEN_AFTER) {
            book.count = 0;
        }
        book.count += 1;
        book.last = Some(now);
        if book.count >= MOST {
            book.evicted.get_or_insert_with(|| (hook, reason.to_owned()));
            return Verdict::Evict;
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << (book.count - 1).min(16));
        Verdict::Retry(now + doubled.min(LONGEST_WAIT))
    }

    /// In which hook the plugin failed for the last time, and why; none where it is still called.
    #[must_use]
    pub fn evicted(&self) -> Option<(&'static str, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).evicted.clone()
    }

    /// Strikes that have not been forgiven.
    #[must_use]
    pub fn count(&self) -> u32 {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forgiven = book.last.is_some_and(|last| last.elapsed() >= FORGIVEN_AFTER) && book.evicted.is_none();
        if forgiven { 0 } else { book.count }
    }

    /// Whether the plugin is called no more.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).evicted.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_and_the_fifth_strike_evicts() {
        let strikes = Strikes::default();
        for expected in [100, 200, 400, 800] {
            assert_eq!(strikes.strike("tick", "x"), Verdict::Retry(Instant::now() + Duration::from_millis(expected)));
        }
        assert_eq!(strikes.evicted(), None);
        assert_eq!(strikes.strike("tick", "the fifth"), Verdict::Evict);
        assert_eq!(strikes.evicted(), Some(("tick", "the fifth".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn strikes_are_forgiven() {
        let strikes = Strikes::default();
        for _ in 0..20 {
            assert!(matches!(strikes.strike("tick", "x"), Verdict::Retry(_)));
            tokio::time::advance(FORGIVEN_AFTER).await;
        }
    }

    /// The minute begins again with each strike: a plugin that fails every 59 seconds is not one that works.
    #[tokio::test(start_paused = true)]
    async fn a_strike_is_forgiven_a_minute_after_the_last_one() {
        let strikes = Strikes::default();
        for count in 1..MOST {
            assert!(matches!(strikes.strike("tick", "x"), Verdict::Retry(_)));
            tokio::time::advance(FORGIVEN_AFTER - Duration::from_millis(1)).await;
            assert_eq!(strikes.count(), count);
        }
        assert_eq!(strikes.strike("tick", "x"), Verdict::Evict);
    }

    #[tokio::test(start_paused = true)]
    async fn forgiven_strikes_are_not_shown_unless_they_evicted_it() {
        let strikes = Strikes::default();
        assert!(matches!(strikes.strike("tick", "x"), Verdict::Retry(_)));
        assert!(matches!(strikes.strike("tick", "x"), Verdict::Retry(_)));
        tokio::time::advance(FORGIVEN_AFTER - Duration::from_millis(1)).await;
        assert_eq!(strikes.count(), 2);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(strikes.count(), 0);
        for _ in 0..MOST {
            let _verdict = strikes.strike("tick", "x");
        }
        tokio::time::advance(FORGIVEN_AFTER * 2).await;
        assert_eq!(strikes.count(), MOST, "why it is not called any more stays visible");
    }
}
