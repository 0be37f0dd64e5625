//! Tests of the log of live events.

use super::{Store, insert, tables};
use crate::{DiskAmount, Error, LIVE_BYTES, LIVE_EVENTS, LiveEvent, LoggedEvent};
use host_base::clock::now_ms;
use std::time::Duration;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn live(channel: &str, data: &str) -> LiveEvent {
    LiveEvent { channel: channel.to_owned(), name: "changed".to_owned(), data: data.to_owned() }
}

async fn send(store: &Store, events: impl IntoIterator<Item = LiveEvent>) {
    let mut transaction = store.begin().await.unwrap();
    events.into_iter().for_each(|event| transaction.send_live(event).unwrap());
    transaction.commit().await.unwrap();
}

/// The number and the data of each event.
fn told(events: &[LoggedEvent]) -> Vec<(u64, &str)> {
    events.iter().map(|logged| (logged.sequence, logged.event.data.as_str())).collect()
}

pub(crate) async fn a_commit_logs_its_events_in_order_and_wakes_the_reader(store: Store) {
    tables(&store).await;
    let mut reader = store.listen_live();
    // On PostgreSQL the first wake says that the host listens.
    assert!(store.system_name() != "postgresql" || reader.wait(LONG).await);
    let begun_ms = now_ms();
    let mut transaction = store.begin().await.unwrap();
    transaction.send_live(live("a", "one")).unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ('x', 1)", vec![]).await.unwrap();
    transaction.send_live(live("b", "two\r\nlines \u{1F3AB} '")).unwrap();
    assert!(!reader.wait(SHORT).await, "nothing is committed yet");
    assert_eq!(store.read_live(0).await.unwrap(), []);
    transaction.commit().await.unwrap();
    assert!(reader.wait(LONG).await);
    send(&store, [LiveEvent { name: String::new(), ..live("a", "") }]).await;
    let events = store.read_live(0).await.unwrap();
    assert_eq!(told(&events), [(1, "one"), (2, "two\r\nlines \u{1F3AB} '"), (3, "")]);
    assert!(events.iter().all(|logged| (begun_ms..=now_ms()).contains(&logged.at_ms)));
    assert_eq!(events[1].event, live("b", "two\r\nlines \u{1F3AB} '"));
    assert_eq!(told(&store.read_live(2).await.unwrap()), [(3, "")]);
    assert_eq!(store.read_live(3).await.unwrap(), []);
}

pub(crate) async fn only_a_commit_logs_events(store: Store) {
    tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.send_live(live("a", "rolled back")).unwrap();
    transaction.rollback().await;
    let mut transaction = store.begin().await.unwrap();
    transaction.send_live(live("a", "dropped")).unwrap();
    drop(transaction);
    let mut transaction = store.begin().await.unwrap();
    transaction.send_live(live("a", "after a failed statement")).unwrap();
    let failed = transaction.execute("INSERT INTO things (id, n) VALUES ('x', -1)", vec![]).await;
    assert!(matches!(failed, Err(Error::Constraint(_))));
    transaction.commit().await.unwrap();
    assert_eq!(told(&store.read_live(0).await.unwrap()), [(1, "after a failed statement")]);
}

pub(crate) async fn events_of_concurrent_transactions_have_no_gaps(store: Store) {
    let writers = (0..20).map(|number| {
        let store = store.clone();
        async move {
            let mut transaction = store.begin().await.unwrap();
            transaction.send_live(live("a", &number.to_string())).unwrap();
            transaction.send_live(live("b", &number.to_string())).unwrap();
            match number % 4 {
                0 => transaction.rollback().await,
                _ => transaction.commit().await.unwrap(),
            }
        }
    });
    futures::future::join_all(writers).await;
    let events = store.read_live(0).await.unwrap();
    assert!(events.iter().map(|logged| logged.sequence).eq(1..=30));
    for pair in events.chunks(2) {
        assert_eq!((&*pair[0].event.channel, &*pair[1].event.channel), ("a", "b"), "transactions do not mix");
        assert_eq!(pair[0].event.data, pair[1].event.data);
    }
}

pub(crate) async fn the_log_keeps_the_last_thousand_events(store: Store) {
    for round in 0..12 {
        send(&store, (0..100).map(|number| live("a", &(round * 100 + number + 1).to_string()))).await;
    }
    let events = store.read_live(0).await.unwrap();
    assert_eq!(events.len() as u64, LIVE_EVENTS);
    assert!(events.iter().all(|logged| logged.event.data == logged.sequence.to_string()));
    assert_eq!(events.last().unwrap().sequence, 1_200);
}

pub(crate) async fn the_log_keeps_a_limited_number_of_bytes(store: Store) {
    let large = "x".repeat(64 << 10);
    for _ in 0..10 {
        send(&store, (0..10).map(|_| live("a", &large))).await;
    }
    let events = store.read_live(0).await.unwrap();
    let bytes: u64 = events.iter().map(|logged| logged.event.bytes()).sum();
    assert!(bytes <= LIVE_BYTES && bytes > LIVE_BYTES - 2 * large.len() as u64, "{bytes}");
    assert_eq!(events.last().unwrap().sequence, 100);
}

pub(crate) async fn old_events_are_deleted_except_the_last_one(store: Store) {
    send(&store, ["one", "two", "three"].map(|data| live("a", data))).await;
    assert_eq!(store.prune_live(now_ms() - 60_000).await.unwrap(), 0);
    assert_eq!(store.prune_live(now_ms() + 60_000).await.unwrap(), 2);
    assert_eq!(told(&store.read_live(0).await.unwrap()), [(3, "three")]);
    assert_eq!(store.prune_live(now_ms() + 60_000).await.unwrap(), 0);
    send(&store, [live("a", "four")]).await;
    assert_eq!(told(&store.read_live(0).await.unwrap()), [(3, "three"), (4, "four")]);
}

pub(crate) async fn a_database_over_its_quota_sends_no_events(store: Store) {
    tables(&store).await;
    insert(&store, "x", 1).await.unwrap();
    store.measure().await.unwrap();
    store.set_quota(DiskAmount { database_bytes: 1, ..DiskAmount::UNLIMITED });
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.send_live(live("a", "x")), Err(Error::Limit(_))));
    transaction.rollback().await;
}
