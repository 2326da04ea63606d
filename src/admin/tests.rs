use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::status::{Health, HealthState, Stage};
use super::{AdminError, Status, Waiting, ask, serve, socket};
use crate::shutdown::Tasks;

/// Of the engine's check; none waits here.
const LIMIT: Duration = Duration::from_secs(30);

struct Served {
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    publish: watch::Sender<Arc<Status>>,
    tasks: Tasks,
}

fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let path = socket(&dir.path().join("state"));
    let (publish, status) = watch::channel(Arc::new(Status::default()));
    let tasks = Tasks::new();
    serve(&path, status, |_| {}, || "outrigger_up 1\n".to_owned(), Waiting::new(LIMIT, LIMIT), &tasks).unwrap();
    Served { _dir: dir, path, publish, tasks }
}

fn status(state: HealthState, reasons: &[&str]) -> Arc<Status> {
    Arc::new(Status {
        pod: "calc".to_owned(),
        stage: Stage::Running,
        health: Health { state, reasons: reasons.iter().map(|&r| r.to_owned()).collect() },
        ..Status::default()
    })
}

#[tokio::test]
async fn health_follows_what_is_published() {
    let served = served();
    assert_eq!(ask(&served.path, "health").await.unwrap(), "starting\n");
    served.publish.send_replace(status(HealthState::Unhealthy, &["component `a`:\nrefused"]));
    assert_eq!(ask(&served.path, "health").await.unwrap(), "unhealthy\ncomponent `a`: refused\n");
}

#[tokio::test]
async fn status_is_one_line_of_json_that_can_be_read_back() {
    let served = served();
    served.publish.send_replace(status(HealthState::Healthy, &[]));
    let text = ask(&served.path, "status").await.unwrap();
    assert_eq!(text.lines().count(), 1);
    let back: Status = serde_json::from_str(&text).unwrap();
    assert_eq!(back.pod, "calc");
    assert_eq!(back.stage, Stage::Running);
}

