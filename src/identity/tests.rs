use super::*;
use crate::engine::fake::FakeEngine;
use crate::engine::{ContainerId, ContainerSpec};

const IP: &str = "172.17.0.2";

/// A running container, with the label of a pod and the given host name.
async fn container(engine: &FakeEngine, name: &str, hostname: &str) -> ContainerId {
    let mut spec = ContainerSpec::new(name, "outrigger");
    spec.labels.insert("pod.component.app".into(), "image: a".into());
    let (id, _) = engine.create(&spec).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut seen = engine.inspect(&id.0).await.unwrap();
    seen.hostname = hostname.to_owned();
    seen.addresses = vec![IP.to_owned()];
    engine.put_container(seen);
    id
}

fn mounts_of(id: &ContainerId) -> String {
    format!("1 2 254:0 /var/lib/docker/containers/{}/hosts /etc/hosts rw - ext4 /dev/vda rw\n", id.0)
}

fn writable(dir: &tempfile::TempDir) -> Surroundings {
    Surroundings {
        hostname: "host".into(),
        marked: true,
        fib_trie: format!("|-- {IP}\n/32 host LOCAL\n"),
        nonce_dir: dir.path().to_owned(),
        ..Surroundings::default()
    }
}

/// As [`writable`], where no file can be written.
fn read_only(dir: &tempfile::TempDir) -> Surroundings {
    Surroundings { nonce_dir: dir.path().join("missing"), ..writable(dir) }
}

async fn found(engine: &FakeEngine, surroundings: &Surroundings) -> Result<ContainerId, IdentityError> {
    find(engine, &Settings::default(), surroundings).await.map(|found| found.id)
}

/// Compiles only if a task may look for us.
#[test]
fn a_search_can_be_spawned() {
    fn send<T: Send>(_: T) {}
    fn spawnable<E: Engine>(engine: E, settings: Settings, surroundings: Surroundings) {
        send(async move {
            let own = find(&engine, &settings, &surroundings).await.unwrap();
            self_info(&engine, own, &crate::pod::PodSpec::default(), &engine.info().await.unwrap()).await
        });
    }
    let _compiles = spawnable::<FakeEngine>;
}

#[tokio::test(start_paused = true)]
async fn a_process_of_the_host_is_told_so_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let surroundings = Surroundings { marked: false, cgroup: "4:memory:/\n0::/\n".into(), ..writable(&dir) };
    let error = found(&FakeEngine::new(), &surroundings).await.unwrap_err();
    assert!(matches!(error, IdentityError::NotInContainer));
    assert!(error.to_string().starts_with("not in a container"));
}

#[tokio::test(start_paused = true)]
async fn the_mounts_of_a_joined_network_lead_astray_and_the_cgroup_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    let (joined, own) = (container(&engine, "joined", "host").await, container(&engine, "own", "host").await);
    let engine = engine.running_in(&own.0);
    let surroundings = Surroundings {
        mountinfo: mounts_of(&joined),
        cgroup: format!("4:memory:/docker/{}\n", own.0),
        ..writable(&dir)
    };
    assert_eq!(found(&engine, &surroundings).await.unwrap(), own);
    let unwritable = Surroundings { nonce_dir: read_only(&dir).nonce_dir, ..surroundings.clone() };
    assert_eq!(found(&engine, &unwritable).await.unwrap(), own, "host name and address are those of both");
    let looks = engine.calls_of("exists");
    assert_eq!((looks.len(), engine.calls_of("download").len()), (2, 0), "{looks:?}");
    assert!(looks[0].starts_with("exists joined "));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the nonce is removed");
}

#[tokio::test(start_paused = true)]
async fn the_host_name_is_a_short_id() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    let own = container(&engine, "own", "host").await;
    let engine = engine.running_in(&own.0);
    let surroundings = Surroundings { hostname: own.short().to_owned(), marked: false, ..writable(&dir) };
    assert_eq!(found(&engine, &surroundings).await.unwrap(), own);
}

#[tokio::test(start_paused = true)]
async fn the_engines_list_is_the_last_resort() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    for other in ["a", "b"] {
        container(&engine, other, "host").await;
    }
    let own = container(&engine, "own", "host").await;
    let engine = engine.running_in(&own.0);
    assert_eq!(found(&engine, &writable(&dir)).await.unwrap(), own);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_comes_first_and_is_checked_too() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    let (other, own) = (container(&engine, "other", "host").await, container(&engine, "own", "host").await);
    let engine = engine.running_in(&own.0);
    let surroundings = Surroundings { mountinfo: mounts_of(&own), ..writable(&dir) };
    for (given, looks) in [("own", 1), ("other", 2), ("nowhere", 1)] {
        engine.forget_calls();
        let settings = Settings { own_id: Some(given.to_owned()), ..Settings::default() };
        assert_eq!(find(&engine, &settings, &surroundings).await.unwrap().id, own);
        assert_eq!(engine.calls_of("exists").len(), looks, "{given}");
    }
    // Where nothing can be written, the word of who gave it holds.
    let settings = Settings { own_id: Some(other.0.clone()), ..Settings::default() };
    assert_eq!(find(&engine, &settings, &read_only(&dir)).await.unwrap().id, other);
}

