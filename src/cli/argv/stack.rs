//! Commands that take stack files with templates.

use std::path::PathBuf;

use clap::Args;

use crate::config::values::boolean;

/// How templates are rendered.
#[derive(Debug, Clone, Args)]
pub struct RenderArgs {
    /// Image of the controller if no template names one [default: `outrigger:VERSION`, or OUTRIGGER_IMAGE]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Timeout for fetching one template over HTTP
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub http_timeout: String,
}

/// Of `template`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
The command merges several files as `docker stack deploy -c A -c B` does. It does not replace variables (`${TAG}`) and `$$`: docker does that when you
deploy the result. Relative paths of templates start at the directory of the first file, or at the working directory for standard input."
)]
pub struct TemplateArgs {
    /// The stack files; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// How.
    #[command(flatten)]
    pub render: RenderArgs,
}

/// Flags of `docker stack deploy`.
#[derive(Debug, Clone, Args)]
pub struct DockerArgs {
    /// Remove services that are no longer in the files
    #[arg(long)]
    pub prune: bool,
    /// Send the registry credentials to the nodes
    #[arg(long)]
    pub with_registry_auth: bool,
    /// When docker resolves images to digests at the registry: always, changed or never
    #[arg(long, value_name = "WHEN")]
    pub resolve_image: Option<String>,
    /// Exit as soon as the services are changed, instead of following them until their updates complete or roll back
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = boolean)]
    pub detach: Option<bool>,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Of `deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
The command passes the rendered file to `docker stack deploy -c - STACK` on standard input. docker runs in the directory of the first FILE, so relative
paths in the file have their usual meaning. If docker fails, the command exits with docker's exit code. If the file has problems, the command exits with 1 and does not start docker.
After that, the command prints the changes of each service, as `old -> new`, and follows every service of the files, also an unchanged one. The exit code is 0 if Swarm completes the
update, if all tasks run, or if a batch service or a job completes. The exit code is 1 if Swarm rolls the update back or pauses it, if a task fails and the restart policy starts
no other task, or if a service makes no progress. If you interrupt the command, the update continues.")]
pub struct DeployArgs {
    /// A stack file, with or without templates; repeatable; `-` is standard input
    #[arg(short = 'c', long = "compose-file", value_name = "FILE", required = true, value_delimiter = ',')]
    pub files: Vec<PathBuf>,
    /// What docker is told.
    #[command(flatten)]
    pub docker: DockerArgs,
    /// Print the rendered stack file, with variables as they are written, and deploy nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With `--dry-run`, print the values of the variables that `deploy` replaces itself; they may be secrets
    #[arg(long, requires = "dry_run")]
    pub show_values: bool,
    /// Deploy without checking the pods first
    #[arg(long)]
    pub no_check: bool,
    /// Time without progress after which a service counts as failed; the service's own `delay` and `monitor` are added
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub progress_deadline: String,
    /// How.
    #[command(flatten)]
    pub render: RenderArgs,
    /// Name of the stack
    #[arg(value_name = "STACK")]
    pub stack: String,
}
