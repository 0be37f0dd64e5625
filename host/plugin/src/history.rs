//! The calls of a plugin in the last 15 minutes: how many, how many of them went
//! wrong, and how long they took.
//!
//! Each plugin has its own history, which all its revisions share, so a swap
//! leaves no gap in it. A history takes 8.6 KiB, however many calls there are.
//! A call adds to one or two atomic counters. Once in 10 s one of the plugin's calls
//! empties the oldest slot, and only that plugin's other calls may wait for it.

use parking_lot::Mutex;
use std::{
    iter::Sum,
    ops::Add,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::{Duration, Instant},
};

/// The length of a slot.
pub const SLOT_SECONDS: u64 = 10;
/// The slots that can be read: 15 minutes.
pub const SLOTS: usize = 90;
/// One more is kept, so that the slot which is emptied is never among those.
const KEPT_SLOTS: usize = SLOTS + 1;
/// The slots of a minute.
const MINUTE_SLOTS: usize = 6;
/// Ranges of time, each twice as long as the one before it. The last one begins
/// at 67 s and has no end.
const BUCKETS: usize = 22;
/// The end of the first range, in microseconds.
const FIRST_BUCKET_US: u64 = 64;

/// The history of one plugin.
pub struct History {
    began: Instant,
    /// Held while a slot is emptied.
    turn: Mutex<()>,
    slots: [Slot; KEPT_SLOTS],
}

#[derive(Default)]
struct Slot {
    /// The number of its 10 s since the history began, from 1 on. Zero: the
    /// slot has not been used.
    number: AtomicU32,
    errors: AtomicU32,
    calls: [AtomicU32; BUCKETS],
}

/// How long all calls of one revision took, since it was loaded.
#[derive(Default)]
pub struct CallTimes([AtomicU32; BUCKETS]);

/// The calls of a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotCounts {
    errors: u32,
    calls: [u32; BUCKETS],
}

/// The calls of the last minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastMinute {
    /// The calls that ended in it.
    pub counts: SlotCounts,
    /// Its length: at most 70 s, and less if the history began later.
    pub length: Duration,
}

impl History {
    /// Begins without a call.
    pub fn new(now: Instant) -> Self {
        Self { began: now, turn: Mutex::new(()), slots: std::array::from_fn(|_| Slot::default()) }
    }

    /// Adds a call that ended now.
    pub fn record(&self, now: Instant, took: Duration, is_error: bool) {
        let number = self.number(now);
        let Some(slot) = self.slot(number) else { return };
        if slot.number.load(Acquire) != number && !self.begin(slot, number) {
            return;
        }
        if is_error {
            slot.errors.fetch_add(1, Relaxed);
        }
        if let Some(calls) = slot.calls.get(bucket_of(took)) {
            calls.fetch_add(1, Relaxed);
        }
    }

    /// The slots of the last 15 minutes, the oldest first. The last one is not over.
    pub fn slots(&self, now: Instant) -> [SlotCounts; SLOTS] {
        let newest = self.number(now);
        let mut age = SLOTS as u32;
        std::array::from_fn(|_| {
            age -= 1;
            newest.checked_sub(age).filter(|number| *number > 0).map(|number| self.read(number)).unwrap_or_default()
        })
    }

    /// The last six slots that are over, and the one that is not.
    pub fn last_minute(&self, now: Instant) -> LastMinute {
        let newest = self.number(now);
        let first = newest.saturating_sub(MINUTE_SLOTS as u32).max(1);
        let counts = (first..=newest).map(|number| self.read(number)).sum();
        let length = self.into_slot(now) + Duration::from_secs(u64::from(newest - first) * SLOT_SECONDS);
        LastMinute { counts, length }
    }

    /// The time since the newest slot began.
    pub fn into_slot(&self, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.began);
        age.saturating_sub(Duration::from_secs(u64::from(self.number(now) - 1) * SLOT_SECONDS))
    }

    fn number(&self, now: Instant) -> u32 {
        let slots = now.saturating_duration_since(self.began).as_secs() / SLOT_SECONDS;
        u32::try_from(slots).unwrap_or(u32::MAX - 1) + 1
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize % KEPT_SLOTS)
    }

    /// Empties a slot whose turn has come again. False if it already is the slot
    /// of a later time.
    fn begin(&self, slot: &Slot, number: u32) -> bool {
        let _turn = self.turn.lock();
        let current = slot.number.load(Relaxed);
        if current < number {
            slot.errors.store(0, Relaxed);
            slot.calls.iter().for_each(|calls| calls.store(0, Relaxed));
            slot.number.store(number, Release);
        }
        current <= number
    }

    fn read(&self, number: u32) -> SlotCounts {
        match self.slot(number).filter(|slot| slot.number.load(Acquire) == number) {
            Some(slot) => SlotCounts {
                errors: slot.errors.load(Relaxed),
                calls: std::array::from_fn(|bucket| slot.calls.get(bucket).map_or(0, |calls| calls.load(Relaxed))),
            },
            None => SlotCounts::default(),
        }
    }
}

