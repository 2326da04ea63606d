//! Commands in components, given up as soon as the end of the component is known.
//!
//! The end of a component ends its commands, too. An engine that learns of both at the same moment may leave the stream of a command open for ever, so the
//! answer of the command is not waited for any more.

use std::time::Duration;

use super::shared::Shared;
use crate::engine::{ContainerId, Engine, EngineError, ExecOutput, chain};
use crate::hooks::Hooks;
use crate::pod::ComponentName;
use crate::pod::life::ExecCommand;

/// So much of a command is shown if it did not end, in characters.
const SHOWN_COMMAND: usize = 120;

/// Why there is no answer of a command.
#[derive(Debug)]
pub enum Undone {
    /// The component has ended.
    Ended,
    /// The engine's error.
    Engine(EngineError),
}

impl Undone {
    /// The reason in words: the engine knows neither the component nor the command.
    pub fn told(&self, command: &str, component: &ComponentName) -> String {
        let short: String = command.chars().take(SHOWN_COMMAND).collect();
        let dots = if short.len() < command.len() { "…" } else { "" };
        let what = format!("`{short}{dots}` in component `{component}`");
        match self {
            Self::Ended => format!("{what} was aborted, because the component has ended"),
            Self::Engine(EngineError::Timeout { after, .. }) => format!("{what} did not end within {after:?}"),
            Self::Engine(error) => format!("{what}: {}", chain(error)),
        }
    }
}

/// Runs a command in a component whose process runs, see [`Engine::exec`].
///
/// # Errors
/// The engine's; [`Undone::Ended`] as soon as this run of the component is over.
pub async fn exec<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    name: &ComponentName,
    id: &ContainerId,
    command: &ExecCommand,
    timeout: Duration,
    limit: usize,
) -> Result<ExecOutput, Undone> {
    let mut live = shared.live.clone();
    let run = live.borrow().get(name).map(|live| live.run);
    let over = live.wait_for(|all| all.get(name).is_none_or(|live| Some(live.run) != run || !live.phase.has_process()));
    tokio::select! {
        biased;
        done = shared.engine.exec(id, command, timeout, limit) => done.map_err(Undone::Engine),
        _over = over => Err(Undone::Ended),
    }
}
