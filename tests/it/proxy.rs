//! The engine's endpoints that a controller needs, and no other: a whole life of a pod behind a proxy that lets only those of `docs/security.md` through.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrigger::shutdown::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};

use crate::e2e::pod::{PodUnderTest, component, controller_image};
use crate::support::{IMAGE, engine_or_fail};

/// The socket of the engine that the tests run on.
fn socket() -> String {
    let address = std::env::var("DOCKER_HOST").unwrap_or_default();
    address.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned()
}

/// Longest head of a request.
const HEAD: usize = 64 * 1024;

/// A method and a path, where `{…}` stands for one segment and `{name...}` for one or more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Endpoint {
    method: String,
    path: String,
}

impl Endpoint {
    fn fits(&self, method: &str, path: &str) -> bool {
        let wanted: Vec<_> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        let found: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_one = |(wanted, found): (&&str, &&str)| wanted.starts_with('{') || wanted == found;
        if self.method != method {
            return false;
        }
        match self.path.find("...}") {
            None => wanted.len() == found.len() && wanted.iter().zip(&found).all(is_one),
            // The long one stands in the middle: what is around it has to fit.
            Some(_) => {
                found.len() >= wanted.len()
                    && wanted.iter().zip(&found).next().is_some_and(is_one)
                    && wanted.iter().rev().zip(found.iter().rev()).next().is_some_and(is_one)
            }
        }
    }
}

/// The table of the documentation.
fn documented() -> Vec<Endpoint> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let text = std::fs::read_to_string(path).unwrap();
    let found: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.splitn(3, "` | `");
            let method = cells.next()?.to_owned();
            let path = cells.next()?.split('`').next()?.to_owned();
            path.starts_with('/').then_some(Endpoint { method, path })
        })
        .filter(|endpoint| ["GET", "HEAD", "PUT", "POST", "DELETE"].contains(&endpoint.method.as_str()))
        .collect();
    assert!(found.len() >= 15, "{found:?}");
    found
}

struct Proxy {
    tasks: Tasks,
    directory: tempfile::TempDir,
    used: Arc<Mutex<BTreeSet<Endpoint>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Lets these through.
    fn start(endpoints: Vec<Endpoint>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        let tasks = Tasks::new();
        let used: Arc<Mutex<BTreeSet<Endpoint>>> = Arc::default();
        let refused: Arc<Mutex<Vec<String>>> = Arc::default();
        let (connections, seen, turned_away) = (tasks.clone(), Arc::clone(&used), Arc::clone(&refused));
        let endpoints = Arc::new(endpoints);
        tasks.spawn("proxy", move |token| async move {
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    let (endpoints, seen, turned_away) = (endpoints.clone(), seen.clone(), turned_away.clone());
                    connections.spawn("connection", |token| async move {
                        token.run_until_cancelled(pass(stream, &endpoints, &seen, &turned_away)).await;
                    });
                }
            };
            token.run_until_cancelled(accept).await;
        });
        Self { tasks, directory, used, refused }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    async fn stop(self) -> (BTreeSet<Endpoint>, Vec<String>) {
        self.tasks.cancel();
        self.tasks.wait(Duration::from_secs(5)).await;
        let used = self.used.lock().unwrap().clone();
        let refused = self.refused.lock().unwrap().clone();
        (used, refused)
    }
}

/// One request of one connection: the engine is told to close it afterwards, so that no second one follows unseen.
async fn pass(
    mut client: UnixStream,
    endpoints: &[Endpoint],
    used: &Mutex<BTreeSet<Endpoint>>,
    refused: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    let end = loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if request.len() > HEAD || client.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let version = path.split('/').nth(1).filter(|part| part.starts_with("v1."));
    let bare = version.map_or(path, |version| &path[version.len() + 1..]);
    let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.fits(method, bare)) else {
        refused.lock().unwrap().push(format!("{method} {bare}"));
        let body = r#"{"message":"not allowed here"}"#;
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let _gone = client.write_all(answer.as_bytes()).await;
        return;
    };
    used.lock().unwrap().insert(endpoint.clone());
    let is_upgrade = head.to_ascii_lowercase().contains("upgrade:");
    let mut forwarded = head;
    if !is_upgrade {
        forwarded.push_str("\r\nConnection: close");
    }
    let Ok(mut engine) = UnixStream::connect(socket()).await else { return };
    let sent = [forwarded.as_bytes(), &request[end..]].concat();
    if engine.write_all(&sent).await.is_ok() {
        let _end = copy_bidirectional(&mut client, &mut engine).await;
    }
}

