//! Components that stop one after the other, and need more time for it than the pod has: a note of `check` and `plan`.

use std::time::Duration;

use super::{Found, Pod, units};
use crate::plan::{Planned, Seen, stops};
use crate::pod::{ComponentName, PodSpec};

/// So many components of a chain are named at each end.
const NAMED: usize = 3;

impl Pod<'_> {
    /// A slow component is killed early, so that those behind it have a share of the time: nobody expects that of a grace period.
    pub(super) fn doubt_stop(&self, spec: &PodSpec, components: &[Planned], drain: Duration, found: &mut Found) {
        if self.me.seen == Seen::Within {
            return;
        }
        let written = |name: &ComponentName| spec.components.get(name).and_then(|it| it.stop_grace_period);
        let grace = |planned: &Planned| written(&planned.name).unwrap_or(self.settings.timeouts.component_grace);
        let turns = stops::planned(components, grace, self.budget, drain);
        if turns.longest.len() < 2 || drain.saturating_add(turns.needed) <= self.budget {
            return;
        }
        // Of default times nobody expects more than that they are divided.
        if spec.controller.stop_grace_period.is_none() && !turns.longest.iter().any(|name| written(name).is_some()) {
            return;
        }
        let all = drain.saturating_add(turns.needed).saturating_add(self.settings.timeouts.stop_reserve);
        let enough = all.as_secs().saturating_add(u64::from(all.subsec_nanos() > 0));
        found.warnings.push(format!(
            "{} stop one after the other, and their grace periods add up to {}, but the pod has {} for its stop: a slow component is killed early, so that \
             those after it have a share of the time (`plan` shows each); give the pod a `stop_grace_period` of {}, or the components shorter ones (without \
             `stop_grace_period`, a component has {})",
            chain(&turns.longest),
            units::time(turns.needed),
            units::time(self.budget.saturating_sub(drain)),
            units::time(Duration::from_secs(enough)),
            units::time(self.settings.timeouts.component_grace),
        ));
    }
}

/// A chain of components, in words.
fn chain(names: &[ComponentName]) -> String {
    let words = |names: &[ComponentName]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let mut all = match (names.get(..NAMED), names.get(names.len().saturating_sub(NAMED)..)) {
        (Some(first), Some(last)) if names.len() > 2 * NAMED => {
            let rest = format!("{} more", names.len() - 2 * NAMED);
            [words(first), vec![rest], words(last)].concat()
        }
        _ => words(names),
    };
    let last = all.pop().unwrap_or_default();
    if all.is_empty() { last } else { format!("{} and {last}", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;
    use crate::plan::compile::compile;
    use crate::plan::{Seen, SelfInfo, offline};
    use crate::pod::lower::lower;
    use crate::pod::read::from_document;

    fn notes(seen: Seen, yaml: &str) -> Vec<String> {
        let spec = from_document("pod.yaml", &format!("{{{yaml}}}")).and_then(|raw| lower(&raw)).unwrap();
        let mut me = SelfInfo::offline("web", Default::default());
        me.seen = seen;
        let mut notes = compile(&spec, &me, &offline::engine(), &Settings::default()).unwrap().warnings;
        notes.retain(|note| note.contains("stop one after the other"));
        notes
    }

    fn told(yaml: &str) -> String {
        notes(Seen::Nothing, yaml).concat()
    }

    #[test]
    fn graces_that_do_not_fit_one_after_the_other_are_told() {
        let pod = "components: {db: {image: b}, app: {image: a, depends_on: [db], stop_grace_period: 10s}}";
        assert_eq!(
            told(pod),
            "`app` and `db` stop one after the other, and their grace periods add up to 20s, but the pod has 8.5s for its stop: a slow component is killed \
             early, so that those after it have a share of the time (`plan` shows each); give the pod a `stop_grace_period` of 22s, or the components shorter \
             ones (without `stop_grace_period`, a component has 10s)"
        );
        assert_eq!(notes(Seen::Within, pod), [""; 0], "the controller does not repeat it");
        for right in [
            &format!("controller: {{stop_grace_period: 22s}}, {pod}"),
            "components: {db: {image: b, stop_grace_period: 2s}, app: {image: a, depends_on: [db], stop_grace_period: 6500ms}}",
            "components: {db: {image: b}, app: {image: a, stop_grace_period: 8s}}",
            "components: {db: {image: b}, app: {image: a, depends_on: [db]}}",
        ] {
            assert_eq!(told(right), "", "{right}");
        }
    }

    #[test]
    fn the_chain_is_that_of_the_stop() {
        let sidecar = told("components: {mesh: {image: b, role: sidecar}, app: {image: a, stop_grace_period: 10s}}");
        assert!(sidecar.starts_with("`app` and `mesh` stop one after"), "{sidecar}");
        let drained = told(
            "components: {db: {image: b, stop_grace_period: 2s}, app: {image: a, depends_on: [db], stop_grace_period: 6s}}, options: {drain: 1s}",
        );
        assert!(drained.contains("add up to 8s, but the pod has 7.5s"), "{drained}");
        // A migration has ended by then.
        let on = "depends_on: {migrate: {condition: service_completed_successfully}}";
        let migration =
            told(&format!("components: {{migrate: {{image: m, stop_grace_period: 10s}}, app: {{image: a, {on}}}}}"));
        assert_eq!(migration, "");
        let others: Vec<_> = (1..9).map(|at| format!("c{at}: {{image: a, depends_on: [c{}]}}", at - 1)).collect();
        let long = told(&format!("components: {{c0: {{image: a, stop_grace_period: 10s}}, {}}}", others.join(", ")));
        let start = "`c8`, `c7`, `c6`, 3 more, `c2`, `c1` and `c0` stop one after the other, and their grace periods add up to 90s";
        assert!(long.starts_with(start), "{long}");
    }
}
