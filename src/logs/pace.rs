//! When a reader rests, so that a busy stream is taken many frames at a time.
//!
//! Engines send each line by itself, and the runtime wakes up for each, which costs system calls for every line. Two milliseconds of rest
//! let hundreds come together. Whether it helps depends on everything between the engine and the reader, so a rest behind which
//! nothing had come together is not repeated for a second: a wrong guess costs 0.2 % of the throughput, never more.

use std::time::Duration;

use tokio::time::Instant;

/// How long a rest is; also how much later than it could a line may be written.
const REST: Duration = Duration::from_millis(2);

/// Frames that must be there after a rest for it to be repeated.
const WORTH: usize = 8;

/// How long no rest is tried after one that was not worth it.
const RETRY: Duration = Duration::from_secs(1);

/// Decides about rests of one reader. Pure.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Frames since the last rest, where it is not known yet whether that one was worth it.
    gained: Option<usize>,
    not_before: Option<Instant>,
}

impl Pace {
    /// So many frames were taken in a row. `drained`: there was no other behind them. Answers until when to rest, if at all.
    pub(super) fn taken(&mut self, frames: usize, drained: bool, now: Instant) -> Option<Instant> {
        if let Some(gained) = &mut self.gained {
            *gained += frames;
        }
        if !drained {
            return None;
        }
        if self.gained.take().is_some_and(|gained| gained < WORTH) {
            self.not_before = Some(now + RETRY);
        }
        if self.not_before.is_some_and(|moment| now < moment) {
            return None;
        }
        self.gained = Some(0);
        Some(now + REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_while_it_is_worth_it() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.taken(1, true, now), Some(now + REST));
        assert_eq!(pace.taken(256, false, now), None);
        assert_eq!(pace.taken(1, true, now), Some(now + REST));
        assert_eq!(pace.taken(WORTH, true, now), Some(now + REST));
    }

    #[test]
    fn a_reader_that_gets_frames_one_by_one_rests_once_a_second() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let rests = (0..3000).filter(|&ms| pace.taken(1, true, begin + Duration::from_millis(ms)).is_some());
        assert_eq!(rests.collect::<Vec<_>>(), [0, 1001, 2002]);
    }
}