#[test]
fn endpoints_fit_whole_paths_only() {
    let endpoint = |path: &str| Endpoint { method: "GET".to_owned(), path: path.to_owned() };
    for (pattern, path, expected) in [
        ("/containers/{id}/json", "/containers/a/json", true),
        ("/containers/{id}/json", "/containers/a/b/json", false),
        ("/containers/{id}/json", "/containers/json", false),
        ("/images/{name...}/json", "/images/json", false),
        ("/images/{name...}/json", "/images/a/json", true),
        ("/images/{name...}/json", "/images/reg:5000/a/b/json", true),
        ("/images/{name...}/json", "/images/a/history", false),
        ("/info", "/info/x", false),
    ] {
        assert_eq!(endpoint(pattern).fits("GET", path), expected, "{pattern} {path}");
        assert!(!endpoint(pattern).fits("POST", path));
    }
}

#[tokio::test]
async fn a_pod_lives_with_the_documented_endpoints_alone() {
    let Some(engine) = engine_or_fail().await else { return };
    let proxy = Proxy::start(documented());
    let image = controller_image(&engine).await;
    let directory = proxy.path().to_str().unwrap().to_owned();
    // Before the pod: a volume can be removed when its containers have gone.
    let _volume = crate::support::VolumeGuard(pod_volume(&directory));
    let mut pod = PodUnderTest::beside(&engine, "policy-proxy", &image, &directory);
    pod.spec().mounts.push(outrigger::pod::Mount::new(
        outrigger::pod::MountKind::Volume,
        Some(pod_volume(&directory)),
        "/data",
    ));
    let config = pod.volume_file("app.conf", "first");
    let server = "read_it() { echo \"serving $(cat /etc/app.conf)\"; }; trap read_it HUP; trap 'echo bye; exit 0' TERM; read_it; while :; do sleep 0.1; done";
    pod.label("pod.init.components", &format!("[{{image: {IMAGE}, command: [sh, -c, 'echo made']}}]"));
    pod.label("pod.component.app", &component(server, "healthcheck: {test: [CMD, \"true\"], interval: 300ms}"));
    let web = "depends_on: {app: {condition: service_healthy}}\npost_start: [{command: [touch, /tmp/begun]}]\npre_stop: [{command: [rm, /tmp/begun]}]";
    pod.label("pod.component.web", &component("exec sleep 1000", web));
    pod.label("pod.copy.app", &format!("{config}:/etc/app.conf"));
    pod.label(
        "pod.plugins",
        &format!("[{{reload: {{watch: {config}, component: app, target: /etc/app.conf, validate: [sh, -c, '! grep bad {{candidate}}'], signal: HUP, healthy-for: 100ms, debounce: 100ms}}}}]"),
    );
    // As a task of Swarm: how long the service lets it stop is asked of the engine. This one is no manager, or does not know the service.
    pod.label("com.docker.swarm.service.id", "policyproxynotaservice");
    pod.start().await;
    pod.says("[out] app: serving first").await;
    pod.reaches("running").await;
    pod.change_file("app.conf", "second");
    pod.says("[out] app: serving second").await;
    pod.says("applied").await;
    // The next run of the same controller cleans up after this one.
    pod.kill().await;
    pod.start().await;
    pod.reaches("running").await;
    assert_eq!(pod.stop().await, 0);
    let log = pod.log().await;
    assert!(log.contains("`post_start` is complete") && !log.contains("`pre_stop` failed"), "{log}");
    // One whose output nobody follows fails: the engine is asked for its last words, and it remains for a look.
    let mut failing = PodUnderTest::beside(&engine, "policy-kept", &image, &directory);
    failing.flag("-logs=false");
    failing.label("pod.component.app", &component("echo last words; exit 9", ""));
    failing.start().await;
    assert_eq!(failing.is_over().await, 9);
    let log = failing.log().await;
    assert!(log.contains("last output:\n  | last words"), "{log}");
    let kept = failing.components().await;
    assert!(kept.len() == 1 && kept[0].contains(".podlike.app.failed-"), "{kept:?}:\n{log}");
    // An image that nobody has.
    let mut missing = PodUnderTest::beside(&engine, "policy-pull", &image, &directory);
    missing.label("pod.component.app", "image: 127.0.0.1:1/not-there:1.0");
    missing.start().await;
    assert_eq!(missing.ends().await, 125);
    let (used, refused) = proxy.stop().await;
    assert_eq!(refused, Vec::<String>::new(), "these have to be documented, or avoided");
    let unused: Vec<_> = documented().into_iter().filter(|endpoint| !used.contains(endpoint)).collect();
    assert_eq!(unused, Vec::new(), "these are documented and were not needed");
}

