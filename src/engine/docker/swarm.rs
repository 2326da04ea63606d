//! What a manager of a Swarm tells: a service, its tasks, the nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::TryStreamExt;
use serde_json::Value;

use super::fault::Call;
use super::{Docker, checked, refused};
use crate::engine::{ContainerId, Fault, Result};

/// A task of a service that should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwarmTask {
    /// Service and slot, such as `web.2`; of a global service, the service and the node's id.
    pub name: String,
    /// Name of its node; none while it waits for one.
    pub node: Option<String>,
    /// As Swarm calls it: `running`, `starting`, `pending`, …
    pub state: String,
    /// Id of its container, once it has one.
    pub container: Option<String>,
}

impl Docker {
    /// The tasks of a service that should run, by name of the service; in the order of their names.
    ///
    /// # Errors
    /// Whatever is no manager refuses; [`Fault::NotFound`] for an unknown service.
    pub async fn tasks(&self, service: &str) -> Result<Vec<SwarmTask>> {
        let name = checked(Call::InspectService, service)?;
        let filters = format!("{{\"service\":[\"{name}\"],\"desired-state\":[\"running\"]}}");
        let filters = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
        let tasks = self.document(Call::InspectService, name, &format!("/tasks?filters={filters}")).await?;
        let nodes = self.document(Call::InspectService, name, "/nodes").await?;
        Ok(tasks_of(name, &tasks, &nodes))
    }

    /// How many replicas a service should have; none for a service that has one on each node.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub async fn replicas(&self, service: &str) -> Result<Option<u64>> {
        Ok(replicas(&self.service(service).await?))
    }

    /// The names of containers that run and publish this port of the host.
    ///
    /// # Errors
    /// [`EngineError`](crate::engine::EngineError).
    pub async fn publishing(&self, port: u16) -> Result<Vec<String>> {
        let filters = format!("{{\"publish\":[\"{port}\"]}}");
        let filters = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
        let found = self.document(Call::List, "the port", &format!("/containers/json?filters={filters}")).await?;
        Ok(names(&found))
    }

    /// Whether a service has replicas that should run, or may get one: one that runs on every node may.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub async fn is_wanted(&self, service: &str) -> Result<bool> {
        Ok(wanted(&self.service(service).await?))
    }

    /// See [`Engine::service_grace`](crate::engine::Engine::service_grace).
    pub(super) async fn grace_of(&self, service: &str) -> Result<Option<Duration>> {
        Ok(grace(&self.service(service).await?))
    }

    /// A service as Swarm describes it.
    async fn service(&self, service: &str) -> Result<Value> {
        let name = checked(Call::InspectService, service)?;
        self.document(Call::InspectService, name, &format!("/services/{name}")).await
    }

    /// A document of JSON. bollard has no types for what only a Swarm knows, as this is built.
    async fn document(&self, call: Call, object: &str, path: &str) -> Result<Value> {
        let path = format!("{}{path}", self.shared.api.prefix());
        let body = self.raw(&ContainerId(object.to_owned()), path).try_collect::<BytesMut>();
        let body = self.within(call, object, self.look(), body).await?;
        serde_json::from_slice(&body)
            .map_err(|bad| refused(call, object, Fault::Permanent, format!("cannot parse the engine's answer: {bad}")))
    }
}

fn wanted(service: &Value) -> bool {
    let Some(mode) = service.pointer("/Spec/Mode") else { return false };
    mode.get("Global").is_some() || mode.pointer("/Replicated/Replicas").and_then(Value::as_u64).is_some_and(|n| n > 0)
}

