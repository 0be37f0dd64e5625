//! Tests of the outbox, the inbox and the timers.

use super::{Store, event, key, timer};
use crate::{DueTimer, IdempotencyKey, TimerCounts};
use futures::poll;
use std::time::{Duration, Instant};
use tokio::time::timeout;

pub(crate) async fn a_commit_whose_caller_was_dropped_still_wakes_the_workers(store: Store) {
    let mut transaction = store.begin().await.unwrap();
    transaction.publish(&event("one")).await.unwrap();
    transaction.schedule(&timer("t", 1), None).await.unwrap();
    let (outbox, timers) = (store.outbox_signal(), store.timers_signal());
    // Until no earlier signal is left.
    while timeout(Duration::from_millis(100), outbox.changed()).await.is_ok() {}
    while timeout(Duration::from_millis(100), timers.earlier()).await.is_ok() {}
    let mut commit = transaction.commit();
    assert!(poll!(&mut commit).is_pending());
    drop(commit);
    let begun = Instant::now();
    timeout(Duration::from_secs(4), outbox.changed()).await.unwrap();
    timeout(Duration::from_secs(4), timers.earlier()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "polling woke them and not the commit");
    assert_eq!(store.read_outbox(0, 5).await.unwrap().len(), 1);
}

pub(crate) async fn an_event_is_claimed_once(store: Store) {
    for id in ["e", "it's; \\ -- \u{1F3AB}", ""] {
        store.begin_once(&key(id)).await.unwrap().unwrap().commit().await.unwrap();
        assert!(store.begin_once(&key(id)).await.unwrap().is_none());
    }
    assert_eq!(store.prune_inbox(1).await.unwrap(), 0);
    assert_eq!(store.prune_inbox(u64::MAX).await.unwrap(), 3);
    assert!(store.begin_once(&key("e")).await.unwrap().is_some());
}

pub(crate) async fn the_outbox_keeps_the_order_of_commits(store: Store) {
    for batch in 0..3 {
        let mut transaction = store.begin().await.unwrap();
        for number in 0..3 {
            transaction.publish(&event(&format!("{batch}-{number}"))).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    timeout(Duration::from_secs(5), store.outbox_signal().changed()).await.unwrap();
    let outbox = store.read_outbox(0, 5).await.unwrap();
    let ids: Vec<_> = outbox.iter().map(|event| event.event.id.as_str()).collect();
    assert_eq!(ids, ["0-0", "0-1", "0-2", "1-0", "1-1"]);
    assert_eq!(outbox[0].event, event("0-0"));
    assert_eq!(store.read_outbox(outbox[3].sequence, 1).await.unwrap()[0].event.id, "1-1");
    store.clear_outbox(outbox[3].sequence).await.unwrap();
    let rest = store.read_outbox(0, 100).await.unwrap();
    assert_eq!(rest.first().unwrap().event.id, "1-1");
    assert_eq!(rest.len(), 5);
}

pub(crate) async fn timers_are_replaced_cancelled_postponed_and_claimed_once(store: Store) {
    let mut transaction = store.begin().await.unwrap();
    transaction.schedule(&timer("a", 10), Some("trace")).await.unwrap();
    transaction.schedule(&timer("b", 5), None).await.unwrap();
    transaction.schedule(&timer("c", 20), None).await.unwrap();
    assert!(transaction.cancel_timer("c").await.unwrap());
    assert!(!transaction.cancel_timer("c").await.unwrap());
    transaction.commit().await.unwrap();
    timeout(Duration::from_secs(5), store.timers_signal().earlier()).await.unwrap();
    let keys = |timers: &[DueTimer]| timers.iter().map(|due| due.timer.key.clone()).collect::<Vec<_>>();
    let due: Vec<DueTimer> = store.upcoming_timers(10, 10).await.unwrap();
    assert_eq!(keys(&due), ["b", "a"]);
    assert_eq!(keys(&store.upcoming_timers(10, 1).await.unwrap()), ["b"]);
    assert_eq!(keys(&store.upcoming_timers(4, 10).await.unwrap()), ["b"], "the timer that is due next");
    assert_eq!((due[1].attempt, due[1].traceparent.as_deref()), (1, Some("trace")));

    // A timer that was replaced cannot be claimed.
    let mut transaction = store.begin().await.unwrap();
    transaction.schedule(&timer("b", 6), None).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.begin_once(&IdempotencyKey::Timer(due[0].clone())).await.unwrap().is_none());
    store.begin_once(&IdempotencyKey::Timer(due[1].clone())).await.unwrap().unwrap().commit().await.unwrap();
    assert!(store.begin_once(&IdempotencyKey::Timer(due[1].clone())).await.unwrap().is_none());

    let due = store.upcoming_timers(10, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    store.postpone_timer(&due[0], 50).await.unwrap();
    assert_eq!(store.upcoming_timers(49, 10).await.unwrap()[0].timer.due_ms, 50);
    // An attempt that was postponed cannot be claimed.
    assert!(store.begin_once(&IdempotencyKey::Timer(due[0].clone())).await.unwrap().is_none());
    let due = store.upcoming_timers(50, 10).await.unwrap();
    assert_eq!((due[0].attempt, due[0].timer.payload.as_slice()), (2, b"b".as_slice()));
}

pub(crate) async fn timers_are_counted_up_to_a_limit(store: Store) {
    assert_eq!(store.count_timers(10, 9).await.unwrap(), TimerCounts::default());
    let mut transaction = store.begin().await.unwrap();
    for (key, due_ms) in [("a", 4), ("b", 10), ("c", 11), ("d", 30)] {
        transaction.schedule(&timer(key, due_ms), None).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let counted = TimerCounts { set: 4, due: 2, first_due_ms: Some(4), next_due_ms: Some(11) };
    assert_eq!(store.count_timers(10, 9).await.unwrap(), counted);
    assert_eq!(store.count_timers(10, 1).await.unwrap(), TimerCounts { set: 1, due: 1, ..counted });
    let none_due = TimerCounts { due: 0, first_due_ms: None, next_due_ms: Some(4), ..counted };
    assert_eq!(store.count_timers(3, 9).await.unwrap(), none_due);
    let all_due = TimerCounts { due: 4, next_due_ms: None, ..counted };
    assert_eq!(store.count_timers(30, 9).await.unwrap(), all_due);
}
