//! What a stack file, or the engine, says of the service that a controller runs as.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Place, STOP_GRACE_PERIOD};
use crate::problem::Problems;

/// Where the controller looks for the engine where nobody says otherwise; `/var/run` is a link in most images.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// The grace period of a service for which none was given, in nanoseconds: the pod's own default, too.
const SWARMS_GRACE: &str = "10000000000ns";

/// What the names of images of a controller have in them.
const CONTROLLERS: [&str; 2] = ["outrigger", "podlike"];

/// What a stack file says of the service's own container, which is the controller's.
/// `declared` are the volumes of the file.
pub(super) fn settings(service: &Value, declared: Option<&Value>) -> Map<String, Value> {
    known([
        ("stop_grace_period", written(service.get("stop_grace_period"))),
        // Swarm knows the one, Compose both.
        ("mem_limit", written(service.pointer("/deploy/resources/limits/memory").or_else(|| service.get("mem_limit")))),
        ("flags", service.get("command").and_then(flags)),
        ("environment", service.get("environment").and_then(environment)),
        ("volumes", service.get("volumes").map(|volumes| made(mounts(volumes), declared))),
        ("image", written(service.get("image"))),
    ])
}

/// The same from the engine's description of a container or a service.
pub(super) fn engine_settings(object: &Value) -> Map<String, Value> {
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).filter(|number| *number > 0);
    let grace = number("/Config/StopTimeout").map(|seconds| format!("{seconds}s"));
    let grace = grace.or_else(|| Some(format!("{}ns", number("/Spec/TaskTemplate/ContainerSpec/StopGracePeriod")?)));
    let memory = number("/HostConfig/Memory").or_else(|| number("/Spec/TaskTemplate/Resources/Limits/MemoryBytes"));
    let one_of =
        |paths: [&str; 2]| paths.into_iter().find_map(|path| object.pointer(path)).filter(|value| !value.is_null());
    known([
        ("stop_grace_period", grace.map(Value::from)),
        ("mem_limit", memory.map(Value::from)),
        ("flags", one_of(["/Config/Cmd", "/Spec/TaskTemplate/ContainerSpec/Args"]).and_then(flags)),
        ("environment", one_of(["/Config/Env", "/Spec/TaskTemplate/ContainerSpec/Env"]).cloned()),
        ("volumes", one_of(["/Mounts", "/Spec/TaskTemplate/ContainerSpec/Mounts"]).map(engine_mounts)),
        ("image", one_of(["/Config/Image", "/Spec/TaskTemplate/ContainerSpec/Image"]).cloned()),
    ])
}

/// Whether a pod of Swarm will know how long its service lets it stop: the engine is not told of it, and only a label hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grace {
    is_lost: bool,
}

impl Grace {
    /// Of a service of a stack file. A label whose value only whoever deploys the file knows is taken out of `labels`: it is no duration yet.
    pub(super) fn of(stack: &Value, service: &Value, labels: &mut BTreeMap<String, String>) -> Self {
        let is_written = labels.contains_key(STOP_GRACE_PERIOD);
        labels.retain(|label, text| label != STOP_GRACE_PERIOD || !text.replace("$$", "").contains('$'));
        // Compose tells the engine. It reads `deploy:` and version 3, too, so that a warning has to name Swarm.
        let version = stack.get("version").map(|version| version.to_string().trim_matches('"').to_owned());
        let is_for_swarm = service.get("deploy").is_some() || version.is_some_and(|version| version.starts_with('3'));
        let has_own = service.get("stop_grace_period").is_some_and(|own| !own.is_null());
        Self { is_lost: has_own && is_for_swarm && !is_written }
    }

    /// Of the engine's description of a service; never of a container, which is judged by what the engine was told.
    pub(super) fn of_service(
        is_service: bool,
        settings: &Map<String, Value>,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let has_own = settings.get("stop_grace_period").is_some_and(|own| own != SWARMS_GRACE);
        Self { is_lost: is_service && has_own && !labels.contains_key(STOP_GRACE_PERIOD) }
    }

