use proptest::prelude::*;

use super::super::{Passage, Verdict};
use super::*;
use crate::engine::Output;
use crate::pod::ComponentName;

fn given(lines: &[(&[u8], &[u8])]) -> Batch {
    let mut batch = Batch::new(ComponentName::new("app").unwrap(), Output::Stdout);
    for (text, fields) in lines {
        super::super::push(&mut batch, text, 0, fields);
    }
    batch
}

fn seen(batch: &Batch) -> Seen<'_> {
    Seen::of(batch)
}

/// Each text with newlines becomes several lines.
fn rewriting(lines: &[(u32, &[u8])]) -> Edit {
    let mut edit = Edit::default();
    for (line, text) in lines {
        edit.rewrite.push(*line);
        edit.data.extend_from_slice(text);
        edit.ends.push(narrow(edit.data.len()));
        if text.contains(&b'\n') {
            edit.split.push(*line);
        }
    }
    edit
}

fn annotating(mut edit: Edit, lines: &[(u32, &[u8])]) -> Edit {
    for (line, fields) in lines {
        edit.annotate.push(*line);
        edit.fields.extend_from_slice(fields);
        edit.field_ends.push(narrow(edit.fields.len()));
    }
    edit
}

fn object(bytes: usize) -> Vec<u8> {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes.saturating_sub(8))).into_bytes()
}

#[track_caller]
fn refused(batch: &Batch, edit: &Edit, expected: &str) {
    assert_eq!(check(&seen(batch), edit).unwrap_err(), expected);
}

#[test]
fn a_line_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let batch = given(&[(b"a", b""), (b"b", b"")]);
    let line = vec![b'x'; LONGEST_LINE];
    assert_eq!(check(&seen(&batch), &rewriting(&[(1, &line)])), Ok(()));
    let end = [&line[..], b"\n"].concat();
    assert_eq!(check(&seen(&batch), &rewriting(&[(1, &end)])), Ok(()));
    let longer = [&line[..], b"x"].concat();
    refused(
        &batch,
        &rewriting(&[(1, &longer)]),
        "the answer makes line 1 1048577 bytes long, but the limit is 1048576",
    );
    let second = [b"first\n", &longer[..]].concat();
    refused(
        &batch,
        &rewriting(&[(0, &second)]),
        "the answer makes line 0 1048577 bytes long, but the limit is 1048576",
    );
}

#[test]
fn lines_are_counted() {
    let batch = given(&[(b"a", b""), (b"b", b"")]);
    let (most, _) = most(2, 2);
    assert_eq!(most, 2 * LINES_EACH + LINES_MORE);
    let pieces = |pieces: usize| vec![b'\n'; pieces];
    assert_eq!(check(&seen(&batch), &rewriting(&[(0, &pieces(most - 1))])), Ok(()));
    refused(
        &batch,
        &rewriting(&[(0, &pieces(most))]),
        "the answer turns 2 lines into 1033 lines, but the limit is 1032",
    );
    let dropping = Edit { drop: vec![1], ..rewriting(&[(0, &pieces(most))]) };
    assert_eq!(check(&seen(&batch), &dropping), Ok(()));
}

#[test]
fn fields_count_for_every_line_that_repeats_them() {
    let had = object(500_000);
    let batch = given(&[(b"a", &had), (b"b", b"")]);
    assert_eq!(check(&seen(&batch), &rewriting(&[(0, b"1\n2\n3\n4\n5\n6")])), Ok(()));
    let expected =
        "the answer turns 500002 bytes into 3500009 bytes (with the fields of each line), but the limit is 3048584";
    refused(&batch, &rewriting(&[(0, b"1\n2\n3\n4\n5\n6\n77")]), expected);
    let note = object(300_000);
    let edit = annotating(rewriting(&[(1, b"1\n2\n3\n4\n5\n6\n7\n8\n9")]), &[(1, &note)]);
    refused(
        &batch,
        &edit,
        "the answer turns 500002 bytes into 3200010 bytes (with the fields of each line), but the limit is 3048584",
    );
}

#[test]
fn the_fields_of_a_line_have_a_limit() {
    let had = object(LONGEST_LINE / 2);
    let batch = given(&[(b"a", &had)]);
    let note = object(LONGEST_LINE / 2 + 1);
    let expected = "the fields of line 0 have 1048577 bytes, but the limit is 1048576";
    refused(&batch, &annotating(Edit::default(), &[(0, &note)]), expected);
}

#[test]
fn bytes_that_no_line_uses_count() {
    let batch = given(&[(b"a", b"")]);
    let edit = Edit { data: vec![0; BYTES_MORE + 2000], ..Edit::default() };
    refused(&batch, &edit, "the answer has 1050576 bytes, but the limit for this batch is 1049608");
}

