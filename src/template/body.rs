//! Variables in the text of a label that becomes YAML only once they have been replaced: docker puts a variable's value between the characters that are
//! there, and whoever reads the label takes the result for YAML. So a value must not be able to mean anything else there.
//!
//! [`write::body`](super::write::body) writes text with variables in a way that every value of one line survives. Whoever knows the values, as `deploy` does,
//! puts them in with [`filled`] before anything is written, so that every value survives.

use serde_json::{Map, Value};

use super::interpolate::replaced;
use crate::labels::{Place, yaml};
use crate::problem::Problems;

/// Keys below which every value is text, an empty one too.
const TEXTS: [&str; 9] =
    ["command", "driver_opts", "environment", "exec", "headers", "labels", "options", "storage_opt", "sysctls"];

/// Where in the body of a label a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Nothing is replaced after the text has been read.
    Read,
    /// The value of a key that may be a number, a truth value, or nothing.
    Key,
    /// An item of a list.
    Item,
    /// Below a key of [`TEXTS`].
    Text,
    /// In the configuration of a plugin, which alone knows its types.
    Plugin,
}

impl At {
    /// Below a key of the map that is here.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        match self {
            Self::Read | Self::Text | Self::Plugin => self,
            Self::Key | Self::Item if key == "plugins" => Self::Plugin,
            Self::Key | Self::Item if TEXTS.contains(&key) => Self::Text,
            Self::Key | Self::Item => Self::Key,
        }
    }

    /// In the list that is here.
    #[must_use]
    pub fn item(self) -> Self {
        match self {
            Self::Key | Self::Item => Self::Item,
            Self::Read | Self::Text | Self::Plugin => self,
        }
    }

    /// Whether what the variables of this text make of it is text, whatever their values are.
    #[must_use]
    pub fn is_text(self, text: &str) -> bool {
        match self {
            Self::Read => false,
            Self::Key | Self::Plugin => has_variable(text) && !is_lone(text),
            Self::Item | Self::Text => has_variable(text),
        }
    }
}

