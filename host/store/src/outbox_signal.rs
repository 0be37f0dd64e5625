//! Wakes the relay after a commit and buffers the committed events for it.

use super::OutboxEvent;
use parking_lot::Mutex;
use std::{collections::VecDeque, mem};
use tokio::sync::Notify;

/// The most events in the buffer. The relay reads further events from the
/// outbox.
const BUFFERED_EVENTS: usize = 1_024;

/// Tells the relay of this host that a commit added events to the outbox. The
/// relay carries them if this host holds the lease. Otherwise it sends them to
/// the host that does.
#[derive(Debug, Default)]
pub struct OutboxSignal {
    changed: Notify,
    buffer: Mutex<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    /// Whether commits add their events.
    enabled: bool,
    /// Whether the outbox may have events that the buffer does not have.
    incomplete: bool,
    batches: VecDeque<OutboxBatch>,
    /// The number of events in all batches.
    events: usize,
}

/// The events of one commit. Hosts send it to each other as JSON.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct OutboxBatch {
    /// The sequence number of the last event that was in the component's outbox
    /// before this commit. None if the outbox was empty.
    pub after: Option<i64>,
    /// At least one event, sorted by sequence number.
    pub events: Vec<OutboxEvent>,
}

/// The events that the relay carries next.
#[derive(Debug)]
pub enum PendingEvents {
    /// These events follow the last carried event without a gap. Without any,
    /// nothing waits.
    Buffered(Vec<OutboxEvent>),
    /// The relay has to read the outbox.
    InOutbox,
}

impl OutboxSignal {
    /// Waits until the outbox may have more events.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Wakes the relay and makes it read the outbox.
    pub fn require_read(&self) {
        self.buffer.lock().incomplete = true;
        self.changed.notify_one();
    }

    /// Offers the events of a commit to the relay of this host. Returns false
    /// if that relay takes none. Then the holder of the lease must be
    /// notified.
    pub fn offer(&self, batch: OutboxBatch) -> bool {
        let mut buffer = self.buffer.lock();
        let enabled = buffer.enabled;
        if enabled && buffer.events < BUFFERED_EVENTS {
            buffer.events += batch.events.len();
            buffer.batches.push_back(batch);
        } else {
            buffer.incomplete = true;
        }
        drop(buffer);
        self.changed.notify_one();
        enabled
    }

    /// Starts or ends buffering. The relay has to read earlier events from the
    /// outbox.
    pub fn set_buffering(&self, enabled: bool) {
        *self.buffer.lock() = Buffer { enabled, incomplete: true, ..Buffer::default() };
    }

    /// Empties the buffer. Returns none if the outbox may have more events.
    pub fn drain(&self) -> Option<Vec<OutboxBatch>> {
        let mut buffer = self.buffer.lock();
        let empty = Buffer { enabled: buffer.enabled, ..Buffer::default() };
        let Buffer { incomplete, batches, .. } = mem::replace(&mut *buffer, empty);
        (!incomplete).then(|| batches.into())
    }

    /// Takes the events after this sequence number, about as many as given. It
    /// does not split the events of one commit.
    pub fn take_after(&self, sequence: i64, about: usize) -> PendingEvents {
        let mut buffer = self.buffer.lock();
        let events = buffer.take_after(sequence, about);
        if events.is_empty() && mem::take(&mut buffer.incomplete) {
            // The buffered events are committed, so the outbox has them too.
            buffer.batches.clear();
            buffer.events = 0;
            return PendingEvents::InOutbox;
        }
        PendingEvents::Buffered(events)
    }
}

impl Buffer {
    /// Takes batches as long as no event between them is missing.
    fn take_after(&mut self, sequence: i64, about: usize) -> Vec<OutboxEvent> {
        let mut events = Vec::new();
        let mut last = sequence;
        while !self.incomplete && events.len() < about {
            let Some(batch) = self.batches.pop_front() else { break };
            self.events = self.events.saturating_sub(batch.events.len());
            let end = batch.events.last().map_or(last, |event| event.sequence);
            if end <= last {
                continue;
            }
            // Another host has committed events in between.
            self.incomplete = batch.after.is_some_and(|after| after > last);
            if !self.incomplete {
                events.extend(batch.events);
                last = end;
            }
        }
        events
    }
}

#[cfg(test)]
mod tests;
