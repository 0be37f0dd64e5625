//! The deliveries that one consumer has in memory, and the tokens of the
//! deliveries that it must not take from the log again.

use super::super::Delivery;
use host_base::event::Event;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashSet, VecDeque};
use tokio::sync::Notify;

/// The most deliveries that the queue accepts from publishers. Further ones
/// stay in the log.
const CAPACITY: usize = 256;

pub(super) struct DeliveryQueue {
    state: Mutex<State>,
    /// A delivery was queued, or a read of the log is required.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Delivery>,
    /// The tokens of deliveries that are queued, in progress, or acknowledged
    /// and not deleted yet.
    outstanding: HashSet<i64>,
    /// The tokens that were released during a read of the log, because the read
    /// may still find them.
    released: Vec<i64>,
    reading: bool,
    /// When the log has to be read next, by the log's clock.
    next_read_ms: i64,
}

/// The next action of a consumer.
pub(super) enum Action {
    Deliver(Delivery),
    ReadLog,
    /// Wait until this time, or until the queue has changed.
    WaitUntil(i64),
}

impl DeliveryQueue {
    /// An empty queue, which requires a read of the log.
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn next_action(&self, now_ms: i64) -> Action {
        let mut state = self.state();
        match state.queue.pop_front() {
            Some(delivery) => Action::Deliver(delivery),
            None if state.next_read_ms <= now_ms => Action::ReadLog,
            None => Action::WaitUntil(state.next_read_ms),
        }
    }

    /// Queues an event that was published just now. The event stays in the log
    /// while older events still have to be read from there.
    pub(super) fn offer(&self, event: &Event, token: i64, now_ms: i64) {
        let mut state = self.state();
        if state.reading || state.next_read_ms <= now_ms || state.queue.len() >= CAPACITY {
            state.next_read_ms = 0;
        } else if state.outstanding.insert(token) {
            state.queue.push_back(Delivery { event: event.clone(), attempt: 1, token });
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Requires a read of the log at this time or earlier. 0 means now.
    pub(super) fn read_at(&self, at_ms: i64) {
        let mut state = self.state();
        state.next_read_ms = state.next_read_ms.min(at_ms);
        drop(state);
        self.changed.notify_one();
    }

    /// The consumer calls this before it reads the log. Returns the number of
    /// outstanding deliveries, which the log still has.
    pub(super) fn begin_read(&self) -> usize {
        let mut state = self.state();
        state.reading = true;
        state.next_read_ms = i64::MAX;
        state.outstanding.len()
    }

    /// The consumer calls this after it has read the log. Queues the deliveries
    /// that are not outstanding, and requires the next read at this time.
    pub(super) fn end_read(&self, found: Vec<Delivery>, next_read_ms: i64) {
        let state = &mut *self.state();
        let outstanding = &mut state.outstanding;
        state.queue.extend(found.into_iter().filter(|delivery| outstanding.insert(delivery.token)));
        for token in state.released.drain(..) {
            state.outstanding.remove(&token);
        }
        state.reading = false;
        state.next_read_ms = state.next_read_ms.min(next_read_ms);
    }

    /// Marks deliveries as no longer outstanding. They were deleted from the log
    /// or are due again.
    pub(super) fn release(&self, tokens: impl IntoIterator<Item = i64>) {
        let state = &mut *self.state();
        if state.reading {
            state.released.extend(tokens);
        } else {
            for token in tokens {
                state.outstanding.remove(&token);
            }
        }
    }

    /// Removes and releases the queued deliveries of other subjects.
    pub(super) fn retain_subjects(&self, subjects: &BTreeSet<String>) {
        let mut removed = Vec::new();
        self.state().queue.retain(|delivery| {
            let retained = subjects.contains(&delivery.event.subject);
            removed.extend((!retained).then_some(delivery.token));
            retained
        });
        self.release(removed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::conformance::event, *};

    fn delivery(token: i64) -> Delivery {
        Delivery { event: event(&token.to_string(), "a"), attempt: 1, token }
    }

    fn deliver_all(queue: &DeliveryQueue) -> Vec<i64> {
        let take = || match queue.next_action(1) {
            Action::Deliver(delivery) => Some(delivery.token),
            Action::ReadLog | Action::WaitUntil(_) => None,
        };
        std::iter::from_fn(take).collect()
    }

    fn offer(queue: &DeliveryQueue, token: i64) {
        queue.offer(&event(&token.to_string(), "a"), token, 1);
    }

    #[test]
    fn a_published_event_waits_behind_events_that_are_still_in_the_log() {
        let queue = DeliveryQueue::new();
        offer(&queue, 3);
        assert!(matches!(queue.next_action(1), Action::ReadLog));
        queue.begin_read();
        offer(&queue, 4);
        queue.end_read(vec![delivery(1), delivery(2), delivery(3)], i64::MAX);
        assert_eq!(deliver_all(&queue), [1, 2, 3]);
        assert!(matches!(queue.next_action(1), Action::ReadLog), "the fourth event was published during the read");
        queue.begin_read();
        queue.end_read(vec![delivery(3), delivery(4)], i64::MAX);
        offer(&queue, 5);
        assert_eq!(deliver_all(&queue), [4, 5]);
        assert!(matches!(queue.next_action(1), Action::WaitUntil(i64::MAX)));
    }

    #[test]
    fn a_delivery_that_is_acknowledged_during_a_read_is_not_queued_again() {
        let queue = DeliveryQueue::new();
        queue.begin_read();
        queue.end_read(vec![delivery(1)], i64::MAX);
        assert_eq!(deliver_all(&queue), [1]);
        assert_eq!(queue.begin_read(), 1);
        queue.release([1]);
        queue.end_read(vec![delivery(1)], i64::MAX);
        assert!(deliver_all(&queue).is_empty());
        assert_eq!(queue.begin_read(), 0);
    }

    #[test]
    fn deliveries_of_a_subject_without_a_subscription_are_removed() {
        let queue = DeliveryQueue::new();
        queue.begin_read();
        let other = Delivery { event: event("2", "b"), attempt: 1, token: 2 };
        queue.end_read(vec![delivery(1), other, delivery(3)], i64::MAX);
        queue.retain_subjects(&BTreeSet::from(["a".to_owned()]));
        assert_eq!(deliver_all(&queue), [1, 3]);
        assert_eq!(queue.begin_read(), 2, "the removed delivery is not outstanding");
    }

    #[test]
    fn events_above_the_capacity_stay_in_the_log() {
        let queue = DeliveryQueue::new();
        queue.begin_read();
        queue.end_read(Vec::new(), i64::MAX);
        for token in 0..300 {
            offer(&queue, token);
        }
        assert_eq!(deliver_all(&queue).len(), CAPACITY);
        assert!(matches!(queue.next_action(1), Action::ReadLog));
    }
}
