//! Calls of plugins' hooks, each in a task of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tracing::debug;

use super::{Driver, now_ns};
use crate::engine::Engine;
use crate::hooks::{ComponentEvent, ComponentEventKind, HealthTrigger, Hook, Hooks, SignalDecision};
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::events::Event;

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// News for plugins, as a future: it is told when it is awaited.
    pub(super) fn tell(
        &self,
        name: &ComponentName,
        kind: ComponentEventKind,
        restarts: u32,
    ) -> impl Future<Output = ()> + Send + use<E, H> {
        let heard = !self.shared.hooks.with(Hook::ComponentEvent).is_empty();
        let event = self.event(name, kind, restarts);
        let news = self.news.clone();
        async move {
            if heard && news.send(ComponentEvent { at_ns: now_ns(), ..event }).await.is_err() {
                debug!("the pod has ended; an event was not delivered");
            }
        }
    }

    fn event(&self, component: &ComponentName, kind: ComponentEventKind, restarts: u32) -> ComponentEvent {
        let sequence = self.numbered.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        ComponentEvent { component: component.clone(), kind, at_ns: now_ns(), sequence, restarts }
    }

    /// Tells plugins without waiting for room in the queue.
    pub(super) fn tell_now(&self, name: &ComponentName, kind: ComponentEventKind) {
        if self.shared.hooks.with(Hook::ComponentEvent).is_empty() {
            return;
        }
        let event = self.event(name, kind, self.restarts(name));
        if let Err(mpsc::error::TrySendError::Full(event)) = self.news.try_send(event) {
            let news = self.news.clone();
            self.tasks.spawn("component event", move |_token| async move {
                if news.send(event).await.is_err() {
                    debug!("the pod has ended; an event was not delivered");
                }
            });
        }
    }

    pub(super) fn ask_about_signal(&self, signal: i32, due: &mut VecDeque<Event>) {
        if self.shared.hooks.with(Hook::Signal).is_empty() {
            due.push_back(Event::SignalDecided { signal, decision: SignalDecision::Forward });
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn("signal hook", move |_token| async move {
            let event = match shared.hooks.signal(signal).await {
                Ok(decision) => Event::SignalDecided { signal, decision },
                Err(failure) => {
                    // The pod stops now anyway, and for a stop that is what was wanted.
                    shared.tell(Event::SignalDecided { signal, decision: SignalDecision::Forward }).await;
                    Event::PluginFailed(failure)
                }
            };
            shared.tell(event).await;
        });
    }

    pub(super) fn judge(&self, task: &'static str, plugin: PluginName, trigger: HealthTrigger) {
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(task, move |_token| async move {
            let answer = tokio::select! {
                biased;
                // A pod that stops has no use for it.
                () = shared.launches.cancelled() => return,
                answer = shared.hooks.health(&plugin, trigger) => answer,
            };
            let event = match answer {
                Ok(judgements) => Event::Judged { plugin, judgements },
                Err(failure) => Event::PluginFailed(failure),
            };
            shared.tell(event).await;
        });
    }
}
