//! Paths of the host, and of the controller, that components don't get.

use std::collections::BTreeMap;

use crate::config::Settings;
use crate::config::policy::{Access, FILE, normal};
use crate::containers::info::EngineInfo;
use crate::containers::{Inspection, MountPoint};
use crate::plan::OwnVolumes;
use crate::plan::placement::{self, Mounted};

/// Sockets that give whoever has them all power over the engine.
const SOCKETS: [&str; 8] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/var/run/containerd/containerd.sock",
    "/run/containerd/containerd.sock",
    "/var/run/podman/podman.sock",
    "/run/podman/podman.sock",
    "/var/run/docker/containerd/containerd.sock",
    "/run/docker/containerd/containerd.sock",
];

/// The same, wherever they lie.
const SOCKET_NAMES: [&str; 5] = ["docker.sock", "podman.sock", "containerd.sock", "crio.sock", "buildkitd.sock"];

/// Registry credentials, where podlike and the docker command look for them, and where Swarm puts a secret of that name.
const CREDENTIALS: [&str; 5] = [
    "/var/run/secrets/podlike",
    "/run/secrets/podlike",
    "/var/run/secrets/docker-config.json",
    "/run/secrets/docker-config.json",
    "/root/.docker",
];

/// The sockets that the controller itself may use. One of them in a shared volume would be it, whether it is there by now or not.
const OWN_SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// Sockets and credentials that the controller has only if somebody has put them there.
pub fn private_files() -> impl Iterator<Item = &'static str> {
    SOCKETS.into_iter().filter(|path| !OWN_SOCKETS.contains(path)).chain(CREDENTIALS)
}

/// Not even for reading: kernel and devices, other services' sockets, the files of engines, and what only root may read.
const CLOSED: [&str; 54] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/boot",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/lib/systemd",
    "/var/lib/libvirt",
    "/var/lib/cloud",
    "/var/lib/private",
    "/var/backups",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/snap",
    "/var/spool/cron",
    "/var/spool/at",
    "/etc/docker",
    "/etc/kubernetes",
    "/etc/ssh",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/security",
    "/etc/ssl/private",
    "/etc/krb5.keytab",
    "/etc/wireguard",
    "/etc/letsencrypt",
    "/etc/rancher",
    "/var/lib/etcd",
    "/var/lib/lxd",
    "/var/lib/snapd",
    "/var/lib/crio",
    "/var/lib/buildkit",
    "/var/lib/machines",
    "/var/lib/portables",
    "/var/lib/qemu",
    "/var/lib/pacman",
    "/var/lib/apk",
    "/var/lib/flatpak",
    "/var/lib/dkms",
    "/var/spool/anacron",
    "/var/lock",
    "/vmlinuz",
    "/vmlinuz.old",
    "/initrd.img",
    "/initrd.img.old",
    "/etc/sudoers",
    "/etc/sudoers.d",
];

/// For reading only: what root runs, or believes.
const SYSTEM: [&str; 17] = [
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt/containerd",
    "/opt/cni",
    "/snap",
    "/nix",
    "/ostree",
    "/var/cache/apt",
    "/var/lib/apt",
    "/var/lib/dbus",
    "/var/lib/polkit-1",
];

/// Why a path is dangerous.
pub(super) struct Danger {
    pub(super) what: String,
    /// Whether it leads to the engine straight away.
    pub(super) is_engine: bool,
}

/// Every path that is not for components.
#[derive(Debug)]
pub(in crate::plan::compile) struct Paths {
    /// Of the host: the engine's sockets.
    sockets: Vec<String>,
    /// Of the host: what makes and fills cgroups.
    powers: Vec<String>,
    /// Of the host: where the engine keeps everything, empty where that is not known.
    data_root: String,
    /// Of the host: what is mounted into the controller at one of `private`.
    own_sources: Vec<String>,
    /// Volumes mounted there, and where.
    own_volumes: Vec<(String, String)>,
    /// Of the controller: the socket, credentials, state, and compiled plugins, which would run as the controller if they were swapped.
    private: Vec<String>,
    /// Everything that is mounted into the controller, and what is known of its volumes.
    mounts: Vec<MountPoint>,
    volumes: OwnVolumes,
}

