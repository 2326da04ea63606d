//! Listens to the engine, and misses no exit.
//!
//! A stream of events can break: the engine restarts, its socket goes away. What happened meanwhile is found by looking at the containers when it is back, and from
//! time to time besides. Nothing here compares the engine's clock with the controller's: they may be on different machines.
//!
//! An engine that shuts down takes no calls any more, but goes on with the streams that are open, and stops all containers at once: the controller and the
//! components get their signals in any order. So an exit that is reported by an engine that takes no calls waits a moment for the controller's own signal.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::engine::{
    ContainerId, Engine, EngineError, EngineEvent, EngineEventKind, EngineHealth, Fault, Inspection, chain,
};
use crate::hooks::Hooks;
use crate::plan::ownership;
use crate::pod::ComponentName;
use crate::supervisor::events::{Event, KILLED, Oom, Phase};
use crate::supervisor::launch::Donor;
use crate::supervisor::shared::Shared;

/// First pause before the engine is called again; doubled each time.
const RECONNECT_FROM: Duration = Duration::from_millis(100);

/// Longest pause before the engine is called again.
const RECONNECT_TO: Duration = Duration::from_secs(5);

/// Time between two looks at all containers, in case an engine forgets to tell something.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long an exit that an engine reports which takes no calls any more waits for the controller's own signal: plugins have one second to say what that means.
const HOLD: Duration = Duration::from_millis(1500);

/// For the engine to answer whether it is there.
const THERE: Duration = Duration::from_secs(1);

/// A kill for want of memory and the end of the container are at most so far apart, if one is the other's cause.
const OOM_BEFORE: Duration = Duration::from_secs(1);

/// How long a kill that nobody has explained waits for the engine's report that memory ran out: with cgroup v1 this report comes from another source than the exit, and may
/// be the later one.
const OOM_AFTER: Duration = Duration::from_millis(500);

/// What a stream of events has brought, or its end.
type Next = Option<Result<EngineEvent, EngineError>>;

/// What has been taken from the stream and not told yet, and when it came.
type Ahead = VecDeque<(Instant, Next)>;

/// Follows the events of the pod's containers until told to end.
pub async fn follow<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    pod: String,
    donor: watch::Receiver<Donor>,
    token: CancellationToken,
) {
    tokio::select! {
        biased;
        // An engine that does not answer must not hold up the end.
        () = token.cancelled() => {}
        () = follow_on(&shared, &pod, &donor) => {}
    }
}

