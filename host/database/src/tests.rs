use super::*;
use host_base::Secret;
use host_test_support::postgres;
use std::time::Duration;

#[tokio::test]
async fn each_step_is_applied_once_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a folder?#%.db");
    let database = HostDatabase::open(&path).await.unwrap();
    database.ensure_schema("one", &["CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x')"]).await.unwrap();
    database.close().await;
    assert!(path.is_file());
    applies_a_second_step(HostDatabase::open(&path).await.unwrap()).await;
}

async fn applies_a_second_step(database: HostDatabase) {
    let steps = &["CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x')", "INSERT INTO one VALUES ('y')"];
    database.ensure_schema("one", steps).await.unwrap();
    database.ensure_schema("one", steps).await.unwrap();
    let rows: Vec<String> = sqlx::query_scalar("SELECT a FROM one ORDER BY a").fetch_all(&database.read).await.unwrap();
    assert_eq!(rows, ["x", "y"]);
}

#[tokio::test]
async fn a_reader_cannot_write_and_commits_are_synced() {
    let folder = tempfile::tempdir().unwrap();
    let database = HostDatabase::open(&folder.path().join("host.db")).await.unwrap();
    assert!(sqlx::query("INSERT INTO schema_steps VALUES ('m', 1)").execute(&database.read).await.is_err());
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&database.write).await.unwrap();
    assert_eq!(synchronous, 2, "FULL");
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&database.write).await.unwrap();
    assert_eq!(mode, "wal");
    let timeout: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&database.write).await.unwrap();
    assert_eq!(timeout, 5_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn hosts_that_start_at_once_share_a_postgres_database() {
    let url = postgres::new_database().await;
    let url = Secret::new(url);
    let start = async || {
        let database = HostDatabase::connect(&url).await.unwrap();
        database.ensure_schema("one", &["CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x')"]).await.unwrap();
        database
    };
    let started = futures::future::join_all((0..5).map(|_| start())).await;
    for database in started {
        applies_a_second_step(database).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn transactions_of_a_module_run_one_at_a_time_across_hosts() {
    let url = postgres::new_database().await;
    let url = Secret::new(url);
    let one = HostDatabase::connect(&url).await.unwrap();
    let other = HostDatabase::connect(&url).await.unwrap();
    one.ensure_schema("counter", &["CREATE TABLE counter (n INTEGER NOT NULL) STRICT; INSERT INTO counter VALUES (0)"])
        .await
        .unwrap();
    let count = async |database: HostDatabase| {
        let mut transaction = database.begin("counter").await.unwrap();
        let n: i64 = sqlx::query_scalar("SELECT n FROM counter").fetch_one(&mut *transaction).await.unwrap();
        sqlx::query("UPDATE counter SET n = $1").bind(n + 1).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    };
    let counts = (0..20).map(|n| count(if n % 2 == 0 { one.clone() } else { other.clone() }));
    futures::future::join_all(counts).await;
    let n: i64 = sqlx::query_scalar("SELECT n FROM counter").fetch_one(&other.read).await.unwrap();
    assert_eq!(n, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn one_host_at_a_time_has_the_singleton_lock() {
    let url = postgres::new_database().await;
    let url = Secret::new(url);
    let first = SingletonLock::acquire(&url).await.unwrap().expect("no host has the lock");
    assert!(SingletonLock::acquire(&url).await.unwrap().is_none());
    drop(first);
    let begun = std::time::Instant::now();
    while SingletonLock::acquire(&url).await.unwrap().is_none() {
        assert!(begun.elapsed().as_secs() < 10, "the lock is not free again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn steps_are_translated() {
    let step = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER, b BLOB) STRICT, WITHOUT ROWID;";
    assert_eq!(
        Dialect::Postgres.translate(step),
        "CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n BIGINT, b BYTEA);"
    );
    assert_eq!(Dialect::Sqlite.translate(step), step);
}
