//! `outrigger check --podlike`: where a stack file will behave otherwise than with podlike.
use super::argv::CheckArgs;
use super::report::{Exit, Report};
use super::Env;
pub(super) fn run(_args: &CheckArgs, _env: &Env) -> Result<Exit, Report> { Ok(Exit::Success) }
