//! Tests of the limits on statements and on the size of the file.

use super::{HEAVY, fill, fill_one, open};
use crate::{
    Error, Rows, Value,
    conformance::{tables, text},
    limits::Limits,
};
use std::{
    pin::pin,
    time::{Duration, Instant},
};
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

/// A query that is short at first, and long with another parameter.
const SHORT_AT_FIRST: &str = "SELECT count(*) FROM things a, things b, things c, things d, things e \
                              WHERE a.n = $1 AND a.n + b.n + c.n + d.n + e.n < 0";

#[tokio::test]
async fn a_long_query_delays_no_other_task_of_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits { statement_ms: 300, readers: 1, ..Limits::default() }).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    for _ in 0..3 {
        store.query(SHORT_AT_FIRST, vec![Value::Integer(1)]).await.unwrap();
    }
    for _ in 0..3 {
        let mut longest_wait = Duration::ZERO;
        let mut others = tokio::time::interval(Duration::from_millis(5));
        let mut query = pin!(store.query(SHORT_AT_FIRST, vec![Value::Integer(0)]));
        let (mut last, mut turns) = (Instant::now(), 0);
        let result = loop {
            tokio::select! {
                result = &mut query => break result,
                _ = others.tick() => {}
            }
            longest_wait = longest_wait.max(last.elapsed());
            (last, turns) = (Instant::now(), turns + 1);
        };
        assert!(matches!(result, Err(Error::Timeout)), "{result:?}");
        assert!(turns >= 3 && longest_wait < Duration::from_millis(200), "{turns} turns, {longest_wait:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_open_the_file_beside_each_other_and_a_writer_all_read() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, Limits::default()).await;
        tables(&store).await;
        let readers: Vec<_> = (0..32)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.query("SELECT count(*) FROM things", vec![]).await })
            })
            .collect();
        fill(&store, 20, 1).await;
        for reader in readers {
            assert_eq!(reader.await.unwrap().unwrap().rows.len(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_change_in_the_thread_of_its_caller_ends_soon_and_runs_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits::default()).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    // Three million rows: longer than a change may be in the thread of its caller.
    let change = "UPDATE things SET n = (SELECT count(*) FROM things a, things b, things c
                                         WHERE a.n = $1 AND c.id < '13' AND a.n + b.n + c.n < 0)
                  WHERE id = '1'";
    for _ in 0..3 {
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.execute(change, vec![Value::Integer(1)]).await.unwrap(), 1);
        transaction.commit().await.unwrap();
    }
    // Beside a change that it would lose, the component hears of it.
    let begun = Instant::now();
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("DELETE FROM things WHERE id = '2'", vec![]).await.unwrap();
    let ended = transaction.execute(change, vec![Value::Integer(0)]).await;
    assert!(matches!(ended, Err(Error::Conflict)), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(matches!(transaction.commit().await, Err(Error::Conflict)));
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(transaction.execute(change, vec![Value::Integer(0)]).await.unwrap(), 1);
    transaction.commit().await.unwrap();
    // Without one, the host begins the transaction again.
    for _ in 0..70 {
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.query("SELECT n FROM things WHERE id = '1'", vec![]).await.unwrap().rows.len(), 1);
        assert_eq!(transaction.execute(change, vec![Value::Integer(1)]).await.unwrap(), 1);
        transaction.commit().await.unwrap();
    }
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(transaction.execute(change, vec![Value::Integer(0)]).await.unwrap(), 1);
    transaction.execute("DELETE FROM things WHERE id = '2'", vec![]).await.unwrap();
    transaction.rollback().await;
    let rows = store.query("SELECT count(*) FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), "[[Value::Integer(300)]]", "nothing of the transaction that ended is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_caller_was_dropped_is_never_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Limits::default()).await;
    tables(&store).await;
    fill(&store, 300, 1).await;
    for number in 0..60_u64 {
        let mut transaction = store.begin().await.unwrap();
        // Each text is new, so each change gets a thread.
        let change = format!("INSERT INTO things (id, n) VALUES ('dropped-{number}', {number})");
        let _ = timeout(Duration::from_micros(number * 20), transaction.execute(&change, vec![])).await;
        drop(transaction);
    }
    fill_one(&store, "after").await;
    let rows = store.query("SELECT count(*) FROM things WHERE id LIKE 'dropped-%'", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), "[[Value::Integer(0)]]");
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
