//! How much of what is wrong is shown. A file with tens of thousands of mistakes makes a page, not megabytes; the rest is counted.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Problem, Problems};

/// So many problems of one label, or of one file, are shown.
pub const OF_A_LABEL: usize = 100;

/// So many problems are shown in all.
pub const IN_ALL: usize = 200;

/// So many notes of one pod are shown.
pub const NOTES: usize = 100;

/// Longest part of a message, in bytes: a key can be as long as the file that it stands in.
const LONGEST: usize = 2_000;

/// The problems that are shown, and how many are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'p> {
    /// In their order.
    pub problems: Vec<&'p Problem>,
    /// Labels that have more problems than are shown, and how many more, in the order in which they first appear. At most [`IN_ALL`] labels are named.
    pub left_out: Vec<(&'p str, usize)>,
    /// How many there are in all, shown or not.
    pub total: usize,
}

impl<'p> Shown<'p> {
    /// Chooses: the first [`OF_A_LABEL`] of each label, up to [`IN_ALL`]. Takes time in proportion to the number of problems.
    #[must_use]
    pub fn of(problems: &'p Problems) -> Self {
        let mut shown = Self { problems: Vec::new(), left_out: Vec::new(), total: problems.0.len() };
        // By label: how many are shown, and where its count is in `left_out`.
        let mut seen: HashMap<&str, (usize, Option<usize>)> = HashMap::new();
        for problem in &problems.0 {
            let (of_label, at) = seen.entry(&problem.label).or_default();
            if *of_label < OF_A_LABEL && shown.problems.len() < IN_ALL {
                *of_label += 1;
                shown.problems.push(problem);
                continue;
            }
            let place = match *at {
                Some(place) => place,
                None if shown.left_out.len() < IN_ALL => {
                    shown.left_out.push((&problem.label, 0));
                    *at.insert(shown.left_out.len() - 1)
                }
                None => continue,
            };
            if let Some((_, count)) = shown.left_out.get_mut(place) {
                *count += 1;
            }
        }
        shown
    }

    /// How many are not shown.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.total - self.problems.len()
    }

    /// A line for each label that has more problems than are shown, and one for labels that are not named.
    #[must_use]
    pub fn rest(&self) -> Vec<String> {
        let more =
            |count: usize| if count == 1 { "1 more problem".to_owned() } else { format!("{count} more problems") };
        let named: usize = self.left_out.iter().map(|(_, count)| count).sum();
        let unnamed = self.missing().saturating_sub(named);
        let mut lines: Vec<String> =
            self.left_out.iter().map(|(label, count)| format!("{} in `{}`", more(*count), cut(label))).collect();
        if unnamed > 0 {
            lines.push(format!("{} in other places", more(unnamed)));
        }
        lines
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
        notes.push(format!("{rest} more notes are not shown"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(labels: &[(&str, usize)]) -> Problems {
        let of = |(label, count): &(&str, usize)| {
            let label = (*label).to_owned();
            (0..*count).map(move |index| Problem::new(&label, format!("f{index}"), "unknown key"))
        };
        Problems(labels.iter().flat_map(of).collect())
    }

    #[test]
    fn few_problems_are_all_shown() {
        let few = problems(&[("a", OF_A_LABEL), ("b", 1)]);
        let shown = Shown::of(&few);
        assert_eq!((shown.problems.len(), shown.missing(), shown.rest()), (OF_A_LABEL + 1, 0, Vec::new()));
        assert_eq!(few.to_string().lines().count(), OF_A_LABEL + 1);
    }

    #[test]
    fn each_label_shows_its_first_ones_and_the_rest_is_counted() {
        let many = problems(&[("a", 110), ("b", 10), ("c", 81), ("d", 9), ("e", 100)]);
        let shown = Shown::of(&many);
        assert_eq!((shown.problems.len(), shown.missing()), (IN_ALL, 110));
        assert_eq!(shown.rest(), ["10 more problems in `a`", "100 more problems in `e`"]);
        let fields: Vec<_> = shown.problems.iter().take(OF_A_LABEL).map(|problem| problem.field.as_str()).collect();
        assert_eq!((fields[0], fields[99]), ("f0", "f99"));
        assert!(many.to_string().ends_with("unknown key\n10 more problems in `a`\n100 more problems in `e`"), "{many}");
    }

    #[test]
    fn all_labels_together_are_bounded_too() {
        let labels: Vec<_> = (0..1_000).map(|index| format!("pod.component.c{index}")).collect();
        let many = problems(&labels.iter().map(|label| (label.as_str(), 2)).collect::<Vec<_>>());
        let shown = Shown::of(&many);
        assert_eq!((shown.problems.len(), shown.left_out.len(), shown.missing()), (IN_ALL, IN_ALL, 1_800));
        // 100 labels are shown; of the others 200 are named with 2 problems each.
        assert_eq!(shown.rest().last().unwrap(), "1400 more problems in other places");
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
        assert_eq!((notes.len(), notes.last().map(String::as_str)), (101, Some("200 more notes are not shown")));
        let before = notes.clone();
        bound_notes(&mut notes);
        assert_eq!(notes, before);
    }
}
