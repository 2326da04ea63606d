//! Commands about the program itself and its plugins.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(outrigger completions bash)
  outrigger completions zsh >\"${fpath[1]}/_outrigger\"
  outrigger completions fish >~/.config/fish/completions/outrigger.fish")]
pub struct CompletionsArgs {
    /// Shell of the script
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

/// What can be done with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show a plugin's version, its hooks, the capabilities that it requests, and the schema of its configuration
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
    /// Memory that the plugin may use while it describes itself [default: 128m]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Of `plugin compile`.
#[derive(Debug, Args)]
pub struct CompileArgs {
    /// Directory for the .cwasm files; created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The .wasm files [default: the stock plugins]
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
