use super::*;

fn span(start: usize, end: usize, label: usize, form: Form) -> Span {
    Span { start, end, label, form }
}

fn merged(mut spans: Vec<Span>) -> Vec<(usize, usize, usize)> {
    merge(&mut spans);
    spans.into_iter().map(|span| (span.start, span.end, span.label)).collect()
}

#[test]
fn overlapping_spans_become_one_that_covers_all() {
    let plain = |start, end, label| span(start, end, label, Form::Plain);
    // The tail of the second is hidden, too.
    assert_eq!(merged(vec![plain(0, 5, 0), plain(3, 9, 1)]), [(0, 9, 0)]);
    assert_eq!(merged(vec![plain(3, 9, 1), plain(0, 5, 0), plain(8, 12, 2)]), [(0, 12, 0)]);
    assert_eq!(merged(vec![plain(0, 9, 0), plain(3, 5, 1)]), [(0, 9, 0)]);
    assert_eq!(merged(vec![plain(0, 3, 0), plain(3, 5, 1)]), [(0, 3, 0), (3, 5, 1)]);
    // What needs quotes counts, at one place.
    assert_eq!(merged(vec![plain(0, 9, 0), span(0, 5, 1, Form::Quoted)]), [(0, 9, 1)]);
}

#[test]
fn the_tail_of_an_overlap_does_not_stay_in_the_line() {
    let mut replacements = Replacements::default();
    let labels = [replacements.add("<{name}>", "a"), replacements.add("<{name}>", "b")];
    let mut spans = vec![span(3, 9, labels[0], Form::Plain), span(6, 15, labels[1], Form::Plain)];
    merge(&mut spans);
    let mut out = Vec::new();
    assert!(apply(b"ok secretsecret2 ok", &spans, &replacements, &mut out));
    assert_eq!(out, b"ok <a>2 ok");
}

#[test]
fn colours_inside_of_what_is_hidden_stay() {
    let mut replacements = Replacements::default();
    let label = replacements.add("*", "");
    let line = b"a \x1b[1mse\x1b[31mcr\\x1b[0met\x1b[0m z";
    let mut out = Vec::new();
    assert!(apply(line, &[span(6, 24, label, Form::Plain)], &replacements, &mut out));
    assert_eq!(out, b"a \x1b[1m*\x1b[31m\\x1b[0m\x1b[0m z");
}
