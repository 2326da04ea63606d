//! The label `pod.volumes`, as a running controller hands it to the engine.

use std::collections::BTreeMap;

use outrigger::engine::Engine;
use outrigger::engine::docker::Docker;
use outrigger::pod::{Mount, MountKind};

use super::pod::{PodUnderTest, bind, component, controller_image};
use super::restart::{OwnEngine, carry};
use super::volumes::Driver;
use crate::support::{IMAGE, VolumeGuard, engine_or_fail, skip, unique};

/// The engine's name of the volume at this path of a component.
async fn mounted(engine: &Docker, pod: &PodUnderTest, component: &str, path: &str) -> String {
    let seen = engine.inspect(&format!("{}.podlike.{component}", pod.name())).await.unwrap();
    seen.mounts.into_iter().find(|mount| mount.target == path).unwrap().name
}

#[tokio::test]
async fn volumes_are_made_as_the_pod_says_and_outlive_it() {
    let Some(engine) = engine_or_fail().await else { return };
    // Before the pod: a volume can be removed when its containers have gone.
    let [small, plain, theirs] = ["small", "plain", "theirs"].map(|name| VolumeGuard(unique("e2e", name)));
    let client = bollard::Docker::connect_with_defaults().unwrap();
    let request = bollard::models::VolumeCreateRequest {
        name: Some(theirs.0.clone()),
        labels: Some([("made-by".to_owned(), "somebody".to_owned())].into()),
        ..Default::default()
    };
    client.create_volume(request).await.unwrap();
    let volumes = |size: &str| {
        format!(
            "small: {{name: {}, driver_opts: {{type: tmpfs, device: tmpfs, o: size={size}}}, labels: {{made-by: pod}}}}\n{}:\ntheirs: {{name: {}, external: true}}\n",
            small.0, plain.0, theirs.0
        )
    };
    let mounts = format!("volumes: [\"small:/small\", \"{}:/plain\", \"theirs:/theirs:ro\"]", plain.0);
    let mut pod = PodUnderTest::new(&engine, "storage-made").await;
    pod.label("pod.volumes", &volumes("1m"));
    // What does not fit into the size shows that the options have arrived.
    let fill = "head -c 100000 /dev/zero > /small/some && echo some fits; head -c 4000000 /dev/zero > /small/all || echo all does not; exec sleep 1000";
    pod.label("pod.component.app", &component(fill, &mounts));
    let look = "until [ -e /small/all ]; do sleep 0.1; done; echo shared; exec sleep 1000";
    pod.label("pod.component.web", &component(look, &mounts));
    pod.start().await;
    for line in ["app: some fits", "app: all does not", "web: shared"] {
        pod.says(&format!("[out] {line}")).await;
    }
    pod.reaches("running").await;
    for (path, guard) in [("/small", &small), ("/plain", &plain), ("/theirs", &theirs)] {
        assert_eq!(mounted(&engine, &pod, "app", path).await, guard.0);
    }
    assert_eq!(pod.in_component("app", &["touch", "/theirs/x"]).await.0, 1, "`ro` holds");
    assert_eq!(pod.stop().await, 0);
    let label = async |guard: &VolumeGuard| engine.volume(&guard.0).await.unwrap().labels.get("made-by").cloned();
    assert_eq!(label(&small).await.as_deref(), Some("pod"));
    assert_eq!(label(&plain).await, None);
    assert_eq!(label(&theirs).await.as_deref(), Some("somebody"));
    let made = engine.volume(&small.0).await.unwrap();
    let expected = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")];
    assert_eq!(made.options, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());

    // The engine would say nothing, and mount the one that is there.
    let mut other = PodUnderTest::new(&engine, "storage-other").await;
    other.label("pod.volumes", &volumes("2m"));
    other.label("pod.component.app", &component("echo reached", &mounts));
    other.label("pod.component.web", &component("echo reached", ""));
    other.start().await;
    assert_eq!(other.ends().await, 1);
    let log = other.log().await;
    let told = format!("error: `pod.component.app`, field `volumes[0]`: the volume `{}` exists already with", small.0);
    assert!(log.contains(&told) && log.contains("o=size=1m") && log.contains("o=size=2m"), "{log}");
    assert!(log.contains(&format!("hint: the engine cannot change an existing volume: use another name, or remove the volume with its data (`docker volume rm {}`)", small.0)), "{log}");
    assert!(!log.contains("`: started") && !log.contains("reached"), "{log}");
}

