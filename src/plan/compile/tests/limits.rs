//! Limits: how the controller's are shared, and which are refused.

use super::*;

fn memories(planned: &[Planned]) -> Vec<(&str, Option<i64>, Option<i64>)> {
    planned
        .iter()
        .map(|planned| (planned.name.as_str(), planned.container.host.memory, planned.container.host.memory_swap))
        .collect()
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
    assert_eq!(plan.warnings, ["`big`: `mem_limit` 300MiB is reduced to 100MiB"]);
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
            "`init-2`: `mem_limit` 200MiB is reduced to 100MiB",
            "this engine cannot enforce the controller's `mem_limit` of 100MiB for the pod as a whole: \
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
    assert_eq!(plan.warnings, ["`init-1`: `memswap_limit` -1 is reduced to the controller's 130MiB"]);
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
        "`controller`, field `memory`: the sum of the components' limits (`a` 80MiB, `b` 40MiB) is 120MiB, which is more than \
         the controller's 100MiB (hint: raise the controller's memory limit, or lower a component's `mem_limit`)"
    );
    let too_little = case(vec![memory("a", 99 * MIB), component("b")]).limited(100 * MIB, 0);
    assert_eq!(
        too_little.problems(),
        "`controller`, field `memory`: of the controller's 100MiB, 1MiB remains for 1 component without a `mem_limit`, but the engine's \
         minimum is 6MiB each (hint: raise the controller's memory limit, or lower a component's `mem_limit`)"
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
        "`controller`, field `memory_swap`: the components' `memswap_limit` values allow more swap than the controller's 30MiB \
         (hint: raise the controller's limit on memory and swap, or lower a component's `memswap_limit`)"
    );
    let unlimited_swap = case(vec![swap("a", -1)]).limited(100 * MIB, 130 * MIB);
    assert!(unlimited_swap.problems().starts_with("`pod.component.a`, field `memswap_limit`: -1 means unlimited"));
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
    assert_eq!(alone.problems(), "`pod.component.a`, field `memswap_limit`: also needs a `mem_limit`");
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
        ["`b`: `oom_score_adj` 100 is not above the controller's 100, so the kernel may kill the controller first"]
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
    assert_eq!(plan.warnings[0], "`a`: `mem_swappiness` has no effect with cgroup version 2 and is ignored");
    let kept = case(vec![old()]).cgroups(CgroupDriver::Cgroupfs, 1).plan();
    assert!(kept.components[0].container.host.oom_kill_disable && kept.warnings.is_empty());
}

/// The engine's minimum is enough, and one byte less is not.
#[test]
fn the_least_share_is_the_engines_minimum() {
    let shared = |memory| case(vec![component("a"), component("b")]).limited(memory, -1);
    let least = 12 * MIB;
    assert_eq!(memories(&shared(least).plan().components)[0].1, Some(6 * MIB));
    assert!(shared(least - 2).problems().contains("but the engine's minimum is 6MiB each"));
}

/// An init component that has less memory than the controller has no more swap for that.
#[test]
fn an_init_component_with_a_limit_has_the_controllers_swap_and_no_more() {
    let mut limited = case(vec![component("app")]).limited(100 * MIB, 130 * MIB);
    limited.spec.init = vec![memory("init-1", 40 * MIB)];
    assert_eq!(memories(&limited.plan().init), [("init-1", Some(40 * MIB), Some(70 * MIB))]);
}
