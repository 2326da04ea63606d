//! What can be known to be missing before anything runs: files that nothing gives the controller, and volumes that nobody declares.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use crate::config::policy::normal;
use crate::labels::RawPod;
use crate::plan::{NOT_HERE, SelfInfo};
use crate::pod::{Component, MountKind, PodSpec, Problem, Problems};
use crate::problem::nearest;
use crate::problem::shown::{IN_ALL, NOTES};

/// What every container has, and the image of a controller, which else is empty.
const ALWAYS: [&str; 9] = [
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/plugins",
    "/outrigger",
    "/proc",
    "/sys",
    "/dev",
];

/// What is known of the controller's files.
pub(super) struct Files {
    /// Paths from mounts, configs and secrets; none where they can't all be known.
    pub(super) held: Option<Vec<String>>,
    /// Whether its image is the one without files of its own.
    pub(super) is_bare: bool,
}

/// Whether an image is this program's own, in whatever version: others may be made of it, with files of their own.
pub(super) fn is_bare(image: &str) -> bool {
    let name = image.split(['@', ':']).next().unwrap_or_default();
    name == "outrigger"
}

impl Files {
    /// Whether something that the controller has is at this path, above or below it.
    pub(super) fn reach(&self, path: &str) -> bool {
        let path = normal(path);
        let meets = |one: &str, other: &str| {
            one.strip_prefix(other.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let Some(held) = &self.held else { return true };
        held.iter()
            .map(|held| normal(held))
            .chain(ALWAYS.map(str::to_owned))
            .any(|held| meets(&path, &held) || meets(&held, &path))
    }
}

/// Notes in `me` which files the controller will not find, and answers what is wrong besides.
pub(super) fn files(raw: &RawPod, spec: &mut PodSpec, me: &mut SelfInfo, files: &Files) -> Problems {
    const NOTHING: &str = "no mount, config or secret of the controller has this file";
    let mut problems = Problems::default();
    let image = me.container.image.clone();
    let perhaps = |place: String, path: &str| {
        format!(
            "{place}: no mount, config or secret of the controller has `{path}`, so the image `{image}` must have the file"
        )
    };
    let components: Vec<&Component> = spec.init.iter().chain(spec.components.values()).collect();
    let mut notes = Vec::new();
    for component in components {
        let name = &component.name;
        for source in component.copy.iter().map(|copy| &copy.source).filter(|source| !files.reach(source)) {
            if files.is_bare {
                me.copy_sources.insert(source.clone(), Err(NOTHING.to_owned()));
            } else {
                notes.push(perhaps(format!("`pod.copy.{name}`"), source));
            }
        }
        for file in component.env_file.iter().filter(|file| !files.reach(&file.path)) {
            if files.is_bare {
                me.env_files.insert(file.path.clone(), Err(NOTHING.to_owned()));
            } else {
                notes.push(perhaps(format!("`{name}`, field `env_file`"), &file.path));
            }
        }
    }
    if let Some((at, path)) = raw.compose_file.as_ref().filter(|(_, path)| !path.is_empty() && !files.reach(path)) {
        if files.is_bare {
            let hint = "add the file to the controller's service as a config or a mount";
            problems.push(at.problem(format!("cannot read `{path}`: {NOTHING}")).hint(hint));
        } else {
            notes.push(perhaps("`pod.compose.file`".to_owned(), path));
        }
    }
    spec.warnings.extend(notes);
    problems
}

/// Sources of mounts that this host has: whether each is a file. For a pod of this host, or of one that is like it.
pub(super) fn host_files(spec: &PodSpec, me: &mut SelfInfo) {
    let components = spec.init.iter().chain(spec.components.values()).flat_map(|component| &component.volumes);
    let binds = components.filter(|mount| mount.kind == MountKind::Bind).filter_map(|mount| mount.source.clone());
    let own = me.container.mounts.iter().filter(|mount| mount.kind == "bind").map(|mount| mount.source.clone());
    let absolute = binds.chain(own).filter(|source| source.starts_with('/'));
    me.host_files =
        absolute.filter_map(|source| std::fs::metadata(&source).ok().map(|found| (source, !found.is_dir()))).collect();
}

/// Of a `pod.yaml` whose engine runs here: files below folders beside it, which can be looked at.
pub(super) fn beside(spec: &PodSpec, me: &mut SelfInfo, folder: &Path) {
    let mounts: Vec<(String, std::path::PathBuf)> = spec
        .controller
        .volumes
        .iter()
        .filter(|mount| mount.kind == MountKind::Bind)
        .filter_map(|mount| {
            Some((
                normal(&mount.target),
                folder.join(mount.source.as_ref().filter(|it| !it.starts_with('/'))?.trim_start_matches("./")),
            ))
        })
        // A folder that is not there yet is told already.
        .filter(|(_, source)| source.exists())
        .collect();
    let missing = |path: &str| {
        let path = normal(path);
        let below = |target: &str| {
            path.strip_prefix(target).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned)
        };
        let deepest = mounts
            .iter()
            .filter_map(|(target, source)| Some((target, source, below(target)?)))
            .max_by_key(|(target, ..)| target.len());
        let (_, source, rest) = deepest?;
        let rest = rest.trim_start_matches('/');
        // A file that is mounted by itself: joined with nothing, its path would be a directory's.
        let here = if rest.is_empty() { source.clone() } else { source.join(rest) };
        // A link may lead to what only the controller has.
        here.symlink_metadata().is_err().then(|| format!("`{}` {NOT_HERE}", here.display()))
    };
    for component in spec.init.iter().chain(spec.components.values()) {
        for source in component.copy.iter().map(|copy| &copy.source) {
            if let Some(why) = missing(source) {
                me.copy_sources.insert(source.clone(), Err(why));
            }
        }
        for file in &component.env_file {
            if let Some(why) = missing(&file.path) {
                me.env_files.insert(file.path.clone(), Err(why));
            }
        }
    }
}

/// Names of volumes that the pod knows: those that it declares, and those of the controller.
fn names(raw: &RawPod, spec: &PodSpec) -> BTreeSet<String> {
    let declared = raw.volumes.iter().filter_map(|(_, value)| value.as_object()).flatten();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (key, value) in declared {
        names.insert(key.clone());
        let given = [value.get("name"), value.pointer("/external/name")];
        names.extend(given.into_iter().flatten().filter_map(|name| name.as_str()).map(str::to_owned));
    }
    let own = spec.controller.volumes.iter().filter(|mount| mount.kind == MountKind::Volume);
    names.extend(own.filter_map(|mount| mount.source.clone()));
    names
}

/// Named volumes of components that nobody declares, each with the place of the mount.
fn undeclared<'s>(spec: &'s PodSpec, known: &BTreeSet<String>) -> Vec<(String, String, &'s str)> {
    let init =
        spec.init.iter().map(|component| ("pod.init.components".to_owned(), format!("{}.", component.name), component));
    let others = spec
        .components
        .values()
        .map(|component| (format!("pod.component.{}", component.name), String::new(), component));
    let mut found = Vec::new();
    for (label, before, component) in init.chain(others) {
        for (index, mount) in component.volumes.iter().enumerate() {
            // One that says itself how the volume is made declares it.
            let Some(name) =
                mount.source.as_deref().filter(|_| mount.kind == MountKind::Volume && mount.volume.is_none())
            else {
                continue;
            };
            if !known.contains(name) && !name.contains('$') {
                found.push((label.clone(), format!("{before}volumes[{index}]"), name));
            }
        }
    }
    found
}

