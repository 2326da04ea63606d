//! Containers in our own words: the seam between Outrigger and the container engine.
//!
//! [`docker`] is the only file that knows the engine's API; [`fake`] is the scripted twin of the tests. Both are passed in, never chosen here.
//! Every call has a deadline of its own ([`Timeouts`](crate::config::Timeouts)); none retries by itself: the caller knows what a repetition means, and
//! [`EngineError::fault`] tells it whether one makes sense.

pub mod docker;
#[cfg(any(test, feature = "testing"))]
pub mod fake;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::pod::life::ExecCommand;
use crate::pod::{HealthCheck, HostSettings, Logging, Mount};

/// The engine's id of a container: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(pub String);

impl ContainerId {
    /// The first twelve digits, as the engine's own tools print them.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// What the engine is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// For instance `20.10.24`.
    pub version: String,
    /// The API version that was negotiated, for instance (1, 41).
    pub api: (u32, u32),
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Who makes the cgroups.
    pub cgroup_driver: CgroupDriver,
    /// Name of the node.
    pub node: String,
    /// Where the engine keeps images, containers and volumes; empty where it does not tell.
    pub data_root: String,
}

impl EngineInfo {
    /// Whether its health checks know `start_interval`.
    #[must_use]
    pub fn has_start_interval(&self) -> bool {
        has_start_interval(self.api)
    }
}

/// Whether health checks of this API version know `start_interval`.
pub(crate) fn has_start_interval(api: (u32, u32)) -> bool {
    api >= (1, 44)
}

/// Who makes the cgroups of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// The runtime, by itself.
    Cgroupfs,
    /// systemd: a parent must be a slice.
    Systemd,
    /// Nobody (rootless): there are no limits.
    None,
}

/// What [`Engine::create`] makes.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// Name of the container.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Absolute path.
    pub working_dir: Option<String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Labels, the ownership labels among them.
    pub labels: BTreeMap<String, String>,
    /// Whether the output is a terminal's.
    pub tty: bool,
    /// Whether standard input stays open.
    pub stdin_open: bool,
    /// Number of the signal that asks it to stop.
    pub stop_signal: Option<i32>,
    /// Replaces the image's health check.
    pub healthcheck: Option<HealthCheck>,
    /// `container:<id>`, a network's name, or none for the engine's default.
    pub network_mode: Option<String>,
    /// `container:<id>`, or none for a namespace of its own.
    pub pid_mode: Option<String>,
    /// `container:<id>`, `shareable`, or none for the engine's default.
    pub ipc_mode: Option<String>,
    /// Path (cgroupfs) or slice (systemd) under which its cgroup is made.
    pub cgroup_parent: Option<String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Memory file systems: path and options.
    pub tmpfs: BTreeMap<String, String>,
    /// `[address:]host:container[/protocol]`; only for a controller.
    pub ports: Vec<String>,
    /// Limits, privileges and the rest.
    pub host: HostSettings,
    /// Log driver; none: the engine's default.
    pub logging: Option<Logging>,
    /// How long the engine's own stop waits before it kills; only for a controller.
    pub stop_timeout: Option<Duration>,
}

impl ContainerSpec {
    /// A container of this name and image, with nothing else set.
    #[must_use]
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            entrypoint: None,
            command: None,
            env: Vec::new(),
            working_dir: None,
            user: None,
            labels: BTreeMap::new(),
            tty: false,
            stdin_open: false,
            stop_signal: None,
            healthcheck: None,
            network_mode: None,
            pid_mode: None,
            ipc_mode: None,
            cgroup_parent: None,
            mounts: Vec::new(),
            tmpfs: BTreeMap::new(),
            ports: Vec::new(),
            host: HostSettings::default(),
            logging: None,
            stop_timeout: None,
        }
    }
}

