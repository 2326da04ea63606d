//! Plugins without a pod: what `plan`, `check` and `plugin` load them for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Env;
use super::input::Pod;
use super::report::Report;
use crate::config::Settings;
use crate::hooks::{Hook, Hooks};
use crate::plan::compile::OwnFiles;
use crate::plan::{Plan, render};
use crate::plugin::host::manifest::Inspected;
use crate::plugin::host::{Host, HostDirs};
use crate::plugin::imports::place::Place;
use crate::plugin::set::PluginSet;
use crate::plugin::{PodLink, WatchRequest};
use crate::pod::{Capability, Grant, PluginName, PluginSource, PluginSpec, PodSpec, Problem, Problems};
use crate::supervisor::boot::{Overlaid, out_of_reach, overlaid, refused};
use crate::supervisor::views::Fixed;
use crate::watch as watcher;

/// Requests and watches of plugins that have no pod: nobody serves them, so one is enough, and a plugin that sends more waits until its deadline.
const NOBODY_LISTENS: usize = 64;

/// The plugins of one pod, described and configured.
pub(super) struct Loaded {
    set: Option<PluginSet>,
    /// What could not be looked at from here.
    pub(super) notes: Vec<String>,
    /// What they have changed of the plan.
    changes: HashMap<PluginName, Vec<(String, bool)>>,
}

/// Opens a plugin host with the directories of `settings`, and the user's own cache where none was chosen: outside a container nobody else's
/// can be written.
/// `controller` is the environment of the controller for which plugins are asked.
pub(super) fn host(settings: &Settings, env: &Env, controller: &Env) -> Result<Host, Report> {
    let cache = if settings.cache_dir == Settings::default().cache_dir {
        own_cache(env).unwrap_or_else(|| settings.cache_dir.clone())
    } else {
        settings.cache_dir.clone()
    };
    let dirs = HostDirs { precompiled: settings.plugin_dir.clone(), cache, state: settings.state_dir.clone() };
    Ok(Host::new(dirs, settings.timeouts, Place::Elsewhere { environment: Arc::new(controller.clone()) })?)
}

/// As the XDG base directories say.
fn own_cache(env: &Env) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| value.starts_with('/')).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).map(|dir| dir.join("outrigger"))
}

