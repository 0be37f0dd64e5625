//! Tests of several hosts on one database.

use super::{add, databases, host, patient};
use crate::{
    Databases, Error,
    conformance::{self, Store},
};
use host_test_support::postgres;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn hosts_write_one_after_another_and_no_event_is_passed_over() {
    let (one, url) = databases(patient()).await;
    let other = host(&url, patient()).await;
    let (here, there) = (one.open("things").await.unwrap(), other.open("things").await.unwrap());
    conformance::tables(&here).await;
    // The first transaction has its sequence number and commits late. If the
    // second could begin, it would commit a higher number first, and a relay that
    // has read the higher number never reads the lower one.
    let mut late = here.begin().await.unwrap();
    late.publish(&conformance::event("late")).await.unwrap();
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { add(&there, "second").await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "it does not wait for the write lock");
    assert!(here.read_outbox(0, 10).await.unwrap().is_empty());
    late.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    let seen = here.read_outbox(0, 10).await.unwrap();
    let ids: Vec<_> = seen.iter().map(|event| event.event.id.as_str()).collect();
    assert_eq!(ids, ["late", "second"]);

    // With many transactions on both hosts, no number appears after a higher one.
    let adding: Vec<_> = (0..40)
        .map(|number| {
            let store = if number % 2 == 0 { here.clone() } else { there.clone() };
            tokio::spawn(async move { add(&store, &format!("many-{number}")).await.unwrap() })
        })
        .collect();
    let mut carried: Vec<i64> = seen.iter().map(|event| event.sequence).collect();
    while carried.len() < 42 {
        let after = carried.last().copied().unwrap_or(0);
        carried.extend(there.read_outbox(after, 7).await.unwrap().iter().map(|event| event.sequence));
    }
    for task in adding {
        task.await.unwrap();
    }
    assert_eq!(there.read_outbox(0, 100).await.unwrap().len(), 42);
    assert!(carried.is_sorted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn lost_connections_are_opened_again() {
    let (databases, url) = databases(patient()).await;
    let store: Store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    add(&store, "before").await.unwrap();
    store.query("SELECT 1", vec![]).await.unwrap();
    let mut open = store.begin().await.unwrap();
    open.execute("INSERT INTO things (id, n) VALUES ('lost', 1)", vec![]).await.unwrap();
    let mut owner = postgres::connect(&url).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'ticketing_%' AND datname = current_database()";
    sqlx::raw_sql(cut).execute(&mut owner).await.unwrap();
    let after = open.execute("INSERT INTO things (id, n) VALUES ('more', 1)", vec![]).await;
    assert!(matches!(after, Err(Error::Unavailable(_))), "{after:?}");
    assert!(matches!(open.commit().await, Err(Error::Unavailable(_))));
    let rows = store.query("SELECT id FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), r#"[[Value::Text("before")]]"#);
    add(&store, "after").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn committed_changes_are_there_for_the_next_host() {
    let (databases, url) = databases(patient()).await;
    let store: Store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    add(&store, "a").await.unwrap();
    databases.close().await;
    assert!(matches!(store.begin().await.map(drop), Err(Error::Unavailable(_))));
    assert!(matches!(store.query("SELECT 1", vec![]).await, Err(Error::Unavailable(_))));
    let store: Store = host(&url, patient()).await.open("things").await.unwrap();
    conformance::tables(&store).await;
    assert_eq!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.len(), 1);
    assert_eq!(store.read_outbox(0, 10).await.unwrap()[0].event, conformance::event("a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_schema_change_of_another_host_is_visible() {
    let (one, url) = databases(patient()).await;
    let other = host(&url, patient()).await;
    let (here, there) = (one.open("things").await.unwrap(), other.open("things").await.unwrap());
    conformance::tables(&here).await;
    let all = "SELECT * FROM things";
    assert_eq!(there.query(all, vec![]).await.unwrap().columns.len(), 4);
    let mut transaction = there.begin().await.unwrap();
    transaction.query(all, vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    here.migrate(&[conformance::migration("0002.sql", "ALTER TABLE things ADD COLUMN more TEXT")]).await.unwrap();
    assert_eq!(there.query(all, vec![]).await.unwrap().columns.len(), 5);
    let mut transaction = there.begin().await.unwrap();
    assert_eq!(transaction.query(all, vec![]).await.unwrap().columns.len(), 5);
    transaction.commit().await.unwrap();
}
