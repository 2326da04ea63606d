//! What a crossing into a plugin costs, through the whole host path: the message to the plugin's task, store, budget, deadline, and back.
//!
//! `scripts/bench hooks` runs it; by hand: `cargo bench --bench hooks`. Each figure is the best of several rounds: what the machine does besides only adds.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and ends where something is wrong")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use outrigger::config::Timeouts;
use outrigger::engine::Output;
use outrigger::hooks::{Batch, Hooks};
use outrigger::plugin::host::stock;
use outrigger::plugin::host::{Host, HostDirs};
use outrigger::plugin::imports::place::Place;
use outrigger::plugin::set::PluginSet;
use outrigger::plugin::{PodLink, PodView};
use outrigger::pod::{ComponentName, PodSpec, lower, read};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

const ROUNDS: usize = 21;
const CALLS: u32 = 20_000;
const LINES: usize = 256;
const LINE: &str =
    "2026-11-21T02:46:50Z INFO request served path=/api/orders status=200 duration=12ms bytes=5120 agent=curl/8.5.0 ok";
const COLOURED: &str = "\x1b[2m2026-11-21T02:46:50Z\x1b[0m \x1b[32mINFO\x1b[0m request served \x1b[3mpath\x1b[0m=/api/orders \x1b[3mstatus\x1b[0m=200 \x1b[3mduration\x1b[0m=12ms ok";
const HIT: &str = "2026-11-21T02:46:50Z INFO login user=jane.doe@example.org password=hunter2 path=/api/orders status=200 duration=12ms";
const ACCESS: &str = r#"203.0.113.5 - - [21/Nov/2026:02:46:50 +0000] "GET /api/orders?page=2&sort=asc HTTP/1.1" 200 5120 "-" "curl/8.5.0""#;
const JSON: &str = r#"{"time":"2026-11-21T02:46:50Z","level":"info","msg":"request served","path":"/api/orders","status":200,"duration":12}"#;
const CARD: &str = "2026-11-21T02:46:50Z INFO paid with 4111 1111 1111 1111 path=/api/orders status=200 duration=12ms";
const JSON_HIT: &str = r#"{"time":"2026-11-21T02:46:50Z","level":"info","msg":"login","user":"jo","password":"hunter2","email":"jane@example.org"}"#;
const COLOURED_HIT: &str = "\x1b[2m2026-11-21T02:46:50Z\x1b[0m \x1b[32mINFO\x1b[0m login \x1b[3mpassword\x1b[0m=hunter2 \x1b[3mstatus\x1b[0m=200 jane@example.org";
const KINDS: [(&str, &str); 8] = [
    ("line", LINE),
    ("access", ACCESS),
    ("json", JSON),
    ("coloured", COLOURED),
    ("hit", HIT),
    ("card-hit", CARD),
    ("json-hit", JSON_HIT),
    ("coloured-hit", COLOURED_HIT),
];
const CONFIGS: [(&str, &str); 3] = [
    ("redact", "patterns: [email, card]"),
    ("redact-fields", "fields: [password, authorization, api_key, secret]"),
    ("redact-all", "fields: [password, authorization, api_key, secret], patterns: [email, card, iban, ipv4, token]"),
];
/// The path of another component of `redact`. Each round then measures that one, too, and its figure and the ratio are printed beside the figure of the one that
/// is built in.
const OTHER: &str = "OUTRIGGER_BENCH_REDACT";

fn best(mut round: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round()).min().unwrap()
}

fn pod(plugins: &str) -> PodSpec {
    let text = format!("components: {{app: {{image: x}}}}\nplugins: {plugins}\n");
    lower::lower(&read::from_document("bench", &text).unwrap()).unwrap()
}

fn link() -> PodLink {
    let (requests, _) = mpsc::channel(1);
    let (watches, _) = mpsc::channel(1);
    let (_, pod) = watch::channel(Arc::new(PodView::default()));
    PodLink { requests, served: Arc::new(true.into()), watches, pod }
}

