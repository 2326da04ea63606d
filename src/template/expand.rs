//! Go templates: the language of Go's `text/template` with podlike's functions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::{TemplateError, Value as Data};
use serde_json::{Map, Number, Value};

use super::service::WRITTEN;
use super::write;

/// Longest result of one template, in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// Most rounds that all `range` of one template may take together.
const MOST_ROUNDS: u64 = 1_000_000;

/// Expands a template; `name` is for messages.
///
/// # Errors
/// What is wrong, with the template's name and, for its syntax, the line.
pub fn expand(name: &str, text: &str, data: &Data) -> Result<String, String> {
    let mut template = gotmpl::Template::new(name).max_range_iters(MOST_ROUNDS);
    for (function, body) in FUNCTIONS {
        template = template.func(function, body);
    }
    let told = |error: TemplateError| {
        let text = error.to_string();
        if text.starts_with("template: ") { text } else { format!("template: {name}: {text}") }
    };
    let mut out = Bounded(String::new());
    let template = template.parse(text).map_err(told)?;
    match template.execute_fmt(&mut out, data) {
        Err(TemplateError::Write) => Err(format!("template: {name}: the result is longer than {LONGEST} bytes")),
        done => done.map(|()| out.0).map_err(told),
    }
}

struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

type Function = fn(&[Data]) -> Result<Data, TemplateError>;

const FUNCTIONS: [(&str, Function); 7] = [
    ("yaml", yaml),
    ("indent", indent),
    ("empty", |args| Ok(Data::Bool(length("empty", args)? == 0))),
    ("notEmpty", |args| Ok(Data::Bool(length("notEmpty", args)? != 0))),
    ("contains", |args| {
        let [item, target] = texts("contains", args)?;
        Ok(Data::Bool(target.contains(item)))
    }),
    ("startsWith", |args| {
        let [item, target] = texts("startsWith", args)?;
        Ok(Data::Bool(target.starts_with(item)))
    }),
    ("replace", replace),
];

fn wrong(name: &str, what: &str) -> TemplateError {
    TemplateError::Exec(format!("error calling {name}: {what}"))
}

fn counted(name: &str, expected: usize, got: usize) -> TemplateError {
    TemplateError::ArgCount { name: name.to_owned(), expected, got }
}

fn texts<'d, const N: usize>(name: &str, args: &'d [Data]) -> Result<[&'d str; N], TemplateError> {
    let found: Option<Vec<&str>> = args.iter().map(Data::as_str).collect();
    let found = found.ok_or_else(|| wrong(name, "expected text"))?;
    found.try_into().map_err(|_| counted(name, N, args.len()))
}

fn one<'d>(name: &str, args: &'d [Data]) -> Result<&'d Data, TemplateError> {
    match args {
        [value] => Ok(value),
        _ => Err(counted(name, 1, args.len())),
    }
}

/// Nothing at all is empty, as a list that is not there.
fn length(name: &str, args: &[Data]) -> Result<usize, TemplateError> {
    match one(name, args)? {
        Data::Nil => Ok(0),
        value => value.len().ok_or_else(|| wrong(name, &format!("{} has no length", value.type_name()))),
    }
}

fn yaml(args: &[Data]) -> Result<Data, TemplateError> {
    Ok(Data::String(write::write(&to_json(one("yaml", args)?)).into()))
}

fn indent(args: &[Data]) -> Result<Data, TemplateError> {
    let [indent, text] = args else { return Err(counted("indent", 2, args.len())) };
    let (Some(indent), Some(text)) = (indent.as_int(), text.as_str()) else {
        return Err(wrong("indent", "expected a number and text"));
    };
    let indent = usize::try_from(indent).ok().filter(|indent| *indent <= 1000);
    let pad = " ".repeat(indent.ok_or_else(|| wrong("indent", "expected a number from 0 to 1000"))?);
    if text.len() + pad.len() * text.split('\n').count() > LONGEST {
        return Err(wrong("indent", "the result is too long"));
    }
    let lines: Vec<String> = text.split('\n').map(|line| format!("{pad}{line}")).collect();
    Ok(Data::String(lines.join("\n").into()))
}

fn replace(args: &[Data]) -> Result<Data, TemplateError> {
    let [old, new, times, text] = args else { return Err(counted("replace", 4, args.len())) };
    let (Some(old), Some(new), Some(times), Some(text)) = (old.as_str(), new.as_str(), times.as_int(), text.as_str())
    else {
        return Err(wrong("replace", "expected old text, new text, a number and the text"));
    };
    let places = text.matches(old).count();
    if text.len() + places.saturating_mul(new.len()) > LONGEST {
        return Err(wrong("replace", "the result is too long"));
    }
    let replaced = match usize::try_from(times) {
        Ok(times) => text.replacen(old, new, times),
        // A negative number stands for all.
        Err(_) => text.replace(old, new),
    };
    Ok(Data::String(replaced.into()))
}

/// A value of YAML as data of a template.
#[must_use]
pub fn to_data(value: &Value) -> Data {
    match value {
        Value::Null => Data::Nil,
        Value::Bool(is) => Data::Bool(*is),
        Value::Number(number) => number_data(number),
        Value::String(text) => Data::String(text.as_str().into()),
        Value::Array(list) => Data::List(list.iter().map(to_data).collect()),
        Value::Object(map) => to_map(map.iter().map(|(key, value)| (key.as_str(), to_data(value)))),
    }
}

fn number_data(number: &Number) -> Data {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Data::Int(number),
        (None, Some(number)) => Data::Uint(number),
        (None, None) => Data::Float(number.as_f64().unwrap_or_default()),
    }
}

/// A map of data.
pub fn to_map<'k>(entries: impl IntoIterator<Item = (&'k str, Data)>) -> Data {
    Data::Map(Arc::new(entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect::<BTreeMap<_, _>>()))
}

/// What `yaml` writes: for what has Go's names, the names of the file.
fn to_json(data: &Data) -> Value {
    match data {
        Data::Nil | Data::Function(_) => Value::Null,
        Data::Bool(is) => Value::Bool(*is),
        Data::Int(number) => Value::from(*number),
        Data::Uint(number) => Value::from(*number),
        Data::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Data::String(text) => Value::from(text.as_ref()),
        Data::List(list) => Value::Array(list.iter().map(to_json).collect()),
        Data::Map(map) => match map.get(WRITTEN) {
            Some(written) => to_json(written),
            None => Value::Object(map.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect::<Map<_, _>>()),
        },
    }
}
