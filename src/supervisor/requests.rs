//! Serves what plugins ask of the pod. Grants have been checked by the plugin host; here it is seen to that the component exists and runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{ContainerId, Engine, chain};
use crate::hooks::{File, FileFacts, Hooks, NEW_FILE, limits};
use crate::plan::units;
use crate::plugin::{Reply, Request, RequestKind};
use crate::pod::life::ExecCommand;
use crate::pod::{ComponentName, PluginName};
use crate::shutdown::Tasks;
use crate::supervisor::copy::{Was, get, put};
use crate::supervisor::events::Event;
use crate::supervisor::inside;
use crate::supervisor::place::{follow, locate};
use crate::supervisor::shared::Shared;

/// Longest output of each stream that a plugin gets from a command, in bytes; as `wit/host.wit` promises.
const EXEC_OUTPUT: usize = 64 << 10;

/// Files of one component that are read at the same time: each is held in memory until its digest is known.
const READ_AT_ONCE: usize = 4;

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
                let id = unpaused(shared, &component)?;
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
                    Was::Absent => Err(format!("`{path}` does not exist in component `{component}`")),
                }
            };
            send(reply, done.await);
        }
        RequestKind::Inspect { component, paths, reply } => {
            let done = match existing(shared, &component) {
                Ok(id) => Ok(inspect(shared, plugin, &component, &id, &paths).await),
                Err(why) => Err(why),
            };
            send(reply, done);
        }
        RequestKind::Write { file, reply } => {
            let done = async {
                let id = existing(shared, &file.component)?;
                let planned = shared.planned(&file.component).ok_or("the pod has no such component")?;
                let real = locate(&shared.engine, &id, &file.path, &shared.launches).await?;
                permitted(shared, plugin, &file.component, &file.path, &real.path)?;
                let had = match file.keeps_rights() && real.kind.is_some() {
                    true => {
                        let limit = limits::LARGEST_FILE as usize;
                        match get(&shared.engine, &id, &file.component, &real.path, limit, &shared.launches).await? {
                            Was::File(was) => (was.mode, was.uid, was.gid),
                            Was::Absent | Was::Link(_) => NEW_FILE,
                        }
                    }
                    false => NEW_FILE,
                };
                let file = File { path: real.path, ..file.over(had) };
                put(&shared.engine, &id, planned, &file, &shared.launches).await.map_err(|error| chain(&error))
            };
            send(reply, done.await);
        }
        RequestKind::Report { judgements, reply } => {
            shared.tell(Event::Judged { plugin: plugin.clone(), judgements }).await;
            send(reply, Ok(()));
        }
        RequestKind::Rollout { rollout, reply } => send(reply, shared.asked.add(plugin, rollout)),
        RequestKind::Exec { component, argv, timeout, reply } => {
            let done = async {
                let id = unpaused(shared, &component)?;
                let shown = units::command(&argv);
                let done = inside::exec(shared, &component, &id, &ExecCommand::new(argv), timeout, EXEC_OUTPUT).await;
                done.map_err(|undone| undone.told(&shown, &component))
            };
            send(reply, done.await);
        }
    }
}

/// Describes files, in the order of their paths. The way to each directory is followed once, because it costs the engine a call for each of its parts.
async fn inspect<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    plugin: &PluginName,
    component: &ComponentName,
    id: &ContainerId,
    paths: &[String],
) -> Vec<Option<FileFacts>> {
    let mut directories = BTreeMap::new();
    for path in paths {
        let (directory, _) = path.rsplit_once('/').unwrap_or_default();
        if !directories.contains_key(directory) {
            let real = follow(&shared.engine, id, directory, &shared.launches).await.ok();
            directories.insert(directory, real.filter(|real| real.kind.is_some()).map(|real| real.path));
        }
    }
    let look = |path: &'_ String| -> Option<(String, String)> {
        let (directory, name) = path.rsplit_once('/')?;
        let real = directories.get(directory)?.as_ref()?;
        Some((path.clone(), format!("{}/{name}", real.trim_end_matches('/'))))
    };
    let looks = paths.iter().map(look).map(|way| {
        async move {
            let (path, real) = way?;
            facts(shared, plugin, component, id, &path, &real).await
        }
        .boxed()
    });
    futures_util::stream::iter(looks).buffered(READ_AT_ONCE).collect().await
}

/// Describes what is at a path whose directory has no links.
async fn facts<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    plugin: &PluginName,
    component: &ComponentName,
    id: &ContainerId,
    path: &str,
    real: &str,
) -> Option<FileFacts> {
    let limit = limits::LARGEST_FILE as usize;
    permitted(shared, plugin, component, path, real).ok()?;
    let mut was = get(&shared.engine, id, component, real, limit, &shared.launches).await.ok()?;
    if let Was::Link(_) = was {
        let end = follow(&shared.engine, id, real, &shared.launches).await.ok()?;
        permitted(shared, plugin, component, path, &end.path).ok()?;
        was = get(&shared.engine, id, component, &end.path, limit, &shared.launches).await.ok()?;
    }
    let Was::File(File { mode, uid, gid, content, .. }) = was else { return None };
    // Some milliseconds for a long file: not on the runtime's thread.
    let digest = tokio::task::spawn_blocking(move || hex::encode(Sha256::digest(&content))).await.ok()?;
    Some(FileFacts { mode, uid, gid, digest })
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

fn send<T>(reply: Reply<T>, answer: Result<T, String>) {
    if reply.send(answer).is_err() {
        tracing::debug!("the plugin is no longer waiting for the answer");
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

/// The container of a component whose process runs, and stands not still: a signal would end a pause that somebody has set.
fn unpaused<E: Engine, H: Hooks>(shared: &Shared<E, H>, component: &ComponentName) -> Result<ContainerId, String> {
    let id = running(shared, component)?;
    if shared.live.borrow().get(component).is_some_and(|live| live.paused) {
        return Err(format!("component `{component}` is paused; `docker unpause` lets it go on"));
    }
    Ok(id)
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
