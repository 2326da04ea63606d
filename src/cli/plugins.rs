//! Plugins without a pod: what `plan`, `check` and `plugin` load them for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Env;
use super::input::Pod;
use super::report::Report;
use crate::config::Settings;
use crate::hooks::{Hook, Hooks};
use crate::labels;
use crate::plan::overlay::Overlays;
use crate::plan::{document, render};
use crate::plugin::{Host, HostDirs, PluginSet, PodLink, PodView};
use crate::pod::{PluginSource, PluginSpec, PodSpec, Problem, Problems, lower};

/// Requests and watches of plugins that have no pod: nobody serves them, so one is enough, and a plugin that sends more waits until its deadline.
const NOBODY_LISTENS: usize = 64;

/// The plugins of one pod, described and configured.
pub(super) struct Loaded {
    set: Option<PluginSet>,
    /// What could not be looked at from here.
    pub(super) notes: Vec<String>,
}

/// Opens a plugin host with the directories of `settings`, and the user's own cache where none was chosen: outside a container nobody else's
/// can be written.
pub(super) fn host(settings: &Settings, env: &Env) -> Result<Host, Report> {
    let cache = if settings.cache_dir == Settings::default().cache_dir {
        own_cache(env).unwrap_or_else(|| settings.cache_dir.clone())
    } else {
        settings.cache_dir.clone()
    };
    Ok(Host::new(HostDirs { precompiled: settings.plugin_dir.clone(), cache, state: settings.state_dir.clone() })?)
}

/// As the XDG base directories say.
fn own_cache(env: &Env) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| value.starts_with('/')).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).map(|dir| dir.join("outrigger"))
}

/// Loads the plugins that can be loaded here: a stack file names files of the controller, which are noted and left out.
pub(super) async fn load(pod: &Pod, env: &Env) -> Result<Result<Loaded, Problems>, Report> {
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
        return Ok(problems.or(Loaded { set: None, notes }));
    }
    let host = host(&pod.settings, env)?;
    let (requests, _unserved) = mpsc::channel(NOBODY_LISTENS);
    let (watches, _unwatched) = mpsc::channel(NOBODY_LISTENS);
    let (_publish, view) = watch::channel(Arc::new(PodView::default()));
    let link = PodLink { requests, watches, pod: view };
    let loaded = match PluginSet::load(&host, &specs, &link).await {
        Ok(set) => Some(set),
        Err(more) => {
            problems.extend(more);
            None
        }
    };
    Ok(problems.or(Loaded { set: loaded, notes }))
}

/// Finds the plugin's file here. Relative paths lie beside the pod's file; absolute ones are the controller's (a secret, a config, a volume) and
/// may well be missing here, which is noted.
fn local(mut plugin: PluginSpec, folder: &Path, notes: &mut Vec<String>) -> Result<Option<PluginSpec>, Problem> {
    if let PluginSource::File(path) = &mut plugin.source {
        let here = folder.join(&path);
        if !here.exists() {
            if !path.starts_with('/') {
                let what = format!("there is no file `{}`", here.display());
                return Err(Problem::new(&plugin.origin, plugin.name.as_str(), what));
            }
            notes.push(format!("plugin `{}` was not looked at: `{path}` is a file of the controller", plugin.name));
            return Ok(None);
        }
        *path = here.to_string_lossy().into_owned();
    }
    Ok(Some(plugin))
}

impl Loaded {
    /// The pod with what its plugins lay over the plan in `pre-start`, as the controller does it.
    pub(super) async fn overlaid(&self, pod: &Pod) -> Result<PodSpec, Problems> {
        let Some(set) = &self.set else { return Ok(pod.spec.clone()) };
        let asked = set.with(Hook::PreStart);
        if asked.is_empty() {
            return Ok(pod.spec.clone());
        }
        let document = document::of(&pod.spec);
        let plan_json = document.to_string();
        let mut overlays = Overlays::new(document);
        let mut problems = Problems::default();
        for name in asked {
            let Some(spec) = pod.spec.plugins.iter().find(|spec| spec.name == name) else { continue };
            match set.pre_start(&name, plan_json.clone()).await {
                Ok(None) => {}
                Ok(Some(overlay)) => {
                    if let Err(more) = overlays.apply(&name, spec.scope.as_ref(), &overlay, &set.granted(&name)) {
                        problems.extend(more);
                    }
                }
                Err(failure) => problems.push(Problem::new(&spec.origin, name.as_str(), failure.to_string())),
            }
        }
        problems.or(())?;
        lower::lower(&labels::from_value("the plan after `pre-start`", &overlays.finish())?)
    }

    /// What the plan shows of the plugins.
    pub(super) fn lines(&self) -> Vec<render::PluginLine> {
        self.set.as_ref().map(PluginSet::lines).unwrap_or_default()
    }
}
