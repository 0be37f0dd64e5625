use super::*;
use crate::conformance;
use std::ops::RangeInclusive;

fn batch(after: Option<i64>, sequences: RangeInclusive<i64>) -> OutboxBatch {
    let event = |sequence| OutboxEvent { sequence, event: conformance::event("e") };
    OutboxBatch { after, events: sequences.map(event).collect() }
}

/// The signal of a host that holds the lease and has read the outbox.
fn signal_after_read() -> OutboxSignal {
    let signal = OutboxSignal::default();
    signal.set_buffering(true);
    assert!(must_read(&signal, 0));
    signal
}

fn must_read(signal: &OutboxSignal, sequence: i64) -> bool {
    matches!(signal.take_after(sequence, 10), PendingEvents::InOutbox)
}

fn sequences(pending: PendingEvents) -> Vec<i64> {
    match pending {
        PendingEvents::Buffered(events) => events.iter().map(|event| event.sequence).collect(),
        PendingEvents::InOutbox => panic!("the relay would read the outbox"),
    }
}

#[test]
fn successive_batches_need_no_read_of_the_outbox() {
    let signal = signal_after_read();
    assert!(sequences(signal.take_after(0, 10)).is_empty());
    signal.offer(batch(None, 1..=2));
    signal.offer(batch(Some(2), 5..=5));
    // The events before this batch were carried and deleted.
    signal.offer(batch(None, 9..=9));
    assert_eq!(sequences(signal.take_after(0, 3)), [1, 2, 5]);
    assert_eq!(sequences(signal.take_after(5, 3)), [9]);
    assert!(sequences(signal.take_after(9, 3)).is_empty());
}

#[test]
fn a_batch_after_events_of_another_host_requires_a_read_of_the_outbox() {
    let signal = signal_after_read();
    signal.offer(batch(None, 1..=1));
    signal.offer(batch(Some(2), 3..=3));
    signal.offer(batch(Some(3), 4..=4));
    assert_eq!(sequences(signal.take_after(0, 10)), [1]);
    assert!(must_read(&signal, 1));
    // The read has found all of them.
    assert!(sequences(signal.take_after(4, 10)).is_empty());
    signal.offer(batch(Some(4), 5..=5));
    assert_eq!(sequences(signal.take_after(4, 10)), [5]);
}

#[test]
fn batches_in_the_wrong_sequence_require_a_read_of_the_outbox() {
    let signal = signal_after_read();
    signal.offer(batch(Some(1), 2..=2));
    assert!(must_read(&signal, 0));
    signal.offer(batch(None, 1..=1));
    assert!(sequences(signal.take_after(2, 10)).is_empty());
}

#[test]
fn a_signal_that_does_not_buffer_keeps_no_events() {
    let signal = OutboxSignal::default();
    signal.offer(batch(None, 1..=1));
    signal.set_buffering(true);
    assert!(must_read(&signal, 0));
    assert!(sequences(signal.take_after(0, 10)).is_empty());
    signal.offer(batch(None, 2..=2));
    signal.set_buffering(false);
    signal.set_buffering(true);
    assert!(must_read(&signal, 0));
    assert!(sequences(signal.take_after(0, 10)).is_empty());
}

#[test]
fn draining_returns_all_batches_unless_the_outbox_may_have_more_events() {
    let signal = OutboxSignal::default();
    assert!(!signal.offer(batch(None, 1..=1)), "no relay takes it here");
    signal.set_buffering(true);
    assert!(signal.drain().is_none(), "earlier events are unknown");
    assert!(signal.offer(batch(None, 2..=2)));
    assert!(signal.offer(batch(Some(2), 3..=4)));
    let drained: Vec<_> = signal.drain().unwrap().into_iter().map(|batch| batch.after).collect();
    assert_eq!(drained, [None, Some(2)]);
    assert!(signal.drain().unwrap().is_empty());
    let most = i64::try_from(BUFFERED_EVENTS).unwrap();
    assert!(signal.offer(batch(None, 5..=most + 5)));
    assert!(signal.offer(batch(None, most + 6..=most + 6)), "the relay of this host reads it");
    assert!(signal.drain().is_none());
    assert!(signal.drain().unwrap().is_empty());
}

#[test]
fn a_full_buffer_requires_a_read_of_the_outbox() {
    let signal = signal_after_read();
    let most = i64::try_from(BUFFERED_EVENTS).unwrap();
    signal.offer(batch(None, 1..=most));
    signal.offer(batch(Some(most), most + 1..=most + 1));
    assert!(must_read(&signal, 0), "the read leaves no event out");
    signal.offer(batch(Some(most + 1), most + 2..=most + 2));
    assert_eq!(sequences(signal.take_after(most + 1, 10)), [most + 2]);
}
