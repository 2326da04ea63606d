//! One instance of a plugin: its store, and the hooks that are called in it.

pub mod call;
pub mod clock;
pub mod guest;
pub mod strikes;
pub mod worker;

use std::sync::Arc;

use wasmtime::component::InstancePre;
use wasmtime::{Engine, Store};

use crate::hooks::limits::LEAST_TICK_MS;
use crate::hooks::{Hook, SignalDecision};
use crate::plugin::PodView;
use crate::plugin::answers::Judge;
use crate::plugin::answers::lines;
use crate::plugin::answers::said::{Decision, Mistake, Said};
use crate::plugin::bindings::v0_1::calls::Exports;
pub use crate::plugin::bindings::v0_1::calls::Indices;
use crate::plugin::host::manifest::{Declared, Needs};
use crate::plugin::imports::wasi::Wasi;
use crate::plugin::instance::call::{Answer, Call, Class, Failure};
use crate::plugin::instance::clock::{Budget, Clock, Meter, Overrun};
use crate::plugin::instance::guest::{Guest, Phase, Shared};

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
    /// Whether it was nearly full before any hook was called: a new instance would be, too.
    was_full: bool,
}

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
        Ok(Self { store, meter, exports, was_full: false })
    }

    /// Whether a new instance should take its place, because this one has little memory left. The memory of a guest never shrinks: a language with garbage
    /// collection comes near its limit in good health.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        !self.was_full && self.store.data().limits.is_nearly_full()
    }

    /// Asks the plugin what it is. Inside is what is wrong with the manifest.
    ///
    /// # Errors
    /// A trap or an overrun.
    pub async fn describe(&mut self, budget: Budget) -> Result<Result<Declared, String>, Failure> {
        let Self { store, meter, exports, .. } = self;
        store.data_mut().enter(Phase::Describe);
        store.set_epoch_deadline(1);
        let said = meter.run(budget, exports.describe(&mut *store)).await;
        store.data_mut().contents.clear();
        settled(store, said)
    }

    /// Gives it its setup; hooks may be called afterwards. Inside are the mistakes that it finds in the configuration.
    ///
    /// # Errors
    /// A trap, an overrun, or an answer that can't be read.
    pub async fn configure(
        &mut self,
        setup: &str,
        phase: Phase,
        budget: Budget,
    ) -> Result<Result<Needs, Vec<Mistake>>, Failure> {
        let Self { store, meter, exports, .. } = self;
        store.data_mut().enter(phase);
        store.set_epoch_deadline(1);
        let said = meter.run(budget, exports.configure(&mut *store, setup)).await;
        store.data_mut().contents.clear();
        let needs = match settled(store, said)? {
            Ok(Ok(needs)) => needs,
            Ok(Err(why)) => return Err(Failure::Final(why)),
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        store.data_mut().enter(Phase::Running);
        self.was_full = self.store.data().limits.is_nearly_full();
        Ok(Ok(needs))
    }

    /// Calls a hook and checks the answer against the pod as it is now.
    ///
    /// # Errors
    /// A trap or an overrun, after which the instance is of no use; the plugin's own error; or an answer that it must not give.
    pub async fn call(&mut self, call: &mut Call, budget: Budget) -> Result<Answer, Failure> {
        let Self { store, meter, exports, .. } = self;
        store.data().last_words.clear();
        store.data_mut().is_patient = Class::of(call.hook()) == Some(Class::Patient);
        store.set_epoch_deadline(1);
        if matches!(call, Call::Changed(_)) {
            drop(store.data().shared.take_put_off());
        }
        let said = meter.run(budget, exports.ask(&mut *store, call)).await;
        store.data_mut().contents.clear();
        store.data().log.settle();
        let answer = match (settled(store, said)??, call) {
            // First, because it is by far the most frequent; it needs no look at the pod.
            (Said::Lines(verdict), Call::LogLines(batch)) => {
                if let lines::Verdict::Edit(edit) = &verdict {
                    lines::check(batch.ends.len(), edit).map_err(Failure::Refused)?;
                    // Like an overrun of memory or time: a strike whatever `on-error` says, and the guest's memory is given back.
                    lines::bounds::check(&lines::bounds::Seen::of(batch), edit).map_err(Failure::Dead)?;
                }
                return Ok(Answer::Lines(verdict));
            }
            (Said::Overlay(overlay), _) => {
                // Of the same plan it would make the same overlay.
                return judged(store, |judge| judge.overlay(overlay)).map(Answer::Overlay).map_err(Failure::Final);
            }
            (Said::Copied(copied), Call::ConfigCopy { file, .. }) => {
                judged(store, |judge| judge.copy(file, copied)).map(Answer::Copy)
            }
            (Said::Judgements(list), _) => judged(store, |judge| judge.judgements(list)).map(Answer::Judgements),
            (Said::Decision(Decision::Forward), _) => Ok(Answer::Decision(SignalDecision::Forward)),
            (Said::Decision(decision), _) => judged(store, |judge| judge.decision(decision)).map(Answer::Decision),
            (Said::Reaction(reaction), _) => Ok(Answer::Reaction(reaction)),
            (Said::Rollout(rollout), _) => judged(store, |judge| judge.rollout(rollout)).map(Answer::Rollout),
            (Said::Heard, _) => Ok(Answer::Heard),
            (Said::Next(next), _) => Ok(Answer::Next(next.map(|next| next.max(LEAST_TICK_MS)))),
            (Said::Lines(_) | Said::Copied(_), _) => Err("answered another hook".to_owned()),
        };
        answer.map_err(Failure::Refused)
    }
}

fn judged<T>(store: &Store<Guest>, ask: impl FnOnce(&Judge<'_>) -> Result<T, String>) -> Result<T, String> {
    let shared = &store.data().shared;
    let view = shared.link.as_ref().map(|link| Arc::clone(&link.pod.borrow()));
    ask(&Judge { granter: &shared.granter, view: &view.unwrap_or_else(|| Arc::new(PodView::default())) })
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
