//! The progress of a Swarm service towards the deployed version, decided from the manager's documents alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// On its way; how far, in words.
    Underway(String),
    /// All tasks are as they should be: they run, or a batch service or a job has completed. An update counts by Swarm's own word; a new service has to stay
    /// so for a while.
    Converged {
        /// Whether nothing can change this any more: Swarm itself has watched the tasks for its monitoring period, or all of them have completed.
        is_final: bool,
    },
    /// Swarm went back to what was there before.
    RolledBack,
    /// Swarm has stopped on the way; its reason.
    Paused(String),
    /// Tasks have ended that should run, and the restart policy starts no other; in words.
    Over(String),
}

/// Judges a service, with its tasks, all as `docker inspect` prints them. `settled`: Swarm has had the time to begin an update. `deployed`: the specification
/// that the deployment has left.
pub fn standing(service: &Value, tasks: &[Value], settled: bool, deployed: &Value) -> Standing {
    let text = |path: &str| service.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let message = || text("/UpdateStatus/Message").to_owned();
    let counted = Counted::of(service, tasks);
    let is_enough = counted.run + counted.done >= counted.wanted;
    let has_completed = is_enough && counted.old == 0 && counted.done > 0;
    match text("/UpdateStatus/State") {
        "updating" => return Standing::Underway(format!("updating: {}", counted.words())),
        "rollback_started" => return Standing::Underway(format!("rolling back: {}", message())),
        // An earlier update may have been rolled back to just what is deployed now.
        "rollback_completed" if service.get("Spec") != Some(deployed) => return Standing::RolledBack,
        // For Swarm, a task of a batch service that completes within the monitoring period is an "early termination", too.
        "paused" if !has_completed => return Standing::Paused(message()),
        "rollback_paused" => return Standing::Paused(message()),
        "completed" if is_enough => return Standing::Converged { is_final: true },
        _ => {}
    }
    match is_enough {
        // Between an update's call and its beginning the old tasks run still.
        true if counted.old == 0 || settled => {
            Standing::Converged { is_final: has_completed && counted.done >= counted.wanted }
        }
        false if counted.over > 0 => Standing::Over(counted.ended(service)),
        true | false => Standing::Underway(counted.words()),
    }
}

/// Tasks of a service.
struct Counted {
    wanted: u64,
    /// As they should be: running, or of a job completed.
    run: u64,
    /// Of these, made from an earlier specification.
    old: u64,
    /// Tasks of a batch service, of which Swarm keeps none running: they have completed, and the restart policy leaves it at that.
    done: u64,
    /// Ended in another way, and the restart policy starts no other in their place.
    over: u64,
    verb: &'static str,
}

/// The restart policy of a service.
struct Policy<'s> {
    condition: &'s str,
    attempts: u64,
}

impl<'s> Policy<'s> {
    fn of(service: &'s Value) -> Self {
        let policy = |key: &str| service.pointer(&format!("/Spec/TaskTemplate/RestartPolicy/{key}"));
        Self {
            condition: policy("Condition").and_then(Value::as_str).filter(|it| !it.is_empty()).unwrap_or("any"),
            attempts: policy("MaxAttempts").and_then(Value::as_u64).unwrap_or_default(),
        }
    }

    /// Whether it may leave a task's place empty.
    fn ends(&self) -> bool {
        self.condition != "any" || self.attempts > 0
    }

    fn words(&self) -> String {
        match self.attempts {
            0 => format!("`condition: {}`", self.condition),
            attempts => format!("`condition: {}`, `max_attempts: {attempts}`", self.condition),
        }
    }
}

fn state(task: &Value) -> &str {
    task.pointer("/Status/State").and_then(Value::as_str).unwrap_or_default()
}

fn is_desired(task: &Value, states: &[&str]) -> bool {
    task.get("DesiredState").and_then(Value::as_str).is_some_and(|desired| states.contains(&desired))
}

/// The tasks by the place that they have in their service: a slot, or a node.
fn places<'t>(service: &Value, tasks: &[&'t Value]) -> BTreeMap<String, Vec<&'t Value>> {
    let is_global = ["/Spec/Mode/Global", "/Spec/Mode/GlobalJob"].iter().any(|path| service.pointer(path).is_some());
    let mut places: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for &task in tasks {
        let place = task.get(if is_global { "NodeID" } else { "Slot" }).map(ToString::to_string).unwrap_or_default();
        places.entry(place).or_default().push(task);
    }
    places
}

fn created(task: &Value) -> &str {
    task.get("CreatedAt").and_then(Value::as_str).unwrap_or_default()
}

