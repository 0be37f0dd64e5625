//! The readers of published events on the embedded bus.

use crate::tail::{EventTail, TailedEvent, TailedItem};
use async_trait::async_trait;
use host_base::Event;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};

/// The events that wait for the slowest reader: at most 4 MiB.
const CAPACITY: usize = 256;

/// Gives published events to the readers.
pub(super) struct Tails(broadcast::Sender<Arc<TailedEvent>>);

impl Default for Tails {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl Tails {
    pub(super) fn offer(&self, events: &[Event]) {
        if self.0.receiver_count() == 0 {
            return;
        }
        for event in events {
            // The send fails if the last reader leaves at this moment.
            let _ = self.0.send(Arc::new(TailedEvent::of(event)));
        }
    }

    pub(super) fn open(&self) -> Box<dyn EventTail> {
        Box::new(Reader(self.0.subscribe()))
    }
}

struct Reader(broadcast::Receiver<Arc<TailedEvent>>);

#[async_trait]
impl EventTail for Reader {
    async fn next(&mut self) -> Option<TailedItem> {
        match self.0.recv().await {
            Ok(event) => Some(TailedItem::Event(Arc::unwrap_or_clone(event))),
            Err(RecvError::Lagged(events)) => Some(TailedItem::Lost(events)),
            Err(RecvError::Closed) => None,
        }
    }
}
