//! Between the generated interfaces and the traits. Used by `register!` only.

use std::cell::RefCell;
use std::marker::PhantomData;

use serde_json::Value;

use crate::bindings::base::exports::outrigger::pod::plugin as wit_plugin;
use crate::bindings::component_event::exports::outrigger::pod::component_event as wit_event;
use crate::bindings::config_changed::exports::outrigger::pod::config_changed as wit_changed;
use crate::bindings::config_copy::exports::outrigger::pod::config_copy as wit_copy;
use crate::bindings::health::exports::outrigger::pod::health as wit_health;
use crate::bindings::log_line::exports::outrigger::pod::log_line as wit_log;
use crate::bindings::pre_start::exports::outrigger::pod::pre_start as wit_pre_start;
use crate::bindings::signal::exports::outrigger::pod::signal as wit_signal;
use crate::bindings::tick::exports::outrigger::pod::tick as wit_tick;
use crate::{
    Batch, ComponentEvent, ConfigChanged, ConfigCopy, Error, File, Health, LogLine, Plugin, PreStart, Problem,
    Problems, Signal, Tick,
};

/// Where the one instance of a component lives; `register!` implements it.
pub trait Slot: Plugin {
    /// Lends the slot.
    fn slot<R>(with: impl FnOnce(&RefCell<Option<Self>>) -> R) -> R;
}

/// Implements the generated interfaces for a plugin.
#[derive(Debug)]
pub struct Export<P>(PhantomData<P>);

fn with<P: Slot, R>(call: impl FnOnce(&mut P) -> Result<R, Error>) -> Result<R, Error> {
    P::slot(|slot| match slot.borrow_mut().as_mut() {
        Some(plugin) => call(plugin),
        None => Err(Error::failed("a hook was called before `configure`")),
    })
}

/// Reads a configuration; nothing at all (`null`) is an empty one.
pub(crate) fn read_config<C: serde::de::DeserializeOwned>(config: Value) -> Result<C, Problems> {
    let config = if config.is_null() { Value::Object(serde_json::Map::new()) } else { config };
    serde_json::from_value(config).map_err(|error| Problem::new("", error.to_string()).into())
}

impl<P: Slot> wit_plugin::Guest for Export<P> {
    fn describe() -> String {
        P::manifest().json()
    }

    fn configure(setup: String) -> Result<String, Vec<wit_plugin::Problem>> {
        configured::<P>(&setup).map_err(|Problems(list)| {
            let own = |Problem { path, what, hint }| wit_plugin::Problem { path, what, hint };
            list.into_iter().map(own).collect()
        })
    }
}

fn configured<P: Slot>(setup: &str) -> Result<String, Problems> {
    let config = crate::setup::enter(setup)?;
    let plugin = P::new(read_config(config)?)?;
    let needs = crate::manifest::needs(&plugin.wants(), plugin.events());
    P::slot(|slot| slot.replace(Some(plugin)));
    Ok(needs)
}

impl<P: Slot + PreStart> wit_pre_start::Guest for Export<P> {
    fn on_pre_start(plan: String) -> Result<Option<String>, Error> {
        let plan = serde_json::from_str(&plan)?;
        let overlay = with(|plugin: &mut P| plugin.on_pre_start(&plan))?;
        Ok(overlay.map(|overlay| overlay.to_string()))
    }
}

impl<P: Slot + ConfigCopy> wit_copy::Guest for Export<P> {
    fn on_copy(source: String, file: File) -> Result<wit_copy::Verdict, Error> {
        with(|plugin: &mut P| plugin.on_copy(&source, file))
    }
}

impl<P: Slot + Health> wit_health::Guest for Export<P> {
    fn on_check(why: wit_health::Trigger) -> Result<Vec<wit_health::Judgement>, Error> {
        with(|plugin: &mut P| plugin.on_check(why))
    }
}

impl<P: Slot + LogLine> wit_log::Guest for Export<P> {
    fn on_batch(batch: wit_log::Batch) -> Result<wit_log::Verdict, Error> {
        with(|plugin: &mut P| plugin.on_batch(&Batch::from(batch)))
    }
}

impl<P: Slot + Signal> wit_signal::Guest for Export<P> {
    fn on_signal(signal: u8) -> Result<wit_signal::Decision, Error> {
        with(|plugin: &mut P| plugin.on_signal(signal))
    }
}

impl<P: Slot + ComponentEvent> wit_event::Guest for Export<P> {
    fn on_event(event: String) -> Result<Option<String>, Error> {
        let event = serde_json::from_str(&event)?;
        with(|plugin: &mut P| plugin.on_event(&event)).map(|reaction| reaction.json())
    }
}

impl<P: Slot + ConfigChanged> wit_changed::Guest for Export<P> {
    fn on_change(
        changes: Vec<wit_changed::Change>,
    ) -> Result<Option<crate::bindings::base::outrigger::pod::common::Rollout>, Error> {
        with(|plugin: &mut P| plugin.on_change(changes)).map(|rollout| rollout.map(crate::Rollout::into_wit))
    }

    fn on_outcome(outcome: String) -> Result<(), Error> {
        let outcome = serde_json::from_str(&outcome)?;
        with(|plugin: &mut P| plugin.on_outcome(&outcome))
    }
}

impl<P: Slot + Tick> wit_tick::Guest for Export<P> {
    fn on_tick() -> Result<Option<u32>, Error> {
        let next = with(|plugin: &mut P| plugin.on_tick())?;
        Ok(next.map(|next| u32::try_from(next.as_millis()).unwrap_or(u32::MAX)))
    }
}
