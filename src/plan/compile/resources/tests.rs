//! CPU time and processes: what fits, what is shared, and what is shown of it.

use std::collections::BTreeMap;

use super::NANO;
use crate::config::Settings;
use crate::containers::info::{CgroupDriver, VolumeInfo};
use crate::plan::budget::{HeldBy, Resource};
use crate::plan::{Plan, Seen, SelfInfo, compile::compile, offline, render};
use crate::pod::{Component, ComponentName, HostSettings, Mount, MountKind, PodSpec, Problems, VolumeSpec};

/// A pod of these components on an engine of this cgroup version; the controller has these limits.
fn compiled(components: &[(&str, HostSettings)], cpus: i64, pids: i64, version: u8) -> Result<Plan, Problems> {
    let made = components.iter().map(|(name, host)| {
        let mut component = Component::new(ComponentName::new(name).unwrap(), "acme/app");
        component.host = host.clone();
        (component.name.clone(), component)
    });
    let spec = PodSpec { components: made.collect(), ..PodSpec::default() };
    let mut me = SelfInfo { seen: Seen::Within, ..SelfInfo::offline("web", BTreeMap::new()) };
    me.container.nano_cpus = cpus;
    me.container.pids_limit = pids;
    let mut engine = offline::engine();
    engine.cgroup_version = version;
    if version == 1 {
        engine.cgroup_driver = CgroupDriver::Cgroupfs;
        me.cgroup = Some("/docker/self".to_owned());
    }
    compile(&spec, &me, &engine, &Settings::default())
}

fn cpus(nano: i64) -> HostSettings {
    HostSettings { nano_cpus: Some(nano), ..HostSettings::default() }
}

fn pids(limit: i64) -> HostSettings {
    HostSettings { pids_limit: Some(limit), ..HostSettings::default() }
}

fn free() -> HostSettings {
    HostSettings::default()
}

#[test]
fn beside_the_controller_what_is_left_is_shared() {
    let plan = compiled(&[("a", cpus(NANO)), ("b", free()), ("c", free())], 2 * NANO, 0, 2).unwrap();
    let given: Vec<_> = plan.components.iter().map(|it| it.container.host.nano_cpus).collect();
    assert_eq!(given, [Some(NANO), Some(NANO / 2), Some(NANO / 2)]);
    assert_eq!(
        plan.warnings,
        [
            "this engine cannot enforce the controller's `cpus` of 2 for the pod as a whole: `b` and `c`, which have no `cpus`, get 0.5 each"
        ]
    );
    let plan = compiled(&[("a", pids(-1)), ("b", pids(30))], 0, 100, 2).unwrap();
    let given: Vec<_> = plan.components.iter().map(|it| it.container.host.pids_limit).collect();
    assert_eq!(given, [Some(70), Some(30)], "no limit is asked for, and there is one");
}

#[test]
fn what_does_not_fit_is_a_problem() {
    let told = compiled(&[("a", cpus(NANO)), ("b", cpus(NANO))], NANO * 3 / 2, 0, 2).unwrap_err().to_string();
    assert_eq!(
        told,
        "`controller`, field `cpus`: the sum of the components' limits (`a` 1, `b` 1) is 2, which is more than the controller's 1.5 \
         (hint: raise the controller's limit, or lower a component's `cpus`)"
    );
    let told = compiled(&[("a", pids(10)), ("b", free())], 0, 10, 2).unwrap_err().to_string();
    assert!(told.contains("of the controller's 10, 0 remains for 1 component without a `pids_limit`"), "{told}");
    let told = compiled(&[("a", cpus(NANO - 1)), ("b", free())], NANO, 0, 2).unwrap_err().to_string();
    assert!(told.contains("the engine's minimum is 0.01"), "{told}");
}

#[test]
fn within_the_controllers_cgroup_only_what_is_more_is_lowered() {
    let quota = HostSettings { cpu_quota: Some(300_000), cpu_period: Some(100_000), ..free() };
    let plan = compiled(&[("a", cpus(3 * NANO)), ("b", free()), ("c", quota)], NANO, 50, 1).unwrap();
    let hosts: Vec<_> = plan.components.iter().map(|it| &it.container.host).collect();
    assert_eq!((hosts[0].nano_cpus, hosts[1].nano_cpus, hosts[1].pids_limit), (Some(NANO), None, None));
    assert_eq!(
        (hosts[2].nano_cpus, hosts[2].cpu_quota),
        (None, Some(100_000)),
        "the engine takes one form or the other"
    );
    assert_eq!(plan.warnings, ["`a`: `cpus` 3 is reduced to 1", "`c`: `cpus` 3 is reduced to 1"]);
}

