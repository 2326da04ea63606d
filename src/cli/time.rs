//! Times as commands read and print them.

use std::time::Duration;

use crate::clock::since_epoch;
use crate::logs::stamp::{self, StampReader};
use crate::pod::values;

/// Nanoseconds since the Unix epoch.
pub(super) fn now_ns() -> i64 {
    i64::try_from(since_epoch().as_nanos()).unwrap_or(i64::MAX)
}

/// An RFC 3339 time in nanoseconds since the Unix epoch.
pub(super) fn parse(text: &str) -> Option<i64> {
    let line = format!("{text} ");
    let (at, length) = StampReader::default().read(line.as_bytes())?;
    (length == line.len()).then(|| i64::try_from(at).ok()).flatten()
}

/// RFC 3339 in UTC.
pub(super) fn format(at_ns: i64) -> String {
    let mut out = Vec::new();
    stamp::write(&mut out, u64::try_from(at_ns).unwrap_or_default());
    String::from_utf8_lossy(&out).into_owned()
}

/// The same, to the second.
pub(super) fn seconds(at_ns: i64) -> String {
    let whole = format(at_ns);
    whole.split_once('.').map(|(seconds, _)| format!("{seconds}Z")).unwrap_or(whole)
}

/// What `--since` and `--until` take: how long ago (`10m`), a time (`2026-01-31T12:00:00Z`, or less of it, in UTC if it has no zone), or seconds since the Unix epoch. In
/// nanoseconds since the Unix epoch.
pub(super) fn when(text: &str) -> Result<i64, String> {
    if let Some(at) = unix(text).or_else(|| parse(&completed(text))) {
        return Ok(at);
    }
    let ago = values::duration(text).map_err(|_| {
        "expected a duration before now (`10m`, `2h`), a time (`2026-01-31T12:00:00Z`, `2026-01-31`), or seconds since the Unix epoch".to_owned()
    })?;
    Ok(now_ns().saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)).max(0))
}

/// Seconds since the Unix epoch, with at most nine digits of a second: `1769860800`, `1769860800.5`.
fn unix(text: &str) -> Option<i64> {
    let (seconds, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(seconds) || !is_number(part) || part.len() > 9 {
        return None;
    }
    let nanos: i64 = format!("{part:0<9}").parse().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// A time with all parts that RFC 3339 needs: a time of day may be missing, or its end, and so may the zone.
fn completed(text: &str) -> String {
    const LEAST: &str = "T00:00:00";
    let (date, time) = text.split_at(text.floor_char_boundary("2026-01-31".len()));
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let rest = LEAST.get(time.len()..).unwrap_or_default();
    // Of `T1`, nobody knows what it is the beginning of.
    let rest = if matches!(time.len(), 0 | 3 | 6) { rest } else { "" };
    format!("{date}{time}{rest}{}", if zone.is_empty() { "Z" } else { zone })
}

/// `1h1m`: the two largest units.
pub(super) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        assert_eq!(short(Duration::from_secs(59)), "59s");
        assert_eq!(short(Duration::from_secs(61)), "1m1s");
        assert_eq!(short(Duration::from_secs(90_000)), "1d1h");
    }

    #[test]
    fn when_is_a_span_a_time_or_a_number() {
        assert_eq!(when("1970-01-01T00:00:01.5Z"), Ok(1_500_000_000));
        for (text, expected) in [
            ("1970-01-02", 86_400_000_000_000),
            ("1970-01-02Z", 86_400_000_000_000),
            ("1970-01-01T02", 7_200_000_000_000),
            ("1970-01-01T02:01", 7_260_000_000_000),
            ("1970-01-01T02:01:05", 7_265_000_000_000),
            ("1970-01-01T02:01:05.25", 7_265_250_000_000),
            ("1970-01-01T02:01+01:00", 3_660_000_000_000),
            ("1970-01-01T02:01:05-00:30", 9_065_000_000_000),
            ("0", 0),
            ("1136073600", 1_136_073_600_000_000_000),
            ("1136073600.000000001", 1_136_073_600_000_000_001),
            ("1136073600.5", 1_136_073_600_500_000_000),
        ] {
            assert_eq!(when(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "1970-01",
            "1970-01-0",
            "1970-01-01T",
            "1970-01-01T1",
            "1970-13-01",
            "1.1234567890",
            "-5",
            "5.",
            "é970-01-01",
        ] {
            let told = when(wrong).unwrap_err();
            assert!(told.starts_with("expected a duration before now"), "{wrong}: {told}");
        }
        assert_eq!(format(1_500_000_000), "1970-01-01T00:00:01.500000000Z");
        assert!(when("48h").is_ok(), "a log may be long");
        let then = when("10m").unwrap();
        let ago = now_ns() - then;
        assert!((600_000_000_000..601_000_000_000).contains(&ago), "{ago}");
        assert!(when("yesterday").unwrap_err().contains("a duration before now"));
    }
}
