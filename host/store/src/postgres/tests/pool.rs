//! Tests of the pool of connections.

use super::{add, databases, patient, pool_of};
use crate::{
    Databases, conformance,
    limits::Limits,
    postgres::{
        PostgresDatabases,
        pool::{Pool, PooledConnection},
    },
};
use futures::{future::try_join_all, poll};
use host_base::id;
use host_test_support::postgres;
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A pool of a component's role, and the databases that it belongs to.
async fn pool(most: u32) -> (PostgresDatabases, Pool) {
    let (databases, _url) = databases(patient()).await;
    databases.open("things").await.unwrap();
    let pool = pool_of(&databases, "things", most).await;
    (databases, pool)
}

/// The server's process for a connection.
async fn process(pooled: &mut PooledConnection) -> i32 {
    let connection = pooled.connection().unwrap();
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await.unwrap()
}

async fn next(pool: &Pool) -> i32 {
    let mut pooled = pool.acquire().await.unwrap();
    let process = process(&mut pooled).await;
    pooled.release();
    process
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_connection_that_was_used_last_is_used_next_until_it_is_closed() {
    let (_databases, pool) = pool(2).await;
    let (mut one, mut other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let (first, second) = (process(&mut one).await, process(&mut other).await);
    assert_ne!(first, second);
    assert!(timeout(Duration::from_millis(100), pool.acquire()).await.is_err(), "the pool has too many connections");
    one.release();
    other.release();
    for _ in 0..3 {
        assert_eq!(next(&pool).await, second);
    }
    pool.close_idle(Duration::from_secs(60));
    assert_eq!(next(&pool).await, second);
    pool.close_idle(Duration::ZERO);
    assert!(![first, second].contains(&next(&pool).await));
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_connection_that_is_dropped_during_a_statement_is_closed_and_replaced() {
    let (databases, pool) = pool(1).await;
    let mut pooled = pool.acquire().await.unwrap();
    let dropped = process(&mut pooled).await;
    let sleeping = sqlx::query("SELECT pg_sleep(60)").execute(pooled.connection().unwrap());
    assert!(timeout(Duration::from_millis(100), sleeping).await.is_err());
    drop(pooled);
    assert_ne!(next(&pool).await, dropped);
    let is_there = || {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
        sqlx::query_scalar::<_, bool>(sql).bind(dropped).fetch_one(&databases.host)
    };
    let gone = async {
        while is_there().await.unwrap() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.expect("the server still runs the statement");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn closing_waits_for_connections_in_use_and_gives_out_no_more() {
    let (_databases, pool) = pool(1).await;
    let pooled = pool.acquire().await.unwrap();
    let waiting = pool.acquire();
    let closing = pool.close();
    tokio::pin!(waiting, closing);
    assert!(poll!(&mut waiting).is_pending());
    assert!(
        timeout(Duration::from_millis(100), &mut closing).await.is_err(),
        "it does not wait for the connection in use"
    );
    assert!(waiting.await.is_err());
    pooled.release();
    timeout(Duration::from_secs(20), closing).await.expect("it waits although no connection is in use");
    assert!(pool.acquire().await.is_err());
}

async fn number(owner: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(owner).await.unwrap()
}

/// More connections are lost than there are attempts at one statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn no_call_fails_when_many_connections_are_lost() {
    let (databases, url) = databases(Limits { readers: 8, ..patient() }).await;
    let store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    // The query takes long enough for several to run at once, unless the machine
    // is busy.
    let ten = "(SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL \
         SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let long = format!("SELECT count(*) FROM {ten} a, {ten} b, {ten} c, {ten} d, {ten} e");
    let query = || store.query(&long, vec![]);
    const OF_COMPONENTS: &str = "FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND application_name LIKE 'ticketing\\_%'";
    let mut owner = postgres::connect(&url).await.unwrap();
    for _ in 0..2 {
        let several = async {
            while number(&mut owner, &format!("SELECT count(*) {OF_COMPONENTS}")).await < 5 {
                try_join_all((0..8).map(|_| query())).await.unwrap();
                add(&store, &id::new().to_string()).await.unwrap();
            }
        };
        timeout(Duration::from_secs(60), several).await.expect("the queries share too few connections");
        // Sessions that have not ended would be counted again.
        let cut = format!("SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 20000)) {OF_COMPONENTS}");
        assert!(number(&mut owner, &cut).await >= 5);
        query().await.unwrap();
        add(&store, &id::new().to_string()).await.unwrap();
    }
}