impl CallTimes {
    /// Adds a call.
    pub fn record(&self, took: Duration) {
        if let Some(calls) = self.0.get(bucket_of(took)) {
            calls.fetch_add(1, Relaxed);
        }
    }

    /// The calls until now. None of them counts as an error here.
    pub fn counts(&self) -> SlotCounts {
        SlotCounts {
            errors: 0,
            calls: std::array::from_fn(|bucket| self.0.get(bucket).map_or(0, |calls| calls.load(Relaxed))),
        }
    }
}

impl SlotCounts {
    /// The number of calls in each range of time, with the end of the range in
    /// microseconds. The last range has no end.
    pub fn ranges(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let end = |bucket: usize| (bucket + 1 < BUCKETS).then_some(FIRST_BUCKET_US << bucket);
        self.calls.into_iter().enumerate().map(move |(bucket, calls)| (end(bucket), calls.into()))
    }

    /// The calls that ended.
    pub fn calls(&self) -> u64 {
        self.calls.iter().map(|calls| u64::from(*calls)).sum()
    }

    /// Those among them that ended with a failure or an answer of 500 and above.
    pub fn errors(&self) -> u64 {
        // A call counts as an error first, so a reader may see one too many.
        u64::from(self.errors).min(self.calls())
    }

    /// The time within which this part of the calls ended, in microseconds. None
    /// if there were no calls. It lies in the right range, so it is less than
    /// twice or more than half of the true value.
    pub fn quantile_us(&self, part: f64) -> Option<u64> {
        let calls = self.calls();
        let rank = ((calls as f64 * part).ceil() as u64).clamp(1, calls.max(1));
        let mut before = 0;
        for (bucket, count) in self.calls.iter().enumerate() {
            let count = u64::from(*count);
            if count > 0 && before + count >= rank {
                return Some(between(bucket, (rank - before) * 2 - 1, count * 2));
            }
            before += count;
        }
        None
    }
}

impl Add for SlotCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.errors = self.errors.saturating_add(other.errors);
        for (sum, calls) in self.calls.iter_mut().zip(other.calls) {
            *sum = sum.saturating_add(calls);
        }
        self
    }
}

impl Sum for SlotCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Self::add)
    }
}

impl LastMinute {
    /// Calls in each second.
    pub fn calls_per_second(&self) -> f64 {
        self.counts.calls() as f64 / self.length.as_secs_f64().max(1.0)
    }

    /// Errors in percent of the calls. Zero if there were no calls.
    pub fn error_percent(&self) -> f64 {
        self.counts.errors() as f64 * 100.0 / (self.counts.calls() as f64).max(1.0)
    }
}

fn bucket_of(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    (us / FIRST_BUCKET_US).checked_ilog2().map_or(0, |exponent| exponent as usize + 1).min(BUCKETS - 1)
}

