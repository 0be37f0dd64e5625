//! An adaptive limit on concurrent hashes: as many as get a processor.
//!
//! A hash uses more memory than fits into the cache of a processor. When several
//! hashes share a processor, as on a machine that runs several hosts, each switch
//! evicts the cached memory of the previous hash. All hashes then take longer, and
//! so does all other work.

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The limit decreases when hashes wait for a processor this many times as long as
/// they compute.
const DECREASE_ABOVE: f64 = 4.0;
/// The limit increases when hashes wait less than this.
const INCREASE_BELOW: f64 = 1.0;
/// The weight of the latest hash in the average.
const LATEST_WEIGHT: f64 = 1.0 / 8.0;

/// Limits concurrent hashes to a number between half of the maximum and the
/// maximum.
#[derive(Debug)]
pub(super) struct AdaptiveLimit {
    permits: Arc<Semaphore>,
    min: usize,
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// The waiting time of a hash divided by its computing time, on average since
    /// the last change of the limit.
    wait_ratio: f64,
}

/// The permit to compute one hash.
pub(super) struct HashPermit {
    permit: OwnedSemaphorePermit,
    limit: Arc<AdaptiveLimit>,
}

/// A change of the limit by one.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Decrease,
    Increase,
}

impl AdaptiveLimit {
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self { permits: Arc::new(Semaphore::new(max)), min: max.div_ceil(2), max, state: Mutex::new(State::new(max)) }
    }

    pub(super) async fn acquire(self: &Arc<Self>) -> Result<HashPermit, AcquireError> {
        Ok(HashPermit { permit: self.permits.clone().acquire_owned().await?, limit: self.clone() })
    }

    /// Decides about a change after a hash. `elapsed` is the whole time of the
    /// hash, `cpu_time` the part of it in which the thread had a processor.
    fn record(&self, elapsed: Duration, cpu_time: Duration) -> Option<Change> {
        let wait_ratio = elapsed.saturating_sub(cpu_time).as_secs_f64() / cpu_time.as_secs_f64().max(1e-6);
        let mut state = self.state.lock();
        state.wait_ratio += (wait_ratio - state.wait_ratio) * LATEST_WEIGHT;
        let (limit, change) = match state.wait_ratio {
            ratio if ratio > DECREASE_ABOVE && state.limit > self.min => (state.limit - 1, Change::Decrease),
            ratio if ratio < INCREASE_BELOW && state.limit < self.max => (state.limit + 1, Change::Increase),
            _ => return None,
        };
        *state = State::new(limit);
        Some(change)
    }
}

impl State {
    fn new(limit: usize) -> Self {
        Self { limit, wait_ratio: f64::midpoint(INCREASE_BELOW, DECREASE_ABOVE) }
    }
}

impl HashPermit {
    /// Runs `hash` on this thread. Then it returns the permit, and changes the limit
    /// if the hash waited too long or hardly at all.
    pub(super) fn compute<T>(self, hash: impl FnOnce() -> T) -> T {
        let (started, before) = (Instant::now(), thread_cpu_time());
        let result = hash();
        let change = self.limit.record(started.elapsed(), thread_cpu_time().saturating_sub(before));
        self.release(change);
        result
    }

    fn release(self, change: Option<Change>) {
        match change {
            Some(Change::Decrease) => self.permit.forget(),
            Some(Change::Increase) => self.limit.permits.add_permits(1),
            None => {}
        }
    }
}

/// How long this thread has had a processor.
fn thread_cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU_TIME: Duration = Duration::from_millis(10);

    fn current(limit: &AdaptiveLimit) -> usize {
        limit.state.lock().limit
    }

    /// Records this many hashes with this ratio of waiting to computing.
    fn record(limit: &AdaptiveLimit, count: usize, wait_ratio: f64) -> Vec<Change> {
        (0..count).filter_map(|_| limit.record(CPU_TIME + CPU_TIME.mul_f64(wait_ratio), CPU_TIME)).collect()
    }

    #[test]
    fn the_limit_decreases_to_half_of_the_maximum_when_hashes_wait() {
        let limit = AdaptiveLimit::new(4);
        assert!(record(&limit, 100, 0.0).is_empty(), "the limit is at its maximum");
        assert_eq!(record(&limit, 100, 6.0), [Change::Decrease, Change::Decrease]);
        assert_eq!(current(&limit), 2);
        assert!(record(&limit, 100, 2.5).is_empty(), "the ratio is between the bounds");
        assert_eq!(record(&limit, 100, 0.1), [Change::Increase, Change::Increase]);
        assert_eq!(current(&limit), 4);
        assert!(record(&limit, 1, 20.0).is_empty(), "one hash changes nothing");
        let only = AdaptiveLimit::new(1);
        assert!(record(&only, 100, 9.0).is_empty());
    }

    #[tokio::test]
    async fn the_number_of_permits_follows_the_limit() {
        let limit = Arc::new(AdaptiveLimit::new(2));
        let free = |limit: &AdaptiveLimit| limit.permits.available_permits();
        // A sleep counts like a wait for a processor.
        while current(&limit) == 2 {
            limit.acquire().await.unwrap().compute(|| std::thread::sleep(Duration::from_millis(1)));
        }
        assert_eq!(free(&limit), 1);
        let permit = limit.acquire().await.unwrap();
        assert_eq!(free(&limit), 0);
        drop(permit);
        while current(&limit) == 1 {
            let change = limit.record(CPU_TIME, CPU_TIME);
            limit.acquire().await.unwrap().release(change);
        }
        assert_eq!(free(&limit), 2);
    }

    #[test]
    fn the_cpu_time_of_a_thread_does_not_include_its_sleep() {
        let before = thread_cpu_time();
        std::thread::sleep(Duration::from_millis(20));
        let slept = thread_cpu_time() - before;
        let started = Instant::now();
        while thread_cpu_time() - before < Duration::from_millis(30) {}
        assert!(slept < Duration::from_millis(10), "{slept:?}");
        assert!(started.elapsed() >= Duration::from_millis(10));
    }
}
