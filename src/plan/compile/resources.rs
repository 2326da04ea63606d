//! The controller's limits on CPU time and processes, what they leave for its components, and the table of all limits.
//!
//! As `memory`: below the controller's cgroup the kernel holds all together, and what is written is only capped (the kernel takes no CPU quota above the
//! parent's there); beside it, what is written must fit, and the others get equal parts of the rest. Weights (`cpu_shares`, `blkio_config.weight`) are not
//! amounts: the kernel compares them between neighbours, so they need no sum.

use super::Found;
use super::placement::Cgroups;
use crate::containers::Inspection;
use crate::plan::Planned;
use crate::plan::budget::{Budget, BudgetRow, BudgetShare, HeldBy, Resource};
use crate::plan::placement::{GroupLimits, Placement};
use crate::pod::{Component, HostSettings, PodSpec, Problem};

/// What the engine takes for the length of a CFS period where none is given, in microseconds.
const PERIOD: i64 = 100_000;

const NANO: i64 = 1_000_000_000;

/// Those that are summed here.
const HERE: [Resource; 2] = [Resource::Cpus, Resource::Pids];

/// The least amount that the engine takes.
fn least(resource: Resource) -> i64 {
    match resource {
        Resource::Cpus => NANO / 100,
        Resource::Memory | Resource::MemorySwap | Resource::Pids => 1,
    }
}

/// Billionths of a CPU of a quota in each period.
fn quota(quota: Option<i64>, period: Option<i64>) -> Option<i64> {
    let quota = i128::from(quota.filter(|quota| *quota > 0)?);
    let period = i128::from(period.filter(|period| *period > 0).unwrap_or(PERIOD));
    i64::try_from(quota * i128::from(NANO) / period).ok()
}

/// The limit that a container has; none where it has none.
fn given(host: &HostSettings, resource: Resource) -> Option<i64> {
    let limit = match resource {
        Resource::Memory => host.memory,
        Resource::MemorySwap => host.memory_swap,
        Resource::Cpus => host.nano_cpus.filter(|nano| *nano > 0).or_else(|| quota(host.cpu_quota, host.cpu_period)),
        Resource::Pids => host.pids_limit,
    };
    limit.filter(|limit| *limit > 0)
}

fn give(host: &mut HostSettings, resource: Resource, amount: i64) {
    match resource {
        Resource::Memory => host.memory = Some(amount),
        Resource::MemorySwap => host.memory_swap = Some(amount),
        Resource::Cpus => {
            // The engine takes one form or the other. A period that was written stays.
            match host.cpu_period.filter(|period| *period > 0) {
                Some(period) => {
                    let quota = i128::from(amount) * i128::from(period) / i128::from(NANO);
                    host.cpu_quota = i64::try_from(quota).ok();
                    host.nano_cpus = None;
                }
                None => {
                    host.nano_cpus = Some(amount);
                    host.cpu_quota = None;
                }
            }
        }
        Resource::Pids => host.pids_limit = Some(amount),
    }
}

/// The pod's limit: the controller's own.
fn of_pod(controller: &Inspection, resource: Resource) -> Option<i64> {
    let limit = match resource {
        Resource::Memory => Some(controller.memory),
        Resource::MemorySwap => Some(controller.memory_swap),
        Resource::Cpus => Some(controller.nano_cpus)
            .filter(|nano| *nano > 0)
            .or_else(|| quota(Some(controller.cpu_quota), Some(controller.cpu_period))),
        Resource::Pids => Some(controller.pids_limit),
    };
    limit.filter(|limit| *limit > 0)
}

/// The pod's limits, as a cgroup of its own has them.
pub(super) fn of_group(controller: &Inspection) -> GroupLimits {
    let of = |resource| of_pod(controller, resource).and_then(|limit| u64::try_from(limit).ok());
    let memory = of(Resource::Memory);
    // The engine's limit is on memory and swap together; the kernel's of version 2, and systemd's, is on swap alone.
    let swap = memory.and_then(|memory| Some(of(Resource::MemorySwap)?.saturating_sub(memory)));
    GroupLimits { memory, swap, cpus: of(Resource::Cpus), pids: of(Resource::Pids) }
}

