//! Changed files of components that are down, behind links, or refused: whatever happens on the way, the last good version is in force in the end.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use outrigger::admin::status::HealthState;
use outrigger::engine::EngineHealth;
use outrigger::engine::fake::Occasion;
use proptest::prelude::*;

use super::*;

mod commands;
mod guard;
mod newest;
mod pauses;

const TARGET: &str = "/etc/web.conf";

/// A plugin as `reload`: what was refused is not tried again until it changes, and what is there already is no change.
#[derive(Clone)]
struct Reloader {
    script: Script,
    directory: Arc<tempfile::TempDir>,
    asked: Arc<Mutex<Asked>>,
}

/// What the plugin was asked about, beside what the test knows.
#[derive(Debug, Default)]
struct Asked {
    /// The newest version that the controller has heard of.
    known: String,
    /// The last version that the plugin was asked about.
    last: String,
    /// The versions whose rollouts the plugin asked for, in their order: each has an outcome in the end.
    rolled: Vec<String>,
    /// Each version that the plugin was asked about although a newer one was known.
    outdated: Vec<String>,
}

impl Asked {
    fn about(&mut self, content: &[u8]) {
        self.last = String::from_utf8_lossy(content).into_owned();
        if !self.known.is_empty() && self.last != self.known {
            self.outdated.push(format!("`{}` after `{}`", self.last, self.known));
        }
    }
}

#[derive(Default)]
struct Memory {
    under_way: Option<Vec<u8>>,
    refused: Option<Vec<u8>>,
    outcomes: usize,
}

impl Reloader {
    fn new(engine: &FakeEngine) -> Self {
        Self::verifying(engine, &[])
    }

    /// One that runs this command in `web` once the file is in force.
    fn verifying(engine: &FakeEngine, verify: &[&str]) -> Self {
        let verify = argv(verify);
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let (files, memory) = (engine.clone(), Mutex::new(Memory::default()));
        let mut script = Script::default();
        let outcomes = Arc::clone(&script.outcomes);
        let asked = Arc::<Mutex<Asked>>::default();
        let noted = Arc::clone(&asked);
        script.changed = Some(Arc::new(move |changes: Vec<Change>| {
            let (mut memory, mut noted) = (memory.lock().unwrap(), noted.lock().unwrap());
            let ended = outcomes.lock().unwrap();
            if ended.len() > memory.outcomes {
                memory.outcomes = ended.len();
                let tried = memory.under_way.take();
                memory.refused = tried.filter(|_| ended.last().is_some_and(|(applied, _)| !applied));
            }
            let change = changes.into_iter().rfind(|change| !change.removed)?;
            noted.about(&change.content);
            if files.seen_files("web").get(TARGET).is_some_and(|seen| *seen == change.content) {
                memory.refused = None;
                return None;
            }
            if memory.refused.as_ref().is_some_and(|refused| *refused == change.content) {
                return None;
            }
            memory.under_way = Some(change.content.to_vec());
            let content = String::from_utf8(change.content.to_vec()).unwrap();
            noted.rolled.push(content.clone());
            Some(Rollout {
                summary: content.clone(),
                files: vec![NewFile { path: TARGET.to_owned(), ..file(&content) }],
                remove: Vec::new(),
                validate: vec![Command {
                    component: name("web"),
                    argv: argv(&["web", "-t", "{candidate}"]),
                    timeout_ms: 5000,
                }],
                apply: vec![Action::Signal(name("web"), 1)],
                verify: (!verify.is_empty())
                    .then(|| Command { component: name("web"), argv: verify.clone(), timeout_ms: 5000 })
                    .into_iter()
                    .collect(),
                healthy_for_ms: 1000,
            })
        }));
        Self { script, directory, asked }
    }

    /// The rollouts that have ended, with their outcomes: whether each was applied, and the text.
    fn rollouts(&self) -> Vec<(String, bool, String)> {
        let asked = self.asked.lock().unwrap();
        asked.rolled.iter().cloned().zip(self.outcomes()).map(|(content, (is, text))| (content, is, text)).collect()
    }

