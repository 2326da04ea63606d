//! `outrigger schema`.

use super::argv::SchemaPart;
use super::output;
use super::report::{Exit, Report};
use crate::labels::schema::{self, Part};

/// The JSON Schema of `pod.yaml`, or of a label's value.
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
    };
    output::json(&schema::of(part))?;
    Ok(Exit::Success)
}
