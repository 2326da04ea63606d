//! What is shown of a component's life: restarts, probes, steps around its start and its end.

use serde_json::{Map, Value, json};

use crate::plan::Planned;
use crate::plan::units::{self, milliseconds, time};
use crate::pod::Dependency;
use crate::pod::life::{
    HttpRequest, LifecycleAction, LifecycleStep, Probe, ProbeCheck, Probes, RestartPolicy, RestartScope, RestartWhen,
    Role, Unready,
};

/// Rows of a name and what it stands for; nothing where all is as usual.
pub(super) fn rows(planned: &Planned) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    match planned.role {
        Role::Job => rows.push(("role", "job: the pod ends when all jobs have ended".to_owned())),
        Role::Sidecar => rows.push((
            "role",
            "sidecar: serves the other components, does not keep the pod running, stops last".to_owned(),
        )),
        Role::Main if planned.job => rows.push(("job", "exit code 0 does not end the pod".to_owned())),
        Role::Main => {}
    }
    if !planned.essential && planned.role != Role::Sidecar {
        rows.push(("essential", "no: the end of this component does not end the pod".to_owned()));
    }
    if planned.restart.when != RestartWhen::Never {
        rows.push(("restart", restart(&planned.restart)));
    }
    let named = kinds(&planned.probes).into_iter().filter_map(|(kind, it)| Some((kind, it?)));
    rows.extend(named.map(|(kind, it)| (kind, probe(it))));
    if let Some(early) = &planned.early_check {
        let (every, within) = (time(early.probe.period), time(early.within));
        rows.push(("early check", format!("the controller runs the health check every {every} in the first {within}, until the component is healthy")));
    }
    rows.extend(planned.post_start.iter().map(|it| ("after start", step(it))));
    rows.extend(planned.pre_stop.iter().map(|it| ("before stop", step(it))));
    rows
}

/// What is behind a dependency's name.
pub(super) fn dependency(on: Dependency) -> String {
    let condition = on.condition.to_string();
    let mut words = vec![condition.trim_start_matches("service_").replace('_', " ")];
    if on.restart {
        words.push("restarts together".to_owned());
    }
    if !on.required {
        words.push("not required".to_owned());
    }
    words.join(", ")
}

