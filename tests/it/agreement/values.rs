//! Valid, borderline and wrong values of every key. Nothing here harms a host: containers are made and never started, mounts are of a temporary folder, limits are small.

use proptest::collection::vec;
use proptest::sample::{select, subsequence};
use proptest::strategy::{BoxedStrategy, Just, Strategy};
use serde_json::{Map, Value, json};

use super::{Which, base};

/// By part and key; `@FOLDER@` is a temporary folder with a `file`, `@LEAF@` its name, `@PREFIX@` begins names of volumes.
const VALUES: &str = include_str!("values.json");

/// Named volumes, without their prefix.
pub const VOLUMES: [&str; 3] = ["a", "b", "c.d_e"];

/// Values that some key or other may take, and others not.
fn odd() -> Vec<Value> {
    let all: Value = serde_json::from_str(VALUES).unwrap();
    all["odd"].as_array().unwrap().clone()
}

/// Keys of a component with values of their own.
pub fn component(folder: &str, prefix: &str) -> Vec<(&'static str, Vec<Value>)> {
    pairs("component", folder, prefix)
}

/// Keys of the controller's container with values of their own.
pub fn controller(folder: &str, prefix: &str) -> Vec<(&'static str, Vec<Value>)> {
    pairs("controller", folder, prefix)
}

fn pairs(part: &str, folder: &str, prefix: &str) -> Vec<(&'static str, Vec<Value>)> {
    let leaf = folder.rsplit('/').next().unwrap_or_default();
    let text = VALUES.replace("@FOLDER@", folder).replace("@LEAF@", leaf).replace("@PREFIX@", prefix);
    let all: Value = serde_json::from_str(&text).unwrap();
    // Few, and for the whole run.
    let pair = |(key, values): (&String, &Value)| (&*key.clone().leak(), values.as_array().unwrap().clone());
    all[part].as_object().unwrap().iter().map(pair).collect()
}

/// Pods with one value each.
pub fn singles(folder: &str, prefix: &str) -> Vec<(Which, Value)> {
    let mut pods = Vec::new();
    for (key, values) in component(folder, prefix) {
        for value in values.into_iter().chain(odd()) {
            let mut component = base();
            component[key] = value;
            pods.push((Which::Components, json!({"components": {"app": component}})));
        }
    }
    for (key, values) in controller(folder, prefix) {
        for value in values.into_iter().chain(odd()) {
            let mut controller = outer();
            controller[key] = value;
            pods.push((Which::Controller, json!({"components": {"app": base()}, "controller": controller})));
        }
    }
    pods
}

/// Pods with one value each of the keys that the engine judges when it starts a container, and whether it does start.
pub fn started(folder: &str, prefix: &str) -> Vec<(bool, Value)> {
    let of = |starts: bool| {
        move |(key, values): (&'static str, Vec<Value>)| {
            values.into_iter().map(move |value| (starts, single(key, value)))
        }
    };
    let right = pairs("starts", folder, prefix).into_iter().flat_map(of(true));
    right.chain(pairs("never_starts", folder, prefix).into_iter().flat_map(of(false))).collect()
}

/// Pods with one value each of the same keys, from the values that are only created, and odd ones.
pub fn startable(folder: &str, prefix: &str) -> Vec<Value> {
    // Which programs there are only the image knows.
    let keys = pairs("starts", folder, prefix).into_iter().map(|(key, _)| key);
    let keys: Vec<_> = keys.filter(|key| !matches!(*key, "command" | "entrypoint")).collect();
    let known = component(folder, prefix).into_iter().filter(|(key, _)| keys.contains(key));
    known
        .flat_map(|(key, values)| values.into_iter().chain(odd()).map(move |value| single(key, value)))
        .filter(|pod| super::accepted(pod).is_some())
        .collect()
}

fn single(key: &str, value: Value) -> Value {
    let mut component = base();
    component[key] = value;
    json!({"components": {"app": component}})
}

/// The controller's container before keys are added.
fn outer() -> Value {
    json!({"image": crate::support::IMAGE, "flags": ["-pids=false"]})
}

/// Whole pods: several components and init components with several keys each.
pub fn pod(folder: &str, prefix: &str) -> BoxedStrategy<Value> {
    let component = keys(component(folder, prefix), base(), 5);
    let init = keys(self::component(folder, prefix), base(), 2);
    let controller = keys(controller(folder, prefix), outer(), 3);
    (vec(component, 1..4), vec(init, 0..2), controller)
        .prop_map(|(components, init, controller)| {
            let components: Map<String, Value> =
                components.into_iter().enumerate().map(|(index, component)| (format!("c{index}"), component)).collect();
            json!({"components": components, "init": init, "controller": controller})
        })
        .boxed()
}

/// Up to so many of the keys; one value in twenty is odd.
fn keys(known: Vec<(&'static str, Vec<Value>)>, base: Value, most: usize) -> BoxedStrategy<Value> {
    let good: Vec<_> = known.into_iter().map(|(key, values)| (key, usable(key, &values, &base))).collect();
    subsequence(good, 0..=most)
        .prop_flat_map(|chosen| {
            let values: Vec<BoxedStrategy<(&'static str, Value)>> = chosen
                .into_iter()
                .map(|(key, values)| {
                    let all = proptest::strategy::Union::new_weighted(vec![
                        (19, select(values).boxed()),
                        (1, select(odd()).boxed()),
                    ]);
                    all.prop_map(move |value| (key, value)).boxed()
                })
                .collect();
            values
        })
        .prop_flat_map(Just)
        .prop_map(move |chosen| {
            let mut map = base.clone();
            chosen.into_iter().for_each(|(key, value)| map[key] = value);
            map
        })
        .boxed()
}

/// Those that are accepted alone: in a pod of many values, one that is not would hide the others.
fn usable(key: &str, values: &[Value], base: &Value) -> Vec<Value> {
    let is_component = base.get("command").is_some();
    let fits = |value: &&Value| {
        let mut map = base.clone();
        map[key] = (*value).clone();
        super::accepted(&match is_component {
            true => json!({"components": {"app": map}}),
            false => json!({"components": {"app": self::base()}, "controller": map}),
        })
        .is_some()
    };
    values.iter().filter(fits).cloned().collect()
}
