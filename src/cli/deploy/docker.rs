//! The `docker` command, as every call of a deployment uses it.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::follow;
use crate::cli::Env;
use crate::cli::report::Report;

/// Variables of docker's command that hold a path: it runs in another folder than this one.
const PATHS: [&str; 2] = ["DOCKER_CONFIG", "DOCKER_CERT_PATH"];

/// Where and how it runs.
pub struct DockerCommand<'a> {
    program: &'a Path,
    folder: &'a Path,
    paths: Vec<(&'static str, PathBuf)>,
}

impl<'a> DockerCommand<'a> {
    /// This program, in a folder: docker takes relative paths of what it reads from standard input from there.
    pub fn new(program: &'a Path, folder: &'a Path, env: &Env) -> Result<Self, Report> {
        let given = PATHS.iter().filter_map(|name| Some((*name, env.get(*name).filter(|path| !path.is_empty())?)));
        let absolute = |(name, path): (&'static str, &String)| {
            Ok::<_, Report>((name, std::path::absolute(path).with_context(|| format!("cannot use `{name}`"))?))
        };
        let folder = if folder.as_os_str().as_bytes().is_empty() { Path::new(".") } else { folder };
        Ok(Self { program, folder, paths: given.map(absolute).collect::<Result<_, _>>()? })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.current_dir(self.folder).stdin(Stdio::null()).envs(self.paths.iter().map(|(name, path)| (name, path)));
        command
    }

    fn failed(&self) -> String {
        format!("cannot run `{}`", self.program.display())
    }

    /// What a call prints on standard output.
    ///
    /// # Errors
    /// It can't be run, or it failed; with what it printed on standard error.
    pub fn output(&self, words: &[&str]) -> Result<String, Report> {
        let done = self.command().args(words).output().with_context(|| self.failed())?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&done.stderr);
        let called = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        Err(Report::new(anyhow!("`docker {called}` failed: {}", why.trim())))
    }

    /// Objects of a kind, by id.
    ///
    /// # Errors
    /// As [`Self::output`].
    pub fn inspect(&self, kind: &str, ids: &[&str]) -> Result<Vec<Value>, Report> {
        let words: Vec<&str> = ["inspect", "--type", kind].into_iter().chain(ids.iter().copied()).collect();
        follow::documents(&self.output(&words)?)
    }

    /// Whether `docker stack deploy` has this flag: older ones refuse what they do not know.
    pub fn has_flag(&self, flag: &str) -> bool {
        let help = self.output(&["stack", "deploy", "--help"]).unwrap_or_default();
        help.split_whitespace().any(|word| word.trim_end_matches(',') == flag)
    }

    /// Runs a call that reads `text` and prints what it likes.
    ///
    /// # Errors
    /// It can't be run, or does not read all of it although it succeeds.
    pub fn fed(&self, words: &[OsString], text: &str) -> Result<ExitStatus, Report> {
        let mut child = self.command().args(words).stdin(Stdio::piped()).spawn().with_context(|| self.failed())?;
        let written = match child.stdin.take() {
            Some(mut stdin) => stdin.write_all(text.as_bytes()),
            None => Ok(()),
        };
        let status = child.wait().with_context(|| self.failed())?;
        match written {
            // That it stopped reading is for docker to explain, with its exit code.
            Err(error) if status.success() && error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Report::new(anyhow::Error::new(error).context("cannot give `docker` the stack file")))
            }
            _ => Ok(status),
        }
    }
}
