//! What happens to a component in the course of its life: what it waits for, how it is probed, when it is started again, what is done around its start and
//! its end. Only what was written, checked; [`supervisor::state`](crate::supervisor::state) acts on it.

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;

/// The part that a component plays in its pod: `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Nothing is written: its end is the pod's, unless `restart` or `essential` say otherwise.
    #[default]
    Main,
    /// It is the pod's work, and comes to an end: once all jobs have ended, the pod ends.
    Job,
    /// It serves the others, as a native sidecar of Kubernetes does: it is started again whenever it ends, never keeps the pod up, and stops last.
    /// <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>
    Sidecar,
}

impl Role {
    /// As it is written; none for what is the case if nothing is written.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Main => None,
            Self::Job => Some("job"),
            Self::Sidecar => Some("sidecar"),
        }
    }

    /// The restart policy of a component of this role that has no `restart`.
    #[must_use]
    pub fn restart(self) -> RestartPolicy {
        match self {
            Self::Main | Self::Job => RestartPolicy::default(),
            Self::Sidecar => RestartPolicy::new(RestartWhen::Always),
        }
    }
}

/// One dependency of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// What must have happened to it.
    pub condition: Condition,
    /// Whether the component is started again after the dependency was.
    pub restart: bool,
    /// Whether the component waits for ever, and fails with it. Where false, the component starts all the same, with a warning, once the condition can't come true any more.
    pub required: bool,
}

impl Dependency {
    /// Needed, under this condition, and without consequences for restarts: what the short form of `depends_on` means.
    #[must_use]
    pub fn on(condition: Condition) -> Self {
        Self { condition, restart: false, required: true }
    }
}

/// What must have happened to a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Its process runs, and its `post_start` is through.
    Started,
    /// Its health check succeeds and its probes hold; one without either counts as healthy once started.
    Healthy,
    /// It has ended with 0. A component that others await so is a job: its success does not end the pod, its failure does unless nobody requires it.
    Completed,
}

impl fmt::Display for Condition {
    /// As `depends_on` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::Completed => "service_completed_successfully",
        })
    }
}

/// When a component that has ended is started again, in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// After which exits.
    pub when: RestartWhen,
    /// Only after these exit codes, each range inclusive, 0 to 255; empty: after every exit that `when` names.
    pub exit_codes: Vec<(u8, u8)>,
    /// After so many restarts without a quiet time of `reset_after` it is given up: its exit then counts as if there were no policy. None: never.
    pub max_attempts: Option<u32>,
    /// Pause before the first restart; each further one doubles it. At least 1 ms.
    pub delay: Duration,
    /// The pause never gets longer.
    pub max_delay: Duration,
    /// Having run for so long, it counts as new: pause and attempts begin again.
    pub reset_after: Duration,
    /// What is started again.
    pub scope: RestartScope,
}

impl RestartPolicy {
    /// Pause before the first restart.
    pub const DELAY: Duration = Duration::from_secs(1);
    /// Longest pause.
    pub const MAX_DELAY: Duration = Duration::from_secs(5 * 60);
    /// After so long a run it counts as new.
    pub const RESET_AFTER: Duration = Duration::from_secs(10 * 60);

    /// A policy with the usual pauses.
    #[must_use]
    pub fn new(when: RestartWhen) -> Self {
        Self {
            when,
            exit_codes: Vec::new(),
            max_attempts: None,
            delay: Self::DELAY,
            max_delay: Self::MAX_DELAY,
            reset_after: Self::RESET_AFTER,
            scope: RestartScope::Component,
        }
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self::new(RestartWhen::Never)
    }
}

/// After which exits a component is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartWhen {
    /// None.
    Never,
    /// Any but 0, and when it was killed because a probe failed.
    OnFailure,
    /// All.
    Always,
}

impl RestartWhen {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Never, Self::OnFailure, Self::Always];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "no",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

/// What a restart starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartScope {
    /// The component alone, and those that depend on it with `restart: true`.
    Component,
    /// The pod, in place: all components stop in reverse order, init components run again, all start again. The controller, its network and its task remain.
    Pod,
}

