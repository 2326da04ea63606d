//! Stops that the plugin `signal` is asked to translate: the component's own stop signal follows at once.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::plan::compile::Found;
use crate::pod::values::{signal, signal_name};
use crate::pod::{ComponentName, PluginSource, PluginSpec, PodSpec};

const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGTERM: i32 = 15;

/// Signals that stop the pod, whatever a plugin delivers.
const STOPS: [i32; 3] = [SIGINT, SIGQUIT, SIGTERM];

pub(super) fn look(spec: &PodSpec, found: &mut Found) {
    let translators = spec.plugins.iter().filter(|it| it.source == PluginSource::Stock && it.name.as_str() == "signal");
    for plugin in translators {
        for (on, name, sent) in translated(spec, plugin) {
            let Some(component) = spec.components.get(name) else { continue };
            let own = component.stop_signal.unwrap_or(SIGTERM);
            if own == sent {
                continue;
            }
            let unless = if component.stop_signal.is_some() { "" } else { " (or its image's stop signal)" };
            let (on, sent, own) = (signal_name(on), signal_name(sent), signal_name(own));
            found.warn(
                name,
                format!(
                    "plugin `signal` sends {sent} to it on {on}, and the pod's stop sends {own}{unless} at once after that: if {sent} alone is to stop it, \
                     write `stop_signal: {sent}` in the component, and take {on} out of `map`"
                ),
            );
        }
    }
}

/// The stop signals that are translated, to whom, and the last signal that each is sent.
fn translated<'a>(spec: &'a PodSpec, plugin: &'a PluginSpec) -> Vec<(i32, &'a ComponentName, i32)> {
    let mut all = Vec::new();
    let map = plugin.config.get("map").and_then(Value::as_object);
    for (on, rule) in map.into_iter().flatten() {
        let Some(on) = signal(on).ok().filter(|on| STOPS.contains(on)) else { continue };
        let deliveries = match rule {
            Value::Object(_) => std::slice::from_ref(rule),
            Value::Array(list) => list,
            _ => continue,
        };
        let mut last = BTreeMap::new();
        for delivery in deliveries {
            let sent = match delivery.get("as") {
                None | Some(Value::Null) => on,
                Some(Value::String(name)) => signal(name).unwrap_or(on),
                Some(number) => signal(&number.to_string()).unwrap_or(on),
            };
            let to = match delivery.get("to") {
                Some(Value::String(one)) => HashSet::from([one.as_str()]),
                Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
                _ => continue,
            };
            let is_sent = |name: &ComponentName| to.contains("*") || to.contains(name.as_str());
            let seen = spec.components.keys().filter(|name| plugin.scope.as_ref().is_none_or(|only| only == *name));
            last.extend(seen.filter(|name| is_sent(name)).map(|name| (name, sent)));
        }
        all.extend(last.into_iter().map(|(name, sent)| (on, name, sent)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::notes;
    use crate::plan::Seen;

    fn told(component: &str, map: &str) -> Vec<String> {
        let pod = format!(
            "components: {{web: {{image: a{component}}}, db: {{image: b}}}}\nplugins: [{{signal: {{map: {map}}}}}]"
        );
        notes(Seen::Nothing, &pod)
    }

    #[test]
    fn a_translated_stop_is_followed_by_the_components_own() {
        assert_eq!(
            told("", "{TERM: {to: web, as: QUIT}}"),
            [
                "`web`: plugin `signal` sends SIGQUIT to it on SIGTERM, and the pod's stop sends SIGTERM (or its image's stop signal) at once after that: if \
              SIGQUIT alone is to stop it, write `stop_signal: SIGQUIT` in the component, and take SIGTERM out of `map`"
            ]
        );
        let told_of = |component: &str, map: &str| -> Vec<String> {
            told(component, map).iter().map(|note| note.split(':').next().unwrap().to_owned()).collect()
        };
        assert_eq!(told_of("", "{15: [{to: [db, web], as: 10}]}"), ["`db`", "`web`"]);
        assert_eq!(told_of("", "{SIGINT: {to: '*', as: USR1}, HUP: {to: web, as: USR1}}"), ["`db`", "`web`"]);
        assert!(told(", stop_signal: WINCH", "{TERM: {to: web}}")[0].contains("the pod's stop sends SIGWINCH at once"));
        // What comes last is what it stops by.
        assert_eq!(told_of(", stop_signal: QUIT", "{TERM: [{to: web, as: USR1}, {to: web, as: QUIT}]}"), [""; 0]);
        assert_eq!(told_of(", stop_signal: QUIT", "{TERM: [{to: web, as: QUIT}, {to: web, as: USR1}]}"), ["`web`"]);
        for right in ["{TERM: {to: web}}", "{TERM: forward}", "{HUP: {to: web, as: QUIT}}", "{USR1: swallow}"] {
            assert_eq!(told("", right), [""; 0], "{right}");
        }
    }

    #[test]
    fn a_components_own_plugin_reaches_no_other() {
        let pod =
            "components: {web: {image: a, plugins: [{signal: {map: {TERM: {to: '*', as: QUIT}}}}]}, db: {image: b}}";
        let told = notes(Seen::Nothing, pod);
        assert!(told.len() == 1 && told[0].starts_with("`web`: "), "{told:?}");
    }
}
