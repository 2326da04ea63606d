//! A value to YAML text that every reader takes for the same value: those of YAML 1.1, as the engine's client, and those of 1.2.
//!
//! Text stays plain where nothing could take it for something else, then single quotes are used, as they leave what is between them alone: the actions
//! of a template survive in both. Text of several lines becomes a `|` block, and so does text with variables that are replaced in the YAML itself: no character of
//! a line ends a block, while every quote has one that ends it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::body::At;

/// The value as a YAML document that ends with a line break.
#[must_use]
pub fn write(value: &Value) -> String {
    document(value, At::Read)
}

/// The same as the body of a label, in which docker still replaces variables.
#[must_use]
pub fn body(value: &Value) -> String {
    document(value, At::Key)
}

fn document(value: &Value, at: At) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => entries(&mut out, map, 0, at),
        Value::Array(list) if !list.is_empty() => items(&mut out, list, 0, at),
        other => {
            scalar(&mut out, other, 2, at);
            out.push('\n');
        }
    }
    out
}

fn entries(out: &mut String, map: &Map<String, Value>, indent: usize, at: At) {
    for (index, (key, value)) in map.iter().enumerate() {
        let at = at.key(key);
        if index > 0 {
            pad(out, indent);
        }
        one_line(out, key, true);
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                pad(out, indent + 2);
                entries(out, inner, indent + 2, at);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push('\n');
                pad(out, indent);
                items(out, inner, indent, at);
            }
            other => {
                out.push(' ');
                scalar(out, other, indent + 2, at);
                out.push('\n');
            }
        }
    }
}

fn items(out: &mut String, list: &[Value], indent: usize, at: At) {
    let at = at.item();
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        out.push_str("- ");
        match value {
            Value::Object(inner) if !inner.is_empty() => entries(out, inner, indent + 2, at),
            Value::Array(inner) if !inner.is_empty() => items(out, inner, indent + 2, at),
            other => {
                scalar(out, other, indent + 2, at);
                out.push('\n');
            }
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Without the line break at its end; `indent` is where the lines of a block begin.
fn scalar(out: &mut String, value: &Value, indent: usize, at: At) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
        // Writing to a string can't fail.
        Value::Number(number) => write!(out, "{number}").unwrap_or_default(),
        Value::String(text) if at.is_text(text) && may_be_block(text) => block(out, text, indent, true),
        Value::String(text) if is_block(text) => block(out, text, indent, false),
        Value::String(text) => one_line(out, text, false),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// Whether text is written as a block: it has several lines, and nothing in it that a block cannot hold.
fn is_block(text: &str) -> bool {
    // At least one line has to show how far the block is indented.
    text.contains('\n') && !text.starts_with(['\n', ' ', '\t']) && may_be_block(text)
}

fn may_be_block(text: &str) -> bool {
    // Trailing blank lines would be hard to see.
    text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c)) && !text.ends_with("\n\n")
}

fn block(out: &mut String, text: &str, indent: usize, is_filled: bool) {
    out.push('|');
    // What a first line begins with would count as its indentation; the value of a variable may begin with anything.
    if is_filled && text.starts_with(['\n', ' ', '\t', '$']) {
        out.push('2');
    }
    let lines = text.strip_suffix('\n').unwrap_or_else(|| {
        out.push('-');
        text
    });
    for line in lines.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}

fn one_line(out: &mut String, text: &str, is_key: bool) {
    if is_plain(text, is_key) {
        out.push_str(text);
    } else if text.chars().all(is_printable) {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if is_printable(c) => out.push(c),
                c if u32::from(c) <= 0xff => write!(out, "\\x{:02x}", u32::from(c)).unwrap_or_default(),
                c if u32::from(c) <= 0xffff => write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
                c => write!(out, "\\U{:08x}", u32::from(c)).unwrap_or_default(),
            }
        }
        out.push('"');
    }
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether no reader takes it for anything but this text.
fn is_plain(text: &str, is_key: bool) -> bool {
    let begins =
        |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '$' | '_' | '.') || (is_key && c.is_ascii_digit());
    text.starts_with(begins)
        && !text.ends_with([' ', ':'])
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        && !text.contains(": ")
        && !text.contains(" #")
        && !is_ambiguous(text)
}

