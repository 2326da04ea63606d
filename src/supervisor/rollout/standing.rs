//! Which files of components are not the newest that was asked for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::hooks::{Change, Rollout, RolloutOutcome};
use crate::pod::PluginName;

/// Most refused versions that are remembered; then the oldest is forgotten.
const MOST: usize = 64;

/// So many files are named; the others are counted.
const NAMED: usize = 3;

/// A version that was refused, and that nothing newer has taken the place of.
#[derive(Debug)]
struct Refused {
    plugin: PluginName,
    /// Its files in components.
    targets: BTreeSet<String>,
    /// The watched files that led to it, with their digests.
    sources: BTreeMap<String, String>,
    outcome: RolloutOutcome,
    reason: String,
}

/// All that were refused and are still the newest.
#[derive(Debug, Default)]
pub struct Standing(Vec<Refused>);

impl Standing {
    /// Watched files have changed: a version of other content is not the newest any more. Answers whether that changes anything.
    pub fn heard(&mut self, plugin: &PluginName, sources: &BTreeMap<String, String>) -> bool {
        let before = self.0.len();
        for refused in self.0.iter_mut().filter(|refused| refused.plugin == *plugin) {
            refused.sources.retain(|path, digest| sources.get(path).is_none_or(|now| now == digest));
        }
        self.0.retain(|refused| !refused.sources.is_empty());
        self.0.len() != before
    }

    /// A rollout of these files has ended: `refused` has its outcome and the reason if it is not in force as it should be.
    pub fn ended(
        &mut self,
        plugin: &PluginName,
        targets: BTreeSet<String>,
        sources: BTreeMap<String, String>,
        refused: Option<(RolloutOutcome, String)>,
    ) {
        // What was refused together is tried again together, but for files that went back to what is in force.
        let mut earlier = BTreeMap::new();
        self.0.retain(|old| {
            let superseded = old.plugin == *plugin && old.targets.iter().any(|target| targets.contains(target));
            if superseded {
                earlier.extend(old.sources.clone());
            }
            !superseded
        });
        if let Some((outcome, reason)) = refused {
            // What was refused before may have been tried once more together with what is new.
            earlier.extend(sources);
            if self.0.len() >= MOST {
                self.0.remove(0);
            }
            self.0.push(Refused { plugin: plugin.clone(), targets, sources: earlier, outcome, reason });
        }
    }

    /// A sentence about each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let one = |Refused { plugin, targets, outcome, reason, .. }: &Refused| {
            let named: Vec<_> = targets.iter().take(NAMED).map(|target| format!("`{target}`")).collect();
            let more = targets.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("the newest version of {}{more} from plugin `{plugin}` is {outcome}: {reason}", named.join(", "))
        };
        self.0.iter().map(one).collect()
    }
}

/// The files in components that a rollout is about, as `component:path`.
#[must_use]
pub fn targets(rollout: &Rollout) -> BTreeSet<String> {
    let files = rollout.files.iter().map(|file| format!("{}:{}", file.component, file.path));
    files.chain(rollout.remove.iter().map(|(component, path)| format!("{component}:{path}"))).collect()
}

/// The watched files of a report, with their digests.
#[must_use]
pub fn sources(changes: &[Change]) -> BTreeMap<String, String> {
    changes.iter().map(|change| (change.path.clone(), change.digest.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> PluginName {
        PluginName::new("reload").unwrap()
    }

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(path, digest)| ((*path).to_owned(), (*digest).to_owned())).collect()
    }

    fn refused(standing: &mut Standing, targets: &[&str], sources: &[(&str, &str)]) {
        standing.ended(&plugin(), set(targets), map(sources), Some((RolloutOutcome::Refused, "no".to_owned())));
    }

    #[test]
    fn a_refused_version_is_the_newest_until_another_one_comes() {
        let mut standing = Standing::default();
        refused(&mut standing, &["web:/etc/a"], &[("/cfg/a", "bad")]);
        assert_eq!(standing.told(), ["the newest version of `web:/etc/a` from plugin `reload` is refused: no"]);
        // Told once more, of another file, of another plugin.
        assert!(!standing.heard(&plugin(), &map(&[("/cfg/a", "bad"), ("/cfg/b", "x")])));
        assert!(!standing.heard(&PluginName::new("other").unwrap(), &map(&[("/cfg/a", "good")])));
        assert_eq!(standing.told().len(), 1);
        // It is what is in force once more: the plugin wants no rollout.
        assert!(standing.heard(&plugin(), &map(&[("/cfg/a", "good")])));
        assert_eq!(standing.told(), Vec::<String>::new());
    }

    #[test]
    fn what_was_applied_ends_only_what_it_replaces() {
        let mut standing = Standing::default();
        refused(&mut standing, &["web:/etc/a", "web:/etc/b"], &[("/cfg/a", "bad"), ("/cfg/b", "fine")]);
        refused(&mut standing, &["app:/c"], &[("/cfg/c", "bad")]);
        standing.ended(&plugin(), set(&["web:/etc/d"]), map(&[("/cfg/d", "new")]), None);
        assert_eq!(standing.told().len(), 2);
        // `/cfg/a` went back to what is in force: the other one is tried alone.
        standing.heard(&plugin(), &map(&[("/cfg/a", "old")]));
        standing.ended(&plugin(), set(&["web:/etc/b"]), map(&[("/cfg/a", "old")]), None);
        assert_eq!(standing.told(), ["the newest version of `app:/c` from plugin `reload` is refused: no"]);
    }

    #[test]
    fn files_refused_together_stay_so_until_all_have_changed() {
        let mut standing = Standing::default();
        refused(&mut standing, &["web:/a", "web:/b"], &[("/cfg/a", "bad"), ("/cfg/b", "fine")]);
        // One changes; both are tried again, and refused once more.
        standing.heard(&plugin(), &map(&[("/cfg/b", "better")]));
        refused(&mut standing, &["web:/a", "web:/b"], &[("/cfg/b", "better")]);
        assert_eq!(standing.told().len(), 1);
        assert!(!standing.heard(&plugin(), &map(&[("/cfg/b", "best")])), "`/cfg/a` is as it was");
        assert!(standing.heard(&plugin(), &map(&[("/cfg/a", "good")])));
    }

    #[test]
    fn it_has_a_bound() {
        let mut standing = Standing::default();
        for n in 0..MOST + 10 {
            refused(&mut standing, &[&format!("web:/{n}")], &[(&format!("/cfg/{n}"), "bad")]);
        }
        assert_eq!(standing.told().len(), MOST);
        refused(&mut standing, &["w:/1", "w:/2", "w:/3", "w:/4", "w:/5"], &[("/x", "y")]);
        assert!(standing.told().last().unwrap().contains("`w:/3` and 2 more"));
    }
}
