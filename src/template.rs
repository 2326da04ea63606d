//! Templates in stack files: podlike's `x-podlike`, and `x-outrigger`, which says the same.
//!
//! A stack file whose services have templates goes in, and one that `docker stack deploy` takes comes out: each of these services has become a pod
//! controller with its components in labels. Everything else stays as it was written. `docs/templates.md` is the reference for users. Pure: texts come
//! through the seam [`Sources`].

mod balance;
pub mod blame;
mod body;
mod build;
mod env_file;
mod expand;
pub mod fetch;
pub mod grace;
mod inherit;
pub mod interpolate;
mod keys;
mod merge;
pub mod read;
mod service;
mod source;
mod stack;
pub mod write;

use std::fmt;

use serde_json::{Map, Value};

pub use self::fetch::{FetchError, Sources};
use self::source::Registrations;
use crate::labels::{Place, kind};
use crate::plan::units;
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
    pub notes: Vec<Note>,
    /// What the labels of these services hold, before it was written as text.
    bodies: Vec<Body>,
    /// Those whose grace period a variable has.
    open: Vec<grace::Open>,
}

/// Something about a service that was left out or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The name of the service.
    pub service: String,
    /// The note, which does not name the service.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service `{}`: {}", self.service, self.text)
    }
}

/// What a label that was made holds.
#[derive(Debug, Clone, PartialEq)]
struct Body {
    service: String,
    label: String,
    value: Value,
}

impl Rendered {
    /// The stack file as YAML.
    #[must_use]
    pub fn text(&self) -> String {
        write::write(&self.stack)
    }

    /// The stack file with the variables of the labels that were made replaced, as docker would replace them in their text: so a value can't mean anything else in
    /// the YAML of the label, whatever it holds. All other variables stay, for docker.
    #[must_use]
    pub fn filled(&self, variable: &dyn Fn(&str) -> Option<String>) -> Value {
        let mut stack = self.stack.clone();
        for Body { service, label, value } in &self.bodies {
            let labels = stack.get_mut("services").and_then(|services| services.get_mut(service)?.get_mut("labels"));
            if let Some(text) = labels.and_then(|labels| labels.get_mut(label)) {
                *text = write::body(&body::filled(value, body::At::Key, variable)).into();
            }
        }
        self.open.iter().for_each(|open| open.fill(&mut stack, variable));
        stack
    }

    /// A note for each service whose application gets less time than was written, because docker puts the value of a variable in as it is.
    #[must_use]
    pub fn shortened(&self) -> Vec<Note> {
        let note = |grace::Open { service, written, reserve }: &grace::Open| Note {
            service: service.clone(),
            text: format!(
                "`stop_grace_period` is `{written}`: only `outrigger deploy` knows the value and adds the {} that the controller needs itself; if you deploy this \
                 file by other means, the application has that much less time for its stop",
                units::time(*reserve)
            ),
        };
        self.open.iter().map(note).collect()
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
    let mut bodies = Vec::new();
    let mut open = Vec::new();
    let services = match stack.get_mut("services") {
        Some(Value::Object(services)) => services,
        None | Some(Value::Null) if registrations.services.is_empty() => {
            return problems.or(Rendered { stack: Value::Object(stack), pods, notes, bodies, open: Vec::new() });
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
            let problem = registration
                .at
                .problem(format!("there is no service `{name}`, so no pod can be made from this section"));
            problems.push(problem.hint(candidates(name, services.keys().map(String::as_str))));
            continue;
        };
        if registration.is_wrong {
            continue;
        }
        let mut service = service.clone();
        let at = registration.at.clone();
        let at = Place { field: format!("services.{name}"), ..at };
        let ignored = env_file::inline(&mut service, &at, sources, &mut problems);
        notes.extend(ignored.into_iter().map(|text| Note { service: name.clone(), text }));
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
        let build::Made { service: pod, labels: made, open: grace } = builder.build();
        open.extend(grace);
        for (label, value) in &made {
            no_nul(&at.key("labels").key(label), value, &mut problems);
        }
        bodies.extend(made.into_iter().map(|(label, value)| Body { service: name.clone(), label, value }));
        services.insert(name.clone(), Value::Object(pod));
        pods.push(name.clone());
    }
    services.values_mut().for_each(grace::hand_over);
    for (name, service) in services.iter() {
        no_nul(&last.key("services").key(name), service, &mut problems);
    }
    problems.or(Rendered { stack: Value::Object(stack), pods, notes, bodies, open })
}

/// No process and no engine takes a NUL in a text, and who reads the file may end a text there.
fn no_nul(at: &Place, value: &Value, problems: &mut Problems) {
    match value {
        Value::String(text) if text.contains('\0') => problems.push(at.problem("contains a NUL character")),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, item)| no_nul(&at.index(index), item, problems))
        }
        Value::Object(map) => {
            for (key, item) in map {
                if key.contains('\0') {
                    problems.push(at.problem("a key contains a NUL character"));
                }
                no_nul(&at.key(key), item, problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
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
