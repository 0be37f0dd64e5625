//! Quotas: a component cannot add to what is over its quota, and can do
//! everything else.

use super::{Store, count, event, insert, key, tables, text, timer};
use crate::{DiskAmount, Error, IdempotencyKey, Value};
use std::time::{Duration, Instant};

fn is_limit(result: Result<(), Error>, part: &str) {
    match result {
        Err(Error::Limit(text)) => assert!(text.contains(part), "{text}"),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn events_over_the_quota_are_refused_until_the_relay_has_carried_some(store: Store) {
    store.set_quota(DiskAmount { outbox_events: 3, ..DiskAmount::UNLIMITED });
    let mut first = store.begin().await.unwrap();
    for id in ["a", "b"] {
        first.publish(&event(id)).await.unwrap();
    }
    first.commit().await.unwrap();
    let mut rolled_back = store.begin().await.unwrap();
    rolled_back.publish(&event("c")).await.unwrap();
    is_limit(rolled_back.publish(&event("d")).await, "3 events");
    rolled_back.rollback().await;
    let mut second = store.begin().await.unwrap();
    second.publish(&event("c")).await.unwrap();
    second.commit().await.unwrap();
    let mut third = store.begin().await.unwrap();
    is_limit(third.publish(&event("d")).await, "3 events");
    third.schedule(&timer("t", 1), None).await.unwrap();
    third.commit().await.unwrap();
    assert_eq!(store.measure().await.unwrap().outbox_events, 3);
    let oldest = store.read_outbox(0, 1).await.unwrap();
    store.clear_outbox(oldest[0].sequence).await.unwrap();
    let mut fourth = store.begin().await.unwrap();
    fourth.publish(&event("d")).await.unwrap();
    is_limit(fourth.publish(&event("e")).await, "3 events");
    fourth.commit().await.unwrap();
    assert_eq!(store.measure().await.unwrap().outbox_events, 3);
}

pub(crate) async fn timers_over_the_quota_are_refused_until_some_are_gone(store: Store) {
    store.set_quota(DiskAmount { timers: 2, ..DiskAmount::UNLIMITED });
    let mut first = store.begin().await.unwrap();
    first.schedule(&timer("one", 1), None).await.unwrap();
    first.schedule(&timer("two", 2), None).await.unwrap();
    is_limit(first.schedule(&timer("three", 3), None).await, "2 timers");
    first.commit().await.unwrap();
    let mut second = store.begin().await.unwrap();
    is_limit(second.schedule(&timer("three", 3), None).await, "2 timers");
    second.publish(&event("a")).await.unwrap();
    assert!(second.cancel_timer("one").await.unwrap());
    second.commit().await.unwrap();
    let due = store.upcoming_timers(5, 1).await.unwrap().remove(0);
    let fired = store.begin_once(&IdempotencyKey::Timer(due)).await.unwrap().unwrap();
    fired.commit().await.unwrap();
    assert_eq!(store.measure().await.unwrap().timers, 0);
    let mut third = store.begin().await.unwrap();
    third.schedule(&timer("three", 3), None).await.unwrap();
    third.commit().await.unwrap();
    assert_eq!(store.measure().await.unwrap().timers, 1);
}

pub(crate) async fn a_database_over_its_quota_can_be_read_and_emptied(store: Store) {
    tables(&store).await;
    let empty = store.measure().await.unwrap().database_bytes;
    store.set_quota(DiskAmount { database_bytes: empty + (1 << 20), ..DiskAmount::UNLIMITED });
    let mut refused = None;
    for number in 0_u32..40 {
        // Bytes that do not compress.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(number);
        let bytes = std::iter::repeat_with(|| {
            // Marsaglia's xorshift64.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let bytes = bytes.take(100_000).collect();
        let mut transaction = store.begin().await.unwrap();
        let values = vec![text(&format!("{number}")), Value::Integer(100 + i64::from(number)), Value::Blob(bytes)];
        let result = transaction.execute("INSERT INTO things (id, n, b) VALUES ($1, $2, $3)", values).await;
        if let Err(error) = result {
            transaction.rollback().await;
            refused = Some((number, error));
            break;
        }
        transaction.commit().await.unwrap();
        store.measure().await.unwrap();
    }
    let (number, error) = refused.expect("the quota is enforced");
    assert!((5..20).contains(&number), "after {number}");
    is_limit(Err(error), "MiB for its database");
    assert_eq!(count(&store).await, i64::from(number));
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("DELETE FROM things WHERE n >= 100", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, 0);
    assert!(store.begin_once(&key("e")).await.unwrap().is_some(), "events are still delivered");
}

pub(crate) async fn tables_are_measured_without_those_of_the_host(store: Store) {
    assert_eq!(store.measure_tables(10).await.unwrap(), []);
    tables(&store).await;
    let empty = store.measure_tables(10).await.unwrap();
    assert!(!empty.is_empty() && empty.iter().all(|table| !table.name.starts_with("host_")), "{empty:?}");
    assert!(empty.iter().all(|table| table.rows == 0), "{empty:?}");
    assert_eq!(store.measure_tables(1).await.unwrap().len(), 1);
    for number in 0..40 {
        insert(&store, &format!("thing-{number}"), number + 100).await.unwrap();
    }
    // PostgreSQL learns of new rows a little later.
    let begun = Instant::now();
    let things = loop {
        let things = store.measure_tables(10).await.unwrap().into_iter().find(|table| table.name == "things").unwrap();
        if things.rows == 40 || !things.is_estimate || begun.elapsed() > Duration::from_secs(90) {
            break things;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(things.rows == 40 && things.bytes >= 8_192, "{things:?}");
}
