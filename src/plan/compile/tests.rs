//! What a pod compiles to, and what is refused.

mod limits;
mod mounts;
mod size;

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::compile;
use crate::config::{Settings, Sharing};
use crate::containers::info::{CgroupDriver, EngineInfo};
use crate::containers::{ContainerId, MountPoint};
use crate::plan::{Plan, Planned, Seen, SelfInfo, offline};
use crate::pod::{
    Component, ComponentName, Condition, CopySpec, Dependency, EnvFile, HealthCheck, Mount, MountKind, PodSpec,
};

const MIB: i64 = 1 << 20;

fn files(paths: &[&str]) -> Vec<EnvFile> {
    paths.iter().map(|path| EnvFile::new(*path)).collect()
}

/// A pod, its controller and its engine; each test changes what it is about.
struct Case {
    spec: PodSpec,
    me: SelfInfo,
    engine: EngineInfo,
    settings: Settings,
}

fn case(components: Vec<Component>) -> Case {
    let mut me = SelfInfo::offline("web", BTreeMap::new());
    me.seen = Seen::Within;
    me.container.id = ContainerId("0123456789abcdef".repeat(4));
    me.container.started_at = "2026-01-01T00:00:00Z".to_owned();
    Case {
        spec: PodSpec {
            components: components.into_iter().map(|component| (component.name.clone(), component)).collect(),
            ..PodSpec::default()
        },
        me,
        engine: offline::engine(),
        settings: Settings::default(),
    }
}

impl Case {
    fn cgroups(mut self, driver: CgroupDriver, version: u8) -> Self {
        self.engine.cgroup_driver = driver;
        self.engine.cgroup_version = version;
        self.me.cgroup = (version == 1).then(|| "/docker/self".to_owned());
        self
    }

    fn limited(mut self, memory: i64, swap: i64) -> Self {
        self.me.container.memory = memory;
        self.me.container.memory_swap = swap;
        self
    }

    fn plan(&self) -> Plan {
        compile(&self.spec, &self.me, &self.engine, &self.settings).unwrap()
    }

    fn problems(&self) -> String {
        compile(&self.spec, &self.me, &self.engine, &self.settings).unwrap_err().to_string()
    }
}

fn name(raw: &str) -> ComponentName {
    ComponentName::new(raw).unwrap()
}

fn component(raw: &str) -> Component {
    Component::new(name(raw), raw)
}

fn with(raw: &str, change: impl FnOnce(&mut Component)) -> Component {
    let mut component = component(raw);
    change(&mut component);
    component
}

fn after(raw: &str, on: &[&str]) -> Component {
    with(raw, |it| it.depends_on = on.iter().map(|on| (name(on), Dependency::on(Condition::Started))).collect())
}

fn memory(raw: &str, limit: i64) -> Component {
    with(raw, |it| it.host.memory = Some(limit))
}

fn volume(source: &str, target: &str) -> Mount {
    Mount::new(MountKind::Volume, Some(source.to_owned()), target)
}

fn point(kind: &str, source: &str, target: &str) -> MountPoint {
    MountPoint {
        kind: kind.to_owned(),
        name: if kind == "volume" { source.to_owned() } else { String::new() },
        source: if kind == "volume" { format!("/var/lib/docker/volumes/{source}/_data") } else { source.to_owned() },
        target: target.to_owned(),
        writable: false,
    }
}

#[test]
fn a_component_joins_the_controller_and_says_whose_it_is() {
    let plan = case(vec![component("app")]).plan();
    let container = &plan.components[0].container;
    let joined = format!("container:{}", "0123456789abcdef".repeat(4));
    assert_eq!(container.name, "web.podlike.app");
    assert_eq!(container.network_mode.as_ref(), Some(&joined));
    assert_eq!(container.pid_mode.as_ref(), Some(&joined));
    let labels: Vec<_> = container.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        labels,
        [
            "outrigger.component=app".to_owned(),
            "outrigger.generation=2026-01-01T00:00:00Z".to_owned(),
            "outrigger.keep=1/3600".to_owned(),
            format!("outrigger.pod={}", "0123456789abcdef".repeat(4)),
            "outrigger.role=component".to_owned(),
            "outrigger.service=web".to_owned(),
        ]
    );
}

#[test]
fn a_private_pid_namespace_is_the_engines_default() {
    let mut case = case(vec![component("app")]);
    case.settings.pids = Sharing::Private;
    assert_eq!(case.plan().components[0].container.pid_mode, None);
}

