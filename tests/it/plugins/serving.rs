//! What plugins may do, and what they are told when they may not.

use std::time::Duration;

use outrigger::engine::{ExecOutput, Output};
use outrigger::hooks::{
    Batch, Change, ComponentEvent, ComponentEventKind, File, HealthTrigger, Hooks, Probe, Reaction, RolloutOutcome,
    SignalDecision, Status,
};
use outrigger::plugin::RequestKind;
use outrigger::plugin::imports::place::Place;
use outrigger::pod::PluginName;
use serde_json::json;

use super::{Pod, asked, component, page, plugin};

fn batch(of: &str, lines: &[&str]) -> Batch {
    let mut batch = Batch::new(component(of), Output::Stdout);
    for line in lines {
        batch.data.extend(line.as_bytes());
        batch.ends.push(u32::try_from(batch.data.len()).unwrap());
        batch.times.push(0);
    }
    batch
}

fn texts(batch: &Batch) -> Vec<String> {
    batch.lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

fn file(path: &str) -> File {
    File { component: component("app"), path: path.to_owned(), mode: 0o644, uid: 0, gid: 0, content: bytes(b"old") }
}

#[tokio::test]
async fn a_missing_grant_says_which_side_lacks_it() {
    let pod = Pod::new();
    assert_eq!(
        asked(&pod, "signal app 1", &[]).await,
        "denied `signals` for `app`: the pod does not grant it: add `signals: [app]` to the plugin's `grants`"
    );
    assert_eq!(
        asked(&pod, "signal app 1", &["signals db"]).await,
        "denied `signals` for `app`: the pod does not grant it: add `signals: [app]` to the plugin's `grants`"
    );
    assert_eq!(
        asked(&pod, "exec app", &[]).await,
        "denied `exec` for `app`: the plugin's manifest does not request it"
    );
    assert_eq!(
        asked(&pod, "read app /etc/x", &[]).await,
        "denied `files` for `app:/etc/x`: the pod does not grant it: add `files: [app:/etc/x]` to the plugin's `grants`"
    );
    assert!(asked(&pod, "read app /etc/../x", &["files *:/etc"]).await.starts_with("denied"));
    assert!(asked(&pod, "write app /root", &["files *:/etc"]).await.contains("manifest does not request"));
    assert_eq!(
        asked(&pod, "state", &[]).await,
        "denied `state` for `*`: the pod does not grant it: add `state: true` to the plugin's `grants`"
    );
    assert_eq!(
        asked(&pod, "pod", &[]).await,
        "denied `pod` for `*`: the pod does not grant it: add `pod: true` to the plugin's `grants`"
    );
    assert_eq!(
        asked(&pod, "watch /watched/x", &[]).await,
        "denied `watch` for `/watched/x`: the pod does not grant it: add `watch: [/watched/x]` to the plugin's `grants`"
    );
}

#[tokio::test]
async fn granted_requests_reach_the_pod_and_their_answers_the_plugin() {
    let mut pod = Pod::new();
    let mut requests = std::mem::replace(&mut pod.requests, tokio::sync::mpsc::channel(1).1);
    let serve = async {
        while let Some(request) = requests.recv().await {
            assert_eq!(request.plugin, plugin());
            match request.kind {
                RequestKind::Signal { component: to, signal, reply } => {
                    assert_eq!((to, signal), (component("app"), 12));
                    reply.send(Ok(())).unwrap();
                }
                RequestKind::Read { limit, reply, .. } => {
                    assert_eq!(limit, 100);
                    reply.send(Ok(file("/etc/x"))).unwrap();
                }
                RequestKind::Inspect { .. } => panic!("no plugin here inspects files"),
                RequestKind::Report { judgements, reply } => {
                    let [one] = &judgements[..] else { panic!("{judgements:?}") };
                    assert_eq!((one.check.as_str(), one.probe), ("disk", Probe::Readiness));
                    reply.send(Ok(())).unwrap();
                }
                RequestKind::Rollout { rollout, reply } => {
                    assert_eq!((rollout.summary.as_str(), rollout.files.len()), ("by itself", 1));
                    reply.send(Ok("7".to_owned())).unwrap();
                }
                RequestKind::Write { reply, .. } => reply.send(Err("disk full".to_owned())).unwrap(),
                RequestKind::Exec { reply, .. } => {
                    let (stdout, stderr) = (bytes(b""), bytes(b""));
                    reply.send(Ok(ExecOutput { exit_code: 3, stdout, stderr, truncated: false })).unwrap();
                }
            }
        }
    };
    let ask = async {
        assert_eq!(asked(&pod, "signal app 12", &["signals app"]).await, "ok ()");
        assert!(asked(&pod, "signal app 0", &["signals app"]).await.contains("there is no signal 0"));
        assert_eq!(asked(&pod, "read app /etc/x", &["files app:/etc"]).await, format!("ok {:?}", b"old"));
        let full = asked(&pod, "write app /etc/x", &["files app:/etc"]).await;
        assert!(full.contains("disk full"), "{full}");
        assert_eq!(asked(&pod, "report app disk", &[]).await, "ok ()");
        let ghost = asked(&pod, "report ghost disk", &[]).await;
        assert!(ghost.starts_with("invalid the answer names component `ghost`"), "{ghost}");
        assert_eq!(asked(&pod, "roll-out /etc/x", &["files app:/etc"]).await, "ok \"7\"");
        let beyond = asked(&pod, "roll-out /root/x", &["files app:/etc"]).await;
        assert!(beyond.starts_with("invalid a grant is missing: `files` for `app:/root/x`"), "{beyond}");
    };
    tokio::select! { () = serve => {}, () = ask => {} }
}

fn bytes(text: &'static [u8]) -> bytes::Bytes {
    bytes::Bytes::from_static(text)
}

#[tokio::test]
async fn the_pod_is_seen_as_granted_and_confined() {
    let pod = Pod::new();
    let view: serde_json::Value = serde_json::from_str(&asked(&pod, "pod", &["pod *"]).await).unwrap();
    assert_eq!(outrigger::plugin::schemas::mistakes("pod-view", &view), [""; 0]);
    assert_eq!((view["name"].as_str(), view["labels"]["l"].as_str()), (Some("pod"), Some("label")));
    let seen = |view: &serde_json::Value| -> Vec<String> {
        let parts = view["components"].as_array().unwrap().iter();
        parts.map(|it| format!("{}={}={}", it["name"], it["image"], it["state"]).replace('"', "")).collect()
    };
    assert_eq!(seen(&view), ["app=acme/app=running", "db=acme/db=running"]);
    let mut spec = pod.spec(json!({"tick": "ask pod"}), &["pod *"]);
    spec.scope = Some(component("db"));
    let set = pod.load(&[spec]).await.unwrap();
    let told = set.tick(&plugin()).await.unwrap_err().reason;
    let view = serde_json::from_str(told.strip_prefix("failed: ").unwrap()).unwrap();
    assert_eq!(seen(&view), ["db=acme/db=running"]);
}

#[tokio::test]
async fn watches_added_later_are_sent_on() {
    let mut pod = Pod::new();
    assert_eq!(asked(&pod, "watch /watched/x", &["watch /watched"]).await, "ok ()");
    let watch = pod.watches.try_recv().unwrap();
    assert_eq!((watch.source.as_str(), watch.debounce), ("/watched/x", Duration::from_millis(100)));
}

#[tokio::test]
async fn state_survives_the_host() {
    let pod = Pod::new();
    assert_eq!(asked(&pod, "state", &["state *"]).await, format!("ok Some({:?})", b"v"));
    assert!(pod.dir.path().join("state/p.keys").exists());
}

#[tokio::test]
async fn metrics_are_published_or_dropped() {
    let pod = Pod::new();
    let set = pod.with(json!({"tick": "ask metrics"}), &["metrics *"]).await;
    set.tick(&plugin()).await.unwrap_err();
    let text = page(&set);
    assert!(text.contains("outrigger_plugin_hits{plugin=\"p\",a=\"b\"} 2\n"), "{text}");
    assert!(text.contains("outrigger_hook_failures_total{plugin=\"p\",hook=\"tick\"} 1\n"), "{text}");
    let set = pod.with(json!({"tick": "ask metrics"}), &[]).await;
    set.tick(&plugin()).await.unwrap_err();
    assert!(!page(&set).contains("hits"));
}

#[tokio::test]
async fn wasi_gives_what_is_granted() {
    let pod = Pod::new();
    // Cargo sets it for every test.
    assert!(asked(&pod, "env CARGO_PKG_NAME", &["env CARGO_PKG_NAME"]).await.contains("outrigger"));
    assert_eq!(asked(&pod, "env CARGO_PKG_NAME", &["env OTHER"]).await, "None");
    let data = pod.dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("x"), "content").unwrap();
    let path = data.to_str().unwrap();
    let (cat, put) = (format!("cat {path}/x"), format!("put {path}/y"));
    assert_eq!(asked(&pod, &cat, &[&format!("dir {path}")]).await, "content");
    assert!(asked(&pod, &cat, &[]).await.starts_with("error"));
    assert!(asked(&pod, &put, &[&format!("dir {path}")]).await.starts_with("error"));
    assert!(!data.join("y").exists());
    assert!(asked(&pod, &format!("cat {path}/../secret"), &[&format!("dir {path}")]).await.starts_with("error"));
    // What `dir *` in the manifest allows does not make a grant of it.
    let told = pod.load(&[pod.spec(json!({}), &["dir /run/x"])]).await.unwrap_err().to_string();
    assert!(told.contains("contains no system directory"), "{told}");
}