impl Paths {
    pub(in crate::plan::compile) fn new(
        own: &Inspection,
        environment: &BTreeMap<String, String>,
        volumes: &OwnVolumes,
        engine: &EngineInfo,
        settings: &Settings,
    ) -> Self {
        // A socket elsewhere is named by the variable that the engine's own tools use.
        let elsewhere = |address: Option<&str>| address.and_then(|address| address.strip_prefix("unix://")).map(normal);
        let variable = elsewhere(environment.get("DOCKER_HOST").map(String::as_str));
        let named: Vec<String> = variable.into_iter().chain(elsewhere(settings.engine.as_deref())).collect();
        let mut named_paths = named.clone();
        let sockets: Vec<String> = SOCKETS.iter().map(|path| (*path).to_owned()).chain(named).collect();
        let directories = [&settings.state_dir, &settings.cache_dir, &settings.plugin_dir];
        let mut private = sockets.clone();
        // The same places that the engine's own command reads: credentials of registries, and the key to an engine elsewhere.
        let told = |name: &str| environment.get(name).map(String::as_str).filter(|path| path.starts_with('/'));
        named_paths.extend(["DOCKER_CONFIG", "DOCKER_CERT_PATH"].into_iter().filter_map(told).map(normal));
        named_paths.extend(told("HOME").map(|home| normal(&format!("{home}/.docker"))));
        private.extend(named_paths.iter().cloned());
        private.extend(CREDENTIALS.iter().chain(&[FILE]).map(|path| (*path).to_owned()));
        // With these the controller makes cgroups; whoever else had them could start anything on the host, or move any process.
        let mounted = Mounted::of(own);
        private.extend(mounted.bus.into_iter().chain(mounted.tree));
        private.extend(directories.iter().map(|path| normal(&path.to_string_lossy())));
        let mut own_sources = Vec::new();
        let mut own_volumes = Vec::new();
        let mut volumes = volumes.clone();
        // One that the controller was told to use counts, whether it is there by now or not.
        volumes.files.extend(named_paths);
        for point in &own.mounts {
            let target = normal(&point.target);
            for path in private.iter().filter(|path| may_hold(point, path, &own.mounts, &volumes)) {
                let source = normal(&point.source);
                if is_within(&target, path) {
                    own_sources.push(source);
                } else if is_within(path, &target) {
                    own_sources.push(normal(&format!("{source}/{}", path.get(target.len()..).unwrap_or_default())));
                } else {
                    continue;
                }
                if point.kind == "volume" {
                    own_volumes.push((point.name.clone(), path.clone()));
                }
            }
        }
        own_sources.retain(|source| source != "/");
        let data_root = if engine.data_root.is_empty() { String::new() } else { normal(&engine.data_root) };
        let powers = placement::powers();
        Self { sockets, powers, data_root, own_sources, own_volumes, private, mounts: own.mounts.clone(), volumes }
    }

    /// Why a normal path of the host is dangerous.
    pub(super) fn of_host(&self, source: &str, access: Access) -> Option<Danger> {
        let closed = |what: String| Some(Danger { what, is_engine: false });
        let engine = |what: String| Some(Danger { what, is_engine: true });
        if self.sockets.iter().any(|socket| socket == source) || is_socket(source) {
            return engine(format!("`{source}` is the engine's socket, which gives root access to the node"));
        }
        if let Some(socket) = self.sockets.iter().find(|socket| is_within(socket, source)) {
            return engine(format!(
                "`{source}` contains the engine's socket `{socket}`, which gives root access to the node"
            ));
        }
        let touches = |path: &str| is_within(source, path) || is_within(path, source);
        if let Some(own) = self.own_sources.iter().find(|own| touches(own)) {
            return if is_socket(own) {
                engine(format!(
                    "`{source}` leads to the engine's socket, which is mounted into the controller from `{own}`"
                ))
            } else {
                closed(format!("`{source}` leads to the controller's own `{own}`"))
            };
        }
        let root = (!self.data_root.is_empty()).then_some(self.data_root.as_str());
        if let Some(path) = CLOSED.iter().copied().chain(root).find(|path| touches(path)) {
            let relation = if is_within(source, path) { "is in" } else { "contains" };
            return closed(format!("`{source}` {relation} `{path}` of the node, which gives root access to the node"));
        }
        if access == Access::Write
            && let Some(path) = SYSTEM.iter().find(|path| touches(path))
        {
            let relation = if is_within(source, path) { "is in" } else { "contains" };
            return closed(format!(
                "`{source}` {relation} `{path}` of the node, and write access there gives root access to the node; read-only access (`:ro`) is allowed"
            ));
        }
        is_home(source).then(|| Danger {
            what: format!("`{source}` is or contains hidden files in a user's home directory, such as keys"),
            is_engine: false,
        })
    }

