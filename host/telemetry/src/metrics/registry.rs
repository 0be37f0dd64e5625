//! The registry: all series of the process.

use super::{Family, Kind, Value, descriptions, storage::AtomicStorage};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, atomic::Ordering},
};

/// The registry of the process. The recording macros use it too.
pub(super) static REGISTRY: LazyLock<Registry> =
    LazyLock::new(|| Registry(metrics_util::registry::Registry::new(AtomicStorage)));

pub(super) struct Registry(metrics_util::registry::Registry<Key, AtomicStorage>);

impl Registry {
    /// Reads all series, sorted by name and labels.
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families: HashMap<(String, Kind), Family> = HashMap::new();
        let mut add = |key: &Key, kind: Kind, value: Value| {
            let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
            let name = key.name().to_owned();
            let family = families.entry((name.clone(), kind)).or_insert_with(|| Family {
                description: descriptions::description(&name),
                name,
                kind,
                series: Vec::new(),
            });
            family.series.push((labels, value));
        };
        self.0.visit_counters(|key, count| add(key, Kind::Counter, Value::Counter(count.load(Ordering::Relaxed))));
        self.0.visit_gauges(|key, bits| {
            add(key, Kind::Gauge, Value::Gauge(f64::from_bits(bits.load(Ordering::Relaxed))));
        });
        self.0.visit_histograms(|key, buckets| add(key, Kind::Histogram, Value::Histogram(buckets.read())));
        let mut families: Vec<Family> = families.into_values().collect();
        families.sort_by(|one, other| (&one.name, one.kind).cmp(&(&other.name, other.kind)));
        for family in &mut families {
            family.series.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        families
    }

    /// Removes the series that the function selects.
    pub(super) fn remove(&self, selects: impl Fn(&Key) -> bool) {
        self.0.retain_counters(|key, _| !selects(key));
        self.0.retain_gauges(|key, _| !selects(key));
        self.0.retain_histograms(|key, _| !selects(key));
    }
}

pub(super) fn has_label(key: &Key, name: &str, value: &str) -> bool {
    key.labels().any(|label| label.key() == name && label.value() == value)
}

impl Recorder for Registry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.get_or_create_counter(key, |count| Counter::from_arc(Arc::clone(count)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.get_or_create_gauge(key, |bits| Gauge::from_arc(Arc::clone(bits)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.get_or_create_histogram(key, |buckets| Histogram::from_arc(Arc::clone(buckets)))
    }
}
