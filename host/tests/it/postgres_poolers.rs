//! A pooler between a host and PostgreSQL.

use crate::support::{Bus, PostgresServer, Setup};
use host_test_support::{PoolMode, Pooler};

/// The settings of a host behind a pooler.
fn behind(pooler: &Pooler, server: &PostgresServer, url: &str) -> Setup {
    let url = url.replace(&server.port().to_string(), &pooler.port().to_string());
    Setup::new().in_database(&url).bus(Bus::Embedded)
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_pooler_that_changes_sessions_is_refused_with_one_line_that_names_the_cause() {
    let server = PostgresServer::start().await;
    let url = server.database().await;
    for mode in [PoolMode::Transaction, PoolMode::Statement] {
        let pooler = Pooler::before(server.port(), mode).await;
        let output = behind(&pooler, &server, &url).output("serve").await;
        assert_eq!(output.status.code(), Some(1), "{mode:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        let line = message.lines().last().unwrap_or_default();
        assert!(line.contains("pooler") && line.contains("pool_mode = session"), "{mode:?}: {message}");
        assert!(output.stdout.is_empty(), "{mode:?}: nothing is announced");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_host_works_behind_a_pooler_that_keeps_sessions() {
    let server = PostgresServer::start().await;
    let url = server.database().await;
    let pooler = Pooler::before(server.port(), PoolMode::Session).await;
    let host = behind(&pooler, &server, &url).start().await;
    let seller = host.user("seller").await;
    let ticket = seller.sell("x", 19.99).await;
    let buyer = host.user("buyer").await;
    let order = buyer.reserve(&ticket.id).await;
    buyer.pay(&order.id).await;
}
