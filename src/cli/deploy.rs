//! `outrigger deploy`: renders, checks, hands the result to `docker stack deploy`, and follows what becomes of it.

mod changes;
mod docker;
mod follow;
mod progress;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::changes::Change;
use self::docker::DockerCommand;
use self::follow::Snapshot;

use super::argv::{DeployArgs, DockerArgs};
use super::input::{self, Text};
use super::report::{Exit, Report};
use super::{Env, block_on, check, output, template};
use crate::config::Flags;
use crate::labels::Place;
use crate::pod::{Problems, values};
use crate::problem::sources::Sources;
use crate::template::{Rendered, grace, interpolate, write};

const NO_DOCKER: &str = "install docker's command line, or print the file with `outrigger deploy --dry-run` and deploy it \
    where there is one: `… | docker stack deploy -c - STACK`";

/// Renders and checks; then docker has the word, and where it fails its exit code is ours.
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
    let docker = DockerCommand::new(&docker, &folder, env)?;
    let is_followed = is_followed(args)?;
    let deadline = values::duration(&args.progress_deadline)
        .map_err(|error| Report::usage(anyhow::Error::new(error).context("--progress-deadline")))?;
    // Where this is refused, so is what follows, and docker says why.
    let before = Snapshot::of(&docker, &args.stack).ok();
    let status = docker.fed(&arguments(&args.docker, &args.stack, &|flag| docker.has_flag(flag)), &text)?;
    match (status.code(), status.signal()) {
        (Some(0), _) => {}
        (Some(code), _) => return Ok(Exit::pod(code)),
        (None, Some(signal)) => return Ok(Exit::Signal(signal)),
        (None, None) => return Ok(Exit::Controller),
    }
    let Some(before) = before else { return Ok(Exit::Success) };
    let after = Snapshot::of(&docker, &args.stack)?;
    let changes = changes::of(&before.services, &after.services);
    output::text(&changes::text(&changes))?;
    if !is_followed {
        return Ok(Exit::Success);
    }
    let moves = |service: &&Value| {
        let name = service.pointer("/Spec/Name").and_then(Value::as_str).unwrap_or_default();
        matches!(changes.get(name), Some(Change::New(_) | Change::Changed(_)))
    };
    let moving: Vec<Value> = after.services.iter().filter(moves).cloned().collect();
    block_on(follow::follow(&docker, &moving, &before.tasks, deadline, args.docker.quiet))
}

/// Unless `--detach` says otherwise.
fn is_followed(args: &DeployArgs) -> Result<bool, Report> {
    match args.docker.detach.as_deref() {
        None | Some("false" | "0" | "f") => Ok(true),
        Some("true" | "1" | "t") => Ok(false),
        Some(other) => Err(Report::usage(anyhow::anyhow!("--detach: expected true or false, found `{other}`"))),
    }
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

/// What docker is called with; flags that not every version has only if this one has them. This command follows by itself what becomes of it: not every
/// docker does, and none ends where a service makes no progress.
fn arguments(args: &DockerArgs, stack: &str, has: &dyn Fn(&str) -> bool) -> Vec<OsString> {
    let mut argv: Vec<OsString> = ["stack", "deploy", "--compose-file", "-"].map(OsString::from).to_vec();
    for (given, flag) in [
        (args.prune, "--prune"),
        (args.with_registry_auth, "--with-registry-auth"),
        (args.quiet && has("--quiet"), "--quiet"),
        (has("--detach"), "--detach=true"),
    ] {
        argv.extend(given.then(|| OsString::from(flag)));
    }
    argv.extend(args.resolve_image.as_ref().map(|when| OsString::from(format!("--resolve-image={when}"))));
    argv.extend([OsString::from("--"), OsString::from(stack)]);
    argv
}
