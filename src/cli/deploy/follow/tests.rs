use serde_json::json;

use super::*;

fn followed(began: Instant) -> Followed {
    let service = json!({"ID": "i", "Spec": {"Name": "web"}});
    let changed = BTreeSet::from(["web".to_owned()]);
    let deployed = Deployed { services: &[], changed: &changed, before: &BTreeSet::new(), paused: &BTreeSet::new() };
    Followed::new(&service, &deployed, began)
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
    assert_eq!(ended(&[service], &BTreeMap::new()).unwrap(), Exit::Success);
    let mut watched = followed(Instant::now());
    take(&mut watched, &Standing::Converged { is_final: true });
    assert!(watched.end.is_some(), "Swarm has watched it");
    let mut unchanged = Followed { is_changed: false, ..followed(Instant::now()) };
    take(&mut unchanged, &Standing::Converged { is_final: true });
    assert!(unchanged.end.is_none(), "it was another update that Swarm has watched");
}

#[tokio::test(start_paused = true)]
async fn a_paused_update_is_a_failure_until_its_tasks_run() {
    let unchanged = Followed { is_changed: false, was_paused: true, ..followed(Instant::now()) };
    let task = |id: &str, state: &str| json!({"ID": id, "Slot": 1, "Status": {"State": state}});
    let before = BTreeSet::from(["old".to_owned()]);
    let underway = |words: &str| Standing::Underway(words.to_owned());
    let judged =
        |service: &Followed, standing: Standing, tasks: &[Value]| service.still_paused(standing, tasks, &before);
    let (old, new) = (task("old", "failed"), task("new", "failed"));
    let few = || underway("0 of 1 tasks run");
    assert_eq!(judged(&unchanged, few(), &[old.clone(), task("new", "starting")]), few(), "it may run yet");
    let still = "Swarm paused it before this deployment, and its tasks still fail: 0 of 1 tasks run";
    assert_eq!(judged(&unchanged, few(), &[old, new.clone()]), Standing::Paused(still.to_owned()));
    let again = || underway("updating: 0 of 1 tasks run");
    assert_eq!(judged(&unchanged, again(), std::slice::from_ref(&new)), again(), "Swarm tries it again");
    let up = || Standing::Converged { is_final: false };
    assert_eq!(judged(&unchanged, up(), std::slice::from_ref(&new)), up());
    assert_eq!(judged(&followed(Instant::now()), few(), &[new]), few(), "no update was paused");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_take_turns_are_not_stable() {
    let mut service = followed(Instant::now());
    let running = |id: &str| [json!({"ID": id, "Status": {"State": "running"}})];
    for id in ["a", "a", "a", "b", "b", "b"] {
        service.notice(&running(id), Instant::now());
        take(&mut service, &Standing::Converged { is_final: false });
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(service.end, None);
    service.notice(&running("b"), Instant::now());
    take(&mut service, &Standing::Converged { is_final: false });
    assert!(service.end.is_some());
}

/// The task of a pod that crashes within `settle` fails after Swarm's default `monitor` of 5 s.
#[tokio::test(start_paused = true)]
async fn a_pod_has_to_stay_up_until_no_crash_can_end_it() {
    let pod = |options: &str| {
        let labels = json!({"pod.component.app": "image: busybox", "pod.options": options});
        let spec = json!({"Name": "web", "TaskTemplate": {"ContainerSpec": {"Labels": labels}}});
        let changed = BTreeSet::from(["web".to_owned()]);
        let deployed =
            Deployed { services: &[], changed: &changed, before: &BTreeSet::new(), paused: &BTreeSet::new() };
        Followed::new(&json!({"ID": "i", "Spec": spec}), &deployed, Instant::now())
    };
    let running = |id: &str| [json!({"ID": id, "Status": {"State": "running"}})];
    for (options, seconds) in [("{}", 15), ("{settle: 30s}", 35), ("{settle: 0s}", 0)] {
        for is_final in [true, false] {
            let needed = if is_final { seconds } else { seconds.max(5) };
            let mut service = pod(options);
            let began = Instant::now();
            while service.end.is_none() && began.elapsed() < Duration::from_secs(60) {
                service.notice(&running("a"), Instant::now());
                take(&mut service, &Standing::Converged { is_final });
                sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(began.elapsed(), Duration::from_secs(needed + 1), "{options} {is_final}");
        }
    }
    let mut completed = pod("{}");
    take(&mut completed, &Standing::Converged { is_final: true });
    assert!(completed.end.is_some(), "nothing runs that could fail");
    let mut replaced = pod("{}");
    for id in ["a", "b"] {
        replaced.notice(&running(id), Instant::now());
        sleep(Duration::from_secs(14)).await;
        take(&mut replaced, &Standing::Converged { is_final: true });
        assert_eq!(replaced.end, None, "the task {id} runs for 14 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_is_over_if_two_looks_find_so() {
    let mut service = followed(Instant::now());
    let over = Standing::Over("0 of 1 tasks run".to_owned());
    for standing in [&over, &Standing::Underway("0 of 1 tasks run".to_owned()), &over] {
        take(&mut service, standing);
        assert_eq!(service.end, None);
    }
    take(&mut service, &over);
    assert_eq!(service.end, Some(over));
    let report = ended(&[service], &BTreeMap::new()).unwrap_err();
    assert!(report.text(false).contains("service `web` has failed: 0 of 1 tasks run"), "{report:?}");
    assert_eq!(report.exit(), Exit::Problems);
}

#[test]
fn the_error_has_the_reason_of_the_failed_task_and_the_hint_its_container() {
    let task = json!({"ID": "t", "Slot": 1, "Status": {"State": "failed", "Err": "task: non-zero exit (3)"}});
    let trouble = progress::trouble("web", &task).unwrap();
    let explained = Explained {
        trouble,
        why: "component `app` exited with code 3".to_owned(),
        said: Some("boom".to_owned()),
        output: failures::Output::Pod("web.1.t".to_owned()),
    };
    let back = Followed { end: Some(Standing::RolledBack), ..followed(Instant::now()) };
    let report = ended(&[back], &BTreeMap::from([("i".to_owned(), explained)])).unwrap_err();
    let text = report.text(false);
    let expected = "Swarm rolled the update of service `web` back (task `web.1` failed: component `app` exited with code 3; last output: boom)";
    assert!(text.contains(expected) && text.contains("hint: `outrigger logs web.1.t` shows"), "{text}");
}

/// Refuses every other look: `inspect --type service` comes first in each.
const MOODY: &str = r#"#!/bin/sh
n=$(cat "$0.count" 2>/dev/null || echo 0)
case "$*" in
"inspect --type service"*)
    n=$((n + 1)); echo $n > "$0.count"
    [ $((n % 2)) = 0 ] || { echo 'no leader' >&2; exit 1; }
    state=updating; [ $n -lt 80 ] || state=completed
    echo '[{"ID": "i", "Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": 1}}}, "UpdateStatus": {"State": "'$state'"}}]';;
"inspect --type task"*)
    echo '[{"ID": "t", "ServiceID": "i", "DesiredState": "running", "Status": {"State": "running"}}]';;
"service ps"*) echo t;;
esac
"#;

/// A manager without a leader for a moment, again and again, is not one that is gone.
#[tokio::test(start_paused = true)]
async fn refusals_count_only_in_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("docker");
    // Written by another process: a file that one of this process still has open for writing can't be run.
    let write = "cat > \"$0\" && chmod +x \"$0\"";
    let mut shell = std::process::Command::new("sh");
    let mut shell = shell.args(["-c", write]).arg(&program).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), MOODY.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    let docker = DockerCommand::new(&program, folder.path(), &BTreeMap::new()).unwrap();
    let services = [json!({"ID": "i", "Spec": {"Name": "web"}})];
    let (changed, before) = (BTreeSet::from(["web".to_owned()]), BTreeSet::new());
    let deployed = Deployed { services: &services, changed: &changed, before: &before, paused: &before };
    let ended = follow(&docker, &deployed, Duration::from_secs(600), true).await;
    assert_eq!(ended.unwrap(), Exit::Success);
    std::fs::write(&program, "").unwrap();
    let gone = follow(&docker, &deployed, Duration::from_secs(600), true).await;
    assert!(gone.is_err(), "one that never answers is not waited for");
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
    let report = ended(&[service], &BTreeMap::new()).unwrap_err();
    assert_eq!(report.exit(), Exit::Problems);
    assert!(
        report.text(false).contains("the update of service `web` makes no progress: updating: 2 of 3 tasks run"),
        "{report:?}"
    );
}

#[test]
fn every_service_that_did_not_converge_is_in_the_error() {
    let now = Instant::now();
    let done = Followed { end: Some(Standing::Converged { is_final: true }), ..followed(now) };
    let back = Followed { end: Some(Standing::RolledBack), ..followed(now) };
    let stopped = Followed { name: "db".to_owned(), end: Some(Standing::Paused("x".to_owned())), ..followed(now) };
    let report = ended(&[done, back, stopped], &BTreeMap::new()).unwrap_err();
    let text = report.text(false);
    assert!(
        text.contains("Swarm rolled the update of service `web` back; the update of service `db` stopped: x"),
        "{text}"
    );
    assert_eq!(report.exit(), Exit::Problems);
}
