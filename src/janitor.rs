//! Removes what dead controllers left behind.
//!
//! A controller that was killed can't clean up after itself. Whatever it made carries its container's id and the time of that run
//! ([`ownership`]), so the next controller on the engine can tell whether the one that owned it still lives.
//!
//! A component that failed may remain for a look ([`Keep`]): stopped, and under a name that tells since when. Of each service so many remain, and for so
//! long; whichever controller comes by removes the others.
//!
//! Invariant: a container is removed only if it has our label, and either has been kept long enough, or its owner, looked at right before, is gone, does not
//! run, or runs since another time. Doubt (an owner that can't be looked at) keeps it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::stream::{self, StreamExt};
use tracing::{info, warn};

use crate::config::Keep;
use crate::engine::{Engine, EngineError, Fault, Inspection, Listed, chain};
use crate::plan::ownership;

/// Removals at the same time: enough that a slow one does not hold up the others, few enough not to swamp the engine.
const AT_ONCE: usize = 4;

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Names of the containers that were removed, sorted.
    pub removed: Vec<String>,
    /// Names of those that should have been removed, sorted, and why they could not.
    pub failed: Vec<(String, EngineError)>,
}

/// Removes the containers of controllers that are gone, and of earlier runs of this one.
///
/// # Errors
/// Only where the engine can't list containers; trouble with single ones is told in [`Swept::failed`].
///
/// Cancel safety: a sweep that is dropped half-way has removed some; the next one goes on.
pub async fn sweep<E: Engine>(engine: &E, own: &Inspection, now_s: u64) -> Result<Swept, EngineError> {
    let found = engine.list(&[ownership::POD.to_owned()]).await?;
    let remaining = remaining(&found, now_s);
    // Of each owner what it made. An empty label would match nothing, or be cut short to match something else: it is not ours.
    let mut of_owner: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
    for container in found.into_iter().filter(|container| !remaining.contains(&container.name)) {
        if let Some(owner) = container.labels.get(ownership::POD).filter(|owner| !owner.is_empty())
            && container.id != own.id
        {
            of_owner.entry(owner.clone()).or_default().push(container);
        }
    }
    let mut swept = Swept::default();
    let due: Vec<Vec<Due>> =
        stream::iter(of_owner).map(|(owner, made)| due(engine, owner, made)).buffer_unordered(AT_ONCE).collect().await;
    let outcomes: Vec<_> = stream::iter(due.into_iter().flatten())
        .map(|due| async move {
            let outcome = match due.why {
                Ok(why) => remove(engine, &due.owner, &due.container, why).await,
                Err(error) => Err(error),
            };
            (due.container.name, outcome)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(None) => {}
            Ok(Some(why)) => {
                info!(container = %name, why, "removed a container that an earlier controller left behind");
                swept.removed.push(name);
            }
            Err(error) => {
                warn!(container = %name, error = chain(&error), "cannot remove a container that an earlier controller left behind");
                swept.failed.push((name, error));
            }
        }
    }
    swept.removed.sort();
    swept.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(swept)
}

/// Between the name of a failed component and the moment since when it has been kept, in seconds since the Unix epoch.
const KEPT: &str = ".failed-";

/// The name under which a failed component remains.
#[must_use]
pub fn kept_name(name: &str, now_s: u64) -> String {
    format!("{name}{KEPT}{now_s}")
}

/// Whether a container is a failed one that remains for inspection.
#[must_use]
pub fn is_kept(container: &Listed) -> bool {
    kept_since(container).is_some()
}

/// Since when a container has been kept; none where it is not.
fn kept_since(container: &Listed) -> Option<u64> {
    let (before, since) = container.name.rsplit_once(KEPT)?;
    // A component's own name may end so: only what comes behind it tells that it was kept.
    let component = container.labels.get(ownership::COMPONENT)?;
    if !before.strip_suffix(component.as_str())?.ends_with('.') {
        return None;
    }
    // Whoever started it again wants it to live: then it is not ours to keep, nor a failed one.
    if container.running { None } else { since.parse().ok() }
}

/// Names of those that remain: of each service the newest, as long as they are not too old. How many and how long, the controller has said that made them.
fn remaining(found: &[Listed], now_s: u64) -> HashSet<String> {
    let mut kept: Vec<(u64, &Listed)> = found.iter().filter_map(|one| kept_since(one).zip(Some(one))).collect();
    kept.sort_by_key(|(since, container)| (Reverse(*since), container.name.clone()));
    let mut of_service: HashMap<&str, usize> = HashMap::new();
    kept.into_iter()
        .filter(|(since, container)| {
            let service = container.labels.get(ownership::SERVICE).map(String::as_str).unwrap_or_default();
            let count = of_service.entry(service).or_default();
            *count += 1;
            let keep = container.labels.get(ownership::KEEP).and_then(|text| Keep::parse(text));
            keep.is_some_and(|keep| *count <= keep.count && now_s.saturating_sub(*since) <= keep.age.as_secs())
        })
        .map(|(_, container)| container.name.clone())
        .collect()
}