    /// The warning about a grace period that is lost on the way.
    pub(super) fn doubt(self, at: &Place) -> Option<String> {
        let at = at.key("stop_grace_period");
        let what = "Swarm does not pass this value to the pod: on a worker node, the pod assumes 10s";
        let hint = format!(
            "add the label `{STOP_GRACE_PERIOD}` with the same value, or deploy with `outrigger deploy`, which adds the label"
        );
        self.is_lost.then(|| at.problem(what).hint(hint).to_string())
    }
}

fn known(found: [(&str, Option<Value>); 6]) -> Map<String, Value> {
    found.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// The controller's flags of a `command`; none where it is none, or is known only to whoever deploys the file.
fn flags(command: &Value) -> Option<Value> {
    let words: Vec<String> = match command {
        Value::String(line) => shell_words::split(line).ok()?,
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => return None,
    };
    let ours = words.first().is_some_and(|word| word.starts_with('-')) && !words.iter().any(|word| word.contains('$'));
    ours.then(|| words.into())
}

/// The controller's variables, but for those that only whoever deploys the file knows.
fn environment(written: &Value) -> Option<Value> {
    let known = |value: &Value| !value.as_str().is_some_and(|text| text.contains('$'));
    match written {
        Value::Object(map) => Some(
            map.iter().filter(|(_, value)| known(value)).map(|(key, value)| (key.clone(), value.clone())).collect(),
        ),
        Value::Array(list) => Some(list.iter().filter(|entry| known(entry)).cloned().collect()),
        _ => None,
    }
}

/// A value as it stands; one with a variable in it is known only to whoever deploys the file, and one for no limit says nothing.
fn written(value: Option<&Value>) -> Option<Value> {
    let none = |value: &Value| {
        value.is_null() || value.as_i64() == Some(0) || value.as_str().is_some_and(|it| it.contains('$'))
    };
    value.filter(|value| !none(value)).cloned()
}

/// Its mounts, as far as this file alone tells them. What else is said of them is for docker to judge.
fn mounts(volumes: &Value) -> Value {
    let all = volumes.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter_map(|volume| match volume {
            Value::String(text) => short(text),
            Value::Object(map) => {
                let text = |key: &str| map.get(key).and_then(Value::as_str);
                let read_only = map.get("read_only").and_then(Value::as_bool).unwrap_or_default();
                mount(text("type")?, text("source"), text("target")?, read_only)
            }
            _ => None,
        })
        .collect()
}

/// The same with driver and options of volumes that the file declares.
fn made(mut mounts: Value, declared: Option<&Value>) -> Value {
    let volume = |mount: &Value| declared?.get(mount.get("source")?.as_str()?)?.as_object();
    for mount in mounts.as_array_mut().into_iter().flatten().filter(|mount| mount.get("type") == Some(&json!("volume")))
    {
        // What is wrong with it docker says.
        let is_right = |value: &&Value| match value {
            Value::Object(map) => {
                map.values().all(|value| value.is_string() || value.is_number() || value.is_boolean())
            }
            value => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        };
        let known = |key: &str| Some((key.to_owned(), volume(mount)?.get(key).filter(is_right)?.clone()));
        let spec: Map<String, Value> = ["driver", "driver_opts"].into_iter().filter_map(known).collect();
        if !spec.is_empty()
            && let Some(mount) = mount.as_object_mut()
        {
            mount.insert("volume".to_owned(), spec.into());
        }
    }
    mounts
}

/// `target`, `source:target` or `source:target:mode`.
fn short(text: &str) -> Option<Value> {
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return None,
    };
    let kind = if source.is_some_and(|source| source.starts_with(['/', '.'])) { "bind" } else { "volume" };
    mount(kind, source, target, mode.split(',').any(|word| word == "ro"))
}