    /// What only the controller may have of itself, where a normal path of its own leads there.
    pub(super) fn of_controller(&self, path: &str) -> Option<&str> {
        // Links there lead everywhere.
        let links = ["/proc", "/dev"];
        let private = self.private.iter().map(String::as_str).chain(links);
        private.into_iter().find(|private| is_within(path, private) || is_within(private, path))
    }

    /// What the controller has in its own volume of this name, where it is private.
    pub(super) fn private_volume(&self, name: &str) -> Option<&str> {
        self.own_volumes.iter().find(|(own, _)| own == name).map(|(_, path)| path.as_str())
    }

    /// Whether a mount of the controller can be shared with components.
    pub(in crate::plan::compile) fn verdict(&self, point: &MountPoint) -> Sharable {
        // Of whatever engine it is.
        if point.kind == "bind" && (is_socket(&point.source) || is_socket(&point.target)) {
            return Sharable::Private;
        }
        let held = |private: &&String| may_hold(point, private, &self.mounts, &self.volumes);
        let targets = self.private.iter().filter(held).map(|private| (private, point.target.as_str()));
        // Where it has them from, too: what is mounted there a second time is the same.
        let of_host = self.sockets.iter().chain(&self.powers).chain(&self.own_sources);
        let of_host = of_host.filter(|_| point.kind == "bind");
        let sources = of_host.map(|private| (private, point.source.as_str()));
        let mut holds = None;
        for (private, path) in targets.chain(sources) {
            if is_within(path, private) {
                return Sharable::Private;
            }
            if path.starts_with('/') && is_within(private, path) {
                holds.get_or_insert_with(|| private.clone());
            }
        }
        // The same volume may be mounted at another place, where it is private.
        let is_private_elsewhere =
            || self.private_volume(&point.name).filter(|_| point.kind == "volume").map(str::to_owned);
        holds.or_else(is_private_elsewhere).map_or(Sharable::Shared, Sharable::Contains)
    }
}

/// Whether what the controller has at `private` can be in this mount. A volume that only containers write to does not hold what is mounted below it: whoever else
/// mounts the volume sees an empty file or directory there.
fn may_hold(point: &MountPoint, private: &str, mounts: &[MountPoint], volumes: &OwnVolumes) -> bool {
    let target = normal(&point.target);
    if point.kind != "volume" || !volumes.plain.contains(&point.name) || !is_within(private, &target) {
        return true;
    }
    let covers = |other: &MountPoint| {
        let below = normal(&other.target);
        let is_deeper = below != target && is_within(&below, &target);
        // What comes out of the same volume is in it.
        let is_other = match other.kind.as_str() {
            "volume" => other.name != point.name,
            _ => point.source.is_empty() || !is_within(&normal(&other.source), &normal(&point.source)),
        };
        is_deeper && is_other && is_within(private, &below)
    };
    if mounts.iter().any(covers) {
        return false;
    }
    volumes.files.contains(private) || !private_files().any(|perhaps| perhaps == private)
}

/// Whether this is called as an engine's socket is.
fn is_socket(path: &str) -> bool {
    SOCKET_NAMES.contains(&path.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
}

/// Whether a mount of the controller can be shared.
pub(in crate::plan::compile) enum Sharable {
    /// It can.
    Shared,
    /// It is, or lies within, something private.
    Private,
    /// Something private lies within it.
    Contains(String),
}

/// `/home`, one directory below it, `/root`, or a hidden entry of such a home.
fn is_home(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let entry = match segments.next() {
        Some("root") => segments.next(),
        Some("home") => match segments.next() {
            None => return true,
            Some(_) => segments.next(),
        },
        _ => return false,
    };
    entry.is_none_or(|entry| entry.starts_with('.'))
}

/// Whether `path` is `directory` or lies below it.
pub(in crate::plan::compile) fn is_within(path: &str, directory: &str) -> bool {
    let trimmed = |path: &str| path.trim_end_matches('/').to_owned();
    trimmed(path).strip_prefix(&trimmed(directory)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
