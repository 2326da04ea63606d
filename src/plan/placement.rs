//! Where the components' cgroups are made, and what of the pod's limits that lets hold for all of them together.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::config::policy::normal;
use crate::containers::Inspection;
use crate::containers::info::{CgroupDriver, EngineInfo};

/// Where, and why there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Which of the ways.
    pub tier: Tier,
    /// What the engine is told as the components' cgroup parent; none: nothing.
    pub parent: Option<String>,
    /// Why it is this one, in words.
    pub why: String,
    /// What has to be made before the first container; none: nothing.
    pub group: Option<PodGroup>,
    /// Whether the engine was not asked, so that it may well be another way.
    pub is_assumed: bool,
}

impl fmt::Display for Placement {
    /// As `plan` and `status` show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cgroups: {}", self.tier.name())?;
        if self.is_assumed {
            write!(f, " (assumed)")?;
        }
        if let Some(parent) = &self.parent {
            write!(f, ", in `{parent}`")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// The ways to place cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tier {
    /// Below the controller's `cgroup_parent`.
    Inherit,
    /// In a slice of the pod's own, made by systemd.
    Slice,
    /// In a cgroup of the pod's own, made in the host's tree of version 2.
    Tree,
    /// In the controller's own, of version 1.
    Nested,
    /// Where the engine puts them; the limits are divided.
    #[default]
    Divided,
    /// The engine has no cgroups.
    Absent,
}

impl Tier {
    /// Its word in JSON, and in `--cgroup-mode` where it can be asked for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inherit => "inherit",
            Self::Slice => "slice",
            Self::Tree => "tree",
            Self::Nested => "nested",
            Self::Divided => "divided",
            Self::Absent => "none",
        }
    }
}

/// Prefix of the slices of pods. The dash makes systemd put them into `outrigger.slice`.
pub const SLICE_PREFIX: &str = "outrigger-";
/// What the names of slices end in.
pub const SLICE_SUFFIX: &str = ".slice";
/// The directory of the cgroups of all pods in the host's tree.
pub const TREE_DIRECTORY: &str = "outrigger";

/// A cgroup of a pod's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodGroup {
    /// How it can be made.
    pub means: Means,
    /// First 12 digits of the id of the controller's container, from which its name is made.
    pub owner: String,
    /// Name of the pod, for people who look at the cgroup.
    pub pod: String,
    /// Tells its engine from others on the same host, see [`engine_key`].
    pub engine: String,
    /// What holds for all that is within.
    pub limits: GroupLimits,
}

impl PodGroup {
    /// Its name as the engine takes it for a parent.
    #[must_use]
    pub fn parent(&self) -> String {
        match self.means {
            Means::Bus(_) => format!("{SLICE_PREFIX}{}{SLICE_SUFFIX}", self.owner),
            Means::Tree(_) => format!("/{}/{}", tree_directory(&self.engine), self.owner),
        }
    }
}

/// What tells an engine from others on the same host, which know nothing of each other's containers: its id, else where it keeps everything.
#[must_use]
pub fn engine_key(engine: &EngineInfo) -> &str {
    if engine.id.is_empty() { &engine.data_root } else { &engine.id }
}

/// The directory of the cgroups of one engine's pods in the host's tree; `engine` is its [`engine_key`].
#[must_use]
pub fn tree_directory(engine: &str) -> String {
    let digest = Sha256::digest(engine.as_bytes());
    let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{TREE_DIRECTORY}/{digits}")
}

/// What the operator has mounted into the controller, so that it can make cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// The socket of the system's D-Bus, over which systemd is asked: a path in the controller.
    Bus(String),
    /// The host's cgroup tree of version 2, writable: a directory in the controller.
    Tree(String),
}

/// The system's D-Bus on a host: its directories, and the socket in it. `/var/run` is a link in most.
const BUS_DIRECTORIES: [&str; 2] = ["/run/dbus", "/var/run/dbus"];
const BUS_SOCKET: &str = "/system_bus_socket";

/// Where a host has its cgroup tree.
const TREE: &str = "/sys/fs/cgroup";

/// Of the host: with any of these a process can move others into its cgroups, or have systemd start anything.
#[must_use]
pub fn powers() -> Vec<String> {
    let buses = BUS_DIRECTORIES.iter().map(|directory| format!("{directory}{BUS_SOCKET}"));
    buses.chain([TREE.to_owned()]).collect()
}

/// What of the mounts of a controller lets it make cgroups, as paths within it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mounted {
    /// The socket of the system's D-Bus.
    pub bus: Option<String>,
    /// The host's cgroup tree, writable.
    pub tree: Option<String>,
}

impl Mounted {
    /// By the engine's word on a controller's container.
    #[must_use]
    pub fn of(own: &Inspection) -> Self {
        let mut mounted = Self::default();
        for point in own.mounts.iter().filter(|point| point.kind == "bind") {
            let (source, target) = (normal(&point.source), normal(&point.target));
            // More than that, such as all of `/run`, was mounted for something else.
            let within = BUS_DIRECTORIES.iter().find_map(|directory| source.strip_prefix(directory));
            match within {
                Some(BUS_SOCKET) => _ = mounted.bus.get_or_insert(target.clone()),
                Some("") => _ = mounted.bus.get_or_insert_with(|| normal(&format!("{target}{BUS_SOCKET}"))),
                _ => {}
            }
            if source == TREE && point.writable {
                mounted.tree.get_or_insert(target);
            }
        }
        mounted
    }

    /// What of it makes cgroups on this engine.
    #[must_use]
    pub fn means(self, engine: &EngineInfo) -> Option<Means> {
        match (engine.cgroup_driver, engine.cgroup_version) {
            (CgroupDriver::Systemd, _) => self.bus.map(Means::Bus),
            (CgroupDriver::Cgroupfs, 2..) => self.tree.map(Means::Tree),
            (CgroupDriver::Cgroupfs | CgroupDriver::None, _) => None,
        }
    }
}

/// The limits of all components together; none: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes of swap alone; 0: no swap.
    pub swap: Option<u64>,
    /// Billionths of a CPU.
    pub cpus: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl GroupLimits {
    /// Whether there is none. A limit on swap alone is none: it comes with one on memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_none() && self.cpus.is_none() && self.pids.is_none()
    }
}
