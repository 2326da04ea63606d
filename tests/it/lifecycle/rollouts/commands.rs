//! Commands in components that end, that refuse, and that look into another directory than the engine.

use std::sync::atomic::AtomicUsize;

use super::*;

fn command(words: &[&str]) -> Command {
    Command { component: name("web"), argv: argv(words), timeout_ms: 60_000 }
}

fn failed(stderr: &'static str) -> ExecOutput {
    ExecOutput { exit_code: 1, stdout: bytes::Bytes::new(), stderr: stderr.as_bytes().into(), truncated: false }
}

/// With other commands and actions than the reloader's own.
fn with(mut reloader: Reloader, change: impl Fn(Rollout) -> Rollout + Send + Sync + 'static) -> Reloader {
    let changed = reloader.script.changed.take().unwrap();
    reloader.script.changed = Some(Arc::new(move |changes| changed(changes).map(&change)));
    reloader
}

/// With a command for each step that may have one.
fn with_every_command(reloader: Reloader) -> Reloader {
    with(reloader, |rollout| Rollout {
        validate: rollout.validate.into_iter().chain([command(&["late"])]).collect(),
        apply: vec![Action::Run(command(&["apply"])), Action::Signal(name("web"), 1)],
        verify: vec![command(&["verify"])],
        ..rollout
    })
}

