//! What `check` accepts, the engine takes: generated pods are lowered and compiled as the controller does it, and every container of them is created, and not started, on the real engine. A refusal is
//! a defect of the lowering or of the compiler, but for [`HOST_ONLY`].
//!
//! | variable | |
//! | --- | --- |
//! | `OUTRIGGER_AGREEMENT_PODS` | how many pods; 100 |
//! | `OUTRIGGER_AGREEMENT_SEED` | which ones; drawn, and printed |

mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use outrigger::cli::run::container;
use outrigger::config::policy::Subject;
use outrigger::config::{self, Flags, Settings};
use outrigger::engine::docker::Docker;
use outrigger::engine::{ContainerSpec, Engine, EngineError, EngineInfo};
use outrigger::labels::schema::{self, Part};
use outrigger::plan::SelfInfo;
use outrigger::plan::compile::compile;
use outrigger::pod::lower::lower;
use outrigger::pod::{PodSpec, read};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::support::{IMAGE, VolumeGuard, engine_or_fail, remove_all, shell, unique};

/// Refusals of which only the host can know: what the engine says, and why `check` can't.
const HOST_ONLY: [(&str, &str); 15] = [
    ("No such image", "whether an image is there, or can be pulled"),
    ("o command specified", "whether the image has a command"),
    ("unknown or invalid runtime", "which runtimes the engine has"),
    ("Unknown runtime specified", "which runtimes the engine has"),
    ("unknown capability: \"CAP_BPF\"", "which capabilities the engine's version knows"),
    ("unknown capability: \"CAP_PERFMON\"", "which capabilities the engine's version knows"),
    ("unknown capability: \"CAP_CHECKPOINT_RESTORE\"", "which capabilities the engine's version knows"),
    ("quota size requested but no quota support", "which file system the engine stores volumes on"),
    ("Range of CPUs is from", "how many processors the host has; the least, 0.01, is checked"),
    ("Requested CPUs are not available", "which processors the host has"),
    ("no log driver named", "which plugins for logs the engine has"),
    ("error looking up logging plugin", "which plugins for logs the engine has"),
    ("ernel does not support", "what the host's kernel was built with"),
    ("--storage-opt is supported only", "which file system the engine stores images on"),
    ("error looking up volume plugin", "which plugins for volumes the engine has"),
];

/// Everything that the tests make has names that begin so.
const PREFIX: &str = "agreement";

/// Labels of everything that is made here.
const LABEL: &str = "outrigger-test-agreement";

/// The least share of random pods, in percent, that lowering and compiling must accept, so that the engine is asked at all.
const LEAST_ACCEPTED: usize = 30;

/// The same of pods with one value each, most of which are wrong on purpose.
const LEAST_OF_SINGLES: usize = 15;

#[tokio::test]
async fn the_engine_takes_what_check_accepts() {
    let Some(engine) = engine_or_fail().await else { return };
    let seed = number("OUTRIGGER_AGREEMENT_SEED").unwrap_or_else(drawn);
    let pods = number("OUTRIGGER_AGREEMENT_PODS").unwrap_or(100);
    eprintln!("OUTRIGGER_AGREEMENT_SEED={seed} OUTRIGGER_AGREEMENT_PODS={pods}");
    let world = World::new(engine).await;
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let strategy = values::pod(folder.path().to_str().unwrap(), &world.prefix);
    let mut seen = Seen::default();
    for _ in 0..pods {
        let document = strategy.new_tree(&mut runner).unwrap().current();
        world.judge(&document, folder.path(), Which::All, &mut seen).await;
    }
    seen.finish(usize::try_from(pods).unwrap(), LEAST_ACCEPTED, seed);
}

/// Each value of each key alone: what the random pods may miss.
#[tokio::test]
async fn the_engine_takes_each_value_that_check_accepts() {
    let Some(engine) = engine_or_fail().await else { return };
    let world = World::new(engine).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let mut seen = Seen::default();
    let all = values::singles(folder.path().to_str().unwrap(), &world.prefix);
    let count = all.len();
    for (which, document) in all {
        world.judge(&document, folder.path(), which, &mut seen).await;
    }
    seen.finish(count, LEAST_OF_SINGLES, 0);
}

