//! What plugins' edits do to a batch of lines. Pure.
//!
//! [`Passage`] takes a batch through several plugins. Each sees what the one before it made of the lines. Lines that any of them holds back come again, with
//! the next batch and as they were at first, to all of them; so an edit of such a line is not applied now.

use serde_json::{Map, Value};

use crate::hooks::{Batch, HELD_BYTES, HELD_LINES, Judged};
use crate::pod::PluginName;

pub mod bounds;

/// What a plugin says about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one for a batch, and never a list of them")]
pub enum Verdict {
    /// All lines stay as they are.
    KeepAll,
    /// No line stays.
    DropAll,
    /// Some change.
    Edit(Edit),
}

/// What becomes of the lines of a batch. Indexes count from 0 and ascend; texts are packed, each behind the other, with the ends of each beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Lines that go.
    pub drop: Vec<u32>,
    /// Lines that become a part of the line before them.
    pub join: Vec<u32>,
    /// Lines that get another text.
    pub rewrite: Vec<u32>,
    /// Where each text of `data` ends.
    pub ends: Vec<u32>,
    /// The new texts.
    pub data: Vec<u8>,
    /// Lines that become one line for each part between newlines.
    pub split: Vec<u32>,
    /// Lines that get fields.
    pub annotate: Vec<u32>,
    /// Where each object of `fields` ends.
    pub field_ends: Vec<u32>,
    /// JSON objects.
    pub fields: Vec<u8>,
    /// So many of the last lines come again with the next batch.
    pub hold: u32,
}

impl Edit {
    /// Whether all lines stay as they are.
    fn changes_nothing(&self) -> bool {
        [&self.drop, &self.join, &self.rewrite, &self.split, &self.annotate].iter().all(|list| list.is_empty())
    }
}

/// Checks an edit of a batch of so many lines.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn check(lines: usize, edit: &Edit) -> Result<(), String> {
    indexes("drop", &edit.drop, lines)?;
    indexes("join", &edit.join, lines)?;
    indexes("split", &edit.split, lines)?;
    indexes("rewrite", &edit.rewrite, lines)?;
    indexes("annotate", &edit.annotate, lines)?;
    packed("rewrite", "ends", edit.rewrite.len(), &edit.ends, edit.data.len())?;
    packed("annotate", "field-ends", edit.annotate.len(), &edit.field_ends, edit.fields.len())?;
    let (dropped, joined) = (("drop", &edit.drop), ("join", &edit.join));
    let (rewritten, split, annotated) =
        (("rewrite", &edit.rewrite), ("split", &edit.split), ("annotate", &edit.annotate));
    for (one, other) in [
        (dropped, joined),
        (dropped, rewritten),
        (dropped, split),
        (dropped, annotated),
        (joined, split),
        // The record has the fields of its first line.
        (joined, annotated),
    ] {
        if let Some(index) = other.1.iter().find(|index| one.1.binary_search(index).is_ok()) {
            return Err(format!("line {index} is in `{}` and in `{}`", one.0, other.0));
        }
    }
    if let Some(&first) = edit.join.first()
        && (0..first).all(|line| edit.drop.binary_search(&line).is_ok())
    {
        return Err(format!("line {first} is in `join`, but no line is left before it"));
    }
    for (index, text) in edit.annotate.iter().zip(parts(&edit.field_ends, &edit.fields)) {
        if !is_object(text) {
            return Err(format!("the fields of line {index} are not a JSON object"));
        }
    }
    if edit.hold as usize > lines {
        return Err(format!("`hold` is {}, but the batch has {lines} lines", edit.hold));
    }
    Ok(())
}

fn indexes(name: &str, list: &[u32], lines: usize) -> Result<(), String> {
    if list.iter().zip(list.iter().skip(1)).any(|(a, b)| a >= b) {
        return Err(format!("the indexes in `{name}` do not ascend"));
    }
    match list.last() {
        Some(&last) if last as usize >= lines => {
            Err(format!("`{name}` names line {last}, but the batch has {lines} lines"))
        }
        _ => Ok(()),
    }
}

fn packed(name: &str, ends_name: &str, count: usize, ends: &[u32], bytes: usize) -> Result<(), String> {
    if ends.len() != count {
        return Err(format!("`{name}` names {count} lines, but `{ends_name}` has {} ends", ends.len()));
    }
    if ends.iter().zip(ends.iter().skip(1)).any(|(a, b)| a > b) {
        return Err(format!("the numbers in `{ends_name}` descend"));
    }
    match ends.last() {
        Some(&last) if last as usize > bytes => {
            Err(format!("`{ends_name}` ends at {last}, but there are {bytes} bytes"))
        }
        _ => Ok(()),
    }
}

fn is_object(text: &[u8]) -> bool {
    let object = text.trim_ascii_start().starts_with(b"{");
    object && std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

fn parts<'a>(ends: &'a [u32], bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut from = 0;
    ends.iter().map(move |&end| {
        let part = bytes.get(from..end as usize).unwrap_or_default();
        from = end as usize;
        part
    })
}

