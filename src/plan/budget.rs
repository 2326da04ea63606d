//! What of the pod's limits each component gets, and who sees to it.

use super::placement::{Placement, Tier};
use super::units::bytes;
use crate::pod::ComponentName;

/// The limits of the pod and of its components, side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budget {
    /// Who holds the components to the pod's limits.
    pub held_by: HeldBy,
    /// Where the components' cgroups are.
    pub placement: Placement,
    /// Those of which the pod or a component has a limit.
    pub rows: Vec<BudgetRow>,
}

impl Budget {
    /// The memory that all components have together, in bytes, if the kernel holds all of them to it.
    #[must_use]
    pub fn memory_together(&self) -> Option<i64> {
        let is_memory = |row: &&BudgetRow| row.resource == Resource::Memory && self.held_by == HeldBy::Together;
        self.rows.iter().find(is_memory).and_then(|row| row.pod)
    }

    /// Who holds the limits, for people.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        match (self.held_by, self.placement.tier) {
            (HeldBy::Together, Tier::Slice | Tier::Tree) => {
                "the kernel enforces the limits for the pod as a whole: the components are in a cgroup of the pod"
            }
            (HeldBy::Together, _) => {
                "the kernel enforces the limits for the pod as a whole: the components are in the controller's cgroup"
            }
            (HeldBy::Apart, Tier::Divided) if self.placement.is_assumed => {
                "the kernel enforces the limits: for the pod as a whole if the engine supports it, otherwise for each component, divided as shown"
            }
            (HeldBy::Apart, _) => {
                "the kernel enforces the limits for each component: the pod's limits are divided among the components"
            }
            (HeldBy::Nobody, _) => "nothing enforces the limits: the engine has no cgroups",
        }
    }
}

/// Who holds the components to the pod's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeldBy {
    /// The kernel, all of them together: their cgroups lie within the controller's, or within one of the pod's own.
    Together,
    /// The kernel, each to its own limit; these were divided so that they fit.
    #[default]
    Apart,
    /// Nobody: the engine has no cgroups.
    Nobody,
}

impl HeldBy {
    /// Its word in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Together => "pod",
            Self::Apart => "components",
            Self::Nobody => "nobody",
        }
    }
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRow {
    /// Which.
    pub resource: Resource,
    /// The pod's limit: bytes, billionths of a CPU, or processes; none where there is none.
    pub pod: Option<i64>,
    /// Of each component, in the order of the plan. Init components run alone and are not summed.
    pub components: Vec<BudgetShare>,
}

impl BudgetRow {
    /// All limits of components together; those without one are not counted.
    #[must_use]
    pub fn sum(&self) -> i64 {
        self.components.iter().filter_map(|share| share.given).fold(0, i64::saturating_add)
    }

    /// What of the pod's limit nobody has been given; below 0 where the components' limits are more than the pod's, which the kernel then holds them to.
    #[must_use]
    pub fn left(&self) -> Option<i64> {
        self.pod.map(|pod| pod.saturating_sub(self.sum()))
    }
}

/// What one component gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetShare {
    /// Which.
    pub component: ComponentName,
    /// As the user wrote it.
    pub written: Option<i64>,
    /// As the engine gets it; none: no limit of its own.
    pub given: Option<i64>,
}

/// What can be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Bytes.
    Memory,
    /// Memory and swap together, bytes.
    MemorySwap,
    /// Billionths of a CPU.
    Cpus,
    /// Processes and threads.
    Pids,
}

impl Resource {
    /// In the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Memory, Self::MemorySwap, Self::Cpus, Self::Pids];

    /// As the key of a component that limits it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Memory => "mem_limit",
            Self::MemorySwap => "memswap_limit",
            Self::Cpus => "cpus",
            Self::Pids => "pids_limit",
        }
    }

    /// An amount for people: `64MiB`, `1.5`, `100`.
    #[must_use]
    pub fn amount(self, amount: i64) -> String {
        match self {
            Self::Memory | Self::MemorySwap => bytes(amount),
            Self::Cpus => {
                let sign = if amount < 0 { "-" } else { "" };
                let (whole, part) = (amount.unsigned_abs() / 1_000_000_000, amount.unsigned_abs() % 1_000_000_000);
                let text = format!("{sign}{whole}.{part:09}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Self::Pids => amount.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (nano, text) in
            [(0, "0"), (1_500_000_000, "1.5"), (10_000_000, "0.01"), (-250_000_000, "-0.25"), (1, "0.000000001")]
        {
            assert_eq!(Resource::Cpus.amount(nano), text);
        }
        assert_eq!(Resource::Memory.amount(64 << 20), "64MiB");
    }
}
