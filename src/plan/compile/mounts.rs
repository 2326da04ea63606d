//! Mounts of a component: its own, and those that the controller shares.

use std::collections::BTreeMap;

use super::policy::paths::{Paths, Sharable};
use crate::engine::{MountPoint, VolumeInfo};
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

/// With the name that the engine has for a volume.
pub(super) fn resolved(mount: &Mount, aliases: &BTreeMap<String, String>) -> Mount {
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

/// Volumes that exist already, but not as they are written: the engine would take them as they are, without a word. Each with its index.
pub(super) fn differing(mounts: &[Mount], existing: &BTreeMap<String, VolumeInfo>) -> Vec<(usize, String, String)> {
    let differing = mounts.iter().enumerate().filter_map(|(at, mount)| {
        let (name, spec) = (mount.source.as_ref()?, mount.volume.as_ref()?);
        let there = existing.get(name)?;
        let driver = if spec.driver.is_empty() { "local" } else { spec.driver.as_str() };
        // A driver may be named with its version.
        let same_driver = there.driver.strip_suffix(":latest").unwrap_or(&there.driver)
            == driver.strip_suffix(":latest").unwrap_or(driver);
        if same_driver && there.options == spec.driver_opts {
            return None;
        }
        let what = format!(
            "the volume `{name}` exists already with the driver `{}` and {}, not with `{driver}` and {}",
            there.driver,
            options(&there.options),
            options(&spec.driver_opts)
        );
        let hint = format!("the engine does not change volumes: name another one, or remove it, with its data (`docker volume rm {name}`)");
        Some((at, what, hint))
    });
    differing.collect()
}

fn options(options: &BTreeMap<String, String>) -> String {
    if options.is_empty() {
        return "no options".to_owned();
    }
    let list: Vec<_> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("the options `{}`", list.join("`, `"))
}

/// Mounts of the controller that are not shared because of something in them: their targets, and what that is.
pub(super) fn withheld(me: &SelfInfo, paths: &Paths) -> Vec<(String, String)> {
    let of = |point: &MountPoint| match paths.verdict(point) {
        Sharable::Contains(what) => Some((point.target.clone(), what)),
        Sharable::Shared | Sharable::Private => None,
    };
    me.container.mounts.iter().filter_map(of).collect()
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
                // As podlike and `volumes_from`: the volume is the controller's, and is not filled from a component's image.
                no_copy: kind == MountKind::Volume,
                must_exist: false,
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
