//! What a pod is: the validated domain types that every other module speaks.
//!
//! Nothing here can be wrong: [`lower`] is the only way from what a user wrote ([`crate::labels::RawPod`]) to these types, and it
//! reports every problem at once. Pure: no I/O, no clock.

pub mod capability;
pub mod graph;
pub mod life;
pub mod lower;
pub mod name;
pub mod ports;
pub mod read;
pub mod stock;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;

pub use crate::problem::{Place, Problem, Problems};
pub use capability::{Capability, Grant};
pub use life::{Condition, Dependency};
use life::{LifecycleStep, Probes, RestartPolicy, Role};
pub use name::{ComponentName, PluginName};

/// Everything that the controller was asked to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodSpec {
    /// Components that must finish successfully, one after the other, before the others start.
    pub init: Vec<Component>,
    /// The pod's components, in the order of the file or, from labels, by name.
    pub components: IndexMap<ComponentName, Component>,
    /// Plugins, in the order in which their hooks are called.
    pub plugins: Vec<PluginSpec>,
    /// What holds for the pod as a whole.
    pub options: PodOptions,
    /// How the controller container itself is made by `outrigger run`; ignored inside a container.
    pub controller: ControllerSpec,
    /// What was accepted but has no effect, or is probably not meant so: one sentence each, for the log.
    pub warnings: Vec<String>,
    /// Where components are written, of those that have no label of their own: in a file.
    pub places: BTreeMap<ComponentName, Place>,
    /// Volumes that only a Compose file in the controller declares, and without a name of their own.
    pub bare_volumes: BTreeSet<String>,
}

/// Settings of a container that has a network of its own, as a controller's has: components share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OuterSettings {
    /// Whether the engine starts it again, also after the engine's own start; none: never.
    pub restart: Option<OuterRestart>,
    /// Its host name; the engine chooses where none is given.
    pub hostname: Option<String>,
    /// Names and addresses for `/etc/hosts`, as `name:address`.
    pub extra_hosts: Vec<String>,
    /// Addresses of DNS servers.
    pub dns: Vec<String>,
}

/// When the engine starts a container again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OuterRestart {
    /// Always; after a stop by hand, with the engine's next start.
    Always,
    /// Always, but not after a stop by hand.
    UnlessStopped,
    /// After a failure, so often at most; 0: without a limit.
    OnFailure(u32),
}

/// What holds for the pod as a whole: the label `pod.options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodOptions {
    /// Between the moment when a stopping pod turns unready and the first component's stop, so that whoever sends it work can notice. Part of the grace period.
    pub drain: Duration,
    /// How long a component that has neither check nor probe must run before it counts as up; zero: it is up as soon as it has started.
    pub min_ready: Duration,
    /// How long the pod's start may take beside what its components declare; zero: without a limit. None: nothing is written, which is [`Self::START_DEADLINE`].
    pub start_deadline: Option<Duration>,
    /// For how long after the pod first became healthy an exit that `restart` would repair ends the pod; zero: never.
    pub settle: Duration,
    /// How long a component may take to be up again after an exit, beside what its own start declares, before the pod turns unhealthy; zero: without a limit.
    pub repair_budget: Duration,
}

impl PodOptions {
    /// What `min_ready` is if it is not written.
    pub const MIN_READY: Duration = Duration::from_secs(2);
    /// What `start_deadline` is if it is not written.
    pub const START_DEADLINE: Duration = Duration::from_secs(60);
    /// What `settle` is if it is not written.
    pub const SETTLE: Duration = Duration::from_secs(10);
    /// What `repair_budget` is if it is not written.
    pub const REPAIR_BUDGET: Duration = Duration::from_secs(60);
}

impl Default for PodOptions {
    fn default() -> Self {
        Self {
            drain: Duration::ZERO,
            min_ready: Self::MIN_READY,
            start_deadline: None,
            settle: Self::SETTLE,
            repair_budget: Self::REPAIR_BUDGET,
        }
    }
}

