//! The progress of one call. The work of the call reads its deadline here, the
//! body of the answer notes each piece that the caller reads, and the failure
//! waits here for its report.

use super::StreamObserver;
use crate::Failure;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The work with the guest, the caller and the body share it. It lives
/// until the last of them ends.
pub(super) struct Progress {
    patience: Duration,
    last: Mutex<Instant>,
    unwanted: CancellationToken,
    retired: CancellationToken,
    cut_off: AtomicBool,
    request: Arc<RequestState>,
    /// The caller does not ask for the next piece of the answer.
    unread: AtomicBool,
    end: Mutex<End>,
    observer: Arc<dyn StreamObserver>,
}

/// The state of the request's body. A guest may keep the body for longer than
/// the call, so the body shares this alone.
#[derive(Default)]
pub(super) struct RequestState {
    /// It was over its limit.
    pub(super) too_large: AtomicBool,
    /// The guest waits for its next piece.
    pub(super) awaited: AtomicBool,
}

/// The end of a call.
enum End {
    /// No failure is known.
    Open,
    /// A failure that nobody has reported.
    Failed(Failure),
    /// A failure that the caller knows.
    Told,
}

/// Why a call has to end before the guest is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The guest produced nothing for too long.
    Silent,
    /// The caller has sent nothing for too long.
    Unsent,
    /// The caller has read nothing for too long.
    Unread,
    /// The caller has left.
    Unwanted,
    /// The revision was replaced, and its time to finish has passed.
    Retired,
}

impl Progress {
    /// A call that begins now. The longest pause is allowed before its answer,
    /// and then between two pieces of the body.
    pub(super) fn new(patience: Duration, retired: CancellationToken, observer: Arc<dyn StreamObserver>) -> Self {
        Self {
            patience,
            last: Mutex::new(Instant::now()),
            unwanted: CancellationToken::new(),
            retired,
            cut_off: AtomicBool::new(false),
            request: Arc::default(),
            unread: AtomicBool::new(false),
            end: Mutex::new(End::Open),
            observer,
        }
    }

    /// The answer has made progress.
    pub(super) fn step(&self) {
        *self.last.lock() = Instant::now();
    }

    /// The caller does not want the rest of the answer.
    pub(super) fn abandon(&self) {
        self.unwanted.cancel();
    }

    /// The caller does not read the answer, and its work ends.
    pub(super) fn give_up(&self) {
        self.cut_off();
        self.observer.unread();
    }

    /// The caller left before the end of the answer.
    pub(super) fn leave(&self) {
        self.observer.abandoned();
        self.abandon();
    }

    /// The guest ends before its answer. A body that ends from now on is not
    /// complete. The first failure counts.
    pub(super) fn fail(&self, failure: Failure) {
        let mut end = self.end.lock();
        if matches!(*end, End::Open) {
            *end = End::Failed(failure);
        }
        self.cut_off();
    }

    /// The guest ends before its answer, and the guest is not to blame.
    pub(super) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Release);
    }

    /// The failure, for the caller alone.
    pub(super) fn tell(&self) -> Option<Failure> {
        let mut end = self.end.lock();
        match std::mem::replace(&mut *end, End::Told) {
            End::Failed(failure) => Some(failure),
            End::Open | End::Told => None,
        }
    }

    /// Whether the guest has ended before its answer.
    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Acquire)
    }

    /// The state of the request's body.
    pub(super) fn request(&self) -> Arc<RequestState> {
        self.request.clone()
    }

    /// Whether the caller asks for the next piece of the answer.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Release);
    }

    /// Whether the request's body was over its limit.
    pub(super) fn request_refused(&self) -> bool {
        self.request.too_large.load(Ordering::Acquire)
    }

    /// Returns when the call has to end.
    pub(super) async fn overdue(&self) -> Overdue {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                () = self.unwanted.cancelled() => return Overdue::Unwanted,
                () = self.retired.cancelled() => return Overdue::Retired,
                () = sleep_until(deadline) => {}
            }
            if self.deadline() <= Instant::now() {
                return self.laggard();
            }
        }
    }

    /// The side that made no progress.
    fn laggard(&self) -> Overdue {
        if self.unread.load(Ordering::Acquire) {
            Overdue::Unread
        } else if self.request.awaited.load(Ordering::Acquire) {
            Overdue::Unsent
        } else {
            Overdue::Silent
        }
    }

    fn deadline(&self) -> Instant {
        *self.last.lock() + self.patience
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(failure) = self.tell() {
            self.observer.broke_off(&failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl StreamObserver for Told {
        fn broke_off(&self, failure: &Failure) {
            self.0.lock().push(failure.to_string());
        }

        fn abandoned(&self) {}

        fn unread(&self) {}
    }

    fn progress(patience: Duration, told: &Arc<Told>) -> Progress {
        Progress::new(patience, CancellationToken::new(), told.clone())
    }

    fn failure() -> Failure {
        Failure::Deadline { component: "x".to_owned(), milliseconds: 1, computes: false }
    }

    #[tokio::test]
    async fn a_call_is_overdue_when_it_stands_still_and_not_before() {
        // Long enough for a busy machine.
        let patience = Duration::from_millis(500);
        let progress = progress(patience, &Arc::default());
        let begun = Instant::now();
        let stepping = async {
            while begun.elapsed() < 2 * patience {
                tokio::time::sleep(patience / 20).await;
                progress.step();
            }
        };
        let (overdue, ()) = tokio::join!(progress.overdue(), stepping);
        assert!(overdue == Overdue::Silent && begun.elapsed() >= 3 * patience);
        progress.step();
        progress.abandon();
        assert_eq!(progress.overdue().await, Overdue::Unwanted);
    }

    #[tokio::test]
    async fn a_caller_that_neither_sends_nor_reads_is_not_blamed_on_the_guest() {
        let progress = progress(Duration::ZERO, &Arc::default());
        progress.request().awaited.store(true, Ordering::Release);
        assert_eq!(progress.overdue().await, Overdue::Unsent);
        progress.set_unread(true);
        assert_eq!(progress.overdue().await, Overdue::Unread);
        progress.set_unread(false);
        progress.request().awaited.store(false, Ordering::Release);
        assert_eq!(progress.overdue().await, Overdue::Silent);
    }

    #[test]
    fn a_failure_is_reported_once() {
        let told = Arc::new(Told::default());
        drop(progress(Duration::ZERO, &told));
        let failing = progress(Duration::ZERO, &told);
        failing.fail(failure());
        assert!(failing.is_cut_off() && failing.tell().is_some() && failing.tell().is_none());
        drop(failing);
        assert!(told.0.lock().is_empty(), "the caller was told");

        let failing = progress(Duration::ZERO, &told);
        failing.fail(failure());
        failing.fail(failure());
        drop(failing);
        assert_eq!(told.0.lock().len(), 1);
    }
}