#[tokio::test]
async fn every_problem_of_the_volumes_is_told_and_nothing_is_started() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "storage-wrong").await;
    pod.label("pod.volumes", "{data: {drivr: local}, both: {external: true, driver: local}, 'a b': {}}");
    pod.label("pod.component.app", &component("echo reached", "volumes: [\"data:/data\"]"));
    pod.label("pod.component.web", &component("echo reached", ""));
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    for problem in [
        "`pod.volumes`, field `data.drivr`: unknown key\n --> `pod.volumes`, line 1, column 9\n  hint: did you mean `driver`?",
        "`pod.volumes`, field `both`: an external volume exists already",
        "`a b` is not a volume name",
    ] {
        assert!(log.contains(problem), "`{problem}` is missing in:\n{log}");
    }
    assert!(log.contains("3 problems; nothing was started") && !log.contains("reached"), "{log}");
}

/// As podlike's example has it: the volume is mounted at `/var/run`, and the engine's socket below it.
#[tokio::test]
async fn a_volume_is_shared_although_the_socket_is_mounted_below_it() {
    let Some(engine) = engine_or_fail().await else { return };
    let volume = VolumeGuard(unique("e2e", "storage-pids"));
    let mut pod = PodUnderTest::new(&engine, "storage-shared").await;
    pod.flag("-volumes");
    pod.spec().mounts.push(Mount { kind: MountKind::Volume, ..bind(&volume.0, "/var/run") });
    let server = "trap 'echo reloaded' HUP; echo $$ > /var/run/server.pid; while :; do sleep 0.1; done";
    pod.label("pod.component.server", &component(server, ""));
    let reloader = "until [ -s /var/run/server.pid ]; do sleep 0.1; done; kill -HUP $(cat /var/run/server.pid); \
        [ -S /var/run/docker.sock ] && echo a socket; wc -c < /var/run/docker.sock; exec sleep 1000";
    pod.label("pod.component.reloader", &component(reloader, ""));
    pod.start().await;
    pod.says("[out] server: reloaded").await;
    // The engine makes an empty file for the socket to be mounted at.
    pod.says("[out] reloader: 0").await;
    assert_eq!(mounted(&engine, &pod, "server", "/var/run").await, volume.0);
    let log = pod.log().await;
    assert!(!log.contains("not shared") && !log.contains("a socket"), "{log}");
    assert_eq!(pod.stop().await, 0);

    // The same volume made of the node's own `/run` would be the socket.
    let node = VolumeGuard(unique("e2e", "storage-run"));
    let client = bollard::Docker::connect_with_defaults().unwrap();
    let options = [("type", "none"), ("o", "bind"), ("device", "/run")];
    let request = bollard::models::VolumeCreateRequest {
        name: Some(node.0.clone()),
        driver_opts: Some(options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        ..Default::default()
    };
    client.create_volume(request).await.unwrap();
    let mut other = PodUnderTest::new(&engine, "storage-run").await;
    other.flag("-volumes");
    other.spec().mounts.push(Mount {
        kind: MountKind::Volume,
        read_only: true,
        no_copy: true,
        ..bind(&node.0, "/var/run")
    });
    other.label(
        "pod.component.app",
        &component("[ -S /var/run/docker.sock ] && echo a socket; echo looked; exec sleep 1000", ""),
    );
    other.start().await;
    // Docker 26.1 can't look into a container with such a mount, not for `docker cp` either: its controller starts nothing.
    let unseen = "cannot read files of container";
    if other.says_one_of(&["[out] app: looked", unseen]).await == unseen {
        assert_eq!(other.ends().await, 125);
        return;
    }
    let log = other.log().await;
    assert!(log.contains("the mount `/var/run` is not shared, because it contains `/var/run/docker.sock`"), "{log}");
    assert!(!log.contains("a socket"), "{log}");
    assert_eq!(other.stop().await, 0);
}

#[tokio::test]
async fn a_bind_makes_its_source_unless_it_must_be_there() {
    let Some(engine) = engine_or_fail().await else { return };
    let node = tempfile::tempdir().unwrap();
    let mount = |name: &str, more: &str| {
        let source = node.path().join(name);
        format!("volumes: [{{type: bind, source: {}, target: /data{more}}}]", source.display())
    };
    let mut pod = PodUnderTest::new(&engine, "storage-made-bind").await;
    pod.label("pod.component.app", &component("echo there; exec sleep 1000", &mount("made", "")));
    pod.start().await;
    pod.says("[out] app: there").await;
    assert!(node.path().join("made").is_dir());
    assert_eq!(pod.stop().await, 0);

    let mut strict = PodUnderTest::new(&engine, "storage-missing-bind").await;
    let more = ", bind: {create_host_path: false}";
    strict.label("pod.component.app", &component("echo reached", &mount("missing", more)));
    strict.start().await;
    assert_eq!(strict.ends().await, 125);
    let log = strict.log().await;
    assert!(log.contains("bind source path does not exist") && log.contains("missing"), "{log}");
    assert!(!log.contains("reached") && !node.path().join("missing").exists(), "{log}");
}

/// An engine of the test's own, which looks for drivers where the test puts them.
async fn with_drivers() -> Option<(OwnEngine, Docker, String)> {
    let shared = engine_or_fail().await?;
    if !nix::unistd::geteuid().is_root() {
        skip::missing("an engine of its own needs root");
        return None;
    }
    let image = controller_image(&shared).await;
    let mut own = OwnEngine::new(true);
    let engine = own.start().await;
    carry(&image, &own.socket()).await;
    carry(IMAGE, &own.socket()).await;
    Some((own, engine, image))
}

#[tokio::test]
async fn a_volume_driver_gets_the_pods_options_and_one_that_is_missing_ends_the_pod() {
    let Some((own, engine, image)) = with_drivers().await else { return };
    let driver = Driver::start("pods-driver", &own.path("plugins"));
    let socket = own.path("socket").to_str().unwrap().to_owned();
    let mut pod = PodUnderTest::beside(&engine, "storage-driver", &image, &socket);
    let name = driver.name();
    pod.label(
        "pod.volumes",
        &format!("data: {{name: storage-data, driver: {name}, driver_opts: {{profile: fast, size: 10GiB}}}}"),
    );
    pod.label(
        "pod.component.app",
        &component("echo written > /data/x; echo done; exec sleep 1000", "volumes: [\"data:/data\"]"),
    );
    pod.start().await;
    pod.says("[out] app: done").await;
    assert_eq!(pod.stop().await, 0);
    let options: BTreeMap<_, _> =
        [("profile", "fast"), ("size", "10GiB")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(driver.options("storage-data"), Some(options));
    assert_eq!(driver.file("storage-data", "x").as_deref(), Some("written\n"));
    assert_eq!(driver.calls("Remove", "storage-data"), 0, "it outlives the pod");

    // What the driver itself refuses is told in its own words.
    let refused = async |name: &str, volumes: String| {
        let mut pod = PodUnderTest::beside(&engine, name, &image, &socket);
        pod.label("pod.volumes", &volumes);
        pod.label("pod.component.app", &component("echo reached", "volumes: [\"data:/data\"]"));
        pod.label("pod.component.web", &component("echo reached", "depends_on: [app]"));
        pod.start().await;
        assert_eq!(pod.ends().await, 125);
        let log = pod.log().await;
        assert!(!log.contains("`: started") && !log.contains("reached"), "{log}");
        assert!(log.contains("component `app` could not be started"), "{log}");
        log
    };
    let log = refused("storage-profile", format!("data: {{driver: {name}, driver_opts: {{profile: golden}}}}")).await;
    assert!(log.contains("there is no profile golden"), "{log}");
    let log = refused("storage-missing", "data: {driver: not-there}".to_owned()).await;
    let told = "field `volumes[0]`: the engine has no volume driver `not-there` that answers";
    assert!(log.contains(told) && log.contains("\"not-there\" not found") && log.contains("correct `driver`"), "{log}");
}
