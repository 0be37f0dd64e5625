//! The events that are published from now on, for people who watch them.

use async_trait::async_trait;
use host_base::Event;

/// A longer payload is cut, so that readers hold little memory.
pub const TAIL_PAYLOAD_BYTES: usize = 16 << 10;

/// A published event with the beginning of its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailedEvent {
    /// The event. Its payload has at most [`TAIL_PAYLOAD_BYTES`].
    pub event: Event,
    /// The size of the whole payload.
    pub payload_bytes: u64,
}

/// An item of an [`EventTail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailedItem {
    /// An event.
    Event(TailedEvent),
    /// The number of events that the reader was too slow for.
    Lost(u64),
}

/// Reads the published events from its opening until it is dropped. A reader that
/// is too slow loses some, and no publisher waits for it.
#[async_trait]
pub trait EventTail: Send {
    /// Waits for the next item. None if there will be no more.
    async fn next(&mut self) -> Option<TailedItem>;
}

impl TailedEvent {
    /// Cuts the payload.
    pub(crate) fn of(event: &Event) -> Self {
        let payload = event.payload.get(..TAIL_PAYLOAD_BYTES).unwrap_or(&event.payload).to_vec();
        let Event { id, subject, source, time_ms, traceparent, payload: whole } = event;
        Self {
            payload_bytes: whole.len() as u64,
            event: Event {
                id: id.clone(),
                subject: subject.clone(),
                source: source.clone(),
                time_ms: *time_ms,
                traceparent: traceparent.clone(),
                payload,
            },
        }
    }
}
