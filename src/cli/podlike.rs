//! `outrigger check --podlike`: where a stack file will behave otherwise than with podlike.

use serde_json::{Value, json};

use super::argv::CheckArgs;
use super::input::{self, Text};
use super::report::{Exit, Report};
use super::{Env, block_on, check, output, template};
use crate::labels::Place;
use crate::plan::compile::withheld_mounts;
use crate::pod::Problems;
use crate::podlike::{self, Difference};
use crate::template::{interpolate, read};

/// Prints every difference; the exit code tells of problems only.
pub(super) fn run(args: &CheckArgs, env: &Env) -> Result<Exit, Report> {
    let Some(file) = args.input.file.as_deref() else {
        return Err(Report::usage(anyhow::anyhow!("--podlike needs a stack file")));
    };
    input::typed(&args.flags.clone().into())?;
    let text = input::text(file)?;
    let at = Place::new(&text.origin);
    let mut problems = Problems::default();
    let raw = read::read(&at, &text.text, &mut problems).unwrap_or_default();
    let is_stack = raw.get("services").is_some();
    if problems.is_empty() && !is_stack {
        problems.push(at.problem("expected a stack or Compose file, which has `services:`"));
    }
    let mut differences = Vec::new();
    if problems.is_empty() {
        match template::rendered(text.clone(), env) {
            Ok(rendered) => {
                let stack = read::read(&at, &rendered.text, &mut problems).unwrap_or_default();
                let stack = interpolate::stack(&stack, &at, &|name| env.get(name).cloned(), &mut problems);
                differences = podlike::differences(&raw, &stack);
                let text = Text { text: crate::template::write::write(&stack), ..rendered };
                let found = input::of_text(text, &args.flags.clone().into(), env);
                differences.extend(found.pods.iter().flat_map(mounts));
                if let Err(more) = judged(found, env)? {
                    problems.extend(more);
                }
            }
            Err(report) => match report.problems() {
                Some(more) => {
                    differences = podlike::differences(&raw, &raw);
                    let found = input::of_others(more.clone(), text.clone(), &args.flags.clone().into(), env);
                    if let Err(more) = judged(found, env)? {
                        problems.extend(more);
                    }
                }
                None => return Err(report),
            },
        }
    }
    text.sources.locate(&mut problems);
    if args.json {
        let (problems_json, left_out) = check::shown(&problems);
        let differences: Vec<Value> = differences.iter().map(as_json).collect();
        let document = json!({ "ok": problems.is_empty(), "differences": differences, "problems": problems_json, "left_out": left_out });
        output::json(&document)?;
        return Ok(if problems.is_empty() { Exit::Success } else { Exit::Problems });
    }
    output::text(&as_text(&differences))?;
    problems.or(Exit::Success).map_err(Report::input)
}

/// What podlike shared of the service's mounts, and is not shared here.
fn mounts(pod: &input::Pod) -> Vec<Difference> {
    let of = |(target, what): (String, String)| Difference {
        service: pod.name.clone(),
        label: String::new(),
        field: "volumes".to_owned(),
        what: format!(
            "with `-volumes` podlike gave the components the mount `{target}`; here they do not get it, because it holds `{what}`, which only the controller may see"
        ),
        remedy: "name what a component needs in `volumes` of the component".to_owned(),
    };
    withheld_mounts(&pod.me, &pod.engine, &pod.settings).into_iter().map(of).collect()
}

/// What `outrigger check` finds, without its answer.
fn judged(found: input::Found, env: &Env) -> Result<Result<(), Problems>, Report> {
    match block_on(async { check::all(found, env).await }) {
        Ok(_) => Ok(Ok(())),
        Err(report) => match report.problems() {
            Some(problems) => Ok(Err(problems.clone())),
            None => Err(report),
        },
    }
}

fn as_json(difference: &Difference) -> Value {
    let Difference { service, label, field, what, remedy } = difference;
    json!({ "service": service, "label": label, "field": field, "what": what, "remedy": remedy })
}

fn as_text(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "nothing will behave otherwise than with podlike\n".to_owned();
    }
    let mut text = String::new();
    for Difference { service, label, field, what, remedy } in differences {
        text.push_str(&format!("service `{service}`"));
        if !label.is_empty() {
            text.push_str(&format!(", label `{label}`"));
        }
        if !field.is_empty() {
            text.push_str(&format!(", field `{field}`"));
        }
        text.push_str(&format!(": {what}\n"));
        if !remedy.is_empty() {
            text.push_str(&format!("  to change it: {remedy}\n"));
        }
    }
    let places = if differences.len() == 1 { "1 place".to_owned() } else { format!("{} places", differences.len()) };
    text.push_str(&format!("{places} where this behaves otherwise than with podlike; docs/podlike.md says why\n"));
    text
}
