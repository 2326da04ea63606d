//! Changed files in components of a real engine: links, rights, components that are down, and random sequences of all of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use outrigger::engine::Engine as _;
use outrigger::engine::docker::Docker;
use outrigger::pod::Mount;
use serde_json::Value;

use super::pod::{PodUnderTest, bind, component, wait_for};
use super::tools::commands::{Killed, command};
use crate::support::engine_or_fail;

/// Serves what its file says, and does not live with one that says `bad` or `deadly`.
const SERVER: &str = "load() { c=$(cat /etc/app/app.conf); echo \"serving $c\"; case $c in bad*|deadly*) exit 3;; esac; }; \
                      trap load HUP; trap 'exit 0' TERM; load; while :; do sleep 0.1; done";

const RESTARTED: &str = "restart: {policy: always, delay: 1s, max_delay: 1s}";

fn reload(target: &str, watch: &str) -> String {
    format!(
        "[{{reload: {{watch: {watch}, component: app, target: {target}, validate: [sh, -c, '! grep bad {{candidate}}'], signal: HUP, healthy-for: 500ms, \
         debounce: 100ms}}}}]"
    )
}

/// What `outrigger events` has of the rollouts of this pod, as soon as there are so many.
async fn events(name: String, words: Vec<&'static str>, count: usize) -> Vec<String> {
    let mut events =
        Killed(command(&[&["events", &name], &words[..]].concat()).stdout(Stdio::piped()).spawn().unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(events.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        lines.filter(|line| line.contains("rollout")).take(count).collect()
    });
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("the events come").unwrap()
}

#[tokio::test]
async fn events_show_rollouts_as_they_end_and_afterwards() {
    let Some(engine) = engine_or_fail().await else { return };
    let (mut pod, _) = pod(&engine, "files-events", "").await;
    pod.label("outrigger.controller", "true");
    pod.start().await;
    pod.says("[out] app: serving good first").await;
    pod.reaches("running").await;
    #[expect(clippy::disallowed_methods, reason = "the test owns this task, and awaits it")]
    let watching = tokio::spawn(events(pod.name().to_owned(), vec!["--json"], 2));
    pod.change_file("app.conf", "good second");
    pod.says("rollout of plugin `reload` applied").await;
    pod.change_file("app.conf", "bad third");
    for lines in [watching.await.unwrap(), events(pod.name().to_owned(), vec!["--json", "--since", "10m"], 2).await] {
        let told: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (told, outcome) in told.iter().zip(["applied", "refused"]) {
            let rollout = &told["rollout"];
            assert_eq!((&told["event"], &told["pod"]), (&"rollout".into(), &pod.name().into()), "{told}");
            assert_eq!((&rollout["outcome"], &rollout["plugin"]), (&outcome.into(), &"reload".into()), "{told}");
            assert_eq!(rollout["components"], serde_json::json!(["app"]), "{told}");
            assert!(told["time"].as_str().is_some_and(|time| time.starts_with("20")), "{told}");
        }
        let why = told[1]["rollout"]["text"].as_str().unwrap();
        assert!(why.contains("grep bad") && why.contains("nothing was changed"), "{why}");
    }
    let text = events(pod.name().to_owned(), vec!["--since", "10m"], 2).await;
    assert!(
        text[0].contains("applied") && text[1].contains("refused") && text[1].contains("nothing was changed"),
        "{text:?}"
    );
    pod.stop().await;
}

/// A pod whose crashes are repaired from the beginning.
async fn pod(engine: &Docker, name: &str, more: &str) -> (PodUnderTest, String) {
    let mut pod = PodUnderTest::new(engine, name).await;
    let config = pod.volume_file("app.conf", "good first");
    pod.label("pod.options", "{settle: 0s}");
    pod.label("pod.component.app", &component(SERVER, more));
    pod.label("pod.copy.app", &format!("{config}:/etc/app/app.conf"));
    pod.label("pod.plugins", &reload("/etc/app/app.conf", &config));
    (pod, config)
}

async fn content(pod: &PodUnderTest) -> String {
    // Through the engine: the component may be down.
    let id = pod.inspect("app").await.id;
    let engine = engine_or_fail().await.unwrap();
    let Ok(archive) = engine.download(&id, "/etc/app/app.conf", 1 << 20).await else { return String::new() };
    let mut archive = tar::Archive::new(archive.as_ref());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut archive.entries().unwrap().next().unwrap().unwrap(), &mut text).unwrap();
    text
}

async fn kill(engine: &Docker, pod: &PodUnderTest) {
    let id = pod.inspect("app").await.id;
    // It may be down already.
    drop(engine.signal(&id, 9).await);
}

