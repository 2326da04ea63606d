//! The price of what a pod does all the time, although nothing happens.
//!
//! Each command that the engine runs in a container, for a `healthcheck` or an `exec` probe, is a process of the engine's runtime, of its shim's and of the engine's
//! own: docs/figures.md has the CPU time that one takes, measured on the whole machine. A probe that the controller makes by itself starts no process.

use std::time::Duration;

use crate::pod::life::{Probe, ProbeCheck};
use crate::pod::{Component, HealthCheck, PodSpec};

/// CPU time of one command that the engine runs in a container, as docs/figures.md has it.
const COMMAND: Duration = Duration::from_millis(130);

/// Commands that follow each other faster are worth a note: at this interval a component takes more than a hundredth of a core.
const WORTH_A_NOTE: Duration = Duration::from_secs(10);

/// Notes on components whose checks are dear: commands that run more often than every 10 s as long as the component does. A startup probe is none of them, since it ends.
#[must_use]
pub fn notes(spec: &PodSpec) -> Vec<String> {
    spec.components.values().flat_map(dear).collect()
}

fn dear(component: &Component) -> impl Iterator<Item = String> {
    let check = match &component.healthcheck {
        // An interval of 0 is the engine's default.
        Some(HealthCheck::Command { interval: Some(interval), .. }) if !interval.is_zero() => {
            Some(("healthcheck", "interval", *interval))
        }
        Some(HealthCheck::Command { .. } | HealthCheck::Disabled) | None => None,
    };
    let probe = |key, probe: &Option<Probe>| match probe {
        Some(Probe { check: ProbeCheck::Exec(_), period, .. }) => Some((key, "period", *period)),
        _ => None,
    };
    let probes = &component.probes;
    [check, probe("probes.liveness", &probes.liveness), probe("probes.readiness", &probes.readiness)]
        .into_iter()
        .flatten()
        .filter(|&(_, _, interval)| interval < WORTH_A_NOTE)
        .map(|(field, key, interval)| {
            format!(
                "component `{}`: `{field}` runs a command every {interval:?}, which costs the engine about {:.0} ms of CPU time for each run: {:.2} of a core on average. `http`, `tcp` and `grpc` probes cost almost nothing; `{key}: 30s` costs little",
                component.name,
                COMMAND.as_secs_f64() * 1e3,
                COMMAND.as_secs_f64() / (COMMAND + interval).as_secs_f64(),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::{lower, read};

    fn noted(component: &str) -> Vec<String> {
        let text = format!("components: {{app: {{image: a, {component}}}}}");
        let spec = lower::lower(&read::from_document("pod.yaml", &text).unwrap()).unwrap();
        notes(&spec)
    }

    #[test]
    fn commands_that_follow_each_other_fast_are_noted_with_their_price() {
        for (component, field, price) in [
            ("healthcheck: {test: x, interval: 2s}", "`healthcheck` runs a command every 2s", "0.06 of a core"),
            ("healthcheck: {interval: 500ms}", "`healthcheck` runs a command every 500ms", "0.21 of a core"),
            ("probes: {liveness: {exec: [x], period: 1s}}", "`probes.liveness`", "0.12 of a core"),
            ("probes: {readiness: {exec: [x], period: 9s}}", "`probes.readiness`", "0.01 of a core"),
        ] {
            let notes = noted(component);
            assert_eq!(notes.len(), 1, "{component}: {notes:?}");
            assert!(notes[0].starts_with("component `app`: ") && notes[0].contains("`tcp`"), "{notes:?}");
            assert!(notes[0].contains(field) && notes[0].contains(price), "{notes:?}");
        }
        let both = "healthcheck: {test: x, interval: 1s}, probes: {liveness: {exec: [x], period: 1s}, readiness: {exec: [x], period: 1s}}";
        assert_eq!(noted(both).len(), 3);
    }

    #[test]
    fn what_is_cheap_or_ends_is_not() {
        for component in [
            "restart: always",
            "healthcheck: {test: x}",
            "healthcheck: {test: x, interval: 0s}",
            "healthcheck: {test: x, interval: 10s}",
            "healthcheck: {test: [NONE], interval: 1s}",
            "probes: {liveness: {exec: [x]}}",
            "probes: {startup: {exec: [x], period: 1s}}",
            "probes: {liveness: {tcp: 80, period: 1s}, readiness: {http: 'http://127.0.0.1/', period: 1s}}",
        ] {
            assert_eq!(noted(component), Vec::<String>::new(), "{component}");
        }
    }
}
