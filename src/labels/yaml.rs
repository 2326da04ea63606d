//! YAML text to a generic value, with every duplicate key reported.
//!
//! `<<` merges and aliases are resolved. Keys become text, as in JSON; numbers that JSON does not have become text too.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Place;
use crate::problem::tree::Tree;
use crate::problem::{Problem, Problems, anchor, nesting};

/// The most values that one text may hold once aliases are resolved: thousands of inspected containers, and still no more than some 100 MB.
const MOST_VALUES: usize = 1_000_000;

/// Reads one YAML document (JSON is YAML). None where it has no meaning at all; duplicate keys and tags are reported and passed over.
pub fn parse(at: &Place, text: &str, problems: &mut Problems) -> Option<Value> {
    // A byte order mark is what some editors put before the first key.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    problems.take(nesting::check(at, text))?;
    let found = RefCell::new(Problems::default());
    let (values, again) = (Cell::new(0), Cell::new(0));
    let reader = Reader { at: at.clone(), problems: &found, values: &values, again: &again };
    let parsed = reader.deserialize(serde_yaml::Deserializer::from_str(text));
    problems.extend(found.into_inner());
    match parsed {
        Ok(mut value) => {
            if text.contains("tmpfs") && text.contains("0o") {
                octal_modes(&mut value, "", &Tree::of(text));
            }
            Some(value)
        }
        Err(error) => {
            let mut what = error.to_string();
            let mut problem = at.problem("");
            if let Some(place) = error.location() {
                problem = problem.point(place.line(), place.column());
                what = what.replacen(&format!(" at line {} column {}", place.line(), place.column()), "", 1);
            }
            if let Some(unknown) = unknown_anchor(at, text, &error) {
                problems.push(unknown);
                return None;
            }
            problem.what = format!("not valid YAML: {what}");
            problems.push(match tabbed_line(text) {
                Some(line) => {
                    problem.hint(format!("line {line} begins with a tab: YAML allows only spaces for indentation"))
                }
                None => problem,
            });
            None
        }
    }
}

fn unknown_tag(at: &Place, tag: &str) -> Problem {
    let problem = at.problem(format!("the YAML tag `{tag}` is not supported here"));
    if matches!(tag.trim_start_matches('!'), "reset" | "override") {
        return problem.hint("only Compose knows this tag: remove it, or use the output of `docker compose config`");
    }
    problem
}

/// An anchor that the text uses and does not define; none if the error is another one.
fn unknown_anchor(at: &Place, text: &str, error: &serde_yaml::Error) -> Option<Problem> {
    let place = error.location().filter(|_| error.to_string().contains("unknown anchor"))?;
    let name = anchor::name(text, place.line(), place.column())?;
    let problem = anchor::place(at, text).problem(format!("this text does not define the anchor `{name}`"));
    // In messages, the label of a service has the name of the file and of the service before it.
    let is_label = at.label.split(": ").last().is_some_and(|label| label.starts_with("pod."));
    Some(problem.hint(if is_label {
        format!(
            "a label is a text of its own, which does not see the anchors of the file: define `&{name}` in this label"
        )
    } else {
        format!("define `&{name}` before this line")
    }))
}

/// The mode of a tmpfs that is written `0o770` becomes that text: as a number it could not be told from a decimal 504, which nobody means.
fn octal_modes(value: &mut Value, field: &str, tree: &Tree) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                octal_modes(item, &format!("{field}[{index}]"), tree);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                let field = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
                if key == "tmpfs"
                    && let Some(mode @ Value::Number(_)) = value.get_mut("mode")
                    && let Some(text) = tree.scalar(&format!("{field}.mode")).filter(|text| text.starts_with("0o"))
                {
                    *mode = text.into();
                }
                octal_modes(value, &field, tree);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The first line with a tab in its indentation, counted from 1.
fn tabbed_line(text: &str) -> Option<usize> {
    let is_tabbed = |line: &str| line.trim_start_matches(' ').starts_with('\t') && !line.trim().is_empty();
    text.lines().position(is_tabbed).map(|index| index + 1)
}

struct Reader<'p> {
    at: Place,
    problems: &'p RefCell<Problems>,
    values: &'p Cell<usize>,
    /// How many keys their maps had already.
    again: &'p Cell<usize>,
}

impl<'p> Reader<'p> {
    /// The reader of a value inside this one; an error where there are too many. Aliases of long lists make much of little text.
    fn at<E: Error>(&self, at: Place) -> Result<Self, E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MOST_VALUES {
            return Err(E::custom(format!("more than {MOST_VALUES} values")));
        }
        Ok(Self { at, ..*self })
    }

    fn report(&self, at: &Place, what: impl Into<String>) {
        self.problems.borrow_mut().push(at.problem(what));
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.at(self.at.index(list.len()))?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut merges = Vec::new();
        while let Some(key) = entries.next_key_seed(Key { of: Some(&self) })? {
            let at = self.at.key(&key);
            // Before what is in it, as the text has them.
            let is_again = key != "<<" && map.contains_key(&key);
            if is_again {
                let problem = at.problem("this key appears twice in the same map").again(self.again.get());
                self.problems.borrow_mut().push(problem);
                self.again.set(self.again.get() + 1);
            }
            let value = entries.next_value_seed(self.at(at.clone())?)?;
            if key == "<<" {
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

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, content) = tagged.variant_seed(Key { of: None })?;
        let problem = unknown_tag(&self.at, &tag);
        self.problems.borrow_mut().push(problem);
        content.newtype_variant_seed(self)
    }
}

impl Reader<'_> {
    /// Takes over what a `<<` key names; what the map has itself, or from an earlier one, stays.
    fn merge(&self, at: &Place, value: Value, into: &mut Map<String, Value>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    into.entry(key).or_insert(value);
                }
            }
            Value::Array(list) => {
                for (index, value) in list.into_iter().enumerate() {
                    if value.is_object() {
                        self.merge(at, value, into);
                    } else {
                        self.report(&at.index(index), "expected a map to merge");
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.report(at, "expected a map to merge, or a list of maps");
            }
        }
    }
}

/// The key of a map, or the name of a tag, as text.
struct Key<'r, 'p> {
    /// The map.
    of: Option<&'r Reader<'p>>,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is plain text")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<String, A::Error> {
        let Some(reader) = self.of else { return Err(A::Error::custom("expected a tag that is plain text")) };
        let (tag, content) = tagged.variant_seed(Key { of: None })?;
        let key = content.newtype_variant_seed(self)?;
        let problem = unknown_tag(&reader.at.key(&key), &tag);
        reader.problems.borrow_mut().push(problem);
        Ok(key)
    }
}
