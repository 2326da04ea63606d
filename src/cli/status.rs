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
use crate::engine::{ContainerId, Engine, EngineError, Inspection};
use crate::plan::render::{clean, one_line};
use crate::pod::life::ExecCommand;

/// For the command in the controller's container.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer, in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// In the words of a command that has got no answer from the controller in time.
const SILENT: &str = "the controller did not answer";

/// Prints the status of a pod, or of every replica of a service.
pub(super) fn run(args: StatusArgs, env: &Env) -> Result<Exit, Report> {
    block_on(async {
        let socket = admin::socket(&state_dir_of(args.state_dir.as_deref(), env));
        let here = args.state_dir.is_some() || socket.exists() || inside();
        if args.container.is_none() && args.pod.is_none() && here {
            show(&admin::ask(&socket, "status").await?, None, args.json)?;
            return Ok(Exit::Success);
        }
        let engine = engine(env).await?;
        if let Some(name) = &args.container {
            let found = engine.inspect(name).await?;
            if !found.running {
                let hint = format!("`docker logs {name}` shows why");
                return Err(Report::new(anyhow!("container `{name}` is not running")).hint(hint));
            }
            show(&ask(&engine, &found.id).await?, Some(&found.name), args.json)?;
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
            let name = pod.controller.name.clone();
            let asked = async { ask(&engine, &pod.running(&engine).await?).await }.await;
            match asked {
                Ok(text) => show(&text, Some(&name), args.json)?,
                Err(report) => failed = Some(failed.map_or(report, |first: Report| first)),
            }
        }
        failed.map_or(Ok(Exit::Success), Err)
    })
}

/// Prints what a controller has answered. It knows the name that its container had when it started; `name` is the present one, if the engine was asked.
fn show(answer: &str, name: Option<&str>, as_json: bool) -> Result<(), Report> {
    let status = named(answer, name)?;
    if as_json { output::json(&status) } else { output::text(&text(&status)) }
}

fn named(answer: &str, name: Option<&str>) -> Result<Status, Report> {
    let status: Status = serde_json::from_str(answer).context("cannot parse the controller's answer")?;
    Ok(match name {
        Some(name) => Status { pod: name.to_owned(), ..status },
        None => status,
    })
}

/// Whether this is a controller's container: there, other controllers of the engine are nobody's business, also before the socket is open.
pub(super) fn inside() -> bool {
    Path::new("/.dockerenv").exists() && std::env::current_exe().is_ok_and(|program| program == Path::new("/outrigger"))
}

/// What the controller in this container answers, asked for with a command there.
pub(super) async fn ask<E: Engine>(engine: &E, id: &ContainerId) -> Result<String, Report> {
    let argv = ["/outrigger", "status", "--json"].map(str::to_owned);
    let done = match engine.exec(id, &ExecCommand::new(argv), PATIENCE, LONGEST).await {
        Ok(done) => done,
        Err(error) => {
            let seen = engine.inspect(&id.0).await.ok();
            return Err(unanswered(error, seen.as_ref()));
        }
    };
    if done.exit_code != 0 {
        // The engine tells on standard output that it could not run the command.
        let told = String::from_utf8_lossy(if done.stderr.is_empty() { &done.stdout } else { &done.stderr });
        let told = if told.trim().is_empty() { String::new() } else { format!(": {}", told.trim()) };
        let error = anyhow!("`/outrigger status` in container {id} exited with code {}{told}", done.exit_code);
        let name = engine.inspect(&id.0).await.map_or_else(|_| id.to_string(), |seen| seen.name);
        return Err(Report::new(error).hint(if told.contains(SILENT) {
            silent(&name)
        } else {
            "check that this is the controller's container of a pod".to_owned()
        }));
    }
    if done.truncated {
        return Err(Report::new(anyhow!("the status in container {id} is longer than {LONGEST} bytes")));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Why a command in the controller's container has no result.
fn unanswered(error: EngineError, seen: Option<&Inspection>) -> Report {
    match (error, seen) {
        (_, Some(seen)) if seen.paused => Report::new(anyhow!("the controller of pod `{}` is paused", seen.name))
            .hint(format!("`docker unpause {}` lets it go on", seen.name)),
        (error @ EngineError::Timeout { .. }, Some(seen)) => Report::new(error).hint(silent(&seen.name)),
        (error, _) => error.into(),
    }
}

/// What helps if a controller runs and does not answer.
fn silent(name: &str) -> String {
    format!(
        "a signal may have stopped the controller (`docker kill --signal CONT {name}` lets it go on), or the machine is overloaded (`docker stats` shows the load)"
    )
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
        text.push_str(&format!("  {}\n", line(reason)));
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
                match component.exit_code {
                    Some(code) if component.oom_killed => format!("{code} (out of memory)"),
                    Some(code) => code.to_string(),
                    None => dash(),
                },
                component.container_id.as_ref().map_or_else(dash, |id| ContainerId(id.clone()).short().to_owned()),
                clean(&component.image),
            ]
        });
        text.push('\n');
        text.push_str(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    }
    text.push_str(&probes(status));
    text.push_str(&verdicts(status));
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
                text.push_str(&format!("  last failure of `{}`: {}\n", plugin.name, line(failure)));
            }
        }
    }
    let logs = status.logs;
    text.push_str(&format!(
        "\nlines: {} read, {} written, {} filtered, {} dropped\n",
        logs.read, logs.written, logs.filtered, logs.dropped
    ));
    if logs.cut > 0 {
        text.push_str(&format!("warning: reading the output of {} runs timed out before its end\n", logs.cut));
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
        text.push_str(&format!("{}\n", line(&told)));
    }
    for warning in &status.warnings {
        text.push_str(&format!("warning: {}\n", line(warning)));
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
            text.push_str(&format!("  last failure of the {} probe of `{component}`: {}\n", probe.kind, line(failure)));
        }
    }
    text
}

