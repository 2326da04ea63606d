//! Follows what was deployed to its end, through the `docker` command: it is the one that knows which manager it has deployed to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::changes;
use super::docker::DockerCommand;
use super::failures::{self, Explained, Failures};
use super::progress::{self, Standing, Trouble};
use crate::cli::output;
use crate::cli::report::{Exit, Report};
use crate::labels;
use crate::pod::lower;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// A service that Swarm does not watch has to stay as it should be for so long, as docker's own command has it; a pod longer, see [`stable`].
const STABLE: Duration = Duration::from_secs(5);

/// How long Swarm may take to begin an update: it does so within milliseconds.
const SETTLED: Duration = Duration::from_secs(5);

/// Looks in a row that docker may refuse: a manager that is elected anew takes some seconds.
pub const REFUSALS: u32 = 30;

/// What was there before, and what is there now.
pub struct Snapshot {
    /// As `docker service inspect` prints them.
    pub services: Vec<Value>,
    /// Ids of all tasks.
    pub tasks: BTreeSet<String>,
}

impl Snapshot {
    /// The services of a stack and their tasks; docker is asked up to `tries` times, once a second.
    ///
    /// # Errors
    /// docker's: this is no manager, or nothing answers.
    pub async fn of(docker: &DockerCommand<'_>, stack: &str, tries: u32) -> Result<Self, Report> {
        for _ in 1..tries {
            if let Ok(snapshot) = Self::now(docker, stack) {
                return Ok(snapshot);
            }
            sleep(PAUSE).await;
        }
        Self::now(docker, stack)
    }

    fn now(docker: &DockerCommand<'_>, stack: &str) -> Result<Self, Report> {
        let filter = format!("label=com.docker.stack.namespace={stack}");
        let listed = docker.output(&["service", "ls", "--quiet", "--filter", &filter])?;
        let ids: Vec<&str> = listed.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Self { services: Vec::new(), tasks: BTreeSet::new() });
        }
        let tasks = task_ids(docker, &ids)?.into_iter().collect();
        Ok(Self { services: docker.inspect("service", &ids)?, tasks })
    }
}

fn task_ids(docker: &DockerCommand<'_>, services: &[&str]) -> Result<Vec<String>, Report> {
    let words = ["service", "ps", "--quiet", "--no-trunc"].iter().chain(services).copied().collect::<Vec<_>>();
    Ok(docker.output(&words)?.split_whitespace().map(str::to_owned).collect())
}

/// One service on its way.
struct Followed {
    id: String,
    name: String,
    /// The specification that the deployment has left.
    spec: Value,
    /// Whether the deployment has changed it. Only then is the end of an update the end of this one.
    is_changed: bool,
    /// Whether an earlier update to just this specification was paused.
    was_paused: bool,
    said: String,
    progressed: Instant,
    best: u64,
    /// The tasks that run.
    running: BTreeSet<String>,
    /// Since when just these run.
    running_since: Instant,
    /// How long they have to run before the service is what it should be.
    stable: Duration,
    stable_since: Option<Instant>,
    /// Whether the last look has found that Swarm starts nothing more. Service and tasks are asked one after the other, so a task may be missing once.
    is_over: bool,
    trouble: Option<Trouble>,
    end: Option<Standing>,
}

/// Services to follow.
pub struct Deployed<'a> {
    /// As `docker service inspect` prints them right after the deployment.
    pub services: &'a [Value],
    /// Names of those that the deployment has changed, or made.
    pub changed: &'a BTreeSet<String>,
    /// Ids of the tasks that were there before.
    pub before: &'a BTreeSet<String>,
    /// Names of those whose update was paused before.
    pub paused: &'a BTreeSet<String>,
}

/// Follows services until each has converged, was rolled back or paused, can't converge any more, or has made no progress for `deadline`.
///
/// # Errors
/// What did not converge; docker's errors.
pub async fn follow(
    docker: &DockerCommand<'_>,
    deployed: &Deployed<'_>,
    deadline: Duration,
    quiet: bool,
) -> Result<Exit, Report> {
    let began = Instant::now();
    let mut followed: Vec<Followed> =
        deployed.services.iter().map(|service| Followed::new(service, deployed, began)).collect();
    let mut failures = Failures::default();
    let mut refused = 0;
    while followed.iter().any(|service| service.end.is_none()) {
        let looked = look(docker, &followed, deployed.before, &mut failures);
        let seen = match looked {
            Ok(seen) => seen,
            Err(report) if refused >= REFUSALS => return Err(report),
            Err(_) => {
                refused += 1;
                sleep(PAUSE).await;
                continue;
            }
        };
        refused = 0;
        for service in followed.iter_mut().filter(|service| service.end.is_none()) {
            let Some((found, tasks)) = seen.get(&service.id) else {
                service.end = Some(Standing::Paused("the service was removed during the update".to_owned()));
                continue;
            };
            let now = Instant::now();
            service.notice(tasks, now);
            let standing = progress::standing(found, tasks, now - began >= SETTLED, &service.spec);
            let standing = service.still_paused(standing, tasks, deployed.before);
            service.take(standing, now, deadline + progress::own_pauses(found), quiet)?;
        }
        if followed.iter().any(|service| service.end.is_none()) {
            sleep(PAUSE).await;
        }
    }
    output::notes(&failures.totals());
    let explained =
        |service: &Followed| Some((service.id.clone(), failures.explain(docker, service.trouble.as_ref()?)));
    let reasons = followed.iter().filter(|service| service.failed()).filter_map(explained).collect();
    ended(&followed, &reasons)
}

