//! `logs` shows what plugins made of the lines, whatever the controller's format, and what a component wrote only if it is asked for.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use outrigger::engine::Engine;

use super::commands::{Killed, command, json_lines, out, run};
use crate::e2e::pod::{PodUnderTest, component, wait_for};
use crate::support::engine_or_fail;

/// Two streams, and something that `redact` takes out.
const SPEAKER: &str = "echo 'jane.doe@example.com came'; echo 'to stderr' >&2; trap 'exit 0' TERM; while [ ! -e /config/go ]; do sleep 0.1; done; echo 'joe@example.com went'; while :; do sleep 0.1; done";

async fn speaking(name: &str, flags: &[&str]) -> Option<(outrigger::engine::docker::Docker, PodUnderTest)> {
    let engine = engine_or_fail().await?;
    let mut pod = PodUnderTest::new(&engine, name).await;
    flags.iter().for_each(|flag| pod.flag(flag));
    pod.label("outrigger.controller", "true");
    pod.volume_file("unused", "");
    let volume = format!("volumes: [\"{}:/config\"]", pod.host_directory());
    pod.label("pod.component.app", &component(SPEAKER, &volume));
    pod.label(
        "pod.component.web",
        &component("sleep 1; for n in $(seq 40); do echo line $n; done; exec sleep 1000", ""),
    );
    pod.label("pod.plugins", "[{redact: {patterns: [email]}}]");
    pod.start().await;
    pod.reaches("running").await;
    Some((engine, pod))
}

/// Until the engine's log has what the components have written.
async fn shows(words: &[&str], text: &str) -> String {
    let shown = std::cell::RefCell::new(String::new());
    wait_for(&format!("`outrigger {words:?}` shows `{text}`"), || async {
        let output = run(words).await;
        *shown.borrow_mut() = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success() && shown.borrow().contains(text)
    })
    .await;
    shown.into_inner()
}

#[tokio::test]
async fn logs_show_what_plugins_made_of_the_lines() {
    for (format, has_names) in [("text", true), ("json", true), ("plain", false)] {
        let flag = format!("--log-format={format}");
        let Some((_engine, pod)) = speaking("lines", &[&flag]).await else { return };
        let name = pod.name().to_owned();
        let shown = shows(&["logs", &name], "line 40").await;
        let shown = if shown.contains("came") { shown } else { shows(&["logs", &name], "came").await };
        let title = |component: &str| if has_names { format!("{component:10} | ") } else { format!("{:10} | ", "-") };
        let has = |line: &str| shown.lines().any(|shown| shown == line);
        assert!(has(&format!("{}[redacted] came", title("app"))), "{format}: {shown}");
        assert!(
            has(&format!("{}to stderr", title("app"))) && has(&format!("{}line 2", title("web"))),
            "{format}: {shown}"
        );
        assert!(!shown.contains("jane"), "{format}: {shown}");
        assert!(shown.lines().any(|line| line.starts_with("controller | ")), "{format}: {shown}");
        // A component's own log, as it was written.
        let raw = shows(&["logs", "--raw", "-c", "app", &name], "jane.doe@example.com came").await;
        assert!(!raw.contains("line 1"), "{raw}");
        let lines = json_lines(&out(&run(&["logs", "--json", "-n", "1", &name]).await));
        let of = |component: &str| lines.iter().filter(|line| line["component"] == component).collect::<Vec<_>>();
        let chosen = run(&["logs", "-c", "web", "-n", "2", &name]).await;
        if has_names {
            // The last line of each, also of one that wrote long before the others.
            assert_eq!((of("web").len(), &of("web")[0]["line"]), (1, &"line 40".into()), "{lines:?}");
            assert_eq!((of("app").len(), &of("app")[0]["pod"]), (1, &name.as_str().into()), "{lines:?}");
            let streams = json_lines(&out(&run(&["logs", "--json", &name]).await));
            let stderr = streams.iter().find(|line| line["line"] == "to stderr").unwrap();
            assert_eq!((&stderr["output"], &stderr["component"]), (&"stderr".into(), &"app".into()), "{stderr}");
            assert_eq!(out(&chosen), "web | line 39\nweb | line 40\n");
        } else {
            let told = String::from_utf8_lossy(&chosen.stderr).into_owned();
            assert_eq!(chosen.status.code(), Some(125), "{told}");
            assert!(told.contains("does not name the component of a line") && told.contains("--raw"), "{told}");
            assert!(lines.iter().any(|line| line["component"].is_null()), "{lines:?}");
        }
        // What comes later is followed, behind the last lines that were there.
        let mut words = vec!["logs", "-f", "-n", "1"];
        if has_names {
            words.extend(["-c", "app"]);
        }
        words.push(&name);
        let mut following = Killed(command(&words).stdout(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(following.0.stdout.take().unwrap()).lines();
        let next = tokio::task::spawn_blocking(move || (lines.next().unwrap().unwrap(), lines));
        let (first, mut rest) = next.await.unwrap();
        pod.change_file("go", "");
        let seen = tokio::task::spawn_blocking(move || {
            let mut seen = vec![first];
            while !seen.last().is_some_and(|line| line.contains("went")) {
                seen.push(rest.next().unwrap().unwrap());
            }
            seen
        });
        let seen = seen.await.unwrap();
        assert!(seen.last().unwrap().ends_with("| [redacted] went"), "{seen:?}");
        let said = |text: &str| seen.iter().filter(|line| line.ends_with(text)).count();
        assert!(said("| to stderr") <= 1 && said("| [redacted] went") == 1, "nothing comes twice: {seen:?}");
        assert_eq!(pod.stop().await, 0);
        // The components are gone; what they said is in the controller's log.
        let after = out(&run(&["logs", &name]).await);
        assert!(after.contains("[redacted] went") && !after.contains("joe"), "{after}");
    }
}

#[tokio::test]
async fn without_a_stream_logs_say_so_and_the_end_still_shows_what_plugins_made() {
    let Some((engine, pod)) = speaking("quiet", &["-logs=false", "--keep-failed=1"]).await else { return };
    let name = pod.name().to_owned();
    let shown = run(&["logs", &name]).await;
    let told = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(told.contains("runs with `--logs=false`") && told.contains("--raw"), "{told}");
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("came"));
    let chosen = run(&["logs", "-c", "app", &name]).await;
    assert_eq!(chosen.status.code(), Some(125), "{}", String::from_utf8_lossy(&chosen.stderr));
    assert_eq!(
        String::from_utf8_lossy(&run(&["logs", "-c", "controller", &name]).await.stderr),
        "",
        "it has all of it"
    );
    shows(&["logs", "--raw", "-c", "app", &name], "jane.doe@example.com came").await;
    // It fails: the message of the end has the lines as `redact` left them, what is kept has them as they were.
    let pid = engine.inspect(&format!("{name}.podlike.app")).await.unwrap().id;
    engine.signal(&pid, 9).await.unwrap();
    assert_eq!(pod.is_over().await, 137);
    let log = pod.log().await;
    assert!(log.contains("last output:") && log.contains("[redacted] came"), "{log}");
    assert!(!log.contains("jane"), "{log}");
    let kept = pod.components().await;
    assert!(kept.len() == 1 && kept[0].contains(".podlike.app.failed-"), "{kept:?}");
    engine.remove(&engine.inspect(&kept[0]).await.unwrap().id).await.unwrap();
}