    /// Whether each rollout that was asked for has ended.
    fn is_idle(&self) -> bool {
        self.asked.lock().unwrap().rolled.len() == self.outcomes().len()
    }

    fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("web.conf")
    }

    fn write(&self, content: &str) {
        std::fs::write(self.path(), content).unwrap();
    }

    async fn watch(&self, pod: &Running) {
        let source = self.path().to_str().unwrap().to_owned();
        let watch = WatchRequest { plugin: plugin(), source, debounce: Duration::from_millis(10), max_delay: SECOND };
        pod.watches.send(watch).await.unwrap();
    }

    fn outcomes(&self) -> Vec<(bool, String)> {
        self.script.outcomes.lock().unwrap().clone()
    }

    /// Waits until so many rollouts have ended.
    async fn ended(&self, pod: &Running, count: usize) -> (bool, String) {
        eventually(pod, || self.outcomes().len() >= count).await;
        self.outcomes().pop().unwrap()
    }
}

/// Waits for something that comes through a real file and a thread, on paused time.
async fn eventually(pod: &Running, is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + 30 * SECOND;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "never; calls: {:?}", pod.engine.calls());
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server that does not start with a `deadly` or a `bad` file, and does not outlive a SIGHUP with one; its check finds `bad` ones.
fn server() -> FakeEngine {
    let engine = FakeEngine::new();
    let files = engine.clone();
    let engine = engine.exec_answers("web", move |argv| {
        let bad = argv.first().is_some_and(|word| word == "web")
            && argv
                .get(2)
                .and_then(|path| files.seen_files("web").get(path).cloned())
                .is_some_and(|it| it.starts_with(b"bad"));
        let stderr = if bad { bytes::Bytes::from_static(b"unknown directive") } else { bytes::Bytes::new() };
        ExecOutput { exit_code: i64::from(bad), stdout: bytes::Bytes::new(), stderr, truncated: false }
    });
    engine.judges("web", |files, occasion| {
        let content = files.get(TARGET)?;
        let dies = content.starts_with(b"bad") || content.starts_with(b"deadly");
        match occasion {
            Occasion::Start | Occasion::Signal(1) if dies => Some((Duration::from_millis(50), 70)),
            _ => None,
        }
    })
}

const RESTARTED: &str = "{image: web, restart: {policy: always, delay: 5s, max_delay: 5s}}";

/// A pod that copies this file to its `web` at each start, and that runs.
async fn copying(engine: FakeEngine, reloader: &Reloader, source: &Path) -> Running {
    let copy = format!("{}:{TARGET}", source.display());
    let all = [
        ("pod.component.app", "image: app"),
        ("pod.component.web", RESTARTED),
        ("pod.copy.web", copy.as_str()),
        ("pod.options", "{settle: 0s, start_deadline: 0s}"),
    ];
    let mut pod = start(engine, reloader.script.clone(), &all).await;
    pod.reaches("running").await;
    pod
}

/// A pod whose `web` has this file at its first start, and whose `app` runs on.
async fn pod(engine: FakeEngine, reloader: &Reloader, first: &str) -> Running {
    let source = reloader.directory.path().join("first.conf");
    std::fs::write(&source, first).unwrap();
    let pod = copying(engine, reloader, &source).await;
    reloader.write(first);
    reloader.watch(&pod).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    pod
}

fn content(pod: &Running) -> String {
    String::from_utf8(pod.engine.seen_files("web")[TARGET].clone()).unwrap()
}

