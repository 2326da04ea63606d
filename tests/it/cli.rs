//! The real binary, as a shell sees it: what it prints, and what it answers.

mod checks;
mod copies;
mod documentation;
mod notes;
mod places;
mod variables;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use outrigger::admin;
use outrigger::admin::status::{Health, HealthState, Stage, Status};
use outrigger::shutdown::Tasks;
use serde_json::Value;
use tokio::sync::watch;

/// Nothing of the test's own environment, so that a `DOCKER_HOST` or an `OUTRIGGER_LOG` of the machine changes no result.
fn outrigger(argv: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(argv).env_clear().stdin(Stdio::null());
    command
}

fn run(argv: &[&str]) -> Output {
    outrigger(argv).output().expect("the binary runs")
}

fn fed(argv: &[&str], input: &str) -> Output {
    let mut child =
        outrigger(argv).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read by the binary");
    child.wait_with_output().expect("ends")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("not killed by a signal")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", out(output)))
}

// ---- help, version, usage

#[test]
fn help_teaches_examples_exit_codes_and_environment() {
    let help = run(&["--help"]);
    assert_eq!(code(&help), 0);
    let text = out(&help);
    for told in ["Examples:", "Exit codes:", "125", "128+n", "OUTRIGGER_", "NO_COLOR", "check", "plan", "run"] {
        assert!(text.contains(told), "`{told}` is missing in:\n{text}");
    }
    assert!(!text.contains("\n  pause "), "an inner command is no user's business");
    assert!(help.stderr.is_empty());
}

#[test]
fn every_sub_command_explains_itself() {
    for command in [
        &["run"][..],
        &["plan"],
        &["check"],
        &["healthcheck"],
        &["status"],
        &["plugin"],
        &["plugin", "inspect"],
        &["plugin", "compile"],
        &["version"],
    ] {
        let mut argv = command.to_vec();
        argv.push("--help");
        let help = run(&argv);
        assert_eq!(code(&help), 0, "{command:?}");
        assert!(out(&help).contains("Usage:"), "{command:?}");
    }
}

#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(out(&run(&["--version"])), format!("outrigger {version}\n"));
    assert!(out(&run(&["version"])).starts_with(&format!("outrigger {version} (")));
    let machine = json(&run(&["version", "--json"]));
    assert_eq!(machine["version"], version);
    assert_eq!(machine["plugin_api"], "outrigger:pod@0.1.0");
}

#[test]
fn a_wrong_command_line_is_2_and_names_what_was_meant() {
    for (argv, told) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["pla"], "plan"),
        (&["--pid=false"], "--pids"),
        (&["-pid=false"], "--pids"),
        (&["check"], "FILE"),
        (&["-logs", "false"], "false"),
        (&["healthcheck", "now"], "now"),
        (&["plan", "a", "--container", "b"], "--container"),
    ] {
        let output = run(argv);
        assert_eq!(code(&output), 2, "{argv:?}: {}", err(&output));
        assert!(err(&output).contains(told), "{argv:?}: {}", err(&output));
        assert!(output.stdout.is_empty(), "{argv:?}");
    }
}

#[test]
fn wrong_values_are_told_all_at_once() {
    let output = outrigger(&["-pids=maybe", "--timeout", "pul=1s", "--log-format=xml"])
        .env("OUTRIGGER_IPC", "2")
        .output()
        .expect("runs");
    assert_eq!(code(&output), 2);
    for told in
        ["`--pids`: `maybe` is not a boolean", "`OUTRIGGER_IPC`", "did you mean `pull`?", "`--log-format`: `xml`"]
    {
        assert!(err(&output).contains(told), "`{told}` is missing in:\n{}", err(&output));
    }
}

#[test]
fn pipes_get_no_colours() {
    for argv in [&["--help"][..], &["frobnicate"], &["-pids=maybe"], &["check", "/nowhere.yml"]] {
        let output = run(argv);
        assert!(!out(&output).contains('\x1b') && !err(&output).contains('\x1b'), "{argv:?}");
    }
}

