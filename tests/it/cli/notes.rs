//! Notes about what is right and probably not meant, and hints that lead to what there is.

use super::{code, err, fed, out, outrigger};

fn stack(service: &str, component: &str) -> String {
    format!(
        "version: '3.8'\nservices:\n  web:\n    image: outrigger\n    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']\n{service}    labels:\n      pod.component.app: |\n        image: busybox\n        {component}\nvolumes: {{data: {{}}}}\n"
    )
}

/// The notes of `check`, which finds nothing wrong; those of `plan` are the same.
fn notes(text: &str) -> String {
    let output = fed(&["check", "-"], text);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let notes: Vec<_> =
        out(&output).lines().filter_map(|line| line.trim().strip_prefix("note: ")).map(str::to_owned).collect();
    let plan = out(&fed(&["plan", "-"], text));
    for note in &notes {
        assert!(plan.contains(note), "`{note}` is missing in:\n{plan}");
    }
    notes.join("\n")
}

#[test]
fn a_command_that_needs_a_shell_is_noted() {
    for component in [
        "probes: {readiness: {exec: 'echo db refused; exit 1'}}",
        "post_start: [{command: 'test -e /f || touch /f'}]",
        "pre_stop: [{command: 'echo bye > /f'}]",
        "command: 'a && b'",
    ] {
        let told = notes(&stack("", component));
        assert!(
            told.contains("no shell reads this command, so `") && told.contains("`[sh, -c, \"…\"]`"),
            "{component}: {told}"
        );
        assert_eq!(told.lines().count(), 1, "{component}: {told}");
    }
    for component in [
        "probes: {readiness: {exec: [sh, -c, 'echo db refused; exit 1'], period: 10s}}",
        "probes: {readiness: {exec: \"sh -c 'a || b'\", period: 10s}}",
        "healthcheck: {test: 'a || exit 1', interval: 10s}",
        "command: [a, '&&', b]",
    ] {
        assert!(!notes(&stack("", component)).contains("no shell"), "{component}");
    }
}

#[test]
fn a_volume_that_a_stack_does_not_declare_is_noted() {
    let told = notes(&stack("", "volumes: ['typo:/x']"));
    assert!(told.contains("this file does not declare `typo`") && told.contains("`typo:/unused`"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    let external = stack("", "volumes: ['typo:/x']")
        .replace("labels:\n", "labels:\n      pod.volumes: '{typo: {external: true}}'\n");
    assert_eq!(notes(&external), "");
}

#[test]
fn two_tasks_with_one_port_of_a_node_are_noted() {
    let service = |order: &str| {
        format!(
            "    ports: [{{target: 80, published: 18099, mode: host}}]\n    deploy: {{update_config: {{order: {order}, monitor: 5m}}}}\n"
        )
    };
    let told = notes(&stack(&service("start-first"), "tty: false"));
    assert!(
        told.contains("`services.web.deploy.update_config.order`: with `start-first`") && told.contains("18099"),
        "{told}"
    );
    assert!(!notes(&stack(&service("stop-first"), "tty: false")).contains("18099"));
}

/// What a file holds may be as long as the file.
#[test]
fn a_plan_has_room_for_words_of_any_length() {
    let long = "x".repeat(70_000);
    let variables: String = (0..20_000).map(|n| format!("VARIABLE_{n}: ''\n      ")).collect();
    for component in [
        format!("command: ['{long}']"),
        format!("labels: {{a: '{long}'}}"),
        format!("healthcheck: {{test: 'echo {long}'}}"),
        format!("environment:\n      {variables}"),
    ] {
        let output = fed(&["plan", "-"], &format!("components:\n  app:\n    image: busybox\n    {component}\n"));
        assert_eq!(code(&output), 0, "{}", err(&output));
        let longest = out(&output).lines().map(str::len).max().unwrap_or_default();
        assert!((1_000..10_000).contains(&longest), "{longest}");
    }
}

#[test]
fn what_a_file_of_variables_holds_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pod.yaml");
    std::fs::write(&file, "components: {app: {image: busybox, mem_limit: '${PW}'}}").unwrap();
    std::fs::write(folder.path().join(".env"), "A=1\nPW=foobar${SDFwhK:?hunter2}x\n").unwrap();
    let check = || outrigger(&["check", file.to_str().unwrap()]).output().unwrap();
    let told = err(&check());
    assert!(told.contains("line 2: `PW` requires a variable that is not set"), "{told}");
    assert!(["foobar", "SDFwhK", "hunter2"].iter().all(|piece| !told.contains(piece)), "{told}");
    std::fs::write(folder.path().join(".env"), "PW=hunter2\n").unwrap();
    let told = err(&check());
    assert!(told.contains("`${PW}` is not a size") && !told.contains("hunter2"), "{told}");
}

#[test]
fn hints_lead_to_what_there_is() {
    let wrong = |text: &str| {
        let output = fed(&["check", "-"], text);
        assert_eq!(code(&output), 1, "{}", out(&output));
        err(&output)
    };
    let pod = |component: &str| wrong(&format!("components: {{app: {{image: busybox, {component}}}}}"));
    let told = pod("volumes: ['./data:/data']");
    assert!(
        told.contains("`controller.volumes`") && told.contains("`--volumes`") && !told.contains("stack file"),
        "{told}"
    );
    let told = wrong(&stack("", "volumes: ['./data:/data']"));
    assert!(told.contains("`volumes` of the controller's service"), "{told}");
    for (component, expected) in [
        ("port: 80", "did you mean `ports`? Set it on the controller"),
        ("environment: [A: b]", "in a list, write `A=value`"),
        ("hostname: x", "set it on `controller`"),
        ("mac_address: x", "write a stack file"),
        ("deploy: {replicas: 2}", "in a stack file"),
        ("env_file: ./x.env", "`controller.volumes`"),
    ] {
        let told = pod(component);
        assert!(told.contains(expected), "{component}: {told}");
    }
    let told = wrong(
        "components: {app: {image: busybox}}\ncontroller: {deploy: {replicas: 2}, container_name: x, command: [y]}\n",
    );
    for expected in ["use a stack file of Swarm", "did you mean `name`?", "write the flags in `flags`"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let right = "components: {app: {image: busybox}}\ncontroller: {restart: unless-stopped, hostname: web, extra_hosts: {db: 10.0.0.1}, dns: 10.0.0.2}\n";
    assert_eq!(code(&fed(&["check", "-"], right)), 0);
}

#[test]
fn a_placeholder_of_swarm_in_a_label_is_noted() {
    let told = notes(&stack("", "command: [serve, '{{.Task.Name}}']"));
    assert!(
        told.contains("`services.web.labels.pod.component.app`: Swarm does not replace `{{.Task.Name}}` in a label"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    let own = "    environment: {NAME: '{{.Task.Name}}'}\n";
    assert_eq!(notes(&stack(own, "environment: [NAME]")), "");
}

#[test]
fn the_text_none_is_a_command_of_a_health_check() {
    let told = notes(&stack("", "healthcheck: {test: NONE, interval: 30s}"));
    assert!(told.contains("`healthcheck.test`: runs the command `NONE` in a shell, as Compose does"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(notes(&stack("", "healthcheck: {test: [NONE]}")), "");
}