#[tokio::test(start_paused = true)]
async fn with_a_read_only_root_the_engine_must_agree_with_what_we_see() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    let own = container(&engine, "own", "host").await;
    let surroundings = Surroundings { mountinfo: mounts_of(&own), ..read_only(&dir) };
    assert_eq!(found(&engine, &surroundings).await.unwrap(), own);

    let elsewhere = Surroundings { fib_trie: "|-- 10.0.0.9\n/32 host LOCAL\n".into(), ..surroundings.clone() };
    let error = found(&engine, &elsewhere).await.unwrap_err().to_string();
    assert!(
        error.contains("the controller has none of the container's addresses (the controller's root file system is not writable: does not exist)"),
        "{error}"
    );
    let renamed = Surroundings { hostname: "other".into(), ..surroundings.clone() };
    let error = found(&engine, &renamed).await.unwrap_err().to_string();
    assert!(error.contains("the container's host name is `host`, the controller's is `other`"), "{error}");

    let mut unlabelled = engine.find("own").unwrap();
    unlabelled.labels.clear();
    engine.put_container(unlabelled);
    let error = found(&engine, &surroundings).await.unwrap_err().to_string();
    assert!(error.contains("the container has no label `pod.*`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_error_lists_what_every_method_gave() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    let other = container(&engine, "other", "host").await;
    let stopped = container(&engine, "stopped", "host").await;
    engine.kill("stopped", 0);
    let settings = Settings { own_id: Some("nowhere".into()), ..Settings::default() };
    let surroundings =
        Surroundings { mountinfo: mounts_of(&other), cpuset: format!("/docker/{}", stopped.0), ..writable(&dir) };
    let error = find(&engine, &settings, &surroundings).await.unwrap_err();
    let expected = format!(
        "cannot detect the controller's own container\n  \
         `--self` or `OUTRIGGER_SELF`: `nowhere`: no such container\n  \
         `/proc/self/mountinfo`: `{other}`: the container does not have the controller's test file\n  \
         `/proc/self/cgroup`: `{stopped}`: the container is not running\n  \
         the host name: is not an id; \
         set `--self` or `OUTRIGGER_SELF` to the id or name of this container",
        other = other.0,
        stopped = stopped.0,
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_is_not_taken_for_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    let own = container(&engine, "own", "host").await;
    let engine = engine.running_in(&own.0).fails("inspect", "own", Fault::Transient, 1);
    let surroundings = Surroundings { mountinfo: mounts_of(&own), ..writable(&dir) };
    assert!(matches!(found(&engine, &surroundings).await, Err(IdentityError::Engine(_))));
    assert_eq!(found(&engine, &surroundings).await.unwrap(), own);
}

#[tokio::test(start_paused = true)]
async fn where_a_proxy_refuses_the_look_the_content_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    let (other, own) = (container(&engine, "other", "host").await, container(&engine, "own", "host").await);
    let engine = engine.running_in(&own.0);
    let refuses =
        || engine.clone().fails("exists", "own", Fault::Permanent, 1).fails("exists", "other", Fault::Permanent, 1);
    for given in [&own, &other] {
        let settings = Settings { own_id: Some(given.0.clone()), ..Settings::default() };
        engine.forget_calls();
        let surroundings = Surroundings { mountinfo: mounts_of(&own), ..writable(&dir) };
        assert_eq!(find(&refuses(), &settings, &surroundings).await.unwrap().id, own);
        assert!(!engine.calls_of("download").is_empty());
    }
}

/// Each container that is tried costs calls, and an engine may have thousands.
#[tokio::test(start_paused = true)]
async fn only_so_many_of_the_engines_containers_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    for number in 0..MOST_SCANNED + 10 {
        container(&engine, &format!("other-{number}"), "host").await;
    }
    let error = found(&engine, &writable(&dir)).await.unwrap_err();
    let IdentityError::Unknown(attempts) = error else { panic!("{error}") };
    let scanned = attempts.iter().filter(|attempt| attempt.method == Method::Scan).count();
    assert_eq!((scanned, engine.calls_of("exists").len()), (MOST_SCANNED, MOST_SCANNED));
}

/// Containers that do not run are not ours, and do not use up what is tried.
#[tokio::test(start_paused = true)]
async fn containers_that_do_not_run_are_not_tried() {
    let dir = tempfile::tempdir().unwrap();
    let engine = FakeEngine::new();
    for number in 0..MOST_SCANNED {
        let name = format!("ended-{number}");
        container(&engine, &name, "host").await;
        engine.kill(&name, 137);
    }
    let own = container(&engine, "own", "host").await;
    let engine = engine.running_in(&own.0);
    assert_eq!(found(&engine, &writable(&dir)).await.unwrap(), own);
    assert_eq!(engine.calls_of("exists").len(), 1);
}
