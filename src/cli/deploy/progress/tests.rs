use serde_json::json;

use super::*;

fn service(mode: Value, update: &str) -> Value {
    let status = if update.is_empty() { json!(null) } else { json!({"State": update, "Message": "because"}) };
    json!({"Spec": {"Mode": mode, "TaskTemplate": {"ContainerSpec": {"Image": "b", "StopGracePeriod": 1}, "ForceUpdate": 0}}, "UpdateStatus": status})
}

fn judged(service: &Value, tasks: &[Value], settled: bool) -> Standing {
    standing(service, tasks, settled, &service["Spec"])
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
        // `start-first`.
        ("updating", vec![&new, &new, &new], true, underway("updating: 2 of 2 tasks run")),
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
        let service = service(two(), update);
        assert_eq!(standing(&service, &tasks, settled, &json!("another")), expected, "{update}: {tasks:?}");
    }
}

#[test]
fn global_services_and_jobs_count_in_their_own_way() {
    let running = task("b", "running", "running");
    let pending = task("b", "running", "pending");
    let on = |node: &str, mut task: Value| {
        task["NodeID"] = json!(node);
        task
    };
    let (pending, other) = (on("two", pending), on("two", running.clone()));
    let running = on("one", running);
    let complete = task("b", "complete", "complete");
    let converged = Standing::Converged { is_final: false };
    let global = service(json!({"Global": {}}), "");
    assert_eq!(judged(&global, &[running.clone(), pending], false), Standing::Underway("1 of 2 tasks run".to_owned()));
    assert_eq!(judged(&global, &[running, other], false), converged);
    let job = service(json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 2}}), "");
    let once = Standing::Underway("1 of 2 tasks have completed".to_owned());
    assert_eq!(judged(&job, std::slice::from_ref(&complete), false), once);
    assert_eq!(judged(&job, &[complete.clone(), complete], false), converged);
}

fn with_policy(condition: &str, attempts: u64, mut service: Value) -> Value {
    service["Spec"]["TaskTemplate"]["RestartPolicy"] = json!({"Condition": condition, "MaxAttempts": attempts});
    service
}

fn at(created: &str, mut task: Value) -> Value {
    task["CreatedAt"] = json!(created);
    task
}

#[test]
fn a_task_that_swarm_starts_no_more_decides_at_once() {
    let ended = |state: &str| at("1", task("b", "shutdown", state));
    let next = at("2", task("b", "ready", "ready"));
    let once = || json!({"Replicated": {"Replicas": 1}});
    let over = |policy: &str| {
        Standing::Over(format!("0 of 1 tasks run, and the restart policy ({policy}) starts no other task"))
    };
    let completed = Standing::Converged { is_final: true };
    let underway = Standing::Underway("0 of 1 tasks run".to_owned());
    for (condition, attempts, tasks, expected) in [
        ("on-failure", 0, vec![ended("complete")], completed.clone()),
        ("none", 0, vec![ended("complete")], completed.clone()),
        ("none", 0, vec![ended("failed")], over("`condition: none`")),
        ("on-failure", 0, vec![ended("failed"), next.clone()], underway.clone()),
        (
            "on-failure",
            2,
            vec![ended("failed"), at("2", ended("failed"))],
            over("`condition: on-failure`, `max_attempts: 2`"),
        ),
        ("on-failure", 2, vec![ended("failed"), at("2", ended("complete"))], completed.clone()),
        ("any", 3, vec![ended("complete")], over("`condition: any`, `max_attempts: 3`")),
        // Its successor may not have been listed yet: this policy always starts one.
        ("any", 0, vec![ended("failed")], underway.clone()),
        ("any", 0, vec![ended("complete"), next], underway.clone()),
        // Swarm has not decided about it yet.
        ("none", 0, vec![task("b", "running", "failed")], underway.clone()),
        // The one before the update has completed.
        ("none", 0, vec![task("a", "shutdown", "complete")], underway),
    ] {
        let service = with_policy(condition, attempts, service(once(), ""));
        assert_eq!(judged(&service, &tasks, true), expected, "{condition} {attempts} {tasks:?}");
        // Swarm takes a completed task for an early termination, and stops the update.
        let mut paused = service;
        paused["UpdateStatus"] = json!({"State": "paused", "Message": "early"});
        let stopped = Standing::Paused("early".to_owned());
        let expected = if expected == completed { expected } else { stopped };
        assert_eq!(judged(&paused, &tasks, true), expected, "{condition} {attempts} {tasks:?}");
    }
}

