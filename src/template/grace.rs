//! The grace period of a service that is a pod. Swarm passes it with its call to stop, so that a container never learns of it: a label hands it over. If a template has
//! made the pod, the time that was written is the application's, and the controller, which stops it and needs some time itself, gets more.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::interpolate::replaced;
use crate::config::Timeouts;
use crate::labels::STOP_GRACE_PERIOD;
use crate::pod::values::{duration, format_duration};

/// The key of the service.
const KEY: &str = "stop_grace_period";

/// The variable of the controller that has the same as its `--timeout`.
const TIMEOUTS: &str = "OUTRIGGER_TIMEOUTS";

/// A service whose grace period a variable decides: its value is the application's, and the controller's is not known before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The name of the service.
    pub service: String,
    /// What is written, for the application.
    pub written: String,
    /// What the controller needs besides.
    pub reserve: Duration,
}

impl Open {
    /// Replaces the variable, as docker does, and adds the reserve. What is no duration stays, for docker.
    pub fn fill(&self, stack: &mut Value, variable: &dyn Fn(&str) -> Option<String>) {
        let Some(longer) = replaced(&self.written, variable).ok().and_then(|text| longer(&text, self.reserve)) else {
            return;
        };
        let service = stack.get_mut("services").and_then(|services| services.get_mut(&self.service));
        let Some(service) = service.and_then(Value::as_object_mut) else { return };
        let labels = service.get_mut("labels").and_then(Value::as_object_mut);
        if let Some(label) = labels.and_then(|labels| labels.get_mut(STOP_GRACE_PERIOD))
            && label.as_str() == Some(&self.written)
        {
            *label = longer.clone().into();
        }
        service.insert(KEY.to_owned(), longer.into());
    }
}

/// Gives a pod that has its service's grace period the controller's reserve in addition, so that the application has as long as its author wrote. Answers the
/// service if only a variable has the time.
pub fn raise(name: &str, pod: &mut Map<String, Value>, service: &Map<String, Value>) -> Option<Open> {
    let written = service.get(KEY)?.as_str()?;
    // One of its own a template knows best.
    if pod.get(KEY).and_then(Value::as_str) != Some(written) || written.is_empty() {
        return None;
    }
    let reserve = reserve(pod);
    if written.contains('$') {
        return Some(Open { service: name.to_owned(), written: written.to_owned(), reserve });
    }
    if let Some(longer) = longer(written, reserve) {
        pod.insert(KEY.to_owned(), longer.into());
    }
    None
}

/// In whole seconds, rounded up: Swarm passes no parts of one.
fn longer(written: &str, reserve: Duration) -> Option<String> {
    let whole = duration(written).ok()?.saturating_add(reserve);
    Some(format_duration(Duration::from_secs(whole.as_secs().saturating_add(u64::from(whole.subsec_nanos() > 0)))))
}

/// `stop-reserve` of the controller's flags, or else of its environment, or the default.
fn reserve(pod: &Map<String, Value>) -> Duration {
    let of = |text: &str| text.trim().strip_prefix("stop-reserve=").and_then(|value| duration(value).ok());
    let words: Vec<String> = match pod.get("command") {
        Some(Value::String(line)) => shell_words::split(line).unwrap_or_default(),
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let mut flagged = None;
    let mut words = words.iter().map(|word| word.trim_start_matches('-'));
    while let Some(word) = words.next() {
        let value = if word == "timeout" { words.next() } else { word.strip_prefix("timeout=") };
        flagged = value.and_then(of).or(flagged);
    }
    let listed = || match pod.get("environment")? {
        Value::Object(map) => map.get(TIMEOUTS)?.as_str().map(str::to_owned),
        Value::Array(list) => {
            let mut items = list.iter().filter_map(Value::as_str);
            items.find_map(|item| Some(item.strip_prefix(TIMEOUTS)?.strip_prefix('=')?.to_owned()))
        }
        _ => None,
    };
    let from_environment = || listed()?.split(',').filter_map(of).next_back();
    flagged.or_else(from_environment).unwrap_or(Timeouts::default().stop_reserve)
}

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

    fn raised(pod: Value, written: &str) -> (Value, Option<Open>) {
        let service = json!({"stop_grace_period": written, "image": "a"});
        let mut pod = pod.as_object().unwrap().clone();
        let open = raise("web", &mut pod, service.as_object().unwrap());
        (pod["stop_grace_period"].take(), open)
    }

    #[test]
    fn the_controller_gets_the_applications_time_and_its_own() {
        let of = |written: &str, more: Value| {
            let mut pod = json!({"stop_grace_period": written});
            pod.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            raised(pod, written).0
        };
        for (written, longer) in [("15s", "17s"), ("15500ms", "17s"), ("1m", "62s"), ("0s", "2s"), ("soon", "soon")] {
            assert_eq!(of(written, json!({})), longer, "{written}");
        }
        for (more, longer) in [
            (json!({"command": "-logs --timeout stop-reserve=4s"}), "19s"),
            (json!({"command": ["-timeout=stop-reserve=1s", "--timeout", "hook=1s"]}), "16s"),
            (json!({"command": "--timeout stop-reserve=4s -timeout=stop-reserve=1s"}), "16s"),
            (json!({"environment": {"OUTRIGGER_TIMEOUTS": "hook=1s, stop-reserve=3s"}}), "18s"),
            (json!({"environment": ["A=b", "OUTRIGGER_TIMEOUTS=stop-reserve=0"]}), "15s"),
            (
                json!({"command": "-timeout stop-reserve=4s", "environment": ["OUTRIGGER_TIMEOUTS=stop-reserve=0"]}),
                "19s",
            ),
        ] {
            assert_eq!(of("15s", more.clone()), longer, "{more}");
        }
        assert_eq!(raised(json!({"stop_grace_period": "20s"}), "15s").0, "20s", "a template has set it");
    }

    #[test]
    fn a_variable_is_raised_once_its_value_is_known() {
        let written = "${GRACE:-15s}";
        let (kept, open) = raised(json!({"stop_grace_period": written}), written);
        assert_eq!(kept, written);
        let open = open.unwrap();
        let filled = |value: Option<&str>| {
            let labels = json!({"pod.stop_grace_period": written});
            let mut stack = json!({"services": {"web": {"stop_grace_period": written, "labels": labels}}});
            open.fill(&mut stack, &|_| value.map(str::to_owned));
            let web = &stack["services"]["web"];
            [&web["stop_grace_period"], &web["labels"]["pod.stop_grace_period"]]
                .map(|it| it.as_str().unwrap().to_owned())
        };
        assert_eq!(filled(None), ["17s", "17s"]);
        assert_eq!(filled(Some("40s")), ["42s", "42s"]);
        assert_eq!(filled(Some("soon")), [written, written], "docker refuses it");
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