#[tokio::test]
async fn a_secret_is_read_by_the_name_that_is_granted() {
    let pod = Pod::new();
    assert_eq!(
        asked(&pod, "secret token", &["secret other"]).await,
        "denied `secret` for `token`: the pod does not grant it: add `secret: [token]` to the plugin's `grants`"
    );
    let absent = "none-of-this-name-on-any-machine";
    assert_eq!(
        asked(&pod, &format!("secret {absent}"), &["secret *"]).await,
        format!("not-found the controller has no secret `{absent}`")
    );
    for wrong in ["../shadow", ".."] {
        assert!(asked(&pod, &format!("secret {wrong}"), &["secret *"]).await.starts_with("denied"), "{wrong}");
    }
    let elsewhere = Pod::at(Place::Elsewhere { environment: std::sync::Arc::default() });
    let told = asked(&elsewhere, "secret token", &["secret token"]).await;
    assert_eq!(told, "not-found the plugin gets secrets only in the controller");
}

#[tokio::test]
async fn elsewhere_grants_give_nothing_of_the_machine() {
    let environment = std::sync::Arc::new([("CARGO_PKG_VERSION".to_owned(), "of the pod".to_owned())].into());
    let pod = Pod::at(Place::Elsewhere { environment });
    assert!(asked(&pod, "env CARGO_PKG_VERSION", &["env CARGO_PKG_VERSION"]).await.contains("of the pod"));
    // This process has it.
    assert_eq!(asked(&pod, "env CARGO_PKG_NAME", &["env CARGO_PKG_NAME"]).await, "None");
    let data = pod.dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("x"), "content").unwrap();
    let path = data.to_str().unwrap();
    let grant = format!("dir {path}:rw");
    assert!(asked(&pod, &format!("cat {path}/x"), &[&grant]).await.starts_with("error"));
    assert!(asked(&pod, &format!("put {path}/y"), &[&grant]).await.starts_with("error"));
    assert!(!data.join("y").exists());
    // A directory that only the controller has is no reason to refuse the pod.
    assert!(asked(&pod, "cat /only/there/x", &["dir /only/there"]).await.starts_with("error"));
    assert_eq!(asked(&pod, "state", &["state *"]).await, format!("ok Some({:?})", b"v"));
    assert!(!pod.dir.path().join("state").exists(), "its keys are kept nowhere");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    assert_eq!(asked(&pod, &format!("tcp {host}"), &[&format!("tcp {host}")]).await, "error PermissionDenied");
    assert_eq!(
        asked(&pod, "lookup localhost", &["tcp localhost:80"]).await,
        asked(&pod, "lookup localhost", &[]).await
    );

    let set = pod.with(json!({}), &[&grant, "http a.b:80"]).await;
    assert_eq!(set.withheld(&plugin()), ["dir", "http"]);
    assert_eq!(set.notes(), [""; 0]);
}

