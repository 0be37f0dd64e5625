//! A broker that hangs, dies and comes back.

use super::Market;
use crate::support::{Bus, NatsServer, Setup, eventually};
use std::time::Duration;

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_broker_that_hangs_for_a_while_loses_nothing() {
    let server = NatsServer::start();
    let market = Market::open(Setup::new().bus(Bus::jetstream(&server.url()))).await;
    server.freeze();
    pause(3_000).await;
    market.can_sell().await;
    pause(9_000).await;
    market.can_sell().await;
    server.thaw();
    market.close().await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_broker_that_is_killed_and_started_on_its_store_loses_nothing() {
    let mut server = NatsServer::start();
    let market = Market::open(Setup::new().bus(Bus::jetstream(&server.url()))).await;
    for away_ms in [0, 300, 3_000] {
        server.kill();
        pause(away_ms).await;
        market.can_sell().await;
        server.start_again();
        market.goes_on().await;
    }
    market.close().await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_broker_and_a_host_that_are_killed_together_lose_nothing() {
    let mut server = NatsServer::start();
    let mut host = Setup::new().bus(Bus::jetstream(&server.url())).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    server.kill();
    // Only the host's own files can have this acknowledged ticket.
    let other = seller.try_sell("made without a broker", 1.0).await;
    assert_eq!(other.status, 201, "{other:?}");
    host.kill().await;
    server.start_again();
    host.start_again().await;
    let (seller, buyer) = (host.again(&seller), host.again(&buyer));
    seller
        .ticket_when("the ticket is reserved", &ticket.id, |ticket| ticket.order_id.as_deref() == Some(&order.id))
        .await;
    buyer.reserve(&other.id()).await;
    host.settles().await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_broker_that_forgets_everything_is_used_again() {
    let mut server = NatsServer::start();
    let host = Setup::new().bus(Bus::jetstream(&server.url())).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    host.settles().await;
    server.kill();
    server.lose_store();
    server.start_again();
    let reserved = async || buyer.try_order(&ticket.id).await.status;
    eventually("the ticket can be bought", reserved, |status| *status == 201).await;
    let other = seller.sell("y", 10.0).await;
    buyer.reserve(&other.id).await;
    host.settles().await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_metric_says_how_long_events_wait_for_the_broker() {
    let mut server = NatsServer::start();
    let host = Setup::new().bus(Bus::jetstream(&server.url())).start().await;
    let seller = host.user("seller").await;
    seller.sell("x", 10.0).await;
    host.settles().await;
    let age = async || {
        let text = host.outsider().get("/metrics").await.text;
        let line = text.lines().find_map(|line| line.strip_prefix("outbox_age_seconds{component=\"tickets\"} "));
        line.and_then(|age| age.parse::<f64>().ok())
    };
    eventually("no event waits", &age, |age| *age == Some(0.0)).await;
    server.kill();
    assert_eq!(seller.try_sell("made without a broker", 1.0).await.status, 201);
    eventually("the metric says that an event waits", &age, |age| age.is_some_and(|age| age > 3.0)).await;
    server.start_again();
    eventually("the event waits no more", &age, |age| *age == Some(0.0)).await;
}
