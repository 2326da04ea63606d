//! Commands that take a pod.yaml, or what stands for one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ControllerFlags;

/// Of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
For the YAML extension of VS Code and other editors with yaml-language-server: run `outrigger schema > pod.schema.json`, and begin pod.yaml with the line
`# yaml-language-server: $schema=pod.schema.json`.")]
pub struct SchemaArgs {
    /// Part whose schema is printed
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
    /// The manifest of a plugin
    Manifest,
    /// The setup of an instance of a plugin
    Setup,
    /// The needs of a plugin's configuration
    Needs,
    /// An event of a component, for plugins
    Event,
    /// The reaction of a plugin to an exit
    Reaction,
    /// The plan of a plugin's rollout
    Rollout,
    /// The end of a plugin's rollout
    Outcome,
    /// The pod in its current state, for plugins
    PodView,
}

/// Where a pod comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct InputArgs {
    /// A pod.yaml, a stack or Compose file, or the JSON of `docker inspect`; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "container", conflicts_with = "container")]
    pub file: Option<PathBuf>,
    /// Read the labels of this container from the engine instead of a file
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

/// Of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
The controller's container gets the labels that the file describes, the engine's socket, and the settings under `controller:` in the file.
The command passes SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 on to the pod, exits with the pod's exit code, and removes the container.")]
pub struct RunArgs {
    /// The pod.yaml; `-` is standard input. Relative paths of volumes and plugins start at the directory of the file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Leave the pod running, and print the id of the controller's container
    #[arg(short, long)]
    pub detach: bool,
    /// Name of the pod and of the controller's container
    #[arg(long)]
    pub name: Option<String>,
    /// Print a JSON object with the container's id, name and exit code: as the last line when the pod has ended, or at once with --detach
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
    /// Policy file of the operator, which the controller would read from /etc/outrigger/policy.yaml
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The controller's flags, as it would get them.
    #[command(flatten, next_help_heading = "Controller flags for the plan")]
    pub flags: ControllerFlags,
}

/// Where the pod of `plan` comes from: nowhere where only the deadlines are asked for.
#[derive(Debug, Args)]
pub struct PlanInput {
    /// A pod.yaml, a stack or Compose file, or the JSON of `docker inspect`; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["container", "show_timeouts"], conflicts_with = "container")]
    pub file: Option<PathBuf>,
    /// Read the labels of this container from the engine instead of a file
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// List every timeout that is in force; needs no FILE
    #[arg(long = "timeouts", id = "show_timeouts")]
    pub timeouts: bool,
}

/// Of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where it comes from.
    #[command(flatten)]
    pub input: InputArgs,
    /// List every difference from podlike in this file
    #[arg(long, conflicts_with = "container")]
    pub podlike: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Policy file of the operator, which the controller would read from /etc/outrigger/policy.yaml
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The controller's flags, as it would get them.
    #[command(flatten, next_help_heading = "Controller flags for the check")]
    pub flags: ControllerFlags,
}
