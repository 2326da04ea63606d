//! How far a service of Swarm is on its way to what was deployed: decided from what the manager tells, without asking it.

use std::time::Duration;

use serde_json::Value;

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// On its way; how far, in words.
    Underway(String),
    /// All tasks are as they should be. An update counts by Swarm's own word; a new service has to stay so for a while.
    Converged {
        /// Whether Swarm itself has watched the tasks for its monitoring period.
        is_final: bool,
    },
    /// Swarm went back to what was there before.
    RolledBack,
    /// Swarm has stopped on the way; its reason.
    Paused(String),
}

/// Judges a service, with its tasks that should run, all as `docker inspect` prints them. `settled`: Swarm has had the time to begin an update.
pub fn standing(service: &Value, tasks: &[Value], settled: bool) -> Standing {
    let text = |path: &str| service.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let message = || text("/UpdateStatus/Message").to_owned();
    let counted = Counted::of(service, tasks);
    match text("/UpdateStatus/State") {
        "updating" => Standing::Underway(format!("updating: {}", counted.words())),
        "rollback_started" => Standing::Underway(format!("rolling back: {}", message())),
        "rollback_completed" => Standing::RolledBack,
        "paused" | "rollback_paused" => Standing::Paused(message()),
        "completed" if counted.run >= counted.wanted => Standing::Converged { is_final: true },
        // Between an update's call and its beginning the old tasks run still.
        _ if counted.run >= counted.wanted && counted.old == 0 => Standing::Converged { is_final: false },
        _ if counted.run >= counted.wanted && settled => Standing::Converged { is_final: false },
        _ => Standing::Underway(counted.words()),
    }
}

/// Tasks of a service.
struct Counted {
    wanted: u64,
    /// As they should be: running, or of a job completed.
    run: u64,
    /// Of these, made from an earlier specification.
    old: u64,
    verb: &'static str,
}

impl Counted {
    fn of(service: &Value, tasks: &[Value]) -> Self {
        let number = |path: &str| service.pointer(path).and_then(Value::as_u64);
        let state = |task: &Value| task.pointer("/Status/State").and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_job =
            ["/Spec/Mode/ReplicatedJob", "/Spec/Mode/GlobalJob"].iter().any(|path| service.pointer(path).is_some());
        let goal = if is_job { "complete" } else { "running" };
        let there = |task: &&Value| state(task) == goal;
        let is_wanted = |task: &&Value| is_job || task.get("DesiredState").and_then(Value::as_str) == Some("running");
        let wanted: Vec<&Value> = tasks.iter().filter(is_wanted).collect();
        let run: Vec<&Value> = wanted.iter().copied().filter(there).collect();
        let all = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
        let count =
            number("/Spec/Mode/Replicated/Replicas").or_else(|| number("/Spec/Mode/ReplicatedJob/TotalCompletions"));
        Self {
            // Of a global service there are as many as Swarm has made: one on each node that it may be on.
            wanted: count.unwrap_or(all),
            old: u64::try_from(run.iter().filter(|task| is_old(service, task)).count()).unwrap_or(u64::MAX),
            run: u64::try_from(run.len()).unwrap_or(u64::MAX),
            verb: if is_job { "have completed" } else { "run" },
        }
    }

    fn words(&self) -> String {
        format!("{} of {} tasks {}", self.run.saturating_sub(self.old), self.wanted, self.verb)
    }
}

/// Whether a task was made from an earlier specification, as far as can be seen: the engine adds defaults to a service, and not to a task.
fn is_old(service: &Value, task: &Value) -> bool {
    let paths = ["Image", "Labels", "Command", "Args", "Env", "Mounts"].map(|key| format!("/ContainerSpec/{key}"));
    paths
        .iter()
        .map(String::as_str)
        .chain(["/ForceUpdate"])
        .any(|path| service.pointer(&format!("/Spec/TaskTemplate{path}")) != task.pointer(&format!("/Spec{path}")))
}