impl RestartScope {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Component, Self::Pod];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Pod => "pod",
        }
    }
}

/// Probes that the controller makes by itself, from the network that it shares with the component; no tool is needed in the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probes {
    /// Until it succeeds, neither of the others begins. Where it fails, the component counts as failed.
    pub startup: Option<Probe>,
    /// Where it fails, the component is killed and counts as failed.
    pub liveness: Option<Probe>,
    /// Where it fails, the component is not ready, and others that wait for it go on waiting.
    pub readiness: Option<Probe>,
}

impl Probes {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.startup.is_none() && self.liveness.is_none() && self.readiness.is_none()
    }
}

/// One probe. The defaults, and the meaning of every field, are those of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is looked at.
    pub check: ProbeCheck,
    /// From the start of the process, or the success of the startup probe, to the first look.
    pub initial_delay: Duration,
    /// Between the beginnings of two looks; 10 s by default, at least 100 ms.
    pub period: Duration,
    /// Between two looks until the first success; none: as `period`.
    pub start_interval: Option<Duration>,
    /// For one look; 1 s by default.
    pub timeout: Duration,
    /// So many successes in a row make a failed probe succeed; 1 by default, and always 1 for startup and liveness.
    pub success_threshold: u32,
    /// So many failures in a row make it fail; 3 by default.
    pub failure_threshold: u32,
    /// What an unready component means for the pod's health; only of a readiness probe.
    pub unready: Unready,
}

/// What a component that is not ready any more means for the pod's one health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unready {
    /// The pod is unhealthy: Swarm replaces the task, front routers leave it out.
    #[default]
    Unhealthy,
    /// The pod is degraded, which is told, and still healthy for the engine.
    Degraded,
}

/// What a probe looks at. Hosts are names or addresses; by default `127.0.0.1`, which the pod shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeCheck {
    /// A GET must answer with a status of 200 to 399; redirects are not followed.
    Http(HttpRequest),
    /// A connection must be accepted.
    Tcp {
        /// Where.
        host: String,
        /// Which port.
        port: u16,
    },
    /// The standard health service (`grpc.health.v1.Health/Check`, plaintext) must answer `SERVING`.
    Grpc {
        /// Where.
        host: String,
        /// Which port.
        port: u16,
        /// Name of the service that is asked about; empty: the server as a whole.
        service: String,
    },
    /// A command in the component must end with 0.
    Exec(Vec<String>),
}

/// One HTTP request of a probe or a lifecycle step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Over TLS, without a look at the certificate, as Kubernetes' probes do.
    pub tls: bool,
    /// Where.
    pub host: String,
    /// Which port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// For instance `GET`.
    pub method: String,
    /// More headers; `Host` among them replaces the host's own name.
    pub headers: IndexMap<String, String>,
}

/// One step of `post_start` or `pre_stop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleStep {
    /// What is done.
    pub action: LifecycleAction,
    /// How long it may take; none: [`Self::POST_START_TIMEOUT`] for `post_start`, the component's grace period for `pre_stop`.
    pub timeout: Option<Duration>,
}

impl LifecycleStep {
    /// How long a step of `post_start` may take that has no `timeout`.
    pub const POST_START_TIMEOUT: Duration = Duration::from_secs(30);
}

/// What a lifecycle step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleAction {
    /// Runs a command in the component; it must end with 0.
    Exec(ExecCommand),
    /// Sends a request, which must be answered with a status below 400.
    Http(HttpRequest),
    /// Waits.
    Sleep(Duration),
}

/// A command to run in a component that runs already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecCommand {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `user[:group]`; none: the component's.
    pub user: Option<String>,
    /// All capabilities.
    pub privileged: bool,
    /// Absolute path; none: the component's.
    pub working_dir: Option<String>,
    /// More variables, as `NAME=value`.
    pub environment: Vec<String>,
}

impl ExecCommand {
    /// A command that runs as the component itself does.
    #[must_use]
    pub fn new(command: impl Into<Vec<String>>) -> Self {
        Self { command: command.into(), ..Self::default() }
    }
}
