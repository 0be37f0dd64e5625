//! The transaction behind a guest's `transaction` resource.
//!
//! It ends when the guest commits, rolls back or drops it, and when the guest's
//! instance ends. It also ends at its deadline, even if the guest makes no call,
//! because other transactions wait for the write lock. Its time counts from its
//! beginning.

use super::{ComponentSql, Error, HeldMemory, Transaction};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{
    task::AbortHandle,
    time::{Duration, Instant, error::Elapsed, sleep_until},
};

/// The memory of an event or a timer beside its payload.
const RECORD_BYTES: usize = 512;

/// A transaction that a guest has opened, with its deadline and its counters.
pub struct OpenTransaction {
    slot: Slot,
    time_limit: Duration,
    /// None before the transaction begins.
    cutoff: Option<Cutoff>,
    /// The events that it has published.
    pub(crate) events: usize,
    /// The timers that it has set.
    pub(crate) timers: usize,
    /// The topics that it notifies.
    pub(crate) topics: usize,
    /// The memory of both.
    held: Option<HeldMemory>,
    /// Counts the open transactions of a call.
    count: Option<Arc<()>>,
}

/// Rolls the transaction back at its deadline, unless this value is dropped
/// before.
struct Cutoff {
    deadline: Instant,
    task: AbortHandle,
}

/// Empty during a call and after the end of the transaction.
type Slot = Arc<Mutex<Option<Box<dyn Transaction>>>>;

impl OpenTransaction {
    /// Wraps a transaction that has begun. Its time counts from now. It holds
    /// `count` until its end.
    pub fn new(inner: Box<dyn Transaction>, time_limit_ms: u64, count: Arc<()>) -> Self {
        let mut open = Self::lazy(inner, time_limit_ms);
        open.count = Some(count);
        open.cutoff = Some(Cutoff::after(open.time_limit, &open.slot));
        open
    }

    /// Wraps a transaction that begins with its first call. Its time counts
    /// from then.
    pub fn lazy(inner: Box<dyn Transaction>, time_limit_ms: u64) -> Self {
        let time_limit = Duration::from_millis(time_limit_ms);
        Self {
            slot: Arc::new(Mutex::new(Some(inner))),
            time_limit,
            cutoff: None,
            events: 0,
            timers: 0,
            topics: 0,
            held: None,
            count: None,
        }
    }

    /// Counts the memory of an event or a timer until the end of the
    /// transaction.
    pub(crate) fn hold(&mut self, database: &dyn ComponentSql, payload_bytes: usize) -> Result<(), Error> {
        let held = self.held.get_or_insert_with(|| HeldMemory::of(database.memory()));
        held.add(payload_bytes.saturating_add(RECORD_BYTES))
    }

    /// Takes the transaction back from the guest. Returns none after its end.
    pub fn into_inner(self) -> Option<Box<dyn Transaction>> {
        self.slot.lock().take()
    }

    /// Borrows the transaction for one call. The first call begins a lazy
    /// transaction.
    pub(crate) async fn borrow(&mut self) -> Result<BorrowedTransaction, Error> {
        let inner = self.slot.lock().take();
        let Some(Cutoff { deadline, .. }) = self.cutoff else {
            let mut inner = inner.ok_or_else(transaction_is_over)?;
            inner.ensure_begun().await;
            let deadline = self.cutoff.insert(Cutoff::after(self.time_limit, &self.slot)).deadline;
            return Ok(BorrowedTransaction { slot: self.slot.clone(), deadline, inner });
        };
        let is_late = Instant::now() >= deadline;
        match inner {
            _ if is_late => Err(Error::Timeout),
            Some(inner) => Ok(BorrowedTransaction { slot: self.slot.clone(), deadline, inner }),
            None => Err(transaction_is_over()),
        }
    }
}

impl Cutoff {
    fn after(time_limit: Duration, slot: &Slot) -> Self {
        let deadline = Instant::now() + time_limit;
        let slot = slot.clone();
        let task = tokio::spawn(async move {
            sleep_until(deadline).await;
            let inner = slot.lock().take();
            if let Some(inner) = inner {
                inner.rollback().await;
            }
        });
        Self { deadline, task: task.abort_handle() }
    }
}

impl Drop for Cutoff {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A transaction during one call. A call that is dropped ends the transaction.
pub(crate) struct BorrowedTransaction {
    slot: Slot,
    /// The call has to end before this time.
    pub(crate) deadline: Instant,
    pub(crate) inner: Box<dyn Transaction>,
}

impl BorrowedTransaction {
    /// Gives the transaction back after a call, unless the call was too late.
    pub(crate) fn give_back<T>(self, result: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
        let Ok(result) = result else { return Err(Error::Timeout) };
        *self.slot.lock() = Some(self.inner);
        result
    }
}

pub(crate) fn transaction_is_over() -> Error {
    Error::Invalid("the transaction is over".into())
}
