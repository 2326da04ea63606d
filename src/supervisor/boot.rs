//! From nothing to a running pod: who we are, what we were asked to do, what is left of those before us; then the driver takes over.
//!
//! Until the driver runs nothing has been created, so that a signal can end the boot at any moment.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use crate::admin::{self, AdminError};
use crate::config::Settings;
use crate::engine::{Engine, EngineError};
use crate::hooks::{Hook, HookFailure, Hooks};
use crate::identity::{self, IdentityError};
use crate::janitor;
use crate::labels;
use crate::plan::overlay::Overlays;
use crate::plan::{Plan, compile, document};
use crate::plugin::{Host, HostDirs, PluginError, PluginSet, PodLink, PodView};
use crate::pod::{PodSpec, Problems, lower};
use crate::shutdown::Tasks;
use crate::supervisor::driver::{Driver, Parts, PodEnd};
use crate::supervisor::output::Outputs;
use crate::supervisor::signals;
use crate::supervisor::state::{Outcome, stops};

/// Requests of plugins that have not been served yet; when full, the asking plugin waits.
const REQUESTS_IN_FLIGHT: usize = 64;

/// Watches that plugins have asked for and that are not in force yet; when full, the asking plugin waits.
const WATCHES_IN_FLIGHT: usize = 256;

/// Why a pod did not come to life. Nothing has been created.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The kernel refused a signal handler.
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
    /// The engine can't be reached, or is too old.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The controller does not know which container it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The labels are wrong.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// The plugin host can't work here.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A plugin failed before anything was started.
    #[error(transparent)]
    Hook(#[from] HookFailure),
    /// The admin socket can't be opened.
    #[error(transparent)]
    Admin(#[from] AdminError),
}