/// A container that is to be removed.
struct Due {
    container: Listed,
    owner: String,
    /// Why; or why nobody can say.
    why: Result<&'static str, EngineError>,
}

/// What of this owner's is to be removed. It is looked at once, after the list was made: what it has made since then is not in it.
async fn due<E: Engine>(engine: &E, owner: String, made: Vec<Listed>) -> Vec<Due> {
    let (kept, made): (Vec<_>, Vec<_>) = made.into_iter().partition(|container| kept_since(container).is_some());
    let why = "the failed component was kept for the configured time, or the number of kept components was exceeded";
    let mut all: Vec<Due> =
        kept.into_iter().map(|container| Due { container, owner: owner.clone(), why: Ok(why) }).collect();
    if made.is_empty() {
        return all;
    }
    let looked = match engine.inspect(&owner).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.fault() == Fault::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    match looked {
        Ok(found) => {
            for container in made {
                let generation = container.labels.get(ownership::GENERATION).map(String::as_str).unwrap_or_default();
                if let Some(why) = verdict(found.as_ref(), generation) {
                    all.push(Due { container, owner: owner.clone(), why: Ok(why) });
                }
            }
        }
        // Doubt keeps all that it made; it is told once.
        Err(error) => all.extend(made.into_iter().next().map(|container| Due { container, owner, why: Err(error) })),
    }
    all
}

