//! The `docker` command, as every call of a deployment uses it.

use std::ffi::OsString;
use std::io::{Read, Write};
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

/// So many bytes of docker's errors are kept.
const MOST_ERRORS: usize = 4096;

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

    /// What a call prints on standard error, although it succeeds.
    ///
    /// # Errors
    /// As [`Self::output`].
    pub fn errors(&self, words: &[&str]) -> Result<String, Report> {
        let done = self.command().args(words).output().with_context(|| self.failed())?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        Err(Report::new(anyhow!("`docker {}` failed", words.first().copied().unwrap_or_default())))
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

    /// Runs a call that reads `text` and prints what it likes. Its errors are answered, too: at most the first [`MOST_ERRORS`] bytes.
    ///
    /// # Errors
    /// It can't be run, or does not read all of it although it succeeds.
    pub fn fed(&self, words: &[OsString], text: &str) -> Result<(ExitStatus, String), Report> {
        let mut command = self.command();
        command.args(words).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| self.failed())?;
        let errors = child.stderr.take();
        let (written, errors) = std::thread::scope(|scope| {
            let errors =
                scope.spawn(move || errors.map(|errors| passed_on(errors, std::io::stderr())).unwrap_or_default());
            let written = match child.stdin.take() {
                Some(mut stdin) => stdin.write_all(text.as_bytes()),
                None => Ok(()),
            };
            (written, errors.join().unwrap_or_default())
        });
        let status = child.wait().with_context(|| self.failed())?;
        match written {
            // That it stopped reading is for docker to explain, with its exit code.
            Err(error) if status.success() && error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Report::new(anyhow::Error::new(error).context("cannot pass the stack file to `docker`")))
            }
            _ => Ok((status, errors)),
        }
    }
}

/// Forwards all bytes as they arrive, and returns the first of them.
fn passed_on(mut errors: impl Read, mut to: impl Write) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = match errors.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let piece = buffer.get(..count).unwrap_or_default();
        // Where standard error is closed, nobody is left to read it.
        to.write_all(piece).unwrap_or_default();
        let room = MOST_ERRORS.saturating_sub(kept.len());
        kept.extend_from_slice(piece.get(..count.min(room)).unwrap_or_default());
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The remedy for an error of `docker stack deploy` whose own words have none.
pub fn remedy(errors: &str) -> Option<String> {
    // The engine never changes the content of a config or a secret.
    let refused = errors.lines().find(|line| line.contains("only updates to Labels are allowed"))?;
    let named = |kind: &'static str| {
        let (_, rest) = refused.split_once(&format!("failed to update {kind} "))?;
        Some((kind, rest.split(':').next()?.trim_matches(['"', ' ', '`'])))
    };
    let (kind, name) = named("config").or_else(|| named("secret"))?;
    Some(format!(
        "the content of {kind} `{name}` has changed, and Swarm never changes the content of a {kind}: give it a new name with each content, \
         for instance `name: {name}-2` below its key in `{kind}s:`. `docker {kind} rm {name}` removes the old one once no service uses it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_config_or_secret_needs_a_new_name() {
        for kind in ["config", "secret"] {
            let errors = format!(
                "failed to update {kind} shop_conf: Error response from daemon: rpc error: code = InvalidArgument desc = only updates to Labels are allowed\n"
            );
            let told = remedy(&errors).unwrap();
            assert!(told.contains(&format!("the content of {kind} `shop_conf` has changed")), "{told}");
            assert!(told.contains(&format!("`name: shop_conf-2` below its key in `{kind}s:`")), "{told}");
        }
        assert_eq!(remedy("network \"x\" is declared as external, but could not be found"), None);
    }

    #[test]
    fn what_is_kept_of_docker_s_errors_is_bounded() {
        let mut seen = Vec::new();
        let errors = vec![b'e'; 3 * MOST_ERRORS];
        assert_eq!(passed_on(errors.as_slice(), &mut seen).len(), MOST_ERRORS);
        assert_eq!(seen, errors, "all of it is shown");
    }
}
