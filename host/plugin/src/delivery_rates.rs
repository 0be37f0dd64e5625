//! How many events of each subject were delivered to a plugin in the last minutes.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The minutes that are counted, with the one that is not over.
const MINUTES: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);

/// The deliveries to one plugin. Its manifest bounds the number of subjects, and
/// each takes a hundred bytes.
pub struct DeliveryRates {
    began: Instant,
    subjects: Mutex<BTreeMap<String, Minutes>>,
}

/// Deliveries by the minute. Attempts count like deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// In the last minute: the one that is over.
    pub last_minute: u64,
    /// In the last 15 minutes and in the one that is not over.
    pub last_15_minutes: u64,
}

#[derive(Default)]
struct Minutes {
    newest: u64,
    counts: [u64; MINUTES],
}

impl DeliveryRates {
    /// Begins without a delivery.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, subjects: Mutex::default() }
    }

    /// Counts a delivery.
    pub(super) fn record(&self, now: Instant, subject: &str) {
        let minute = self.minute(now);
        let mut subjects = self.subjects.lock();
        match subjects.get_mut(subject) {
            Some(minutes) => minutes.add(minute),
            None => subjects.entry(subject.to_owned()).or_default().add(minute),
        }
    }

    /// The deliveries of a subject until now.
    pub fn of(&self, now: Instant, subject: &str) -> Delivered {
        let minute = self.minute(now);
        let mut subjects = self.subjects.lock();
        let Some(minutes) = subjects.get_mut(subject) else { return Delivered::default() };
        minutes.move_to(minute);
        Delivered { last_minute: minutes.counts[1], last_15_minutes: minutes.counts.iter().sum() }
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / MINUTE.as_secs()
    }
}

impl Minutes {
    fn add(&mut self, minute: u64) {
        self.move_to(minute);
        self.counts[0] += 1;
    }

    /// Makes room for the minutes that have passed. The first count is that of the
    /// minute that is not over.
    fn move_to(&mut self, minute: u64) {
        let passed = usize::try_from(minute.saturating_sub(self.newest)).unwrap_or(MINUTES).min(MINUTES);
        self.counts.rotate_right(passed % MINUTES);
        self.counts.iter_mut().take(passed).for_each(|count| *count = 0);
        self.newest = self.newest.max(minute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_by_subject_and_forgotten_after_15_minutes() {
        let began = Instant::now();
        let rates = DeliveryRates::new(began);
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let of = |seconds: u64| {
            let delivered = rates.of(at(seconds), "a");
            (delivered.last_minute, delivered.last_15_minutes)
        };
        for second in [0, 1, 59, 60, 61] {
            rates.record(at(second), "a");
        }
        rates.record(at(60), "b");
        assert_eq!(of(61), (3, 5));
        assert_eq!(of(120), (2, 5));
        assert_eq!(of(180), (0, 5));
        assert_eq!(of(15 * 60 + 59), (0, 5));
        assert_eq!(of(16 * 60), (0, 2), "the first minute is forgotten");
        assert_eq!(of(17 * 60), (0, 0));
        rates.record(at(100 * 60), "a");
        assert_eq!(of(101 * 60), (1, 1));
        assert_eq!(of(1_000_000), (0, 0));
        assert_eq!(rates.of(at(61), "c"), Delivered::default());
    }
}
