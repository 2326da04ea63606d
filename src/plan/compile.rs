//! From what a pod is to what the engine is asked for.
//!
//! [`compile`] is pure: everything it needs to know of the controller and the engine is passed in, and every problem is reported at once.
//!
//! Invariant: a component is never given more than the controller has, gets nothing that the operator's policy refuses, never sees the engine's socket through shared mounts, and always
//! carries the labels of [`ownership`].

mod doubts;
mod environment;
mod health;
mod life;
mod memory;
mod mounts;
mod placement;
mod policy;
mod resources;
pub mod targets;
#[cfg(test)]
mod tests;

use std::time::Duration;

use placement::{Cgroups, Ipc, place};
use targets::Barred;

pub use self::policy::OwnFiles;
pub use self::policy::paths::private_files;

use super::placement::{Placement, Tier};
use super::{Plan, Planned, Seen, SelfInfo, ownership, units};
use crate::config::{Settings, Sharing};
use crate::engine::{ContainerSpec, EngineInfo};
use crate::labels;
use crate::pod::life::{LifecycleAction, LifecycleStep, Role as Part};
use crate::pod::{
    Component, ComponentName, Condition, HealthCheck, HostSettings, Mount, MountKind, PodSpec, Problem, Problems,
};
use crate::problem::shown::bound_notes;

/// Between the controller's container name and a component's: podlike's, so that what looks for such names goes on working.
const NAME_INFIX: &str = ".podlike.";

/// What the IPC donor runs: it waits for its end. The image holds nothing but this one program.
const PAUSE: [&str; 2] = ["/outrigger", "pause"];

/// Prefix of labels that only the controller sets.
const RESERVED_LABELS: &str = "outrigger.";

/// A pod always gets at least this long to stop, however much of the grace period is reserved.
const LEAST_BUDGET: Duration = Duration::from_millis(500);

/// The kernel's highest `oom_score_adj`.
const HIGHEST_OOM_SCORE: i64 = 1000;

/// Works out what the pod will do.
///
/// Entries that are missing from `me.env_files` and `me.copy_sources` are taken as fine: offline they can't be known.
///
/// # Errors
/// All [`Problems`]: cycles, files that can't be read, reserved labels, limits that don't fit, names that clash.
pub fn compile(spec: &PodSpec, me: &SelfInfo, engine: &EngineInfo, settings: &Settings) -> Result<Plan, Problems> {
    let mut found = Found { warnings: spec.warnings.clone(), ..Found::default() };
    let waves = crate::pod::graph::waves(&spec.components).unwrap_or_else(|cycle| {
        found.problems.extend(cycle);
        indexmap::IndexMap::new()
    });
    policy::check(spec, me, engine, settings, &mut found);
    let pod = Pod::new(spec, me, engine, settings, &mut found);
    for clash in spec.init.iter().filter(|init| spec.components.contains_key(&init.name)) {
        found.problems.push(Role::Component.problem(
            &clash.name,
            "",
            format!("the name `{}` is an init component's, too", clash.name),
        ));
    }
    let mut init: Vec<_> =
        spec.init.iter().map(|component| pod.planned(component, Role::Init, 0, &mut found)).collect();
    let mut components: Vec<_> = spec
        .components
        .iter()
        .map(|(name, component)| {
            let wave = waves.get(name).copied().unwrap_or_default();
            warn_of_disabled_checks(component, spec, &mut found);
            pod.planned(component, Role::Component, wave, &mut found)
        })
        .collect();
    for planned in &mut components {
        let is_awaited = spec
            .components
            .values()
            .any(|other| other.depends_on.get(&planned.name).is_some_and(|on| on.condition == Condition::Completed));
        planned.job = is_awaited || planned.role == Part::Job;
    }
    components.sort_by_key(|planned| planned.wave); // Stable: within a wave they stay as written.
    pod.limit_memory(&mut init, &mut components, &mut found);
    resources::limit(&me.container, &pod.cgroups, &mut init, &mut components, &mut found);
    if matches!(pod.cgroups, Cgroups::Absent) {
        init.iter().chain(&components).for_each(|planned| resources::warn_without_cgroups(planned, &mut found));
    }
    let life = life::of(spec, &init, &components);
    let budget = resources::budget(spec, &me.container, &pod.placement, &components);
    let drain = pod.drain(spec, &mut found);
    doubts::look(spec, me, &mut found);
    bound_notes(&mut found.warnings);
    let plan = Plan {
        ipc_donor: (pod.ipc == Ipc::Donor).then(|| pod.donor(spec)),
        init,
        components,
        budget,
        stop_budget: pod.budget,
        drain,
        life,
        warnings: found.warnings,
    };
    moved(found.problems, spec).or(plan)
}

