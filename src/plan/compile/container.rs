//! What the engine is asked to create for a component, and for the IPC donor.

use super::placement::Ipc;
use super::{Found, Pod, Role, environment, mounts};
use crate::config::Sharing;
use crate::containers::ContainerSpec;
use crate::plan::{Seen, SelfInfo, ownership};
use crate::pod::{Component, HealthCheck, HostSettings, MountKind, PodSpec};

/// Between the controller's container name and a component's: podlike's, so that what looks for such names goes on working.
pub const NAME_INFIX: &str = ".podlike.";

/// What the IPC donor runs: it waits for its end. The image holds nothing but this one program.
const PAUSE: [&str; 2] = ["/outrigger", "pause"];

/// Prefix of labels that only the controller sets.
const RESERVED_LABELS: &str = "outrigger.";

/// The kernel's highest `oom_score_adj`.
const HIGHEST_OOM_SCORE: i64 = 1000;

impl Pod<'_> {
    pub(super) fn container(&self, component: &Component, role: Role, found: &mut Found) -> ContainerSpec {
        let mut container = self.member(component.name.as_str(), &component.image, role.label());
        container.entrypoint.clone_from(&component.entrypoint);
        container.command.clone_from(&component.command);
        container.env = environment::environment(component, role, self.me, found);
        container.working_dir.clone_from(&component.working_dir);
        container.user.clone_from(&component.user);
        for (key, value) in &component.labels {
            if key.starts_with(RESERVED_LABELS) {
                found.problems.push(role.problem(
                    &component.name,
                    &format!("labels.{key}"),
                    format!("labels that begin with `{RESERVED_LABELS}` are reserved for the controller"),
                ));
            } else {
                container.labels.insert(key.clone(), value.clone());
            }
        }
        container.labels.insert(ownership::COMPONENT.to_owned(), component.name.to_string());
        container.tty = component.tty;
        container.stdin_open = component.stdin_open;
        container.stop_signal = component.stop_signal;
        container.healthcheck.clone_from(&component.healthcheck);
        if let Ipc::Controller(joined) = &self.ipc {
            container.ipc_mode = Some(joined.clone());
        }
        container.mounts = mounts::of(component, &self.shared_mounts, &self.me.volume_aliases);
        for (at, mount) in container.mounts.iter().enumerate() {
            // Of a service that has the volume, the engine's name is longer.
            let name = mount.source.as_deref().filter(|name| mount.kind == MountKind::Volume && name.len() < 2);
            let mounted = |name: &str| self.me.container.mounts.iter().any(|known| known.name == name);
            if let Some(name) = name.filter(|name| !mounted(name)) {
                found.problems.push(
                    role.problem(
                        &component.name,
                        &format!("volumes[{at}]"),
                        format!("the volume name `{name}` is too short for the engine"),
                    )
                    .hint("use a name with at least two characters"),
                );
            }
        }
        for (at, what, hint) in mounts::differing(&container.mounts, &self.me.volumes) {
            found.problems.push(role.problem(&component.name, &format!("volumes[{at}]"), what).hint(hint));
        }
        container.tmpfs = component.tmpfs.iter().map(|(path, options)| (path.clone(), options.clone())).collect();
        container.host = self.host(component, found);
        container.logging.clone_from(&component.logging);
        container
    }

    fn service(&self) -> String {
        let own = &self.me.container;
        let label = |name: &str| own.labels.get(name).cloned();
        // Projects of Compose share names of services.
        let composed =
            || Some(format!("{}_{}", label("com.docker.compose.project")?, label("com.docker.compose.service")?));
        label("com.docker.swarm.service.name").or_else(composed).unwrap_or_else(|| own.name.clone())
    }

    /// A container in the controller's network and, where they are shared, its PID namespace.
    fn member(&self, name: &str, image: &str, role: &str) -> ContainerSpec {
        let mut container = ContainerSpec::new(format!("{}{NAME_INFIX}{name}", self.me.container.name), image);
        container.network_mode = Some(joined(self.me));
        container.pid_mode = (self.settings.pids == Sharing::Shared).then(|| joined(self.me));
        container.cgroup_parent.clone_from(&self.placement.parent);
        for (key, value) in [
            (ownership::POD, self.me.container.id.0.as_str()),
            (ownership::GENERATION, self.me.container.started_at.as_str()),
            (ownership::SERVICE, &self.service()),
            (ownership::KEEP, &self.settings.keep.to_string()),
            (ownership::ROLE, role),
        ] {
            container.labels.insert(key.to_owned(), value.to_owned());
        }
        container
    }

    /// The container that lends its IPC namespace.
    pub(super) fn donor(&self, spec: &PodSpec) -> ContainerSpec {
        let taken =
            |name: &str| spec.init.iter().any(|init| init.name.as_str() == name) || spec.components.contains_key(name);
        let mut name = "ipc".to_owned();
        while taken(&name) {
            name.push_str("-donor");
        }
        let mut donor = self.member(&name, &self.me.container.image, "ipc");
        donor.entrypoint = Some(PAUSE.map(str::to_owned).to_vec());
        donor.ipc_mode = Some("shareable".to_owned());
        // It has the controller's image, and with it a health check that only a controller can pass.
        donor.healthcheck = Some(HealthCheck::Disabled);
        donor.host = HostSettings {
            read_only: true,
            cap_drop: vec!["ALL".to_owned()],
            oom_score_adj: Some(self.me.container.oom_score_adj),
            ..HostSettings::default()
        };
        donor
    }

    fn host(&self, component: &Component, found: &mut Found) -> HostSettings {
        let mut host = component.host.clone();
        // For the engine 0 is no limit.
        host.memory = host.memory.filter(|memory| *memory > 0);
        host.memory_swap = host.memory_swap.filter(|swap| *swap != 0);
        let own = self.me.container.oom_score_adj;
        match host.oom_score_adj {
            None => host.oom_score_adj = Some((own + 1).min(HIGHEST_OOM_SCORE)),
            Some(score) if score <= own => found.warn(
                &component.name,
                format!(
                    "`oom_score_adj` {score} is not above the controller's {own}, so the kernel may kill the controller first"
                ),
            ),
            Some(_) => {}
        }
        if self.me.seen == Seen::Nothing {
            let written = [
                ("mem_swappiness", host.memory_swappiness.is_some()),
                ("oom_kill_disable", host.oom_kill_disable),
                ("cpu_rt_period", host.cpu_rt_period.is_some()),
                ("cpu_rt_runtime", host.cpu_rt_runtime.is_some()),
            ];
            for (key, _) in written.into_iter().filter(|(_, was_set)| *was_set) {
                found.warn(&component.name, format!("`{key}` has no effect if the engine uses cgroup version 2"));
            }
        } else if self.engine.cgroup_version >= 2 {
            let mut without_effect = |key: &str, was_set: bool| {
                if was_set {
                    found.warn(&component.name, format!("`{key}` has no effect with cgroup version 2 and is ignored"));
                }
            };
            without_effect("mem_swappiness", host.memory_swappiness.take().is_some());
            without_effect("oom_kill_disable", std::mem::take(&mut host.oom_kill_disable));
            without_effect("cpu_rt_period", host.cpu_rt_period.take().is_some());
            without_effect("cpu_rt_runtime", host.cpu_rt_runtime.take().is_some());
        }
        host
    }
}

/// How the engine is told to join a namespace of the controller.
pub(super) fn joined(me: &SelfInfo) -> String {
    format!("container:{}", me.container.id.0)
}