#[test]
fn a_flag_that_was_typed_wrong_is_2_and_one_of_the_file_is_1() {
    for command in ["check", "plan"] {
        for flag in [&["--allow", "privilegd"][..], &["--timeout", "engin-call=3s"], &["--pids=maybe"]] {
            // It ends before it reads anything.
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/reload/pod.yaml");
            let output = run(&[&[command, file], flag].concat());
            assert_eq!(code(&output), 2, "{command} {flag:?}: {}", err(&output));
        }
    }
    let file = "controller: {flags: [--pids=maybe]}\ncomponents: {app: {image: busybox}}\n";
    assert_eq!(code(&fed(&["check", "-"], file)), 1);
}

// ---- plan and check

#[test]
fn deadlines_are_listed_as_they_would_be() {
    let output = run(&["plan", "--timeouts", "--json", "-timeout", "pull=90s"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(json(&output)["pull_ms"], 90_000);
    let with_file = run(&["plan", "--timeouts", "--json", "-timeout", "pull=90s", "tests/cases/good-json/pod.yaml"]);
    assert_eq!(json(&with_file)[0]["plan"]["timeouts"], json(&output), "{}", err(&with_file));
    let text = out(&run(&["plan", "--timeouts"]));
    assert!(text.starts_with("TIMEOUT"), "{text}");
    assert!(text.contains("engine-call"), "{text}");
}

const STACK: &str = "
services:
  web:
    image: outrigger
    labels:
      pod.component.app: '{image: nginx}'
  api:
    image: outrigger
    labels:
      pod.component.app: '{image: acme/api}'
      pod.component.log: '{image: acme/log}'
";

#[test]
fn a_right_stack_is_ok_pod_by_pod() {
    let output = fed(&["check", "-"], STACK);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("ok: `web`, 1 component and 0 plugins\n"), "{text}");
    assert!(text.contains("ok: `api`, 2 components and 0 plugins\n"), "{text}");

    let machine = json(&fed(&["check", "-", "--json"], STACK));
    assert_eq!(machine["ok"], true);
    assert_eq!(machine["problems"], Value::Array(vec![]));
    let names: Vec<_> = machine["pods"].as_array().unwrap().iter().map(|pod| pod["name"].clone()).collect();
    assert!(names.contains(&"web".into()) && names.contains(&"api".into()), "{names:?}");
}

#[test]
fn problems_are_1_and_all_of_them_are_told() {
    let wrong = "
components:
  app: {command: run}
  log: {command: run}
";
    let output = fed(&["check", "-"], wrong);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(output.stdout.is_empty());
    assert!(err(&output).matches("error: ").count() >= 2, "{}", err(&output));

    let output = fed(&["check", "-", "--json"], wrong);
    assert_eq!(code(&output), 1);
    let machine = json(&output);
    assert_eq!(machine["ok"], false);
    for problem in machine["problems"].as_array().unwrap() {
        for key in ["label", "field", "what", "hint"] {
            assert!(problem[key].is_string(), "{problem}");
        }
    }
    assert!(machine["problems"].as_array().unwrap().len() >= 2, "{machine}");
}

#[test]
fn problems_of_the_pod_and_of_its_plugins_are_told_together() {
    let wrong = "
services:
  web:
    image: outrigger
    labels:
      pod.component.app: '{image: nginx, comand: run}'
      pod.plugins: '[redact: {patterns: 5}, signl, reload: {config: {}, source: \"oci:x\"}]'
  api:
    image: outrigger
    labels:
      pod.component.app: '{image: nginx}'
      pod.plugins: '[redact: {nonsense: true}]'
";
    for command in ["check", "plan"] {
        let output = fed(&[command, "-"], wrong);
        assert_eq!(code(&output), 1, "{}", out(&output));
        let text = err(&output);
        let places = ["comand", "`signl`", "not from `oci:`", "nonsense"].map(|told| text.find(told));
        assert!(places.is_sorted() && places[0].is_some(), "{places:?} in\n{text}");
        assert_eq!(text.matches("error: ").count(), 5, "{text}");
    }
}

#[test]
fn run_refuses_what_is_wrong_before_it_asks_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("folder.wasm")).unwrap();
    let file = dir.path().join("pod.yaml");
    let refused = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let argv = ["run", "-d", file.to_str().unwrap()];
        let output = outrigger(&argv).env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
        assert_eq!(code(&output), 1, "{}", err(&output));
        err(&output)
    };
    let text = refused(
        "components:\n  app: {image: nginx}\nplugins:\n  - one: {source: ./folder.wasm}\n  - two: {source: ./gone.wasm}\n  - redact: {nonsense: 1}\n\
         controller:\n  volumes: [./gone:/x, .:/y]\n  networks: [a, a]\n",
    );
    for told in ["appears twice", "not a regular file", "no such file", "redact", "`./gone` does not exist"] {
        assert!(text.contains(told), "`{told}` is missing in:\n{text}");
    }
    assert_eq!(text.matches("error: ").count(), 5, "{text}");
    let text = refused(STACK);
    assert!(text.contains("docker stack deploy") && text.contains("docker compose"), "{text}");
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
}

