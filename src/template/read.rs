//! YAML text to a value, as the engine's own client reads it.
//!
//! The client reads YAML 1.1: a plain `0440` is the number 288 there, while a quoted one is text. The file goes on to the client, so what is written
//! back must have the type that the client would have seen; that needs the style of every scalar, which only the events of a parser tell.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

use crate::labels::Place;
use crate::problem::Problems;
use crate::problem::nesting::{self, DEEPEST};

/// The most values that one text may hold once aliases are resolved.
const MOST_VALUES: usize = 1_000_000;

/// Reads one YAML document; nothing but comments is [`Value::Null`]. None where it is no YAML; duplicate keys and tags are told and passed over.
pub fn read(at: &Place, text: &str, problems: &mut Problems) -> Option<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    problems.take(nesting::check(at, text))?;
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        values: 0,
        again: 0,
        problems: Problems::default(),
    };
    let read = reader.document(at);
    problems.extend(reader.problems);
    match read {
        Ok(value) => Some(value),
        Err(Stop { line, column, what }) => {
            let problem = at.problem(format!("not valid YAML: {what}"));
            problems.push(if line == 0 { problem } else { problem.point(line, column) });
            None
        }
    }
}

/// Why nothing more can be read.
struct Stop {
    /// From 1, or 0 where it is not known.
    line: usize,
    /// From 1.
    column: usize,
    what: String,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self { line: error.marker().line(), column: error.marker().col() + 1, what: error.info().to_owned() }
    }
}

/// A finished value with an anchor, and how many values it holds.
struct Anchored {
    value: Value,
    size: usize,
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Anchored>,
    values: usize,
    /// How many keys their maps had already.
    again: usize,
    problems: Problems,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Nothing, _))) => {}
                Some(event) => return Ok(event?),
                None => return Err(Stop { line: 0, column: 1, what: "the text ends too early".to_owned() }),
            }
        }
    }

    fn document(&mut self, at: &Place) -> Result<Value, Stop> {
        let mut value = Value::Null;
        let mut documents = 0;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(value),
                (Event::DocumentStart(_), span) => {
                    documents += 1;
                    if documents > 1 {
                        let what = "a second document begins here, but the file must contain only one".to_owned();
                        return Err(Stop { line: span.start.line(), column: 1, what });
                    }
                }
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (event, span) => value = self.value(at, event, span, 0)?,
            }
        }
    }

    fn value(&mut self, at: &Place, event: Event<'t>, span: Span, depth: usize) -> Result<Value, Stop> {
        let line = span.start.line();
        if depth > DEEPEST {
            // Every level takes stack, also one without brackets.
            return Err(Stop { line, column: 1, what: format!("nested deeper than {DEEPEST} levels") });
        }
        let before = self.values;
        self.count(1, line)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(at, text, style, tag.as_deref())),
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(at, tag.as_deref(), "seq");
                (anchor, self.list(at, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(at, tag.as_deref(), "map");
                (anchor, self.map(at, depth)?)
            }
            Event::Alias(anchor) => {
                let Some(Anchored { value, size }) = self.anchors.get(&anchor) else {
                    return Err(Stop {
                        line,
                        column: 1,
                        what: "an alias is inside the value that it refers to".to_owned(),
                    });
                };
                let (value, size) = (value.clone(), *size);
                self.count(size, line)?;
                return Ok(value);
            }
            _ => return Err(Stop { line, column: 1, what: "expected a value".to_owned() }),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { value: value.clone(), size: self.values - before });
        }
        Ok(value)
    }

    /// Aliases of long lists make much of little text.
    fn count(&mut self, more: usize, line: usize) -> Result<(), Stop> {
        self.values += more;
        if self.values > MOST_VALUES {
            return Err(Stop { line, column: 1, what: format!("more than {MOST_VALUES} values") });
        }
        Ok(())
    }

    fn list(&mut self, at: &Place, depth: usize) -> Result<Value, Stop> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(list)),
                (event, span) => {
                    let at = at.index(list.len());
                    list.push(self.value(&at, event, span, depth + 1)?);
                }
            }
        }
    }

    fn map(&mut self, at: &Place, depth: usize) -> Result<Value, Stop> {
        let mut map = Map::new();
        let mut merges = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let is_merge = match &event {
                Event::MappingEnd => break,
                Event::Scalar(text, ScalarStyle::Plain, ..) => text == "<<",
                _ => false,
            };
            let line = span.start.line();
            let key = match (&event, self.value(at, event.clone(), span, depth + 1)?) {
                // As it is written: a key `080` must not become another one.
                (Event::Scalar(text, ..), _) => text.clone().into_owned(),
                (_, Value::String(text)) => text,
                (_, Value::Bool(is)) => is.to_string(),
                (_, Value::Number(number)) => number.to_string(),
                (_, Value::Null | Value::Array(_) | Value::Object(_)) => {
                    return Err(Stop { line, column: 1, what: "expected a key that is plain text".to_owned() });
                }
            };
            let (event, span) = self.next()?;
            let at = at.key(&key);
            // Before what is in it, as the text has them.
            let is_again = !is_merge && map.contains_key(&key);
            if is_again {
                self.problems.push(at.problem("this key appears twice in the same map").again(self.again));
                self.again += 1;
            }
            let value = self.value(&at, event, span, depth + 1)?;
            if is_merge {
                merges.push((at, value));
            } else if !is_again {
                map.insert(key, value);
            }
        }
        for (at, value) in merges {
            self.merge(&at, value, &mut map);
        }
        Ok(Value::Object(map))
    }

    /// Takes over what a `<<` key names; what the map has itself, or from an earlier one, stays.
    fn merge(&mut self, at: &Place, value: Value, into: &mut Map<String, Value>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    into.entry(key).or_insert(value);
                }
            }
            Value::Array(list) if list.iter().all(Value::is_object) => {
                for value in list {
                    self.merge(at, value, into);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.problems.push(at.problem("expected a map to merge, or a list of maps"));
            }
        }
    }

    fn scalar(&mut self, at: &Place, text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
        match tag {
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => return Value::String(text.into_owned()),
                "int" | "float" | "bool" | "null" => return resolved(&text),
                _ => self.no_tag(at, Some(tag), ""),
            },
            // `! text` says that it is text.
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => return Value::String(text.into_owned()),
            other => self.no_tag(at, other, ""),
        }
        if style == ScalarStyle::Plain { resolved(&text) } else { Value::String(text.into_owned()) }
    }

    fn no_tag(&mut self, at: &Place, tag: Option<&Tag>, known: &str) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema() || tag.suffix != known) {
            self.problems
                .push(at.problem(format!("the YAML tag `{}{}` is not supported here", tag.handle, tag.suffix)));
        }
    }
}

