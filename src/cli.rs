//! The command line: what was typed, dispatched to one file for each sub-command.
//!
//! `healthcheck` and `pause` run without ever building the parser: the one may run every few seconds beside the controller, the other lives as
//! long as the pod and should cost nothing.

pub mod argv;
mod attach;
mod check;
mod completions;
mod controller;
mod debug;
mod deploy;
mod dotenv;
mod events;
mod fetch;
mod health;
mod input;
mod inspect;
mod logs;
mod merge;
mod output;
mod pause;
mod plan;
mod plugins;
mod podlike;
mod pods;
mod policy;
mod ps;
pub mod report;
mod rollouts;
pub mod run;
mod schema;
mod status;
mod template;
mod time;
mod version;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use nix::errno::Errno;

use self::argv::{Cli, Command, HealthcheckArgs, PluginCommand};
use self::report::{Exit, Report};
use crate::config::{self, Flags, Level, LineFormat, LogFilter, Settings};
use crate::engine::Engine;
use crate::engine::docker::{Access, Docker};
use crate::telemetry;

/// The environment, without what is not Unicode.
pub(crate) type Env = BTreeMap<String, String>;

/// Runs the command line and answers the exit code; `hardening` is why the process could not be made undumpable.
#[must_use]
pub fn main(argv: Vec<OsString>, env: Vec<(OsString, OsString)>, hardening: Option<Errno>) -> ExitCode {
    let env: Env = env
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let colours = telemetry::colours(env.get("NO_COLOR").map(String::as_str), env.get("TERM").map(String::as_str));
    let done = match hardening {
        Some(errno) => Err(Report::new(anyhow::Error::new(errno).context("cannot make this process undumpable"))),
        None => dispatch(argv, &env, colours),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(report) => {
            report.print(colours);
            report.exit().into()
        }
    }
}

fn dispatch(argv: Vec<OsString>, env: &Env, colours: bool) -> Result<Exit, Report> {
    let argv = argv::normalise(argv);
    match argv.get(1..).unwrap_or_default() {
        [only] if only == "pause" => return pause::run(),
        [only] if only == "healthcheck" => return health::run(None, env),
        [check, wait] if check == "healthcheck" && wait == "--wait" => return health::wait(None, env),
        _ => {}
    }
    let cli = match Cli::command().try_get_matches_from(argv).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let Some(command) = cli.command else {
        return controller::run(&cli.flags.into(), env, colours);
    };
    quiet_log(env, colours);
    match command {
        Command::Run(args) => run::run(args, env),
        Command::Plan(args) => plan::run(args, env),
        Command::Check(args) => check::run(args, env),
        Command::Template(args) => template::run(&args, env),
        Command::Deploy(args) => deploy::run(&args, env),
        Command::Healthcheck(HealthcheckArgs { state_dir, wait: false }) => health::run(state_dir.as_deref(), env),
        Command::Healthcheck(HealthcheckArgs { state_dir, wait: true }) => health::wait(state_dir.as_deref(), env),
        Command::Status(args) => status::run(args, env),
        Command::Ps(args) => ps::run(&args, env),
        Command::Logs(args) => logs::run(&args, env),
        Command::Events(args) => events::run(&args, env),
        Command::Debug(args) => debug::run(&args, env),
        Command::Completions(args) => completions::run(&args),
        Command::Plugin { command: PluginCommand::Inspect(args) } => inspect::inspect(args, env),
        Command::Plugin { command: PluginCommand::Compile(args) } => inspect::compile(args),
        Command::Schema(args) => schema::run(args.part),
        Command::Pause => pause::run(),
        Command::Version(args) => version::run(args.json, env),
    }
}

/// Help and version are answers, everything else is a mistake; the parser knows how to print both, in colour only on a terminal.
fn usage(error: &clap::Error) -> Result<Exit, Report> {
    match error.print() {
        Ok(()) => {}
        // `outrigger --help | head -1` is no failure.
        Err(broken) if broken.kind() == std::io::ErrorKind::BrokenPipe => {}
        Err(broken) => return Err(Report::new(anyhow::Error::new(broken).context("cannot print the help"))),
    }
    Ok(match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Success,
        _ => Exit::Usage,
    })
}

/// The log of commands that print something themselves: warnings, or what `OUTRIGGER_LOG` says.
fn quiet_log(env: &Env, colours: bool) {
    let filter = config::lower::log_filter(&Flags::default(), env)
        .unwrap_or(LogFilter { level: Level::Warn, targets: Vec::new() });
    // It can only fail where a log was started before, and this is the one place on this path.
    drop(telemetry::init(&filter, LineFormat::Text, colours));
}

/// The engine that the environment names, with TLS and the registries' credentials as it says.
fn engine_of(settings: &Settings, env: &Env) -> Result<Docker, Report> {
    Ok(Docker::open(Access::of(settings.engine.as_deref(), env), &settings.timeouts)?)
}

/// The engine of a command at a prompt, which has answered.
async fn engine(env: &Env) -> Result<Docker, Report> {
    let host = config::lower(&Flags::default(), env).map_err(Report::usage)?;
    let engine = engine_of(&host, env)?;
    engine.info().await?;
    Ok(engine)
}

/// Runs a future on a runtime of this thread.
fn block_on<T>(future: impl Future<Output = Result<T, Report>>) -> Result<T, Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Plugins are compiled and files read there; a second thread would only cost memory.
        .max_blocking_threads(2)
        .build()
        .context("cannot start the runtime")
        .map_err(Report::new)?;
    let done = runtime.block_on(future);
    // A task that is stuck in a blocking call (an unreachable engine) must not keep the process from ending.
    runtime.shutdown_background();
    done
}
