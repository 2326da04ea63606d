//! The cost of a pod grows with the number of its components, and not with its square.

use super::*;
use crate::plan::render;
use crate::pod::lower::{MOST_COMPONENTS, lower};
use crate::pod::name::looks;
use crate::pod::read::from_document;

/// A chain of components of all roles, in which each waits for the one before, with init components, copies and limits.
fn chain(count: usize) -> String {
    let mut text = "options: {drain: 1s}\nplugins: [{signal: {map: {TERM: {to: '*', as: QUIT}}}}]\ninit:\n".to_owned();
    for at in 0..count / 4 {
        text.push_str(&format!("- {{name: i{at}, image: a}}\n"));
    }
    text.push_str("components:\n");
    for at in 0..count {
        let role = match at % 4 {
            0 => ", role: job",
            1 => ", mem_limit: 16m, healthcheck: {test: 'true', interval: 90s}",
            2 => ", restart: always",
            _ => ", probes: {readiness: {tcp: 80}}",
        };
        let condition = match at % 4 {
            1 => "service_completed_successfully",
            2 => "service_healthy",
            _ => "service_started",
        };
        let on = match at.checked_sub(1) {
            Some(before) => format!(", depends_on: {{c{before}: {{condition: {condition}}}}}"),
            None => String::new(),
        };
        text.push_str(&format!("  c{at}: {{image: a{role}{on}}}\n"));
    }
    // One that nobody waits for.
    text.push_str("  last: {image: a, role: job}\ncopy:\n");
    for at in 0..count / 4 {
        text.push_str(&format!("  i{at}: '/a:/a'\n  c{at}: '/a:/a'\n"));
    }
    text
}

/// How often `check` and `plan` look at a name, without an engine.
fn looks_at(text: &str) -> u64 {
    let raw = from_document("pod.yaml", text).unwrap();
    let (plan, looks) = looks::of(|| {
        let spec = lower(&raw).unwrap();
        let plan = compile(&spec, &SelfInfo::offline("web", BTreeMap::new()), &offline::engine(), &Settings::default());
        render::text(&plan.unwrap(), &[], None)
    });
    assert!(plan.contains("c1") && plan.contains("stop within"), "{plan}");
    looks
}

#[test]
fn a_pod_of_twice_the_components_takes_twice_the_work() {
    let (few, many) = (looks_at(&chain(200)), looks_at(&chain(400)));
    assert!(few > 200, "names are looked at: {few}");
    // A sorted map takes a little more than twice; a scan of all components for each takes four times.
    assert!(many < few * 5 / 2, "{few} looks for 200 components, {many} for 400");
}

#[test]
fn a_cycle_behind_a_long_chain_is_not_searched_from_every_link() {
    let knot = |count: usize| {
        let mut text =
            "components:\n  c0: {image: a, depends_on: [end]}\n  end: {image: a, depends_on: [c0]}\n".to_owned();
        for at in 1..count {
            text.push_str(&format!("  c{at}: {{image: a, depends_on: [c{}]}}\n", at - 1));
        }
        let raw = from_document("pod.yaml", &text).unwrap();
        let (problems, looks) = looks::of(|| lower(&raw).unwrap_err().to_string());
        assert_eq!(
            problems,
            "`pod.yaml`, field `components.c0.depends_on`: the dependencies form a cycle: `c0` → `end` → `c0`"
        );
        looks
    };
    let (few, many) = (knot(200), knot(400));
    assert!(many < few * 5 / 2, "{few} looks for 200 components, {many} for 400");
}

#[test]
fn a_pod_that_is_too_large_is_refused_before_anything_else() {
    let of = |components: usize, init: usize| {
        let names: Vec<_> = (0..components).map(|at| format!("c{at}: {{image: 5, wrong: x}}")).collect();
        let init = vec!["{image: a}"; init].join(", ");
        let text = format!("init: [{init}]\ncomponents: {{{}}}", names.join(", "));
        let raw = from_document("pod.yaml", &text).unwrap();
        looks::of(|| lower(&raw).unwrap_err())
    };
    for (components, init, place) in [
        (MOST_COMPONENTS + 1, 0, format!("components.c{MOST_COMPONENTS}")),
        (20_000, 0, format!("components.c{MOST_COMPONENTS}")),
        (MOST_COMPONENTS - 1, 2, "init[1]".to_owned()),
    ] {
        let (problems, looks) = of(components, init);
        let count = components + init;
        assert_eq!(
            problems.to_string(),
            format!(
                "`pod.yaml`, field `{place}`: the pod has {count} components, and a pod can have at most 1000 (hint: divide the components among several pods, each with a controller of its own)"
            )
        );
        assert_eq!(looks, 0, "nothing else is judged");
    }
    let (problems, _) = of(MOST_COMPONENTS, 0);
    assert!(problems.0.len() >= MOST_COMPONENTS, "one that is not too large is judged");
}
