//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Flags;

const ABOUT: &str =
    "Runs a pod: one application and its supporting components as one container, on plain Docker, Compose and Swarm";

const LONG_ABOUT: &str = "\
Outrigger runs a pod: an application together with its supporting components, as one container of plain Docker, Compose or Swarm.

Without a sub-command it is the controller: it runs inside a container, reads that container's `pod.*` labels, starts the components they
describe beside itself, in one network, and stops them all when one of them ends or when it is told to. WebAssembly plugins, named in the
label `pod.plugins`, take part: they route, collect logs, reload configuration and judge health.

With a sub-command it helps you at your own prompt: `check` and `plan` need nothing but a file.";

const AFTER_HELP: &str = "\
Examples:
  outrigger check stack.yml            find every mistake in a stack file, before it is deployed
  outrigger plan pod.yaml              see what a pod would do: waves, containers, limits, plugins
  outrigger run pod.yaml               run it on the local engine, in the foreground; Ctrl-C stops it
  docker inspect web | outrigger plan -
  outrigger deploy -c stack.yml shop   render templates, check, and `docker stack deploy`
  outrigger ps                         see the pods of this engine; then `logs -f web`, `status web`
  docker exec web /outrigger status

Exit codes:
  0        success; the pod was stopped, or its deciding component ended with 0
  1        the input has problems (`check`, `plan`, bad labels); `healthcheck`: not healthy
  2        the command line, an OUTRIGGER_ variable or the policy file is wrong
  125      the controller, or the command, failed itself: engine, image or plugin; or the deciding component failed
           without a code of its own: it could not be started, or a probe failed
  128+n    signal n ended the pod while it was still starting
  137      the pod was stopped, and something in it had to be killed
  other    the deciding component's own exit code, unchanged

Environment:
  OUTRIGGER_PIDS, _IPC, _VOLUMES, _LOGS, _PULL, _SELF, _STATE_DIR, _PLUGIN_DIR, _CACHE_DIR, _LOG_FORMAT,
  _KEEP_FAILED, _KEEP_FAILED_FOR, _CGROUP_MODE
                       as the flags of these names, which win
  OUTRIGGER_LOG        as --log-level
  OUTRIGGER_IMAGE      as --image of `template` and `deploy`
  OUTRIGGER_TIMEOUTS   as --timeout, with commas between: `pull=30m,hook=1s`
  OUTRIGGER_ALLOW, _DENY, _IMAGES
                       as the flags of these names, with commas between
  DOCKER_HOST          address of the engine: unix:///var/run/docker.sock
  DOCKER_TLS_VERIFY, DOCKER_CERT_PATH
                       TLS for tcp:// addresses, with ca.pem, cert.pem and key.pem of that directory
  DOCKER_CONFIG        directory of the config.json with the registries' credentials
  NO_COLOR             no colours, whatever the terminal can

For the pod of a FILE, `check` and `plan` do not take the OUTRIGGER_ variables from here: the controller's are those of
`controller.environment`, or of the service, in the file; anything else is said with flags.