/// What [`Engine::inspect`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The full id.
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    /// Image reference as it was given at creation.
    pub image: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Host name inside.
    pub hostname: String,
    /// Whether its process runs (a paused or restarting one does).
    pub running: bool,
    /// As the engine writes it (RFC 3339), empty before the first start. Opaque: only compared.
    pub started_at: String,
    /// Of the last run; 0 while it runs.
    pub exit_code: i32,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Health as the engine sees it; none without a health check.
    pub health: Option<EngineHealth>,
    /// `private`, `shareable`, `host`, `container:<id>`, or empty.
    pub ipc_mode: String,
    /// `container:<id>`, a network's name, …
    pub network_mode: String,
    /// Empty for the engine's default.
    pub cgroup_parent: String,
    /// Whether the output is a terminal's.
    pub tty: bool,
    /// Memory limit in bytes; 0: none.
    pub memory: i64,
    /// Memory and swap; 0: none, -1: no limit.
    pub memory_swap: i64,
    /// CPU limit in billionths of a CPU; 0: none, or a quota.
    pub nano_cpus: i64,
    /// CPU time in each period, microseconds; 0 or less: none.
    pub cpu_quota: i64,
    /// Length of that period, microseconds; 0: the engine's default.
    pub cpu_period: i64,
    /// Largest number of processes; 0 or less: no limit.
    pub pids_limit: i64,
    /// Of its process.
    pub oom_score_adj: i64,
    /// What the engine's stop waits for before it kills, where it was set at creation.
    pub stop_timeout: Option<Duration>,
    /// Signal number that asks it to stop.
    pub stop_signal: Option<i32>,
    /// What is mounted into it.
    pub mounts: Vec<MountPoint>,
    /// Addresses in its networks.
    pub addresses: Vec<String>,
}

/// One mount of an inspected container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs`, …
    pub kind: String,
    /// Volume name; empty for others.
    pub name: String,
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Whether it can be written.
    pub writable: bool,
}

/// What [`Engine::volume`] tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Name of the driver that made it.
    pub driver: String,
    /// With which options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Health as the engine's own check sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineHealth {
    /// The start period runs, or no probe has ended yet.
    Starting,
    /// The last probe succeeded.
    Healthy,
    /// Too many failures in a row.
    Unhealthy,
}

/// One thing that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// Which container.
    pub id: ContainerId,
    /// Nanoseconds since the Unix epoch, of the engine's clock.
    pub at_ns: i64,
    /// What happened.
    pub kind: EngineEventKind,
}

/// The events that matter here; all others are left out by the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEventKind {
    /// Its process was started.
    Start,
    /// Its process ended.
    Die {
        /// 128 + n where a signal ended it.
        exit_code: i32,
    },
    /// The kernel killed a process of it for want of memory.
    Oom,
    /// The engine's health check changed its mind.
    Health(EngineHealth),
    /// It is gone.
    Destroy,
}

/// A piece of a container's output, as the engine delivered it: neither whole lines nor whole characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFrame {
    /// Which stream; a terminal's is all [`Output::Stdout`].
    pub output: Output,
    /// With the engine's timestamp (RFC 3339 and a space) in front where [`LogsFrom::timestamps`] asked for it.
    pub bytes: Bytes,
}

/// One of a component's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// From where [`Engine::logs`] follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogsFrom {
    /// Seconds since the Unix epoch; 0 from the beginning.
    pub since: i64,
    /// Whether each frame begins with its time.
    pub timestamps: bool,
}

/// What a command in a container answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Of the command; 126 and 127 as a shell would answer where it can't be run.
    pub exit_code: i64,
    /// At most the asked number of bytes.
    pub stdout: Bytes,
    /// At most the asked number of bytes.
    pub stderr: Bytes,
    /// Whether something was cut off.
    pub truncated: bool,
}

/// A container that [`Engine::list`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The full id.
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its process runs.
    pub running: bool,
}

/// Whether a repetition makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked for is so already.
    AlreadyDone,
    /// The object does not exist.
    NotFound,
    /// It will fail again.
    Permanent,
    /// The engine was away or busy.
    Transient,
}

/// Why the engine did not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine's answer was no.
    #[error("cannot {verb} {object}: {message}")]
    Refused {
        /// What was tried, as an imperative: `create container`.
        verb: &'static str,
        /// On what.
        object: String,
        /// The engine's own words.
        message: String,
        /// What that means for a repetition.
        fault: Fault,
    },
    /// Nobody answered.
    #[error("cannot reach the engine to {verb} {object}")]
    Unreachable {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The deadline passed.
    #[error("the engine did not {verb} {object} within {after:?}")]
    Timeout {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// The deadline.
        after: Duration,
    },
    /// There is no engine at this address.
    #[error("no container engine at `{address}`")]
    NoEngine {
        /// Path or URL.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine speaks only older versions of the API.
    #[error("the engine {version} is too old: it speaks API {}.{}, and {}.{} or newer is needed (Docker 20.10)", api.0, api.1, needed.0, needed.1)]
    TooOld {
        /// Of the engine.
        version: String,
        /// Newest that it speaks.
        api: (u32, u32),
        /// Oldest that Outrigger speaks.
        needed: (u32, u32),
    },
}

impl EngineError {
    /// Whether a repetition makes sense.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused { fault, .. } => *fault,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::NoEngine { .. } => Fault::Transient,
            Self::TooOld { .. } => Fault::Permanent,
        }
    }
}

