//! The task of one class of one plugin's hooks: it alone owns the store, restarts it when it died, and answers calls one after the other.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::plugin::answers::said::Mistake;
use crate::plugin::bindings::v0_1::documents;
use crate::plugin::imports::wasi::Wasi;
use crate::plugin::instance::call::{Answer, Call, Class, Failure};
use crate::plugin::instance::clock::Budget;
use crate::plugin::instance::guest::{Phase, Shared};
use crate::plugin::instance::strikes::{Strikes, Verdict};
use crate::plugin::instance::{Instance, Recipe};
use crate::pod::{ComponentName, Grant, OnError};

/// Calls that wait for one class of one plugin; when it is full, the caller waits.
pub const CALLS_WAITING: usize = 16;

/// A call, and how to answer it.
#[derive(Debug)]
pub struct Message {
    /// What is called.
    pub call: Call,
    /// What the pod does when it fails.
    pub on_error: OnError,
    /// Whether the caller can wait and call again.
    pub may_retry: bool,
    /// The call comes back with the answer.
    pub reply: oneshot::Sender<(Call, Result<Answer, Failure>)>,
}

/// How instances of a plugin are made and called.
pub struct Maker {
    /// The plugin's code.
    pub recipe: Arc<Recipe>,
    /// What its instances share.
    pub shared: Arc<Shared>,
    /// Its configuration.
    pub config: Value,
    /// The component to which it is confined.
    pub scope: Option<ComponentName>,
    /// Whether all its hooks share one instance.
    pub one_instance: bool,
    /// Whether the plugin is only asked for its needs, or for a plan.
    pub trial: bool,
    /// Limit of linear memory, in bytes.
    pub memory: u64,
    /// For starting and configuring.
    pub start: Budget,
    /// For hooks that must not wait.
    pub quick: Budget,
    /// For hooks that may.
    pub patient: Budget,
    /// Its strikes.
    pub strikes: Strikes,
}

impl Maker {
    /// Makes and configures an instance.
    ///
    /// # Errors
    /// Why it did not come up.
    pub async fn make(&self, class: Class) -> Result<Instance, Failure> {
        let wasi = Wasi::new(&self.shared.granter, &self.shared.place).map_err(Failure::Refused)?;
        let shared = Arc::clone(&self.shared);
        let mut instance = Instance::start(&self.recipe, shared, self.memory, wasi, self.start).await?;
        match instance.configure(&self.setup(Some(class)), Phase::Configure, self.start).await? {
            Ok(_) => Ok(instance),
            Err(mistakes) => {
                let mistakes: Vec<_> = mistakes
                    .into_iter()
                    .map(|Mistake { path, what, .. }| if path.is_empty() { what } else { format!("`{path}`: {what}") })
                    .collect();
                Err(Failure::Final(format!("reported a wrong configuration: {}", mistakes.join("; "))))
            }
        }
    }

    /// The setup of an instance (`setup.json`); of one that is thrown away, if there is no class.
    #[must_use]
    pub fn setup(&self, class: Option<Class>) -> String {
        let granter = &self.shared.granter;
        let granted = granter
            .granted()
            .iter()
            .map(|Grant { capability, scope }| json!({"capability": capability.name(), "scope": scope}));
        let class = match class {
            Some(class) if !self.one_instance => class.word(),
            _ => "all",
        };
        documents::written(
            "setup",
            &json!({
            "name": granter.plugin().as_str(),
            "config": self.config,
            "class": class,
            "trial": self.trial,
            "component": self.scope.as_ref().map(ComponentName::as_str),
            "host": {"version": env!("CARGO_PKG_VERSION")},
            "granted": granted.collect::<Vec<_>>(),
            }),
        )
    }

    fn budget(&self, class: Class) -> Budget {
        match class {
            Class::Quick => self.quick,
            Class::Probe | Class::Patient => self.patient,
        }
    }

    fn event(&self, name: &str, class: Class) {
        self.shared.metrics.event(self.shared.granter.plugin(), name, class.task());
    }
}

/// A dead instance: why, and when it may be made again.
struct Down {
    why: String,
    until: Instant,
}

/// See the module.
pub struct Worker {
    maker: Arc<Maker>,
    class: Class,
    instance: Result<Instance, Down>,
}

impl Worker {
    /// With an instance that [`Maker::make`] made.
    #[must_use]
    pub fn new(maker: Arc<Maker>, class: Class, instance: Instance) -> Self {
        Self { maker, class, instance: Ok(instance) }
    }

