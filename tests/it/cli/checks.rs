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
    assert!(told.contains("note: where the engine can't hold limits") && told.contains("96MiB"), "{told}");
    for mode in ["nested", "slice", "tree"] {
        let output = fed(&["plan", "-", "--cgroup-mode", mode], file);
        assert_eq!(code(&output), 0, "{mode}: {}", err(&output));
        assert!(out(&output).contains(&format!("cgroups: {mode} (assumed): asked for")), "{}", out(&output));
    }
    for mode in ["--cgroup-mode=divided", "--cgroup-mode=inherit"] {
        let output = fed(&["check", "-", mode], file);
        assert_eq!(code(&output), 1, "{mode}");
        assert!(err(&output).contains("add up to 96MiB, more than the controller's 64MiB"), "{}", err(&output));
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
        (&[VERSION, OLD, WEB, NONE_RUNS], Ok("cgroups: nested: version 1")),
        (&[VERSION, OLD, WEB, ONE_RUNS, NESTED], Ok("cgroups: nested, in `/docker/ab12`: version 1")),
        (&[VERSION, OLD, WEB, ONE_RUNS, BESIDE], Err("add up to 96MiB")),
        (&[VERSION, NEW, WEB, NONE_RUNS], Err("add up to 96MiB")),
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
    for told in ["`OUTRIGGER_PIDS`", "`PORT=5000`", "`NAME=value`", "docker.sock:ro", "`nginx` does not look like"] {
        assert!(out(&output).contains(told), "`{told}` is missing in:\n{}", out(&output));
    }
    let document = "controller: {volumes: ['./nope:/data']}\ncomponents: {app: {image: busybox, mem_limit: 1m}}\n";
    let output = fed(&["check", "-"], document);
    assert!(err(&output).contains("the least is `6m`"), "{}", err(&output));
    let output = fed(&["check", "-"], &document.replace("1m", "6m"));
    assert!(out(&output).contains("there is no `./nope`"), "{}", out(&output));
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
            "the template `inline` uses `.Args.Version`, which is not given",
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
    assert!(told.contains("line 2 begins with a tab: YAML takes only spaces"), "{told}");
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

/// Whoever copies an example of a whole pod from the documentation gets one that is right.
#[test]
fn every_whole_pod_in_the_documentation_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut checked = 0;
    for page in pages.chain([root.join("README.md"), root.join("examples/README.md")]) {
        if page.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        let blocks = text.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        let begins = |block: &str, word: &str| block.lines().any(|line| line.starts_with(word));
        let is_stack = |block: &str| begins(block, "services:") && block.contains("pod.") && !block.contains("x-");
        for block in blocks.filter(|block| begins(block, "components:") || is_stack(block)) {
            let output = fed(&["check", "-"], block);
            assert_eq!(code(&output), 0, "{}: {}\nin\n{block}", page.display(), err(&output));
            checked += 1;
        }
    }
    assert!(checked >= 15, "only {checked} examples");
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
    let labels = many(|n| format!("\"pod.component.c{n}\": 'nothing'"));
    for (file, counts) in [
        (format!("components: {{app: {{image: x, {keys}}}}}"), "19900 more problems in `stdin`"),
        (format!("components: {{{names}}}"), "39900 more problems in `stdin`"),
        (format!("components: {{app: {{image: x}}}}\ncopy: {{app: [{copies}]}}"), "19900 more problems in `stdin`"),
        (format!("components: {{app: {{image: x, depends_on: [{missing}]}}}}"), "19900 more problems in `stdin`"),
        (format!("components: {{{nobody}}}"), "19900 more problems in `stdin`"),
        (format!("{{{labels}}}"), "19600 more problems in other places"),
    ] {
        let output = fed(&["check", "-"], &file);
        let told = err(&output);
        assert_eq!(code(&output), 1, "{told}");
        assert!(told.contains(counts), "{told:.2000}");
        let page = 192 * 1024;
        assert!(told.len() < page, "{} bytes", told.len());
        let answer = json(&fed(&["check", "-", "--json"], &file));
        let shown = answer["problems"].as_array().unwrap().len();
        assert!((100..=200).contains(&shown), "{shown}");
        let left_out = usize::try_from(answer["left_out"].as_u64().unwrap()).unwrap();
        assert!(left_out + shown == 20_000 || left_out + shown == 40_000, "{left_out} and {shown}");
        assert!(answer.to_string().len() < page);
    }
    // Not a problem, but a note for each.
    let unused = many(|n| format!("d{n}: {{condition: service_started, required: false}}"));
    let output = fed(&["check", "-"], &format!("components: {{app: {{image: x, depends_on: {{{unused}}}}}}}"));
    let told = out(&output);
    assert!(code(&output) == 0 && told.contains("note: 19900 more notes are not shown"), "{told:.2000}");
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
        let nothing = format!("cannot read `{file}`: no mount, config or secret of the controller holds it");
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
    assert!(told.contains("so that `/run/app.conf` must be in the image `acme/outrigger`"), "{told}");
    assert!(told.contains("so that `/conf/app.env` must be in the image `acme/outrigger`"), "{told}");
    // The components themselves may be in such a file.
    let output = fed(&["check", "-"], &stack("hostname: x", "pod.compose.file: /run/pod/compose.yml", ""));
    assert!(err(&output).contains("cannot read `/run/pod/compose.yml`: no mount"), "{}", err(&output));
    let plugin = "pod.component.app: '{image: busybox}'\n      pod.plugins: '[{reload: {watch: /config/x, component: app, target: /etc/x}}]'";
    let output = fed(&["check", "-"], &stack("hostname: x", plugin, ""));
    assert!(
        out(&output).contains("plugin `reload` watches `/config/x`, and no mount"),
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
    for missing in ["`/conf/app.env`: there is no", "`/conf/b/c`: there is no", "`/nowhere/e`: no mount"] {
        assert!(told.contains(&format!("cannot read {missing}")), "{missing}: {told}");
    }
    assert!(!told.contains("`/later/d`") && !told.contains("`/conf/a`") && told.contains("3 problems"), "{told}");
    std::fs::write(folder.path().join("conf/app.env"), "A=1").unwrap();
    std::fs::create_dir(folder.path().join("conf/b")).unwrap();
    std::fs::write(folder.path().join("conf/b/c"), "").unwrap();
    std::fs::write(&file, text.replace(", '/nowhere/e:/etc/e'", "")).unwrap();
    let output = check();
    assert_eq!(code(&output), 0, "{}", err(&output));
    // Of an engine elsewhere nothing is known from here.
    std::fs::remove_file(folder.path().join("conf/a")).unwrap();
    assert_eq!(code(&check()), 1);
    let mut elsewhere = outrigger(&["check", file.to_str().unwrap()]);
    let output = elsewhere.env("DOCKER_HOST", "tcp://far:2375").output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
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
    assert!(code(&output) == 1 && told.contains("the volume `data` is not declared"), "{told}");
    assert!(told.contains("`volumes: {data: {}}`") && told.contains("components.db.volumes[0]"), "{told}");
    assert!(err(&pod("volumes: {dat: {}}")).contains("did you mean `dat`?"));
    for right in [
        "volumes: {data: {}}",
        "volumes: {data: {external: true}}",
        "volumes: {data: {name: other}}",
        "controller: {volumes: ['data:/data']}",
    ] {
        assert_eq!(code(&pod(right)), 0, "{right}: {}", err(&pod(right)));
    }
    let own = "components: {db: {image: busybox, volumes: [{type: volume, source: files, target: /x, volume: {driver: nfs}}]}}";
    assert_eq!(code(&fed(&["check", "-"], own)), 0);
    // In labels, a name is a volume of the engine, as with podlike. Two traps are noted.
    let labels = "pod.component.db: '{image: busybox, volumes: [\"data:/data\"]}'";
    let notes = |service: &str, rest: &str| {
        let output = fed(&["check", "-"], &stack(service, labels, rest));
        assert_eq!(code(&output), 0, "{}", err(&output));
        out(&output)
    };
    let told = notes("hostname: x", "volumes: {data: {}}");
    assert!(told.contains("`data` is not the volume of this file") && told.contains("`data:/unused`"), "{told}");
    let told = notes("hostname: x", "volumes: {dta: {}}");
    assert!(
        told.contains("`data` is not declared, so that it is a volume of the engine; did you mean `dta`?"),
        "{told}"
    );
    assert!(!notes("hostname: x", "").contains("`data`"), "an engine's volume is nothing to tell");
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
