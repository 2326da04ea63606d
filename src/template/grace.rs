//! Hands the grace period of a service over to its pod: Swarm passes it with its call to stop, so that a container never learns of it.

use serde_json::{Value, json};

use crate::labels::STOP_GRACE_PERIOD;

/// Adds the label `pod.stop_grace_period` to a service that is a pod and has a `stop_grace_period`, unless it has the label. Variables stay as they are: docker
/// replaces them in labels, too.
pub fn hand_over(service: &mut Value) {
    let Some(grace) = service.get("stop_grace_period").and_then(Value::as_str).map(str::to_owned) else { return };
    if !is_pod(service) || grace.is_empty() {
        return;
    }
    match service.get_mut("labels") {
        Some(Value::Object(labels)) => {
            labels.entry(STOP_GRACE_PERIOD).or_insert(json!(grace));
        }
        Some(Value::Array(labels)) => {
            let is_ours = |label: &Value| label.as_str().is_some_and(|label| name(label) == STOP_GRACE_PERIOD);
            if !labels.iter().any(is_ours) {
                labels.push(json!(format!("{STOP_GRACE_PERIOD}={grace}")));
            }
        }
        _ => {}
    }
}

/// Whether a service of a stack file has `pod.*` labels.
#[must_use]
pub fn is_pod(service: &Value) -> bool {
    match service.get("labels") {
        Some(Value::Object(map)) => map.keys().any(|label| label.starts_with("pod.")),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(|label| label.starts_with("pod.")),
        _ => false,
    }
}

fn name(label: &str) -> &str {
    label.split_once('=').map_or(label, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(mut service: Value) -> Value {
        hand_over(&mut service);
        service["labels"].take()
    }

    #[test]
    fn pods_get_the_label_and_nobody_else() {
        let grace = "${GRACE:-40s}";
        let app = json!({"pod.component.app": "image: a"});
        let both = json!({"pod.component.app": "image: a", "pod.stop_grace_period": grace});
        assert_eq!(handed(json!({"labels": app, "stop_grace_period": grace})), both);
        assert_eq!(handed(json!({"labels": both, "stop_grace_period": "1m"})), both, "what is written stays");
        assert_eq!(handed(json!({"labels": app})), app, "nothing to hand over");
        assert_eq!(handed(json!({"labels": {"team": "x"}, "stop_grace_period": "40s"})), json!({"team": "x"}));
        assert_eq!(handed(json!({"stop_grace_period": "40s"})), Value::Null);
        let list = json!(["pod.component.app=image: a"]);
        let longer = json!(["pod.component.app=image: a", "pod.stop_grace_period=40s"]);
        assert_eq!(handed(json!({"labels": list, "stop_grace_period": "40s"})), longer);
        assert_eq!(handed(json!({"labels": longer, "stop_grace_period": "1m"})), longer);
    }
}
