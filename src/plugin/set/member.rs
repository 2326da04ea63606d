//! One plugin of a pod: calls its hooks, and deals with their failures as `on-error` says.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::hooks::{Hook, HookFailure};
use crate::plugin::host::manifest::Inspected;
use crate::plugin::instance::call::{Answer, Call, Class, Failure};
use crate::plugin::instance::worker::{Maker, Message};
use crate::pod::{Capability, ComponentName, Grant, OnError, OnErrors, PluginName};

/// How often a hook that may wait is called again when it asks for it.
const RETRIES: u32 = 5;
/// Longest time until then.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What became of a plugin's calls so far.
#[derive(Debug, Default)]
pub struct Tally {
    calls: AtomicU64,
    failures: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

impl Tally {
    /// Calls of hooks.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Those that failed, trapped or overran.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The last failure, in words.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed(&self, hook: Hook, reason: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{hook}: {reason}"));
    }
}

/// See the module.
pub struct Member {
    /// In the pod.
    pub name: PluginName,
    /// The component to which it is confined.
    pub scope: Option<ComponentName>,
    /// What it says of itself.
    pub seen: Inspected,
    /// What its configuration asks for.
    pub wanted: Vec<Grant>,
    /// Hooks for which it is not called, because the pod does not grant the power, though it could.
    pub uncalled: Vec<Hook>,
    /// How its instances are made.
    pub maker: Arc<Maker>,
    /// What the pod does about failures.
    pub on_error: OnErrors,
    /// What became of its calls.
    pub tally: Tally,
    /// The kinds of events for which it is called.
    pub events: BTreeSet<String>,
    /// The tasks of its classes, by [`Class::ALL`]; none where it has no hook of the class.
    pub tasks: [Option<mpsc::Sender<Message>>; 3],
}

impl Member {
    /// Whether it has this hook, with the grant that the hook needs, and may still be called.
    #[must_use]
    pub fn has(&self, hook: Hook) -> bool {
        let passed_over = self.on_error.of(hook.name()) == OnError::Ignore && self.maker.strikes.is_evicted();
        self.seen.hooks.contains(&hook) && self.maker.shared.granter.empowers(hook) && !passed_over
    }

    /// Whether it has the power over this scope: a component, or a path in one.
    #[must_use]
    pub fn decides(&self, power: Capability, scope: &str) -> bool {
        self.maker.shared.granter.allows(power, scope)
    }

    fn task(&self, class: Class) -> Option<&mpsc::Sender<Message>> {
        let [quick, probe, patient] = &self.tasks;
        if self.maker.one_instance {
            return quick.as_ref().or(probe.as_ref()).or(patient.as_ref());
        }
        match class {
            Class::Quick => quick,
            Class::Probe => probe,
            Class::Patient => patient,
        }
        .as_ref()
    }

    /// Calls a hook. No answer means: as if the plugin did not have it. The call comes back either way.
    ///
    /// # Errors
    /// [`HookFailure`] where the pod must end.
    pub async fn call(&self, mut call: Call) -> Result<(Call, Option<Answer>), HookFailure> {
        let hook = call.hook();
        let Some(class) = Class::of(hook) else { return Ok((call, None)) };
        let on_error = self.on_error.of(hook.name());
        let mut retries = 0;
        loop {
            let may_retry = class == Class::Patient && retries < RETRIES;
            let Some(task) = self.task(class) else { return Ok((call, None)) };
            let (reply, answer) = oneshot::channel();
            self.tally.calls.fetch_add(1, Ordering::Relaxed);
            let sent = task.send(Message { call, on_error, may_retry, reply }).await;
            let Some((back, outcome)) = (if sent.is_ok() { answer.await.ok() } else { None }) else {
                return Err(self.failure(hook.name(), "the pod is ending".to_owned()));
            };
            call = back;
            let failure = match outcome {
                Ok(answer) => return Ok((call, Some(answer))),
                Err(Failure::Retry(ms, _)) if may_retry => {
                    retries += 1;
                    tokio::time::sleep(Duration::from_millis(u64::from(ms)).min(LONGEST_RETRY)).await;
                    continue;
                }
                Err(failure) => failure,
            };
            let plugin = &self.name;
            self.maker.shared.metrics.event(plugin, "outrigger_hook_failures_total", hook.name());
            let reason = failure.reason();
            self.tally.failed(hook, &reason);
            match (on_error, &failure) {
                (OnError::Restart, Failure::Evicted(last, _)) => return Err(self.failure(last, reason)),
                (OnError::Fail, _) | (OnError::Restart, Failure::Final(_)) => {
                    return Err(self.failure(hook.name(), reason));
                }
                // The next turn tells that it is called no more.
                (OnError::Restart, _) if self.maker.strikes.is_evicted() => {}
                (OnError::Restart, _) => {
                    warn!(%plugin, %hook, reason, "the hook failed; the controller calls it again after the restart of the plugin")
                }
                (OnError::Ignore, _) => {
                    warn!(%plugin, %hook, reason, "the hook failed; the pod continues without its result");
                    return Ok((call, None));
                }
            }
        }
    }

    fn failure(&self, hook: &'static str, reason: String) -> HookFailure {
        HookFailure { plugin: self.name.clone(), hook, reason }
    }
}
