//! From nothing to a running pod: who we are, what we were asked to do, what is left of those before us; then the driver takes over.
//!
//! Until the driver runs nothing has been created but the pod's own cgroup, where it has one, so that a signal can end the boot at any moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::unistd::{getegid, getgid};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::admin::status::{CgroupStatus, LogCounters, PluginStatus};
use crate::admin::{self, AdminError};
use crate::cgroup::{self, Keeper};
use crate::clock::since_epoch;
use crate::config::{Settings, Sharing};
use crate::engine::{CheckTimes, Engine, EngineError, EngineInfo, Inspection};
use crate::faults;
use crate::hooks::{Hook, Hooks};
use crate::identity::{self, IdentityError};
use crate::janitor;
use crate::labels::{self, RawPod};
use crate::logs::counters;
use crate::logs::sink::Sink;
use crate::metrics::Registry;
use crate::own_log::POD_ENDED;
use crate::plan::compile::OwnFiles;
use crate::plan::overlay::{Overlays, shown};
use crate::plan::placement::{Means, Mounted, engine_key};
use crate::plan::{OwnVolumes, Plan, compile, document};
use crate::plugin::error::PluginError;
use crate::plugin::host::{Host, HostDirs};
use crate::plugin::imports::place::Place;
use crate::plugin::set::load::only_there;
use crate::plugin::set::{PluginSet, Standing};
use crate::plugin::{PodLink, PodView};
use crate::pod::{Capability, PluginName, PodSpec, Problem, Problems, lower, read};
use crate::problem::sources::Sources;
use crate::processes::Processes;
use crate::shutdown::Tasks;
use crate::supervisor::driver::{Driver, Parts, PodEnd};
use crate::supervisor::events::{Outcome, stops};
use crate::supervisor::findings::AllFindings;
use crate::supervisor::measures;
use crate::supervisor::output::Outputs;
use crate::supervisor::signals;
use crate::supervisor::views::Fixed;
use crate::telemetry;

/// For the tasks around the pod to end after it.
const LAST_TASKS: Duration = Duration::from_millis(500);

/// Time between two looks for cgroups of pods whose controllers are gone.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Requests of plugins that have not been served yet; when full, the asking plugin waits.
const REQUESTS_IN_FLIGHT: usize = 64;

/// Watches that plugins have asked for and that are not in force yet; when full, the asking plugin waits.
const WATCHES_IN_FLIGHT: usize = 256;