#[test]
fn what_is_written_of_the_controllers_own_container_is_planned_with() {
    let planned = |text: &str| {
        let output = fed(&["plan", "-", "--json"], text);
        assert_eq!(code(&output), 0, "{}", err(&output));
        json(&output)[0]["plan"].clone()
    };
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/reload/stack.yml")).unwrap();
    let service =
        |more: &str| format!("services:\n  web:\n    labels: {{pod.component.app: 'image: nginx'}}\n    {more}\n");
    let labelled = |label: &str, more: &str| {
        let labels = format!("{{pod.component.app: 'image: nginx', pod.stop_grace_period: '{label}'}}");
        format!("services:\n  web:\n    labels: {labels}\n    {more}\n")
    };
    for (text, seconds) in [
        (example, 18.5),
        (service("image: outrigger"), 8.5),
        (service("stop_grace_period: ${GRACE:-20s}"), 18.5),
        (service("stop_grace_period: 40s"), 38.5),
        (labelled("20s", "image: outrigger"), 18.5),
        (labelled("20s", "stop_grace_period: 20s"), 18.5),
        // Swarm stops it after 30 s, and the pod knows 20 s.
        (labelled("20s", "stop_grace_period: 30s"), 18.5),
        (labelled("${GRACE:-20s}", "image: outrigger"), 18.5),
        ("components: {app: {image: nginx}}".to_owned(), 28.5),
        ("components: {app: {image: nginx}}\ncontroller: {stop_grace_period: 5s}".to_owned(), 3.5),
        (
            r#"[{"Name": "/web", "Config": {"StopTimeout": 7, "Labels": {"pod.component.app": "image: nginx"}}}]"#
                .to_owned(),
            5.5,
        ),
    ] {
        assert_eq!(planned(&text)["stop_budget_ms"].as_f64(), Some(seconds * 1000.0), "{text}");
    }
    let wrong = fed(&["check", "-"], &service("mem_limit: much"));
    assert_eq!(code(&wrong), 1);
    assert!(err(&wrong).contains("field `services.web.mem_limit`"), "{}", err(&wrong));
}