#[test]
fn a_job_counts_its_own_run_and_fails_by_its_policy() {
    let job = |condition: &str| {
        let mode = json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}});
        let mut job = with_policy(condition, 0, service(mode, ""));
        job["JobStatus"] = json!({"JobIteration": {"Index": 1}});
        job
    };
    let of = |index: u64, mut task: Value| {
        task["JobIteration"] = json!({"Index": index});
        task
    };
    let before = of(0, task("b", "complete", "complete"));
    let underway = Standing::Underway("0 of 1 tasks have completed".to_owned());
    assert_eq!(judged(&job("none"), std::slice::from_ref(&before), true), underway);
    let failed = of(1, task("b", "shutdown", "failed"));
    let again = of(1, task("b", "complete", "starting"));
    let over = "0 of 1 tasks have completed, and the restart policy (`condition: none`) starts no other task";
    assert_eq!(
        judged(&job("none"), &[before.clone(), failed.clone(), again.clone()], true),
        Standing::Over(over.to_owned())
    );
    assert_eq!(judged(&job("on-failure"), &[before.clone(), failed.clone(), again], true), underway);
    let completed = of(1, task("b", "complete", "complete"));
    assert_eq!(judged(&job("on-failure"), &[before, failed, completed], true), Standing::Converged { is_final: false });
}

#[test]
fn a_rollback_to_what_is_deployed_is_none() {
    let service = service(json!({"Replicated": {"Replicas": 1}}), "rollback_completed");
    let running = [task("b", "running", "running")];
    assert_eq!(judged(&service, &running, true), Standing::Converged { is_final: false });
    assert_eq!(standing(&service, &running, true, &json!({"Name": "other"})), Standing::RolledBack);
    // The tasks of the version before may fail, too.
    let starting = [task("b", "running", "starting")];
    assert_eq!(judged(&service, &starting, true), Standing::Underway("0 of 1 tasks run".to_owned()));
}

#[test]
fn a_task_in_trouble_says_why() {
    let told = |task: &Value| trouble("web", task).map(|it| format!("{} {}: {}", it.task, it.verb, it.why));
    let failed = json!({"ID": "t", "Slot": 2, "Status": {"State": "failed", "Message": "started", "Err": "task: non-zero exit (3)",
        "ContainerStatus": {"ContainerID": "c"}}});
    assert_eq!(told(&failed).as_deref(), Some("web.2 failed: task: non-zero exit (3)"));
    assert_eq!(trouble("web", &failed).unwrap().container.as_deref(), Some("c"));
    let rejected = json!({"NodeID": "n1", "Status": {"State": "rejected", "Message": "preparing"}});
    assert_eq!(told(&rejected).as_deref(), Some("web.n1 could not start: preparing"));
    let no_node = "no suitable node (host-mode port already in use on 1 node)";
    let waiting =
        json!({"Slot": 1, "Status": {"State": "pending", "Message": "pending task scheduling", "Err": no_node}});
    assert_eq!(told(&waiting), Some(format!("web.1 waits: {no_node}")));
    assert_eq!(told(&task("a", "shutdown", "shutdown")), None);
    assert_eq!(told(&task("a", "running", "pending")), None, "it has just been made");
    let newest = newest_trouble("web", &[at("1", rejected), at("2", failed), at("3", waiting.clone())]);
    assert_eq!(newest.unwrap().task, "web.2", "a failure explains more than a wait");
    assert_eq!(newest_trouble("web", &[waiting]).unwrap().verb, "waits");
}

#[test]
fn the_services_own_pauses_are_waited_for() {
    let service = json!({"Spec": {"UpdateConfig": {"Delay": 3_000_000_000_u64, "Monitor": 5_000_000_000_u64}, "RollbackConfig": {"Monitor": 7_000_000_000_u64}}});
    assert_eq!(own_pauses(&service), Duration::from_secs(10));
    assert_eq!(own_pauses(&json!({})), Duration::ZERO);
}
