//! One plugin of a `plugins:` list.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use super::fields::{Fields, Node, Read, Report};
use crate::hooks::Hook;
use crate::labels::{LONG_FORM, RawPlugin, RawSettings};
use crate::pod::stock::STOCK;
use crate::pod::{
    Capability, ComponentName, Grant, OnError, OnErrors, PluginLimits, PluginName, PluginSource, PluginSpec, Problem,
};
use crate::problem::{candidates, nearest};

/// Time between two `health` calls where nothing is written.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(10);
/// More often would only keep the node busy: a check needs time of its own.
const SHORTEST_HEALTH_INTERVAL: Duration = Duration::from_millis(100);
/// One page of WebAssembly's memory: less can't be given.
const LEAST_MEMORY: i64 = 64 * 1024;

/// What a memory of 32-bit addresses can have: more can't be given either.
const MOST_MEMORY: i64 = 4 << 30;

/// Lowers one plugin; `scope` is the component in whose settings it is written.
pub fn lower(raw: &RawPlugin, scope: Option<&ComponentName>, report: &mut Report) -> Option<PluginSpec> {
    let name = report.problems.take(PluginName::new(&raw.name).map_err(|bad| raw.at.problem(bad.to_string())));
    let empty = Map::new();
    let (map, short_config) = match &raw.settings {
        RawSettings::Long(map) => (map, None),
        RawSettings::Config(config) => (&empty, Some(config)),
    };
    let mut fields = Fields::new(&raw.at, map, report);
    let source = fields.get("source").map(|node| source(&node));
    let grants = fields.many("grants", grants);
    let limits = fields.many("limits", limits).unwrap_or_default();
    let on_error = fields.many("on-error", on_errors).unwrap_or_default();
    let health_interval = fields.read("health-interval", |node| {
        let interval = node.duration()?;
        if interval < SHORTEST_HEALTH_INTERVAL { Err(node.problem("is shorter than `100ms`")) } else { Ok(interval) }
    });
    let config = fields.get("config").map(|node| node.value);
    fields.done();
    let source = match source {
        Some(read) => report.problems.take(read).unwrap_or(PluginSource::Stock),
        None => {
            if name.is_some() && !STOCK.contains(&raw.name.as_str()) {
                report.push(no_source(raw));
            }
            PluginSource::Stock
        }
    };
    if let Some(Value::Object(map)) = short_config
        && map.contains_key("config")
        && let Some(other) = map.keys().find(|key| !LONG_FORM.contains(&key.as_str()))
    {
        report.warn(&raw.at.problem(format!(
            "this whole map is the plugin's configuration, because `{other}` is not a key of the long form"
        )));
    }
    Some(PluginSpec {
        name: name?,
        origin: raw.at.label.clone(),
        source,
        scope: scope.cloned(),
        grants,
        limits,
        on_error,
        health_interval: health_interval.unwrap_or(HEALTH_INTERVAL),
        config: match short_config.or(config) {
            // Plugins describe their configuration as an object: nothing written is an empty one.
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(config) => config.clone(),
        },
    })
}

/// A plugin that is not stock must say where it comes from.
fn no_source(raw: &RawPlugin) -> Problem {
    let problem = raw.at.problem(format!(
        "there is no stock plugin `{}` in this version; stock plugins: `{}`",
        raw.name,
        STOCK.join("`, `")
    ));
    if let Some(right) = nearest(&raw.name, STOCK) {
        return problem.hint(format!("did you mean `{right}`?"));
    }
    if let RawSettings::Config(Value::Object(map)) = &raw.settings
        && map.contains_key("source")
        && let Some(other) = map.keys().find(|key| !LONG_FORM.contains(&key.as_str()))
    {
        return problem.hint(match nearest(other, LONG_FORM) {
            Some(right) => format!("because of the key `{other}`, the whole map is the plugin's configuration: did you mean `{right}`?"),
            None => format!("because of the key `{other}`, the whole map is the plugin's configuration: move `{other}` below `config:`"),
        });
    }
    problem.hint(format!("write `- {}: {{source: /path/to/plugin.wasm, config: {{…}}}}`", raw.name))
}

fn source(node: &Node<'_>) -> Read<PluginSource> {
    let text = node.string()?;
    let text = text.trim();
    if text.is_empty() {
        return Err(node.problem("is empty"));
    }
    if let Some((scheme, _)) = text.split_once("://").or_else(|| text.split_once(':').filter(|(it, _)| *it == "oci")) {
        return Err(node
            .problem(format!("this version can read plugins only from files, not from `{scheme}:`"))
            .hint("put the plugin into a Swarm config or a mounted directory, and write its path"));
    }
    Ok(PluginSource::File(text.to_owned()))
}

