//! Whole pods on a real engine: the controller in its container, components beside it, and nothing left at the end.

mod compose;
mod copies;
mod idle;
mod life;
mod metrics;
mod placement;
pub mod pod;
mod policy;
mod probes;
mod resources;
mod restart;
mod restarts;
mod rollouts;
mod storage;
pub mod tools;
mod volumes;

use std::time::Duration;

use outrigger::engine::{Engine, EngineHealth};
use outrigger::pod::life::ExecCommand;

pub use self::pod::controller_image;
use self::pod::{PodUnderTest, component, wait_for};
use crate::support::{IMAGE, engine_or_fail};

/// A component that runs until it is told to stop, and says so.
const SERVER: &str = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done";

#[tokio::test]
async fn components_share_namespaces_and_nothing_is_left() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "share").await;
    // The one listens on the pod's network, leaves a queue in its IPC namespace and is seen in its PID namespace; the other looks.
    pod.label("pod.component.one", &component("exec nc -ll -p 7777 -e /bin/cat", ""));
    let script = "until echo hello | nc -w 1 127.0.0.1 7777; do sleep 0.1; done; ps | grep -c '[n]c -ll'; readlink /proc/self/ns/ipc; sleep 1000";
    pod.label("pod.component.two", &component(script, "depends_on: [one]"));
    pod.start().await;
    pod.says("[out] two: hello").await;
    pod.says("[out] two: 1").await;
    let namespace = |which: &str| {
        let name = format!("{}.podlike.{which}", pod.name());
        let engine = engine.clone();
        async move {
            let id = engine.inspect(&name).await.unwrap().id;
            let argv = ["readlink", "/proc/self/ns/ipc"].map(str::to_owned);
            engine.exec(&id, &ExecCommand::new(argv), Duration::from_secs(10), 4096).await.unwrap().stdout
        }
    };
    assert_eq!(namespace("one").await, namespace("two").await, "one IPC namespace");
    // Podman's containers can be joined as they are: then nobody has to lend a namespace.
    let private = engine.inspect(pod.name()).await.unwrap().ipc_mode == "private";
    let expected = if private { &["ipc", "one", "two"][..] } else { &["one", "two"] };
    let expected: Vec<_> = expected.iter().map(|which| format!("{}.podlike.{which}", pod.name())).collect();
    assert_eq!(pod.components().await, expected);
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn the_exit_code_is_the_deciding_components() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "code").await;
    pod.label("pod.component.app", &component("echo working; sleep 0.5; exit 42", ""));
    pod.label("pod.component.web", &component(SERVER, ""));
    pod.start().await;
    assert_eq!(pod.ends().await, 42);
    let log = pod.log().await;
    assert!(log.contains("[out] app: working") && log.contains("[out] web: bye"), "{log}");
}

#[tokio::test]
async fn init_components_and_copied_files() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "init").await;
    let init = format!(
        "[{{image: {IMAGE}, command: [sh, -c, 'echo one']}}, {{image: {IMAGE}, command: [sh, -c, 'echo two']}}]"
    );
    pod.label("pod.init.components", &init);
    pod.label("pod.component.app", &component("cat /made/on/the/way/hosts | head -n 1; exit 0", ""));
    // A file of the controller's own; the directories do not exist in the component.
    pod.label("pod.copy.app", "/etc/hosts:/made/on/the/way/hosts");
    pod.start().await;
    assert_eq!(pod.ends().await, 0);
    let log = pod.log().await;
    let position = |line: &str| log.find(line).unwrap_or_else(|| panic!("`{line}` is missing in:\n{log}"));
    assert!(position("[out] init-1: one") < position("[out] init-2: two"));
    assert!(log.contains("[out] app: 127.0.0.1"), "{log}");
}

