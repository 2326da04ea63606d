//! `outrigger completions`: what a shell completes by.

use clap::CommandFactory;
use clap_complete::Shell;

use super::argv::{Cli, CompletionsArgs, ShellName};
use super::output;
use super::report::{Exit, Report};

/// Prints the script for a shell.
pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Report> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "outrigger", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
