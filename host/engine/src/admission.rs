//! Admission: the number of calls that run at once, the number that wait, and
//! the longest wait.
//!
//! Each component has an admission of its own, so that a slow component does
//! not slow down the others. The host has one for all components, so that the
//! machine stays usable.

use super::Failure;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded number of turns with a bounded queue before them.
pub struct Admission {
    whose: String,
    limit: usize,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    wait: Duration,
    /// Places for calls that wait for a signal without a turn.
    aside: Arc<Semaphore>,
}

/// The place of a call that waits for a signal without a turn.
pub(super) type WaitingPlace = OwnedSemaphorePermit;

/// The number of calls that wait for a signal, for each call that may run.
const ASIDE_PER_TURN: usize = 4;

/// The patience of the one that waits for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// A caller waits for the answer. It takes a place in the bounded queue and
    /// waits for a bounded time.
    Caller,
    /// A worker delivers an event or a timer. Nobody waits for the result, and
    /// each component has few workers, so a worker waits without a limit.
    Worker,
}

impl Admission {
    /// `limit` calls at once, `queue` more waiting for at most `wait`.
    pub fn new(whose: &str, limit: usize, queue: usize, wait: Duration) -> Self {
        Self {
            whose: whose.to_owned(),
            limit,
            turns: Arc::new(Semaphore::new(limit)),
            waiting: AtomicUsize::new(0),
            queue,
            wait,
            aside: Arc::new(Semaphore::new(limit.saturating_mul(ASIDE_PER_TURN).min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Sets the number of calls that may wait for a signal without a turn.
    #[must_use]
    pub fn waiting_aside(mut self, calls: usize) -> Self {
        self.aside = Arc::new(Semaphore::new(calls));
        self
    }

    /// A place for a call that waits without a turn. None if there is no free
    /// place.
    pub(super) fn wait_aside(&self) -> Option<WaitingPlace> {
        self.aside.clone().try_acquire_owned().ok()
    }

    /// Waits for a turn. The turn ends when the permit is dropped. Callers and
    /// workers get their turns in the order of their requests.
    ///
    /// # Errors
    /// [`Failure::Busy`] when a caller finds the queue full or waits too long.
    pub async fn enter(&self, patience: Patience) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = self.turns.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let begun = Instant::now();
        let turn = match patience {
            Patience::Caller => self.enter_queue().await,
            Patience::Worker => self.turns.clone().acquire_owned().await.map_err(|_| self.busy()),
        };
        metrics::histogram!("admission_wait_seconds", "component" => self.whose.clone()).record(begun.elapsed());
        turn
    }

    async fn enter_queue(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let _place = Place::take(&self.waiting, self.queue).ok_or_else(|| self.busy())?;
        match tokio::time::timeout(self.wait, self.turns.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.busy()),
        }
    }

    /// Calls that run now.
    pub fn in_flight(&self) -> usize {
        self.limit.saturating_sub(self.turns.available_permits())
    }

    /// Calls that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Calls that may run at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    fn busy(&self) -> Failure {
        metrics::counter!("admission_refused_total", "component" => self.whose.clone()).increment(1);
        Failure::Busy { component: self.whose.clone(), limit: self.limit }
    }
}

/// A place in the queue. It becomes free when this value is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, queue: usize) -> Option<Self> {
        let place = Self(waiting);
        let ahead = waiting.fetch_add(1, Ordering::Relaxed);
        (ahead < queue).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_a_long_wait_ends() {
        let admission = Arc::new(Admission::new("x", 1, 1, Duration::from_millis(50)));
        let running = admission.enter(Patience::Caller).await.unwrap();
        assert_eq!(admission.in_flight(), 1);
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter(Patience::Caller).await.map(drop) }
        });
        while admission.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(admission.enter(Patience::Caller).await, Err(Failure::Busy { limit: 1, .. })));
        assert!(waiting.await.unwrap().is_err(), "the wait is bounded");
        drop(running);
        assert!(admission.enter(Patience::Caller).await.is_ok());
        assert_eq!(admission.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_worker_takes_no_place_in_the_queue_and_waits_for_its_turn() {
        let admission = Arc::new(Admission::new("x", 1, 0, Duration::from_millis(1)));
        let running = admission.enter(Patience::Caller).await.unwrap();
        let worker = tokio::spawn({
            let admission = admission.clone();
            async move { admission.enter(Patience::Worker).await.map(drop) }
        });
        assert!(admission.enter(Patience::Caller).await.is_err(), "there is no queue");
        assert!(!worker.is_finished());
        drop(running);
        assert!(worker.await.unwrap().is_ok());
    }
}
