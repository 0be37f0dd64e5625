//! The inbox: the marks of applied events, so that a component applies an event
//! once.

use super::{DueTimer, Error, Transaction, component_sql::SqlEngine};
use async_trait::async_trait;

/// The inbox of one component, for the delivery of events and timers.
#[async_trait]
pub trait Inbox: SqlEngine {
    /// Waits for the write lock and begins a transaction that claims this key.
    /// Returns none if the key was claimed before.
    async fn begin_once(&self, key: &IdempotencyKey) -> Result<Option<Box<dyn Transaction>>, Error>;

    /// Deletes the marks of events that were applied before this time. Returns
    /// their number.
    async fn prune_inbox(&self, before_ms: u64) -> Result<u64, Error>;
}

/// Identifies a delivery that takes effect at most once.
#[derive(Debug, Clone)]
pub enum IdempotencyKey {
    /// The id of an event.
    Event(String),
    /// An attempt of a timer. A timer that was replaced, cancelled or postponed
    /// meanwhile cannot be claimed.
    Timer(DueTimer),
}
