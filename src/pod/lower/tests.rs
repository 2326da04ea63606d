use std::time::Duration;

use proptest::prelude::{Just, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::Strategy;
use serde_json::{Map, Value, json};

use super::lower;
use crate::labels::to_labels;
use crate::plan::document;
use crate::pod::read::{from_document, from_labels, from_value};
use crate::pod::{
    Capability, Component, ComponentName, Condition, Grant, HealthCheck, MountKind, OnError, PluginSource, PodSpec,
};

fn pod(yaml: &str) -> PodSpec {
    match from_document("pod.yaml", yaml).and_then(|raw| lower(&raw)) {
        Ok(spec) => spec,
        Err(problems) => panic!("{problems}"),
    }
}

fn app(settings: &str) -> Component {
    pod(&format!("components: {{app: {{image: a, {settings}}}}}")).components["app"].clone()
}

#[test]
fn commands_are_split_as_a_shell_does() {
    assert_eq!(app(r#"command: "sh -c 'a b' \"c d\" e\\ f""#).command.unwrap(), ["sh", "-c", "a b", "c d", "e f"]);
    assert_eq!(app("command: [a b, 1]").command.unwrap(), ["a b", "1"]);
    assert_eq!(app("command: ''").command.unwrap(), Vec::<String>::new());
    assert_eq!(app("command: ").command, None);
}

#[test]
fn environment_has_two_forms() {
    let map = app("environment: {PORT: 12000, ON: true, PASS: , EMPTY: ''}").environment;
    let list = app("environment: [PORT=12000, ON=true, PASS, EMPTY=]").environment;
    assert_eq!(map, list);
    assert_eq!(map["PORT"].as_deref(), Some("12000"));
    assert_eq!(map["PASS"], None);
    assert_eq!(map["EMPTY"].as_deref(), Some(""));
}

#[test]
fn limits_are_in_the_units_of_the_engine() {
    let host = app("mem_limit: 64m, cpus: 0.5, shm_size: '1gb', memswap_limit: -1").host;
    assert_eq!(host.memory, Some(64 << 20));
    assert_eq!(host.nano_cpus, Some(500_000_000));
    assert_eq!(host.shm_size, Some(1 << 30));
    assert_eq!(host.memory_swap, Some(-1));
    assert_eq!(app("cpu_quota: 25ms").host.cpu_quota, Some(25_000));
    // The engine's minimum, and no limit.
    for quota in [1_000, 0, -1] {
        assert_eq!(app(&format!("cpu_quota: {quota}")).host.cpu_quota, Some(quota));
    }
}

/// The colons of an address are not those before a port.
#[test]
fn a_probes_url_may_have_an_address_in_brackets() {
    for (url, expected) in [
        ("http://[::1]/x", ("::1", 80)),
        ("https://[::1]/x", ("::1", 443)),
        ("http://[fe80::1:2]:8080/x", ("fe80::1:2", 8080)),
        ("http://a/x:1", ("a", 80)),
    ] {
        let probes = app(&format!("probes: {{liveness: {{http: '{url}'}}}}")).probes;
        let crate::pod::life::ProbeCheck::Http(request) = probes.liveness.unwrap().check else { panic!("{url}") };
        assert_eq!((request.host.as_str(), request.port), expected, "{url}");
    }
}

#[test]
fn a_soft_limit_is_not_above_the_hard_one() {
    for (written, soft, hard) in [("{soft: -1, hard: -1}", -1, -1), ("{soft: 5, hard: -1}", 5, -1), ("5", 5, 5)] {
        let ulimits = app(&format!("ulimits: {{stack: {written}}}")).host.ulimits;
        assert_eq!((ulimits[0].soft, ulimits[0].hard), (soft, hard));
    }
    for written in ["{soft: -1, hard: 5}", "{soft: 6, hard: 5}", "{soft: -1, hard: 0}"] {
        let text = format!("components: {{app: {{image: a, ulimits: {{stack: {written}}}}}}}");
        let problems = from_document("pod.yaml", &text).and_then(|raw| lower(&raw)).unwrap_err();
        assert!(problems.to_string().contains("is more than the hard limit"), "{written}: {problems}");
    }
}

#[test]
fn health_checks_have_several_forms() {
    assert_eq!(app("healthcheck: {disable: true}").healthcheck, Some(HealthCheck::Disabled));
    assert_eq!(app("healthcheck: {test: [NONE]}").healthcheck, Some(HealthCheck::Disabled));
    let Some(HealthCheck::Command { test, interval, retries, .. }) =
        app("healthcheck: {test: curl x, interval: 1.5s, retries: 3}").healthcheck
    else {
        panic!("not a command")
    };
    assert_eq!(
        (test.join("|").as_str(), interval, retries),
        ("CMD-SHELL|curl x", Some(Duration::from_millis(1500)), Some(3))
    );
}

#[test]
fn dependencies_carry_their_conditions() {
    let spec = pod(
        "components: {a: {image: a, depends_on: {b: {condition: service_healthy}, c: }}, b: {image: b}, c: {image: c}}",
    );
    let depends: Vec<_> =
        spec.components["a"].depends_on.iter().map(|(name, it)| (name.as_str(), it.condition)).collect();
    assert_eq!(depends, [("b", Condition::Healthy), ("c", Condition::Started)]);
}

#[test]
fn short_volumes_are_binds_or_volumes_by_their_source() {
    let volumes = app("volumes: [/data, 'v:/v:ro', '/h:/h:rw,rshared']").volumes;
    let kinds: Vec<_> = volumes.iter().map(|it| (it.kind, it.read_only, it.propagation.as_deref())).collect();
    assert_eq!(
        kinds,
        [(MountKind::Volume, false, None), (MountKind::Volume, true, None), (MountKind::Bind, false, Some("rshared"))]
    );
}

#[test]
fn the_controller_may_have_what_a_component_may_not() {
    let spec = pod(
        "{components: {app: {image: a}}, controller: {volumes: ['/var/run/docker.sock:/var/run/docker.sock', './x:/x']}}",
    );
    assert_eq!(spec.controller.volumes.len(), 2);
}

#[test]
fn plugins_have_a_short_and_a_long_form() {
    let spec = pod("{components: {app: {image: a, plugins: [signal]}}, plugins: [{reload: {source: /x, other: 1}}, \
         {mine: {source: /m.wasm, grants: {pod: true, exec: [app]}, on-error: {default: fail, signal: ignore}}}]}");
    let [reload, mine, signal] = spec.plugins.as_slice() else { panic!("{:?}", spec.plugins) };
    assert_eq!(reload.source, PluginSource::Stock);
    assert_eq!(reload.config, json!({"source": "/x", "other": 1}));
    assert_eq!(reload.grants, None);
    assert_eq!(mine.source, PluginSource::File("/m.wasm".to_owned()));
    let grant = Grant::new;
    assert_eq!(mine.grants, Some(vec![grant(Capability::Pod, "*"), grant(Capability::Exec, "app")]));
    assert_eq!((mine.on_error.of("signal"), mine.on_error.of("health")), (OnError::Ignore, OnError::Fail));
    assert_eq!(signal.scope, Some(ComponentName::new("app").unwrap()));
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let spec = pod("{init: [{image: i, depends_on: [app]}], components: {app: {image: a}}}");
    assert_eq!(spec.warnings.len(), 1, "{:?}", spec.warnings);
    assert!(spec.init[0].depends_on.is_empty());
}

/// Keys of every part of a pod: a value with these keys gets far into lowering.
const KEYS: [&str; 86] = [
    "components",
    "init",
    "copy",
    "plugins",
    "controller",
    "options",
    "volumes",
    "app",
    "db",
    "name",
    "image",
    "command",
    "entrypoint",
    "environment",
    "env_file",
    "labels",
    "user",
    "tty",
    "stop_signal",
    "stop_grace_period",
    "healthcheck",
    "test",
    "interval",
    "retries",
    "disable",
    "depends_on",
    "condition",
    "type",
    "source",
    "target",
    "bind",
    "tmpfs",
    "size",
    "devices",
    "permissions",
    "ulimits",
    "nofile",
    "soft",
    "hard",
    "blkio_config",
    "weight",
    "weight_device",
    "path",
    "cpus",
    "cpuset",
    "mem_limit",
    "memswap_limit",
    "cpu_quota",
    "logging",
    "driver",
    "grants",
    "limits",
    "on-error",
    "config",
    "ports",
    "reload",
    "restart",
    "policy",
    "exit_codes",
    "max_attempts",
    "delay",
    "max_delay",
    "scope",
    "essential",
    "probes",
    "liveness",
    "readiness",
    "http",
    "tcp",
    "grpc",
    "exec",
    "port",
    "host",
    "headers",
    "period",
    "post_start",
    "sleep",
    "required",
    "mode",
    "uid",
    "driver_opts",
    "external",
    "drain",
    "deploy",
    "resources",
    "start_interval",
];
const WORDS: [&str; 37] = [
    "",
    "a",
    "app",
    "db",
    "/a",
    "/a:/b",
    "a:/b:ro",
    "64m",
    "-1",
    "1m30s",
    "999999999999999999999999g",
    "0",
    "bind",
    "volume",
    "tmpfs",
    "CMD",
    "NONE",
    "service_healthy",
    "SIGTERM",
    "RTMAX-999999999999",
    "A=b",
    "*",
    "fail",
    "80:80",
    "0-4294967295",
    "reload",
    "pod",
    "\u{85}",
    "'",
    "é:/é",
    "always",
    "on-failure:3",
    "2-9",
    "http://a:80/x",
    "localhost:80",
    "0640",
    "service_completed_successfully",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((select(&KEYS[..]), inner), 0..5).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

/// What happens in a component's life: right, with all kinds of values.
fn life() -> impl Strategy<Value = Value> {
    let text = || "[^\0]{1,8}".prop_filter("not blank", |text: &String| !text.trim().is_empty());
    let millis = || (1..10_000_000_u64).prop_map(|millis| format!("{millis}ms"));
    let check = prop_oneof![
        (1..=65535_u16, "/[a-z?=]{0,8}", any::<bool>()).prop_map(
            |(port, path, tls)| json!({"http": {"port": port, "path": path, "tls": tls, "headers": {"X-A": path}}})
        ),
        (1..=65535_u16).prop_map(|port| json!({"tcp": format!("[::1]:{port}")})),
        (1..=65535_u16, text()).prop_map(|(port, service)| json!({"grpc": {"port": port, "service": service}})),
        prop::collection::vec(text(), 1..3).prop_map(|words| json!({"exec": words})),
    ];
    let restart = (
        select(&["no", "always", "on-failure"][..]),
        prop::collection::vec((1..100_u8, 100..=255_u8), 0..3),
        (prop::option::of(1..1000_u32), prop::option::of(1..1000_u64), any::<bool>()),
    )
        .prop_map(|(policy, codes, (attempts, delay, pod))| {
            json!({
                "policy": policy,
                "exit_codes": codes.iter().map(|(from, to)| format!("{from}-{to}")).collect::<Vec<_>>(),
                "max_attempts": attempts,
                "delay": delay.map(|secs| format!("{secs}s")),
                "scope": if pod { "pod" } else { "component" },
            })
        });
    let step = prop_oneof![
        millis().prop_map(|time| json!({"sleep": time})),
        (prop::collection::vec(text(), 1..3), prop::option::of(text()), prop::option::of(millis())).prop_map(
            |(command, value, timeout)| json!({"command": command, "environment": {"A": value}, "timeout": timeout})
        ),
    ];
    (restart, check, 100..100_000_u64, prop::collection::vec(step, 0..3), any::<bool>()).prop_map(
        |(restart, mut check, period, steps, essential)| {
            check["period"] = format!("{period}ms").into();
            let probes = json!({"liveness": check, "startup": check});
            json!({"image": "a", "restart": restart, "probes": probes, "post_start": steps, "pre_stop": steps, "essential": essential})
        },
    )
}

/// Settings of a component that are right, with text that may be anything.
fn settings() -> impl Strategy<Value = Value> {
    let text = || {
        prop_oneof![any::<String>(), select(&WORDS[..]).prop_map(str::to_owned)]
            .prop_filter("no NUL", |text| !text.contains('\0'))
    };
    let variable = "[A-Za-z_.~|>#-]{1,8}|[0-9]{1,3}|null|true|yes";
    (
        (
            prop::collection::vec((variable, prop::option::of(text())), 0..4),
            prop::option::of(prop::collection::vec(text(), 0..4)),
        ),
        (prop::option::of(0..i64::MAX as u64), prop::option::of(0..i64::MAX), prop::option::of(1..=64)),
        (prop::collection::vec((variable, text()), 0..4), any::<bool>(), prop::option::of(1..i64::MAX)),
    )
        .prop_map(|((environment, command), (grace, cpus, signal), (labels, tty, memory))| {
            let environment: Map<_, _> = environment.into_iter().map(|(key, value)| (key, value.into())).collect();
            let labels: Map<_, _> = labels.into_iter().map(|(key, value)| (key, value.into())).collect();
            let mut settings = json!({"image": "a", "environment": environment, "labels": labels, "tty": tty});
            settings["command"] = command.into();
            settings["stop_grace_period"] = grace.map(|nanos| format!("{nanos}ns")).into();
            settings["cpus"] = cpus.map(crate::pod::values::format_cpus).into();
            settings["stop_signal"] = signal.into();
            settings["mem_limit"] = memory.into();
            settings
        })
}

fn comparable(mut spec: PodSpec) -> PodSpec {
    spec.plugins.iter_mut().for_each(|plugin| plugin.origin.clear());
    spec.warnings.clear();
    spec.places.clear();
    spec
}

proptest! {
    #[test]
    fn no_value_panics(value in value(), part in select(&KEYS[..7]), component in value()) {
        for document in [value.clone(), json!({ part: value }), json!({ "components": { "app": component } })] {
            if let Ok(spec) = from_value("pod.yaml", &document).and_then(|raw| lower(&raw)) {
                let again = from_value("pod.yaml", document::of(&spec)).and_then(|raw| lower(&raw));
                prop_assert_eq!(again.map(comparable), Ok(comparable(spec)));
            }
        }
    }

    #[test]
    fn what_is_right_survives_its_document_and_its_labels(
        one in settings(), other in settings(), lively in life(), config in value(), mode in 0..0o7777_u32, drain in 0..10_000_u64,
    ) {
        let document = json!({
            "components": { "one": one, "other": other, "lively": lively },
            "copy": { "one": [{ "source": "/a", "target": "/b", "mode": format!("{mode:o}"), "uid": mode }] },
            "options": { "drain": format!("{drain}us") },
            "init": [one],
            "plugins": [{ "reload": { "config": config } }],
        });
        let spec = lower(&from_value("pod.yaml", &document).unwrap()).unwrap();
        let canonical = document::of(&spec);
        let again = lower(&from_value("pod.yaml", &canonical).unwrap()).unwrap();
        prop_assert_eq!(comparable(again), comparable(spec.clone()));
        let again = lower(&from_labels(&to_labels(&canonical)).unwrap()).unwrap();
        prop_assert_eq!(comparable(again), comparable(spec));
    }
}

/// The schema of what is at a place, and all that it may be.
fn at_path(whole: &Value, field: &str) -> Vec<Value> {
    let mut found = flat(whole, whole);
    for segment in field.split('.').flat_map(|part| part.split('[')).filter(|segment| !segment.is_empty()) {
        let index = segment.strip_suffix(']').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let inside = |schema: &Value| match index {
            Some(_) => schema.get("items").cloned(),
            None => schema["properties"]
                .get(segment)
                .or_else(|| {
                    schema["patternProperties"]
                        .as_object()?
                        .iter()
                        .find(|(pattern, _)| *pattern != "^x-")
                        .map(|it| it.1)
                })
                .or_else(|| schema.get("additionalProperties").filter(|it| it.is_object()))
                .cloned(),
        };
        found = found.iter().filter_map(inside).flat_map(|schema| flat(whole, &schema)).collect();
    }
    found
}

/// The schema itself and those that it refers to.
fn flat(whole: &Value, schema: &Value) -> Vec<Value> {
    let mut found = vec![schema.clone()];
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/definitions/")) {
        found.extend(flat(whole, &whole["definitions"][name]));
    }
    for inner in ["allOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()).flatten() {
        found.extend(flat(whole, inner));
    }
    found
}

#[test]
fn the_schema_has_every_key_that_is_read_and_no_other() {
    use crate::labels::schema::{Part, of};
    let schema = of(Part::Pod);
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut seen: std::collections::BTreeMap<String, Vec<&str>> = std::collections::BTreeMap::new();
    let mut texts = vec![
        "components: {app: {image: a, plugins: [{mine: {source: /m.wasm, grants: {pod: true}, limits: {memory: 1m}, config: }}]}}"
            .to_owned(),
    ];
    for case in ["every-key", "life", "compose-forms", "volumes", "copy-forms", "controller"] {
        texts.push(std::fs::read_to_string(cases.join(format!("good-{case}/pod.yaml"))).unwrap());
    }
    for text in texts {
        let mut report = super::Report::default();
        super::lower_with(&from_document("pod.yaml", &text).unwrap(), &mut report);
        seen.extend(report.seen.into_iter().map(|(at, known)| (at.field, known)));
    }
    // Read before lowering.
    let early = ["plugins", "name", "source", "target"];
    // Known only to say that an init component has none.
    let not_of_init = ["role", "essential", "probes", "post_start", "pre_stop", "depends_on"];
    let mut keys = 0;
    for (field, known) in &seen {
        let properties: Vec<String> = at_path(&schema, field)
            .iter()
            .filter_map(|it| it["properties"].as_object())
            .flat_map(|it| it.keys().cloned())
            .collect();
        assert!(!properties.is_empty(), "the schema has nothing at `{field}`");
        for key in known {
            let is_left_out = field.starts_with("init[") && not_of_init.contains(key);
            assert!(is_left_out || properties.iter().any(|it| it == key), "the schema lacks `{key}` of `{field}`");
            keys += 1;
        }
        for key in properties.iter().filter(|key| !early.contains(&key.as_str())) {
            assert!(known.contains(&key.as_str()), "`{key}` of `{field}` is in the schema only");
        }
    }
    assert!(keys > 200, "only {keys} keys were looked at");
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn look(schema: &Value, path: &str, silent: &mut Vec<String>) {
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            // A reference to a definition may be all that is said; then that says it.
            let refers = inner["$ref"].is_string() || inner["anyOf"][0]["$ref"].is_string();
            if !inner["description"].is_string() && !refers {
                silent.push(format!("{path}.{key}"));
            }
        }
        match schema {
            Value::Object(map) => map.iter().for_each(|(key, it)| look(it, &format!("{path}.{key}"), silent)),
            Value::Array(list) => list.iter().for_each(|it| look(it, path, silent)),
            _ => {}
        }
    }
    let mut silent = Vec::new();
    look(&crate::labels::schema::of(crate::labels::schema::Part::Pod), "", &mut silent);
    assert!(silent.is_empty(), "{silent:#?}");
}

/// What is noted of a stack file whose service has this `update_config` and these options of the pod.
fn notes_of_update(update: &str, options: &str) -> Vec<String> {
    let text = format!(
        "services:
  calc:
    image: outrigger
    stop_grace_period: 20s
    volumes: [/var/run/docker.sock:/var/run/docker.sock]
    labels: {{pod.component.app: 'image: a', pod.options: '{options}', pod.stop_grace_period: 20s}}
    deploy: {{update_config: {update}}}
"
    );
    let (sources, problems) = crate::labels::read_sources("s.yml", &text, &|_| None);
    assert!(problems.is_empty(), "{problems}");
    let (spec, problems) = super::lower_partly(&sources[0].raw);
    assert!(problems.is_empty(), "{problems}");
    spec.warnings.into_iter().filter(|note| note.contains("monitor")).collect()
}

#[test]
fn a_monitor_that_is_too_short_to_see_a_crash_is_noted() {
    for (update, options, needed) in [
        ("{failure_action: rollback}", "{}", "30s"),
        ("{failure_action: rollback, monitor: 29s}", "{}", "30s"),
        ("{order: start-first, monitor: 0s}", "{}", "30s"),
        ("{monitor: 1m}", "settle: 50s", "70s"),
    ] {
        let notes = notes_of_update(update, options);
        assert_eq!(notes.len(), 1, "{update}: {notes:?}");
        let note = &notes[0];
        assert!(note.contains("services.calc.deploy.update_config.monitor"), "{note}");
        assert!(note.contains(&format!("write `monitor: {needed}`")), "{note}");
    }
    for (update, options) in [
        ("{failure_action: rollback, monitor: 30s}", "{}"),
        ("{failure_action: continue}", "{}"),
        ("{failure_action: rollback}", "settle: 0"),
        ("{monitor: '${MONITOR}'}", "{}"),
        ("", "{}"),
    ] {
        assert_eq!(notes_of_update(update, options), [""; 0], "{update} {options}");
    }
}
