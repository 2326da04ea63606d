//! What a pod will do, worked out before anything is touched. Pure.
//!
//! [`compile::compile`] turns a [`PodSpec`](crate::pod::PodSpec) and what is known of the controller and the engine into a [`Plan`];
//! [`overlay::Overlays`] merges what plugins answered from `pre-start`; [`render`] prints it.

pub mod budget;
pub mod compile;
pub mod document;
pub mod life;
pub mod offline;
pub mod overlay;
pub mod placement;
pub mod price;
pub mod render;
pub mod stops;
pub(crate) mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::budget::Budget;
use self::life::{Ends, Life};
use crate::containers::info::VolumeInfo;
use crate::containers::{ContainerSpec, Inspection};
use crate::pod::life::{LifecycleStep, Probe, Probes, RestartPolicy, Role};
use crate::pod::{ComponentName, CopySpec, Dependency};

/// Ends the reason for a file that the controller will not have because this host does not have it.
pub const NOT_HERE: &str = "does not exist on this host";

/// Why a controller cannot read a file of its own that is not there.
pub const MISSING: &str = "does not exist";

/// Labels on everything that a controller creates, so that its successor can clean up.
pub mod ownership {
    /// Full id of the controller's container.
    pub const POD: &str = "outrigger.pod";
    /// When that container was started, as the engine writes it: tells one run of it from the next.
    pub const GENERATION: &str = "outrigger.generation";
    /// The component's name.
    pub const COMPONENT: &str = "outrigger.component";
    /// What the pod is one of: the Swarm or Compose service, or else the controller's container name.
    pub const SERVICE: &str = "outrigger.service";
    /// How many of a service may remain where they failed, and for how many seconds: `1/3600`.
    pub const KEEP: &str = "outrigger.keep";
    /// `component`, `init` or `ipc`.
    pub const ROLE: &str = "outrigger.role";
}

/// From where the controller and its engine were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Seen {
    /// From within the controller: everything is known.
    #[default]
    Within,
    /// Through the engine: what only the controller can see is taken as it usually is.
    Outside,
    /// Not at all: the engine is assumed, and so is what depends on it.
    Nothing,
}

/// What is known of the controller's own container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfInfo {
    /// From where it was looked at.
    pub seen: Seen,
    /// As the engine sees it.
    pub container: Inspection,
    /// Its cgroup, where it is known and the engine can nest cgroups below it (version 1, cgroupfs).
    pub cgroup: Option<String>,
    /// Why a cgroup of the pod's own can't be had, where that was tried.
    pub cgroup_refused: Option<String>,
    /// Its environment, for components that pass a variable through.
    pub environment: BTreeMap<String, String>,
    /// Content of every `env_file` that a component names, or why it can't be read.
    pub env_files: BTreeMap<String, Result<String, String>>,
    /// Every `copy` source that a component names: whether it can be read, else why not.
    pub copy_sources: BTreeMap<String, Result<(), String>>,
    /// Volume names as components may write them, and the engine's name of each.
    pub volume_aliases: BTreeMap<String, String>,
    /// Those volumes that components say how to make, as they exist already; by the engine's name.
    pub volumes: BTreeMap<String, VolumeInfo>,
    /// What is known of the volumes that are mounted into the controller.
    pub own_volumes: OwnVolumes,
    /// Sources of mounts, as far as this host was looked at: whether each is a file.
    pub host_files: BTreeMap<String, bool>,
}

/// What is known of the volumes that are mounted into the controller. Of one that is not known it is assumed that it may hold anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnVolumes {
    /// Names of volumes that hold nothing but what containers wrote: of the engine's own driver, without options.
    pub plain: BTreeSet<String>,
    /// Those of [`compile::private_files`] that lie in such a volume itself, and not in another mount below it.
    pub files: BTreeSet<String>,
}

impl OwnVolumes {
    /// Notes a volume.
    pub fn add(&mut self, name: &str, driver: &str, options: &BTreeMap<String, String>) {
        if matches!(driver, "" | "local") && options.is_empty() {
            self.plain.insert(name.to_owned());
        }
    }
}

/// What a pod will do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The container that lends its IPC namespace, where the controller's can't be shared.
    pub ipc_donor: Option<ContainerSpec>,
    /// One after the other; each must exit with 0 before the next one starts.
    pub init: Vec<Planned>,
    /// By wave, then as written.
    pub components: Vec<Planned>,
    /// What of the pod's limits each component gets.
    pub budget: Budget,
    /// From the first signal to the moment when what still runs is killed.
    pub stop_budget: Duration,
    /// Between the first signal and the first component's stop; within `stop_budget`.
    pub drain: Duration,
    /// How long its start may take, and its repairs.
    pub life: Life,
    /// What the user should know: limits that were lowered, keys without effect here.
    pub warnings: Vec<String>,
    /// Sources of mounts, as far as this host was looked at: whether each is a file.
    pub host_files: BTreeMap<String, bool>,
}

/// One container of a [`Plan`].
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The component's name.
    pub name: ComponentName,
    /// 0 for those that depend on nothing; one more than the highest of its dependencies for others. Always 0 for init components.
    pub wave: usize,
    /// What must have happened before it starts.
    pub depends_on: Vec<(ComponentName, Dependency)>,
    /// The part that it plays in the pod.
    pub role: Role,
    /// Whether its end, where no restart policy says otherwise, ends the pod.
    pub essential: bool,
    /// Whether others await its success, or it is the pod's work: an exit with 0 then does not end the pod.
    pub job: bool,
    /// What its own start may take by what is written of it.
    pub start: Duration,
    /// The part of `start` that its health check declares, as far as that is written here and not in the image.
    pub start_of_check: Duration,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// What the controller probes by itself.
    pub probes: Probes,
    /// A look at its health check by the controller itself, where the engine can't look so early.
    pub early_check: Option<EarlyCheck>,
    /// Done after each start of its process.
    pub post_start: Vec<LifecycleStep>,
    /// Done before it is asked to stop, within `grace`.
    pub pre_stop: Vec<LifecycleStep>,
    /// What the engine is asked to create; `ipc_mode` is filled in by the launch where it joins the donor.
    pub container: ContainerSpec,
    /// Whether it joins the donor's IPC namespace.
    pub joins_donor: bool,
    /// Files to copy before the first start.
    pub copy: Vec<CopySpec>,
    /// How long it may take to stop.
    pub grace: Duration,
    /// What asks it to stop; none: the image's, or SIGTERM.
    pub stop_signal: Option<i32>,
}

/// `start_interval` of a health check, for an engine that does not know it: the check's command, run by the controller until it succeeds once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyCheck {
    /// The command, and how often; it never fails.
    pub probe: Probe,
    /// The check's `start_period`: from then on the engine looks alone.
    pub within: Duration,
}

impl Plan {
    /// What is planned for a component, or an init component, of this name.
    #[must_use]
    pub fn find(&self, name: &ComponentName) -> Option<&Planned> {
        self.init.iter().chain(&self.components).find(|planned| planned.name == *name)
    }

    /// Whose end is the pod's.
    #[must_use]
    pub fn ends(&self) -> Ends {
        let names = |of: &dyn Fn(&Planned) -> bool| {
            self.components.iter().filter(|it| of(it)).map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        Ends {
            jobs: names(&|planned| planned.role == Role::Job),
            components: names(&|planned| planned.essential && !planned.job),
        }
    }
}
