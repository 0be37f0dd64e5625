//! A bad network between the host and a healthy broker.

use super::Market;
use crate::support::{Bus, LinkState, NatsServer, Proxy, Setup};
use std::time::{Duration, Instant};

/// A proxy before the server, and the bus behind the proxy.
async fn behind_proxy(server: &NatsServer) -> (Proxy, Bus) {
    let proxy = Proxy::before(server.port()).await;
    let bus = Bus::jetstream(&proxy.url());
    (proxy, bus)
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn connections_that_break_again_and_again_lose_nothing() {
    let server = NatsServer::start();
    let (proxy, bus) = behind_proxy(&server).await;
    let market = Market::open(Setup::new().bus(bus)).await;
    for round in 0..10 {
        proxy.set(LinkState::Down);
        tokio::time::sleep(Duration::from_millis(50 * round)).await;
        market.can_sell().await;
        proxy.set(LinkState::Up);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    market.close().await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn nothing_is_lost_in_half_a_minute_without_the_broker() {
    let server = NatsServer::start();
    let (proxy, bus) = behind_proxy(&server).await;
    let market = Market::open(Setup::new().bus(bus)).await;
    proxy.set(LinkState::Down);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        market.can_sell().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    proxy.set(LinkState::Up);
    market.close().await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_slow_network_and_one_that_swallows_everything_lose_nothing() {
    let server = NatsServer::start();
    let (proxy, bus) = behind_proxy(&server).await;
    let market = Market::open(Setup::new().bus(bus)).await;
    proxy.set(LinkState::Slow(Duration::from_millis(100)));
    market.goes_on().await;
    market.can_sell().await;
    // Longer than the client needs to notice.
    proxy.set(LinkState::BlackHole);
    tokio::time::sleep(Duration::from_secs(12)).await;
    market.can_sell().await;
    proxy.set(LinkState::Up);
    market.close().await;
}
