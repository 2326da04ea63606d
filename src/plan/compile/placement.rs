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

/// Docker 26.1 and what came before start a controller again although cgroups with processes are left below its own. From the API after
/// theirs on they may refuse it (28.5 does): `unable to remove container's cgroup`.
const LAST_TOLERANT_API: (u32, u32) = (1, 45);

/// Where the components' cgroups are made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// Below the controller's own: its limits hold for all of them together.
    Nested(String),
    /// Beside it, where the engine puts them or below the parent that the controller has: no limit of ours holds for all of them together.
    Beside(Option<String>),
    /// There are none (rootless).
    Absent,
}

impl Cgroups {
    pub(super) fn of(me: &SelfInfo, engine: &EngineInfo, settings: &Settings) -> Self {
        let own = me.cgroup.as_deref().filter(|path| path.len() > 1);
        // In the controller's PID namespace they die with it. In their own they outlive a killed controller, and hold on to its cgroup.
        let may_outlive = settings.pids == Sharing::Private && engine.api > LAST_TOLERANT_API;
        match (engine.cgroup_driver, engine.cgroup_version) {
            (CgroupDriver::None, _) => Self::Absent,
            // Whoever put the controller there owns that parent and its limits.
            _ if !me.container.cgroup_parent.is_empty() => Self::Beside(Some(me.container.cgroup_parent.clone())),
            // Version 2 allows no processes in a cgroup that has children with limits, and a scope of systemd has none: never below the
            // controller's own. A parent for each pod would limit nothing, and nobody removes it: one more empty cgroup for each task.
            (CgroupDriver::Systemd, _) | (CgroupDriver::Cgroupfs, 2..) => Self::Beside(None),
            (CgroupDriver::Cgroupfs, _) => match own {
                Some(path) if !may_outlive => Self::Nested(path.to_owned()),
                _ => Self::Beside(None),
            },
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
