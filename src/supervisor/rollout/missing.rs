//! Watched files that are gone, and that are no file of a watched directory: components keep what they have of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::hooks::Change;
use crate::pod::{ComponentName, PluginName};

/// Most files that are remembered; of more, none is added.
const MOST: usize = 64;

/// By plugin and path, the components that get the file when the pod starts.
#[derive(Debug, Default)]
pub struct Missing(BTreeMap<(PluginName, String), BTreeSet<ComponentName>>);

impl Missing {
    /// Watched files have changed. Answers whether that changes anything.
    pub fn heard(
        &mut self,
        plugin: &PluginName,
        changes: &[Change],
        copied_to: impl Fn(&str) -> BTreeSet<ComponentName>,
    ) -> bool {
        let mut moved = false;
        for change in changes {
            let key = (plugin.clone(), change.path.clone());
            if !is_gone(change) {
                moved |= self.0.remove(&key).is_some();
            } else if self.0.len() < MOST {
                moved |= self.0.insert(key, copied_to(&change.path)).is_none();
            }
        }
        moved
    }

    /// A sentence about each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let one = |((plugin, path), needed): (&(PluginName, String), &BTreeSet<ComponentName>)| {
            let keeps = format!("`{path}`, which plugin `{plugin}` watches, was removed; components keep their files");
            let names: Vec<_> = needed.iter().map(|name| format!("`{name}`")).collect();
            match names.as_slice() {
                [] => keeps,
                _ => {
                    format!("{keeps}, but the next start of the pod fails without it (`copy` of {})", names.join(", "))
                }
            }
        };
        self.0.iter().map(one).collect()
    }
}

/// Whether the watched file itself is gone.
#[must_use]
pub fn is_gone(change: &Change) -> bool {
    change.removed && change.path == change.source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_file_is_missing_until_it_is_there_again() {
        let mut missing = Missing::default();
        let plugin = PluginName::new("reload").unwrap();
        let change = |source: &str, path: &str, removed| Change {
            source: source.to_owned(),
            path: path.to_owned(),
            digest: String::new(),
            content: bytes::Bytes::new(),
            removed,
        };
        let web = |path: &str| {
            if path == "/b" { BTreeSet::new() } else { BTreeSet::from([ComponentName::new("web").unwrap()]) }
        };
        assert!(!missing.heard(&plugin, &[change("/d", "/d/a", true), change("/a", "/a", false)], web));
        assert!(missing.heard(&plugin, &[change("/a", "/a", true), change("/b", "/b", true)], web));
        assert!(!missing.heard(&plugin, &[change("/a", "/a", true)], web), "nothing new");
        assert_eq!(
            missing.told(),
            [
                "`/a`, which plugin `reload` watches, was removed; components keep their files, but the next start of the pod fails without it (`copy` of `web`)",
                "`/b`, which plugin `reload` watches, was removed; components keep their files"
            ]
        );
        assert!(missing.heard(&plugin, &[change("/a", "/a", false)], web));
        assert_eq!(missing.told().len(), 1);
    }
}
