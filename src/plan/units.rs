//! Sizes and times as people read them.

use std::time::Duration;

/// A size in the largest unit that divides it, as `64MiB`; one that would be a long number then in the largest that it reaches, cut off after two digits:
/// `74.66MiB`. Below 10 KiB it is bytes: `1500`.
pub(super) fn bytes(size: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    const LONG: u64 = 10_000;
    if let Some((unit, name)) = UNITS.iter().find(|(unit, _)| size != 0 && size % unit == 0)
        && (size / unit).unsigned_abs() < LONG
    {
        return format!("{}{name}", size / unit);
    }
    let Some((unit, name)) =
        UNITS.iter().find(|(unit, _)| size.unsigned_abs() >= LONG && size.unsigned_abs() >= unit.unsigned_abs())
    else {
        return size.to_string();
    };
    let hundredths = i128::from(size) * 100 / i128::from(*unit);
    let sign = if hundredths < 0 { "-" } else { "" };
    let (whole, part) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
    let text = format!("{sign}{whole}.{part:02}");
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A size as it is written in a limit, in the largest unit that divides it: `20m`, `1g`, `1500b`.
#[must_use]
pub fn size(size: i64) -> String {
    let units = [(1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")];
    let (unit, name) = units.into_iter().find(|(unit, _)| size % unit == 0).unwrap_or((1, "b"));
    format!("{}{name}", size / unit)
}

/// A duration without rounding: `1.5s`, `15m`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() == 0 && seconds >= 60 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{duration:?}")
    }
}

/// A duration rounded to tenths of a second: `6.4s`.
pub(super) fn rounded(duration: Duration) -> String {
    let tenths = duration.as_millis().saturating_add(50) / 100;
    match tenths % 10 {
        0 => format!("{}s", tenths / 10),
        part => format!("{}.{part}s", tenths / 10),
    }
}

/// Milliseconds for JSON, cut off at what fits.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Words as a shell takes them, in one line: a line break in a word is another thing than the two characters `\n`.
#[must_use]
pub fn command(words: &[String]) -> String {
    words.iter().map(|text| word(text)).collect::<Vec<_>>().join(" ")
}

/// One word. With control characters in it, only the quotes `$'…'` of bash and zsh can hold it in one line.
pub(super) fn word(text: &str) -> String {
    if !text.contains(char::is_control) {
        return shell_words::quote(text).into_owned();
    }
    let mut quoted = "$'".to_owned();
    for c in text.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\\' | '\'' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (size, text) in [
            (0, "0"),
            (-1, "-1"),
            (1500, "1500"),
            (1024, "1KiB"),
            (67_108_864, "64MiB"),
            (3 << 30, "3GiB"),
            (78_293_674, "74.66MiB"),
            (-78_293_674, "-74.66MiB"),
            (10_001, "9.76KiB"),
            (i64::MAX, "8589934591.99GiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn times_may_be_rounded() {
        for (ms, text) in [(0, "0s"), (49, "0s"), (50, "0.1s"), (6375, "6.4s"), (9_950, "10s"), (90_000, "90s")] {
            assert_eq!(rounded(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn limits_are_as_they_are_written() {
        for (bytes, text) in
            [(20 << 20, "20m"), (2 << 30, "2g"), (1536, "1536b"), (1536 << 20, "1536m"), (3 << 10, "3k")]
        {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_are_exact() {
        for (ms, text) in [(0, "0ns"), (1500, "1.5s"), (60_000, "1m"), (90_000, "90s"), (900_000, "15m")] {
            assert_eq!(time(Duration::from_millis(ms)), text);
        }
    }
}
