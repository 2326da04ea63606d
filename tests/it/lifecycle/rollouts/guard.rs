//! What a rollout and the driver owe each other: nothing is changed before the driver has shown that it guards the components.

use outrigger::admin::Status as PodStatus;
use outrigger::engine::ContainerId;
use outrigger::plan::Plan;
use outrigger::supervisor::events::{Event, Phase};
use outrigger::supervisor::shared::{Container, EVENTS_IN_FLIGHT, Live, Shared};
use outrigger::supervisor::state::Pod;
use outrigger::supervisor::{rollout, views};
use tokio_util::sync::CancellationToken;

use super::*;

fn live(phase: Phase, guarded: bool, restarts: u32) -> Arc<HashMap<ComponentName, Live>> {
    let run = u64::from(restarts) + 1;
    let web = Live { phase, run, restarts, paused: false, checked: false, unhealthy: false, guarded, gone: false };
    Arc::new([(name("web"), web)].into())
}

async fn plan(engine: &FakeEngine) -> Plan {
    let all = [("pod.component.web", RESTARTED)];
    let raw = outrigger::pod::read::from_labels(&labels(&all)).unwrap();
    let me = SelfInfo::offline("pod", labels(&all));
    compile::compile(&lower::lower(&raw).unwrap(), &me, &engine.info().await.unwrap(), &Settings::default()).unwrap()
}

/// A component that has just ended may be started again at any moment, and one that runs may end, until the driver holds it.
#[tokio::test(start_paused = true)]
async fn nothing_is_changed_before_the_components_are_guarded() {
    for phase in [Phase::Running, Phase::Exited, Phase::BackingOff] {
        let engine = FakeEngine::new();
        let reloader = Reloader::new(&engine);
        let plan = plan(&engine).await;
        let (id, _notes) = engine.create(&plan.find(&name("web")).unwrap().container).await.unwrap();
        engine.start(&id).await.unwrap();
        engine.put_file("web", TARGET, b"good first");
        if phase != Phase::Running {
            engine.kill("web", 1);
        }

        // The test is the driver.
        let (events, mut to_driver) = mpsc::channel(EVENTS_IN_FLIGHT);
        let (shown, shown_out) = watch::channel(live(phase, false, 0));
        let findings = AllFindings::new(&plan);
        let shared = Shared::new(
            engine.clone(),
            reloader.script.clone(),
            Settings::default(),
            plan,
            events,
            shown_out,
            findings,
        );
        shared.created(&name("web"), Container { id: ContainerId(id.0), stop_signal: 15 });
        let (changes, changes_out) = mpsc::channel(1);
        let status = watch::Sender::new(Arc::new(PodStatus::default()));
        let rollouts = rollout::run(Arc::new(shared), changes_out, status, CancellationToken::new());
        let driver = async {
            let change = Change {
                source: "/config".to_owned(),
                path: "/config/web.conf".to_owned(),
                digest: "2".to_owned(),
                content: b"good second"[..].into(),
                removed: false,
            };
            changes.send((plugin(), vec![change])).await.unwrap();
            let asked = to_driver.recv().await.unwrap();
            assert!(matches!(&asked, Event::Guard(names) if names.contains(&name("web"))), "{asked:?}");
            engine.forget_calls();
            // It is busy with something else.
            tokio::time::sleep(20 * SECOND).await;
            assert_eq!(engine.calls(), Vec::<String>::new(), "{phase:?}: before the guard");
            shown.send_replace(live(phase, true, 0));
            let next = tokio::time::timeout(10 * SECOND, to_driver.recv()).await.unwrap().unwrap();
            assert!(engine.calls().iter().any(|call| call.starts_with("upload web /etc")), "{:?}", engine.calls());
            if phase == Phase::Running {
                assert!(matches!(next, Event::Unguard), "{next:?}");
                assert_eq!(engine.calls_of("signal"), ["signal web 1"]);
            } else {
                assert!(matches!(&next, Event::Restart(web) if *web == name("web")), "{next:?}");
                assert_eq!(engine.calls_of("start"), Vec::<String>::new(), "the driver starts it");
            }
            assert_eq!(engine.files("web")[TARGET], b"good second");
        };
        tokio::select! {
            () = rollouts => panic!("rollouts end with the pod only"),
            () = driver => {}
        }
    }
}

/// The driver's half: it shows the guard from the event on, of these components alone, until the rollout has ended.
#[tokio::test]
async fn what_is_guarded_is_shown_as_such() {
    let engine = FakeEngine::new();
    let mut pod = Pod::new(&plan(&engine).await);
    let guarded = |pod: &Pod| views::live(pod)[&name("web")].guarded;
    assert!(!guarded(&pod));
    drop(pod.step(Event::Guard([name("other")].into())));
    assert!(!guarded(&pod));
    drop(pod.step(Event::Guard([name("web")].into())));
    assert!(guarded(&pod));
    drop(pod.step(Event::Unguard));
    assert!(!guarded(&pod));
}