fn part<'a>(ends: &[u32], bytes: &'a [u8], index: usize) -> &'a [u8] {
    bytes.get(start(ends, index)..start(ends, index + 1)).unwrap_or_default()
}

/// Where part `index` begins.
fn start(ends: &[u32], index: usize) -> usize {
    index.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |&end| end as usize)
}

/// A batch on its way through the plugins.
#[derive(Debug)]
pub struct Passage {
    /// As it came; none while no plugin has changed it.
    original: Option<Batch>,
    current: Batch,
    /// For each current line, which line of the original it comes from; empty while they are the same.
    origin: Vec<u32>,
    /// Original lines from this one on are held back.
    held_from: usize,
    /// Lines that a plugin would have held back beyond what may be held.
    released: usize,
    /// So many of the original lines each plugin had before this passage.
    seen: Vec<(PluginName, u32)>,
    /// Before this original line were the lines that each plugin has had in this passage.
    shown: Vec<(PluginName, usize)>,
}

impl Passage {
    /// Before the first plugin.
    #[must_use]
    pub fn new(mut batch: Batch) -> Self {
        let held_from = batch.len();
        let seen = std::mem::take(&mut batch.seen);
        Self { original: None, current: batch, origin: Vec::new(), held_from, released: 0, seen, shown: Vec::new() }
    }

    /// The lines as they are now.
    pub fn current(&mut self) -> &mut Batch {
        &mut self.current
    }

    /// The lines for this plugin, which is the next one.
    pub fn next(&mut self, plugin: &PluginName) -> &mut Batch {
        let before = self.seen.iter().find(|(name, _)| name == plugin).map_or(0, |(_, lines)| *lines as usize);
        let again = (0..self.current.len()).take_while(|&line| self.origin_of(line) < before).count();
        self.current.again = narrow(again);
        self.shown.push((plugin.clone(), self.held_from));
        &mut self.current
    }

    /// Lines that a plugin would have held back beyond what may be held, and that are written.
    #[must_use]
    pub fn released(&self) -> usize {
        self.released
    }

    /// Applies a plugin's verdict on the current lines, which [`check`] has accepted.
    pub fn apply(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::KeepAll => {}
            Verdict::DropAll => {
                let empty = Batch::like(&self.current);
                self.replace(empty, Vec::new());
            }
            Verdict::Edit(edit) => {
                let decided = self.hold(edit.hold as usize);
                if edit.changes_nothing() && decided == self.current.len() {
                    return;
                }
                let (batch, origin) = rebuild(&self.current, &self.origin, edit, decided);
                self.replace(batch, origin);
            }
        }
    }

    fn replace(&mut self, batch: Batch, origin: Vec<u32>) {
        let before = std::mem::replace(&mut self.current, batch);
        self.original.get_or_insert(before);
        self.origin = origin;
    }

    fn origin_of(&self, line: usize) -> usize {
        self.origin.get(line).map_or(line, |&origin| origin as usize)
    }

    /// Holds back lines at the tail; answers how many current lines are decided. A line that became several is held whole.
    fn hold(&mut self, lines: usize) -> usize {
        let all = self.current.len();
        if lines == 0 || self.current.is_final() {
            return all;
        }
        let mut decided = all.saturating_sub(lines);
        let first = self.origin_of(decided);
        while decided > 0 && self.origin_of(decided - 1) == first {
            decided -= 1;
        }
        let original = self.original.as_ref().unwrap_or(&self.current);
        let bytes = original.data.len().saturating_sub(start(&original.ends, first))
            + original.fields.len().saturating_sub(start(&original.field_ends, first));
        if original.len() - first > HELD_LINES || bytes > HELD_BYTES {
            self.released = self.released.max(original.len() - first);
            return all;
        }
        self.held_from = self.held_from.min(first);
        decided
    }

    /// After the last plugin.
    #[must_use]
    pub fn finish(self) -> Judged {
        let original = self.original.as_ref().unwrap_or(&self.current);
        let mut hold = Batch { flush: false, last: false, ..Batch::like(&self.current) };
        append(&mut hold, original, self.held_from, original.len());
        let shown = self.shown.into_iter().map(|(plugin, end)| (plugin, narrow(end.saturating_sub(self.held_from))));
        hold.seen = shown.filter(|(_, lines)| *lines > 0).collect();
        Judged { keep: self.current, hold, released: self.released as u64 }
    }
}

/// Appends lines `from..to` of a batch, unchanged.
fn append(out: &mut Batch, batch: &Batch, from: usize, to: usize) {
    if from >= to {
        return;
    }
    let fields = (start(&batch.field_ends, from), start(&batch.field_ends, to));
    if batch.field_ends.is_empty() {
        if !out.field_ends.is_empty() {
            pad_fields(out, to - from);
        }
    } else {
        pad_fields_to(out, out.len());
        move_ends(&mut out.field_ends, out.fields.len(), batch.field_ends.get(from..to), fields.0);
        out.fields.extend_from_slice(batch.fields.get(fields.0..fields.1).unwrap_or_default());
    }
    let bytes = (start(&batch.ends, from), start(&batch.ends, to));
    move_ends(&mut out.ends, out.data.len(), batch.ends.get(from..to), bytes.0);
    out.data.extend_from_slice(batch.data.get(bytes.0..bytes.1).unwrap_or_default());
    out.times.extend_from_slice(batch.times.get(from..to).unwrap_or_default());
}