/// Whichever command never answers: the component that ends during it is started again without a pause.
#[tokio::test(start_paused = true)]
async fn no_command_outlives_its_component_nor_delays_its_next_start() {
    // validate, mv, late, apply, verify.
    for hanging in 0..5 {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let engine = server().hangs("web", move |_| counted.fetch_add(1, Ordering::Relaxed) == hanging);
        let reloader = with_every_command(Reloader::new(&engine));
        let pod = pod(engine, &reloader, "good first").await;
        tokio::time::sleep(5 * SECOND).await;
        reloader.write("good second");
        eventually(&pod, || count.load(Ordering::Relaxed) == hanging + 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let killed = tokio::time::Instant::now();
        pod.engine.kill("web", 1);
        eventually(&pod, || phase(&pod) == "running" && pod.engine.find("web").unwrap().running).await;
        let took = killed.elapsed();
        assert!(took < Duration::from_millis(1500), "command {hanging}: {took:?}: {:?}", pod.engine.calls());
        let (applied, text) = reloader.ended(&pod, 1).await;
        assert!(killed.elapsed() < 10 * SECOND, "command {hanging}: {:?}", killed.elapsed());
        // It ended on account of the new file only if it may have used it.
        assert_eq!(applied, hanging < 4, "command {hanging}: {text}");
        assert_eq!(content(&pod), if applied { "good second" } else { "good first" }, "command {hanging}: {text}");
        if !applied {
            assert!(text.contains("in component `web` was aborted, because the component has ended"), "{text}");
        }
        pod.signal(15).await;
        pod.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugins_command_is_given_up_with_its_component() {
    let engine = FakeEngine::new().hangs("web", |_| true);
    let all = [("pod.component.app", "image: app"), ("pod.component.web", RESTARTED), ("pod.options", "{settle: 0s}")];
    let mut pod = start(engine, Script::default(), &all).await;
    pod.reaches("running").await;
    let (reply, answer) = oneshot::channel();
    let kind = RequestKind::Exec { component: name("web"), argv: argv(&["sleep", "9"]), timeout: 60 * SECOND, reply };
    pod.requests.send(Request { plugin: plugin(), kind }).await.unwrap();
    eventually(&pod, || !pod.engine.calls_of("exec").is_empty()).await;
    pod.engine.kill("web", 1);
    let why = tokio::time::timeout(SECOND, answer).await.expect("at once").unwrap().unwrap_err();
    assert_eq!(why, "`sleep 9` in component `web` was aborted, because the component has ended");
    pod.signal(15).await;
    pod.ends().await;
}

/// Candidates that lie in the component.
fn candidates(pod: &Running) -> Vec<String> {
    pod.engine.files("web").into_keys().filter(|path| path.contains("candidate")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_file_that_can_not_be_replaced_is_unchanged_and_no_candidate_stays() {
    let engine = server();
    let scripts = engine.clone();
    let engine = engine.exec_answers("web", move |argv| {
        if argv[0] != "mv" {
            return ExecOutput { exit_code: 0, ..failed("") };
        }
        // The file that is written instead of the rename.
        drop(scripts.clone().fails("upload", "web", Fault::Permanent, 1));
        failed("mv: can't rename: Device or resource busy")
    });
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good first").await;
    tokio::time::sleep(5 * SECOND).await;
    reloader.write("good second");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.ends_with("nothing was changed"), "{text}");
    assert!(!text.contains("roll"), "there was nothing to roll back: {text}");
    assert_eq!((content(&pod).as_str(), candidates(&pod)), ("good first", Vec::new()));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_roll_back_that_fails_names_what_is_new_and_drops_the_candidates() {
    let engine = server();
    let (scripts, moves) = (engine.clone(), AtomicUsize::new(0));
    let engine = engine.exec_answers("web", move |argv| match argv[0].as_str() {
        "verify" => failed("no"),
        "mv" if moves.fetch_add(1, Ordering::Relaxed) > 0 => {
            drop(scripts.clone().fails("upload", "web", Fault::Permanent, 1));
            failed("mv: can't rename: Device or resource busy")
        }
        _ => ExecOutput { exit_code: 0, ..failed("") },
    });
    let reloader = with(Reloader::new(&engine), |rollout| Rollout { verify: vec![command(&["verify"])], ..rollout });
    let pod = pod(engine, &reloader, "good first").await;
    tokio::time::sleep(5 * SECOND).await;
    reloader.write("good second");
    let (applied, text) = reloader.ended(&pod, 1).await;
    let expected = "the rollback failed: `/etc/web.conf` in component `web` is not the previous version: ";
    assert!(!applied && text.contains(expected), "{text}");
    assert_eq!((content(&pod).as_str(), candidates(&pod)), ("good second", Vec::new()));
    pod.signal(15).await;
    pod.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_mounted_alone_is_refused_before_anything_is_changed() {
    let engine = server();
    let reloader = Reloader::new(&engine);
    let web = "{image: web, volumes: [\"/h/hostfile:/etc/web.conf\", \"/h/conf.d:/etc/conf.d\"]}";
    let mut pod =
        start(engine, reloader.script.clone(), &[("pod.component.app", "image: app"), ("pod.component.web", web)])
            .await;
    pod.reaches("running").await;
    pod.engine.put_file("web", TARGET, b"of the host");
    reloader.write("good");
    reloader.watch(&pod).await;
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("nothing was changed"), "{text}");
    assert!(text.contains("component `web`: `/etc/web.conf` is itself a mount of `/h/hostfile`"), "{text}");
    assert!(text.contains("mount its directory at `/etc`, or a volume"), "{text}");
    assert_eq!((content(&pod).as_str(), candidates(&pod)), ("of the host", Vec::new()));
    pod.signal(15).await;
    pod.ends().await;
}

/// The component exchanges the directory between the upload of the candidate and its rename: lost once, lost always.
#[tokio::test(start_paused = true)]
async fn a_lost_race_with_a_directory_is_told_as_one() {
    for always in [false, true] {
        let engine = server();
        let (files, moves) = (engine.clone(), AtomicUsize::new(0));
        let engine = engine.exec_answers("web", move |argv| {
            if argv[0] == "mv" {
                let number = moves.fetch_add(1, Ordering::Relaxed);
                if always || number == 0 {
                    let (directory, _) = argv[4].rsplit_once('/').unwrap();
                    files.put_file("web", &format!("/data/{number}/web.conf"), b"good elsewhere");
                    files.put_link("web", directory, &format!("/data/{number}"));
                }
            }
            ExecOutput { exit_code: 0, ..failed("") }
        });
        let reloader = Reloader::new(&engine);
        let pod = pod(engine, &reloader, "good first").await;
        tokio::time::sleep(5 * SECOND).await;
        reloader.write("good second");
        let (applied, text) = reloader.ended(&pod, 1).await;
        assert_eq!(applied, !always, "{text}");
        assert!(!text.contains("mounted a file system"), "{text}");
        if always {
            let expected = "component `web` replaced the directory of `/data/3/web.conf`";
            assert!(text.contains(expected) && text.ends_with("nothing was changed"), "{text}");
            assert_eq!(content(&pod), "good elsewhere", "what the component has put there is its own");
        } else {
            assert_eq!(content(&pod), "good second");
        }
        pod.signal(15).await;
        pod.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_mount_of_the_components_process_is_told_as_one() {
    let engine = server().exec_answers("web", |argv| match argv[0].as_str() {
        "mv" => failed("mv: can't stat: No such file or directory"),
        _ => ExecOutput { exit_code: 0, ..failed("") },
    });
    let reloader = Reloader::new(&engine);
    let pod = pod(engine, &reloader, "good first").await;
    reloader.write("good second");
    let (applied, text) = reloader.ended(&pod, 1).await;
    assert!(!applied && text.contains("its process has mounted a file system there"), "{text}");
    assert_eq!((content(&pod).as_str(), candidates(&pod)), ("good first", Vec::new()));
    pod.signal(15).await;
    pod.ends().await;
}
