//! The pod's metrics: one registry, to which each part adds what it counts, and one page of all of them in OpenMetrics' text.
//!
//! A part keeps its own counters, where they cost an addition, and registers a [source](Registry::add) that answers them as [`Family`]s. Nothing is collected until
//! somebody asks, so a pod whose metrics nobody reads pays nothing for them. Names follow OpenTelemetry's conventions as Prometheus writes them: `outrigger_`, the
//! part, the thing, its unit, and `_total` for counters.
//!
//! The number of series is bounded by what the parts have: components, plugins and words of fixed lists, never by words of the outside. The series that plugins
//! make have a bound of their own.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// The content type of a [page](Registry::page).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the name of a counter ends in OpenMetrics.
const TOTAL: &str = "_total";

/// From here on a float does not tell whole numbers apart.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// How the values of a family are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often values were seen, by their size.
    Histogram,
}

/// The value of one series.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// Upper bound of each bucket, and how many values fell into it and not into the one before; the last bound is infinite.
        buckets: Vec<(f64, u64)>,
        /// Sum of all values.
        sum: f64,
        /// How many there were.
        count: u64,
    },
}

/// One series of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values, in the order in which they are written.
    pub labels: Vec<(Cow<'static, str>, String)>,
    /// Its value now.
    pub value: Value,
}

/// All series of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// As it stands on the page: a counter of the controller ends in `_total`.
    pub name: Cow<'static, str>,
    /// One sentence; empty where nobody has written one.
    pub help: &'static str,
    /// How its values are to be read.
    pub kind: Kind,
    /// Its series; none: the family is on the page nevertheless, so that a reader finds out that it exists.
    pub samples: Vec<Sample>,
}

impl Family {
    /// Of a counter, without series yet; the name ends in `_total`.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), help, kind: Kind::Counter, samples: Vec::new() }
    }

    /// Of a gauge, without series yet.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), help, kind: Kind::Gauge, samples: Vec::new() }
    }

    /// Adds a series.
    pub fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: u64) {
        let labels = labels.map(|(name, value)| (Cow::Borrowed(name), value.to_owned())).into();
        #[expect(clippy::cast_precision_loss, reason = "nothing here is counted up to 2^53")]
        self.samples.push(Sample { labels, value: Value::Number(value as f64) });
    }

    /// Adds a series for each of these words: 1 where it is the word that applies, else 0.
    pub fn one_of(&mut self, labels: &[(&'static str, &str)], (name, words): (&'static str, &[&str]), now: &str) {
        for word in words {
            let mut all: Vec<_> =
                labels.iter().map(|(name, value)| (Cow::Borrowed(*name), (*value).to_owned())).collect();
            all.push((Cow::Borrowed(name), (*word).to_owned()));
            self.samples.push(Sample { labels: all, value: Value::Number(if *word == now { 1.0 } else { 0.0 }) });
        }
    }
}

type Source = Box<dyn Fn() -> Vec<Family> + Send + Sync>;

/// All metrics of a pod. Clones are the same.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Vec<Source>>>);

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Adds what one part counts. It is asked for each page, and must neither wait nor use this registry.
    pub fn add(&self, source: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    /// All families as they are now, by name; parts that count the same thing share a family.
    #[must_use]
    pub fn collect(&self) -> Vec<Family> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeMap<Cow<'static, str>, Family> = BTreeMap::new();
        for family in sources.iter().flat_map(|source| source()) {
            match all.get_mut(&family.name) {
                Some(known) if known.kind == family.kind => known.samples.extend(family.samples),
                // The first one keeps the name: a page with two meanings of it could not be read at all.
                Some(_) => {}
                None => drop(all.insert(family.name.clone(), family)),
            }
        }
        all.into_values().collect()
    }

    /// All metrics in OpenMetrics' text.
    #[must_use]
    pub fn page(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(Page(self.collect())));
        let mut text = String::new();
        // A string takes everything, and the encoder has no error of its own.
        if encode(&mut text, &registry).is_err() {
            text.clear();
        }
        text
    }
}

/// What is on one page.
#[derive(Debug)]
struct Page(Vec<Family>);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let names: BTreeSet<&str> = self.0.iter().map(|family| family.name.as_ref()).collect();
        for family in &self.0 {
            let (name, kind) = typed(family, &names);
            let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
            for sample in &family.samples {
                if sample.labels.is_empty() {
                    value(&mut metric, kind, &sample.value)?;
                } else {
                    value(&mut metric.encode_family(&sample.labels)?, kind, &sample.value)?;
                }
            }
        }
        Ok(())
    }
}

