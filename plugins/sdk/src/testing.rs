//! The host's stand-in for native tests, and what a pod does with a verdict.
//!
//! Each thread has a host of its own, empty at first; Rust's test harness runs each test in a thread of its own.
//!
//! ```
//! use outrigger_plugin::{host, testing};
//!
//! host::count("lines", 2.0, &[("component", "app")]);
//! assert_eq!(testing::metric("lines{component=app}"), 2.0);
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::host::{Component, Done, Facts};
use crate::{Batch, Error, File, Plugin, Verdict};

/// What a plugin may see, and what it did.
#[derive(Debug, Default)]
pub struct Host {
    /// The pod's components.
    pub components: Vec<Component>,
    /// Labels of components, by component and key.
    pub component_labels: BTreeMap<(String, String), String>,
    /// The controller container's name.
    pub pod_name: String,
    /// Labels of the controller's container.
    pub pod_labels: BTreeMap<String, String>,
    /// Signals sent: component and number.
    pub signals: Vec<(String, u8)>,
    /// Files of components, by component and path.
    pub files: BTreeMap<(String, String), File>,
    /// What is known of files of components, by component and path, without their content.
    pub facts: BTreeMap<(String, String), Facts>,
    /// Files of reports that were put off.
    pub put_off: Vec<String>,
    /// Commands run: component, program with arguments, timeout.
    pub commands: Vec<(String, Vec<String>, Duration)>,
    /// What the next commands answer; success with no output, when there is nothing left.
    pub answers: VecDeque<Result<Done, Error>>,
    /// Watches added: path, debounce time, longest delay.
    pub watches: Vec<(String, Duration, Duration)>,
    /// The routing table set last.
    pub routes: Option<String>,
    /// The plugin's own store.
    pub state: BTreeMap<String, Vec<u8>>,
    /// Counters and gauges, by [`series`].
    pub metrics: BTreeMap<String, f64>,
    /// Observations of histograms, by [`series`].
    pub observations: BTreeMap<String, Vec<f64>>,
    /// Lines emitted, with their fields as [`series`] writes them.
    pub emitted: Vec<String>,
    /// What is known of the node.
    pub node_facts: Vec<(String, String)>,
    /// Labels set on the node.
    pub node_labels: BTreeMap<String, String>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Lends this thread's host, to fill it before a call and to look at it afterwards.
pub fn with<R>(look: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with_borrow_mut(look)
}

/// The value of a counter or gauge, 0 where it was never touched. Name it as [`series`] does.
#[must_use]
pub fn metric(series: &str) -> f64 {
    with(|host| host.metrics.get(series).copied().unwrap_or_default())
}

/// `name{key=value,…}`, or only `name` without labels.
#[must_use]
pub fn series(name: &str, labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

/// Makes a plugin from configuration text, as the host does.
///
/// # Errors
/// What the host would be told.
pub fn configure<P: Plugin>(config_json: &str) -> Result<P, Error> {
    P::new(crate::glue::read_config(config_json)?)
}

/// A batch after a verdict.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Lines that go on.
    pub lines: Vec<Vec<u8>>,
    /// Fields added, in the order of the lines; empty where none were.
    pub fields: Vec<String>,
    /// Lines that come again with the next batch.
    pub held: Vec<Vec<u8>>,
}

/// Does with a batch what the host does.
///
/// # Panics
/// Where the verdict breaks the contract, as the host would refuse it.
#[must_use]
#[expect(clippy::panic, clippy::indexing_slicing, reason = "a broken contract has to fail the author's test")]
pub fn apply(batch: &Batch, verdict: &Verdict) -> Judged {
    let mut judged = Judged::default();
    let edit = match verdict {
        Verdict::KeepAll => {
            judged.lines = batch.lines().map(|line| line.bytes.to_vec()).collect();
            judged.fields = vec![String::new(); judged.lines.len()];
            return judged;
        }
        Verdict::DropAll => return judged,
        Verdict::Edit(edit) => edit,
    };
    for (what, list) in [("drop", &edit.drop), ("rewrite", &edit.rewrite), ("annotate", &edit.annotate)] {
        assert!(list.is_sorted_by(|a, b| a < b), "`{what}` must ascend: {list:?}");
        assert!(list.iter().all(|index| (*index as usize) < batch.len()), "`{what}` names lines that are not there");
    }
    assert_eq!(edit.rewrite.len(), edit.ends.len(), "one end for each line rewritten");
    assert_eq!(edit.annotate.len(), edit.field_ends.len(), "one end for each line annotated");
    let piece = |data: &[u8], ends: &[u32], place: usize| {
        let from = if place == 0 { 0 } else { ends[place - 1] as usize };
        data[from..ends[place] as usize].to_vec()
    };
    let hold = if batch.is_final() { 0 } else { edit.hold as usize };
    for line in batch.lines() {
        if line.index as usize >= batch.len() - hold {
            judged.held.push(line.bytes.to_vec());
            continue;
        }
        if edit.drop.contains(&line.index) {
            if edit.rewrite.contains(&line.index) || edit.annotate.contains(&line.index) {
                panic!("line {} is dropped and changed", line.index);
            }
            continue;
        }
        let rewritten = edit.rewrite.iter().position(|index| *index == line.index);
        judged.lines.push(rewritten.map_or_else(|| line.bytes.to_vec(), |at| piece(&edit.data, &edit.ends, at)));
        let annotated = edit.annotate.iter().position(|index| *index == line.index);
        let fields = annotated.map(|at| piece(&edit.fields, &edit.field_ends, at)).unwrap_or_default();
        judged.fields.push(String::from_utf8(fields).unwrap_or_else(|_| panic!("fields are not UTF-8")));
    }
    judged
}
