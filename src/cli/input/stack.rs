//! Stack files with variables: they are replaced before the pods are judged, as `deploy` and docker replace them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Found, Text, of_text};
use crate::cli::Env;
use crate::cli::dotenv::DotEnv;
use crate::config::Flags;
use crate::labels::Place;
use crate::pod::Problems;
use crate::template::{Rendered, blame, interpolate, read, write};

/// A stack file before its variables were replaced.
pub(in crate::cli) struct Stack {
    written: Value,
    /// Its name in messages.
    origin: String,
    env: Env,
    /// Of `.env`, which has no effect for `deploy`.
    beside: Option<DotEnv>,
}

impl Stack {
    /// As `deploy` replaces variables: from the environment alone.
    pub(in crate::cli) fn deployed(written: &Value, origin: &str, env: &Env) -> Self {
        Self { written: written.clone(), origin: origin.to_owned(), env: env.clone(), beside: None }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let beside = || self.beside.as_ref()?.values.get(name).cloned();
        self.env.get(name).cloned().or_else(beside)
    }

    /// The pods of the file. `replaced` and `problems` are of [`replaced`](Self::replaced); `text` has the name and the places.
    pub(in crate::cli) fn pods(
        self,
        replaced: &Value,
        mut problems: Problems,
        text: Text,
        flags: &Flags,
        env: &Env,
    ) -> Found {
        let mut found = of_text(Text { text: write::write(replaced), ..text }, flags, env);
        problems.extend_elsewhere(std::mem::take(&mut found.problems));
        found.problems = problems;
        found.stack = Some(self);
        found
    }

    /// The file with its variables replaced. `filled` is the stack with the variables of labels replaced that templates have made.
    pub(in crate::cli) fn replaced(&self, filled: &Value, problems: &mut Problems) -> Value {
        interpolate::stack(filled, &Place::new(&self.origin), &|name| self.variable(name), problems)
    }

    /// Names the variables behind problems.
    pub(super) fn name(&self, problems: &mut Problems) {
        blame::name(&self.written, &self.origin, &|name| self.variable(name), problems);
    }

    /// Variables that are not set, and values that YAML changes: of all services, as `deploy` prints them.
    pub(in crate::cli) fn notes(&self, filled: &Value) -> Vec<String> {
        self.notes_on(&self.written, filled)
    }

    fn notes_on(&self, written: &Value, filled: &Value) -> Vec<String> {
        let variable = |name: &str| self.variable(name);
        let mut notes = interpolate::unset(written, &variable);
        notes.extend(blame::misread(filled, &variable));
        notes
    }

    /// The same for the service of one pod, and what `deploy` would not find.
    fn notes_of(&self, service: &str, filled: &Value) -> Vec<String> {
        let only = |stack: &Value| match stack.get("services").and_then(|services| services.get(service)) {
            Some(value) => json!({"services": Map::from_iter([(service.to_owned(), value.clone())])}),
            None => Value::Null,
        };
        let written = only(&self.written);
        let mut notes = self.notes_on(&written, &only(filled));
        let found = RefCell::new(BTreeSet::new());
        let look = |name: &str| {
            let value = self.variable(name);
            if value.is_some() && !self.env.contains_key(name) {
                found.borrow_mut().insert(name.to_owned());
            }
            value
        };
        interpolate::stack(&written, &Place::default(), &look, &mut Problems::default());
        notes.extend(found.into_inner().into_iter().map(|name| {
            format!("the value of the variable `{name}` is from `.env`, which Compose reads, and `outrigger deploy` and `docker stack deploy` do not")
        }));
        notes
    }
}

/// The pods of a file whose templates were rendered.
pub(super) fn of_rendered(rendered: &Rendered, text: Text, flags: &Flags, env: &Env) -> Found {
    let stack = stack(rendered.stack.clone(), &text, env);
    let filled = rendered.filled(&|name| stack.variable(name));
    pods(stack, &filled, text, flags, env)
}

/// The pods of a file without templates, or whose templates are wrong. Of other texts than stack files, and of those that are no YAML, its readers judge.
pub(super) fn of_written(text: Text, flags: &Flags, env: &Env) -> Found {
    let mut problems = Problems::default();
    let written = Some(&text.text).filter(|it| it.contains('$') && it.contains("services"));
    let written = written.and_then(|it| read::read(&Place::new(&text.origin), it, &mut problems));
    match written.filter(|it| problems.is_empty() && it.get("services").is_some() && it.get("components").is_none()) {
        Some(written) => {
            let filled = written.clone();
            pods(stack(written, &text, env), &filled, text, flags, env)
        }
        None => of_text(text, flags, env),
    }
}

fn stack(written: Value, text: &Text, env: &Env) -> Stack {
    let beside = Some(DotEnv::beside(&text.folder, env));
    Stack { written, origin: text.origin.clone(), env: env.clone(), beside }
}

fn pods(stack: Stack, filled: &Value, text: Text, flags: &Flags, env: &Env) -> Found {
    let mut problems = Problems::default();
    let replaced = stack.replaced(filled, &mut problems);
    let mut found = stack.pods(&replaced, problems, text, flags, env);
    if let Some(stack) = &found.stack {
        for pod in &mut found.pods {
            pod.spec.warnings.extend(stack.notes_of(&pod.name, filled));
        }
    }
    found
}
