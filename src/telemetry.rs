//! The controller's own log: events with fields, on standard error, so that standard output stays the components'.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Level, LineFormat, LogFilter};

/// Starts the log. An event below its level costs one comparison.
///
/// # Errors
/// [`TryInitError`] where a log was started already.
pub fn init(filter: &LogFilter, format: LineFormat, colours: bool) -> Result<(), TryInitError> {
    let registry = tracing_subscriber::registry().with(targets(filter));
    match format {
        LineFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(io::stderr))
            .try_init(),
        LineFormat::Text | LineFormat::Plain => {
            registry.with(fmt::layer().with_ansi(colours).with_writer(io::stderr)).try_init()
        }
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
    fn no_color_and_dumb_terminals_have_no_colours() {
        assert!(!colours(Some("1"), Some("xterm")));
        assert!(!colours(None, Some("dumb")));
    }
}
