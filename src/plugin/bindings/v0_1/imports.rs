//! What guests of version 0.1 call, in its types. [`crate::plugin::imports`] decides and does it.

use wasmtime::component::{HasSelf, Linker, Resource};

use super::convert::{file_of, file_to, refusal_to};
use super::outrigger::pod::{exec, files, metrics, pod, signals, state, types, watch};
use crate::hooks::FileFacts;
use crate::plugin::ComponentState;
use crate::plugin::imports::PodComponent;
use crate::plugin::imports::metrics::Change;
use crate::plugin::instance::guest::Guest;

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

impl types::Host for Guest {}

impl pod::HostComponent for Guest {
    fn name(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.name.to_string())
    }

    fn image(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<String> {
        let component = self.table.get(&this)?;
        Ok(self.of_component(component, |component| component.image.clone()).unwrap_or_default())
    }

    fn container_id(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<Option<String>> {
        let component = self.table.get(&this)?;
        Ok(self.of_component(component, |component| component.container_id.clone()).flatten())
    }

    fn state(&mut self, this: Resource<PodComponent>) -> wasmtime::Result<pod::State> {
        let state = self.of_component(self.table.get(&this)?, |component| component.state);
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
        let component = self.table.get(&this)?;
        Ok(self.of_component(component, |component| component.labels.get(&key).cloned()).flatten())
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
        Ok(self.caller().send_signal(&component, signal).await.map_err(refusal_to))
    }
}

impl files::Host for Guest {
    async fn inspect(&mut self, component: String, paths: Vec<String>) -> Answer<Vec<Option<files::Facts>>> {
        let fact = |FileFacts { mode, uid, gid, digest }| files::Facts { mode, uid, gid, digest };
        let found = self.caller().inspect(&component, paths).await;
        Ok(found.map(|found| found.into_iter().map(|facts| facts.map(fact)).collect()).map_err(refusal_to))
    }

    async fn read(&mut self, component: String, path: String, limit: u32) -> Answer<types::File> {
        Ok(self.caller().read(&component, path, limit).await.map(file_to).map_err(refusal_to))
    }

    async fn write(&mut self, file: types::File) -> Answer<()> {
        Ok(self.caller().write(file_of(file)).await.map_err(refusal_to))
    }
}

impl exec::Host for Guest {
    async fn run(&mut self, component: String, argv: Vec<String>, timeout_ms: u32) -> Answer<exec::Done> {
        let done = self.caller().run(&component, argv, timeout_ms).await;
        let done = done.map(|done| exec::Done {
            exit_code: i32::try_from(done.exit_code).unwrap_or(i32::MAX),
            stdout: done.stdout.into(),
            stderr: done.stderr.into(),
            truncated: done.truncated,
        });
        Ok(done.map_err(refusal_to))
    }
}

impl watch::Host for Guest {
    async fn add(&mut self, source: String, options: watch::Options) -> Answer<()> {
        Ok(self.caller().watch(source, options.debounce_ms, options.max_delay_ms).await.map_err(refusal_to))
    }

    async fn put_off(&mut self, paths: Vec<String>) -> Answer<()> {
        Ok(self.caller().put_off(paths).map_err(refusal_to))
    }
}

impl state::Host for Guest {
    async fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.caller().get(&key).await.map_err(refusal_to))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Answer<()> {
        Ok(self.caller().set(key, value).await.map_err(refusal_to))
    }

    async fn delete(&mut self, key: String) -> Answer<()> {
        Ok(self.caller().delete(&key).await.map_err(refusal_to))
    }
}

fn pairs(labels: Vec<types::Attr>) -> Vec<(String, String)> {
    labels.into_iter().map(|label| (label.key, label.value)).collect()
}

impl metrics::Host for Guest {
    fn counter_add(&mut self, name: String, delta: f64, labels: Vec<types::Attr>) -> wasmtime::Result<()> {
        self.caller().measure(&name, &pairs(labels), Change::Add(delta));
        Ok(())
    }

    fn gauge_set(&mut self, name: String, value: f64, labels: Vec<types::Attr>) -> wasmtime::Result<()> {
        self.caller().measure(&name, &pairs(labels), Change::Set(value));
        Ok(())
    }

    fn histogram_record(&mut self, name: String, value: f64, labels: Vec<types::Attr>) -> wasmtime::Result<()> {
        self.caller().measure(&name, &pairs(labels), Change::Record(value));
        Ok(())
    }
}