fn phase(pod: &Running) -> String {
    pod.status.borrow().components.iter().find(|component| component.name == "web").unwrap().state.clone()
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_ends_with_the_file_that_mends_it() {
    let engine = server();
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "bad from the beginning").await;
    tokio::time::sleep(7 * SECOND).await;
    assert_eq!(phase(&pod), "exited");
    reloader.write("good");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(applied, "{text}");
    assert_eq!((content(&pod).as_str(), phase(&pod).as_str()), ("good", "running"));
    assert_eq!(pod.engine.calls_of("exec"), Vec::<String>::new(), "nothing can be run in it");
    let status = pod.status.borrow().clone();
    assert_eq!(status.rollouts[0].outcome.word(), "applied");
    eventually(&pod, || pod.status.borrow().health.state == HealthState::Healthy).await;
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_in_the_pause_between_two_runs_is_rolled_back() {
    let engine = server();
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good").await;
    tokio::time::sleep(10 * SECOND).await;
    pod.engine.kill("web", 1);
    tokio::time::sleep(SECOND).await;
    assert_eq!(phase(&pod), "exited");
    reloader.write("bad");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("rolled back to the last good version"), "{text}");
    tokio::time::sleep(SECOND).await;
    assert_eq!((content(&pod).as_str(), phase(&pod).as_str()), ("good", "running"));

    // A refused file is the newest: the pod works, but not as it was asked to.
    let status = pod.status.borrow().clone();
    assert_eq!((status.rollouts[0].outcome.word(), status.health.state), ("refused", HealthState::Degraded));
    let told = |reason: &String| reason.contains("`web:/etc/web.conf` from plugin `script` is refused");
    assert!(status.health.reasons.iter().any(told), "{status:?}");
    // It is what is in force once more: nothing is rolled out, and nothing refused any more.
    reloader.write("good");
    eventually(&pod, || pod.status.borrow().health.state == HealthState::Healthy).await;
    assert_eq!(reloader.outcomes().len(), 1);
    pod.signal(15).await;
    pod.ends().await;
}

/// The end of a component ends what is verified in it, too. It had the new file by then, which is therefore not tried again.
#[tokio::test(start_paused = true)]
async fn a_component_that_ends_while_its_file_is_verified_has_ended_by_it() {
    let engine = server().slow("exec", "web", Duration::from_millis(200));
    let reloader = Reloader::verifying(&engine, &["web", "-v"]);
    let pod = pod(engine, &reloader, "good").await;
    tokio::time::sleep(10 * SECOND).await;
    reloader.write("deadly");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("rolled back to the last good version"), "{text}");
    let tried = pod.engine.calls_of("signal").iter().filter(|call| call.as_str() == "signal web 1").count();
    assert_eq!((tried, content(&pod).as_str()), (1, "good"), "{text}");
    pod.signal(15).await;
    pod.ends().await;
}

/// An image may have `rm` and an `mv` that fails, as over what is mounted.
#[tokio::test(start_paused = true)]
async fn no_candidate_stays_behind_a_roll_back_without_renames() {
    let engine = server().exec_answers("web", |argv| {
        let busy = argv.first().is_some_and(|word| word == "mv");
        let stderr = bytes::Bytes::from_static(if busy { b"mv: Device or resource busy" } else { b"" });
        ExecOutput { exit_code: i64::from(busy), stdout: bytes::Bytes::new(), stderr, truncated: false }
    });
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good").await;
    tokio::time::sleep(10 * SECOND).await;
    // It is as it was, and nothing has ended: the server outlives its signal, and is unhealthy with the file.
    reloader.write("sick");
    tokio::time::sleep(SECOND / 2).await;
    pod.engine.judge("web", EngineHealth::Unhealthy);
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("rolled back to the last good version"), "{text}");
    let files = pod.engine.files("web");
    assert_eq!(files[TARGET], b"good");
    assert!(!files.contains_key("/etc/.web.conf.candidate"), "{:?}", files.keys());
    pod.signal(15).await;
    pod.ends().await;
}