/// What a plain scalar means to the engine's client. `yes` and `on` are text, as they are to current ones.
fn resolved(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    integer(text).or_else(|| float(text)).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn integer(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'o', ..] => (8, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    if negative {
        return Some(i64::from_str_radix(&format!("-{digits}"), radix).ok()?.into());
    }
    Some(u64::from_str_radix(digits, radix).ok()?.into())
}

/// A decimal number; infinite ones have no place in a stack file and stay text.
fn float(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let starts = digits.starts_with(|c: char| c.is_ascii_digit())
        || (digits.starts_with('.') && digits.get(1..)?.starts_with(|c: char| c.is_ascii_digit()));
    let allowed = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !starts || !allowed {
        return None;
    }
    Number::from_f64(plain.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Result<Value, String> {
        let mut problems = Problems::default();
        let value = read(&Place::new("f"), text, &mut problems);
        problems.or(()).map_err(|problems| problems.to_string())?;
        Ok(value.unwrap())
    }

    #[test]
    fn plain_scalars_are_what_the_engines_client_takes_them_for() {
        for (text, value) in [
            ("0440", json!(288)),
            ("'0440'", json!("0440")),
            ("0x10", json!(16)),
            ("0o17", json!(15)),
            ("1_000", json!(1000)),
            ("-7", json!(-7)),
            ("08", json!(8.0)),
            ("3.5", json!(3.5)),
            (".5", json!(0.5)),
            ("1.2.3", json!("1.2.3")),
            ("1e3", json!(1000.0)),
            ("yes", json!("yes")),
            ("\"true\"", json!("true")),
            ("True", json!(true)),
            ("~", json!(null)),
            ("", json!(null)),
            ("12:30", json!("12:30")),
            (".inf", json!(".inf")),
            ("!!str 12", json!("12")),
            ("-", json!([null])),
            ("+", json!("+")),
            ("0x", json!("0x")),
        ] {
            assert_eq!(parsed(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn anchors_merges_and_order() {
        let value = parsed("x: &a {b: 1, a: 2}\ny: {<<: *a, a: 3}\nz: {<<: [*a, {c: 4}]}\n").unwrap();
        assert_eq!(value, json!({"x": {"b": 1, "a": 2}, "y": {"a": 3, "b": 1}, "z": {"b": 1, "a": 2, "c": 4}}));
        assert_eq!(value["x"].as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_or_its_field() {
        for (text, told) in [
            ("a: b\n  c: [", "line"),
            ("a: 1\na: 2\n", "field `a`: this key appears twice"),
            ("a: !env X\n", "`!env` is not supported"),
            ("a: &x [*x]\n", "inside the value that it refers to"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("<<: 3\n", "expected a map to merge"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let deep = "[".repeat(200);
        assert!(parsed(&deep).unwrap_err().contains("nested deeper"));
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let last = level - 1;
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{last}"); 10].join(",")));
        }
        assert!(parsed(&bomb).unwrap_err().contains("more than"));
    }
}
