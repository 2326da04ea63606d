//! What a component may not have unless the controller's operator allows it: whatever would lead to the engine's socket, which is root on the node.
//!
//! Labels are a stack author's words, and so is what plugins lay over the plan: both pass here, after everything else is known. The rules of the operator come
//! first, [`Policy`]; where they say nothing, the lists here and in [`paths`] decide. `docs/security.md` explains them.

mod devices;
pub mod paths;
mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::paths::Paths;
use super::mounts::resolved;
use super::{Found, Role};
use crate::config::policy::{Access, Policy, Subject, Verdict, capability, normal};
use crate::config::{Settings, Sharing};
use crate::containers::Inspection;
use crate::containers::info::EngineInfo;
use crate::plan::{OwnVolumes, SelfInfo};
use crate::pod::life::LifecycleAction;
use crate::pod::{
    Capability, Component, Grant, HostSettings, Mount, MountKind, PluginSpec, PodSpec, Problem, Problems,
};

/// Capabilities with which a process leaves its container, or takes over the kernel.
const ESCAPES: [(&str, &str); 12] = [
    ("ALL", "all capabilities, including those that allow an escape from the container"),
    ("SYS_ADMIN", "the right to mount and many other rights, which allow an escape from the container"),
    ("SYS_MODULE", "the right to load kernel modules"),
    ("SYS_RAWIO", "access to the memory and the I/O ports of the machine"),
    ("SYS_BOOT", "the right to load another kernel"),
    ("DAC_READ_SEARCH", "the right to open any file of the host by its handle"),
    ("BPF", "the right to load programs into the kernel"),
    ("PERFMON", "the right to read the kernel's memory"),
    ("MAC_ADMIN", "the right to change the rules of the kernel's security modules"),
    ("MAC_OVERRIDE", "the right to bypass the rules of the kernel's security modules"),
    ("CHECKPOINT_RESTORE", "the right to open files of other processes"),
    (
        "SYS_PTRACE",
        "the right to inspect the controller, which is in the same PID namespace (`--pids=false` gives each component its own)",
    ),
];

/// Why a component does not get something, and what to do about it.
struct Refusal {
    what: String,
    hint: String,
}

/// Checks every component; all that is refused is reported.
pub(super) fn check(spec: &PodSpec, me: &SelfInfo, engine: &EngineInfo, settings: &Settings, found: &mut Found) {
    if settings.engine.as_deref().is_some_and(|address| !address.starts_with("unix:") && !address.starts_with('/')) {
        found.warnings.push(
            "the controller reaches the engine over the network, and components share this network, so components can reach the engine too; use a unix socket"
                .to_owned(),
        );
    }
    let guard = Guard::new(me, engine, settings);
    let init = spec.init.iter().map(|component| (Role::Init, component));
    for (role, component) in init.chain(spec.components.values().map(|component| (Role::Component, component))) {
        guard.component(role, component, found);
    }
    for plugin in &spec.plugins {
        found.problems.extend(guard.files.refused(plugin, plugin.grants.as_deref().unwrap_or_default()));
    }
}

/// Files of the controller, and what keeps it from reading them for the pod: the operator's policy, and what is the controller's alone.
#[derive(Debug, Clone)]
pub struct OwnFiles {
    policy: Policy,
    paths: Arc<Paths>,
}

impl OwnFiles {
    /// Of this controller.
    #[must_use]
    pub fn new(
        own: &Inspection,
        environment: &BTreeMap<String, String>,
        volumes: &OwnVolumes,
        engine: &EngineInfo,
        settings: &Settings,
    ) -> Self {
        let paths = Arc::new(Paths::new(own, environment, volumes, engine, settings));
        Self { policy: settings.policy.clone(), paths }
    }

    /// Why the controller does not read this file for the pod: what is wrong, and the remedy. None where it does.
    #[must_use]
    pub fn withheld(&self, path: &str) -> Option<(String, String)> {
        self.file(path).map(|Refusal { what, hint }| (what, hint))
    }

