//! Finds events that the broker has deleted although a component had not
//! handled them: somebody purged the stream, shortened it or deleted it, or the
//! events were older than the retention.
//!
//! The broker does not say what it deletes. So the host compares the numbers of
//! two moments. Between them, the broker can take a waiting event from the
//! number of waiting ones only by a delivery. What is missing beyond the number
//! of deliveries is lost. The result is never too high.

use async_nats::{
    datetime::DateTime,
    jetstream::{consumer, stream},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of the stream and its consumers at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Another stream of the same name has another time of creation.
    pub(super) created_ns: i64,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) consumers: BTreeMap<String, Progress>,
}

/// The state of one consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Another consumer of the same name has another time of creation.
    pub(super) created_ns: i64,
    pub(super) filters: Vec<String>,
    /// Events that were not delivered yet.
    pub(super) pending: u64,
    /// Events that were delivered and not acknowledged.
    pub(super) unacknowledged: u64,
    /// The number of deliveries, including repeated ones.
    pub(super) deliveries: u64,
    /// The sequence number of the last delivered event.
    pub(super) delivered: u64,
    /// All events up to this sequence number are acknowledged.
    pub(super) floor: u64,
}

/// The events that a component has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) component: String,
    /// The number of lost events that were never delivered.
    pub(super) undelivered: u64,
    /// The number of deleted events that were delivered before and not
    /// acknowledged. A host that still has one of them handles it.
    pub(super) unacknowledged: u64,
    /// The sequence numbers that the stream has lost since the component's last
    /// acknowledged event.
    pub(super) sequences: u64,
}

impl Sample {
    pub(super) fn new<'a>(stream: &stream::Info, consumers: impl Iterator<Item = &'a consumer::Info>) -> Self {
        let state = &stream.state;
        Self {
            created_ns: nanoseconds(stream.created),
            first: state.first_sequence,
            last: state.last_sequence,
            consumers: consumers.map(|info| (info.name.clone(), Progress::new(info, state.last_sequence))).collect(),
        }
    }

    /// The events that the components have lost since an earlier sample. `made_room_up_to`
    /// is the last sequence number that a host has deleted, which it does only
    /// with handled events.
    pub(super) fn losses_since(&self, before: &Self, made_room_up_to: u64) -> Vec<Loss> {
        let is_new = self.created_ns != before.created_ns || self.last < before.last;
        let of = |(component, known): (&String, &Progress)| {
            let now = self.consumers.get(component);
            let (undelivered, unacknowledged) = if is_new {
                (known.pending, known.unacknowledged)
            } else {
                self.lost(before, known, now?, made_room_up_to)?
            };
            let end = if is_new { before.last } else { self.first.saturating_sub(1) };
            let loss = Loss {
                component: component.clone(),
                undelivered,
                unacknowledged,
                sequences: end.saturating_sub(known.floor).max(undelivered + unacknowledged),
            };
            (undelivered + unacknowledged > 0).then_some(loss)
        };
        before.consumers.iter().filter_map(of).collect()
    }

    fn lost(&self, before: &Self, known: &Progress, now: &Progress, made_room_up_to: u64) -> Option<(u64, u64)> {
        if now.created_ns != known.created_ns || now.filters != known.filters {
            return None;
        }
        let still_pending = if self.first > before.last { 0 } else { now.pending };
        let deliveries = now.deliveries.saturating_sub(known.deliveries);
        let undelivered = known.pending.saturating_sub(still_pending).saturating_sub(deliveries);
        // A host makes room only behind acknowledged events.
        let is_purged = self.first > known.delivered && self.first > made_room_up_to + 1;
        let unacknowledged = if is_purged { known.unacknowledged } else { 0 };
        Some((undelivered, unacknowledged))
    }
}

impl Progress {
    /// `last` is the last sequence number of the stream, read before the
    /// consumer.
    pub(super) fn new(info: &consumer::Info, last: u64) -> Self {
        let mut progress = Self {
            created_ns: nanoseconds(info.created),
            filters: super::consumer_config::filters(&info.config),
            pending: info.num_pending,
            unacknowledged: info.num_ack_pending as u64,
            deliveries: info.delivered.consumer_sequence,
            delivered: info.delivered.stream_sequence,
            floor: info.ack_floor.stream_sequence,
        };
        progress.filters.sort_unstable();
        // The broker's own number stays behind the events of other subjects.
        if progress.pending == 0 && progress.unacknowledged == 0 {
            progress.floor = progress.floor.max(last);
        }
        progress
    }
}

