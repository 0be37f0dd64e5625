//! The transaction behind a guest's `transaction` resource.
//!
//! It ends when the guest commits, rolls back or drops it, and when the guest's
//! instance ends. It also ends at its deadline, even if the guest makes no call,
//! because other transactions wait for the write lock. Its time counts from its
//! beginning.

use super::{ComponentSql, Error, HeldMemory, Transaction, guest_calls::LiveCount};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
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
    /// The live events that it sends.
    pub(crate) live: LiveCount,
    /// Whether a statement has changed rows.
    pub(crate) has_changed_rows: bool,
    /// The memory of both.
    held: Option<HeldMemory>,
    /// The counter of the transaction from its beginning on.
    count: Weak<()>,
}

/// The transaction while no call uses it.
struct Resting {
    inner: Box<dyn Transaction>,
    /// One clone for each open transaction of a call.
    count: Option<Arc<()>>,
}

/// Rolls the transaction back at its deadline, unless this value is dropped
/// before.
struct Cutoff {
    deadline: Instant,
    task: AbortHandle,
}

/// Empty during a call and after the end of the transaction.
type Slot = Arc<Mutex<Option<Resting>>>;

impl OpenTransaction {
    /// Wraps a transaction that has begun. Its time counts from now. It holds
    /// `count` until its end.
    pub fn new(inner: Box<dyn Transaction>, time_limit_ms: u64, count: Arc<()>) -> Self {
        let mut open = Self::wrap(Resting { inner, count: Some(count) }, time_limit_ms);
        open.cutoff = Some(Cutoff::after(open.time_limit, &open.slot));
        open
    }

    /// Wraps a transaction that begins with its first call. Its time counts
    /// from then, and it holds `count` from then on.
    pub fn lazy(inner: Box<dyn Transaction>, time_limit_ms: u64, count: &Arc<()>) -> Self {
        let open = Self::wrap(Resting { inner, count: None }, time_limit_ms);
        Self { count: Arc::downgrade(count), ..open }
    }

    fn wrap(resting: Resting, time_limit_ms: u64) -> Self {
        Self {
            slot: Arc::new(Mutex::new(Some(resting))),
            time_limit: Duration::from_millis(time_limit_ms),
            cutoff: None,
            events: 0,
            timers: 0,
            topics: 0,
            live: LiveCount::default(),
            has_changed_rows: false,
            held: None,
            count: Weak::new(),
        }
    }

    /// Whether its end without a commit loses changes.
    pub(crate) fn would_lose_changes(&self) -> bool {
        let has_changes = self.has_changed_rows || self.events > 0 || self.timers > 0 || !self.live.is_empty();
        has_changes && self.slot.lock().is_some()
    }

    /// Counts the memory of an event or a timer until the end of the
    /// transaction.
    pub(crate) fn hold(&mut self, database: &dyn ComponentSql, payload_bytes: usize) -> Result<(), Error> {
        let held = self.held.get_or_insert_with(|| HeldMemory::of(database.memory()));
        held.add(payload_bytes.saturating_add(RECORD_BYTES))
    }

    /// Takes the transaction back from the guest. Returns none after its end.
    pub fn into_inner(self) -> Option<Box<dyn Transaction>> {
        self.slot.lock().take().map(|resting| resting.inner)
    }

    /// Borrows the transaction for one call. The first call begins a lazy
    /// transaction.
    pub(crate) async fn borrow(&mut self) -> Result<BorrowedTransaction, Error> {
        let resting = self.slot.lock().take();
        let Some(Cutoff { deadline, .. }) = self.cutoff else {
            let Resting { mut inner, .. } = resting.ok_or_else(transaction_is_over)?;
            inner.ensure_begun().await;
            let deadline = self.cutoff.insert(Cutoff::after(self.time_limit, &self.slot)).deadline;
            return Ok(BorrowedTransaction { slot: self.slot.clone(), deadline, inner, count: self.count.upgrade() });
        };
        let is_late = Instant::now() >= deadline;
        match resting {
            _ if is_late => Err(Error::Timeout),
            Some(Resting { inner, count }) => {
                Ok(BorrowedTransaction { slot: self.slot.clone(), deadline, inner, count })
            }
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
            let resting = slot.lock().take();
            if let Some(Resting { inner, count: _until_the_end }) = resting {
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
    count: Option<Arc<()>>,
}

impl BorrowedTransaction {
    /// Gives the transaction back after a call, unless the call was too late.
    pub(crate) fn give_back<T>(self, result: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
        let Ok(result) = result else { return Err(Error::Timeout) };
        *self.slot.lock() = Some(Resting { inner: self.inner, count: self.count });
        result
    }
}

pub(crate) fn transaction_is_over() -> Error {
    Error::Invalid("the transaction is over".into())
}
