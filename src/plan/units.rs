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

/// A duration without rounding: `1.5s`, `15m`.
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() == 0 && seconds >= 60 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{duration:?}")
    }
}

/// Milliseconds for JSON, cut off at what fits.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
    fn times_are_exact() {
        for (ms, text) in [(0, "0ns"), (1500, "1.5s"), (60_000, "1m"), (90_000, "90s"), (900_000, "15m")] {
            assert_eq!(time(Duration::from_millis(ms)), text);
        }
    }
}
