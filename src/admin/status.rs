//! What `outrigger status` shows. Published by the supervisor; the JSON form is stable: fields are added, never renamed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hooks::{self, RolloutOutcome};

/// The version of the JSON form, which `schema/status.json` describes. A field that is added leaves it as it is.
pub const SCHEMA_VERSION: u32 = 1;

/// The pod as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Status {
    /// [`SCHEMA_VERSION`] of the controller; 0: it is older than that.
    pub schema_version: u32,
    /// Version of the controller.
    pub version: String,
    /// Name of the controller's container, and of the pod.
    pub pod: String,
    /// Id of the controller's container.
    pub container_id: String,
    /// Where the pod is in its life.
    pub stage: Stage,
    /// The pod's health and why.
    pub health: Health,
    /// What each check says: of components in the order of the plan, then of the pod as a whole.
    pub verdicts: Vec<Verdict>,
    /// Init components first, then the others in the order of the plan.
    pub components: Vec<ComponentStatus>,
    /// In the order in which their hooks are called.
    pub plugins: Vec<PluginStatus>,
    /// Lines since the start.
    pub logs: LogCounters,
    /// The last rollouts of `config-changed`, newest last.
    pub rollouts: Vec<RolloutStatus>,
    /// How many have ended since the start, in the order of [`RolloutOutcome::ALL`]; on the page of metrics.
    #[serde(skip)]
    pub rollouts_ended: [u64; RolloutOutcome::ALL.len()],
    /// A sentence about each file of a component whose newest version is not in force.
    pub not_in_force: Vec<String>,
    /// Where the components' cgroups are; none: the plan is not made yet.
    pub cgroups: Option<CgroupStatus>,
    /// What the user should know: of the plan, and of what happened since.
    pub warnings: Vec<String>,
    /// Seconds since the controller began to serve; filled in when the answer is written.
    pub uptime_s: u64,
    /// The controller's metrics, without those that plugins publish; filled in when the answer is written.
    pub metrics: Vec<MetricStatus>,
}

/// One series of the controller's metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct MetricStatus {
    /// As on the page of metrics.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value now.
    pub value: f64,
}

/// Where the pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Labels are read, plugins loaded, left-overs removed.
    #[default]
    Preparing,
    /// Init components run.
    Init,
    /// Components are started, wave by wave.
    Starting,
    /// All have been started.
    Running,
    /// All are stopped, to be started again in place.
    Restarting,
    /// Components are stopped, in reverse waves.
    Stopping,
    /// What still runs is killed.
    Killing,
}

impl Stage {
    /// The word of the JSON form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Init => "init",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Killing => "killing",
        }
    }
}

impl Stage {
    /// All words, in the order of a life.
    pub const WORDS: [&str; 7] = ["preparing", "init", "starting", "running", "restarting", "stopping", "killing"];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verdict and its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Health {
    /// The verdict.
    pub state: HealthState,
    /// Why it is not plainly healthy, in words; one for each component or plugin that has something to say.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// What one check says about one subject: the engine's check, a probe and a plugin's judgement in one form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Verdict {
    /// Who says it: `engine`, `probe`, or `plugin` and the name of the plugin, as in `plugin mesh`.
    pub check: String,
    /// The component; none: the pod as a whole.
    pub subject: Option<String>,
    /// What is judged: `startup`, `readiness`, `liveness`, or `health` where the check does not tell these apart.
    pub kind: String,
    /// The verdict.
    pub status: HealthState,
    /// Why, in words.
    pub reason: String,
    /// Since when this has been the status, in seconds since the Unix epoch; 0: nobody has noted it yet.
    pub since: u64,
}

impl Verdict {
    /// The health that follows from it alone. Of a plugin, the reason names the plugin.
    #[must_use]
    pub fn health(&self) -> Health {
        let reason = match self.check.strip_prefix(PLUGIN) {
            Some(plugin) => format!("plugin `{plugin}`: {}", self.reason),
            None => self.reason.clone(),
        };
        Health { state: self.status, reasons: vec![reason] }
    }

    /// Notes in each since when it holds: since `now` (seconds since the Unix epoch), or as long as the same check has said so of the same subject.
    pub fn note_since(verdicts: &mut [Self], before: &[Self], now: u64) {
        fn key(verdict: &Verdict) -> (&str, Option<&str>, &str) {
            (&verdict.check, verdict.subject.as_deref(), &verdict.kind)
        }
        let before: HashMap<_, _> = before.iter().map(|old| (key(old), (old.status, old.since))).collect();
        for verdict in verdicts {
            let known = before.get(&key(verdict)).filter(|(status, _)| *status == verdict.status);
            verdict.since = known.map_or(now, |(_, since)| *since);
        }
    }
}

/// What [`Verdict::check`] begins with if a plugin judges.
pub const PLUGIN: &str = "plugin ";

/// [`hooks::Status`] as it is told to the outside. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum HealthState {
    /// All is well.
    Healthy,
    /// Works, but not as it should; counts as healthy.
    Degraded,
    /// Not ready yet.
    #[default]
    Starting,
    /// Does not work.
    Unhealthy,
}

