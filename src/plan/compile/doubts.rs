//! What is probably not meant so, and can be known before anything runs: notes of `check` and `plan`.
//!
//! The controller itself does not repeat them: it sees what really happens.

mod signals;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::{Found, units};
use crate::plan::{Seen, SelfInfo};
use crate::pod::life::{Probe, ProbeCheck, RestartWhen, Role};
use crate::pod::{Component, ComponentName, Condition, HealthCheck, PodSpec};

/// The first look of a health check comes after one interval. Others that wait longer than this for it are told so.
const LONG_INTERVAL: Duration = Duration::from_secs(60);

pub(super) fn look(spec: &PodSpec, me: &SelfInfo, found: &mut Found) {
    if me.seen == Seen::Within {
        return;
    }
    for component in spec.components.values() {
        waits(component, spec, found);
        probes(component, found);
    }
    for component in &spec.init {
        if matches!(component.healthcheck, Some(HealthCheck::Command { .. })) {
            found.warn(
                &component.name,
                "`healthcheck` has no effect on an init component: the other components always wait until it has ended",
            );
        }
    }
    ports(spec, found);
    jobs(spec, found);
    signals::look(spec, found);
}

/// The components whose success others await.
pub(super) fn awaited(spec: &PodSpec) -> HashSet<&ComponentName> {
    let on = spec.components.values().flat_map(|component| &component.depends_on);
    on.filter(|(_, on)| on.condition == Condition::Completed).map(|(name, _)| name).collect()
}

/// Whether only its image can have a health check.
fn may_be_unchecked(component: &Component) -> bool {
    let inherits = match &component.healthcheck {
        None => true,
        Some(HealthCheck::Command { test, .. }) => test.is_empty(),
        Some(HealthCheck::Disabled) => false,
    };
    inherits && component.probes.is_empty()
}

fn waits(component: &Component, spec: &PodSpec, found: &mut Found) {
    let awaited = component.depends_on.iter().filter(|(_, on)| on.condition == Condition::Healthy);
    for other in awaited.filter_map(|(name, _)| spec.components.get(name)) {
        if may_be_unchecked(other) {
            let name = &other.name;
            found.warn(
                &component.name,
                format!(
                    "waits until `{name}` is healthy, but `{name}` has neither `healthcheck` nor `probes`: unless the image of `{name}` has a health check, `{name}` counts as healthy as soon as it runs"
                ),
            );
        }
        if other.healthcheck == Some(HealthCheck::Disabled) && other.probes.is_empty() {
            let name = &other.name;
            found.warn(
                &component.name,
                format!("waits until `{name}` is healthy, but the health check of `{name}` is disabled, so `{name}` counts as healthy as soon as it runs"),
            );
        }
        if let Some(HealthCheck::Command { interval: Some(interval), start_interval: None, .. }) = &other.healthcheck
            && *interval > LONG_INTERVAL
            && other.probes.is_empty()
        {
            found.warn(
                &component.name,
                format!(
                    "waits at least {} for `{}`, because the engine runs a health check for the first time after one `interval`; set `start_interval` and `start_period` for an earlier check",
                    units::time(*interval),
                    other.name
                ),
            );
        }
    }
}

fn probes_of(component: &Component) -> impl Iterator<Item = (&'static str, &Probe)> {
    let probes = &component.probes;
    let all = [("startup", &probes.startup), ("liveness", &probes.liveness), ("readiness", &probes.readiness)];
    all.into_iter().filter_map(|(kind, probe)| Some((kind, probe.as_ref()?)))
}

fn probes(component: &Component, found: &mut Found) {
    for (kind, probe) in probes_of(component).filter(|(_, probe)| probe.timeout > probe.period) {
        found.warn(
            &component.name,
            format!(
                "`timeout` {} of the {kind} probe is longer than its `period` {}, so a slow probe delays the next one",
                units::time(probe.timeout),
                units::time(probe.period)
            ),
        );
    }
}

/// The port at the pod's own address that a probe asks.
fn port_of(probe: &Probe) -> Option<u16> {
    let (host, port) = match &probe.check {
        ProbeCheck::Http(request) => (&request.host, request.port),
        ProbeCheck::Tcp { host, port } | ProbeCheck::Grpc { host, port, .. } => (host, *port),
        ProbeCheck::Exec(_) => return None,
    };
    matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1" | "0.0.0.0").then_some(port)
}

/// Components share one network: a port is that of one of them, and the probe of another one does not look at the other.
fn ports(spec: &PodSpec, found: &mut Found) {
    let mut by_port: BTreeMap<u16, BTreeSet<&ComponentName>> = BTreeMap::new();
    for component in spec.components.values() {
        for port in probes_of(component).filter_map(|(_, probe)| port_of(probe)) {
            by_port.entry(port).or_default().insert(&component.name);
        }
    }
    for (port, names) in by_port.iter().filter(|(_, names)| names.len() > 1) {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        found.warnings.push(format!(
            "the probes of {} use the same port {port}: components share one network, so only one component can listen on this port, and all these probes check that component",
            names.join(" and ")
        ));
    }
}

