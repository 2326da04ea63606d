//! Single values of flags and environment variables.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Level, Listen, LogFilter};

/// A boolean as Go's `strconv.ParseBool` reads it, which podlike's users are used to.
///
/// # Errors
/// What was expected.
pub fn boolean(raw: &str) -> Result<bool, String> {
    match raw {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("`{raw}` is not a boolean: expected `true`, `false`, `t`, `f`, `1` or `0`")),
    }
}

/// Longest duration that a flag takes.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A duration as [`crate::pod::values::duration`] reads it, such as `1m30s` or `1.5s`; at most 24 hours.
///
/// # Errors
/// What was expected.
pub fn duration(raw: &str) -> Result<Duration, String> {
    let duration = crate::pod::values::duration(raw).map_err(|error| error.to_string())?;
    if duration > LONGEST { Err(format!("`{raw}` is longer than 24 hours")) } else { Ok(duration) }
}

/// `level`, or a list of `level` and `target=level` with commas between.
///
/// # Errors
/// What was expected.
pub fn log_filter(raw: &str) -> Result<LogFilter, String> {
    let mut filter = LogFilter { level: Level::Info, targets: Vec::new() };
    for part in raw.split(',').map(str::trim) {
        match part.split_once('=') {
            Some((target, at)) if !target.trim().is_empty() => {
                filter.targets.push((target.trim().to_owned(), level(at.trim())?));
            }
            Some(_) => return Err(format!("`{part}` has no target: expected `target=level`")),
            None => filter.level = level(part)?,
        }
    }
    Ok(filter)
}

/// `port`, or `address:port`, with an address of IPv6 in brackets.
///
/// # Errors
/// What was expected.
pub fn listen(raw: &str) -> Result<Listen, String> {
    let wrong = || {
        format!(
            "`{raw}` is not an address: expected a port, such as `9090`, or an IP address and a port, such as `127.0.0.1:9090`"
        )
    };
    let listen = match raw.trim().parse::<u16>() {
        Ok(port) => Listen { address: None, port },
        Err(_) => {
            let address: SocketAddr = raw.trim().parse().map_err(|_| wrong())?;
            Listen { address: Some(address.ip()), port: address.port() }
        }
    };
    if listen.port == 0 { Err(wrong()) } else { Ok(listen) }
}

fn level(raw: &str) -> Result<Level, String> {
    match raw.to_ascii_lowercase().as_str() {
        "off" => Ok(Level::Off),
        "error" => Ok(Level::Error),
        "warn" | "warning" => Ok(Level::Warn),
        "info" => Ok(Level::Info),
        "debug" => Ok(Level::Debug),
        "trace" => Ok(Level::Trace),
        _ => Err(format!("`{raw}` is not a level: expected `off`, `error`, `warn`, `info`, `debug` or `trace`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_gos() {
        for yes in ["1", "t", "T", "true", "TRUE", "True"] {
            assert_eq!(boolean(yes), Ok(true), "{yes}");
        }
        for no in ["0", "f", "F", "false", "FALSE", "False"] {
            assert_eq!(boolean(no), Ok(false), "{no}");
        }
        for bad in ["", "yes", "tRUE", " true"] {
            let told = format!("`{bad}` is not a boolean: expected `true`, `false`, `t`, `f`, `1` or `0`");
            assert_eq!(boolean(bad), Err(told));
        }
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
    }

    #[test]
    fn durations_without_unit_sign_or_sense_are_refused() {
        for (bad, told) in [
            ("", "`` is not a duration"),
            ("10", "`10` has no unit"),
            ("s", "`s` is not a duration"),
            ("-1s", "`-1s` is not a duration"),
            ("1..5s", "`1..5s` is not a duration"),
            ("10 s", "`10 s` is not a duration"),
            ("1d", "`1d` is not a duration"),
            ("25h", "`25h` is longer than 24 hours"),
            ("1s5", "`1s5` is not a duration"),
            ("999999999999999999999999h", "`999999999999999999999999h` is too long"),
            ("é", "`é` is not a duration"),
        ] {
            let error = duration(bad).unwrap_err();
            assert!(error.starts_with(told), "{bad}: {error}");
        }
    }

    #[test]
    fn filters_take_a_level_and_targets() {
        let filter = log_filter("warn, outrigger::supervisor=debug").unwrap();
        assert_eq!(filter.level, Level::Warn);
        assert_eq!(filter.targets, [("outrigger::supervisor".to_owned(), Level::Debug)]);
        for (bad, told) in [
            ("", "`` is not a level"),
            ("banana", "`banana` is not a level"),
            ("x=banana", "`banana` is not a level"),
            ("=debug", "`=debug` has no target"),
            ("info,", "`` is not a level"),
        ] {
            let error = log_filter(bad).unwrap_err();
            assert!(error.starts_with(told), "{bad}: {error}");
        }
    }
}
