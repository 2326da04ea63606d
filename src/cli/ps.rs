//! `outrigger ps`: the pods of this engine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::argv::PsArgs;
use super::pods::{self, Orphan, Pod};
use super::report::{Exit, Report};
use super::{Env, block_on, engine, output, time};
use crate::engine::{Engine, EngineHealth, Fault, Inspection, Listed};
use crate::plan::ownership;
use crate::pod::PodSpec;
use crate::pod::life::RestartWhen;

/// A pod, as `--json` tells it. The names are part of the interface: see docs/commands.md.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    id: String,
    image: String,
    service: Option<String>,
    stack: Option<String>,
    running: bool,
    /// Whether the controller's container does not exist any more.
    orphaned: bool,
    /// Of the last run, where it does not run.
    exit_code: Option<i32>,
    /// `starting`, `healthy`, `unhealthy`; none without a health check, and where it does not run.
    health: Option<&'static str>,
    /// Components that run.
    components_up: usize,
    /// Components that have ended with success, and are not to be started again.
    components_done: usize,
    components: usize,
    /// By component: of its container, or of the labels if it has none.
    images: BTreeMap<String, String>,
    /// RFC 3339; none before the first start.
    started_at: Option<String>,
    age_s: Option<u64>,
}

/// Prints a table.
pub(super) fn run(args: &PsArgs, env: &Env) -> Result<Exit, Report> {
    let now = time::now_ns();
    let rows: Vec<Row> = block_on(async {
        let engine = engine(env).await?;
        let mut rows = Vec::new();
        for pod in pods::all(&engine, args.all).await? {
            rows.push(row(&pod, &ended(&engine, &pod).await?, now));
        }
        if args.all {
            rows.extend(pods::orphans(&engine).await?.iter().map(orphaned));
        }
        Ok::<_, Report>(rows)
    })?;
    if args.json {
        output::json(&rows)?;
    } else {
        output::text(&text(&rows))?;
    }
    Ok(Exit::Success)
}

/// The components of a running pod that do not run, by container: a list has no exit codes.
async fn ended<E: Engine>(engine: &E, pod: &Pod) -> Result<Vec<Inspection>, Report> {
    let mut ended = Vec::new();
    for container in pod.members().filter(|container| pod.controller.running && !container.running) {
        match engine.inspect(&container.id.0).await {
            Ok(seen) => ended.push(seen),
            Err(error) if error.fault() == Fault::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ended)
}

/// Whether a component's work is done: it has ended with success, and nothing starts it again.
fn is_done(spec: &PodSpec, seen: &Inspection) -> bool {
    let name = seen.labels.get(ownership::COMPONENT).map_or("", String::as_str);
    let written = spec.components.iter().find(|(component, _)| component.as_str() == name);
    let again = written.is_some_and(|(_, component)| component.restart.when == RestartWhen::Always);
    !seen.running && !seen.started_at.is_empty() && seen.exit_code == 0 && !again
}

fn row(pod: &Pod, ended: &[Inspection], now_ns: i64) -> Row {
    let seen = &pod.controller;
    let spec = pod.spec();
    let images = images(pod, &spec);
    let components_up = pod.members().filter(|container| container.running).count();
    let age = time::parse(&seen.started_at).and_then(|at| u64::try_from(now_ns.saturating_sub(at)).ok());
    Row {
        name: seen.name.clone(),
        id: seen.id.0.clone(),
        image: seen.image.clone(),
        service: pod.service().map(str::to_owned),
        stack: pod.stack().map(str::to_owned),
        running: seen.running,
        orphaned: false,
        exit_code: (!seen.running && !seen.started_at.is_empty()).then_some(seen.exit_code),
        health: seen.health.filter(|_| seen.running).map(health),
        components_up,
        components_done: ended.iter().filter(|seen| is_done(&spec, seen)).count(),
        components: pod.members().count().max(spec.components.len()),
        images,
        started_at: Some(seen.started_at.clone()).filter(|at| !at.is_empty()),
        age_s: age.map(|ns| ns / 1_000_000_000),
    }
}

/// What a controller that is gone has left.
fn orphaned(orphan: &Orphan) -> Row {
    let is_member = |container: &&Listed| container.labels.get(ownership::ROLE).is_none_or(|role| role == "component");
    let members: Vec<&Listed> = orphan.containers.iter().filter(is_member).collect();
    Row {
        name: orphan.name().to_owned(),
        id: orphan.owner.clone(),
        image: String::new(),
        service: None,
        stack: None,
        running: false,
        orphaned: true,
        exit_code: None,
        health: None,
        components_up: members.iter().filter(|container| container.running).count(),
        components_done: 0,
        components: members.len(),
        images: members.iter().map(|it| (Pod::component(it).to_owned(), it.image.clone())).collect(),
        started_at: None,
        age_s: None,
    }
}

/// The images of a pod's components.
fn images(pod: &Pod, spec: &PodSpec) -> BTreeMap<String, String> {
    let written = spec.components.iter().map(|(name, component)| (name.to_string(), component.image.clone()));
    let mut images: BTreeMap<String, String> = written.collect();
    for container in pod.members() {
        let name = Pod::component(container);
        // If the name of the image means another one by now, the engine lists an id: what was asked for says more.
        if !container.image.starts_with("sha256:") || !images.contains_key(name) {
            images.insert(name.to_owned(), container.image.clone());
        }
    }
    images
}

/// A word for the engine's health.
pub(super) fn health(health: EngineHealth) -> &'static str {
    match health {
        EngineHealth::Starting => "starting",
        EngineHealth::Healthy => "healthy",
        EngineHealth::Unhealthy => "unhealthy",
    }
}

