//! Tests of the limits on statements and on the wait for the write lock.

use super::{add, databases, host, patient};
use crate::{
    Databases, Error, Rows, Value,
    conformance::{self, Store, migration},
    limits::Limits,
};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn statements_over_a_limit_end_and_the_database_continues() {
    let limits = Limits { statement_ms: 1_000, readers: 1, result_rows: 10, result_bytes: 900, ..patient() };
    let (databases, _url) = databases(limits).await;
    let store: Store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    for number in 0..300 {
        let values = vec![conformance::text(&number.to_string()), Value::Blob(vec![1; 100])];
        transaction.execute("INSERT INTO things (id, n, b) VALUES ($1, 0, $2)", values).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let heavy =
        "SELECT count(*) FROM things a, things b, things c, things d, things e WHERE a.n + b.n + c.n + d.n + e.n < 0";
    assert!(matches!(store.query(heavy, vec![]).await, Err(Error::Timeout)));
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("UPDATE things SET n = 5 WHERE id = '1'", vec![]).await.unwrap();
    let change = transaction.execute(&format!("UPDATE things SET n = ({heavy})"), vec![]).await;
    assert!(matches!(change, Err(Error::Timeout)), "{change:?}");
    assert!(matches!(transaction.execute("DELETE FROM things", vec![]).await, Err(Error::Timeout)));
    assert!(matches!(transaction.commit().await, Err(Error::Timeout)));
    let rows = store.query("SELECT count(*), sum(n) FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), "[[Value::Integer(300), Value::Integer(0)]]");

    let limit = |result: Result<Rows, Error>| match result {
        Err(Error::Limit(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(store.query("SELECT id FROM things", vec![]).await), "a result of more than 10 rows");
    assert_eq!(limit(store.query("SELECT b FROM things LIMIT 10", vec![]).await), "a result of more than 900 bytes");
    // A query whose caller was dropped frees its connection.
    assert!(timeout(Duration::from_millis(50), store.query(heavy, vec![])).await.is_err());
    store.query("SELECT 1", vec![]).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.query("SELECT id FROM things", vec![]).await, Err(Error::Limit(_))));
    transaction.execute("DELETE FROM things WHERE n = 0", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_long_wait_for_the_write_lock_times_out() {
    let (databases, url) = databases(Limits { wait_ms: 1_000, ..Limits::default() }).await;
    let patient = host(&url, patient()).await.open("things").await.unwrap();
    conformance::tables(&patient).await;
    let store: Store = databases.open("things").await.unwrap();
    let holder = patient.begin().await.unwrap();
    assert!(matches!(store.begin().await.map(drop), Err(Error::Timeout)));
    drop(holder);
    add(&patient, "a").await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_result_has_a_bounded_number_of_columns_of_texts() {
    let (databases, _url) = databases(patient()).await;
    let store = databases.open("things").await.unwrap();
    let columns = |of_type: &str| (0..40).map(|n| format!("c{n} {of_type}")).collect::<Vec<_>>().join(", ");
    let sql = format!("CREATE TABLE texts ({}); CREATE TABLE numbers ({});", columns("TEXT"), columns("BIGINT"));
    store.migrate(&[migration("0001.sql", &sql)]).await.unwrap();
    let refused = store.query("SELECT * FROM texts", vec![]).await;
    assert!(matches!(&refused, Err(Error::Limit(problem)) if problem.contains("32 columns")), "{refused:?}");
    store.query("SELECT c1, c2, c3 FROM texts", vec![]).await.unwrap();
    store.query("SELECT * FROM numbers", vec![]).await.unwrap();
}
