//! Serves what plugins ask of the pod. Grants have been checked by the plugin host; here it is seen to that the component exists and runs.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{ContainerId, Engine, EngineError, chain};
use crate::hooks::{File, Hooks};
use crate::plugin::{Reply, Request, RequestKind};
use crate::pod::life::ExecCommand;
use crate::pod::{ComponentName, PluginName};
use crate::shutdown::Tasks;
use crate::supervisor::copy::{Was, get, put};
use crate::supervisor::place::{follow, locate};
use crate::supervisor::shared::Shared;

/// Longest output of each stream that a plugin gets from a command, in bytes; as `wit/host.wit` promises.
const EXEC_OUTPUT: usize = 64 << 10;

/// So much of a command is shown where it did not end, in characters.
const SHOWN_COMMAND: usize = 120;

/// Serves requests until told to end. Each runs as a task of its own: a slow command holds up nobody else.
pub async fn serve<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    tasks: Tasks,
    mut requests: mpsc::Receiver<Request>,
    token: CancellationToken,
) {
    loop {
        let request = tokio::select! {
            biased;
            () = token.cancelled() => return,
            request = requests.recv() => match request { Some(request) => request, None => return },
        };
        let shared = Arc::clone(&shared);
        tasks.spawn("plugin request", |_token| async move { answer(&shared, &request.plugin, request.kind).await });
    }
}

async fn answer<E: Engine, H: Hooks>(shared: &Shared<E, H>, plugin: &PluginName, kind: RequestKind) {
    match kind {
        RequestKind::Signal { component, signal, reply } => {
            let done = async {
                let id = running(shared, &component)?;
                shared.engine.signal(&id, signal).await.map_err(|error| chain(&error))
            };
            send(reply, done.await);
        }
        RequestKind::Read { component, path, limit, reply } => {
            let done = async {
                let id = existing(shared, &component)?;
                let real = follow(&shared.engine, &id, &path, &shared.launches).await?;
                permitted(shared, plugin, &component, &path, &real.path)?;
                match get(&shared.engine, &id, &component, &real.path, limit, &shared.launches).await? {
                    Was::File(file) => Ok(File { path: path.clone(), ..file }),
                    Was::Link(_) => Err(format!("`{path}` in component `{component}` is not a regular file")),
                    Was::Absent => Err(format!("there is no `{path}` in component `{component}`")),
                }
            };
            send(reply, done.await);
        }
        RequestKind::Write { file, reply } => {
            let done = async {
                let id = existing(shared, &file.component)?;
                let planned = shared.planned(&file.component).ok_or("it is no component of the pod")?;
                let real = locate(&shared.engine, &id, &file.path, &shared.launches).await?;
                permitted(shared, plugin, &file.component, &file.path, &real.path)?;
                let file = File { path: real.path, ..file };
                put(&shared.engine, &id, planned, &file, &shared.launches).await.map_err(|error| chain(&error))
            };
            send(reply, done.await);
        }
        RequestKind::Exec { component, argv, timeout, reply } => {
            let done = async {
                let id = running(shared, &component)?;
                let shown = argv.join(" ");
                let done = shared.engine.exec(&id, &ExecCommand::new(argv), timeout, EXEC_OUTPUT).await;
                done.map_err(|error| unfinished(&shown, &component, &error))
            };
            send(reply, done.await);
        }
    }
}

/// Whether a plugin may have a file where links really lead to; the plain path has been judged before.
///
/// # Errors
/// Both paths, and the grant that is missing.
pub fn permitted<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    plugin: &PluginName,
    component: &ComponentName,
    path: &str,
    real: &str,
) -> Result<(), String> {
    if path.trim_end_matches('/') == real {
        return Ok(());
    }
    shared
        .hooks
        .permits(plugin, component, real)
        .map_err(|why| format!("a link in component `{component}` leads from `{path}` to `{real}`: {why}"))
}

/// Why a command did not end: the engine knows neither the component nor the command.
pub fn unfinished(command: &str, component: &ComponentName, error: &EngineError) -> String {
    let short: String = command.chars().take(SHOWN_COMMAND).collect();
    let dots = if short.len() < command.len() { "…" } else { "" };
    match error {
        EngineError::Timeout { after, .. } => format!("`{short}{dots}` in `{component}` did not end within {after:?}"),
        error => format!("`{short}{dots}` in `{component}`: {}", chain(error)),
    }
}

fn send<T>(reply: Reply<T>, answer: Result<T, String>) {
    if reply.send(answer).is_err() {
        tracing::debug!("the plugin did not wait for the answer");
    }
}

/// The container of a component that has been created.
fn existing<E: Engine, H: Hooks>(shared: &Shared<E, H>, component: &ComponentName) -> Result<ContainerId, String> {
    match shared.container(component) {
        Some(container) => Ok(container.id),
        None if shared.planned(component).is_some() => Err(format!("component `{component}` has not been created yet")),
        None => Err(format!("the pod has no component `{component}`")),
    }
}

/// The container of a component whose process runs.
pub fn running<E: Engine, H: Hooks>(shared: &Shared<E, H>, component: &ComponentName) -> Result<ContainerId, String> {
    let id = existing(shared, component)?;
    let live = shared.live.borrow();
    match live.get(component) {
        Some(live) if live.phase == super::events::Phase::Running => Ok(id),
        _ => Err(format!("component `{component}` is not running")),
    }
}
