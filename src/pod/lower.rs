//! From what was written to what is meant.

mod component;
mod controller;
mod engine;
mod fields;
mod host;
mod life;
mod mounts;
mod options;
pub mod plugin;
mod probes;
mod rejected;
mod shell;
mod start;
mod volumes;

use std::collections::{BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;

use super::graph::{self, Edges};
use super::life::{Condition, Dependency, RestartWhen, Role};
use super::{Component, ComponentName, CopySpec, PluginSpec, PodSpec, Problems};
use crate::labels::{Place, RawComponent, RawCopies, RawPlugin, RawPod};
use crate::problem::{candidates, shown::bound_notes};
use fields::{Fields, Node, Report};
use life::Written;
use volumes::Volumes;

/// Most components of a pod, init components included. Ten times the largest pod that the tests start; each component costs its host about 5 MB for the engine's
/// shim alone, so that a pod of this size costs 5 GB before its programs do anything. It is judged before anything else, so that a generated file of any
/// length costs no more than its reading.
pub const MOST_COMPONENTS: usize = 1_000;

/// Lowers a raw pod to the domain types, and reports every problem at once.
///
/// # Errors
/// All the [`Problems`] of the input.
pub fn lower(raw: &RawPod) -> Result<PodSpec, Problems> {
    let (spec, problems) = lower_partly(raw);
    problems.or(spec)
}

/// As [`lower`], but answers what could be understood together with the problems, for those who look for problems of other kinds too. Of the plugins
/// those are left out that have a problem; components may lack what was wrong.
#[must_use]
pub fn lower_partly(raw: &RawPod) -> (PodSpec, Problems) {
    let mut report = Report {
        is_template: raw.is_template,
        warnings: raw.warnings.clone(),
        hidden: raw.hidden.clone(),
        ..Report::default()
    };
    let mut spec = lower_with(raw, &mut report);
    spec.warnings = report.warnings;
    bound_notes(&mut spec.warnings);
    let unfilled: HashSet<_> = raw.unfilled.iter().map(|at| (&at.label, &at.field)).collect();
    report.problems.0.retain(|problem| !unfilled.contains(&(&problem.label, &problem.field)));
    raw.hidden.hide_all(&mut report.problems);
    let unset: HashMap<_, _> = raw.unset.iter().rev().map(|(at, name)| ((&at.label, &at.field), name)).collect();
    for problem in &mut report.problems.0 {
        if let Some(name) = unset.get(&(&problem.label, &problem.field)) {
            problem.hint = format!("the variable `{name}` is not set; an empty value replaces it");
        }
    }
    (spec, report.problems)
}

fn lower_with(raw: &RawPod, report: &mut Report) -> PodSpec {
    if let Some(first) = raw.components.iter().chain(&raw.init).nth(MOST_COMPONENTS) {
        let count = raw.components.len() + raw.init.len();
        report.push(
            first
                .at
                .problem(format!("the pod has {count} components, and a pod can have at most {MOST_COMPONENTS}"))
                .hint("divide the components among several pods, each with a controller of its own"),
        );
        return PodSpec::default();
    }
    let known = Volumes::of(raw.volumes.as_ref(), report);
    if let Some(at) = &raw.components_at
        && raw.components.is_empty()
    {
        report.push(
            at.problem("the pod has no components")
                .hint("write at least one component, for instance `app`, with at least `image: <reference>`"),
        );
    }
    let names = Names::of(raw, report);
    let mut spec = PodSpec { bare_volumes: raw.bare_volumes.clone(), ..PodSpec::default() };
    for component in &raw.init {
        let Some(lowered) = component::lower(component, &known, report) else { continue };
        init_only(component, lowered.component.as_ref(), report);
        if let Some(first) = lowered.dependencies.first() {
            report.warn(&first.at.problem("has no effect: init components always run one after the other"));
        }
        if let Some(lowered) = lowered.component {
            spec.places.insert(lowered.name.clone(), component.at.clone());
            spec.init.push(lowered);
        }
    }
    let mut dependencies = Vec::new();
    for component in &raw.components {
        let Some(lowered) = component::lower(component, &known, report) else { continue };
        dependencies.push((component, lowered.dependencies));
        if let Some(lowered) = lowered.component {
            if !component.at.field.is_empty() {
                spec.places.insert(lowered.name.clone(), component.at.clone());
            }
            spec.components.insert(lowered.name.clone(), lowered);
        }
    }
    if let Some((at, path)) = &raw.compose_file {
        report.warn(&at.problem(format!(
            "the components are in the file `{path}`, which only the controller can read; this check does not see them"
        )));
    }
    depend(&dependencies, &names, &mut spec.components, report);
    // Of two that have one name, which has been reported, the first.
    let init: HashMap<String, usize> =
        spec.init.iter().enumerate().rev().map(|(at, component)| (component.name.to_string(), at)).collect();
    for copies in &raw.copy {
        let files = copy(copies, report);
        let component = match init.get(&copies.component) {
            Some(at) => spec.init.get_mut(*at),
            None => spec.components.get_mut(copies.component.as_str()),
        };
        match component {
            Some(component) => component.copy = files,
            // One that is written, but could not be read, has been reported.
            None if names.has(&copies.component) || raw.compose_file.is_some() => {}
            None => {
                let what = format!("there is no component `{}`", copies.component);
                let known = report.is_shown().then(|| candidates(&copies.component, names.all()));
                report.push(copies.at.problem(what).hint(known.unwrap_or_default()));
            }
        }
    }
    spec.plugins = plugins(raw, report);
    if let Some((at, value)) = &raw.options {
        spec.options = options::lower(at, value, report);
    }
    if let Some((at, map)) = &raw.controller {
        spec.controller = controller::lower(at, map, &known, report);
    }
    if let Some((at, value)) = &raw.stop_grace_period {
        controller::handed_over(at, value, &mut spec.controller, report);
    }
    if let Some((at, update)) = &raw.update {
        options::monitor(at, update, &spec, report);
    }
    spec
}

/// The names of all components that are written, whether the rest of them is right or not. Sorted, so that equally near names give the same hint each time.
struct Names<'a> {
    init: BTreeSet<&'a str>,
    components: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(raw: &'a RawPod, report: &mut Report) -> Self {
        let mut names = Self { init: BTreeSet::new(), components: BTreeSet::new() };
        let mut twice = |at: &Place, name: &str| {
            report.push(at.problem(format!("another component has the name `{name}` too")));
        };
        for RawComponent { name, at, .. } in &raw.components {
            if !names.components.insert(name) {
                twice(at, name);
            }
        }
        for RawComponent { name, at, .. } in &raw.init {
            if names.components.contains(name.as_str()) || !names.init.insert(name) {
                twice(at, name);
            }
        }
        names
    }

    fn has(&self, name: &str) -> bool {
        self.init.contains(name) || self.components.contains(name)
    }

    fn all(&self) -> impl Iterator<Item = &'a str> {
        self.components.iter().chain(&self.init).copied()
    }
}