/// The name and the type that the page gives a family. A counter that does not end in `_total`, as plugins may have it, keeps its name, so its type is `unknown`.
fn typed<'a>(family: &'a Family, names: &BTreeSet<&str>) -> (&'a str, MetricType) {
    match (family.kind, family.name.strip_suffix(TOTAL)) {
        (Kind::Counter, Some(stem)) if !stem.is_empty() && !names.contains(stem) => (stem, MetricType::Counter),
        (Kind::Counter, _) => (&family.name, MetricType::Unknown),
        (Kind::Gauge, _) => (&family.name, MetricType::Gauge),
        (Kind::Histogram, _) => (&family.name, MetricType::Histogram),
    }
}

fn value(metric: &mut MetricEncoder<'_>, kind: MetricType, value: &Value) -> fmt::Result {
    match value {
        Value::Histogram { buckets, sum, count } => metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None),
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "it has been found to be a whole number of this size")]
            let whole = (number.fract() == 0.0 && number.abs() < WHOLE).then_some(*number as i64);
            match (kind, whole.map(u64::try_from)) {
                (MetricType::Counter, Some(Ok(whole))) => metric.encode_counter::<NoLabelSet, _, f64>(&whole, None),
                (MetricType::Counter, _) => metric.encode_counter::<NoLabelSet, _, f64>(number, None),
                (_, Some(_)) => metric.encode_gauge(&whole.unwrap_or_default()),
                (_, None) => metric.encode_gauge(number),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(families: Vec<Family>) -> String {
        let registry = Registry::default();
        registry.add(move || families.clone());
        registry.page()
    }

    #[test]
    fn a_page_is_text_of_openmetrics() {
        let mut lines = Family::counter("outrigger_lines_total", "Lines.");
        lines.add([("component", "a\"b")], 3);
        let mut up = Family::gauge("outrigger_up_seconds", "Seconds.");
        up.add([], 7);
        let mut state = Family::gauge("outrigger_state", "");
        state.one_of(&[("component", "a")], ("state", &["on", "off"]), "off");
        assert_eq!(
            page(vec![up, lines, state]),
            "# HELP outrigger_lines Lines.\n# TYPE outrigger_lines counter\n\
             outrigger_lines_total{component=\"a\\\"b\"} 3\n\
             # HELP outrigger_state \n# TYPE outrigger_state gauge\n\
             outrigger_state{component=\"a\",state=\"on\"} 0\noutrigger_state{component=\"a\",state=\"off\"} 1\n\
             # HELP outrigger_up_seconds Seconds.\n# TYPE outrigger_up_seconds gauge\noutrigger_up_seconds 7\n# EOF\n"
        );
    }

    #[test]
    fn counters_of_plugins_keep_their_names() {
        let counter = |name: &'static str| {
            let mut family = Family::counter(name, "h");
            family.add([], 1);
            family
        };
        let text = page(vec![counter("hits"), counter("hits_total"), counter("misses_total")]);
        assert!(text.contains("# TYPE hits unknown\nhits 1\n"), "{text}");
        assert!(text.contains("# TYPE hits_total unknown\nhits_total 1\n"), "{text}");
        assert!(text.contains("# TYPE misses counter\nmisses_total 1\n"), "{text}");
    }

    #[test]
    fn parts_share_a_family_and_no_page_has_two_meanings_of_a_name() {
        let registry = Registry::default();
        let (mut one, mut other) = (Family::gauge("a", "h"), Family::gauge("a", "h"));
        one.add([("part", "one")], 1);
        other.add([("part", "other")], 2);
        registry.add(move || vec![one.clone()]);
        registry.add(move || vec![other.clone(), Family::counter("a", "h")]);
        let found = registry.collect();
        assert_eq!((found.len(), found[0].samples.len(), found[0].kind), (1, 2, Kind::Gauge));
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for (number, written) in [(0.5, "0.5"), (-3.0, "-3"), (1e300, "1e300"), (f64::INFINITY, "inf")] {
            let family = Family {
                samples: vec![Sample { labels: Vec::new(), value: Value::Number(number) }],
                ..Family::gauge("a", "h")
            };
            let text = page(vec![family]);
            assert!(text.contains(&format!("\na {written}\n")), "{text}");
        }
    }
}
