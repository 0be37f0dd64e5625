use super::{super::conformance, *};
use std::time::Duration;
use tokio::time::timeout;

fn published(after: Option<i64>, sequences: std::ops::RangeInclusive<i64>) -> Published {
    let event = |sequence| OutboxEvent { sequence, event: conformance::event("e") };
    Published { after, events: sequences.map(event).collect() }
}

/// A signal of the host that carries, which has looked.
fn carried() -> OutboxSignal {
    let signal = OutboxSignal::default();
    signal.keep(true);
    assert!(matches!(signal.take(0, 10), Waiting::Look));
    signal
}

fn sequences(waiting: Waiting) -> Vec<i64> {
    match waiting {
        Waiting::Events(events) => events.iter().map(|event| event.sequence).collect(),
        Waiting::Look => panic!("it would look"),
    }
}

async fn is_woken(signal: impl Future<Output = ()>) -> bool {
    timeout(Duration::from_millis(50), signal).await.is_ok()
}

#[test]
fn what_is_handed_over_one_after_another_is_not_looked_for() {
    let signal = carried();
    assert!(sequences(signal.take(0, 10)).is_empty());
    signal.hand_over(published(None, 1..=2));
    signal.hand_over(published(Some(2), 5..=5));
    // Those before it were carried and forgotten.
    signal.hand_over(published(None, 9..=9));
    assert_eq!(sequences(signal.take(0, 3)), [1, 2, 5]);
    assert_eq!(sequences(signal.take(5, 3)), [9]);
    assert!(sequences(signal.take(9, 3)).is_empty());
}

#[test]
fn what_comes_behind_events_of_another_host_is_looked_for() {
    let signal = carried();
    signal.hand_over(published(None, 1..=1));
    signal.hand_over(published(Some(2), 3..=3));
    signal.hand_over(published(Some(3), 4..=4));
    assert_eq!(sequences(signal.take(0, 10)), [1]);
    assert!(matches!(signal.take(1, 10), Waiting::Look));
    // The look has found all of them.
    assert!(sequences(signal.take(4, 10)).is_empty());
    signal.hand_over(published(Some(4), 5..=5));
    assert_eq!(sequences(signal.take(4, 10)), [5]);
}

#[test]
fn commits_that_are_handed_over_in_another_order_are_looked_for() {
    let signal = carried();
    signal.hand_over(published(Some(1), 2..=2));
    assert!(matches!(signal.take(0, 10), Waiting::Look));
    signal.hand_over(published(None, 1..=1));
    assert!(sequences(signal.take(2, 10)).is_empty());
}

#[test]
fn a_host_that_does_not_carry_keeps_nothing() {
    let signal = OutboxSignal::default();
    signal.hand_over(published(None, 1..=1));
    signal.keep(true);
    assert!(matches!(signal.take(0, 10), Waiting::Look));
    assert!(sequences(signal.take(0, 10)).is_empty());
    signal.hand_over(published(None, 2..=2));
    signal.keep(false);
    signal.keep(true);
    assert!(matches!(signal.take(0, 10), Waiting::Look));
    assert!(sequences(signal.take(0, 10)).is_empty());
}

#[test]
fn all_that_was_handed_over_is_taken_at_once_unless_there_may_be_more() {
    let signal = OutboxSignal::default();
    assert!(!signal.hand_over(published(None, 1..=1)), "nobody takes it here");
    signal.keep(true);
    assert!(signal.take_all().is_none(), "nobody knows what was before");
    assert!(signal.hand_over(published(None, 2..=2)));
    assert!(signal.hand_over(published(Some(2), 3..=4)));
    let taken: Vec<_> = signal.take_all().unwrap().into_iter().map(|published| published.after).collect();
    assert_eq!(taken, [None, Some(2)]);
    assert!(signal.take_all().unwrap().is_empty());
    let most = i64::try_from(MOST_HANDED).unwrap();
    assert!(signal.hand_over(published(None, 5..=most + 5)));
    assert!(signal.hand_over(published(None, most + 6..=most + 6)), "somebody here looks for it");
    assert!(signal.take_all().is_none());
    assert!(signal.take_all().unwrap().is_empty());
}

#[test]
fn more_than_memory_is_for_is_looked_for() {
    let signal = carried();
    let most = i64::try_from(MOST_HANDED).unwrap();
    signal.hand_over(published(None, 1..=most));
    signal.hand_over(published(Some(most), most + 1..=most + 1));
    assert!(matches!(signal.take(0, 10), Waiting::Look), "in whatever order, nothing is left out");
    signal.hand_over(published(Some(most + 1), most + 2..=most + 2));
    assert_eq!(sequences(signal.take(most + 1, 10)), [most + 2]);
}

#[tokio::test]
async fn timers_are_looked_at_when_the_next_is_due() {
    let signal = TimersSignal::default();
    signal.look();
    assert!(is_woken(signal.earlier()).await);
    assert_eq!(signal.look_ms(), 0);
    signal.reading();
    signal.read_until(100);
    assert!(!is_woken(signal.earlier()).await, "it is the reader itself that knows");
    signal.look_at(101);
    assert!(!is_woken(signal.earlier()).await, "it is looked at in time");
    signal.look_at(99);
    assert!(is_woken(signal.earlier()).await);
    assert_eq!(signal.look_ms(), 99);
    // Set while they are read, and perhaps not seen.
    signal.reading();
    signal.look_at(50);
    signal.read_until(200);
    assert_eq!(signal.look_ms(), 50);
}