/// Begins what depends on an engine that was not asked.
const WHERE_DIVIDED: &str =
    "where the engine can't hold limits for the pod as a whole (cgroup version 2 without a cgroup of the pod's own), ";

/// What the operator's policy refuses of a pod that may not be whole: components are judged by what could be read of them.
#[must_use]
pub fn refusals(spec: &PodSpec, me: &SelfInfo, engine: &EngineInfo, settings: &Settings) -> Problems {
    let mut found = Found::default();
    policy::check(spec, me, engine, settings, &mut found);
    moved(found.problems, spec)
}

/// Mounts of the controller that `-volumes` does not share because of something in them: their targets, and what that is. Empty where nothing is shared at all.
#[must_use]
pub fn withheld_mounts(me: &SelfInfo, engine: &EngineInfo, settings: &Settings) -> Vec<(String, String)> {
    if settings.volumes == Sharing::Private {
        return Vec::new();
    }
    let paths = policy::paths::Paths::new(&me.container, &me.environment, &me.own_volumes, engine, settings);
    mounts::withheld(me, &paths)
}

/// With the places where components were written, which are not always labels.
fn moved(problems: Problems, spec: &PodSpec) -> Problems {
    problems.moved(&|name| spec.places.iter().find(|(known, _)| known.as_str() == name).map(|(_, at)| at))
}

/// What came to light on the way.
#[derive(Default)]
struct Found {
    problems: Problems,
    warnings: Vec<String>,
    /// Whether it is only assumed that the limits are divided.
    division_is_assumed: bool,
}

impl Found {
    fn warn(&mut self, component: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.warnings.push(format!("`{component}`: {what}"));
    }

    /// What stands in the way of dividing the limits: no problem where it is not known whether they have to be.
    fn indivisible(&mut self, problem: Problem) {
        if self.division_is_assumed {
            let Problem { label, field, what, hint, .. } = problem;
            // The controller's limits are what this is about.
            let what = if label == "controller" { what } else { format!("`{label}`, field `{field}`: {what}") };
            self.warnings.push(format!("{WHERE_DIVIDED}this pod would not start: {what}; {hint}"));
        } else {
            self.problems.push(problem);
        }
    }

    /// Who got which part of a limit of the controller.
    fn divided(&mut self, limit: &str, key: &str, shared: &[String], part: &str) {
        let parts = match shared {
            [] => return,
            // All of it: nothing is divided.
            [_] if part == limit => return,
            [one] => format!("{one}, which has no `{key}`, gets {part}"),
            [first @ .., last] => format!("{} and {last}, which have no `{key}`, get {part} each", first.join(", ")),
        };
        self.warnings.push(if self.division_is_assumed {
            format!("{WHERE_DIVIDED}{parts} of the controller's {limit}")
        } else {
            format!("the controller's `{key}` of {limit} can't hold for the pod as a whole on this engine: {parts}")
        });
    }
}

/// What a container is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Init,
    Component,
}

impl Role {
    fn label(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Component => "component",
        }
    }

    /// A problem at the place where the user wrote the component.
    fn problem(self, name: &ComponentName, field: &str, what: impl Into<String>) -> Problem {
        match self {
            Self::Component => Problem::new(format!("pod.component.{name}"), field, what),
            Self::Init if field.is_empty() => Problem::new("pod.init.components", name.as_str(), what),
            Self::Init => Problem::new("pod.init.components", format!("{name}.{field}"), what),
        }
    }
}

/// What holds for every container of the pod.
struct Pod<'a> {
    me: &'a SelfInfo,
    engine: &'a EngineInfo,
    settings: &'a Settings,
    ipc: Ipc,
    cgroups: Cgroups,
    placement: Placement,
    budget: Duration,
    shared_mounts: Vec<Mount>,
}

/// How long the engine's stop waits before it kills the controller. What the engine was told counts before what is written: it is what the engine will do.
fn grace(spec: &PodSpec, me: &SelfInfo, warnings: &mut Vec<String>) -> Option<Duration> {
    let written = spec.controller.stop_grace_period;
    if let Some((told, written)) = me.container.stop_timeout.zip(written)
        // The engine takes whole seconds.
        && told.as_secs_f64().ceil() != written.as_secs_f64().ceil()
    {
        warnings.push(format!(
            "`{}` is {}, but the engine stops the controller's container after {}, and that holds",
            labels::STOP_GRACE_PERIOD,
            units::time(written),
            units::time(told)
        ));
    }
    me.container.stop_timeout.or(written)
}

