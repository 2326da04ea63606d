//! What the probes of all components find. Too often to be published: `status` looks here when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::admin::Status;
use crate::admin::status::{ProbeState, ProbeStatus};
use crate::metrics::Family;
use crate::plan::Plan;
use crate::pod::ComponentName;
use crate::probe::findings::{Finding, Findings};
use crate::probe::tracker::Standing;

/// The findings of every component that has probes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct AllFindings {
    all: Arc<HashMap<ComponentName, Findings>>,
}

impl AllFindings {
    /// Nothing has been looked at yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let probed = plan.init.iter().chain(&plan.components).filter(|planned| !planned.probes.is_empty());
        Self { all: Arc::new(probed.map(|it| (it.name.clone(), Findings::new(&it.probes))).collect()) }
    }

    /// Those of one component; where it has no probes, some that nobody sees.
    #[must_use]
    pub fn of(&self, name: &ComponentName) -> Findings {
        self.all.get(name).cloned().unwrap_or_default()
    }

    /// The metrics of all probes.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut looks = Family::counter("outrigger_probe_looks_total", "Attempts of probes, by result.");
        let mut states = Family::gauge("outrigger_probe_state", "1 for the verdict of the probe, 0 for the others.");
        let mut all: Vec<_> = self.all.iter().collect();
        all.sort_by_key(|(name, _)| *name);
        for (name, findings) in all {
            for finding in findings.now() {
                let kind = finding.kind.to_string();
                let labels = [("component", name.as_str()), ("probe", kind.as_str())];
                for (result, count) in ["failure", "success"].into_iter().zip(finding.looks) {
                    looks.add([labels[0], labels[1], ("result", result)], count);
                }
                let state = standing(finding.standing).to_string();
                states.one_of(&labels, ("state", &["pending", "succeeds", "fails"]), &state);
            }
        }
        vec![looks, states]
    }

    /// Puts them into what `status` shows of the components.
    pub fn show(&self, status: &mut Status) {
        for component in &mut status.components {
            let found = self.all.get(component.name.as_str());
            component.probes = found.map_or_else(Vec::new, |found| found.now().into_iter().map(shown).collect());
        }
    }
}

fn standing(standing: Standing) -> ProbeState {
    match standing {
        Standing::Open => ProbeState::Pending,
        Standing::Succeeds => ProbeState::Succeeds,
        Standing::Fails => ProbeState::Fails,
    }
}

fn shown(finding: Finding) -> ProbeStatus {
    ProbeStatus {
        kind: finding.kind.to_string(),
        state: standing(finding.standing),
        last_ok: finding.last.map(|(succeeded, _)| succeeded),
        last_at: finding.last.and_then(|(_, at)| at.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs()),
        failures: finding.failures,
        last_failure: finding.message,
    }
}
