//! Tests of leases.

use super::two_hosts::TwoHosts;
use crate::{Databases, LeaseRole};
use host_test_support::postgres;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn one_host_holds_a_lease_until_its_session_ends() {
    let hosts = TwoHosts::start().await;
    let TwoHosts { url, here, there, there_databases, .. } = &hosts;
    let mut first = here.acquire_lease(LeaseRole::Outbox).await.unwrap();
    let _another_role = there.acquire_lease(LeaseRole::Timers).await.unwrap();
    let _another_component =
        there_databases.open("others").await.unwrap().acquire_lease(LeaseRole::Outbox).await.unwrap();
    assert!(
        timeout(Duration::from_secs(2), there.acquire_lease(LeaseRole::Outbox)).await.is_err(),
        "two hosts hold the lease"
    );
    drop(first);
    first = timeout(PATIENCE, there.acquire_lease(LeaseRole::Outbox)).await.expect("no host gets the lease").unwrap();
    // The server ends the sessions with locks.
    let mut owner = postgres::connect(url).await.unwrap();
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
         WHERE locktype = 'advisory' AND datname = current_database()",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    timeout(PATIENCE, first.lost()).await.expect("the host does not notice that it has lost the lease");
    timeout(PATIENCE, here.acquire_lease(LeaseRole::Outbox)).await.expect("no host gets the lease").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn an_abandoned_wait_takes_no_lease() {
    let hosts = TwoHosts::start().await;
    let TwoHosts { here, there, .. } = &hosts;
    let first = here.acquire_lease(LeaseRole::Outbox).await.unwrap();
    // Because of this lock the host continues to check its session.
    let _another_role = there.acquire_lease(LeaseRole::Timers).await.unwrap();
    assert!(
        timeout(Duration::from_millis(100), there.acquire_lease(LeaseRole::Outbox)).await.is_err(),
        "two hosts hold the lease"
    );
    drop(first);
    sleep(Duration::from_millis(1_500)).await;
    timeout(PATIENCE, here.acquire_lease(LeaseRole::Outbox)).await.expect("no host gets the lease").unwrap();
}
