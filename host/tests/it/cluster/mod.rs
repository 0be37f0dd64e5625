//! Several hosts on one PostgreSQL database and one NATS server.

mod clocks;
mod edits;
mod faults;
mod idempotency;
mod live;
mod network;
mod plugins;
mod rate_limits;
mod relay_lock;
mod sharing;
mod takeover;
mod versions;

use crate::support::{Bus, Client, Host, NatsServer, Setup, eventually, postgres};
use serde_json::Value;

/// A setup with its state in this database and its events on this NATS server.
pub(crate) fn joined(setup: Setup, database: &str, bus: &str) -> Setup {
    setup.in_database(database).bus(Bus::jetstream(bus))
}

/// Starts three hosts with the marketplace.
async fn three() -> [Host; 3] {
    let database = postgres::new_database().await;
    let setup = joined(Setup::new(), &database, &NatsServer::shared().url());
    let hosts = Setup::start_all(named(&setup)).await;
    knows_all(&hosts[0]).await;
    hosts
}

/// Three setups that differ in the name of the host.
pub(crate) fn named(setup: &Setup) -> [Setup; 3] {
    ["one", "two", "three"].map(|name| setup.beside().variable("TICKETING_HOST_NAME", name))
}

/// Waits until this host sees all three hosts ready.
pub(crate) async fn knows_all(host: &Host) {
    let operator = host.operator();
    let ready = async || statuses(&operator).await.into_iter().filter(|status| status == "ready").count();
    eventually("three hosts are ready", ready, |ready| *ready == 3).await;
}

/// The hosts that this operator sees, the oldest first.
async fn hosts(operator: &Client) -> Vec<Value> {
    let reply = operator.get("/cluster").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["hosts"].as_array().unwrap().clone()
}

async fn statuses(operator: &Client) -> Vec<String> {
    hosts(operator).await.iter().map(|host| host["status"].as_str().unwrap().to_owned()).collect()
}
