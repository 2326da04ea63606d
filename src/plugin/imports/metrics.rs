//! Metrics of plugins, and of the host about them: few series, which the registry of the pod asks for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::debug;

use crate::metrics::{self, Family, Kind, Sample};
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
pub const PREFIX: &str = "outrigger_plugin_";

/// The help of each of a plugin's own metrics: plugins write none.
const OF_PLUGIN: &str = "Published by a plugin.";

/// Counts refused changes.
const DROPS: &str = "outrigger_metric_drops_total";

/// The host's own events about plugins.
const EVENTS: [(&str, &str); 4] = [
    ("outrigger_hook_evictions_total", "Plugins that were given up after too many failures."),
    ("outrigger_hook_failures_total", "Calls of hooks that failed, trapped or overran."),
    ("outrigger_hook_renewals_total", "Instances of plugins that were replaced because they had little memory left."),
    ("outrigger_hook_restarts_total", "Instances of plugins that were made again after a failure."),
];

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
                if let Some((bucket, _)) = buckets.iter_mut().zip(BUCKETS).find(|(_, bound)| seen <= *bound) {
                    *bucket += 1;
                }
                *count += 1;
                *sum += seen;
            }
            _ => return false,
        }
        true
    }
}

/// The labels of a series, `plugin` first, and its value.
type Series = (Vec<(String, String)>, Value);

#[derive(Debug, Default)]
struct Registry {
    /// By metric name, then by labels in one text.
    families: BTreeMap<String, BTreeMap<String, Series>>,
    /// How many each plugin has.
    series: BTreeMap<String, usize>,
    /// How many changes of each plugin were refused.
    dropped: BTreeMap<String, u64>,
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
        let changed = self.change_checked(plugin, name, labels, change);
        if changed.is_err() {
            let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *registry.dropped.entry(plugin.to_string()).or_default() += 1;
        }
        changed
    }

    fn change_checked(
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
        let mut sorted = labels.to_vec();
        sorted.sort();
        sorted.insert(0, ("plugin".to_owned(), plugin.to_string()));
        // No key has a `=`, and no length is part of a value: different labels never give the same text.
        let written: String = sorted.iter().map(|(key, value)| format!("{key}={}:{value}", value.len())).collect();
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Registry { families, series, .. } = &mut *registry;
        let used = series.entry(plugin.to_string()).or_default();
        let known = families.get(name).is_some_and(|family| family.contains_key(&written));
        if !known && *used >= limit {
            return Err("the plugin has too many time series");
        }
        let family = families.entry(name.to_owned()).or_default();
        let same_kind = family
            .values()
            .next()
            .is_none_or(|(_, v)| std::mem::discriminant(v) == std::mem::discriminant(&change.first()));
        if !same_kind {
            return Err("a metric of this name and another kind exists already");
        }
        *used += usize::from(!known);
        let (_, value) = family.entry(written).or_insert_with(|| (sorted, change.first()));
        if change.apply(value) {
            Ok(())
        } else {
            Err("a counter can only grow by a finite number that is not negative")
        }
    }

    /// All series as they are now.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut drops = Family::counter(
            DROPS,
            "Changes of metrics that were dropped, because the name, a label or the value was wrong or the plugin had too many series.",
        );
        for (plugin, count) in &registry.dropped {
            drops.add([("plugin", plugin)], *count);
        }
        let own = EVENTS.map(|(name, help)| Family::counter(name, help));
        let families = registry.families.iter().filter_map(|(name, series)| {
            let help = EVENTS.iter().find(|(event, _)| event == name).map_or(OF_PLUGIN, |(_, help)| help);
            let kind = match series.values().next()?.1 {
                Value::Counter(_) => Kind::Counter,
                Value::Gauge(_) => Kind::Gauge,
                Value::Histogram { .. } => Kind::Histogram,
            };
            let samples = series.values().map(|(labels, value)| sample(labels, value)).collect();
            Some(Family { name: Cow::Owned(name.clone()), help, kind, samples })
        });
        own.into_iter().chain([drops]).chain(families).collect()
    }
}

fn sample(labels: &[(String, String)], value: &Value) -> Sample {
    let value = match value {
        Value::Counter(value) | Value::Gauge(value) => metrics::Value::Number(*value),
        Value::Histogram { buckets, count, sum } => {
            let above = count.saturating_sub(buckets.iter().sum());
            let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
            let buckets = bounds.zip(buckets.iter().copied().chain([above])).collect();
            metrics::Value::Histogram { buckets, sum: *sum, count: *count }
        }
    };
    Sample { labels: labels.iter().map(|(key, value)| (Cow::Owned(key.clone()), value.clone())).collect(), value }
}

fn metric_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.len() <= TEXT && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn label(name: &str) -> bool {
    metric_name(name) && !name.starts_with("__") && name != "plugin" && name != "le"
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
        metrics.change(&name(), "took", &[], Change::Record(99.0)).unwrap();
        let registry = crate::metrics::Registry::default();
        let source = metrics.clone();
        registry.add(move || source.families());
        let text = registry.page();
        assert!(
            text.contains(
                "# TYPE outrigger_plugin_hits unknown\noutrigger_plugin_hits{plugin=\"p\",a=\"1\",b=\"x\\\"y\\n\"} 3\n"
            ),
            "{text}"
        );
        assert!(text.contains("outrigger_plugin_level{plugin=\"p\"} 0.5\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_bucket{le=\"0.25\",plugin=\"p\"} 0\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_bucket{le=\"0.5\",plugin=\"p\"} 1\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_bucket{le=\"60.0\",plugin=\"p\"} 1\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_bucket{le=\"+Inf\",plugin=\"p\"} 2\n"), "{text}");
        assert!(text.contains("outrigger_plugin_took_sum{plugin=\"p\"} 99.3\n"), "{text}");
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
        let drops = metrics.families().into_iter().find(|family| family.name == DROPS).unwrap();
        // Five names, five sets of labels, a gauge, two numbers, and three series too many.
        assert_eq!(drops.samples[0].value, crate::metrics::Value::Number(17.0));
    }
}
