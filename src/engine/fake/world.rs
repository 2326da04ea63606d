//! The containers of the [fake engine](super) and what becomes of them. Knows no calls; time only as what [`World::now_ns`] says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::files::{File, Occasion};
use crate::engine::{
    CgroupDriver, CheckResult, ContainerId, ContainerSpec, EngineEvent, EngineEventKind, EngineHealth, EngineInfo,
    ExecOutput, Fault, Inspection, Output,
};
use crate::plan::ownership;
use crate::pod::HealthCheck;

/// When the engine's clock begins: 2026-01-01T00:00:00Z, in seconds since the Unix epoch.
const DAWN: i64 = 1_767_225_600;

pub(super) type Answer = Arc<dyn Fn(&[String]) -> ExecOutput + Send + Sync>;

pub(super) type Hangs = Arc<dyn Fn(&[String]) -> bool + Send + Sync>;

pub(super) type Judge = Arc<dyn Fn(&BTreeMap<String, Vec<u8>>, Occasion) -> Option<(Duration, i32)> + Send + Sync>;

/// What containers of one name do.
#[derive(Clone, Default)]
pub(super) struct Script {
    pub(super) exit: Option<(Duration, i32)>,
    /// Exit code by signal; none: ignored.
    pub(super) signals: BTreeMap<i32, Option<i32>>,
    pub(super) stop_takes: Duration,
    pub(super) health: Vec<(Duration, EngineHealth)>,
    pub(super) prints: Vec<(Output, Bytes)>,
    pub(super) exec: Option<Answer>,
    /// Which commands never answer.
    pub(super) hangs: Option<Hangs>,
    /// When, and with which code, a process ends because of its files.
    pub(super) judge: Option<Judge>,
}

/// What goes wrong with one verb on one name.
#[derive(Debug, Default)]
pub(super) struct Disturbance {
    pub(super) delay: Duration,
    /// Faults, and how often each is still due.
    pub(super) failures: Vec<(Fault, usize)>,
    /// How often an effect is still to be had without an answer.
    pub(super) lost: usize,
}

/// One container.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) seen: Inspection,
    /// None for one that somebody else made.
    pub(super) spec: Option<ContainerSpec>,
    /// Counts its starts: what was planned for one run must not hit the next.
    pub(super) run: u64,
    pub(super) files: BTreeMap<String, File>,
    pub(super) logs: Vec<(i64, Output, Bytes)>,
}

impl Container {
    /// The component's name, or its own.
    pub(super) fn label(&self) -> &str {
        self.seen.labels.get(ownership::COMPONENT).unwrap_or(&self.seen.name)
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.label() == name || self.seen.name == name || self.seen.id.0 == name
    }
}

pub(super) struct World {
    began: Option<Instant>,
    last_ns: i64,
    made: u64,
    pub(super) info: EngineInfo,
    /// In the order in which they were made.
    pub(super) containers: Vec<Container>,
    pub(super) scripts: HashMap<String, Script>,
    pub(super) disturbances: HashMap<(&'static str, String), Disturbance>,
    pub(super) missing_images: BTreeSet<String>,
    pub(super) volumes: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) services: BTreeMap<String, Duration>,
    pub(super) own: Option<String>,
    pub(super) away_until: Option<Instant>,
    /// Counts the times that the engine went away.
    pub(super) outages: u64,
    pub(super) calls: Vec<String>,
    /// Everything that happened, with the labels of the container that it happened to.
    pub(super) history: Vec<(EngineEvent, BTreeMap<String, String>)>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            began: None,
            last_ns: 0,
            made: 0,
            info: EngineInfo {
                version: "20.10.24".to_owned(),
                api: (1, 41),
                cgroup_version: 1,
                cgroup_driver: CgroupDriver::Cgroupfs,
                node: "fake".to_owned(),
                id: "THE:FAKE".to_owned(),
                data_root: "/var/lib/docker".to_owned(),
            },
            containers: Vec::new(),
            scripts: HashMap::new(),
            disturbances: HashMap::new(),
            missing_images: BTreeSet::new(),
            volumes: BTreeMap::new(),
            services: BTreeMap::new(),
            own: None,
            away_until: None,
            outages: 0,
            calls: Vec::new(),
            history: Vec::new(),
        }
    }
}

