//! How the time that a pod has for its stop is divided among the components that stop one after the other.
//!
//! A component stops before those that it depends on, and sidecars stop last. One that is slow must not use up the time of those that stop after it. So for each
//! component a *share* of the pod's time is reserved:
//!
//! - If the grace periods of every chain of components fit into the pod's time, the share of each is its whole grace period.
//! - Else it is `time / (2 * length of the longest chain)`, or the grace period if that is shorter. The component that stops first thus keeps at least
//!   half of the pod's time.
//!
//! The controller kills a component that still runs when the shares of those behind it begin.

use std::collections::HashMap;
use std::ops::Add;
use std::time::Duration;

use super::{Plan, Planned};
use crate::pod::life::Role;
use crate::pod::{ComponentName, Dependency};

/// Of a component's time at most so much is kept for its process, after what is done before its stop.
const MOST_KEPT: Duration = Duration::from_secs(2);

/// What is kept of a component's time for its process, after what is done before its stop.
#[must_use]
pub fn kept(time: Duration) -> Duration {
    (time / 4).min(MOST_KEPT)
}

/// One component that may have to stop.
#[derive(Debug, Clone, Copy)]
pub struct Stopper<'a> {
    /// Its name.
    pub name: &'a ComponentName,
    /// What it depends on; all of these come before it in the list.
    pub depends_on: &'a [(ComponentName, Dependency)],
    /// The part that it plays.
    pub role: Role,
    /// How long it may take to stop; none: it does not run.
    pub grace: Option<Duration>,
}

/// When a component is asked to stop, and killed, at the latest. Times begin with the first signal, or with the end that began the stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// 1 for those that stop first; one more than the highest of those that stop before it for others.
    pub wave: usize,
    /// What still runs of those that stop before it is killed now.
    pub begins_by: Duration,
    /// Its own share is over now: the shares of those that stop after it begin, or the pod's time is over.
    pub ends_by: Duration,
    /// What of its share is kept for its process, after what is done before its stop.
    pub kept: Duration,
}

/// How the pod's time is divided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turns {
    /// In the order of the list.
    pub of: Vec<Turn>,
    /// The components of the chain that may take longest, in the order of their stop.
    pub longest: Vec<ComponentName>,
    /// The sum of their grace periods.
    pub needed: Duration,
}

/// What comes behind a component: the longest way to the end, and the next component on it.
type Behind<T> = Vec<(T, Option<usize>)>;

/// Who stops before whom.
struct Order {
    /// For each component those that it depends on.
    needs: Vec<Vec<usize>>,
    /// Whether it is a sidecar that stops after all components that are none, or does not run and is needed by such sidecars at most.
    last: Vec<bool>,
}