#[tokio::test]
async fn health_of_components_is_the_controllers() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "health").await;
    let check = "healthcheck: {test: [CMD, test, -e, /tmp/ok], interval: 300ms, retries: 1}";
    pod.label("pod.component.app", &component("sleep 1; touch /tmp/ok; exec sleep 1000", check));
    pod.start().await;
    let (code, said) = pod.command(&["/outrigger", "healthcheck"]).await;
    assert_eq!(code, 1, "{said}");
    wait_for("the controller is healthy", || async {
        engine.inspect(pod.name()).await.unwrap().health == Some(EngineHealth::Healthy)
    })
    .await;
    assert_eq!(pod.command(&["/outrigger", "healthcheck"]).await.0, 0);
    let (code, status) = pod.command(&["/outrigger", "status", "--json"]).await;
    assert_eq!(code, 0, "{status}");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["stage"], "running");
    assert_eq!(status["components"][0]["name"], "app");
    assert_eq!(pod.stop().await, 0, "in the pod's PID namespace `sleep` is not PID 1, and heeds SIGTERM");
}

#[tokio::test]
async fn a_component_that_ignores_sigterm_does_not_hang_the_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "deaf").await;
    pod.label(
        "pod.component.app",
        &component("trap '' TERM; echo ready; while :; do sleep 1; done", "stop_grace_period: 1s"),
    );
    pod.start().await;
    pod.says("[out] app: ready").await;
    let began = std::time::Instant::now();
    assert_eq!(pod.stop().await, 137);
    assert!(began.elapsed() < Duration::from_secs(8), "took {:?}", began.elapsed());
}

#[tokio::test]
async fn strange_output_arrives_whole() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "output").await;
    // One MiB in one line, bytes that are no text, and a last line without a newline.
    let script = "head -c 1048576 /dev/zero | tr '\\0' x; echo; printf 'a\\377b\\n'; printf end";
    pod.label("pod.component.long", &component(&format!("{script}; sleep 2"), ""));
    pod.label("pod.component.term", &component("echo from a terminal; sleep 1000", "tty: true"));
    pod.start().await;
    pod.ends().await;
    let log = pod.output().await;
    let longest = log.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    assert_eq!(longest, 1_048_576 + "[out] long: ".len());
    let has = |line: &[u8]| log.split(|byte| *byte == b'\n').any(|found| found == line);
    // The engine's own log keeps text only: it puts U+FFFD in the place of what is none.
    assert!(
        has("[out] long: a\u{fffd}b".as_bytes()) && has(b"[out] long: end"),
        "{}",
        String::from_utf8_lossy(&log[log.len() - 300..])
    );
    assert!(has(b"[out] term: from a terminal"));
}

#[tokio::test]
async fn a_missing_image_is_told_and_nothing_remains() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "image").await;
    pod.label("pod.component.app", "image: 127.0.0.1:1/not-there:1.0");
    pod.label("pod.component.web", &component(SERVER, ""));
    pod.start().await;
    assert_eq!(pod.ends().await, 125);
    let log = pod.log().await;
    assert!(log.contains("`app`") && log.contains("127.0.0.1:1/not-there:1.0") && log.contains("docker load"), "{log}");
}

#[tokio::test]
async fn every_problem_of_the_labels_is_told_at_once() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "bad").await;
    pod.label("pod.component.app", "{imag: x, depends_on: [nobody]}");
    pod.label("pod.component.web", "{image: y, copy: 3}");
    pod.label("pod.copy.web", "/not/there:/etc/x");
    pod.label("pod.plugins", "[{reload: {wach: /x}}]");
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    for expected in ["`imag`", "`nobody`", "`copy`", "did you mean `image`"] {
        assert!(log.contains(expected), "`{expected}` is missing in:\n{log}");
    }
}

#[tokio::test]
async fn what_a_killed_controller_left_is_removed_by_the_next() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut first = PodUnderTest::new(&engine, "killed").await;
    first.flag("-pids=false");
    first.label("pod.component.app", &component("exec sleep 1000", ""));
    first.label("pod.component.web", &component("exec sleep 1000", ""));
    first.start().await;
    wait_for("both run", || async { first.components().await.len() == 3 }).await;
    first.reaches("running").await;
    first.kill().await;
    assert_eq!(first.components().await.len(), 3, "orphans are there to be cleaned up");
    // Another pod, of another name.
    let mut second = PodUnderTest::new(&engine, "next").await;
    second.label("pod.component.app", &component(SERVER, ""));
    second.start().await;
    second.says("[out] app: ready").await;
    assert_eq!(first.components().await, Vec::<String>::new());
    assert_eq!(second.stop().await, 0);
    // And the first one again, under its own name: its names are free.
    first.start().await;
    first.reaches("running").await;
    first.kill().await;
    first.start().await;
    first.reaches("running").await;
    assert_eq!(first.components().await.len(), 3);
    first.stop().await;
}