impl Counted {
    fn of(service: &Value, tasks: &[Value]) -> Self {
        let number = |path: &str| service.pointer(path).and_then(Value::as_u64);
        let is_job =
            ["/Spec/Mode/ReplicatedJob", "/Spec/Mode/GlobalJob"].iter().any(|path| service.pointer(path).is_some());
        let iteration = |of: &Value, path: &str| of.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        // A job that is deployed again starts anew: tasks of earlier deployments do not count.
        let is_of_this_run = |task: &&Value| {
            !is_job || iteration(task, "/JobIteration/Index") == iteration(service, "/JobStatus/JobIteration/Index")
        };
        let tasks: Vec<&Value> = tasks.iter().filter(is_of_this_run).collect();
        let policy = Policy::of(service);
        let goal = if is_job { "complete" } else { "running" };
        let is_there = |task: &&Value| state(task) == goal && (is_job || is_desired(task, &["running"]));
        let run: Vec<&Value> = tasks.iter().copied().filter(is_there).collect();
        let (mut done, mut over, mut wanted) = (0, 0, 0);
        for tasks in places(service, &tasks).values() {
            let is_live = tasks.iter().any(|task| !is_desired(task, &["shutdown", "remove"]));
            let newest = tasks.iter().max_by_key(|task| created(task));
            let ended = newest
                .filter(|task| !is_live && policy.ends() && !is_old(service, task) && is_desired(task, &["shutdown"]));
            match ended.map(|task| state(task)) {
                Some("complete") if !is_job && policy.condition != "any" => done += 1,
                Some("complete") if is_job => {}
                Some("complete" | "failed" | "rejected") => over += 1,
                // Docker 20.10 starts tasks of a job again, whatever the policy is.
                _ if is_job
                    && policy.condition == "none"
                    && tasks.iter().any(|task| matches!(state(task), "failed" | "rejected")) =>
                {
                    over += 1;
                }
                _ if is_live || tasks.iter().any(is_there) => {}
                _ => continue,
            }
            wanted += 1;
        }
        let count =
            number("/Spec/Mode/Replicated/Replicas").or_else(|| number("/Spec/Mode/ReplicatedJob/TotalCompletions"));
        Self {
            // Of a global service there are as many as Swarm has made: one on each node that it may be on.
            wanted: count.unwrap_or(wanted),
            old: size(run.iter().filter(|task| !is_job && is_old(service, task)).count()),
            run: size(run.len()),
            done,
            over,
            verb: match (is_job, done) {
                (true, _) => "have completed",
                (false, 0) => "run",
                (false, _) => "run or have completed",
            },
        }
    }

    fn words(&self) -> String {
        // With `start-first`, a task and the one that takes its place run at the same time, and a difference between them may be invisible here.
        let current = (self.run + self.done).saturating_sub(self.old).min(self.wanted);
        format!("{current} of {} tasks {}", self.wanted, self.verb)
    }

    fn ended(&self, service: &Value) -> String {
        let policy = Policy::of(service).words();
        format!("{}, and the restart policy ({policy}) starts no other task", self.words())
    }
}

fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Whether a task was made from an earlier specification, as far as can be seen: the engine adds defaults to a service, and not to a task.
pub fn is_old(service: &Value, task: &Value) -> bool {
    let paths = ["Image", "Labels", "Command", "Args", "Env", "Mounts"].map(|key| format!("/ContainerSpec/{key}"));
    paths
        .iter()
        .map(String::as_str)
        .chain(["/ForceUpdate"])
        .any(|path| service.pointer(&format!("/Spec/TaskTemplate{path}")) != task.pointer(&format!("/Spec{path}")))
}

/// A task that failed, or that waits for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Its id.
    pub id: String,
    /// Service and slot, such as `web.2`; of a global service, the service and the node's id.
    pub task: String,
    /// `failed`, `could not start` or `waits`.
    pub verb: &'static str,
    /// Swarm's own reason.
    pub why: String,
    /// The id of its container, if it had one.
    pub container: Option<String>,
    created: String,
}

/// The trouble that a task of this service has; none if it runs, starts, has completed or was stopped.
pub fn trouble(service: &str, task: &Value) -> Option<Trouble> {
    let text = |path: &str| task.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let verb = match state(task) {
        "failed" => "failed",
        "rejected" | "orphaned" => "could not start",
        // Swarm gives a reason for a task that it can't put anywhere.
        "new" | "pending" | "assigned" if !text("/Status/Err").is_empty() => "waits",
        _ => return None,
    };
    let slot =
        task.get("Slot").and_then(Value::as_u64).map_or_else(|| text("/NodeID").to_owned(), |slot| slot.to_string());
    let why = [text("/Status/Err"), text("/Status/Message")].into_iter().find(|why| !why.is_empty());
    let container = Some(text("/Status/ContainerStatus/ContainerID")).filter(|id| !id.is_empty());
    Some(Trouble {
        id: text("/ID").to_owned(),
        task: format!("{service}.{slot}"),
        verb,
        why: why.unwrap_or("the engine reports no reason").to_owned(),
        container: container.map(str::to_owned),
        created: created(task).to_owned(),
    })
}

/// The trouble that explains best why a service is not as it should be: the newest task that has failed, otherwise one that waits.
pub fn newest_trouble(service: &str, tasks: &[Value]) -> Option<Trouble> {
    let troubles = tasks.iter().filter_map(|task| trouble(service, task));
    troubles.max_by(|a, b| (a.verb != "waits", &a.created).cmp(&(b.verb != "waits", &b.created)))
}

/// Between two tasks Swarm waits this long by the service's own wish, and watches a new one so long: no progress before that is none missing.
pub fn own_pauses(service: &Value) -> Duration {
    let nanos = |path: &str| Duration::from_nanos(service.pointer(path).and_then(Value::as_u64).unwrap_or_default());
    let both = ["Delay", "Monitor"].map(|key| {
        ["UpdateConfig", "RollbackConfig"]
            .map(|config| nanos(&format!("/Spec/{config}/{key}")))
            .into_iter()
            .max()
            .unwrap_or_default()
    });
    both.into_iter().sum()
}

#[cfg(test)]
mod tests;
