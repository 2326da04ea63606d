use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::pod::Condition;

type One = (String, Vec<usize>, Role, Option<u64>);

/// The turns of a pod; each component with those that it needs, its part, and its grace period in milliseconds.
fn of(list: &[One], time: u64, drain: u64) -> Turns {
    let names: Vec<_> = list.iter().map(|it| ComponentName::new(&it.0).unwrap()).collect();
    let needs: Vec<Vec<_>> = list
        .iter()
        .map(|it| it.1.iter().map(|at| (names[*at].clone(), Dependency::on(Condition::Started))).collect())
        .collect();
    let list: Vec<_> = list
        .iter()
        .enumerate()
        .map(|(at, it)| Stopper {
            name: &names[at],
            depends_on: &needs[at],
            role: it.2,
            grace: it.3.map(Duration::from_millis),
        })
        .collect();
    turns(&list, Duration::from_millis(time), Duration::from_millis(drain))
}

fn one(name: &str, needs: &[usize], grace: u64) -> One {
    (name.to_owned(), needs.to_vec(), Role::Main, Some(grace))
}

fn sidecar(name: &str, needs: &[usize], grace: u64) -> One {
    (name.to_owned(), needs.to_vec(), Role::Sidecar, Some(grace))
}

/// Wave, and milliseconds of `begins_by` and `ends_by`.
fn table(turns: &Turns) -> Vec<(usize, u128, u128)> {
    turns.of.iter().map(|it| (it.wave, it.begins_by.as_millis(), it.ends_by.as_millis())).collect()
}

#[test]
fn what_fits_has_its_whole_grace_period() {
    let turns = of(&[one("db", &[], 2000), one("app", &[0], 6000)], 8500, 500);
    assert_eq!(table(&turns), [(2, 6500, 8500), (1, 500, 6500)]);
    assert_eq!(turns.needed, Duration::from_secs(8));
}

#[test]
fn what_does_not_fit_leaves_a_share_to_those_behind() {
    let turns = of(&[one("db", &[], 8500), one("app", &[0], 8500)], 8500, 0);
    assert_eq!(table(&turns), [(2, 6375, 8500), (1, 4250, 6375)]);
    assert_eq!(turns.longest.iter().map(ComponentName::as_str).collect::<Vec<_>>(), ["app", "db"]);
    assert_eq!(turns.needed, Duration::from_secs(17));
    // One that needs less than its share gets no more than that.
    let turns = of(&[one("db", &[], 1000), one("app", &[0], 8500)], 8500, 0);
    assert_eq!(table(&turns), [(2, 7500, 8500), (1, 5375, 7500)]);
    // A chain of three, and one beside it that nobody waits for.
    let chain = [one("db", &[], 6000), one("app", &[0], 6000), one("web", &[1], 6000), one("other", &[], 6000)];
    assert_eq!(table(&of(&chain, 6000, 0)), [(3, 5000, 6000), (2, 4000, 5000), (1, 3000, 4000), (1, 5000, 6000)]);
}

#[test]
fn sidecars_stop_last_unless_they_need_others() {
    let pod = [sidecar("mesh", &[], 4000), one("app", &[], 4000), sidecar("exporter", &[1], 4000)];
    assert_eq!(table(&of(&pod, 12_000, 0)), [(3, 8000, 12_000), (2, 4000, 8000), (1, 0, 4000)]);
    assert_eq!(of(&pod, 12_000, 0).longest.len(), 3);
    // With the component that it needs gone, it stops with the other sidecars.
    let mut gone = pod.to_vec();
    gone[1].3 = None;
    gone.push(one("other", &[], 4000));
    let turns = of(&gone, 12_000, 0);
    assert_eq!((turns.of[0].wave, turns.of[2].wave, turns.of[3].wave), (2, 2, 1), "{turns:?}");
}

#[test]
fn what_does_not_run_needs_no_time_and_keeps_the_order() {
    let mut pod = [one("db", &[], 5000), one("migrate", &[0], 5000), one("app", &[1], 5000)];
    pod[1].3 = None;
    let turns = of(&pod, 10_000, 0);
    assert_eq!((turns.needed, turns.longest.len()), (Duration::from_secs(10), 2));
    assert_eq!((turns.of[0].begins_by, turns.of[2].ends_by), (Duration::from_secs(5), Duration::from_secs(5)));
}

#[test]
fn what_does_not_run_leads_from_one_sidecar_to_another() {
    let mut pod =
        [sidecar("mesh", &[], 4000), one("probe", &[0], 1000), sidecar("exporter", &[1], 4000), one("app", &[], 4000)];
    pod[1].3 = None;
    let turns = of(&pod, 12_000, 0);
    assert_eq!((turns.of[0].begins_by, turns.of[2].begins_by), (Duration::from_secs(8), Duration::from_secs(4)));
    assert_eq!((turns.of[3].wave, turns.of[2].wave), (1, 2));
}

#[test]
fn a_long_chain_is_divided_in_no_time() {
    let chain: Vec<_> = (0..20_000_usize)
        .map(|at| one(&format!("c{at}"), &at.checked_sub(1).into_iter().collect::<Vec<_>>(), 1000))
        .collect();
    let turns = of(&chain, 8500, 0);
    assert_eq!((turns.of[0].wave, turns.longest.len()), (20_000, 20_000));
    assert!(turns.of[19_999].ends_by >= Duration::from_millis(4250));
}

fn pods() -> impl Strategy<Value = Vec<One>> {
    let one = (prop::collection::vec(0_usize..12, 0..3), 0_u8..4, 0_u64..12_000);
    prop::collection::vec(one, 1..12).prop_map(|list| {
        let made = list.into_iter().enumerate().map(|(at, (needs, part, grace))| {
            let needs = needs.into_iter().filter(|other| *other < at).collect();
            let role = if part == 0 { Role::Sidecar } else { Role::Main };
            (format!("c{at}"), needs, role, (part != 1).then_some(grace))
        });
        made.collect()
    })
}

proptest! {
    /// Whoever stops before another one is killed no later than the other one's share begins; the first keep half of the time; what fits is not cut.
    #[test]
    fn every_component_keeps_its_share(list in pods(), time in 500_u64..30_000, drain in 0_u64..15_000) {
        let drain = drain.min(time / 2);
        let turns = of(&list, time, drain);
        let (time, left) = (Duration::from_millis(time), Duration::from_millis(time - drain));
        for (at, (turn, it)) in turns.of.iter().zip(&list).enumerate() {
            let grace = Duration::from_millis(it.3.unwrap_or_default());
            for other in &it.1 {
                prop_assert!(turn.ends_by <= turns.of[*other].begins_by && turn.wave < turns.of[*other].wave);
            }
            prop_assert!(turn.ends_by <= time);
            let share = turn.ends_by - turn.begins_by;
            if turns.needed <= left {
                prop_assert_eq!(share, grace);
            } else {
                let least = left / (2 * u32::try_from(list.len()).unwrap());
                prop_assert!(share >= grace.min(least) && share <= grace);
                prop_assert!(turn.ends_by + left / 2 >= time, "{at}: at most half of the time is kept for the others");
            }
        }
        let last = list.iter().zip(&turns.of).filter(|(it, _)| it.2 == Role::Sidecar && it.1.is_empty());
        for (_, sidecar) in last {
            let others = list.iter().zip(&turns.of).filter(|(it, _)| it.2 != Role::Sidecar && it.3.is_some());
            for (_, other) in others {
                prop_assert!(other.ends_by <= sidecar.begins_by && other.wave < sidecar.wave);
            }
        }
    }
}
