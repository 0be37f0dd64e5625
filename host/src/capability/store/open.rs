//! The transaction behind a guest's `transaction` resource.
//!
//! It ends when the guest commits, rolls back or drops it, when the guest's
//! instance goes away, and at its deadline, whatever the guest is doing then:
//! others wait for their turn to write.

use super::{Error, Transaction};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{
    task::AbortHandle,
    time::{Duration, Instant, error::Elapsed, sleep_until},
};

/// A transaction in the hands of a guest, with what bounds it.
pub struct OpenTransaction {
    slot: Slot,
    deadline: Instant,
    cut_off: AbortHandle,
    /// Events published in it so far.
    pub(super) events: usize,
    /// Timers set in it so far.
    pub(super) timers: usize,
}

/// Empty once the transaction is over, and while a call is under way.
type Slot = Arc<Mutex<Option<Box<dyn Transaction>>>>;

impl OpenTransaction {
    /// Hands a transaction to a guest for this long.
    pub fn new(inner: Box<dyn Transaction>, time_ms: u64) -> Self {
        let deadline = Instant::now() + Duration::from_millis(time_ms);
        let slot: Slot = Arc::new(Mutex::new(Some(inner)));
        let late = slot.clone();
        let cut_off = tokio::spawn(async move {
            sleep_until(deadline).await;
            if let Some(inner) = take(&late) {
                inner.rollback().await;
            }
        })
        .abort_handle();
        Self { slot, deadline, cut_off, events: 0, timers: 0 }
    }

    /// Takes the transaction back from the guest. None once it has been
    /// committed, rolled back or cut off.
    pub fn into_inner(self) -> Option<Box<dyn Transaction>> {
        take(&self.slot)
    }

    /// Takes the transaction for one call.
    pub(super) fn lend(&self) -> Result<Lent, Error> {
        match take(&self.slot) {
            Some(inner) if Instant::now() < self.deadline => {
                Ok(Lent { slot: self.slot.clone(), deadline: self.deadline, inner })
            }
            Some(_) => Err(Error::Timeout),
            None if Instant::now() >= self.deadline => Err(Error::Timeout),
            None => Err(Error::Invalid("the transaction is over".into())),
        }
    }
}

impl Drop for OpenTransaction {
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
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.inner);
        result
    }
}

fn take(slot: &Slot) -> Option<Box<dyn Transaction>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