/// Refusals at the start of a container of which only the host or the image can know.
const HOST_ONLY_AT_START: [(&str, &str); 16] = [
    ("unable to find user", "which users the image has"),
    ("nable to find group", "which groups the image has"),
    ("executable file not found", "which programs the image has"),
    ("no such file or directory: unknown", "which settings and programs there are"),
    ("is a directory: unknown", "whether a path is a program"),
    ("permission denied: unknown", "whether a path is a program"),
    ("error setting rlimits", "which limits the host lets its containers have"),
    ("patching filter", "how few files the runtime can start a process with"),
    ("invalid argument: unknown", "which values this kernel takes"),
    ("but it is not a shared", "how the host mounts its own file systems"),
    ("syslog delivery error", "whether the host has a syslog"),
    ("connection refused", "whether a log service is there"),
    ("journald is not enabled", "whether the host has a journal"),
    ("NoCredentialProviders", "whether the host may write to Amazon's logs"),
    ("Cannot determine region", "in which of Amazon's regions the host is"),
    ("No project was specified", "whether the host is one of Google's"),
];

/// What the engine judges only when it starts a container, value by value: `check` refuses what cannot start on any host, and nothing that starts.
#[tokio::test]
async fn the_engine_starts_each_value_that_check_accepts() {
    let Some(engine) = engine_or_fail().await else { return };
    let world = World::new(engine).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let mut seen = Seen::default();
    let mut wrong = Vec::new();
    let started = values::started(folder.path().to_str().unwrap(), &world.prefix);
    for (starts, document) in started {
        match (starts, accepted(&document)) {
            (true, None) => wrong.push(format!("check refuses what the engine starts: {document}")),
            (false, Some(_)) => wrong.push(format!("check accepts what no engine starts: {document}")),
            (false, None) => {}
            (true, Some(_)) => Box::pin(world.start(&document, &mut seen)).await,
        }
    }
    // The same of the values that other tests only create.
    for document in values::startable(folder.path().to_str().unwrap(), &world.prefix) {
        Box::pin(world.start(&document, &mut seen)).await;
    }
    wrong.extend(seen.refused);
    eprintln!("{} containers started, excused: {:?}", seen.created, seen.excused);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.created > 100, "only {} containers started", seen.created);
}