/// Its components go on with what they have; whoever starts the pod again has to know.
#[tokio::test(start_paused = true)]
async fn a_watched_file_that_is_gone_is_reported_until_it_is_back() {
    let engine = server();
    let reloader = Reloader::new(&engine);
    let source = reloader.path();
    reloader.write("good");
    let pod = copying(engine, &reloader, &source).await;
    reloader.watch(&pod).await;
    tokio::time::sleep(10 * SECOND).await;
    reloader.write("bad");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied, "{text}");
    std::fs::remove_file(&source).unwrap();
    let gone = |pod: &Running| {
        let expected = format!(
            "`{}`, which plugin `script` watches, was removed; components keep their files, but the next start of the pod fails without it (`copy` of `web`)",
            source.display()
        );
        pod.status.borrow().not_in_force.contains(&expected)
    };
    let refused = |pod: &Running| pod.status.borrow().not_in_force.iter().any(|told| told.contains("is refused"));
    eventually(&pod, || gone(&pod)).await;
    // The same content would not be tried again.
    assert!(refused(&pod), "{:?}", pod.status.borrow().not_in_force);
    eventually(&pod, || pod.status.borrow().health.reasons.iter().any(|it| it.contains("was removed"))).await;
    reloader.write("bad");
    eventually(&pod, || !gone(&pod)).await;
    assert!(refused(&pod), "{:?}", pod.status.borrow().not_in_force);
    std::fs::remove_file(&source).unwrap();
    eventually(&pod, || gone(&pod)).await;
    reloader.write("good");
    eventually(&pod, || pod.status.borrow().health.state == HealthState::Healthy).await;
    assert_eq!(pod.status.borrow().not_in_force, Vec::<String>::new());
    pod.signal(15).await;
    pod.ends().await;
}

