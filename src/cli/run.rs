//! `outrigger run`: a `pod.yaml` becomes a controller container of the local engine.

pub mod container;
mod ports;

use tracing::warn;

use super::argv::RunArgs;
use super::attach::{self, Screen, Signals};
use super::report::{Exit, Report};
use super::{Env, block_on, engine_of, input, output, plan};
use crate::clock::since_epoch;
use crate::config::{self, Flags};
use crate::engine::{ContainerId, ContainerSpec, Engine, EngineError, EngineInfo, LogFrame};
use crate::plan::Seen;
use crate::pod::{Problem, Problems};
use crate::supervisor::events::stops;

/// On every container that `run` makes: a word of this run alone, by which its events are told from others'.
pub(super) const RUN_LABEL: &str = "outrigger.run";

/// On every controller's container, and in the image: what `status` looks for.
pub(super) const CONTROLLER_LABEL: &str = "outrigger.controller";

/// Makes the container, starts it, and stays with it until it ends unless `--detach` was given.
pub(super) fn run(args: RunArgs, env: &Env) -> Result<Exit, Report> {
    let token = token();
    let host = config::lower(&Flags::default(), env).map_err(Report::usage)?;

    block_on(async {
        // Where components are put depends on the engine. What is wrong with the file is told without one, too.
        let asked = match engine_of(&host, env) {
            Ok(engine) => engine.info().await.map(|info| (engine, info)).map_err(Report::new),
            Err(report) => Err(report),
        };
        let (wanted, networks) = wanted(&args, &token, env, asked.as_ref().ok().map(|(_, info)| info)).await?;
        let (engine, _) = asked?;
        // Before anything is made: a Ctrl-C from here on is the pod's, and nothing is left behind.
        let mut signals = Signals::new()?;
        if !engine.has_image(&wanted.image).await? {
            tokio::select! {
                biased;
                signal = signals.next() => return Ok(Exit::Signal(signal)),
                pulled = engine.pull(&wanted.image) => pulled.map_err(no_image)?,
            }
        }
        let (id, warnings) = engine.create(&wanted).await.map_err(|error| not_created(error, &wanted.name))?;
        for warning in warnings {
            warn!("{warning}");
        }
        // An engine older than 25 takes only one network at creation.
        for network in &networks {
            if let Err(error) = engine.connect(&id, network).await {
                remove(&engine, &id).await;
                return Err(Report::new(error).hint(
                    "the networks in `controller.networks` must exist: create each with `docker network create NAME`",
                ));
            }
        }
        // Before the start, a stop signal needs no pod.
        if let Some(signal) = signals.pending().filter(|signal| stops(*signal)) {
            remove(&engine, &id).await;
            return Ok(Exit::Signal(signal));
        }
        let since = now().saturating_sub(1);
        if let Err(error) = engine.start(&id).await {
            remove(&engine, &id).await;
            return Err(ports::not_started(&engine, error).await);
        }
        if args.detach {
            output::text(&if args.json { told(&id, &wanted.name, None) } else { format!("{}\n", id.0) })?;
            return Ok(Exit::Success);
        }
        let label = format!("{RUN_LABEL}={token}");
        let mut screen = Screen::default();
        let mut show = |frame: &LogFrame| screen.show(frame);
        let end = attach::attach(&engine, &id, &label, since, host.timeouts.log_drain, &mut signals, &mut show).await?;
        remove(&engine, &id).await;
        if args.json {
            // What the pod printed last may lack the end of its line.
            let begin = if screen.is_within_line() { "\n" } else { "" };
            output::text(&format!("{begin}{}", told(&id, &wanted.name, Some(end))))?;
        }
        Ok(end)
    })
}

/// What `--json` prints, on a line of its own.
fn told(id: &ContainerId, name: &str, end: Option<Exit>) -> String {
    format!("{}\n", serde_json::json!({"id": id.0, "name": name, "exit_code": end.map(Exit::code)}))
}