#[test]
fn ipc_is_lent_by_a_donor_where_the_controllers_is_private() {
    let mut case = case(vec![component("app"), component("db")]);
    case.me.container.oom_score_adj = 5;
    let plan = case.plan();
    let donor = plan.ipc_donor.unwrap();
    assert_eq!(donor.name, "web.podlike.ipc");
    assert_eq!(donor.image, "outrigger");
    assert_eq!(donor.entrypoint, Some(vec!["/outrigger".to_owned(), "pause".to_owned()]));
    assert_eq!(donor.ipc_mode.as_deref(), Some("shareable"));
    assert_eq!(donor.labels.get("outrigger.role").map(String::as_str), Some("ipc"));
    assert_eq!(donor.healthcheck, Some(HealthCheck::Disabled), "the image's check would fail in the donor");
    assert_eq!(donor.pid_mode, plan.components[0].container.pid_mode);
    assert_eq!(donor.cgroup_parent, plan.components[0].container.cgroup_parent);
    assert!(plan.components.iter().all(|planned| planned.joins_donor && planned.container.ipc_mode.is_none()));
}

#[test]
fn ipc_is_the_controllers_own_where_it_can_be_joined() {
    for mode in ["shareable", "host", "container:abc"] {
        let mut case = case(vec![component("app"), component("db")]);
        case.me.container.ipc_mode = mode.to_owned();
        let plan = case.plan();
        assert_eq!(plan.ipc_donor, None);
        assert_eq!(plan.components[1].container.ipc_mode, plan.components[1].container.network_mode);
        assert!(!plan.components[1].joins_donor);
    }
}

#[test]
fn ipc_needs_no_donor_for_one_container_or_when_it_is_private() {
    let alone = case(vec![component("app")]).plan();
    assert!(alone.ipc_donor.is_none() && !alone.components[0].joins_donor);
    let mut private = case(vec![component("app"), component("db")]);
    private.settings.ipc = Sharing::Private;
    assert!(private.plan().ipc_donor.is_none());
    let mut init = case(vec![component("app")]);
    init.spec.init.push(component("init-1"));
    let plan = init.plan();
    assert!(plan.ipc_donor.is_some() && plan.init[0].joins_donor, "an init component counts");
}

#[test]
fn the_donors_name_gives_way_to_a_component() {
    let plan = case(vec![component("ipc"), component("ipc-donor")]).plan();
    assert_eq!(plan.ipc_donor.unwrap().name, "web.podlike.ipc-donor-donor");
}

#[test]
fn cgroups_are_where_the_engine_can_have_them() {
    for (driver, version, inherited, expected) in [
        (CgroupDriver::Systemd, 2, "", None),
        (CgroupDriver::Systemd, 1, "", None),
        (CgroupDriver::Cgroupfs, 2, "", None),
        (CgroupDriver::Cgroupfs, 1, "", Some("/docker/self")),
        (CgroupDriver::Cgroupfs, 1, "/mine", Some("/mine")),
        (CgroupDriver::Systemd, 2, "mine.slice", Some("mine.slice")),
        (CgroupDriver::None, 2, "mine.slice", None),
    ] {
        let mut case = case(vec![component("app")]).cgroups(driver, version);
        case.me.container.cgroup_parent = inherited.to_owned();
        let plan = case.plan();
        assert_eq!(plan.components[0].container.cgroup_parent.as_deref(), expected, "{driver:?} {version} {inherited}");
    }
}

#[test]
fn components_that_may_outlive_the_controller_do_not_hold_on_to_its_cgroup() {
    for (pids, api, nested) in [
        (Sharing::Shared, (1, 51), true),
        (Sharing::Private, (1, 45), true),
        (Sharing::Private, (1, 46), false),
        (Sharing::Private, (1, 51), false),
    ] {
        let mut case =
            case(vec![memory("a", 60 * MIB), component("b")]).cgroups(CgroupDriver::Cgroupfs, 1).limited(100 * MIB, 0);
        case.settings.pids = pids;
        case.engine.api = api;
        let plan = case.plan();
        let parent = plan.components[0].container.cgroup_parent.as_deref();
        assert_eq!(parent, nested.then_some("/docker/self"), "{pids:?} {api:?}");
        // Beside the controller its limit is divided.
        let rest = plan.components[1].container.host.memory;
        assert_eq!(rest, (!nested).then_some(40 * MIB), "{pids:?} {api:?}");
    }
}

