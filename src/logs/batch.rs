//! From lines to batches for the plugins.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::Output;
use crate::hooks::Batch;
use crate::pod::ComponentName;

/// Lines of a batch, at most. The three limits are `on-batch`'s promise in `wit/hooks.wit`.
const LINES: usize = 256;

/// Bytes of a batch, at most; a single line may be longer.
const BYTES: usize = 64 * 1024;

/// How long the first line of a batch waits for others.
const DELAY: Duration = Duration::from_millis(20);

/// Collects lines of one stream.
#[derive(Debug)]
pub(super) struct Batcher {
    component: ComponentName,
    output: Output,
    run: u32,
    open: Batch,
    due: Option<Instant>,
    ready: VecDeque<Batch>,
}

impl Batcher {
    /// Of one run of the component.
    pub(super) fn new(component: ComponentName, output: Output, run: u32) -> Self {
        let open = Batch { run, ..Batch::new(component.clone(), output) };
        Self { component, output, run, open, due: None, ready: VecDeque::new() }
    }

    pub(super) fn push(&mut self, at_ns: u64, line: &[u8]) {
        if !self.open.is_empty() && self.open.data.len() + line.len() > BYTES {
            self.cut();
        }
        if self.open.is_empty() {
            self.due = Some(Instant::now() + DELAY);
        }
        append(&mut self.open, at_ns, line, &[]);
        if self.open.len() >= LINES || self.open.data.len() >= BYTES {
            self.cut();
        }
    }

    /// When the open batch must go, however small.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Ends the open batch.
    pub(super) fn cut(&mut self) {
        self.due = None;
        if !self.open.is_empty() {
            let empty = Batch { run: self.run, ..Batch::new(self.component.clone(), self.output) };
            self.ready.push_back(std::mem::replace(&mut self.open, empty));
        }
    }

    /// The oldest batch that was ended.
    pub(super) fn next(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }

    /// Whether [`Self::next`] would answer nothing.
    pub(super) fn is_drained(&self) -> bool {
        self.ready.is_empty()
    }

    /// Lines that are here.
    pub(super) fn lines(&self) -> usize {
        self.open.len() + self.ready.iter().map(Batch::len).sum::<usize>()
    }
}

/// Appends a line; `fields` is empty where it has none.
pub(super) fn append(batch: &mut Batch, at_ns: u64, line: &[u8], fields: &[u8]) {
    if !fields.is_empty() && batch.field_ends.is_empty() {
        batch.field_ends.resize(batch.ends.len(), 0);
    }
    let with_fields = !fields.is_empty() || !batch.field_ends.is_empty();
    batch.times.push(at_ns);
    batch.data.extend_from_slice(line);
    // A batch is far from 4 GiB: held lines, one line or 64 KiB, all bounded.
    batch.ends.push(u32::try_from(batch.data.len()).unwrap_or(u32::MAX));
    if with_fields {
        batch.fields.extend_from_slice(fields);
        batch.field_ends.push(u32::try_from(batch.fields.len()).unwrap_or(u32::MAX));
    }
}

/// Puts held lines in front of a batch.
pub(super) fn prepend(held: Batch, batch: &Batch) -> Batch {
    let mut all = held;
    each(batch, |at_ns, line, fields| append(&mut all, at_ns, line, fields));
    (all.flush, all.last) = (batch.flush, batch.last);
    all
}

/// Each line with its time and fields; trusts none of the indexes, because a plugin may have had its hands on them.
pub(super) fn each(batch: &Batch, mut line: impl FnMut(u64, &[u8], &[u8])) {
    let mut from = 0;
    for (index, text) in batch.lines().enumerate() {
        let at_ns = batch.times.get(index).copied().unwrap_or_default();
        let end = batch.field_ends.get(index).map_or(from, |&end| end as usize);
        let fields = batch.fields.get(from..end).unwrap_or_default();
        from = end;
        line(at_ns, text, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batcher() -> Batcher {
        Batcher::new(ComponentName::new("app").unwrap(), Output::Stdout, 1)
    }

    fn ready(batcher: &mut Batcher) -> Vec<usize> {
        std::iter::from_fn(|| batcher.next()).map(|batch| batch.len()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_ends_by_count_bytes_or_time() {
        let mut batcher = batcher();
        for _ in 0..257 {
            batcher.push(1, b"x");
        }
        assert_eq!(ready(&mut batcher), [256]);
        assert_eq!(batcher.due(), Some(Instant::now() + DELAY));
        batcher.push(1, &vec![b'x'; BYTES]);
        assert_eq!(ready(&mut batcher), [1, 1]);
        assert_eq!(batcher.due(), None);
    }

    #[test]
    fn held_lines_come_first_and_keep_time_and_fields() {
        let mut held = Batch::new(ComponentName::new("app").unwrap(), Output::Stdout);
        append(&mut held, 5_000, b"one", b"");
        append(&mut held, 7_000, b"two", b"{\"a\":1}");
        let mut next = Batch::new(ComponentName::new("app").unwrap(), Output::Stdout);
        append(&mut next, 9_000, b"three", b"");
        append(&mut next, 1_000, b"clock set back", b"{}");
        let mut found = Vec::new();
        each(&prepend(held, &next), |at, line, fields| {
            found.push((at, String::from_utf8_lossy(line).into_owned(), String::from_utf8_lossy(fields).into_owned()));
        });
        let expected =
            [(5_000, "one", ""), (7_000, "two", "{\"a\":1}"), (9_000, "three", ""), (1_000, "clock set back", "{}")];
        assert_eq!(found, expected.map(|(at, line, fields)| (at, line.to_owned(), fields.to_owned())));
    }

    #[test]
    fn wrong_indexes_do_no_harm() {
        let mut batch = Batch::new(ComponentName::new("app").unwrap(), Output::Stdout);
        batch.data = b"abc".to_vec();
        batch.ends = vec![2, 99, 1];
        batch.field_ends = vec![7];
        let mut found = Vec::new();
        each(&batch, |_, line, fields| found.push((line.to_vec(), fields.to_vec())));
        assert_eq!(found, [(b"ab".to_vec(), vec![]), (vec![], vec![]), (vec![], vec![])]);
    }
}