/// Those of the engine's answer: a container has them as they are, a service as they were asked for.
fn engine_mounts(mounts: &Value) -> Value {
    let all = mounts.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter_map(|point| {
            let text = |key: &str| point.get(key).and_then(Value::as_str);
            let is_true = |key: &str| point.get(key).and_then(Value::as_bool);
            let read_only = is_true("ReadOnly").or_else(|| is_true("RW").map(|rw| !rw)).unwrap_or_default();
            let source = text("Name").filter(|name| !name.is_empty()).or_else(|| text("Source"));
            mount(text("Type")?, source, text("Destination").or_else(|| text("Target"))?, read_only)
        })
        .collect()
}

/// In the form with a key for each part; none where only whoever deploys the file knows it, or it is nothing to share.
fn mount(kind: &str, source: Option<&str>, target: &str, read_only: bool) -> Option<Value> {
    let is_known = |text: &str| !text.is_empty() && !text.contains('$') && !text.starts_with('~');
    let source = source.filter(|source| !source.is_empty());
    let is_whole = target.starts_with('/') && is_known(target) && source.is_none_or(is_known);
    match (kind, source) {
        ("bind", Some(source)) | ("volume", Some(source)) if is_whole => {
            Some(json!({"type": kind, "source": source, "target": target, "read_only": read_only}))
        }
        ("volume" | "tmpfs", None) if is_whole => Some(json!({"type": kind, "target": target})),
        _ => None,
    }
}

/// The owners of configs and secrets: Swarm takes any text for one, and then makes tasks for ever, none of which can start.
pub(super) fn owners(at: &Place, service: &Value, problems: &mut Problems) {
    for list in ["configs", "secrets"] {
        for (index, entry) in service.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
            for key in ["uid", "gid"] {
                // Only whoever deploys the file knows the value of a variable.
                let is_wrong = |id: &&str| !id.contains('$') && id.parse::<u32>().is_err() && !id.is_empty();
                if let Some(id) = entry.get(key).and_then(Value::as_str).filter(is_wrong) {
                    let at = at.key(list).index(index).key(key);
                    let what = format!("`{id}` is not a number, so no task of the service can start");
                    problems.push(at.problem(what).hint(format!("write the number, in quotes: `{key}: \"101\"`")));
                }
            }
        }
    }
}

/// What looks as if the controller could not work as this service, for people to judge.
pub(super) fn doubts(at: &Place, service: &Value) -> Vec<String> {
    let mut doubts = Vec::new();
    // What comes from elsewhere is not seen.
    let is_whole = ["extends", "env_file", "volumes_from"].iter().all(|key| service.get(key).is_none());
    if is_whole && !may_reach_engine(service) {
        let what = "no volume contains the engine's socket and `DOCKER_HOST` is not set, so the controller cannot reach the engine";
        let hint = "add `/var/run/docker.sock:/var/run/docker.sock:ro`";
        doubts.push(at.key("volumes").problem(what).hint(hint).to_string());
    }
    if let Some(image) = service.get("image").and_then(Value::as_str)
        && !image.contains('$')
        && service.get("build").is_none()
        && !CONTROLLERS.iter().any(|name| image.to_ascii_lowercase().contains(name))
    {
        let what = format!("`{image}` is probably not the controller's image; other images ignore `pod.*` labels");
        let hint = "set `image` of the service to the controller's image (`outrigger`), and the application's image in a component";
        doubts.push(at.key("image").problem(what).hint(hint).to_string());
    }
    // The controller is the first process of its container, and root in it.
    if let Some(check) = service.get("healthcheck") {
        doubts.extend(health_doubts(&at.key("healthcheck"), check));
    }
    doubts.extend(start_first(at, service));
    for key in
        ["entrypoint", "user"].into_iter().filter(|key| service.get(key).is_some_and(|value| !is_harmless(value)))
    {
        let (what, hint) = match key {
            "user" => (
                "the controller must open the engine's socket, and this user has no permission to do so",
                "remove the key here, and set it on the component that needs it",
            ),
            _ => (
                "replaces the controller's program, so the controller does not run",
                "remove the key; write flags of the controller in `command`",
            ),
        };
        doubts.push(at.key(key).problem(what).hint(hint).to_string());
    }
    doubts
}

