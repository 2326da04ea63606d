//! How much of what is wrong is shown. A file with tens of thousands of mistakes makes a page, not megabytes; the rest is counted. Problems
//! are sorted by their places before: the first ones are those that come first in the file.

use std::borrow::Cow;

use super::{Problem, Problems};

/// So many problems are shown as text. Each takes some six lines with its place and its hint: more than these nobody reads before the first ones are corrected.
pub const SCREENFUL: usize = 20;

/// So many problems are given to programs.
pub const IN_ALL: usize = 200;

/// So many notes of one pod are shown.
pub const NOTES: usize = 100;

/// Longest part of a message, in bytes: a key can be as long as the file that it stands in.
const LONGEST: usize = 2_000;

/// The problems that are shown, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'p> {
    /// The first ones, in their order.
    pub problems: &'p [Problem],
    /// How many there are in all, shown or not.
    pub total: usize,
}

impl<'p> Shown<'p> {
    /// The first problems, at most so many.
    #[must_use]
    pub fn of(problems: &'p Problems, most: usize) -> Self {
        let all = problems.0.as_slice();
        Self { problems: all.get(..most).unwrap_or(all), total: all.len() }
    }

    /// How many are not shown.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.total - self.problems.len()
    }

    /// A line that counts those that are not shown.
    #[must_use]
    pub fn rest(&self) -> Option<String> {
        match self.missing() {
            0 => None,
            1 => Some("1 more problem is not shown".to_owned()),
            more => Some(format!("{more} more problems are not shown")),
        }
    }
}

/// A part of a message, shortened if it is very long.
#[must_use]
pub fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let kept = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{kept}… ({} more bytes)", text.len() - kept.len()))
}

/// Keeps the first [`NOTES`] notes, and adds one that counts the rest.
pub fn bound_notes(notes: &mut Vec<String>) {
    // The one that counts is not counted itself: notes may be bounded, added to, and bounded again.
    if notes.len() > NOTES + 1 {
        let rest = notes.len() - NOTES;
        notes.truncate(NOTES);
        notes.push(format!("{rest} more notes are omitted"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(count: usize) -> Problems {
        Problems((0..count).map(|at| Problem::new(format!("l{at}"), "", "unknown key")).collect())
    }

    #[test]
    fn the_first_problems_are_shown_and_the_rest_is_one_line() {
        for (count, shown, rest) in [
            (SCREENFUL, SCREENFUL, None),
            (SCREENFUL + 1, SCREENFUL, Some("1 more problem is not shown")),
            (20_000, SCREENFUL, Some("19980 more problems are not shown")),
        ] {
            let all = problems(count);
            let some = Shown::of(&all, SCREENFUL);
            assert_eq!((some.problems.len(), some.rest().as_deref()), (shown, rest), "{count}");
        }
        let text = problems(IN_ALL + 5).to_string();
        assert_eq!(text.lines().count(), IN_ALL + 1);
        assert!(
            text.starts_with("`l0`: unknown key\n`l1`: ") && text.ends_with("\n5 more problems are not shown"),
            "{text}"
        );
    }

    #[test]
    fn a_key_as_long_as_its_file_does_not_make_a_message_of_that_length() {
        let long = "ä".repeat(1 << 20);
        let told = Problems(vec![Problem::new(&long, &long, &long).hint(&long)]).to_string();
        assert!(told.len() < 5 * LONGEST && told.contains("… (2095152 more bytes)"), "{} bytes", told.len());
    }

    #[test]
    fn notes_are_bounded_and_counted() {
        let mut notes: Vec<_> = (0..300).map(|index| index.to_string()).collect();
        bound_notes(&mut notes);
        assert_eq!((notes.len(), notes.last().map(String::as_str)), (101, Some("200 more notes are omitted")));
        let before = notes.clone();
        bound_notes(&mut notes);
        assert_eq!(notes, before);
    }
}
