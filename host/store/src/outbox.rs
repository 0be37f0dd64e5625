//! The outbox: committed events that the relay carries to the bus.

use super::{Error, OutboxSignal};
use async_trait::async_trait;
use host_base::event::Event;
use std::sync::Arc;

/// The outbox of one component, for the relay.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Returns the oldest events after this sequence number.
    async fn read_outbox(&self, after_sequence: i64, limit_rows: u32) -> Result<Vec<OutboxEvent>, Error>;

    /// Deletes the events up to and including this sequence number.
    async fn clear_outbox(&self, up_to_sequence: i64) -> Result<(), Error>;

    /// Wakes the relay after a commit.
    fn outbox_signal(&self) -> &Arc<OutboxSignal>;
}

/// A committed event that waits for the relay.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct OutboxEvent {
    /// Ascends with each commit.
    pub sequence: i64,
    /// The event for the bus.
    pub event: Event,
}

/// The columns of an outbox table: sequence, id, subject, source, time,
/// traceparent, payload.
pub(crate) type OutboxRow = (i64, String, String, String, i64, Option<String>, Vec<u8>);

impl From<OutboxRow> for OutboxEvent {
    fn from((sequence, id, subject, source, time_ms, traceparent, payload): OutboxRow) -> Self {
        let event = Event { id, subject, source, time_ms: time_ms.cast_unsigned(), traceparent, payload };
        Self { sequence, event }
    }
}
