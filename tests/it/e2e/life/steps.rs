//! What is done around the start and the stop of components, and the order of stopping.

use std::time::{Duration, Instant};

use super::{STAYS, order, runs_again, shared, writes};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Waits until `app` and its dependent `web` run, and stops them; answers what was done in which order.
async fn life(pod: &mut PodUnderTest) -> Vec<String> {
    pod.label("pod.component.web", &component(&writes("web"), &format!("depends_on: [app]\n{}", shared(pod))));
    pod.start().await;
    pod.reaches("running").await;
    wait_for("the dependent runs", || async { order(pod).contains(&"web runs".to_owned()) }).await;
    assert_eq!(pod.stop().await, 0, "{}", pod.log().await);
    order(pod)
}

#[tokio::test]
async fn commands_are_run_between_the_start_and_the_dependents_and_before_the_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-commands").await;
    // The pauses are room for whoever does not wait.
    let after = "until grep -q 'app runs' /shared/order; do sleep 0.1; done; sleep 0.5; echo \"post_start $(id -g) $(pwd)\" >> /shared/order";
    let before = "sleep 0.5; echo \"pre_stop $WHY\" >> /shared/order";
    let steps = format!(
        "post_start: [{{command: [sh, -c, {}], user: '0:4242', working_dir: /etc}}]\npre_stop: [{{command: [sh, -c, {}], environment: {{WHY: asked}}}}]\n{}",
        quoted(after),
        quoted(before),
        shared(&pod)
    );
    pod.label("pod.component.app", &component(&writes("app"), &steps));
    let order = life(&mut pod).await;
    assert_eq!(order, ["app runs", "post_start 4242 /etc", "web runs", "web stops", "pre_stop asked", "app stops"]);
}

#[tokio::test]
async fn requests_are_sent_at_the_same_moments_and_one_that_fails_does_not_hold_up_the_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-requests").await;
    let note = "#!/bin/sh\nsleep 0.5\necho \"$REQUEST_METHOD $QUERY_STRING $HTTP_X_WHO\" >> /shared/order\necho Content-Type: text/plain\necho";
    let server = format!(
        "mkdir -p /www/cgi-bin; printf '%s\\n' '{}' > /www/cgi-bin/note; chmod +x /www/cgi-bin/note; httpd -p 127.0.0.1:7821 -h /www; touch /www/up; {}",
        note.replace('\n', "' '"),
        writes("app")
    );
    let up = quoted("until wget -q -O - http://127.0.0.1:7821/up; do sleep 0.1; done");
    let steps = format!(
        "post_start: [{{command: [sh, -c, {up}]}}, {{http: {{port: 7821, path: '/cgi-bin/note?post_start', headers: {{X-Who: pod}}}}}}]\n\
         pre_stop: [{{http: {{port: 7821, path: /nothing}}}}, {{http: {{port: 7821, path: '/cgi-bin/note?pre_stop', method: POST}}}}]\n{}",
        shared(&pod)
    );
    pod.label("pod.component.app", &component(&server, &steps));
    let order = life(&mut pod).await;
    assert_eq!(
        order.iter().filter(|line| *line != "app runs").collect::<Vec<_>>(),
        ["GET post_start pod", "web runs", "web stops", "POST pre_stop ", "app stops"]
    );
    let log = pod.log().await;
    assert!(log.contains("`pre_stop` failed: step 1, GET ") && log.contains("/nothing answered 404"), "{log}");
}

#[tokio::test]
async fn a_command_before_the_stop_that_hangs_leaves_time_for_a_clean_stop() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-hang").await;
    pod.spec().stop_timeout = Some(Duration::from_secs(100));
    let hangs =
        format!("stop_grace_period: 8s\npre_stop: [{{command: [sleep, '1000']}}, {{sleep: 1s}}]\n{}", shared(&pod));
    pod.label("pod.component.app", &component(&writes("app"), &hangs));
    let began = Instant::now();
    let order = life(&mut pod).await;
    assert_eq!(order.last().map(String::as_str), Some("app stops"));
    assert!(began.elapsed() >= Duration::from_secs(6), "{:?}", began.elapsed());
    let log = pod.log().await;
    let late = "`pre_stop` failed: step 1, `sleep 1000` did not end within 6s, the time that `stop_grace_period` leaves for `pre_stop`";
    assert!(log.contains(late), "{log}");
    assert!(log.contains("`pre_stop` ran out of time; the stop continues without the steps from step 2 on"), "{log}");
}