/// Why a pod did not come to life. Nothing has been created.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The kernel refused a signal handler.
    #[error("cannot set up signal handling")]
    Signals(#[source] std::io::Error),
    /// The engine can't be reached, or is too old.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The controller does not know which container it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The labels are wrong.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// The plugin host can't work here.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The admin socket can't be opened.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Runs the pod of this controller's own labels, from the first look at the engine to the removal of the last container.
///
/// # Errors
/// [`BootError`] where the pod did not come to life; nothing has been created then.
pub async fn run<E: Engine>(engine: E, settings: Settings) -> Result<Outcome, BootError> {
    let keeper = Keeper::default();
    let ended = live(engine, settings, &keeper).await;
    keeper.release().await;
    ended
}

async fn live<E: Engine>(engine: E, settings: Settings, keeper: &Keeper) -> Result<Outcome, BootError> {
    let tasks = Tasks::new();
    let mut signals = signals::listen(&tasks).map_err(BootError::Signals)?;
    signals::reap(&tasks).map_err(BootError::Signals)?;
    // After the handlers: `outrigger run` passes signals on once it has read this line.
    info!(version = env!("CARGO_PKG_VERSION"), "the controller of Outrigger starts");
    let parts = {
        let prepare = prepare(engine, settings, &tasks, keeper);
        tokio::pin!(prepare);
        loop {
            tokio::select! {
                biased;
                Some(signal) = signals.recv() => {
                    if stops(signal) {
                        info!(signal, "the controller received a stop signal before it had started anything");
                        return Ok(Outcome::Interrupted { signal });
                    }
                    debug!(signal, "the controller ignores this signal, because the pod has not been started yet");
                }
                parts = &mut prepare => break parts?,
            }
        }
    };
    let plugins = parts.hooks.clone();
    // The host of plugins has its handlers now, and no component runs yet.
    faults::harden();
    let outcome = Driver::new(parts, signals).run().await;
    plugins.shut_down(LAST_TASKS).await;
    report_end(&outcome);
    tasks.cancel();
    tasks.wait(LAST_TASKS).await;
    Ok(outcome)
}

/// The last message, which has the reason: an error if the pod failed, and was not asked to end.
fn report_end(outcome: &Outcome) {
    if outcome.is_failure() {
        error!(exit_code = outcome.exit_code(), %outcome, "{POD_ENDED}");
    } else {
        info!(exit_code = outcome.exit_code(), %outcome, "{POD_ENDED}");
    }
}

/// Everything up to the first container. What it changes are left-overs, which are as well removed by whoever comes next.
async fn prepare<E: Engine>(
    engine: E,
    settings: Settings,
    tasks: &Tasks,
    keeper: &Keeper,
) -> Result<Parts<E, PluginSet>, BootError> {
    let info = engine.info().await?;
    debug!(?info, "connected to the engine");
    let own = identity::find(&engine, &settings, &identity::Surroundings::read()).await?;
    let own = identity::with_grace(&engine, own).await;
    let labels = own.labels.clone();
    Box::pin(prepared(engine, settings, tasks, keeper, info, own)).await.map_err(|error| in_labels(error, &labels))
}

/// With the line within the label, where a label is wrong.
fn in_labels(error: BootError, labels: &BTreeMap<String, String>) -> BootError {
    let BootError::Problems(mut problems) = error else { return error };
    let mut sources = Sources::default();
    for (label, text) in labels.iter().filter(|(label, _)| label.starts_with("pod.")) {
        sources.label(label, text);
    }
    // It has been read, as the policy allows, where something in it is wrong.
    if let Some(path) = labels.get("pod.compose.file").map(|path| path.trim())
        && problems.0.iter().any(|problem| problem.label == path)
        && let Ok(text) = identity::compose_text(path)
    {
        sources.file(path, path, &text);
    }
    sources.locate(&mut problems);
    problems.0.iter_mut().for_each(Problem::without_text);
    BootError::Problems(problems)
}

async fn prepared<E: Engine>(
    engine: E,
    settings: Settings,
    tasks: &Tasks,
    keeper: &Keeper,
    info: EngineInfo,
    own: Inspection,
) -> Result<Parts<E, PluginSet>, BootError> {
    let (sweep, read) = tokio::join!(janitor::sweep(&engine, &own, since_epoch().as_secs()), async {
        let (mut raw, mut problems) = labels::read_labels(&own.labels);
        problems.extend(compose_file(&mut raw, &own, &info, &settings));
        let (spec, more) = lower::lower_partly(&raw);
        problems.extend_elsewhere(more);
        let me = identity::self_info(&engine, own.clone(), &spec, &info).await?;
        if !problems.is_empty() {
            let knows_mounts = compile::knows_mounts(&problems);
            problems.extend_elsewhere(compile::problems_of_parts(&spec, &me, &info, &settings, knows_mounts));
        }
        Ok::<_, BootError>((spec, problems.or(me)))
    });
    let (spec, me) = read?;
    // What could not be removed the janitor has told.
    sweep?;
    if let Some(means) = Mounted::of(&own).means(&info) {
        let (engine, own, key) = (engine.clone(), own.clone(), engine_key(&info).to_owned());
        tasks.spawn("cgroups", move |token| sweep_cgroups(engine, own, means, key, token));
    }
    let (link, end) = connect(&own);
    let (status, status_out) = watch::channel(Arc::new(first_status(&own, &spec)));
    let dirs = HostDirs {
        precompiled: settings.plugin_dir.clone(),
        cache: settings.cache_dir.clone(),
        state: settings.state_dir.clone(),
    };
    let host = Host::new(dirs, settings.timeouts, Place::Controller)?;
    // The pod's own mistakes and those of its plugins are told together.
    let plan = me.and_then(|me| compile::compile(&spec, &me, &info, &settings).map(|plan| (plan, me)));
    let init = spec.init.iter().map(|component| component.name.clone());
    let components: Vec<_> = init.chain(spec.components.keys().cloned()).collect();
    let set = PluginSet::load(&host, &spec.plugins, &components, &link).await;
    let (plan, set) = both(plan, set)?;
    for uncalled in set.uncalled() {
        warn!("{uncalled}");
    }
    let files = OwnFiles::new(&own, &identity::environment(), &OwnVolumes::default(), &info, &settings);
    let mut problems = refused(&spec, &set, &files);
    problems.extend(out_of_reach(&plan.0, &spec, &set));
    problems.or(())?;
    let (spec, (mut plan, mut me)) = if set.with(Hook::PreStart).is_empty() {
        (spec, plan)
    } else {
        end.pod.send_replace(Arc::new(Fixed::new(&own, &plan.0).planned(&plan.0)));
        let Overlaid { spec, changes, notes: _ } = overlaid(&spec, &set).await?;
        for (plugin, changes) in &changes {
            let paths: Vec<_> = changes.iter().map(|(path, _)| path.as_str()).collect();
            debug!(%plugin, paths = paths.join(", "), "the plugin changed the plan");
        }
        let me = identity::self_info(&engine, own.clone(), &spec, &info).await?;
        let plan = compile::compile(&spec, &me, &info, &settings)?;
        out_of_reach(&plan, &spec, &set).or(())?;
        (spec, (plan, me))
    };
    if let Some(group) = &plan.budget.placement.group
        && let Err(error) = keeper.make(group).await
    {
        // Where it was asked for, this is a problem now; else the limits are divided.
        warn!(cgroup = group.parent(), %error, "the controller cannot create a cgroup for the pod");
        me.cgroup_refused = Some(error.to_string());
        plan = compile::compile(&spec, &me, &info, &settings)?;
    }
    for warning in &plan.warnings {
        warn!("{warning}");
    }
    if settings.pids == Sharing::Shared && getegid() == getgid() {
        warn!(
            "`/outrigger` is not setgid, or `no-new-privileges` is set, so a component that runs as root could reach the engine's socket through the process of a health check; use the released image without that option, or `--pids=false`"
        );
    }
    status.send_modify(|status| {
        let status = Arc::make_mut(status);
        status.warnings.clone_from(&plan.warnings);
        status.cgroups = Some(cgroup_status(&plan));
    });
    let outputs = Outputs::new(Sink::stdout(settings.log_format));
    let findings = AllFindings::new(&plan);
    let (live_plugins, live_outputs, live_findings) = (set.clone(), outputs.clone(), findings.clone());
    let registry = measured(&engine, &status_out, &set, &outputs, &findings);
    let live_registry = registry.clone();
    let fresh = move |status: &mut admin::Status| {
        refresh(status, &live_plugins, &live_outputs, &live_findings);
        status.metrics = measures::shown(live_registry.collect());
    };
    let CheckTimes { interval, timeout } = own.check.unwrap_or_default();
    let (socket, waiting) = (admin::socket(&settings.state_dir), admin::Waiting::new(interval, timeout));
    if let Some(at) = settings.metrics {
        admin::http::serve(admin::http::bind(at).await?, registry.clone(), tasks);
    }
    admin::serve(&socket, status_out, fresh, move || registry.page(), waiting, tasks)?;
    let processes = match settings.pids {
        Sharing::Shared => Processes::below("/proc"),
        Sharing::Private => Processes::hidden(),
    };
    let health_intervals: HashMap<_, _> =
        spec.plugins.iter().map(|plugin| (plugin.name.clone(), plugin.health_interval)).collect();
    let watches = set.watches();
    Ok(Parts {
        engine,
        hooks: set,
        settings,
        plan,
        own,
        health_intervals,
        watches,
        files,
        end,
        status,
        outputs,
        findings,
        processes,
    })
}

/// All that is counted. Each part that counts something is added here.
fn measured<E: Engine>(
    engine: &E,
    status: &watch::Receiver<Arc<admin::Status>>,
    set: &PluginSet,
    outputs: &Outputs,
    findings: &AllFindings,
) -> Registry {
    let registry = Registry::default();
    let (status, began) = (status.clone(), since_epoch().as_secs());
    registry.add(move || measures::of(&status.borrow(), began));
    let outputs = outputs.clone();
    registry.add(move || counters::families(&outputs.counts()));
    let reach = engine.reach().clone();
    registry.add(move || reach.families());
    let set = set.clone();
    registry.add(move || set.families());
    let findings = findings.clone();
    registry.add(move || findings.families());
    registry.add(telemetry::families);
    registry
}

fn cgroup_status(plan: &Plan) -> CgroupStatus {
    let placement = &plan.budget.placement;
    CgroupStatus {
        mode: placement.tier.name().to_owned(),
        parent: placement.parent.clone(),
        why: placement.why.clone(),
    }
}

/// Removes cgroups of pods whose controllers are gone: now, and from time to time.
async fn sweep_cgroups<E: Engine>(
    engine: E,
    own: Inspection,
    means: Means,
    engine_key: String,
    token: CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            swept = cgroup::sweep(&engine, &own.id, &means, &engine_key) => {
                if let Err(error) = swept {
                    warn!(%error, "cannot list the cgroups that earlier controllers left behind");
                }
            }
        }
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}

