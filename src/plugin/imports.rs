//! What plugins may call: the host's side of `wit/host.wit`. Every function asks the granter first.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::warn;
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::hooks::FileFacts;
use crate::hooks::limits::{DEBOUNCE_MS, LARGEST_FILE, LONGEST_COMMAND_MS, MOST_FILES};
use crate::plugin::bindings::v0_1::convert::{file_of, file_to};
use crate::plugin::bindings::v0_1::outrigger::pod::{exec, files, metrics, pod, signals, state, types, watch};
use crate::plugin::clock::Pause;
use crate::plugin::grants::Denied;
use crate::plugin::guest::{Guest, Phase, Shared};
use crate::plugin::metrics::Change;
use crate::plugin::{ComponentState, ComponentView, PodView, Reply, Request, RequestKind, WatchRequest};
use crate::pod::ComponentName;

/// Arguments of `exec.run`, and bytes of them together.
const ARGUMENTS: (usize, usize) = (256, 64 << 10);

/// How long a call waits for an engine that is away or hangs. The wait is not the plugin's time.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A component as a guest's handle refers to it: by name, so that a later call sees later states.
#[derive(Debug)]
pub struct PodComponent {
    name: ComponentName,
}

/// Links all interfaces that this version serves.
///
/// # Errors
/// Only where a name is linked twice.
pub fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    pod::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    signals::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    files::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    exec::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    watch::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    state::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    metrics::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
}

type Answer<T> = wasmtime::Result<Result<T, types::HookError>>;

impl From<Denied> for types::HookError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied.to_string())
    }
}

fn failed(why: impl Into<String>) -> types::HookError {
    types::HookError::Failed(why.into())
}

/// Who calls. Apart from the store, so that a call may wait without it.
struct Caller {
    shared: Arc<Shared>,
    phase: Phase,
    /// None where the hook must not wait.
    pause: Option<Arc<Pause>>,
}

impl Caller {
    fn allowed(&self, capability: &'static str, scope: &str) -> Result<(), types::HookError> {
        if self.phase != Phase::Running {
            return Err(types::HookError::Denied(format!("`{capability}` cannot be used before the first hook")));
        }
        Ok(self.shared.granter.check(capability, scope)?)
    }

    async fn ask<T>(&self, kind: impl FnOnce(Reply<T>) -> RequestKind) -> Result<T, types::HookError> {
        let Some(link) = &self.shared.link else { return Err(failed("there is no pod")) };
        if !link.served.load(Ordering::Relaxed) {
            return Err(failed("no component has been created yet"));
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { plugin: self.shared.granter.plugin().clone(), kind: kind(reply) };
        link.requests.send(request).await.map_err(|_| failed("the pod is ending"))?;
        answer.await.map_err(|_| failed("the pod is ending"))?.map_err(failed)
    }

    /// Asks for something that only the engine has to do. The plugin's clock stands meanwhile, because an outage is not the plugin's fault: each call to the
    /// engine has a deadline of its own, and whoever serves the request repeats the call until the engine is back.
    async fn ask_engine<T>(&self, kind: impl FnOnce(Reply<T>) -> RequestKind) -> Result<T, types::HookError> {
        let _paused = self.pause.as_ref().map(Pause::begin);
        let answer = tokio::time::timeout(LONGEST_WAIT, self.ask(kind)).await;
        answer.unwrap_or_else(|_| Err(failed(format!("the engine did not answer within {LONGEST_WAIT:?}"))))
    }
}

impl Guest {
    fn caller(&self) -> Caller {
        Caller {
            shared: Arc::clone(&self.shared),
            phase: self.phase,
            pause: self.is_patient.then(|| Arc::clone(&self.pause)),
        }
    }

    /// The pod, where the plugin may see it.
    fn view(&self) -> Option<Arc<PodView>> {
        self.caller().allowed("pod", "*").ok()?;
        self.shared.link.as_ref().map(|link| Arc::clone(&link.pod.borrow()))
    }

    fn component(&self, handle: &Resource<PodComponent>) -> wasmtime::Result<Option<(Arc<PodView>, usize)>> {
        let name = &self.table.get(handle)?.name;
        Ok(self.view().and_then(|view| {
            let index = view.components.iter().position(|component| component.name == *name)?;
            Some((view, index))
        }))
    }

    fn of_component<T>(
        &self,
        handle: &Resource<PodComponent>,
        get: impl FnOnce(&ComponentView) -> T,
    ) -> wasmtime::Result<Option<T>> {
        Ok(self.component(handle)?.and_then(|(view, index)| view.components.get(index).map(get)))
    }
}

fn component_name(name: &str) -> Result<ComponentName, types::HookError> {
    ComponentName::new(name).map_err(|error| failed(error.to_string()))
}

impl types::Host for Guest {}

impl pod::HostComponent for Guest {
    fn name(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.name.to_string())
    }

