//! The metrics of the process. Prometheus scrapes them as text, and
//! [`super::otlp`] sends them to a collector.
//!
//! The registry keeps a series until somebody removes it. The series of a
//! revision go when the last user of the revision goes ([`RevisionSeries`]).
//! The series of a component go when the component is removed. So the number of
//! series does not grow with the number of swaps. This is why the host has a
//! registry of its own.

mod descriptions;
mod prometheus;
mod registry;
mod revision_series;
mod storage;
mod zero_init;

pub use revision_series::RevisionSeries;
pub(super) use storage::Distribution;

use registry::REGISTRY;
use std::sync::LazyLock;

/// The label with the component of a series.
const COMPONENT: &str = "component";
/// The label with the revision of a series.
const REVISION: &str = "revision";

/// The process already has another recorder of metrics.
#[derive(Debug, thiserror::Error)]
#[error("another recorder of metrics is already installed")]
pub struct OtherRecorder;

/// All metrics of the process.
#[derive(Debug, Clone, Copy)]
pub struct Metrics(());

impl Metrics {
    /// Starts to record. A second call returns the same metrics.
    ///
    /// # Errors
    /// If a recorder of another kind is already installed.
    pub fn start() -> Result<Self, OtherRecorder> {
        static STARTED: LazyLock<bool> = LazyLock::new(|| {
            let started = metrics::set_global_recorder(&*REGISTRY).is_ok();
            zero_init::process();
            started
        });
        if *STARTED { Ok(Self(())) } else { Err(OtherRecorder) }
    }

    /// Renders all metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        prometheus::render(&self.families())
    }

    /// Returns all metrics, sorted by name.
    pub(super) fn families(&self) -> Vec<Family> {
        REGISTRY.families()
    }
}

/// Removes all series of a component.
pub fn forget_component(component: &str) {
    REGISTRY.remove(|key| registry::has_label(key, COMPONENT, component));
}

/// All series of one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) description: &'static str,
    pub(super) kind: Kind,
    pub(super) series: Vec<(Labels, Value)>,
}

/// Names and values of labels, in the order in which the recording code gives
/// them.
pub(super) type Labels = Vec<(String, String)>;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that grows and falls.
    Gauge,
    /// The distribution of many values.
    Histogram,
}

/// The value of one series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(Distribution),
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{counter, histogram};

    #[test]
    fn a_recorded_value_is_rendered_and_a_second_start_is_harmless() {
        let metrics = Metrics::start().unwrap();
        histogram!("test_seconds").record(0.003);
        counter!("test_total").increment(2);
        let text = metrics.render();
        assert!(text.contains("test_seconds_bucket{le=\"0.005\"} 1\n"), "{text}");
        assert!(text.contains("test_seconds_bucket{le=\"0.0025\"} 0\n"), "{text}");
        assert!(text.contains("test_total 2\n"), "{text}");
        assert!(Metrics::start().unwrap().render().contains("test_total 2\n"));
    }
}