/// An error and its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What [`Engine`] calls answer.
pub type Result<T> = std::result::Result<T, EngineError>;

/// The container engine. Cheap to clone: all clones share one connection pool.
///
/// Cancel safety: a call that is dropped half-way may still have happened. Callers let mutating calls run to their end.
pub trait Engine: Clone + Send + Sync + 'static {
    /// Negotiates the API version and asks what the engine is.
    fn info(&self) -> impl Future<Output = Result<EngineInfo>> + Send;
    /// Looks at one container, by id or name.
    fn inspect(&self, container: &str) -> impl Future<Output = Result<Inspection>> + Send;
    /// All containers, stopped ones too, that have every one of these labels (`key` or `key=value`).
    fn list(&self, labels: &[String]) -> impl Future<Output = Result<Vec<Listed>>> + Send;
    /// Looks at a volume.
    fn volume(&self, volume: &str) -> impl Future<Output = Result<VolumeInfo>> + Send;
    /// Whether the image is there already.
    fn has_image(&self, image: &str) -> impl Future<Output = Result<bool>> + Send;
    /// Pulls an image; an error in the progress stream is an error.
    fn pull(&self, image: &str) -> impl Future<Output = Result<()>> + Send;
    /// Creates a container and answers its id and the engine's warnings.
    fn create(&self, spec: &ContainerSpec) -> impl Future<Output = Result<(ContainerId, Vec<String>)>> + Send;
    /// Starts it; that it runs already is success.
    fn start(&self, id: &ContainerId) -> impl Future<Output = Result<()>> + Send;
    /// Sends a signal to its main process; [`Fault::AlreadyDone`] where it does not run.
    fn signal(&self, id: &ContainerId, signal: i32) -> impl Future<Output = Result<()>> + Send;
    /// Kills and removes it with its anonymous volumes. That it is gone already, or being removed, is success.
    fn remove(&self, id: &ContainerId) -> impl Future<Output = Result<()>> + Send;
    /// Joins one more network, by name or id.
    fn connect(&self, id: &ContainerId, network: &str) -> impl Future<Output = Result<()>> + Send;
    /// Gives it another name.
    fn rename(&self, id: &ContainerId, name: &str) -> impl Future<Output = Result<()>> + Send;
    /// Unpacks a tar archive, which comes in pieces, into a directory of it.
    fn upload(&self, id: &ContainerId, directory: &str, archive: Vec<Bytes>)
    -> impl Future<Output = Result<()>> + Send;
    /// A tar archive of one path of it; an archive longer than `limit` bytes is [`Fault::Permanent`].
    fn download(&self, id: &ContainerId, path: &str, limit: usize) -> impl Future<Output = Result<Bytes>> + Send;
    /// Runs a command in it, and waits at most `timeout` for its end. At most `limit` bytes of each stream are kept.
    fn exec(
        &self,
        id: &ContainerId,
        command: &ExecCommand,
        timeout: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<ExecOutput>> + Send;
    /// Follows its output to the end of its run.
    fn logs(&self, id: &ContainerId, from: LogsFrom) -> BoxStream<'static, Result<LogFrame>>;
    /// The last lines of its output, at most `limit` bytes of them, as far as there are any yet.
    fn tail(&self, id: &ContainerId, lines: u32, limit: usize) -> impl Future<Output = Result<Bytes>> + Send;
    /// Follows the events of all containers that have this label (`key=value`), from `since` (seconds since the Unix epoch) on where it is given.
    /// The stream ends, or yields an error, when the connection is lost.
    fn events(&self, label: &str, since: Option<i64>) -> BoxStream<'static, Result<EngineEvent>>;
}
