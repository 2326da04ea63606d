//! Where components are put: whose IPC namespace they join, and under which cgroup.

use super::container::joined;
use crate::config::{CgroupMode, Settings, Sharing};
use crate::containers::info::{CgroupDriver, EngineInfo};
use crate::plan::placement::{GroupLimits, Means, Mounted, Placement, PodGroup, Tier, engine_key};
use crate::plan::{Seen, SelfInfo};
use crate::pod::{PodSpec, Problem};

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

/// Told of a placement that the engine has no part in.
const NOT_ASKED: &str = "unknown without an engine: an engine that can enforce limits for the pod as a whole does not divide them (see docs/engines.md)";

const MODE_NOT_ASKED: &str = "set with `--cgroup-mode`; only the engine can confirm that this mode works";

const DIVIDED_ASKED: &str = "set with `--cgroup-mode`";

const BUS_REMEDY: &str = "mount `/run/dbus/system_bus_socket` into the controller";
const TREE_REMEDY: &str = "mount `/sys/fs/cgroup` into the controller at `/host/cgroup`, writable";

/// The runtime makes a directory for the slice in hierarchies that systemd does not have, and nobody removes it.
const OLD_SLICE: &str =
    "with cgroup version 1 a slice leaves empty directories behind, so it is used only with `--cgroup-mode=slice`";

/// Where the components' cgroups are made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// Below one whose limits hold for all of them together.
    Nested,
    /// Where no limit of ours holds for all of them together.
    Beside,
    /// There are none (rootless).
    Absent,
}

/// Why a way to place cgroups does not work here, and the remedy.
struct Unfit {
    why: String,
    remedy: String,
}

impl Unfit {
    fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }
}

/// What decides.
struct Site<'a> {
    me: &'a SelfInfo,
    engine: &'a EngineInfo,
    settings: &'a Settings,
    limits: GroupLimits,
}

/// Places the components' cgroups: as `--cgroup-mode` asks, or as well as it can be.
///
/// # Errors
/// What was asked for does not work here.
pub(super) fn place(me: &SelfInfo, engine: &EngineInfo, settings: &Settings) -> Result<Placement, Problem> {
    let site = Site { me, engine, settings, limits: super::resources::of_group(&me.container) };
    let asked = settings.cgroup_mode;
    if me.seen == Seen::Nothing {
        return Ok(assumed(asked));
    }
    let placed = match asked {
        CgroupMode::Auto => return Ok(site.best()),
        CgroupMode::Inherit => site.inherit(),
        CgroupMode::Slice => site.slice(),
        CgroupMode::Tree => site.tree(),
        CgroupMode::Nested => site.nested(),
        CgroupMode::Divided => site.divided(DIVIDED_ASKED),
    };
    placed.map_err(|Unfit { why, remedy }| {
        // It may also have been said in the environment.
        Problem::new("--cgroup-mode", "", format!("`{}` does not work here: {why}", asked.name()))
            .hint(format!("{remedy}, or remove the flag (or the variable `OUTRIGGER_CGROUP_MODE`)"))
    })
}

/// Where neither the engine nor the controller's container is known, whatever is asked for may well work.
fn assumed(asked: CgroupMode) -> Placement {
    let (tier, why) = match asked {
        CgroupMode::Divided => return Placement { why: DIVIDED_ASKED.to_owned(), ..Placement::default() },
        CgroupMode::Auto => (Tier::Divided, NOT_ASKED),
        CgroupMode::Inherit => (Tier::Inherit, MODE_NOT_ASKED),
        CgroupMode::Slice => (Tier::Slice, MODE_NOT_ASKED),
        CgroupMode::Tree => (Tier::Tree, MODE_NOT_ASKED),
        CgroupMode::Nested => (Tier::Nested, MODE_NOT_ASKED),
    };
    Placement { tier, why: why.to_owned(), is_assumed: true, ..Placement::default() }
}

