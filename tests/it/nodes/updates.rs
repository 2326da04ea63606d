//! What Swarm makes of a pod's one health and of its end: an update to a version that crashes rolls back, and a later repair is left alone.

use std::time::Duration;

use super::{Nodes, docker, docker_output, may_start_engines, wait_for};
use crate::e2e::controller_image;
use crate::support::{IMAGE, engine_or_fail};

const NODE: &str = "node1";

/// When the new version crashes after its start, Swarm's `monitor`, and what the pod then ends with. A version that is down again before `min_ready` never becomes
/// healthy, and ends with its start; another one with its own code. `monitor` is Swarm's default, but for a crash that comes later than that: there it is what
/// `check` asks for, `settle` and the grace period together.
const VERSIONS: [(u32, &str, i32); 4] = [(0, "5s", 125), (1, "5s", 125), (4, "5s", 3), (9, "20s", 3)];

fn label(script: &str, version: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        "pod.component.app=image: {IMAGE}\ncommand: [sh, -c, {script}]\nenvironment: {{VERSION: {version}}}\nrestart: {{policy: always, delay: 200ms}}\n"
    )
}

fn create(service: &str, monitor: &str, image: &str) {
    docker(
        NODE,
        &[
            "service",
            "create",
            "--detach",
            "--quiet",
            "--no-resolve-image",
            "--name",
            service,
            "--mount",
            "type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock",
            "--update-failure-action",
            "rollback",
            "--update-monitor",
            monitor,
            "--rollback-monitor",
            "1s",
            "--stop-grace-period",
            "10s",
            // The default is a minute; the rest is as it comes.
            "--container-label",
            "pod.options=start_deadline: 20s",
            "--container-label",
            &label("rm -f /tmp/end; until [ -e /tmp/end ]; do sleep 0.2; done; exit 1", "good"),
            image,
        ],
    );
}

/// The tasks of a service, newest first: id, desired state, state, error.
fn tasks(service: &str) -> String {
    super::tasks(NODE, service, "{{.ID}} {{.DesiredState}} {{.CurrentState}} {{.Error}}")
}

fn runs(service: &str) -> bool {
    tasks(service).lines().any(|line| line.contains(" Running Running "))
}

fn inspected(service: &str, format: &str) -> String {
    docker(NODE, &["service", "inspect", service, "--format", format])
}

fn evidence() -> String {
    let mut text = String::new();
    for service in docker(NODE, &["service", "ls", "--format", "{{.Name}}"]).lines() {
        let logs = docker_output(NODE, &["service", "logs", "--raw", "--tail", "30", service]);
        let state = inspected(service, "{{json .UpdateStatus}}");
        text.push_str(&format!("{service}: {state}\n{}{}\n", tasks(service), String::from_utf8_lossy(&logs.stderr)));
    }
    text
}

#[tokio::test]
async fn versions_that_crash_roll_back_and_a_repair_is_left_alone() {
    if !may_start_engines() {
        return;
    }
    let Some(engine) = engine_or_fail().await else { return };
    let image = controller_image(&engine).await;
    let _nodes = Nodes::of(&[NODE], &[&image, IMAGE]);
    let name = |after: u32| format!("crash-{after}");
    for (after, monitor, _) in VERSIONS {
        create(&name(after), monitor, &image);
    }
    create("mend", "5s", &image);
    let all = || VERSIONS.iter().all(|(after, _, _)| runs(&name(*after))) && runs("mend");
    wait_for("the good versions run", all, evidence).await;
    let before = tasks("mend");

    // All at once: each is an update of its own.
    for (after, _, _) in VERSIONS {
        let bad = label(&format!("sleep {after}; exit 3"), "bad");
        docker(
            NODE,
            &[
                "service",
                "update",
                "--detach",
                "--quiet",
                "--no-resolve-image",
                "--container-label-add",
                &bad,
                &name(after),
            ],
        );
    }
    // Meanwhile one is repaired, long after it became healthy.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let format = "{{.ID}} {{.Names}}";
    let listed = docker(NODE, &["ps", "--no-trunc", "--format", format]);
    let component =
        listed.lines().find(|line| line.contains(" mend.") && line.ends_with(".podlike.app")).expect(&listed);
    let component = component.split(' ').next().unwrap().to_owned();
    let started = || docker(NODE, &["inspect", &component, "--format", "{{.State.StartedAt}} {{.State.Running}}"]);
    let first = started();
    docker(NODE, &["exec", &component, "touch", "/tmp/end"]);
    wait_for("the component runs again", || started() != first && started().ends_with("true"), evidence).await;

    for (after, _, code) in VERSIONS {
        let service = name(after);
        let state = || inspected(&service, "{{.UpdateStatus.State}}");
        wait_for(&format!("`{service}` is rolled back"), || state() == "rollback_completed", evidence).await;
        wait_for(&format!("`{service}` runs"), || runs(&service), evidence).await;
        let label = inspected(&service, "{{index .Spec.TaskTemplate.ContainerSpec.Labels \"pod.component.app\"}}");
        assert!(label.contains("VERSION: good"), "{label}");
        let error = format!("non-zero exit ({code})");
        assert!(tasks(&service).contains(&error), "`{error}` is not among\n{}", evidence());
    }
    // By now Swarm would have replaced it.
    let task = |tasks: &str| tasks.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(task(&tasks("mend")), task(&before), "{}", evidence());
    assert!(runs("mend"), "{}", evidence());
}