/// A job that needs others which may end before it: their end is the pod's.
fn jobs(spec: &PodSpec, found: &mut Found) {
    let awaited = awaited(spec);
    let mut told = BTreeSet::new();
    for job in spec.components.values().filter(|job| awaited.contains(&job.name)) {
        for (name, on) in &job.depends_on {
            let Some(helper) = spec.components.get(name) else { continue };
            let ends_pod = helper.role == Role::Main
                && helper.essential
                && helper.restart.when != RestartWhen::Always
                && !awaited.contains(name);
            if ends_pod && on.condition != Condition::Completed && told.insert(name) {
                found.warn(
                    name,
                    format!(
                        "if this component ends while the job `{}` still needs it, even with exit code 0, the pod ends too; with `role: sidecar` the controller restarts the component, and with `essential: false` the pod continues without it",
                        job.name
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;
    use crate::plan::compile::compile;
    use crate::plan::{Seen, SelfInfo, offline};
    use crate::pod::lower::lower;
    use crate::pod::read::from_document;

    pub(super) fn notes(seen: Seen, yaml: &str) -> Vec<String> {
        let spec = from_document("pod.yaml", yaml).and_then(|raw| lower(&raw)).unwrap();
        let mut me = SelfInfo::offline("web", Default::default());
        me.seen = seen;
        let plan = compile(&spec, &me, &offline::engine(), &Settings::default());
        let mut notes = plan.unwrap().warnings;
        // Chains of components have a note of their own.
        notes.retain(|note| !note.contains("stop one after the other"));
        notes
    }

    fn told(components: &str) -> Vec<String> {
        notes(Seen::Nothing, &format!("components: {{{components}}}"))
    }

    #[test]
    fn a_wait_for_health_needs_somebody_who_looks() {
        let app = "app: {image: a, depends_on: {db: {condition: service_healthy}}}";
        for other in ["db: {image: b}", "db: {image: b, healthcheck: {interval: 5s}}"] {
            let told = told(&format!("{app}, {other}"));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("`app`: waits until `db` is healthy, but `db` has neither"), "{told:?}");
        }
        let disabled = "db: {image: b, healthcheck: {disable: true}}";
        let told_once = told(&format!("{app}, {disabled}"));
        assert!(told_once.len() == 1 && told_once[0].contains("the health check of `db` is disabled"), "{told_once:?}");
        // The controller warns once `db` runs.
        assert_eq!(notes(Seen::Within, &format!("components: {{{app}, {disabled}}}")), [""; 0]);
        for other in [
            "db: {image: b, healthcheck: {test: x}}",
            "db: {image: b, probes: {readiness: {tcp: 5432}}}",
            "db: {image: b, healthcheck: {interval: 5s}, probes: {startup: {tcp: 5432}}}",
        ] {
            assert_eq!(told(&format!("{app}, {other}")), [""; 0], "{other}");
        }
        let started = "app: {image: a, depends_on: [db]}, db: {image: b}";
        assert_eq!(told(started), [""; 0]);
        assert_eq!(
            notes(Seen::Within, &format!("components: {{{app}, db: {{image: b}}}}")),
            [""; 0],
            "the controller sees what the image has"
        );
    }

    #[test]
    fn a_wait_for_a_rare_check_is_told() {
        let pod = |check: &str| {
            told(&format!(
                "app: {{image: a, depends_on: {{db: {{condition: service_healthy}}}}}}, db: {{image: b, healthcheck: {{test: x, {check}}}}}"
            ))
        };
        let told = pod("interval: 20m");
        assert!(told.len() == 1 && told[0].contains("waits at least 20m for `db`"), "{told:?}");
        assert_eq!(pod("interval: 60s"), [""; 0]);
        let sooner = pod("interval: 20m, start_period: 1m, start_interval: 1s");
        assert!(!sooner.iter().any(|note| note.contains("at least")), "{sooner:?}");
    }

    #[test]
    fn a_port_is_that_of_one_component() {
        let told = told(
            "a: {image: a, probes: {readiness: {http: 'http://localhost:80/'}, liveness: {tcp: 80}}}, b: {image: b, probes: {liveness: {tcp: 80}}}, \
             c: {image: c, probes: {liveness: {tcp: 'other:80'}, readiness: {tcp: 81}}}",
        );
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("the probes of `a` and `b` use the same port 80"), "{told:?}");
    }

    #[test]
    fn a_look_that_outlasts_the_pause_is_told() {
        let told = told(
            "a: {image: a, probes: {readiness: {tcp: 80, timeout: 5s, period: 2s}, liveness: {tcp: 80, timeout: 2s, period: 2s}}}",
        );
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("`timeout` 5s of the readiness probe is longer than its `period` 2s"), "{told:?}");
    }

    #[test]
    fn an_init_component_has_no_health() {
        let pod = "{components: {app: {image: a}}, init: [{image: i, healthcheck: {test: x}}, {image: j, healthcheck: {disable: true}}]}";
        assert_eq!(
            notes(Seen::Nothing, pod),
            [
                "`init-1`: `healthcheck` has no effect on an init component: the other components always wait until it has ended"
            ]
        );
    }

    #[test]
    fn a_job_may_be_cut_short_by_what_it_needs() {
        let pod = |tunnel: &str| {
            told(&format!(
                "job: {{image: j, depends_on: [tunnel]}}, tunnel: {{image: t{tunnel}}}, after: {{image: a, depends_on: {{job: {{condition: service_completed_successfully}}}}}}"
            ))
        };
        let told = pod("");
        assert!(
            told.len() == 1
                && told[0].starts_with("`tunnel`: if this component ends while the job `job` still needs it"),
            "{told:?}"
        );
        // An end with 0 is no failure.
        assert_eq!(pod(", restart: on-failure").len(), 1);
        for right in [", restart: always", ", essential: false", ", role: sidecar"] {
            assert_eq!(pod(right), [""; 0], "{right}");
        }
    }
}