async fn follow_on<E: Engine, H: Hooks>(shared: &Shared<E, H>, pod: &str, donor: &watch::Receiver<Donor>) {
    let label = format!("{}={pod}", ownership::POD);
    let mut seen = Seen::default();
    let mut pause = RECONNECT_FROM;
    loop {
        // At first from the very beginning: the label leaves nothing but this pod's events.
        let since = seen.last_ns / 1_000_000_000;
        let mut events = shared.engine.events(&label, Some(since));
        let mut next_look = Instant::now() + LOOK_EVERY;
        // Whether the engine took no call while the stream went on.
        let mut deaf = false;
        let mut ahead = Ahead::new();
        let broken = loop {
            let (came, event) = tokio::select! {
                biased;
                event = next(&mut ahead, &mut events) => event,
                () = sleep_until(next_look) => {
                    match look(shared, &label, donor, &mut seen).await {
                        // Another engine may have taken its place, of which this stream knows nothing.
                        Ok(()) if deaf => break "the engine was unreachable".to_owned(),
                        Ok(()) => next_look = Instant::now() + LOOK_EVERY,
                        Err(error) => {
                            // An engine that shuts down reports the last exits on this stream.
                            debug!("{}", chain(&error));
                            deaf = true;
                            next_look = Instant::now() + RECONNECT_TO;
                        }
                    }
                    continue;
                }
            };
            match event {
                Some(Ok(event)) => {
                    pause = RECONNECT_FROM;
                    if is_unexplained(shared, &seen, &event) {
                        look_ahead(&event.id, came, &mut events, &mut ahead, &mut seen).await;
                    }
                    tell(shared, &mut seen, event).await;
                }
                Some(Err(error)) => break chain(&error),
                None => break "the stream ended".to_owned(),
            }
        };
        drop(events);
        seen.before_ns = seen.last_ns;
        // An outage is reported for all calls at once, and begins with the failure of this one.
        match look(shared, &label, donor, &mut seen).await {
            Ok(()) => {
                info!(retry_in = ?pause, "the controller receives the engine's events again after an interruption: {broken}")
            }
            Err(error) => {
                debug!(retry_in = ?pause, "the controller lost the engine's event stream: {broken}; {}", chain(&error))
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_TO);
        if let Err(error) = look(shared, &label, donor, &mut seen).await {
            debug!("the engine is still unreachable: {}", chain(&error));
        }
    }
}

/// Finds out whether the engine takes calls, when the controller has been told to stop: where it does not, it shuts down, and nobody else can have sent the
/// signal by way of it.
pub async fn engine_is_there<E: Engine, H: Hooks>(shared: Arc<Shared<E, H>>, own: ContainerId) {
    let leaves = match tokio::time::timeout(THERE, shared.engine.inspect(&own.0)).await {
        Ok(Err(EngineError::Unreachable { .. })) => true,
        Ok(_) => false,
        // One that starts again after a crash stops what it finds before it serves anybody.
        Err(_late) => shared.engine.reach().away().is_some(),
    };
    if leaves {
        shared.tell(Event::EngineLeaves).await;
    }
}

/// What is kept of a failing check's output, in bytes.
const SHOWN: usize = 1024;

/// What has been told already.
#[derive(Debug, Default)]
struct Seen {
    /// The engine's time of the last event; 0 before the first.
    last_ns: i64,
    /// The same, of the streams before this one.
    before_ns: i64,
    /// Containers that a look found dead. Their next death in the stream is the same one, unless a start comes before it.
    dead: HashSet<ContainerId>,
    /// When memory ran out last in the current run of a container, by the engine's time.
    ooms: HashMap<ContainerId, i64>,
    /// Until when exits wait for the controller's own signal, once one has.
    held_until: Option<Instant>,
}

impl Seen {
    /// Whether memory ran out in a run that has ended: `flag` is what the engine remembers of it, `at_ns` is when it ended, if that is known.
    fn oom(&self, id: &ContainerId, exit_code: i32, flag: bool, at_ns: Option<i64>) -> Oom {
        match (self.ooms.get(id), at_ns) {
            (Some(&oom_ns), Some(at_ns)) if exit_code == KILLED && is_close(oom_ns, at_ns) => Oom::AtTheEnd,
            (Some(_), _) => Oom::Earlier,
            // The report of it is late, or lost: it can only have been the last moment.
            (None, _) => Oom::remembered(exit_code, flag),
        }
    }

    /// Holds the news of an exit back for a moment, if the engine that reports it takes no calls any more: then it shuts down, and the controller is told to stop
    /// as well. All exits together are held once.
    async fn hold<E: Engine, H: Hooks>(&mut self, shared: &Shared<E, H>, id: &ContainerId) {
        if shared.launches.is_cancelled() {
            return;
        }
        let looked = tokio::time::timeout(THERE, shared.engine.inspect(&id.0)).await;
        if !matches!(looked, Ok(Err(EngineError::Unreachable { .. }))) {
            self.held_until = None;
            return;
        }
        let now = Instant::now();
        let until = *self.held_until.get_or_insert(now + HOLD);
        tokio::select! {
            biased;
            () = shared.launches.cancelled() => {}
            () = sleep_until(until) => {}
        }
    }
}

/// Whether one of these times is that of the other's cause, or nearly.
fn is_close(oom_ns: i64, end_ns: i64) -> bool {
    Duration::from_nanos(u64::try_from(end_ns.saturating_sub(oom_ns)).unwrap_or_default()) <= OOM_BEFORE
}

async fn next(ahead: &mut Ahead, events: &mut BoxStream<'static, Result<EngineEvent, EngineError>>) -> (Instant, Next) {
    match ahead.pop_front() {
        Some(event) => event,
        None => {
            let next = events.next().await;
            (Instant::now(), next)
        }
    }
}

/// Whether a component was killed, nobody of the pod asked for that, and no want of memory at that moment is known.
fn is_unexplained<E: Engine, H: Hooks>(shared: &Shared<E, H>, seen: &Seen, event: &EngineEvent) -> bool {
    let is_new = event.at_ns > seen.before_ns && !seen.dead.contains(&event.id);
    let is_kill = event.kind == EngineEventKind::Die { exit_code: KILLED };
    let is_explained = || seen.ooms.get(&event.id).is_some_and(|&oom_ns| is_close(oom_ns, event.at_ns));
    let is_ours = || {
        let Some(name) = shared.name_of(&event.id) else { return true };
        shared.live.borrow().get(&name).is_none_or(|live| matches!(live.phase, Phase::Parting | Phase::Stopping))
    };
    is_new && is_kill && !shared.launches.is_cancelled() && !is_explained() && !is_ours()
}

/// Waits a moment, from when the exit came, for the report that memory ran out in this container. All else that comes meanwhile is told later, in its order.
async fn look_ahead(
    id: &ContainerId,
    came: Instant,
    events: &mut BoxStream<'static, Result<EngineEvent, EngineError>>,
    ahead: &mut Ahead,
    seen: &mut Seen,
) {
    let known = |next: &Next| match next {
        Some(Ok(event)) if event.id == *id && event.kind == EngineEventKind::Oom => Some(event.at_ns),
        _ => None,
    };
    let mut found = ahead.iter().find_map(|(_, next)| known(next));
    while found.is_none() && !matches!(ahead.back(), Some((_, None | Some(Err(_))))) {
        let Ok(next) = tokio::time::timeout_at(came + OOM_AFTER, events.next()).await else { break };
        found = known(&next);
        ahead.push_back((Instant::now(), next));
    }
    seen.ooms.extend(found.map(|at_ns| (id.clone(), at_ns)));
}

async fn tell<E: Engine, H: Hooks>(shared: &Shared<E, H>, seen: &mut Seen, event: EngineEvent) {
    // A new stream begins within the second of the last event.
    if event.at_ns <= seen.before_ns {
        return;
    }
    seen.last_ns = seen.last_ns.max(event.at_ns);
    let Some(name) = shared.name_of(&event.id) else {
        if shared.donor().as_ref() == Some(&event.id) {
            if matches!(event.kind, EngineEventKind::Die { .. }) {
                seen.hold(shared, &event.id).await;
            }
            match event.kind {
                EngineEventKind::Die { .. } if !seen.dead.remove(&event.id) => shared.tell(Event::DonorEnded).await,
                EngineEventKind::Start => {
                    seen.dead.remove(&event.id);
                }
                _ => {}
            }
        }
        return;
    };
    match event.kind {
        EngineEventKind::Die { exit_code } => {
            if seen.dead.remove(&event.id) {
                return;
            }
            seen.hold(shared, &event.id).await;
            // The report of it may be missing.
            let flag = exit_code == KILLED
                && !seen.ooms.contains_key(&event.id)
                && shared.engine.inspect(&event.id.0).await.is_ok_and(|inspection| inspection.oom_killed);
            let oom = seen.oom(&event.id, exit_code, flag, Some(event.at_ns));
            shared.tell(Event::Exited { name, exit_code, oom }).await;
        }
        EngineEventKind::Health(health) => {
            // The event does not have the words of the check. Exits come behind it, so it does not wait for long.
            let looked = async {
                let seen = tokio::time::timeout(THERE, shared.engine.inspect(&event.id.0)).await.ok()?.ok()?;
                finding(&seen)
            };
            let finding = if health == EngineHealth::Unhealthy { looked.await } else { None };
            shared.tell(Event::Health { name, run: None, health, finding }).await;
        }
        // Somebody removed it by force; the engine reports the death first, but not when it was dead already.
        EngineEventKind::Destroy => {
            seen.dead.remove(&event.id);
            seen.ooms.remove(&event.id);
            shared.tell(Event::Exited { name, exit_code: KILLED, oom: Oom::Never }).await;
        }
        EngineEventKind::Start => {
            seen.dead.remove(&event.id);
            seen.ooms.remove(&event.id);
        }
        EngineEventKind::Paused(paused) => shared.tell(Event::Paused { name, paused }).await,
        EngineEventKind::Oom => {
            seen.ooms.insert(event.id, event.at_ns);
        }
    }
}

/// Why the last check of a container's health failed, if it did.
fn finding(seen: &Inspection) -> Option<String> {
    seen.last_check.as_ref().and_then(|last| last.failure(SHOWN))
}

/// Looks at every container that should be running.
async fn look<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    label: &str,
    donor: &watch::Receiver<Donor>,
    seen: &mut Seen,
) -> Result<(), EngineError> {
    let listed = shared.engine.list(&[label.to_owned()]).await?;
    if let Some(id) = shared.donor()
        && *donor.borrow() == Donor::Up
        && !listed.iter().any(|listed| listed.id == id && listed.running)
    {
        seen.dead.insert(id);
        shared.tell(Event::DonorEnded).await;
    }
    for (name, container) in shared.all_containers() {
        if !should_run(shared, &name) {
            continue;
        }
        let there = listed.iter().find(|listed| listed.id == container.id);
        let paused = there.is_some_and(|listed| listed.paused);
        if shared.live.borrow().get(&name).is_some_and(|live| live.paused != paused) {
            shared.tell(Event::Paused { name: name.clone(), paused }).await;
        }
        if there.is_some_and(|listed| listed.running) && !awaits_health(shared, &name) {
            continue;
        }
        match shared.engine.inspect(&container.id.0).await {
            Ok(inspection) if inspection.running => {
                if let Some(health) = inspection.health {
                    let finding = finding(&inspection);
                    shared.tell(Event::Health { name, run: None, health, finding }).await;
                }
            }
            // Asked once more: it may have been started again meanwhile.
            Ok(inspection) if should_run(shared, &name) => {
                let exit_code = inspection.exit_code;
                let oom = seen.oom(&container.id, exit_code, inspection.oom_killed, None);
                seen.dead.insert(container.id);
                shared.tell(Event::Exited { name, exit_code, oom }).await;
            }
            Ok(_) => {}
            Err(error) if error.fault() == Fault::NotFound => {
                shared.tell(Event::Exited { name, exit_code: KILLED, oom: Oom::Never }).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn should_run<E: Engine, H: Hooks>(shared: &Shared<E, H>, name: &ComponentName) -> bool {
    let live = shared.live.borrow();
    live.get(name).is_some_and(|live| live.phase.has_process())
}

fn awaits_health<E: Engine, H: Hooks>(shared: &Shared<E, H>, name: &ComponentName) -> bool {
    shared.live.borrow().get(name).is_some_and(|live| live.checked)
}
