//! A pod of every kind of setting, compiled and printed: what users see of a plan, word for word.
//!
//! `BLESS=1 cargo test plan` writes the expected files anew; look at the difference before committing it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use outrigger::config::{self, Flags, Settings, Sharing};
use outrigger::engine::{CgroupDriver, ContainerId, EngineInfo, MountPoint};
use outrigger::plan::{Plan, Seen, SelfInfo, compile, offline, overlay::Overlays, render};
use outrigger::pod::lower;
use outrigger::pod::{
    Capability, Component, ComponentName, Condition, CopySpec, Dependency, Device, EnvFile, Grant, HealthCheck,
    HostSettings, Logging, Mount, MountKind, PluginName, PodSpec, Ulimit,
};

fn name(raw: &str) -> ComponentName {
    ComponentName::new(raw).unwrap()
}

fn component(raw: &str, image: &str) -> Component {
    Component::new(name(raw), image)
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn mount(kind: MountKind, source: &str, target: &str, read_only: bool) -> Mount {
    Mount { read_only, ..Mount::new(kind, Some(source.to_owned()), target) }
}

/// An application with a database and a cache in front, and a migration before them.
fn pod() -> PodSpec {
    let mut migrate = component("init-1", "acme/migrate:7");
    migrate.command = Some(strings(&["migrate", "--to", "the latest"]));

    let mut app = component("app", "acme/calc:3");
    app.entrypoint = Some(strings(&["/calc"]));
    app.command = Some(strings(&["serve", "--banner", "two\nlines"]));
    app.working_dir = Some("/srv".to_owned());
    app.user = Some("1000:1000".to_owned());
    app.env_file = vec![EnvFile::new("/etc/calc.env")];
    app.environment = IndexMap::from([
        ("PORT".to_owned(), Some("5000".to_owned())),
        ("REGION".to_owned(), None),
        ("TOKEN".to_owned(), Some("hunter2".to_owned())),
    ]);
    app.labels = IndexMap::from([("team".to_owned(), "blue".to_owned())]);
    app.healthcheck = Some(HealthCheck::Command {
        test: strings(&["CMD", "calc", "ping"]),
        interval: Some(Duration::from_secs(5)),
        timeout: None,
        start_period: None,
        start_interval: None,
        retries: Some(3),
    });
    app.depends_on = IndexMap::from([(name("db"), Dependency::on(Condition::Healthy))]);
    app.volumes = vec![mount(MountKind::Volume, "data", "/data", false)];
    app.tmpfs = IndexMap::from([("/tmp".to_owned(), "size=1m".to_owned()), ("/run".to_owned(), String::new())]);
    app.copy = vec![CopySpec {
        source: "/etc/calc.toml".to_owned(),
        target: "/srv/calc.toml".to_owned(),
        mode: None,
        uid: None,
        gid: None,
    }];
    app.stop_signal = Some(3);
    app.stop_grace_period = Some(Duration::from_secs(2));
    app.host = HostSettings {
        memory: Some(64 << 20),
        nano_cpus: Some(1_500_000_000),
        cap_drop: strings(&["ALL"]),
        pids_limit: Some(100),
        ulimits: vec![Ulimit { name: "nofile".to_owned(), soft: 1024, hard: 2048 }],
        devices: vec![Device {
            host: "/dev/null".to_owned(),
            container: "/dev/nil".to_owned(),
            permissions: "rw".to_owned(),
        }],
        ..HostSettings::default()
    };
    app.logging = Some(Logging { driver: "json-file".to_owned(), options: BTreeMap::new() });

    let mut db = component("db", "postgres:17");
    db.host.privileged = true;
    db.host.memory_swappiness = Some(0);
    db.stop_grace_period = Some(Duration::from_secs(60));

    let mut cache = component("cache", "nginx:1");
    cache.healthcheck = Some(HealthCheck::Disabled);
    cache.depends_on = IndexMap::from([
        (name("app"), Dependency::on(Condition::Started)),
        (name("db"), Dependency::on(Condition::Started)),
    ]);

    PodSpec {
        init: vec![migrate],
        components: [app, db, cache].into_iter().map(|it| (it.name.clone(), it)).collect(),
        ..PodSpec::default()
    }
}

/// A controller that knows its engine.
fn seen(name: &str) -> SelfInfo {
    SelfInfo { seen: Seen::Within, ..SelfInfo::offline(name, BTreeMap::new()) }
}

fn controller() -> SelfInfo {
    let mut me = seen("calc_web.1.x2y3");
    me.container.id = ContainerId("0123456789ab".repeat(6).split_off(8));
    me.container.started_at = "2026-01-02T03:04:05.678Z".to_owned();
    me.container.memory = 256 << 20;
    me.container.memory_swap = 256 << 20;
    me.container.mounts = ["/var/run/docker.sock", "/etc/shared"]
        .map(|path| MountPoint {
            kind: "bind".to_owned(),
            name: String::new(),
            source: path.to_owned(),
            target: path.to_owned(),
            writable: false,
        })
        .to_vec();
    me.environment.insert("REGION".to_owned(), "eu".to_owned());
    me.env_files.insert("/etc/calc.env".to_owned(), Ok("MODE=fast\n".to_owned()));
    me.copy_sources.insert("/etc/calc.toml".to_owned(), Ok(()));
    me.volume_aliases.insert("data".to_owned(), "calc_data".to_owned());
    me
}

fn plan() -> Plan {
    let flags = Flags { allow: strings(&["privileged"]), ..Flags::default() };
    let settings = Settings { volumes: Sharing::Shared, ..config::lower(&flags, &BTreeMap::new()).unwrap() };
    compile::compile(&pod(), &controller(), &offline::engine(), &settings).unwrap()
}

fn plugins() -> Vec<render::PluginLine> {
    vec![
        render::PluginLine {
            name: "mesh".to_owned(),
            version: "0.1.0".to_owned(),
            source: "stock".to_owned(),
            hooks: vec!["pre-start", "health"],
            granted: strings(&["plan: components.*.environment", "routes: *"]),
            missing: Vec::new(),
            changes: vec![
                ("components.app.environment.PORT".to_owned(), false),
                ("components.web.image".to_owned(), true),
            ],
        },
        render::PluginLine {
            name: "redact".to_owned(),
            version: "1.4.2".to_owned(),
            source: "/plugins/redact.wasm".to_owned(),
            hooks: vec!["log-line"],
            granted: Vec::new(),
            missing: strings(&["http: pii.acme.local:443"]),
            changes: Vec::new(),
        },
    ]
}

#[track_caller]
fn check(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/plan").join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(actual, expected, "{} differs; BLESS=1 writes it anew", path.display());
}

#[test]
fn text_for_people() {
    check("full.txt", &render::text(&plan(), &plugins(), Some(&Settings::default().timeouts)));
}

#[test]
fn json_for_programs() {
    let json = render::json(&plan(), &plugins(), Some(&Settings::default().timeouts));
    check("full.json", &format!("{json:#}\n"));
}

/// A pod with all that can happen in a component's life.
fn lively() -> Plan {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("tests/it/plan/life.yaml")).unwrap();
    let spec = lower::lower(&outrigger::pod::read::from_document("pod.yaml", &text).unwrap()).unwrap();
    let me = seen("calc");
    compile::compile(&spec, &me, &offline::engine(), &Settings::default()).unwrap()
}

