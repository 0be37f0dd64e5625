//! Tests of the topics that commits notify.

use super::{Store, event, key, tables};
use crate::Error;
use std::time::Duration;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// Waits until the host listens. PostgreSQL wakes all listeners then, because
/// earlier notifications may have been missed.
async fn listens(store: &Store) {
    if store.system_name() == "postgresql" {
        assert!(store.listen("first".into()).unwrap().wait(LONG).await);
    }
}

pub(crate) async fn a_commit_wakes_the_listeners_to_its_topics(store: Store) {
    tables(&store).await;
    listens(&store).await;
    let mut early = store.listen("a".into()).unwrap();
    let (mut same, mut other) = (store.listen("a".into()).unwrap(), store.listen("b".into()).unwrap());
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("INSERT INTO things (id, n) VALUES ('x', 1)", vec![]).await.unwrap();
    transaction.notify("a".into());
    assert!(!early.wait(SHORT).await, "nothing is committed yet");
    transaction.commit().await.unwrap();
    assert!(early.wait(LONG).await && same.wait(LONG).await);
    assert!(!other.wait(SHORT).await, "another topic");
    assert!(!store.listen("a".into()).unwrap().wait(SHORT).await, "it listens since after the commit");
    assert!(!early.wait(SHORT).await, "a notification counts once");
}

pub(crate) async fn only_a_commit_wakes_listeners(store: Store) {
    tables(&store).await;
    listens(&store).await;
    let mut listener = store.listen("a".into()).unwrap();
    for round in 0..3 {
        let mut transaction = store.begin().await.unwrap();
        transaction.notify("a".into());
        match round {
            0 => transaction.rollback().await,
            1 => drop(transaction),
            _ => {
                let failed = transaction.execute("INSERT INTO things (id, n) VALUES (NULL, -1)", vec![]).await;
                assert!(matches!(failed, Err(Error::Constraint(_))));
                transaction.rollback().await;
            }
        }
        assert!(!listener.wait(SHORT).await, "round {round}");
    }
    // The transaction of an event wakes like any other.
    let mut transaction = store.begin_once(&key("e")).await.unwrap().unwrap();
    transaction.publish(&event("e")).await.unwrap();
    transaction.notify("a".into());
    transaction.commit().await.unwrap();
    assert!(listener.wait(LONG).await);
}

pub(crate) async fn a_topic_that_cannot_be_is_refused(store: Store) {
    for topic in [String::new(), "a\0".to_owned(), "x".repeat(201)] {
        assert!(store.listen(topic).is_err());
    }
    for topic in ["with spaces in it", "Ä\u{1F3AB}", "a\nb", &"x".repeat(200)] {
        let mut listener = store.listen(topic.to_owned()).unwrap();
        let mut transaction = store.begin().await.unwrap();
        transaction.notify(topic.to_owned());
        transaction.commit().await.unwrap();
        assert!(listener.wait(LONG).await, "{topic:?}");
    }
}
