//! How much may be read of one line.
//!
//! Nearly all that is looked for is found by reading a line once. A bracket that never closes or JSON that breaks off at its end is read again from each place
//! where it could begin, so whoever writes a line could make it cost the square of its length. Everything that reads ahead therefore counts its steps here.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Steps for each byte of a line. The lines of the corpus take less than a tenth.
const FOR_BYTE: usize = 24;

/// The same for each byte behind the first so many, since the plugin's deadline does not grow with the line.
const BEHIND: (usize, usize) = (128 << 10, 6);

/// Steps for any line.
const AT_LEAST: usize = 4096;

/// The user's expressions are searched for in pieces of so many bytes: a search that has begun cannot be stopped.
pub const PIECE: usize = 64 << 10;

/// How far a match may go on behind its piece, at least.
pub const OVERLAP: usize = 8 << 10;

/// How long a batch may take until its other lines are hidden as a whole: half of a hook's usual time. Only the user's expressions may need so long. Steps do
/// not bound them, since an expression may read to the end of a piece for a match of one byte.
const LONGEST_BATCH: Duration = Duration::from_millis(250);

/// Most matches of the user's expressions in one line.
const MOST_MATCHES: usize = 1 << 16;

/// After how many bytes, read at most, the clock is looked at.
const UNTIL_LOOK: usize = 256 << 10;

/// The time of a batch.
#[derive(Debug, Default)]
pub struct Watch {
    /// When the batch began; none: its time is not measured.
    since: Cell<Option<Instant>>,
    /// Bytes that may have been read since the last look at the clock.
    unlooked: Cell<usize>,
    is_over: Cell<bool>,
}

impl Watch {
    /// Begins to measure.
    pub fn start(&self) {
        self.since.set(Some(Instant::now()));
        self.unlooked.set(0);
        self.is_over.set(false);
    }

    /// Whether the time is over, as far as is known before a search that reads so many bytes at most. The clock is looked at now and then.
    fn is_over(&self, most: usize) -> bool {
        let unlooked = self.unlooked.get() + most;
        self.unlooked.set(unlooked);
        if unlooked > UNTIL_LOOK {
            self.unlooked.set(0);
            self.is_over.set(self.since.get().is_some_and(|since| since.elapsed() > LONGEST_BATCH));
        }
        self.is_over.get()
    }
}

/// What is left of a line's steps.
#[derive(Debug)]
pub struct Work {
    steps: Cell<usize>,
    watch: Rc<Watch>,
    matches: Cell<usize>,
}

impl Work {
    /// For a line of so many bytes of a batch.
    pub fn for_line(bytes: usize, watch: &Rc<Watch>) -> Self {
        let first = bytes.min(BEHIND.0);
        let steps = if watch.is_over.get() { 0 } else { AT_LEAST + first * FOR_BYTE + (bytes - first) * BEHIND.1 };
        Self { steps: Cell::new(steps), watch: Rc::clone(watch), matches: Cell::new(0) }
    }

    /// Counts steps.
    pub fn spend(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_sub(steps));
    }

    /// Before a search of the user's that reads so many bytes at most.
    pub fn search(&self, most: usize) {
        if self.watch.is_over(most) {
            self.steps.set(0);
        }
    }

    /// Counts a match of one of the user's expressions: the plugin's memory does not hold any number of them.
    pub fn found(&self) {
        self.matches.set(self.matches.get() + 1);
        if self.matches.get() > MOST_MATCHES {
            self.steps.set(0);
        }
    }

    /// Whether none are left. What is found from then on means nothing: the line is hidden as a whole.
    pub fn is_spent(&self) -> bool {
        self.steps.get() == 0
    }
}