fn move_ends(out: &mut Vec<u32>, base: usize, ends: Option<&[u32]>, from: usize) {
    out.extend(ends.unwrap_or_default().iter().map(|&end| narrow(end as usize - from + base)));
}

fn narrow(length: usize) -> u32 {
    // A batch has 64 KiB and a few held lines, or what `bounds` lets plugins make of those: megabytes.
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn pad_fields(out: &mut Batch, lines: usize) {
    let end = narrow(out.fields.len());
    out.field_ends.extend(std::iter::repeat_n(end, lines));
}

fn pad_fields_to(out: &mut Batch, lines: usize) {
    pad_fields(out, lines.saturating_sub(out.field_ends.len()));
}

/// Applies an edit to the first `decided` lines.
fn rebuild<'e>(batch: &Batch, origin: &[u32], edit: &'e Edit, decided: usize) -> (Batch, Vec<u32>) {
    let mut out = Batch::like(batch);
    out.data.reserve(batch.data.len());
    out.ends.reserve(batch.ends.len());
    out.times.reserve(batch.times.len());
    let mut origins = Vec::with_capacity(batch.len());
    let from_where = |line: usize| origin.get(line).copied().unwrap_or_else(|| narrow(line));

    let lines = |list: &'e [u32]| list.iter().map(|&line| line as usize).peekable();
    let (mut drops, mut joins, mut splits) = (lines(&edit.drop), lines(&edit.join), lines(&edit.split));
    let mut rewrites = lines(&edit.rewrite).zip(parts(&edit.ends, &edit.data)).peekable();
    let mut notes = lines(&edit.annotate).zip(parts(&edit.field_ends, &edit.fields)).peekable();
    let mut line = 0;
    while line < decided {
        let plain = [drops.peek().copied(), joins.peek().copied(), splits.peek().copied()];
        let texts = [rewrites.peek().map(|r| r.0), notes.peek().map(|n| n.0)];
        let next = plain.into_iter().chain(texts).flatten().min().unwrap_or(decided).min(decided);
        append(&mut out, batch, line, next);
        origins.extend((line..next).map(from_where));
        line = next;
        if line == decided {
            break;
        }
        if drops.next_if_eq(&line).is_none() {
            let text = rewrites.next_if(|r| r.0 == line).map(|r| ended(r.1));
            let text = text.unwrap_or_else(|| part(&batch.ends, &batch.data, line));
            let note = notes.next_if(|n| n.0 == line).map(|n| n.1);
            let had = part(&batch.field_ends, &batch.fields, line);
            let merged = note.map(|note| merged(had, note));
            let time = batch.times.get(line).copied().unwrap_or_default();
            let mut each = |piece: &[u8]| {
                push(&mut out, piece, time, merged.as_deref().unwrap_or(had));
                origins.push(from_where(line));
            };
            if joins.next_if_eq(&line).is_some() {
                join(&mut out, text);
            } else if splits.next_if_eq(&line).is_some() {
                text.split(|&byte| byte == b'\n').for_each(each);
            } else {
                each(text);
            }
        }
        line += 1;
    }
    (out, origins)
}

/// A text without the newline at its end, which begins no further line.
fn ended(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\n").unwrap_or(text)
}

/// Appends a text to the last line.
fn join(out: &mut Batch, text: &[u8]) {
    out.data.push(b'\n');
    out.data.extend_from_slice(text);
    let end = narrow(out.data.len());
    if let Some(last) = out.ends.last_mut() {
        *last = end;
    }
}

fn push(out: &mut Batch, text: &[u8], time: u64, fields: &[u8]) {
    if !fields.is_empty() || !out.field_ends.is_empty() {
        pad_fields_to(out, out.len());
        out.fields.extend_from_slice(fields);
        out.field_ends.push(narrow(out.fields.len()));
    }
    out.data.extend_from_slice(text);
    out.ends.push(narrow(out.data.len()));
    out.times.push(time);
}

/// `note` merged into the fields of a line; both are JSON objects, and the note's values win. Never longer than both together, as [`bounds`] counts on.
fn merged(had: &[u8], note: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(had) else { return note.to_vec() };
    if object.is_empty() {
        return note.to_vec();
    }
    object.extend(serde_json::from_slice::<Map<String, Value>>(note).unwrap_or_default());
    match serde_json::to_vec(&object) {
        Ok(merged) if merged.len() <= had.len() + note.len() => merged,
        // A number can get longer (`1e9` becomes `1000000000.0`): then the objects are joined as they were written, and readers take the later of two keys.
        _ => {
            let (Some(head), Some(tail)) = (
                had.trim_ascii().strip_suffix(b"}"),
                note.trim_ascii().strip_prefix(b"{").map(<[u8]>::trim_ascii_start),
            ) else {
                return note.to_vec();
            };
            let comma: &[u8] = if tail == b"}" { b"" } else { b"," };
            [head, comma, tail].concat()
        }
    }
}

#[cfg(test)]
mod tests;
