//! An engine that shuts down, as a reboot does it, under pods.

use super::*;

const NODE: &str = "node4";

/// Heeds SIGTERM, as an application does.
const HEEDS: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// What the controller's container may take for its stop. Nothing of it is needed; an engine that waits for all of it has been made to wait.
const GRACE: Duration = Duration::from_secs(40);

struct Node {
    _lock: Flock<File>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _forgotten = script(&["forget", NODE]);
    }
}

fn started(images: &[&str]) -> Node {
    let file = File::options().create(true).append(true).open(LOCK).unwrap();
    let node = Node { _lock: Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).unwrap() };
    engines(&["forget", NODE]);
    engines(&["start", NODE]);
    engines(&[&["carry", NODE], images].concat());
    node
}

/// Shuts the engine down, and starts it again; answers how long it took to end.
fn restarted() -> Duration {
    let began = Instant::now();
    engines(&["stop", NODE]);
    let took = began.elapsed();
    engines(&["start", NODE]);
    took
}

fn log() -> String {
    let output = docker_output(NODE, &["logs", "pod"]);
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

/// Components of the pod that run, and those that are of an earlier run of the controller.
fn of_the_pod() -> (BTreeSet<String>, Vec<String>) {
    let started = docker(NODE, &["inspect", "--format", "{{.State.StartedAt}}", "pod"]);
    let format = "{{.Names}} {{.State}} {{.Label \"outrigger.generation\"}} {{.Label \"outrigger.component\"}}";
    let (mut running, mut stale) = (BTreeSet::new(), Vec::new());
    for line in docker(NODE, &["ps", "--all", "--filter", "label=outrigger.pod", "--format", format]).lines() {
        let mut words = line.split(' ');
        let (name, state, generation) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        if generation != started {
            stale.push(name.to_owned());
        } else if state == "running" {
            running.extend(words.next().filter(|component| !component.is_empty()).map(str::to_owned));
        }
    }
    (running, stale)
}

#[tokio::test]
async fn an_engine_that_shuts_down_does_not_wait_for_its_pods() {
    if !may_start_engines() {
        return;
    }
    let Some(engine) = engine_or_fail().await else { return };
    let image = controller_image(&engine).await;
    let _node = started(&[&image, IMAGE]);
    for index in 0..4 {
        docker(NODE, &["run", "--detach", "--name", &format!("plain-{index}"), IMAGE, "sh", "-c", HEEDS]);
    }
    let plain = restarted();
    for (count, flags) in [(1, &[][..]), (3, &["--pids=false"]), (10, &[])] {
        let names: BTreeSet<String> = (0..count).map(|index| format!("c{index}")).collect();
        let command = serde_json::to_string(HEEDS).unwrap();
        let labels = names.iter().flat_map(|name| {
            let component = format!("{{image: {IMAGE}, stop_grace_period: 7s, command: [sh, -c, {command}]}}");
            ["--label".to_owned(), format!("pod.component.{name}={component}")]
        });
        let labels: Vec<String> = labels.collect();
        let mut words = vec!["run", "--detach", "--name", "pod", "--restart", "always", "--stop-timeout", "40"];
        words.extend(["--volume", "/var/run:/engine", "--env", "DOCKER_HOST=unix:///engine/docker.sock"]);
        words.extend(labels.iter().map(String::as_str));
        words.push(&image);
        words.extend(flags);
        docker(NODE, &words);
        wait_for("the pod runs", || log().contains("the pod runs"), log).await;
        let given = docker(NODE, &["inspect", "--format", "{{.Config.StopTimeout}}", "pod.podlike.c0"]);
        assert_eq!(given, "7", "the engine gives each component its own grace period");

        let took = restarted();
        eprintln!("{count} components {flags:?}: {took:?}, plain containers {plain:?}");
        assert!(took < plain + GRACE / 2, "{took:?} instead of {plain:?}\n{}", log());
        assert!(log().contains("the pod has ended exit_code=0"), "{}", log());
        wait_for("the pod runs again", || of_the_pod().0 == names, log).await;
        let (_, stale) = of_the_pod();
        assert!(stale.is_empty(), "{stale:?} are left of the run before\n{}", log());
        docker(NODE, &["stop", "pod"]);
        docker(NODE, &["rm", "pod"]);
        let left = docker(NODE, &["ps", "--all", "--quiet", "--filter", "label=outrigger.pod"]);
        assert_eq!(left, "", "{}", log());
    }
}