    fn image(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<String> {
        Ok(self.of_component(&this, |component| component.image.clone())?.unwrap_or_default())
    }

    fn container_id(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<Option<String>> {
        Ok(self.of_component(&this, |component| component.container_id.clone())?.flatten())
    }

    fn state(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<pod::State> {
        let state = self.of_component(&this, |component| component.state)?;
        Ok(match state.unwrap_or(ComponentState::Removed) {
            ComponentState::Planned => pod::State::Planned,
            ComponentState::Starting => pod::State::Starting,
            ComponentState::Running => pod::State::Running,
            ComponentState::Stopping => pod::State::Stopping,
            ComponentState::Exited => pod::State::Exited,
            ComponentState::Removed => pod::State::Removed,
        })
    }

    fn label(&mut self, this: Resource<PodComponent>, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.of_component(&this, |component| component.labels.get(&key).cloned())?.flatten())
    }

    fn drop(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl pod::Host for Guest {
    fn name(&mut self) -> wasmtime::Result<String> {
        Ok(self.view().map(|view| view.name.clone()).unwrap_or_default())
    }

    fn label(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.view().and_then(|view| view.labels.get(&key).cloned()))
    }

    fn components(&mut self) -> wasmtime::Result<Vec<Resource<PodComponent>>> {
        let Some(view) = self.view() else { return Ok(Vec::new()) };
        let mut handles = Vec::new();
        for component in &view.components {
            if self.shared.granter.sees(component.name.as_str()) {
                handles.push(self.table.push(PodComponent { name: component.name.clone() })?);
            }
        }
        Ok(handles)
    }
}

impl signals::Host for Guest {
    async fn send(&mut self, component: String, signal: u8) -> Answer<()> {
        let caller = self.caller();
        Ok(async move {
            caller.allowed("signals", &component)?;
            if !(1..=64).contains(&signal) {
                return Err(failed(format!("there is no signal {signal}")));
            }
            let component = component_name(&component)?;
            caller.ask_engine(|reply| RequestKind::Signal { component, signal: i32::from(signal), reply }).await
        }
        .await)
    }
}

impl files::Host for Guest {
    async fn inspect(&mut self, component: String, paths: Vec<String>) -> Answer<Vec<Option<files::Facts>>> {
        let caller = self.caller();
        Ok(async move {
            if paths.len() > MOST_FILES {
                return Err(failed(format!("a call can describe at most {MOST_FILES} files")));
            }
            for path in &paths {
                caller.allowed("files", &format!("{component}:{path}"))?;
            }
            let component = component_name(&component)?;
            let facts = caller.ask_engine(|reply| RequestKind::Inspect { component, paths, reply }).await?;
            let fact = |FileFacts { mode, uid, gid, digest }| files::Facts { mode, uid, gid, digest };
            Ok(facts.into_iter().map(|found| found.map(fact)).collect())
        }
        .await)
    }

    async fn read(&mut self, component: String, path: String, limit: u32) -> Answer<types::File> {
        let caller = self.caller();
        Ok(async move {
            caller.allowed("files", &format!("{component}:{path}"))?;
            let component = component_name(&component)?;
            let limit = limit.min(LARGEST_FILE) as usize;
            caller.ask_engine(|reply| RequestKind::Read { component, path, limit, reply }).await.map(file_to)
        }
        .await)
    }

    async fn write(&mut self, file: types::File) -> Answer<()> {
        let caller = self.caller();
        Ok(async move {
            caller.allowed("files", &format!("{}:{}", file.component, file.path))?;
            let file = file_of(file).map_err(failed)?;
            caller.ask_engine(|reply| RequestKind::Write { file, reply }).await
        }
        .await)
    }
}

impl exec::Host for Guest {
    async fn run(&mut self, component: String, argv: Vec<String>, timeout_ms: u32) -> Answer<exec::Done> {
        let caller = self.caller();
        Ok(async move {
            caller.allowed("exec", &component)?;
            let component = component_name(&component)?;
            let bytes: usize = argv.iter().map(String::len).sum();
            if argv.is_empty() || argv.len() > ARGUMENTS.0 || bytes > ARGUMENTS.1 {
                return Err(failed(format!(
                    "a command must have 1 to {} words, and at most {} bytes in total",
                    ARGUMENTS.0, ARGUMENTS.1
                )));
            }
            let timeout = Duration::from_millis(u64::from(timeout_ms.min(LONGEST_COMMAND_MS)));
            let done = caller.ask(|reply| RequestKind::Exec { component, argv, timeout, reply }).await?;
            Ok(exec::Done {
                exit_code: i32::try_from(done.exit_code).unwrap_or(i32::MAX),
                stdout: done.stdout.into(),
                stderr: done.stderr.into(),
                truncated: done.truncated,
            })
        }
        .await)
    }
}

impl watch::Host for Guest {
    async fn add(&mut self, source: String, options: watch::Options) -> Answer<()> {
        let caller = self.caller();
        Ok(async move {
            match caller.phase {
                Phase::Describe => {
                    return Err(types::HookError::Denied("`watch` cannot be used in `describe`".to_owned()));
                }
                // What will be granted follows from this very call of `configure`; the next one, with grants, counts.
                Phase::Trial => return Ok(caller.shared.granter.check_manifest("watch", &source)?),
                Phase::Configure | Phase::Running => caller.shared.granter.check("watch", &source)?,
            }
            let (least, longest) = DEBOUNCE_MS;
            if !(least..=longest).contains(&options.debounce_ms) || options.max_delay_ms < options.debounce_ms {
                return Err(failed(format!(
                    "`debounce-ms` must be from {least} to {longest}, and `max-delay-ms` at least `debounce-ms`"
                )));
            }
            let request = WatchRequest {
                plugin: caller.shared.granter.plugin().clone(),
                source,
                debounce: Duration::from_millis(u64::from(options.debounce_ms)),
                max_delay: Duration::from_millis(u64::from(options.max_delay_ms)),
            };
            // Every instance of a plugin is configured alike, and again after a restart: one watch is enough.
            if !caller.shared.note_watch(&request) || caller.phase == Phase::Configure {
                return Ok(());
            }
            let Some(link) = &caller.shared.link else { return Err(failed("there is no pod")) };
            link.watches.send(request).await.map_err(|_| failed("the pod is ending"))
        }
        .await)
    }

    async fn put_off(&mut self, paths: Vec<String>) -> Answer<()> {
        Ok(self.note_put_off(paths))
    }
}

impl Guest {
    /// Only a report has files to put off.
    fn note_put_off(&self, paths: Vec<String>) -> Result<(), types::HookError> {
        let caller = self.caller();
        for path in paths.iter().take(MOST_FILES) {
            caller.allowed("watch", path)?;
        }
        let mut put_off = self.shared.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        put_off.extend(paths);
        // Of one report only.
        put_off.truncate(MOST_FILES);
        Ok(())
    }
}

impl state::Host for Guest {
    async fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        let caller = self.caller();
        if let Err(denied) = caller.allowed("state", "*") {
            return Ok(Err(denied));
        }
        Ok(caller.shared.keys.get(&key).await.map_err(failed))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        let caller = self.caller();
        if let Err(denied) = caller.allowed("state", "*") {
            return Ok(Err(denied));
        }
        Ok(caller.shared.keys.set(key, value).await.map_err(failed))
    }

    async fn delete(&mut self, key: String) -> Answer<()> {
        let caller = self.caller();
        if let Err(denied) = caller.allowed("state", "*") {
            return Ok(Err(denied));
        }
        Ok(caller.shared.keys.delete(&key).await.map_err(failed))
    }
}

impl Guest {
    fn measure(&self, name: &str, labels: Vec<types::Attr>, change: Change) {
        let plugin = self.shared.granter.plugin();
        if let Err(error) = self.caller().allowed("metrics", "*") {
            if self.shared.say_once() {
                let why = match error {
                    types::HookError::Denied(why) => why,
                    other => other.to_string(),
                };
                warn!(%plugin, metric = name, why, "metrics of the plugin are dropped");
            }
            return;
        }
        let labels: Vec<_> = labels.into_iter().map(|label| (label.key, label.value)).collect();
        if let Err(why) = self.shared.metrics.change(plugin, name, &labels, change)
            && self.shared.say_once()
        {
            warn!(%plugin, metric = name, why, "a metric of the plugin was dropped; further drops are not logged");
        }
    }
}

impl metrics::Host for Guest {
    fn counter_add(&mut self, name: String, delta: f64, labels: Vec<types::Attr>) -> wasmtime::Result<()> {
        self.measure(&name, labels, Change::Add(delta));
        Ok(())
    }

    fn gauge_set(&mut self, name: String, value: f64, labels: Vec<types::Attr>) -> wasmtime::Result<()> {
        self.measure(&name, labels, Change::Set(value));
        Ok(())
    }

    fn histogram_record(&mut self, name: String, value: f64, labels: Vec<types::Attr>) -> wasmtime::Result<()> {
        self.measure(&name, labels, Change::Record(value));
        Ok(())
    }
}
