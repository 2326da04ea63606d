//! When a burst of changes is told. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Collects the moments of changes until there is quiet, or until it has been waited long enough.
#[derive(Debug)]
pub(super) struct Debounce {
    quiet: Duration,
    longest: Duration,
    burst: Option<Burst>,
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// `quiet` after the last change, but never later than `longest` after the first; `longest` is at least `quiet`.
    pub(super) fn new(quiet: Duration, longest: Duration) -> Self {
        Self { quiet, longest: longest.max(quiet), burst: None }
    }

    /// Something may have changed.
    pub(super) fn touch(&mut self, now: Instant) {
        match &mut self.burst {
            Some(burst) => burst.last = now,
            None => self.burst = Some(Burst { first: now, last: now }),
        }
    }

    /// When it must be looked at; none: nothing has changed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.burst.map(|burst| (burst.last + self.quiet).min(burst.first + self.longest))
    }

    /// Whether that moment has come; if so, the next change begins a new burst.
    pub(super) fn fire(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.burst = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The milliseconds at which changes are told, for changes at these milliseconds.
    fn told(quiet: u64, longest: u64, changes: &[u64]) -> Vec<u64> {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let mut debounce = Debounce::new(Duration::from_millis(quiet), Duration::from_millis(longest));
        let mut told = Vec::new();
        for ms in 0..=1000 {
            if changes.contains(&ms) {
                debounce.touch(at(ms));
            }
            if debounce.fire(at(ms)) {
                told.push(ms);
            }
        }
        told
    }

    #[test]
    fn nothing_is_told_without_a_change() {
        assert!(told(10, 100, &[]).is_empty());
    }

    #[test]
    fn a_burst_is_told_once_after_it() {
        assert_eq!(told(10, 100, &[5, 6, 12, 21, 500]), [31, 510]);
    }

    #[test]
    fn a_steady_stream_is_told_in_time() {
        let steady: Vec<u64> = (0..300).step_by(5).collect();
        assert_eq!(told(10, 100, &steady), [100, 205, 305]);
    }

    #[test]
    fn the_longest_delay_is_at_least_the_quiet_time() {
        assert_eq!(told(50, 0, &[100]), [150]);
    }
}
