//! What can be typed.

mod controller;
mod engine;
mod own;
mod pod;
mod stack;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use self::controller::ControllerFlags;
pub use self::engine::{DebugArgs, EventsArgs, HealthcheckArgs, LogsArgs, PsArgs, StatusArgs};
pub use self::own::{CompileArgs, CompletionsArgs, InspectArgs, PluginCommand, ShellName, VersionArgs};
pub use self::pod::{CheckArgs, InputArgs, PlanArgs, PlanInput, RunArgs, SchemaArgs, SchemaPart};
pub use self::stack::{DeployArgs, DockerArgs, RenderArgs, TemplateArgs};

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
  1        the input has problems (`check`, `plan`, bad labels); `healthcheck`: not healthy; `deploy`: an update was rolled
           back, was stopped half-way or made no progress
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
