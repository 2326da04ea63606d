//! What happens to a component in the course of its life: what it waits for, restarts, lifecycle commands.

use std::collections::HashSet;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::component::words;
use super::fields::{Fields, Node, Read, Report};
use super::probes::{self, request};
use crate::labels::Place;
use crate::pod::life::{
    Condition, Dependency, ExecCommand, LifecycleAction, LifecycleStep, RestartPolicy, RestartScope, RestartWhen, Role,
};
use crate::problem::nearest;

/// A dependency as it was written.
#[derive(Debug)]
pub struct Written {
    /// Where.
    pub at: Place,
    /// On what.
    pub name: String,
    /// How.
    pub on: Dependency,
}

/// A list of names, or a map of names and conditions.
pub fn depends_on(node: &Node<'_>, report: &mut Report) -> Vec<Written> {
    let mut found: Vec<Written> = Vec::new();
    match node.value {
        Value::Array(_) => {
            let mut seen = HashSet::new();
            for item in node.items() {
                let Some(name) = report.problems.take(item.string()) else { continue };
                if !seen.insert(name.clone()) {
                    report.push(item.problem(format!("`{name}` appears twice")));
                }
                found.push(Written { at: item.at, name, on: Dependency::on(Condition::Started) });
            }
        }
        Value::Object(_) => {
            for (name, node) in node.entries().unwrap_or_default() {
                let mut on = Dependency::on(Condition::Started);
                if !node.value.is_null()
                    && let Some(mut fields) = Fields::of(&node, "a map with `condition`", report)
                {
                    on.condition = fields.read("condition", condition).unwrap_or(Condition::Started);
                    on.restart = fields.flag("restart");
                    on.required = fields.read("required", Node::bool).unwrap_or(true);
                    fields.done();
                }
                found.push(Written { at: node.at, name: name.to_owned(), on });
            }
        }
        _ => report.push(node.expected("a list of components, or a map of components and conditions")),
    }
    found
}

fn condition(node: &Node<'_>) -> Read<Condition> {
    one_of(
        node,
        [
            ("service_started", Condition::Started),
            ("service_healthy", Condition::Healthy),
            ("service_completed_successfully", Condition::Completed),
        ],
    )
}

/// `role:`, one word.
pub fn role(node: &Node<'_>) -> Read<Role> {
    one_of(node, [("job", Role::Job), ("sidecar", Role::Sidecar)])
}

/// What is written beside a `role` and contradicts it.
pub fn contradictions(
    role: Role,
    essential: Option<bool>,
    restart: Option<&RestartPolicy>,
    fields: &mut Fields<'_, '_>,
) {
    match (role, essential) {
        (Role::Sidecar, Some(true)) => {
            let problem = fields
                .place("essential")
                .problem("contradicts `role: sidecar`: the end of a sidecar never ends the pod");
            fields.report.push(problem.hint("remove either `role` or `essential`"));
        }
        (Role::Job, Some(false)) => {
            let problem =
                fields.place("essential").problem("contradicts `role: job`: the end of a job decides how the pod ends");
            fields.report.push(problem.hint("remove either `role` or `essential`"));
        }
        (Role::Main | Role::Job | Role::Sidecar, _) => {}
    }
    if role == Role::Job && restart.is_some_and(|policy| policy.when == RestartWhen::Always) {
        let problem =
            fields.place("restart").problem("contradicts `role: job`: a job with `restart: always` never ends");
        fields.report.push(problem.hint("write `restart: on-failure`, or remove `role: job`"));
    }
}

/// One of a few words.
pub fn one_of<T: Copy, const N: usize>(node: &Node<'_>, words: [(&'static str, T); N]) -> Read<T> {
    let found = node.string()?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == found) {
        return Ok(*value);
    }
    let known: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    let known = match known.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => known.join(""),
    };
    let problem = node.problem(format!("expected {known}, found `{found}`"));
    Err(match nearest(&found, words.map(|(word, _)| word)) {
        Some(right) => problem.hint(format!("did you mean `{right}`?")),
        None => problem,
    })
}

