//! A plugin that does what its configuration says, however wrong: `{"<hook>": "<act>"}`.
//!
//! `describe` gets no configuration; what it does stands in [`MODE`], which the tests change in the compiled file.

use std::cell::RefCell;

use serde_json::{Value, json};

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package test:naughty;
        world naughty {
            include outrigger:pod/base@0.1.0;
            export outrigger:pod/pre-start@0.1.0;
            export outrigger:pod/config-copy@0.1.0;
            export outrigger:pod/health@0.1.0;
            export outrigger:pod/log-line@0.1.0;
            export outrigger:pod/signal@0.1.0;
            export outrigger:pod/component-event@0.1.0;
            export outrigger:pod/config-changed@0.1.0;
            export outrigger:pod/tick@0.1.0;
        }
    ",
    world: "test:naughty/naughty",
    generate_all,
});

use exports::outrigger::pod::{component_event, config_changed, config_copy, health, log_line, plugin, pre_start, signal, tick};
use outrigger::pod::common::{self, Attr, Content, Error, File};
use outrigger::pod::{contents, exec, files, log, metrics, pod, rollouts, secret, signals, state, verdicts, watch};

/// What `describe` does: the word after the colon.
static MODE: [u8; 32] = *b"describe-mode:plain.............";

thread_local! {
    static CONFIG: RefCell<Value> = const { RefCell::new(Value::Null) };
    static SETUP: RefCell<Value> = const { RefCell::new(Value::Null) };
    static KEPT: RefCell<Vec<contents::Draft>> = const { RefCell::new(Vec::new()) };
}

struct Naughty;
export!(Naughty);

fn mode() -> String {
    // SAFETY: a plain read; volatile, so that the compiler does not fold the value that the tests change.
    let mode = unsafe { std::ptr::read_volatile(&MODE) };
    let text = String::from_utf8_lossy(&mode).into_owned();
    text.trim_start_matches("describe-mode:").trim_end_matches('.').to_owned()
}