#[test]
fn a_grace_period_that_swarm_keeps_to_itself_is_a_warning() {
    let swarm = |more: &str| {
        format!(
            "version: '3.8'\nservices:\n  web:\n    image: outrigger\n    volumes: ['/var/run/docker.sock:/var/run/docker.sock']\n    {more}\n"
        )
    };
    let app = "pod.component.app: 'image: nginx'";
    let engines = |grace: u64, more: &str| {
        format!(
            r#"[{{"Spec": {{"Name": "web", "TaskTemplate": {{"ContainerSpec": {{"StopGracePeriod": {grace}, "Labels": {{"pod.component.app": "image: nginx"{more}}}}}}}}}}}]"#
        )
    };
    let lost = "`services.web.stop_grace_period`: Swarm does not pass this value to the pod";
    for (text, told) in [
        (swarm(&format!("stop_grace_period: 40s\n    labels: {{{app}}}")), lost),
        (swarm(&format!("stop_grace_period: ${{GRACE:-40s}}\n    labels: {{{app}}}")), lost),
        (swarm(&format!("labels: {{{app}}}")), ""),
        (swarm(&format!("stop_grace_period: 40s\n    labels: {{{app}, pod.stop_grace_period: 40s}}")), ""),
        (
            swarm(&format!(
                "stop_grace_period: ${{G:-5s}}\n    labels: {{{app}, pod.stop_grace_period: '${{G:-5s}}'}}"
            )),
            "",
        ),
        (
            swarm(&format!("stop_grace_period: 40s\n    labels: {{{app}, pod.stop_grace_period: 20s}}")),
            "`stdin: web: pod.stop_grace_period`: the label allows the pod 20s to stop, but the service's own `stop_grace_period` is 40s",
        ),
        // Compose hands it over to the engine.
        (
            format!(
                "services:\n  web:\n    image: outrigger\n    volumes: ['/var/run/docker.sock:/var/run/docker.sock']\n    stop_grace_period: 40s\n    labels: {{{app}}}\n"
            ),
            "",
        ),
        (engines(40_000_000_000, ""), "stop_grace_period`: Swarm does not pass this value to the pod"),
        (engines(10_000_000_000, ""), ""),
        (engines(40_000_000_000, r#", "pod.stop_grace_period": "40s""#), ""),
    ] {
        for command in ["check", "plan"] {
            let output = fed(&[command, "-"], &text);
            assert_eq!(code(&output), 0, "{}", err(&output));
            let said = out(&output);
            assert_eq!(said.contains("grace_period`"), !told.is_empty(), "{command} of {text}:\n{said}");
            assert!(said.contains(told), "{command} of {text}:\n{said}");
        }
    }
    // `deploy` hands it over, and has nothing to warn of.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("s.yml"),
        swarm(&format!("stop_grace_period: ${{GRACE:-40s}}\n    labels: {{{app}}}")),
    )
    .unwrap();
    let file = folder.path().join("s.yml");
    let output = run(&["deploy", "--dry-run", "-c", file.to_str().unwrap(), "x"]);
    assert!(out(&output).contains("      pod.stop_grace_period: ${GRACE:-40s}\n"), "{}", out(&output));
    assert_eq!(err(&output), "");
    let wrong = fed(&["check", "-"], &swarm(&format!("labels: {{{app}, pod.stop_grace_period: soon}}")));
    assert!(err(&wrong).contains("pod.stop_grace_period`: `soon` is not a duration"), "{}", err(&wrong));
}

#[test]
fn what_docker_inspect_prints_can_be_planned() {
    let inspected = r#"[{"Id": "abc", "Name": "/shop", "Config": {"Labels": {"pod.component.app": "image: nginx"}}}]"#;
    let output = fed(&["plan", "-", "--json"], inspected);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let plans = json(&output);
    assert_eq!(plans[0]["name"], "shop");
    let containers = plans[0]["plan"]["containers"].as_array().unwrap();
    assert!(containers.iter().any(|container| container["name"] == "app" && container["image"] == "nginx"), "{plans}");
}

#[test]
fn variables_of_the_prompt_are_not_the_controllers() {
    let planned = |text: &str| {
        let mut command = outrigger(&["check", "-"]);
        command.env("OUTRIGGER_PIDS", "maybe").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert_eq!(code(&planned("components: {app: {image: nginx}}")), 0);
    let own = planned("components: {app: {image: nginx}}\ncontroller: {environment: {OUTRIGGER_PIDS: perhaps}}");
    assert_eq!(code(&own), 1);
    assert!(err(&own).contains("`perhaps`"), "{}", err(&own));
    assert!(out(&run(&["--help"])).contains("`controller.environment`"));
}

#[test]
fn a_services_own_flags_and_variables_hold() {
    let stack = |more: &str| {
        let app = "pod.component.app: '{image: nginx, privileged: true}'";
        format!("services:\n  web:\n    image: outrigger\n    labels: {{{app}}}\n{more}")
    };
    let refused = fed(&["check", "-"], &stack(""));
    assert_eq!(code(&refused), 1);
    assert!(err(&refused).contains("--allow 'privileged'"), "{}", err(&refused));
    for allowed in [
        "    command: [-logs, --allow=privileged]\n",
        "    command: -logs --allow=privileged\n",
        "    environment: {OUTRIGGER_ALLOW: privileged, REGION: '${REGION}'}\n",
        "    environment: [OUTRIGGER_ALLOW=privileged]\n",
    ] {
        let output = fed(&["check", "-"], &stack(allowed));
        assert_eq!(code(&output), 0, "{allowed}: {}", err(&output));
    }
    let wrong = fed(&["check", "-"], &stack("    command: [--alow=privileged]\n"));
    assert_eq!(code(&wrong), 1);
    assert!(err(&wrong).contains("--alow"), "{}", err(&wrong));
}

#[test]
fn a_plan_is_text_without_json() {
    let output = fed(&["plan", "-"], STACK);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("# pod `web`") && text.contains("# pod `api`") && text.contains("acme/api"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_an_input_problem() {
    for command in ["plan", "check"] {
        let output = run(&[command, "/nowhere/pod.yaml"]);
        assert_eq!(code(&output), 1);
        assert!(err(&output).starts_with("error: cannot read `/nowhere/pod.yaml`: No such file"), "{}", err(&output));
    }
}

#[test]
fn a_plugin_file_of_the_controller_is_noted_and_one_that_is_missing_here_is_a_problem() {
    let with =
        |source: &str| format!("components:\n  app: {{image: nginx}}\nplugins:\n  - redact: {{source: {source}}}\n");
    let output = fed(&["check", "-"], &with("/run/secrets/redact.wasm"));
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        out(&output).contains("`/run/secrets/redact.wasm` is a file inside the controller's container"),
        "{}",
        out(&output)
    );

    let output = fed(&["check", "-"], &with("./nowhere.wasm"));
    assert_eq!(code(&output), 1, "{}", out(&output));
}

#[test]
fn an_unknown_plugin_is_told_with_the_stock_ones() {
    let output = run(&["plugin", "inspect", "nonsense"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("stock plugins: `"), "{}", err(&output));
}

// ---- the engine

#[test]
fn an_engine_that_is_not_there_comes_with_the_remedy() {
    let output =
        outrigger(&["plan", "--container", "x"]).env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
    assert_eq!(code(&output), 125, "{}", err(&output));
    assert!(err(&output).contains("/nowhere/docker.sock"), "{}", err(&output));
    assert!(err(&output).contains("hint: "), "{}", err(&output));
}

// ---- healthcheck and status

struct Controller {
    dir: tempfile::TempDir,
    publish: watch::Sender<Arc<Status>>,
    tasks: Tasks,
    runtime: Option<thread::JoinHandle<()>>,
}

impl Controller {
    /// A real admin socket, served by a thread of its own.
    fn serving(state: HealthState, reasons: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let status = Status {
            pod: "calc".to_owned(),
            stage: Stage::Running,
            health: Health { state, reasons: reasons.iter().map(|&reason| reason.to_owned()).collect() },
            ..Status::default()
        };
        let (publish, receive) = watch::channel(Arc::new(status));
        let tasks = Tasks::new();
        let (serving, path) = (tasks.clone(), admin::socket(dir.path()));
        let (ready, wait) = std::sync::mpsc::channel();
        let runtime = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let seconds = Duration::from_secs;
                let waiting = admin::Waiting::new(seconds(2), seconds(60));
                admin::serve(&path, receive, |_| {}, String::new, waiting, &serving).unwrap();
                ready.send(()).unwrap();
                serving.token().cancelled().await;
            });
        });
        wait.recv().unwrap();
        Self { dir, publish, tasks, runtime: Some(runtime) }
    }

    fn change(&self, state: HealthState) {
        self.publish.send_modify(|status| Arc::make_mut(status).health.state = state);
    }

    fn ask(&self, argv: &[&str]) -> Output {
        outrigger(argv).env("OUTRIGGER_STATE_DIR", self.dir.path()).output().unwrap()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.tasks.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.join().unwrap();
        }
    }
}

