//! Templates of stack files: golden cases written by hand, real servers, and the docker command's own reader.
//!
//! | file of a case | meaning |
//! | --- | --- |
//! | `stack.yml`, `stack.2.yml` | what is rendered, by the real binary, with the image `outrigger:TEST` |
//! | `expected.yml` | what comes of it |
//! | `error.txt` | or every problem |

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::skip;

mod servers;

use servers::Server;

fn outrigger(argv: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(argv).env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

fn run(argv: &[&str], folder: &Path) -> Output {
    outrigger(argv, folder).output().expect("the binary runs")
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

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/templates/cases");
    let mut found: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(found.len() >= 8, "only {} cases", found.len());
    found
}

fn files(case: &Path) -> Vec<&'static str> {
    ["stack.yml", "stack.2.yml"].into_iter().filter(|file| case.join(file).exists()).collect()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn every_case_is_rendered_as_it_should_be() {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut argv = vec!["template", "--image", "outrigger:TEST"];
        argv.extend(files(&case));
        let output = run(&argv, &case);
        let (file, found, expected_code) = match case.join("error.txt") {
            error if error.exists() => ("error.txt", err(&output), 1),
            _ => ("expected.yml", out(&output), 0),
        };
        let expected = fs::read_to_string(case.join(file)).unwrap();
        if expected != found || code(&output) != expected_code {
            wrong.push(format!("{}\n--- expected\n{expected}--- found\n{found}{}", case.display(), err(&output)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_comes_out_is_checked_as_any_other_file() {
    let mut checked = 0;
    for case in cases().into_iter().filter(|case| case.join("expected.yml").exists() && files(case).len() == 1) {
        // `check` renders by itself.
        let output = run(&["check", "stack.yml"], &case);
        assert_eq!(code(&output), 0, "{}: {}", case.display(), err(&output));
        assert!(out(&output).contains("ok: `"), "{}", out(&output));
        checked += 1;
    }
    assert!(checked >= 5);
}

/// The docker command, where there is one that can read stack files without an engine.
fn docker() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("docker")).find(|path| path.exists());
    let reads = |docker: &PathBuf| {
        Command::new(docker).args(["stack", "config", "--help"]).output().is_ok_and(|output| output.status.success())
    };
    let found = found.filter(reads);
    if found.is_none() {
        skip::missing("there is no docker command with `stack config`");
    }
    found
}

fn config(docker: &Path, folder: &Path, argv: &[&str]) -> Result<Value, String> {
    let output = Command::new(docker)
        .args(["stack", "config"])
        .args(argv)
        .current_dir(folder)
        .env_remove("X")
        .output()
        .expect("docker runs");
    if !output.status.success() {
        return Err(err(&output));
    }
    Ok(serde_yaml_value(&out(&output)))
}

fn serde_yaml_value(text: &str) -> Value {
    let mut problems = outrigger::pod::Problems::default();
    let value = outrigger::template::read::read(&outrigger::labels::Place::new("f"), text, &mut problems);
    assert!(problems.is_empty(), "{problems}\n{text}");
    value.unwrap()
}

#[test]
fn dockers_own_reader_takes_every_case() {
    let Some(docker) = docker() else { return };
    for case in cases().into_iter().filter(|case| case.join("expected.yml").exists()) {
        let read = config(&docker, &case, &["-c", "expected.yml"])
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        let services = read["services"].as_object().unwrap();
        for (name, service) in services {
            for (label, text) in
                service["labels"].as_object().into_iter().flatten().filter(|(label, _)| label.starts_with("pod."))
            {
                assert!(
                    serde_yaml_value(text.as_str().unwrap()).is_object()
                        || label.contains("init")
                        || label.contains("copy"),
                    "{name}"
                );
            }
        }
    }
    // The one `$` that was written as two arrives as one, not earlier and not later.
    let case = cases().into_iter().find(|case| case.ends_with("files")).unwrap();
    let read = config(&docker, &case, &["-c", "expected.yml"]).unwrap();
    assert!(
        read["services"]["web"]["labels"]["pod.component.main"].as_str().unwrap().contains("PRICE: 5$x")
            || read["services"]["web"]["labels"]["pod.component.main"].as_str().unwrap().contains("PRICE: '5$x'")
    );
}

#[test]
fn several_files_become_what_docker_makes_of_them() {
    let Some(docker) = docker() else { return };
    let first = "
version: '3.8'
services:
  a:
    image: x:1
    command: [a, b]
    environment: [A=1, B=, C]
    labels: {x: '1', y: '2'}
    ports: ['90:90', '80:80', '81:81/udp']
    volumes: ['data:/d', './b:/b', {type: tmpfs, target: /t}]
    configs: [c1, {source: c2, target: /x}]
    secrets: [s1]
    dns: 1.1.1.1
    tmpfs: /run
    cap_add: [A]
    networks: [n1]
    extra_hosts: ['h:1.1.1.1']
    logging: {driver: json-file, options: {max-size: 1m, max-file: '1'}}
    healthcheck: {test: [CMD, a], interval: 5s, retries: 3}
    ulimits: {nofile: 5, nproc: {soft: 1, hard: 2}}
    stop_grace_period: 5s
    init: true
    deploy: {replicas: 2, labels: [l=1], resources: {limits: {cpus: '0.5', memory: 64M}}, update_config: {parallelism: 2, delay: 3s},
      placement: {constraints: [a == b], preferences: [{spread: x}]}}
    sysctls: [net.core.somaxconn=1]
volumes: {data: {driver: local, driver_opts: {a: b}}}
networks: {n1: , n2: }
configs: {c1: {file: ./c1}, c2: {external: true}, c3: {external: true}}
secrets: {s1: {external: true}, s2: {external: true}}
";
    let second = "
version: '3.8'
services:
  a:
    image: x:2
    command: c
    entrypoint: e f
    environment: {B: '2', A: , D: x}
    labels: [y=3, z=4]
    ports: ['80:8080', {target: 70, published: 70, mode: host}]
    volumes: ['extra:/d:ro', '/abs:/e']
    configs: [{source: c2, target: /y}, c3]
    secrets: [s2]
    dns: [2.2.2.2]
    tmpfs: [/tmp]
    cap_add: [B]
    networks: {n1: {aliases: [z]}, n2: }
    extra_hosts: {i: 2.2.2.2}
    logging: {options: {max-size: 2m}}
    healthcheck: {interval: 6s, timeout: 1s}
    ulimits: {nofile: 6}
    stop_grace_period: 6s
    init: false
    read_only: true
    deploy: {replicas: 3, labels: {m: '2'}, resources: {limits: {memory: 128M}, reservations: {cpus: '0.1'}}, update_config: {order: start-first},
      placement: {constraints: [c == d]}}
  b: {image: y}
volumes: {data: {name: other}, extra: }
";
    let folder = folder(&[("a.yml", first), ("b.yml", second), ("c1", "x")]);
    let merged = run(&["template", "a.yml", "b.yml"], folder.path());
    assert_eq!(code(&merged), 0, "{}", err(&merged));
    fs::write(folder.path().join("merged.yml"), out(&merged)).unwrap();
    let docker_made = config(&docker, folder.path(), &["-c", "a.yml", "-c", "b.yml"]).unwrap();
    let ours = config(&docker, folder.path(), &["-c", "merged.yml"])
        .unwrap_or_else(|error| panic!("{error}\n{}", out(&merged)));
    for (name, service) in docker_made["services"].as_object().unwrap() {
        for (key, value) in service.as_object().unwrap() {
            assert_eq!(&ours["services"][name][key], value, "{name}.{key}");
        }
    }
    assert_eq!(ours, docker_made);
}

#[test]
fn standard_input_and_help() {
    let folder = folder(&[("t.yml", "app: {image: from-file}")]);
    let mut child =
        outrigger(&["template", "-"], folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let stack = "services: {a: {image: x, x-podlike: {transformer: t.yml}}}";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stack.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(out(&output).contains("image: from-file"), "{}", out(&output));
    assert!(out(&output).contains(concat!("image: outrigger:", env!("CARGO_PKG_VERSION"))));
    let with_env = outrigger(&["template", "t2.yml"], folder.path()).env("OUTRIGGER_IMAGE", "mine:1").output().unwrap();
    assert_eq!(code(&with_env), 1, "there is no such file");
    fs::write(folder.path().join("t2.yml"), stack).unwrap();
    let with_env = outrigger(&["template", "t2.yml"], folder.path()).env("OUTRIGGER_IMAGE", "mine:1").output().unwrap();
    assert!(out(&with_env).contains("image: mine:1"), "{}", err(&with_env));
    assert!(out(&run(&["template", "-h"], folder.path())).contains("Usage:"));
    assert_eq!(code(&run(&["template"], folder.path())), 2);
    assert_eq!(code(&run(&["template", "-", "-"], folder.path())), 2);
}

// ---- servers

fn rendered_from(source: &str, argv: &[&str], env: &[(&str, &Path)]) -> Output {
    let stack = format!("services: {{a: {{image: x, x-podlike: {{transformer: {source}}}}}}}\n");
    let folder = folder(&[("stack.yml", &stack)]);
    let mut all = vec!["template", "stack.yml"];
    all.extend(argv);
    let mut command = outrigger(&all, folder.path());
    for (name, value) in env {
        command.env(name, value);
    }
    command.output().unwrap()
}

#[test]
fn a_template_comes_over_http() {
    let server = Server::plain();
    let output = rendered_from(&server.url("/good"), &[], &[]);
    assert!(out(&output).contains("pod.component.served:"), "{}", err(&output));
    let output = rendered_from(&server.url("/moved"), &[], &[]);
    assert!(out(&output).contains("pod.component.served:"), "{}", err(&output));
    for (path, told) in [
        ("/gone", "answers 404"),
        ("/empty", "answers 204"),
        ("/loop", "redirect"),
        ("/long", "longer than"),
        ("/binary", "UTF-8"),
    ] {
        let output = rendered_from(&server.url(path), &[], &[]);
        assert_eq!(code(&output), 1, "{path}");
        assert!(
            err(&output).contains(told) && err(&output).contains("services.a.x-podlike.transformer"),
            "{path}: {}",
            err(&output)
        );
        let fallback =
            format!("{{http: {{url: '{}', fallback: {{inline: {{fell: {{image: back}}}}}}}}}}", server.url(path));
        let output = rendered_from(&fallback, &[], &[]);
        assert!(out(&output).contains("pod.component.fell:"), "{path}: {}", err(&output));
    }
}

#[test]
fn a_server_that_does_not_answer_costs_the_timeout_only() {
    let server = Server::plain();
    for path in ["/silent", "/slow-body"] {
        let output = rendered_from(&server.url(path), &["--http-timeout", "300ms"], &[]);
        assert_eq!(code(&output), 1);
        assert!(err(&output).contains("did not answer in time"), "{path}: {}", err(&output));
    }
    let refused = rendered_from("http://127.0.0.1:1/x", &[], &[]);
    assert!(err(&refused).contains("refused"), "{}", err(&refused));
}

#[test]
fn certificates_are_verified_unless_told_otherwise() {
    let server = Server::tls();
    let output = rendered_from(&server.url("/good"), &[], &[]);
    assert_eq!(code(&output), 1, "a stranger's certificate");
    assert!(err(&output).contains("certificate") && err(&output).contains("insecure"), "{}", err(&output));
    let insecure = format!("{{http: {{url: '{}', insecure: true}}}}", server.url("/good"));
    let output = rendered_from(&insecure, &[], &[]);
    assert!(out(&output).contains("pod.component.served:"), "{}", err(&output));
    // A machine that trusts the authority.
    let output = rendered_from(&server.url("/good"), &[], &[("SSL_CERT_FILE", server.authority())]);
    assert!(out(&output).contains("pod.component.served:"), "{}", err(&output));
    // Trusted, but for another name.
    let other = server.url("/good").replace("localhost", "127.0.0.1");
    let output = rendered_from(&other, &[], &[("SSL_CERT_FILE", server.authority())]);
    assert!(err(&output).contains("certificate"), "{}", err(&output));
}

// ---- deploy

/// A `docker` that writes down how it was called; `exit` is what it answers.
fn recording(exit: &str) -> tempfile::TempDir {
    let script = format!(
        "#!/bin/sh\ncase \"$1 $2 $3\" in 'stack deploy --help') echo ' -d, --detach'; exit;; service*) exit;; esac\nd=${{0%/*}}\nfor a in \"$@\"; do echo \"$a\"; done > \"$d/argv\"\npwd > \"$d/cwd\"\necho \"$DOCKER_CONFIG\" > \"$d/config\"\n/bin/cat > \"$d/stdin\"\n{exit}\n"
    );
    let folder = folder(&[("docker", &script)]);
    fs::set_permissions(folder.path().join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

const STACK: &str =
    "version: '3.8'\nservices: {a: {image: 'x:${TAG:-1}', x-podlike: {}}}\nconfigs: {c: {file: './c${DOT-.}txt'}}\n";

#[test]
fn deploy_hands_the_rendered_file_to_docker() {
    let stack = folder(&[("stack.yml", STACK)]);
    let docker = recording("exit 0");
    let elsewhere = tempfile::tempdir().unwrap();
    let file = stack.path().join("stack.yml");
    let argv = [
        "deploy",
        "-c",
        file.to_str().unwrap(),
        "--prune",
        "--with-registry-auth",
        "--resolve-image",
        "never",
        "--detach=false",
        "shop",
    ];
    let output =
        outrigger(&argv, elsewhere.path()).env("PATH", docker.path()).env("DOCKER_CONFIG", "conf").output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    let read = |name: &str| fs::read_to_string(docker.path().join(name)).unwrap();
    assert_eq!(
        read("argv"),
        "stack\ndeploy\n--compose-file\n-\n--prune\n--with-registry-auth\n--detach=true\n--resolve-image=never\n--\nshop\n"
    );
    assert_eq!(
        Path::new(read("cwd").trim()),
        stack.path().canonicalize().unwrap(),
        "relative paths in the file begin there"
    );
    assert_eq!(Path::new(read("config").trim()), elsewhere.path().join("conf"), "and docker's own still here");
    let rendered = run(&["template", file.to_str().unwrap()], elsewhere.path());
    assert_eq!(
        read("stdin"),
        out(&rendered).replace("|-\n          x:${TAG:-1}", "x:1"),
        "what docker would put into YAML is there"
    );
    assert!(read("stdin").contains("./c${DOT-.}txt"), "all other variables are docker's to replace");
}

#[test]
fn dockers_exit_code_is_ours() {
    let stack = folder(&[("stack.yml", STACK)]);
    for (ends, expected) in [("exit 7", 7), ("exit 1", 1), ("kill -9 $$", 137)] {
        let docker = recording(ends);
        let output =
            outrigger(&["deploy", "-c", "stack.yml", "s"], stack.path()).env("PATH", docker.path()).output().unwrap();
        assert_eq!(code(&output), expected, "{ends}: {}", err(&output));
    }
}

/// A manager that is elected anew refuses for some seconds, and takes the deployment between two refusals.
#[test]
fn a_deployment_that_cannot_be_followed_is_no_success() {
    let stack = folder(&[("stack.yml", STACK)]);
    let docker = recording("exit 0");
    let script = docker.path().join("docker");
    let as_before = fs::read_to_string(&script).unwrap();
    let refusing = |times: u32| {
        let count = "n=$(cat \"$0.n\" 2>/dev/null || echo 0); echo $((n+1)) > \"$0.n\"";
        let refuse = format!("[ \"$n\" -ge {times} ] || {{ echo 'no leader' >&2; exit 1; }}; exit;;");
        fs::write(&script, as_before.replace("service*) exit;;", &format!("service*) {count}; {refuse}"))).unwrap();
        let path = format!("{}:/usr/bin:/bin", docker.path().display());
        outrigger(&["deploy", "-c", "stack.yml", "s"], stack.path()).env("PATH", path).output().unwrap()
    };
    let output = refusing(100);
    assert_eq!(code(&output), 125, "{}", err(&output));
    assert!(
        err(&output).contains("no leader") && err(&output).contains("run the same command again"),
        "{}",
        err(&output)
    );
    assert!(docker.path().join("argv").exists(), "it was deployed");
    fs::remove_file(docker.path().join("docker.n")).unwrap();
    let output = refusing(2);
    assert_eq!(code(&output), 0, "{}", err(&output));
}

#[test]
fn detach_takes_dockers_booleans() {
    let stack = folder(&[("stack.yml", STACK)]);
    let docker = recording("exit 0");
    for (flag, expected) in
        [("--detach=T", 0), ("--detach=TRUE", 0), ("--detach", 0), ("--detach=F", 0), ("--detach=maybe", 2)]
    {
        let output =
            outrigger(&["deploy", flag, "-c", "stack.yml", "s"], stack.path()).env("PATH", docker.path()).output();
        assert_eq!(code(&output.unwrap()), expected, "{flag}");
    }
}

#[test]
fn nothing_is_deployed_that_has_problems() {
    let docker = recording("exit 0");
    for (stack, told) in [
        ("services: {a: {image: x, x-podlike: {templates: {inline: {b: {imgae: y}}}}}}", "did you mean `image`"),
        ("services: {a: {image: x, labels: {pod.component.b: 'imgae: y'}}}", "did you mean `image`"),
        ("services: {a: {image: 'x:${GONE:?is needed}', x-podlike: {}}}", "is needed"),
        ("services: {a: {image: x, x-podlike: {pod: gone.yml}}}", "gone.yml"),
    ] {
        let folder = folder(&[("stack.yml", stack)]);
        let output =
            outrigger(&["deploy", "-c", "stack.yml", "s"], folder.path()).env("PATH", docker.path()).output().unwrap();
        assert_eq!(code(&output), 1, "{stack}");
        assert!(err(&output).contains(told), "{stack}: {}", err(&output));
        assert!(!docker.path().join("argv").exists(), "{stack}");
    }
    let wrong = folder(&[("stack.yml", "services: {a: {image: x, labels: {pod.component.b: 'imgae: y'}}}")]);
    let output = outrigger(&["deploy", "--no-check", "-c", "stack.yml", "s"], wrong.path())
        .env("PATH", docker.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
}

#[test]
fn a_plain_stack_goes_through_and_a_dry_run_only_prints() {
    let docker = recording("exit 0");
    let folder = folder(&[("stack.yml", "services: {a: {image: x}}\n")]);
    let output = outrigger(&["deploy", "--dry-run", "-c", "stack.yml", "s"], folder.path())
        .env("PATH", docker.path())
        .output()
        .unwrap();
    assert_eq!((code(&output), out(&output).as_str()), (0, "services:\n  a:\n    image: x\n"));
    assert!(!docker.path().join("argv").exists());
    let output =
        outrigger(&["deploy", "-c", "stack.yml", "s"], folder.path()).env("PATH", docker.path()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(docker.path().join("argv").exists());
}

#[test]
fn without_docker_there_is_a_clear_word() {
    let folder = folder(&[("stack.yml", STACK)]);
    let output =
        outrigger(&["deploy", "-c", "stack.yml", "s"], folder.path()).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(code(&output), 125);
    assert!(
        err(&output).contains("no directory in `PATH` has a `docker` command") && err(&output).contains("--dry-run"),
        "{}",
        err(&output)
    );
    assert_eq!(code(&run(&["deploy", "s"], folder.path())), 2, "no file");
}

#[test]
fn the_real_docker_reads_what_it_is_handed() {
    let Some(docker) = docker() else { return };
    let folder = folder(&[("stack.yml", STACK), ("c.txt", "x")]);
    // Without a manager docker refuses at the end; what it says shows that it read the file, or stopped at it.
    let output = outrigger(&["deploy", "-c", "stack.yml", "outrigger-templates-test"], folder.path())
        .env("PATH", docker.parent().unwrap())
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(!err(&output).contains("error:"), "it is docker that failed: {}", err(&output));
}

/// The log of a CI job is read by many.
#[test]
fn a_dry_run_prints_variables_and_values_only_if_asked_to() {
    let stack = "
services:
  web: {image: 'busybox:${TAG:-1}', environment: {PASSWORD: '${PW}'}, volumes: ['data:/${PW}'], x-podlike: {}}
";
    let folder = folder(&[("stack.yml", stack)]);
    let dry = |more: &[&str]| {
        let argv = [&["deploy", "--dry-run", "-c", "stack.yml", "s"], more].concat();
        let output = outrigger(&argv, folder.path()).env("PW", "hunter2").output().unwrap();
        assert_eq!(code(&output), 0, "{}", err(&output));
        (out(&output), err(&output))
    };
    let (plain, notes) = dry(&[]);
    assert!(plain.contains("busybox:${TAG:-1}") && plain.contains("${PW}"), "{plain}");
    assert!(!plain.contains("hunter2") && !notes.contains("hunter2"), "{plain}{notes}");
    assert_eq!(plain, out(&run(&["template", "stack.yml"], folder.path())), "as `template` prints it");
    let (shown, _) = dry(&["--show-values"]);
    assert!(shown.contains("busybox:1") && shown.contains("PASSWORD: hunter2"), "{shown}");
    let alone = run(&["deploy", "--show-values", "-c", "stack.yml", "s"], folder.path());
    assert_eq!(code(&alone), 2, "{}", err(&alone));
}

/// The author wrote the application's time, and the controller adds what it needs itself.
#[test]
fn the_application_has_the_grace_period_that_its_author_wrote() {
    let stack = |written: &str, pod: &str| {
        format!(
            "services:\n  web:\n    image: acme/web:2\n    stop_grace_period: {written}\n    x-outrigger:\n      templates: {{inline: {{proxy: {{image: acme/proxy}}}}}}\n{pod}"
        )
    };
    let more = "      pod: {inline: {pod: {command: '-logs --timeout stop-reserve=3s'}}}\n";
    let own = "      pod: {inline: {pod: {stop_grace_period: 40s}}}\n";
    for (written, pod, controller, application) in [
        ("15s", "", "17s", "15s"),
        ("15s", more, "18s", "15s"),
        ("15s", own, "40s", "15s"),
        ("${GRACE:-15s}", "", "17s", "${GRACE:-15s}"),
    ] {
        let folder = folder(&[("stack.yml", &stack(written, pod))]);
        let rendered = run(&["deploy", "--dry-run", "--show-values", "-c", "stack.yml", "s"], folder.path());
        assert_eq!((code(&rendered), err(&rendered).as_str()), (0, ""), "{written} {pod}: nothing is shortened");
        let web = serde_yaml_value(&out(&rendered))["services"]["web"].clone();
        assert_eq!(web["stop_grace_period"], controller, "{written} {pod}");
        assert_eq!(web["labels"]["pod.stop_grace_period"], controller, "{written} {pod}");
        let printed = run(&["template", "stack.yml"], folder.path());
        let web = serde_yaml_value(&out(&printed))["services"]["web"].clone();
        let app = serde_yaml_value(web["labels"]["pod.component.app"].as_str().unwrap());
        assert_eq!(app["stop_grace_period"], application, "{written} {pod}");
        let is_open = written.contains('$');
        assert_eq!(web["stop_grace_period"], if is_open { written } else { controller }, "{written} {pod}");
        assert_eq!(err(&printed).contains("only `outrigger deploy` knows the value"), is_open, "{}", err(&printed));
        let checked = run(&["check", "stack.yml"], folder.path());
        assert_eq!(code(&checked), 0, "{}", err(&checked));
        assert!(!out(&checked).contains("longer than"), "{}", out(&checked));
        let plan = run(&["plan", "--json", "stack.yml"], folder.path());
        let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
        let grace = |at: usize| plan[0]["plan"]["containers"][at]["grace_ms"].as_u64();
        let names = [0, 1].map(|at| plan[0]["plan"]["containers"][at]["name"].as_str().unwrap_or_default().to_owned());
        let app = names.iter().position(|name| name.ends_with("app")).unwrap();
        assert_eq!(grace(app), Some(15_000), "{written} {pod}: {names:?}");
    }
}

#[test]
fn a_nul_character_is_refused_wherever_it_stands() {
    for (service, place) in [
        ("{image: x, labels: {a: \"x\\0\"}}", "field `services.a.labels.a`"),
        ("{image: x, labels: {\"a\\0\": x}}", "a key contains a NUL character"),
        (
            "{image: x, x-outrigger: {templates: {inline: {b: {image: c, command: [\"x\\0\"]}}}}}",
            "pod.component.b.command[0]`: contains a NUL character",
        ),
    ] {
        let folder = folder(&[("stack.yml", &format!("services: {{a: {service}}}"))]);
        let output = run(&["template", "stack.yml"], folder.path());
        assert_eq!((code(&output), out(&output).as_str()), (1, ""), "{service}");
        assert!(err(&output).contains(place), "{service}: {}", err(&output));
    }
}

/// The value of a variable, as the component gets it.
fn deployed(folder: &Path, value: &str) -> Value {
    let output = outrigger(&["deploy", "--dry-run", "--show-values", "--no-check", "-c", "stack.yml", "s"], folder)
        .env("X", value)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{value:?}: {}", err(&output));
    let stack = serde_yaml_value(&out(&output));
    let body = stack["services"]["web"]["labels"]["pod.component.app"].as_str().unwrap().replace("$$", "$");
    serde_yaml_value(&body)
}

#[test]
fn the_value_of_a_variable_reaches_the_component_whole() {
    let stack = "
services:
  web:
    image: busybox
    environment: {NOTE: '${X}', BOTH: '<${X}> $$X'}
    labels: ['note=${X}']
    x-podlike: {transformer: {inline: {app: {command: [echo, '${X}'], plugins: [{signal: {port: '${X}'}}]}}}}
";
    let folder = folder(&[("stack.yml", stack)]);
    for value in ["room 4 #south", "a: b", "[x", "it's \"x\" \\n", "one\ntwo: [\n", " ", "0440", "$HOME $$", "é"] {
        let body = deployed(folder.path(), value);
        assert_eq!(body["environment"]["NOTE"], value);
        assert_eq!(body["environment"]["BOTH"], format!("<{value}> $X"));
        assert_eq!(body["labels"], serde_json::json!([format!("note={value}")]));
        assert_eq!(body["command"][1], value);
    }
    assert_eq!(deployed(folder.path(), "8080")["plugins"][0]["signal"]["port"], 8080, "a plugin decides about types");
    // Docker still finds its variables outside of what has become a label.
    let output =
        outrigger(&["deploy", "--dry-run", "--no-check", "-c", "stack.yml", "s"], folder.path()).env("X", "y").output();
    assert!(out(&output.unwrap()).contains("      NOTE: ${X}\n"));
}

#[test]
fn what_is_wrong_with_the_value_of_a_variable_names_the_variable() {
    let docker = recording("exit 0");
    let by_hand = "{image: outrigger, volumes: ['/var/run/docker.sock:/var/run/docker.sock'], labels: {pod.component.app: \"image: x\\nuser: ${NOTE}\\n\"}}";
    let made = "{image: 'acme/web:${TAG}', x-podlike: {}}";
    for (service, note, code_, told) in [
        (made, "x", 1, "`acme/web:` is not an image reference"),
        (made, "x", 1, "the variable `TAG` is not set"),
        (by_hand, "a: b", 1, "the value of the variable `NOTE` is part of this text; if YAML changes the value"),
        (by_hand, "room #4", 0, "field `user`: YAML changes the value of `NOTE`"),
        (
            "{image: x, user: '${TAG}', x-podlike: {}}",
            "x",
            0,
            "note: the variable `TAG` is not set; an empty value replaces it",
        ),
    ] {
        let folder = folder(&[("stack.yml", &format!("services: {{web: {service}}}"))]);
        for argv in [&["deploy", "--dry-run", "-c", "stack.yml", "s"][..], &["check", "--podlike", "stack.yml"]] {
            let mut command = outrigger(argv, folder.path());
            let output = command.env("PATH", docker.path()).env("NOTE", note).output().unwrap();
            assert_eq!(code(&output), code_, "{argv:?}: {}", err(&output));
            let answer = err(&output);
            assert!(answer.contains(told), "{argv:?}: `{told}` is missing in:\n{answer}");
            assert!(!answer.contains("room #4"), "a value may be a secret: {answer}");
        }
    }
}

// ---- check --podlike

#[test]
fn check_names_what_differs_from_podlike() {
    let stack = "services: {s: {image: 'rycus86/podlike', labels: {pod.component.a: '{image: x, environment: [A]}', pod.copy.a: '/a:/b'}}}";
    let folder = folder(&[("stack.yml", stack)]);
    let output = run(&["check", "--podlike", "stack.yml"], folder.path());
    assert_eq!(code(&output), 0, "{}", err(&output));
    for told in [
        "service `s`, field `image`",
        "-logs=false",
        "label `pod.component.a`, field `environment[0]`",
        "label `pod.copy.a`",
        "0644",
    ] {
        assert!(out(&output).contains(told), "{told}: {}", out(&output));
    }
    let machine: Value =
        serde_json::from_slice(&run(&["check", "--podlike", "--json", "stack.yml"], folder.path()).stdout).unwrap();
    assert_eq!(machine["ok"], true);
    let found = machine["differences"].as_array().unwrap();
    assert!(
        found.iter().any(|it| it["label"] == "pod.component.a"
            && it["field"] == "environment[0]"
            && it["remedy"] == "write `A=`")
    );
    fs::write(folder.path().join("bad.yml"), "services: {s: {image: o, labels: {pod.component.a: 'imgae: x'}}}")
        .unwrap();
    let output = run(&["check", "--podlike", "bad.yml"], folder.path());
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("imgae"), "{}", err(&output));
    let machine: Value =
        serde_json::from_slice(&run(&["check", "--podlike", "--json", "bad.yml"], folder.path()).stdout).unwrap();
    assert_eq!(
        (machine["ok"].clone(), machine["problems"].as_array().unwrap().is_empty()),
        (Value::Bool(false), false)
    );
}

#[test]
fn every_example_of_the_reference_renders() {
    let reference = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/templates.md")).unwrap();
    let mut checked = 0;
    for block in reference.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let folder = folder(&[("stack.yml", text)]);
        fs::create_dir(folder.path().join("templates")).unwrap();
        fs::write(folder.path().join("templates/proxy.yml"), "proxy: {image: acme/proxy}").unwrap();
        let output = run(&["check", "stack.yml"], folder.path());
        assert_eq!(code(&output), 0, "{}\nin\n{text}", err(&output));
        checked += 1;
    }
    assert!(checked >= 4, "only {checked} examples");
}

#[test]
fn configs_and_secrets_that_no_component_gets_are_named() {
    let stack = |labels: &str| {
        format!(
            "services:\n  web:\n    image: acme/web\n    secrets: [tok, {{source: key, target: /etc/key.pem}}]\n    configs: [{{source: conf, target: /etc/app/app.conf}}, plain]\n    {labels}\n    x-outrigger: {{templates: {{inline: {{side: {{image: acme/side}}}}}}}}\n\
             secrets: {{tok: {{external: true}}, key: {{external: true}}}}\nconfigs: {{conf: {{external: true}}, plain: {{external: true}}}}\n"
        )
    };
    let noted = |labels: &str| {
        let folder = folder(&[("stack.yml", &stack(labels))]);
        let output = run(&["check", "stack.yml"], folder.path());
        assert_eq!(code(&output), 0, "{}", err(&output));
        [out(&output), err(&output)].concat()
    };
    let all = noted("");
    for path in ["secret `/run/secrets/tok`", "secret `/etc/key.pem`", "config `/etc/app/app.conf`", "config `/plain`"]
    {
        assert!(all.contains(&format!("note: the controller gets the {path}, and no component does")), "{path}: {all}");
    }
    let some = noted("labels: {pod.copy.app: \"[/run/secrets/tok:/t, /etc/app:/etc/app]\", other: /etc/key.pem}");
    for path in ["/run/secrets/tok", "/etc/app/app.conf", "/etc/key.pem"] {
        assert!(!some.contains(&format!("`{path}`, and no component")), "{path}: {some}");
    }
    assert!(some.contains("config `/plain`, and no component"), "{some}");
}

/// A component may have such a file, too.
#[test]
fn an_optional_env_file_may_be_missing() {
    let stack = |required: &str| {
        format!(
            "services:\n  web:\n    image: a\n    environment: {{LEVEL: info}}\n    env_file: [{{path: ./none.env{required}}}]\n    x-outrigger: {{}}\n"
        )
    };
    let rendered = |required: &str| {
        let folder = folder(&[("stack.yml", &stack(required))]);
        run(&["template", "stack.yml"], folder.path())
    };
    let optional = rendered(", required: false");
    assert_eq!(code(&optional), 0, "{}", err(&optional));
    assert!(err(&optional).contains("service `web`: `env_file` `./none.env` is ignored: "), "{}", err(&optional));
    assert!(out(&optional).contains("LEVEL: info"), "{}", out(&optional));
    for required in ["", ", required: true"] {
        let output = rendered(required);
        assert_eq!(code(&output), 1, "{required}");
        assert!(err(&output).contains("cannot read `./none.env`"), "{}", err(&output));
    }
}