#[tokio::test]
async fn a_step_that_fails_after_the_start_ends_the_component_and_the_pod() {
    let Some(engine) = engine_or_fail().await else { return };
    let failing = async |name: &str, post_start: &str| {
        let mut pod = PodUnderTest::new(&engine, name).await;
        let steps = format!(
            "post_start: [{post_start}]\npre_stop: [{{command: [sh, -c, 'echo pre_stop >> /shared/order']}}]\n{}",
            shared(&pod)
        );
        pod.label("pod.component.app", &component(&writes("app"), &steps));
        pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
        pod.start().await;
        let code = pod.ends().await;
        let log = pod.log().await;
        assert_eq!(code, 125, "{log}");
        assert!(!log.contains("[out] web"), "what waits for it is not started:\n{log}");
        // Told to stop, and without what is for one that had got ready.
        assert_eq!(order(&pod), ["app runs", "app stops"], "{log}");
        log
    };
    let wait = "until grep -q runs /shared/order; do sleep 0.1; done";
    let command = format!("{{command: [sh, -c, '{wait}; echo no luck >&2; exit 9']}}");
    let request = format!("{{command: [sh, -c, '{wait}']}}, {{http: {{port: 7822, path: /warm-up}}, timeout: 1s}}");
    let (command, request) =
        tokio::join!(failing("steps-fail-command", &command), failing("steps-fail-request", &request));
    let told = "component `app` failed its `post_start`: step";
    assert!(
        command.contains(&format!("{told} 1, `sh -c")) && command.contains("exited with code 9: no luck"),
        "{command}"
    );
    assert!(request.contains(&format!("{told} 2, cannot connect to 127.0.0.1:7822")), "{request}");
}

#[tokio::test]
async fn the_exit_code_of_a_short_job_is_its_own_whatever_its_steps_and_probes_met() {
    let Some(engine) = engine_or_fail().await else { return };
    let ends = async |name: &str, script: &str, more: &str| {
        let mut pod = PodUnderTest::new(&engine, name).await;
        pod.label("pod.component.work", &component(script, &format!("role: job\n{more}")));
        pod.start().await;
        let code = pod.ends().await;
        (code, pod.log().await)
    };
    let step = "post_start: [{command: [\"true\"]}]";
    let request = "post_start: [{http: 'http://127.0.0.1:9/'}]";
    let probe = "probes: {liveness: {exec: [\"true\"], period: 100ms, failure_threshold: 1}}";
    let done = tokio::join!(
        ends("short-step", "exit 0", step),
        ends("short-crash", "exit 3", step),
        ends("short-http", "exit 0", request),
        ends("short-probe", "sleep 1; exit 3", probe),
    );
    for ((code, log), expected) in <[_; 4]>::from(done).into_iter().zip([0, 3, 0, 3]) {
        assert_eq!(code, expected, "{log}");
        assert!(!log.contains("failed its"), "{log}");
    }
}

#[tokio::test]
async fn a_step_that_fails_after_the_start_is_a_failure_for_the_restart_policy() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-again").await;
    pod.label("pod.options", "settle: 0");
    let once = "if [ ! -e /tmp/tried ]; then touch /tmp/tried; exit 9; fi";
    let steps =
        format!("restart: {{policy: on-failure, delay: 50ms}}\npost_start: [{{command: [sh, -c, {}]}}]", quoted(once));
    pod.label("pod.component.app", &component(STAYS, &steps));
    pod.label("pod.component.web", &component(STAYS, "depends_on: [app]"));
    pod.start().await;
    runs_again(&pod, "app", 1).await;
    pod.reaches("running").await;
    pod.health_check_answers(0).await;
    assert_eq!(pod.status_of("web").await["restarts"], 0);
    assert_eq!(pod.stop().await, 0);
}

#[tokio::test]
async fn a_deep_chain_stops_in_reverse_order_within_the_grace_period() {
    const DEPTH: usize = 8;
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "steps-chain").await;
    for at in 0..DEPTH {
        let script = format!(
            "trap 'sleep 0.1; echo c{at} >> /shared/order; exit 0' TERM; echo up; while :; do sleep 0.05; done"
        );
        let on = if at == 0 { String::new() } else { format!("depends_on: [c{}]\n", at - 1) };
        pod.label(&format!("pod.component.c{at}"), &component(&script, &format!("{on}{}", shared(&pod))));
    }
    pod.spec().stop_timeout = Some(Duration::from_secs(30));
    pod.start().await;
    pod.reaches("running").await;
    // A shell that has not set its trap yet would end at once.
    for at in 0..DEPTH {
        pod.says(&format!("[out] c{at}: up")).await;
    }
    // An engine that loses patience kills the controller, whose code would tell.
    let code = pod.is_stopped_by_the_engine().await;
    assert_eq!(code, 0, "{}", pod.log().await);
    let expected: Vec<_> = (0..DEPTH).rev().map(|at| format!("c{at}")).collect();
    assert_eq!(order(&pod), expected);
}
