//! How much a plugin may make of a batch of lines. Pure.
//!
//! A line may become several, and each of them repeats the fields of the line, so that a short answer can stand for a great many bytes. What the answer
//! would make is counted before any of it is made.

use super::{Edit, ended, narrow, part, parts, start};
use crate::hooks::Batch;
use crate::hooks::limits::{BYTES_EACH, BYTES_MORE, BYTES_MOST, LINES_EACH, LINES_MORE, LINES_MOST, LONGEST_LINE};

/// What the plugin was given: of each line where it ends and where its fields end.
#[derive(Debug)]
pub struct Seen<'a> {
    ends: &'a [u32],
    data: &'a [u8],
    field_ends: &'a [u32],
    fields: usize,
}

impl<'a> Seen<'a> {
    /// The batch that was lent to the plugin.
    #[must_use]
    pub fn of(batch: &'a Batch) -> Self {
        Self { ends: &batch.ends, data: &batch.data, field_ends: &batch.field_ends, fields: batch.fields.len() }
    }

    /// Bytes of all lines and of their fields.
    fn bytes(&self) -> usize {
        self.data.len() + self.fields
    }

    fn text(&self, line: usize) -> &'a [u8] {
        part(self.ends, self.data, line)
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
pub fn check<'e>(seen: &Seen<'_>, edit: &'e Edit) -> Result<(), String> {
    let given = seen.ends.len();
    let (most_lines, most_bytes) = most(given, seen.bytes());
    // Bytes that no line uses are an answer, too; the newlines of split lines are bytes here, but not in the lines.
    let (answered, most_answered) = (edit.data.len().max(edit.fields.len()), most_bytes + most_lines);
    if answered > most_answered {
        return Err(format!("the answer has {answered} bytes, but the limit for this batch is {most_answered}"));
    }
    let (mut lines, mut bytes, mut last) = (0, 0, 0);
    let numbers = |list: &'e [u32]| list.iter().copied().peekable();
    let (mut drops, mut joins, mut splits) = (numbers(&edit.drop), numbers(&edit.join), numbers(&edit.split));
    let mut rewrites = numbers(&edit.rewrite).zip(parts(&edit.ends, &edit.data)).peekable();
    let mut notes = numbers(&edit.annotate).zip(parts(&edit.field_ends, &edit.fields)).peekable();
    for line in 0..narrow(given) {
        if drops.next_if_eq(&line).is_some() {
            continue;
        }
        let rewritten = rewrites.next_if(|rewrite| rewrite.0 == line).map(|rewrite| ended(rewrite.1));
        let note = notes.next_if(|note| note.0 == line).map_or(0, |note| note.1.len());
        let text = rewritten.unwrap_or_else(|| seen.text(line as usize));
        if joins.next_if_eq(&line).is_some() {
            last += 1 + text.len();
            bytes += 1 + text.len();
            fits(line, last)?;
            continue;
        }
        let fields = fields(seen, line as usize, note)?;
        let (mut pieces, mut longest) = (1, text.len());
        last = text.len();
        if splits.next_if_eq(&line).is_some() {
            (longest, last) = (0, text.len());
            let mut from = 0;
            for newline in memchr::memchr_iter(b'\n', text) {
                longest = longest.max(newline - from);
                (pieces, from) = (pieces + 1, newline + 1);
            }
            last -= from;
            longest = longest.max(last);
        }
        // A line that the plugin does not touch may be longer.
        if rewritten.is_some() {
            fits(line, longest)?;
        }
        lines += pieces;
        bytes += text.len() + 1 - pieces + pieces * fields;
    }
    if lines > most_lines.max(given) {
        return Err(format!("the answer turns {given} lines into {lines} lines, but the limit is {most_lines}"));
    }
    if bytes > most_bytes.max(seen.bytes()) {
        let of = seen.bytes();
        return Err(format!(
            "the answer turns {of} bytes into {bytes} bytes (with the fields of each line), but the limit is {most_bytes}"
        ));
    }
    Ok(())
}

fn fits(line: u32, length: usize) -> Result<(), String> {
    if length > LONGEST_LINE {
        return Err(format!("the answer makes line {line} {length} bytes long, but the limit is {LONGEST_LINE}"));
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
