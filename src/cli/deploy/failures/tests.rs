use serde_json::json;

use super::*;
use crate::cli::deploy::progress::trouble;

fn failed(slot: u64, why: &str, output: Output) -> Explained {
    let task = json!({"ID": format!("t{slot}"), "Slot": slot, "Status": {"State": "failed", "Err": "task: non-zero exit (125)"}});
    Explained { trouble: trouble("web", &task).unwrap(), why: why.to_owned(), said: None, output }
}

#[test]
fn the_controllers_own_reason_is_found_in_each_format() {
    let text = "2026-01-31T12:00:00.1Z  INFO outrigger::cli::controller: outrigger starts version=\"0.1.0\"\n\
        2026-01-31T12:00:01.1Z ERROR outrigger::supervisor::cleanup: component `app` exited with code 3; last output:\n  | [out] app: boom\n";
    let ended = "2026-01-31T12:00:02.1Z  INFO outrigger::supervisor::boot: the pod has ended exit_code=125 outcome=component `app` could not be started: cannot pull image `a:1`\n";
    let json = r#"{"timestamp":"2026-01-31T12:00:02.1Z","level":"INFO","message":"the pod has ended","exit_code":3,"outcome":"component `app` exited with code 3","target":"outrigger::supervisor::boot"}"#;
    let ended = ended.replace(" INFO ", "ERROR ");
    let output = "2026-01-31T12:00:01.5Z ERROR outrigger::supervisor::cleanup: component `app`: last output:\n  | ERROR x: boom\n\
        2026-01-31T12:00:01.6Z ERROR outrigger::supervisor::cleanup: component `app`: last output: none\n";
    let listed = r#"{"level":"ERROR","message":"last output","component":"app","last_output":["boom"]}"#;
    let error =
        r#"{"level":"ERROR","message":"component `app` exited with code 4; last output:\n  | boom","component":"app"}"#;
    let bad = "2026-01-31T12:00:00.1Z  INFO x: outrigger starts\nerror: `pod.component.app`, field `image`: is missing\nerror: another\n";
    for (log, expected) in [
        (format!("{text}{ended}"), Some("component `app` could not be started: cannot pull image `a:1`")),
        // `--log-level=warn`.
        (text.to_owned(), Some("component `app` exited with code 3")),
        (json.to_owned(), Some("component `app` exited with code 3")),
        (format!("{text}{output}{ended}"), Some("component `app` could not be started: cannot pull image `a:1`")),
        // It was killed before the end.
        (format!("{text}{output}"), Some("component `app` exited with code 3")),
        (format!("{error}\n{listed}"), Some("component `app` exited with code 4")),
        (error.to_owned(), Some("component `app` exited with code 4")),
        (bad.to_owned(), Some("`pod.component.app`, field `image`: is missing")),
        // It ended well, so Swarm knows more.
        (ended.replace("=125", "=0"), None),
        (String::new(), None),
    ] {
        assert_eq!(reason(&log).as_deref(), expected, "{log}");
    }
}

#[test]
fn the_last_line_of_output_follows_the_reason_in_each_format() {
    let why = "component `app` exited with code 3";
    let head = "2026-01-31T12:00:01.1Z ERROR outrigger::supervisor::cleanup: ";
    let ended = format!("{head}the pod has ended exit_code=3 outcome={why}\n");
    let text = format!(
        "{head}component `app`: last output:\n  | one\n  | two\n  | \n{head}component `log`: last output:\n  | other\n{ended}"
    );
    let json = r#"{"level":"ERROR","message":"last output","component":"app","last_output":["one","two",""]}"#;
    let other = r#"{"level":"ERROR","message":"last output","component":"log","last_output":["other"]}"#;
    for (log, said) in [
        (text.clone(), Some("two")),
        (format!("{json}\n{other}\n{{\"message\":\"the pod has ended\"}}\n"), Some("two")),
        // Of a controller up to version 0.1.
        (format!("{head}{why}; last output:\n  | one\n  | two\n{ended}"), Some("two")),
        (format!("{head}component `app`: last output: none\n{ended}"), None),
        (format!("{ended}  | no output of it\n"), None),
        (text.replace("`app`", "`web`"), None),
    ] {
        assert_eq!(last_output(&log, why).as_deref(), said, "{log}");
    }
    let mut task = failed(1, why, Output::Elsewhere);
    task.said = Some("cannot open the database".to_owned());
    let words = task.words();
    assert_eq!(words, "task `web.1` failed: component `app` exited with code 3; last output: cannot open the database");
    let mut failures = Failures::default();
    assert_eq!(failures.count("web", &task), Some(words));
    task.said = Some("cannot open the database at 12:00".to_owned());
    assert_eq!(failures.count("web", &task), None, "the same reason");
}

