//! The event bus: it delivers events between components and keeps dead letters.
//!
//! A broker implements [`Bus`] and [`Consumer`]. [`EmbeddedBus`] is a durable
//! bus inside the process. [`JetStreamBus`] is the bus that several hosts share.

#[cfg(test)]
pub(crate) mod conformance;
mod embedded;
mod jetstream;
mod starts;
mod tail;

pub use embedded::{EmbeddedBus, PublishedEvent, WaitingDelivery};
pub use host_api::dead_letters::{DeadLetter, DeadLetterKind, DeadLetterSummary};
pub use jetstream::{JetStreamBus, installation};
pub use tail::{EventTail, TAIL_PAYLOAD_BYTES, TailedEvent, TailedItem};

use async_trait::async_trait;
use host_base::Event;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// The subjects that a component subscribes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// The subjects of the revisions on this host.
    pub this_host: BTreeSet<String>,
    /// The subjects of the component's revisions on other hosts. They differ
    /// while hosts of two versions run side by side in an upgrade.
    pub other_hosts: BTreeSet<String>,
    /// The subjects of this host that begin with the next event when the component
    /// subscribes for the first time. The others begin with the oldest event that the
    /// bus still has. See [`Bus::consumer`].
    pub from_now: BTreeSet<String>,
}

impl Subjects {
    /// All subjects that the bus has to deliver to at least one host.
    pub fn all(&self) -> BTreeSet<String> {
        self.this_host.union(&self.other_hosts).cloned().collect()
    }
}

/// Delivers events from any component to every subscriber, at least once.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes events in this order. The events are durable when this
    /// returns. The bus ignores an event whose id it knows already.
    async fn publish(&self, events: &[Event]) -> Result<(), BusError>;

    /// The durable consumer of a component. For a new subject it begins with
    /// the oldest event that the bus still has. A subject that the component takes
    /// from now on begins after the last event at the time of its first
    /// subscription, which the bus remembers for ever.
    async fn consumer(&self, component: &str, subjects: Subjects) -> Result<Arc<dyn Consumer>, BusError>;

    /// Replaces the subjects that other hosts subscribe to for a component. A
    /// bus with a single host ignores them.
    async fn set_subjects_of_other_hosts(&self, _component: &str, _subjects: BTreeSet<String>) {}

    /// Stores a dead letter. It replaces a dead letter with the same id.
    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), BusError>;

    /// A page of the dead letters, the newest first.
    async fn dead_letters(&self, page: &DeadLetterPage) -> Result<Vec<DeadLetterSummary>, BusError>;

    /// One dead letter. None if there is no dead letter with this id.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError>;

    /// Sets the largest number of dead letters of a component. One more replaces
    /// the oldest.
    fn limit_dead_letters(&self, component: &str, most: u64);

    /// Deletes a dead letter. False if there is no dead letter with this id.
    async fn delete_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// Delivers an event again to one component alone, as on its first attempt.
    async fn redeliver(&self, component: &str, event: &Event) -> Result<(), BusError>;

    /// The events that any host publishes from now on. An event that is published
    /// again appears again.
    async fn tail(&self) -> Result<Box<dyn EventTail>, BusError>;

    /// The number of events that wait for each consumer.
    async fn backlog(&self) -> Result<Backlog, BusError>;

    /// The largest payload of an event that the bus accepts, in bytes.
    fn max_event_bytes(&self) -> usize {
        usize::MAX
    }

    /// The reason why the bus is unavailable. None while it is available.
    fn unavailable_reason(&self) -> Option<String> {
        None
    }

    /// The problems of the bus that do not make it unavailable, for people.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the bus refuses new events because it has no room for them.
    fn is_full(&self) -> bool {
        false
    }

    /// Whether the bus was available at any time since the start.
    fn was_available(&self) -> bool {
        true
    }

    /// Waits until the bus is available.
    async fn wait_until_available(&self) {}

    /// Sends a payload to the host that [receives](Self::receive_forwarded) for
    /// a component. An error means that no host has confirmed it.
    async fn forward(&self, _component: &str, _payload: Vec<u8>) -> Result<(), BusError> {
        Err(BusError("no other host is on this bus".to_owned()))
    }

    /// Makes this host the receiver of the payloads that other hosts
    /// [forward](Self::forward) for a component. It is the receiver for as long
    /// as the returned value lives.
    async fn receive_forwarded(&self, _component: &str) -> Box<dyn ForwardReceiver> {
        Box::new(NeverReceives)
    }

    /// Returns the deliveries that are not acknowledged to the broker, and
    /// ends. No delivery arrives after this call.
    async fn close(&self) {}
}

