//! The transaction behind a guest's `transaction` resource.
//!
//! It ends when the guest commits, rolls back or drops it, when the guest's
//! instance goes away, and at its deadline, whatever the guest is doing then:
//! others wait for their turn to write. Its time runs from its beginning.

use super::{Error, Transaction};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{
    task::AbortHandle,
    time::{Duration, Instant, error::Elapsed, sleep_until},
};

/// A transaction in the hands of a guest, with what bounds it.
pub struct OpenTransaction {
    slot: Slot,
    time: Duration,
    /// None before it begins.
    end: Option<End>,
    /// Events published in it so far.
    pub(super) events: usize,
    /// Timers set in it so far.
    pub(super) timers: usize,
}

/// When it has to be over, and what sees to that.
struct End {
    deadline: Instant,
    cut_off: AbortHandle,
}

/// Empty once the transaction is over, and while a call is under way.
type Slot = Arc<Mutex<Option<Box<dyn Transaction>>>>;

impl OpenTransaction {
    /// Hands a transaction that has begun to a guest for this long.
    pub fn new(inner: Box<dyn Transaction>, time_ms: u64) -> Self {
        let mut open = Self::deferred(inner, time_ms);
        open.end = Some(End::after(open.time, &open.slot));
        open
    }

    /// Hands one that may not have begun to a guest, for this long from its
    /// beginning.
    pub fn deferred(inner: Box<dyn Transaction>, time_ms: u64) -> Self {
        let time = Duration::from_millis(time_ms);
        Self { slot: Arc::new(Mutex::new(Some(inner))), time, end: None, events: 0, timers: 0 }
    }

    /// Takes the transaction back from the guest. None once it has been
    /// committed, rolled back or cut off.
    pub fn into_inner(self) -> Option<Box<dyn Transaction>> {
        take(&self.slot)
    }

    /// Takes the transaction for one call, which may be its first.
    pub(super) async fn lend(&mut self) -> Result<Lent, Error> {
        let inner = take(&self.slot);
        let Some(end) = &self.end else {
            let mut inner = inner.ok_or_else(over)?;
            inner.begin().await;
            let deadline = self.end.insert(End::after(self.time, &self.slot)).deadline;
            return Ok(Lent { slot: self.slot.clone(), deadline, inner });
        };
        let deadline = end.deadline;
        match inner {
            Some(inner) if Instant::now() < deadline => Ok(Lent { slot: self.slot.clone(), deadline, inner }),
            Some(_) => Err(Error::Timeout),
            None if Instant::now() >= deadline => Err(Error::Timeout),
            None => Err(over()),
        }
    }
}

impl End {
    fn after(time: Duration, slot: &Slot) -> Self {
        let deadline = Instant::now() + time;
        let late = slot.clone();
        let cut_off = tokio::spawn(async move {
            sleep_until(deadline).await;
            if let Some(inner) = take(&late) {
                inner.rollback().await;
            }
        })
        .abort_handle();
        Self { deadline, cut_off }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.cut_off.abort();
    }
}

/// The transaction during one call. A call that is abandoned ends it.
pub(super) struct Lent {
    slot: Slot,
    /// When the call has to be over.
    pub(super) deadline: Instant,
    /// What to call.
    pub(super) inner: Box<dyn Transaction>,
}

impl Lent {
    /// Gives it back after the call, unless the call took too long.
    pub(super) fn give_back<T>(self, result: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
        let Ok(result) = result else { return Err(Error::Timeout) };
        *self.slot.lock() = Some(self.inner);
        result
    }
}

fn over() -> Error {
    Error::Invalid("the transaction is over".into())
}

fn take(slot: &Slot) -> Option<Box<dyn Transaction>> {
    slot.lock().take()
}
