//! Which component starts with which: `pod::graph` works it out.

use indexmap::IndexMap;

use crate::pod::{Component, ComponentName, Problem, Problems};

/// For each component 0 where it depends on nothing, else one more than the highest of its dependencies.
///
/// # Errors
/// Unknown dependencies, and those that go round in a circle.
pub(super) fn waves(
    components: &IndexMap<ComponentName, Component>,
) -> Result<IndexMap<ComponentName, usize>, Problems> {
    let mut problems = Problems::default();
    for (name, component) in components {
        for on in component.depends_on.keys().filter(|on| !components.contains_key(*on)) {
            problems.push(Problem::new(
                format!("pod.component.{name}"),
                "depends_on",
                format!("there is no component `{on}`"),
            ));
        }
    }
    let mut waves: IndexMap<ComponentName, usize> = IndexMap::new();
    loop {
        let next: Vec<_> = components
            .iter()
            .filter(|(name, _)| !waves.contains_key(*name))
            .filter_map(|(name, component)| {
                let known = component.depends_on.keys().filter(|on| components.contains_key(*on));
                let after =
                    known.map(|on| waves.get(on).map(|wave| wave + 1)).try_fold(0, |most, wave| Some(most.max(wave?)));
                after.map(|wave| (name.clone(), wave))
            })
            .collect();
        if next.is_empty() {
            break;
        }
        waves.extend(next);
    }
    let stuck: Vec<_> =
        components.keys().filter(|name| !waves.contains_key(*name)).map(|name| format!("`{name}`")).collect();
    if let Some(first) = components.keys().find(|name| !waves.contains_key(*name)) {
        problems.push(Problem::new(
            format!("pod.component.{first}"),
            "depends_on",
            format!("dependencies go round in a circle among {}", stuck.join(", ")),
        ));
    }
    problems.or(waves)
}