/// A map of capabilities, each with a scope, a list of scopes, or `true` for all.
fn grants(node: &Node<'_>, report: &mut Report) -> Vec<Grant> {
    let mut found: Vec<Grant> = Vec::new();
    let mut seen = BTreeSet::new();
    let Some(entries) = node.entries() else {
        report.push(node.expected("a map of capabilities and their grants"));
        return found;
    };
    for (capability, node) in entries {
        let Some(capability) = Capability::of(capability) else {
            let known = Capability::ALL.map(Capability::name);
            report.push(node.problem("unknown capability").hint(candidates(capability, known)));
            continue;
        };
        let scopes = match node.value {
            Value::Bool(true) => vec![(node.clone(), "*".to_owned())],
            Value::String(_) | Value::Array(_) => node
                .items()
                .into_iter()
                .filter_map(|item| report.problems.take(item.string()).map(|scope| (item, scope.trim().to_owned())))
                .collect(),
            Value::Bool(false) | Value::Null => {
                report
                    .push(node.problem("expected `true`, a string or a list").hint("remove the key to grant nothing"));
                continue;
            }
            Value::Number(_) | Value::Object(_) => {
                report.push(node.expected("`true`, a string or a list of strings"));
                continue;
            }
        };
        for (item, scope) in scopes {
            let grant = Grant::new(capability, scope);
            if let Err(expected) = capability.check_granted(&grant.scope) {
                report.push(item.problem(format!("expected {expected}, found `{}`", grant.scope)));
            } else if seen.insert(grant.clone()) {
                found.push(grant);
            }
        }
    }
    found
}

fn limits(node: &Node<'_>, report: &mut Report) -> PluginLimits {
    let form = "a map with `memory`, `hook` and `wait`";
    let Some(mut fields) = Fields::of(node, form, report) else { return PluginLimits::default() };
    let limits = PluginLimits {
        memory: fields
            .read("memory", |node| {
                let bytes = node.size()?;
                match bytes {
                    ..LEAST_MEMORY => Err(node.problem("is less than `64k`")),
                    LEAST_MEMORY..=MOST_MEMORY => Ok(bytes),
                    _ => Err(node.problem("is more than `4g`, the limit of WebAssembly")),
                }
            })
            .and_then(|bytes| u64::try_from(bytes).ok()),
        hook: fields.read("hook", deadline),
        wait: fields.read("wait", deadline),
    };
    fields.done();
    limits
}

fn deadline(node: &Node<'_>) -> Read<Duration> {
    let duration = node.duration()?;
    if duration < Duration::from_millis(1) { Err(node.problem("is shorter than `1ms`")) } else { Ok(duration) }
}

/// One word for all hooks, or a map of hooks and words.
fn on_errors(node: &Node<'_>, report: &mut Report) -> OnErrors {
    let Some(entries) = node.entries() else {
        let default = report.problems.take(on_error(node)).unwrap_or_default();
        return OnErrors { default, hooks: BTreeMap::new() };
    };
    let mut found = OnErrors::default();
    for (hook, node) in entries {
        let Some(word) = report.problems.take(on_error(&node)) else { continue };
        if hook == "default" {
            found.default = word;
        } else if Hook::ALL.iter().any(|known| known.name() == hook) {
            found.hooks.insert(hook.to_owned(), word);
        } else {
            let known = Hook::ALL.iter().map(|known| known.name()).chain(["default"]);
            report.push(node.problem("unknown hook").hint(candidates(hook, known)));
        }
    }
    found
}

fn on_error(node: &Node<'_>) -> Read<OnError> {
    match node.value.as_str() {
        Some("fail") => Ok(OnError::Fail),
        Some("ignore") => Ok(OnError::Ignore),
        Some("restart") => Ok(OnError::Restart),
        Some(other) => Err(node.problem(format!("expected `fail`, `ignore` or `restart`, found `{other}`"))),
        None => Err(node.expected("`fail`, `ignore` or `restart`")),
    }
}

/// The word for it.
#[must_use]
pub fn on_error_name(on_error: OnError) -> &'static str {
    match on_error {
        OnError::Fail => "fail",
        OnError::Ignore => "ignore",
        OnError::Restart => "restart",
    }
}
