//! What holds for the pod as a whole.

use std::time::Duration;

use serde_json::Value;

use super::fields::{Fields, Node, Report};
use crate::labels::Place;
use crate::pod::values::{duration, format_duration};
use crate::pod::{PodOptions, PodSpec};

/// How long Swarm watches a new task if `update_config.monitor` is not written, and how long it waits for its stop if `stop_grace_period` is not.
const MONITOR: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(10);

/// Lowers the label `pod.options`.
pub fn lower(at: &Place, value: &Value, report: &mut Report) -> PodOptions {
    let default = PodOptions::default();
    if value.is_null() {
        return default;
    }
    let node = Node { at: at.clone(), value };
    let Some(mut fields) = Fields::of(&node, "a map with `drain`", report) else { return default };
    let options = PodOptions {
        drain: fields.read("drain", Node::duration).unwrap_or(default.drain),
        min_ready: fields.read("min_ready", Node::duration).unwrap_or(default.min_ready),
        start_deadline: fields.read("start_deadline", Node::duration),
        settle: fields.read("settle", Node::duration).unwrap_or(default.settle),
        repair_budget: fields.read("repair_budget", Node::duration).unwrap_or(default.repair_budget),
    };
    let ready_at = fields.place("min_ready");
    fields.end(|key| {
        Some(match key {
            "minReadySeconds" => ("unknown key", "did you mean `min_ready`? It is a duration such as `2s`"),
            "progressDeadlineSeconds" | "progress_deadline" | "healthy_deadline" => {
                ("unknown key", "did you mean `start_deadline`? It is a duration such as `60s`")
            }
            "min_healthy_time" => ("unknown key", "did you mean `min_ready` or `settle`?"),
            _ => return None,
        })
    });
    let deadline = options.start_deadline.unwrap_or(PodOptions::START_DEADLINE);
    if !deadline.is_zero() && options.min_ready >= deadline {
        report.push(
            ready_at
                .problem(format!(
                    "must be shorter than `start_deadline`, which is `{}`; otherwise the pod can never become healthy",
                    format_duration(deadline)
                ))
                .hint("write a longer `start_deadline`, or `start_deadline: 0` for no limit"),
        );
    }
    options
}

/// Swarm counts a new version as failed only if its task ends within `monitor` after it became healthy. A pod that crashes in the last moment of `settle` needs the time
/// of its stop on top.
pub fn monitor(at: &Place, update: &Value, spec: &PodSpec, report: &mut Report) {
    let settle = spec.options.settle;
    let goes_on = update.get("failure_action").and_then(Value::as_str) == Some("continue");
    if settle.is_zero() || goes_on || !update.is_object() {
        return;
    }
    let written = update.get("monitor").filter(|monitor| !monitor.is_null());
    let (monitor, whose) = match written.map(|text| text.as_str().and_then(|text| duration(text).ok())) {
        None => (MONITOR, " (Swarm's default)"),
        // Swarm takes 0 for its default, too.
        Some(Some(Duration::ZERO)) => (MONITOR, " (Swarm's default)"),
        Some(Some(monitor)) => (monitor, ""),
        // A variable, or something that is for docker to judge.
        Some(None) => return,
    };
    let stop = spec.controller.stop_grace_period.unwrap_or(GRACE);
    let needed = settle.saturating_add(stop);
    if monitor < needed {
        let [monitor, settle, stop, needed] = [monitor, settle, stop, needed].map(format_duration);
        report.warn(
            &at.key("monitor")
                .problem(format!(
                    "`{monitor}`{whose} is shorter than the sum of `settle` ({settle}) and the pod's stop ({stop}): Swarm would accept a version that crashes near the end of `settle`"
                ))
                .hint(format!("write `monitor: {needed}`")),
        );
    }
}
