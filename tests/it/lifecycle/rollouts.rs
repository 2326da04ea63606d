//! Changed files of components that are down, behind links, or refused: whatever happens on the way, the last good version is in force in the end.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use outrigger::admin::status::HealthState;
use outrigger::engine::fake::Occasion;
use proptest::prelude::*;

use super::*;

const TARGET: &str = "/etc/web.conf";

/// A plugin as `reload`: what was refused is not tried again until it changes, and what is there already is no change.
#[derive(Clone)]
struct Reloader {
    script: Script,
    directory: Arc<tempfile::TempDir>,
}

#[derive(Default)]
struct Memory {
    under_way: Option<Vec<u8>>,
    refused: Option<Vec<u8>>,
    outcomes: usize,
}

impl Reloader {
    fn new(engine: &FakeEngine) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let (files, memory) = (engine.clone(), Mutex::new(Memory::default()));
        let mut script = Script::default();
        let outcomes = Arc::clone(&script.outcomes);
        script.changed = Some(Arc::new(move |changes: Vec<Change>| {
            let mut memory = memory.lock().unwrap();
            let ended = outcomes.lock().unwrap();
            if ended.len() > memory.outcomes {
                memory.outcomes = ended.len();
                let tried = memory.under_way.take();
                memory.refused = tried.filter(|_| ended.last().is_some_and(|(applied, _)| !applied));
            }
            let change = changes.into_iter().rfind(|change| !change.removed)?;
            if files.seen_files("web").get(TARGET) == Some(&change.content) {
                memory.refused = None;
                return None;
            }
            if memory.refused.as_ref() == Some(&change.content) {
                return None;
            }
            memory.under_way = Some(change.content.clone());
            let content = String::from_utf8(change.content).unwrap();
            Some(Rollout {
                summary: content.clone(),
                files: vec![File { path: TARGET.to_owned(), ..file(&content) }],
                remove: Vec::new(),
                validate: vec![Command {
                    component: name("web"),
                    argv: argv(&["web", "-t", "{candidate}"]),
                    timeout_ms: 5000,
                }],
                apply: vec![Action::Signal(name("web"), 1)],
                verify: Vec::new(),
                healthy_for_ms: 1000,
            })
        }));
        Self { script, directory }
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

/// A pod whose `web` has this file at its first start, and whose `app` runs on.
async fn pod(engine: FakeEngine, reloader: &Reloader, first: &str) -> Running {
    let source = reloader.directory.path().join("first.conf");
    std::fs::write(&source, first).unwrap();
    let copy = format!("{}:{TARGET}", source.display());
    let all = [
        ("pod.component.app", "image: app"),
        ("pod.component.web", RESTARTED),
        ("pod.copy.web", copy.as_str()),
        ("pod.options", "{settle: 0s, start_deadline: 0s}"),
    ];
    let mut pod = start(engine, reloader.script.clone(), &all).await;
    pod.reaches("running").await;
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
    assert_eq!(status.rollouts[0].outcome, "applied");
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
    assert_eq!((status.rollouts[0].outcome.as_str(), status.health.state), ("refused", HealthState::Degraded));
    let told = |reason: &String| reason.contains("`web:/etc/web.conf` of plugin `script` is refused");
    assert!(status.health.reasons.iter().any(told), "{status:?}");
    // It is what is in force once more: nothing is rolled out, and nothing refused any more.
    reloader.write("good");
    eventually(&pod, || pod.status.borrow().health.state == HealthState::Healthy).await;
    assert_eq!(reloader.outcomes().len(), 1);
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
    assert_eq!((status.rollouts[0].outcome.as_str(), status.not_in_force.len()), ("unproven", 1));
    assert!(status.health.reasons.contains(&status.not_in_force[0]), "{:?}", status.health);
    // It was another thing that was missing.
    cured.store(true, Ordering::Relaxed);
    tokio::time::sleep(20 * SECOND).await;
    let status = pod.status.borrow().clone();
    assert_eq!(phase(&pod), "running");
    assert_eq!(status.rollouts.last().unwrap().outcome, "applied");
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
    assert!(text.contains("`/memory/web.conf` lies in the component's tmpfs `/memory`"), "{text}");
    assert!(text.contains("mount a volume at `/memory`"), "{text}");
    pod.signal(15).await;
    pod.ends().await;
}

/// What may happen between two versions of a file.
#[derive(Debug, Clone)]
struct Step {
    kind: Kind,
    how: How,
    /// The component is killed so many milliseconds before the write (or after it, if negative), if at all.
    kill: Option<i64>,
    /// The engine is away from so many milliseconds before the write, for so many.
    away: Option<(u64, u64)>,
    /// The component replaces its file by a link to a copy of it.
    relink: bool,
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

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![2 => Just(Kind::Good), 1 => Just(Kind::Bad), 1 => Just(Kind::Deadly)];
    let how = prop_oneof![Just(How::InPlace), Just(How::Rename), Just(How::Flip)];
    let kill = proptest::option::weighted(0.5, -150_i64..6000);
    let away = proptest::option::weighted(0.2, (0_u64..2000, 100_u64..4000));
    (kind, how, kill, away, proptest::bool::weighted(0.2)).prop_map(|(kind, how, kill, away, relink)| Step {
        kind,
        how,
        kill,
        away,
        relink,
    })
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

async fn lives_through(steps: &[Step]) {
    let engine = server().slow("exec", "web", Duration::from_millis(100));
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good first").await;
    let directory = reloader.directory.path().canonicalize().unwrap();
    let mut last_good = "good first".to_owned();
    tokio::time::sleep(5 * SECOND).await;
    for (number, step) in steps.iter().enumerate() {
        let content_of = |word: &str| format!("{word} {number}");
        let content = match step.kind {
            Kind::Good => content_of("good"),
            Kind::Bad => content_of("bad"),
            Kind::Deadly => content_of("deadly"),
        };
        if step.relink {
            pod.engine.put_file("web", "/available/web.conf", last_good.as_bytes());
            pod.engine.put_link("web", TARGET, "../available/web.conf");
        }
        // Everything in the order of time, the write at 6 s.
        let mut at: Vec<(u64, u8)> = vec![(6000, 0)];
        at.extend(step.kill.map(|before| (u64::try_from(6000 - before).unwrap(), 1)));
        at.extend(step.away.map(|(before, _)| (6000 - before, 2)));
        at.sort_unstable();
        let mut now = 0;
        for (when, what) in at {
            tokio::time::sleep(Duration::from_millis(when - now)).await;
            now = when;
            match what {
                0 => write(&directory, step.how, number, &content),
                1 => pod.engine.kill("web", 1),
                _ => pod.engine.goes_away_for(Duration::from_millis(step.away.unwrap().1)),
            }
        }
        if step.kind == Kind::Good {
            last_good.clone_from(&content);
        }
        let started = reloader.outcomes().len();
        eventually(&pod, || reloader.outcomes().len() > started || super::rollouts::content(&pod) == content).await;
        tokio::time::sleep(40 * SECOND).await;
        let found = super::rollouts::content(&pod);
        assert_eq!(found, last_good, "after step {number} of {steps:?}: {:?}", reloader.outcomes());
        assert_eq!(phase(&pod), "running", "after step {number} of {steps:?}");
        let state = pod.status.borrow().health.state;
        let expected = if step.kind == Kind::Good { HealthState::Healthy } else { HealthState::Degraded };
        assert_eq!(state, expected, "after step {number} of {steps:?}: {:?}", pod.status.borrow().health);
    }
    pod.signal(15).await;
    pod.ends().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Versions, good and bad, written in every way, while the component is killed and the engine goes away.
    #[test]
    fn the_last_good_version_is_in_force_whatever_happens(steps in proptest::collection::vec(step(), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(lives_through(&steps));
    }
}