async fn newest(pod: &PodUnderTest) -> (String, String) {
    let status = pod.status().await;
    let last = status["rollouts"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    (last["outcome"].as_str().unwrap_or_default().to_owned(), status["health"]["state"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_crash_loop_ends_and_a_bad_file_in_a_pause_is_rolled_back() {
    let Some(engine) = engine_or_fail().await else { return };
    let (mut pod, _) = pod(&engine, "files-down", RESTARTED).await;
    pod.change_file("app.conf", "deadly from the beginning");
    pod.start().await;
    pod.says("serving deadly from the beginning").await;
    pod.change_file("app.conf", "good");
    pod.says("[out] app: serving good").await;
    pod.says("rollout of plugin `reload` applied").await;
    // It must have run with the good one to be worth going back to.
    tokio::time::sleep(Duration::from_secs(3)).await;
    kill(&engine, &pod).await;
    pod.change_file("app.conf", "deadly");
    pod.says("rolled back to the last good version").await;
    assert_eq!(content(&pod).await, "good");
    wait_for("refused, and degraded", || async { newest(&pod).await == ("refused".to_owned(), "degraded".to_owned()) })
        .await;
    pod.change_file("app.conf", "good");
    wait_for("in force again", || async { newest(&pod).await.1 == "healthy" }).await;
    pod.stop().await;
}

#[tokio::test]
async fn links_lead_within_the_component_and_not_past_the_grant() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "files-links").await;
    pod.volume_file("unused", "");
    let root = Path::new(pod.host_directory()).to_owned();
    fs::create_dir_all(root.join("tree/..a")).unwrap();
    fs::write(root.join("tree/..a/app.conf"), "v1").unwrap();
    symlink("..a", root.join("tree/..data")).unwrap();
    symlink("..data/app.conf", root.join("tree/app.conf")).unwrap();
    let script = "mkdir -p /etc/available /etc/enabled /secret /etc/past; echo old > /etc/available/site; ln -s ../available/site /etc/enabled/site; \
                  rmdir /etc/past; ln -s /secret /etc/past; echo ready; exec sleep 1000";
    pod.label("pod.component.app", &component(script, ""));
    pod.label("pod.copy.app", "/config/tree:/etc/app");
    pod.label(
        "pod.plugins",
        "[{reload: {rules: [{watch: /config/tree, component: app, target: /etc/app, healthy-for: 0s, debounce: 100ms}, \
         {watch: /config/site, component: app, target: /etc/enabled/site, healthy-for: 0s, debounce: 100ms}, \
         {watch: /config/past, component: app, target: /etc/past/file, healthy-for: 0s, debounce: 100ms}]}}]",
    );
    pod.start().await;
    pod.says("ready").await;
    pod.reaches("running").await;
    fs::create_dir(root.join("tree/..b")).unwrap();
    fs::write(root.join("tree/..b/app.conf"), "v2").unwrap();
    symlink("..b", root.join("new")).unwrap();
    fs::rename(root.join("new"), root.join("tree/..data")).unwrap();
    pod.says("applied: app:/etc/app/app.conf").await;
    assert_eq!(pod.in_component("app", &["cat", "/etc/app/app.conf"]).await.1, "v2");
    pod.change_file("site", "new");
    pod.says("applied: app:/etc/enabled/site").await;
    assert_eq!(pod.in_component("app", &["cat", "/etc/enabled/site", "/etc/available/site"]).await.1, "newold\n");
    pod.change_file("past", "x");
    pod.says("a link in component `app` leads from `/etc/past/file` to `/secret/file`").await;
    assert_eq!(pod.in_component("app", &["ls", "/secret"]).await.1, "");
    pod.stop().await;
}

/// As Kubernetes mounts and updates a ConfigMap.
#[tokio::test]
async fn a_directory_that_is_exchanged_as_a_whole_leaves_nothing_of_the_old_one() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "files-exchanged").await;
    pod.volume_file("unused", "");
    let root = Path::new(pod.host_directory()).join("tree");
    fs::create_dir_all(root.join("..t1/sub")).unwrap();
    for file in ["a.conf", "b.conf", "sub/c.conf"] {
        fs::write(root.join("..t1").join(file), "v1\n").unwrap();
    }
    for (link, to) in
        [("..data", "..t1"), ("a.conf", "..data/a.conf"), ("b.conf", "..data/b.conf"), ("sub", "..data/sub")]
    {
        symlink(to, root.join(link)).unwrap();
    }
    pod.label("pod.component.app", &component("echo ready; exec sleep 1000", ""));
    pod.label("pod.copy.app", "/config/tree:/etc/app");
    pod.label(
        "pod.plugins",
        "[{reload: {watch: /config/tree, component: app, target: /etc/app, healthy-for: 0s, debounce: 300ms}}]",
    );
    pod.start().await;
    pod.says("ready").await;
    pod.reaches("running").await;
    let found = ["sh", "-c", "cd /etc/app && find . ! -type d | sort && grep -r . . | sort"];
    let listed = pod.in_component("app", &found).await.1;
    assert_eq!(listed, "./a.conf\n./b.conf\n./sub/c.conf\n./a.conf:v1\n./b.conf:v1\n./sub/c.conf:v1\n");
    fs::create_dir_all(root.join("..t2/sub")).unwrap();
    for file in ["a.conf", "sub/d.conf"] {
        fs::write(root.join("..t2").join(file), "v2\n").unwrap();
    }
    symlink("..t2", root.join("..new")).unwrap();
    fs::rename(root.join("..new"), root.join("..data")).unwrap();
    fs::remove_file(root.join("b.conf")).unwrap();
    fs::remove_dir_all(root.join("..t1")).unwrap();
    pod.says("rollout of plugin `reload` applied").await;
    wait_for("the new tree, and nothing else", || async {
        pod.in_component("app", &found).await.1 == "./a.conf\n./sub/d.conf\n./a.conf:v2\n./sub/d.conf:v2\n"
    })
    .await;
    pod.stop().await;
}

