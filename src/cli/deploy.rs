//! `outrigger deploy`: renders, checks, hands the result to `docker stack deploy`, and follows what becomes of it.

mod changes;
mod docker;
mod failures;
mod follow;
mod progress;
mod written;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::changes::Change;
use self::docker::DockerCommand;
use self::follow::{Deployed, Snapshot};

use super::argv::{DeployArgs, DockerArgs};
use super::input::{self, Stack, Text};
use super::report::{Exit, Report};
use super::{Env, block_on, check, output, template};
use crate::config::Flags;
use crate::pod::{Problems, values};
use crate::problem::sources::Sources;
use crate::template::{grace, write};

const NO_DOCKER: &str = "install the `docker` command here, or print the file with `outrigger deploy --dry-run --show-values` and deploy the file on a machine that has the command: `… | docker stack deploy -c - STACK`";

/// The stack has been changed, but nobody knows how its services are.
const NOT_FOLLOWED: &str = "the stack is deployed, but this command cannot follow its updates; run the same command again, which follows them without another change";

/// How often docker is asked before a deployment: a refusal may be final.
const LOOKS_BEFORE: u32 = 3;

/// How often docker is asked after a deployment, which it has just accepted: a manager that is elected anew takes some seconds.
const LOOKS_AFTER: u32 = follow::REFUSALS;

/// Renders and checks; then docker has the word, and where it fails its exit code is ours.
pub(super) fn run(args: &DeployArgs, env: &Env) -> Result<Exit, Report> {
    let (rendered, folder, sources) = template::render(&args.files, &args.render, env)?;
    output::notes(&rendered.notes);
    let stack = rendered.filled(&|name| env.get(name).cloned());
    if !args.no_check {
        let origin = args.files.first().map_or_else(String::new, |file| name(file));
        checked(&rendered.stack, &stack, &origin, &folder, sources, env)?;
    }
    if args.dry_run {
        // Values of variables are often secrets, and this output is often a log.
        output::text(&if args.show_values { write::write(&stack) } else { rendered.text() })?;
        return Ok(Exit::Success);
    }
    let text = write::write(&stack);
    let docker = find(env)
        .ok_or_else(|| Report::new(anyhow::anyhow!("no directory in `PATH` has a `docker` command")).hint(NO_DOCKER))?;
    let docker = DockerCommand::new(&docker, &folder, env)?;
    let is_followed = !args.docker.detach.unwrap_or_default();
    let deadline = values::duration(&args.progress_deadline)
        .map_err(|error| Report::usage(anyhow::Error::new(error).context("--progress-deadline")))?;
    // If docker refuses this for good, it refuses the deployment too, and gives its own reason.
    let before = block_on(Snapshot::of(&docker, &args.stack, LOOKS_BEFORE));
    let (status, errors) = docker.fed(&arguments(&args.docker, &args.stack, &|flag| docker.has_flag(flag)), &text)?;
    if let Some(remedy) = docker::remedy(&errors).filter(|_| !status.success()) {
        output::hint(&remedy);
    }
    match (status.code(), status.signal()) {
        (Some(0), _) => {}
        (Some(code), _) => return Ok(Exit::pod(code)),
        (None, Some(signal)) => return Ok(Exit::Signal(signal)),
        (None, None) => return Ok(Exit::Controller),
    }
    let not_followed = |report: Report| report.hint(NOT_FOLLOWED);
    let before = before.map_err(not_followed)?;
    let after = block_on(Snapshot::of(&docker, &args.stack, LOOKS_AFTER)).map_err(not_followed)?;
    let written = written(&rendered.stack, &args.stack);
    let mut changes = changes::of(&before.services, &after.services);
    changes::leave(&mut changes, &written);
    output::text(&changes::text(&changes))?;
    if !is_followed {
        return Ok(Exit::Success);
    }
    let changed: BTreeSet<String> = changes
        .iter()
        .filter(|(_, change)| matches!(change, Change::New(_) | Change::Changed(_)))
        .map(|(name, _)| name.clone())
        .collect();
    let services = judged(&after.services, &written, &changed);
    let paused = paused(&before.services);
    let deployed = Deployed { services: &services, changed: &changed, before: &before.tasks, paused: &paused };
    block_on(follow::follow(&docker, &deployed, deadline, args.docker.quiet))
}

