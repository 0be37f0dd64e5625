//! A broker that is well behind a network that is not.

use super::Market;
use crate::support::{Bus, NatsServer, Proxy, Setup, Way};
use std::time::{Duration, Instant};

async fn behind(server: &NatsServer) -> (Proxy, Bus) {
    let proxy = Proxy::before(server.port()).await;
    let bus = Bus::jetstream(&proxy.url());
    (proxy, bus)
}

#[tokio::test]
async fn connections_that_break_again_and_again_lose_nothing() {
    let server = NatsServer::start();
    let (proxy, bus) = behind(&server).await;
    let market = Market::open(Setup::new().bus(bus)).await;
    for round in 0..10 {
        proxy.set(Way::Cut);
        tokio::time::sleep(Duration::from_millis(50 * round)).await;
        market.can_sell().await;
        proxy.set(Way::Open);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    market.close().await;
}

#[tokio::test]
async fn half_a_minute_without_the_broker_is_made_up_for() {
    let server = NatsServer::start();
    let (proxy, bus) = behind(&server).await;
    let market = Market::open(Setup::new().bus(bus)).await;
    proxy.set(Way::Cut);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        market.can_sell().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    proxy.set(Way::Open);
    market.close().await;
}

#[tokio::test]
async fn a_slow_network_and_one_that_swallows_everything_lose_nothing() {
    let server = NatsServer::start();
    let (proxy, bus) = behind(&server).await;
    let market = Market::open(Setup::new().bus(bus)).await;
    proxy.set(Way::Slow(Duration::from_millis(100)));
    market.goes_on().await;
    market.can_sell().await;
    // Longer than the client needs to find it out.
    proxy.set(Way::Hole);
    tokio::time::sleep(Duration::from_secs(12)).await;
    market.can_sell().await;
    proxy.set(Way::Open);
    market.close().await;
}
