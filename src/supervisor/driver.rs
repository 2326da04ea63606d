//! Does what [`Pod::step`](crate::supervisor::state::Pod::step) says, and turns every outcome into an event.
//!
//! One loop takes one event at a time; whatever waits runs in a task of its own and reports back. The loop itself never waits for the engine or a
//! plugin, so that a signal is always heard.

mod calls;
mod narrate;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use timers::Timer;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin;
use crate::admin::status::Verdict;
use crate::clock::since_epoch;
use crate::config::Settings;
use crate::engine::{Engine, Inspection};
use crate::hooks::{ComponentEvent, ComponentEventKind, HealthTrigger, Hook, HookFailure, Hooks, Reaction};
use crate::memory;
use crate::plan::Plan;
use crate::plan::compile::OwnFiles;
use crate::plugin::{PodView, Request, WatchRequest};
use crate::pod::{ComponentName, PluginName};
use crate::processes::Processes;
use crate::shutdown::Tasks;
use crate::supervisor::cleanup::Cleanup;
use crate::supervisor::events::{Action, Deadline, Event, Oom, Outcome};
use crate::supervisor::findings::AllFindings;
use crate::supervisor::launch::{Donor, launch, launch_donor, relaunch, revive_donor};
use crate::supervisor::output::Outputs;
use crate::supervisor::shared::{EVENTS_IN_FLIGHT, Shared};
use crate::supervisor::state::Pod;
use crate::supervisor::stopping::{self, Target};
use crate::supervisor::{follow, lifecycle, outage, polls, requests, rollout, vanished, views};

/// Events on their way to plugins with `component-event`; when full, a further one waits in a task of its own.
const NEWS_IN_FLIGHT: usize = 64;

/// Changed files on their way to what waits for rollouts; when full, the watcher waits and merges.
const CHANGES_IN_FLIGHT: usize = 16;

/// For the pod's own tasks to end after everything has been removed.
const LAST_TASKS: Duration = Duration::from_secs(1);

/// After the last component has been started, the pod has settled: what was needed to start it is given back.
const SETTLED: Duration = Duration::from_secs(2);

/// So many warnings are shown by `status`; then the oldest goes.
const WARNINGS: usize = 64;

/// So many components have their last output in the log if the start took too long.
const TOLD_LATE: usize = 5;

/// Least time for the rest of the output, however late it is.
const LEAST_DRAIN: Duration = Duration::from_millis(100);

/// The pod's end of the [`PodLink`](crate::plugin::PodLink).
#[derive(Debug)]
pub struct PodEnd {
    /// What plugins ask.
    pub requests: mpsc::Receiver<Request>,
    /// Tells them that it is served.
    pub served: Arc<AtomicBool>,
    /// What plugins want to have watched.
    pub watches: mpsc::Receiver<WatchRequest>,
    /// What plugins see.
    pub pod: watch::Sender<Arc<PodView>>,
}

/// Everything that a pod needs to live.
#[derive(Debug)]
pub struct Parts<E, H> {
    /// The engine.
    pub engine: E,
    /// The plugins.
    pub hooks: H,
    /// Settings of the controller.
    pub settings: Settings,
    /// What to do.
    pub plan: Plan,
    /// The controller's own container.
    pub own: Inspection,
    /// Time between two `health` calls of each plugin.
    pub health_intervals: HashMap<PluginName, Duration>,
    /// What plugins asked to have watched when they were configured.
    pub watches: Vec<WatchRequest>,
    /// Which files of the controller are read for it.
    pub files: OwnFiles,
    /// What connects the pod with its plugins.
    pub end: PodEnd,
    /// What `status` shows: the driver fills in what it knows.
    pub status: watch::Sender<Arc<admin::Status>>,
    /// Where the components' lines go.
    pub outputs: Outputs,
    /// What the components' probes find.
    pub findings: AllFindings,
    /// The components' processes, where the controller sees them.
    pub processes: Processes,
}

