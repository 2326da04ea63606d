//! What plugins answer from `pre-start`: overlays on the plan's document.
//!
//! Maps are merged, everything else is replaced. An overlay can add and change, not remove: `null` is refused.
//!
//! Invariants: an overlay is taken whole or not at all; whatever it changes is covered by a `plan` grant; no plugin overwrites what another has set; whether
//! overlays agree does not depend on their order. What comes out is as untrusted as what came in, and is lowered like user input.

mod grants;
mod shown;
#[cfg(test)]
mod tests;

pub use self::shown::shown;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::pod::{ComponentName, Grant, PluginName, Problem, Problems};

/// Longest overlay, in bytes: a plan is some tens of KiB, and the controller is small.
const LONGEST: usize = 1 << 20;

/// Problems of one overlay that are listed; the rest is only counted, so that a plugin can't flood the log.
const MOST_PROBLEMS: usize = 20;

/// Longest part of a path in a message, in characters: it is the plugin's to choose.
const LONGEST_SEGMENT: usize = 80;

/// Top-level keys that no overlay changes: whoever could would grant itself anything.
const PROTECTED: [&str; 2] = ["plugins", "controller"];

/// The plan's document, and what plugins have laid over it so far.
#[derive(Debug, Clone)]
pub struct Overlays {
    /// As it was before any overlay: what a plugin replaces is judged by it, so that the order does not matter.
    base: Value,
    document: Value,
    /// Every leaf that a plugin has set, by path.
    claims: BTreeMap<Vec<String>, Claim>,
}

#[derive(Debug, Clone)]
struct Claim {
    plugin: PluginName,
    value: Value,
}

/// Something that an overlay sets: what is not a map with keys.
struct Leaf {
    path: Vec<String>,
    value: Value,
    /// How many segments of `path` lead to what is replaced: shorter where something that is not a map makes room for one.
    replaces: usize,
}

impl Overlays {
    /// Begins with a document in the form of `pod.yaml`.
    #[must_use]
    pub fn new(document: Value) -> Self {
        Self { base: document.clone(), document, claims: BTreeMap::new() }
    }

    /// Lays one plugin's answer over the document. Nothing of it is taken where anything is wrong.
    ///
    /// # Errors
    /// An overlay that is no JSON object or is too long; `null`; a change that no `plan` grant covers, or outside the component that the plugin belongs
    /// to; a key that another plugin has set to something else.
    pub fn apply(
        &mut self,
        plugin: &PluginName,
        scope: Option<&ComponentName>,
        overlay_json: &str,
        grants: &[Grant],
    ) -> Result<(), Problems> {
        let label = format!("plugin {plugin}");
        let overlay = parse(overlay_json).map_err(|what| Problems(vec![Problem::new(&label, "", what)]))?;
        let mut leaves = Vec::new();
        collect(&overlay, Some(&self.base), &mut Vec::new(), None, &mut leaves);
        let mut problems = Problems::default();
        for leaf in &leaves {
            if let Err((what, hint)) = self.check(leaf, plugin, scope, grants) {
                problems.push(Problem::new(&label, dotted(&leaf.path), what).hint(hint));
            }
        }
        let more = problems.0.len().saturating_sub(MOST_PROBLEMS);
        if more > 0 {
            problems.0.truncate(MOST_PROBLEMS);
            problems.push(Problem::new(&label, "", format!("{more} more problems of this kind")));
        }
        problems.or(())?;
        for leaf in leaves {
            put(&mut self.document, &leaf.path, leaf.value.clone());
            self.claims.insert(leaf.path, Claim { plugin: plugin.clone(), value: leaf.value });
        }
        Ok(())
    }

    /// What a plugin has made different, as dotted paths; of a value that was there before, `true`.
    #[must_use]
    pub fn changed_by(&self, plugin: &PluginName) -> Vec<(String, bool)> {
        let claims = self.claims.iter().filter(|(_, claim)| claim.plugin == *plugin);
        let changed = claims.filter_map(|(path, claim)| {
            let before = get(&self.base, path);
            (before != Some(&claim.value)).then(|| (dotted(path), before.is_some()))
        });
        changed.collect()
    }

    /// The document with all overlays.
    #[must_use]
    pub fn finish(self) -> Value {
        self.document
    }

