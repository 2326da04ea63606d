//! The replicas of a Swarm service on other nodes, as far as this engine is a manager and tells.

use std::collections::BTreeSet;

use anyhow::anyhow;

use super::Selection;
use crate::cli::output;
use crate::cli::report::Report;
use crate::engine::docker::{Docker, SwarmTask};

/// Notes on standard error where the other replicas of the service are that was named.
pub(in crate::cli) async fn others(engine: &Docker, selection: &Selection) {
    if selection.service.is_none() {
        return;
    }
    let services: BTreeSet<&str> = selection.pods.iter().filter_map(|pod| pod.swarm_service()).collect();
    let here: BTreeSet<&str> = selection.pods.iter().map(|pod| pod.controller.id.0.as_str()).collect();
    for service in services {
        // A worker is not told; then there is nothing to say.
        let tasks = engine.tasks(service).await.unwrap_or_default();
        let elsewhere = tasks.iter().filter(|task| task.container.as_deref().is_none_or(|id| !here.contains(id)));
        let elsewhere: Vec<String> = elsewhere.map(told).collect();
        if !elsewhere.is_empty() {
            output::notes(&[format!("other replicas of `{service}`: {}", elsewhere.join(", "))]);
        }
    }
}

/// The error for a word that names a service of the Swarm, or a replica, of which nothing is on this engine; none if it names neither.
pub(in crate::cli) async fn nowhere(engine: &Docker, wanted: &str) -> Option<Report> {
    let mut tasks = engine.tasks(wanted).await.unwrap_or_default();
    if tasks.is_empty() && engine.replicas(wanted).await.is_ok_and(|replicas| replicas == Some(0)) {
        return Some(
            Report::new(anyhow!("service `{wanted}` has 0 replicas"))
                .hint(format!("`docker service scale {wanted}=1` starts one")),
        );
    }
    if tasks.is_empty() {
        let (service, _replica) = wanted.rsplit_once('.')?;
        tasks = engine.tasks(service).await.ok()?;
        tasks.retain(|task| task.name == wanted);
    }
    if tasks.is_empty() {
        return None;
    }
    let places = tasks.iter().map(told).collect::<Vec<_>>().join(", ");
    let error = anyhow!("this engine has no pod of `{wanted}`; replicas elsewhere: {places}");
    Some(Report::new(error).hint("set `DOCKER_HOST` to the engine of that node, or run the command on that node"))
}

fn told(task: &SwarmTask) -> String {
    match &task.node {
        Some(node) => format!("`{}` on {node} ({})", task.name, task.state),
        None => format!("`{}` on no node ({})", task.name, task.state),
    }
}
