//! How many hashes are computed at a time: as many as get a processor.
//!
//! Each goes through more memory than a processor keeps near. Where processors
//! are short, as on a machine that several hosts share, those that take turns
//! find theirs gone each time and take longer, and so does everything else.

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// One that waits for a processor more than so many times as long as it
/// computes is one of too many.
const CROWDED: f64 = 4.0;
/// One that waits less than this leaves room for another.
const ROOM: f64 = 1.0;
/// How much of the average the last one is.
const LAST: f64 = 1.0 / 8.0;

/// Lets between half of what is allowed and all of it be computed at a time.
#[derive(Debug)]
pub(super) struct Pace {
    turns: Arc<Semaphore>,
    fewest: usize,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at_once: usize,
    /// How many times as long as they compute hashes wait, on average since
    /// `at_once` was changed.
    waiting: f64,
}

/// The turn of one hash.
pub(super) struct Turn {
    permit: OwnedSemaphorePermit,
    pace: Arc<Pace>,
}

/// What follows from how long hashes wait.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Fewer,
    More,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            turns: Arc::new(Semaphore::new(most)),
            fewest: most.div_ceil(2),
            most,
            state: Mutex::new(State::new(most)),
        }
    }

    pub(super) async fn turn(self: &Arc<Self>) -> Result<Turn, AcquireError> {
        Ok(Turn { permit: self.turns.clone().acquire_owned().await?, pace: self.clone() })
    }

    /// What is to be done when one has taken so long, of which it computed for
    /// this long.
    fn after(&self, took: Duration, computed: Duration) -> Option<Change> {
        let waited = took.saturating_sub(computed).as_secs_f64() / computed.as_secs_f64().max(1e-6);
        let mut state = self.state.lock();
        state.waiting += (waited - state.waiting) * LAST;
        let (at_once, change) = match state.waiting {
            crowded if crowded > CROWDED && state.at_once > self.fewest => (state.at_once - 1, Change::Fewer),
            room if room < ROOM && state.at_once < self.most => (state.at_once + 1, Change::More),
            _ => return None,
        };
        *state = State::new(at_once);
        Some(change)
    }
}

impl State {
    fn new(at_once: usize) -> Self {
        Self { at_once, waiting: f64::midpoint(ROOM, CROWDED) }
    }
}

impl Turn {
    /// Computes on this thread, and leaves the turn to another, to two or to
    /// nobody.
    pub(super) fn compute<T>(self, hash: impl FnOnce() -> T) -> T {
        let (begun, before) = (Instant::now(), computed());
        let result = hash();
        let change = self.pace.after(begun.elapsed(), computed().saturating_sub(before));
        self.end(change);
        result
    }

    fn end(self, change: Option<Change>) {
        match change {
            Some(Change::Fewer) => self.permit.forget(),
            Some(Change::More) => self.pace.turns.add_permits(1),
            None => {}
        }
    }
}

/// How long this thread has had a processor.
fn computed() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPUTED: Duration = Duration::from_millis(10);

    fn at_once(pace: &Pace) -> usize {
        pace.state.lock().at_once
    }

    /// So many hashes, each of which waits so many times as long as it
    /// computes.
    fn hashes(pace: &Pace, count: usize, waits: f64) -> Vec<Change> {
        (0..count).filter_map(|_| pace.after(COMPUTED + COMPUTED.mul_f64(waits), COMPUTED)).collect()
    }

    #[test]
    fn where_processors_are_short_fewer_are_computed_but_never_less_than_half() {
        let pace = Pace::new(4);
        assert!(hashes(&pace, 100, 0.0).is_empty(), "no more than is allowed");
        assert_eq!(hashes(&pace, 100, 6.0), [Change::Fewer, Change::Fewer]);
        assert_eq!(at_once(&pace), 2);
        assert!(hashes(&pace, 100, 2.5).is_empty(), "that is neither crowded nor empty");
        assert_eq!(hashes(&pace, 100, 0.1), [Change::More, Change::More]);
        assert_eq!(at_once(&pace), 4);
        assert!(hashes(&pace, 1, 20.0).is_empty(), "one says little");
        let only = Pace::new(1);
        assert!(hashes(&only, 100, 9.0).is_empty());
    }

    #[tokio::test]
    async fn turns_become_fewer_and_more() {
        let pace = Arc::new(Pace::new(2));
        let free = |pace: &Pace| pace.turns.available_permits();
        // Sleeping is like waiting for a processor.
        while at_once(&pace) == 2 {
            pace.turn().await.unwrap().compute(|| std::thread::sleep(Duration::from_millis(1)));
        }
        assert_eq!(free(&pace), 1);
        let turn = pace.turn().await.unwrap();
        assert_eq!(free(&pace), 0, "there is one at a time");
        drop(turn);
        while at_once(&pace) == 1 {
            pace.turn().await.unwrap().end(pace.after(COMPUTED, COMPUTED));
        }
        assert_eq!(free(&pace), 2);
    }

    #[test]
    fn what_a_thread_computes_is_counted_and_what_it_sleeps_is_not() {
        let before = computed();
        std::thread::sleep(Duration::from_millis(20));
        let slept = computed() - before;
        let begun = Instant::now();
        while computed() - before < Duration::from_millis(30) {}
        assert!(slept < Duration::from_millis(10), "{slept:?}");
        assert!(begun.elapsed() >= Duration::from_millis(10));
    }
}
