//! Why tasks fail: the controller's own reason if its container is on this engine, otherwise Swarm's; each reason once, and counted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::docker::DockerCommand;
use super::progress::Trouble;
use crate::cli::run::CONTROLLER_LABEL;
use crate::own_log::{LAST_OUTPUT, LAST_OUTPUT_FIELD, OLD_LAST_OUTPUT, OUTPUT_LINE, POD_ENDED};

/// So many reasons of one service are shown. A reason with a changing part, such as a time, would otherwise be another one for each task.
const REASONS: usize = 20;

/// So many tasks are looked at on the engine; each costs two calls of `docker`. Of the others, Swarm's own reason is shown.
const LOOKS: usize = 50;

/// So many of the last lines of a controller's log are read. Its last line has the reason.
const LAST_LINES: &str = "200";

/// Longest reason, in characters.
const LONGEST: usize = 500;

/// The place of a task's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A pod's controller, a container of this engine with this name.
    Pod(String),
    /// A container of this engine that is no pod.
    Container(String),
    /// A container of another node.
    Elsewhere,
    /// It never had a container.
    Nowhere,
}

/// A task in trouble, with the best reason that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The task, and Swarm's reason.
    pub trouble: Trouble,
    /// The reason.
    pub why: String,
    /// The last line of output of the component that ended the pod.
    pub said: Option<String>,
    /// The place of its output.
    pub output: Output,
}

impl Explained {
    /// The task in a sentence.
    pub fn words(&self) -> String {
        let said = self.said.as_ref().map(|line| format!("; {LAST_OUTPUT}: {line}")).unwrap_or_default();
        format!("task `{}` {}: {}{said}", self.trouble.task, self.trouble.verb, self.why)
    }
}

/// One reason.
struct Reason {
    verb: &'static str,
    why: String,
    count: u64,
}

/// What became of the tasks so far.
#[derive(Default)]
pub struct Failures {
    /// By the task's id and the verb: a task that waits may fail later.
    explained: BTreeMap<(String, &'static str), Explained>,
    /// By service; at most [`REASONS`] each.
    reasons: BTreeMap<String, Vec<Reason>>,
    /// By service: the tasks whose reasons are not among them.
    others: BTreeMap<String, u64>,
    looks: usize,
}

impl Failures {
    /// The reason of this task, which is looked for once.
    pub fn explain(&mut self, docker: &DockerCommand<'_>, trouble: &Trouble) -> Explained {
        let key = (trouble.id.clone(), trouble.verb);
        if let Some(known) = self.explained.get(&key) {
            return known.clone();
        }
        let container = trouble.container.as_deref().filter(|_| self.looks < LOOKS);
        self.looks += usize::from(container.is_some());
        let explained = look(docker, trouble, container);
        self.explained.insert(key, explained.clone());
        explained
    }

    /// Whether this trouble has been explained already.
    pub fn knows(&self, trouble: &Trouble) -> bool {
        self.explained.contains_key(&(trouble.id.clone(), trouble.verb))
    }

    /// Counts a task; the note about it if its reason is a new one.
    pub fn count(&mut self, service: &str, task: &Explained) -> Option<String> {
        let reasons = self.reasons.entry(service.to_owned()).or_default();
        let same = |reason: &&mut Reason| reason.verb == task.trouble.verb && reason.why == task.why;
        if let Some(reason) = reasons.iter_mut().find(same) {
            reason.count += 1;
            return None;
        }
        if reasons.len() >= REASONS {
            *self.others.entry(service.to_owned()).or_default() += 1;
            return None;
        }
        reasons.push(Reason { verb: task.trouble.verb, why: task.why.clone(), count: 1 });
        Some(task.words())
    }