/// A time in a range, at this part of it. The last range has no end.
fn between(bucket: usize, part: u64, whole: u64) -> u64 {
    let begin = if bucket == 0 { 0 } else { FIRST_BUCKET_US << (bucket - 1) };
    match bucket {
        0 => FIRST_BUCKET_US * part / whole,
        bucket if bucket == BUCKETS - 1 => begin,
        _ => begin + begin * part / whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    const MS: Duration = Duration::from_millis(1);

    /// A history and its beginning. The tests choose what time it is.
    fn history() -> (History, Instant) {
        let began = Instant::now();
        (History::new(began), began)
    }

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    fn calls(history: &History, now: Instant) -> Vec<u64> {
        history.slots(now).iter().map(SlotCounts::calls).collect()
    }

    #[test]
    fn a_history_takes_less_than_ten_kib() {
        assert!(size_of::<History>() <= 9 << 10, "{} bytes", size_of::<History>());
    }

    #[test]
    fn the_times_of_all_calls_are_counted_in_ranges() {
        let times = CallTimes::default();
        for us in [0, 63, 64, 127, 128, 100_000_000_000] {
            times.record(Duration::from_micros(us));
        }
        let counts = times.counts();
        assert_eq!((counts.calls(), counts.errors()), (6, 0));
        let ranges: Vec<_> = counts.ranges().collect();
        assert_eq!(ranges[..3], [(Some(64), 2), (Some(128), 2), (Some(256), 1)]);
        assert_eq!((ranges.len(), ranges[BUCKETS - 1]), (BUCKETS, (None, 1)));
    }

    #[test]
    fn calls_are_in_the_slot_of_their_end_and_idle_time_leaves_empty_slots() {
        let (history, began) = history();
        assert_eq!(calls(&history, began), [0; SLOTS]);
        for second in [0, 9, 10, 305] {
            history.record(after(began, second), MS, second == 10);
        }
        let mut expected = [0; SLOTS];
        (expected[SLOTS - 31], expected[SLOTS - 30], expected[SLOTS - 1]) = (2, 1, 1);
        assert_eq!(calls(&history, after(began, 309)), expected);
        let errors: Vec<_> = history.slots(after(began, 309)).iter().map(SlotCounts::errors).collect();
        assert_eq!((errors[SLOTS - 30], errors.iter().sum::<u64>()), (1, 1));
        expected.rotate_left(1);
        assert_eq!(calls(&history, after(began, 310)), expected, "the slots move on without a call");
    }

    #[test]
    fn slots_older_than_15_minutes_are_gone_and_used_again() {
        let (history, began) = history();
        history.record(began, MS, true);
        assert_eq!(calls(&history, after(began, 899))[0], 1);
        assert_eq!(calls(&history, after(began, 900)), [0; SLOTS]);
        for slot in 0..KEPT_SLOTS as u64 * 3 {
            for _ in 0..=slot {
                history.record(after(began, slot * SLOT_SECONDS), MS, false);
            }
        }
        let newest = KEPT_SLOTS as u64 * 3;
        let expected: Vec<_> = (newest - SLOTS as u64 + 1..=newest).collect();
        let now = after(began, (newest - 1) * SLOT_SECONDS);
        assert_eq!(calls(&history, now), expected);
        assert!(history.slots(now).iter().all(|slot| slot.errors() == 0));
        let after_a_night = after(began, 100_000);
        assert_eq!(calls(&history, after_a_night), [0; SLOTS]);
        history.record(after_a_night, MS, false);
        assert_eq!(calls(&history, after_a_night).iter().sum::<u64>(), 1);
    }

    #[test]
    fn a_call_that_comes_too_late_spoils_no_newer_slot() {
        let (history, began) = history();
        history.record(after(began, KEPT_SLOTS as u64 * SLOT_SECONDS), MS, false);
        history.record(began, MS, true);
        let slots = history.slots(after(began, KEPT_SLOTS as u64 * SLOT_SECONDS));
        assert_eq!((slots[SLOTS - 1].calls(), slots[SLOTS - 1].errors()), (1, 0));
    }

    #[test]
    fn the_last_minute_is_counted_from_the_first_second_on() {
        let (history, began) = history();
        let rate = |seconds| history.last_minute(after(began, seconds)).calls_per_second();
        assert_eq!((rate(0), history.last_minute(began).error_percent()), (0.0, 0.0));
        for call in 0..40 {
            history.record(after(began, 3), MS, call < 10);
        }
        assert_eq!((rate(4), rate(40)), (10.0, 1.0));
        assert_eq!(history.last_minute(after(began, 4)).error_percent(), 25.0);
        assert_eq!((rate(69), rate(70)), (40.0 / 69.0, 0.0));
    }

    #[test]
    fn quantiles_are_in_the_range_of_the_true_value() {
        let (history, began) = history();
        assert_eq!(history.last_minute(began).counts.quantile_us(0.5), None);
        for ms in 1..=1_000 {
            history.record(began, MS * ms, false);
        }
        let counts = history.last_minute(began).counts;
        for (part, true_us) in [(0.0, 1_000), (0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let us = counts.quantile_us(part).unwrap();
            assert!(us * 2 > true_us && us < true_us * 2, "{part}: {us}");
        }
        for (took, bucket) in [(0, 0), (63, 0), (64, 1), (127, 1), (128, 2), (u64::MAX, BUCKETS - 1)] {
            assert_eq!(bucket_of(Duration::from_micros(took)), bucket, "{took}");
        }
        assert_eq!(between(BUCKETS - 1, 1, 2), 67_108_864, "the longest calls");
    }

    #[test]
    fn calls_of_many_threads_are_all_counted_when_a_slot_is_emptied() {
        let (history, began) = history();
        let barrier = Barrier::new(4);
        for round in 0..200 {
            let now = after(began, round * KEPT_SLOTS as u64 * SLOT_SECONDS);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        barrier.wait();
                        history.record(now, MS, false);
                    });
                }
            });
            assert_eq!(history.slots(now)[SLOTS - 1].calls(), 4, "round {round}");
        }
    }
}
