//! `outrigger status`: inside a controller's container over its socket, on a host through the engine.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::argv::StatusArgs;
use super::health::state_dir_of;
use super::report::{Exit, Report};
use super::{Env, block_on, engine, output, pods, time};
use crate::admin::status::ProbeStatus;
use crate::admin::{self, Status};
use crate::engine::{ContainerId, Engine};
use crate::plan::render::clean;
use crate::pod::life::ExecCommand;

/// For the command in the controller's container.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer, in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// Prints the status of a pod, or of every replica of a service.
pub(super) fn run(args: StatusArgs, env: &Env) -> Result<Exit, Report> {
    block_on(async {
        let socket = admin::socket(&state_dir_of(args.state_dir.as_deref(), env));
        let here = args.state_dir.is_some() || socket.exists() || inside();
        if args.container.is_none() && args.pod.is_none() && here {
            show(&admin::ask(&socket, "status").await?, args.json)?;
            return Ok(Exit::Success);
        }
        let engine = engine(env).await?;
        if let Some(name) = &args.container {
            let found = engine.inspect(name).await?;
            if !found.running {
                return Err(Report::new(anyhow!("container `{name}` does not run")).hint("`docker logs` shows why"));
            }
            show(&ask(&engine, &found.id).await?, args.json)?;
            return Ok(Exit::Success);
        }
        let selection = pods::named(&engine, args.pod.as_deref()).await?;
        pods::others(&engine, &selection).await;
        let mut failed = None;
        for (index, pod) in selection.pods.into_iter().enumerate() {
            if index > 0 && !args.json {
                output::text("\n")?;
            }
            // One that has just ended, or hangs, must not hide the others.
            let asked = async { ask(&engine, &pod.running()?).await }.await;
            match asked {
                Ok(text) => show(&text, args.json)?,
                Err(report) => failed = Some(failed.map_or(report, |first: Report| first)),
            }
        }
        failed.map_or(Ok(Exit::Success), Err)
    })
}

/// Prints what a controller has answered.
fn show(answer: &str, as_json: bool) -> Result<(), Report> {
    let status: Status = serde_json::from_str(answer).context("cannot understand the controller's answer")?;
    if as_json { output::json(&status) } else { output::text(&text(&status)) }
}

/// Whether this is a controller's container: there, other controllers of the engine are nobody's business, also before the socket is open.
pub(super) fn inside() -> bool {
    Path::new("/.dockerenv").exists() && std::env::current_exe().is_ok_and(|program| program == Path::new("/outrigger"))
}