Flags may be written as Go programs take them: `-pids=false`, `--pids=0`, `-logs`.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "outrigger", version, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, args_override_self = true)]
pub struct Cli {
    /// Those of the controller.
    #[command(flatten)]
    pub flags: ControllerFlags,
    /// What to do; the controller without one.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The controller's flags alone, as `controller.flags` of a `pod.yaml` holds them.
#[derive(Debug, Parser)]
#[command(name = "controller.flags", no_binary_name = true, args_override_self = true, disable_help_flag = true)]
pub struct OnlyFlags {
    /// All of them.
    #[command(flatten)]
    pub flags: ControllerFlags,
}

/// Flags of the controller. Values stay text here: [`crate::config::lower()`] reports all that is wrong at once.
#[derive(Debug, Clone, Default, Args)]
pub struct ControllerFlags {
    /// Share one PID namespace [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pids: Option<String>,
    /// Share one IPC namespace [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ipc: Option<String>,
    /// Give the components the controller's mounts, the engine's socket excepted [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub volumes: Option<String>,
    /// Stream the components' output to standard output [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub logs: Option<String>,
    /// Always pull images, even where the engine has them [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pull: Option<String>,
    /// Id or name of the controller's own container, where it can't be found out
    #[arg(long = "self", value_name = "ID")]
    pub own_id: Option<String>,
    /// Where the admin socket and the plugins' state live [default: /var/lib/outrigger]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
    /// Where stock plugins that were compiled ahead of time lie [default: /plugins]
    #[arg(long, value_name = "DIR")]
    pub plugin_dir: Option<String>,
    /// Where plugins compiled by this controller are kept [default: /var/cache/outrigger]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<String>,
    /// Form of the components' lines: text, json or plain; json is the controller's own too [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What the controller itself logs: off, error, warn, info, debug, trace, or a list with target=level [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// What components may have beyond the default, as subject[=pattern]; repeatable; docs/security.md lists the subjects
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
    /// What components may not have, as subject[=pattern]; repeatable; it wins over --allow
    #[arg(long, value_name = "RULE")]
    pub deny: Vec<String>,
    /// Which images components may have, as a pattern; repeatable; any where none is given
    #[arg(long, value_name = "PATTERN")]
    pub images: Vec<String>,
    /// How many failed components of a service remain for a look, stopped and renamed [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub keep_failed: Option<String>,
    /// For how long they remain [default: 1h]
    #[arg(long, value_name = "DURATION")]
    pub keep_failed_for: Option<String>,
    /// Where the components' cgroups are: auto, inherit, slice, tree, nested or divided; docs/engines.md explains them [default: auto]
    #[arg(long, value_name = "MODE")]
    pub cgroup_mode: Option<String>,
    /// A deadline, as name=duration; repeatable; `outrigger plan --timeouts` lists them
    #[arg(long = "timeout", value_name = "NAME=DURATION")]
    pub timeouts: Vec<String>,
}

impl From<ControllerFlags> for Flags {
    fn from(typed: ControllerFlags) -> Self {
        Self {
            pids: typed.pids,
            ipc: typed.ipc,
            volumes: typed.volumes,
            logs: typed.logs,
            pull: typed.pull,
            keep_failed: typed.keep_failed,
            keep_failed_for: typed.keep_failed_for,
            cgroup_mode: typed.cgroup_mode,
            own_id: typed.own_id,
            state_dir: typed.state_dir,
            plugin_dir: typed.plugin_dir,
            cache_dir: typed.cache_dir,
            log_format: typed.log_format,
            log_level: typed.log_level,
            allow: typed.allow,
            deny: typed.deny,
            images: typed.images,
            timeouts: typed.timeouts,
        }
    }
}

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pod.yaml on the local engine, in the foreground
    Run(RunArgs),
    /// Print what a pod would do, without an engine
    Plan(PlanArgs),
    /// Find every mistake of a pod, without an engine
    Check(CheckArgs),
    /// Print a stack file whose templates (`x-podlike`, `x-outrigger`) have become pods
    Template(TemplateArgs),
    /// Render a stack file's templates, check it, and hand it to `docker stack deploy`
    Deploy(DeployArgs),
    /// Exit with 0 where the pod is healthy, with 1 and the reasons where it is not
    Healthcheck(HealthcheckArgs),
    /// Show the pod's components, plugins and health
    Status(StatusArgs),
    /// List the pods of this engine
    Ps(PsArgs),
    /// Show the output of a pod's components and of its controller
    Logs(LogsArgs),
    /// Follow what happens to pods: starts, exits, health, removals
    Events(EventsArgs),
    /// Run a shell in a pod's network and namespaces, through the `docker` command
    Debug(DebugArgs),
    /// Look at plugins, or compile them ahead of time
    Plugin {
        /// What to do with them.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Print the JSON Schema of pod.yaml, or of a label's value, for editors
    Schema(SchemaArgs),
    /// Hold an IPC namespace until told to end
    #[command(hide = true)]
    Pause,
    /// Print the script by which a shell completes
    Completions(CompletionsArgs),
    /// Print the version and what it was built with
    Version(VersionArgs),
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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

/// Flags of `docker stack deploy`, which go there as they are.
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
    /// Return at once, or wait until the services have converged; needs docker 26 or newer
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub detach: Option<String>,
    /// Print less; needs docker 26 or newer
    #[arg(short, long)]
    pub quiet: bool,
}

/// Of `deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
The rendered file goes to `docker stack deploy -c - STACK` on standard input. docker runs in the folder of the first FILE, so that relative paths in it
mean what they mean to docker itself. docker's exit code becomes this one's; where the file has problems, docker is not called and it is 1.")]
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
    /// How.
    #[command(flatten)]
    pub render: RenderArgs,
    /// Name of the stack
    #[arg(value_name = "STACK")]
    pub stack: String,
}

/// Of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// The controller's state directory, where it was given with a flag
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
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
#[derive(Debug, Args)]
#[command(after_help = "\
The lines come from the engine's logs of the controller (`controller`) and of each component, in the order of their times. Lines that the controller has
passed on from a component are shown once. A log driver that keeps nothing to read is told on standard error.")]
pub struct LogsArgs {
    /// Name, id or service of the pod; the only one that runs where it is left out
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
    /// Print a JSON object for each line
    #[arg(long)]
    pub json: bool,
}

