//! Where each probe of a component stands, for whoever asks: verdicts tell only what changes, and a probe that fails now and then changes nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::ProbeKind;
use super::tracker::{Standing, Tracker};
use crate::pod::life::Probes;

/// What one probe has found, in the current run of its component or in the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which probe.
    pub kind: ProbeKind,
    /// Its verdict.
    pub standing: Standing,
    /// Whether the last look succeeded, and when that was; none before the first.
    pub last: Option<(bool, SystemTime)>,
    /// Looks that failed, in a row, up to the last one; 0 where that succeeded.
    pub failures: u32,
    /// What the last look that failed has found, at most some KiB; it stays when later ones succeed.
    pub message: Option<String>,
    /// Looks that failed, and that succeeded, in all runs.
    pub looks: [u64; 2],
}

impl Finding {
    fn new(kind: ProbeKind) -> Self {
        Self { kind, standing: Standing::Open, last: None, failures: 0, message: None, looks: [0; 2] }
    }
}

/// The findings of one component's probes, one for each that it has. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    // Short sections without any await: a plain mutex is right.
    all: Arc<Mutex<Vec<Finding>>>,
}

impl Findings {
    /// Nothing has been looked at yet.
    #[must_use]
    pub fn new(probes: &Probes) -> Self {
        let kinds = [
            (ProbeKind::Startup, &probes.startup),
            (ProbeKind::Liveness, &probes.liveness),
            (ProbeKind::Readiness, &probes.readiness),
        ];
        let all = kinds.into_iter().filter(|(_, probe)| probe.is_some()).map(|(kind, _)| Finding::new(kind)).collect();
        Self { all: Arc::new(Mutex::new(all)) }
    }

    /// As they are now: startup, liveness, readiness.
    #[must_use]
    pub fn now(&self) -> Vec<Finding> {
        self.all().clone()
    }

    /// A new run begins, of which nothing is known.
    pub(super) fn forget(&self) {
        for finding in self.all().iter_mut() {
            *finding = Finding { looks: finding.looks, ..Finding::new(finding.kind) };
        }
    }

    /// Notes a look that the tracker has counted. A probe that nobody asks about is passed over.
    pub(super) fn note(&self, kind: ProbeKind, tracker: &Tracker, failure: Option<String>) {
        let mut all = self.all();
        let Some(finding) = all.iter_mut().find(|finding| finding.kind == kind) else { return };
        finding.standing = tracker.standing();
        finding.failures = tracker.failures();
        let [failed, succeeded] = &mut finding.looks;
        *(if failure.is_some() { failed } else { succeeded }) += 1;
        finding.last = Some((failure.is_none(), SystemTime::now()));
        finding.message = failure.or(finding.message.take());
    }

    fn all(&self) -> MutexGuard<'_, Vec<Finding>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
