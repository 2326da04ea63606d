//! The order in which components start.

use std::collections::{HashMap, HashSet, VecDeque};

use indexmap::IndexMap;

use super::life::Condition;
use super::{Component, ComponentName, Problem, Problems};

/// The wave of each component: 0 where it depends on nothing, else one more than the highest of its dependencies.
///
/// # Errors
/// A [`Problem`] for each cycle, which names the whole of it, and for each dependency that is not there.
pub fn waves(components: &IndexMap<ComponentName, Component>) -> Result<IndexMap<ComponentName, usize>, Problems> {
    let edges: Edges<'_> = components
        .iter()
        .map(|(name, component)| (name.as_str(), component.depends_on.keys().map(ComponentName::as_str).collect()))
        .collect();
    let mut problems = Problems::default();
    for (name, dependencies) in &edges {
        for dependency in dependencies.iter().filter(|dependency| !edges.contains_key(**dependency)) {
            let what = format!("there is no component `{dependency}`");
            problems.push(Problem::new(format!("pod.component.{name}"), "depends_on", what));
        }
    }
    let waves = numbered(&edges);
    for cycle in cycles(&edges, &waves) {
        let label = format!("pod.component.{}", cycle.first().copied().unwrap_or_default());
        problems.push(Problem::new(label, "depends_on", described(&cycle)));
    }
    problems.or(components
        .keys()
        .map(|name| (name.clone(), waves.get(name.as_str()).copied().unwrap_or_default()))
        .collect())
}

/// Names, and what each depends on.
pub type Edges<'a> = IndexMap<&'a str, Vec<&'a str>>;

/// The cycles: at least one for every component that is on one. Each begins with its component that comes first in `edges`.
#[must_use]
pub fn find_cycles<'a>(edges: &Edges<'a>) -> Vec<Vec<&'a str>> {
    cycles(edges, &numbered(edges))
}

/// A cycle in words.
#[must_use]
pub fn described(cycle: &[&str]) -> String {
    match cycle {
        [name] => format!("`{name}` depends on itself"),
        names => {
            let mut path: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            path.extend(path.first().cloned());
            format!("the dependencies form a cycle: {}", path.join(" → "))
        }
    }
}

/// The wave of everything that is neither on a cycle nor depends on one.
fn numbered<'a>(edges: &Edges<'a>) -> HashMap<&'a str, usize> {
    let mut dependents: HashMap<&str, Vec<&'a str>> = HashMap::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (name, dependencies) in edges {
        let known: HashSet<_> = dependencies.iter().filter(|dependency| edges.contains_key(**dependency)).collect();
        open.insert(name, known.len());
        for dependency in known {
            dependents.entry(dependency).or_default().push(name);
        }
    }
    let mut waves = HashMap::new();
    let mut ready: Vec<&'a str> =
        edges.keys().copied().filter(|name| open.get(name).is_none_or(|count| *count == 0)).collect();
    let mut wave = 0;
    while !ready.is_empty() {
        let mut next = Vec::new();
        for name in ready {
            waves.insert(name, wave);
            for dependent in dependents.get(name).into_iter().flatten() {
                if let Some(count) = open.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(*dependent);
                    }
                }
            }
        }
        ready = next;
        wave += 1;
    }
    waves
}

/// Components by their place in the pod: a bit for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set(Vec<u64>);

impl Set {
    fn insert(&mut self, at: usize) {
        if self.0.len() <= at / 64 {
            self.0.resize(at / 64 + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
    }

    fn extend(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(bits, others)| *bits |= others);
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// Whether everything of the other is in it.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        let own = self.0.iter().chain(std::iter::repeat(&0));
        other.0.iter().zip(own).all(|(others, bits)| others & !bits == 0)
    }
}

impl FromIterator<bool> for Set {
    fn from_iter<I: IntoIterator<Item = bool>>(is_in: I) -> Self {
        let mut set = Self::default();
        is_in.into_iter().enumerate().filter(|(_, is_in)| *is_in).for_each(|(at, _)| set.insert(at));
        set
    }
}

/// For each component those that have ended before it can start, by way of others too. Components on a cycle, and those that wait for one, are left out: that is
/// reported by itself.
#[must_use]
pub fn ended_before(components: &IndexMap<ComponentName, Component>) -> HashMap<&str, Set> {
    let edges: Edges<'_> = components
        .iter()
        .map(|(name, component)| (name.as_str(), component.depends_on.keys().map(ComponentName::as_str).collect()))
        .collect();
    let waves = numbered(&edges);
    let mut order: Vec<_> =
        components.iter().filter_map(|(name, it)| Some((*waves.get(name.as_str())?, name.as_str(), it))).collect();
    order.sort_by_key(|(wave, ..)| *wave);
    let mut ended: HashMap<&str, Set> = HashMap::new();
    for (_, name, component) in order {
        let mut own = Set::default();
        for (other, on) in &component.depends_on {
            if let Some(before) = ended.get(other.as_str()) {
                own.extend(before);
            }
            if let Some(at) = components.get_index_of(other.as_str()).filter(|_| on.condition == Condition::Completed) {
                own.insert(at);
            }
        }
        ended.insert(name, own);
    }
    ended
}

fn cycles<'a>(edges: &Edges<'a>, numbered: &HashMap<&'a str, usize>) -> Vec<Vec<&'a str>> {
    let mut reported = HashSet::new();
    let mut found = Vec::new();
    // Without those that only depend on a cycle: each of them would be searched from in vain.
    let knots: Edges<'_> = {
        let open = edges.iter().filter(|(name, _)| !numbered.contains_key(**name));
        let mut back: Edges<'a> = open.clone().map(|(name, _)| (*name, Vec::new())).collect();
        for (name, dependencies) in open {
            for dependency in dependencies {
                if let Some(dependents) = back.get_mut(dependency) {
                    dependents.push(*name);
                }
            }
        }
        let outer = self::numbered(&back);
        let is_inner = |name: &str| back.contains_key(name) && !outer.contains_key(name);
        let inner = edges.iter().filter(|(name, _)| is_inner(name));
        inner.map(|(name, on)| (*name, on.iter().copied().filter(|it| is_inner(it)).collect())).collect()
    };
    for name in knots.keys().copied() {
        if reported.contains(name) {
            continue;
        }
        if let Some(cycle) = shortest_cycle(&knots, name) {
            reported.extend(cycle.iter().copied());
            found.push(cycle);
        }
    }
    found
}

