//! Reading that reports every problem at once: where a reader of [`labels`] finds a problem, what it could read is lowered all the same, and the problems of
//! both are answered.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::lower;
use crate::labels::{self, RawPod};
use crate::problem::Problems;

/// Reads the labels of a controller's container. Labels that do not begin with `pod.` are left alone.
///
/// # Errors
/// Every problem of every label, those that only lowering finds among them.
pub fn from_labels(labels: &BTreeMap<String, String>) -> Result<RawPod, Problems> {
    let (raw, problems) = labels::read_labels(labels);
    finish(raw, problems)
}

/// Reads a `pod.yaml`; `origin` is its name in messages. No variable is set.
///
/// # Errors
/// Every problem of the file, those that only lowering finds among them.
pub fn from_document(origin: &str, yaml: &str) -> Result<RawPod, Problems> {
    let (raw, problems) = labels::read_document(origin, yaml, &|_| None);
    finish(raw, problems)
}

/// Reads the JSON form of a `pod.yaml`; `origin` is its name in messages.
///
/// # Errors
/// Every problem, those that only lowering finds among them.
pub fn from_value(origin: &str, value: impl Borrow<Value>) -> Result<RawPod, Problems> {
    let (raw, problems) = labels::read_value(origin, value.borrow());
    finish(raw, problems)
}

/// Finds the pods of a text: a `pod.yaml`, a stack or Compose file (each service with `pod.*` labels is a pod), the JSON of `docker inspect` for containers or
/// services, or a bare map of labels. No variable is set. Each comes with its name: the service's, the container's, or the file's without its ending.
///
/// # Errors
/// Every problem of every pod, those that only lowering finds among them, or that there is no pod.
pub fn sources(origin: &str, text: &str) -> Result<Vec<(String, RawPod)>, Problems> {
    let (sources, mut problems) = labels::read_sources(origin, text, &|_| None);
    let failed = !problems.is_empty() || sources.iter().any(|source| !source.problems.is_empty());
    let mut pods = Vec::new();
    for source in sources {
        problems.extend(source.problems);
        if failed {
            problems.extend(lower::lower_partly(&source.raw).1);
        } else {
            pods.push((source.name, source.raw));
        }
    }
    problems.or(pods)
}

/// Answers `raw`, or all problems: the reader's and those that lowering finds in what could be read.
fn finish(raw: RawPod, mut problems: Problems) -> Result<RawPod, Problems> {
    if problems.is_empty() {
        return Ok(raw);
    }
    problems.extend(lower::lower_partly(&raw).1);
    Err(problems)
}