#[test]
fn healthcheck_is_0_only_when_healthy_or_degraded() {
    for (state, reasons, expected, told) in [
        (HealthState::Healthy, &[][..], 0, ""),
        (HealthState::Degraded, &["slow"], 0, "degraded\nslow\n"),
        (HealthState::Starting, &["not yet"], 1, "starting\nnot yet\n"),
        (HealthState::Unhealthy, &["component `app` is unhealthy"], 1, "unhealthy\ncomponent `app` is unhealthy\n"),
    ] {
        let controller = Controller::serving(state, reasons);
        let output = controller.ask(&["healthcheck"]);
        assert_eq!(code(&output), expected, "{state}");
        assert_eq!(out(&output), told, "{state}");
    }
}

/// The check that waits: by itself, with a flag, and as the small program of the image.
fn waiting(dir: &Path) -> [Command; 3] {
    let mut plain = outrigger(&["healthcheck", "--wait"]);
    plain.env("OUTRIGGER_STATE_DIR", dir);
    let mut small = Command::new(env!("CARGO_BIN_EXE_outrigger-idle"));
    small.args(["healthcheck", "--wait"]).env_clear().env("OUTRIGGER_STATE_DIR", dir);
    [plain, outrigger(&["healthcheck", "--wait", "--state-dir", dir.to_str().unwrap()]), small]
}