/// Reads the file of `pod.compose.file`, if the operator's policy lets the pod have it.
fn compose_file(raw: &mut RawPod, own: &Inspection, engine: &EngineInfo, settings: &Settings) -> Problems {
    let Some((at, path)) = &raw.compose_file else { return Problems::default() };
    let environment = identity::environment();
    if let Some((what, hint)) =
        OwnFiles::new(own, &environment, &OwnVolumes::default(), engine, settings).withheld(path)
    {
        return Problems(vec![at.problem(what).hint(hint)]);
    }
    let text = identity::compose_text(path);
    labels::compose::read(raw, text.as_deref(), &|name| environment.get(name).cloned())
}

fn both<A, B>(one: Result<A, Problems>, other: Result<B, Problems>) -> Result<(A, B), Problems> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => {
            let mut problems = one.err().unwrap_or_default();
            problems.extend(other.err().unwrap_or_default());
            Err(problems)
        }
    }
}

fn connect(own: &Inspection) -> (PodLink, PodEnd) {
    let (requests, requests_out) = mpsc::channel(REQUESTS_IN_FLIGHT);
    let (watches, watches_out) = mpsc::channel(WATCHES_IN_FLIGHT);
    let view = PodView { name: own.name.clone(), labels: Arc::new(own.labels.clone()), components: Vec::new() };
    let (view, view_out) = watch::channel(Arc::new(view));
    let served = Arc::new(AtomicBool::new(false));
    let end = PodEnd { requests: requests_out, served: Arc::clone(&served), watches: watches_out, pod: view };
    (PodLink { requests, served, watches, pod: view_out }, end)
}

