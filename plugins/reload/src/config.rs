//! The configuration, as it is written.

use std::fmt;
use std::time::Duration;

use outrigger_plugin::de::{duration, optional_duration};
use outrigger_plugin::signals::Number;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// All of it: the list, or the one rule at the top level.
#[derive(Debug)]
pub struct Config(pub Vec<RawRule>);

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRule {
    /// File or directory of the controller.
    pub watch: String,
    /// Whose file it becomes.
    pub component: String,
    /// Where in the component.
    pub target: String,
    /// Permission bits.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Owner.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Group.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Quiet time after a change.
    #[serde(default = "default_debounce", deserialize_with = "duration")]
    pub debounce: Duration,
    /// Longest time that changes may put it off.
    #[serde(default, deserialize_with = "optional_duration")]
    pub max_delay: Option<Duration>,
    /// Must succeed before.
    #[serde(default)]
    pub validate: Commands,
    /// Sent afterwards.
    #[serde(default)]
    pub signal: Option<Number>,
    /// Run afterwards.
    #[serde(default)]
    pub exec: Vec<String>,
    /// Whether the component is restarted afterwards.
    #[serde(default)]
    pub restart: bool,
    /// Must succeed after that.
    #[serde(default)]
    pub verify: Commands,
    /// How long the component must be well after that.
    #[serde(default = "default_healthy_for", deserialize_with = "duration")]
    pub healthy_for: Duration,
    /// Longest time of each command.
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
}

fn default_debounce() -> Duration {
    Duration::from_millis(500)
}

fn default_healthy_for() -> Duration {
    Duration::from_secs(2)
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            rules: Vec<RawRule>,
        }
        // Which of the two forms it is decides the one key that they don't share; then its own errors are told.
        let all = outrigger_plugin::serde_json::Map::deserialize(deserializer)?;
        let is_long = all.contains_key("rules");
        let all = outrigger_plugin::serde_json::Value::Object(all);
        if is_long {
            return Long::deserialize(all).map(|long| Self(long.rules)).map_err(de::Error::custom);
        }
        RawRule::deserialize(all).map(|rule| Self(vec![rule])).map_err(de::Error::custom)
    }
}

/// Permission bits: octal text, or a number that already is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Octal;
        impl Visitor<'_> for Octal {
            type Value = Mode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("permission bits such as `0644`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
                let digits = text.strip_prefix("0o").unwrap_or(text);
                let bits = u32::from_str_radix(digits, 8).ok().filter(|bits| *bits <= 0o7777);
                bits.map(Mode).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_u64<E: de::Error>(self, bits: u64) -> Result<Mode, E> {
                let known = u32::try_from(bits).ok().filter(|bits| *bits <= 0o7777);
                known.map(Mode).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(bits), &self))
            }
        }
        deserializer.deserialize_any(Octal)
    }
}

/// One command, or a list of commands: lists of a program and its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands(pub Vec<Vec<String>>);

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Commands;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of a program and its arguments, or a list of such lists")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Commands, A::Error> {
                let (mut words, mut commands) = (Vec::new(), Vec::new());
                while let Some(item) = list.next_element()? {
                    match item {
                        Item::Word(word) => words.push(word),
                        Item::Command(command) => commands.push(command),
                    }
                }
                match (words.is_empty(), commands.is_empty()) {
                    (_, true) => commands.push(words),
                    (true, false) => {}
                    (false, false) => return Err(de::Error::invalid_type(de::Unexpected::Str("both"), &self)),
                }
                commands.retain(|command| !command.is_empty());
                Ok(Commands(commands))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// What a list of [`Commands`] is made of.
enum Item {
    Word(String),
    Command(Vec<String>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a list of words")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Item, E> {
                Ok(Item::Word(word.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Item, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Item::Command)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