#[tokio::test]
async fn elsewhere_who_lacks_something_is_left_out_and_who_lacks_nothing_is_wrong() {
    let config = json!({"configure": "fail"});
    let pod = Pod::at(Place::Elsewhere { environment: std::sync::Arc::default() });
    let set = pod.load(&[pod.spec(config.clone(), &["dir /only/there"])]).await.unwrap();
    let [note] = set.notes() else { panic!("{:?}", set.notes()) };
    assert!(note.starts_with("plugin `p` could not be checked here: ") && note.contains("on purpose"), "{note}");
    assert!(note.ends_with("the plugin gets `dir` only in the controller"), "{note}");
    assert_eq!(set.inspected().count(), 0);
    pod.load(&[pod.spec(config.clone(), &["state *"])]).await.unwrap_err();
    let controller = Pod::new();
    let data = controller.dir.path().to_str().unwrap().to_owned();
    controller.load(&[controller.spec(config, &[&format!("dir {data}")])]).await.unwrap_err();
}

#[tokio::test]
async fn before_there_are_components_requests_are_answered_at_once() {
    let pod = Pod::new();
    pod.link.served.store(false, std::sync::atomic::Ordering::Relaxed);
    let told = asked(&pod, "write app /etc/x", &["files app:/etc"]).await;
    assert!(told.contains("no component has been created yet"), "{told}");
    let told = asked(&pod, "signal app 12", &["signals app"]).await;
    assert!(told.contains("no component has been created yet"), "{told}");
}

