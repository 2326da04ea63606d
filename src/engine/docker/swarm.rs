//! What a manager of a Swarm tells: a service, its tasks, the nodes.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::TryStreamExt;
use serde_json::Value;

use super::fault::Call;
use super::{Docker, checked, refused};
use crate::engine::{ContainerId, Fault, Result};

impl Docker {
    /// See [`Engine::service_grace`](crate::engine::Engine::service_grace).
    pub(super) async fn grace_of(&self, service: &str) -> Result<Option<Duration>> {
        let name = checked(Call::InspectService, service)?;
        Ok(grace(&self.document(Call::InspectService, name, &format!("/services/{name}")).await?))
    }

    /// A document of JSON. bollard has no types for what only a Swarm knows, as this is built.
    async fn document(&self, call: Call, object: &str, path: &str) -> Result<Value> {
        let path = format!("{}{path}", self.shared.api.prefix());
        let body = self.raw(&ContainerId(object.to_owned()), path).try_collect::<BytesMut>();
        let body = self.within(call, object, self.look(), body).await?;
        serde_json::from_slice(&body)
            .map_err(|bad| refused(call, object, Fault::Permanent, format!("its answer can't be read: {bad}")))
    }
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
    fn a_services_grace_is_in_nanoseconds() {
        let service = |container: Value| json!({"ID": "x", "Spec": {"TaskTemplate": {"ContainerSpec": container}}});
        assert_eq!(grace(&service(json!({"StopGracePeriod": 40_000_000_000_u64}))), Some(Duration::from_secs(40)));
        assert_eq!(grace(&service(json!({"StopGracePeriod": 0}))), Some(Duration::ZERO));
        assert_eq!(grace(&service(json!({}))), None);
        assert_eq!(grace(&json!({"message": "This node is not a swarm manager."})), None);
    }
}