/// The container that was asked for, and the networks that it joins besides its first one. What the controller would find wrong is found here, before there is one.
async fn wanted(
    args: &RunArgs,
    token: &str,
    env: &Env,
    engine: Option<&EngineInfo>,
) -> Result<(ContainerSpec, Vec<String>), Report> {
    let given = args.name.clone();
    let drawn = || format!("outrigger-{}", token.get(..6).unwrap_or(token));
    let name = |of_file: Option<&str>| given.or_else(|| of_file.map(str::to_owned)).unwrap_or_else(drawn);
    let input::Found { pods, mut problems, sources, .. } = input::document(input::text(&args.file)?, name, env);
    let mut wanted = None;
    for mut pod in pods {
        output::notes(&pod.unset);
        if let Some(engine) = engine {
            pod.engine = engine.clone();
            pod.me.seen = Seen::Outside;
        }
        if let Err(wrong) = plan::planned(&pod, env).await? {
            problems.extend(wrong.problems);
        }
        for source in container::missing(&pod.spec.controller.volumes, &pod.folder, env) {
            let what = format!("`{source}` does not exist in `{}`", pod.folder.display());
            let hint = "create the directory (`mkdir`) or the file, or correct the path; otherwise the engine creates a directory owned by root";
            problems.extend(pod.told(Problems(vec![Problem::new("controller", "volumes", what).hint(hint)])));
        }
        let networks = pod.spec.controller.networks.iter().skip(1).cloned().collect();
        let mut made = container::of(pod.spec, &pod.folder, pod.name, token, env);
        if !args.detach {
            // The command stays with it until it ends, and removes it then.
            made.outer.restart = None;
        }
        wanted = Some((made, networks));
    }
    input::Found::judged(problems, &sources, None, ())?;
    wanted.ok_or_else(|| Report::input(anyhow::anyhow!("`{}` does not contain a pod", args.file.display())))
}

/// What helps where the controller's image is missing.
fn no_image(error: EngineError) -> Report {
    Report::new(error)
        .hint("build the controller's image with `make image`, or name another image in `controller.image`")
}

/// What helps where the name is another container's, perhaps one that `--detach` left.
fn not_created(error: EngineError, name: &str) -> Report {
    let is_taken = matches!(&error, EngineError::Refused { message, .. } if message.contains("already in use"));
    let report = Report::new(error);
    if is_taken {
        report.hint(format!(
            "choose another name with `--name`, or remove the other container: `docker stop {name}` (this stops a running pod), then `docker rm {name}`"
        ))
    } else {
        report
    }
}

async fn remove<E: Engine>(engine: &E, id: &ContainerId) {
    if let Err(error) = engine.remove(id).await {
        warn!(%error, container = %id, "cannot remove the controller's container");
    }
}

fn now() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

/// Twelve digits that no other run on this engine has: the time in nanoseconds and this process's id, mixed.
fn token() -> String {
    let nanos = since_epoch().as_nanos();
    let low = u64::try_from(nanos & u128::from(u64::MAX)).unwrap_or_default() ^ (u64::from(std::process::id()) << 40);
    // A multiplication by an odd constant (the golden ratio's bits) spreads the quickly changing low bits over the digits that are kept.
    format!("{:016x}", low.wrapping_mul(0x9e37_79b9_7f4a_7c15)).get(..12).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Fault;

    fn refused(verb: &'static str, message: &str) -> EngineError {
        let (object, message) = ("`web`".to_owned(), message.to_owned());
        EngineError::Refused { verb, object, message, fault: Fault::Permanent }
    }

    #[test]
    fn what_json_tells_is_one_line() {
        let id = ContainerId("ab12".to_owned());
        assert_eq!(told(&id, "web", None), "{\"id\":\"ab12\",\"name\":\"web\",\"exit_code\":null}\n");
        assert_eq!(told(&id, "web", Some(Exit::Pod(3))), "{\"id\":\"ab12\",\"name\":\"web\",\"exit_code\":3}\n");
    }

    #[test]
    fn a_taken_name_and_a_missing_image_come_with_the_remedy() {
        let taken = refused("create container", "Conflict. The container name \"/web\" is already in use by \"ab\"");
        let text = not_created(taken, "web").text(false);
        assert!(
            text.contains("`--name`, or remove the other container: `docker stop web`")
                && text.contains("then `docker rm web`"),
            "{text}"
        );
        let text = not_created(refused("create container", "no space left"), "web").text(false);
        assert!(!text.contains("hint:"), "{text}");
        let text = no_image(refused("pull image", "not found")).text(false);
        assert!(text.contains("`make image`") && text.contains("`controller.image`"), "{text}");
    }
}
