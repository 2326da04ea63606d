//! The pod's health: one verdict of many.

use super::status::{ComponentStatus, Health, HealthState, Stage};

/// One verdict for the pod.
///
/// - While it is being stopped it is unhealthy, so that nobody sends it work.
/// - Otherwise the worst verdict counts: of its components, of plugins on the pod as a whole (`pod`), and `starting` until all have been started.
/// - A component that nothing judges has no say.
#[must_use]
pub fn aggregate(stage: Stage, components: &[ComponentStatus], pod: &[Health]) -> Health {
    let own = match stage {
        Stage::Preparing | Stage::Init | Stage::Starting => {
            Some(Health { state: HealthState::Starting, reasons: vec![format!("the pod is {}", told(stage))] })
        }
        Stage::Running => None,
        // It is being mended where it is, which nobody should cut short.
        Stage::Restarting => {
            Some(Health { state: HealthState::Degraded, reasons: vec![format!("the pod is {}", told(stage))] })
        }
        Stage::Stopping | Stage::Killing => {
            Some(Health { state: HealthState::Unhealthy, reasons: vec![format!("the pod is {}", told(stage))] })
        }
    };
    let mut state = HealthState::Healthy;
    let mut reasons = Vec::new();
    for verdict in own.iter().chain(pod) {
        state = state.max(verdict.state);
        if verdict.state != HealthState::Healthy {
            reasons.extend(verdict.reasons.iter().cloned());
        }
    }
    for component in components {
        let Some(verdict) = &component.health else { continue };
        state = state.max(verdict.state);
        if verdict.state != HealthState::Healthy {
            let why =
                if verdict.reasons.is_empty() { String::new() } else { format!(": {}", verdict.reasons.join("; ")) };
            reasons.push(format!("component `{}` is {}{why}", component.name, verdict.state));
        }
    }
    Health { state, reasons }
}

/// The same, for a pod some of whose files are not the newest: it works, but not as it was asked to.
#[must_use]
pub fn with_refused(mut health: Health, stage: Stage, not_in_force: &[String]) -> Health {
    if !not_in_force.is_empty() && stage <= Stage::Running {
        health.state = health.state.max(HealthState::Degraded);
        health.reasons.extend_from_slice(not_in_force);
    }
    health
}

fn told(stage: Stage) -> &'static str {
    match stage {
        Stage::Preparing => "being prepared",
        Stage::Init => "running the init components",
        Stage::Starting => "starting the components",
        Stage::Running => "running",
        Stage::Restarting => "restarting all components",
        Stage::Stopping => "stopping",
        Stage::Killing => "being killed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(name: &str, state: Option<HealthState>) -> ComponentStatus {
        ComponentStatus {
            name: name.to_owned(),
            health: state.map(|state| Health { state, reasons: vec!["because".to_owned()] }),
            ..ComponentStatus::default()
        }
    }

    #[test]
    fn a_running_pod_that_nothing_judges_is_healthy() {
        let health = aggregate(Stage::Running, &[component("app", None)], &[]);
        assert_eq!(health, Health { state: HealthState::Healthy, reasons: vec![] });
    }

    #[test]
    fn a_pod_is_starting_until_all_have_been_started_even_with_healthy_components() {
        for stage in [Stage::Preparing, Stage::Init, Stage::Starting] {
            let health = aggregate(stage, &[component("app", Some(HealthState::Healthy))], &[]);
            assert_eq!(health.state, HealthState::Starting, "{stage}");
            assert_eq!(health.reasons.len(), 1);
        }
    }

    #[test]
    fn the_worst_verdict_counts_and_every_bad_one_is_told() {
        let components = [
            component("a", Some(HealthState::Degraded)),
            component("b", Some(HealthState::Unhealthy)),
            component("c", Some(HealthState::Healthy)),
        ];
        let health = aggregate(Stage::Running, &components, &[]);
        assert_eq!(health.state, HealthState::Unhealthy);
        assert_eq!(health.reasons, ["component `a` is degraded: because", "component `b` is unhealthy: because"]);
    }

    #[test]
    fn degraded_counts_as_healthy_and_starting_does_not() {
        let of = |state| aggregate(Stage::Running, &[component("a", Some(state))], &[]).state.counts_as_healthy();
        assert!(of(HealthState::Degraded));
        assert!(!of(HealthState::Starting));
    }

    #[test]
    fn a_refused_file_degrades_a_pod_that_works() {
        let refused = ["the newest `web:/a` is refused".to_owned()];
        let health = with_refused(aggregate(Stage::Running, &[], &[]), Stage::Running, &refused);
        assert_eq!(health, Health { state: HealthState::Degraded, reasons: refused.to_vec() });
        let worse = with_refused(
            aggregate(Stage::Running, &[component("a", Some(HealthState::Unhealthy))], &[]),
            Stage::Running,
            &refused,
        );
        assert_eq!((worse.state, worse.reasons.len()), (HealthState::Unhealthy, 2));
        let stopping = with_refused(aggregate(Stage::Stopping, &[], &[]), Stage::Stopping, &refused);
        assert_eq!(stopping.reasons, ["the pod is stopping"]);
    }

    #[test]
    fn a_stopping_pod_is_unhealthy() {
        assert_eq!(aggregate(Stage::Stopping, &[], &[]).state, HealthState::Unhealthy);
    }

    #[test]
    fn a_plugin_may_judge_the_whole_pod() {
        let verdict = Health { state: HealthState::Unhealthy, reasons: vec!["no route".to_owned()] };
        assert_eq!(aggregate(Stage::Running, &[], std::slice::from_ref(&verdict)), verdict);
    }
}
