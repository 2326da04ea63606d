//! `outrigger check`: every mistake of a pod, before anything is started.

use serde_json::{Value, json};

use super::argv::CheckArgs;
use super::report::{Exit, Report};
use super::{Env, block_on, input, output, plan, policy};
use crate::plan::price;
use crate::pod::{Problem, Problems};
use crate::problem::shown::{IN_ALL, Shown, bound_notes, cut};

/// Reads, lowers, compiles and loads the plugins of every pod, and tells what is wrong with all of them.
pub(super) fn run(args: CheckArgs, env: &Env) -> Result<Exit, Report> {
    let as_json = args.json;
    if args.podlike {
        return super::podlike::run(&args, env);
    }
    match block_on(check(args, env)) {
        Ok(checked) => {
            if as_json {
                let pods: Vec<Value> = checked.iter().map(Checked::json).collect();
                output::json(&json!({ "ok": true, "problems": [], "left_out": 0, "pods": pods, "notes": [] }))?;
            } else {
                output::text(&checked.iter().map(Checked::text).collect::<String>())?;
            }
            Ok(Exit::Success)
        }
        Err(report) => match report.problems() {
            Some(problems) if as_json => {
                let (problems, left_out) = shown(problems);
                output::json(
                    &json!({ "ok": false, "problems": problems, "left_out": left_out, "pods": [], "notes": report.known() }),
                )?;
                Ok(report.exit())
            }
            _ => Err(report),
        },
    }
}

/// A pod that is right.
pub(super) struct Checked {
    name: String,
    components: usize,
    plugins: usize,
    notes: Vec<String>,
}

impl Checked {
    fn text(&self) -> String {
        let mut text = format!(
            "ok: `{}`, {} and {}\n",
            self.name,
            counted(self.components, "component"),
            counted(self.plugins, "plugin")
        );
        for note in &self.notes {
            text.push_str(&format!("  note: {note}\n"));
        }
        text
    }

    /// Its notes, each with its name.
    pub(super) fn told(&self) -> Vec<String> {
        self.notes.iter().map(|note| format!("`{}`: {note}", self.name)).collect()
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "components": self.components, "plugins": self.plugins, "notes": self.notes })
    }
}

async fn check(args: CheckArgs, env: &Env) -> Result<Vec<Checked>, Report> {
    let flags = args.flags.into();
    input::typed(&flags)?;
    let mut found = input::pods(args.input.file.as_deref(), args.input.container.as_deref(), &flags, env).await?;
    policy::bound_all(args.policy.as_deref(), found.pods.iter_mut().map(|pod| &mut pod.settings), &mut found.problems)?;
    all(found, env).await
}

/// Compiles and loads the plugins of every pod that was found.
pub(super) async fn all(found: input::Found, env: &Env) -> Result<Vec<Checked>, Report> {
    let input::Found { pods, mut problems, sources, stack } = found;
    let mut checked = Vec::new();
    // Of pods that are not right.
    let mut others = Vec::new();
    for pod in &pods {
        match plan::planned(pod, env).await? {
            Ok((plan, loaded)) => {
                let mut notes = pod.notes(loaded.notes.into_iter().chain(plan.warnings).collect());
                notes.extend(price::notes(&pod.spec));
                bound_notes(&mut notes);
                checked.push(Checked {
                    name: pod.name.clone(),
                    components: plan.init.len() + plan.components.len(),
                    plugins: pod.spec.plugins.len(),
                    notes,
                });
            }
            Err(wrong) => {
                problems.extend(wrong.problems);
                let mut notes = wrong.notes;
                notes.extend(price::notes(&pod.spec));
                bound_notes(&mut notes);
                others.extend(pod.named(notes));
            }
        }
    }
    match input::Found::judged(problems, &sources, stack.as_ref(), ()) {
        Ok(()) => Ok(checked),
        Err(report) => {
            others.extend(checked.iter().flat_map(Checked::told));
            Err(report.notes(others))
        }
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Problems as JSON, as far as they are shown, and how many are not.
pub(super) fn shown(problems: &Problems) -> (Vec<Value>, usize) {
    let shown = Shown::of(problems, IN_ALL);
    (shown.problems.iter().map(problem).collect(), shown.missing())
}

/// A problem as JSON.
fn problem(problem: &Problem) -> Value {
    let Problem { label, field, what, hint, .. } = problem;
    let span = problem.span();
    json!({
        "label": cut(label), "field": cut(field), "what": cut(what), "hint": cut(hint),
        "file": span.and_then(|span| span.file.as_deref()), "line": span.map(|span| span.line), "column": span.map(|span| span.column),
    })
}