impl<'a> Pod<'a> {
    fn new(
        spec: &PodSpec,
        me: &'a SelfInfo,
        engine: &'a EngineInfo,
        settings: &'a Settings,
        found: &mut Found,
    ) -> Self {
        let placement = place(me, engine, settings).unwrap_or_else(|problem| {
            found.problems.push(problem);
            Placement::default()
        });
        found.division_is_assumed = placement.is_assumed && placement.tier == Tier::Divided;
        let grace = grace(spec, me, &mut found.warnings).unwrap_or(settings.timeouts.controller_grace);
        Self {
            me,
            engine,
            settings,
            ipc: Ipc::of(spec, me, settings),
            cgroups: placement.tier.into(),
            placement,
            budget: grace.saturating_sub(settings.timeouts.stop_reserve).max(LEAST_BUDGET),
            shared_mounts: match settings.volumes {
                Sharing::Shared => {
                    let paths =
                        policy::paths::Paths::new(&me.container, &me.environment, &me.own_volumes, engine, settings);
                    mounts::shared(me, &paths, &mut found.warnings)
                }
                Sharing::Private => Vec::new(),
            },
        }
    }

    fn planned(&self, component: &Component, role: Role, wave: usize, found: &mut Found) -> Planned {
        if role == Role::Init && !component.depends_on.is_empty() {
            found.warn(&component.name, "`depends_on` has no effect: init components run one after the other");
        }
        let depends_on = match role {
            Role::Init => Vec::new(),
            Role::Component => component.depends_on.iter().map(|(name, on)| (name.clone(), *on)).collect(),
        };
        for copy in &component.copy {
            if let Some(Err(why)) = self.me.copy_sources.get(&copy.source) {
                found.problems.push(Problem::new(
                    format!("pod.copy.{}", component.name),
                    "",
                    format!("cannot read `{}`: {why}", copy.source),
                ).hint("it is a path in the controller: mount the file there, for instance as a config or a volume of its service"));
            }
        }
        let early_check = health::early_check(component, role, self.engine, found);
        let mut container = self.container(component, role, found);
        let grace = self.grace(component, found);
        // An engine that stops its containers itself, when it shuts down, gives each as long as the pod does.
        container.stop_timeout = Some(grace);
        let mut lost: Vec<&str> = Vec::new();
        for copy in component.copy.iter().filter(|copy| !copy.target.is_empty()) {
            // One target may have several sources: a directory, and files that go into it.
            if let Some(Barred { what, hint }) = targets::barred(&container, &copy.target)
                && !lost.contains(&copy.target.as_str())
            {
                found.problems.push(Problem::new(format!("pod.copy.{}", component.name), "target", what).hint(hint));
                lost.push(&copy.target);
            }
        }
        let mut planned = Planned {
            name: component.name.clone(),
            wave,
            depends_on,
            role: component.role,
            essential: component.essential,
            job: false,
            start: Duration::ZERO,
            start_of_check: Duration::ZERO,
            restart: component.restart.clone(),
            probes: component.probes.clone(),
            early_check,
            post_start: self.steps(&component.post_start),
            pre_stop: self.steps(&component.pre_stop),
            container,
            joins_donor: self.ipc == Ipc::Donor,
            copy: component.copy.clone(),
            grace,
            stop_signal: component.stop_signal,
        };
        planned.start = life::declared(&planned, role);
        planned.start_of_check = life::check(&planned);
        planned
    }

    /// A variable of a command that has no value passes the controller's own through, and is left out where that has none.
    fn steps(&self, steps: &[LifecycleStep]) -> Vec<LifecycleStep> {
        let mut steps = steps.to_vec();
        for step in &mut steps {
            if let LifecycleAction::Exec(exec) = &mut step.action {
                let line = |line: String| match line.contains('=') {
                    true => Some(line),
                    false => self.me.environment.get(&line).map(|value| format!("{line}={value}")),
                };
                exec.environment = std::mem::take(&mut exec.environment).into_iter().filter_map(line).collect();
            }
        }
        steps
    }

