//! What the controller's container looks like. Nothing is made here.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::cli::{Env, input};
use crate::config::ENGINE_SOCKET;
use crate::engine::ContainerSpec;
use crate::labels;
use crate::plan::document;
use crate::pod::values::format_duration;
use crate::pod::{Mount, MountKind, PluginSource, PodSpec};

/// Where plugins that lie beside the file are mounted in the controller.
const PLUGINS: &str = "/run/outrigger/plugins";

/// The controller's image where the file names none.
pub(in crate::cli) const IMAGE: &str = concat!("outrigger:", env!("CARGO_PKG_VERSION"));

/// Docker's own default, too short for a pod that drains: the controller stops its components within its own grace.
pub(in crate::cli) const GRACE: Duration = Duration::from_secs(30);

/// The container that runs this pod; `token` tells this run from all others.
pub fn of(mut spec: PodSpec, folder: &Path, name: String, token: &str, env: &Env) -> ContainerSpec {
    resolve(&mut spec.controller.volumes, folder);
    let mut mounts = mounts(&spec.controller.volumes, folder, env);
    for plugin in &mut spec.plugins {
        if let PluginSource::File(path) = &mut plugin.source
            && !path.starts_with('/')
        {
            let target = format!("{PLUGINS}/{}.wasm", plugin.name);
            mounts.push(bind(absolute(folder, path), target.clone(), true));
            *path = target;
        }
    }

    let controller = &spec.controller;
    let image = controller.image.clone().unwrap_or_else(|| IMAGE.to_owned());
    let mut wanted = ContainerSpec::new(name, image);
    wanted.labels.extend(controller.labels.iter().map(|(key, value)| (key.clone(), value.clone())));
    wanted.labels.extend(labels::to_labels(&document::of(&spec)));
    wanted.labels.insert(super::RUN_LABEL.to_owned(), token.to_owned());
    wanted.labels.insert(super::CONTROLLER_LABEL.to_owned(), "true".to_owned());
    wanted.env = input::environment(&spec, env).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    wanted.command = Some(controller.flags.clone()).filter(|flags| !flags.is_empty());
    wanted.mounts = mounts;
    wanted.ports.clone_from(&controller.ports);
    wanted.network_mode = controller.networks.first().cloned();
    wanted.host.memory = controller.memory;
    wanted.outer.clone_from(&controller.outer);
    let grace = controller.stop_grace_period.unwrap_or(GRACE);
    wanted.labels.insert(labels::STOP_GRACE_PERIOD.to_owned(), format_duration(grace));
    wanted.stop_timeout = Some(grace);
    wanted
}

/// What is mounted into it besides plugins: what the file says, and the engine's socket.
pub(in crate::cli) fn mounts(volumes: &[Mount], folder: &Path, env: &Env) -> Vec<Mount> {
    let mut mounts = resolved(volumes, folder);
    if !mounts.iter().any(|mount| mount.target == ENGINE_SOCKET) {
        mounts.insert(0, bind(host_socket(env), ENGINE_SOCKET.to_owned(), true));
    }
    mounts
}

/// With absolute sources.
pub(in crate::cli) fn resolved(volumes: &[Mount], folder: &Path) -> Vec<Mount> {
    let mut mounts = volumes.to_vec();
    resolve(&mut mounts, folder);
    mounts
}

fn bind(source: String, target: String, read_only: bool) -> Mount {
    Mount { read_only, ..Mount::new(MountKind::Bind, Some(source), target) }
}

/// Whether the engine runs on this machine.
pub(in crate::cli) fn is_local(env: &Env) -> bool {
    env.get("DOCKER_HOST").is_none_or(|address| address.is_empty() || address.starts_with("unix://"))
}

/// Folders of the host that the file names relative to itself, as they were written, which are not there. The engine would make each, empty and owned
/// by root; of an engine elsewhere nothing is known from here.
pub(in crate::cli) fn missing(volumes: &[Mount], folder: &Path, env: &Env) -> Vec<String> {
    let is_local = is_local(env);
    let sources = volumes.iter().filter(|mount| is_local && mount.kind == MountKind::Bind);
    let relative = sources.filter_map(|mount| mount.source.clone()).filter(|source| !source.starts_with('/'));
    relative.filter(|source| !Path::new(&absolute(folder, source)).exists()).collect()
}

/// The engine's socket on the host. A remote engine has its own at the usual place.
fn host_socket(env: &Env) -> String {
    match env.get("DOCKER_HOST").map(|address| address.strip_prefix("unix://").unwrap_or(address)) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        _ => ENGINE_SOCKET.to_owned(),
    }
}

/// Makes relative sources of binds absolute.
fn resolve(mounts: &mut [Mount], folder: &Path) {
    for mount in mounts.iter_mut().filter(|mount| mount.kind == MountKind::Bind) {
        if let Some(source) = &mut mount.source
            && !source.starts_with('/')
        {
            *source = absolute(folder, source);
        }
    }
}

