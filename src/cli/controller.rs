//! `outrigger` without a sub-command: the controller inside its container.

use std::path::Path;
use std::time::Duration;

use tracing::warn;

use super::report::{Exit, Report};
use super::{Env, block_on, engine_of, policy};
use crate::config::{self, Flags};
use crate::shutdown::Tasks;
use crate::supervisor::boot;
use crate::telemetry;

/// Longest time in which the count of lines that the log left out is written at the end.
const LAST_COUNTS: Duration = Duration::from_secs(1);

/// Lowers the settings, starts the log and hands over to the supervisor.
pub(super) fn run(flags: &Flags, env: &Env, colours: bool) -> Result<Exit, Report> {
    let mut settings =
        config::lower(flags, env).map_err(|problems| Report::usage(problems).hint("see `outrigger --help`"))?;
    policy::bound(&mut settings, Path::new(config::policy::FILE))?;
    let flood = telemetry::init(&settings.log_level, settings.log_format, colours)?;
    for (name, nearest) in config::lower::unknown_variables(env) {
        match nearest {
            Some(nearest) => warn!(%name, "unknown environment variable `{name}`: did you mean `{nearest}`?"),
            None => warn!(%name, "unknown environment variable `{name}`: the controller ignores the variable"),
        }
    }
    block_on(async {
        let engine = engine_of(&settings, env)?;
        let counts = Tasks::new();
        flood.report(&counts);
        let outcome = Box::pin(boot::run(engine, settings)).await;
        counts.cancel();
        counts.wait(LAST_COUNTS).await;
        // Where the pod failed, the reason was told when it happened.
        Ok(Exit::Pod(outcome?.exit_code()))
    })
}