fn act(hook: &str) -> String {
    CONFIG.with_borrow(|config| config.get(hook).and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn spin() -> ! {
    let mut x = 0_u64;
    loop {
        x = std::hint::black_box(x.wrapping_add(1));
    }
}

fn number(act: &str) -> u64 {
    act.rsplit_once(' ').and_then(|(_, n)| n.parse().ok()).unwrap_or_default()
}

fn error(code: &str, text: &str) -> Error {
    Error { code: code.to_owned(), text: text.to_owned(), retry_ms: None }
}

fn failed(text: &str) -> Error {
    error("failed", text)
}

fn retry(ms: u32) -> Error {
    Error { retry_ms: Some(ms), ..error("not-ready", "") }
}

/// What any hook may do; false where the act is the hook's own.
fn misbehave(act: &str) -> Result<bool, Error> {
    let word = act.split(' ').next().unwrap_or_default();
    match word {
        "spin" => spin(),
        "trap" => std::process::abort(),
        "panic" => panic!("the glass is empty\nand \u{1b}[31mred"),
        "hog" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        // Never given back, as a language with garbage collection never gives memory back.
        "leak" => std::mem::forget(std::hint::black_box(vec![1_u8; (number(act) as usize) << 20])),
        "sleep" => std::thread::sleep(std::time::Duration::from_millis(number(act))),
        "fail" => return Err(failed("on purpose")),
        "bad-config" => return Err(error("bad-config", "on purpose")),
        "denied" => return Err(error("denied", "on purpose")),
        "retry" => return Err(retry(number(act) as u32)),
        "odd-code" => return Err(error("out-of-tea", "on purpose")),
        "timeout" => return Err(error("timeout", "on purpose")),
        // So often, counted beyond restarts.
        "trap-times" | "retry-times" | "fail-times" => {
            let key = format!("{word}-count");
            let seen = state::get(&key)?.map_or(0, |entry| u64::from(entry.value[0]));
            if seen < number(act) {
                state::set(&key, &[seen as u8 + 1])?;
                match word {
                    "trap-times" => std::process::abort(),
                    "retry-times" => return Err(retry(10)),
                    _ => return Err(failed("on purpose")),
                }
            }
        }
        "handles" => loop {
            KEPT.with_borrow_mut(|kept| kept.push(contents::Draft::new()));
        },
        "shout" => {
            for line in 0..number(act) {
                println!("{line}");
            }
        }
        "ask" => return Err(failed(&ask(act.split_once(' ').map_or("", |(_, rest)| rest)))),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Uses the host, and answers what came of it.
fn ask(what: &str) -> String {
    let words: Vec<&str> = what.split(' ').collect();
    fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        match result {
            Ok(value) => format!("ok {value:?}"),
            Err(error) => format!("{} {}", error.code, error.text),
        }
    }
    match words[..] {
        ["signal", component, number] => told(signals::send(component, number.parse().unwrap())),
        ["read", component, path] => told(files::read(component, path, 100).map(|file| bytes(&file.content))),
        ["write", component, path] => told(files::write(&file(component, path, 0o644))),
        ["exec", component] => told(exec::run(component, &["true".to_owned()], 1000).map(|done| done.exit_code)),
        ["watch", path] => told(watch::add(path, watch::Options { debounce_ms: 100, max_delay_ms: 1000 })),
        ["state"] => told(state::set("k", b"v").and_then(|_| state::get("k")).map(|entry| entry.map(|entry| entry.value))),
        ["swap"] => {
            let key = "swapped";
            let steps = || -> Result<String, Error> {
                let new = state::swap(key, 0, b"a")?.ok_or_else(|| failed("a new key"))?;
                let lost = state::swap(key, 0, b"b")?;
                let next = state::swap(key, new, b"c")?.ok_or_else(|| failed("the right version"))?;
                state::delete(key)?;
                let late = state::swap(key, next, b"d")?;
                let again = state::set(key, b"e")?;
                let keys = state::keys("swap")?;
                Ok(format!("{lost:?} {late:?} {} {keys:?}", new < next && next < again))
            };
            told(steps())
        }
        ["log"] => {
            log::log(log::Level::Warn, "first\nsecond");
            log::log(log::Level::Error, "third");
            "logged".to_owned()
        }
        ["content", length] => {
            let draft = contents::Draft::new();
            let mut left: usize = length.parse().unwrap();
            while left > 0 {
                let some = left.min(1 << 20);
                if let Err(error) = draft.append(&vec![b'x'; some]) {
                    return format!("{} {}", error.code, error.text);
                }
                left -= some;
            }
            told(draft.finish().map(|stored| stored.size))
        }
        ["report", component, check] => told(verdicts::report(&[common::Judgement {
            component: Some(component.to_owned()),
            check: check.to_owned(),
            probe: common::Probe::Readiness,
            status: common::Status::Unhealthy,
            reason: "pushed".to_owned(),
        }])),
        ["roll-out", path] => told(rollouts::start(&common::Rollout {
            plan: json!({"summary": "by itself"}).to_string(),
            files: vec![file("app", path, 0o644)],
        })),
        ["secret", name] => told(secret::get(name).map(|secret| String::from_utf8_lossy(&secret).into_owned())),
        ["stale"] => told(contents::read(&"0".repeat(64), 0, 10)),
        ["metrics"] => {
            metrics::counter_add("hits", 2.0, &[Attr { key: "a".to_owned(), value: "b".to_owned() }]);
            metrics::gauge_set("level", 0.5, &[]);
            metrics::histogram_record("took", 0.1, &[]);
            "done".to_owned()
        }
        ["pod"] => match pod::view() {
            Ok(text) => text,
            Err(error) => format!("{} {}", error.code, error.text),
        },
        ["env", name] => format!("{:?}", std::env::var(name).ok()),
        ["tcp", address] => match std::net::TcpStream::connect(address) {
            Ok(_) => "connected".to_owned(),
            Err(error) => format!("error {:?}", error.kind()),
        },
        ["udp"] => match std::net::UdpSocket::bind("127.0.0.1:0") {
            Ok(_) => "bound".to_owned(),
            Err(error) => format!("error {:?}", error.kind()),
        },
        ["listen"] => match std::net::TcpListener::bind("127.0.0.1:0") {
            Ok(_) => "listens".to_owned(),
            Err(error) => format!("error {:?}", error.kind()),
        },
        ["lookup", name] => match std::net::ToSocketAddrs::to_socket_addrs(&(name, 80)) {
            Ok(mut found) => format!("found {}", found.next().is_some()),
            Err(_) => "error".to_owned(),
        },
        ["cat", path] => match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => format!("error {:?}", error.kind()),
        },
        ["put", path] => match std::fs::write(path, "x") {
            Ok(()) => "written".to_owned(),
            Err(error) => format!("error {:?}", error.kind()),
        },
        _ => format!("what is `{what}`?"),
    }
}

fn file(component: &str, path: &str, mode: u32) -> File {
    File {
        component: component.to_owned(),
        path: path.to_owned(),
        mode: Some(mode),
        uid: Some(0),
        gid: Some(0),
        content: Content::Bytes(b"new".to_vec()),
    }
}

/// All bytes of a content, in parts where the host has it.
fn bytes(content: &Content) -> Vec<u8> {
    let stored = match content {
        Content::Bytes(bytes) => return bytes.clone(),
        Content::Stored(stored) => stored,
    };
    let mut all = Vec::new();
    while (all.len() as u64) < stored.size {
        all.extend(contents::read(&stored.digest, all.len() as u64, 64 << 10).unwrap());
    }
    all
}

fn wants(list: &Value) -> Value {
    let list = list.as_array().cloned().unwrap_or_default();
    let want = |want: &Value| {
        let text = want.as_str().unwrap_or_default();
        let (required, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (capability, scope) = text.split_once(' ').unwrap_or((text, ""));
        json!({"capability": capability, "scope": scope, "reason": "to be naughty", "required": required})
    };
    list.iter().map(want).collect()
}

impl plugin::Guest for Naughty {
    fn describe() -> String {
        let mode = mode();
        match mode.as_str() {
            "trap" => std::process::abort(),
            "spin" => spin(),
            "ask" => assert!(ask("signal app 1").contains("denied"), "describe may not call the host"),
            _ => {}
        }
        // `exec` is not asked for.
        let mut wanted = vec![
            "lines *", "copies *", "exits *", "verdicts *", "on-signals *", "pod *", "signals *", "files *:/etc", "watch /watched", "plan components.*.environment", "state *",
            "metrics *", "http *", "tcp *", "env *", "dir *", "secret *",
        ];
        if mode == "powerless" {
            wanted.retain(|want| *want != "lines *");
        }
        if mode == "needy" {
            wanted.push("!exec app");
        }
        if mode == "planner" {
            wanted.push("plan *");
        }
        let wanted = Value::from(wanted);
        let schema = json!({"type": "object", "properties": {"tick": {"type": "string"}}});
        let mut manifest = json!({
            "name": if mode == "bad-name" { "a b" } else { "naughty" },
            "version": if mode == "bad-version" { "new" } else { "1.2.3" },
            "summary": "Does what it is told.",
            "config_schema": if mode == "bad-schema" { json!("{") } else { schema },
            "wants": wants(&wanted),
        });
        match mode.as_str() {
            "no-json" => return "{".to_owned(),
            "odd-key" => manifest["colour"] = json!("red"),
            "newer" => manifest["host"] = json!("99.0.0"),
            "alone" => manifest["instances"] = json!("one"),
            "big" => manifest["memory_mib"] = json!(48),
            _ => {}
        }
        manifest.to_string()
    }

    fn configure(setup: String) -> Result<String, Vec<plugin::Problem>> {
        let problem = |path: &str, what: &str, hint: Option<&str>| plugin::Problem {
            path: path.to_owned(),
            what: what.to_owned(),
            hint: hint.map(str::to_owned),
        };
        let setup: Value = serde_json::from_str(&setup).unwrap_or_default();
        let config = setup["config"].clone();
        CONFIG.set(config.clone());
        SETUP.set(setup);
        let act = act("configure");
        if let Some(asked) = act.strip_prefix("check ") {
            let (asked, expected) = asked.split_once(" => ").unwrap_or((asked, ""));
            let told = ask(asked);
            if !told.contains(expected) {
                return Err(vec![problem("", &told, None)]);
            }
        } else if act == "problems" {
            return Err(vec![problem("a.b[1]", "is odd", Some("make it even")), problem("", "all is wrong", None)]);
        } else if act == "no-problem" {
            return Err(Vec::new());
        } else if act == "no-json" {
            return Ok("[".to_owned());
        } else if let Err(error) = misbehave(&act) {
            return Err(vec![problem("", &error.text, None)]);
        }
        let mut needs = json!({"wants": wants(&config["wants"])});
        if !config["events"].is_null() {
            needs["events"] = config["events"].clone();
        }
        Ok(needs.to_string())
    }
}

impl pre_start::Guest for Naughty {
    fn on_pre_start(plan: String) -> Result<Option<String>, Error> {
        let act = act("pre-start");
        if misbehave(&act)? {
            return Ok(None);
        }
        Ok(match act.as_str() {
            "huge" => Some("x".repeat(24 << 20)),
            "bad" => Some(r#"{"components":{"app":{"image":"evil"}}}"#.to_owned()),
            "good" => Some(r#"{"components":{"app":{"environment":{"A":"1"}}}}"#.to_owned()),
            "tell" => return Err(failed(&plan)),
            // Whatever the test wants.
            other => other.strip_prefix("overlay ").map(str::to_owned),
        })
    }
}

impl config_copy::Guest for Naughty {
    fn on_copy(_source: String, mut old: File) -> Result<config_copy::Verdict, Error> {
        let act = act("config-copy");
        if misbehave(&act)? {
            return Ok(config_copy::Verdict::Keep);
        }
        Ok(match act.as_str() {
            "bad" => config_copy::Verdict::Replace(vec![file("app", "/root/.ssh/id", 0o644)]),
            "bad-mode" => config_copy::Verdict::Replace(vec![file("app", "/etc/x", 0o77777)]),
            "skip" => config_copy::Verdict::Skip,
            "good" => {
                let mut content = bytes(&old.content);
                content.extend(b" seen");
                old.content = Content::Bytes(content);
                config_copy::Verdict::Replace(vec![old, file("app", "/etc/more", 0o600)])
            }
            // Its rights are left open.
            "open" => {
                old.mode = None;
                old.uid = None;
                old.gid = None;
                config_copy::Verdict::Replace(vec![old])
            }
            // A content that the host does not have.
            "stale" => {
                old.content = Content::Stored(common::Stored { digest: "0".repeat(64), size: 3 });
                config_copy::Verdict::Replace(vec![old])
            }
            "tell" => {
                let form = match &old.content {
                    Content::Bytes(_) => "bytes",
                    Content::Stored(_) => "stored",
                };
                return Err(failed(&format!("{form} {}", bytes(&old.content).len())));
            }
            _ => config_copy::Verdict::Keep,
        })
    }
}

impl health::Guest for Naughty {
    fn on_check(why: health::Trigger) -> Result<Vec<health::Judgement>, Error> {
        let act = act("health");
        if misbehave(&act)? {
            return Ok(Vec::new());
        }
        let judge = |component: Option<&str>| health::Judgement {
            component: component.map(str::to_owned),
            check: if act == "bad-check" { "a\nb".to_owned() } else { String::new() },
            probe: common::Probe::Liveness,
            status: common::Status::Degraded,
            reason: format!("{why:?}"),
        };
        Ok(match act.as_str() {
            "bad" => vec![judge(Some("ghost"))],
            "good" | "bad-check" => vec![judge(Some("app")), judge(None)],
            _ => Vec::new(),
        })
    }
}

fn rewrite(edit: &mut log_line::Edit, text: &[u8]) {
    edit.rewrite.push(0);
    edit.data.extend(text);
    edit.ends.push(edit.data.len() as u32);
}

impl log_line::Guest for Naughty {
    fn on_batch(batch: log_line::Batch) -> Result<log_line::Verdict, Error> {
        let act = act("log-line");
        if act.is_empty() {
            return Ok(log_line::Verdict::KeepAll);
        }
        if misbehave(&act)? {
            return Ok(log_line::Verdict::KeepAll);
        }
        let mut edit = log_line::Edit {
            drop: vec![],
            join: vec![],
            split: vec![],
            rewrite: vec![],
            ends: vec![],
            data: vec![],
            annotate: vec![],
            field_ends: vec![],
            fields: vec![],
            hold: 0,
        };
        match act.as_str() {
            "drop-all" => return Ok(log_line::Verdict::DropAll),
            "bad" => edit.drop = vec![9999],
            "bad-order" => edit.drop = vec![1, 0],
            "bad-fields" => {
                edit.annotate = vec![0];
                edit.fields = b"[1]".to_vec();
                edit.field_ends = vec![3];
            }
            "bad-hold" => edit.hold = 9999,
            "hold" => edit.hold = 1,
            // Each makes far more of a line than came in.
            "many-lines" => {
                rewrite(&mut edit, &vec![b'\n'; 1_000_000]);
                edit.split = vec![0];
            }
            "long-line" => rewrite(&mut edit, &vec![b'x'; (1 << 20) + 1]),
            "many-bytes" => {
                rewrite(&mut edit, &[&[b'x'; 2000][..], b"\n"].concat().repeat(1000));
                edit.split = vec![0];
            }
            "join" => edit.join = (1..batch.ends.len() as u32).collect(),
            "bad-join" => edit.join = vec![0],
            // Of which run the lines are, and how many came again.
            "tell" => {
                let source: Vec<_> = batch.source.iter().map(|attr| format!("{}={}", attr.key, attr.value)).collect();
                let told = format!(
                    "{} again={} flush={} last={} times={:?}",
                    source.join(" "), batch.again, batch.flush, batch.last, batch.times
                );
                return Err(failed(&told));
            }
            // Holds what it has not had before.
            "hold-new" => {
                edit.hold = 2.min(batch.ends.len() as u32 - batch.again);
                edit.annotate = vec![0];
                edit.fields = format!(r#"{{"again":{}}}"#, batch.again).into_bytes();
                edit.field_ends = vec![edit.fields.len() as u32];
                if edit.hold as usize == batch.ends.len() {
                    (edit.annotate, edit.fields, edit.field_ends) = (vec![], vec![], vec![]);
                }
            }
            "much-unused" => edit.data = vec![b'x'; 4 << 20],
            // A thousand lines, each with the same long fields.
            "many-fields" => {
                rewrite(&mut edit, &vec![b'\n'; 1000]);
                edit.split = vec![0];
                edit.annotate = vec![0];
                edit.fields = format!(r#"{{"x":"{}"}}"#, "x".repeat(1_000_000)).into_bytes();
                edit.field_ends = vec![edit.fields.len() as u32];
            }
            "prefix" => {
                let mut from = 0;
                for (index, &end) in batch.ends.iter().enumerate() {
                    edit.rewrite.push(index as u32);
                    edit.data.extend(b"> ");
                    edit.data.extend(&batch.data[from..end as usize]);
                    edit.ends.push(edit.data.len() as u32);
                    from = end as usize;
                }
            }
            "annotate" => {
                edit.annotate = (0..batch.ends.len() as u32).collect();
                for _ in &batch.ends {
                    edit.fields.extend(br#"{"n":1}"#);
                    edit.field_ends.push(edit.fields.len() as u32);
                }
            }
            _ => return Ok(log_line::Verdict::KeepAll),
        }
        Ok(log_line::Verdict::Edit(edit))
    }
}

impl signal::Guest for Naughty {
    fn on_signal(_signal: u8) -> Result<signal::Decision, Error> {
        let act = act("signal");
        if misbehave(&act)? {
            return Ok(signal::Decision::Forward);
        }
        let to = |component: &str, signal| {
            signal::Decision::Deliver(vec![signal::Delivery { component: component.to_owned(), signal }])
        };
        Ok(match act.as_str() {
            "bad" => to("db", 1),
            "bad-number" => to("app", 99),
            "swallow" => signal::Decision::Deliver(Vec::new()),
            "good" => to("app", 12),
            _ => signal::Decision::Forward,
        })
    }
}

impl component_event::Guest for Naughty {
    fn on_event(event: String) -> Result<Option<String>, Error> {
        let act = act("component-event");
        if misbehave(&act)? {
            return Ok(None);
        }
        Ok(match act.as_str() {
            "restart" => Some(json!({"action": "restart", "after_ms": 50}).to_string()),
            "stop" => Some(json!({"action": "stop-pod"}).to_string()),
            "planned" => Some(json!({"action": "as-planned"}).to_string()),
            "bad" => Some(json!({"action": "dance"}).to_string()),
            "tell" => return Err(failed(&event)),
            _ => None,
        })
    }
}

impl config_changed::Guest for Naughty {
    fn on_change(changes: Vec<config_changed::Change>) -> Result<Option<common::Rollout>, Error> {
        let act = act("config-changed");
        if misbehave(&act)? {
            return Ok(None);
        }
        let mut plan = json!({
            "summary": format!("{} changes", changes.len()),
            "apply": [{"signal": {"component": "app", "signal": 1}}],
        });
        let mut files = vec![file("app", "/etc/x", 0o644)];
        match act.as_str() {
            "good" => {}
            "bad" => plan["validate"] = json!([{"run": {"component": "app", "argv": ["rm"], "timeout_ms": 1}}]),
            "bad-step" => plan["validate"] = json!([{"restart": {"component": "app"}}]),
            "bad-key" => plan["canary"] = json!(5),
            "bad-file" => files = vec![file("app", "/root/x", 0o644)],
            // Passed on without a look at the content.
            "pass" => files[0].content = changes.into_iter().find_map(|change| change.content).unwrap(),
            // The last byte is read, and the content is passed on.
            "tail" => {
                let content = changes.into_iter().find_map(|change| change.content).unwrap();
                if let Content::Stored(stored) = &content {
                    let tail = contents::read(&stored.digest, stored.size - 1, 100)?;
                    plan["summary"] = json!(format!("{tail:?} of {}", stored.size));
                }
                files[0].content = content;
                files[0].mode = None;
            }
            _ => return Ok(None),
        }
        Ok(Some(common::Rollout { plan: plan.to_string(), files }))
    }

    fn on_outcome(outcome: String) -> Result<(), Error> {
        if outcome.contains("fail") { Err(failed(&outcome)) } else { Ok(()) }
    }
}

impl tick::Guest for Naughty {
    fn on_tick() -> Result<Option<u32>, Error> {
        let act = act("tick");
        if act == "setup" {
            return Err(failed(&SETUP.with_borrow(Value::to_string)));
        }
        if misbehave(&act)? {
            return Ok(Some(5));
        }
        Ok(Some(1))
    }
}
