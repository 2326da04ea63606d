//! Templates in stack files: podlike's `x-podlike`, and `x-outrigger`, which says the same.
//!
//! A stack file whose services have templates goes in, and one that `docker stack deploy` takes comes out: each of these services has become a pod
//! controller with its components in labels. Everything else stays as it was written. `docs/templates.md` is the reference for users. Pure: texts come
//! through the seam [`Sources`].

mod balance;
mod build;
mod env_file;
mod expand;
pub mod fetch;
pub mod grace;
pub mod interpolate;
mod keys;
mod merge;
pub mod read;
mod service;
mod source;
mod stack;
pub mod write;

use serde_json::{Map, Value};

pub use self::fetch::{FetchError, Sources};
use self::source::Registrations;
use crate::labels::{Place, kind};
use crate::problem::Problems;
use crate::problem::candidates;

/// A stack file.
#[derive(Debug, Clone, Copy)]
pub struct Input<'t> {
    /// Its name in messages.
    pub origin: &'t str,
    /// What it holds.
    pub text: &'t str,
}

/// What has become of the stack files.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The one stack file.
    pub stack: Value,
    /// The services that have become pods, in the order of the files.
    pub pods: Vec<String>,
    /// What was left out or changed, for the user to know.
    pub notes: Vec<String>,
}

impl Rendered {
    /// The stack file as YAML.
    #[must_use]
    pub fn text(&self) -> String {
        write::write(&self.stack)
    }
}

/// Whether a text has templates, as far as its words tell: cheap, and right for what is no stack file.
#[must_use]
pub fn is_templated(stack: &Value) -> bool {
    let has = |map: &Value| source::SECTIONS.iter().any(|section| map.get(section).is_some());
    has(stack) || stack.get("services").and_then(Value::as_object).is_some_and(|services| services.values().any(has))
}

/// Renders stack files, merged as `docker stack deploy` merges them; `image` is the controller's where no template names one.
///
/// # Errors
/// Every problem of the files and their templates.
pub fn render(files: &[Input<'_>], sources: &mut dyn Sources, image: &str) -> Result<Rendered, Problems> {
    let mut problems = Problems::default();
    let mut registrations = Registrations::default();
    let mut stack: Option<Map<String, Value>> = None;
    // What is wrong in one service's section does not keep the others from being looked at.
    let mut in_sections = Problems::default();
    let mut last = Place::default();
    for file in files {
        let at = Place::new(file.origin);
        let Some(mut map) = parsed(&at, file.text, &mut problems) else { continue };
        registrations.take(&at, &mut map, &mut in_sections);
        match &mut stack {
            None => stack = Some(map),
            Some(base) => stack::merge(base, map, &at, &mut problems),
        }
        last = at;
    }
    let is_read = problems.is_empty() && !registrations.are_args_wrong;
    problems.extend(in_sections);
    if !is_read {
        return Err(problems);
    }
    let mut stack = stack.unwrap_or_default();
    let mut notes = Vec::new();
    let mut pods = Vec::new();
    let services = match stack.get_mut("services") {
        Some(Value::Object(services)) => services,
        None | Some(Value::Null) if registrations.services.is_empty() => {
            return problems.or(Rendered { stack: Value::Object(stack), pods, notes });
        }
        other => {
            let found = kind(other.as_deref().unwrap_or(&Value::Null));
            let what = format!("expected a map of services, found {found}");
            problems.push(last.key("services").problem(what));
            return Err(problems);
        }
    };
    for (name, registration) in &registrations.services {
        let Some(Value::Object(service)) = services.get(name) else {
            let problem = registration.at.problem(format!("there is no service `{name}` to make a pod of"));
            problems.push(problem.hint(candidates(name, services.keys().map(String::as_str))));
            continue;
        };
        if registration.is_wrong {
            continue;
        }
        let mut service = service.clone();
        let at = registration.at.clone();
        let at = Place { field: format!("services.{name}"), ..at };
        env_file::inline(&mut service, &at, sources, &mut problems);
        let builder = build::Builder {
            name,
            service: &service,
            registration,
            args: &registrations.args,
            image,
            sources: &mut *sources,
            problems: &mut problems,
            notes: &mut notes,
        };
        let pod = builder.build();
        services.insert(name.clone(), Value::Object(pod));
        pods.push(name.clone());
    }
    services.values_mut().for_each(grace::hand_over);
    problems.or(Rendered { stack: Value::Object(stack), pods, notes })
}

fn parsed(at: &Place, text: &str, problems: &mut Problems) -> Option<Map<String, Value>> {
    match read::read(at, text, problems)? {
        Value::Object(map) => Some(map),
        other => {
            let what = format!("expected a stack file, which is a map with `services:`, found {}", kind(&other));
            problems.push(at.problem(what));
            None
        }
    }
}
