//! Commands that take a pod.yaml, or what stands for one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ControllerFlags;

/// Of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
For the YAML extension of VS Code and other editors with yaml-language-server: `outrigger schema > pod.schema.json`, and as the first line of pod.yaml
`# yaml-language-server: $schema=pod.schema.json`.")]
pub struct SchemaArgs {
    /// What to print the schema of
    #[arg(value_enum, value_name = "PART", default_value_t = SchemaPart::Pod)]
    pub part: SchemaPart,
}

/// What there is a schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaPart {
    /// A pod.yaml
    Pod,
    /// The value of `pod.component.<name>`
    Component,
    /// The value of `pod.init.components`
    Init,
    /// The value of `pod.copy.<component>`
    Copy,
    /// The value of `pod.plugins`
    Plugins,
    /// The value of `pod.options`
    Options,
    /// The value of `pod.volumes`
    Volumes,
    /// The value of `pod.stop_grace_period`
    StopGracePeriod,
}

/// Where a pod comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct InputArgs {
    /// A pod.yaml, a stack or Compose file, or the JSON of `docker inspect`; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "container", conflicts_with = "container")]
    pub file: Option<PathBuf>,
    /// Take the labels of this container of the engine instead
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

/// Of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
The controller container gets the labels that the file stands for, the engine's socket, and what `controller:` in the file says.
SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 go to the pod; its exit code becomes this one's; the container is removed afterwards.")]
pub struct RunArgs {
    /// The pod.yaml; relative sources of volumes and plugins are taken from its folder; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Leave it running and print the container's id
    #[arg(short, long)]
    pub detach: bool,
    /// Name of the container, and of the pod
    #[arg(long)]
    pub name: Option<String>,
    /// Print a JSON object with its id, name and exit code: as the last line when it has ended, or at once with --detach
    #[arg(long)]
    pub json: bool,
}

/// Of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Where it comes from.
    #[command(flatten)]
    pub input: PlanInput,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The operator's policy, as the controller would have it in /etc/outrigger/policy.yaml
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The controller's flags, as it would get them.
    #[command(flatten, next_help_heading = "Flags of the controller to plan with")]
    pub flags: ControllerFlags,
}

/// Where the pod of `plan` comes from: nowhere where only the deadlines are asked for.
#[derive(Debug, Args)]
pub struct PlanInput {
    /// A pod.yaml, a stack or Compose file, or the JSON of `docker inspect`; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["container", "show_timeouts"], conflicts_with = "container")]
    pub file: Option<PathBuf>,
    /// Take the labels of this container of the engine instead
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// List every deadline that is in force; needs no FILE
    #[arg(long = "timeouts", id = "show_timeouts")]
    pub timeouts: bool,
}

/// Of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where it comes from.
    #[command(flatten)]
    pub input: InputArgs,
    /// Tell every place where this will behave otherwise than with podlike
    #[arg(long, conflicts_with = "container")]
    pub podlike: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The operator's policy, as the controller would have it in /etc/outrigger/policy.yaml
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The controller's flags, as it would get them.
    #[command(flatten, next_help_heading = "Flags of the controller to check with")]
    pub flags: ControllerFlags,
}