#[tokio::test]
async fn of_versions_that_come_during_a_rollout_only_the_newest_is_rolled_out() {
    let Some(engine) = engine_or_fail().await else { return };
    let (mut pod, config) = pod(&engine, "files-newest", RESTARTED).await;
    pod.label("pod.plugins", &reload("/etc/app/app.conf", &config).replace("500ms", "5s"));
    pod.start().await;
    pod.says("serving good first").await;
    pod.reaches("running").await;
    pod.change_file("app.conf", "good second");
    pod.says("serving good second").await;
    for version in ["good third", "deadly fourth", "good fifth"] {
        pod.change_file("app.conf", version);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    wait_for("that a newer version waits", || async {
        let status = pod.status().await;
        let told = status["not_in_force"][0].as_str().unwrap_or_default().to_owned();
        told.contains("a newer version of") && status["health"]["state"] == "degraded"
    })
    .await;
    pod.says("serving good fifth").await;
    wait_for("in force", || async { newest(&pod).await == ("applied".to_owned(), "healthy".to_owned()) }).await;
    let log = pod.log().await;
    assert!(!log.contains("third") && !log.contains("fourth"), "{log}");
    pod.stop().await;
}

#[tokio::test]
async fn a_refused_rollout_leaves_no_directory_and_the_longest_file_arrives() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "files-walls").await;
    pod.volume_file("first", "1");
    let root = Path::new(pod.host_directory()).join("tree");
    fs::create_dir(&root).unwrap();
    let server = "mkdir -p /made; while :; do sleep 0.1; done";
    pod.label("pod.component.app", &component(&format!("trap 'exit 0' TERM; {server}"), ""));
    pod.label(
        "pod.plugins",
        "[{reload: {watch: /config/tree, component: app, target: /made/here, validate: [sh, -c, '! grep bad {candidate}'], healthy-for: 100ms, debounce: 100ms}}]",
    );
    pod.start().await;
    pod.reaches("running").await;
    let id = pod.inspect("app").await.id;
    fs::create_dir_all(root.join("sub/x")).unwrap();
    fs::write(root.join("sub/x/y"), "bad").unwrap();
    pod.says("rollout of plugin `reload` refused").await;
    for directory in ["/made/here/sub/x", "/made/here/sub", "/made/here"] {
        assert_eq!(engine.stat(&id, directory).await.unwrap(), None, "{directory}");
    }
    fs::remove_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("longest"), vec![b'x'; 8 << 20]).unwrap();
    pod.says("app:/made/here/longest at ").await;
    wait_for("the longest file", || async { engine.stat(&id, "/made/here/longest").await.unwrap().is_some() }).await;
    let status = pod.status().await;
    assert_eq!(status["plugins"][0]["failures"], 0, "{status}");
    pod.stop().await;
}

