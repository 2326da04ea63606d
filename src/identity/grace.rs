//! How long the controller may take to stop, where the engine was not told when it made the container.

use tracing::{debug, info};

use crate::engine::{Engine, Inspection, chain};
use crate::labels::STOP_GRACE_PERIOD;

/// Set by Swarm on the containers of its tasks.
const SERVICE_ID: &str = "com.docker.swarm.service.id";

/// The container with the grace period of its Swarm service, where no label hands it over and this engine is a manager. What the engine refuses (a worker, a proxy
/// that lets fewer calls through) changes nothing.
pub async fn with_grace<E: Engine>(engine: &E, mut own: Inspection) -> Inspection {
    let Some(service) = own.labels.get(SERVICE_ID) else { return own };
    if own.stop_timeout.is_some() || own.labels.contains_key(STOP_GRACE_PERIOD) {
        return own;
    }
    match engine.service_grace(service).await {
        Ok(grace) => {
            debug!(?grace, "the engine tells how long the service lets its tasks stop");
            own.stop_timeout = grace;
        }
        Err(error) => info!(
            error = chain(&error),
            "it is not known here how long the service lets its tasks stop: the label `{STOP_GRACE_PERIOD}` hands it over"
        ),
    }
    own
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::plan::SelfInfo;

    async fn known(engine: &FakeEngine, labels: &[(&str, &str)], stop_timeout: Option<u64>) -> Option<u64> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut own = SelfInfo::offline("web", labels).container;
        own.stop_timeout = stop_timeout.map(Duration::from_secs);
        with_grace(engine, own).await.stop_timeout.map(|grace| grace.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_task_without_the_label_is_asked_for() {
        let manager = FakeEngine::new().with_service("abc", Duration::from_secs(40));
        let task = (SERVICE_ID, "abc");
        assert_eq!(known(&manager, &[task], None).await, Some(40));
        assert_eq!(known(&manager, &[task], Some(7)).await, Some(7), "the engine's own stop waits so long");
        assert_eq!(known(&manager, &[task, (STOP_GRACE_PERIOD, "20s")], None).await, None);
        assert_eq!(known(&manager, &[], None).await, None);
        // A worker refuses.
        assert_eq!(known(&FakeEngine::new(), &[task], None).await, None);
    }
}
