//! How long the controller may take to stop, if the container's configuration does not have it.

use tracing::{debug, info};

use crate::engine::{Engine, Inspection, chain};
use crate::labels::STOP_GRACE_PERIOD;

/// Set by Swarm on the containers of its tasks.
const SERVICE_ID: &str = "com.docker.swarm.service.id";

/// The container with the grace period of its Swarm service, if this engine is a manager. A label that hands the period over does not replace the question: who changes
/// the period of a service with `docker service update` does not change the label. What the engine refuses (a worker, a proxy that lets fewer calls through)
/// changes nothing.
pub async fn with_grace<E: Engine>(engine: &E, mut own: Inspection) -> Inspection {
    let Some(service) = own.labels.get(SERVICE_ID) else { return own };
    if own.stop_timeout.is_some() {
        return own;
    }
    let handed_over = own.labels.contains_key(STOP_GRACE_PERIOD);
    match engine.service_grace(service).await {
        Ok(grace) => {
            debug!(?grace, "the engine reported the service's `stop_grace_period`");
            own.stop_timeout = grace;
        }
        Err(error) if handed_over => {
            debug!(
                error = chain(&error),
                "this engine cannot report the service's `stop_grace_period`; the label `{STOP_GRACE_PERIOD}` counts"
            );
        }
        // Every task on a worker has this answer, also that of a service without a grace period of its own; `check` and `deploy` know whether a label is missing.
        Err(error) if error.is_no_manager() => {
            debug!("this engine is a worker, and only a manager knows the service's `stop_grace_period`");
        }
        Err(error) => info!(
            error = chain(&error),
            "this engine cannot report the service's `stop_grace_period`; set the label `{STOP_GRACE_PERIOD}` to the same value"
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
    async fn a_manager_is_asked_for_each_task() {
        let manager = FakeEngine::new().with_service("abc", Duration::from_secs(40));
        let task = (SERVICE_ID, "abc");
        assert_eq!(known(&manager, &[task], None).await, Some(40));
        assert_eq!(known(&manager, &[task], Some(7)).await, Some(7), "the engine's own stop waits so long");
        let label = (STOP_GRACE_PERIOD, "20s");
        assert_eq!(known(&manager, &[task, label], None).await, Some(40), "the service was updated, its label was not");
        assert_eq!(known(&manager, &[label], None).await, None, "no task of a service");
        assert_eq!(known(&manager, &[], None).await, None);
        // A worker refuses.
        assert_eq!(known(&FakeEngine::new(), &[task], None).await, None);
        assert_eq!(known(&FakeEngine::new(), &[task, label], None).await, None, "the label counts");
    }
}