#[test]
fn a_life_for_people() {
    let text = render::text(&lively(), &[], None);
    assert!(!text.contains("hunter2"), "{text}");
    check("life.txt", &text);
}

#[test]
fn a_life_for_programs() {
    let json = render::json(&lively(), &[], None);
    assert!(!json.to_string().contains("hunter2"), "{json:#}");
    check("life.json", &format!("{json:#}\n"));
}

#[test]
fn a_small_pod_is_a_short_text() {
    let spec =
        PodSpec { components: IndexMap::from([(name("app"), component("app", "nginx:1"))]), ..PodSpec::default() };
    let engine = EngineInfo { cgroup_version: 1, cgroup_driver: CgroupDriver::Cgroupfs, ..offline::engine() };
    let plan = compile::compile(&spec, &seen("pod"), &engine, &Settings::default()).unwrap();
    check("small.txt", &render::text(&plan, &[], None));
}

#[test]
fn an_empty_pod_says_so() {
    let plan = compile::compile(&PodSpec::default(), &seen("pod"), &offline::engine(), &Settings::default()).unwrap();
    assert_eq!(render::text(&plan, &[], None), "nothing to start\n");
}

#[test]
fn no_value_of_a_variable_is_printed() {
    let plan = plan();
    let app = plan.components.iter().find(|planned| planned.name.as_str() == "app").unwrap();
    assert!(app.container.env.contains(&"TOKEN=hunter2".to_owned()), "the engine gets it");
    assert!(!render::text(&plan, &[], None).contains("hunter2"));
    assert!(!render::json(&plan, &[], None).to_string().contains("hunter2"));
}

#[test]
fn what_comes_from_outside_can_not_draw_on_the_terminal() {
    let mut plan = plan();
    plan.warnings.push("\u{1b}[2Jgone".to_owned());
    plan.components[0].container.image = "a\u{1b}[31m\nb".to_owned();
    let mut plugins = plugins();
    plugins[0].version = "1\u{1b}[0m".to_owned();
    assert!(!render::text(&plan, &plugins, None).contains('\u{1b}'));
}

#[test]
fn overlays_of_several_plugins_become_one_document() {
    let mut overlays = Overlays::new(serde_json::json!({"components": {"app": {"image": "a"}}}));
    let grant = |scope: &str| vec![Grant::new(Capability::Plan, scope)];
    let (mesh, logs) = (PluginName::new("mesh").unwrap(), PluginName::new("logs").unwrap());
    overlays
        .apply(&mesh, None, r#"{"components": {"envoy": {"image": "envoy"}}}"#, &grant("components.envoy"))
        .unwrap();
    overlays
        .apply(
            &logs,
            Some(&name("app")),
            r#"{"components": {"app": {"environment": {"LOG": "json"}}}}"#,
            &grant("components.*.environment"),
        )
        .unwrap();
    let problems =
        overlays.apply(&logs, None, r#"{"components": {"envoy": {"image": "mine"}}}"#, &grant("*")).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "`plugin logs`, field `components.envoy.image`: the plugins `mesh` and `logs` set this field to different values"
    );
    assert_eq!(
        overlays.finish(),
        serde_json::json!({"components": {
            "app": {"image": "a", "environment": {"LOG": "json"}},
            "envoy": {"image": "envoy"},
        }})
    );
}
