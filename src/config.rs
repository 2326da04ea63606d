//! Settings of the controller: flags and environment, lowered to what they mean. Pure.

use std::path::PathBuf;
use std::time::Duration;

/// How the in-container controller behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the components share the controller's PID namespace (`-pids`).
    pub pids: Sharing,
    /// Whether the components share one IPC namespace (`-ipc`).
    pub ipc: Sharing,
    /// Whether the components get the controller's mounts, the engine's socket and credentials excepted (`-volumes`).
    pub volumes: Sharing,
    /// Whether the components' output goes to the controller's standard output (`-logs`).
    pub logs: Output,
    /// When images are pulled (`-pull`).
    pub pull: Pull,
    /// The controller's own container id, where it was given (`--self`, `OUTRIGGER_SELF`).
    pub own_id: Option<String>,
    /// Where the admin socket and the plugins' state live.
    pub state_dir: PathBuf,
    /// Where stock plugins that were compiled ahead of time lie.
    pub plugin_dir: PathBuf,
    /// Where plugins compiled by this controller are kept.
    pub cache_dir: PathBuf,
    /// Every deadline there is.
    pub timeouts: Timeouts,
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

/// When images are pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Only where the engine does not have the image.
    Missing,
    /// Always; a failure is an error even where an older image is there.
    Always,
}

/// Every deadline, by name. All can be seen with `outrigger plan --timeouts`.
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            pids: Sharing::Shared,
            ipc: Sharing::Shared,
            volumes: Sharing::Private,
            logs: Output::Streamed,
            pull: Pull::Missing,
            own_id: None,
            state_dir: PathBuf::from("/var/lib/outrigger"),
            plugin_dir: PathBuf::from("/plugins"),
            cache_dir: PathBuf::from("/var/cache/outrigger"),
            timeouts: Timeouts::default(),
        }
    }
}