/// Words of YAML 1.1, and what looks like a number, a date or a time of day.
fn is_ambiguous(text: &str) -> bool {
    const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", ".nan", "inf"];
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str())
        || lower.starts_with(".inf")
        || lower.starts_with("---")
        || lower.starts_with("...")
        || (lower.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '_')
            && lower.chars().any(|c| c.is_ascii_digit())
            && lower.chars().all(|c| {
                c.is_ascii_hexdigit() || matches!(c, '.' | '_' | ':' | '-' | '+' | 'x' | 'o' | ' ' | 't' | 'z')
            }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read::read;
    use super::*;
    use crate::labels::{Place, yaml};
    use crate::problem::Problems;

    #[test]
    fn every_reader_takes_it_for_the_same() {
        let mut texts: Vec<String> = [
            "",
            " ",
            "a",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "'",
            "\"",
            "it's",
            "- a",
            "-",
            "?",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "{a}",
            "[a]",
            "yes",
            "No",
            "on",
            "y",
            "~",
            "null",
            "Null",
            "true",
            "0440",
            "1_000",
            "1e3",
            "12:30:45",
            "2020-01-01",
            ".5",
            ".inf",
            "0x1f",
            "0b1",
            "=",
            "<<",
            "|",
            ">",
            "a\nb",
            "a\nb\n",
            "a\n\nb\n",
            "a\n\n",
            "\na",
            " a\nb",
            "a\n b\n",
            "a\r\nb",
            "tab\there",
            "\tx",
            "x\t\ny",
            "\u{7f}",
            "é\n",
            "${A:-b}",
            "$$x",
            "{{ .A }}",
            "{{ \"q\" }}\nb",
            "---",
            "--- a",
            "...",
            "a\n---\nb\n",
            "a,b",
            "é",
            "\u{feff}a",
            "a\u{2028}b",
            "-1",
            "+1",
            "1.",
            "a ",
            "  ",
            "\n",
            "key: |\n  x\n",
            "\u{1f600}",
            "-c",
            "0",
            "08",
            "1:30",
        ]
        .map(str::to_owned)
        .to_vec();
        texts.push("long ".repeat(100) + "end");
        let mut map = Map::new();
        for text in &texts {
            // Quoted, it is a key as any other; not for every reader.
            if text != "<<" {
                map.insert(text.clone(), json!(text));
            }
        }
        for value in [
            json!({"m": map, "l": texts, "n": [[1, [2.5, -3]], [], {}, [{"a": [{"b": {"c": []}}], "d": {}}]], "z": null, "t": true}),
            json!([[["x"], "y"], {"a": "b\nc\n", "d": ["e\nf"]}]),
            json!("a\nb"),
            json!({}),
            json!([]),
            json!(3),
        ] {
            let text = write(&value);
            let mut problems = Problems::default();
            let ours = read(&Place::new("f"), &text, &mut problems);
            assert!(ours.as_ref() == Some(&value), "{}\n{problems}", different(ours.as_ref(), &value));
            let labels = yaml::parse(&Place::new("f"), &text, &mut problems);
            assert!(labels.as_ref() == Some(&value), "{}\n{problems}", different(labels.as_ref(), &value));
        }
    }

    /// Where two values differ, since all of them are long.
    fn different(found: Option<&Value>, expected: &Value) -> String {
        match (found, expected) {
            (Some(Value::Object(found)), Value::Object(expected)) if found.keys().eq(expected.keys()) => {
                let differ = expected.iter().find(|(key, value)| found.get(*key) != Some(*value));
                differ.map(|(key, value)| different(found.get(key), value)).unwrap_or_default()
            }
            (Some(Value::Array(found)), Value::Array(expected)) if found.len() == expected.len() => {
                let differ = found.iter().zip(expected).find(|(found, expected)| found != expected);
                differ.map(|(found, expected)| different(Some(found), expected)).unwrap_or_default()
            }
            (found, expected) => format!("found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn it_is_what_a_person_would_write() {
        let value = json!({"version": "3.8", "services": {"a": {"image": "acme/a:1.2", "ports": ["80:80", {"target": 1}],
            "labels": {"pod.component.app": "image: x\ncommand:\n- a\n"}, "command": "{{ .Args.X }}", "mode": 288}}});
        assert_eq!(
            write(&value),
            "version: '3.8'\nservices:\n  a:\n    image: acme/a:1.2\n    ports:\n    - '80:80'\n    - target: 1\n    labels:\n      \
             pod.component.app: |\n        image: x\n        command:\n        - a\n    command: '{{ .Args.X }}'\n    mode: 288\n"
        );
    }
}