    /// Answers calls until nobody can call any more or the token says so. A call under way is then dropped: a guest never outlives its pod.
    pub async fn run(mut self, mut calls: mpsc::Receiver<Message>, stop: CancellationToken) {
        loop {
            let restart = self.due();
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = calls.recv() => message,
                () = until(restart), if restart.is_some() => {
                    // Making an instance again is as harmless to drop as a call.
                    tokio::select! { biased; () = stop.cancelled() => break, _ = self.revive() => continue }
                },
            };
            let Some(Message { mut call, on_error, may_retry, reply }) = message else { break };
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => Err(Failure::Down("the pod is ending".to_owned())),
                outcome = self.serve(&mut call, on_error, may_retry) => outcome,
            };
            // Whoever has stopped waiting does not want it.
            drop(reply.send((call, outcome)));
            if self.instance.as_ref().is_ok_and(Instance::is_worn) {
                tokio::select! { biased; () = stop.cancelled() => break, () = self.renew() => {} }
            }
        }
    }

    /// When a dead instance is made again; never where the plugin has been evicted.
    fn due(&self) -> Option<Instant> {
        self.instance.as_ref().err().filter(|_| !self.maker.strikes.is_evicted()).map(|down| down.until)
    }

    async fn serve(&mut self, call: &mut Call, on_error: OnError, may_retry: bool) -> Result<Answer, Failure> {
        if let Some((hook, why)) = self.maker.strikes.evicted() {
            // Another class of the plugin may have had the last strike.
            self.instance = Err(Down { why: why.clone(), until: Instant::now() });
            return Err(Failure::Evicted(hook, why));
        }
        let hook = call.hook().name();
        if let Err(down) = &self.instance {
            // Only who wants the plugin restarted and called again waits for that.
            if on_error != OnError::Restart && Instant::now() < down.until {
                return Err(Failure::Down(down.why.clone()));
            }
            until(Some(down.until)).await;
            self.revive().await?;
        }
        let Ok(instance) = &mut self.instance else {
            return Err(Failure::Down("the plugin did not start in time".to_owned()));
        };
        let budget = self.maker.budget(Class::of(call.hook()).unwrap_or(self.class));
        let mut outcome = instance.call(call, budget).await;
        if !may_retry && let Err(failure @ Failure::Retry(..)) = &outcome {
            outcome = Err(Failure::Refused(failure.reason()));
        }
        match &outcome {
            Err(Failure::Dead(why)) => self.bury(hook, why),
            Err(Failure::Refused(why)) if on_error == OnError::Restart => self.bury(hook, why),
            Ok(_) | Err(_) => {}
        }
        outcome
    }

    /// Throws the instance away.
    fn bury(&mut self, hook: &'static str, why: &str) {
        let plugin = self.maker.shared.granter.plugin();
        let until = match self.maker.strikes.strike(hook, why) {
            Verdict::Retry(at) => {
                let wait = at.saturating_duration_since(Instant::now());
                let wait = format!("{:.0} ms", wait.as_secs_f64() * 1000.0);
                warn!(%plugin, class = self.class.task(), hook, why, restart_in = wait, "the plugin has stopped");
                at
            }
            Verdict::Evict => {
                warn!(%plugin, class = self.class.task(), hook, why, "the plugin failed too often and is not called any more");
                self.maker.event("outrigger_hook_evictions_total", self.class);
                Instant::now()
            }
        };
        self.instance = Err(Down { why: why.to_owned(), until });
    }

    /// Puts a new instance in the place of one that has little memory left: no failure, and no strike. If there can be none, the old one goes on.
    async fn renew(&mut self) {
        let plugin = self.maker.shared.granter.plugin();
        match self.maker.make(self.class).await {
            Ok(instance) => {
                self.instance = Ok(instance);
                self.maker.event("outrigger_hook_renewals_total", self.class);
                info!(%plugin, class = self.class.task(), "the plugin had little memory left and got a new instance");
            }
            Err(failure) => {
                let why = failure.reason();
                warn!(%plugin, class = self.class.task(), why, "the plugin has little memory left and could not get a new instance");
            }
        }
    }

    async fn revive(&mut self) -> Result<(), Failure> {
        match self.maker.make(self.class).await {
            Ok(instance) => {
                self.instance = Ok(instance);
                self.maker.event("outrigger_hook_restarts_total", self.class);
                info!(plugin = %self.maker.shared.granter.plugin(), class = self.class.task(), "the plugin was restarted");
                Ok(())
            }
            Err(failure) => {
                let why = format!("could not be restarted: {}", failure.reason());
                self.bury("configure", &why);
                Err(Failure::Dead(why))
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    tokio::time::sleep_until(at.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))).await;
}
