//! Settings of the controller: flags and environment, lowered to what they mean. Pure.
//!
//! [`Flags`] hold what was typed, [`lower::lower`] turns them and the environment into [`Settings`] and reports every problem at once.

pub mod lower;
pub mod policy;
pub mod values;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use lower::{Flags, lower};
pub use policy::Policy;

/// How the in-container controller behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the components share the controller's PID namespace (`--pids`).
    pub pids: Sharing,
    /// Whether the components share one IPC namespace (`--ipc`).
    pub ipc: Sharing,
    /// Whether the components get the controller's mounts, the engine's socket and credentials excepted (`-volumes`).
    pub volumes: Sharing,
    /// Whether the components' output goes to the controller's standard output (`--logs`).
    pub logs: Output,
    /// How the components' lines, and the controller's own, are written (`--log-format`).
    pub log_format: LineFormat,
    /// What the controller itself logs (`--log-level`).
    pub log_level: LogFilter,
    /// When images are pulled (`--pull`).
    pub pull: Pull,
    /// Address of the engine (`DOCKER_HOST`); none: the usual socket.
    pub engine: Option<String>,
    /// The controller's own container id, where it was given (`--self`, `OUTRIGGER_SELF`).
    pub own_id: Option<String>,
    /// Where the admin socket and the plugins' state live.
    pub state_dir: PathBuf,
    /// Where stock plugins that were compiled ahead of time lie.
    pub plugin_dir: PathBuf,
    /// Where plugins compiled by this controller are kept.
    pub cache_dir: PathBuf,
    /// What the operator lets components have (`--allow`, `--deny`, `--images`, and the policy file).
    pub policy: Policy,
    /// Which failed components remain for a look.
    pub keep: Keep,
    /// Where the components' cgroups are made (`--cgroup-mode`).
    pub cgroup_mode: CgroupMode,
    /// Where the page of metrics is (`--metrics`); none: nowhere.
    pub metrics: Option<Listen>,
    /// The deadlines that can be set.
    pub timeouts: Timeouts,
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// None: all addresses of the pod.
    pub address: Option<IpAddr>,
    /// From 1 on.
    pub port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, "port {}", self.port),
        }
    }
}

/// Which failed components remain after the pod's end, for a look at what they left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many, of each service on this engine (`--keep-failed`); 0: none.
    pub count: usize,
    /// For so long (`--keep-failed-for`).
    pub age: Duration,
}

impl fmt::Display for Keep {
    /// As the label `outrigger.keep` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.age.as_secs())
    }
}

impl Keep {
    /// Reads what [`Display`](fmt::Display) wrote; none where it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, age) = text.split_once('/')?;
        Some(Self { count: count.parse().ok()?, age: Duration::from_secs(age.parse().ok()?) })
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self { count: 1, age: Duration::from_secs(60 * 60) }
    }
}

/// Where the components' cgroups are made, and with that, what of the pod's limits holds for all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupMode {
    /// The best that works here.
    #[default]
    Auto,
    /// Below the controller's own `cgroup_parent`, whose limits are its owner's.
    Inherit,
    /// In a slice of the pod's own, with the pod's limits; systemd makes it when it is asked over D-Bus.
    Slice,
    /// In a cgroup of the pod's own, with the pod's limits, in the cgroup tree of the host (version 2, cgroupfs).
    Tree,
    /// In the controller's own (version 1, cgroupfs).
    Nested,
    /// Where the engine puts them; the pod's limits are divided among them.
    Divided,
}

impl CgroupMode {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 6] = [Self::Auto, Self::Inherit, Self::Slice, Self::Tree, Self::Nested, Self::Divided];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Inherit => "inherit",
            Self::Slice => "slice",
            Self::Tree => "tree",
            Self::Nested => "nested",
            Self::Divided => "divided",
        }
    }
}

/// A namespace or a set of mounts: shared, or each component's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One for the pod.
    Shared,
    /// Each its own.
    Private,
}

/// What happens to the components' output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Streamed to the controller's standard output.
    Streamed,
    /// Left to the engine's log driver; plugins with `log-line` still see it.
    Quiet,
}

/// Where the engine is when nobody says otherwise, and where a controller finds it.
pub const ENGINE_SOCKET: &str = "/var/run/docker.sock";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// Components: `[out] name: line`, or `[err] name: line`, as podlike did; fields follow as one compact JSON object. The controller: text.
    Text,
    /// One JSON object for each line, of components (`time`, `component`, `output`, `line`, and `fields` where there are any) and of the controller.
    Json,
    /// Components: the line and nothing else, without fields. The controller: text.
    Plain,
}

/// How much the controller says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What went wrong and was dealt with.
    Warn,
    /// What a user follows.
    Info,
    /// What a developer follows.
    Debug,
    /// Everything.
    Trace,
}