impl World {
    /// Nanoseconds since the Unix epoch of the engine's clock: tokio's, from [`DAWN`] on. No two answers are the same.
    pub(super) fn now_ns(&mut self) -> i64 {
        let began = *self.began.get_or_insert_with(Instant::now);
        let passed = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX / 2);
        self.last_ns = (DAWN * 1_000_000_000 + passed).max(self.last_ns + 1);
        self.last_ns
    }

    pub(super) fn away(&self) -> bool {
        self.away_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn by_id(&mut self, id: &ContainerId) -> Option<&mut Container> {
        self.containers.iter_mut().find(|container| container.seen.id == *id)
    }

    /// By full id, beginning of the id, or container name, as the engine finds it.
    pub(super) fn lookup(&self, reference: &str) -> Option<&Container> {
        let whole = |container: &&Container| container.seen.id.0 == reference || container.seen.name == reference;
        let begins = |container: &&Container| reference.len() >= 12 && container.seen.id.0.starts_with(reference);
        self.containers.iter().find(whole).or_else(|| self.containers.iter().find(begins))
    }

    pub(super) fn newest(&self, name: &str) -> Option<&Container> {
        self.containers.iter().rev().find(|container| container.is(name))
    }

    /// How calls on this container are recorded, and scripts looked up.
    pub(super) fn label_of(&self, id: &ContainerId) -> String {
        let found = self.containers.iter().find(|container| container.seen.id == *id);
        found.map_or_else(|| id.short().to_owned(), |container| container.label().to_owned())
    }

    pub(super) fn script_of(&self, id: &ContainerId) -> Script {
        let Some(container) = self.containers.iter().find(|container| container.seen.id == *id) else {
            return Script::default();
        };
        let script = self.scripts.get(container.label()).or_else(|| self.scripts.get(&container.seen.name));
        script.cloned().unwrap_or_default()
    }

    pub(super) fn make(&mut self, spec: &ContainerSpec) -> ContainerId {
        self.made += 1;
        let id = ContainerId(format!("{:064x}", 0xfa4e_0000_u64 + self.made));
        // The digits that differ come first, so that short ids differ.
        let id = ContainerId(id.0.chars().rev().collect());
        let seen = Inspection {
            id: id.clone(),
            name: spec.name.clone(),
            image: spec.image.clone(),
            labels: spec.labels.clone(),
            command: spec.command.clone().unwrap_or_default(),
            env: spec.env.clone(),
            hostname: id.short().to_owned(),
            running: false,
            paused: false,
            removing: false,
            started_at: String::new(),
            exit_code: 0,
            oom_killed: false,
            health: None,
            last_check: None,
            check_declares: None,
            check: None,
            ipc_mode: spec.ipc_mode.clone().unwrap_or_else(|| "private".to_owned()),
            network_mode: spec.network_mode.clone().unwrap_or_else(|| "default".to_owned()),
            cgroup_parent: spec.cgroup_parent.clone().unwrap_or_default(),
            cgroup_namespace: String::new(),
            tty: spec.tty,
            memory: spec.host.memory.unwrap_or_default(),
            memory_swap: spec.host.memory_swap.unwrap_or_default(),
            nano_cpus: spec.host.nano_cpus.unwrap_or_default(),
            cpu_quota: spec.host.cpu_quota.unwrap_or_default(),
            cpu_period: spec.host.cpu_period.unwrap_or_default(),
            pids_limit: spec.host.pids_limit.unwrap_or_default(),
            oom_score_adj: spec.host.oom_score_adj.unwrap_or_default(),
            stop_timeout: spec.stop_timeout,
            stop_signal: spec.stop_signal,
            mounts: Vec::new(),
            addresses: Vec::new(),
        };
        let container = Container { seen, spec: Some(spec.clone()), run: 0, files: BTreeMap::new(), logs: Vec::new() };
        self.containers.push(container);
        id
    }

    pub(super) fn put(&mut self, seen: Inspection) {
        self.containers.retain(|container| container.seen.id != seen.id);
        self.containers.push(Container { seen, spec: None, run: 0, files: BTreeMap::new(), logs: Vec::new() });
    }

    pub(super) fn put_file(&mut self, name: &str, path: &str, content: &[u8]) {
        for container in self.containers.iter_mut().filter(|container| container.is(name)) {
            let file = File { content: content.to_vec(), ..File::default() };
            container.files.insert(path.to_owned(), file);
        }
    }

    pub(super) fn put_link(&mut self, name: &str, path: &str, to: &str) {
        for container in self.containers.iter_mut().filter(|container| container.is(name)) {
            let file = File { link: Some(to.to_owned()), mode: 0o777, ..File::default() };
            container.files.insert(path.to_owned(), file);
        }
    }

    /// Starts it and answers the number of the run.
    pub(super) fn start(&mut self, id: &ContainerId) -> u64 {
        let now = self.now_ns();
        let script = self.script_of(id);
        let Some(container) = self.by_id(id) else { return 0 };
        container.run += 1;
        let run = container.run;
        let checked = matches!(
            container.spec.as_ref().and_then(|spec| spec.healthcheck.as_ref()),
            Some(HealthCheck::Command { .. })
        );
        let seen = &mut container.seen;
        seen.running = true;
        seen.started_at = rfc3339(now);
        seen.paused = false;
        seen.exit_code = 0;
        seen.oom_killed = false;
        seen.health = (checked || !script.health.is_empty()).then_some(EngineHealth::Starting);
        container.logs.extend(script.prints.into_iter().map(|(output, bytes)| (now, output, bytes)));
        self.tell(id, EngineEventKind::Start);
        run
    }

    /// Ends the run, unless it has ended already.
    pub(super) fn die(&mut self, id: &ContainerId, run: u64, code: i32, oom: bool) {
        let Some(container) = self.by_id(id) else { return };
        if !container.seen.running || container.run != run {
            return;
        }
        container.seen.running = false;
        container.seen.paused = false;
        container.seen.exit_code = code;
        container.seen.oom_killed |= oom;
        if oom {
            self.tell(id, EngineEventKind::Oom);
        }
        self.tell(id, EngineEventKind::Die { exit_code: code });
    }

    pub(super) fn die_by_name(&mut self, name: &str, code: i32, oom: bool) {
        for (id, run) in self.running(name) {
            self.die(&id, run, code, oom);
        }
    }

    /// The health check says so, if that run goes on and it is news.
    pub(super) fn judge(&mut self, id: &ContainerId, run: u64, health: EngineHealth) {
        let Some(container) = self.by_id(id) else { return };
        if container.seen.running && container.run == run && container.seen.health != Some(health) {
            container.seen.health = Some(health);
            self.tell(id, EngineEventKind::Health(health));
        }
    }

    pub(super) fn run_out_by_name(&mut self, name: &str) {
        let mut ids = Vec::new();
        for container in self.containers.iter_mut().filter(|container| container.is(name)) {
            container.seen.oom_killed = true;
            ids.push(container.seen.id.clone());
        }
        for id in ids {
            self.tell(&id, EngineEventKind::Oom);
        }
    }

    pub(super) fn pause_by_name(&mut self, name: &str, paused: bool) {
        for (id, _run) in self.running(name) {
            if let Some(container) = self.by_id(&id) {
                container.seen.paused = paused;
            }
            self.tell(&id, EngineEventKind::Paused(paused));
        }
    }

    pub(super) fn checked_by_name(&mut self, name: &str, result: &CheckResult) {
        for container in self.containers.iter_mut().filter(|container| container.is(name)) {
            container.seen.last_check = Some(result.clone());
        }
    }

    pub(super) fn judge_by_name(&mut self, name: &str, health: EngineHealth) {
        for (id, run) in self.running(name) {
            self.judge(&id, run, health);
        }
    }

    pub(super) fn say(&mut self, name: &str, output: Output, bytes: &[u8]) {
        let now = self.now_ns();
        let speaks = |container: &&mut Container| container.seen.running && container.is(name);
        for container in self.containers.iter_mut().filter(speaks) {
            container.logs.push((now, output, Bytes::copy_from_slice(bytes)));
        }
    }

    pub(super) fn remove(&mut self, id: &ContainerId) {
        let Some(run) = self.by_id(id).map(|container| container.run) else { return };
        self.die(id, run, 137, false);
        self.tell(id, EngineEventKind::Destroy);
        self.containers.retain(|container| container.seen.id != *id);
    }

    pub(super) fn leftovers(&self) -> Vec<String> {
        let ours =
            |container: &&Container| container.spec.is_some() || container.seen.labels.contains_key(ownership::POD);
        let mut names: Vec<_> = self.containers.iter().filter(ours).map(|c| c.label().to_owned()).collect();
        names.sort();
        names
    }

    fn running(&self, name: &str) -> Vec<(ContainerId, u64)> {
        let runs = |container: &&Container| container.seen.running && container.is(name);
        self.containers.iter().filter(runs).map(|container| (container.seen.id.clone(), container.run)).collect()
    }

    pub(super) fn tell(&mut self, id: &ContainerId, kind: EngineEventKind) {
        let at_ns = self.now_ns();
        let labels = self.by_id(id).map(|container| container.seen.labels.clone()).unwrap_or_default();
        self.history.push((EngineEvent { id: id.clone(), at_ns, kind }, labels));
    }
}

/// Whether the labels have every one of these (`key` or `key=value`).
pub(super) fn has_labels(labels: &BTreeMap<String, String>, wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|have| have == value),
        None => labels.contains_key(wanted),
    })
}

/// Nanoseconds since the Unix epoch as the engine writes times.
pub(super) fn rfc3339(ns: i64) -> String {
    let (seconds, nanos) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, in years that begin in March: http://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}