fn text(rows: &[Row]) -> String {
    let mut table =
        vec![["POD", "ID", "SERVICE", "STACK", "HEALTH", "COMPONENTS", "AGE", "IMAGES"].map(str::to_owned).to_vec()];
    let dash = |value: Option<&str>| value.unwrap_or("-").to_owned();
    table.extend(rows.iter().map(|row| {
        let state = match (row.running, row.exit_code, row.health) {
            (true, _, health) => dash(health),
            (false, Some(code), _) => format!("exited ({code})"),
            (false, None, _) if row.orphaned => "orphaned".to_owned(),
            (false, None, _) => "created".to_owned(),
        };
        vec![
            row.name.clone(),
            row.id.get(..12).unwrap_or(&row.id).to_owned(),
            dash(row.service.as_deref()),
            dash(row.stack.as_deref()),
            state,
            match row.components_done {
                0 => format!("{}/{}", row.components_up, row.components),
                done => format!("{}/{} +{done} done", row.components_up, row.components.saturating_sub(done)),
            },
            row.age_s.map_or_else(|| dash(None), |age| time::short(Duration::from_secs(age))),
            row.images.iter().map(|(name, image)| format!("{name}={image}")).collect::<Vec<_>>().join(", "),
        ]
    }));
    output::table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::engine::{ContainerId, ContainerSpec};
    use crate::plan::SelfInfo;

    #[test]
    fn images_are_those_of_the_containers_and_else_those_asked_for() {
        let labels = [("app", "acme/app:2"), ("moved", "acme/moved:1"), ("later", "acme/later:3")];
        let labels = labels.map(|(name, image)| (format!("pod.component.{name}"), format!("image: {image}")));
        let made = |name: &str, image: &str, role: &str| Listed {
            id: ContainerId(name.to_owned()),
            name: format!("shop.podlike.{name}"),
            image: image.to_owned(),
            labels: [(ownership::COMPONENT, name), (ownership::ROLE, role)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            running: true,
            paused: false,
        };
        let pod = Pod {
            controller: SelfInfo::offline("shop", labels.into()).container,
            components: vec![
                made("app", "acme/app:2", "component"),
                made("moved", "sha256:0123", "component"),
                made("added", "acme/added:4", "component"),
                made("ipc", "outrigger", "ipc"),
            ],
        };
        let row = row(&pod, &[], 0);
        assert_eq!((row.components_up, row.components), (3, 3));
        let expected = "added=acme/added:4, app=acme/app:2, later=acme/later:3, moved=acme/moved:1\n";
        assert!(text(&[row]).ends_with(expected));
    }

    #[test]
    fn what_is_left_of_a_pod_is_orphaned() {
        let left = |name: &str, role: &str, running| Listed {
            id: ContainerId(name.to_owned()),
            name: format!("shop.podlike.{name}"),
            image: format!("acme/{name}"),
            labels: [(ownership::COMPONENT, name), (ownership::ROLE, role)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            running,
            paused: false,
        };
        let containers =
            vec![left("app", "component", true), left("ipc", "ipc", true), left("web", "component", false)];
        let text = text(&[orphaned(&Orphan { owner: "0123456789abcdef".to_owned(), containers })]);
        let line = text.lines().last().unwrap();
        let words: Vec<&str> = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        assert_eq!(words, ["shop", "0123456789ab", "-", "-", "orphaned", "1/2", "-", "app=acme/app, web=acme/web"]);
    }

    #[tokio::test]
    async fn a_component_whose_work_is_done_is_missing_nowhere() {
        let engine = FakeEngine::new();
        let depends = "{image: web, depends_on: {migrate: {condition: service_completed_successfully}}}";
        let labels = [
            ("pod.component.migrate", "image: migrate"),
            ("pod.component.web", depends),
            ("pod.component.loop", "{image: loop, restart: always}"),
            ("pod.component.bad", "{image: bad, essential: false}"),
        ];
        let labels = labels.map(|(label, text)| (label.to_owned(), text.to_owned()));
        let controller = SelfInfo::offline("shop", labels.into()).container;
        let ends = [("migrate", Some(0)), ("web", None), ("loop", Some(0)), ("bad", Some(3))];
        for (name, code) in ends {
            let mut spec = ContainerSpec::new(name, name);
            spec.labels =
                [(ownership::COMPONENT, name), (ownership::ROLE, "component"), (ownership::POD, &controller.id.0)]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into();
            let (id, _notes) = engine.create(&spec).await.unwrap();
            engine.start(&id).await.unwrap();
            if let Some(code) = code {
                engine.kill(name, code);
            }
        }
        let components = engine.list(&[ownership::POD.to_owned()]).await.unwrap();
        let pod = Pod { controller: Inspection { running: true, ..controller }, components };
        let row = row(&pod, &ended(&engine, &pod).await.unwrap(), 0);
        assert_eq!((row.components_up, row.components_done, row.components), (1, 1, 4));
        assert!(text(&[row]).contains("  1/3 +1 done  "));
        // What a stopped pod left is no success of a component.
        let stopped = Pod { controller: Inspection { running: false, ..pod.controller }, ..pod };
        assert!(ended(&engine, &stopped).await.unwrap().is_empty());
    }
}
