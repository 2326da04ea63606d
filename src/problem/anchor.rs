//! Where a text of YAML uses an anchor that it does not define.

use saphyr_parser::{Event, Parser};

use super::Place;

/// A list or a map that is open.
enum Open {
    /// The index of the next item.
    List(usize),
    /// The key that waits for its value.
    Map(Option<String>),
}

/// The place at which a text stops being YAML, as far as lists and maps tell: the value that is read there.
#[must_use]
pub fn place(at: &Place, text: &str) -> Place {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, _)) = event else { break };
        let scalar = match event {
            Event::SequenceStart(..) => {
                open.push(Open::List(0));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
                None
            }
            Event::Scalar(text, ..) => Some(text.into_owned()),
            Event::Alias(_) => None,
            _ => continue,
        };
        match open.last_mut() {
            Some(Open::List(index)) => *index += 1,
            Some(Open::Map(key @ None)) => *key = Some(scalar.unwrap_or_default()),
            Some(Open::Map(key)) => *key = None,
            None => {}
        }
    }
    open.iter().fold(at.clone(), |at, open| match open {
        Open::List(index) => at.index(*index),
        Open::Map(Some(key)) => at.key(key),
        Open::Map(None) => at,
    })
}

/// The name of the anchor behind the `*` at this line and column, both from 1.
#[must_use]
pub fn name(text: &str, line: usize, column: usize) -> Option<String> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    let alias: String = line.chars().skip(column.checked_sub(1)?).collect();
    let name: String = alias
        .strip_prefix('*')?
        .chars()
        .take_while(|c| !c.is_whitespace() && !matches!(c, ',' | '[' | ']' | '{' | '}'))
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_that_of_the_value_that_cannot_be_read() {
        for (text, field) in [
            ("image: a\nenvironment:\n  <<: *env\n", "environment.<<"),
            ("a: 1\nb: [x, {c: *d}]\n", "b[1].c"),
            ("- a\n- {b: c}\n- *x\n", "[2]"),
            ("*x", ""),
            ("a: &x {b: 1}\nc: *x\nd: *y\n", "d"),
        ] {
            assert_eq!(place(&Place::new("f"), text).field, field, "{text}");
        }
    }

    #[test]
    fn the_name_ends_where_the_alias_does() {
        assert_eq!(name("a: 1\nb: [*one, 2]", 2, 5).as_deref(), Some("one"));
        assert_eq!(name("é: *two", 1, 4).as_deref(), Some("two"));
        assert_eq!(name("a: b", 1, 4), None);
        assert_eq!(name("a", 7, 1), None);
    }
}
