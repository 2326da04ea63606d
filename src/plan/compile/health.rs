//! `start_interval` of health checks, for engines that do not have it.

use std::time::Duration;

use super::{Found, Role};
use crate::engine::EngineInfo;
use crate::plan::EarlyCheck;
use crate::pod::life::{Probe, ProbeCheck, Unready};
use crate::pod::{Component, HealthCheck};

/// What the engine gives one look where nothing is said.
const ENGINES_TIMEOUT: Duration = Duration::from_secs(30);

/// How the engine runs the text behind `CMD-SHELL`, unless the image has a `SHELL` of its own.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What the controller looks at while a component starts, as the engine would, where it can't.
pub(super) fn early(component: &Component, role: Role, engine: &EngineInfo, found: &mut Found) -> Option<EarlyCheck> {
    let Some(HealthCheck::Command { test, timeout, start_period, start_interval: Some(interval), .. }) =
        &component.healthcheck
    else {
        return None;
    };
    let within = start_period.filter(|period| !period.is_zero())?;
    // Nobody waits until an init component is healthy.
    if role == Role::Init || engine.has_start_interval() {
        return None;
    }
    let argv = match test.split_first() {
        Some((kind, argv)) if kind == "CMD" => argv.to_vec(),
        Some((kind, [text])) if kind == "CMD-SHELL" => {
            SHELL.into_iter().map(str::to_owned).chain([text.clone()]).collect()
        }
        _ => {
            let (major, minor) = engine.api;
            found.warn(
                &component.name,
                format!("`healthcheck.start_interval` has no effect without a `test`: this engine, of API {major}.{minor}, does not have it, and the image's command is not known"),
            );
            return None;
        }
    };
    let look = Probe {
        check: ProbeCheck::Exec(argv),
        // The engine, too, waits before its first look.
        initial_delay: *interval,
        period: *interval,
        start_interval: None,
        timeout: timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(ENGINES_TIMEOUT),
        success_threshold: 1,
        // Failures do not count while it starts.
        failure_threshold: u32::MAX,
        unready: Unready::default(),
    };
    Some(EarlyCheck { look, within })
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
        (early(&component, role, &engine, &mut found), found.warnings)
    }

    #[test]
    fn only_where_the_engine_does_not_look() {
        let asked = || check(&["CMD", "pg_isready", "-q"], 30, 2);
        let (early, warnings) = planned(asked(), Role::Component, (1, 43));
        let early = early.unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(early.within, Duration::from_secs(30));
        assert_eq!(early.look.check, ProbeCheck::Exec(vec!["pg_isready".to_owned(), "-q".to_owned()]));
        let seconds = |duration: Duration| duration.as_secs();
        let look = &early.look;
        assert_eq!((seconds(look.initial_delay), seconds(look.period), seconds(look.timeout)), (2, 2, 3));
        for (healthcheck, role, api) in [
            (asked(), Role::Component, (1, 44)),
            (asked(), Role::Component, (2, 0)),
            (asked(), Role::Init, (1, 41)),
            (check(&["CMD", "x"], 0, 2), Role::Component, (1, 41)),
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
        assert_eq!(early.unwrap().look.check, ProbeCheck::Exec(argv));
    }

    #[test]
    fn the_images_own_check_can_not_be_run() {
        let (early, warnings) = planned(check(&[], 30, 2), Role::Component, (1, 41));
        assert_eq!(early, None);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("`app`") && warnings[0].contains("API 1.41"), "{warnings:?}");
    }
}