/// The verdicts behind the health; empty where nothing judges.
fn verdicts(status: &Status) -> String {
    if status.verdicts.is_empty() {
        return String::new();
    }
    let head = ["CHECK", "SUBJECT", "KIND", "STATUS", "SINCE", "REASON"].map(str::to_owned).to_vec();
    let rows = status.verdicts.iter().map(|verdict| {
        vec![
            clean(&verdict.check),
            verdict.subject.as_ref().map_or_else(|| "(pod)".to_owned(), |name| clean(name)),
            clean(&verdict.kind),
            verdict.status.to_string(),
            time::seconds(i64::try_from(verdict.since).unwrap_or_default().saturating_mul(1_000_000_000)),
            line(&verdict.reason),
        ]
    });
    format!("\n{}", output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
}

/// What others said, in one line: a command may have printed several, and anything in them.
fn line(text: &str) -> String {
    clean(&one_line(text))
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
    use crate::admin::status::{
        CgroupStatus, ComponentStatus, Health, HealthState, PluginStatus, ProbeState, Stage, Verdict,
    };

    #[test]
    fn a_controller_that_cannot_answer_comes_with_the_remedy() {
        let timeout = || EngineError::Timeout { verb: "exec", object: "`ab`".to_owned(), after: PATIENCE };
        let seen = crate::plan::SelfInfo::offline("shop", std::collections::BTreeMap::new()).container;
        let paused = Inspection { paused: true, ..seen.clone() };
        let told = unanswered(timeout(), Some(&paused)).text(false);
        assert!(
            told.contains("the controller of pod `shop` is paused") && told.contains("`docker unpause shop`"),
            "{told}"
        );
        let told = unanswered(timeout(), Some(&seen)).text(false);
        assert!(told.contains("`docker kill --signal CONT shop`") && told.contains("overloaded"), "{told}");
        // The controller's own words, in its container.
        let error = admin::AdminError::Timeout { path: "/run/x".into(), after: PATIENCE };
        assert!(error.to_string().contains(SILENT), "{error}");
    }

    #[test]
    fn the_present_name_of_the_pod_is_shown() {
        let answer = serde_json::to_string(&Status { pod: "old".to_owned(), ..Status::default() }).unwrap();
        assert!(text(&named(&answer, Some("new")).unwrap()).starts_with("pod `new`: "));
        assert!(
            text(&named(&answer, None).unwrap()).starts_with("pod `old`: "),
            "in its own container nobody asks the engine"
        );
    }

    #[test]
    fn what_components_say_stays_on_its_line() {
        let told = "the readiness probe fails: \u{1b}[31mRED\nall is well\r".to_owned();
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
        assert!(text.contains("fails: \\u{1b}[31mRED; all is well\n"), "{text}");
    }

    #[test]
    fn each_verdict_has_its_reason_and_its_time() {
        let verdict = |check: &str, subject: Option<&str>| Verdict {
            check: check.to_owned(),
            subject: subject.map(str::to_owned),
            kind: "health".to_owned(),
            status: HealthState::Unhealthy,
            reason: "no\nroute".to_owned(),
            since: 60,
        };
        let verdicts = vec![verdict("engine", Some("app")), verdict("plugin mesh", None)];
        let text = text(&Status { verdicts, ..Status::default() });
        assert!(text.contains("CHECK        SUBJECT  KIND    STATUS     SINCE"), "{text}");
        let at = time::seconds(60_000_000_000);
        assert!(text.contains(&format!("engine       app      health  unhealthy  {at}  no; route\n")), "{text}");
        assert!(text.contains(&format!("plugin mesh  (pod)    health  unhealthy  {at}  no; route\n")), "{text}");
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
                        last_failure: Some("`check` exited with code 1: no\nroute".to_owned()),
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
                why: "systemd can create a slice".to_owned(),
            }),
            ..Status::default()
        };
        let text = text(&status);
        assert!(
            text.contains("\ncgroups: slice, in `outrigger-0123456789ab.slice`: systemd can create a slice\n"),
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
                      last failure of the liveness probe of `app`: `check` exited with code 1: no; route\n";
        assert!(text.contains(probes), "{text}");
        assert!(text.contains("redact (evicted)  1.0.0    0      0         0        log-line  -\n"), "{text}");
        assert!(text.contains("last failure of `redact`: trap"), "{text}");
    }
}
