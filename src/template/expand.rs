//! Go templates: the language of Go's `text/template` with podlike's functions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::{TemplateError, Value as Data};
use serde_json::{Map, Number, Value};

use super::service::WRITTEN;
use super::{balance, write};

/// Longest result of one template, in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// Most rounds that all `range` of one template may take together.
const MOST_ROUNDS: u64 = 1_000_000;

/// Expands a template; `name` is for messages.
///
/// # Errors
/// What is wrong, with the template's name and, for its syntax, the line.
pub fn expand(name: &str, text: &str, data: &Data) -> Result<String, String> {
    let source = text;
    let mut template = gotmpl::Template::new(name).max_range_iters(MOST_ROUNDS);
    for (function, body) in FUNCTIONS {
        template = template.func(function, body);
    }
    let told = |error: TemplateError| {
        let text = error.to_string();
        if text.starts_with("template: ") {
            return text;
        }
        let word = match &error {
            TemplateError::UndefinedFunction(word)
            | TemplateError::UndefinedVariable(word)
            | TemplateError::UndefinedTemplate(word)
            | TemplateError::ArgCount { name: word, .. } => Some(word.as_str()),
            _ => None,
        };
        let line = word.and_then(|word| line_of(source, word)).map_or_else(String::new, |line| format!(":{line}"));
        format!("template: {name}{line}: {text}")
    };
    let mut out = Bounded(String::new());
    let template = template.parse(text).map_err(told)?;
    balance::check(text).map_err(|(line, what)| format!("template: {name}:{line}: {what}"))?;
    match template.execute_fmt(&mut out, data) {
        Err(TemplateError::Write) => Err(format!("template: {name}: the result is longer than {LONGEST} bytes")),
        done => done.map(|()| out.0).map_err(told),
    }
}

/// The line on which the first action with this word begins or goes on; the library tells the line of mistakes of syntax only.
fn line_of(text: &str, word: &str) -> Option<usize> {
    let mut from = text.find("{{")?;
    loop {
        let at = from + text.get(from..)?.find(word)?;
        let before = text.get(..at)?;
        if before.rfind("{{") > before.rfind("}}") || !before.contains("}}") {
            return Some(before.matches('\n').count() + 1);
        }
        from = at + word.len().max(1);
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
            Some(Data::Map(names)) => Value::Object(
                names
                    .iter()
                    .filter_map(|(go, name)| Some((name.as_str()?, to_json(map.get(go)?))))
                    .filter(|(_, value)| !is_empty(value))
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            ),
            Some(_) => Value::Null,
            None => {
                Value::Object(map.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect::<Map<_, _>>())
            }
        },
    }
}

/// What Go leaves out of a struct.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read::read;
    use super::*;
    use crate::labels::Place;
    use crate::problem::Problems;

    /// Templates and what Go 1.26's `text/template` makes of them, with podlike's functions; without a result where it is an error.
    const GO: &str = include_str!("../../tests/it/templates/go.json");

    #[test]
    fn templates_mean_what_they_mean_to_go() {
        let args = json!({"Name": "name", "Number": 42, "Float": 1.5, "Flag": true, "List": ["x", "yy", "z", "w"], "Map": {"b": "2", "a": 1},
            "Empty": [], "Nested": {"in": {"deep": "down"}}});
        let data = to_data(&json!({ "Args": args }));
        let cases: Vec<Value> = serde_json::from_str(GO).unwrap();
        assert!(cases.len() > 35);
        let mut wrong = Vec::new();
        for case in cases {
            let template = case["template"].as_str().unwrap();
            let found = expand("t", template, &data);
            // Both may quote the same text in different ways.
            let meant = |text: &str| read(&Place::default(), text, &mut Problems::default());
            let same_yaml = || Some(meant(found.as_deref().ok()?) == meant(case["result"].as_str()?));
            if found.as_deref().ok() != case["result"].as_str()
                && !(template.contains("yaml") && same_yaml() == Some(true))
            {
                wrong.push(format!("{template}\n   go: {}\n here: {found:?}", case["result"]));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn what_is_wrong_is_told_with_name_and_line() {
        let data = to_data(&json!({"Args": {}}));
        let told = expand("side.yml", "a: b\nc: {{ if }}\n{{ end }}", &data).unwrap_err();
        assert!(told.starts_with("template: side.yml:2:"), "{told}");
        let told = expand("side.yml", "a\n\n{{ nope 1 }}", &data).unwrap_err();
        assert!(told.starts_with("template: side.yml:3:") && told.contains("nope"), "{told}");
        let told = expand("side.yml", "{{ indent 2000 .Args }}", &data).unwrap_err();
        assert!(told.contains("error calling indent"), "{told}");
    }

    #[test]
    fn no_template_takes_all_memory() {
        let data = to_data(&json!({}));
        let loops = "{{ range 10000 }}{{ range 10000 }}x{{ end }}{{ end }}";
        let told = expand("t", loops, &data).unwrap_err();
        assert!(told.contains("range"), "{told}");
        // The rounds of all loops count together, also those that write nothing.
        let rounds =
            |number: u64| format!("{{{{ range {} }}}}{{{{ end }}}}{{{{ range 1000 }}}}{{{{ end }}}}", number - 1000);
        assert_eq!(expand("t", &rounds(MOST_ROUNDS), &data), Ok(String::new()));
        let told = expand("t", &rounds(MOST_ROUNDS + 1), &data).unwrap_err();
        assert!(told.contains("range") && !told.contains("longer than"), "{told}");
        let long = format!("{{{{ range 900000 }}}}{}{{{{ end }}}}", "x".repeat(100));
        assert!(expand("t", &long, &data).unwrap_err().contains("longer than"));
        assert!(expand("t", "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", &data).is_err());
        assert!(expand("t", "{{ replace \"\" (printf \"%01000d\" 1) -1 (printf \"%09999d\" 1) }}", &data).is_err());
    }
}
