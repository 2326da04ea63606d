//! The hooks of one instance, called with our own types.

use wasmtime::Store;
use wasmtime::component::{Instance as Wasm, InstancePre};

use super::convert::{
    LentBatch, changes_to, copied_of, decision_of, failure_of, file_to, judgement_of, mistakes_of, rollout_of,
    trigger_to, verdict_of,
};
use super::documents;
use super::exports::outrigger::pod::{
    component_event, config_changed, config_copy, health, log_line, plugin, pre_start, signal, tick,
};
use crate::hooks::Hook;
use crate::plugin::answers::said::{Mistake, Said};
use crate::plugin::host::manifest::{Declared, Needs};
use crate::plugin::instance::call::{Call, Failure};
use crate::plugin::instance::guest::Guest;

/// An answer, the plugin's own error, or, outermost, a trap.
pub type Outcome<T> = wasmtime::Result<Result<T, Failure>>;

/// Where a component's hooks are, found once.
pub struct Indices {
    plugin: plugin::GuestIndices,
    pre_start: Option<pre_start::GuestIndices>,
    config_copy: Option<config_copy::GuestIndices>,
    health: Option<health::GuestIndices>,
    log_line: Option<log_line::GuestIndices>,
    signal: Option<signal::GuestIndices>,
    component_event: Option<component_event::GuestIndices>,
    config_changed: Option<config_changed::GuestIndices>,
    tick: Option<tick::GuestIndices>,
}

impl Indices {
    /// Finds those of `hooks`, which the component is known to export.
    ///
    /// # Errors
    /// Where an interface lacks a function.
    pub fn new(pre: &InstancePre<Guest>, hooks: &[Hook]) -> wasmtime::Result<Self> {
        macro_rules! find {
            ($hook:ident, $module:ident) => {
                hooks.contains(&Hook::$hook).then(|| $module::GuestIndices::new(pre)).transpose()?
            };
        }
        Ok(Self {
            plugin: plugin::GuestIndices::new(pre)?,
            pre_start: find!(PreStart, pre_start),
            config_copy: find!(ConfigCopy, config_copy),
            health: find!(Health, health),
            log_line: find!(LogLine, log_line),
            signal: find!(Signal, signal),
            component_event: find!(ComponentEvent, component_event),
            config_changed: find!(ConfigChanged, config_changed),
            tick: find!(Tick, tick),
        })
    }
}

/// The functions of one instance.
pub struct Exports {
    plugin: plugin::Guest,
    pre_start: Option<pre_start::Guest>,
    config_copy: Option<config_copy::Guest>,
    health: Option<health::Guest>,
    log_line: Option<log_line::Guest>,
    signal: Option<signal::Guest>,
    component_event: Option<component_event::Guest>,
    config_changed: Option<config_changed::Guest>,
    tick: Option<tick::Guest>,
}

impl Exports {
    /// Those of this instance.
    ///
    /// # Errors
    /// Where an export does not have the contract's type.
    pub fn load(indices: &Indices, store: &mut Store<Guest>, wasm: &Wasm) -> wasmtime::Result<Self> {
        macro_rules! load {
            ($field:ident) => {
                indices.$field.as_ref().map(|found| found.load(&mut *store, wasm)).transpose()?
            };
        }
        Ok(Self {
            plugin: indices.plugin.load(&mut *store, wasm)?,
            pre_start: load!(pre_start),
            config_copy: load!(config_copy),
            health: load!(health),
            log_line: load!(log_line),
            signal: load!(signal),
            component_event: load!(component_event),
            config_changed: load!(config_changed),
            tick: load!(tick),
        })
    }

    /// Calls `describe`. Inside is what is wrong with the manifest.
    ///
    /// # Errors
    /// A trap.
    pub async fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<Declared, String>> {
        self.plugin.call_describe(&mut *store).await.map(|text| documents::manifest(&text))
    }

    /// Calls `configure`. Inside are the mistakes in the configuration.
    ///
    /// # Errors
    /// A trap, or an answer that does not have the form of `needs.json`.
    pub async fn configure(
        &self,
        store: &mut Store<Guest>,
        setup: &str,
    ) -> wasmtime::Result<Result<Result<Needs, String>, Vec<Mistake>>> {
        let said = self.plugin.call_configure(&mut *store, setup).await?;
        Ok(said.map(|text| documents::needs(&text)).map_err(mistakes_of))
    }

    /// Calls a hook.
    ///
    /// Cancel safety: whatever `call` holds is there again when the future is dropped.
    ///
    /// # Errors
    /// See [`Outcome`].
    pub async fn ask(&self, store: &mut Store<Guest>, call: &mut Call) -> Outcome<Said> {
        macro_rules! hook {
            ($hook:ident) => {
                match &self.$hook {
                    Some(hook) => hook,
                    None => return Ok(Err(Failure::Refused("does not have the hook".to_owned()))),
                }
            };
        }
        let said = match call {
            Call::LogLines(batch) => {
                let lent = LentBatch::new(batch);
                let said = hook!(log_line).call_on_batch(&mut *store, &lent.wire).await?;
                said.map(|verdict| Said::Lines(verdict_of(verdict)))
            }
            Call::PreStart(plan) => hook!(pre_start).call_on_pre_start(&mut *store, plan).await?.map(Said::Overlay),
            Call::ConfigCopy { source, file } => {
                let file = file_to(&mut store.data_mut().contents, file);
                match hook!(config_copy).call_on_copy(&mut *store, source, &file).await? {
                    Ok(verdict) => match copied_of(&store.data().contents, verdict) {
                        Ok(copied) => Ok(Said::Copied(copied)),
                        Err(failure) => return Ok(Err(failure)),
                    },
                    Err(error) => Err(error),
                }
            }
            Call::Health(trigger) => {
                let said = hook!(health).call_on_check(&mut *store, &trigger_to(trigger)).await?;
                said.map(|list| Said::Judgements(list.into_iter().map(judgement_of).collect()))
            }
            Call::Signal(number) => {
                let said = hook!(signal).call_on_signal(&mut *store, *number).await?;
                said.map(|decision| Said::Decision(decision_of(decision)))
            }
            Call::Event(event) => {
                match hook!(component_event).call_on_event(&mut *store, &documents::event(event)).await? {
                    Ok(text) => match documents::reaction(text) {
                        Ok(reaction) => Ok(Said::Reaction(reaction)),
                        Err(why) => return Ok(Err(Failure::Refused(why))),
                    },
                    Err(error) => Err(error),
                }
            }
            Call::Changed(changes) => {
                let changes = changes_to(&mut store.data_mut().contents, changes);
                match hook!(config_changed).call_on_change(&mut *store, &changes).await? {
                    Ok(None) => Ok(Said::Rollout(None)),
                    Ok(Some(rollout)) => match rollout_of(&store.data().contents, rollout) {
                        Ok(rollout) => Ok(Said::Rollout(Some(rollout))),
                        Err(failure) => return Ok(Err(failure)),
                    },
                    Err(error) => Err(error),
                }
            }
            Call::Outcome { id, outcome, text } => {
                let outcome = documents::outcome(id.as_deref(), *outcome, text);
                hook!(config_changed).call_on_outcome(&mut *store, &outcome).await?.map(|()| Said::Heard)
            }
            Call::Tick => hook!(tick).call_on_tick(&mut *store).await?.map(Said::Next),
        };
        Ok(said.map_err(failure_of))
    }
}