impl HealthState {
    /// All words, from best to worst.
    pub const WORDS: [&str; 4] = ["healthy", "degraded", "starting", "unhealthy"];

    /// Whether `healthcheck` succeeds.
    #[must_use]
    pub fn counts_as_healthy(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }

    /// The word of the JSON form and of the `health` answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The state of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Healthy, Self::Degraded, Self::Starting, Self::Unhealthy]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<hooks::Status> for HealthState {
    fn from(status: hooks::Status) -> Self {
        match status {
            hooks::Status::Healthy => Self::Healthy,
            hooks::Status::Degraded => Self::Degraded,
            hooks::Status::Starting => Self::Starting,
            hooks::Status::Unhealthy => Self::Unhealthy,
        }
    }
}

/// What [`ComponentStatus::state`] may be.
pub const COMPONENT_STATES: [&str; 7] = ["planned", "starting", "running", "paused", "stopping", "exited", "removed"];

/// One component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Whether it is an init component, which must finish before the others start.
    pub init: bool,
    /// Its image.
    pub image: String,
    /// `planned`, `starting`, `running`, `paused`, `stopping`, `exited` or `removed`.
    pub state: String,
    /// None: nothing judges it, which counts as healthy once it runs.
    pub health: Option<Health>,
    /// Its probes: startup, liveness, readiness, as far as it has them. Of its current run or, once that is over, of the last one; filled in when the answer is
    /// written.
    pub probes: Vec<ProbeStatus>,
    /// How often it has been started again.
    pub restarts: u32,
    /// Of its last exit.
    pub exit_code: Option<i32>,
    /// Whether that was a kill by the kernel for want of memory.
    pub oom_killed: bool,
    /// Why its current or last run counts as failed whatever its exit code is.
    pub failure: Option<String>,
    /// The engine's id, once there is one.
    pub container_id: Option<String>,
}

/// One probe of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct ProbeStatus {
    /// `startup`, `liveness` or `readiness`.
    pub kind: String,
    /// Its verdict.
    pub state: ProbeState,
    /// Whether the last look succeeded; none before the first.
    pub last_ok: Option<bool>,
    /// Seconds since the Unix epoch, of the last look.
    pub last_at: Option<u64>,
    /// Looks that failed, in a row, up to the last one.
    pub failures: u32,
    /// What the last look that failed has found; it stays when later ones succeed.
    pub last_failure: Option<String>,
}

/// A probe's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeState {
    /// No verdict yet: it has not looked, or not often enough.
    #[default]
    Pending,
    /// It succeeds.
    Succeeds,
    /// It fails.
    Fails,
}

impl fmt::Display for ProbeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Succeeds => "succeeds",
            Self::Fails => "fails",
        })
    }
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct PluginStatus {
    /// Its name in the pod.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The component that it sees; none: the whole pod.
    pub scope: Option<String>,
    /// The hooks that it has.
    pub hooks: Vec<String>,
    /// What it was granted, as `capability scope`.
    pub grants: Vec<String>,
    /// Whether it was given up after too many failures.
    pub evicted: bool,
    /// Failures that count towards eviction.
    pub strikes: u32,
    /// Calls of hooks.
    pub calls: u64,
    /// Calls that failed, trapped or overran.
    pub failures: u64,
    /// The last failure, in words.
    pub last_failure: Option<String>,
}

/// Lines of all components since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct LogCounters {
    /// Read from components.
    pub read: u64,
    /// Written.
    pub written: u64,
    /// Taken out by plugins.
    pub filtered: u64,
    /// Lost because a queue was full or an output broke.
    pub dropped: u64,
    /// Runs of components whose output was not read to its end, because time ran out.
    pub cut: u64,
}

/// Where the components' cgroups are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct CgroupStatus {
    /// `inherit`, `slice`, `tree`, `nested`, `divided`, or `none` where the engine has no cgroups.
    pub mode: String,
    /// Below which one, as the engine is told; none: where the engine puts them.
    pub parent: Option<String>,
    /// Why it is this mode, in words.
    pub why: String,
}

impl fmt::Display for CgroupStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cgroups: {}", self.mode)?;
        if let Some(parent) = &self.parent {
            write!(f, ", in `{parent}`")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct RolloutStatus {
    /// Whose.
    pub plugin: String,
    /// In its words.
    pub summary: String,
    /// How it ended.
    pub outcome: RolloutOutcome,
    /// Why it was not applied, and what is in force now.
    pub reason: String,
    /// Seconds since the Unix epoch.
    pub at: u64,
    /// The files in components that it is about, as `component:path`.
    pub targets: Vec<String>,
}
