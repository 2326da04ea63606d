//! What a crossing into a plugin costs, through the whole host path: the message to the plugin's task, store, budget, deadline, and back.
//!
//! `scripts/bench hooks` runs it; by hand: `cargo bench --bench hooks`. Each figure is the best of several rounds: what the machine does besides only adds.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and ends where something is wrong")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use outrigger::config::Timeouts;
use outrigger::engine::Output;
use outrigger::hooks::{Batch, Hooks};
use outrigger::plugin::host::{Host, HostDirs};
use outrigger::plugin::place::Place;
use outrigger::plugin::set::PluginSet;
use outrigger::plugin::{PodLink, PodView, stock};
use outrigger::pod::{ComponentName, PodSpec, lower, read};
use tokio::sync::{mpsc, watch};

const ROUNDS: usize = 9;
const CALLS: u32 = 20_000;
const LINES: usize = 256;
const LINE: &str =
    "2026-11-21T02:46:50Z INFO request served path=/api/orders status=200 duration=12ms bytes=5120 agent=curl/8.5.0 ok";
const COLOURED: &str = "\x1b[2m2026-11-21T02:46:50Z\x1b[0m \x1b[32mINFO\x1b[0m request served \x1b[3mpath\x1b[0m=/api/orders \x1b[3mstatus\x1b[0m=200 \x1b[3mduration\x1b[0m=12ms ok";
const HIT: &str = "2026-11-21T02:46:50Z INFO login user=jane.doe@example.org password=hunter2 path=/api/orders status=200 duration=12ms";
/// Another `redact` than the one that is built in, to compare the two: a path of a component.
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
        batch.after_us.push(0);
    }
    batch
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let compiled = directory.path().join("plugins");
    std::fs::create_dir(&compiled).unwrap();
    let dirs = HostDirs {
        precompiled: compiled.clone(),
        cache: directory.path().join("cache"),
        state: directory.path().join("state"),
    };
    let host = Host::new(dirs, Timeouts::default(), Place::Controller).unwrap();
    for name in stock::NAMES {
        let other = std::env::var_os(OTHER).filter(|_| name == "redact").map(|path| std::fs::read(path).unwrap());
        let wasm = other.as_deref().unwrap_or_else(|| stock::wasm(name).unwrap());
        let code = host.precompile(wasm).unwrap();
        std::fs::write(compiled.join(format!("{name}.cwasm")), code).unwrap();
    }
    let link = link();
    let components = [ComponentName::new("app").unwrap()];
    for (name, entry) in [
        ("signal", "[{signal: {map: {SIGHUP: {to: [app]}}}}]"),
        ("reload", "[{reload: {watch: /config/x, component: app, target: /etc/x, signal: HUP}}]"),
        ("redact", "[{redact: {patterns: [email, card]}}]"),
    ] {
        let spec = pod(entry);
        let ready = best(|| {
            let began = Instant::now();
            let set = runtime.block_on(PluginSet::load(&host, &spec.plugins, &components, &link)).unwrap();
            let took = began.elapsed();
            drop(set);
            took
        });
        println!("ready-{name} {:.3} ms", ready.as_secs_f64() * 1e3);
    }
    let spec = pod("[{redact: {patterns: [email, card]}}]");
    let set = runtime.block_on(PluginSet::load(&host, &spec.plugins, &components, &link)).unwrap();
    let empty = best(|| {
        runtime.block_on(async {
            let mut batch = Batch { is_final: true, ..batch(0, LINE) };
            let began = Instant::now();
            for _ in 0..CALLS {
                batch = set.log_lines(batch).await.unwrap().keep;
            }
            began.elapsed() / CALLS
        })
    });
    println!("empty-call {:.3} us", empty.as_secs_f64() * 1e6);
    let fields = "fields: [password, authorization, api_key, secret]";
    for (name, config, line) in [
        ("redact-line", "patterns: [email, card]".to_owned(), LINE),
        ("redact-coloured", "patterns: [email, card]".to_owned(), COLOURED),
        ("redact-hit", "patterns: [email, card]".to_owned(), HIT),
        ("redact-fields-line", fields.to_owned(), LINE),
        ("redact-fields-coloured", fields.to_owned(), COLOURED),
        ("redact-fields-hit", fields.to_owned(), HIT),
        ("redact-all-line", format!("{fields}, patterns: [email, card, iban, ipv4, token]"), LINE),
        ("redact-all-coloured", format!("{fields}, patterns: [email, card, iban, ipv4, token]"), COLOURED),
        ("redact-all-hit", format!("{fields}, patterns: [email, card, iban, ipv4, token]"), HIT),
    ] {
        let spec = pod(&format!("[{{redact: {{{config}}}}}]"));
        let set = runtime.block_on(PluginSet::load(&host, &spec.plugins, &components, &link)).unwrap();
        let took = best(|| {
            runtime.block_on(async {
                let calls = CALLS / 100;
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
        });
        println!("{name} {:.3} us", took.as_secs_f64() * 1e6 / LINES as f64);
    }
}