#[tokio::test]
async fn sigterm_during_start_up_is_heard() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "early").await;
    pod.label(
        "pod.init.components",
        &format!(
            "[{{image: {IMAGE}, command: [sh, -c, \"trap 'exit 0' TERM; echo waiting; while :; do sleep 0.1; done\"]}}]"
        ),
    );
    pod.label("pod.component.app", &component(SERVER, ""));
    pod.start().await;
    pod.says("[out] init-1: waiting").await;
    assert_eq!(pod.stop().await, 143);
}

#[tokio::test]
async fn orphaned_processes_are_reaped() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "reap").await;
    // The inner shell leaves its child to PID 1, which is the controller.
    pod.label(
        "pod.component.app",
        &component("sh -c 'sleep 0.2 & exit 0'; sleep 1; ps -o stat,comm | grep -c '^Z' ; sleep 1000", ""),
    );
    pod.start().await;
    pod.says("[out] app: 0").await;
    pod.stop().await;
}

#[tokio::test]
async fn a_component_cannot_reach_the_controllers_files() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "reach").await;
    pod.label(
        "pod.component.app",
        &component("ls /proc/1/root/ 2>&1; ls -l /proc/1/root/var/run/docker.sock 2>&1; sleep 1000", ""),
    );
    pod.start().await;
    pod.says("ermission denied").await;
    let log = pod.log().await;
    assert!(!log.contains("srw"), "{log}");
    pod.stop().await;
}

#[tokio::test]
async fn a_component_cannot_reach_them_through_a_health_check_either() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "race").await;
    // Looks at every process as soon as it is there: one of the program that is not yet hardened would be open to it.
    let look =
        "while :; do for p in /proc/[0-9]*; do [ -S $p/root/var/run/docker.sock ] && echo REACHED $p; done; done";
    for which in ["a", "b"] {
        pod.label(&format!("pod.component.{which}"), &component(look, ""));
    }
    pod.label("pod.options", "min_ready: 0s");
    pod.start().await;
    pod.reaches("running").await;
    for _ in 0..40 {
        assert_eq!(pod.command(&["/outrigger", "healthcheck"]).await.0, 0);
    }
    let log = pod.log().await;
    assert!(!log.contains("REACHED"), "{log}");
    pod.stop().await;
}

#[tokio::test]
async fn the_programs_in_the_image_are_setgid() {
    let Some(engine) = engine_or_fail().await else { return };
    for program in ["/outrigger", "/outrigger-idle"] {
        let pod = PodUnderTest::new(&engine, "setgid").await;
        let archive = pod.file(program).await;
        let entry = tar::Archive::new(archive.as_ref()).entries().unwrap().next().unwrap().unwrap().header().clone();
        let of = (entry.mode().unwrap() & 0o7777, entry.uid().unwrap(), entry.gid().unwrap());
        assert_eq!(of, (0o2755, 0, 65534), "{program}");
    }
}

#[tokio::test]
async fn a_volume_shared_with_a_component_is_no_way_to_the_controllers_files() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "link").await;
    let source = pod.volume_file("app.conf", "first");
    let volume = format!("volumes: [\"{}:/config\"]", pod.host_directory());
    let init = format!("[{{image: {IMAGE}, command: [sh, -c, 'ln -sf /etc/hosts /config/app.conf'], {volume}}}]");
    pod.label("pod.init.components", &init);
    pod.label("pod.component.app", &component("cat /copied; sleep 1000", ""));
    pod.label("pod.copy.app", &format!("{source}:/copied"));
    pod.start().await;
    assert_eq!(pod.ends().await, 125);
    let log = pod.log().await;
    assert!(log.contains("a link leads out of its mount") && !log.contains("[out] app: 127.0.0.1"), "{log}");
}

