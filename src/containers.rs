//! Containers as values: as they are made, and as an engine finds them. What an engine tells of itself and of its volumes is in [`info`].

pub mod info;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::plan::render::one_line;
use crate::pod::ports::Port;
use crate::pod::{HealthCheck, HostSettings, Logging, Mount, OuterSettings};

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

/// What [`Engine::create`](crate::engine::Engine::create) makes.
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
    /// Published ports; only for a controller.
    pub ports: Vec<Port>,
    /// Limits, privileges and the rest.
    pub host: HostSettings,
    /// Log driver; none: the engine's default.
    pub logging: Option<Logging>,
    /// How long the engine's own stop waits before it kills, for instance when it shuts down; rounded up to whole seconds.
    pub stop_timeout: Option<Duration>,
    /// Host name, DNS and the engine's restarts; only for a controller.
    pub outer: OuterSettings,
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
            outer: OuterSettings::default(),
        }
    }
}

/// What [`Engine::inspect`](crate::engine::Engine::inspect) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the engine tells")]
pub struct Inspection {
    /// The full id.
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    /// Image reference as it was given at creation.
    pub image: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What follows the entry point: of a controller, its flags.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Host name inside.
    pub hostname: String,
    /// Whether its process runs (a paused or restarting one does).
    pub running: bool,
    /// Whether its processes are frozen.
    pub paused: bool,
    /// Whether it is being removed, or could not be: it will not start any more.
    pub removing: bool,
    /// As the engine writes it (RFC 3339), empty before the first start. Opaque: only compared.
    pub started_at: String,
    /// Of the last run; 0 while it runs.
    pub exit_code: i32,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Health as the engine sees it; none without a health check.
    pub health: Option<EngineHealth>,
    /// What the last check of its health found; none before the first.
    pub last_check: Option<CheckResult>,
    /// What its health check declares of its start: the check's start period and, where it says so, its interval. None without a health check.
    pub check_declares: Option<Duration>,
    /// The engine's health check of it; none without one.
    pub check: Option<CheckTimes>,
    /// `private`, `shareable`, `host`, `container:<id>`, or empty.
    pub ipc_mode: String,
    /// `container:<id>`, a network's name, …
    pub network_mode: String,
    /// Empty for the engine's default.
    pub cgroup_parent: String,
    /// `host`, `private`, or empty for the engine's default.
    pub cgroup_namespace: String,
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

/// What one check of a container's health found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// Of its command; below 0 if the engine ended it, or could not run it.
    pub exit_code: i64,
    /// What the command printed, or the engine's own words. The engine keeps a few KiB.
    pub output: String,
}

impl CheckResult {
    /// Why it failed, as a sentence in one line: at most `longest` bytes of the output. None if it succeeded.
    #[must_use]
    pub fn failure(&self, longest: usize) -> Option<String> {
        let mut said = one_line(&self.output);
        if said.len() > longest {
            said.truncate(said.floor_char_boundary(longest));
            said.push('…');
        }
        match self.exit_code {
            0 => None,
            ..0 if !said.is_empty() => Some(said),
            code if said.is_empty() => Some(format!("it exited with code {code}")),
            code => Some(format!("it exited with code {code}: {said}")),
        }
    }
}

/// When the engine looks at a container's health, with its defaults where neither the container nor its image says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckTimes {
    /// From the end of a check to the beginning of the next.
    pub interval: Duration,
    /// After it a check has failed.
    pub timeout: Duration,
}

impl Default for CheckTimes {
    /// Docker's own (`daemon/health.go`: `defaultProbeInterval`, `defaultProbeTimeout`).
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), timeout: Duration::from_secs(30) }
    }
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

/// A container that [`Engine::list`](crate::engine::Engine::list) found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The full id.
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    /// Image reference as it was given at creation; its id if that reference means another image by now.
    pub image: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its process runs (a paused one does).
    pub running: bool,
    /// Whether its processes are frozen.
    pub paused: bool,
}

/// What [`Engine::stat`](crate::engine::Engine::stat) finds at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it leads to: a path in the container's own root, as far as the engine has resolved it.
    Link(String),
    /// A device, a pipe or a socket.
    Other,
}

/// One of a container's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}
