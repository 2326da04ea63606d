//! Does what [`Pod::step`](crate::supervisor::state::Pod::step) says, and turns every outcome into an event.
//!
//! One loop takes one event at a time; whatever waits runs in a task of its own and reports back. The loop itself never waits for the engine or a
//! plugin, so that a signal is always heard.

mod calls;
mod ending;
mod narrate;
mod publish;
mod runs;
mod started;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use publish::warn;
use timers::Timer;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::admin;
use crate::clock::since_epoch;
use crate::config::Settings;
use crate::engine::{Engine, Inspection};
use crate::hooks::{ComponentEvent, ComponentEventKind, HealthTrigger, Hook, HookFailure, Hooks, Reaction};
use crate::plan::Plan;
use crate::plan::compile::OwnFiles;
use crate::plugin::{PodView, Request, WatchRequest};
use crate::pod::{ComponentName, PluginName};
use crate::processes::Processes;
use crate::shutdown::Tasks;
use crate::supervisor::events::{Action, Deadline, Event, Outcome};
use crate::supervisor::findings::AllFindings;
use crate::supervisor::launch::{Donor, launch, launch_donor, relaunch, revive_donor};
use crate::supervisor::output::Outputs;
use crate::supervisor::shared::{EVENTS_IN_FLIGHT, Shared};
use crate::supervisor::state::Pod;
use crate::supervisor::stopping::{self, Target};
use crate::supervisor::{follow, lifecycle, outage, polls, requests, vanished, views};

/// Events on their way to plugins with `component-event`; when full, a further one waits in a task of its own.
const NEWS_IN_FLIGHT: usize = 64;

/// For the pod's own tasks to end after everything has been removed.
const LAST_TASKS: Duration = Duration::from_secs(1);

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
    /// The number of events of components so far.
    numbered: AtomicU64,
    timers: HashMap<Deadline, Timer>,
    /// What goes on beside the processes that run: cancelled when one ends.
    runs: HashMap<ComponentName, CancellationToken>,
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
            numbered: AtomicU64::new(0),
            timers: HashMap::new(),
            runs: HashMap::new(),
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
                if let Event::Deadline(deadline) = &event {
                    self.rang(deadline);
                }
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
            Action::RunBegan { name, run } => self.run_began(&name, run),
            Action::RunEnded { name, end } => {
                self.narrate_end(&name, &end);
                self.run_ended(&name);
            }
            Action::SeekEngine => {
                let (shared, own) = (Arc::clone(&self.shared), self.own.id.clone());
                self.tasks.spawn("engine there", move |_token| follow::engine_is_there(shared, own));
            }
            Action::LeaveEngine => {
                self.narrate_shutdown();
                self.shared.engine_leaves.cancel();
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
}

fn now_ns() -> u64 {
    u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX)
}
