//! Variables in a `pod.yaml`, from the environment and from `.env`, as the program itself fills them in.

use super::*;

/// A folder with a `pod.yaml` and a `.env`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(pod: &str, dotenv: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pod.yaml"), pod).unwrap();
        std::fs::write(folder.path().join(".env"), dotenv).unwrap();
        Self(folder)
    }

    fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Output {
        let file = self.0.path().join("pod.yaml");
        let mut command = outrigger(argv);
        command.arg(file).envs(env.iter().copied()).output().expect("the binary runs")
    }

    /// The one component of the plan.
    fn planned(&self, env: &[(&str, &str)]) -> (Value, Output) {
        let output = self.run(&["plan", "--json"], env);
        assert_eq!(code(&output), 0, "{}", err(&output));
        (json(&output)[0]["plan"]["containers"][0].clone(), output)
    }

    /// What is told of a file that is wrong.
    fn wrong(&self, env: &[(&str, &str)]) -> String {
        let output = self.run(&["check"], env);
        assert_eq!((code(&output), out(&output)), (1, String::new()), "{}", err(&output));
        err(&output)
    }
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn every_form_is_filled_in_as_compose_does() {
    let pod = r#"
components:
  app:
    image: ${REGISTRY}/$NAME:${TAG:-1.0}
    working_dir: /a$$b/${EMPTY-x}/${EMPTY:-y}/${EMPTY+set}/${NAME:+${TAG:-nested}}/${GONE+no}/cost-$5
    user: ${USER_ID:?a number is needed}
x-note: ${GONE?not read}
"#;
    let folder = Folder::new(pod, "export REGISTRY='acme.example'\nNAME=of-the-file\nEMPTY=\nUSER_ID=\"1000\"\n");
    let (app, _) = folder.planned(&[("NAME", "app")]);
    assert_eq!(app["image"], "acme.example/app:1.0", "the environment wins over `.env`");
    assert_eq!(app["working_dir"], "/a$b//y/set/nested//cost-$5");
    assert_eq!(app["user"], "1000");
    let (app, _) = folder.planned(&[("NAME", "app"), ("TAG", "2.0"), ("USER_ID", "7")]);
    assert_eq!((&app["image"], &app["user"]), (&"acme.example/app:2.0".into(), &"7".into()));

    // Nothing is said of those that have a default; one that is not set is empty, and noted once.
    let folder = Folder::new("components: {app: {image: busybox, user: '1$NOBODY${NOBODY}${TAG:-}'}}", "");
    let output = folder.run(&["check"], &[]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(
        out(&output).matches("the variable `NOBODY` is not set; an empty value replaces it").count(),
        1,
        "{}",
        out(&output)
    );
    assert!(!out(&output).contains("TAG"), "{}", out(&output));
}

#[test]
fn a_variable_that_is_needed_is_an_error_at_its_place() {
    let pod = "components:\n  app:\n    image: ${IMAGE:?name the image}\n    user: ${WHO?}\n";
    let told = Folder::new(pod, "").wrong(&[("IMAGE", "")]);
    for expected in [
        "field `components.app.image`: the variable `IMAGE` is required, but it is not set",
        "pod.yaml:3:5",
        "hint: name the image",
        "field `components.app.user`: the variable `WHO` is required, but it is not set",
        "hint: set the variable in the environment, or in `.env` beside the file",
    ] {
        assert!(told.contains(expected), "`{expected}` is missing in:\n{told}");
    }
    assert!(told.contains("2 problems"), "one each: {told}");
    assert_eq!(code(&Folder::new(pod, "IMAGE=busybox\nWHO=1\n").run(&["check"], &[])), 0);
    let told = Folder::new("components: {app: {image: 'a:${TAG'}}", "").wrong(&[]);
    assert!(told.contains("has a `$` that does not begin a variable") && told.contains("write `$$`"), "{told}");
}

/// A shell, or a plugin, reads these texts after us.
#[test]
fn in_commands_only_braces_and_two_dollars_are_ours() {
    let pod = r#"
components:
  app:
    image: busybox
    command: [sh, -c, 'echo $HOME \$ESCAPED \${BRACED} $$ $$PID ${MINE} "$1" $(date) ${X:-$HOME}']
    entrypoint: [run, $HOME, "${MINE}"]
    healthcheck: {test: [CMD-SHELL, 'test $HOME = ${MINE}']}
    environment: {A: $MINE, command: $MINE}
    labels: {test: $MINE}
plugins:
  - redact: {patterns: [{name: secret, regex: "^secret$|$HOME"}], replacement: "${MINE}"}
"#;
    let folder = Folder::new(pod, "");
    let (app, output) = folder.planned(&[("MINE", "yes"), ("HOME", "/root"), ("ESCAPED", "no"), ("BRACED", "no")]);
    let expected = ["sh", "-c", r#"echo $HOME \$ESCAPED \${BRACED} $ $PID yes "$1" $(date) $HOME"#];
    assert_eq!(words(&app["command"]), expected);
    assert_eq!(words(&app["entrypoint"]), ["run", "$HOME", "yes"]);
    assert_eq!(words(&app["healthcheck"]["test"]), ["CMD-SHELL", "test $HOME = yes"], "{app}");
    assert_eq!(app["labels"]["test"], "yes", "a label of the user that is called like a command");
    let wrong = pod.replace("^secret$", "(");
    let told = Folder::new(&wrong, "").wrong(&[("MINE", "yes"), ("HOME", "/root")]);
    assert!(told.contains("(|$HOME"), "the pattern is the plugin's: {told}");
    assert!(!err(&output).contains("not set") && !out(&output).contains("not set"), "{}", err(&output));
}

/// A password in the environment, in `.env` or in a line of it that can't be read reaches no message, whatever is wrong with the field that has it.
#[test]
fn no_message_has_the_value_of_a_variable() {
    let pod = r#"
components:
  app:
    image: "${PW}"
    command: "server '--password=${PW}"
    mem_limit: "${PW}"
    environment: ["${PW}", "A ${PW}=1"]
    volumes: ["data:${PW}:x:y"]
    depends_on: ["${PW}"]
    cap_add: ["${PW}"]
    user: "${GONE:?set it with ${PW}}"
    probes: {liveness: {exec: "test '${PW}"}}
    plugins: [{redact: {fields: "${PW}"}}]
copy: {app: "${PW}:b"}
plugins: [{redact: {patterns: ["${PW}"]}}]
controller: {ports: ["${PW}"], name: "${PW}", environment: ["${PW}"], flags: ["--${PW}"]}
"#;
    let secret = "hunter2 with blanks";
    let of_env = Folder::new(pod, "");
    let of_file = Folder::new(pod, &format!("PW=\"{secret}\"\n"));
    for (folder, env) in [(&of_env, &[("PW", secret)][..]), (&of_file, &[])] {
        for argv in [&["check"][..], &["check", "--json"], &["plan"], &["run"]] {
            let output = folder.run(argv, env);
            assert_eq!(code(&output), 1, "{argv:?}: {}", err(&output));
            let told = format!("{}{}", out(&output), err(&output));
            assert!(!told.contains("hunter2"), "{argv:?}: {told}");
            for named in ["`server '--password=${PW}`", "`${PW}` is not a size", "there is no component `${PW}`"] {
                assert!(told.contains(named), "{argv:?}: `{named}` is missing in:\n{told}");
            }
        }
    }
    let right = "components: {app: {image: busybox, environment: {PASSWORD: '${PW}'}, env_file: []}}";
    let (app, output) = Folder::new(right, "PW=hunter2\n").planned(&[]);
    assert_eq!(words(&app["environment"]), ["PASSWORD"], "{app}");
    assert!(!out(&output).contains("hunter2") && !err(&output).contains("hunter2"));
    let told = Folder::new(right, "PW='hunter2\nMORE hunter2\n").wrong(&[]);
    assert!(told.contains(".env") && !told.contains("hunter2"), "{told}");
}

/// A stack file in a folder with a `.env`; `check`, `plan` and `deploy` of it, in this order.
fn judged(label: &str, dotenv: &str, env: &[(&str, &str)]) -> [Output; 3] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stack.yml");
    let label = label.replace('\n', "\n        ");
    let volumes = "volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']";
    std::fs::write(
        &file,
        format!("services:\n  web:\n    image: outrigger\n    {volumes}\n    labels:\n      pod.component.app: |\n        {label}\n"),
    )
    .unwrap();
    std::fs::write(folder.path().join(".env"), dotenv).unwrap();
    let file = file.to_str().unwrap();
    [&["check", file][..], &["plan", file], &["deploy", "--dry-run", "-c", file, "x"]]
        .map(|argv| outrigger(argv).envs(env.iter().copied()).output().expect("the binary runs"))
}

#[test]
fn check_and_plan_fill_a_stack_file_in_as_deploy_does() {
    let all = "mem_limit: ${MEM:-64m}\nstop_grace_period: ${GRACE:-5s}\nrestart: ${R:-always}\nvolumes: [\"${D:-/srv}/x:/x:ro\"]\nimage: ${IMAGE-busybox}";
    let [check, plan, _] = judged(all, "", &[]);
    assert_eq!(code(&check), 0, "{}", err(&check));
    let text = out(&plan);
    for shown in ["/srv/x -> /x", "mem_limit 64MiB", "5s"] {
        assert!(text.contains(shown), "`{shown}` is missing in:\n{text}");
    }
    let secret: &[(&str, &str)] = &[("PW", "hunter2")];
    // All three have the same answer; the errors name the variable, and not its value.
    for (label, env, told) in [
        (all, &[][..], ""),
        (all, &[("R", "sometimes")], "the value of the variable `R` is part of this text"),
        (all, &[("MEM", "1g"), ("D", "/data")], ""),
        (all, &[("D", "data:x")], "the value of the variable `D` is part of this text"),
        ("image: busybox:${TAG}", &[], "the variable `TAG` is not set"),
        ("image: busybox:${TAG}", &[("TAG", "1")], ""),
        ("image: ${TAG:?name it}", &[], "the variable `TAG` is required: name it"),
        ("image: busybox\ncommand: sh -c \"echo $(date)\"", &[], "a `$` does not begin a variable"),
        ("image: busybox\ncommand: sh -c \"echo $$(date) $$HOME $$$$\"", &[], ""),
        ("image: busybox\ncommand: 'cost $5'", &[], "a `$` does not begin a variable"),
        ("image: busybox\nmem_limit: ${PW}", secret, "the value of the variable `PW` is part of this text"),
        ("image: busybox\nvolumes: [\"x:${PW}:y:z\"]", secret, "the value of the variable `PW` is part of this text"),
        ("image: busybox\nenvironment: {A: '${PW}'}", secret, ""),
    ] {
        for output in judged(label, "", env) {
            assert_eq!(code(&output), i32::from(!told.is_empty()), "{label} {env:?}: {}", err(&output));
            assert!(err(&output).contains(told), "{label} {env:?}: {}", err(&output));
            assert!(!format!("{}{}", out(&output), err(&output)).contains("hunter2"), "{label}: {}", err(&output));
        }
    }
    // What no variable has is noted, once for each.
    let [check, plan, deploy] = judged("image: busybox\nenvironment: {A: '${NONE}', B: '${NONE}${OTHER:-x}'}", "", &[]);
    let note = "the variable `NONE` is not set; an empty value replaces it";
    for text in [out(&check), out(&plan), err(&deploy)] {
        assert_eq!(text.matches(note).count(), 1, "{text}");
        assert!(!text.contains("OTHER"), "{text}");
    }
}

/// Compose reads it, and docker's client for Swarm does not.
#[test]
fn a_stack_file_has_the_variables_of_dotenv_with_a_note() {
    let [check, plan, deploy] = judged("image: busybox:${TAG}\nuser: ${ID:-1}", "TAG=7\nUNUSED=1\n", &[("ID", "2")]);
    assert_eq!((code(&check), code(&plan), code(&deploy)), (0, 0, 1), "{}{}", err(&check), err(&deploy));
    let note = "the value of the variable `TAG` is from `.env`, which Compose reads, and `outrigger deploy` and `docker stack deploy` do not";
    assert!(out(&check).contains(note) && out(&plan).contains("busybox:7"), "{}{}", out(&check), out(&plan));
    assert!(!out(&check).contains("`ID` is from") && !out(&check).contains("UNUSED"), "{}", out(&check));
    let [check, ..] = judged("image: busybox:${TAG}", "TAG=7\n", &[("TAG", "8")]);
    assert!(!out(&check).contains("`.env`"), "the environment wins: {}", out(&check));
}
