//! What `check`, `plan` and `run` find: all of it at once, and nothing that only an engine could tell.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use super::{code, err, fed, json, out, outrigger};

/// What depends on the engine is no problem where none was asked: with version 1 of cgroups the controller runs this pod.
#[test]
fn limits_that_only_some_engines_divide_are_noted() {
    let file = "
controller: {mem_limit: 64m}
components:
  one: {image: busybox, mem_limit: 48m}
  two: {image: busybox, mem_limit: 48m}
";
    let output = fed(&["check", "-"], file);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let told = out(&output);
    assert!(told.contains("note: if the engine cannot enforce limits") && told.contains("96MiB"), "{told}");
    for mode in ["nested", "slice", "tree"] {
        let output = fed(&["plan", "-", "--cgroup-mode", mode], file);
        assert_eq!(code(&output), 0, "{mode}: {}", err(&output));
        assert!(out(&output).contains(&format!("cgroups: {mode} (assumed): set with")), "{}", out(&output));
    }
    for mode in ["--cgroup-mode=divided", "--cgroup-mode=inherit"] {
        let output = fed(&["check", "-", mode], file);
        assert_eq!(code(&output), 1, "{mode}");
        assert!(err(&output).contains("is 96MiB, which is more than the controller's 64MiB"), "{}", err(&output));
    }
}

/// An engine that answers these paths, and nothing else.
fn engine(directory: &Path, answers: &'static [(&'static str, &'static str)]) -> String {
    let path = directory.join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let path = request.split([' ', '?']).nth(1).unwrap_or_default();
            let found = answers.iter().find(|(known, _)| path.ends_with(known));
            let (status, body) = found.map_or((404, r#"{"message": "not here"}"#), |(_, body)| (200, *body));
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
            // Whoever asked may have left.
            write!(stream, "{head}\r\nConnection: close\r\n\r\n{body}").unwrap_or_default();
        }
    });
    format!("unix://{}", path.display())
}