    /// How often each reason was that of a task; only those of several tasks.
    pub fn totals(&self) -> Vec<String> {
        let mut totals = Vec::new();
        for (service, reasons) in &self.reasons {
            for Reason { verb, why, count } in reasons.iter().filter(|reason| reason.count > 1) {
                let verb = if *verb == "waits" { "waited" } else { verb };
                totals.push(format!("{count} tasks of `{service}` {verb}: {why}"));
            }
            if let Some(others) = self.others.get(service) {
                totals.push(format!("tasks of `{service}` with other reasons: {others}"));
            }
        }
        totals
    }
}

/// Asks the engine about the container of a task.
fn look(docker: &DockerCommand<'_>, trouble: &Trouble, container: Option<&str>) -> Explained {
    let found = container.and_then(|id| docker.inspect("container", &[id]).ok()?.into_iter().next());
    let Some(found) = found else {
        let output = if trouble.container.is_some() { Output::Elsewhere } else { Output::Nowhere };
        return Explained { why: short(&trouble.why), said: None, output, trouble: trouble.clone() };
    };
    let name = found.get("Name").and_then(Value::as_str).unwrap_or_default().trim_start_matches('/').to_owned();
    let is_pod = found.pointer("/Config/Labels").is_some_and(|labels| labels.get(CONTROLLER_LABEL).is_some());
    // On a terminal, the lines of components would be among the controller's own.
    let has_log = is_pod && found.pointer("/Config/Tty").and_then(Value::as_bool) != Some(true);
    let log = container.filter(|_| has_log).and_then(|id| docker.errors(&["logs", "--tail", LAST_LINES, id]).ok());
    let log = log.unwrap_or_default();
    let (why, said) = match unhealthy(&trouble.why, &found) {
        Some(why) => (Some(why), None),
        None => {
            let why = reason(&log);
            let said = why.as_ref().and_then(|why| last_output(&log, why));
            (why, said)
        }
    };
    Explained {
        why: short(&why.unwrap_or_else(|| trouble.why.clone())),
        said: said.map(|line| short(&line)),
        output: if is_pod { Output::Pod(name) } else { Output::Container(name) },
        trouble: trouble.clone(),
    }
}

/// The answer of the last health check, if Swarm ended the task because of its health.
fn unhealthy(swarm: &str, container: &Value) -> Option<String> {
    if !swarm.contains("unhealthy container") {
        return None;
    }
    let checks = container.pointer("/State/Health/Log")?.as_array()?;
    let failed = checks.iter().rev().find(|check| check.get("ExitCode").and_then(Value::as_i64) != Some(0))?;
    let told = failed.get("Output")?.as_str()?.trim();
    (!told.is_empty()).then(|| format!("it was unhealthy: {told}"))
}

/// The reason that a controller gives at the end of its own log, in each of its formats.
fn reason(log: &str) -> Option<String> {
    let outcome = log.lines().rev().find_map(outcome);
    match outcome {
        Some((0, _)) => None,
        Some((_, outcome)) => Some(outcome),
        // It did not come to an end of the pod, or the log level leaves that line out, as for controllers up to version 0.1.
        None => log.lines().find_map(|line| line.strip_prefix("error: ").map(str::to_owned)).or_else(|| {
            let last = log.lines().rev().find_map(error)?;
            // The lines of a component's output may hold such words, too; the first are the controller's.
            Some(last.split(OLD_LAST_OUTPUT).next().unwrap_or(&last).to_owned())
        }),
    }
}

/// The last line of output that the controller's log has of the component in this reason, in each of its formats.
fn last_output(log: &str, why: &str) -> Option<String> {
    // Behind the line at hand, the last one first.
    let mut below: Vec<&str> = Vec::new();
    let last =
        |said: &mut dyn Iterator<Item = &str>| said.map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
    for line in log.lines().rev() {
        if let Some(said) = line.strip_prefix(OUTPUT_LINE) {
            below.push(said);
        } else if let Ok(Value::Object(event)) = serde_json::from_str::<Value>(line) {
            let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
            if text("message") == LAST_OUTPUT && why.contains(&format!("component `{}`", text("component"))) {
                let said = event.get(LAST_OUTPUT_FIELD).and_then(Value::as_array);
                return last(&mut said.into_iter().flatten().rev().filter_map(Value::as_str));
            }
        } else {
            let header = line.strip_suffix(&format!(": {LAST_OUTPUT}:"));
            let is_of = |header: &str| header.rsplit_once(": ").is_some_and(|(_, component)| why.contains(component));
            if header.is_some_and(is_of) || line.ends_with(&format!("{why}{OLD_LAST_OUTPUT}")) {
                return last(&mut below.into_iter());
            }
            below.clear();
        }
    }
    None
}

/// The exit code and the outcome in the line `the pod has ended`.
fn outcome(line: &str) -> Option<(i64, String)> {
    if let Ok(Value::Object(event)) = serde_json::from_str::<Value>(line) {
        let outcome = event.get("outcome")?.as_str()?.to_owned();
        return Some((event.get("exit_code")?.as_i64()?, outcome));
    }
    let (_, fields) = line.split_once(POD_ENDED)?;
    let fields = fields.strip_prefix(" exit_code=")?;
    let (code, outcome) = fields.split_once(" outcome=")?;
    Some((code.parse().ok()?, outcome.to_owned()))
}

/// The message of a line of the level `ERROR`. The last output of a component is no reason.
fn error(line: &str) -> Option<String> {
    if let Ok(Value::Object(event)) = serde_json::from_str::<Value>(line) {
        let message = event.get("message").filter(|_| event.get("level").and_then(Value::as_str) == Some("ERROR"))?;
        let message = message.as_str()?.lines().next()?;
        return (message != LAST_OUTPUT).then(|| message.to_owned());
    }
    // A line of the output of a component.
    if line.starts_with(OUTPUT_LINE) {
        return None;
    }
    let (_time, rest) = line.split_once(" ERROR ")?;
    let (_module, message) = rest.split_once(": ")?;
    let is_output = message.trim_end_matches(" none").trim_end_matches(':').ends_with(&format!(": {LAST_OUTPUT}"));
    (!is_output).then(|| message.to_owned())
}

/// One line that moves no cursor, and has an end.
fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The advice for services that are not as they should be: for each of them a command that shows the output of its task, then one that lists all tasks.
pub fn hint(failed: &[(&str, Option<&Explained>)]) -> String {
    let mut parts: Vec<String> = failed.iter().filter_map(|(_, task)| shows((*task)?)).collect();
    let names: Vec<&str> = failed.iter().map(|(name, _)| *name).collect();
    let whose = if names.len() == 1 { "its" } else { "their" };
    parts.push(format!("`docker service ps --no-trunc {}` lists all of {whose} tasks", names.join(" ")));
    parts.join("; ")
}

/// The command that shows the output of a task.
fn shows(Explained { trouble, output, .. }: &Explained) -> Option<String> {
    let command = match output {
        Output::Pod(name) => format!("`outrigger logs {name}`"),
        Output::Container(name) => format!("`docker logs {name}`"),
        // From a manager, for every node that answers.
        Output::Elsewhere => format!("`docker service logs --raw {}`", trouble.id),
        Output::Nowhere => return None,
    };
    Some(format!("{command} shows the output of task `{}`", trouble.task))
}

#[cfg(test)]
mod tests;
