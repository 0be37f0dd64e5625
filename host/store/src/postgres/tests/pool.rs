//! Connections of a component's role.

use super::*;
use crate::postgres::pool::{Lease, Pool};

/// A pool of a component's role, and the databases that it belongs to.
async fn pool(most: u32) -> (PostgresDatabases, Pool) {
    let (databases, _url) = databases(patient()).await;
    databases.open("things").await.unwrap();
    let place = provision::place(&databases.host, "things").await.unwrap();
    let pool = databases.pool(&place, most, true).unwrap();
    (databases, pool)
}

/// The server's process that a connection is to.
async fn process(lease: &mut Lease) -> i32 {
    let connection = lease.connection().unwrap();
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await.unwrap()
}

async fn next(pool: &Pool) -> i32 {
    let mut lease = pool.acquire().await.unwrap();
    let process = process(&mut lease).await;
    lease.release();
    process
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_was_used_last_is_used_next_until_nobody_needs_it() {
    let (_databases, pool) = pool(2).await;
    let (mut one, mut other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let (first, second) = (process(&mut one).await, process(&mut other).await);
    assert_ne!(first, second);
    assert!(timeout(Duration::from_millis(100), pool.acquire()).await.is_err(), "there are more than may be");
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
async fn one_that_is_dropped_in_the_middle_is_closed_and_leaves_its_place() {
    let (databases, pool) = pool(1).await;
    let mut lease = pool.acquire().await.unwrap();
    let dropped = process(&mut lease).await;
    let sleeping = sqlx::query("SELECT pg_sleep(60)").execute(lease.connection().unwrap());
    assert!(timeout(Duration::from_millis(100), sleeping).await.is_err());
    drop(lease);
    assert_ne!(next(&pool).await, dropped);
    let is_there = || {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
        sqlx::query_scalar::<_, bool>(sql).bind(dropped).fetch_one(&databases.host)
    };
    let gone = async {
        while is_there().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.expect("the server works for nobody");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn closing_waits_for_those_in_use_and_keeps_out_all_others() {
    let (_databases, pool) = pool(1).await;
    let lease = pool.acquire().await.unwrap();
    let waiting = pool.acquire();
    let closing = pool.close();
    tokio::pin!(waiting, closing);
    assert!(futures::poll!(&mut waiting).is_pending());
    assert!(timeout(Duration::from_millis(100), &mut closing).await.is_err(), "it does not wait");
    assert!(waiting.await.is_err());
    lease.release();
    timeout(Duration::from_secs(20), closing).await.expect("it waits for nobody");
    assert!(pool.acquire().await.is_err());
}

async fn owner_says(owner: &mut sqlx::PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(owner).await.unwrap()
}

/// More than there are attempts at one statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn however_many_were_cut_nobody_notices() {
    let (databases, url) = databases(Limits { readers: 8, ..patient() }).await;
    let store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    // Long enough for several to be under way, unless the machine is busy.
    let ten = "(SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL \
         SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let long = format!("SELECT count(*) FROM {ten} a, {ten} b, {ten} c, {ten} d, {ten} e");
    let query = || store.query(&long, vec![]);
    const OF_COMPONENTS: &str = "FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND application_name LIKE 'ticketing\\_%'";
    let mut owner = postgres::connect(&url).await.unwrap();
    for _ in 0..2 {
        let several = async {
            while owner_says(&mut owner, &format!("SELECT count(*) {OF_COMPONENTS}")).await < 5 {
                futures::future::try_join_all((0..8).map(|_| query())).await.unwrap();
                add(&store, &host_base::id::new().to_string()).await.unwrap();
            }
        };
        timeout(Duration::from_secs(60), several).await.expect("they share connections");
        // Those that have not ended would be counted again.
        let cut = format!("SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 20000)) {OF_COMPONENTS}");
        assert!(owner_says(&mut owner, &cut).await >= 5);
        query().await.unwrap();
        add(&store, &host_base::id::new().to_string()).await.unwrap();
    }
}