/// A key that nobody generates would be a key that nobody compares.
#[test]
fn every_key_is_generated() {
    let schema = schema::of(Part::Pod);
    let keys = |definition: &str| -> BTreeSet<String> {
        schema["definitions"][definition]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let generated: BTreeSet<String> = values::component("/tmp", "x").iter().map(|(key, _)| (*key).to_owned()).collect();
    // The controller's own affair: the engine never sees them.
    let ours = [
        "env_file",
        "plugins",
        "essential",
        "role",
        "restart",
        "probes",
        "post_start",
        "pre_stop",
        "depends_on",
        "stop_grace_period",
        "image",
    ];
    let missing: Vec<_> =
        keys("component").into_iter().filter(|key| !generated.contains(key) && !ours.contains(&key.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
    let generated: BTreeSet<String> =
        values::controller("/tmp", "x").iter().map(|(key, _)| (*key).to_owned()).collect();
    let missing: Vec<_> = keys("controller")
        .into_iter()
        .filter(|key| !generated.contains(key) && !["name", "image", "flags"].contains(&key.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// Which containers of a pod are created.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    All,
    Components,
    Controller,
}

#[derive(Default)]
struct Seen {
    accepted: usize,
    created: usize,
    excused: BTreeMap<&'static str, usize>,
    refused: Vec<String>,
    /// Why the last pod that could be lowered could not be compiled.
    uncompiled: String,
}

impl Seen {
    fn finish(self, pods: usize, least: usize, seed: u64) {
        let Self { accepted, created, excused, refused, uncompiled } = self;
        eprintln!("{accepted} of {pods} pods accepted, {created} containers created, excused: {excused:?}");
        assert!(refused.is_empty(), "seed {seed}: check accepts, and the engine refuses:\n{}", refused.join("\n"));
        assert!(accepted * 100 >= pods * least, "only {accepted} of {pods} pods are accepted: {uncompiled}");
    }
}

/// The engine with a controller that runs.
struct World {
    engine: Docker,
    info: EngineInfo,
    me: SelfInfo,
    settings: Settings,
    prefix: String,
    /// Removes the volumes at the end.
    _volumes: Vec<VolumeGuard>,
}

impl World {
    async fn new(engine: Docker) -> Self {
        let info = engine.info().await.unwrap();
        let prefix = unique(PREFIX, "pod");
        let (mut spec, guard) = shell(PREFIX, "controller", "exec sleep 100000");
        spec.name.clone_from(&prefix);
        spec.labels.insert(LABEL.to_owned(), prefix.clone());
        drop(guard);
        let (id, _) = engine.create(&spec).await.unwrap();
        engine.start(&id).await.unwrap();
        let own = engine.inspect(&id.0).await.unwrap();
        let mut me = SelfInfo::offline(&own.name, own.labels.clone());
        me.seen = outrigger::plan::Seen::Within;
        me.container = own;
        // What an operator refuses is no matter of the engine: everything that can be allowed is.
        let allow = Subject::ALL.map(|subject| subject.name().to_owned()).to_vec();
        let flags = Flags { allow, ..Flags::default() };
        let settings = config::lower(&flags, &BTreeMap::new()).unwrap();
        let _volumes = values::VOLUMES.iter().map(|name| VolumeGuard(format!("{prefix}-{name}"))).collect();
        Self { engine, info, me, settings, prefix, _volumes }
    }

    async fn judge(&self, document: &Value, folder: &Path, which: Which, seen: &mut Seen) {
        let Some(spec) = accepted(document) else { return };
        let plan = match compile(&spec, &self.me, &self.info, &self.settings) {
            Ok(plan) => plan,
            Err(problems) => {
                seen.uncompiled = problems.to_string();
                return;
            }
        };
        seen.accepted += 1;
        let name = format!("{}-outer", self.prefix);
        let outer = container::of(spec, folder, name, "agreement", &BTreeMap::new());
        let inner = plan.init.into_iter().chain(plan.components).map(|planned| planned.container);
        let of_components = inner.filter(|_| which != Which::Controller);
        for container in of_components.chain((which != Which::Components).then_some(outer)) {
            self.create(container, document, seen).await;
        }
    }

    async fn create(&self, mut spec: ContainerSpec, document: &Value, seen: &mut Seen) {
        spec.labels.insert(LABEL.to_owned(), self.prefix.clone());
        match self.engine.create(&spec).await {
            Ok((id, _)) => {
                seen.created += 1;
                self.engine.remove(&id).await.unwrap();
            }
            // Without a driver it is the engine's default, which only the engine knows.
            Err(EngineError::Refused { message, .. })
                if message.starts_with("unknown log opt")
                    && spec.logging.as_ref().is_some_and(|logging| logging.driver.is_empty()) =>
            {
                *seen.excused.entry("which log driver is the engine's default").or_default() += 1;
            }
            Err(EngineError::Refused { message, .. }) => {
                match HOST_ONLY.iter().find(|(text, _)| message.contains(text)) {
                    Some((_, why)) => *seen.excused.entry(why).or_default() += 1,
                    None => seen.refused.push(format!("{}: {message}\n    {document}", spec.name)),
                }
            }
            Err(other) => seen.refused.push(format!("{}: {other}\n    {document}", spec.name)),
        }
    }
}

impl World {
    /// Starts the component of a pod that `check` accepts.
    async fn start(&self, document: &Value, seen: &mut Seen) {
        let Some(spec) = accepted(document) else { return };
        let Ok(plan) = compile(&spec, &self.me, &self.info, &self.settings) else { return };
        for planned in plan.components {
            let mut spec = planned.container;
            spec.labels.insert(LABEL.to_owned(), self.prefix.clone());
            let Ok((id, _)) = self.engine.create(&spec).await else { continue };
            match self.engine.start(&id).await {
                Ok(_) => seen.created += 1,
                Err(error) => match HOST_ONLY_AT_START.iter().find(|(text, _)| error.to_string().contains(text)) {
                    Some((_, why)) => *seen.excused.entry(why).or_default() += 1,
                    None => seen.refused.push(format!("{error}\n    {document}")),
                },
            }
            self.engine.remove(&id).await.unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        remove_all(&format!("{LABEL}={}", self.prefix));
    }
}

/// The pod, if `check` would accept it.
fn accepted(document: &Value) -> Option<PodSpec> {
    lower(&read::from_value("pod.yaml", document).ok()?).ok()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn drawn() -> u64 {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel makes random ids");
    u64::from_str_radix(&uuid[..8], 16).expect("hexadecimal digits")
}

/// A component that is right, before keys are added.
pub fn base() -> Value {
    json!({"image": IMAGE, "command": ["true"]})
}
