//! One instance of a plugin: its store, and the hooks that are called in it.

use std::sync::Arc;

use wasmtime::component::{Instance as Wasm, InstancePre};
use wasmtime::{Engine, Store};

use crate::hooks::limits::LEAST_TICK_MS;
use crate::hooks::{Hook, SignalDecision};
use crate::plugin::PodView;
use crate::plugin::answers::Judge;
use crate::plugin::bindings::v0_1::convert::{manifest_of, verdict_of, want_of};
use crate::plugin::bindings::v0_1::exports::outrigger::pod::{
    component_event, config_changed, config_copy, health, log_line, plugin, pre_start, signal, tick,
};
use crate::plugin::bindings::v0_1::outrigger::pod::types::HookError;
use crate::plugin::call::{Answer, Call, Class, Failure};
use crate::plugin::clock::{Budget, Clock, Meter, Overrun};
use crate::plugin::guest::{Guest, Phase, Shared};
use crate::plugin::lines;
use crate::plugin::manifest::{Declared, DeclaredWant};
use crate::plugin::wasi::Wasi;

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
struct Exports {
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
    fn load(indices: &Indices, store: &mut Store<Guest>, wasm: &Wasm) -> wasmtime::Result<Self> {
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
}

/// What an instance is made from.
pub struct Recipe {
    /// The engine.
    pub engine: Engine,
    /// Its clock.
    pub clock: Arc<Clock>,
    /// The linked component.
    pub pre: InstancePre<Guest>,
    /// Its hooks.
    pub indices: Indices,
}

/// A live instance.
pub struct Instance {
    store: Store<Guest>,
    meter: Arc<Meter>,
    exports: Exports,
}

/// An answer, or why there is none.
type Said<T> = Result<Result<T, HookError>, Failure>;

impl Instance {
    /// Makes an instance, without configuring it.
    ///
    /// # Errors
    /// A trap or overrun, a limit that is too low, or exports that do not have the contract's types.
    pub async fn start(
        recipe: &Recipe,
        shared: Arc<Shared>,
        memory: u64,
        wasi: Wasi,
        budget: Budget,
    ) -> Result<Self, Failure> {
        let memory = usize::try_from(memory).unwrap_or(usize::MAX);
        let (mut store, meter) = Guest::store(&recipe.engine, &recipe.clock, shared, memory, wasi);
        store.set_epoch_deadline(1);
        let made = meter.run(budget, recipe.pre.instantiate_async(&mut store)).await;
        let wasm = settled(&store, made)?;
        let exports = Exports::load(&recipe.indices, &mut store, &wasm)
            .map_err(|error| Failure::Refused(format!("does not match the contract: {error:#}")))?;
        Ok(Self { store, meter, exports })
    }

    /// Asks the plugin what it is.
    ///
    /// # Errors
    /// A trap or an overrun.
    pub async fn describe(&mut self, budget: Budget) -> Result<Declared, Failure> {
        let Self { store, meter, exports } = self;
        store.data_mut().enter(Phase::Describe);
        store.set_epoch_deadline(1);
        let said = meter.run(budget, exports.plugin.call_describe(&mut *store)).await;
        settled(store, said).map(manifest_of)
    }

    /// Gives it its configuration; hooks may be called afterwards.
    ///
    /// # Errors
    /// A trap, an overrun, or its own error.
    pub async fn configure(&mut self, json: &str, phase: Phase, budget: Budget) -> Result<Vec<DeclaredWant>, Failure> {
        let Self { store, meter, exports } = self;
        store.data_mut().enter(phase);
        store.set_epoch_deadline(1);
        let said = meter.run(budget, exports.plugin.call_configure(&mut *store, json)).await;
        let wants = spoken(settled(store, said))?;
        store.data_mut().enter(Phase::Running);
        Ok(wants.into_iter().map(want_of).collect())
    }