fn first_status(own: &Inspection, spec: &PodSpec) -> admin::Status {
    admin::Status {
        schema_version: admin::status::SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pod: own.name.clone(),
        container_id: own.id.0.clone(),
        warnings: spec.warnings.clone(),
        ..admin::Status::default()
    }
}

/// What changes too often to be published: filled in when somebody asks.
fn refresh(status: &mut admin::Status, plugins: &PluginSet, outputs: &Outputs, findings: &AllFindings) {
    let shown = |standing: Standing| PluginStatus {
        name: standing.name.to_string(),
        version: standing.version,
        scope: standing.scope.map(|component| component.to_string()),
        hooks: standing.hooks.iter().map(ToString::to_string).collect(),
        grants: standing.grants.iter().map(|grant| format!("{} {}", grant.capability, grant.scope)).collect(),
        evicted: standing.evicted,
        strikes: standing.strikes,
        calls: standing.calls,
        failures: standing.failures,
        last_failure: standing.last_failure,
    };
    findings.show(status);
    status.plugins = plugins.standing().into_iter().map(shown).collect();
    status.logs = outputs.counts().iter().fold(LogCounters::default(), |sum, (_, counts)| LogCounters {
        read: sum.read + counts.lines,
        written: sum.written + counts.written,
        filtered: sum.filtered + counts.filtered,
        dropped: sum.dropped + counts.dropped,
        cut: sum.cut + counts.cut,
    });
}

/// A pod after `pre-start`.
#[derive(Debug)]
pub struct Overlaid {
    /// With what its plugins have laid over the plan.
    pub spec: PodSpec,
    /// What each plugin has made different: dotted paths, and whether something was there before.
    pub changes: HashMap<PluginName, Vec<(String, bool)>>,
    /// Of plugins that failed where they have not all that the pod grants them: not the pod's problem.
    pub notes: Vec<String>,
}

/// What plugins want by their configuration alone, and do not get: what the pod grants in words has been judged with the rest of it.
#[must_use]
pub fn refused(spec: &PodSpec, set: &PluginSet, files: &OwnFiles) -> Problems {
    let unsaid = spec.plugins.iter().filter(|plugin| plugin.grants.is_none());
    Problems(unsaid.flat_map(|plugin| files.refused(plugin, &set.grants(&plugin.name)).0).collect())
}

/// Files that plugins are configured to put where a component's process would not see them.
#[must_use]
pub fn out_of_reach(plan: &Plan, spec: &PodSpec, set: &PluginSet) -> Problems {
    let of = |plugin| compile::targets::of_plugin(plan, plugin, set.wanted(&plugin.name)).0;
    Problems(spec.plugins.iter().flat_map(of).collect())
}

