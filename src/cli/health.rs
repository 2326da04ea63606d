//! `outrigger healthcheck`: one look at the pod's health, or, with `--wait`, what the image's HEALTHCHECK runs.

use std::path::Path;

use super::report::{Exit, Report};
use super::{Env, block_on, output};
use crate::admin::status::HealthState;
use crate::admin::{self, AdminError};
use crate::config::Settings;
use crate::idle::{self, Answer};
use crate::plan::render::clean;

/// Asks the controller beside it. Answers only 0 and 1: Docker reserves all other codes of a health check.
pub(super) fn run(state_dir: Option<&Path>, env: &Env) -> Result<Exit, Report> {
    let socket = admin::socket(&state_dir_of(state_dir, env));
    let answer = block_on(async { admin::ask(&socket, "health").await.map_err(Report::input) })?;
    let state = HealthState::parse(answer.lines().next().unwrap_or_default());
    let Some(state) = state else {
        return Err(Report::input(AdminError::Refused {
            query: "health".to_owned(),
            answer: answer.lines().next().unwrap_or_default().to_owned(),
        }));
    };
    // The engine keeps what a health check prints: `docker inspect` shows it.
    if state != HealthState::Healthy {
        let told: String = answer.lines().map(|line| format!("{}\n", clean(line))).collect();
        output::text(&told).map_err(|_| Report::input(anyhow::anyhow!("{}", answer.trim_end())))?;
    }
    Ok(if state.counts_as_healthy() { Exit::Success } else { Exit::Problems })
}

/// Asks the controller beside it, and waits until there is something new to report.
pub(super) fn wait(state_dir: Option<&Path>, env: &Env) -> Result<Exit, Report> {
    let Answer { passed, text } = idle::ask(&admin::socket(&state_dir_of(state_dir, env))).map_err(Report::input)?;
    output::text(&text).map_err(|_| Report::input(anyhow::anyhow!("{}", text.trim_end())))?;
    Ok(if passed { Exit::Success } else { Exit::Problems })
}

/// The state directory: as given, else as the environment says, which the health check shares with the controller.
pub(super) fn state_dir_of(given: Option<&Path>, env: &Env) -> std::path::PathBuf {
    match (given, env.get("OUTRIGGER_STATE_DIR").filter(|value| !value.is_empty())) {
        (Some(given), _) => given.to_owned(),
        (None, Some(value)) => value.into(),
        (None, None) => Settings::default().state_dir,
    }
}
