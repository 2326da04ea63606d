//! Metrics of plugins, and of the host about them: few series, kept until they are asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::debug;

use crate::pod::PluginName;

/// Series of one plugin; what goes beyond is counted as dropped.
const SERIES: usize = 1000;
/// Labels of a series, `plugin` not counted.
const LABELS: usize = 10;
/// Longest name or label value, in bytes.
const TEXT: usize = 200;
/// Upper bounds of histograms: from half a millisecond to a minute, where the unit is seconds.
const BUCKETS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// The name before each of a plugin's own metrics.
const PREFIX: &str = "outrigger_plugin_";

#[derive(Debug, Clone)]
enum Value {
    Counter(f64),
    Gauge(f64),
    Histogram { buckets: [u64; BUCKETS.len()], count: u64, sum: f64 },
}

/// What is done to a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// A counter grows; by nothing where the number is negative or not finite.
    Add(f64),
    /// A gauge is set.
    Set(f64),
    /// A histogram sees a value.
    Record(f64),
}

impl Change {
    fn first(self) -> Value {
        match self {
            Self::Add(_) => Value::Counter(0.0),
            Self::Set(_) => Value::Gauge(0.0),
            Self::Record(_) => Value::Histogram { buckets: [0; BUCKETS.len()], count: 0, sum: 0.0 },
        }
    }

    /// Answers whether value and change fit.
    fn apply(self, value: &mut Value) -> bool {
        match (self, value) {
            (Self::Add(delta), Value::Counter(total)) if delta.is_finite() && delta >= 0.0 => *total += delta,
            (Self::Set(new), Value::Gauge(old)) => *old = new,
            (Self::Record(seen), Value::Histogram { buckets, count, sum }) if seen.is_finite() => {
                for (bucket, bound) in buckets.iter_mut().zip(BUCKETS) {
                    *bucket += u64::from(seen <= bound);
                }
                *count += 1;
                *sum += seen;
            }
            _ => return false,
        }
        true
    }
}

#[derive(Debug, Default)]
struct Registry {
    /// By metric name, then by labels as they are written.
    families: BTreeMap<String, BTreeMap<String, Value>>,
    series: BTreeMap<String, usize>,
}

/// All metrics of a pod's plugins. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Changes a plugin's own metric; answers why not, where that can't be.
    ///
    /// # Errors
    /// A name or label that Prometheus can't have, a series of another kind, or too many.
    pub fn change(
        &self,
        plugin: &PluginName,
        name: &str,
        labels: &[(String, String)],
        change: Change,
    ) -> Result<(), &'static str> {
        if !metric_name(name) {
            return Err("a metric name must consist of letters, digits and `_`, and must not begin with a digit");
        }
        if labels.len() > LABELS || labels.iter().any(|(key, value)| !label(key) || value.len() > TEXT) {
            return Err("a label is wrong, or the metric has too many labels");
        }
        self.count(plugin, &format!("{PREFIX}{name}"), labels, change, SERIES)
    }

    /// Counts one of the host's own events about a plugin.
    pub fn event(&self, plugin: &PluginName, name: &str, hook: &str) {
        let labels = [("hook".to_owned(), hook.to_owned())];
        // Own names and hooks are few and right, and need no limit: nothing is refused.
        if let Err(why) = self.count(plugin, name, &labels, Change::Add(1.0), usize::MAX) {
            debug!(name, why, "a metric of the controller was refused");
        }
    }

    fn count(
        &self,
        plugin: &PluginName,
        name: &str,
        labels: &[(String, String)],
        change: Change,
        limit: usize,
    ) -> Result<(), &'static str> {
        let mut written = format!("plugin=\"{plugin}\"");
        let mut sorted: Vec<_> = labels.iter().collect();
        sorted.sort();
        for (key, value) in sorted {
            written.push_str(&format!(",{key}=\"{}\"", escaped(value)));
        }
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Registry { families, series } = &mut *registry;
        let used = series.entry(plugin.to_string()).or_default();
        let known = families.get(name).is_some_and(|family| family.contains_key(&written));
        if !known && *used >= limit {
            return Err("the plugin has too many time series");
        }
        let family = families.entry(name.to_owned()).or_default();
        let same_kind =
            family.values().next().is_none_or(|v| std::mem::discriminant(v) == std::mem::discriminant(&change.first()));
        if !same_kind {
            return Err("a metric of this name and another kind exists already");
        }
        *used += usize::from(!known);
        let value = family.entry(written).or_insert_with(|| change.first());
        if change.apply(value) {
            Ok(())
        } else {
            Err("a counter can only grow by a finite number that is not negative")
        }
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        for (name, family) in &registry.families {
            let kind = match family.values().next() {
                Some(Value::Counter(_)) => "counter",
                Some(Value::Gauge(_)) => "gauge",
                Some(Value::Histogram { .. }) => "histogram",
                None => continue,
            };
            out.push_str(&format!("# TYPE {name} {kind}\n"));
            for (labels, value) in family {
                line(&mut out, name, labels, value);
            }
        }
        out
    }
}

