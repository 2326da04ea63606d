//! Names, signals, and ends: what a process makes of signals, what is told of it, and what is refused.

use super::*;

/// A volume that no engine has.
const NO_VOLUME: &str = "outrigger-test-none";

/// Ignores SIGTERM, and ends with 4 on SIGUSR1.
const STUBBORN: &str = "trap '' TERM; trap 'exit 4' USR1; while :; do sleep 0.05; done";

/// Between a start and the traps of the shell, and between a signal and its effect.
const MOMENT: Duration = Duration::from_millis(400);

/// Two containers; the second one's name ends in `-b`.
async fn script<E: Engine>(engine: &E, spec: &ContainerSpec) -> Vec<String> {
    let mut trace = Vec::new();
    let mut note = |what: &str, answer: String| trace.push(format!("{what}: {answer}"));
    let label = format!("{LABEL}={}", spec.name);
    let other = ContainerSpec { name: format!("{}-b", spec.name), ..spec.clone() };
    let (a, _) = engine.create(spec).await.unwrap();
    let (b, _) = engine.create(&other).await.unwrap();
    let seen = async |id: &ContainerId| {
        told(engine.inspect(&id.0).await.map(|seen| (seen.running, seen.exit_code, seen.oom_killed)))
    };
    note("rename to a name that is in use", told(engine.rename(&b, &spec.name).await));
    note("rename to its own new name", told(engine.rename(&b, &format!("{}-c", spec.name)).await));
    note("create under the name that is free now", told(engine.create(&other).await.map(drop)));
    note("list", told(engine.list(std::slice::from_ref(&label)).await.map(|all| all.len())));
    note("list of another label", told(engine.list(&[format!("{label}-none")]).await.map(|all| all.len())));
    note("list of two labels", told(engine.list(&[label.clone(), format!("{LABEL}=none")]).await.map(|all| all.len())));
    note("volume that is not there", told(engine.volume(NO_VOLUME).await.map(drop)));
    note("inspect before the start", seen(&a).await);

    engine.start(&a).await.unwrap();
    tokio::time::sleep(MOMENT).await;
    note("a signal that it ignores", told(engine.signal(&a, 15).await));
    tokio::time::sleep(MOMENT).await;
    note("it runs on", seen(&a).await);
    note("a signal that ends it", told(engine.signal(&a, 10).await));
    note("exit code", end_of(engine, &a).await.to_string());
    note("start again", told(engine.start(&a).await));
    note("while it runs", seen(&a).await);
    note("remove while it runs", told(engine.remove(&a).await));
    note("the name is free", told(engine.create(spec).await.map(drop)));
    note("rename what is gone", told(engine.rename(&a, "outrigger-test-gone").await));
    for name in [spec.name.clone(), format!("{}-b", spec.name), format!("{}-c", spec.name)] {
        let id = engine.inspect(&name).await.unwrap().id;
        note("remove what never ran", told(engine.remove(&id).await));
    }
    // From the engine's memory, in their order.
    let events: Vec<_> =
        timeout(PATIENCE, engine.events(&label, Some(1)).take(8).try_collect()).await.unwrap().unwrap();
    assert!(events.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns), "{events:?}");
    let mut removed = 0;
    for event in events {
        let which = if event.id == a { "the first" } else { "another" };
        removed += usize::from(event.kind == Kind::Destroy);
        note(which, format!("{:?}", event.kind));
    }
    assert_eq!(removed, 4);
    trace
}

#[tokio::test(start_paused = true)]
async fn the_fake_engine_ends_containers() {
    let spec = ContainerSpec::new("ends", support::IMAGE);
    let spec = ContainerSpec { labels: [(LABEL.to_owned(), spec.name.clone())].into(), ..spec };
    let fake = FakeEngine::new().ignores(&spec.name, 15).exits_on(&spec.name, 10, 4);
    check("fake", &script(&fake, &spec).await, "ends");
}

#[tokio::test]
async fn a_real_engine_ends_containers_alike() {
    let Some(engine) = support::engine_or_fail().await else { return };
    let (spec, _guard) = shell("contract-ends", STUBBORN);
    let _others = ["b", "c"].map(|last| support::Guard(format!("{}-{last}", spec.name)));
    check("real", &script(&engine, &spec).await, "ends");
}
