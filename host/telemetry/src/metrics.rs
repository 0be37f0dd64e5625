//! What is counted, and how it is told: in Prometheus' text format to whoever
//! asks, and over OTLP to a collector.
//!
//! Series are kept until they are forgotten. Those of a revision are when the
//! last of it goes ([`RevisionSeries`]), those of a component when it is
//! removed: a host that is swapped for years tells no more than one that has
//! just started. That is why the registry is the host's own.

mod descriptions;
mod prometheus;
mod storage;
mod zero_init;

use parking_lot::{Mutex, MutexGuard};
use storage::Cells;
pub(super) use storage::Distribution;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::Registry;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, atomic::Ordering},
};

/// The labels that say whose series it is.
const COMPONENT: &str = "component";
const REVISION: &str = "revision";

/// The registry of the process; there can be but one.
static RECORDED: LazyLock<Recorded> = LazyLock::new(|| Recorded(Registry::new(Cells)));

/// How many of each revision there are: component, then revision.
static REVISIONS: LazyLock<Mutex<HashMap<(String, String), usize>>> = LazyLock::new(Mutex::default);

/// The process has another recorder of metrics already.
#[derive(Debug, thiserror::Error)]
#[error("another recorder of metrics was installed before")]
pub struct OtherRecorder;

/// Everything that is counted in this process.
#[derive(Debug, Clone, Copy)]
pub struct Metrics(());

impl Metrics {
    /// Starts to record, or goes on with what the process records already.
    ///
    /// # Errors
    /// When a recorder of another kind was installed before.
    pub fn start() -> Result<Self, OtherRecorder> {
        static STARTED: LazyLock<bool> = LazyLock::new(|| {
            let started = metrics::set_global_recorder(&*RECORDED).is_ok();
            zero_init::process();
            started
        });
        if *STARTED { Ok(Self(())) } else { Err(OtherRecorder) }
    }

    /// Everything recorded, in Prometheus' text format.
    pub fn render(&self) -> String {
        prometheus::render(&self.families())
    }

    /// Everything recorded, by name.
    pub(super) fn families(&self) -> Vec<Family> {
        RECORDED.families()
    }
}

/// All series of one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) series: Vec<(Labels, Value)>,
}

/// Names and values, in the order in which they were given.
pub(super) type Labels = Vec<(String, String)>;

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How values are spread.
    Histogram,
}

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Level(f64),
    Spread(Distribution),
}

/// Keeps the series of a revision for as long as one of these is there.
#[derive(Debug)]
pub struct RevisionSeries {
    component: String,
    revision: String,
}

impl RevisionSeries {
    /// To be made before the first of its series, and dropped when nothing can
    /// be recorded in them any more.
    pub fn of(component: &str, revision: &str) -> Self {
        let series = Self { component: component.to_owned(), revision: revision.to_owned() };
        *revisions().entry((series.component.clone(), series.revision.clone())).or_default() += 1;
        zero_init::component(component);
        zero_init::revision(component, revision);
        series
    }
}

impl Drop for RevisionSeries {
    fn drop(&mut self) {
        let Self { component, revision } = self;
        let mut revisions = revisions();
        let key = (std::mem::take(component), std::mem::take(revision));
        if let Some(count) = revisions.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count > 0 {
                return;
            }
        }
        revisions.remove(&key);
        // Within the lock, so that one which comes just now makes its series after this.
        let (component, revision) = &key;
        RECORDED.forget(|series| has(series, COMPONENT, component) && has(series, REVISION, revision));
    }
}

/// Forgets all series of a component that is gone.
pub fn forget_component(component: &str) {
    RECORDED.forget(|series| has(series, COMPONENT, component));
}

fn revisions() -> MutexGuard<'static, HashMap<(String, String), usize>> {
    REVISIONS.lock()
}

fn has(series: &Key, label: &str, value: &str) -> bool {
    series.labels().any(|own| own.key() == label && own.value() == value)
}

struct Recorded(Registry<Key, Cells>);

impl Recorded {
    fn families(&self) -> Vec<Family> {
        let mut families: HashMap<(String, Kind), Family> = HashMap::new();
        let mut add = |key: &Key, kind: Kind, value: Value| {
            let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
            let name = key.name().to_owned();
            let family = families.entry((name.clone(), kind)).or_insert_with(|| Family {
                help: descriptions::help(&name),
                name,
                kind,
                series: Vec::new(),
            });
            family.series.push((labels, value));
        };
        self.0.visit_counters(|key, cell| add(key, Kind::Counter, Value::Count(cell.load(Ordering::Relaxed))));
        self.0.visit_gauges(|key, cell| {
            add(key, Kind::Gauge, Value::Level(f64::from_bits(cell.load(Ordering::Relaxed))));
        });
        self.0.visit_histograms(|key, cell| add(key, Kind::Histogram, Value::Spread(cell.read())));
        let mut families: Vec<Family> = families.into_values().collect();
        families.sort_by(|one, other| (&one.name, one.kind).cmp(&(&other.name, other.kind)));
        for family in &mut families {
            family.series.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        families
    }

    fn forget(&self, is_gone: impl Fn(&Key) -> bool) {
        self.0.retain_counters(|key, _| !is_gone(key));
        self.0.retain_gauges(|key, _| !is_gone(key));
        self.0.retain_histograms(|key, _| !is_gone(key));
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.get_or_create_counter(key, |cell| Counter::from_arc(Arc::clone(cell)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.get_or_create_gauge(key, |cell| Gauge::from_arc(Arc::clone(cell)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.get_or_create_histogram(key, |cell| Histogram::from_arc(Arc::clone(cell)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{counter, gauge, histogram};

    #[test]
    fn what_is_recorded_is_rendered_and_recording_starts_once() {
        let metrics = Metrics::start().unwrap();
        histogram!("test_seconds").record(0.003);
        counter!("test_total").increment(2);
        let text = metrics.render();
        assert!(text.contains("test_seconds_bucket{le=\"0.005\"} 1\n"), "{text}");
        assert!(text.contains("test_seconds_bucket{le=\"0.0025\"} 0\n"), "{text}");
        assert!(text.contains("test_total 2\n"), "{text}");
        assert!(Metrics::start().unwrap().render().contains("test_total 2\n"));
    }

    #[test]
    fn the_series_of_a_revision_go_with_the_last_of_it_and_no_others_do() {
        let metrics = Metrics::start().unwrap();
        let record = |revision: &str| {
            counter!("kept_total", "component" => "kept", "revision" => revision.to_owned()).increment(1);
            histogram!("kept_seconds", "component" => "kept", "revision" => revision.to_owned()).record(1.0);
        };
        let (one, other, second) =
            (RevisionSeries::of("kept", "1"), RevisionSeries::of("kept", "1"), RevisionSeries::of("kept", "2"));
        record("1");
        record("2");
        gauge!("kept_gauge", "component" => "kept").set(1.0);
        drop(one);
        assert!(metrics.render().contains("kept_total{component=\"kept\",revision=\"1\"} 1"), "one of it is left");
        drop(other);
        let text = metrics.render();
        assert!(!text.contains("kept\",revision=\"1\""), "{text}");
        assert!(text.contains("kept_total{component=\"kept\",revision=\"2\"} 1"), "{text}");
        assert!(text.contains("kept_gauge{component=\"kept\"} 1"), "{text}");
        forget_component("kept");
        assert!(!metrics.render().contains("\"kept\""));
        drop(second);
    }
}