/// `events` reads the log line by line, and `status` has the reason in a sentence.
#[tokio::test(start_paused = true)]
async fn a_reason_of_several_lines_is_one_line_and_whole() {
    let (log, _guard) = super::log::Log::start();
    let engine = server().exec_answers("web", |argv| {
        let verifies = argv.first().is_some_and(|word| word == "verify");
        let stderr = bytes::Bytes::from_static(if verifies { b"first\n  second\n\nthird\n" } else { b"" });
        ExecOutput { exit_code: i64::from(verifies), stdout: bytes::Bytes::new(), stderr, truncated: false }
    });
    let reloader = Reloader::verifying(&engine, &["verify"]);
    let pod = pod(engine, &reloader, "good").await;
    tokio::time::sleep(10 * SECOND).await;
    reloader.write("better");
    reloader.ended(&pod, 1).await;
    let status = pod.status.borrow().clone();
    let reason = &status.rollouts[0].reason;
    assert!(reason.contains("first; second; third") && !reason.contains('\n'), "{reason}");
    assert!(status.health.reasons.iter().any(|it| it.ends_with(reason)), "{:?}", status.health);
    let lines = log.take();
    let (_, line) = lines.iter().find(|(_, line)| line.contains("refused: ")).unwrap();
    assert!(line.contains("first; second; third") && !line.contains('\n'), "{line}");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_was_better_the_newest_file_stays() {
    let engine = server();
    let cured = Arc::new(AtomicBool::new(false));
    let at_last = Arc::clone(&cured);
    let engine =
        engine.judges("web", move |_, _| (!at_last.load(Ordering::Relaxed)).then_some((Duration::from_millis(50), 1)));
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "first").await;
    tokio::time::sleep(7 * SECOND).await;
    reloader.write("second");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("stays in place for the next start"), "{text}");
    assert_eq!(content(&pod), "second");
    let status = pod.status.borrow().clone();
    assert_eq!((status.rollouts[0].outcome.word(), status.not_in_force.len()), ("unproven", 1));
    assert!(status.health.reasons.contains(&status.not_in_force[0]), "{:?}", status.health);
    reloader.write("third");
    let (applied, text) = reloader.ended(&pod, 2).await;
    assert!(!applied && text.contains("stays in place for the next start"), "{text}");
    // It was another thing that was missing.
    cured.store(true, Ordering::Relaxed);
    tokio::time::sleep(20 * SECOND).await;
    let status = pod.status.borrow().clone();
    assert_eq!(phase(&pod), "running");
    let told: Vec<_> = status.rollouts.iter().map(|it| (it.outcome.word(), it.summary.as_str())).collect();
    assert_eq!(told, [("unproven", "second"), ("unproven", "third"), ("applied", "third")]);
    assert_eq!((status.health.state, status.not_in_force.len()), (HealthState::Healthy, 0));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_component_that_ends_during_its_validation_gets_the_file_all_the_same() {
    let engine = server().slow("exec", "web", Duration::from_millis(500));
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good").await;
    reloader.write("better");
    eventually(&pod, || !pod.engine.calls_of("exec").is_empty()).await;
    pod.engine.kill("web", 1);
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(applied, "{text}");
    assert_eq!((content(&pod).as_str(), phase(&pod).as_str()), ("better", "running"));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_in_the_middle_is_not_the_files_fault() {
    let engine = server().slow("exec", "web", Duration::from_millis(500));
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good").await;
    reloader.write("better");
    eventually(&pod, || !pod.engine.calls_of("exec").is_empty()).await;
    pod.engine.goes_away_for(3 * SECOND);
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(applied, "{text}");
    assert_eq!(content(&pod), "better");
    pod.signal(15).await;
    pod.ends().await;
}

/// Commands work again before the events of the outage have come.
#[tokio::test(start_paused = true)]
async fn a_component_that_ends_while_the_engine_is_away_gets_the_file_all_the_same() {
    // However long the outage is, and whenever in it the component ends.
    for (away, before) in [(3403, 244), (3403, 841), (3000, 200), (3200, 500), (4000, 900), (2500, 0)] {
        let engine = server();
        let reloader = Reloader::new(&engine);
        let pod = pod(engine, &reloader, "good").await;
        pod.engine.goes_away_for(Duration::from_millis(away));
        tokio::time::sleep(Duration::from_millis(before)).await;
        pod.engine.kill("web", 1);
        reloader.write("better");
        let (applied, text) = reloader.ended(&pod, 1).await;
        assert!(applied, "{away} {before}: {text}");
        assert_eq!((content(&pod).as_str(), phase(&pod).as_str()), ("better", "running"));
        pod.signal(15).await;
        pod.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn links_are_followed_in_the_component_and_not_past_the_grant() {
    let engine = server();
    let mut reloader = Reloader::new(&engine);
    reloader.script.permits = Some(Arc::new(|path: String| path.starts_with("/data/")));
    let pod = pod(engine.clone(), &reloader, "good").await;
    // The directory leads elsewhere, within what the plugin may have.
    pod.engine.put_file("web", "/data/web.conf", b"good");
    pod.engine.put_link("web", "/etc", "/data");
    reloader.write("better");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(applied, "{text}");
    assert_eq!(pod.engine.files("web")["/data/web.conf"], b"better");

    // Or to where it may not.
    pod.engine.put_link("web", "/etc", "/secret");
    reloader.write("best");
    let (applied, text) = reloader.ended(&pod, 2).await;
    assert!(!applied, "{text}");
    let expected = "a link in component `web` leads from `/etc/web.conf` to `/secret/web.conf`: `files` for `web:/secret/web.conf`: not granted";
    assert!(text.contains(expected) && text.contains("nothing was changed"), "{text}");
    assert!(!pod.engine.files("web").contains_key("/secret/web.conf"));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_at_the_target_is_replaced_and_comes_back_with_a_roll_back() {
    let engine = server();
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good").await;
    pod.engine.put_file("web", "/available/web.conf", b"good");
    pod.engine.put_link("web", TARGET, "../available/web.conf");
    reloader.write("deadly");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("rolled back"), "{text}");
    assert_eq!(pod.engine.link("web", TARGET).as_deref(), Some("../available/web.conf"));
    assert_eq!(content(&pod), "good");
    reloader.write("better");
    let (applied, text) = reloader.ended(&pod, 2).await;
    assert!(applied, "{text}");
    assert_eq!((content(&pod).as_str(), pod.engine.link("web", TARGET)), ("better", None));
    assert_eq!(pod.engine.files("web")["/available/web.conf"], b"good", "nothing is written through a link");
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_components_process_would_not_see_is_refused_at_run_time_too() {
    let engine = server();
    let reloader = Reloader::new(&engine);
    let all = [("pod.component.app", "image: app"), ("pod.component.web", "{image: web, tmpfs: [/memory]}")];
    let mut pod = start(engine, reloader.script.clone(), &all).await;
    pod.reaches("running").await;
    pod.engine.put_link("web", "/etc", "/memory");
    reloader.write("good");
    reloader.watch(&pod).await;
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied, "{text}");
    assert!(text.contains("`/memory/web.conf` is in the component's tmpfs `/memory`"), "{text}");
    assert!(text.contains("mount a volume at `/memory`"), "{text}");
    pod.signal(15).await;
    pod.ends().await;
}

/// A plugin that takes `web`'s file away when what it watches says `gone`.
fn remover(engine: &FakeEngine) -> Reloader {
    let mut reloader = Reloader::new(engine);
    reloader.script.changed = Some(Arc::new(|changes: Vec<Change>| {
        changes.iter().any(|change| change.content == b"gone"[..]).then(|| Rollout {
            summary: "web.conf removed".to_owned(),
            files: Vec::new(),
            remove: vec![(name("web"), TARGET.to_owned())],
            validate: Vec::new(),
            apply: Vec::new(),
            verify: Vec::new(),
            healthy_for_ms: 1000,
        })
    }));
    reloader
}

/// A pod whose `web` is between two runs when its file is taken away; `seen` is what its process saw of the file at each start.
async fn removed_while_down(
    engine: FakeEngine,
    dies_without: bool,
) -> (Running, Reloader, Arc<Mutex<Vec<Option<String>>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let starts = Arc::clone(&seen);
    let engine = engine.judges("web", move |files, occasion| {
        if occasion != Occasion::Start {
            return None;
        }
        let content = files.get(TARGET).map(|content| String::from_utf8(content.clone()).unwrap());
        let dies = dies_without && content.as_deref() != Some("good");
        starts.lock().unwrap().push(content);
        dies.then_some((Duration::from_millis(50), 70))
    });
    let reloader = remover(&engine);
    let pod = pod(engine, &reloader, "good").await;
    tokio::time::sleep(10 * SECOND).await;
    pod.engine.kill("web", 1);
    tokio::time::sleep(SECOND).await;
    assert_eq!(phase(&pod), "exited");
    pod.engine.forget_calls();
    reloader.write("gone");
    (pod, reloader, seen)
}

/// Nothing can be removed from a container that does not run.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_removed_while_its_component_is_down_is_empty_at_its_start_and_then_gone() {
    let (pod, reloader, seen) = removed_while_down(FakeEngine::new(), false).await;
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(applied, "{text}");
    assert_eq!(*seen.lock().unwrap(), [Some("good".to_owned()), Some(String::new())]);
    assert!(!pod.engine.files("web").contains_key(TARGET), "{:?}", pod.engine.files("web"));
    let calls = pod.engine.calls();
    let at =
        |call: &str| calls.iter().position(|it| it.starts_with(call)).unwrap_or_else(|| panic!("{call}: {calls:?}"));
    assert!(at("upload web") < at("start web") && at("start web") < at("exec web rm -f -- /etc/web.conf"), "{calls:?}");
    assert_eq!(phase(&pod), "running");
    // The next start sees no file at all.
    pod.engine.kill("web", 1);
    eventually(&pod, || seen.lock().unwrap().len() == 3).await;
    assert_eq!(seen.lock().unwrap()[2], None);
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_component_that_does_not_start_without_its_file_gets_it_back() {
    let (pod, reloader, seen) = removed_while_down(FakeEngine::new(), true).await;
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("rolled back to the last good version"), "{text}");
    eventually(&pod, || phase(&pod) == "running").await;
    assert_eq!(content(&pod), "good");
    let seen = seen.lock().unwrap().clone();
    assert_eq!((seen[1].as_deref(), seen.last().unwrap().as_deref()), (Some(""), Some("good")), "{seen:?}");
    pod.signal(15).await;
    pod.ends().await;

    // Nor is it said to be gone where it could not be removed.
    let stuck = FakeEngine::new().exec_answers("web", |argv| {
        let stderr = bytes::Bytes::from_static(b"Operation not permitted");
        ExecOutput { exit_code: i64::from(argv[0] == "rm"), stdout: bytes::Bytes::new(), stderr, truncated: false }
    });
    let (pod, reloader, _) = removed_while_down(stuck, false).await;
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("`/etc/web.conf` is empty, but could not be removed: cannot remove"), "{text}");
    assert_eq!(content(&pod), "good", "{text}");
    pod.signal(15).await;
    pod.ends().await;
}

/// What may happen between two versions of a file.
#[derive(Debug, Clone)]
struct Step {
    version: Version,
    /// The component is killed so many milliseconds before the write (or after it, if negative), if at all.
    kill: Option<i64>,
    /// The engine is away from so many milliseconds before the write, for so many.
    away: Option<(u64, u64)>,
    /// The component replaces its file by a link to a copy of it.
    relink: bool,
    /// Further versions, each so many milliseconds after the one before: most come while that one is rolled out.
    burst: Vec<(u64, Version)>,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    kind: Kind,
    how: How,
}

impl Version {
    fn content(self, number: usize) -> String {
        let word = match self.kind {
            Kind::Good => "good",
            Kind::Bad => "bad",
            Kind::Deadly => "deadly",
        };
        format!("{word} {number}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Good,
    Bad,
    Deadly,
}

#[derive(Debug, Clone, Copy)]
enum How {
    InPlace,
    Rename,
    Flip,
}

fn version() -> impl Strategy<Value = Version> {
    let kind = prop_oneof![2 => Just(Kind::Good), 1 => Just(Kind::Bad), 1 => Just(Kind::Deadly)];
    let how = prop_oneof![Just(How::InPlace), Just(How::Rename), Just(How::Flip)];
    (kind, how).prop_map(|(kind, how)| Version { kind, how })
}

fn step() -> impl Strategy<Value = Step> {
    let kill = proptest::option::weighted(0.5, -150_i64..6000);
    let away = proptest::option::weighted(0.2, (0_u64..2000, 100_u64..4000));
    let burst = proptest::collection::vec((300_u64..2500, version()), 0..4);
    (version(), kill, away, proptest::bool::weighted(0.2), burst)
        .prop_map(|(version, kill, away, relink, burst)| Step { version, kill, away, relink, burst })
}

/// Writes a version: in place, by renaming, or by flipping the link `..data` as Kubernetes does.
fn write(directory: &Path, how: How, number: usize, content: &str) {
    let path = directory.join("web.conf");
    match how {
        // Through the link, if it is one.
        How::InPlace => std::fs::write(&path, content).unwrap(),
        How::Rename => {
            let aside = directory.join(".web.conf.new");
            std::fs::write(&aside, content).unwrap();
            std::fs::rename(&aside, &path).unwrap();
        }
        How::Flip => {
            let version = format!("..{number}");
            std::fs::create_dir(directory.join(&version)).unwrap();
            std::fs::write(directory.join(&version).join("web.conf"), content).unwrap();
            let aside = directory.join("..new");
            std::os::unix::fs::symlink(&version, &aside).unwrap();
            std::fs::rename(&aside, directory.join("..data")).unwrap();
            let aside = directory.join(".web.conf.new");
            std::os::unix::fs::symlink("..data/web.conf", &aside).unwrap();
            std::fs::rename(&aside, &path).unwrap();
        }
    }
}

/// The controller hears of a write: inotify's news, the quiet time of the watch, and its read each take one turn of the runtime.
async fn heard(reloader: &Reloader, content: &str) {
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    content.clone_into(&mut reloader.asked.lock().unwrap().known);
}

/// While another version is rolled out than the newest, the newest waits, and `status` says so.
async fn waits_in_status(pod: &Running, reloader: &Reloader) -> bool {
    let other = {
        let asked = reloader.asked.lock().unwrap();
        let other = asked.last != asked.known && asked.rolled.last() == Some(&asked.last);
        other && asked.rolled.len() > reloader.outcomes().len()
    };
    if other {
        let status = pod.status.borrow();
        let told = |told: &&String| told.ends_with("waits for the end of the current rollout");
        assert_eq!(status.not_in_force.iter().filter(told).count(), 1, "{:?}", status.not_in_force);
        assert_ne!(status.health.state, HealthState::Healthy, "{:?}", status.not_in_force);
    }
    other
}

/// Answers how often a version was seen to wait.
async fn lives_through(steps: &[Step]) -> usize {
    let engine = server().slow("exec", "web", Duration::from_millis(100));
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good first").await;
    let directory = reloader.directory.path().canonicalize().unwrap();
    let (mut in_force, mut number, mut waited) = ("good first".to_owned(), 0, 0);
    tokio::time::sleep(5 * SECOND).await;
    for (at, step) in steps.iter().enumerate() {
        let context = format!("after step {at} of {steps:?}");
        if step.relink {
            pod.engine.put_file("web", "/available/web.conf", in_force.as_bytes());
            pod.engine.put_link("web", TARGET, "../available/web.conf");
        }
        number += 1;
        let mut content = step.version.content(number);
        reloader.asked.lock().unwrap().known.clear();
        let earlier = reloader.outcomes().len();
        // Everything in the order of time, the write at 6 s.
        let mut order: Vec<(u64, u8)> = vec![(6000, 0)];
        order.extend(step.kill.map(|before| (u64::try_from(6000 - before).unwrap(), 1)));
        order.extend(step.away.map(|(before, _)| (6000 - before, 2)));
        order.sort_unstable();
        let mut now = 0;
        for (when, what) in order {
            tokio::time::sleep(Duration::from_millis(when - now)).await;
            now = when;
            match what {
                0 => write(&directory, step.version.how, number, &content),
                1 => pod.engine.kill("web", 1),
                _ => pod.engine.goes_away_for(Duration::from_millis(step.away.unwrap().1)),
            }
        }
        heard(&reloader, &content).await;
        let mut newest = step.version;
        for (after, version) in &step.burst {
            tokio::time::sleep(Duration::from_millis(*after)).await;
            (newest, number) = (*version, number + 1);
            content = version.content(number);
            // Until the news has come through, an older version is all that is known.
            reloader.asked.lock().unwrap().known.clear();
            write(&directory, version.how, number, &content);
            heard(&reloader, &content).await;
            waited += usize::from(waits_in_status(&pod, &reloader).await);
        }
        let is_through = || reloader.asked.lock().unwrap().last == content && reloader.is_idle();
        eventually(&pod, is_through).await;
        tokio::time::sleep(40 * SECOND).await;

        let asked = std::mem::take(&mut reloader.asked.lock().unwrap().outdated);
        assert!(asked.is_empty(), "outdated: {asked:?} {context}");
        // Each good version that was not given up for a newer one is in force, until the next such one.
        let rollouts = reloader.rollouts().split_off(earlier);
        let tried = |(content, _, text): &&(String, bool, String)| {
            content.starts_with("good") && !text.starts_with("superseded: ")
        };
        if let Some((good, _, _)) = rollouts.iter().rfind(tried) {
            in_force.clone_from(good);
        }
        let is_good = newest.kind == Kind::Good;
        assert_eq!(is_good, in_force == content, "the newest is tried in any case: {rollouts:?} {context}");
        assert_eq!(super::rollouts::content(&pod), in_force, "{rollouts:?} {context}");
        assert_eq!(phase(&pod), "running", "{context}");
        let status = pod.status.borrow().clone();
        let expected = if is_good { HealthState::Healthy } else { HealthState::Degraded };
        assert_eq!(status.health.state, expected, "{:?} {context}", status.health);
        assert_eq!(status.not_in_force.len(), usize::from(!is_good), "{:?} {context}", status.not_in_force);
    }
    pod.signal(15).await;
    pod.ends().await;
    waited
}

fn on_paused_time<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(test)
}

/// The property below is about something: versions of a burst do wait.
#[test]
fn versions_of_a_burst_wait_for_the_rollout_that_is_under_way() {
    let version = |kind| Version { kind, how: How::Rename };
    let burst = vec![(1000, version(Kind::Good)), (300, version(Kind::Deadly)), (300, version(Kind::Good))];
    let step = Step { version: version(Kind::Deadly), kill: None, away: None, relink: false, burst };
    let waited = on_paused_time(lives_through(&[step]));
    assert!(waited >= 2, "{waited}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Versions, good and bad, alone and in bursts, written in every way, while the component is killed and the engine goes away.
    #[test]
    fn the_last_good_version_is_in_force_whatever_happens(steps in proptest::collection::vec(step(), 1..5)) {
        on_paused_time(lives_through(&steps));
    }
}