/// Brings CPU time and processes within the pod's limits.
pub(super) fn limit(
    controller: &Inspection,
    cgroups: &Cgroups,
    init: &mut [Planned],
    components: &mut [Planned],
    found: &mut Found,
) {
    for resource in HERE {
        let Some(pod) = of_pod(controller, resource) else {
            continue;
        };
        match cgroups {
            Cgroups::Absent => {
                found.warnings.push(format!("the engine has no cgroups: `{}` has no effect", resource.key()));
            }
            Cgroups::Nested => {
                for planned in init.iter_mut().chain(&mut *components) {
                    cap(resource, pod, planned, found);
                }
            }
            Cgroups::Beside => {
                for planned in &mut *init {
                    cap(resource, pod, planned, found);
                    if given(&planned.container.host, resource).is_none() {
                        give(&mut planned.container.host, resource, pod);
                    }
                }
                share(resource, pod, components, found);
            }
        }
    }
}

fn cap(resource: Resource, pod: i64, planned: &mut Planned, found: &mut Found) {
    let host = &mut planned.container.host;
    if let Some(was) = given(host, resource).filter(|was| *was > pod) {
        give(host, resource, pod);
        let (was, pod) = (resource.amount(was), resource.amount(pod));
        found.warn(&planned.name, format!("`{}` {was} is reduced to {pod}", resource.key()));
    }
}

fn share(resource: Resource, pod: i64, components: &mut [Planned], found: &mut Found) {
    let key = resource.key();
    let written: Vec<_> = components
        .iter()
        .filter_map(|planned| Some((planned.name.to_string(), given(&planned.container.host, resource)?)))
        .collect();
    let sum = written.iter().fold(0_i64, |sum, (_, amount)| sum.saturating_add(*amount));
    let list: Vec<_> = written.iter().map(|(name, amount)| format!("`{name}` {}", resource.amount(*amount))).collect();
    let hint = format!("raise the controller's limit, or lower a component's `{key}`");
    if sum > pod {
        let what = format!(
            "the sum of the components' limits ({}) is {}, which is more than the controller's {}",
            list.join(", "),
            resource.amount(sum),
            resource.amount(pod)
        );
        found.indivisible(Problem::new("controller", key, what).hint(hint));
        return;
    }
    let others = i64::try_from(components.len() - written.len()).unwrap_or(i64::MAX);
    let Some(part) = (pod - sum).checked_div(others) else { return };
    if part < least(resource) {
        let what = format!(
            "of the controller's {}, {} remains for {} without a `{key}`, but the engine's minimum is {} each",
            resource.amount(pod),
            resource.amount(pod - sum),
            super::memory::components_without(others),
            resource.amount(least(resource))
        );
        found.indivisible(Problem::new("controller", key, what).hint(hint));
        return;
    }
    let mut shared = Vec::new();
    for planned in components.iter_mut() {
        let host = &mut planned.container.host;
        if given(host, resource).is_none() {
            give(host, resource, part);
            shared.push(format!("`{}`", planned.name));
        }
    }
    found.divided(&resource.amount(pod), key, &shared, &resource.amount(part));
}

/// The table, after everything is decided.
pub(super) fn budget(spec: &PodSpec, controller: &Inspection, placement: &Placement, components: &[Planned]) -> Budget {
    let held_by = match Cgroups::from(placement.tier) {
        Cgroups::Nested => HeldBy::Together,
        Cgroups::Beside => HeldBy::Apart,
        Cgroups::Absent => HeldBy::Nobody,
    };
    let written = |component: &Component, resource| given(&component.host, resource);
    let row = |resource| BudgetRow {
        resource,
        pod: of_pod(controller, resource),
        components: components
            .iter()
            .map(|planned| BudgetShare {
                component: planned.name.clone(),
                written: spec.components.get(&planned.name).and_then(|component| written(component, resource)),
                given: given(&planned.container.host, resource),
            })
            .collect(),
    };
    let is_limited = |row: &BudgetRow| row.pod.is_some() || row.components.iter().any(|share| share.given.is_some());
    let rows = Resource::ALL.into_iter().map(row).filter(is_limited).collect();
    Budget { held_by, placement: placement.clone(), rows }
}

/// A component's own limits that can't hold.
pub(super) fn warn_without_cgroups(planned: &Planned, found: &mut Found) {
    for resource in HERE {
        if given(&planned.container.host, resource).is_some() {
            found.warn(&planned.name, format!("`{}` has no effect: the engine has no cgroups", resource.key()));
        }
    }
}

#[cfg(test)]
mod tests;