/// How a task failed: its name and what the engine says; none if it did not fail.
pub fn failure(service: &str, task: &Value) -> Option<String> {
    let text = |path: &str| task.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let state = text("/Status/State");
    if !matches!(state, "failed" | "rejected" | "orphaned") {
        return None;
    }
    let slot =
        task.get("Slot").and_then(Value::as_u64).map_or_else(|| text("/NodeID").to_owned(), |slot| slot.to_string());
    let why = [text("/Status/Err"), text("/Status/Message")]
        .into_iter()
        .find(|why| !why.is_empty())
        .unwrap_or("no reason is known");
    Some(format!("task `{service}.{slot}` {}: {why}", if state == "failed" { "failed" } else { "could not run" }))
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
mod tests {
    use serde_json::json;

    use super::*;

    fn service(mode: Value, update: &str) -> Value {
        let status = if update.is_empty() { json!(null) } else { json!({"State": update, "Message": "because"}) };
        json!({"Spec": {"Mode": mode, "TaskTemplate": {"ContainerSpec": {"Image": "b", "StopGracePeriod": 1}, "ForceUpdate": 0}}, "UpdateStatus": status})
    }

    fn task(image: &str, desired: &str, state: &str) -> Value {
        json!({"Slot": 1, "DesiredState": desired, "Status": {"State": state}, "Spec": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0}})
    }

    #[test]
    fn an_update_ends_by_swarms_own_word() {
        let two = || json!({"Replicated": {"Replicas": 2}});
        let (old, new) = (task("a", "running", "running"), task("b", "running", "running"));
        let starting = task("b", "running", "starting");
        let gone = task("a", "shutdown", "shutdown");
        let underway = |words: &str| Standing::Underway(words.to_owned());
        for (update, tasks, settled, expected) in [
            // The call has just been answered.
            ("", vec![&old, &old], false, underway("0 of 2 tasks run")),
            ("updating", vec![&old, &new], false, underway("updating: 1 of 2 tasks run")),
            ("updating", vec![&new, &new], true, underway("updating: 2 of 2 tasks run")),
            ("completed", vec![&new, &new, &gone], false, Standing::Converged { is_final: true }),
            ("completed", vec![&new, &starting], true, underway("1 of 2 tasks run")),
            ("rollback_started", vec![&old, &new], true, underway("rolling back: because")),
            ("rollback_completed", vec![&old, &old], true, Standing::RolledBack),
            ("paused", vec![&old, &new], true, Standing::Paused("because".to_owned())),
            ("rollback_paused", vec![&old, &new], true, Standing::Paused("because".to_owned())),
            // A new service, one with more replicas, and one of which only its ports are other than before.
            ("", vec![&new, &starting], true, underway("1 of 2 tasks run")),
            ("", vec![&new, &new], false, Standing::Converged { is_final: false }),
            ("", vec![&old, &old], true, Standing::Converged { is_final: false }),
        ] {
            let tasks: Vec<Value> = tasks.into_iter().cloned().collect();
            assert_eq!(standing(&service(two(), update), &tasks, settled), expected, "{update}: {tasks:?}");
        }
    }

    #[test]
    fn global_services_and_jobs_count_in_their_own_way() {
        let running = task("b", "running", "running");
        let pending = task("b", "running", "pending");
        let complete = task("b", "complete", "complete");
        let converged = Standing::Converged { is_final: false };
        let global = service(json!({"Global": {}}), "");
        assert_eq!(
            standing(&global, &[running.clone(), pending], false),
            Standing::Underway("1 of 2 tasks run".to_owned())
        );
        assert_eq!(standing(&global, &[running.clone(), running], false), converged);
        let job = service(json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 2}}), "");
        let once = Standing::Underway("1 of 2 tasks have completed".to_owned());
        assert_eq!(standing(&job, std::slice::from_ref(&complete), false), once);
        assert_eq!(standing(&job, &[complete.clone(), complete], false), converged);
    }

    #[test]
    fn a_failed_task_says_why() {
        let failed =
            json!({"Slot": 2, "Status": {"State": "failed", "Message": "started", "Err": "task: non-zero exit (3)"}});
        assert_eq!(failure("web", &failed).as_deref(), Some("task `web.2` failed: task: non-zero exit (3)"));
        let rejected = json!({"NodeID": "n1", "Status": {"State": "rejected", "Message": "preparing"}});
        assert_eq!(failure("web", &rejected).as_deref(), Some("task `web.n1` could not run: preparing"));
        assert_eq!(failure("web", &task("a", "shutdown", "shutdown")), None);
    }

    #[test]
    fn the_services_own_pauses_are_waited_for() {
        let service = json!({"Spec": {"UpdateConfig": {"Delay": 3_000_000_000_u64, "Monitor": 5_000_000_000_u64}, "RollbackConfig": {"Monitor": 7_000_000_000_u64}}});
        assert_eq!(own_pauses(&service), Duration::from_secs(10));
        assert_eq!(own_pauses(&json!({})), Duration::ZERO);
    }
}