#[tokio::test]
async fn lines_are_redacted_also_across_the_engines_pieces() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "redact").await;
    // The engine cuts lines into pieces of 16 KiB: the address lies across the cut.
    let script = "head -c 16379 /dev/zero | tr '\\0' ' '; echo 'jane.doe@example.com was here'; echo 'card 4111 1111 1111 1111'; echo plain";
    pod.label("pod.component.app", &component(script, ""));
    pod.label("pod.plugins", "[{redact: {patterns: [email, card]}}]");
    pod.start().await;
    assert_eq!(pod.ends().await, 0);
    let log = pod.log().await;
    assert!(
        log.contains("[redacted] was here") && log.contains("card [redacted]") && log.contains("[out] app: plain"),
        "{log}"
    );
    assert!(!log.contains("jane") && !log.contains("4111"), "{log}");
}

#[tokio::test]
async fn a_signal_to_the_pod_reaches_the_component_that_the_plugin_names() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "signal").await;
    let heard = |which: &str| {
        format!(
            "trap 'echo {which} heard HUP' HUP; trap 'echo {which} heard USR1' USR1; echo ready; while :; do sleep 0.1; done"
        )
    };
    pod.label("pod.component.app", &component(&heard("app"), ""));
    pod.label("pod.component.web", &component(&heard("web"), ""));
    pod.label("pod.plugins", "[{signal: {map: {SIGHUP: {to: [web], as: SIGUSR1}, SIGUSR1: swallow}}}]");
    pod.start().await;
    pod.says("[out] web: ready").await;
    pod.says("[out] app: ready").await;
    pod.reaches("running").await;
    pod.signal(10).await;
    pod.signal(1).await;
    pod.says("[out] web: web heard USR1").await;
    let log = pod.log().await;
    assert!(!log.contains("app heard") && !log.contains("heard HUP") && log.matches("heard").count() == 1, "{log}");
    pod.stop().await;
}

#[tokio::test]
async fn a_config_is_validated_rolled_out_and_rolled_back() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "reload").await;
    let config = pod.volume_file("app.conf", "first");
    // The server reads its configuration at the start and on SIGHUP; `deadly` makes it exit.
    let server = "read_it() { c=$(cat /etc/app.conf); echo \"serving $c\"; if [ \"$c\" = deadly ]; then exit 3; fi; }; trap read_it HUP; read_it; while :; do sleep 0.1; done";
    pod.label("pod.component.app", &component(server, ""));
    pod.label("pod.copy.app", &format!("{config}:/etc/app.conf"));
    pod.label(
        "pod.plugins",
        &format!("[{{reload: {{watch: {config}, component: app, target: /etc/app.conf, validate: [sh, -c, '! grep bad {{candidate}}'], signal: HUP, healthy-for: 1s, debounce: 100ms}}}}]"),
    );
    pod.start().await;
    pod.says("[out] app: serving first").await;
    pod.reaches("running").await;
    pod.change_file("app.conf", "second");
    pod.says("[out] app: serving second").await;
    pod.says("applied").await;
    pod.change_file("app.conf", "bad");
    pod.says("nothing was changed").await;
    pod.change_file("app.conf", "deadly");
    pod.says("[out] app: serving deadly").await;
    pod.says("rolled back to the last good version").await;
    let log = pod.log().await;
    assert_eq!(log.matches("serving second").count(), 2, "it serves the last good version again:\n{log}");
    assert!(!log.contains("serving bad"), "{log}");
    let (_, content) = pod.in_component("app", &["cat", "/etc/app.conf"]).await;
    assert_eq!(content, "second");
    pod.stop().await;
}

#[tokio::test]
async fn without_the_engines_socket_the_remedy_is_told() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "socket").await;
    pod.without_socket();
    pod.label("pod.component.app", &component(SERVER, ""));
    pod.start().await;
    assert_eq!(pod.ends().await, 125);
    let log = pod.log().await;
    assert!(log.contains("/var/run/docker.sock") && log.contains("hint:"), "{log}");
}

#[tokio::test]
async fn the_controllers_image_is_there() {
    let Some(engine) = engine_or_fail().await else { return };
    assert!(engine.has_image(&controller_image(&engine).await).await.unwrap());
}
