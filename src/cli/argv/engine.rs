//! Commands that look at pods that run.

use std::path::PathBuf;

use clap::Args;

/// Of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// State directory of the controller, if the controller has --state-dir
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Wait until the health changes: until a starting pod is healthy, or a healthy pod is not. The image's HEALTHCHECK uses this flag
    #[arg(long)]
    pub wait: bool,
}

/// Of `ps`.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Also list stopped pods
    #[arg(short, long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Of `logs`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Debug, Args)]
#[command(after_help = "\
The lines come from the controller's own stream, after plugins such as `redact` have filtered them. With --raw, the lines come from the components' own logs,
before any plugin filters them; this needs log drivers that the engine can read. The controller's own log has the name `controller`. All lines are sorted by time.")]
pub struct LogsArgs {
    /// Name or id of the pod; a replica (`web.2`); or a service, stack or project, which means all its replicas on this engine [default: the only running pod]
    #[arg(value_name = "POD")]
    pub pod: Option<String>,
    /// Follow: show new lines until the pod ends
    #[arg(short, long)]
    pub follow: bool,
    /// Show the last run that has ended of each replica, also if another run is active; for instance of a task that failed in an update
    #[arg(short, long, conflicts_with = "follow")]
    pub previous: bool,
    /// Show at most this number of lines of each component, the last ones
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u64>,
    /// Show no older lines; a duration before now (`10m`), a time (`2026-01-31T12:00:00Z`; UTC without a zone), or seconds since the Unix epoch
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Show no newer lines; takes the same values as `--since`
    #[arg(long, value_name = "WHEN", conflicts_with = "follow")]
    pub until: Option<String>,
    /// Print the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show only this component; repeatable; `controller` means the controller's own log
    #[arg(short, long = "component", value_name = "NAME")]
    pub components: Vec<String>,
    /// Show the components' own logs, before any plugin filters them
    #[arg(long)]
    pub raw: bool,
    /// Print a JSON object for each line
    #[arg(long)]
    pub json: bool,
}

/// Of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Name or id of the pod; a replica (`web.2`); or a service, stack or project, which means all its replicas on this engine [default: all pods]
    #[arg(value_name = "POD")]
    pub pod: Option<String>,
    /// Also show earlier events; a duration before now (`10m`), a time (`2026-01-31T12:00:00Z`; UTC without a zone), or seconds since the Unix epoch
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Print a JSON object for each event
    #[arg(long)]
    pub json: bool,
}

/// Of `debug`.
#[derive(Debug, Args)]
#[command(after_help = "\
When the command ends, the engine removes the container, and `outrigger debug` exits with the exit code of the command.\nThe container has the label `outrigger.debug`, whose value is the pod's name.")]
pub struct DebugArgs {
    /// Name or id of the pod; a replica (`web.2`); or a service with only one replica on this engine [default: the only running pod]
    #[arg(value_name = "POD")]
    pub pod: Option<String>,
    /// Join this component's namespaces, and mount its volumes
    #[arg(short, long, value_name = "NAME")]
    pub component: Option<String>,
    /// Image of the new container
    #[arg(long, value_name = "IMAGE", default_value = "busybox")]
    pub image: String,
    /// Command to run [default: sh]
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name or id of the pod; a replica (`web.2`); or a service, stack or project, which means all its replicas on this engine [default: the only running pod]
    #[arg(value_name = "POD", conflicts_with_all = ["container", "state_dir"])]
    pub pod: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Name or id of the controller's container; it needs no label
    #[arg(long, value_name = "NAME", conflicts_with = "state_dir")]
    pub container: Option<String>,
    /// State directory of the controller, if the controller has --state-dir
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}
