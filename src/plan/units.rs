//! Sizes and times as people read them.

use std::time::Duration;

/// The largest unit that divides a size, so that what is printed is exact: `64MiB`, `1500`.
pub(super) fn bytes(size: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(unit, _)| size != 0 && size % unit == 0)
        .map_or_else(|| size.to_string(), |(unit, name)| format!("{}{name}", size / unit))
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
    fn sizes_are_exact() {
        for (size, text) in
            [(0, "0"), (-1, "-1"), (1500, "1500"), (1024, "1KiB"), (67_108_864, "64MiB"), (3 << 30, "3GiB")]
        {
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
