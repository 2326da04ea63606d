//! Reports of changed files that wait for their rollout, with the newest version of each file only. Pure.

use std::collections::{BTreeSet, VecDeque};

use crate::hooks::{Change, limits};
use crate::pod::PluginName;

/// Most bytes of reports that are joined: as many as the watcher reports at once.
const LONGEST_REPORT: usize = 16 << 20;

/// Bytes that may wait; with more, no further report is taken from the watcher, which then merges by itself.
const MOST_BYTES: usize = 64 << 20;

/// So many files are named; the others are counted.
const NAMED: usize = 3;

/// What one watch of a plugin has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose watch it is.
    pub plugin: PluginName,
    /// Of one watch, each file once.
    pub changes: Vec<Change>,
}

/// All reports that wait, in the order of their rollouts.
#[derive(Debug, Default)]
pub struct Waiting(VecDeque<Report>);

impl Waiting {
    /// Adds what a watch has reported. Older versions of the same files are forgotten: they are never rolled out. What is left of an older report of the same
    /// watch, and what is new, is one report, since the files of a watch belong together.
    pub fn add(&mut self, plugin: &PluginName, changes: Vec<Change>) {
        let Some(source) = changes.first().map(|change| change.source.clone()) else { return };
        for report in self.0.iter_mut().filter(|report| report.plugin == *plugin) {
            report.changes.retain_mut(|old| {
                let Some(new) = changes.iter().find(|new| new.path == old.path) else { return true };
                let is_same_watch = old.source == new.source;
                // Another watch of the same file has not reported yet what this one has.
                *old = Change { source: std::mem::take(&mut old.source), ..new.clone() };
                !is_same_watch
            });
        }
        self.0.retain(|report| !report.changes.is_empty());
        let of_watch = |report: &&mut Report| {
            report.plugin == *plugin && report.changes.first().is_some_and(|change| change.source == source)
        };
        match self.0.iter_mut().rfind(of_watch) {
            Some(report) if fit(report.changes.iter().chain(&changes)) => report.changes.extend(changes),
            _ => self.0.push_back(Report { plugin: plugin.clone(), changes }),
        }
    }

    /// The next report.
    pub fn take(&mut self) -> Option<Report> {
        self.0.pop_front()
    }

    /// Has changes wait again that come before all others. Of a file that has changed meanwhile, only the newer version waits.
    pub fn put_back(&mut self, plugin: &PluginName, mut changes: Vec<Change>) {
        let newer = |path: &str| {
            let of_plugin = self.0.iter().filter(|report| report.plugin == *plugin);
            of_plugin.flat_map(|report| &report.changes).any(|change| change.path == path)
        };
        changes.retain(|change| !newer(&change.path));
        if !changes.is_empty() {
            self.0.push_front(Report { plugin: plugin.clone(), changes });
        }
    }

    /// Whether so much waits that no more should come.
    #[must_use]
    pub fn is_full(&self) -> bool {
        bytes(self.0.iter().flat_map(|report| &report.changes)) >= MOST_BYTES
    }

    /// Takes what is newer than a report of which nothing has been changed yet: what takes its place, with those of its files that are still the newest. None if
    /// it is the newest itself.
    pub fn supersede(&mut self, old: &Report) -> Option<Report> {
        let is_newer = |new: &Change| {
            old.changes
                .iter()
                .any(|old| old.path == new.path && (&old.digest, old.removed) != (&new.digest, new.removed))
        };
        let at = self.0.iter().position(|report| report.plugin == old.plugin && report.changes.iter().any(is_newer))?;
        let mut newer = self.0.remove(at)?;
        let waiting: BTreeSet<&str> = self
            .0
            .iter()
            .filter(|report| report.plugin == old.plugin)
            .chain([&newer])
            .flat_map(|report| &report.changes)
            .map(|change| change.path.as_str())
            .collect();
        let rest: Vec<Change> =
            old.changes.iter().filter(|change| !waiting.contains(change.path.as_str())).cloned().collect();
        if fit(rest.iter().chain(&newer.changes)) {
            newer.changes.extend(rest);
        } else if !rest.is_empty() {
            self.0.push_front(Report { plugin: old.plugin.clone(), changes: rest });
        }
        Some(newer)
    }