/// A number from 1 on.
pub fn count(node: &Node<'_>) -> Read<u32> {
    let number = node.int(1..=i64::from(i32::MAX))?;
    u32::try_from(number).map_err(|_| node.problem("is too large"))
}

/// A duration of at least one millisecond.
pub fn positive(node: &Node<'_>) -> Read<Duration> {
    at_least(node, Duration::from_millis(1))
}

/// A duration that is not shorter.
pub fn at_least(node: &Node<'_>, least: Duration) -> Read<Duration> {
    let duration = node.duration()?;
    if duration < least {
        return Err(node.problem(format!("is shorter than `{}`", crate::pod::values::format_duration(least))));
    }
    Ok(duration)
}

/// `restart:`, one word as in a Compose file, or a map.
pub fn restart(node: &Node<'_>, report: &mut Report) -> RestartPolicy {
    if !node.value.is_object() {
        return report.problems.take(short_restart(node)).unwrap_or_default();
    }
    let Some(mut fields) = Fields::of(node, "a map with `policy`", report) else { return RestartPolicy::default() };
    let when = fields.read("policy", |node| {
        if node.value == &Value::Bool(false) {
            return Ok(RestartWhen::Never);
        }
        restart_when(node)
    });
    // Who writes a map wants restarts.
    let mut policy = RestartPolicy::new(when.unwrap_or(RestartWhen::OnFailure));
    policy.exit_codes = fields.many("exit_codes", exit_codes).unwrap_or_default();
    policy.max_attempts = fields.read("max_attempts", count);
    let delay = fields.read("delay", positive);
    let max_delay = fields.read("max_delay", positive);
    policy.delay = delay.unwrap_or(max_delay.map_or(policy.delay, |most| most.min(policy.delay)));
    policy.max_delay = max_delay.unwrap_or(policy.max_delay.max(policy.delay));
    policy.reset_after = fields.read("reset_after", positive).unwrap_or(policy.reset_after);
    let scopes = RestartScope::ALL.map(|scope| (scope.name(), scope));
    policy.scope = fields.read("scope", |node| one_of(node, scopes)).unwrap_or(policy.scope);
    let (codes_at, delay_at) = (fields.place("exit_codes"), fields.place("max_delay"));
    fields.end(|key| {
        Some(match key {
            "condition" => ("unknown key", "did you mean `policy`?"),
            "window" => ("unknown key", "did you mean `reset_after`?"),
            "retries" | "max_retries" | "attempts" => ("unknown key", "did you mean `max_attempts`?"),
            _ => return None,
        })
    });
    if policy.max_delay < policy.delay {
        report.push(delay_at.problem("is less than `delay`"));
    }
    let is_success = |codes: &(u8, u8)| codes.0 == 0;
    if policy.when == RestartWhen::OnFailure && policy.exit_codes.iter().any(is_success) {
        report.push(
            codes_at
                .problem("exit code 0 is not a failure, so `on-failure` never restarts after exit code 0")
                .hint("remove the code, or write `policy: always`"),
        );
    }
    if policy.when == RestartWhen::Never && policy != RestartPolicy::default() {
        report.warn(&node.problem("has no effect with `policy: no`"));
    }
    policy
}

fn short_restart(node: &Node<'_>) -> Read<RestartPolicy> {
    // In YAML 1.1, which the tools of Docker write, `no` without quotes is a truth value.
    if node.value == &Value::Bool(false) {
        return Ok(RestartPolicy::default());
    }
    let text = match node.value {
        Value::String(text) => text.trim(),
        _ => return Err(node.expected("`no`, `always`, `on-failure`, `unless-stopped`, or a map with `policy`")),
    };
    if let Some(most) = text.strip_prefix("on-failure:") {
        let most: u32 = most.parse().map_err(|_| {
            node.problem(format!("expected a number after `on-failure:`, found `{most}`"))
                .hint("write for instance `on-failure:5`")
        })?;
        // For the engine, 0 is no limit.
        return Ok(RestartPolicy {
            max_attempts: Some(most).filter(|most| *most > 0),
            ..RestartPolicy::new(RestartWhen::OnFailure)
        });
    }
    restart_when(node).map(RestartPolicy::new)
}

