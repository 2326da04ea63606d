//! Mounts of a component: its own, and those that the controller shares.

use std::collections::BTreeMap;

use super::policy::paths::{Paths, Sharable};
use crate::plan::SelfInfo;
use crate::pod::{Component, Mount, MountKind};

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
    }
    mount
}

/// What the controller shares of its own mounts: all that lead neither to the engine nor to what only the controller may see.
pub(super) fn shared(me: &SelfInfo, paths: &Paths, warnings: &mut Vec<String>) -> Vec<Mount> {
    me.container
        .mounts
        .iter()
        .filter_map(|point| {
            match paths.verdict(point) {
                Sharable::Shared => {}
                Sharable::Private => return None,
                Sharable::Contains(what) => {
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

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}
