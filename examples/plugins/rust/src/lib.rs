//! Counts the error lines of each component, publishes the counts, and stops the pod when a component fails after too many of them.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use outrigger_plugin::{
    Batch, ComponentEvent, Error, Event, EventKind, LogLine, Manifest, Plugin, Problem, Problems, Reaction, Verdict,
    Want, host,
};
use serde::Deserialize;

/// What users write under `config:`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A line that holds one of these is an error.
    #[serde(default = "default_words")]
    words: Vec<String>,
    /// From so many errors on, a failed component stops the pod; none: never.
    #[serde(default)]
    limit: Option<u64>,
}

fn default_words() -> Vec<String> {
    vec!["ERROR".to_owned(), "FATAL".to_owned()]
}

/// The plugin: what it keeps between two calls.
#[derive(Debug)]
pub struct ErrorCount {
    config: Config,
    /// Errors since the component was started, by component.
    errors: BTreeMap<String, u64>,
}

const WHY_LINES: &str = "to find the error lines";
const WHY_EXITS: &str = "to count from a component's start, and to stop the pod after too many errors";
const WHY: &str = "to publish how many error lines there were";

impl Plugin for ErrorCount {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new("error-count", env!("CARGO_PKG_VERSION"), "counts error lines and publishes the counts")
            .schema(include_str!("schema.json"))
            .want(Want::lines("*", WHY_LINES))
            .want(Want::exits("*", WHY_EXITS))
            .want(Want::metrics(WHY))
    }

    fn new(config: Config) -> Result<Self, Problems> {
        let empty = config.words.iter().enumerate().filter(|(_, word)| word.is_empty());
        let problems: Vec<_> = empty.map(|(at, _)| Problem::new(format!("words[{at}]"), "the word is empty")).collect();
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok(Self { config, errors: BTreeMap::new() })
    }

    fn wants(&self) -> Vec<Want> {
        let mut wants = vec![Want::lines("*", WHY_LINES), Want::metrics(WHY)];
        // Without a limit it only looks at exits.
        let exits = Want::exits("*", WHY_EXITS);
        wants.push(if self.config.limit.is_some() { exits } else { exits.optional() });
        wants
    }

    fn events(&self) -> Option<&[EventKind]> {
        Some(&[EventKind::Started, EventKind::Restarted, EventKind::Exited])
    }
}

impl LogLine for ErrorCount {
    fn on_batch(&mut self, batch: &Batch) -> Result<Verdict, Error> {
        let words = &self.config.words;
        let is_error = |line: &[u8]| words.iter().any(|word| contains(line, word.as_bytes()));
        let count = batch.lines().filter(|line| is_error(line.bytes)).count() as u64;
        if count > 0 {
            *self.errors.entry(batch.component().to_owned()).or_default() += count;
            host::count("error_lines", count as f64, &[("component", batch.component())]);
        }
        // It only looks: no line changes, and none travels back.
        Ok(Verdict::KeepAll)
    }
}

impl ComponentEvent for ErrorCount {
    fn on_event(&mut self, event: &Event) -> Result<Reaction, Error> {
        match event.kind {
            EventKind::Started | EventKind::Restarted => {
                self.errors.remove(&event.component);
                Ok(Reaction::AsPlanned)
            }
            EventKind::Exited => {
                let errors = self.errors.get(&event.component).copied().unwrap_or(0);
                let has_failed = event.exit_code.is_some_and(|code| code != 0);
                if has_failed && self.config.limit.is_some_and(|limit| errors >= limit) {
                    // Goes to the controller's log.
                    eprintln!("`{}` failed after {errors} error lines: stopping the pod", event.component);
                    return Ok(Reaction::StopPod);
                }
                Ok(Reaction::AsPlanned)
            }
            _ => Ok(Reaction::AsPlanned),
        }
    }
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|part| part == word)
}

outrigger_plugin::register!(ErrorCount: LogLine, ComponentEvent);

#[cfg(test)]
mod tests {
    use outrigger_plugin::testing::{self, configure};

    use super::*;

    fn exited(component: &str, exit_code: i32) -> Event {
        Event::new(EventKind::Exited, component).exited(exit_code)
    }

    #[test]
    fn counts_what_looks_like_an_error() {
        let mut plugin: ErrorCount = configure("{}").unwrap();
        let batch = Batch::of("app", &["INFO up", "ERROR down", "FATAL gone"]);
        assert_eq!(plugin.on_batch(&batch).unwrap(), Verdict::KeepAll);
        assert_eq!(testing::metric("error_lines{component=app}"), 2.0);
    }

    #[test]
    fn too_many_errors_before_a_failure_stop_the_pod() {
        let mut plugin: ErrorCount = configure(r#"{"limit": 2}"#).unwrap();
        plugin.on_batch(&Batch::of("app", &["ERROR 1"])).unwrap();
        assert_eq!(plugin.on_event(&exited("app", 1)).unwrap(), Reaction::AsPlanned);
        plugin.on_batch(&Batch::of("app", &["ERROR 2"])).unwrap();
        assert_eq!(plugin.on_event(&exited("app", 0)).unwrap(), Reaction::AsPlanned);
        assert_eq!(plugin.on_event(&exited("app", 1)).unwrap(), Reaction::StopPod);
        plugin.on_event(&Event::new(EventKind::Restarted, "app")).unwrap();
        assert_eq!(plugin.on_event(&exited("app", 1)).unwrap(), Reaction::AsPlanned);
    }

    #[test]
    fn bad_configurations_are_refused() {
        let refused = |config: &str| configure::<ErrorCount>(config).unwrap_err().0;
        assert_eq!(refused(r#"{"words": ["a", ""]}"#), [Problem::new("words[1]", "the word is empty")]);
        assert!(refused(r#"{"word": []}"#)[0].what.contains("unknown field `word`"));
    }
}
