//! Mounts of a component: its own, and those that the controller shares.

use std::collections::{BTreeMap, HashSet};

use super::Found;
use super::policy::paths::{Paths, Sharable};
use crate::containers::MountPoint;
use crate::containers::info::VolumeInfo;
use crate::plan::SelfInfo;
use crate::pod::{Component, Mount, MountKind, PodSpec};

/// The stack that a service belongs to.
const STACK: &str = "com.docker.stack.namespace";

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
        let hint = format!("the engine cannot change an existing volume: use another name, or remove the volume with its data (`docker volume rm {name}`)");
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
                    warnings.push(format!("the mount `{}` is not shared, because it contains `{what}`", point.target));
                    return None;
                }
            }
            let (kind, source) = match point.kind.as_str() {
                "bind" => (MountKind::Bind, &point.source),
                "volume" => (MountKind::Volume, &point.name),
                // Memory can't be shared: each container would get its own.
                other => {
                    warnings.push(format!(
                        "the mount `{}` is not shared, because mounts of type `{other}` cannot be shared",
                        point.target
                    ));
                    return None;
                }
            };
            Some(Mount {
                read_only: !point.writable,
                // As podlike and `volumes_from`: the volume is the controller's, and is not filled from a component's image.
                no_copy: kind == MountKind::Volume,
                ..Mount::new(kind, Some(source.clone()), point.target.clone())
            })
        })
        .collect()
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// In a stack, volumes have the stack's name before their own, but not those of a Compose file in the controller: two stacks would share them.
pub(super) fn warn_of_bare(spec: &PodSpec, me: &SelfInfo, found: &mut Found) {
    let Some(stack) = me.container.labels.get(STACK) else { return };
    let all = spec.init.iter().chain(spec.components.values()).flat_map(|component| &component.volumes);
    let volumes = all.filter(|mount| mount.kind == MountKind::Volume);
    let mounted: HashSet<&str> = volumes.filter_map(|mount| mount.source.as_deref()).collect();
    let own: HashSet<&str> = me.container.mounts.iter().map(|it| it.name.as_str()).collect();
    let is_own = |name: &str| me.volume_aliases.contains_key(name) || own.contains(name);
    for name in spec.bare_volumes.iter().filter(|name| mounted.contains(name.as_str()) && !is_own(name)) {
        found.warnings.push(format!(
            "volume `{name}` of the Compose file is the engine's volume of exactly this name, without the stack's name, so every pod whose Compose file declares `{name}` shares it; give the volume a name of its own (`{name}: {{name: {stack}_{name}}}`), or mount it into the controller's service too (`{name}:/unused`)"
        ));
    }
}
