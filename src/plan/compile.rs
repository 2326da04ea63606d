//! From what a pod is to what the engine is asked for.
//!
//! [`compile`] is pure: everything it needs to know of the controller and the engine is passed in, and every problem is reported at once.
//!
//! Invariant: a component is never given more than the controller has, gets nothing that the operator's policy refuses, never sees the engine's socket through shared mounts, and always
//! carries the labels of [`ownership`](crate::plan::ownership).

mod chains;
mod container;
mod doubts;
mod environment;
mod health;
mod life;
mod memory;
mod mounts;
mod parts;
mod placement;
mod policy;
mod resources;
pub mod targets;
#[cfg(test)]
mod tests;

use std::time::Duration;

use parts::Parts;
use placement::{Cgroups, Ipc, place};
use targets::Barred;

pub use self::container::NAME_INFIX;
pub use self::parts::{knows_mounts, problems_of_parts};
pub use self::policy::OwnFiles;
pub use self::policy::paths::private_files;

use super::placement::{Placement, Tier};
use super::{Plan, Planned, SelfInfo, units};
use crate::config::{Settings, Sharing};
use crate::containers::info::EngineInfo;
use crate::labels;
use crate::pod::life::{LifecycleAction, LifecycleStep, Role as Part};
use crate::pod::{Component, ComponentName, Mount, PodSpec, Problem, Problems};
use crate::problem::shown::bound_notes;

/// The remedy for a file that the controller does not have.
const IN_CONTROLLER: &str = "this is a path in the controller's container: mount the file there, for instance as a volume, or as a config of a service";

/// The remedy for a file of this host that is mounted into the controller.
const CREATE_IT: &str = "create the file, or correct the path";

/// What helps if the controller cannot read this file for this reason.
fn remedy(path: &str, why: &str, me: &SelfInfo) -> String {
    if why.ends_with(super::NOT_HERE) {
        return CREATE_IT.to_owned();
    }
    let mounts = me.container.mounts.iter().map(|mount| mount.target.trim_end_matches('/'));
    let holds = |target: &&str| {
        path.strip_prefix(target)
            .is_some_and(|below| !target.is_empty() && (below.is_empty() || below.starts_with('/')))
    };
    match mounts.filter(holds).max_by_key(|target| target.len()) {
        Some(target) if why.ends_with(super::MISSING) => {
            format!(
                "the controller has a mount at `{target}`, but the file is missing in it: create the file, or correct the path"
            )
        }
        _ => IN_CONTROLLER.to_owned(),
    }
}

/// A pod always gets at least this long to stop, however much of the grace period is reserved.
const LEAST_BUDGET: Duration = Duration::from_millis(500);

/// Works out what the pod will do.
///
/// Entries that are missing from `me.env_files` and `me.copy_sources` are taken as fine: offline they can't be known.
///
/// # Errors
/// All [`Problems`]: cycles, files that can't be read, reserved labels, limits that don't fit, names that clash.
pub fn compile(spec: &PodSpec, me: &SelfInfo, engine: &EngineInfo, settings: &Settings) -> Result<Plan, Problems> {
    let mut found = Found { warnings: spec.warnings.clone(), ..Found::default() };
    let Parts { pod, mut init, mut components } = Parts::of(spec, me, engine, settings, &mut found);
    let awaited = doubts::awaited(spec);
    for planned in &mut components {
        planned.job = awaited.contains(&planned.name) || planned.role == Part::Job;
    }
    components.sort_by_key(|planned| planned.wave); // Stable: within a wave they stay as written.
    pod.limit_memory(&mut init, &mut components, &mut found);
    resources::limit(&me.container, &pod.cgroups, &mut init, &mut components, &mut found);
    if matches!(pod.cgroups, Cgroups::Absent) {
        init.iter().chain(&components).for_each(|planned| resources::warn_without_cgroups(planned, &mut found));
    }
    mounts::warn_of_bare(spec, me, &mut found);
    let life = life::of(spec, &init, &components);
    let budget = resources::budget(spec, &me.container, &pod.placement, &components);
    let drain = pod.drain(spec, &mut found);
    doubts::look(spec, me, &mut found);
    pod.doubt_stop(spec, &components, drain, &mut found);
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
        host_files: me.host_files.clone(),
    };
    moved(found.problems, spec).or(plan)
}

/// Begins what depends on an engine that was not asked.
const WHERE_DIVIDED: &str =
    "if the engine cannot enforce limits for the pod as a whole (cgroup version 2 without a cgroup of the pod), ";

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
    problems.moved(&|name| spec.places.get(name))
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
            self.warnings.push(format!("{WHERE_DIVIDED}this pod will not start: {what}; {hint}"));
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
            format!("this engine cannot enforce the controller's `{key}` of {limit} for the pod as a whole: {parts}")
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
            "`{}` is {}, but the engine kills the controller's container {} after the stop signal, and the engine's value applies",
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
            found.warn(&component.name, "`depends_on` has no effect: init components always run one after the other");
        }
        let depends_on = match role {
            Role::Init => Vec::new(),
            Role::Component => component.depends_on.iter().map(|(name, on)| (name.clone(), *on)).collect(),
        };
        for copy in &component.copy {
            if let Some(Err(why)) = self.me.copy_sources.get(&copy.source) {
                found.problems.push(
                    Problem::new(
                        format!("pod.copy.{}", component.name),
                        "",
                        format!("cannot read `{}`: {why}", copy.source),
                    )
                    .hint(remedy(&copy.source, why, self.me)),
                );
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
            if let Some(Barred { what, hint }) = targets::barred_with(&container, &copy.target, &self.me.host_files)
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

    /// At most half of what the pod has for its stop: its components need the rest.
    fn drain(&self, spec: &PodSpec, found: &mut Found) -> Duration {
        let (drain, most) = (spec.options.drain, self.budget / 2);
        if drain > most {
            found.warnings.push(format!(
                "`drain` {} in `pod.options` is more than half of the {} that the controller has for stopping; `drain` is reduced to {}",
                units::time(drain),
                units::time(self.budget),
                units::time(most),
            ));
        }
        drain.min(most)
    }

    fn grace(&self, component: &Component, found: &mut Found) -> Duration {
        match component.stop_grace_period {
            None => self.settings.timeouts.component_grace.min(self.budget),
            Some(grace) if grace > self.budget => {
                found.warn(
                    &component.name,
                    format!(
                        "`stop_grace_period` {} is longer than the {} that the controller has for stopping, and is reduced to that time",
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
                        "the controller's `memswap_limit` has no effect for the pod as a whole: systemd cannot limit swap with cgroup version 1"
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