#[test]
fn the_table_tells_written_given_sum_and_rest() {
    let plan = compiled(&[("a", cpus(NANO)), ("b", free())], 2 * NANO, 0, 2).unwrap();
    let row = &plan.budget.rows[0];
    assert_eq!((row.resource, row.pod, row.sum(), row.left()), (Resource::Cpus, Some(2 * NANO), 2 * NANO, Some(0)));
    assert_eq!((row.components[1].written, row.components[1].given), (None, Some(NANO)));
    assert_eq!(plan.budget.held_by, HeldBy::Apart);
    let text = render::text(&plan, &[], None);
    let expected = "limits\n        cpus\n  pod   2\n  a     1\n  b     1 (its part)\n  sum   2\n  left  0\n  the kernel enforces the limits for each component: the pod's limits are divided among the components\n";
    assert!(text.contains(expected), "{text}");
    let nested = compiled(&[("a", pids(80)), ("b", pids(200))], 0, 100, 1).unwrap();
    let row = &nested.budget.rows[0];
    assert_eq!((nested.budget.held_by, row.sum(), row.left()), (HeldBy::Together, 180, Some(-80)));
    assert!(render::text(&nested, &[], None).contains("b     100 (of 200)"));
    assert!(compiled(&[("a", free())], 0, 0, 2).unwrap().budget.rows.is_empty());
}

#[test]
fn no_share_is_ever_more_than_the_pod_has() {
    proptest::proptest!(|(
        limits in proptest::collection::vec((-1..300_i64, -1..300_i64), 1..6),
        pod_cpus in 1..400_i64,
        pod_pids in 1..400_i64,
        version in 1..=2_u8,
    )| {
        let made: Vec<_> = limits.iter().enumerate().map(|(at, (cpu, pids))| {
            (format!("c{at}"), HostSettings { cpu_quota: Some(cpu * 1000), pids_limit: Some(*pids), ..free() })
        }).collect();
        let components: Vec<_> = made.iter().map(|(name, host)| (name.as_str(), host.clone())).collect();
        if let Ok(plan) = compiled(&components, pod_cpus * NANO / 100, pod_pids, version) {
            for row in &plan.budget.rows {
                let pod = row.pod.unwrap();
                proptest::prop_assert!(row.components.iter().all(|share| share.given.is_none_or(|given| given <= pod)));
                if version == 2 {
                    proptest::prop_assert!(row.sum() <= pod && row.components.iter().all(|share| share.given.is_some()));
                }
            }
        }
    });
}

#[test]
fn without_cgroups_limits_are_told_to_have_no_effect() {
    let mut engine = offline::engine();
    engine.cgroup_driver = CgroupDriver::None;
    let mut component = Component::new(ComponentName::new("a").unwrap(), "acme/app");
    component.host = pids(5);
    let spec =
        PodSpec { components: [(component.name.clone(), component)].into_iter().collect(), ..PodSpec::default() };
    let me = SelfInfo { seen: Seen::Within, ..SelfInfo::offline("web", BTreeMap::new()) };
    let plan = compile(&spec, &me, &engine, &Settings::default()).unwrap();
    assert_eq!(plan.warnings, ["`a`: `pids_limit` has no effect: the engine has no cgroups"]);
    assert_eq!(plan.budget.held_by, HeldBy::Nobody);
}

#[test]
fn a_volume_that_exists_otherwise_is_not_taken_silently() {
    let options = |profile: &str| BTreeMap::from([("profile".to_owned(), profile.to_owned())]);
    let told = |there: Option<VolumeInfo>| {
        let mut component = Component::new(ComponentName::new("a").unwrap(), "acme/app");
        component.volumes = vec![Mount {
            volume: Some(VolumeSpec {
                driver: "acme".to_owned(),
                driver_opts: options("fast"),
                labels: BTreeMap::new(),
            }),
            ..Mount::new(MountKind::Volume, Some("data".to_owned()), "/data")
        }];
        let spec =
            PodSpec { components: [(component.name.clone(), component)].into_iter().collect(), ..PodSpec::default() };
        let mut me = SelfInfo { seen: Seen::Within, ..SelfInfo::offline("web", BTreeMap::new()) };
        me.volumes.extend(there.map(|there| ("data".to_owned(), there)));
        compile(&spec, &me, &offline::engine(), &Settings::default()).err().map(|problems| problems.to_string())
    };
    let made = |driver: &str, profile: &str| VolumeInfo {
        driver: driver.to_owned(),
        options: options(profile),
        labels: BTreeMap::new(),
    };
    assert_eq!(told(None), None);
    assert_eq!(told(Some(made("acme", "fast"))), None);
    assert_eq!(told(Some(made("acme:latest", "fast"))), None);
    assert_eq!(
        told(Some(made("local", "fast"))).unwrap(),
        "`pod.component.a`, field `volumes[0]`: the volume `data` exists already with the driver `local` and the options `profile=fast`, \
         not with `acme` and the options `profile=fast` (hint: the engine cannot change an existing volume: use another name, or remove the volume with its data (`docker volume rm data`))"
    );
    assert!(
        told(Some(VolumeInfo { driver: "acme".to_owned(), ..VolumeInfo::default() }))
            .unwrap()
            .contains("and no options, not with")
    );
}