/// Of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Name, id or service of the pod; all pods where it is left out
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
    /// Name, id or service of the pod; the only one that runs where it is left out
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

/// Of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(outrigger completions bash)
  outrigger completions zsh >\"${fpath[1]}/_outrigger\"
  outrigger completions fish >~/.config/fish/completions/outrigger.fish")]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: ShellName,
}

/// The shells that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellName {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name, id or service of the pod, asked through the engine
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

/// What can be done with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show what a plugin is, which hooks it has, what it asks for and how it is configured
    Inspect(InspectArgs),
    /// Compile plugins to machine code ahead of time
    Compile(CompileArgs),
}

/// Of `plugin inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A .wasm file, or the name of a stock plugin
    #[arg(value_name = "FILE|NAME")]
    pub plugin: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Of `plugin compile`.
#[derive(Debug, Args)]
pub struct CompileArgs {
    /// Where the .cwasm files go; made where it does not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The .wasm files; the stock plugins where none is given
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Lets `-pids=false` be `--pids=false`, as Go programs take it: one dash before a word of two letters or more becomes two. Nothing behind `--` is touched.
#[must_use]
pub fn normalise(argv: Vec<OsString>) -> Vec<OsString> {
    let mut literal = false;
    argv.into_iter()
        .map(|argument| {
            literal |= argument == "--";
            match argument.to_str() {
                Some(text) if !literal && is_go_flag(text) => OsString::from(format!("-{text}")),
                _ => argument,
            }
        })
        .collect()
}

fn is_go_flag(text: &str) -> bool {
    let Some(word) = text.strip_prefix('-') else { return false };
    let word = word.split('=').next().unwrap_or_default();
    word.len() >= 2 && word.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn normalised(argv: &[&str]) -> Vec<String> {
        normalise(argv.iter().map(Into::into).collect()).into_iter().map(|a| a.into_string().unwrap()).collect()
    }

    fn parsed(argv: &[&str]) -> Result<Cli, clap::Error> {
        let argv: Vec<OsString> = std::iter::once("outrigger").chain(argv.iter().copied()).map(Into::into).collect();
        Cli::try_parse_from(normalise(argv))
    }

    #[test]
    fn the_parser_is_consistent() {
        Cli::command().debug_assert();
        OnlyFlags::command().debug_assert();
    }

    #[test]
    fn one_dash_is_two_but_only_before_words() {
        assert_eq!(
            normalised(&["-pids=false", "--ipc", "-h", "-", "plan", "-json", "-1", "--", "-logs"]),
            ["--pids=false", "--ipc", "-h", "-", "plan", "--json", "-1", "--", "-logs"]
        );
    }

    #[test]
    fn flags_without_a_value_are_true_and_never_take_the_next_word() {
        let cli = parsed(&["-logs", "-pids=F", "--volumes=1", "-state-dir", "/x"]).unwrap();
        assert_eq!(cli.flags.logs.as_deref(), Some("true"));
        assert_eq!(cli.flags.pids.as_deref(), Some("F"));
        assert_eq!(cli.flags.volumes.as_deref(), Some("1"));
        assert_eq!(cli.flags.state_dir.as_deref(), Some("/x"));
        assert!(parsed(&["-logs", "false"]).is_err(), "Go's boolean flags take no separate value");
    }

    #[test]
    fn the_last_of_a_repeated_flag_wins_and_timeouts_add_up() {
        let cli = parsed(&["-pids", "-pids=false", "-timeout", "hook=1s", "--timeout=pull=2m"]).unwrap();
        assert_eq!(cli.flags.pids.as_deref(), Some("false"));
        assert_eq!(cli.flags.timeouts, ["hook=1s", "pull=2m"]);
    }

    #[test]
    fn the_controllers_flags_go_with_no_sub_command() {
        assert!(parsed(&["-pids", "status"]).is_err());
        assert!(parsed(&["extra"]).is_err());
    }

    #[test]
    fn plan_needs_a_source_unless_only_the_deadlines_are_asked_for() {
        assert!(parsed(&["plan"]).is_err());
        assert!(parsed(&["plan", "--timeouts"]).is_ok());
        assert!(parsed(&["plan", "-"]).is_ok());
        assert!(parsed(&["plan", "--container", "web"]).is_ok());
        assert!(parsed(&["plan", "-", "--container", "web"]).is_err());
        assert!(parsed(&["plan", "-", "-timeout", "hook=1s", "-pids=false"]).is_ok());
        assert!(parsed(&["check"]).is_err());
    }
}
