//! How much a plugin may make of a batch of lines. Pure.
//!
//! A line may become several, and each of them repeats the fields of the line, so that a short answer can stand for a great many bytes. What the answer
//! would make is counted before any of it is made.

use super::{Edit, narrow, part, parts, start};
use crate::hooks::Batch;
use crate::hooks::limits::{BYTES_EACH, BYTES_MORE, BYTES_MOST, LINES_EACH, LINES_MORE, LINES_MOST, LONGEST_LINE};

/// What the plugin was given: of each line where it ends and where its fields end.
#[derive(Debug)]
pub struct Seen<'a> {
    ends: &'a [u32],
    bytes: usize,
    field_ends: &'a [u32],
    fields: usize,
}

impl<'a> Seen<'a> {
    /// The batch that was lent to the plugin.
    #[must_use]
    pub fn of(batch: &'a Batch) -> Self {
        let (bytes, fields) = (batch.data.len(), batch.fields.len());
        Self { ends: &batch.ends, bytes, field_ends: &batch.field_ends, fields }
    }

    fn line(&self, line: usize) -> usize {
        start(self.ends, line + 1).saturating_sub(start(self.ends, line))
    }

    fn fields_of(&self, line: usize) -> usize {
        if self.field_ends.get(line).is_none() {
            return 0;
        }
        start(self.field_ends, line + 1).saturating_sub(start(self.field_ends, line))
    }
}

/// Most lines and bytes that a plugin may make of so many.
#[must_use]
pub fn most(lines: usize, bytes: usize) -> (usize, usize) {
    let most = |given: usize, each: usize, more: usize, most: usize| (given * each + more).min(most);
    (most(lines, LINES_EACH, LINES_MORE, LINES_MOST), most(bytes, BYTES_EACH, BYTES_MORE, BYTES_MOST))
}

/// Checks how much an edit, which [`super::check`] has accepted, makes of the lines.
///
/// # Errors
/// Which bound it breaks, for the operator.
pub fn check(seen: &Seen<'_>, edit: &Edit) -> Result<(), String> {
    let given = seen.ends.len();
    let (most_lines, most_bytes) = most(given, seen.bytes + seen.fields);
    // Bytes that no line uses are an answer, too; newlines are bytes here, but not in what becomes of the lines.
    let (answered, most_answered) = (edit.data.len().max(edit.fields.len()), most_bytes + most_lines);
    if answered > most_answered {
        return Err(format!("the answer has {answered} bytes, but the limit for this batch is {most_answered}"));
    }
    let (mut lines, mut bytes) = (given, seen.bytes + seen.fields);
    let mut grow = |line: usize, pieces: usize, text: usize, fields: usize| {
        lines = lines - 1 + pieces;
        bytes = (bytes + text + pieces * fields).saturating_sub(seen.line(line) + seen.fields_of(line));
    };
    let mut notes = edit.annotate.iter().enumerate().peekable();
    let note_of = |index: usize| part(&edit.field_ends, &edit.fields, index).len();
    for (&line, text) in edit.rewrite.iter().zip(parts(&edit.ends, &edit.data)) {
        while let Some((index, &other)) = notes.next_if(|(_, other)| **other < line) {
            let other = other as usize;
            grow(other, 1, seen.line(other), fields(seen, other, note_of(index))?);
        }
        let note = notes.next_if(|(_, other)| **other == line).map_or(0, |(index, _)| note_of(index));
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let (mut pieces, mut longest, mut from) = (1, 0, 0);
        for newline in memchr::memchr_iter(b'\n', text) {
            longest = longest.max(newline - from);
            (pieces, from) = (pieces + 1, newline + 1);
        }
        let longest = longest.max(text.len() - from);
        if longest > LONGEST_LINE {
            return Err(format!("the answer makes line {line} {longest} bytes long, but the limit is {LONGEST_LINE}"));
        }
        let line = line as usize;
        grow(line, pieces, text.len() + 1 - pieces, fields(seen, line, note)?);
    }
    for (index, &other) in notes {
        let other = other as usize;
        grow(other, 1, seen.line(other), fields(seen, other, note_of(index))?);
    }
    for &line in &edit.drop {
        grow(line as usize, 0, 0, 0);
    }
    if lines > most_lines.max(given) {
        return Err(format!("the answer turns {given} lines into {lines} lines, but the limit is {most_lines}"));
    }
    if bytes > most_bytes.max(seen.bytes + seen.fields) {
        let of = seen.bytes + seen.fields;
        return Err(format!(
            "the answer turns {of} bytes into {bytes} bytes (with the fields of each line), but the limit is {most_bytes}"
        ));
    }
    Ok(())
}

/// Bytes of the fields that the line gets, at most: those that it has and the plugin's.
fn fields(seen: &Seen<'_>, line: usize, note: usize) -> Result<usize, String> {
    let all = seen.fields_of(line) + note;
    if note > 0 && all > LONGEST_LINE {
        return Err(format!("the fields of line {} have {all} bytes, but the limit is {LONGEST_LINE}", narrow(line)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