#[test]
fn an_unknown_cgroup_is_not_nested_in() {
    for own in [None, Some("/"), Some("")] {
        let mut case = case(vec![component("app")]).cgroups(CgroupDriver::Cgroupfs, 1);
        case.me.cgroup = own.map(str::to_owned);
        assert_eq!(case.plan().components[0].container.cgroup_parent, None, "{own:?}");
    }
}

#[test]
fn environment_wins_over_files_and_passes_through() {
    let app = with("a", |it| {
        it.env_file = files(&["/one", "/two", "/unknown-offline"]);
        it.environment = [("B", Some("label")), ("HOME", None), ("ABSENT", None), ("KEPT", None)]
            .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
            .into();
    });
    let mut case = case(vec![app]);
    case.me.environment.insert("HOME".to_owned(), "/root".to_owned());
    case.me.env_files.insert("/one".to_owned(), Ok("A=1\n# no\n\nB=file\nKEPT=file\n".to_owned()));
    case.me.env_files.insert("/two".to_owned(), Ok("A=2\r\nHOME\n".to_owned()));
    assert_eq!(case.plan().components[0].container.env, ["A=2", "B=label", "KEPT=file", "HOME=/root"]);
    // As with Compose, a file knows the variables of those before it, and the controller's own count before them.
    case.me.env_files.insert("/one".to_owned(), Ok("A=1\nHOME=file\n".to_owned()));
    case.me.env_files.insert("/two".to_owned(), Ok("C=${A}2 # no\nD=$HOME\n".to_owned()));
    let plan = case.plan();
    assert_eq!(plan.components[0].container.env, ["A=1", "HOME=/root", "C=12", "D=/root", "B=label"]);
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn every_problem_is_reported_at_once() {
    let bad = with("a", |it| {
        it.env_file = files(&["/gone", "/bad"]);
        it.labels.insert("outrigger.pod".to_owned(), "forged".to_owned());
        it.copy = vec![CopySpec {
            source: "/etc/gone".to_owned(),
            target: "/x".to_owned(),
            mode: None,
            uid: None,
            gid: None,
        }];
        it.depends_on.insert(name("nobody"), Dependency::on(Condition::Started));
    });
    let mut case = case(vec![bad, after("b", &["c"]), after("c", &["b"])]);
    case.spec.init.push(with("b", |it| it.env_file = files(&["/gone"])));
    case.me.env_files.insert("/gone".to_owned(), Err("no such file".to_owned()));
    case.me.env_files.insert("/bad".to_owned(), Ok("A=1\nA B=secret".to_owned()));
    case.me.copy_sources.insert("/etc/gone".to_owned(), Err("no such file".to_owned()));
    let problems = compile(&case.spec, &case.me, &case.engine, &case.settings).unwrap_err();
    let (dependencies, others): (Vec<_>, Vec<_>) = problems.0.iter().partition(|problem| problem.field == "depends_on");
    assert!(!dependencies.is_empty());
    let others: Vec<_> = others.iter().map(ToString::to_string).collect();
    assert_eq!(
        others,
        [
            "`pod.component.b`: the name `b` is also the name of an init component",
            "`pod.init.components`, field `b.env_file`: cannot read `/gone`: no such file (hint: this is a path in the controller's container: \
             mount the file there, for instance as a volume, or as a config of a service)",
            "`pod.copy.a`: cannot read `/etc/gone`: no such file (hint: this is a path in the controller's container: mount the file there, for instance as \
             a volume, or as a config of a service)",
            "`pod.component.a`, field `env_file`: cannot read `/gone`: no such file (hint: this is a path in the controller's container: mount the file \
             there, for instance as a volume, or as a config of a service)",
            "`pod.component.a`, field `env_file`: `/bad`, line 2: the name contains white space",
            "`pod.component.a`, field `labels.outrigger.pod`: labels that begin with `outrigger.` are reserved for the controller",
        ]
    );
}

#[test]
fn a_file_that_is_missing_in_a_mount_is_to_be_created() {
    let hint = |why: &str, path: &str| {
        let mut case = case(vec![with("a", |it| {
            it.copy =
                vec![CopySpec { source: path.to_owned(), target: "/t".to_owned(), mode: None, uid: None, gid: None }];
        })]);
        case.me.container.mounts = ["/config", "/config/deep"]
            .map(|target| MountPoint {
                kind: "bind".to_owned(),
                name: String::new(),
                source: "/srv".to_owned(),
                target: target.to_owned(),
                writable: false,
            })
            .to_vec();
        case.me.copy_sources.insert(path.to_owned(), Err(why.to_owned()));
        compile(&case.spec, &case.me, &case.engine, &case.settings).unwrap_err().0[0].hint.clone()
    };
    let missing = crate::plan::MISSING;
    let created =
        "the controller has a mount at `/config`, but the file is missing in it: create the file, or correct the path";
    assert_eq!(hint(missing, "/config/nginx.conf"), created);
    assert!(hint(missing, "/config/deep/a").contains("a mount at `/config/deep`"));
    for (why, path) in [(missing, "/configs/a"), (missing, "/etc/a"), ("permission denied", "/config/a")] {
        assert!(hint(why, path).contains("mount the file there"), "{why}, {path}");
    }
    assert!(hint(&format!("`/srv/a` {}", crate::plan::NOT_HERE), "/config/a").starts_with("create the file"));
}

#[test]
fn components_are_sorted_by_wave_and_else_as_written() {
    let mut disabled = component("db");
    disabled.healthcheck = Some(HealthCheck::Disabled);
    let app = with("app", |it| it.depends_on = IndexMap::from([(name("db"), Dependency::on(Condition::Healthy))]));
    let plan = case(vec![after("z", &["app"]), app, disabled, component("b")]).plan();
    let order: Vec<_> = plan.components.iter().map(|planned| (planned.name.as_str(), planned.wave)).collect();
    assert_eq!(order, [("db", 0), ("b", 0), ("app", 1), ("z", 2)]);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn init_components_keep_their_order_and_ignore_dependencies() {
    let mut case = case(vec![component("app")]);
    case.spec.init = vec![after("second", &["app"]), component("first")];
    let plan = case.plan();
    let order: Vec<_> = plan.init.iter().map(|planned| planned.name.as_str()).collect();
    assert_eq!(order, ["second", "first"]);
    assert!(plan.init[0].depends_on.is_empty());
    assert_eq!(plan.init[0].container.labels.get("outrigger.role").map(String::as_str), Some("init"));
    assert_eq!(plan.warnings, ["`second`: `depends_on` has no effect: init components always run one after the other"]);
}

#[test]
fn grace_fits_the_controllers() {
    let patient = with("patient", |it| it.stop_grace_period = Some(Duration::from_secs(60)));
    let quick = with("quick", |it| it.stop_grace_period = Some(Duration::from_secs(1)));
    let mut case = case(vec![patient, quick, component("default")]);
    let plan = case.plan();
    assert_eq!(plan.stop_budget, Duration::from_millis(8500));
    let graces: Vec<_> = plan.components.iter().map(|planned| planned.grace.as_millis()).collect();
    assert_eq!(graces, [8500, 1000, 8500]);
    assert_eq!(
        plan.warnings,
        ["`patient`: `stop_grace_period` 60s is longer than the 8.5s that the controller has for stopping, and is reduced to that time"
            .replace("60s", "1m")]
    );
    case.me.container.stop_timeout = Some(Duration::from_secs(90));
    let plan = case.plan();
    let graces: Vec<_> = plan.components.iter().map(|planned| planned.grace.as_millis()).collect();
    assert_eq!(graces, [60_000, 1000, 10_000]);
    case.me.container.stop_timeout = Some(Duration::ZERO);
    assert_eq!(case.plan().stop_budget, Duration::from_millis(500));
}

/// The engine is not told how long a task of Swarm may take to stop; the label is.
#[test]
fn the_label_stands_in_for_what_the_engine_is_not_told() {
    let mut case = case(vec![component("app")]);
    case.spec.controller.stop_grace_period = Some(Duration::from_secs(40));
    assert_eq!(case.plan().stop_budget, Duration::from_millis(38_500));
    // The engine waits for whole seconds.
    case.spec.controller.stop_grace_period = Some(Duration::from_millis(39_500));
    case.me.container.stop_timeout = Some(Duration::from_secs(40));
    assert_eq!(case.plan().warnings, Vec::<String>::new());
    case.me.container.stop_timeout = Some(Duration::from_secs(10));
    let plan = case.plan();
    assert_eq!(plan.stop_budget, Duration::from_millis(8500), "what kills the pod counts");
    let told = "`pod.stop_grace_period` is 39.5s, but the engine kills the controller's container 10s after the stop signal, and the engine's value applies";
    assert_eq!(plan.warnings, [told]);
}