/// One pod, from its first container to its last.
#[derive(Debug)]
pub struct Driver<E, H> {
    shared: Arc<Shared<E, H>>,
    pod: Pod,
    own: Inspection,
    tasks: Tasks,
    /// Launches under way.
    launching: Tasks,
    events: mpsc::Receiver<Event>,
    signals: mpsc::Receiver<i32>,
    live: watch::Sender<Arc<HashMap<ComponentName, super::shared::Live>>>,
    view: watch::Sender<Arc<PodView>>,
    fixed: views::Fixed,
    status: watch::Sender<Arc<admin::Status>>,
    donor: watch::Sender<Donor>,
    news: mpsc::Sender<ComponentEvent>,
    timers: HashMap<Deadline, Timer>,
    /// What goes on beside the processes that run: cancelled when one ends.
    runs: HashMap<ComponentName, CancellationToken>,
    /// Those whose exit was told before their launch.
    early_exits: HashMap<ComponentName, (i32, Oom)>,
    /// Failures of plugins that were told: any of a plugin's hooks may meet the same one.
    failures: Vec<HookFailure>,
    outputs: Outputs,
    /// When the pod began to stop.
    stopping_since: Option<Instant>,
    health_intervals: HashMap<PluginName, Duration>,
    /// What is to be watched once the pod runs: what is known already, and what comes later.
    watches: Option<(Vec<WatchRequest>, mpsc::Receiver<WatchRequest>, OwnFiles)>,
}

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// Connects the parts, and the signals to the controller; nothing is created yet.
    pub fn new(parts: Parts<E, H>, signals: mpsc::Receiver<i32>) -> Self {
        let tasks = Tasks::new();
        let pod = Pod::new(&parts.plan);
        let (events_in, events) = mpsc::channel(EVENTS_IN_FLIGHT);
        let (live, live_out) = watch::channel(Arc::new(views::live(&pod)));
        let donor = if parts.plan.ipc_donor.is_some() { Donor::Pending } else { Donor::NotNeeded };
        let fixed = views::Fixed::new(&parts.own, &parts.plan);
        let Parts { engine, hooks, settings, plan, .. } = parts;
        let shared = Shared::new(engine, hooks, settings, plan, events_in, live_out, parts.findings);
        let shared = Arc::new(shared.seeing(parts.processes));
        let reporting = Arc::clone(&shared);
        tasks.spawn("outages", move |token| outage::report(reporting, token));
        let watching = Arc::clone(&shared);
        tasks.spawn("vanished", move |token| vanished::watch(watching, token));
        let (news, news_out) = mpsc::channel(NEWS_IN_FLIGHT);
        let telling = Arc::clone(&shared);
        tasks.spawn("component events", move |token| polls::tell_plugins(telling, news_out, token));
        let donor = watch::Sender::new(donor);
        let (following, id, lender) = (Arc::clone(&shared), parts.own.id.0.clone(), donor.subscribe());
        tasks.spawn("engine events", move |token| follow::follow(following, id, lender, token));
        let (serving, owner, asked) = (Arc::clone(&shared), tasks.clone(), parts.end.requests);
        parts.end.served.store(true, Ordering::Relaxed);
        tasks.spawn("plugin requests", move |token| requests::serve(serving, owner, asked, token));
        Self {
            shared,
            pod,
            own: parts.own,
            tasks,
            launching: Tasks::new(),
            events,
            signals,
            live,
            view: parts.end.pod,
            fixed,
            status: parts.status,
            donor,
            news,
            timers: HashMap::new(),
            runs: HashMap::new(),
            early_exits: HashMap::new(),
            failures: Vec::new(),
            outputs: parts.outputs,
            stopping_since: None,
            health_intervals: parts.health_intervals,
            watches: Some((parts.watches, parts.end.watches, parts.files)),
        }
    }

    /// Runs the pod to its end: when this returns, no container of it is left that the engine could be made to remove.
    pub async fn run(mut self) -> Outcome {
        if self.shared.plan.ipc_donor.is_some() {
            let (shared, donor) = (Arc::clone(&self.shared), self.donor.clone());
            self.tasks.spawn("ipc donor", move |_token| async move { launch_donor(&shared, &donor).await });
        }
        let mut due = VecDeque::from([Event::Begin]);
        loop {
            while let Some(event) = due.pop_front() {
                self.narrate(&event);
                let actions = self.pod.step(event);
                for action in actions {
                    if let Some(outcome) = self.perform(action, &mut due) {
                        self.tasks.cancel();
                        self.tasks.wait(LAST_TASKS).await;
                        return outcome;
                    }
                }
            }
            // Others look only while this loop waits: what has come together by then is shown at once, not event by event.
            if self.events.is_empty() {
                self.publish();
            }
            let event = tokio::select! {
                biased;
                Some(signal) = self.signals.recv() => Some(Event::Signal(signal)),
                event = self.events.recv() => event,
            };
            // `Shared` holds a sender, so the channel is never closed while the driver lives.
            due.extend(event);
        }
    }

    fn perform(&mut self, action: Action, due: &mut VecDeque<Event>) -> Option<Outcome> {
        match action {
            Action::Launch(name) => {
                let (shared, donor) = (Arc::clone(&self.shared), self.donor.subscribe());
                let created = self.tell(&name, ComponentEventKind::Created, 0);
                self.launching.spawn("launch", move |_token| async move {
                    launch(&shared, &name, donor, created).await;
                });
            }
            Action::Relaunch(name) => {
                let (shared, donor) = (Arc::clone(&self.shared), self.donor.subscribe());
                let outputs = self.outputs.clone();
                let created = self.tell(&name, ComponentEventKind::Created, self.restarts(&name));
                self.launching.spawn("relaunch", move |_token| async move {
                    // It has ended, so its output soon does; one that has very much of it is started again all the same.
                    tokio::select! {
                        biased;
                        () = shared.launches.cancelled() => {}
                        _through = tokio::time::timeout(shared.settings.timeouts.log_drain, outputs.idle(&name)) => {}
                    }
                    relaunch(&shared, &name, donor, created).await;
                });
            }
            Action::Settle { name, run } => {
                let (shared, over) = (Arc::clone(&self.shared), self.run_of(&name));
                self.tasks.spawn("post_start", move |_token| lifecycle::settle(shared, name, run, over));
            }
            Action::Probe { name, run } => {
                let over = self.run_of(&name);
                lifecycle::watch(&self.shared, &self.tasks, &name, run, over);
            }
            Action::Part { name, run, within } => {
                info!(component = %name, "`pre_stop` before its stop");
                let (shared, over) = (Arc::clone(&self.shared), self.run_of(&name));
                self.tasks.spawn("pre_stop", move |_token| lifecycle::part(shared, name, run, within, over));
            }
            Action::Warn(what) => warn(&self.status, what),
            Action::ReviveDonor { after } => {
                let (shared, donor) = (Arc::clone(&self.shared), self.donor.clone());
                self.tasks.spawn("ipc donor", move |_token| async move { revive_donor(&shared, &donor, after).await });
            }
            Action::Ask { name, exit_code, oom_killed } => {
                if self.shared.hooks.with(Hook::ComponentEvent).is_empty() {
                    due.push_back(Event::Decided { name, reaction: Reaction::AsPlanned });
                } else {
                    self.tell_now(&name, ComponentEventKind::Exited { exit_code, oom_killed });
                }
            }
            Action::AskSignal(signal) => self.ask_about_signal(signal, due),
            Action::TellHealth(judgement) => {
                for plugin in self.shared.hooks.with(Hook::Health) {
                    self.judge("health report", plugin, HealthTrigger::EngineReport(judgement.clone()));
                }
            }
            Action::Send(name, signal) => {
                let container = self.shared.container(&name)?;
                let shared = Arc::clone(&self.shared);
                self.tasks.spawn("send", move |token| async move {
                    stopping::send(&shared, &name, &container.id, signal, token).await;
                });
            }
            Action::Stop { name, run } => {
                let shared = Arc::clone(&self.shared);
                let target = Target { over: self.run_of(&name), name, run };
                self.tasks.spawn("stop", move |token| stopping::stop(shared, target, token));
            }
            Action::Kill { name, asked, why } => {
                let shared = Arc::clone(&self.shared);
                self.tasks.spawn("kill", move |token| stopping::kill(shared, name, asked, why, token));
            }
            Action::Arm(deadline, after) => self.arm(deadline, after),
            Action::Hold(deadline) => self.hold(&deadline),
            Action::GoOn(deadline) => {
                let left = self.timers.get_mut(&deadline).and_then(|timer| timer.held.take());
                left.into_iter().for_each(|left| self.arm(deadline.clone(), left));
            }
            Action::Extend(deadline, more) => self.extend(deadline, more),
            Action::DropLaunches => self.shared.launches.cancel(),
            Action::Started => self.started(),
            Action::Cleanup { failed } => self.clean_up(failed),
            Action::Finish(outcome) => return Some(outcome),
        }
        None
    }

    /// Cancelled when the process that now runs as this component has ended.
    fn run_of(&self, name: &ComponentName) -> CancellationToken {
        self.runs.get(name).cloned().unwrap_or_default()
    }

    fn restarts(&self, name: &ComponentName) -> u32 {
        self.pod.nodes().find(|(other, _)| *other == name).map_or(0, |(_, node)| node.restarts)
    }

    /// Publishes the pod as it is now to rollouts, plugins and `status`.
    fn publish(&self) {
        self.live.send_replace(Arc::new(views::live(&self.pod)));
        let containers: HashMap<_, _> = self.shared.all_containers().into_iter().collect();
        if !self.view.is_closed() {
            self.view.send_replace(Arc::new(self.fixed.view(&self.pod, &self.shared.plan, &containers)));
        }
        let (stage, components, health) = views::status(&self.pod, &self.shared.plan, &containers);
        let mut verdicts = self.pod.verdicts();
        self.status.send_modify(|status| {
            let status = Arc::make_mut(status);
            Verdict::note_since(&mut verdicts, &status.verdicts, since_epoch().as_secs());
            status.verdicts = verdicts;
            status.stage = stage;
            status.components = components;
            status.health = admin::health::with_refused(health, stage, &status.not_in_force);
        });
    }

    /// All components run: from now on files are watched, and plugins called from time to time.
    fn started(&mut self) {
        info!(components = self.pod.nodes().count(), "the pod runs");
        let (changes_in, changes) = mpsc::channel(CHANGES_IN_FLIGHT);
        if let Some((known, later, files)) = self.watches.take() {
            let status = self.status.clone();
            let tell = Arc::new(move |what: String| warn(&status, what));
            super::watches::forward(&self.tasks, known, later, changes_in, files, tell);
        }
        // A rollout is a kind of launch: none goes on once the pod stops.
        let (shared, status) = (Arc::clone(&self.shared), self.status.clone());
        let stopping = self.shared.launches.clone();
        self.tasks.spawn("rollouts", move |_token| rollout::run(shared, changes, status, stopping));
        let (sweeping, own) = (Arc::clone(&self.shared), self.own.clone());
        self.tasks.spawn("sweep", move |token| polls::sweep(sweeping, own, token));
        self.tasks.spawn("trim", |token| async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(SETTLED) => memory::trim(),
            }
        });
        for plugin in self.shared.hooks.with(Hook::Tick) {
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn("ticks", move |_token| polls::tick(shared, plugin));
        }
        for plugin in self.shared.hooks.with(Hook::Health) {
            let Some(interval) = self.health_intervals.get(&plugin).copied() else { continue };
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn("health", move |_token| polls::health(shared, plugin, interval));
        }
    }

    /// Reads the rest of the output, then removes every container but the failed ones that remain for a look.
    fn clean_up(&self, failed: Vec<ComponentName>) {
        let news = self
            .pod
            .nodes()
            .map(|(name, node)| (name.clone(), self.tell(name, ComponentEventKind::Removed, node.restarts)))
            .collect();
        let decider = self.pod.outcome().and_then(|outcome| outcome.component()).filter(|name| failed.contains(name));
        let deciding = decider.into_iter().chain(self.pod.late()).take(TOLD_LATE).cloned().collect();
        let cleanup = Cleanup {
            shared: Arc::clone(&self.shared),
            own: self.own.clone(),
            outputs: self.outputs.clone(),
            launching: self.launching.clone(),
            donor: self.donor.subscribe(),
            drain: self.drain_time(),
            settled_by: Instant::now() + self.settle_time(),
            deciding,
            keep: failed.into_iter().take(self.shared.settings.keep.count).collect(),
            news,
        };
        self.tasks.spawn("clean up", move |token| cleanup.run(token));
    }

    /// How long the rest of the output may take: what is left of the controller's own grace period, less half of the reserve for removals.
    fn drain_time(&self) -> Duration {
        let timeouts = &self.shared.settings.timeouts;
        let gone = self.stopping_since.map_or(Duration::ZERO, |since| since.elapsed());
        let left = (self.shared.plan.stop_budget + timeouts.stop_reserve / 2).saturating_sub(gone);
        left.clamp(LEAST_DRAIN, timeouts.log_drain.max(LEAST_DRAIN))
    }

    /// How long the engine may still answer to what it was asked to create: a container that nobody knows of yet is left behind. Who stops a pod with a signal kills it
    /// when its grace period is over, and some of that is needed for the removals.
    fn settle_time(&self) -> Duration {
        let timeouts = &self.shared.settings.timeouts;
        match self.pod.outcome() {
            Some(Outcome::Stopped | Outcome::Interrupted { .. } | Outcome::Killed) => {
                let gone = self.stopping_since.map_or(Duration::ZERO, |since| since.elapsed());
                let left = (self.shared.plan.stop_budget + timeouts.stop_reserve / 2).saturating_sub(gone);
                left.clamp(LEAST_DRAIN, timeouts.engine_change.max(LEAST_DRAIN))
            }
            Some(Outcome::Component { .. } | Outcome::Unfit { .. } | Outcome::Failed { .. }) | None => {
                timeouts.engine_change
            }
        }
    }
}

/// Tells the operator, in the log and in `status`.
fn warn(status: &watch::Sender<Arc<admin::Status>>, what: String) {
    warn!("{what}");
    status.send_modify(|status| {
        let warnings = &mut Arc::make_mut(status).warnings;
        if warnings.len() >= WARNINGS {
            warnings.remove(0);
        }
        warnings.push(what);
    });
}

fn now_ns() -> u64 {
    u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX)
}
