//! The configuration, as it is written.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::patterns::Fixed;

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names of fields whose values are replaced.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What is replaced wherever it is found.
    #[serde(default = "default_patterns")]
    pub patterns: Vec<Pattern>,
    /// What is put in place.
    #[serde(default = "default_replacement")]
    pub replacement: String,
    /// None: the output of all.
    #[serde(default)]
    pub components: Option<Vec<String>>,
}

/// One thing to look for.
#[derive(Debug)]
pub enum Pattern {
    /// One of those that come with the plugin.
    Fixed(Fixed),
    /// The user's own.
    Regex(Named),
}

/// A regular expression of the user's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// For `{name}`.
    pub name: String,
    /// Over bytes, without Unicode classes.
    pub regex: String,
}

fn default_patterns() -> Vec<Pattern> {
    vec![Pattern::Fixed(Fixed::Email), Pattern::Fixed(Fixed::Card)]
}

fn default_replacement() -> String {
    "[redacted]".to_owned()
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Pattern;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`email`, `card`, `iban`, `ipv4`, `token` or `{name: …, regex: …}`")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Pattern, E> {
                let fixed = Fixed::ALL.into_iter().find(|fixed| fixed.name() == word);
                fixed.map(Pattern::Fixed).ok_or_else(|| E::invalid_value(de::Unexpected::Str(word), &self))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Pattern, A::Error> {
                Named::deserialize(de::value::MapAccessDeserializer::new(map)).map(Pattern::Regex)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
