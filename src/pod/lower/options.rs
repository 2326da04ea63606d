//! What holds for the pod as a whole.

use serde_json::Value;

use super::fields::{Fields, Node, Report};
use crate::labels::Place;
use crate::pod::PodOptions;

/// Lowers the label `pod.options`.
pub fn lower(at: &Place, value: &Value, report: &mut Report) -> PodOptions {
    if value.is_null() {
        return PodOptions::default();
    }
    let node = Node { at: at.clone(), value };
    let Some(mut fields) = Fields::of(&node, "a map with `drain`", report) else { return PodOptions::default() };
    let drain = fields.read("drain", Node::duration).unwrap_or_default();
    fields.done();
    PodOptions { drain }
}