#[test]
fn a_chain_of_plugins_does_not_multiply() {
    let mut passage = Passage::new(given(&[(&[b'x'; 100_000], b"")]));
    for _ in 0..12 {
        // As much more as it may.
        let current = passage.current().clone();
        let (_, bytes) = most(current.len(), current.data.len());
        let first = current.lines().next().map_or(0, <[u8]>::len);
        let piece = vec![b'y'; ((bytes - current.data.len() + first) / 8).min(LONGEST_LINE)];
        let edit = rewriting(&[(0, &[&piece[..], b"\n"].concat().repeat(8))]);
        assert_eq!(check(&seen(&current), &edit), Ok(()));
        passage.apply(&Verdict::Edit(edit));
    }
    let judged = passage.finish().keep;
    assert!(judged.data.len() > BYTES_MOST - 100 && judged.data.len() <= BYTES_MOST, "{} bytes", judged.data.len());
    let one_more = rewriting(&[(0, &vec![b'z'; LONGEST_LINE])]);
    assert!(check(&seen(&judged), &one_more).is_err_and(|error| error.contains("the limit is 8388608")));
}

#[test]
fn a_number_that_gets_longer_does_not_break_the_count() {
    let numbers = |key: &str| format!("{{\"{key}\":[{}9e15] }}", "9e15,".repeat(50)).into_bytes();
    let merged = super::super::merged(&numbers("a"), &numbers("b"));
    assert!(merged.len() <= 2 * numbers("a").len());
    let read: serde_json::Value = serde_json::from_slice(&merged).unwrap();
    assert_eq!((read["a"][0].as_f64(), read["b"][50].as_f64()), (Some(9e15), Some(9e15)));
    let alone = super::super::merged(&numbers("a"), b" { } ");
    assert!(serde_json::from_slice::<serde_json::Value>(&alone).is_ok() && alone.len() <= numbers("a").len() + 5);
}

/// What becomes of one line: newlines in its new text, bytes of it, bytes of its fields.
type Fate = (Option<(usize, usize)>, Option<usize>, Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Drop,
    Join,
    Split,
    Whole,
}

fn fate() -> impl Strategy<Value = Fate> {
    let size =
        prop_oneof![4 => 0_usize..200, 1 => 0_usize..1_200_000, 1 => Just(LONGEST_LINE), 1 => Just(LONGEST_LINE + 1)];
    let newlines = prop_oneof![4 => 0_usize..5, 1 => 0_usize..10_000];
    let kind = prop_oneof![
        2 => Just(Kind::Drop), 2 => Just(Kind::Join), 4 => Just(Kind::Split), 2 => Just(Kind::Whole),
    ];
    let fields = prop_oneof![4 => 8_usize..100, 1 => 8_usize..1_200_000];
    (prop::option::of((newlines, size)), prop::option::of(fields), kind)
}

fn edit_of(fates: &[Fate]) -> Edit {
    let mut edit = Edit::default();
    for (line, (text, fields, kind)) in fates.iter().enumerate() {
        let line = narrow(line);
        let is_left = line > narrow(edit.drop.len());
        match kind {
            Kind::Drop => {
                edit.drop.push(line);
                continue;
            }
            Kind::Join if is_left => edit.join.push(line),
            Kind::Split => edit.split.push(line),
            Kind::Join | Kind::Whole => {}
        }
        if let Some((newlines, bytes)) = text {
            edit.rewrite.push(line);
            edit.data.extend(std::iter::repeat_n(b'\n', *newlines));
            edit.data.extend(std::iter::repeat_n(b'x', *bytes));
            edit.ends.push(narrow(edit.data.len()));
        }
        if let Some(bytes) = fields
            && !edit.join.contains(&line)
        {
            edit = annotating(edit, &[(line, &object(*bytes))]);
        }
    }
    edit
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever plugins answer, one after the other, what leaves is bounded; and an answer within the bounds is taken.
    #[test]
    fn what_leaves_is_bounded(answers in prop::collection::vec(prop::collection::vec(fate(), 1..6), 1..4)) {
        let first = given(&[(b"one", b""), (b"two", b"{\"had\":1}"), (b"", b""), (b"four", b""), (b"five", b"")]);
        let mut passage = Passage::new(first);
        for fates in &answers {
            let before = passage.current().clone();
            let edit = edit_of(&fates[..fates.len().min(before.len())]);
            let accepted = check(&seen(&before), &edit).is_ok();
            let mut after = Passage::new(before.clone());
            after.apply(&Verdict::Edit(edit.clone()));
            let after = after.finish().keep;
            let all = |batch: &Batch| batch.data.len() + batch.fields.len();
            let (lines, bytes) = most(before.len(), all(&before));
            let longest = after.lines().map(<[u8]>::len).max().unwrap_or(0);
            let within = after.len() <= lines && all(&after) <= bytes && longest <= LONGEST_LINE;
            if accepted {
                prop_assert!(within, "{} lines, {} bytes, longest {}", after.len(), all(&after), longest);
                passage.apply(&Verdict::Edit(edit));
            } else if edit.annotate.is_empty() {
                prop_assert!(!within, "refused, but it makes {} lines and {} bytes", after.len(), all(&after));
            }
        }
        let left = passage.finish().keep;
        prop_assert!(left.len() <= LINES_MOST && left.data.len() + left.fields.len() <= BYTES_MOST);
    }
}