    fn container(&self, component: &Component, role: Role, found: &mut Found) -> ContainerSpec {
        let mut container = self.member(component.name.as_str(), &component.image, role.label());
        container.entrypoint.clone_from(&component.entrypoint);
        container.command.clone_from(&component.command);
        container.env = environment::environment(component, role, self.me, found);
        container.working_dir.clone_from(&component.working_dir);
        container.user.clone_from(&component.user);
        for (key, value) in &component.labels {
            if key.starts_with(RESERVED_LABELS) {
                found.problems.push(role.problem(
                    &component.name,
                    &format!("labels.{key}"),
                    format!("labels that begin with `{RESERVED_LABELS}` are set by the controller"),
                ));
            } else {
                container.labels.insert(key.clone(), value.clone());
            }
        }
        container.labels.insert(ownership::COMPONENT.to_owned(), component.name.to_string());
        container.tty = component.tty;
        container.stdin_open = component.stdin_open;
        container.stop_signal = component.stop_signal;
        container.healthcheck.clone_from(&component.healthcheck);
        if let Ipc::Controller(joined) = &self.ipc {
            container.ipc_mode = Some(joined.clone());
        }
        container.mounts = mounts::of(component, &self.shared_mounts, &self.me.volume_aliases);
        for (at, mount) in container.mounts.iter().enumerate() {
            // Of a service that has the volume, the engine's name is longer.
            let name = mount.source.as_deref().filter(|name| mount.kind == MountKind::Volume && name.len() < 2);
            let mounted = |name: &str| self.me.container.mounts.iter().any(|known| known.name == name);
            if let Some(name) = name.filter(|name| !mounted(name)) {
                found.problems.push(
                    role.problem(
                        &component.name,
                        &format!("volumes[{at}]"),
                        format!("the engine takes no volume with a name as short as `{name}`"),
                    )
                    .hint("give it a name of two characters or more"),
                );
            }
        }
        for (at, what, hint) in mounts::differing(&container.mounts, &self.me.volumes) {
            found.problems.push(role.problem(&component.name, &format!("volumes[{at}]"), what).hint(hint));
        }
        container.tmpfs = component.tmpfs.iter().map(|(path, options)| (path.clone(), options.clone())).collect();
        container.host = self.host(component, found);
        container.logging.clone_from(&component.logging);
        container
    }

    /// At most half of what the pod has for its stop: its components need the rest.
    fn drain(&self, spec: &PodSpec, found: &mut Found) -> Duration {
        let (drain, most) = (spec.options.drain, self.budget / 2);
        if drain > most {
            found.warnings.push(format!(
                "`drain` {} of `pod.options` is more than half of the {} that the controller has for stopping, and is cut to {}",
                units::time(drain),
                units::time(self.budget),
                units::time(most),
            ));
        }
        drain.min(most)
    }

    fn service(&self) -> String {
        let own = &self.me.container;
        let label = |name: &str| own.labels.get(name).cloned();
        // Projects of Compose share names of services.
        let composed =
            || Some(format!("{}_{}", label("com.docker.compose.project")?, label("com.docker.compose.service")?));
        label("com.docker.swarm.service.name").or_else(composed).unwrap_or_else(|| own.name.clone())
    }

    /// A container in the controller's network and, where they are shared, its PID namespace.
    fn member(&self, name: &str, image: &str, role: &str) -> ContainerSpec {
        let mut container = ContainerSpec::new(format!("{}{NAME_INFIX}{name}", self.me.container.name), image);
        container.network_mode = Some(joined(self.me));
        container.pid_mode = (self.settings.pids == Sharing::Shared).then(|| joined(self.me));
        container.cgroup_parent.clone_from(&self.placement.parent);
        for (key, value) in [
            (ownership::POD, self.me.container.id.0.as_str()),
            (ownership::GENERATION, self.me.container.started_at.as_str()),
            (ownership::SERVICE, &self.service()),
            (ownership::KEEP, &self.settings.keep.to_string()),
            (ownership::ROLE, role),
        ] {
            container.labels.insert(key.to_owned(), value.to_owned());
        }
        container
    }

    /// The container that lends its IPC namespace.
    fn donor(&self, spec: &PodSpec) -> ContainerSpec {
        let taken =
            |name: &str| spec.init.iter().any(|init| init.name.as_str() == name) || spec.components.contains_key(name);
        let mut name = "ipc".to_owned();
        while taken(&name) {
            name.push_str("-donor");
        }
        let mut donor = self.member(&name, &self.me.container.image, "ipc");
        donor.entrypoint = Some(PAUSE.map(str::to_owned).to_vec());
        donor.ipc_mode = Some("shareable".to_owned());
        // It has the controller's image, and with it a health check that only a controller can pass.
        donor.healthcheck = Some(HealthCheck::Disabled);
        donor.host = HostSettings {
            read_only: true,
            cap_drop: vec!["ALL".to_owned()],
            oom_score_adj: Some(self.me.container.oom_score_adj),
            ..HostSettings::default()
        };
        donor
    }

