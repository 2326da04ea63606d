//! Batches of lines, and the answer to one.

use crate::Attr;
use crate::bindings::log_line::exports::outrigger::pod::log_line as wit;

/// The stream of a component that lines came from. A component with a terminal (`tty: true`) has only standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Lines of one source, for instance of one stream of one component.
#[derive(Debug)]
pub struct Batch(wit::Batch);

/// One line of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its place in the batch, from 0: what [`Edit`] calls it by.
    pub index: u32,
    /// Its bytes, without the newline; not always UTF-8.
    pub bytes: &'a [u8],
    /// Its fields, a JSON object as text; empty where it has none.
    pub fields: &'a [u8],
    /// When it was written, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
}

impl From<wit::Batch> for Batch {
    fn from(batch: wit::Batch) -> Self {
        Self(batch)
    }
}

impl Batch {
    /// A batch of these lines on standard output, for tests.
    #[must_use]
    pub fn of<L: AsRef<[u8]>>(component: &str, lines: &[L]) -> Self {
        let mut batch = wit::Batch {
            source: [("component", component), ("output", "stdout"), ("run", "1")]
                .map(|(key, value)| Attr { key: key.to_owned(), value: value.to_owned() })
                .to_vec(),
            times: vec![0; lines.len()],
            ends: Vec::with_capacity(lines.len()),
            data: Vec::new(),
            field_ends: Vec::new(),
            fields: Vec::new(),
            again: 0,
            flush: false,
            last: false,
        };
        for line in lines {
            batch.data.extend_from_slice(line.as_ref());
            batch.ends.push(offset(batch.data.len()));
        }
        Self(batch)
    }

    /// The same, as lines of this stream.
    #[must_use]
    pub fn on(mut self, output: Output) -> Self {
        let word = match output {
            Output::Stdout => "stdout",
            Output::Stderr => "stderr",
        };
        if let Some(attr) = self.0.source.iter_mut().find(|attr| attr.key == "output") {
            attr.value = word.to_owned();
        }
        self
    }

    /// The same, as the last batch of its run.
    #[must_use]
    pub fn last(mut self) -> Self {
        self.0.last = true;
        self
    }

    /// The same, as lines after which none has followed for a second.
    #[must_use]
    pub fn flush(mut self) -> Self {
        self.0.flush = true;
        self
    }

    /// An attribute of the source, for instance `component`, `output` or `run`.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.0.source.iter().find(|attr| attr.key == key).map(|attr| attr.value.as_str())
    }

    /// The component whose output it is; empty if the lines have another source.
    #[must_use]
    pub fn component(&self) -> &str {
        self.attribute("component").unwrap_or_default()
    }

    /// Which of its streams.
    #[must_use]
    pub fn output(&self) -> Output {
        if self.attribute("output") == Some("stderr") { Output::Stderr } else { Output::Stdout }
    }

    /// The number of lines at the head that this plugin has had before, because a plugin held them.
    #[must_use]
    pub fn again(&self) -> u32 {
        self.0.again
    }

    /// Whether these are the last lines of the run.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.0.last
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Nothing can be held back: these are the last lines, or some that were held for a second while nothing followed. After the latter more may come.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.0.flush || self.0.last
    }

    /// All lines as one piece, without newlines between them: a quick look whether anything is worth a closer one.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.0.data
    }

    /// The lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let Self(batch) = self;
        let (mut from, mut fields_from) = (0, 0);
        batch.ends.iter().zip(0_u32..).map(move |(&end, index)| {
            let place = index as usize;
            let bytes = batch.data.get(from..end as usize).unwrap_or_default();
            from = end as usize;
            let fields_end = batch.field_ends.get(place).map_or(fields_from, |&end| end as usize);
            let fields = batch.fields.get(fields_from..fields_end).unwrap_or_default();
            fields_from = fields_end;
            let at_ns = batch.times.get(place).copied().unwrap_or_default();
            Line { index, bytes, fields, at_ns }
        })
    }
}

