//! A plan for people ([`text`]) and for programs ([`json()`]).
//!
//! Both are deterministic. Neither shows the values of environment variables, headers and driver options, which often are secrets: only their names.
//!
//! The shape of the JSON is stable; keys may be added. Times are milliseconds, sizes bytes. What was not set is `null`, or missing within `limits`.
//!
//! | key | value |
//! | --- | --- |
//! | `version` | of this shape: 1 |
//! | `stop_budget_ms` | from the first signal to the killing of what still runs |
//! | `drain_ms` | of it, from the first signal to the first component's stop |
//! | `stops` | in the order of their stop: `component`, `step` from 1 on, and from the first signal on `asked_by_ms` and `killed_by_ms`, both at the latest |
//! | `min_ready_ms`, `settle_ms`, `repair_budget_ms` | as in `pod.options`; 0: none |
//! | `start_deadline` | `null` for none, or `total_ms`, `base_ms` and `declared`, a list of `component` and `declared_ms` |
//! | `ends_with` | `jobs`: once all of these have ended; `components`: once one of these has ended and is not started again |
//! | `containers` | in the order of their start, see below |
//! | `limits` | `held_by` (`pod`, `components` or `nobody`), `placement` (`mode`, `cgroup_parent`, `why`, and `assumed`: no engine was asked) and `resources`, each with `resource`, `pod`, `sum`, `left`, and `component`, `written`, `given` of each of `components`; CPUs in billionths; and `block_io`, each with `component`, `device` (`null`: all others), `weight`, `read_bps`, `write_bps`, `read_iops`, `write_iops` |
//! | `plugins` | `name`, `version`, `source`, `hooks`, `granted`, `missing` of each |
//! | `timeouts` | every deadline by name, where they were asked for |
//! | `warnings` | text |
//!
//! | key of a container | value |
//! | --- | --- |
//! | `role`, `name`, `wave` | `ipc`, `init` or `component`; the component's name, none for `ipc`; a number for components |
//! | `container`, `image` | name and image reference |
//! | `entrypoint`, `command`, `working_dir`, `user` | as the engine gets them |
//! | `environment`, `labels` | names of the variables; a map |
//! | `mounts`, `tmpfs`, `copy` | `kind`, `source`, `target`, `read_only`, `volume` (`driver`, names of `driver_opts`, `labels`) of each; a map from path to options; `source`, `target`, `mode` (octal), `uid`, `gid` of each |
//! | `network`, `pid`, `ipc`, `cgroup_parent` | `ipc` is `donor` where it joins the container of that role |
//! | `limits` | a map of those that are set, by their name in `pod.yaml` |
//! | `depends_on` | `component`, `condition` (as in a Compose file), `restart`, `required` |
//! | `part`, `start_ms` | `job`, `sidecar` or `null`; what its own start declares |
//! | `essential`, `job`, `restart` | true or false; whether its success does not end the pod; `policy`, `exit_codes` (pairs), `max_attempts`, `delay_ms`, `max_delay_ms`, `reset_after_ms`, `scope` |
//! | `probes` | `startup`, `liveness`, `readiness`, each with `http`, `tcp`, `grpc` or `exec`, its times and thresholds |
//! | `post_start`, `pre_stop` | `exec`, `http` or `sleep_ms`, and `timeout_ms` of each |
//! | `healthcheck` | `null` for the image's, `"disabled"`, or `test`, `interval_ms`, `timeout_ms`, `start_period_ms`, `start_interval_ms`, `retries` |
//! | `privileged`, `grace_ms`, `stop_signal` | true or false; a number; a number |

mod block_io;
mod columns;
mod course;
mod json;
mod life;
mod limits;
mod text;

pub use self::columns::aligned;
pub use self::text::{clean, one_line};
use serde_json::Value;

use super::{Plan, Planned};
use crate::config::Timeouts;
use crate::containers::ContainerSpec;
use crate::pod::MountKind;

/// What is shown of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginLine {
    /// Its name in the pod.
    pub name: String,
    /// As it describes itself.
    pub version: String,
    /// Where it came from: `stock`, or a path.
    pub source: String,
    /// Hooks that it exports.
    pub hooks: Vec<&'static str>,
    /// What it is granted, as `capability: scope`.
    pub granted: Vec<String>,
    /// What it wants and is not granted, in the same form.
    pub missing: Vec<String>,
    /// What it has made different in `pre-start`, as dotted paths, and whether something was there before.
    pub changes: Vec<(String, bool)>,
}

/// Every timeout, as the plan's `timeouts` has them.
#[must_use]
pub fn timeouts_json(timeouts: &Timeouts) -> Value {
    json::named(timeouts)
}

/// The plan as text, with a table of all timeouts where they are given. Ends with a newline.
#[must_use]
pub fn text(plan: &Plan, plugins: &[PluginLine], timeouts: Option<&Timeouts>) -> String {
    text::text(plan, plugins, timeouts)
}

/// The plan as JSON, with `timeouts` where they are given.
#[must_use]
pub fn json(plan: &Plan, plugins: &[PluginLine], timeouts: Option<&Timeouts>) -> Value {
    json::json(plan, plugins, timeouts)
}

/// One container of a plan, with its place in the order.
struct Step<'a> {
    role: &'static str,
    planned: Option<&'a Planned>,
    container: &'a ContainerSpec,
}

impl Step<'_> {
    fn wave(&self) -> Option<usize> {
        self.planned.filter(|_| self.role == "component").map(|planned| planned.wave)
    }

    /// Its name for people.
    fn title(&self) -> &str {
        self.planned.map_or(self.role, |planned| planned.name.as_str())
    }

    /// Whose IPC namespace it is in.
    fn ipc(&self) -> Option<&str> {
        if self.planned.is_some_and(|planned| planned.joins_donor) {
            Some("donor")
        } else {
            self.container.ipc_mode.as_deref()
        }
    }
}

/// All containers in the order in which they start.
fn steps(plan: &Plan) -> impl Iterator<Item = Step<'_>> {
    let of = |role| move |planned| Step { role, planned: Some(planned), container: &planned.container };
    let donor = plan.ipc_donor.iter().map(|container| Step { role: "ipc", planned: None, container });
    donor.chain(plan.init.iter().map(of("init"))).chain(plan.components.iter().map(of("component")))
}

/// The names of the variables.
fn variables(container: &ContainerSpec) -> Vec<&str> {
    container.env.iter().map(|entry| entry.split_once('=').map_or(entry.as_str(), |(name, _)| name)).collect()
}

fn kind(kind: MountKind) -> &'static str {
    match kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
    }
}