/// One container that the controller creates.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Unique in the pod.
    pub name: ComponentName,
    /// The image reference, as written.
    pub image: String,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Absolute path in the container.
    pub working_dir: Option<String>,
    /// Name and value; `None` passes the controller's own value through, and nothing where it has none.
    pub environment: IndexMap<String, Option<String>>,
    /// Files of the controller with `NAME=value` lines; `environment` wins over them.
    pub env_file: Vec<EnvFile>,
    /// Labels of the container.
    pub labels: IndexMap<String, String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Whether the output is a terminal's.
    pub tty: bool,
    /// Whether standard input stays open.
    pub stdin_open: bool,
    /// The signal that asks it to stop; the image's, or SIGTERM.
    pub stop_signal: Option<i32>,
    /// How long it may take to stop before it is killed.
    pub stop_grace_period: Option<Duration>,
    /// Replaces the image's health check.
    pub healthcheck: Option<HealthCheck>,
    /// What must have happened before it starts.
    pub depends_on: IndexMap<ComponentName, Dependency>,
    /// The part that it plays in the pod.
    pub role: Role,
    /// Whether its end, where no restart policy says otherwise, ends the pod; never that of a sidecar.
    pub essential: bool,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// What the controller probes by itself.
    pub probes: Probes,
    /// Done after each start of its process; until they are through it does not count as started. One that fails makes it a failed component.
    pub post_start: Vec<LifecycleStep>,
    /// Done before it is asked to stop, within its grace period; not when it ends by itself. One that fails is told and passed over.
    pub pre_stop: Vec<LifecycleStep>,
    /// Mounts of its own.
    pub volumes: Vec<Mount>,
    /// Memory file systems: path and options as `docker run --tmpfs` takes them.
    pub tmpfs: IndexMap<String, String>,
    /// Files copied into it from the controller, before its first start.
    pub copy: Vec<CopySpec>,
    /// Limits, privileges and the rest of the host's settings.
    pub host: HostSettings,
    /// Where its output goes on the engine's side.
    pub logging: Option<Logging>,
}

impl Component {
    /// A component of which nothing is written but its image.
    #[must_use]
    pub fn new(name: ComponentName, image: impl Into<String>) -> Self {
        Self {
            name,
            image: image.into(),
            entrypoint: None,
            command: None,
            working_dir: None,
            environment: IndexMap::new(),
            env_file: Vec::new(),
            labels: IndexMap::new(),
            user: None,
            tty: false,
            stdin_open: false,
            stop_signal: None,
            stop_grace_period: None,
            healthcheck: None,
            depends_on: IndexMap::new(),
            role: Role::Main,
            essential: true,
            restart: RestartPolicy::default(),
            probes: Probes::default(),
            post_start: Vec::new(),
            pre_stop: Vec::new(),
            volumes: Vec::new(),
            tmpfs: IndexMap::new(),
            copy: Vec::new(),
            host: HostSettings::default(),
            logging: None,
        }
    }
}

/// A file with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// Path in the controller.
    pub path: String,
    /// Whether it must be there.
    pub required: bool,
    /// How it is read.
    pub format: EnvFormat,
}

/// How a file with variables is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EnvFormat {
    /// As Compose reads it: see [`crate::labels::dotenv`].
    #[default]
    Compose,
    /// As `docker run --env-file` reads it: a value is the rest of its line, quotes and blanks too.
    Raw,
}

impl EnvFile {
    /// A file that must be there, read as Compose reads it.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), required: true, format: EnvFormat::default() }
    }
}

/// A health check that the engine runs inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// The image's health check is switched off.
    Disabled,
    /// As in a Compose file.
    Command {
        /// `CMD` and arguments, or `CMD-SHELL` and one string; empty inherits the image's.
        test: Vec<String>,
        /// Between two probes.
        interval: Option<Duration>,
        /// For one probe.
        timeout: Option<Duration>,
        /// Failures during it do not count.
        start_period: Option<Duration>,
        /// Between two probes during `start_period`; the engine has it from API 1.44 on, for older ones the controller probes.
        start_interval: Option<Duration>,
        /// So many failures in a row make it unhealthy.
        retries: Option<u32>,
    },
}