impl Site<'_> {
    /// The first of the ways that works.
    fn best(&self) -> Placement {
        if self.engine.cgroup_driver == CgroupDriver::None {
            return Placement {
                tier: Tier::Absent,
                why: "the engine has no cgroups (for example a rootless engine without systemd)".to_owned(),
                ..Placement::default()
            };
        }
        // Whoever put the controller there owns that parent and its limits.
        if !self.me.container.cgroup_parent.is_empty()
            && let Ok(placed) = self.inherit()
        {
            return placed;
        }
        let own = match (self.engine.cgroup_driver, self.engine.cgroup_version) {
            (CgroupDriver::Systemd, 2..) => self.slice(),
            (CgroupDriver::Systemd, _) => Err(Unfit::new(OLD_SLICE, "")),
            (_, 2..) => self.tree(),
            _ => self.nested(),
        };
        let unfit = match own {
            // A cgroup without limits would be one more to remove, for nothing.
            Ok(placed) if placed.group.is_some() && self.limits.is_empty() => {
                Unfit::new("the controller has no limits to enforce for the pod as a whole", "")
            }
            Ok(placed) => return placed,
            Err(unfit) => unfit,
        };
        Placement { why: unfit.why, ..Placement::default() }
    }

    fn inherit(&self) -> Result<Placement, Unfit> {
        self.has_cgroups()?;
        let parent = self.me.container.cgroup_parent.clone();
        if parent.is_empty() {
            let why = "the controller has no `cgroup_parent`";
            return Err(Unfit::new(
                why,
                "set `cgroup_parent` in Compose or `docker run`; Swarm does not have this key",
            ));
        }
        let why = "the components use the controller's `cgroup_parent`, and the limits of that cgroup apply".to_owned();
        Ok(Placement { tier: Tier::Inherit, parent: Some(parent), why, ..Placement::default() })
    }

    fn slice(&self) -> Result<Placement, Unfit> {
        self.may_leave()?;
        if self.engine.cgroup_driver != CgroupDriver::Systemd {
            let why = "the engine manages its cgroups itself, without systemd";
            return Err(Unfit::new(why, "start the engine with `--exec-opt native.cgroupdriver=systemd`"));
        }
        let Some(socket) = Mounted::of(&self.me.container).bus else {
            let why = "the system's D-Bus socket is not mounted into the controller";
            return Err(Unfit::new(why, BUS_REMEDY));
        };
        let why = format!("systemd can create a slice: the D-Bus socket is mounted at `{socket}`");
        self.group(Tier::Slice, Means::Bus(socket), why)
    }

    fn tree(&self) -> Result<Placement, Unfit> {
        self.may_leave()?;
        if (self.engine.cgroup_driver, self.engine.cgroup_version.min(2)) != (CgroupDriver::Cgroupfs, 2) {
            let why = "`tree` needs cgroup version 2 and an engine that manages its cgroups itself, without systemd";
            let better = if self.engine.cgroup_driver == CgroupDriver::Systemd { "slice" } else { "nested" };
            return Err(Unfit::new(why, format!("use `{better}`")));
        }
        let Some(root) = Mounted::of(&self.me.container).tree else {
            let why = "the controller has no writable mount of the host's cgroup tree";
            return Err(Unfit::new(why, TREE_REMEDY));
        };
        let why = format!("the host's cgroup tree is mounted at `{root}`");
        self.group(Tier::Tree, Means::Tree(root), why)
    }

    /// Version 2 allows no processes in a cgroup that has children with limits, and a scope of systemd has none: there never below the controller's own.
    fn nested(&self) -> Result<Placement, Unfit> {
        self.may_leave()?;
        if (self.engine.cgroup_driver, self.engine.cgroup_version) != (CgroupDriver::Cgroupfs, 1) {
            let why = "`nested` needs cgroup version 1 and an engine that manages its cgroups itself, without systemd";
            let better = if self.engine.cgroup_driver == CgroupDriver::Systemd { "slice" } else { "tree" };
            return Err(Unfit::new(why, format!("use `{better}`")));
        }
        let path = self.me.cgroup.as_deref().filter(|path| path.len() > 1);
        // From outside the path is not seen. With the host's namespace, which is the default of this version, the controller sees it.
        let may_be_seen = self.me.seen == Seen::Outside && self.me.container.cgroup_namespace != "private";
        if path.is_none() && !may_be_seen {
            let why = "the controller's own cgroup is unknown";
            return Err(Unfit::new(why, "give the controller the host's cgroup namespace (`--cgroupns=host`)"));
        }
        // In the controller's PID namespace they die with it. In their own they outlive a killed controller, and hold on to its cgroup.
        if self.settings.pids == Sharing::Private && self.engine.api > LAST_TOLERANT_API {
            let why = "with `--pids=false` components may outlive the controller, and this engine then cannot start the controller again";
            return Err(Unfit::new(why, "remove `--pids=false`"));
        }
        let why = "cgroup version 1: the components' cgroups are inside the controller's".to_owned();
        Ok(Placement { tier: Tier::Nested, parent: path.map(str::to_owned), why, ..Placement::default() })
    }

    fn divided(&self, why: &str) -> Result<Placement, Unfit> {
        self.may_leave()?;
        Ok(Placement { why: why.to_owned(), ..Placement::default() })
    }

    fn group(&self, tier: Tier, means: Means, why: String) -> Result<Placement, Unfit> {
        if let Some(refused) = &self.me.cgroup_refused {
            return Err(Unfit::new(refused, "`docs/engines.md` lists the requirements"));
        }
        let own = &self.me.container;
        let group = PodGroup {
            means,
            owner: own.id.short().to_owned(),
            pod: own.name.clone(),
            engine: engine_key(self.engine).to_owned(),
            limits: self.limits,
        };
        Ok(Placement { tier, parent: Some(group.parent()), why, group: Some(group), is_assumed: false })
    }

    fn has_cgroups(&self) -> Result<(), Unfit> {
        match self.engine.cgroup_driver {
            CgroupDriver::None => Err(Unfit::new("the engine has no cgroups", "use an engine with cgroups")),
            CgroupDriver::Systemd | CgroupDriver::Cgroupfs => Ok(()),
        }
    }

    /// Whether components may be elsewhere than below the controller's `cgroup_parent`: not where somebody chose one, since its limits would not hold for them.
    fn may_leave(&self) -> Result<(), Unfit> {
        self.has_cgroups()?;
        match self.me.container.cgroup_parent.as_str() {
            "" => Ok(()),
            parent => Err(Unfit::new(
                format!("the controller's `cgroup_parent` is `{parent}`, and components must stay in it"),
                "use `inherit`, or remove the controller's `cgroup_parent`",
            )),
        }
    }
}

impl From<Tier> for Cgroups {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Slice | Tier::Tree | Tier::Nested => Self::Nested,
            Tier::Inherit | Tier::Divided => Self::Beside,
            Tier::Absent => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests;