/// `folder` and `path` as one path without `.` and `..`: the engine takes neither.
fn absolute(folder: &Path, path: &str) -> String {
    let mut clean = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    clean.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::{ControllerSpec, OnErrors, PluginLimits, PluginName, PluginSpec};

    fn made(spec: PodSpec, env: &Env) -> ContainerSpec {
        of(spec, Path::new("/home/u/pod"), "web".to_owned(), "abc", env)
    }

    fn with(controller: ControllerSpec) -> PodSpec {
        PodSpec { controller, ..PodSpec::default() }
    }

    #[test]
    fn the_defaults_are_this_versions_image_and_the_engines_socket() {
        let wanted = made(PodSpec::default(), &Env::new());
        assert_eq!(wanted.image, format!("outrigger:{}", env!("CARGO_PKG_VERSION")));
        assert_eq!(wanted.mounts.len(), 1);
        assert_eq!(wanted.mounts[0].source.as_deref(), Some(ENGINE_SOCKET));
        assert_eq!(wanted.command, None);
        assert_eq!(wanted.labels.get("outrigger.run").map(String::as_str), Some("abc"));
        assert_eq!(wanted.stop_timeout, Some(GRACE));
    }

    #[test]
    fn the_socket_of_another_engine_is_mounted_from_where_it_is() {
        let env = Env::from([("DOCKER_HOST".to_owned(), "unix:///run/user/1000/docker.sock".to_owned())]);
        assert_eq!(made(PodSpec::default(), &env).mounts[0].source.as_deref(), Some("/run/user/1000/docker.sock"));
        let env = Env::from([("DOCKER_HOST".to_owned(), "tcp://far:2375".to_owned())]);
        assert_eq!(made(PodSpec::default(), &env).mounts[0].source.as_deref(), Some(ENGINE_SOCKET));
    }

    #[test]
    fn relative_sources_are_the_files_folders() {
        let relative = bind("./conf/../data".to_owned(), "/data".to_owned(), false);
        let volume = Mount { kind: MountKind::Volume, ..bind("data".to_owned(), "/v".to_owned(), false) };
        let wanted =
            made(with(ControllerSpec { volumes: vec![relative, volume], ..ControllerSpec::default() }), &Env::new());
        assert_eq!(wanted.mounts[1].source.as_deref(), Some("/home/u/pod/data"));
        assert_eq!(wanted.mounts[2].source.as_deref(), Some("data"), "a volume's name is no path");
    }

    #[test]
    fn a_plugin_beside_the_file_is_mounted() {
        let plugin = PluginSpec {
            name: PluginName::new("redact").unwrap(),
            origin: "pod.yaml".to_owned(),
            source: PluginSource::File("redact.wasm".to_owned()),
            scope: None,
            grants: None,
            limits: PluginLimits::default(),
            on_error: OnErrors::default(),
            health_interval: Duration::from_secs(10),
            config: serde_json::Value::Null,
        };
        let spec = PodSpec { plugins: vec![plugin], ..PodSpec::default() };
        let wanted = made(spec, &Env::new());
        assert_eq!(wanted.mounts[1].source.as_deref(), Some("/home/u/pod/redact.wasm"));
        assert_eq!(wanted.mounts[1].target, "/run/outrigger/plugins/redact.wasm");
        assert!(wanted.mounts[1].read_only);
    }

    #[test]
    fn a_socket_that_the_file_mounts_is_the_one() {
        let own = bind("/run/other.sock".to_owned(), ENGINE_SOCKET.to_owned(), false);
        let wanted =
            made(with(ControllerSpec { volumes: vec![own.clone()], ..ControllerSpec::default() }), &Env::new());
        assert_eq!(wanted.mounts, [own]);
    }

    #[test]
    fn what_the_file_says_of_the_controller_is_done() {
        let controller = ControllerSpec {
            image: Some("acme/outrigger:2".to_owned()),
            ports: crate::pod::ports::Port::read("8080:80").unwrap(),
            networks: vec!["front".to_owned()],
            memory: Some(64 << 20),
            stop_grace_period: Some(Duration::from_secs(5)),
            flags: vec!["-pids=false".to_owned()],
            environment: [("A".to_owned(), Some("1".to_owned()))].into_iter().collect(),
            labels: [("team".to_owned(), "x".to_owned())].into_iter().collect(),
            ..ControllerSpec::default()
        };
        let wanted = made(with(controller), &Env::new());
        assert_eq!(wanted.image, "acme/outrigger:2");
        assert_eq!(wanted.ports, crate::pod::ports::Port::read("8080:80").unwrap());
        assert_eq!(wanted.network_mode.as_deref(), Some("front"));
        assert_eq!(wanted.host.memory, Some(64 << 20));
        assert_eq!(wanted.stop_timeout, Some(Duration::from_secs(5)));
        assert_eq!(wanted.labels.get("pod.stop_grace_period").map(String::as_str), Some("5s"));
        assert_eq!(wanted.command, Some(vec!["-pids=false".to_owned()]));
        assert_eq!(wanted.env, ["A=1"]);
        assert_eq!(wanted.labels.get("team").map(String::as_str), Some("x"));
    }
}
