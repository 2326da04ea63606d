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

// Each paragraph is one line: clap breaks the lines at the width of the terminal.
const LONG_ABOUT: &str = "\
Outrigger runs a pod: an application together with its supporting components, as one container of plain Docker, Compose or Swarm.

Without a sub-command, `outrigger` is the controller. The controller runs inside a container and reads the `pod.*` labels of that container. \
It starts the components that the labels describe beside itself, in one network. It stops all components when one of them ends or when it \
receives a stop signal. The label `pod.plugins` names WebAssembly plugins, which check and reload configuration, filter log lines, translate \
signals and judge health.

The sub-commands are for your own prompt. `check` and `plan` need only a file.";

const AFTER_HELP: &str = "\
Examples:
  outrigger check stack.yml            report every mistake in a stack file before you deploy it
  outrigger plan pod.yaml              show the plan of a pod: waves, containers, limits, plugins
  outrigger run pod.yaml               run a pod on the local engine, in the foreground; Ctrl-C stops it
  docker inspect web | outrigger plan -
  outrigger deploy -c stack.yml shop   render the templates, check the result, and deploy it
  outrigger ps                         list the pods of this engine; then `logs -f web`, `status web`
  docker exec web /outrigger status

Exit codes:
  0        success; the pod was stopped, or its deciding component exited with 0
  1        the input has problems (`check`, `plan`, wrong labels); `healthcheck`: the pod is not healthy; `deploy`: an update
           was rolled back, was paused or made no progress, or a service does not run as it should, even if unchanged
  2        the command line, an OUTRIGGER_ variable or the policy file is wrong
  125      the controller or the command failed because of the engine, an image or a plugin; or the deciding component
           failed without an exit code of its own: it could not start, or a probe failed
  128+n    signal n ended the pod during its start
  137      the pod was stopped, and at least one of its processes was killed
  other    the deciding component's own exit code, unchanged

Environment:
  OUTRIGGER_PIDS, _IPC, _VOLUMES, _LOGS, _PULL, _SELF, _STATE_DIR, _PLUGIN_DIR, _CACHE_DIR, _LOG_FORMAT,
  _KEEP_FAILED, _KEEP_FAILED_FOR, _CGROUP_MODE, _METRICS
                       the same as the flags of these names; a flag wins over its variable
  OUTRIGGER_LOG        the same as --log-level
  OUTRIGGER_IMAGE      the same as --image of `template` and `deploy`
  OUTRIGGER_TIMEOUTS   the same as --timeout, separated by commas: `pull=30m,hook=1s`
  OUTRIGGER_ALLOW, _DENY, _IMAGES
                       the same as the flags of these names, separated by commas
  DOCKER_HOST          address of the engine: unix:///var/run/docker.sock
  DOCKER_TLS_VERIFY, DOCKER_CERT_PATH
                       TLS for tcp:// addresses, and the directory of ca.pem, cert.pem and key.pem
  DOCKER_CONFIG        directory of the config.json with the registries' credentials
  NO_COLOR             print no colours

For the pod in a FILE, `check` and `plan` ignore the OUTRIGGER_ variables of this shell. They use the variables in the file, from
`controller.environment` or from the service; flags change the other settings.

The notation of Go programs also works for flags: `-pids=false`, `--pids=0`, `-logs`.";

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
    /// Report every mistake in a pod, without an engine
    Check(CheckArgs),
    /// Render the templates of a stack file (`x-podlike`, `x-outrigger`), and print the result
    Template(TemplateArgs),
    /// Render and check a stack file, and pass the result to `docker stack deploy`
    Deploy(DeployArgs),
    /// Exit with 0 if the pod is healthy; otherwise print the reasons and exit with 1
    Healthcheck(HealthcheckArgs),
    /// Show the pod's components, plugins and health
    Status(StatusArgs),
    /// List the pods of this engine
    Ps(PsArgs),
    /// Show the output of a pod's components and of its controller
    Logs(LogsArgs),
    /// Follow the events of pods: starts, exits, health changes, removals, rollouts
    Events(EventsArgs),
    /// Run a shell in a pod's network and namespaces, through the `docker` command
    Debug(DebugArgs),
    /// Inspect plugins, or compile them ahead of time
    Plugin {
        /// What to do with them.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Print the JSON Schema of pod.yaml, or of a label's value, for editors
    Schema(SchemaArgs),
    /// Hold an IPC namespace until a signal arrives
    #[command(hide = true)]
    Pause,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the version and build details
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
    use clap::error::ErrorKind;

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

    /// Whoever copies a command from the documentation has it accepted: those of blocks as they are, those in sentences as far as they are written.
    #[test]
    fn every_command_in_the_documentation_is_one() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
        let of_a_part = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
        let (mut whole, mut named) = (0, 0);
        for page in pages.chain([root.join("README.md")]).filter(|page| page.extension().is_some_and(|it| it == "md")) {
            let text = std::fs::read_to_string(&page).unwrap();
            let mut in_block = false;
            for line in text.lines() {
                if line.trim_start().starts_with("```") {
                    in_block = !in_block && ["```sh", "```console"].contains(&line.trim());
                    continue;
                }
                let spans: Vec<&str> = if in_block { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
                for span in spans {
                    // The command alone, of a line with a pipe, a redirection or a comment.
                    let alone = span.split(['|', '#', '>']).find(|part| part.trim().starts_with("outrigger "));
                    let Some(command) = alone.filter(|part| !part.contains(['[', '<', '…'])) else { continue };
                    let argv = shell_words::split(&command.trim().replace("SHELL", "bash")).unwrap();
                    if argv.iter().any(|word| word == "COMMAND") {
                        continue;
                    }
                    let argv: Vec<&str> = argv[1..].iter().map(String::as_str).collect();
                    match parsed(&argv) {
                        Ok(_) => {}
                        // Help, or the version.
                        Err(error) if !error.use_stderr() => {}
                        Err(error) if !in_block && of_a_part.contains(&error.kind()) => {}
                        Err(error) => panic!("{}: `{command}`: {error}", page.display()),
                    }
                    whole += usize::from(in_block);
                    named += usize::from(!in_block);
                }
            }
        }
        assert!(whole >= 8 && named >= 40, "only {whole} commands in blocks, and {named} in sentences");
    }

    /// Lines that are broken here are broken once more at the width of a terminal, and then are long and short by turns.
    #[test]
    fn only_the_terminal_breaks_the_lines_of_help() {
        fn texts(command: &clap::Command, all: &mut Vec<String>) {
            let own = [command.get_long_about(), command.get_about()];
            let args = command.get_arguments().flat_map(|arg| [arg.get_long_help(), arg.get_help()]);
            all.extend(own.into_iter().chain(args).flatten().map(ToString::to_string));
            command.get_subcommands().for_each(|command| texts(command, all));
        }
        let mut all = Vec::new();
        texts(&Cli::command(), &mut all);
        assert!(all.len() > 50);
        for text in all {
            for paragraph in text.split("\n\n") {
                assert!(!paragraph.contains('\n'), "{paragraph}");
            }
        }
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
