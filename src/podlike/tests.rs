use serde_json::json;

use super::*;

fn found(stack: &str) -> Vec<Difference> {
    let stack = yaml::parse(&Place::new("f"), stack, &mut Problems::default()).unwrap();
    differences(&stack, &stack)
}

/// `label field` of each.
fn places(stack: &str) -> Vec<String> {
    found(stack).iter().map(|it| format!("{} {}", it.label, it.field).trim().to_owned()).collect()
}

fn component(body: &str) -> Vec<String> {
    let stack = json!({"services": {"s": {"image": "outrigger", "command": "-logs -ipc=false", "labels": {"pod.component.a": body}}}});
    let found = differences(&stack, &stack);
    found.iter().filter(|it| !it.label.is_empty()).map(|it| it.field.clone()).collect()
}

#[test]
fn what_is_not_a_pod_is_left_alone() {
    assert_eq!(found("services: {a: {image: x, labels: {b: c}, healthcheck: {}, command: x}, b: {image: y}}"), []);
}

#[test]
fn the_pod_as_a_whole() {
    let stack = "services: {s: {image: 'rycus86/podlike:0.3', command: [-pids, x, -volumes], labels: ['pod.component.a=image: x', 'pod.component.b=image: y',
        'pod.copy.a=/a:/b', 'pod.init.components=[{image: i}]'], deploy: {restart_policy: {condition: on-failure}, resources: {limits: {memory: 64M}}},
        healthcheck: {test: x}, secrets: [{source: s, target: podlike/dockerregistryauth.json}]}}";
    assert_eq!(
        places(stack),
        [
            "image",
            "command",
            "command",
            "command",
            "command[1]",
            "deploy.restart_policy.condition",
            "deploy.resources.limits.memory",
            "healthcheck",
            "",
            "secrets[0]",
            "pod.copy.a",
            "pod.init.components"
        ]
    );
}

#[test]
fn a_pod_that_says_what_it_wants_differs_in_its_exit_code_only() {
    let stack = "services: {s: {image: outrigger, command: -logs=false -ipc=0, labels: {pod.component.a: 'image: x'}}}";
    assert_eq!(places(stack), [""]);
    assert!(found(stack)[0].what.contains("exit code") || found(stack)[0].what.contains("ended with 0"));
}

#[test]
fn values_of_our_own_flags_are_no_arguments() {
    let stack = "services: {s: {command: -logs -ipc=false --allow privileged --keep-failed=0 x, labels: {pod.component.a: 'image: x'}}}";
    assert_eq!(places(stack), ["command[5]", ""]);
}

#[test]
fn a_health_check_of_the_service_counts_where_it_is_another_one() {
    let of = |check| {
        places(&format!(
            "services: {{s: {{command: -logs -ipc=false, healthcheck: {check}, labels: {{pod.component.a: 'image: x'}}}}}}"
        ))
    };
    assert_eq!(of("{retries: 60}"), [""]);
    assert_eq!(of("{test: x}"), ["", "healthcheck"]);
    assert_eq!(of("{disable: true}"), ["", "healthcheck"]);
    assert_eq!(of("{start_period: 15s}"), ["", "healthcheck.start_period"]);
}

#[test]
fn a_copy_that_sets_its_mode_does_not_differ() {
    let of = |files: &str| {
        let stack = json!({"services": {"s": {"command": "-logs=false -ipc=false", "labels": {"pod.component.a": "image: x", "pod.copy.a": files}}}});
        differences(&stack, &stack).iter().filter(|it| it.label == "pod.copy.a").count()
    };
    for same in [
        "{source: /a, target: /b, mode: '0644'}",
        "[{source: /a, target: /b, mode: 0644}, {/c: {target: /d, mode: '0400'}}]",
        "/a: {target: /b, mode: '0644'}\n/c: {target: /d, mode: '0644'}\n",
    ] {
        assert_eq!(of(same), 0, "{same}");
    }
    for differs in [
        "/a:/b",
        "[/a:/b]",
        "/a: /b",
        "{source: /a, target: /b}",
        "[{source: /a, target: /b, mode: '0644'}, /c:/d]",
        "/a: {target: /b, mode: '0644'}\n/c: {target: /d, uid: 1}\n",
    ] {
        assert_eq!(of(differs), 1, "{differs}");
    }
}

#[test]
fn one_component_has_the_whole_limit() {
    let one = "services: {s: {command: -logs -ipc=false, mem_limit: 1g, labels: {pod.component.a: 'image: x'}}}";
    assert_eq!(places(one), [""]);
    let all = "services: {s: {command: -logs -ipc=false, mem_limit: 1g, labels: {pod.component.a: '{image: x, mem_limit: 1m}', pod.component.b: '{image: x, mem_limit: 1m}'}}}";
    assert_eq!(places(all), [""]);
}

