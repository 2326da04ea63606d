//! The plugin host: WebAssembly components, sandboxed, behind the hooks of [`crate::hooks`].
//!
//! The only module that knows wasmtime. A [`host::Host`] loads plugins, [`set::PluginSet`] is a pod's plugins behind the seam. From the outside in:
//!
//! | room | what it has |
//! | --- | --- |
//! | [`set`] | a pod's plugins behind the seam: loaded, configured, called one after the other; what happens when a hook fails |
//! | [`host`] | from a file to code that runs: contract, manifest, cache, stock plugins |
//! | [`instance`] | one instance: its task, its calls, its limits on memory and time, restarts and evictions |
//! | [`answers`] | the answers of plugins: as they say them, checked, and the effect of their edits on lines |
//! | [`imports`] | what plugins may call: grants, the host's side of the contract and of WASI, and what plugins leave behind |
//! | [`bindings`], [`schemas`] | the versions of the contract, and their types in ours; the schemas of its JSON texts |

pub mod answers;
pub mod bindings;
pub mod error;
pub mod host;
pub mod imports;
pub mod instance;
pub mod schemas;
pub mod set;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::ExecOutput;
use crate::hooks::{File, FileFacts, Judgement, NewFile, Rollout};
use crate::pod::{ComponentName, PluginName};

/// What a plugin asks of the pod. Grants have been checked already; who serves it checks that the component exists.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub plugin: PluginName,
    /// What for.
    pub kind: RequestKind,
}

/// Answer to a [`Request`]: an `Err` is told to the plugin as `failed`.
pub type Reply<T> = oneshot::Sender<Result<T, String>>;

/// The kinds of [`Request`].
#[derive(Debug)]
pub enum RequestKind {
    /// `signals.send`.
    Signal {
        /// To which component.
        component: ComponentName,
        /// Signal number.
        signal: i32,
        /// Answers when the engine has taken it.
        reply: Reply<()>,
    },
    /// `files.read`.
    Read {
        /// From which component.
        component: ComponentName,
        /// Absolute path in it.
        path: String,
        /// Longest content, in bytes.
        limit: usize,
        /// Answers the file.
        reply: Reply<File>,
    },
    /// `files.inspect`.
    Inspect {
        /// In which component.
        component: ComponentName,
        /// Absolute paths in it.
        paths: Vec<String>,
        /// Answers what is at each of them.
        reply: Reply<Vec<Option<FileFacts>>>,
    },
    /// `files.write`.
    Write {
        /// The file.
        file: NewFile,
        /// Answers when it is there.
        reply: Reply<()>,
    },
    /// `verdicts.report`.
    Report {
        /// Checked already.
        judgements: Vec<Judgement>,
        /// Answers when they count.
        reply: Reply<()>,
    },
    /// `rollouts.start`.
    Rollout {
        /// Checked already.
        rollout: Rollout,
        /// Answers the rollout's id.
        reply: Reply<String>,
    },
    /// `exec.run`.
    Exec {
        /// In which component.
        component: ComponentName,
        /// Program and arguments.
        argv: Vec<String>,
        /// Longest time.
        timeout: Duration,
        /// Answers what it printed.
        reply: Reply<ExecOutput>,
    },
}

/// `watch.add`: collected while plugins are configured, and sent on when it is called later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRequest {
    /// Who asks.
    pub plugin: PluginName,
    /// Path in the controller.
    pub source: String,
    /// Quiet time after a change.
    pub debounce: Duration,
    /// Longest time that changes may put it off.
    pub max_delay: Duration,
}

/// What plugins may see of the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodView {
    /// The controller container's name.
    pub name: String,
    /// Labels of the controller's container. They never change, so views share them.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The components, in order.
    pub components: Vec<ComponentView>,
}

/// One component of a [`PodView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentView {
    /// Its name.
    pub name: ComponentName,
    /// Its image.
    pub image: String,
    /// The engine's id, once there is one.
    pub container_id: Option<String>,
    /// Where it is in its life.
    pub state: ComponentState,
    /// Its labels. They never change, so views share them.
    pub labels: Arc<BTreeMap<String, String>>,
}

/// Where a component is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentState {
    /// Not created yet.
    Planned,
    /// Being created, filled or started.
    Starting,
    /// Its process runs.
    Running,
    /// Asked to stop.
    Stopping,
    /// Its process ended.
    Exited,
    /// Its container is gone.
    Removed,
}

/// What connects the plugins to their pod.
#[derive(Debug, Clone)]
pub struct PodLink {
    /// Requests of plugins; when full, the asking plugin waits.
    pub requests: mpsc::Sender<Request>,
    /// Whether they are served: not before there are components.
    pub served: Arc<AtomicBool>,
    /// Watches that plugins add; when full, the asking plugin waits.
    pub watches: mpsc::Sender<WatchRequest>,
    /// The pod as it is now.
    pub pod: watch::Receiver<Arc<PodView>>,
}
