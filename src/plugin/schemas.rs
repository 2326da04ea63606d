//! The JSON Schemas of the contract's texts, as `wit/schemas` has them and `outrigger schema` prints them.

use serde_json::Value;

/// Name and text of each, in the order of the documentation.
pub const ALL: [(&str, &str); 8] = [
    ("manifest", include_str!("../../wit/schemas/manifest.json")),
    ("setup", include_str!("../../wit/schemas/setup.json")),
    ("needs", include_str!("../../wit/schemas/needs.json")),
    ("event", include_str!("../../wit/schemas/event.json")),
    ("reaction", include_str!("../../wit/schemas/reaction.json")),
    ("rollout", include_str!("../../wit/schemas/rollout.json")),
    ("outcome", include_str!("../../wit/schemas/outcome.json")),
    ("pod-view", include_str!("../../wit/schemas/pod-view.json")),
];

/// The schema of this name.
#[must_use]
pub fn of(name: &str) -> Option<Value> {
    let (_, text) = ALL.iter().find(|(known, _)| *known == name)?;
    serde_json::from_str(text).ok()
}

/// The mistakes in a text by its schema, each with its place.
#[must_use]
pub fn mistakes(name: &str, text: &Value) -> Vec<String> {
    let validator = of(name).and_then(|schema| jsonschema::validator_for(&schema).ok());
    let Some(validator) = validator else { return vec![format!("there is no schema `{name}`")] };
    validator.iter_errors(text).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schema_is_one() {
        for (name, text) in ALL {
            let schema: Value = serde_json::from_str(text).unwrap();
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(of(name), Some(schema));
        }
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/schemas")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let mut known: Vec<_> = ALL.iter().map(|(name, _)| format!("{name}.json")).collect();
        files.sort();
        known.sort();
        assert_eq!(files, known);
    }
}