    /// What of a plugin's grants leads to files that the pod does not get. A directory that is watched may hold some: they are left out of it.
    #[must_use]
    pub fn refused(&self, plugin: &PluginSpec, grants: &[Grant]) -> Problems {
        let of = |grant: &Grant| {
            let refusal = match grant.capability {
                Capability::Dir => self.file(grant.scope.strip_suffix(":rw").unwrap_or(&grant.scope)),
                Capability::Watch if grant.scope.starts_with('/') => self.watched(&grant.scope),
                _ => None,
            };
            let Refusal { what, hint } = refusal?;
            let field = match &plugin.grants {
                Some(_) => format!("{}.grants.{}", plugin.name, grant.capability),
                // What a stock plugin wants follows from its configuration.
                None => plugin.name.to_string(),
            };
            Some(Problem::new(&plugin.origin, field, what).hint(hint))
        };
        Problems(grants.iter().filter_map(of).collect())
    }

    fn file(&self, path: &str) -> Option<Refusal> {
        let path = normal(path);
        match self.paths.of_controller(&path) {
            Some(private) => self.unless_named(&path, private),
            None => self.unless_denied(&path),
        }
    }

    fn watched(&self, path: &str) -> Option<Refusal> {
        let path = normal(path);
        match self.paths.of_controller(&path).filter(|private| paths::is_within(&path, private)) {
            Some(private) => self.unless_named(&path, private),
            None => self.unless_denied(&path),
        }
    }

    fn unless_named(&self, path: &str, private: &str) -> Option<Refusal> {
        let why = format!("`{path}` leads to `{private}` of the controller, which components must not access");
        unless_allowed(&self.policy, Subject::File, path, &why)
    }

    fn unless_denied(&self, path: &str) -> Option<Refusal> {
        unless_denied(&self.policy, Subject::File, path)
    }
}

/// For what is refused where nobody allows it.
fn unless_allowed(policy: &Policy, subject: Subject, what: &str, why: &str) -> Option<Refusal> {
    match policy.verdict(subject, what, Access::Write) {
        Verdict::Allowed => None,
        Verdict::Denied(rule) => Some(denied(&rule)),
        Verdict::Unsaid => Some(Refusal { what: why.to_owned(), hint: remedy(policy, subject, what) }),
    }
}

/// For what is allowed where nobody denies it.
fn unless_denied(policy: &Policy, subject: Subject, what: &str) -> Option<Refusal> {
    match policy.verdict(subject, what, Access::Write) {
        Verdict::Denied(rule) => Some(denied(&rule)),
        Verdict::Allowed | Verdict::Unsaid => None,
    }
}

fn remedy(policy: &Policy, subject: Subject, what: &str) -> String {
    let name = subject.name();
    policy.remedy(&if what.is_empty() { name.to_owned() } else { format!("{name}={what}") })
}

struct Guard<'a> {
    policy: &'a Policy,
    files: OwnFiles,
    pids: Sharing,
    /// The controller's volumes by the names that the pod has for them.
    aliases: &'a BTreeMap<String, String>,
}

impl<'a> Guard<'a> {
    fn new(me: &'a SelfInfo, engine: &EngineInfo, settings: &'a Settings) -> Self {
        let files = OwnFiles::new(&me.container, &me.environment, &me.own_volumes, engine, settings);
        Self { policy: &settings.policy, files, pids: settings.pids, aliases: &me.volume_aliases }
    }

