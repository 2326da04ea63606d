//! The configuration, as it is written.

use std::collections::BTreeMap;
use std::fmt;

use outrigger_plugin::de::one_or_many;
use outrigger_plugin::signals::Number;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By name or number.
    pub map: BTreeMap<String, Rule>,
}

/// What a signal means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// What the pod does by itself.
    Forward,
    /// Nothing.
    Swallow,
    /// To these instead.
    Deliver(Vec<To>),
}

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct To {
    /// Components, or `*`.
    #[serde(deserialize_with = "one_or_many")]
    pub to: Vec<String>,
    /// None: the same signal.
    #[serde(default, rename = "as")]
    pub signal: Option<Number>,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyForm;
        impl<'de> Visitor<'de> for AnyForm {
            type Value = Rule;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`forward`, `swallow`, `{to: …, as: …}` or a list of `{to: …, as: …}`")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Rule, E> {
                match word {
                    "forward" => Ok(Rule::Forward),
                    "swallow" => Ok(Rule::Swallow),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                To::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| Rule::Deliver(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Rule, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Rule::Deliver)
            }
        }
        deserializer.deserialize_any(AnyForm)
    }
}
