//! Health checks on engines that don't know all of Compose's words for them.

use std::time::Duration;

use super::{Found, Role};
use crate::containers::info::EngineInfo;
use crate::plan::EarlyCheck;
use crate::pod::life::{Probe, ProbeCheck, Unready};
use crate::pod::{Component, HealthCheck};

/// The engine's own time for one look where the check says none.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the controller does for an engine that does not know `start_interval`.
pub(super) fn early_check(
    component: &Component,
    role: Role,
    engine: &EngineInfo,
    found: &mut Found,
) -> Option<EarlyCheck> {
    let Some(HealthCheck::Command { test, timeout, start_period, start_interval: Some(interval), .. }) =
        &component.healthcheck
    else {
        return None;
    };
    // Nobody waits until an init component is healthy.
    if role == Role::Init || engine.has_start_interval() || interval.is_zero() {
        return None;
    }
    let Some(within) = start_period.filter(|period| !period.is_zero()) else {
        found.warn(&component.name, "`healthcheck.start_interval` has no effect without `start_period`");
        return None;
    };
    let command = match test.split_first() {
        Some((first, words)) if first == "CMD" => words.to_vec(),
        Some((first, words)) if first == "CMD-SHELL" => {
            ["/bin/sh", "-c"].map(str::to_owned).into_iter().chain(words.iter().cloned()).collect()
        }
        // The image's own command, which is not known before the container is there.
        _ => {
            found.warn(
                &component.name,
                "`healthcheck.start_interval` has no effect on this engine (older than API 1.44) without `test`",
            );
            return None;
        }
    };
    let probe = Probe {
        check: ProbeCheck::Exec(command),
        initial_delay: *interval,
        period: *interval,
        start_interval: None,
        timeout: timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(TIMEOUT),
        success_threshold: 1,
        failure_threshold: u32::MAX,
        unready: Unready::default(),
    };
    Some(EarlyCheck { probe, within })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::offline;
    use crate::pod::ComponentName;

    fn check(test: &[&str], start_period: u64, start_interval: u64) -> HealthCheck {
        let seconds = |n| (n > 0).then(|| Duration::from_secs(n));
        HealthCheck::Command {
            test: test.iter().map(|word| (*word).to_owned()).collect(),
            interval: seconds(60),
            timeout: seconds(3),
            start_period: seconds(start_period),
            start_interval: seconds(start_interval),
            retries: Some(2),
        }
    }

    fn planned(healthcheck: HealthCheck, role: Role, api: (u32, u32)) -> (Option<EarlyCheck>, Vec<String>) {
        let mut found = Found::default();
        let component =
            Component { healthcheck: Some(healthcheck), ..Component::new(ComponentName::new("app").unwrap(), "image") };
        let engine = EngineInfo { api, ..offline::engine() };
        (early_check(&component, role, &engine, &mut found), found.warnings)
    }

    #[test]
    fn only_where_the_engine_does_not_look() {
        let asked = || check(&["CMD", "pg_isready", "-q"], 30, 2);
        let (early, warnings) = planned(asked(), Role::Component, (1, 43));
        let EarlyCheck { probe, within } = early.unwrap();
        assert_eq!((warnings, within), (Vec::new(), Duration::from_secs(30)));
        assert_eq!(probe.check, ProbeCheck::Exec(vec!["pg_isready".to_owned(), "-q".to_owned()]));
        let times = [probe.initial_delay, probe.period, probe.timeout].map(|time| time.as_secs());
        assert_eq!(times, [2, 2, 3]);
        for (healthcheck, role, api) in [
            (asked(), Role::Component, (1, 44)),
            (asked(), Role::Component, (2, 0)),
            (asked(), Role::Init, (1, 41)),
            (check(&["CMD", "x"], 30, 0), Role::Component, (1, 41)),
            (HealthCheck::Disabled, Role::Component, (1, 41)),
        ] {
            assert_eq!(planned(healthcheck, role, api), (None, Vec::new()));
        }
    }

    #[test]
    fn a_shells_text_is_run_as_the_engine_runs_it() {
        let (early, _) = planned(check(&["CMD-SHELL", "curl x || exit 1"], 30, 2), Role::Component, (1, 41));
        let argv = ["/bin/sh", "-c", "curl x || exit 1"].map(str::to_owned).to_vec();
        assert_eq!(early.unwrap().probe.check, ProbeCheck::Exec(argv));
    }

    #[test]
    fn what_has_no_effect_is_told() {
        for (healthcheck, needed) in [(check(&[], 30, 2), "`test`"), (check(&["CMD", "x"], 0, 2), "`start_period`")] {
            let (early, warnings) = planned(healthcheck, Role::Component, (1, 41));
            assert_eq!((early, warnings.len()), (None, 1));
            assert!(warnings[0].starts_with("`app`") && warnings[0].contains(needed), "{warnings:?}");
        }
    }
}