#[tokio::test]
async fn sockets_reach_granted_hosts_only() {
    let pod = Pod::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ask = format!("tcp 127.0.0.1:{port}");
    assert_eq!(asked(&pod, &ask, &[&format!("tcp 127.0.0.1:{port}")]).await, "connected");
    assert_eq!(asked(&pod, &ask, &[&format!("tcp localhost:{port}")]).await, "connected");
    assert_eq!(asked(&pod, &ask, &["tcp 127.0.0.1:1"]).await, "error PermissionDenied");
    assert_eq!(asked(&pod, &ask, &[]).await, "error PermissionDenied");
    assert!(asked(&pod, "udp", &["tcp *"]).await.starts_with("error"));
    assert!(asked(&pod, "listen", &["tcp *"]).await.starts_with("error"));
    assert_eq!(asked(&pod, "lookup localhost", &["tcp localhost:80"]).await, "found true");
    assert_eq!(asked(&pod, "lookup localhost", &["tcp other:80"]).await, "error");
}

#[tokio::test]
async fn log_lines_pass_through_all_plugins_in_order() {
    let pod = Pod::new();
    let mut first = pod.spec(json!({"log-line": "prefix"}), &[]);
    first.name = PluginName::new("first").unwrap();
    let mut second = pod.spec(json!({"log-line": "prefix"}), &[]);
    second.name = PluginName::new("second").unwrap();
    second.scope = Some(component("db"));
    let holding = pod.spec(json!({"log-line": "hold"}), &[]);
    let set = pod.load(&[first, second, holding]).await.unwrap();
    let judged = set.log_lines(batch("app", &["a", "b"])).await.unwrap();
    assert_eq!((texts(&judged.keep), texts(&judged.hold)), (vec!["> a".to_owned()], vec!["b".to_owned()]));
    let judged = set.log_lines(batch("db", &["a", "b"])).await.unwrap();
    assert_eq!((texts(&judged.keep), texts(&judged.hold)), (vec!["> > a".to_owned()], vec!["b".to_owned()]));
    let mut last = judged.hold;
    last.flush = true;
    let judged = set.log_lines(last).await.unwrap();
    assert_eq!((texts(&judged.keep), judged.hold.len()), (vec!["> > b".to_owned()], 0));
}

