//! The label `pod.compose.file`, as a running controller reads it.

use std::path::Path;

use outrigger::engine::Engine;

use super::pod::{PodUnderTest, component};
use crate::support::{IMAGE, VolumeGuard, engine_or_fail, unique};

#[tokio::test]
async fn services_of_a_compose_file_in_the_controller_are_its_components() {
    let Some(engine) = engine_or_fail().await else { return };
    // Before the pod: a volume can be removed when its containers have gone.
    let data = VolumeGuard(unique("e2e", "compose-data"));
    let mut pod = PodUnderTest::new(&engine, "compose-file").await;
    let file = format!(
        r#"
name: shop
x-shell: &shell
  image: {IMAGE}
  stop_grace_period: 3s
services:
  migrate:
    <<: *shell
    command: [sh, -c, "echo tables > /data/made"]
    volumes: ["data:/data"]
    networks: [front]
  app:
    <<: *shell
    command:
      - sh
      - -c
      - 'echo "$$WORD $$WHO ${{PLACE:-nowhere}} ${{MISSING:-default}}"; cat /data/made /etc/copied; exec sleep 1000'
    env_file: settings/app.env
    environment: {{WHO: "${{WHO}}"}}
    ports: ["8080:80"]
    profiles: [never-asked-for]
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
    volumes: ["data:/data:ro"]
networks: {{front: {{}}}}
volumes:
  data: {{name: {}, labels: {{made-by: compose}}}}
"#,
        data.0
    );
    let settings = Path::new(pod.host_directory()).join("settings");
    std::fs::create_dir(&settings).unwrap();
    std::fs::write(settings.join("app.env"), "WORD=hello\n").unwrap();
    pod.change_file("copied", "copied\n");
    let path = pod.volume_file("compose.yml", &file);
    pod.spec().env.extend(["WHO=you".to_owned(), "PLACE=there".to_owned()]);
    pod.label("pod.compose.file", &path);
    // Other labels may stand beside it.
    pod.label("pod.copy.app", "/config/copied:/etc/copied");
    pod.start().await;
    for line in ["hello you there default", "tables", "copied"] {
        pod.says(&format!("[out] app: {line}")).await;
    }
    pod.reaches("running").await;
    let status = pod.status().await;
    let told = status["warnings"].to_string();
    for ignored in ["services.app.ports", "services.app.profiles", "services.migrate.networks", "networks"] {
        let warning = format!("`/config/compose.yml`, field `{ignored}`: is ignored: ");
        assert!(told.contains(&warning), "`{warning}` is missing in: {told}");
    }
    let made = engine.volume(&data.0).await.unwrap();
    assert_eq!(made.labels.get("made-by").map(String::as_str), Some("compose"));
    assert_eq!(pod.stop().await, 0);
}

/// Starts a controller whose label names a Compose file with this content, where there is one; answers what it says of it.
async fn refused(name: &str, content: Option<&str>, label: Option<(&str, &str)>) -> Option<String> {
    let engine = engine_or_fail().await?;
    let mut pod = PodUnderTest::new(&engine, name).await;
    pod.volume_file("other.yml", "");
    if let Some(content) = content {
        pod.change_file("compose.yml", content);
    }
    pod.label("pod.compose.file", "/config/compose.yml");
    if let Some((key, value)) = label {
        pod.label(key, value);
    }
    pod.start().await;
    assert_eq!(pod.ends().await, 1, "{}", pod.log().await);
    let log = pod.log().await;
    assert!(!log.contains("`: started") && !log.contains("[out]"), "nothing was started:\n{log}");
    Some(log)
}

#[tokio::test]
async fn a_compose_file_that_is_missing_or_beside_components_is_told_with_the_remedy() {
    let told = "error: `pod.compose.file`: cannot read `/config/compose.yml`: does not exist\n  hint: this is a path in the controller's container: mount the file there";
    let Some(log) = refused("compose-missing", None, None).await else { return };
    assert!(log.contains(told), "{log}");
    let beside = component("echo reached", "");
    let Some(log) = refused("compose-beside", Some("services: {}"), Some(("pod.component.app", &beside))).await else {
        return;
    };
    assert!(log.contains("`pod.compose.file`") && log.contains("pod.component.app") && log.contains("hint: "), "{log}");
}

#[tokio::test]
async fn every_problem_of_a_compose_file_is_told_with_its_place() {
    let file = format!(
        "services:\n  app:\n    image: {IMAGE}\n    command: [echo, reached]\n    stop_grace_period: soon\n    restart: sometimes\n  \
         web:\n    image: ${{TAG:?set TAG for the controller}}\n    extends: {{service: app}}\n  odd:\n    imag: {IMAGE}\n  good:\n    image: {IMAGE}\n    command: [echo, reached]\n\
         volumes: {{data: {{drivr: x}}}}\ninclude: [more.yml]\n"
    );
    let Some(log) = refused("compose-wrong", Some(&file), None).await else { return };
    let told = [
        ("services.app.stop_grace_period", "`soon` is not a duration, expected for instance `1m30s`"),
        ("services.app.restart", "expected `no`, "),
        (
            "services.web.image",
            "the variable `TAG` is required, but the controller does not have it\n  hint: set TAG for the controller",
        ),
        (
            "services.web.extends",
            "the controller does not support `extends` in a Compose file\n  hint: copy the settings here",
        ),
        ("services.odd.image", "is missing"),
        ("volumes.data.drivr", "unknown key\n  hint: did you mean `driver`?"),
        (
            "include",
            "the controller does not support `include` in a Compose file\n  hint: write all services into one file",
        ),
    ];
    let is_place = |line: &&str| line.trim_start().starts_with("--> /config/compose.yml:");
    assert_eq!(log.lines().filter(is_place).count(), told.len(), "each has its line and column:\n{log}");
    let words = log.lines().filter(|line| !is_place(line)).collect::<Vec<_>>().join("\n");
    for (field, what) in told {
        let problem = format!("error: `/config/compose.yml`, field `{field}`: {what}");
        assert!(words.contains(&problem), "`{problem}` is missing in:\n{log}");
    }
    assert!(log.contains("problems; nothing was started"), "{log}");
    assert!(!log.contains("is not an image reference"), "it follows from the missing variable: {log}");

    // What only planning finds has the same place.
    let file = format!("services:\n  app:\n    image: {IMAGE}\n    privileged: true\n    env_file: [nowhere.env]\n");
    let Some(log) = refused("compose-plan", Some(&file), None).await else { return };
    for field in ["privileged", "env_file"] {
        let place = format!("error: `/config/compose.yml`, field `services.app.{field}`: ");
        assert!(log.contains(&place), "`{place}` is missing in:\n{log}");
    }

    // What the policy refuses is told beside what could not be read.
    let file =
        format!("services:\n  app:\n    image: busybox:${{TAG}}\n  side:\n    image: {IMAGE}\n    privileged: true\n");
    let Some(log) = refused("compose-policy", Some(&file), None).await else { return };
    let told = "field `services.app.image`: `busybox:` is not an image reference\n --> /config/compose.yml:3:5\n  hint: the variable `TAG` is not set";
    assert!(log.contains(told) && log.contains("field `services.side.privileged`"), "{log}");
}
