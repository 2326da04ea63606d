use super::*;

fn places(regex: &str, text: &str) -> Vec<(usize, usize)> {
    let regex = regex::bytes::RegexBuilder::new(regex).unicode(false).build().unwrap();
    let (mut all, work) = (Vec::new(), Work::for_line(text.len(), &std::rc::Rc::default()));
    find(&regex, text.as_bytes(), &work, &mut |start, end| all.push((start, end)));
    assert!(!work.is_spent(), "{regex} in {} bytes", text.len());
    all
}

/// What the crate's own iterators answer, on the text as a whole.
fn expected(regex: &str, text: &str) -> Vec<(usize, usize)> {
    let regex = regex::bytes::RegexBuilder::new(regex).unicode(false).build().unwrap();
    let group = usize::from(regex.captures_len() > 1);
    let all = regex.captures_iter(text.as_bytes()).filter_map(|groups| groups.get(group));
    all.map(|place| (place.start(), place.end())).filter(|(start, end)| start < end).collect()
}

#[test]
fn pieces_change_no_match() {
    for regex in ["x[0-9]+", "x([0-9]+)", "^x[0-9]", "[0-9]$", r"\bx7[0-9]*\b", "z*", "(a)|x12", "x9 +x"] {
        for spaces in [1, 100, 5000] {
            let words: Vec<String> = (0..if spaces > 100 { 60 } else { 900 }).map(|n| format!("x{n}")).collect();
            let text = words.join(&" ".repeat(spaces));
            assert_eq!(places(regex, &text), expected(regex, &text), "{regex} with {spaces} spaces");
        }
    }
}

#[test]
fn a_match_is_found_wherever_a_piece_ends() {
    for before in PIECE - 12..PIECE + 3 {
        let text = format!("{}order-12345{}", " ".repeat(before), " ".repeat(3 * PIECE));
        assert_eq!(places("order-([0-9]+)", &text), [(before + 6, before + 11)], "behind {before} bytes");
    }
}

#[test]
fn searches_count_as_steps() {
    let regex = Regex::new("a|b").unwrap();
    let text = "a".repeat(1 << 20);
    let work = Work::for_line(text.len(), &std::rc::Rc::default());
    let mut count = 0;
    find(&regex, text.as_bytes(), &work, &mut |_, _| count += 1);
    assert!(work.is_spent() && count < text.len());
}
