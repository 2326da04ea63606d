//! From what was written to what is meant.

use super::{PodSpec, Problems};
use crate::labels::RawPod;

/// Lowers a raw pod to the domain types, and reports every problem at once.
///
/// # Errors
/// All the [`Problems`] of the input.
pub fn lower(_raw: &RawPod) -> Result<PodSpec, Problems> {
    Ok(PodSpec::default())
}
