//! Commands that take stack files with templates.

use std::path::PathBuf;

use clap::Args;

/// How templates are rendered.
#[derive(Debug, Clone, Args)]
pub struct RenderArgs {
    /// The controller's image where no template names one [default: `outrigger:VERSION`, or OUTRIGGER_IMAGE]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// How long fetching one template over HTTP may take
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub http_timeout: String,
}

/// Of `template`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Several files are merged as `docker stack deploy -c A -c B` merges them. Variables (`${TAG}`) and `$$` are left as they are: docker replaces them when
the result is deployed. Relative paths of templates are taken from the folder of the first file, those of standard input from the working directory."
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
    /// Remove services that the files no longer have
    #[arg(long)]
    pub prune: bool,
    /// Give the registry's credentials to the nodes
    #[arg(long)]
    pub with_registry_auth: bool,
    /// Ask the registry for the images' digests: always, changed or never
    #[arg(long, value_name = "WHEN")]
    pub resolve_image: Option<String>,
    /// Return as soon as the services are changed; without it, their updates are followed to their end or their rollback
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub detach: Option<String>,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Of `deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
The rendered file goes to `docker stack deploy -c - STACK` on standard input. docker runs in the folder of the first FILE, so that relative paths in it
mean what they mean to docker itself. If docker fails, its exit code becomes this one's; if the file has problems, docker is not called, and the code is 1.
The command then prints what has changed in which service, such as the image of a component, and follows each update until Swarm has completed it (exit code 0), has
rolled it back or paused it, or makes no progress any more (exit code 1). An update goes on if this command is interrupted.")]
pub struct DeployArgs {
    /// A stack file, with or without templates; repeatable; `-` is standard input
    #[arg(short = 'c', long = "compose-file", value_name = "FILE", required = true, value_delimiter = ',')]
    pub files: Vec<PathBuf>,
    /// What docker is told.
    #[command(flatten)]
    pub docker: DockerArgs,
    /// Print what would be deployed, and deploy nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Deploy without checking the pods first
    #[arg(long)]
    pub no_check: bool,
    /// How long an update may make no progress before it counts as failed; the service's own `delay` and `monitor` come on top
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub progress_deadline: String,
    /// How.
    #[command(flatten)]
    pub render: RenderArgs,
    /// Name of the stack
    #[arg(value_name = "STACK")]
    pub stack: String,
}
