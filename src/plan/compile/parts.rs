//! The components, each planned by itself: as much of a plan as a pod has that could only be read in part.

use indexmap::IndexMap;

use super::{Found, Pod, Role, moved, policy};
use crate::config::Settings;
use crate::containers::info::EngineInfo;
use crate::plan::{Planned, SelfInfo};
use crate::pod::{PodSpec, Problems, graph};

/// Problems that each component of a pod has by itself. No other mistake in the pod is their cause, so they can be reported together with the mistakes that keep the rest of the pod from being read.
///
/// `knows_mounts` is the answer of [`knows_mounts`] for those mistakes.
#[must_use]
pub fn problems_of_parts(
    spec: &PodSpec,
    me: &SelfInfo,
    engine: &EngineInfo,
    settings: &Settings,
    knows_mounts: bool,
) -> Problems {
    let mut found = Found::default();
    Parts::of(spec, me, engine, settings, &mut found);
    found.problems.0.retain(|problem| knows_mounts || !problem.label.starts_with("pod.copy."));
    moved(found.problems, spec)
}

/// Whether all mounts of the pod could be read in spite of these problems, which have no other words for the input yet. A copy may need a mount: its source one of the controller, its target one of the component.
#[must_use]
pub fn knows_mounts(problems: &Problems) -> bool {
    const KEYS: [&str; 3] = ["volumes", "tmpfs", "read_only"];
    let is_of_mounts = |part: &str| part.split('[').next().is_some_and(|key| KEYS.contains(&key));
    // A problem of a whole label, or of a whole component, hides every key of it.
    !problems.0.iter().any(|problem| {
        problem.label == "pod.volumes" || problem.field.is_empty() || problem.field.split('.').any(is_of_mounts)
    })
}

/// The components, each planned by itself: no limit of the pod has been divided among them.
pub(super) struct Parts<'a> {
    pub(super) pod: Pod<'a>,
    pub(super) init: Vec<Planned>,
    pub(super) components: Vec<Planned>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(
        spec: &PodSpec,
        me: &'a SelfInfo,
        engine: &'a EngineInfo,
        settings: &'a Settings,
        found: &mut Found,
    ) -> Self {
        let waves = graph::waves(&spec.components).unwrap_or_else(|cycle| {
            found.problems.extend(cycle);
            IndexMap::new()
        });
        policy::check(spec, me, engine, settings, found);
        let pod = Pod::new(spec, me, engine, settings, found);
        for clash in spec.init.iter().filter(|init| spec.components.contains_key(&init.name)) {
            found.problems.push(Role::Component.problem(
                &clash.name,
                "",
                format!("the name `{}` is also the name of an init component", clash.name),
            ));
        }
        let init = spec.init.iter().map(|component| pod.planned(component, Role::Init, 0, found)).collect();
        let components = spec
            .components
            .iter()
            .map(|(name, component)| {
                let wave = waves.get(name).copied().unwrap_or_default();
                pod.planned(component, Role::Component, wave, found)
            })
            .collect();
        Self { pod, init, components }
    }
}