    fn component(&self, role: Role, component: &Component, found: &mut Found) {
        let mut report = |field: &str, refusal: Option<Refusal>| {
            if let Some(Refusal { what, hint }) = refusal {
                found.problems.push(role.problem(&component.name, field, what).hint(hint));
            }
        };
        // A new key does not compile until somebody has thought of it here.
        let Component {
            name: _,
            image: _,
            entrypoint: _,
            command: _,
            working_dir: _,
            environment: _,
            env_file: _,
            labels: _,
            user: _,
            tty: _,
            stdin_open: _,
            stop_signal: _,
            stop_grace_period: _,
            healthcheck: _,
            depends_on: _,
            role: _,
            essential: _,
            restart: _,
            probes: _,
            post_start: _,
            pre_stop: _,
            volumes: _,
            tmpfs: _,
            copy: _,
            host: _,
            logging: _,
        } = component;
        let host = &component.host;
        let HostSettings {
            privileged: _,
            read_only: _,
            runtime: _,
            oom_score_adj: _,
            oom_kill_disable: _,
            cap_add: _,
            cap_drop: _,
            group_add: _,
            security_opt: _,
            storage_opt: _,
            sysctls: _,
            userns_mode: _,
            devices: _,
            device_cgroup_rules: _,
            isolation: _,
            memory: _,
            memory_reservation: _,
            memory_swap: _,
            memory_swappiness: _,
            shm_size: _,
            cpu_shares: _,
            nano_cpus: _,
            cpu_period: _,
            cpu_quota: _,
            cpu_rt_period: _,
            cpu_rt_runtime: _,
            cpuset: _,
            cpu_count: _,
            cpu_percent: _,
            blkio: _,
            pids_limit: _,
            ulimits: _,
        } = host;
        // One that could not be read has been told.
        if !component.image.is_empty() {
            report("image", self.image(&component.image));
        }
        if host.privileged {
            let why = "a privileged container has full access to the node";
            report("privileged", self.unless_allowed(Subject::Privileged, "", why));
        }
        for (field, steps) in [("post_start", &component.post_start), ("pre_stop", &component.pre_stop)] {
            for (at, step) in steps.iter().enumerate() {
                if matches!(&step.action, LifecycleAction::Exec(command) if command.privileged) {
                    let why = "a privileged command has full access to the node";
                    report(&format!("{field}[{at}].privileged"), self.unless_allowed(Subject::Privileged, "", why));
                }
            }
        }
        if let Some(mode) = host.userns_mode.as_deref().filter(|mode| !mode.is_empty()) {
            let why = format!("`{mode}` turns off the engine's user namespace mapping");
            report("userns_mode", self.unless_allowed(Subject::Userns, "", &why));
        }
        for (at, word) in host.cap_add.iter().enumerate() {
            report(&format!("cap_add[{at}]"), self.capability(word));
        }
        for (at, option) in host.security_opt.iter().enumerate() {
            report(&format!("security_opt[{at}]"), self.security_option(option));
        }
        for name in host.sysctls.keys() {
            report(&format!("sysctls.{name}"), self.unless_denied(Subject::Sysctl, name));
        }
        for (at, device) in host.devices.iter().enumerate() {
            report(&format!("devices[{at}]"), self.device(&device.host));
        }
        for (at, rule) in host.device_cgroup_rules.iter().enumerate() {
            report(&format!("device_cgroup_rules[{at}]"), self.device_rule(rule));
        }
        if let Some(runtime) = &host.runtime {
            report("runtime", self.runtime(runtime));
        }
        for (at, mount) in component.volumes.iter().enumerate() {
            report(&format!("volumes[{at}]"), self.mount(mount));
        }
        for (option, value) in component.logging.iter().flat_map(|logging| &logging.options) {
            // Log drivers run in the engine, and connect as root.
            let refusal = sockets_of(value).iter().find_map(|path| self.bind(path, Access::Write));
            report(&format!("logging.options.{option}"), refusal);
        }
        for (at, file) in component.env_file.iter().enumerate() {
            report(&format!("env_file[{at}]"), self.files.file(&file.path));
        }
        for copy in &component.copy {
            if let Some(Refusal { what, hint }) = self.files.file(&copy.source) {
                found.problems.push(Problem::new(format!("pod.copy.{}", component.name), "", what).hint(hint));
            }
        }
    }

    fn unless_allowed(&self, subject: Subject, what: &str, why: &str) -> Option<Refusal> {
        unless_allowed(self.policy, subject, what, why)
    }

    fn unless_denied(&self, subject: Subject, what: &str) -> Option<Refusal> {
        unless_denied(self.policy, subject, what)
    }

    fn remedy(&self, subject: Subject, what: &str) -> String {
        remedy(self.policy, subject, what)
    }

    fn image(&self, image: &str) -> Option<Refusal> {
        self.policy.refuses_image(image).map(|what| Refusal {
            what,
            hint: "the operator of the controller sets the allowed images with `--images` or in the policy file"
                .to_owned(),
        })
    }

    fn capability(&self, word: &str) -> Option<Refusal> {
        let name = capability(word);
        match ESCAPES.iter().find(|(escape, _)| *escape == name) {
            Some(("SYS_PTRACE", _)) if self.pids == Sharing::Private => self.unless_denied(Subject::Capability, &name),
            Some((_, why)) => self.unless_allowed(Subject::Capability, &name, &format!("`{word}` is {why}")),
            None => self.unless_denied(Subject::Capability, &name),
        }
    }