#[test]
fn settings_that_podlike_refused_misread_or_passed_over() {
    for (body, fields) in [
        ("{image: x, environment: [A, B=c]}", vec!["environment[0]"]),
        (
            "{image: x, environment: {A: , B: 1, C: c, D: true}}",
            vec!["environment.A", "environment.B", "environment.D"],
        ),
        ("{image: x, labels: {A: 1}}", vec!["labels.A"]),
        (
            "{image: x, env_file: a, tmpfs: /x, mem_reservation: 5m}",
            vec!["env_file", "env_file", "tmpfs", "mem_reservation"],
        ),
        ("{image: x, env_file: [{path: a, format: raw}], tmpfs: [/x], mem_reservation: 5}", vec![]),
        ("{image: x, env_file: [{path: a, format: raw}, b]}", vec!["env_file"]),
        (
            "{image: x, blkio_config: {device_write_bps: [], device_read_bps: [], device_read_iops: []}}",
            vec!["blkio_config.device_write_bps", "blkio_config.device_read_iops"],
        ),
        ("{image: x, volumes: ['a:/b', './a:/b', 'a:/b:nocopy', 'a:/b:ro', /c]}", vec!["volumes[1]", "volumes[2]"]),
        (
            "{image: x, volumes: ['/a:/b', {type: bind, source: /a, target: /c}, {type: bind, source: /a, target: /d, bind: {create_host_path: false}}]}",
            vec!["volumes[0]", "volumes[1]"],
        ),
        (
            "{image: x, volumes: [{type: tmpfs, target: /a, tmpfs: {size: 50m}}, {type: tmpfs, target: /b, tmpfs: {size: 50000000}}, {type: tmpfs, target: /c}]}",
            vec!["volumes[0].tmpfs.size"],
        ),
        (
            "{image: x, depends_on: {a: {condition: service_healthy}, b: {condition: service_completed_successfully, required: false}}}",
            vec!["depends_on.b.condition", "depends_on.b.required"],
        ),
        ("{image: x, restart: always, tty: true, stop_signal: HUP}", vec!["restart", "tty"]),
        ("{image: x, privileged: yes, read_only: On, stdin_open: true}", vec!["privileged", "read_only"]),
    ] {
        assert_eq!(component(body), fields, "{body}");
    }
}

#[test]
fn a_size_of_podlikes_is_told_in_bytes() {
    let stack = "services: {s: {labels: {pod.component.a: '{image: x, volumes: [{type: tmpfs, target: /a, tmpfs: {size: 50m}}]}'}}}";
    let told = found(stack).into_iter().find(|it| it.field == "volumes[0].tmpfs.size").unwrap();
    assert_eq!(
        told.what,
        "podlike reads `50m` as 50000000 bytes; Outrigger reads it as 52428800 bytes, as Compose does"
    );
    assert_eq!(told.remedy, "write `50000000`");
}

#[test]
fn rendering() {
    let stack = "
services:
  s: {image: 'a:${T}', user: '1', entrypoint: x, depends_on: [b], volumes: ['d:/d'], command: 'echo $$HOME', working_dir: /w, x-podlike: {init: a, templates: [{file: /b}]}}
  plain: {image: x, user: '1'}
x-podlike:
  s: {init: b, copy: c, templates: [{file: {path: x, fallback: /y}}]}
";
    assert_eq!(
        places(stack),
        [
            "x-podlike pod",
            "x-podlike init",
            "x-podlike templates",
            "x-podlike copy",
            "x-podlike templates[0].file",
            "x-podlike templates[0].file.fallback",
            "entrypoint",
            "user",
            "working_dir",
            "depends_on",
            "volumes",
            "image"
        ]
    );
}

#[test]
fn the_reference_names_every_setting_that_is_told() {
    let reference = include_str!("../../docs/podlike.md");
    for word in [
        "-logs=false",
        "-ipc=false",
        "-volumes",
        "0644",
        "env_file",
        "tmpfs",
        "mem_reservation",
        "device_write_bps",
        "255",
        "on-failure",
        "mem_limit",
        "rycus86/podlike",
        "depends_on",
        "healthcheck",
        "entrypoint",
        "Docker Hub",
        "tty",
        "restart",
        "PODLIKE_VERSION",
        "DEBUG",
        "--allow=privileged",
        "userns_mode",
        "`yes`",
        "create_host_path",
        "52,428,800",
    ] {
        assert!(reference.contains(word), "`{word}` is missing in docs/podlike.md");
    }
}