/// Looks all dependencies up, and looks for cycles.
fn depend(
    written: &[(&RawComponent, Vec<Written>)],
    names: &Names<'_>,
    components: &mut IndexMap<ComponentName, Component>,
    report: &mut Report,
) {
    let mut places: HashMap<&str, Place> = HashMap::new();
    let mut edges: Edges<'_> = IndexMap::new();
    for (component, dependencies) in written {
        places.insert(&component.name, component.at.key("depends_on"));
        let mut known = Vec::new();
        for Written { at, name, on } in dependencies {
            if names.components.contains(name.as_str()) {
                known.push(name.as_str());
                let dependency = components.get_key_value(name.as_str()).map(|(name, _)| name.clone());
                if let Some(component) = components.get_mut(component.name.as_str())
                    && let Some(dependency) = dependency
                {
                    component.depends_on.insert(dependency, *on);
                }
            } else if names.init.contains(name.as_str()) {
                report.push(
                    at.problem(format!(
                        "`{name}` is an init component, which always ends before the other components start"
                    ))
                    .hint("remove the dependency"),
                );
            } else if !on.required {
                report.warn(&at.problem(format!(
                    "there is no component `{name}`; the dependency is optional, so the pod ignores it"
                )));
            } else {
                let problem = at.problem(format!("there is no component `{name}`"));
                let others = || names.components.iter().copied().filter(|other| *other != component.name);
                let known = report.is_shown().then(|| candidates(name, others()));
                report.push(problem.hint(known.unwrap_or_default()));
            }
        }
        edges.insert(&component.name, known);
    }
    jobs(written, components, report);
    roles(written, components, report);
    edges.sort_unstable_keys();
    for cycle in graph::find_cycles(&edges) {
        let place = cycle.first().and_then(|name| places.get(name)).cloned().unwrap_or_default();
        report.push(place.problem(graph::described(&cycle)));
    }
}

/// A component whose success others await must come to an end.
fn jobs(
    written: &[(&RawComponent, Vec<Written>)],
    components: &IndexMap<ComponentName, Component>,
    report: &mut Report,
) {
    let awaited = written.iter().flat_map(|(_, dependencies)| dependencies);
    for Written { at, name, on: Dependency { condition, .. } } in awaited {
        let Some(job) = components.get(name.as_str()).filter(|_| *condition == Condition::Completed) else { continue };
        if job.role == Role::Sidecar {
            report.push(
                at.key("condition")
                    .problem(format!(
                        "`{name}` is a sidecar, which runs until the other components end and never completes"
                    ))
                    .hint("use the condition `service_started` or `service_healthy`"),
            );
        } else if job.restart.when == RestartWhen::Always && job.role != Role::Job {
            report.push(
                at.key("condition")
                    .problem(format!("`{name}` has `restart: always`, so it never completes"))
                    .hint(format!("set `restart: on-failure` for `{name}`, or use another condition")),
            );
        }
    }
}