/// A time as one number, to compare it.
pub(super) fn nanoseconds(time: DateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(pending: u64, unacknowledged: u64, deliveries: u64, floor: u64) -> Progress {
        let delivered = floor + unacknowledged;
        Progress { created_ns: 1, filters: Vec::new(), pending, unacknowledged, deliveries, delivered, floor }
    }

    fn sample(first: u64, last: u64, one: Progress) -> Sample {
        Sample { created_ns: 1, first, last, consumers: BTreeMap::from([("one".to_owned(), one)]) }
    }

    fn lost(before: &Sample, now: &Sample) -> Option<(u64, u64, u64)> {
        let losses = now.losses_since(before, 0);
        losses.first().map(|loss| (loss.undelivered, loss.unacknowledged, loss.sequences))
    }

    #[test]
    fn events_that_were_delivered_or_still_wait_are_not_lost() {
        let before = sample(1, 10, progress(10, 0, 0, 0));
        assert_eq!(lost(&before, &sample(1, 10, progress(10, 0, 0, 0))), None);
        assert_eq!(lost(&before, &sample(1, 30, progress(20, 0, 10, 10))), None);
        assert_eq!(lost(&before, &sample(1, 10, progress(0, 10, 12, 0))), None);
        // All events were handled, and a host made room.
        assert_eq!(lost(&before, &sample(11, 10, progress(0, 0, 10, 10))), None);
    }

    #[test]
    fn purged_events_are_counted_for_each_consumer() {
        let before = sample(1, 10, progress(10, 0, 0, 0));
        assert_eq!(lost(&before, &sample(11, 10, progress(0, 0, 0, 10))), Some((10, 0, 10)));
        // Later events do not hide the loss.
        assert_eq!(lost(&before, &sample(11, 14, progress(4, 0, 0, 10))), Some((10, 0, 10)));
        assert_eq!(lost(&before, &sample(6, 10, progress(5, 0, 0, 5))), Some((5, 0, 5)));
        // Only one subject was purged.
        assert_eq!(lost(&before, &sample(1, 10, progress(7, 0, 0, 0))), Some((3, 0, 3)));
        // Two of them were delivered before.
        assert_eq!(lost(&before, &sample(11, 10, progress(0, 0, 2, 10))), Some((8, 0, 10)));
    }

    #[test]
    fn purged_events_without_an_acknowledgement_are_counted() {
        let before = sample(1, 10, progress(0, 3, 10, 7));
        let now = sample(11, 10, progress(0, 0, 10, 10));
        assert_eq!(lost(&before, &now), Some((0, 3, 3)));
        assert_eq!(now.losses_since(&before, 10), [], "a host made room");
        assert_eq!(lost(&before, &sample(8, 12, progress(0, 2, 12, 10))), None);
    }

    #[test]
    fn a_stream_that_was_deleted_has_lost_all_that_waited() {
        let before = sample(1, 10, progress(4, 1, 6, 5));
        for now in [
            Sample { created_ns: 2, ..sample(1, 30, progress(20, 0, 0, 0)) },
            Sample { consumers: BTreeMap::new(), ..sample(0, 0, progress(0, 0, 0, 0)) },
        ] {
            assert_eq!(lost(&before, &now), Some((4, 1, 5)));
        }
    }

    #[test]
    fn a_consumer_that_was_made_again_or_has_other_filters_says_nothing() {
        let before = sample(1, 10, progress(10, 0, 0, 0));
        let again = Progress { created_ns: 2, ..progress(0, 0, 0, 0) };
        assert_eq!(lost(&before, &sample(1, 10, again)), None);
        let filtered = Progress { filters: vec!["a".to_owned()], ..progress(0, 0, 0, 0) };
        assert_eq!(lost(&before, &sample(1, 10, filtered)), None);
    }
}
