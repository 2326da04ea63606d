//! Health checks on engines that don't know all of Compose's words for them.

use std::time::Duration;

use super::Found;
use crate::engine::EngineInfo;
use crate::plan::EarlyCheck;
use crate::pod::life::{Probe, ProbeCheck, Unready};
use crate::pod::{Component, HealthCheck};

/// The API version from which on the engine itself looks more often during the start period.
pub(super) const START_INTERVAL: (u32, u32) = (1, 44);

/// The engine's own time for one look where the check says none.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the controller does for an engine that does not know `start_interval`.
pub(super) fn early_check(component: &Component, engine: &EngineInfo, found: &mut Found) -> Option<EarlyCheck> {
    let Some(HealthCheck::Command { test, timeout, start_period, start_interval: Some(interval), .. }) =
        &component.healthcheck
    else {
        return None;
    };
    if engine.api >= START_INTERVAL || interval.is_zero() {
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
                "`healthcheck.start_interval` has no effect on this engine, which is older than API 1.44, unless `test` is written too",
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