/// What the controller in this container answers, asked for with a command there.
pub(super) async fn ask<E: Engine>(engine: &E, id: &ContainerId) -> Result<String, Report> {
    let argv = ["/outrigger", "status", "--json"].map(str::to_owned);
    let done = engine.exec(id, &ExecCommand::new(argv), PATIENCE, LONGEST).await?;
    if done.exit_code != 0 {
        // The engine tells on standard output that it could not run the command.
        let told = String::from_utf8_lossy(if done.stderr.is_empty() { &done.stdout } else { &done.stderr });
        let told = if told.trim().is_empty() { String::new() } else { format!(": {}", told.trim()) };
        let error = anyhow!("`/outrigger status` in container {id} ended with {}{told}", done.exit_code);
        return Err(Report::new(error).hint("is this a container of Outrigger?"));
    }
    if done.truncated {
        return Err(Report::new(anyhow!("the status in container {id} is longer than {LONGEST} bytes")));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// For people.
fn text(status: &Status) -> String {
    let mut text = format!(
        "pod `{}`: {}, {}, up {}\n",
        clean(&status.pod),
        status.stage,
        status.health.state,
        time::short(Duration::from_secs(status.uptime_s))
    );
    for reason in &status.health.reasons {
        text.push_str(&format!("  {}\n", clean(reason)));
    }
    if !status.components.is_empty() {
        let head =
            ["COMPONENT", "STATE", "HEALTH", "RESTARTS", "EXIT", "CONTAINER", "IMAGE"].map(str::to_owned).to_vec();
        let rows = status.components.iter().map(|component| {
            vec![
                clean(&if component.init { format!("{} (init)", component.name) } else { component.name.clone() }),
                clean(&component.state),
                component.health.as_ref().map_or_else(dash, |health| health.state.to_string()),
                component.restarts.to_string(),
                component.exit_code.map_or_else(dash, |code| code.to_string()),
                component.container_id.as_ref().map_or_else(dash, |id| ContainerId(id.clone()).short().to_owned()),
                clean(&component.image),
            ]
        });
        text.push('\n');
        text.push_str(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    }
    text.push_str(&probes(status));
    if !status.plugins.is_empty() {
        let head = ["PLUGIN", "VERSION", "CALLS", "FAILURES", "STRIKES", "HOOKS", "GRANTS"].map(str::to_owned).to_vec();
        let rows = status.plugins.iter().map(|plugin| {
            vec![
                if plugin.evicted { format!("{} (evicted)", plugin.name) } else { plugin.name.clone() },
                clean(&plugin.version),
                plugin.calls.to_string(),
                plugin.failures.to_string(),
                plugin.strikes.to_string(),
                listed(&plugin.hooks),
                listed(&plugin.grants),
            ]
        });
        text.push('\n');
        text.push_str(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
        for plugin in &status.plugins {
            if let Some(failure) = &plugin.last_failure {
                text.push_str(&format!("  last failure of `{}`: {}\n", plugin.name, clean(failure)));
            }
        }
    }
    let logs = status.logs;
    text.push_str(&format!(
        "\nlines: {} read, {} written, {} filtered, {} dropped\n",
        logs.read, logs.written, logs.filtered, logs.dropped
    ));
    if logs.cut > 0 {
        text.push_str(&format!("warning: the output of {} runs was not read to its end: time ran out\n", logs.cut));
    }
    if let Some(cgroups) = &status.cgroups {
        text.push_str(&format!("{}\n", clean(&cgroups.to_string())));
    }
    for rollout in &status.rollouts {
        let why = if rollout.reason.is_empty() { String::new() } else { format!(": {}", rollout.reason) };
        let at = i64::try_from(rollout.at).unwrap_or_default().saturating_mul(1_000_000_000);
        let told = format!(
            "{} rollout of `{}`, {}: {}{why}",
            time::seconds(at),
            rollout.plugin,
            rollout.outcome,
            rollout.summary
        );
        text.push_str(&format!("{}\n", clean(&told)));
    }
    for warning in &status.warnings {
        text.push_str(&format!("warning: {}\n", clean(warning)));
    }
    text
}

/// The probes of all components; empty where there are none.
fn probes(status: &Status) -> String {
    let probes: Vec<(&str, &ProbeStatus)> = status
        .components
        .iter()
        .flat_map(|component| component.probes.iter().map(|probe| (component.name.as_str(), probe)))
        .collect();
    if probes.is_empty() {
        return String::new();
    }
    let last = |probe: &ProbeStatus| probe.last_ok.map_or("-", |ok| if ok { "ok" } else { "failed" }).to_owned();
    let head = ["COMPONENT", "PROBE", "STATE", "LAST", "FAILURES"].map(str::to_owned).to_vec();
    let rows = probes.iter().map(|(component, probe)| {
        vec![
            (*component).to_owned(),
            probe.kind.clone(),
            probe.state.to_string(),
            last(probe),
            probe.failures.to_string(),
        ]
    });
    let mut text = format!("\n{}", output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    for (component, probe) in probes {
        if let Some(failure) = &probe.last_failure {
            // A command may have said several lines, and anything in them.
            let failure = failure.lines().map(clean).collect::<Vec<_>>().join("\n    ");
            text.push_str(&format!("  last failure of the {} probe of `{component}`: {failure}\n", probe.kind));
        }
    }
    text
}

fn dash() -> String {
    "-".to_owned()
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { dash() } else { clean(&words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::{CgroupStatus, ComponentStatus, Health, HealthState, PluginStatus, ProbeState, Stage};

    #[test]
    fn what_components_say_stays_on_its_line() {
        let told = "its readiness probe fails: \u{1b}[31mRED\nall is well\r".to_owned();
        let probe =
            ProbeStatus { kind: "readiness".to_owned(), last_failure: Some(told.clone()), ..ProbeStatus::default() };
        let status = Status {
            health: Health { state: HealthState::Unhealthy, reasons: vec![told.clone()] },
            components: vec![ComponentStatus {
                name: "app".to_owned(),
                probes: vec![probe],
                ..ComponentStatus::default()
            }],
            plugins: vec![PluginStatus { last_failure: Some(told.clone()), ..PluginStatus::default() }],
            warnings: vec![told],
            ..Status::default()
        };
        let text = text(&status);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.lines().all(|line| !line.starts_with("all is well")), "{text}");
        assert!(text.contains("fails: \\u{1b}[31mRED\\nall is well\\r"), "{text}");
    }

    #[test]
    fn a_status_reads_like_a_table() {
        let status = Status {
            pod: "calc".to_owned(),
            stage: Stage::Running,
            health: Health {
                state: HealthState::Degraded,
                reasons: vec!["component `app` is degraded: slow".to_owned()],
            },
            uptime_s: 3700,
            components: vec![ComponentStatus {
                name: "app".to_owned(),
                image: "acme/calc".to_owned(),
                state: "running".to_owned(),
                container_id: Some("0123456789abcdef".to_owned()),
                probes: vec![
                    ProbeStatus { kind: "startup".to_owned(), ..ProbeStatus::default() },
                    ProbeStatus {
                        kind: "liveness".to_owned(),
                        state: ProbeState::Succeeds,
                        last_ok: Some(false),
                        failures: 2,
                        last_failure: Some("`check` ended with 1: no\nroute".to_owned()),
                        ..ProbeStatus::default()
                    },
                ],
                ..ComponentStatus::default()
            }],
            plugins: vec![PluginStatus {
                name: "redact".to_owned(),
                version: "1.0.0".to_owned(),
                hooks: vec!["log-line".to_owned()],
                evicted: true,
                last_failure: Some("trap".to_owned()),
                ..PluginStatus::default()
            }],
            cgroups: Some(CgroupStatus {
                mode: "slice".to_owned(),
                parent: Some("outrigger-0123456789ab.slice".to_owned()),
                why: "systemd can be asked for a slice".to_owned(),
            }),
            ..Status::default()
        };
        let text = text(&status);
        assert!(
            text.contains("\ncgroups: slice, in `outrigger-0123456789ab.slice`: systemd can be asked for a slice\n"),
            "{text}"
        );
        assert!(
            text.starts_with("pod `calc`: running, degraded, up 1h1m\n  component `app` is degraded: slow\n"),
            "{text}"
        );
        assert!(text.contains("app        running  -       0         -     0123456789ab  acme/calc\n"), "{text}");
        let probes = "\nCOMPONENT  PROBE     STATE     LAST    FAILURES\n\
                      app        startup   pending   -       0\n\
                      app        liveness  succeeds  failed  2\n  \
                      last failure of the liveness probe of `app`: `check` ended with 1: no\n    route\n";
        assert!(text.contains(probes), "{text}");
        assert!(text.contains("redact (evicted)  1.0.0    0      0         0        log-line  -\n"), "{text}");
        assert!(text.contains("last failure of `redact`: trap"), "{text}");
    }
}
