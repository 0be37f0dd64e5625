//! The storage of the recorded values. A recording is one or two atomic
//! additions.

use metrics::{HistogramFn, Key, atomics::AtomicU64};
use metrics_util::registry::Storage;
use std::sync::{Arc, atomic::Ordering::Relaxed};

const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const BYTES: [f64; 9] = [256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// Creates the storage of a metric for the registry.
pub(super) struct AtomicStorage;

impl Storage<Key> for AtomicStorage {
    type Counter = Arc<AtomicU64>;
    type Gauge = Arc<AtomicU64>;
    type Histogram = Arc<Buckets>;

    fn counter(&self, _: &Key) -> Self::Counter {
        Arc::default()
    }

    fn gauge(&self, _: &Key) -> Self::Gauge {
        Arc::default()
    }

    fn histogram(&self, key: &Key) -> Self::Histogram {
        // The name of a metric ends with its unit.
        Arc::new(Buckets::new(if key.name().ends_with("_bytes") { &BYTES } else { &SECONDS }))
    }
}

/// The buckets of a histogram.
pub(super) struct Buckets {
    bounds: &'static [f64],
    /// One count for each bound, and one for the values above the last bound.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

/// A copy of a histogram at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    /// The upper bounds in ascending order.
    pub(crate) bounds: &'static [f64],
    /// The number of values in each bucket. The last bucket holds the values
    /// above the last bound.
    pub(crate) counts: Vec<u64>,
    /// The sum of all values.
    pub(crate) sum: f64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    pub(super) fn read(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: f64::from_bits(self.sum.load(Relaxed)) }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        let mut sum = self.sum.load(Relaxed);
        while let Err(changed) =
            self.sum.compare_exchange_weak(sum, (f64::from_bits(sum) + value).to_bits(), Relaxed, Relaxed)
        {
            sum = changed;
        }
    }
}

impl Distribution {
    /// The number of all values.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let buckets = Buckets::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 2.5, 100.0] {
            buckets.record(value);
        }
        let read = buckets.read();
        assert_eq!((read.counts.as_slice(), read.count()), (&[2, 2, 2][..], 6));
        assert!((read.sum - 107.5).abs() < f64::EPSILON);
    }

    #[test]
    fn no_value_is_lost_when_threads_record_at_once() {
        let buckets = Buckets::new(&SECONDS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| buckets.record(0.5)));
            }
        });
        let read = buckets.read();
        assert_eq!(read.count(), 40_000);
        assert!((read.sum - 20_000.0).abs() < f64::EPSILON);
    }
}