#[tokio::test]
async fn metrics_come_from_the_callback_and_other_words_are_refused() {
    let served = served();
    assert_eq!(ask(&served.path, "metrics").await.unwrap(), "outrigger_up 1\n");
    let refused = ask(&served.path, "reboot").await.unwrap_err();
    assert!(matches!(refused, AdminError::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn the_socket_is_the_owners_alone_and_gone_in_the_end() {
    let served = served();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&served.path), 0o600);
    assert_eq!(mode(served.path.parent().unwrap()), 0o700);
    served.tasks.cancel();
    assert!(served.tasks.wait(Duration::from_secs(5)).await);
    assert!(!served.path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket(dir.path());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let (_publish, status) = watch::channel(Arc::new(Status::default()));
    let tasks = Tasks::new();
    serve(&path, status.clone(), |_| {}, String::new, Waiting::new(LIMIT, LIMIT), &tasks).unwrap();
    let second = serve(&path, status, |_| {}, String::new, Waiting::new(LIMIT, LIMIT), &tasks).unwrap_err();
    assert!(matches!(second, AdminError::InUse { .. }), "{second}");
    assert!(!second.hint().is_empty());
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (_publish, status) = watch::channel(Arc::new(Status::default()));
    let error =
        serve(&socket(&file), status, |_| {}, String::new, Waiting::new(LIMIT, LIMIT), &Tasks::new()).unwrap_err();
    assert!(matches!(error, AdminError::Directory { .. }), "{error}");
    assert!(error.hint().contains("OUTRIGGER_STATE_DIR"));
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_refused() {
    let (_publish, status) = watch::channel(Arc::new(Status::default()));
    let long = Path::new("/tmp").join("x".repeat(120));
    assert!(matches!(
        serve(&long, status, |_| {}, String::new, Waiting::new(LIMIT, LIMIT), &Tasks::new()),
        Err(AdminError::TooLong { .. })
    ));
}

#[tokio::test]
async fn nobody_listening_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let error = ask(&socket(dir.path()), "health").await.unwrap_err();
    assert!(matches!(error, AdminError::NoController { .. }), "{error}");
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    let served = served();
    let mut stream = UnixStream::connect(&served.path).await.unwrap();
    stream.write_all(&[b'x'; 64]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("error: the request is longer"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn silent_clients_do_not_keep_others_out() {
    let served = served();
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(UnixStream::connect(&served.path).await.unwrap());
    }
    // The silent ones are thrown out one batch after the other; time is paused, so this takes no wall time.
    let mut late = UnixStream::connect(&served.path).await.unwrap();
    late.write_all(b"health\n").await.unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "starting\n");
}

/// With something in each list, and in each field that may be null.
fn full() -> Status {
    use super::status::{
        CgroupStatus, ComponentStatus, MetricStatus, PluginStatus, ProbeStatus, RolloutStatus, Verdict,
    };
    let health = Health { state: HealthState::Healthy, reasons: vec!["r".to_owned()] };
    let probe =
        ProbeStatus { kind: "liveness".to_owned(), last_ok: Some(true), last_at: Some(1), ..Default::default() };
    let component = ComponentStatus {
        state: "running".to_owned(),
        health: Some(health.clone()),
        probes: vec![probe],
        exit_code: Some(-1),
        container_id: Some("id".to_owned()),
        ..ComponentStatus::default()
    };
    Status {
        schema_version: super::status::SCHEMA_VERSION,
        health,
        components: vec![component, ComponentStatus { state: "planned".to_owned(), ..ComponentStatus::default() }],
        plugins: vec![PluginStatus::default()],
        rollouts: vec![RolloutStatus::default()],
        verdicts: vec![Verdict { kind: "health".to_owned(), subject: Some("a".to_owned()), ..Verdict::default() }],
        not_in_force: vec!["n".to_owned()],
        cgroups: Some(CgroupStatus::default()),
        warnings: vec!["w".to_owned()],
        metrics: vec![MetricStatus { labels: [("a".to_owned(), "b".to_owned())].into(), ..MetricStatus::default() }],
        ..Status::default()
    }
}

#[test]
fn a_verdict_holds_since_the_same_check_first_said_so() {
    use super::status::Verdict;
    let of = |check: &str, status| Verdict { check: check.to_owned(), status, ..Verdict::default() };
    let mut first = vec![of("engine", HealthState::Starting), of("probe", HealthState::Healthy)];
    Verdict::note_since(&mut first, &[], 5);
    let mut next = vec![of("probe", HealthState::Healthy), of("engine", HealthState::Healthy)];
    next[0].reason = "the reason may change".to_owned();
    Verdict::note_since(&mut next, &first, 9);
    assert_eq!(next.iter().map(|it| it.since).collect::<Vec<_>>(), [5, 9]);
}

#[test]
fn the_schema_describes_each_field_of_a_status_and_no_other() {
    let mut schema: serde_json::Value = serde_json::from_str(include_str!("schema/status.json")).unwrap();
    // Readers must take fields that are added. Here, each is in the schema.
    let objects: Vec<_> = schema["$defs"].as_object().unwrap().keys().map(|name| format!("/$defs/{name}")).collect();
    for at in objects.iter().map(String::as_str).chain([""]) {
        schema.pointer_mut(at).unwrap()["additionalProperties"] = false.into();
    }
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for status in [full(), Status { schema_version: 1, ..Status::default() }] {
        let status = serde_json::to_value(status).unwrap();
        let wrong: Vec<_> = validator.iter_errors(&status).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    let words = |pointer: &str| schema.pointer(pointer).unwrap().as_array().unwrap().clone();
    assert_eq!(words("/properties/stage/enum"), Stage::WORDS);
    assert_eq!(words("/$defs/health/properties/state/enum"), HealthState::WORDS);
    assert_eq!(words("/$defs/component/properties/state/enum"), super::status::COMPONENT_STATES);
    assert_eq!(schema["properties"]["schema_version"]["const"], super::status::SCHEMA_VERSION);
}
