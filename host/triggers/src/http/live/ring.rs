//! The last events of one component in memory, and the listeners that wait for
//! the next ones.
//!
//! A listener has no queue of its own: it remembers the number of its last event,
//! and takes the next one from here. So an idle listener costs little, and a slow
//! one holds nothing back. It has lost its place once an event of its channels is
//! deleted that it has not taken.
//!
//! The texts of the events count as answers of the plugin that clients have not
//! taken. When that budget is used up, the oldest events give their bytes back.

use super::sse;
use bytes::Bytes;
use futures::task::AtomicWaker;
use host_base::{ByteBudget, byte_budget::HeldBytes};
use host_store::{LIVE_BYTES, LIVE_EVENTS, LoggedEvent};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Where a listener begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// After the event with this number, which the client had last.
    After(u64),
    /// With the events from this time on.
    Since(u64),
}

/// The place of a listener that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the last event that counts as taken.
    pub(super) after: u64,
    /// Whether the client may have missed events that are gone.
    pub(super) is_reset: bool,
}

/// The next item for a listener.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// An event with its number.
    Event(u64, Bytes),
    /// Nothing yet. All events up to this number are for others, or were taken.
    Nothing(u64),
    /// An event is gone that the listener has not taken.
    Lost,
    /// There are no more events.
    End,
}

/// The events and the listeners of one component.
pub(super) struct Ring {
    budget: Arc<ByteBudget>,
    events: VecDeque<Arc<Event>>,
    bytes: u64,
    /// The number of the last event.
    last: u64,
    /// The number of the last event that the budget had no bytes for.
    cut: u64,
    /// The channels that have listeners.
    channels: HashMap<Arc<str>, Channel>,
    is_over: bool,
}

struct Event {
    sequence: u64,
    at_ms: u64,
    channel: String,
    /// The size that counts for the limit.
    bytes: u64,
    text: Bytes,
    _held: HeldBytes,
}

/// A channel with listeners.
#[derive(Default)]
struct Channel {
    events: VecDeque<Arc<Event>>,
    /// The number of the last event that was deleted.
    deleted: u64,
    listeners: HashMap<u64, Arc<AtomicWaker>>,
}

