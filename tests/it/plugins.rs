//! The plugin host against guests that misbehave: real WebAssembly, real limits.
#![cfg(test)]

#[path = "plugins/failing.rs"]
mod failing;
#[path = "plugins/hostile.rs"]
mod hostile;
#[path = "plugins/loading.rs"]
mod loading;
#[path = "plugins/powers.rs"]
mod powers;
#[path = "plugins/serving.rs"]
mod serving;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outrigger::config::Timeouts;
use outrigger::plugin::host::{Host, HostDirs};
use outrigger::plugin::imports::place::Place;
use outrigger::plugin::set::PluginSet;
use outrigger::plugin::{ComponentState, ComponentView, PodLink, PodView, Request, WatchRequest};
use outrigger::pod::{
    Capability, ComponentName, Grant, OnError, OnErrors, PluginLimits, PluginName, PluginSource, PluginSpec, Problems,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::support::guests;

/// Quick hooks in these tests: short, so that a spinning guest costs little; long enough for a busy machine.
const HOOK: Duration = Duration::from_millis(300);

/// Without them, hooks are not called.
pub const POWERS: [&str; 5] = ["lines *", "copies *", "exits *", "verdicts *", "on-signals *"];

pub struct Pod {
    pub dir: tempfile::TempDir,
    pub host: Host,
    pub link: PodLink,
    pub requests: mpsc::Receiver<Request>,
    pub watches: mpsc::Receiver<WatchRequest>,
    /// Kept so that the plugins' side stays open.
    _view: watch::Sender<Arc<PodView>>,
}

pub fn component(name: &str) -> ComponentName {
    ComponentName::new(name).unwrap()
}

/// The page of the plugins' metrics.
pub fn page(set: &PluginSet) -> String {
    let (registry, set) = (outrigger::metrics::Registry::default(), set.clone());
    registry.add(move || set.families());
    registry.page()
}

pub fn plugin() -> PluginName {
    PluginName::new("p").unwrap()
}

impl Pod {
    pub fn new() -> Self {
        Self::at(Place::Controller)
    }

    pub fn at(place: Place) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let dirs = HostDirs {
            precompiled: dir.path().join("plugins"),
            cache: shared_cache(),
            state: dir.path().join("state"),
        };
        let timeouts = Timeouts { hook: HOOK, wait_hook_cpu: Duration::from_secs(1), ..Timeouts::default() };
        let host = Host::new(dirs, timeouts, place).unwrap();
        let (requests, asked) = mpsc::channel(8);
        let (watches, watched) = mpsc::channel(8);
        let part = |name: &str| ComponentView {
            name: component(name),
            image: format!("acme/{name}"),
            container_id: None,
            state: ComponentState::Running,
            labels: Arc::default(),
        };
        let labels = Arc::new([("l".to_owned(), "label".to_owned())].into());
        let pod = PodView { name: "pod".to_owned(), labels, components: vec![part("app"), part("db")] };
        let (view, seen) = watch::channel(Arc::new(pod));
        let link = PodLink { requests, served: Arc::new(true.into()), watches, pod: seen };
        Self { dir, host, link, requests: asked, watches: watched, _view: view }
    }

    /// Writes a plugin's file.
    pub fn file(&self, wasm: &[u8]) -> PluginSource {
        let path = self.dir.path().join("plugin.wasm");
        std::fs::write(&path, wasm).unwrap();
        PluginSource::File(path.to_str().unwrap().to_owned())
    }

    /// A plugin that does `config`, with these grants, and every power.
    pub fn spec(&self, config: Value, grants: &[&str]) -> PluginSpec {
        PluginSpec {
            name: plugin(),
            origin: "pod.plugins".to_owned(),
            source: self.file(guests::naughty()),
            scope: None,
            grants: Some(grants.iter().chain(&POWERS).map(|text| grant(text)).collect()),
            limits: PluginLimits::default(),
            on_error: OnErrors { default: OnError::Fail, hooks: BTreeMap::new() },
            health_interval: Duration::from_secs(10),
            config,
        }
    }

    pub async fn load(&self, specs: &[PluginSpec]) -> Result<PluginSet, Problems> {
        PluginSet::load(&self.host, specs, &[component("app"), component("db")], &self.link).await
    }

    /// One plugin that does `config`, and fails the pod when it fails.
    pub async fn with(&self, config: Value, grants: &[&str]) -> PluginSet {
        self.load(&[self.spec(config, grants)]).await.unwrap()
    }

    pub async fn with_policy(&self, on_error: OnError, config: Value, grants: &[&str]) -> PluginSet {
        let mut spec = self.spec(config, grants);
        spec.on_error.default = on_error;
        self.load(&[spec]).await.unwrap()
    }
}

/// One for all tests: the guest is compiled once.
pub fn shared_cache() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache")
}

pub fn grant(text: &str) -> Grant {
    let (capability, scope) = text.split_once(' ').unwrap();
    Grant::new(Capability::of(capability).unwrap(), scope)
}

/// What a plugin is told when it asks the host for something in `tick`.
pub async fn asked(pod: &Pod, what: &str, grants: &[&str]) -> String {
    use outrigger::hooks::Hooks;
    let set = pod.with(json!({ "tick": format!("ask {what}") }), grants).await;
    set.tick(&plugin()).await.unwrap_err().reason.trim_start_matches("failed: ").to_owned()
}
