//! A plugin that does what its configuration says, however wrong: `{"<hook>": "<act>"}`.
//!
//! `describe` gets no configuration; what it does stands in [`MODE`], which the tests change in the compiled file.

use std::cell::RefCell;

use serde_json::Value;

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
use outrigger::pod::types::{Attr, File, HookError};
use outrigger::pod::{exec, files, metrics, pod, signals, state, watch};

/// What `describe` does: the word after the colon.
static MODE: [u8; 32] = *b"describe-mode:plain.............";

thread_local! {
    static CONFIG: RefCell<Value> = const { RefCell::new(Value::Null) };
    static KEPT: RefCell<Vec<pod::Component>> = const { RefCell::new(Vec::new()) };
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

/// What any hook may do; false where the act is the hook's own.
fn misbehave(act: &str) -> Result<bool, HookError> {
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
        "sleep" => std::thread::sleep(std::time::Duration::from_millis(number(act))),
        "fail" => return Err(HookError::Failed("on purpose".to_owned())),
        "bad-config" => return Err(HookError::BadConfig("on purpose".to_owned())),
        "denied" => return Err(HookError::Denied("on purpose".to_owned())),
        "retry" => return Err(HookError::Retry(number(act) as u32)),
        // So often, counted beyond restarts.
        "trap-times" | "retry-times" | "fail-times" => {
            let key = format!("{word}-count");
            let seen = state::get(&key)?.map_or(0, |value| u64::from(value[0]));
            if seen < number(act) {
                state::set(&key, &[seen as u8 + 1])?;
                match word {
                    "trap-times" => std::process::abort(),
                    "retry-times" => return Err(HookError::Retry(10)),
                    _ => return Err(HookError::Failed("on purpose".to_owned())),
                }
            }
        }
        "handles" => loop {
            KEPT.with_borrow_mut(|kept| kept.extend(pod::components()));
        },
        "shout" => {
            for line in 0..number(act) {
                println!("{line}");
            }
        }
        "ask" => return Err(HookError::Failed(ask(act.split_once(' ').map_or("", |(_, rest)| rest)))),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Uses the host, and answers what came of it.
fn ask(what: &str) -> String {
    let words: Vec<&str> = what.split(' ').collect();
    fn told<T: std::fmt::Debug>(result: Result<T, HookError>) -> String {
        match result {
            Ok(value) => format!("ok {value:?}"),
            Err(HookError::Denied(why)) => format!("denied {why}"),
            Err(other) => format!("error {other:?}"),
        }
    }
    match words[..] {
        ["signal", component, number] => told(signals::send(component, number.parse().unwrap())),
        ["read", component, path] => told(files::read(component, path, 100).map(|file| file.content)),
        ["write", component, path] => told(files::write(&file(component, path, 0o644))),
        ["exec", component] => told(exec::run(component, &["true".to_owned()], 1000).map(|done| done.exit_code)),
        ["watch", path] => told(watch::add(path, watch::Options { debounce_ms: 100, max_delay_ms: 1000 })),
        ["state"] => told(state::set("k", b"v").and_then(|()| state::get("k"))),
        ["metrics"] => {
            metrics::counter_add("hits", 2.0, &[Attr { key: "a".to_owned(), value: "b".to_owned() }]);
            metrics::gauge_set("level", 0.5, &[]);
            metrics::histogram_record("took", 0.1, &[]);
            "done".to_owned()
        }
        ["pod"] => {
            let parts = pod::components();
            let names: Vec<_> = parts.iter().map(|part| format!("{}={}={:?}", part.name(), part.image(), part.state())).collect();
            format!("{} {:?} {}", pod::name(), pod::label("l"), names.join(","))
        }
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
    File { component: component.to_owned(), path: path.to_owned(), mode, uid: 0, gid: 0, content: b"new".to_vec() }
}

fn wants(list: &Value) -> Vec<plugin::Want> {
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|want| {
            let text = want.as_str().unwrap_or_default();
            let (required, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
            let (capability, scope) = text.split_once(' ').unwrap_or((text, ""));
            plugin::Want {
                capability: capability.to_owned(),
                scope: scope.to_owned(),
                reason: "to be naughty".to_owned(),
                required,
            }
        })
        .collect()
}

impl plugin::Guest for Naughty {
    fn describe() -> plugin::Manifest {
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
            "metrics *", "http *", "tcp *", "env *", "dir *",
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
        plugin::Manifest {
            name: if mode == "bad-name" { "a b" } else { "naughty" }.to_owned(),
            version: if mode == "bad-version" { "new" } else { "1.2.3" }.to_owned(),
            summary: "Does what it is told.".to_owned(),
            config_schema: if mode == "bad-schema" { "{" } else { r#"{"type":"object","properties":{"tick":{"type":"string"}}}"# }.to_owned(),
            wants: wants(&wanted),
        }
    }

    fn configure(config_json: String) -> Result<Vec<plugin::Want>, HookError> {
        let config: Value = serde_json::from_str(&config_json).unwrap_or_default();
        CONFIG.set(config.clone());
        let act = act("configure");
        if let Some(asked) = act.strip_prefix("check ") {
            let (asked, expected) = asked.split_once(" => ").unwrap_or((asked, ""));
            let told = ask(asked);
            if !told.contains(expected) {
                return Err(HookError::Failed(told));
            }
        } else {
            misbehave(&act)?;
        }
        Ok(wants(&config["wants"]))
    }
}

impl pre_start::Guest for Naughty {
    fn pre_start(plan_json: String) -> Result<Option<String>, HookError> {
        let act = act("pre-start");
        if misbehave(&act)? {
            return Ok(None);
        }
        Ok(match act.as_str() {
            "huge" => Some("x".repeat(24 << 20)),
            "bad" => Some(r#"{"components":{"app":{"image":"evil"}}}"#.to_owned()),
            "good" => Some(r#"{"components":{"app":{"environment":{"A":"1"}}}}"#.to_owned()),
            "tell" => return Err(HookError::Failed(plan_json)),
            // Whatever the test wants.
            other => other.strip_prefix("overlay ").map(str::to_owned),
        })
    }
}

impl config_copy::Guest for Naughty {
    fn config_copy(_source: String, mut old: File) -> Result<config_copy::Verdict, HookError> {
        let act = act("config-copy");
        if misbehave(&act)? {
            return Ok(config_copy::Verdict::Keep);
        }
        Ok(match act.as_str() {
            "bad" => config_copy::Verdict::Replace(vec![file("app", "/root/.ssh/id", 0o644)]),
            "bad-mode" => config_copy::Verdict::Replace(vec![file("app", "/etc/x", 0o77777)]),
            "skip" => config_copy::Verdict::Skip,
            "good" => {
                old.content.extend(b" seen");
                config_copy::Verdict::Replace(vec![old, file("app", "/etc/more", 0o600)])
            }
            _ => config_copy::Verdict::Keep,
        })
    }
}

impl health::Guest for Naughty {
    fn check(why: health::Trigger) -> Result<Vec<health::Judgement>, HookError> {
        let act = act("health");
        if misbehave(&act)? {
            return Ok(Vec::new());
        }
        let judge = |component: Option<&str>| health::Judgement {
            component: component.map(str::to_owned),
            status: health::Status::Degraded,
            reason: format!("{why:?}"),
        };
        Ok(match act.as_str() {
            "bad" => vec![judge(Some("ghost"))],
            "good" => vec![judge(Some("app")), judge(None)],
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
    fn on_batch(batch: log_line::Batch) -> Result<log_line::Verdict, HookError> {
        let act = act("log-line");
        if act.is_empty() {
            return Ok(log_line::Verdict::KeepAll);
        }
        if misbehave(&act)? {
            return Ok(log_line::Verdict::KeepAll);
        }
        let mut edit = log_line::Edit {
            drop: vec![],
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
            "many-lines" => rewrite(&mut edit, &vec![b'\n'; 1_000_000]),
            "long-line" => rewrite(&mut edit, &vec![b'x'; (1 << 20) + 1]),
            "many-bytes" => rewrite(&mut edit, &[&[b'x'; 2000][..], b"\n"].concat().repeat(1000)),
            "much-unused" => edit.data = vec![b'x'; 4 << 20],
            // A thousand lines, each with the same long fields.
            "many-fields" => {
                rewrite(&mut edit, &vec![b'\n'; 1000]);
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
    fn on_signal(_signal: u8) -> Result<signal::Decision, HookError> {
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
    fn on_event(_event: component_event::Event) -> Result<component_event::Reaction, HookError> {
        let act = act("component-event");
        if misbehave(&act)? {
            return Ok(component_event::Reaction::AsPlanned);
        }
        Ok(match act.as_str() {
            "restart" => component_event::Reaction::Restart(50),
            "stop" => component_event::Reaction::StopPod,
            _ => component_event::Reaction::AsPlanned,
        })
    }
}

impl config_changed::Guest for Naughty {
    fn on_change(changes: Vec<config_changed::Change>) -> Result<Option<config_changed::Rollout>, HookError> {
        let act = act("config-changed");
        if misbehave(&act)? {
            return Ok(None);
        }
        let mut rollout = config_changed::Rollout {
            summary: format!("{} changes", changes.len()),
            files: vec![file("app", "/etc/x", 0o644)],
            remove: vec![],
            validate: vec![],
            apply: vec![config_changed::Action::Signal(("app".to_owned(), 1))],
            verify: vec![],
            healthy_for_ms: 0,
        };
        match act.as_str() {
            "good" => {}
            "bad" => {
                rollout.validate = vec![config_changed::Command {
                    component: "app".to_owned(),
                    argv: vec!["rm".to_owned()],
                    timeout_ms: 1,
                }];
            }
            "bad-file" => rollout.files = vec![file("app", "/root/x", 0o644)],
            _ => return Ok(None),
        }
        Ok(Some(rollout))
    }

    fn on_outcome(_applied: bool, text: String) -> Result<(), HookError> {
        if text == "fail" { Err(HookError::Failed(text)) } else { Ok(()) }
    }
}

impl tick::Guest for Naughty {
    fn tick() -> Result<Option<u32>, HookError> {
        let act = act("tick");
        if misbehave(&act)? {
            return Ok(Some(5));
        }
        Ok(Some(1))
    }
}
