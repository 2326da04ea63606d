//! A service with several replicas on one engine: `status`, `logs` and `events` show all of them, `debug` asks for one.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Deserializer, Value};

use super::commands::{Killed, command, json_lines, out, run};
use crate::e2e::pod::{PodUnderTest, component};
use crate::support::{IMAGE, engine_or_fail};

#[tokio::test]
async fn a_service_is_all_of_its_replicas() {
    let Some(engine) = engine_or_fail().await else { return };
    let project = crate::support::unique("cli", "project");
    let mut pods = Vec::new();
    for number in ["1", "2"] {
        let mut pod = PodUnderTest::new(&engine, &format!("replica{number}")).await;
        pod.label("outrigger.controller", "true");
        pod.label("com.docker.compose.project", &project);
        pod.label("com.docker.compose.service", "api");
        pod.label("com.docker.compose.container-number", number);
        let script = format!("echo from {number}; trap 'exit 0' TERM; while :; do sleep 0.1; done");
        pod.label("pod.component.app", &component(&script, ""));
        pod.start().await;
        pod.says(&format!("[out] app: from {number}")).await;
        pod.reaches("running").await;
        pods.push(pod);
    }
    let service = format!("{project}/api");
    let names: Vec<String> = pods.iter().map(|pod| pod.name().to_owned()).collect();

    let status = out(&run(&["status", &service, "--json"]).await);
    let all: Vec<Value> = Deserializer::from_str(&status).into_iter().map(Result::unwrap).collect();
    let mut found: Vec<_> = all.iter().map(|status| status["pod"].as_str().unwrap().to_owned()).collect();
    found.sort();
    let mut expected = names.clone();
    expected.sort();
    assert_eq!(found, expected);
    let text = out(&run(&["status", &project]).await);
    assert!(names.iter().all(|name| text.contains(&format!("pod `{name}`: running"))), "{text}");

    let text = out(&run(&["logs", "-c", "app", &service]).await);
    assert_eq!(text, "api.1/app | from 1\napi.2/app | from 2\n");
    let lines = json_lines(&out(&run(&["logs", "--json", "--raw", "-c", "app", &service]).await));
    let said: Vec<_> =
        lines.iter().map(|line| (line["pod"].as_str().unwrap(), line["line"].as_str().unwrap())).collect();
    assert_eq!(said, [(names[0].as_str(), "from 1"), (names[1].as_str(), "from 2")]);

    let watching = command(&["events", &service, "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut watching = Killed(watching);
    let debug = run(&["debug", &service, &format!("--image={IMAGE}"), "--", "true"]).await;
    let told = String::from_utf8_lossy(&debug.stderr).into_owned();
    assert_eq!(debug.status.code(), Some(125), "{told}");
    assert!(told.contains("matches several pods") && told.contains("name one pod: `api.1`, `api.2`"), "{told}");
    for pod in &pods {
        assert_eq!(pod.stop().await, 0);
    }
    let ended = tokio::task::spawn_blocking(move || {
        let mut ended = std::collections::BTreeSet::new();
        for line in BufReader::new(watching.0.stdout.take().unwrap()).lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if event["event"] == "exit" && event["component"].is_null() {
                ended.insert(event["pod"].as_str().unwrap().to_owned());
            }
            if ended.len() == 2 {
                break;
            }
        }
        ended.into_iter().collect::<Vec<_>>()
    });
    assert_eq!(ended.await.unwrap(), expected);
    // Nothing of it runs: the last run of each is shown.
    let after = out(&run(&["logs", "-c", "app", &service]).await);
    assert_eq!(after, text);
}
