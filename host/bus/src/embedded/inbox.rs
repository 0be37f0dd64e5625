//! What one consumer has in memory: the deliveries that wait for it, and which
//! ones must not be taken from the log again.

use super::super::Delivery;
use host_base::event::Event;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashSet, VecDeque};
use tokio::sync::Notify;

/// Deliveries that are handed over without a look at the log; when so many
/// wait, others stay in the log.
const ROOM: usize = 256;

pub(super) struct Inbox {
    state: Mutex<State>,
    /// Something has come, or the log has to be read.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Delivery>,
    /// Tokens that are queued, in work, or acknowledged but not yet deleted.
    held: HashSet<i64>,
    /// Given back while the log is read, which may be as it was before.
    released: Vec<i64>,
    reading: bool,
    /// When the log has to be read, by the log's clock.
    look_ms: i64,
}

/// What a consumer does next.
pub(super) enum Step {
    Take(Delivery),
    ReadLog,
    /// Until this time, or until something has changed.
    Wait(i64),
}

impl Inbox {
    /// The log has not been read yet.
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn step(&self, now_ms: i64) -> Step {
        let mut state = self.state();
        match state.queue.pop_front() {
            Some(delivery) => Step::Take(delivery),
            None if state.look_ms <= now_ms => Step::ReadLog,
            None => Step::Wait(state.look_ms),
        }
    }

    /// Takes over what was published just now. It stays in the log while older
    /// ones are still to be read from there.
    pub(super) fn hand_over(&self, event: &Event, token: i64, now_ms: i64) {
        let mut state = self.state();
        if state.reading || state.look_ms <= now_ms || state.queue.len() >= ROOM {
            state.look_ms = 0;
        } else if state.held.insert(token) {
            state.queue.push_back(Delivery { event: event.clone(), attempt: 1, token });
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Has the log read at this time or before, and 0 is now.
    pub(super) fn look_at(&self, at_ms: i64) {
        let mut state = self.state();
        state.look_ms = state.look_ms.min(at_ms);
        drop(state);
        self.changed.notify_one();
    }

    /// The log is about to be read. Says how many that are still in it are
    /// held.
    pub(super) fn begin_reading(&self) -> usize {
        let mut state = self.state();
        state.reading = true;
        state.look_ms = i64::MAX;
        state.held.len()
    }

    /// Queues what was found and not held, and has the log read again at this
    /// time.
    pub(super) fn end_reading(&self, found: Vec<Delivery>, look_ms: i64) {
        let state = &mut *self.state();
        let held = &mut state.held;
        state.queue.extend(found.into_iter().filter(|delivery| held.insert(delivery.token)));
        for token in state.released.drain(..) {
            state.held.remove(&token);
        }
        state.reading = false;
        state.look_ms = state.look_ms.min(look_ms);
    }

    /// These are not held any more: they are gone from the log or due again.
    pub(super) fn release(&self, tokens: impl IntoIterator<Item = i64>) {
        let state = &mut *self.state();
        if state.reading {
            state.released.extend(tokens);
        } else {
            for token in tokens {
                state.held.remove(&token);
            }
        }
    }

    /// Lets go of what is queued of other subjects, and holds it no more.
    pub(super) fn keep(&self, subjects: &BTreeSet<String>) {
        let mut others = Vec::new();
        self.state().queue.retain(|delivery| {
            let keeps = subjects.contains(&delivery.event.subject);
            others.extend((!keeps).then_some(delivery.token));
            keeps
        });
        self.release(others);
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

    fn taken(inbox: &Inbox) -> Vec<i64> {
        let take = || match inbox.step(1) {
            Step::Take(delivery) => Some(delivery.token),
            Step::ReadLog | Step::Wait(_) => None,
        };
        std::iter::from_fn(take).collect()
    }

    fn hand_over(inbox: &Inbox, token: i64) {
        inbox.hand_over(&event(&token.to_string(), "a"), token, 1);
    }

    #[test]
    fn what_is_published_waits_behind_what_is_still_in_the_log() {
        let inbox = Inbox::new();
        hand_over(&inbox, 3);
        assert!(matches!(inbox.step(1), Step::ReadLog));
        inbox.begin_reading();
        hand_over(&inbox, 4);
        inbox.end_reading(vec![delivery(1), delivery(2), delivery(3)], i64::MAX);
        assert_eq!(taken(&inbox), [1, 2, 3]);
        assert!(matches!(inbox.step(1), Step::ReadLog), "the fourth came while the log was read");
        inbox.begin_reading();
        inbox.end_reading(vec![delivery(3), delivery(4)], i64::MAX);
        hand_over(&inbox, 5);
        assert_eq!(taken(&inbox), [4, 5]);
        assert!(matches!(inbox.step(1), Step::Wait(i64::MAX)));
    }

    #[test]
    fn what_was_concluded_while_the_log_was_read_is_not_taken_again() {
        let inbox = Inbox::new();
        inbox.begin_reading();
        inbox.end_reading(vec![delivery(1)], i64::MAX);
        assert_eq!(taken(&inbox), [1]);
        assert_eq!(inbox.begin_reading(), 1);
        inbox.release([1]);
        inbox.end_reading(vec![delivery(1)], i64::MAX);
        assert!(taken(&inbox).is_empty());
        assert_eq!(inbox.begin_reading(), 0);
    }

    #[test]
    fn what_is_of_a_subject_that_is_given_up_is_let_go_of() {
        let inbox = Inbox::new();
        inbox.begin_reading();
        let other = Delivery { event: event("2", "b"), attempt: 1, token: 2 };
        inbox.end_reading(vec![delivery(1), other, delivery(3)], i64::MAX);
        inbox.keep(&BTreeSet::from(["a".to_owned()]));
        assert_eq!(taken(&inbox), [1, 3]);
        assert_eq!(inbox.begin_reading(), 2, "the other is not held any more");
    }

    #[test]
    fn what_has_no_room_is_left_in_the_log() {
        let inbox = Inbox::new();
        inbox.begin_reading();
        inbox.end_reading(Vec::new(), i64::MAX);
        for token in 0..300 {
            hand_over(&inbox, token);
        }
        assert_eq!(taken(&inbox).len(), ROOM);
        assert!(matches!(inbox.step(1), Step::ReadLog));
    }
}