#[tokio::test]
async fn lines_are_annotated_dropped_and_left_alone() {
    let pod = Pod::new();
    let set = pod.with(json!({"log-line": "annotate"}), &[]).await;
    let judged = set.log_lines(batch("app", &["a", "b"])).await.unwrap();
    assert_eq!(judged.keep.fields, br#"{"n":1}{"n":1}"#);
    let set = pod.with(json!({"log-line": "drop-all"}), &[]).await;
    assert!(set.log_lines(batch("app", &["a"])).await.unwrap().keep.is_empty());
    let set = pod.with(json!({}), &[]).await;
    let before = batch("app", &["a", "b"]);
    assert_eq!(set.log_lines(before.clone()).await.unwrap().keep, before);
}

#[tokio::test]
async fn every_hook_carries_its_decision() {
    let pod = Pod::new();
    let config = json!({
        "pre-start": "good", "config-copy": "good", "health": "good", "signal": "good", "component-event": "restart",
        "config-changed": "good",
    });
    let set = pod.with(config, &["plan components.app.environment", "files app:/etc", "signals app"]).await;
    let overlay = set.pre_start(&plugin(), "{}".to_owned()).await.unwrap().unwrap();
    assert_eq!(overlay, r#"{"components":{"app":{"environment":{"A":"1"}}}}"#);
    let files = set.config_copy("/src", file("/conf")).await.unwrap();
    let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), &file.content[..])).collect();
    assert_eq!(seen, [("/conf", b"old seen".as_slice()), ("/etc/more", b"new")]);
    let judgements = set.health(&plugin(), HealthTrigger::Interval).await.unwrap();
    assert_eq!(judgements[0].component, Some(component("app")));
    assert_eq!((judgements[1].component.clone(), judgements[1].status), (None, Status::Degraded));
    assert_eq!(set.signal(10).await.unwrap(), SignalDecision::Deliver(vec![(component("app"), 12)]));
    let event = |kind| ComponentEvent { component: component("app"), kind, at_ns: 1, sequence: 1, restarts: 0 };
    let exited = ComponentEventKind::Exited { exit_code: 1, oom_killed: false };
    assert_eq!(set.component_event(event(exited)).await.unwrap(), Reaction::Restart(50));
    assert_eq!(set.component_event(event(ComponentEventKind::Started)).await.unwrap(), Reaction::AsPlanned);
    let change = Change {
        source: "/s".to_owned(),
        path: "/s/x".to_owned(),
        digest: String::new(),
        content: bytes(b"c"),
        removed: false,
    };
    let rollout = set.config_changed(&plugin(), vec![change]).await.unwrap().unwrap();
    assert_eq!((rollout.summary.as_str(), rollout.files.len()), ("1 changes", 1));
    set.rollout_ended(&plugin(), None, RolloutOutcome::Applied, "well".to_owned()).await.unwrap();
    assert_eq!(set.tick(&plugin()).await, Ok(Some(10)), "a tick may not come sooner than after 10 ms");
}

#[tokio::test]
async fn a_confined_plugin_gets_only_its_component() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"pre-start": "tell", "config-copy": "skip", "component-event": "stop"}), &[]);
    spec.scope = Some(component("db"));
    let set = pod.load(&[spec]).await.unwrap();
    let plan = r#"{"components":{"app":{"image":"a"},"db":{"image":"d"}},"plugins":[{"secret":{}}]}"#.to_owned();
    let told = set.pre_start(&plugin(), plan).await.unwrap_err().reason;
    assert_eq!(told, r#"failed: {"components":{"db":{"image":"d"}}}"#);
    assert_eq!(set.config_copy("/src", file("/conf")).await.unwrap().len(), 1);
    let kind = ComponentEventKind::Exited { exit_code: 1, oom_killed: false };
    let event = ComponentEvent { component: component("app"), kind, at_ns: 1, sequence: 1, restarts: 0 };
    assert_eq!(set.component_event(event).await.unwrap(), Reaction::AsPlanned);
}

