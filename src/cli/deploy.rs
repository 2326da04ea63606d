//! `outrigger deploy`: renders, checks, and hands the result to `docker stack deploy`.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context;
use serde_json::Value;

use super::argv::{DeployArgs, DockerArgs};
use super::input::{self, Text};
use super::report::{Exit, Report};
use super::{Env, block_on, check, output, template};
use crate::config::Flags;
use crate::labels::Place;
use crate::pod::Problems;
use crate::problem::sources::Sources;
use crate::template::{Rendered, grace, interpolate, write};

const NO_DOCKER: &str = "install docker's command line, or print the file with `outrigger deploy --dry-run` and deploy it \
    where there is one: `… | docker stack deploy -c - STACK`";

/// Variables of docker's command that hold a path: it runs in another folder than this one.
const PATHS: [&str; 2] = ["DOCKER_CONFIG", "DOCKER_CERT_PATH"];

/// Renders and checks; then docker has the word, and its exit code is ours.
pub(super) fn run(args: &DeployArgs, env: &Env) -> Result<Exit, Report> {
    let (rendered, folder, sources) = template::render(&args.files, &args.render, env)?;
    output::notes(&rendered.notes);
    if !args.no_check {
        let origin = args.files.first().map_or_else(String::new, |file| name(file));
        checked(&rendered, &origin, &folder, sources, env)?;
    }
    let text = rendered.text();
    if args.dry_run {
        output::text(&text)?;
        return Ok(Exit::Success);
    }
    let docker = find(env).ok_or_else(|| {
        Report::new(anyhow::anyhow!("there is no `docker` command on the path (`PATH`)")).hint(NO_DOCKER)
    })?;
    let status = deploy(&docker, args, &folder, &text, env)?;
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) => Exit::Success,
        (Some(code), _) => Exit::pod(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Controller,
    })
}

fn name(file: &Path) -> String {
    if file.as_os_str() == "-" {
        return "stdin".to_owned();
    }
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

/// The checks of `outrigger check`, for every service that is a pod.
fn checked(rendered: &Rendered, origin: &str, folder: &Path, sources: Sources, env: &Env) -> Result<(), Report> {
    let mut problems = Problems::default();
    let variable = |name: &str| env.get(name).cloned();
    let stack = interpolate::stack(&rendered.stack, &Place::new(origin), &variable, &mut problems);
    if !has_pods(&stack) {
        return input::Found::judged(problems, &sources, ());
    }
    let text = Text { origin: origin.to_owned(), text: write::write(&stack), folder: folder.to_owned(), sources };
    block_on(async {
        let mut found = input::of_text(text, &Flags::default(), env);
        problems.extend_elsewhere(std::mem::take(&mut found.problems));
        found.problems = problems;
        let checked = check::all(found, env).await?;
        output::notes(&checked.iter().flat_map(check::Checked::told).collect::<Vec<_>>());
        Ok(())
    })
}

fn has_pods(stack: &Value) -> bool {
    let services = stack.get("services").and_then(Value::as_object);
    services.into_iter().flat_map(|services| services.values()).any(grace::is_pod)
}

/// The first `docker` on the path that can be run.
pub(super) fn find(env: &Env) -> Option<PathBuf> {
    let runs =
        |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    let found = std::env::split_paths(env.get("PATH")?).map(|folder| folder.join("docker")).find(runs)?;
    std::path::absolute(found).ok()
}

fn deploy(docker: &Path, args: &DeployArgs, folder: &Path, text: &str, env: &Env) -> Result<ExitStatus, Report> {
    let mut command = Command::new(docker);
    command.args(arguments(&args.docker, &args.stack)).stdin(Stdio::piped());
    // docker takes relative paths of what it reads from standard input from its working directory.
    command.current_dir(if folder.as_os_str().as_bytes().is_empty() { Path::new(".") } else { folder });
    for name in PATHS {
        if let Some(path) = env.get(name).filter(|path| !path.is_empty()) {
            command.env(name, std::path::absolute(path).with_context(|| format!("cannot use `{name}`"))?);
        }
    }
    let running = format!("cannot run `{}`", docker.display());
    let mut child = command.spawn().with_context(|| running.clone())?;
    let written = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(text.as_bytes()),
        None => Ok(()),
    };
    let status = child.wait().context(running)?;
    match written {
        // That it stopped reading is for docker to explain, with its exit code.
        Err(error) if status.success() && error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Report::new(anyhow::Error::new(error).context("cannot give `docker` the stack file")))
        }
        _ => Ok(status),
    }
}

/// What docker is called with; flags that not every version knows only where they were given.
fn arguments(args: &DockerArgs, stack: &str) -> Vec<OsString> {
    let mut argv: Vec<OsString> = ["stack", "deploy", "--compose-file", "-"].map(OsString::from).to_vec();
    for (given, flag) in
        [(args.prune, "--prune"), (args.with_registry_auth, "--with-registry-auth"), (args.quiet, "--quiet")]
    {
        argv.extend(given.then(|| OsString::from(flag)));
    }
    argv.extend(args.detach.as_ref().map(|detach| OsString::from(format!("--detach={detach}"))));
    argv.extend(args.resolve_image.as_ref().map(|when| OsString::from(format!("--resolve-image={when}"))));
    argv.extend([OsString::from("--"), OsString::from(stack)]);
    argv
}