impl Ring {
    /// A ring without events, whose texts take their bytes from this budget.
    pub(super) fn new(budget: Arc<ByteBudget>) -> Self {
        Self { budget, events: VecDeque::new(), bytes: 0, last: 0, cut: 0, channels: HashMap::new(), is_over: false }
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether the place of a client does not depend on events to come.
    pub(super) fn has(&self, start: Start) -> bool {
        !matches!(start, Start::After(after) if after > self.last)
    }

    /// Adds the events that follow the last one. Returns the listeners to wake.
    pub(super) fn append(&mut self, logged: Vec<LoggedEvent>) -> Vec<Arc<AtomicWaker>> {
        let (mut waiting, last) = (HashMap::new(), self.last);
        for logged in logged.into_iter().skip_while(|logged| logged.sequence <= last) {
            if logged.sequence > self.last + 1 {
                self.delete_all(logged.sequence - 1);
            }
            self.last = logged.sequence;
            let text = sse::event(&logged);
            let held = self.hold(text.len() + size_of::<Event>());
            if let Some(channel) = self.channels.get_mut(logged.event.channel.as_str()) {
                waiting.extend(channel.listeners.iter().map(|(id, waker)| (*id, waker.clone())));
                if held.is_none() {
                    channel.deleted = logged.sequence;
                }
            }
            match held {
                Some(held) => self.push(logged, text, held),
                None => self.cut = logged.sequence,
            }
        }
        waiting.into_values().collect()
    }

    fn push(&mut self, logged: LoggedEvent, text: Bytes, held: HeldBytes) {
        let LoggedEvent { sequence, at_ms, event } = logged;
        let bytes = event.bytes();
        let event = Arc::new(Event { sequence, at_ms, channel: event.channel, bytes, text, _held: held });
        self.bytes += bytes;
        self.events.push_back(event.clone());
        if let Some(channel) = self.channels.get_mut(event.channel.as_str()) {
            channel.events.push_back(event);
        }
        // The ring keeps as much as the log of the component does.
        while self.events.len() as u64 > LIVE_EVENTS || (self.bytes > LIVE_BYTES && self.events.len() > 1) {
            self.delete_oldest();
        }
    }

    /// Takes bytes from the budget, and deletes events where there are not enough. None
    /// if the budget is too small without any event.
    fn hold(&mut self, bytes: usize) -> Option<HeldBytes> {
        loop {
            if let Ok(held) = self.budget.hold(bytes) {
                return Some(held);
            }
            self.cut = self.delete_oldest()?;
        }
    }

    /// Deletes the oldest event, and returns its number.
    fn delete_oldest(&mut self) -> Option<u64> {
        let oldest = self.events.pop_front()?;
        self.bytes -= oldest.bytes;
        if let Some(channel) = self.channels.get_mut(oldest.channel.as_str()) {
            channel.events.pop_front();
            channel.deleted = oldest.sequence;
        }
        Some(oldest.sequence)
    }

    /// The log has deleted events that this host has not read.
    fn delete_all(&mut self, up_to: u64) {
        self.events.clear();
        self.bytes = 0;
        for channel in self.channels.values_mut() {
            channel.events.clear();
            channel.deleted = up_to;
        }
    }

    /// The place from which a client listens.
    pub(super) fn place(&self, start: Start) -> Place {
        let oldest = self.events.front().map_or(self.last + 1, |event| event.sequence);
        match start {
            Start::After(after) if after > self.last || after + 1 < oldest => {
                Place { after: self.last, is_reset: true }
            }
            Start::After(after) => Place { after, is_reset: false },
            Start::Since(since_ms) => {
                let newer = self.events.iter().rev().take_while(|event| event.at_ms >= since_ms).count() as u64;
                let after = self.last - newer;
                // Others that are new enough may have been deleted.
                match after > 0 && after + 1 == oldest && (self.is_full() || self.cut == after) {
                    true => Place { after: self.last, is_reset: true },
                    false => Place { after, is_reset: false },
                }
            }
        }
    }

    /// Whether the next events take the place of others.
    fn is_full(&self) -> bool {
        self.events.len() as u64 >= LIVE_EVENTS || self.bytes > LIVE_BYTES / 2
    }

    /// Adds a listener to these channels.
    pub(super) fn join(&mut self, id: u64, channels: &[Arc<str>], waker: &Arc<AtomicWaker>) {
        for name in channels {
            let events = &self.events;
            let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel {
                events: events.iter().filter(|event| *event.channel == **name).cloned().collect(),
                ..Channel::default()
            });
            channel.listeners.insert(id, waker.clone());
        }
    }

    /// Removes a listener.
    pub(super) fn leave(&mut self, id: u64, channels: &[Arc<str>]) {
        for name in channels {
            let Some(channel) = self.channels.get_mut(name) else { continue };
            channel.listeners.remove(&id);
            if channel.listeners.is_empty() {
                self.channels.remove(name);
            }
        }
    }

    /// The next event of these channels after the one with this number.
    pub(super) fn next(&self, channels: &[Arc<str>], after: u64) -> Next {
        let joined = || channels.iter().filter_map(move |name| self.channels.get(name));
        if joined().any(|channel| channel.deleted > after) {
            return Next::Lost;
        }
        let first = |channel: &Channel| {
            let index = channel.events.partition_point(|event| event.sequence <= after);
            channel.events.get(index).cloned()
        };
        match joined().filter_map(first).min_by_key(|event| event.sequence) {
            Some(event) => Next::Event(event.sequence, event.text.clone()),
            None if self.is_over => Next::End,
            None => Next::Nothing(self.last),
        }
    }

    /// No more events follow. Returns the listeners to wake.
    pub(super) fn end(&mut self) -> Vec<Arc<AtomicWaker>> {
        self.is_over = true;
        self.channels.values().flat_map(|channel| channel.listeners.values().cloned()).collect()
    }
}

#[cfg(test)]
mod tests;
