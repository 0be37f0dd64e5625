//! Events: the bus that carries them, and what it does with one that nobody
//! can handle.
//!
//! [`Bus`] and [`Consumer`] are what a broker implements; `embedded` is the
//! in-process durable one, `jetstream` the one that several hosts share.

#[cfg(test)]
pub(crate) mod conformance;
mod embedded;
mod jetstream;

pub use embedded::EmbeddedBus;
pub use host_api::dead_letters::{DeadLetter, DeadLetterKind};
pub use jetstream::{JetStreamBus, installation};

use async_trait::async_trait;
use host_base::Event;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What a component subscribes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// In the revisions that this host runs.
    pub own: BTreeSet<String>,
    /// In those that other hosts run for the same component, such as hosts of
    /// another version during an upgrade.
    pub elsewhere: BTreeSet<String>,
}

impl Subjects {
    /// What the bus has to deliver to one of the hosts.
    pub fn all(&self) -> BTreeSet<String> {
        self.own.union(&self.elsewhere).cloned().collect()
    }
}

/// Carries events from any component to every subscriber, at least once.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Takes events over, in order. When it returns they are durable; one
    /// whose id is known already is not taken twice.
    async fn publish(&self, events: &[Event]) -> Result<(), BusError>;

    /// The durable consumer of a component. A subject that is new to it starts
    /// with the oldest event that the bus still holds.
    async fn consumer(&self, component: &str, subjects: Subjects) -> Result<Arc<dyn Consumer>, BusError>;

    /// Replaces the subjects that are taken elsewhere for a component. A bus
    /// that one host has for itself need not know.
    async fn leave_to_others(&self, _component: &str, _subjects: BTreeSet<String>) {}

    /// Sets something aside that cannot be handled; a dead letter with the
    /// same id is replaced.
    async fn set_aside(&self, letter: DeadLetter) -> Result<(), BusError>;

    /// What was set aside, newest first.
    async fn dead_letters(&self, limit_rows: u32) -> Result<Vec<DeadLetter>, BusError>;

    /// One of them. None if there is none with this id.
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError>;

    /// Forgets a dead letter. False if there is none with this id.
    async fn forget_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// Makes an event deliverable again to one component alone, as on its
    /// first attempt.
    async fn redeliver(&self, component: &str, event: &Event) -> Result<(), BusError>;

    /// How much waits.
    async fn backlog(&self) -> Result<Backlog, BusError>;

    /// The largest payload of an event that it takes, in bytes.
    fn largest_event(&self) -> usize {
        usize::MAX
    }

    /// Why it cannot be reached at the moment. None where it can.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Whether it could be reached at any time since the start.
    fn was_reached(&self) -> bool {
        true
    }

    /// Waits until it can be reached.
    async fn reachable(&self) {}

    /// Hands something over to the host that [takes over](Self::takeover) for a
    /// component. Fails unless that host says that it has it.
    async fn hand_over(&self, _component: &str, _what: Vec<u8>) -> Result<(), BusError> {
        Err(BusError("no other host is on this bus".to_owned()))
    }

    /// From now on, for as long as the value lives, this is the host to which
    /// others hand over what concerns a component.
    async fn takeover(&self, _component: &str) -> Box<dyn Takeover> {
        Box::new(Nothing)
    }

    /// Gives back what was delivered and not concluded, and ends. Nobody waits
    /// for deliveries any more.
    async fn close(&self) {}
}

/// One component's place in the stream of events.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Waits for the next event that is due, and leases it to the caller.
    async fn next(&self) -> Result<Delivery, BusError>;

    /// The event was applied.
    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BusError>;

    /// Deliver it again after the delay; others go on meanwhile.
    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), BusError>;

    /// Says whether this host comes before the others of the same component:
    /// they get what it has no room for, and what only they want. A bus that
    /// one host has for itself need not know.
    fn prefer(&self, _preferred: bool) {}
}

/// What other hosts hand over to this one.
#[async_trait]
pub trait Takeover: Send {
    /// Waits for the next.
    async fn next(&mut self) -> Vec<u8>;
}

/// There are no other hosts, or they are not heard.
struct Nothing;

#[async_trait]
impl Takeover for Nothing {
    async fn next(&mut self) -> Vec<u8> {
        std::future::pending().await
    }
}

/// An event handed to a component's consumer.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What was published.
    pub event: Event,
    /// 1 on the first delivery.
    pub attempt: u32,
    /// The bus's own handle of this delivery.
    pub token: i64,
}

/// How much waits on a bus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Of every consumer, by component.
    pub consumers: BTreeMap<String, Waiting>,
    /// What was set aside.
    pub dead_letters: u64,
}

/// How much waits for one component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Events that were not delivered yet. The bus inside the process counts
    /// those that are being handled for the first time here.
    pub pending: u64,
    /// Events that were delivered and not concluded, or wait for another
    /// attempt.
    pub unacknowledged: u64,
    /// Those of them that were delivered more than once.
    pub redelivered: u64,
}

/// The bus could not do it; the caller tries again.
#[derive(Debug, thiserror::Error)]
#[error("the event bus is unavailable: {0}")]
pub struct BusError(pub String);
