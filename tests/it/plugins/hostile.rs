//! Lines that somebody wrote to make `redact` fail, and files that somebody wrote to make `reload` fail: the plugins that ship, what the controller passes to
//! them, and the limits that they have.

use std::collections::BTreeMap;
use std::time::Duration;

use outrigger::config::Timeouts;
use outrigger::engine::Output;
use outrigger::hooks::{Batch, Change, FileFacts, Hooks, RolloutOutcome, limits};
use outrigger::plugin::host::stock;
use outrigger::plugin::host::{Host, HostDirs};
use outrigger::plugin::imports::place::Place;
use outrigger::plugin::set::PluginSet;
use outrigger::plugin::{Request, RequestKind};
use outrigger::pod::{OnError, OnErrors, PluginLimits, PluginSpec};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{Pod, component, grant, plugin, shared_cache};

/// The longest line that a plugin receives.
const LONGEST: usize = 1 << 20;
/// Bytes of a batch of several lines, and its lines.
const BATCH: (usize, usize) = (64 << 10, 256);
/// Ends every line; found by `email` wherever it stands.
const SECRET: &str = " jane.doe@example.org";

/// What a line begins with, and what it goes on with until it is long enough.
const LINES: [(&str, &str); 60] = [
    ("", "\\\"a@b.co"),
    ("", "\x1b[31m"),
    ("", "\x1b[31mx"),
    ("", "\x1b"),
    ("", "\x1b[1;"),
    ("", "#033["),
    ("", "#033[x"),
    ("", "^[[0m@"),
    ("", "\\"),
    ("password=", "\\\\\\"),
    ("", "\\u0040"),
    ("", "\\\""),
    ("", "a@b.co "),
    ("", "a@"),
    ("", "@"),
    ("", "a.a@1.js."),
    ("", "é@é."),
    ("", "4"),
    ("", "4111 "),
    ("", "4111111111111111 "),
    ("", "DE89 3704 "),
    ("", "1.1."),
    ("", "bearer eyJ.eyJ."),
    ("", "https://u:p@"),
    ("", "%2540"),
    ("a%252525252540b ", "x"),
    ("", "&#64;"),
    ("", "password=x "),
    ("", "password="),
    ("", "password=( "),
    ("password=", "("),
    ("password=", "{'"),
    ("", "name=\"password\">"),
    ("", ":password:"),
    ("password: a", " "),
    ("", "{\"a\":["),
    ("{\"password\":\"", "\\u001b[1m"),
    ("", "://u:a/"),
    ("password: x ", "://u:a@b/"),
    ("", "password=p%61"),
    ("", "<password><![CDATA["),
    ("password=\"a\"", " + \"a\""),
    ("", "[[\"password\","),
    ("", "password= \""),
    ("password=", "<a"),
    ("", "password\0"),
    ("", "Key (password)=("),
    ("Key (a", ", password),"),
    ("", "<password><b>"),
    ("", "<password></b"),
    ("", "password: value "),
    ("set password for ", "set password for '"),
    ("", "password in ('"),
    ("", "u:p@tcp("),
    ("", "name:password value:"),
    ("", "BEARER: "),
    ("", "order-1 "),
    ("", "order-"),
    ("", "ab"),
    ("{\"a\":\"", "order-1 a@b.co "),
];

fn line(head: &str, unit: &str, bytes: usize) -> String {
    let mut line = head.to_owned();
    while line.len() + unit.len() + SECRET.len() <= bytes {
        line.push_str(unit);
    }
    line + SECRET
}

fn batch(lines: &[String]) -> Batch {
    let mut batch = Batch::new(component("app"), Output::Stdout);
    for line in lines {
        batch.data.extend_from_slice(line.as_bytes());
        batch.ends.push(u32::try_from(batch.data.len()).unwrap());
        batch.times.push(0);
    }
    batch
}