#[tokio::test]
async fn only_the_events_that_a_plugin_asks_for_wake_it() {
    let pod = Pod::new();
    let exited = ComponentEventKind::Exited { exit_code: 7, oom_killed: true };
    let event = |kind| ComponentEvent { component: component("app"), kind, at_ns: 5, sequence: 9, restarts: 2 };
    let set = pod.with(json!({"component-event": "tell", "events": ["exited"]}), &[]).await;
    assert_eq!(set.component_event(event(ComponentEventKind::Started)).await.unwrap(), Reaction::AsPlanned);
    let told = set.component_event(event(exited)).await.unwrap_err().reason;
    let told: serde_json::Value = serde_json::from_str(told.strip_prefix("failed: ").unwrap()).unwrap();
    assert_eq!(outrigger::plugin::schemas::mistakes("event", &told), [""; 0]);
    let expected = json!({
        "kind": "exited", "component": "app", "at_ns": 5, "sequence": 9, "run": 3, "restarts": 2, "exit_code": 7,
        "oom_killed": true,
    });
    assert_eq!(told, expected);
    let set = pod.with(json!({"component-event": "fail", "events": []}), &[]).await;
    assert_eq!(set.component_event(event(exited)).await.unwrap(), Reaction::AsPlanned);
    let refused = pod.load(&[pod.spec(json!({"events": ["dawn"]}), &[])]).await.unwrap_err().to_string();
    assert!(refused.contains("there is no event `dawn`"), "{refused}");
    for (act, expected) in [("planned", Reaction::AsPlanned), ("stop", Reaction::StopPod)] {
        let set = pod.with(json!({"component-event": act}), &[]).await;
        assert_eq!(set.component_event(event(exited)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn state_is_swapped_by_version() {
    let pod = Pod::new();
    assert_eq!(asked(&pod, "swap", &["state *"]).await, r#"ok "None None true [\"swapped\"]""#);
}

#[tokio::test]
async fn the_setup_names_the_instance_and_its_grants() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"tick": "setup", "wants": ["state *"]}), &["state *", "verdicts app"]);
    spec.grants = Some(vec![super::grant("state *"), super::grant("verdicts app")]);
    let set = pod.load(&[spec]).await.unwrap();
    let told = set.tick(&plugin()).await.unwrap_err().reason;
    let setup: serde_json::Value = serde_json::from_str(told.strip_prefix("failed: ").unwrap()).unwrap();
    assert_eq!(outrigger::plugin::schemas::mistakes("setup", &setup), [""; 0]);
    let expected = json!({
        "name": "p", "class": "patient", "trial": false, "component": null,
        "config": {"tick": "setup", "wants": ["state *"]},
        "host": {"version": env!("CARGO_PKG_VERSION")},
        "granted": [{"capability": "state", "scope": "*"}, {"capability": "verdicts", "scope": "app"}],
    });
    assert_eq!(setup, expected);
}

#[tokio::test]
async fn hooks_of_a_plugin_that_wants_one_instance_share_it() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"tick": "setup"}), &[]);
    spec.source = pod.file(&crate::support::guests::describing("alone"));
    let set = pod.load(&[spec]).await.unwrap();
    let told = set.tick(&plugin()).await.unwrap_err().reason;
    assert!(told.contains(r#""class":"all""#), "{told}");
    let batch = batch("app", &["a"]);
    assert_eq!(set.log_lines(batch.clone()).await.unwrap().keep, batch);
}

#[tokio::test]
async fn the_least_version_of_the_host_is_held_to() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({}), &[]);
    spec.source = pod.file(&crate::support::guests::describing("newer"));
    let refused = pod.load(&[spec]).await.unwrap_err().to_string();
    assert!(refused.contains("the plugin needs Outrigger 99.0.0 or later, and this is"), "{refused}");
}

#[tokio::test]
async fn mistakes_in_a_configuration_have_their_places() {
    let pod = Pod::new();
    let refused = pod.load(&[pod.spec(json!({"configure": "problems"}), &[])]).await.unwrap_err();
    let shown: Vec<_> = refused.0.iter().map(|it| (it.field.as_str(), it.what.as_str(), it.hint.as_str())).collect();
    assert_eq!(shown, [("p.a.b[1]", "is odd", "make it even"), ("p", "all is wrong", "")]);
    let refused = pod.load(&[pod.spec(json!({"configure": "no-problem"}), &[])]).await.unwrap_err().to_string();
    assert!(refused.contains("refused the configuration, and named no mistake"), "{refused}");
    let refused = pod.load(&[pod.spec(json!({"configure": "no-json"}), &[])]).await.unwrap_err().to_string();
    assert!(refused.contains("the answer is wrong: EOF while parsing"), "{refused}");
}

#[tokio::test]
async fn long_contents_pass_through_by_digest() {
    let pod = Pod::new();
    let big = bytes::Bytes::from((0..8_u32 << 20).map(|byte| (byte % 253) as u8).collect::<Vec<_>>());
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&big));
    let change = |content: &bytes::Bytes, digest: &str| Change {
        source: "/s".to_owned(),
        path: "/s/x".to_owned(),
        digest: digest.to_owned(),
        content: content.clone(),
        removed: false,
    };
    let mut spec =
        pod.spec(json!({"config-changed": "tail", "config-copy": "tell"}), &["files app:/etc", "signals app"]);
    // Less than twice the file.
    spec.limits.memory = Some(12 << 20);
    let set = pod.load(&[spec]).await.unwrap();
    let rollout = set.config_changed(&plugin(), vec![change(&big, &digest)]).await.unwrap().unwrap();
    assert_eq!(rollout.summary, format!("[{}] of {}", big[big.len() - 1], big.len()));
    assert_eq!((&rollout.files[0].content, rollout.files[0].mode), (&big, None));
    let told = |content: bytes::Bytes| {
        let set = set.clone();
        async move {
            let file = File { content, ..file("/conf") };
            set.config_copy("/src", file).await.unwrap_err().reason
        }
    };
    assert_eq!(told(big.slice(..64 << 10)).await, "failed: bytes 65536");
    assert_eq!(told(big.slice(..(64 << 10) + 1)).await, "failed: stored 65537");
    assert_eq!(asked(&pod, "content 100000", &[]).await, "ok 100000");
    assert_eq!(asked(&pod, "content 8388609", &[]).await, "too-big a content can have at most 8388608 bytes");
    assert!(asked(&pod, "stale", &[]).await.starts_with("not-found there is no content"));
    let set = pod.with(json!({"config-copy": "stale"}), &[]).await;
    let told = set.config_copy("/src", file("/conf")).await.unwrap_err().reason;
    assert!(told.contains("there is no content `0000"), "{told}");
}

