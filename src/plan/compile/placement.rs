//! Where components are put: whose IPC namespace they join, and under which cgroup.

use super::joined;
use crate::config::{Settings, Sharing};
use crate::engine::{CgroupDriver, EngineInfo};
use crate::plan::SelfInfo;
use crate::pod::PodSpec;

/// Whose IPC namespace the components are in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Ipc {
    Own,
    Controller(String),
    Donor,
}

impl Ipc {
    pub(super) fn of(spec: &PodSpec, me: &SelfInfo, settings: &Settings) -> Self {
        let mode = me.container.ipc_mode.as_str();
        // The engine's default is `private`, and Swarm has no way to change it: then a container of our own lends its namespace.
        let can_join = matches!(mode, "shareable" | "host") || mode.starts_with("container:");
        match settings.ipc {
            Sharing::Private => Self::Own,
            Sharing::Shared if can_join => Self::Controller(joined(me)),
            Sharing::Shared if spec.init.len() + spec.components.len() > 1 => Self::Donor,
            Sharing::Shared => Self::Own,
        }
    }
}

/// Where the components' cgroups are made.
pub(super) enum Cgroups {
    /// Below the controller's own: its limits hold for all of them together.
    Nested(String),
    /// Beside it: the engine has no limit for all of them together.
    Beside(Option<String>),
    /// There are none (rootless).
    Absent,
}

impl Cgroups {
    pub(super) fn of(me: &SelfInfo, engine: &EngineInfo) -> Self {
        let id = me.container.id.short();
        let own = me.cgroup.as_deref().filter(|path| path.len() > 1);
        match (engine.cgroup_driver, engine.cgroup_version) {
            (CgroupDriver::None, _) => Self::Absent,
            // Whoever put the controller there owns that parent and its limits.
            _ if !me.container.cgroup_parent.is_empty() => Self::Beside(Some(me.container.cgroup_parent.clone())),
            (CgroupDriver::Systemd, _) => Self::Beside(Some(format!("outrigger-{id}.slice"))),
            // Version 2 allows no processes in a cgroup that has children with limits, so never below the controller's own.
            (CgroupDriver::Cgroupfs, 2..) => Self::Beside(Some(format!("/outrigger/{id}"))),
            (CgroupDriver::Cgroupfs, _) => own.map_or(Self::Beside(None), |path| Self::Nested(path.to_owned())),
        }
    }

    pub(super) fn parent(&self) -> Option<String> {
        match self {
            Self::Nested(path) => Some(path.clone()),
            Self::Beside(path) => path.clone(),
            Self::Absent => None,
        }
    }
}