/// Removes it; answers why, or none where there was nothing to remove.
async fn remove<E: Engine>(
    engine: &E,
    owner: &str,
    container: &Listed,
    why: &'static str,
) -> Result<Option<&'static str>, EngineError> {
    // Labels can be inherited, from an image that was made of a component. Whatever a controller makes has its network.
    match engine.inspect(&container.id.0).await {
        Ok(found) if found.network_mode == format!("container:{owner}") => {}
        Ok(_) => return Ok(None),
        Err(error) if error.fault() == Fault::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    match engine.remove(&container.id).await {
        Ok(()) => Ok(Some(why)),
        Err(error) if matches!(error.fault(), Fault::AlreadyDone | Fault::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why what this owner, if it is still there, made in that run of it is left over; none where it is not.
fn verdict(owner: Option<&Inspection>, generation: &str) -> Option<&'static str> {
    match owner {
        None => Some("the controller of this container is gone"),
        Some(owner) if !owner.running => Some("the controller of this container is not running"),
        Some(owner) if owner.started_at != generation => {
            Some("this container belongs to an earlier run of its controller")
        }
        Some(_lives) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: u64 = 1_700_000_000;
    use crate::engine::ContainerSpec;
    use crate::engine::fake::FakeEngine;

    /// A running controller of this name.
    async fn controller(engine: &FakeEngine, name: &str) -> Inspection {
        let (id, _) = engine.create(&ContainerSpec::new(name, "outrigger")).await.unwrap();
        engine.start(&id).await.unwrap();
        engine.find(name).unwrap()
    }

    async fn component(engine: &FakeEngine, name: &str, owner: &str, generation: &str) {
        let mut spec = ContainerSpec::new(name, "acme/calc");
        spec.labels.insert(ownership::POD.into(), owner.into());
        spec.labels.insert(ownership::GENERATION.into(), generation.into());
        spec.network_mode = (name != "impostor").then(|| format!("container:{owner}"));
        let (id, _) = engine.create(&spec).await.unwrap();
        engine.start(&id).await.unwrap();
    }

    /// Compiles only if a task may sweep.
    #[test]
    fn a_sweep_can_be_spawned() {
        fn send<T: Send>(_: T) {}
        fn spawnable<E: Engine>(engine: E, own: Inspection) {
            send(async move { sweep(&engine, &own, NOW).await });
        }
        let _compiles = spawnable::<FakeEngine>;
    }

    #[tokio::test(start_paused = true)]
    async fn removes_only_what_no_living_run_owns() {
        let engine = FakeEngine::new();
        let (own, other) = (controller(&engine, "own").await, controller(&engine, "other").await);
        let dead = controller(&engine, "dead").await;
        engine.kill("dead", 137);
        component(&engine, "mine", &own.id.0, &own.started_at).await;
        component(&engine, "mine-before", &own.id.0, "2025-01-01T00:00:00Z").await;
        component(&engine, "neighbour", &other.id.0, &other.started_at).await;
        component(&engine, "neighbour-before", &other.id.0, "").await;
        component(&engine, "of-dead", &dead.id.0, &dead.started_at).await;
        component(&engine, "of-nobody", &"0".repeat(64), "x").await;
        component(&engine, "odd", "", "x").await;
        // Made of an image that was committed from a component.
        component(&engine, "impostor", &dead.id.0, &dead.started_at).await;

        let swept = sweep(&engine, &own, NOW).await.unwrap();
        assert_eq!(swept.removed, ["mine-before", "neighbour-before", "of-dead", "of-nobody"]);
        assert!(swept.failed.is_empty());
        assert_eq!(engine.leftovers(), ["dead", "impostor", "mine", "neighbour", "odd", "other", "own"]);
        assert!(sweep(&engine, &own, NOW).await.unwrap().removed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn never_removes_itself() {
        let engine = FakeEngine::new();
        let mut spec = ContainerSpec::new("nested", "outrigger");
        spec.labels.insert(ownership::POD.into(), "0".repeat(64));
        // As a component of a controller that is gone.
        spec.network_mode = Some(format!("container:{}", "0".repeat(64)));
        let (id, _) = engine.create(&spec).await.unwrap();
        let own = engine.inspect(&id.0).await.unwrap();
        assert!(sweep(&engine, &own, NOW).await.unwrap().removed.is_empty());
        assert_eq!(engine.leftovers(), ["nested"]);
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_with_one_does_not_stop_the_sweep() {
        let owner = "0".repeat(64);
        let engine = FakeEngine::new()
            .fails("remove", "b", Fault::Transient, 1)
            .fails("remove", "c", Fault::NotFound, 1)
            .slow("remove", "a", Duration::from_secs(30));
        let own = controller(&engine, "own").await;
        for name in ["a", "b", "c", "d"] {
            component(&engine, name, &owner, "x").await;
        }
        let began = tokio::time::Instant::now();
        let swept = sweep(&engine, &own, NOW).await.unwrap();
        assert_eq!(swept.removed, ["a", "d"]);
        assert_eq!(swept.failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(began.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn doubt_about_the_owner_keeps_it() {
        let engine = FakeEngine::new();
        let (own, other) = (controller(&engine, "own").await, controller(&engine, "other").await);
        component(&engine, "neighbour", &other.id.0, "an earlier run").await;
        component(&engine, "neighbour-2", &other.id.0, "an earlier run").await;
        // It is looked at once for all that it made.
        let engine = engine.fails("inspect", "other", Fault::Transient, 1);
        let swept = sweep(&engine, &own, NOW).await.unwrap();
        assert_eq!((swept.removed.len(), swept.failed.len()), (0, 1));
        assert_eq!(engine.leftovers(), ["neighbour", "neighbour-2", "other", "own"]);
        assert_eq!(sweep(&engine, &own, NOW).await.unwrap().removed, ["neighbour", "neighbour-2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_ones_remain_in_their_number_and_for_their_time() {
        let engine = FakeEngine::new();
        let own = controller(&engine, "own").await;
        let failed = async |service: &str, age: u64, running: bool| {
            let component = format!("{service}{age}");
            let name = kept_name(&format!("pod.podlike.{component}"), NOW - age);
            let mut spec = ContainerSpec::new(name, "acme/calc");
            spec.labels.insert(ownership::COMPONENT.into(), component);
            spec.labels.insert(ownership::POD.into(), "0".repeat(64));
            spec.labels.insert(ownership::SERVICE.into(), service.into());
            spec.labels.insert(ownership::KEEP.into(), "2/3600".into());
            spec.network_mode = Some(format!("container:{}", "0".repeat(64)));
            let (id, _) = engine.create(&spec).await.unwrap();
            if running {
                engine.start(&id).await.unwrap();
            }
        };
        failed("shop", 10, false).await;
        failed("shop", 20, false).await;
        failed("shop", 30, false).await;
        failed("calc", 3601, false).await;
        failed("web", 3600, false).await;
        // Somebody started it again, without the controller whose network it had: a left-over like any other.
        failed("run", 1, true).await;
        sweep(&engine, &own, NOW).await.unwrap();
        assert_eq!(engine.leftovers(), ["own", "shop10", "shop20", "web3600"]);
        sweep(&engine, &own, NOW + 3600).await.unwrap();
        assert_eq!(engine.leftovers(), ["own"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_only_looks_kept_belongs_to_its_living_owner() {
        let engine = FakeEngine::new();
        let (own, other) = (controller(&engine, "own").await, controller(&engine, "other").await);
        let waiting = async |name: &str| {
            let mut spec = ContainerSpec::new(name, "acme/calc");
            spec.labels.insert(ownership::POD.into(), other.id.0.clone());
            spec.labels.insert(ownership::GENERATION.into(), other.started_at.clone());
            let component = if name.contains("my-db") { "db" } else { "db.failed-1" };
            spec.labels.insert(ownership::COMPONENT.into(), component.into());
            spec.network_mode = Some(format!("container:{}", other.id.0));
            // Created and not started yet, as between two runs.
            engine.create(&spec).await.unwrap()
        };
        let _living = waiting("other.podlike.db.failed-1").await;
        let _no_component = waiting("other.my-db.failed-1").await;
        assert!(sweep(&engine, &own, NOW).await.unwrap().removed.is_empty());
        let _kept = waiting("other.podlike.db.failed-1.failed-1").await;
        let swept = sweep(&engine, &own, NOW).await.unwrap();
        assert_eq!(swept.removed, ["other.podlike.db.failed-1.failed-1"]);
    }
}