type Seen = BTreeMap<String, (Value, Vec<Value>)>;

/// The services and their tasks by id; why new tasks fail is noted once for each reason.
fn look(
    docker: &DockerCommand<'_>,
    followed: &[Followed],
    before: &BTreeSet<String>,
    failures: &mut Failures,
) -> Result<Seen, Report> {
    let watched: BTreeMap<&str, &Followed> =
        followed.iter().filter(|service| service.end.is_none()).map(|service| (service.id.as_str(), service)).collect();
    let ids: Vec<&str> = watched.keys().copied().collect();
    let services = docker.inspect("service", &ids)?;
    let tasks = task_ids(docker, &ids)?;
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let tasks = if tasks.is_empty() { Vec::new() } else { docker.inspect("task", &tasks)? };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut seen: Seen = services.into_iter().map(|service| (text(&service, "ID"), (service, Vec::new()))).collect();
    for task in tasks {
        let id = text(&task, "ServiceID");
        let (Some((service, tasks)), Some(followed)) = (seen.get_mut(&id), watched.get(id.as_str())) else { continue };
        let is_new = !before.contains(&text(&task, "ID"));
        // The tasks of an earlier version say nothing about this one once they have ended.
        let counts = is_new || !followed.is_changed || !progress::is_old(service, &task);
        if !counts && text(&task, "DesiredState") != "running" {
            continue;
        }
        if is_new
            && let Some(trouble) = progress::trouble(&followed.name, &task)
            && !failures.knows(&trouble)
        {
            let explained = failures.explain(docker, &trouble);
            output::notes(&failures.count(&followed.name, &explained).into_iter().collect::<Vec<_>>());
        }
        tasks.push(task);
    }
    Ok(seen)
}

/// A pod ends if a component crashes within `settle` after the pod was healthy for the first time; its task fails once the other components have stopped, too.
fn stable(labels: &BTreeMap<String, String>) -> Duration {
    if !changes::is_pod(labels) {
        return STABLE;
    }
    let (raw, _) = labels::read_labels(labels);
    let (pod, _) = lower::lower_partly(&raw);
    STABLE.saturating_add(pod.options.settle)
}

impl Followed {
    fn new(service: &Value, deployed: &Deployed<'_>, now: Instant) -> Self {
        let text = |path: &str| service.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("/Spec/Name");
        Self {
            id: text("/ID"),
            spec: service.get("Spec").cloned().unwrap_or_default(),
            is_changed: deployed.changed.contains(&name),
            was_paused: deployed.paused.contains(&name) && !deployed.changed.contains(&name),
            name,
            said: String::new(),
            progressed: now,
            best: 0,
            running: BTreeSet::new(),
            running_since: now,
            stable: stable(&changes::labels_of(service.get("Spec").unwrap_or(&Value::Null))),
            stable_since: None,
            is_over: false,
            trouble: None,
            end: None,
        }
    }

    /// How long tasks have to run that Swarm has watched itself.
    fn watched(&self) -> Duration {
        if self.stable > STABLE { self.stable } else { Duration::ZERO }
    }

    /// Whether it has ended otherwise than it should.
    fn failed(&self) -> bool {
        !matches!(self.end, None | Some(Standing::Converged { .. }))
    }

    /// Notes which tasks run and which have failed. Tasks that take the place of others within one pause are no stable service.
    fn notice(&mut self, tasks: &[Value], now: Instant) {
        let is_running = |task: &&Value| task.pointer("/Status/State").and_then(Value::as_str) == Some("running");
        let id = |task: &Value| task.get("ID").and_then(Value::as_str).unwrap_or_default().to_owned();
        let running: BTreeSet<String> = tasks.iter().filter(is_running).map(id).collect();
        if running != self.running {
            self.stable_since = None;
            self.running = running;
            self.running_since = now;
        }
        self.trouble = progress::newest_trouble(&self.name, tasks).or(self.trouble.take());
    }

