//! Single values as users write them: durations, sizes, signals, numbers of CPUs.

use std::time::Duration;

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// Not a duration.
    #[error("`{0}` is not a duration, expected for instance `1m30s`, `1.5s` or `500ms`")]
    Duration(String),
    /// A number alone.
    #[error("`{0}` has no unit, write `{0}s` for seconds or `{0}ms` for milliseconds")]
    NoUnit(String),
    /// Longer than can be counted.
    #[error("`{0}` is too long, the longest duration is 292 years")]
    TooLong(String),
    /// Not a size.
    #[error(
        "`{0}` is not a size, expected bytes or a number with `k`, `m`, `g` or `t` (powers of 1024), for instance `64m`"
    )]
    Size(String),
    /// More than can be counted.
    #[error("`{0}` is too large, the largest size is 8 EiB")]
    TooLarge(String),
    /// Not a signal.
    #[error("`{0}` is not a signal, expected a name such as `SIGTERM` or a number from 1 to 64")]
    Signal(String),
    /// Not a number of CPUs.
    #[error("`{0}` is not a number of CPUs, expected for instance `0.5` or `2`")]
    Cpus(String),
}

/// Nanoseconds in each unit of a duration, longest name first where one begins another.
const DURATION_UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// What a signed 64-bit count of nanoseconds holds, which is how the engine counts time.
const LONGEST_NS: u128 = i64::MAX as u128;

/// Reads a duration as Go and Compose write it: numbers with `h`, `m`, `s`, `ms`, `us`, `ns`, one after the other. Only `0` needs no unit.
///
/// # Errors
/// [`BadValue`] where it is none, has no unit, or is longer than 292 years.
pub fn duration(text: &str) -> Result<Duration, BadValue> {
    let bad = || BadValue::Duration(text.to_owned());
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    if rest.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadValue::NoUnit(rest.to_owned()));
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(bad)?;
        let name_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (name, after) = after.split_at_checked(name_end).ok_or_else(bad)?;
        let (_, unit) = DURATION_UNITS.iter().find(|(unit, _)| *unit == name).ok_or_else(bad)?;
        let nanos = number.times(*unit).filter(|nanos| *nanos <= LONGEST_NS);
        total += nanos.ok_or_else(|| BadValue::TooLong(text.to_owned()))?;
        rest = after;
    }
    if total > LONGEST_NS {
        return Err(BadValue::TooLong(text.to_owned()));
    }
    let nanos = u64::try_from(total).map_err(|_| BadValue::TooLong(text.to_owned()))?;
    Ok(Duration::from_nanos(nanos))
}

/// Writes a duration so that [`duration`] reads the same again: one number with the longest unit up to seconds that keeps it whole.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (unit, size) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if nanos.is_multiple_of(size) {
            return format!("{}{unit}", nanos / size);
        }
    }
    format!("{nanos}ns")
}

/// Reads a size in bytes: a number, with `b`, `k`, `kb`, `kib`, `m`, … up to `p` in either case. All units are powers of 1024, as the engine's own tools have it.
///
/// # Errors
/// [`BadValue`] where it is none or does not fit.
pub fn size(text: &str) -> Result<i64, BadValue> {
    let bad = || BadValue::Size(text.to_owned());
    let (number, unit) = split_number(text.trim()).ok_or_else(bad)?;
    let unit = unit.trim().to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit == "ib" => return Err(bad()),
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(bad()),
    };
    let bytes = number.times(1 << (10 * power)).and_then(|bytes| i64::try_from(bytes).ok());
    bytes.ok_or_else(|| BadValue::TooLarge(text.to_owned()))
}

/// Reads a number of CPUs in billionths, as the engine counts them.
///
/// # Errors
/// [`BadValue`] where it is none, or does not fit.
pub fn cpus(text: &str) -> Result<i64, BadValue> {
    let bad = || BadValue::Cpus(text.to_owned());
    let (number, rest) = split_number(text.trim()).ok_or_else(bad)?;
    let nano = number.times(1_000_000_000).and_then(|nano| i64::try_from(nano).ok());
    if rest.is_empty() { nano.ok_or_else(bad) } else { Err(bad()) }
}

/// Writes billionths of a CPU so that [`cpus`] reads the same again.
#[must_use]
pub fn format_cpus(nano: i64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, (nano % 1_000_000_000).abs());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A decimal number without a sign: digits before the point, and at most 18 digits behind it.
struct Decimal {
    whole: u128,
    fraction: u128,
    /// Ten to the number of digits behind the point.
    scale: u128,
}

impl Decimal {
    /// Times a unit, rounded down; none where it does not fit.
    fn times(&self, unit: u128) -> Option<u128> {
        self.whole.checked_mul(unit)?.checked_add(self.fraction.checked_mul(unit)? / self.scale)
    }
}

/// Splits the number off the front.
fn split_number(text: &str) -> Option<(Decimal, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at_checked(digits(text))?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(behind) => behind.split_at_checked(digits(behind))?,
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let kept = fraction.get(..fraction.len().min(18))?;
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    let scale = 10_u128.checked_pow(u32::try_from(kept.len()).ok()?)?;
    // More digits than fit are saturated, so that the caller says "too large" and not "no number".
    let whole = number(whole).unwrap_or(u128::MAX);
    Some((Decimal { whole, fraction: number(kept)?, scale }, rest))
}

/// Linux's signals by number, from 1; the same on all architectures that Outrigger runs on.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
/// The first real-time signal that programs may use; the C library keeps 32 and 33 for itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Reads a signal: a name with or without `SIG`, `RTMIN+n`, `RTMAX-n`, or a number from 1 to 64.
///
/// # Errors
/// [`BadValue`] where there is no such signal.
pub fn signal(text: &str) -> Result<i32, BadValue> {
    let bad = || BadValue::Signal(text.to_owned());
    let upper = text.trim().to_ascii_uppercase();
    if upper.bytes().all(|b| b.is_ascii_digit()) {
        return upper.parse().ok().filter(|number| (1..=RTMAX).contains(number)).ok_or_else(bad);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i32>().ok()).flatten();
    let number = match name {
        "IOT" => Some(6),
        "CLD" => Some(17),
        "POLL" => Some(29),
        "RTMIN" => Some(RTMIN),
        "RTMAX" => Some(RTMAX),
        _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(digits), _) => offset(digits).and_then(|n| RTMIN.checked_add(n)),
            (_, Some(digits)) => offset(digits).and_then(|n| RTMAX.checked_sub(n)).filter(|n| *n >= RTMIN),
            (None, None) => SIGNALS.iter().position(|known| *known == name).and_then(|at| i32::try_from(at + 1).ok()),
        },
    };
    number.filter(|number| *number <= RTMAX).ok_or_else(bad)
}

/// The name of a signal, as `SIGTERM` or `SIGRTMIN+1`; the number where it has none.
#[must_use]
pub fn signal_name(number: i32) -> String {
    let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    match index.and_then(|index| SIGNALS.get(index)) {
        Some(name) => format!("SIG{name}"),
        None if number == RTMIN => "SIGRTMIN".to_owned(),
        None if (RTMIN..=RTMAX).contains(&number) => format!("SIGRTMIN+{}", number - RTMIN),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests;