    /// A sentence about each report.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let one = |Report { plugin, changes }: &Report| {
            let named: Vec<_> = changes.iter().take(NAMED).map(|change| format!("`{}`", change.path)).collect();
            let more = changes.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "a newer version of {}{more} from plugin `{plugin}` waits for the end of the current rollout",
                named.join(", ")
            )
        };
        self.0.iter().map(one).collect()
    }
}

fn bytes<'a>(changes: impl Iterator<Item = &'a Change>) -> usize {
    changes.map(|change| change.content.len()).sum()
}

/// How many of these are the first part: no more files than a rollout may have, no more bytes than `limit`, but always one.
pub fn first_part(changes: &[Change], limit: usize) -> usize {
    let mut bytes = 0;
    let fitting = changes.iter().take(limits::MOST_FILES).take_while(|change| {
        bytes += change.content.len();
        bytes <= limit
    });
    fitting.count().max(1).min(changes.len())
}

/// Whether these may be one report: no more files than a rollout may have, and no more bytes than the watcher reports at once.
fn fit<'a>(changes: impl Iterator<Item = &'a Change> + Clone) -> bool {
    changes.clone().count() <= limits::MOST_FILES && bytes(changes) <= LONGEST_REPORT
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn plugin(name: &str) -> PluginName {
        PluginName::new(name).unwrap()
    }

    fn change(source: &str, path: &str, version: u32) -> Change {
        Change {
            source: source.to_owned(),
            path: path.to_owned(),
            digest: version.to_string(),
            content: version.to_string().into(),
            removed: version == 0,
        }
    }

    fn shown(report: Option<Report>) -> Vec<String> {
        let changes = report.into_iter().flat_map(|report| report.changes);
        changes.map(|change| format!("{}:{}", change.path, change.digest)).collect()
    }

    #[test]
    fn the_newest_of_each_file_waits_in_the_oldest_place() {
        let (mut waiting, reload, other) = (Waiting::default(), plugin("reload"), plugin("other"));
        waiting.add(&reload, vec![change("/d", "/d/a", 1), change("/d", "/d/b", 1)]);
        waiting.add(&other, vec![change("/d", "/d/a", 1)]);
        waiting.add(&reload, vec![change("/e", "/e", 1)]);
        waiting.add(&reload, vec![change("/d", "/d/a", 2), change("/d", "/d/c", 2)]);
        assert_eq!(
            waiting.told()[0],
            "a newer version of `/d/b`, `/d/a`, `/d/c` from plugin `reload` waits for the end of the current rollout"
        );
        assert_eq!(shown(waiting.take()), ["/d/b:1", "/d/a:2", "/d/c:2"]);
        assert_eq!(shown(waiting.take()), ["/d/a:1"], "another plugin's");
        assert_eq!(shown(waiting.take()), ["/e:1"], "of another watch: a rollout of its own");
        assert_eq!(waiting.take(), None);
    }

    #[test]
    fn reports_are_not_joined_beyond_what_one_rollout_may_have() {
        let (mut waiting, reload) = (Waiting::default(), plugin("reload"));
        let many = |from: usize| (from..from + 200).map(|n| change("/d", &format!("/d/{n}"), 1)).collect::<Vec<_>>();
        waiting.add(&reload, many(0));
        waiting.add(&reload, many(100));
        assert_eq!(waiting.take().unwrap().changes.len(), 100, "the others are newer in the next one");
        assert_eq!(waiting.take().unwrap().changes.len(), 200);
        assert!(waiting.told().is_empty());
        let long = |path: &str| Change { content: vec![0; 12 << 20].into(), ..change("/d", path, 1) };
        for path in ["/d/a", "/d/b", "/d/c", "/d/d", "/d/e"] {
            waiting.add(&reload, vec![long(path)]);
        }
        assert!(!waiting.is_full());
        waiting.add(&reload, vec![long("/d/f")]);
        assert!(waiting.is_full());
        assert_eq!(shown(waiting.take()), ["/d/a:1"]);
    }

    #[test]
    fn only_another_version_takes_the_place_of_one() {
        let (mut waiting, reload) = (Waiting::default(), plugin("reload"));
        let old = Report { plugin: reload.clone(), changes: vec![change("/d", "/d/a", 1), change("/d", "/d/b", 1)] };
        assert_eq!(waiting.supersede(&old), None);
        waiting.add(&plugin("other"), vec![change("/d", "/d/a", 2)]);
        waiting.add(&reload, vec![change("/d", "/d/a", 1)]);
        waiting.add(&reload, vec![change("/e", "/e", 2)]);
        assert_eq!(waiting.supersede(&old), None);
        waiting.add(&reload, vec![change("/d", "/d/a", 0)]);
        assert_eq!(shown(waiting.supersede(&old)), ["/d/a:0", "/d/b:1"], "what is not newer comes with it");
        assert_eq!(waiting.supersede(&old), None);
    }

    #[test]
    fn the_first_part_has_no_more_than_one_rollout_and_is_never_empty() {
        let many = |count: usize, bytes: usize| -> Vec<Change> {
            (0..count)
                .map(|n| Change { content: vec![0; bytes].into(), ..change("/d", &format!("/d/{n}"), 1) })
                .collect()
        };
        for (count, bytes, expected) in [(0, 1, 0), (256, 0, 256), (257, 0, 256), (3, 40, 2), (3, 100, 1), (3, 101, 1)]
        {
            assert_eq!(first_part(&many(count, bytes), 100), expected, "{count} files of {bytes} bytes");
        }
    }

    #[test]
    fn what_is_put_back_comes_first_unless_it_is_outdated() {
        let (mut waiting, reload) = (Waiting::default(), plugin("reload"));
        waiting.add(&reload, vec![change("/d", "/d/b", 2)]);
        waiting.put_back(&reload, vec![change("/d", "/d/a", 1), change("/d", "/d/b", 1)]);
        assert_eq!(shown(waiting.take()), ["/d/a:1"]);
        assert_eq!(shown(waiting.take()), ["/d/b:2"]);
        waiting.add(&reload, vec![change("/d", "/d/b", 2)]);
        waiting.put_back(&reload, vec![change("/d", "/d/b", 1)]);
        assert_eq!(shown(waiting.take()), ["/d/b:2"]);
        assert_eq!(waiting.take(), None);
    }

    #[derive(Debug, Clone)]
    enum Move {
        Add(&'static str, &'static str, Vec<&'static str>),
        Take,
        Supersede,
    }

    fn moves() -> impl Strategy<Value = Move> {
        let files = prop::sample::subsequence(vec!["/d/a", "/d/b", "/d/c"], 1..=3);
        let watch = prop::sample::select(vec!["/d", "/d/a"]);
        let plugin = prop::sample::select(vec!["reload", "other"]);
        prop_oneof![
            5 => (plugin, watch, files).prop_map(|(plugin, watch, mut files)| {
                if watch == "/d/a" { files = vec!["/d/a"]; }
                Move::Add(plugin, watch, files)
            }),
            2 => Just(Move::Take),
            1 => Just(Move::Supersede),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: what is taken is the newest that is known of each file, and the last version of each file is taken in the end.
        #[test]
        fn nothing_outdated_is_taken_and_nothing_is_lost(moves in prop::collection::vec(moves(), 1..40)) {
            let (mut waiting, mut version) = (Waiting::default(), 0);
            let (mut newest, mut taken) = (BTreeMap::new(), BTreeMap::new());
            let mut current: Option<Report> = None;
            let check = |report: &Report, newest: &BTreeMap<(String, String), String>| {
                for change in &report.changes {
                    let known = &newest[&(report.plugin.to_string(), change.path.clone())];
                    assert_eq!(&change.digest, known, "{}: {}", report.plugin, change.path);
                }
            };
            for step in moves.into_iter().chain(std::iter::repeat_n(Move::Take, 50)) {
                let next = match step {
                    Move::Add(name, watch, files) => {
                        version += 1;
                        for file in &files {
                            newest.insert((name.to_owned(), (*file).to_owned()), version.to_string());
                        }
                        waiting.add(&plugin(name), files.into_iter().map(|file| change(watch, file, version)).collect());
                        continue;
                    }
                    Move::Take => waiting.take(),
                    // Nothing of the current one has been changed: its own files do not count as taken.
                    Move::Supersede => match current.take() {
                        Some(old) => waiting.supersede(&old).or(Some(old)),
                        None => continue,
                    },
                };
                if let Some(report) = &next {
                    check(report, &newest);
                }
                if let Some(old) = std::mem::replace(&mut current, next) {
                    for change in old.changes {
                        taken.insert((old.plugin.to_string(), change.path), change.digest);
                    }
                }
            }
            prop_assert_eq!(waiting.take(), None);
            prop_assert_eq!(taken, newest);
        }
    }
}
