//! Where plugins are called: in the controller of their pod, or elsewhere, by those who want to know what the pod would be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::plugin::imports::grants::Granter;
use crate::pod::Capability;

/// Grants that are about what surrounds the controller. Elsewhere other things have the same names, and nobody has granted those.
const OF_THE_CONTROLLER: [Capability; 4] = [Capability::Dir, Capability::Http, Capability::Tcp, Capability::Secret];

/// Where a host calls its plugins.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the pod's controller: a plugin has what it is granted.
    Controller,
    /// On the machine of somebody who asks. Of what is granted, a plugin has variables of the environment that the controller will have, as far as it is
    /// known; no directory and no network; and its keys are kept nowhere.
    Elsewhere {
        /// The controller's environment.
        environment: Arc<BTreeMap<String, String>>,
    },
}

impl Place {
    /// The variables that may be granted. One that is no text can't cross.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        match self {
            Self::Controller => std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            Self::Elsewhere { environment } => {
                environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
        }
    }

    /// The directory of the controller's secrets.
    #[must_use]
    pub fn secrets(&self) -> Option<&'static Path> {
        self.is_controller().then(|| Path::new("/run/secrets"))
    }

    /// Whether this is the pod's controller.
    #[must_use]
    pub fn is_controller(&self) -> bool {
        matches!(self, Self::Controller)
    }

    /// What a plugin would have in the controller, and has not here.
    #[must_use]
    pub fn withheld(&self, granter: &Granter) -> Vec<&'static str> {
        if self.is_controller() {
            return Vec::new();
        }
        OF_THE_CONTROLLER
            .into_iter()
            .filter(|capability| !granter.both(*capability).is_empty())
            .map(Capability::name)
            .collect()
    }
}
