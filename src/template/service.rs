//! What templates see as `.Service`: the service as the engine's client understands it, whatever form it was written in.
//!
//! The names are those of the client's own types, as podlike gave them. What is not written has its empty value, so that `{{ if .Service.X }}` holds or does not.

pub mod short;

use serde_json::{Map, Value};

use super::expand::{to_data, to_map};
use super::merge::pairs;
use gotmpl::Value as Data;

/// The key under which a map that has Go's names holds those of the file, for the function `yaml`.
pub const WRITTEN: &str = "\0";

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Number,
    /// A pointer: nothing where it is not written.
    Maybe,
    Duration,
    Bytes,
    /// Text or a list of texts.
    List,
    /// A command line, or its words.
    Words,
    /// The command of a health check.
    Test,
    /// `key=value` as a list, or a map.
    Pairs,
    /// `host:address` as a list, or a map.
    Hosts,
    Struct(&'static [Field]),
    /// A pointer to one.
    MaybeStruct(&'static [Field]),
    /// A list of them, some of which may have a short form.
    Structs(&'static [Field], fn(&Value) -> Vec<Value>),
    /// A map of them, which may be written as a list of names.
    Named(&'static [Field]),
}

/// Name in Go, name in the file, and what it holds.
type Field = (&'static str, &'static str, Kind);

use Kind::{
    Bytes, Duration, Flag, Hosts, List, Maybe, MaybeStruct, Named, Number, Pairs, Struct, Structs, Test, Text, Words,
};

const SERVICE: &[Field] = &[
    ("Build", "build", Maybe),
    ("CapAdd", "cap_add", List),
    ("CapDrop", "cap_drop", List),
    ("CgroupNSMode", "cgroupns_mode", Text),
    ("CgroupParent", "cgroup_parent", Text),
    ("Command", "command", Words),
    ("Configs", "configs", Structs(FILE, short::file)),
    ("ContainerName", "container_name", Text),
    ("CredentialSpec", "credential_spec", Struct(CREDENTIALS)),
    ("DependsOn", "depends_on", List),
    ("Deploy", "deploy", Struct(DEPLOY)),
    ("Devices", "devices", List),
    ("DNS", "dns", List),
    ("DNSSearch", "dns_search", List),
    ("DomainName", "domainname", Text),
    ("Entrypoint", "entrypoint", Words),
    ("Environment", "environment", Pairs),
    ("EnvFile", "env_file", List),
    ("Expose", "expose", List),
    ("ExternalLinks", "external_links", List),
    ("ExtraHosts", "extra_hosts", Hosts),
    ("Hostname", "hostname", Text),
    ("HealthCheck", "healthcheck", MaybeStruct(HEALTH)),
    ("Image", "image", Text),
    ("Init", "init", Maybe),
    ("Ipc", "ipc", Text),
    ("Isolation", "isolation", Text),
    ("Labels", "labels", Pairs),
    ("Links", "links", List),
    ("Logging", "logging", MaybeStruct(&[("Driver", "driver", Text), ("Options", "options", Pairs)])),
    ("MacAddress", "mac_address", Text),
    ("NetworkMode", "network_mode", Text),
    ("Networks", "networks", Named(NETWORK)),
    ("Pid", "pid", Text),
    ("Ports", "ports", Structs(PORT, short::port)),
    ("Privileged", "privileged", Flag),
    ("ReadOnly", "read_only", Flag),
    ("Restart", "restart", Text),
    ("Secrets", "secrets", Structs(FILE, short::file)),
    ("SecurityOpt", "security_opt", List),
    ("ShmSize", "shm_size", Text),
    ("StdinOpen", "stdin_open", Flag),
    ("StopGracePeriod", "stop_grace_period", Duration),
    ("StopSignal", "stop_signal", Text),
    ("Sysctls", "sysctls", Pairs),
    ("Tmpfs", "tmpfs", List),
    ("Tty", "tty", Flag),
    ("Ulimits", "ulimits", Named(&[("Single", "single", Number), ("Soft", "soft", Number), ("Hard", "hard", Number)])),
    ("User", "user", Text),
    ("OomScoreAdj", "oom_score_adj", Number),
    ("UserNSMode", "userns_mode", Text),
    ("Volumes", "volumes", Structs(VOLUME, short::volume)),
    ("WorkingDir", "working_dir", Text),
];

const FILE: &[Field] = &[
    ("Source", "source", Text),
    ("Target", "target", Text),
    ("UID", "uid", Text),
    ("GID", "gid", Text),
    ("Mode", "mode", Maybe),
];

const CREDENTIALS: &[Field] = &[("Config", "config", Text), ("File", "file", Text), ("Registry", "registry", Text)];

const PORT: &[Field] = &[
    ("Mode", "mode", Text),
    ("Target", "target", Number),
    ("Published", "published", Number),
    ("Protocol", "protocol", Text),
];

const VOLUME: &[Field] = &[
    ("Type", "type", Text),
    ("Source", "source", Text),
    ("Target", "target", Text),
    ("ReadOnly", "read_only", Flag),
    ("Consistency", "consistency", Text),
    ("Bind", "bind", MaybeStruct(&[("Propagation", "propagation", Text)])),
    ("Volume", "volume", MaybeStruct(&[("NoCopy", "nocopy", Flag), ("Subpath", "subpath", Text)])),
    ("Tmpfs", "tmpfs", MaybeStruct(&[("Size", "size", Bytes)])),
];

const NETWORK: &[Field] = &[
    ("Aliases", "aliases", List),
    ("DriverOpts", "driver_opts", Pairs),
    ("Ipv4Address", "ipv4_address", Text),
    ("Ipv6Address", "ipv6_address", Text),
];

const HEALTH: &[Field] = &[
    ("Test", "test", Test),
    ("Timeout", "timeout", Duration),
    ("Interval", "interval", Duration),
    ("Retries", "retries", Maybe),
    ("StartPeriod", "start_period", Duration),
    ("StartInterval", "start_interval", Duration),
    ("Disable", "disable", Flag),
];

const UPDATE: &[Field] = &[
    ("Parallelism", "parallelism", Maybe),
    ("Delay", "delay", Duration),
    ("FailureAction", "failure_action", Text),
    ("Monitor", "monitor", Duration),
    ("MaxFailureRatio", "max_failure_ratio", Number),
    ("Order", "order", Text),
];

const RESOURCE: &[Field] = &[
    ("NanoCPUs", "cpus", Text),
    ("MemoryBytes", "memory", Bytes),
    ("Pids", "pids", Number),
    ("GenericResources", "generic_resources", Structs(GENERIC, |value| vec![value.clone()])),
];

const GENERIC: &[Field] = &[(
    "DiscreteResourceSpec",
    "discrete_resource_spec",
    MaybeStruct(&[("Kind", "kind", Text), ("Value", "value", Number)]),
)];

const DEPLOY: &[Field] = &[
    ("Mode", "mode", Text),
    ("Replicas", "replicas", Maybe),
    ("Labels", "labels", Pairs),
    ("UpdateConfig", "update_config", MaybeStruct(UPDATE)),
    ("RollbackConfig", "rollback_config", MaybeStruct(UPDATE)),
    (
        "Resources",
        "resources",
        Struct(&[("Limits", "limits", MaybeStruct(RESOURCE)), ("Reservations", "reservations", MaybeStruct(RESOURCE))]),
    ),
    (
        "RestartPolicy",
        "restart_policy",
        MaybeStruct(&[
            ("Condition", "condition", Text),
            ("Delay", "delay", Duration),
            ("MaxAttempts", "max_attempts", Maybe),
            ("Window", "window", Duration),
        ]),
    ),
    (
        "Placement",
        "placement",
        Struct(&[
            ("Constraints", "constraints", List),
            ("Preferences", "preferences", Structs(&[("Spread", "spread", Text)], |value| vec![value.clone()])),
            ("MaxReplicas", "max_replicas_per_node", Number),
        ]),
    ),
    ("EndpointMode", "endpoint_mode", Text),
];

/// The service as templates see it.
#[must_use]
pub fn view(name: &str, service: &Map<String, Value>) -> Data {
    let mut fields = fields(SERVICE, service);
    fields.push(("Name", Data::String(name.into())));
    let extras = service.iter().filter(|(key, _)| key.starts_with("x-"));
    fields.push(("Extras", to_map(extras.map(|(key, value)| (key.as_str(), to_data(value))))));
    to_map(fields)
}

fn fields(table: &'static [Field], map: &Map<String, Value>) -> Vec<(&'static str, Data)> {
    let mut out: Vec<_> = table.iter().map(|(go, key, kind)| (*go, field(*kind, map.get(*key)))).collect();
    out.push((WRITTEN, to_map(table.iter().map(|(go, key, _)| (*go, Data::String((*key).into()))))));
    out
}

fn of_map(table: &'static [Field], value: &Value) -> Data {
    let empty = Map::new();
    to_map(fields(table, value.as_object().unwrap_or(&empty)))
}

fn field(kind: Kind, value: Option<&Value>) -> Data {
    let value = value.unwrap_or(&Value::Null);
    match kind {
        Text => Data::String(text(value).into()),
        Flag => match value {
            Value::Bool(is) => Data::Bool(*is),
            Value::String(text) if text.contains('$') => to_data(value),
            _ => Data::Bool(false),
        },
        Number => number(value),
        Maybe => to_data(value),
        Duration => match value {
            Value::Null => Data::Nil,
            other => Data::String(short::duration(&text(other)).into()),
        },
        Bytes => match value {
            Value::String(text) => short::bytes(text),
            other => number(other),
        },
        List => texts(value),
        Words => match value {
            Value::String(line) => strings(shell_words::split(line).unwrap_or_else(|_| vec![line.clone()])),
            other => texts(other),
        },
        Test => match value {
            Value::String(line) => strings(vec!["CMD-SHELL".to_owned(), line.clone()]),
            other => texts(other),
        },
        Pairs => mapping(value),
        Hosts => match value {
            Value::Object(map) => strings(map.iter().map(|(host, to)| format!("{host}:{}", text(to))).collect()),
            other => texts(other),
        },
        Struct(table) => of_map(table, value),
        MaybeStruct(table) => match value {
            Value::Null => Data::Nil,
            other => of_map(table, other),
        },
        Structs(table, long) => {
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            Data::List(list.iter().flat_map(long).map(|item| of_map(table, &item)).collect())
        }
        Named(table) => named(table, value),
    }
}

fn named(table: &'static [Field], value: &Value) -> Data {
    let maybe = |value: &Value| match value {
        Value::Null => Data::Nil,
        // One number for both ends of a limit.
        Value::Number(_) | Value::String(_) => of_map(table, &serde_json::json!({ "single": value })),
        other => of_map(table, other),
    };
    match value {
        Value::Object(map) => to_map(map.iter().map(|(key, value)| (key.as_str(), maybe(value)))),
        Value::Array(list) => to_map(list.iter().filter_map(|name| Some((name.as_str()?, Data::Nil)))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => to_map([]),
    }
}

fn number(value: &Value) -> Data {
    match value {
        Value::Null => Data::Int(0),
        // With a variable in it, it is known only to whoever deploys the file.
        Value::String(text) => text.parse().map_or_else(|_| Data::String(text.as_str().into()), Data::Int),
        other => to_data(other),
    }
}

/// A single value as text.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

fn strings(list: Vec<String>) -> Data {
    Data::List(list.into_iter().map(|text| Data::String(text.into())).collect())
}

/// A list of texts; one text is a list of one, and a map counts by its keys.
fn texts(value: &Value) -> Data {
    strings(match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().map(text).collect(),
        Value::Object(map) => map.keys().cloned().collect(),
        one => vec![text(one)],
    })
}

fn mapping(value: &Value) -> Data {
    let from_list;
    let map = match value {
        Value::Object(map) => Some(map),
        Value::Array(list) => {
            from_list = pairs("environment", list);
            from_list.as_ref()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    to_map(map.into_iter().flatten().map(|(key, value)| {
        let data = if value.is_null() { Data::Nil } else { Data::String(text(value).into()) };
        (key.as_str(), data)
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::expand::expand;
    use super::*;

    fn rendered(service: Value, template: &str) -> String {
        let data = to_map([("Service", view("web", service.as_object().unwrap()))]);
        expand("t", template, &data).unwrap()
    }

    #[test]
    fn all_forms_of_a_service_look_the_same() {
        let long = json!({
            "labels": {"a": "1", "b": ""}, "environment": {"X": 1, "Y": null}, "command": ["a", "b c"],
            "ports": [{"mode": "ingress", "target": 80, "published": 8080, "protocol": "tcp"}], "dns": ["1.1.1.1"],
            "volumes": [{"type": "volume", "source": "data", "target": "/d", "read_only": true}], "networks": {"n": null},
            "configs": [{"source": "c"}], "ulimits": {"nofile": {"single": 5}}, "extra_hosts": ["h:1.2.3.4"],
            "healthcheck": {"test": ["CMD-SHELL", "true"], "interval": "1m30s"}, "deploy": {"resources": {"limits": {"memory": 67108864}}},
        });
        let short = json!({
            "labels": ["a=1", "b="], "environment": ["X=1", "Y"], "command": "a 'b c'", "ports": ["8080:80"], "dns": "1.1.1.1",
            "volumes": ["data:/d:ro"], "networks": ["n"], "configs": ["c"], "ulimits": {"nofile": 5}, "extra_hosts": {"h": "1.2.3.4"},
            "healthcheck": {"test": "true", "interval": "90s"}, "deploy": {"resources": {"limits": {"memory": "64M"}}},
        });
        let template = "{{ range $k, $v := .Service.Labels }}{{ $k }}={{ $v }};{{ end }}{{ .Service.Environment.X }} {{ index .Service.Command 1 }} \
            {{ (index .Service.Ports 0).Published }} {{ index .Service.DNS 0 }} {{ (index .Service.Volumes 0).ReadOnly }} {{ len .Service.Networks }} \
            {{ (index .Service.Configs 0).Source }} {{ .Service.Ulimits.nofile.Single }} {{ index .Service.ExtraHosts 0 }} \
            {{ index .Service.HealthCheck.Test 0 }} {{ .Service.HealthCheck.Interval }} {{ .Service.Deploy.Resources.Limits.MemoryBytes }}";
        let expected = "a=1;b=;1 b c 8080 1.1.1.1 true 1 c 5 h:1.2.3.4 CMD-SHELL 1m30s 67108864";
        assert_eq!(rendered(long, template), expected);
        assert_eq!(rendered(short, template), expected);
    }

    #[test]
    fn what_is_not_written_is_empty() {
        let template = "{{ if .Service.ReadOnly }}r{{ end }}{{ if .Service.HealthCheck }}h{{ end }}{{ if empty .Service.Ports }}e{{ end }}\
            {{ with .Service.Deploy.Placement }}{{ len .Constraints }}{{ end }}{{ .Service.Name }}{{ .Service.Image }}";
        assert_eq!(rendered(json!({}), template), "e0web");
    }

    #[test]
    fn yaml_writes_the_names_of_the_file_and_nothing_empty() {
        let service = json!({"ports": ["53:5353/udp"], "deploy": {"replicas": 2, "placement": {"constraints": ["node.role == manager"]}}});
        assert_eq!(
            rendered(service.clone(), "{{ yaml .Service.Ports }}"),
            "- mode: ingress\n  protocol: udp\n  published: 53\n  target: 5353\n"
        );
        assert_eq!(
            rendered(service, "{{ .Service.Deploy | yaml | indent 2 }}"),
            "  placement:\n    constraints:\n    - node.role == manager\n  replicas: 2\n  "
        );
    }
}