/// One mount of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Host path or volume name; none for an anonymous volume or a tmpfs.
    pub source: Option<String>,
    /// Absolute path in the container.
    pub target: String,
    /// Whether writing is refused.
    pub read_only: bool,
    /// `rprivate`, `shared`, … for a bind.
    pub propagation: Option<String>,
    /// Whether a new volume is *not* filled from the image.
    pub no_copy: bool,
    /// Whether the source of a bind must be there; else the engine makes a directory.
    pub must_exist: bool,
    /// Size of a tmpfs, in bytes.
    pub tmpfs_size: Option<i64>,
    /// Permission bits of a tmpfs.
    pub tmpfs_mode: Option<u32>,
    /// How the engine makes the volume where it does not exist yet; none: with the engine's default driver.
    pub volume: Option<VolumeSpec>,
}

impl Mount {
    /// A writable mount without options. `target` is an absolute path in the container.
    #[must_use]
    pub fn new(kind: MountKind, source: Option<String>, target: impl Into<String>) -> Self {
        Self {
            kind,
            source,
            target: target.into(),
            read_only: false,
            propagation: None,
            no_copy: false,
            must_exist: false,
            tmpfs_size: None,
            tmpfs_mode: None,
            volume: None,
        }
    }
}

/// How a volume is made: an entry of the pod's `volumes:` that is not external.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Name of the driver; empty: the engine's default.
    pub driver: String,
    /// The driver's own options.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels of the volume.
    pub labels: BTreeMap<String, String>,
}

/// The kinds of [`Mount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// A path of the engine's host.
    Bind,
    /// A volume of the engine.
    Volume,
    /// Memory.
    Tmpfs,
}

/// One entry of a `pod.copy.<component>` label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySpec {
    /// Path in the controller: a regular file, or a directory, of which all is copied.
    pub source: String,
    /// Absolute path in the component. Directories on the way that do not exist are made.
    pub target: String,
    /// Permission bits of the file, or of every file in the directory; none: the source's.
    pub mode: Option<u32>,
    /// Owner; none: the source's.
    pub uid: Option<u32>,
    /// Group; none: the source's.
    pub gid: Option<u32>,
}

/// The log driver that the engine uses for a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// For instance `json-file`; empty for the engine's default.
    pub driver: String,
    /// The driver's own options.
    pub options: BTreeMap<String, String>,
}

/// Settings that the engine applies on the host's side. Sizes are bytes, CPU times microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostSettings {
    /// All capabilities, all devices.
    pub privileged: bool,
    /// The root file system can't be written.
    pub read_only: bool,
    /// The OCI runtime.
    pub runtime: Option<String>,
    /// -1000 to 1000.
    pub oom_score_adj: Option<i64>,
    /// The kernel never kills it for want of memory (cgroup v1 only).
    pub oom_kill_disable: bool,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// More groups of its user.
    pub group_add: Vec<String>,
    /// For instance `seccomp=unconfined`.
    pub security_opt: Vec<String>,
    /// Options of the storage driver.
    pub storage_opt: BTreeMap<String, String>,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// `host`, or empty.
    pub userns_mode: Option<String>,
    /// `host:container:permissions`.
    pub devices: Vec<Device>,
    /// For instance `c 1:3 mr`.
    pub device_cgroup_rules: Vec<String>,
    /// Windows only; passed on.
    pub isolation: Option<String>,
    /// Memory limit.
    pub memory: Option<i64>,
    /// Soft memory limit.
    pub memory_reservation: Option<i64>,
    /// Memory and swap together; -1 for no limit on swap.
    pub memory_swap: Option<i64>,
    /// 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// Size of `/dev/shm`.
    pub shm_size: Option<i64>,
    /// Relative weight.
    pub cpu_shares: Option<i64>,
    /// Limit in billionths of a CPU.
    pub nano_cpus: Option<i64>,
    /// Length of the CFS period.
    pub cpu_period: Option<i64>,
    /// CPU time in each period.
    pub cpu_quota: Option<i64>,
    /// Length of the real-time period.
    pub cpu_rt_period: Option<i64>,
    /// Real-time CPU time in each period.
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs it may run on, as `0-3` or `0,1`.
    pub cpuset: Option<String>,
    /// Windows only; passed on.
    pub cpu_count: Option<i64>,
    /// Windows only; passed on.
    pub cpu_percent: Option<i64>,
    /// Block I/O weight and throttles.
    pub blkio: Blkio,
    /// Largest number of processes; -1 for no limit.
    pub pids_limit: Option<i64>,
    /// Name, soft and hard limit.
    pub ulimits: Vec<Ulimit>,
}