fn tasks_of(service: &str, tasks: &Value, nodes: &Value) -> Vec<SwarmTask> {
    let text = |value: &Value, path: &str| {
        value.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let nodes: BTreeMap<String, String> = nodes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| Some((text(node, "/ID")?, text(node, "/Description/Hostname")?)))
        .collect();
    let of = |task: &Value| {
        let node = text(task, "/NodeID");
        let slot = match task.get("Slot").and_then(Value::as_u64).filter(|slot| *slot > 0) {
            Some(slot) => slot.to_string(),
            None => node.clone().unwrap_or_default(),
        };
        SwarmTask {
            name: format!("{service}.{slot}"),
            node: node.map(|id| nodes.get(&id).cloned().unwrap_or(id)),
            state: text(task, "/Status/State").unwrap_or_else(|| "new".to_owned()),
            container: text(task, "/Status/ContainerStatus/ContainerID"),
        }
    };
    let mut tasks: Vec<SwarmTask> = tasks.as_array().into_iter().flatten().map(of).collect();
    tasks.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    tasks
}

/// How many replicas a service should have.
fn replicas(service: &Value) -> Option<u64> {
    service.pointer("/Spec/Mode/Replicated/Replicas").and_then(Value::as_u64)
}

/// The names in a list of containers.
fn names(containers: &Value) -> Vec<String> {
    let first = |container: &Value| Some(container.pointer("/Names/0")?.as_str()?.trim_start_matches('/').to_owned());
    containers.as_array().into_iter().flatten().filter_map(first).collect()
}

/// The grace period of a service as the engine describes it.
fn grace(service: &Value) -> Option<Duration> {
    let nanos = service.pointer("/Spec/TaskTemplate/ContainerSpec/StopGracePeriod").and_then(Value::as_u64)?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tasks_have_the_name_of_their_slot_and_their_node() {
        let nodes = json!([{"ID": "n1", "Description": {"Hostname": "one"}}]);
        let running = json!({"State": "running", "ContainerStatus": {"ContainerID": "c2"}});
        let tasks = json!([
            {"Slot": 10, "NodeID": "n2", "Status": {"State": "starting"}},
            {"Slot": 2, "NodeID": "n1", "Status": running},
            {"Slot": 3, "NodeID": "", "Status": {"State": "pending", "ContainerStatus": {"ContainerID": ""}}},
            {"NodeID": "n1", "Status": {"State": "running"}},
        ]);
        let task = |name: &str, node: Option<&str>, state: &str, container: Option<&str>| SwarmTask {
            name: name.to_owned(),
            node: node.map(str::to_owned),
            state: state.to_owned(),
            container: container.map(str::to_owned),
        };
        assert_eq!(
            tasks_of("web", &tasks, &nodes),
            [
                task("web.2", Some("one"), "running", Some("c2")),
                task("web.3", None, "pending", None),
                task("web.10", Some("n2"), "starting", None),
                task("web.n1", Some("one"), "running", None),
            ]
        );
    }

    #[test]
    fn replicas_and_names_are_read() {
        assert_eq!(replicas(&json!({"Spec": {"Mode": {"Replicated": {"Replicas": 0}}}})), Some(0));
        assert_eq!(replicas(&json!({"Spec": {"Mode": {"Global": {}}}})), None);
        assert_eq!(names(&json!([{"Names": ["/web", "/other/web"]}, {"Names": []}])), ["web"]);
        assert!(names(&json!({"message": "no"})).is_empty());
    }

    #[test]
    fn a_service_is_wanted_as_long_as_it_has_replicas() {
        let of = |mode: Value| wanted(&json!({"Spec": {"Mode": mode}}));
        assert!(of(json!({"Replicated": {"Replicas": 1}})) && of(json!({"Global": {}})));
        assert!(!of(json!({"Replicated": {"Replicas": 0}})) && !of(json!({"ReplicatedJob": {"TotalCompletions": 1}})));
        assert!(!wanted(&json!({"message": "this node is not a swarm manager"})));
    }

    #[test]
    fn a_services_grace_is_in_nanoseconds() {
        let service = |container: Value| json!({"ID": "x", "Spec": {"TaskTemplate": {"ContainerSpec": container}}});
        assert_eq!(grace(&service(json!({"StopGracePeriod": 40_000_000_000_u64}))), Some(Duration::from_secs(40)));
        assert_eq!(grace(&service(json!({"StopGracePeriod": 0}))), Some(Duration::ZERO));
        assert_eq!(grace(&service(json!({}))), None);
        assert_eq!(grace(&json!({"message": "This node is not a swarm manager."})), None);
    }
}