#[tokio::test]
async fn open_rights_are_those_of_the_file() {
    let pod = Pod::new();
    let set = pod.with(json!({"config-copy": "open"}), &[]).await;
    let given = File { mode: 0o640, uid: 5, gid: 6, ..file("/conf") };
    assert_eq!(set.config_copy("/src", given.clone()).await.unwrap(), [given]);
}

#[tokio::test]
async fn wrong_rollouts_are_refused_with_their_place() {
    let pod = Pod::new();
    let change = || Change {
        source: "/s".to_owned(),
        path: "/s/x".to_owned(),
        digest: "d".to_owned(),
        content: bytes(b"c"),
        removed: false,
    };
    for (act, expected) in [
        ("bad-step", "`validate[0]` must be a `run` step"),
        ("bad-key", "the rollout is wrong: unknown field `canary`"),
    ] {
        let set = pod.with(json!({"config-changed": act}), &["files app:/etc", "signals app"]).await;
        let told = set.config_changed(&plugin(), vec![change()]).await.unwrap_err().reason;
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn batches_have_a_source_and_lines_that_came_again_are_counted() {
    let pod = Pod::new();
    let set = pod.with(json!({"log-line": "tell"}), &[]).await;
    let mut given = Batch { run: 4, times: vec![7, 9], ..batch("app", &["a", "b"]) };
    given.last = true;
    let told = set.log_lines(given).await.unwrap_err().reason;
    assert_eq!(told, "failed: component=app output=stdout run=4 again=0 flush=false last=true times=[7, 9]");

    let plugin = |name: &str, act: &str| {
        let mut spec = pod.spec(json!({"log-line": act}), &[]);
        spec.name = PluginName::new(name).unwrap();
        spec
    };
    // The first one sees all lines; the second holds the last two of its own.
    let set = pod.load(&[plugin("first", "annotate"), plugin("holds", "hold-new"), plugin("last", "")]).await.unwrap();
    let judged = set.log_lines(batch("app", &["a", "b", "c"])).await.unwrap();
    assert_eq!(
        (texts(&judged.keep), texts(&judged.hold)),
        (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()])
    );
    let seen: Vec<_> = judged.hold.seen.iter().map(|(plugin, lines)| (plugin.as_str(), *lines)).collect();
    assert_eq!(seen, [("first", 2), ("holds", 2)], "the last one has seen neither");
    let mut next = judged.hold;
    next.data.extend(b"d");
    next.ends.push(3);
    next.times.push(0);
    let judged = set.log_lines(next).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&judged.keep.fields), r#"{"n":1,"again":2}{"n":1}"#);
    assert_eq!(texts(&judged.hold), ["d"]);
}

#[tokio::test]
async fn lines_of_several_become_one_record() {
    let pod = Pod::new();
    let set = pod.with(json!({"log-line": "join"}), &[]).await;
    let judged = set.log_lines(batch("app", &["Error", "  at x", "  at y"])).await.unwrap();
    assert_eq!(texts(&judged.keep), ["Error\n  at x\n  at y"]);
    let set = pod.with(json!({"log-line": "bad-join"}), &[]).await;
    let told = set.log_lines(batch("app", &["a"])).await.unwrap_err().reason;
    assert_eq!(told, "line 0 is in `join`, but no line is left before it");
}

#[tokio::test]
async fn codes_of_errors_are_understood() {
    let pod = Pod::new();
    for (act, expected) in [
        ("odd-code", "failed: on purpose"),
        ("timeout", "failed (timeout): on purpose"),
        ("denied", "reported a missing permission: on purpose"),
        ("bad-config", "reported a wrong configuration: on purpose"),
    ] {
        let set = pod.with(json!({"tick": act}), &[]).await;
        assert_eq!(set.tick(&plugin()).await.unwrap_err().reason, expected, "{act}");
    }
}
