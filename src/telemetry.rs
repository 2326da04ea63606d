//! The controller's own log: events with fields, on standard error, so that standard output stays the components'.

mod flood;
mod text;

use std::io::{self, IsTerminal, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use self::flood::{Flood, families};
use crate::config::{Level, LineFormat, LogFilter};
use crate::own_log::LAST_OUTPUT_FIELD;

/// Starts the log. An event below its level costs one comparison. Whoever runs for long reports what the answer has left out.
///
/// # Errors
/// [`TryInitError`] where a log was started already.
pub fn init(filter: &LogFilter, format: LineFormat, colours: bool) -> Result<Flood, TryInitError> {
    let flood = Flood::default();
    let registry = tracing_subscriber::registry().with(targets(filter)).with(flood.clone());
    match format {
        LineFormat::Json => registry
            .with(
                fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(|| Listing(io::stderr())),
            )
            .try_init(),
        LineFormat::Text | LineFormat::Plain => registry
            .with(fmt::layer().with_ansi(colours).fmt_fields(text::SubjectFirst).with_writer(|| Clean(io::stderr())))
            .try_init(),
    }?;
    Ok(flood)
}

/// Makes a list of the lines in the field [`LAST_OUTPUT_FIELD`] of an event in JSON: fields have no lists.
struct Listing<W>(W);

impl<W: Write> Write for Listing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match listed(bytes) {
            Some(line) => self.0.write_all(&line)?,
            None => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The event with a list; none if there is nothing to list.
fn listed(event: &[u8]) -> Option<Vec<u8>> {
    let event = std::str::from_utf8(event).ok().filter(|event| event.contains(LAST_OUTPUT_FIELD))?;
    let mut event: serde_json::Map<String, serde_json::Value> = serde_json::from_str(event).ok()?;
    let lines = event.get_mut(LAST_OUTPUT_FIELD)?;
    *lines = lines.as_str()?.lines().map(serde_json::Value::from).collect();
    let mut line = serde_json::to_vec(&event).ok()?;
    line.push(b'\n');
    Some(line)
}

/// Escapes control characters that would move a terminal's cursor: lines hold words of plugins, components and the engine. [`text`] has escaped the escape
/// sequences of others; those that are left are the subscriber's colours.
struct Clean<W>(W);

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let moves = |byte: u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t' | 0x1b);
        if bytes.iter().copied().any(moves) {
            let escaped = |&byte: &u8| if moves(byte) { byte.escape_ascii().collect() } else { vec![byte] };
            self.0.write_all(&bytes.iter().flat_map(escaped).collect::<Vec<u8>>())?;
        } else {
            self.0.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether standard error is a terminal that shows colours, and the user has not asked for none (<https://no-color.org>).
#[must_use]
pub fn colours(no_color: Option<&str>, term: Option<&str>) -> bool {
    no_color.is_none_or(str::is_empty) && term != Some("dumb") && io::stderr().is_terminal()
}

fn targets(filter: &LogFilter) -> Targets {
    Targets::new()
        .with_default(level(filter.level))
        .with_targets(filter.targets.iter().map(|(target, at)| (target.clone(), level(*at))))
}

fn level(level: Level) -> LevelFilter {
    match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// For tests that read the log of their own thread.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use std::sync::Once;

    /// Keeps the process from forgetting a log statement for good.
    ///
    /// `tracing` remembers for each statement whether any subscriber wants it. If one thread reaches a statement for the first time in the moment in which
    /// another thread sets its subscriber, the answer may be "none", and the other thread's line is lost. A global subscriber that wants all statements, and
    /// writes none, prevents this answer.
    pub fn keep_statements() {
        static KEPT: Once = Once::new();
        KEPT.call_once(|| {
            if tracing::subscriber::set_global_default(tracing_subscriber::registry()).is_err() {
                tracing::debug!("another subscriber is global already");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_target_has_its_own_level() {
        let targets = targets(&LogFilter {
            level: Level::Warn,
            targets: vec![("outrigger::supervisor".to_owned(), Level::Debug), ("hyper".to_owned(), Level::Off)],
        });
        assert!(targets.would_enable("outrigger::supervisor", &tracing::Level::DEBUG));
        assert!(!targets.would_enable("outrigger::engine", &tracing::Level::INFO));
        assert!(targets.would_enable("outrigger::engine", &tracing::Level::WARN));
        assert!(!targets.would_enable("hyper::client", &tracing::Level::ERROR));
    }

    #[test]
    fn words_from_outside_do_not_move_the_cursor() {
        let mut out = Vec::new();
        let mut clean = Clean(&mut out);
        clean.write_all("\x1b[2mone\r\x07t\u{e4}o\t\x00\n".as_bytes()).unwrap();
        clean.flush().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\x1b[2mone\\r\\x07t\u{e4}o\t\\x00\n");
    }

    #[test]
    fn in_json_the_last_output_is_a_list_of_lines() {
        let written = |event: &str| {
            let mut out = Vec::new();
            Listing(&mut out).write_all(event.as_bytes()).unwrap();
            String::from_utf8(out).unwrap()
        };
        let event =
            r#"{"level":"ERROR","message":"last output","component":"app","last_output":"a\n  \"b\"\n","target":"x"}"#;
        let expected =
            r#"{"level":"ERROR","message":"last output","component":"app","last_output":["a","  \"b\""],"target":"x"}"#;
        assert_eq!(written(&format!("{event}\n")), format!("{expected}\n"));
        assert_eq!(written("{\"last_output\":\"\"}\n"), "{\"last_output\":[]}\n");
        // Words of others in another field, and another event.
        for event in ["{\"message\":\"last_output\"}\n", "{\"message\":\"x\"}\n"] {
            assert_eq!(written(event), event);
        }
    }

    #[test]
    fn no_color_and_dumb_terminals_have_no_colours() {
        assert!(!colours(Some("1"), Some("xterm")));
        assert!(!colours(None, Some("dumb")));
    }
}
