//! Mounts of a component: its own, and those that the controller shares.

use std::collections::BTreeMap;

use crate::config::Settings;
use crate::engine::MountPoint;
use crate::plan::SelfInfo;
use crate::pod::{Component, Mount, MountKind};

/// The engine's socket, where a host and a controller usually have it.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// Registry credentials, where podlike looked for them. With and without the `/var/run` link of most images.
const CREDENTIALS: [&str; 2] = ["/var/run/secrets/podlike", "/run/secrets/podlike"];

/// A component's own mounts, with volume names resolved, then those of the controller on targets that it does not use itself.
pub(super) fn of(component: &Component, shared: &[Mount], aliases: &BTreeMap<String, String>) -> Vec<Mount> {
    let mut mounts: Vec<_> = component.volumes.iter().map(|mount| resolved(mount, aliases)).collect();
    let is_own = |target: &str| {
        let same = |own: &str| trimmed(own) == trimmed(target);
        component.volumes.iter().any(|mount| same(&mount.target)) || component.tmpfs.keys().any(|path| same(path))
    };
    mounts.extend(shared.iter().filter(|mount| !is_own(&mount.target)).cloned());
    mounts
}

fn resolved(mount: &Mount, aliases: &BTreeMap<String, String>) -> Mount {
    let mut mount = mount.clone();
    if let (MountKind::Volume, Some(source)) = (mount.kind, &mut mount.source)
        && let Some(name) = aliases.get(source.as_str())
    {
        source.clone_from(name);
        // The controller has it already, so that it is made.
        mount.volume = None;
    }
    mount
}

/// What the controller shares of its own mounts: all that lead neither to the engine nor to what only the controller may see.
pub(super) fn shared(me: &SelfInfo, settings: &Settings, warnings: &mut Vec<String>) -> Vec<Mount> {
    let private = Private::new(me, settings);
    me.container
        .mounts
        .iter()
        .filter_map(|point| {
            match private.verdict(point) {
                Verdict::Shared => {}
                Verdict::Private => return None,
                Verdict::Contains(what) => {
                    warnings.push(format!("the mount `{}` is not shared: it holds `{what}`", point.target));
                    return None;
                }
            }
            let (kind, source) = match point.kind.as_str() {
                "bind" => (MountKind::Bind, &point.source),
                "volume" => (MountKind::Volume, &point.name),
                // Memory can't be shared: each container would get its own.
                other => {
                    warnings.push(format!("the mount `{}` is not shared: its kind is `{other}`", point.target));
                    return None;
                }
            };
            Some(Mount {
                kind,
                source: Some(source.clone()),
                target: point.target.clone(),
                read_only: !point.writable,
                propagation: None,
                no_copy: false,
                tmpfs_size: None,
                tmpfs_mode: None,
                volume: None,
            })
        })
        .collect()
}

enum Verdict {
    Shared,
    /// It is, or lies within, something private.
    Private,
    /// Something private lies within it.
    Contains(String),
}

/// Paths that no component may get through a shared mount.
struct Private {
    /// In the controller: the engine's socket, credentials, state, and compiled plugins, which would run as the controller if they were swapped.
    targets: Vec<String>,
    /// On the host.
    sources: Vec<String>,
}

impl Private {
    fn new(me: &SelfInfo, settings: &Settings) -> Self {
        let sockets = SOCKETS.iter().copied();
        // A socket elsewhere is named by the variable that the engine's own tools use.
        let elsewhere = me.environment.get("DOCKER_HOST").and_then(|host| host.strip_prefix("unix://"));
        let directories = [&settings.state_dir, &settings.cache_dir, &settings.plugin_dir];
        Self {
            targets: sockets
                .clone()
                .chain(CREDENTIALS)
                .chain(elsewhere)
                .map(str::to_owned)
                .chain(directories.iter().map(|path| path.to_string_lossy().into_owned()))
                .filter(|path| path.starts_with('/'))
                .collect(),
            sources: sockets.chain(elsewhere).map(str::to_owned).collect(),
        }
    }

    fn verdict(&self, point: &MountPoint) -> Verdict {
        let targets = self.targets.iter().map(|private| (private, point.target.as_str()));
        let sources = self.sources.iter().map(|private| (private, point.source.as_str()));
        let mut holds = None;
        for (private, path) in targets.chain(sources) {
            if is_within(path, private) {
                return Verdict::Private;
            }
            if path.starts_with('/') && is_within(private, path) {
                holds.get_or_insert_with(|| private.clone());
            }
        }
        holds.map_or(Verdict::Shared, Verdict::Contains)
    }
}

/// Whether `path` is `directory` or lies below it.
fn is_within(path: &str, directory: &str) -> bool {
    trimmed(path).strip_prefix(trimmed(directory)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_by_segment() {
        for (path, directory, expected) in [
            ("/a/b", "/a", true),
            ("/a/", "/a", true),
            ("/ab", "/a", false),
            ("/a", "/a/b", false),
            ("/a", "/", true),
            ("", "/a", false),
        ] {
            assert_eq!(is_within(path, directory), expected, "{path} {directory}");
        }
    }
}
