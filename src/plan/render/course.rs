//! What is shown of the pod's life as a whole: how long its start and a repair may take, and what ends it.

use serde_json::{Value, json};

use crate::plan::Plan;
use crate::plan::life::Ends;
use crate::plan::units::{milliseconds, time};
use crate::pod::ComponentName;
use crate::pod::life::RestartWhen;

/// Lines of text, each with its end.
pub(super) fn text(plan: &Plan) -> String {
    let life = &plan.life;
    let start = match &life.start {
        None => "no time limit for the start".to_owned(),
        Some(start) => {
            let parts: Vec<_> = start.declared.iter().map(|(name, it)| format!("{} for {name}", time(*it))).collect();
            let sum = match parts.is_empty() {
                true => String::new(),
                false => format!(" ({}, and {})", time(start.base), parts.join(", ")),
            };
            format!(
                "the pod must be healthy within {}{sum}, not counting image pulls; otherwise the pod ends",
                time(start.total())
            )
        }
    };
    let repair = repair(plan).map(|repair| format!("{repair}\n")).unwrap_or_default();
    let up = match life.min_ready.is_zero() {
        true => String::new(),
        false => format!("a component without health check and probes counts as up after {}\n", time(life.min_ready)),
    };
    format!("{up}{start}\n{repair}{}\n", ends(&plan.ends()))
}

/// What a restart repairs, and how long it may take; nothing if no component is ever started again.
fn repair(plan: &Plan) -> Option<String> {
    let life = &plan.life;
    plan.components.iter().find(|planned| planned.restart.when != RestartWhen::Never)?;
    let settle = match life.settle.is_zero() {
        true => "after that, `restart` repairs a crash".to_owned(),
        false => format!(
            "after that, a crash in the first {} ends the pod; `restart` repairs a later crash",
            time(life.settle)
        ),
    };
    let budget = match life.repair_budget.is_zero() {
        true => " without a time limit".to_owned(),
        false => {
            format!(
                " within {} plus the time of the component's own start; otherwise the pod is unhealthy",
                time(life.repair_budget)
            )
        }
    };
    Some(format!("{settle}{budget}"))
}

fn ends(ends: &Ends) -> String {
    let names = |names: &[ComponentName], word: &str| {
        let names: Vec<_> = names.iter().map(ComponentName::as_str).collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} {word} {last}", rest.join(", ")),
            _ => names.concat(),
        }
    };
    let end = |list: &[ComponentName]| format!("{} ends and is not restarted", names(list, "or"));
    match (ends.jobs.as_slice(), ends.components.as_slice()) {
        ([], []) => "the pod ends when its last component has ended, with the exit code of that component".to_owned(),
        ([], list) => format!("the pod ends when {}, with the exit code of that component", end(list)),
        (jobs, list) => {
            let verb = if jobs.len() == 1 { "has" } else { "have" };
            let jobs = format!(
                "the pod ends when {} {verb} ended, with the exit code of the first job that failed, otherwise 0",
                names(jobs, "and")
            );
            if list.is_empty() {
                jobs
            } else {
                format!("{jobs}; or when {}, with the exit code of that component", end(list))
            }
        }
    }
}

/// The same for programs.
pub(super) fn json(plan: &Plan) -> [(&'static str, Value); 5] {
    let life = &plan.life;
    let start = life.start.as_ref().map(|start| {
        let declared: Vec<_> = start
            .declared
            .iter()
            .map(|(name, it)| json!({"component": name.as_str(), "declared_ms": milliseconds(*it)}))
            .collect();
        json!({"total_ms": milliseconds(start.total()), "base_ms": milliseconds(start.base), "declared": declared})
    });
    let ends = plan.ends();
    let names = |names: &[ComponentName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    [
        ("min_ready_ms", json!(milliseconds(life.min_ready))),
        ("start_deadline", json!(start)),
        ("settle_ms", json!(milliseconds(life.settle))),
        ("repair_budget_ms", json!(milliseconds(life.repair_budget))),
        ("ends_with", json!({"jobs": names(&ends.jobs), "components": names(&ends.components)})),
    ]
}