#[test]
fn a_healthcheck_that_waits_ends_when_the_verdict_changes() {
    let controller = Controller::serving(HealthState::Starting, &["not yet"]);
    let mut kept = waiting(controller.dir.path()).map(|mut command| command.stdout(Stdio::piped()).spawn().unwrap());
    for child in &mut kept {
        // It has asked, and waits for the answer.
        await_sleep(child.id());
        assert!(child.try_wait().unwrap().is_none());
    }
    controller.change(HealthState::Degraded);
    for child in kept {
        let output = child.wait_with_output().unwrap();
        assert_eq!((code(&output), out(&output).as_str()), (0, "degraded\nnot yet\n"));
    }
    controller.change(HealthState::Unhealthy);
    for mut command in waiting(controller.dir.path()) {
        let output = command.output().unwrap();
        assert_eq!((code(&output), out(&output).as_str()), (1, "unhealthy\nnot yet\n"));
    }
}

#[test]
fn a_healthcheck_that_waits_notices_a_controller_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(admin::socket(dir.path())).unwrap();
    for mut command in waiting(dir.path()) {
        let output = command.output().unwrap();
        assert_eq!(code(&output), 1);
        assert!(err(&output).contains("silent for 2.5s"), "{}", err(&output));
    }
}

#[test]
fn healthcheck_follows_the_pod_and_takes_the_directory_as_a_flag() {
    let controller = Controller::serving(HealthState::Healthy, &[]);
    let dir = controller.dir.path().to_str().unwrap().to_owned();
    assert_eq!(code(&run(&["healthcheck", "--state-dir", &dir])), 0);
    controller.change(HealthState::Unhealthy);
    assert_eq!(code(&run(&["healthcheck", "-state-dir", &dir])), 1);
}

#[test]
fn healthcheck_without_a_controller_is_1_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let output = outrigger(&["healthcheck"]).env("OUTRIGGER_STATE_DIR", dir.path()).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("no controller answers on"), "{}", err(&output));
    assert!(err(&output).contains("OUTRIGGER_STATE_DIR"), "{}", err(&output));
}

#[test]
fn healthcheck_does_not_trust_an_answer_that_makes_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(admin::socket(dir.path())).unwrap();
    let impostor = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut query = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut query).unwrap();
        stream.write_all(b"splendid\n").unwrap();
        query
    });
    let output = outrigger(&["healthcheck"]).env("OUTRIGGER_STATE_DIR", dir.path()).output().unwrap();
    assert_eq!(impostor.join().unwrap(), "health\n");
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("splendid"), "{}", err(&output));
}

#[test]
fn status_is_for_people_and_for_programs() {
    let controller = Controller::serving(HealthState::Unhealthy, &["component `app` is unhealthy: refused"]);
    let output = controller.ask(&["status"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).starts_with("pod `calc`: running, unhealthy, up "), "{}", out(&output));
    assert!(out(&output).contains("  component `app` is unhealthy: refused\n"), "{}", out(&output));

    let machine = json(&controller.ask(&["status", "--json"]));
    assert_eq!(machine["pod"], "calc");
    assert_eq!(machine["stage"], "running");
    assert_eq!(machine["health"]["state"], "unhealthy");
    for key in ["components", "plugins", "rollouts", "warnings"] {
        assert!(machine[key].is_array(), "{key}");
    }
    assert!(machine["logs"]["dropped"].is_u64() && machine["uptime_s"].is_u64(), "{machine}");
}

