//! Where a configuration names components of its pod: at each text whose schema has the format [`COMPONENT`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::joined;

/// What a schema calls the name of a component.
pub const COMPONENT: &str = "component";

/// Deepest nesting that is looked into: a schema may refer to itself.
const DEEPEST: usize = 32;

/// So many pairs of a schema and a value are looked at. Choices within choices could make far more than a configuration has values.
const MOST: usize = 100_000;

/// The components that a configuration names, as pairs of a path with dots and a name, each once. The configuration is one that fits the schema.
#[must_use]
pub fn components(schema: &Value, config: &Value) -> BTreeSet<(String, String)> {
    let mut walk = Walk { root: schema, left: MOST, found: BTreeSet::new() };
    walk.look(schema, config, "", DEEPEST);
    walk.found
}

struct Walk<'s> {
    root: &'s Value,
    left: usize,
    found: BTreeSet<(String, String)>,
}

impl<'s> Walk<'s> {
    fn look(&mut self, schema: &'s Value, value: &Value, path: &str, depth: usize) {
        let (Some(left), Some(depth)) = (self.left.checked_sub(1), depth.checked_sub(1)) else { return };
        self.left = left;
        if let Some(name) = value.as_str()
            && schema.get("format").is_some_and(|format| format == COMPONENT)
        {
            self.found.insert((path.to_owned(), name.to_owned()));
        }
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| self.root.pointer(pointer)) {
            self.look(target, value, path, depth);
        }
        for choice in ["oneOf", "anyOf", "allOf"] {
            for branch in schema.get(choice).and_then(Value::as_array).into_iter().flatten() {
                self.look(branch, value, path, depth);
            }
        }
        match value {
            Value::Array(items) => {
                let Some(of_items) = schema.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.look(of_items, item, &joined(path, &index.to_string()), depth);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    let own = schema.get("properties").and_then(|known| known.get(key));
                    let Some(of_value) = own.or_else(|| schema.get("additionalProperties")) else { continue };
                    self.look(of_value, value, &joined(path, key), depth);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(schema: &Value, config: &Value) -> Vec<(String, String)> {
        components(schema, config).into_iter().collect()
    }

    #[test]
    fn names_are_found_wherever_a_schema_has_them() {
        let schema = json!({
            "properties": {
                "one": {"type": "string", "format": "component"},
                "many": {"type": "array", "items": {"$ref": "#/$defs/name"}},
                "either": {"oneOf": [{"$ref": "#/$defs/name"}, {"type": "array", "items": {"$ref": "#/$defs/name"}}]},
                "other": {"type": "string"},
            },
            "additionalProperties": {"properties": {"of": {"allOf": [{"$ref": "#/$defs/name"}]}}},
            "$defs": {"name": {"type": "string", "format": "component"}},
        });
        let config =
            json!({"one": "a", "many": ["b", "c"], "either": ["d"], "other": "no", "x": {"of": "e", "no": "f"}});
        let pair = |path: &str, name: &str| (path.to_owned(), name.to_owned());
        let all =
            [pair("either.0", "d"), pair("many.0", "b"), pair("many.1", "c"), pair("one", "a"), pair("x.of", "e")];
        assert_eq!(found(&schema, &config), all);
        assert_eq!(found(&schema, &json!({"either": "g", "one": 7})), [pair("either", "g")]);
    }

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let schema = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"format": "component"}]});
        assert_eq!(found(&schema, &json!("a")), [(String::new(), "a".to_owned())]);
    }

    /// A stock plugin whose configuration names a component has to say so: only then is a misspelt one found.
    #[test]
    fn stock_plugins_mark_every_name_of_a_component() {
        for (text, config, expected) in [
            (
                include_str!("../../../../plugins/redact/src/schema.json"),
                json!({"components": ["app", "db"]}),
                &[("components.0", "app"), ("components.1", "db")][..],
            ),
            (
                include_str!("../../../../plugins/reload/src/schema.json"),
                json!({"rules": [{"watch": "/w", "component": "app", "target": "/t"}]}),
                &[("rules.0.component", "app")],
            ),
            (
                include_str!("../../../../plugins/reload/src/schema.json"),
                json!({"watch": "/w", "component": "app", "target": "/t"}),
                &[("component", "app")],
            ),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(path, name)| ((*path).to_owned(), (*name).to_owned())).collect();
            assert_eq!(found(&serde_json::from_str(text).unwrap(), &config), expected, "{config}");
        }
    }
}
