//! Stock plugin `signal`: maps, fans out and translates signals that the controller receives.
#![forbid(unsafe_code)]

mod config;

use std::collections::{BTreeMap, BTreeSet};

use outrigger_plugin::host::{self, State};
use outrigger_plugin::{Decision, Delivery, Error, Manifest, Plugin, Problem, Problems, Signal, Want, signals};

use config::{Config, Rule, To};

const WHY_DECIDE: &str = "to decide about the signals that `map` names";
/// Stands for every component that runs.
const ALL: &str = "*";
/// SIGINT, SIGQUIT and SIGTERM stop the pod. A plugin may add to that, not prevent it.
const STOPS: [u8; 3] = [2, 3, 15];

/// What each signal means, by number.
#[derive(Debug)]
pub struct SignalMap(BTreeMap<u8, Rule>);

impl Plugin for SignalMap {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new(
            "signal",
            env!("CARGO_PKG_VERSION"),
            "maps, fans out and translates signals that the controller receives",
        )
        .schema(include_str!("schema.json"))
        .want(Want::on_signals(WHY_DECIDE))
        .want(Want::signals(ALL, "to deliver signals to the components that `map` names").optional())
        .want(Want::pod("to know which components run, for `to: \"*\"`").optional())
    }

    fn new(config: Config) -> Result<Self, Problems> {
        let mut rules = BTreeMap::new();
        for (name, rule) in config.map {
            let number =
                signals::number(&name).ok_or_else(|| Problem::new("map", format!("`{name}` is not a signal")))?;
            match &rule {
                Rule::Deliver(list) => check(&name, list)?,
                Rule::Swallow if STOPS.contains(&number) => {
                    let problem =
                        Problem::new(format!("map.{name}"), "this signal stops the pod and cannot be swallowed");
                    return Err(problem.hint("deliver another signal instead").into());
                }
                Rule::Swallow | Rule::Forward => {}
            }
            if rules.insert(number, rule).is_some() {
                let name = signals::name(number);
                let what = format!("`{name}` appears twice, under two of its names");
                return Err(Problem::new("map", what).into());
            }
        }
        Ok(Self(rules))
    }

    fn wants(&self) -> Vec<Want> {
        let named: BTreeSet<&str> = self
            .0
            .values()
            .filter_map(|rule| if let Rule::Deliver(list) = rule { Some(list) } else { None })
            .flat_map(|list| list.iter().flat_map(|one| one.to.iter().map(String::as_str)))
            .collect();
        let mut wants = Vec::new();
        if self.0.values().any(|rule| *rule != Rule::Forward) {
            wants.push(Want::on_signals(WHY_DECIDE));
        }
        if named.contains(ALL) {
            wants.push(Want::signals(ALL, "`map` delivers signals to all components"));
            wants.push(Want::pod("to know which components run, for `to: \"*\"`"));
        } else {
            wants.extend(
                named.iter().map(|component| Want::signals(component, "`map` delivers signals to this component")),
            );
        }
        wants
    }
}

fn check(name: &str, list: &[To]) -> Result<(), Problem> {
    if list.is_empty() || list.iter().any(|one| one.to.is_empty()) {
        let problem = Problem::new(format!("map.{name}"), "no component receives the signal");
        return Err(problem.hint("to ignore the signal, write `swallow`"));
    }
    if list.iter().any(|one| one.to.len() > 1 && one.to.iter().any(|to| to == ALL)) {
        return Err(Problem::new(format!("map.{name}.to"), "`*` must be the only entry"));
    }
    Ok(())
}

impl Signal for SignalMap {
    fn on_signal(&mut self, signal: u8) -> Result<Decision, Error> {
        let list = match self.0.get(&signal) {
            None | Some(Rule::Forward) => return Ok(Decision::Forward),
            Some(Rule::Swallow) => return Ok(Decision::Deliver(Vec::new())),
            Some(Rule::Deliver(list)) => list,
        };
        let mut deliveries = Vec::new();
        for one in list {
            let signal = one.signal.map_or(signal, |number| number.0);
            for to in &one.to {
                if to == ALL {
                    let components = host::pod()?.components;
                    let running = components.iter().filter(|component| component.state == State::Running);
                    deliveries.extend(running.map(|component| Delivery { component: component.name.clone(), signal }));
                } else {
                    deliveries.push(Delivery { component: to.clone(), signal });
                }
            }
        }
        Ok(Decision::Deliver(deliveries))
    }
}

outrigger_plugin::register!(SignalMap: Signal);

#[cfg(test)]
mod tests;
