//! `outrigger debug`: a shell beside the components, in their namespaces.

use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::anyhow;

use super::argv::DebugArgs;
use super::pods::{self, Pod};
use super::report::{Exit, Report};
use super::{Env, block_on, deploy, engine, output, status};
use crate::admin::Status;
use crate::engine::Engine;

/// On every container that this makes: the name of the pod.
const LABEL: &str = "outrigger.debug";

const NO_DOCKER: &str = "install the `docker` command here, or run `docker run --rm -it --network container:NAME …` on a machine that has the command";

/// Where the new container goes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Joins {
    pod: String,
    network: String,
    pid: Option<String>,
    ipc: Option<String>,
    volumes: Option<String>,
    /// Where the components' cgroups are, in words.
    cgroups: Option<String>,
}

/// Hands over to `docker run`; its exit code becomes this one's.
pub(super) fn run(args: &DebugArgs, env: &Env) -> Result<Exit, Report> {
    let docker = deploy::find(env)
        .ok_or_else(|| Report::new(anyhow!("no directory in `PATH` has a `docker` command")).hint(NO_DOCKER))?;
    let joins = block_on(joins(args, env))?;
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if has_terminal && let Some(cgroups) = &joins.cgroups {
        output::notes(&[cgroups]);
    }
    let error = Command::new(&docker).args(arguments(&joins, args, has_terminal)).exec();
    Err(Report::new(anyhow::Error::new(error).context(format!("cannot run `{}`", docker.display()))))
}

/// The namespaces as the pod shares them: with a component, that component's; else the network, and what all share.
async fn joins(args: &DebugArgs, env: &Env) -> Result<Joins, Report> {
    let engine = engine(env).await?;
    let pod = pods::one(&engine, args.pod.as_deref()).await?;
    let controller = &pod.controller;
    pod.clone().running(&engine).await?;
    let running = |container: &&crate::engine::Listed| container.running;
    let found = match &args.component {
        Some(name) => {
            let found = pod.components.iter().filter(running).find(|container| Pod::component(container) == name);
            Some(found.ok_or_else(|| {
                let names: Vec<_> = pod.components.iter().filter(running).map(Pod::component).collect();
                Report::new(anyhow!("pod `{}` has no running component `{name}`", controller.name))
                    .hint(format!("running components: `{}`", names.join("`, `")))
            })?)
        }
        None => pod.components.iter().filter(running).find(|container| Pod::component(container) != "ipc"),
    };
    let mut joins =
        Joins { pod: controller.name.clone(), network: format!("container:{}", controller.id.0), ..Joins::default() };
    // A controller of an earlier version does not tell; the shell matters more.
    let told = status::ask(&engine, &controller.id).await.ok();
    let told = told.and_then(|text| serde_json::from_str::<Status>(&text).ok());
    joins.cgroups = told.and_then(|status| status.cgroups).map(|cgroups| cgroups.to_string());
    let Some(container) = found else { return Ok(joins) };
    let seen = engine.inspect(&container.id.0).await?;
    let shared = engine.pid_mode(&container.id.0).await?;
    let is_named = args.component.is_some();
    joins.pid = (is_named || shared.starts_with("container:")).then(|| format!("container:{}", container.id.0));
    joins.ipc = match seen.ipc_mode.as_str() {
        "shareable" if is_named => Some(format!("container:{}", container.id.0)),
        mode if mode.starts_with("container:") || mode == "host" => Some(mode.to_owned()),
        _ => None,
    };
    joins.volumes = is_named.then(|| container.id.0.clone());
    Ok(joins)
}

fn arguments(joins: &Joins, args: &DebugArgs, has_terminal: bool) -> Vec<String> {
    let mut argv = vec!["run".to_owned(), "--rm".to_owned(), "--interactive".to_owned()];
    if has_terminal {
        argv.push("--tty".to_owned());
    }
    argv.extend([format!("--label={LABEL}={}", joins.pod), format!("--network={}", joins.network)]);
    argv.extend(joins.pid.iter().map(|pid| format!("--pid={pid}")));
    argv.extend(joins.ipc.iter().map(|ipc| format!("--ipc={ipc}")));
    argv.extend(joins.volumes.iter().map(|from| format!("--volumes-from={from}")));
    // What is typed is run, whatever the image's entry point would make of it.
    let (program, rest) = match args.command.split_first() {
        Some((program, rest)) => (program.as_str(), rest),
        None => ("sh", &[][..]),
    };
    argv.extend([format!("--entrypoint={program}"), "--".to_owned(), args.image.clone()]);
    argv.extend(rest.iter().cloned());
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_is_told_what_to_join() {
        let joins = Joins {
            pod: "web".to_owned(),
            network: "container:c".to_owned(),
            pid: Some("container:a".to_owned()),
            ipc: Some("container:i".to_owned()),
            volumes: Some("a".to_owned()),
            cgroups: None,
        };
        let args = DebugArgs {
            pod: None,
            component: None,
            image: "busybox".to_owned(),
            command: ["ls", "-l"].map(str::to_owned).to_vec(),
        };
        let expected = "run --rm --interactive --tty --label=outrigger.debug=web --network=container:c --pid=container:a \
            --ipc=container:i --volumes-from=a --entrypoint=ls -- busybox -l";
        assert_eq!(arguments(&joins, &args, true).join(" "), expected);
        let args = DebugArgs { command: Vec::new(), ..args };
        let bare = Joins { pod: "web".to_owned(), network: "container:c".to_owned(), ..Joins::default() };
        let expected =
            "run --rm --interactive --label=outrigger.debug=web --network=container:c --entrypoint=sh -- busybox";
        assert_eq!(arguments(&bare, &args, false).join(" "), expected);
    }
}