#[tokio::test]
async fn mode_and_owner_are_kept_without_capabilities() {
    let Some(engine) = engine_or_fail().await else { return };
    let (mut pod, _) = pod(&engine, "files-rights", "user: \"1000:1001\"\ncap_drop: [ALL]").await;
    let file = Path::new(pod.host_directory()).join("app.conf");
    chown(&file, Some(1000), Some(1001)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    pod.start().await;
    pod.says("serving good first").await;
    pod.reaches("running").await;
    pod.change_file("app.conf", "good second");
    pod.says("serving good second").await;
    let (_, said) = pod.in_component("app", &["stat", "-c", "%a %u %g", "/etc/app/app.conf"]).await;
    assert_eq!(said.trim(), "600 1000 1001");
    let log = pod.log().await;
    assert!(!log.contains("is not atomic"), "{log}");
    pod.stop().await;
}

#[tokio::test]
async fn a_replaced_mount_of_a_single_file_is_named() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "files-single").await;
    pod.volume_file("app.conf", "good first");
    let source = Path::new(pod.host_directory()).join("app.conf").to_str().unwrap().to_owned();
    pod.spec().mounts.push(Mount { read_only: true, ..bind(&source, "/single.conf") });
    pod.label("pod.component.app", &component(SERVER, ""));
    pod.label("pod.copy.app", "/single.conf:/etc/app/app.conf");
    pod.label("pod.plugins", &reload("/etc/app/app.conf", "/single.conf"));
    pod.start().await;
    pod.says("watched file `/single.conf`: this is a mount of a single file").await;
    pod.change_file("app.conf", "good second");
    pod.says("watched file `/single.conf`: the file was replaced or removed on the host").await;
    let warnings = pod.status().await["warnings"].to_string();
    assert!(warnings.contains("still has the old content"), "{warnings}");
    pod.stop().await;
}

/// A tool that deploys by `rm -rf` and `mkdir` leaves the mount with an empty directory that nobody writes to any more.
#[tokio::test]
async fn a_replaced_directory_behind_a_mount_removes_nothing_and_is_named() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "files-moved").await;
    let host = Path::new(pod.host_directory()).to_owned();
    for name in ["renamed", "removed"] {
        fs::create_dir(host.join(name)).unwrap();
        fs::write(host.join(name).join("app.conf"), "good first").unwrap();
        pod.spec()
            .mounts
            .push(Mount { read_only: true, ..bind(host.join(name).to_str().unwrap(), &format!("/{name}")) });
    }
    let rule = |name: &str| format!("{{watch: /{name}, component: app, target: /etc/{name}}}");
    pod.label("pod.component.app", &component("trap exit TERM; while :; do sleep 0.1; done", ""));
    pod.label("pod.copy.app", "- /renamed:/etc/renamed\n- /removed:/etc/removed\n");
    pod.label("pod.plugins", &format!("- reload: {{rules: [{}, {}]}}", rule("renamed"), rule("removed")));
    pod.start().await;
    pod.reaches("running").await;
    fs::rename(host.join("renamed"), host.join("aside")).unwrap();
    fs::remove_dir_all(host.join("removed")).unwrap();
    for name in ["renamed", "removed"] {
        fs::create_dir(host.join(name)).unwrap();
        fs::write(host.join(name).join("app.conf"), "good second").unwrap();
        pod.says(&format!(
            "watched `/{name}`, mount `/{name}`: the directory that is mounted here was renamed or removed"
        ))
        .await;
    }
    let warnings = pod.status().await["warnings"].to_string();
    assert!(warnings.contains("restart the pod"), "{warnings}");
    let (_, content) = pod.in_component("app", &["cat", "/etc/renamed/app.conf", "/etc/removed/app.conf"]).await;
    assert_eq!(content, "good firstgood first");
    assert!(!pod.log().await.contains("rollout of plugin"), "{}", pod.log().await);
    pod.stop().await;
}

/// A generator whose sequences a failure names by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        // Knuth's constants for 64 bits (MMIX).
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[tokio::test]
async fn the_last_good_version_is_in_force_whatever_happens() {
    let Some(engine) = engine_or_fail().await else { return };
    for seed in [1, 2] {
        let (mut pod, _) = pod(&engine, &format!("files-random-{seed}"), RESTARTED).await;
        pod.start().await;
        pod.says("serving good first").await;
        let mut random = Random(seed);
        let mut last_good = "good first".to_owned();
        let mut steps = Vec::new();
        for number in 0..5 {
            // Long enough to have proven the version that is in force.
            tokio::time::sleep(Duration::from_secs(3)).await;
            let word = ["good", "good", "bad", "deadly"][usize::try_from(random.below(4)).unwrap()];
            let text = format!("{word} {seed}.{number}");
            let killed = random.below(2) == 1;
            if killed {
                kill(&engine, &pod).await;
                tokio::time::sleep(Duration::from_millis(random.below(1200))).await;
            }
            let in_place = random.below(2) == 1;
            if in_place {
                fs::write(Path::new(pod.host_directory()).join("app.conf"), &text).unwrap();
            } else {
                pod.change_file("app.conf", &text);
            }
            steps.push((text.clone(), killed, in_place));
            if word == "good" {
                last_good.clone_from(&text);
            }
            pod.says(&format!("at {}", digest(&text))).await;
            wait_for(&format!("{last_good} in force after {steps:?}"), || async { content(&pod).await == last_good })
                .await;
            pod.says(&format!("serving {last_good}")).await;
        }
        pod.stop().await;
    }
}

/// As `reload` shows it.
fn digest(text: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text))[..12].to_owned()
}
