//! Commands that look at pods that run.

use std::path::PathBuf;

use clap::Args;

/// Of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// The controller's state directory, where it was given with a flag
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Wait until there is something new to report: a pod that starts is healthy, one that is healthy no longer is. The image's HEALTHCHECK does
    #[arg(long)]
    pub wait: bool,
}

/// Of `ps`.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Show stopped pods too
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
The lines are those of the controller's own stream: what plugins such as `redact` made of them. With --raw they come from the components' own logs, which no
plugin has seen; the engine's log drivers must keep them. The controller's own log is shown as `controller`. Lines of several logs are in the order of their times.")]
pub struct LogsArgs {
    /// Name or id of the pod, a replica (`web.2`), or a service, stack or project with all its replicas here; the only pod that runs without it
    #[arg(value_name = "POD")]
    pub pod: Option<String>,
    /// Stay, and show new lines until the pod has ended
    #[arg(short, long)]
    pub follow: bool,
    /// At most so many of the last lines of each component
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u64>,
    /// Nothing older: how long ago (`10m`), or a time (`2026-01-31T12:00:00Z`)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Print the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Only this component; repeatable; `controller` is the controller itself
    #[arg(short, long = "component", value_name = "NAME")]
    pub components: Vec<String>,
    /// Show the components' own logs, as they wrote them and no plugin has seen them
    #[arg(long)]
    pub raw: bool,
    /// Print a JSON object for each line
    #[arg(long)]
    pub json: bool,
}

/// Of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Name or id of the pod, a replica (`web.2`), or a service, stack or project with all its replicas here; all pods without it
    #[arg(value_name = "POD")]
    pub pod: Option<String>,
    /// What has happened since too: how long ago (`10m`), or a time (`2026-01-31T12:00:00Z`)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Print a JSON object for each event
    #[arg(long)]
    pub json: bool,
}

/// Of `debug`.
#[derive(Debug, Args)]
#[command(after_help = "\
The container is removed when the command ends; its exit code becomes this one's. It has the label `outrigger.debug` with the pod's name.")]
pub struct DebugArgs {
    /// Name or id of the pod, a replica (`web.2`), or a service with one; the only pod that runs without it
    #[arg(value_name = "POD")]
    pub pod: Option<String>,
    /// Join this component's namespaces, and mount its volumes
    #[arg(short, long, value_name = "NAME")]
    pub component: Option<String>,
    /// What to run it from
    #[arg(long, value_name = "IMAGE", default_value = "busybox")]
    pub image: String,
    /// The command [default: sh]
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name or id of the pod, a replica (`web.2`), or a service, stack or project with all its replicas here, asked through the engine
    #[arg(value_name = "POD", conflicts_with_all = ["container", "state_dir"])]
    pub pod: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Ask the controller in this container of the engine
    #[arg(long, value_name = "NAME", conflicts_with = "state_dir")]
    pub container: Option<String>,
    /// The controller's state directory, where it was given with a flag
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}
