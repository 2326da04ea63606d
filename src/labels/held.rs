//! Which paths a controller has from mounts, configs and secrets, by what a stack file or the engine says of its service or container.

use serde_json::Value;

/// Set by Swarm on the container of a task, whose configs and secrets the engine does not list.
const TASK: &str = "com.docker.swarm.task.id";

/// Those of a service of a stack file; none where this file alone does not tell all of them.
pub(super) fn of_service(service: &Value) -> Option<Vec<String>> {
    if ["extends", "volumes_from"].iter().any(|key| service.get(key).is_some()) {
        return None;
    }
    let mut held = Vec::new();
    for key in ["volumes", "tmpfs", "configs", "secrets"] {
        let items = match service.get(key) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(items)) => items.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        for item in items {
            let path = path_of(key, item)?;
            // Only whoever deploys the file knows the value of a variable.
            if item.as_str().unwrap_or(&path).contains('$') {
                return None;
            }
            held.push(path);
        }
    }
    Some(held)
}

/// The path in the container that one item of a service's `volumes`, `tmpfs`, `configs` or `secrets` has; none if the item names none.
#[must_use]
pub fn path_of(key: &str, item: &Value) -> Option<String> {
    let target = match item {
        Value::String(text) if key == "volumes" => text.split(':').nth(1).unwrap_or(text),
        Value::String(text) if key == "tmpfs" => text.split(':').next().unwrap_or(text),
        Value::String(name) => name,
        other => other.get("target").or_else(|| other.get("source"))?.as_str()?,
    };
    let folder = match key {
        "configs" => "/",
        "secrets" => "/run/secrets/",
        _ => "",
    };
    Some(absolute(target, folder))
}

/// The same from the engine's description of a container or a service.
pub(super) fn of_object(object: &Value) -> Option<Vec<String>> {
    if object.pointer("/Config/Labels").is_some_and(|labels| labels.get(TASK).is_some()) {
        return None;
    }
    let spec = object.pointer("/Spec/TaskTemplate/ContainerSpec");
    let targets = |list: Option<&Value>, path: &str, folder: &str| -> Vec<String> {
        let items = list.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.pointer(path)?.as_str()).map(|target| absolute(target, folder)).collect()
    };
    let mut held = targets(object.get("Mounts"), "/Destination", "");
    held.extend(
        object
            .pointer("/HostConfig/Tmpfs")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(path, _)| path.clone()),
    );
    let of = |key: &str| spec.and_then(|spec| spec.get(key));
    held.extend(targets(of("Mounts"), "/Target", ""));
    held.extend(targets(of("Configs"), "/File/Name", "/"));
    held.extend(targets(of("Secrets"), "/File/Name", "/run/secrets/"));
    Some(held)
}

fn absolute(target: &str, folder: &str) -> String {
    if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_has_what_is_mounted_and_given_to_it() {
        let service = json!({
            "volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro", "data:/data", "/cache", {"type": "bind", "source": "x", "target": "/x"}],
            "tmpfs": "/t:size=1m",
            "configs": ["plain", {"source": "a", "target": "/etc/a"}, {"source": "b"}, {"source": "c", "target": "conf/c"}],
            "secrets": ["key", {"source": "s", "target": "/s"}, {"source": "s", "target": "t"}]
        });
        let held = of_service(&service).unwrap();
        assert_eq!(
            held.join(" "),
            "/var/run/docker.sock /data /cache /x /t /plain /etc/a /b /conf/c /run/secrets/key /s /run/secrets/t"
        );
        assert_eq!(of_service(&json!({"image": "x"})), Some(Vec::new()));
        for unknown in [
            json!({"extends": {"service": "base"}}),
            json!({"volumes": ["${CONF}"]}),
            json!({"volumes": ["x:${CONF}/y"]}),
            json!({"configs": [{"source": "a", "target": "/etc/${NAME}"}]}),
            json!({"volumes": [5]}),
        ] {
            assert_eq!(of_service(&unknown), None, "{unknown}");
        }
    }

    #[test]
    fn an_engine_lists_all_but_a_tasks_configs() {
        let container =
            json!({"Config": {"Labels": {}}, "Mounts": [{"Destination": "/x"}], "HostConfig": {"Tmpfs": {"/t": ""}}});
        assert_eq!(of_object(&container), Some(vec!["/x".to_owned(), "/t".to_owned()]));
        assert_eq!(of_object(&json!({"Config": {"Labels": {TASK: "1"}}, "Mounts": []})), None);
        let service = json!({"Spec": {"TaskTemplate": {"ContainerSpec": {"Mounts": [{"Target": "/m"}],
            "Configs": [{"File": {"Name": "c"}}], "Secrets": [{"File": {"Name": "s"}}, {"File": {"Name": "/abs"}}]}}}});
        assert_eq!(of_object(&service).unwrap().join(" "), "/m /c /run/secrets/s /abs");
    }
}
