//! What the engine tells of itself and of its volumes.

use std::collections::BTreeMap;

/// What the engine is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// For instance `20.10.24`.
    pub version: String,
    /// The API version that was negotiated, for instance (1, 41).
    pub api: (u32, u32),
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Who makes the cgroups.
    pub cgroup_driver: CgroupDriver,
    /// What tells this engine from all others; empty where it does not tell.
    pub id: String,
    /// Name of the node.
    pub node: String,
    /// Where the engine keeps images, containers and volumes; empty where it does not tell.
    pub data_root: String,
}

impl EngineInfo {
    /// Whether its health checks know `start_interval`.
    #[must_use]
    pub fn has_start_interval(&self) -> bool {
        has_start_interval(self.api)
    }
}

/// Whether health checks of this API version know `start_interval`.
pub(crate) fn has_start_interval(api: (u32, u32)) -> bool {
    api >= (1, 44)
}

/// Who makes the cgroups of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver {
    /// The runtime, by itself.
    Cgroupfs,
    /// systemd: a parent must be a slice.
    Systemd,
    /// Nobody (rootless): there are no limits.
    None,
}

/// What [`Engine::volume`](crate::engine::Engine::volume) tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Name of the driver that made it.
    pub driver: String,
    /// With which options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}
