//! The setup of an instance.

use std::cell::RefCell;

use serde::Deserialize;
use serde_json::Value;

use crate::Problem;
use crate::Problems;

/// All that the host tells an instance beside its configuration. Later hosts add more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Setup {
    /// The plugin's name in the pod.
    #[serde(default)]
    pub name: String,
    /// The component to which the plugin is confined; none: it belongs to the pod.
    #[serde(default)]
    pub component: Option<String>,
    /// The hooks that are called in this instance: `quick` (`log-line`, `signal`, `component-event`), `probe` (`health`), `patient` (all others) or `all`.
    #[serde(default)]
    pub class: String,
    /// Whether no hook will be called for a running pod: `check`, `plan` and `plugin inspect` only ask for the needs and for overlays.
    #[serde(default)]
    pub trial: bool,
    /// The host.
    #[serde(default)]
    pub host: Host,
    /// What the pod has granted. It is empty while the host asks for the needs.
    #[serde(default)]
    pub granted: Vec<Granted>,
}

/// The host of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Host {
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// A capability that the pod has granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Granted {
    /// The word of the capability.
    pub capability: String,
    /// Its scope.
    pub scope: String,
}

thread_local! {
    static SETUP: RefCell<Setup> = RefCell::default();
}

/// Keeps the setup; answers the configuration.
pub(crate) fn enter(setup: &str) -> Result<Value, Problems> {
    #[derive(Deserialize)]
    struct Text {
        #[serde(default)]
        config: Value,
        #[serde(flatten)]
        setup: Setup,
    }
    let text: Text = serde_json::from_str(setup).map_err(|error| Problem::new("", error.to_string()))?;
    SETUP.set(text.setup);
    Ok(text.config)
}

/// See [`crate::host::setup`].
pub(crate) fn current() -> Setup {
    SETUP.with_borrow(Clone::clone)
}

/// Sets it, in tests.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn set(setup: Setup) {
    SETUP.set(setup);
}