/// The pod with what its plugins lay over the plan in `pre-start`, checked as user input is.
///
/// # Errors
/// Every problem of every overlay, and every plugin that failed.
pub async fn overlaid(spec: &PodSpec, set: &PluginSet) -> Result<Overlaid, Problems> {
    let document = document::of(spec);
    let mut overlays = Overlays::new(document.clone());
    let mut notes = Vec::new();
    let mut changes = HashMap::new();
    let mut problems = Problems::default();
    for name in set.with(Hook::PreStart) {
        let Some(plugin) = spec.plugins.iter().find(|plugin| plugin.name == name) else { continue };
        let grants = set.grants(&name);
        // Who may change nothing of the plan has no business reading it. Where a plugin can't do without, the lack of the grant is a problem already.
        if !grants.iter().any(|grant| grant.capability == Capability::Plan) {
            info!(plugin = %name, "the plugin is not called for the plan, because the pod does not grant it `plan`");
            continue;
        }
        match set.pre_start(&name, shown(&document, &name, &grants).to_string()).await {
            Ok(None) => {}
            Ok(Some(overlay)) => match overlays.apply(&name, plugin.scope.as_ref(), &overlay, &grants) {
                Ok(()) => {
                    changes.insert(name.clone(), overlays.changed_by(&name));
                }
                Err(more) => problems.extend(more),
            },
            Err(failure) if !set.withheld(&name).is_empty() => {
                notes.push(format!(
                    "plugin `{name}` could not be called for the plan outside the controller: {failure}; {}",
                    only_there(&set.withheld(&name))
                ));
            }
            Err(failure) => problems.push(Problem::new(&plugin.origin, name.as_str(), failure.to_string())),
        }
    }
    problems.or(())?;
    let spec = lower::lower(&read::from_value("the plan after `pre-start`", overlays.finish())?)?;
    Ok(Overlaid { spec, changes, notes })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;
    use crate::pod::ComponentName;

    #[tokio::test]
    async fn every_metric_is_documented_and_every_documented_one_exists() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = HostDirs { precompiled: dir.path().into(), cache: dir.path().into(), state: dir.path().into() };
        let host = Host::new(dirs, crate::config::Timeouts::default(), Place::Controller).unwrap();
        let own = crate::plan::SelfInfo::offline("shop", BTreeMap::new()).container;
        let (link, _end) = connect(&own);
        let set = PluginSet::load(&host, &[], &[], &link).await.unwrap();
        let (_publish, status) = watch::channel(Arc::new(admin::Status::default()));
        let outputs = Outputs::new(Sink::new(tokio::io::sink(), crate::config::LineFormat::Text));
        let engine = crate::engine::fake::FakeEngine::new();
        let registry = measured(&engine, &status, &set, &outputs, &AllFindings::default());
        let exist: Vec<_> = registry.collect().into_iter().map(|family| family.name.into_owned()).collect();
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
        let rows = page.lines().skip_while(|line| !line.starts_with("| metric | labels |")).skip(2);
        let documented: Vec<_> = rows
            .map_while(|line| line.strip_prefix("| `"))
            .filter_map(|line| line.split('`').next())
            .filter(|name| *name != "outrigger_plugin_<name>")
            .collect();
        assert_eq!(exist, documented, "docs/operations.md has another table of metrics, or another order");
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The line about the end of a pod, at this level of the log.
    fn line(outcome: &Outcome, level: tracing::Level) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).without_time();
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        crate::telemetry::testing::keep_statements();
        tracing::subscriber::with_default(subscriber, || report_end(outcome));
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().trim().to_owned()
    }

    #[test]
    fn the_reason_of_a_failure_is_an_error_at_each_level_of_the_log() {
        let component = |code| {
            let name = ComponentName::new("app").unwrap();
            Outcome::Component { name, code, shortage: crate::supervisor::events::Shortage::None }
        };
        let late = Outcome::Failed { reason: "the pod did not become healthy".to_owned() };
        for (outcome, end) in [
            (component(3), "the pod has ended exit_code=3 outcome=component `app` exited with code 3"),
            (late, "the pod has ended exit_code=125 outcome=the pod did not become healthy"),
        ] {
            for level in [tracing::Level::ERROR, tracing::Level::WARN, tracing::Level::INFO] {
                let line = line(&outcome, level);
                assert!(line.starts_with("ERROR outrigger::supervisor::boot: ") && line.ends_with(end), "{line}");
            }
        }
        // It has succeeded, or somebody asked for it.
        for outcome in [component(0), Outcome::Stopped, Outcome::Killed, Outcome::Interrupted { signal: 15 }] {
            assert_eq!(line(&outcome, tracing::Level::WARN), "");
            assert!(
                line(&outcome, tracing::Level::INFO).starts_with("INFO outrigger::supervisor::boot: the pod has ended")
            );
        }
    }
}