impl Order {
    fn new(list: &[Stopper<'_>]) -> Self {
        let at: HashMap<&ComponentName, usize> = list.iter().enumerate().map(|(at, it)| (it.name, at)).collect();
        let needs: Vec<Vec<usize>> = list
            .iter()
            .enumerate()
            .map(|(own, it)| {
                let before = |(name, _): &(ComponentName, _)| at.get(name).copied().filter(|other| *other < own);
                it.depends_on.iter().filter_map(before).collect()
            })
            .collect();
        // One that needs a living component that is no sidecar stops before that one, as everybody does.
        let mut follows: Vec<bool> = Vec::with_capacity(list.len());
        for of in &needs {
            let is_followed = |other: &usize| {
                let lives = list.get(*other).is_some_and(|it| it.role != Role::Sidecar && it.grace.is_some());
                lives || follows.get(*other).copied().unwrap_or_default()
            };
            follows.push(of.iter().any(is_followed));
        }
        // What does not run may lead from one sidecar to another.
        let may_be_last = |it: &Stopper<'_>| it.role == Role::Sidecar || it.grace.is_none();
        let last = list.iter().zip(&follows).map(|(it, follows)| may_be_last(it) && !follows).collect();
        Self { needs, last }
    }

    fn is_last(&self, at: usize) -> bool {
        self.last.get(at).copied().unwrap_or_default()
    }

    /// The longest way from each component to the end of the stop, itself left out.
    fn behind<T: Copy + Ord + Default + Add<Output = T>>(&self, weight: impl Fn(usize) -> T) -> Behind<T> {
        let mut behind: Behind<T> = vec![(T::default(), None); self.needs.len()];
        let mut of_last = (T::default(), None);
        for last in [true, false] {
            for (at, needs) in self.needs.iter().enumerate().filter(|(at, _)| self.is_last(*at) == last) {
                let mut most = if last { (T::default(), None) } else { of_last };
                for other in needs {
                    let whole = behind.get(*other).map_or(T::default(), |it| it.0) + weight(*other);
                    most = if whole > most.0 { (whole, Some(*other)) } else { most };
                }
                if let Some(slot) = behind.get_mut(at) {
                    *slot = most;
                }
                let whole = most.0 + weight(at);
                if last && whole > of_last.0 {
                    of_last = (whole, Some(at));
                }
            }
        }
        behind
    }

    /// The wave in which each stops, from 1 on.
    fn waves(&self) -> Vec<usize> {
        let mut waves = vec![1; self.needs.len()];
        let mut highest = 0;
        for last in [false, true] {
            if last {
                let late = waves.iter_mut().enumerate().filter(|(at, _)| self.is_last(*at));
                late.for_each(|(_, wave)| *wave = (*wave).max(highest + 1));
            }
            for (at, needs) in self.needs.iter().enumerate().rev().filter(|(at, _)| self.is_last(*at) == last) {
                let own = waves.get(at).copied().unwrap_or(1);
                highest = highest.max(own);
                for other in needs {
                    if let Some(wave) = waves.get_mut(*other) {
                        *wave = (*wave).max(own + 1);
                    }
                }
            }
        }
        waves
    }
}

/// Divides `time`, of which `drain` passes before the first component stops.
#[must_use]
pub fn turns(list: &[Stopper<'_>], time: Duration, drain: Duration) -> Turns {
    let order = Order::new(list);
    let grace = |at: usize| list.get(at).and_then(|it| it.grace).unwrap_or_default();
    let whole = order.behind(grace);
    let first = whole.iter().enumerate().max_by_key(|(at, behind)| (behind.0 + grace(*at), std::cmp::Reverse(*at)));
    let mut next = first.map(|(at, _)| at);
    let needed = first.map_or(Duration::ZERO, |(at, behind)| behind.0 + grace(at));
    let mut longest = Vec::new();
    while let Some((stopper, behind)) = next.and_then(|at| Some((list.get(at)?, whole.get(at)?))) {
        longest.extend(stopper.grace.map(|_| stopper.name.clone()));
        next = behind.1;
    }
    let left = time.saturating_sub(drain);
    let length = |at: usize| u32::from(list.get(at).is_some_and(|it| it.grace.is_some()));
    let lengths = order.behind(length);
    let most = lengths.iter().enumerate().map(|(at, behind)| behind.0 + length(at)).max().unwrap_or_default().max(1);
    let share = |at: usize| if needed <= left { grace(at) } else { grace(at).min(left / most.saturating_mul(2)) };
    let reserved = order.behind(share);
    let of = order.waves().into_iter().zip(reserved).enumerate().map(|(at, (wave, (behind, _)))| {
        let ends_by = time.saturating_sub(behind);
        Turn { wave, begins_by: ends_by.saturating_sub(share(at)), ends_by, kept: kept(share(at)) }
    });
    Turns { of: of.collect(), longest, needed }
}

/// A component as it is while the pod runs.
fn running(planned: &Planned, grace: Duration) -> Stopper<'_> {
    let grace = planned.is_there_at_the_end().then_some(grace);
    Stopper { name: &planned.name, depends_on: &planned.depends_on, role: planned.role, grace }
}

/// How the time is divided among the components of a pod that runs. `grace` is the grace period of each.
#[must_use]
pub fn planned(components: &[Planned], grace: impl Fn(&Planned) -> Duration, time: Duration, drain: Duration) -> Turns {
    let list: Vec<_> = components.iter().map(|it| running(it, grace(it))).collect();
    turns(&list, time, drain)
}

impl Planned {
    /// Whether it is a part of the pod that is stopped; what only has to succeed before others start has ended by then.
    pub(super) fn is_there_at_the_end(&self) -> bool {
        !self.job || self.role == Role::Job
    }
}

impl Plan {
    /// How the time for a stop is divided among the components; in their order.
    #[must_use]
    pub fn turns(&self) -> Turns {
        planned(&self.components, |planned| planned.grace, self.stop_budget, self.drain)
    }

    /// Those that stop with the pod, in this order, each with its turn.
    pub(super) fn stops(&self) -> Vec<(&Planned, Turn)> {
        let all = self.components.iter().zip(self.turns().of);
        let mut stops: Vec<_> = all.filter(|(it, _)| it.is_there_at_the_end()).collect();
        stops.sort_by_key(|(_, turn)| turn.wave);
        for (_, turn) in &mut stops {
            turn.begins_by = if turn.wave == 1 { self.drain } else { turn.begins_by };
        }
        stops
    }
}

#[cfg(test)]
mod tests;
