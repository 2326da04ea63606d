//! `outrigger run`: a `pod.yaml` becomes a controller container of the local engine.

mod container;

use std::time::{SystemTime, UNIX_EPOCH};

use tracing::warn;

use super::argv::RunArgs;
use super::attach::{self, Screen, Signals};
use super::report::{Exit, Report};
use super::{Env, block_on, input, output};
use crate::config::{self, Flags};
use crate::engine::docker::Docker;
use crate::engine::{ContainerId, Engine, LogFrame};
use crate::labels;
use crate::plan::compile::compile;
use crate::plan::{SelfInfo, offline};
use crate::pod::{PodSpec, lower};

/// On every container that `run` makes: a word of this run alone, by which its events are told from others'.
pub(super) const RUN_LABEL: &str = "outrigger.run";

/// On every controller's container, and in the image: what `status` looks for.
pub(super) const CONTROLLER_LABEL: &str = "outrigger.controller";

/// Makes the container, starts it, and stays with it until it ends unless `--detach` was given.
pub(super) fn run(args: RunArgs, env: &Env) -> Result<Exit, Report> {
    let input::Text { origin, text, folder } = input::text(&args.file)?;
    let raw = labels::from_document(&origin, &text).map_err(Report::input)?;
    let spec = lower::lower(&raw).map_err(Report::input)?;
    let token = token();
    let name = args
        .name
        .or_else(|| spec.controller.name.clone())
        .unwrap_or_else(|| format!("outrigger-{}", token.get(..6).unwrap_or(&token)));
    checked(&spec, &name, env)?;
    let wanted = container::of(spec, &folder, name, &token, env).map_err(Report::input)?;
    let host = config::lower(&Flags::default(), env).map_err(Report::usage)?;

    block_on(async {
        let engine = Docker::connect(host.engine.as_deref(), &host.timeouts)?;
        engine.info().await?;
        // Before anything is made: a Ctrl-C from here on is the pod's, and nothing is left behind.
        let mut signals = Signals::new()?;
        if !engine.has_image(&wanted.image).await? {
            tokio::select! {
                biased;
                signal = signals.next() => return Ok(Exit::Signal(signal)),
                pulled = engine.pull(&wanted.image) => pulled?,
            }
        }
        let (id, warnings) = engine.create(&wanted).await?;
        for warning in warnings {
            warn!("{warning}");
        }
        let since = now().saturating_sub(1);
        if let Err(error) = engine.start(&id).await {
            remove(&engine, &id).await;
            return Err(error.into());
        }
        if args.detach {
            output::text(&format!("{}\n", id.0))?;
            return Ok(Exit::Success);
        }
        let label = format!("{RUN_LABEL}={token}");
        let mut screen = Screen::default();
        let mut show = |frame: &LogFrame| screen.show(frame);
        let end = attach::attach(&engine, &id, &label, since, host.timeouts.log_drain, &mut signals, &mut show).await?;
        remove(&engine, &id).await;
        Ok(end)
    })
}

/// What the controller would find wrong, found before there is one.
fn checked(spec: &PodSpec, name: &str, env: &Env) -> Result<(), Report> {
    let environment = input::environment(spec, env);
    let settings = input::settings(spec, &Flags::default(), &environment).map_err(Report::input)?;
    let mut me = SelfInfo::offline(name, std::collections::BTreeMap::new());
    me.environment = environment;
    compile(spec, &me, &offline::engine(), &settings).map_err(Report::input)?;
    Ok(())
}

async fn remove<E: Engine>(engine: &E, id: &ContainerId) {
    if let Err(error) = engine.remove(id).await {
        warn!(%error, container = %id, "cannot remove the controller's container");
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Twelve digits that no other run on this engine has: the time in nanoseconds and this process's id, mixed.
fn token() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let low = u64::try_from(nanos & u128::from(u64::MAX)).unwrap_or_default() ^ (u64::from(std::process::id()) << 40);
    // A multiplication by an odd constant (the golden ratio's bits) spreads the quickly changing low bits over the digits that are kept.
    format!("{:016x}", low.wrapping_mul(0x9e37_79b9_7f4a_7c15)).get(..12).unwrap_or_default().to_owned()
}