/// The answer to a batch, line by line. What is not named stays as it is.
///
/// Name lines in ascending order, as [`Batch::lines`] gives them; other orders work, at some cost. Where one line is named twice, `drop` wins over the
/// others, and the later `rewrite` or `annotate` over the earlier.
#[derive(Debug)]
pub struct Edit {
    lines: u32,
    drop: Vec<u32>,
    join: Vec<u32>,
    split: Vec<u32>,
    rewrite: Packed,
    annotate: Packed,
    hold: u32,
}

impl Edit {
    /// Changes nothing so far.
    #[must_use]
    pub fn new(batch: &Batch) -> Self {
        Self {
            lines: offset(batch.len()),
            drop: Vec::new(),
            join: Vec::new(),
            split: Vec::new(),
            rewrite: Packed::default(),
            annotate: Packed::default(),
            hold: 0,
        }
    }

    /// Removes the line.
    pub fn drop(&mut self, index: u32) {
        self.drop.push(index);
    }

    /// Makes the line a part of the line before it that is left, after a newline: one record, with the time and the fields of its first line. The first
    /// line of a batch can't be joined. Fields that are added to a joined line are left out.
    pub fn join(&mut self, index: u32) {
        self.join.push(index);
    }

    /// Makes one line of each part between newlines, after [`Edit::rewrite`].
    pub fn split(&mut self, index: u32) {
        self.split.push(index);
    }

    /// Puts these bytes in place of the line. Newlines in them stay within the record, unless [`Edit::split`] is called.
    pub fn rewrite(&mut self, index: u32, bytes: &[u8]) {
        self.rewrite.data.extend_from_slice(bytes);
        self.rewrite.close(index);
    }

    /// As [`Edit::rewrite`], for who writes the line piece by piece. Nothing but appending may be done to the buffer.
    pub fn rewrite_with(&mut self, index: u32, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.rewrite.data);
        self.rewrite.close(index);
    }

    /// Adds fields to the line: a JSON object as text, merged into what it has.
    pub fn annotate(&mut self, index: u32, object: &str) {
        self.annotate.data.extend_from_slice(object.as_bytes());
        self.annotate.close(index);
    }

    /// So many lines at the tail are undecided: they come again with the next batch. Ignored when the batch is final.
    pub fn hold(&mut self, lines: u32) {
        self.hold = lines.min(self.lines);
    }

    /// The answer. Lines that the batch does not have are left out.
    #[must_use]
    pub fn verdict(mut self) -> wit::Verdict {
        ascending(&mut self.drop, self.lines);
        if self.hold == 0 && self.drop.len() == self.lines as usize && self.lines > 0 {
            return wit::Verdict::DropAll;
        }
        for list in [&mut self.join, &mut self.split] {
            ascending(list, self.lines);
            list.retain(|index| self.drop.binary_search(index).is_err());
        }
        self.split.retain(|index| self.join.binary_search(index).is_err());
        let (rewrite, ends, data) = self.rewrite.finish(&self.drop, self.lines);
        let without_fields: Vec<u32> = if self.join.is_empty() {
            self.drop.clone()
        } else {
            let mut both = [self.drop.as_slice(), &self.join].concat();
            both.sort_unstable();
            both
        };
        let (annotate, field_ends, fields) = self.annotate.finish(&without_fields, self.lines);
        let lists = [&self.drop, &self.join, &self.split, &rewrite, &annotate];
        if self.hold == 0 && lists.iter().all(|list| list.is_empty()) {
            return wit::Verdict::KeepAll;
        }
        wit::Verdict::Edit(wit::Edit {
            drop: self.drop,
            join: self.join,
            rewrite,
            ends,
            data,
            split: self.split,
            annotate,
            field_ends,
            fields,
            hold: self.hold,
        })
    }
}

/// Each index once, in order, and below `lines`.
fn ascending(list: &mut Vec<u32>, lines: u32) {
    list.retain(|&index| index < lines);
    if !list.is_sorted_by(|a, b| a < b) {
        list.sort_unstable();
        list.dedup();
    }
}

/// Pieces of bytes for some lines, one after the other.
#[derive(Debug, Default)]
struct Packed {
    index: Vec<u32>,
    ends: Vec<u32>,
    data: Vec<u8>,
}

impl Packed {
    fn close(&mut self, index: u32) {
        self.index.push(index);
        self.ends.push(offset(self.data.len()));
    }

