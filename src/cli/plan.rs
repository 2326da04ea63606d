//! `outrigger plan`: what a pod would do, without doing it.

use serde_json::{Value, json};

use super::argv::PlanArgs;
use super::input::Pod;
use super::plugins::Loaded;
use super::report::{Exit, Report};
use super::{Env, block_on, input, output, plugins, policy};
use crate::config::{self, Flags, Timeouts};
use crate::plan::compile::{compile, problems_of_parts};
use crate::plan::{Plan, render};
use crate::pod::Problems;
use crate::problem::shown::bound_notes;

/// Prints the plan of every pod of the input.
pub(super) fn run(args: PlanArgs, env: &Env) -> Result<Exit, Report> {
    let flags: Flags = args.flags.into();
    input::typed(&flags)?;
    let (file, container) = (args.input.file.as_deref(), args.input.container.as_deref());
    if file.is_none() && container.is_none() {
        let settings = config::lower(&flags, env).map_err(Report::usage)?;
        return if args.json {
            output::json(&render::timeouts_json(&settings.timeouts))?;
            Ok(Exit::Success)
        } else {
            output::text(&timeouts_text(&settings.timeouts))?;
            Ok(Exit::Success)
        };
    }
    let show_timeouts = args.input.timeouts;
    block_on(async {
        let input::Found { mut pods, mut problems, sources, stack } = input::pods(file, container, &flags, env).await?;
        policy::bound_all(args.policy.as_deref(), pods.iter_mut().map(|pod| &mut pod.settings), &mut problems)?;
        let mut text = String::new();
        let mut documents: Vec<Value> = Vec::new();
        let mut notes = Vec::new();
        for pod in &pods {
            match planned(pod, env).await? {
                Err(wrong) => {
                    problems.extend(wrong.problems);
                    notes.extend(pod.named(wrong.notes));
                }
                Ok((mut plan, loaded)) => {
                    let lines = loaded.lines(pod);
                    plan.warnings.extend(loaded.notes);
                    plan.warnings = pod.notes(plan.warnings);
                    notes.extend(pod.named(plan.warnings.clone()));
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    let timeouts = show_timeouts.then_some(&pod.settings.timeouts);
                    if pods.len() > 1 {
                        text.push_str(&format!("# pod `{}`\n", pod.name));
                    }
                    text.push_str(&render::text(&plan, &lines, timeouts));
                    let document = json!({ "name": pod.name, "plan": render::json(&plan, &lines, timeouts) });
                    documents.push(document);
                }
            }
        }
        input::Found::judged(problems, &sources, stack.as_ref(), ()).map_err(|report| report.notes(notes))?;
        if args.json {
            output::json(&documents)?
        } else {
            output::text(&text)?
        }
        Ok(Exit::Success)
    })
}

/// Why there is no plan.
pub(super) struct Wrong {
    pub(super) problems: Problems,
    /// What is known besides, as far as the pod could be read.
    pub(super) notes: Vec<String>,
}

/// The plan of a pod and its plugins, or what is wrong with either; what was wrong with the reading of the pod has been told.
pub(super) async fn planned(pod: &input::Pod, env: &Env) -> Result<Result<(Plan, Loaded), Wrong>, Report> {
    let mut notes = pod.spec.warnings.clone();
    Ok(judged(pod, env, &mut notes).await?.map_err(|problems| {
        bound_notes(&mut notes);
        Wrong { problems: pod.told(problems), notes: pod.notes(notes) }
    }))
}

/// `notes` become those of the plan without plugins, if there is one.
async fn judged(pod: &Pod, env: &Env, notes: &mut Vec<String>) -> Result<Result<(Plan, Loaded), Problems>, Report> {
    let mut problems = Problems::default();
    let mut without = None;
    // Of a pod that is not whole, other problems could follow from the mistakes that have been reported.
    if !pod.is_whole {
        if pod.knows_settings {
            let Pod { spec, me, engine, settings, knows_mounts, .. } = pod;
            problems.extend(problems_of_parts(spec, me, engine, settings, *knows_mounts));
        }
    } else {
        match compile(&pod.spec, &pod.me, &pod.engine, &pod.settings) {
            Ok(plan) => {
                notes.clone_from(&plan.warnings);
                without = Some(plan);
            }
            Err(more) => problems.extend(more),
        }
    }
    let mut loaded = match plugins::load(pod, without.as_ref(), env).await? {
        Ok(loaded) => {
            problems.extend(loaded.refused(pod));
            if let Some(plan) = &without {
                problems.extend(loaded.out_of_reach(plan, &pod.spec));
            }
            if !pod.is_whole || !problems.is_empty() {
                return Ok(Err(problems));
            }
            loaded
        }
        Err(more) => {
            problems.extend(more);
            return Ok(Err(problems));
        }
    };
    // What the plugins make of the plan has to hold as well.
    Ok(match loaded.overlaid(pod).await {
        Err(problems) => Err(problems),
        Ok(spec) => compile(&spec, &pod.me, &pod.engine, &pod.settings)
            .and_then(|plan| loaded.out_of_reach(&plan, &spec).or(plan))
            .map(|plan| (plan, loaded)),
    })
}

fn timeouts_text(timeouts: &Timeouts) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(vec!["TIMEOUT".to_owned(), "VALUE".to_owned(), "FOR".to_owned()])
        .chain(timeouts.table().map(|(name, what, value)| vec![name.to_owned(), format!("{value:?}"), what.to_owned()]))
        .collect();
    output::table(&rows)
}
