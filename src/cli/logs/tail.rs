//! The last lines of each component, from a log in which all are mixed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::StreamExt;

use super::lines::{Line, Lines};
use super::origin::{Entry, Reader};
use crate::engine::docker::{Docker, LogQuery};
use crate::engine::{EngineError, Inspection, Output};

/// How many pieces of the log are asked for first, for each line that is wanted; then so many times more, until there are enough.
const FIRST: u64 = 8;
const MORE: u64 = 8;

/// Times of the last lines that are remembered: the engine's clock may give one time to a few lines.
const TIMES: usize = 4096;

/// From where on a log has not been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadUntil {
    /// Time of the last line, in nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// How many lines of this time or a later one have been read.
    pub lines: usize,
}

/// The last `count` lines of each of `names`, and of whoever else is in the log, in the order of the log. The engine knows nothing of components: of one that seldom
/// writes, the whole log may have to be read.
///
/// # Errors
/// The engine's.
pub async fn tail(
    engine: &Docker,
    controller: &Inspection,
    reader: &Reader,
    query: LogQuery,
    count: u64,
    names: &BTreeSet<String>,
) -> Result<(Vec<Entry>, Option<ReadUntil>), EngineError> {
    let mut asked = count.saturating_add(1).saturating_mul(FIRST);
    let until_ns = query.until_ns;
    let is_wanted = |line: &Line| until_ns.is_none_or(|until| line.at_ns <= until);
    loop {
        // The engine would count the newer lines as well, and not show them: how many it has read would be unknown.
        let query = LogQuery { follow: false, tail: Some(asked), until_ns: None, ..query };
        let mut frames = engine.stored_log(&controller.id, controller.tty, query);
        let (mut state, mut out, mut pieces) = (Lines::default(), Vec::new(), 0);
        let mut last = Last::new(count, reader.clone());
        while let Some(frame) = frames.next().await {
            pieces += 1;
            state.push(&frame?, &mut out);
            out.drain(..).filter(is_wanted).for_each(|line| last.push(line));
        }
        // The engine counts pieces, and a line may have several: only fewer pieces than asked for are all of them.
        let is_all = pieces < asked;
        let read_until = last.read_until();
        if !is_all {
            last.without_torn();
        }
        if is_all || last.has_enough_of(names) || asked == u64::MAX {
            return Ok((last.end(), read_until));
        }
        asked = asked.saturating_mul(MORE);
    }
}

/// The last lines of each component.
struct Last {
    count: usize,
    reader: Reader,
    read: usize,
    times: VecDeque<i64>,
    /// The first line of each stream: its beginning may be missing.
    first: [Option<usize>; 2],
    /// With their places in the log.
    kept: BTreeMap<Option<String>, VecDeque<(usize, Entry)>>,
}

impl Last {
    fn new(count: u64, reader: Reader) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Self { count, reader, read: 0, times: VecDeque::new(), first: [None, None], kept: BTreeMap::new() }
    }

    fn push(&mut self, line: Line) {
        if self.times.len() == TIMES {
            self.times.pop_front();
        }
        self.times.push_back(line.at_ns);
        if let Some(first) = self.first.get_mut(usize::from(line.output == Output::Stderr)) {
            first.get_or_insert(self.read);
        }
        let entry = self.reader.read(line);
        let kept = self.kept.entry(entry.component.clone()).or_default();
        kept.push_back((self.read, entry));
        if kept.len() > self.count {
            kept.pop_front();
        }
        self.read += 1;
    }

    fn read_until(&self) -> Option<ReadUntil> {
        let at_ns = *self.times.back()?;
        Some(ReadUntil { at_ns, lines: self.times.iter().filter(|at| **at >= at_ns).count() })
    }

    fn without_torn(&mut self) {
        let first = self.first;
        self.kept.values_mut().for_each(|kept| kept.retain(|(place, _)| !first.contains(&Some(*place))));
    }

    fn has_enough_of(&self, names: &BTreeSet<String>) -> bool {
        names.iter().all(|name| self.kept.get(&Some(name.clone())).is_some_and(|kept| kept.len() >= self.count))
    }

    fn end(self) -> Vec<Entry> {
        let mut all: Vec<(usize, Entry)> = self.kept.into_values().flatten().collect();
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LineFormat;

    fn last(count: u64, lines: &[(i64, &str)]) -> Last {
        let mut last = Last::new(count, Reader::new(LineFormat::Text, false));
        for (at_ns, text) in lines {
            let text = text.as_bytes().to_vec();
            last.push(Line { at_ns: *at_ns, output: Output::Stdout, text, is_whole: true });
        }
        last
    }

    fn texts(last: Last) -> Vec<String> {
        last.end().into_iter().map(|entry| String::from_utf8(entry.text).unwrap()).collect()
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const LOG: [(i64, &str); 5] =
        [(1, "torn"), (2, "[out] a: 1"), (3, "[out] b: 2"), (3, "[out] a: 3"), (3, "[out] a: 4")];

    #[test]
    fn each_component_has_its_last_lines_in_the_order_of_the_log() {
        let two = last(2, &LOG);
        assert!(!two.has_enough_of(&names(&["a", "b"])), "of `b` there may be more");
        assert!(two.has_enough_of(&names(&["a"])));
        assert_eq!(two.read_until(), Some(ReadUntil { at_ns: 3, lines: 3 }));
        assert_eq!(texts(two), ["torn", "2", "3", "4"]);
        assert_eq!(texts(last(1, &LOG)), ["torn", "2", "4"]);
        assert_eq!(texts(last(0, &LOG)), Vec::<String>::new());
        assert_eq!(last(1, &[]).read_until(), None);
    }

    #[test]
    fn the_first_line_of_a_part_counts_for_nobody() {
        let mut part = last(3, &LOG);
        part.without_torn();
        assert_eq!(texts(part), ["1", "2", "3", "4"]);
        let mut part = last(1, &LOG[2..]);
        part.without_torn();
        assert!(!part.has_enough_of(&names(&["b"])));
    }
}
