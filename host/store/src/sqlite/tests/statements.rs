//! Tests of the limits on statements and on the size of the file.

use super::{HEAVY, fill, fill_one, open};
use crate::{
    Error, Rows, Value,
    conformance::{tables, text},
    limits::Limits,
};
use std::time::{Duration, Instant};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_statement_is_interrupted_and_the_database_continues() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { statement_ms: 150, readers: 1, ..Limits::default() }).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    let started = Instant::now();
    assert!(matches!(store.query(HEAVY, vec![]).await, Err(Error::Timeout)));
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("UPDATE things SET n = 5 WHERE id = '1'", vec![]).await.unwrap();
    let heavy = format!("UPDATE things SET n = ({HEAVY})");
    assert!(matches!(transaction.execute(&heavy, vec![]).await, Err(Error::Timeout)));
    // SQLite may have rolled back, so a later statement must not run outside the
    // transaction.
    assert!(matches!(transaction.execute("DELETE FROM things", vec![]).await, Err(Error::Timeout)));
    assert!(matches!(transaction.commit().await, Err(Error::Timeout)));
    assert!(started.elapsed().as_secs() < 5);
    let rows = store.query("SELECT count(*), sum(n) FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), "[[Value::Integer(300), Value::Integer(0)]]");
    fill_one(&store, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_whose_caller_was_dropped_frees_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { statement_ms: 60_000, readers: 1, ..Limits::default() }).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    let heavy = timeout(Duration::from_millis(50), store.query(HEAVY, vec![])).await;
    assert!(heavy.is_err());
    let started = Instant::now();
    store.query("SELECT 1", vec![]).await.unwrap();
    assert!(started.elapsed().as_secs() < 2);
}

#[tokio::test]
async fn the_error_for_a_large_result_or_statement_names_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { result_rows: 10, result_bytes: 900, ..Limits::default() };
    let store = open(&folder, limits).await;
    tables(&store).await;
    fill(&store, 11, 100).await;
    let limit = |result: Result<Rows, Error>| match result {
        Err(Error::Limit(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(store.query("SELECT id FROM things", vec![]).await), "a result of more than 10 rows");
    assert_eq!(limit(store.query("SELECT b FROM things LIMIT 10", vec![]).await), "a result of more than 900 bytes");
    let long = format!("SELECT '{}'", "x".repeat(70_000));
    assert_eq!(limit(store.query(&long, vec![]).await), "a statement of more than 65536 bytes");
    let grows = "SELECT string_agg($1, '') FROM things a, things b, things c";
    let big = store.query(grows, vec![text(&"a".repeat(2_000))]).await;
    assert_eq!(limit(big), "a value or statement of too many bytes");
    // A transaction continues after such an error.
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.query("SELECT id FROM things", vec![]).await, Err(Error::Limit(_))));
    transaction.execute("DELETE FROM things", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn the_error_of_a_full_database_says_that_it_is_over_its_quota() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { database_bytes: 200_000, ..Limits::default() }).await;
    tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    let values = vec![Value::Blob(vec![1; 400_000])];
    let result = transaction.execute("INSERT INTO things (id, n, b) VALUES ('a', 0, $1)", values).await;
    assert!(matches!(&result, Err(Error::Limit(text)) if text.contains("quota")), "{result:?}");
    drop(transaction);
    fill_one(&store, "b").await;
}