    /// Ascending, each line once, none of `dropped`, all below `lines`.
    fn finish(self, dropped: &[u32], lines: u32) -> (Vec<u32>, Vec<u32>, Vec<u8>) {
        let clean = self.index.is_sorted_by(|a, b| a < b)
            && self.index.last().is_none_or(|&last| last < lines)
            && (dropped.is_empty() || !self.index.iter().any(|index| dropped.binary_search(index).is_ok()));
        if clean {
            return (self.index, self.ends, self.data);
        }
        let mut pieces = std::collections::BTreeMap::new();
        let mut from = 0;
        for (&index, &end) in self.index.iter().zip(&self.ends) {
            if index < lines && dropped.binary_search(&index).is_err() {
                pieces.insert(index, self.data.get(from..end as usize).unwrap_or_default());
            }
            from = end as usize;
        }
        let mut sorted = Self::default();
        for (index, piece) in pieces {
            sorted.data.extend_from_slice(piece);
            sorted.close(index);
        }
        (sorted.index, sorted.ends, sorted.data)
    }
}

/// Offsets cross as 32 bits, which is what WebAssembly has.
fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::apply;

    #[test]
    fn lines_come_with_index_and_bytes() {
        let batch = Batch::of("app", &["a", "", "bcd"]);
        let lines: Vec<_> = batch.lines().map(|line| (line.index, line.bytes)).collect();
        assert_eq!(lines, [(0, &b"a"[..]), (1, &b""[..]), (2, &b"bcd"[..])]);
    }

    #[test]
    fn nothing_named_is_keep_all_and_everything_dropped_is_drop_all() {
        let batch = Batch::of("app", &["a", "b"]);
        assert!(matches!(Edit::new(&batch).verdict(), wit::Verdict::KeepAll));
        let mut edit = Edit::new(&batch);
        edit.drop(1);
        edit.drop(0);
        assert!(matches!(edit.verdict(), wit::Verdict::DropAll));
    }

    #[test]
    fn an_empty_batch_is_kept() {
        let batch = Batch::of::<&str>("app", &[]);
        assert!(matches!(Edit::new(&batch).verdict(), wit::Verdict::KeepAll));
    }

    #[test]
    fn order_and_doubles_are_put_right() {
        let batch = Batch::of("app", &["a", "b", "c", "d"]);
        let mut edit = Edit::new(&batch);
        edit.rewrite(3, b"D");
        edit.rewrite(1, b"x");
        edit.rewrite(1, b"BB");
        edit.rewrite(0, b"gone");
        edit.rewrite(9, b"nowhere");
        edit.drop(0);
        let verdict = edit.verdict();
        let wit::Verdict::Edit(raw) = &verdict else { panic!("{verdict:?}") };
        assert_eq!((&raw.rewrite[..], &raw.ends[..], &raw.data[..]), (&[1, 3][..], &[2, 3][..], &b"BBD"[..]));
        assert_eq!(apply(&batch, &verdict).lines, [&b"BB"[..], b"c", b"D"]);
    }

    #[test]
    fn lines_are_joined_and_split() {
        let batch = Batch::of("app", &["Error: x", "  at y", "a b", "gone", "  at z"]);
        let mut edit = Edit::new(&batch);
        edit.join(1);
        edit.rewrite(2, b"a\nb\n");
        edit.split(2);
        edit.annotate(2, "{}");
        edit.drop(3);
        edit.join(3);
        edit.join(4);
        edit.annotate(4, "{}");
        let judged = apply(&batch, &edit.verdict());
        assert_eq!(judged.lines, [&b"Error: x\n  at y"[..], b"a", b"b\n  at z"]);
        assert_eq!(judged.fields, ["", "{}", "{}"]);
    }

    #[test]
    fn held_lines_are_set_apart() {
        let batch = Batch::of("app", &["a", "b", "c"]);
        let mut edit = Edit::new(&batch);
        edit.hold(2);
        edit.annotate(0, r#"{"level":"info"}"#);
        let judged = apply(&batch, &edit.verdict());
        assert_eq!((judged.lines, judged.held), (vec![b"a".to_vec()], vec![b"b".to_vec(), b"c".to_vec()]));
        assert_eq!(judged.fields, [r#"{"level":"info"}"#]);
    }
}
