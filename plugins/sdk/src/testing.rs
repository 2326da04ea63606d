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

use crate::host::{Done, Entry, Facts, Level, Pod, Setup};
use crate::{Batch, Error, File, Judgement, Plugin, Problems, Rollout, Verdict};

/// What a plugin may see, and what it did.
#[derive(Debug, Default)]
pub struct Host {
    /// The pod.
    pub pod: Pod,
    /// Contents of files that the host has, by digest.
    pub contents: BTreeMap<String, Vec<u8>>,
    /// Judgements of [`crate::host::report`].
    pub reported: Vec<Judgement>,
    /// Rollouts of [`crate::host::start_rollout`].
    pub rollouts: Vec<Rollout>,
    /// Secrets of the controller, by name.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Lines of [`crate::host::log`].
    pub logged: Vec<(Level, String)>,
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
    /// The plugin's own store.
    pub state: BTreeMap<String, Entry>,
    /// The last version in the store.
    pub last_version: u64,
    /// Counters and gauges, by [`series`].
    pub metrics: BTreeMap<String, f64>,
    /// Observations of histograms, by [`series`].
    pub observations: BTreeMap<String, Vec<f64>>,
}

impl Host {
    pub(crate) fn set_state(&mut self, key: &str, value: &[u8]) -> u64 {
        self.last_version += 1;
        let version = self.last_version;
        self.state.insert(key.to_owned(), Entry { value: value.to_vec(), version });
        version
    }
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
pub fn configure<P: Plugin>(config_json: &str) -> Result<P, Problems> {
    let config = serde_json::from_str(config_json).map_err(|error| Problems::from(Error::from(error)))?;
    P::new(crate::glue::read_config(config)?)
}

/// The setup of the instances that this thread configures from now on, see [`crate::host::setup`].
pub fn set_setup(setup: Setup) {
    crate::setup::set(setup);
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
    for (what, list) in [
        ("drop", &edit.drop),
        ("join", &edit.join),
        ("rewrite", &edit.rewrite),
        ("split", &edit.split),
        ("annotate", &edit.annotate),
    ] {
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
        let is_in = |list: &[u32]| list.contains(&line.index);
        if is_in(&edit.drop) {
            if is_in(&edit.rewrite) || is_in(&edit.annotate) || is_in(&edit.join) || is_in(&edit.split) {
                panic!("line {} is dropped and changed", line.index);
            }
            continue;
        }
        let rewritten = edit.rewrite.iter().position(|index| *index == line.index);
        let text = rewritten.map_or_else(|| line.bytes.to_vec(), |at| piece(&edit.data, &edit.ends, at));
        let text = text.strip_suffix(b"\n").filter(|_| rewritten.is_some()).unwrap_or(&text);
        let annotated = edit.annotate.iter().position(|index| *index == line.index);
        let fields = annotated.map(|at| piece(&edit.fields, &edit.field_ends, at)).unwrap_or_default();
        let fields = String::from_utf8(fields).unwrap_or_else(|_| panic!("fields are not UTF-8"));
        if is_in(&edit.join) {
            if is_in(&edit.split) || is_in(&edit.annotate) {
                panic!("line {} is joined, and split or annotated", line.index);
            }
            let before = judged.lines.last_mut();
            let before = before.unwrap_or_else(|| panic!("line {} is joined, and no line is before it", line.index));
            before.push(b'\n');
            before.extend_from_slice(text);
        } else if is_in(&edit.split) {
            for part in text.split(|&byte| byte == b'\n') {
                judged.lines.push(part.to_vec());
                judged.fields.push(fields.clone());
            }
        } else {
            judged.lines.push(text.to_vec());
            judged.fields.push(fields);
        }
    }
    judged
}
