//! Hosts that die and a database that restarts, while users buy on all hosts.

use super::{joined, knows_all, named};
use crate::support::{Acknowledged, Host, Load, NatsServer, PostgresServer, Setup, postgres};
use std::{sync::Arc, time::Duration};

const BUYERS: usize = 3;

/// Completes a purchase through this host. Any host may deliver its events and
/// run the timer that captures the money.
pub(super) async fn serves(host: &Host) {
    let order = host.makes_a_sale().await;
    host.payment_ledger().await.takes(&order, 1_000).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn hosts_that_are_killed_under_load_lose_nothing_and_hold_up_nobody() {
    let mut hosts = super::three().await;
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", BUYERS).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let start = |host: &Host, buyer| Load::start(host, &seller, buyer, &acknowledged);
    let mut loads: Vec<_> = hosts.iter().zip(&buyers).map(|(host, buyer)| start(host, buyer)).collect();
    for (round, victim) in [2, 1, 2, 1].into_iter().enumerate() {
        hosts[victim].kill().await;
        // The connection of its buyer breaks. Other buyers notice nothing.
        acknowledged.more_are_paid(3).await;
        assert!(!loads[0].has_broken_off(), "round {round}: a connection to a living host broke");
        hosts[victim].start_again().await;
        loads.push(start(&hosts[victim], &buyers[victim]));
    }
    for load in loads {
        load.stop_if_running().await;
    }
    acknowledged.is_whole_on(&hosts[0]).await;
    knows_all(&hosts[0]).await;
}

/// The stopped host delivered all events and fired all timers, because it
/// started first.
#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_host_that_stands_still_holds_up_nobody() {
    let url = postgres::new_database().await;
    let setup = joined(Setup::new(), &url, &NatsServer::shared().url());
    let first = setup.start().await;
    let second = setup.beside().start().await;
    let seller = second.user("seller").await;
    serves(&second).await;
    // A host that stops during a transaction would hold up the component until
    // the database ends the transaction.
    second.settles().await;
    first.signal("STOP").await;
    let ticket = seller.sell("x", 10.0).await;
    seller.wait_until_known_to_orders(&ticket.id).await;
    serves(&second).await;
    first.signal("CONT").await;
    serves(&first).await;
    serves(&second).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_database_that_is_restarted_under_load_loses_nothing() {
    let mut server = PostgresServer::start().await;
    let url = server.database().await;
    let setup = joined(Setup::new().impatient(), &url, &NatsServer::shared().url());
    let hosts = Setup::start_all(named(&setup)).await;
    knows_all(&hosts[0]).await;
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", BUYERS).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let start = |(host, buyer)| Load::start(host, &seller, buyer, &acknowledged);
    let loads: Vec<_> = hosts.iter().zip(&buyers).map(start).collect();
    for away in [Duration::ZERO, Duration::from_secs(4)] {
        acknowledged.more_are_paid(3).await;
        server.stop();
        tokio::time::sleep(away).await;
        for host in &hosts {
            let reply = host.again(&seller).get("/api/tickets").await;
            assert!([200, 503].contains(&reply.status), "{reply:?}");
        }
        server.start_again().await;
        acknowledged.more_are_paid(3).await;
    }
    for load in loads {
        load.stop_if_running().await;
    }
    knows_all(&hosts[0]).await;
    acknowledged.is_whole_on(&hosts[0]).await;
}
