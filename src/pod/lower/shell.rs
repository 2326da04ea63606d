//! Commands that are written as text and begin no shell: whoever writes `a && b` there means one.

use super::fields::{Node, Report};

/// Warns of a text that only a shell would read as it is meant.
pub fn warn(node: &Node<'_>, report: &mut Report) {
    let Some(operator) = node.value.as_str().and_then(operator) else { return };
    let what = format!("no shell reads this command, so `{operator}` is an ordinary argument of the program");
    let hint = "for a shell, write a list whose last item is the whole line: `[sh, -c, \"…\"]`; otherwise put the argument in quotes";
    report.warn(&node.problem(what).hint(hint));
}

/// A character, and whether it stands outside quotes.
type Char = (char, bool);

/// The first operator of a shell that is not in quotes.
fn operator(line: &str) -> Option<String> {
    words(line).into_iter().find_map(|word| of_word(&word))
}

/// Split at white space as a shell does it, quotes and all.
fn words(line: &str) -> Vec<Vec<Char>> {
    let mut words = vec![Vec::new()];
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                words.last_mut().into_iter().for_each(|word| word.extend(chars.next().map(|c| (c, false))));
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.push(Vec::new()),
            (c, quote) => words.last_mut().into_iter().for_each(|word| word.push((c, quote.is_none()))),
        }
    }
    words
}

fn of_word(word: &[Char]) -> Option<String> {
    // What is in quotes is none of it.
    let bare: String = word.iter().map(|(c, is_bare)| if *is_bare { *c } else { '\0' }).collect();
    if matches!(bare.as_str(), "|" | "|&" | "&" | ";") {
        return Some(bare);
    }
    // In the middle of a word they may well be a part of an argument, such as an address or a pattern.
    let redirected = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    for operator in ["&>", ">>", "<<", ">", "<"] {
        if redirected.starts_with(operator) {
            return Some(operator.to_owned());
        }
    }
    let within = ["&&", "||", "$("].into_iter().find(|operator| bare.contains(operator));
    within.or_else(|| bare.ends_with(';').then_some(";")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::operator;

    #[test]
    fn operators_are_found_outside_quotes() {
        for (line, expected) in [
            ("echo db refused; exit 1", ";"),
            ("echo a ; b", ";"),
            ("test -e /f || exit 1", "||"),
            ("a&&b", "&&"),
            ("a && b", "&&"),
            ("ps | grep x", "|"),
            ("sleep 5 &", "&"),
            ("echo x > /f", ">"),
            ("echo x 2>/dev/null", ">"),
            ("echo x >>/f", ">>"),
            ("a &>/f", "&>"),
            ("cat < /f", "<"),
            ("test $(cat /f) = 1", "$("),
            ("sh -c echo a; exit 1", ";"),
        ] {
            assert_eq!(operator(line).as_deref(), Some(expected), "{line}");
        }
        for line in [
            "",
            "true",
            "sh -c 'a && b > c; d | e'",
            "sh -c \"a; b\"",
            "wget 'http://x/?a=1&b=2'",
            "wget http://x/?a=1&b=2",
            "grep a|b /f",
            "find / -exec rm {} \\;",
            "test 1 \\> 0",
            "echo \"a \\\" ; b\"",
            "echo 2",
            "psql -c 'select 1;'",
            "open 'unclosed ; quote",
            "echo $HOME",
        ] {
            assert_eq!(operator(line), None, "{line}");
        }
    }
}
