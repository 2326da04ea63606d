//! Bounds lines that somebody else can cause at will: a component that sends signals to the controller, or fills a watched directory with links.
//!
//! Each place in the code that logs may write [`BURST`] lines of one subject at once, and one more in every [`EACH`]. Lines beyond are left out and counted; the count is
//! one line. Lines that commands read back, lines of plugins, which have a bound of their own, and lines for debugging are exempt.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::metrics::Family;
use crate::own_log::ROLLOUT_TARGET;
use crate::shutdown::Tasks;

/// Lines of one kind that come at once: a large pod starts all its components within a moment.
const BURST: u32 = 100;

/// After so long one more line may come.
const EACH: Duration = Duration::from_secs(10);

/// How often counts are reported.
const REPORT: Duration = Duration::from_secs(60);

/// Kinds of lines that are told apart; with more, subjects are not told apart any more.
const KINDS: usize = 1024;

/// Characters of the first line left out that are shown with the count.
const SHOWN: usize = 200;

/// Targets without this bound.
const EXEMPT: [&str; 3] = [ROLLOUT_TARGET, "outrigger::plugin::imports::logging", "outrigger::telemetry::flood"];

/// Lines that this process has left out: there is one log, and whoever shows the number did not start it.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// The metrics of the controller's own log.
#[must_use]
pub fn families() -> Vec<Family> {
    let help = "Lines that the controller's own log left out, because too many of their kind came at once.";
    let mut family = Family::counter("outrigger_own_log_left_out_lines_total", help);
    family.add([], LEFT_OUT.load(Ordering::Relaxed));
    vec![family]
}

/// One place in the code, and the subject of its line: component or plugin.
type Kind = (Identifier, String);

/// How many lines of a kind may still come.
#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Instant,
    left_out: u64,
    example: String,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { left: BURST, filled: now, left_out: 0, example: String::new() }
    }

    /// Whether a line may come now.
    fn take(&mut self, now: Instant) -> bool {
        let more = now.saturating_duration_since(self.filled).as_secs() / EACH.as_secs();
        if more > 0 {
            self.left = self.left.saturating_add(u32::try_from(more).unwrap_or(BURST)).min(BURST);
            self.filled = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// The lines that were left out. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Flood(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    // Short sections without any await: a plain mutex is right.
    buckets: Mutex<HashMap<Kind, Bucket>>,
    some: Notify,
}

impl Flood {
    /// Whether this line may be written.
    fn admits(&self, site: Identifier, now: Instant, record: impl FnOnce(&mut Words)) -> bool {
        let mut words = Words::default();
        record(&mut words);
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let subject = if buckets.len() < KINDS { std::mem::take(&mut words.subject) } else { String::new() };
        let bucket = buckets.entry((site, subject)).or_insert_with(|| Bucket::new(now));
        if bucket.take(now) {
            return true;
        }
        bucket.left_out += 1;
        LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        if bucket.left_out == 1 {
            bucket.example = words.text.chars().take(SHOWN).collect();
            self.0.some.notify_one();
        }
        false
    }

    /// What was left out since the last call: how many lines of each kind, and the first of them.
    fn take(&self) -> Vec<(u64, String)> {
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let flooded = buckets.values_mut().filter(|bucket| bucket.left_out > 0);
        flooded.map(|bucket| (std::mem::take(&mut bucket.left_out), std::mem::take(&mut bucket.example))).collect()
    }

    /// Reports what is left out, once a minute while there is something, until the tasks end.
    pub fn report(&self, tasks: &Tasks) {
        let flood = self.clone();
        tasks.spawn("log counts", |token| async move {
            loop {
                tokio::select! { biased; () = token.cancelled() => break, () = flood.0.some.notified() => {} }
                tokio::select! { biased; () = token.cancelled() => break, () = tokio::time::sleep(REPORT) => {} }
                flood.tell();
            }
            flood.tell();
        });
    }

    fn tell(&self) {
        for (count, example) in self.take() {
            warn!("the log leaves out {count} lines like this one: {example}");
        }
    }
}

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || EXEMPT.contains(&metadata.target()) {
            return true;
        }
        self.admits(metadata.callsite(), Instant::now(), |words| event.record(words))
    }
}

/// The subject of a line, and its words.
#[derive(Debug, Default)]
struct Words {
    subject: String,
    text: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "component" | "plugin") {
            self.subject = format!("{value:?}");
        }
        let space = if self.text.is_empty() { "" } else { " " };
        let _always_written = match field.name() {
            "message" => write!(self.text, "{space}{value:?}"),
            name => write!(self.text, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// A layer that counts what gets through.
    #[derive(Clone, Default)]
    struct Through(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Through {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut words = Words::default();
            event.record(&mut words);
            self.0.lock().unwrap().push(words.text);
        }
    }

    #[test]
    fn lines_beyond_the_burst_are_left_out_by_subject_and_counted() {
        let (flood, through) = (Flood::default(), Through::default());
        let subscriber = tracing_subscriber::registry().with(flood.clone()).with(through.clone());
        crate::telemetry::testing::keep_statements();
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..10_000 {
                warn!(component = "app", path = n, "the watch ignores this file");
            }
            warn!(component = "db", path = 1, "another place");
            for n in 0..500 {
                tracing::info!(target: ROLLOUT_TARGET, "rollout {n}");
            }
        });
        let lines = through.0.lock().unwrap().clone();
        let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
        // A slow machine may let some more through, one in ten seconds.
        assert!((100..110).contains(&count("ignores")), "{}", count("ignores"));
        assert_eq!((count("another"), count("rollout")), (1, 500));
        let left_out = flood.take();
        let [(lines, example)] = &left_out[..] else { panic!("{left_out:?}") };
        assert_eq!(*lines as usize + count("ignores"), 10_000);
        assert!(example.contains("the watch ignores this file") && example.contains("path="), "{example}");
        assert!(flood.take().is_empty());
    }

    #[test]
    fn the_bucket_fills_again() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        let mut through = 0;
        for second in 0..3600 {
            for _ in 0..20 {
                through += u32::from(bucket.take(begin + Duration::from_secs(second)));
            }
        }
        assert_eq!(through, BURST + 359);
        assert!(bucket.take(begin + Duration::from_secs(4000)));
    }

    #[test]
    fn kinds_have_a_bound() {
        let (flood, through) = (Flood::default(), Through::default());
        let subscriber = tracing_subscriber::registry().with(flood.clone()).with(through);
        crate::telemetry::testing::keep_statements();
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..2 * KINDS {
                warn!(component = format!("c{n}"), "started");
            }
        });
        assert!(flood.0.buckets.lock().unwrap().len() <= KINDS + 1);
    }
}
