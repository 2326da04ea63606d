//! Several stack files as one, as `docker stack deploy -c a -c b` makes one of them: what a later file says wins, lists of some kinds grow.

use serde_json::{Map, Value};

use super::merge::pairs;
use super::service::{short, text};
use crate::labels::{Place, kind};
use crate::problem::Problems;

/// Merges `later` into `base`.
pub fn merge(base: &mut Map<String, Value>, later: Map<String, Value>, at: &Place, problems: &mut Problems) {
    for (key, value) in later {
        let at = at.key(&key);
        match (key.as_str(), base.get_mut(&key), value) {
            ("version", Some(first), later) => {
                if text(first) != text(&later) {
                    let what = format!("the version is {}, but {} in an earlier file", text(&later), text(first));
                    problems.push(at.problem(what).hint("use the same version in all files"));
                }
            }
            (_, None | Some(Value::Null), value) => {
                base.insert(key, value);
            }
            (_, _, Value::Null) => {}
            ("services", Some(Value::Object(services)), Value::Object(later)) => {
                for (name, service) in later {
                    let at = at.key(&name);
                    match (services.get_mut(&name), service) {
                        (Some(Value::Object(base)), Value::Object(later)) => merge_service(base, later, &at, problems),
                        (_, service) => {
                            services.insert(name, service);
                        }
                    }
                }
            }
            ("volumes" | "networks" | "secrets" | "configs", Some(Value::Object(base)), Value::Object(later)) => {
                base.extend(later);
            }
            (_, Some(base), later) => *base = later,
        }
    }
}

fn merge_service(base: &mut Map<String, Value>, later: Map<String, Value>, at: &Place, problems: &mut Problems) {
    for (key, value) in later {
        let at = at.key(&key);
        let Some(existing) = base.get_mut(&key).filter(|existing| !existing.is_null()) else {
            base.insert(key, value);
            continue;
        };
        match key.as_str() {
            "command" | "entrypoint" => {
                if !is_empty(&value) {
                    *existing = value;
                }
            }
            "ports" => by_key(existing, value, "published", short::port),
            "volumes" => by_key(existing, value, "target", short::volume),
            "configs" | "secrets" => by_key(existing, value, "source", short::file),
            "environment" | "labels" | "sysctls" => {
                over_pairs(&key, existing, value, &at, problems);
            }
            "extra_hosts" => append(existing, hosts(value), hosts),
            "networks" => networks(existing, value),
            "logging" => logging(existing, value),
            "ulimits" => {
                if let (Value::Object(base), Value::Object(later)) = (existing, value) {
                    base.extend(later);
                }
            }
            "dns" | "dns_search" | "env_file" | "tmpfs" | "depends_on" => append(existing, listed(value), listed),
            _ => over(existing, value, &at, problems),
        }
    }
}

/// Maps are gone through, lists grow, and a single value wins unless it says nothing.
fn over(base: &mut Value, later: Value, at: &Place, problems: &mut Problems) {
    match (base, later) {
        (Value::Object(base), Value::Object(later)) => {
            for (key, value) in later {
                let at = at.key(&key);
                match base.get_mut(&key) {
                    Some(existing) if key == "labels" => over_pairs(&key, existing, value, &at, problems),
                    Some(existing) if key == "replicas" || key == "parallelism" || key == "max_attempts" => {
                        *existing = value;
                    }
                    Some(existing) if !existing.is_null() => over(existing, value, &at, problems),
                    _ => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(later)) => base.extend(later),
        (_, later) if is_empty(&later) => {}
        (base @ (Value::Object(_) | Value::Array(_)), later) if kind(base) != kind(&later) => {
            let (found, expected) = (kind(&later), kind(base));
            problems.push(at.problem(format!("found {found}, but {expected} in an earlier file")));
        }
        (base, later) => *base = later,
    }
}

/// What the client takes for "not written" when it merges.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Lists whose items have a name: a later one of the same name replaces the first; the client sorts them by it.
fn by_key(base: &mut Value, later: Value, key: &str, long: fn(&Value) -> Vec<Value>) {
    let mut items: Vec<(Value, Value)> = Vec::new();
    for item in listed(base.take()).into_iter().chain(listed(later)).flat_map(|item| long(&item)) {
        let name = item.get(key).cloned().unwrap_or(Value::Null);
        match items.iter_mut().find(|(existing, _)| *existing == name) {
            Some((_, existing)) => *existing = item,
            None => items.push((name, item)),
        }
    }
    items.sort_by(|(a, _), (b, _)| {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        number(a).cmp(&number(b)).then_with(|| text(a).cmp(&text(b)))
    });
    *base = Value::Array(items.into_iter().map(|(_, item)| item).collect());
}

fn over_pairs(key: &str, base: &mut Value, later: Value, at: &Place, problems: &mut Problems) {
    let map = |value: Value| match value {
        Value::Object(map) => Some(map),
        Value::Array(list) => pairs(if key == "environment" { key } else { "labels" }, &list),
        Value::Null => Some(Map::new()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    match (map(base.take()), map(later)) {
        (Some(mut first), Some(later)) => {
            for (key, value) in later {
                let says_nothing = value.is_null() || value.as_str() == Some("");
                if !(says_nothing && first.contains_key(&key)) {
                    first.insert(key, value);
                }
            }
            *base = Value::Object(first);
        }
        _ => problems.push(at.problem("expected a map, or a list of `key=value`")),
    }
}

fn append(base: &mut Value, later: Vec<Value>, list: fn(Value) -> Vec<Value>) {
    let mut all = list(base.take());
    all.extend(later);
    *base = Value::Array(all);
}

fn listed(value: Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        one => vec![one],
    }
}

fn hosts(value: Value) -> Vec<Value> {
    match value {
        Value::Object(map) => map.into_iter().map(|(host, to)| format!("{host}:{}", text(&to)).into()).collect(),
        other => listed(other),
    }
}

fn networks(base: &mut Value, later: Value) {
    let map = |value: Value| match value {
        Value::Object(map) => map,
        other => listed(other).iter().map(|name| (text(name), Value::Null)).collect(),
    };
    let mut all = map(base.take());
    for (name, later) in map(later) {
        match (all.get_mut(&name), later) {
            (Some(Value::Object(base)), Value::Object(later)) => base.extend(later),
            (Some(_), Value::Null) => {}
            (_, later) => {
                all.insert(name, later);
            }
        }
    }
    *base = Value::Object(all);
}

/// Options of the same driver are joined; those of another one mean nothing to it.
fn logging(base: &mut Value, later: Value) {
    let driver = |value: &Value| value.get("driver").map(text).unwrap_or_default();
    let (first, second) = (driver(base), driver(&later));
    match (base, later) {
        (Value::Object(base), Value::Object(later)) if first == second || first.is_empty() || second.is_empty() => {
            for (key, value) in later {
                match (base.get_mut(&key), value) {
                    (Some(Value::Object(base)), Value::Object(later)) => base.extend(later),
                    (_, value) => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (base, later) => *base = later,
    }
}