    /// Swarm forgets that it has paused an update once the service is deployed again. A task that fails since then shows that nothing is resolved.
    fn still_paused(&self, standing: Standing, tasks: &[Value], before: &BTreeSet<String>) -> Standing {
        let is_new = |task: &Value| task.get("ID").and_then(Value::as_str).is_some_and(|id| !before.contains(id));
        let fails = |task: &Value| {
            is_new(task) && progress::trouble(&self.name, task).is_some_and(|trouble| trouble.verb != "waits")
        };
        match standing {
            // Of an update that Swarm has begun again, Swarm reports the end.
            Standing::Underway(words) if self.was_paused && stage(&words).is_none() && tasks.iter().any(fails) => {
                Standing::Paused(format!("Swarm paused it before this deployment, and its tasks still fail: {words}"))
            }
            other => other,
        }
    }

    /// Notes where the service stands now.
    fn take(&mut self, standing: Standing, now: Instant, deadline: Duration, quiet: bool) -> Result<(), Report> {
        let was_over = std::mem::take(&mut self.is_over);
        let words = match standing {
            Standing::Underway(words) => {
                self.stable_since = None;
                words
            }
            Standing::Converged { is_final } => {
                let since = *self.stable_since.get_or_insert(now);
                // Swarm watches an update for less time than a pod needs to prove itself. Tasks that have completed do not fail any more.
                let is_proven = self.running.is_empty() || now - self.running_since >= self.watched();
                if (is_final && self.is_changed && is_proven) || now - since >= self.stable {
                    self.end = Some(standing);
                }
                return Ok(());
            }
            Standing::Over(_) => {
                self.is_over = true;
                if was_over {
                    self.end = Some(standing);
                }
                return Ok(());
            }
            Standing::RolledBack | Standing::Paused(_) => {
                self.end = Some(standing);
                return Ok(());
            }
        };
        if words != self.said {
            // More tasks than ever, or another stage of the update; tasks that come and go are no progress.
            let run = words.split(' ').find_map(|word| word.parse::<u64>().ok()).unwrap_or_default();
            if run > self.best || stage(&words) != stage(&self.said) {
                self.progressed = now;
                self.best = self.best.max(run);
            }
            if !quiet {
                output::text(&format!("service `{}`: {words}\n", self.name))?;
            }
            self.said = words;
        }
        if now - self.progressed >= deadline {
            self.end = Some(Standing::Underway(self.said.clone()));
        }
        Ok(())
    }
}

/// What the words begin with, if not with a number of tasks.
fn stage(words: &str) -> Option<&str> {
    words.split_once(':').map(|(stage, _)| stage)
}

/// Reports how it ended; what did not converge is an error with exit code 1. `reasons`: by id of the service, its last task in trouble.
fn ended(followed: &[Followed], reasons: &BTreeMap<String, Explained>) -> Result<Exit, Report> {
    let mut wrong = Vec::new();
    for service in followed {
        let name = &service.name;
        let what = match &service.end {
            Some(Standing::Converged { .. }) => {
                let what =
                    if service.is_changed { "the update is complete" } else { "all tasks run or have completed" };
                output::text(&format!("service `{name}`: {what}\n"))?;
                continue;
            }
            Some(Standing::RolledBack) => format!("Swarm rolled the update of service `{name}` back"),
            Some(Standing::Paused(why)) => format!("the update of service `{name}` stopped: {why}"),
            Some(Standing::Underway(words)) if service.is_changed => {
                format!("the update of service `{name}` makes no progress: {words}")
            }
            Some(Standing::Underway(words)) => format!("service `{name}` makes no progress: {words}"),
            Some(Standing::Over(words)) => format!("service `{name}` has failed: {words}"),
            None => continue,
        };
        let reason = reasons.get(&service.id);
        let why = reason.map(|task| format!(" ({})", task.words())).unwrap_or_default();
        wrong.push((name, reason, format!("{what}{why}")));
    }
    if wrong.is_empty() {
        return Ok(Exit::Success);
    }
    let hint = failures::hint(&wrong.iter().map(|(name, reason, _)| (name.as_str(), *reason)).collect::<Vec<_>>());
    let what: Vec<String> = wrong.iter().map(|(_, _, what)| what.clone()).collect();
    Err(Report::failed(anyhow!("{}", what.join("; "))).hint(hint))
}

/// The text of docker's JSON.
pub fn documents(text: &str) -> Result<Vec<Value>, Report> {
    Ok(serde_json::from_str(text).context("cannot parse the output of `docker`")?)
}

#[cfg(test)]
mod tests;