/// Loads the plugins that can be loaded here: a stack file names files of the controller, which are noted and left out.
/// `plan` is the pod's without them, where there is one.
pub(super) async fn load(pod: &Pod, plan: Option<&Plan>, env: &Env) -> Result<Result<Loaded, Problems>, Report> {
    let mut notes = Vec::new();
    let mut problems = Problems::default();
    let mut specs = Vec::new();
    for plugin in &pod.spec.plugins {
        match local(plugin.clone(), &pod.folder, &mut notes) {
            Ok(found) => specs.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    if specs.is_empty() {
        return Ok(problems.or(Loaded { set: None, notes, changes: HashMap::new() }));
    }
    let host = host(&pod.settings, env, &pod.me.environment)?;
    let (requests, _unserved) = mpsc::channel(NOBODY_LISTENS);
    let (watches, _unwatched) = mpsc::channel(NOBODY_LISTENS);
    let (_publish, view) = watch::channel(Arc::new(
        plan.map(|plan| Fixed::new(&pod.me.container, plan).planned(plan)).unwrap_or_default(),
    ));
    let link = PodLink { requests, served: Arc::default(), watches, pod: view };
    let init = pod.spec.init.iter().map(|component| component.name.clone());
    let components: Vec<_> = init.chain(pod.spec.components.keys().cloned()).collect();
    let loaded = match PluginSet::load(&host, &specs, &components, &link).await {
        Ok(set) => {
            notes.extend_from_slice(set.notes());
            notes.extend(set.uncalled());
            notes.extend(set.watches().iter().filter_map(|watch| single_file(pod, watch)));
            for plugin in &specs {
                let watched = set
                    .grants(&plugin.name)
                    .into_iter()
                    .filter(|grant| grant.capability == Capability::Watch && grant.scope.starts_with('/'));
                notes.extend(watched.filter(|grant| !pod.reaches(&grant.scope)).map(|grant| {
                    format!(
                        "plugin `{}` watches `{}`, but no mount, config or secret of the controller has this file, so the plugin would wait without end",
                        plugin.name, grant.scope
                    )
                }));
            }
            Some(set)
        }
        Err(more) => {
            problems.extend(more);
            None
        }
    };
    Ok(problems.or(Loaded { set: loaded, notes, changes: HashMap::new() }))
}

/// What is to be known of a watch of a mount of a single file. Swarm's configs and secrets never change, and are no mounts of the file at hand.
fn single_file(pod: &Pod, watch: &WatchRequest) -> Option<String> {
    let mounts = pod.me.container.mounts.iter().filter(|mount| mount.kind == "bind");
    let mount = mounts.into_iter().find(|mount| mount.target == watch.source)?;
    // On another machine it is taken for what its name looks like: nearly all files that are mounted have an extension.
    let is_file = Path::new(&mount.source)
        .metadata()
        .map_or_else(|_| Path::new(&mount.source).extension().is_some(), |found| found.is_file());
    let (plugin, source) = (&watch.plugin, &watch.source);
    is_file.then(|| format!("plugin `{plugin}` watches `{source}`: {}", watcher::SINGLE_FILE))
}

/// Finds the plugin's file here. Relative paths lie beside the pod's file; absolute ones are the controller's (a secret, a config, a volume) and
/// may well be missing here, which is noted.
fn local(mut plugin: PluginSpec, folder: &Path, notes: &mut Vec<String>) -> Result<Option<PluginSpec>, Problem> {
    if let PluginSource::File(path) = &mut plugin.source {
        let here = folder.join(&path);
        if !here.is_file() {
            if !path.starts_with('/') {
                let what = if here.exists() { "not a regular file:" } else { "no such file:" };
                let what = format!("{what} `{}`", here.display());
                return Err(Problem::new(&plugin.origin, plugin.name.as_str(), what));
            }
            notes.push(format!(
                "plugin `{}` was not checked: `{path}` is a file inside the controller's container",
                plugin.name
            ));
            return Ok(None);
        }
        *path = here.to_string_lossy().into_owned();
    }
    Ok(Some(plugin))
}

impl Loaded {
    /// What its plugins want by their configuration alone, and the controller will refuse.
    pub(super) fn refused(&self, pod: &Pod) -> Problems {
        let files =
            OwnFiles::new(&pod.me.container, &pod.me.environment, &pod.me.own_volumes, &pod.engine, &pod.settings);
        self.set.as_ref().map(|set| refused(&pod.spec, set, &files)).unwrap_or_default()
    }

    /// Files that its plugins are configured to put where a component's process would not see them.
    pub(super) fn out_of_reach(&self, plan: &Plan, spec: &PodSpec) -> Problems {
        self.set.as_ref().map(|set| out_of_reach(plan, spec, set)).unwrap_or_default()
    }

    /// The pod with what its plugins lay over the plan in `pre-start`, as the controller does it.
    pub(super) async fn overlaid(&mut self, pod: &Pod) -> Result<PodSpec, Problems> {
        match &self.set {
            Some(set) if !set.with(Hook::PreStart).is_empty() => {
                let Overlaid { spec, changes, notes } = overlaid(&pod.spec, set).await?;
                self.notes.extend(notes);
                self.changes = changes;
                Ok(spec)
            }
            _ => Ok(pod.spec.clone()),
        }
    }

    /// What the plan shows of the plugins.
    pub(super) fn lines(&self, pod: &Pod) -> Vec<render::PluginLine> {
        let Some(set) = &self.set else { return Vec::new() };
        set.inspected()
            .map(|(name, seen)| {
                let changes = self.changes.get(name).cloned().unwrap_or_default();
                render::PluginLine { changes, ..line(pod, name, seen, &set.grants(name)) }
            })
            .collect()
    }
}

fn line(pod: &Pod, name: &PluginName, seen: &Inspected, granted: &[Grant]) -> render::PluginLine {
    let spec = pod.spec.plugins.iter().find(|spec| spec.name == *name);
    let told = |grant: &Grant| format!("{}: {}", grant.capability, grant.scope);
    // A manifest may ask widely and be granted narrowly: that is not missing.
    let missing = seen.manifest.wants.iter().map(|want| &want.grant);
    let missing = missing.filter(|want| !granted.iter().any(|grant| grant.overlaps(want)));
    // What decides about the pod's life comes first.
    let sorted = |mut grants: Vec<&Grant>| {
        grants.sort_by_key(|grant| !grant.capability.is_power());
        grants.into_iter().map(told).collect()
    };
    render::PluginLine {
        name: name.to_string(),
        version: seen.manifest.version.clone(),
        source: match spec.map(|spec| &spec.source) {
            Some(PluginSource::File(path)) => path.clone(),
            Some(PluginSource::Stock) | None => "stock".to_owned(),
        },
        hooks: seen.hooks.iter().map(|hook| hook.name()).collect(),
        granted: sorted(granted.iter().collect()),
        missing: sorted(missing.collect()),
        changes: Vec::new(),
    }
}
