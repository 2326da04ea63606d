//! The container that lends its IPC namespace, where the image has no program of its own for it.

use anyhow::Context;

use super::report::{Exit, Report};
use crate::idle;

/// Waits for SIGTERM or SIGINT, and meanwhile reaps orphans of its PID namespace.
pub(super) fn run() -> Result<Exit, Report> {
    idle::pause().context("cannot wait for signals")?;
    Ok(Exit::Success)
}
