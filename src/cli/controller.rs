//! `outrigger` without a sub-command: the controller inside its container.

use std::path::Path;

use tracing::{info, warn};

use super::report::{Exit, Report};
use super::{Env, block_on, engine_of, policy};
use crate::config::{self, Flags};
use crate::supervisor::boot;
use crate::telemetry;

/// Lowers the settings, starts the log and hands over to the supervisor.
pub(super) fn run(flags: &Flags, env: &Env, colours: bool) -> Result<Exit, Report> {
    let mut settings =
        config::lower(flags, env).map_err(|problems| Report::usage(problems).hint("see `outrigger --help`"))?;
    policy::bound(&mut settings, Path::new(config::policy::FILE))?;
    telemetry::init(&settings.log_level, settings.log_format, colours)?;
    info!(version = env!("CARGO_PKG_VERSION"), "outrigger starts");
    for (name, nearest) in config::lower::unknown_variables(env) {
        match nearest {
            Some(nearest) => warn!(%name, "unknown variable: did you mean `{nearest}`?"),
            None => warn!(%name, "unknown variable: ignored"),
        }
    }
    block_on(async {
        let engine = engine_of(&settings, env)?;
        // Where the pod failed, the reason was told when it happened.
        Ok(Exit::Pod(Box::pin(boot::run(engine, settings)).await?.exit_code()))
    })
}
