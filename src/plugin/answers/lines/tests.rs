use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, proptest};

use super::*;
use crate::engine::Output;
use crate::pod::ComponentName;

fn batch(lines: &[&str]) -> Batch {
    let mut batch = Batch::new(ComponentName::new("app").unwrap(), Output::Stdout);
    for (index, line) in lines.iter().enumerate() {
        batch.data.extend(line.as_bytes());
        batch.ends.push(narrow(batch.data.len()));
        batch.times.push(index as u64 * 10);
    }
    batch
}

fn texts(batch: &Batch) -> Vec<String> {
    batch.lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

fn fields(batch: &Batch) -> Vec<String> {
    parts(&batch.field_ends, &batch.fields).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn nothing() -> Edit {
    Edit {
        drop: vec![],
        join: vec![],
        split: vec![],
        rewrite: vec![],
        ends: vec![],
        data: vec![],
        annotate: vec![],
        field_ends: vec![],
        fields: vec![],
        hold: 0,
    }
}

/// Each text with newlines becomes several lines.
fn rewriting(lines: &[(u32, &str)]) -> Edit {
    let mut edit = nothing();
    for (line, text) in lines {
        edit.rewrite.push(*line);
        edit.data.extend(text.as_bytes());
        edit.ends.push(narrow(edit.data.len()));
        if text.contains('\n') {
            edit.split.push(*line);
        }
    }
    edit
}

fn annotating(lines: &[(u32, &str)]) -> Edit {
    let mut edit = nothing();
    for (line, text) in lines {
        edit.annotate.push(*line);
        edit.fields.extend(text.as_bytes());
        edit.field_ends.push(narrow(edit.fields.len()));
    }
    edit
}

fn through(lines: &[&str], edits: &[Edit]) -> Judged {
    let mut passage = Passage::new(batch(lines));
    for edit in edits {
        check(passage.current().len(), edit).unwrap();
        passage.apply(&Verdict::Edit(edit.clone()));
    }
    passage.finish()
}

#[test]
fn drops_rewrites_and_splits() {
    let edit = Edit { drop: vec![0, 3], ..rewriting(&[(1, "B"), (2, "c\nd\n"), (4, "")]) };
    let judged = through(&["a", "b", "c", "d", "e", "f"], &[edit]);
    assert_eq!(texts(&judged.keep), ["B", "c", "d", "", "f"]);
    assert_eq!(judged.keep.times, [10, 20, 20, 40, 50]);
    assert!(judged.keep.field_ends.is_empty() && judged.hold.is_empty());
}

#[test]
fn fields_are_merged_and_stay_with_their_lines() {
    let first = annotating(&[(1, r#"{"a":1,"b":2}"#)]);
    let second = Edit { drop: vec![0], ..annotating(&[(1, r#"{"b":3}"#), (2, "{}")]) };
    let judged = through(&["x", "y", "z", "w"], &[first, second]);
    assert_eq!(texts(&judged.keep), ["y", "z", "w"]);
    assert_eq!(fields(&judged.keep), [r#"{"a":1,"b":3}"#, "{}", ""]);
}

#[test]
fn a_rewritten_line_keeps_its_fields_for_each_part() {
    let judged = through(&["x"], &[annotating(&[(0, r#"{"a":1}"#)]), rewriting(&[(0, "p\nq")])]);
    assert_eq!(fields(&judged.keep), [r#"{"a":1}"#, r#"{"a":1}"#]);
}

#[test]
fn what_is_held_comes_as_it_was_at_first() {
    let shout = rewriting(&[(0, "A"), (1, "B"), (2, "C")]);
    let hold = Edit { hold: 2, ..nothing() };
    let judged = through(&["a", "b", "c"], &[shout, hold]);
    assert_eq!(texts(&judged.keep), ["A"]);
    assert_eq!(texts(&judged.hold), ["b", "c"]);
    assert_eq!(judged.hold.times, [10, 20]);
}

#[test]
fn a_record_of_several_lines_is_held_whole() {
    let join = Edit { join: vec![2], ..nothing() };
    let hold = Edit { hold: 1, ..nothing() };
    let judged = through(&["a", "b", "c"], &[join, hold]);
    assert_eq!(texts(&judged.keep), ["a"]);
    assert_eq!(texts(&judged.hold), ["b", "c"]);
}

#[test]
fn a_record_has_time_and_fields_of_its_first_line() {
    let edit = Edit { join: vec![1, 3], drop: vec![2], ..annotating(&[(0, r#"{"a":1}"#)]) };
    let judged = through(&["a", "b", "gone", "c", "d"], &[edit]);
    assert_eq!(texts(&judged.keep), ["a\nb\nc", "d"]);
    assert_eq!(
        (judged.keep.times.as_slice(), fields(&judged.keep)),
        (&[0, 40][..], vec![r#"{"a":1}"#.into(), String::new()])
    );
}

#[test]
fn a_line_that_became_several_is_held_whole() {
    let split = rewriting(&[(1, "b1\nb2")]);
    let hold = Edit { hold: 1, ..rewriting(&[(0, "A"), (1, "B1")]) };
    let judged = through(&["a", "b"], &[split, hold]);
    assert_eq!(texts(&judged.keep), ["A"]);
    assert_eq!(texts(&judged.hold), ["b"]);
}

#[test]
fn a_later_plugin_may_hold_what_an_earlier_one_left() {
    let first = Edit { hold: 1, ..nothing() };
    let second = Edit { hold: 1, ..nothing() };
    let judged = through(&["a", "b", "c"], &[first, second]);
    assert_eq!(
        (texts(&judged.keep), texts(&judged.hold)),
        (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()])
    );
}

#[test]
fn nothing_is_held_of_the_last_batch() {
    let mut last = batch(&["a", "b"]);
    last.last = true;
    let mut passage = Passage::new(last);
    passage.apply(&Verdict::Edit(Edit { hold: 2, drop: vec![1], ..nothing() }));
    let judged = passage.finish();
    assert_eq!(texts(&judged.keep), ["a"]);
    assert!(judged.hold.is_empty() && judged.keep.last);
}

#[test]
fn drop_all_keeps_what_an_earlier_plugin_holds() {
    let mut passage = Passage::new(batch(&["a", "b"]));
    passage.apply(&Verdict::Edit(Edit { hold: 1, ..nothing() }));
    passage.apply(&Verdict::DropAll);
    let judged = passage.finish();
    assert!(judged.keep.is_empty());
    assert_eq!(texts(&judged.hold), ["b"]);
}

#[test]
fn too_much_is_not_held() {
    let long = "x".repeat(HELD_BYTES + 1);
    let mut passage = Passage::new(batch(&["a", &long]));
    passage.apply(&Verdict::Edit(Edit { hold: 1, ..nothing() }));
    assert!(passage.released() > 0);
    let judged = passage.finish();
    assert_eq!((judged.keep.len(), judged.hold.len()), (2, 0));

    let many = vec!["x"; HELD_LINES + 1];
    let judged = through(&many, &[Edit { hold: narrow(many.len()), ..nothing() }]);
    assert_eq!((judged.keep.len(), judged.hold.len()), (many.len(), 0));
}

#[test]
fn wrong_edits_are_refused() {
    for (edit, expected) in [
        (Edit { drop: vec![2], ..nothing() }, "`drop` names line 2, but the batch has 2 lines"),
        (Edit { drop: vec![1, 0], ..nothing() }, "the indexes in `drop` do not ascend"),
        (Edit { drop: vec![1, 1], ..nothing() }, "the indexes in `drop` do not ascend"),
        (Edit { drop: vec![0], ..rewriting(&[(0, "x")]) }, "line 0 is in `drop` and in `rewrite`"),
        (Edit { drop: vec![1], ..annotating(&[(1, "{}")]) }, "line 1 is in `drop` and in `annotate`"),
        (Edit { rewrite: vec![0], ..nothing() }, "`rewrite` names 1 lines, but `ends` has 0 ends"),
        (Edit { rewrite: vec![0, 1], ends: vec![1, 0], data: vec![0], ..nothing() }, "the numbers in `ends` descend"),
        (
            Edit { rewrite: vec![0], ends: vec![5], data: vec![0], ..nothing() },
            "`ends` ends at 5, but there are 1 bytes",
        ),
        (annotating(&[(0, "[]")]), "the fields of line 0 are not a JSON object"),
        (annotating(&[(1, "{\"a\":}")]), "the fields of line 1 are not a JSON object"),
        (annotating(&[(1, "{} x")]), "the fields of line 1 are not a JSON object"),
        (Edit { join: vec![0], ..nothing() }, "line 0 is in `join`, but no line is left before it"),
        (Edit { drop: vec![0], join: vec![1], ..nothing() }, "line 1 is in `join`, but no line is left before it"),
        (Edit { drop: vec![1], join: vec![1], ..nothing() }, "line 1 is in `drop` and in `join`"),
        (Edit { drop: vec![1], split: vec![1], ..nothing() }, "line 1 is in `drop` and in `split`"),
        (Edit { join: vec![1], split: vec![1], ..nothing() }, "line 1 is in `join` and in `split`"),
        (Edit { join: vec![1], ..annotating(&[(1, "{}")]) }, "line 1 is in `join` and in `annotate`"),
        (Edit { join: vec![2], ..nothing() }, "`join` names line 2, but the batch has 2 lines"),
        (Edit { split: vec![1, 0], ..nothing() }, "the indexes in `split` do not ascend"),
        (Edit { hold: 3, ..nothing() }, "`hold` is 3, but the batch has 2 lines"),
    ] {
        assert_eq!(check(2, &edit).unwrap_err(), expected);
    }
}

/// What one line of a model becomes.
#[derive(Debug, Clone)]
enum Fate {
    Keep,
    Drop,
    Rewrite(String),
    Split(String),
    /// With a new text, or its own; if nothing is left before it, it is kept.
    Join(Option<String>),
}

fn fates() -> impl Strategy<Value = (Vec<(String, Fate)>, usize)> {
    let fate = proptest::prop_oneof![
        3 => Just(Fate::Keep),
        1 => Just(Fate::Drop),
        1 => "[a-c\n]{0,4}".prop_map(Fate::Rewrite),
        1 => "[a-c\n]{0,4}".prop_map(Fate::Split),
        2 => prop::option::of("[a-c\n]{0,4}").prop_map(Fate::Join),
    ];
    (prop::collection::vec(("[x-z]{0,3}", fate), 0..12), 0_usize..14)
}

proptest! {
    /// The packed edit does to the lines what one would do to each of them alone.
    #[test]
    fn as_if_line_by_line((lines, hold) in fates()) {
        let hold = hold.min(lines.len());
        let input: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
        let (mut rewrites, mut drops, mut joins, mut splits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut expected: Vec<String> = Vec::new();
        // Of all lines, held ones too: the edit is about them as well.
        let mut is_left = false;
        for (index, (text, fate)) in lines.iter().enumerate() {
            let (line, is_decided) = (narrow(index), index < lines.len() - hold);
            let ended = |new: &String| new.strip_suffix('\n').unwrap_or(new).to_owned();
            let mut becomes: Vec<String> = Vec::new();
            match fate {
                Fate::Keep => becomes.push(text.clone()),
                Fate::Drop => {
                    drops.push(line);
                    continue;
                },
                Fate::Rewrite(new) => {
                    rewrites.push((line, new.as_str()));
                    becomes.push(ended(new));
                },
                Fate::Split(new) => {
                    rewrites.push((line, new.as_str()));
                    splits.push(line);
                    becomes.extend(ended(new).split('\n').map(str::to_owned));
                },
                Fate::Join(new) => {
                    if let Some(new) = new {
                        rewrites.push((line, new.as_str()));
                    }
                    let text = new.as_ref().map_or_else(|| text.clone(), ended);
                    if is_left {
                        joins.push(line);
                        if is_decided && let Some(last) = expected.last_mut() {
                            last.push('\n');
                            last.push_str(&text);
                        }
                        continue;
                    }
                    becomes.push(text);
                },
            }
            is_left = true;
            if is_decided {
                expected.extend(becomes);
            }
        }
        let edit = Edit { drop: drops, join: joins, hold: narrow(hold), ..rewriting(&rewrites) };
        let edit = Edit { split: splits, ..edit };
        let judged = through(&input, &[edit]);
        prop_assert_eq!(texts(&judged.keep), expected);
        prop_assert_eq!(texts(&judged.hold), &input[input.len() - hold..]);
        prop_assert_eq!(judged.keep.times.len(), judged.keep.len());
    }

    /// Whatever a guest answers, it is refused or can be applied, and the lists of the result fit together.
    #[test]
    fn any_answer_is_refused_or_applied(
        drop in prop::collection::vec(0_u32..5, 0..4),
        rewrite in prop::collection::vec(0_u32..5, 0..4),
        ends in prop::collection::vec(0_u32..6, 0..4),
        data in prop::collection::vec(any::<u8>(), 0..6),
        join in prop::collection::vec(0_u32..5, 0..3),
        split in prop::collection::vec(0_u32..5, 0..3),
        hold in 0_u32..7,
    ) {
        let edit = Edit { drop, join, split, rewrite, ends, data, hold, ..nothing() };
        let mut passage = Passage::new(batch(&["a", "b", "c", "d"]));
        if check(passage.current().len(), &edit).is_ok() {
            passage.apply(&Verdict::Edit(edit));
            let judged = passage.finish();
            for batch in [&judged.keep, &judged.hold] {
                prop_assert_eq!(batch.ends.last().copied().unwrap_or(0) as usize, batch.data.len());
                prop_assert_eq!(batch.times.len(), batch.len());
                prop_assert_eq!(batch.lines().count(), batch.len());
            }
        }
    }
}
