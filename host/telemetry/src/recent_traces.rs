//! The traces of the last slow and failed operations, in bounded memory. They are
//! there without a collector of traces.
//!
//! An operation is a request, an event on its way to the bus, an event at its
//! handler, or a timer. The host tells of each one at its end. Most are forgotten
//! soon. When one was slow or failed, its trace is kept, with the operations of the
//! same trace that are still known and all that follow. Requests that only read
//! leave nothing unless they are slow or fail, so they cost two comparisons.

mod kept;

pub use host_api::traces::OperationKind;
use kept::Traces;
use opentelemetry::trace::TraceId;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The most traces that are kept.
pub const KEPT_TRACES: usize = 200;

/// An operation that takes this time is slow, in microseconds.
static SLOW_US: AtomicU64 = AtomicU64::new(500_000);
static TRACES: LazyLock<Mutex<Traces>> = LazyLock::new(Mutex::default);

/// An operation that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its kind.
    pub kind: OperationKind,
    /// The component that did it. Empty if a request found none.
    pub component: String,
    /// What was done: a method with a route, an event's subject or a timer's key.
    pub name: String,
    /// The id of the request or event. Empty for a timer.
    pub id: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// How long it took.
    pub took: Duration,
    /// Why it failed. None if it did not.
    pub failure: Option<String>,
}

impl Operation {
    /// When it ended, in milliseconds since the Unix epoch.
    pub fn ended_ms(&self) -> u64 {
        self.begun_ms.saturating_add(u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A kept trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTrace {
    /// Its identifier.
    pub trace: TraceId,
    /// Its operations, in the sequence of their ends.
    pub operations: Vec<Arc<Operation>>,
    /// The operations for which there was no room.
    pub left_out: u64,
}

/// Sets the time from which an operation is slow.
pub fn set_slow(limit: Duration) {
    SLOW_US.store(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Whether an operation that took this time and succeeded is slow.
pub fn is_slow(took: Duration) -> bool {
    took.as_micros() >= u128::from(SLOW_US.load(Ordering::Relaxed))
}

/// Tells of an operation that has ended.
pub fn record(operation: Operation) {
    let is_notable = operation.failure.is_some() || is_slow(operation.took);
    TRACES.lock().add(operation, is_notable);
}

/// The kept traces, the newest first.
pub fn newest_first() -> Vec<KeptTrace> {
    TRACES.lock().newest_first()
}

/// One kept trace.
pub fn find(trace: TraceId) -> Option<KeptTrace> {
    TRACES.lock().find(trace)
}
