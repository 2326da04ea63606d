//! What a pod compiles to, and what is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::compile;
use crate::config::{Settings, Sharing};
use crate::engine::{CgroupDriver, ContainerId, EngineInfo, MountPoint};
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
    Mount {
        kind: MountKind::Volume,
        source: Some(source.to_owned()),
        target: target.to_owned(),
        read_only: false,
        propagation: None,
        no_copy: false,
        must_exist: false,
        tmpfs_size: None,
        tmpfs_mode: None,
        volume: None,
    }
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

fn memories(planned: &[Planned]) -> Vec<(&str, Option<i64>, Option<i64>)> {
    planned
        .iter()
        .map(|planned| (planned.name.as_str(), planned.container.host.memory, planned.container.host.memory_swap))
        .collect()
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
fn nested_limits_are_only_capped() {
    let swap_alone = with("swap", |it| it.host.memory_swap = Some(50 * MIB));
    let plan = case(vec![memory("big", 300 * MIB), component("free"), swap_alone])
        .cgroups(CgroupDriver::Cgroupfs, 1)
        .limited(100 * MIB, 200 * MIB)
        .plan();
    assert_eq!(
        memories(&plan.components),
        [("big", Some(100 * MIB), None), ("free", None, None), ("swap", Some(50 * MIB), Some(50 * MIB))]
    );
    assert_eq!(plan.warnings, ["`big`: `mem_limit` 300MiB is lowered to 100MiB"]);
}

#[test]
fn limits_beside_the_controller_share_what_is_left() {
    let mut case = case(vec![memory("a", 40 * MIB), component("b"), component("c")]).limited(100 * MIB, 130 * MIB);
    case.spec.init = vec![component("init-1"), memory("init-2", 200 * MIB)];
    let plan = case.plan();
    assert_eq!(
        memories(&plan.components),
        [
            ("a", Some(40 * MIB), Some(50 * MIB)),
            ("b", Some(30 * MIB), Some(40 * MIB)),
            ("c", Some(30 * MIB), Some(40 * MIB)),
        ]
    );
    assert_eq!(
        memories(&plan.init),
        [("init-1", Some(100 * MIB), Some(130 * MIB)), ("init-2", Some(100 * MIB), Some(130 * MIB))],
        "init components run alone"
    );
    assert_eq!(
        plan.warnings,
        [
            "`init-2`: `mem_limit` 200MiB is lowered to 100MiB",
            "the controller's `mem_limit` of 100MiB can't hold for the pod as a whole on this engine: \
             `b` and `c`, which have no `mem_limit`, get 30MiB each",
        ]
    );
}

/// The engine's "no limit" is more than the controller has, also where an init component asks for it.
#[test]
fn an_init_component_gets_no_more_swap_than_the_controller() {
    let unlimited = with("init-1", |it| it.host.memory_swap = Some(-1));
    let mut limited = case(vec![component("app")]).limited(100 * MIB, 130 * MIB);
    limited.spec.init = vec![unlimited.clone()];
    let plan = limited.plan();
    assert_eq!(memories(&plan.init), [("init-1", Some(100 * MIB), Some(130 * MIB))]);
    assert_eq!(plan.warnings, ["`init-1`: `memswap_limit` -1 is lowered to the controller's 130MiB"]);
    let mut free = case(vec![component("app")]).limited(100 * MIB, 0);
    free.spec.init = vec![unlimited];
    let plan = free.plan();
    assert_eq!(memories(&plan.init), [("init-1", Some(100 * MIB), Some(-1))]);
    assert_eq!(plan.warnings, [""; 0]);
}

/// A share of what is left is no limit above the one on memory and swap together, which the engine would refuse.
#[test]
fn a_share_is_never_more_than_memory_and_swap_together() {
    let swap = |raw, total| with(raw, |it| it.host.memory_swap = Some(total));
    let plan =
        case(vec![swap("a", 20 * MIB), swap("b", 60 * MIB), component("c")]).limited(150 * MIB, 180 * MIB).plan();
    assert_eq!(
        memories(&plan.components),
        [
            ("a", Some(20 * MIB), Some(20 * MIB)),
            ("b", Some(50 * MIB), Some(60 * MIB)),
            // 30 MiB of swap, of which `b` has 10.
            ("c", Some(50 * MIB), Some(70 * MIB)),
        ]
    );
}

#[test]
fn limits_that_do_not_fit_are_problems() {
    let too_much = case(vec![memory("a", 80 * MIB), memory("b", 40 * MIB)]).limited(100 * MIB, 0);
    assert_eq!(
        too_much.problems(),
        "`controller`, field `memory`: the limits of the components (`a` 80MiB, `b` 40MiB) add up to 120MiB, more than \
         the controller's 100MiB (hint: raise the controller's memory limit, or lower a component's `mem_limit`)"
    );
    let too_little = case(vec![memory("a", 99 * MIB), component("b")]).limited(100 * MIB, 0);
    assert_eq!(
        too_little.problems(),
        "`controller`, field `memory`: of the controller's 100MiB, 1MiB is left for 1 component without a `mem_limit`, and the engine \
         takes no limit below 6MiB (hint: raise the controller's memory limit, or lower a component's `mem_limit`)"
    );
    let swap = |raw, total| {
        with(raw, |it| {
            it.host.memory = Some(40 * MIB);
            it.host.memory_swap = Some(total);
        })
    };
    let swap_too_much = case(vec![swap("a", 60 * MIB), swap("b", 60 * MIB)]).limited(100 * MIB, 130 * MIB);
    assert_eq!(
        swap_too_much.problems(),
        "`controller`, field `memory_swap`: the components' `memswap_limit`s ask for more swap than the controller's 30MiB \
         (hint: raise the controller's limit on memory and swap, or lower a component's `memswap_limit`)"
    );
    let unlimited_swap = case(vec![swap("a", -1)]).limited(100 * MIB, 130 * MIB);
    assert!(unlimited_swap.problems().starts_with("`pod.component.a`, field `memswap_limit`: -1 asks for unlimited"));
    assert_eq!(unlimited_swap.limited(100 * MIB, -1).plan().components[0].container.host.memory_swap, Some(-1));
}

#[test]
fn no_share_ever_exceeds_the_controllers_limit() {
    proptest::proptest!(|(
        limits in proptest::collection::vec(proptest::option::of(0..200_i64), 1..6),
        swaps in proptest::collection::vec(proptest::option::of(-1..200_i64), 6),
        pod in 1..400_i64,
        pod_swap in -1..600_i64,
    )| {
        let components = limits.iter().zip(&swaps).enumerate().map(|(index, (limit, swap))| with(&format!("c{index}"), |it| {
            it.host.memory = limit.map(|limit| limit * MIB);
            it.host.memory_swap = swap.map(|swap| if swap < 0 { swap } else { swap * MIB });
        })).collect();
        let case = case(components).limited(pod * MIB, if pod_swap < 0 { -1 } else { pod_swap * MIB });
        if let Ok(plan) = compile(&case.spec, &case.me, &case.engine, &case.settings) {
            let hosts: Vec<_> = plan.components.iter().map(|planned| &planned.container.host).collect();
            let memory: i64 = hosts.iter().map(|host| host.memory.unwrap()).sum();
            proptest::prop_assert!(memory <= pod * MIB);
            if pod_swap >= pod {
                let swap: i64 = hosts.iter().map(|host| (host.memory_swap.unwrap() - host.memory.unwrap()).max(0)).sum();
                proptest::prop_assert!(swap <= (pod_swap - pod) * MIB);
            }
        }
    });
}

#[test]
fn limits_need_cgroups() {
    let plan = case(vec![memory("a", 80 * MIB)]).cgroups(CgroupDriver::None, 2).plan();
    assert_eq!(plan.warnings, ["the engine has no cgroups: memory limits have no effect"]);
    let quiet = case(vec![component("a")]).cgroups(CgroupDriver::None, 2).plan();
    assert!(quiet.warnings.is_empty());
}

#[test]
fn the_engines_own_rules_about_limits_are_kept() {
    let alone = case(vec![with("a", |it| it.host.memory_swap = Some(MIB))]);
    assert_eq!(alone.problems(), "`pod.component.a`, field `memswap_limit`: needs a `mem_limit`, too");
    let reserved = with("a", |it| {
        it.host.memory = Some(200 * MIB);
        it.host.memory_reservation = Some(150 * MIB);
    });
    let plan = case(vec![reserved]).cgroups(CgroupDriver::Cgroupfs, 1).limited(100 * MIB, 0).plan();
    assert_eq!(plan.components[0].container.host.memory_reservation, Some(100 * MIB));
    let zero = case(vec![memory("a", 0)]).plan();
    assert_eq!(zero.components[0].container.host.memory, None, "0 is no limit");
}

#[test]
fn the_kernel_kills_components_before_their_controller() {
    let scored = |score| with("b", |it| it.host.oom_score_adj = Some(score));
    let mut case = case(vec![component("a"), scored(100)]);
    case.me.container.oom_score_adj = 100;
    let plan = case.plan();
    assert_eq!(plan.components[0].container.host.oom_score_adj, Some(101));
    assert_eq!(
        plan.warnings,
        ["`b`: `oom_score_adj` 100 is not above the controller's 100: the kernel may kill the controller first"]
    );
    case.me.container.oom_score_adj = 1000;
    assert_eq!(case.plan().components[0].container.host.oom_score_adj, Some(1000));
}

#[test]
fn what_only_cgroup_version_1_knows_is_left_out_on_version_2() {
    let old = || {
        with("a", |it| {
            it.host.memory_swappiness = Some(10);
            it.host.oom_kill_disable = true;
            it.host.cpu_rt_period = Some(1);
            it.host.cpu_rt_runtime = Some(1);
        })
    };
    let plan = case(vec![old()]).plan();
    let host = &plan.components[0].container.host;
    assert!(host.memory_swappiness.is_none() && !host.oom_kill_disable && host.cpu_rt_period.is_none());
    assert_eq!(plan.warnings.len(), 4);
    assert_eq!(plan.warnings[0], "`a`: `mem_swappiness` has no effect with cgroup version 2 and is left out");
    let kept = case(vec![old()]).cgroups(CgroupDriver::Cgroupfs, 1).plan();
    assert!(kept.components[0].container.host.oom_kill_disable && kept.warnings.is_empty());
}

#[test]
fn volume_names_are_resolved() {
    let bind = Mount { kind: MountKind::Bind, ..volume("data", "/bind") };
    let mut case = case(vec![with("a", |it| it.volumes = vec![volume("data", "/d"), volume("other", "/o"), bind])]);
    case.me.volume_aliases.insert("data".to_owned(), "stack_data".to_owned());
    let plan = case.plan();
    let sources: Vec<_> = plan.components[0].container.mounts.iter().filter_map(|mount| mount.source.clone()).collect();
    assert_eq!(sources, ["stack_data", "other", "data"], "only volumes have aliases");
}

#[test]
fn shared_mounts_leave_out_what_only_the_controller_may_see() {
    let mut case = case(vec![with("a", |it| {
        it.volumes = vec![volume("own", "/data/")];
        it.tmpfs.insert("/cache".to_owned(), String::new());
    })]);
    case.settings.volumes = Sharing::Shared;
    case.me.environment.insert("DOCKER_HOST".to_owned(), "unix:///engine/custom.sock".to_owned());
    case.me.container.mounts = vec![
        point("bind", "/var/run/docker.sock", "/var/run/docker.sock"),
        point("bind", "/run/docker.sock", "/hidden"),
        point("bind", "/x", "/engine/custom.sock"),
        point("bind", "/run", "/host/run"),
        point("bind", "/", "/rootfs"),
        point("bind", "/y", "/engine"),
        point("volume", "state", "/var/lib/outrigger/state"),
        point("volume", "lib", "/var/lib"),
        point("volume", "compiled", "/var/cache/outrigger"),
        point("bind", "/keys/auth", "/var/run/secrets/podlike/dockerregistryauth.json"),
        point("bind", "/keys", "/keys"),
        point("bind", "/x", "/again"),
        point("tmpfs", "", "/scratch"),
        point("volume", "shadowed", "/data"),
        point("volume", "shadowed2", "/cache"),
        point("volume", "logs", "/logs"),
        point("bind", "/etc/app", "/etc/app"),
    ];
    let plan = case.plan();
    let mounts: Vec<_> = plan.components[0]
        .container
        .mounts
        .iter()
        .map(|mount| (mount.source.as_deref().unwrap(), mount.target.as_str(), mount.read_only))
        .collect();
    assert_eq!(mounts, [("own", "/data/", false), ("logs", "/logs", true), ("/etc/app", "/etc/app", true)]);
    assert_eq!(
        plan.warnings,
        [
            "the mount `/host/run` is not shared: it holds `/run/docker.sock`",
            "the mount `/rootfs` is not shared: it holds `/var/run/docker.sock`",
            "the mount `/engine` is not shared: it holds `/engine/custom.sock`",
            "the mount `/var/lib` is not shared: it holds `/var/lib/outrigger`",
            "the mount `/keys` is not shared: it holds `/keys/auth`",
            "the mount `/scratch` is not shared: its kind is `tmpfs`",
        ]
    );
    case.settings.volumes = Sharing::Private;
    assert_eq!(case.plan().components[0].container.mounts.len(), 1);
}

/// A volume does not hold what is mounted below it. Only one that can hold nothing else is shared all the same.
#[test]
fn a_volume_is_shared_if_the_socket_below_it_is_another_mount() {
    let socket = || point("bind", "/var/run/docker.sock", "/var/run/docker.sock");
    let told = |mounts: Vec<MountPoint>, change: fn(&mut Case)| {
        let named = with("b", |it| it.volumes = vec![volume("pids", "/pids")]);
        let mut case = case(vec![component("a"), named]);
        case.settings.volumes = Sharing::Shared;
        case.me.container.mounts = mounts;
        case.me.own_volumes.add("pids", "local", &BTreeMap::new());
        change(&mut case);
        let shared = case.spec.components.shift_remove("b").map(|named| {
            let mut only = case.spec.clone();
            only.components.insert(named.name.clone(), named);
            compile(&only, &case.me, &case.engine, &case.settings).is_ok()
        });
        let plan = case.plan();
        let mounts: Vec<_> = plan.components[0].container.mounts.iter().map(|mount| mount.target.clone()).collect();
        assert!(plan.components[0].container.mounts.iter().all(|mount| mount.no_copy), "it is the controller's");
        (mounts.join(" "), shared.unwrap(), plan.warnings.join("\n"))
    };
    let pids = || point("volume", "pids", "/var/run");
    // As podlike's example has it.
    assert_eq!(told(vec![socket(), pids()], |_| {}), ("/var/run".to_owned(), true, String::new()));
    let deeper = point("bind", "/x/docker.sock", "/var/run/engine/docker.sock");
    let is_refused = |(shared, named, warning): (String, bool, String), holds: &str| {
        assert_eq!((shared.as_str(), named), ("", false), "{warning}");
        assert!(warning.contains(&format!("the mount `/var/run` is not shared: it holds `{holds}`")), "{warning}");
    };
    // A socket of its own: nothing covers it, or what covers it comes out of the volume.
    is_refused(told(vec![pids()], |_| {}), "/var/run/docker.sock");
    let own = "/var/lib/docker/volumes/pids/_data/docker.sock";
    is_refused(told(vec![point("bind", own, "/var/run/docker.sock"), pids()], |_| {}), "/var/run/docker.sock");
    let elsewhere = told(vec![deeper, socket(), pids()], |case| {
        case.me.environment.insert("DOCKER_HOST".to_owned(), "unix:///var/run/other/docker.sock".to_owned());
    });
    is_refused(elsewhere, "/var/run/other/docker.sock");
    // Whoever makes it decides what is in it: a bind of the node's `/var/run`, or any driver's.
    for (driver, options) in
        [("local", vec![("type", "none"), ("o", "bind"), ("device", "/var/run")]), ("acme", vec![])]
    {
        let mut unknown = case(vec![component("a")]);
        unknown.settings.volumes = Sharing::Shared;
        unknown.me.container.mounts = vec![socket(), pids()];
        let options = options.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        unknown.me.own_volumes.add("pids", driver, &options);
        assert!(unknown.plan().components[0].container.mounts.is_empty(), "{driver}");
    }
    // What the controller keeps for itself would be made there.
    let state = told(vec![socket(), pids()], |case| case.settings.state_dir = "/var/run/outrigger".into());
    is_refused(state, "/var/run/outrigger");
    // Credentials and other engines' sockets count if they are there.
    for file in ["/var/run/secrets/podlike", "/var/run/containerd/containerd.sock"] {
        let mut there = case(vec![component("a")]);
        there.settings.volumes = Sharing::Shared;
        there.me.container.mounts = vec![socket(), pids()];
        there.me.own_volumes.add("pids", "", &BTreeMap::new());
        there.me.own_volumes.files.insert(file.to_owned());
        assert!(there.plan().components[0].container.mounts.is_empty(), "{file}");
    }
    // The same volume at a second place is the same.
    let twice =
        vec![socket(), pids(), point("volume", "pids", "/again"), point("volume", "pids", "/var/lib/outrigger")];
    let (shared, named, warning) = told(twice, |_| {});
    assert!(shared.is_empty() && !named && warning.contains("`/again` is not shared"), "{shared} {warning}");
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
            "`pod.component.b`: the name `b` is an init component's, too",
            "`pod.init.components`, field `b.env_file`: cannot read `/gone`: no such file",
            "`pod.copy.a`: cannot read `/etc/gone`: no such file (hint: it is a path in the controller: mount the file there, for instance as \
             a config or a volume of its service)",
            "`pod.component.a`, field `env_file`: cannot read `/gone`: no such file",
            "`pod.component.a`, field `env_file`: `/bad`, line 2: there is white space in the name",
            "`pod.component.a`, field `labels.outrigger.pod`: labels that begin with `outrigger.` are set by the controller",
        ]
    );
}

#[test]
fn components_are_sorted_by_wave_and_else_as_written() {
    let mut disabled = component("db");
    disabled.healthcheck = Some(HealthCheck::Disabled);
    let app = with("app", |it| it.depends_on = IndexMap::from([(name("db"), Dependency::on(Condition::Healthy))]));
    let plan = case(vec![after("z", &["app"]), app, disabled, component("b")]).plan();
    let order: Vec<_> = plan.components.iter().map(|planned| (planned.name.as_str(), planned.wave)).collect();
    assert_eq!(order, [("db", 0), ("b", 0), ("app", 1), ("z", 2)]);
    assert_eq!(
        plan.warnings,
        ["`app`: waits until `db` is healthy, which is as soon as it runs: its health check is disabled"]
    );
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
    assert_eq!(plan.warnings, ["`second`: `depends_on` has no effect: init components run one after the other"]);
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
        ["`patient`: `stop_grace_period` 60s is longer than the 8.5s that the controller has for stopping, and is cut to it"
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
    let told =
        "`pod.stop_grace_period` is 39.5s, but the engine stops the controller's container after 10s, and that holds";
    assert_eq!(plan.warnings, [told]);
}