/// What a service's own `healthcheck` does to the controller's, which the image brings.
fn health_doubts(at: &Place, check: &Value) -> Vec<String> {
    let here = "remove the key here, and set it on the component that needs it";
    let test = match check.get("test") {
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    let is_none = check.get("test").is_some_and(|test| test == &json!(["NONE"]));
    if check.get("disable").is_some_and(|value| value == true || value == "true") || is_none {
        let what = "turns the controller's own health check off, so an update of the service waits for nothing, and Swarm does not replace an unhealthy pod";
        return vec![at.problem(what).hint(here).to_string()];
    }
    let mut doubts = Vec::new();
    let is_ours = test.contains("outrigger") && test.contains("healthcheck");
    if !test.is_empty() && !test.contains('$') && !is_ours {
        let what =
            "replaces the controller's own health check, so the engine and Swarm cannot see the components' health";
        doubts.push(at.problem(what).hint(here).to_string());
    } else if is_ours && !test.contains("--wait") {
        let what = "answers at once, so the engine repeats it after each `interval`, for about 0.13 s of CPU each time";
        let hint = "remove `test`: the image's check, `outrigger healthcheck --wait`, waits for a change";
        doubts.push(at.key("test").problem(what).hint(hint).to_string());
    }
    if check.get("start_period").and_then(Value::as_str).is_some_and(is_short) {
        let what = "replaces the 24h of the controller's image: if a start takes longer, the engine reports `unhealthy`, and Swarm stops the task without a reason";
        let hint = "remove the key: if a start takes longer than `start_deadline` in `pod.options`, the controller ends it and reports the reason";
        doubts.push(at.key("start_period").problem(what).hint(hint).to_string());
    }
    doubts
}

/// Whether a `start_period` is one, and shorter than the image's 24 h. The engine takes 0 for "not written"; a variable is known only to whoever deploys the file.
fn is_short(period: &str) -> bool {
    let hours = period.split_once('h').and_then(|(hours, _)| hours.parse::<u32>().ok()).unwrap_or_default();
    period.contains(|c| matches!(c, '1'..='9')) && !period.contains('$') && hours < 24
}

/// A new task that starts before the old one ends, on a port of the node that only one of them can have.
fn start_first(at: &Place, service: &Value) -> Option<String> {
    let order = ["update_config", "rollback_config"].into_iter().find(|config| {
        service.pointer(&format!("/deploy/{config}/order")).is_some_and(|order| order == "start-first")
    })?;
    let of_host = service
        .get("ports")?
        .as_array()?
        .iter()
        .find(|port| port.get("mode").is_some_and(|mode| mode == "host") && port.get("published").is_some())?;
    let port = of_host.get("published").map(|port| port.to_string().replace('"', "")).unwrap_or_default();
    let what = format!(
        "with `start-first`, the new task needs the port {port} (`mode: host`) while the old task still has it: Swarm can start the new task only on another node, and an update cannot proceed if every node runs a task"
    );
    let at = at.key("deploy").key(order).key("order");
    Some(at.problem(what).hint("write `order: stop-first`, or publish the port with `mode: ingress`").to_string())
}

/// An entry point that is the controller, a user that is root, or one that only whoever deploys the file knows.
fn is_harmless(value: &Value) -> bool {
    let text = match value {
        Value::Array(words) => words.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let root = matches!(text.split(':').next(), Some("" | "root" | "0"));
    root || text == "null" || text.contains('$') || text.contains("outrigger")
}

/// Whether something in it may lead to the engine.
fn may_reach_engine(service: &Value) -> bool {
    let is_named = |text: &str| text == "DOCKER_HOST" || text.starts_with("DOCKER_HOST=");
    let has_address = match service.get("environment") {
        Some(Value::Object(map)) => map.contains_key("DOCKER_HOST"),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(is_named),
        _ => false,
    };
    let leads = |volume: &Value| {
        let target = match volume {
            Value::String(text) => {
                text.contains('$').then_some("/").or_else(|| text.split(':').nth(1).or(Some(text.as_str())))
            }
            other => other.get("target").and_then(Value::as_str),
        };
        target.is_some_and(|target| {
            let folder = target.trim_end_matches('/');
            target.contains('$')
                || SOCKETS.iter().any(|socket| *socket == target || socket.starts_with(&format!("{folder}/")))
        })
    };
    has_address || service.get("volumes").and_then(Value::as_array).is_some_and(|volumes| volumes.iter().any(leads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_those_that_the_file_tells() {
        let written = json!([
            "/var/run/docker.sock:/var/run/docker.sock:ro", "data:/data", "/cache", "${HOME}/x:/x", "~/x:/x", "x:y",
            {"type": "bind", "source": "./conf", "target": "/conf", "read_only": true},
            {"type": "tmpfs", "target": "/tmp"}, {"type": "npipe", "source": "x", "target": "/x"}, 5
        ]);
        let bind =
            |source: &str, target: &str| json!({"type": "bind", "source": source, "target": target, "read_only": true});
        let expected = json!([
            bind("/var/run/docker.sock", "/var/run/docker.sock"),
            {"type": "volume", "source": "data", "target": "/data", "read_only": false},
            {"type": "volume", "target": "/cache"},
            bind("./conf", "/conf"),
            {"type": "tmpfs", "target": "/tmp"}
        ]);
        assert_eq!(mounts(&written), expected);
        let seen = json!([{"Type": "volume", "Name": "v", "Source": "/var/lib/v", "Destination": "/v", "RW": true}]);
        assert_eq!(
            engine_mounts(&seen),
            json!([{"type": "volume", "source": "v", "target": "/v", "read_only": false}])
        );
    }

    #[test]
    fn the_owner_of_a_config_is_a_number() {
        let at = Place { label: "s.yml".to_owned(), field: "services.web".to_owned() };
        let told = |service: Value| {
            let mut problems = Problems::default();
            owners(&at, &service, &mut problems);
            problems.0.iter().map(|problem| format!("{}: {}", problem.field, problem.what)).collect::<Vec<_>>()
        };
        let wrong = json!({"configs": ["plain", {"source": "c", "uid": "nginx", "gid": "0"}], "secrets": [{"source": "s", "gid": "-1"}]});
        assert_eq!(
            told(wrong),
            [
                "services.web.configs[1].uid: `nginx` is not a number, so no task of the service can start",
                "services.web.secrets[0].gid: `-1` is not a number, so no task of the service can start"
            ]
        );
        let right = json!({"configs": [{"source": "c", "uid": "101", "gid": "${GID}"}], "secrets": [{"source": "s"}]});
        assert_eq!(told(right), [""; 0]);
    }

    #[test]
    fn a_port_of_the_node_is_not_had_twice() {
        let at = Place { label: "s.yml".to_owned(), field: "services.web".to_owned() };
        let told = |deploy: Value, ports: Value| {
            let socket = json!(["/var/run/docker.sock:/var/run/docker.sock"]);
            doubts(&at, &json!({"image": "outrigger", "volumes": socket, "deploy": deploy, "ports": ports})).join("\n")
        };
        let host = json!([{"target": 80, "published": 18099, "mode": "host"}]);
        for config in ["update_config", "rollback_config"] {
            let told = told(json!({config: {"order": "start-first"}}), host.clone());
            let begins = format!("`s.yml`, field `services.web.deploy.{config}.order`: with `start-first`");
            assert!(told.starts_with(&begins) && told.contains("port 18099"), "{told}");
        }
        for (order, ports) in [
            ("stop-first", host),
            ("start-first", json!([{"target": 80, "published": 18099}])),
            ("start-first", json!(["18099:80"])),
            ("start-first", json!([{"target": 80, "mode": "host"}])),
        ] {
            assert_eq!(told(json!({"update_config": {"order": order}}), ports), "");
        }
    }

    #[test]
    fn a_service_that_can_be_no_controller_is_doubted() {
        let at = Place { label: "s.yml".to_owned(), field: "services.web".to_owned() };
        let told = |service: Value| doubts(&at, &service).join("\n");
        let both = told(json!({"image": "nginx:1", "volumes": ["data:/data"]}));
        assert!(both.contains("`services.web.volumes`") && both.contains("docker.sock:ro"), "{both}");
        assert!(both.contains("`services.web.image`: `nginx:1` is probably not"), "{both}");
        let image = "acme/outrigger:2";
        let socket = json!(["/var/run/docker.sock:/var/run/docker.sock"]);
        for (wrong, field) in [
            (json!({"image": image, "volumes": socket, "healthcheck": {"test": "curl x"}}), "healthcheck"),
            (json!({"image": image, "volumes": socket, "healthcheck": {"disable": true}}), "healthcheck"),
            (
                json!({"image": image, "volumes": socket, "healthcheck": {"disable": "true", "start_period": "1s"}}),
                "healthcheck",
            ),
            (json!({"image": image, "volumes": socket, "healthcheck": {"test": ["NONE"]}}), "healthcheck"),
            (
                json!({"image": image, "volumes": socket, "healthcheck": {"test": "/outrigger healthcheck"}}),
                "healthcheck.test",
            ),
            (
                json!({"image": image, "volumes": socket, "healthcheck": {"start_period": "1m30s"}}),
                "healthcheck.start_period",
            ),
            (
                json!({"image": image, "volumes": socket, "healthcheck": {"start_period": "23h59m", "retries": 9}}),
                "healthcheck.start_period",
            ),
            (json!({"image": image, "volumes": socket, "entrypoint": ["sh", "-c", "x"]}), "entrypoint"),
            (json!({"image": image, "volumes": socket, "user": "1000:1000"}), "user"),
        ] {
            let told = told(wrong.clone());
            assert!(
                told.starts_with(&format!("`s.yml`, field `services.web.{field}`")) && told.lines().count() == 1,
                "{wrong}: {told}"
            );
        }
        let both =
            told(json!({"image": image, "volumes": socket, "healthcheck": {"test": "curl x", "start_period": "15s"}}));
        assert!(both.lines().count() == 2 && both.contains("start_deadline"), "{both}");
        for right in [
            json!({"image": image, "volumes": socket, "healthcheck": {"retries": 9}, "user": 0, "entrypoint": "/outrigger"}),
            json!({"image": image, "volumes": socket, "healthcheck": {"start_period": "0s", "timeout": "9s"}, "user": "root", "entrypoint": null}),
            json!({"image": image, "volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro"]}),
            json!({"image": image, "volumes": socket, "healthcheck": {"test": ["CMD", "/outrigger", "healthcheck", "--wait"], "start_period": "24h0m"}}),
            json!({"image": image, "volumes": socket, "healthcheck": {"test": "$CHECK", "start_period": "${START:-9s}", "disable": false}}),
            json!({"image": image, "volumes": [{"type": "bind", "source": "/run", "target": "/var/run/"}]}),
            json!({"image": "rycus86/podlike", "environment": ["DOCKER_HOST=tcp://engine:2375"]}),
            json!({"image": "$IMAGE", "volumes": ["$SOCKET"]}),
            json!({"build": ".", "image": "mine", "env_file": "x.env"}),
        ] {
            assert_eq!(told(right), "");
        }
    }
}
