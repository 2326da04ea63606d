//! The pod's `volumes:`, and which mounts they are for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::component::options;
use super::fields::{Fields, Node, Report};
use super::mounts::is_volume_name;
use crate::labels::Place;
use crate::pod::{Mount, MountKind, VolumeSpec};

/// The volumes that are declared, by the name that mounts know.
#[derive(Debug, Default)]
pub struct Volumes(BTreeMap<String, Declared>);

#[derive(Debug)]
struct Declared {
    /// What the engine calls it.
    name: String,
    /// None for one that somebody else makes.
    spec: Option<VolumeSpec>,
}

impl Volumes {
    /// Reads the label `pod.volumes`.
    pub fn of(written: Option<&(Place, Value)>, report: &mut Report) -> Self {
        let mut volumes = Self::default();
        let Some((at, value)) = written.filter(|(_, value)| !value.is_null()) else { return volumes };
        let node = Node { at: at.clone(), value };
        let Some(entries) = node.entries() else {
            report.push(node.expected("a map of volumes"));
            return volumes;
        };
        for (key, node) in entries.into_iter().filter(|(key, _)| !key.starts_with("x-")) {
            if !is_volume_name(key) {
                report.push(node.problem(format!("`{key}` is not a volume name")));
            }
            let declared = declared(key, &node, report);
            volumes.0.insert(key.to_owned(), declared);
        }
        volumes
    }

    /// A mount that names a declared volume gets the engine's name of it, and how it is made.
    #[must_use]
    pub fn resolved(&self, mut mount: Mount) -> Mount {
        let named = mount.source.as_ref().filter(|_| mount.kind == MountKind::Volume);
        if let Some(declared) = named.and_then(|source| self.0.get(source)) {
            mount.source = Some(declared.name.clone());
            if let Some(spec) = &declared.spec {
                // What the mount itself says of the volume stands over what holds for all of its mounts.
                let own = mount.volume.take().unwrap_or_default();
                let mut spec = spec.clone();
                spec.labels.extend(own.labels);
                spec.driver_opts.extend(own.driver_opts);
                if !own.driver.is_empty() {
                    spec.driver = own.driver;
                }
                mount.volume = Some(spec).filter(|spec| *spec != VolumeSpec::default());
            }
        }
        mount
    }
}

fn declared(key: &str, node: &Node<'_>, report: &mut Report) -> Declared {
    let mut declared = Declared { name: key.to_owned(), spec: Some(VolumeSpec::default()) };
    if node.value.is_null() {
        return declared;
    }
    let Some(mut fields) = Fields::of(node, "a map with `driver`, or nothing", report) else { return declared };
    let name = fields.read("name", |node| {
        let name = node.word()?;
        if is_volume_name(&name) { Ok(name) } else { Err(node.problem(format!("`{name}` is not a volume name"))) }
    });
    let mut old_name = None;
    let external = fields.many("external", |node, report| {
        if node.value.is_object() {
            // How old Compose files say it.
            let mut fields = Fields::of(node, "`true` or `false`", report)?;
            old_name = fields.read("name", Node::word);
            fields.done();
            return Some(true);
        }
        report.problems.take(node.bool())
    });
    let spec = spec(&mut fields);
    super::engine::volume(node, &spec, fields.report);
    fields.done();
    if external.flatten().unwrap_or_default() {
        if spec != VolumeSpec::default() {
            report.push(
                node.problem(
                    "an external volume exists already, so `driver`, `driver_opts` and `labels` have no effect",
                )
                .hint("remove these keys, or remove `external`"),
            );
        }
        declared.spec = None;
    } else {
        declared.spec = Some(spec);
    }
    if let Some(name) = name.or(old_name) {
        declared.name = name;
    }
    declared
}

/// How a volume is made.
pub fn spec(fields: &mut Fields<'_, '_>) -> VolumeSpec {
    VolumeSpec {
        driver: fields.read("driver", Node::word).unwrap_or_default(),
        driver_opts: fields.many("driver_opts", options).unwrap_or_default(),
        labels: fields.many("labels", options).unwrap_or_default(),
    }
}