fn restart_when(node: &Node<'_>) -> Read<RestartWhen> {
    let [never, on_failure, always] = RestartWhen::ALL.map(|when| (when.name(), when));
    one_of(node, [never, on_failure, always, ("unless-stopped", RestartWhen::Always)])
}

/// Numbers, or ranges such as `2-9`.
fn exit_codes(node: &Node<'_>, report: &mut Report) -> Vec<(u8, u8)> {
    let read = |item: &Node<'_>| {
        let text = item.scalar()?;
        let (from, to) = text.split_once('-').unwrap_or((&text, &text));
        match (from.trim().parse::<u8>(), to.trim().parse::<u8>()) {
            (Ok(from), Ok(to)) if from <= to => Ok((from, to)),
            _ => Err(item.problem(format!("`{text}` is neither an exit code from 0 to 255 nor a range such as `2-9`"))),
        }
    };
    node.items().iter().filter_map(|item| report.problems.take(read(item))).collect()
}

/// `post_start:` and `pre_stop:`, a list of steps.
pub fn steps(node: &Node<'_>, report: &mut Report) -> Vec<LifecycleStep> {
    let form = "a list of steps, each with `command`, `http` or `sleep`";
    node.list(form, report).iter().filter_map(|item| step(item, report)).collect()
}

fn step(item: &Node<'_>, report: &mut Report) -> Option<LifecycleStep> {
    let mut fields = Fields::of(item, "a map with `command`, `http` or `sleep`", report)?;
    let command = fields.many("command", |node, report| {
        let before = report.problems.0.len();
        let command = words(node, report);
        if command.is_empty() && report.problems.0.len() == before {
            report.push(node.problem("is empty"));
        }
        command
    });
    let http = fields.many("http", request);
    let sleep = fields.read("sleep", Node::duration);
    let has = |key: &str| item.value.get(key).is_some_and(|value| !value.is_null());
    let written = probes::only_one(item, ["command", "http", "sleep"], fields.report);
    let user = fields.read("user", super::start::user);
    let privileged = fields.flag("privileged");
    let working_dir = fields.read("working_dir", Node::absolute);
    let environment = fields.many("environment", super::component::environment).unwrap_or_default();
    let timeout = fields.read("timeout", positive);
    fields.end(|key| {
        Some(match key {
            "exec" => ("unknown key", "did you mean `command`?"),
            "httpGet" => ("unknown key", "did you mean `http`?"),
            "image" => ("a step always runs in the component itself", "use an init component to run another image"),
            _ => return None,
        })
    });
    if written.is_some_and(|key| key != "command") {
        for key in ["user", "privileged", "working_dir", "environment"].into_iter().filter(|key| has(key)) {
            report.push(item.at.key(key).problem("is only valid in a step with `command`"));
        }
    }
    let action = match written? {
        "command" => LifecycleAction::Exec(ExecCommand {
            command: command?,
            user,
            privileged,
            working_dir,
            environment: lines(environment),
        }),
        "http" => LifecycleAction::Http(http??),
        _ => LifecycleAction::Sleep(sleep?),
    };
    Some(LifecycleStep { action, timeout })
}

/// `NAME=value`; the name alone where the controller's own value is meant, which is known when the plan is made.
fn lines(environment: IndexMap<String, Option<String>>) -> Vec<String> {
    let line = |(name, value): (String, Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name,
    };
    environment.into_iter().map(line).collect()
}