    /// What is wrong with a leaf, and what to do about it.
    fn check(
        &self,
        leaf: &Leaf,
        plugin: &PluginName,
        scope: Option<&ComponentName>,
        grants: &[Grant],
    ) -> Result<(), (String, String)> {
        let no_hint = |what: String| (what, String::new());
        if let Some(other) = self.rival(leaf, plugin) {
            return Err(no_hint(format!("the plugins `{other}` and `{plugin}` set this field to different values")));
        }
        if get(&self.document, &leaf.path) == Some(&leaf.value) {
            return Ok(());
        }
        if leaf.value.is_null() {
            return Err(no_hint("an overlay cannot remove a field: `null` is refused".to_owned()));
        }
        if let Some(key) = leaf.path.first().filter(|key| PROTECTED.contains(&key.as_str())) {
            return Err(no_hint(format!("no plugin may change `{key}`")));
        }
        if let Some(scope) = scope
            && !matches!(leaf.path.as_slice(), [first, second, ..] if first == "components" && second == scope.as_str())
        {
            return Err(no_hint(format!(
                "the plugin belongs to component `{scope}` and may change only that component"
            )));
        }
        let changed = leaf.path.get(..leaf.replaces).unwrap_or(&leaf.path);
        if grants.iter().any(|grant| grants::covers(grant, changed)) {
            Ok(())
        } else {
            Err((
                "no `plan` grant covers this change".to_owned(),
                format!("grant the change with `plan: [{}]` or a wider scope", grants::suggestion(changed)),
            ))
        }
    }

    /// The other plugin whose will is not compatible with this leaf.
    fn rival(&self, leaf: &Leaf, plugin: &PluginName) -> Option<&PluginName> {
        let is_map = leaf.value.is_object();
        let same = self.claims.get(&leaf.path).filter(|claim| claim.value != leaf.value);
        // Above: another plugin says that there is no map here.
        let above = (1..leaf.path.len())
            .filter_map(|length| self.claims.get(leaf.path.get(..length)?))
            .find(|claim| claim.plugin != *plugin && !claim.value.is_object());
        // Below: another plugin says that there is one.
        let below = self
            .claims
            .range(leaf.path.clone()..)
            .take_while(|(path, _)| !is_map && path.starts_with(&leaf.path))
            .filter(|(path, _)| path.len() > leaf.path.len())
            .map(|(_, claim)| claim)
            .find(|claim| claim.plugin != *plugin);
        same.filter(|claim| claim.plugin != *plugin).or(above).or(below).map(|claim| &claim.plugin)
    }
}

fn parse(json: &str) -> Result<Value, String> {
    if json.len() > LONGEST {
        return Err(format!("the overlay is {} bytes long, but the limit is {LONGEST} bytes", json.len()));
    }
    match serde_json::from_str(json) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("the overlay is not a JSON object".to_owned()),
        Err(error) => Err(format!("the overlay is not JSON: {error}")),
    }
}

/// Lists what the overlay sets. `base` is what the document has at the same place.
fn collect(
    overlay: &Value,
    base: Option<&Value>,
    path: &mut Vec<String>,
    replaces: Option<usize>,
    leaves: &mut Vec<Leaf>,
) {
    match overlay {
        Value::Object(map) if !map.is_empty() => {
            let replaces = replaces.or_else(|| base.is_some_and(|base| !base.is_object()).then_some(path.len()));
            for (key, value) in map {
                path.push(key.clone());
                collect(value, base.and_then(|base| base.get(key)), path, replaces, leaves);
                path.pop();
            }
        }
        // The whole document as `{}` sets nothing.
        _ if path.is_empty() => {}
        // An empty map is merged into one that is there, and changes nothing.
        Value::Object(_) if base.is_some_and(Value::is_object) => {}
        _ => leaves.push(Leaf { path: path.clone(), value: overlay.clone(), replaces: replaces.unwrap_or(path.len()) }),
    }
}

fn get<'a>(document: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, key| value.as_object()?.get(key))
}

/// Sets a leaf; on the way there, maps are made where there are none.
fn put(document: &mut Value, path: &[String], leaf: Value) {
    let mut place = document;
    for key in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(map) = place.as_object_mut() else { return };
        place = map.entry(key.as_str()).or_insert(Value::Null);
    }
    // `{}` says that there is a map, not that it is empty: another plugin may have filled it.
    if !(place.is_object() && leaf.is_object()) {
        *place = leaf;
    }
}

/// A path for people. Its segments are a plugin's words: control characters are escaped, and the long are cut.
fn dotted(path: &[String]) -> String {
    let segment = |segment: &String| -> String { segment.escape_debug().take(LONGEST_SEGMENT).collect() };
    path.iter().map(segment).collect::<Vec<_>>().join(".")
}
