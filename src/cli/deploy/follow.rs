//! Follows what was deployed to its end, through the `docker` command: it is the one that knows which manager it has deployed to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::docker::DockerCommand;
use super::progress::{self, Standing};
use crate::cli::output;
use crate::cli::report::{Exit, Report};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// A service that Swarm does not watch has to stay as it should be for so long, as docker's own command has it.
const STABLE: Duration = Duration::from_secs(5);

/// How long Swarm may take to begin an update: it does so within milliseconds.
const SETTLED: Duration = Duration::from_secs(5);

/// Looks in a row that docker may refuse: a manager that is elected anew takes some seconds.
const REFUSALS: u32 = 30;

/// What was there before, and what is there now.
pub struct Snapshot {
    /// As `docker service inspect` prints them.
    pub services: Vec<Value>,
    /// Ids of all tasks.
    pub tasks: BTreeSet<String>,
}

impl Snapshot {
    /// The services of a stack and their tasks.
    ///
    /// # Errors
    /// docker's: this is no manager, or nothing answers.
    pub fn of(docker: &DockerCommand<'_>, stack: &str) -> Result<Self, Report> {
        let filter = format!("label=com.docker.stack.namespace={stack}");
        let listed = docker.output(&["service", "ls", "--quiet", "--filter", &filter])?;
        let ids: Vec<&str> = listed.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Self { services: Vec::new(), tasks: BTreeSet::new() });
        }
        let tasks = task_ids(docker, &ids, false)?.into_iter().collect();
        Ok(Self { services: docker.inspect("service", &ids)?, tasks })
    }
}

fn task_ids(docker: &DockerCommand<'_>, services: &[&str], running: bool) -> Result<Vec<String>, Report> {
    let mut words = vec!["service", "ps", "--quiet", "--no-trunc"];
    if running {
        words.extend(["--filter", "desired-state=running"]);
    }
    words.extend(services);
    Ok(docker.output(&words)?.split_whitespace().map(str::to_owned).collect())
}

/// One service on its way.
struct Followed {
    id: String,
    name: String,
    said: String,
    progressed: Instant,
    best: u64,
    stable_since: Option<Instant>,
    end: Option<Standing>,
}

/// Follows these services until each has converged, was rolled back or paused, or has made no progress for `deadline`.
///
/// # Errors
/// What did not converge; docker's errors.
pub async fn follow(
    docker: &DockerCommand<'_>,
    services: &[Value],
    before: &BTreeSet<String>,
    deadline: Duration,
    quiet: bool,
) -> Result<Exit, Report> {
    let began = Instant::now();
    let text =
        |service: &Value, path: &str| service.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut followed: Vec<Followed> = services
        .iter()
        .map(|service| Followed {
            id: text(service, "/ID"),
            name: text(service, "/Spec/Name"),
            said: String::new(),
            progressed: began,
            best: 0,
            stable_since: None,
            end: None,
        })
        .collect();
    let mut failures = BTreeSet::new();
    let mut refused = 0;
    while followed.iter().any(|service| service.end.is_none()) {
        let looked = look(docker, &followed, before, &mut failures);
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
                service.end = Some(Standing::Paused("it was removed meanwhile".to_owned()));
                continue;
            };
            let now = Instant::now();
            let standing = progress::standing(found, tasks, now - began >= SETTLED);
            service.take(standing, now, deadline + progress::own_pauses(found), quiet)?;
        }
        if followed.iter().any(|service| service.end.is_none()) {
            sleep(PAUSE).await;
        }
    }
    ended(&followed)
}

type Seen = BTreeMap<String, (Value, Vec<Value>)>;

/// The services and their tasks by id; failures of new tasks are said once.
fn look(
    docker: &DockerCommand<'_>,
    followed: &[Followed],
    before: &BTreeSet<String>,
    failures: &mut BTreeSet<String>,
) -> Result<Seen, Report> {
    let ids: Vec<&str> =
        followed.iter().filter(|service| service.end.is_none()).map(|service| service.id.as_str()).collect();
    let services = docker.inspect("service", &ids)?;
    let tasks = task_ids(docker, &ids, false)?;
    // What was there before and has ended says nothing of what was deployed, and Swarm keeps many of them.
    let running: BTreeSet<String> = task_ids(docker, &ids, true)?.into_iter().collect();
    let tasks: Vec<&str> =
        tasks.iter().filter(|id| running.contains(*id) || !before.contains(*id)).map(String::as_str).collect();
    let tasks = if tasks.is_empty() { Vec::new() } else { docker.inspect("task", &tasks)? };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut seen: Seen = services.into_iter().map(|service| (text(&service, "ID"), (service, Vec::new()))).collect();
    for task in tasks {
        let Some((service, tasks)) = seen.get_mut(&text(&task, "ServiceID")) else { continue };
        let name = service.pointer("/Spec/Name").and_then(Value::as_str).unwrap_or_default();
        if !before.contains(&text(&task, "ID"))
            && let Some(failure) = progress::failure(name, &task)
            && failures.insert(text(&task, "ID"))
        {
            output::notes(&[failure]);
        }
        tasks.push(task);
    }
    Ok(seen)
}