fn batch(lines: usize, line: &str) -> Batch {
    let mut batch = Batch::new(ComponentName::new("app").unwrap(), Output::Stdout);
    for _ in 0..lines {
        batch.data.extend_from_slice(line.as_bytes());
        batch.ends.push(u32::try_from(batch.data.len()).unwrap());
        batch.times.push(0);
    }
    batch
}

/// A host with the stock plugins compiled; `redact` is another component if one is given.
fn host(directory: &std::path::Path, redact: Option<&[u8]>) -> Host {
    let compiled = directory.join("plugins");
    std::fs::create_dir_all(&compiled).unwrap();
    let dirs =
        HostDirs { precompiled: compiled.clone(), cache: directory.join("cache"), state: directory.join("state") };
    let host = Host::new(dirs, Timeouts::default(), Place::Controller).unwrap();
    for name in stock::NAMES {
        let wasm = redact.filter(|_| name == "redact").unwrap_or_else(|| stock::wasm(name).unwrap());
        std::fs::write(compiled.join(format!("{name}.cwasm")), host.precompile(wasm).unwrap()).unwrap();
    }
    host
}

fn load(runtime: &Runtime, host: &Host, plugins: &str) -> PluginSet {
    let components = [ComponentName::new("app").unwrap()];
    runtime.block_on(PluginSet::load(host, &pod(plugins).plugins, &components, &link())).unwrap()
}

/// Time for a batch of these lines.
fn spent(runtime: &Runtime, set: &PluginSet, line: &str) -> Duration {
    runtime.block_on(async {
        let calls = CALLS / 200;
        let mut spent = Duration::ZERO;
        for _ in 0..calls {
            let batch = batch(LINES, line);
            let began = Instant::now();
            let kept = set.log_lines(batch).await.unwrap().keep;
            spent += began.elapsed();
            assert_eq!(kept.len(), LINES, "every line stays a line");
        }
        spent / calls
    })
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let built_in = host(&directory.path().join("built-in"), None);
    let other = std::env::var_os(OTHER).map(|path| std::fs::read(path).unwrap());
    let other = other.map(|wasm| host(&directory.path().join("other"), Some(&wasm)));
    for (name, entry) in [
        ("signal", "[{signal: {map: {SIGHUP: {to: [app]}}}}]"),
        ("reload", "[{reload: {watch: /config/x, component: app, target: /etc/x, signal: HUP}}]"),
        ("redact", "[{redact: {patterns: [email, card]}}]"),
    ] {
        let ready = best(|| {
            let began = Instant::now();
            let set = load(&runtime, &built_in, entry);
            let took = began.elapsed();
            drop(set);
            took
        });
        println!("ready-{name} {:.3} ms", ready.as_secs_f64() * 1e3);
    }
    let set = load(&runtime, &built_in, "[{redact: {patterns: [email, card]}}]");
    let empty = best(|| {
        runtime.block_on(async {
            let mut batch = Batch { last: true, ..batch(0, LINE) };
            let began = Instant::now();
            for _ in 0..CALLS {
                batch = set.log_lines(batch).await.unwrap().keep;
            }
            began.elapsed() / CALLS
        })
    });
    println!("empty-call {:.3} us", empty.as_secs_f64() * 1e6);
    for (prefix, config) in CONFIGS {
        let plugins = format!("[{{redact: {{{config}}}}}]");
        let set = load(&runtime, &built_in, &plugins);
        let other = other.as_ref().map(|host| load(&runtime, host, &plugins));
        for (kind, line) in KINDS {
            let (mut took, mut others) = (Duration::MAX, Duration::MAX);
            for _ in 0..ROUNDS {
                took = took.min(spent(&runtime, &set, line));
                if let Some(other) = &other {
                    others = others.min(spent(&runtime, other, line));
                }
            }
            let each = |took: Duration| took.as_secs_f64() * 1e6 / LINES as f64;
            print!("{prefix}-{kind} {:.3} us", each(took));
            if other.is_some() {
                print!(", the other {:.3} us, ratio {:.2}", each(others), each(took) / each(others));
            }
            println!();
        }
    }
}