/// A level for everything, and others for single modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// For every target that is not named.
    pub level: Level,
    /// Target, for instance `outrigger::supervisor`, and its level.
    pub targets: Vec<(String, Level)>,
}

/// When images are pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Only where the engine does not have the image.
    Missing,
    /// Always; a failure is an error even where an older image is there.
    Always,
}

/// The deadlines that can be set, by name; all can be seen with `outrigger plan --timeouts`. Those of single steps of a stop or a rollout are constants where
/// they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One call to the engine that only looks or flips a switch.
    pub engine_call: Duration,
    /// One call to create, start or remove a container: the engine may be busy with others.
    pub engine_change: Duration,
    /// One image pull.
    pub pull: Duration,
    /// A component's own grace period, where none is written.
    pub component_grace: Duration,
    /// The controller's own grace period, where the engine does not tell it: Docker's default.
    pub controller_grace: Duration,
    /// What is kept of the controller's grace period for killing, removing and the last log lines.
    pub stop_reserve: Duration,
    /// The last lines of a component's output, after its exit.
    pub log_drain: Duration,
    /// Guest CPU and wall time of hooks that must not wait (`log-line`, `signal`, `component-event`).
    pub hook: Duration,
    /// Wall time of hooks that may wait.
    pub wait_hook: Duration,
    /// Guest CPU time of hooks that may wait.
    pub wait_hook_cpu: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            engine_call: Duration::from_secs(15),
            engine_change: Duration::from_secs(60),
            pull: Duration::from_secs(15 * 60),
            component_grace: Duration::from_secs(10),
            controller_grace: Duration::from_secs(10),
            stop_reserve: Duration::from_millis(1500),
            log_drain: Duration::from_secs(5),
            hook: Duration::from_millis(500),
            wait_hook: Duration::from_secs(30),
            wait_hook_cpu: Duration::from_secs(2),
        }
    }
}

impl Timeouts {
    /// Every deadline: its name in `--timeout`, what it is for, and its value.
    #[must_use]
    pub fn table(&self) -> [(&'static str, &'static str, Duration); 10] {
        // Taken apart, so that a new deadline can't be forgotten here.
        let Self {
            engine_call,
            engine_change,
            pull,
            component_grace,
            controller_grace,
            stop_reserve,
            log_drain,
            hook,
            wait_hook,
            wait_hook_cpu,
        } = *self;
        [
            ("engine-call", "one quick call to the engine, such as an inspection or a signal", engine_call),
            ("engine-change", "one call to create, start or remove a container", engine_change),
            ("pull", "one image pull", pull),
            ("component-grace", "the stop of a component without `stop_grace_period`", component_grace),
            (
                "controller-grace",
                "the stop of the pod, if neither the engine nor the label `pod.stop_grace_period` sets the time",
                controller_grace,
            ),
            (
                "stop-reserve",
                "the part of the pod's stop that is reserved for killing, removing and the last log lines",
                stop_reserve,
            ),
            ("log-drain", "reading the last log lines of a component after its exit", log_drain),
            ("hook", "a plugin hook that must not wait", hook),
            ("wait-hook", "a plugin hook that may wait", wait_hook),
            ("wait-hook-cpu", "CPU time of a plugin hook that may wait", wait_hook_cpu),
        ]
    }

    /// The deadline of this name.
    pub(crate) fn slot(&mut self, name: &str) -> Option<&mut Duration> {
        Some(match name {
            "engine-call" => &mut self.engine_call,
            "engine-change" => &mut self.engine_change,
            "pull" => &mut self.pull,
            "component-grace" => &mut self.component_grace,
            "controller-grace" => &mut self.controller_grace,
            "stop-reserve" => &mut self.stop_reserve,
            "log-drain" => &mut self.log_drain,
            "hook" => &mut self.hook,
            "wait-hook" => &mut self.wait_hook,
            "wait-hook-cpu" => &mut self.wait_hook_cpu,
            _ => return None,
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pids: Sharing::Shared,
            ipc: Sharing::Shared,
            volumes: Sharing::Private,
            logs: Output::Streamed,
            log_format: LineFormat::Text,
            log_level: LogFilter { level: Level::Info, targets: Vec::new() },
            pull: Pull::Missing,
            engine: None,
            own_id: None,
            state_dir: PathBuf::from("/var/lib/outrigger"),
            plugin_dir: PathBuf::from("/plugins"),
            cache_dir: PathBuf::from("/var/cache/outrigger"),
            policy: Policy::default(),
            keep: Keep::default(),
            cgroup_mode: CgroupMode::default(),
            metrics: None,
            timeouts: Timeouts::default(),
        }
    }
}