impl Followed {
    /// Notes where the service stands now.
    fn take(&mut self, standing: Standing, now: Instant, deadline: Duration, quiet: bool) -> Result<(), Report> {
        let words = match standing {
            Standing::Underway(words) => {
                self.stable_since = None;
                words
            }
            Standing::Converged { is_final } => {
                let since = *self.stable_since.get_or_insert(now);
                if is_final || now - since >= STABLE {
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

/// Says how it ended; what did not converge is an error with exit code 1.
fn ended(followed: &[Followed]) -> Result<Exit, Report> {
    let mut wrong = Vec::new();
    for Followed { name, end, .. } in followed {
        match end {
            Some(Standing::Converged { .. }) => output::text(&format!("service `{name}`: done\n"))?,
            // Why, the failed tasks have said: Swarm says no more than that it is done.
            Some(Standing::RolledBack) => wrong.push((name, format!("the update of `{name}` was rolled back"))),
            Some(Standing::Paused(why)) => wrong.push((name, format!("the update of `{name}` was stopped: {why}"))),
            Some(Standing::Underway(words)) => {
                wrong.push((name, format!("`{name}` makes no progress any more: {words}")))
            }
            None => {}
        }
    }
    let Some((first, _)) = wrong.first() else { return Ok(Exit::Success) };
    let hint = format!(
        "`docker service ps --no-trunc {first}` lists its tasks; on their nodes, `outrigger logs {first}` shows their output"
    );
    let what: Vec<String> = wrong.iter().map(|(_, what)| what.clone()).collect();
    Err(Report::failed(anyhow!("{}", what.join("; "))).hint(hint))
}

/// The text of docker's JSON.
pub fn documents(text: &str) -> Result<Vec<Value>, Report> {
    Ok(serde_json::from_str(text).context("cannot understand what `docker` prints")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(began: Instant) -> Followed {
        let (id, name, said) = ("i".to_owned(), "web".to_owned(), String::new());
        Followed { id, name, said, progressed: began, best: 0, stable_since: None, end: None }
    }

    fn take(service: &mut Followed, standing: &Standing) {
        service.take(standing.clone(), Instant::now(), Duration::from_secs(60), true).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_service_has_to_stay_up_for_a_while() {
        let mut service = followed(Instant::now());
        let up = Standing::Converged { is_final: false };
        take(&mut service, &up);
        sleep(Duration::from_secs(3)).await;
        take(&mut service, &Standing::Underway("0 of 1 tasks run".to_owned()));
        take(&mut service, &up);
        sleep(Duration::from_secs(3)).await;
        take(&mut service, &up);
        assert_eq!(service.end, None, "it was away in between");
        sleep(Duration::from_secs(2)).await;
        take(&mut service, &up);
        assert_eq!(service.end, Some(up));
        assert_eq!(ended(&[service]).unwrap(), Exit::Success);
        let mut watched = followed(Instant::now());
        take(&mut watched, &Standing::Converged { is_final: true });
        assert!(watched.end.is_some(), "Swarm has watched it");
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_come_and_go_are_no_progress() {
        let mut service = followed(Instant::now());
        let underway = |run: u32| Standing::Underway(format!("updating: {run} of 3 tasks run"));
        for run in [1, 0, 1, 0, 1] {
            take(&mut service, &underway(run));
            sleep(Duration::from_secs(11)).await;
        }
        assert_eq!(service.end, None);
        take(&mut service, &underway(2));
        sleep(Duration::from_secs(59)).await;
        take(&mut service, &underway(2));
        assert_eq!(service.end, None, "the second was progress");
        sleep(Duration::from_secs(1)).await;
        take(&mut service, &underway(2));
        assert!(service.end.is_some());
        let report = ended(&[service]).unwrap_err();
        assert_eq!(report.exit(), Exit::Problems);
        assert!(
            report.text(false).contains("`web` makes no progress any more: updating: 2 of 3 tasks run"),
            "{report:?}"
        );
    }

    #[test]
    fn every_service_that_did_not_converge_is_in_the_error() {
        let now = Instant::now();
        let done = Followed { end: Some(Standing::Converged { is_final: true }), ..followed(now) };
        let back = Followed { end: Some(Standing::RolledBack), ..followed(now) };
        let stopped = Followed { name: "db".to_owned(), end: Some(Standing::Paused("x".to_owned())), ..followed(now) };
        let report = ended(&[done, back, stopped]).unwrap_err();
        let text = report.text(false);
        assert!(text.contains("the update of `web` was rolled back; the update of `db` was stopped: x"), "{text}");
        assert_eq!(report.exit(), Exit::Problems);
    }
}