#[tokio::test]
async fn what_the_documentation_leaves_out_is_not_needed() {
    let Some(engine) = engine_or_fail().await else { return };
    // All that a pod can do without, if it is made so.
    let left_out = [
        ("POST", "/images/create"),
        ("POST", "/containers/{id}/exec"),
        ("POST", "/exec/{id}/start"),
        ("GET", "/exec/{id}/json"),
        ("PUT", "/containers/{id}/archive"),
        ("HEAD", "/containers/{id}/archive"),
        ("GET", "/containers/{id}/archive"),
        ("GET", "/containers/{id}/logs"),
        ("GET", "/volumes/{name}"),
        ("GET", "/services/{id}"),
        ("POST", "/containers/{id}/rename"),
    ];
    let is_left_out = |endpoint: &Endpoint| {
        left_out.iter().any(|(method, path)| endpoint.method == *method && endpoint.path == *path)
    };
    let (out, rest): (Vec<_>, Vec<_>) = documented().into_iter().partition(is_left_out);
    assert_eq!(out.len(), left_out.len(), "{out:?}");
    let proxy = Proxy::start(rest);
    let image = controller_image(&engine).await;
    let directory = proxy.path().to_str().unwrap().to_owned();
    let mut pod = PodUnderTest::beside(&engine, "policy-least", &image, &directory);
    let own = pod.name().to_owned();
    for flag in [&format!("--self={own}"), "-logs=false", "--keep-failed=0"] {
        pod.flag(flag);
    }
    pod.label("com.docker.swarm.service.id", "policyleastnotaservice");
    let served = "probes: {readiness: {tcp: 7831, period: 200ms, timeout: 5s}}";
    pod.label("pod.component.app", &component("exec nc -ll -p 7831 -e /bin/cat", served));
    pod.label("pod.component.web", &component("exec sleep 1000", "depends_on: {app: {condition: service_healthy}}"));
    pod.start().await;
    pod.reaches("running").await;
    assert_eq!(pod.stop().await, 0);
    // All the same where a component ends the pod by itself.
    let mut short = PodUnderTest::beside(&engine, "policy-short", &image, &directory);
    let own = short.name().to_owned();
    for flag in [&format!("--self={own}"), "-logs=false", "--keep-failed=0"] {
        short.flag(flag);
    }
    short.label("pod.component.app", &component("exit 9", ""));
    short.start().await;
    assert_eq!(short.ends().await, 9);
    let (_used, refused) = proxy.stop().await;
    // Some are asked for all the same, and done without: whether the given container is the controller's, how long its service lets it stop, and the last
    // words of the component that failed.
    let asked = |verb: &str, end: &str| {
        refused.iter().filter(|call| call.starts_with(&format!("{verb} /containers/")) && call.ends_with(end)).count()
    };
    let archives = (asked("HEAD", "/archive"), asked("GET", "/archive"));
    assert_eq!((archives, asked("GET", "/logs"), refused.len()), ((2, 2), 1, 6), "{refused:?}");
    assert!(refused.contains(&"GET /services/policyleastnotaservice".to_owned()), "{refused:?}");
}

fn pod_volume(directory: &str) -> String {
    format!("policy-proxy{}", directory.replace(['/', '.'], "-"))
}
