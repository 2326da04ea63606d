//! Plugins without a pod: what `plan`, `check` and `plugin` load them for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Env;
use super::input::Pod;
use super::report::Report;
use crate::config::Settings;
use crate::hooks::{Hook, Hooks};
use crate::plan::render;
use crate::plugin::{Host, HostDirs, PluginSet, PodLink, PodView};
use crate::pod::{PluginSource, PluginSpec, PodSpec, Problems};
use crate::supervisor::boot::overlaid;

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
    Ok(Host::new(HostDirs { precompiled: settings.plugin_dir.clone(), cache, state: settings.state_dir.clone() }, settings.timeouts)?)
}

/// As the XDG base directories say.
fn own_cache(env: &Env) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|value| value.starts_with('/')).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).map(|dir| dir.join("outrigger"))
}

/// Loads the plugins that can be loaded here: a stack file names files of the controller, which are noted and left out.
pub(super) async fn load(pod: &Pod, env: &Env) -> Result<Result<Loaded, Problems>, Report> {
    let mut notes = Vec::new();
    let specs: Vec<PluginSpec> =
        pod.spec.plugins.iter().filter_map(|plugin| local(plugin.clone(), &pod.folder, &mut notes)).collect();
    if specs.is_empty() {
        return Ok(Ok(Loaded { set: None, notes }));
    }
    let host = host(&pod.settings, env)?;
    let (requests, _unserved) = mpsc::channel(NOBODY_LISTENS);
    let (watches, _unwatched) = mpsc::channel(NOBODY_LISTENS);
    let (_publish, view) = watch::channel(Arc::new(PodView::default()));
    let link = PodLink { requests, watches, pod: view };
    Ok(PluginSet::load(&host, &specs, &link).await.map(|set| Loaded { set: Some(set), notes }))
}

/// The plugin with the path of its file as it is here; none, and a note, where it is the controller's alone.
fn local(mut plugin: PluginSpec, folder: &Path, notes: &mut Vec<String>) -> Option<PluginSpec> {
    if let PluginSource::File(path) = &mut plugin.source {
        let here = folder.join(&path);
        if path.starts_with('/') && !here.exists() {
            notes.push(format!("plugin `{}` was not looked at: `{path}` is a file of the controller", plugin.name));
            return None;
        }
        *path = here.to_string_lossy().into_owned();
    }
    Some(plugin)
}

impl Loaded {
    /// The pod with what its plugins lay over the plan in `pre-start`, as the controller does it.
    pub(super) async fn overlaid(&self, pod: &Pod) -> Result<PodSpec, Problems> {
        match &self.set {
            Some(set) if !set.with(Hook::PreStart).is_empty() => overlaid(&pod.spec, set).await,
            _ => Ok(pod.spec.clone()),
        }
    }

    /// What the plan shows of the plugins.
    pub(super) fn lines(&self) -> Vec<render::PluginLine> {
        self.set.as_ref().map(PluginSet::lines).unwrap_or_default()
    }
}
