//! Times as commands read and print them.

use std::time::Duration;

use crate::clock::since_epoch;
use crate::config::values;
use crate::logs::stamp::{self, StampReader};

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

/// What `--since` takes: how long ago (`10m`), or a time (`2026-01-31T12:00:00Z`), in nanoseconds since the Unix epoch.
pub(super) fn since(text: &str) -> Result<i64, String> {
    if let Some(at) = parse(text) {
        return Ok(at);
    }
    let ago = values::duration(text)
        .map_err(|_| "expected how long ago (`10m`, `2h`) or a time (`2026-01-31T12:00:00Z`)".to_owned())?;
    Ok(now_ns().saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)).max(0))
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
    fn since_is_a_span_or_a_time() {
        assert_eq!(since("1970-01-01T00:00:01.5Z"), Ok(1_500_000_000));
        assert_eq!(format(1_500_000_000), "1970-01-01T00:00:01.500000000Z");
        let then = since("10m").unwrap();
        let ago = now_ns() - then;
        assert!((600_000_000_000..601_000_000_000).contains(&ago), "{ago}");
        assert!(since("yesterday").unwrap_err().contains("how long ago"));
    }
}