    /// Calls a hook and checks the answer against the pod as it is now.
    ///
    /// # Errors
    /// A trap or an overrun, after which the instance is of no use; the plugin's own error; or an answer that it must not give.
    pub async fn call(&mut self, call: &mut Call, budget: Budget) -> Result<Answer, Failure> {
        let Self { store, meter, exports } = self;
        store.data().last_words.clear();
        store.data_mut().is_patient = Class::of(call.hook()) == Some(Class::Patient);
        store.set_epoch_deadline(1);
        macro_rules! ask {
            ($hook:ident . $function:ident ( $($argument:expr),* )) => {{
                let Some(hook) = &exports.$hook else { return Err(Failure::Refused("does not have the hook".to_owned())) };
                let said = meter.run(budget, hook.$function(&mut *store, $($argument),*)).await;
                spoken(settled(store, said))?
            }};
        }
        let answer = match call {
            // First, because it is by far the most frequent; it needs no look at the pod.
            Call::LogLines(batch) => {
                let verdict = verdict_of(ask!(log_line.call_on_batch(batch)));
                if let lines::Verdict::Edit(edit) = &verdict {
                    lines::check(batch.ends.len(), edit).map_err(Failure::Refused)?;
                    // Like an overrun of memory or time: a strike whatever `on-error` says, and the guest's memory is given back.
                    lines::bounds::check(&lines::bounds::Seen::of(batch), edit).map_err(Failure::Dead)?;
                }
                return Ok(Answer::Lines(verdict));
            }
            Call::PreStart(plan) => {
                let overlay = ask!(pre_start.call_pre_start(plan));
                // Of the same plan it would make the same overlay.
                return judged(store, |judge| judge.overlay(overlay)).map(Answer::Overlay).map_err(Failure::Final);
            }
            Call::ConfigCopy { source, file } => {
                let verdict = ask!(config_copy.call_config_copy(source, file));
                judged(store, |judge| judge.copy(file, verdict)).map(Answer::Copy)
            }
            Call::Health(trigger) => {
                let judgements = ask!(health.call_check(trigger));
                judged(store, |judge| judge.judgements(judgements)).map(Answer::Judgements)
            }
            Call::Signal(number) => match ask!(signal.call_on_signal(*number)) {
                signal::Decision::Forward => Ok(Answer::Decision(SignalDecision::Forward)),
                decision @ signal::Decision::Deliver(_) => {
                    judged(store, |judge| judge.decision(decision)).map(Answer::Decision)
                }
            },
            Call::Event(event) => Ok(Answer::Reaction(Judge::reaction(ask!(component_event.call_on_event(event))))),
            Call::Changed(changes) => {
                drop(store.data().shared.take_put_off());
                let rollout = ask!(config_changed.call_on_change(changes));
                judged(store, |judge| judge.rollout(rollout)).map(Answer::Rollout)
            }
            Call::Outcome { applied, text } => {
                ask!(config_changed.call_on_outcome(*applied, text));
                Ok(Answer::Heard)
            }
            Call::Tick => Ok(Answer::Next(ask!(tick.call_tick()).map(|next| next.max(LEAST_TICK_MS)))),
        };
        answer.map_err(Failure::Refused)
    }
}

fn judged<T>(store: &Store<Guest>, ask: impl FnOnce(&Judge<'_>) -> Result<T, String>) -> Result<T, String> {
    let shared = &store.data().shared;
    let view = shared.link.as_ref().map(|link| Arc::clone(&link.pod.borrow()));
    ask(&Judge { granter: &shared.granter, view: &view.unwrap_or_else(|| Arc::new(PodView::default())) })
}

/// The plugin's own error as a failure.
fn spoken<T>(said: Said<T>) -> Result<T, Failure> {
    said?.map_err(|error| match error {
        HookError::BadConfig(text) => Failure::Final(format!("reported a wrong configuration: {text}")),
        HookError::Denied(text) => Failure::Refused(format!("reported a missing permission: {text}")),
        HookError::Retry(ms) => Failure::Retry(ms),
        HookError::Failed(text) => Failure::Refused(format!("failed: {text}")),
    })
}

/// Traps and overruns as failures.
fn settled<T>(store: &Store<Guest>, ran: Result<wasmtime::Result<T>, Overrun>) -> Result<T, Failure> {
    let error = match ran {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(overrun) => return Err(Failure::Dead(overrun.to_string())),
    };
    if let Some(limit) = store.data().limits.exhausted() {
        return Err(Failure::Dead(format!("exceeded its memory limit of {} KiB", limit / 1024)));
    }
    Err(Failure::Dead(match error.downcast_ref::<wasmtime::Trap>() {
        // A panic, or an abort: what it was about the guest has written.
        Some(wasmtime::Trap::UnreachableCodeReached) if !store.data().last_words.text().is_empty() => {
            format!("trapped: {}", store.data().last_words.text())
        }
        Some(trap) => format!("trapped: {trap}"),
        None => format!("trapped: {}", error.root_cause()),
    }))
}

/// The hooks of a class that a plugin has.
#[must_use]
pub fn has_class(hooks: &[Hook], class: Class) -> bool {
    hooks.iter().any(|&hook| Class::of(hook) == Some(class))
}
