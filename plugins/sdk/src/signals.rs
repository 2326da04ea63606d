//! Names and numbers of signals, as Linux has them on x86-64 and ARM.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Names without `SIG`; the place is the number.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "PWR", "SYS",
];
/// The first real-time signal that the C library leaves to programs.
const REAL_TIME_FIRST: u8 = 34;
/// The last one.
const REAL_TIME_LAST: u8 = 64;

/// The number of a signal: `SIGHUP`, `HUP` and `1` are the same, in any case; `RTMIN+2` and `RTMAX-1` work too.
#[must_use]
pub fn number(name: &str) -> Option<u8> {
    let name = name.trim().to_ascii_uppercase();
    if let Ok(number) = name.parse::<u8>() {
        return (1..=REAL_TIME_LAST).contains(&number).then_some(number);
    }
    let bare = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some(above) = bare.strip_prefix("RTMIN") {
        let above = if above.is_empty() { 0 } else { above.strip_prefix('+')?.parse().ok()? };
        return REAL_TIME_FIRST.checked_add(above).filter(|number| *number <= REAL_TIME_LAST);
    }
    if let Some(below) = bare.strip_prefix("RTMAX") {
        let below = if below.is_empty() { 0 } else { below.strip_prefix('-')?.parse().ok()? };
        return REAL_TIME_LAST.checked_sub(below).filter(|number| *number >= REAL_TIME_FIRST);
    }
    let bare = match bare {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        other => other,
    };
    (1_u8..).zip(NAMES.iter().skip(1)).find(|(_, name)| **name == bare).map(|(number, _)| number)
}

/// The name of a signal, as `SIGHUP`; its number where it has no name.
#[must_use]
pub fn name(number: u8) -> String {
    match NAMES.get(usize::from(number)) {
        Some(name) if !name.is_empty() => format!("SIG{name}"),
        _ => number.to_string(),
    }
}

/// A signal in a configuration: a name or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(pub u8);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or number of a signal, such as `SIGHUP`, `HUP` or 1")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                number(text).map(Number).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_u64<E: de::Error>(self, raw: u64) -> Result<Number, E> {
                let known = u8::try_from(raw).ok().filter(|number| (1..=REAL_TIME_LAST).contains(number));
                known.map(Number).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(raw), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for name in ["SIGHUP", "HUP", "1", "hup", " SigHup "] {
            assert_eq!(number(name), Some(1), "{name}");
        }
        for (name, expected) in
            [("USR2", 12), ("SIGTERM", 15), ("SYS", 31), ("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63)]
        {
            assert_eq!(number(name), Some(expected), "{name}");
        }
        for name in ["", "SIG", "0", "65", "-1", "300", "NOPE", "RTMIN+99", "RTMIN+-1", "RTMAX-31", "RTMIN3"] {
            assert_eq!(number(name), None, "{name}");
        }
    }

    #[test]
    fn every_name_is_the_name_of_its_number() {
        for number in 1..=REAL_TIME_LAST {
            assert_eq!(super::number(&name(number)), Some(number));
        }
    }

    #[test]
    fn configuration_takes_both() {
        let both: Vec<Number> = serde_json::from_str(r#"["USR1", 10, "10"]"#).unwrap();
        assert_eq!(both, [Number(10); 3]);
        let error = serde_json::from_str::<Number>("\"UP\"").unwrap_err().to_string();
        assert!(error.contains("expected the name or number of a signal"), "{error}");
    }
}
