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
use crate::template::{blame, interpolate, read};

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
    let mut notes = Vec::new();
    let variable = |name: &str| env.get(name).cloned();
    if problems.is_empty() {
        match template::of_text(&text, env) {
            Ok(rendered) => {
                let written = rendered.as_ref().map_or_else(|| raw.clone(), |rendered| rendered.stack.clone());
                let filled = rendered.map_or_else(|| raw.clone(), |rendered| rendered.filled(&variable));
                let stack = interpolate::stack(&filled, &at, &variable, &mut problems);
                differences = podlike::differences(&raw, &stack);
                notes = interpolate::unset(&written, &variable);
                notes.extend(blame::misread(&filled, &variable));
                let text = Text { text: crate::template::write::write(&stack), ..text.clone() };
                let found = input::of_text(text, &args.flags.clone().into(), env);
                differences.extend(found.pods.iter().flat_map(mounts));
                notes.extend(judged(found, env, &mut problems)?);
                blame::name(&written, &at.label, &variable, &mut problems);
            }
            Err(report) => match report.problems() {
                Some(more) => {
                    differences = podlike::differences(&raw, &raw);
                    let found = input::of_others(more.clone(), text.clone(), &args.flags.clone().into(), env);
                    notes.extend(judged(found, env, &mut problems)?);
                }
                None => return Err(report),
            },
        }
    }
    text.sources.locate(&mut problems);
    if args.json {
        let (problems_json, left_out) = check::shown(&problems);
        let differences: Vec<Value> = differences.iter().map(as_json).collect();
        let document = json!({ "ok": problems.is_empty(), "differences": differences, "problems": problems_json, "left_out": left_out, "notes": notes });
        output::json(&document)?;
        return Ok(if problems.is_empty() { Exit::Success } else { Exit::Problems });
    }
    output::text(&as_text(&differences))?;
    match problems.or(Exit::Success) {
        Ok(exit) => {
            output::notes(&notes);
            Ok(exit)
        }
        Err(problems) => Err(Report::input(problems).notes(notes)),
    }
}

/// What podlike shared of the service's mounts, and is not shared here.
fn mounts(pod: &input::Pod) -> Vec<Difference> {
    let of = |(target, what): (String, String)| Difference {
        service: pod.name.clone(),
        label: String::new(),
        field: "volumes".to_owned(),
        what: format!(
            "with `-volumes`, podlike shares the mount `{target}` with the components; Outrigger does not, because the mount contains `{what}`, which only the controller may access"
        ),
        remedy: "list the mounts that a component needs under `volumes` of that component".to_owned(),
    };
    withheld_mounts(&pod.me, &pod.engine, &pod.settings).into_iter().map(of).collect()
}

/// What `outrigger check` finds, without its answer: problems are added, and the notes that come with them answered.
fn judged(found: input::Found, env: &Env, problems: &mut Problems) -> Result<Vec<String>, Report> {
    match block_on(async { check::all(found, env).await }) {
        Ok(_) => Ok(Vec::new()),
        Err(report) => match report.problems() {
            Some(more) => {
                problems.extend_elsewhere(more.clone());
                Ok(report.known().to_vec())
            }
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
        return "no difference from podlike\n".to_owned();
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
            text.push_str(&format!("  remedy: {remedy}\n"));
        }
    }
    let places =
        if differences.len() == 1 { "1 place".to_owned() } else { format!("{} differences", differences.len()) };
    text.push_str(&format!("{places} from podlike; docs/podlike.md gives the reasons\n"));
    text
}
