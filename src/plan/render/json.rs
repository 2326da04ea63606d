//! A plan for programs; the shape is documented in the parent module.

use serde_json::{Map, Value, json};

use super::{PluginLine, Step, block_io, course, kind, life, limits::limits, steps, variables};
use crate::config::Timeouts;
use crate::plan::budget::BudgetRow;
use crate::plan::stops::Turn;
use crate::plan::units::milliseconds;
use crate::plan::{Plan, Planned};
use crate::pod::{HealthCheck, Mount};

pub(super) fn json(plan: &Plan, plugins: &[PluginLine], timeouts: Option<&Timeouts>) -> Value {
    let mut document = Map::new();
    document.insert("version".to_owned(), json!(1));
    document.insert("stop_budget_ms".to_owned(), json!(milliseconds(plan.stop_budget)));
    document.insert("drain_ms".to_owned(), json!(milliseconds(plan.drain)));
    document.insert("stops".to_owned(), stops(plan));
    document.extend(course::json(plan).map(|(key, value)| (key.to_owned(), value)));
    document.insert("containers".to_owned(), steps(plan).map(|step| container(&step)).collect());
    document.insert("limits".to_owned(), limits_of_all(plan));
    document.insert("plugins".to_owned(), plugins.iter().map(plugin).collect());
    if let Some(timeouts) = timeouts {
        document.insert("timeouts".to_owned(), named(timeouts));
    }
    document.insert("warnings".to_owned(), json!(plan.warnings));
    Value::Object(document)
}

/// Every timeout, as `engine_call_ms`.
pub(super) fn named(timeouts: &Timeouts) -> Value {
    let named: Map<_, _> = timeouts
        .table()
        .iter()
        .map(|(name, _, limit)| (format!("{}_ms", name.replace('-', "_")), json!(milliseconds(*limit))))
        .collect();
    Value::Object(named)
}

fn stops(plan: &Plan) -> Value {
    let stop = |(planned, turn): (&Planned, Turn)| {
        json!({
            "component": planned.name.as_str(),
            "step": turn.wave,
            "asked_by_ms": milliseconds(turn.begins_by),
            "killed_by_ms": milliseconds(turn.ends_by),
        })
    };
    plan.stops().into_iter().map(stop).collect()
}

fn limits_of_all(plan: &Plan) -> Value {
    let budget = &plan.budget;
    let row = |row: &BudgetRow| {
        let components: Vec<_> = row
            .components
            .iter()
            .map(|share| json!({"component": share.component.as_str(), "written": share.written, "given": share.given}))
            .collect();
        json!({"resource": row.resource.key(), "pod": row.pod, "components": components, "sum": row.sum(), "left": row.left()})
    };
    let placement = &budget.placement;
    let placement = json!({"mode": placement.tier.name(), "cgroup_parent": placement.parent, "why": placement.why, "assumed": placement.is_assumed});
    json!({
        "held_by": budget.held_by.name(),
        "placement": placement,
        "resources": budget.rows.iter().map(row).collect::<Vec<_>>(),
        "block_io": block_io::json(plan),
    })
}

fn container(step: &Step<'_>) -> Value {
    let spec = step.container;
    let planned = step.planned;
    let depends_on: Vec<_> = planned
        .map(|planned| planned.depends_on.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|(name, on)| {
            json!({
                "component": name.as_str(),
                "condition": on.condition.to_string(),
                "restart": on.restart,
                "required": on.required,
            })
        })
        .collect();
    let copy: Vec<_> = planned
        .map(|planned| planned.copy.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|copy| {
            json!({
                "source": copy.source,
                "target": copy.target,
                "mode": copy.mode.map(|mode| format!("{mode:04o}")),
                "uid": copy.uid,
                "gid": copy.gid,
            })
        })
        .collect();
    let mut shown = json!({
        "role": step.role,
        "name": planned.map(|planned| planned.name.as_str()),
        "wave": step.wave(),
        "container": spec.name,
        "image": spec.image,
        "entrypoint": spec.entrypoint,
        "command": spec.command,
        "working_dir": spec.working_dir,
        "user": spec.user,
        "environment": variables(spec),
        "labels": spec.labels,
        "mounts": spec.mounts.iter().map(mount).collect::<Vec<_>>(),
        "tmpfs": spec.tmpfs,
        "copy": copy,
        "network": spec.network_mode,
        "pid": spec.pid_mode,
        "ipc": step.ipc(),
        "cgroup_parent": spec.cgroup_parent,
        "limits": limits(&spec.host),
        "privileged": spec.host.privileged,
        "depends_on": depends_on,
        "healthcheck": spec.healthcheck.as_ref().map(health_check),
        "grace_ms": planned.map(|planned| milliseconds(planned.grace)),
        "stop_signal": spec.stop_signal,
    });
    if let (Some(planned), Value::Object(map)) = (planned, &mut shown) {
        map.extend(life::json(planned).map(|(key, value)| (key.to_owned(), value)));
    }
    shown
}

fn health_check(check: &HealthCheck) -> Value {
    match check {
        HealthCheck::Disabled => json!("disabled"),
        HealthCheck::Command { test, interval, timeout, start_period, start_interval, retries } => json!({
            "test": test,
            "interval_ms": interval.map(milliseconds),
            "timeout_ms": timeout.map(milliseconds),
            "start_period_ms": start_period.map(milliseconds),
            "start_interval_ms": start_interval.map(milliseconds),
            "retries": retries,
        }),
    }
}

fn mount(mount: &Mount) -> Value {
    json!({
        "kind": kind(mount.kind),
        "source": mount.source,
        "target": mount.target,
        "read_only": mount.read_only,
        "volume": mount.volume.as_ref().map(|volume| json!({
            "driver": volume.driver,
            "driver_opts": volume.driver_opts.keys().collect::<Vec<_>>(),
            "labels": volume.labels,
        })),
    })
}

fn plugin(line: &PluginLine) -> Value {
    json!({
        "name": line.name,
        "version": line.version,
        "source": line.source,
        "hooks": line.hooks,
        "granted": line.granted,
        "missing": line.missing,
        "changes": line.changes.iter().map(|(path, replaces)| json!({"path": path, "replaces": replaces})).collect::<Vec<_>>(),
    })
}