/// The same for programs.
pub(super) fn json(planned: &Planned) -> [(&'static str, Value); 8] {
    let steps = |steps: &[LifecycleStep]| steps.iter().map(step_json).collect::<Vec<_>>();
    let probes: Map<_, _> =
        kinds(&planned.probes).into_iter().filter_map(|(kind, it)| Some((kind.to_owned(), probe_json(it?)))).collect();
    [
        ("part", json!(planned.role.name())),
        ("start_ms", json!(milliseconds(planned.start))),
        ("essential", json!(planned.essential)),
        ("job", json!(planned.job)),
        ("restart", restart_json(&planned.restart)),
        ("probes", Value::Object(probes)),
        ("post_start", json!(steps(&planned.post_start))),
        ("pre_stop", json!(steps(&planned.pre_stop))),
    ]
}

fn kinds(probes: &Probes) -> [(&'static str, Option<&Probe>); 3] {
    [
        ("startup", probes.startup.as_ref()),
        ("liveness", probes.liveness.as_ref()),
        ("readiness", probes.readiness.as_ref()),
    ]
}

fn restart(policy: &RestartPolicy) -> String {
    let mut words = vec![policy.when.name().to_owned()];
    if !policy.exit_codes.is_empty() {
        let codes: Vec<_> = policy
            .exit_codes
            .iter()
            .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") })
            .collect();
        words.push(format!("exit codes {}", codes.join(" ")));
    }
    if let Some(most) = policy.max_attempts {
        words.push(format!("at most {most} times"));
    }
    words.push(format!("after {} to {}", time(policy.delay), time(policy.max_delay)));
    words.push(format!("new after {}", time(policy.reset_after)));
    if policy.scope == RestartScope::Pod {
        words.push("the whole pod".to_owned());
    }
    words.join(", ")
}

fn restart_json(policy: &RestartPolicy) -> Value {
    json!({
        "policy": policy.when.name(),
        "exit_codes": policy.exit_codes,
        "max_attempts": policy.max_attempts,
        "delay_ms": milliseconds(policy.delay),
        "max_delay_ms": milliseconds(policy.max_delay),
        "reset_after_ms": milliseconds(policy.reset_after),
        "scope": policy.scope.name(),
    })
}

fn probe(probe: &Probe) -> String {
    let check = match &probe.check {
        ProbeCheck::Http(it) => url(it),
        ProbeCheck::Tcp { host, port } => format!("tcp {}", address(host, *port)),
        ProbeCheck::Grpc { host, port, service } => {
            format!("grpc {} {service}", address(host, *port)).trim_end().to_owned()
        }
        ProbeCheck::Exec(command) => format!("exec {}", units::command(command)),
    };
    let unready = match probe.unready {
        Unready::Unhealthy => "",
        Unready::Degraded => ", degrades the pod",
    };
    format!("{check}, every {}, {} failures{unready}", time(probe.period), probe.failure_threshold)
}

fn probe_json(probe: &Probe) -> Value {
    let (kind, check) = match &probe.check {
        ProbeCheck::Http(it) => ("http", request_json(it)),
        ProbeCheck::Tcp { host, port } => ("tcp", json!({"host": host, "port": port})),
        ProbeCheck::Grpc { host, port, service } => ("grpc", json!({"host": host, "port": port, "service": service})),
        ProbeCheck::Exec(command) => ("exec", json!(command)),
    };
    json!({
        kind: check,
        "initial_delay_ms": milliseconds(probe.initial_delay),
        "period_ms": milliseconds(probe.period),
        "start_interval_ms": probe.start_interval.map(milliseconds),
        "timeout_ms": milliseconds(probe.timeout),
        "success_threshold": probe.success_threshold,
        "failure_threshold": probe.failure_threshold,
        "unready": match probe.unready {
            Unready::Unhealthy => "unhealthy",
            Unready::Degraded => "degraded",
        },
    })
}

/// The values of headers often are secrets: only their names are shown.
fn request_json(request: &HttpRequest) -> Value {
    json!({"method": request.method, "url": address_of(request), "headers": request.headers.keys().collect::<Vec<_>>()})
}

fn url(request: &HttpRequest) -> String {
    format!("{} {}", request.method, address_of(request))
}

fn address_of(request: &HttpRequest) -> String {
    let scheme = if request.tls { "https" } else { "http" };
    // What is behind the `?` may hold a key.
    let (path, query) = request.path.split_once('?').map_or((request.path.as_str(), ""), |(path, _)| (path, "?…"));
    format!("{scheme}://{}{path}{query}", address(&request.host, request.port))
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn step(step: &LifecycleStep) -> String {
    let action = match &step.action {
        LifecycleAction::Exec(it) => {
            let user = it.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
            let privileged = if it.privileged { ", privileged" } else { "" };
            format!("exec {}{user}{privileged}", units::command(&it.command))
        }
        LifecycleAction::Http(it) => url(it),
        LifecycleAction::Sleep(length) => format!("wait {}", time(*length)),
    };
    let limit = step.timeout.map(|limit| format!(", within {}", time(limit))).unwrap_or_default();
    format!("{action}{limit}")
}

fn step_json(step: &LifecycleStep) -> Value {
    let (kind, action) = match &step.action {
        LifecycleAction::Exec(it) => {
            let names: Vec<_> =
                it.environment.iter().map(|line| line.split_once('=').map_or(line.as_str(), |it| it.0)).collect();
            let exec = json!({
                "command": it.command,
                "user": it.user,
                "privileged": it.privileged,
                "working_dir": it.working_dir,
                "environment": names,
            });
            ("exec", exec)
        }
        LifecycleAction::Http(it) => ("http", request_json(it)),
        LifecycleAction::Sleep(length) => ("sleep_ms", json!(milliseconds(*length))),
    };
    json!({ kind: action, "timeout_ms": step.timeout.map(milliseconds) })
}