    fn security_option(&self, option: &str) -> Option<Refusal> {
        // The engine still takes the colon of old.
        let option = if option.contains('=') { option.to_owned() } else { option.replacen(':', "=", 1) };
        let (key, value) = option.split_once('=').unwrap_or((&option, ""));
        let is_harmless = match (key.trim(), value.trim()) {
            ("no-new-privileges", _) | ("seccomp", "builtin") => true,
            ("apparmor", profile) => !profile.is_empty() && profile != "unconfined",
            ("label", label) => label.starts_with("level:"),
            _ => false,
        };
        if is_harmless {
            self.unless_denied(Subject::SecurityOpt, &option)
        } else {
            // A seccomp profile is a whole document.
            let shown: String = option.chars().take(60).collect();
            let subject = if shown.len() < option.len() { format!("{key}=*") } else { option.clone() };
            match self.policy.verdict(Subject::SecurityOpt, &option, Access::Write) {
                Verdict::Allowed => None,
                Verdict::Denied(rule) => Some(denied(&rule)),
                Verdict::Unsaid => Some(Refusal {
                    what: format!("`{shown}` removes a protection between the component and the node"),
                    hint: self.remedy(Subject::SecurityOpt, &subject),
                }),
            }
        }
    }

    fn runtime(&self, runtime: &str) -> Option<Refusal> {
        if runtime.contains('/') {
            let why = format!("`{runtime}` is a path: the engine would run that program as root");
            self.unless_allowed(Subject::Runtime, runtime, &why)
        } else {
            self.unless_denied(Subject::Runtime, runtime)
        }
    }

    fn mount(&self, mount: &Mount) -> Option<Refusal> {
        let access = if mount.read_only { Access::Read } else { Access::Write };
        // By the name that the engine will get: an alias may stand for a volume of the controller's own.
        let mount = &resolved(mount, self.aliases);
        match (mount.kind, mount.source.as_deref()) {
            (MountKind::Bind, Some(source)) => self.bind(source, access),
            (MountKind::Volume, name) => {
                if let Some(what) = name.and_then(|name| self.files.paths.private_volume(name)) {
                    return Some(Refusal {
                        what: format!("this volume belongs to the controller and contains its `{what}`"),
                        hint: "use another volume: a component that writes to this volume could make the controller run a program"
                            .to_owned(),
                    });
                }
                // Read here, a volume with a name can be written by whoever else names it.
                let access = if name.is_some() { Access::Write } else { access };
                volumes::check(self, mount.volume.as_ref()?, access)
            }
            (MountKind::Bind | MountKind::Tmpfs, _) => None,
        }
    }

    /// A path of the host, in whatever way it gets into the component.
    fn bind(&self, source: &str, access: Access) -> Option<Refusal> {
        let source = normal(source);
        let danger = self.files.paths.of_host(&source, access);
        if danger.as_ref().is_some_and(|danger| danger.is_engine) && self.policy.names_path(&source) {
            return None;
        }
        let is_engine = danger.as_ref().is_some_and(|danger| danger.is_engine);
        match (self.policy.verdict(Subject::Bind, &source, access), danger) {
            (Verdict::Denied(rule), _) => Some(denied(&rule)),
            // A wide rule does not open this by accident: it has to be named.
            (Verdict::Allowed, _) if !is_engine => None,
            (Verdict::Allowed | Verdict::Unsaid, Some(danger)) => {
                let rule = if is_engine || access == Access::Write { source.clone() } else { format!("{source}:ro") };
                Some(Refusal { what: danger.what, hint: self.remedy(Subject::Bind, &rule) })
            }
            (Verdict::Allowed | Verdict::Unsaid, None) => None,
        }
    }
}

/// The paths that log drivers may connect to for an address. They read it as Go's `net/url` does: the scheme in any case, slashes or none behind it, a host
/// passed over, and percent signs decoded.
fn sockets_of(address: &str) -> Vec<String> {
    let Some((scheme, rest)) = address.trim().split_once(':') else { return Vec::new() };
    if !scheme.to_ascii_lowercase().starts_with("unix") {
        return Vec::new();
    }
    let rest = rest.trim_start_matches('/').split(['?', '#']).next().unwrap_or_default();
    let rest = percent_encoding::percent_decode_str(rest).decode_utf8_lossy();
    let behind_host = rest.split_once('/').map(|(_, path)| path.to_owned());
    [Some(rest.into_owned()), behind_host].into_iter().flatten().collect()
}

fn denied(rule: &str) -> Refusal {
    Refusal {
        what: format!("the operator's policy denies this with `{rule}`"),
        hint: "ask the operator of the controller".to_owned(),
    }
}

#[cfg(test)]
mod tests;
