//! From single looks to a verdict: so many in a row make it change. Pure.

/// Where a probe stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No verdict yet.
    Open,
    /// So many looks in a row have succeeded as it needs, and not so many have failed since.
    Succeeds,
    /// So many looks in a row have failed, and not so many have succeeded since.
    Fails,
}

/// What a look changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The probe succeeds from now on.
    Succeeds,
    /// It fails from now on: what the last look found.
    Fails(String),
}

/// Counts looks.
#[derive(Debug)]
pub struct Tracker {
    successes_needed: u32,
    failures_needed: u32,
    standing: Standing,
    successes: u32,
    failures: u32,
}

impl Tracker {
    /// So many successes, or failures, in a row make a verdict; 0 counts as 1.
    #[must_use]
    pub fn new(successes_needed: u32, failures_needed: u32) -> Self {
        Self {
            successes_needed: successes_needed.max(1),
            failures_needed: failures_needed.max(1),
            standing: Standing::Open,
            successes: 0,
            failures: 0,
        }
    }

    /// Whether the probe succeeds.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.standing == Standing::Succeeds
    }

    /// The verdict as it is.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Looks that failed, in a row, up to the last one.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes one look, and answers what it changed.
    pub fn note(&mut self, look: Result<(), String>) -> Option<Change> {
        match look {
            Ok(()) => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                if self.successes < self.successes_needed || self.standing == Standing::Succeeds {
                    return None;
                }
                self.standing = Standing::Succeeds;
                Some(Change::Succeeds)
            }
            Err(reason) => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                if self.failures < self.failures_needed || self.standing == Standing::Fails {
                    return None;
                }
                self.standing = Standing::Fails;
                Some(Change::Fails(reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` a success, `-` a failure; what they change, in order of the looks.
    fn changes(successes: u32, failures: u32, looks: &str) -> String {
        let mut tracker = Tracker::new(successes, failures);
        let note = |look| match tracker.note(if look == '+' { Ok(()) } else { Err("no".to_owned()) }) {
            None => '.',
            Some(Change::Succeeds) => 'S',
            Some(Change::Fails(reason)) => {
                assert_eq!(reason, "no");
                'F'
            }
        };
        looks.chars().map(note).collect()
    }

    #[test]
    fn only_changes_are_told() {
        for (successes, failures, looks, told) in [
            (1, 1, "++--++", "S.F.S."),
            (1, 3, "--+--+---", "..S.....F"),
            (1, 3, "----", "..F."),
            (2, 2, "+-+-++--", ".....S.F"),
            (3, 1, "-+++-", "F..SF"),
            (0, 0, "+-", "SF"),
        ] {
            assert_eq!(changes(successes, failures, looks), told, "{successes} {failures} {looks}");
        }
    }

    /// Whatever the looks, a change comes exactly when the last ones in a row reach the threshold, and never the same one twice running.
    #[test]
    fn every_sequence_of_ten_keeps_the_rule() {
        for bits in 0_u32..1024 {
            let looks: String = (0..10).map(|n| if bits >> n & 1 == 1 { '+' } else { '-' }).collect();
            let told = changes(2, 3, &looks);
            let (mut last, mut row, mut standing) = (' ', 0, '.');
            for (look, told) in looks.chars().zip(told.chars()) {
                row = if look == last { row + 1 } else { 1 };
                last = look;
                let verdict = match (look, row) {
                    ('+', 2..) => 'S',
                    ('-', 3..) => 'F',
                    _ => standing,
                };
                let expected = if verdict == standing { '.' } else { verdict };
                assert_eq!(told, expected, "{looks}");
                standing = verdict;
            }
        }
    }
}