/// Says that dead letters of a component gave way to newer ones.
fn report_dropped(component: &str, dropped: u64, most: u64) {
    if dropped > 0 {
        tracing::error!(component, dropped, most, "the component has too many dead letters, the oldest are deleted");
        metrics::counter!("dead_letters_dropped_total", "component" => component.to_owned()).increment(dropped);
    }
}

/// Which dead letters are listed.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterPage {
    /// Only the dead letters of these components. None for all.
    pub components: Option<BTreeSet<String>>,
    /// Only dead letters that come after this one in the list.
    pub after: Option<(u64, String)>,
    /// The largest number of dead letters.
    pub limit_rows: u32,
}

impl DeadLetterPage {
    /// The newest dead letters of all components.
    pub fn newest(limit_rows: u32) -> Self {
        Self { limit_rows, ..Self::default() }
    }

    fn has(&self, letter: &DeadLetterSummary) -> bool {
        let follows = self
            .after
            .as_ref()
            .is_none_or(|(set_aside_ms, id)| (letter.set_aside_ms, letter.id.as_str()) < (*set_aside_ms, id.as_str()));
        follows && self.components.as_ref().is_none_or(|components| components.contains(&letter.component))
    }
}

/// The position of one component in the stream of events.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Waits for the next event that is due, and reserves it for the caller.
    async fn next(&self) -> Result<Delivery, BusError>;

    /// Tells the bus that the component has applied the event.
    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BusError>;

    /// Delivers the event again after the delay. Other events do not wait for
    /// it.
    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), BusError>;

    /// Sets whether the bus delivers to this host before other hosts of the
    /// same component. The other hosts get the events that this host has no
    /// capacity for and those that only they subscribe to. A bus with a single
    /// host ignores it.
    fn set_preferred(&self, _preferred: bool) {}
}

/// Receives the payloads that other hosts forward to this host.
#[async_trait]
pub trait ForwardReceiver: Send {
    /// Waits for the next payload.
    async fn next(&mut self) -> Vec<u8>;
}

/// The receiver of a host that no other host can forward to.
struct NeverReceives;

#[async_trait]
impl ForwardReceiver for NeverReceives {
    async fn next(&mut self) -> Vec<u8> {
        std::future::pending().await
    }
}

/// An event that the bus delivers to a component's consumer.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The published event.
    pub event: Event,
    /// 1 on the first delivery.
    pub attempt: u32,
    /// Identifies this delivery inside the bus.
    pub token: i64,
}

/// The work that waits on a bus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The backlog of every consumer, by component.
    pub consumers: BTreeMap<String, ConsumerBacklog>,
    /// The number of dead letters.
    pub dead_letters: u64,
}

/// The number of events that wait for one component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumerBacklog {
    /// Events that were not delivered yet. The embedded bus also counts the
    /// events whose first delivery is in progress.
    pub pending: u64,
    /// Events that were delivered and not acknowledged, or that wait for
    /// another attempt.
    pub unacknowledged: u64,
    /// The unacknowledged events that were delivered more than once.
    pub redelivered: u64,
}

/// A call to the bus failed. The caller tries again.
#[derive(Debug, thiserror::Error)]
#[error("the event bus is unavailable: {0}")]
pub struct BusError(pub String);