fn line(out: &mut String, name: &str, labels: &str, value: &Value) {
    let (buckets, count, sum) = match value {
        Value::Counter(value) | Value::Gauge(value) => {
            out.push_str(&format!("{name}{{{labels}}} {value}\n"));
            return;
        }
        Value::Histogram { buckets, count, sum } => (buckets, count, sum),
    };
    for (bucket, bound) in buckets.iter().zip(BUCKETS) {
        out.push_str(&format!("{name}_bucket{{{labels},le=\"{bound}\"}} {bucket}\n"));
    }
    out.push_str(&format!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}\n"));
    out.push_str(&format!("{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}\n"));
}

fn metric_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.len() <= TEXT && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn label(name: &str) -> bool {
    metric_name(name) && !name.starts_with("__") && name != "plugin" && name != "le"
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> PluginName {
        PluginName::new("p").unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn renders_for_prometheus() {
        let metrics = Metrics::default();
        let odd = labels(&[("b", "x\"y\n"), ("a", "1")]);
        metrics.change(&name(), "hits", &odd, Change::Add(1.0)).unwrap();
        metrics.change(&name(), "hits", &odd, Change::Add(2.0)).unwrap();
        metrics.change(&name(), "level", &[], Change::Set(0.5)).unwrap();
        metrics.change(&name(), "took", &[], Change::Record(0.3)).unwrap();
        metrics.event(&name(), "outrigger_hook_failures_total", "tick");
        let text = metrics.render();
        assert!(
            text.contains(
                "# TYPE outrigger_plugin_hits counter\noutrigger_plugin_hits{plugin=\"p\",a=\"1\",b=\"x\\\"y\\n\"} 3\n"
            ),
            "{text}"
        );
        assert!(text.contains("outrigger_plugin_level{plugin=\"p\"} 0.5\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_bucket{plugin=\"p\",le=\"0.25\"} 0\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_bucket{plugin=\"p\",le=\"0.5\"} 1\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_sum{plugin=\"p\"} 0.3\n"), "{text}");
        assert!(text.contains("outrigger_hook_failures_total{plugin=\"p\",hook=\"tick\"} 1\n"), "{text}");
    }

    #[test]
    fn refuses_what_prometheus_would_not_read_and_what_never_ends() {
        let metrics = Metrics::default();
        for wrong in ["", "1a", "a b", "a-b", "ä"] {
            let error = metrics.change(&name(), wrong, &[], Change::Add(1.0)).unwrap_err();
            assert!(error.starts_with("a metric name must consist of letters"), "{wrong}: {error}");
        }
        let many: Vec<_> = (0..=LABELS).map(|index| format!("l{index}")).collect();
        let many: Vec<_> = many.iter().map(|key| (key.as_str(), "x")).collect();
        let long = "x".repeat(TEXT + 1);
        for wrong in [&[("plugin", "x")][..], &[("le", "x")], &[("a-b", "x")], &[("a", &long)], &many] {
            let refused = metrics.change(&name(), "a", &labels(wrong), Change::Add(1.0));
            assert_eq!(refused, Err("a label is wrong, or the metric has too many labels"), "{wrong:?}");
        }
        metrics.change(&name(), "b", &labels(&many[1..]), Change::Add(1.0)).unwrap();
        metrics.change(&name(), "b", &labels(&[("a", &long[1..])]), Change::Add(1.0)).unwrap();
        metrics.change(&name(), "a", &[], Change::Add(1.0)).unwrap();
        let refused = |change| metrics.change(&name(), "a", &[], change).unwrap_err();
        assert_eq!(refused(Change::Set(1.0)), "a metric of this name and another kind exists already");
        let number = "a counter can only grow by a finite number that is not negative";
        assert_eq!(refused(Change::Add(-1.0)), number);
        assert_eq!(refused(Change::Add(f64::NAN)), number);
        for index in 0..SERIES {
            metrics.change(&name(), "many", &labels(&[("i", &index.to_string())]), Change::Set(1.0)).ok();
        }
        let more = metrics.change(&name(), "many", &labels(&[("i", "more")]), Change::Set(1.0));
        assert_eq!(more, Err("the plugin has too many time series"));
        metrics.change(&name(), "a", &[], Change::Add(1.0)).unwrap();
    }
}