// ---- pause

fn paused() -> (Child, Pid) {
    let mut command = outrigger(&["pause"]);
    if geteuid().is_root() {
        // Of root's own processes the owner of the files in `/proc` tells nothing.
        command.uid(65534).gid(65534);
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    await_sleep(child.id());
    (child, pid)
}

/// Waits until the process sleeps, which it does only where it waits for its signals.
fn await_sleep(pid: u32) {
    let status = Path::new("/proc").join(pid.to_string()).join("status");
    for _ in 0..1_000_000 {
        if std::fs::read_to_string(&status).unwrap().contains("State:\tS") {
            return;
        }
        thread::yield_now();
    }
    panic!("`pause` never slept");
}

#[test]
fn pause_ends_with_0_when_it_is_told_to() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut child, pid) = paused();
        kill(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

/// One signal may stand for the ends of several children.
#[test]
fn pause_reaps_all_that_have_ended_at_once() {
    for program in [env!("CARGO_BIN_EXE_outrigger"), env!("CARGO_BIN_EXE_outrigger-idle")] {
        // The shell becomes `pause`, and what it has started are then the children of that.
        let script = "for n in 1 2 3 4 5; do sleep 1000 & done; exec \"$0\" pause";
        let mut child = Command::new("sh").args(["-c", script, program]).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let children = || {
            let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            text.split_whitespace().map(|word| Pid::from_raw(word.parse().unwrap())).collect::<Vec<_>>()
        };
        let becomes = |is_so: &dyn Fn() -> bool, what: &str| {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while !is_so() {
                assert!(std::time::Instant::now() < deadline, "{program}: {what}");
                thread::yield_now();
            }
        };
        let command = || std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        becomes(&|| command().ends_with("\0pause\0"), "it runs");
        await_sleep(child.id());
        // All end while it can't see any of them.
        kill(pid, Signal::SIGSTOP).unwrap();
        let all = children();
        assert_eq!(all.len(), 5);
        all.iter().for_each(|child| kill(*child, Signal::SIGKILL).unwrap());
        let state = |child: &Pid| std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
        becomes(&|| all.iter().all(|child| state(child).contains(") Z ")), "all have ended");
        kill(pid, Signal::SIGCONT).unwrap();
        becomes(&|| children().is_empty(), "all are reaped");
        kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{program}");
    }
}

#[test]
fn pause_takes_little_memory_and_can_not_be_dumped() {
    let (mut child, pid) = paused();
    let mut status = String::new();
    std::fs::File::open(format!("/proc/{pid}/status")).unwrap().read_to_string(&mut status).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {status}"));
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // Nearly all of it is the binary's own relocated data; what the command itself needs are a few pages.
    assert!(field("RssAnon:") < 4096, "a donor of a namespace uses {} KiB of its own", field("RssAnon:"));
    // The kernel gives the files of an undumpable process to root, whoever runs it: the sign that `PR_SET_DUMPABLE` worked.
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{pid}/environ")).unwrap());
    assert_eq!(owner, 0);
    kill(pid, Signal::SIGTERM).unwrap();
    child.wait().unwrap();
}

// ---- completions

#[test]
fn bash_completes_sub_commands_and_flags() {
    let script = run(&["completions", "bash"]);
    assert_eq!(code(&script), 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outrigger.bash");
    std::fs::write(&path, &script.stdout).unwrap();
    let complete = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let asked = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; _outrigger outrigger '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path.display(),
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let done = Command::new("bash").args(["--norc", "-c", &asked]).output().expect("bash runs");
        assert!(done.status.success(), "{}", err(&done));
        out(&done).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("outrigger ev"), ["events"]);
    assert_eq!(complete("outrigger logs --fo"), ["--follow"]);
    let shells = complete("outrigger completions ");
    assert!(["bash", "zsh", "fish"].iter().all(|shell| shells.iter().any(|told| told == shell)), "{shells:?}");
    for (shell, word) in [("zsh", "#compdef outrigger"), ("fish", "complete -c outrigger")] {
        assert!(out(&run(&["completions", shell])).contains(word), "{shell}");
    }
    assert_eq!(code(&run(&["completions", "tcsh"])), 2);
}
