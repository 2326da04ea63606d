//! `outrigger schema`.

use super::argv::SchemaPart;
use super::output;
use super::report::{Exit, Report};
use crate::labels::schema::{self, Part};
use crate::plugin::schemas;

/// The JSON Schema of `pod.yaml`, of a label's value, or of a text of the contract with plugins.
pub(super) fn run(part: SchemaPart) -> Result<Exit, Report> {
    let part = match part {
        SchemaPart::Pod => Part::Pod,
        SchemaPart::Component => Part::Component,
        SchemaPart::Init => Part::Init,
        SchemaPart::Copy => Part::Copy,
        SchemaPart::Plugins => Part::Plugins,
        SchemaPart::Options => Part::Options,
        SchemaPart::Volumes => Part::Volumes,
        SchemaPart::StopGracePeriod => Part::StopGracePeriod,
        SchemaPart::Manifest => return contract("manifest"),
        SchemaPart::Setup => return contract("setup"),
        SchemaPart::Needs => return contract("needs"),
        SchemaPart::Event => return contract("event"),
        SchemaPart::Reaction => return contract("reaction"),
        SchemaPart::Rollout => return contract("rollout"),
        SchemaPart::Outcome => return contract("outcome"),
        SchemaPart::PodView => return contract("pod-view"),
    };
    output::json(&schema::of(part))?;
    Ok(Exit::Success)
}

fn contract(name: &str) -> Result<Exit, Report> {
    output::json(&schemas::of(name))?;
    Ok(Exit::Success)
}
