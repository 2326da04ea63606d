//! `outrigger ps`: the pods of this engine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::argv::PsArgs;
use super::pods::{self, Pod};
use super::report::{Exit, Report};
use super::{Env, block_on, engine, output, time};
use crate::engine::EngineHealth;
use crate::pod::PodSpec;

/// A pod, as `--json` tells it. The names are part of the interface: see docs/commands.md.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    id: String,
    image: String,
    service: Option<String>,
    stack: Option<String>,
    running: bool,
    /// Of the last run, where it does not run.
    exit_code: Option<i32>,
    /// `starting`, `healthy`, `unhealthy`; none without a health check, and where it does not run.
    health: Option<&'static str>,
    components_up: usize,
    components: usize,
    /// By component: of its container, or of the labels if it has none.
    images: BTreeMap<String, String>,
    /// RFC 3339; none before the first start.
    started_at: Option<String>,
    age_s: Option<u64>,
}

/// Prints a table.
pub(super) fn run(args: &PsArgs, env: &Env) -> Result<Exit, Report> {
    let pods = block_on(async { pods::all(&engine(env).await?, args.all).await })?;
    let now = time::now_ns();
    let rows: Vec<Row> = pods.iter().map(|pod| row(pod, now)).collect();
    if args.json {
        output::json(&rows)?;
    } else {
        output::text(&text(&rows))?;
    }
    Ok(Exit::Success)
}

fn row(pod: &Pod, now_ns: i64) -> Row {
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
        exit_code: (!seen.running && !seen.started_at.is_empty()).then_some(seen.exit_code),
        health: seen.health.filter(|_| seen.running).map(health),
        components_up,
        components: pod.members().count().max(spec.components.len()),
        images,
        started_at: Some(seen.started_at.clone()).filter(|at| !at.is_empty()),
        age_s: age.map(|ns| ns / 1_000_000_000),
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
            (false, None, _) => "created".to_owned(),
        };
        vec![
            row.name.clone(),
            row.id.get(..12).unwrap_or(&row.id).to_owned(),
            dash(row.service.as_deref()),
            dash(row.stack.as_deref()),
            state,
            format!("{}/{}", row.components_up, row.components),
            row.age_s.map_or_else(|| dash(None), |age| time::short(Duration::from_secs(age))),
            row.images.iter().map(|(name, image)| format!("{name}={image}")).collect::<Vec<_>>().join(", "),
        ]
    }));
    output::table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ContainerId, Listed};
    use crate::plan::{SelfInfo, ownership};

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
        let row = row(&pod, 0);
        assert_eq!((row.components_up, row.components), (3, 3));
        let expected = "added=acme/added:4, app=acme/app:2, later=acme/later:3, moved=acme/moved:1\n";
        assert!(text(&[row]).ends_with(expected));
    }
}