/// Somebody must keep the pod up, and what waits for the work must be part of it.
fn roles(
    written: &[(&RawComponent, Vec<Written>)],
    components: &IndexMap<ComponentName, Component>,
    report: &mut Report,
) {
    let of = |raw: &RawComponent| components.get(raw.name.as_str()).map(|component| component.role);
    if let Some((first, _)) = written.first()
        && written.iter().all(|(raw, _)| of(raw) == Some(Role::Sidecar))
    {
        report.push(
            first
                .at
                .key("role")
                .problem("every component of the pod is a sidecar, so no component keeps the pod running")
                .hint("remove `role` from the component that the sidecars serve"),
        );
    }
    let jobs: graph::Set = components.values().map(|it| it.role == Role::Job).collect();
    if jobs.is_empty() {
        return;
    }
    let ended = graph::ended_before(components);
    for (raw, dependencies) in written.iter().filter(|(raw, _)| of(raw).is_some_and(|role| role != Role::Job)) {
        if ended.get(raw.name.as_str()).is_some_and(|ended| ended.contains_all(&jobs)) {
            let at = dependencies.first().map_or_else(|| raw.at.key("depends_on"), |first| first.at.clone());
            report.push(
                at.problem(format!(
                    "`{}` can never start: it waits until every job of the pod has ended, and the pod ends at that moment",
                    raw.name
                ))
                .hint("add `role: job` to this component; or remove `role: job` from the components that it waits for, because `service_completed_successfully` already orders them"),
            );
        }
    }
}

/// What makes no sense for a component that must end before the others start.
fn init_only(raw: &RawComponent, component: Option<&Component>, report: &mut Report) {
    let written = |key: &str| raw.body.as_ref().is_some_and(|body| body.get(key).is_some_and(|value| !value.is_null()));
    for key in ["role", "essential", "probes", "post_start", "pre_stop"].into_iter().filter(|key| written(key)) {
        report.push(
            raw.at
                .key(key)
                .problem("init components do not have this key: an init component must exit with 0 before the other components start")
                .hint("remove the key, or move the component from the init components to the other components"),
        );
    }
    if component.is_some_and(|component| component.restart.when == RestartWhen::Always) {
        report.push(
            raw.at
                .key("restart")
                .problem("an init component must end, so it cannot be restarted always")
                .hint("write `on-failure`, or move the component from the init components to the other components"),
        );
    }
}

fn copy(copies: &RawCopies, report: &mut Report) -> Vec<CopySpec> {
    let mut found: Vec<CopySpec> = Vec::new();
    let mut targets = HashSet::new();
    for file in &copies.files {
        let target = target(file);
        if !file.source.starts_with('/') {
            report.push(
                file.at
                    .problem(format!("the source `{}` is not an absolute path", file.source))
                    .hint("the source is a path in the controller's container: mount the file there, and write the path of the mount"),
            );
        }
        if !target.starts_with('/') {
            report.push(file.at.problem(format!("the target `{target}` is not an absolute path")));
        } else if !targets.insert(target.clone()) {
            report.push(file.at.problem(format!("two files have the target `{target}`")));
        }
        let mut fields = Fields::new(&file.at, &file.settings, report);
        let id = |node: &Node<'_>| {
            let id = node.int(0..=i64::from(u32::MAX) - 1)?;
            u32::try_from(id).map_err(|_| node.problem("is too large"))
        };
        let mode = fields.read("mode", mounts::octal);
        let (uid, gid) = (fields.read("uid", id), fields.read("gid", id));
        fields.done();
        found.push(CopySpec { source: file.source.clone(), target, mode, uid, gid });
    }
    found
}

/// A target that ends in `/` is the directory in which the file gets the name that it has.
fn target(file: &crate::labels::RawCopy) -> String {
    let name = file.source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if file.target.ends_with('/') { format!("{}{name}", file.target) } else { file.target.clone() }
}

/// The pod's plugins, and then those of components, by the components' names: the order of components in a file means nothing.
fn plugins(raw: &RawPod, report: &mut Report) -> Vec<PluginSpec> {
    let mut scoped: Vec<&RawComponent> = raw.init.iter().chain(&raw.components).collect();
    scoped.sort_by(|one, other| one.name.cmp(&other.name));
    let mut written: Vec<(Option<ComponentName>, &RawPlugin)> =
        raw.plugins.iter().map(|plugin| (None, plugin)).collect();
    for component in scoped {
        let scope = ComponentName::new(&component.name).ok();
        written.extend(component.plugins.iter().map(|plugin| (scope.clone(), plugin)));
    }
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    let mut found = Vec::new();
    for (scope, raw) in written {
        let before = report.problems.0.len();
        if let Some(first) = seen.insert(&raw.name, &raw.at) {
            let other = if first.label == raw.at.label { &first.field } else { &first.label };
            let what = format!("the plugin `{}` appears twice; the other place is `{other}`", raw.name);
            let problem = raw.at.problem(what);
            report.push(match scope {
                Some(_) => problem
                    .hint("a plugin in the pod's own list applies to every component: write the plugin there, once"),
                None => problem,
            });
        }
        let lowered = plugin::lower(raw, scope.as_ref(), report);
        // Loading one that is half understood would only find the same again, in other words.
        found.extend(lowered.filter(|_| report.problems.0.len() == before));
    }
    found
}

#[cfg(test)]
mod tests;