    fn host(&self, component: &Component, found: &mut Found) -> HostSettings {
        let mut host = component.host.clone();
        // For the engine 0 is no limit.
        host.memory = host.memory.filter(|memory| *memory > 0);
        host.memory_swap = host.memory_swap.filter(|swap| *swap != 0);
        let own = self.me.container.oom_score_adj;
        match host.oom_score_adj {
            None => host.oom_score_adj = Some((own + 1).min(HIGHEST_OOM_SCORE)),
            Some(score) if score <= own => found.warn(
                &component.name,
                format!(
                    "`oom_score_adj` {score} is not above the controller's {own}: the kernel may kill the controller first"
                ),
            ),
            Some(_) => {}
        }
        if self.me.seen == Seen::Nothing {
            let written = [
                ("mem_swappiness", host.memory_swappiness.is_some()),
                ("oom_kill_disable", host.oom_kill_disable),
                ("cpu_rt_period", host.cpu_rt_period.is_some()),
                ("cpu_rt_runtime", host.cpu_rt_runtime.is_some()),
            ];
            for (key, _) in written.into_iter().filter(|(_, was_set)| *was_set) {
                found.warn(&component.name, format!("`{key}` has no effect where the engine has cgroup version 2"));
            }
        } else if self.engine.cgroup_version >= 2 {
            let mut without_effect = |key: &str, was_set: bool| {
                if was_set {
                    found.warn(&component.name, format!("`{key}` has no effect with cgroup version 2 and is left out"));
                }
            };
            without_effect("mem_swappiness", host.memory_swappiness.take().is_some());
            without_effect("oom_kill_disable", std::mem::take(&mut host.oom_kill_disable));
            without_effect("cpu_rt_period", host.cpu_rt_period.take().is_some());
            without_effect("cpu_rt_runtime", host.cpu_rt_runtime.take().is_some());
        }
        host
    }

    fn grace(&self, component: &Component, found: &mut Found) -> Duration {
        match component.stop_grace_period {
            None => self.settings.timeouts.component_grace.min(self.budget),
            Some(grace) if grace > self.budget => {
                found.warn(
                    &component.name,
                    format!(
                        "`stop_grace_period` {} is longer than the {} that the controller has for stopping, and is cut to it",
                        units::time(grace),
                        units::time(self.budget),
                    ),
                );
                self.budget
            }
            Some(grace) => grace,
        }
    }

    fn limit_memory(&self, init: &mut [Planned], components: &mut [Planned], found: &mut Found) {
        let all = || init.iter().chain(&*components);
        match (&self.cgroups, memory::Limit::of(&self.me.container)) {
            (Cgroups::Absent, limit) => {
                if limit.is_some() || all().any(|planned| planned.container.host.memory.is_some()) {
                    found.warnings.push("the engine has no cgroups: memory limits have no effect".to_owned());
                }
            }
            (_, None) => {
                for planned in &*init {
                    memory::refuse_swap_alone(planned, Role::Init, found);
                }
                for planned in &*components {
                    memory::refuse_swap_alone(planned, Role::Component, found);
                }
            }
            (Cgroups::Nested, Some(limit)) => {
                if self.placement.tier == Tier::Slice && self.engine.cgroup_version < 2 && limit.has_swap() {
                    found.warnings.push(
                        "the controller's `memswap_limit` can't hold for the pod as a whole: systemd limits no swap with cgroup version 1"
                            .to_owned(),
                    );
                }
                for planned in init.iter_mut().chain(&mut *components) {
                    limit.cap(planned, found);
                }
            }
            (Cgroups::Beside, Some(limit)) => {
                for planned in &mut *init {
                    limit.give_all(planned, found);
                }
                limit.share(components, found);
            }
        }
        for planned in init.iter_mut().chain(components) {
            memory::reconcile(planned, found);
        }
    }
}

/// How the engine is told to join a namespace of the controller.
fn joined(me: &SelfInfo) -> String {
    format!("container:{}", me.container.id.0)
}

fn warn_of_disabled_checks(component: &Component, spec: &PodSpec, found: &mut Found) {
    for (name, on) in &component.depends_on {
        let Some(dependency) = spec.components.get(name) else { continue };
        let is_disabled = dependency.healthcheck == Some(HealthCheck::Disabled) && dependency.probes.is_empty();
        if on.condition == Condition::Healthy && is_disabled {
            found.warn(
                &component.name,
                format!("waits until `{name}` is healthy, which is as soon as it runs: its health check is disabled"),
            );
        }
    }
}