#[tokio::test]
async fn no_line_makes_redact_fail() {
    let pod = Pod::new();
    let dirs = HostDirs {
        precompiled: pod.dir.path().join("plugins"),
        cache: shared_cache(),
        state: pod.dir.path().join("state"),
    };
    // The deadlines of a pod that sets none.
    let host = Host::new(dirs, Timeouts::default(), Place::Controller).unwrap();
    let redact = |config| PluginSpec {
        name: plugin(),
        origin: "pod.plugins".to_owned(),
        source: pod.file(stock::wasm("redact").unwrap()),
        scope: None,
        grants: Some(vec![grant("lines *")]),
        limits: PluginLimits::default(),
        on_error: OnErrors { default: OnError::Fail, hooks: BTreeMap::new() },
        health_interval: Duration::from_secs(10),
        config,
    };
    let all = json!({
        "fields": ["password", "authorization", "api_key", "secret"],
        "patterns": ["email", "card", "iban", "ipv4", "token"],
    });
    let mut wrong = Vec::new();
    // Replacements that make a line of short values many times as long, and expressions of the user's: with a group, that match everywhere, and that read to the end
    // of the line for each match.
    let mut configs = vec![json!({}), all];
    configs.extend([24, 28, 40, 700].map(
        |bytes| json!({"fields": ["password"], "patterns": ["email", "token"], "replacement": "r".repeat(bytes)}),
    ));
    let order = json!({"name": "order", "regex": "order-([0-9]+)"});
    configs.push(json!({"patterns": ["email", order.clone()], "replacement": "[{name} has been removed here]"}));
    configs.push(json!({
        "fields": ["password"],
        "patterns": [
            "email", "card", "iban", "ipv4", "token", order,
            {"name": "any", "regex": "[a-z]*"},
            {"name": "far", "regex": ".*[^ -~]|order|a"},
            {"name": "wide", "regex": "[ab]*a[ab]{20}c"},
            {"name": "pair", "regex": "([a-z]+)[-@]([a-z0-9]+)"},
        ],
    }));
    for config in configs {
        for (head, unit) in LINES {
            let set = PluginSet::load(&host, &[redact(config.clone())], &[component("app")], &pod.link).await.unwrap();
            for lines in [vec![line(head, unit, LONGEST)], vec![line(head, unit, BATCH.0 / BATCH.1); BATCH.1]] {
                let what = format!("{config}: {head:?} and {unit:?}, {} lines", lines.len());
                match set.log_lines(batch(&lines)).await {
                    Err(failure) => wrong.push(format!("{what}: {failure}")),
                    Ok(judged) if memchr::memmem::find(&judged.keep.data, SECRET.as_bytes()).is_some() => {
                        wrong.push(format!("{what}: the address stays"));
                    }
                    Ok(judged) => assert!(judged.keep.len() >= lines.len(), "{what}: a line is gone"),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn change(name: &str, content: Vec<u8>) -> Change {
    let digest = hex::encode(Sha256::digest(&content));
    Change { source: "/w".to_owned(), path: format!("/w/{name}"), digest, content: content.into(), removed: false }
}

fn reload(pod: &Pod, config: Value) -> PluginSpec {
    PluginSpec {
        name: plugin(),
        origin: "pod.plugins".to_owned(),
        source: pod.file(stock::wasm("reload").unwrap()),
        scope: None,
        grants: Some(["watch /w", "files app:/", "exec app", "signals app", "metrics *"].map(grant).to_vec()),
        limits: PluginLimits::default(),
        // The first failure is one too many.
        on_error: OnErrors { default: OnError::Fail, hooks: BTreeMap::new() },
        health_interval: Duration::from_secs(10),
        config,
    }
}

/// Answers what is asked about files, each time after `delay`: some are there, with another content.
async fn answer(requests: &mut mpsc::Receiver<Request>, delay: Duration) {
    while let Some(request) = requests.recv().await {
        let RequestKind::Inspect { paths, reply, .. } = request.kind else { panic!("{request:?}") };
        assert!(paths.len() <= limits::MOST_FILES);
        tokio::time::sleep(delay).await;
        let facts = |path: &String| {
            let digest = "0".repeat(64);
            path.ends_with('0').then_some(FileFacts { mode: 0o640, uid: 1, gid: 2, digest })
        };
        reply.send(Ok(paths.iter().map(facts).collect())).unwrap();
    }
}

fn host(pod: &Pod, timeouts: Timeouts) -> Host {
    let dirs = HostDirs {
        precompiled: pod.dir.path().join("plugins"),
        cache: shared_cache(),
        state: pod.dir.path().join("state"),
    };
    Host::new(dirs, timeouts, Place::Controller).unwrap()
}

/// Reports of the longest kinds that the controller makes: by count, by bytes, by names. The same plugin gets one after the other, each is refused, and all the
/// time the plugin has the memory of a pod that sets none.
#[tokio::test]
async fn no_report_makes_reload_fail() {
    let mut pod = Pod::new();
    let host = host(&pod, Timeouts::default());
    let one = |target: &str, more: &str| -> Value {
        serde_json::from_str(&format!(r#"{{"watch": "/w", "component": "app", "target": "{target}"{more}}}"#)).unwrap()
    };
    let configs = [
        one("/t", ""),
        one("/t", r#", "validate": [["a", "{candidate}"], ["b", "{candidate}"]], "verify": [["c"]], "restart": true"#),
        json!({"rules": [one("/t", ""), one("/u", r#", "validate": ["a", "{candidate}"]"#), one("/v", "")]}),
    ];
    let some = |count: usize, bytes: usize, seed: u8| -> Vec<Change> {
        (0..count).map(|n| change(&format!("{n}"), vec![seed; bytes])).collect()
    };
    let names =
        ["\n", "a\u{1b}[31m", "}", "{candidate}", "{candidate:/t/x}", "..", "*", ":", "'\"$(x)", "\u{202e}", "-rf"];
    let strange: Vec<_> = names.iter().map(|name| change(name, vec![1])).collect();
    let long: Vec<_> =
        (0..256).map(|n| change(&format!("{}{n}", format!("{}/", "x".repeat(255)).repeat(15)), vec![1])).collect();
    let longest = limits::LARGEST_FILE as usize;
    let link = pod.link.clone();
    for (number, config) in configs.into_iter().enumerate() {
        let spec = reload(&pod, config);
        let set = PluginSet::load(&host, &[spec], &[component("app")], &link).await.unwrap();
        assert_eq!(set.report_limit(&plugin()), longest);
        let rules = if number == 2 { 3 } else { 1 };
        let work = async {
            for seed in 0..3 {
                let reports = [
                    some(256, 1, seed),
                    some(1, longest, seed),
                    some(256, longest / 256, seed),
                    some(4, longest / 4, seed),
                    some(2, longest / 2, seed),
                    some(256, 1, seed + 10),
                    some(1, longest, seed + 10),
                    strange.clone(),
                    long.clone(),
                ];
                for (kind, report) in reports.into_iter().enumerate() {
                    let (mut left, mut files) = (report, 0);
                    while !left.is_empty() {
                        let told = set.config_changed(&plugin(), left.clone()).await;
                        let told =
                            told.unwrap_or_else(|error| panic!("configuration {number}, report {kind}: {error}"));
                        let later = set.put_off(&plugin());
                        assert!(later.len() < left.len());
                        left.retain(|change| later.contains(&change.path));
                        if let Some(rollout) = told {
                            files += rollout.files.len();
                            set.rollout_ended(&plugin(), None, RolloutOutcome::Refused, "no".to_owned()).await.unwrap();
                        }
                    }
                    // Nothing is lost but the third copy of the longest file.
                    match kind {
                        0 | 5 if seed == 0 => assert!(files >= 256 * rules, "report {kind}: {files}"),
                        1 | 6 => assert!(files >= 1, "report {kind}: {files}"),
                        _ => {}
                    }
                }
            }
        };
        tokio::select! { () = answer(&mut pod.requests, Duration::ZERO) => unreachable!(), () = work => {} }
        assert_eq!(set.standing().iter().map(|it| it.failures).sum::<u64>(), 0);
    }
}

/// A call that waits for an engine that is away, or hangs, for longer than the plugin may take.
#[tokio::test]
async fn waiting_for_the_engine_is_not_the_time_of_the_plugin() {
    let mut pod = Pod::new();
    let wait = Duration::from_millis(300);
    let host = host(&pod, Timeouts { wait_hook: wait, ..Timeouts::default() });
    let spec = reload(&pod, json!({"watch": "/w", "component": "app", "target": "/t"}));
    let set = PluginSet::load(&host, &[spec], &[component("app")], &pod.link).await.unwrap();
    let (report, name) = (vec![change("a", vec![1])], plugin());
    let told = tokio::select! {
        () = answer(&mut pod.requests, 4 * wait) => unreachable!(),
        told = set.config_changed(&name, report) => told,
    };
    assert_eq!(told.unwrap().unwrap().files.len(), 1);
}