/// The shortest way from `start` along dependencies back to it.
fn shortest_cycle<'a>(edges: &Edges<'a>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from: HashMap<&'a str, &'a str> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for dependency in edges.get(name).into_iter().flatten().copied() {
            if dependency == start {
                let mut path = vec![name];
                let mut at = name;
                while at != start {
                    at = came_from.get(at).copied()?;
                    path.push(at);
                }
                path.reverse();
                return Some(path);
            }
            if edges.contains_key(dependency) && !came_from.contains_key(dependency) {
                came_from.insert(dependency, name);
                queue.push_back(dependency);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Edges, described, find_cycles, numbered, waves};
    use crate::pod::lower::lower;
    use crate::pod::read::from_document;
    use crate::pod::{ComponentName, Condition};

    fn edges(text: &'static str) -> Edges<'static> {
        text.split(';')
            .map(|line| {
                let (name, dependencies) = line.split_once(':').unwrap();
                (name.trim(), dependencies.split_whitespace().collect())
            })
            .collect()
    }

    #[test]
    fn a_wave_is_one_more_than_the_highest_dependency() {
        let edges = edges("app: db cache; db:; cache: db; alone:; proxy: app db");
        let waves = numbered(&edges);
        for (name, wave) in [("db", 0), ("alone", 0), ("cache", 1), ("app", 2), ("proxy", 3)] {
            assert_eq!(waves.get(name), Some(&wave), "{name}");
        }
        assert!(find_cycles(&edges).is_empty());
    }

    #[test]
    fn waves_are_those_of_the_components() {
        let text = "components: {app: {image: a, depends_on: [db]}, db: {image: b}}";
        let spec = from_document("pod.yaml", text).and_then(|raw| lower(&raw)).unwrap();
        let found: Vec<_> =
            waves(&spec.components).unwrap().into_iter().map(|(name, wave)| (name.to_string(), wave)).collect();
        assert_eq!(found, [("app".to_owned(), 1), ("db".to_owned(), 0)]);
    }

    #[test]
    fn waves_do_not_trust_their_caller() {
        let text = "components: {app: {image: a, depends_on: [db]}, db: {image: b}}";
        let mut spec = from_document("pod.yaml", text).and_then(|raw| lower(&raw)).unwrap();
        let db = spec.components["db"].name.clone();
        spec.components
            .get_mut("db")
            .unwrap()
            .depends_on
            .insert(ComponentName::new("app").unwrap(), crate::pod::Dependency::on(Condition::Started));
        assert!(waves(&spec.components).unwrap_err().to_string().contains("`app` → `db` → `app`"));
        spec.components.shift_remove(&db);
        assert!(waves(&spec.components).unwrap_err().to_string().contains("there is no component `db`"));
    }

    #[test]
    fn every_cycle_is_named_whole() {
        let edges = edges("app: db; db: cache; cache: app; after: app; me: me; a: b x; b: a; x:");
        let cycles = find_cycles(&edges);
        assert_eq!(cycles, [vec!["app", "db", "cache"], vec!["me"], vec!["a", "b"]]);
        assert_eq!(described(&cycles[0]), "the dependencies form a cycle: `app` → `db` → `cache` → `app`");
        assert_eq!(described(&cycles[1]), "`me` depends on itself");
    }

    #[test]
    fn a_dependency_named_twice_counts_once() {
        assert_eq!(numbered(&edges("app: db db; db:")).get("app"), Some(&1));
    }

    #[test]
    fn what_only_depends_on_a_cycle_is_not_one() {
        assert_eq!(find_cycles(&edges("front: a; a: b; b: a")), [vec!["a", "b"]]);
    }

    #[test]
    fn missing_dependencies_are_no_obstacle() {
        assert_eq!(numbered(&edges("app: nowhere")).get("app"), Some(&0));
    }
}
