//! The hooks of one instance, called with our own types.

use wasmtime::Store;
use wasmtime::component::{Instance as Wasm, InstancePre};

use super::convert::{
    LentBatch, LentChanges, LentFile, copied_of, decision_of, event_to, failure_of, judgement_of, manifest_of,
    reaction_of, rollout_of, trigger_to, verdict_of, want_of,
};
use super::exports::outrigger::pod::{
    component_event, config_changed, config_copy, health, log_line, plugin, pre_start, signal, tick,
};
use crate::hooks::Hook;
use crate::plugin::answers::said::Said;
use crate::plugin::host::manifest::{Declared, DeclaredWant};
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

    /// Calls `describe`.
    ///
    /// # Errors
    /// A trap.
    pub async fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Declared> {
        self.plugin.call_describe(&mut *store).await.map(manifest_of)
    }

    /// Calls `configure`.
    ///
    /// # Errors
    /// See [`Outcome`].
    pub async fn configure(&self, store: &mut Store<Guest>, json: &str) -> Outcome<Vec<DeclaredWant>> {
        let said = self.plugin.call_configure(&mut *store, json).await?;
        Ok(said.map(|wants| wants.into_iter().map(want_of).collect()).map_err(failure_of))
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
            Call::PreStart(plan) => hook!(pre_start).call_pre_start(&mut *store, plan).await?.map(Said::Overlay),
            Call::ConfigCopy { source, file } => {
                let lent = LentFile::new(file);
                let said = hook!(config_copy).call_config_copy(&mut *store, source, &lent.wire).await?;
                said.map(|verdict| Said::Copied(copied_of(verdict)))
            }
            Call::Health(trigger) => {
                let said = hook!(health).call_check(&mut *store, &trigger_to(trigger)).await?;
                said.map(|list| Said::Judgements(list.into_iter().map(judgement_of).collect()))
            }
            Call::Signal(number) => {
                let said = hook!(signal).call_on_signal(&mut *store, *number).await?;
                said.map(|decision| Said::Decision(decision_of(decision)))
            }
            Call::Event(event) => {
                let said = hook!(component_event).call_on_event(&mut *store, &event_to(event)).await?;
                said.map(|reaction| Said::Reaction(reaction_of(reaction)))
            }
            Call::Changed(changes) => {
                let lent = LentChanges::new(changes);
                let said = hook!(config_changed).call_on_change(&mut *store, &lent.wire).await?;
                said.map(|rollout| Said::Rollout(rollout.map(rollout_of)))
            }
            Call::Outcome { applied, text } => {
                hook!(config_changed).call_on_outcome(&mut *store, *applied, text).await?.map(|()| Said::Heard)
            }
            Call::Tick => hook!(tick).call_tick(&mut *store).await?.map(Said::Next),
        };
        Ok(said.map_err(failure_of))
    }
}
