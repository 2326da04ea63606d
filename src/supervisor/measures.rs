//! The pod's own metrics: its state as `status` has it, in numbers. Pure.

use crate::admin::Status;
use crate::admin::status::{COMPONENT_STATES, HealthState, MetricStatus, Stage};
use crate::hooks::RolloutOutcome;
use crate::metrics::{Family, Value};
use crate::plugin::imports::metrics::PREFIX;

/// The state of the pod and its components; `began`: when the controller began to serve, in seconds since the Unix epoch.
#[must_use]
pub fn of(status: &Status, began: u64) -> Vec<Family> {
    let mut info = Family::gauge("outrigger_build_info", "1, with the version of the controller.");
    info.add([("version", status.version.as_str())], 1);
    let mut start = Family::gauge("outrigger_start_time_seconds", "When the controller began to serve, since 1970.");
    start.add([], began);
    let mut stage = Family::gauge("outrigger_pod_stage", "1 for the stage of the pod's life, 0 for the others.");
    stage.one_of(&[], ("stage", &Stage::WORDS), status.stage.as_str());
    let mut health = Family::gauge("outrigger_pod_health", "1 for the health of the pod, 0 for the other verdicts.");
    health.one_of(&[], ("state", &HealthState::WORDS), status.health.state.as_str());
    let mut not_in_force = Family::gauge("outrigger_files_not_in_force", "Files whose newest version is not in force.");
    not_in_force.add([], status.not_in_force.len() as u64);
    let mut rollouts = Family::counter("outrigger_rollouts_total", "Rollouts that have ended, by outcome.");
    for (outcome, count) in RolloutOutcome::ALL.into_iter().zip(status.rollouts_ended) {
        rollouts.add([("outcome", outcome.word())], count);
    }
    [info, start, stage, health, not_in_force, rollouts].into_iter().chain(components(status)).collect()
}

fn components(status: &Status) -> [Family; 4] {
    let mut state = Family::gauge("outrigger_component_state", "1 for the component's state, 0 for the others.");
    let mut health = Family::gauge(
        "outrigger_component_health",
        "1 for the component's health, 0 for the other verdicts; all 0 if nothing judges it.",
    );
    let mut restarts = Family::counter("outrigger_component_restarts_total", "Restarts of the component.");
    let mut starved = Family::gauge(
        "outrigger_component_oom_killed",
        "Whether the kernel caused the component's last exit because memory ran out.",
    );
    for component in &status.components {
        let labels = [("component", component.name.as_str())];
        state.one_of(&labels, ("state", &COMPONENT_STATES), &component.state);
        let judged = component.health.as_ref().map_or("", |health| health.state.as_str());
        health.one_of(&labels, ("state", &HealthState::WORDS), judged);
        restarts.add(labels, component.restarts.into());
        starved.add(labels, component.oom_killed.into());
    }
    [state, health, restarts, starved]
}

/// The families of the controller as `status` shows them. Those that plugins publish are theirs to bound, and only on the page.
#[must_use]
pub fn shown(families: Vec<Family>) -> Vec<MetricStatus> {
    let own = families.into_iter().filter(|family| !family.name.starts_with(PREFIX));
    own.flat_map(|family| {
        let name = family.name;
        family.samples.into_iter().filter_map(move |sample| {
            let Value::Number(value) = sample.value else { return None };
            let labels = sample.labels.into_iter().map(|(key, value)| (key.into_owned(), value)).collect();
            Some(MetricStatus { name: name.to_string(), labels, value })
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::{ComponentStatus, Health};

    #[test]
    fn words_of_states_become_series() {
        let component = ComponentStatus {
            name: "app".to_owned(),
            state: "running".to_owned(),
            health: Some(Health { state: HealthState::Degraded, reasons: Vec::new() }),
            restarts: 2,
            ..ComponentStatus::default()
        };
        let status = Status {
            stage: Stage::Restarting,
            components: vec![component],
            rollouts_ended: [3, 0, 0, 1],
            ..Status::default()
        };
        let shown = shown(of(&status, 7));
        let value = |name: &str, labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            shown.iter().find(|it| it.name == name && it.labels == labels).map(|it| it.value)
        };
        let app = ("component", "app");
        for (name, labels, expected) in [
            ("outrigger_start_time_seconds", &[][..], 7.0),
            ("outrigger_pod_stage", &[("stage", "restarting")], 1.0),
            ("outrigger_pod_stage", &[("stage", "running")], 0.0),
            ("outrigger_component_state", &[app, ("state", "running")], 1.0),
            ("outrigger_component_health", &[app, ("state", "degraded")], 1.0),
            ("outrigger_component_restarts_total", &[app], 2.0),
            ("outrigger_rollouts_total", &[("outcome", "superseded")], 1.0),
        ] {
            assert_eq!(value(name, labels), Some(expected), "{name} {labels:?}");
        }
    }

    #[test]
    fn the_words_are_those_of_the_states() {
        let stages = [
            Stage::Preparing,
            Stage::Init,
            Stage::Starting,
            Stage::Running,
            Stage::Restarting,
            Stage::Stopping,
            Stage::Killing,
        ];
        assert_eq!(stages.map(Stage::as_str), Stage::WORDS);
        assert!(HealthState::WORDS.iter().all(|word| HealthState::parse(word).is_some()));
    }
}