const VERSION: (&str, &str) = ("/version", r#"{"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}"#);
const OLD: (&str, &str) = ("/info", r#"{"CgroupDriver": "cgroupfs", "CgroupVersion": "1", "Name": "vm"}"#);
const NEW: (&str, &str) = ("/info", r#"{"CgroupDriver": "systemd", "CgroupVersion": "2", "Name": "vm"}"#);
const WEB: (&str, &str) = (
    "/containers/web/json",
    r#"{"Id": "ab12", "Name": "/web", "State": {"Running": true}, "HostConfig": {"Memory": 67108864}, "Config": {"Image": "outrigger", "Labels": {
        "pod.component.one": "{image: busybox, mem_limit: 48m}", "pod.component.two": "{image: busybox, mem_limit: 48m}"}}}"#,
);
const NONE_RUNS: (&str, &str) = ("/containers/json", "[]");
const ONE_RUNS: (&str, &str) =
    ("/containers/json", r#"[{"Id": "c1", "Names": ["/web.podlike.one"], "State": "running"}]"#);
const NESTED: (&str, &str) = ("/containers/c1/json", r#"{"Id": "c1", "HostConfig": {"CgroupParent": "/docker/ab12"}}"#);
const BESIDE: (&str, &str) = ("/containers/c1/json", r#"{"Id": "c1", "HostConfig": {"CgroupParent": ""}}"#);

/// Where there is an engine, it and the running components say where cgroups are.
#[test]
fn an_engine_that_is_asked_decides_about_limits() {
    type Case = (&'static [(&'static str, &'static str)], Result<&'static str, &'static str>);
    let cases: [Case; 4] = [
        (&[VERSION, OLD, WEB, NONE_RUNS], Ok("cgroups: nested: cgroup version 1")),
        (&[VERSION, OLD, WEB, ONE_RUNS, NESTED], Ok("cgroups: nested, in `/docker/ab12`: cgroup version 1")),
        (&[VERSION, OLD, WEB, ONE_RUNS, BESIDE], Err("is 96MiB, which is more")),
        (&[VERSION, NEW, WEB, NONE_RUNS], Err("is 96MiB, which is more")),
    ];
    for (answers, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let address = engine(dir.path(), answers);
        let output = outrigger(&["plan", "--container", "web"]).env("DOCKER_HOST", &address).output().unwrap();
        match expected {
            Ok(told) => {
                assert_eq!(code(&output), 0, "{}", err(&output));
                assert!(out(&output).contains(told), "`{told}` is missing in:\n{}", out(&output));
            }
            Err(told) => {
                assert_eq!(code(&output), 1, "{}", out(&output));
                assert!(err(&output).contains(told), "`{told}` is missing in:\n{}", err(&output));
            }
        }
    }
    let limited =
        "controller: {mem_limit: 64m}\ncomponents: {a: {image: x, mem_limit: 48m}, b: {image: x, mem_limit: 48m}}\n";
    for (answers, ends) in [(&[VERSION, OLD], 125), (&[VERSION, NEW], 1)] {
        let dir = tempfile::tempdir().unwrap();
        let address = engine(dir.path(), answers);
        let file = dir.path().join("pod.yaml");
        std::fs::write(&file, limited).unwrap();
        let output = outrigger(&["run", file.to_str().unwrap()]).env("DOCKER_HOST", &address).output().unwrap();
        assert_eq!(code(&output), ends, "{}", err(&output));
        // As far as to the image, which is not there.
        assert_eq!(err(&output).contains("build the controller's image"), ends == 125, "{}", err(&output));
    }
}

/// Whatever else is wrong, what the policy refuses is told with it.
#[test]
fn the_policy_judges_what_could_be_read() {
    let labels = "
services:
  one:
    image: outrigger
    labels:
      pod.component.app: |
        image: busybox
        privileged: true
        comand: x
      pod.componet.side: 'image: busybox'
  two:
    image: outrigger
    command: --lgos
    labels:
      pod.component.app: '{image: busybox, privileged: true}'
  three:
    image: outrigger
    labels:
      pod.component.app: '{image: busybox, cap_add: [ALL]}'
";
    let output = fed(&["check", "-"], labels);
    assert_eq!(code(&output), 1);
    for told in [
        "`stdin: one: pod.component.app`, field `comand`",
        "`stdin: one: pod.component.app`, field `privileged`",
        "`stdin: one: pod.componet.side`",
        "`stdin`, field `services.two.command`",
        "hint: did you mean `--logs`?",
        "`stdin: three: pod.component.app`, field `cap_add[0]`",
    ] {
        assert!(err(&output).contains(told), "`{told}` is missing in:\n{}", err(&output));
    }
    // What the flags would have allowed is not known where they are wrong.
    assert!(!err(&output).contains("two: pod.component.app"), "{}", err(&output));
    let document = "components: {app: {image: busybox, privileged: true, comand: x}}";
    let told = err(&fed(&["check", "-"], document));
    assert!(told.contains("components.app.comand") && told.contains("components.app.privileged"), "{told}");
}

#[test]
fn what_is_probably_not_meant_is_noted() {
    let stack = "
services:
  web:
    image: nginx
    environment: {OUTRIGGER_PID: 'false'}
    labels:
      pod.component.app: '{image: busybox, environment: [\"PORT: 5000\", \"A B\"]}'
";
    let output = fed(&["check", "-"], stack);
    assert_eq!(code(&output), 0, "{}", err(&output));
    for told in ["`OUTRIGGER_PIDS`", "`PORT=5000`", "`NAME=value`", "docker.sock:ro", "`nginx` is probably not"] {
        assert!(out(&output).contains(told), "`{told}` is missing in:\n{}", out(&output));
    }
    let document = "controller: {volumes: ['./nope:/data']}\ncomponents: {app: {image: busybox, mem_limit: 1m}}\n";
    let output = fed(&["check", "-"], document);
    assert!(err(&output).contains("the minimum is `6m`"), "{}", err(&output));
    let output = fed(&["check", "-"], &document.replace("1m", "6m"));
    assert!(out(&output).contains("`./nope` does not exist"), "{}", out(&output));
}

/// Whoever mends a mistake does not meet notes that could have been told with it.
#[test]
fn notes_are_told_beside_mistakes() {
    let stack = "
services:
  web:
    image: outrigger
    healthcheck: {start_period: 15s}
    stop_grace_period: 40s
    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']
    deploy: {update_config: {monitor: 5s}}
    labels:
      pod.component.app: '{image: busybox, imgae: x, healthcheck: {test: x, interval: 2s}}'
  right:
    image: nginx
    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']
    labels: {pod.component.app: 'image: busybox'}
";
    let notes = [
        "note: `web`: `stdin`, field `services.web.healthcheck.start_period`",
        "note: `web`: `stdin`, field `services.web.stop_grace_period`",
        "note: `web`: `stdin`, field `services.web.deploy.update_config.monitor`",
        "note: `right`: `stdin`, field `services.right.image`: `nginx` is probably not",
    ];
    for command in ["check", "plan"] {
        let output = fed(&[command, "-"], stack);
        assert_eq!(code(&output), 1);
        let told = err(&output);
        for note in notes {
            assert_eq!(told.matches(note).count(), 1, "{command}: `{note}` in:\n{told}");
        }
        assert!(told.find("error:") < told.find("note:") && out(&output).is_empty(), "{told}");
    }
    assert!(
        err(&fed(&["check", "-"], stack))
            .contains("note: `web`: component `app`: `healthcheck` runs a command every 2s")
    );
    let answer: serde_json::Value = serde_json::from_slice(&fed(&["check", "--json", "-"], stack).stdout).unwrap();
    let known = answer["notes"].as_array().unwrap();
    assert!(known.iter().any(|note| note.as_str().unwrap().starts_with("`right`: ")), "{answer}");
}

/// What is wrong in one part of a file hides nothing of another.
#[test]
fn a_wrong_template_hides_nothing_of_other_services() {
    let stack = "
services:
  one:
    image: acme/one
    x-outrigger: {tranformer: {inline: {app: {}}}}
  two:
    image: acme/two
    x-outrigger: {templates: {inline: \"side: {image: 'acme/side:{{ .Args.Version }}'}\"}}
  three:
    image: outrigger
    labels: {pod.component.app: '{image: busybox, privileged: true}'}
";
    for argv in [&["check", "-"][..], &["check", "--podlike", "-"]] {
        let output = fed(argv, stack);
        assert_eq!(code(&output), 1);
        for told in [
            "did you mean `transformer`?",
            "the template `inline` uses `.Args.Version`, which is not set",
            "`stdin: three: pod.component.app`, field `privileged`",
        ] {
            assert!(err(&output).contains(told), "{argv:?}: `{told}` is missing in:\n{}", err(&output));
        }
    }
    let labels = "
services:
  web:
    image: outrigger
    labels:
      pod.compnent.x: ''
      pod.component.app: '{image: busybox, privileged: true}'
";
    let told = err(&fed(&["check", "--podlike", "-"], labels));
    assert!(told.contains("pod.compnent.x") && told.contains("field `privileged`"), "{told}");
}

#[test]
fn a_tab_in_yaml_is_told_with_its_line() {
    let told = err(&fed(&["check", "-"], "components:\n\tapp: {image: busybox}\n"));
    assert!(told.contains("line 2 begins with a tab: YAML allows only spaces"), "{told}");
}

/// The container that lends its IPC namespace has the controller's image.
#[test]
fn a_plan_names_the_image_that_runs() {
    let components = "components: {app: {image: busybox}, side: {image: busybox}}";
    let plan = out(&fed(&["plan", "-"], components));
    assert!(plan.contains(concat!("outrigger:", env!("CARGO_PKG_VERSION"))), "{plan}");
    let plan = out(&fed(&["plan", "-"], &format!("controller: {{image: 'acme/pods:7'}}\n{components}")));
    assert!(plan.contains("acme/pods:7"), "{plan}");
    let stack = "services: {web: {image: 'acme/outrigger:3', labels: {pod.component.a: 'image: x', pod.component.b: 'image: x'}}}";
    let plan = out(&fed(&["plan", "-"], stack));
    assert!(plan.contains("acme/outrigger:3"), "{plan}");
}

/// With `-volumes` components get the mounts of the service.
#[test]
fn a_plan_shows_the_mounts_that_are_shared() {
    let stack = "
services:
  web:
    image: outrigger
    command: -volumes
    volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro', 'data:/data', '/srv/conf:/conf:ro']
    labels:
      pod.component.app: '{image: busybox}'
volumes: {data: {}}
";
    let plan = out(&fed(&["plan", "-"], stack));
    assert!(plan.contains("/data") && plan.contains("/srv/conf") && !plan.contains("docker.sock"), "{plan}");
}

/// A generated file with tens of thousands of mistakes makes a page, in every form of the answer, and is read in one go: what takes the square of their number would take minutes.
#[test]
fn tens_of_thousands_of_mistakes_make_one_page() {
    let many = |line: fn(usize) -> String| (0..20_000).map(line).collect::<Vec<_>>().join(", ");
    let keys = many(|n| format!("key-{n}: 1"));
    let names = many(|n| format!("c{n}: {{imgae: x}}"));
    let copies = many(|n| format!("'/x/{n}:relative'"));
    let missing = many(|n| format!("d{n}"));
    let nobody = many(|n| format!("c{n}: {{image: x, depends_on: [d{n}]}}"));
    let labels = many(|n| format!("\"pod.copy.c{n}\": 'nothing'"));
    for (file, total) in [
        (format!("components: {{app: {{image: x, {keys}}}}}"), 20_000),
        (format!("components: {{app: {{image: x}}}}\ncopy: {{app: [{copies}]}}"), 40_000),
        (format!("components: {{app: {{image: x, depends_on: [{missing}]}}}}"), 20_000),
        (format!("{{{labels}}}"), 40_001),
        // More components than a pod can have are one mistake, whatever is wrong with each.
        (format!("components: {{{names}}}"), 1),
        (format!("components: {{{nobody}}}"), 1),
    ] {
        let output = fed(&["check", "-"], &file);
        let told = err(&output);
        assert_eq!(code(&output), 1, "{told}");
        let shown = total.min(20);
        assert_eq!(told.matches("error: ").count(), shown, "{told:.2000}");
        let last = match total {
            1 => "  hint: divide the components among several pods, each with a controller of its own".to_owned(),
            _ => format!("{total} problems; nothing was started; {} more problems are not shown", total - shown),
        };
        assert_eq!(told.lines().last(), Some(last.as_str()), "{told:.2000}");
        let page = 16 * 1024;
        assert!(told.len() < page, "{} bytes", told.len());
        let answer = json(&fed(&["check", "-", "--json"], &file));
        let shown = answer["problems"].as_array().unwrap().len();
        assert_eq!(shown, total.min(200));
        assert_eq!(answer["left_out"].as_u64(), u64::try_from(total - shown).ok());
        assert!(answer.to_string().len() < 192 * 1024);
    }
    // They are the first ones of the file, whoever finds them: here the last line is found first.
    let wrong: String = (0..30).map(|n| format!("    key{n}: x\n")).collect();
    let told = err(&fed(&["check", "-"], &format!("components:\n  app:\n    image: x\n{wrong}wrong: 1\n")));
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("--> ")).collect();
    let expected: Vec<String> = (4..24).map(|line| format!("stdin:{line}:5")).collect();
    assert!(lines.iter().zip(&expected).all(|(line, place)| line.ends_with(place.as_str())), "{told}");
    assert_eq!(lines.len(), 20);
    // Not a problem, but a note for each.
    let unused = many(|n| format!("d{n}: {{condition: service_started, required: false}}"));
    let output = fed(&["check", "-"], &format!("components: {{app: {{image: x, depends_on: {{{unused}}}}}}}"));
    let told = out(&output);
    assert!(code(&output) == 0 && told.contains("note: 19900 more notes are omitted"), "{told:.2000}");
    assert_eq!(told.lines().count(), 102);
}

/// A stack file with one pod; `service` is what the service has besides its labels.
fn stack(service: &str, labels: &str, rest: &str) -> String {
    format!(
        "services:\n  web:\n    image: outrigger\n    volumes: [\"/var/run/docker.sock:/var/run/docker.sock:ro\"]\n    {service}\n    labels:\n      {labels}\n{rest}\n"
    )
}

#[test]
fn a_file_that_nobody_gives_to_the_controller_is_a_problem() {
    let labels = "pod.component.app: '{image: busybox, env_file: /conf/app.env}'\n      pod.copy.app: /run/app.conf:/etc/app.conf";
    let output = fed(&["check", "-"], &stack("hostname: x", labels, ""));
    let told = err(&output);
    assert_eq!(code(&output), 1, "{told}");
    for (place, file) in [("pod.copy.app", "/run/app.conf"), ("pod.component.app", "/conf/app.env")] {
        let nothing = format!("cannot read `{file}`: no mount, config or secret of the controller has this file");
        assert!(told.contains(place) && told.contains(&nothing), "{told}");
    }
    let configs = "configs: [{source: a, target: /run/app.conf}]\n    secrets: [{source: b, target: /conf/app.env}]";
    let output = fed(&["check", "-"], &stack(configs, labels, ""));
    assert_eq!(code(&output), 0, "{}", err(&output));
    // Who does not see all of it keeps silent.
    let output = fed(&["check", "-"], &stack("extends: {file: base.yml, service: base}", labels, ""));
    assert_eq!(code(&output), 0, "{}", err(&output));
    // An image of somebody's own may hold anything.
    let own = stack("hostname: x", labels, "").replace("image: outrigger", "image: acme/outrigger");
    let output = fed(&["check", "-"], &own);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let told = out(&output);
    assert!(told.contains("has `/run/app.conf`, so the image `acme/outrigger` must have the file"), "{told}");
    assert!(told.contains("has `/conf/app.env`, so the image `acme/outrigger` must have the file"), "{told}");
    // The components themselves may be in such a file.
    let output = fed(&["check", "-"], &stack("hostname: x", "pod.compose.file: /run/pod/compose.yml", ""));
    assert!(err(&output).contains("cannot read `/run/pod/compose.yml`: no mount"), "{}", err(&output));
    let plugin = "pod.component.app: '{image: busybox}'\n      pod.plugins: '[{reload: {watch: /config/x, component: app, target: /etc/x}}]'";
    let output = fed(&["check", "-"], &stack("hostname: x", plugin, ""));
    assert!(
        out(&output).contains("plugin `reload` watches `/config/x`, but no mount"),
        "{}{}",
        out(&output),
        err(&output)
    );
}

#[test]
fn a_file_beside_a_pod_yaml_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pod.yaml");
    let text = "
controller: {volumes: ['./conf:/conf:ro', './later:/later']}
components: {app: {image: busybox, env_file: [/conf/app.env, {path: /conf/none.env, required: false}]}}
copy: {app: ['/conf/a:/etc/a', '/conf/b/c:/etc/c', '/later/d:/etc/d', '/nowhere/e:/etc/e']}
";
    std::fs::write(&file, text).unwrap();
    std::fs::create_dir(folder.path().join("conf")).unwrap();
    std::fs::write(folder.path().join("conf/a"), "").unwrap();
    let check = || outrigger(&["check", file.to_str().unwrap()]).output().unwrap();
    let told = err(&check());
    let (told, notes) = told.split_once("note: ").expect("notes follow");
    assert!(notes.contains("`./later`") && !notes.contains("note: "), "{notes}");
    for missing in ["`/conf/app.env`: `", "`/conf/b/c`: `", "`/nowhere/e`: no mount"] {
        assert!(told.contains(&format!("cannot read {missing}")), "{missing}: {told}");
    }
    assert_eq!(told.matches("` does not exist").count(), 2, "{told}");
    assert!(!told.contains("`/later/d`") && !told.contains("`/conf/a`") && told.contains("3 problems"), "{told}");
    std::fs::write(folder.path().join("conf/app.env"), "A=1").unwrap();
    std::fs::create_dir(folder.path().join("conf/b")).unwrap();
    std::fs::write(folder.path().join("conf/b/c"), "").unwrap();
    std::fs::write(&file, text.replace(", '/nowhere/e:/etc/e'", "")).unwrap();
    let output = check();
    assert_eq!(code(&output), 0, "{}", err(&output));
    // Of folders that are mounted one into the other, the inner one has the file.
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    std::fs::write(folder.path().join("inner/c"), "").unwrap();
    std::fs::remove_file(folder.path().join("conf/b/c")).unwrap();
    let nested =
        std::fs::read_to_string(&file).unwrap().replace("'./later:/later'", "'./inner:/conf/b', './later:/later'");
    std::fs::write(&file, nested).unwrap();
    assert_eq!(code(&check()), 0, "{}", err(&check()));
    std::fs::remove_file(folder.path().join("inner/c")).unwrap();
    std::fs::write(folder.path().join("conf/b/c"), "").unwrap();
    assert!(err(&check()).contains("cannot read `/conf/b/c`"), "{}", err(&check()));
    std::fs::write(folder.path().join("inner/c"), "").unwrap();
    // Of an engine elsewhere nothing is known from here.
    std::fs::remove_file(folder.path().join("conf/a")).unwrap();
    assert_eq!(code(&check()), 1);
    let mut elsewhere = outrigger(&["check", file.to_str().unwrap()]);
    let output = elsewhere.env("DOCKER_HOST", "tcp://far:2375").output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
}

/// `$NAME` belongs to the shell that runs a command, and to nobody else: users name their labels as they like.
#[test]
fn a_label_that_is_called_like_a_command_is_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pod.yaml");
    std::fs::write(folder.path().join(".env"), "TAG=1\n").unwrap();
    let text = "components: {app: {image: busybox, command: 'echo $TAG', labels: {command: 'v$TAG', test: 'v$TAG'}}}";
    std::fs::write(&file, text).unwrap();
    let output = outrigger(&["plan", "--json", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    let told = out(&output);
    for filled in [r#""command": "v1""#, r#""test": "v1""#, r#""$TAG""#] {
        assert!(told.contains(filled), "`{filled}` is missing in {told}");
    }
}

#[test]
fn a_volume_that_nobody_declares_is_told() {
    let pod = |more: &str| {
        fed(
            &["check", "-"],
            &format!("components: {{db: {{image: busybox, volumes: ['data:/data', '/anonymous']}}}}\n{more}\n"),
        )
    };
    let output = pod("");
    let told = err(&output);
    assert!(code(&output) == 1 && told.contains("volume `data` is not declared"), "{told}");
    assert!(told.contains("`volumes: {data: {}}`") && told.contains("components.db.volumes[0]"), "{told}");
    assert!(err(&pod("volumes: {dat: {}}")).contains("did you mean `dat`?"));
    for right in [
        "volumes: {data: {}}",
        "volumes: {data: {external: true}}",
        "volumes: {data: {name: other}}",
        "volumes: {other: {name: data}}",
        "volumes: {other: {external: {name: data}}}",
        "controller: {volumes: ['data:/data']}",
    ] {
        assert_eq!(code(&pod(right)), 0, "{right}: {}", err(&pod(right)));
    }
    let own = "components: {db: {image: busybox, volumes: [{type: volume, source: files, target: /x, volume: {driver: nfs}}]}}";
    assert_eq!(code(&fed(&["check", "-"], own)), 0);
    // In labels, a name is a volume of the engine, as with podlike. That is noted, and how to get one of the stack.
    let labels = "pod.component.db: '{image: busybox, volumes: [\"data:/data\"]}'";
    let notes = |service: &str, rest: &str| {
        let output = fed(&["check", "-"], &stack(service, labels, rest));
        assert_eq!(code(&output), 0, "{}", err(&output));
        out(&output)
    };
    let told = notes("hostname: x", "volumes: {data: {}}");
    assert!(
        told.contains("`data` means the engine's volume of exactly this name") && told.contains("`data:/unused`"),
        "{told}"
    );
    let told = notes("hostname: x", "volumes: {dta: {}}");
    assert!(
        told.contains("this file does not declare `data`, so `data` means a volume of the engine; did you mean `dta`?"),
        "{told}"
    );
    let told = notes("hostname: x", "");
    assert!(told.contains("this file does not declare `data`") && told.contains("which all stacks share"), "{told}");
}

/// A file that is mounted by itself is the source of a copy, as a file below a mounted folder is.
#[test]
fn a_file_that_is_mounted_by_itself_can_be_copied() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app.conf"), "x").unwrap();
    std::os::unix::fs::symlink("/only/in/the/controller", dir.path().join("link")).unwrap();
    let pod = |mount: &str, source: &str| {
        let file = dir.path().join("pod.yaml");
        let text = format!(
            "controller: {{volumes: ['{mount}']}}\ncomponents: {{app: {{image: busybox, env_file: {source}}}}}\ncopy: {{app: '{source}:/etc/app.conf'}}\n"
        );
        std::fs::write(&file, text).unwrap();
        outrigger(&["check", file.to_str().unwrap()]).output().unwrap()
    };
    for (mount, source) in [
        ("./app.conf:/in/app.conf:ro", "/in/app.conf"),
        (".:/in:ro", "/in/app.conf"),
        (".:/in:ro", "/in/link"),
        ("./:/in", "/in/./app.conf"),
    ] {
        let output = pod(mount, source);
        assert_eq!(code(&output), 0, "{mount} {source}: {}", err(&output));
    }
    let output = pod(".:/in:ro", "/in/other.conf");
    assert!(code(&output) == 1 && err(&output).contains("other.conf`"), "{}", err(&output));
}

/// Mistakes of one component, each found in another step: while the text is read, while the plan is made, or by the policy. `NAME` stands for the component.
const MISTAKES: [(&str, &str); 11] = [
    ("{image: busybox, imagee: x}", ""),
    ("{image: busybox, ports: ['80:80']}", ""),
    ("{image: 'no reference'}", ""),
    ("{image: busybox, volumes: ['typo:/x']}", ""),
    ("{image: busybox, depends_on: [nobody]}", ""),
    ("{image: busybox, depends_on: [NAME]}", ""),
    ("{image: busybox, env_file: [/none.env]}", ""),
    ("{image: busybox, labels: {outrigger.x: '1'}}", ""),
    ("{image: busybox, privileged: true}", ""),
    ("{image: busybox, tmpfs: [/data]}", "/etc/hosts:/data/x"),
    ("{image: busybox}", "/none:/x"),
];

/// Fields and texts of the problems of a pod with these components.
fn problems(components: &[(&str, (&str, &str))]) -> Vec<(String, String)> {
    let mut text = "components:\n".to_owned();
    for (name, (body, _)) in components {
        text.push_str(&format!("  {name}: {}\n", body.replace("NAME", name)));
    }
    let copied: Vec<_> = components.iter().filter(|(_, (_, copy))| !copy.is_empty()).collect();
    if !copied.is_empty() {
        text.push_str("copy:\n");
    }
    for (name, (_, copy)) in copied {
        text.push_str(&format!("  {name}: '{copy}'\n"));
    }
    let output = fed(&["check", "--json", "-"], &text);
    assert_eq!(code(&output), 1, "{text}{}", err(&output));
    let word = |problem: &serde_json::Value, key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let told = json(&output);
    let mut found: Vec<_> = told["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|it| (word(it, "label") + " " + &word(it, "field"), word(it, "what")))
        .collect();
    found.sort();
    found
}

#[test]
fn one_mistake_hides_no_other_whatever_step_finds_it() {
    let seconds = MISTAKES.map(|second| (second, problems(&[("two", second)])));
    for (at, first) in MISTAKES.iter().enumerate() {
        let alone = problems(&[("one", *first)]);
        for (second, others) in seconds.iter().skip(at) {
            let mut expected = [&alone[..], others].concat();
            expected.sort();
            assert_eq!(problems(&[("one", *first), ("two", *second)]), expected, "{first:?} beside {second:?}");
        }
    }
}

/// A copy may need the mount that could not be read.
#[test]
fn nothing_is_said_of_copies_while_mounts_are_unknown() {
    for (controller, body) in [
        ("{volumes: ['conf:relative']}", "{image: busybox}"),
        ("{}", "{image: busybox, read_only: true, volumes: ['conf:relative']}"),
        ("{}", "{image: busybox, read_only: yes-or-no}"),
    ] {
        let text = format!("controller: {controller}\ncomponents: {{app: {body}}}\ncopy: {{app: '/conf/a:/etc/a'}}\n");
        let told = err(&fed(&["check", "-"], &text));
        assert_eq!(told.matches("error: ").count(), 1, "{text}{told}");
    }
}
