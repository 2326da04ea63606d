//! How long a pod's start may take, and for how long what is broken may be repaired.

use std::time::Duration;

use crate::pod::ComponentName;

/// The times of a pod's life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    /// How long a component that has neither check nor probe must run before it counts as up.
    pub min_ready: Duration,
    /// How long the start may take; none: without a limit.
    pub start: Option<StartDeadline>,
    /// For how long after the pod first became healthy a crash ends it; zero: never.
    pub settle: Duration,
    /// How long a component may take to be up again, beside what its own start declares; zero: without a limit.
    pub repair_budget: Duration,
    /// What the start of the whole pod declares: what a restart in place may take.
    pub declared: Duration,
}

/// How long the start may take: `start_deadline`, and what components declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartDeadline {
    /// As written, or the default.
    pub base: Duration,
    /// What those declare that start one after the other, on the longest way from the first init component to the last component.
    pub declared: Vec<(ComponentName, Duration)>,
}

impl StartDeadline {
    /// All of it; the time in which images are pulled is not counted.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.declared.iter().fold(self.base, |sum, (_, time)| sum.saturating_add(*time))
    }
}

/// Whose end is the pod's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// Once all of these have ended.
    pub jobs: Vec<ComponentName>,
    /// Once one of these has ended and is not started again.
    pub components: Vec<ComponentName>,
}
