//! What of the plan's document a plugin is shown: whoever may change something sees it, and nobody gets a secret along with it that belongs to others.

use serde_json::{Map, Value};

use super::grants::covers;
use crate::pod::{Grant, PluginName};

/// The document without what is kept from this plugin: values in the environment of components that none of its `plan` grants covers, the environment of
/// the controller, and the configuration of other plugins.
#[must_use]
pub fn shown(document: &Value, plugin: &PluginName, grants: &[Grant]) -> Value {
    let mut document = document.clone();
    let is_covered = |path: &[String]| grants.iter().any(|grant| covers(grant, path));
    if !is_covered(&["init".to_owned()])
        && let Some(Value::Array(init)) = document.get_mut("init")
    {
        for component in init {
            without(component, "environment", |_| false);
            others(component.get_mut("plugins"), plugin);
        }
    }
    if let Some(Value::Object(components)) = document.get_mut("components") {
        for (name, component) in components {
            without(component, "environment", |key| {
                is_covered(&["components".to_owned(), name.clone(), "environment".to_owned(), key.to_owned()])
            });
            others(component.get_mut("plugins"), plugin);
        }
    }
    others(document.get_mut("plugins"), plugin);
    if let Some(controller) = document.get_mut("controller") {
        without(controller, "environment", |_| false);
    }
    document
}

/// Leaves of a map what `keep` says; where nothing remains, the map goes too.
fn without(of: &mut Value, key: &str, keep: impl Fn(&str) -> bool) {
    let Some(of) = of.as_object_mut() else { return };
    let Some(Value::Object(map)) = of.get_mut(key) else { return };
    map.retain(|key, _| keep(key));
    if map.is_empty() {
        of.remove(key);
    }
}

fn others(plugins: Option<&mut Value>, plugin: &PluginName) {
    let maps = plugins.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut);
    for (_, other) in maps.flat_map(Map::iter_mut).filter(|(name, _)| *name != plugin.as_str()) {
        if let Some(other) = other.as_object_mut() {
            other.remove("config");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn grants(scopes: &[&str]) -> Vec<Grant> {
        scopes.iter().map(|scope| Grant::new(crate::pod::Capability::Plan, *scope)).collect()
    }

    fn document() -> Value {
        json!({
            "init": [{"name": "prepare", "environment": {"KEY": "k"}}],
            "components": {
                "app": {"image": "app", "environment": {"A": "1", "B": "2"}, "plugins": [{"q": {"config": {"token": "t"}}}]},
                "db": {"image": "db", "environment": {"PASSWORD": "p"}},
            },
            "plugins": [{"mine": {"config": {"x": 1}}}, {"other": {"limits": {"memory": 1}, "config": {"token": "t"}}}],
            "controller": {"image": "outrigger", "environment": {"SECRET": "s"}},
        })
    }

    #[test]
    fn what_others_keep_to_themselves_is_left_out() {
        let seen = shown(&document(), &PluginName::new("mine").unwrap(), &grants(&["components.app.environment.A"]));
        let expected = json!({
            "init": [{"name": "prepare"}],
            "components": {
                "app": {"image": "app", "environment": {"A": "1"}, "plugins": [{"q": {}}]},
                "db": {"image": "db"},
            },
            "plugins": [{"mine": {"config": {"x": 1}}}, {"other": {"limits": {"memory": 1}}}],
            "controller": {"image": "outrigger"},
        });
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_may_be_changed_is_seen() {
        let seen = |scopes: &[&str]| shown(&document(), &PluginName::new("q").unwrap(), &grants(scopes));
        for scopes in [&["components.*.environment", "init"][..], &["*"]] {
            let seen = seen(scopes);
            assert_eq!(seen["components"]["db"], document()["components"]["db"], "{scopes:?}");
            assert_eq!(seen["components"]["app"], document()["components"]["app"], "{scopes:?}");
            assert_eq!(seen["init"], document()["init"], "{scopes:?}");
            // No grant makes these anybody else's.
            assert_eq!(
                (&seen["controller"]["environment"], &seen["plugins"][1]["other"]["config"]),
                (&Value::Null, &Value::Null)
            );
        }
        assert_eq!(seen(&["components.db"])["components"]["app"].get("environment"), None);
    }
}
