//! Variables of a service whose values have Swarm's placeholders, such as `{{.Task.Slot}}`. Swarm replaces a placeholder in the environment of the controller, and in no label. So
//! the label of a component has the variable without a value, and the component gets the controller's.

use serde_json::{Map, Value};

use super::merge::pairs;
use crate::labels::placeholders;

/// Takes the values away that the controller, `pod`, has for the same variables.
pub fn expanded(pod: &Map<String, Value>, labels: &mut Map<String, Value>) {
    let own = match pod.get("environment") {
        Some(Value::Object(map)) => map.clone(),
        Some(Value::Array(list)) => pairs("environment", list).unwrap_or_default(),
        _ => return,
    };
    let is_inherited = |name: &str, value: &Value| {
        value.as_str().is_some_and(|text| placeholders::first(text).is_some()) && own.get(name) == Some(value)
    };
    for (label, body) in labels {
        let bodies = match body {
            body @ Value::Object(_) if label.starts_with("pod.component.") => std::slice::from_mut(body),
            Value::Array(list) if label == "pod.init.components" => list.as_mut_slice(),
            _ => continue,
        };
        for environment in bodies.iter_mut().filter_map(|body| body.get_mut("environment")) {
            match environment {
                Value::Object(map) => {
                    map.iter_mut().filter(|(name, value)| is_inherited(name, value)).for_each(|(_, value)| {
                        *value = Value::Null;
                    });
                }
                Value::Array(list) => {
                    for item in list {
                        let written = item.as_str().and_then(|text| text.split_once('='));
                        if let Some((name, value)) = written
                            && is_inherited(name, &Value::from(value))
                        {
                            *item = Value::from(name);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_component_inherits_the_values_that_swarm_replaces() {
        let pod = json!({"environment": {"SLOT": "{{.Task.Slot}}", "NAME": "web-{{.Node.Hostname}}", "LEVEL": "info"}});
        let mut labels = json!({
            "pod.component.app": {"environment": {"SLOT": "{{.Task.Slot}}", "NAME": "web-{{.Node.Hostname}}", "LEVEL": "info"}},
            "pod.component.log": {"environment": ["SLOT={{.Task.Slot}}", "NAME={{.Task.Name}}", "LEVEL=info"]},
            "pod.init.components": [{"environment": {"SLOT": "{{.Task.Slot}}"}}, {"image": "i"}],
            "pod.copy.app": {"environment": "{{.Task.Slot}}"},
        });
        let list = json!({"environment": ["SLOT={{.Task.Slot}}", "NAME=web-{{.Node.Hostname}}", "LEVEL=info"]});
        let mut same = labels.clone();
        expanded(list.as_object().unwrap(), same.as_object_mut().unwrap());
        expanded(pod.as_object().unwrap(), labels.as_object_mut().unwrap());
        assert_eq!(labels, same, "a list means the same");
        let expected = json!({
            "pod.component.app": {"environment": {"SLOT": null, "NAME": null, "LEVEL": "info"}},
            // The controller has another value of `NAME`.
            "pod.component.log": {"environment": ["SLOT", "NAME={{.Task.Name}}", "LEVEL=info"]},
            "pod.init.components": [{"environment": {"SLOT": null}}, {"image": "i"}],
            "pod.copy.app": {"environment": "{{.Task.Slot}}"},
        });
        assert_eq!(labels, expected);
        let mut alone = json!({"pod.component.app": {"environment": {"SLOT": "{{.Task.Slot}}"}}});
        expanded(&Map::new(), alone.as_object_mut().unwrap());
        assert_eq!(alone["pod.component.app"]["environment"]["SLOT"], "{{.Task.Slot}}", "nothing to inherit");
    }
}