/// The body of a label with its variables replaced as docker replaces them. A text that docker would refuse stays as it is: docker says why.
#[must_use]
pub fn filled(value: &Value, at: At, variable: &dyn Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) if has_variable(text) => match replaced(text, variable) {
            Ok(done) if at.is_text(text) => Value::String(done),
            Ok(done) => typed(done, at),
            Err(_) => value.clone(),
        },
        Value::Array(list) => list.iter().map(|item| filled(item, at.item(), variable)).collect(),
        Value::Object(map) => {
            let one = |(key, item): (&String, &Value)| (key.clone(), filled(item, at.key(key), variable));
            Value::Object(map.iter().map(one).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// A value that is nothing but a variable's: a truth value or nothing, if it is one; to a plugin also a number. Our own keys take a number as text as well, with the
/// zeros that it begins with.
fn typed(text: String, at: At) -> Value {
    match yaml::parse(&Place::default(), &text, &mut Problems::default()) {
        Some(value @ (Value::Bool(_) | Value::Null)) => value,
        Some(value @ Value::Number(_)) if at == At::Plugin => value,
        _ => Value::String(text),
    }
}

/// Whether docker replaces something in it.
#[must_use]
pub fn has_variable(text: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '{';
    // `$$` is the character itself.
    text.replace("$$", "").split('$').skip(1).any(|after| after.starts_with(begins))
}

/// Whether it is one variable and nothing else.
fn is_lone(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.strip_prefix('$').is_some_and(|rest| match rest.strip_prefix('{') {
        Some(inner) => inner.find('}').is_some_and(|end| end + 1 == inner.len()),
        None => rest.chars().all(is_name),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::write;
    use super::*;

    /// What docker makes of the text of a label, and its reader of that.
    fn deployed(body: &Value, value: &str) -> Value {
        let text = replaced(&write::body(body), &|_| Some(value.to_owned())).unwrap().replace("$$", "$");
        let mut problems = Problems::default();
        let read = yaml::parse(&Place::new("l"), &text, &mut problems);
        read.unwrap_or_else(|| panic!("{problems}\n{text}"))
    }

    fn body() -> Value {
        json!({
            "image": "acme/web:${X}", "command": "${X}", "healthcheck": {"test": ["CMD", "a ${X}", "$X"]},
            "environment": {"A": "${X}", "B": "${X:-b} c: #$X", "C": "it's $$X", "D": "one\n${X}\nend\n"}, "labels": ["a=${X}"],
            "volumes": [{"source": "/a/${X}", "target": "/t"}, "${X}:/x"], "probes": {"liveness": {"exec": ["${X}"]}},
            "logging": {"options": {"tag": "${X}"}}, "plugins": [{"a": {"text": "-${X}-"}}]
        })
    }

    fn expected(value: &str) -> Value {
        let image = format!("acme/web:{value}");
        // Without a value the default is taken.
        let b = if value.is_empty() { "b" } else { value };
        json!({
            "image": image, "command": value, "healthcheck": {"test": ["CMD", format!("a {value}"), value]},
            "environment": {"A": value, "B": format!("{b} c: #{value}"), "C": "it's $X", "D": format!("one\n{value}\nend\n")}, "labels": [format!("a={value}")],
            "volumes": [{"source": format!("/a/{value}"), "target": "/t"}, format!("{value}:/x")], "probes": {"liveness": {"exec": [value]}},
            "logging": {"options": {"tag": value}}, "plugins": [{"a": {"text": format!("-{value}-")}}]
        })
    }

    const HARD: [&str; 22] = [
        "",
        " ",
        "room 4 #south",
        "a: b",
        "[x",
        "'",
        "it's",
        "\"",
        "a\\",
        "a\\nb",
        "{",
        "- a",
        "#",
        "*a",
        "&a",
        "!a",
        "%a",
        "|",
        "null",
        "true",
        "0440",
        "  lead and end  ",
    ];

    #[test]
    fn a_value_of_one_line_arrives_as_it_is() {
        for value in HARD {
            assert_eq!(deployed(&body(), value), expected(value), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_of_one_line_arrives_as_it_is(value in "[ -~äß—]{0,12}") {
            prop_assert_eq!(deployed(&body(), &value), expected(&value));
        }

        /// With the values at hand also those of several lines.
        #[test]
        fn any_value_that_is_filled_in_arrives_as_it_is(value in "[ -~\n\tä]{0,16}") {
            let whole = filled(&body(), At::Key, &|_| Some(value.clone()));
            prop_assert!(deployed(&whole, "never") == expected(&value), "{}", write::body(&whole));
        }
    }

    #[test]
    fn numbers_truth_values_and_nothing_stay_what_they_are() {
        let body = json!({"read_only": "${X}", "mem_limit": "$X", "user": "${X:-}", "plugins": [{"p": {"port": "${X}", "more": ["${X}"]}}]});
        assert_eq!(
            write::body(&body),
            "read_only: ${X}\nmem_limit: $X\nuser: ${X:-}\nplugins:\n- p:\n    port: ${X}\n    more:\n    - ${X}\n"
        );
        let filled = |value: &str| filled(&body, At::Key, &|_| Some(value.to_owned()));
        let plugin = |value: Value| json!([{"p": {"port": value, "more": [value]}}]);
        assert_eq!(
            filled("true"),
            json!({"read_only": true, "mem_limit": true, "user": true, "plugins": plugin(json!(true))})
        );
        assert_eq!(
            filled("080"),
            json!({"read_only": "080", "mem_limit": "080", "user": "080", "plugins": plugin(json!("080"))})
        );
        assert_eq!(
            filled("80"),
            json!({"read_only": "80", "mem_limit": "80", "user": "80", "plugins": plugin(json!(80))})
        );
        let none = Value::Null;
        assert_eq!(
            filled(""),
            json!({"read_only": none, "mem_limit": none, "user": none, "plugins": plugin(Value::Null)})
        );
        assert_eq!(filled("a: b")["user"], "a: b", "text, and no map");
    }

    #[test]
    fn what_docker_refuses_is_left_to_docker() {
        let body = json!({"environment": {"A": "${X:?give it}", "B": "${X", "C": "$$X"}});
        assert_eq!(filled(&body, At::Key, &|_| None), body);
    }

    #[test]
    fn variables_are_told_from_other_dollars() {
        for (text, has, lone) in [
            ("$A", true, true),
            ("${A}", true, true),
            ("${A:-x y}", true, true),
            ("$$A", false, false),
            ("$$$A", true, false),
            ("a$", false, false),
            ("$5", false, false),
            ("${A}${B}", true, false),
            ("$A-b", true, false),
            (" $A", true, false),
        ] {
            assert_eq!((has_variable(text), has_variable(text) && is_lone(text)), (has, lone), "{text}");
        }
    }
}