/// Of a `pod.yaml`: as in a Compose file, a volume that is not declared is probably a mistyped one.
pub(super) fn volumes_of_document(raw: &RawPod, spec: &PodSpec) -> Problems {
    let known = names(raw, spec);
    let one = |(at, (label, field, name)): (usize, (String, String, &str))| {
        let problem = Problem::new(label, field, format!("volume `{name}` is not declared"));
        // Each search costs as much as there are volumes, and of no more than this the hints are shown.
        match nearest(name, known.iter().map(String::as_str).filter(|_| at < IN_ALL)) {
            Some(right) => problem.hint(format!("did you mean `{right}`?")),
            None => problem.hint(format!(
                "declare the volume at the top level of the file: `volumes: {{{name}: {{}}}}`; add `external: true` if the volume exists already"
            )),
        }
    };
    Problems(undeclared(spec, &known).into_iter().enumerate().map(one).collect())
}

/// Of a stack file: names in labels are volumes of the engine unless the service itself mounts them, which is easily missed.
pub(super) fn volumes_of_stack(raw: &RawPod, spec: &PodSpec, declared: &[(String, Option<String>)]) -> Vec<String> {
    let mut known = names(raw, spec);
    let others = declared.iter().filter(|(name, _)| known.contains(name)).filter_map(|(_, other)| other.clone());
    known.extend(others.collect::<Vec<_>>());
    let mut told = HashSet::new();
    let mut notes = Vec::new();
    for (label, field, name) in undeclared(spec, &known) {
        if told.len() > NOTES {
            // No more notes are shown, and each search costs as much as there are volumes.
            break;
        }
        let of_file = declared.iter().find(|(declared, other)| declared == name || other.as_deref() == Some(name));
        let meant =
            || nearest(name, known.iter().map(String::as_str).chain(declared.iter().map(|(name, _)| name.as_str())));
        let what = if let Some((volume, _)) = of_file {
            format!(
                "`{name}` means the engine's volume of exactly this name, not the volume of this file, whose full name begins with the stack's name; to use the volume of this file, mount it into the service too, at any path (`{volume}:/unused`)"
            )
        } else if let Some(right) = meant() {
            format!(
                "this file does not declare `{name}`, so `{name}` means a volume of the engine; did you mean `{right}`?"
            )
        } else {
            format!(
                "this file does not declare `{name}`, so `{name}` means the engine's volume of exactly this name, which all stacks share; for a volume of this stack, declare it in `volumes:` of the file and mount it into the service too (`{name}:/unused`); for one that exists already, add the label `pod.volumes: \"{name}: {{external: true}}\"`"
            )
        };
        if told.insert(name.to_owned()) {
            notes.push(format!("`{label}`, field `{field}`: {what}"));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_image_without_files_is_bare() {
        for bare in ["outrigger", "outrigger:0.1.0", "outrigger:latest", "outrigger@sha256:ab"] {
            assert!(is_bare(bare), "{bare}");
        }
        for other in ["acme/outrigger:2", "localhost:5000/outrigger", "my-outrigger", "rycus86/podlike", "${IMAGE}"] {
            assert!(!is_bare(other), "{other}");
        }
    }

    #[test]
    fn a_path_is_reached_from_above_and_from_below() {
        let files = Files { held: Some(vec!["/run/conf".to_owned(), "/etc/app/".to_owned()]), is_bare: true };
        for path in ["/run/conf", "/run/conf/a", "/run", "/etc/app/x", "/etc/../run/conf/x", "/etc/hosts", "/"] {
            assert!(files.reach(path), "{path}");
        }
        for path in ["/run/config", "/etc/apps", "/srv", "/run/con"] {
            assert!(!files.reach(path), "{path}");
        }
        assert!(Files { held: None, is_bare: true }.reach("/srv"), "who does not know all of them keeps silent");
    }
}