/// The services whose state is the result of the deployment. One that is as it was is among them: it may be broken since the last time. One that is in the stack
/// and not in the files is not.
fn judged(services: &[Value], written: &BTreeSet<String>, changed: &BTreeSet<String>) -> Vec<Value> {
    let is_judged =
        |service: &&Value| name_of(service).is_some_and(|name| written.contains(name) || changed.contains(name));
    services.iter().filter(is_judged).cloned().collect()
}

/// The names of those whose update, or roll-back, Swarm has paused.
fn paused(services: &[Value]) -> BTreeSet<String> {
    let is_paused = |service: &&Value| {
        let state = service.pointer("/UpdateStatus/State").and_then(Value::as_str);
        matches!(state, Some("paused" | "rollback_paused"))
    };
    services.iter().filter(is_paused).filter_map(name_of).map(str::to_owned).collect()
}

fn name_of(service: &Value) -> Option<&str> {
    service.pointer("/Spec/Name").and_then(Value::as_str)
}

/// The names that Swarm gives to the services of the files.
fn written(stack: &Value, name: &str) -> BTreeSet<String> {
    let services = stack.get("services").and_then(Value::as_object);
    services.into_iter().flat_map(|services| services.keys()).map(|key| format!("{name}_{key}")).collect()
}

fn name(file: &Path) -> String {
    if file.as_os_str() == "-" {
        return "stdin".to_owned();
    }
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

/// The checks of `outrigger check`, for every service that is a pod; `written` is the stack before the variables of its labels were replaced.
fn checked(
    written: &Value,
    filled: &Value,
    origin: &str,
    folder: &Path,
    sources: Sources,
    env: &Env,
) -> Result<(), Report> {
    let stack = Stack::deployed(written, origin, env);
    let mut problems = Problems::default();
    let replaced = stack.replaced(filled, &mut problems);
    if !has_pods(&replaced) {
        return input::Found::judged(problems, &sources, Some(&stack), ());
    }
    let mut notes = stack.notes(filled);
    let text = Text { origin: origin.to_owned(), text: String::new(), folder: folder.to_owned(), sources };
    let found = stack.pods(&replaced, problems, text, &Flags::default(), env);
    match block_on(async { check::all(found, env).await }) {
        Ok(checked) => {
            notes.extend(checked.iter().flat_map(check::Checked::told));
            output::notes(&notes);
            Ok(())
        }
        Err(report) => Err(report.notes_before(notes)),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, state: &str) -> Value {
        json!({"Spec": {"Name": name}, "UpdateStatus": {"State": state}})
    }

    fn names(services: &[Value]) -> Vec<&str> {
        services.iter().filter_map(name_of).collect()
    }

    /// A service of an earlier file may be broken, which is no result of this deployment.
    #[test]
    fn what_the_files_have_is_judged_and_nothing_else() {
        let services = ["shop_same", "shop_changed", "shop_of_an_earlier_file"].map(|name| service(name, "completed"));
        let written = written(&json!({"services": {"same": {}}}), "shop");
        let changed = BTreeSet::from(["shop_changed".to_owned()]);
        assert_eq!(names(&judged(&services, &written, &changed)), ["shop_same", "shop_changed"]);
    }

    #[test]
    fn an_update_and_a_roll_back_may_have_been_paused() {
        let states = ["updating", "paused", "completed", "rollback_paused", "rollback_completed"];
        let services = states.map(|state| service(state, state));
        assert_eq!(paused(&services).into_iter().collect::<Vec<_>>(), ["paused", "rollback_paused"]);
        assert!(paused(&[json!({"Spec": {"Name": "new"}})]).is_empty());
    }
}
