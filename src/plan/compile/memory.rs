//! The controller's memory limit, and what it leaves for its components.

use super::{Found, Role};
use crate::containers::Inspection;
use crate::plan::Planned;
use crate::plan::units::bytes;
use crate::pod::{ComponentName, HostSettings, Problem};

/// The least memory limit that the engine takes, in bytes (`linuxMinMemory` of moby).
const LEAST: i64 = 6 * 1024 * 1024;

/// The controller's own limit, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    memory: i64,
    /// Memory and swap together; none where there is no limit on it.
    swap: Option<i64>,
}

impl Limit {
    /// None where the controller has no limit.
    pub(super) fn of(controller: &Inspection) -> Option<Self> {
        (controller.memory > 0).then(|| Self {
            memory: controller.memory,
            swap: (controller.memory_swap > 0).then(|| controller.memory_swap.max(controller.memory)),
        })
    }

    pub(super) fn has_swap(self) -> bool {
        self.swap.is_some()
    }

    /// A component below the controller's cgroup, or one of the pod's own: the parent limits all of them together, so only what is written is looked at.
    pub(super) fn cap(self, planned: &mut Planned, found: &mut Found) {
        let name = planned.name.clone();
        let host = &mut planned.container.host;
        if let (None, Some(swap @ 1..)) = (host.memory, host.memory_swap) {
            host.memory = Some(self.memory.min(swap)); // The engine takes no limit on swap alone.
        }
        lower(&mut host.memory, self.memory, "mem_limit", &name, found);
        if let Some(most) = self.swap {
            lower(&mut host.memory_swap, most, "memswap_limit", &name, found);
        }
    }

    /// A component beside the controller that runs while no other does.
    pub(super) fn give_all(self, planned: &mut Planned, found: &mut Found) {
        let name = planned.name.clone();
        let host = &mut planned.container.host;
        if let (Some(most), Some(..0)) = (self.swap, host.memory_swap) {
            host.memory_swap = Some(most);
            found.warn(&name, format!("`memswap_limit` -1 is reduced to the controller's {}", bytes(most)));
        }
        self.cap(planned, found);
        let host = &mut planned.container.host;
        let memory = *host.memory.get_or_insert(self.memory);
        if host.memory_swap.is_none() {
            host.memory_swap = self.swap.map(|swap| (swap - self.memory).saturating_add(memory));
        }
    }

    /// Components beside the controller, where the engine knows no limit for all of them together: what is written must fit, and what is left
    /// over goes to the others in equal parts.
    pub(super) fn share(self, components: &mut [Planned], found: &mut Found) {
        self.share_memory(components, found);
        if let Some(swap) = self.swap {
            share_swap(components, swap - self.memory, found);
        }
    }

    fn share_memory(self, components: &mut [Planned], found: &mut Found) {
        let written: Vec<_> = components
            .iter()
            .filter_map(|planned| planned.container.host.memory.map(|memory| (planned.name.to_string(), memory)))
            .collect();
        let sum = written.iter().fold(0_i64, |sum, (_, memory)| sum.saturating_add(*memory));
        let others = i64::try_from(components.len() - written.len()).unwrap_or(i64::MAX);
        let list =
            written.iter().map(|(name, size)| format!("`{name}` {}", bytes(*size))).collect::<Vec<_>>().join(", ");
        let remainder = self.memory.saturating_sub(sum);
        if remainder < 0 {
            found.indivisible(
                Problem::new(
                    "controller",
                    "memory",
                    format!(
                        "the sum of the components' limits ({list}) is {}, which is more than the controller's {}",
                        bytes(sum),
                        bytes(self.memory)
                    ),
                )
                .hint("raise the controller's memory limit, or lower a component's `mem_limit`"),
            );
            return;
        }
        let Some(part) = remainder.checked_div(others) else { return };
        if part < LEAST {
            found.indivisible(
                Problem::new(
                    "controller",
                    "memory",
                    format!(
                        "of the controller's {}, {} remains for {} without a `mem_limit`, but the engine's minimum is {} each",
                        bytes(self.memory),
                        bytes(remainder),
                        components_without(others),
                        bytes(LEAST)
                    ),
                )
                .hint("raise the controller's memory limit, or lower a component's `mem_limit`"),
            );
            return;
        }
        let mut shared = Vec::new();
        for planned in components.iter_mut().filter(|planned| planned.container.host.memory.is_none()) {
            shared.push(format!("`{}`", planned.name));
            let host = &mut planned.container.host;
            // A limit on memory and swap together that is lower still is the one that counts.
            host.memory = Some(host.memory_swap.filter(|swap| *swap > 0).map_or(part, |swap| swap.min(part)));
        }
        found.divided(&bytes(self.memory), "mem_limit", &shared, &bytes(part));
    }
}

/// How many components something is left for.
pub(super) fn components_without(number: i64) -> String {
    if number == 1 { "1 component".to_owned() } else { format!("{number} components") }
}

/// Shares `swap` bytes of swap proper, so that memory and swap together are never below memory alone.
fn share_swap(components: &mut [Planned], swap: i64, found: &mut Found) {
    let mut left = swap;
    for planned in &*components {
        match (planned.container.host.memory_swap, planned.container.host.memory) {
            (Some(..0), _) => {
                found.indivisible(
                    Role::Component
                        .problem(
                            &planned.name,
                            "memswap_limit",
                            "-1 means unlimited swap, but the controller's swap is limited",
                        )
                        .hint("remove the key, or give the controller unlimited swap"),
                );
                return;
            }
            (Some(total), Some(memory)) => left = left.saturating_sub((total - memory).max(0)),
            _ => {}
        }
    }
    if left < 0 {
        found.indivisible(
            Problem::new(
                "controller",
                "memory_swap",
                format!("the components' `memswap_limit` values allow more swap than the controller's {}", bytes(swap)),
            )
            .hint("raise the controller's limit on memory and swap, or lower a component's `memswap_limit`"),
        );
        return;
    }
    let without: Vec<&mut HostSettings> = components
        .iter_mut()
        .map(|planned| &mut planned.container.host)
        .filter(|host| host.memory_swap.is_none() && host.memory.is_some())
        .collect();
    let Some(part) = left.checked_div(i64::try_from(without.len()).unwrap_or(i64::MAX)) else { return };
    for host in without {
        host.memory_swap = host.memory.map(|memory| memory.saturating_add(part));
    }
}

/// Lowers what the engine wants to be at most as large as the memory limit.
pub(super) fn reconcile(planned: &mut Planned, found: &mut Found) {
    let name = planned.name.clone();
    let host = &mut planned.container.host;
    if let Some(memory) = host.memory {
        lower(&mut host.memory_reservation, memory, "mem_reservation", &name, found);
    }
}

/// Without a limit of the controller, a limit on memory and swap stands alone, which the engine refuses.
pub(super) fn refuse_swap_alone(planned: &Planned, role: Role, found: &mut Found) {
    let host = &planned.container.host;
    if let (None, Some(1..)) = (host.memory, host.memory_swap) {
        found.problems.push(role.problem(&planned.name, "memswap_limit", "also needs a `mem_limit`"));
    }
}

fn lower(value: &mut Option<i64>, most: i64, key: &str, name: &ComponentName, found: &mut Found) {
    if let Some(was) = *value
        && was > most
    {
        *value = Some(most);
        found.warn(name, format!("`{key}` {} is reduced to {}", bytes(was), bytes(most)));
    }
}
