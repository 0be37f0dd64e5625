//! Tests of connections whose server ends them or takes no more writes.

use super::{HostDatabase, PostgresDatabases, Secret, add, host, patient};
use crate::{Databases, Error, conformance};
use host_base::id;
use host_test_support::{PostgresServer, eventually};
use std::time::Duration;
use tokio::time::sleep;

const RELOAD: &str = "SELECT pg_reload_conf()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn sessions_that_the_server_ends_while_they_are_idle_are_replaced() {
    let server = PostgresServer::start().await;
    let databases = host(&server.database().await, patient()).await;
    let store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    server.execute(&["ALTER SYSTEM SET idle_session_timeout = '300ms'", RELOAD]).await;
    for round in 1..4 {
        // The sessions are idle for longer than the server allows.
        sleep(Duration::from_secs(1)).await;
        add(&store, &id::new().to_string()).await.unwrap();
        assert_eq!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.len(), round);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_server_that_turns_read_only_refuses_writes_alone_until_it_takes_them_again() {
    let server = PostgresServer::start().await;
    let secret = Secret::new(&server.database().await);
    // It watches over the server for as long as it lives.
    let host = HostDatabase::connect(&secret).await.unwrap();
    let databases = PostgresDatabases::with_limits(&secret, &host, patient()).await.unwrap();
    let store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    let write = async || add(&store, &id::new().to_string()).await;
    write().await.unwrap();
    server.execute(&["ALTER SYSTEM SET default_transaction_read_only = on", RELOAD]).await;
    let refused = eventually("writes are refused", write, |written: &Result<(), Error>| written.is_err()).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    eventually("the host knows it", async || store.is_available(), |is_available| !is_available).await;
    assert!(!store.query("SELECT id FROM things", vec![]).await.unwrap().rows.is_empty());
    server.execute(&["ALTER SYSTEM RESET default_transaction_read_only", RELOAD]).await;
    let written = eventually("writes work again", write, |written: &Result<(), Error>| written.is_ok()).await;
    written.unwrap();
    eventually("the host knows it", async || store.is_available(), |is_available| *is_available).await;
}
