//! What is assumed of the controller and the engine where neither is at hand: `plan` and `check` on a developer's machine.

use std::collections::BTreeMap;

use super::{OwnVolumes, Seen, SelfInfo};
use crate::containers::info::{CgroupDriver, EngineInfo};
use crate::containers::{ContainerId, Inspection};

impl SelfInfo {
    /// A controller that does not exist yet, of this container name and with these labels.
    ///
    /// Its id is 64 zeros, it has no limits and no mounts. Files that components name can't be known, and count as readable.
    #[must_use]
    pub fn offline(name: &str, labels: BTreeMap<String, String>) -> Self {
        Self {
            seen: Seen::Nothing,
            container: Inspection {
                id: ContainerId("0".repeat(64)),
                name: name.to_owned(),
                image: "outrigger".to_owned(),
                labels,
                command: Vec::new(),
                env: Vec::new(),
                hostname: String::new(),
                running: false,
                paused: false,
                removing: false,
                started_at: String::new(),
                exit_code: 0,
                oom_killed: false,
                health: None,
                last_check: None,
                check_declares: None,
                check: None,
                ipc_mode: String::new(),
                network_mode: String::new(),
                cgroup_parent: String::new(),
                cgroup_namespace: String::new(),
                tty: false,
                memory: 0,
                memory_swap: 0,
                nano_cpus: 0,
                cpu_quota: 0,
                cpu_period: 0,
                pids_limit: 0,
                oom_score_adj: 0,
                stop_timeout: None,
                stop_signal: None,
                mounts: Vec::new(),
                addresses: Vec::new(),
            },
            cgroup: None,
            cgroup_refused: None,
            environment: BTreeMap::new(),
            env_files: BTreeMap::new(),
            copy_sources: BTreeMap::new(),
            volume_aliases: BTreeMap::new(),
            volumes: BTreeMap::new(),
            own_volumes: OwnVolumes::default(),
            host_files: BTreeMap::new(),
        }
    }
}

/// The engine that is assumed without one: what a current Linux distribution has, cgroup version 2 made by systemd.
#[must_use]
pub fn engine() -> EngineInfo {
    EngineInfo {
        version: "unknown".to_owned(),
        api: (1, 41),
        cgroup_version: 2,
        cgroup_driver: CgroupDriver::Systemd,
        node: String::new(),
        id: String::new(),
        data_root: String::new(),
    }
}