/// A device given to a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Path on the host.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// Of `rwm`.
    pub permissions: String,
}

/// One resource limit of a component's processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// For instance `nofile`.
    pub name: String,
    /// What is in force.
    pub soft: i64,
    /// What the process may raise it to.
    pub hard: i64,
}

/// Block I/O settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blkio {
    /// 10 to 1000.
    pub weight: Option<u16>,
    /// Device path and weight.
    pub weight_device: Vec<(String, u16)>,
    /// Device path and bytes per second.
    pub device_read_bps: Vec<(String, u64)>,
    /// Device path and bytes per second.
    pub device_write_bps: Vec<(String, u64)>,
    /// Device path and operations per second.
    pub device_read_iops: Vec<(String, u64)>,
    /// Device path and operations per second.
    pub device_write_iops: Vec<(String, u64)>,
}

/// One entry of a `plugins:` list.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSpec {
    /// Unique in the pod.
    pub name: PluginName,
    /// Where it was written, for messages: a label such as `pod.plugins`.
    pub origin: String,
    /// Where its component comes from.
    pub source: PluginSource,
    /// The one component that it sees; none: the whole pod.
    pub scope: Option<ComponentName>,
    /// What the pod grants: capability and scope. `None`: nothing was said; a stock plugin then gets what its configuration asks for, any other nothing.
    pub grants: Option<Vec<Grant>>,
    /// Limits on memory and time.
    pub limits: PluginLimits,
    /// What the pod does when a hook fails.
    pub on_error: OnErrors,
    /// Time between two `health` calls.
    pub health_interval: Duration,
    /// Its configuration, as JSON.
    pub config: serde_json::Value,
}

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginSource {
    /// Ships with Outrigger, under the plugin's own name.
    Stock,
    /// A file of the controller, or beside `pod.yaml` for `plan` and `check`.
    File(String),
}

/// Limits of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginLimits {
    /// Linear memory of each instance, in bytes; none: the default for its language.
    pub memory: Option<u64>,
    /// Guest CPU time and wall time of hooks that must not wait; none: the default.
    pub hook: Option<Duration>,
    /// Wall time of hooks that may wait; none: the default.
    pub wait: Option<Duration>,
}

/// What the pod does when a hook fails, traps or overruns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The pod stops, with exit code 125 and the reason.
    Fail,
    /// As if the plugin did not have the hook, this time.
    Ignore,
    /// The plugin is started again with back-off and called again; after too many strikes, as `fail`.
    #[default]
    Restart,
}

/// [`OnError`] for the plugin and for single hooks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnErrors {
    /// For every hook that `hooks` does not name.
    pub default: OnError,
    /// By hook name, as `log-line`.
    pub hooks: BTreeMap<String, OnError>,
}

impl OnErrors {
    /// What holds for `hook`.
    #[must_use]
    pub fn of(&self, hook: &str) -> OnError {
        self.hooks.get(hook).copied().unwrap_or(self.default)
    }
}

/// How `outrigger run` makes the controller's container from a `pod.yaml`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ControllerSpec {
    /// Name of the container, and of the pod; the engine chooses where none is given.
    pub name: Option<String>,
    /// Image of the controller; `outrigger:<version>` where none is given.
    pub image: Option<String>,
    /// Published ports: all components share the controller's network.
    pub ports: Vec<ports::Port>,
    /// Mounts, as a component's; a relative source is taken from the folder of `pod.yaml`.
    pub volumes: Vec<Mount>,
    /// Networks to join; the first one at creation.
    pub networks: Vec<String>,
    /// What only a container with a network of its own has, and whether the engine starts it again.
    pub outer: OuterSettings,
    /// Environment of the controller.
    pub environment: IndexMap<String, Option<String>>,
    /// More labels of the controller's container.
    pub labels: IndexMap<String, String>,
    /// Memory limit of the controller and, where the engine can nest cgroups, of the pod.
    pub memory: Option<i64>,
    /// The pod's grace period: how long `docker stop` waits.
    pub stop_grace_period: Option<Duration>,
    /// More flags of the in-container `outrigger`.
    pub flags: Vec<String>,
}
