//! How long the pod's start may take by its own rules.
//!
//! A component declares what it writes of its own start: [`declared`]. Components that wait for each other add up, those that start side by side do not.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Role as Kind;
use crate::plan::Planned;
use crate::plan::life::{Life, StartDeadline};
use crate::pod::life::{LifecycleAction, LifecycleStep, Probe, RestartPolicy, RestartWhen, Role};
use crate::pod::{ComponentName, Condition, HealthCheck, PodOptions, PodSpec};

/// What an init component, or a job that others wait for, may take if nothing is written about the pod's start: Kubernetes' `progressDeadlineSeconds`.
/// A migration of minutes is usual, and to end it half-way is worse than to wait.
const RUN: Duration = Duration::from_secs(10 * 60);

/// What a component's own start may take by what is written of it, from its launch to the moment when it is up.
pub(super) fn declared(planned: &Planned, kind: Kind) -> Duration {
    let startup = planned.probes.startup.as_ref().map(|probe| {
        let between = probe.start_interval.unwrap_or(probe.period);
        probe.initial_delay.saturating_add(between.saturating_mul(probe.failure_threshold))
    });
    let readiness = planned.probes.readiness.as_ref().map(first_success);
    let steps = planned.post_start.iter().map(|step| match step.action {
        LifecycleAction::Sleep(length) => step.timeout.map_or(length, |most| most.min(length)),
        LifecycleAction::Exec(_) | LifecycleAction::Http(_) => {
            step.timeout.unwrap_or(LifecycleStep::POST_START_TIMEOUT)
        }
    });
    let run = if kind == Kind::Init { pauses(&planned.restart) } else { Duration::ZERO };
    [startup, readiness, Some(check(planned)), Some(run)]
        .into_iter()
        .flatten()
        .chain(steps)
        .fold(Duration::ZERO, Duration::saturating_add)
}

/// What the engine's check of a component declares: the failures of its start period do not count, and the first look that does comes an interval later.
pub(super) fn check(planned: &Planned) -> Duration {
    match &planned.container.healthcheck {
        Some(HealthCheck::Command { start_period, interval, .. }) => {
            start_period.unwrap_or_default().saturating_add(interval.unwrap_or_default())
        }
        Some(HealthCheck::Disabled) | None => Duration::ZERO,
    }
}

/// To the first look, and the further successes that are needed.
fn first_success(probe: &Probe) -> Duration {
    let further = probe.success_threshold.saturating_sub(1);
    probe.initial_delay.saturating_add(probe.period.saturating_mul(further))
}

/// The pauses of all restarts that a policy with `max_attempts` allows.
fn pauses(policy: &RestartPolicy) -> Duration {
    let Some(most) = policy.max_attempts.filter(|_| policy.when != RestartWhen::Never) else { return Duration::ZERO };
    let mut sum = Duration::ZERO;
    let mut next = policy.delay;
    // Doubled each time, so that the longest pause is soon reached.
    for done in 0..most {
        if next >= policy.max_delay {
            return sum.saturating_add(policy.max_delay.saturating_mul(most - done));
        }
        sum = sum.saturating_add(next);
        next = next.saturating_mul(2);
    }
    sum
}

/// The times of a pod whose components are planned.
pub(super) fn of(spec: &PodSpec, init: &[Planned], components: &[Planned]) -> Life {
    let PodOptions { min_ready, start_deadline, settle, repair_budget, .. } = spec.options;
    let run = if start_deadline.is_none() { RUN } else { Duration::ZERO };
    let mut declared: Vec<(ComponentName, Duration)> =
        init.iter().map(|planned| (planned.name.clone(), planned.start.saturating_add(run))).collect();
    declared.extend(longest(components, run));
    declared.retain(|(_, time)| !time.is_zero());
    let sum = declared.iter().fold(Duration::ZERO, |sum, (_, time)| sum.saturating_add(*time));
    let base = start_deadline.unwrap_or(PodOptions::START_DEADLINE);
    let start = (!base.is_zero()).then_some(StartDeadline { base, declared });
    Life { min_ready, start, settle, repair_budget, declared: sum }
}

/// The way along dependencies that takes longest, with what each component on it declares.
fn longest(components: &[Planned], run: Duration) -> Vec<(ComponentName, Duration)> {
    let awaited = awaited(components);
    let own = |planned: &Planned| own(planned, &awaited, run);
    let named: HashMap<&ComponentName, &Planned> = components.iter().map(|planned| (&planned.name, planned)).collect();
    // By wave, so that what a component waits for comes before it.
    let mut until: HashMap<&ComponentName, (Duration, Option<&ComponentName>)> = HashMap::new();
    for planned in components {
        let before = planned
            .depends_on
            .iter()
            .filter_map(|(name, _)| until.get_key_value(name).map(|(name, (time, _))| (*time, *name)))
            .max_by_key(|(time, _)| *time);
        let time = own(planned).saturating_add(before.map(|(time, _)| time).unwrap_or_default());
        until.insert(&planned.name, (time, before.map(|(_, name)| name)));
    }
    // Of several that take as long, the first that was written.
    let last = components.iter().rev().max_by_key(|it| until.get(&it.name).map(|(time, _)| *time));
    let mut way = Vec::new();
    let mut at = last.map(|planned| &planned.name);
    while let Some(planned) = at.and_then(|name| named.get(name)) {
        way.push((planned.name.clone(), own(planned)));
        at = until.get(&planned.name).and_then(|(_, before)| *before);
    }
    way.reverse();
    way
}

/// The components whose success others await that are no jobs: the pod's own work is not part of its start, and may take as long as it likes.
fn awaited(components: &[Planned]) -> HashSet<&ComponentName> {
    let others = components.iter().filter(|planned| planned.role != Role::Job);
    let on = others.flat_map(|planned| &planned.depends_on);
    on.filter(|(_, on)| on.condition == Condition::Completed).map(|(name, _)| name).collect()
}

fn own(planned: &Planned, awaited: &HashSet<&ComponentName>, run: Duration) -> Duration {
    if awaited.contains(&planned.name) {
        planned.start.saturating_add(run).saturating_add(pauses(&planned.restart))
    } else {
        planned.start
    }
}

#[cfg(test)]
mod tests;