#[test]
fn a_task_that_swarm_has_ended_for_its_health_says_what_was_wrong() {
    let check = |code: i64, output: &str| json!({"ExitCode": code, "Output": output});
    let log = [check(1, "degraded"), check(1, "unhealthy: component `app`: db refused\n"), check(0, "")];
    let container = json!({"State": {"Health": {"Log": log}}});
    let why = "task: non-zero exit (143): dockerexec: unhealthy container";
    let expected = "it was unhealthy: unhealthy: component `app`: db refused";
    assert_eq!(unhealthy(why, &container).as_deref(), Some(expected));
    assert_eq!(unhealthy("task: non-zero exit (1)", &container), None);
}

#[test]
fn each_reason_is_noted_once_and_counted() {
    let mut failures = Failures::default();
    let note = failures.count("web", &failed(1, "cannot pull image `a`", Output::Elsewhere));
    assert_eq!(note.as_deref(), Some("task `web.1` failed: cannot pull image `a`"));
    for slot in 2..=17 {
        assert_eq!(failures.count("web", &failed(slot, "cannot pull image `a`", Output::Elsewhere)), None);
    }
    assert!(failures.count("web", &failed(1, "another", Output::Elsewhere)).is_some());
    assert!(failures.count("db", &failed(1, "another", Output::Elsewhere)).is_some(), "of another service");
    assert_eq!(failures.totals(), ["17 tasks of `web` failed: cannot pull image `a`"]);
    let notes: Vec<_> =
        (0..100).filter_map(|n| failures.count("db", &failed(1, &n.to_string(), Output::Elsewhere))).collect();
    assert_eq!(notes.len(), REASONS - 1);
    assert_eq!(failures.totals().first().map(String::as_str), Some("tasks of `db` with other reasons: 81"));
}

#[test]
fn the_hint_names_the_container_of_the_failed_task() {
    let of = |output: Output| hint(&[("web", Some(&failed(1, "x", output)))]);
    assert!(
        of(Output::Pod("web.1.abc".to_owned()))
            .starts_with("`outrigger logs web.1.abc` shows the output of task `web.1`; ")
    );
    assert!(of(Output::Container("web.1.abc".to_owned())).starts_with("`docker logs web.1.abc` shows"));
    assert!(of(Output::Elsewhere).starts_with("`docker service logs --raw t1` shows"));
    for listed in [of(Output::Nowhere), hint(&[("web", None)])] {
        assert_eq!(listed, "`docker service ps --no-trunc web` lists all of its tasks");
    }
    let (pod, plain) = (failed(1, "x", Output::Pod("web.1.abc".to_owned())), failed(2, "x", Output::Elsewhere));
    assert_eq!(
        hint(&[("web", Some(&pod)), ("api", None), ("db", Some(&plain))]),
        "`outrigger logs web.1.abc` shows the output of task `web.1`; `docker service logs --raw t2` shows the output of task `web.2`; \
         `docker service ps --no-trunc web api db` lists all of their tasks"
    );
}

#[test]
fn a_reason_is_one_line_with_an_end() {
    assert_eq!(short("a\n  b\x1b[2J c"), "a b[2J c");
    assert_eq!(short(&"é".repeat(600)).chars().count(), LONGEST + 1);
}
